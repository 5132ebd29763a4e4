// SPDX-License-Identifier: GPL-2.0-only
/* MICA_DEVICE_INFO: what is known about a function, and what is not. */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/minmax.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#ifdef CONFIG_IRQ_REMAP
#include <asm/irq_remapping.h>
#endif
#include "../compat/isolated_msi.h"
#include "guest.h"

static int mica_mapped(struct device *dev, void *data)
{
	return mica_check_iommu(dev);
}

/**
 * mica_guest_caps - capability bits of the guest half
 *
 * Return: MICA_CAP_*.
 */
u64 mica_guest_caps(void)
{
	u64 caps = 0;

	if (bus_for_each_dev(&pci_bus_type, NULL, NULL, mica_mapped)) {
		caps |= MICA_CAP_IOMMU;
		if (IS_ENABLED(CONFIG_VFIO_PCI))
			caps |= MICA_CAP_CLAIM;
		if (IS_ENABLED(CONFIG_VFIO_PCI) && mica_vfs_possible())
			caps |= MICA_CAP_VFS;
	}
	if (IS_ENABLED(CONFIG_KVM) && IS_ENABLED(CONFIG_KVM_VFIO))
		caps |= MICA_CAP_ASSEMBLY;
	if (mica_errors_told())
		caps |= MICA_CAP_PCIE_ERRORS;
	return caps;
}

/**
 * mica_addr_find - the function at an address
 * @addr: the address, from user space
 * @pdev: out: the function, with a reference
 * @why: where a failure is noted
 *
 * Return: 0, -EINVAL or -ENOENT.
 */
int mica_addr_find(const struct mica_pci_addr *addr, struct pci_dev **pdev,
		   struct mica_reason *why)
{
	char name[32];

	if (addr->reserved || addr->domain > S32_MAX)
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
				 "this cannot be the address of a PCI function");
	*pdev = pci_get_domain_bus_and_slot(addr->domain, addr->bus,
					    addr->devfn);
	if (*pdev)
		return 0;
	snprintf(name, sizeof(name), "%04x:%02x:%02x.%d", addr->domain,
		 addr->bus, PCI_SLOT(addr->devfn), PCI_FUNC(addr->devfn));
	return mica_fail(why, -ENOENT, MICA_REASON_NO_DEVICE, name,
			 "there is no PCI function %s; lspci lists what is there",
			 name);
}

/**
 * mica_addr_of - the address of a function
 * @pdev: the function
 * @addr: out: its address, as user space has it
 */
void mica_addr_of(struct pci_dev *pdev, struct mica_pci_addr *addr)
{
	addr->domain = pci_domain_nr(pdev->bus);
	addr->bus = pdev->bus->number;
	addr->devfn = pdev->devfn;
	addr->reserved = 0;
}

static void mica_inspect_identity(struct pci_dev *pdev,
				  struct mica_device_info *info)
{
	info->vendor = pdev->vendor;
	info->device = pdev->device;
	info->subsystem_vendor = pdev->subsystem_vendor;
	info->subsystem_device = pdev->subsystem_device;
	info->class_code = pdev->class;
	info->header_type = pdev->hdr_type;
	info->revision = pdev->revision;
	info->numa_node = dev_to_node(&pdev->dev);
	if (mica_is_bridge(pdev))
		info->state |= MICA_STATE_BRIDGE;
}

static void mica_inspect_bar(struct pci_dev *pdev, int i, struct mica_bar *bar)
{
	unsigned long flags = pci_resource_flags(pdev, i);

	bar->length = pci_resource_len(pdev, i);
	if (!bar->length)
		return;
	bar->start = pci_resource_start(pdev, i);
	if (flags & IORESOURCE_IO)
		bar->flags |= MICA_BAR_IO;
	if (flags & IORESOURCE_MEM)
		bar->flags |= MICA_BAR_MEM;
	if (flags & IORESOURCE_MEM_64)
		bar->flags |= MICA_BAR_64BIT;
	if (flags & IORESOURCE_PREFETCH)
		bar->flags |= MICA_BAR_PREFETCH;
}

static void mica_inspect_resources(struct pci_dev *pdev,
				   struct mica_device_info *info)
{
	int i;

