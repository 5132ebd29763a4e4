// SPDX-License-Identifier: GPL-2.0-only
/* Which of several writable branches takes a change: copyup= and create=. */
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(policy);

/* The branches are called up, l1, l2 and l3, from the left. */
static const char * const names[] = { "up", "l1", "l2", "l3" };

/* Mounts them with modes as in "wrw". */
static int mount_modes(const char *modes, const char *more)
{
	char options[256] = "dirs=";
	unsigned int i;

	for (i = 0; modes[i]; i++)
		sprintf(options + strlen(options), "%s%s=%s", i ? ":" : "",
			names[i], modes[i] == 'w' ? "rw" : "ro");
	sprintf(options + strlen(options), ",%s", more);
	return mount_mica(options, "mnt");
}

/* In which branches a path is, as "up l2". */
static const char *where(const char *path)
{
	static char list[64];
	char name[PATH_MAX];
	unsigned int i;

	*list = 0;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", names[i], path);
		if (there(name))
			sprintf(list + strlen(list), "%s%s", *list ? " " : "",
				names[i]);
	}
	return list;
}

static int start_again(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (remove_all(names[i]) || mkdir(names[i], 0755))
			return -1;
	return 0;
}

/* Each changes mnt/d/f, which has "text", so that it has to be copied. */
static int change_mode(void)	{ return chmod("mnt/d/f", 0600); }
static int change_xattr(void)
{
	return set_xattr("mnt/d/f", "trusted.x", "y");
}

static int change_write(void)
{
	int fd = open("mnt/d/f", O_WRONLY);

	if (fd < 0)
		return -1;
	return pwrite(fd, "text", 4, 0) == 4 ? close(fd) : -1;
}

static int change_mapping(void)
{
	int fd = open("mnt/d/f", O_RDWR);
	char *p;

	if (fd < 0)
		return -1;
	p = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	*p = 't';
	return munmap(p, 4) ?: close(fd);
}

static int change_link(void)
{
	return link("mnt/d/f", "mnt/d/g") ?: unlink("mnt/d/g");
}

static int change_rename(void)
{
	return rename("mnt/d/f", "mnt/d/g") ?: rename("mnt/d/g", "mnt/d/f");
}

static int (* const changes[])(void) = {
	change_write, change_mode, change_xattr, change_mapping, change_link,
	change_rename,
};

static const struct {
	const char *modes;
	const char *in;		/* the branch that has it */
	const char *left;	/* where it is after a change */
	const char *top;
} copies[] = {
	{ "wwr", "l2", "l1 l2", "up l2" },
	{ "wwr", "l1", "l1", "l1" },
	{ "wrw", "l1", "up l1", "up l1" },
	{ "wrw", "l2", "l2", "l2" },
	{ "rwr", "l2", "l1 l2", "l1 l2" },
	{ "wrwr", "l3", "l2 l3", "up l3" },
	{ "rwwr", "l3", "l2 l3", "l1 l3" },
	{ "wwwr", "l3", "l2 l3", "up l3" },
	{ "rww", "up", NULL, NULL },
};

TEST_F(policy, copies_go_left_or_to_the_top)
{
	unsigned int i, k, top;
	char path[32];

	NOT_ON_OVERLAY("one writable branch only");
	for (i = 0; i < 2 * ARRAY_SIZE(copies) * ARRAY_SIZE(changes); i++) {
		const char *modes, *want;

		k = i / 2 % ARRAY_SIZE(copies);
		top = i % 2;
		modes = copies[k].modes;
		want = top ? copies[k].top : copies[k].left;
		ASSERT_EQ(0, start_again());
		snprintf(path, sizeof(path), "%s/d", copies[k].in);
		ASSERT_EQ(0, mkdir(path, 0711));
		snprintf(path, sizeof(path), "%s/d/f", copies[k].in);
		ASSERT_EQ(0, put(path, "text"));
		ASSERT_EQ(0, mount_modes(modes, top ? "copyup=top" :
						      "copyup=left"));
		errno = 0;
		EXPECT_EQ(want ? 0 : -1,
			  changes[i / 2 / ARRAY_SIZE(copies)]()) {
			TH_LOG("%s, change %lu, %s: %s", modes,
			       i / 2 / ARRAY_SIZE(copies), top ? "top" : "left",
			       strerror(errno));
		}
		if (!want)
			EXPECT_EQ(EROFS, errno);
		EXPECT_STREQ(want ?: copies[k].in, where("d/f")) {
			TH_LOG("%s, change %lu, %s", modes,
			       i / 2 / ARRAY_SIZE(copies), top ? "top" : "left");
		}
		HAS("mnt/d/f", "text");
		ASSERT_EQ(0, umount("mnt"));
		/* What it is made of is found again. */
		ASSERT_EQ(0, mount_modes(modes, "volatile"));
		HAS("mnt/d/f", "text");
		EXPECT_EQ(0711, mode_of("mnt/d") & 07777);
		ASSERT_EQ(0, umount("mnt"));
	}
}

