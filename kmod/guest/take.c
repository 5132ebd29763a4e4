// SPDX-License-Identifier: GPL-2.0-only
/* Taking a function away from its driver, and to vfio-pci. */
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "guest.h"

/* What it goes back to is recorded as strings: drivers come and go. */
static int mica_take_record(struct mica_held *held)
{
	char name[sizeof_field(struct mica_device_info, driver)];
	char *driver = NULL, *override = NULL;
	int err;

	err = mica_driver_name(&held->pdev->dev, name, sizeof(name), NULL);
	if (err)
		return err;
	if (*name) {
		driver = kstrdup(name, GFP_KERNEL);
		if (!driver)
			return -ENOMEM;
	}
	err = mica_override_read(held->pdev, &override);
	if (err) {
		kfree(driver);
		return err;
	}
	held->power_auto = mica_power_is_auto(held->pdev);
	mica_custody_record(held, driver, override);
	return 0;
}

/**
 * mica_take_step_ok - can a function still come to its session
 * @held: the function, reserved
 * @why: where it is noted why not
 *
 * Return: 0 or -ENODEV.
 */
int mica_take_step_ok(struct mica_held *held, struct mica_reason *why)
{
	if (READ_ONCE(held->session->ending))
		return mica_fail(why, -ENODEV, MICA_REASON_ENDING, held->name,
				 "the session ended before %s was claimed",
				 held->name);
	/* What left the bus before it was reserved is not marked. */
	if (mica_custody_unplugged(held) ||
	    !device_is_registered(&held->pdev->dev))
		return mica_fail(why, -ENODEV, MICA_REASON_NO_DEVICE, held->name,
				 "%s was unplugged", held->name);
	return 0;
}

/**
 * mica_take - bring a reserved function to vfio-pci
 * @held: the function
 * @why: where a failure is noted
 *
 * What was done when it fails is undone by mica_restore(), which looks at the
 * record.
 *
 * Context: the session's queue; takes the device's lock.
 * Return: 0 or a negative errno.
 */
int mica_take(struct mica_held *held, struct mica_reason *why)
{
	int err;

	err = mica_take_step_ok(held, why);
	if (err)
		return err;
	err = mica_take_record(held);
	if (err)
		return err;
	held->overridden = true;
	err = mica_override_write(held->pdev, MICA_VFIO_DRIVER);
	if (err)
		return err;
	mica_driver_unbind(held->pdev);
	err = mica_take_step_ok(held, why);
	if (err)
		return err;
	held->taken = mica_driver_bind(held->pdev, MICA_VFIO_DRIVER);
	err = mica_take_step_ok(held, why);
	if (err || held->taken)
		return err;
	return mica_fail(why, -EBUSY, MICA_REASON_DRIVER, held->name,
			 "vfio-pci did not take %s; the kernel log may tell why",
			 held->name);
}
