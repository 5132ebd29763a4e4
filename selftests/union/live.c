// SPDX-License-Identifier: GPL-2.0-only
/* Branches that come and go while the union is mounted and in use. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
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

TEST_F(live, a_whiteout_counts_in_a_branch_that_was_known_to_have_none)
{
	char name[16];
	int i, dir;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p up/d l1/d l2/d && echo 2 >l2/d/f"));
	DO(mount_union("up:l1:l2"));
	dir = open("mnt/d", O_RDONLY);
	ASSERT_LE(0, dir);
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "mnt/d/%d", i);
		ASSERT_FALSE(there(name));
	}
	DO(mica_union("mode mnt @/l1 rw"));
	DO(mica_union("mode mnt @/up ro"));
	DO(unlink("mnt/d/f"));
	ASSERT_STREQ("", ls("up/d"));
	DO(mica_union("mode mnt @/up rw"));
	DO(mica_union("mode mnt @/l1 ro"));
	DO(drop_caches());
	ASSERT_FALSE(there("mnt/d/f"));
	ASSERT_STREQ("", ls("mnt/d"));
	close(dir);
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

/* Takes a directory; the session stays open. Returns it, or -1. */
static int own(const char *path, unsigned int flags, int branch, __le64 *hash)
{
	struct mica_union_own o = {
		.size = sizeof(o), .flags = flags, .branch = branch,
		.reason_ptr = (unsigned long)&why, .reason_len = sizeof(why),
	};
	int session = open("/dev/mica", O_RDWR | O_CLOEXEC), ret, err;

	o.fd = open(path, O_PATH);
	ret = ioctl(session, MICA_UNION_OWN, &o);
	err = errno;
	close(o.fd);
	if (ret)
		close(session);
	else if (hash)
		*hash = o.hash;
	errno = err;
	return ret ? -1 : session;
}

/* @path is known as a and b from now on. */
static int stand_for(const char *path, __le64 a, __le64 b)
{
	const __le64 both[] = { a, b };

	return setxattr(path, "trusted.overlay.mica.merged", both, sizeof(both), 0);
}

TEST_F(live, a_branch_comes_in_place_of_those_that_it_was_made_of)
{
	char text[8] = "";
	int id, fd, dir;
	__le64 a, b;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d l3/d m m/d && echo 1 | tee l1/d/f m/d/f >/dev/null && "
	       "echo 2 | tee l2/g m/g >/dev/null && echo 3 >l3/h && ln l2/g l2/gg && ln m/g m/gg"));
	DO(mount_union("up:l3"));
	id = add_branch("l1", 0, 1);
	ASSERT_LT(0, id);
	ASSERT_LT(0, add_branch("l2", 0, 2));
	fd = open("mnt/d/f", O_RDWR);
	ASSERT_LE(0, fd);
	dir = open("mnt/d", O_RDONLY);
	ASSERT_LE(0, dir);
	HAS("mnt/g", "2\n");

	FAILS(EINVAL, replace_branches(id, 0, "m"));
	FAILS(EINVAL, replace_branches(id, 4, "m"));
	FAILS(ENOENT, replace_branches(1000000, 1, "m"));
	FAILS(ENOENT, replace_branches(id + 2, 1, "m"));
	close(own("l1", 0, 0, &a));
	close(own("l2", 0, 0, &b));
	ASSERT_NE(0, a);
	ASSERT_NE(0, b);
	FAILS(EINVAL, replace_branches(id, 2, "m"));
	DO(stand_for("m", a, a));
	FAILS(EINVAL, replace_branches(id, 2, "m"));
	DO(stand_for("m", a, b));
	ASSERT_EQ(0, replace_branches(id, 2, "m")) {
		TH_LOG("%s", why.text);
	}
	FAILS(ENOENT, del_branch(id));
	HAS("mnt/d/f", "1\n");
	HAS("mnt/gg", "2\n");
	HAS("mnt/h", "3\n");
	DO(remove_all("l1/d"));
	DO(remove_all("l2/g"));
	ASSERT_EQ(2, read(fd, text, sizeof(text)));
	ASSERT_STREQ("1\n", text);
	ASSERT_EQ(2, write(fd, "x\n", 2));
	HAS("mnt/d/f", "1\nx\n");
	HAS("up/d/f", "1\nx\n");
	HAS("m/d/f", "1\n");
	ASSERT_EQ(0, faccessat(dir, "f", F_OK, 0));
	DO(add("mnt/g", "y\n"));
	HAS("mnt/gg", "2\ny\n");
	DO(rename("mnt/d", "mnt/e"));
	HAS("mnt/e/f", "1\nx\n");
	DO(unlink("mnt/e/f"));
	ASSERT_FALSE(there("mnt/e/f"));
	close(fd);
	close(dir);
}

