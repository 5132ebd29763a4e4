// SPDX-License-Identifier: GPL-2.0-only
/*
 * One layer from several: each name once, as they show it together, and what hides
 * something in layers below them. Files are hard links of what they were where that
 * can be, so no data is moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <search.h>
#include <string.h>
#include <unistd.h>
#include <sys/xattr.h>
#include "merge.h"
#include "origin.h"

/* A copy that other names of its file find by the handle of its origin. */
struct indexed {
	struct part file;	/* without a descriptor, see open_indexed() */
	char *name;		/* the origin, see layers.rst */
	bool lost;		/* it is no copy, but counts names that were removed */
	bool here;		/* and the file is in these layers */
};

/* Something that was copied, under its first name. */
struct copied {
	dev_t dev;
	ino_t ino;
	int fd;
};

struct build {
	int target;
	const struct layers *layers;
	struct progress *progress;
	struct indexed *index;
	size_t nr_indexed;
	void *copied;		/* tree of struct copied */
	char *path;		/* of what is looked at */
	bool copy;		/* no links to what is in the layers */
	bool leads;		/* something leads to layers below */
	bool unlisted;		/* which they are is not known */
};

/* A directory of the new layer, and what it is made of. */
struct target {
	const struct node *from;
	int fd;
	bool impure;		/* names in it have another number than their own */
};

/* What a copy of a file is called in an index, or NULL. */
static char *index_name(const struct build *b, const struct part *file)
{
	struct origin o;
	char *name;
	size_t i;

	if (!read_origin(&o, file) && !make_origin(&o, b->layers, file))
		return NULL;
	name = xmalloc(2 * o.len + 1u);
	for (i = 0; i < o.len; i++)
		sprintf(name + 2 * i, "%02x", ((unsigned char *)&o)[i]);
	return name;
}

static bool is_index_name(const char *name)
{
	size_t len = strlen(name);

	return len > 2 * ORIGIN_HEAD && !(len % 2) && !strncmp(name, "00fb", 4) &&
	       strspn(name, "0123456789abcdef") == len;
}

static int by_name(const void *a, const void *b)
{
	const struct indexed *x = a, *y = b;
	int ret = strcmp(x->name, y->name);

	if (!ret && x->file.layer != y->file.layer)
		ret = x->file.layer < y->file.layer ? -1 : 1;
	return ret;
}

/* Opens a directory of the union's own in a layer; none is no failure. */
static const char *open_meta(struct part *dir, const struct part *root, const char *name)
{
	const char *why = part_open(dir, root, name);

	if (dir->fd >= 0 && !S_ISDIR(dir->st.st_mode))
		part_close(dir);
	return why;
}

static const char *add_indexed(struct build *b, const struct part *index, const char *name)
{
	struct indexed x = {};
	const char *why = part_open(&x.file, index, name);
	bool is_there = x.file.fd >= 0;

	part_close(&x.file);
	if (!is_there || !is_index_name(name))
		return why;
	x.name = xstrdup(name);
	x.lost = S_ISCHR(x.file.st.st_mode);
	b->index = xrealloc(b->index, (b->nr_indexed + 1) * sizeof(x));
	b->index[b->nr_indexed++] = x;
	return why;
}

static const char *open_indexed(struct part *file, const struct build *b,
				const struct indexed *x)
{
	char *path CLEANUP(free_string) = xprintf(META_DIR "/index/%s", x->name);
	const struct part root = layer_root(b->layers, x->file.layer);
	const char *why = part_open(file, &root, path);

	return why ?: file->fd < 0 ? because("has gone from the index") : NULL;
}

static const char *read_index(struct build *b, size_t layer)
{
	const struct part root = layer_root(b->layers, layer);
	struct part meta CLEANUP(part_close) = NO_FILE, index CLEANUP(part_close) = NO_FILE;
	struct names names CLEANUP(names_free) = {};
	size_t i;
	const char *why;

	why = open_meta(&meta, &root, META_DIR);
	if (!why && meta.fd >= 0)
		why = open_meta(&index, &meta, "index");
	if (!why && index.fd >= 0)
		why = names_read(&names, index.fd);
	for (i = 0; !why && i < names.nr; i++)
		why = add_indexed(b, &index, names.name[i]);
	return why;
}

