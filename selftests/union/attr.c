// SPDX-License-Identifier: GPL-2.0-only
/* Attributes, extended attributes, ACLs, and who may do what. */
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include "kselftest_harness.h"
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

TEST_HARNESS_MAIN
