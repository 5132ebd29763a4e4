// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of each operation fails, one after the other. Then nothing has
 * happened and the caller is told, or all has happened.
 */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "../lib/fault.h"
#include "util.h"

FIXTURE(fault) {};
FIXTURE_SETUP(fault)
{
	DO(fresh("tmpfs"));
}

FIXTURE_TEARDOWN(fault)
{
	EXPECT_EQ(0, leave());
}

static char state_text[1 << 16];
static size_t state_len;

static void add_state(const char *path)
{
	struct dirent **names;
	char name[PATH_MAX];
	struct stat st;
	int i, nr;

	if (lstat(path, &st))
		return;
	state_len += snprintf(state_text + state_len,
			      sizeof(state_text) - state_len,
			      "%s %o %u %u %ld %s\n", path, st.st_mode,
			      st.st_uid, (unsigned int)st.st_nlink,
			      S_ISDIR(st.st_mode) ? 0 : (long)st.st_size,
			      S_ISREG(st.st_mode) ? content(path) : "");
	if (!S_ISDIR(st.st_mode))
		return;
	nr = scandir(path, &names, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, names[i]->d_name);
		if (strcmp(names[i]->d_name, ".") &&
		    strcmp(names[i]->d_name, ".."))
			add_state(name);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
}

/* Everything that can be seen in the union. */
static char *state(void)
{
	state_len = 0;
	add_state("mnt");
	return strdup(state_text);
}

static int do_look(void)
{
	struct stat st;

	return stat("mnt/d/e/low", &st);
}

static int do_list(void)
{
	DIR *dir = opendir("mnt/d");
	int ret = 0;

	if (!dir)
		return -1;
	errno = 0;
	while (readdir(dir))
		;
	ret = errno ? -1 : 0;
	closedir(dir);
	return ret;
}

static int do_read(void)
{
	int fd = open("mnt/d/f", O_RDONLY), ret;
	char c;

	if (fd < 0)
		return -1;
	ret = read(fd, &c, 1) == 1 ? 0 : -1;
	close(fd);
	return ret;
}

static int do_write(void)
{
	int fd = open("mnt/d/f", O_WRONLY), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, "new", 3) == 3 ? 0 : -1;
	close(fd);
	return ret;
}

static int do_create(void)
{
	int fd = open("mnt/d/new", O_WRONLY | O_CREAT | O_EXCL, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int do_chmod(void)	{ return chmod("mnt/d/f", 0600); }
static int do_chmod_dir(void)	{ return chmod("mnt/d", 0700); }
static int do_truncate(void)	{ return truncate("mnt/d/f", 1); }
static int do_mkdir(void)	{ return mkdir("mnt/d/new", 0755); }
static int do_mkdir_over(void)	{ return mkdir("mnt/d/gone", 0755); }
static int do_symlink(void)	{ return symlink("f", "mnt/d/new"); }
static int do_link(void)	{ return link("mnt/d/f", "mnt/d/new"); }
static int do_unlink(void)	{ return unlink("mnt/d/f"); }
static int do_unlink_up(void)	{ return unlink("mnt/d/both"); }
static int do_rmdir(void)	{ return rmdir("mnt/empty"); }
static int do_rename(void)	{ return rename("mnt/d/f", "mnt/g"); }
static int do_over(void)	{ return rename("mnt/d/f", "mnt/d/both"); }
static int do_rename_dir(void)	{ return rename("mnt/d", "mnt/x"); }
static int do_hard(void)	{ return chmod("mnt/d/hard", 0600); }

static int do_exchange(void)
{
	return renameat2(AT_FDCWD, "mnt/d/f", AT_FDCWD, "mnt/d/both",
			 RENAME_EXCHANGE);
}

static int do_xattr(void)
{
	return setxattr("mnt/d/f", "trusted.a", "1", 1, 0);
}

static const struct {
	const char *what;
	int (*op)(void);
} ops[] = {
	{ "look-up", do_look }, { "readdir", do_list }, { "read", do_read },
	{ "write", do_write }, { "create", do_create },
	{ "chmod", do_chmod }, { "chmod of a directory", do_chmod_dir },
	{ "truncate", do_truncate }, { "xattr", do_xattr },
	{ "mkdir", do_mkdir }, { "mkdir over a whiteout", do_mkdir_over },
	{ "symlink", do_symlink }, { "link", do_link },
	{ "unlink", do_unlink }, { "unlink of two", do_unlink_up },
	{ "rmdir", do_rmdir }, { "rename", do_rename },
	{ "rename over another", do_over }, { "exchange", do_exchange },
	{ "rename of a directory", do_rename_dir },
	{ "chmod of a hard link", do_hard },
};

static int begin(const char *options)
{
	return remove_all("up") || remove_all("l1") || mkdir("up", 0755) ||
	       mkdir("l1", 0755) || mkdir("l1/d", 0755) ||
	       mkdir("l1/d/e", 0755) || put("l1/d/e/low", "low") ||
	       put("l1/d/f", "old") || put("l1/d/both", "l1") ||
	       put("l1/d/hard", "hard") || link("l1/d/hard", "l1/hard") ||
	       put("l1/d/gone", "gone") || mkdir("l1/empty", 0755) ||
	       mkdir("up/d", 0755) || put("up/d/both", "up") ||
	       make_whiteout("up", "d/gone") ||
	       mount_union_with("up:l1", options);
}

/* Returns the number of allocations that failed. */
static int each(struct __test_metadata *_metadata, unsigned int i,
		const char *options)
{
	char *before, *after, *now;
	int n, ret, err;
	bool failed = true, made;

	DO(begin(options));
	before = state();
	DO(ops[i].op());
	after = state();
	DO(umount("mnt"));

	for (n = 1; failed; n++) {
		DO(begin(options));
		DO(fault_at(n));
		ret = ops[i].op();
		err = errno;
		failed = fault_came();
		DO(fault_at(0));
		now = state();
		/* As anywhere, a file may be made, and then not be opened. */
		made = ops[i].op == do_create && !strcmp(after, now);
		ASSERT_STREQ(ret && !made ? before : after, now) {
			TH_LOG("%s, %s, allocation %d: %d, %s", ops[i].what,
			       options, n, ret, strerror(err));
		}
		if (ret) {
			ASSERT_TRUE(failed);
			/*
			 * Accesses to user memory may take their turn, too, and
			 * without memory for an inode tmpfs is full.
			 */
			ASSERT_TRUE(err == ENOMEM || err == EFAULT ||
				    err == ENOSPC) {
				TH_LOG("%s, %s, allocation %d: %s", ops[i].what,
				       options, n, strerror(err));
			}
		}
		free(now);
		DO(umount("mnt"));
	}
	free(before);
	free(after);
	return n - 2;
}

TEST_F_TIMEOUT(fault, any_allocation_may_fail, 3600)
{
	static const char * const options[] = {
		"metacopy=on", "whiteout=overlay",
	};
	unsigned int i, j;
	int failed;

	NOT_ON_OVERLAY("other options");
	if (!faults_can_be("failslab"))
		SKIP(return, "a kernel without failslab");
	for (j = 0; j < ARRAY_SIZE(options); j++) {
		for (i = 0; i < ARRAY_SIZE(ops); i++) {
			failed = each(_metadata, i, options[j]);
			TH_LOG("%s, %s: %d allocations failed", ops[i].what,
			       options[j], failed);
			ASSERT_LT(0, failed);
		}
	}
}

TEST_HARNESS_MAIN
