// SPDX-License-Identifier: GPL-2.0-only
/* Inodes of the union: making them, their attributes, permissions. */
#include <linux/lockdep.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include "../compat/freeze.h"
#include "union.h"

#define MICA_COPIED_FLAGS (S_SYNC | S_NOATIME | MICA_PROTECTED)

/*
 * The next part after @i whose branch could be changed when that of the first
 * could not any more; the number of parts if there is none. As long as the first
 * is writable, a change in another is one of the first as well: see
 * mica_touch_dir().
 */
static unsigned int changed_later(const struct mica_parts *parts, unsigned int i)
{
	u32 first = READ_ONCE(parts->part[0].b->last_rw);

	if (first == MICA_RW_NOW)
		return parts->nr;
	while (++i < parts->nr)
		if (READ_ONCE(parts->part[i].b->last_rw) > first)
			break;
	return i;
}

static void make_newer(struct timespec64 *time, struct timespec64 other)
{
	if (timespec64_compare(time, &other) < 0)
		*time = other;
}

static void copy_times(struct inode *inode, const struct mica_parts *parts)
{
	const struct inode *real = d_inode(parts->part[0].dentry);
	struct timespec64 mtime = inode_get_mtime(real);
	struct timespec64 ctime = inode_get_ctime(real);
	unsigned int i = 0;

	inode_set_atime_to_ts(inode, inode_get_atime(real));
	while ((i = changed_later(parts, i)) < parts->nr) {
		real = d_inode(parts->part[i].dentry);
		make_newer(&mtime, inode_get_mtime(real));
		make_newer(&ctime, inode_get_ctime(real));
	}
	inode_set_mtime_to_ts(inode, mtime);
	inode_set_ctime_to_ts(inode, ctime);
}

/**
 * mica_newest_times - when a directory has changed last, in any branch
 * @inode: the directory, or anything else
 * @stat: attributes of its first part
 *
 * The caller has the mounter's credentials. A branch that cannot tell does not
 * count.
 */
void mica_newest_times(const struct inode *inode, struct kstat *stat)
{
	const struct mica_parts *parts = mica_parts(inode);
	unsigned int i = 0;

	while ((i = changed_later(parts, i)) < parts->nr) {
		struct kstat other = {};
		struct path path;

		/* It counts the changes of the first part only. */
		stat->result_mask &= ~STATX_CHANGE_COOKIE;
		mica_part_path(&parts->part[i], &path);
		if (vfs_getattr_nosec(&path, &other, STATX_MTIME | STATX_CTIME,
				      AT_STATX_SYNC_AS_STAT))
			continue;
		make_newer(&stat->mtime, other.mtime);
		make_newer(&stat->ctime, other.ctime);
	}
}

/**
 * mica_touch_dir - names in a directory have changed in one branch
 * @dir: the directory, locked
 * @b: the branch
 *
 * The first part, which is the one that is shown, may be in another. The change
 * is made, so nothing can fail any more.
 */
void mica_touch_dir(struct inode *dir, const struct mica_branch *b)
{
	const struct mica_part *first = &mica_parts(dir)->part[0];
	struct iattr now = { .ia_valid = ATTR_MTIME | ATTR_CTIME };
	const struct cred *old;

	if (first->b == b || !first->b->rw || mnt_want_write(first->b->mnt))
		return;
	old = mica_override_creds(dir->i_sb);
	lower_setattr(first->b->mnt, first->dentry, &now);
	revert_creds(old);
	mnt_drop_write(first->b->mnt);
}

/**
 * mica_copyattr - refresh what the VFS reads from an inode of the union
 * @inode: the inode
 *
 * What is read under the lock is newer than what was set under it before, so
 * of two who refresh at once nobody leaves something old behind.
 */
void mica_copyattr(struct inode *inode)
{
	const struct mica_parts *parts;
	unsigned int flags;
	struct inode *real;

	spin_lock(&inode->i_lock);
	parts = mica_parts(inode);
	real = d_inode(parts->part[0].dentry);
	inode->i_mode = real->i_mode;
	inode->i_uid = real->i_uid;
	inode->i_gid = real->i_gid;
	copy_times(inode, parts);
	i_size_write(inode, i_size_read(real));
	flags = (real->i_flags & MICA_COPIED_FLAGS) | mica_i(inode)->protection;
	if (!mica_is_rw(inode))
		flags |= S_NOATIME;
	inode_set_flags(inode, flags, MICA_COPIED_FLAGS);

	if (S_ISDIR(inode->i_mode) && parts->nr > 1)
		set_nlink(inode, 1);
	else
		set_nlink(inode, max_t(int, 0, real->i_nlink +
					       mica_i(inode)->links));
	spin_unlock(&inode->i_lock);
}

