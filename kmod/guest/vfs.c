// SPDX-License-Identifier: GPL-2.0-only
/*
 * MICA_GUEST_VFS: virtual functions that a session has its physical function
 * make. They are seen as soon as they come onto the bus, and given to vfio-pci
 * before any other driver could have them: that is in custody.c.
 *
 * What makes and removes them holds the lock of the physical function and the
 * one that keeps the PCI bus as it is. Each of them is free of its users, and of
 * its driver, before they are removed, so that nobody is waited for under those.
 */
#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include "claim.h"

#define MICA_PF_POLL_MS		10

/* No driver has this name: the function goes to none any more. */
#define MICA_NO_DRIVER		"mica"

/* The first release in which drivers lock the bus themselves, and where that ends. */
static const struct {
	u32 from;
	u32 to;
} mica_vfs_refused[] = {
	{ KERNEL_VERSION(6, 1, 157), KERNEL_VERSION(6, 1, 165) },
	{ KERNEL_VERSION(6, 12, 54), KERNEL_VERSION(6, 12, 75) },
	{ KERNEL_VERSION(6, 18, 0), KERNEL_VERSION(6, 18, 16) },
	{ KERNEL_VERSION(6, 19, 0), KERNEL_VERSION(6, 19, 6) },
	/* It is not known of these two series that they lost it. */
	{ KERNEL_VERSION(6, 6, 113), KERNEL_VERSION(6, 7, 0) },
	{ KERNEL_VERSION(6, 17, 0), KERNEL_VERSION(6, 18, 0) },
};

/**
 * mica_vfs_possible - can virtual functions be made for sessions
 *
 * Linux 6.18 and 6.19 began with a physical function's driver taking the lock of the
 * bus itself when it makes some: it waits for whoever holds it, which is us. Older
 * series got that, too, and all but some lost it again.
 */
bool mica_vfs_possible(void)
{
	const u32 kernel = KERNEL_VERSION(LINUX_VERSION_MAJOR,
					  LINUX_VERSION_PATCHLEVEL,
					  LINUX_VERSION_SUBLEVEL);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mica_vfs_refused); i++)
		if (kernel >= mica_vfs_refused[i].from &&
		    kernel < mica_vfs_refused[i].to)
			return false;
	return IS_ENABLED(CONFIG_PCI_IOV);
}

static void mica_pf_free(struct mica_pf *pf)
{
	while (pf->nr)
		pci_dev_put(pf->vf[--pf->nr]);
	pci_dev_put(pf->pdev);
	kfree(pf);
}

static struct mica_pf *mica_pf_new(struct mica_session *session,
				   struct pci_dev *pdev, unsigned int max)
{
	struct mica_pf *pf;

	pf = kzalloc(struct_size(pf, vf, max), GFP_KERNEL_ACCOUNT);
	if (!pf)
		return NULL;
	INIT_LIST_HEAD(&pf->list);
	INIT_LIST_HEAD(&pf->table);
	pf->session = session;
	pf->pdev = pci_dev_get(pdev);
	pf->max = max;
	return pf;
}

/*
 * An unplug takes these locks in this order, sysfs in the other one; so neither
 * is waited for while the other is held.
 */
static bool mica_pf_trylock(struct mica_pf *pf)
{
	pci_lock_rescan_remove();
	if (device_trylock(&pf->pdev->dev))
		return true;
	pci_unlock_rescan_remove();
	return false;
}

static void mica_pf_unlock(struct mica_pf *pf)
{
	device_unlock(&pf->pdev->dev);
	pci_unlock_rescan_remove();
}

static int mica_pf_check(struct pci_dev *pdev, unsigned int nr,
			 struct mica_reason *why)
{
	int total = pci_sriov_get_totalvfs(pdev);
	const char *name = pci_name(pdev);

	if (nr > total)
		return mica_fail(why, -EINVAL, MICA_REASON_VFS, name,
				 "%s can have %d virtual functions, not %u",
				 name, total, nr);
	return 0;
}

