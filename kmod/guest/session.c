// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions: an open /dev/mica. A session belongs to the file, not to a process:
 * descriptors that were duplicated, inherited or sent are the same session, and
 * the close of the last one ends it, however the processes ended. An administrator
 * may end it before that; then nothing is left of it but the descriptor.
 *
 * A session that ended and could not give everything back stays in the dump
 * with what became of its functions, the last MICA_KEPT of them.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "guest.h"

#define MICA_KEPT	16

static DEFINE_XARRAY_ALLOC1(mica_sessions);
static u32 mica_session_last_id;
/* Guards the table above and keeps the sessions in it from being freed. */
static DEFINE_MUTEX(mica_sessions_lock);
static unsigned int mica_sessions_kept;

/* Frees sessions; never a session's own queue, which ends here. */
static struct workqueue_struct *mica_reaper;

static void mica_session_free(struct mica_session *session)
{
	struct mica_held *held, *next;

	list_for_each_entry_safe(held, next, &session->held, list)
		mica_held_free(held);
	put_pid(session->opener);
	mmdrop(session->mm);
	kfree(session);
}

static void mica_session_forget(struct mica_session *session)
{
	mutex_lock(&mica_sessions_lock);
	xa_erase(&mica_sessions, session->id);
	mutex_unlock(&mica_sessions_lock);
	mica_session_free(session);
}

static void mica_session_forget_oldest(void)
{
	struct mica_session *session;
	unsigned long index;

	xa_for_each(&mica_sessions, index, session) {
		if (!session->kept)
			continue;
		xa_erase(&mica_sessions, index);
		mica_session_free(session);
		mica_sessions_kept--;
		return;
	}
}

/* The session stays for the dump, until too many others did. */
static void mica_session_remember(struct mica_session *session)
{
	mutex_lock(&mica_sessions_lock);
	if (mica_sessions_kept == MICA_KEPT)
		mica_session_forget_oldest();
	mica_sessions_kept++;
	session->kept = true;
	mutex_unlock(&mica_sessions_lock);
}

/*
 * Runs in the reaper's queue, which only module_exit destroys: that waits until
 * this function has returned, so that the module may go with the last act here.
 */
static void mica_session_reap(struct work_struct *work)
{
	struct mica_session *session =
		container_of(work, struct mica_session, reap);

	destroy_workqueue(session->queue);
	if (list_empty(&session->held))
		mica_session_forget(session);
	else
		mica_session_remember(session);
	module_put(THIS_MODULE);
}

/* Functions that went back leave the session, the others tell why not. */
static void mica_session_restore(struct work_struct *work)
{
	struct mica_session *session =
		container_of(work, struct mica_session, restore);
	struct mica_held *held, *next;

	mica_restore(&session->held);
	mica_pf_forget_all(session);
	list_for_each_entry_safe(held, next, &session->held, list) {
		if (held->state == MICA_DEVICE_RESTORED)
			mica_held_free(held);
		else
			mica_custody_release(held);
	}
}

static void mica_session_leave(struct work_struct *work)
{
	struct mica_session *session =
		container_of(work, struct mica_session, leave);

	queue_work(mica_reaper, &session->reap);
}

int mica_session_open(struct inode *inode, struct file *file)
{
	struct mica_session *session;
	int err;

	session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);
	if (!session)
		return -ENOMEM;
	mutex_init(&session->make_queue);
	spin_lock_init(&session->lock);
	init_waitqueue_head(&session->outcome);
	INIT_LIST_HEAD(&session->claiming);
	INIT_LIST_HEAD(&session->held);
	INIT_LIST_HEAD(&session->pfs);
	INIT_WORK(&session->restore, mica_session_restore);
	INIT_WORK(&session->leave, mica_session_leave);
	INIT_WORK(&session->reap, mica_session_reap);
	mica_vm_init(session);
	session->opener = get_pid(task_tgid(current));
	get_task_comm(session->comm, current);
	session->mm = current->mm;
	mmgrab(session->mm);

	mutex_lock(&mica_sessions_lock);
	err = xa_alloc_cyclic(&mica_sessions, &session->id, session,
			      XA_LIMIT(1, S32_MAX), &mica_session_last_id,
			      GFP_KERNEL);
	mutex_unlock(&mica_sessions_lock);
	if (err < 0) {
		mica_session_free(session);
		return err;
	}
	file->private_data = session;
	return 0;
}

