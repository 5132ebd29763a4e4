/* SPDX-License-Identifier: GPL-2.0-only */
/* Putting several layers together, for mica union merge. */
#ifndef MICA_TOOL_MERGE_H
#define MICA_TOOL_MERGE_H

#include "layer.h"

#define META_DIR ".wh..wh.mica"

/* How far it is, on a terminal. */
struct progress {
	uint64_t total;		/* names to look at */
	uint64_t done;
	uint64_t copied;	/* bytes */
	uint64_t told;		/* when, in ms */
};

void progress_tell(struct progress *progress);
void progress_end(struct progress *progress);

/* Files and trees. A directory and a name in it are where something is made. */
struct place {
	int dir;
	const char *name;
};

/* What is in trees that have none of some directories in them. */
struct tally {
	uint64_t names;
	const struct stat *apart;
	size_t nr_apart;
	int depth;
};

typedef bool (*xattr_filter)(const char *name);

const char *copy_node(const struct place *to, const struct part *from, int data,
		      xattr_filter skip, struct progress *progress);
const char *copy_attributes(const struct place *to, const struct part *from, xattr_filter skip);
const char *drop_acls(int dir);
const char *count_tree(int dir, struct tally *t);
const char *empty_tree(int dir, struct progress *progress);

int merge_build(int target, const struct layers *layers, bool copy,
		struct progress *progress);
const char *merge_fix_links(int target);

#endif /* MICA_TOOL_MERGE_H */
