// SPDX-License-Identifier: GPL-2.0-only
/* Copy-up: when it happens, what comes along, and what it leaves behind. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(copyup);

/* A change of any kind copies all. */
static int mount_full(const char *branches)
{
	return mount_union_with(branches, "metacopy=off");
}

#define BIG (8 << 20)

static char *map(const char *path, int flags, int prot, int how)
{
	int fd = open(path, flags);
	char *p;

	if (fd < 0)
		return MAP_FAILED;
	p = mmap(NULL, 4096, prot, how, fd, 0);
	close(fd);
	return p;
}

TEST_F(copyup, opening_for_writing_copies_nothing)
{
	int fd;

	ASSERT_EQ(0, put("l1/f", "old"));
	ASSERT_EQ(0, mount_full("up:l1"));
	fd = open("mnt/f", O_RDWR | O_APPEND);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(fd));
	fd = open("mnt/f", O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_FALSE(there("up/f"));
	ASSERT_EQ(3, write(fd, "new", 3));
	HAS("up/f", "new");
	HAS("l1/f", "old");
	ASSERT_EQ(0, close(fd));
}

/* Every call that changes a file, and whether the data is then another. */
static int do_write(void)	{ return add("mnt/d/f", "+"); }
static int do_chmod(void)	{ return chmod("mnt/d/f", 0600); }
static int do_chown(void)	{ return chown("mnt/d/f", 7, 8); }
static int do_utime(void)	{ return utimensat(AT_FDCWD, "mnt/d/f", NULL, 0); }
static int do_link(void)	{ return link("mnt/d/f", "mnt/g"); }
static int do_xattr(void)	{ return set_xattr("mnt/d/f", "trusted.a", "1"); }

static int do_truncate(void)
{
	return truncate("mnt/d/f", 0) || put("mnt/d/f", "data+");
}

static int do_trunc_open(void)
{
	return put("mnt/d/f", "data+");
}

static int do_fallocate(void)
{
	int fd = open("mnt/d/f", O_RDWR);
	int err = posix_fallocate(fd, 0, 4);

	close(fd);
	return err;
}

/* Waits for the names of copies made by mmap(), among other things. */
static int sync_all(void)
{
	int fd = open("mnt", O_RDONLY), err = syncfs(fd);

	close(fd);
	return err;
}

static int do_mmap(void)
{
	char *p = map("mnt/d/f", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);

	if (p == MAP_FAILED)
		return -1;
	p[0] = 'D';
	return munmap(p, 4096) || sync_all();
}

static int do_splice(void)
{
	int fd = open("mnt/d/f", O_RDWR), pipes[2];
	loff_t at = 4;

	if (pipe(pipes) || write(pipes[1], "+", 1) != 1 ||
	    splice(pipes[0], NULL, fd, &at, 1, 0) != 1)
		return -1;
	return close(fd);
}

static int do_copy_range(void)
{
	int from = open("l1/plus", O_RDONLY), to = open("mnt/d/f", O_RDWR);
	loff_t at = 4;

	if (copy_file_range(from, NULL, to, &at, 1, 0) != 1 && errno != EXDEV)
		return -1;
	/* Over file systems it is EXDEV where the kernel has it so. */
	if (pwrite(to, "+", 1, 4) != 1)
		return -1;
	return close(to) || close(from);
}

static const struct {
	const char *name;
	int (*change)(void);
	const char *data;
} changes[] = {
	{ "write", do_write, "data+" },
	{ "chmod", do_chmod, "data" },
	{ "chown", do_chown, "data" },
	{ "utime", do_utime, "data" },
	{ "link", do_link, "data" },
	{ "xattr", do_xattr, "data" },
	{ "truncate", do_truncate, "data+" },
	{ "O_TRUNC", do_trunc_open, "data+" },
	{ "fallocate", do_fallocate, "data" },
	{ "mmap", do_mmap, "Data" },
	{ "splice", do_splice, "data+" },
	{ "copy_file_range", do_copy_range, "data+" },
};

