/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the module know of one another: main.c starts and stops
 * chardev.c, netlink.c and the two halves; the halves send events and answer
 * dumps. Nothing else goes from one part to another.
 */
#ifndef _MICA_H
#define _MICA_H

#include <linux/types.h>
#include "mica_netlink.h"

#undef pr_fmt
#define pr_fmt(fmt) "mica: " fmt

/* main.c starts these in the order written here and stops them in reverse. */
int mica_netlink_init(void);
void mica_netlink_exit(void);
int mica_guest_init(void);
void mica_guest_exit(void);
int mica_union_init(void);
void mica_union_exit(void);
int mica_chardev_init(void);
void mica_chardev_exit(void);

/**
 * struct mica_event - something that happened, for who listens
 * @type: one of &enum mica_event_type
 * @session: number of the session, 0 for none
 * @union_id: number of the union, 0 for none
 * @pid: process that it is about, in the initial pid namespace, 0 for none
 * @error: 0, a negative errno, or for MICA_EVENT_GUEST_END the wait status
 * @device: PCI function ("0000:01:00.0"), or NULL
 * @driver: driver by name, or NULL
 * @path: path from the root of the union, or NULL
 * @text: a few words for people, or NULL
 * @reporter: PCI function that had an error in the place of @device, or NULL
 * @severity: how bad the error is, 0 for none
 * @status: bits of the error's status register
 * @count: how many errors it stands for
 */
struct mica_event {
	enum mica_event_type type;
	u32 session;
	u32 union_id;
	u32 pid;
	int error;
	const char *device;
	const char *driver;
	const char *path;
	const char *text;
	const char *reporter;
	enum mica_severity severity;
	u32 status;
	u32 count;
};

bool mica_events_wanted(void);
void mica_event_send(const struct mica_event *ev);

/* Snapshots that the halves give to the dumps of netlink.c. */
struct mica_session_snap {
	u32 id;
	u32 pid;
	u32 guest_pid;
	u32 nr_devices;
	bool ending;
	bool sealed;
	char comm[16];
};

struct mica_device_snap {
	u32 session;
	enum mica_device_state state;
	int error;
	char name[32];
	char driver[64];
};

struct mica_owned;
struct mica_reason;
struct mica_union_own;

/* A session has a directory that no union may write to; NULL is none. */
int mica_own_begin(struct mica_owned **session, struct mica_union_own *o,
		   struct mica_reason *why);
void mica_own_end(struct mica_owned *owned);

struct mica_union_snap {
	u32 id;
	dev_t dev;
	u32 nr_branches;
	bool readonly;
};

struct mica_branch_snap {
	u32 id;
	bool rw;
	bool incomplete;	/* layers that it needs are missing */
	u32 forms;		/* MICA_BRANCH_* that it is read in */
	dev_t dev;
	u64 ino;
	char fstype[32];
	char *path;		/* kmalloc()ed, the caller frees it */
};

/*
 * Each returns 0 and the first entry behind the cursor, or -ENOENT if there is
 * none. They may sleep; what they return was true at one moment.
 */
int mica_session_next(u32 after_id, struct mica_session_snap *snap);
int mica_session_device(u32 id, u32 index, struct mica_device_snap *snap);
int mica_union_next(u32 after_id, struct mica_union_snap *snap);
int mica_union_branch(u32 id, u32 index, struct mica_branch_snap *snap);

#endif /* _MICA_H */
