// SPDX-License-Identifier: GPL-2.0-only
/* After 6.12: the work queue whose work may run anywhere has another name. */
#include <linux/workqueue.h>

struct workqueue_struct *probe(void);

struct workqueue_struct *probe(void)
{
	return system_dfl_wq;
}
