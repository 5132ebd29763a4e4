// SPDX-License-Identifier: GPL-2.0-only
/*
 * MICA_GUEST_IRQ: an interrupt of a function becomes an interrupt of the guest. VFIO
 * signals an eventfd of the caller's, KVM waits for it; neither needs user space
 * again. The table that says what an interrupt is to the guest is replaced as a
 * whole each time, so it is known here, with the routes that KVM begins with.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kvm.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include "assembly.h"

/* Pins of the I/O APIC, and those of them that the two PICs have as well. */
#define MICA_PINS		24
#define MICA_PIC_PINS		16
/* KVM's tables have 4096 entries. */
#define MICA_ROUTES		4096
#define MICA_GSI_LAST		(MICA_ROUTES - MICA_PIC_PINS - 1)

/**
 * struct mica_vector - an interrupt that is on
 * @gsi: what KVM knows it by
 * @file: the eventfd, with a reference
 * @resample: the one that says that the guest has handled it, or NULL
 * @address: what the function would write to; of an MSI
 * @data: what it would write
 * @taken: of INTx, how often the host had taken it before
 * @half_off: to switch it off was begun, and has failed
 */
struct mica_vector {
	u32 gsi;
	struct file *file;
	struct file *resample;
	u64 address;
	u32 data;
	u64 taken;
	bool half_off;
};

/* Descriptors that name the two files for the time of a call. */
struct mica_vector_fds {
	int fd;
	int resample;
};

/* How often the host took an interrupt since its number was given out. */
static u64 mica_irq_taken(int irq)
{
	struct irq_data *data;
	u64 taken = 0;

	rcu_read_lock();
	data = irq > 0 ? irq_get_irq_data(irq) : NULL;
	if (data)
		taken = READ_ONCE(irq_data_to_desc(data)->tot_count);
	rcu_read_unlock();
	return taken;
}

static int mica_vector_refuse(struct mica_reason *why, const char *name,
			      const char *what)
{
	return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, name, "%s", what);
}

/* How many interrupts of a type a function has. */
static u32 mica_vector_count(struct pci_dev *pdev, u32 type)
{
	u8 pin = 0;

	switch (type) {
	case MICA_IRQ_MSI:
		return max(pci_msi_vec_count(pdev), 0);
	case MICA_IRQ_MSIX:
		return max(pci_msix_vec_count(pdev), 0);
	default:
		pci_read_config_byte(pdev, PCI_INTERRUPT_PIN, &pin);
		return !!pin;
	}
}

static int mica_vector_check_off(const struct mica_guest_vector *want,
				 const char *name, struct mica_reason *why)
{
	if (want->vectors || want->fd || want->resample_fd || want->gsi ||
	    want->data || want->address)
		return mica_vector_refuse(why, name,
					  "with MICA_VECTOR_OFF only addr, type and vector are used, the rest must be zero");
	return 0;
}

static int mica_vector_check_on(const struct mica_guest_vector *want,
				u32 count, const char *name,
				struct mica_reason *why)
{
	if (want->vectors > count)
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, name,
				 "%s has %u interrupts of this type, not %u",
				 name, count, want->vectors);
	if (want->vectors && want->vector >= want->vectors)
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, name,
				 "of %u interrupts there is no %u",
				 want->vectors, want->vector);
	if (want->type == MICA_IRQ_INTX) {
		if (want->gsi >= MICA_PINS)
			return mica_vector_refuse(why, name,
						  "gsi must be a pin of the I/O APIC, 0 to 23");
		if (want->address || want->data)
			return mica_vector_refuse(why, name,
						  "address and data are for MSI and MSI-X only");
	} else if (want->gsi || want->resample_fd) {
		return mica_vector_refuse(why, name,
					  "gsi and resample_fd are for INTx only");
	}
	return 0;
}

static int mica_vector_check(struct mica_vm_device *dev,
			     const struct mica_guest_vector *want,
			     struct mica_reason *why)
{
	const char *name = pci_name(dev->pdev);
	bool off = want->flags & MICA_VECTOR_OFF;
	u32 count;

