// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of the union: every operation goes to the file of the branch.
 *
 * A file that was opened before its copy-up has two: the one that was there at
 * open, and, from the first use after it, the copy; and one more for each copy
 * from one writable branch to another. Opening for writing copies nothing, so
 * what is opened in a branch that is not writable is opened for reading.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include "union.h"
#include "../compat/mm.h"

/* Flags that fcntl(F_SETFL) may change after the branch's file was opened. */
#define MICA_SETFL_MASK (O_NONBLOCK | O_NDELAY | O_DIRECT)

/**
 * struct mica_file - the branches' files of an open file
 * @older: those that were used before, which somebody may be using still
 * @real: file of a branch
 */
struct mica_file {
	struct mica_file *older;
	struct file *real;
};

static struct file *open_real(const struct file *file,
			      const struct mica_part *part)
{
	struct inode *inode = file_inode(file);
	unsigned int flags = file->f_flags;
	const struct cred *old;
	struct file *real;
	struct path path;

	/* Each write says by itself whether it appends. */
	flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND);
	if (!part->b->rw)
		flags &= ~O_ACCMODE;
	mica_part_path(part, &path);
	old = mica_override_creds(inode->i_sb);
	real = backing_file_open(file, flags | O_NOATIME, &path,
				 current_cred());
	revert_creds(old);
	return real;
}

static int set_flags(struct file *real, unsigned int flags)
{
	unsigned int change = (real->f_flags ^ flags) & MICA_SETFL_MASK;

	if (!change)
		return 0;
	if ((change & flags & O_DIRECT) && !(real->f_mode & FMODE_CAN_ODIRECT))
		return -EINVAL;
	spin_lock(&real->f_lock);
	real->f_flags ^= change;
	real->f_iocb_flags = iocb_flags(real);
	spin_unlock(&real->f_lock);
	return 0;
}

static struct mica_file *new_real(const struct file *file,
				  const struct mica_part *part,
				  struct mica_file *older)
{
	struct mica_file *mf = kmalloc(sizeof(*mf), GFP_KERNEL);
	int err;

	if (!mf)
		return ERR_PTR(-ENOMEM);
	mf->older = older;
	mf->real = open_real(file, part);
	if (IS_ERR(mf->real)) {
		err = PTR_ERR(mf->real);
		kfree(mf);
		return ERR_PTR(err);
	}
	return mf;
}

static struct mica_file *newest(const struct file *file)
{
	/* Pairs with the cmpxchg() in real_file(). */
	return smp_load_acquire(&file->private_data);
}

/* A branch that was not writable when the file was opened may be one now. */
static bool is_current(const struct file *file, const struct mica_file *mf,
		       const struct mica_part *part)
{
	return file_inode(mf->real) == d_inode(part->dentry) &&
	       (!(file->f_mode & FMODE_WRITE) || !READ_ONCE(part->b->rw) ||
		mf->real->f_mode & FMODE_WRITE);
}

/*
 * The branch's file that has the data now. It lives as long as @file.
 */
static struct file *real_file(struct file *file)
{
	struct mica_file *mf = newest(file), *old, *next;
	const struct mica_part *part = mica_data_part(file_inode(file));
	int err;

	while (!is_current(file, mf, part)) {
		next = new_real(file, part, mf);
		if (IS_ERR(next))
			return ERR_CAST(next);
		old = cmpxchg(&file->private_data, mf, next);
		if (old != mf) {
			fput(next->real);
			kfree(next);
			next = old;
			part = mica_data_part(file_inode(file));
		}
		mf = next;
	}
	err = set_flags(mf->real, file->f_flags);
	return err ? ERR_PTR(err) : mf->real;
}

/* The same, once it can be written to. The union's inode is locked. */
static struct file *real_file_for_change(struct file *file)
{
	int err;

	/* The branch's file may not know, and @file may have been open before. */
	if (IS_IMMUTABLE(file_inode(file)))
		return ERR_PTR(-EPERM);
	err = mica_copy_up(file_dentry(file));
	if (!err && ((file->f_flags & O_DSYNC) || IS_SYNC(file_inode(file))))
		err = mica_sync_name(file_inode(file));
	if (err)
		return ERR_PTR(err);
	mica_copyattr(file_inode(file));
	return real_file(file);
}

