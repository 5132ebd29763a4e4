// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: dumps of what is there, and events.
 *
 * The family lives in the initial network namespace only, and both dumps and
 * events are for CAP_NET_ADMIN there: they name processes, devices and paths
 * of the whole host.
 */
#include <linux/kernel.h>
#include <linux/kdev_t.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <net/genetlink.h>
#include "mica.h"

enum {
	MICA_GROUP_EVENTS,
};

static const struct genl_multicast_group mica_groups[] = {
	[MICA_GROUP_EVENTS] = {
		.name = MICA_MCGRP_EVENTS,
		.flags = GENL_MCAST_CAP_NET_ADMIN,
	},
};

static struct genl_family mica_family;

/*
 * Where a dump goes on in its next skb. An object is found again by its number
 * and not by its place in a list, so objects that come and go between two skbs
 * neither hide another one nor show one twice.
 */
struct mica_dump_cursor {
	u32 after;	/* the last session or union that was told in full */
	u32 current_id;	/* the one whose parts are being told */
	u32 index;	/* its next part */
	u32 only;	/* tell of this one alone; 0: of all */
};

static struct mica_dump_cursor *mica_cursor(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct mica_dump_cursor) > sizeof(cb->ctx));
	return (struct mica_dump_cursor *)cb->ctx;
}

/* Go to the parts of @id; an interrupted one is taken up where it was left. */
static void mica_cursor_enter(struct mica_dump_cursor *cur, u32 id)
{
	if (cur->current_id == id)
		return;
	cur->current_id = id;
	cur->index = 0;
}

/* The attribute has been checked against the policy of the command. */
static void mica_cursor_filter(struct netlink_callback *cb, int attr)
{
	const struct nlattr *only = nlmsg_find_attr(cb->nlh, GENL_HDRLEN, attr);
	struct mica_dump_cursor *cur = mica_cursor(cb);

	if (!only)
		return;
	cur->only = nla_get_u32(only);
	cur->after = cur->only - 1;
}

static void *mica_dump_put(struct sk_buff *skb, struct netlink_callback *cb,
			   u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &mica_family, NLM_F_MULTI, cmd);
}

/*
 * What a dump callback returns when an entry did not go into the skb: it comes
 * first in the next one, unless it is too long for an empty skb.
 */
static int mica_dump_full(const struct sk_buff *skb)
{
	return skb->len ?: -EMSGSIZE;
}

