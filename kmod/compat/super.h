/* SPDX-License-Identifier: GPL-2.0-only */
/* Superblocks and their options. */
#ifndef _MICA_COMPAT_SUPER_H
#define _MICA_COMPAT_SUPER_H

#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/security.h>

#ifndef HAVE_PARSE_FS_STRING_NO_SIZE
static inline int mica_vfs_parse_fs_string(struct fs_context *fc,
					   const char *key, const char *value)
{
	return vfs_parse_fs_string(fc, key, value, value ? strlen(value) : 0);
}

#define vfs_parse_fs_string mica_vfs_parse_fs_string
#endif

#ifndef HAVE_DEFAULT_D_OP
#define set_default_d_op(sb, ops) ((sb)->s_d_op = (ops))
#endif

#ifndef HAVE_COPY_UP_XATTR_SRC
#define security_inode_copy_up_xattr(src, name) \
	security_inode_copy_up_xattr(name)
#endif

#endif /* _MICA_COMPAT_SUPER_H */
