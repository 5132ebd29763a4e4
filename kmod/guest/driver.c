// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is asked of the driver core, and nowhere else. Drivers go by their names:
 * a pointer to one may be stale as soon as the device's lock is dropped.
 */
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/string.h>
#include "../compat/driver_override.h"
#include "guest.h"

/**
 * mica_driver_name - the driver that a device is bound to
 * @dev: the device
 * @name: out: name of the driver, or an empty string
 * @len: bytes at @name
 * @managed: out: the driver leaves DMA to its users, or there is no driver; may
 *	be NULL
 *
 * Context: takes the device's lock, which is held for as long as a driver takes
 * to bind or unbind.
 * Return: 0, or -EINTR if a signal ended the wait for the lock.
 */
int mica_driver_name(struct device *dev, char *name, size_t len, bool *managed)
{
	int err;

	err = device_lock_interruptible(dev);
	if (err)
		return err;
	strscpy(name, dev->driver ? dev->driver->name : "", len);
	if (managed) {
		*managed = !dev->driver;
		if (dev->driver && dev_is_pci(dev))
			*managed = to_pci_driver(dev->driver)->driver_managed_dma;
	}
	device_unlock(dev);
	return 0;
}

/**
 * mica_driver_is - is a function bound to a driver of this name
 * @pdev: the function
 * @driver: name of the driver, or NULL: is it bound to none
 *
 * Context: takes the device's lock.
 */
bool mica_driver_is(struct pci_dev *pdev, const char *driver)
{
	const char *bound;
	bool is;

	device_lock(&pdev->dev);
	bound = pdev->dev.driver ? pdev->dev.driver->name : NULL;
	is = driver ? bound && !strcmp(bound, driver) : !bound;
	device_unlock(&pdev->dev);
	return is;
}

/**
 * mica_driver_bind - have a driver probe a function
 * @pdev: the function, whose driver_override says which driver
 * @driver: name of that driver
 *
 * The driver core reports success for more than that this driver took the
 * function, so that is looked at afterwards.
 *
 * Context: takes the device's lock; lasts as long as the probe.
 * Return: whether the function is bound to it now.
 */
bool mica_driver_bind(struct pci_dev *pdev, const char *driver)
{
	int err = device_attach(&pdev->dev);

	if (err < 0)
		pci_dbg(pdev, "mica: attach: %d\n", err);
	return mica_driver_is(pdev, driver);
}

/**
 * mica_driver_unbind - take a function away from its driver
 * @pdev: the function
 *
 * Context: takes the device's lock; lasts as long as the driver's remove(),
 * which cannot be interrupted and, with vfio-pci, waits for its users.
 */
void mica_driver_unbind(struct pci_dev *pdev)
{
	device_release_driver(&pdev->dev);
}

/**
 * mica_override_read - copy a function's driver_override
 * @pdev: the function
 * @override: out: for the caller to free; NULL if there is none
 *
 * Return: 0 or -ENOMEM.
 */
int mica_override_read(struct pci_dev *pdev, char **override)
{
	return compat_driver_override_read(&pdev->dev, override);
}

/**
 * mica_override_write - set a function's driver_override
 * @pdev: the function
 * @override: name of a driver, or NULL for none
 *
 * Context: may take the device's lock.
 * Return: 0 or -ENOMEM.
 */
int mica_override_write(struct pci_dev *pdev, const char *override)
{
	return device_set_driver_override(&pdev->dev, override ?: "");
}
