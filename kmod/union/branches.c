// SPDX-License-Identifier: GPL-2.0-only
/* Branches: what they are made of, who may write to them, their order. */
#include <linux/mount.h>
#include <linux/slab.h>
#include "union.h"

/**
 * mica_own - take a directory, so that no union or overlay can write to it
 * @inode: the directory
 *
 * The mark is overlayfs's, so that the two keep out of each other's way.
 *
 * Return: 0, or -EBUSY if somebody has it.
 */
int mica_own(struct inode *inode)
{
	bool taken;

	spin_lock(&inode->i_lock);
	taken = inode_state_read_once(inode) & I_OVL_INUSE;
	if (!taken)
		inode_state_set(inode, I_OVL_INUSE);
	spin_unlock(&inode->i_lock);
	return taken ? -EBUSY : 0;
}

void mica_disown(struct inode *inode)
{
	spin_lock(&inode->i_lock);
	inode_state_clear(inode, I_OVL_INUSE);
	spin_unlock(&inode->i_lock);
}

/*
 * A layer that is not mounted looks like any other: our own directory goes,
 * unless there is something in it.
 */
static void remove_work(struct mica_branch *b)
{
	struct dentry *meta = dget_parent(b->work);

	if (meta->d_parent == b->mnt->mnt_root && !b->owned[1] &&
	    !mnt_want_write(b->mnt)) {
		if (b->index)
			lower_remove(b, meta, &QSTR("index"), d_inode(b->index));
		if (!lower_remove(b, meta, &QSTR("work"), d_inode(b->work)))
			lower_remove(b, b->mnt->mnt_root, &QSTR(MICA_META_DIR),
				     d_inode(meta));
		mnt_drop_write(b->mnt);
	}
	dput(meta);
}

/**
 * mica_branches_alloc - a set with place for some branches
 * @nr: how many
 *
 * Return: the set, with none yet, or NULL.
 */
struct mica_branches *mica_branches_alloc(unsigned int nr)
{
	struct mica_branches *set;

	set = kvzalloc(offsetof(struct mica_branches, branch[nr]), GFP_KERNEL);
	if (!set)
		return NULL;
	set->mounts = kvcalloc(nr, sizeof(*set->mounts), GFP_KERNEL);
	set->incomplete = kvcalloc(nr, sizeof(*set->incomplete), GFP_KERNEL);
	if (set->mounts && set->incomplete)
		return set;
	mica_set_free(set);
	return NULL;
}

/**
 * mica_branches_append - put a branch to the right of all that are in a set
 * @set: the set, which has place for it
 * @b: the branch
 */
void mica_branches_append(struct mica_branches *set, struct mica_branch *b)
{
	set->mounts[set->nr] = b->mnt;
	set->branch[set->nr++] = b;
	set->read |= b->read;
}

/* The set, not the branches. */
void mica_set_free(struct mica_branches *set)
{
	kvfree(set->incomplete);
	kvfree(set->mounts);
	kvfree(set);
}

/* Gives back what a branch has to be written to. */
static void stop_writing(struct mica_branch *b)
{
	int i;

	if (b->work)
		remove_work(b);
	for (i = 0; i < ARRAY_SIZE(b->owned); i++) {
		if (!b->owned[i])
			continue;
		mica_disown(b->owned[i]);
		iput(b->owned[i]);
		b->owned[i] = NULL;
	}
	dput(b->work);
	b->work = NULL;
}

/* Gives back what a branch has of its file system, all but the mount. */
static void leave(struct mica_branch *b)
{
	stop_writing(b);
	dput(b->index);
	b->index = NULL;
}

/* All but the mount. */
static void free_branch(struct mica_branch *b)
{
	percpu_ref_exit(&b->ref);
	kfree(b->needs);
	kfree(b->merged);
	kfree(b->name);
	kfree(b);
}

/* No inode has a part in it any more. */
static void branch_is_unused(struct percpu_ref *ref)
{
	struct mica_branch *b = container_of(ref, struct mica_branch, ref);

	queue_work(b->left->queue, &b->free_work);
}

static void free_branch_work(struct work_struct *work)
{
	struct mica_branch *b = container_of(work, struct mica_branch,
					     free_work);
	struct mica_super *ms = b->left;

	kern_unmount(b->mnt);
	free_branch(b);
	if (atomic_dec_and_test(&ms->leaving))
		wake_up_var(&ms->leaving);
}

/**
 * mica_branch_new - make a branch of a directory
 * @path: the directory
 * @name: its path, as the user gave it
 * @read: MICA_FORM_* that it is read in
 *
 * Return: the branch, or an error.
 */
