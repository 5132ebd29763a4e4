// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unions mounted inside a user namespace, whose root is user 1000 outside; its
 * users from 1 on are outside those from 100000 on.
 */
#include <grp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include "../lib/harness.h"
#include "util.h"

#define OWNER 1000
#define ID_MAP "0 1000 1\n1 100000 1000\n"

/* The process outside: a byte on @to_outside lets it go on. */
static int to_outside, from_outside;
static pid_t outside;

static int tell(int fd, char c)
{
	return write(fd, &c, 1) == 1 ? 0 : -1;
}

static int hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? c : -1;
}

static int write_map(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return put(path, ID_MAP);
}

/*
 * Stays outside, as root: makes the id maps of @pid, then does @fn, with the
 * mounts of @pid, for each byte that it gets.
 */
static void stay_outside(pid_t pid, int in, int out, int (*fn)(int arg))
{
	char path[64];
	int c, ns;

	if (hear(in) < 0 || write_map(pid, "uid_map") ||
	    write_map(pid, "gid_map"))
		_exit(1);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	ns = open(path, O_RDONLY);
	if (ns < 0 || tell(out, 0))
		_exit(1);
	while ((c = hear(in)) >= 0)
		if (setns(ns, CLONE_NEWNS) || chdir(here("")) ||
		    tell(out, fn ? fn(c) : 0))
			_exit(1);
	_exit(0);
}

static int enter_with(int (*fn)(int arg))
{
	pid_t self = getpid();
	int in[2], out[2];

	fflush(NULL);
	if (pipe(in) || pipe(out))
		return -1;
	outside = fork();
	if (!outside) {
		close(in[1]);
		close(out[0]);
		stay_outside(self, in[0], out[1], fn);
	}
	close(in[0]);
	close(out[1]);
	to_outside = in[1];
	from_outside = out[0];
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || tell(to_outside, 0) ||
	    hear(from_outside) || setresgid(0, 0, 0) || setgroups(0, NULL) ||
	    setresuid(0, 0, 0))
		return -1;
	return chdir(here(""));
}

static int enter(void)
{
	return enter_with(NULL);
}

static int ask_outside(int c)
{
	return tell(to_outside, c) ? -1 : hear(from_outside);
}

/* A layer is made outside, or in a tmpfs of the namespace; in which form. */
FIXTURE(userns) {
	bool user_xattrs;
};

FIXTURE_VARIANT(userns) {
	const char *fs;
	bool inside;
	bool overlay;
};

FIXTURE_VARIANT_ADD(userns, ext4_dot) { .fs = "ext4" };
FIXTURE_VARIANT_ADD(userns, ext4_overlay) { .fs = "ext4", .overlay = true };
FIXTURE_VARIANT_ADD(userns, tmpfs_dot) { .fs = "tmpfs", .inside = true };
FIXTURE_VARIANT_ADD(userns, tmpfs_overlay) {
	.fs = "tmpfs", .inside = true, .overlay = true
};

FIXTURE_SETUP(userns)
{
	if (on_overlay)
		SKIP(return, "overlayfs: its options are others");
	DO(fresh(variant->fs));
	DO(run("chown -R %d:%d .", OWNER, OWNER));
	DO(enter());
	if (variant->inside) {
		DO(mount("t", here(""), "tmpfs", 0, "mode=0755"));
		DO(chdir(here("")));
		DO(run("mkdir up l1 l2 l3 work mnt"));
	}
	self->user_xattrs = !set_xattr("l3", "user.x", "1");
}

FIXTURE_TEARDOWN(userns)
{
	EXPECT_EQ(0, leave());
}

static int mount_overlay_form(const char *type, const char *more)
{
	char options[4 * PATH_MAX];

	snprintf(options, sizeof(options),
		 "lowerdir=%s:%s,upperdir=%s,workdir=%s%s", here("l1"),
		 here("l2"), here("up"), here("work"), more);
	return mount("none", here("mnt"), type, 0, options);
}

