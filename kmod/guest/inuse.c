// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guard of functions that serve the host. It looks at what is below a
 * function, by the names of classes: whatever the driver, a disk is a disk. It
 * is a check and no lock: what comes into use a moment later is not seen.
 */
#include <linux/device.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/string.h>
#include <linux/vgaarb.h>
#include "../compat/console.h"
#include "guest.h"

struct mica_inuse_scan {
	const char *owner;
	struct mica_reason *why;
	const struct class *block;
	char controller[32];
};

static const char *mica_netdev_use(struct net_device *ndev)
{
	if (netif_is_bridge_port(ndev))
		return "is a port of a bridge";
	if (netif_is_bond_slave(ndev))
		return "is part of a bond";
	if (netdev_has_any_upper_dev(ndev))
		return "has other interfaces on top";
	if (ndev->flags & IFF_UP)
		return "is up";
	return NULL;
}

static int mica_netdev_inuse(struct net_device *ndev,
			     struct mica_inuse_scan *scan)
{
	char name[IFNAMSIZ];
	const char *use;

	rtnl_lock();
	use = mica_netdev_use(ndev);
	strscpy(name, ndev->name, sizeof(name));
	rtnl_unlock();
	if (!use)
		return 0;
	return mica_fail(scan->why, -EBUSY, MICA_REASON_NETDEV, name,
			 "the network interface %s of %s %s; take it out of use first (ip link set %s down)",
			 name, scan->owner, use, name);
}

static bool mica_tty_is_console(const char *tty)
{
	struct console *con;
	bool is = false;
	char name[24];
	int cookie;

	cookie = console_srcu_read_lock();
	for_each_console_srcu(con) {
		snprintf(name, sizeof(name), "%s%d", con->name, con->index);
		if (!strcmp(name, tty))
			is = true;
	}
	console_srcu_read_unlock(cookie);
	return is;
}

static int mica_tty_inuse(struct device *dev, struct mica_inuse_scan *scan)
{
	if (!mica_tty_is_console(dev_name(dev)))
		return 0;
	return mica_fail(scan->why, -EBUSY, MICA_REASON_CONSOLE, dev_name(dev),
			 "%s of %s is the console of the host; use another console=",
			 dev_name(dev), scan->owner);
}

static int mica_inuse_device(struct device *dev, void *data)
{
	struct mica_inuse_scan *scan = data;
	const char *class = dev->class ? dev->class->name : "";
	int err = 0;

	if (!strcmp(class, "block")) {
		scan->block = dev->class;
		err = mica_disk_inuse(dev, scan->owner, scan->why);
	} else if (!strcmp(class, "net")) {
		err = mica_netdev_inuse(to_net_dev(dev), scan);
	} else if (!strcmp(class, "tty")) {
		err = mica_tty_inuse(dev, scan);
	} else if (!strcmp(class, "nvme")) {
		strscpy(scan->controller, dev_name(dev),
			sizeof(scan->controller));
	}
	return err ?: device_for_each_child(dev, scan, mica_inuse_device);
}

/**
 * mica_inuse - does a function serve the host
 * @pdev: the function
 * @why: where it is noted by what
 *
 * Context: may sleep; takes the RTNL and the lock of the consoles, one by one.
 * Return: 0 or -EBUSY.
 */
int mica_inuse(struct pci_dev *pdev, struct mica_reason *why)
{
	struct mica_inuse_scan scan = {
		.owner = pci_name(pdev),
		.why = why,
	};
	int err;

	if (pci_num_vf(pdev))
		return mica_fail(why, -EBUSY, MICA_REASON_VFS, scan.owner,
				 "%s has %d virtual functions; write 0 to its sriov_numvfs first",
				 scan.owner, pci_num_vf(pdev));
	if (pdev == vga_default_device())
		return mica_fail(why, -EBUSY, MICA_REASON_CONSOLE, scan.owner,
				 "%s is the graphics card that the host boots on",
				 scan.owner);
	err = device_for_each_child(&pdev->dev, &scan, mica_inuse_device);
	if (!err && scan.block && *scan.controller)
		err = mica_disk_heads_inuse(scan.block, scan.controller,
					    scan.owner, why);
	return err;
}
