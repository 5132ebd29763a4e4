// SPDX-License-Identifier: GPL-2.0-only
/* Mounting unions: options, what is refused and why, what is shown. */
#include <sys/syscall.h>
#include <linux/mount.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(mount);

/* How many unions are mounted in this namespace. */
static int unions(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[65536];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " - mica "))
			n++;
	if (f)
		fclose(f);
	return n;
}

/* Replaces every @ by the directory of the test. */
static const char *expand(const char *options)
{
	static char out[65536];
	const char *dir = here("");
	size_t len = 0;

	for (; *options; options++) {
		if (*options == '@')
			len += snprintf(out + len, sizeof(out) - len, "%s",
					dir);
		else
			out[len++] = *options;
	}
	out[len] = 0;
	return out;
}

TEST_F(mount, the_root_of_a_file_system_is_a_rw_branch)
{
	NOT_ON_OVERLAY("its root is no other directory");
	DO(mkdir("disk", 0755));
	DO(run(!strcmp(variant->fs, "tmpfs") ? "mount -t %s disk disk" :
	       "truncate -s 400M disk.img && mkfs.%s -q disk.img && "
	       "mount -o loop disk.img disk", variant->fs));
	DO(put("l1/f", "1\n"));
	DO(mount_union("disk:l1"));
	DO(add("mnt/f", "2\n") ?: mkdir("mnt/d", 0755));
	HAS("disk/f", "1\n2\n");
	DO(umount("mnt"));
	DO(umount("disk"));
}

static const struct {
	const char *options;
	int err;
} bad[] = {
	{ "", EINVAL },
	{ "dirs=", EINVAL },
	{ "dirs=@up:", EINVAL },
	{ "dirs=:@up", EINVAL },
	{ "dirs=@up=rx", EINVAL },
	{ "dirs=@up=", EINVAL },
	{ "dirs=@nothing", ENOENT },
	{ "dirs=@up:@nothing", ENOENT },
	{ "dirs=@up:@file", ENOTDIR },
	{ "dirs=@up:@up", EINVAL },
	{ "dirs=@up:@l1:@l1", EINVAL },
	{ "dirs=@up:@l1:@l1/sub", EINVAL },
	{ "dirs=@l1/sub:@l1", EINVAL },
	{ "dirs=@up:@l1,nonsense", EINVAL },
	{ "dirs=@up:@l1,nonsense=1", EINVAL },
	{ "dirs=@up:@l1,whiteout=none", EINVAL },
	{ "dirs=@up:@l1,delete=some", EINVAL },
	{ "dirs=@up:@l1,lowerdir=@l2", EINVAL },
	{ "dirs=@up:@l1,upperdir=@l2,workdir=@work", EINVAL },
	{ "dirs=@l1=ro+overlay,lowerdir=@l2", EINVAL },
	{ "lowerdir=@l1,upperdir=@up", EINVAL },
	{ "lowerdir=@l1,workdir=@work", EINVAL },
	{ "upperdir=@up,workdir=@work", EINVAL },
	{ "lowerdir=@l1,upperdir=@up,workdir=@up/sub", EINVAL },
	{ "lowerdir=@l1:@l2,upperdir=@up,workdir=@l2", EINVAL },
	{ "lowerdir=@l1,upperdir=@up,workdir=@l1/sub", EINVAL },
	{ "lowerdir=@work/sub,upperdir=@up,workdir=@work", EINVAL },
	{ "lowerdir=@l1,upperdir=@up,workdir=@work,whiteout=dot", EINVAL },
	{ "lowerdir=@l1::@l2,upperdir=@up,workdir=@work", EINVAL },
	{ "lowerdir=@l1,upperdir=@up,workdir=@work,index=maybe", EINVAL },
	{ "lowerdir=@l1,upperdir=@up,workdir=@work,nfs_export=on", EINVAL },
	{ "dirs=@up:@l1,metacopy=perhaps", EINVAL },
	{ "dirs=@up:@l1,redirect_dir=off,metacopy=on", EINVAL },
};

TEST_F(mount, bad_options_are_refused_and_mount_nothing)
{
	int before = unions();
	unsigned int i;

	ASSERT_EQ(0, put("file", "x"));
	ASSERT_EQ(0, mkdir("l1/sub", 0755));
	ASSERT_EQ(0, mkdir("up/sub", 0755));
	ASSERT_EQ(0, mkdir("work/sub", 0755));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *options = expand(bad[i].options);

		errno = 0;
		EXPECT_EQ(-1, mount_mica(options, "mnt"));
		EXPECT_EQ(bad[i].err, errno) {
			TH_LOG("%s: %s", options, strerror(errno));
		}
		EXPECT_EQ(before, unions());
	}
	/* None of them has left a branch in use. */
	ASSERT_EQ(0, mount_union("up:l1"));
}

