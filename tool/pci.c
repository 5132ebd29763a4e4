// SPDX-License-Identifier: GPL-2.0-only
/* PCI functions: their addresses, their names, what is known about them. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <pci/pci.h>

#include "dev.h"
#include "pci.h"

#define DEVICES "/sys/bus/pci/devices"

void pci_name(const struct mica_pci_addr *addr, char *name)
{
	snprintf(name, PCI_NAME_LEN, "%04x:%02x:%02x.%x", addr->domain,
		 addr->bus, addr->devfn >> 3, addr->devfn & 7);
}

/*
 * [DOMAIN:]BUS:DEVICE[.FUNCTION], as lspci -s takes it but for the wildcards.
 * *function is -1 if it is not given.
 */
static bool parse_addr(const char *text, struct mica_pci_addr *addr,
		       int *function)
{
	char *copy CLEANUP(free_string) = xstrdup(text);
	char *dot = strrchr(copy, '.'), *colon;
	uint64_t n;

	*addr = (struct mica_pci_addr) {};
	*function = -1;
	if (dot) {
		if (strlen(dot + 1) != 1 || !parse_number(dot + 1, 16, 7, &n))
			return false;
		*function = (int)n;
		*dot = 0;
	}
	colon = strrchr(copy, ':');
	if (!colon || !parse_number(colon + 1, 16, 31, &n))
		return false;
	addr->devfn = (uint8_t)(n << 3 | (*function < 0 ? 0 : *function));
	*colon = 0;
	colon = strrchr(copy, ':');
	if (colon) {
		if (!parse_number(colon + 1, 16, 255, &n))
			return false;
		addr->bus = (uint8_t)n;
		*colon = 0;
		if (!parse_number(copy, 16, UINT32_MAX, &n))
			return false;
		addr->domain = (uint32_t)n;
	} else {
		if (!parse_number(copy, 16, 255, &n))
			return false;
		addr->bus = (uint8_t)n;
	}
	return true;
}

/* The address that an argument stands for; a usage error if it is none. */
void pci_addr_argument(const char *text, struct mica_pci_addr *addr)
{
	struct mica_pci_addr probe;
	char name[PCI_NAME_LEN];
	int function, i, found = 0;

	if (!parse_addr(text, addr, &function))
		usage_error("'%s' is not the address of a PCI function, as 01:00.0 or 0000:01:00.0 is",
			    text);
	if (function >= 0)
		return;
	probe = *addr;
	for (i = 0; i < 8; i++, probe.devfn++) {
		pci_name(&probe, name);
		if (!path_exists(DEVICES "/%s", name))
			continue;
		*addr = probe;
		found++;
	}
	if (found > 1)
		usage_error("%s has %d functions; name one, as in %s.0", text,
			    found, text);
}

/* Calls @each for the functions in the order of their addresses. */
int pci_each(int (*each)(const struct mica_pci_addr *addr, void *data),
	     void *data)
{
	struct mica_pci_addr addr;
	struct dirent **entry;
	int nr, i, function, err = 0;

	nr = scandir(DEVICES, &entry, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		if (!err && parse_addr(entry[i]->d_name, &addr, &function))
			err = each(&addr, data);
		free(entry[i]);
	}
	if (nr >= 0)
		free(entry);
	return err;
}

static struct pci_access *ids_access;

static struct pci_access *ids(void)
{
	if (!ids_access) {
		ids_access = pci_alloc();
		pci_init(ids_access);
	}
	return ids_access;
}

const char *pci_ids_name(const struct mica_device_info *info, char *buf,
			 int size)
{
	return pci_lookup_name(ids(), buf, size,
			       PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE,
			       info->vendor, info->device);
}

const char *pci_ids_class(const struct mica_device_info *info, char *buf,
			  int size)
{
	return pci_lookup_name(ids(), buf, size, PCI_LOOKUP_CLASS,
			       info->class_code >> 8);
}

void pci_ids_free(void)
{
	if (ids_access)
		pci_cleanup(ids_access);
	ids_access = NULL;
}