/*
 * Whatever the session's queue still does comes to its end before the way back
 * begins, since the queue is ordered. It is begun once: the lock of all sessions
 * keeps a close that comes at the same time from overtaking it.
 */
static void mica_session_end(struct mica_session *session)
{
	lockdep_assert_held(&mica_sessions_lock);
	if (session->ending)
		return;
	spin_lock(&session->lock);
	WRITE_ONCE(session->ending, true);
	spin_unlock(&session->lock);
	wake_up_all(&session->outcome);
	mica_guest_note_drop(session);
	mica_vm_end(session);
	if (session->queue)
		queue_work(session->queue, &session->restore);
}

int mica_session_release(struct inode *inode, struct file *file)
{
	struct mica_session *session = file->private_data;

	mutex_lock(&mica_sessions_lock);
	mica_session_end(session);
	mutex_unlock(&mica_sessions_lock);
	if (session->claim)
		mica_claim_put(session->claim);
	session->claim = NULL;
	mica_own_end(session->owned);
	if (!session->queue) {
		mica_session_forget(session);
		return 0;
	}
	/* The file has a reference still, so this one is safe to take. */
	__module_get(THIS_MODULE);
	queue_work(session->queue, &session->leave);
	return 0;
}

__poll_t mica_session_poll(struct file *file, struct poll_table_struct *table)
{
	struct mica_session *session = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &session->outcome, table);
	spin_lock(&session->lock);
	if (session->claim && mica_claim_done(session->claim))
		mask = EPOLLIN | EPOLLRDNORM;
	spin_unlock(&session->lock);
	if (READ_ONCE(session->ending))
		mask |= EPOLLHUP;
	return mask;
}

/**
 * mica_session_queue - the queue for what may take long
 * @session: the session; its file must be open
 *
 * It is made at the first call: a session that only looks ends at once, without
 * a work item that would keep the module for a moment more.
 *
 * Context: may sleep.
 * Return: the queue, or NULL without memory.
 */
struct workqueue_struct *mica_session_queue(struct mica_session *session)
{
	struct workqueue_struct *queue;

	mutex_lock(&session->make_queue);
	queue = session->queue;
	if (!queue) {
		queue = alloc_ordered_workqueue("mica-%u", 0, session->id);
		/* Who ends the session looks whether there is one. */
		spin_lock(&session->lock);
		session->queue = queue;
		spin_unlock(&session->lock);
	}
	mutex_unlock(&session->make_queue);
	return queue;
}

static int mica_session_sealed(struct mica_reason *why)
{
	return mica_fail(why, -EPERM, MICA_REASON_PRIVILEGE, NULL,
			 "the session is sealed; open another one");
}

/**
 * mica_session_admits - may work be put into a session's queue
 * @session: the session
 * @why: where a refusal is noted
 *
 * Context: the session's lock is held, until the work is in the queue: what is
 * there before the session is sealed or ended is done, nothing comes after.
 * Return: 0, -EPERM or -ENODEV.
 */
int mica_session_admits(struct mica_session *session, struct mica_reason *why)
{
	lockdep_assert_held(&session->lock);
	if (session->ending)
		return mica_session_ended(session, why);
	return session->sealed ? mica_session_sealed(why) : 0;
}

/**
 * mica_session_ended - refuse a call in a session that has been ended
 * @session: the session
 * @why: where that is noted
 *
 * Return: -ENODEV.
 */
int mica_session_ended(struct mica_session *session, struct mica_reason *why)
{
	return mica_fail(why, -ENODEV, MICA_REASON_ENDING, NULL,
			 "session %u has been ended; open another one",
			 session->id);
}

/**
 * mica_session_check - may the caller use a session at all
 * @session: the session
 * @why: where an obstacle is noted
 *
 * A process that came to the descriptor by fork(), by exec() or through a socket
 * has other memory than the one that opened it.
 *
 * Return: 0, -EPERM or -ENODEV.
 */
int mica_session_check(struct mica_session *session, struct mica_reason *why)
{
	if (READ_ONCE(session->ending))
		return mica_session_ended(session, why);
	if (session->mm == current->mm || READ_ONCE(session->sealed))
		return 0;
	return mica_fail(why, -EPERM, MICA_REASON_PRIVILEGE, NULL,
			 "session %u was opened by another process, and that has to call MICA_SEAL before it hands it over",
			 session->id);
}

