/* SPDX-License-Identifier: GPL-2.0-only */
/* What a session could leave behind, counted for the whole machine. */
#ifndef _SELFTESTS_GUEST_LEFT_H
#define _SELFTESTS_GUEST_LEFT_H

#include "pci.h"

/* Lines of the list, the heading left out. */
static inline long sessions_now(void)
{
	FILE *list = popen("${MICA:-mica} guest list", "r");
	char line[256];
	long n = -1;

	while (list && fgets(line, sizeof(line), list))
		n++;
	return list && !pclose(list) ? n : -1;
}

/* What is in use of these is counted there: VMs, containers, groups, functions. */
static inline long users_now(void)
{
	static const char *const modules[] = {
		"kvm", "kvm_amd", "kvm_intel", "vfio", "vfio_pci",
		"vfio_pci_core", "vfio_iommu_type1",
	};
	char path[64], text[16];
	long users = 0;
	unsigned int i;

	for (i = 0; i < sizeof(modules) / sizeof(*modules); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/refcnt", modules[i]);
		if (!read_text(path, text, sizeof(text)))
			users += strtol(text, NULL, 10);
	}
	return users;
}

/* Pages that are pinned, all processes' and the kernel's. */
static inline long pinned_now(void)
{
	FILE *file = fopen("/proc/vmstat", "re");
	long value, pinned = 0;
	char name[64];

	while (file && fscanf(file, "%63s %ld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			pinned += value;
		if (!strcmp(name, "nr_foll_pin_released"))
			pinned -= value;
	}
	if (file)
		fclose(file);
	return pinned;
}

/* VMs: KVM has a directory for each. */
static inline long vms_now(void)
{
	DIR *dir = opendir("/sys/kernel/debug/kvm");
	struct dirent *d;
	long n = 0;

	if (!dir)
		return -1;
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.' && d->d_type == DT_DIR;
	closedir(dir);
	return n;
}

#endif /* _SELFTESTS_GUEST_LEFT_H */
