/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI functions: their addresses, their names, what is known about them. */
#ifndef MICA_TOOL_PCI_H
#define MICA_TOOL_PCI_H

#include "mica.h"
#include "tool.h"

#define PCI_NAME_LEN 24			/* 0000:01:00.0 and longer domains */

struct function {
	char name[PCI_NAME_LEN];
	bool judged;			/* by the module; else all is from sysfs */
	struct mica_device_info info;
	struct mica_member *members;	/* info.nr_members of them */
	struct mica_region *regions;	/* info.nr_regions of them */
};

void pci_name(const struct mica_pci_addr *addr, char *name);
void pci_addr_argument(const char *text, struct mica_pci_addr *addr);
int pci_each(int (*each)(const struct mica_pci_addr *addr, void *data),
	     void *data);
const char *pci_ids_name(const struct mica_device_info *info, char *buf,
			 int size);
const char *pci_ids_class(const struct mica_device_info *info, char *buf,
			  int size);
void pci_ids_free(void);

int function_get(int dev, const struct mica_pci_addr *addr, bool group,
		 struct function *f);
void function_free(struct function *f);
char *reset_names(uint32_t methods);
const char *obstacle(const struct mica_reason *reason);

#endif /* MICA_TOOL_PCI_H */
