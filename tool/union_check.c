// SPDX-License-Identifier: GPL-2.0-only
/* mica union check: what a directory says as a layer of a union. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "layer.h"
#include "out.h"

static const char help[] =
	"Usage: mica union check [--json] DIRECTORY\n"
	"\n"
	"Lists the whiteouts, opaque directories and other marks in a layer, in mica's\n"
	"and overlayfs's forms, says what each means to a union, and which of them are\n"
	"wrong. Changes nothing. Exit code 1 if something is wrong.\n"
	"\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

enum {
	CHECK_PATH,
	CHECK_MARK,
	CHECK_FORM,
	CHECK_WRONG,
	CHECK_MEANING,
	CHECK_NR,
};

static const struct column columns[CHECK_NR] = {
	[CHECK_PATH] = { .name = "PATH" },
	[CHECK_MARK] = { .name = "MARK" },
	[CHECK_FORM] = { .name = "FORM" },
	[CHECK_WRONG] = { .name = "WRONG", .flags = COLUMN_JSON | COLUMN_BOOLEAN },
	[CHECK_MEANING] = { .name = "MEANING" },
};

struct check {
	struct libscols_table *table;
	const char *path;		/* of what is looked at, from the layer's root */
	const char *file;		/* the same, to be opened */
	const struct stat *st;
	bool wrong;
};

static void __printf(4, 5) tell(struct check *c, const char *mark, const char *form,
				const char *fmt, ...)
{
	char *meaning CLEANUP(free_string) = NULL;
	struct libscols_line *line = table_line(c->table, NULL);
	bool wrong = !strcmp(mark, "wrong");
	va_list args;

	va_start(args, fmt);
	meaning = xvprintf(fmt, args);
	va_end(args);
	table_set(c->table, line, CHECK_PATH, c->path);
	table_set(c->table, line, CHECK_MARK, mark);
	table_set(c->table, line, CHECK_FORM, form);
	table_set(c->table, line, CHECK_WRONG, wrong ? "1" : "0");
	table_set(c->table, line, CHECK_MEANING, meaning);
	c->wrong |= wrong;
}

/* One of overlayfs's attributes, to be freed; NULL if it is not there. */
static char *attribute_of(struct check *c, const char *file, const char *name,
			  ssize_t *len)
{
	char *full CLEANUP(free_string) = xprintf("trusted.overlay.%s", name);
	char *value = NULL;

	/* Hardly anything has one. */
	*len = lgetxattr(file, full, NULL, 0);
	if (*len >= 0) {
		value = xmalloc((size_t)*len + 1);
		*len = lgetxattr(file, full, value, (size_t)*len);
	}
	if (*len >= 0)
		return value;
	if (errno != ENODATA && errno != EOPNOTSUPP)
		tell(c, "wrong", NULL, "%s cannot be read: %s", full, strerror(errno));
	free(value);
	return NULL;
}

static char *attribute(struct check *c, const char *name, ssize_t *len)
{
	return attribute_of(c, c->file, name, len);
}

static void check_redirect(struct check *c, const char *what)
{
	char *to CLEANUP(free_string) = NULL;
	ssize_t len;

	to = attribute(c, "redirect", &len);
	if (!to)
		return;
	if (strlen(to) == (size_t)len && leads_down(BOTH_FORMS, to))
		tell(c, "redirect", "both", "in the layers below, %s is %s", what, to);
	else
		tell(c, "wrong", "both", "a redirect to %s, which is no path: EIO", to);
}

static void check_directory(struct check *c)
{
	char *opaque CLEANUP(free_string) = NULL;
	int fd, flags = 0;
	ssize_t len;

	opaque = attribute(c, "opaque", &len);
	if (opaque && len == 1 && *opaque == 'y')
		tell(c, "opaque", "overlay", "hides the directory in the layers below");
	check_redirect(c, "the rest of it");

	fd = open(c->file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !ioctl(fd, FS_IOC_GETFLAGS, &flags) &&
	    flags & (FS_CASEFOLD_FL | FS_ENCRYPT_FL))
		tell(c, "wrong", NULL, "it is %s: it is listed, but all else is refused",
		     flags & FS_CASEFOLD_FL ? "casefolded" : "encrypted");
	if (fd >= 0)
		close(fd);
}

/* An empty file may be one, in a directory that is marked to have such. */
static bool check_whiteout(struct check *c)
{
	char *whiteout CLEANUP(free_string) = NULL;
	char *mark CLEANUP(free_string) = NULL;
	char *dir CLEANUP(free_string) = NULL;
	ssize_t len;

	whiteout = attribute(c, "whiteout", &len);
	if (!whiteout)
		return false;
	dir = xprintf("%.*s/.", (int)(strrchr(c->file, '/') - c->file), c->file);
	mark = attribute_of(c, dir, "opaque", &len);
	if (mark && len == 1 && *mark == 'x')
		tell(c, "whiteout", "overlay", "hides the name in the layers below");
	else
		tell(c, "wrong", "overlay",
		     "hides the name, but is listed: its directory is not marked as opaque=x");
	return true;
}

static void check_file(struct check *c)
{
	char *metacopy CLEANUP(free_string) = NULL;
	ssize_t len;

	if (!c->st->st_size && check_whiteout(c))
		return;
	metacopy = attribute(c, "metacopy", &len);
	if (!metacopy)
		return;
	/* The version, length, flags and kind of digest are four bytes. */
	if (len > 4)
		tell(c, "wrong", "both", "protected by fs-verity: EIO");
	else if (len && len < 4)
		tell(c, "wrong", "both", "a metacopy's mark that is too short: EIO");
	else
		tell(c, "metacopy", "both", "its data is in a layer below");
	check_redirect(c, "the file with it");
}

