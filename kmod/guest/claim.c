// SPDX-License-Identifier: GPL-2.0-only
/*
 * MICA_CLAIM and MICA_WAIT. The caller hands a piece of work to the session's
 * queue and waits for it, killably; or fetches the outcome later. All that is
 * refused is refused before the first function is touched, and what fails after
 * that is undone in the same piece of work.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "claim.h"

#define MICA_AWAIT_MS		10000
#define MICA_AWAIT_POLL_MS	10

static void mica_claim_free(struct kref *ref)
{
	struct mica_claim_work *claim =
		container_of(ref, struct mica_claim_work, ref);

	while (claim->nr)
		pci_dev_put(claim->pdev[--claim->nr]);
	kfree(claim->vfs);
	kfree(claim);
}

/**
 * mica_claim_put - drop a reference to a claim
 * @claim: the claim
 */
void mica_claim_put(struct mica_claim_work *claim)
{
	kref_put(&claim->ref, mica_claim_free);
}

/**
 * mica_claim_done - is a claim through
 * @claim: the claim
 */
bool mica_claim_done(struct mica_claim_work *claim)
{
	return completion_done(&claim->done);
}

static bool mica_claim_has(struct list_head *list, struct device *dev)
{
	struct mica_held *held;

	list_for_each_entry(held, list, list)
		if (&held->pdev->dev == dev)
			return true;
	return false;
}

static bool mica_claim_comes_free(struct pci_dev *pdev)
{
	bool ending;

	if (mica_custody_holder(pdev, &ending) ||
	    mica_custody_relative(pdev, &ending))
		return ending;
	return false;
}

/**
 * mica_claim_await - wait for a function that is on its way back
 * @claim: who wants it
 * @pdev: the function
 *
 * Who runs one guest after the other meets functions that the last one had. That
 * is worth a wait, unless it takes long: then somebody keeps them open.
 */
void mica_claim_await(struct mica_claim_work *claim, struct pci_dev *pdev)
{
	unsigned long end = jiffies + msecs_to_jiffies(MICA_AWAIT_MS);

	while (mica_claim_comes_free(pdev) &&
	       !READ_ONCE(claim->session->ending) && time_before(jiffies, end))
		msleep(MICA_AWAIT_POLL_MS);
}

static int mica_claim_add(struct mica_claim_work *claim, struct list_head *list,
			  struct pci_dev *pdev)
{
	struct mica_held *held;

	mica_claim_await(claim, pdev);
	held = mica_held_new(claim->session, pdev);
	if (!held)
		return -ENOMEM;
	list_add_tail(&held->list, list);
	return 0;
}

static bool mica_claim_holds(struct mica_claim_work *claim, struct device *dev)
{
	return dev_is_pci(dev) &&
	       mica_custody_holder(to_pci_dev(dev), NULL) == claim->session->id;
}

/* One other member of the group of a function that is to be claimed. */
static int mica_claim_member(struct mica_claim_work *claim,
			     struct list_head *list, struct device *dev,
			     const char *name)
{
	char driver[64];
	bool managed;
	int err;

	if (mica_claim_has(list, dev))
		return 0;
	err = mica_driver_name(dev, driver, sizeof(driver), &managed);
	if (err)
		return err;
	if (!mica_group_needs(dev, driver, managed) ||
	    mica_claim_holds(claim, dev))
		return 0;
	if (claim->flags & MICA_CLAIM_GROUP && dev_is_pci(dev) &&
	    !mica_is_bridge(to_pci_dev(dev)))
		return mica_claim_add(claim, list, to_pci_dev(dev));
	/* Nothing that a call asks for keeps virtual functions apart. */
	if (claim->nr_vfs)
		return mica_fail(&claim->why, -EBUSY, MICA_REASON_GROUP,
				 dev_name(dev),
				 "%s is in the IOMMU group of %s: what is above them has no ACS",
				 dev_name(dev), name);
	return mica_group_refuse(dev, driver, name, &claim->why);
}

