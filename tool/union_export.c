// SPDX-License-Identifier: GPL-2.0-only
/* mica union export: a layer as the archive of a layer of an OCI image. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <search.h>
#include <string.h>
#include <unistd.h>
#include <sys/sysmacros.h>
#include "layer.h"

static const char help[] =
	"Usage: mica union export [-o FILE] [--gzip|--zstd] MOUNTPOINT\n"
	"       mica union export [-o FILE] [--gzip|--zstd] LAYER...\n"
	"\n"
	"Writes the first branch of a mounted union, or a directory that is a layer, as a\n"
	"tar archive that can be a layer of an OCI image: whiteouts of both forms are\n"
	"OCI's there. The archive of a layer is always the same. More LAYERs, from left\n"
	"to right, are those below, which a layer with renamed directories or files\n"
	"without their data needs. A layer that is written to meanwhile may be refused:\n"
	"make a snapshot.\n"
	"\n"
	"  -o, --output FILE  write to FILE, which is there when all is written, and not to\n"
	"                     the standard output\n"
	"  -z, --gzip         compress it\n"
	"      --zstd         compress it with zstd\n"
	"  -h, --help         this text\n";

#define SHORTER "became shorter while it was read"

struct export {
	struct layers layers;
	struct archive *archive;
	int out;
	void *links;			/* where files with several names are */
	int depth;
};

/* A file that has been written, and its first name. */
struct link {
	dev_t dev;
	ino_t ino;
	char *path;
};

static int by_inode(const void *a, const void *b)
{
	const struct link *la = a, *lb = b;

	if (la->dev != lb->dev)
		return la->dev < lb->dev ? -1 : 1;
	return la->ino < lb->ino ? -1 : la->ino > lb->ino;
}

static void free_link(void *p)
{
	struct link *link = p;

	free(link->path);
	free(link);
}

/* The path that a file has been written under, or NULL and it is @path now. */
static const char *first_name(struct export *x, const struct stat *st, const char *path)
{
	struct link *link = xmalloc(sizeof(*link)), *found;

	*link = (struct link){ .dev = st->st_dev, .ino = st->st_ino };
	found = *(struct link **)tsearch(link, &x->links, by_inode);
	if (found != link) {
		free(link);
		return found->path;
	}
	link->path = xstrdup(path);
	return NULL;
}

/* To be freed. */
static char *path_below(const char *dir, const char *name)
{
	return strcmp(dir, ".") ? xprintf("%s/%s", dir, name) : xstrdup(name);
}

static const char *archive_reason(struct export *x)
{
	return because("cannot be written: %s", archive_error_string(x->archive) ?: "?");
}

static void free_entry(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

/*
 * A time before 1970 is less than a whole number of seconds; in an archive it is
 * more than one, with a minus before both. libarchive loses that before a 0.
 */
static void set_time(struct archive_entry *entry, struct timespec t)
{
	if (t.tv_sec < -1 && t.tv_nsec) {
		t.tv_sec++;
		t.tv_nsec = 1000000000 - t.tv_nsec;
	} else if (t.tv_sec == -1) {
		t.tv_nsec = 0;
	}
	archive_entry_set_mtime(entry, t.tv_sec, t.tv_nsec);
}

static void set_stat(struct archive_entry *entry, const struct stat *st)
{
	archive_entry_set_mode(entry, st->st_mode);
	archive_entry_set_uid(entry, st->st_uid);
	archive_entry_set_gid(entry, st->st_gid);
	set_time(entry, st->st_mtim);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		archive_entry_set_rdevmajor(entry, major(st->st_rdev));
		archive_entry_set_rdevminor(entry, minor(st->st_rdev));
	}
	archive_entry_set_size(entry, S_ISREG(st->st_mode) ? st->st_size : 0);
}

/* libarchive would write other characters as %XX, which others do not read. */
static bool name_can_be_written(const char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || *name == '%' || *name == '=')
			return false;
	return true;
}

