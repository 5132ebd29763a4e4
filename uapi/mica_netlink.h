/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/**
 * DOC: Dumps and events
 *
 * The generic netlink family "mica" has dumps of what is there, and events.
 *
 * The specification is Documentation/netlink/mica.yaml; mica_netlink.h follows it.
 * MICA_FAMILY_NAME is the name of the family, MICA_FAMILY_VERSION its version, and
 * MICA_MCGRP_EVENTS the group of events.
 *
 * The family is found in the initial network namespace. Its commands need
 * CAP_NET_ADMIN there (EPERM), and so does joining the group of events. All
 * commands are dumps (NLM_F_DUMP, EOPNOTSUPP otherwise). An attribute that a
 * command does not know is refused with EINVAL.
 *
 * What a dump tells of one object was true at one moment; objects that come or
 * go while a dump is read may be in it or not. Nothing is told twice.
 */
#ifndef _UAPI_MICA_NETLINK_H
#define _UAPI_MICA_NETLINK_H

#define MICA_FAMILY_NAME	"mica"
#define MICA_FAMILY_VERSION	1
#define MICA_MCGRP_EVENTS	"events"

/**
 * enum mica_command - commands of the family
 * @MICA_CMD_SESSION_GET: dump: sessions, by number. MICA_A_SESSION_*
 * @MICA_CMD_DEVICE_GET: dump: devices that sessions hold, by session and in the
 *	order in which they were claimed. MICA_A_DEVICE_*; the request may carry
 *	MICA_A_DEVICE_SESSION to hear of one session alone
 * @MICA_CMD_UNION_GET: dump: mounted unions, by number. MICA_A_UNION_*
 * @MICA_CMD_BRANCH_GET: dump: branches, by union and from left to right.
 *	MICA_A_BRANCH_*; the request may carry MICA_A_BRANCH_UNION to hear of
 *	one union alone
 * @MICA_CMD_EVENT: never sent by user space: what happened, to the members of
 *	the group "events". MICA_A_EVENT_*. A listener that could not be given
 *	an event gets ENOBUFS from its next recv(), once, and should then ask
 *	the dumps how things stand
 * @__MICA_CMD_MAX: not used
 * @MICA_CMD_MAX: the last one
 */
enum mica_command {
	MICA_CMD_SESSION_GET = 1,
	MICA_CMD_DEVICE_GET,
	MICA_CMD_UNION_GET,
	MICA_CMD_BRANCH_GET,
	MICA_CMD_EVENT,

	__MICA_CMD_MAX,
	MICA_CMD_MAX = (__MICA_CMD_MAX - 1)
};

/**
 * enum mica_event_type - what an event is about (MICA_A_EVENT_TYPE)
 * @MICA_EVENT_CLAIM: a session holds a device now
 * @MICA_EVENT_RESTORE: a device has left a session; MICA_A_EVENT_ERROR is there
 *	if it did not come back as it was
 * @MICA_EVENT_GUEST_START: a guest runs, in process MICA_A_EVENT_PID
 * @MICA_EVENT_GUEST_END: it ended; MICA_A_EVENT_ERROR is its wait status
 * @MICA_EVENT_UNION_MOUNT: a union was mounted
 * @MICA_EVENT_UNION_UMOUNT: a union is gone, its branches are free
 * @MICA_EVENT_COPY_UP: MICA_A_EVENT_PATH was copied to a rw branch
 * @MICA_EVENT_WHITEOUT: MICA_A_EVENT_PATH was whited out
 * @MICA_EVENT_BRANCH_ADD: a union has a new branch, named by MICA_A_EVENT_TEXT
 * @MICA_EVENT_BRANCH_DEL: that branch has left it
 * @MICA_EVENT_BRANCH_MODE: that branch is writable now, or is not any more
 * @MICA_EVENT_BRANCH_MOVE: that branch has another position
 * @MICA_EVENT_SNAPSHOT: that branch is the new top, a snapshot has been made
 * @MICA_EVENT_RESET: MICA_A_EVENT_PATH shows again what was below it
 * @MICA_EVENT_MERGE: that branch is there in place of some that it was made of
 * @MICA_EVENT_LEAVING: somebody takes a device from a session, or unplugs it; or the
 *	driver from a physical function that made virtual ones for the session
 * @MICA_EVENT_PCIE_ERROR: the device had a PCI Express error (AER), or
 *	MICA_A_EVENT_REPORTER had one: a port above it, or its physical function.
 *	MICA_A_EVENT_SEVERITY and MICA_A_EVENT_STATUS say which. Of each severity there
 *	is at most one event a second for a device, and one when any goes back: it
 *	tells of the first error, and MICA_A_EVENT_COUNT how many it stands for. Needs
 *	MICA_CAP_PCIE_ERRORS
 */
