// SPDX-License-Identifier: GPL-2.0-only
/* 6.2: the list of consoles is read under SRCU. */
/* symbols: console_list console_srcu_read_lock console_srcu_read_unlock */
#include <linux/console.h>

int probe(void);

int probe(void)
{
	struct console *con;
	int cookie = console_srcu_read_lock();
	int nr = 0;

	for_each_console_srcu(con)
		nr++;
	console_srcu_read_unlock(cookie);
	return nr;
}
