// SPDX-License-Identifier: GPL-2.0-only
/* mica device list and mica device show. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "dev.h"
#include "out.h"
#include "pci.h"

static const char list_help[] =
	"Usage: mica device list [--json]\n"
	"\n"
	"Lists the PCI functions of this host: IOMMU group, driver, whether mica can\n"
	"claim it now and what stands in the way if not, how it can be reset.\n"
	"'mica device show' says more about one of them. Without the module, or for\n"
	"others than root, what a claim would say is not known.\n"
	"\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

static const char show_help[] =
	"Usage: mica device show [--group] [--json] DEVICE\n"
	"\n"
	"Shows what is known about a PCI function, given as 0000:01:00.0 or 01:00.0:\n"
	"driver, IOMMU group, whether it can be claimed and if not why, who uses it,\n"
	"how it can be reset, what keeps it apart from other devices.\n"
	"\n"
	"  -g, --group  judge a claim of its whole IOMMU group\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

enum {
	LIST_DEVICE,
	LIST_GROUP,
	LIST_DRIVER,
	LIST_CLAIM,
	LIST_OBSTACLE,
	LIST_RESET,
	LIST_NAME,
	LIST_VENDOR_ID,
	LIST_DEVICE_ID,
	LIST_CLASS,
	LIST_SESSION,
	LIST_REASON,
	LIST_NR,
};

static const struct column list_columns[LIST_NR] = {
	[LIST_DEVICE] = { .name = "DEVICE" },
	[LIST_GROUP] = { .name = "GROUP", .flags = COLUMN_RIGHT | COLUMN_NUMBER },
	[LIST_DRIVER] = { .name = "DRIVER" },
	[LIST_CLAIM] = { .name = "CLAIM" },
	[LIST_OBSTACLE] = { .name = "OBSTACLE" },
	[LIST_RESET] = { .name = "RESET" },
	[LIST_NAME] = { .name = "NAME", .flags = COLUMN_TRUNCATE },
	[LIST_VENDOR_ID] = { .name = "VENDOR-ID", .flags = COLUMN_JSON },
	[LIST_DEVICE_ID] = { .name = "DEVICE-ID", .flags = COLUMN_JSON },
	[LIST_CLASS] = { .name = "CLASS", .flags = COLUMN_JSON },
	[LIST_SESSION] = { .name = "SESSION", .flags = COLUMN_JSON | COLUMN_NUMBER },
	[LIST_REASON] = { .name = "REASON", .flags = COLUMN_JSON },
};

/* "yes", "no", or "?" where nobody could be asked. */
static const char *claim_word(const struct function *f)
{
	if (!f->judged)
		return "?";
	return f->info.claim_error ? "no" : "yes";
}

static const char *set_or_null(const uint8_t *s)
{
	return *s ? (const char *)s : NULL;
}

struct list {
	struct libscols_table *table;
	int dev;
};

static int list_one(const struct mica_pci_addr *addr, void *data)
{
	char *resets CLEANUP(free_string) = NULL;
	struct list *list = data;
	struct libscols_table *t = list->table;
	const struct mica_device_info *info;
	struct libscols_line *line;
	struct function f;
	char buf[256];

	if (function_get(list->dev, addr, false, &f))
		return 0;
	info = &f.info;
	line = table_line(t, NULL);
	resets = reset_names(info->reset_methods);

	table_set(t, line, LIST_DEVICE, f.name);
	if (info->iommu_group >= 0)
		table_setf(t, line, LIST_GROUP, "%d", info->iommu_group);
	table_set(t, line, LIST_DRIVER, info->state & MICA_STATE_LOCKED ?
		  "?" : set_or_null(info->driver));
	table_set(t, line, LIST_CLAIM, claim_word(&f));
	if (f.judged && info->claim_error) {
		table_set(t, line, LIST_OBSTACLE, obstacle(&info->claim));
		table_set(t, line, LIST_REASON,
			  reason_text(&info->claim, (int)info->claim_error));
	}
	if (*resets)
		table_set(t, line, LIST_RESET, resets);
	table_set(t, line, LIST_NAME, pci_ids_name(info, buf, sizeof(buf)));
	table_setf(t, line, LIST_VENDOR_ID, "%04x", info->vendor);
	table_setf(t, line, LIST_DEVICE_ID, "%04x", info->device);
	table_setf(t, line, LIST_CLASS, "%06x", info->class_code);
	if (info->session)
		table_setf(t, line, LIST_SESSION, "%u", info->session);
	function_free(&f);
	return 0;
}

/* Asking takes root; the answers to others come from sysfs. */
static int dev_open_to_ask(void)
{
	int dev = dev_open();

	if (dev < 0 && errno == ENOENT)
		note("there is no /dev/mica, so what can be claimed is not known; load the module");
	else if (dev < 0)
		note("/dev/mica cannot be opened, so what can be claimed is not known: %s",
		     strerror(errno));
	return dev;
}

