// SPDX-License-Identifier: GPL-2.0-only
/* MICA_GUEST_RESET and MICA_GUEST_STAT. */
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "assembly.h"

static bool mica_group_is_on(struct mica_vm *vm, struct mica_vm_group *group,
			     struct pci_bus *bus)
{
	struct mica_vm_device *dev;

	for (dev = vm->devices; dev < vm->devices + vm->nr_devices; dev++)
		if (dev->group == group && dev->pdev->bus == bus)
			return true;
	return false;
}

/* VFIO wants to see the groups of all functions that a bus reset strikes, and no others. */
static long mica_reset_hot(struct mica_vm *vm, struct mica_vm_device *dev)
{
	struct vfio_pci_hot_reset *reset;
	struct mica_args *args;
	unsigned int i, n = 0;
	long ret = 0;

	args = mica_args_open(struct_size(reset, group_fds, vm->nr_groups),
			      false);
	if (IS_ERR(args))
		return PTR_ERR(args);
	reset = args->data;
	for (i = 0; i < vm->nr_groups && !ret; i++) {
		if (!mica_group_is_on(vm, &vm->groups[i], dev->pdev->bus))
			continue;
		reset->group_fds[n] = mica_fd_lend(vm->groups[i].file);
		if (reset->group_fds[n] < 0)
			ret = reset->group_fds[n];
		else
			n++;
	}
	reset->argsz = struct_size(reset, group_fds, n);
	reset->count = n;
	if (!ret)
		ret = mica_args_ioctl(args, dev->file,
				      VFIO_DEVICE_PCI_HOT_RESET);
	while (n--)
		mica_fd_return(reset->group_fds[n]);
	mica_args_close(args);
	return ret;
}

static int mica_guest_reset(struct mica_vm *vm, struct mica_vm_device *dev,
			    struct mica_reason *why)
{
	const char *name = pci_name(dev->pdev);
	long ret = mica_file_ioctl(dev->file, VFIO_DEVICE_RESET, 0);
	bool answers;

	/* VFIO's word for "this function has no reset of its own". */
	if (ret == -EINVAL || ret == -ENOTTY)
		ret = mica_reset_hot(vm, dev);
	if (ret == -ENODEV || ret == -EINVAL || ret == -EPERM)
		return mica_fail(why, -EOPNOTSUPP, MICA_REASON_RESET, name,
				 "%s has no way to be reset that strikes only functions of this guest",
				 name);
	if (ret)
		return mica_vm_step(why, ret, MICA_REASON_RESET, name,
				    "resetting it");
	pm_runtime_get_sync(&dev->pdev->dev);
	answers = mica_reset_answers(dev->pdev);
	pm_runtime_put(&dev->pdev->dev);
	if (!answers)
		return mica_fail(why, -EIO, MICA_REASON_RESET, name,
				 "%s does not answer after its reset; it is lost until the host is switched off",
				 name);
	return 0;
}

int mica_guest_reset_run(struct mica_call *call, void *arg)
{
	struct mica_guest_reset *args = arg;
	struct mica_vm *vm = mica_vm_begin(call);
	struct mica_vm_device *dev;
	int err;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	dev = mica_vm_device(vm, &args->addr, &call->why);
	err = PTR_ERR_OR_ZERO(dev) ?: mica_guest_reset(vm, dev, &call->why);
	mica_vm_done(vm);
	return err;
}

static int mica_stat_device(struct mica_vm_device *dev,
			    struct mica_guest_stat_device __user *to)
{
	struct mica_guest_stat_device stat = {
		.irq_type = dev->irq_type,
	};

	mica_addr_of(dev->pdev, &stat.addr);
	stat.interrupts = mica_vectors_taken(dev, &stat.nr_vectors);
	return copy_to_user(to, &stat, sizeof(stat)) ? -EFAULT : 0;
}

int mica_guest_stat_run(struct mica_call *call, void *arg)
{
	struct mica_guest_stat *stat = arg;
	struct mica_guest_stat_device __user *to =
		u64_to_user_ptr(stat->devices_ptr);
	u32 room = to ? stat->nr_devices : 0;
	struct mica_vm *vm;
	int err;
	u32 i;

	err = mica_need_zero(call, stat->reserved, "reserved");
	if (err)
		return err;
	vm = mica_vm_begin(call);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	stat->mapped = vm->mapped;
	stat->pinned = vm->pinned;
	stat->nr_ranges = vm->nr_maps;
	stat->ranges_left = mica_maps_left(vm);
	stat->nr_devices = vm->nr_devices;
	for (i = 0; i < min(room, vm->nr_devices) && !err; i++)
		err = mica_stat_device(&vm->devices[i], &to[i]);
	mica_vm_done(vm);
	return err;
}
