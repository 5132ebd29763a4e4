// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of files as lsattr and chattr know them: those of the first part.
 *
 * Two are different: a branch could not be worked in if what is immutable or
 * append-only in the union were so there. A directory that may only grow gets
 * copies of what was in it already, say. So, as in overlayfs, it is a mark that
 * protects what is in a rw branch: an "a", an "i", or both.
 */
#include <linux/mount.h>
#include "union.h"

#define PROTECTION "protattr"
#define PROTECTED_FLAGS (FS_APPEND_FL | FS_IMMUTABLE_FL)
#define PROTECTED_XFLAGS (FS_XFLAG_APPEND | FS_XFLAG_IMMUTABLE)

/**
 * mica_read_protection - is this append-only or immutable in unions alone?
 * @sb: the union
 * @part: something in a branch
 *
 * Return: S_APPEND, S_IMMUTABLE, both or 0.
 */
unsigned int mica_read_protection(const struct super_block *sb,
				  const struct mica_part *part)
{
	const struct cred *old;
	unsigned int flags = 0;
	char value[8];
	int len, i;

	if (!d_is_reg(part->dentry) && !d_is_dir(part->dentry))
		return 0;
	old = mica_override_creds(sb);
	len = lower_get_mark(part->b, part->dentry, PROTECTION, value,
			     sizeof(value));
	revert_creds(old);
	for (i = 0; i < len; i++)
		flags |= value[i] == 'a' ? S_APPEND :
			 value[i] == 'i' ? S_IMMUTABLE : 0;
	return flags;
}

/**
 * mica_write_protection - note that something is append-only or immutable
 * @b: the branch
 * @dentry: something in it
 * @flags: what mica_read_protection() is to return
 *
 * Return: 0 or an error.
 */
int mica_write_protection(const struct mica_branch *b, struct dentry *dentry,
			  unsigned int flags)
{
	char value[2];
	int len = 0, err;

	if (flags & S_APPEND)
		value[len++] = 'a';
	if (flags & S_IMMUTABLE)
		value[len++] = 'i';
	if (len)
		return lower_set_mark(b, dentry, PROTECTION, value, len);
	err = lower_remove_mark(b, dentry, PROTECTION);
	return err == -ENODATA || err == -EOPNOTSUPP ? 0 : err;
}

int mica_fileattr_get(struct dentry *dentry, struct file_kattr *fa)
{
	const struct inode *inode = d_inode(dentry);
	struct mica_look l;
	int err;

	mica_begin_look(inode, &l);
	err = vfs_fileattr_get(l.real.dentry, fa);
	mica_end_look(inode, &l);
	if (IS_APPEND(inode)) {
		fa->flags |= FS_APPEND_FL;
		fa->fsx_xflags |= FS_XFLAG_APPEND;
	}
	if (IS_IMMUTABLE(inode)) {
		fa->flags |= FS_IMMUTABLE_FL;
		fa->fsx_xflags |= FS_XFLAG_IMMUTABLE;
	}
	return err;
}

int mica_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct file_kattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct mica_inode *mi = mica_i(inode);
	const struct mica_branch *b;
	unsigned int protection = 0;
	struct mica_change c;
	int err;

	/* See mica_dir_is_strange(). */
	if (fa->flags & FS_CASEFOLD_FL)
		return -EOPNOTSUPP;
	err = mica_copy_up(dentry);
	if (err)
		return err;
	if (fa->flags & FS_APPEND_FL)
		protection |= S_APPEND;
	if (fa->flags & FS_IMMUTABLE_FL)
		protection |= S_IMMUTABLE;
	fa->flags &= ~PROTECTED_FLAGS;
	fa->fsx_xflags &= ~PROTECTED_XFLAGS;

	err = mica_begin_change(inode, &c);
	if (err)
		return err;
	b = mica_parts(inode)->part[0].b;
	/* First, since it is what a full branch refuses. */
	if (protection != mi->protection)
		err = mica_write_protection(b, c.real.dentry, protection);
	if (!err) {
		err = vfs_fileattr_set(mnt_idmap(c.real.mnt), c.real.dentry, fa);
		if (!err)
			mi->protection = protection;
		else if (protection != mi->protection)
			mica_write_protection(b, c.real.dentry, mi->protection);
	}
	mica_end_change(inode, &c);
	return err;
}

/* Others say how a file system stores it. */
#define COPIED_FLAGS (FS_SYNC_FL | FS_NOATIME_FL | FS_NODUMP_FL)

/**
 * mica_copy_fileattr - let a copy have the attributes that others mind
 * @src: what was copied
 * @b: the branch of the copy
 * @copy: the copy
 *
 * The caller has the mounter's credentials and mnt_want_write().
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
