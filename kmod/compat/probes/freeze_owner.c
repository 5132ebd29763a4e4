// SPDX-License-Identifier: GPL-2.0-only
/* 6.16: and who in the kernel it is. */
/* symbols: freeze_super */
#include <linux/fs.h>

int probe(struct super_block *sb);

int probe(struct super_block *sb)
{
	return freeze_super(sb, FREEZE_HOLDER_KERNEL, NULL);
}
