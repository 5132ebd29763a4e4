// SPDX-License-Identifier: GPL-2.0-only
/* The guest of a session, as far as who started it tells. */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include "guest.h"

static void mica_guest_event(struct mica_session *session,
			     enum mica_event_type type, struct pid *pid,
			     int status, const char *text)
{
	struct mica_event ev = {
		.type = type,
		.session = session->id,
		.pid = pid_nr(pid),
		.error = status,
		.text = text,
	};

	mica_event_send(&ev);
}

/* The caller's own process, or a child of it: nobody names the others'. */
static bool mica_guest_is_callers(struct pid *pid)
{
	struct task_struct *task;
	bool is = false;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_PID);
	if (task)
		is = same_thread_group(task, current) ||
		     same_thread_group(rcu_dereference(task->real_parent),
				       current);
	rcu_read_unlock();
	return is;
}

static int mica_guest_started(struct mica_call *call,
			      const struct mica_guest_note *note)
{
	struct mica_session *session = call->session;
	struct pid *pid;
	int err = 0;

	pid = find_get_pid(note->pid);
	if (!pid)
		return mica_fail(&call->why, -ESRCH, MICA_REASON_BAD_VALUE,
				 NULL, "there is no process %u", note->pid);
	if (!mica_guest_is_callers(pid)) {
		put_pid(pid);
		return mica_fail(&call->why, -EPERM, MICA_REASON_PRIVILEGE,
				 NULL, "process %u is not a child of the caller",
				 note->pid);
	}
	spin_lock(&session->lock);
	if (session->ending)
		err = mica_session_ended(session, &call->why);
	else if (session->guest)
		err = mica_fail(&call->why, -EBUSY, MICA_REASON_NONE, NULL,
				"the session has a guest; note its end first");
	else
		session->guest = get_pid(pid);
	spin_unlock(&session->lock);
	if (!err)
		mica_guest_event(session, MICA_EVENT_GUEST_START, pid, 0, NULL);
	put_pid(pid);
	return err;
}

static struct pid *mica_guest_forget(struct mica_session *session)
{
	struct pid *pid;

	spin_lock(&session->lock);
	pid = session->guest;
	session->guest = NULL;
	spin_unlock(&session->lock);
	return pid;
}

static int mica_guest_ended(struct mica_call *call,
			    const struct mica_guest_note *note)
{
	struct pid *pid = mica_guest_forget(call->session);

	if (!pid)
		return mica_fail(&call->why, -ENOENT, MICA_REASON_NONE, NULL,
				 "no guest of this session is noted");
	mica_guest_event(call->session, MICA_EVENT_GUEST_END, pid, note->status,
			 NULL);
	put_pid(pid);
	return 0;
}

/**
 * mica_guest_note_drop - the session ends, and its guest is not heard of again
 * @session: the session
 */
void mica_guest_note_drop(struct mica_session *session)
{
	struct pid *pid = mica_guest_forget(session);

	if (!pid)
		return;
	mica_guest_event(session, MICA_EVENT_GUEST_END, pid, -ECANCELED,
			 "the session ended");
	put_pid(pid);
}

int mica_guest_note_run(struct mica_call *call, void *arg)
{
	struct mica_guest_note *note = arg;
	int err;

	err = mica_need_zero(call, note->reserved, "reserved");
	if (err)
		return err;
	switch (note->state) {
	case MICA_GUEST_STARTED:
		err = mica_need_zero(call, note->status, "status");
		return err ?: mica_guest_started(call, note);
	case MICA_GUEST_ENDED:
		err = mica_need_zero(call, note->pid, "pid");
		return err ?: mica_guest_ended(call, note);
	default:
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE,
				 NULL, "state is neither started nor ended");
	}
}
