// SPDX-License-Identifier: GPL-2.0-only
/* The names of merged directories: look-up, readdir, inode numbers. */
#include <dirent.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(names);

/* Branches b0, b1, ...: "b0:b1:..." */
static const char *many_branches(struct __test_metadata *_metadata,
				 unsigned int count)
{
	static char list[1024];
	unsigned int i;
	char name[16];

	list[0] = '\0';
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		mkdir(name, 0755);
		strcat(list, i ? ":" : "");
		strcat(list, name);
	}
	return list;
}

TEST_F(names, the_leftmost_branch_decides_what_a_name_is)
{
	DO(put("l1/a", "left"));
	DO(put("l2/a", "right"));
	DO(put("l1/file", "file"));
	DO(mkdir("l2/file", 0755));
	DO(mkdir("l1/dir", 0755));
	DO(put("l2/dir", "hidden"));
	DO(put("up/b", "top"));
	DO(put("l2/b", "bottom"));
	DO(mount_union("up:l1:l2"));

	HAS("mnt/a", "left");
	HAS("mnt/file", "file");
	HAS("mnt/b", "top");
	ASSERT_STREQ("", ls("mnt/dir"));
	ASSERT_STREQ("a b dir file", ls("mnt"));
}

TEST_F(names, directories_merge_at_any_depth)
{
	DO(run("mkdir -p up/d/e l1/d/e l2/d/e/f"));
	DO(put("up/d/e/1", "1"));
	DO(put("l1/d/e/2", "2"));
	DO(put("l2/d/e/f/3", "3"));
	DO(put("l2/d/e/1", "below"));
	DO(mount_union("up:l1:l2"));

	ASSERT_STREQ("1 2 f", ls("mnt/d/e"));
	HAS("mnt/d/e/1", "1");
	HAS("mnt/d/e/2", "2");
	HAS("mnt/d/e/f/3", "3");
}

TEST_F(names, a_file_between_two_directories_ends_the_merge)
{
	DO(mkdir("l1/d", 0755));
	DO(put("l1/d/seen", ""));
	DO(put("l2/d", "in the way"));
	DO(mkdir("l3/d", 0755));
	DO(put("l3/d/hidden", ""));
	DO(mount_union("up:l1:l2:l3"));

	ASSERT_STREQ("seen", ls("mnt/d"));
	FAILS(ENOENT, access("mnt/d/hidden", F_OK));
}

TEST_F(names, whiteouts_hide_what_is_to_the_right)
{
	DO(put("l2/a", ""));
	DO(run("mkdir -p l2/dir/sub"));
	DO(put("l2/kept", ""));
	DO(make_whiteout("l1", "a"));
	DO(make_whiteout("l1", "dir"));
	DO(make_whiteout("l1", "nowhere"));
	DO(mount_union("up:l1:l2"));

	ASSERT_STREQ("kept", ls("mnt"));
	FAILS(ENOENT, access("mnt/a", F_OK));
	FAILS(ENOENT, access("mnt/dir/sub", F_OK));
	FAILS(ENOENT, access("mnt/nowhere", F_OK));
}

TEST_F(names, a_whiteout_does_not_hide_what_is_to_its_left)
{
	DO(put("l1/a", "left"));
	DO(make_whiteout("l2", "a"));
	DO(put("l3/a", "right"));
	DO(mount_union("up:l1:l2:l3"));

	HAS("mnt/a", "left");
}

TEST_F(names, an_opaque_directory_hides_its_right_parts)
{
	DO(run("mkdir -p l1/d l2/d l3/d"));
	DO(make_opaque("l2/d"));
	DO(put("l1/d/1", ""));
	DO(put("l2/d/2", ""));
	DO(put("l3/d/3", ""));
	DO(mount_union("up:l1:l2:l3"));

	ASSERT_STREQ("1 2", ls("mnt/d"));
	FAILS(ENOENT, access("mnt/d/3", F_OK));
}

TEST_F(names, dot_dot_leads_back_to_the_union)
{
	struct stat root, up;

	DO(mkdir("l1/d", 0755));
	DO(mount_union("up:l1"));
	DO(stat("mnt", &root));
	DO(stat("mnt/d/..", &up));
	ASSERT_EQ(root.st_ino, up.st_ino);
	ASSERT_EQ(root.st_dev, up.st_dev);
}

