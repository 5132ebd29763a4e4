/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI functions of the test host, as sysfs shows them: the view of a tester that
 * does not depend on what is tested.
 */
#ifndef _SELFTESTS_GUEST_PCI_H
#define _SELFTESTS_GUEST_PCI_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "../../uapi/mica.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define BDF_LEN		16

#define ID_EDU		0x11e81234u
#define ID_E1000E	0x10d38086u
#define CLASS_NVME	0x010802u
#define CLASS_PCI_BRIDGE 0x060400u

static inline unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static inline void sleep_us(unsigned long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

/* Reads a small file; the newline at its end goes. */
static inline int read_text(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return -errno;
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = 0;
	return 0;
}

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static inline void pci_attr(const char *bdf, const char *attr, char *buf,
			    size_t len)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, attr);
	if (read_text(path, buf, len))
		*buf = 0;
}

static inline int pci_write(const char *bdf, const char *attr, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, attr);
	return write_text(path, text);
}

static inline unsigned long pci_number(const char *bdf, const char *attr)
{
	char buf[64];

	pci_attr(bdf, attr, buf, sizeof(buf));
	return strtoul(buf, NULL, 0);
}

/* Name of the driver, or an empty string. */
static inline const char *pci_driver(const char *bdf)
{
	static char name[8][64];
	static int turn;
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	turn = (turn + 1) % 8;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", bdf);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return "";
	target[n] = 0;
	snprintf(name[turn], sizeof(name[turn]), "%s", strrchr(target, '/') + 1);
	return name[turn];
}

/* The kernel shows none as "(null)". */
static inline const char *pci_override(const char *bdf)
{
	static char name[8][64];
	static int turn;

	turn = (turn + 1) % 8;
	pci_attr(bdf, "driver_override", name[turn], sizeof(name[turn]));
	return strcmp(name[turn], "(null)") ? name[turn] : "";
}

/* What a refused claim must leave as it was, and the way back put back. */
struct standing {
	char driver[64];
	char override[64];
};

static inline struct standing standing_of(const char *bdf)
{
	struct standing s;

	snprintf(s.driver, sizeof(s.driver), "%s", pci_driver(bdf));
	snprintf(s.override, sizeof(s.override), "%s", pci_override(bdf));
	return s;
}

static inline bool standing_is(const char *bdf, const struct standing *s)
{
	return !strcmp(s->driver, pci_driver(bdf)) &&
	       !strcmp(s->override, pci_override(bdf));
}

static inline bool standing_comes_back(const char *bdf,
				       const struct standing *s, int ms)
{
	unsigned long long end = now_ns() + ms * 1000000ull;

	while (!standing_is(bdf, s)) {
		if (now_ns() > end)
			return false;
		sleep_us(2000);
	}
	return true;
}

static inline int pci_group(const char *bdf)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", bdf);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = 0;
	return atoi(strrchr(target, '/') + 1);
}

