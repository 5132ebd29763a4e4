// SPDX-License-Identifier: GPL-2.0-only
/* Registers the three interfaces: netlink family, file system, /dev/mica. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/fs.h>
#include <linux/module.h>
#include "mica.h"

static const struct {
	int (*init)(void);
	void (*exit)(void);
} mica_parts[] = {
	{ mica_netlink_init, mica_netlink_exit },
	{ mica_guest_init, mica_guest_exit },
	{ mica_union_init, mica_union_exit },
	{ mica_chardev_init, mica_chardev_exit },
};

static void mica_stop(unsigned int started)
{
	while (started--)
		mica_parts[started].exit();
}

static int __init mica_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(mica_parts); i++) {
		err = mica_parts[i].init();
		if (err) {
			mica_stop(i);
			return err;
		}
	}
	return 0;
}

static void __exit mica_exit(void)
{
	mica_stop(ARRAY_SIZE(mica_parts));
}

module_init(mica_init);
module_exit(mica_exit);

MODULE_DESCRIPTION("Passthrough guests and union file systems for test hosts");
MODULE_AUTHOR("The mica developers");
MODULE_ALIAS_FS("mica");
MODULE_LICENSE("GPL");
