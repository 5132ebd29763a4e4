// SPDX-License-Identifier: GPL-2.0-only
/* 6.3: vfs_tmpfile_open() got another name. */
#include <linux/fs.h>

struct file *probe(struct mnt_idmap *idmap, const struct path *path);

struct file *probe(struct mnt_idmap *idmap, const struct path *path)
{
	return kernel_tmpfile_open(idmap, path, 0600, 0, NULL);
}
