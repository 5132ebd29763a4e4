// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench DISK SAMPLES LAYERS...: what operations cost on ext4, on overlayfs and
 * on mica with so many lower layers, all of it on the ext4 file system of DISK,
 * which is empty. Prints tables, and writes the figures to the file SAMPLES. For
 * the test host with the clock that counts instructions; what is measured, and
 * how, is in Documentation/bench.rst.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DISK "/mnt/disk"
#define UNION "/mnt/union"
#define NAMES 1000
#define CHANGES 500
#define CHMODS 100
#define NOTHINGS 20		/* to know what a change of nothing costs */
#define PAGE 4096
#define BIG (64 << 20)
#define BIGS 4
#define MAX_SETS 4		/* numbers of layers */
#define MAX_LAYERS 99
#define NS_PER_INSTRUCTION 2	/* -icount shift=1 */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A union of mica with dirs=, and one with the options of overlayfs. */
enum { EXT4, OVERLAYFS, MICA, MICA_LOWERDIR, NR_FS };

static const char * const fs_name[] = { "ext4", "overlayfs", "mica", "mica-lowerdir" };
static const char *device;
static char device_stat[PATH_MAX];
static char names[NAMES][8], absent[NAMES][8];
static char new[CHANGES][8], moved[CHANGES][8], new_dirs[CHANGES][8];
static char buffer[1 << 20];
static int disk = -1;

/* For calls that return -1 and set errno; returns what they return. */
#define must(call) ({						\
	long must_ret = (call);					\
								\
	if (must_ret < 0)					\
		err(1, "line %d: %s", __LINE__, #call);		\
	must_ret;						\
})

/*
 * The clock counts the instructions of all that runs, the kernel's threads and
 * interrupts as well, but jumps when there is nothing to do. That is taken off
 * again: the kernel knows to the nanosecond for how long it was idle.
 */

struct sample {
	double ns;
	double sync_ns;		/* until it is on disk, after that */
	double flushes;
	double sectors;
};

static double monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static void read_file(const char *path, char *to, size_t size)
{
	int fd = must(open(path, O_RDONLY));
	size_t done = 0;
	ssize_t n;

	while ((n = must(read(fd, to + done, size - 1 - done))) > 0)
		done += n;
	to[done] = 0;
	close(fd);
}

static void write_string(const char *path, const char *value)
{
	int fd = must(open(path, O_WRONLY));

	must(write(fd, value, strlen(value)));
	close(fd);
}

static double field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	if (!at)
		errx(1, "/proc/timer_list has no %s", name);
	return strtod(strchr(at, ':') + 1, NULL);
}

static double idle(void)
{
	read_file("/proc/timer_list", buffer, sizeof(buffer));
	return field(buffer, ".idle_sleeptime") +
	       field(buffer, ".iowait_sleeptime");
}

/* Threads and work queues get to the end of what they have to do. */
static void drain(void)
{
	static const struct timespec wait = { .tv_nsec = 50000000 };

	nanosleep(&wait, NULL);
}

static void sync_disk(void)
{
	must(syncfs(disk));
	drain();
}

static void read_device(struct sample *s)
{
	char text[512];

	read_file(device_stat, text, sizeof(text));
	if (sscanf(text, "%*f %*f %*f %*f %*f %*f %lf %*f %*f %*f %*f %*f %*f %*f %*f %lf",
		   &s->sectors, &s->flushes) != 2)
		errx(1, "%s is not understood", device_stat);
}

static struct sample from, *to;
static bool changes;

static void start(void)
{
	read_device(&from);
	from.ns = -idle();
	from.ns += monotonic();
}

static void stop(void)
{
	struct sample end;

	if (changes)
		drain();
	end.ns = monotonic();
	end.ns -= idle();
	to->ns += end.ns - from.ns;
	if (!changes)
		return;

	from.ns = -idle();
	from.ns += monotonic();
	sync_disk();
	end.ns = monotonic();
	end.ns -= idle();
	read_device(&end);
	to->sync_ns += end.ns - from.ns;
	to->sectors += end.sectors - from.sectors;
	to->flushes += end.flushes - from.flushes;
}

