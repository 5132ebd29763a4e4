/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of a branch that stand for a file of the union. */
#ifndef _MICA_COMPAT_BACKING_FILE_H
#define _MICA_COMPAT_BACKING_FILE_H

#include <linux/fs.h>
#include <linux/uio.h>

#ifdef HAVE_BACKING_FILE
#include <linux/backing-file.h>
#else
struct backing_file_ctx {
	const struct cred *cred;
	void (*accessed)(struct file *file);
	void (*end_write)(struct kiocb *iocb, ssize_t ret);
};

struct file *backing_file_open(const struct file *user_file, int flags,
			       const struct path *real_path,
			       const struct cred *cred);
ssize_t backing_file_read_iter(struct file *file, struct iov_iter *iter,
			       struct kiocb *iocb, int flags,
			       struct backing_file_ctx *ctx);
ssize_t backing_file_write_iter(struct file *file, struct iov_iter *iter,
				struct kiocb *iocb, int flags,
				struct backing_file_ctx *ctx);
ssize_t backing_file_splice_read(struct file *in, struct kiocb *iocb,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags,
				 struct backing_file_ctx *ctx);
ssize_t backing_file_splice_write(struct pipe_inode_info *pipe,
				  struct file *out, struct kiocb *iocb,
				  size_t len, unsigned int flags,
				  struct backing_file_ctx *ctx);
int backing_file_mmap(struct file *file, struct vm_area_struct *vma,
		      struct backing_file_ctx *ctx);
#define HAVE_BACKING_FILE_KIOCB 1
#endif

#ifdef HAVE_BACKING_FILE_KIOCB
#define MICA_END_WRITE(fn) \
	void fn(struct kiocb *iocb, ssize_t ret)
#define mica_end_write_file(iocb) ((iocb)->ki_filp)
#define MICA_BACKING_CTX(file, creds) { .cred = (creds) }
#else
/* 6.12: the caller's file and position in place of a kiocb. */
#define MICA_END_WRITE(fn) \
	void fn(struct file *iocb, loff_t pos, ssize_t ret)
#define mica_end_write_file(iocb) (iocb)
#define MICA_BACKING_CTX(file, creds) { .cred = (creds), .user_file = (file) }
#define backing_file_splice_read(in, iocb, pipe, len, flags, ctx) \
	backing_file_splice_read(in, &(iocb)->ki_pos, pipe, len, flags, ctx)
#define backing_file_splice_write(pipe, out, iocb, len, flags, ctx) \
	backing_file_splice_write(pipe, out, &(iocb)->ki_pos, len, flags, ctx)
#endif

#endif /* _MICA_COMPAT_BACKING_FILE_H */
