// SPDX-License-Identifier: GPL-2.0-only
/*
 * MICA_GUEST_CREATE: a VM with the functions of a session. It is made by the
 * ioctls of KVM and VFIO, on their own files, which the caller's credentials
 * open. KVM binds a VM to the memory of who makes it, and so do we.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/kvm.h>
#include <linux/major.h>
#include <linux/miscdevice.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include "../compat/workqueue.h"
#include "assembly.h"

/* VM, container, and one for each function that may be asked for. */
#define MICA_FDS	(2 + MICA_CLAIM_MAX)

/**
 * struct mica_fds - descriptors that are given to the caller, last of all
 * @nr: how many
 * @fd: reserved
 * @file: what they are going to be, without a reference
 */
struct mica_fds {
	unsigned int nr;
	int fd[MICA_FDS];
	struct file *file[MICA_FDS];
};

/**
 * mica_vm_step - what came of a step
 * @why: where a failure is noted
 * @ret: what the step returned
 * @code: what it is about
 * @subject: the device or path that it is about, or NULL
 * @what: the step
 *
 * Return: 0, or @ret if it is an error.
 */
int mica_vm_step(struct mica_reason *why, long ret,
		 enum mica_reason_code code, const char *subject,
		 const char *what)
{
	const char *colon = subject ? ": " : "";

	if (ret >= 0)
		return 0;
	if (ret == -EMFILE)
		return mica_fail(why, ret, MICA_REASON_LIMIT, subject,
				 "%s%s%s takes a descriptor, and there is none left; raise RLIMIT_NOFILE (ulimit -n)",
				 subject ?: "", colon, what);
	return mica_fail(why, ret, code, subject,
			 "%s%s%s failed with %ld; the kernel log may tell more",
			 subject ?: "", colon, what, ret);
}

/**
 * mica_open_device - open a misc device, in the name of the caller
 * @path: where it should be
 * @minor: its number
 *
 * Return: the file, or an error; -ENODEV if something else is there.
 */
struct file *mica_open_device(const char *path, int minor)
{
	struct file *file = filp_open(path, O_RDWR | O_CLOEXEC, 0);
	struct inode *inode;

	if (IS_ERR(file))
		return file;
	inode = file_inode(file);
	if (S_ISCHR(inode->i_mode) && inode->i_rdev == MKDEV(MISC_MAJOR, minor))
		return file;
	fput(file);
	return ERR_PTR(-ENODEV);
}

static void mica_file_put(struct file *file)
{
	if (file)
		fput(file);
}

/* From a kernel thread: it is closed when this returns, if nobody else has it. */
static void mica_file_close(struct file *file)
{
	if (file)
		__fput_sync(file);
}

/* What there is of a VM but its container, its groups and its memory. */
static void mica_vm_unmake(struct mica_vm *vm, void (*put)(struct file *file))
{
	struct mica_vm_device *dev;

	for (dev = vm->devices; dev < vm->devices + vm->nr_devices; dev++) {
		mica_vectors_free(vm, dev);
		put(dev->file);
		dev->file = NULL;
		dev->irqs_on = false;
		dev->nr_irqs = 0;
	}
	put(vm->link);
	put(vm->kvm);
	vm->link = NULL;
	vm->kvm = NULL;
	if (vm->mm)
		mmdrop(vm->mm);
	vm->mm = NULL;
}

struct mica_vm_closing {
	struct work_struct work;
	struct mica_vm *vm;
};

static void mica_vm_close_work(struct work_struct *work)
{
	mica_vm_unmake(container_of(work, struct mica_vm_closing, work)->vm,
		       mica_file_close);
}

/*
 * In a system call a file is closed on the way back to user space: too late for a
 * function that is opened again in the same call, which VFIO would then neither stop
 * nor reset. Like that opening, this takes as long as a reset does.
 */
static void mica_vm_close(struct mica_vm *vm)
{
	struct mica_vm_closing closing = { .vm = vm };

	INIT_WORK_ONSTACK(&closing.work, mica_vm_close_work);
	queue_work(system_dfl_wq, &closing.work);
	flush_work(&closing.work);
	destroy_work_on_stack(&closing.work);
}

