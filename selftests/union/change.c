// SPDX-License-Identifier: GPL-2.0-only
/* Making, removing and renaming. */
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(change);

/* The forms in which whiteouts are written. */
static const char * const forms[] = { "dot", "overlay" };

static int mount_in_form(const char *form)
{
	char option[32];

	if (on_overlay)
		return mount_union("up:l1");
	snprintf(option, sizeof(option), "whiteout=%s", form);
	return mount_union_with("up:l1", option);
}

TEST_F(change, everything_that_is_made_is_in_the_rw_branch)
{
	struct stat st;

	DO(mount_union("up:l1"));
	DO(put("mnt/file", "text"));
	DO(mkdir("mnt/dir", 0750));
	DO(symlink("nowhere", "mnt/link"));
	DO(mkfifo("mnt/fifo", 0640));
	DO(mknod("mnt/null", S_IFCHR | 0600, makedev(1, 3)));
	DO(mknod("mnt/sock", S_IFSOCK | 0600, 0));

	ASSERT_STREQ("dir fifo file link null sock", ls("mnt"));
	ASSERT_STREQ("dir fifo file link null sock", ls("up"));
	HAS("up/file", "text");
	ASSERT_EQ(S_IFDIR | 0750, mode_of("mnt/dir"));
	ASSERT_EQ(S_IFLNK | 0777, mode_of("mnt/link"));
	ASSERT_EQ(S_IFIFO | 0640, mode_of("mnt/fifo"));
	DO(stat("mnt/null", &st));
	ASSERT_EQ(makedev(1, 3), st.st_rdev);
	DO(put("mnt/null", "gone"));
}

TEST_F(change, a_missing_parent_is_made_with_its_attributes)
{
	struct timespec times[2] = { { 1000, 0 }, { 2000, 5000 } };

	DO(run("mkdir -p l1/a/b/c"));
	DO(chmod("l1/a", 01770));
	DO(chown("l1/a/b", 12, 34));
	DO(utimensat(AT_FDCWD, "l1/a", times, 0));
	DO(mount_union("up:l1"));
	DO(put("mnt/a/b/c/file", ""));
	DO(same_attributes("up/a", "l1/a"));
	ASSERT_EQ(mode_of("l1/a/b"), mode_of("up/a/b"));
	ASSERT_STREQ("", ls("l1/a/b/c"));
}

TEST_F(change, what_exists_in_any_branch_cannot_be_made_again)
{
	DO(put("l1/file", ""));
	DO(mkdir("l1/dir", 0755));
	DO(mount_union("up:l1"));
	FAILS(EEXIST, mkdir("mnt/file", 0755));
	FAILS(EEXIST, mkdir("mnt/dir", 0755));
	FAILS(EEXIST, symlink("x", "mnt/file"));
	FAILS(EEXIST, mkfifo("mnt/dir", 0644));
	FAILS(EEXIST, link("mnt/file", "mnt/dir"));
	FAILS(EEXIST, open("mnt/file", O_CREAT | O_EXCL | O_WRONLY, 0644));
	ASSERT_STREQ("", ls("up"));
}

TEST_F(change, no_whiteout_can_be_made_by_hand)
{
	NOT_ON_OVERLAY("it lets one be made");
	DO(mount_union("up:l1"));
	FAILS(EPERM, mknod("mnt/w", S_IFCHR | 0600, makedev(0, 0)));
	ASSERT_STREQ("", ls("mnt"));
	ASSERT_STREQ("", ls("up"));
}

TEST_F(change, a_socket_can_be_connected_to)
{
	struct sockaddr_un addr = { AF_UNIX, "mnt/socket" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);

	DO(mount_union("up:l1"));
	DO(bind(server, (void *)&addr, sizeof(addr)));
	DO(listen(server, 1));
	DO(connect(client, (void *)&addr, sizeof(addr)));
}