TEST_F(mount, options_that_change_nothing_are_accepted)
{
	static const char * const options[] = {
		"index=on", "index=off", "xino=on", "xino=off", "xino=auto",
		"default_permissions", "data=full",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		DO(mount_union_with("up:l1", options[i]));
		DO(run("! grep -q '%s' /proc/self/mountinfo", options[i]));
		DO(umount("mnt"));
	}
}

/* What the mount context says after a failure. */
static const char *reason(const char *key, const char *value)
{
	static char text[1024];
	int fd = syscall(__NR_fsopen, "mica", 0);
	ssize_t len = 0;

	if (!syscall(__NR_fsconfig, fd, FSCONFIG_SET_STRING, key, value, 0) &&
	    !syscall(__NR_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		snprintf(text, sizeof(text), "(mounted)");
	else
		len = read(fd, text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = 0;
	close(fd);
	return text;
}

TEST_F(mount, a_refusal_names_the_option)
{
	static const char * const keys[][2] = {
		{ "dirs", "@nothing" },
		{ "dirs", "@up=rx" },
		{ "whiteout", "none" },
		{ "lowerdir", "@nothing" },
		{ "dirs+rw", "@nothing" },
		{ "nonsense", "1" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = reason(keys[i][0], expand(keys[i][1]));

		EXPECT_NE(NULL, strstr(text, keys[i][0])) {
			TH_LOG("%s: \"%s\"", keys[i][0], text);
		}
	}
}

TEST_F(mount, the_first_branch_is_rw_and_the_others_are_ro)
{
	ASSERT_EQ(0, put("l1/f", "one"));
	ASSERT_EQ(0, mount_mica(expand("dirs=@up:@l1"), "mnt"));
	ASSERT_EQ(0, add("mnt/f", "two"));
	HAS("up/f", "onetwo");
	HAS("l1/f", "one");
}

TEST_F(mount, modes_can_be_in_any_order)
{
	ASSERT_EQ(0, put("l1/f", "f"));
	ASSERT_EQ(0, put("up/g", "g"));
	ASSERT_EQ(0, put("l2/h", "h"));
	ASSERT_EQ(0, mount_mica(expand("dirs=@l1=ro:@up=rw:@l2=ro"), "mnt"));
	/* Nothing left of l1 could take the change. */
	FAILS(EROFS, add("mnt/f", "x"));
	ASSERT_EQ(0, add("mnt/g", "x"));
	HAS("up/g", "gx");
	ASSERT_EQ(0, add("mnt/h", "x"));
	HAS("up/h", "hx");
	HAS("l2/h", "h");
}

TEST_F(mount, without_rw_branch_all_is_read_only)
{
	ASSERT_EQ(0, put("l1/f", "f"));
	ASSERT_EQ(0, mount_union_ro("l1:l2"));
	FAILS(EROFS, put("mnt/n", "x"));
	FAILS(EROFS, unlink("mnt/f"));
	FAILS(EROFS, mount(NULL, "mnt", NULL, MS_REMOUNT, NULL));
	HAS("mnt/f", "f");
}

TEST_F(mount, overlayfs_option_names_mean_the_same)
{
	ASSERT_EQ(0, put("l1/f", "1"));
	ASSERT_EQ(0, put("l2/f", "2"));
	ASSERT_EQ(0, put("l2/.wh.f", ""));
	ASSERT_EQ(0, mount_mica(expand("lowerdir=@l1:@l2,upperdir=@up,workdir=@work"),
				"mnt"));
	HAS("mnt/f", "1");
	/* To overlayfs that is a name like any other. */
	ASSERT_STREQ(".wh.f f", ls("mnt"));
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_STREQ(".wh.f", ls("mnt"));
	ASSERT_EQ(S_IFCHR, mode_of("up/f") & S_IFMT);
}

TEST_F(mount, a_rw_branch_belongs_to_one_union)
{
	ASSERT_EQ(0, mkdir("second", 0755));
	ASSERT_EQ(0, mount_union("up:l1"));
	FAILS(EBUSY, mount_mica(expand("dirs=@up=rw:@l2=ro"), "second"));
	FAILS(EBUSY, mount_mica(expand("lowerdir=@l2,upperdir=@up,workdir=@work"),
				"second"));
	/* A ro branch can be in many. */
	ASSERT_EQ(0, mount_mica(expand("dirs=@l2=rw:@l1=ro"), "second"));
	ASSERT_EQ(0, umount("second"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_mica(expand("dirs=@up=rw:@l2=ro"), "mnt"));
}

TEST_F(mount, a_read_only_directory_cannot_be_a_rw_branch)
{
	ASSERT_EQ(0, mount("l1", "l1", NULL, MS_BIND, NULL));
	ASSERT_EQ(0, mount(NULL, "l1", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
			   NULL));
	FAILS(EROFS, mount_mica(expand("dirs=@l1=rw:@l2=ro"), "mnt"));
	ASSERT_EQ(0, mount_mica(expand("dirs=@up=rw:@l1=ro"), "mnt"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, umount("l1"));
}

TEST_F(mount, over_one_of_its_own_branches)
{
	ASSERT_EQ(0, put("l1/f", "f"));
	ASSERT_EQ(0, mount_mica(expand("dirs=@up=rw:@l1=ro"), "l1"));
	ASSERT_EQ(0, add("l1/f", "x"));
	HAS("l1/f", "fx");
	HAS("up/f", "fx");
	ASSERT_EQ(0, umount("l1"));
	HAS("l1/f", "f");
}

TEST_F(mount, names_with_special_characters)
{
	static const char * const names[] = {
		"a:b", "a=rw", "a,b", "a b", "a\\b", "a\nb", "a\tb", "a#b",
		"a\"b", "\\054", "\303\244",
	};
	char options[8192], line[65536], *p, *end;
	unsigned int i, n = ARRAY_SIZE(names);
	const char *c;
	FILE *f;

	snprintf(options, sizeof(options), "%s", expand("dirs=@up=rw"));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, mkdir(names[i], 0755));
		p = options + strlen(options);
		p += sprintf(p, ":%s", here(""));
		for (c = names[i]; *c; c++) {
			if (strchr(":=,\\", *c))
				*p++ = '\\';
			*p++ = *c;
		}
		strcpy(p, "=ro");
		snprintf(line, sizeof(line), "%s/f%u", names[i], i);
		ASSERT_EQ(0, put(line, "x"));
	}
	ASSERT_EQ(0, mount_mica(options, "mnt"));

	/* What is shown, decoded as libmount does, can be given back. */
	f = fopen("/proc/self/mountinfo", "r");
	do {
		ASSERT_NE(NULL, fgets(line, sizeof(line), f));
	} while (!strstr(line, " - mica "));
	fclose(f);
	p = strstr(line, ",dirs=");
	ASSERT_NE(NULL, p);
	p++;
	end = strchr(p, '\n');
	*end = 0;
	ASSERT_EQ(NULL, strchr(p, ','));
	for (i = 0; *p; p++, i++) {
		if (*p == '\\') {
			options[i] = strtol((char []){ p[1], p[2], p[3], 0 },
					    NULL, 8);
			p += 3;
		} else {
			options[i] = *p;
		}
	}
	options[i] = 0;
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_mica(options, "mnt")) {
		TH_LOG("%s", options);
	}
	for (i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "mnt/f%u", i);
		EXPECT_EQ(0, access(line, F_OK));
	}
}

TEST_F(mount, a_thousand_branches_by_fsconfig)
{
	char name[64];
	int fd, mfd, i;

	fd = syscall(__NR_fsopen, "mica", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, syscall(__NR_fsconfig, fd, FSCONFIG_SET_STRING, "dirs+rw",
			     here("up"), 0));
	for (i = 1; i < 1024; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		ASSERT_EQ(0, mkdir(name, 0755));
		/* Half of them as descriptors. */
		if (i % 2) {
			int dir = open(name, O_RDONLY | O_DIRECTORY);

			ASSERT_EQ(0, syscall(__NR_fsconfig, fd, FSCONFIG_SET_FD,
					     "dirs+ro", NULL, dir));
			close(dir);
		} else {
			ASSERT_EQ(0, syscall(__NR_fsconfig, fd,
					     FSCONFIG_SET_STRING, "dirs+ro",
					     here(name), 0));
		}
	}
	EXPECT_EQ(-1, syscall(__NR_fsconfig, fd, FSCONFIG_SET_STRING,
			      "dirs+ro", here("l1"), 0));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, put("b1023/last", "x"));
	ASSERT_EQ(0, syscall(__NR_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL,
			     0));
	mfd = syscall(__NR_fsmount, fd, 0, 0);
	ASSERT_LE(0, mfd);
	close(fd);
	ASSERT_EQ(0, syscall(__NR_move_mount, mfd, "", AT_FDCWD, "mnt",
			     MOVE_MOUNT_F_EMPTY_PATH));
	close(mfd);
	HAS("mnt/last", "x");
	ASSERT_EQ(0, add("mnt/last", "y"));
	HAS("up/last", "xy");
}

TEST_F(mount, remount_ro_and_rw)
{
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	FAILS(EROFS, put("mnt/f", "x"));
	ASSERT_EQ(0, mount(NULL, "mnt", NULL, MS_REMOUNT, NULL));
	ASSERT_EQ(0, put("mnt/f", "x"));
	/* As mount(8) does it: all options once more. */
	ASSERT_EQ(0, mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY,
			   expand("dirs=@up=rw:@l1=ro")));
	FAILS(EROFS, put("mnt/g", "x"));
}