/* Forget names and attributes; those of a union hold those of its layers. */
static void forget(void)
{
	int i;

	sync_disk();
	for (i = 0; i < 3; i++)
		write_string("/proc/sys/vm/drop_caches", "2");
	drain();
}

/*
 * The operations. All paths are relative to the root of what is measured.
 */

static void stat_many(const char *path, int n)
{
	struct stat st;

	must(stat(path, &st));
	start();
	while (n--)
		must(stat(path, &st));
	stop();
}

static void stat_warm_1(int n)
{
	stat_many("x", n);
}

static void stat_warm_8(int n)
{
	stat_many("a/b/c/d/e/f/g/x", n);
}

static void stat_cold(int n)
{
	struct stat st;
	int i, dir;

	forget();
	start();
	dir = must(open("dir", O_RDONLY | O_DIRECTORY));
	for (i = 0; i < n; i++)
		must(fstatat(dir, names[i], &st, 0));
	close(dir);
	stop();
}

static void absent_cold(int n)
{
	struct stat st;
	int i, dir;

	forget();
	start();
	dir = must(open("dir", O_RDONLY | O_DIRECTORY));
	for (i = 0; i < n; i++)
		if (!fstatat(dir, absent[i], &st, 0) || errno != ENOENT)
			errx(1, "%s is there", absent[i]);
	close(dir);
	stop();
}

static void one_cold(int n)
{
	char path[16];
	struct stat st;
	int i;

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "dir/%s", names[i * NAMES / n]);
		forget();
		start();
		must(stat(path, &st));
		stop();
	}
}

static void read_dir(int n)
{
	int dir = must(open("dir", O_RDONLY | O_DIRECTORY)), found = 0, size, at;
	struct dirent64 *entry;

	while ((size = must(syscall(SYS_getdents64, dir, buffer, 32768))) > 0)
		for (at = 0; at < size; at += entry->d_reclen) {
			entry = (struct dirent64 *)(buffer + at);
			found++;
		}
	close(dir);
	/* There are "." and ".." as well. */
	if (found - 2 != n)
		errx(1, "%d names in place of %d", found - 2, n);
}

static void readdir_cold(int n)
{
	int i;

	for (i = 0; i < n / NAMES; i++) {
		forget();
		start();
		read_dir(NAMES);
		stop();
	}
}

static void readdir_warm(int n)
{
	int i;

	read_dir(NAMES);
	start();
	for (i = 0; i < n / NAMES; i++)
		read_dir(NAMES);
	stop();
}

static void open_read_close(int n)
{
	int i, fd, dir = must(open("dir", O_RDONLY | O_DIRECTORY));

	start();
	for (i = 0; i < n; i++) {
		fd = must(openat(dir, names[i % NAMES], O_RDONLY));
		if (must(read(fd, buffer, PAGE)) != PAGE)
			errx(1, "%s is short", names[i % NAMES]);
		close(fd);
	}
	stop();
	close(dir);
}

static void open_read_first(int n)
{
	forget();
	open_read_close(n);
}

static void do_pread(int n)
{
	int fd = must(open("x", O_RDONLY));

	must(pread(fd, buffer, 16 * PAGE, 0));
	start();
	while (n--)
		must(pread(fd, buffer, PAGE, n % 16 * PAGE));
	stop();
	close(fd);
}

static void do_pwrite(int n)
{
	int fd = must(open("written", O_RDWR | O_CREAT | O_EXCL, 0644));

	must(pwrite(fd, buffer, 16 * PAGE, 0));
	sync_disk();
	start();
	while (n--)
		must(pwrite(fd, buffer, PAGE, n % 16 * PAGE));
	stop();
	close(fd);
}

/* Where the changes are made; in a union it has been changed before. */
static int dir_to_change(void)
{
	int dir = must(open("dir", O_RDONLY | O_DIRECTORY));

	must(mkdirat(dir, "new", 0755));
	must(unlinkat(dir, "new", AT_REMOVEDIR));
	sync_disk();
	return dir;
}

