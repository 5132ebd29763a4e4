// SPDX-License-Identifier: GPL-2.0-only
/* Kinds of branches, files and options that are refused, each by name. */
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "../lib/harness.h"
#include "util.h"

FIXTURE(refused) {};

FIXTURE_SETUP(refused)
{
	DO(fresh("tmpfs"));
}

FIXTURE_TEARDOWN(refused)
{
	EXPECT_EQ(0, leave());
}

/* A disk with such a feature, at disk; in it the directories rw and low. */
static int make_disk(const char *feature)
{
	return run("mkdir disk && truncate -s 24M image && "
		   "mkfs.ext4 -q -b 4096 -O %s image && mount -o loop image disk && "
		   "mkdir disk/rw disk/low", feature);
}

/* What the mount context says after a failure; options are "a=b,c=d". */
static const char *reason(const char *options)
{
	static char text[4096];
	char list[1024], *rest = list, *key, *value;
	int fd = syscall(__NR_fsopen, "mica", 0), err = 0;
	ssize_t len;

	snprintf(list, sizeof(list), "%s", options);
	while (!err && (key = strsep(&rest, ","))) {
		value = key;
		key = strsep(&value, "=");
		err = syscall(__NR_fsconfig, fd, FSCONFIG_SET_STRING, key,
			      value, 0);
	}
	err = err ?: syscall(__NR_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL,
			     0);
	text[0] = 0;
	len = err ? read(fd, text, sizeof(text) - 1) : 0;
	text[len > 0 ? len : 0] = 0;
	close(fd);
	return err ? text : "(mounted)";
}

/* Refused, for this reason, and nothing is mounted. */
#define REFUSED(options, what)						\
	do {								\
		FAILS(EINVAL, mount_mica(options, "mnt"));		\
		ASSERT_NE(NULL, strstr(reason(options), what)) {	\
			TH_LOG("%s: \"%s\"", options, reason(options));	\
		}							\
	} while (0)

TEST_F(refused, casefolded_directories)
{
	NOT_ON_OVERLAY("other words");
	ASSERT_EQ(0, make_disk("casefold"));
	ASSERT_EQ(0, run("mkdir disk/folded disk/low/d disk/low/plain disk/rw/e "
			 "&& chattr +F disk/folded disk/low/d && "
			 "touch disk/low/d/f disk/low/plain/f"));
	/* They are what they are said to be. */
	ASSERT_TRUE(there("disk/low/d/F"));
	ASSERT_FALSE(there("disk/low/plain/F"));
	REFUSED("dirs=up=rw:disk/folded=ro", "casefolded");
	REFUSED("dirs=disk/folded=rw:l1=ro", "casefolded");
	REFUSED("lowerdir=disk/folded,upperdir=up,workdir=work", "casefolded");

	/* Others on the same file system are fine. */
	ASSERT_EQ(0, mount_mica("dirs=disk/rw=rw:disk/low=ro", "mnt"));
	ASSERT_STREQ("d e plain", ls("mnt"));
	HAS("mnt/plain/f", "");
	ASSERT_FALSE(there("mnt/plain/F"));
	ASSERT_EQ(0, add("mnt/plain/f", "x"));
	FAILS(EOPNOTSUPP, access("mnt/d", F_OK));
	FAILS(EOPNOTSUPP, access("mnt/d/f", F_OK));
	FAILS(EOPNOTSUPP, rename("mnt/d", "mnt/other"));
	FAILS(EOPNOTSUPP, rmdir("mnt/d"));
	FAILS(EOPNOTSUPP, mkdir("mnt/d", 0755));
	/* Nor does one become one. */
	ASSERT_EQ(0, run("! chattr +F mnt/e 2>/dev/null"));
	ASSERT_EQ(0, run("mkdir mnt/new && ! chattr +F mnt/new 2>/dev/null"));
	ASSERT_EQ(0, run("chattr +A mnt/new && chattr -A mnt/new"));
	ASSERT_EQ(0, put("mnt/new/a", "a") ?: put("mnt/new/A", "A"));
	ASSERT_STREQ("A a", ls("mnt/new"));
	ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
}

static int encrypt(const char *path)
{
	struct {
		struct fscrypt_add_key_arg arg;
		__u8 raw[FSCRYPT_MAX_KEY_SIZE];
	} key = {
		.arg.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
		.arg.raw_size = FSCRYPT_MAX_KEY_SIZE,
		.raw = "this is a key, and nobody knows it",
	};
	struct fscrypt_policy_v2 policy = {
		.version = FSCRYPT_POLICY_V2,
		.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
		.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
		.flags = FSCRYPT_POLICY_FLAGS_PAD_32,
	};
	int fd = open(path, O_RDONLY), err;

	err = ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, &key);
	memcpy(policy.master_key_identifier,
	       key.arg.key_spec.u.identifier, FSCRYPT_KEY_IDENTIFIER_SIZE);
	err = err ?: ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, &policy);
	close(fd);
	return err;
}

TEST_F(refused, encrypted_directories)
{
	NOT_ON_OVERLAY("other words");
	ASSERT_EQ(0, make_disk("encrypt"));
	ASSERT_EQ(0, mkdir("disk/secret", 0755) ?: mkdir("disk/low/d", 0755));
	ASSERT_EQ(0, encrypt("disk/secret") ?: encrypt("disk/low/d")) {
		TH_LOG("%s", strerror(errno));
	}
	ASSERT_EQ(0, put("disk/low/d/f", "x") ?: put("disk/low/g", "g"));
	REFUSED("dirs=up=rw:disk/secret=ro", "encrypted");
	REFUSED("dirs=disk/secret=rw:l1=ro", "encrypted");

	ASSERT_EQ(0, mount_mica("dirs=disk/rw=rw:disk/low=ro", "mnt"));
	ASSERT_STREQ("d g", ls("mnt"));
	ASSERT_EQ(0, add("mnt/g", "x"));
	FAILS(EOPNOTSUPP, access("mnt/d/f", F_OK));
	FAILS(EOPNOTSUPP, rmdir("mnt/d"));
	ASSERT_EQ(0, mkdir("mnt/new", 0755));
	FAILS(ENOTTY, encrypt("mnt/new"));
	ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
}

