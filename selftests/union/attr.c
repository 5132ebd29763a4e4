// SPDX-License-Identifier: GPL-2.0-only
/* Attributes, extended attributes, ACLs, and who may do what. */
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include "../lib/harness.h"
#include "util.h"

#define USER 1234

UNION_FIXTURE(attr);

/* Things to be tried as another user; each returns its errno. */
static int try_read(void *path)
{
	int fd = open(path, O_RDONLY);

	return fd < 0 ? errno : close(fd);
}

static int try_write(void *path)
{
	int fd = open(path, O_WRONLY);

	return fd < 0 ? errno : close(fd);
}

static int try_create(void *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);

	return fd < 0 ? errno : close(fd);
}

static int try_mkdir(void *path)
{
	return mkdir(path, 0777) ? errno : 0;
}

static int try_unlink(void *path)
{
	return unlink(path) ? errno : 0;
}

static int try_chmod(void *path)
{
	return chmod(path, 0777) ? errno : 0;
}

static int try_trusted(void *path)
{
	return set_xattr(path, "trusted.x", "1") ? errno : 0;
}

static int try_append(void *path)
{
	return add(path, "x") ? errno : 0;
}

static const struct {
	const char *path;
	int (*attempt)(void *path);
	int err;
} tries[] = {
	{ "mnt/open", try_read, 0 },
	{ "mnt/open", try_write, EACCES },
	{ "mnt/open", try_chmod, EPERM },
	{ "mnt/open", try_trusted, EPERM },
	{ "mnt/open", try_unlink, EACCES },
	{ "mnt/closed", try_read, EACCES },
	{ "mnt/closed", try_write, EACCES },
	{ "mnt/mine", try_write, 0 },
	{ "mnt/mine", try_append, 0 },
	{ "mnt/mine", try_chmod, 0 },
	{ "mnt/new", try_create, EACCES },
	{ "mnt/newdir", try_mkdir, EACCES },
	{ "mnt/hidden/f", try_read, EACCES },
	{ "mnt/tmp/others", try_unlink, EPERM },
	{ "mnt/tmp/mine", try_unlink, 0 },
	{ "mnt/tmp/new", try_create, 0 },
	{ "mnt/tmp/newdir", try_mkdir, 0 },
};

TEST_F(attr, who_may_do_what_is_as_the_union_shows_it)
{
	struct stat st;
	unsigned int i;

	ASSERT_EQ(0, run("cd l1 && echo -n x >open && echo x >closed && "
			 "chmod 600 closed && echo -n x >mine && "
			 "chown %d:%d mine && mkdir -m 700 hidden && "
			 "touch hidden/f && mkdir -m 1777 tmp && "
			 "touch tmp/others tmp/mine && chown %d tmp/mine",
			 USER, USER, USER));
	ASSERT_EQ(0, mount_union("up:l1"));
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		EXPECT_EQ(tries[i].err,
			  as_user(USER, tries[i].attempt,
				  (void *)tries[i].path)) {
			TH_LOG("%s, try %u", tries[i].path, i);
		}
	}
	/* What was copied or made belongs to whom it should. */
	ASSERT_EQ(0, stat("up/mine", &st));
	EXPECT_EQ(USER, st.st_uid);
	EXPECT_EQ(0777, st.st_mode & 07777);
	HAS("up/mine", "xx");
	ASSERT_EQ(0, stat("up/tmp/new", &st));
	EXPECT_EQ(USER, st.st_uid);
	EXPECT_EQ(USER, st.st_gid);
	EXPECT_EQ(0644, st.st_mode & 07777);
	ASSERT_EQ(0, stat("up/tmp", &st));
	EXPECT_EQ(01777, st.st_mode & 07777);
}

TEST_F(attr, a_setgid_directory_hands_its_group_on)
{
	struct stat st;

	ASSERT_EQ(0, run("mkdir l1/d && chown 0:77 l1/d && chmod 2777 l1/d && "
			 "touch l1/d/gone"));
	ASSERT_EQ(0, mount_union("up:l1"));
	/* One of them over a whiteout. */
	ASSERT_EQ(0, unlink("mnt/d/gone"));
	ASSERT_EQ(0, as_user(USER, try_create, "mnt/d/f"));
	ASSERT_EQ(0, as_user(USER, try_create, "mnt/d/gone"));
	ASSERT_EQ(0, as_user(USER, try_mkdir, "mnt/d/sub"));
	ASSERT_EQ(0, stat("mnt/d/f", &st));
	EXPECT_EQ(77, st.st_gid);
	EXPECT_EQ(USER, st.st_uid);
	ASSERT_EQ(0, stat("mnt/d/gone", &st));
	EXPECT_EQ(77, st.st_gid);
	ASSERT_EQ(0, stat("mnt/d/sub", &st));
	EXPECT_EQ(77, st.st_gid);
	EXPECT_EQ(02755, st.st_mode & 07777);
}