static void do_create(int n)
{
	int i, dir = dir_to_change();

	start();
	for (i = 0; i < n; i++)
		close(must(openat(dir, new[i], O_WRONLY | O_CREAT | O_EXCL, 0644)));
	stop();
	close(dir);
}

/* What was created. */
static void do_rename(int n)
{
	int i, dir = dir_to_change();

	start();
	for (i = 0; i < n; i++)
		must(renameat(dir, new[i], dir, moved[i]));
	stop();
	close(dir);
}

static void do_mkdir(int n)
{
	int i, dir = dir_to_change();

	start();
	for (i = 0; i < n; i++)
		must(mkdirat(dir, new_dirs[i], 0755));
	stop();
	close(dir);
}

static void do_rmdir(int n)
{
	int i, dir = dir_to_change();

	start();
	for (i = 0; i < n; i++)
		must(unlinkat(dir, new_dirs[i], AT_REMOVEDIR));
	stop();
	close(dir);
}

static void open_rdwr(int n)
{
	int i, dir = dir_to_change();
	struct stat st;

	for (i = 0; i < n; i++)
		must(fstatat(dir, names[i], &st, 0));
	start();
	for (i = 0; i < n; i++)
		close(must(openat(dir, names[i], O_RDWR)));
	stop();
	close(dir);
}

/* Not what open_rdwr() may have copied. */
static void do_unlink(int n)
{
	int i, dir = dir_to_change();
	struct stat st;

	for (i = NAMES - n; i < NAMES; i++)
		must(fstatat(dir, names[i], &st, 0));
	start();
	for (i = NAMES - n; i < NAMES; i++)
		must(unlinkat(dir, names[i], 0));
	stop();
	close(dir);
}

static void do_chmod(const char *name, int n)
{
	char path[CHMODS][16];
	struct stat st;
	int i;

	for (i = 0; i < n; i++) {
		snprintf(path[i], sizeof(path[i]), "%s%02d", name, i);
		must(stat(path[i], &st));
	}
	sync_disk();
	start();
	for (i = 0; i < n; i++)
		must(chmod(path[i], 0600));
	stop();
}

static void chmod_small(int n)
{
	do_chmod("small", n);
}

static void chmod_big(int n)
{
	do_chmod("big", n);
}

static void nothing(int n)
{
	while (n--) {
		sync_disk();
		start();
		stop();
	}
}

/*
 * The table
 */

/**
 * struct row - a line of the table
 * @name: for people
 * @run: does it, on something that those before it have left
 * @n: how many times
 * @changes: something, which has to get to the disk
 * @base: the line whose figure for ext4 this one is compared with, from here
 * @target: the most that mica may cost, as a ratio to ext4; 0 for none
 * @flat: the same with more than one layer, as a ratio to one; 0 for @target
 * @as_overlayfs: at most what overlayfs costs
 * @words: a target that is none of these
 */
static const struct row {
	const char *name;
	void (*run)(int n);
	int n;
	bool changes;
	int base;
	double target;
	double flat;
	bool as_overlayfs;
	const char *words;
} rows[] = {
	{ "stat, warm, depth 1", stat_warm_1, 20000, .target = 1.10 },
	{ "stat, warm, depth 8", stat_warm_8, 10000, .target = 1.10 },
	{ "stat, cold", stat_cold, NAMES, .target = 1.25, .flat = 1.2 },
	{ "absent name, cold", absent_cold, NAMES, .target = 1.15, .flat = 1.2 },
	{ "one cold look-up", one_cold, 50, .as_overlayfs = true },
	{ "open+read 4K+close, first", open_read_first, NAMES, .target = 1.20, .flat = 1.2 },
	{ "open+read 4K+close, warm", open_read_close, 5 * NAMES, .target = 1.25 },
	{ "pread 4K", do_pread, 20000, .target = 1.10 },
	{ "readdir, cold, per name", readdir_cold, 10 * NAMES, .target = 1.20 },
	{ "readdir, warm, per name", readdir_warm, 10 * NAMES, .target = 1.00 },
	{ "pwrite 4K", do_pwrite, 10000, true, .target = 1.10 },
	{ "create", do_create, CHANGES, true, .target = 1.20, .flat = 1.2 },
	{ "rename of a file", do_rename, CHANGES, true, .target = 1.40, .flat = 1.2 },
	{ "mkdir", do_mkdir, CHANGES, true, .target = 1.50 },
	{ "rmdir", do_rmdir, CHANGES, true, .target = 1.40 },
	{ "unlink, lower", do_unlink, CHANGES, true, .target = 1.20 },
	{ "open(O_RDWR)+close, lower", open_rdwr, CHANGES, true, .words = "no copy" },
	{ "chmod, lower, 4K", chmod_small, CHMODS, .changes = true },
	{ "chmod, lower, 64M", chmod_big, BIGS, true, .base = -1, .words = "as of 4K" },
};