	BUILD_BUG_ON(ARRAY_SIZE(info->bars) != PCI_ROM_RESOURCE + 1);
	/* The BARs of a bridge are two, what follows is no ROM. */
	if (pdev->hdr_type == PCI_HEADER_TYPE_NORMAL)
		for (i = 0; i < ARRAY_SIZE(info->bars); i++)
			mica_inspect_bar(pdev, i, &info->bars[i]);
	info->msi_vectors = max(pci_msi_vec_count(pdev), 0);
	info->msix_vectors = max(pci_msix_vec_count(pdev), 0);
	info->reset_methods = mica_reset_methods(pdev);
}

static void mica_inspect_sriov(struct pci_dev *pdev,
			       struct mica_device_info *info)
{
	if (pdev->is_virtfn) {
		info->state |= MICA_STATE_VF;
		mica_addr_of(pci_physfn(pdev), &info->physfn);
		return;
	}
	info->sriov_total = pci_sriov_get_totalvfs(pdev);
	info->sriov_num = pci_num_vf(pdev);
}

static u32 mica_inspect_driver_state(const struct mica_driver *look)
{
	if (look->locked)
		return MICA_STATE_LOCKED;
	return *look->name && look->managed ? MICA_STATE_MANAGED_DMA : 0;
}

static int mica_inspect_driver(struct pci_dev *pdev,
			       struct mica_device_info *info)
{
	struct mica_driver look;
	int err;

	err = mica_driver_look(&pdev->dev, &look);
	if (err)
		return err;
	strscpy(info->driver, look.name, sizeof(info->driver));
	strscpy(info->driver_override, look.override,
		sizeof(info->driver_override));
	info->state |= mica_inspect_driver_state(&look);
	return 0;
}

static int mica_inspect_locked(struct device *dev, struct mica_reason *why)
{
	return mica_fail(why, -EBUSY, MICA_REASON_DRIVER, dev_name(dev),
			 "a driver is binding to %s or unbinding from it and does not finish; the kernel log may tell why",
			 dev_name(dev));
}

/*
 * A port that has no ACS capability may be isolated all the same, by a quirk
 * that a module is not told of.
 */
static enum mica_known mica_inspect_acs_port(struct pci_dev *port)
{
	u16 need = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;
	int pos, type;
	u16 ctrl;

	if (!pci_is_pcie(port))
		return MICA_NO;
	type = pci_pcie_type(port);
	if (type == PCI_EXP_TYPE_UPSTREAM)
		return MICA_YES;
	if (type != PCI_EXP_TYPE_ROOT_PORT && type != PCI_EXP_TYPE_DOWNSTREAM)
		return MICA_NO;
	pos = pci_find_ext_capability(port, PCI_EXT_CAP_ID_ACS);
	if (!pos)
		return MICA_UNKNOWN;
	pci_read_config_word(port, pos + PCI_ACS_CTRL, &ctrl);
	return (ctrl & need) == need ? MICA_YES : MICA_NO;
}

/* On a root bus, nothing above a function tells. */
static enum mica_known mica_inspect_acs(struct pci_dev *pdev)
{
	struct pci_dev *port = pci_upstream_bridge(pci_physfn(pdev));
	enum mica_known acs = MICA_UNKNOWN;

	for (; port; port = pci_upstream_bridge(port)) {
		acs = mica_inspect_acs_port(port);
		if (acs != MICA_YES)
			break;
	}
	return acs;
}

/* That the hardware could post is not all of it, KVM has to play along. */
static enum mica_known mica_inspect_posting(void)
{
#ifdef CONFIG_IRQ_REMAP
	if (irq_remapping_cap(IRQ_POSTING_CAP))
		return MICA_UNKNOWN;
#endif
	return MICA_NO;
}

static void mica_inspect_isolation(struct pci_dev *pdev,
				   struct iommu_group *group,
				   struct mica_device_info *info)
{
	info->irq_remapping = iommu_group_has_isolated_msi(group) ? MICA_YES :
								    MICA_NO;
	info->acs = mica_inspect_acs(pdev);
	info->posted_irqs = mica_inspect_posting();
}

