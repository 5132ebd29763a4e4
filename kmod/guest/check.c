// SPDX-License-Identifier: GPL-2.0-only
/* Whether a function can be claimed; none of this changes anything. */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/kmod.h>
#include <linux/pci.h>
#include <linux/string.h>
#include "guest.h"

/**
 * mica_check_iommu - is a function behind an IOMMU that VFIO can use
 * @dev: the function
 *
 * That it has a group does not tell: without an IOMMU, VFIO makes groups of its own
 * if it is told to. This is what it asks of the others.
 */
bool mica_check_iommu(struct device *dev)
{
	return device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY);
}

/**
 * mica_check_function - is a function of a kind that can be claimed
 * @pdev: the function
 * @why: where an obstacle is noted
 *
 * Return: 0, -EINVAL for a bridge, -ENODEV without an IOMMU, or if it left the bus.
 */
int mica_check_function(struct pci_dev *pdev, struct mica_reason *why)
{
	/* It took its IOMMU group along. */
	if (!device_is_registered(&pdev->dev))
		return mica_fail(why, -ENODEV, MICA_REASON_NO_DEVICE,
				 pci_name(pdev), "%s was unplugged",
				 pci_name(pdev));
	if (mica_is_bridge(pdev))
		return mica_fail(why, -EINVAL, MICA_REASON_BRIDGE, pci_name(pdev),
				 "%s is a bridge; claim what is behind it",
				 pci_name(pdev));
	if (!mica_check_iommu(&pdev->dev))
		return mica_fail(why, -ENODEV, MICA_REASON_NO_IOMMU,
				 pci_name(pdev),
				 "%s is behind no IOMMU; switch the IOMMU on in the firmware and on the kernel's command line",
				 pci_name(pdev));
	return 0;
}

static int mica_check_relatives(struct pci_dev *pdev, struct mica_reason *why)
{
	u32 session = mica_custody_relative(pdev, NULL);
	const char *name = pci_name(pdev);

	if (!session)
		return 0;
	return mica_fail(why, -EBUSY, MICA_REASON_CLAIMED, name,
			 "session %u holds %s of %s; it comes free when that session has ended",
			 session, pdev->is_virtfn ? "the physical function" :
			 "virtual functions", name);
}

/**
 * mica_check_free - is a function held by no session, nor what it depends on
 * @pdev: the function
 * @why: where the holder is noted
 *
 * Return: 0 or -EBUSY.
 */
int mica_check_free(struct pci_dev *pdev, struct mica_reason *why)
{
	const char *name = pci_name(pdev);
	bool ending;
	u32 session = mica_custody_holder(pdev, &ending);

	if (!session)
		return mica_check_relatives(pdev, why);
	if (ending)
		return mica_fail(why, -EBUSY, MICA_REASON_CLAIMED, name,
				 "session %u has ended, but %s is still on its way back; see that no process has it open",
				 session, name);
	return mica_fail(why, -EBUSY, MICA_REASON_CLAIMED, name,
			 "session %u holds %s already; it comes free when that session has ended",
			 session, name);
}

/**
 * mica_check_user - does a process use a function through VFIO already
 * @pdev: the function
 * @driver: name of its driver, or an empty string
 * @why: where that is noted
 *
 * The owner of a group's DMA is told only as "somebody". With vfio-pci bound
 * here no other driver can own it, so it is then a process.
 *
 * Return: 0 or -EBUSY.
 */
int mica_check_user(struct pci_dev *pdev, const char *driver,
		    struct mica_reason *why)
{
	struct iommu_group *group;
	bool used;

	if (strcmp(driver, MICA_VFIO_DRIVER))
		return 0;
	group = iommu_group_get(&pdev->dev);
	if (!group)
		return 0;
	used = iommu_group_dma_owner_claimed(group);
	iommu_group_put(group);
	if (!used)
		return 0;
	return mica_fail(why, -EBUSY, MICA_REASON_USER, pci_name(pdev),
			 "a process uses the IOMMU group of %s through VFIO; end it first",
			 pci_name(pdev));
}

static bool mica_have_vfio(void)
{
	return driver_find(MICA_VFIO_DRIVER, &pci_bus_type);
}

/**
 * mica_check_vfio - have vfio-pci, loading it if need be
 * @why: where it is noted that there is none
 *
 * Context: may run modprobe.
 * Return: 0 or -ENODEV.
 */
int mica_check_vfio(struct mica_reason *why)
{
	if (mica_have_vfio())
		return 0;
	request_module(MICA_VFIO_DRIVER);
	if (mica_have_vfio())
		return 0;
	return mica_fail(why, -ENODEV, MICA_REASON_NO_VFIO, MICA_VFIO_DRIVER,
			 "the driver vfio-pci is not there and could not be loaded; modprobe vfio-pci tells more");
}