static const char *read_indices(struct build *b)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; !why && i < b->layers->nr; i++)
		why = read_index(b, i);
	if (b->nr_indexed)
		qsort(b->index, b->nr_indexed, sizeof(*b->index), by_name);
	return why;
}

/* The copy of a file that has several names, in a layer left of it, or NULL. */
static const struct indexed *find_indexed(struct build *b, const struct part *file)
{
	char *name CLEANUP(free_string) = NULL;
	size_t low = 0, high = b->nr_indexed, middle;
	struct indexed *x;

	if (b->nr_indexed && file->st.st_nlink > 1)
		name = index_name(b, file);
	if (!name)
		return NULL;
	while (low < high) {
		middle = (low + high) / 2;
		if (strcmp(b->index[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < b->nr_indexed && !strcmp(b->index[low].name, name); low++) {
		x = &b->index[low];
		if (x->lost)
			x->here = true;
		else if (x->file.layer < file->layer)
			return x;
	}
	return NULL;
}

static int by_inode(const void *a, const void *b)
{
	const struct copied *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static const struct copied *find_copied(struct build *b, const struct part *file)
{
	const struct copied wanted = { .dev = file->st.st_dev, .ino = file->st.st_ino };
	const struct copied * const *node = tfind(&wanted, &b->copied, by_inode);

	return node ? *node : NULL;
}

/* A file with several names stays one. */
static const char *note_copied(struct build *b, const struct part *file, const struct place *to)
{
	struct copied *c;

	if (file->st.st_nlink < 2)
		return NULL;
	c = xmalloc(sizeof(*c));
	*c = (struct copied){
		.dev = file->st.st_dev, .ino = file->st.st_ino,
		.fd = openat(to->dir, to->name, O_PATH | O_NOFOLLOW | O_CLOEXEC),
	};
	if (c->fd < 0 || !tsearch(c, &b->copied, by_inode)) {
		free(c);
		return because_errno();
	}
	return NULL;
}

static void free_copied(void *node)
{
	struct copied *c = node;

	close_fd(&c->fd);
	free(c);
}

/* Something in a layer leads to layers below it, which has a list of them. */
static void note_leads(struct build *b, size_t layer)
{
	int fd = b->layers->layer[layer].fd;

	b->leads = true;
	b->unlisted |= fgetxattr(fd, MARK "mica.layers", NULL, 0) < 0;
}

/* Where the data of a file is, and its attributes do not say it. */
struct data {
	struct node at;
	bool is_meta;
	bool stays;		/* the file says so as it is */
};

static void data_close(struct data *d)
{
	node_close(&d->at);
}

static const char *find_data(struct data *d, struct build *b, const struct node *dir,
			     const char *name, const struct part *file)
{
	char *redirect CLEANUP(free_string) = NULL;
	char *own CLEANUP(free_string) = NULL;
	const char *why;

	d->at = NO_NODE;
	if (!S_ISREG(file->st.st_mode))
		return NULL;
	why = is_metacopy(&d->is_meta, file->fd);
	if (why || !d->is_meta)
		return why;
	why = node_find_data(&d->at, b->layers, dir, name, file) ?:
	      read_redirect(&redirect, file);
	if (!why && d->at.guessed)
		return because("was made of another file than the one of its name in these layers");
	if (why || d->at.nr)
		return why;
	if (!d->at.below)
		return because("its data is in none of the layers");
	note_leads(b, file->layer);
	own = dir->below ? xprintf("%s/%s", dir->below, name) : NULL;
	d->stays = (redirect ?: own) && !strcmp(redirect ?: own, d->at.below);
	return NULL;
}

static bool skip_data_marks(const char *name)
{
	return !strcmp(name, MARK "metacopy") || !strcmp(name, MARK "redirect") ||
	       !strcmp(name, MARK "mica.data");
}

static bool skip_redirect(const char *name)
{
	return !strcmp(name, MARK "redirect");
}

static const char *set_mark(const struct place *to, const char *mark, const void *value,
			    size_t len)
{
	char *path CLEANUP(free_string) = path_in(to->dir, to->name);

	if (lsetxattr(path, mark, value, len, 0))
		return because("%s: %s", mark, strerror(errno));
	return NULL;
}

/*
 * Other names of the file, in the index of a layer to the left, are found by what it was,
 * and while that is there, it has the number of that.
 */
static const char *keep_origin(const struct build *b, const struct place *to,
			       const struct part *file)
{
	struct origin o;

	if (file->st.st_nlink < 2 || read_origin(&o, file) || !make_origin(&o, b->layers, file))
		return NULL;
	return set_mark(to, MARK "origin", &o, o.len);
}

static const char *copy_file(struct build *b, const struct place *to, const struct part *file,
			     const struct data *data)
{
	const struct timespec times[2] = { file->st.st_atim, file->st.st_mtim };
	const char *below = data->at.below;
	const char *why;

	if (data->at.nr)
		why = copy_node(to, file, data->at.part[0].fd, skip_data_marks,
				b->progress);
	else if (data->stays)
		why = copy_node(to, file, -1, NULL, b->progress);
	else if (data->is_meta)
		why = copy_node(to, file, -1, skip_redirect, b->progress) ?:
		      set_mark(to, MARK "redirect", below, strlen(below));
	else
		why = copy_node(to, file, file->fd, NULL, b->progress);
	why = why ?: keep_origin(b, to, file);
	if (!why && utimensat(to->dir, to->name, times, AT_SYMLINK_NOFOLLOW))
		return because_errno();
	return why ?: note_copied(b, file, to);
}

static bool link_to(int fd, const struct place *to)
{
	return !linkat(fd, "", to->dir, to->name, AT_EMPTY_PATH);
}

/* @dir and @name are where its data is looked for, if it is without. */
static const char *put_file(struct build *b, const struct place *to, const struct part *file,
			    const struct node *dir, const char *name)
{
	const struct copied *copied = find_copied(b, file);
	struct data data CLEANUP(data_close) = { .at = NO_NODE };
	const char *why;

	if (copied)
		return link_to(copied->fd, to) ? NULL : because_errno();
	why = find_data(&data, b, dir, name, file);
	if (why)
		return why;
	if (!b->copy && (!data.is_meta || data.stays)) {
		if (link_to(file->fd, to))
			return NULL;
		if (errno == EMLINK)
			return because("has as many names as its file system allows");
		if (errno != EXDEV)
			return because_errno();
	}
	return copy_file(b, to, file, &data);
}

/* All of the layers are read in the same forms, and so is the new one. */
static bool in_dot_form(const struct build *b, const struct node *ended)
{
	const unsigned int forms = b->layers->forms;

	return forms == BOTH_FORMS ? ended->dot : forms == MICA_BRANCH_DOT;
}

static const char *make_whiteout(const struct target *dir, const char *name, bool dot)
{
	char *file CLEANUP(free_string) = xprintf("%s%s", dot ? DOT_PREFIX : "", name);

	return mknodat(dir->fd, file, dot ? S_IFREG | 0444 : S_IFCHR, 0) ?
	       because_errno() : NULL;
}

/* Overlayfs's attributes of a directory, but those that are made anew. */
static bool skip_dir_marks(const char *name)
{
	static const char * const marks[] = { "opaque", "redirect", "impure" };
	size_t i;

	if (strncmp(name, MARK, strlen(MARK)) != 0)
		return false;
	name += strlen(MARK);
	for (i = 0; i < ARRAY_SIZE(marks); i++)
		if (!strcmp(name, marks[i]))
			return true;
	return !strncmp(name, "mica.", 5);
}

/* To ignore marks that mean something to others would be to show another tree. */
static bool has_user_marks(const struct part *dir)
{
	char list[XATTR_LIST_MAX];
	ssize_t len = flistxattr(dir->fd, list, sizeof(list));
	const char *name;

	for (name = list; name < list + len; name += strlen(name) + 1)
		if (!strncmp(name, "user.overlay.", strlen("user.overlay.")))
			return true;
	return false;
}

static bool is_impure(const struct node *dir)
{
	size_t i;

	for (i = 0; i < dir->nr; i++) {
		char *path CLEANUP(free_string) = fd_path(dir->part[i].fd);
		char value;

		if (getxattr(path, MARK "impure", &value, 1) == 1 && value == 'y')
			return true;
	}
	return false;
}

static void note_redirects(struct build *b, const struct node *dir)
{
	size_t i;

	for (i = 0; i < dir->nr; i++)
		if (fgetxattr(dir->part[i].fd, MARK "redirect", NULL, 0) >= 0)
			note_leads(b, dir->part[i].layer);
}

/*
 * What is to the right of a directory: nothing more, or @from->below, where by its
 * place in the new layer it would be @by_place.
 */
static const char *mark_dir(struct build *b, const struct target *dir, const char *by_place)
{
	const struct place self = { .dir = dir->fd, .name = "." };
	const char *below = dir->from->below;

	if (below && (!by_place || strcmp(below, by_place))) {
		note_redirects(b, dir->from);
		return set_mark(&self, MARK "redirect", below, strlen(below));
	}
	if (below || !by_place)
		return NULL;
	if (!in_dot_form(b, dir->from))
		return set_mark(&self, MARK "opaque", "y", 1);
	return mknodat(dir->fd, DOT_OPAQUE, S_IFREG | 0444, 0) ? because_errno() : NULL;
}

static const char *fill_dir(struct build *b, struct target *dir);

static const char *finish_dir(struct build *b, const struct target *dir, const char *by_place)
{
	const struct place self = { .dir = dir->fd, .name = "." };
	const char *why = mark_dir(b, dir, by_place);

	if (!why && dir->impure)
		why = set_mark(&self, MARK "impure", "y", 1);
	return why ?: copy_attributes(&self, &dir->from->part[0], skip_dir_marks);
}

static const char *put_dir(struct build *b, const struct target *dir, const char *name,
			   const struct node *found)
{
	char *by_place CLEANUP(free_string) = NULL;
	int fd CLEANUP(close_fd) = -1;
	struct target made;
	const char *why;

	if (mkdirat(dir->fd, name, 0700))
		return because_errno();
	fd = open_dir(dir->fd, name);
	if (fd < 0)
		return because_errno();
	if (dir->from->below)
		by_place = xprintf("%s/%s", dir->from->below, name);
	made = (struct target){ .from = found, .fd = fd };
	why = fill_dir(b, &made);
	return why ?: finish_dir(b, &made, by_place);
}

static const char *put_name(struct build *b, struct target *dir, const char *name)
{
	const struct place to = { .dir = dir->fd, .name = name };
	struct node found CLEANUP(node_close) = NO_NODE;
	struct part copy CLEANUP(part_close) = NO_FILE;
	const struct indexed *x;
	const struct part *file;
	const char *why;

	why = node_find(&found, b->layers, dir->from, name);
	if (why)
		return why;
	if (!found.nr)
		return found.below || !dir->from->below ? NULL :
		       make_whiteout(dir, name, in_dot_form(b, &found));
	if (node_is_dir(&found))
		return put_dir(b, dir, name, &found);
	file = &found.part[0];
	x = find_indexed(b, file);
	if (!x) {
		why = put_file(b, &to, file, dir->from, name);
		dir->impure |= file->st.st_nlink > 1 && find_copied(b, file);
		return why;
	}
	dir->impure = true;
	why = open_indexed(&copy, b, x);
	/* The index has it as well, perhaps as its only name so far. */
	copy.st.st_nlink++;
	return why ?: put_file(b, &to, &copy, dir->from, name);
}

/* What means nothing to a union may mean something to others, so it is not lost. */
static const char *check_reserved(int dir, const char *name)
{
	const char *rest = name + strlen(DOT_PREFIX);
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return because("%s: %s", name, strerror(errno));
	if (S_ISREG(st.st_mode) &&
	    (is_plain_name(BOTH_FORMS, rest, strlen(rest)) || !strcmp(name, DOT_OPAQUE)))
		return NULL;
	return because("has %s, a reserved name", name);
}

/* What the union itself has there is made anew. It may also be somebody's. */
static const char *check_meta(const struct part *root)
{
	struct part meta CLEANUP(part_close) = NO_FILE;
	struct names names CLEANUP(names_free) = {};
	const char *why = open_meta(&meta, root, META_DIR);
	bool is_own = meta.fd >= 0;
	size_t i;

	if (!why && is_own)
		why = names_read(&names, meta.fd);
	is_own &= names.nr || (root->forms & MICA_BRANCH_DOT);
	for (i = 0; i < names.nr; i++)
		is_own &= !strcmp(names.name[i], "index") || !strcmp(names.name[i], "work");
	return why || is_own ? why : because("has %s, a reserved name", META_DIR);
}

static const char *list_part(struct names *names, const struct part *dir, bool is_root)
{
	struct names all CLEANUP(names_free) = {};
	const char *why = names_read(&all, dir->fd);
	size_t i;

	for (i = 0; !why && i < all.nr; i++) {
		const char *name = all.name[i];

		if (is_root && !strcmp(name, META_DIR)) {
			why = check_meta(dir);
			continue;
		}
		if ((dir->forms & MICA_BRANCH_DOT) && has_dot_prefix(name)) {
			why = check_reserved(dir->fd, name);
			name += strlen(DOT_PREFIX);
		}
		if (is_plain_name(dir->forms, name, strlen(name)))
			names_add(names, name);
	}
	return why;
}

/* Of all parts; what a whiteout hides is one, too. */
static const char *list_names(struct names *names, const struct node *dir, bool is_root)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; !why && i < dir->nr; i++)
		why = has_user_marks(&dir->part[i]) ?
		      because("has marks of a union in a user namespace") :
		      list_part(names, &dir->part[i], is_root);
	names_sort(names);
	return why;
}

static const char *fill_dir(struct build *b, struct target *dir)
{
	struct names names CLEANUP(names_free) = {};
	const char *why = list_names(&names, dir->from, !*b->path);
	size_t i, len = strlen(b->path);

	dir->impure = is_impure(dir->from);
	for (i = 0; !why && i < names.nr; i++) {
		char *path = xprintf("%s/%s", b->path, names.name[i]);

		free(b->path);
		b->path = path;
		b->progress->done++;
		progress_tell(b->progress);
		why = put_name(b, dir, names.name[i]);
		/* Else it is what the reason is about. */
		if (!why)
			b->path[len] = 0;
	}
	return why;
}

/* The mark of how many names a copy has in the union, until its own are counted. */
#define LINKS MARK "mica.links"
#define NLINK MARK "nlink"

static bool read_number(const char *path, const char *mark, char kind, int *number)
{
	char value[16] = "";

	return getxattr(path, mark, value, sizeof(value) - 1) > 0 && value[0] == kind &&
	       sscanf(value + 1, "%d", number) == 1;
}

/* @links are those that it had before it got names here. */
static const char *note_links(const struct place *to, const struct part *copy, nlink_t links)
{
	char *path CLEANUP(free_string) = fd_path(copy->fd);
	char *value CLEANUP(free_string) = NULL;
	int added;

	if (!read_number(path, NLINK, 'U', &added))
		return NULL;
	value = xprintf("U%d", (int)links + added);
	return set_mark(to, LINKS, value, strlen(value));
}

/*
 * A copy that no name here shows may be one that a name below leads to. Without data,
 * it stays as it is: that is found by that name, if at all.
 */
static const char *put_copy(struct build *b, const struct place *to, const struct part *copy,
			    const struct node *root)
{
	bool is_meta = false;
	const char *why = NULL;

	if (S_ISREG(copy->st.st_mode))
		why = is_metacopy(&is_meta, copy->fd);
	if (why || !is_meta || find_copied(b, copy))
		return why ?: put_file(b, to, copy, root, to->name);
	note_leads(b, copy->layer);
	if (!b->copy && link_to(copy->fd, to))
		return NULL;
	return copy_node(to, copy, -1, NULL, b->progress);
}

static const char *put_indexed(struct build *b, int index, const struct indexed *x,
			       const struct node *root)
{
	const struct place to = { .dir = index, .name = x->name };
	struct part file CLEANUP(part_close) = NO_FILE;
	const char *why;

	if (x->lost && x->here)
		return NULL;
	why = open_indexed(&file, b, x);
	if (!why && x->lost)
		return copy_node(&to, &file, -1, NULL, b->progress);
	return why ?: put_copy(b, &to, &file, root) ?:
	       note_links(&to, &file, x->file.st.st_nlink);
}

static int make_dir(int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) && errno != EEXIST)
		return -1;
	return open_dir(dir, name);
}

