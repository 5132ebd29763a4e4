/* SPDX-License-Identifier: GPL-2.0-only */
/* Claiming of block devices: holders had no operations of their own before. */
#ifndef _MICA_COMPAT_BD_CLAIM_H
#define _MICA_COMPAT_BD_CLAIM_H

#include <linux/blkdev.h>

#ifndef HAVE_BD_PREPARE_TO_CLAIM_HOPS
#define bd_prepare_to_claim(_bdev, _holder, _hops) \
	bd_prepare_to_claim(_bdev, _holder)
#endif

#endif /* _MICA_COMPAT_BD_CLAIM_H */
