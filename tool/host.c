// SPDX-License-Identifier: GPL-2.0-only
/* mica host check: can this host pass devices through, and if not what then. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "dev.h"
#include "out.h"
#include "pci.h"

static const char help[] =
	"Usage: mica host check [--json]\n"
	"\n"
	"Tells, line by line, what passing devices through needs, whether this host has\n"
	"it, and what to change if not. Exit code 0 if devices can be passed through, 1\n"
	"if not. Unions need the line \"union\" only.\n"
	"\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

enum state {
	STATE_INFO,		/* nothing depends on it */
	STATE_OK,
	STATE_MISSING,		/* no passthrough without it */
	STATE_NO_UNION,		/* no union without it */
};

struct finding {
	enum state state;
	char *found;
	char *change;		/* or NULL */
};

static void __printf(2, 3) found(struct finding *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	f->found = xvprintf(fmt, args);
	va_end(args);
}

/* What is missing, and what to do about it. */
static void __printf(3, 4) missing(struct finding *f, const char *what,
				   const char *fmt, ...)
{
	va_list args;

	f->state = STATE_MISSING;
	f->found = xstrdup(what);
	va_start(args, fmt);
	f->change = xvprintf(fmt, args);
	va_end(args);
}

static char *command_line(void)
{
	return read_line("/proc/cmdline") ?: xstrdup("");
}

/* The value behind "name  : " in /proc/cpuinfo, to be freed. */
static char *cpu_info(const char *name)
{
	char *line = NULL, *value = NULL;
	size_t size = 0, len = strlen(name);
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && !value && getline(&line, &size, file) > 0) {
		char *colon = strchr(line, ':');

		if (colon && !strncmp(line, name, len) &&
		    strchr(" \t:", line[len]))
			value = xstrdup(colon + 1);
	}
	free(line);
	if (file)
		fclose(file);
	return value ?: xstrdup("");
}

static bool module_loaded(const char *name)
{
	return path_exists("/sys/module/%s", name);
}

/* Is the module there to be loaded, in the form that modprobe looks for? */
static bool module_available(const char *file)
{
	char *needle CLEANUP(free_string) = xprintf("/%s.ko", file);
	static const char * const lists[] = { "modules.dep", "modules.builtin" };
	struct utsname uts;
	bool there = false;
	size_t i;

	if (uname(&uts))
		return false;
	for (i = 0; i < ARRAY_SIZE(lists) && !there; i++) {
		char *path CLEANUP(free_string) = NULL;
		char *line = NULL, *colon;
		size_t size = 0;
		FILE *list;

		path = xprintf("/lib/modules/%s/%s", uts.release, lists[i]);
		list = fopen(path, "re");
		while (list && !there && getline(&line, &size, list) > 0) {
			colon = strchr(line, ':');
			if (colon)
				*colon = 0;
			there = strstr(line, needle);
		}
		free(line);
		if (list)
			fclose(list);
	}
	return there;
}

static void check_cpu(struct finding *f)
{
	char *flags CLEANUP(free_string) = cpu_info("flags");
	bool is_guest = has_word(flags, "hypervisor");

	f->state = STATE_OK;
	if (has_word(flags, "vmx"))
		found(f, "Intel VT-x");
	else if (has_word(flags, "svm"))
		found(f, "AMD SVM");
	else if (is_guest)
		missing(f, "no virtualization in this CPU, which is that of a virtual machine",
			"allow nested virtualization for it on its own host");
	else
		missing(f, "no virtualization in this CPU",
			"switch on VT-x (Intel) or SVM (AMD) in the firmware's set-up");
}

static void check_kvm(struct finding *f)
{
	char *vendor CLEANUP(free_string) = cpu_info("vendor_id");
	int fd CLEANUP(close_fd) = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	const char *module = strstr(vendor, "Intel") ? "kvm_intel" : "kvm_amd";

	f->state = STATE_OK;
	if (fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION)
		found(f, "/dev/kvm");
	else if (fd >= 0)
		missing(f, "/dev/kvm is not what it should be",
			"remove what else stands at /dev/kvm");
	else if (errno == EACCES)
		missing(f, "/dev/kvm may not be opened by this user",
			"use sudo, or join the group that owns /dev/kvm");
	else if (module_loaded(module))
		missing(f, "there is no /dev/kvm",
			"see in the kernel's log what %s says; often virtualization is off in the firmware's set-up",
			module);
	else
		missing(f, "KVM is not loaded", "modprobe %s", module);
}