static bool has_rw_left_of(struct super_block *sb, const struct mica_branch *b)
{
	struct srcu_struct *srcu = &mica_super(sb)->srcu;
	int look = srcu_read_lock(srcu);
	bool ret = !IS_ERR(mica_rw_left_of(sb, b->pos));

	srcu_read_unlock(srcu, look);
	return ret;
}

static int mica_open(struct inode *inode, struct file *file)
{
	const struct mica_part *part;
	struct mica_file *mf;
	int err;

	err = mica_check_data(file_dentry(file));
	if (err)
		return err;
	/* Its data may have turned out to be in another branch. */
	if ((file->f_flags & __FMODE_EXEC) &&
	    (mica_forbidden(inode) & MNT_NOEXEC))
		return -EACCES;
	part = mica_data_part(inode);
	/* Better now than at the first write. */
	if ((file->f_mode & FMODE_WRITE) && !part->b->rw &&
	    !has_rw_left_of(inode->i_sb, part->b))
		return -EROFS;

	mf = new_real(file, part, NULL);
	if (IS_ERR(mf))
		return PTR_ERR(mf);
	file->f_flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC);
	file->private_data = mf;
	return 0;
}

static int mica_release(struct inode *inode, struct file *file)
{
	struct mica_file *mf = file->private_data, *older;

	for (; mf; mf = older) {
		older = mf->older;
		fput(mf->real);
		kfree(mf);
	}
	return 0;
}

static loff_t mica_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	const struct cred *old;
	struct file *real;
	loff_t pos;

	real = real_file(file);
	if (IS_ERR(real))
		return PTR_ERR(real);

	/*
	 * The position is the union's; the branch knows sizes and holes. The
	 * lock of @file's position is that of @real's too.
	 */
	real->f_pos = file->f_pos;
	old = mica_override_creds(inode->i_sb);
	pos = vfs_llseek(real, offset, whence);
	revert_creds(old);
	if (pos >= 0)
		file->f_pos = real->f_pos;
	return pos;
}

static MICA_END_WRITE(mica_end_write)
{
	mica_copyattr(file_inode(mica_end_write_file(iocb)));
}

static ssize_t mica_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct backing_file_ctx ctx =
		MICA_BACKING_CTX(file, mica_cred(file_inode(file)->i_sb));
	struct file *real = real_file(file);

	if (IS_ERR(real))
		return PTR_ERR(real);
	ctx.accessed = file_accessed;
	return backing_file_read_iter(real, iter, iocb, iocb->ki_flags, &ctx);
}

static ssize_t mica_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	struct backing_file_ctx ctx =
		MICA_BACKING_CTX(file, mica_cred(file_inode(file)->i_sb));
	int flags = iocb->ki_flags;
	struct file *real;
	ssize_t ret;

	if (!iov_iter_count(iter))
		return 0;
	ctx.end_write = mica_end_write;
	if (mica_super(inode->i_sb)->do_volatile)
		flags &= ~(IOCB_DSYNC | IOCB_SYNC);

	inode_lock(inode);
	real = real_file_for_change(file);
	ret = PTR_ERR_OR_ZERO(real);
	if (!ret && (flags & IOCB_DSYNC))
		ret = mica_sync_name(inode);
	if (!ret)
		ret = backing_file_write_iter(real, iter, iocb, flags, &ctx);
	inode_unlock(inode);
	return ret;
}

static ssize_t mica_splice_read(struct file *in, loff_t *ppos,
				struct pipe_inode_info *pipe, size_t len,
				unsigned int flags)
{
	struct backing_file_ctx ctx =
		MICA_BACKING_CTX(in, mica_cred(file_inode(in)->i_sb));
	struct file *real = real_file(in);
	struct kiocb iocb;
	ssize_t ret;

	if (IS_ERR(real))
		return PTR_ERR(real);
	ctx.accessed = file_accessed;
	init_sync_kiocb(&iocb, in);
	iocb.ki_pos = *ppos;
	ret = backing_file_splice_read(real, &iocb, pipe, len, flags, &ctx);
	*ppos = iocb.ki_pos;
	return ret;
}

