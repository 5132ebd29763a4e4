/* SPDX-License-Identifier: GPL-2.0-only */
/* Layers on a disk: their marks, and what several of them show together. */
#ifndef MICA_TOOL_LAYER_H
#define MICA_TOOL_LAYER_H

#include <sys/stat.h>
#include "mica.h"
#include "tool.h"

/* The dot form, see Documentation/layers.rst. */
#define DOT_PREFIX ".wh."
#define DOT_META ".wh..wh."
#define DOT_OPAQUE ".wh..wh..opq"
#define DOT_OPAQUE_OLD ".wh.__dir_opaque"

/* More directories in one another are neither read nor made: the stack has an end. */
#define MAX_DEPTH 2048

/* Overlayfs's attributes, but in a user namespace, see mark_read(). */
#define MARK "trusted.overlay."

/* In which marks are read, unless a union is told otherwise. */
#define BOTH_FORMS (MICA_BRANCH_DOT | MICA_BRANCH_OVERLAY)

#define NO_FILE ((struct part){ .fd = -1 })
#define NO_NODE ((struct node){ .data = NO_FILE })

/*
 * Functions here that return a text return why something could not be done, in words
 * that stand well behind a name, or NULL. It is valid until there is another one.
 */
const char *__printf(1, 2) because(const char *fmt, ...);
const char *because_errno(void);
int fail_at(const char *path, const char *why);
void note_at(const char *path, const char *what);

bool has_dot_prefix(const char *name);
bool is_plain_name(unsigned int forms, const char *name, size_t len);
bool leads_down(unsigned int forms, const char *redirect);

/* From the left to the right. */
struct layers {
	struct layer {
		char *path;
		int fd;
		unsigned int forms;
		uint64_t hash;		/* what those that need it know it by, if asked for */
		unsigned char uuid[16];	/* of its file system, likewise */
		char *lacks;		/* in words, if it needs others that are not there */
	} *layer;
	size_t nr;
	unsigned int forms;	/* that any of them is read in */
	bool complete;		/* there are none below them */
	bool described;		/* hashes and UUIDs are known */
};

void allow_many_files(void);

int layers_open(struct layers *layers, char **paths, size_t nr, unsigned int forms);
void layers_close(struct layers *layers);

/* Something in one layer. */
struct part {
	size_t layer;
	unsigned int forms;	/* that the layer is read in */
	int fd;			/* a directory can be read, all else is O_PATH */
	struct stat st;
};

struct part layer_root(const struct layers *layers, size_t layer);
const char *part_open(struct part *part, const struct part *dir, const char *name);
void part_close(struct part *part);
bool same_file(const struct stat *a, const struct stat *b);

/*
 * What a name is: a directory has all its parts, anything else the first. It may go on
 * in layers below these.
 */
struct node {
	struct part *part;
	size_t nr;		/* 0: nothing has that name here */
	struct part data;	/* of a file, if it is in another layer */
	char *below;		/* where it goes on, as a path from their root, or NULL */
	bool dot;		/* what ends it has the dot form */
	bool lost;		/* it was renamed, and what it was is not all here */
	bool guessed;		/* data that may be another file's: it was told by the name */
};

const char *node_root(struct node *root, const struct layers *layers, size_t from);
const char *node_find(struct node *found, const struct layers *layers,
		      const struct node *dir, const char *name);
const char *node_find_data(struct node *data, const struct layers *layers,
			   const struct node *dir, const char *name,
			   const struct part *file);
const char *node_find_whole(struct node *found, const struct layers *layers,
			    const struct node *dir, const char *name);
void node_close(struct node *node);
bool node_is_dir(const struct node *node);
const struct part *node_data(const struct node *node);
int node_open_data(const struct node *node);

/* What becomes of a file that a layer leads to. */
enum moved {
	MOVED_NOT,
	MOVED_MERGED,		/* the layer was merged, which may copy it */
	MOVED_PERHAPS,		/* it is not known which layer it was in */
};

void layers_find_needs(struct layers *layers);
enum moved layer_moved(const struct layers *layers, size_t layer, size_t to);

/* What an entry of a directory of a layer means. */
enum entry_kind {
	ENTRY_PLAIN,
	ENTRY_WHITEOUT,
	ENTRY_OPAQUE,
	ENTRY_RESERVED,		/* it means nothing, and is not shown */
};

const char *entry_kind(enum entry_kind *kind, const struct layers *layers,
		       const struct part *entry, const char *name, const char **hides);
const char *is_whiteout(bool *whiteout, const struct part *entry);
const char *is_opaque(bool *opaque, const struct part *dir);
bool is_hidden(const struct part *dir, const char *name);
bool has_other_names(const struct part *file);
const char *is_metacopy(bool *metacopy, int fd);
const char *read_redirect(char **to, const struct part *part);
bool needs_no_others(int root);
const char *mark_read(int fd, const char *mark, char **value, size_t *len);
const char *set_opaque(int dir);

/* Sorted by their bytes. */
struct names {
	char **name;
	size_t nr;
};

const char *names_read(struct names *names, int dir);
void names_add(struct names *names, const char *name);
void names_sort(struct names *names);
void names_free(struct names *names);

/* Extended attributes, ACLs among them, but those of the format of layers. */
struct xattrs {
	struct xattr {
		char *name;
		char *value;
		size_t len;
	} *xattr;
	size_t nr;
};

bool xattr_is_private(const char *name);
const char *xattrs_read(struct xattrs *xattrs, int fd);
void xattrs_free(struct xattrs *xattrs);

#endif /* MICA_TOOL_LAYER_H */
