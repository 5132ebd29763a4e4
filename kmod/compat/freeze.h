/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeping out who wants to change a file system. */
#ifndef _MICA_COMPAT_FREEZE_H
#define _MICA_COMPAT_FREEZE_H

#include <linux/fs.h>

#if defined(HAVE_FREEZE_OWNER)
#define mica_freeze(sb) freeze_super(sb, FREEZE_HOLDER_KERNEL, NULL)
#define mica_thaw(sb) thaw_super(sb, FREEZE_HOLDER_KERNEL, NULL)
#elif defined(HAVE_FREEZE_HOLDER)
#define mica_freeze(sb) freeze_super(sb, FREEZE_HOLDER_KERNEL)
#define mica_thaw(sb) thaw_super(sb, FREEZE_HOLDER_KERNEL)
#else
#define mica_freeze(sb) freeze_super(sb)
#define mica_thaw(sb) thaw_super(sb)
#endif

#endif /* _MICA_COMPAT_FREEZE_H */