static const char *set_xattrs(struct archive_entry *entry, int fd)
{
	struct xattrs xattrs CLEANUP(xattrs_free) = {};
	const char *why = xattrs_read(&xattrs, fd);
	size_t i;

	for (i = 0; !why && i < xattrs.nr; i++) {
		const struct xattr *x = &xattrs.xattr[i];

		if (name_can_be_written(x->name))
			archive_entry_xattr_add_entry(entry, x->name, x->value, x->len);
		else
			why = because("no archive can have its attribute %s", x->name);
	}
	return why;
}

static const char *set_link(struct archive_entry *entry, int fd)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(fd, "", target, sizeof(target) - 1);

	if (len < 0)
		return because_errno();
	target[len] = 0;
	archive_entry_copy_symlink(entry, target);
	return NULL;
}

/* Where the data of a file with holes is. */
static const char *set_holes(struct archive_entry *entry, int fd, const struct stat *st)
{
	off_t data, hole = 0;

	if (st->st_blocks * 512 >= st->st_size)
		return NULL;
	while ((data = lseek(fd, hole, SEEK_DATA)) >= 0 && data < st->st_size) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return because_errno();
		hole = hole < st->st_size ? hole : st->st_size;
		archive_entry_sparse_add_entry(entry, data, hole - data);
	}
	if (data < 0 && errno != ENXIO)
		return because_errno();
	/* With nothing at the end it is told that there are holes at all. */
	if (!hole)
		archive_entry_sparse_add_entry(entry, st->st_size, 0);
	return NULL;
}

/*
 * A name that is not UTF-8 is a warning, and is written as it is. Everything else
 * is an error.
 */
static const char *write_header(struct export *x, struct archive_entry *entry)
{
	int ret = archive_write_header(x->archive, entry);

	if (ret == ARCHIVE_OK)
		return NULL;
	if (ret == ARCHIVE_WARN && archive_errno(x->archive) == EILSEQ)
		return NULL;
	return archive_reason(x);
}

static const char *write_bytes(struct export *x, const char *bytes, off_t *pos,
			       off_t end, size_t most)
{
	size_t len = (size_t)(end - *pos) < most ? (size_t)(end - *pos) : most;

	if (archive_write_data(x->archive, bytes, len) != (la_ssize_t)len)
		return archive_reason(x);
	*pos += (off_t)len;
	return NULL;
}

/* All of a file, of which libarchive leaves out the holes. */
static const char *write_data(struct export *x, int fd, off_t size)
{
	static const char zeroes[1 << 20];
	static char buf[1 << 17];
	off_t pos = 0, end;
	const char *why = NULL;
	ssize_t len;

	while (!why && pos < size) {
		end = lseek(fd, pos, SEEK_DATA);
		if (end < 0 && errno != ENXIO)
			return because_errno();
		if (end < 0 || end > size)
			end = size;
		while (!why && pos < end)
			why = write_bytes(x, zeroes, &pos, end, sizeof(zeroes));
		end = lseek(fd, pos, SEEK_HOLE);
		if (end < 0 || end > size)
			end = size;
		while (!why && pos < end) {
			len = pread(fd, buf, sizeof(buf), pos);
			if (len < 0)
				return because_errno();
			if (!len)
				return because(SHORTER);
			why = write_bytes(x, buf, &pos, end, (size_t)len);
		}
	}
	return why;
}

/* An entry without data. */
static const char *write_entry(struct export *x, struct archive_entry *entry)
{
	const char *why = write_header(x, entry);

	if (!why && archive_write_finish_entry(x->archive) != ARCHIVE_OK)
		why = archive_reason(x);
	return why;
}

static const char *write_file(struct export *x, struct archive_entry *entry,
			      const struct node *node)
{
	int fd CLEANUP(close_fd) = node_open_data(node);
	struct stat st, then;
	const char *why;

	if (fd < 0 || fstat(fd, &st))
		return because_errno();
	archive_entry_set_size(entry, st.st_size);
	why = set_holes(entry, fd, &st) ?: write_header(x, entry) ?:
	      write_data(x, fd, st.st_size);
	/* What is cut off looks like a hole. */
	if (!why && (fstat(fd, &then) || then.st_size < st.st_size))
		why = because(SHORTER);
	if (!why && archive_write_finish_entry(x->archive) != ARCHIVE_OK)
		why = archive_reason(x);
	return why;
}