/*
 * Unions stack on unions, so the same code takes the locks of two of them:
 * one class of locks for each depth.
 */
static void set_lock_classes(struct inode *inode)
{
#ifdef CONFIG_LOCKDEP
	static struct lock_class_key file_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key dir_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key lock_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key data_key[FILESYSTEM_MAX_STACK_DEPTH];
	int depth = inode->i_sb->s_stack_depth - 1;

	if (S_ISDIR(inode->i_mode))
		lockdep_set_class(&inode->i_rwsem, &dir_key[depth]);
	else
		lockdep_set_class(&inode->i_rwsem, &file_key[depth]);
	lockdep_set_class(&mica_i(inode)->lock, &lock_key[depth]);
	lockdep_set_class(&mica_i(inode)->data_lock, &data_key[depth]);
#endif
}

static const char *mica_get_link(struct dentry *dentry, struct inode *inode,
				 struct delayed_call *done)
{
	const struct cred *old;
	const char *target;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	old = mica_override_creds(inode->i_sb);
	target = vfs_get_link(mica_real(inode), done);
	revert_creds(old);
	return target;
}

/* The VFS asks by the union's mount and times, here the branch decides. */
MICA_UPDATE_TIME(mica_update_time)
{
	struct path real;

	if (!mica_update_is_atime(which) || !mica_is_rw(inode))
		return 0;
	mica_real_path(inode, &real);
	touch_atime(&real);
	inode_set_atime_to_ts(inode, inode_get_atime(d_inode(real.dentry)));
	return 0;
}

static int mica_fiemap(struct inode *inode, struct fiemap_extent_info *info,
		       u64 start, u64 len)
{
	struct inode *real = d_inode(mica_data_part(inode)->dentry);
	const struct cred *old;
	int err;

	if (!real->i_op->fiemap)
		return -EOPNOTSUPP;
	old = mica_override_creds(inode->i_sb);
	err = real->i_op->fiemap(real, info, start, len);
	revert_creds(old);
	return err;
}

static const struct inode_operations mica_file_inode_operations = {
	.permission	= mica_permission,
	.setattr	= mica_setattr,
	.getattr	= mica_getattr,
	.listxattr	= mica_listxattr,
	.fiemap		= mica_fiemap,
	.update_time	= mica_update_time,
	.fileattr_get	= mica_fileattr_get,
	.fileattr_set	= mica_fileattr_set,
	MICA_ACL_INODE_OPS,
};

static const struct inode_operations mica_symlink_inode_operations = {
	.get_link	= mica_get_link,
	.permission	= mica_permission,
	.setattr	= mica_setattr,
	.getattr	= mica_getattr,
	.listxattr	= mica_listxattr,
	.update_time	= mica_update_time,
};

static void init_inode(struct inode *inode, struct mica_parts *parts, u64 ino)
{
	const struct mica_part *first = &parts->part[0];
	struct inode *real = d_inode(first->dentry);
	dev_t rdev = real->i_rdev;

	mica_i(inode)->parts = parts;
	mica_i(inode)->protection = mica_read_protection(inode->i_sb, first);
	inode->i_ino = ino;
	mica_copyattr(inode);
	/* Times are those of the branch, which keeps them. */
	inode->i_flags |= S_NOCMTIME;
#ifdef CONFIG_FS_POSIX_ACL
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
#endif
	set_lock_classes(inode);

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &mica_file_inode_operations;
		inode->i_fop = &mica_file_operations;
		inode->i_mapping->a_ops = &mica_aops;
		/* It may have been one before it left memory. */
		if (first->b->last_rw)
			mica_set_new_copy(inode);
		break;
	case S_IFDIR:
		inode->i_op = &mica_dir_inode_operations;
		inode->i_fop = &mica_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &mica_symlink_inode_operations;
		break;
	default:
		inode->i_op = &mica_file_inode_operations;
		/* mount(2) takes the number of a disk, and opens no file. */
		if (S_ISBLK(inode->i_mode) &&
		    (mica_forbidden(inode) & MNT_NODEV))
			rdev = 0;
		init_special_inode(inode, inode->i_mode, rdev);
	}
}