static void mica_vm_free(struct kref *ref)
{
	struct mica_vm *vm = container_of(ref, struct mica_vm, ref);
	unsigned int i;

	mica_vm_unmake(vm, mica_file_put);
	ida_destroy(&vm->gsis);
	mica_maps_free(vm);
	for (i = 0; i < vm->nr_devices; i++)
		pci_dev_put(vm->devices[i].pdev);
	for (i = 0; i < vm->nr_groups; i++) {
		mica_file_put(vm->groups[i].file);
		iommu_group_put(vm->groups[i].group);
	}
	mica_file_put(vm->container);
	kfree(vm->groups);
	kfree(vm);
}

static void mica_vm_put(struct mica_vm *vm)
{
	kref_put(&vm->ref, mica_vm_free);
}

/* Every function has its group, and functions of one group the same. */
static int mica_vm_group(struct mica_vm *vm, struct mica_vm_device *dev)
{
	struct iommu_group *group = iommu_group_get(&dev->pdev->dev);
	unsigned int i;

	if (!group)
		return -ENODEV;
	for (i = 0; i < vm->nr_groups && vm->groups[i].group != group; i++)
		;
	dev->group = &vm->groups[i];
	if (i < vm->nr_groups) {
		iommu_group_put(group);
		return 0;
	}
	vm->groups[i].group = group;
	vm->nr_groups++;
	return 0;
}

static int mica_vm_functions(struct mica_vm *vm, struct mica_session *session,
			     unsigned int max)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < max; i++) {
		vm->devices[i].pdev = mica_custody_function(session, i);
		if (!vm->devices[i].pdev)
			break;
		xa_init(&vm->devices[i].vectors);
		vm->nr_devices++;
	}
	for (i = 0; i < vm->nr_devices && !err; i++)
		err = mica_vm_group(vm, &vm->devices[i]);
	return err;
}

/* A VM that knows its functions, and nothing more. */
static struct mica_vm *mica_vm_new(struct mica_session *session)
{
	unsigned int max = mica_custody_count(session);
	struct mica_vm *vm;
	int err;

