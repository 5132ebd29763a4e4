// SPDX-License-Identifier: GPL-2.0-only
/* Layers on a disk: which they are, and what their marks say. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include "branches.h"
#include "layer.h"

static char *last_reason;

const char *because(const char *fmt, ...)
{
	char *old = last_reason;
	va_list args;

	/* It may be one of @args. */
	va_start(args, fmt);
	last_reason = xvprintf(fmt, args);
	va_end(args);
	free(old);
	return last_reason;
}

const char *because_errno(void)
{
	return because("%s", strerror(errno));
}

/* Names, and what is said of them, may be meant for the terminal. */
int fail_at(const char *path, const char *why)
{
	char *line CLEANUP(free_string) = one_line(path);
	char *reason CLEANUP(free_string) = one_line(why);

	return fail("%s: %s", line, reason);
}

void note_at(const char *path, const char *what)
{
	char *line CLEANUP(free_string) = one_line(path);

	note("%s: %s", line, what);
}

bool has_dot_prefix(const char *name)
{
	return !strncmp(name, DOT_PREFIX, strlen(DOT_PREFIX));
}

/* One that can be shown where those forms are read. */
bool is_plain_name(unsigned int forms, const char *name, size_t len)
{
	return len && len <= NAME_MAX &&
	       !((forms & MICA_BRANCH_DOT) && has_dot_prefix(name)) &&
	       !(len == 1 && name[0] == '.') &&
	       !(len == 2 && name[0] == '.' && name[1] == '.');
}

/* A name, or a path from the root. */
bool leads_down(unsigned int forms, const char *redirect)
{
	size_t len;

	if (*redirect != '/')
		return !strchr(redirect, '/') &&
		       is_plain_name(forms, redirect, strlen(redirect));
	do {
		redirect++;
		len = strcspn(redirect, "/");
		if (!is_plain_name(forms, redirect, len))
			return false;
		redirect += len;
	} while (*redirect);
	return true;
}

/* In a user namespace the marks are other attributes, see union.rst. */
static bool in_user_namespace(void)
{
	static int answer = -1;
	struct stat st;

	/* That of the first namespace is fixed. */
	if (answer < 0)
		answer = !stat("/proc/self/ns/user", &st) && st.st_ino != 0xEFFFFFFDU;
	return answer;
}

bool xattr_is_private(const char *name)
{
	return !strncmp(name, "trusted.overlay.", strlen("trusted.overlay.")) ||
	       !strncmp(name, "user.overlay.", strlen("user.overlay."));
}

/* The value of an attribute with a zero behind it, to be freed, or NULL. */
static const char *xattr_read(int fd, const char *name, char **value, size_t *len)
{
	char *path CLEANUP(free_string) = fd_path(fd);
	ssize_t ret;

	*value = NULL;
	ret = getxattr(path, name, NULL, 0);
	if (ret >= 0) {
		*value = xmalloc((size_t)ret + 1);
		ret = getxattr(path, name, *value, (size_t)ret);
	}
	if (ret >= 0) {
		*len = (size_t)ret;
		(*value)[ret] = 0;
		return NULL;
	}
	free(*value);
	*value = NULL;
	if (errno == ENODATA || errno == EOPNOTSUPP)
		return NULL;
	return because("%s cannot be read: %s", name, strerror(errno));
}

/* To be freed. */
static char *mark_name(const char *mark)
{
	return xprintf("%s.overlay.%s", in_user_namespace() ? "user" : "trusted", mark);
}

const char *mark_read(int fd, const char *mark, char **value, size_t *len)
{
	char *name CLEANUP(free_string) = mark_name(mark);

	return xattr_read(fd, name, value, len);
}

const char *set_opaque(int dir)
{
	char *path CLEANUP(free_string) = path_in(dir, ".");
	char *name CLEANUP(free_string) = mark_name("opaque");

	return setxattr(path, name, "y", 1, 0) ?
		because("cannot be marked as opaque: %s", strerror(errno)) : NULL;
}

