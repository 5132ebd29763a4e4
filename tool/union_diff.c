// SPDX-License-Identifier: GPL-2.0-only
/* mica union diff: what the leftmost layers change of what the others show. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "layer.h"
#include "out.h"

static const char help[] =
	"Usage: mica union diff [--json] [--top N] MOUNTPOINT\n"
	"       mica union diff [--json] [--top N] LAYER LAYER...\n"
	"\n"
	"Lists what the first branch of a mounted union adds, changes and removes,\n"
	"compared with what the branches to the right of it show; or of directories that\n"
	"are layers, the first of which has precedence.\n"
	"\n"
	"CHANGE is added, removed, changed, or type if something else is there now. WHAT\n"
	"has changed is one or more of content, mode, owner, time and attributes\n"
	"(extended ones, ACLs among them). Of a removed directory only its own name is\n"
	"listed, and the time of a directory does not count.\n"
	"\n"
	"  -t, --top N  what the first N of them do together\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

enum {
	DIFF_CHANGE,
	DIFF_TYPE,
	DIFF_PATH,
	DIFF_WHAT,
	DIFF_WAS,
	DIFF_NR,
};

static const struct column columns[DIFF_NR] = {
	[DIFF_CHANGE] = { .name = "CHANGE" },
	[DIFF_TYPE] = { .name = "TYPE" },
	[DIFF_PATH] = { .name = "PATH" },
	[DIFF_WHAT] = { .name = "WHAT" },
	[DIFF_WAS] = { .name = "WAS" },
};

struct diff {
	struct layers layers;
	size_t top;			/* how many of them are compared with the rest */
	struct libscols_table *table;
	int depth;
};

/* What a name is with all layers, and what without those at the top. */
struct pair {
	struct node now;
	struct node before;
};

static void pair_close(struct pair *pair)
{
	node_close(&pair->now);
	node_close(&pair->before);
}

