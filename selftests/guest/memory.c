// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is mapped into KVM and the IOMMU, or into neither. */
#include <linux/capability.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "assembly.h"
#include "vfio.h"
#include "../lib/harness.h"
#include "../lib/fault.h"

#define PAGE	4096ull
#define LEN	0x200000ull
#define AT	0x1000000ull

FIXTURE(memory)
{
	struct guest guest;
	char edu[BDF_LEN];
	char *memory;		/* what is behind it is not there */
	char *readonly;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
	self->guest = (struct guest){ session_open(), -1, -1, -1, {} };
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->edu));
	self->memory = mmap(NULL, LEN + PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	ASSERT_EQ(0, munmap(self->memory + LEN, PAGE));
	self->readonly = mmap(NULL, PAGE, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->readonly);
}

FIXTURE_TEARDOWN(memory)
{
	guest_end(&self->guest);
	pci_wait_driver(self->edu, "", BACK_MS);
}

/* Is there a slot at an address? If not, one of our own can be made there. */
static bool kvm_has(struct guest *guest, unsigned long long at, char *memory)
{
	struct kvm_userspace_memory_region region = {
		.slot = 3,
		.guest_phys_addr = at,
		.memory_size = PAGE,
		.userspace_addr = (unsigned long)memory,
	};

	if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region))
		return errno == EEXIST;
	region.memory_size = 0;
	ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region);
	return false;
}

static bool iommu_has(struct guest *guest, unsigned long long at, char *memory)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (unsigned long)memory,
		.iova = at,
		.size = PAGE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = at,
		.size = PAGE,
	};

	if (ioctl(guest->container, VFIO_IOMMU_MAP_DMA, &map))
		return errno == EEXIST;
	ioctl(guest->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	return false;
}

#define NEITHER	0
#define KVM	1
#define IOMMU	2
#define BOTH	3

static int has_it(struct guest *guest, unsigned long long at, char *memory)
{
	return (kvm_has(guest, at, memory) ? KVM : 0) |
	       (iommu_has(guest, at, memory) ? IOMMU : 0);
}

TEST_F(memory, both_or_neither)
{
	unsigned long locked = locked_kib();

	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
	ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
	EXPECT_EQ(BOTH, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(BOTH, has_it(&self->guest, AT + LEN - PAGE, self->memory));
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT + LEN, self->memory));
	EXPECT_EQ(locked + LEN / 1024, locked_kib());
	ASSERT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(locked, locked_kib());
	EXPECT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
}

TEST_F(memory, for_the_processor_only)
{
	ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN,
			       MICA_RANGE_KVM_ONLY));
	EXPECT_EQ(KVM, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
	/* Where functions cannot have memory, the processor can. */
	EXPECT_EQ(0, guest_map(&self->guest, 0xfee10000, self->memory, PAGE,
			       MICA_RANGE_KVM_ONLY));
}

TEST_F(memory, that_is_only_read)
{
	EXPECT_EQ(EFAULT, guest_map(&self->guest, AT, self->readonly, PAGE, 0));
	EXPECT_EQ((unsigned int)MICA_REASON_BAD_VALUE, self->guest.why.code);
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(0, guest_map(&self->guest, AT, self->readonly, PAGE,
			       MICA_RANGE_READONLY));
	EXPECT_EQ(BOTH, has_it(&self->guest, AT, self->memory));
}

#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_START	1
#define EDU_TO_MEMORY	2
#define EDU_BUFFER	0x40000

static uint64_t *edu_registers(struct guest *guest)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	unsigned short command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (ioctl(guest->device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    ioctl(guest->device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    pwrite(guest->device, &command, 2, config.offset + PCI_COMMAND) != 2)
		return MAP_FAILED;
	return mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    guest->device, bar.offset);
}

static void edu_write(uint64_t *edu, unsigned int at, uint64_t value)
{
	__atomic_store_n(edu + at / 8, value, __ATOMIC_RELEASE);
}

static void edu_copy(uint64_t *edu, uint64_t source, uint64_t target,
		     uint64_t count, uint64_t direction)
{
	edu_write(edu, EDU_SOURCE, source);
	edu_write(edu, EDU_TARGET, target);
	edu_write(edu, EDU_COUNT, count);
	edu_write(edu, EDU_COMMAND, EDU_START | direction);
	while (__atomic_load_n(edu + EDU_COMMAND / 8, __ATOMIC_SEQ_CST) &
	       EDU_START)
		sleep_us(1000);
}

/* What a function finds in a page, by way of another one. */
static uint64_t edu_reads(uint64_t *edu, uint64_t page, uint64_t by,
			  const char *memory)
{
	uint64_t found;

	edu_copy(edu, page, EDU_BUFFER, sizeof(found), 0);
	edu_copy(edu, EDU_BUFFER, by, sizeof(found), EDU_TO_MEMORY);
	memcpy(&found, memory, sizeof(found));
	return found;
}