	vm = kzalloc(struct_size(vm, devices, max), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->groups = kcalloc(max, sizeof(*vm->groups), GFP_KERNEL_ACCOUNT);
	if (!vm->groups) {
		kfree(vm);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	vm->maps = RB_ROOT;
	ida_init(&vm->slots);
	ida_init(&vm->gsis);
	err = mica_vm_functions(vm, session, max);
	if (err) {
		mica_vm_put(vm);
		return ERR_PTR(err);
	}
	return vm;
}

static int mica_kvm_open(struct mica_vm *vm, struct mica_reason *why)
{
	const char *path = "/dev/kvm";
	struct file *dev = mica_open_device(path, KVM_MINOR);
	struct file *kvm;

	if (IS_ERR(dev))
		return mica_vm_step(why, PTR_ERR(dev), MICA_REASON_KVM, path,
				    "opening it");
	kvm = mica_fd_take(mica_file_ioctl(dev, KVM_CREATE_VM, 0), "kvm-vm");
	fput(dev);
	if (IS_ERR(kvm))
		return mica_vm_step(why, PTR_ERR(kvm), MICA_REASON_KVM, path,
				    "creating a VM");
	vm->kvm = kvm;
	return mica_vm_step(why, mica_file_ioctl(kvm, KVM_CREATE_IRQCHIP, 0),
			    MICA_REASON_KVM, path,
			    "creating interrupt controllers");
}

static int mica_kvm_link_open(struct mica_vm *vm)
{
	struct mica_args *args = mica_args_open(sizeof(struct kvm_create_device),
						true);
	struct kvm_create_device *create;
	struct file *link;
	long ret;
	int fd;

	if (IS_ERR(args))
		return PTR_ERR(args);
	create = args->data;
	create->type = KVM_DEV_TYPE_VFIO;
	ret = mica_args_ioctl(args, vm->kvm, KVM_CREATE_DEVICE);
	/* Other threads can write there, so that it may be any number. */
	fd = READ_ONCE(create->fd);
	link = mica_fd_take(ret ?: fd < 0 ? -EBADF : fd, "kvm-vfio");
	mica_args_close(args);
	if (IS_ERR(link))
		return PTR_ERR(link);
	vm->link = link;
	return 0;
}

static int mica_kvm_link_group(struct mica_vm *vm, struct mica_args *args,
			       struct file *group)
{
	struct {
		struct kvm_device_attr attr;
		s32 fd;
	} *arg = args->data;
	long ret;
	int fd;

	fd = mica_fd_lend(group);
	if (fd < 0)
		return fd;
	arg->attr.group = KVM_DEV_VFIO_GROUP;
	arg->attr.attr = KVM_DEV_VFIO_GROUP_ADD;
	arg->attr.addr = args->addr + offsetof(typeof(*arg), fd);
	arg->fd = fd;
	ret = mica_args_ioctl(args, vm->link, KVM_SET_DEVICE_ATTR);
	mica_fd_return(fd);
	return ret;
}

/* KVM has to know of groups: whether their DMA is coherent, for one thing. */
static int mica_kvm_link(struct mica_vm *vm, struct mica_reason *why)
{
	struct mica_args *args;
	unsigned int i;
	int err;

	err = mica_kvm_link_open(vm);
	args = err ? NULL : mica_args_open(PAGE_SIZE, false);
	if (IS_ERR(args))
		return PTR_ERR(args);
	for (i = 0; i < vm->nr_groups && !err; i++)
		err = mica_kvm_link_group(vm, args, vm->groups[i].file);
	mica_args_close(args);
	return mica_vm_step(why, err, MICA_REASON_KVM, NULL,
			    "telling KVM of the IOMMU groups");
}

static int mica_vm_prepare(struct mica_vm *vm, struct mica_reason *why)
{
	if (vm->prepared)
		return 0;
	return mica_vfio_open(vm, why) ?: mica_vfio_attach(vm, why);
}

static int mica_vm_make(struct mica_vm *vm, struct mica_reason *why)
{
	int err = mica_kvm_open(vm, why);

	if (err || !vm->nr_devices)
		return err;
	return mica_vm_prepare(vm, why) ?:
	       mica_kvm_link(vm, why) ?:
	       mica_vfio_devices(vm, why);
}

/**
 * mica_vm_device - a function of a VM
 * @vm: the VM
 * @addr: its address, from user space
 * @why: where a failure is noted
 *
 * Return: the function, -EINVAL or -ENOENT.
 */
struct mica_vm_device *mica_vm_device(struct mica_vm *vm,
				      const struct mica_pci_addr *addr,
				      struct mica_reason *why)
{
	struct mica_vm_device *dev;
	struct pci_dev *pdev;
	int err;

	err = mica_addr_find(addr, &pdev, why);
	if (err)
		return ERR_PTR(err);
	for (dev = vm->devices; dev < vm->devices + vm->nr_devices; dev++)
		if (dev->pdev == pdev)
			break;
	if (dev == vm->devices + vm->nr_devices) {
		mica_fail(why, -ENOENT, MICA_REASON_NO_DEVICE, pci_name(pdev),
			  "%s is not a function of this guest; claim it before the guest is created",
			  pci_name(pdev));
		dev = ERR_PTR(-ENOENT);
	}
	pci_dev_put(pdev);
	return dev;
}

static int mica_fds_add(struct mica_fds *fds, struct file *file)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd < 0)
		return fd;
	fds->fd[fds->nr] = fd;
	fds->file[fds->nr++] = file;
	return fd;
}

static void mica_fds_drop(struct mica_fds *fds)
{
	while (fds->nr)
		put_unused_fd(fds->fd[--fds->nr]);
}

static void mica_fds_install(struct mica_fds *fds)
{
	while (fds->nr) {
		fds->nr--;
		fd_install(fds->fd[fds->nr], get_file(fds->file[fds->nr]));
	}
}

static int mica_create_device(struct mica_call *call, struct mica_vm *vm,
			      struct mica_fds *fds,
			      struct mica_guest_device __user *udev)
{
	struct mica_guest_device want;
	struct mica_vm_device *dev;
	int err;

	if (copy_from_user(&want, udev, sizeof(want)))
		return -EFAULT;
	err = mica_need_zero(call, want.reserved, "reserved of a device");
	if (err)
		return err;
	dev = mica_vm_device(vm, &want.addr, &call->why);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	want.fd = mica_fds_add(fds, dev->file);
	if (want.fd < 0)
		return want.fd;
	return copy_to_user(udev, &want, sizeof(want)) ? -EFAULT : 0;
}

