// SPDX-License-Identifier: GPL-2.0-only
/* O_TMPFILE, and the attributes that lsattr shows. */
#include <sys/mman.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "flags.h"
#include "util.h"

UNION_FIXTURE(unnamed);

static int give_name(int fd, const char *path)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

TEST_F(unnamed, a_file_without_a_name_can_be_given_one)
{
	struct stat st;
	int fd;

	DO(run("mkdir -p l1/d/sub"));
	DO(chmod("l1/d/sub", 02755));
	DO(chown("l1/d/sub", 0, 7));
	DO(mount_union("up:l1"));
	fd = open("mnt/d/sub", O_TMPFILE | O_RDWR, 0640);
	ASSERT_LE(0, fd);
	ASSERT_STREQ("", ls("mnt/d/sub"));
	ASSERT_STREQ("", ls("up/d/sub"));
	ASSERT_EQ(4, write(fd, "text", 4));
	DO(fstat(fd, &st));
	ASSERT_EQ(0, st.st_nlink);
	ASSERT_EQ(S_IFREG | 0640, st.st_mode);
	ASSERT_EQ(7, st.st_gid);
	DO(give_name(fd, "mnt/named"));
	HAS("mnt/named", "text");
	HAS("up/named", "text");
	DO(fstat(fd, &st));
	ASSERT_EQ(1, st.st_nlink);
	DO(give_name(fd, "mnt/d/again"));
	ASSERT_EQ(1, write(fd, "s", 1));
	HAS("mnt/d/again", "texts");
	FAILS(EEXIST, give_name(fd, "mnt/named"));
	DO(close(fd));
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	HAS("mnt/named", "texts");
	DO(stat("mnt/d/again", &st));
	ASSERT_EQ(2, st.st_nlink);
}

TEST_F(unnamed, it_goes_without_a_trace)
{
	int fd;

	DO(mkdir("l1/d", 0755));
	DO(mount_union("up:l1"));
	fd = open("mnt/d", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
	ASSERT_LE(0, fd);
	FAILS(ENOENT, give_name(fd, "mnt/named"));
	DO(close(fd));
	ASSERT_STREQ("", ls("mnt/d"));
	ASSERT_STREQ("d", ls("mnt"));
	DO(umount("mnt"));
	DO(mount_union_ro("l1"));
	FAILS(EROFS, open("mnt/d", O_TMPFILE | O_RDWR, 0600));
}

TEST_F(unnamed, attributes_protect_through_the_union)
{
	void *map;
	int fd;

	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "an old kernel's has no attributes");
	DO(put("l1/f", "text"));
	DO(put("l1/log", "1"));
	DO(set_flags("l1/f", FS_IMMUTABLE_FL | FS_NODUMP_FL));
	DO(set_flags("l1/log", FS_APPEND_FL));
	DO(mount_union("up:l1"));
	ASSERT_EQ(FS_IMMUTABLE_FL | FS_NODUMP_FL, flags_of("mnt/f") & MINE);
	FAILS(EPERM, open("mnt/f", O_WRONLY));
	FAILS(EPERM, chmod("mnt/f", 0600));
	FAILS(EPERM, unlink("mnt/f"));
	FAILS(EPERM, rename("mnt/f", "mnt/g"));
	FAILS(EPERM, link("mnt/f", "mnt/g"));
	ASSERT_STREQ("", ls("up"));
	/* Also from descriptors that were there before. */
	DO(put("mnt/open", "text"));
	fd = open("mnt/open", O_RDWR);
	DO(set_flags("mnt/open", FS_IMMUTABLE_FL));
	FAILS(EPERM, write(fd, "TEXT", 4));
	FAILS(EPERM, ftruncate(fd, 0));
	FAILS(EPERM, fallocate(fd, 0, 0, 4096));
	FAILS(EPERM, fchmod(fd, 0600));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED, fd, 0));
	ASSERT_EQ(EPERM, errno);
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	DO(munmap(map, 4096));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, memcmp(map, "text", 4));
	if (!on_overlay)
		FAILS(EACCES, mprotect(map, 4096, PROT_READ | PROT_WRITE));
	DO(munmap(map, 4096));
	HAS("mnt/open", "text");
	DO(set_flags("mnt/open", 0));
	ASSERT_EQ(4, write(fd, "TEXT", 4));
	DO(close(fd) | unlink("mnt/open"));
	/* Only for what it is made of does the copy lose its protection. */
	DO(set_flags("mnt/f", 0));
	DO(add("mnt/f", "+"));
	ASSERT_EQ(0, flags_of("mnt/f") & MINE);
	HAS("up/f", "text+");
	/* What may only grow grows, and is as protected afterwards. */
	FAILS(EPERM, open("mnt/log", O_WRONLY));
	DO(add("mnt/log", "2"));
	HAS("up/log", "12");
	FAILS(EPERM, open("mnt/log", O_WRONLY));
	FAILS(EPERM, truncate("mnt/log", 0));
	DO(umount("mnt"));
	DO(mount_union("up:l1"));
	ASSERT_EQ(FS_APPEND_FL, flags_of("mnt/log") & MINE);
	FAILS(EPERM, unlink("mnt/log"));
	DO(set_flags("mnt/log", 0));
	DO(unlink("mnt/log"));
	/* New ones, and directories. */
	DO(mkdir("mnt/d", 0755));
	DO(set_flags("mnt/d", FS_APPEND_FL));
	fd = open("mnt/d/x", O_CREAT | O_WRONLY, 0644);
	ASSERT_LE(0, fd);
	DO(close(fd));
	FAILS(EPERM, unlink("mnt/d/x"));
	DO(set_flags("mnt/d", 0) | set_flags("l1/f", 0) |
	   set_flags("l1/log", 0));
	DO(unlink("mnt/d/x"));
}

