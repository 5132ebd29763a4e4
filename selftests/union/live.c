// SPDX-License-Identifier: GPL-2.0-only
/* Branches that come and go while the union is mounted and in use. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(live);

TEST_F(live, a_branch_that_is_added_shows_at_once)
{
	char text[8] = "";
	int fd, dir;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d l1/only && echo 1 >l1/f && echo 2 >l2/f && "
	       "echo 2 >l2/new && touch l1/d/a l2/d/b l1/gone"));
	DO(make_whiteout("l2", "gone"));
	DO(mount_union("up:l1"));
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	dir = open("mnt/d", O_RDONLY);
	ASSERT_LE(0, dir);
	ASSERT_FALSE(there("mnt/new"));
	ASSERT_TRUE(there("mnt/gone"));
	ASSERT_STREQ("a", ls("mnt/d"));
	ASSERT_LT(0, add_branch("l2", 0, 1)) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/f", "2\n");
	HAS("mnt/new", "2\n");
	ASSERT_FALSE(there("mnt/gone"));
	ASSERT_STREQ("a b", ls("mnt/d"));
	ASSERT_EQ(0, faccessat(dir, "b", F_OK, 0));
	/* What is open stays what it was. */
	ASSERT_EQ(2, read(fd, text, sizeof(text)));
	ASSERT_STREQ("1\n", text);
	close(fd);
	close(dir);
}

TEST_F(live, a_branch_that_is_removed_is_gone_at_once)
{
	char text[8] = "", cwd[PATH_MAX];
	int fd, id;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d && echo 1 >l1/f && echo 2 >l2/f && "
	       "echo 2 >l2/new && touch l1/d/a l2/d/b"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	HAS("mnt/new", "2\n");
	DO(chdir("mnt/d"));
	ASSERT_STREQ("a b", ls("."));
	DO(chdir("../.."));
	ASSERT_EQ(0, del_branch(id)) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/f", "1\n");
	ASSERT_FALSE(there("mnt/new"));
	ASSERT_STREQ("a", ls("mnt/d"));
	ASSERT_EQ(2, read(fd, text, sizeof(text)));
	ASSERT_STREQ("2\n", text);
	close(fd);
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	FAILS(ENOENT, del_branch(id));
}

/* Looks at names and has them forgotten, for as long as it lives. */
static void look_and_forget(void)
{
	int drop = open("/proc/sys/vm/drop_caches", O_WRONLY), i;
	char path[32];

	/* The kernel does not log each. */
	if (write(drop, "4", 1) != 1)
		_exit(1);
	for (;;) {
		for (i = 0; i < 50; i++) {
			snprintf(path, sizeof(path), "mnt/d/%d", i);
			access(path, F_OK);
		}
		if (write(drop, "2", 1) != 1)
			_exit(1);
	}
}

TEST_F(live, names_are_freed_while_branches_change)
{
	int i, id, status;
	pid_t child;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d && cd l1/d && seq 0 49 | xargs touch"));
	DO(mount_union("up:l1"));
	child = fork();
	if (!child)
		look_and_forget();
	for (i = 0; i < 100; i++) {
		id = add_branch("l2", 0, 1);
		ASSERT_LT(0, id) {
			TH_LOG("%s", why.text);
		}
		ASSERT_EQ(0, del_branch(id)) {
			TH_LOG("%s", why.text);
		}
	}
	ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
	DO(kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(there("mnt/d/49"));
}

TEST_F(live, a_directory_in_use_stays_or_the_branch_does)
{
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l2/only/sub l1/both l2/both && touch l2/both/x"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	fd = open("mnt/only/sub", O_RDONLY);
	ASSERT_LE(0, fd);
	FAILS(EBUSY, del_branch(id));
	ASSERT_EQ(MICA_REASON_IN_USE, why.code);
	ASSERT_STREQ("/only/sub", (char *)why.subject);
	ASSERT_TRUE(there("mnt/only/sub"));
	close(fd);
	DO(mount("l3", "mnt/only", NULL, MS_BIND, NULL));
	FAILS(EBUSY, del_branch(id));
	DO(umount("mnt/only"));
	fd = open("mnt/both", O_RDONLY);
	ASSERT_EQ(0, del_branch(id)) {
		TH_LOG("%s", why.text);
	}
	ASSERT_FALSE(there("mnt/only"));
	FAILS(ENOENT, faccessat(fd, "x", F_OK, 0));
	close(fd);
	DO(put("mnt/both/y", "y"));
	HAS("up/both/y", "y");
}

/* If something of it stayed behind, its file system could not be unmounted. */
TEST_F(live, links_stay_while_the_mode_of_their_branch_changes)
{
	int id, i;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "1") | link("l1/f", "l1/g"));
	DO(mount("none", "up", "tmpfs", 0, NULL));
	DO(mount_union_with("l2:l1", "copyup=top"));
	id = add_branch("up", MICA_BRANCH_RW, 0);
	ASSERT_LT(0, id);
	for (i = 0; i < 3; i++) {
		DO(add("mnt/f", "+"));
		DO(set_mode(id, 0));
		ASSERT_STREQ(content("mnt/f"), content("mnt/g"));
		DO(set_mode(id, MICA_BRANCH_RW));
	}
	DO(add("mnt/g", "-"));
	HAS("mnt/f", "1+++-");
	DO(umount("mnt"));
	DO(umount("up"));
}

