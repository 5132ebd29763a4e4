// SPDX-License-Identifier: GPL-2.0-only
/* 6.18: generic_delete_inode() is called inode_just_drop(). */
/* symbols: inode_just_drop */
#include <linux/fs.h>

int probe(struct inode *inode);

int probe(struct inode *inode)
{
	return inode_just_drop(inode);
}