/* Of the copies of one file, the leftmost; a count of what is lost, if there is none. */
static const char *put_index(struct build *b, const struct node *root)
{
	int meta CLEANUP(close_fd) = -1, index CLEANUP(close_fd) = -1;
	size_t i, last;
	const char *why = NULL;

	if (!b->nr_indexed)
		return NULL;
	meta = make_dir(b->target, META_DIR);
	index = meta < 0 ? -1 : make_dir(meta, "index");
	if (index < 0)
		return because_errno();
	for (i = 0; !why && i < b->nr_indexed; i = last) {
		const struct indexed *x = &b->index[i];

		for (last = i; last < b->nr_indexed && !strcmp(b->index[last].name, x->name);
		     last++)
			if (x->lost && !b->index[last].lost)
				x = &b->index[last];
		why = put_indexed(b, index, x, root);
	}
	return why;
}

static const char *fix_links(const struct place *copy)
{
	char *value CLEANUP(free_string) = NULL;
	char *path CLEANUP(free_string) = NULL;
	struct stat st;
	const char *why;
	int links;

	path = path_in(copy->dir, copy->name);
	if (!read_number(path, LINKS, 'U', &links) || lstat(path, &st))
		return NULL;
	value = xprintf("U%+d", links - (int)st.st_nlink);
	why = set_mark(copy, NLINK, value, strlen(value));
	if (!why && lremovexattr(path, LINKS))
		return because_errno();
	return why;
}

