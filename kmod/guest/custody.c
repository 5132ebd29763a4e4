// SPDX-License-Identifier: GPL-2.0-only
/*
 * Custody: the table of functions that sessions hold. A function is reserved
 * here before anything is done to it, and leaves when the way back is through,
 * so that two sessions never work on the same one.
 *
 * The lock is a leaf: the bus tells of an unplug with the lock of the device
 * held.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include "guest.h"

static LIST_HEAD(mica_custody);
static DEFINE_SPINLOCK(mica_custody_lock);

/**
 * mica_held_new - a function that a session may come to hold
 * @session: the session
 * @pdev: the function; references are taken
 *
 * Return: what mica_custody_reserve() wants, or NULL without memory.
 */
struct mica_held *mica_held_new(struct mica_session *session,
				struct pci_dev *pdev)
{
	struct mica_held *held = kzalloc(sizeof(*held), GFP_KERNEL_ACCOUNT);

	if (!held)
		return NULL;
	INIT_LIST_HEAD(&held->table);
	held->session = session;
	held->state = MICA_DEVICE_CLAIMING;
	held->pdev = pci_dev_get(pdev);
	held->group = iommu_group_get(&pdev->dev);
	strscpy(held->name, pci_name(pdev), sizeof(held->name));
	return held;
}

/**
 * mica_custody_release - give up the reservation of a function
 * @held: the function; its record stays, for the dump
 */
void mica_custody_release(struct mica_held *held)
{
	struct pci_dev *pdev = held->pdev;

	spin_lock(&mica_custody_lock);
	list_del_init(&held->table);
	held->pdev = NULL;
	spin_unlock(&mica_custody_lock);
	pci_dev_put(pdev);
	iommu_group_put(held->group);
	held->group = NULL;
}

/**
 * mica_held_free - end of a record
 * @held: the record, in a list
 */
void mica_held_free(struct mica_held *held)
{
	if (held->pdev)
		mica_custody_release(held);
	spin_lock(&mica_custody_lock);
	list_del(&held->list);
	spin_unlock(&mica_custody_lock);
	kfree(held->driver);
	kfree(held->override);
	kfree(held);
}

static struct mica_held *mica_custody_find(struct pci_dev *pdev)
{
	struct mica_held *held;

	lockdep_assert_held(&mica_custody_lock);
	list_for_each_entry(held, &mica_custody, table)
		if (held->pdev == pdev)
			return held;
	return NULL;
}

/**
 * mica_custody_reserve - reserve functions for a session, all or none
 * @session: the session
 * @list: the functions; they go to the session's list of those being claimed
 * @why: where it is noted which one is held already
 *
 * Return: 0, or -EBUSY as mica_check_free() has it.
 */
int mica_custody_reserve(struct mica_session *session, struct list_head *list,
			 struct mica_reason *why)
{
	struct mica_held *held, *other = NULL;
	struct pci_dev *pdev = NULL;

	spin_lock(&mica_custody_lock);
	list_for_each_entry(held, list, list) {
		pdev = held->pdev;
		other = mica_custody_find(pdev);
		if (other)
			break;
	}
	if (!other) {
		list_for_each_entry(held, list, list)
			list_add_tail(&held->table, &mica_custody);
		list_splice_tail_init(list, &session->claiming);
	}
	spin_unlock(&mica_custody_lock);
	if (!other)
		return 0;
	/* The holder may be gone by now, but this call has lost all the same. */
	return mica_check_free(pdev, why) ?: -EBUSY;
}

/**
 * mica_custody_keep - what a session was claiming is now held
 * @session: the session
 */
