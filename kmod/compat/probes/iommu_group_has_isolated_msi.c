// SPDX-License-Identifier: GPL-2.0-only
/* 6.3: isolation of interrupts is asked of the group. */
/* symbols: iommu_group_has_isolated_msi */
#include <linux/iommu.h>

bool probe(struct iommu_group *group);

bool probe(struct iommu_group *group)
{
	return iommu_group_has_isolated_msi(group);
}
