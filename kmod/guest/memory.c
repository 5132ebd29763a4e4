// SPDX-License-Identifier: GPL-2.0-only
/*
 * MICA_GUEST_MAP and MICA_GUEST_UNMAP: memory of the caller is at a guest address
 * for the processor, in a slot of KVM's, and for the devices, in the IOMMU; or for
 * neither. What VFIO would refuse in a number is said in words before it is asked.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "../compat/iommu.h"
#include "assembly.h"

/* The slots below are for who made the VM. */
#define MICA_SLOT_FIRST	256
#define MICA_SLOT_LAST	32763

/* So much is populated without a look at whether the caller is being killed. */
#define MICA_MAP_PIECE	((unsigned long)SZ_2M)

/**
 * struct mica_map - memory that is mapped
 * @node: in the VM, by guest address
 * @range: what the caller said
 * @slot: number of KVM's slot
 * @iommu: devices reach it
 * @left: to map it failed, and it could not be undone
 */
struct mica_map {
	struct rb_node node;
	struct mica_guest_range range;
	int slot;
	bool iommu;
	bool left;
};

static u64 mica_range_last(const struct mica_guest_range *range)
{
	return range->guest_addr + range->length - 1;
}

static int mica_range_refuse(struct mica_reason *why, const char *what)
{
	return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
			 "%s of a range must be a multiple of %lu, and not zero for its length",
			 what, PAGE_SIZE);
}

static int mica_range_check(const struct mica_guest_range *range,
			    struct mica_reason *why)
{
	u32 unknown = range->flags & ~(MICA_RANGE_READONLY |
				       MICA_RANGE_KVM_ONLY | MICA_RANGE_HUGE);

	if (unknown)
		return mica_fail(why, -EOPNOTSUPP, MICA_REASON_BAD_VALUE, NULL,
				 "flags of a range has bits that are not known: %#x",
				 unknown);
	if (range->reserved)
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
				 "reserved of a range must be zero");
	if (!PAGE_ALIGNED(range->guest_addr))
		return mica_range_refuse(why, "guest_addr");
	if (!PAGE_ALIGNED(range->user_addr))
		return mica_range_refuse(why, "user_addr");
	if (!PAGE_ALIGNED(range->length) || !range->length)
		return mica_range_refuse(why, "length");
	if (mica_range_last(range) < range->guest_addr)
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
				 "the range goes beyond the last guest address");
	if (!access_ok(u64_to_user_ptr(range->user_addr), range->length))
		return mica_fail(why, -EFAULT, MICA_REASON_BAD_VALUE, NULL,
				 "user_addr and length are not in the memory of a process");
	return 0;
}

/* The first mapping that ends at @addr or behind it, or NULL. */
static struct mica_map *mica_map_from(struct mica_vm *vm, u64 addr)
{
	struct rb_node *node = vm->maps.rb_node;
	struct mica_map *map, *found = NULL;

	while (node) {
		map = rb_entry(node, struct mica_map, node);
		if (mica_range_last(&map->range) >= addr) {
			found = map;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static bool mica_map_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mica_map, node)->range.guest_addr <
	       rb_entry(b, struct mica_map, node)->range.guest_addr;
}

static int mica_map_free(struct mica_vm *vm, const struct mica_guest_range *range,
			 struct mica_reason *why)
{
	struct mica_map *map = mica_map_from(vm, range->guest_addr);

	if (!map || map->range.guest_addr > mica_range_last(range))
		return 0;
	return mica_fail(why, -EEXIST, MICA_REASON_RANGE, NULL,
			 "guest addresses %#llx to %#llx are mapped already",
			 map->range.guest_addr, mica_range_last(&map->range));
}

/* The largest huge pages that the caller's memory is made of, 0 if some is not. */
static unsigned long mica_map_page_size(const struct mica_guest_range *range)
{
	unsigned long at = range->user_addr, end = at + range->length;
	struct vm_area_struct *vma;
	struct vma_iterator vmi;
	unsigned long size = 0;

	vma_iter_init(&vmi, current->mm, at);
	mmap_read_lock(current->mm);
	for_each_vma_range(vmi, vma, end) {
		if (vma->vm_start > at || !is_vm_hugetlb_page(vma))
			break;
		size = max(size, vma_kernel_pagesize(vma));
		at = vma->vm_end;
	}
	mmap_read_unlock(current->mm);
	return at < end ? 0 : size;
}

static int mica_map_huge(const struct mica_guest_range *range,
			 struct mica_reason *why)
{
	unsigned long size;