/* Over a whiteout it is made in the work directory, whose group it gets. */
TEST_F(attr, over_a_whiteout_grpid_of_a_branch_does_not_hold)
{
	static const char * const make[] = { "touch", "mkdir", "mkfifo", "ln -s f" };
	unsigned int i;

	NOT_ON_OVERLAY("other options");
	ASSERT_EQ(0, run("truncate -s 20M img && mkfs.ext4 -q img && mkdir b && "
			 "mount -o loop,grpid img b && mkdir b/up l1/d && "
			 "touch l1/d/gone && chgrp 77 l1/d"));
	ASSERT_EQ(0, mount_union_with("b/up:l1", "whiteout=overlay"));
	for (i = 0; i < ARRAY_SIZE(make); i++) {
		EXPECT_EQ(0, run("cd mnt/d && rm -r gone && %s new && %s gone && "
				 "test \"$(stat -c %%g new gone | xargs)\" = '77 0' && "
				 "rm -r new", make[i], make[i])) {
			TH_LOG("%s", make[i]);
		}
	}
	ASSERT_EQ(0, umount("mnt") ?: umount("b"));
}

TEST_F(attr, the_umask_holds)
{
	ASSERT_EQ(0, put("l1/gone", ""));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, unlink("mnt/gone"));
	umask(027);
	ASSERT_EQ(0, try_create("mnt/f"));
	ASSERT_EQ(0, try_create("mnt/gone"));
	ASSERT_EQ(0, mkdir("mnt/d", 0777));
	ASSERT_EQ(0, mknod("mnt/p", S_IFIFO | 0666, 0));
	umask(022);
	EXPECT_EQ(0640, mode_of("mnt/f") & 07777);
	EXPECT_EQ(0640, mode_of("mnt/gone") & 07777);
	EXPECT_EQ(0750, mode_of("mnt/d") & 07777);
	EXPECT_EQ(0640, mode_of("mnt/p") & 07777);
}

TEST_F(attr, a_write_by_another_user_clears_setuid)
{
	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, chmod("l1/f", 06777));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, as_user(USER, try_append, "mnt/f"));
	EXPECT_EQ(0777, mode_of("mnt/f") & 07777);
	EXPECT_EQ(06777, mode_of("l1/f") & 07777);
}

static int take_acl(void *path)
{
	return removexattr(path, "system.posix_acl_access") ? errno : 0;
}

/* Who is not in the file's group may not set it again. */
TEST_F(attr, an_acl_that_is_taken_away_leaves_the_setgid_bit)
{
	struct stat st;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, chown("l1/f", USER, 1) ?: chmod("l1/f", 02755));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, put("mnt/f", "y"));
	ASSERT_EQ(0, chmod("mnt/f", 02755));
	EXPECT_EQ(0, as_user(USER, take_acl, "mnt/f"));
	ASSERT_EQ(0, stat("mnt/f", &st));
	EXPECT_EQ(02755, st.st_mode & 07777);
}

TEST_F(attr, acls_are_kept_inherited_and_obeyed)
{
	ASSERT_EQ(0, run("cd l1 && mkdir -m 700 d && touch d/f gone && "
			 "chmod 600 d/f && setfacl -m u:%d:rwx d && "
			 "setfacl -d -m u:%d:rw d && setfacl -m u:%d:r d/f",
			 USER, USER, USER));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, as_user(USER, try_read, "mnt/d/f"));
	ASSERT_EQ(EACCES, as_user(USER, try_write, "mnt/d/f"));
	ASSERT_EQ(EACCES, as_user(USER + 1, try_read, "mnt/d/f"));
	/* Copied up. */
	ASSERT_EQ(0, add("mnt/d/f", "x"));
	ASSERT_EQ(0, run("getfacl -n up/d/f | grep -qx user:%d:r--", USER));
	ASSERT_EQ(0, as_user(USER, try_read, "mnt/d/f"));
	ASSERT_EQ(EACCES, as_user(USER, try_write, "mnt/d/f"));
	/* Inherited by what is new, beside a whiteout or not. */
	ASSERT_EQ(0, try_create("mnt/d/new"));
	ASSERT_EQ(0, unlink("mnt/d/f"));
	ASSERT_EQ(0, try_create("mnt/d/f"));
	ASSERT_EQ(0, run("getfacl -n mnt/d/new mnt/d/f | grep -cx "
			 "user:%d:rw- | grep -qx 2", USER));
	ASSERT_EQ(0, as_user(USER, try_append, "mnt/d/new"));
	/* Changed through the union. */
	ASSERT_EQ(0, run("setfacl -b mnt/d/new && chmod 600 mnt/d/new && "
			 "setfacl -m u:%d:r mnt/d/new", USER));
	ASSERT_EQ(EACCES, as_user(USER, try_append, "mnt/d/new"));
	ASSERT_EQ(0, run("! getfacl -n mnt/gone | grep -q user:%d", USER));
}

