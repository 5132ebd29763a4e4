// SPDX-License-Identifier: GPL-2.0-only
/* 6.13: backing_file_splice_*() and end_write() work on a kiocb. */
#include <linux/backing-file.h>

ssize_t probe(struct file *file, struct kiocb *iocb,
	      struct pipe_inode_info *pipe, struct backing_file_ctx *ctx);

ssize_t probe(struct file *file, struct kiocb *iocb,
	      struct pipe_inode_info *pipe, struct backing_file_ctx *ctx)
{
	ctx->end_write(iocb, 0);
	return backing_file_splice_read(file, iocb, pipe, 1, 0, ctx);
}
