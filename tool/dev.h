/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/mica. */
#ifndef MICA_TOOL_DEV_H
#define MICA_TOOL_DEV_H

#include "mica.h"
#include "tool.h"

int dev_open(void);
int dev_open_or_fail(void);
int dev_info(int fd, struct mica_info *info);
const char *reason_text(const struct mica_reason *reason, int err);

/* Where the kernel leaves the reason of a failure; for all of its structures. */
#define REASON_TO(reason)				\
	.reason_ptr = (uintptr_t)(reason),		\
	.reason_len = sizeof(struct mica_reason)

#endif /* MICA_TOOL_DEV_H */
