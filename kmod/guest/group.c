// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU groups: what the IOMMU cannot tell apart. All members of a group must
 * come to the same session, but for bridges and for those whose driver leaves
 * DMA alone.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include "guest.h"

static int mica_group_count(struct device *dev, void *data)
{
	unsigned int *nr = data;

	++*nr;
	return 0;
}

struct mica_group_collect {
	struct mica_group_members *members;
	unsigned int max;
};

static int mica_group_add(struct device *dev, void *data)
{
	struct mica_group_collect *collect = data;

	if (collect->members->nr < collect->max)
		collect->members->dev[collect->members->nr++] = get_device(dev);
	return 0;
}

/**
 * mica_group_members - the devices of an IOMMU group
 * @group: the group
 *
 * The group's own lock is held while its members are listed, so they are only
 * collected there, and looked at by the caller without it. Members that come
 * between the counting and the collecting are left out, as are those that come
 * later.
 *
 * Return: for mica_group_members_put(), or NULL without memory.
 */
struct mica_group_members *mica_group_members(struct iommu_group *group)
{
	struct mica_group_collect collect = {};

	iommu_group_for_each_dev(group, &collect.max, mica_group_count);
	collect.members = kzalloc(struct_size(collect.members, dev, collect.max),
				  GFP_KERNEL);
	if (collect.members)
		iommu_group_for_each_dev(group, &collect, mica_group_add);
	return collect.members;
}

/**
 * mica_group_members_put - drop what mica_group_members() gave
 * @members: that
 */
void mica_group_members_put(struct mica_group_members *members)
{
	while (members->nr)
		put_device(members->dev[--members->nr]);
	kfree(members);
}

/**
 * mica_is_bridge - is a function a bridge of any kind
 * @pdev: the function
 *
 * Host and ISA bridges look like endpoints in their headers, but the host does
 * not live without them.
 */
bool mica_is_bridge(struct pci_dev *pdev)
{
	return pdev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	       pdev->class >> 16 == PCI_BASE_CLASS_BRIDGE;
}

/**
 * mica_group_needs - must a member come along with the rest of its group
 * @dev: the member
 * @driver: its driver, or an empty string
 * @managed: that driver leaves DMA alone
 *
 * An endpoint without a driver has to come along too: it could do DMA that the
 * guest set up, and a driver may come at any time. So has one that vfio-pci has:
 * who may open the group gets all that is there.
 */
bool mica_group_needs(struct device *dev, const char *driver, bool managed)
{
	if (*driver)
		return !managed || !strcmp(driver, MICA_VFIO_DRIVER);
	return dev_is_pci(dev) && !mica_is_bridge(to_pci_dev(dev));
}

/**
 * mica_group_refuse - tell which member stands in the way
 * @dev: the member
 * @driver: its driver, or an empty string
 * @name: the function that was asked for
 * @why: where it is noted
 *
 * Return: -EBUSY.
 */
int mica_group_refuse(struct device *dev, const char *driver, const char *name,
		      struct mica_reason *why)
{
	bool bridge = dev_is_pci(dev) && mica_is_bridge(to_pci_dev(dev));
	const char *member = dev_name(dev);

	if (!dev_is_pci(dev) || bridge)
		return mica_fail(why, -EBUSY, MICA_REASON_GROUP, member,
				 "%s is in the IOMMU group of %s, its driver is %s, and it cannot be claimed; %s cannot be passed through here",
				 member, name, driver, name);
	return mica_fail(why, -EBUSY, MICA_REASON_GROUP, member,
			 "%s (driver: %s) is in the IOMMU group of %s; claim it too, or the whole group",
			 member, *driver ? driver : "none", name);
}
