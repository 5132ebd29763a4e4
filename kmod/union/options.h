/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mount was asked for, from the parser to super.c. */
#ifndef _MICA_UNION_OPTIONS_H
#define _MICA_UNION_OPTIONS_H

#include "../reason.h"
#include "union.h"

__printf(4, 5)
int mica_refuse(struct mica_reason *why, int err, const char *name,
		const char *fmt, ...);

struct mica_spec {
	struct list_head list;
	char *name;
	struct path path;
	bool rw;
	unsigned int read;
};

/**
 * struct mica_remount - a change of the branches that a remount asks for
 * @list: others, in the order in which they are made
 * @command: MICA_UNION_ADD, _DEL or _MODE
 * @flags: MICA_BRANCH_*
 * @pos: where a new branch comes
 * @spec: the new branch, or NULL
 * @name: path or number of a branch that there is, or NULL
 */
struct mica_remount {
	struct list_head list;
	unsigned int command;
	u32 flags;
	u32 pos;
	struct mica_spec *spec;
	char *name;
};

struct mica_options {
	struct list_head specs;		/* branches, leftmost first */
	struct list_head changes;	/* of a remount */
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
	struct mica_reason why;		/* there is no mount */
};

int mica_check_spec(struct mica_reason *why, const struct mica_spec *spec,
		    const struct layer_format *format);
int mica_check_apart(struct mica_reason *why, const struct mica_spec *spec,
		     struct dentry *other, const char *name);
struct mica_branch *mica_make_branch(struct mica_reason *why,
				     const struct super_block *sb,
				     const struct mica_spec *spec);
int mica_make_writable(struct mica_reason *why, struct mica_branch *b,
		       const struct layer_format *format,
		       const struct path *workdir,
		       const struct mica_branches *set, unsigned int left);
int mica_prepare_branch(struct mica_reason *why, struct mica_branch *b,
			const struct layer_format *format,
			const struct path *workdir,
			const struct mica_branches *set, unsigned int left);
int mica_remount_change(struct super_block *sb, struct mica_remount *r,
			struct mica_reason *why);
int mica_fill_super(struct super_block *sb, struct fs_context *fc);

#endif /* _MICA_UNION_OPTIONS_H */