struct mica_branch *mica_branch_new(const struct path *path, const char *name,
				    unsigned int read)
{
	static atomic_t last_id;
	struct mica_branch *b;
	struct vfsmount *mnt;

	b = kzalloc(struct_size(b, plain, MICA_NR_PLAIN), GFP_KERNEL_ACCOUNT);
	if (!b)
		return ERR_PTR(-ENOMEM);
	b->name = kstrdup(name, GFP_KERNEL);
	if (!b->name || percpu_ref_init(&b->ref, branch_is_unused, 0,
					GFP_KERNEL)) {
		kfree(b->name);
		kfree(b);
		return ERR_PTR(-ENOMEM);
	}
	INIT_WORK(&b->free_work, free_branch_work);
	b->modes = 1;
	b->id = atomic_inc_return(&last_id);
	b->read = read;
	mutex_init(&b->needs_lock);

	/* Of our own, so that no change of mounts can reach it. */
	mnt = clone_private_mount(path);
	if (IS_ERR(mnt)) {
		free_branch(b);
		return ERR_CAST(mnt);
	}
	/* How much access times matter is what the mount of the union says. */
	mnt->mnt_flags &= ~MNT_RELATIME;
	b->mnt = mnt;
	return b;
}

/**
 * mica_branch_allow_writes - let a branch be written to, or not
 * @b: the branch, whose mount is its own
 * @allowed: it can be written to
 */
void mica_branch_allow_writes(struct mica_branch *b, bool allowed)
{
	if (allowed)
		b->mnt->mnt_flags &= ~(MNT_READONLY | MNT_NOATIME);
	else
		/* Not even reading changes what is not writable. */
		b->mnt->mnt_flags |= MNT_READONLY | MNT_NOATIME;
}

/**
 * mica_branch_set_mode - make a branch of a union rw or ro
 * @b: the branch
 * @rw: it is to be rw
 *
 * The union is frozen.
 */
void mica_branch_set_mode(struct mica_branch *b, bool rw)
{
	static atomic_t order = ATOMIC_INIT(0);

	mica_branch_allow_writes(b, rw);
	/* What could not be written before that is not ours. */
	if (!b->last_rw)
		b->wb_err = errseq_sample(&b->mnt->mnt_sb->s_wb_err);
	WRITE_ONCE(b->last_rw, rw ? MICA_RW_NOW : (u32)atomic_inc_return(&order));
	WRITE_ONCE(b->modes, b->modes + 1);
	/* Who sees that it is not writable sees what of it is out of date. */
	smp_store_release(&b->rw, rw);
}

/**
 * mica_branch_retire - let go of what a branch has that is not writable any more
 * @ms: the union
 * @b: the branch
 *
 * Links that were copied to it are found through its index still, all the time.
 */
void mica_branch_retire(struct mica_super *ms, struct mica_branch *b)
{
	const struct cred *old = override_creds(ms->cred);
	struct dentry *index = b->index;

	mica_branch_allow_writes(b, true);
	stop_writing(b);
	mica_branch_allow_writes(b, false);
	/* It was empty, and who looks into it may go on until then. */
	if (index && IS_DEADDIR(d_inode(index))) {
		WRITE_ONCE(b->index, NULL);
		synchronize_srcu(&ms->srcu);
		dput(index);
	}
	revert_creds(old);
}

/**
 * mica_branch_remove - let go of a branch that is in no set any more
 * @ms: the union
 * @b: the branch
 *
 * It is freed when no inode that is in use has a part in it any more.
 */
void mica_branch_remove(struct mica_super *ms, struct mica_branch *b)
{
	const struct cred *old = override_creds(ms->cred);

	leave(b);
	revert_creds(old);
	atomic_inc(&ms->leaving);
	b->left = ms;
	percpu_ref_kill(&b->ref);
}

/**
 * mica_branches_free - free the branches of a union, at its end
 * @set: the branches, or NULL
 * @cred: the mounter's credentials
 *
 * The kernel's own mounts take an RCU grace period to go, one for all of them.
 * A walk without references may look at the branches until then.
 */
void mica_branches_free(struct mica_branches *set, const struct cred *cred)
{
	const struct cred *old;
	unsigned int i;

	if (!set)
		return;
	old = override_creds(cred);
	for (i = 0; i < set->nr; i++)
		leave(set->branch[i]);
	revert_creds(old);
	if (set->nr)
		kern_unmount_array(set->mounts, set->nr);
	for (i = 0; i < set->nr; i++)
		free_branch(set->branch[i]);
	mica_set_free(set);
}

/**
 * mica_branch_own - take a directory of a branch for this union alone
 * @b: the branch
 * @inode: the directory
 *
 * Return: 0, or -EBUSY if a union or an overlay has it.
 */
int mica_branch_own(struct mica_branch *b, struct inode *inode)
{
	int err = mica_own(inode);

	if (err)
		return err;
	ihold(inode);
	b->owned[b->owned[0] ? 1 : 0] = inode;
	return 0;
}