static int mount_variant(bool overlay)
{
	return overlay ? mount_overlay_form("mica", "") :
			 mount_union("up:l1:l2");
}

/* Nothing else can hold a mark there. */
#define NEEDS_USER_XATTRS()						\
	do {								\
		if (!self->user_xattrs)					\
			SKIP(return, "this tmpfs has no user.* xattrs");	\
	} while (0)

/* Where the form cannot be written, it is refused at once. */
#define MOUNT()								\
	do {								\
		if (variant->overlay && !self->user_xattrs) {		\
			FAILS(EINVAL, mount_variant(true));		\
			return;						\
		}							\
		DO(mount_variant(variant->overlay));			\
	} while (0)

static int base(void)
{
	return mkdir("l1/d", 0755) || put("l1/d/a", "a1") ||
	       mkdir("l2/d", 0755) || put("l2/d/b", "b2") ||
	       put("l1/f", "f1") || put("l1/g", "g1") || put("l2/h", "h2") ||
	       mkdir("l2/gone", 0755) || put("l2/gone/x", "x2") ||
	       chown("l1/g", 5, 6) || symlink("f", "l1/link");
}

/* What is there after change(). */
static bool changed(void)
{
	struct stat st;

	return !strcmp(ls("mnt"), "d f gone h2 link new") &&
	       !strcmp(ls("mnt/d"), "a b c") &&
	       !strcmp(ls("mnt/gone"), "y") &&
	       !strcmp(content("mnt/f"), "f1 and more") &&
	       !strcmp(content("mnt/h2"), "h2") &&
	       !strcmp(content("mnt/d/b"), "b2") &&
	       mode_of("mnt/d/b") == (S_IFREG | 0600) &&
	       !strcmp(content("mnt/new"), "new") &&
	       !stat("mnt/d/a", &st) && st.st_uid == 7 && st.st_gid == 8;
}

static int change(void)
{
	return add("mnt/f", " and more") || unlink("mnt/g") ||
	       rename("mnt/h", "mnt/h2") || put("mnt/new", "new") ||
	       chmod("mnt/d/b", 0600) || chown("mnt/d/a", 7, 8) ||
	       mkdir("mnt/d/c", 0755) || unlink("mnt/gone/x") ||
	       rmdir("mnt/gone") || mkdir("mnt/gone", 0755) ||
	       put("mnt/gone/y", "y") || lchown("mnt/link", 3, 4);
}

TEST_F(userns, names_and_attributes_change)
{
	struct stat st;

	DO(base());
	MOUNT();
	ASSERT_STREQ("d f g gone h link", ls("mnt"));
	DO(change());
	ASSERT_TRUE(changed());
	DO(umount("mnt"));
	ASSERT_STREQ("f1", content("l1/f"));
	DO(lstat("up/link", &st));
	ASSERT_EQ(3, st.st_uid);
	ASSERT_TRUE(whited_out("up", "g"));
	ASSERT_TRUE(variant->overlay ?
		    !strcmp("y", get_xattr("up/gone", "user.overlay.opaque")) :
		    there("up/gone/.wh..wh..opq"));
	DO(mount_variant(variant->overlay));
	ASSERT_TRUE(changed());
}

TEST_F(userns, it_says_that_it_is_one)
{
	char line[65536];
	bool found = false;
	FILE *f;

	MOUNT();
	f = fopen("/proc/self/mountinfo", "r");
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " - mica ") && strstr(line, ",userxattr"))
			found = true;
	fclose(f);
	ASSERT_TRUE(found);
}

TEST_F(userns, what_follows_marks_elsewhere_is_refused)
{
	FAILS(EINVAL, mount_union_with("up:l1", "redirect_dir=on"));
	FAILS(EINVAL, mount_union_with("up:l1", "metacopy=on"));
	DO(mount_union_with("up:l1",
			    "userxattr,redirect_dir=off,metacopy=off"));
}

