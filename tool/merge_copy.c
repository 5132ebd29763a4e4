// SPDX-License-Identifier: GPL-2.0-only
/* Copies of files with all that they have; trees that are counted and removed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include "merge.h"

#define CHUNK (16u << 20)

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void progress_print(const struct progress *p)
{
	char *copied CLEANUP(free_string) = human_size(p->copied);
	unsigned int percent = 100, bar;

	if (p->done < p->total)
		percent = (unsigned int)(100 * p->done / p->total);
	bar = percent / 4;
	fprintf(stderr, "\r[%.*s%*s] %3u %%, %s copied\033[K", (int)bar,
		"#########################", (int)(25 - bar), "", percent, copied);
}

void progress_tell(struct progress *p)
{
	uint64_t now = now_ms();

	if (now - p->told < 100 || !isatty(STDERR_FILENO))
		return;
	progress_print(p);
	p->told = now;
}

void progress_end(struct progress *p)
{
	if (!p->told)
		return;
	fputs("\r\033[K", stderr);
	p->told = 0;
}

static const char *remove_acls(const char *path)
{
	static const char * const acls[] = {
		"system.posix_acl_access", "system.posix_acl_default",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(acls); i++)
		if (removexattr(path, acls[i]) && errno != ENODATA && errno != EOPNOTSUPP)
			return because_errno();
	return NULL;
}

/* What is made in a directory is to inherit nothing from it. */
const char *drop_acls(int dir)
{
	char *path CLEANUP(free_string) = fd_path(dir);

	return remove_acls(path);
}

static const char *copy_xattr(const char *to, const char *from, const char *name)
{
	char *value CLEANUP(free_string) = NULL;
	ssize_t len = getxattr(from, name, NULL, 0);

	if (len >= 0) {
		value = xmalloc((size_t)len + 1);
		len = getxattr(from, name, value, (size_t)len);
	}
	if (len < 0 || lsetxattr(to, name, value, (size_t)len, 0))
		return because("its attribute %s cannot be copied: %s", name,
			       strerror(errno));
	return NULL;
}

static const char *copy_xattrs(const char *to, const struct part *part, xattr_filter skip)
{
	char *from CLEANUP(free_string) = fd_path(part->fd);
	char *list CLEANUP(free_string) = NULL;
	ssize_t len = listxattr(from, NULL, 0);
	const char *name;
	const char *why = NULL;

	if (len > 0) {
		list = xmalloc((size_t)len);
		len = listxattr(from, list, (size_t)len);
	}
	if (len < 0)
		return errno == EOPNOTSUPP ? NULL : because_errno();
	for (name = list; !why && name < list + len; name += strlen(name) + 1)
		if (!skip || !skip(name))
			why = copy_xattr(to, from, name);
	return why;
}

#define COPIED_FLAGS (FS_SYNC_FL | FS_DIRSYNC_FL | FS_NOATIME_FL | FS_NODUMP_FL)

/* Those of chattr(1) that others mind, and none that it got from its directory. */
static const char *copy_flags(const char *to, const struct part *from)
{
	int in CLEANUP(close_fd) = -1, out CLEANUP(close_fd) = -1;
	char *path CLEANUP(free_string) = fd_path(from->fd);
	int wanted, flags;

	in = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);
	out = open(to, O_RDONLY | O_CLOEXEC);
	if (in < 0 || out < 0)
		return because_errno();
	if (!ioctl(in, FS_IOC_GETFLAGS, &wanted) && !ioctl(out, FS_IOC_GETFLAGS, &flags)) {
		wanted = (wanted & COPIED_FLAGS) | (flags & ~COPIED_FLAGS);
		if (wanted == flags || !ioctl(out, FS_IOC_SETFLAGS, &wanted))
			return NULL;
	}
	if (errno == ENOTTY || errno == EOPNOTSUPP)
		return NULL;
	return because("its file attributes cannot be copied: %s", strerror(errno));
}

/* Owner, extended attributes, mode, times and flags; in this order, each stays. */
const char *copy_attributes(const struct place *to, const struct part *from, xattr_filter skip)
{
	char *path CLEANUP(free_string) = path_in(to->dir, to->name);
	const struct stat *st = &from->st;
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	const char *why;

	if (fchownat(to->dir, to->name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW))
		return because_errno();
	why = S_ISLNK(st->st_mode) ? NULL : remove_acls(path);
	why = why ?: copy_xattrs(path, from, skip);
	if (why)
		return why;
	if (!S_ISLNK(st->st_mode) && fchmodat(to->dir, to->name, st->st_mode & 07777, 0))
		return because_errno();
	if (utimensat(to->dir, to->name, times, AT_SYMLINK_NOFOLLOW))
		return because_errno();
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) ? copy_flags(path, from) : NULL;
}

static ssize_t copy_some(int to, int from, off_t pos, size_t size)
{
	char *buf CLEANUP(free_string) = NULL;
	off_t in = pos, out = pos;
	ssize_t ret = copy_file_range(from, &in, to, &out, size, 0);

	if (ret > 0 || (ret < 0 && errno == ENOSPC))
		return ret;
	/* Not all file systems can; then it takes the long way. */
	size = size < CHUNK / 16 ? size : CHUNK / 16;
	buf = xmalloc(size);
	ret = pread(from, buf, size, pos);
	return ret > 0 ? pwrite(to, buf, (size_t)ret, pos) : ret;
}

