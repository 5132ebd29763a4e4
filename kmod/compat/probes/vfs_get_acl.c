// SPDX-License-Identifier: GPL-2.0-only
/* 6.2: POSIX ACLs have calls and inode operations of their own. */
/* symbols: vfs_get_acl vfs_set_acl vfs_remove_acl get_inode_acl */
#include <linux/fs.h>
#include <linux/posix_acl.h>

struct posix_acl *probe(struct mnt_idmap *idmap, struct dentry *dentry);

struct posix_acl *probe(struct mnt_idmap *idmap, struct dentry *dentry)
{
	return vfs_get_acl(idmap, dentry, "system.posix_acl_access");
}