/* The layers are l1 and l2; what comes in their place is m. Returns that of l1. */
static int begin_replace(void)
{
	__le64 a, b;
	int id;

	if (mount_union("up:l3"))
		return -1;
	id = add_branch("l1", 0, 1);
	if (id < 0 || add_branch("l2", 0, 2) < 0)
		return -1;
	close(own("l1", 0, 0, &a));
	close(own("l2", 0, 0, &b));
	return stand_for("m", a, b) ? -1 : id;
}

TEST_F(live, what_was_moved_meanwhile_is_not_replaced)
{
	int id;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir m && echo 1 >l1/f && echo 2 >l2/f && echo 1 >m/f"));
	id = begin_replace();
	ASSERT_LT(0, id);
	CHANGED(move_branch(id, 2));
	FAILS(EINVAL, replace_branches(id - 1, 2, "m"));
	FAILS(EINVAL, replace_branches(id + 1, 2, "m"));
	ASSERT_NE(NULL, strstr((char *)why.text, "has another place"));
	HAS("mnt/f", "2\n");
	CHANGED(move_branch(id, 1));
	CHANGED(replace_branches(id, 2, "m"));
	HAS("mnt/f", "1\n");
}

TEST_F(live, what_has_no_name_in_a_replaced_branch_can_be_written_to)
{
	char text[8] = "";
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir m p && echo 1 | tee l1/f m/f >/dev/null"));
	id = begin_replace();
	ASSERT_LT(0, id);
	fd = open("mnt/f", O_RDWR | O_APPEND);
	ASSERT_LE(0, fd);
	DO(unlink("mnt/f"));
	CHANGED(replace_branches(id, 2, "m"));
	ASSERT_LT(0, add_branch("p", 0, 0));
	ASSERT_EQ(2, write(fd, "x\n", 2));
	ASSERT_EQ(4, pread(fd, text, sizeof(text), 0));
	ASSERT_STREQ("1\nx\n", text);
	close(fd);
}

TEST_F(live, names_that_were_lost_above_what_is_replaced_stay_lost)
{
	struct stat st;
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir m && echo 1 >l1/a && ln l1/a l1/b && ln l1/a l1/c && cp -al l1/. m"));
	id = begin_replace();
	ASSERT_LT(0, id);
	DO(unlink("mnt/c"));
	fd = open("mnt/a", O_RDONLY);
	ASSERT_LE(0, fd);
	CHANGED(replace_branches(id, 2, "m"));
	DO(run("rm l1/*"));
	DO(unlink("mnt/b"));
	DO(fstat(fd, &st));
	ASSERT_EQ(1, st.st_nlink);
	close(fd);
	DO(umount("mnt"));
	DO(mount_union("up:m:l3"));
	DO(stat("mnt/a", &st));
	ASSERT_EQ(1, st.st_nlink);
}

#define LOOKS 100

/* Looks at names that nobody has in memory, until the file stop is there. */
static int look_on(void)
{
	char path[64];
	int i;

	for (i = 0; !there("stop"); i = (i + 1) % LOOKS) {
		snprintf(path, sizeof(path), "mnt/x/n%d/f", i);
		if (access(path, F_OK))
			return 1;
		if (!i && put("/proc/sys/vm/drop_caches", "2"))
			return 2;
	}
	return 0;
}