static int test_key(struct inode *inode, void *key)
{
	return READ_ONCE(mica_i(inode)->key) == key;
}

static int set_key(struct inode *inode, void *key)
{
	mica_i(inode)->key = key;
	return 0;
}

static unsigned long key_hash(const struct inode *key)
{
	return (unsigned long)key / sizeof(*key);
}

/* The inode for what has @real as its first part, if it is in memory. */
struct inode *mica_ilookup(struct super_block *sb, struct inode *real)
{
	return ilookup5(sb, key_hash(real), test_key, real);
}

/* Fills in an inode, if it is a new one; takes over @parts. */
static struct inode *set_up(struct inode *inode, struct mica_parts *parts,
			    u64 ino)
{
	if (!(inode_state_read_once(inode) & I_NEW)) {
		mica_parts_free(parts);
		return inode;
	}
	init_inode(inode, parts, ino);
	unlock_new_inode(inode);
	return inode;
}

/* The inode for what is in the branches; takes over @parts. */
static struct inode *get_inode(struct super_block *sb, struct mica_parts *parts,
			       u64 ino)
{
	struct inode *real = d_inode(parts->part[0].dentry);
	struct inode *inode;

	inode = iget5_locked(sb, key_hash(real), test_key, set_key, real);
	if (!inode) {
		mica_parts_free(parts);
		return ERR_PTR(-ENOMEM);
	}
	return set_up(inode, parts, ino);
}

/**
 * mica_insert_inode - the inode of the union for what has just been made
 * @inode: one from new_inode(), to be it; taken over
 * @parts: where it is; taken over
 * @ino: its number
 *
 * Return: an inode with a reference. Nothing is allocated, so it does not fail.
 */
struct inode *mica_insert_inode(struct inode *inode, struct mica_parts *parts,
				u64 ino)
{
	struct inode *real = d_inode(parts->part[0].dentry);
	struct inode *known = inode_insert5(inode, key_hash(real), test_key,
					    set_key, real);

	if (known != inode)
		iput(inode);
	return set_up(known, parts, ino);
}

/* An inode for this name alone; takes over @parts. */
static struct inode *new_inode_of(struct super_block *sb,
				  struct mica_parts *parts, u64 ino)
{
	struct inode *inode = new_inode(sb);

	if (!inode) {
		mica_parts_free(parts);
		return ERR_PTR(-ENOMEM);
	}
	init_inode(inode, parts, ino);
	return inode;
}

/* Do all names of a file that is there go on as one, also when it is copied? */
static bool is_one_file(const struct super_block *sb, const struct mica_part *part)
{
	return part->b->rw || mica_links_stay(sb, part);
}

/**
 * mica_iget_linked - the inode of the union for a file that may have other names
 * @sb: the union
 * @parts: where it is; taken over, also if it fails
 * @ino: its number, see mica_number()
 *
 * As mica_iget(), but also if the copy has only one name, that in the index. The
 * caller has the mounter's credentials.
 *
 * Return: an inode with a reference, or an error.
 */
struct inode *mica_iget_linked(struct super_block *sb, struct mica_parts *parts,
			       u64 ino)
{
	struct mutex *lock = &mica_super(sb)->link_lock;
	struct mica_part *part = &parts->part[0];
	struct inode *real = d_inode(part->dentry);
	struct mica_branch *b;
	struct dentry *copy;
	struct inode *inode;

	/* While it is being copied, it is found as what it was. */
	if (mutex_lock_killable(lock)) {
		mica_parts_free(parts);
		return ERR_PTR(-EINTR);
	}
	inode = is_one_file(sb, part) ? mica_ilookup(sb, real) : NULL;
	if (inode) {
		mica_parts_free(parts);
		goto out;
	}
	copy = mica_index_find(mica_branches(sb), part, &b);
	if (IS_ERR(copy)) {
		mica_parts_free(parts);
		inode = ERR_CAST(copy);
		goto out;
	}
	if (copy && !IS_WHITEOUT(d_inode(copy))) {
		mica_part_put(part);
		*part = mica_part_of(b, copy);
		copy = NULL;
	}
	if (is_one_file(sb, part))
		inode = get_inode(sb, parts, ino);
	else
		inode = new_inode_of(sb, parts, ino);
	if (!IS_ERR(inode))
		mica_links_init(inode, copy, b);
	dput(copy);
out:
	mutex_unlock(lock);
	return inode;
}