TEST_F(change, hard_links_of_one_branch_are_one_file)
{
	struct stat a, b;

	DO(mount_union("up:l1"));
	DO(put("mnt/a", "one"));
	DO(link("mnt/a", "mnt/b"));
	DO(stat("mnt/a", &a));
	DO(stat("mnt/b", &b));
	ASSERT_EQ(a.st_ino, b.st_ino);
	ASSERT_EQ(2, b.st_nlink);
	DO(put("mnt/b", "two"));
	HAS("mnt/a", "two");
	DO(unlink("mnt/a"));
	DO(stat("mnt/b", &b));
	ASSERT_EQ(1, b.st_nlink);
	HAS("mnt/b", "two");
}

TEST_F(change, a_lower_file_can_be_linked)
{
	struct stat a, b;

	DO(put("l1/a", "text"));
	DO(mount_union("up:l1"));
	DO(link("mnt/a", "mnt/b"));
	HAS("mnt/b", "text");
	DO(stat("mnt/a", &a));
	DO(stat("mnt/b", &b));
	ASSERT_EQ(a.st_ino, b.st_ino);
	DO(put("mnt/b", "new"));
	HAS("mnt/a", "new");
	HAS("l1/a", "text");
}

TEST_F(change, unlink_of_a_lower_file_leaves_a_whiteout)
{
	DO(run("mkdir l1/d"));
	DO(put("l1/d/file", "text"));
	DO(mount_union("up:l1"));
	DO(unlink("mnt/d/file"));
	FAILS(ENOENT, access("mnt/d/file", F_OK));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_TRUE(whited_out("up", "d/file"));
	HAS("l1/d/file", "text");
	FAILS(ENOENT, unlink("mnt/d/file"));
}

TEST_F(change, unlink_of_an_upper_file_leaves_nothing)
{
	DO(mount_union("up:l1"));
	DO(put("mnt/file", "text"));
	DO(unlink("mnt/file"));
	ASSERT_STREQ("", ls("mnt"));
	ASSERT_STREQ("", ls("up"));
}

TEST_F(change, an_unlinked_file_can_be_used_on)
{
	char buf[16] = "";
	int fd;

	DO(put("l1/file", "text"));
	DO(mount_union("up:l1"));
	fd = open("mnt/file", O_RDWR);
	ASSERT_LE(0, fd);
	DO(unlink("mnt/file"));
	ASSERT_EQ(4, pread(fd, buf, 16, 0));
	ASSERT_STREQ("text", buf);
	close(fd);
	ASSERT_STREQ("", ls("mnt"));
}

TEST_F(change, the_same_name_can_be_made_and_removed_again_and_again)
{
	unsigned int i;

	DO(put("l1/x", "lower"));
	for (i = 0; i < 10; i++) {
		DO(mount_in_form(forms[i % 2]));
		DO(unlink("mnt/x"));
		ASSERT_TRUE(whited_out("up", "x"));
		DO(mkdir("mnt/x", 0755));
		ASSERT_STREQ("", ls("mnt/x"));
		DO(rmdir("mnt/x"));
		ASSERT_TRUE(whited_out("up", "x"));
		DO(symlink("target", "mnt/x"));
		DO(unlink("mnt/x"));
		DO(mkfifo("mnt/x", 0644));
		DO(unlink("mnt/x"));
		DO(put("mnt/y", "link"));
		DO(link("mnt/y", "mnt/x"));
		HAS("mnt/x", "link");
		DO(unlink("mnt/x"));
		DO(rename("mnt/y", "mnt/x"));
		HAS("mnt/x", "link");
		DO(unlink("mnt/x"));
		DO(put("mnt/x", "upper"));
		HAS("mnt/x", "upper");
		ASSERT_FALSE(whited_out("up", "x"));
		DO(umount("mnt"));
	}
}