/* Pages of nothing, and of a file that only the caller sees changes of. */
TEST_F(memory, that_its_owner_writes_to_once_it_is_mapped_to_be_read)
{
	const uint64_t news = 0x77656e7777656eull;
	uint64_t *edu = edu_registers(&self->guest);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *memory[] = {
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0),
	};
	unsigned int i;

	ASSERT_NE(MAP_FAILED, edu);
	ASSERT_EQ(0, guest_map(&self->guest, 2 * AT, self->memory, LEN, 0));
	for (i = 0; i < 2; i++) {
		ASSERT_NE(MAP_FAILED, memory[i]);
		ASSERT_EQ(0, guest_map(&self->guest, AT + i * PAGE, memory[i],
				       PAGE, MICA_RANGE_READONLY));
		memcpy(memory[i], &news, sizeof(news));
		EXPECT_EQ(news, edu_reads(edu, AT + i * PAGE, 2 * AT,
					  self->memory));
	}
	close(file);
}

TEST_F(memory, that_is_counted)
{
	struct mica_guest_stat stat, before;

	ASSERT_EQ(0, guest_stat(&self->guest, &before, NULL));
	EXPECT_EQ(0, before.mapped);
	EXPECT_EQ(0, before.nr_ranges);
	EXPECT_EQ(1, before.nr_devices);
	ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
	ASSERT_EQ(0, guest_map(&self->guest, 2 * AT, self->memory, PAGE,
			       MICA_RANGE_KVM_ONLY));
	EXPECT_EQ(EEXIST, guest_map(&self->guest, AT, self->memory, LEN, 0));
	ASSERT_EQ(0, guest_stat(&self->guest, &stat, NULL));
	EXPECT_EQ(LEN + PAGE, stat.mapped);
	EXPECT_EQ(LEN, stat.pinned);
	EXPECT_EQ(2, stat.nr_ranges);
	EXPECT_GT(before.ranges_left, stat.ranges_left);
	ASSERT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	ASSERT_EQ(0, guest_unmap(&self->guest, 2 * AT, PAGE));
	ASSERT_EQ(0, guest_stat(&self->guest, &stat, NULL));
	EXPECT_EQ(0, memcmp(&before, &stat, sizeof(stat)));
	stat.nr_devices = 1;
	stat.devices_ptr = 8;
	EXPECT_EQ(-1, ioctl(self->guest.session, MICA_GUEST_STAT, &stat));
	EXPECT_EQ(EFAULT, errno);
	stat.reserved = 1;
	EXPECT_EQ(-1, ioctl(self->guest.session, MICA_GUEST_STAT, &stat));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, registers_of_a_function)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	void *registers;

	ASSERT_EQ(0, ioctl(self->guest.device, VFIO_DEVICE_GET_REGION_INFO,
			   &bar));
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 self->guest.device, bar.offset);
	ASSERT_NE(MAP_FAILED, registers);
	EXPECT_EQ(0, guest_map(&self->guest, AT, registers, bar.size,
			       MICA_RANGE_KVM_ONLY));
	EXPECT_EQ(KVM, has_it(&self->guest, AT, self->memory));
	munmap(registers, bar.size);
}

enum where { MEMORY, READONLY, NOWHERE, PARTLY, ODD, KERNEL };

static const struct {
	const char *what;
	unsigned long long at;
	unsigned long long length;
	enum where where;
	unsigned int flags;
	int err;
	unsigned int code;
	const char *says;
} bad[] = {
	{ "odd guest address", AT + 1, PAGE, MEMORY, 0, EINVAL,
	  MICA_REASON_BAD_VALUE, "guest_addr" },
	{ "odd address", AT, PAGE, ODD, 0, EINVAL, MICA_REASON_BAD_VALUE,
	  "user_addr" },
	{ "odd length", AT, PAGE + 8, MEMORY, 0, EINVAL, MICA_REASON_BAD_VALUE,
	  "length" },
	{ "no length", AT, 0, MEMORY, 0, EINVAL, MICA_REASON_BAD_VALUE,
	  "length" },
	{ "goes round", -PAGE, 2 * PAGE, MEMORY, 0, EINVAL,
	  MICA_REASON_BAD_VALUE, "last guest address" },
	{ "all there is", 0, -PAGE, MEMORY, 0, EFAULT, MICA_REASON_BAD_VALUE,
	  "memory of a process" },
	{ "memory of the kernel", AT, PAGE, KERNEL, 0, EFAULT,
	  MICA_REASON_BAD_VALUE, "memory of a process" },
	{ "no memory", AT, PAGE, NOWHERE, 0, EFAULT, MICA_REASON_BAD_VALUE,
	  "no memory" },
	{ "not enough memory", AT, 2 * PAGE, PARTLY, 0, EFAULT,
	  MICA_REASON_BAD_VALUE, "no memory" },
	{ "unknown flag", AT, PAGE, MEMORY, 8, EOPNOTSUPP,
	  MICA_REASON_BAD_VALUE, "flags" },
	{ "all flags", AT, PAGE, MEMORY, ~0u, EOPNOTSUPP, MICA_REASON_BAD_VALUE,
	  "flags" },
	{ "small pages", AT, PAGE, MEMORY, MICA_RANGE_HUGE, EINVAL,
	  MICA_REASON_LIMIT, "MAP_HUGETLB" },
	{ "interrupts", 0xfee00000, PAGE, MEMORY, 0, EINVAL, MICA_REASON_RANGE,
	  "interrupt" },
	{ "runs into the interrupts", 0xfedff000, 2 * PAGE, MEMORY, 0, EINVAL,
	  MICA_REASON_RANGE, "interrupt" },
	{ "ends with the interrupts", 0xfeeff000, 2 * PAGE, MEMORY, 0, EINVAL,
	  MICA_REASON_RANGE, "interrupt" },
	{ "too far", 1ull << 50, PAGE, MEMORY, 0, EINVAL, MICA_REASON_RANGE,
	  "reach" },
	{ "the last page", -PAGE, PAGE, MEMORY, 0, EINVAL, MICA_REASON_RANGE,
	  "reach" },
	{ "the same", 2 * AT, LEN / 2, MEMORY, 0, EEXIST, MICA_REASON_RANGE,
	  "0x2000000 to 0x20fffff" },
	{ "the first page again", 2 * AT, PAGE, MEMORY, 0, EEXIST,
	  MICA_REASON_RANGE, "mapped already" },
	{ "the last page again", 2 * AT + LEN / 2 - PAGE, PAGE, MEMORY, 0,
	  EEXIST, MICA_REASON_RANGE, "mapped already" },
	{ "around it", 2 * AT - PAGE, LEN, MEMORY, MICA_RANGE_KVM_ONLY, EEXIST,
	  MICA_REASON_RANGE, "mapped already" },
};

