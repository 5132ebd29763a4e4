// SPDX-License-Identifier: GPL-2.0-only
/* Must not compile anywhere: implicit declarations have to be errors. */
#include <linux/fs.h>

int probe(struct inode *inode);

int probe(struct inode *inode)
{
	return no_kernel_has_this_function(inode);
}