static inline int pci_group_size(const char *bdf)
{
	char path[PATH_MAX];
	struct dirent *d;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group/devices", bdf);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static inline unsigned int pci_id(const char *bdf)
{
	return pci_number(bdf, "vendor") | pci_number(bdf, "device") << 16;
}

static inline int pci_name_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* All functions that @match likes, in order of their addresses. */
static inline int pci_find(bool (*match)(const char *bdf), char (*found)[BDF_LEN],
			   int max)
{
	struct dirent *d;
	DIR *dir = opendir(PCI_DEVICES);
	int n = 0;

	if (!dir)
		return 0;
	while ((d = readdir(dir)) && n < max)
		if (d->d_name[0] != '.' && match(d->d_name))
			snprintf(found[n++], BDF_LEN, "%.15s", d->d_name);
	closedir(dir);
	qsort(found, n, BDF_LEN, pci_name_order);
	return n;
}

static inline bool pci_is_nvme(const char *bdf)
{
	return pci_number(bdf, "class") == CLASS_NVME;
}

static inline bool pci_is_edu(const char *bdf)
{
	return pci_id(bdf) == ID_EDU;
}

static inline bool pci_is_plain_nvme(const char *bdf)
{
	return pci_is_nvme(bdf) && !pci_number(bdf, "sriov_totalvfs");
}

static inline bool pci_is_pf(const char *bdf)
{
	return pci_is_nvme(bdf) && pci_number(bdf, "sriov_totalvfs");
}

static inline int pci_nr_vfs(const char *pf)
{
	return pci_number(pf, "sriov_numvfs");
}

/* The one on the root bus, and the two that share a group. */
static inline bool pci_is_edu_alone(const char *bdf)
{
	return pci_is_edu(bdf) && pci_group_size(bdf) == 1;
}

static inline bool pci_is_edu_paired(const char *bdf)
{
	return pci_is_edu(bdf) && pci_group_size(bdf) > 1;
}

static inline bool pci_is_e1000e(const char *bdf)
{
	return pci_id(bdf) == ID_E1000E;
}

static inline bool pci_is_port(const char *bdf)
{
	return pci_number(bdf, "class") == CLASS_PCI_BRIDGE;
}

static inline struct mica_pci_addr pci_addr(const char *bdf)
{
	struct mica_pci_addr addr = {};
	char *at;

	addr.domain = strtoul(bdf, &at, 16);
	addr.bus = strtoul(at + 1, &at, 16);
	addr.devfn = strtoul(at + 1, &at, 16) << 3;
	addr.devfn |= strtoul(at + 1, &at, 16);
	return addr;
}

static inline void pci_bdf(const struct mica_pci_addr *addr, char *bdf)
{
	snprintf(bdf, BDF_LEN, "%04x:%02x:%02x.%d", addr->domain & 0xffff,
		 addr->bus, addr->devfn >> 3, addr->devfn & 7);
}

/* The name of what is below a function in a directory like "nvme" or "net". */
static inline bool pci_child(const char *bdf, const char *kind, char *name,
			     size_t len)
{
	char path[PATH_MAX];
	struct dirent *d;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, kind);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(name, len, "%.*s", (int)len - 1, d->d_name);
		found = true;
	}
	closedir(dir);
	return found;
}

/*
 * The disk of an NVMe function that is namespace 1. With multipath it belongs to
 * the subsystem, which has the controller's number where there is one controller
 * each; and the number of a disk is not that of its namespace since they are
 * scanned in parallel.
 */
static inline bool pci_nvme_disk(const char *bdf, char *path, size_t len)
{
	char ctrl[32], attr[96], nsid[16];
	struct stat st;
	int n;

	if (!pci_child(bdf, "nvme", ctrl, sizeof(ctrl)))
		return false;
	for (n = 1; n < 4; n++) {
		snprintf(attr, sizeof(attr), "/sys/class/block/%sn%d/nsid",
			 ctrl, n);
		if (read_text(attr, nsid, sizeof(nsid)) || atoi(nsid) != 1)
			continue;
		snprintf(path, len, "/dev/%sn%d", ctrl, n);
		return !stat(path, &st) && S_ISBLK(st.st_mode);
	}
	return false;
}

static inline bool pci_wait_driver(const char *bdf, const char *driver, int ms)
{
	unsigned long long end = now_ns() + ms * 1000000ull;

	while (strcmp(pci_driver(bdf), driver)) {
		if (now_ns() > end)
			return false;
		sleep_us(2000);
	}
	return true;
}

/* Does its disk read? The namespaces come some time after the driver. */
static inline bool pci_nvme_reads(const char *bdf, int ms)
{
	unsigned long long end = now_ns() + ms * 1000000ull;
	const size_t len = 65536;
	char *buf = aligned_alloc(4096, len);
	char path[128];
	bool read_it = false;
	int fd;

	while (buf && !read_it && now_ns() < end) {
		sleep_us(5000);
		if (!pci_nvme_disk(bdf, path, sizeof(path)))
			continue;
		fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			continue;
		read_it = pread(fd, buf, len, 0) == (ssize_t)len;
		close(fd);
	}
	free(buf);
	return read_it;
}

#endif /* _SELFTESTS_GUEST_PCI_H */
