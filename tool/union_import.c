// SPDX-License-Identifier: GPL-2.0-only
/*
 * mica union import: the archive of a layer of an OCI image becomes a layer.
 *
 * Whoever made the archive is not trusted. Every name in it is walked to from the
 * new layer's root, one directory after the other and none of them a symbolic
 * link; all is made in a directory of another name, which gets its own in the end.
 */
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <locale.h>
#include <search.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "tar_stream.h"

#define DEFAULT_ACL "system.posix_acl_default"
#define ACCESS_ACL "system.posix_acl_access"

static const char help[] =
	"Usage: mica union import [--whiteout FORM] [--devices] [FILE] DIRECTORY\n"
	"\n"
	"Makes a layer of an archive that is a layer of an OCI image: tar, plain or with\n"
	"gzip or zstd. FILE may be -, the standard input, as it is without it. DIRECTORY\n"
	"is new, or empty, and is there when all is in it. An archive that is damaged, or\n"
	"leads out of the directory, is refused as a whole.\n"
	"\n"
	"  -w, --whiteout FORM  write whiteouts as dot (the default) or overlay\n"
	"  -d, --devices        let it have device nodes\n"
	"  -h, --help           this text\n";

/*
 * What is to be done when nothing else will be made in a directory. They are a tree, as
 * the directories are: a few bytes of an archive that is compressed can be a path of
 * half a megabyte, and each directory in that one would have a copy of it.
 */
struct late {
	char *name;
	struct late *dir;		/* it is in, NULL for the root */
	void *entries;			/* of tsearch(), by their names */
	bool whiteout;			/* that gets another form */
	bool has_time;
	struct timespec time;
	char *acl;			/* the default ACL, or NULL */
	size_t acl_len;
};

static int late_cmp(const void *a, const void *b)
{
	return strcmp(((const struct late *)a)->name, ((const struct late *)b)->name);
}

static void free_late(void *data)
{
	struct late *late = data;

	tdestroy(late->entries, free_late);
	free(late->name);
	free(late->acl);
	free(late);
}

struct import {
	struct tar_stream tar;
	int root;
	bool overlay;			/* the form of whiteouts */
	bool devices;
	char *dir;			/* the directory that @dir_fd is of, or NULL */
	int dir_fd;
	struct late late;		/* of the root */
	struct archive_entry *root_entry;	/* what the root is to be, or NULL */
};

/*
 * A path of the archive without what means nothing in it, to be freed; "" is the
 * root. @name becomes its last name.
 */
static const char *clean_path(const char *path, char **clean, const char **name)
{
	char *to = xmalloc(strlen(path) + 2);
	unsigned int depth = 0;
	size_t len;

	*clean = to;
	*name = to;
	if (*path == '/')
		return because("is an absolute name");
	for (; *path; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (!len || (len == 1 && *path == '.'))
			continue;
		if (len == 2 && !strncmp(path, "..", 2))
			return because("leads out of the directory");
		if (has_dot_prefix(*name))
			return because("is in a directory with a reserved name");
		if (++depth > MAX_DEPTH)
			return because("is in more than %d directories", MAX_DEPTH);
		if (*name != *clean || **name)
			*to++ = '/';
		*name = to;
		memcpy(to, path, len);
		to += len;
		*to = 0;
	}
	return NULL;
}

/* The directory @name in @dir; there is one afterwards, if @make. */
static const char *step(int dir, const char *name, bool make, int *fd)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	*fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	if (*fd < 0 && errno == ENOENT && make && !mkdirat(dir, name, 0755))
		*fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	if (*fd >= 0)
		return NULL;
	if (errno == ELOOP || errno == ENOTDIR)
		return because("leads through %s, which is no directory", name);
	return because("leads through %s: %s", name, strerror(errno));
}

