// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine dies before, in and after a snapshot. What is mounted then is the
 * tree with it or the one without, and nothing else.
 *
 * Once every write to the disk is recorded, and each state that the disk was in is
 * looked at. And the file system is shut down at moments all over a snapshot.
 */
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include "../lib/harness.h"
#include "branches.h"
#include "crash.h"
#include "util.h"

FIXTURE(live_crash) {};
FIXTURE_VARIANT(live_crash) {
	const char *fs;
	const char *mkfs;
};

FIXTURE_VARIANT_ADD(live_crash, ext4) {
	.fs = "ext4",
	.mkfs = "truncate -s 48M base && mkfs.ext4 -q -E lazy_itable_init=0 base",
};

FIXTURE_VARIANT_ADD(live_crash, xfs) {
	.fs = "xfs",
	.mkfs = "truncate -s 300M base && mkfs.xfs -q base",
};

/*
 * A disk with the layers up, l1 and new, in the file base. The union of the first
 * two shows "low" and "f", which is synced.
 */
FIXTURE_SETUP(live_crash)
{
	DO(fresh("tmpfs"));
	DO(run("mkdir disk && %s && mount -o loop base disk && "
	       "mkdir disk/up disk/l1 disk/new && echo -n low >disk/l1/low && "
	       "echo -n one >disk/up/f && umount disk", variant->mkfs));
}

FIXTURE_TEARDOWN(live_crash)
{
	EXPECT_EQ(0, leave());
	EXPECT_EQ(0, umount(here("disk")));
}

static int mount_before(void)
{
	return mount_union("disk/up:disk/l1");
}

/* The union works: what is in it, and what is written to it. */
static int works(const char *text)
{
	if (strcmp(content("mnt/low"), "low") || strcmp(content("mnt/f"), text)) {
		fprintf(stderr, "# low: %s, f: %s, not %s\n", content("mnt/low"),
			content("mnt/f"), text);
		errno = EILSEQ;
		return -1;
	}
	return add("mnt/low", "+") ?: put("mnt/made", "made") ?: unlink("mnt/f");
}

/* Nothing has happened, and it can happen now. */
static int is_before(void)
{
	if (mount_before())
		return -1;
	if (*ls("disk/new")) {
		fprintf(stderr, "# new is sealed by nobody, but has %s\n", ls("disk/new"));
		errno = EILSEQ;
		return -1;
	}
	return works("one") ?: snapshot("disk/new") ?: umount("mnt");
}

/* It cannot be written to by mistake, but works below the new one. */
static int is_after(const char *text)
{
	int ret;

	if (!mount_before() || errno != EROFS) {
		fprintf(stderr, "# a sealed branch can be mounted: %s\n", strerror(errno));
		return -1;
	}
	if (mount_union_ro("disk/up:disk/l1"))
		return -1;
	ret = strcmp(content("mnt/f"), "one");
	if (umount("mnt") || ret)
		return -1;
	return mount_union("disk/new:disk/up:disk/l1") ?: works(text) ?:
	       umount("mnt");
}

/* How far the one who makes the snapshot is known to have come. */
enum { NOTHING, SNAPSHOT, WRITE };

static int look(int least)
{
	const char *f = "disk/new/f";
	char text[8];

	if (!is_sealed("disk/up") && least >= SNAPSHOT) {
		fprintf(stderr, "# the snapshot is lost\n");
		errno = EILSEQ;
		return -1;
	}
	/* What was not synced may be there or not. */
	snprintf(text, sizeof(text), "%s", least >= WRITE ? "two" :
		 there(f) ? content(f) : "one");
	return is_sealed("disk/up") ? is_after(text) : is_before();
}

/* A snapshot, and a write to what is above it. */
static int take_snapshot(struct recorder *rec)
{
	int fd;

	if (mark(rec) || snapshot("disk/new"))
		return -1;
	fd = open("mnt/f", O_WRONLY);
	if (fd < 0 || mark(rec) || pwrite(fd, "two", 3, 0) != 3 || fsync(fd))
		return -1;
	return close(fd) ?: mark(rec);
}