static ssize_t mica_splice_write(struct pipe_inode_info *pipe,
				 struct file *out, loff_t *ppos, size_t len,
				 unsigned int flags)
{
	struct inode *inode = file_inode(out);
	struct backing_file_ctx ctx =
		MICA_BACKING_CTX(out, mica_cred(file_inode(out)->i_sb));
	struct file *real;
	struct kiocb iocb;
	ssize_t ret;

	ctx.end_write = mica_end_write;
	inode_lock(inode);
	real = real_file_for_change(out);
	ret = PTR_ERR_OR_ZERO(real);
	if (!ret) {
		init_sync_kiocb(&iocb, out);
		iocb.ki_pos = *ppos;
		ret = backing_file_splice_write(pipe, real, &iocb, len, flags,
						&ctx);
		*ppos = iocb.ki_pos;
	}
	inode_unlock(inode);
	return ret;
}

/* If it is mapped, it may have been copied to what has no name yet. */
static int need_name(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	return !mica_is_rw(inode) && mica_data_is_rw(inode) ?
	       mica_copy_up(file_dentry(file)) : 0;
}

static int mica_fsync(struct file *file, loff_t start, loff_t end,
		      int datasync)
{
	struct inode *inode = file_inode(file);
	const struct cred *old;
	struct file *real;
	int err;

	err = need_name(file);
	if (err)
		return err;
	/* What is not writable has nothing to write back. */
	if (mica_super(inode->i_sb)->do_volatile ||
	    !mica_parts(inode)->part[0].b->last_rw)
		return 0;
	if (mica_is_metacopy(inode)) {
		old = mica_override_creds(inode->i_sb);
		err = mica_sync_part(&mica_parts(inode)->part[0],
				     start, end, datasync);
		revert_creds(old);
		/* Its data may have been written before a snapshot. */
		if (err || !mica_data_part(inode)->b->last_rw)
			return err;
	}
	real = real_file(file);
	if (IS_ERR(real))
		return PTR_ERR(real);
	old = mica_override_creds(inode->i_sb);
	err = vfs_fsync_range(real, start, end, datasync);
	revert_creds(old);
	return err ?: mica_sync_name(inode);
}

/* As mmap() does it where a whole mount is noexec. */
static int forbid_exec(const struct inode *inode, struct vm_area_struct *vma)
{
	if (!(mica_forbidden(inode) & MNT_NOEXEC))
		return 0;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	vm_flags_clear(vma, VM_MAYEXEC);
	return 0;
}

static int map_real(struct file *file, struct vm_area_struct *vma, bool stored)
{
	struct backing_file_ctx ctx =
		MICA_BACKING_CTX(file, mica_cred(file_inode(file)->i_sb));
	struct file *real;
	int err;

	if (stored && !mica_data_is_rw(file_inode(file))) {
		err = mica_copy_up_for_mmap(file);
		if (err)
			return err;
	}
	real = real_file(file);
	if (IS_ERR(real))
		return PTR_ERR(real);
	ctx.accessed = file_accessed;
	return backing_file_mmap(real, vma, &ctx);
}

static int mica_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct super_block *sb = file_inode(file)->i_sb;
	bool stored = (vma->vm_flags & VM_SHARED) &&
		      (vma->vm_flags & VM_MAYWRITE);
	int err;

	err = forbid_exec(file_inode(file), vma);
	if (err)
		return err;
	if (stored && IS_IMMUTABLE(file_inode(file))) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		vm_flags_clear(vma, VM_MAYWRITE);
		stored = false;
	}
	if (!stored)
		return map_real(file, vma, false);
	/* A shared mapping that can be written to is a change. */
	sb_start_pagefault(sb);
	err = map_real(file, vma, true);
	sb_end_pagefault(sb);
	return err;
}

static long mica_fallocate(struct file *file, int mode, loff_t offset,
			   loff_t len)
{
	struct inode *inode = file_inode(file);
	const struct cred *old;
	struct file *real;
	long ret;

	inode_lock(inode);
	real = real_file_for_change(file);
	ret = PTR_ERR_OR_ZERO(real) ?: file_remove_privs(file);
	if (!ret) {
		old = mica_override_creds(inode->i_sb);
		ret = vfs_fallocate(real, mode, offset, len);
		revert_creds(old);
		mica_copyattr(inode);
	}
	inode_unlock(inode);
	return ret;
}