TEST_F(policy, a_directory_is_copied_left_or_to_the_top)
{
	NOT_ON_OVERLAY("one writable branch only");
	ASSERT_EQ(0, mkdir("l2/d", 0755) ?: mkdir("l2/d/sub", 0755));
	ASSERT_EQ(0, mount_modes("wwr", "copyup=top"));
	ASSERT_EQ(0, chmod("mnt/d/sub", 0700));
	EXPECT_STREQ("up l2", where("d/sub"));
	/* What is new goes where its directory is now. */
	ASSERT_EQ(0, put("mnt/d/sub/new", ""));
	EXPECT_STREQ("up", where("d/sub/new"));
}

/* Right of the redirect the directory has another name. */
TEST_F(policy, to_the_top_past_a_redirect)
{
	unsigned int top;

	NOT_ON_OVERLAY("one writable branch only");
	for (top = 0; top < 2; top++) {
		ASSERT_EQ(0, start_again());
		ASSERT_EQ(0, mkdir("l2/d", 0755) ?: put("l2/d/f", "f") ?:
			     put("l2/d/g", "g") ?: mkdir("l1/d", 0755) ?:
			     put("l1/d/h", "h"));
		ASSERT_EQ(0, mount_modes("wwr", top ? "copyup=top" :
						      "copyup=left"));
		/* It is in l1, and so is the redirect. */
		ASSERT_EQ(0, rename("mnt/d", "mnt/e"));
		EXPECT_STREQ("l1", where("e"));
		ASSERT_EQ(0, add("mnt/e/f", "x") ?: chmod("mnt/e/g", 0600));
		EXPECT_STREQ(top ? "up" : "l1", where("e/f"));
		EXPECT_STREQ(top ? "up" : "l1", where("e/g"));
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, mount_modes("wwr", "copyup=top"));
		EXPECT_STREQ("e", ls("mnt"));
		EXPECT_STREQ("f g h", ls("mnt/e"));
		HAS("mnt/e/f", "fx");
		HAS("mnt/e/g", "g");
		HAS("mnt/e/h", "h");
		ASSERT_EQ(0, unlink("mnt/e/f") ?: unlink("mnt/e/g") ?:
			     unlink("mnt/e/h") ?: rmdir("mnt/e"));
		EXPECT_STREQ("", ls("mnt"));
		ASSERT_EQ(0, umount("mnt"));
	}
}

TEST_F(policy, links_stay_links_at_the_top)
{
	NOT_ON_OVERLAY("one writable branch only");
	ASSERT_EQ(0, put("l2/a", "x") ?: link("l2/a", "l2/b"));
	ASSERT_EQ(0, mount_modes("wwr", "copyup=top"));
	ASSERT_EQ(0, add("mnt/a", "y"));
	EXPECT_STREQ("up l2", where("a"));
	HAS("mnt/b", "xy");
	ASSERT_EQ(0, add("mnt/b", "z"));
	HAS("mnt/a", "xyz");
	ASSERT_EQ(0, rename("mnt/b", "mnt/c"));
	HAS("mnt/c", "xyz");
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_modes("wwr", "copyup=top"));
	HAS("mnt/a", "xyz");
	HAS("mnt/c", "xyz");
	EXPECT_STREQ("a c", ls("mnt"));
}

/* The mount options as /proc/self/mountinfo has them. */
static const char *shown(void)
{
	static char line[4096];
	FILE *f = fopen("/proc/self/mountinfo", "r");

	while (fgets(line, sizeof(line), f) && !strstr(line, " - mica "))
		;
	fclose(f);
	return line;
}

