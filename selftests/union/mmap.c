// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared mappings that can be written to: the file is copied for them, but under
 * mmap_lock the copy cannot get its name.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include "../lib/harness.h"
#include "flags.h"
#include "util.h"

UNION_FIXTURE(mapping);

/* Maps a file that is opened for both; *fd stays open if that is asked for. */
static char *map(const char *path, int *keep)
{
	int fd = open(path, O_RDWR);
	char *p;

	if (fd < 0)
		return MAP_FAILED;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (keep)
		*keep = fd;
	else
		close(fd);
	return p;
}

/* Maps, stores and takes the mapping away. */
static int store(const char *path, const char *text)
{
	char *p = map(path, NULL);

	if (p == MAP_FAILED)
		return -1;
	memcpy(p, text, strlen(text));
	return munmap(p, 4096);
}

#define MAPPED "%lx-%*s %*s %*s %x:%x %lu"

/* Of which file /proc/self/maps says that it is mapped at @p. */
static int mapped(const void *p, struct stat *st)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int major, minor;
	unsigned long begin, ino;
	char line[PATH_MAX + 100];
	int ret = -1;

	while (ret && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, MAPPED, &begin, &major, &minor, &ino) != 4 ||
		    begin != (unsigned long)p)
			continue;
		st->st_dev = makedev(major, minor);
		st->st_ino = ino;
		ret = 0;
	}
	fclose(maps);
	return ret;
}

static char *buffer;

static void *read_it(void *path)
{
	int fd = open(path, O_RDONLY);

	if (syscall(__NR_getdents64, fd, buffer, 4096) < 0)
		read(fd, buffer, 4096);
	return NULL;
}

/*
 * A child reads a directory or file into memory that is not there until it is
 * killed: so long, the directory is locked, and on XFS the file. Returns the child,
 * or -1.
 */
