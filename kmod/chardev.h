/* SPDX-License-Identifier: GPL-2.0-only */
/* What chardev.c hands to a command. */
#ifndef _MICA_CHARDEV_H
#define _MICA_CHARDEV_H

#include <linux/types.h>
#include "reason.h"

struct file;
struct mica_session;

/**
 * struct mica_call - a call of a command
 * @file: the open /dev/mica that it came through
 * @session: the session of it
 * @why: what a failing command leaves for the caller
 * @arg: the structure of the command
 */
struct mica_call {
	struct file *file;
	struct mica_session *session;
	struct mica_reason why;
	u8 arg[] __aligned(8);
};

int mica_need_zero(struct mica_call *call, u64 value, const char *name);

#endif /* _MICA_CHARDEV_H */
