/* SPDX-License-Identifier: GPL-2.0-only */
/* driver_override: a member of the PCI function before it was the device's. */
#ifndef _MICA_COMPAT_DRIVER_OVERRIDE_H
#define _MICA_COMPAT_DRIVER_OVERRIDE_H

#include <linux/device.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#ifdef HAVE_DEVICE_SET_DRIVER_OVERRIDE

/* There is no function of the kernel's that reads it. */
static inline int compat_driver_override_read(struct device *dev, char **copy)
{
	const char *name;

	spin_lock(&dev->driver_override.lock);
	name = dev->driver_override.name;
	*copy = kstrdup(name, GFP_ATOMIC);
	spin_unlock(&dev->driver_override.lock);
	return name && !*copy ? -ENOMEM : 0;
}

#else

/* The device's lock is held. */
static inline int compat_driver_override_read(struct device *dev, char **copy)
{
	const char *name = to_pci_dev(dev)->driver_override;

	*copy = kstrdup(name, GFP_KERNEL);
	return name && !*copy ? -ENOMEM : 0;
}

static inline int device_set_driver_override(struct device *dev, const char *s)
{
	return driver_set_override(dev, &to_pci_dev(dev)->driver_override, s,
				   strlen(s));
}

#endif

#endif /* _MICA_COMPAT_DRIVER_OVERRIDE_H */
