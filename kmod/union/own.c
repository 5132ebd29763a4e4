// SPDX-License-Identifier: GPL-2.0-only
/*
 * Directories that a session keeps to itself, so that a program can put layers
 * together while nobody writes to them.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/mount.h>
#include "../chardev.h"
#include "union.h"

static int own(struct file *dir, const struct mica_union_own *o,
	       struct mica_reason *why)
{
	struct inode *inode = file_inode(dir);

	if (!S_ISDIR(inode->i_mode))
		return -ENOTDIR;
	if ((o->flags & MICA_OWN_CHANGE) && mica_is_branch(inode, o->branch))
		return mica_fail(why, -EBUSY, MICA_REASON_BRANCH, NULL,
				 "is a branch of a mounted union");
	if (mica_own(inode))
		return mica_fail(why, -EBUSY, MICA_REASON_BRANCH, NULL,
				 "a union or an overlay writes to it");
	return 0;
}

/**
 * mica_own_begin - MICA_UNION_OWN
 * @owned: the directory that the session has; NULL if none
 * @o: argument of the call
 * @why: out: why it cannot be
 *
 * Return: 0 or an error.
 */
int mica_own_begin(struct file **owned, struct mica_union_own *o,
		   struct mica_reason *why)
{
	struct mica_branch where = {};
	struct file *dir;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return mica_fail(why, -EPERM, MICA_REASON_PRIVILEGE, NULL,
				 "owning a directory needs CAP_SYS_ADMIN");
	dir = fget_raw(o->fd);
	if (!dir)
		return mica_fail(why, -EBADF, MICA_REASON_BAD_VALUE, NULL,
				 "fd is not open");
	err = own(dir, o, why);
	if (err) {
		fput(dir);
		return err;
	}
	if (cmpxchg(owned, NULL, dir)) {
		mica_own_end(dir);
		return -EEXIST;
	}
	where.mnt = dir->f_path.mnt;
	o->hash = (__force u64)mica_layer_hash(&where, dir->f_path.dentry);
	export_uuid(o->uuid, &dir->f_path.dentry->d_sb->s_uuid);
	return 0;
}

/**
 * mica_own_end - a session ends
 * @owned: the directory that it has; NULL if none
 */
void mica_own_end(struct file *owned)
{
	if (!owned)
		return;
	mica_disown(file_inode(owned));
	fput(owned);
}
