// SPDX-License-Identifier: GPL-2.0-only
/* /dev/mica. */
#include "mica.h"

int mica_chardev_init(void)
{
	return 0;
}

void mica_chardev_exit(void)
{
}
