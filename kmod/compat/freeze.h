/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeping out who wants to change a file system. */
#ifndef _MICA_COMPAT_FREEZE_H
#define _MICA_COMPAT_FREEZE_H

#include <linux/fs.h>

#if defined(HAVE_FREEZE_OWNER)
#define mica_freeze_super(sb) freeze_super(sb, FREEZE_HOLDER_KERNEL, NULL)
#define mica_thaw(sb) thaw_super(sb, FREEZE_HOLDER_KERNEL, NULL)
#define mica_is_frozen(sb) ((sb)->s_writers.freeze_ucount > 0)
#elif defined(HAVE_FREEZE_HOLDER)
#define mica_freeze_super(sb) freeze_super(sb, FREEZE_HOLDER_KERNEL)
#define mica_thaw(sb) thaw_super(sb, FREEZE_HOLDER_KERNEL)
#define mica_is_frozen(sb) ((sb)->s_writers.freeze_ucount > 0)
#else
/* Whose freeze it is, is not known: ->thaw_super has to see to it. */
#define MICA_ANYBODY_THAWS
#define mica_freeze_super(sb) freeze_super(sb)
#define mica_thaw(sb) thaw_super(sb)
#define mica_is_frozen(sb) false
#endif

/* Returns -EBUSY if somebody else has frozen it, and 0 if nobody can now. */
static inline int mica_freeze(struct super_block *sb)
{
	int err = mica_freeze_super(sb);

	/* Since 6.6 the kernel may do it as well. */
	if (!err && mica_is_frozen(sb)) {
		mica_thaw(sb);
		err = -EBUSY;
	}
	return err;
}

#endif /* _MICA_COMPAT_FREEZE_H */