TEST_F(change, a_directory_over_a_whiteout_shows_nothing_of_below)
{
	unsigned int i;

	DO(run("mkdir -p l1/d/sub"));
	DO(put("l1/d/old", ""));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(mount_in_form(forms[i]));
		DO(run("rm -r mnt/d"));
		ASSERT_TRUE(whited_out("up", "d"));
		DO(mkdir("mnt/d", 0755));
		ASSERT_STREQ("", ls("mnt/d"));
		FAILS(ENOENT, access("mnt/d/old", F_OK));
		ASSERT_STREQ("old sub", ls("l1/d"));
		ASSERT_TRUE(opaque("up/d"));
		DO(put("mnt/d/new", ""));
		DO(umount("mnt"));
		DO(mount_in_form(forms[i]));
		ASSERT_STREQ("new", ls("mnt/d"));
		DO(umount("mnt"));
	}
}

TEST_F(change, rmdir_wants_a_directory_that_is_empty_in_the_union)
{
	DO(run("mkdir -p l1/lower l1/both up/both l1/empty"));
	DO(put("l1/lower/file", ""));
	DO(put("l1/both/file", ""));
	DO(mount_union("up:l1"));
	FAILS(ENOTEMPTY, rmdir("mnt/lower"));
	FAILS(ENOTEMPTY, rmdir("mnt/both"));
	FAILS(ENOTDIR, rmdir("mnt/both/file"));
	FAILS(EISDIR, unlink("mnt/both"));
	DO(rmdir("mnt/empty"));
	DO(unlink("mnt/both/file"));
	DO(rmdir("mnt/both"));
	ASSERT_STREQ("lower", ls("mnt"));
	ASSERT_TRUE(whited_out("up", "both"));
	ASSERT_TRUE(whited_out("up", "empty"));
}

