// SPDX-License-Identifier: GPL-2.0-only
/* Data of files in the rw branch and in a ro one: sizes, holes, positions. */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include "../lib/harness.h"
#include "util.h"

#define BLOCK 65536

UNION_FIXTURE(data);

/* One file in each kind of branch, and what is to hold of both. */
static const char * const files[] = { "mnt/upper", "mnt/lower" };

static int two_files(size_t size)
{
	return fill("up/upper", size, 1) || fill("l1/lower", size, 1) ||
	       mount_union("up:l1");
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

TEST_F(data, sizes_change_by_path_and_by_descriptor)
{
	unsigned int i;
	int fd;

	DO(two_files(BLOCK));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		FAILS(EINVAL, truncate(files[i], -1));
		DO(truncate(files[i], 5000));
		DO(filled(files[i], 5000, 1));
		fd = open(files[i], O_RDWR);
		ASSERT_LE(0, fd);
		DO(ftruncate(fd, 100));
		ASSERT_EQ(100, lseek(fd, 0, SEEK_END));
		DO(ftruncate(fd, BLOCK));
		ASSERT_EQ(BLOCK, size_of(files[i]));
		close(fd);
		fd = open(files[i], O_RDONLY);
		FAILS(EINVAL, ftruncate(fd, 0));
		close(fd);
		DO(truncate(files[i], 100));
		DO(filled(files[i], 100, 1));
	}
	DO(filled("l1/lower", BLOCK, 1));
}

TEST_F(data, o_trunc_empties_and_o_append_goes_to_the_end)
{
	unsigned int i;
	int a, b;

	DO(two_files(BLOCK));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		close(open(files[i], O_WRONLY | O_TRUNC));
		ASSERT_EQ(0, size_of(files[i]));
		a = open(files[i], O_WRONLY | O_APPEND);
		b = open(files[i], O_WRONLY | O_APPEND);
		ASSERT_EQ(1, write(a, "a", 1));
		ASSERT_EQ(1, write(b, "b", 1));
		/* The position given does not matter. */
		ASSERT_EQ(1, pwrite(a, "c", 1, 0));
		HAS(files[i], "abc");
		DO(fcntl(a, F_SETFL, 0));
		ASSERT_EQ(1, pwrite(a, "A", 1, 0));
		HAS(files[i], "Abc");
		DO(fcntl(a, F_SETFL, O_APPEND));
		ASSERT_EQ(1, pwrite(a, "d", 1, 0));
		HAS(files[i], "Abcd");
	}
	DO(filled("l1/lower", BLOCK, 1));
}

TEST_F(data, space_is_allocated_and_punched)
{
	struct stat before, after;
	unsigned int i;
	int fd;

	DO(two_files(4 * BLOCK));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open(files[i], O_RDWR);
		ASSERT_LE(0, fd);
		DO(fallocate(fd, 0, 0, 8 * BLOCK));
		ASSERT_EQ(8 * BLOCK, size_of(files[i]));
		DO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 16 * BLOCK));
		ASSERT_EQ(8 * BLOCK, size_of(files[i]));
		DO(ftruncate(fd, 4 * BLOCK));
		DO(filled(files[i], 4 * BLOCK, 1));
		DO(fsync(fd));
		DO(fstat(fd, &before));
		DO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     BLOCK, 2 * BLOCK));
		DO(fsync(fd));
		DO(fstat(fd, &after));
		ASSERT_EQ(4 * BLOCK, after.st_size);
		ASSERT_GT(before.st_blocks, after.st_blocks);
		FAILS(EOPNOTSUPP, fallocate(fd, 0x4000, 0, BLOCK));
		close(fd);
		fd = open(files[i], O_RDONLY);
		FAILS(EBADF, fallocate(fd, 0, 0, BLOCK));
		close(fd);
	}
	DO(filled("l1/lower", 4 * BLOCK, 1));
}