	if (!(range->flags & MICA_RANGE_HUGE))
		return 0;
	size = mica_map_page_size(range);
	if (!size)
		return mica_fail(why, -EINVAL, MICA_REASON_LIMIT, NULL,
				 "not all memory of the range is in huge pages; map it with MAP_HUGETLB, and see to enough of them in /proc/sys/vm/nr_hugepages");
	if ((range->guest_addr | range->user_addr | range->length) & (size - 1))
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
				 "guest_addr, user_addr and length must be multiples of the huge pages' %lu KiB",
				 size >> 10);
	return 0;
}

/* Before pinning begins, which can take long. */
static int mica_map_memlock(const struct mica_guest_range *range,
			    struct mica_reason *why)
{
	u64 used = (u64)READ_ONCE(current->mm->locked_vm) << PAGE_SHIFT;
	u64 limit = rlimit(RLIMIT_MEMLOCK);

	if (used + range->length <= limit || capable(CAP_IPC_LOCK))
		return 0;
	return mica_fail(why, -ENOMEM, MICA_REASON_LIMIT, NULL,
			 "devices need %llu KiB of memory locked, %llu KiB are, and RLIMIT_MEMLOCK is %llu KiB; raise it to %llu KiB (ulimit -l)",
			 range->length >> 10, used >> 10, limit >> 10,
			 (used + range->length + SZ_1K - 1) >> 10);
}

static const char *mica_region_name(enum iommu_resv_type type)
{
	switch (type) {
	case IOMMU_RESV_MSI:
	case IOMMU_RESV_SW_MSI:
		return "what a device writes there is an interrupt";
	case IOMMU_RESV_DIRECT:
	case IOMMU_RESV_DIRECT_RELAXABLE:
		return "the firmware of the host needs it for the device";
	default:
		return "it is reserved";
	}
}

static int mica_map_reserved_for(struct mica_vm_device *dev,
				 const struct mica_guest_range *range,
				 struct mica_reason *why)
{
	struct iommu_resv_region *resv, *next;
	LIST_HEAD(regions);
	int err;

	err = iommu_get_group_resv_regions(dev->group->group, &regions);
	list_for_each_entry_safe(resv, next, &regions, list) {
		u64 last = resv->start + resv->length - 1;

		if (!err && resv->type != IOMMU_RESV_DIRECT_RELAXABLE &&
		    resv->start <= mica_range_last(range) &&
		    last >= range->guest_addr)
			err = mica_fail(why, -EINVAL, MICA_REASON_RANGE,
					pci_name(dev->pdev),
					"%s cannot have memory at guest addresses %#llx to %#llx: %s",
					pci_name(dev->pdev), (u64)resv->start,
					last, mica_region_name(resv->type));
		kfree(resv);
	}
	return err;
}

static int mica_map_reserved(struct mica_vm *vm,
			     const struct mica_guest_range *range,
			     struct mica_reason *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < vm->nr_devices && !err; i++)
		err = mica_map_reserved_for(&vm->devices[i], range, why);
	return err;
}

/*
 * What VFIO tells of the container's IOMMU: a page for kfree(), or an error. It is a
 * copy, since the caller's other threads can write to where VFIO has put it.
 */
static struct vfio_iommu_type1_info *mica_iommu_info(struct mica_vm *vm)
{
	struct mica_args *args = mica_args_open(PAGE_SIZE, true);
	struct vfio_iommu_type1_info *info;
	long ret;

	if (IS_ERR(args))
		return ERR_CAST(args);
	info = args->data;
	info->argsz = PAGE_SIZE;
	ret = mica_args_ioctl(args, vm->container, VFIO_IOMMU_GET_INFO);
	info = ret ? NULL : kmemdup(args->data, PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	mica_args_close(args);
	if (ret)
		return ERR_PTR(ret);
	return info ?: ERR_PTR(-ENOMEM);
}

/* One of the capabilities behind the information, or NULL. */
static const void *mica_iommu_cap(const struct vfio_iommu_type1_info *info,
				  u16 id, size_t size)
{
	const struct vfio_info_cap_header *head;
	u32 at = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
	u32 last = 0;

	while (at > last && at <= PAGE_SIZE - size) {
		head = (const void *)info + at;
		if (head->id == id)
			return head;
		last = at;
		at = head->next;
	}
	return NULL;
}

/* How many mappings VFIO still allows, as far as it tells. */
static u32 mica_iommu_left(const struct vfio_iommu_type1_info *info)
{
	const struct vfio_iommu_type1_info_dma_avail *cap =
		mica_iommu_cap(info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			       sizeof(*cap));

	return cap ? cap->avail : U32_MAX;
}

static u64 mica_iommu_last(const struct vfio_iommu_type1_info *info)
{
	const struct vfio_iommu_type1_info_cap_iova_range *cap =
		mica_iommu_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			       sizeof(*cap));
	u64 last = 0;
	u32 i, room;