static int mica_create_container(struct mica_call *call, struct mica_vm *vm,
				 struct mica_fds *fds,
				 struct mica_guest_create *create)
{
	create->container_fd = -1;
	if (!(create->flags & MICA_GUEST_CONTAINER))
		return 0;
	if (!vm->container)
		return mica_fail(&call->why, -ENODEV, MICA_REASON_NO_DEVICE,
				 NULL,
				 "a guest without functions has no container; claim some first");
	create->container_fd = mica_fds_add(fds, vm->container);
	return min(create->container_fd, 0);
}

/* What the caller gets is reserved here, and there once nothing can fail. */
static int mica_create_fds(struct mica_call *call, struct mica_vm *vm,
			   struct mica_fds *fds,
			   struct mica_guest_create *create)
{
	struct mica_guest_device __user *udev =
		u64_to_user_ptr(create->devices_ptr);
	unsigned int i;
	int err;

	create->vm_fd = mica_fds_add(fds, vm->kvm);
	err = create->vm_fd < 0 ? create->vm_fd :
	      mica_create_container(call, vm, fds, create);
	for (i = 0; i < create->nr_devices && !err; i++)
		err = mica_create_device(call, vm, fds, &udev[i]);
	if (err == -EMFILE)
		mica_vm_step(&call->why, err, MICA_REASON_LIMIT, NULL,
			     "each object that is asked for");
	return err;
}

static int mica_vm_refuse(struct mica_reason *why)
{
	return mica_fail(why, -EBUSY, MICA_REASON_GUEST, NULL,
			 "the session has a guest already; open another session for another guest");
}

/* A session that ends meanwhile has no use for a VM any more. */
static int mica_vm_publish(struct mica_session *session, struct mica_vm *vm,
			   struct mica_reason *why)
{
	int err = 0;

	spin_lock(&session->lock);
	if (READ_ONCE(session->ending))
		err = -ENODEV;
	else if (session->vm)
		err = -EBUSY;
	if (!err) {
		kref_get(&vm->ref);
		session->vm = vm;
	}
	spin_unlock(&session->lock);
	if (err == -ENODEV)
		return mica_session_ended(session, why);
	if (err)
		return mica_vm_refuse(why);
	return 0;
}

/* It may have ended since, or somebody may be taking a function from it. */
static int mica_vm_still(struct mica_session *session, struct mica_vm *vm,
			 struct mica_reason *why)
{
	bool still;

	spin_lock(&session->lock);
	still = session->vm == vm;
	spin_unlock(&session->lock);
	if (still)
		return 0;
	if (READ_ONCE(session->ending))
		return mica_session_ended(session, why);
	return mica_fail(why, -ENODEV, MICA_REASON_VFIO, NULL,
			 "somebody takes a function of the session from vfio-pci");
}

/* Of the session and a failing call, one drops the session's reference. */
static void mica_vm_unpublish(struct mica_session *session, struct mica_vm *vm)
{
	bool ours;

	spin_lock(&session->lock);
	if (!vm)
		vm = session->vm;
	ours = vm && session->vm == vm;
	if (ours)
		session->vm = NULL;
	spin_unlock(&session->lock);
	if (ours)
		mica_vm_put(vm);
}

