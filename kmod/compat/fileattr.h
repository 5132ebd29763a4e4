/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes of files, as lsattr shows them. */
#ifndef _MICA_COMPAT_FILEATTR_H
#define _MICA_COMPAT_FILEATTR_H

#include <linux/fs.h>
#include <linux/fileattr.h>
#include "idmap.h"

#ifndef HAVE_FILE_KATTR
#define file_kattr fileattr
#endif

#endif /* _MICA_COMPAT_FILEATTR_H */