static const struct {
	const char *options;
	const char *shown;
	const char *not_shown;
} options[] = {
	{ "copyup=top", ",copyup=top", ",create=" },
	{ "copyup=left", ",dirs=", ",copyup=" },
	{ "create=parent", ",dirs=", ",create=" },
	{ "create=top", ",create=top", ",copyup=" },
	{ "create=mfs,copyup=top", ",create=mfs", ",create=top" },
	{ "create=rr", ",create=rr", ",copyup=" },
};

TEST_F(policy, it_is_shown_in_mountinfo)
{
	unsigned int i;

	NOT_ON_OVERLAY("other options");
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		ASSERT_EQ(0, mount_modes("wwr", options[i].options));
		EXPECT_NE(NULL, strstr(shown(), options[i].shown)) {
			TH_LOG("%s: %s", options[i].options, shown());
		}
		EXPECT_EQ(NULL, strstr(shown(), options[i].not_shown));
		ASSERT_EQ(0, umount("mnt"));
	}
	FAILS(EINVAL, mount_modes("wwr", "copyup=right"));
	FAILS(EINVAL, mount_modes("wwr", "copyup=parent"));
	FAILS(EINVAL, mount_modes("wwr", "create=left"));
	FAILS(EINVAL, mount_modes("wwr", "create="));
}

/* What is there before, for create=; a name that ends in / is a directory. */
#define TREE(...)	{ __VA_ARGS__, NULL }

static const struct {
	const char *modes;
	const char *tree[6];
	const char *new;	/* made with create=top, a directory with / */
	const char *parent;	/* the branch it goes to with create=parent */
	const char *top;	/* and with create=top */
} created[] = {
	{ "wwr", TREE("l1/d/"), "d/new", "l1", "up" },
	{ "wwr", TREE("l1/d/"), "d/new/", "l1", "up" },
	{ "wwr", TREE("l2/d/"), "d/new", "l1", "up" },
	{ "rwr", TREE("up/d/", "l1/d/"), "d/new", NULL, "l1" },
	{ "rww", TREE("up/d/", "l2/d/"), "d/new", NULL, "l1" },
	{ "rww", TREE("up/d/", "up/d/e/", "l2/d/"), "d/e/new", NULL, "l1" },
	{ "rwr", TREE("up/d/"), "d/new", NULL, "l1" },
	/* Nothing in l1 could be seen: the whole directory, or its parent... */
	{ "rwr", TREE("up/d/", "up/d/.wh..wh..opq"), "d/new", NULL, NULL },
	{ "rwr", TREE("up/d/", "up/.wh.d", "l1/d/"), "d/new", NULL, NULL },
	{ "rwr", TREE("up/d/", "up/d/e/", "up/d/.wh..wh..opq"), "d/e/new", NULL,
	  NULL },
	/* ...or the name. */
	{ "rwr", TREE("up/d/", "up/d/.wh.new", "l1/d/"), "d/new", NULL, NULL },
	/* A file in between ends a directory, a whiteout there hides more. */
	{ "rrwr", TREE("up/d/", "l1/d"), "d/new", NULL, NULL },
	{ "rwr", TREE("up/d/", "l1/.wh.d", "l2/d/", "l2/d/old"), "d/new", NULL,
	  NULL },
	{ "rwr", TREE("up/d/", "l1/d"), "d/new", NULL, NULL },
	{ "rwr", TREE("up/d/", "l2/d/", "l2/d/old"), "d/new", NULL, "l1" },
	/* A whiteout in the branch itself does no harm. */
	{ "rwr", TREE("up/d/", "l1/d/", "l1/d/.wh.new", "l2/d/", "l2/d/new"),
	  "d/new", NULL, "l1" },
	{ "rwr", TREE("up/d/", "l1/d/", "l1/d/.wh.new", "l2/d/", "l2/d/new"),
	  "d/new/", NULL, "l1" },
};

static int make(const char *path)
{
	size_t len = strlen(path);
	char name[128];

	snprintf(name, sizeof(name), "%s", path);
	if (name[len - 1] != '/')
		return put(name, "new");
	name[len - 1] = 0;
	return mkdir(name, 0755);
}

