/* SPDX-License-Identifier: GPL-2.0-only */
/* The domain of a device whose driver leaves DMA to others. */
#ifndef _MICA_COMPAT_IOMMU_H
#define _MICA_COMPAT_IOMMU_H

#include <linux/iommu.h>

#ifndef HAVE_IOMMU_DRIVER_GET_DOMAIN_FOR_DEV
#define iommu_driver_get_domain_for_dev(dev)	iommu_get_domain_for_dev(dev)
#endif

#endif /* _MICA_COMPAT_IOMMU_H */
