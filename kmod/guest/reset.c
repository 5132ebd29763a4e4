// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets between two owners. A function is reset while it is bound to nothing;
 * a whole bus only if every function on it is on its way back, too.
 */
#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include "guest.h"

#define MICA_BUS_TRIES	50

static bool mica_reset_bus_possible(struct pci_dev *pdev)
{
	return !pci_is_root_bus(pdev->bus) && !pci_probe_reset_bus(pdev->bus);
}

/**
 * mica_reset_methods - the ways in which a function can be reset
 * @pdev: the function
 *
 * Return: bits numbered by &enum mica_reset_method.
 */
u32 mica_reset_methods(struct pci_dev *pdev)
{
	u32 methods = 0;
	unsigned int i;
	u8 method;

	for (i = 0; i < PCI_NUM_RESET_METHODS; i++) {
		method = READ_ONCE(pdev->reset_methods[i]);
		if (!method)
			break;
		/* The kernel counts from one, in the order of the header. */
		methods |= BIT(method - 1);
	}
	if (!list_is_singular(&pdev->bus->devices) &&
	    mica_reset_bus_possible(pdev))
		methods |= BIT(MICA_RESET_SHARED_BUS);
	return methods;
}

/**
 * mica_reset_answers - does a function still answer
 * @pdev: the function
 *
 * A virtual function has no vendor of its own, but a command register.
 */
bool mica_reset_answers(struct pci_dev *pdev)
{
	u16 command;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	return !PCI_POSSIBLE_ERROR(command);
}

struct mica_reset_bus {
	struct list_head *list;
	bool all;
};

static int mica_reset_bus_check(struct pci_dev *pdev, void *data)
{
	struct mica_reset_bus *bus = data;
	struct mica_held *held;

	list_for_each_entry(held, bus->list, list)
		if (held->pdev == pdev && !held->leave &&
		    !READ_ONCE(pdev->dev.driver))
			return 0;
	bus->all = false;
	return 1;
}

static int mica_reset_bus(struct pci_dev *pdev, struct list_head *list)
{
	struct mica_reset_bus check = { .list = list, .all = true };
	struct mica_held *held;
	int tries = MICA_BUS_TRIES;
	int err;

	if (!mica_reset_bus_possible(pdev))
		return -ENOTTY;
	pci_walk_bus(pdev->bus, mica_reset_bus_check, &check);
	if (!check.all)
		return -ENOTTY;
	/* It gives up at once if somebody has one of them locked. */
	while ((err = pci_reset_bus(pdev)) == -EAGAIN && tries--)
		msleep(20);
	if (!err)
		list_for_each_entry(held, list, list)
			if (held->pdev->bus == pdev->bus)
				held->reset = true;
	return err;
}

static void mica_reset_one(struct mica_held *held, struct list_head *list)
{
	struct pci_dev *pdev = held->pdev;
	int err = 0;

	pm_runtime_get_sync(&pdev->dev);
	if (!held->reset) {
		err = pci_reset_function(pdev);
		if (err == -ENOTTY)
			err = mica_reset_bus(pdev, list);
	}
	held->reset = true;
	held->lost = !mica_reset_answers(pdev);
	pm_runtime_put(&pdev->dev);
	if (err && err != -ENOTTY)
		pci_warn(pdev, "mica: reset failed: %d\n", err);
}

/**
 * mica_reset_all - reset what a guest may have had, and see that it answers
 * @list: functions on their way back, unbound
 *
 * Context: the session's queue. Takes the locks of the functions, and that of
 * the bridge above.
 */
void mica_reset_all(struct list_head *list)
{
	struct mica_held *held;

	list_for_each_entry(held, list, list)
		if (held->taken && !held->leave && !mica_custody_unplugged(held))
			mica_reset_one(held, list);
}
