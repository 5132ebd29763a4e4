// SPDX-License-Identifier: GPL-2.0-only
/* 6.19: the state bits of an inode are read and set by functions. */
#include <linux/fs.h>

bool probe(struct inode *inode);

bool probe(struct inode *inode)
{
	inode_state_set(inode, I_OVL_INUSE);
	inode_state_clear(inode, I_OVL_INUSE);
	return inode_state_read_once(inode) & I_NEW;
}
