// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is asked of the driver core, and nowhere else. Drivers go by their names:
 * a pointer to one may be stale as soon as the device's lock is dropped.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "../compat/driver_override.h"
#include "guest.h"

#define MICA_LOCK_TRIES		50
#define MICA_LOCK_POLL_MS	20

static bool mica_driver_managed(struct device *dev)
{
	if (!dev->driver || !dev_is_pci(dev))
		return !dev->driver;
	return to_pci_driver(dev->driver)->driver_managed_dma;
}

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
	if (managed)
		*managed = mica_driver_managed(dev);
	device_unlock(dev);
	return 0;
}

static int mica_driver_trylock(struct device *dev, unsigned int tries)
{
	while (!device_trylock(dev)) {
		if (!--tries)
			return -EBUSY;
		if (msleep_interruptible(MICA_LOCK_POLL_MS))
			return -EINTR;
	}
	return 0;
}

static int mica_driver_read(struct device *dev, struct mica_driver *look)
{
	char *override = NULL;
	int err = 0;

	strscpy(look->name, dev->driver ? dev->driver->name : "",
		sizeof(look->name));
	look->managed = mica_driver_managed(dev);
	if (dev_is_pci(dev))
		err = compat_driver_override_read(dev, &override);
	strscpy(look->override, override ?: "", sizeof(look->override));
	kfree(override);
	return err;
}

/**
 * mica_driver_look - the driver of a device, for those who only want to know
 * @dev: the device
 * @look: out: what is known of it
 *
 * A driver may hold the device's lock for ever: vfio-pci does in its remove(),
 * while a process has the function open. Of functions in custody the table
 * knows that vfio-pci has them; of others it is not known then.
 *
 * Context: tries to get the device's lock, for about a second.
 * Return: 0, -EINTR if a signal ended that, or -ENOMEM.
 */
int mica_driver_look(struct device *dev, struct mica_driver *look)
{
	bool vfio = dev_is_pci(dev) && mica_custody_bound(to_pci_dev(dev));
	int err;

	memset(look, 0, sizeof(*look));
	err = mica_driver_trylock(dev, vfio ? 1 : MICA_LOCK_TRIES);
	if (!err) {
		err = mica_driver_read(dev, look);
		device_unlock(dev);
		return err;
	}
	if (err != -EBUSY)
		return err;
	look->locked = !vfio;
	if (vfio) {
		strscpy(look->name, MICA_VFIO_DRIVER, sizeof(look->name));
		strscpy(look->override, MICA_VFIO_DRIVER,
			sizeof(look->override));
		look->managed = true;
	}
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
 * Context: takes the device's lock.
 * Return: 0 or -ENOMEM.
 */
int mica_override_read(struct pci_dev *pdev, char **override)
{
	int err;

	device_lock(&pdev->dev);
	err = compat_driver_override_read(&pdev->dev, override);
	device_unlock(&pdev->dev);
	return err;
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

/**
 * mica_power_is_auto - may a function be suspended when nobody needs it
 * @pdev: the function
 *
 * Return: whether its power/control says "auto".
 */
bool mica_power_is_auto(struct pci_dev *pdev)
{
#ifdef CONFIG_PM
	return pdev->dev.power.runtime_auto;
#else
	return false;
#endif
}

/**
 * mica_power_set_auto - have a function's power/control say "auto"
 * @pdev: the function
 *
 * Context: may suspend it.
 */
void mica_power_set_auto(struct pci_dev *pdev)
{
	pm_runtime_allow(&pdev->dev);
}