/**
 * mica_claim_group - see to the rest of a function's IOMMU group
 * @claim: who wants the function
 * @list: what comes to the session together; other members join it
 * @held: the function
 *
 * Return: 0 or a negative errno.
 */
int mica_claim_group(struct mica_claim_work *claim, struct list_head *list,
		     struct mica_held *held)
{
	struct mica_group_members *members;
	unsigned int i;
	int err = 0;

	if (!held->group)
		return mica_check_function(held->pdev, &claim->why) ?: -ENODEV;
	members = mica_group_members(held->group);
	if (!members)
		return -ENOMEM;
	for (i = 0; i < members->nr && !err; i++)
		err = mica_claim_member(claim, list, members->dev[i],
					held->name);
	mica_group_members_put(members);
	return err;
}

/* The functions that were asked for, and what has to come along. */
static int mica_claim_collect(struct mica_claim_work *claim,
			      struct list_head *list)
{
	struct mica_held *held;
	unsigned int i;
	int err;

	for (i = 0; i < claim->nr; i++) {
		mica_claim_await(claim, claim->pdev[i]);
		err = mica_check_function(claim->pdev[i], &claim->why) ?:
		      mica_check_free(claim->pdev[i], &claim->why) ?:
		      mica_claim_add(claim, list, claim->pdev[i]);
		if (err)
			return err;
	}
	/* The list may grow behind the cursor, by members of the same group. */
	list_for_each_entry(held, list, list) {
		err = mica_claim_group(claim, list, held);
		if (err)
			return err;
	}
	return 0;
}

static int mica_claim_inuse(struct mica_claim_work *claim)
{
	struct mica_held *held;
	char driver[64];
	int err;

	list_for_each_entry(held, &claim->session->claiming, list) {
		err = mica_driver_name(&held->pdev->dev, driver, sizeof(driver),
				       NULL) ?:
		      mica_check_user(held->pdev, driver, &claim->why) ?:
		      mica_inuse(held->pdev, &claim->why);
		if (err == -EBUSY && claim->why.code != MICA_REASON_USER &&
		    claim->flags & MICA_CLAIM_FORCE) {
			pci_warn(held->pdev,
				 "mica: claimed by force, although %s\n",
				 claim->why.text);
			err = 0;
		}
		if (err)
			return err;
	}
	return 0;
}

static int mica_claim_take(struct mica_claim_work *claim)
{
	struct mica_held *held;
	int err;

	list_for_each_entry(held, &claim->session->claiming, list) {
		err = mica_take(held, &claim->why);
		if (err)
			return err;
	}
	/* That of the others may have taken long. */
	list_for_each_entry(held, &claim->session->claiming, list) {
		err = mica_take_step_ok(held, &claim->why);
		if (err)
			return err;
	}
	return 0;
}

static void mica_claim_event(struct mica_session *session, const char *device,
			     const char *driver, int error, const char *text)
{
	struct mica_event ev = {
		.type = MICA_EVENT_CLAIM,
		.session = session->id,
		.error = error,
		.device = device,
		.driver = driver,
		.text = text,
	};

	mica_event_send(&ev);
}

/**
 * mica_claim_keep - the claim went well
 * @claim: the claim
 */
void mica_claim_keep(struct mica_claim_work *claim)
{
	struct mica_session *session = claim->session;
	struct mica_held *held;

	list_for_each_entry(held, &session->claiming, list) {
		mica_custody_state(held, MICA_DEVICE_CLAIMED, 0);
		mica_claim_event(session, held->name, held->driver, 0, NULL);
		claim->nr_claimed++;
	}
	mica_custody_keep(session);
}

static void mica_claim_drop(struct list_head *list)
{
	struct mica_held *held, *next;

	list_for_each_entry_safe(held, next, list, list)
		mica_held_free(held);
}

