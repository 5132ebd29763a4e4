/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mount was asked for, from the parser to super.c. */
#ifndef _MICA_UNION_OPTIONS_H
#define _MICA_UNION_OPTIONS_H

#include "union.h"

struct mica_spec {
	struct list_head list;
	char *name;
	struct path path;
	bool rw;
	unsigned int read;
};

struct mica_options {
	struct list_head specs;		/* branches, leftmost first */
	unsigned int nr;
	struct mica_spec *upper;
	struct mica_spec *work;
	const struct layer_format *format;
	bool dirs;			/* one of dirs=, dirs+rw, dirs+ro */
	bool overlay_syntax;
	bool do_volatile;
	bool userxattr;
	bool no_redirect;
	bool redirect_given;
	bool metacopy;
	enum mica_delete delete;
	bool metacopy_given;
	bool copyup_top;
	enum mica_create create;
};

int mica_fill_super(struct super_block *sb, struct fs_context *fc);

#endif /* _MICA_UNION_OPTIONS_H */