static pid_t begin_read(const char *path)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;
	int pipes[2];
	pthread_t thread;
	char *p;
	int uffd;
	pid_t child;

	if (pipe(pipes))
		return -1;
	child = fork();
	if (child) {
		char c;

		close(pipes[1]);
		if (read(pipes[0], &c, 1) == 1) {
			close(pipes[0]);
			return child;
		}
		close(pipes[0]);
		waitpid(child, NULL, 0);
		return -1;
	}
	uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		_exit(1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (unsigned long)p;
	range.range.len = 4096;
	if (p == MAP_FAILED || ioctl(uffd, UFFDIO_REGISTER, &range))
		_exit(1);
	buffer = p;
	if (pthread_create(&thread, NULL, read_it, (void *)path) ||
	    read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT || write(pipes[1], "x", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

static void end_read(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

TEST_F(mapping, does_not_wait_for_a_directory)
{
	pid_t reader;
	char *p;
	int fd;

	NOT_ON_OVERLAY("copies at open");
	DO(put("l1/f", "old"));
	DO(mount_union("up:l1"));
	reader = begin_read("up");
	ASSERT_LT(0, reader);
	p = map("mnt/f", &fd);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, "new", 3);
	HAS("mnt/f", "new");
	end_read(reader);
	DO(fsync(fd));
	HAS("up/f", "new");
	HAS("l1/f", "old");
	memcpy(p, "NEW", 3);
	HAS("mnt/f", "NEW");
	HAS("up/f", "NEW");
	DO(munmap(p, 4096));
	DO(close(fd));
}

/* Who reads may have to wait for mmap_lock in the middle of it. */
TEST_F(mapping, does_not_wait_for_a_reader)
{
	pid_t reader;
	char *p;

	NOT_ON_OVERLAY("copies at open");
	DO(put("l1/f", "old"));
	DO(mount_union("up:l1"));
	reader = begin_read("mnt/f");
	ASSERT_LT(0, reader);
	p = map("mnt/f", NULL);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, "new", 3);
	HAS("mnt/f", "new");
	end_read(reader);
	DO(munmap(p, 4096));
}

/* Everything that has to have the name in the branch finds it there. */
static int do_fsync(int fd)	{ return fsync(fd); }
static int do_close(int fd)	{ return close(dup(fd)); }
static int do_syncfs(int fd)	{ return syncfs(fd); }
static int do_write(int fd)	{ return pwrite(fd, "n", 1, 0) - 1; }
static int do_fchmod(int fd)	{ return fchmod(fd, 0640); }
static int do_rename(int fd)	{ return rename("mnt/d/f", "mnt/d/g"); }
static int do_link(int fd)	{ return link("mnt/d/f", "mnt/d/g"); }
/* That does not wait: the name is given in the new directory, fsync() shows it. */
static int do_dir(int fd)	{ return rename("mnt/d", "mnt/e") ?: fsync(fd); }
static int do_truncate(int fd)	{ return ftruncate(fd, 4096); }

static const struct {
	const char *what;
	int (*call)(int fd);
	const char *now;
} calls[] = {
	{ "fsync", do_fsync, "d/f" },
	{ "close", do_close, "d/f" },
	{ "syncfs", do_syncfs, "d/f" },
	{ "write", do_write, "d/f" },
	{ "fchmod", do_fchmod, "d/f" },
	{ "rename", do_rename, "d/g" },
	{ "link", do_link, "d/g" },
	{ "truncate", do_truncate, "d/f" },
	{ "rename of its directory", do_dir, "e/f" },
};

TEST_F(mapping, the_name_is_there_when_it_matters)
{
	unsigned int i;
	char path[32];
	char *p;
	int fd;

	NOT_ON_OVERLAY("copies at open");
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		DO(remove_all("l1/d"));
		DO(remove_all("up/d"));
		DO(remove_all("up/e"));
		DO(mkdir("l1/d", 0755));
		DO(put("l1/d/f", "old"));
		DO(mount_union("up:l1"));
		p = map("mnt/d/f", &fd);
		ASSERT_NE(MAP_FAILED, p);
		memcpy(p, "new", 3);
		DO(calls[i].call(fd)) {
			TH_LOG("%s", calls[i].what);
		}
		memcpy(p, "NEW", 3);
		snprintf(path, sizeof(path), "up/%s", calls[i].now);
		ASSERT_EQ(0, strncmp("NEW", content(path), 3)) {
			TH_LOG("%s: %s", calls[i].what, content(path));
		}
		snprintf(path, sizeof(path), "mnt/%s", calls[i].now);
		ASSERT_EQ(0, strncmp("NEW", content(path), 3));
		DO(munmap(p, 4096));
		DO(close(fd));
		DO(umount("mnt"));
		HAS("l1/d/f", "old");
	}
}

TEST_F(mapping, other_names_show_what_is_stored)
{
	DO(put("l1/a", "old"));
	DO(link("l1/a", "l1/b"));
	DO(mount_union("up:l1"));
	DO(store("mnt/a", "new"));
	NOT_ON_OVERLAY("needs its index");
	HAS("mnt/b", "new");
	DO(store("mnt/b", "two"));
	HAS("mnt/a", "two");
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	HAS("mnt/a", "two");
	HAS("mnt/b", "two");
	HAS("l1/a", "old");
}

TEST_F(mapping, of_a_metacopy_brings_the_data)
{
	NOT_ON_OVERLAY("does it at open");
	DO(fill("l1/f", 100000, 1));
	DO(mount_union("up:l1"));
	DO(chmod("mnt/f", 0640));
	DO(store("mnt/f", "new"));
	ASSERT_EQ(S_IFREG | 0640, mode_of("mnt/f"));
	DO(umount("mnt"));
	ASSERT_EQ(0, strncmp("new", content("up/f"), 3));
	DO(filled("l1/f", 100000, 1));
}

/* What has no place for its name is an error, and nothing is lost. */
TEST_F(mapping, a_name_that_cannot_be_given_is_told_and_tried_again)
{
	char *p;
	int fd;

	NOT_ON_OVERLAY("copies at open");
	DO(put("l1/f", "old"));
	DO(mount_union("up:l1"));
	if (set_flags("up", FS_IMMUTABLE_FL)) {
		ASSERT_EQ(ENOTTY, errno);
		ASSERT_STREQ("tmpfs", variant->fs);
		SKIP(return, "no immutable directories on this tmpfs");
	}
	p = map("mnt/f", &fd);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, "new", 3);
	FAILS(EPERM, fsync(fd));
	ASSERT_FALSE(there("up/f"));
	HAS("mnt/f", "new");
	DO(set_flags("up", 0));
	DO(fsync(fd));
	HAS("up/f", "new");
	DO(munmap(p, 4096));
	DO(close(fd));
}

