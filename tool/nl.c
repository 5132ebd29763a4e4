// SPDX-License-Identifier: GPL-2.0-only
/* The generic netlink family of the module: dumps and events. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "nl.h"

#define ATTR_MAX 24			/* no kind of object has more */

static int family_fail(int err)
{
	switch (-err) {
	case NLE_OBJ_NOTFOUND:
		return fail("the module is not loaded; insmod or modprobe it");
	case NLE_PERM:
	case NLE_NOACCESS:
		return fail("the kernel answers this to root only (CAP_NET_ADMIN); use sudo");
	default:
		return fail("netlink: %s", nl_geterror(err));
	}
}

/* A socket that the kernel talks to about mica; NULL after a message. */
struct nl_sock *family_open(void)
{
	struct nl_sock *sock = nl_socket_alloc();
	int err;

	if (!sock) {
		fail("out of memory");
		return NULL;
	}
	err = genl_connect(sock);
	if (err) {
		family_fail(err);
		family_close(&sock);
	}
	return sock;
}

void family_close(struct nl_sock **sock)
{
	if (*sock)
		nl_socket_free(*sock);
	*sock = NULL;
}

struct dump {
	dump_each each;
	void *data;
};

static int dump_one(struct nl_msg *msg, void *arg)
{
	struct nlattr *attrs[ATTR_MAX + 1];
	struct dump *dump = arg;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, ATTR_MAX, NULL))
		return NL_SKIP;
	dump->each(attrs, dump->data);
	return NL_OK;
}

/* The end of a dump tells whether it is whole, which the library does not look at. */
static int dump_end(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *hdr = nlmsg_hdr(msg);
	const int *error = nlmsg_data(hdr);

	(void)arg;
	return nlmsg_datalen(hdr) >= (int)sizeof(*error) && *error < 0 ?
	       -nl_syserr2nlerr(*error) : NL_STOP;
}

static struct nl_msg *dump_request(int family, enum mica_command command,
				   uint32_t only)
{
	struct nl_msg *msg = nlmsg_alloc();
	int attr = command == MICA_CMD_DEVICE_GET ? MICA_A_DEVICE_SESSION :
						    MICA_A_BRANCH_UNION;

	if (!msg)
		return NULL;
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0,
			 NLM_F_DUMP, (uint8_t)command, MICA_FAMILY_VERSION) ||
	    (only && nla_put_u32(msg, attr, only))) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/*
 * Calls @each for all objects that a command tells of; with @only not zero for
 * the devices of that session, or the branches of that union. Returns 0, or
 * another exit code after a message.
 */
int family_dump(struct nl_sock *sock, enum mica_command command, uint32_t only,
		dump_each each, void *data)
{
	struct dump dump = { each, data };
	struct nl_msg *msg;
	int family, err;

	family = genl_ctrl_resolve(sock, MICA_FAMILY_NAME);
	if (family < 0)
		return family_fail(family);
	msg = dump_request(family, command, only);
	if (!msg)
		return fail("out of memory");
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, dump_one, &dump);
	nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM, dump_end, NULL);
	err = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	return err < 0 ? family_fail(err) : MICA_OK;
}

uint32_t attr_u32(struct nlattr **attrs, int attr)
{
	const struct nlattr *a = attrs[attr];

	return a && nla_len(a) >= (int)sizeof(uint32_t) ? nla_get_u32(a) : 0;
}

int32_t attr_s32(struct nlattr **attrs, int attr)
{
	return (int32_t)attr_u32(attrs, attr);
}

/* NULL if it is not there, or does not end in a NUL. */
const char *attr_string(struct nlattr **attrs, int attr)
{
	const struct nlattr *a = attrs[attr];

	if (!a || !memchr(nla_data(a), 0, (size_t)nla_len(a)))
		return NULL;
	return nla_get_string(a);
}

const char *event_name(enum mica_event_type type)
{
	static const char * const names[] = {
		[MICA_EVENT_CLAIM] = "claim",
		[MICA_EVENT_RESTORE] = "restore",
		[MICA_EVENT_GUEST_START] = "guest-start",
		[MICA_EVENT_GUEST_END] = "guest-end",
		[MICA_EVENT_UNION_MOUNT] = "union-mount",
		[MICA_EVENT_UNION_UMOUNT] = "union-umount",
		[MICA_EVENT_COPY_UP] = "copy-up",
		[MICA_EVENT_WHITEOUT] = "whiteout",
		[MICA_EVENT_BRANCH_ADD] = "branch-add",
		[MICA_EVENT_BRANCH_DEL] = "branch-del",
		[MICA_EVENT_BRANCH_MODE] = "branch-mode",
		[MICA_EVENT_BRANCH_MOVE] = "branch-move",
		[MICA_EVENT_SNAPSHOT] = "snapshot",
		[MICA_EVENT_RESET] = "reset",
		[MICA_EVENT_MERGE] = "merge",
		[MICA_EVENT_LEAVING] = "leaving",
		[MICA_EVENT_PCIE_ERROR] = "pcie-error",
	};

	if (type < ARRAY_SIZE(names) && names[type])
		return names[type];
	return "unknown";
}