TEST_F(attr, xattrs_are_set_listed_and_removed)
{
	char list[256];

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, set_xattr("l1/f", "trusted.low", "1"));
	ASSERT_EQ(0, mount_union("up:l1"));
	FAILS(ENODATA, removexattr("mnt/f", "trusted.none"));
	ASSERT_FALSE(there("up/f"));
	FAILS(ENODATA, setxattr("mnt/f", "trusted.none", "x", 1,
				XATTR_REPLACE));
	ASSERT_EQ(0, set_xattr("mnt/f", "trusted.new", "22"));
	ASSERT_STREQ("22", get_xattr("mnt/f", "trusted.new"));
	ASSERT_STREQ("1", get_xattr("mnt/f", "trusted.low"));
	FAILS(EEXIST, setxattr("mnt/f", "trusted.new", "x", 1, XATTR_CREATE));
	ASSERT_LT(0, listxattr("mnt/f", list, sizeof(list)));
	ASSERT_EQ(0, removexattr("mnt/f", "trusted.low"));
	FAILS(ENODATA, getxattr("mnt/f", "trusted.low", NULL, 0));
	ASSERT_STREQ("1", get_xattr("l1/f", "trusted.low"));
	/* Of a directory and a link, too. */
	ASSERT_EQ(0, mkdir("mnt/d", 0755));
	ASSERT_EQ(0, symlink("nowhere", "mnt/s"));
	ASSERT_EQ(0, set_xattr("mnt/d", "trusted.d", "d"));
	ASSERT_EQ(0, set_xattr("mnt/s", "trusted.s", "s"));
	ASSERT_STREQ("d", get_xattr("up/d", "trusted.d"));
	ASSERT_STREQ("s", get_xattr("up/s", "trusted.s"));
}

TEST_F(attr, file_capabilities_come_along_and_go_with_a_write)
{
	ASSERT_EQ(0, run("cp /bin/true l1/f && setcap cap_net_raw+ep l1/f"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, chmod("mnt/f", 0750));
	ASSERT_EQ(0, run("getcap up/f | grep -q cap_net_raw"));
	ASSERT_EQ(0, add("mnt/f", "x"));
	ASSERT_EQ(0, run("! getcap up/f | grep -q cap_net_raw"));
	ASSERT_EQ(0, run("getcap l1/f | grep -q cap_net_raw"));
}

TEST_F(attr, locks_hold_over_a_copy_up)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int a, b;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	a = open("mnt/f", O_RDWR);
	b = open("mnt/f", O_RDWR);
	ASSERT_EQ(0, flock(a, LOCK_EX));
	FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	ASSERT_EQ(0, fcntl(a, F_OFD_SETLK, &lock));
	ASSERT_EQ(1, write(a, "y", 1));
	ASSERT_TRUE(there("up/f"));
	FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	FAILS(EAGAIN, fcntl(b, F_OFD_SETLK, &lock));
	close(b);
	b = open("mnt/f", O_RDWR);
	FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	close(a);
	ASSERT_EQ(0, flock(b, LOCK_EX | LOCK_NB));
}

TEST_F(attr, inotify_tells_what_happens_through_the_union)
{
	char buf[4096];
	unsigned int seen = 0;
	ssize_t len, at;
	int fd;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	fd = inotify_init1(IN_NONBLOCK);
	ASSERT_LE(0, inotify_add_watch(fd, "mnt", IN_ALL_EVENTS));
	ASSERT_EQ(0, add("mnt/f", "y"));
	ASSERT_EQ(0, put("mnt/g", "y"));
	ASSERT_EQ(0, rename("mnt/f", "mnt/h"));
	ASSERT_EQ(0, unlink("mnt/g"));
	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < len;) {
			struct inotify_event *ev = (void *)(buf + at);

			seen |= ev->mask;
			ASSERT_NE('#', ev->name[0]);
			ASSERT_NE('.', ev->name[0]);
			at += sizeof(*ev) + ev->len;
		}
	}
	ASSERT_EQ(IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO |
		  IN_DELETE | IN_OPEN | IN_CLOSE_WRITE,
		  seen & (IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO |
			  IN_DELETE | IN_OPEN | IN_CLOSE_WRITE));
}