	if (!cap)
		return U64_MAX;
	room = ((const void *)info + PAGE_SIZE - (const void *)cap->iova_ranges) /
	       sizeof(cap->iova_ranges[0]);
	for (i = 0; i < min(cap->nr_iovas, room); i++)
		last = max_t(u64, last, cap->iova_ranges[i].end);
	return last;
}

static int mica_map_too_far(struct mica_reason *why, u64 addr)
{
	return mica_fail(why, -EINVAL, MICA_REASON_RANGE, NULL,
			 "the IOMMU does not reach to guest address %#llx; put memory lower",
			 addr);
}

static int mica_map_iommu_check(struct mica_vm *vm,
				const struct mica_guest_range *range,
				struct mica_reason *why)
{
	struct vfio_iommu_type1_info *info = mica_iommu_info(vm);
	int err = 0;

	if (IS_ERR(info))
		return mica_vm_step(why, PTR_ERR(info), MICA_REASON_VFIO, NULL,
				    "asking for the limits of the IOMMU");
	if (!mica_iommu_left(info))
		err = mica_fail(why, -ENOSPC, MICA_REASON_LIMIT, NULL,
				"the container has %u mappings, and VFIO allows no more; map fewer, larger ranges, or raise dma_entry_limit of vfio_iommu_type1",
				vm->nr_iommu);
	else if (mica_range_last(range) > mica_iommu_last(info))
		err = mica_map_too_far(why, mica_range_last(range));
	kfree(info);
	return err;
}

static int mica_map_check(struct mica_vm *vm,
			  const struct mica_guest_range *range, bool iommu,
			  struct mica_reason *why)
{
	int err = mica_range_check(range, why) ?:
		  mica_map_free(vm, range, why) ?:
		  mica_map_huge(range, why);

	if (err || !iommu)
		return err;
	return mica_map_reserved(vm, range, why) ?:
	       mica_map_memlock(range, why) ?:
	       mica_map_iommu_check(vm, range, why);
}

/* With a length of zero, the slot goes. */
static long mica_map_kvm(struct mica_vm *vm, struct mica_args *args,
			 const struct mica_map *map, u64 length)
{
	struct kvm_userspace_memory_region *region = args->data;

	*region = (struct kvm_userspace_memory_region) {
		.slot = map->slot,
		.flags = map->range.flags & MICA_RANGE_READONLY ?
			 KVM_MEM_READONLY : 0,
		.guest_phys_addr = map->range.guest_addr,
		.memory_size = length,
		.userspace_addr = map->range.user_addr,
	};
	return mica_args_ioctl(args, vm->kvm, KVM_SET_USER_MEMORY_REGION);
}

/* That there is no slot, since one attempt has failed already, is as good. */
static long mica_unmap_kvm(struct mica_vm *vm, struct mica_args *args,
			   const struct mica_map *map)
{
	long ret = mica_map_kvm(vm, args, map, 0);

	return ret == -EINVAL ? 0 : ret;
}

static long mica_map_dma(struct mica_vm *vm, struct mica_args *args,
			 const struct mica_map *map)
{
	struct vfio_iommu_type1_dma_map *dma = args->data;

	*dma = (struct vfio_iommu_type1_dma_map) {
		.argsz = sizeof(*dma),
		.flags = VFIO_DMA_MAP_FLAG_READ |
			 (map->range.flags & MICA_RANGE_READONLY ?
			  0 : VFIO_DMA_MAP_FLAG_WRITE),
		.vaddr = map->range.user_addr,
		.iova = map->range.guest_addr,
		.size = map->range.length,
	};
	return mica_args_ioctl(args, vm->container, VFIO_IOMMU_MAP_DMA);
}

/*
 * Without a map, all. VFIO cannot write how much it has unmapped where the caller's
 * threads cannot write either: that it fails to is no error, unless the area was torn.
 * That nothing is there, or no IOMMU, is as good.
 */