/**
 * mica_need_dir - a directory of our own in a branch
 * @b: the branch
 * @dir: directory in it
 * @name: name there
 *
 * Return: the directory, made if need be, counted; or an error.
 */
struct dentry *mica_need_dir(const struct mica_branch *b, struct dentry *dir,
			     const struct qstr *name)
{
	struct dentry *dentry = lower_lookup(b, dir, name);

	if (!dentry)
		dentry = lower_create(b, dir, name, S_IFDIR | 0700, 0, NULL);
	if (!IS_ERR(dentry) && !d_is_dir(dentry)) {
		dput(dentry);
		return ERR_PTR(-ENOTDIR);
	}
	return dentry;
}

/*
 * What is made in the work directory must not inherit anything from it, nor
 * anybody else get at it.
 */
static int make_private(const struct mica_branch *b, struct dentry *dir)
{
	static const char * const acls[] = {
		XATTR_NAME_POSIX_ACL_DEFAULT, XATTR_NAME_POSIX_ACL_ACCESS
	};
	struct iattr attr = {
		.ia_valid = ATTR_MODE | ATTR_UID | ATTR_GID,
		.ia_mode = S_IFDIR | 0700,
		.ia_uid = current_fsuid(),
		.ia_gid = current_fsgid(),
	};
	int i, err;

	for (i = 0; i < ARRAY_SIZE(acls); i++) {
		err = vfs_remove_acl(mnt_idmap(b->mnt), dir, acls[i]);
		if (err && err != -ENODATA && err != -EOPNOTSUPP)
			return err;
	}
	return lower_setattr(b->mnt, dir, &attr);
}

/* The place for the branch's work directory: a hidden one, or @workdir. */
static struct dentry *work_parent(const struct mica_branch *b,
				  const struct path *workdir)
{
	if (workdir)
		return dget(workdir->dentry);
	return mica_need_dir(b, b->mnt->mnt_root, &QSTR(MICA_META_DIR));
}

/* What an earlier union left there, or NULL; or an error if it is no directory. */
static struct dentry *find_index(const struct mica_branch *b, struct dentry *parent)
{
	struct dentry *index = lower_lookup(b, parent, &QSTR("index"));

	if (IS_ERR_OR_NULL(index) || d_is_dir(index))
		return index;
	dput(index);
	return ERR_PTR(-ENOTDIR);
}

/**
 * mica_branch_prepare_work - make ready what a branch needs to be written to
 * @b: the branch
 * @workdir: directory to work in, on the same file system, or NULL to use
 *	a hidden one in the branch
 *
 * Whatever an earlier mount left there, after a crash, is removed.
 * The caller has the mounter's credentials.
 *
 * Return: 0, or an error; -EINVAL if the branch cannot hold @b->format.
 */
int mica_branch_prepare_work(struct mica_branch *b, const struct path *workdir)
{
	struct dentry *parent;
	int err;

	err = mnt_want_write(b->mnt);
	if (err)
		return err;
	parent = work_parent(b, workdir);
	err = PTR_ERR_OR_ZERO(parent);
	if (err)
		goto out;
	b->work = mica_need_dir(b, parent, &QSTR("work"));
	/* One that was not writable has it already. */
	if (!b->userxattr && !b->index)
		b->index = find_index(b, parent);
	dput(parent);
	err = PTR_ERR_OR_ZERO(b->work) ?: PTR_ERR_OR_ZERO(b->index);
	if (err) {
		if (IS_ERR(b->index))
			b->index = NULL;
		if (IS_ERR(b->work))
			b->work = NULL;
		goto out;
	}
	err = make_private(b, b->work) ?: lower_purge(b, b->work);
	if (!err && b->format->form == MICA_FORM_OVERLAY &&
	    b->format->set_opaque(b, b->work))
		err = -EINVAL;
	b->has_marks = !lower_set_mark(b, b->work, "impure", "n", 1);
out:
	mnt_drop_write(b->mnt);
	return err;
}

/**
 * mica_branch_find_index - look for what an earlier union left in a branch
 * @b: the branch, which is not writable
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_branch_find_index(struct mica_branch *b)
{
	struct dentry *meta, *index = NULL;

	/* Its copies are found in it, and its locks must not come after ours. */
	if (b->mnt->mnt_sb->s_magic == MICA_SUPER_MAGIC)
		return 0;
	/* It is made of file handles. */
	if (b->userxattr)
		return 0;
	meta = lower_lookup(b, b->mnt->mnt_root, &QSTR(MICA_META_DIR));
	if (IS_ERR_OR_NULL(meta))
		return PTR_ERR_OR_ZERO(meta);
	if (d_is_dir(meta))
		index = find_index(b, meta);
	dput(meta);
	if (!IS_ERR(index))
		b->index = index;
	/* Whatever else is there is nothing to a branch that is only read. */
	return index == ERR_PTR(-ENOTDIR) ? 0 : PTR_ERR_OR_ZERO(index);
}