/* The directory that the @len bytes of @path are of. */
static const char *walk(struct import *x, const char *path, size_t len, bool make, int *fd)
{
	char *copy CLEANUP(free_string) = xstrndup(path, len);
	char *rest = copy, *name;
	const char *why = NULL;
	int next;

	*fd = fcntl(x->root, F_DUPFD_CLOEXEC, 0);
	while (!why && *fd >= 0 && *copy && (name = strsep(&rest, "/"))) {
		why = step(*fd, name, make, &next);
		close(*fd);
		*fd = next;
	}
	return *fd < 0 && !why ? because_errno() : why;
}

/* The directory of what is next; that of the last one often is it. */
static const char *open_parent(struct import *x, const char *path, const char *name, int *fd)
{
	size_t len = name > path ? (size_t)(name - path) - 1 : 0;
	const char *why;

	if (!x->dir || strlen(x->dir) != len || strncmp(x->dir, path, len)) {
		close_fd(&x->dir_fd);
		free_string(&x->dir);
		x->dir = NULL;
		why = walk(x, path, len, true, &x->dir_fd);
		if (why)
			return why;
		x->dir = xstrndup(path, len);
	}
	*fd = x->dir_fd;
	return NULL;
}

static const char *remove_tree(int dir, const char *name)
{
	struct names names CLEANUP(names_free) = {};
	int fd CLEANUP(close_fd) = -1;
	const char *why;
	size_t i;

	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return NULL;
	fd = open_dir(dir, name);
	if (fd < 0)
		return because_errno();
	why = names_read(&names, fd);
	for (i = 0; !why && i < names.nr; i++)
		why = remove_tree(fd, names.name[i]);
	if (!why && unlinkat(dir, name, AT_REMOVEDIR))
		why = because_errno();
	return why;
}

static struct late *add_late(struct late *dir, const char *name)
{
	struct late *late = xmalloc(sizeof(*late));

	late->name = xstrdup(name);
	late->dir = dir;
	if (!tsearch(late, &dir->entries, late_cmp)) {
		fail("out of memory");
		exit(MICA_FAILED);
	}
	return late;
}

/* Of a path that is not the root; NULL if there is none and none is to be made. */
static struct late *find_late(struct import *x, const char *path, bool make)
{
	char *copy CLEANUP(free_string) = xstrdup(path);
	struct late *late = &x->late, **found, key;
	char *rest = copy;

	while (late && (key.name = strsep(&rest, "/"))) {
		found = tfind(&key, &late->entries, late_cmp);
		if (found)
			late = *found;
		else
			late = make ? add_late(late, key.name) : NULL;
	}
	return late;
}

/* What was still to be done in a directory that is not there any more. */
static void forget(struct import *x, const char *path)
{
	struct late *late = find_late(x, path, false);

	if (!late)
		return;
	tdelete(late, &late->dir->entries, late_cmp);
	free_late(late);
}

/* An entry takes the place of an earlier one, but for a directory of another. */
static const char *make_room(struct import *x, int dir, const char *path, const char *name,
			     bool is_dir)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? NULL : because_errno();
	if (is_dir && S_ISDIR(st.st_mode))
		return NULL;
	if (S_ISDIR(st.st_mode))
		forget(x, path);
	return remove_tree(dir, name);
}

static struct timespec time_of(struct archive_entry *entry)
{
	struct timespec t = {
		.tv_sec = archive_entry_mtime(entry),
		.tv_nsec = archive_entry_mtime_nsec(entry),
	};

	/* Before 1970 libarchive has the part of the second with a minus. */
	if (t.tv_sec < 0 && t.tv_nsec) {
		t.tv_sec--;
		t.tv_nsec = 1000000000 - t.tv_nsec;
	}
	return t;
}

static const char *set_owner(int dir, const char *name, struct archive_entry *entry)
{
	la_int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return because("belongs to %jd:%jd, which there cannot be", (intmax_t)uid,
			       (intmax_t)gid);
	if (fchownat(dir, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW))
		return because("cannot belong to %jd:%jd: %s", (intmax_t)uid, (intmax_t)gid,
			       strerror(errno));
	return NULL;
}