static int export_node(struct export *x, const char *path, const struct node *node)
{
	struct archive_entry *entry CLEANUP(free_entry) = archive_entry_new();
	const struct part *part = &node->part[0];
	const struct stat *st = &part->st;
	const char *other = NULL;
	const char *why = NULL;

	archive_entry_copy_pathname(entry, path);
	set_stat(entry, st);
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		other = first_name(x, st, path);
	if (other) {
		archive_entry_set_size(entry, 0);
		archive_entry_copy_hardlink(entry, other);
	} else {
		why = set_xattrs(entry, part->fd);
		if (has_other_names(part))
			note_at(path, "has other names in the layers below, where it stays what it was");
	}
	if (!why && S_ISLNK(st->st_mode) && !other)
		why = set_link(entry, part->fd);
	if (!why)
		why = S_ISREG(st->st_mode) && !other ? write_file(x, entry, node) :
						       write_entry(x, entry);
	return why ? fail_at(path, why) : MICA_OK;
}

/* Something that says that something else is not there: an empty file. */
static int export_mark(struct export *x, const char *dir, const char *name,
		       const struct stat *st)
{
	struct archive_entry *entry CLEANUP(free_entry) = archive_entry_new();
	char *path CLEANUP(free_string) = path_below(dir, name);
	const char *why;

	archive_entry_copy_pathname(entry, path);
	set_stat(entry, st);
	archive_entry_set_size(entry, 0);
	archive_entry_set_mode(entry, S_IFREG | (S_ISREG(st->st_mode) ? st->st_mode : 0444));
	why = write_entry(x, entry);
	return why ? fail_at(path, why) : MICA_OK;
}

/* In an image it would be a mark. */
static const char *check_name(const char *name)
{
	return has_dot_prefix(name) ?
	       because("is a name that no image can have: it begins with " DOT_PREFIX) : NULL;
}

/* Where an image is unpacked for overlayfs, it would be a whiteout. */
static const char *check_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && !st->st_rdev ?
	       because("is a character device 0:0, which no image can have") : NULL;
}

/* @hides is hidden, unless there is such an entry itself. */
static int export_whiteout(struct export *x, const char *path, const struct part *dir,
			   const char *name, const char *hides, const struct stat *st)
{
	char *mark CLEANUP(free_string) = xprintf(DOT_PREFIX "%s", hides);
	char *below CLEANUP(free_string) = path_below(path, hides);
	const char *why = check_name(hides);
	struct stat other;

	if (why)
		return fail_at(below, why);
	if (hides != name && !fstatat(dir->fd, hides, &other, AT_SYMLINK_NOFOLLOW))
		return MICA_OK;
	return export_mark(x, path, mark, st);
}

/* It is left out, but what it hides stays hidden. */
static int export_socket(struct export *x, const char *path, const char *name,
			 const struct part *socket, bool whole)
{
	char *below CLEANUP(free_string) = path_below(path, name);
	char *mark CLEANUP(free_string) = xprintf(DOT_PREFIX "%s", name);

	note_at(below, "is a socket, and left out");
	return whole ? MICA_OK : export_mark(x, path, mark, &socket->st);
}

static int export_opaque(struct export *x, const char *path, const struct part *dir)
{
	struct stat st;

	if (fstatat(dir->fd, DOT_OPAQUE, &st, AT_SYMLINK_NOFOLLOW))
		st = dir->st;
	return export_mark(x, path, DOT_OPAQUE, &st);
}

static int export_dir(struct export *x, const char *path, const struct node *dir,
		      bool whole);

/*
 * What was renamed has no parts in the layers below, as an image has no redirects:
 * it is written as a whole.
 */