static int mica_put_session(struct sk_buff *skb, struct netlink_callback *cb,
			    const struct mica_session_snap *s)
{
	void *hdr = mica_dump_put(skb, cb, MICA_CMD_SESSION_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, MICA_A_SESSION_ID, s->id) ||
	    nla_put_u32(skb, MICA_A_SESSION_PID, s->pid) ||
	    nla_put_string(skb, MICA_A_SESSION_COMM, s->comm) ||
	    nla_put_u32(skb, MICA_A_SESSION_DEVICES, s->nr_devices) ||
	    (s->guest_pid &&
	     nla_put_u32(skb, MICA_A_SESSION_GUEST_PID, s->guest_pid)) ||
	    (s->ending && nla_put_flag(skb, MICA_A_SESSION_ENDING)) ||
	    (s->sealed && nla_put_flag(skb, MICA_A_SESSION_SEALED))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int mica_dump_sessions(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct mica_dump_cursor *cur = mica_cursor(cb);
	struct mica_session_snap s;

	while (!mica_session_next(cur->after, &s)) {
		if (mica_put_session(skb, cb, &s))
			return mica_dump_full(skb);
		cur->after = s.id;
	}
	return skb->len;
}

static int mica_put_device(struct sk_buff *skb, struct netlink_callback *cb,
			   const struct mica_device_snap *d)
{
	void *hdr = mica_dump_put(skb, cb, MICA_CMD_DEVICE_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, MICA_A_DEVICE_SESSION, d->session) ||
	    nla_put_string(skb, MICA_A_DEVICE_NAME, d->name) ||
	    nla_put_string(skb, MICA_A_DEVICE_DRIVER, d->driver) ||
	    nla_put_u32(skb, MICA_A_DEVICE_STATE, d->state) ||
	    (d->error && nla_put_s32(skb, MICA_A_DEVICE_ERROR, d->error))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int mica_dump_session_devices(struct sk_buff *skb,
				     struct netlink_callback *cb, u32 session)
{
	struct mica_dump_cursor *cur = mica_cursor(cb);
	struct mica_device_snap d;
	int err;

	mica_cursor_enter(cur, session);
	while (!mica_session_device(session, cur->index, &d)) {
		err = mica_put_device(skb, cb, &d);
		if (err)
			return err;
		cur->index++;
	}
	return 0;
}

static int mica_dump_devices(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct mica_dump_cursor *cur = mica_cursor(cb);
	struct mica_session_snap s;

	while (!mica_session_next(cur->after, &s)) {
		if (cur->only && s.id != cur->only)
			break;
		if (mica_dump_session_devices(skb, cb, s.id))
			return mica_dump_full(skb);
		cur->after = s.id;
	}
	return skb->len;
}

static int mica_start_devices(struct netlink_callback *cb)
{
	mica_cursor_filter(cb, MICA_A_DEVICE_SESSION);
	return 0;
}

static int mica_put_union(struct sk_buff *skb, struct netlink_callback *cb,
			  const struct mica_union_snap *u)
{
	void *hdr = mica_dump_put(skb, cb, MICA_CMD_UNION_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, MICA_A_UNION_ID, u->id) ||
	    nla_put_u32(skb, MICA_A_UNION_MAJOR, MAJOR(u->dev)) ||
	    nla_put_u32(skb, MICA_A_UNION_MINOR, MINOR(u->dev)) ||
	    nla_put_u32(skb, MICA_A_UNION_BRANCHES, u->nr_branches) ||
	    (u->readonly && nla_put_flag(skb, MICA_A_UNION_READONLY))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int mica_dump_unions(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct mica_dump_cursor *cur = mica_cursor(cb);
	struct mica_union_snap u;

	while (!mica_union_next(cur->after, &u)) {
		if (mica_put_union(skb, cb, &u))
			return mica_dump_full(skb);
		cur->after = u.id;
	}
	return skb->len;
}

static int mica_put_branch(struct sk_buff *skb, struct netlink_callback *cb,
			   u32 union_id, u32 index,
			   const struct mica_branch_snap *b)
{
	void *hdr = mica_dump_put(skb, cb, MICA_CMD_BRANCH_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, MICA_A_BRANCH_UNION, union_id) ||
	    nla_put_u32(skb, MICA_A_BRANCH_INDEX, index) ||
	    nla_put_u32(skb, MICA_A_BRANCH_ID, b->id) ||
	    (b->path && nla_put_string(skb, MICA_A_BRANCH_PATH, b->path)) ||
	    nla_put_string(skb, MICA_A_BRANCH_FSTYPE, b->fstype) ||
	    nla_put_u32(skb, MICA_A_BRANCH_MAJOR, MAJOR(b->dev)) ||
	    nla_put_u32(skb, MICA_A_BRANCH_MINOR, MINOR(b->dev)) ||
	    nla_put_u64_64bit(skb, MICA_A_BRANCH_INO, b->ino, MICA_A_BRANCH_PAD) ||
	    (b->rw && nla_put_flag(skb, MICA_A_BRANCH_RW)) ||
	    (b->incomplete && nla_put_flag(skb, MICA_A_BRANCH_INCOMPLETE)) ||
	    nla_put_u32(skb, MICA_A_BRANCH_FORMS, b->forms)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int mica_dump_union_branches(struct sk_buff *skb,
				    struct netlink_callback *cb, u32 union_id)
{
	struct mica_dump_cursor *cur = mica_cursor(cb);
	struct mica_branch_snap b = {};
	int err;

	mica_cursor_enter(cur, union_id);
	while (!(err = mica_union_branch(union_id, cur->index, &b))) {
		err = mica_put_branch(skb, cb, union_id, cur->index, &b);
		kfree(b.path);
		if (err)
			return err;
		cur->index++;
		b = (struct mica_branch_snap){};
	}
	return err == -ENOENT ? 0 : err;
}

static int mica_dump_branches(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct mica_dump_cursor *cur = mica_cursor(cb);
	struct mica_union_snap u;
	int err;

	while (!mica_union_next(cur->after, &u)) {
		if (cur->only && u.id != cur->only)
			break;
		err = mica_dump_union_branches(skb, cb, u.id);
		if (err)
			return skb->len ?: err;
		cur->after = u.id;
	}
	return skb->len;
}

static int mica_start_branches(struct netlink_callback *cb)
{
	mica_cursor_filter(cb, MICA_A_BRANCH_UNION);
	/* A path of PATH_MAX bytes does not fit in an skb of a page. */
	cb->min_dump_alloc = max_t(u32, cb->min_dump_alloc, 2 * PATH_MAX);
	return 0;
}

static const struct nla_policy mica_device_policy[] = {
	[MICA_A_DEVICE_SESSION] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy mica_branch_policy[] = {
	[MICA_A_BRANCH_UNION] = NLA_POLICY_MIN(NLA_U32, 1),
};

/*
 * An attribute that is not in a policy is refused, and so is every attribute
 * where there is no policy.
 */
static const struct genl_ops mica_ops[] = {
	{
		.cmd = MICA_CMD_SESSION_GET,
		.flags = GENL_ADMIN_PERM,
		.dumpit = mica_dump_sessions,
	},
	{
		.cmd = MICA_CMD_DEVICE_GET,
		.flags = GENL_ADMIN_PERM,
		.policy = mica_device_policy,
		.maxattr = ARRAY_SIZE(mica_device_policy) - 1,
		.start = mica_start_devices,
		.dumpit = mica_dump_devices,
	},
	{
		.cmd = MICA_CMD_UNION_GET,
		.flags = GENL_ADMIN_PERM,
		.dumpit = mica_dump_unions,
	},
	{
		.cmd = MICA_CMD_BRANCH_GET,
		.flags = GENL_ADMIN_PERM,
		.policy = mica_branch_policy,
		.maxattr = ARRAY_SIZE(mica_branch_policy) - 1,
		.start = mica_start_branches,
		.dumpit = mica_dump_branches,
	},
};

static struct genl_family mica_family __ro_after_init = {
	.name = MICA_FAMILY_NAME,
	.version = MICA_FAMILY_VERSION,
	.module = THIS_MODULE,
	/* The dumps wait for the locks of the halves: not under genl_mutex. */
	.parallel_ops = true,
	.ops = mica_ops,
	.n_ops = ARRAY_SIZE(mica_ops),
	.mcgrps = mica_groups,
	.n_mcgrps = ARRAY_SIZE(mica_groups),
};

/**
 * mica_events_wanted - does anybody listen to events?
 *
 * For callers to whom the making of an event (a path, say) is work. Takes no
 * lock, from any context.
 */
bool mica_events_wanted(void)
{
	return genl_has_listeners(&mica_family, &init_net, MICA_GROUP_EVENTS);
}

static size_t mica_string_size(const char *s)
{
	return s ? nla_total_size(strlen(s) + 1) : 0;
}

static size_t mica_event_size(const struct mica_event *ev)
{
	return nla_total_size_64bit(sizeof(u64)) +
	       8 * nla_total_size(sizeof(u32)) +
	       mica_string_size(ev->device) + mica_string_size(ev->driver) +
	       mica_string_size(ev->path) + mica_string_size(ev->text) +
	       mica_string_size(ev->reporter);
}

static int mica_put_u32_set(struct sk_buff *skb, int attr, u32 value)
{
	return value ? nla_put_u32(skb, attr, value) : 0;
}

static int mica_put_string_set(struct sk_buff *skb, int attr, const char *s)
{
	return s ? nla_put_string(skb, attr, s) : 0;
}

static int mica_put_event(struct sk_buff *skb, const struct mica_event *ev)
{
	void *hdr = genlmsg_put(skb, 0, 0, &mica_family, 0, MICA_CMD_EVENT);

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, MICA_A_EVENT_TYPE, ev->type) ||
	    nla_put_u64_64bit(skb, MICA_A_EVENT_TIME, ktime_get_real_ns(),
			      MICA_A_EVENT_PAD) ||
	    mica_put_u32_set(skb, MICA_A_EVENT_SESSION, ev->session) ||
	    mica_put_u32_set(skb, MICA_A_EVENT_UNION, ev->union_id) ||
	    mica_put_u32_set(skb, MICA_A_EVENT_PID, ev->pid) ||
	    (ev->error && nla_put_s32(skb, MICA_A_EVENT_ERROR, ev->error)) ||
	    mica_put_string_set(skb, MICA_A_EVENT_DEVICE, ev->device) ||
	    mica_put_string_set(skb, MICA_A_EVENT_DRIVER, ev->driver) ||
	    mica_put_string_set(skb, MICA_A_EVENT_PATH, ev->path) ||
	    mica_put_string_set(skb, MICA_A_EVENT_TEXT, ev->text) ||
	    mica_put_u32_set(skb, MICA_A_EVENT_SEVERITY, ev->severity) ||
	    mica_put_u32_set(skb, MICA_A_EVENT_STATUS, ev->status) ||
	    mica_put_u32_set(skb, MICA_A_EVENT_COUNT, ev->count) ||
	    mica_put_string_set(skb, MICA_A_EVENT_REPORTER, ev->reporter))
		return -EMSGSIZE;
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * mica_event_send - tell who listens that something happened
 * @ev: the event; nothing in it is kept
 *
 * Context: process context, may sleep. Inode locks of a union and of its
 * branches may be held: memory is taken with GFP_NOFS, so that reclaim does not
 * come back into a file system on top of them.
 *
 * There is no error to return: what goes wrong here is no concern of the
 * operation that the event is about. A listener that misses an event, for want
 * of memory or of room in its socket, gets ENOBUFS from its next recv().
 */
void mica_event_send(const struct mica_event *ev)
{
	struct sk_buff *skb;

	if (!mica_events_wanted())
		return;

	skb = genlmsg_new(mica_event_size(ev), GFP_NOFS);
	if (!skb)
		goto lost;
	if (mica_put_event(skb, ev)) {
		nlmsg_free(skb);
		goto lost;
	}
	/* Fails if nobody listens any more, or was told ENOBUFS already. */
	genlmsg_multicast(&mica_family, skb, 0, MICA_GROUP_EVENTS, GFP_NOFS);
	return;
lost:
	genl_set_err(&mica_family, &init_net, 0, MICA_GROUP_EVENTS, -ENOBUFS);
}

int mica_netlink_init(void)
{
	return genl_register_family(&mica_family);
}

void mica_netlink_exit(void)
{
	genl_unregister_family(&mica_family);
}
