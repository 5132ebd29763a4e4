// SPDX-License-Identifier: GPL-2.0-only
/*
 * What 6.8 calls backing files, for the kernels before it: a file of a branch
 * is opened with the union's path, and requests go to it with a copy of the
 * caller's kiocb. A request that completes later holds the copy in memory of
 * its own, and the end of a write is handed to process context, for who is
 * told of it may sleep.
 */
#include "backing-file.h"

#ifndef HAVE_BACKING_FILE
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/workqueue.h>

struct backing_aio {
	struct kiocb iocb;
	struct kiocb *orig;
	void (*end_write)(struct kiocb *iocb, ssize_t ret);
	struct work_struct work;
	refcount_t ref;
	long res;
};

struct file *backing_file_open(const struct file *user_file, int flags,
			       const struct path *real_path,
			       const struct cred *cred)
{
	/* It has the union's path, and watches of that see the union's file. */
	return open_with_fake_path(&user_file->f_path, flags | __FMODE_NONOTIFY,
				   d_inode(real_path->dentry), cred);
}

static void aio_put(struct backing_aio *aio)
{
	if (!refcount_dec_and_test(&aio->ref))
		return;
	fput(aio->iocb.ki_filp);
	kfree(aio);
}

static void aio_end(struct backing_aio *aio, long res)
{
	struct file *file = aio->iocb.ki_filp;

	if (aio->iocb.ki_flags & IOCB_WRITE) {
		__sb_writers_acquired(file_inode(file)->i_sb, SB_FREEZE_WRITE);
		file_end_write(file);
	}
	aio->orig->ki_pos = aio->iocb.ki_pos;
	if (aio->end_write)
		aio->end_write(aio->orig, res);
}

static void aio_complete_work(struct work_struct *work)
{
	struct backing_aio *aio = container_of(work, struct backing_aio, work);
	struct kiocb *orig = aio->orig;
	long res = aio->res;

	aio_end(aio, res);
	aio_put(aio);
	orig->ki_complete(orig, res);
}

static void aio_complete(struct kiocb *iocb, long res)
{
	struct backing_aio *aio = container_of(iocb, struct backing_aio, iocb);

	aio->res = res;
	if (iocb->ki_flags & IOCB_WRITE) {
		INIT_WORK(&aio->work, aio_complete_work);
		schedule_work(&aio->work);
	} else {
		aio_complete_work(&aio->work);
	}
}

static struct backing_aio *aio_new(struct file *file, struct kiocb *orig)
{
	struct backing_aio *aio = kzalloc(sizeof(*aio), GFP_KERNEL);

	if (!aio)
		return NULL;
	kiocb_clone(&aio->iocb, orig, get_file(file));
	aio->iocb.ki_complete = aio_complete;
	aio->orig = orig;
	/* One for the submission, one for the completion. */
	refcount_set(&aio->ref, 2);
	return aio;
}

static ssize_t read_real(struct file *file, struct iov_iter *iter,
			 struct kiocb *iocb, int flags)
{
	struct backing_aio *aio;
	struct kiocb real;
	ssize_t ret;

	if (is_sync_kiocb(iocb)) {
		kiocb_clone(&real, iocb, file);
		real.ki_flags = flags;
		ret = vfs_iocb_iter_read(file, &real, iter);
		iocb->ki_pos = real.ki_pos;
		return ret;
	}

	aio = aio_new(file, iocb);
	if (!aio)
		return -ENOMEM;
	ret = vfs_iocb_iter_read(file, &aio->iocb, iter);
	if (ret != -EIOCBQUEUED) {
		aio_end(aio, ret);
		aio_put(aio);
	}
	aio_put(aio);
	return ret;
}

