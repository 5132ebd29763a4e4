// SPDX-License-Identifier: GPL-2.0-only
/* Inode numbers: each its own, and for ever the same. */
#include <dirent.h>
#include <ftw.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(number);

static const char * const forms[] = { "dot", "overlay" };

#define MAX_NAMES 64

/* All names below mnt with their numbers. */
static struct name {
	char path[64];
	ino_t ino;
} names[2][MAX_NAMES];
static int nr_names[2];
static int now;

/* What readdir says is what stat says. */
static int check_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	struct stat st;
	int err = !dir;

	while (dir && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW))
			err = 1;
		else if (st.st_ino == d->d_ino)
			continue;
		printf("# %s/%s: readdir %#llx, stat %#llx\n", path, d->d_name,
		       (long long)d->d_ino, (long long)st.st_ino);
		err = 1;
	}
	if (dir)
		closedir(dir);
	return err;
}

static int note(const char *path, const struct stat *st, int type,
		struct FTW *ftw)
{
	struct name *n = &names[now][nr_names[now]];
	int i, err = 0;

	if (nr_names[now] == MAX_NAMES || type == FTW_NS || type == FTW_DNR)
		return 1;
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->ino = st->st_ino;
	for (i = 0; i < nr_names[now]; i++)
		if (names[now][i].ino == n->ino &&
		    (S_ISDIR(st->st_mode) || st->st_nlink == 1)) {
			printf("# %s and %s have one number\n", path,
			       names[now][i].path);
			err = 1;
		}
	nr_names[now]++;
	return err || (type == FTW_D && check_dir(path));
}

static int note_all(void)
{
	nr_names[now] = 0;
	errno = 0;
	return nftw("mnt", note, 16, FTW_PHYS) ? -1 : 0;
}

/* What was there the last time and is there now has the same number. */
static int all_the_same(const char *when)
{
	int i, j, err = 0, both = 0;

	now = !now;
	if (note_all())
		return -1;
	for (i = 0; i < nr_names[0]; i++) {
		for (j = 0; j < nr_names[1]; j++) {
			if (strcmp(names[0][i].path, names[1][j].path))
				continue;
			both++;
			if (names[0][i].ino == names[1][j].ino)
				continue;
			printf("# %s: %s was %#llx, is %#llx\n", when,
			       names[now][now ? j : i].path,
			       (long long)names[!now][now ? i : j].ino,
			       (long long)names[now][now ? j : i].ino);
			err = 1;
		}
	}
	errno = EBADMSG;
	return err || both < 5 ? -1 : 0;
}

static int mount_in_form(const char *branches, const char *form)
{
	char option[32];

	if (on_overlay)
		return mount_union(branches);
	snprintf(option, sizeof(option), "whiteout=%s", form);
	return mount_union_with(branches, option);
}

static int remount(const char *branches, const char *form)
{
	return umount("mnt") ?: mount_in_form(branches, form);
}

static int make_layers(void)
{
	return run("rm -rf up work l1 l2 l3 && mkdir -p up work l1/d/sub l2/d/sub "
		   "l2/e l3 && cd l1 && touch f d/a d/b d/sub/c && "
		   "ln -s nowhere link && mkfifo fifo && cd ../l2 && "
		   "touch g d/x d/y d/sub/z e/e && mknod null c 1 3");
}

TEST_F(number, copies_and_what_is_above_them_keep_their_numbers)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(make_layers());
		DO(mount_in_form("up:l1:l2", forms[i]));
		DO(note_all());
		DO(add("mnt/f", "x"));
		DO(add("mnt/d/sub/z", "x"));
		DO(chmod("mnt/e", 0700));
		DO(lchown("mnt/link", 1, 1));
		DO(chmod("mnt/fifo", 0600));
		DO(chmod("mnt/null", 0600));
		DO(put("mnt/d/new", ""));
		DO(all_the_same("after copy-up"));
		DO(drop_caches());
		DO(all_the_same("without caches"));
		DO(rename("mnt/f", "mnt/d/f"));
		DO(rename("mnt/d/f", "mnt/f"));
		DO(rename("mnt/d", "mnt/n"));
		DO(rename("mnt/n", "mnt/d"));
		DO(all_the_same("after renames"));
		DO(remount("up:l1:l2", forms[i]));
		DO(all_the_same("after a remount"));
		NOT_ON_OVERLAY("numbers of merged directories change");
		DO(remount("l3:up:l1:l2", forms[i]));
		DO(all_the_same("with a branch to the left"));
		DO(add("mnt/f", "y"));
		DO(add("mnt/d/a", "y"));
		DO(all_the_same("after a copy of the copy"));
		DO(remount("l3:up:l1:l2", forms[i]));
		DO(all_the_same("after a remount"));
		DO(umount("mnt"));
	}
}