TEST_F(live, redirects_in_a_replaced_branch_lead_on_all_the_time)
{
	int id, i, fds[100], status;
	char path[64];
	pid_t looker;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l3/p l1/x && touch l3/p/f && "
	       "seq -f l1/x/n%%g 0 %d | xargs mkdir && "
	       "seq -f l1/h%%g/x 100 | xargs mkdir -p && "
	       "seq -f l2/h%%g/y 100 | xargs mkdir -p && "
	       "seq -f l3/h%%g/z 100 | xargs mkdir -p && "
	       "setfattr -n trusted.overlay.redirect -v /p l1/x/n* && cp -a l1 m && "
	       "cp -a l2/. m", LOOKS - 1));
	id = begin_replace();
	ASSERT_LT(0, id);
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "mnt/h%d", i + 1);
		fds[i] = open(path, O_RDONLY);
		ASSERT_LE(0, fds[i]);
	}
	ASSERT_EQ(0, access("mnt/x", F_OK));
	looker = fork();
	if (!looker)
		_exit(look_on());
	usleep(100000);
	CHANGED(replace_branches(id, 2, "m"));
	DO(put("stop", ""));
	ASSERT_EQ(looker, waitpid(looker, &status, 0));
	ASSERT_EQ(0, status);
	for (i = 0; i < 100; i++)
		close(fds[i]);
}

TEST_F(live, what_cannot_be_told_from_others_is_not_replaced)
{
	int id;

	NOT_ON_OVERLAY("its layers stay");
	/* It has no file handles. */
	DO(mkdir("m", 0755) | mount("none", "l1", "ramfs", 0, NULL));
	DO(put("l1/f", "1"));
	DO(mount_union("up:l3"));
	id = add_branch("l1", 0, 1);
	ASSERT_LT(0, id);
	FAILS(EINVAL, replace_branches(id, 1, "m"));
	ASSERT_NE(NULL, strstr((char *)why.text, "no UUID"));
	HAS("mnt/f", "1");
	DO(umount("mnt"));
	DO(umount("l1"));
}

TEST_F(live, what_comes_in_their_place_is_read_as_they_are)
{
	static const struct {
		unsigned int form, other;
		const char *shown;
	} cases[] = {
		{ MICA_BRANCH_DOT, MICA_BRANCH_OVERLAY, "overlay" },
		{ MICA_BRANCH_OVERLAY, 0, "dot" },
		{ 0, MICA_BRANCH_DOT, "" },
	};
	__le64 a, b;
	int id, other;
	size_t i;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir m && touch l3/dot l3/overlay m/.wh.dot"));
	DO(mknod("m/overlay", S_IFCHR, 0));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		DO(mount_union("up:l3"));
		id = add_branch("l1", cases[i].form, 1);
		ASSERT_LT(0, id);
		other = add_branch("l2", cases[i].other, 2);
		ASSERT_LT(0, other);
		close(own("l1", 0, 0, &a));
		close(own("l2", 0, 0, &b));
		DO(stand_for("m", a, b));
		FAILS(EINVAL, replace_branches(id, 2, "m"));
		ASSERT_NE(NULL, strstr((char *)why.text, "in other forms"));
		DO(del_branch(other));
		ASSERT_LT(0, add_branch("l2", cases[i].form, 2));
		DO(replace_branches(id, 2, "m"));
		ASSERT_STREQ(cases[i].shown, ls("mnt"));
		DO(umount("mnt"));
	}
}

TEST_F(live, names_below_go_on_with_a_copy_that_is_replaced)
{
	__le64 hash;
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l3/f", "1") | link("l3/f", "l3/g"));
	DO(mount_union_with("l2:l3", "copyup=top"));
	id = add_branch("up", MICA_BRANCH_RW, 0);
	ASSERT_LT(0, id);
	DO(add("mnt/f", "+"));
	HAS("mnt/g", "1+");
	fd = open("mnt/g", O_RDWR | O_APPEND);
	ASSERT_LE(0, fd);
	DO(set_mode(id, 0));
	DO(move_branch(id, 1));
	/* Not by links: the copy is another file there. */
	DO(run("cp -a up m"));
	close(own("up", 0, 0, &hash));
	DO(stand_for("m", hash, hash));
	ASSERT_EQ(0, replace_branches(id, 1, "m")) {
		TH_LOG("%s", why.text);
	}
	ASSERT_EQ(1, write(fd, "-", 1));
	HAS("mnt/f", "1+-");
	HAS("mnt/g", "1+-");
	HAS("m/f", "1+");
	HAS("up/f", "1+");
	close(fd);
}