TEST_F(memory, bad_input)
{
	const char *const user[] = {
		[MEMORY] = self->memory,
		[READONLY] = self->readonly,
		[NOWHERE] = self->memory + LEN,
		[PARTLY] = self->memory + LEN - PAGE,
		[ODD] = self->memory + 16,
		[KERNEL] = (char *)0xffff888000000000ul,
	};
	unsigned long locked;
	int i, fds = fds_open(), had;

	ASSERT_EQ(0, guest_map(&self->guest, 2 * AT, self->memory, LEN / 2, 0));
	locked = locked_kib();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned long long at = bad[i].at & -PAGE;

		TH_LOG("%s", bad[i].what);
		had = has_it(&self->guest, at, self->memory);
		EXPECT_EQ(bad[i].err, guest_map(&self->guest, bad[i].at,
						user[bad[i].where],
						bad[i].length, bad[i].flags));
		EXPECT_EQ(bad[i].code, self->guest.why.code);
		EXPECT_NE(NULL, strstr((char *)self->guest.why.text,
				       bad[i].says));
		EXPECT_EQ(had, has_it(&self->guest, at, self->memory));
		EXPECT_EQ(locked, locked_kib());
		EXPECT_EQ(fds, fds_open());
	}
}

TEST_F(memory, unmapped_as_it_was_mapped)
{
	static const struct {
		unsigned long long at;
		unsigned long long length;
	} wrong[] = {
		{ AT + PAGE, PAGE }, { AT, PAGE }, { AT, 2 * LEN },
		{ AT + PAGE, LEN - PAGE }, { AT, 0 }, { AT + 1, LEN },
		{ AT - PAGE, LEN }, { 0, -1 }, { -1, -1 }, { 0, 0 },
	};
	int i;

	ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(ENOENT, guest_unmap(&self->guest, wrong[i].at,
					      wrong[i].length));
		EXPECT_EQ((unsigned int)MICA_REASON_RANGE, self->guest.why.code);
	}
	EXPECT_EQ(BOTH, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	EXPECT_EQ(ENOENT, guest_unmap(&self->guest, AT, LEN));
}

TEST_F(memory, slot_of_the_monitor_is_in_the_way)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = AT + LEN - PAGE,
		.memory_size = LEN,
		.userspace_addr = (unsigned long)self->memory,
	};

	ASSERT_EQ(0, ioctl(self->guest.vm, KVM_SET_USER_MEMORY_REGION, &region));
	EXPECT_EQ(EEXIST, guest_map(&self->guest, AT, self->memory, LEN, 0));
	EXPECT_EQ((unsigned int)MICA_REASON_RANGE, self->guest.why.code);
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
}

