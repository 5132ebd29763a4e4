/* SPDX-License-Identifier: GPL-2.0-only */
/* struct mnt_idmap: before 6.3 a mount has a user namespace in its place. */
#ifndef _MICA_COMPAT_IDMAP_H
#define _MICA_COMPAT_IDMAP_H

#include <linux/fs.h>
#include <linux/mount.h>

#ifndef HAVE_MNT_IDMAP
/* Both the type and the function are called mnt_idmap; so are these two. */
static inline struct user_namespace *user_namespace(const struct vfsmount *mnt)
{
	return mnt_user_ns(mnt);
}

#define mnt_idmap user_namespace
#define nop_mnt_idmap init_user_ns
#endif

#endif /* _MICA_COMPAT_IDMAP_H */