int device_list(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int dev CLEANUP(close_fd) = -1;
	struct list list;
	bool json = false;

	while (next_option(argc, argv, ":Jh", longs, list_help) != -1)
		json = true;
	no_arguments(argc, argv);

	dev = dev_open_to_ask();
	list.dev = dev;
	list.table = table_new("devices", list_columns, LIST_NR, json);
	pci_each(list_one, &list);
	pci_ids_free();
	return table_print(list.table);
}

enum {
	SHOW_DEVICE,
	SHOW_NAME,
	SHOW_CLASS,
	SHOW_DRIVER,
	SHOW_OVERRIDE,
	SHOW_CLAIM,
	SHOW_REASON,
	SHOW_SESSION,
	SHOW_IN_USE,
	SHOW_USED_BY,
	SHOW_GROUP,
	SHOW_MEMBERS,
	SHOW_RESET,
	SHOW_ISOLATION,
	SHOW_INTERRUPTS,
	SHOW_BARS,
	SHOW_RESERVED,
	SHOW_NUMA_NODE,
	SHOW_SRIOV,
	SHOW_NR,
};

static const struct column show_columns[SHOW_NR] = {
	[SHOW_DEVICE] = { .name = "DEVICE" },
	[SHOW_NAME] = { .name = "NAME" },
	[SHOW_CLASS] = { .name = "CLASS" },
	[SHOW_DRIVER] = { .name = "DRIVER" },
	[SHOW_OVERRIDE] = { .name = "DRIVER-OVERRIDE" },
	[SHOW_CLAIM] = { .name = "CLAIM" },
	[SHOW_REASON] = { .name = "REASON" },
	[SHOW_SESSION] = { .name = "SESSION", .flags = COLUMN_NUMBER },
	[SHOW_IN_USE] = { .name = "IN-USE" },
	[SHOW_USED_BY] = { .name = "USED-BY", .flags = COLUMN_ARRAY },
	[SHOW_GROUP] = { .name = "GROUP", .flags = COLUMN_NUMBER },
	[SHOW_MEMBERS] = { .name = "GROUP-MEMBERS", .flags = COLUMN_ARRAY },
	[SHOW_RESET] = { .name = "RESET" },
	[SHOW_ISOLATION] = { .name = "ISOLATION", .flags = COLUMN_ARRAY },
	[SHOW_INTERRUPTS] = { .name = "INTERRUPTS", .flags = COLUMN_ARRAY },
	[SHOW_BARS] = { .name = "BARS", .flags = COLUMN_ARRAY },
	[SHOW_RESERVED] = { .name = "RESERVED", .flags = COLUMN_ARRAY },
	[SHOW_NUMA_NODE] = { .name = "NUMA-NODE", .flags = COLUMN_NUMBER },
	[SHOW_SRIOV] = { .name = "VIRTUAL-FUNCTIONS" },
};

static const char *driver_word(const uint8_t *driver, uint32_t state)
{
	if (state & MICA_STATE_LOCKED)
		return "unknown";
	return *driver ? (const char *)driver : "none";
}

static void show_identity(struct record *r, const struct function *f)
{
	const struct mica_device_info *info = &f->info;
	char buf[256];

	record_add(r, SHOW_DEVICE, "%s", f->name);
	record_add(r, SHOW_NAME, "%s [%04x:%04x]",
		   pci_ids_name(info, buf, sizeof(buf)), info->vendor,
		   info->device);
	record_add(r, SHOW_CLASS, "%s [%06x]",
		   pci_ids_class(info, buf, sizeof(buf)), info->class_code);
	record_add(r, SHOW_DRIVER, "%s", driver_word(info->driver, info->state));
	if (info->driver_override[0])
		record_add(r, SHOW_OVERRIDE, "%s", info->driver_override);
}

static void show_claim(struct record *r, const struct function *f)
{
	const struct mica_device_info *info = &f->info;
	struct users users;
	size_t i;

	record_add(r, SHOW_CLAIM, "%s", claim_word(f));
	if (info->claim_error)
		record_add(r, SHOW_REASON, "%s",
			   reason_text(&info->claim, (int)info->claim_error));
	if (info->session)
		record_add(r, SHOW_SESSION, "%u", info->session);
	if (info->state & MICA_STATE_IN_USE)
		record_add(r, SHOW_IN_USE, "%s", info->in_use.text);

	users_find(f->name, info->iommu_group, &users);
	for (i = 0; i < users.nr; i++)
		record_add(r, SHOW_USED_BY, "%s", users.line[i]);
	users_free(&users);
}

