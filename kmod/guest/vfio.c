// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFIO part of an assembly: a container with an IOMMU, the groups of the
 * session's functions in it, and what VFIO gives for each function.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include "assembly.h"

#define MICA_OPEN_TRIES		100
#define MICA_OPEN_POLL_MS	20

/*
 * Does an open group belong to a function that vfio-pci has? Only VFIO knows, and
 * this module must load without it. Returns 0 if it does.
 */
static int mica_vfio_has(struct file *group, struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core;
	bool (*has_dev)(struct file *file, struct vfio_device *device);
	int err;

	has_dev = symbol_get(vfio_file_has_dev);
	if (!has_dev)
		return -ENODEV;
	/* Who unbinds it may hold that for as long as somebody uses it. */
	err = device_lock_interruptible(&pdev->dev);
	if (err)
		goto put;
	err = -ENODEV;
	if (pdev->dev.driver &&
	    !strcmp(pdev->dev.driver->name, MICA_VFIO_DRIVER)) {
		core = dev_get_drvdata(&pdev->dev);
		if (core && has_dev(group, &core->vdev))
			err = 0;
	}
	device_unlock(&pdev->dev);
put:
	symbol_put(vfio_file_has_dev);
	return err;
}

static int mica_vfio_verify(struct mica_vm *vm, struct mica_vm_group *group,
			    struct mica_reason *why)
{
	struct mica_vm_device *dev;
	int err = 0;

	for (dev = vm->devices; dev < vm->devices + vm->nr_devices; dev++) {
		if (dev->group == group)
			err = mica_vfio_has(group->file, dev->pdev);
		if (err)
			break;
	}
	if (err == -ENODEV)
		mica_fail(why, err, MICA_REASON_VFIO, pci_name(dev->pdev),
			  "%s is not bound to vfio-pci any more, or /dev/vfio/%d is not its group",
			  pci_name(dev->pdev), iommu_group_id(group->group));
	return err;
}

static int mica_vfio_open_group(struct mica_vm *vm, struct mica_vm_group *group,
				struct mica_reason *why)
{
	struct file *file;
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%d",
		 iommu_group_id(group->group));
	file = filp_open(path, O_RDWR | O_CLOEXEC, 0);
	if (PTR_ERR(file) == -EBUSY)
		return mica_fail(why, -EBUSY, MICA_REASON_USER, path,
				 "a process has %s open; end it first", path);
	if (PTR_ERR(file) == -ENOENT)
		return mica_fail(why, -ENODEV, MICA_REASON_VFIO, path,
				 "%s is not there; either its functions are not bound to vfio-pci any more, or /dev is not that of the host",
				 path);
	if (IS_ERR(file))
		return mica_vm_step(why, PTR_ERR(file), MICA_REASON_VFIO, path,
				    "opening it");
	group->file = file;
	return mica_vfio_verify(vm, group, why);
}

/**
 * mica_vfio_open - open the container and the groups
 * @vm: the VM
 * @why: where a failure is noted
 *
 * With the credentials and in the name space of the caller. What was opened when
 * it fails goes with the VM.
 *
 * Context: takes the locks of the functions.
 * Return: 0 or an error.
 */
int mica_vfio_open(struct mica_vm *vm, struct mica_reason *why)
{
	const char *path = "/dev/vfio/vfio";
	unsigned int i;
	int err = 0;

	vm->container = mica_open_device(path, VFIO_MINOR);
	if (IS_ERR(vm->container)) {
		err = PTR_ERR(vm->container);
		vm->container = NULL;
		return mica_vm_step(why, err, MICA_REASON_VFIO, path,
				    "opening it");
	}
	for (i = 0; i < vm->nr_groups && !err; i++)
		err = mica_vfio_open_group(vm, &vm->groups[i], why);
	return err;
}

static int mica_vfio_set_iommu(struct mica_vm *vm, struct mica_reason *why)
{
	long ret = mica_file_ioctl(vm->container, VFIO_SET_IOMMU,
				   VFIO_TYPE1v2_IOMMU);

	if (ret == -EPERM)
		return mica_fail(why, -EPERM, MICA_REASON_NO_IOMMU, NULL,
				 "the IOMMU does not check interrupts (interrupt remapping), so a guest could forge those of the host; switch that on in the firmware");
	return mica_vm_step(why, ret, MICA_REASON_VFIO, NULL,
			    "giving the container an IOMMU");
}

/**
 * mica_vfio_attach - put the groups into the container, with an IOMMU
 * @vm: the VM
 * @why: where a failure is noted
 *
 * Return: 0 or an error.
 */
int mica_vfio_attach(struct mica_vm *vm, struct mica_reason *why)
{
	struct mica_args *args = mica_args_open(sizeof(int), false);
	unsigned int i;
	long ret = 0;
	int fd;

	if (IS_ERR(args))
		return PTR_ERR(args);
	fd = mica_fd_lend(vm->container);
	*(int *)args->data = fd;
	if (fd < 0)
		ret = fd;
	for (i = 0; i < vm->nr_groups && !ret; i++)
		ret = mica_args_ioctl(args, vm->groups[i].file,
				      VFIO_GROUP_SET_CONTAINER);
	mica_fd_return(fd);
	mica_args_close(args);
	return mica_vm_step(why, ret, MICA_REASON_VFIO, NULL,
			    "putting an IOMMU group into a container") ?:
	       mica_vfio_set_iommu(vm, why);
}

/* VFIO gives up at once if somebody has it locked, be it only to look at it. */
static struct file *mica_vfio_open_device(struct mica_args *args,
					  const struct mica_vm_device *dev)
{
	int tries = MICA_OPEN_TRIES;
	struct file *file;

	strscpy(args->data, pci_name(dev->pdev), args->len);
	while (1) {
		file = mica_args_take(args, dev->group->file,
				      VFIO_GROUP_GET_DEVICE_FD, "[vfio-device]");
		if (file != ERR_PTR(-EAGAIN) || !tries--)
			return file;
		schedule_timeout_killable(msecs_to_jiffies(MICA_OPEN_POLL_MS));
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
	}
}

/**
 * mica_vfio_devices - open the functions
 * @vm: the VM, whose groups have an IOMMU
 * @why: where a failure is noted
 *
 * VFIO enables each, and resets it if it can.
 *
 * Return: 0 or an error.
 */
int mica_vfio_devices(struct mica_vm *vm, struct mica_reason *why)
{
	struct mica_args *args = mica_args_open(PAGE_SIZE, false);
	struct mica_vm_device *dev;
	int err = 0;

	if (IS_ERR(args))
		return PTR_ERR(args);
	for (dev = vm->devices; dev < vm->devices + vm->nr_devices; dev++) {
		dev->file = mica_vfio_open_device(args, dev);
		if (!IS_ERR(dev->file))
			continue;
		err = mica_vm_step(why, PTR_ERR(dev->file), MICA_REASON_VFIO,
				   pci_name(dev->pdev), "opening it");
		dev->file = NULL;
		break;
	}
	mica_args_close(args);
	return err;
}