static const char *set_xattrs(int dir, const char *name, struct archive_entry *entry)
{
	char *path CLEANUP(free_string) = path_in(dir, name);
	int left = archive_entry_xattr_reset(entry);
	const char *attr;
	const void *value;
	bool is_default;
	size_t len;

	while (left-- && !archive_entry_xattr_next(entry, &attr, &value, &len)) {
		if (xattr_is_private(attr))
			return because("has the attribute %s, which is no layer's to set", attr);
		is_default = !strcmp(attr, DEFAULT_ACL);
		if (is_default && archive_entry_filetype(entry) != AE_IFDIR)
			continue;
		/* One that it cannot have need not be kept for later. */
		if (lsetxattr(path, attr, value, len, 0) ||
		    (is_default && lremovexattr(path, attr) && errno != ENODATA))
			return because("cannot have the attribute %s of %zu bytes: %s", attr,
				       len, strerror(errno));
	}
	return NULL;
}

/* All of a directory but what changes with its content, or changes that. */
static const char *set_attributes(int dir, const char *name, struct archive_entry *entry)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, time_of(entry) };
	mode_t type = archive_entry_filetype(entry);
	const char *why;

	why = set_owner(dir, name, entry);
	if (!why && type != AE_IFLNK && fchmodat(dir, name, archive_entry_perm(entry), 0))
		why = because_errno();
	why = why ?: set_xattrs(dir, name, entry);
	if (!why && type != AE_IFDIR && utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW))
		why = because_errno();
	return why;
}

/*
 * What the directory has is kept in place of that of an earlier entry, as long as its
 * default ACL would be inherited by what is still to come.
 */
static void keep_for_later(struct late *late, struct archive_entry *entry)
{
	int left = archive_entry_xattr_reset(entry);
	const char *attr;
	const void *value;
	size_t len;

	late->has_time = true;
	late->time = time_of(entry);
	while (left-- && !archive_entry_xattr_next(entry, &attr, &value, &len)) {
		if (strcmp(attr, DEFAULT_ACL))
			continue;
		free(late->acl);
		late->acl = xmalloc(len + 1);
		late->acl_len = len;
		memcpy(late->acl, value, len);
	}
}

/* Writes what is in the archive of a file; between its parts there are holes. */
static const char *write_data(struct import *x, int fd, la_int64_t size)
{
	la_int64_t at, end = 0;
	const char *buf;
	size_t len;
	int ret;

	while (!(ret = archive_read_data_block(x->tar.tar, (const void **)&buf, &len, &at))) {
		if (at < end || at > size || (la_int64_t)len > size - at)
			return because("has data before what it has already, or behind its end");
		for (end = at; len; len -= (size_t)(end - at), at = end) {
			ssize_t done = pwrite(fd, buf, len, at);

			if (done <= 0)
				return because_errno();
			buf += done;
			end = at + done;
		}
	}
	if (ret != ARCHIVE_EOF)
		return tar_error(&x->tar);
	/* For a hole at the end. */
	return ftruncate(fd, size) ? because_errno() : NULL;
}

static const char *make_file(struct import *x, int dir, const char *name,
			     struct archive_entry *entry)
{
	int fd CLEANUP(close_fd) = -1;

	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? because_errno() : write_data(x, fd, archive_entry_size(entry));
}

static const char *make_device(struct import *x, int dir, const char *name,
			       struct archive_entry *entry)
{
	mode_t type = archive_entry_filetype(entry);
	dev_t dev = makedev(archive_entry_rdevmajor(entry), archive_entry_rdevminor(entry));

	if (type == AE_IFCHR && !dev)
		return because("is a character device 0:0, which would be a whiteout");
	if (!x->devices)
		return because("is a device node; --devices allows them");
	return mknodat(dir, name, type, dev) ? because_errno() : NULL;
}

static const char *make_link(struct import *x, int dir, const char *name, const char *target)
{
	char *clean CLEANUP(free_string) = NULL;
	int fd CLEANUP(close_fd) = -1;
	const char *last;
	const char *why;

	why = clean_path(target, &clean, &last);
	if (!why && has_dot_prefix(last))
		why = because("has a reserved name");
	if (!why)
		why = walk(x, clean, last > clean ? (size_t)(last - clean) - 1 : 0, false, &fd);
	if (!why && linkat(fd, last, dir, name, 0))
		why = because_errno();
	return why ? because("is a link to %s, which is refused: %s", target, why) : NULL;
}

