// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where what a process has of a branch cannot go on, a change is refused, and the
 * tool names the path and the process.
 */
#include <signal.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(live_refused);

static int nothing(void)
{
	return 0;
}

static int hold_cwd(void)
{
	return chdir("mnt/only/sub");
}

static int hold_root(void)
{
	return chroot("mnt/only/sub");
}

static int hold_dir(void)
{
	return open("mnt/only/sub", O_RDONLY | O_CLOEXEC) < 0;
}

static int hold_path(void)
{
	return open("mnt/only/sub", O_PATH | O_CLOEXEC) < 0;
}

static int hold_other_type(void)
{
	return chdir("mnt/other");
}

static int hold_mount(void)
{
	return mount("l1", "mnt/only", NULL, MS_BIND, NULL);
}

static int hold_file_mount(void)
{
	return mount("before", "mnt/file", NULL, MS_BIND, NULL);
}

static int hold_mapping(void)
{
	int fd = open("mnt/mapped", O_RDWR | O_CLOEXEC);

	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	       MAP_FAILED;
}

static const struct {
	const char *what;
	int (*hold)(void);
	const char *command;
	const char *path;
	const char *unmount;	/* it is no process that holds it */
} refusals[] = {
	{ "a working directory", hold_cwd, "del mnt @/l2", "/only/sub", NULL },
	{ "a root", hold_root, "del mnt @/l2", "/only/sub", NULL },
	{ "an open directory", hold_dir, "del mnt @/l2", "/only/sub", NULL },
	{ "O_PATH", hold_path, "del mnt @/l2", "/only/sub", NULL },
	{ "a file there, moved", hold_other_type, "move mnt @/l2 9", "/other", NULL },
	{ "a file there, added", hold_other_type, "add --at 1 mnt l1", "/other", NULL },
	{ "a mount", hold_mount, "del mnt @/l2", "/only", "mnt/only" },
	{ "a mount on a file", hold_file_mount, "del mnt @/l2", "/file", "mnt/file" },
	{ "stores, mode", hold_mapping, "mode mnt @/up ro", "/mapped", NULL },
	{ "stores, snapshot", hold_mapping, "snapshot mnt new", "/mapped", NULL },
};

TEST_F(live_refused, what_cannot_go_on_is_named)
{
	struct stander s;
	unsigned int i;
	char pid[64];

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l2/only/sub l2/other new && touch l1/other l2/file l3/other before"));
	DO(mount_union("up:l2:l3"));
	DO(put("mnt/mapped", "mapped"));
	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		ASSERT_EQ(0, refusals[i].unmount ? refusals[i].hold() :
			     begin_stander(&s, refusals[i].hold, nothing));
		ASSERT_NE(0, mica_union(refusals[i].command)) {
			TH_LOG("%s", refusals[i].what);
		}
		ASSERT_NE(NULL, strstr(content("err"), refusals[i].path)) {
			TH_LOG("%s: %s", refusals[i].what, content("err"));
		}
		EXPECT_STREQ("up=rw l2=ro l3=ro", branches_of("mnt"));
		if (refusals[i].unmount) {
			DO(umount(refusals[i].unmount));
			continue;
		}
		snprintf(pid, sizeof(pid), "in use by %d live_refused", s.pid);
		EXPECT_NE(NULL, strstr(content("err"), pid)) {
			TH_LOG("%s, %s: %s", refusals[i].what, pid, content("err"));
		}
		DO(end_stander(&s));
	}
	/* It was that, and nothing else. */
	DO(mica_union("snapshot mnt new"));
	DO(mica_union("mode mnt @/new ro"));
	DO(mica_union("move mnt @/l2 9"));
	DO(mica_union("add --at 1 mnt l1"));
	DO(mica_union("del mnt @/l2"));
	ASSERT_STREQ("new=ro l1=ro up=ro l3=ro", branches_of("mnt"));
}

/* What those who freeze and thaw beside changes have seen. */
static struct seen {
	unsigned int thawed;
	unsigned int refused;
	unsigned int failed;
} *seen;

static void thaw_always(int fd)
{
	while (1) {
		if (!ioctl(fd, FITHAW, 0))
			seen->thawed++;
		else if (errno == EINVAL)
			seen->refused++;
		else
			seen->failed++;
	}
}

/*
 * Who has frozen it can thaw it, if he gets to it between the changes. Since 6.6
 * that may be a part in the freeze of a change, which ends with EINVAL.
 */
static void freeze_and_thaw(int fd)
{
	while (1) {
		if (ioctl(fd, FIFREEZE, 0))
			seen->failed += errno != EBUSY;
		else if (ioctl(fd, FITHAW, 0))
			seen->failed += errno != EINVAL;
		else
			seen->thawed++;
		usleep(1000);
	}
}

