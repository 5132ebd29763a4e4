// SPDX-License-Identifier: GPL-2.0-only
/* 6.8: files that stand for a file of a stacked file system. */
/* symbols: backing_file_open backing_file_read_iter backing_file_write_iter */
/* symbols: backing_file_splice_read backing_file_splice_write backing_file_mmap */
#include <linux/backing-file.h>

struct file *probe(const struct file *file, const struct path *path,
		   const struct cred *cred);

struct file *probe(const struct file *file, const struct path *path,
		   const struct cred *cred)
{
	return backing_file_open(file, O_RDONLY, path, cred);
}