TEST_F(change, nothing_can_be_made_in_a_removed_directory)
{
	int fd;

	DO(run("mkdir -p l1/d up/d"));
	DO(mount_union("up:l1"));
	fd = open("mnt/d", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	DO(rmdir("mnt/d"));
	FAILS(ENOENT, mkdirat(fd, "sub", 0755));
	FAILS(ENOENT, openat(fd, "file", O_CREAT | O_WRONLY, 0644));
}

/* A rename of one file, in all the places from which and to which it can go. */
static const struct {
	const char *from, *to;
	bool from_lower;
} renames[] = {
	{ "upper", "new", false },
	{ "lower", "new", true },
	{ "upper", "over-upper", false },
	{ "upper", "over-lower", false },
	{ "lower", "over-upper", true },
	{ "lower", "over-lower", true },
	{ "upper", "dir/new", false },
	{ "lower", "dir/new", true },
	{ "dir/lower", "new", true },
	{ "dir/lower", "dir/over-lower", true },
};

TEST_F(change, rename_of_files)
{
	unsigned int c;
	char from[64], to[64];

	/* Each of them, in both forms of whiteouts. */
	for (c = 0; c < 2 * ARRAY_SIZE(renames); c++) {
		unsigned int i = c / 2;
		const char *form = forms[c % 2];

		DO(run("rm -rf up l1 work && mkdir -p up l1/dir work"));
		DO(put("up/upper", "moved"));
		DO(put("l1/lower", "moved"));
		DO(put("l1/dir/lower", "moved"));
		DO(put("up/over-upper", "old"));
		DO(put("l1/over-lower", "old"));
		DO(put("l1/dir/over-lower", "old"));
		DO(mount_in_form(form));
		snprintf(from, sizeof(from), "mnt/%s", renames[i].from);
		snprintf(to, sizeof(to), "mnt/%s", renames[i].to);

		DO(rename(from, to));
		HAS(to, "moved");
		ASSERT_FALSE(there(from)) {
			TH_LOG("%s to %s", from, to);
		}
		ASSERT_EQ(renames[i].from_lower,
			  whited_out("up", renames[i].from)) {
			TH_LOG("%s to %s", from, to);
		}
		DO(umount("mnt"));
		DO(mount_in_form(form));
		HAS(to, "moved");
		ASSERT_FALSE(there(from));
		DO(umount("mnt"));
	}
}

TEST_F(change, rename_noreplace)
{
	DO(put("l1/a", "a"));
	DO(put("l1/b", "b"));
	DO(mount_union("up:l1"));
	FAILS(EEXIST, renameat2(AT_FDCWD, "mnt/a", AT_FDCWD, "mnt/b",
				RENAME_NOREPLACE));
	HAS("mnt/b", "b");
	DO(renameat2(AT_FDCWD, "mnt/a", AT_FDCWD, "mnt/c", RENAME_NOREPLACE));
	HAS("mnt/c", "a");
	DO(unlink("mnt/b"));
	DO(renameat2(AT_FDCWD, "mnt/c", AT_FDCWD, "mnt/b", RENAME_NOREPLACE));
	ASSERT_STREQ("b", ls("mnt"));
}

TEST_F(change, rename_exchange_of_files)
{
	DO(put("up/upper", "upper"));
	DO(put("l1/lower", "lower"));
	DO(mount_union("up:l1"));
	DO(renameat2(AT_FDCWD, "mnt/upper", AT_FDCWD, "mnt/lower",
		     RENAME_EXCHANGE));
	HAS("mnt/upper", "lower");
	HAS("mnt/lower", "upper");
	HAS("l1/lower", "lower");
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	HAS("mnt/upper", "lower");
	HAS("mnt/lower", "upper");
	FAILS(ENOENT, renameat2(AT_FDCWD, "mnt/upper", AT_FDCWD, "mnt/none",
				RENAME_EXCHANGE));
}

TEST_F(change, rename_to_itself_and_to_a_link_of_itself)
{
	DO(put("l1/a", "text"));
	DO(mount_union("up:l1"));
	DO(rename("mnt/a", "mnt/a"));
	ASSERT_STREQ("", ls("up"));
	DO(link("mnt/a", "mnt/b"));
	DO(rename("mnt/a", "mnt/b"));
	ASSERT_STREQ("a b", ls("mnt"));
}

TEST_F(change, rename_of_a_directory_of_the_rw_branch)
{
	unsigned int i;

	DO(mkdir("l1/sub", 0755));
	DO(mkdir("l1/gone", 0755));
	DO(put("l1/gone/old", ""));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(mount_in_form(forms[i]));
		DO(mkdir("mnt/d", 0755));
		DO(put("mnt/d/file", "text"));
		DO(rename("mnt/d", "mnt/sub/e"));
		HAS("mnt/sub/e/file", "text");
		FAILS(EINVAL, rename("mnt/sub", "mnt/sub/e/f"));
		/* And onto a whiteout, whose right part may not come back. */
		DO(run("rm -rf mnt/gone"));
		DO(rename("mnt/sub/e", "mnt/gone"));
		ASSERT_STREQ("file", ls("mnt/gone"));
		ASSERT_STREQ("", ls("mnt/sub"));
		DO(umount("mnt"));
		DO(mount_in_form(forms[i]));
		ASSERT_STREQ("file", ls("mnt/gone"));
		DO(run("rm -r mnt/gone"));
		ASSERT_STREQ("sub", ls("mnt"));
		DO(umount("mnt"));
	}
}

TEST_F(change, rename_of_a_directory_over_an_emptied_one)
{
	unsigned int i;

	DO(mkdir("l1/old", 0755));
	DO(put("l1/old/file", "old"));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(run("rm -rf up work && mkdir up work"));
		DO(mount_in_form(forms[i]));
		DO(mkdir("mnt/new", 0755));
		DO(put("mnt/new/file2", "new"));
		FAILS(ENOTEMPTY, rename("mnt/new", "mnt/old"));
		DO(unlink("mnt/old/file"));
		DO(rename("mnt/new", "mnt/old"));
		ASSERT_STREQ("old", ls("mnt"));
		ASSERT_STREQ("file2", ls("mnt/old"));
		DO(umount("mnt"));
		DO(mount_in_form(forms[i]));
		ASSERT_STREQ("file2", ls("mnt/old"));
		DO(umount("mnt"));
	}
}