static int mica_fadvise(struct file *file, loff_t offset, loff_t len,
			int advice)
{
	struct file *real = real_file(file);
	const struct cred *old;
	int ret;

	if (IS_ERR(real))
		return PTR_ERR(real);
	old = mica_override_creds(file_inode(file)->i_sb);
	ret = vfs_fadvise(real, offset, len, advice);
	revert_creds(old);
	return ret;
}

static ssize_t mica_copy_file_range(struct file *in, loff_t pos_in,
				    struct file *out, loff_t pos_out,
				    size_t len, unsigned int flags)
{
	struct inode *inode = file_inode(out);
	struct file *from, *to;
	const struct cred *old;
	ssize_t ret;

	inode_lock(inode);
	to = real_file_for_change(out);
	ret = PTR_ERR_OR_ZERO(to) ?: file_remove_privs(out);
	if (ret)
		goto unlock;
	from = real_file(in);
	ret = PTR_ERR_OR_ZERO(from);
	if (ret)
		goto unlock;
	old = mica_override_creds(inode->i_sb);
	ret = vfs_copy_file_range(from, pos_in, to, pos_out, len, flags);
	revert_creds(old);
	mica_copyattr(inode);
unlock:
	inode_unlock(inode);
	return ret;
}

static loff_t mica_remap_file_range(struct file *in, loff_t pos_in,
				    struct file *out, loff_t pos_out,
				    loff_t len, unsigned int flags)
{
	struct inode *inode = file_inode(out);
	bool dedupe = flags & REMAP_FILE_DEDUP;
	struct file *from, *to;
	const struct cred *old;
	loff_t ret;

	if (flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	/* Sharing blocks is no reason to make a copy. */
	if (dedupe && (!mica_data_is_rw(file_inode(in)) || !mica_data_is_rw(inode)))
		return -EPERM;

	inode_lock(inode);
	to = real_file_for_change(out);
	ret = PTR_ERR_OR_ZERO(to);
	if (!ret && !dedupe)
		ret = file_remove_privs(out);
	if (ret)
		goto unlock;
	from = real_file(in);
	ret = PTR_ERR_OR_ZERO(from);
	if (ret)
		goto unlock;
	old = mica_override_creds(inode->i_sb);
	if (dedupe)
		ret = vfs_dedupe_file_range_one(from, pos_in, to, pos_out, len,
						flags);
	else
		ret = vfs_clone_file_range(from, pos_in, to, pos_out, len,
					   flags);
	revert_creds(old);
	mica_copyattr(inode);
unlock:
	inode_unlock(inode);
	return ret;
}

static int mica_flush(struct file *file, fl_owner_t id)
{
	struct mica_file *mf;
	const struct cred *old;
	int err, ret;

	/* Who closes what was mapped is told if it gets no name. */
	err = file->f_mode & FMODE_WRITE ? need_name(file) : 0;
	old = mica_override_creds(file_inode(file)->i_sb);
	for (mf = newest(file); mf; mf = mf->older) {
		ret = mf->real->f_op->flush ?
		      mf->real->f_op->flush(mf->real, id) : 0;
		err = err ?: ret;
	}
	revert_creds(old);
	return err;
}

const struct file_operations mica_file_operations = {
	.owner		= THIS_MODULE,
	.open		= mica_open,
	.release	= mica_release,
	.llseek		= mica_llseek,
	.read_iter	= mica_read_iter,
	.write_iter	= mica_write_iter,
	.splice_read	= mica_splice_read,
	.splice_write	= mica_splice_write,
	.fsync		= mica_fsync,
	.flush		= mica_flush,
	.mmap		= mica_mmap,
	.fallocate	= mica_fallocate,
	.fadvise	= mica_fadvise,
	.copy_file_range	= mica_copy_file_range,
	.remap_file_range	= mica_remap_file_range,
	.setlease	= generic_setlease,
};

/* Says that O_DIRECT can be asked for; the branch's file decides. */
const struct address_space_operations mica_aops = {
	.direct_IO	= noop_direct_IO,
};