TEST_F(live, a_directory_that_is_owned_is_not_written_to)
{
	int session, other, id;

	NOT_ON_OVERLAY("it owns nothing of ours");
	session = own("up", 0, 0, NULL);
	ASSERT_LE(0, session);
	FAILS(EBUSY, own("up", 0, 0, NULL));
	FAILS(EBUSY, mount_union("up:l1"));
	close(session);
	DO(mount_union("up"));
	id = add_branch("l1", 0, 1);
	ASSERT_LT(0, id);
	FAILS(EBUSY, own("up", 0, 0, NULL));
	FAILS(EBUSY, own("up", MICA_OWN_CHANGE, id, NULL));
	FAILS(EBUSY, own("l1", MICA_OWN_CHANGE, 0, NULL));
	session = own("l1", 0, 0, NULL);
	ASSERT_LE(0, session);
	close(session);
	session = own("l1", MICA_OWN_CHANGE, id, NULL);
	ASSERT_LE(0, session);
	other = own("l2", MICA_OWN_CHANGE, 0, NULL);
	ASSERT_LE(0, other);
	close(other);
	close(session);
}

/* What it is known by is told of any directory, and nothing more comes of it. */
TEST_F(live, what_a_directory_is_known_by_is_no_secret)
{
	__le64 hash = 0, same = 1;
	int session, other;

	NOT_ON_OVERLAY("it owns nothing of ours");
	DO(mount_union("up:l1"));
	other = own("l1", 0, 0, &hash);
	ASSERT_LE(0, other);
	session = own("l1", MICA_OWN_TELL, 0, &same);
	ASSERT_LE(0, session);
	ASSERT_EQ(hash, same);
	close(session);
	session = own("up", MICA_OWN_TELL, 0, &same);
	ASSERT_LE(0, session);
	ASSERT_TRUE(!hash || hash != same);
	close(other);
	/* It was not taken, though the session is still open. */
	other = own("l1", MICA_OWN_CHANGE, 0, NULL);
	ASSERT_EQ(-1, other);
	DO(umount("mnt"));
	other = own("up", MICA_OWN_CHANGE, 0, NULL);
	ASSERT_LE(0, other);
	close(other);
	close(session);
	FAILS(EINVAL, own("l1", MICA_OWN_TELL | MICA_OWN_CHANGE, 0, NULL));
	FAILS(EINVAL, own("l1", MICA_OWN_TELL, 1, NULL));
}

/* What is removed or changed under a union would show in it. */
TEST_F(live, a_directory_that_is_changed_is_no_branch)
{
	int session;

	NOT_ON_OVERLAY("it owns nothing of ours");
	DO(mkdir("l1/in", 0755) | mkdir("mnt2", 0755));
	DO(mount_union("up:l3"));
	session = own("l1", MICA_OWN_CHANGE, 0, NULL);
	ASSERT_LE(0, session);
	FAILS(EBUSY, mount_union_at("l2:l1", "mnt2"));
	FAILS(EBUSY, mount_union_at("l2:l1/in", "mnt2"));
	FAILS(EBUSY, add_branch("l1", 0, 1));
	FAILS(EBUSY, add_branch("l1/in", 0, 1));
	close(session);
	ASSERT_LT(0, add_branch("l1/in", 0, 1));
	FAILS(EBUSY, own("l1", MICA_OWN_CHANGE, 0, NULL));
	session = own("l1/in", 0, 0, NULL);
	ASSERT_LE(0, session);
	close(session);
	DO(mount_union_at("l2:l1", "mnt2"));
	DO(umount("mnt2"));
}

TEST_F(live, what_a_merge_has_left_half_done_is_no_branch)
{
	static const __le64 layer[2] = { 1, 0 }, merged[2] = { 1, 1 };

	NOT_ON_OVERLAY("it knows nothing of that");
	DO(setxattr("l1", "trusted.overlay.mica.merge", layer, sizeof(layer), 0));
	FAILS(EBUSY, mount_union("up:l1"));
	FAILS(EBUSY, mount_union("l1:l2"));
	DO(mount_union("up:l3"));
	FAILS(EBUSY, add_branch("l1", 0, 1));
	ASSERT_NE(NULL, strstr((char *)why.text, "interrupted"));
	DO(setxattr("l1", "trusted.overlay.mica.merge", merged, sizeof(merged), 0));
	ASSERT_LT(0, add_branch("l1", 0, 1));
}