TEST_F(change, rename_exchange_of_directories_and_files)
{
	unsigned int i;

	DO(put("l1/file", "lower"));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(run("rm -rf up work && mkdir up work"));
		DO(mount_in_form(forms[i]));
		DO(mkdir("mnt/d", 0755));
		DO(put("mnt/d/x", "in d"));
		DO(mkdir("mnt/e", 0755));
		DO(renameat2(AT_FDCWD, "mnt/d", AT_FDCWD, "mnt/e",
			     RENAME_EXCHANGE));
		HAS("mnt/e/x", "in d");
		DO(renameat2(AT_FDCWD, "mnt/e", AT_FDCWD, "mnt/file",
			     RENAME_EXCHANGE));
		HAS("mnt/e", "lower");
		HAS("mnt/file/x", "in d");
		DO(umount("mnt"));
		DO(mount_in_form(forms[i]));
		HAS("mnt/e", "lower");
		ASSERT_STREQ("x", ls("mnt/file"));
		ASSERT_STREQ("d e file", ls("mnt"));
		DO(umount("mnt"));
	}
}

TEST_F(change, mv_of_a_merged_directory)
{
	DO(run("mkdir -p l1/d/sub"));
	DO(put("l1/d/sub/file", "text"));
	DO(mount_union("up:l1"));
	DO(run("mv mnt/d mnt/e"));
	HAS("mnt/e/sub/file", "text");
	ASSERT_STREQ("e", ls("mnt"));
	HAS("l1/d/sub/file", "text");
}

TEST_F(change, types_must_fit_in_a_rename)
{
	DO(put("l1/file", ""));
	DO(mkdir("l1/dir", 0755));
	DO(mount_union("up:l1"));
	DO(mkdir("mnt/new", 0755));
	FAILS(ENOTDIR, rename("mnt/new", "mnt/file"));
	FAILS(EISDIR, rename("mnt/file", "mnt/dir"));
	FAILS(EXDEV, rename("mnt/file", "l1/file2"));
}

TEST_F(change, without_rw_branch_nothing_changes)
{
	DO(put("l1/file", ""));
	DO(mkdir("l1/dir", 0755));
	DO(mount_union_ro("l1:l2"));
	FAILS(EROFS, put("mnt/new", ""));
	FAILS(EROFS, mkdir("mnt/new", 0755));
	FAILS(EROFS, unlink("mnt/file"));
	FAILS(EROFS, rmdir("mnt/dir"));
	FAILS(EROFS, rename("mnt/file", "mnt/new"));
	FAILS(EROFS, link("mnt/file", "mnt/new"));
	FAILS(EROFS, symlink("file", "mnt/new"));
	FAILS(EROFS, chmod("mnt/file", 0600));
	FAILS(EROFS, truncate("mnt/file", 0));
}

/* A union of two rw branches with a ro one between and below. */
static int mount_two_rw(void)
{
	char options[4096];

	snprintf(options, sizeof(options), "dirs=%s=rw:%s=ro:%s=rw:%s=ro",
		 here("up"), here("l1"), here("l2"), here("l3"));
	return mount_mica(options, here("mnt"));
}

TEST_F(change, a_new_name_goes_to_the_branch_of_its_directory)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(run("mkdir up/u l1/r l2/w l3/b"));
	DO(mount_two_rw());
	DO(put("mnt/top", ""));
	DO(put("mnt/u/f", ""));
	DO(put("mnt/r/f", ""));
	DO(put("mnt/w/f", ""));
	DO(mkdir("mnt/w/d", 0755));
	DO(put("mnt/w/d/g", ""));
	DO(put("mnt/b/f", ""));
	ASSERT_STREQ("r top u", ls("up"));
	ASSERT_STREQ("f", ls("up/u"));
	ASSERT_STREQ("f", ls("up/r"));
	ASSERT_STREQ("b w", ls("l2"));
	ASSERT_STREQ("d f", ls("l2/w"));
	ASSERT_STREQ("g", ls("l2/w/d"));
	ASSERT_STREQ("f", ls("l2/b"));
	ASSERT_STREQ("r", ls("l1"));
	ASSERT_STREQ("b", ls("l3"));
}