TEST_F(attr, times_change_as_posix_says)
{
	struct stat before, after;

	ASSERT_EQ(0, run("mkdir l1/d && echo x >l1/d/f && "
			 "touch -d 2001-01-01 l1/d/f && touch -d 2001-01-01 l1/d"));
	ASSERT_EQ(0, mount_union("up:l1"));
	/* A copy is nobody's business: the directory has not changed. */
	ASSERT_EQ(0, chmod("mnt/d/f", 0600));
	ASSERT_EQ(0, stat("mnt/d", &after));
	ASSERT_EQ(0, stat("l1/d", &before));
	EXPECT_EQ(before.st_mtime, after.st_mtime);
	ASSERT_EQ(0, stat("mnt/d/f", &after));
	EXPECT_EQ(before.st_mtime, after.st_mtime);
	ASSERT_EQ(0, add("mnt/d/f", "x"));
	ASSERT_EQ(0, stat("mnt/d/f", &after));
	EXPECT_LT(before.st_mtime, after.st_mtime);
	ASSERT_EQ(0, unlink("mnt/d/f"));
	ASSERT_EQ(0, stat("mnt/d", &after));
	EXPECT_LT(before.st_mtime, after.st_mtime);
}

/* The first part of a directory is in up, what is changed is in l1. */
static const struct {
	const char *dirs[3];
	bool settable;
} times_layouts[] = {
	{ { "up=rw", "l1=rw" }, true },
	{ { "up=ro", "l1=rw" }, false },
	{ { "l2=rw", "up=ro", "l1=rw" }, true },
};

static const char * const times_changes[] = {
	"rm mnt/d/f", "rmdir mnt/d/sub", "mv mnt/d/f mnt/d/g",
	"mv mnt/d/f mnt/e/g", "mv mnt/e/f mnt/d/g", "ln mnt/d/f mnt/d/g",
	/* The first is made in the first branch, the next in the next. */
	"touch mnt/x mnt/d/g", "mkdir mnt/x mnt/d/g",
};