static uint32_t sysfs_number(const char *function, const char *name, int base)
{
	char *line CLEANUP(free_string) = NULL;

	line = read_line(DEVICES "/%s/%s", function, name);
	return line ? (uint32_t)strtol(line, NULL, base) : 0;
}

/* Into zeroes. */
static void copy_name(uint8_t *to, size_t size, const char *from)
{
	if (from)
		memcpy(to, from, strnlen(from, size - 1));
}

static const char * const reset_method_names[] = {
	[MICA_RESET_DEVICE_SPECIFIC] = "device_specific",
	[MICA_RESET_ACPI] = "acpi",
	[MICA_RESET_FLR] = "flr",
	[MICA_RESET_AF_FLR] = "af_flr",
	[MICA_RESET_PM] = "pm",
	[MICA_RESET_BUS] = "bus",
	[MICA_RESET_CXL_BUS] = "cxl_bus",
	[MICA_RESET_SHARED_BUS] = "shared_bus",
};

/* "flr bus", as sysfs says it; to be freed. */
char *reset_names(uint32_t methods)
{
	char *names = xstrdup("");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reset_method_names); i++) {
		char *longer;

		if (!(methods & 1U << i) || !reset_method_names[i])
			continue;
		longer = xprintf("%s%s%s", names, *names ? " " : "",
				 reset_method_names[i]);
		free(names);
		names = longer;
	}
	return names;
}

static uint32_t sysfs_reset_methods(const char *function)
{
	char *line CLEANUP(free_string) = NULL;
	uint32_t methods = 0;
	size_t i;

	line = read_line(DEVICES "/%s/reset_method", function);
	for (i = 0; i < ARRAY_SIZE(reset_method_names); i++)
		if (reset_method_names[i] &&
		    has_word(line, reset_method_names[i]))
			methods |= 1U << i;
	return methods;
}

static void add_sysfs_member(struct function *f, const char *name)
{
	char *driver CLEANUP(free_string) = NULL;
	struct mica_member *member;
	int function;

	f->members = xrealloc(f->members, (f->info.nr_members + 1) *
			      sizeof(*f->members));
	member = &f->members[f->info.nr_members++];
	*member = (struct mica_member) {};
	if (!parse_addr(name, &member->addr, &function))
		member->state |= MICA_STATE_NOT_PCI;
	copy_name(member->name, sizeof(member->name), name);
	driver = link_name(DEVICES "/%s/driver", name);
	copy_name(member->driver, sizeof(member->driver), driver);
}

static void sysfs_members(struct function *f)
{
	char *dir CLEANUP(free_string) = NULL;
	struct dirent **entry;
	int nr, i;

	dir = xprintf(DEVICES "/%s/iommu_group/devices", f->name);
	nr = scandir(dir, &entry, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		if (entry[i]->d_name[0] != '.' &&
		    strcmp(entry[i]->d_name, f->name))
			add_sysfs_member(f, entry[i]->d_name);
		free(entry[i]);
	}
	if (nr >= 0)
		free(entry);
}

/* What can be known without the module, or without the right to ask it. */
static void function_from_sysfs(struct function *f)
{
	char *driver CLEANUP(free_string) = NULL;
	char *override CLEANUP(free_string) = NULL;
	char *group CLEANUP(free_string) = NULL;
	struct mica_device_info *info = &f->info;

	info->vendor = (uint16_t)sysfs_number(f->name, "vendor", 16);
	info->device = (uint16_t)sysfs_number(f->name, "device", 16);
	info->class_code = sysfs_number(f->name, "class", 16);
	info->revision = (uint8_t)sysfs_number(f->name, "revision", 16);
	info->sriov_total = (uint16_t)sysfs_number(f->name, "sriov_totalvfs", 10);
	info->sriov_num = (uint16_t)sysfs_number(f->name, "sriov_numvfs", 10);
	info->numa_node = (int32_t)sysfs_number(f->name, "numa_node", 10);
	info->reset_methods = sysfs_reset_methods(f->name);

	driver = link_name(DEVICES "/%s/driver", f->name);
	copy_name(info->driver, sizeof(info->driver), driver);
	override = read_line(DEVICES "/%s/driver_override", f->name);
	if (override && strcmp(override, "(null)") != 0)
		copy_name(info->driver_override, sizeof(info->driver_override),
			  override);
	group = link_name(DEVICES "/%s/iommu_group", f->name);
	info->iommu_group = group ? atoi(group) : -1;
	sysfs_members(f);
}