TEST_F(policy, new_names_go_where_they_can_be_seen)
{
	const char *want, *before;
	unsigned int i, k, top;
	char path[128], full[128];
	struct stat dir, after;

	NOT_ON_OVERLAY("one writable branch only");
	for (i = 0; i < 2 * ARRAY_SIZE(created); i++) {
		top = i % 2;
		k = i / 2;
		want = top ? created[k].top : created[k].parent;
		ASSERT_EQ(0, start_again());
		for (int n = 0; created[k].tree[n]; n++)
			ASSERT_EQ(0, make(created[k].tree[n]));
		ASSERT_EQ(0, mount_modes(created[k].modes,
					 top ? "create=top" : "create=parent"));
		before = strdup(ls("mnt/d"));
		ASSERT_EQ(0, stat("mnt/d", &dir));
		snprintf(path, sizeof(path), "mnt/%s", created[k].new);
		errno = 0;
		EXPECT_EQ(want ? 0 : -1, make(path)) {
			TH_LOG("%u, top %u: %s", k, top, strerror(errno));
		}
		if (!want) {
			EXPECT_EQ(EROFS, errno) {
				TH_LOG("%u, top %u", k, top);
			}
			EXPECT_STREQ(before, ls("mnt/d"));
		} else {
			snprintf(full, sizeof(full), "%s/%s", want,
				 created[k].new);
			if (full[strlen(full) - 1] == '/')
				full[strlen(full) - 1] = 0;
			EXPECT_TRUE(there(full)) {
				TH_LOG("%u, top %u", k, top);
			}
			before = strdup(ls("mnt/d"));
		}
		/* The next mount sees the same. */
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, mount_modes(created[k].modes, "volatile"));
		EXPECT_STREQ(before, ls("mnt/d"));
		ASSERT_EQ(0, stat("mnt/d", &after));
		EXPECT_EQ(dir.st_ino, after.st_ino) {
			TH_LOG("%u, top %u", k, top);
		}
		if (want)
			EXPECT_TRUE(there(path));
		ASSERT_EQ(0, umount("mnt"));
	}
}

TEST_F(policy, one_after_the_other)
{
	char path[32];
	int i;

	NOT_ON_OVERLAY("one writable branch only");
	ASSERT_EQ(0, mkdir("l3/d", 0755));
	ASSERT_EQ(0, mount_modes("wwwr", "create=rr"));
	for (i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "mnt/d/%d", i);
		ASSERT_EQ(0, put(path, "x"));
		EXPECT_STREQ(names[i % 3], where(path + 4));
	}
	EXPECT_STREQ("0 1 2 3 4 5", ls("mnt/d"));
	ASSERT_EQ(0, unlink("mnt/d/4") ?: rename("mnt/d/5", "mnt/d/0"));
	EXPECT_STREQ("0 1 2 3", ls("mnt/d"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_modes("wwwr", "create=rr"));
	EXPECT_STREQ("0 1 2 3", ls("mnt/d"));
	ASSERT_EQ(0, run("rm -r mnt/d"));
	EXPECT_STREQ("", ls("mnt"));
}

/* Each new part is the rightmost, for a while. */
TEST_F(policy, a_directory_that_grows_to_the_right_keeps_its_number)
{
	struct stat before, after;
	char path[32];
	int i;

	NOT_ON_OVERLAY("one writable branch only");
	ASSERT_EQ(0, mkdir("up/d", 0755) ?: mkdir("up/d/e", 0700));
	ASSERT_EQ(0, mount_modes("rwww", "create=rr"));
	ASSERT_EQ(0, stat("mnt/d/e", &before));
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "mnt/d/e/%d", i);
		ASSERT_EQ(0, put(path, "x"));
		EXPECT_STREQ(names[i + 1], where(path + 4));
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, mount_modes("rwww", "create=rr"));
		ASSERT_EQ(0, stat("mnt/d/e", &after));
		EXPECT_EQ(before.st_ino, after.st_ino) {
			TH_LOG("part %d", i + 1);
		}
		EXPECT_EQ(0700, after.st_mode & 07777);
		/* The count starts anew. */
		for (int n = 0; n <= i; n++) {
			snprintf(path, sizeof(path), "mnt/d/new%d", n);
			ASSERT_EQ(0, put(path, "x") ?: unlink(path));
		}
	}
	EXPECT_STREQ("0 1 2", ls("mnt/d/e"));
}

/*
 * What is new gets from its directory what that has in the union, whatever the part
 * in its branch has: d hands down a group and an ACL, e nothing.
 */
