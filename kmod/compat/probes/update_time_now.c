// SPDX-License-Identifier: GPL-2.0-only
/* 6.6: ->update_time() finds out by itself what time it is. */
#include <linux/fs.h>

int probe(struct inode *inode);

int probe(struct inode *inode)
{
	return inode->i_op->update_time(inode, S_ATIME);
}
