// SPDX-License-Identifier: GPL-2.0-only
/* Lower layers on file systems that cannot be written to. */
#include <sys/statfs.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(lower)

TEST_F(lower, squashfs)
{
	struct stat before, after;

	if (access("/usr/bin/mksquashfs", X_OK))
		SKIP(return, "no mksquashfs");
	DO(run("mkdir -p tree/d && echo old >tree/d/file && "
	       "echo gone >tree/d/gone && mksquashfs tree image -quiet "
	       "-no-progress >/dev/null 2>&1 && mkdir sq && "
	       "mount -t squashfs -o loop image sq"));
	DO(mount_union("up:sq"));
	HAS("mnt/d/file", "old\n");
	DO(stat("mnt/d/file", &before));
	DO(add("mnt/d/file", "new\n"));
	DO(stat("mnt/d/file", &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
	DO(unlink("mnt/d/gone"));
	HAS("mnt/d/file", "old\nnew\n");
	HAS("sq/d/file", "old\n");
	ASSERT_STREQ("file", ls("mnt/d"));
	ASSERT_TRUE(whited_out("up", "d/gone"));
	DO(umount("mnt"));
	DO(umount("sq"));
}

/* In the test host /usr is on 9p. */
TEST_F(lower, the_file_system_of_usr)
{
	DO(mount_union("up:/usr/share/common-licenses"));
	DO(run("cmp mnt/GPL-2 /usr/share/common-licenses/GPL-2"));
	DO(add("mnt/GPL-2", "a line\n"));
	DO(run("tail -n 1 mnt/GPL-2 | grep -qx 'a line'"));
	DO(run("tail -n 1 /usr/share/common-licenses/GPL-2 | "
	       "grep -vqx 'a line'"));
	DO(chmod("mnt/BSD", 0600));
	DO(run("cmp mnt/BSD /usr/share/common-licenses/BSD"));
	DO(unlink("mnt/Artistic"));
	ASSERT_TRUE(whited_out("up", "Artistic"));
	ASSERT_TRUE(there("/usr/share/common-licenses/Artistic"));
}

TEST_F(lower, statfs_tells_of_the_rw_branch)
{
	struct statfs mnt, up;

	DO(mount_union("up:/usr/share/common-licenses"));
	DO(statfs("mnt", &mnt));
	DO(statfs("up", &up));
	ASSERT_EQ(up.f_blocks, mnt.f_blocks);
	ASSERT_EQ(up.f_bsize, mnt.f_bsize);
	ASSERT_EQ(255, mnt.f_namelen);
}

TEST_HARNESS_MAIN
