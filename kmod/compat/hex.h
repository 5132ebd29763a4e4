/* SPDX-License-Identifier: GPL-2.0-only */
/* Where bin2hex() is. */
#ifndef _MICA_COMPAT_HEX_H
#define _MICA_COMPAT_HEX_H

#ifdef HAVE_HEX_H
#include <linux/hex.h>
#else
#include <linux/kernel.h>
#endif

#endif /* _MICA_COMPAT_HEX_H */