/*
 * Asks the module, with arrays that are long enough for the answer. Returns 0
 * or -1 and errno.
 */
static int function_from_module(int dev, const struct mica_pci_addr *addr,
				bool group, struct function *f,
				struct mica_reason *reason)
{
	struct mica_device_info *info = &f->info;
	uint32_t members = 16, regions = 16;

	for (;;) {
		f->members = xrealloc(f->members,
				      members * sizeof(*f->members));
		f->regions = xrealloc(f->regions,
				      regions * sizeof(*f->regions));
		*info = (struct mica_device_info) {
			.size = sizeof(*info),
			.flags = group ? MICA_DEVICE_INFO_GROUP : 0,
			.addr = *addr,
			.nr_members = members,
			.nr_regions = regions,
			.members_ptr = (uintptr_t)f->members,
			.regions_ptr = (uintptr_t)f->regions,
			REASON_TO(reason),
		};
		if (ioctl(dev, MICA_DEVICE_INFO, info))
			return -1;
		if (info->nr_members <= members && info->nr_regions <= regions)
			return 0;
		members = info->nr_members + 8;
		regions = info->nr_regions + 8;
	}
}

/*
 * All about one function; @dev is -1 if the module cannot be asked. Says what
 * is wrong and returns -1 if there is no such function.
 */
int function_get(int dev, const struct mica_pci_addr *addr, bool group,
		 struct function *f)
{
	struct mica_reason reason = {};

	*f = (struct function) {};
	pci_name(addr, f->name);
	if (dev >= 0) {
		if (!function_from_module(dev, addr, group, f, &reason)) {
			f->judged = true;
			return 0;
		}
		fail("%s: %s", f->name, reason_text(&reason, errno));
		function_free(f);
		return -1;
	}
	if (!path_exists(DEVICES "/%s", f->name)) {
		fail("there is no PCI function %s; 'mica device list' lists them",
		     f->name);
		return -1;
	}
	function_from_sysfs(f);
	return 0;
}

void function_free(struct function *f)
{
	free(f->members);
	free(f->regions);
	f->members = NULL;
	f->regions = NULL;
}

/* A word or two for a column. */
const char *obstacle(const struct mica_reason *reason)
{
	static const char * const words[] = {
		[MICA_REASON_NONE] = "error",
		[MICA_REASON_BAD_VALUE] = "error",
		[MICA_REASON_NO_DEVICE] = "no device",
		[MICA_REASON_BRIDGE] = "bridge",
		[MICA_REASON_NO_IOMMU] = "no IOMMU",
		[MICA_REASON_NO_VFIO] = "no vfio-pci",
		[MICA_REASON_GROUP] = "group",
		[MICA_REASON_CLAIMED] = "claimed",
		[MICA_REASON_DISK] = "disk in use",
		[MICA_REASON_NETDEV] = "network in use",
		[MICA_REASON_CONSOLE] = "console",
		[MICA_REASON_VFS] = "has VFs",
		[MICA_REASON_DRIVER] = "driver",
		[MICA_REASON_PRIVILEGE] = "privilege",
		[MICA_REASON_RESET] = "no reset",
		[MICA_REASON_OVERRIDE] = "override",
		[MICA_REASON_USER] = "used by VFIO",
		[MICA_REASON_ENDING] = "ending",
	};

	if (reason->code < ARRAY_SIZE(words) && words[reason->code])
		return words[reason->code];
	return "other";
}
