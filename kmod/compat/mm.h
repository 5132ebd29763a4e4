/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings. */
#ifndef _MICA_COMPAT_MM_H
#define _MICA_COMPAT_MM_H

#include <linux/mm.h>

#ifndef HAVE_VM_FLAGS_CLEAR
#define vm_flags_clear(vma, flags)	((vma)->vm_flags &= ~(flags))
#define vm_flags_set(vma, flags)	((vma)->vm_flags |= (flags))
#endif

#endif /* _MICA_COMPAT_MM_H */