/* As mount(8) of today does it, with what it reads in mountinfo. */
static int pick_and_set(const char *option, const char *value)
{
	int fd = syscall(__NR_fspick, AT_FDCWD, "mnt", 0);
	int err = syscall(__NR_fsconfig, fd, value ? FSCONFIG_SET_STRING :
			  FSCONFIG_SET_FLAG, option, value, 0) ?:
		  syscall(__NR_fsconfig, fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) ?:
		  syscall(__NR_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, NULL,
			  NULL, 0);

	close(fd);
	return err ? errno : 0;
}

TEST_F(mount, a_remount_may_say_what_is_so_and_nothing_else)
{
	static const struct {
		const char *option, *is, *is_not;
	} options[] = {
		{ "dirs", "up=rw:l1=ro", NULL },
		{ "whiteout", "overlay", "dot" },
		{ "volatile", NULL, NULL },
		{ "delete", "first", "all" },
		{ "redirect_dir", "off", "on" },
		{ "metacopy", "off", "on" },
		{ "copyup", "top", "left" },
		{ "create", "mfs", "rr" },
	};
	char all[256] = "";
	int i, err;

	for (i = 1; i < ARRAY_SIZE(options); i++) {
		strcat(all, i > 1 ? "," : "");
		strcat(all, options[i].option);
		if (options[i].is)
			strcat(strcat(all, "="), options[i].is);
	}
	ASSERT_EQ(0, mount_union_with("up:l1", all));
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		err = pick_and_set(options[i].option, options[i].is);
		EXPECT_EQ(0, err) {
			TH_LOG("%s: %s", options[i].option, strerror(err));
		}
		FAILS(EROFS, put("mnt/f", "x"));
		ASSERT_EQ(0, mount(NULL, "mnt", NULL, MS_REMOUNT, NULL));
		if (!options[i].is_not)
			continue;
		EXPECT_EQ(EINVAL, pick_and_set(options[i].option,
					       options[i].is_not));
		ASSERT_EQ(0, put("mnt/f", "x"));
	}
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_union("up:l1"));
	EXPECT_EQ(EINVAL, pick_and_set("volatile", NULL));
	EXPECT_EQ(EINVAL, pick_and_set("nonsense", NULL));
}