/* KVM has taken it by then, and gives it back. */
TEST_F(memory, mapping_of_the_monitor_is_in_the_way)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (unsigned long)self->memory,
		.iova = AT + PAGE,
		.size = PAGE,
	};

	ASSERT_EQ(0, ioctl(self->guest.container, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(EEXIST, guest_map(&self->guest, AT, self->memory, LEN, 0));
	EXPECT_EQ((unsigned int)MICA_REASON_RANGE, self->guest.why.code);
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
}

TEST_F(memory, in_huge_pages)
{
	const unsigned long huge = 0x200000;
	char *memory;

	ASSERT_EQ(0, write_text("/proc/sys/vm/nr_hugepages", "2"));
	memory = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	*memory = 1;
	EXPECT_EQ(EINVAL, guest_map(&self->guest, AT + PAGE, memory, huge,
				    MICA_RANGE_HUGE));
	EXPECT_EQ((unsigned int)MICA_REASON_BAD_VALUE, self->guest.why.code);
	EXPECT_NE(NULL, strstr((char *)self->guest.why.text, "2048 KiB"));
	EXPECT_EQ(EINVAL, guest_map(&self->guest, AT, memory, PAGE,
				    MICA_RANGE_HUGE));
	/* They end, and small ones or nothing follow. */
	EXPECT_EQ(EINVAL, guest_map(&self->guest, AT, memory + huge, 2 * huge,
				    MICA_RANGE_HUGE));
	EXPECT_EQ((unsigned int)MICA_REASON_LIMIT, self->guest.why.code);
	ASSERT_EQ(0, guest_map(&self->guest, AT, memory, 2 * huge,
			       MICA_RANGE_HUGE)) {
		TH_LOG("%s", self->guest.why.text);
	}
	EXPECT_EQ(BOTH, has_it(&self->guest, AT, memory));
	EXPECT_EQ(0, guest_unmap(&self->guest, AT, 2 * huge));
	munmap(memory, 2 * huge);
	EXPECT_EQ(0, write_text("/proc/sys/vm/nr_hugepages", "0"));
}

/* What the monitor has unmapped by itself can be unmapped all the same. */
TEST_F(memory, mapping_that_the_monitor_has_taken_away)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = AT,
		.size = LEN,
	};

	ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
	ASSERT_EQ(0, ioctl(self->guest.container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(0, guest_unmap(&self->guest, AT, LEN)) {
		TH_LOG("%s", self->guest.why.text);
	}
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
}

static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		return -errno;
	caps[0].effective &= ~(1u << CAP_IPC_LOCK);
	return syscall(SYS_capset, &head, caps) ? -errno : 0;
}

TEST_F(memory, limit_of_locked_memory)
{
	struct rlimit limit = { 64 * 1024, 64 * 1024 };

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, drop_ipc_lock());
	EXPECT_EQ(0, guest_map(&self->guest, AT, self->memory, 64 * 1024, 0));
	EXPECT_EQ(ENOMEM, guest_map(&self->guest, 2 * AT, self->memory, LEN, 0));
	EXPECT_EQ((unsigned int)MICA_REASON_LIMIT, self->guest.why.code);
	EXPECT_NE(NULL, strstr((char *)self->guest.why.text, "2112 KiB"));
	EXPECT_EQ(NEITHER, has_it(&self->guest, 2 * AT, self->memory));
	EXPECT_EQ(0, guest_map(&self->guest, 2 * AT, self->memory, LEN,
			       MICA_RANGE_KVM_ONLY));
}

#define ENTRY_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

TEST_F(memory, limit_of_mappings)
{
	char old[16];
	int i;

	guest_end(&self->guest);
	ASSERT_EQ(0, read_text(ENTRY_LIMIT, old, sizeof(old)));
	ASSERT_EQ(0, write_text(ENTRY_LIMIT, "3"));
	self->guest.session = session_open();
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->edu));
	ASSERT_EQ(0, write_text(ENTRY_LIMIT, old));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, guest_map(&self->guest, AT + i * LEN,
				       self->memory, LEN, 0));
	EXPECT_EQ(ENOSPC, guest_map(&self->guest, 9 * AT, self->memory, LEN, 0));
	EXPECT_EQ((unsigned int)MICA_REASON_LIMIT, self->guest.why.code);
	EXPECT_NE(NULL, strstr((char *)self->guest.why.text, "3 mappings"));
	EXPECT_FALSE(kvm_has(&self->guest, 9 * AT, self->memory));
	EXPECT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	EXPECT_EQ(0, guest_map(&self->guest, 9 * AT, self->memory, LEN, 0));
}

TEST_F(memory, no_room_for_arguments)
{
	struct rlimit old, limit;
	int err;

	ASSERT_EQ(0, guest_map(&self->guest, 2 * AT, self->memory, LEN, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit = old;
	limit.rlim_cur = PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	err = guest_map(&self->guest, AT, self->memory, LEN, 0);
	EXPECT_EQ(ENOMEM, guest_unmap(&self->guest, 2 * AT, LEN));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &old));
	EXPECT_EQ(ENOMEM, err);
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
	EXPECT_EQ(BOTH, has_it(&self->guest, 2 * AT, self->memory));
}

/* Each allocation in turn; what fails has changed nothing. */
static int change(struct _test_data_memory *self, bool map)
{
	return map ? guest_map(&self->guest, AT, self->memory, LEN, 0) :
	       guest_unmap(&self->guest, AT, LEN);
}