/* Under the locks, as all that can have changed until then. */
static int mica_pf_check_locked(struct mica_pf *pf, struct mica_reason *why)
{
	struct pci_dev *pdev = pf->pdev;
	const char *name = pci_name(pdev);

	if (READ_ONCE(pf->session->ending))
		return mica_session_ended(pf->session, why);
	if (!device_is_registered(&pdev->dev))
		return mica_fail(why, -ENODEV, MICA_REASON_NO_DEVICE, name,
				 "%s was unplugged", name);
	if (!pdev->driver)
		return mica_fail(why, -ENODEV, MICA_REASON_DRIVER, name,
				 "%s has no driver that could make virtual functions",
				 name);
	if (!pdev->driver->sriov_configure)
		return mica_fail(why, -ENODEV, MICA_REASON_DRIVER, name,
				 "the driver %s of %s makes no virtual functions",
				 pdev->driver->name, name);
	if (pci_num_vf(pdev))
		return mica_fail(why, -EBUSY, MICA_REASON_VFS, name,
				 "%s has %d virtual functions already; write 0 to its sriov_numvfs first",
				 name, pci_num_vf(pdev));
	return 0;
}

static int mica_pf_make_locked(struct mica_pf *pf, struct mica_reason *why)
{
	struct pci_dev *pdev = pf->pdev;
	int err;

	err = mica_pf_check_locked(pf, why);
	if (err)
		return err;
	mica_custody_making(pf, true);
	err = pdev->driver->sriov_configure(pdev, pf->max);
	mica_custody_making(pf, false);
	if (err >= 0 && pf->nr == pf->max)
		return 0;
	/* Those that nobody has seen could not be found again. */
	if (!pf->nr && pci_num_vf(pdev))
		pdev->driver->sriov_configure(pdev, 0);
	return mica_fail(why, -EBUSY, MICA_REASON_DRIVER, pci_name(pdev),
			 "%s did not make %u virtual functions (%d); the kernel log may tell why",
			 pdev->driver->name, pf->max, err);
}

static int mica_pf_make(struct mica_pf *pf, struct mica_reason *why)
{
	int err;

	while (!mica_pf_trylock(pf)) {
		if (READ_ONCE(pf->session->ending))
			return mica_session_ended(pf->session, why);
		msleep(MICA_PF_POLL_MS);
	}
	err = mica_pf_make_locked(pf, why);
	mica_pf_unlock(pf);
	return err;
}

static bool mica_is_empty(struct pci_dev *gone)
{
	struct pci_dev *pdev =
		pci_get_domain_bus_and_slot(pci_domain_nr(gone->bus),
					    gone->bus->number, gone->devfn);

	pci_dev_put(pdev);
	return !pdev;
}

/* Somebody else may have removed ours, and made others: these are at the same places. */
static bool mica_pf_has_others(struct mica_pf *pf)
{
	unsigned int i;

	for (i = 0; i < pf->nr; i++)
		if (!mica_is_empty(pf->vf[i]))
			return true;
	return false;
}

/* What pci_disable_sriov() looks for: functions at these addresses, and a link. */
static bool mica_pf_is_alone(struct mica_pf *pf)
{
	struct pci_dev *pdev = pf->pdev;
	int cap = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_SRIOV);
	u8 link;

	if (mica_pf_has_others(pf) || !mica_is_empty(pdev) || !cap ||
	    pci_read_config_byte(pdev, cap + PCI_SRIOV_FUNC_LINK, &link))
		return false;
	if (pci_pcie_type(pdev) == PCI_EXP_TYPE_RC_END)
		return link == PCI_FUNC(pdev->devfn);
	return link == pdev->devfn;
}

/*
 * The physical function has left the bus before its virtual ones: there is
 * nothing left that could take them along. Each of them has a reference to it,
 * which only pci_disable_sriov() would drop, but that finds none of them any
 * more. If something else is at their place already, or the function does not
 * answer, the kernel keeps the memory of the physical function, as it does
 * whenever one is unplugged that has virtual functions.
 */
static void mica_pf_remove_orphans(struct mica_pf *pf)
{
	unsigned int i, orphans = 0;

	for (i = 0; i < pf->nr; i++) {
		if (!device_is_registered(&pf->vf[i]->dev))
			continue;
		pci_stop_and_remove_bus_device(pf->vf[i]);
		orphans++;
	}
	if (!mica_pf_is_alone(pf))
		return;
	pci_disable_sriov(pf->pdev);
	while (orphans--)
		pci_dev_put(pf->pdev);
}

static bool mica_pf_has_ours(struct mica_pf *pf)
{
	unsigned int i;

	for (i = 0; i < pf->nr; i++)
		if (device_is_registered(&pf->vf[i]->dev))
			return true;
	return false;
}

