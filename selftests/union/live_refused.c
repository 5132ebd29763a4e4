// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where what a process has of a branch cannot go on, a change is refused, and the
 * tool names the path and the process.
 */
#include <sys/mman.h>
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

TEST_HARNESS_MAIN