TEST_F_TIMEOUT(memory, each_allocation_fails, 600)
{
	int n, err, failures, way;
	bool came;

	if (!faults_can_be("failslab fail_page_alloc"))
		SKIP(return, "the kernel cannot inject faults");
	for (way = 0; way < 2; way++) {
		failures = 0;
		came = true;
		for (n = 1; came; n++) {
			ASSERT_EQ(0, fault_at(n));
			err = change(self, !way);
			came = fault_came();
			ASSERT_EQ(0, fault_at(0));
			ASSERT_EQ(!way == !err ? BOTH : NEITHER,
				  has_it(&self->guest, AT, self->memory));
			if (err) {
				ASSERT_TRUE(came);
				failures++;
			} else if (came) {
				/* The kernel did without that memory. */
				ASSERT_EQ(0, change(self, way));
			}
		}
		TH_LOG("%s: %d of %d made it fail", way ? "unmap" : "map",
		       failures, n - 2);
		EXPECT_LT(3, failures);
	}
}

/* What somebody does to the area for arguments as long as a call has one. */
struct meddler {
	pthread_t thread;
	int (*with)(void *area);
	int done;
	bool stop;
};

static void *meddle(void *arg)
{
	struct meddler *m = arg;
	char line[256];
	void *from;
	FILE *maps;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
		maps = fopen("/proc/self/maps", "re");
		while (maps && fgets(line, sizeof(line), maps))
			if (strstr(line, "mica-args") &&
			    sscanf(line, "%p-", &from) == 1 &&
			    !m->with(from))
				__atomic_add_fetch(&m->done, 1, __ATOMIC_RELAXED);
		if (maps)
			fclose(maps);
	}
	return NULL;
}

static int meddler_start(struct meddler *m)
{
	return pthread_create(&m->thread, NULL, meddle, m);
}

/* How often it could. */
static int meddler_did(struct meddler *m)
{
	return __atomic_load_n(&m->done, __ATOMIC_RELAXED);
}

static int meddler_end(struct meddler *m)
{
	__atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
	pthread_join(m->thread, NULL);
	return meddler_did(m);
}

static int protect(void *area)
{
	return mprotect(area, PAGE, PROT_NONE);
}

static int empty(void *area)
{
	return madvise(area, PAGE, MADV_DONTNEED);
}

/* In vain, but for a moment it is elsewhere. */
static int move(void *area)
{
	static char spare[PAGE] __attribute__((aligned(PAGE)));

	return mremap(area, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, spare) ==
	       MAP_FAILED ? -1 : 0;
}

/* By a system call, as a write of our own would be a fault. */
static int write_to(void *area)
{
	return getrandom(area, 32, GRND_NONBLOCK) == 32 ? 0 : -1;
}

static int give_to_children(void *area)
{
	return madvise(area, PAGE, MADV_DOFORK);
}

static int try_it(void *area)
{
	return madvise(area, PAGE, MADV_DOFORK) && errno == EINVAL ? 0 : -1;
}

/* A mapping of a child would hide that the caller's is gone. */
TEST_F(memory, arguments_are_not_given_to_children)
{
	struct meddler gives = { .with = give_to_children };
	struct meddler tries = { .with = try_it };
	int i;

	ASSERT_EQ(0, meddler_start(&gives));
	ASSERT_EQ(0, meddler_start(&tries));
	for (i = 0; i < 300 || (i < 30000 && !meddler_did(&tries)); i++) {
		ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
		ASSERT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	}
	EXPECT_LT(0, meddler_end(&tries));
	EXPECT_EQ(0, meddler_end(&gives));
}

TEST_F(memory, arguments_cannot_be_protected)
{
	struct meddler m = { .with = protect };
	int i;

	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
		ASSERT_EQ(0, guest_unmap(&self->guest, AT, LEN));
	}
	EXPECT_EQ(0, meddler_end(&m));
}

/* For the processor only: nothing is answered. */
TEST_F(memory, arguments_cannot_be_written_to)
{
	struct meddler m = { .with = write_to };
	int i, err, wrong = 0;

	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < 300 && !wrong; i++) {
		wrong = guest_map(&self->guest, AT, self->memory, LEN,
				  MICA_RANGE_KVM_ONLY);
		err = guest_unmap(&self->guest, AT, LEN);
		wrong |= err || kvm_has(&self->guest, AT, self->memory);
	}
	TH_LOG("written to %d times, wrong %d, in round %d", meddler_end(&m),
	       wrong, i);
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, m.done);
}

/* Of each call, one area is torn, at some time. */
static pthread_mutex_t tearing = PTHREAD_MUTEX_INITIALIZER;
static bool to_tear;

static int tear_one(void *area)
{
	int ret = -1;

	pthread_mutex_lock(&tearing);
	if (to_tear)
		ret = munmap(area, PAGE);
	to_tear = false;
	pthread_mutex_unlock(&tearing);
	return ret;
}

static void tear_in_next(bool tear)
{
	pthread_mutex_lock(&tearing);
	to_tear = tear;
	pthread_mutex_unlock(&tearing);
}

static int tear_all(void *area)
{
	return munmap(area, PAGE);
}

