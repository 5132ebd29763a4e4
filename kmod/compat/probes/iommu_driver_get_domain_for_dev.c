// SPDX-License-Identifier: GPL-2.0-only
/* 7.0: the other one is not for who has the lock of the group. */
/* symbols: iommu_driver_get_domain_for_dev */
#include <linux/iommu.h>

struct iommu_domain *probe(struct device *dev);

struct iommu_domain *probe(struct device *dev)
{
	return iommu_driver_get_domain_for_dev(dev);
}
