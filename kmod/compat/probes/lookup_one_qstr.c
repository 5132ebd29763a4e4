// SPDX-License-Identifier: GPL-2.0-only
/* 6.16: lookup_one() and its kin take the name as a qstr. */
#include <linux/fs.h>
#include <linux/namei.h>

struct dentry *probe(struct mnt_idmap *idmap, struct qstr *name,
		     struct dentry *base);

struct dentry *probe(struct mnt_idmap *idmap, struct qstr *name,
		     struct dentry *base)
{
	return lookup_one_positive_unlocked(idmap, name, base);
}