TEST_F(number, a_renamed_copy_takes_its_number_along)
{
	struct stat before, after;
	char path[300];

	DO(make_layers());
	DO(mount_union("up:l1:l2"));
	DO(stat("mnt/f", &before));
	DO(rename("mnt/f", "mnt/e/moved"));
	DO(link("mnt/e/moved", "mnt/d/linked"));
	DO(umount("mnt"));
	DO(mount_union("up:l1:l2"));
	DO(stat("mnt/e/moved", &after));
	ASSERT_EQ(before.st_ino, after.st_ino);
	DO(drop_caches());
	DO(stat("mnt/d/linked", &after));
	ASSERT_EQ(before.st_ino, after.st_ino);
	DO(check_dir("mnt/e") | check_dir("mnt/d"));
	snprintf(path, sizeof(path), "mnt/d/linked");
	DO(unlink(path));
}

/* File systems that number their files alike, and their order changed. */
TEST_F(number, branches_on_other_file_systems)
{
	const char *other = scratch_on(strcmp(variant->fs, "ext4") ? "ext4" :
								     "xfs");
	char options[2 * PATH_MAX], cwd[PATH_MAX / 4];

	NOT_ON_OVERLAY("without xino numbers change");
	ASSERT_NE(NULL, other);
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	DO(make_layers());
	DO(run("d=$(mktemp -d %s/XXXXXX) && chmod 755 $d && ln -s $d far && "
	       "cp -a l2 far/ && mkdir far/l0 && touch far/l0/l0", other));
	snprintf(options, sizeof(options), "dirs=%s/up=rw:%s/l1:%s/far/l2", cwd,
		 cwd, cwd);
	DO(mount("none", "mnt", "mica", 0, options));
	DO(note_all());
	DO(add("mnt/f", "x"));
	DO(add("mnt/g", "x"));
	DO(add("mnt/d/y", "x"));
	DO(all_the_same("after copy-up"));
	DO(umount("mnt"));
	snprintf(options, sizeof(options),
		 "dirs=%s/far/l0=ro:%s/up=rw:%s/l1:%s/far/l2", cwd, cwd, cwd,
		 cwd);
	DO(mount("none", "mnt", "mica", 0, options));
	DO(all_the_same("with the other file system to the left"));
	DO(umount("mnt"));
}

TEST_F(number, an_origin_that_is_none_is_ignored)
{
	static const char * const bad[] = {
		"", "x", "\373", "0123456789012345678901234567890123456789",
	};
	unsigned char fh[64] = { 0, 0xfb, 40, 0, 1 };
	struct stat st, up;
	unsigned int i;

	NOT_ON_OVERLAY("it says EIO");
	DO(make_layers());
	DO(put("up/f", "own"));
	DO(set_xattr("up", "trusted.overlay.impure", "y"));
	for (i = 0; i < 40; i++) {
		DO(i < ARRAY_SIZE(bad) ?
		   set_xattr("up/f", "trusted.overlay.origin", bad[i]) :
		   setxattr("up/f", "trusted.overlay.origin", fh, i + 5, 0));
		fh[2] = i + 6;
		fh[4] = i;
		fh[21 + i % 20] ^= i;
		DO(mount_union("up:l1"));
		HAS("mnt/f", "own");
		DO(stat("mnt/f", &st) | stat("up/f", &up));
		ASSERT_EQ(up.st_ino, st.st_ino);
		DO(check_dir("mnt"));
		DO(umount("mnt"));
	}
}