/* Redirects and metacopies lead to what others may not want to be read. */
static const char *lead_read(int fd, const char *mark, char **value, size_t *len)
{
	const char *why = mark_read(fd, mark, value, len);

	if (!*value || !in_user_namespace())
		return why;
	free_string(value);
	*value = NULL;
	return because("has a %s, which is not followed in a user namespace", mark);
}

/* Where it goes on in the layers below, to be freed; NULL for its own name. */
const char *read_redirect(char **to, const struct part *part)
{
	size_t len;
	const char *why;

	why = lead_read(part->fd, "redirect", to, &len);
	if (!*to || (len && strlen(*to) == len && leads_down(part->forms, *to)))
		return why;
	free_string(to);
	*to = NULL;
	return len ? because("has a redirect to what is no path") : NULL;
}

/* Is it known of a layer that what leads to nothing led to what is in it now? */
bool needs_no_others(int root)
{
	char *list CLEANUP(free_string) = NULL;
	size_t len = 0;

	return !mark_read(root, "mica.layers", &list, &len) && list && !len;
}

const char *is_metacopy(bool *metacopy, int fd)
{
	char *value CLEANUP(free_string) = NULL;
	size_t len = 0;
	const char *why;

	why = lead_read(fd, "metacopy", &value, &len);
	*metacopy = value;
	if (len > 4)
		return because("is protected by fs-verity, which is not supported");
	if (len && len < 4)
		return because("has the mark of a metacopy, but a bad one");
	return why;
}

/*
 * Has a copy of a file with several names other ones, that are in the layers below?
 * What is to be added to its links says so: one of them is in the index.
 */
bool has_other_names(const struct part *file)
{
	char *value CLEANUP(free_string) = NULL;
	size_t len;

	return S_ISREG(file->st.st_mode) && !mark_read(file->fd, "nlink", &value, &len) &&
	       value && *value == 'U' && strtol(value + 1, NULL, 10) >= 0;
}

static bool is_file(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode);
}

const char *is_opaque(bool *opaque, const struct part *dir)
{
	char *value CLEANUP(free_string) = NULL;
	const char *why = NULL;
	size_t len;

	*opaque = (dir->forms & MICA_BRANCH_DOT) &&
		  (is_file(dir->fd, DOT_OPAQUE) || is_file(dir->fd, DOT_OPAQUE_OLD));
	if (!*opaque && (dir->forms & MICA_BRANCH_OVERLAY)) {
		why = mark_read(dir->fd, "opaque", &value, &len);
		*opaque = value && len == 1 && *value == 'y';
	}
	return why;
}

/* Of the dot form, is it a name that hides another one? */
static bool is_dot_whiteout(const char *name)
{
	const char *hidden = name + strlen(DOT_PREFIX);

	return has_dot_prefix(name) && strcmp(name, DOT_OPAQUE_OLD) &&
	       is_plain_name(BOTH_FORMS, hidden, strlen(hidden));
}

/* Does a file beside it hide that name in the layers below? */
bool is_hidden(const struct part *dir, const char *name)
{
	char *dot CLEANUP(free_string) = xprintf(DOT_PREFIX "%s", name);

	return (dir->forms & MICA_BRANCH_DOT) && strlen(dot) <= NAME_MAX &&
	       is_dot_whiteout(dot) && is_file(dir->fd, dot);
}

/* Of the overlay form, an entry that hides its own name. */
const char *is_whiteout(bool *whiteout, const struct part *entry)
{
	char *value CLEANUP(free_string) = NULL;
	const struct stat *st = &entry->st;
	const char *why = NULL;
	size_t len;

	*whiteout = false;
	if (!(entry->forms & MICA_BRANCH_OVERLAY))
		return NULL;
	if (S_ISREG(st->st_mode) && !st->st_size)
		why = mark_read(entry->fd, "whiteout", &value, &len);
	*whiteout = value || (S_ISCHR(st->st_mode) && !st->st_rdev);
	return why;
}

/* If one layer is read in the dot form, its names mean nothing in the others. */
static enum entry_kind dot_kind(const struct part *entry, const char *name)
{
	if (!(entry->forms & MICA_BRANCH_DOT) || !S_ISREG(entry->st.st_mode))
		return ENTRY_RESERVED;
	if (!strcmp(name, DOT_OPAQUE) || !strcmp(name, DOT_OPAQUE_OLD))
		return ENTRY_OPAQUE;
	return is_dot_whiteout(name) ? ENTRY_WHITEOUT : ENTRY_RESERVED;
}