static const char *make_dir(int dir, const char *name)
{
	return mkdirat(dir, name, 0700) && errno != EEXIST ? because_errno() : NULL;
}

static const char *make_entry(struct import *x, int dir, const char *name,
			      struct archive_entry *entry)
{
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return make_file(x, dir, name, entry);
	case AE_IFDIR:
		return make_dir(dir, name);
	case AE_IFLNK:
		return symlinkat(archive_entry_symlink(entry) ?: "", dir, name) ?
			because_errno() : NULL;
	case AE_IFIFO:
		return mknodat(dir, name, S_IFIFO | 0600, 0) ? because_errno() : NULL;
	case AE_IFCHR:
	case AE_IFBLK:
		return make_device(x, dir, name, entry);
	default:
		return because("is of a kind that is not known");
	}
}

/*
 * A whiteout is made like any file if it is to have that form. What needs another
 * one has to know whether there is a directory of that name, so it comes last.
 */
static const char *check_mark(struct import *x, const char *path, const char *name,
			      struct archive_entry *entry, bool *done)
{
	const char *hidden = name + strlen(DOT_PREFIX);
	bool opaque = !strcmp(name, DOT_OPAQUE);
	int dir;

	if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFREG)
		return because("is a whiteout, but no file");
	if (!opaque && !is_plain_name(BOTH_FORMS, hidden, strlen(hidden)))
		return because("has a reserved name");
	if (x->overlay || strlen(name) > NAME_MAX || !strcmp(name, DOT_OPAQUE_OLD)) {
		find_late(x, path, true)->whiteout = true;
		*done = true;
		/* Its directory may be replaced before. */
		return open_parent(x, path, name, &dir);
	}
	return NULL;
}

static const char *import_entry(struct import *x, struct archive_entry *entry)
{
	char *path CLEANUP(free_string) = NULL;
	const char *link = archive_entry_hardlink(entry), *name;
	bool is_dir = !link && archive_entry_filetype(entry) == AE_IFDIR;
	bool done = false;
	const char *why;
	int dir;

	why = clean_path(archive_entry_pathname(entry) ?: "", &path, &name);
	if (!why && !*path && !is_dir)
		why = because("has no name");
	if (!why && archive_entry_acl_types(entry))
		why = because("has an ACL as text; only those that are attributes are read");
	if (!why && has_dot_prefix(name))
		why = check_mark(x, path, name, entry, &done);
	if (why || done)
		return why;
	if (!*path) {
		/* Nobody else is to get into it as long as something is made in it. */
		archive_entry_free(x->root_entry);
		x->root_entry = archive_entry_clone(entry);
		return NULL;
	}
	why = open_parent(x, path, name, &dir) ?: make_room(x, dir, path, name, is_dir);
	if (why || link)
		return why ?: make_link(x, dir, name, link);
	why = make_entry(x, dir, name, entry) ?: set_attributes(dir, name, entry);
	if (!why && is_dir)
		keep_for_later(find_late(x, path, true), entry);
	return why;
}

static const char *overlay_mark(int dir, const char *name)
{
	const char *hidden = name + strlen(DOT_PREFIX);
	struct stat st;
	const char *why;
	int fd;

	if (!strcmp(name, DOT_OPAQUE))
		return set_opaque(dir);
	if (!fstatat(dir, hidden, &st, AT_SYMLINK_NOFOLLOW)) {
		if (!S_ISDIR(st.st_mode))
			return NULL;
		why = step(dir, hidden, false, &fd) ?: set_opaque(fd);
		close_fd(&fd);
		return why;
	}
	return mknodat(dir, hidden, S_IFCHR, 0) ? because_errno() : NULL;
}

