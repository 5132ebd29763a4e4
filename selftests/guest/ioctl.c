// SPDX-License-Identifier: GPL-2.0-only
/* Every command with bad sizes, flags, padding and pointers. */
#include <stddef.h>
#include <sys/mman.h>
#include "session.h"
#include "../lib/harness.h"

#define PAGE	4096

FIXTURE(ioctl)
{
	int fd;
	char *page;		/* the page behind it cannot be touched */
	char *readonly;
};

/*
 * A command whose structure, all zeroes but for the size and @good, fails or
 * succeeds with @err.
 */
FIXTURE_VARIANT(ioctl)
{
	unsigned long cmd;
	unsigned int size;
	unsigned int tail;
	unsigned int flags;	/* that it knows */
	int err;
	bool gives;
};

FIXTURE_VARIANT_ADD(ioctl, info)
{
	.cmd = MICA_INFO,
	.size = sizeof(struct mica_info),
	.tail = offsetof(struct mica_info, reason_ptr),
	.gives = true,
};

/* The function 0000:00:00.0 is there always. */
FIXTURE_VARIANT_ADD(ioctl, device_info)
{
	.cmd = MICA_DEVICE_INFO,
	.size = sizeof(struct mica_device_info),
	.tail = offsetof(struct mica_device_info, reason_ptr),
	.flags = 1,
	.gives = true,
};

FIXTURE_VARIANT_ADD(ioctl, claim)
{
	.cmd = MICA_CLAIM,
	.size = sizeof(struct mica_claim),
	.tail = offsetof(struct mica_claim, reason_ptr),
	.flags = 7,
	.err = EINVAL,
	.gives = true,
};

FIXTURE_VARIANT_ADD(ioctl, wait)
{
	.cmd = MICA_WAIT,
	.size = sizeof(struct mica_wait),
	.tail = offsetof(struct mica_wait, reason_ptr),
	.flags = 1,
	.err = ECHILD,
	.gives = true,
};

FIXTURE_VARIANT_ADD(ioctl, guest_note)
{
	.cmd = MICA_GUEST_NOTE,
	.size = sizeof(struct mica_guest_note),
	.tail = offsetof(struct mica_guest_note, reason_ptr),
	.err = EINVAL,
};

FIXTURE_VARIANT_ADD(ioctl, seal)
{
	.cmd = MICA_SEAL,
	.size = sizeof(struct mica_seal),
	.tail = offsetof(struct mica_seal, reason_ptr),
};

/* No session has the number zero. */
FIXTURE_VARIANT_ADD(ioctl, guest_end)
{
	.cmd = MICA_GUEST_END,
	.size = sizeof(struct mica_guest_end),
	.tail = offsetof(struct mica_guest_end, reason_ptr),
	.err = ENOENT,
};

FIXTURE_VARIANT_ADD(ioctl, guest_vfs)
{
	.cmd = MICA_GUEST_VFS,
	.size = sizeof(struct mica_guest_vfs),
	.tail = offsetof(struct mica_guest_vfs, reason_ptr),
	.err = EINVAL,
};

/* A session without functions: this makes a guest, and another one is refused. */
FIXTURE_VARIANT_ADD(ioctl, guest_create)
{
	.cmd = MICA_GUEST_CREATE,
	.size = sizeof(struct mica_guest_create),
	.tail = offsetof(struct mica_guest_create, reason_ptr),
	.flags = MICA_GUEST_CONTAINER | MICA_GUEST_PREPARE,
	.gives = true,
};

/* Without a guest. */
FIXTURE_VARIANT_ADD(ioctl, guest_map)
{
	.cmd = MICA_GUEST_MAP,
	.size = sizeof(struct mica_guest_map),
	.tail = offsetof(struct mica_guest_map, reason_ptr),
	.err = ENOENT,
};

