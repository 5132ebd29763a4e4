/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 6.8 the caller of do_splice_direct() holds off a freeze. */
#ifndef _MICA_COMPAT_SPLICE_H
#define _MICA_COMPAT_SPLICE_H

#include <linux/fs.h>
#include <linux/splice.h>

/* 6.8 brought that and the backing files. */
#ifndef HAVE_BACKING_FILE
static inline long mica_splice_direct(struct file *in, loff_t *ppos,
				      struct file *out, loff_t *opos,
				      size_t len, unsigned int flags)
{
	long ret;

	file_start_write(out);
	ret = do_splice_direct(in, ppos, out, opos, len, flags);
	file_end_write(out);
	return ret;
}

#define do_splice_direct mica_splice_direct
#endif

#endif /* _MICA_COMPAT_SPLICE_H */
