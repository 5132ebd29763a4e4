// SPDX-License-Identifier: GPL-2.0-only
/* nosuid, nodev and noexec of the mount that a branch is on. */
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

#define USER 1234

UNION_FIXTURE(forbid);

/* From here on the directory is on a mount with these flags. */
static int remount(const char *dir, unsigned long flags)
{
	return mount(dir, dir, NULL, MS_BIND, NULL) ?:
	       mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | flags, NULL);
}

/* What a program says when USER runs it; "(status)" if it does not run. */
static const char *says(const char *path, const char *arg, const char *more)
{
	static char text[256];
	ssize_t len = 0, n;
	int fds[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(fds))
		return "(no pipe)";
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
			_exit(254);
		execl(path, path, arg, more, NULL);
		_exit(errno);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fds[0]);
	text[len] = 0;
	waitpid(pid, &status, 0);
	if (status)
		snprintf(text, sizeof(text), "(%d)", WEXITSTATUS(status));
	text[strcspn(text, "\n")] = 0;
	return text;
}

static int make_programs(const char *dir)
{
	return run("cp /usr/bin/id %s/id && chown 0:77 %s/id && "
		   "chmod 6755 %s/id && cp /bin/grep %s/grep && "
		   "setcap cap_net_raw+ep %s/grep && cp /usr/bin/id %s/plain",
		   dir, dir, dir, dir, dir, dir);
}

static const char *caps(const char *path)
{
	return says(path, "CapEff", "/proc/self/status");
}

#define NO_CAPS		"CapEff:\t0000000000000000"
#define NET_RAW		"CapEff:\t0000000000002000"

static int copy_up_by_chmod(void)
{
	return chmod("mnt/id", 06711) ?: chmod("mnt/grep", 0711) ?:
	       chmod("mnt/plain", 0711);
}

static int copy_up_by_rename(void)
{
	static const char * const names[] = { "id", "grep", "plain" };
	char from[32], to[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(from, sizeof(from), "mnt/%s", names[i]);
		snprintf(to, sizeof(to), "mnt/%s.new", names[i]);
		if (rename(from, to) || rename(to, from))
			return -1;
	}
	return 0;
}

static int (* const copy_ups[])(void) = { copy_up_by_chmod, copy_up_by_rename };

TEST_F(forbid, nosuid_takes_owners_and_capabilities_away)
{
	unsigned int i;

	NOT_ON_OVERLAY("does not care");
	ASSERT_EQ(0, make_programs("l1") ?: make_programs("l2"));
	ASSERT_EQ(0, mkdir("up/d", 0755) ?: make_programs("up/d"));

	/* They work where nothing forbids it. */
	ASSERT_EQ(0, mount_union("up:l2"));
	EXPECT_STREQ("0", says("mnt/id", "-u", NULL));
	EXPECT_STREQ("77", says("mnt/id", "-g", NULL));
	EXPECT_STREQ(NET_RAW, caps("mnt/grep"));
	ASSERT_EQ(0, copy_up_by_chmod());
	EXPECT_STREQ("0", says("mnt/id", "-u", NULL));
	EXPECT_STREQ(NET_RAW, caps("mnt/grep"));
	ASSERT_EQ(0, umount("mnt") ?: run("rm -r up/id up/grep up/plain"));

	ASSERT_EQ(0, remount("l1", MS_NOSUID));
	for (i = 0; i < ARRAY_SIZE(copy_ups); i++) {
		ASSERT_EQ(0, mount_union("up:l1:l2"));
		EXPECT_STREQ("1234", says("mnt/id", "-u", NULL));
		EXPECT_STREQ("1234", says("mnt/id", "-g", NULL));
		EXPECT_STREQ(NO_CAPS, caps("mnt/grep"));
		/* It is only that they have no effect. */
		EXPECT_EQ(06755, mode_of("mnt/id") & 07777);
		EXPECT_LT(0, getxattr("mnt/grep", "security.capability", NULL,
				      0));
		EXPECT_EQ(0, access("mnt/id", X_OK));
		ASSERT_EQ(0, copy_ups[i]());
		ASSERT_TRUE(there("up/id") && there("up/grep"));
		EXPECT_STREQ("1234", says("mnt/id", "-u", NULL));
		EXPECT_STREQ("1234", says("mnt/id", "-g", NULL));
		EXPECT_STREQ(NO_CAPS, caps("mnt/grep"));
		EXPECT_EQ(06000, mode_of("up/id") & 06000);
		/* A copy could be anything in that branch. */
		EXPECT_STREQ("1234", says("mnt/d/id", "-u", NULL));
		EXPECT_STREQ("1234", says("mnt/plain", "-u", NULL));
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, run("rm -r up/id up/grep up/plain"));
	}
	/* What is left or right of it, and no copy, is as it was. */
	ASSERT_EQ(0, mount_mica("dirs=l2=ro:l1=ro", "mnt"));
	EXPECT_STREQ("0", says("mnt/id", "-u", NULL));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_mica("dirs=l1=ro:up=rw", "mnt"));
	EXPECT_STREQ("1234", says("mnt/id", "-u", NULL));
	EXPECT_STREQ("0", says("mnt/d/id", "-u", NULL));
	ASSERT_EQ(0, umount("mnt") ?: umount("l1"));
}

