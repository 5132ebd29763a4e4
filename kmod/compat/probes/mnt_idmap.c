// SPDX-License-Identifier: GPL-2.0-only
/* 6.3: mounts have a struct mnt_idmap; before, a user namespace. */
/* symbols: nop_mnt_idmap */
#include <linux/fs.h>
#include <linux/mount.h>

struct mnt_idmap *probe(const struct vfsmount *mnt);

struct mnt_idmap *probe(const struct vfsmount *mnt)
{
	return mnt_idmap(mnt);
}