static const char *set_late(int dir, const struct late *late)
{
	char *self CLEANUP(free_string) = path_in(dir, ".");
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, late->time };

	if (late->acl && setxattr(self, DEFAULT_ACL, late->acl, late->acl_len, 0))
		return because("cannot have its default ACL: %s", strerror(errno));
	if (late->has_time && utimensat(AT_FDCWD, self, times, 0))
		return because_errno();
	return NULL;
}

struct finish {
	int dir;
	const struct late **at;		/* what was done last */
	const char *why;
};

static const char *finish_dir(int dir, const struct late *late, const struct late **at);

static void finish_entry(const void *node, VISIT visit, void *data)
{
	int fd CLEANUP(close_fd) = -1;
	const struct late *late = *(struct late * const *)node;
	struct finish *f = data;

	if (f->why || (visit != postorder && visit != leaf))
		return;
	*f->at = late;
	if (late->whiteout)
		f->why = overlay_mark(f->dir, late->name);
	else
		f->why = step(f->dir, late->name, false, &fd) ?: finish_dir(fd, late, f->at);
}

/* First what changes its content, and all below it. */
static const char *finish_dir(int dir, const struct late *late, const struct late **at)
{
	struct finish f = { .dir = dir, .at = at };

	twalk_r(late->entries, finish_entry, &f);
	if (f.why)
		return f.why;
	*at = late;
	return set_late(dir, late);
}

static char *path_of(const struct late *late)
{
	char *dir CLEANUP(free_string) = NULL;

	if (!late->dir || !late->dir->dir)
		return xstrdup(late->name ?: "");
	dir = path_of(late->dir);
	return xprintf("%s/%s", dir, late->name);
}

static int entry_fail(const char *file, const char *path, const char *why)
{
	char *at CLEANUP(free_string) = xprintf("%s: %s", file, *path ? path : ".");

	return fail_at(at, why);
}

static int import_entries(struct import *x, const char *file)
{
	struct archive_entry *entry;
	uint64_t end = 0;
	const char *why;

	while (!(why = tar_next(&x->tar, &entry)) && entry) {
		why = import_entry(x, entry);
		if (why)
			return entry_fail(file, archive_entry_pathname(entry) ?: "", why);
		if (archive_read_data_skip(x->tar.tar) < ARCHIVE_OK)
			return fail_at(file, tar_error(&x->tar));
		end = (uint64_t)archive_filter_bytes(x->tar.tar, 0);
	}
	why = why ?: tar_check_end(&x->tar, end);
	return why ? fail_at(file, why) : MICA_OK;
}

/* What can be done only when all entries are there. */
static int import_rest(struct import *x, const char *file)
{
	char *path CLEANUP(free_string) = NULL;
	const struct late *at = &x->late;
	const char *why;

	why = finish_dir(x->root, &x->late, &at);
	if (!why && !x->root_entry)
		return fchmod(x->root, 0755) ? fail("%s: %s", file, strerror(errno)) : MICA_OK;
	why = why ?: set_attributes(x->root, ".", x->root_entry);
	if (!why) {
		keep_for_later(&x->late, x->root_entry);
		why = set_late(x->root, &x->late);
	}
	path = path_of(at);
	return why ? entry_fail(file, path, why) : MICA_OK;
}

static void import_free(struct import *x)
{
	tar_close(&x->tar);
	archive_entry_free(x->root_entry);
	tdestroy(x->late.entries, free_late);
	free(x->late.acl);
	free(x->dir);
	close_fd(&x->dir_fd);
	close_fd(&x->root);
}

/* A default ACL of the directory around it is not the archive's. */
static const char *make_root(struct import *x, int around, const char *name)
{
	if (mkdirat(around, name, 0700))
		return because_errno();
	x->root = open_dir(around, name);
	if (x->root < 0 || flock(x->root, LOCK_EX | LOCK_NB) ||
	    fchown(x->root, geteuid(), getegid()) ||
	    (fremovexattr(x->root, DEFAULT_ACL) && errno != ENODATA && errno != EOPNOTSUPP) ||
	    (fremovexattr(x->root, ACCESS_ACL) && errno != ENODATA && errno != EOPNOTSUPP) ||
	    fchmod(x->root, 0700))
		return because_errno();
	return NULL;
}