/* A write by another user still takes the bits away. */
TEST_F(forbid, nosuid_keeps_nothing_that_a_write_takes)
{
	NOT_ON_OVERLAY("does not care");
	ASSERT_EQ(0, make_programs("l1"));
	ASSERT_EQ(0, chmod("l1/id", 06777) ?: chmod("l1/grep", 0777));
	ASSERT_EQ(0, remount("l1", MS_NOSUID));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, run("setpriv --reuid=%d --clear-groups sh -c "
			 "'echo >>mnt/id && echo >>mnt/grep'", USER));
	EXPECT_EQ(0777, mode_of("up/id") & 07777);
	EXPECT_EQ(0, run("! getcap up/grep | grep -q cap_net_raw"));
	ASSERT_EQ(0, umount("mnt") ?: umount("l1"));
}

static void *map(const char *path, int prot, int flags)
{
	int fd = open(path, O_RDONLY);
	void *p = mmap(NULL, 4096, prot, flags, fd, 0);

	if (fd >= 0)
		close(fd);
	return p;
}

/* 0, or the errno of each way to run what is in a file. */
static int map_exec(const char *path)
{
	void *p = map(path, PROT_READ | PROT_EXEC, MAP_PRIVATE);

	return p == MAP_FAILED ? errno : munmap(p, 4096);
}

static int map_exec_shared(const char *path)
{
	void *p = map(path, PROT_READ | PROT_EXEC, MAP_SHARED);

	return p == MAP_FAILED ? errno : munmap(p, 4096);
}

static int protect_exec(const char *path)
{
	void *p = map(path, PROT_READ, MAP_PRIVATE);
	int err;

	if (p == MAP_FAILED)
		return -1;
	err = mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : 0;
	return munmap(p, 4096) ?: err;
}

static int may_exec(const char *path)
{
	return access(path, X_OK) ? errno : 0;
}

static int run_it(const char *path)
{
	const char *text = says(path, NULL, NULL);

	return *text == '(' ? atoi(text + 1) : 0;
}

/* Reading it is no offence. */
static int read_it(const char *path)
{
	return *content(path) == '(' ? -1 : 0;
}

static int run_as_argument(const char *path)
{
	char command[64];

	snprintf(command, sizeof(command), "sh %s", path);
	return strstr(path, "script") ? system(command) : 0;
}

static const struct {
	const char *name;
	int (*attempt)(const char *path);
	int err;
} execs[] = {
	{ "exec", run_it, EACCES },
	{ "access", may_exec, EACCES },
	{ "mmap", map_exec, EPERM },
	{ "shared mmap", map_exec_shared, EPERM },
	{ "mprotect", protect_exec, EACCES },
	{ "read", read_it, 0 },
	{ "argument", run_as_argument, 0 },
};

static int check_exec(struct __test_metadata *_metadata, const char *path,
		      bool forbidden)
{
	unsigned int i;
	int bad = 0, err;

	for (i = 0; i < ARRAY_SIZE(execs); i++) {
		err = execs[i].attempt(path);
		if (err == (forbidden ? execs[i].err : 0))
			continue;
		TH_LOG("%s of %s: %s", execs[i].name, path, strerror(err));
		bad++;
	}
	return bad;
}

