// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: has a function leave the bus for which sysfs has no file "remove", as a
 * virtual one. The address of the function is written to "function".
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

static int mica_unplug_set(const char *text, const struct kernel_param *kp)
{
	unsigned int domain, bus, slot, func;
	struct pci_dev *pdev;

	if (sscanf(text, "%x:%x:%x.%u", &domain, &bus, &slot, &func) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, func));
	if (!pdev)
		return -ENODEV;
	pci_stop_and_remove_bus_device_locked(pdev);
	pci_dev_put(pdev);
	return 0;
}

static const struct kernel_param_ops mica_unplug_ops = {
	.set = mica_unplug_set,
};
module_param_cb(function, &mica_unplug_ops, NULL, 0200);
MODULE_PARM_DESC(function, "address of the function that leaves the bus");

MODULE_DESCRIPTION("Unplugs virtual functions, for tests of mica");
MODULE_LICENSE("GPL");