TEST_F(userns, a_directory_with_parts_below_is_not_renamed)
{
	DO(base());
	MOUNT();
	FAILS(EXDEV, rename("mnt/d", "mnt/e"));
	DO(run("mv mnt/d mnt/e"));
	ASSERT_STREQ("a b", ls("mnt/e"));
	ASSERT_FALSE(there("mnt/d"));
}

TEST_F(userns, attributes_are_those_of_the_user)
{
	MOUNT();
	NEEDS_USER_XATTRS();
	DO(put("l1/f", "f"));
	DO(set_xattr("l1/f", "user.low", "1"));
	DO(set_xattr("l1/f", "user.overlay.x", "y"));
	FAILS(ENODATA, getxattr("mnt/f", "user.overlay.x", NULL, 0));
	DO(set_xattr("mnt/f", "user.new", "2"));
	ASSERT_STREQ("1", get_xattr("mnt/f", "user.low"));
	ASSERT_STREQ("1", get_xattr("up/f", "user.low"));
	ASSERT_STREQ("2", get_xattr("up/f", "user.new"));
	FAILS(EPERM, set_xattr("mnt/f", "trusted.x", "1"));
	DO(set_xattr("mnt/f", "user.overlay.opaque", "z"));
	ASSERT_STREQ("z", get_xattr("mnt/f", "user.overlay.opaque"));
	ASSERT_STREQ("z", get_xattr("up/f", "user.overlay.overlay.opaque"));
}

TEST_F(userns, acls_name_the_users_of_the_namespace)
{
	DO(put("l1/f", "f"));
	DO(run("setfacl -m u:5:rw,g:9:r l1/f"));
	MOUNT();
	DO(chmod("mnt/f", 0660));
	DO(run("setfacl -m u:6:r mnt/f && getfacl -n mnt/f >acl && "
	       "grep -qx user:5:rw- acl && grep -qx user:6:r-- acl && "
	       "grep -qx group:9:r-- acl && getfacl -n up/f >acl && "
	       "grep -qx user:5:rw- acl && grep -qx user:6:r-- acl"));
}

TEST_F(userns, marks_of_users_hide_but_lead_nowhere)
{
	NEEDS_USER_XATTRS();
	DO(base());
	DO(set_xattr("l1/d", "user.overlay.opaque", "y"));
	DO(put("l1/h", ""));
	DO(set_xattr("l1/h", "user.overlay.whiteout", "y"));
	DO(mkdir("l1/gone", 0755));
	DO(set_xattr("l1/gone", "user.overlay.redirect", "/d"));
	DO(set_xattr("l1/f", "user.overlay.metacopy", ""));
	DO(set_xattr("l1/g", "user.overlay.origin", "x"));
	MOUNT();
	ASSERT_STREQ("a", ls("mnt/d"));
	FAILS(ENOENT, access("mnt/h", F_OK));
	FAILS(EIO, access("mnt/gone/b", F_OK));
	FAILS(EIO, open("mnt/f", O_RDONLY));
	FAILS(EIO, chmod("mnt/f", 0600));
	HAS("mnt/g", "g1");
	DO(chmod("mnt/g", 0600));
	FAILS(ENODATA, getxattr("up/g", "user.overlay.origin", NULL, 0));
}

TEST_F(userns, overlayfs_and_mica_read_each_other)
{
	if (!variant->overlay)
		SKIP(return, "overlayfs reads its own form only");
	NEEDS_USER_XATTRS();
	DO(base());
	MOUNT();
	DO(change());
	DO(umount("mnt"));
	DO(mount_overlay_form("overlay", ",userxattr"));
	ASSERT_TRUE(changed());
	DO(unlink("mnt/new"));
	DO(put("mnt/new", "new"));
	DO(run("rm -r mnt/gone && mkdir mnt/gone && echo -n y >mnt/gone/y"));
	DO(unlink("mnt/h2"));
	DO(umount("mnt"));
	DO(mount_variant(true));
	ASSERT_FALSE(there("mnt/h2"));
	ASSERT_FALSE(there("mnt/h"));
	ASSERT_STREQ("d f gone link new", ls("mnt"));
	ASSERT_STREQ("y", ls("mnt/gone"));
	HAS("mnt/f", "f1 and more");
}