FIXTURE_VARIANT_ADD(ioctl, guest_unmap)
{
	.cmd = MICA_GUEST_UNMAP,
	.size = sizeof(struct mica_guest_unmap),
	.tail = offsetof(struct mica_guest_unmap, reason_ptr),
	.err = ENOENT,
};

FIXTURE_VARIANT_ADD(ioctl, guest_irq)
{
	.cmd = MICA_GUEST_IRQ,
	.size = sizeof(struct mica_guest_irq),
	.tail = offsetof(struct mica_guest_irq, reason_ptr),
	.err = ENOENT,
};

FIXTURE_VARIANT_ADD(ioctl, guest_reset)
{
	.cmd = MICA_GUEST_RESET,
	.size = sizeof(struct mica_guest_reset),
	.tail = offsetof(struct mica_guest_reset, reason_ptr),
	.err = ENOENT,
};

FIXTURE_VARIANT_ADD(ioctl, guest_stat)
{
	.cmd = MICA_GUEST_STAT,
	.size = sizeof(struct mica_guest_stat),
	.tail = offsetof(struct mica_guest_stat, reason_ptr),
	.err = ENOENT,
	.gives = true,
};

FIXTURE_VARIANT_ADD(ioctl, guest_setup)
{
	.cmd = MICA_GUEST_SETUP,
	.size = sizeof(struct mica_guest_setup),
	.tail = offsetof(struct mica_guest_setup, reason_ptr),
	.flags = MICA_GUEST_CONTAINER,
	.gives = true,
};

/* Standard input is no directory. */
FIXTURE_VARIANT_ADD(ioctl, union_own)
{
	.cmd = MICA_UNION_OWN,
	.size = sizeof(struct mica_union_own),
	.tail = offsetof(struct mica_union_own, reason_ptr),
	.flags = MICA_OWN_CHANGE | MICA_OWN_TELL,
	.err = ENOTDIR,
	.gives = true,
};

FIXTURE_SETUP(ioctl)
{
	ASSERT_EQ(0, module_load());
	self->fd = session_open();
	ASSERT_LE(0, self->fd);
	self->page = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, mprotect(self->page + 2 * PAGE, PAGE, PROT_NONE));
	self->readonly = mmap(NULL, PAGE, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->readonly);
}

FIXTURE_TEARDOWN(ioctl)
{
	close(self->fd);
}

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? errno : 0;
}

static void put32(char *at, unsigned int value)
{
	memcpy(at, &value, sizeof(value));
}

static void put64(char *at, unsigned long long value)
{
	memcpy(at, &value, sizeof(value));
}

TEST_F(ioctl, as_it_should_be)
{
	put32(self->page, variant->size);
	EXPECT_EQ(variant->err, call(self->fd, variant->cmd, self->page));
}

TEST_F(ioctl, too_short)
{
	unsigned int size;

	for (size = 0; size < variant->tail + 16; size++) {
		put32(self->page, size);
		EXPECT_EQ(EINVAL, call(self->fd, variant->cmd, self->page));
	}
}

TEST_F(ioctl, longer_with_zeroes)
{
	put32(self->page, PAGE);
	EXPECT_EQ(variant->err, call(self->fd, variant->cmd, self->page));
}

TEST_F(ioctl, longer_with_more)
{
	unsigned int size;

	for (size = variant->size + 1; size < variant->size + 40; size++) {
		memset(self->page, 0, PAGE);
		put32(self->page, size);
		self->page[size - 1] = 1;
		EXPECT_EQ(E2BIG, call(self->fd, variant->cmd, self->page));
	}
	memset(self->page, 0, PAGE);
	put32(self->page, PAGE + 1);
	EXPECT_EQ(E2BIG, call(self->fd, variant->cmd, self->page));
	put32(self->page, ~0u);
	EXPECT_EQ(E2BIG, call(self->fd, variant->cmd, self->page));
}