TEST_F(copyup, every_change_of_a_lower_file_copies_it)
{
	unsigned int i;

	ASSERT_EQ(0, mkdir("l1/d", 0750));
	ASSERT_EQ(0, put("l1/plus", "+"));
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		ASSERT_EQ(0, put("l1/d/f", "data"));
		ASSERT_EQ(0, chmod("l1/d/f", 0640));
		ASSERT_EQ(0, set_xattr("l1/d/f", "trusted.x", "value"));
		ASSERT_EQ(0, mount_full("up:l1"));
		EXPECT_EQ(0, changes[i].change()) {
			TH_LOG("%s: %s", changes[i].name, strerror(errno));
		}
		EXPECT_STREQ(changes[i].data, content("mnt/d/f")) {
			TH_LOG("%s", changes[i].name);
		}
		EXPECT_STREQ(changes[i].data, content("up/d/f"));
		EXPECT_STREQ("value", get_xattr("up/d/f", "trusted.x"));
		EXPECT_STREQ("data", content("l1/d/f"));
		EXPECT_EQ(0750, mode_of("up/d") & 07777);
		EXPECT_STREQ("", ls("up/.wh..wh.mica/work"));
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, run("rm -r up && mkdir up"));
	}
}

TEST_F(copyup, attributes_come_along)
{
	ASSERT_EQ(0, run("mkdir -p l1/a/b && echo x >l1/a/b/f && "
			 "chown 3:4 l1/a && chmod 2751 l1/a && chown 5:6 l1/a/b "
			 "&& chmod 1777 l1/a/b && chown 7:8 l1/a/b/f && "
			 "chmod 6755 l1/a/b/f && setfacl -m u:9:rx l1/a/b && "
			 "setfattr -n trusted.t -v dir l1/a && "
			 "touch -d '2001-02-03 04:05:06.789' l1/a/b/f && "
			 "touch -d '2002-02-03 04:05:06.789' l1/a/b && "
			 "touch -d '2003-02-03 04:05:06.789' l1/a"));
	ASSERT_EQ(0, mount_full("up:l1"));
	ASSERT_EQ(0, set_xattr("mnt/a/b/f", "trusted.x", "1"));
	EXPECT_EQ(0, same_attributes("l1/a/b/f", "up/a/b/f"));
	EXPECT_EQ(0, same_attributes("l1/a/b", "up/a/b"));
	EXPECT_EQ(0, same_attributes("l1/a", "up/a"));
	EXPECT_EQ(0, same_attributes("l1/a", "mnt/a"));
	EXPECT_STREQ("dir", get_xattr("up/a", "trusted.t"));
	EXPECT_EQ(0, run("test \"$(cd l1 && getfacl -n a/b)\" = "
			 "\"$(cd up && getfacl -n a/b)\""));
}

TEST_F(copyup, links_devices_and_fifos)
{
	ASSERT_EQ(0, run("ln -s /target l1/s && mkfifo l1/p && "
			 "mknod l1/c c 1 3 && chown -h 5:6 l1/s l1/p l1/c"));
	ASSERT_EQ(0, mount_full("up:l1"));
	ASSERT_EQ(0, run("chown -h 7:8 mnt/s mnt/p mnt/c"));
	ASSERT_EQ(0, run("test $(readlink up/s) = /target && test -p up/p && "
			 "test $(stat -c %%t:%%T up/c) = 1:3"));
	ASSERT_EQ(0, run("stat -c %%u mnt/s mnt/p mnt/c | uniq | grep -qx 7"));
}

TEST_F(copyup, holes_are_kept)
{
	struct stat a, b;
	int fd = open("l1/f", O_WRONLY | O_CREAT, 0644);

	ASSERT_EQ(4, pwrite(fd, "head", 4, 0));
	ASSERT_EQ(4, pwrite(fd, "tail", 4, BIG));
	ASSERT_EQ(0, ftruncate(fd, 2 * BIG));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, mount_full("up:l1"));
	ASSERT_EQ(0, chmod("mnt/f", 0600));
	ASSERT_EQ(0, stat("l1/f", &a));
	ASSERT_EQ(0, stat("up/f", &b));
	EXPECT_EQ(a.st_size, b.st_size);
	EXPECT_GE(1024, b.st_blocks);
	ASSERT_EQ(0, run("cmp l1/f up/f"));
}

TEST_F(copyup, big_files_arrive_whole)
{
	ASSERT_EQ(0, fill("l1/f", BIG + 123, 5));
	ASSERT_EQ(0, mount_full("up:l1"));
	ASSERT_EQ(0, chmod("mnt/f", 0600));
	ASSERT_EQ(0, filled("up/f", BIG + 123, 5));
	ASSERT_EQ(0, filled("mnt/f", BIG + 123, 5));
}

TEST_F(copyup, truncating_copies_no_more_than_it_leaves)
{
	ASSERT_EQ(0, fill("l1/f", BIG, 5));
	ASSERT_EQ(0, mount_full("up:l1"));
	ASSERT_EQ(0, truncate("mnt/f", 5000));
	ASSERT_EQ(0, filled("up/f", 5000, 5));
	ASSERT_EQ(0, filled("l1/f", BIG, 5));
}