static void show_group(struct record *r, const struct function *f)
{
	uint32_t i;

	if (f->info.iommu_group < 0)
		return;
	record_add(r, SHOW_GROUP, "%d", f->info.iommu_group);
	for (i = 0; i < f->info.nr_members; i++) {
		const struct mica_member *m = &f->members[i];
		const char *why = "";

		if (m->state & MICA_STATE_OBSTACLE)
			why = ", must be claimed too";
		else if (m->state & MICA_STATE_BRIDGE)
			why = ", a bridge, does not stand in the way";
		else if (m->state & MICA_STATE_MANAGED_DMA)
			why = ", does not stand in the way";
		record_add(r, SHOW_MEMBERS, "%s (driver: %s)%s", m->name,
			   driver_word(m->driver, m->state), why);
	}
}

static const char *known(unsigned int value)
{
	return value == MICA_YES ? "yes" : value == MICA_NO ? "no" : "unknown";
}

static void show_isolation(struct record *r, const struct function *f)
{
	char *resets CLEANUP(free_string) = reset_names(f->info.reset_methods);
	const struct mica_device_info *info = &f->info;

	record_add(r, SHOW_RESET, "%s", *resets ? resets : "none");
	if (!f->judged)
		return;
	record_add(r, SHOW_ISOLATION, "interrupt remapping: %s",
		   known(info->irq_remapping));
	record_add(r, SHOW_ISOLATION, "ACS on the path: %s", known(info->acs));
	record_add(r, SHOW_ISOLATION, "posted interrupts: %s",
		   known(info->posted_irqs));
	if (info->msi_vectors)
		record_add(r, SHOW_INTERRUPTS, "MSI: %u", info->msi_vectors);
	if (info->msix_vectors)
		record_add(r, SHOW_INTERRUPTS, "MSI-X: %u", info->msix_vectors);
}

static void show_bars(struct record *r, const struct mica_device_info *info)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(info->bars); i++) {
		char *size CLEANUP(free_string) = NULL;
		char *name CLEANUP(free_string) = NULL;
		const struct mica_bar *bar = &info->bars[i];

		if (!bar->length)
			continue;
		size = human_size(bar->length);
		name = i == 6 ? xstrdup("ROM") : xprintf("%zu", i);
		record_add(r, SHOW_BARS, "%s: %#jx, %s, %s%s%s", name,
			   (uintmax_t)bar->start, size,
			   bar->flags & MICA_BAR_IO ? "I/O" : "memory",
			   bar->flags & MICA_BAR_64BIT ? ", 64 bit" : "",
			   bar->flags & MICA_BAR_PREFETCH ? ", prefetchable" :
							    "");
	}
}

static void show_regions(struct record *r, const struct function *f)
{
	static const char * const types[] = {
		[MICA_REGION_DIRECT] = "direct",
		[MICA_REGION_RELAXABLE] = "direct, relaxable",
		[MICA_REGION_RESERVED] = "reserved",
		[MICA_REGION_MSI] = "MSI",
		[MICA_REGION_SW_MSI] = "software MSI",
	};
	uint32_t i;

	if (!f->judged)
		return;
	for (i = 0; i < f->info.nr_regions; i++) {
		const struct mica_region *region = &f->regions[i];
		const char *type = "other";

		if (region->type < ARRAY_SIZE(types) && types[region->type])
			type = types[region->type];
		record_add(r, SHOW_RESERVED, "%#jx-%#jx %s",
			   (uintmax_t)region->start,
			   (uintmax_t)(region->start + region->length - 1),
			   type);
	}
}

int device_show(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "group", no_argument, NULL, 'g' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int dev CLEANUP(close_fd) = -1;
	bool json = false, group = false;
	struct mica_pci_addr addr;
	struct record record;
	struct function f;
	int c, ret;

	while ((c = next_option(argc, argv, ":gJh", longs, show_help)) != -1) {
		if (c == 'g')
			group = true;
		else
			json = true;
	}
	if (optind != argc - 1)
		usage_error("wants one device");
	pci_addr_argument(argv[optind], &addr);

	dev = dev_open_to_ask();
	if (function_get(dev, &addr, group, &f))
		return MICA_FAILED;
	record_init(&record, show_columns, SHOW_NR);
	show_identity(&record, &f);
	show_claim(&record, &f);
	show_group(&record, &f);
	show_isolation(&record, &f);
	show_bars(&record, &f.info);
	show_regions(&record, &f);
	if (f.info.numa_node >= 0)
		record_add(&record, SHOW_NUMA_NODE, "%d", f.info.numa_node);
	if (f.info.sriov_total)
		record_add(&record, SHOW_SRIOV, "%u of %u", f.info.sriov_num,
			   f.info.sriov_total);
	ret = record_print(&record, "devices", json);
	record_free(&record);
	function_free(&f);
	pci_ids_free();
	return ret;
}