/* Each may have left the bus by itself, which does not switch them off. */
static bool mica_pf_is_on(struct mica_pf *pf)
{
	if (mica_pf_has_ours(pf))
		return true;
	return device_is_registered(&pf->pdev->dev) && pci_num_vf(pf->pdev) &&
	       !mica_pf_has_others(pf);
}

/* Of those that left the bus by themselves the kernel forgets it. */
static void mica_pf_unlink(struct mica_pf *pf)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < pf->nr; i++) {
		snprintf(name, sizeof(name), "virtfn%u", i);
		sysfs_remove_link(&pf->pdev->dev.kobj, name);
	}
}

static int mica_pf_remove_locked(struct mica_pf *pf)
{
	struct pci_dev *pdev = pf->pdev;
	int err = 0;

	if (!mica_pf_is_on(pf))
		return 0;
	if (!device_is_registered(&pdev->dev)) {
		mica_pf_remove_orphans(pf);
		return 0;
	}
	if (pdev->driver && pdev->driver->sriov_configure)
		err = pdev->driver->sriov_configure(pdev, 0);
	else
		pci_disable_sriov(pdev);
	if (!err)
		mica_pf_unlink(pf);
	return err;
}

/**
 * mica_pf_remove_vfs - remove the virtual functions that a session had made
 * @pf: the physical function
 *
 * They are bound to nothing any more. All of them go at the first call.
 *
 * Context: the session's queue; takes the lock of the physical function and that
 * of the bus.
 * Return: 0 or what the driver failed with.
 */
int mica_pf_remove_vfs(struct mica_pf *pf)
{
	if (pf->removed)
		return pf->error;
	pf->removed = true;
	while (!mica_pf_trylock(pf))
		msleep(MICA_PF_POLL_MS);
	pf->error = mica_pf_remove_locked(pf);
	mica_pf_unlock(pf);
	return pf->error;
}

/**
 * mica_vf_unbind - have a virtual function's user let it go, for good
 * @held: a virtual function that was made for the session
 *
 * Context: the session's queue; takes the lock of the function.
 */
void mica_vf_unbind(struct mica_held *held)
{
	mica_custody_going(held);
	if (mica_override_write(held->pdev, MICA_NO_DRIVER))
		pci_warn(held->pdev, "mica: no memory for driver_override\n");
	mica_driver_unbind(held->pdev);
	pci_clear_dev_assigned(held->pdev);
}

static void mica_pf_forget(struct mica_pf *pf)
{
	/* If none of them was there any more to be given back. */
	if (pf->nr && !pf->removed && mica_pf_remove_vfs(pf))
		pci_warn(pf->pdev, "mica: virtual functions not removed: %d\n",
			 pf->error);
	mica_custody_release_pf(pf);
	list_del(&pf->list);
	mica_pf_free(pf);
}

/**
 * mica_pf_forget_all - the virtual functions of a session have been removed
 * @session: the session
 *
 * Context: the session's queue.
 */
void mica_pf_forget_all(struct mica_session *session)
{
	struct mica_pf *pf, *next;

	list_for_each_entry_safe(pf, next, &session->pfs, list)
		mica_pf_forget(pf);
}

/* What came onto the bus goes to the session; @spare has enough for all. */
static void mica_vfs_add(struct mica_pf *pf, struct list_head *spare)
{
	struct mica_held *held;
	unsigned int i;

	for (i = 0; i < pf->nr; i++) {
		held = list_first_entry(spare, struct mica_held, list);
		mica_held_set(held, pf->vf[i]);
		held->pf = pf;
		held->overridden = true;
		mica_custody_add(pf->session, held);
	}
}

static void mica_vfs_drop(struct list_head *spare)
{
	struct mica_held *held, *next;

	list_for_each_entry_safe(held, next, spare, list)
		mica_held_free(held);
}

static int mica_vfs_prepare(struct mica_session *session, unsigned int nr,
			    struct list_head *spare)
{
	struct mica_held *held;

	while (nr--) {
		held = mica_held_alloc(session);
		if (!held)
			return -ENOMEM;
		list_add_tail(&held->list, spare);
	}
	return 0;
}

