// SPDX-License-Identifier: GPL-2.0-only
/* 7.0: vfs_create() and its kin can break a delegation of the directory. */
#include <linux/fs.h>

int probe(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
	  struct delegated_inode *di);

int probe(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
	  struct delegated_inode *di)
{
	return vfs_create(idmap, dentry, 0600, di) ?:
	       vfs_mknod(idmap, dir, dentry, S_IFIFO, 0, di) ?:
	       vfs_symlink(idmap, dir, dentry, "", di) ?:
	       vfs_rmdir(idmap, dir, dentry, di) ?:
	       PTR_ERR_OR_ZERO(vfs_mkdir(idmap, dir, dentry, 0700, di));
}