TEST_F(copyup, a_descriptor_from_before_reads_the_new_data)
{
	char buf[8] = "";
	int rd, wr, rw;

	ASSERT_EQ(0, put("l1/f", "old"));
	ASSERT_EQ(0, mount_full("up:l1"));
	rd = open("mnt/f", O_RDONLY);
	rw = open("mnt/f", O_RDWR);
	wr = open("mnt/f", O_WRONLY);
	ASSERT_EQ(3, pread(rd, buf, 8, 0));
	ASSERT_EQ(4, write(wr, "NEW!", 4));
	ASSERT_EQ(4, pread(rd, buf, 8, 0));
	ASSERT_STREQ("NEW!", buf);
	ASSERT_EQ(4, pread(rw, buf, 8, 0));
	ASSERT_EQ(1, pwrite(rw, "?", 1, 3));
	ASSERT_EQ(4, pread(rd, buf, 8, 0));
	ASSERT_STREQ("NEW?", buf);
	ASSERT_EQ(4, lseek(rd, 0, SEEK_END));
	ASSERT_EQ(0, fsync(wr));
	HAS("l1/f", "old");
}

TEST_F(copyup, a_shared_mapping_from_before_shows_the_old_file)
{
	char *shared, *later;

	ASSERT_EQ(0, put("l1/f", "old"));
	ASSERT_EQ(0, mount_full("up:l1"));
	shared = map("mnt/f", O_RDONLY, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_EQ(0, put("mnt/f", "new"));
	/* A limit, and documented as one. */
	ASSERT_EQ(0, strcmp(shared, "old"));
	later = map("mnt/f", O_RDONLY, PROT_READ, MAP_SHARED);
	ASSERT_EQ(0, strcmp(later, "new"));
	munmap(shared, 4096);
	munmap(later, 4096);
}

TEST_F(copyup, shared_mappings_see_one_another_and_the_file)
{
	char *a, *b;

	ASSERT_EQ(0, put("l1/f", "old"));
	ASSERT_EQ(0, mount_full("up:l1"));
	a = map("mnt/f", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
	b = map("mnt/f", O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	a[0] = 'O';
	ASSERT_EQ('O', b[0]);
	HAS("mnt/f", "Old");
	ASSERT_EQ(0, msync(a, 4096, MS_SYNC));
	ASSERT_EQ(0, sync_all());
	HAS("up/f", "Old");
	HAS("l1/f", "old");
	munmap(a, 4096);
	munmap(b, 4096);
}

TEST_F(copyup, a_private_mapping_copies_nothing)
{
	char *p;

	ASSERT_EQ(0, put("l1/f", "old"));
	ASSERT_EQ(0, mount_full("up:l1"));
	p = map("mnt/f", O_RDWR, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 'x';
	ASSERT_FALSE(there("up/f"));
	HAS("mnt/f", "old");
	munmap(p, 4096);
}

TEST_F(copyup, a_full_branch_leaves_everything_as_it_was)
{
	ASSERT_EQ(0, fill("l1/f", BIG, 9));
	ASSERT_EQ(0, mkdir("small", 0755));
	ASSERT_EQ(0, mount("small", "small", "tmpfs", 0, "size=4M,mode=0755"));
	ASSERT_EQ(0, mkdir("small/up", 0755));
	ASSERT_EQ(0, mount_full("small/up:l1"));
	FAILS(ENOSPC, add("mnt/f", "x"));
	FAILS(ENOSPC, chmod("mnt/f", 0600));
	FAILS(ENOSPC, link("mnt/f", "mnt/g"));
	FAILS(ENOSPC, rename("mnt/f", "mnt/g"));
	ASSERT_STREQ("f", ls("mnt"));
	ASSERT_EQ(0, filled("mnt/f", BIG, 9));
	ASSERT_EQ(0644, mode_of("mnt/f") & 07777);
	ASSERT_STREQ("", ls("small/up"));
	ASSERT_STREQ("", ls("small/up/.wh..wh.mica/work"));
	/* What needs no room goes on. */
	ASSERT_EQ(0, unlink("mnt/f"));
	ASSERT_EQ(0, umount("mnt"));
	ASSERT_EQ(0, umount("small"));
}

/* A reader must never see but the whole old file or the whole new one. */
TEST_F(copyup, who_reads_meanwhile_sees_a_whole_file)
{
	int i, status, bad = 0;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, fill("l1/f", BIG / 2, i));
		ASSERT_EQ(0, mount_full("up:l1"));
		pid = fork();
		if (!pid) {
			int n;

			for (n = 0; n < 20; n++)
				if (filled("mnt/f", BIG / 2, i))
					_exit(1);
			_exit(0);
		}
		ASSERT_EQ(0, chmod("mnt/f", 0600));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		bad += !!status;
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, unlink("up/f"));
	}
	ASSERT_EQ(0, bad);
}

TEST_F(copyup, sigkill_in_the_middle_leaves_nothing_behind)
{
	int i, status, killed = 0;
	pid_t pid;

	ASSERT_EQ(0, fill("l1/f", 4 * BIG, 1));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, mount_full("up:l1"));
		pid = fork();
		if (!pid)
			_exit(chmod("mnt/f", 0600));
		usleep(i * 2000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		killed += WIFSIGNALED(status);
		EXPECT_STREQ("", ls("up/.wh..wh.mica/work"));
		if (there("up/f"))
			EXPECT_EQ(0, filled("up/f", 4 * BIG, 1));
		EXPECT_EQ(0, filled("mnt/f", 4 * BIG, 1));
		ASSERT_EQ(0, umount("mnt"));
		unlink("up/f");
	}
	/* How many depends on how fast a copy is here. */
	TH_LOG("%d of 10 were killed", killed);
}