/**
 * merge_fix_links - count the names of copies anew
 * @target: the layer, when nothing else has names of what is in it any more
 */
const char *merge_fix_links(int target)
{
	struct names names CLEANUP(names_free) = {};
	int index CLEANUP(close_fd) = -1;
	const char *why = NULL;
	size_t i;

	index = open_dir(target, META_DIR "/index");
	if (index >= 0)
		why = names_read(&names, index);
	for (i = 0; !why && i < names.nr; i++) {
		const struct place at = { .dir = index, .name = names.name[i] };

		why = fix_links(&at);
	}
	return why;
}

/* What layers are known by. */
struct hashes {
	uint64_t *hash;
	size_t nr;
};

static void hashes_add(struct hashes *hashes, uint64_t hash)
{
	size_t i;

	for (i = 0; i < hashes->nr; i++)
		if (hashes->hash[i] == hash)
			return;
	if (!hash)
		return;
	hashes->hash = xrealloc(hashes->hash, (hashes->nr + 1) * sizeof(hash));
	hashes->hash[hashes->nr++] = hash;
}

static bool has_hash(const struct hashes *hashes, uint64_t hash)
{
	size_t i;

	for (i = 0; i < hashes->nr; i++)
		if (hashes->hash[i] == hash)
			return true;
	return false;
}

