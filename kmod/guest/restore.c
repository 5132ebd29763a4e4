// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way back of functions to the drivers that they had, after a session or
 * after a claim that failed half-way. All of a list go through each step before
 * the next one begins: a group's DMA comes free only as a whole, and a bus is
 * reset only when all of it is unbound.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "guest.h"

#define MICA_DMA_WAIT_MS	5000
#define MICA_DMA_POLL_MS	5

static void mica_restore_event(struct mica_held *held, int error,
			       const char *text)
{
	struct mica_event ev = {
		.type = MICA_EVENT_RESTORE,
		.session = held->session->id,
		.error = error,
		.device = held->name,
		.driver = held->driver,
		.text = text,
	};

	mica_event_send(&ev);
}

static void mica_restore_finish(struct mica_held *held,
				enum mica_device_state state, int error,
				const char *text)
{
	held->leave = true;
	if (mica_custody_unplugged(held)) {
		state = MICA_DEVICE_UNPLUGGED;
		error = -ENODEV;
		text = "unplugged";
	}
	mica_custody_state(held, state, error);
	if (error)
		pci_warn(held->pdev, "mica: not given back to %s: %s\n",
			 held->driver ?: "no driver", text);
	mica_restore_event(held, error, text);
}

/*
 * The override that goes back is the recorded one, unless an administrator put
 * another in the place of @ours meanwhile: that one stays.
 */
static void mica_restore_override(struct mica_held *held, const char *ours)
{
	char *now = NULL;
	int err;

	err = mica_override_read(held->pdev, &now);
	if (!err && now && !strcmp(now, ours))
		err = mica_override_write(held->pdev, held->override);
	if (err)
		pci_warn(held->pdev, "mica: driver_override not put back: %d\n",
			 err);
	kfree(now);
}

static void mica_restore_begin(struct mica_held *held)
{
	held->leave = !held->overridden;
	if (!held->leave)
		mica_custody_state(held, MICA_DEVICE_RESTORING, 0);
}

/*
 * A monitor that is dying lets go of the group some time after its last word.
 * Unbinding before that would have vfio-pci wait with the device's lock held,
 * and its own reset at the last close wants that lock.
 */
static void mica_restore_wait(struct mica_held *held, unsigned long end)
{
	if (held->leave || mica_custody_unplugged(held) ||
	    !mica_driver_is(held->pdev, MICA_VFIO_DRIVER))
		return;
	while (iommu_group_dma_owner_claimed(held->group) &&
	       time_before(jiffies, end))
		msleep(MICA_DMA_POLL_MS);
}

static void mica_restore_unbind(struct mica_held *held)
{
	if (held->leave)
		return;
	if (mica_custody_unplugged(held)) {
		mica_restore_finish(held, MICA_DEVICE_UNPLUGGED, -ENODEV, NULL);
		return;
	}
	if (held->pf) {
		mica_vf_unbind(held);
		return;
	}
	if (mica_driver_is(held->pdev, MICA_VFIO_DRIVER)) {
		/* vfio-pci allows it, and forbids it when it lets go. */
		held->power_auto &= mica_power_is_auto(held->pdev);
		mica_driver_unbind(held->pdev);
	}
	if (mica_driver_is(held->pdev, NULL))
		return;
	mica_restore_override(held, MICA_VFIO_DRIVER);
	if (held->driver && mica_driver_is(held->pdev, held->driver))
		mica_restore_finish(held, MICA_DEVICE_RESTORED, 0, NULL);
	else
		mica_restore_finish(held, MICA_DEVICE_TAKEN, -EBUSY,
				    "somebody else bound it to another driver");
}

/* Returns the override that an administrator set while we held the function. */
static char *mica_restore_foreign(struct mica_held *held)
{
	char *now = NULL;

	if (!mica_override_read(held->pdev, &now) && now &&
	    !strcmp(now, MICA_VFIO_DRIVER)) {
		kfree(now);
		now = NULL;
	}
	return now;
}

static int mica_restore_attach(struct mica_held *held)
{
	char *foreign = mica_restore_foreign(held);
	int err;

	if (foreign) {
		kfree(held->override);
		mica_custody_record(held, held->driver, foreign);
	}
	err = mica_override_write(held->pdev, held->driver);
	if (err) {
		mica_restore_override(held, MICA_VFIO_DRIVER);
		return err;
	}
	if (!mica_driver_bind(held->pdev, held->driver))
		err = -ENODEV;
	mica_restore_override(held, held->driver);
	return err;
}

/* What was made for the session goes with it. */
static void mica_restore_remove(struct mica_held *held)
{
	int err = mica_pf_remove_vfs(held->pf);

	if (err)
		mica_restore_finish(held, MICA_DEVICE_NO_DRIVER, err,
				    "its physical function did not remove it");
	else
		mica_restore_finish(held, MICA_DEVICE_RESTORED, 0, NULL);
}

static void mica_restore_bind(struct mica_held *held)
{
	int err = 0;

	if (held->leave)
		return;
	if (held->pf) {
		mica_restore_remove(held);
		return;
	}
	if (held->lost) {
		mica_restore_override(held, MICA_VFIO_DRIVER);
		mica_restore_finish(held, MICA_DEVICE_LOST, -EIO,
				    "it does not answer after its reset");
		return;
	}
	if (held->driver)
		err = mica_restore_attach(held);
	else
		mica_restore_override(held, MICA_VFIO_DRIVER);
	if (held->power_auto)
		mica_power_set_auto(held->pdev);
	if (!err)
		mica_restore_finish(held, MICA_DEVICE_RESTORED, 0, NULL);
	else if (mica_driver_is(held->pdev, NULL))
		mica_restore_finish(held, MICA_DEVICE_NO_DRIVER, err,
				    "its driver is gone or did not take it");
	else
		mica_restore_finish(held, MICA_DEVICE_TAKEN, -EBUSY,
				    "somebody else bound it to another driver");
}

/**
 * mica_restore - give functions back
 * @list: functions of one session, in custody
 *
 * Functions to which nothing was done are left as they are. Where each of the
 * others ended is in its state, and in an event.
 *
 * Context: the session's queue; no lock held. It may take as long as a driver's
 * remove() and probe(), and as long as a process keeps the function open.
 */
void mica_restore(struct list_head *list)
{
	struct mica_held *held;
	unsigned long end;

	list_for_each_entry(held, list, list)
		mica_restore_begin(held);
	mica_errors_flush();
	end = jiffies + msecs_to_jiffies(MICA_DMA_WAIT_MS);
	list_for_each_entry(held, list, list)
		mica_restore_wait(held, end);
	list_for_each_entry(held, list, list)
		mica_restore_unbind(held);
	mica_reset_all(list);
	list_for_each_entry(held, list, list)
		mica_restore_bind(held);
}
