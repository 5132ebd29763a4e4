// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks in use. Whoever has a disk for himself alone (a mount, swap, dm, md)
 * shows by the disk not being there for another to claim. Who has just opened it
 * shows by the openers, which have to stay for a while: udev opens every disk
 * that comes, to look at it.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kernfs.h>
#include "../compat/bd_claim.h"
#include "guest.h"

#define MICA_OPENERS_MS		1000
#define MICA_OPENERS_POLL_MS	20

static bool mica_disk_held(struct block_device *bdev)
{
	int holder;

	if (bd_prepare_to_claim(bdev, &holder, NULL))
		return true;
	bd_abort_claiming(bdev, &holder);
	return false;
}

/* Openers of partitions count as openers of the whole disk. */
static bool mica_disk_openers_stay(struct gendisk *disk)
{
	unsigned long end = jiffies + msecs_to_jiffies(MICA_OPENERS_MS);

	while (disk_openers(disk)) {
		if (time_after(jiffies, end))
			return true;
		msleep(MICA_OPENERS_POLL_MS);
	}
	return false;
}

/**
 * mica_disk_inuse - is a disk in use
 * @dev: a device of class "block"; partitions are skipped, as they belong to
 *	their disks
 * @owner: the function that it belongs to, for the reason
 * @why: where it is noted
 *
 * Context: may sleep for a second.
 * Return: 0 or -EBUSY.
 */
int mica_disk_inuse(struct device *dev, const char *owner,
		    struct mica_reason *why)
{
	struct block_device *bdev = dev_to_bdev(dev);
	char path[64];

	if (bdev_is_partition(bdev))
		return 0;
	snprintf(path, sizeof(path), "/dev/%s", dev_name(dev));
	strreplace(path, '!', '/');
	if (mica_disk_held(bdev))
		return mica_fail(why, -EBUSY, MICA_REASON_DISK, path,
				 "the disk %s of %s is mounted, swapped to, or part of another device; lsblk %s tells, release it first",
				 path, owner, path);
	if (mica_disk_openers_stay(bdev->bd_disk))
		return mica_fail(why, -EBUSY, MICA_REASON_DISK, path,
				 "the disk %s of %s is held open by a process; fuser -v %s tells by which",
				 path, owner, path);
	return 0;
}

struct mica_disk_heads {
	const char *controller;
	const char *owner;
	struct mica_reason *why;
};

static int mica_disk_head(struct device *dev, void *data)
{
	struct mica_disk_heads *heads = data;
	struct device *subsys = dev->parent;
	struct kernfs_node *link;

	if (!subsys || !subsys->class ||
	    strcmp(subsys->class->name, "nvme-subsystem"))
		return 0;
	/* A subsystem has a link to each of its controllers. */
	link = kernfs_find_and_get(subsys->kobj.sd, heads->controller);
	if (!link)
		return 0;
	kernfs_put(link);
	return mica_disk_inuse(dev, heads->owner, heads->why);
}

/**
 * mica_disk_heads_inuse - is a disk of a multipath NVMe subsystem in use
 * @block: the class of disks
 * @controller: name of the controller, as in "nvme0"
 * @owner: the function that it belongs to, for the reason
 * @why: where it is noted
 *
 * With multipath, what is opened and mounted are disks of the subsystem. Those
 * are not below the PCI function; what is there are hidden paths to them.
 *
 * Context: may sleep for a second for each disk.
 * Return: 0 or -EBUSY.
 */
int mica_disk_heads_inuse(const struct class *block, const char *controller,
			  const char *owner, struct mica_reason *why)
{
	struct mica_disk_heads heads = {
		.controller = controller,
		.owner = owner,
		.why = why,
	};

	return class_for_each_device((struct class *)block, NULL, &heads,
				     mica_disk_head);
}