/* Without an IOMMU, VFIO makes groups of its own if it is told to. */
static unsigned int count_groups(void)
{
	const char *path = "/sys/kernel/iommu_groups";
	struct dirent *entry;
	unsigned int nr = 0;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		char *name CLEANUP(free_string) = NULL;

		if (entry->d_name[0] == '.')
			continue;
		name = read_line("%s/%s/name", path, entry->d_name);
		nr += !name || strcmp(name, "vfio-noiommu");
	}
	if (dir)
		closedir(dir);
	return nr;
}

static bool acpi_table(const char *name)
{
	return path_exists("/sys/firmware/acpi/tables/%s", name);
}

static void check_iommu(struct finding *f)
{
	char *line CLEANUP(free_string) = command_line();
	char *flags CLEANUP(free_string) = cpu_info("flags");
	unsigned int groups = count_groups();

	f->state = STATE_OK;
	if (groups)
		found(f, "%u groups", groups);
	else if (has_word(line, "iommu=off") ||
		 has_word(line, "intel_iommu=off") ||
		 has_word(line, "amd_iommu=off"))
		missing(f, "the IOMMU is switched off on the kernel's command line",
			"remove iommu=off, intel_iommu=off or amd_iommu=off from it");
	else if (acpi_table("DMAR") && !has_word(line, "intel_iommu=on"))
		missing(f, "there is an IOMMU (Intel VT-d), but it is not in use",
			"add intel_iommu=on to the kernel's command line");
	else if (acpi_table("DMAR") || acpi_table("IVRS"))
		missing(f, "there is an IOMMU, but the kernel does not use it",
			"see in the kernel's log what DMAR or AMD-Vi says");
	else if (has_word(flags, "hypervisor"))
		missing(f, "no IOMMU, in a virtual machine",
			"give the machine one (QEMU: -device intel-iommu,intremap=on) and add intel_iommu=on to the kernel's command line");
	else
		missing(f, "no IOMMU",
			"switch on VT-d (Intel) or IOMMU (AMD) in the firmware's set-up; with Intel add intel_iommu=on to the kernel's command line");
}

/* The chips of remapped interrupts have names that begin with IR-. */
static bool remapped_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char *line = NULL;
	size_t size = 0;
	bool remapped = false;

	while (file && !remapped && getline(&line, &size, file) > 0)
		remapped = strstr(line, " IR-");
	free(line);
	if (file)
		fclose(file);
	return remapped;
}

