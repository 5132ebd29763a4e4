/* SPDX-License-Identifier: GPL-2.0-only */
/* The work queue whose work may run anywhere. */
#ifndef _MICA_COMPAT_WORKQUEUE_H
#define _MICA_COMPAT_WORKQUEUE_H

#include <linux/workqueue.h>

#ifndef HAVE_SYSTEM_DFL_WQ
#define system_dfl_wq	system_unbound_wq
#endif

#endif /* _MICA_COMPAT_WORKQUEUE_H */