TEST_F(forbid, noexec_lets_nothing_run)
{
	NOT_ON_OVERLAY("does not care");
	ASSERT_EQ(0, run("for d in l1 l2 up; do "
			 "cp /bin/true $d/$d && printf '#!/bin/sh\\nexit 0\\n' "
			 ">$d/script.$d && chmod 755 $d/script.$d; done"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/l1", false));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/script.l1", false));
	ASSERT_EQ(0, umount("mnt"));

	ASSERT_EQ(0, remount("l1", MS_NOEXEC));
	/* The mount itself is what it is compared with. */
	EXPECT_EQ(0, check_exec(_metadata, "l1/l1", true));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/l1", true));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/script.l1", true));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/l2", false));
	ASSERT_EQ(0, chmod("mnt/l1", 0711));
	EXPECT_EQ(0, run("setfattr -n trusted.x -v x mnt/script.l1"));
	ASSERT_EQ(0, chmod("mnt/l2", 0755));
	ASSERT_TRUE(there("up/l1") && there("up/script.l1"));
	ASSERT_EQ(0, chmod("mnt/l1", 0755));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/l1", true));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/script.l1", true));
	EXPECT_EQ(0, check_exec(_metadata, "mnt/up", true));
	ASSERT_EQ(0, umount("mnt") ?: umount("l1"));
}

/* The metacopy is here, its data on what is noexec. */
TEST_F(forbid, noexec_of_data_that_is_elsewhere)
{
	NOT_ON_OVERLAY("does not care");
	ASSERT_EQ(0, run("cp /bin/true l1/true && printf '#!/bin/sh\\nexit 0\\n' "
			 ">l1/script && chmod 755 l1/script"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, chmod("mnt/true", 0711) ?: chmod("mnt/script", 0775));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, set_xattr("up", "trusted.x", "y"));
	ASSERT_EQ(0, remount("l1", MS_NOEXEC));
	ASSERT_EQ(0, mount_union_ro("up:l1"));
	EXPECT_EQ(EACCES, run_it("mnt/true"));
	EXPECT_EQ(EACCES, run_it("mnt/script"));
	EXPECT_EQ(EPERM, map_exec("mnt/script"));
	ASSERT_EQ(0, umount("mnt") ?: umount("l1"));
}

static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	return fd < 0 ? errno : close(fd);
}

/* A block device that is there, as any is. */
static dev_t free_loop(void)
{
	int fd = open("/dev/loop-control", O_RDWR);
	int n = ioctl(fd, LOOP_CTL_GET_FREE);

	close(fd);
	return makedev(7, n);
}

TEST_F(forbid, nodev_opens_no_device)
{
	dev_t loop = free_loop();
	struct stat st;

	NOT_ON_OVERLAY("does not care");
	ASSERT_EQ(0, mknod("l1/zero", S_IFCHR | 0666, makedev(1, 5)));
	ASSERT_EQ(0, mknod("l1/loop", S_IFBLK | 0666, loop));
	ASSERT_EQ(0, mknod("l2/zero2", S_IFCHR | 0666, makedev(1, 5)));
	ASSERT_EQ(0, mknod("up/zero3", S_IFCHR | 0666, makedev(1, 5)));
	ASSERT_EQ(0, mkfifo("l1/fifo", 0666));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	EXPECT_EQ(0, try_open("mnt/zero"));
	EXPECT_EQ(0, try_open("mnt/loop"));
	ASSERT_EQ(0, umount("mnt"));

	ASSERT_EQ(0, remount("l1", MS_NODEV));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	EXPECT_EQ(EACCES, try_open("mnt/zero"));
	EXPECT_EQ(EACCES, try_open("mnt/loop"));
	EXPECT_EQ(0, try_open("mnt/zero2"));
	EXPECT_EQ(0, try_open("mnt/fifo"));
	/* Where copies are made, any could be one. */
	EXPECT_EQ(EACCES, try_open("mnt/zero3"));
	ASSERT_EQ(0, mknod("mnt/new", S_IFCHR | 0666, makedev(1, 5)));
	EXPECT_EQ(EACCES, try_open("mnt/new"));
	/* That opens no file. */
	FAILS(ENXIO, mount("mnt/loop", "work", "ext4", 0, NULL));
	EXPECT_EQ(0, access("mnt/zero", R_OK));
	ASSERT_EQ(0, stat("mnt/loop", &st));
	EXPECT_EQ(loop, st.st_rdev);

	ASSERT_EQ(0, chmod("mnt/zero", 0600) ?: rename("mnt/loop", "mnt/disk"));
	ASSERT_TRUE(there("up/zero") && there("up/disk"));
	ASSERT_EQ(0, stat("up/disk", &st));
	EXPECT_EQ(loop, st.st_rdev);
	EXPECT_EQ(EACCES, try_open("mnt/zero"));
	EXPECT_EQ(EACCES, try_open("mnt/disk"));
	ASSERT_EQ(0, umount("mnt") ?: umount("l1"));
}