TEST_F(mount, busy_while_a_file_is_open)
{
	int fd;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	FAILS(EBUSY, umount("mnt"));
	close(fd);
	ASSERT_EQ(0, umount("mnt"));
}

TEST_F(mount, a_union_as_branch_of_a_union)
{
	ASSERT_EQ(0, mkdir("top", 0755));
	ASSERT_EQ(0, mkdir("outer", 0755));
	ASSERT_EQ(0, mkdir("third", 0755));
	ASSERT_EQ(0, put("l1/f", "f"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, mount_mica(expand("dirs=@top=rw:@mnt=ro"), "outer"));
	ASSERT_EQ(0, add("outer/f", "x"));
	HAS("outer/f", "fx");
	HAS("mnt/f", "f");
	/* The kernel stacks two deep, and no union writes to another. */
	FAILS(EINVAL, mount_mica(expand("dirs=@l2=rw:@outer=ro"), "third"));
	FAILS(EINVAL, mount_mica(expand("dirs=@mnt=rw:@l2=ro"), "third"));
	ASSERT_EQ(0, umount("outer"));
}

TEST_F(mount, leaves_nothing_of_its_branches_in_use)
{
	const char *image = here("image"), *dir = here("disk");

	ASSERT_EQ(0, run("mkdir %s && truncate -s 16M %s && mkfs.ext4 -q %s",
			 dir, image, image));
	ASSERT_EQ(0, run("mount -o loop %s %s && mkdir %s/rw %s/ro", image, dir,
			 dir, dir));
	ASSERT_EQ(0, mount_mica(expand("dirs=@disk/rw=rw:@disk/ro=ro"), "mnt"));
	ASSERT_EQ(0, put("mnt/f", "x"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, umount("disk"));
	/* A file system that is still in use would keep its loop device. */
	ASSERT_EQ(0, run("sleep 0.3; ! losetup -a | grep -qF %s", image));
}

TEST_HARNESS_MAIN