static void write_always(int fd)
{
	while (1)
		if (add("mnt/log", ".") || put("mnt/only/f", "x") ||
		    unlink("mnt/only/f"))
			seen->failed++;
}

static pid_t start(void (*does)(int fd), int fd)
{
	pid_t pid = fork();

	if (!pid)
		does(fd);
	return pid;
}

static int end(pid_t pid)
{
	return kill(pid, SIGKILL) || waitpid(pid, NULL, 0) != pid;
}

TEST_F(live_refused, nobody_else_ends_the_freeze_of_a_change)
{
	pid_t thaws, freezes, writes;
	int fd, id, i, busy = 0;
	struct stander s;

	NOT_ON_OVERLAY("its layers stay");
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, seen);
	DO(run("mkdir -p l2/only/sub l1/only"));
	DO(mount_union("up:l1"));
	DO(put("mnt/log", ""));
	fd = open("mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	DO(begin_stander(&s, hold_cwd, nothing));
	writes = start(write_always, fd);
	thaws = start(thaw_always, fd);
	/* Each waits for the directory that is in use. */
	for (i = 0; i < 5; i++)
		FAILS(EBUSY, del_branch(id));
	DO(end_stander(&s));
	CHANGED(del_branch(id));
	for (i = 0; i < 30; i++) {
		id = add_branch("l3", MICA_BRANCH_RW, 0);
		ASSERT_LT(0, id);
		CHANGED(del_branch(id));
	}
	DO(end(thaws));
	EXPECT_EQ(0, seen->thawed);
	EXPECT_EQ(0, seen->failed);
	EXPECT_LT(0, seen->refused);

	freezes = start(freeze_and_thaw, fd);
	for (i = 0; i < 30 || !seen->thawed; i++) {
		id = add_branch("l3", MICA_BRANCH_RW, 0);
		busy += id < 0;
		if (id < 0)
			ASSERT_EQ(EBUSY, errno);
		while (id >= 0 && del_branch(id))
			ASSERT_EQ(EBUSY, errno);
	}
	/* It may just have frozen it. */
	DO(end(freezes));
	ioctl(fd, FITHAW, 0);
	DO(put("mnt/thawed", ""));
	DO(end(writes));
	EXPECT_EQ(0, seen->failed);
	EXPECT_GT(i, busy);
	close(fd);
	munmap(seen, sizeof(*seen));
}

/* "add=" of a directory of the test. */
static const char *adding(const char *path)
{
	static char option[PATH_MAX + 8];

	snprintf(option, sizeof(option), "add=%s", here(path));
	return option;
}

TEST_F(live_refused, a_remount_changes_branches_or_makes_the_union_read_only)
{
	NOT_ON_OVERLAY("its layers stay");
	DO(mount_union("up:l1"));
	FAILS(EINVAL, mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, adding("l2")));
	EXPECT_STREQ("up=rw l1=ro", branches_of("mnt"));
	DO(put("mnt/f", "f"));
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT, adding("l2")));
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	FAILS(EINVAL, mount(NULL, "mnt", NULL, MS_REMOUNT, adding("l3")));
	FAILS(EROFS, put("mnt/f", "f"));
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, adding("l3")));
	DO(mount(NULL, "mnt", NULL, MS_REMOUNT, NULL));
	DO(put("mnt/f", "f"));
	EXPECT_STREQ("up=rw l1=ro l2=ro l3=ro", branches_of("mnt"));
}

/* /moved in up leads to /old in l2; that in l1 is another's. */
static int make_redirect(void)
{
	return mkdir("l2/old", 0755) || put("l2/old/f", "2") || mkdir("l1/other", 0755) ||
	       mount_union("up:l2:l1") || rename("mnt/old", "mnt/moved") ||
	       umount("mnt") || mkdir("l1/old", 0755) ||
	       put("l1/old/f", "another's") || put("l1/old/secret", "another's");
}