/* @hides is what a whiteout hides. */
const char *entry_kind(enum entry_kind *kind, const struct layers *layers,
		       const struct part *entry, const char *name, const char **hides)
{
	bool whiteout;
	const char *why;

	if ((layers->forms & MICA_BRANCH_DOT) && has_dot_prefix(name)) {
		*kind = dot_kind(entry, name);
		*hides = name + strlen(DOT_PREFIX);
		return NULL;
	}
	why = is_whiteout(&whiteout, entry);
	*kind = whiteout ? ENTRY_WHITEOUT : ENTRY_PLAIN;
	*hides = name;
	return why;
}

/* To be opened, but not to be closed. */
struct part layer_root(const struct layers *layers, size_t layer)
{
	return (struct part){
		.layer = layer, .forms = layers->layer[layer].forms,
		.fd = layers->layer[layer].fd,
	};
}

void part_close(struct part *part)
{
	close_fd(&part->fd);
}

bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What @name is in one part of a directory; without a descriptor, nothing. */
const char *part_open(struct part *part, const struct part *dir, const char *name)
{
	int fd CLEANUP(close_fd) = -1;

	*part = NO_FILE;
	part->layer = dir->layer;
	part->forms = dir->forms;
	fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0 || fstat(fd, &part->st))
		return because_errno();
	if (S_ISDIR(part->st.st_mode)) {
		part->fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return part->fd < 0 ? because_errno() : NULL;
	}
	part->fd = fd;
	fd = -1;
	return NULL;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

/* Sorts them, each once. */
void names_sort(struct names *names)
{
	size_t i, nr = 0;

	if (names->nr)
		qsort(names->name, names->nr, sizeof(*names->name), by_bytes);
	for (i = 0; i < names->nr; i++) {
		if (nr && !strcmp(names->name[nr - 1], names->name[i]))
			free(names->name[i]);
		else
			names->name[nr++] = names->name[i];
	}
	names->nr = nr;
}

void names_add(struct names *names, const char *name)
{
	/* Room for twice as many, at powers of two. */
	if (!(names->nr & (names->nr - 1)))
		names->name = xrealloc(names->name, (2 * names->nr + 1) *
				       sizeof(*names->name));
	names->name[names->nr++] = xstrdup(name);
}

void names_free(struct names *names)
{
	while (names->nr)
		free(names->name[--names->nr]);
	free(names->name);
	names->name = NULL;
}

/* Adds the names in a directory, in no order. */
const char *names_read(struct names *names, int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	const char *why = NULL;

	if (!stream) {
		why = because_errno();
		close_fd(&fd);
		return why;
	}
	while (errno = 0, entry = readdir(stream))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			names_add(names, entry->d_name);
	if (errno)
		why = because_errno();
	closedir(stream);
	return why;
}

