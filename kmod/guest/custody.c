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
#include <linux/string.h>
#include "guest.h"

static LIST_HEAD(mica_custody);
/* Of the physical functions in here, and of their virtual ones, no other session gets any. */
static LIST_HEAD(mica_pfs);
static DEFINE_SPINLOCK(mica_custody_lock);

/**
 * mica_held_alloc - room for a function that a session may come to hold
 * @session: the session
 *
 * Return: for mica_held_set() and mica_held_free(), or NULL without memory.
 */
struct mica_held *mica_held_alloc(struct mica_session *session)
{
	struct mica_held *held = kzalloc(sizeof(*held), GFP_KERNEL_ACCOUNT);

	if (!held)
		return NULL;
	INIT_LIST_HEAD(&held->list);
	INIT_LIST_HEAD(&held->table);
	held->session = session;
	held->state = MICA_DEVICE_CLAIMING;
	mica_errors_init_held(held);
	return held;
}

/**
 * mica_held_set - which function it is
 * @held: what mica_held_alloc() gave
 * @pdev: the function; references are taken
 */
void mica_held_set(struct mica_held *held, struct pci_dev *pdev)
{
	held->pdev = pci_dev_get(pdev);
	held->group = iommu_group_get(&pdev->dev);
	strscpy(held->name, pci_name(pdev), sizeof(held->name));
}

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
	struct mica_held *held = mica_held_alloc(session);

	if (held)
		mica_held_set(held, pdev);
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
	held->pf = NULL;
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

static struct mica_pf *mica_custody_find_pf(struct pci_dev *pdev)
{
	struct mica_pf *pf;

	lockdep_assert_held(&mica_custody_lock);
	list_for_each_entry(pf, &mica_pfs, table)
		if (pf->pdev == pdev)
			return pf;
	return NULL;
}

/* Who holds the function itself, or had it made. */
static struct mica_session *mica_custody_session(struct pci_dev *pdev)
{
	struct mica_held *held = mica_custody_find(pdev);
	struct mica_pf *pf = NULL;

	if (held)
		return held->session;
	if (pdev->is_virtfn)
		pf = mica_custody_find_pf(pci_physfn(pdev));
	return pf ? pf->session : NULL;
}

/* Who holds the physical function of this one, or virtual functions of it. */
static struct mica_session *mica_custody_related(struct pci_dev *pdev)
{
	struct mica_held *held;
	struct mica_pf *pf;

	if (pdev->is_virtfn) {
		held = mica_custody_find(pci_physfn(pdev));
		return held ? held->session : NULL;
	}
	list_for_each_entry(held, &mica_custody, table)
		if (held->pdev->is_virtfn && pci_physfn(held->pdev) == pdev)
			return held->session;
	pf = mica_custody_find_pf(pdev);
	return pf ? pf->session : NULL;
}

static bool mica_custody_taken(struct pci_dev *pdev)
{
	return mica_custody_session(pdev) || mica_custody_related(pdev);
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
	struct pci_dev *taken = NULL;
	struct mica_held *held;

	spin_lock(&mica_custody_lock);
	list_for_each_entry(held, list, list)
		if (mica_custody_taken(held->pdev))
			taken = held->pdev;
	if (!taken) {
		list_for_each_entry(held, list, list)
			list_add_tail(&held->table, &mica_custody);
		list_splice_tail_init(list, &session->claiming);
	}
	spin_unlock(&mica_custody_lock);
	if (!taken)
		return 0;
	/* The holder may be gone by now, but this call has lost all the same. */
	return mica_check_free(taken, why) ?: -EBUSY;
}

/**
 * mica_custody_reserve_pf - reserve a function and all its virtual ones
 * @pf: the physical function
 * @why: where it is noted if another session has any of them
 *
 * Return: 0, or -EBUSY as mica_check_free() has it.
 */
int mica_custody_reserve_pf(struct mica_pf *pf, struct mica_reason *why)
{
	bool taken;

	spin_lock(&mica_custody_lock);
	taken = mica_custody_taken(pf->pdev);
	if (!taken)
		list_add_tail(&pf->table, &mica_pfs);
	spin_unlock(&mica_custody_lock);
	if (!taken)
		return 0;
	return mica_check_free(pf->pdev, why) ?: -EBUSY;
}

/**
 * mica_custody_release_pf - give that reservation up
 * @pf: the physical function
 */
