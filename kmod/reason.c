// SPDX-License-Identifier: GPL-2.0-only
/* Why a command fails, in words. */
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "reason.h"

/**
 * mica_fail - note why a command fails
 * @why: where to note it; what stood there before is gone
 * @err: negative errno
 * @code: what stood in the way
 * @subject: the device or path that it is about, or NULL
 * @fmt: one sentence for who has to remove the obstacle
 *
 * Any context.
 *
 * Return: @err, so that a caller can return what this returns.
 */
int mica_fail(struct mica_reason *why, int err, enum mica_reason_code code,
	      const char *subject, const char *fmt, ...)
{
	va_list args;

	memset(why, 0, sizeof(*why));
	why->code = code;
	if (subject)
		strscpy(why->subject, subject, sizeof(why->subject));
	va_start(args, fmt);
	vscnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return err;
}

/**
 * mica_reason_give - write a reason to where the caller wants it
 * @why: the reason
 * @ptr: address in the caller, or zero
 * @len: bytes there
 *
 * A bad address is not told: the errno of the failure itself matters more.
 */
void mica_reason_give(const struct mica_reason *why, u64 ptr, u32 len)
{
	if (!ptr || !len)
		return;
	if (copy_to_user(u64_to_user_ptr(ptr), why,
			 min_t(size_t, len, sizeof(*why))))
		pr_debug("mica: no reason given, bad address\n");
}
