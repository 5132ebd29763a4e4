/* SPDX-License-Identifier: GPL-2.0-only */
/* A process that uses a function through VFIO, as a monitor does. */
#ifndef _SELFTESTS_GUEST_VFIO_H
#define _SELFTESTS_GUEST_VFIO_H

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "pci.h"

struct vfio_use {
	int container;
	int group;
	int device;
	void *dma;
};

#define VFIO_DMA_LEN	0x100000UL

static inline int vfio_use_map(struct vfio_use *use)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = 0x100000000ull,
		.size = VFIO_DMA_LEN,
	};

	use->dma = mmap(NULL, VFIO_DMA_LEN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (use->dma == MAP_FAILED)
		return -errno;
	map.vaddr = (unsigned long)use->dma;
	return ioctl(use->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

/* Group, container and DMA of the group; no device yet. */
static inline int vfio_use_group(struct vfio_use *use, const char *bdf)
{
	char path[64];

	use->device = -1;
	use->group = -1;
	use->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (use->container < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(bdf));
	use->group = open(path, O_RDWR | O_CLOEXEC);
	if (use->group < 0)
		return -errno;
	if (ioctl(use->group, VFIO_GROUP_SET_CONTAINER, &use->container))
		return -errno;
	if (ioctl(use->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	return vfio_use_map(use);
}

static inline int vfio_use_device(struct vfio_use *use, const char *bdf)
{
	use->device = ioctl(use->group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	return use->device < 0 ? -errno : 0;
}

static inline void vfio_use_end(struct vfio_use *use)
{
	if (use->device >= 0)
		close(use->device);
	if (use->group >= 0)
		close(use->group);
	if (use->container >= 0)
		close(use->container);
}

/*
 * A process that has begun with something, and is there until it is killed; or -1.
 * What tells that it has begun is the descriptor @ready, which must stay open.
 */
static inline pid_t process_start(int (*begin)(void *data, int ready), void *data)
{
	int ready[2];
	pid_t child;
	char c = 0;

	if (pipe(ready))
		return -1;
	child = fork();
	if (!child) {
		if (begin(data, ready[1]))
			_exit(1);
		write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		child = -1;
	close(ready[0]);
	return child;
}

static inline int vfio_user_begin(void *bdf, int ready)
{
	struct vfio_use use;

	close_range(3, ready - 1, 0);
	close_range(ready + 1, ~0u, 0);
	return vfio_use_group(&use, bdf) ?: vfio_use_device(&use, bdf);
}

/* One that has a function open through VFIO, and nothing else. */
static inline pid_t vfio_user_start(char *bdf)
{
	return process_start(vfio_user_begin, bdf);
}

#endif /* _SELFTESTS_GUEST_VFIO_H */