/* Writing to a file changes nothing in its directory, but puts a copy beside it. */
TEST_F(unnamed, protected_directories_stay_so_when_what_is_in_them_changes)
{
	static const struct {
		const char *dir;
		unsigned int flag;
		const char *mark;
	} kinds[] = {
		{ "fixed", FS_IMMUTABLE_FL, "i" },
		{ "grows", FS_APPEND_FL, "a" },
	};
	char low[32], up[32], dir[32], file[32], new[32];
	unsigned int i, round;

	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "an old kernel's has no attributes");
	for (i = 0; i < 2; i++) {
		snprintf(low, sizeof(low), "l1/%s", kinds[i].dir);
		snprintf(file, sizeof(file), "l1/%s/f", kinds[i].dir);
		DO(mkdir(low, 0755));
		DO(put(file, ""));
		DO(set_flags(low, kinds[i].flag));
	}
	DO(mount_union("up:l1"));
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 2; i++) {
			snprintf(dir, sizeof(dir), "mnt/%s", kinds[i].dir);
			snprintf(file, sizeof(file), "mnt/%s/f", kinds[i].dir);
			snprintf(new, sizeof(new), "mnt/%s/new%u", kinds[i].dir, round);
			DO(add(file, "+"));
			DO(chmod(file, 0600 + round));
			HAS(file, round ? "++" : "+");
			ASSERT_EQ(kinds[i].flag, flags_of(dir) & MINE);
			ASSERT_EQ(kinds[i].flag, stat_flags_of(dir));
			FAILS(EPERM, unlink(file));
			FAILS(EPERM, rename(file, new));
			FAILS(EPERM, chmod(dir, 0700));
			FAILS(EPERM, rmdir(dir));
			if (kinds[i].flag == FS_APPEND_FL) {
				DO(put(new, ""));
				FAILS(EPERM, unlink(new));
			} else {
				FAILS(EPERM, put(new, ""));
			}
			/* It is the union that protects it, and says so as overlayfs. */
			snprintf(up, sizeof(up), "up/%s", kinds[i].dir);
			ASSERT_EQ(0, flags_of(up) & MINE);
			ASSERT_STREQ(kinds[i].mark, get_xattr(up, "trusted.overlay.protattr"));
		}
		DO(umount("mnt"));
		DO(mount_union("up:l1"));
	}
	for (i = 0; i < 2; i++) {
		snprintf(low, sizeof(low), "l1/%s", kinds[i].dir);
		snprintf(up, sizeof(up), "up/%s", kinds[i].dir);
		snprintf(dir, sizeof(dir), "mnt/%s", kinds[i].dir);
		snprintf(file, sizeof(file), "mnt/%s/f", kinds[i].dir);
		DO(set_flags(dir, 0) | set_flags(low, 0));
		ASSERT_EQ(0, flags_of(dir) & MINE);
		ASSERT_EQ(0, stat_flags_of(dir));
		DO(unlink(file));
		FAILS(ENODATA, getxattr(up, "trusted.overlay.protattr", NULL, 0));
	}
}

TEST_F(unnamed, attributes_are_changed_all_or_none)
{
	static const char filling[4096];
	char name[32];
	size_t len;

	if (strcmp(variant->fs, "ext4"))
		SKIP(return, "only on ext4 is there no room for one more xattr");
	DO(put("up/full", ""));
	DO(put("up/f", ""));
	for (len = sizeof(filling); len; len--) {
		snprintf(name, sizeof(name), "user.%zu", len);
		if (!setxattr("up/full", name, filling, len, 0))
			continue;
		ASSERT_EQ(ENOSPC, errno);
	}
	DO(mount_union("up:l1"));
	FAILS(ENOSPC, set_flags("mnt/full", FS_IMMUTABLE_FL | FS_NODUMP_FL));
	ASSERT_EQ(0, flags_of("mnt/full") & MINE);
	/* Not one of ext4's. */
	FAILS(EOPNOTSUPP, set_flags("mnt/f", FS_IMMUTABLE_FL | FS_NOCOW_FL));
	ASSERT_EQ(0, flags_of("mnt/f") & MINE);
	FAILS(ENODATA, getxattr("up/f", "trusted.overlay.protattr", NULL, 0));
	DO(add("mnt/f", "+"));
}

TEST_HARNESS_MAIN