enum mica_event_type {
	MICA_EVENT_CLAIM = 1,
	MICA_EVENT_RESTORE,
	MICA_EVENT_GUEST_START,
	MICA_EVENT_GUEST_END,
	MICA_EVENT_UNION_MOUNT,
	MICA_EVENT_UNION_UMOUNT,
	MICA_EVENT_COPY_UP,
	MICA_EVENT_WHITEOUT,
	MICA_EVENT_BRANCH_ADD,
	MICA_EVENT_BRANCH_DEL,
	MICA_EVENT_BRANCH_MODE,
	MICA_EVENT_BRANCH_MOVE,
	MICA_EVENT_SNAPSHOT,
	MICA_EVENT_RESET,
	MICA_EVENT_MERGE,
	MICA_EVENT_LEAVING,
	MICA_EVENT_PCIE_ERROR,
};

/**
 * enum mica_severity - how bad a PCI Express error is (MICA_A_EVENT_SEVERITY)
 * @MICA_SEVERITY_CORRECTED: the hardware corrected it, nothing is lost
 * @MICA_SEVERITY_NONFATAL: a transaction is lost, the link works
 * @MICA_SEVERITY_FATAL: the link does not work any more; the kernel resets it
 */
enum mica_severity {
	MICA_SEVERITY_CORRECTED = 1,
	MICA_SEVERITY_NONFATAL,
	MICA_SEVERITY_FATAL,
};

/**
 * enum mica_device_state - where a device stands (MICA_A_DEVICE_STATE)
 * @MICA_DEVICE_CLAIMING: on its way from its driver to vfio-pci
 * @MICA_DEVICE_CLAIMED: held by the session, bound to vfio-pci
 * @MICA_DEVICE_RESTORING: on its way back
 * @MICA_DEVICE_RESTORED: back on its driver, or on none if it had none
 * @MICA_DEVICE_TAKEN: somebody else has rebound it, it was left alone
 * @MICA_DEVICE_NO_DRIVER: its driver is gone, or refused it
 * @MICA_DEVICE_LOST: it did not answer after the reset
 * @MICA_DEVICE_UNPLUGGED: it was removed from the host
 */
enum mica_device_state {
	MICA_DEVICE_CLAIMING = 1,
	MICA_DEVICE_CLAIMED,
	MICA_DEVICE_RESTORING,
	MICA_DEVICE_RESTORED,
	MICA_DEVICE_TAKEN,
	MICA_DEVICE_NO_DRIVER,
	MICA_DEVICE_LOST,
	MICA_DEVICE_UNPLUGGED,
};

