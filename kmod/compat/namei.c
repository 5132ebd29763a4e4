// SPDX-License-Identifier: GPL-2.0-only
/* What 6.19 brought to change directories with, for kernels before it. */
#define MICA_COMPAT_NAMEI_C
#include "namei.h"

#ifndef HAVE_START_CREATING
struct dentry *start_creating(struct mnt_idmap *idmap, struct dentry *parent,
			      struct qstr *name)
{
	struct dentry *dentry;

	inode_lock_nested(d_inode(parent), I_MUTEX_PARENT);
	dentry = lookup_one(idmap, name, parent);
	if (IS_ERR(dentry))
		inode_unlock(d_inode(parent));
	return dentry;
}

void end_creating(struct dentry *child)
{
	if (IS_ERR(child))
		return;
	inode_unlock(d_inode(child->d_parent));
	dput(child);
}

struct dentry *end_creating_keep(struct dentry *child)
{
	if (!IS_ERR(child))
		dget(child);
	end_creating(child);
	return child;
}

struct dentry *start_removing(struct mnt_idmap *idmap, struct dentry *parent,
			      struct qstr *name)
{
	struct dentry *dentry = start_creating(idmap, parent, name);

	if (IS_ERR(dentry) || d_is_positive(dentry))
		return dentry;
	end_creating(dentry);
	return ERR_PTR(-ENOENT);
}

void end_removing(struct dentry *child)
{
	end_creating(child);
}

static int lookup_both(struct mica_renamedata *rd, struct dentry *trap,
		       struct qstr *old_last, struct qstr *new_last)
{
	int err;

	rd->old_dentry = lookup_one(rd->mnt_idmap, old_last, rd->old_parent);
	if (IS_ERR(rd->old_dentry))
		return PTR_ERR(rd->old_dentry);
	rd->new_dentry = lookup_one(rd->mnt_idmap, new_last, rd->new_parent);
	if (IS_ERR(rd->new_dentry)) {
		dput(rd->old_dentry);
		return PTR_ERR(rd->new_dentry);
	}

	if (d_is_positive(rd->old_dentry) && rd->old_dentry != trap &&
	    rd->new_dentry != trap)
		return 0;

	err = d_is_positive(rd->old_dentry) ? -EINVAL : -ENOENT;
	dput(rd->new_dentry);
	dput(rd->old_dentry);
	return err;
}

int start_renaming(struct mica_renamedata *rd, int lookup_flags,
		   struct qstr *old_last, struct qstr *new_last)
{
	struct dentry *trap = lock_rename(rd->old_parent, rd->new_parent);
	int err;

	if (IS_ERR(trap))
		return PTR_ERR(trap);
	err = lookup_both(rd, trap, old_last, new_last);
	if (err)
		unlock_rename(rd->old_parent, rd->new_parent);
	else
		dget(rd->old_parent);
	return err;
}

void end_renaming(struct mica_renamedata *rd)
{
	unlock_rename(rd->old_parent, rd->new_parent);
	dput(rd->new_dentry);
	dput(rd->old_dentry);
	dput(rd->old_parent);
}

int mica_vfs_rename(struct mica_renamedata *rd)
{
	struct renamedata old = {
		.old_dir = d_inode(rd->old_parent),
		.old_dentry = rd->old_dentry,
		.new_dir = d_inode(rd->new_parent),
		.new_dentry = rd->new_dentry,
		.delegated_inode = mica_delegated(rd->delegated_inode),
		.flags = rd->flags,
#ifdef HAVE_MNT_IDMAP
		.old_mnt_idmap = rd->mnt_idmap,
		.new_mnt_idmap = rd->mnt_idmap,
#else
		.old_mnt_userns = rd->mnt_idmap,
		.new_mnt_userns = rd->mnt_idmap,
#endif
	};

	return vfs_rename(&old);
}
#endif
