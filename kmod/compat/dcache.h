/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Before 6.8 a file of a branch is opened with the union's path, and the
 * branch's file system asks the union's dentry for the dentry of its own.
 */
#ifndef _MICA_COMPAT_DCACHE_H
#define _MICA_COMPAT_DCACHE_H

#include <linux/dcache.h>

#ifdef HAVE_BACKING_FILE
#define MICA_D_REAL_ARG enum d_real_type
#else
#define MICA_D_REAL_ARG const struct inode *
#endif

#endif /* _MICA_COMPAT_DCACHE_H */