static const char *copy_range(int to, int from, off_t pos, off_t end, struct progress *progress)
{
	ssize_t ret;

	while (pos < end) {
		ret = copy_some(to, from, pos, end - pos < CHUNK ? (size_t)(end - pos) : CHUNK);
		if (ret < 0)
			return because_errno();
		if (!ret)
			return because("has become shorter");
		pos += ret;
		progress->copied += (uint64_t)ret;
		progress_tell(progress);
	}
	return NULL;
}

/* By reflink, or else with its holes. */
static const char *copy_data(int to, int from, struct progress *progress)
{
	struct stat st;
	off_t data, hole = 0;
	const char *why = NULL;

	if (!ioctl(to, FICLONE, from))
		return NULL;
	if (fstat(from, &st) || ftruncate(to, st.st_size))
		return because_errno();
	while (!why && hole < st.st_size) {
		data = lseek(from, hole, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
		if (hole < 0) {
			/* It does not tell where holes are. */
			data = data < 0 ? 0 : data;
			hole = st.st_size;
		}
		why = copy_range(to, from, data, hole, progress);
	}
	return why;
}

static const char *copy_regular(const struct place *to, const struct part *from, int data,
				struct progress *progress)
{
	int fd CLEANUP(close_fd) = -1, source CLEANUP(close_fd) = -1;
	char *path CLEANUP(free_string) = NULL;

	fd = openat(to->dir, to->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return because_errno();
	if (data < 0)
		return ftruncate(fd, from->st.st_size) ? because_errno() : NULL;
	path = fd_path(data);
	source = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);
	if (source < 0)
		return because_errno();
	return copy_data(fd, source, progress);
}

static const char *copy_link(const struct place *to, const struct part *from)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(from->fd, "", target, sizeof(target) - 1);

	if (len < 0)
		return because_errno();
	target[len] = 0;
	return symlinkat(target, to->dir, to->name) ? because_errno() : NULL;
}

/*
 * Copies what is no directory. @data is a descriptor of the file that a regular one
 * has its data from, or -1 for none.
 */
const char *copy_node(const struct place *to, const struct part *from, int data,
		      xattr_filter skip, struct progress *progress)
{
	mode_t mode = from->st.st_mode;
	const char *why;

	if (S_ISREG(mode))
		why = copy_regular(to, from, data, progress);
	else if (S_ISLNK(mode))
		why = copy_link(to, from);
	else
		why = mknodat(to->dir, to->name, (mode & S_IFMT) | 0600,
			      from->st.st_rdev) ? because_errno() : NULL;
	return why ?: copy_attributes(to, from, skip);
}

/* Would a tree with that in it not be moved as a whole? */
static const char *check_movable(int dir, const char *name, struct stat *st)
{
	struct statx stx;

	if (statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx))
		return because("%s: %s", name, strerror(errno));
	st->st_mode = stx.stx_mode;
	if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return because("%s: something is mounted there", name);
	if (stx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return because("%s: is immutable or append-only", name);
	if (stx.stx_attributes & STATX_ATTR_ENCRYPTED)
		return because("%s: is encrypted", name);
	if (stx.stx_attributes & STATX_ATTR_VERITY)
		return because("%s: is protected by fs-verity", name);
	return NULL;
}

static const char *in_directory(const char *name, const char *why)
{
	return why ? because("%s/%s", name, why) : NULL;
}

static bool is_apart(const struct tally *t, int dir)
{
	struct stat st;
	size_t i;

	if (fstat(dir, &st))
		return false;
	for (i = 0; i < t->nr_apart; i++)
		if (same_file(&st, &t->apart[i]))
			return false;
	return true;
}

static const char *count_entry(int dir, const char *name, struct tally *t)
{
	int fd CLEANUP(close_fd) = -1;
	struct stat st;
	const char *why;

	why = check_movable(dir, name, &st);
	t->names++;
	if (why || !S_ISDIR(st.st_mode))
		return why;
	fd = open_dir(dir, name);
	if (fd < 0)
		return because("%s: %s", name, strerror(errno));
	if (!is_apart(t, fd))
		return because("%s: is a layer, too, or where the new one is to be", name);
	if (t->depth == MAX_DEPTH)
		return because("%s: is in more than %d directories", name, MAX_DEPTH);
	t->depth++;
	why = in_directory(name, count_tree(fd, t));
	t->depth--;
	return why;
}

/* Adds how many names are in a tree, all of which can be moved and removed. */
const char *count_tree(int dir, struct tally *t)
{
	struct names here CLEANUP(names_free) = {};
	const char *why = names_read(&here, dir);
	size_t i;

	for (i = 0; !why && i < here.nr; i++)
		why = count_entry(dir, here.name[i], t);
	return why;
}

static const char *remove_entry(int dir, const char *name, struct progress *progress)
{
	int fd CLEANUP(close_fd) = -1;
	struct stat st;
	const char *why;

	progress->done++;
	progress_tell(progress);
	if (!unlinkat(dir, name, 0))
		return NULL;
	if (errno != EISDIR)
		return because("%s: %s", name, strerror(errno));
	why = check_movable(dir, name, &st);
	if (why)
		return why;
	fd = open_dir(dir, name);
	if (fd < 0)
		return because("%s: %s", name, strerror(errno));
	why = in_directory(name, empty_tree(fd, progress));
	if (!why && unlinkat(dir, name, AT_REMOVEDIR))
		return because("%s: %s", name, strerror(errno));
	return why;
}

/* Removes all that is in a directory. */
const char *empty_tree(int dir, struct progress *progress)
{
	struct names here CLEANUP(names_free) = {};
	const char *why = names_read(&here, dir);
	size_t i;

	names_sort(&here);
	for (i = 0; !why && i < here.nr; i++)
		why = remove_entry(dir, here.name[i], progress);
	return why;
}