/* What root has made outside, and what is the user's. */
UNION_FIXTURE(userns_of);

static int mine(const char *path)
{
	return lchown(path, OWNER, OWNER);
}

/* up, work and mnt are the user's, the layers root's. */
static int give(void)
{
	return mine("up") || mine("work") || mine("mnt");
}

/* A mark of root's means nothing, as the user might not even see it. */
TEST_F(userns_of, marks_of_root_are_not_read)
{
	char list[1024];
	ssize_t len;

	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(base());
	DO(set_xattr("l1/d", "trusted.overlay.opaque", "y"));
	DO(mkdir("l1/gone", 0755));
	DO(set_xattr("l1/gone", "trusted.overlay.redirect", "/d"));
	DO(enter());
	DO(mount_union("up:l1:l2"));
	ASSERT_STREQ("a b", ls("mnt/d"));
	ASSERT_STREQ("x", ls("mnt/gone"));
	len = listxattr("mnt/d", list, sizeof(list));
	ASSERT_EQ(NULL, memmem(list, len > 0 ? len : 0, "trusted", 7));
}

TEST_F(userns_of, what_belongs_to_nobody_in_it_stays_closed)
{
	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(run("mkdir -m 700 l1/secret && echo x >l1/secret/f && "
	       "mkdir up/secret && chown %d up/secret && "
	       "echo x >l1/shadow && chmod 600 l1/shadow", OWNER));
	DO(put("l1/open", "x"));
	DO(chmod("l1/open", 0666));
	DO(enter());
	DO(mount_union("up:l1"));
	/* The user's directory of that name opens nothing beneath. */
	ASSERT_STREQ("Permission denied", ls("mnt/secret"));
	FAILS(EACCES, access("mnt/secret/f", F_OK));
	FAILS(EACCES, open("mnt/shadow", O_RDONLY));
	FAILS(EACCES, open("mnt/shadow", O_RDWR));
	FAILS(EPERM, chmod("mnt/shadow", 0666));
	FAILS(EPERM, chown("mnt/open", 0, 0));
	/* Who may write to it would have to make a file of root's. */
	FAILS(EOVERFLOW, add("mnt/open", "y"));
	FAILS(EOVERFLOW, truncate("mnt/open", 0));
	FAILS(EOVERFLOW, rename("mnt/open", "mnt/other"));
	HAS("mnt/open", "x");
	ASSERT_STREQ("secret", ls("up"));
	DO(unlink("mnt/open"));
	FAILS(ENOENT, access("mnt/open", F_OK));
}

TEST_F(userns_of, no_device_nor_set_user_id_comes_of_it)
{
	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(mknod("l1/null", S_IFCHR | 0666, makedev(1, 3)));
	DO(chmod("l1/null", 0666));
	DO(run("cp /usr/bin/id l1/id && chmod 4755 l1/id"));
	DO(enter());
	DO(mount_union("up:l1"));
	FAILS(EACCES, open("mnt/null", O_RDONLY));
	FAILS(EPERM, mknod("mnt/zero", S_IFCHR | 0666, makedev(1, 5)));
	FAILS(EOVERFLOW, rename("mnt/id", "mnt/id2"));
	FAILS(EOVERFLOW, rename("mnt/null", "mnt/null2"));
	/* It runs, as who called it. */
	DO(run("test $(setpriv --reuid 4 --clear-groups mnt/id -u) = 4"));
	ASSERT_STREQ("", ls("up"));
}