TEST_F(data, holes_are_found)
{
	static const char * const branches[] = { "up/upper", "l1/lower" };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(branches); i++) {
		fd = open(branches[i], O_WRONLY | O_CREAT, 0644);
		ASSERT_EQ(4, pwrite(fd, "data", 4, 4 * BLOCK));
		DO(ftruncate(fd, 8 * BLOCK));
		close(fd);
	}
	DO(mount_union("up:l1"));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open(files[i], O_RDWR);
		ASSERT_EQ(4 * BLOCK, lseek(fd, 0, SEEK_DATA));
		ASSERT_LT(4 * BLOCK, lseek(fd, 4 * BLOCK, SEEK_HOLE));
		ASSERT_EQ(0, lseek(fd, 0, SEEK_HOLE));
		FAILS(ENXIO, lseek(fd, 6 * BLOCK, SEEK_DATA));
		FAILS(ENXIO, lseek(fd, 9 * BLOCK, SEEK_HOLE));
		/* As after the copy. */
		ASSERT_EQ(1, pwrite(fd, "x", 1, 6 * BLOCK));
		ASSERT_EQ(4 * BLOCK, lseek(fd, 0, SEEK_DATA));
		ASSERT_EQ(6 * BLOCK, lseek(fd, 6 * BLOCK, SEEK_DATA));
		close(fd);
	}
}

static int extents(const char *path, struct fiemap_extent *first)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent[8];
	} m = {
		.map.fm_length = FIEMAP_MAX_OFFSET,
		.map.fm_flags = FIEMAP_FLAG_SYNC,
		.map.fm_extent_count = 8,
	};
	int fd = open(path, O_RDONLY);
	int err = ioctl(fd, FS_IOC_FIEMAP, &m);

	close(fd);
	*first = m.extent[0];
	return err ? -1 : (int)m.map.fm_mapped_extents;
}

TEST_F(data, extents_are_those_of_the_branch)
{
	struct fiemap_extent below, shown;
	int nr;

	DO(fill("l1/f", 300000, 1));
	DO(mount_union("up:l1"));
	nr = extents("l1/f", &below);
	if (nr < 0) {
		FAILS(EOPNOTSUPP, extents("l1/f", &below));
		FAILS(EOPNOTSUPP, extents("mnt/f", &shown));
		return;
	}
	ASSERT_LT(0, nr);
	ASSERT_EQ(nr, extents("mnt/f", &shown));
	ASSERT_EQ(below.fe_physical, shown.fe_physical);
	DO(add("mnt/f", "x"));
	nr = extents("up/f", &below);
	ASSERT_EQ(nr, extents("mnt/f", &shown));
	ASSERT_EQ(below.fe_physical, shown.fe_physical);
}

TEST_F(data, a_position_is_the_descriptors_own)
{
	unsigned int i;
	int a, b, c;

	DO(two_files(BLOCK));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		a = open(files[i], O_RDWR);
		b = open(files[i], O_RDONLY);
		c = dup(a);
		ASSERT_EQ(100, lseek(a, 100, SEEK_SET));
		ASSERT_EQ(4, write(a, "1234", 4));
		ASSERT_EQ(104, lseek(c, 0, SEEK_CUR));
		ASSERT_EQ(0, lseek(b, 0, SEEK_CUR));
		ASSERT_EQ(BLOCK - 4, lseek(b, -4, SEEK_END));
		FAILS(EINVAL, lseek(b, -1, SEEK_SET));
		ASSERT_EQ(BLOCK - 4, lseek(b, 0, SEEK_CUR));
		FAILS(EBADF, write(b, "x", 1));
		close(a);
		close(b);
		close(c);
	}
}

TEST_F(data, vectors_and_flags_of_single_writes)
{
	char one[3] = "", two[4] = "";
	struct iovec out[] = { { "ab", 2 }, { "cde", 3 } };
	struct iovec in[] = { { one, 2 }, { two, 3 } };
	unsigned int i;
	int fd;

	DO(two_files(0));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open(files[i], O_RDWR);
		ASSERT_EQ(5, pwritev2(fd, out, 2, 0, RWF_DSYNC));
		ASSERT_EQ(5, pwritev2(fd, out, 2, 0, RWF_APPEND));
		HAS(files[i], "abcdeabcde");
		ASSERT_EQ(5, preadv2(fd, in, 2, 5, 0));
		ASSERT_STREQ("ab", one);
		ASSERT_STREQ("cde", two);
		DO(fdatasync(fd));
		DO(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		DO(syncfs(fd));
		close(fd);
	}
}

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