static void hashes_free(struct hashes *hashes)
{
	free(hashes->hash);
}

/* The value of an attribute of the root of a layer, or NULL. */
static char *root_mark(const struct build *b, size_t layer, const char *mark, size_t *len)
{
	int fd = b->layers->layer[layer].fd;
	ssize_t ret = fgetxattr(fd, mark, NULL, 0);
	char *value;

	if (ret < 0)
		return NULL;
	value = xmalloc((size_t)ret + 1);
	ret = fgetxattr(fd, mark, value, (size_t)ret);
	if (ret < 0) {
		free(value);
		return NULL;
	}
	value[ret] = 0;
	*len = (size_t)ret;
	return value;
}

static void add_list(struct hashes *hashes, const struct build *b, size_t layer,
		     const char *mark, const struct hashes *without)
{
	char *list CLEANUP(free_string) = NULL;
	size_t len = 0, i;
	uint64_t hash;

	list = root_mark(b, layer, mark, &len);
	for (i = 0; i + sizeof(hash) <= len; i += sizeof(hash)) {
		memcpy(&hash, list + i, sizeof(hash));
		if (!without || !has_hash(without, hash))
			hashes_add(hashes, hash);
	}
}

/*
 * What does not find a place is what was merged longest ago. It is the last that is
 * written, and leaves some place for what others note there.
 */
