/* SPDX-License-Identifier: GPL-2.0-only */
/* POSIX ACLs: before 6.2 they are extended attributes of a special kind. */
#ifndef _MICA_COMPAT_ACL_H
#define _MICA_COMPAT_ACL_H

#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include "idmap.h"

#ifdef HAVE_VFS_GET_ACL
#define MICA_ACL_INODE_OPS \
	.get_inode_acl	= mica_get_inode_acl, \
	.get_acl	= mica_get_acl, \
	.set_acl	= mica_set_acl
#else
/* The generic handlers call the two inode operations below. */
#define MICA_ACL_XATTR_HANDLERS \
	&posix_acl_access_xattr_handler, &posix_acl_default_xattr_handler
#define MICA_ACL_INODE_OPS \
	.get_acl	= mica_get_inode_acl, \
	.set_acl	= mica_set_acl_of_inode

#define get_inode_acl get_acl

static inline int acl_type_of(const char *name)
{
	return strcmp(name, XATTR_NAME_POSIX_ACL_DEFAULT) ? ACL_TYPE_ACCESS :
							    ACL_TYPE_DEFAULT;
}

static inline struct posix_acl *vfs_get_acl(struct mnt_idmap *idmap,
					    struct dentry *dentry,
					    const char *name)
{
	struct posix_acl *acl = get_acl(d_inode(dentry), acl_type_of(name));

	return acl ?: ERR_PTR(-ENODATA);
}

static inline int vfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			      const char *name, struct posix_acl *acl)
{
	int err;

	inode_lock(d_inode(dentry));
	err = set_posix_acl(idmap, d_inode(dentry), acl_type_of(name), acl);
	inode_unlock(d_inode(dentry));
	return err;
}

static inline int vfs_remove_acl(struct mnt_idmap *idmap,
				 struct dentry *dentry, const char *name)
{
	return vfs_set_acl(idmap, dentry, name, NULL);
}

static inline const char *posix_acl_xattr_name(int type)
{
	return type == ACL_TYPE_DEFAULT ? XATTR_NAME_POSIX_ACL_DEFAULT :
					  XATTR_NAME_POSIX_ACL_ACCESS;
}
#endif

#endif /* _MICA_COMPAT_ACL_H */