/* A file that is open by a name that goes, and has another one: mnt/d/f. */
static int by_tmpfile(void)
{
	char from[64];
	int fd = open("mnt/d", O_TMPFILE | O_RDWR, 0644);

	sprintf(from, "/proc/self/fd/%d", fd);
	if (write(fd, "a", 1) != 1 ||
	    linkat(AT_FDCWD, from, AT_FDCWD, "mnt/d/f", AT_SYMLINK_FOLLOW))
		return -1;
	return fd;
}

static int open_linked(void)
{
	return put("mnt/d/g", "a") || link("mnt/d/g", "mnt/d/f") ? -1 :
	       open("mnt/d/g", O_RDWR);
}

static int by_unlink(void)
{
	int fd = open_linked();

	return unlink("mnt/d/g") ? -1 : fd;
}

static int by_rename(void)
{
	int fd = open_linked();

	return put("mnt/d/h", "other") || rename("mnt/d/h", "mnt/d/g") ? -1 : fd;
}

static int (* const ways_to_lose_a_name[])(void) = {
	by_tmpfile, by_unlink, by_rename
};

/* The branch up, where the file is, becomes read-only; l2 is left of it then. */
static int snapshot_of_up(bool change)
{
	return change ? snapshot("l2") : mount_union("up:l1");
}

static int mode_of_up(bool change)
{
	static int id;

	if (change)
		return set_mode(id, 0);
	if (mount_union("l2:l1"))
		return -1;
	id = add_branch("up", MICA_BRANCH_RW, 1);
	return id < 0 ? -1 : 0;
}

static int (* const ways_to_make_ro[])(bool change) = { snapshot_of_up, mode_of_up };

static void write_after(struct __test_metadata *_metadata, int (*lose)(void),
			int (*change)(bool change), bool index, bool look)
{
	int fd;

	DO(run("mkdir up/d"));
	DO(change(false));
	fd = lose();
	ASSERT_LE(0, fd);
	DO(drop_caches());
	if (index) {
		CHANGED(change(true));
	} else {
		FAILS(EBUSY, change(true));
		ASSERT_NE(NULL, strstr((char *)why.text, "/d/"));
	}
	if (look)
		HAS("mnt/d/f", "a");
	ASSERT_EQ(1, pwrite(fd, "b", 1, 1));
	DO(fsync(fd));
	HAS("mnt/d/f", "ab");
	DO(drop_caches());
	HAS("mnt/d/f", "ab");
	DO(close(fd));
	DO(drop_caches());
	HAS("mnt/d/f", "ab");
	HAS("up/d/f", index ? "a" : "ab");
	DO(umount("mnt"));
	if (!index)
		return;
	DO(mount_union("l2:up:l1"));
	HAS("mnt/d/f", "ab");
	DO(put("mnt/d/f", "abc"));
	DO(unlink("mnt/d/f"));
	DO(umount("mnt"));
}

TEST_F(live, a_file_whose_own_name_is_gone_is_written_for_its_other_names)
{
	unsigned int l, c, look;

	NOT_ON_OVERLAY("its layers stay");
	for (l = 0; l < ARRAY_SIZE(ways_to_lose_a_name); l++) {
		for (c = 0; c < ARRAY_SIZE(ways_to_make_ro); c++) {
			for (look = 0; look < 2; look++) {
				TH_LOG("way %u, change %u, look %u", l, c, look);
				DO(run("rm -rf up l2 && mkdir up l2"));
				write_after(_metadata, ways_to_lose_a_name[l],
					    ways_to_make_ro[c], true, look);
			}
		}
	}
}