static int mica_setup_killed(void)
{
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Memory and interrupts, all or none: what there is goes with the VM. */
static int mica_setup_fill(struct mica_vm *vm,
			   const struct mica_guest_setup *setup,
			   struct mica_reason *why)
{
	struct mica_guest_range __user *ranges =
		u64_to_user_ptr(setup->ranges_ptr);
	struct mica_guest_vector __user *vectors =
		u64_to_user_ptr(setup->vectors_ptr);
	struct mica_guest_vector vector;
	struct mica_guest_range range;
	int err = 0;
	u32 i;

	for (i = 0; i < setup->nr_ranges && !err; i++) {
		if (copy_from_user(&range, &ranges[i], sizeof(range)))
			return -EFAULT;
		err = mica_setup_killed() ?: mica_map_add(vm, &range, why);
	}
	for (i = 0; i < setup->nr_vectors && !err; i++) {
		if (copy_from_user(&vector, &vectors[i], sizeof(vector)))
			return -EFAULT;
		err = mica_setup_killed() ?:
		      mica_vector_set(vm, &vector, why);
	}
	return err;
}

static int mica_create(struct mica_call *call, struct mica_vm *vm,
		       struct mica_guest_create *create,
		       struct mica_guest_setup *setup)
{
	struct mica_fds *fds = kzalloc(sizeof(*fds), GFP_KERNEL_ACCOUNT);
	int err;

	if (!fds)
		return -ENOMEM;
	vm->mm = current->mm;
	mmgrab(vm->mm);
	err = mica_vm_make(vm, &call->why) ?:
	      mica_setup_fill(vm, setup, &call->why) ?:
	      mica_create_fds(call, vm, fds, create) ?:
	      mica_vm_still(call->session, vm, &call->why);
	setup->vm_fd = create->vm_fd;
	setup->container_fd = create->container_fd;
	err = err ?: mica_give(call);
	if (!err) {
		vm->ready = true;
		mica_fds_install(fds);
	}
	mica_fds_drop(fds);
	kfree(fds);
	return err;
}

/* With what the caller may open; who makes the guest need not be able to. */
static int mica_prepare(struct mica_call *call, struct mica_vm *vm,
			struct mica_guest_create *create)
{
	int err;

	if (!vm->nr_devices)
		return mica_fail(&call->why, -ENODEV, MICA_REASON_NO_DEVICE,
				 NULL,
				 "the session holds no function; claim some first");
	err = mica_vm_prepare(vm, &call->why);
	if (err)
		return err;
	vm->prepared = true;
	create->vm_fd = -1;
	create->container_fd = -1;
	return mica_give(call);
}

static struct mica_vm *mica_vm_get(struct mica_session *session)
{
	struct mica_vm *vm;

	spin_lock(&session->lock);
	vm = session->vm;
	if (vm)
		kref_get(&vm->ref);
	spin_unlock(&session->lock);
	return vm;
}

/* For a session that has none. */
static int mica_vm_create_new(struct mica_call *call, struct mica_vm *vm,
			      struct mica_guest_create *create,
			      struct mica_guest_setup *setup)
{
	int err = mica_vm_publish(call->session, vm, &call->why);

	if (err)
		return err;
	err = create->flags & MICA_GUEST_PREPARE ?
	      mica_prepare(call, vm, create) :
	      mica_create(call, vm, create, setup);
	if (err)
		mica_vm_unpublish(call->session, vm);
	return err;
}

/* Back to a container and groups that are open, as MICA_GUEST_PREPARE leaves them. */
static int mica_vm_undo(struct mica_session *session, struct mica_vm *vm,
			struct mica_args *args)
{
	int err;

	vm->ready = false;
	vm->prepared = true;
	/* Before their memory is taken from them. */
	mica_vm_close(vm);
	err = mica_maps_undo(vm, args);
	if (err)
		mica_vm_unpublish(session, vm);
	return err;
}

/* What is open of a function has the file of its group, too. */
static bool mica_vm_shared(struct mica_vm *vm)
{
	unsigned int i;

	if (vm->container && file_count(vm->container) > 1)
		return true;
	for (i = 0; i < vm->nr_groups; i++)
		if (file_count(vm->groups[i].file) > 1)
			return true;
	return false;
}

/* Who has one of these could map memory for the devices of the next guest. */
static int mica_vm_alone(struct mica_vm *vm, struct mica_reason *why)
{
	if (!mica_vm_shared(vm))
		return 0;
	return mica_fail(why, -EBUSY, MICA_REASON_USER, NULL,
			 "a process still has a descriptor of the guest that the session had before; end it first");
}

/*
 * With what there is already: from MICA_GUEST_PREPARE, or from a process that had a
 * guest and is no more. If this fails, it is there for another attempt.
 */
static int mica_vm_create_again(struct mica_call *call, struct mica_vm *vm,
				struct mica_guest_create *create,
				struct mica_guest_setup *setup)
{
	bool orphan = vm->ready && !atomic_read(&vm->mm->mm_users);
	struct mica_args *args;
	int err = 0;

	if (create->flags & MICA_GUEST_PREPARE ||
	    !(orphan || (vm->prepared && !vm->ready)))
		return mica_vm_refuse(&call->why);
	/* To undo it must not fail for want of it. */
	args = mica_args_open(PAGE_SIZE, false);
	if (IS_ERR(args))
		return PTR_ERR(args);
	if (orphan)
		err = mica_vm_undo(call->session, vm, args);
	/* Who had a descriptor until now may have mapped something. */
	err = err ?: mica_vm_alone(vm, &call->why) ?: mica_maps_undo(vm, args);
	if (!err) {
		err = mica_create(call, vm, create, setup);
		if (err)
			mica_vm_undo(call->session, vm, args);
	}
	mica_args_close(args);
	return err;
}

static int mica_vm_create(struct mica_call *call,
			  struct mica_guest_create *create,
			  struct mica_guest_setup *setup)
{
	struct mica_vm *vm;
	bool there;
	int err;

	if (create->nr_devices > MICA_CLAIM_MAX)
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE,
				 NULL, "nr_devices must be at most %u",
				 MICA_CLAIM_MAX);
	if (create->flags & MICA_GUEST_PREPARE &&
	    (create->nr_devices || create->flags & MICA_GUEST_CONTAINER))
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE,
				 NULL,
				 "with MICA_GUEST_PREPARE no descriptors can be asked for");
	vm = mica_vm_get(call->session);
	there = vm;
	if (!there)
		vm = mica_vm_new(call->session);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = mutex_lock_killable(&vm->lock);
	if (!err) {
		err = there ?
		      mica_vm_create_again(call, vm, create, setup) :
		      mica_vm_create_new(call, vm, create, setup);
		mutex_unlock(&vm->lock);
	}
	mica_vm_put(vm);
	/* Whatever it met then comes from that. */
	if (err && READ_ONCE(call->session->ending))
		return mica_session_ended(call->session, &call->why);
	return err;
}