TEST_F(policy, a_directory_hands_down_the_same_to_each_branch)
{
	/* The second one is made beside a whiteout. */
	static const char * const new[] = { "new", "w" };
	unsigned int i;

	NOT_ON_OVERLAY("one writable branch only");
	ASSERT_EQ(0, run("mkdir -p up/d up/e l1/d l1/e l2/d l2/e l3/d l3/e && "
			 "touch l1/d/.wh.w l1/e/.wh.w l2/d/w l2/e/w && "
			 "for d in up/d l1/e l2/e; do chgrp 7 $d && "
			 "chmod 2755 $d && setfacl -d -m u:5:rwx $d; done"));
	ASSERT_EQ(0, mount_modes("rwwr", "create=rr"));
	for (i = 0; i < 2 * ARRAY_SIZE(new); i++) {
		const char *name = new[i / 2];
		const char *make = i % 2 ? "touch" : "mkdir";
		const char *modes = i % 2 ? "664:7 640:0" : "2775:7 750:0";

		ASSERT_EQ(0, run("umask 027 && cd mnt && rm -rf d/* e/* && "
				 "%s d/%s e/%s", make, name, name));
		EXPECT_EQ(0, run("cd mnt && test \"$(stat -c %%a:%%g d/%s e/%s | "
				 "xargs)\" = '%s'", name, name, modes)) {
			TH_LOG("%s %s", make, name);
		}
		EXPECT_EQ(0, run("getfacl -n mnt/d/%s | grep -q ^user:5:rwx",
				 name));
		EXPECT_EQ(0, run("! getfacl -n mnt/e/%s | grep -q user:5", name));
	}
}

/* However deep it is, each directory above is looked at in turn. */
TEST_F(policy, deep_down)
{
	struct stat st;
	int cwd, i;

	NOT_ON_OVERLAY("one writable branch only");
	cwd = open(".", O_PATH);
	ASSERT_EQ(0, chdir("up"));
	for (i = 0; i < 300; i++)
		ASSERT_EQ(0, mkdir("d", 0755) ?: chdir("d"));
	ASSERT_EQ(0, fchdir(cwd));
	ASSERT_EQ(0, mount_modes("rw", "create=top"));
	ASSERT_EQ(0, chdir("mnt"));
	for (i = 0; i < 300; i++)
		ASSERT_EQ(0, chdir("d"));
	ASSERT_EQ(0, put("new", "x"));
	ASSERT_EQ(0, fchdir(cwd) ?: chdir("l1"));
	for (i = 0; i < 300; i++)
		ASSERT_EQ(0, chdir("d"));
	EXPECT_EQ(0, stat("new", &st));
	ASSERT_EQ(0, fchdir(cwd));
	close(cwd);
}

TEST_F(policy, where_most_space_is)
{
	NOT_ON_OVERLAY("one writable branch only");
	ASSERT_EQ(0, mkdir("a", 0755) ?: mkdir("b", 0755));
	ASSERT_EQ(0, mount("none", "a", "tmpfs", 0, "size=4M,mode=755"));
	ASSERT_EQ(0, mount("none", "b", "tmpfs", 0, "size=6M,mode=755"));
	ASSERT_EQ(0, mkdir("l1/d", 0755));
	ASSERT_EQ(0, mount_mica("dirs=a=rw:b=rw:l1=ro,create=mfs", "mnt"));
	ASSERT_EQ(0, fill("mnt/d/1", 3 << 20, 1));
	EXPECT_TRUE(there("b/d/1"));
	ASSERT_EQ(0, fill("mnt/d/2", 3 << 20, 2));
	EXPECT_TRUE(there("a/d/2"));
	ASSERT_EQ(0, fill("mnt/d/3", 2 << 20, 3));
	EXPECT_TRUE(there("b/d/3"));
	ASSERT_EQ(0, mkdir("mnt/d/sub", 0755));
	EXPECT_EQ(0, filled("mnt/d/1", 3 << 20, 1));
	EXPECT_STREQ("1 2 3 sub", ls("mnt/d"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_mica("dirs=a=rw:b=rw:l1=ro", "mnt"));
	EXPECT_STREQ("1 2 3 sub", ls("mnt/d"));
	ASSERT_EQ(0, umount("mnt") ?: umount("a") ?: umount("b"));
}

TEST_HARNESS_MAIN