static long mica_unmap_dma(struct mica_vm *vm, struct mica_args *args,
			   const struct mica_map *map)
{
	struct vfio_iommu_type1_dma_unmap *dma = args->data;
	long ret;

	*dma = (struct vfio_iommu_type1_dma_unmap) {
		.argsz = sizeof(*dma),
		.flags = map ? 0 : VFIO_DMA_UNMAP_FLAG_ALL,
		.iova = map ? map->range.guest_addr : 0,
		.size = map ? map->range.length : 0,
	};
	ret = mica_args_ioctl(args, vm->container, VFIO_IOMMU_UNMAP_DMA);
	if (ret == -EINVAL || (ret == -EFAULT && !mica_args_torn(args)))
		return 0;
	return ret;
}

/* VFIO does not tell memory that is not there from an IOMMU that is too narrow. */
static int mica_map_dma_failed(const struct mica_map *map, long ret,
			       struct mica_reason *why)
{
	if (ret == -EFAULT)
		return mica_fail(why, -EFAULT, MICA_REASON_BAD_VALUE, NULL,
				 "there is no memory at user_addr, or not in all of the range, or it cannot be written to; or the IOMMU does not reach to guest address %#llx",
				 mica_range_last(&map->range));
	if (ret == -EINVAL)
		return mica_map_too_far(why, mica_range_last(&map->range));
	if (ret == -EEXIST)
		return mica_fail(why, -EEXIST, MICA_REASON_RANGE, NULL,
				 "something that was mapped on the container's own descriptor is there already");
	return mica_vm_step(why, ret, MICA_REASON_VFIO, NULL,
			    "mapping memory for devices");
}

struct mica_map_reach {
	struct device *dev;
	const struct mica_map *map;
};

static int mica_map_reaches(struct device *dev, void *data)
{
	struct mica_map_reach *reach = data;
	struct iommu_domain *domain;

	if (dev != reach->dev)
		return 0;
	domain = iommu_driver_get_domain_for_dev(dev);
	return domain &&
	       iommu_iova_to_phys(domain, reach->map->range.guest_addr) &&
	       iommu_iova_to_phys(domain, mica_range_last(&reach->map->range));
}

/*
 * How many functions reach it, by what the IOMMU says? The caller's threads may have
 * put a group into a container of their own, or another range into the call. What a
 * group has does not go as long as its members are gone through.
 */
static unsigned int mica_map_reached(struct mica_vm *vm, const struct mica_map *map)
{
	struct mica_map_reach reach = { .map = map };
	struct mica_vm_device *dev;
	unsigned int nr = 0;

	for (dev = vm->devices; dev < vm->devices + vm->nr_devices; dev++) {
		reach.dev = &dev->pdev->dev;
		nr += iommu_group_for_each_dev(dev->group->group, &reach,
					       mica_map_reaches) > 0;
	}
	return nr;
}

/* What is left of a range from @at on, as far as it is of one kind, and a part of it. */
static unsigned long mica_map_piece(unsigned long at, unsigned long left,
				    bool *copied)
{
	struct vm_area_struct *vma;

	left = min(left, MICA_MAP_PIECE);
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, at);
	*copied = vma && (vma->vm_flags & (VM_SHARED | VM_WRITE)) == VM_WRITE;
	if (vma)
		left = min(left, vma->vm_end - at);
	mmap_read_unlock(current->mm);
	return left;
}

/*
 * What the caller may write to, and nobody has yet, gets another page once it is
 * written; before Linux 6.2 a page that is pinned for reading only is then the old one.
 */