TEST_F(live, a_union_that_somebody_froze_is_not_changed)
{
	int fd, id;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l2/f", "2"));
	DO(mount_union("up:l1"));
	fd = open("mnt", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	DO(ioctl(fd, FIFREEZE, 0));
	FAILS(EBUSY, add_branch("l2", 0, 1));
	ASSERT_FALSE(there("mnt/f"));
	/* It is still frozen. */
	FAILS(EBUSY, ioctl(fd, FIFREEZE, 0));
	DO(ioctl(fd, FITHAW, 0));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	HAS("mnt/f", "2");
	close(fd);
}

TEST_F(live, the_order_of_branches_can_be_changed)
{
	int id;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "1") | put("l2/f", "2"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 2);
	ASSERT_LT(0, id);
	HAS("mnt/f", "1");
	DO(move_branch(id, 1));
	HAS("mnt/f", "2");
	DO(move_branch(id, 7));
	HAS("mnt/f", "1");
}

TEST_F(live, a_snapshot_that_was_cut_short_can_be_made_again)
{
	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l2/.wh..wh.mica/work/x l3/.wh..wh.mica/index"));
	DO(mount_union("up:l1"));
	FAILS(ENOTEMPTY, snapshot("l3"));
	CHANGED(snapshot("l2"));
	ASSERT_STREQ("", ls("l2/.wh..wh.mica/work"));
	DO(put("mnt/f", "new"));
	HAS("l2/f", "new");
}

/* If one was not let go of, their file system could not be unmounted. */
TEST_F(live, attributes_without_data_in_one_layer_after_the_other)
{
	static const char * const tops[] = { "l2", "l3" };
	unsigned int i;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(fill("l1/f", 1 << 20, 1));
	DO(mount_union_with("up:l1", "metacopy=on"));
	/* The file stays in memory. */
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(tops); i++) {
		DO(chmod("mnt/f", 0600 + i));
		DO(truncate("mnt/f", 200000 - 50000 * i));
		CHANGED(snapshot(tops[i]));
	}
	DO(chmod("mnt/f", 0640));
	DO(filled("mnt/f", 150000, 1));
	DO(close(fd));
	DO(umount("mnt"));
	DO(filled("up/f", 200000, 1));
}

TEST_F(live, the_mode_of_a_branch_can_be_changed)
{
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "1") | put("l2/f", "2"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 0);
	ASSERT_LT(0, id);
	FAILS(EROFS, add("mnt/f", "+"));
	DO(set_mode(id, MICA_BRANCH_RW));
	fd = open("mnt/f", O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, write(fd, "+", 1));
	HAS("l2/f", "2+");
	DO(set_mode(id, 0));
	ASSERT_EQ(-1, write(fd, "+", 1));
	ASSERT_EQ(EROFS, errno);
	HAS("l2/f", "2+");
	DO(move_branch(id, 1));
	ASSERT_EQ(1, write(fd, "-", 1));
	HAS("up/f", "2+-");
	HAS("l2/f", "2+");
	HAS("mnt/f", "2+-");
	close(fd);
}

TEST_F(live, a_snapshot_does_not_change_any_more)
{
	void *map;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/low", "low"));
	DO(mount_union("up:l1"));
	DO(put("mnt/f", "one") | put("mnt/gone", "gone") | mkdir("mnt/d", 0755));
	fd = open("mnt/f", O_RDWR);
	ASSERT_LE(0, fd);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	DO(put("l2/x", ""));
	FAILS(ENOTEMPTY, snapshot("l2"));
	DO(unlink("l2/x"));
	FAILS(EBUSY, snapshot("l2"));
	ASSERT_STREQ("/f", (char *)why.subject);
	DO(munmap(map, 4096));
	ASSERT_EQ(0, snapshot("l2")) {
		TH_LOG("%s", why.text);
	}
	ASSERT_EQ(3, pwrite(fd, "two", 3, 0));
	DO(fsync(fd));
	HAS("mnt/f", "two");
	HAS("up/f", "one");
	HAS("l2/f", "two");
	DO(unlink("mnt/gone"));
	DO(put("mnt/d/new", "new"));
	ASSERT_STREQ("d f gone", ls("up"));
	close(fd);
	DO(umount("mnt"));
	/* It can be looked at, but not be changed by accident. */
	DO(mount_union_ro("up:l1"));
	HAS("mnt/f", "one");
	HAS("mnt/gone", "gone");
	ASSERT_STREQ("", ls("mnt/d"));
	DO(umount("mnt"));
	FAILS(EROFS, mount_union("up:l1"));
	DO(mount_union("l2:up:l1"));
	HAS("mnt/f", "two");
	ASSERT_FALSE(there("mnt/gone"));
	HAS("mnt/d/new", "new");
}

TEST_HARNESS_MAIN
