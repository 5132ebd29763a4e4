/* SPDX-License-Identifier: GPL-2.0-only */
/* The list of consoles: read under the console lock before there was SRCU. */
#ifndef _MICA_COMPAT_CONSOLE_H
#define _MICA_COMPAT_CONSOLE_H

#include <linux/console.h>

#ifndef HAVE_FOR_EACH_CONSOLE_SRCU

#define for_each_console_srcu(con)	for_each_console(con)

static inline int console_srcu_read_lock(void)
{
	console_lock();
	return 0;
}

static inline void console_srcu_read_unlock(int cookie)
{
	console_unlock();
}

#endif

#endif /* _MICA_COMPAT_CONSOLE_H */