static int export_name(struct export *x, const char *path, const struct node *dir,
		       const char *name, bool whole)
{
	char *below CLEANUP(free_string) = path_below(path, name);
	struct node node CLEANUP(node_close) = NO_NODE;
	char *redirect CLEANUP(free_string) = NULL;
	bool opaque = false;
	const char *why;
	int ret;

	why = node_find_whole(&node, &x->layers, dir, name);
	if (!why && node.nr)
		why = check_name(name) ?: check_device(&node.part[0].st);
	if (!why && node_is_dir(&node) && !whole)
		why = is_opaque(&opaque, &node.part[0]);
	if (!why && node_is_dir(&node) && !whole && !opaque)
		why = read_redirect(&redirect, &node.part[0]);
	if (why)
		return fail_at(below, why);
	if (!node.nr)
		return MICA_OK;
	if (S_ISSOCK(node.part[0].st.st_mode))
		return export_socket(x, path, name, &node.part[0], whole);
	ret = export_node(x, below, &node);
	if (ret || !node_is_dir(&node))
		return ret;
	if (!whole && (opaque || redirect || is_hidden(&dir->part[0], name)))
		ret = export_opaque(x, below, &node.part[0]);
	return ret ?: export_dir(x, below, &node, whole || redirect);
}

/* One entry of the layer itself: the whiteouts first, all else after them. */
static int export_entry(struct export *x, const char *path, const struct node *dir,
			const char *name, bool whiteouts)
{
	struct part entry CLEANUP(part_close) = NO_FILE;
	enum entry_kind kind;
	const char *hides;
	const char *why;

	why = part_open(&entry, &dir->part[0], name);
	if (!why && entry.fd < 0)
		why = because("went away while it was read");
	why = why ?: entry_kind(&kind, &x->layers, &entry, name, &hides);
	if (why) {
		char *below CLEANUP(free_string) = path_below(path, name);

		return fail_at(below, why);
	}
	if (whiteouts && kind == ENTRY_WHITEOUT)
		return export_whiteout(x, path, &dir->part[0], name, hides, &entry.st);
	if (!whiteouts && kind == ENTRY_PLAIN)
		return export_name(x, path, dir, name, false);
	return MICA_OK;
}

static int export_dir(struct export *x, const char *path, const struct node *dir,
		      bool whole)
{
	struct names names CLEANUP(names_free) = {};
	size_t i, parts = whole ? dir->nr : 1;
	const char *why = NULL;
	int ret = MICA_OK;

	if (x->depth == MAX_DEPTH)
		why = because("is in more than %d directories", MAX_DEPTH);
	for (i = 0; !why && i < parts; i++)
		why = names_read(&names, dir->part[i].fd);
	if (why)
		return fail_at(path, why);
	names_sort(&names);
	x->depth++;
	for (i = 0; !ret && !whole && i < names.nr; i++)
		ret = export_entry(x, path, dir, names.name[i], true);
	for (i = 0; !ret && i < names.nr; i++) {
		const char *name = names.name[i];

		if (!whole)
			ret = export_entry(x, path, dir, name, false);
		else if (is_plain_name(x->layers.forms, name, strlen(name)))
			ret = export_name(x, path, dir, name, true);
	}
	x->depth--;
	return ret;
}

static int export_layer(struct export *x)
{
	struct node root CLEANUP(node_close) = NO_NODE;
	bool opaque = false;
	const char *why;
	int ret;

	why = node_root(&root, &x->layers, 0) ?: is_opaque(&opaque, &root.part[0]);
	if (why)
		return fail_at("/", why);
	ret = export_node(x, ".", &root);
	if (!ret && opaque)
		ret = export_opaque(x, ".", &root.part[0]);
	return ret ?: export_dir(x, ".", &root, false);
}

/*
 * A file without a name until it is complete, so that a failure or a kill leaves
 * nothing behind.
 */