TEST_F(names, 64_branches_show_each_name_once)
{
	static const unsigned int counts[] = { 1, 2, 16, 64 };
	char path[64], text[16], want[4096];
	unsigned int c, i;

	for (c = 0; c < ARRAY_SIZE(counts); c++) {
		const char *list = many_branches(_metadata, counts[c]);

		/* Everybody has "same"; each has one of its own. */
		for (i = 0; i < counts[c]; i++) {
			snprintf(text, sizeof(text), "%u", i);
			snprintf(path, sizeof(path), "b%u/same", i);
			DO(put(path, text));
			snprintf(path, sizeof(path), "b%u/n%02u", i, i);
			DO(put(path, text));
		}
		DO(mount_union(list));
		want[0] = '\0';
		for (i = 0; i < counts[c]; i++) {
			snprintf(path, sizeof(path), "n%02u ", i);
			strcat(want, path);
			snprintf(path, sizeof(path), "mnt/n%02u", i);
			snprintf(text, sizeof(text), "%u", i);
			HAS(path, text);
		}
		strcat(want, "same");
		ASSERT_STREQ(want, ls("mnt"));
		HAS("mnt/same", "0");
		FAILS(ENOENT, access("mnt/absent", F_OK));
		DO(umount("mnt"));
	}
}

/* 300 names in each of two branches, 100 of them in both. */
static int two_big_directories(void)
{
	return run("cd l1 && seq -f name-with-some-length-%%03g 0 299 |"
		   "xargs touch") ?:
	       run("cd l2 && seq -f name-with-some-length-%%03g 200 499 |"
		   "xargs touch");
}

struct dirent64_ {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

TEST_F(names, small_buffers_get_every_name_once)
{
	static const unsigned int sizes[] = { 64, 100, 512 };
	unsigned int s, i;

	DO(two_big_directories());
	DO(mount_union("up:l1:l2"));
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		int fd = open("mnt", O_RDONLY | O_DIRECTORY);
		unsigned int seen[500] = {}, dots = 0;
		char buf[512];
		long len, at;

		ASSERT_LE(0, fd);
		while ((len = syscall(SYS_getdents64, fd, buf, sizes[s])) > 0) {
			for (at = 0; at < len;) {
				struct dirent64_ *de = (void *)(buf + at);

				at += de->reclen;
				if (de->name[0] == '.') {
					dots++;
					continue;
				}
				ASSERT_EQ(1, sscanf(de->name, "name-with-some-length-%u", &i));
				ASSERT_LT(i, 500);
				seen[i]++;
			}
		}
		ASSERT_EQ(0, len);
		ASSERT_EQ(2, dots);
		for (i = 0; i < 500; i++)
			ASSERT_EQ(1, seen[i]);
		close(fd);
	}
}

TEST_F(names, seekdir_goes_back_to_what_telldir_told)
{
	char names[502][NAME_MAX + 1];
	long at[502];
	unsigned int count = 0, i;
	struct dirent *de;
	DIR *dir;

	DO(two_big_directories());
	DO(mount_union("up:l1:l2"));
	dir = opendir("mnt");
	ASSERT_NE(NULL, dir);
	for (;;) {
		long pos = telldir(dir);

		de = readdir(dir);
		if (!de)
			break;
		ASSERT_LT(count, 502);
		at[count] = pos;
		strcpy(names[count++], de->d_name);
	}
	ASSERT_EQ(502, count);
	for (i = 0; i < count; i += 37) {
		seekdir(dir, at[i]);
		de = readdir(dir);
		ASSERT_NE(NULL, de);
		ASSERT_STREQ(names[i], de->d_name);
	}
	closedir(dir);
}

TEST_F(names, rewinddir_shows_what_is_new)
{
	struct dirent *de;
	bool seen = false;
	DIR *dir;

	DO(put("l1/old", ""));
	DO(mount_union("up:l1"));
	dir = opendir("mnt");
	ASSERT_NE(NULL, dir);
	while (readdir(dir))
		;
	DO(put("mnt/new", ""));
	DO(unlink("mnt/old"));
	rewinddir(dir);
	while ((de = readdir(dir))) {
		ASSERT_STRNE("old", de->d_name);
		seen |= !strcmp(de->d_name, "new");
	}
	ASSERT_TRUE(seen);
	closedir(dir);
}

TEST_F(names, names_can_be_removed_while_reading)
{
	unsigned int removed = 0;
	struct dirent *de;
	char path[512];
	DIR *dir;

	DO(two_big_directories());
	DO(mount_union("up:l1:l2"));
	dir = opendir("mnt");
	ASSERT_NE(NULL, dir);
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "mnt/%s", de->d_name);
		DO(unlink(path));
		removed++;
	}
	closedir(dir);
	ASSERT_EQ(500, removed);
	ASSERT_STREQ("", ls("mnt"));
}