static unsigned long long pinned(struct guest *guest)
{
	struct mica_guest_stat stat;

	return guest_stat(guest, &stat, NULL) ? ~0ull : stat.pinned;
}

TEST_F(memory, mapped_or_not_though_arguments_are_torn)
{
	struct meddler m = { .with = tear_one };
	int i, err, failed[2] = {}, wrong = 0;

	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < (failed[0] ? 500 : 20000) && !wrong; i++) {
		tear_in_next(true);
		err = guest_map(&self->guest, AT, self->memory, LEN, 0);
		tear_in_next(false);
		wrong = (err ? NEITHER : BOTH) ^
			has_it(&self->guest, AT, self->memory);
		wrong |= pinned(&self->guest) != (err ? 0 : LEN);
		failed[0] += !!err;
		if (err || wrong)
			continue;
		tear_in_next(true);
		err = guest_unmap(&self->guest, AT, LEN);
		tear_in_next(false);
		wrong = (err ? BOTH : NEITHER) ^
			has_it(&self->guest, AT, self->memory);
		failed[1] += !!err;
		if (err)
			wrong |= guest_unmap(&self->guest, AT, LEN);
	}
	TH_LOG("%d torn, map failed %d times, unmap %d, wrong %d, in round %d",
	       meddler_end(&m), failed[0], failed[1], wrong, i);
	EXPECT_EQ(0, wrong);
	EXPECT_LT(0, failed[0]);
	EXPECT_LT(0, m.done);
}

/* Whatever is left then is known, and can be unmapped once they leave it. */
TEST_F(memory, nothing_is_lost_though_all_arguments_are_torn)
{
	static int (*const ways[])(void *area) = { tear_all, empty, move };
	unsigned long locked = locked_kib();
	int i, way, left, wrong = 0;
	struct meddler m;

	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		left = 0;
		for (i = 0; i < (left ? 60 : 600) && !wrong; i++) {
			m = (struct meddler){ .with = ways[way] };
			ASSERT_EQ(0, meddler_start(&m));
			if (!guest_map(&self->guest, AT, self->memory, LEN, 0))
				guest_unmap(&self->guest, AT, LEN);
			meddler_end(&m);
			left += !!pinned(&self->guest);
			if (guest_unmap(&self->guest, AT, LEN) == ENOENT)
				wrong |= has_it(&self->guest, AT, self->memory);
			wrong |= locked_kib() != locked;
		}
		TH_LOG("left %d times, wrong %d, in round %d", left, wrong, i);
		EXPECT_LT(0, left);
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, guest_map(&self->guest, AT, self->memory, LEN, 0));
	EXPECT_EQ(BOTH, has_it(&self->guest, AT, self->memory));
}

/* Who duplicates a descriptor that is lent for a moment. */
struct thief {
	pthread_t thread;
	int lent;
	int fd;
	bool stop;
};

static void *steal(void *arg)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct thief *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		t->fd = fcntl(t->lent, F_DUPFD_CLOEXEC, 100);
		if (t->fd >= 0 && !ioctl(t->fd, VFIO_GROUP_GET_STATUS, &status))
			break;
		if (t->fd >= 0)
			close(t->fd);
		t->fd = -1;
	}
	return NULL;
}

/* A process whose guest is for the next one, with some of its descriptors. */
struct last {
	struct guest guest;
	char *bdf;
	int group;
};

static int last_begin(void *data, int ready)
{
	struct last *last = data;

	return guest_create(&last->guest, last->bdf);
}

/* One that has also come to a descriptor of its group, lent for a reset of the bus. */
static int last_steals(void *data, int ready)
{
	struct last *last = data;
	struct thief t = {};

	if (guest_create(&last->guest, last->bdf))
		return -1;
	t.lent = dup(0);
	close(t.lent);
	if (pthread_create(&t.thread, NULL, steal, &t))
		return -1;
	guest_reset(&last->guest, last->bdf);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(t.thread, NULL);
	last->group = t.fd;
	return 0;
}

static struct last *last_new(const struct guest *guest, char *bdf)
{
	struct last *last = mmap(NULL, sizeof(*last), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	last->guest = *guest;
	last->bdf = bdf;
	return last;
}

/* Ends it, for one of its descriptors. */
static int last_leaves(pid_t child, int which)
{
	int pid = syscall(SYS_pidfd_open, child, 0);
	int fd = syscall(SYS_pidfd_getfd, pid, which, 0);

	close(pid);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return fd;
}

/* Into another container than the session's. */
static int group_move(int group)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	if (ioctl(group, VFIO_GROUP_UNSET_CONTAINER) ||
	    ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	return close(group);
}

/* Another group, so that the session's container has an IOMMU again. */
static int group_add(int container, const char *bdf)
{
	char path[64];
	int group;

	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(bdf));
	group = open(path, O_RDWR | O_CLOEXEC);
	return ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	       ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ?
	       -errno : group;
}