static void check_remapping(struct finding *f)
{
	char *line CLEANUP(free_string) = command_line();
	char *flags CLEANUP(free_string) = cpu_info("flags");
	char *unsafe CLEANUP(free_string) = NULL;

	unsafe = read_line("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	f->state = STATE_OK;
	if (remapped_interrupts()) {
		found(f, "in use");
		if (unsafe && *unsafe == 'Y')
			f->change = xstrdup("vfio_iommu_type1 has allow_unsafe_interrupts=Y, which this host does not need: set it to N");
	} else if (has_word(line, "intremap=off") ||
		   has_word(line, "nointremap")) {
		missing(f, "interrupt remapping is switched off on the kernel's command line",
			"remove intremap=off or nointremap from it");
	} else if (has_word(flags, "hypervisor")) {
		missing(f, "interrupts of devices are not remapped, in a virtual machine",
			"give the machine an IOMMU that does it (QEMU: -device intel-iommu,intremap=on)");
	} else {
		missing(f, "interrupts of devices are not remapped, so a guest could forge those of the host",
			"switch on the IOMMU, interrupt remapping and x2APIC in the firmware's set-up, or update the firmware");
	}
}

static void check_vfio(struct finding *f)
{
	static const struct {
		const char *name;
		const char *file;
	} modules[] = {
		{ "vfio_pci", "vfio-pci" },
		{ "vfio_iommu_type1", "vfio_iommu_type1" },
	};
	char *unsafe CLEANUP(free_string) = NULL;
	bool loaded = true;
	size_t i;

	unsafe = read_line("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	if (unsafe && *unsafe == 'Y')
		f->change = xstrdup("vfio has enable_unsafe_noiommu_mode=Y, which mica does not use: set it to N");
	f->state = STATE_OK;
	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		if (module_loaded(modules[i].name))
			continue;
		loaded = false;
		if (module_available(modules[i].file))
			continue;
		free(f->change);
		missing(f, "this kernel has no vfio-pci",
			"boot a kernel that has the modules vfio-pci and vfio_iommu_type1, as Debian's have");
		return;
	}
	if (loaded)
		found(f, "loaded");
	else
		found(f, "there, will be loaded when it is needed");
}

static void check_mica(struct finding *f)
{
	char *lockdown CLEANUP(free_string) = NULL;
	int fd CLEANUP(close_fd) = -1;
	struct mica_info info;

	lockdown = read_line("/sys/kernel/security/lockdown");
	f->state = STATE_OK;
	fd = dev_open();
	if (fd >= 0 && !dev_info(fd, &info))
		found(f, "/dev/mica");
	else if (fd >= 0)
		missing(f, "/dev/mica does not answer as this tool expects",
			"build the tool and the module from the same sources");
	else if (errno == EACCES)
		found(f, "/dev/mica, which this user may not open");
	else if (module_loaded("mica"))
		missing(f, "the module is loaded, but there is no /dev/mica",
			"mount devtmpfs on /dev, or start udev");
	else if (lockdown && !strstr(lockdown, "[none]"))
		missing(f, "the module is not loaded",
			"sign mica.ko with a key that this kernel trusts (it is locked down), then insmod it");
	else
		missing(f, "the module is not loaded",
			"insmod mica.ko, or modprobe mica where it is installed");
}

struct tally {
	int dev;
	unsigned int functions;
	unsigned int claimable;
	unsigned int sriov;
};

static int tally_function(const struct mica_pci_addr *addr, void *data)
{
	struct tally *tally = data;
	struct function f;

	/* It may have been unplugged since it was listed. */
	if (function_get(tally->dev, addr, false, &f))
		return 0;
	if (!(f.info.state & MICA_STATE_BRIDGE)) {
		tally->functions++;
		tally->claimable += !f.info.claim_error;
		tally->sriov += f.info.sriov_total > 0;
	}
	function_free(&f);
	return 0;
}

static void check_devices(struct finding *f)
{
	int fd CLEANUP(close_fd) = -1;
	struct tally tally = {};

	fd = dev_open();
	if (fd < 0) {
		found(f, "known to root, once the module is loaded");
		return;
	}
	tally.dev = fd;
	pci_each(tally_function, &tally);
	found(f, "%u of %u functions can be claimed as they are, %u can make virtual ones",
	      tally.claimable, tally.functions, tally.sriov);
	if (tally.claimable < tally.functions)
		f->change = xstrdup("'mica device list' tells for each of the others what stands in the way");
}

static void check_union(struct finding *f)
{
	FILE *file = fopen("/proc/filesystems", "re");
	char *line = NULL;
	size_t size = 0;
	bool there = false;

	while (file && !there && getline(&line, &size, file) > 0)
		there = has_word(line, "mica");
	free(line);
	if (file)
		fclose(file);
	f->state = there ? STATE_OK : STATE_NO_UNION;
	found(f, there ? "file system type mica" : "no file system type mica");
	if (!there)
		f->change = xstrdup("insmod mica.ko; unions need nothing else");
}

static void check_memlock(struct finding *f)
{
	char *size CLEANUP(free_string) = NULL;
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit)) {
		found(f, "not known: %s", strerror(errno));
	} else if (limit.rlim_cur == RLIM_INFINITY) {
		found(f, "unlimited");
	} else {
		size = human_size(limit.rlim_cur);
		found(f, "%s; a guest's memory is locked as a whole", size);
		f->change = xstrdup("root is not bound by it; for guests of other users give 'mica guest exec --memlock' the guest's memory and a little more");
	}
}