static int mount_layout(unsigned int layout)
{
	char options[1024] = "create=rr,dirs=";
	unsigned int i;

	for (i = 0; i < 3 && times_layouts[layout].dirs[i]; i++) {
		strcat(options, i ? ":" : "");
		strcat(options, here(times_layouts[layout].dirs[i]));
	}
	return mount_mica(options, "mnt");
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec ||
	       (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static bool same_times(const char *path, const struct stat *as)
{
	struct stat st;

	return !stat(path, &st) && !later(st.st_mtim, as->st_mtim) &&
	       !later(as->st_mtim, st.st_mtim) &&
	       !later(st.st_ctim, as->st_ctim) &&
	       !later(as->st_ctim, st.st_ctim);
}

static int start_layout(unsigned int layout)
{
	return run("find up l1 l2 -mindepth 1 -delete; "
		   "mkdir -p up/d up/e l1/d/sub l1/e && touch l1/d/f l1/e/f && "
		   "touch -d 2001-01-01 up/d up/e l1/d l1/e") ?:
	       mount_layout(layout);
}

/* What is shown stays, until somebody says otherwise. */
static int check_times_last(unsigned int layout)
{
	struct stat st;

	if (stat("mnt/d", &st) || drop_caches() || !same_times("mnt/d", &st) ||
	    umount("mnt") || mount_layout(layout) || !same_times("mnt/d", &st))
		return -1;
	if (!times_layouts[layout].settable)
		return umount("mnt");
	if (run("chmod 700 mnt/d") || stat("mnt/d", &st) ||
	    st.st_mtime < time(NULL) - 3600 ||
	    run("touch -d 1999-01-01 mnt/d") || drop_caches() ||
	    stat("mnt/d", &st) || st.st_mtime > 1000000000)
		return -1;
	return umount("mnt");
}

TEST_F(attr, times_of_a_merged_directory_change_with_any_part)
{
	unsigned int i, nr = ARRAY_SIZE(times_changes), layout, failed = 0;
	struct stat before, after;

	NOT_ON_OVERLAY("one writable branch only");
	for (i = 0; i < ARRAY_SIZE(times_layouts) * nr; i++) {
		layout = i / nr;
		ASSERT_EQ(0, start_layout(layout));
		ASSERT_EQ(0, stat("mnt/d", &before));
		usleep(20000);
		ASSERT_EQ(0, run("%s", times_changes[i % nr]));
		ASSERT_EQ(0, stat("mnt/d", &after));
		if (!later(after.st_mtim, before.st_mtim) ||
		    !later(after.st_ctim, before.st_ctim)) {
			TH_LOG("layout %u: %s", layout, times_changes[i % nr]);
			failed++;
			umount("mnt");
			continue;
		}
		ASSERT_EQ(0, check_times_last(layout)) {
			TH_LOG("layout %u: %s", layout, times_changes[i % nr]);
		}
	}
	EXPECT_EQ(0, failed);
}

#define TO_COPY 1500

static void copy_all(void)
{
	char name[32];
	int i;

	for (i = 0; i < TO_COPY; i++) {
		snprintf(name, sizeof(name), "mnt/d/%d", i);
		if (chmod(name, 0600))
			_exit(1);
	}
	_exit(0);
}

/* A name in mnt/d is made; is the directory's time as old as that, or older? */
static int make_and_look(int i)
{
	struct timespec now;
	struct stat st;
	char name[32];

	snprintf(name, sizeof(name), "mnt/d/new%d", i);
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (put(name, "") || stat("mnt/d", &st))
		return -1;
	return later(now, st.st_mtim);
}

TEST_F(attr, a_copy_up_does_not_undo_the_time_of_a_change)
{
	int i, ret, undone = 0, status;
	pid_t pid;

	NOT_ON_OVERLAY("it restores times in the same way");
	ASSERT_EQ(0, run("mkdir l1/d && cd l1/d && seq 0 %d | xargs touch",
			 TO_COPY - 1));
	ASSERT_EQ(0, mount_union_with("up:l1", "volatile"));
	ASSERT_EQ(0, run("touch mnt/d/first"));
	pid = fork();
	if (!pid)
		copy_all();
	for (i = 0; !waitpid(pid, &status, WNOHANG); i++) {
		ret = make_and_look(i);
		EXPECT_LE(0, ret);
		undone += ret;
		/* The next has another time. */
		usleep(10000);
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, undone) {
		TH_LOG("of %d changes", i);
	}
}

static bool was_read(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && st.st_atime > 1000;
}

/* So long ago that relatime counts the next access. */
static int forget_access(const char *path)
{
	static const struct timespec then[2] = {
		{ .tv_sec = 1000 }, { .tv_sec = 1000 },
	};

	return utimensat(AT_FDCWD, path, then, AT_SYMLINK_NOFOLLOW);
}

/* After its last change, which this is: relatime does not count the next access. */
static int read_ahead_of_time(const char *path)
{
	struct timespec times[2] = {
		{ .tv_sec = time(NULL) + 3600 }, { .tv_sec = 1000 },
	};

	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static bool is_ahead_of_time(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && st.st_atime > time(NULL) + 1800;
}

TEST_F(attr, access_times_change_as_posix_says)
{
	static const struct {
		const char *access;
		const char *path;
	} accesses[] = {
		{ "cat mnt/f", "f" }, { "ls mnt/d", "d" },
		{ "ls mnt/both", "both" }, { "readlink mnt/s", "s" },
		{ "cat mnt/s", "s" }, { "cat mnt/copy", "copy" },
		{ "grep -q . <mnt/f", "f" },
	};
	char name[32];
	unsigned int i;
	int fd;
	char c;

	DO(run("mkdir up/d up/both l1/both; ln -s f up/s; echo 1 >up/f; "
	       "echo 1 >l1/low; echo 1 >l1/copy; touch up/both/x l1/both/y"));
	DO(forget_access("l1/low"));
	DO(mount_union("up:l1"));
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		snprintf(name, sizeof(name), "mnt/%s", accesses[i].path);
		DO(forget_access(name));
		DO(run("%s >/dev/null", accesses[i].access));
		ASSERT_TRUE(was_read(name)) {
			TH_LOG("%s", accesses[i].access);
		}
		snprintf(name, sizeof(name), "up/%s", accesses[i].path);
		ASSERT_TRUE(was_read(name));
	}
	/* What cannot be written to stays as it is, and is not copied. */
	HAS("mnt/low", "1\n");
	ASSERT_FALSE(was_read("mnt/low"));
	ASSERT_FALSE(there("up/low"));
	/* Who does not want it, by descriptor, by file or by mount. */
	DO(forget_access("mnt/f"));
	fd = open("mnt/f", O_RDONLY | O_NOATIME);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, read(fd, &c, 1));
	DO(close(fd));
	ASSERT_FALSE(was_read("mnt/f"));
	if (!run("chattr +A mnt/f 2>/dev/null")) {
		HAS("mnt/f", "1\n");
		ASSERT_FALSE(was_read("mnt/f"));
		DO(run("chattr -A mnt/f"));
	}
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_BIND | MS_NOATIME, NULL));
	HAS("mnt/f", "1\n");
	ASSERT_FALSE(was_read("mnt/f"));
	DO(forget_access("mnt/d"));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_FALSE(was_read("up/d"));
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME,
		 NULL));
	HAS("mnt/f", "1\n");
	ASSERT_TRUE(was_read("mnt/f"));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_TRUE(was_read("up/d"));
	DO(read_ahead_of_time("mnt/f"));
	HAS("mnt/f", "1\n");
	ASSERT_TRUE(is_ahead_of_time("mnt/f"));
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_BIND | MS_STRICTATIME,
		 NULL));
	HAS("mnt/f", "1\n");
	ASSERT_FALSE(is_ahead_of_time("mnt/f"));
	/* That of the branch counts as well. */
	DO(umount("mnt"));
	DO(mount("up", "up", NULL, MS_BIND, NULL));
	DO(mount(NULL, "up", NULL, MS_REMOUNT | MS_BIND | MS_NOATIME, NULL));
	DO(mount_union("up:l1"));
	DO(forget_access("mnt/f"));
	HAS("mnt/f", "1\n");
	ASSERT_FALSE(was_read("mnt/f"));
	DO(umount("mnt"));
	DO(umount("up"));
}