static int join(struct nl_sock *sock, const char *family, const char *group)
{
	int id = genl_ctrl_resolve_grp(sock, family, group);

	return id < 0 ? id : nl_socket_add_membership(sock, id);
}

/*
 * A socket that events come to, not blocking; NULL after a message. It hears of
 * the module's end as well.
 */
struct nl_sock *events_open(void)
{
	struct nl_sock *sock = family_open();
	int err, size = 4 << 20;

	if (!sock)
		return NULL;
	err = join(sock, "nlctrl", "notify");
	if (!err)
		err = join(sock, MICA_FAMILY_NAME, MICA_MCGRP_EVENTS);
	if (!err)
		err = nl_socket_set_nonblocking(sock);
	if (err) {
		family_fail(err);
		family_close(&sock);
		return NULL;
	}
	nl_socket_disable_seq_check(sock);
	/* Needs CAP_NET_ADMIN, as events do; with less, more may be lost. */
	setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		   sizeof(size));
	return sock;
}

struct reader {
	event_each each;
	void *data;
	bool gone;
};

static void read_event(struct nlattr **attrs, struct reader *reader)
{
	struct event event = {
		.type = attr_u32(attrs, MICA_A_EVENT_TYPE),
		.session = attr_u32(attrs, MICA_A_EVENT_SESSION),
		.union_id = attr_u32(attrs, MICA_A_EVENT_UNION),
		.pid = attr_u32(attrs, MICA_A_EVENT_PID),
		.error = attr_s32(attrs, MICA_A_EVENT_ERROR),
		.device = attr_string(attrs, MICA_A_EVENT_DEVICE),
		.driver = attr_string(attrs, MICA_A_EVENT_DRIVER),
		.path = attr_string(attrs, MICA_A_EVENT_PATH),
		.text = attr_string(attrs, MICA_A_EVENT_TEXT),
		.reporter = attr_string(attrs, MICA_A_EVENT_REPORTER),
		.severity = attr_u32(attrs, MICA_A_EVENT_SEVERITY),
		.status = attr_u32(attrs, MICA_A_EVENT_STATUS),
		.count = attr_u32(attrs, MICA_A_EVENT_COUNT),
	};
	const struct nlattr *time = attrs[MICA_A_EVENT_TIME];

	if (time && nla_len(time) == sizeof(event.time))
		event.time = nla_get_u64(time);
	reader->each(&event, reader->data);
}

static int read_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	const struct genlmsghdr *hdr = genlmsg_hdr(nlh);
	struct nlattr *attrs[ATTR_MAX + 1];
	struct reader *reader = arg;
	const char *name;

	if (genlmsg_parse(nlh, 0, attrs, ATTR_MAX, NULL))
		return NL_SKIP;
	if (nlh->nlmsg_type != GENL_ID_CTRL) {
		if (hdr->cmd == MICA_CMD_EVENT)
			read_event(attrs, reader);
	} else if (hdr->cmd == CTRL_CMD_DELFAMILY) {
		name = attr_string(attrs, CTRL_ATTR_FAMILY_NAME);
		if (name && !strcmp(name, MICA_FAMILY_NAME))
			reader->gone = true;
	}
	return NL_OK;
}

/* Calls @each for the events that are there by now. */
enum events_state events_read(struct nl_sock *sock, event_each each, void *data)
{
	struct pollfd fd = { .fd = nl_socket_get_fd(sock), .events = POLLIN };
	struct reader reader = { .each = each, .data = data };
	int err = 0;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, read_message,
			    &reader);
	while (err >= 0 && !reader.gone && poll(&fd, 1, 0) > 0)
		err = nl_recvmsgs_default(sock);

	if (reader.gone)
		return EVENTS_GONE;
	if (err >= 0)
		return EVENTS_GOOD;
	if (err == -NLE_AGAIN || err == -NLE_INTR)
		return EVENTS_GOOD;
	if (err == -NLE_NOMEM)
		return EVENTS_LOST;
	family_fail(err);
	return EVENTS_FAILED;
}
