/* SPDX-License-Identifier: GPL-2.0-only */
/* What chardev.c hands to a command. */
#ifndef _MICA_CHARDEV_H
#define _MICA_CHARDEV_H

#include <linux/types.h>
#include "reason.h"

struct file;
struct mica_session;
struct mica_call;

/**
 * struct mica_ioctl_entry - a command
 * @run: does the work; @arg is the structure, completed with zeroes
 * @tail: where its reason_ptr is; a caller's has to go that far
 * @full_size: the structure as this module knows it
 * @flags: bits that its flags may have
 * @gives: the structure is written back to the caller
 */
struct mica_ioctl_entry {
	int (*run)(struct mica_call *call, void *arg);
	u32 tail;
	u32 full_size;
	u32 flags;
	bool gives;
};

/**
 * struct mica_call - a call of a command
 * @file: the open file that it came through
 * @entry: the command
 * @session: the session of it, if it is /dev/mica
 * @why: what a failing command leaves for the caller
 * @uarg: where the caller has the structure of the command
 * @given: it was written back there, see mica_give()
 * @arg: the structure
 */
struct mica_call {
	struct file *file;
	const struct mica_ioctl_entry *entry;
	struct mica_session *session;
	struct mica_reason why;
	void __user *uarg;
	bool given;
	u8 arg[] __aligned(8);
};

long mica_run_command(struct file *file, struct mica_session *session,
		      const struct mica_ioctl_entry *entry, unsigned long arg);
int mica_give(struct mica_call *call);
int mica_need_zero(struct mica_call *call, u64 value, const char *name);

#endif /* _MICA_CHARDEV_H */