TEST_F(copyup, many_at_once_copy_it_once)
{
	int i, status;

	ASSERT_EQ(0, mkdir("l1/d", 0755));
	ASSERT_EQ(0, fill("l1/d/f", BIG / 4, 3));
	ASSERT_EQ(0, mount_full("up:l1"));
	for (i = 0; i < 16; i++) {
		if (!fork()) {
			int fd = open("mnt/d/f", O_WRONLY | O_APPEND);

			_exit(write(fd, "0123456789abcdef" + i, 1) != 1);
		}
	}
	while (wait(&status) > 0)
		EXPECT_EQ(0, status);
	ASSERT_EQ(0, run("test $(stat -c %%s mnt/d/f) = %d",
			 BIG / 4 + 16));
	ASSERT_EQ(0, run("test $(tail -c 16 up/d/f | fold -w1 | sort | tr -d "
			 "'\\n') = 0123456789abcdef"));
	ASSERT_EQ(0, truncate("mnt/d/f", BIG / 4));
	ASSERT_EQ(0, filled("mnt/d/f", BIG / 4, 3));
}

TEST_F(copyup, a_running_program_is_busy)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, run("cp /bin/sleep l1/sleep"));
	ASSERT_EQ(0, mount_full("up:l1"));
	pid = fork();
	if (!pid) {
		execl("mnt/sleep", "sleep", "100", NULL);
		_exit(1);
	}
	usleep(300000);
	FAILS(ETXTBSY, open("mnt/sleep", O_WRONLY));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, add("mnt/sleep", "x"));
}

TEST_F(copyup, data_moves_without_user_memory)
{
	char buf[16] = "";
	int in, out, pipes[2];

	ASSERT_EQ(0, put("l1/f", "spliced"));
	ASSERT_EQ(0, mount_full("up:l1"));
	in = open("mnt/f", O_RDONLY);
	out = open("mnt/g", O_RDWR | O_CREAT, 0644);
	ASSERT_EQ(7, sendfile(out, in, NULL, 100));
	HAS("mnt/g", "spliced");
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, lseek(in, 0, SEEK_SET));
	ASSERT_EQ(7, splice(in, NULL, pipes[1], NULL, 100, 0));
	ASSERT_EQ(7, read(pipes[0], buf, 16));
	ASSERT_STREQ("spliced", buf);
	ASSERT_EQ(0, lseek(in, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(out, 0, SEEK_SET));
	ASSERT_EQ(3, copy_file_range(in, NULL, out, NULL, 3, 0));
	HAS("mnt/g", "spliced");
}

TEST_F(copyup, direct_io_where_the_branch_has_it)
{
	char *block = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	ASSERT_EQ(0, fill("l1/f", 4096, 2));
	ASSERT_EQ(0, mount_full("up:l1"));
	fd = open("l1/f", O_RDWR | O_DIRECT);
	if (fd < 0) {
		FAILS(EINVAL, open("mnt/f", O_RDWR | O_DIRECT));
		return;
	}
	close(fd);
	fd = open("mnt/f", O_RDWR | O_DIRECT);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4096, pread(fd, block, 4096, 0));
	ASSERT_EQ(4096, pwrite(fd, block, 4096, 4096));
	ASSERT_EQ(0, run("cmp -n 4096 l1/f mnt/f && cmp -n 4096 -i 0:4096 l1/f mnt/f"));
}

TEST_HARNESS_MAIN