/**
 * mica_session_privileged - may the caller claim, or do what is like that
 * @call: the call
 * @what: what it wants to do, as "claiming"
 *
 * Return: 0 or -EPERM.
 */
int mica_session_privileged(struct mica_call *call, const char *what)
{
	if (!capable(CAP_SYS_ADMIN))
		return mica_fail(&call->why, -EPERM, MICA_REASON_PRIVILEGE,
				 NULL, "%s needs CAP_SYS_ADMIN", what);
	if (!file_ns_capable(call->file, &init_user_ns, CAP_SYS_ADMIN))
		return mica_fail(&call->why, -EPERM, MICA_REASON_PRIVILEGE,
				 NULL,
				 "the session was opened without CAP_SYS_ADMIN");
	if (READ_ONCE(call->session->sealed))
		return mica_session_sealed(&call->why);
	return 0;
}

int mica_seal_run(struct mica_call *call, void *arg)
{
	struct mica_session *session = call->session;

	spin_lock(&session->lock);
	WRITE_ONCE(session->sealed, true);
	spin_unlock(&session->lock);
	return 0;
}

int mica_guest_end_run(struct mica_call *call, void *arg)
{
	struct mica_guest_end *args = arg;
	struct mica_session *session;
	int err;

	err = mica_need_zero(call, args->reserved, "reserved") ?:
	      mica_session_privileged(call, "ending a session");
	if (err)
		return err;
	mutex_lock(&mica_sessions_lock);
	session = xa_load(&mica_sessions, args->session);
	if (!session || session->kept)
		err = mica_fail(&call->why, -ENOENT, MICA_REASON_NONE, NULL,
				"there is no session %u; mica guest list tells which there are",
				args->session);
	else
		mica_session_end(session);
	mutex_unlock(&mica_sessions_lock);
	return err;
}

/**
 * mica_session_drop_guest - a function is being taken from a session
 * @session: the session, which has the function in the custody table
 *
 * Whoever takes it waits until its users have let it go, and the session's VM is
 * one. The reaper's queue is ordered: the session is not freed before that.
 *
 * Context: any; only queues work.
 */
void mica_session_drop_guest(struct mica_session *session)
{
	queue_work(mica_reaper, &session->drop);
}

static u32 mica_session_guest_pid(struct mica_session *session)
{
	u32 pid;

	spin_lock(&session->lock);
	pid = pid_nr(session->guest);
	spin_unlock(&session->lock);
	return pid;
}

int mica_session_next(u32 after_id, struct mica_session_snap *snap)
{
	unsigned long index = (unsigned long)after_id + 1;
	struct mica_session *session;
	int err = -ENOENT;

	mutex_lock(&mica_sessions_lock);
	session = xa_find(&mica_sessions, &index, U32_MAX, XA_PRESENT);
	if (session) {
		snap->id = session->id;
		snap->pid = pid_nr(session->opener);
		snap->guest_pid = mica_session_guest_pid(session);
		snap->nr_devices = mica_custody_count(session);
		snap->ending = READ_ONCE(session->ending);
		snap->sealed = READ_ONCE(session->sealed);
		strscpy(snap->comm, session->comm, sizeof(snap->comm));
		err = 0;
	}
	mutex_unlock(&mica_sessions_lock);
	return err;
}

int mica_session_device(u32 id, u32 index, struct mica_device_snap *snap)
{
	struct mica_session *session;
	int err = -ENOENT;

	mutex_lock(&mica_sessions_lock);
	session = xa_load(&mica_sessions, id);
	if (session)
		err = mica_custody_snap(session, index, snap);
	mutex_unlock(&mica_sessions_lock);
	return err;
}

int mica_guest_init(void)
{
	int err;

	mica_reaper = alloc_ordered_workqueue("mica-reaper", 0);
	if (!mica_reaper)
		return -ENOMEM;
	err = mica_custody_init();
	if (err)
		destroy_workqueue(mica_reaper);
	else
		mica_errors_init();
	return err;
}

void mica_guest_exit(void)
{
	struct mica_session *session;
	unsigned long index;

	mica_errors_exit();
	mica_custody_exit();
	destroy_workqueue(mica_reaper);
	/* What is left are sessions that are remembered. */
	xa_for_each(&mica_sessions, index, session)
		mica_session_free(session);
	xa_destroy(&mica_sessions);
}