TEST_F(ioctl, unknown_flags)
{
	struct mica_reason why = {};
	unsigned int bit;

	put32(self->page, variant->size);
	put64(self->page + variant->tail, (unsigned long)&why);
	put32(self->page + variant->tail + 8, sizeof(why));
	for (bit = 0; bit < 32; bit++) {
		if (variant->flags & 1u << bit)
			continue;
		put32(self->page + 4, 1u << bit);
		EXPECT_EQ(EOPNOTSUPP, call(self->fd, variant->cmd, self->page));
		EXPECT_EQ((unsigned int)MICA_REASON_BAD_VALUE, why.code);
		EXPECT_STRNE("", (char *)why.text);
	}
}

TEST_F(ioctl, padding)
{
	put32(self->page, variant->size);
	put32(self->page + variant->tail + 12, 1);
	EXPECT_EQ(EINVAL, call(self->fd, variant->cmd, self->page));
}

TEST_F(ioctl, bad_pointers)
{
	char *end = self->page + 2 * PAGE;

	EXPECT_EQ(EFAULT, call(self->fd, variant->cmd, NULL));
	EXPECT_EQ(EFAULT, call(self->fd, variant->cmd, (void *)-PAGE));
	EXPECT_EQ(EFAULT, call(self->fd, variant->cmd, end));
	EXPECT_EQ(EFAULT, call(self->fd, variant->cmd, end - 2));
	put32(end - variant->size + 1, variant->size);
	EXPECT_EQ(EFAULT, call(self->fd, variant->cmd,
			       end - variant->size + 1));
	put32(end - 8, variant->size);
	EXPECT_EQ(EFAULT, call(self->fd, variant->cmd, end - 8));
}

TEST_F(ioctl, up_to_the_end_of_a_page)
{
	char *arg = self->page + 2 * PAGE - variant->size;

	put32(arg, variant->size);
	EXPECT_EQ(variant->err, call(self->fd, variant->cmd, arg));
}

TEST_F(ioctl, cannot_be_written)
{
	put32(self->page, variant->size);
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));
	EXPECT_EQ(variant->gives ? EFAULT : variant->err,
		  call(self->fd, variant->cmd, self->page));
}

TEST_F(ioctl, reason_that_cannot_be_written)
{
	put32(self->page, variant->size);
	put32(self->page + 4, 1u << 31);
	put64(self->page + variant->tail, (unsigned long)self->readonly);
	put32(self->page + variant->tail + 8, PAGE);
	EXPECT_EQ(EOPNOTSUPP, call(self->fd, variant->cmd, self->page));
	put64(self->page + variant->tail, ~0ull);
	put32(self->page + variant->tail + 8, ~0u);
	EXPECT_EQ(EOPNOTSUPP, call(self->fd, variant->cmd, self->page));
}

TEST_F(ioctl, reason_of_any_length)
{
	char why[sizeof(struct mica_reason) + 8];
	unsigned int len;

	put32(self->page, variant->size);
	put32(self->page + 4, 1u << 31);
	put64(self->page + variant->tail, (unsigned long)why);
	for (len = 0; len <= sizeof(why); len++) {
		unsigned int n = len < sizeof(struct mica_reason) ? len :
				 sizeof(struct mica_reason);

		memset(why, 0x7f, sizeof(why));
		put32(self->page + variant->tail + 8, len);
		ASSERT_EQ(EOPNOTSUPP, call(self->fd, variant->cmd, self->page));
		if (n < sizeof(why))
			ASSERT_EQ(0x7f, why[n]);
		if (n)
			ASSERT_NE(0x7f, why[n - 1]);
	}
}

FIXTURE(call)
{
	int fd;
};