	if (want->flags & ~MICA_VECTOR_OFF)
		return mica_fail(why, -EOPNOTSUPP, MICA_REASON_BAD_VALUE, name,
				 "flags of a vector has bits that are not known: %#x",
				 (u32)(want->flags & ~MICA_VECTOR_OFF));
	if (want->type > MICA_IRQ_MSIX)
		return mica_vector_refuse(why, name,
					  "type must be INTx, MSI or MSI-X");
	count = mica_vector_count(dev->pdev, want->type);
	if (want->vector >= count &&
	    !(off && want->vector == MICA_VECTOR_ALL))
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE, name,
				 "%s has %u interrupts of this type, so there is no %u",
				 name, count, want->vector);
	return off ? mica_vector_check_off(want, name, why) :
		     mica_vector_check_on(want, count, name, why);
}

/* What KVM begins with: each pin, and the PICs' pins twice. */
static u32 mica_routes_default(struct kvm_irq_routing_entry *entry)
{
	u32 pin, n = 0;

	for (pin = 0; pin < MICA_PINS; pin++) {
		entry[n].gsi = pin;
		entry[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		entry[n].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		entry[n++].u.irqchip.pin = pin;
		if (pin >= MICA_PIC_PINS)
			continue;
		entry[n].gsi = pin;
		entry[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		entry[n].u.irqchip.irqchip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER :
						       KVM_IRQCHIP_PIC_SLAVE;
		entry[n++].u.irqchip.pin = pin % 8;
	}
	return n;
}

static u32 mica_routes_of(struct mica_vm_device *dev,
			  struct kvm_irq_routing_entry *entry)
{
	struct mica_vector *vec;
	unsigned long index;
	u32 n = 0;

	xa_for_each(&dev->vectors, index, vec) {
		if (vec->gsi < MICA_PINS)
			continue;
		entry[n].gsi = vec->gsi;
		entry[n].type = KVM_IRQ_ROUTING_MSI;
		entry[n].u.msi.address_lo = lower_32_bits(vec->address);
		entry[n].u.msi.address_hi = upper_32_bits(vec->address);
		entry[n++].u.msi.data = vec->data;
	}
	return n;
}

/* Interrupts that went off keep a route until the next time; nothing uses it. */
static int mica_routes_set(struct mica_vm *vm, struct mica_reason *why)
{
	u32 nr = MICA_PINS + MICA_PIC_PINS + vm->nr_vectors;
	struct kvm_irq_routing *table;
	struct mica_args *args;
	unsigned int i;
	long ret;

	args = mica_args_open(struct_size(table, entries, nr), false);
	if (IS_ERR(args))
		return PTR_ERR(args);
	table = args->data;
	table->nr = mica_routes_default(table->entries);
	for (i = 0; i < vm->nr_devices; i++)
		table->nr += mica_routes_of(&vm->devices[i],
					    &table->entries[table->nr]);
	ret = mica_args_ioctl(args, vm->kvm, KVM_SET_GSI_ROUTING);
	mica_args_close(args);
	return mica_vm_step(why, ret, MICA_REASON_KVM, NULL,
			    "routing an interrupt to that address and data");
}

static void mica_vector_free(struct mica_vm *vm, struct mica_vector *vec)
{
	if (vec->gsi >= MICA_PINS) {
		ida_free(&vm->gsis, vec->gsi);
		vm->nr_vectors--;
	}
	fput(vec->file);
	if (vec->resample)
		fput(vec->resample);
	kfree(vec);
}

static int mica_vector_files(struct mica_vector *vec,
			     const struct mica_guest_vector *want,
			     const char *name, struct mica_reason *why)
{
	struct file *file = eventfd_fget(want->fd);
	struct file *resample = NULL;

	if (!IS_ERR(file) && want->type == MICA_IRQ_INTX)
		resample = eventfd_fget(want->resample_fd);
	/* The guest's answer to an interrupt would be the next one. */
	if (resample == file) {
		fput(file);
		resample = ERR_PTR(-EINVAL);
	}
	if (!IS_ERR(file) && !IS_ERR(resample)) {
		vec->file = file;
		vec->resample = resample;
		return 0;
	}
	if (!IS_ERR(file)) {
		fput(file);
		file = resample;
	}
	return mica_fail(why, PTR_ERR(file), MICA_REASON_BAD_VALUE, name,
			 "fd must be an eventfd, and for INTx resample_fd another one");
}

static int mica_vector_gsi(struct mica_vm *vm, struct mica_vector *vec,
			   const struct mica_guest_vector *want,
			   struct mica_reason *why)
{
	int gsi;

	if (want->type == MICA_IRQ_INTX) {
		vec->gsi = want->gsi;
		return 0;
	}
	gsi = ida_alloc_range(&vm->gsis, MICA_PINS, MICA_GSI_LAST,
			      GFP_KERNEL_ACCOUNT);
	if (gsi == -ENOSPC)
		return mica_fail(why, gsi, MICA_REASON_LIMIT, NULL,
				 "a guest has at most %u interrupts of functions",
				 MICA_GSI_LAST - MICA_PINS + 1);
	if (gsi < 0)
		return gsi;
	vec->gsi = gsi;
	vm->nr_vectors++;
	return 0;
}

static struct mica_vector *mica_vector_new(struct mica_vm *vm,
					   const struct mica_guest_vector *want,
					   const char *name,
					   struct mica_reason *why)
{
	struct mica_vector *vec = kzalloc(sizeof(*vec), GFP_KERNEL_ACCOUNT);
	int err;

	if (!vec)
		return ERR_PTR(-ENOMEM);
	vec->address = want->address;
	vec->data = want->data;
	err = mica_vector_files(vec, want, name, why);
	if (err) {
		kfree(vec);
		return ERR_PTR(err);
	}
	err = mica_vector_gsi(vm, vec, want, why);
	if (err) {
		mica_vector_free(vm, vec);
		return ERR_PTR(err);
	}
	return vec;
}

static long mica_irqfd(struct mica_vm *vm, struct mica_args *args,
		       const struct mica_vector *vec,
		       const struct mica_vector_fds *fds, u32 flags)
{
	struct kvm_irqfd *irqfd = args->data;

	*irqfd = (struct kvm_irqfd) {
		.fd = fds->fd,
		.gsi = vec->gsi,
		.flags = flags,
	};
	if (vec->resample && !flags) {
		irqfd->flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd->resamplefd = fds->resample;
	}
	return mica_args_ioctl(args, vm->kvm, KVM_IRQFD);
}

/* @nr interrupts from @start on get the same descriptor; none switches all off. */
static long mica_vfio_irqs(struct mica_vm_device *dev, struct mica_args *args,
			   u32 action, u32 start, u32 nr, int fd)
{
	struct vfio_irq_set *set = args->data;
	s32 *fds = (s32 *)set->data;
	u32 i;

	*set = (struct vfio_irq_set) {
		.argsz = sizeof(*set) + nr * sizeof(*fds),
		.flags = action | (nr ? VFIO_IRQ_SET_DATA_EVENTFD :
					VFIO_IRQ_SET_DATA_NONE),
		.index = dev->irq_type,
		.start = start,
		.count = nr,
	};
	for (i = 0; i < nr; i++)
		fds[i] = fd;
	return mica_args_ioctl(args, dev->file, VFIO_DEVICE_SET_IRQS);
}

/* That they are off, since one attempt has failed already, is as good. */
static long mica_irqs_disable(struct mica_vm_device *dev,
			      struct mica_args *args)
{
	long ret = mica_vfio_irqs(dev, args, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0,
				  -1);

	dev->nr_irqs = 0;
	if (ret && ret != -EINVAL)
		return ret;
	dev->irqs_on = false;
	return 0;
}

static int mica_irqs_failed(struct mica_vm_device *dev, long ret,
			    struct mica_reason *why)
{
	const char *name = pci_name(dev->pdev);

	if (ret > 0)
		return mica_fail(why, -ENOSPC, MICA_REASON_LIMIT, name,
				 "the host has %ld interrupts left for %s; ask for no more in vectors",
				 ret, name);
	return mica_vm_step(why, ret, MICA_REASON_VFIO, name,
			    "switching its interrupt on");
}

/*
 * All messages that a function is going to use are switched on together, without
 * anybody to signal: VFIO cannot add any later.
 */
static long mica_irqs_enable(struct mica_vm_device *dev, struct mica_args *args,
			     u32 vectors)
{
	long ret = 0;

	if (dev->nr_irqs)
		return 0;
	if (dev->irqs_on)
		ret = mica_irqs_disable(dev, args);
	if (ret)
		return ret;
	if (dev->irq_type != MICA_IRQ_INTX)
		ret = mica_vfio_irqs(dev, args, VFIO_IRQ_SET_ACTION_TRIGGER, 0,
				     vectors, -1);
	/* If another thread has torn the area, they may be on. */
	if (!ret || ret == -EFAULT) {
		dev->irqs_on = true;
		dev->nr_irqs = ret ? 0 : vectors;
	}
	return ret;
}

static long mica_irqs_connect(struct mica_vm_device *dev,
			      struct mica_args *args, u32 vector, u32 vectors,
			      const struct mica_vector_fds *fds)
{
	long ret = mica_irqs_enable(dev, args, vectors);

	if (ret)
		return ret;
	ret = mica_vfio_irqs(dev, args, VFIO_IRQ_SET_ACTION_TRIGGER, vector, 1,
			     fds->fd);
	if (!ret && dev->irq_type == MICA_IRQ_INTX)
		ret = mica_vfio_irqs(dev, args, VFIO_IRQ_SET_ACTION_UNMASK, 0,
				     1, fds->resample);
	return ret;
}

static void mica_irqs_disconnect(struct mica_vm_device *dev,
				 struct mica_args *args, u32 vector,
				 bool others)
{
	if (others)
		mica_vfio_irqs(dev, args, VFIO_IRQ_SET_ACTION_TRIGGER, vector,
			       1, -1);
	else
		mica_irqs_disable(dev, args);
}

static int mica_vector_lend(const struct mica_vector *vec,
			    struct mica_vector_fds *fds)
{
	fds->resample = -1;
	fds->fd = mica_fd_lend(vec->file);
	if (fds->fd < 0 || !vec->resample)
		return min(fds->fd, 0);
	fds->resample = mica_fd_lend(vec->resample);
	return min(fds->resample, 0);
}

static void mica_vector_return(const struct mica_vector_fds *fds)
{
	mica_fd_return(fds->fd);
	mica_fd_return(fds->resample);
}

static int mica_vector_host(struct mica_vm_device *dev, struct mica_args *args,
			    struct mica_args *undo,
			    const struct mica_guest_vector *want,
			    const struct mica_vector_fds *fds,
			    struct mica_reason *why)
{
	bool others = dev->nr_irqs;
	long ret = mica_irqs_connect(dev, args, want->vector, want->vectors,
				     fds);

	if (!ret)
		return 0;
	mica_irqs_disconnect(dev, undo, want->vector, others);
	return mica_irqs_failed(dev, ret, why);
}

/* What KVM goes on to wait for keeps its number, so that no other gets it. */
static void mica_irqfd_undo(struct mica_vm *vm, struct mica_args *undo,
			    struct mica_vector *vec,
			    const struct mica_vector_fds *fds)
{
	if (!mica_irqfd(vm, undo, vec, fds, KVM_IRQFD_FLAG_DEASSIGN) ||
	    vec->gsi < MICA_PINS)
		return;
	vec->gsi = 0;
	vm->nr_vectors--;
}

static int mica_vector_connect(struct mica_vm *vm, struct mica_vm_device *dev,
			       struct mica_args *args, struct mica_args *undo,
			       struct mica_vector *vec,
			       const struct mica_guest_vector *want,
			       struct mica_reason *why)
{
	struct mica_vector_fds fds;
	bool waits = false;
	long ret;
	int err;

	ret = mica_vector_lend(vec, &fds);
	if (!ret) {
		ret = mica_irqfd(vm, args, vec, &fds, 0);
		waits = !ret || ret == -EFAULT;
	}
	err = mica_vm_step(why, ret, MICA_REASON_KVM, pci_name(dev->pdev),
			   "having KVM wait for its interrupt") ?:
	      mica_vector_host(dev, args, undo, want, &fds, why);
	if (err && waits)
		mica_irqfd_undo(vm, undo, vec, &fds);
	mica_vector_return(&fds);
	return err;
}

static size_t mica_vector_room(u32 vectors)
{
	return sizeof(struct vfio_irq_set) + vectors * sizeof(s32);
}

/* What it is to the guest is known before it can come. */
static int mica_vector_insert(struct mica_vm *vm, struct mica_vm_device *dev,
			      struct mica_vector *vec,
			      const struct mica_guest_vector *want,
			      struct mica_reason *why)
{
	struct mica_args *args, *undo;
	int err = 0;

	if (want->type != MICA_IRQ_INTX)
		err = mica_routes_set(vm, why);
	if (err)
		return err;
	args = mica_args_open(mica_vector_room(want->vectors), false);
	if (IS_ERR(args))
		return PTR_ERR(args);
	/* As for memory, it must not fail for want of one, or with a torn one. */
	undo = mica_args_open(mica_vector_room(1), false);
	err = PTR_ERR_OR_ZERO(undo) ?:
	      mica_vector_connect(vm, dev, args, undo, vec, want, why);
	mica_args_close(undo);
	mica_args_close(args);
	return err;
}

static int mica_vector_on(struct mica_vm *vm, struct mica_vm_device *dev,
			  const struct mica_guest_vector *want,
			  struct mica_reason *why)
{
	struct mica_vector *vec;
	int err;

	vec = mica_vector_new(vm, want, pci_name(dev->pdev), why);
	if (IS_ERR(vec))
		return PTR_ERR(vec);
	/* The number of a pin is older than the guest, that of a message is not. */
	if (want->type == MICA_IRQ_INTX)
		vec->taken = mica_irq_taken(dev->pdev->irq);
	err = xa_insert(&dev->vectors, want->vector, vec, GFP_KERNEL_ACCOUNT);
	if (err) {
		mica_vector_free(vm, vec);
		return err;
	}
	err = mica_vector_insert(vm, dev, vec, want, why);
	if (err) {
		xa_erase(&dev->vectors, want->vector);
		mica_vector_free(vm, vec);
	}
	return err;
}

/* Nothing but what it is to the guest can change while it is on. */
static int mica_vector_change(struct mica_vm *vm, struct mica_vm_device *dev,
			      struct mica_vector *vec,
			      const struct mica_guest_vector *want,
			      struct mica_reason *why)
{
	struct mica_vector now = {}, old = *vec;
	bool same;
	int err;

	err = mica_vector_files(&now, want, pci_name(dev->pdev), why);
	if (err)
		return err;
	same = !vec->half_off && now.file == vec->file &&
	       now.resample == vec->resample &&
	       (want->type != MICA_IRQ_INTX || want->gsi == vec->gsi);
	fput(now.file);
	if (now.resample)
		fput(now.resample);
	if (!same)
		return mica_fail(why, -EBUSY, MICA_REASON_IN_USE,
				 pci_name(dev->pdev),
				 "interrupt %u of %s is on with other descriptors, or another gsi, or half off; switch it off first",
				 want->vector, pci_name(dev->pdev));
	if (want->type == MICA_IRQ_INTX)
		return 0;
	vec->address = want->address;
	vec->data = want->data;
	err = mica_routes_set(vm, why);
	if (err)
		*vec = old;
	return err;
}

static int mica_vector_off(struct mica_vm *vm, struct mica_vm_device *dev,
			   struct mica_args *args, u32 vector)
{
	struct mica_vector *vec = xa_load(&dev->vectors, vector);
	struct mica_vector_fds fds;
	long ret;

	if (!vec)
		return 0;
	ret = mica_vector_lend(vec, &fds);
	vec->half_off = !ret;
	if (!ret && dev->irqs_on)
		ret = mica_vfio_irqs(dev, args, VFIO_IRQ_SET_ACTION_TRIGGER,
				     vector, 1, -1);
	if (!ret)
		ret = mica_irqfd(vm, args, vec, &fds, KVM_IRQFD_FLAG_DEASSIGN);
	mica_vector_return(&fds);
	if (ret)
		return ret;
	xa_erase(&dev->vectors, vector);
	mica_vector_free(vm, vec);
	return 0;
}

static int mica_vectors_off(struct mica_vm *vm, struct mica_vm_device *dev,
			    const struct mica_guest_vector *want,
			    struct mica_reason *why)
{
	bool all = want->vector == MICA_VECTOR_ALL ||
		   want->type == MICA_IRQ_INTX;
	struct mica_vector *vec;
	struct mica_args *args;
	unsigned long index;
	int err = 0;

	if (!dev->irqs_on || dev->irq_type != want->type)
		return 0;
	args = mica_args_open(mica_vector_room(1), false);
	if (IS_ERR(args))
		return PTR_ERR(args);
	if (!all)
		err = mica_vector_off(vm, dev, args, want->vector);
	else
		xa_for_each(&dev->vectors, index, vec)
			err = err ?: mica_vector_off(vm, dev, args, index);
	if (all && !err)
		err = mica_irqs_disable(dev, args);
	mica_args_close(args);
	return mica_vm_step(why, err, MICA_REASON_VFIO, pci_name(dev->pdev),
			    "switching its interrupt off");
}

/**
 * mica_vector_set - switch an interrupt on or off, or change it
 * @vm: the VM, locked
 * @asked: what the caller asked for
 * @why: where a failure is noted
 *
 * Return: 0 or an error.
 */
int mica_vector_set(struct mica_vm *vm, const struct mica_guest_vector *asked,
		    struct mica_reason *why)
{
	struct mica_vm_device *dev = mica_vm_device(vm, &asked->addr, why);
	struct mica_guest_vector want = *asked;
	struct mica_vector *vec;
	int err;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	err = mica_vector_check(dev, &want, why);
	if (err)
		return err;
	if (want.flags & MICA_VECTOR_OFF)
		return mica_vectors_off(vm, dev, &want, why);
	if (dev->irqs_on && dev->irq_type != want.type)
		return mica_fail(why, -EBUSY, MICA_REASON_IN_USE,
				 pci_name(dev->pdev),
				 "%s has interrupts of another type on; switch them off first, with MICA_VECTOR_ALL",
				 pci_name(dev->pdev));
	if (dev->nr_irqs && want.vector >= dev->nr_irqs)
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE,
				 pci_name(dev->pdev),
				 "%s has %u interrupts on the host, so there is no %u; ask for more in vectors with the first that is switched on",
				 pci_name(dev->pdev), dev->nr_irqs,
				 want.vector);
	dev->irq_type = want.type;
	if (!want.vectors)
		want.vectors = mica_vector_count(dev->pdev, want.type);
	vec = xa_load(&dev->vectors, want.vector);
	return vec ? mica_vector_change(vm, dev, vec, &want, why) :
		     mica_vector_on(vm, dev, &want, why);
}

/**
 * mica_vectors_taken - how often the host took a function's interrupts
 * @dev: the function
 * @nr: out: how many are on
 *
 * Of a pin that functions share, those of the others count as well.
 */
u64 mica_vectors_taken(struct mica_vm_device *dev, u32 *nr)
{
	bool pin = dev->irq_type == MICA_IRQ_INTX;
	struct mica_vector *vec;
	unsigned long vector;
	u64 taken = 0;

	*nr = 0;
	xa_for_each(&dev->vectors, vector, vec) {
		taken += mica_irq_taken(pin ? dev->pdev->irq :
					pci_irq_vector(dev->pdev, vector)) -
			 vec->taken;
		++*nr;
	}
	return taken;
}

/**
 * mica_vectors_free - forget the interrupts of a function
 * @vm: the VM, which nobody else has any more
 * @dev: the function
 */
void mica_vectors_free(struct mica_vm *vm, struct mica_vm_device *dev)
{
	struct mica_vector *vec;
	unsigned long index;

	xa_for_each(&dev->vectors, index, vec)
		mica_vector_free(vm, vec);
	xa_destroy(&dev->vectors);
}

int mica_guest_irq_run(struct mica_call *call, void *arg)
{
	struct mica_guest_irq *args = arg;
	struct mica_vm *vm = mica_vm_begin(call);
	int err;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = mica_vector_set(vm, &args->vector, &call->why);
	mica_vm_done(vm);
	return err;
}