static int mica_inspect_member(struct device *dev, struct mica_member *member)
{
	struct mica_driver look;
	struct pci_dev *pdev;
	int err;

	memset(member, 0, sizeof(*member));
	strscpy(member->name, dev_name(dev), sizeof(member->name));
	err = mica_driver_look(dev, &look);
	if (err)
		return err;
	strscpy(member->driver, look.name, sizeof(member->driver));
	member->state |= mica_inspect_driver_state(&look);
	if (look.locked || mica_group_needs(dev, look.name, look.managed))
		member->state |= MICA_STATE_OBSTACLE;
	if (!dev_is_pci(dev)) {
		member->state |= MICA_STATE_NOT_PCI;
		return 0;
	}
	pdev = to_pci_dev(dev);
	mica_addr_of(pdev, &member->addr);
	if (mica_is_bridge(pdev))
		member->state |= MICA_STATE_BRIDGE;
	if (pdev->is_virtfn)
		member->state |= MICA_STATE_VF;
	member->session = mica_custody_holder(pdev, NULL);
	if (member->session)
		member->state |= MICA_STATE_CLAIMED;
	return 0;
}

/* What a claim would say to one other member. */
static int mica_inspect_judge(struct device *dev, struct mica_device_info *info,
			      const struct mica_member *member,
			      const char *name, struct mica_reason *why)
{
	struct pci_dev *pdev;

	if (!(member->state & MICA_STATE_OBSTACLE))
		return 0;
	if (member->state & MICA_STATE_LOCKED)
		return mica_inspect_locked(dev, why);
	if (!(info->flags & MICA_DEVICE_INFO_GROUP) ||
	    member->state & (MICA_STATE_BRIDGE | MICA_STATE_NOT_PCI))
		return mica_group_refuse(dev, member->driver, name, why);
	pdev = to_pci_dev(dev);
	return mica_check_free(pdev, why) ?:
	       mica_check_user(pdev, member->driver, why) ?:
	       mica_inuse(pdev, why);
}

static int mica_inspect_members(struct pci_dev *pdev,
				struct iommu_group *group,
				struct mica_device_info *info, int *verdict)
{
	struct mica_member __user *to = u64_to_user_ptr(info->members_ptr);
	u32 room = to ? info->nr_members : 0;
	struct mica_group_members *members;
	struct mica_member member;
	unsigned int i;
	int err = 0;

	info->nr_members = 0;
	members = mica_group_members(group);
	if (!members)
		return -ENOMEM;
	for (i = 0; i < members->nr && !err; i++) {
		if (members->dev[i] == &pdev->dev)
			continue;
		err = mica_inspect_member(members->dev[i], &member);
		if (err)
			break;
		if (!*verdict)
			*verdict = mica_inspect_judge(members->dev[i], info,
						      &member, pci_name(pdev),
						      &info->claim);
		if (info->nr_members < room &&
		    copy_to_user(&to[info->nr_members], &member,
				 sizeof(member)))
			err = -EFAULT;
		info->nr_members++;
	}
	mica_group_members_put(members);
	return err;
}

static const u32 mica_region_types[] = {
	[IOMMU_RESV_DIRECT] = MICA_REGION_DIRECT,
	[IOMMU_RESV_DIRECT_RELAXABLE] = MICA_REGION_RELAXABLE,
	[IOMMU_RESV_RESERVED] = MICA_REGION_RESERVED,
	[IOMMU_RESV_MSI] = MICA_REGION_MSI,
	[IOMMU_RESV_SW_MSI] = MICA_REGION_SW_MSI,
};

static int mica_inspect_regions(struct iommu_group *group,
				struct mica_device_info *info)
{
	struct mica_region __user *to = u64_to_user_ptr(info->regions_ptr);
	u32 room = to ? info->nr_regions : 0;
	struct iommu_resv_region *resv, *next;
	LIST_HEAD(regions);
	int err;

	info->nr_regions = 0;
	err = iommu_get_group_resv_regions(group, &regions);
	list_for_each_entry_safe(resv, next, &regions, list) {
		struct mica_region region = {
			.start = resv->start,
			.length = resv->length,
		};

		if (resv->type < ARRAY_SIZE(mica_region_types))
			region.type = mica_region_types[resv->type];
		if (!err && info->nr_regions < room &&
		    copy_to_user(&to[info->nr_regions], &region,
				 sizeof(region)))
			err = -EFAULT;
		info->nr_regions++;
		kfree(resv);
	}
	return err;
}