FIXTURE_SETUP(call)
{
	ASSERT_EQ(0, module_load());
	self->fd = session_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(call)
{
	close(self->fd);
}

TEST_F(call, unknown_commands)
{
	char page[PAGE] = {};
	unsigned int nr;

	put32(page, 64);
	for (nr = 0x10; nr < 256; nr++)
		EXPECT_EQ(ENOTTY, call(self->fd, _IO(MICA_IOC_TYPE, nr), page));
	for (nr = 0; nr < 256; nr++)
		EXPECT_EQ(ENOTTY, call(self->fd, _IO(MICA_IOC_TYPE + 1, nr),
				       page));
	EXPECT_EQ(ENOTTY, call(self->fd, _IOWR(MICA_IOC_TYPE, 0, int), page));
	EXPECT_EQ(ENOTTY, call(self->fd, 0, page));
	EXPECT_EQ(ENOTTY, call(self->fd, ~0u, page));
}

TEST_F(call, info_tells_what_is_here)
{
	struct mica_info info = { .size = sizeof(info), .session = ~0u };

	ASSERT_EQ(0, call(self->fd, MICA_INFO, &info));
	EXPECT_TRUE(info.caps & MICA_CAP_UNION);
	EXPECT_TRUE(info.caps & MICA_CAP_EVENTS);
	EXPECT_TRUE(info.caps & MICA_CAP_SEAL);
	EXPECT_TRUE(info.caps & MICA_CAP_END);
	EXPECT_EQ(!access("/sys/kernel/iommu_groups/0", F_OK),
		  !!(info.caps & MICA_CAP_IOMMU));
	EXPECT_EQ(!!(info.caps & MICA_CAP_CLAIM), !!(info.caps & MICA_CAP_VFS));
	EXPECT_EQ(!access("/dev/kvm", F_OK), !!(info.caps & MICA_CAP_KVM));
	EXPECT_EQ(!access("/sys/kernel/tracing/events/ras/aer_event", F_OK),
		  !!(info.caps & MICA_CAP_PCIE_ERRORS));
	EXPECT_NE(0, info.session);
	EXPECT_NE(~0u, info.session);
	info.reserved = 1;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_INFO, &info));
}

TEST_F(call, addresses_that_cannot_be)
{
	struct mica_device_info info = { .size = sizeof(info) };
	unsigned int domain, bus, devfn;

	info.addr.reserved = 1;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_DEVICE_INFO, &info));
	info.addr.reserved = 0;
	info.addr.domain = ~0u;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_DEVICE_INFO, &info));
	for (domain = 0; domain < 2; domain++)
		for (bus = 0xe0; bus < 256; bus++)
			for (devfn = 0; devfn < 256; devfn++) {
				info.addr = (struct mica_pci_addr){
					domain, bus, devfn, 0,
				};
				ASSERT_EQ(ENOENT, call(self->fd,
						       MICA_DEVICE_INFO,
						       &info));
			}
}

TEST_F(call, claims_of_any_number)
{
	struct mica_pci_addr addr[MICA_CLAIM_MAX + 1] = {};
	struct mica_claim claim = {
		.size = sizeof(claim),
		.devices_ptr = (unsigned long)addr,
	};
	unsigned int i;

	EXPECT_EQ(EINVAL, call(self->fd, MICA_CLAIM, &claim));
	claim.nr_devices = MICA_CLAIM_MAX + 1;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_CLAIM, &claim));
	claim.nr_devices = ~0u;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_CLAIM, &claim));
	claim.nr_devices = MICA_CLAIM_MAX;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_CLAIM, &claim));
	for (i = 0; i < MICA_CLAIM_MAX; i++)
		addr[i].bus = 0xee;
	EXPECT_EQ(ENOENT, call(self->fd, MICA_CLAIM, &claim));
	addr[0].reserved = 1;
	EXPECT_EQ(EINVAL, call(self->fd, MICA_CLAIM, &claim));
	claim.devices_ptr = 0;
	EXPECT_EQ(EFAULT, call(self->fd, MICA_CLAIM, &claim));
	claim.devices_ptr = ~0ull - 3;
	EXPECT_EQ(EFAULT, call(self->fd, MICA_CLAIM, &claim));
}