TEST_F(live, links_stay_one_file_when_only_the_index_has_it)
{
	struct stat st;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "low") || link("l1/f", "l1/g") || link("l1/f", "l1/h"));
	DO(mount_union("up:l1"));
	fd = open("mnt/g", O_RDWR);
	ASSERT_LE(0, fd);
	DO(put("mnt/f", "first"));
	DO(unlink("mnt/f"));
	CHANGED(snapshot("l2"));
	DO(put("mnt/g", "second"));
	DO(drop_caches());
	HAS("mnt/h", "second");
	DO(unlink("mnt/g"));
	CHANGED(snapshot("l3"));
	ASSERT_EQ(5, pwrite(fd, "third", 5, 0));
	HAS("mnt/h", "thirdd");
	DO(close(fd));
	DO(drop_caches());
	HAS("mnt/h", "thirdd");
	DO(stat("mnt/h", &st));
	EXPECT_EQ(1, st.st_nlink);
	DO(umount("mnt"));
	DO(mount_union("l3:l2:up:l1"));
	HAS("mnt/h", "thirdd");
}

/* Makes something with the names mnt/n and mnt/m, opens it, and removes mnt/n. */
static int lose_name_of(mode_t type)
{
	int fd;

	if (type == S_IFLNK ? symlink("there", "mnt/n") :
			      mknod("mnt/n", type | 0644, makedev(1, 3)))
		return -1;
	fd = open("mnt/n", O_PATH | O_NOFOLLOW);
	return link("mnt/n", "mnt/m") || unlink("mnt/n") ? -1 : fd;
}

TEST_F(live, what_is_no_file_and_has_lost_its_own_name)
{
	static const mode_t types[] = {
		S_IFIFO, S_IFLNK, S_IFCHR, S_IFBLK, S_IFSOCK
	};
	struct stat st, now;
	unsigned int i;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		TH_LOG("type %o", types[i]);
		DO(run("rm -rf up l2 && mkdir up l2"));
		DO(mount_union("up:l1"));
		fd = lose_name_of(types[i]);
		ASSERT_LE(0, fd);
		CHANGED(snapshot("l2"));
		DO(fchownat(fd, "", 7, 7, AT_EMPTY_PATH));
		DO(fstat(fd, &st));
		DO(lstat("mnt/m", &now));
		ASSERT_EQ(7, now.st_uid);
		ASSERT_EQ(st.st_ino, now.st_ino);
		ASSERT_EQ(st.st_mode, now.st_mode);
		ASSERT_EQ(1, now.st_nlink);
		DO(close(fd));
		DO(umount("mnt"));
	}
}

/*
 * A branch that becomes ro is written to once more; its file system is frozen, so
 * that it stays on the way.
 */
TEST_F(live, a_copy_is_found_by_its_other_names_all_the_time)
{
	int id, i, fd, status;
	char path[32];
	pid_t child;

	NOT_ON_OVERLAY("its layers stay");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "it cannot be frozen");
	DO(run("mkdir l1/d && cd l1/d && for i in $(seq 0 9); do echo low >n$i && "
	       "ln n$i m$i; done"));
	DO(mount_union("up:l1"));
	DO(run("for i in $(seq 0 9); do echo new >mnt/d/n$i; done"));
	DO(umount("mnt"));
	DO(mount_union("l2:l1"));
	id = add_branch("up", MICA_BRANCH_RW, 1);
	ASSERT_LT(0, id);
	fd = open("up", O_RDONLY);
	DO(ioctl(fd, FIFREEZE, 0));
	child = fork();
	if (!child)
		_exit(set_mode(id, 0) ? 1 : 0);
	for (i = 0; i < 500 && !strstr(branches_of("mnt"), "up=ro"); i++)
		usleep(10000);
	for (i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "mnt/d/m%d", i);
		EXPECT_STREQ("new\n", content(path));
		usleep(20000);
	}
	EXPECT_EQ(0, waitpid(child, &status, WNOHANG));
	DO(ioctl(fd, FITHAW, 0));
	DO(close(fd));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_STREQ("l2=rw up=ro l1=ro", branches_of("mnt"));
	HAS("mnt/d/m0", "new\n");
}

/* One is open from before there was such a branch. */
TEST_F(live, names_that_do_not_stay_one_file_are_each_their_own)
{
	char text[4] = "";
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "low") || link("l1/f", "l1/g"));
	DO(mount_union("up:l1"));
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	DO(mount("none", "l3", "ramfs", 0, NULL));
	ASSERT_LT(0, add_branch("l3", MICA_BRANCH_RW, 1)) {
		TH_LOG("%s", why.text);
	}
	DO(put("mnt/g", "new"));
	ASSERT_EQ(3, pread(fd, text, 3, 0));
	EXPECT_STREQ("low", text);
	HAS("mnt/f", "low");
	HAS("mnt/g", "new");
	DO(close(fd));
	DO(umount("mnt"));
	DO(umount("l3"));
}

