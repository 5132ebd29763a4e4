// SPDX-License-Identifier: GPL-2.0-only
/*
 * Directories that a session keeps to itself, so that a program can put layers
 * together while nobody writes to them.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include "../chardev.h"
#include "union.h"

/**
 * struct mica_owned - what a session has
 * @dir: the directory
 * @changing: in the list of those that are no branches, if it is to be changed
 */
struct mica_owned {
	struct file *dir;
	struct mica_changing changing;
};

static int own(struct mica_owned *owned, const struct mica_union_own *o,
	       struct mica_reason *why)
{
	struct inode *inode = file_inode(owned->dir);

	if (!S_ISDIR(inode->i_mode))
		return -ENOTDIR;
	if (o->flags & MICA_OWN_TELL)
		return 0;
	if ((o->flags & MICA_OWN_CHANGE) &&
	    mica_change_begin(&owned->changing, o->branch))
		return mica_fail(why, -EBUSY, MICA_REASON_BRANCH, NULL,
				 "is a branch of a mounted union, or one is in it");
	if (!mica_own(inode))
		return 0;
	mica_change_end(&owned->changing);
	return mica_fail(why, -EBUSY, MICA_REASON_BRANCH, NULL,
			 "a union or an overlay writes to it");
}

static struct mica_owned *new_owned(int fd)
{
	struct mica_owned *owned = kzalloc(sizeof(*owned), GFP_KERNEL_ACCOUNT);

	if (!owned)
		return ERR_PTR(-ENOMEM);
	owned->dir = fget_raw(fd);
	if (!owned->dir) {
		kfree(owned);
		return ERR_PTR(-EBADF);
	}
	INIT_LIST_HEAD(&owned->changing.list);
	owned->changing.dir = owned->dir->f_path.dentry;
	return owned;
}

static void free_owned(struct mica_owned *owned)
{
	fput(owned->dir);
	kfree(owned);
}

/* What it is known by. */
static void describe(struct file *dir, struct mica_union_own *o)
{
	const struct mica_branch where = { .mnt = dir->f_path.mnt };
	struct dentry *root = dir->f_path.dentry;

	o->hash = (__force u64)mica_layer_hash(&where, root);
	export_uuid(o->uuid, &root->d_sb->s_uuid);
}

/**
 * mica_own_begin - MICA_UNION_OWN
 * @session: what the session has; NULL if nothing
 * @o: argument of the call
 * @why: out: why it cannot be
 *
 * Return: 0 or an error.
 */
int mica_own_begin(struct mica_owned **session, struct mica_union_own *o,
		   struct mica_reason *why)
{
	struct mica_owned *owned;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return mica_fail(why, -EPERM, MICA_REASON_PRIVILEGE, NULL,
				 "owning a directory needs CAP_SYS_ADMIN");
	owned = new_owned(o->fd);
	if (owned == ERR_PTR(-EBADF))
		return mica_fail(why, -EBADF, MICA_REASON_BAD_VALUE, NULL,
				 "fd is not open");
	if (IS_ERR(owned))
		return PTR_ERR(owned);
	err = own(owned, o, why);
	if (!err)
		describe(owned->dir, o);
	if (err || o->flags & MICA_OWN_TELL) {
		free_owned(owned);
		return err;
	}
	if (!cmpxchg(session, NULL, owned))
		return 0;
	mica_own_end(owned);
	return -EEXIST;
}

/**
 * mica_own_end - a session ends
 * @owned: what it has; NULL if nothing
 */
void mica_own_end(struct mica_owned *owned)
{
	if (!owned)
		return;
	mica_change_end(&owned->changing);
	mica_disown(file_inode(owned->dir));
	free_owned(owned);
}