static unsigned int forbidden_by(const struct vfsmount *mnt,
				 const struct user_namespace *ns)
{
	unsigned int forbidden = mnt->mnt_flags &
				 (MNT_NOSUID | MNT_NODEV | MNT_NOEXEC);

	if (mnt->mnt_sb->s_user_ns != ns)
		forbidden |= MNT_NOSUID;
	if (mnt->mnt_sb->s_iflags & SB_I_NODEV)
		forbidden |= MNT_NODEV;
	if (mnt->mnt_sb->s_iflags & SB_I_NOEXEC)
		forbidden |= MNT_NOEXEC;
	if (mnt->mnt_sb->s_magic == MICA_SUPER_MAGIC)
		forbidden |= mica_super(mnt->mnt_sb)->forbidden;
	return forbidden;
}

/**
 * mica_inherit_forbidden - let nosuid, nodev and noexec of the branches hold
 * @set: the branches
 * @ns: user namespace of the union
 *
 * What a mount forbids is forbidden for copies of what is on it, too. From a
 * copy it cannot be told where it is from, so it holds for all that is in a
 * branch which copies are made in. One at a time.
 *
 * Return: all that any of them forbids.
 */
unsigned int mica_inherit_forbidden(struct mica_branches *set,
				    const struct user_namespace *ns)
{
	unsigned int i = set->nr, all = 0, own;
	struct mica_branch *b;

	while (i--) {
		b = set->branch[i];
		own = forbidden_by(b->mnt, ns);
		all |= own;
		/* Somebody may look at it meanwhile. */
		WRITE_ONCE(b->forbidden, b->rw ? all : own);
	}
	return all;
}

/**
 * mica_rw_left_of - the nearest writable branch to the left
 * @sb: the union
 * @pos: position to start left of
 *
 * Return: the branch, or -EROFS if there is none.
 */
struct mica_branch *mica_rw_left_of(const struct super_block *sb,
				    unsigned int pos)
{
	const struct mica_branches *set = mica_branches(sb);

	/* One that was removed is to the right of all. */
	pos = min(pos, set->nr);
	while (pos--)
		if (set->branch[pos]->rw)
			return set->branch[pos];
	return ERR_PTR(-EROFS);
}

/*
 * The leftmost position at which a directory, or one above it, has a redirect:
 * to the right of it, names are not those of the union.
 */
static unsigned int leftmost_redirect(struct inode *dir)
{
	struct dentry *dentry = d_find_any_alias(dir), *parent;
	unsigned int pos = mica_branches(dir->i_sb)->nr;
	unsigned int i;

	while (dentry && !IS_ROOT(dentry)) {
		const struct mica_parts *parts = mica_parts(d_inode(dentry));

		for (i = 0; i < parts->nr && parts->part[i].b->pos < pos; i++)
			if (parts->part[i].redirected)
				pos = parts->part[i].b->pos;
		parent = dget_parent(dentry);
		dput(dentry);
		dentry = parent;
	}
	dput(dentry);
	return pos;
}

/**
 * mica_rw_for - the nearest writable branch where a directory can be
 * @dir: the directory
 * @pos: position to start left of
 *
 * Return: the branch, or -EROFS if there is none.
 */
struct mica_branch *mica_rw_for(struct inode *dir, unsigned int pos)
{
	const struct mica_parts *parts = mica_parts(dir);
	unsigned int i = parts->nr, end = pos;

	if (mica_super(dir->i_sb)->redirects)
		end = min(pos, leftmost_redirect(dir) + 1);
	/* To the right of that it can only be where it is. */
	while (end < pos && i-- && parts->part[i].b->pos >= end)
		if (parts->part[i].b->rw && parts->part[i].b->pos < pos)
			return parts->part[i].b;
	return mica_rw_left_of(dir->i_sb, end);
}

/**
 * mica_copy_target - the branch to copy something to
 * @dir: its directory
 * @b: where it is
 *
 * Return: the branch, or -EROFS if none left of @b is writable.
 */
struct mica_branch *mica_copy_target(struct inode *dir,
				     const struct mica_branch *b)
{
	const struct mica_branches *set = mica_branches(dir->i_sb);
	struct mica_branch *nearest = mica_rw_for(dir, b->pos);
	unsigned int top = 0;

	if (IS_ERR(nearest) || !mica_super(dir->i_sb)->copyup_top)
		return nearest;
	while (!set->branch[top]->rw)
		top++;
	return set->branch[top];
}