static const char *type_of(const struct node *node)
{
	switch (node->part[0].st.st_mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char-device";
	case S_IFBLK:
		return "block-device";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

static void tell(struct diff *d, const char *change, const struct node *node,
		 const char *path, const char *what, const struct node *was)
{
	struct libscols_line *line = table_line(d->table, NULL);

	table_set(d->table, line, DIFF_CHANGE, change);
	table_set(d->table, line, DIFF_TYPE, type_of(node));
	table_set(d->table, line, DIFF_PATH, path);
	table_set(d->table, line, DIFF_WHAT, what);
	table_set(d->table, line, DIFF_WAS, was ? type_of(was) : NULL);
}

static const char *compare_data(const struct node *a, const struct node *b, bool *same)
{
	enum { SIZE = 1 << 17 };
	char *buf CLEANUP(free_string) = xmalloc(2 * SIZE);
	int fa CLEANUP(close_fd) = node_open_data(a);
	int fb CLEANUP(close_fd) = node_open_data(b);
	ssize_t na, nb;
	off_t pos = 0;

	if (fa < 0 || fb < 0)
		return because_errno();
	do {
		na = pread(fa, buf, SIZE, pos);
		nb = pread(fb, buf + SIZE, SIZE, pos);
		if (na < 0 || nb < 0)
			return because_errno();
		*same = na == nb && !memcmp(buf, buf + SIZE, (size_t)na);
		pos += na;
	} while (*same && na);
	return NULL;
}

static const char *compare_links(const struct part *a, const struct part *b, bool *same)
{
	char to_a[PATH_MAX], to_b[PATH_MAX];
	ssize_t na = readlinkat(a->fd, "", to_a, sizeof(to_a));
	ssize_t nb = readlinkat(b->fd, "", to_b, sizeof(to_b));

	if (na < 0 || nb < 0)
		return because_errno();
	*same = na == nb && !memcmp(to_a, to_b, (size_t)na);
	return NULL;
}

/* Of two of the same type. Data is read only if nothing else can tell. */
static const char *compare_content(const struct node *a, const struct node *b, bool *same)
{
	const struct part *pa = &a->part[0], *pb = &b->part[0];

	*same = true;
	switch (pa->st.st_mode & S_IFMT) {
	case S_IFREG:
		*same = pa->st.st_size == pb->st.st_size;
		if (!*same || same_file(&node_data(a)->st, &node_data(b)->st))
			return NULL;
		return compare_data(a, b, same);
	case S_IFLNK:
		return compare_links(pa, pb, same);
	case S_IFCHR:
	case S_IFBLK:
		*same = pa->st.st_rdev == pb->st.st_rdev;
	}
	return NULL;
}

static bool same_xattrs(const struct xattrs *a, const struct xattrs *b)
{
	size_t i;

	for (i = 0; i < a->nr && i < b->nr; i++)
		if (strcmp(a->xattr[i].name, b->xattr[i].name) ||
		    a->xattr[i].len != b->xattr[i].len ||
		    memcmp(a->xattr[i].value, b->xattr[i].value, a->xattr[i].len))
			return false;
	return a->nr == b->nr;
}

static const char *compare_xattrs(const struct part *a, const struct part *b, bool *same)
{
	struct xattrs xa CLEANUP(xattrs_free) = {}, xb CLEANUP(xattrs_free) = {};
	const char *why;

	why = xattrs_read(&xa, a->fd) ?: xattrs_read(&xb, b->fd);
	*same = !why && same_xattrs(&xa, &xb);
	return why;
}

/* Tells what is different of two of the same type. */
static int compare(struct diff *d, const char *path, const struct pair *pair)
{
	char *what CLEANUP(free_string) = NULL;
	const struct part *now = &pair->now.part[0], *before = &pair->before.part[0];
	const struct stat *a = &now->st, *b = &before->st;
	bool same_content, same_attributes;
	const char *why;

	/* Seen through another path, a redirect's, it is the same. */
	if (same_file(&now->st, &before->st))
		return MICA_OK;
	if (has_other_names(now))
		note_at(path, "has other names in the layers below, which are not listed");
	why = compare_content(&pair->now, &pair->before, &same_content) ?:
	      compare_xattrs(now, before, &same_attributes);
	if (why)
		return fail_at(*path ? path : "/", why);
	what = xprintf("%s%s%s%s%s", same_content ? "" : " content",
		       (a->st_mode ^ b->st_mode) & 07777 ? " mode" : "",
		       a->st_uid != b->st_uid || a->st_gid != b->st_gid ? " owner" : "",
		       !S_ISDIR(a->st_mode) &&
		       (a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
			a->st_mtim.tv_nsec != b->st_mtim.tv_nsec) ? " time" : "",
		       same_attributes ? "" : " attributes");
	if (*what)
		tell(d, "changed", &pair->now, *path ? path : "/", what + 1, NULL);
	return MICA_OK;
}

static int diff_dir(struct diff *d, const char *path, const struct pair *dir);

static int diff_name(struct diff *d, const char *path, const struct pair *pair)
{
	struct pair now_only = { .now = pair->now, .before = NO_NODE };
	bool was_dir = node_is_dir(&pair->before), is_dir = node_is_dir(&pair->now);
	mode_t type;
	int ret;

	if (!pair->now.nr) {
		if (pair->before.nr)
			tell(d, "removed", &pair->before, path, NULL, NULL);
		return MICA_OK;
	}
	if (!pair->before.nr) {
		tell(d, "added", &pair->now, path, NULL, NULL);
		return is_dir ? diff_dir(d, path, pair) : MICA_OK;
	}
	type = pair->now.part[0].st.st_mode ^ pair->before.part[0].st.st_mode;
	if (type & S_IFMT) {
		tell(d, "type", &pair->now, path, NULL, &pair->before);
		return is_dir ? diff_dir(d, path, &now_only) : MICA_OK;
	}
	ret = compare(d, path, pair);
	return ret ?: was_dir ? diff_dir(d, path, pair) : MICA_OK;
}

/* The names that something may be there for, marks and all. */
static const char *add_names(struct names *names, const struct node *dir, size_t from, size_t to)
{
	const size_t len = strlen(DOT_PREFIX);
	const char *why = NULL;
	size_t nr;

	for (; !why && from < to; from++) {
		nr = names->nr;
		why = names_read(names, dir->part[from].fd);
		for (; (dir->part[from].forms & MICA_BRANCH_DOT) && nr < names->nr; nr++)
			if (has_dot_prefix(names->name[nr]))
				memmove(names->name[nr], names->name[nr] + len,
					strlen(names->name[nr]) + 1 - len);
	}
	return why;
}

/*
 * Where the lower parts of a directory are what it was before, only the names in
 * the upper ones can be different.
 */
static const char *read_names(struct diff *d, const struct pair *dir, struct names *names)
{
	const struct node *now = &dir->now, *before = &dir->before;
	size_t i, upper = 0;
	const char *why;

	while (upper < now->nr && now->part[upper].layer < d->top)
		upper++;
	for (i = 0; i < before->nr && upper + i < now->nr; i++)
		if (!same_file(&before->part[i].st, &now->part[upper + i].st))
			break;
	if (i == before->nr && upper + i == now->nr)
		return add_names(names, now, 0, upper);
	why = add_names(names, now, 0, now->nr);
	return why ?: add_names(names, before, 0, before->nr);
}

static int diff_dir(struct diff *d, const char *path, const struct pair *dir)
{
	struct names names CLEANUP(names_free) = {};
	int ret = MICA_OK;
	const char *why;
	size_t i;

	why = d->depth == MAX_DEPTH ? because("is in more than %d directories", MAX_DEPTH) :
				      read_names(d, dir, &names);
	if (why)
		return fail_at(*path ? path : "/", why);
	names_sort(&names);
	d->depth++;
	for (i = 0; !ret && i < names.nr; i++) {
		struct pair pair CLEANUP(pair_close) = { NO_NODE, NO_NODE };
		char *below CLEANUP(free_string) = NULL;
		const char *name = names.name[i];

		if (!is_plain_name(d->layers.forms, name, strlen(name)))
			continue;
		below = xprintf("%s/%s", path, name);
		why = node_find_whole(&pair.now, &d->layers, &dir->now, name) ?:
		      node_find_whole(&pair.before, &d->layers, &dir->before, name);
		ret = why ? fail_at(below, why) : diff_name(d, below, &pair);
	}
	d->depth--;
	return ret;
}

static int diff_layers(struct diff *d)
{
	struct pair root CLEANUP(pair_close) = { NO_NODE, NO_NODE };
	const char *why;

	why = node_root(&root.now, &d->layers, 0) ?:
	      node_root(&root.before, &d->layers, d->top);
	if (why)
		return fail_at("/", why);
	return compare(d, "", &root) ?: diff_dir(d, "", &root);
}

int union_diff(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "top", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct diff d = { .top = 1 };
	bool json = false;
	int option, ret;
	uint64_t top;

	while ((option = next_option(argc, argv, ":t:Jh", longs, help)) != -1) {
		if (option == 'J')
			json = true;
		else if (parse_number(optarg, 10, 1024, &top) && top)
			d.top = (size_t)top;
		else
			usage_error("'%s' is no number of layers", optarg);
	}
	if (optind == argc)
		usage_error("takes a mounted union, or layers");
	ret = layers_open(&d.layers, argv + optind, (size_t)(argc - optind), BOTH_FORMS);
	layers_find_needs(&d.layers);
	if (!ret && d.layers.nr <= d.top)
		ret = fail("there is no layer to compare with");
	if (!ret) {
		d.table = table_new("changes", columns, DIFF_NR, json);
		ret = diff_layers(&d);
		if (ret)
			scols_unref_table(d.table);
		else
			ret = table_print(d.table);
	}
	layers_close(&d.layers);
	return ret;
}
