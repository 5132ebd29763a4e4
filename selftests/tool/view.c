// SPDX-License-Identifier: GPL-2.0-only
/*
 * view DIRECTORY: prints all that there is to see in a tree, but numbers of links and
 * of inodes, sizes of directories and times of reading and of changes of attributes. A
 * file with several names goes with the first of them.
 */
#include <err.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/xattr.h>

struct file {
	ino_t ino;
	char *name;
};

static void *files;

static int by_ino(const void *a, const void *b)
{
	ino_t x = ((const struct file *)a)->ino, y = ((const struct file *)b)->ino;

	return x < y ? -1 : x > y;
}

static const char *first_name(ino_t ino, const char *name)
{
	struct file *file = malloc(sizeof(*file)), **found;

	*file = (struct file){ .ino = ino, .name = strdup(name) };
	found = tsearch(file, &files, by_ino);
	return (*found)->name;
}

/* FNV-1a, 64 bits. */
static uint64_t sum(uint64_t hash, const char *data, ssize_t len)
{
	while (len-- > 0)
		hash = (hash ^ (unsigned char)*data++) * 0x100000001b3;
	return hash;
}

static void print_data(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	uint64_t hash = 0xcbf29ce484222325;
	static char data[1 << 16];
	ssize_t len;

	while ((len = read(fd, data, sizeof(data))) > 0)
		hash = sum(hash, data, len);
	if (len < 0)
		err(1, "%s", path);
	close(fd);
	printf(" %016jx", (uintmax_t)hash);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

static void print_xattrs(const char *path)
{
	char list[4096], value[4096], *names[256], *name;
	ssize_t len = llistxattr(path, list, sizeof(list));
	size_t nr = 0, i;

	if (len < 0)
		err(1, "%s", path);
	for (name = list; name < list + len; name += strlen(name) + 1)
		names[nr++] = name;
	qsort(names, nr, sizeof(*names), by_name);
	for (i = 0; i < nr; i++) {
		len = lgetxattr(path, names[i], value, sizeof(value));
		if (len < 0)
			err(1, "%s: %s", path, names[i]);
		printf(" %s=%016jx", names[i], (uintmax_t)sum(0, value, len));
	}
}

static void print_entry(const FTSENT *entry)
{
	const struct stat *st = entry->fts_statp;
	const char *path = entry->fts_accpath;
	char target[PATH_MAX];
	ssize_t len;

	printf("%s %o %u %u %ju.%09ld %jx", entry->fts_path, st->st_mode, st->st_uid,
	       st->st_gid, (uintmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
	       (uintmax_t)st->st_rdev);
	if (!S_ISDIR(st->st_mode))
		printf(" %ju %s", (uintmax_t)st->st_size,
		       first_name(st->st_ino, entry->fts_path));
	if (S_ISREG(st->st_mode))
		print_data(path);
	if (S_ISLNK(st->st_mode)) {
		len = readlink(path, target, sizeof(target));
		printf(" -> %.*s", (int)len, target);
	}
	print_xattrs(path);
	putchar('\n');
}

static int by_fts_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int main(int argc, char **argv)
{
	char * const roots[] = { ".", NULL };
	FTSENT *entry;
	FTS *tree;

	if (argc != 2 || chdir(argv[1]))
		err(1, "view");
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_fts_name);
	while (tree && (entry = fts_read(tree))) {
		if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS ||
		    entry->fts_info == FTS_DNR)
			errx(1, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
		if (entry->fts_info != FTS_DP)
			print_entry(entry);
	}
	return 0;
}