/* What functions do not reach may be mapped all the same. */
TEST_F(memory, nothing_is_lost_though_the_group_has_another_container)
{
	int i, group, other = session_open(), met = 0, wrong = 0;
	struct meddler m = { .with = tear_one };
	unsigned long locked = locked_kib();
	char pair[2][BDF_LEN];
	struct last *last;
	pid_t child;

	guest_end(&self->guest);
	ASSERT_EQ(0, session_claim(other, self->edu, 0, &self->guest.why));
	ASSERT_EQ(2, pci_find(pci_is_edu_paired, pair, 2));
	self->guest.session = session_open();
	ASSERT_EQ(0, session_claim_many(self->guest.session, pair, 2, 0, NULL,
					&self->guest.why));
	ASSERT_EQ(0, session_seal(self->guest.session));
	last = last_new(&self->guest, pair[0]);
	child = process_start(last_steals, last);
	ASSERT_LT(0, child);
	group = last_leaves(child, last->group);
	ASSERT_LE(0, group);
	/* Its functions are closed then. */
	EXPECT_EQ(EBUSY, guest_create(&self->guest, pair[0]));
	ASSERT_EQ(0, group_move(group));
	ASSERT_EQ(0, guest_create(&self->guest, pair[0])) {
		TH_LOG("%s", self->guest.why.text);
	}
	group = group_add(self->guest.container, self->edu);
	ASSERT_LE(0, group);
	EXPECT_EQ(EFAULT, guest_map(&self->guest, AT, self->memory, LEN, 0));

	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < (met ? 100 : 20000) && !wrong; i++) {
		tear_in_next(true);
		wrong = !guest_map(&self->guest, AT, self->memory, LEN, 0);
		tear_in_next(false);
		met += !!pinned(&self->guest);
		guest_unmap(&self->guest, AT, LEN);
		wrong |= locked_kib() != locked;
	}
	TH_LOG("%d torn, left %d times, wrong %d, in round %d", meddler_end(&m),
	       met, wrong, i);
	EXPECT_EQ(0, wrong);
	EXPECT_LT(0, met);
	guest_end(&self->guest);
	close(group);
	close(other);
	munmap(last, sizeof(*last));
}

/* What a process that is no more had in the container is not for the next guest. */
TEST_F(memory, nothing_of_the_last_guest_though_arguments_are_torn)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (unsigned long)self->memory,
		.iova = AT,
		.size = PAGE,
	};
	struct meddler m = { .with = tear_one };
	int i, err = -1, container;
	struct last *last;
	pid_t child;

	guest_end(&self->guest);
	self->guest.session = session_open();
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, session_seal(self->guest.session));
	last = last_new(&self->guest, self->edu);
	child = process_start(last_begin, last);
	ASSERT_LT(0, child);
	container = last_leaves(child, last->guest.container);
	ASSERT_EQ(0, ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	close(container);

	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < 100 && err; i++) {
		tear_in_next(!i);
		err = guest_create(&self->guest, self->edu);
	}
	EXPECT_LT(0, meddler_end(&m));
	EXPECT_EQ(0, err);
	EXPECT_FALSE(iommu_has(&self->guest, AT, self->memory));
	munmap(last, sizeof(*last));
}

/* Does KVM wait for it? If not, it can be told to. */
static bool kvm_waits_for(struct guest *guest, int event)
{
	struct kvm_irqfd irqfd = { .fd = event, .gsi = 5 };

	if (ioctl(guest->vm, KVM_IRQFD, &irqfd))
		return errno == EBUSY;
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	ioctl(guest->vm, KVM_IRQFD, &irqfd);
	return false;
}

TEST_F(memory, no_interrupt_is_left_though_arguments_are_torn)
{
	struct meddler m = { .with = tear_one };
	struct mica_guest_vector on = {
		.addr = pci_addr(self->edu),
		.type = MICA_IRQ_MSI,
		.fd = eventfd(0, EFD_CLOEXEC),
		.address = 0xfee00000,
		.data = 0x41,
	};
	struct mica_guest_vector off = {
		.flags = MICA_VECTOR_OFF,
		.addr = on.addr,
		.type = MICA_IRQ_MSI,
		.vector = MICA_VECTOR_ALL,
	};
	int i, err, failed[2] = {}, wrong = 0;

	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < (failed[0] ? 2000 : 20000) && !wrong; i++) {
		tear_in_next(true);
		err = guest_irq(&self->guest, &on);
		tear_in_next(false);
		wrong = !err ^ kvm_waits_for(&self->guest, on.fd);
		failed[0] += !!err;
		tear_in_next(true);
		err = guest_irq(&self->guest, &off);
		tear_in_next(false);
		failed[1] += !!err;
		if (err)
			err = guest_irq(&self->guest, &off);
		wrong |= err || kvm_waits_for(&self->guest, on.fd);
	}
	TH_LOG("%d torn, on failed %d times, off %d, in round %d",
	       meddler_end(&m), failed[0], failed[1], i);
	EXPECT_EQ(0, wrong);
	EXPECT_LT(0, failed[0]);
	close(on.fd);
}

