// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI Express errors (AER) of functions that sessions hold. The kernel handles
 * them, and a tracepoint tells. VFIO tells only the monitor that has opened the
 * function, and nothing of errors that were corrected.
 *
 * A device can have errors without end. They are counted, and a worker tells of
 * each function and severity once a second.
 */
#include <linux/jiffies.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include "../compat/aer_event.h"
#include "guest.h"

#define MICA_ERRORS_PAUSE	HZ

static void mica_errors_tell(struct work_struct *work);

/* A tracepoint is called from anywhere, with preemption off: raw, interrupts off. */
static DEFINE_RAW_SPINLOCK(mica_errors_lock);
static LIST_HEAD(mica_errors_watched);
static LIST_HEAD(mica_errors_pending);
static unsigned long mica_errors_next;	/* when the worker may tell again */
static DECLARE_DELAYED_WORK(mica_errors_work, mica_errors_tell);
static struct tracepoint *mica_errors_tracepoint;

/**
 * mica_errors_init_held - a function has had no errors
 * @held: the function
 */
void mica_errors_init_held(struct mica_held *held)
{
	int i;

	INIT_LIST_HEAD(&held->watched);
	for (i = 0; i < ARRAY_SIZE(held->errors); i++) {
		INIT_LIST_HEAD(&held->errors[i].pending);
		held->errors[i].held = held;
		held->errors[i].severity = i + MICA_SEVERITY_CORRECTED;
	}
}

/**
 * mica_errors_watch - tell of a function's errors, or not any more
 * @held: the function
 * @on: tell of them
 *
 * What was counted before it is switched off is told by mica_errors_flush().
 *
 * Context: any; the custody lock may be held.
 */
void mica_errors_watch(struct mica_held *held, bool on)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&mica_errors_lock, flags);
	list_del_init(&held->watched);
	if (on)
		list_add_tail(&held->watched, &mica_errors_watched);
	raw_spin_unlock_irqrestore(&mica_errors_lock, flags);
}

/**
 * mica_errors_flush - tell what was counted
 *
 * A function that is not watched has no part in this module's lists afterwards.
 *
 * Context: may sleep; no lock held.
 */
void mica_errors_flush(void)
{
	/* Who has just counted one may not have asked for the worker yet. */
	schedule_delayed_work(&mica_errors_work, 0);
	flush_delayed_work(&mica_errors_work);
}

/* The function itself, its physical function, or a bridge above them. */
static bool mica_errors_concern(struct pci_dev *pdev, const char *name)
{
	while (pdev && strcmp(pci_name(pdev), name))
		pdev = pdev->is_virtfn ? pci_physfn(pdev) :
					 pci_upstream_bridge(pdev);
	return pdev;
}

static void mica_errors_count(struct mica_error *error, const char *name,
			      u32 status)
{
	if (error->count++)
		return;
	error->status = status;
	strscpy(error->reporter, name, sizeof(error->reporter));
	list_add_tail(&error->pending, &mica_errors_pending);
}

static void mica_errors_note(const char *name, enum mica_severity severity,
			     u32 status)
{
	struct mica_held *held;
	unsigned long flags, now = jiffies, delay = 0;
	bool noted = false;

	raw_spin_lock_irqsave(&mica_errors_lock, flags);
	list_for_each_entry(held, &mica_errors_watched, watched) {
		if (!mica_errors_concern(held->pdev, name))
			continue;
		mica_errors_count(&held->errors[severity - MICA_SEVERITY_CORRECTED],
				  name, status);
		noted = true;
	}
	if (time_before(now, mica_errors_next))
		delay = mica_errors_next - now;
	raw_spin_unlock_irqrestore(&mica_errors_lock, flags);
	if (noted)
		schedule_delayed_work(&mica_errors_work, delay);
}

/* The first of the list, as it is now; it begins anew. */
static bool mica_errors_take(struct list_head *list, struct mica_error *error)
{
	struct mica_error *first;

	raw_spin_lock_irq(&mica_errors_lock);
	first = list_first_entry_or_null(list, struct mica_error, pending);
	if (first) {
		*error = *first;
		first->count = 0;
		list_del_init(&first->pending);
	}
	raw_spin_unlock_irq(&mica_errors_lock);
	return first;
}

/* The functions live until mica_errors_flush() has seen the end of this. */
static void mica_errors_tell(struct work_struct *work)
{
	struct mica_error error;
	LIST_HEAD(list);

	raw_spin_lock_irq(&mica_errors_lock);
	list_splice_init(&mica_errors_pending, &list);
	mica_errors_next = jiffies + MICA_ERRORS_PAUSE;
	raw_spin_unlock_irq(&mica_errors_lock);
	while (mica_errors_take(&list, &error)) {
		struct mica_event ev = {
			.type = MICA_EVENT_PCIE_ERROR,
			.session = error.held->session->id,
			.device = error.held->name,
			.severity = error.severity,
			.status = error.status,
			.count = error.count,
		};

		if (strcmp(error.reporter, error.held->name))
			ev.reporter = error.reporter;
		mica_event_send(&ev);
	}
}

static void mica_errors_probe(COMPAT_AER_EVENT_PARAMS)
{
	switch (severity) {
	case AER_CORRECTABLE:
		mica_errors_note(name, MICA_SEVERITY_CORRECTED, status);
		break;
	case AER_NONFATAL:
		mica_errors_note(name, MICA_SEVERITY_NONFATAL, status);
		break;
	default:
		mica_errors_note(name, MICA_SEVERITY_FATAL, status);
	}
}

/**
 * mica_errors_told - does the kernel let this module see errors
 */
bool mica_errors_told(void)
{
	return mica_errors_tracepoint;
}

static void mica_errors_find(struct tracepoint *tp, void *data)
{
	struct tracepoint **found = data;

	if (!strcmp(tp->name, "aer_event"))
		*found = tp;
}

/**
 * mica_errors_init - begin to hear of errors, where that is possible
 */
void mica_errors_init(void)
{
	struct tracepoint *tp = NULL;

	compat_aer_event_check(mica_errors_probe);
	for_each_kernel_tracepoint(mica_errors_find, &tp);
	if (tp && !tracepoint_probe_register(tp, mica_errors_probe, NULL))
		mica_errors_tracepoint = tp;
}

/**
 * mica_errors_exit - do not hear of errors any more
 */
void mica_errors_exit(void)
{
	if (mica_errors_tracepoint)
		tracepoint_probe_unregister(mica_errors_tracepoint,
					    mica_errors_probe, NULL);
	tracepoint_synchronize_unregister();
	cancel_delayed_work_sync(&mica_errors_work);
}
