// SPDX-License-Identifier: GPL-2.0-only
/* On-disk forms of whiteouts and opaque directories, read and written. */
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(layers);

static int device_whiteout(const char *path)
{
	return mknod(path, S_IFCHR, makedev(0, 0));
}

/* A small tree in the layer l2, and what a layer above makes of it. */
static int base(void)
{
	return mkdir("l2/d", 0755) || put("l2/d/a", "a2") ||
	       put("l2/d/b", "b2") || put("l2/f", "f2") ||
	       put("l2/g", "g2") || mkdir("l2/d/sub", 0755) ||
	       put("l2/d/sub/x", "x2");
}

TEST_F(layers, an_oci_layer_as_tar_unpacks_it)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, run("mkdir -p t/d/sub && touch t/.wh.f t/d/.wh.a "
			 "t/d/sub/.wh..wh..opq t/d/sub/new && tar -C t -cf "
			 "t.tar . && tar -C l1 -xf t.tar"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("d g", ls("mnt"));
	ASSERT_STREQ("b sub", ls("mnt/d"));
	ASSERT_STREQ("new", ls("mnt/d/sub"));
	FAILS(ENOENT, access("mnt/f", F_OK));
	FAILS(ENOENT, access("mnt/d/sub/x", F_OK));
}

TEST_F(layers, an_upper_directory_of_overlayfs)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, run("mount -t overlay -o "
			 "lowerdir=l2,upperdir=l1,workdir=work o mnt && rm "
			 "mnt/f mnt/d/a && rm -r mnt/d/sub && mkdir "
			 "mnt/d/sub && touch mnt/d/sub/new && umount mnt"));
	ASSERT_EQ(S_IFCHR, mode_of("l1/f") & S_IFMT);
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("d g", ls("mnt"));
	ASSERT_STREQ("b sub", ls("mnt/d"));
	ASSERT_STREQ("new", ls("mnt/d/sub"));
	FAILS(ENOENT, access("mnt/f", F_OK));
}

TEST_F(layers, overlayfs_reads_what_was_written_in_its_form)
{
	static const char * const trees[] = { "mnt", "mnt/d", "mnt/d/sub" };
	char *before[3];
	int i;

	ASSERT_EQ(0, base());
	ASSERT_EQ(0, run("mount -t mica -o "
			 "lowerdir=$PWD/l2,upperdir=$PWD/up,workdir=$PWD/work "
			 "none mnt"));
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_EQ(0, run("rm -r mnt/d/sub && mkdir mnt/d/sub && touch "
			 "mnt/d/sub/new"));
	ASSERT_EQ(0, rename("mnt/g", "mnt/d/g"));
	ASSERT_EQ(0, unlink("mnt/d/a"));
	ASSERT_EQ(0, put("mnt/d/a", "new a"));
	for (i = 0; i < 3; i++)
		before[i] = strdup(ls(trees[i]));
	ASSERT_EQ(0, umount("mnt"));

	ASSERT_EQ(0, run("mount -t overlay -o "
			 "lowerdir=l2,upperdir=up,workdir=work o mnt"));
	for (i = 0; i < 3; i++)
		EXPECT_STREQ(before[i], ls(trees[i]));
	HAS("mnt/d/a", "new a");
	HAS("mnt/d/g", "g2");
	ASSERT_STREQ("new", ls("mnt/d/sub"));
}

TEST_F(layers, both_forms_in_one_stack)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, put("l1/.wh.f", ""));
	ASSERT_EQ(0, device_whiteout("l1/g"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("d", ls("mnt"));
}

TEST_F(layers, a_branch_can_be_restricted_to_one_form)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, put("l1/.wh.f", ""));
	ASSERT_EQ(0, device_whiteout("l1/g"));
	ASSERT_EQ(0, run("mount -t mica -o "
			 "dirs=$PWD/up=rw:$PWD/l1=ro+dot:$PWD/l2=ro none mnt"));
	ASSERT_STREQ("d g", ls("mnt"));
	ASSERT_EQ(S_IFCHR, mode_of("mnt/g") & S_IFMT);
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, run("mount -t mica -o "
			 "dirs=$PWD/up=rw:$PWD/l1=ro+overlay:$PWD/l2=ro "
			 "none mnt"));
	ASSERT_STREQ("d f", ls("mnt"));
}