/* The worker must not give a name to what is removed, nor hold the mount. */
TEST_F(mapping, and_removing_at_once)
{
	char path[32];
	int i, fds[50];
	char *p;

	for (i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "l1/%d", i);
		DO(put(path, "old"));
	}
	DO(mount_union("up:l1"));
	for (i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "mnt/%d", i);
		p = map(path, &fds[i]);
		ASSERT_NE(MAP_FAILED, p);
		memcpy(p, "new", 3);
		DO(munmap(p, 4096));
		DO(unlink(path));
	}
	for (i = 0; i < 50; i++) {
		char buf[4] = "";

		ASSERT_EQ(3, pread(fds[i], buf, 3, 0));
		ASSERT_STREQ("new", buf);
		DO(close(fds[i]));
		snprintf(path, sizeof(path), "mnt/%d", i);
		ASSERT_FALSE(there(path));
	}
	DO(umount("mnt"));
	for (i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "up/%d", i);
		ASSERT_FALSE(there(path));
		snprintf(path, sizeof(path), "l1/%d", i);
		HAS(path, "old");
	}
}

static void *store_all(void *arg)
{
	long off = (long)arg, i;
	char path[32];

	for (i = 0; i < 40; i++) {
		char *p;

		snprintf(path, sizeof(path), "mnt/%ld", i);
		p = map(path, NULL);
		if (p == MAP_FAILED)
			return (void *)1;
		p[off] = 'A' + off;
		munmap(p, 4096);
	}
	return NULL;
}

TEST_F(mapping, of_many_at_once_loses_nothing)
{
	pthread_t threads[6];
	char path[32];
	void *ret;
	long i;

	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "l1/%ld", i);
		DO(put(path, "------"));
	}
	DO(mount_union("up:l1"));
	for (i = 0; i < 6; i++)
		DO(pthread_create(&threads[i], NULL, store_all, (void *)i));
	for (i = 0; i < 6; i++) {
		DO(pthread_join(threads[i], &ret));
		ASSERT_EQ(NULL, ret);
	}
	DO(umount("mnt"));
	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "up/%ld", i);
		HAS(path, "ABCDEF");
	}
}

/* The name has to be given where the copy is, before it can go on to the left. */
TEST_F(mapping, with_several_writable_branches)
{
	static const char * const options[] = {
		"dirs=up=rw:l2=rw:l1=ro", "dirs=up=rw:l2=rw:l1=ro,copyup=top",
	};
	unsigned int i, j;
	int fd;
	char *p;

	NOT_ON_OVERLAY("has one");
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 20; j++) {
			DO(remove_all("up/f"));
			DO(remove_all("up/g"));
			DO(remove_all("l2/f"));
			DO(remove_all("l2/g"));
			DO(put("l1/f", "old"));
			DO(put("up/g", "other"));
			DO(mount_mica(options[i], "mnt"));
			p = map("mnt/f", &fd);
			ASSERT_NE(MAP_FAILED, p);
			memcpy(p, "new", 3);
			/* What is stored would not be seen any more. */
			if (j % 2 && !i) {
				FAILS(EXDEV, renameat2(AT_FDCWD, "mnt/f",
						       AT_FDCWD, "mnt/g",
						       RENAME_EXCHANGE));
				HAS("mnt/f", "new");
				HAS("mnt/g", "other");
				memcpy(p, "NEW", 3);
				HAS("mnt/f", "NEW");
				memcpy(p, "new", 3);
				DO(munmap(p, 4096));
				p = NULL;
			}
			if (j % 2) {
				DO(renameat2(AT_FDCWD, "mnt/f", AT_FDCWD,
					     "mnt/g", RENAME_EXCHANGE));
				HAS("mnt/f", "other");
				HAS("mnt/g", "new");
			} else {
				DO(fsync(fd));
				HAS(i ? "up/f" : "l2/f", "new");
			}
			if (p)
				DO(munmap(p, 4096));
			DO(close(fd));
			DO(umount("mnt"));
			HAS("l1/f", "old");
		}
	}
}