static int protect(const char *path)
{
	struct fsverity_enable_arg arg = {
		.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = 4096,
	};
	int fd = open(path, O_RDONLY), err;

	err = ioctl(fd, FS_IOC_ENABLE_VERITY, &arg);
	close(fd);
	return err;
}

/* The file is read with its protection; a copy has none. */
TEST_F(refused, verity)
{
	NOT_ON_OVERLAY("other words");
	ASSERT_EQ(0, make_disk("verity"));
	ASSERT_EQ(0, fill("disk/low/f", 20000, 1) ?:
		     fill("disk/low/g", 20000, 2) ?:
		     fill("disk/rw/own", 20000, 3));
	ASSERT_EQ(0, protect("disk/low/f") ?: protect("disk/low/g") ?:
		     protect("disk/rw/own")) {
		TH_LOG("%s", strerror(errno));
	}
	FAILS(EPERM, open("disk/low/f", O_RDWR));
	ASSERT_EQ(0, mount_mica("dirs=disk/rw=rw:disk/low=ro", "mnt"));
	EXPECT_EQ(0, filled("mnt/f", 20000, 1));
	ASSERT_EQ(0, chmod("mnt/g", 0600));
	EXPECT_EQ(0, filled("mnt/g", 20000, 2));
	ASSERT_EQ(0, add("mnt/f", "x") ?: truncate("mnt/f", 20000));
	EXPECT_EQ(0, filled("mnt/f", 20000, 1));
	EXPECT_EQ(0, filled("disk/low/f", 20000, 1));
	ASSERT_EQ(0, truncate("mnt/g", 10));
	/* Where nothing is copied, it holds. */
	FAILS(EPERM, open("mnt/own", O_RDWR));
	FAILS(EPERM, truncate("mnt/own", 0));
	EXPECT_EQ(0, filled("mnt/own", 20000, 3));
	ASSERT_EQ(0, put("mnt/new", "x"));
	FAILS(ENOTTY, protect("mnt/new"));
	ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
	/* And what overlayfs would check it with. */
	REFUSED("lowerdir=l1,upperdir=up,workdir=work,verity=on", "verity");
	REFUSED("lowerdir=l1,upperdir=up,workdir=work,verity=require",
		"verity");
}

TEST_F(refused, data_only_layers)
{
	NOT_ON_OVERLAY("it has them");
	REFUSED("lowerdir=l1::l2,upperdir=up,workdir=work", "data-only");
	REFUSED("lowerdir=l1::l2", "data-only");
	REFUSED("lowerdir=l1,datadir+=l2", "datadir+");
}

/* They are the security module's. This kernel has none that knows them. */
TEST_F(refused, labels_for_the_mount)
{
	static const char * const labels[] = {
		"context", "fscontext", "defcontext", "rootcontext",
	};
	char options[64];
	unsigned int i;

	NOT_ON_OVERLAY("other words");
	if (strstr(content("/sys/kernel/security/lsm"), "selinux"))
		SKIP(return, "SELinux takes these options");
	for (i = 0; i < ARRAY_SIZE(labels); i++) {
		snprintf(options, sizeof(options),
			 "dirs=up:l1,%s=a:b:c:s0", labels[i]);
		REFUSED(options, labels[i]);
	}
}

/* A mount of the directory on which user 0 is called 1000. */
static int idmap(const char *from, const char *to)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int tree, go[2], ready[2], err;
	char path[64], c;
	pid_t pid;

	if (pipe(go) || pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		unshare(CLONE_NEWUSER);
		write(ready[1], "", 1);
		read(go[0], &c, 1);
		_exit(0);
	}
	read(ready[0], &c, 1);
	err = run("echo 0 1000 1 >/proc/%d/uid_map && "
		  "echo 0 1000 1 >/proc/%d/gid_map", pid, pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	attr.userns_fd = open(path, O_RDONLY);
	tree = syscall(__NR_open_tree, AT_FDCWD, from,
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	err = err ?: syscall(__NR_mount_setattr, tree, "", AT_EMPTY_PATH, &attr,
			     sizeof(attr));
	err = err ?: syscall(__NR_move_mount, tree, "", AT_FDCWD, to,
			     MOVE_MOUNT_F_EMPTY_PATH);
	write(go[1], "", 1);
	waitpid(pid, NULL, 0);
	close(tree);
	close(attr.userns_fd);
	return err;
}

TEST_F(refused, idmapped_mounts)
{
	NOT_ON_OVERLAY("it has them");
	ASSERT_EQ(0, make_disk("quota") ?: mkdir("mapped", 0755));
	ASSERT_EQ(0, put("disk/low/f", "x"));
	ASSERT_EQ(0, idmap("disk/low", "mapped")) {
		TH_LOG("%s", strerror(errno));
	}
	REFUSED("dirs=up=rw:mapped=ro", "idmapped");
	REFUSED("dirs=mapped=rw:l1=ro", "idmapped");
	ASSERT_EQ(0, umount("mapped") ?: umount("disk"));
}

TEST_HARNESS_MAIN