static bool any_function(const char *bdf)
{
	return true;
}

/* What the kernel shows in sysfs is the measure. */
TEST_F(call, device_info_agrees_with_sysfs)
{
	struct mica_member members[16];
	struct mica_device_info info;
	char bdf[64][BDF_LEN], path[PATH_MAX];
	int n = pci_find(any_function, bdf, 64), i;

	ASSERT_LE(8, n);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, session_info(self->fd, bdf[i], 0, &info, members,
					  16));
		EXPECT_EQ(pci_number(bdf[i], "vendor"), info.vendor);
		EXPECT_EQ(pci_number(bdf[i], "device"), info.device);
		EXPECT_EQ(pci_number(bdf[i], "subsystem_vendor"),
			  info.subsystem_vendor);
		EXPECT_EQ(pci_number(bdf[i], "class"), info.class_code);
		EXPECT_EQ(pci_number(bdf[i], "revision"), info.revision);
		EXPECT_EQ((int)pci_number(bdf[i], "numa_node"), info.numa_node);
		EXPECT_STREQ(pci_driver(bdf[i]), (char *)info.driver);
		EXPECT_STREQ(pci_override(bdf[i]),
			     (char *)info.driver_override);
		EXPECT_EQ(pci_group(bdf[i]), info.iommu_group);
		EXPECT_EQ(pci_group_size(bdf[i]) - 1, info.nr_members);
		EXPECT_EQ(pci_number(bdf[i], "sriov_totalvfs"),
			  info.sriov_total);
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/reset", bdf[i]);
		EXPECT_EQ(!access(path, F_OK),
			  !!(info.reset_methods & ~(1u << MICA_RESET_SHARED_BUS)));
	}
}

static bool has_members(const char *bdf)
{
	return pci_is_edu_paired(bdf);
}

TEST_F(call, members_and_regions_that_fit)
{
	struct mica_member members[3];
	struct mica_region regions[8];
	struct mica_device_info info;
	char bdf[BDF_LEN];
	unsigned int i;
	bool msi = false;

	ASSERT_LE(1, pci_find(has_members, &bdf, 1));
	memset(members, 0x55, sizeof(members));
	ASSERT_EQ(0, session_info(self->fd, bdf, 0, &info, members, 1));
	EXPECT_EQ(2, info.nr_members);
	EXPECT_EQ(0x55, members[1].name[0]);
	ASSERT_EQ(0, session_info(self->fd, bdf, 0, &info, NULL, 7));
	EXPECT_EQ(2, info.nr_members);
	EXPECT_EQ(EFAULT, session_info(self->fd, bdf, 0, &info, (void *)8, 1));

	info.members_ptr = 0;
	info.regions_ptr = (unsigned long)regions;
	info.nr_regions = 8;
	ASSERT_EQ(0, call(self->fd, MICA_DEVICE_INFO, &info));
	ASSERT_LE(info.nr_regions, 8);
	for (i = 0; i < info.nr_regions; i++)
		msi |= regions[i].type == MICA_REGION_MSI &&
		       regions[i].start == 0xfee00000;
	EXPECT_TRUE(msi);
}

TEST_F(call, a_claim_of_the_group_is_judged)
{
	struct mica_device_info info;
	char bdf[2][BDF_LEN];

	ASSERT_EQ(2, pci_find(has_members, bdf, 2));
	ASSERT_EQ(0, session_info(self->fd, bdf[0], 0, &info, NULL, 0));
	EXPECT_EQ(EBUSY, info.claim_error);
	EXPECT_EQ((unsigned int)MICA_REASON_GROUP, info.claim.code);
	EXPECT_STREQ(bdf[1], (char *)info.claim.subject);
	ASSERT_EQ(0, session_info(self->fd, bdf[0], MICA_DEVICE_INFO_GROUP,
				  &info, NULL, 0));
	EXPECT_EQ(0, info.claim_error);
}

TEST_HARNESS_MAIN
