// SPDX-License-Identifier: GPL-2.0-only
/* 6.8: the children of a dentry are in another kind of list. */
#include <linux/dcache.h>

struct dentry *probe(const struct dentry *dentry);

struct dentry *probe(const struct dentry *dentry)
{
	return d_first_child(dentry);
}