static int mica_inspect_group(struct pci_dev *pdev,
			      struct mica_device_info *info, int *verdict)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);
	int err;

	if (!group) {
		info->iommu_group = -1;
		info->nr_members = 0;
		info->nr_regions = 0;
		return 0;
	}
	info->iommu_group = iommu_group_id(group);
	mica_inspect_isolation(pdev, group, info);
	err = mica_inspect_members(pdev, group, info, verdict) ?:
	      mica_inspect_regions(group, info);
	iommu_group_put(group);
	return err;
}

static int mica_inspect_use(struct pci_dev *pdev, struct mica_device_info *info)
{
	int err;

	/* What is below it may be going away just now, and not finish either. */
	if (info->state & MICA_STATE_LOCKED)
		return 0;
	err = mica_check_user(pdev, info->driver, &info->in_use) ?:
	      mica_inuse(pdev, &info->in_use);
	if (err)
		info->state |= MICA_STATE_IN_USE;
	return err;
}

static int mica_inspect(struct pci_dev *pdev, struct mica_device_info *info)
{
	int verdict, err, use;

	mica_inspect_identity(pdev, info);
	mica_inspect_resources(pdev, info);
	mica_inspect_sriov(pdev, info);
	err = mica_inspect_driver(pdev, info);
	if (err)
		return err;
	info->session = mica_custody_holder(pdev, NULL);
	if (info->session)
		info->state |= MICA_STATE_CLAIMED;

	verdict = mica_check_function(pdev, &info->claim) ?:
		  mica_check_free(pdev, &info->claim);
	if (!verdict && info->state & MICA_STATE_LOCKED)
		verdict = mica_inspect_locked(&pdev->dev, &info->claim);
	use = mica_inspect_use(pdev, info);
	err = mica_inspect_group(pdev, info, &verdict);
	if (!verdict && use) {
		verdict = use;
		info->claim = info->in_use;
	}
	info->claim_error = -verdict;
	return err;
}

/* What the caller left in members that are only given does not stay there. */
static void mica_inspect_clear(struct mica_device_info *info)
{
	u64 members = info->members_ptr, regions = info->regions_ptr;
	u64 reason = info->reason_ptr;
	u32 nr_members = info->nr_members, nr_regions = info->nr_regions;
	u32 reason_len = info->reason_len;
	u32 size = info->size, flags = info->flags;

	memset(info, 0, sizeof(*info));
	info->size = size;
	info->flags = flags;
	info->nr_members = nr_members;
	info->nr_regions = nr_regions;
	info->members_ptr = members;
	info->regions_ptr = regions;
	info->reason_ptr = reason;
	info->reason_len = reason_len;
}

/*
 * What is above it must be awake for its configuration space to be read, but itself
 * only where that has no power: a guest may have had it put to sleep.
 */
static void mica_inspect_wake(struct pci_dev *pdev)
{
	struct device *dev = &pdev->dev;

	if (dev->parent)
		pm_runtime_get_sync(dev->parent);
	pm_runtime_get_noresume(dev);
	pm_runtime_barrier(dev);
	if (pdev->current_state == PCI_D3cold)
		pm_runtime_resume(dev);
}

static void mica_inspect_sleep(struct pci_dev *pdev)
{
	struct device *dev = &pdev->dev;

	pm_runtime_put(dev);
	if (dev->parent)
		pm_runtime_put_sync(dev->parent);
}

int mica_device_info_run(struct mica_call *call, void *arg)
{
	struct mica_device_info *info = arg;
	struct pci_dev *pdev;
	int err;

	err = mica_addr_find(&info->addr, &pdev, &call->why);
	if (err)
		return err;
	mica_inspect_clear(info);
	mica_addr_of(pdev, &info->addr);
	mica_inspect_wake(pdev);
	err = mica_inspect(pdev, info);
	mica_inspect_sleep(pdev);
	pci_dev_put(pdev);
	return err;
}