TEST_F(attr, everything_is_on_one_device_of_type_mica)
{
	struct statfs fs;
	struct stat a, b;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, put("mnt/g", "x"));
	ASSERT_EQ(0, statfs("mnt", &fs));
	EXPECT_NE(0, fs.f_fsid.__val[0] | fs.f_fsid.__val[1]);
	EXPECT_EQ(0x6d696361, fs.f_type);
	EXPECT_EQ(255, fs.f_namelen);
	ASSERT_EQ(0, stat("mnt/f", &a));
	ASSERT_EQ(0, stat("mnt/g", &b));
	EXPECT_EQ(a.st_dev, b.st_dev);
	EXPECT_NE(a.st_ino, b.st_ino);
	ASSERT_EQ(0, run("test $(stat -f -c %%T mnt/ | wc -l) = 1"));
}

/* Each changes one thing of a lower file by its path. */
static int new_mode(const char *path)	{ return chmod(path, 0604); }
static int new_owner(const char *path)	{ return lchown(path, 7, -1); }
static int new_group(const char *path)	{ return lchown(path, -1, 9); }

static int new_times(const char *path)
{
	struct timespec times[2] = { { 5, 6 }, { 7, 8 } };

	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static const struct {
	int (*change)(const char *path);
	mode_t mode;
	uid_t uid;
	gid_t gid;
	time_t mtime;
} one_changes[] = {
	{ new_mode, 0604, 3, 4, 1000 },
	{ new_owner, 0640, 7, 4, 1000 },
	{ new_group, 0640, 3, 9, 1000 },
	{ new_times, 0640, 3, 4, 7 },
};

TEST_F(attr, one_attribute_is_changed_and_the_others_are_kept)
{
	static const char * const kinds[] = { "f", "d", "p" };
	unsigned int i, k;
	struct stat st;
	char path[32];

	ASSERT_EQ(0, run("cd l1 && echo x >f && mkdir d && mkfifo p && "
			 "chown 3:4 f d p && chmod 640 f d p && "
			 "setfattr -n trusted.x -v kept f && "
			 "setfattr -n trusted.x -v kept d && "
			 "touch -d @1000 f d p"));
	for (i = 0; i < ARRAY_SIZE(one_changes); i++) {
		ASSERT_EQ(0, mount_union("up:l1"));
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			snprintf(path, sizeof(path), "mnt/%s", kinds[k]);
			ASSERT_EQ(0, one_changes[i].change(path));
			ASSERT_EQ(0, lstat(path, &st));
			EXPECT_EQ(one_changes[i].mode, st.st_mode & 07777);
			EXPECT_EQ(one_changes[i].uid, st.st_uid);
			EXPECT_EQ(one_changes[i].gid, st.st_gid);
			EXPECT_EQ(one_changes[i].mtime, st.st_mtime) {
				TH_LOG("%s, change %u", path, i);
			}
		}
		HAS("mnt/f", "x\n");
		EXPECT_STREQ("kept", get_xattr("mnt/f", "trusted.x"));
		EXPECT_STREQ("kept", get_xattr("mnt/d", "trusted.x"));
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, run("rm -r up && mkdir up"));
	}
}

