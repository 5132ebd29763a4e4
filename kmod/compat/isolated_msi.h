/* SPDX-License-Identifier: GPL-2.0-only */
/* Isolation of interrupts: the IOMMU answered for it before. */
#ifndef _MICA_COMPAT_ISOLATED_MSI_H
#define _MICA_COMPAT_ISOLATED_MSI_H

#include <linux/iommu.h>

#ifndef HAVE_IOMMU_GROUP_HAS_ISOLATED_MSI

static inline int compat_device_intr_remap(struct device *dev, void *data)
{
	return !device_iommu_capable(dev, IOMMU_CAP_INTR_REMAP);
}

static inline bool iommu_group_has_isolated_msi(struct iommu_group *group)
{
	return !iommu_group_for_each_dev(group, NULL, compat_device_intr_remap);
}

#endif

#endif /* _MICA_COMPAT_ISOLATED_MSI_H */