TEST_F(userns_of, capabilities_of_another_namespace_are_none)
{
	struct vfs_ns_cap_data other = {
		.magic_etc = VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1 << CAP_NET_RAW,
		.rootid = 5000,
	};
	struct vfs_cap_data cap = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1 << CAP_NET_RAW,
	};

	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(run("cp /bin/true l1/true && chown %d l1/true", OWNER));
	DO(setxattr("l1/true", "security.capability", &other, sizeof(other),
		    0));
	DO(enter());
	DO(mount_union("up:l1"));
	DO(run("mnt/true"));
	FAILS(ENODATA, getxattr("mnt/true", "security.capability", NULL, 0));
	/* Its own it may give. */
	DO(put("mnt/own", "x"));
	DO(setxattr("mnt/own", "security.capability", &cap, sizeof(cap), 0));
	ASSERT_EQ(sizeof(cap), getxattr("mnt/own", "security.capability",
					NULL, 0));
	DO(add("mnt/own", "y"));
	FAILS(ENODATA, getxattr("mnt/own", "security.capability", NULL, 0));
}

TEST_F(userns_of, a_branch_of_others_is_not_taken)
{
	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(enter());
	FAILS(EACCES, mount_union("l3:l1"));
	ASSERT_STREQ("", ls("l3"));
}

/* From outside, in the mounts of the namespace. */
static int at_outside(int c)
{
	int pidfd, fd, err = 0;

	if (c == 'm')
		return mkdir("mnt/root", 0755) ? errno : 0;
	if (c == 'r')
		return strcmp(content("mnt/f"), "f1") ? EIO : 0;
	pidfd = syscall(SYS_pidfd_open, getppid(), 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, c, 0);
	if (fd < 0 || syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, "dirs+ro",
			      here("l1"), 0) ||
	    syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		err = errno;
	return err;
}

TEST_F(userns_of, root_outside_makes_nothing_that_nobody_could_own)
{
	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(put("l1/f", "f1"));
	DO(enter_with(at_outside));
	DO(mount_union("up:l1"));
	ASSERT_EQ(EOVERFLOW, ask_outside('m'));
	ASSERT_EQ(0, ask_outside('r'));
	ASSERT_STREQ("f", ls("mnt"));
}

TEST_F(userns_of, a_mount_begun_inside_is_not_made_outside)
{
	int fd;

	NOT_ON_OVERLAY("its options are others");
	DO(give());
	DO(enter_with(at_outside));
	fd = syscall(SYS_fsopen, "mica", 0);
	ASSERT_GT(fd, 0);
	ASSERT_EQ(EPERM, ask_outside(fd));
	close(fd);
}

TEST_F(userns_of, outside_of_one_such_marks_are_data)
{
	NOT_ON_OVERLAY("its options are others");
	if (set_xattr("l3", "user.x", "1"))
		SKIP(return, "this tmpfs has no user.* xattrs");
	DO(base());
	DO(set_xattr("l1/d", "user.overlay.opaque", "y"));
	DO(set_xattr("l1/f", "user.overlay.metacopy", ""));
	FAILS(EINVAL, mount_union_with("up:l1:l2", "userxattr"));
	DO(mount_union("up:l1:l2"));
	ASSERT_STREQ("a b", ls("mnt/d"));
	HAS("mnt/f", "f1");
	ASSERT_STREQ("y", get_xattr("mnt/d", "user.overlay.opaque"));
	DO(set_xattr("mnt/f", "user.overlay.redirect", "/g"));
	DO(add("mnt/f", "+"));
	HAS("mnt/f", "f1+");
	ASSERT_STREQ("/g", get_xattr("up/f", "user.overlay.redirect"));
	ASSERT_STREQ("", get_xattr("up/f", "user.overlay.metacopy"));
}

TEST_HARNESS_MAIN