void xattrs_free(struct xattrs *xattrs)
{
	while (xattrs->nr--) {
		free(xattrs->xattr[xattrs->nr].name);
		free(xattrs->xattr[xattrs->nr].value);
	}
	free(xattrs->xattr);
	*xattrs = (struct xattrs){};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static const char *add_xattr(struct xattrs *xattrs, int fd, const char *name)
{
	struct xattr x = {};
	const char *why;

	if (xattr_is_private(name))
		return NULL;
	why = xattr_read(fd, name, &x.value, &x.len);
	if (!x.value)
		return why;
	x.name = xstrdup(name);
	xattrs->xattr = xrealloc(xattrs->xattr, (xattrs->nr + 1) * sizeof(x));
	xattrs->xattr[xattrs->nr++] = x;
	return NULL;
}

/* Sorted by their names. */
const char *xattrs_read(struct xattrs *xattrs, int fd)
{
	char *path CLEANUP(free_string) = fd_path(fd);
	char *list CLEANUP(free_string) = NULL;
	const char *why = NULL;
	const char *name;
	ssize_t len;

	*xattrs = (struct xattrs){};
	len = listxattr(path, NULL, 0);
	if (len > 0) {
		list = xmalloc((size_t)len);
		len = listxattr(path, list, (size_t)len);
	}
	if (len < 0)
		return errno == EOPNOTSUPP ? NULL : because_errno();
	for (name = list; !why && name < list + len; name += strlen(name) + 1)
		why = add_xattr(xattrs, fd, name);
	if (xattrs->nr)
		qsort(xattrs->xattr, xattrs->nr, sizeof(*xattrs->xattr), by_name);
	return why;
}

void layers_close(struct layers *layers)
{
	while (layers->nr) {
		struct layer *layer = &layers->layer[--layers->nr];

		free(layer->path);
		free(layer->lacks);
		close_fd(&layer->fd);
	}
	free(layers->layer);
	layers->layer = NULL;
}

static int add_layer(struct layers *layers, const char *path, unsigned int forms)
{
	struct layer layer = {
		.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .forms = forms,
	};

	if (layer.fd < 0)
		return fail("%s: %s", path, strerror(errno));
	layer.path = xstrdup(path);
	layers->forms |= forms;
	layers->layer = xrealloc(layers->layer, (layers->nr + 1) * sizeof(layer));
	layers->layer[layers->nr++] = layer;
	return MICA_OK;
}

static int add_branch(struct layers *layers, const struct branch *branch)
{
	if (branch->incomplete)
		return fail_at(branch->path, "needs a layer that is not to the right of it");
	if (add_layer(layers, branch->path, branch->forms))
		return MICA_FAILED;
	if (is_branch(branch, layers->layer[layers->nr - 1].fd))
		return MICA_OK;
	return fail("%s: is not the branch any more: something is mounted on it, or it was moved; name the layers under paths that lead to them",
		    branch->path);
}

/* Only marks that are not a user's are read. */
static int check_options(const char *path, dev_t dev)
{
	char *line CLEANUP(free_string) = NULL;
	FILE *file = fopen("/proc/self/mountinfo", "re");
	const char *why = "is not in /proc/self/mountinfo";
	unsigned int number[2];
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		if (sscanf(line, "%*u %*u %u:%u", &number[0], &number[1]) != 2 ||
		    makedev(number[0], number[1]) != dev)
			continue;
		/* In names of branches blanks, commas and "=" are escaped. */
		why = strstr(strrchr(line, ' '), ",userxattr") ?
		      "was mounted in a user namespace: name the layers there" : NULL;
		break;
	}
	if (file)
		fclose(file);
	return why ? fail_at(path, why) : MICA_OK;
}

static int add_branches(struct layers *layers, const char *path)
{
	struct branches branches CLEANUP(branches_free) = {};
	int fd CLEANUP(close_fd) = -1;
	struct statx stx;
	size_t i;
	int ret;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, 0, &stx))
		return fail("%s: %s", path, strerror(errno));
	if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return fail("%s: is not the root of a union", path);
	ret = check_options(path, makedev(stx.stx_dev_major, stx.stx_dev_minor)) ?:
	      branches_read(&branches, fd, path);
	for (i = 0; !ret && i < branches.nr; i++)
		ret = add_branch(layers, &branches.branch[i]);
	layers->complete = true;
	return ret;
}

static bool is_union(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == MICA_SUPER_MAGIC;
}

/* Some for each layer and each directory on a path. */
void allow_many_files(void)
{
	struct rlimit files = { 1 << 20, 1 << 20 };

	if (!setrlimit(RLIMIT_NOFILE, &files) || getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/*
 * Opens directories that are layers, to be read in these forms, or if there is one
 * path and it is a mounted union, the branches of that.
 */
int layers_open(struct layers *layers, char **paths, size_t nr, unsigned int forms)
{
	int ret = MICA_OK;
	size_t i;

	if (geteuid())
		return fail("only root can read overlayfs's attributes");
	allow_many_files();
	if (nr == 1 && is_union(paths[0]))
		return add_branches(layers, paths[0]);
	for (i = 0; !ret && i < nr; i++)
		ret = add_layer(layers, paths[i], forms);
	return ret;
}