/**
 * enum mica_event_attr - attributes of MICA_CMD_EVENT
 * @MICA_A_EVENT_UNSPEC: not used
 * @MICA_A_EVENT_TYPE: u32, &enum mica_event_type
 * @MICA_A_EVENT_TIME: u64, nanoseconds of CLOCK_REALTIME
 * @MICA_A_EVENT_SESSION: u32, number of the session
 * @MICA_A_EVENT_UNION: u32, number of the union
 * @MICA_A_EVENT_PID: u32, a process in the initial pid namespace
 * @MICA_A_EVENT_ERROR: s32, a negative errno, or the wait status of a guest;
 *	not there if zero
 * @MICA_A_EVENT_DEVICE: string, address of a PCI function: 0000:01:00.0
 * @MICA_A_EVENT_DRIVER: string, name of a driver
 * @MICA_A_EVENT_PATH: string, from the root of the union, of any bytes but NUL
 * @MICA_A_EVENT_TEXT: string, a few words for people
 * @MICA_A_EVENT_PAD: for alignment, to be skipped
 * @MICA_A_EVENT_SEVERITY: u32, &enum mica_severity
 * @MICA_A_EVENT_STATUS: u32, bits of the Correctable Error Status register, or of
 *	the Uncorrectable one, that are not masked; not there if the kernel did not
 *	read it, as after a fatal error
 * @MICA_A_EVENT_COUNT: u32, how many errors the event stands for
 * @MICA_A_EVENT_REPORTER: string, address of the PCI function that had the error; not
 *	there if it was the device
 * @__MICA_A_EVENT_MAX: not used
 * @MICA_A_EVENT_MAX: the last one
 *
 * Those that an event has nothing to say of are not there.
 */
enum mica_event_attr {
	MICA_A_EVENT_UNSPEC,
	MICA_A_EVENT_TYPE,
	MICA_A_EVENT_TIME,
	MICA_A_EVENT_SESSION,
	MICA_A_EVENT_UNION,
	MICA_A_EVENT_PID,
	MICA_A_EVENT_ERROR,
	MICA_A_EVENT_DEVICE,
	MICA_A_EVENT_DRIVER,
	MICA_A_EVENT_PATH,
	MICA_A_EVENT_TEXT,
	MICA_A_EVENT_PAD,
	MICA_A_EVENT_SEVERITY,
	MICA_A_EVENT_STATUS,
	MICA_A_EVENT_COUNT,
	MICA_A_EVENT_REPORTER,

	__MICA_A_EVENT_MAX,
	MICA_A_EVENT_MAX = (__MICA_A_EVENT_MAX - 1)
};

/**
 * enum mica_session_attr - attributes of MICA_CMD_SESSION_GET
 * @MICA_A_SESSION_UNSPEC: not used
 * @MICA_A_SESSION_ID: u32, number of the session
 * @MICA_A_SESSION_PID: u32, the process that opened it
 * @MICA_A_SESSION_COMM: string, the name that this process had
 * @MICA_A_SESSION_DEVICES: u32, how many devices it holds
 * @MICA_A_SESSION_GUEST_PID: u32, process of its guest; not there without one
 * @MICA_A_SESSION_ENDING: flag, it was closed or ended and its devices go back
 * @MICA_A_SESSION_SEALED: flag, it claims nothing more
 * @__MICA_A_SESSION_MAX: not used
 * @MICA_A_SESSION_MAX: the last one
 */
enum mica_session_attr {
	MICA_A_SESSION_UNSPEC,
	MICA_A_SESSION_ID,
	MICA_A_SESSION_PID,
	MICA_A_SESSION_COMM,
	MICA_A_SESSION_DEVICES,
	MICA_A_SESSION_GUEST_PID,
	MICA_A_SESSION_ENDING,
	MICA_A_SESSION_SEALED,

	__MICA_A_SESSION_MAX,
	MICA_A_SESSION_MAX = (__MICA_A_SESSION_MAX - 1)
};

/**
 * enum mica_device_attr - attributes of MICA_CMD_DEVICE_GET
 * @MICA_A_DEVICE_UNSPEC: not used
 * @MICA_A_DEVICE_SESSION: u32, the session that holds it
 * @MICA_A_DEVICE_NAME: string, address of the PCI function: 0000:01:00.0
 * @MICA_A_DEVICE_DRIVER: string, the driver that it goes back to; "" for none
 * @MICA_A_DEVICE_STATE: u32, &enum mica_device_state
 * @MICA_A_DEVICE_ERROR: s32, why the last step failed; not there if zero
 * @__MICA_A_DEVICE_MAX: not used
 * @MICA_A_DEVICE_MAX: the last one
 */