/* The new name can only be in another writable branch, and so would be the data. */
TEST_F(mapping, stored_to_stays_in_its_branch)
{
	int fd;
	char *p;

	NOT_ON_OVERLAY("has one");
	DO(mkdir("up/d", 0755));
	DO(put("up/d/f", "other"));
	DO(put("l2/f", "old"));
	DO(mount_mica("dirs=up=rw:l2=rw:l1=ro", "mnt"));
	p = map("mnt/f", &fd);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, "new", 3);
	FAILS(EXDEV, rename("mnt/f", "mnt/d/f"));
	FAILS(EXDEV, rename("mnt/f", "mnt/d/g"));
	FAILS(EXDEV, link("mnt/f", "mnt/d/g"));
	HAS("mnt/d/f", "other");
	ASSERT_FALSE(there("mnt/d/g"));
	memcpy(p, "NEW", 3);
	HAS("mnt/f", "NEW");
	DO(run("mv mnt/f mnt/d/f"));
	HAS("mnt/d/f", "NEW");
	HAS("up/d/f", "NEW");
	ASSERT_FALSE(there("mnt/f"));
	DO(munmap(p, 4096));
	DO(close(fd));
	DO(umount("mnt"));
}

/* So many find the moment, mostly. */
#define FILES 300

/* Each of them brings a file up, or needs it there, all at the same moment. */
struct at_once {
	pthread_barrier_t *start;
	int fd;
	int (*step)(int fd);
	int err;
};

static int step_write(int fd)
{
	return pwrite(fd, "w", 1, 1) == 1 ? 0 : -1;
}

static int step_store(int fd)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	p[0] = 's';
	return munmap(p, 4096);
}

static void *run_at_once(void *arg)
{
	struct at_once *a = arg;

	pthread_barrier_wait(a->start);
	a->err = a->step(a->fd) ? errno : 0;
	return NULL;
}

TEST_F(mapping, and_other_changes_at_the_same_moment)
{
	static int (* const steps[])(int fd) = {
		step_store, do_fchmod, step_write, do_fsync,
	};
	struct at_once a[ARRAY_SIZE(steps)];
	pthread_t thread[ARRAY_SIZE(steps)];
	pthread_barrier_t start;
	unsigned int i, j;
	char name[32];
	struct stat st;

	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "l1/%u", i);
		DO(put(name, "oooo"));
	}
	DO(mount_union("up:l1"));
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "mnt/%u", i);
		DO(pthread_barrier_init(&start, NULL, ARRAY_SIZE(a)));
		for (j = 0; j < ARRAY_SIZE(a); j++) {
			a[j] = (struct at_once){
				.start = &start, .step = steps[j],
				.fd = open(name, O_RDWR),
			};
			ASSERT_LE(0, a[j].fd);
			DO(pthread_create(&thread[j], NULL, run_at_once, &a[j]));
		}
		for (j = 0; j < ARRAY_SIZE(a); j++)
			DO(pthread_join(thread[j], NULL));
		for (j = 0; j < ARRAY_SIZE(a); j++) {
			EXPECT_EQ(0, a[j].err) {
				TH_LOG("%s: step %u: %s", name, j, strerror(a[j].err));
			}
			DO(close(a[j].fd));
		}
		DO(pthread_barrier_destroy(&start));
		HAS(name, "swoo");
		DO(stat(name, &st));
		EXPECT_EQ(0640, st.st_mode & 07777);
		snprintf(name, sizeof(name), "up/%u", i);
		HAS(name, "swoo");
	}
}

TEST_F(mapping, maps_tells_the_file_of_the_union_since_6_7)
{
	struct stat st, shown;
	struct utsname uts;
	char *p;
	int fd;

	NOT_ON_OVERLAY("it is much the same there");
	DO(put("l1/f", "text"));
	DO(mount_union("up:l1"));
	fd = open("mnt/f", O_RDONLY);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	DO(uname(&uts));
	DO(stat(strverscmp(uts.release, "6.7") < 0 ? "l1/f" : "mnt/f", &st));
	DO(mapped(p, &shown));
	ASSERT_EQ(st.st_dev, shown.st_dev);
	ASSERT_EQ(st.st_ino, shown.st_ino);
	DO(munmap(p, 4096));
	DO(close(fd));
}

TEST_HARNESS_MAIN