static int mica_map_own(const struct mica_guest_range *range)
{
	unsigned long at = range->user_addr, piece, left;
	bool copied;

	if (!(range->flags & MICA_RANGE_READONLY))
		return 0;
	for (left = range->length; left; left -= piece, at += piece) {
		if (fatal_signal_pending(current))
			return -EINTR;
		piece = mica_map_piece(at, left, &copied);
		if (copied &&
		    fault_in_safe_writeable((void __user *)at, piece))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/* To undo what was begun must not fail for want of an area, nor with a torn one. */
static int mica_map_areas(struct mica_args *args[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		args[i] = mica_args_open(PAGE_SIZE, false);
		if (IS_ERR(args[i])) {
			mica_args_close(i ? args[0] : NULL);
			return PTR_ERR(args[i]);
		}
	}
	return 0;
}

static void mica_map_areas_close(struct mica_args *args[2])
{
	mica_args_close(args[1]);
	mica_args_close(args[0]);
}

/* Of an area that was torn it is not known what was done with it. */
static bool mica_map_done(struct mica_args *args, long ret)
{
	return !ret || (ret == -EFAULT && mica_args_torn(args));
}

/* What cannot be undone is known, so that it can be unmapped. */
static void mica_map_undo(struct mica_vm *vm, struct mica_args *args,
			  struct mica_map *map, bool dma)
{
	map->iommu = dma && (mica_unmap_dma(vm, args, map) ||
			     mica_map_reached(vm, map));
	map->left = mica_unmap_kvm(vm, args, map) || map->iommu;
}

static int mica_map_kvm_failed(long ret, struct mica_reason *why)
{
	if (ret == -EEXIST)
		return mica_fail(why, -EEXIST, MICA_REASON_RANGE, NULL,
				 "a memory slot that was made on the VM's own descriptor is there already");
	return mica_vm_step(why, ret, MICA_REASON_KVM, NULL,
			    "making a memory slot");
}

static int mica_map_iommu(struct mica_vm *vm, struct mica_args *args,
			  const struct mica_map *map, bool *done,
			  struct mica_reason *why)
{
	long ret = mica_map_own(&map->range) ?: mica_map_dma(vm, args, map);

	*done = mica_map_done(args, ret);
	if (ret)
		return mica_map_dma_failed(map, ret, why);
	if (mica_map_reached(vm, map) < vm->nr_devices)
		return mica_fail(why, -EFAULT, MICA_REASON_VFIO, NULL,
				 "the devices do not reach the memory; another thread must have changed their container");
	return 0;
}

static int mica_map_both(struct mica_vm *vm, struct mica_map *map,
			 struct mica_reason *why)
{
	struct mica_args *args[2];
	bool slot, dma = false;
	long ret;
	int err;

	err = mica_map_areas(args);
	if (err)
		return err;
	ret = mica_map_kvm(vm, args[0], map, map->range.length);
	slot = mica_map_done(args[0], ret);
	err = mica_map_kvm_failed(ret, why);
	if (!err && map->iommu)
		err = mica_map_iommu(vm, args[0], map, &dma, why);
	if (err && slot)
		mica_map_undo(vm, args[1], map, dma);
	mica_map_areas_close(args);
	return err;
}

static bool mica_map_wants_iommu(struct mica_vm *vm,
				 const struct mica_guest_range *range)
{
	return vm->container && !(range->flags & MICA_RANGE_KVM_ONLY);
}

static void mica_map_drop(struct mica_vm *vm, struct mica_map *map)
{
	ida_free(&vm->slots, map->slot);
	kfree(map);
}

static struct mica_map *mica_map_new(struct mica_vm *vm,
				     const struct mica_guest_range *range,
				     struct mica_reason *why)
{
	struct mica_map *map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	int slot;

	if (!map)
		return ERR_PTR(-ENOMEM);
	slot = ida_alloc_range(&vm->slots, MICA_SLOT_FIRST, MICA_SLOT_LAST,
			       GFP_KERNEL_ACCOUNT);
	if (slot < 0) {
		kfree(map);
		if (slot == -ENOSPC)
			mica_fail(why, slot, MICA_REASON_LIMIT, NULL,
				  "KVM has %u memory slots for ranges, and all are in use; map fewer, larger ranges",
				  MICA_SLOT_LAST - MICA_SLOT_FIRST + 1);
		return ERR_PTR(slot);
	}
	map->range = *range;
	map->slot = slot;
	map->iommu = mica_map_wants_iommu(vm, range);
	return map;
}

static void mica_map_count(struct mica_vm *vm, const struct mica_map *map,
			   int sign)
{
	u64 length = sign * map->range.length;

	vm->nr_maps += sign;
	vm->mapped += length;
	if (!map->iommu)
		return;
	vm->nr_iommu += sign;
	vm->pinned += length;
}

/**
 * mica_map_add - map a range
 * @vm: the VM, locked
 * @range: the range, as the caller gave it
 * @why: where a failure is noted
 *
 * Return: 0 or an error.
 */
int mica_map_add(struct mica_vm *vm, const struct mica_guest_range *range,
		 struct mica_reason *why)
{
	struct mica_map *map;
	int err;

	err = mica_map_check(vm, range, mica_map_wants_iommu(vm, range), why);
	if (err)
		return err;
	map = mica_map_new(vm, range, why);
	if (IS_ERR(map))
		return PTR_ERR(map);
	err = mica_map_both(vm, map, why);
	if (err && !map->left) {
		mica_map_drop(vm, map);
		return err;
	}
	rb_add(&map->node, &vm->maps, mica_map_less);
	mica_map_count(vm, map, 1);
	return err;
}

/* KVM's part can fail for want of memory, so VFIO's is the last. */
static int mica_unmap_both(struct mica_vm *vm, struct mica_map *map,
			   struct mica_reason *why)
{
	struct mica_args *args[2];
	long ret;

	ret = mica_map_areas(args);
	if (ret)
		return ret;
	ret = mica_unmap_kvm(vm, args[0], map);
	if (!ret && map->iommu) {
		ret = mica_unmap_dma(vm, args[0], map);
		if (ret == -EFAULT)
			ret = mica_unmap_dma(vm, args[1], map);
		if (!ret && mica_map_reached(vm, map))
			ret = -EFAULT;
	}
	/* To KVM a slot that is there as it was is no change. */
	if (ret)
		mica_map_kvm(vm, args[1], map, map->range.length);
	mica_map_areas_close(args);
	return mica_vm_step(why, ret, MICA_REASON_KVM, NULL, "unmapping");
}

static int mica_map_remove(struct mica_vm *vm, u64 guest_addr, u64 length,
			   struct mica_reason *why)
{
	struct mica_map *map = mica_map_from(vm, guest_addr);
	int err;

	if (!map || map->range.guest_addr != guest_addr ||
	    map->range.length != length)
		return mica_fail(why, -ENOENT, MICA_REASON_RANGE, NULL,
				 "no range was mapped at guest address %#llx with a length of %#llx; a range is unmapped as it was mapped",
				 guest_addr, length);
	err = mica_unmap_both(vm, map, why);
	if (err)
		return err;
	mica_map_count(vm, map, -1);
	rb_erase(&map->node, &vm->maps);
	mica_map_drop(vm, map);
	return 0;
}

/**
 * mica_maps_left - how many more ranges can be mapped
 * @vm: the VM, locked
 *
 * Return: what both KVM and VFIO allow; 0 if VFIO could not be asked.
 */
u32 mica_maps_left(struct mica_vm *vm)
{
	u32 left = MICA_SLOT_LAST - MICA_SLOT_FIRST + 1 - vm->nr_maps;
	struct vfio_iommu_type1_info *info;

	if (!vm->container)
		return left;
	info = mica_iommu_info(vm);
	if (IS_ERR(info))
		return 0;
	left = min(left, mica_iommu_left(info));
	kfree(info);
	return left;
}

static bool mica_maps_reached(struct mica_vm *vm)
{
	struct mica_map *map, *next;
	unsigned int nr = 0;

	rbtree_postorder_for_each_entry_safe(map, next, &vm->maps, node)
		nr += map->iommu ? mica_map_reached(vm, map) : 0;
	return nr;
}

/**
 * mica_maps_undo - unmap all from a container that stays
 * @vm: the VM, locked; what KVM has of it goes with KVM's file
 * @args: an area, not for answers
 *
 * Return: 0 or an error.
 */
int mica_maps_undo(struct mica_vm *vm, struct mica_args *args)
{
	long ret = vm->container ? mica_unmap_dma(vm, args, NULL) : 0;

	if (!ret && mica_maps_reached(vm))
		ret = -EFAULT;
	if (!ret)
		mica_maps_free(vm);
	return ret;
}

/**
 * mica_maps_free - forget what was mapped
 * @vm: the VM
 *
 * What KVM and VFIO have of it goes with their files, or is gone.
 */
void mica_maps_free(struct mica_vm *vm)
{
	struct mica_map *map, *next;

	rbtree_postorder_for_each_entry_safe(map, next, &vm->maps, node)
		kfree(map);
	ida_destroy(&vm->slots);
	vm->maps = RB_ROOT;
	vm->nr_maps = 0;
	vm->nr_iommu = 0;
	vm->mapped = 0;
	vm->pinned = 0;
}

int mica_guest_map_run(struct mica_call *call, void *arg)
{
	struct mica_guest_map *args = arg;
	struct mica_vm *vm = mica_vm_begin(call);
	int err;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = mica_map_add(vm, &args->range, &call->why);
	mica_vm_done(vm);
	return err;
}

int mica_guest_unmap_run(struct mica_call *call, void *arg)
{
	struct mica_guest_unmap *args = arg;
	struct mica_vm *vm = mica_vm_begin(call);
	int err;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = mica_map_remove(vm, args->guest_addr, args->length, &call->why);
	mica_vm_done(vm);
	return err;
}
