/* SPDX-License-Identifier: GPL-2.0-only */
/* Why a command fails, in words. */
#ifndef _MICA_REASON_H
#define _MICA_REASON_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>
#include "../uapi/mica.h"

__printf(5, 6)
int mica_fail(struct mica_reason *why, int err, enum mica_reason_code code,
	      const char *subject, const char *fmt, ...);
void mica_reason_give(const struct mica_reason *why, u64 ptr, u32 len);

#endif /* _MICA_REASON_H */
