/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that make a guest of a session. */
#ifndef _SELFTESTS_GUEST_ASSEMBLY_H
#define _SELFTESTS_GUEST_ASSEMBLY_H

#include <linux/kvm.h>
#include <linux/vfio.h>
#include "session.h"

#define BACK_MS	20000

/* A guest, as who made it sees it. */
struct guest {
	int session;
	int vm;
	int container;
	int device;
	struct mica_reason why;
};

/* Returns 0 or the errno; with a function, asks for its descriptor. */
static inline int guest_create(struct guest *guest, const char *bdf)
{
	struct mica_guest_device device = { .fd = -1 };
	struct mica_guest_create create = {
		.size = sizeof(create),
		.flags = bdf ? MICA_GUEST_CONTAINER : 0,
		.devices_ptr = (unsigned long)&device,
		.nr_devices = !!bdf,
		.reason_ptr = (unsigned long)&guest->why,
		.reason_len = sizeof(guest->why),
	};

	memset(&guest->why, 0, sizeof(guest->why));
	guest->vm = -1;
	guest->container = -1;
	guest->device = -1;
	if (bdf)
		device.addr = pci_addr(bdf);
	if (ioctl(guest->session, MICA_GUEST_CREATE, &create))
		return errno;
	guest->vm = create.vm_fd;
	guest->container = create.container_fd;
	guest->device = device.fd;
	return 0;
}

/* Closes what is open of it. */
static inline void guest_end(struct guest *guest)
{
	int *fd[] = { &guest->vm, &guest->container, &guest->device,
		      &guest->session };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		if (*fd[i] >= 0)
			close(*fd[i]);
		*fd[i] = -1;
	}
}

static inline int guest_map(struct guest *guest, unsigned long long at,
			    const void *memory, unsigned long long length,
			    unsigned int flags)
{
	struct mica_guest_map map = {
		.size = sizeof(map),
		.range = {
			.guest_addr = at,
			.user_addr = (unsigned long)memory,
			.length = length,
			.flags = flags,
		},
		.reason_ptr = (unsigned long)&guest->why,
		.reason_len = sizeof(guest->why),
	};

	memset(&guest->why, 0, sizeof(guest->why));
	return ioctl(guest->session, MICA_GUEST_MAP, &map) ? errno : 0;
}

static inline int guest_unmap(struct guest *guest, unsigned long long at,
			      unsigned long long length)
{
	struct mica_guest_unmap unmap = {
		.size = sizeof(unmap),
		.guest_addr = at,
		.length = length,
		.reason_ptr = (unsigned long)&guest->why,
		.reason_len = sizeof(guest->why),
	};

	memset(&guest->why, 0, sizeof(guest->why));
	return ioctl(guest->session, MICA_GUEST_UNMAP, &unmap) ? errno : 0;
}

static inline int guest_irq(struct guest *guest,
			    const struct mica_guest_vector *vector)
{
	struct mica_guest_irq irq = {
		.size = sizeof(irq),
		.vector = *vector,
		.reason_ptr = (unsigned long)&guest->why,
		.reason_len = sizeof(guest->why),
	};

	memset(&guest->why, 0, sizeof(guest->why));
	return ioctl(guest->session, MICA_GUEST_IRQ, &irq) ? errno : 0;
}

static inline int guest_reset(struct guest *guest, const char *bdf)
{
	struct mica_guest_reset reset = {
		.size = sizeof(reset),
		.addr = pci_addr(bdf),
		.reason_ptr = (unsigned long)&guest->why,
		.reason_len = sizeof(guest->why),
	};

	memset(&guest->why, 0, sizeof(guest->why));
	return ioctl(guest->session, MICA_GUEST_RESET, &reset) ? errno : 0;
}

/* What is known of a guest, and of the first of its functions. */
static inline int guest_stat(struct guest *guest, struct mica_guest_stat *stat,
			     struct mica_guest_stat_device *device)
{
	memset(stat, 0, sizeof(*stat));
	stat->size = sizeof(*stat);
	stat->devices_ptr = (unsigned long)device;
	stat->nr_devices = !!device;
	return ioctl(guest->session, MICA_GUEST_STAT, stat) ? errno : 0;
}

static inline int fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline unsigned long locked_kib(void)
{
	char line[256];
	unsigned long kib = ~0ul;
	FILE *status = fopen("/proc/self/status", "re");

	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "VmLck: %lu", &kib);
	fclose(status);
	return kib;
}

#endif /* _SELFTESTS_GUEST_ASSEMBLY_H */