enum mica_device_attr {
	MICA_A_DEVICE_UNSPEC,
	MICA_A_DEVICE_SESSION,
	MICA_A_DEVICE_NAME,
	MICA_A_DEVICE_DRIVER,
	MICA_A_DEVICE_STATE,
	MICA_A_DEVICE_ERROR,

	__MICA_A_DEVICE_MAX,
	MICA_A_DEVICE_MAX = (__MICA_A_DEVICE_MAX - 1)
};

/**
 * enum mica_union_attr - attributes of MICA_CMD_UNION_GET
 * @MICA_A_UNION_UNSPEC: not used
 * @MICA_A_UNION_ID: u32, number of the union
 * @MICA_A_UNION_MAJOR: u32, major number of its st_dev
 * @MICA_A_UNION_MINOR: u32, minor number of its st_dev
 * @MICA_A_UNION_BRANCHES: u32, how many branches it has
 * @MICA_A_UNION_READONLY: flag, the union as a whole is read-only
 * @__MICA_A_UNION_MAX: not used
 * @MICA_A_UNION_MAX: the last one
 */
enum mica_union_attr {
	MICA_A_UNION_UNSPEC,
	MICA_A_UNION_ID,
	MICA_A_UNION_MAJOR,
	MICA_A_UNION_MINOR,
	MICA_A_UNION_BRANCHES,
	MICA_A_UNION_READONLY,

	__MICA_A_UNION_MAX,
	MICA_A_UNION_MAX = (__MICA_A_UNION_MAX - 1)
};

/**
 * enum mica_branch_attr - attributes of MICA_CMD_BRANCH_GET
 * @MICA_A_BRANCH_UNSPEC: not used
 * @MICA_A_BRANCH_UNION: u32, the union that it belongs to
 * @MICA_A_BRANCH_INDEX: u32, its place; 0 is the leftmost, which has precedence
 * @MICA_A_BRANCH_ID: u32, stays the same when branches come, go and move
 * @MICA_A_BRANCH_PATH: string, as mounted, of any bytes but NUL
 * @MICA_A_BRANCH_FSTYPE: string, type of its file system
 * @MICA_A_BRANCH_RW: flag, the union writes to it
 * @MICA_A_BRANCH_MAJOR: u32, major number of its st_dev
 * @MICA_A_BRANCH_MINOR: u32, minor number of its st_dev
 * @MICA_A_BRANCH_INO: u64, its st_ino: who opens the path may get something else
 * @MICA_A_BRANCH_PAD: for alignment, to be skipped
 * @MICA_A_BRANCH_INCOMPLETE: flag, layers that it needs are not to the right of it
 * @MICA_A_BRANCH_FORMS: u32, MICA_BRANCH_DOT and MICA_BRANCH_OVERLAY, as it is read
 * @__MICA_A_BRANCH_MAX: not used
 * @MICA_A_BRANCH_MAX: the last one
 */
enum mica_branch_attr {
	MICA_A_BRANCH_UNSPEC,
	MICA_A_BRANCH_UNION,
	MICA_A_BRANCH_INDEX,
	MICA_A_BRANCH_ID,
	MICA_A_BRANCH_PATH,
	MICA_A_BRANCH_FSTYPE,
	MICA_A_BRANCH_RW,
	MICA_A_BRANCH_MAJOR,
	MICA_A_BRANCH_MINOR,
	MICA_A_BRANCH_INO,
	MICA_A_BRANCH_PAD,
	MICA_A_BRANCH_INCOMPLETE,
	MICA_A_BRANCH_FORMS,

	__MICA_A_BRANCH_MAX,
	MICA_A_BRANCH_MAX = (__MICA_A_BRANCH_MAX - 1)
};

#endif /* _UAPI_MICA_NETLINK_H */
