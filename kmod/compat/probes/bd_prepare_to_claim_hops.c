// SPDX-License-Identifier: GPL-2.0-only
/* 6.5: bd_prepare_to_claim() takes the holder's operations. */
/* symbols: bd_prepare_to_claim */
#include <linux/blkdev.h>

int probe(struct block_device *bdev, void *holder);

int probe(struct block_device *bdev, void *holder)
{
	return bd_prepare_to_claim(bdev, holder, NULL);
}