TEST_F(change, unlink_removes_every_instance_that_can_be_removed)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(run("touch up/a l2/a up/b l1/b l2/b l2/c l3/c up/d l3/d l2/e"));
	DO(mount_two_rw());
	DO(run("cd mnt && rm a b c d e"));
	ASSERT_STREQ("", ls("mnt"));
	ASSERT_FALSE(there("up/a") || there("l2/a"));
	ASSERT_FALSE(whited_out("up", "a") || whited_out("l2", "a"));
	ASSERT_FALSE(there("up/b"));
	ASSERT_TRUE(whited_out("up", "b"));
	ASSERT_FALSE(there("l2/c"));
	ASSERT_TRUE(whited_out("up", "c") || whited_out("l2", "c"));
	ASSERT_FALSE(there("up/d"));
	ASSERT_TRUE(whited_out("up", "d") || whited_out("l2", "d"));
	ASSERT_FALSE(there("l2/e"));
	ASSERT_STREQ("b", ls("l1"));
	ASSERT_STREQ("c d", ls("l3"));
	DO(umount("mnt"));
	DO(mount_two_rw());
	ASSERT_STREQ("", ls("mnt"));
}

TEST_F(change, rename_between_two_rw_branches)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(run("mkdir up/u l2/w l2/w/sub"));
	DO(put("up/u/a", "from up"));
	DO(put("l2/w/b", "from l2"));
	DO(mount_two_rw());
	DO(rename("mnt/u/a", "mnt/w/a"));
	HAS("mnt/w/a", "from up");
	DO(rename("mnt/w/b", "mnt/u/b"));
	HAS("mnt/u/b", "from l2");
	ASSERT_STREQ("b", ls("mnt/u"));
	ASSERT_STREQ("a sub", ls("mnt/w"));
	DO(rename("mnt/w/sub", "mnt/u/sub"));
	ASSERT_STREQ("b sub", ls("mnt/u"));
	DO(umount("mnt"));
	DO(mount_two_rw());
	ASSERT_STREQ("b sub", ls("mnt/u"));
	ASSERT_STREQ("a", ls("mnt/w"));
	HAS("mnt/w/a", "from up");
	HAS("mnt/u/b", "from l2");
}

TEST_F(change, a_descriptor_goes_along_with_every_copy)
{
	char text[32] = "";
	int from, to;

	NOT_ON_OVERLAY("one rw branch");
	DO(mkdir("up/u", 0755));
	DO(put("l3/f", "one"));
	DO(mount_two_rw());
	from = open("mnt/f", O_RDONLY);
	to = open("mnt/f", O_RDWR);
	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	DO(add("mnt/f", " two"));
	HAS("l2/f", "one two");
	ASSERT_EQ(7, pread(from, text, sizeof(text), 0));
	DO(rename("mnt/f", "mnt/u/f"));
	HAS("up/u/f", "one two");
	DO(add("mnt/u/f", " three"));
	ASSERT_EQ(13, pread(from, text, sizeof(text), 0));
	ASSERT_STREQ("one two three", text);
	ASSERT_EQ(3, pwrite(to, "ONE", 3, 0));
	DO(fsync(to));
	ASSERT_EQ(13, pread(from, text, sizeof(text), 0));
	ASSERT_STREQ("ONE two three", text);
	HAS("up/u/f", "ONE two three");
	DO(close(from));
	DO(close(to));
}

TEST_F(change, a_file_of_the_right_rw_branch_is_changed_where_it_is)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(put("l2/f", "f"));
	DO(put("l1/g", "g"));
	DO(put("l3/h", "h"));
	DO(mount_two_rw());
	DO(add("mnt/f", "+"));
	DO(add("mnt/g", "+"));
	DO(add("mnt/h", "+"));
	HAS("l2/f", "f+");
	HAS("up/g", "g+");
	HAS("l2/h", "h+");
	ASSERT_STREQ("g", ls("up"));
}

TEST_HARNESS_MAIN