static ssize_t write_real(struct file *file, struct iov_iter *iter,
			  struct kiocb *iocb, int flags,
			  void (*end_write)(struct kiocb *iocb, ssize_t ret))
{
	struct super_block *sb = file_inode(file)->i_sb;
	struct backing_aio *aio;
	struct kiocb real;
	ssize_t ret;

	if (is_sync_kiocb(iocb)) {
		kiocb_clone(&real, iocb, file);
		real.ki_flags = flags;
		file_start_write(file);
		ret = vfs_iocb_iter_write(file, &real, iter);
		file_end_write(file);
		iocb->ki_pos = real.ki_pos;
		if (end_write)
			end_write(iocb, ret);
		return ret;
	}

	aio = aio_new(file, iocb);
	if (!aio)
		return -ENOMEM;
	/* Not every caller says so, the loop driver does not. */
	aio->iocb.ki_flags = flags | IOCB_WRITE;
	aio->end_write = end_write;
	file_start_write(file);
	/* The completion gives it back, in a context that lockdep cannot see. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	ret = vfs_iocb_iter_write(file, &aio->iocb, iter);
	if (ret != -EIOCBQUEUED) {
		aio_end(aio, ret);
		aio_put(aio);
	}
	aio_put(aio);
	return ret;
}

ssize_t backing_file_read_iter(struct file *file, struct iov_iter *iter,
			       struct kiocb *iocb, int flags,
			       struct backing_file_ctx *ctx)
{
	const struct cred *old;
	ssize_t ret;

	if (!iov_iter_count(iter))
		return 0;
	if (iocb->ki_flags & IOCB_DIRECT && !(file->f_mode & FMODE_CAN_ODIRECT))
		return -EINVAL;

	old = override_creds(ctx->cred);
	ret = read_real(file, iter, iocb, flags);
	revert_creds(old);
	if (ctx->accessed)
		ctx->accessed(iocb->ki_filp);
	return ret;
}

ssize_t backing_file_write_iter(struct file *file, struct iov_iter *iter,
				struct kiocb *iocb, int flags,
				struct backing_file_ctx *ctx)
{
	const struct cred *old;
	ssize_t ret;

	if (!iov_iter_count(iter))
		return 0;
	ret = file_remove_privs(iocb->ki_filp);
	if (ret)
		return ret;
	if (iocb->ki_flags & IOCB_DIRECT && !(file->f_mode & FMODE_CAN_ODIRECT))
		return -EINVAL;

	old = override_creds(ctx->cred);
	ret = write_real(file, iter, iocb, flags, ctx->end_write);
	revert_creds(old);
	return ret;
}

ssize_t backing_file_splice_read(struct file *in, struct kiocb *iocb,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags,
				 struct backing_file_ctx *ctx)
{
	const struct cred *old;
	ssize_t ret;

	if (!in->f_op->splice_read)
		return -EINVAL;

	old = override_creds(ctx->cred);
	ret = in->f_op->splice_read(in, &iocb->ki_pos, pipe, len, flags);
	revert_creds(old);
	if (ctx->accessed)
		ctx->accessed(iocb->ki_filp);
	return ret;
}

ssize_t backing_file_splice_write(struct pipe_inode_info *pipe,
				  struct file *out, struct kiocb *iocb,
				  size_t len, unsigned int flags,
				  struct backing_file_ctx *ctx)
{
	const struct cred *old;
	ssize_t ret;

	if (!out->f_op->splice_write)
		return -EINVAL;
	ret = file_remove_privs(iocb->ki_filp);
	if (ret)
		return ret;

	old = override_creds(ctx->cred);
	file_start_write(out);
	ret = out->f_op->splice_write(pipe, out, &iocb->ki_pos, len, flags);
	file_end_write(out);
	revert_creds(old);
	if (ctx->end_write)
		ctx->end_write(iocb, ret);
	return ret;
}

int backing_file_mmap(struct file *file, struct vm_area_struct *vma,
		      struct backing_file_ctx *ctx)
{
	struct file *user_file = vma->vm_file;
	const struct cred *old;
	int ret;

	if (!file->f_op->mmap)
		return -ENODEV;

	vma_set_file(vma, file);
	old = override_creds(ctx->cred);
	ret = call_mmap(vma->vm_file, vma);
	revert_creds(old);
	if (ctx->accessed)
		ctx->accessed(user_file);
	return ret;
}
#endif