/**
 * mica_claim_undo - it did not
 * @session: the session, which was claiming
 */
void mica_claim_undo(struct mica_session *session)
{
	mica_restore(&session->claiming);
	mica_claim_drop(&session->claiming);
}

static int mica_claim_do(struct mica_claim_work *claim)
{
	struct mica_session *session = claim->session;
	LIST_HEAD(list);
	int err;

	err = mica_claim_collect(claim, &list) ?:
	      mica_custody_reserve(session, &list, &claim->why);
	if (err) {
		mica_claim_drop(&list);
		return err;
	}
	err = mica_check_vfio(&claim->why) ?:
	      mica_claim_inuse(claim) ?:
	      mica_claim_take(claim);
	if (err) {
		mica_claim_undo(session);
		return err;
	}
	mica_claim_keep(claim);
	return 0;
}

static void mica_claim_worker(struct work_struct *work)
{
	struct mica_claim_work *claim =
		container_of(work, struct mica_claim_work, work);
	struct mica_session *session = claim->session;

	/* Nothing is begun any more for whom nobody waits. */
	claim->error = READ_ONCE(session->ending) ?
		       mica_session_ended(session, &claim->why) :
		       claim->run(claim);
	if (claim->error)
		mica_claim_event(session, pci_name(claim->pdev[0]), NULL,
				 claim->error, claim->why.text);
	complete_all(&claim->done);
	wake_up_all(&session->outcome);
	mica_claim_put(claim);
}

static int mica_claim_lookup(struct mica_claim_work *claim, u64 ptr, u32 nr,
			     struct mica_reason *why)
{
	const struct mica_pci_addr __user *uaddr = u64_to_user_ptr(ptr);
	struct mica_pci_addr addr;
	unsigned int i;
	int err;