TEST_F(names, the_type_in_a_directory_is_that_of_stat)
{
	struct dirent *de;
	struct stat st;
	char path[512];
	DIR *dir;

	DO(mkdir("l1/dir", 0755));
	DO(put("l1/file", ""));
	DO(symlink("file", "l2/link"));
	DO(mkfifo("l2/fifo", 0644));
	DO(mknod("l2/null", S_IFCHR | 0644, makedev(1, 3)));
	DO(put("up/top", ""));
	DO(mount_union("up:l1:l2"));
	dir = opendir("mnt");
	ASSERT_NE(NULL, dir);
	while ((de = readdir(dir))) {
		snprintf(path, sizeof(path), "mnt/%s", de->d_name);
		DO(lstat(path, &st));
		if (de->d_type != DT_UNKNOWN)
			ASSERT_EQ(IFTODT(st.st_mode), de->d_type);
	}
	closedir(dir);
}

TEST_F(names, numbers_are_unique_and_d_ino_is_st_ino)
{
	ino_t seen[64];
	unsigned int count = 0, i;
	struct dirent *de;
	struct stat st, root;
	char path[512];
	DIR *dir;

	/* On every branch of its own the same numbers are likely. */
	DO(run("touch up/a l1/b l2/c l3/d; mkdir up/e l1/f l1/e l2/e l3/e"));
	DO(mount_union("up:l1:l2:l3"));
	DO(stat("mnt", &root));
	dir = opendir("mnt");
	ASSERT_NE(NULL, dir);
	while ((de = readdir(dir))) {
		if (!strcmp(de->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "mnt/%s", de->d_name);
		DO(lstat(path, &st));
		ASSERT_EQ(st.st_ino, de->d_ino) {
			TH_LOG("%s", de->d_name);
		}
		ASSERT_EQ(root.st_dev, st.st_dev);
		for (i = 0; i < count; i++)
			ASSERT_NE(seen[i], st.st_ino);
		seen[count++] = st.st_ino;
	}
	closedir(dir);
	ASSERT_EQ(7, count);
}

TEST_F(names, numbers_are_unique_over_different_file_systems)
{
	const char *other = scratch_on(strcmp(variant->fs, "ext4") ? "ext4" :
				       "tmpfs");
	struct stat a, b;
	char dir[256];
	unsigned int i;
	char list[512], name[300];

	NOT_ON_OVERLAY("st_dev of files is the branch's");
	snprintf(dir, sizeof(dir), "%s/numbers-%s", other, variant->fs);
	DO(mkdir(dir, 0755));
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "l1/a%u", i);
		DO(put(name, ""));
		snprintf(name, sizeof(name), "%s/b%u", dir, i);
		DO(put(name, ""));
	}
	snprintf(list, sizeof(list), "up:l1:%s", dir);
	DO(mount_union(list));
	for (i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "mnt/a%u", i % 20);
		DO(stat(name, &a));
		snprintf(name, sizeof(name), "mnt/b%u", i / 20);
		DO(stat(name, &b));
		ASSERT_EQ(a.st_dev, b.st_dev);
		ASSERT_NE(a.st_ino, b.st_ino);
	}
}

TEST_F(names, the_number_stays_while_mounted)
{
	struct stat before, after;

	DO(put("l1/file", "text"));
	DO(mkdir("l1/dir", 0755));
	DO(mount_union("up:l1"));
	DO(stat("mnt/file", &before));
	DO(add("mnt/file", " more"));
	DO(stat("mnt/file", &after));
	ASSERT_EQ(before.st_ino, after.st_ino);
	DO(stat("mnt/dir", &before));
	DO(chmod("mnt/dir", 0700));
	DO(stat("mnt/dir", &after));
	ASSERT_EQ(before.st_ino, after.st_ino);
}

TEST_F(names, a_merged_directory_has_one_link)
{
	struct stat st;

	DO(run("mkdir -p up/d/a l1/d/b"));
	DO(mount_union("up:l1"));
	DO(stat("mnt/d", &st));
	ASSERT_EQ(1, st.st_nlink);
}