static int mica_vfs_verify(struct mica_claim_work *claim)
{
	struct list_head *list = &claim->session->claiming;
	struct mica_held *held;
	int err;

	list_for_each_entry(held, list, list) {
		err = mica_take_step_ok(held, &claim->why);
		if (err)
			return err;
		if (!mica_driver_is(held->pdev, MICA_VFIO_DRIVER))
			return mica_fail(&claim->why, -EBUSY,
					 MICA_REASON_DRIVER, held->name,
					 "vfio-pci did not take %s; the kernel log may tell why",
					 held->name);
		/* It was bound before it was in custody. */
		mica_custody_set_bound(held->pdev, true);
		err = mica_claim_group(claim, list, held);
		if (err)
			return err;
	}
	return 0;
}

static void mica_vfs_tell(struct mica_claim_work *claim, struct mica_pf *pf)
{
	unsigned int i;

	for (i = 0; i < pf->nr; i++)
		mica_addr_of(pf->vf[i], &claim->vfs[i]);
}

/* The physical function is reserved, nothing has been made. */
static int mica_vfs_make(struct mica_claim_work *claim, struct mica_pf *pf,
			 struct list_head *spare)
{
	struct mica_session *session = claim->session;
	int err;

	list_add_tail(&pf->list, &session->pfs);
	err = mica_pf_make(pf, &claim->why);
	mica_vfs_add(pf, spare);
	if (!err)
		err = mica_vfs_verify(claim);
	if (err) {
		mica_claim_undo(session);
		mica_pf_forget(pf);
		return err;
	}
	mica_vfs_tell(claim, pf);
	mica_claim_keep(claim);
	return 0;
}

static int mica_vfs_do(struct mica_claim_work *claim)
{
	struct pci_dev *pdev = claim->pdev[0];
	struct mica_pf *pf;
	LIST_HEAD(spare);
	int err;

	mica_claim_await(claim, pdev);
	err = mica_check_function(pdev, &claim->why) ?:
	      mica_pf_check(pdev, claim->nr_vfs, &claim->why) ?:
	      mica_check_free(pdev, &claim->why) ?:
	      mica_check_vfio(&claim->why);
	if (err)
		return err;
	pf = mica_pf_new(claim->session, pdev, claim->nr_vfs);
	if (!pf)
		return -ENOMEM;
	err = mica_vfs_prepare(claim->session, claim->nr_vfs, &spare) ?:
	      mica_custody_reserve_pf(pf, &claim->why);
	if (err)
		mica_pf_free(pf);
	else
		err = mica_vfs_make(claim, pf, &spare);
	mica_vfs_drop(&spare);
	return err;
}

static int mica_vfs_ask(struct mica_call *call, struct mica_guest_vfs *args,
			struct mica_claim_work *claim)
{
	struct mica_pci_addr __user *to = u64_to_user_ptr(args->vfs_ptr);
	u32 nr;
	int err;

	claim->nr_vfs = args->nr_vfs;
	claim->vfs = kcalloc(args->nr_vfs, sizeof(*claim->vfs),
			     GFP_KERNEL_ACCOUNT);
	if (!claim->vfs)
		return -ENOMEM;
	/* What cannot be written is told before anything is made. */
	if (copy_to_user(to, claim->vfs, args->nr_vfs * sizeof(*to)))
		return -EFAULT;
	err = mica_addr_find(&args->addr, &claim->pdev[0], &call->why);
	if (err)
		return err;
	claim->nr = 1;
	err = mica_claim_through(claim, call, &nr);
	if (!err && copy_to_user(to, claim->vfs, args->nr_vfs * sizeof(*to)))
		err = -EFAULT;
	return err;
}

int mica_vfs_run(struct mica_call *call, void *arg)
{
	struct mica_guest_vfs *args = arg;
	struct mica_claim_work *claim;
	int err;

	err = mica_need_zero(call, args->reserved, "reserved") ?:
	      mica_session_privileged(call, "making virtual functions");
	if (err)
		return err;
	if (!args->nr_vfs || args->nr_vfs > MICA_CLAIM_MAX)
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE,
				 NULL, "nr_vfs must be 1 to %u",
				 MICA_CLAIM_MAX);
	if (!mica_vfs_possible())
		return mica_fail(&call->why, -EOPNOTSUPP, MICA_REASON_NONE, NULL,
				 "virtual functions cannot be made for a session on this kernel");
	if (!mica_session_queue(call->session))
		return -ENOMEM;
	claim = mica_claim_alloc(call->session, 1, mica_vfs_do);
	if (!claim)
		return -ENOMEM;
	err = mica_vfs_ask(call, args, claim);
	mica_claim_put(claim);
	return err;
}