TEST_F(attr, user_and_security_xattrs_where_the_branch_has_them)
{
	char value[8] = "";

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, set_xattr("l1/f", "security.test", "low"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_STREQ("low", get_xattr("mnt/f", "security.test"));
	ASSERT_EQ(0, set_xattr("mnt/f", "security.new", "s"));
	ASSERT_STREQ("low", get_xattr("up/f", "security.test"));
	ASSERT_STREQ("s", get_xattr("up/f", "security.new"));
	if (set_xattr("l1", "user.try", "x")) {
		/* Then the union has none either. */
		ASSERT_EQ(EOPNOTSUPP, errno);
		FAILS(EOPNOTSUPP, set_xattr("mnt/f", "user.a", "1"));
		return;
	}
	ASSERT_EQ(0, set_xattr("mnt/f", "user.a", "12345"));
	ASSERT_STREQ("12345", get_xattr("up/f", "user.a"));
	ASSERT_EQ(5, getxattr("mnt/f", "user.a", NULL, 0));
	FAILS(ERANGE, getxattr("mnt/f", "user.a", value, 2));
	FAILS(ERANGE, listxattr("mnt/f", value, 2));
	ASSERT_EQ(0, symlink("f", "mnt/s"));
	FAILS(EPERM, set_xattr("mnt/s", "user.a", "1"));
}

static int lists_trusted(void *path)
{
	char list[512];
	ssize_t len = listxattr(path, list, sizeof(list)), at;

	for (at = 0; at < len; at += strlen(list + at) + 1)
		if (!strncmp(list + at, "trusted.", 8))
			return 1;
	return len < 0 ? 2 : 0;
}

TEST_F(attr, the_formats_own_xattrs_are_hidden)
{
	char list[512];
	ssize_t len, at;

	NOT_ON_OVERLAY("other errors");
	ASSERT_EQ(0, mkdir("l1/d", 0755));
	ASSERT_EQ(0, set_xattr("l1/d", "trusted.overlay.opaque", "y"));
	ASSERT_EQ(0, set_xattr("l1/d", "trusted.mine", "m"));
	ASSERT_EQ(0, mount_union("up:l1"));
	FAILS(ENODATA, getxattr("mnt/d", "trusted.overlay.opaque", NULL, 0));
	FAILS(ENODATA, removexattr("mnt/d", "trusted.overlay.opaque"));
	len = listxattr("mnt/d", list, sizeof(list));
	ASSERT_LT(0, len);
	for (at = 0; at < len; at += strlen(list + at) + 1)
		ASSERT_EQ(NULL, strstr(list + at, "overlay"));
	/* A copy of the directory is not opaque only because this one is. */
	ASSERT_EQ(0, put("mnt/d/new", ""));
	ASSERT_STREQ("m", get_xattr("up/d", "trusted.mine"));
	ASSERT_STREQ("(No data available)",
		     get_xattr("up/d", "trusted.overlay.opaque"));
	/* Nor is anything of root's listed to others. */
	ASSERT_EQ(1, lists_trusted("mnt/d"));
	ASSERT_EQ(0, as_user(USER, lists_trusted, "mnt/d"));
}

static bool lists(const char *path, const char *name)
{
	char list[512];
	ssize_t len = listxattr(path, list, sizeof(list)), at;

	for (at = 0; at < len; at += strlen(list + at) + 1)
		if (!strcmp(name, list + at))
			return true;
	return false;
}

/* As overlayfs or a union has them whose layers are in this one. */
TEST_F(attr, xattrs_called_like_the_formats_own_can_be_set_and_are_stored_apart)
{
	static const char name[] = "trusted.overlay.opaque";
	static const char below[] = "trusted.overlay.overlay.opaque";
	char longest[257] = "trusted.overlay.";

	NOT_ON_OVERLAY("only from Linux 6.7 on");
	DO(run("mkdir l1/d l1/low && touch l1/d/f"));
	DO(set_xattr("l1/low", below, "y"));
	DO(mount_union("up:l1"));
	ASSERT_STREQ("y", get_xattr("mnt/low", name));
	ASSERT_TRUE(lists("mnt/low", name));
	ASSERT_FALSE(lists("mnt/low", below));

	DO(set_xattr("mnt/d", name, "y"));
	ASSERT_STREQ("f", ls("mnt/d"));
	ASSERT_STREQ("y", get_xattr("up/d", below));
	ASSERT_STREQ("(No data available)", get_xattr("up/d", name));
	DO(set_xattr("mnt/d/f", "trusted.overlay.overlay.x", "twice"));
	ASSERT_STREQ("twice", get_xattr("up/d/f", "trusted.overlay.overlay.overlay.x"));

	/* A change copies it, with the name that it has there. */
	DO(chmod("mnt/low", 0700));
	ASSERT_STREQ("y", get_xattr("up/low", below));
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	ASSERT_STREQ("f", ls("mnt/d"));
	ASSERT_STREQ("y", get_xattr("mnt/d", name));
	ASSERT_STREQ("y", get_xattr("mnt/low", name));
	ASSERT_STREQ("twice", get_xattr("mnt/d/f", "trusted.overlay.overlay.x"));
	DO(removexattr("mnt/d", name));
	FAILS(ENODATA, getxattr("mnt/d", name, NULL, 0));
	ASSERT_FALSE(lists("mnt/d", name));
	FAILS(ENODATA, getxattr("up/d", below, NULL, 0));

	memset(longest + strlen(longest), 'n', 255 - strlen(longest));
	FAILS(ERANGE, set_xattr("mnt/d", longest, "y"));
	FAILS(ERANGE, getxattr("mnt/d", longest, NULL, 0));
	longest[255 - 8] = '\0';
	DO(set_xattr("mnt/d", longest, "y"));
	ASSERT_STREQ("y", get_xattr("mnt/d", longest));
	ASSERT_TRUE(lists("mnt/d", longest));
}

TEST_F(attr, layers_that_are_in_a_union_keep_their_marks)
{
	NOT_ON_OVERLAY("only from Linux 6.7 on");
	DO(mount_union("up:l1"));
	DO(run("mkdir -p mnt/a/d mnt/b/d mnt/inner && touch mnt/a/d/f mnt/b/d/hidden"));
	DO(set_xattr("mnt/a/d", "trusted.overlay.opaque", "y"));
	DO(run("mount -t mica -o dirs=mnt/a=ro:mnt/b=ro none mnt/inner"));
	ASSERT_STREQ("f", ls("mnt/inner/d"));
	DO(umount("mnt/inner"));
}

TEST_F(attr, link_counts_follow_what_the_union_did)
{
	struct stat st;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, link("mnt/f", "mnt/g"));
	ASSERT_EQ(0, stat("mnt/f", &st));
	EXPECT_EQ(2, st.st_nlink);
	ASSERT_EQ(0, rename("mnt/g", "mnt/h"));
	ASSERT_EQ(0, stat("mnt/h", &st));
	EXPECT_EQ(2, st.st_nlink);
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_EQ(0, stat("mnt/h", &st));
	EXPECT_EQ(1, st.st_nlink);
	ASSERT_EQ(0, mkdir("mnt/d", 0755));
	ASSERT_EQ(0, mkdir("mnt/d/sub", 0755));
	ASSERT_EQ(0, stat("mnt/d", &st));
	EXPECT_EQ(3, st.st_nlink);
}