/* Of a copy in a branch that is not writable any more. */
TEST_F(live, a_link_that_goes_after_a_snapshot_is_counted)
{
	struct stat st;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "low") || link("l1/f", "l1/g") || link("l1/f", "l1/h"));
	DO(mount_union("up:l1"));
	DO(put("mnt/f", "first"));
	CHANGED(snapshot("l2"));
	/* As long as it is in memory. */
	fd = open("mnt/h", O_RDONLY);
	ASSERT_LE(0, fd);
	DO(unlink("mnt/g"));
	DO(fstat(fd, &st));
	EXPECT_EQ(2, st.st_nlink);
	DO(close(fd));
	HAS("mnt/h", "first");
}

TEST_F(live, a_snapshot_does_not_change_the_times_of_directories)
{
	struct stat st;

	NOT_ON_OVERLAY("its layers stay");
	DO(mkdir("up/d", 0755));
	DO(mount_union("up:l1"));
	DO(put("mnt/d/f", "new"));
	CHANGED(snapshot("l2"));
	DO(run("touch -d 1999-01-01 mnt/d"));
	CHANGED(snapshot("l3"));
	DO(stat("mnt/d", &st));
	EXPECT_GT(1000000000, st.st_mtime);
	DO(chmod("mnt/d", 0700));
	DO(stat("mnt/d", &st));
	EXPECT_GT(1000000000, st.st_mtime);
}

/* What no name would show must not be written. There is no snapshot of a ramfs. */
TEST_F(live, a_file_whose_own_name_is_gone_needs_an_index)
{
	unsigned int l;

	NOT_ON_OVERLAY("its layers stay");
	for (l = 0; l < ARRAY_SIZE(ways_to_lose_a_name); l++) {
		DO(run("rm -rf l2 && mkdir l2"));
		DO(mount("none", "up", "ramfs", 0, NULL));
		write_after(_metadata, ways_to_lose_a_name[l], mode_of_up,
			    false, false);
		DO(umount("up"));
	}
}

/* The next snapshot looks for it there. */
TEST_F(live, a_copy_that_got_no_index_where_others_have_one)
{
	struct stat st;
	int fd, id;

	NOT_ON_OVERLAY("its layers stay");
	DO(mkdir("m", 0755));
	DO(put("l1/f", "low") || link("l1/f", "l1/g"));
	DO(mount_union_with("up:l1", "copyup=top"));
	DO(put("mnt/f", "first"));
	fd = open("mnt/f", O_RDWR);
	ASSERT_LE(0, fd);
	CHANGED(snapshot("l2"));
	DO(mount("none", "l3", "ramfs", 0, NULL));
	id = add_branch("l3", MICA_BRANCH_RW, 1);
	ASSERT_LT(0, id);
	ASSERT_EQ(6, pwrite(fd, "second", 6, 0));
	HAS("l2/f", "second");
	DO(fstat(fd, &st));
	EXPECT_EQ(1, st.st_nlink);
	DO(drop_caches());
	HAS("mnt/g", "first");
	DO(unlink("mnt/f"));
	DO(del_branch(id));
	CHANGED(snapshot("m"));
	ASSERT_EQ(5, pwrite(fd, "third", 5, 0));
	ASSERT_EQ(6, pread(fd, why.text, 6, 0));
	EXPECT_EQ(0, memcmp(why.text, "thirdd", 6));
	DO(close(fd));
	HAS("mnt/g", "first");
	DO(umount("mnt"));
	DO(umount("l3"));
}

TEST_F(live, links_of_a_directory_whose_lower_part_goes)
{
	struct stat st;
	int id;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l2/d/a l2/d/b l2/d/c"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	DO(stat("mnt/d", &st));
	EXPECT_EQ(5, st.st_nlink);
	DO(mkdir("mnt/d/e", 0755));
	DO(del_branch(id));
	ASSERT_STREQ("e", ls("mnt/d"));
	DO(stat("mnt/d", &st));
	EXPECT_EQ(3, st.st_nlink);
}

TEST_HARNESS_MAIN