TEST_F_TIMEOUT(live_crash, every_state_of_the_disk_is_one_of_two, 600)
{
	struct recorder rec;
	struct replay replay;
	unsigned int states = 0, sealed = 0;
	int ret = 0;

	NOT_ON_OVERLAY("there is no such command");
	DO(start_recording(&rec, "base", "disk", variant->fs));
	DO(mount_before());
	DO(run("sync -f disk"));
	ASSERT_EQ(0, take_snapshot(&rec)) {
		TH_LOG("%s: %s", strerror(errno), why.text);
	}
	DO(umount("mnt"));
	DO(stop_recording(&rec));
	DO(start_replay(&replay, &rec, "base"));
	/* What comes after the last mark is the unmount. */
	while (replay.marks <= WRITE && (ret = replay_step(&replay)) > 0) {
		if (!replay.marks)
			continue;
		DO(run("cp --sparse=always base state && mount -o loop state disk"));
		states++;
		sealed += is_sealed("disk/up");
		ASSERT_EQ(0, look(replay.marks - 1)) {
			TH_LOG("state %u, after mark %u: %s", states,
			       replay.marks, strerror(errno));
		}
		DO(umount("disk"));
	}
	ASSERT_EQ(1, ret);
	stop_replay(&replay);
	fprintf(stderr, "# %u states, %u of them with the snapshot\n", states, sealed);
	/* Both have been seen. */
	ASSERT_LT(0, sealed);
	ASSERT_GT(states, sealed);
	DO(run("mount -o loop state disk"));
}

/* Of ext4, xfs and others. */
#define SHUTDOWN _IOR('X', 125, __u32)
#define MOMENTS 8

static struct {
	pthread_barrier_t start;
	unsigned int delay;	/* in microseconds */
	__u32 how;		/* is the journal written? */
	int disk;
} killer;

static void *shut_down(void *arg)
{
	pthread_barrier_wait(&killer.start);
	usleep(killer.delay);
	ioctl(killer.disk, SHUTDOWN, &killer.how);
	return arg;
}

/* Returns what became of the snapshot, or -2. */
static int snapshot_and_crash(void)
{
	pthread_t thread;
	int ret;

	killer.disk = open("disk", O_RDONLY | O_CLOEXEC);
	if (killer.disk < 0 || pthread_barrier_init(&killer.start, NULL, 2) ||
	    pthread_create(&thread, NULL, shut_down, NULL))
		return -2;
	pthread_barrier_wait(&killer.start);
	ret = snapshot("disk/new");
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&killer.start);
	close(killer.disk);
	return ret;
}

TEST_F_TIMEOUT(live_crash, a_file_system_that_dies_has_one_of_two, 600)
{
	unsigned int i, usual, made = 0;
	int ret;

	NOT_ON_OVERLAY("there is no such command");
	DO(run("cp --sparse=always base state && mount -o loop state disk"));
	DO(mount_before());
	usual = now();
	CHANGED(snapshot("disk/new"));
	usual = now() - usual;
	DO(umount("mnt"));
	DO(umount("disk"));
	for (i = 0; i < MOMENTS; i++) {
		killer.delay = i * usual * 3 / 2 / MOMENTS;
		killer.how = i % 3;
		DO(run("cp --sparse=always base state && mount -o loop state disk"));
		DO(mount_before());
		ret = snapshot_and_crash();
		ASSERT_LE(-1, ret);
		made += !ret;
		DO(umount("mnt"));
		DO(umount("disk"));
		DO(run("mount -o loop state disk"));
		ASSERT_EQ(0, look(ret ? NOTHING : SNAPSHOT)) {
			TH_LOG("after %u of %u us: %s", killer.delay, usual,
			       strerror(errno));
		}
		DO(umount("disk"));
	}
	fprintf(stderr, "# %u of %u snapshots were made, which takes %u us\n", made, i,
		usual);
	DO(run("mount -o loop state disk"));
}

/* At the beginning and in the end there is no race. */
TEST_F(live_crash, before_and_after_it_is_the_one_or_the_other)
{
	__u32 how = 0;
	int fd;

	NOT_ON_OVERLAY("there is no such command");
	DO(run("mount -o loop base disk"));
	DO(mount_before());
	fd = open("disk", O_RDONLY);
	DO(ioctl(fd, SHUTDOWN, &how));
	close(fd);
	ASSERT_EQ(-1, snapshot("disk/new"));
	DO(umount("mnt"));
	DO(umount("disk"));
	DO(run("mount -o loop base disk"));
	ASSERT_FALSE(is_sealed("disk/up"));
	DO(mount_before());
	CHANGED(snapshot("disk/new"));
	how = 2;
	fd = open("disk", O_RDONLY);
	DO(ioctl(fd, SHUTDOWN, &how));
	close(fd);
	ASSERT_EQ(-1, put("mnt/f", "two"));
	DO(umount("mnt"));
	DO(umount("disk"));
	DO(run("mount -o loop base disk"));
	ASSERT_EQ(-1, mica_union("mount disk/up disk/l1 mnt"));
	ASSERT_NE(NULL, strstr(content("err"), here("disk/new"))) {
		TH_LOG("%s", content("err"));
	}
	DO(look(SNAPSHOT));
}

TEST_HARNESS_MAIN
