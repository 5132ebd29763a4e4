/* SPDX-License-Identifier: GPL-2.0-only */
/* Times, state bits, leases and the end of an inode. */
#ifndef _MICA_COMPAT_INODE_H
#define _MICA_COMPAT_INODE_H

#include <linux/fs.h>
#include <linux/stat.h>
#ifdef HAVE_FILELOCK_H
#include <linux/filelock.h>
#endif
#include "idmap.h"

#ifndef HAVE_INODE_TIMESTAMPS
#define inode_get_atime(inode)		((inode)->i_atime)
#define inode_get_mtime(inode)		((inode)->i_mtime)
#define inode_get_ctime(inode)		((inode)->i_ctime)
#define inode_set_atime_to_ts(inode, ts)	((inode)->i_atime = (ts))
#define inode_set_mtime_to_ts(inode, ts)	((inode)->i_mtime = (ts))
#define inode_set_ctime_to_ts(inode, ts)	((inode)->i_ctime = (ts))
#endif

/* Nothing to take back. */
#ifndef STATX_CHANGE_COOKIE
#define STATX_CHANGE_COOKIE 0
#endif

#ifndef HAVE_INODE_STATE
#define inode_state_read_once(inode)	READ_ONCE((inode)->i_state)
#define inode_state_set(inode, bits)	((inode)->i_state |= (bits))
#define inode_state_clear(inode, bits)	((inode)->i_state &= ~(bits))
#endif

#ifndef HAVE_INODE_JUST_DROP
#define inode_just_drop generic_delete_inode
#endif

#ifdef HAVE_MKDIR_RETURNS_DENTRY
#define MICA_MKDIR_T		struct dentry *
#define MICA_MKDIR_RET(err)	ERR_PTR(err)
#else
#define MICA_MKDIR_T		int
#define MICA_MKDIR_RET(err)	(err)
#endif

/* Arguments of ->update_time(), and whether they are about the access time. */
#if defined(HAVE_UPDATE_TIME_TYPE)
#define MICA_UPDATE_TIME(fn) \
	int fn(struct inode *inode, enum fs_update_time which, \
	       unsigned int flags)
#define mica_update_is_atime(which) ((which) == FS_UPD_ATIME)
#elif defined(HAVE_UPDATE_TIME_NOW)
#define MICA_UPDATE_TIME(fn) int fn(struct inode *inode, int which)
#define mica_update_is_atime(which) ((which) & S_ATIME)
#else
#define MICA_UPDATE_TIME(fn) \
	int fn(struct inode *inode, struct timespec64 *now, int which)
#define mica_update_is_atime(which) ((which) & S_ATIME)
#endif

#endif /* _MICA_COMPAT_INODE_H */
