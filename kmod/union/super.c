// SPDX-License-Identifier: GPL-2.0-only
/* The file system type mica. */
#include <linux/errno.h>
#include "mica.h"

int mica_union_next(u32 after_id, struct mica_union_snap *snap)
{
	return -ENOENT;
}

int mica_union_branch(u32 id, u32 index, struct mica_branch_snap *snap)
{
	return -ENOENT;
}

int mica_union_init(void)
{
	return 0;
}

void mica_union_exit(void)
{
}