static const char *write_merged(const struct build *b, const struct hashes *merged)
{
	static const char room[512];
	size_t nr = merged->nr;
	bool has_room;

	has_room = !fsetxattr(b->target, MARK "mica.room", room, sizeof(room), 0);
	while (nr && fsetxattr(b->target, MARK "mica.merged", merged->hash,
			       nr * sizeof(*merged->hash), 0)) {
		if (errno != ENOSPC && errno != E2BIG && errno != ERANGE)
			return because_errno();
		nr /= 2;
	}
	if (has_room && fremovexattr(b->target, MARK "mica.room"))
		return because_errno();
	return NULL;
}

/* Is a layer sealed below one that is none of these? */
static bool is_sealed_outside(const struct build *b, const struct hashes *merged,
			      const char *seal, size_t len)
{
	uint64_t hash;
	size_t i;

	if (len <= sizeof(hash))
		return false;
	memcpy(&hash, seal, sizeof(hash));
	if (hash)
		return !has_hash(merged, hash);
	for (i = 0; i < b->layers->nr; i++)
		if (!strcmp(seal + sizeof(hash), b->layers->layer[i].path))
			return false;
	return true;
}

static const char *write_seal(const struct build *b, const struct place *root,
			      const struct hashes *merged)
{
	size_t i, len;

	for (i = 0; i < b->layers->nr; i++) {
		char *seal CLEANUP(free_string) = root_mark(b, i, MARK "mica.sealed", &len);

		if (seal && is_sealed_outside(b, merged, seal, len))
			return set_mark(root, MARK "mica.sealed", seal, len);
	}
	return NULL;
}

