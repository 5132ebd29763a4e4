// SPDX-License-Identifier: GPL-2.0-only
/* The states that a disk is in: see crash.h. */
#include <linux/types.h>
#include <time.h>
#include "util.h"
#include "crash.h"

/* As the kernel's Documentation/admin-guide/device-mapper/log-writes.rst has it. */
#define LOG_MAGIC 0x6a736677736872ULL
#define LOG_DISCARD 4
#define LOG_MARK 8

struct log_super {
	__le64 magic;
	__le64 version;
	__le64 nr_entries;
	__le32 sectorsize;
};

struct log_entry {
	__le64 sector;
	__le64 nr_sectors;
	__le64 flags;
	__le64 data_len;
};

/* No udev would make the nodes, or tell that they are there. */
#define DMSETUP "dmsetup --noudevsync --noudevrules --verifyudev "

int start_recording(struct recorder *rec, const char *image,
		    const char *mountpoint, const char *fstype)
{
	rec->mountpoint = mountpoint;
	snprintf(rec->name, sizeof(rec->name), "record-%d", getpid());
	return run("modprobe dm-log-writes && cp --sparse=always %s recorded && "
		   "truncate -s 512M log && disk=$(losetup -f --show recorded) && "
		   "log=$(losetup -f --show log) && " DMSETUP "create %s --table "
		   "\"0 $(blockdev --getsz $disk) log-writes $disk $log\" && "
		   "losetup -d $disk $log && mount -t %s /dev/mapper/%s %s",
		   image, rec->name, fstype, rec->name, mountpoint);
}

int mark(const struct recorder *rec)
{
	return run("dmsetup message %s 0 mark here", rec->name);
}

int stop_recording(const struct recorder *rec)
{
	return run("umount %s && " DMSETUP "remove %s", rec->mountpoint, rec->name);
}

int start_replay(struct replay *replay, const struct recorder *rec,
		 const char *image)
{
	struct log_super super;

	*replay = (struct replay) { .disk = open(image, O_WRONLY) };
	replay->log = fopen("log", "r");
	if (replay->disk < 0 || !replay->log ||
	    fread(&super, sizeof(super), 1, replay->log) != 1)
		return -1;
	if (super.magic != LOG_MAGIC) {
		errno = EILSEQ;
		return -1;
	}
	replay->left = super.nr_entries;
	replay->sector = super.sectorsize;
	return fseek(replay->log, replay->sector, SEEK_SET);
}

/* The data that comes now in the log, to the place where it was written. */
static int put_data(struct replay *replay, const struct log_entry *entry)
{
	size_t size = entry->nr_sectors * replay->sector;
	char *data = malloc(size);
	int ret = -1;

	if (data && fread(data, size, 1, replay->log) == 1 &&
	    pwrite(replay->disk, data, size, entry->sector * replay->sector) == size)
		ret = 1;
	free(data);
	return ret;
}

int replay_step(struct replay *replay)
{
	struct log_entry entry;

	while (replay->left) {
		replay->left--;
		if (fread(&entry, sizeof(entry), 1, replay->log) != 1 ||
		    fseek(replay->log, replay->sector - sizeof(entry), SEEK_CUR))
			return -1;
		if (entry.flags & LOG_MARK) {
			replay->marks++;
			return 1;
		}
		if (entry.nr_sectors && !(entry.flags & LOG_DISCARD))
			return put_data(replay, &entry);
	}
	return 0;
}

void stop_replay(struct replay *replay)
{
	fclose(replay->log);
	close(replay->disk);
}

unsigned int now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