/**
 * mica_iget - the inode of the union for what was found in the branches
 * @sb: the union
 * @parts: where it is; taken over, also if it fails
 * @ino: its number, see mica_number()
 *
 * Names that are links to one inode of a branch share an inode of the union,
 * unless they will not stay together when they are copied up.
 *
 * Return: an inode with a reference, or an error.
 */
struct inode *mica_iget(struct super_block *sb, struct mica_parts *parts,
			u64 ino)
{
	struct inode *real = d_inode(parts->part[0].dentry);
	const struct cred *old;
	struct inode *inode;

	if (S_ISDIR(real->i_mode) || real->i_nlink <= 1)
		return get_inode(sb, parts, ino);
	old = mica_override_creds(sb);
	inode = mica_iget_linked(sb, parts, ino);
	revert_creds(old);
	return inode;
}

/**
 * mica_add_part - let an inode be somewhere else as well
 * @inode: the inode; its lock is held
 * @parts: all its parts, old and new; taken over
 *
 * From here on it is found by its new first part.
 */
void mica_add_part(struct inode *inode, struct mica_parts *parts)
{
	struct mica_inode *mi = mica_i(inode);
	struct inode *real = d_inode(parts->part[0].dentry);
	unsigned int i, j = 0;

	parts->old = mi->parts;
	/* One of those that stand for one name each is not found. */
	if (real != mica_real_inode(inode)) {
		__remove_inode_hash(inode);
		WRITE_ONCE(mi->key, real);
		__insert_inode_hash(inode, key_hash(real));
	}
	spin_lock(&inode->i_lock);
	/* What became known of the old parts meanwhile. */
	for (i = 0; i < parts->nr && j < mi->parts->nr; i++)
		if (parts->part[i].b == mi->parts->part[j].b &&
		    parts->part[i].dentry == mi->parts->part[j].dentry)
			parts->part[i] = mi->parts->part[j++];
	/* Who sees the parts, see mica_parts(), sees them whole. */
	smp_store_release(&mi->parts, parts);
	spin_unlock(&inode->i_lock);
	mica_set_new_copy(inode);
	mica_copyattr(inode);
}

/*
 * What the mount of a branch forbids, in the way the VFS does it for a mount.
 * Before an exec takes on the owner of a file, and only then, it asks for
 * permission once more, without MAY_OPEN: see bprm_fill_uid().
 */
static bool is_forbidden(const struct inode *inode, int mask)
{
	unsigned int forbidden;

	if (S_ISBLK(inode->i_mode) || S_ISCHR(inode->i_mode))
		return (mask & MAY_OPEN) &&
		       (mica_forbidden(inode) & MNT_NODEV);
	if (!S_ISREG(inode->i_mode) || !(mask & MAY_EXEC))
		return false;
	forbidden = mica_forbidden(inode);
	return (forbidden & MNT_NOEXEC) ||
	       ((forbidden & MNT_NOSUID) && current->in_execve &&
		!(mask & MAY_OPEN));
}

static int permission_below(struct inode *inode, int mask)
{
	struct inode *real = mica_real_inode(inode);
	const struct cred *old;
	struct path path;
	int err;

	/* Only a walk without references can meet an inode that is going. */
	if (!real)
		return -ECHILD;
	/* What is not writable there will be copied, for which it is read. */
	if (!mica_is_rw(inode) && !special_file(real->i_mode) &&
	    (mask & MAY_WRITE)) {
		mask &= ~(MAY_WRITE | MAY_APPEND);
		mask |= MAY_READ;
	}
	mica_real_path(inode, &path);
	old = mica_override_creds(inode->i_sb);
	err = inode_permission(mnt_idmap(path.mnt), real, mask);
	revert_creds(old);
	return err;
}