static const char *write_filesystems(const struct build *b, const struct place *root)
{
	size_t i, len;

	for (i = 0; i < b->layers->nr; i++) {
		char *table CLEANUP(free_string) = root_mark(b, i, MARK "mica.filesystems",
							     &len);

		if (table)
			return set_mark(root, MARK "mica.filesystems", table, len);
	}
	return NULL;
}

/* An empty list says that nothing leads to layers which are none of these. */
static const char *write_needs(const struct build *b, const struct place *root,
			       const struct hashes *merged)
{
	struct hashes needs CLEANUP(hashes_free) = {};
	size_t i;

	for (i = 0; b->leads && i < b->layers->nr; i++)
		add_list(&needs, b, i, MARK "mica.layers", merged);
	if (!needs.nr && (!b->leads || b->unlisted))
		return NULL;
	return set_mark(root, MARK "mica.layers", needs.hash,
			needs.nr * sizeof(*needs.hash));
}

static void list_merged(struct hashes *merged, const struct build *b)
{
	size_t i;

	for (i = 0; i < b->layers->nr; i++)
		hashes_add(merged, b->layers->layer[i].hash);
	for (i = 0; i < b->layers->nr; i++)
		add_list(merged, b, i, MARK "mica.merged", NULL);
}

static const char *mark_root(const struct build *b, const struct hashes *merged)
{
	const struct place root = { .dir = b->target, .name = "." };

	return write_needs(b, &root, merged) ?: write_seal(b, &root, merged) ?:
	       write_filesystems(b, &root);
}

static const char *build(struct build *b)
{
	struct node root CLEANUP(node_close) = NO_NODE;
	struct target target = { .from = &root, .fd = b->target };
	struct hashes merged CLEANUP(hashes_free) = {};
	const char *why;

	why = node_root(&root, b->layers, 0) ?: read_indices(b) ?: fill_dir(b, &target);
	if (why)
		return why;
	free(b->path);
	b->path = xstrdup("");
	list_merged(&merged, b);
	return put_index(b, &root) ?: mark_root(b, &merged) ?:
	       finish_dir(b, &target, "") ?: write_merged(b, &merged);
}

/**
 * merge_build - make one layer of several
 * @target: an empty directory
 * @layers: the layers, which the caller owns
 * @copy: nothing of them is to be linked to
 * @progress: how far it is
 */
int merge_build(int target, const struct layers *layers, bool copy,
		struct progress *progress)
{
	struct build b = {
		.target = target, .layers = layers, .copy = copy, .progress = progress,
		.path = xstrdup(""),
	};
	char *path CLEANUP(free_string) = NULL;
	const char *why = build(&b);
	size_t i;

	path = one_line(b.path);
	for (i = 0; i < b.nr_indexed; i++)
		free(b.index[i].name);
	free(b.index);
	tdestroy(b.copied, free_copied);
	free(b.path);
	if (!why)
		return MICA_OK;
	progress_end(progress);
	return fail("%s: %s", *path ? path : "/", why);
}