TEST_F(attr, fsync_of_everything)
{
	static const char * const paths[] = {
		"mnt", "mnt/low", "mnt/low/f", "mnt/new", "mnt/new/f",
	};
	unsigned int i;
	int fd;

	ASSERT_EQ(0, run("mkdir l1/low && touch l1/low/f"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, run("mkdir mnt/new && touch mnt/new/f"));
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		fd = open(paths[i], O_RDONLY);
		EXPECT_EQ(0, fsync(fd));
		EXPECT_EQ(0, fdatasync(fd));
		EXPECT_EQ(0, syncfs(fd));
		close(fd);
	}
}

/* A lock of another process; errno if it is held already. */
static int try_lock(void *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 10, .l_len = 5 };
	int fd = open(path, O_RDWR);

	return fcntl(fd, F_SETLK, &lock) ? errno : 0;
}

TEST_F(attr, posix_locks_are_seen_by_other_processes)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 12, .l_len = 1 };
	int fd;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, chmod("l1/f", 0666));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, as_user(USER, try_lock, "mnt/f"));
	fd = open("mnt/f", O_RDWR);
	ASSERT_EQ(0, fcntl(fd, F_SETLK, &lock));
	ASSERT_EQ(EAGAIN, as_user(USER, try_lock, "mnt/f"));
	ASSERT_EQ(1, write(fd, "y", 1));
	ASSERT_EQ(EAGAIN, as_user(USER, try_lock, "mnt/f"));
	lock.l_type = F_UNLCK;
	ASSERT_EQ(0, fcntl(fd, F_SETLK, &lock));
	ASSERT_EQ(0, as_user(USER, try_lock, "mnt/f"));
}

TEST_HARNESS_MAIN