TEST_F(layers, an_empty_file_with_overlays_xattr_is_a_whiteout)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, put("l1/f", ""));
	ASSERT_EQ(0, set_xattr("l1/f", "trusted.overlay.whiteout", "y"));
	ASSERT_EQ(0, set_xattr("l1", "trusted.overlay.opaque", "x"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	FAILS(ENOENT, access("mnt/f", F_OK));
	ASSERT_STREQ("d g", ls("mnt"));
}

TEST_F(layers, the_old_name_of_an_opaque_directory)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, run("mkdir l1/d && touch l1/d/.wh.__dir_opaque l1/d/n"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("n", ls("mnt/d"));
}

TEST_F(layers, reserved_names_are_hidden_and_mean_nothing)
{
	static const char * const names[] = {
		".wh.", ".wh..", ".wh...", ".wh..wh.plnk", ".wh..wh.aufs",
		".wh..wh.orph", ".wh..wh.whatever",
	};
	char path[256];
	int i;

	ASSERT_EQ(0, base());
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "l1/%s", names[i]);
		ASSERT_EQ(0, put(path, ""));
	}
	/* And as directories, the names that would mean something as files. */
	ASSERT_EQ(0, mkdir("l1/d", 0755));
	ASSERT_EQ(0, mkdir("l1/d/.wh..wh..opq", 0755));
	ASSERT_EQ(0, mkdir("l1/.wh.f", 0755));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("d f g", ls("mnt"));
	ASSERT_STREQ("a b sub", ls("mnt/d"));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "mnt/%s", names[i]);
		FAILS(ENOENT, access(path, F_OK));
		FAILS(EPERM, put(path, ""));
		FAILS(EPERM, mkdir(path, 0755));
		FAILS(EPERM, symlink("x", path));
		FAILS(EPERM, link("mnt/f", path));
		FAILS(EPERM, rename("mnt/f", path));
	}
	ASSERT_STREQ("", ls("up"));
}

