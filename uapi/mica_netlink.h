/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Generic netlink family "mica": dumps of what is there, and events.
 * The specification is Documentation/netlink/mica.yaml.
 */
#ifndef _UAPI_MICA_NETLINK_H
#define _UAPI_MICA_NETLINK_H

#define MICA_FAMILY_NAME	"mica"
#define MICA_FAMILY_VERSION	1
#define MICA_MCGRP_EVENTS	"events"

enum {
	MICA_CMD_SESSION_GET = 1,	/* dump */
	MICA_CMD_DEVICE_GET,		/* dump: devices that sessions hold */
	MICA_CMD_UNION_GET,		/* dump */
	MICA_CMD_BRANCH_GET,		/* dump */
	MICA_CMD_EVENT,			/* notification */

	__MICA_CMD_MAX,
	MICA_CMD_MAX = (__MICA_CMD_MAX - 1)
};

/* What an event is about (MICA_A_EVENT_TYPE). */
enum mica_event_type {
	MICA_EVENT_CLAIM = 1,		/* a session holds a device */
	MICA_EVENT_RESTORE,		/* a device went back; ERROR if not */
	MICA_EVENT_GUEST_START,
	MICA_EVENT_GUEST_END,
	MICA_EVENT_UNION_MOUNT,
	MICA_EVENT_UNION_UMOUNT,
	MICA_EVENT_COPY_UP,
	MICA_EVENT_WHITEOUT,
};

/* Where a device stands (MICA_A_DEVICE_STATE). */
enum mica_device_state {
	MICA_DEVICE_CLAIMING = 1,
	MICA_DEVICE_CLAIMED,
	MICA_DEVICE_RESTORING,
	MICA_DEVICE_RESTORED,		/* back on its driver, or on none */
	MICA_DEVICE_TAKEN,		/* somebody else has rebound it */
	MICA_DEVICE_NO_DRIVER,		/* its driver is gone or refused it */
	MICA_DEVICE_LOST,		/* dead after the reset */
	MICA_DEVICE_UNPLUGGED,
};

enum {
	MICA_A_EVENT_UNSPEC,
	MICA_A_EVENT_TYPE,		/* u32 */
	MICA_A_EVENT_TIME,		/* u64, ns of CLOCK_REALTIME */
	MICA_A_EVENT_SESSION,		/* u32 */
	MICA_A_EVENT_UNION,		/* u32 */
	MICA_A_EVENT_PID,		/* u32 */
	MICA_A_EVENT_ERROR,		/* s32, negative errno or exit status */
	MICA_A_EVENT_DEVICE,		/* string, 0000:01:00.0 */
	MICA_A_EVENT_DRIVER,		/* string */
	MICA_A_EVENT_PATH,		/* string, from the union's root */
	MICA_A_EVENT_TEXT,		/* string, for people */
	MICA_A_EVENT_PAD,

	__MICA_A_EVENT_MAX,
	MICA_A_EVENT_MAX = (__MICA_A_EVENT_MAX - 1)
};

enum {
	MICA_A_SESSION_UNSPEC,
	MICA_A_SESSION_ID,		/* u32 */
	MICA_A_SESSION_PID,		/* u32, who opened it */
	MICA_A_SESSION_COMM,		/* string */
	MICA_A_SESSION_DEVICES,		/* u32, how many */
	MICA_A_SESSION_GUEST_PID,	/* u32, absent without a guest */
	MICA_A_SESSION_ENDING,		/* flag: closed, restore under way */

	__MICA_A_SESSION_MAX,
	MICA_A_SESSION_MAX = (__MICA_A_SESSION_MAX - 1)
};

enum {
	MICA_A_DEVICE_UNSPEC,
	MICA_A_DEVICE_SESSION,		/* u32 */
	MICA_A_DEVICE_NAME,		/* string, 0000:01:00.0 */
	MICA_A_DEVICE_DRIVER,		/* string, goes back there; may be "" */
	MICA_A_DEVICE_STATE,		/* u32, enum mica_device_state */
	MICA_A_DEVICE_ERROR,		/* s32 */

	__MICA_A_DEVICE_MAX,
	MICA_A_DEVICE_MAX = (__MICA_A_DEVICE_MAX - 1)
};

enum {
	MICA_A_UNION_UNSPEC,
	MICA_A_UNION_ID,		/* u32 */
	MICA_A_UNION_MAJOR,		/* u32, st_dev */
	MICA_A_UNION_MINOR,		/* u32 */
	MICA_A_UNION_BRANCHES,		/* u32, how many */
	MICA_A_UNION_READONLY,		/* flag */

	__MICA_A_UNION_MAX,
	MICA_A_UNION_MAX = (__MICA_A_UNION_MAX - 1)
};

enum {
	MICA_A_BRANCH_UNSPEC,
	MICA_A_BRANCH_UNION,		/* u32 */
	MICA_A_BRANCH_INDEX,		/* u32, 0 is the leftmost */
	MICA_A_BRANCH_ID,		/* u32, stays when branches move */
	MICA_A_BRANCH_PATH,		/* string, as mounted */
	MICA_A_BRANCH_FSTYPE,		/* string */
	MICA_A_BRANCH_RW,		/* flag */

	__MICA_A_BRANCH_MAX,
	MICA_A_BRANCH_MAX = (__MICA_A_BRANCH_MAX - 1)
};

#endif /* _UAPI_MICA_NETLINK_H */
