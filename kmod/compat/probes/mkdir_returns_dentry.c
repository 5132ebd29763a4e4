// SPDX-License-Identifier: GPL-2.0-only
/* 6.15: inode_operations.mkdir and vfs_mkdir() return a dentry. */
/* symbols: vfs_mkdir */
#include <linux/fs.h>

struct dentry *probe(const struct inode_operations *ops, struct inode *dir,
		     struct dentry *dentry);

struct dentry *probe(const struct inode_operations *ops, struct inode *dir,
		     struct dentry *dentry)
{
	return ops->mkdir(&nop_mnt_idmap, dir, dentry, 0755);
}