/* The caller against the union's inode, the mounter against the branch's. */
int mica_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	struct srcu_struct *srcu = &mica_super(inode->i_sb)->srcu;
	int err, look;

	err = generic_permission(&nop_mnt_idmap, inode, mask);
	if (err)
		return err;
	if (is_forbidden(inode, mask))
		return -EACCES;
	/* For walks without references, it is RCU that keeps the parts. */
	if ((mask & MAY_NOT_BLOCK) || !S_ISDIR(inode->i_mode))
		return permission_below(inode, mask);
	look = srcu_read_lock(srcu);
	err = permission_below(inode, mask);
	srcu_read_unlock(srcu, look);
	return err;
}

static int setattr_real(struct inode *inode, struct iattr *attr)
{
	const bool size = attr->ia_valid & ATTR_SIZE;
	struct mica_change c;
	struct inode *real;
	int err;

	err = mica_begin_change(inode, &c);
	if (err)
		return err;
	real = d_inode(c.real.dentry);
	if (size)
		err = get_write_access(real);
	if (!err) {
		err = lower_setattr(c.real.mnt, c.real.dentry, attr);
		if (size)
			put_write_access(real);
	}
	mica_end_change(inode, &c);
	return err;
}

int mica_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct iattr *attr)
{
	int err;

	/* ftruncate() may come by a descriptor from before. */
	if (IS_IMMUTABLE(d_inode(dentry)))
		return -EPERM;
	err = setattr_prepare(&nop_mnt_idmap, dentry, attr);
	if (err)
		return err;
	err = mica_copy_up_data(dentry, attr->ia_valid & ATTR_SIZE ?
				attr->ia_size : MICA_COPY_META);
	if (err)
		return err;

	/* The branch works out for itself which bits go. */
	if (attr->ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		attr->ia_valid &= ~ATTR_MODE;
	/* It is not the branch's file that was opened. */
	attr->ia_valid &= ~(ATTR_FILE | ATTR_OPEN);
	return setattr_real(d_inode(dentry), attr);
}

static u64 blocks_of_data(struct inode *inode)
{
	const struct cred *old = mica_override_creds(inode->i_sb);
	struct kstat stat = {};
	struct path path;

	mica_part_path(mica_data_part(inode), &path);
	vfs_getattr_nosec(&path, &stat, STATX_BLOCKS, AT_STATX_DONT_SYNC);
	revert_creds(old);
	return stat.blocks;
}

int mica_getattr(struct mnt_idmap *idmap, const struct path *path,
		 struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct mica_look l;
	int err;

	mica_begin_look(inode, &l);
	err = vfs_getattr_nosec(&l.real, stat, mask, flags);
	if (!err)
		mica_newest_times(inode, stat);
	mica_end_look(inode, &l);
	if (err)
		return err;

	/* With so few blocks, its data may be somewhere else. */
	if (S_ISREG(stat->mode) && stat->blocks < stat->size >> 9 &&
	    (mask & STATX_BLOCKS) && !mica_check_data(path->dentry) &&
	    mica_is_metacopy(inode))
		stat->blocks = blocks_of_data(inode);
	stat->dev = inode->i_sb->s_dev;
	stat->ino = inode->i_ino;
	stat->nlink = inode->i_nlink;
	generic_fill_statx_attr(inode, stat);
	return 0;
}

static struct kmem_cache *mica_inode_cache;

static struct inode *mica_alloc_inode(struct super_block *sb)
{
	struct mica_inode *mi = alloc_inode_sb(sb, mica_inode_cache,
					       GFP_KERNEL);

	if (!mi)
		return NULL;
	mi->parts = NULL;
	mi->key = NULL;
	mi->flags = 0;
	mi->links = 0;
	mi->data = NULL;
	mi->data_part.dentry = NULL;
	mi->nameless = NULL;
	atomic64_set(&mi->version, 0);
	mutex_init(&mi->lock);
	mutex_init(&mi->data_lock);
	return &mi->vfs_inode;
}

static void mica_destroy_inode(struct inode *inode)
{
	struct mica_parts *parts;
	unsigned int i;

	mica_part_put(&mica_i(inode)->data_part);
	mica_parts_free(mica_i(inode)->nameless);
	for (parts = mica_i(inode)->parts; parts; parts = parts->old)
		for (i = 0; i < parts->nr; i++)
			mica_part_put(&parts->part[i]);
}

/* A walk without references may read the parts until now. */
static void mica_free_inode(struct inode *inode)
{
	struct mica_inode *mi = mica_i(inode);
	struct mica_parts *parts, *old;

	for (parts = mi->parts; parts; parts = old) {
		old = parts->old;
		kfree(parts);
	}
	mutex_destroy(&mi->lock);
	mutex_destroy(&mi->data_lock);
	kmem_cache_free(mica_inode_cache, mi);
}

static int mica_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct super_block *sb = dentry->d_sb;
	const struct inode *root = d_inode(sb->s_root);
	const struct mica_branches *set;
	struct mica_look l;
	unsigned int i = 0;
	int err;

	mica_begin_look(root, &l);
	set = mica_branches(sb);
	/* What is free is what can be written to. */
	while (i < set->nr && !set->branch[i]->rw)
		i++;
	l.real.mnt = set->branch[i < set->nr ? i : 0]->mnt;
	l.real.dentry = l.real.mnt->mnt_root;
	err = vfs_statfs(&l.real, buf);
	mica_end_look(root, &l);
	buf->f_type = MICA_SUPER_MAGIC;
	buf->f_fsid = u64_to_fsid(huge_encode_dev(sb->s_dev));
	return err;
}

