// SPDX-License-Identifier: GPL-2.0-only
/* Sessions: an open /dev/mica. */
#include <linux/errno.h>
#include "mica.h"

int mica_session_next(u32 after_id, struct mica_session_snap *snap)
{
	return -ENOENT;
}

int mica_session_device(u32 id, u32 index, struct mica_device_snap *snap)
{
	return -ENOENT;
}

int mica_guest_init(void)
{
	return 0;
}

void mica_guest_exit(void)
{
}