static void check_protection(struct check *c)
{
	char *flags CLEANUP(free_string) = NULL;
	bool immutable, append;
	ssize_t len;

	flags = attribute(c, "protattr", &len);
	if (!flags)
		return;
	immutable = memchr(flags, 'i', (size_t)len);
	append = memchr(flags, 'a', (size_t)len);
	if (immutable || append)
		tell(c, "protattr", "both", "in a union it is %s%s%s",
		     immutable ? "immutable" : "",
		     immutable && append ? " and " : "",
		     append ? "append-only" : "");
	else
		tell(c, "wrong", "both", "a mark that protects it from nothing");
}

/* Something whose name begins with the prefix. */
static void check_dot(struct check *c, const char *name)
{
	char *beside CLEANUP(free_string) = NULL;
	const char *hidden = name + strlen(DOT_PREFIX);
	struct stat st;

	if (S_ISREG(c->st->st_mode) &&
	    (!strcmp(name, DOT_OPAQUE) || !strcmp(name, DOT_OPAQUE_OLD))) {
		tell(c, "opaque", "dot", "hides its directory in the layers below");
		return;
	}
	if (!is_plain_name(BOTH_FORMS, hidden, strlen(hidden)) || !S_ISREG(c->st->st_mode)) {
		tell(c, "wrong", "dot", "hides nothing, and is not shown");
		return;
	}
	beside = xprintf("%.*s%s", (int)(strlen(c->file) - strlen(name)), c->file, hidden);
	if (lstat(beside, &st))
		tell(c, "whiteout", "dot", "hides %s in the layers below", hidden);
	else if (S_ISDIR(st.st_mode))
		tell(c, "whiteout", "dot", "makes %s opaque", hidden);
	else
		tell(c, "whiteout", "dot", "hides %s in the layers below, not here", hidden);
}

/* The layers that what was renamed, and metacopies, were made above. */
static void check_layers(struct check *c)
{
	char *list CLEANUP(free_string) = NULL;
	ssize_t len;

	list = attribute(c, "mica.layers", &len);
	if (!list)
		return;
	if (!(len % 8))
		tell(c, "layers", "both",
		     "redirects and metacopies here lead to %zd layer%s below",
		     len / 8, len == 8 ? "" : "s");
	else
		tell(c, "wrong", "both", "a list of layers that is none");
}

/* What mica union merge leaves, and what it has not finished. */
static void check_merge(struct check *c)
{
	char *merged CLEANUP(free_string) = NULL;
	char *merge CLEANUP(free_string) = NULL;
	ssize_t len;

	merge = attribute(c, "mica.merge", &len);
	if (merge)
		tell(c, "merge", "both",
		     "takes part in a merge that has not come to its end: run that again");
	merged = attribute(c, "mica.merged", &len);
	if (merged)
		tell(c, "merged", "both", "stands for %zd layer%s that it was made of",
		     len / 8, len == 8 ? "" : "s");
}

/* Returns whether there is something in it to look at. */
static bool check_entry(struct check *c, const char *name)
{
	bool is_root = !*c->path;

	if (is_root) {
		c->path = ".";
		check_layers(c);
		check_merge(c);
	} else if (has_dot_prefix(name)) {
		/* In the root, unions and aufs keep what is their own. */
		if (strchr(c->path, '/') || strncmp(name, DOT_META, strlen(DOT_META)) ||
		    !strcmp(name, DOT_OPAQUE))
			check_dot(c, name);
		return false;
	}
	switch (c->st->st_mode & S_IFMT) {
	case S_IFDIR:
		check_directory(c);
		check_protection(c);
		break;
	case S_IFREG:
		check_file(c);
		check_protection(c);
		break;
	case S_IFCHR:
		if (!c->st->st_rdev)
			tell(c, "whiteout", "overlay", "hides the name in the layers below");
	}
	return true;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int check_tree(struct check *c, char *root)
{
	char * const roots[2] = { root };
	size_t skip = strlen(root);
	FTSENT *entry;
	FTS *tree;

	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (!tree)
		return fail("%s: %s", root, strerror(errno));
	while (errno = 0, entry = fts_read(tree)) {
		c->file = entry->fts_path;
		c->path = entry->fts_path + skip;
		c->path += *c->path == '/';
		c->st = entry->fts_statp;
		switch (entry->fts_info) {
		case FTS_DP:
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			tell(c, "wrong", NULL, "cannot be read: %s",
			     strerror(entry->fts_errno));
			break;
		default:
			if (!check_entry(c, entry->fts_name))
				fts_set(tree, entry, FTS_SKIP);
		}
	}
	if (errno)
		tell(c, "wrong", NULL, "cannot be read any further: %s", strerror(errno));
	fts_close(tree);
	return MICA_OK;
}

int union_check(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	char *root CLEANUP(free_string) = NULL;
	struct check c = {};
	bool json = false;
	struct stat st;
	int ret;

	while (next_option(argc, argv, ":Jh", longs, help) != -1)
		json = true;
	if (argc - optind != 1)
		usage_error("takes one directory");
	if (geteuid())
		return fail("only root can read overlayfs's attributes");
	root = realpath(argv[optind], NULL);
	if (!root || stat(root, &st))
		return fail("%s: %s", argv[optind], strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fail("%s: %s", argv[optind], strerror(ENOTDIR));

	c.table = table_new("marks", columns, CHECK_NR, json);
	ret = check_tree(&c, root);
	if (ret) {
		scols_unref_table(c.table);
		return ret;
	}
	return table_print(c.table) ?: c.wrong ? MICA_FAILED : MICA_OK;
}