#define ROWS ARRAY_SIZE(rows)

static struct sample samples[NR_FS][MAX_SETS][ROWS];
static int layers[MAX_SETS], nr_layers;

static void make_file(const char *path, off_t size)
{
	int fd = must(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
	off_t done;

	for (done = 0; done < size; done += sizeof(buffer))
		must(write(fd, buffer, size < sizeof(buffer) ? size : sizeof(buffer)));
	close(fd);
}

__attribute__((format(printf, 1, 2)))
static const char *format(const char *fmt, ...)
{
	static char text[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return text;
}

/* @n layers in @top, of which each name of "dir" is in one. */
static void make_layers(const char *top, int n)
{
	static const char depth[] = "a/b/c/d/e/f/g/x";
	const char *slash;
	int i;

	must(mkdir(top, 0755));
	must(chdir(top));
	for (i = 0; i < n; i++) {
		must(mkdir(format("%02d", i), 0755));
		must(mkdir(format("%02d/dir", i), 0755));
	}
	for (i = 0; i < NAMES; i++)
		make_file(format("%02d/dir/%s", i % n, names[i]), PAGE);

	/* The rest is in the lowest. */
	must(chdir(format("%02d", n - 1)));
	for (slash = strchr(depth, '/'); slash; slash = strchr(slash + 1, '/'))
		must(mkdir(format("%.*s", (int)(slash - depth), depth), 0755));
	make_file(depth, PAGE);
	make_file("x", 16 * PAGE);
	for (i = 0; i < CHMODS; i++)
		make_file(format("small%02d", i), PAGE);
	for (i = 0; i < BIGS; i++)
		make_file(format("big%02d", i), BIG);
	must(chdir(DISK));
}

static void mount_disk(void)
{
	/* Access times are not what is measured, and unions do not have them. */
	must(mount(device, DISK, "ext4", MS_NOATIME, NULL));
	must(chdir(DISK));
	disk = must(open(".", O_RDONLY | O_DIRECTORY));
}

static void unmount_disk(void)
{
	must(chdir("/"));
	close(disk);
	must(umount(DISK));
}

static void mount_union(int fs, int n)
{
	char options[PAGE];
	int i, len;

	must(mkdir(format("up-%s-%d", fs_name[fs], n), 0755));
	if (fs == MICA) {
		len = sprintf(options, "dirs=up-mica-%d=rw", n);
		for (i = 0; i < n; i++)
			len += sprintf(options + len, ":%d/%02d=ro", n, i);
	} else {
		must(mkdir(format("work-%s-%d", fs_name[fs], n), 0755));
		len = sprintf(options, "upperdir=up-%s-%d,workdir=work-%s-%d,lowerdir=",
			      fs_name[fs], n, fs_name[fs], n);
		for (i = 0; i < n; i++)
			len += sprintf(options + len, "%s%d/%02d", i ? ":" : "", n, i);
	}
	must(mount("none", UNION, fs == OVERLAYFS ? "overlay" : "mica", MS_NOATIME, options));
	must(chdir(UNION));
}

static void measure(int fs, int at)
{
	struct sample drained = {}, ignored = {};
	size_t i;

	fprintf(stderr, "bench: %s, %d\n", fs_name[fs], layers[at]);
	mount_disk();
	if (fs == EXT4)
		must(chdir("plain/00"));
	else
		mount_union(fs, layers[at]);

	/* What is read from disk once, of names and attributes, stays. */
	changes = false;
	to = &ignored;
	stat_cold(NAMES);
	absent_cold(NAMES);
	for (i = 0; i < ROWS; i++) {
		changes = rows[i].changes;
		to = &samples[fs][at][i];
		memset(to, 0, sizeof(*to));
		rows[i].run(rows[i].n);
	}
	changes = true;
	to = &drained;
	nothing(NOTHINGS);
	for (i = 0; i < ROWS; i++)
		if (rows[i].changes) {
			samples[fs][at][i].ns -= drained.ns / NOTHINGS;
			samples[fs][at][i].sync_ns -= drained.sync_ns / NOTHINGS;
		}

	must(chdir(DISK));
	if (fs != EXT4)
		must(umount(UNION));
	unmount_disk();
}

static double instructions(int fs, int at, int row)
{
	return samples[fs][at][row].ns / rows[row].n / NS_PER_INSTRUCTION;
}

static double with_sync(int fs, int at, int row)
{
	return instructions(fs, at, row) +
	       samples[fs][at][row].sync_ns / rows[row].n / NS_PER_INSTRUCTION;
}

static double flushes(int fs, int at, int row)
{
	return samples[fs][at][row].flushes;
}

static double kib(int fs, int at, int row)
{
	return samples[fs][at][row].sectors / rows[row].n / 2;
}

static double ratio(int fs, int at, int row)
{
	return instructions(fs, at, row) / instructions(EXT4, 0, row + rows[row].base);
}

static double ratio_with_sync(int fs, int at, int row)
{
	return with_sync(fs, at, row) / with_sync(EXT4, 0, row + rows[row].base);
}

/* Does mica miss its target? */
static bool misses(int fs, int at, int row)
{
	const struct row *r = &rows[row];
	double mica = ratio(fs, at, row);

	if (r->as_overlayfs)
		return mica > ratio(OVERLAYFS, at, row);
	if (r->flat && layers[at] > 1 && layers[0] == 1)
		return mica > r->flat * ratio(fs, 0, row);
	return r->target && mica > r->target;
}

static const char *target(const struct row *r)
{
	if (r->as_overlayfs)
		return "overlayfs";
	if (r->flat)
		return format("%.2f, x%.1f", r->target, r->flat);
	return r->target ? format("%.2f", r->target) : r->words ?: "";
}

/* For programs. */
static void print_samples(const char *path)
{
	FILE *file = fopen(path, "w");
	int fs, at, row;

	if (!file)
		err(1, "%s", path);
	fprintf(file, "#file system\tlayers\toperation\tinstructions\tuntil on disk\tflushes\tKiB\n");
	for (fs = 0; fs < NR_FS; fs++)
		for (at = 0; at < (fs == EXT4 ? 1 : nr_layers); at++)
			for (row = 0; row < ROWS; row++)
				fprintf(file, "%s\t%d\t%s\t%.1f\t%.1f\t%.0f\t%.2f\n",
					fs_name[fs], fs == EXT4 ? 0 : layers[at],
					rows[row].name, instructions(fs, at, row),
					with_sync(fs, at, row), flushes(fs, at, row),
					kib(fs, at, row));
	if (fclose(file))
		err(1, "%s", path);
}

/**
 * struct table - what is printed of the figures
 * @title: what it tells
 * @base: the column of ext4
 * @value: of a file system with so many layers
 * @digits: after the point
 * @all: the rows that change nothing as well, and the targets
 */
static const struct table {
	const char *title;
	double (*base)(int fs, int at, int row);
	double (*value)(int fs, int at, int row);
	int digits;
	bool all;
} tables[] = {
	{ "Ratios to ext4, whose instructions for each operation stand in front.",
	  instructions, ratio, 3, true },
	{ "The same until all of it is on disk.", with_sync, ratio_with_sync, 3, false },
	{ "KiB written for each.", kib, kib, 1, false },
	{ "Flushes of the disk's cache for all of them, the sync at the end included.",
	  flushes, flushes, 0, false },
};

static void print_row(const struct table *t, int mica, int row)
{
	double base = t->base(EXT4, 0, row);
	int at;

	printf("%-26s %12.*f", rows[row].name, base < 1000, base);
	for (at = 0; at < nr_layers; at++)
		printf(" %8.*f%c", t->digits, t->value(mica, at, row),
		       t->all && misses(mica, at, row) ? '!' : ' ');
	printf("| ");
	for (at = 0; at < nr_layers; at++)
		printf("%8.*f  ", t->digits, t->value(OVERLAYFS, at, row));
	if (t->all)
		printf(" %s", target(&rows[row]));
	printf("\n");
}

static void print_table(const struct table *t, int mica)
{
	size_t row;
	int at;

	printf("\n%s\n\n%-26s %12s", t->title, "operation", "ext4");
	for (at = 0; at < nr_layers; at++)
		printf("   mica/%-2d", layers[at]);
	printf(" |");
	for (at = 0; at < nr_layers; at++)
		printf("    ovl/%-2d", layers[at]);
	printf("\n");
	for (row = 0; row < ROWS; row++)
		if (t->all || rows[row].changes)
			print_row(t, mica, row);
}

static void print_worst(int mica)
{
	double times, worst = 0;
	size_t row;
	int at;

	printf("\n");
	for (at = 0; at < nr_layers; at++)
		for (row = 0; row < ROWS; row++) {
			times = ratio(mica, at, row) / ratio(OVERLAYFS, at, row);
			if (times > worst)
				worst = times;
			if (times > 1.5)
				printf("%s, %d layers: %.2f times what overlayfs costs\n",
				       rows[row].name, layers[at], times);
		}
	printf("No operation costs more than %.2f times what it costs overlayfs.\n",
	       worst);
}

static void print_tables(int mica, const char *title)
{
	size_t i;

	printf("== %s\n", title);
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		print_table(&tables[i], mica);
	print_worst(mica);
}

int main(int argc, char **argv)
{
	int i, at, fs;

	if (argc < 4 || argc > 3 + MAX_SETS)
		errx(1, "usage: bench DISK SAMPLES LAYERS...");
	device = argv[1];
	snprintf(device_stat, sizeof(device_stat), "/sys/block/%s/stat",
		 basename(realpath(device, NULL)));
	nr_layers = argc - 3;
	for (at = 0; at < nr_layers; at++) {
		layers[at] = atoi(argv[3 + at]);
		if (layers[at] < 1 || layers[at] > MAX_LAYERS)
			errx(1, "%s: 1 to %d layers", argv[3 + at], MAX_LAYERS);
	}

	memset(buffer, 0x5a, sizeof(buffer));
	for (i = 0; i < NAMES; i++) {
		sprintf(names[i], "n%04d", i);
		sprintf(absent[i], "a%04d", i);
	}
	for (i = 0; i < CHANGES; i++) {
		sprintf(new[i], "c%04d", i);
		sprintf(moved[i], "m%04d", i);
		sprintf(new_dirs[i], "d%04d", i);
	}
	must(mlockall(MCL_CURRENT | MCL_FUTURE));
	/* Nothing is written but when it is asked for. */
	write_string("/proc/sys/vm/dirty_writeback_centisecs", "0");
	/* From now on, not a line in the log each time. */
	write_string("/proc/sys/vm/drop_caches", "4");
	must(mkdir(DISK, 0755));
	must(mkdir(UNION, 0755));

	mount_disk();
	make_layers("plain", 1);
	for (at = 0; at < nr_layers; at++)
		make_layers(format("%d", layers[at]), layers[at]);
	unmount_disk();

	measure(EXT4, 0);
	for (fs = OVERLAYFS; fs < NR_FS; fs++)
		for (at = 0; at < nr_layers; at++)
			measure(fs, at);
	printf("Behind each line of the first table stands the most that mica should cost (x1.2:\n");
	printf("what it costs with one layer, times 1.2); where it costs more there is a \"!\".\n\n");
	print_tables(MICA, "dirs=: whiteouts are read in both forms, and written in dot form");
	printf("\n");
	print_tables(MICA_LOWERDIR, "lowerdir=, upperdir=, workdir=: overlayfs's form alone");
	print_samples(argv[2]);
	return 0;
}
