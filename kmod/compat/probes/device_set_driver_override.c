// SPDX-License-Identifier: GPL-2.0-only
/* 7.1, and stable series since: driver_override belongs to struct device. */
/* symbols: __device_set_driver_override */
#include <linux/device.h>

int probe(struct device *dev);

int probe(struct device *dev)
{
	spin_lock(&dev->driver_override.lock);
	spin_unlock(&dev->driver_override.lock);
	return device_set_driver_override(dev, "");
}
