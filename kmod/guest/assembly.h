/* SPDX-License-Identifier: GPL-2.0-only */
/* The assembly: a VM, its memory and its interrupts, made for a session. */
#ifndef _MICA_ASSEMBLY_H
#define _MICA_ASSEMBLY_H

#include <linux/atomic.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include "guest.h"

struct file;
struct iommu_group;
struct mm_struct;

/**
 * struct mica_args - an area for the arguments of ioctls
 * @file: what is mapped; frees this
 * @mapper: the task that maps it just now
 * @data: the area, as the kernel sees it
 * @addr: the same, as the caller sees it
 * @len: bytes, whole pages
 * @answers: ioctls can write there, and so can the caller's threads
 * @mappings: of the area; none: the caller's threads have meddled
 * @moved: they have tried to move it
 */
struct mica_args {
	struct file *file;
	struct task_struct *mapper;
	void *data;
	unsigned long addr;
	size_t len;
	bool answers;
	atomic_t mappings;
	bool moved;
};

/**
 * struct mica_vm_group - an IOMMU group of a VM
 * @group: the group, with a reference
 * @file: /dev/vfio/<number>, or NULL
 */
struct mica_vm_group {
	struct iommu_group *group;
	struct file *file;
};

/**
 * struct mica_vm_device - a function of a VM
 * @pdev: the function, with a reference
 * @group: its group
 * @file: what VFIO gives for it, or NULL
 * @irq_type: of the interrupts that are on; one of &enum mica_irq_type
 * @irqs_on: VFIO has that type on, as far as is known
 * @nr_irqs: how many of that type VFIO has on; 0 if none, or if that is not known
 * @vectors: struct mica_vector of each interrupt that is on, by number
 */
struct mica_vm_device {
	struct pci_dev *pdev;
	struct mica_vm_group *group;
	struct file *file;
	u32 irq_type;
	bool irqs_on;
	u32 nr_irqs;
	struct xarray vectors;
};

/**
 * struct mica_vm - what was assembled
 * @ref: the session has one, and each call that works with it
 * @lock: one call after the other
 * @prepared: container and groups were opened beforehand; guarded by @lock
 * @ready: it has been made; likewise
 * @mm: the memory of who makes it, or NULL; only pinned, to be compared; likewise
 * @kvm: the VM, or NULL
 * @link: KVM's device that knows of VFIO's groups, or NULL without groups
 * @container: VFIO's container, or NULL without groups
 * @maps: memory that is mapped, by guest address
 * @slots: numbers of KVM's memory slots that are in use
 * @nr_maps: how many ranges are mapped
 * @nr_iommu: those of them that devices reach
 * @mapped: bytes that are mapped
 * @pinned: those of them that devices reach
 * @gsis: what KVM knows messages by
 * @nr_vectors: messages that are on
 * @groups: its groups
 * @nr_groups: how many
 * @nr_devices: entries of @devices
 * @devices: its functions
 *
 * The files are let go with the last reference: so that the end of a session need
 * not wait for a call that waits, for instance for memory of the caller's.
 */
struct mica_vm {
	struct kref ref;
	struct mutex lock;		/* one call after the other */
	bool prepared;
	bool ready;
	struct mm_struct *mm;
	struct file *kvm;
	struct file *link;
	struct file *container;
	struct rb_root maps;
	struct ida slots;
	u32 nr_maps;
	u32 nr_iommu;
	u64 mapped;
	u64 pinned;
	struct ida gsis;
	u32 nr_vectors;
	struct mica_vm_group *groups;
	unsigned int nr_groups;
	unsigned int nr_devices;
	struct mica_vm_device devices[];
};

/* args.c */
struct mica_args *mica_args_open(size_t len, bool answers);
void mica_args_close(struct mica_args *args);
bool mica_args_torn(struct mica_args *args);
long mica_args_ioctl(struct mica_args *args, struct file *file,
		     unsigned int cmd);
struct file *mica_args_take(struct mica_args *args, struct file *file,
			    unsigned int cmd, const char *name);
long mica_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int mica_fd_lend(struct file *file);
void mica_fd_return(int fd);
struct file *mica_fd_take(long fd, const char *name);

/* vfio.c */
int mica_vfio_open(struct mica_vm *vm, struct mica_reason *why);
int mica_vfio_attach(struct mica_vm *vm, struct mica_reason *why);
int mica_vfio_devices(struct mica_vm *vm, struct mica_reason *why);

/* memory.c */
int mica_map_add(struct mica_vm *vm, const struct mica_guest_range *range,
		 struct mica_reason *why);
u32 mica_maps_left(struct mica_vm *vm);
int mica_maps_undo(struct mica_vm *vm, struct mica_args *args);
void mica_maps_free(struct mica_vm *vm);

/* irq.c */
int mica_vector_set(struct mica_vm *vm, const struct mica_guest_vector *asked,
		    struct mica_reason *why);
u64 mica_vectors_taken(struct mica_vm_device *dev, u32 *nr);
void mica_vectors_free(struct mica_vm *vm, struct mica_vm_device *dev);

/* assembly.c */
struct mica_vm *mica_vm_begin(struct mica_call *call);
void mica_vm_done(struct mica_vm *vm);
struct mica_vm_device *mica_vm_device(struct mica_vm *vm,
				      const struct mica_pci_addr *addr,
				      struct mica_reason *why);
int mica_vm_step(struct mica_reason *why, long ret,
		 enum mica_reason_code code, const char *subject,
		 const char *what);
struct file *mica_open_device(const char *path, int minor);

#endif /* _MICA_ASSEMBLY_H */