static int open_output(struct export *x, const char *file)
{
	char *dir CLEANUP(free_string) = NULL;
	struct stat st;

	if (!file) {
		x->out = STDOUT_FILENO;
		if (isatty(x->out))
			return fail("an archive is nothing for a terminal; use -o FILE, or >");
		return MICA_OK;
	}
	if (!lstat(file, &st) && !S_ISREG(st.st_mode))
		return fail("%s: is there, and is no file", file);
	dir = directory_of(file);
	x->out = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (x->out < 0 && errno == EOPNOTSUPP)
		return fail("%s: its file system has no unnamed files; use > in place of -o",
			    file);
	return x->out < 0 ? fail("%s: %s", file, strerror(errno)) : MICA_OK;
}

/* An old one is replaced in one step. */
static const char *link_output(struct export *x, const char *file, const char *beside)
{
	char *self CLEANUP(free_string) = fd_path(x->out);
	const char *why;

	if (!linkat(AT_FDCWD, self, AT_FDCWD, file, AT_SYMLINK_FOLLOW))
		return NULL;
	if (errno != EEXIST)
		return because_errno();
	unlink(beside);
	if (linkat(AT_FDCWD, self, AT_FDCWD, beside, AT_SYMLINK_FOLLOW))
		return because_errno();
	if (!rename(beside, file))
		return NULL;
	why = because_errno();
	unlink(beside);
	return why;
}

/* The archive gets its name, which is on the disk as well. */
static int name_output(struct export *x, const char *file)
{
	char *dir CLEANUP(free_string) = directory_of(file);
	char *beside CLEANUP(free_string) = xprintf("%s/.%s.mica-export", dir, name_of(file));
	int fd CLEANUP(close_fd) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *why = NULL;

	if (fd < 0 || fsync(x->out))
		why = because_errno();
	why = why ?: link_output(x, file, beside);
	if (!why && fsync(fd))
		why = because_errno();
	return why ? fail_at(file, why) : MICA_OK;
}

static int open_archive(struct export *x, int (*compress)(struct archive *))
{
	x->archive = archive_write_new();
	if (archive_write_set_format_pax(x->archive) ||
	    archive_write_set_options(x->archive, "xattrheader=SCHILY") ||
	    (compress && compress(x->archive)) ||
	    /* Else the same layer would be another archive each time. */
	    (compress == archive_write_add_filter_gzip &&
	     archive_write_set_options(x->archive, "gzip:!timestamp")) ||
	    archive_write_set_bytes_in_last_block(x->archive, 1) ||
	    archive_write_open_fd(x->archive, x->out))
		return fail("the archive cannot be begun: %s",
			    archive_error_string(x->archive));
	return MICA_OK;
}

static int export(struct export *x, const char *file, int (*compress)(struct archive *))
{
	int ret = open_output(x, file) ?: open_archive(x, compress) ?: export_layer(x);

	if (!ret && archive_write_close(x->archive))
		ret = fail("the archive cannot be written: %s",
			   archive_error_string(x->archive));
	if (!ret && file)
		ret = name_output(x, file);
	return ret;
}

int union_export(int argc, char **argv)
{
	enum { ZSTD = 256 };
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "gzip", no_argument, NULL, 'z' },
		{ "zstd", no_argument, NULL, ZSTD },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int (*compress)(struct archive *) = NULL;
	struct export x = { .out = -1 };
	const char *file = NULL;
	int option, ret;

	while ((option = next_option(argc, argv, ":o:zh", longs, help)) != -1) {
		if (option == 'o')
			file = optarg;
		else
			compress = option == 'z' ? archive_write_add_filter_gzip :
						   archive_write_add_filter_zstd;
	}
	if (optind == argc)
		usage_error("takes a mounted union, or layers");
	/* What is UTF-8 in a name is written as that, whatever the user's is. */
	setlocale(LC_CTYPE, "C.UTF-8");
	ret = layers_open(&x.layers, argv + optind, (size_t)(argc - optind), BOTH_FORMS);
	layers_find_needs(&x.layers);
	ret = ret ?: export(&x, file, compress);
	/* What was begun is not ended: half an archive must not look whole. */
	if (ret && x.archive)
		archive_write_fail(x.archive);
	archive_write_free(x.archive);
	tdestroy(x.links, free_link);
	layers_close(&x.layers);
	return ret;
}