/* A handle is some whole words. */
TEST_F(number, an_origin_that_is_too_long_is_ignored)
{
	unsigned char fh[255] = { 0, 0xfb, 0, 0, 1 };
	struct stat st, up;
	int len;

	NOT_ON_OVERLAY("it says EIO");
	DO(make_layers());
	DO(put("up/f", "own"));
	DO(set_xattr("up", "trusted.overlay.impure", "y"));
	memset(fh + 21, 0xaa, sizeof(fh) - 21);
	for (len = 250; len <= 255; len++) {
		fh[2] = len;
		DO(setxattr("up/f", "trusted.overlay.origin", fh, len, 0));
		DO(mount_union("up:l1"));
		HAS("mnt/f", "own");
		DO(stat("mnt/f", &st) | stat("up/f", &up));
		ASSERT_EQ(up.st_ino, st.st_ino);
		DO(umount("mnt"));
	}
}

/* In a directory whose numbers come from elsewhere, read in small pieces. */
TEST_F(number, a_name_removed_while_it_is_read_has_no_other_number)
{
	ino_t before[100], seen;
	struct stat st;
	struct dirent64 *d;
	char name[32], buf[300];
	int fd, i, removed = 0;
	long len, at;

	DO(run("mkdir up/d && cd l1 && touch $(seq -f f%%g 0 99)"));
	DO(mount_union("up:l1"));
	DO(run("mv mnt/f* mnt/d"));
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "mnt/d/f%d", i);
		DO(stat(name, &st));
		before[i] = st.st_ino;
	}
	fd = open("mnt/d", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	while ((len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < len; at += d->d_reclen) {
			d = (struct dirent64 *)(buf + at);
			seen = d->d_ino;
			if (sscanf(d->d_name, "f%d", &i) == 1)
				ASSERT_EQ(before[i], seen);
		}
		/* Half of them, from the end, where it has not been yet. */
		for (i = 99; !removed && i >= 0; i -= 2) {
			snprintf(name, sizeof(name), "f%d", i);
			DO(unlinkat(fd, name, 0));
		}
		removed = 1;
	}
	ASSERT_EQ(0, len);
	DO(close(fd));
}

/* The part that came last is where the redirect leads. */
TEST_F(number, of_a_renamed_directory_with_parts_in_two_writable_branches)
{
	static const char options[] = "dirs=up=rw:l1=rw,create=rr";
	struct stat before, after;

	NOT_ON_OVERLAY("one writable branch");
	DO(run("mkdir -p up/c/e up/new"));
	DO(mount_mica(options, "mnt"));
	/* The first goes to up, the second to l1. */
	DO(put("mnt/x", "") ?: put("mnt/c/e/y", ""));
	DO(access("l1/c/e/y", F_OK) ?: stat("mnt/c/e", &before));
	DO(rename("mnt/c/e", "mnt/new/e"));
	DO(umount("mnt") ?: mount_mica(options, "mnt"));
	DO(stat("mnt/new/e", &after) ?: check_dir("mnt/new"));
	ASSERT_EQ(before.st_ino, after.st_ino);
}

/* As long as it is in memory it has the number of a file that is no more. */
TEST_F(number, of_what_a_rename_takes_from_a_writable_branch_to_another)
{
	struct stat before, after;

	NOT_ON_OVERLAY("one writable branch");
	DO(run("mkdir up/c l1/d && touch l1/d/f"));
	DO(mount_mica("dirs=up=rw:l1=rw", "mnt"));
	DO(stat("mnt/d/f", &before) ?: rename("mnt/d/f", "mnt/c/f"));
	FAILS(ENOENT, access("l1/d/f", F_OK));
	DO(stat("mnt/c/f", &after) ?: check_dir("mnt/c"));
	ASSERT_EQ(before.st_ino, after.st_ino);
	DO(umount("mnt") ?: mount_mica("dirs=up=rw:l1=rw", "mnt"));
	DO(check_dir("mnt/c"));
}

TEST_HARNESS_MAIN