TEST_F(data, a_single_write_can_do_without_o_append)
{
	struct iovec out = { "X", 1 };
	unsigned int i;
	ssize_t ret;
	int fd;

	DO(two_files(0));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		DO(put(files[i], "abc"));
		fd = open(files[i], O_RDWR | O_APPEND);
		ret = pwritev2(fd, &out, 1, 1, RWF_NOAPPEND);
		if (ret < 0 && errno == EOPNOTSUPP)
			SKIP(return, "this kernel has no RWF_NOAPPEND");
		ASSERT_EQ(1, ret);
		HAS(files[i], "aXc");
		ASSERT_EQ(1, pwritev2(fd, &out, 1, 0, 0));
		HAS(files[i], "aXcX");
		close(fd);
	}
}

TEST_F(data, a_file_made_read_only_can_be_written_by_who_made_it)
{
	int fd;

	DO(put("l1/f", "lower"));
	DO(mount_union("up:l1"));
	fd = open("mnt/new", O_RDWR | O_CREAT | O_EXCL, 0400);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4, write(fd, "text", 4));
	HAS("mnt/new", "text");
	close(fd);
	/* And so one that was open when its mode changed. */
	fd = open("mnt/f", O_WRONLY);
	DO(chmod("mnt/f", 0));
	ASSERT_EQ(4, write(fd, "late", 4));
	HAS("up/f", "later");
}

/* Removes or replaces what is open, and goes on with it. */
TEST_F(data, an_unlinked_or_replaced_file_can_be_written_on)
{
	char path[32], buf[8] = "";
	struct stat st;
	int fd, i;

	for (i = 0; i < 4; i++) {
		/* Two are in the rw branch, two in the ro one. */
		snprintf(path, sizeof(path), i < 2 ? "up/f%d" : "l1/f%d", i);
		DO(put(path, "whole"));
	}
	DO(mount_union("up:l1"));
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "mnt/f%d", i);
		DO(put("mnt/other", "other"));
		fd = open(path, O_RDWR);
		ASSERT_LE(0, fd);
		DO(i % 2 ? rename("mnt/other", path) : unlink(path));
		ASSERT_EQ(2, pwrite(fd, "WH", 2, 0));
		ASSERT_EQ(5, pread(fd, buf, 7, 0));
		ASSERT_STREQ("WHole", buf);
		DO(fstat(fd, &st));
		ASSERT_EQ(0, st.st_nlink);
		ASSERT_EQ(5, st.st_size);
		DO(ftruncate(fd, 2));
		DO(fchmod(fd, 0600));
		DO(fsync(fd));
		close(fd);
	}
	ASSERT_STREQ("f1 f3", ls("mnt"));
	HAS("mnt/f3", "other");
	HAS("l1/f3", "whole");
	if (!on_overlay)
		ASSERT_STREQ("", ls("up/.wh..wh.mica/work"));
}

/* The copy is made while the caller's own pipe has data in it. */
TEST_F(data, sendfile_to_what_is_below_copies_it_first)
{
	int in, out;

	DO(fill("from", 300000, 1));
	DO(fill("l1/f", 3 << 20, 2));
	DO(mount_union("up:l1"));
	in = open("from", O_RDONLY);
	out = open("mnt/f", O_WRONLY);
	ASSERT_LE(0, out);
	ASSERT_EQ(200000, sendfile(out, in, NULL, 200000));
	close(in);
	close(out);
	DO(filled("l1/f", 3 << 20, 2));
	DO(run("head -c 200000 from | cmp -n 200000 - mnt/f && "
	       "cmp -i 200000 l1/f mnt/f"));
}

TEST_HARNESS_MAIN