/*
 * Whoever makes a directory has it locked. One that is not locked was left by an
 * import that was killed.
 */
static const char *remove_stale(int around, const char *name)
{
	int fd CLEANUP(close_fd) = -1;

	fd = open_dir(around, name);
	if (fd < 0)
		return errno == ENOENT ? NULL :
		       because("%s is in the way: %s", name, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return because("another import to it is under way");
	return remove_tree(around, name);
}

static const char *begin(struct import *x, int around, const char *name)
{
	const char *why;

	/* Between making it and locking it, it would look stale. */
	if (flock(around, LOCK_EX))
		return because_errno();
	why = remove_stale(around, name) ?: make_root(x, around, name);
	flock(around, LOCK_UN);
	return why;
}

/* It has to be all on the disk before it has its name. */
static const char *finish(struct import *x, int around, const char *temporary, const char *name)
{
	if (syncfs(x->root) || renameat(around, temporary, around, name) || fsync(around))
		return because_errno();
	return NULL;
}

/* New, or an empty directory. */
static const char *check_target(int around, const char *name)
{
	struct names names CLEANUP(names_free) = {};
	int fd CLEANUP(close_fd) = -1;
	struct statx stx;
	const char *why;

	fd = open_dir(around, name);
	if (fd < 0)
		return errno == ENOENT ? NULL : because_errno();
	if (statx(fd, "", AT_EMPTY_PATH, 0, &stx))
		return because_errno();
	if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return because("is a mount point; import to a directory in it");
	why = names_read(&names, fd);
	return why || !names.nr ? why : because("is not empty");
}

static int import(struct import *x, int in, const char *file, const char *target)
{
	char *temporary CLEANUP(free_string) = NULL;
	char *dir CLEANUP(free_string) = NULL;
	int around CLEANUP(close_fd) = -1;
	const char *name = name_of(target);
	const char *why;
	int ret;

	dir = directory_of(target);
	temporary = xprintf(".%s.mica-import", name);
	around = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (around < 0)
		return fail("%s: %s", dir, strerror(errno));
	why = check_target(around, name) ?: begin(x, around, temporary);
	if (why)
		return fail("%s: %s", target, why);
	why = tar_open(&x->tar, in);
	ret = why ? fail("%s: %s", file, why) : import_entries(x, file) ?: import_rest(x, file);
	why = ret ? NULL : finish(x, around, temporary, name);
	if (!ret && !why)
		return MICA_OK;
	if (why)
		fail("%s: %s", target, why);
	why = remove_tree(around, temporary);
	if (why)
		note("%s/%s cannot be removed: %s", dir, temporary, why);
	return MICA_FAILED;
}

int union_import(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "whiteout", required_argument, NULL, 'w' },
		{ "devices", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	char *target CLEANUP(free_string) = NULL;
	int in CLEANUP(close_fd) = -1;
	static struct import x = { .root = -1, .dir_fd = -1 };
	const char *file = "-";
	int option, ret;

	while ((option = next_option(argc, argv, ":w:dh", longs, help)) != -1) {
		if (option == 'd')
			x.devices = true;
		else if (!strcmp(optarg, "overlay") || !strcmp(optarg, "dot"))
			x.overlay = *optarg == 'o';
		else
			usage_error("'%s' is no form of whiteouts", optarg);
	}
	if (argc - optind == 2)
		file = argv[optind++];
	if (argc - optind != 1)
		usage_error("takes an archive and a directory");
	target = without_slashes(argv[optind]);
	if (!is_plain_name(BOTH_FORMS, name_of(target), strlen(name_of(target))))
		usage_error("'%s' has no name to be given to a layer", target);

	in = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	if (in < 0)
		return fail("%s: %s", file, strerror(errno));
	if (isatty(in))
		return fail("a terminal has no archive; give a FILE, or <");
	/* Names are bytes. Converted, they would come out as others. */
	setlocale(LC_CTYPE, "C");
	umask(0);
	allow_many_files();
	ret = import(&x, in, file, target);
	import_free(&x);
	return ret;
}