TEST_F(live_refused, a_layer_that_does_not_come_leads_nowhere)
{
	int fd, id, dir;

	NOT_ON_OVERLAY("its layers stay");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "its layers cannot be told from those of another");
	DO(make_redirect());
	DO(mount_union("up:l1"));
	FAILS(EIO, access("mnt/moved", F_OK));
	fd = open("mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	DO(ioctl(fd, FIFREEZE, 0));
	FAILS(EBUSY, add_branch("l2", 0, 1));
	FAILS(EIO, access("mnt/moved", F_OK));
	DO(ioctl(fd, FITHAW, 0));
	FAILS(EIO, access("mnt/moved", F_OK));
	close(fd);
	/* What was moved without it, and is in use, stays. */
	DO(rename("mnt/other", "mnt/else"));
	dir = open("mnt/else", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/moved/f", "2");
	DO(faccessat(dir, "../else", F_OK, 0));
	close(dir);
	FAILS(EBUSY, del_branch(id));
	HAS("mnt/moved/f", "2");
}

TEST_F(live_refused, a_layer_that_comes_to_the_right_of_its_user_is_found)
{
	int id;

	NOT_ON_OVERLAY("its layers stay");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "its layers cannot be told from those of another");
	DO(make_redirect());
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 0);
	ASSERT_LT(0, id);
	HAS("mnt/old/f", "2");
	FAILS(EIO, access("mnt/moved", F_OK));
	CHANGED(move_branch(id, 1));
	HAS("mnt/moved/f", "2");
	FAILS(EBUSY, move_branch(id, 0));
	HAS("mnt/moved/f", "2");
}

static const char *seal_of(const char *branch)
{
	static char seal[2][PATH_MAX];
	static int i;
	ssize_t len;

	i = !i;
	/* The name comes after a hash. */
	len = getxattr(branch, "trusted.overlay.mica.sealed", seal[i], PATH_MAX);
	return len > 8 ? seal[i] + 8 : "";
}

TEST_F(live_refused, a_seal_stays_and_holds)
{
	int up, day2, last;
	const char *seal;

	NOT_ON_OVERLAY("its layers stay");
	DO(mkdir("day2", 0755) | mkdir("day3", 0755));
	DO(mount_union("up:l1"));
	last = add_branch("l3", 0, 9);
	ASSERT_LT(0, last);
	/* They are numbered in their order. */
	up = last - 2;
	day2 = last + 1;
	CHANGED(snapshot("day2"));
	seal = seal_of("up");
	ASSERT_STREQ(here("day2"), seal);
	CHANGED(set_mode(day2, 0));
	CHANGED(set_mode(up, MICA_BRANCH_RW));
	ASSERT_STREQ("day2=ro up=rw l1=ro l3=ro", branches_of("mnt"));
	/* Now up is writable below what it is sealed by, and may not be without. */
	FAILS(EINVAL, snapshot("day3"));
	ASSERT_STREQ(seal, seal_of("up"));
	FAILS(EROFS, del_branch(day2));
	FAILS(EROFS, move_branch(day2, 1));
	FAILS(EROFS, move_branch(up, 0));
	ASSERT_STREQ("day2=ro up=rw l1=ro l3=ro", branches_of("mnt"));
	CHANGED(move_branch(last, 0));
	CHANGED(del_branch(last));
	CHANGED(set_mode(up, 0));
	CHANGED(move_branch(day2, 1));
	CHANGED(del_branch(day2));
	FAILS(EROFS, set_mode(up, MICA_BRANCH_RW));
}

#define RACES 60

/* The first rename that needs l2 comes at some moment of its removal. */
TEST_F(live_refused, what_is_renamed_while_a_branch_goes_is_not_lost)
{
	int i, id, renamed, removed = 0, status;
	pid_t pid;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l2/d && touch l2/d/f"));
	for (i = 0; i < RACES || (i < 10 * RACES && (!removed || removed == i)); i++) {
		DO(run("rm -rf up && mkdir up"));
		DO(mount_union("up:l1"));
		id = add_branch("l2", 0, 2);
		ASSERT_LT(0, id);
		pid = fork();
		if (!pid) {
			usleep(i % RACES * 50);
			_exit(rename("mnt/d", "mnt/moved") ? errno : 0);
		}
		usleep(1000);
		if (!del_branch(id))
			removed++;
		else
			ASSERT_EQ(EBUSY, errno);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		renamed = status == 0;
		if (renamed)
			DO(access("mnt/moved/f", F_OK));
		DO(umount("mnt"));
	}
	EXPECT_LT(0, removed);
	EXPECT_GT(i, removed);
}

TEST_F(live_refused, a_removed_directory_is_no_branch)
{
	char removed[64];
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(mkdir("gone", 0755));
	fd = open("gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	sprintf(removed, "/proc/self/fd/%d", fd);
	DO(mount_union("up:l1"));
	DO(rmdir("gone"));
	FAILS(ENOENT, add_branch(removed, 0, 1));
	FAILS(ENOENT, add_branch(removed, MICA_BRANCH_RW, 1));
	FAILS(ENOENT, snapshot(removed));
	EXPECT_NE(NULL, strstr((char *)why.text, "was removed"));
	EXPECT_STREQ("up=rw l1=ro", branches_of("mnt"));
	close(fd);
}

TEST_HARNESS_MAIN