static void check_mappings(struct finding *f)
{
	char *limit CLEANUP(free_string) = NULL;

	limit = read_line("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
	if (limit)
		found(f, "%s DMA mappings for each guest", limit);
	else
		found(f, "known once vfio_iommu_type1 is loaded");
}

static uint64_t memory_info(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char *line = NULL;
	size_t size = 0, len = strlen(name);
	uint64_t value = 0;

	while (file && getline(&line, &size, file) > 0)
		if (!strncmp(line, name, len) && line[len] == ':')
			value = strtoull(line + len + 1, NULL, 10);
	free(line);
	if (file)
		fclose(file);
	return value;
}

static void check_memory(struct finding *f)
{
	char *free CLEANUP(free_string) = NULL;
	char *huge CLEANUP(free_string) = NULL;
	uint64_t pages = memory_info("HugePages_Free");

	free = human_size(memory_info("MemAvailable") << 10);
	huge = human_size(memory_info("Hugepagesize") << 10);
	found(f, "%s available, %ju free huge pages of %s", free,
	      (uintmax_t)pages, huge);
	if (!pages)
		f->change = xstrdup("a guest on huge pages needs them set aside: sysctl vm.nr_hugepages=NUMBER, best at boot");
}

static const struct {
	const char *name;
	void (*check)(struct finding *f);
} checks[] = {
	{ "CPU", check_cpu },
	{ "KVM", check_kvm },
	{ "IOMMU", check_iommu },
	{ "interrupt remapping", check_remapping },
	{ "vfio-pci", check_vfio },
	{ "mica", check_mica },
	{ "devices", check_devices },
	{ "union", check_union },
	{ "locked memory", check_memlock },
	{ "mappings", check_mappings },
	{ "memory", check_memory },
};

enum {
	COLUMN_STATE,
	COLUMN_CHECK,
	COLUMN_FOUND,
	COLUMN_CHANGE,
	COLUMN_NR,
};

static const struct column columns[COLUMN_NR] = {
	[COLUMN_STATE] = { .name = "STATE" },
	[COLUMN_CHECK] = { .name = "CHECK" },
	[COLUMN_FOUND] = { .name = "FOUND" },
	[COLUMN_CHANGE] = { .name = "CHANGE", .flags = COLUMN_JSON },
};

static const char * const state_names[] = {
	[STATE_INFO] = "info",
	[STATE_OK] = "ok",
	[STATE_MISSING] = "missing",
	[STATE_NO_UNION] = "missing",
};

/* For people what to change gets a line of its own: it is a long one. */
static void add_finding(struct libscols_table *table, const char *name,
			const struct finding *f)
{
	struct libscols_line *line = table_line(table, NULL);

	table_set(table, line, COLUMN_STATE, state_names[f->state]);
	table_set(table, line, COLUMN_CHECK, name);
	table_set(table, line, COLUMN_FOUND, f->found);
	table_set(table, line, COLUMN_CHANGE, f->change);
	if (f->change && !scols_table_is_json(table)) {
		line = table_line(table, NULL);
		table_setf(table, line, COLUMN_FOUND, "-> %s", f->change);
	}
}

int host_check(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	unsigned int nr_missing = 0;
	struct libscols_table *table;
	bool json = false;
	size_t i;
	int ret;

	while (next_option(argc, argv, ":Jh", longs, help) != -1)
		json = true;
	no_arguments(argc, argv);

	table = table_new("checks", columns, COLUMN_NR, json);
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		struct finding f = {};

		checks[i].check(&f);
		add_finding(table, checks[i].name, &f);
		nr_missing += f.state == STATE_MISSING;
		free(f.found);
		free(f.change);
	}
	ret = table_print(table);
	if (ret)
		return ret;
	if (!json)
		puts(nr_missing ?
		     "\nThis host cannot pass devices through before that is changed." :
		     "\nThis host can pass devices through.");
	return nr_missing ? MICA_FAILED : MICA_OK;
}
