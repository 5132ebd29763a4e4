/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Before 6.8 a file of a branch is opened with the union's path, and the
 * branch's file system asks the union's dentry for the dentry of its own.
 */
#ifndef _MICA_COMPAT_DCACHE_H
#define _MICA_COMPAT_DCACHE_H

#include <linux/dcache.h>

#ifdef HAVE_BACKING_FILE
#define MICA_D_REAL_ARG enum d_real_type
#else
#define MICA_D_REAL_ARG const struct inode *
#endif

/* The lock of @dir is held. */
#ifndef HAVE_D_FIRST_CHILD
static inline struct dentry *d_first_child(struct dentry *dir)
{
	return list_first_entry_or_null(&dir->d_subdirs, struct dentry, d_child);
}

static inline struct dentry *d_next_sibling(struct dentry *child)
{
	if (list_is_last(&child->d_child, &child->d_parent->d_subdirs))
		return NULL;
	return list_next_entry(child, d_child);
}
#endif

#ifndef for_each_alias
#define for_each_alias(dentry, inode) \
	hlist_for_each_entry(dentry, &(inode)->i_dentry, d_u.d_alias)
#endif

#endif /* _MICA_COMPAT_DCACHE_H */