static int sync_branch(struct super_block *sb, struct mica_branch *b)
{
	struct super_block *lower = b->mnt->mnt_sb;
	int err, ret;

	down_read(&lower->s_umount);
	err = sync_filesystem(lower);
	up_read(&lower->s_umount);
	/* What failed earlier is told once to each who has the union open. */
	ret = errseq_check_and_advance(&lower->s_wb_err, &b->wb_err);
	if (ret)
		errseq_set(&sb->s_wb_err, ret);
	return err;
}

static int sync_branches(struct super_block *sb)
{
	const struct mica_branches *set = mica_branches(sb);
	unsigned int i;
	int err = 0, ret;

	for (i = 0; i < set->nr; i++) {
		if (!set->branch[i]->last_rw)
			continue;
		ret = sync_branch(sb, set->branch[i]);
		err = err ?: ret;
	}
	return err;
}

static int mica_sync_fs(struct super_block *sb, int wait)
{
	struct mica_super *ms = mica_super(sb);
	int err, look;

	/*
	 * Without waiting, each file system is reached on its own anyway; and a
	 * change of branches freezes the union, not them.
	 */
	if (!wait || READ_ONCE(ms->changer) == current)
		return 0;
	err = mica_name_all(ms);
	if (ms->do_volatile)
		return err;
	look = srcu_read_lock(&ms->srcu);
	err = err ?: sync_branches(sb);
	srcu_read_unlock(&ms->srcu, look);
	return err;
}

/*
 * The VFS holds off who wants to change something, and has synced; what it asks
 * for is only that somebody says it can be done.
 */
static int mica_freeze_fs(struct super_block *sb)
{
	return 0;
}

static void mica_put_super(struct super_block *sb)
{
	mica_super_free(sb);
}

const struct super_operations mica_super_operations = {
	.alloc_inode	= mica_alloc_inode,
	.destroy_inode	= mica_destroy_inode,
	.free_inode	= mica_free_inode,
	.drop_inode	= inode_just_drop,
	.statfs		= mica_statfs,
	.sync_fs	= mica_sync_fs,
	.freeze_fs	= mica_freeze_fs,
#ifdef MICA_ANYBODY_THAWS
	.thaw_super	= mica_thaw_super,
#endif
	.put_super	= mica_put_super,
	.show_options	= mica_show_options,
};

static void init_once(void *inode)
{
	inode_init_once(&((struct mica_inode *)inode)->vfs_inode);
}

int mica_inode_cache_init(void)
{
	mica_inode_cache = kmem_cache_create("mica_inode",
					     sizeof(struct mica_inode), 0,
					     SLAB_RECLAIM_ACCOUNT |
					     SLAB_ACCOUNT, init_once);
	return mica_inode_cache ? 0 : -ENOMEM;
}

void mica_inode_cache_exit(void)
{
	/* Inodes are freed by RCU. */
	rcu_barrier();
	kmem_cache_destroy(mica_inode_cache);
}