/* How many messages a function has on the host. */
static int messages(const char *bdf)
{
	char path[128];
	DIR *dir;
	int n = -2;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/msi_irqs", bdf);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* If VFIO may have switched them off, not only the first is switched on again. */
TEST_F(memory, as_many_interrupts_though_switching_off_was_torn)
{
	struct guest guest = { session_open(), -1, -1, -1, {} };
	struct meddler m = { .with = tear_one };
	char bdf[1][BDF_LEN];
	struct mica_guest_vector on = {
		.type = MICA_IRQ_MSIX,
		.vectors = 3,
		.fd = eventfd(0, EFD_CLOEXEC),
		.address = 0xfee00000,
		.data = 0x41,
	};
	struct mica_guest_vector off = {
		.flags = MICA_VECTOR_OFF,
		.type = MICA_IRQ_MSIX,
		.vector = MICA_VECTOR_ALL,
	};
	int i, err, off_all = 0, half = 0, wrong = 0;

	ASSERT_EQ(1, pci_find(pci_is_e1000e, bdf, 1));
	on.addr = pci_addr(bdf[0]);
	off.addr = on.addr;
	ASSERT_EQ(0, session_claim(guest.session, bdf[0], 0, &guest.why));
	ASSERT_EQ(0, guest_create(&guest, bdf[0]));
	ASSERT_EQ(0, meddler_start(&m));
	for (i = 0; i < (off_all < 5 ? 5000 : 300) && !wrong; i++) {
		ASSERT_EQ(0, guest_irq(&guest, &on));
		ASSERT_EQ(3, messages(bdf[0]));
		/* Then there is nothing to do but to switch all off. */
		off.vector = 0;
		if (i % 2)
			ASSERT_EQ(0, guest_irq(&guest, &off));
		off.vector = MICA_VECTOR_ALL;
		tear_in_next(true);
		err = guest_irq(&guest, &off);
		tear_in_next(false);
		if (err) {
			err = guest_irq(&guest, &on);
			off_all += !err;
			half += err == EBUSY;
			wrong = err ? err != EBUSY :
				messages(bdf[0]) != 3 ||
				!kvm_waits_for(&guest, on.fd);
		}
		wrong |= guest_irq(&guest, &off) || messages(bdf[0]);
	}
	TH_LOG("%d torn, off failed %d times, half %d, wrong %d, in round %d",
	       meddler_end(&m), off_all, half, wrong, i);
	EXPECT_EQ(0, wrong);
	EXPECT_LT(0, off_all);
	close(on.fd);
	guest_end(&guest);
	pci_wait_driver(bdf[0], "e1000e", BACK_MS);
}

/* Ranges in any order: 7 and 1000 have no common factor. */
TEST_F(memory, many_ranges)
{
	unsigned long locked = locked_kib();
	int i;

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, guest_map(&self->guest,
				       AT + i * 7 % 1000 * 2 * PAGE,
				       self->memory, PAGE, 0));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(EEXIST, guest_map(&self->guest, AT + i * 2 * PAGE,
					    self->memory, PAGE, 0));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, guest_unmap(&self->guest,
					 AT + i * 13 % 1000 * 2 * PAGE, PAGE));
	EXPECT_EQ(locked, locked_kib());
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT + 2 * PAGE, self->memory));
}

TEST_F(memory, of_a_process_that_did_not_make_the_guest)
{
	int status;

	ASSERT_EQ(0, session_seal(self->guest.session));
	if (!fork())
		_exit(guest_map(&self->guest, AT, self->memory, LEN, 0));
	wait(&status);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EIO, WEXITSTATUS(status));
	EXPECT_EQ(NEITHER, has_it(&self->guest, AT, self->memory));
}

TEST_F(memory, of_a_guest_that_is_not_there)
{
	struct guest none = { session_open(), -1, -1, -1, {} };

	EXPECT_EQ(ENOENT, guest_map(&none, AT, self->memory, LEN, 0));
	EXPECT_EQ((unsigned int)MICA_REASON_GUEST, none.why.code);
	EXPECT_EQ(ENOENT, guest_unmap(&none, AT, LEN));
	EXPECT_EQ((unsigned int)MICA_REASON_GUEST, none.why.code);
	guest_end(&none);
}

TEST_F(memory, of_a_guest_without_functions)
{
	struct guest none = { session_open(), -1, -1, -1, {} };
	unsigned long locked = locked_kib();

	ASSERT_EQ(0, guest_create(&none, NULL));
	EXPECT_EQ(0, guest_map(&none, 0xfee00000, self->memory, LEN, 0));
	EXPECT_EQ(locked, locked_kib());
	EXPECT_TRUE(kvm_has(&none, 0xfee00000, self->memory));
	EXPECT_EQ(0, guest_unmap(&none, 0xfee00000, LEN));
	EXPECT_FALSE(kvm_has(&none, 0xfee00000, self->memory));
	guest_end(&none);
}

TEST_HARNESS_MAIN