TEST_F(forbid, what_a_union_forbids_holds_above_it)
{
	NOT_ON_OVERLAY("does not care");
	ASSERT_EQ(0, make_programs("l1"));
	ASSERT_EQ(0, mknod("l1/zero", S_IFCHR | 0666, makedev(1, 5)));
	ASSERT_EQ(0, remount("l1", MS_NOSUID | MS_NODEV));
	ASSERT_EQ(0, mkdir("outer", 0755));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, mount_mica("dirs=l2=rw:mnt=ro", "outer"));
	EXPECT_STREQ("1234", says("outer/id", "-u", NULL));
	EXPECT_STREQ(NO_CAPS, caps("outer/grep"));
	EXPECT_EQ(EACCES, try_open("outer/zero"));
	ASSERT_EQ(0, chmod("outer/id", 06711) ?: chmod("outer/zero", 0600) ?:
		     chmod("outer/grep", 0711));
	EXPECT_STREQ("1234", says("outer/id", "-u", NULL));
	EXPECT_STREQ(NO_CAPS, caps("outer/grep"));
	EXPECT_EQ(EACCES, try_open("outer/zero"));
	ASSERT_EQ(0, umount("outer") ?: umount("mnt") ?: umount("l1"));
}

/* Also what it gets when the other one is in use. */
TEST_F(forbid, what_a_union_begins_to_forbid_holds_above_it)
{
	int id;

	NOT_ON_OVERLAY("its layers stay");
	ASSERT_EQ(0, make_programs("l1"));
	ASSERT_EQ(0, mkdir("l3/d", 0755) ?: make_programs("l3/d"));
	ASSERT_EQ(0, mknod("l1/zero", S_IFCHR | 0666, makedev(1, 5)));
	ASSERT_EQ(0, remount("l1", MS_NOSUID | MS_NODEV | MS_NOEXEC));
	ASSERT_EQ(0, mkdir("outer", 0755));
	ASSERT_EQ(0, mount_union("up:l2"));
	ASSERT_EQ(0, mount_mica("dirs=l3=rw:mnt=ro", "outer"));
	EXPECT_STREQ("0", says("outer/d/id", "-u", NULL));
	EXPECT_STREQ(NET_RAW, caps("outer/d/grep"));
	id = add_branch("l1", 0, 1);
	ASSERT_LT(0, id) {
		TH_LOG("%s", why.text);
	}
	EXPECT_EQ(EACCES, run_it("outer/plain"));
	EXPECT_EQ(EACCES, try_open("outer/zero"));
	/* Where copies are made, any could be one. */
	EXPECT_EQ(EACCES, run_it("outer/d/plain"));
	ASSERT_EQ(0, chmod("outer/plain", 0711) ?: chmod("outer/zero", 0600));
	ASSERT_TRUE(there("l3/plain") && there("l3/zero"));
	EXPECT_EQ(EACCES, run_it("outer/plain"));
	EXPECT_EQ(EACCES, try_open("outer/zero"));
	CHANGED(del_branch(id));
	/* What was copied is still there. */
	EXPECT_EQ(EACCES, run_it("outer/plain"));
	EXPECT_EQ(EACCES, try_open("outer/zero"));
	ASSERT_EQ(0, umount("outer"));
	/* Programs run, but for nobody else than who runs them. */
	ASSERT_EQ(0, mount(NULL, "l1", NULL, MS_BIND | MS_REMOUNT | MS_NOSUID, NULL));
	ASSERT_EQ(0, umount("mnt") ?: mount_union("up:l2"));
	ASSERT_EQ(0, mount_mica("dirs=l3=rw:mnt=ro", "outer"));
	EXPECT_STREQ("0", says("outer/d/id", "-u", NULL));
	ASSERT_LT(0, add_branch("l1", 0, 1));
	EXPECT_STREQ("1234", says("outer/id", "-u", NULL));
	EXPECT_STREQ("1234", says("outer/d/id", "-u", NULL));
	EXPECT_STREQ(NO_CAPS, caps("outer/grep"));
	EXPECT_STREQ(NO_CAPS, caps("outer/d/grep"));
	ASSERT_EQ(0, umount("outer") ?: umount("mnt") ?: umount("l1"));
}

TEST_HARNESS_MAIN