static int mica_vm_lock(struct mica_vm *vm, struct mica_reason *why)
{
	int err = 0;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	if (!vm->ready)
		err = -ENOENT;
	else if (vm->mm != current->mm)
		err = mica_fail(why, -EIO, MICA_REASON_GUEST, NULL,
				"another process made the guest, and KVM binds it to that process's memory");
	if (err)
		mutex_unlock(&vm->lock);
	return err;
}

/**
 * mica_vm_begin - a call works with the session's VM
 * @call: the call
 *
 * Context: takes the VM's lock, until mica_vm_done().
 * Return: the VM; -ENOENT without one, -EIO for who did not make it, -EINTR.
 */
struct mica_vm *mica_vm_begin(struct mica_call *call)
{
	struct mica_vm *vm = mica_vm_get(call->session);
	int err = vm ? mica_vm_lock(vm, &call->why) : -ENOENT;

	if (!err)
		return vm;
	if (vm)
		mica_vm_put(vm);
	if (err == -ENOENT)
		mica_fail(&call->why, err, MICA_REASON_GUEST, NULL,
			  "the session has no guest, or not any more; MICA_GUEST_CREATE makes one");
	return ERR_PTR(err);
}

/**
 * mica_vm_done - a call is done with the session's VM
 * @vm: what mica_vm_begin() returned
 */
void mica_vm_done(struct mica_vm *vm)
{
	mutex_unlock(&vm->lock);
	mica_vm_put(vm);
}

int mica_guest_create_run(struct mica_call *call, void *arg)
{
	struct mica_guest_setup nothing = {};
	struct mica_guest_create *create = arg;

	return mica_need_zero(call, create->reserved, "reserved") ?:
	       mica_vm_create(call, create, &nothing);
}

int mica_guest_setup_run(struct mica_call *call, void *arg)
{
	struct mica_guest_setup *setup = arg;
	struct mica_guest_create create = {
		.flags = setup->flags,
		.devices_ptr = setup->devices_ptr,
		.nr_devices = setup->nr_devices,
	};
	int err;

	err = mica_need_zero(call, setup->reserved, "reserved");
	if (err)
		return err;
	if (setup->nr_ranges > MICA_SETUP_MAX ||
	    setup->nr_vectors > MICA_SETUP_MAX)
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE,
				 NULL,
				 "nr_ranges and nr_vectors must be at most %u",
				 MICA_SETUP_MAX);
	return mica_vm_create(call, &create, setup);
}

/**
 * mica_vm_end - a session lets its VM go
 * @session: the session, which is ending, or which loses one of its functions
 *
 * It does not wait: neither for a call that is under way, whose last act it will
 * be to let the VM's files go, nor for those files to be closed.
 */
void mica_vm_end(struct mica_session *session)
{
	mica_vm_unpublish(session, NULL);
}

static void mica_vm_drop(struct work_struct *work)
{
	mica_vm_end(container_of(work, struct mica_session, drop));
}

/**
 * mica_vm_init - prepare a session for having a VM
 * @session: the session
 */
void mica_vm_init(struct mica_session *session)
{
	INIT_WORK(&session->drop, mica_vm_drop);
}