/* Names of that many bytes, in two branches and new. */
TEST_F(names, the_longest_names_can_be_made_and_removed)
{
	static const unsigned int lengths[] = { 250, 251, 252, 254, 255 };
	char name[257], lower[300], path[300];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(name, 'n', lengths[i]);
		name[lengths[i]] = '\0';
		snprintf(lower, sizeof(lower), "l1/%s", name);
		DO(put(lower, "lower"));
	}
	DO(mount_union("up:l1"));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(name, 'n', lengths[i]);
		name[lengths[i]] = '\0';
		snprintf(path, sizeof(path), "mnt/%s", name);
		HAS(path, "lower");
		DO(unlink(path));
		FAILS(ENOENT, access(path, F_OK));
		DO(mkdir(path, 0755));
		ASSERT_STREQ("", ls(path));
		DO(rmdir(path));
		FAILS(ENOENT, access(path, F_OK));
		DO(put(path, "new"));
		HAS(path, "new");
		DO(unlink(path));
	}
	ASSERT_STREQ("", ls("mnt"));
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	ASSERT_STREQ("", ls("mnt"));
}

TEST_F(names, longer_names_are_enametoolong)
{
	char path[300] = "mnt/";

	memset(path + 4, 'n', 256);
	DO(mount_union("up:l1"));
	FAILS(ENAMETOOLONG, access(path, F_OK));
	FAILS(ENAMETOOLONG, put(path, ""));
	FAILS(ENAMETOOLONG, mkdir(path, 0755));
	FAILS(ENAMETOOLONG, unlink(path));
	FAILS(ENAMETOOLONG, symlink("x", path));
}

TEST_F(names, names_of_the_format_are_hidden_and_refused)
{
	static const char * const reserved[] = {
		".wh.", ".wh.x", ".wh..wh.x", ".wh..wh.mica", ".wh..wh..opq",
		".wh..wh.plnk", ".wh.__dir_opaque",
	};
	char path[64];
	unsigned int i;

	NOT_ON_OVERLAY("such names are ordinary");
	DO(run("touch l2/.wh. l1/.wh.y l1/.wh..wh.aufs l1/.whx l1/wh.z && "
	       "mkdir l1/.wh.dir"));
	DO(put("l2/y", "hidden"));
	DO(put("l2/dir", "not hidden by a directory"));
	DO(mount_union("up:l1:l2"));
	ASSERT_STREQ(".whx dir wh.z", ls("mnt"));
	for (i = 0; i < ARRAY_SIZE(reserved); i++) {
		snprintf(path, sizeof(path), "mnt/%s", reserved[i]);
		FAILS(ENOENT, access(path, F_OK));
		FAILS(ENOENT, unlink(path));
		FAILS(EPERM, put(path, ""));
		FAILS(EPERM, mkdir(path, 0755));
		FAILS(EPERM, symlink("x", path));
		FAILS(EPERM, mkfifo(path, 0644));
		FAILS(EPERM, link("mnt/dir", path));
		FAILS(EPERM, rename("mnt/dir", path));
	}
	ASSERT_STREQ(".whx dir wh.z", ls("mnt"));
}

TEST_F(names, absent_names_are_enoent_until_they_are_made)
{
	DO(run("mkdir l1/d l2/d"));
	DO(mount_union("up:l1:l2"));
	FAILS(ENOENT, access("mnt/x", F_OK));
	FAILS(ENOENT, access("mnt/d/x", F_OK));
	FAILS(ENOENT, access("mnt/x/y", F_OK));
	FAILS(ENOENT, open("mnt/d/x", O_RDONLY));
	DO(put("mnt/d/x", "now"));
	HAS("mnt/d/x", "now");
	FAILS(ENOTDIR, access("mnt/d/x/y", F_OK));
	DO(unlink("mnt/d/x"));
	FAILS(ENOENT, access("mnt/d/x", F_OK));
}

/* As rm -r in one thread and a shell in another may do it. */
TEST_F(names, two_readers_have_their_own_lists)
{
	struct dirent *de;
	unsigned int n = 0;
	DIR *a, *b;

	DO(two_big_directories());
	DO(mount_union("up:l1:l2"));
	a = opendir("mnt");
	b = opendir("mnt");
	ASSERT_NE(NULL, a);
	ASSERT_NE(NULL, b);
	for (n = 0; n < 10; n++)
		ASSERT_NE(NULL, readdir(a));
	DO(run("rm -r mnt/*"));
	while ((de = readdir(b)))
		ASSERT_EQ('.', de->d_name[0]);
	/* An open list may still tell of what is gone, but it ends. */
	while (readdir(a))
		ASSERT_GT(1000, ++n);
	closedir(a);
	closedir(b);
}

TEST_HARNESS_MAIN
