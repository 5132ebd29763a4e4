// SPDX-License-Identifier: GPL-2.0-only
/* 6.17: a superblock's default dentry operations are set by a function. */
/* symbols: set_default_d_op */
#include <linux/fs.h>

void probe(struct super_block *sb, const struct dentry_operations *ops);

void probe(struct super_block *sb, const struct dentry_operations *ops)
{
	set_default_d_op(sb, ops);
}