void mica_custody_keep(struct mica_session *session)
{
	spin_lock(&mica_custody_lock);
	list_splice_tail_init(&session->claiming, &session->held);
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_record - note what a function goes back to
 * @held: the function
 * @driver: name of its driver, or NULL; the record owns it from now on
 * @override: its driver_override, likewise
 */
void mica_custody_record(struct mica_held *held, char *driver, char *override)
{
	spin_lock(&mica_custody_lock);
	held->driver = driver;
	held->override = override;
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_state - note where a function stands
 * @held: the function
 * @state: where it stands
 * @error: 0 or a negative errno
 */
void mica_custody_state(struct mica_held *held, enum mica_device_state state,
			int error)
{
	spin_lock(&mica_custody_lock);
	held->state = state;
	held->error = error;
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_unplugged - did a function leave the bus
 * @held: the function
 */
bool mica_custody_unplugged(struct mica_held *held)
{
	bool unplugged;

	spin_lock(&mica_custody_lock);
	unplugged = held->unplugged;
	spin_unlock(&mica_custody_lock);
	return unplugged;
}

/**
 * mica_custody_holder - the session that holds a function
 * @pdev: the function
 * @ending: out: it is on its way back; may be NULL
 *
 * Return: the number of the session, or zero.
 */
u32 mica_custody_holder(struct pci_dev *pdev, bool *ending)
{
	struct mica_held *held;
	u32 id;

	spin_lock(&mica_custody_lock);
	held = mica_custody_find(pdev);
	id = held ? held->session->id : 0;
	if (ending)
		*ending = held && READ_ONCE(held->session->ending);
	spin_unlock(&mica_custody_lock);
	return id;
}

/**
 * mica_custody_count - functions that a session holds or is claiming
 * @session: the session
 */
unsigned int mica_custody_count(struct mica_session *session)
{
	unsigned int nr;

	spin_lock(&mica_custody_lock);
	nr = list_count_nodes(&session->held) +
	     list_count_nodes(&session->claiming);
	spin_unlock(&mica_custody_lock);
	return nr;
}

static struct mica_held *mica_custody_nth(struct mica_session *session,
					  u32 index)
{
	struct mica_held *held;

	list_for_each_entry(held, &session->held, list)
		if (!index--)
			return held;
	list_for_each_entry(held, &session->claiming, list)
		if (!index--)
			return held;
	return NULL;
}

/**
 * mica_custody_function - a function that a session has
 * @session: the session
 * @index: which one
 *
 * Return: the function, with a reference, or NULL if it has no such.
 */
struct pci_dev *mica_custody_function(struct mica_session *session,
				      unsigned int index)
{
	struct pci_dev *pdev = NULL;
	struct mica_held *held;

	spin_lock(&mica_custody_lock);
	list_for_each_entry(held, &session->held, list) {
		if (held->state != MICA_DEVICE_CLAIMED || index--)
			continue;
		pdev = pci_dev_get(held->pdev);
		break;
	}
	spin_unlock(&mica_custody_lock);
	return pdev;
}

/**
 * mica_custody_snap - describe a function of a session
 * @session: the session
 * @index: which one
 * @snap: out
 *
 * Return: 0, or -ENOENT if it has no such.
 */
int mica_custody_snap(struct mica_session *session, u32 index,
		      struct mica_device_snap *snap)
{
	struct mica_held *held;

	spin_lock(&mica_custody_lock);
	held = mica_custody_nth(session, index);
	if (held) {
		snap->session = session->id;
		snap->state = held->state;
		snap->error = held->error;
		strscpy(snap->name, held->name, sizeof(snap->name));
		strscpy(snap->driver, held->driver ?: "", sizeof(snap->driver));
	}
	spin_unlock(&mica_custody_lock);
	return held ? 0 : -ENOENT;
}

static int mica_custody_notify(struct notifier_block *nb, unsigned long action,
			       void *data)
{
	struct device *dev = data;
	struct mica_held *held;

	if (action != BUS_NOTIFY_DEL_DEVICE &&
	    action != BUS_NOTIFY_UNBIND_DRIVER)
		return NOTIFY_DONE;
	spin_lock(&mica_custody_lock);
	held = mica_custody_find(to_pci_dev(dev));
	if (held && action == BUS_NOTIFY_UNBIND_DRIVER) {
		if (held->state == MICA_DEVICE_CLAIMED)
			mica_session_leave(held->session);
	} else if (held) {
		held->unplugged = true;
		held->state = MICA_DEVICE_UNPLUGGED;
		held->error = -ENODEV;
	}
	spin_unlock(&mica_custody_lock);
	return NOTIFY_DONE;
}

static struct notifier_block mica_custody_nb = {
	.notifier_call = mica_custody_notify,
};

int mica_custody_init(void)
{
	return bus_register_notifier(&pci_bus_type, &mica_custody_nb);
}

void mica_custody_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &mica_custody_nb);
}