/* What is called like a whiteout and is none keeps its place. */
TEST_F(layers, a_whiteout_whose_name_is_taken_has_the_other_form)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, mkdir("up/.wh.f", 0755));
	ASSERT_EQ(0, symlink("x", "up/.wh.g"));
	ASSERT_EQ(0, mkdir("up/.wh.d", 0755));
	ASSERT_EQ(0, put("up/h", "h"));
	ASSERT_EQ(0, put("l1/h", "below"));
	ASSERT_EQ(0, mkdir("up/.wh.h", 0755));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_EQ(0, rename("mnt/g", "mnt/new"));
	ASSERT_EQ(0, run("rm -r mnt/d"));
	ASSERT_EQ(0, unlink("mnt/h"));
	ASSERT_STREQ("new", ls("mnt"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("new", ls("mnt"));
	ASSERT_EQ(0, access("up/.wh.f", F_OK) ?: access("up/.wh.d", F_OK));
	/* The same where a directory would be opaque. */
	ASSERT_EQ(0, mkdir("mnt/d", 0755));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_EQ(0, put("mnt/f", "new"));
	HAS("mnt/f", "new");
}

TEST_F(layers, an_entry_wins_over_a_whiteout_beside_it)
{
	ASSERT_EQ(0, base());
	/* A file hides what is below anyway; a directory becomes opaque. */
	ASSERT_EQ(0, run("echo -n f1 > l1/f; touch l1/.wh.f l1/.wh.d; mkdir "
			 "l1/d; touch l1/d/n"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	HAS("mnt/f", "f1");
	ASSERT_STREQ("d f g", ls("mnt"));
	ASSERT_STREQ("n", ls("mnt/d"));
}

TEST_F(layers, removal_writes_a_dot_whiteout_only_where_needed)
{
	struct stat st;

	ASSERT_EQ(0, base());
	ASSERT_EQ(0, put("up/own", "x"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_EQ(0, stat("up/.wh.f", &st));
	ASSERT_TRUE(S_ISREG(st.st_mode));
	ASSERT_EQ(0, st.st_size);
	/* In the upper branch and below it. */
	ASSERT_EQ(0, add("mnt/g", "x"));
	ASSERT_EQ(0, unlink("mnt/g"));
	/* Nowhere below: nothing to hide. */
	ASSERT_EQ(0, unlink("mnt/own"));
	ASSERT_EQ(0, put("mnt/new", "x"));
	ASSERT_EQ(0, unlink("mnt/new"));
	ASSERT_STREQ(".wh.f .wh.g", ls("up"));
	ASSERT_STREQ("d", ls("mnt"));
	/* The layer below is as it was. */
	ASSERT_STREQ("d f g", ls("l2"));
}

TEST_F(layers, what_is_made_over_a_whiteout_replaces_it)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_EQ(0, put("mnt/f", "new"));
	ASSERT_STREQ("f", ls("up"));
	ASSERT_EQ(0, run("rm -r mnt/d"));
	ASSERT_STREQ(".wh.d f", ls("up"));
	ASSERT_EQ(0, mkdir("mnt/d", 0755));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_STREQ("d f", ls("up"));
	ASSERT_STREQ(".wh..wh..opq", ls("up/d"));
	/* The same after a new mount. */
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("", ls("mnt/d"));
	HAS("mnt/f", "new");
	/* And it can go again, with what it hides. */
	ASSERT_EQ(0, rmdir("mnt/d"));
	ASSERT_STREQ(".wh.d f", ls("up"));
}

TEST_F(layers, a_whiteout_of_the_other_form_can_be_replaced_too)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, device_whiteout("up/f"));
	ASSERT_EQ(0, device_whiteout("up/d"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("g", ls("mnt"));
	ASSERT_EQ(0, put("mnt/f", "new"));
	ASSERT_EQ(0, mkdir("mnt/d", 0755));
	HAS("mnt/f", "new");
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_EQ(0, rename("mnt/g", "mnt/h"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_STREQ("d f h", ls("mnt"));
	ASSERT_STREQ("", ls("mnt/d"));
}

TEST_F(layers, rename_hides_the_old_name_and_unhides_the_new)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_EQ(0, unlink("mnt/g"));
	ASSERT_EQ(0, rename("mnt/f", "mnt/g"));
	ASSERT_STREQ(".wh.f g", ls("up"));
	HAS("mnt/g", "f2");
	ASSERT_STREQ("d g", ls("mnt"));
}

TEST_F(layers, a_directory_with_whiteouts_alone_is_empty)
{
	ASSERT_EQ(0, base());
	ASSERT_EQ(0, mount_union("up:l1:l2"));
	ASSERT_EQ(0, run("rm mnt/d/a mnt/d/b && rm -r mnt/d/sub"));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_STREQ(".wh.a .wh.b .wh.sub", ls("up/d"));
	ASSERT_EQ(0, rmdir("mnt/d"));
	ASSERT_STREQ(".wh.d", ls("up"));
	ASSERT_STREQ("", ls("up/.wh..wh.mica/work"));
	ASSERT_STREQ("f g", ls("mnt"));
}

/* The first one's whiteout in dot form would be the old mark of a directory. */
TEST_F(layers, names_without_a_whiteout_in_dot_form_are_whited_out_too)
{
	char names[5][256] = { "__dir_opaque" }, path[300];
	static const int lengths[] = { 0, 250, 251, 252, 255 };
	int i;

	DO(run("mkdir l1/d"));
	DO(put("l1/d/other", "stays"));
	for (i = 0; i < 5; i++) {
		memset(names[i], 'n', lengths[i]);
		snprintf(path, sizeof(path), "l1/d/%.255s", names[i]);
		DO(put(path, "x"));
	}
	DO(mount_union("up:l1:l2"));
	for (i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "mnt/d/%.255s", names[i]);
		DO(unlink(path));
		FAILS(ENOENT, access(path, F_OK));
		DO(put(path, "new"));
		HAS(path, "new");
		DO(unlink(path));
	}
	ASSERT_STREQ("other", ls("mnt/d"));
	DO(umount("mnt"));
	DO(mount_union("up:l1:l2"));
	ASSERT_STREQ("other", ls("mnt/d"));
}

TEST_F(layers, overlays_own_xattrs_are_not_shown)
{
	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, set_xattr("l1/f", "trusted.overlay.origin", "x"));
	ASSERT_EQ(0, set_xattr("l1/f", "trusted.other", "y"));
	ASSERT_EQ(0, mount_union("up:l1"));
	FAILS(ENODATA, getxattr("mnt/f", "trusted.overlay.origin", NULL, 0));
	ASSERT_STREQ("y", get_xattr("mnt/f", "trusted.other"));
	ASSERT_EQ(0, add("mnt/f", "x"));
	/* A copy has an origin of its own. */
	ASSERT_STRNE("x", get_xattr("up/f", "trusted.overlay.origin"));
	ASSERT_STREQ("y", get_xattr("up/f", "trusted.other"));
}

TEST_F(layers, an_interrupted_copy_is_removed_at_the_next_mount)
{
	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, run("mkdir -p up/.wh..wh.mica/work/#7/a/b && touch "
			 "up/.wh..wh.mica/work/#8 "
			 "up/.wh..wh.mica/work/#7/a/f"));
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_STREQ("", ls("up/.wh..wh.mica/work"));
	ASSERT_STREQ("f", ls("mnt"));
}

/* What is there in place of the index leads nowhere, and is kept. */
TEST_F(layers, an_index_that_is_no_directory)
{
	static const char * const made[] = { "ln -s x", "mkfifo", "install -m 755 l1/a" };
	unsigned int i;

	NOT_ON_OVERLAY("it has it in its work directory");
	ASSERT_EQ(0, run("echo a >l1/a && ln l1/a l1/b && mkdir -p up/.wh..wh.mica"));
	for (i = 0; i < ARRAY_SIZE(made); i++) {
		ASSERT_EQ(0, run("%s up/.wh..wh.mica/index", made[i]));
		FAILS(ENOTDIR, mount_union("up:l1"));
		ASSERT_EQ(0, mount_union("l2:up:l1"));
		HAS("mnt/b", "a\n");
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, run("ls -d up/.wh..wh.mica/index && rm up/.wh..wh.mica/index"));
	}
	ASSERT_EQ(0, mount_union("up:l1"));
	HAS("mnt/b", "a\n");
}

TEST_HARNESS_MAIN