void mica_custody_release_pf(struct mica_pf *pf)
{
	spin_lock(&mica_custody_lock);
	list_del_init(&pf->table);
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_making - the virtual functions that come now are the session's
 * @pf: the physical function
 * @making: they begin to come, or have come
 */
void mica_custody_making(struct mica_pf *pf, bool making)
{
	spin_lock(&mica_custody_lock);
	pf->making = making;
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_add - a function that was made for a session
 * @session: the session
 * @held: the function
 */
void mica_custody_add(struct mica_session *session, struct mica_held *held)
{
	spin_lock(&mica_custody_lock);
	list_add_tail(&held->table, &mica_custody);
	list_move_tail(&held->list, &session->claiming);
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_going - that this function leaves the bus is no unplug
 * @held: the function
 */
void mica_custody_going(struct mica_held *held)
{
	spin_lock(&mica_custody_lock);
	held->going = true;
	spin_unlock(&mica_custody_lock);
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
 *
 * A function that left the bus stays unplugged.
 */
void mica_custody_state(struct mica_held *held, enum mica_device_state state,
			int error)
{
	spin_lock(&mica_custody_lock);
	if (!held->unplugged) {
		held->state = state;
		held->error = error;
		mica_errors_watch(held, state == MICA_DEVICE_CLAIMED);
	}
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
 * mica_custody_set_bound - note whether vfio-pci has a function in custody
 * @pdev: the function
 * @bound: it has
 */
void mica_custody_set_bound(struct pci_dev *pdev, bool bound)
{
	struct mica_held *held;

	spin_lock(&mica_custody_lock);
	held = mica_custody_find(pdev);
	if (held)
		held->bound = bound;
	spin_unlock(&mica_custody_lock);
}

/**
 * mica_custody_bound - is a function in custody, and has vfio-pci it
 * @pdev: the function
 *
 * As long as vfio-pci's remove() lasts, it has.
 */
bool mica_custody_bound(struct pci_dev *pdev)
{
	struct mica_held *held;
	bool bound;

	spin_lock(&mica_custody_lock);
	held = mica_custody_find(pdev);
	bound = held && held->bound;
	spin_unlock(&mica_custody_lock);
	return bound;
}

static u32 mica_custody_id(struct mica_session *(*find)(struct pci_dev *pdev),
			   struct pci_dev *pdev, bool *ending)
{
	struct mica_session *session;
	u32 id;

	spin_lock(&mica_custody_lock);
	session = find(pdev);
	id = session ? session->id : 0;
	if (ending)
		*ending = session && READ_ONCE(session->ending);
	spin_unlock(&mica_custody_lock);
	return id;
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
	return mica_custody_id(mica_custody_session, pdev, ending);
}

/**
 * mica_custody_relative - the session that holds what a function depends on
 * @pdev: the function
 * @ending: out: that is on its way back; may be NULL
 *
 * That is the physical function of a virtual one, or a virtual function of a
 * physical one.
 *
 * Return: the number of the session, or zero.
 */
u32 mica_custody_relative(struct pci_dev *pdev, bool *ending)
{
	return mica_custody_id(mica_custody_related, pdev, ending);
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

static void mica_custody_removed(struct pci_dev *pdev)
{
	struct mica_held *held;

	spin_lock(&mica_custody_lock);
	held = mica_custody_find(pdev);
	if (held && !held->going) {
		held->unplugged = true;
		held->state = MICA_DEVICE_UNPLUGGED;
		held->error = -ENODEV;
		mica_errors_watch(held, false);
	}
	spin_unlock(&mica_custody_lock);
}

/*
 * A virtual function that is being made for a session. No driver can have it
 * before this returns, and only vfio-pci after it.
 */
static void mica_custody_made(struct pci_dev *pdev)
{
	struct mica_pf *pf = NULL;
	int err;

	if (!pdev->is_virtfn)
		return;
	spin_lock(&mica_custody_lock);
	pf = mica_custody_find_pf(pci_physfn(pdev));
	if (pf && (!pf->making || pf->nr == pf->max))
		pf = NULL;
	if (pf)
		pf->vf[pf->nr++] = pci_dev_get(pdev);
	spin_unlock(&mica_custody_lock);
	if (!pf)
		return;
	pci_set_dev_assigned(pdev);
	err = mica_override_write(pdev, MICA_VFIO_DRIVER);
	if (err)
		pci_warn(pdev, "mica: driver_override not set: %d\n", err);
}

/* Of a driver that somebody else unbinds, who depends on it: a session, or zero. */
static u32 mica_custody_loser(struct pci_dev *pdev, const char **text)
{
	struct mica_held *held;
	struct mica_pf *pf;
	u32 id = 0;

	spin_lock(&mica_custody_lock);
	held = mica_custody_find(pdev);
	pf = mica_custody_find_pf(pdev);
	if (held && held->state == MICA_DEVICE_CLAIMED) {
		mica_session_drop_guest(held->session);
		id = held->session->id;
		*text = "somebody takes it from vfio-pci";
	} else if (pf && !READ_ONCE(pf->session->ending)) {
		id = pf->session->id;
		*text = "it loses its driver, and the session has virtual functions of it";
	}
	spin_unlock(&mica_custody_lock);
	return id;
}

/* It cannot be kept from going, and vfio-pci waits for its user: that is told. */
static void mica_custody_leaving(struct pci_dev *pdev)
{
	struct mica_event ev = {
		.type = MICA_EVENT_LEAVING,
		.device = pci_name(pdev),
	};

	ev.session = mica_custody_loser(pdev, &ev.text);
	if (!ev.session)
		return;
	pci_warn(pdev, "mica: session %u: %s\n", ev.session, ev.text);
	mica_event_send(&ev);
}

static int mica_custody_notify(struct notifier_block *nb, unsigned long action,
			       void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);

	if (action == BUS_NOTIFY_ADD_DEVICE)
		mica_custody_made(pdev);
	else if (action == BUS_NOTIFY_BOUND_DRIVER)
		mica_custody_set_bound(pdev, !strcmp(pdev->dev.driver->name,
						     MICA_VFIO_DRIVER));
	else if (action == BUS_NOTIFY_UNBIND_DRIVER)
		mica_custody_leaving(pdev);
	else if (action == BUS_NOTIFY_UNBOUND_DRIVER)
		mica_custody_set_bound(pdev, false);
	else if (action == BUS_NOTIFY_DEL_DEVICE)
		mica_custody_removed(pdev);
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
