// SPDX-License-Identifier: GPL-2.0-only
/* Attributes of files as lsattr and chattr know them: those of the first part. */
#include <linux/mount.h>
#include "union.h"

int mica_fileattr_get(struct dentry *dentry, struct file_kattr *fa)
{
	const struct cred *old = mica_override_creds(dentry->d_sb);
	int err = vfs_fileattr_get(mica_real(d_inode(dentry)), fa);

	revert_creds(old);
	return err;
}

int mica_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct file_kattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct mica_change c;
	int err;

	/* See mica_dir_is_strange(). */
	if (fa->flags & FS_CASEFOLD_FL)
		return -EOPNOTSUPP;
	err = mica_copy_up(dentry);
	if (err)
		return err;
	err = mica_begin_change(inode, &c);
	if (err)
		return err;
	err = vfs_fileattr_set(mnt_idmap(c.real.mnt), c.real.dentry, fa);
	mica_end_change(inode, &c);
	return err;
}

/* Those that protect a file; the others say how a file system stores it. */
#define COPIED_FLAGS (FS_APPEND_FL | FS_SYNC_FL | FS_NOATIME_FL | FS_NODUMP_FL)

/**
 * mica_copy_fileattr - let a copy have the attributes that protect a file
 * @src: what was copied
 * @b: the branch of the copy
 * @copy: the copy, under its name, which it could not be given afterwards
 *
 * An immutable file is only copied for that to end. The caller has the mounter's
 * credentials and mnt_want_write().
 *
 * Return: 0 or an error; a file system without them is none.
 */
int mica_copy_fileattr(struct dentry *src, const struct mica_branch *b,
		       struct dentry *copy)
{
	struct file_kattr from = {}, to = {};
	int err;

	if (!d_is_reg(src) && !d_is_dir(src))
		return 0;
	err = vfs_fileattr_get(src, &from);
	if (err || !(from.flags & COPIED_FLAGS))
		return err == -ENOIOCTLCMD || err == -ENOTTY ||
		       err == -EOPNOTSUPP ? 0 : err;
	err = vfs_fileattr_get(copy, &to);
	if (!err) {
		fileattr_fill_flags(&to, to.flags |
				    (from.flags & COPIED_FLAGS));
		err = vfs_fileattr_set(mnt_idmap(b->mnt), copy, &to);
	}
	if (err)
		pr_warn_ratelimited("%pd2: %s has no place for its attributes (%d)\n",
				    src, b->name, err);
	return 0;
}