	for (; claim->nr < nr; claim->nr++) {
		if (copy_from_user(&addr, &uaddr[claim->nr], sizeof(addr)))
			return -EFAULT;
		err = mica_addr_find(&addr, &claim->pdev[claim->nr], why);
		if (err)
			return err;
		for (i = 0; i < claim->nr; i++) {
			if (claim->pdev[i] != claim->pdev[claim->nr])
				continue;
			mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE,
				  pci_name(claim->pdev[i]),
				  "%s is named twice", pci_name(claim->pdev[i]));
			pci_dev_put(claim->pdev[i]);
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * mica_claim_alloc - work that brings functions to a session
 * @session: the session
 * @nr: room for functions
 * @run: what is to be done, in the session's queue
 *
 * Return: for mica_claim_through() and mica_claim_put(), or NULL without memory.
 */
struct mica_claim_work *mica_claim_alloc(struct mica_session *session,
					 unsigned int nr,
					 int (*run)(struct mica_claim_work *))
{
	struct mica_claim_work *claim;

	claim = kzalloc(struct_size(claim, pdev, nr), GFP_KERNEL_ACCOUNT);
	if (!claim)
		return NULL;
	kref_init(&claim->ref);
	INIT_WORK(&claim->work, mica_claim_worker);
	init_completion(&claim->done);
	claim->session = session;
	claim->run = run;
	return claim;
}

/* What a claim ended with, for the caller. */
static int mica_claim_outcome(struct mica_claim_work *claim,
			      struct mica_call *call, u32 *nr_claimed)
{
	call->why = claim->why;
	*nr_claimed = claim->nr_claimed;
	return claim->error;
}

/* Whoever ended the session has the caller return at once. */
static int mica_claim_wait(struct mica_claim_work *claim,
			   struct mica_reason *why)
{
	struct mica_session *session = claim->session;

	if (wait_event_killable(session->outcome, mica_claim_done(claim) ||
				READ_ONCE(session->ending)))
		return -EINTR;
	/* The worker may have seen it first, and have given up with another error. */
	return READ_ONCE(session->ending) ? mica_session_ended(session, why) : 0;
}

static int mica_claim_unfetched(struct mica_claim_work *claim,
				struct mica_reason *why)
{
	if (!(claim->flags & MICA_CLAIM_ASYNC) || !claim->session->claim)
		return 0;
	return mica_fail(why, -EBUSY, MICA_REASON_NONE, NULL,
			 "the outcome of the last claim has not been fetched; call MICA_WAIT first");
}

static int mica_claim_start(struct mica_claim_work *claim,
			    struct mica_reason *why)
{
	struct mica_session *session = claim->session;
	int err;

	spin_lock(&session->lock);
	err = mica_session_admits(session, why) ?:
	      mica_claim_unfetched(claim, why);
	if (!err) {
		kref_get(&claim->ref);
		queue_work(session->queue, &claim->work);
	}
	if (!err && claim->flags & MICA_CLAIM_ASYNC) {
		kref_get(&claim->ref);
		session->claim = claim;
	}
	spin_unlock(&session->lock);
	return err;
}

/**
 * mica_claim_through - have a claim done, and wait for it unless it has ASYNC
 * @claim: the claim
 * @call: the call
 * @nr_claimed: out: functions that came to the session
 *
 * Return: 0 or a negative errno.
 */
int mica_claim_through(struct mica_claim_work *claim, struct mica_call *call,
		       u32 *nr_claimed)
{
	int err = mica_claim_start(claim, &call->why);

	if (err || claim->flags & MICA_CLAIM_ASYNC)
		return err;
	return mica_claim_wait(claim, &call->why) ?:
	       mica_claim_outcome(claim, call, nr_claimed);
}

int mica_claim_run(struct mica_call *call, void *arg)
{
	struct mica_claim *args = arg;
	struct mica_claim_work *claim;
	int err;

	args->nr_claimed = 0;
	err = mica_session_privileged(call, "claiming");
	if (err)
		return err;
	if (!args->nr_devices || args->nr_devices > MICA_CLAIM_MAX)
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE,
				 NULL, "nr_devices must be 1 to %u",
				 MICA_CLAIM_MAX);
	if (!mica_session_queue(call->session))
		return -ENOMEM;
	claim = mica_claim_alloc(call->session, args->nr_devices,
				 mica_claim_do);
	if (!claim)
		return -ENOMEM;
	claim->flags = args->flags;
	err = mica_claim_lookup(claim, args->devices_ptr, args->nr_devices,
				&call->why) ?:
	      mica_claim_through(claim, call, &args->nr_claimed);
	mica_claim_put(claim);
	return err;
}

/* Of two callers that wait for the same outcome, one gets it. */
static bool mica_claim_fetched(struct mica_session *session,
			       struct mica_claim_work *claim)
{
	bool ours;

	spin_lock(&session->lock);
	ours = session->claim == claim;
	if (ours)
		session->claim = NULL;
	spin_unlock(&session->lock);
	if (ours)
		mica_claim_put(claim);
	return ours;
}

int mica_wait_run(struct mica_call *call, void *arg)
{
	struct mica_session *session = call->session;
	struct mica_claim_work *claim;
	struct mica_wait *args = arg;
	int err;

	err = mica_need_zero(call, args->reserved, "reserved");
	if (err)
		return err;

	spin_lock(&session->lock);
	claim = session->claim;
	if (claim)
		kref_get(&claim->ref);
	spin_unlock(&session->lock);
	if (!claim)
		return -ECHILD;

	if (args->flags & MICA_WAIT_NONBLOCK)
		err = mica_claim_done(claim) ? 0 : -EAGAIN;
	else
		err = mica_claim_wait(claim, &call->why);
	if (!err)
		err = mica_claim_fetched(session, claim) ?
		      mica_claim_outcome(claim, call, &args->nr_claimed) :
		      -ECHILD;
	mica_claim_put(claim);
	return err;
}
