// SPDX-License-Identifier: GPL-2.0-only
/* Guests that are made, and guests that are not; what is left of each. */
#include <pthread.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "assembly.h"
#include "vfio.h"
#include "../lib/harness.h"
#include "../lib/fault.h"

FIXTURE(create)
{
	struct guest guest;
	struct mica_guest_device device;
	struct mica_guest_create call;
	char edu[BDF_LEN];
	char pair[2][BDF_LEN];
};

FIXTURE_SETUP(create)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
	ASSERT_EQ(2, pci_find(pci_is_edu_paired, self->pair, 2));
	self->guest = (struct guest){ session_open(), -1, -1, -1, {} };
	ASSERT_LE(0, self->guest.session);
	self->device = (struct mica_guest_device){ .addr = pci_addr(self->edu) };
	self->call = (struct mica_guest_create){
		.size = sizeof(self->call),
		.devices_ptr = (unsigned long)&self->device,
		.nr_devices = 1,
		.reason_ptr = (unsigned long)&self->guest.why,
		.reason_len = sizeof(self->guest.why),
	};
}

FIXTURE_TEARDOWN(create)
{
	guest_end(&self->guest);
	pci_wait_driver(self->edu, "", BACK_MS);
	pci_wait_driver(self->pair[0], "", BACK_MS);
	pci_wait_driver(self->pair[1], "", BACK_MS);
}

static bool works(struct guest *guest, const char *bdf)
{
	unsigned int id = 0;
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	return !ioctl(guest->device, VFIO_DEVICE_GET_REGION_INFO, &config) &&
	       pread(guest->device, &id, 4, config.offset) == 4 &&
	       id == pci_id(bdf) &&
	       !ioctl(guest->container, VFIO_IOMMU_GET_INFO, &info);
}

static int close_on_exec(int fd)
{
	return fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

TEST_F(create, without_functions)
{
	int vcpu;

	ASSERT_EQ(0, guest_create(&self->guest, NULL));
	EXPECT_TRUE(close_on_exec(self->guest.vm));
	EXPECT_EQ(-1, self->guest.container);
	EXPECT_LT(0, ioctl(self->guest.vm, KVM_CHECK_EXTENSION,
			   KVM_CAP_NR_MEMSLOTS));
	/* The interrupt controllers are there already. */
	EXPECT_EQ(-1, ioctl(self->guest.vm, KVM_CREATE_IRQCHIP, 0));
	EXPECT_EQ(EEXIST, errno);
	vcpu = ioctl(self->guest.vm, KVM_CREATE_VCPU, 0);
	EXPECT_LE(0, vcpu);
	close(vcpu);
}

TEST_F(create, with_a_function)
{
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->edu));
	EXPECT_TRUE(close_on_exec(self->guest.vm));
	EXPECT_TRUE(close_on_exec(self->guest.container));
	EXPECT_TRUE(close_on_exec(self->guest.device));
	EXPECT_TRUE(works(&self->guest, self->edu));
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_F(create, with_functions_of_one_group_and_another)
{
	char three[3][BDF_LEN];
	int session = self->guest.session;

	memcpy(three[0], self->pair[0], BDF_LEN);
	memcpy(three[1], self->edu, BDF_LEN);
	memcpy(three[2], self->pair[1], BDF_LEN);
	ASSERT_EQ(0, session_claim_many(session, three, 3, 0, NULL,
					&self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->pair[1]));
	EXPECT_TRUE(works(&self->guest, self->pair[1]));
}

TEST_F(create, session_ends_before_its_descriptors)
{
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->edu));
	close(self->guest.session);
	self->guest.session = -1;
	/* Longer than monitors are given to die before vfio-pci is unbound. */
	sleep_us(6000000);
	EXPECT_TRUE(works(&self->guest, self->edu));
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_F(create, vm_that_is_kept_keeps_no_function)
{
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	self->call.nr_devices = 0;
	ASSERT_EQ(0, ioctl(self->guest.session, MICA_GUEST_CREATE, &self->call));
	self->guest.vm = self->call.vm_fd;
	close(self->guest.session);
	self->guest.session = -1;
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

static int make_with_all(void *edu, int ready)
{
	struct guest guest = { session_open(), -1, -1, -1, {} };

	return session_claim(guest.session, edu, 0, &guest.why) ?:
	       guest_create(&guest, edu);
}

TEST_F(create, killed_with_all_of_it)
{
	pid_t child = process_start(make_with_all, self->edu);

	EXPECT_LT(0, child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_F(create, one_guest_in_a_session)
{
	struct guest second = self->guest;

	ASSERT_EQ(0, guest_create(&self->guest, NULL));
	EXPECT_EQ(EBUSY, guest_create(&second, NULL));
	EXPECT_EQ((unsigned int)MICA_REASON_GUEST, second.why.code);
}

TEST_F(create, group_that_somebody_has_open)
{
	int fds = fds_open();
	struct vfio_use use;

	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, vfio_use_group(&use, self->edu));
	EXPECT_EQ(EBUSY, guest_create(&self->guest, self->edu));
	EXPECT_EQ((unsigned int)MICA_REASON_USER, self->guest.why.code);
	vfio_use_end(&use);
	EXPECT_EQ(fds, fds_open());
	EXPECT_EQ(0, guest_create(&self->guest, self->edu));
}

/*
 * Each descriptor that is used on the way is refused in turn, until there are as
 * many as it takes. What was there before is there after, and no more.
 */
TEST_F(create, as_many_descriptors_as_it_takes)
{
	struct rlimit old, limit;
	int fds, err, failed = 0;

	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	fds = fds_open();
	limit = old;
	for (limit.rlim_cur = 3; limit.rlim_cur < 64; limit.rlim_cur++) {
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
		err = guest_create(&self->guest, self->edu);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
		if (!err)
			break;
		failed++;
		ASSERT_EQ(EMFILE, err);
		ASSERT_EQ((unsigned int)MICA_REASON_LIMIT, self->guest.why.code);
		ASSERT_NE(NULL, strstr((char *)self->guest.why.text, "ulimit"));
		ASSERT_EQ(fds, fds_open());
	}
	EXPECT_EQ(0, err);
	EXPECT_LE(3, failed);
	EXPECT_TRUE(works(&self->guest, self->edu));
}

/* The area of arguments is memory, too. */
TEST_F(create, no_room_in_the_address_space)
{
	struct rlimit old, limit;
	int fds = fds_open(), err;

	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit = old;
	limit.rlim_cur = 4096;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	err = guest_create(&self->guest, self->edu);
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &old));
	EXPECT_EQ(ENOMEM, err);
	EXPECT_EQ(fds, fds_open());
	EXPECT_EQ(0, guest_create(&self->guest, self->edu));
}

/*
 * KVM_CREATE_DEVICE that cannot write its answer leaves a descriptor of which nobody
 * is told the number.
 */
static void close_what_kvm_left(void)
{
	char path[32], target[64];
	ssize_t len;
	int fd;

	for (fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = 0;
		if (strcmp(target, "anon_inode:kvm-vfio"))
			continue;
		printf("# KVM has left descriptor %d\n", fd);
		close(fd);
	}
}

/*
 * There is no guest, or the kernel did without that memory, as for the hundreds
 * of files that KVM makes in debugfs. Of many of those in a row only some are tried.
 * The function is enabled all the time: the kernel's interpreter of ACPI, which has
 * to look for its interrupt otherwise, uses what it has freed when memory fails.
 */
TEST_F_TIMEOUT(create, each_allocation_fails, 600)
{
	int n, fds, err, failures = 0, step = 1;
	bool came = true;

	if (!faults_can_be("failslab fail_page_alloc"))
		SKIP(return, "the kernel cannot inject faults");
	ASSERT_EQ(0, pci_write(self->edu, "enable", "1"));
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	fds = fds_open();
	for (n = 1; came; n += step) {
		ASSERT_EQ(0, fault_at(n));
		err = guest_create(&self->guest, self->edu);
		came = fault_came();
		ASSERT_EQ(0, fault_at(0));
		if (err) {
			ASSERT_TRUE(came);
			if (err == EFAULT)
				close_what_kvm_left();
			ASSERT_EQ(fds, fds_open()) {
				TH_LOG("%d: %s", n, self->guest.why.text);
			}
			failures++;
			step = 1;
			continue;
		}
		if (!came)
			break;
		if (step < 20)
			step++;
		guest_end(&self->guest);
		self->guest.session = session_open();
		ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
					   &self->guest.why));
	}
	TH_LOG("%d allocations, %d made it fail", n - 1, failures);
	EXPECT_LT(20, failures);
	EXPECT_TRUE(works(&self->guest, self->edu));
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
	EXPECT_EQ(0, pci_write(self->edu, "enable", "0"));
}

TEST_F(create, unbound_by_an_administrator)
{
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	self->call.nr_devices = 0;
	ASSERT_EQ(0, ioctl(self->guest.session, MICA_GUEST_CREATE, &self->call));
	close(self->call.vm_fd);
	/* Waits for all users of the function, of which the session is one. */
	EXPECT_EQ(0, write_text("/sys/bus/pci/drivers/vfio-pci/unbind",
				self->edu));
	EXPECT_STREQ("", pci_driver(self->edu));
	EXPECT_EQ(ENODEV, guest_create(&self->guest, NULL));
	EXPECT_EQ((unsigned int)MICA_REASON_VFIO, self->guest.why.code);
}

TEST_F(create, unplugged)
{
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	self->call.nr_devices = 0;
	ASSERT_EQ(0, ioctl(self->guest.session, MICA_GUEST_CREATE, &self->call));
	EXPECT_EQ(0, pci_write(self->edu, "remove", "1"));
	EXPECT_EQ(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(pci_is_edu(self->edu));
	close(self->call.vm_fd);
}

TEST_F(create, function_that_nothing_can_reset)
{
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->edu));
	EXPECT_EQ(EOPNOTSUPP, guest_reset(&self->guest, self->edu));
	EXPECT_EQ((unsigned int)MICA_REASON_RESET, self->guest.why.code);
	EXPECT_EQ(ENOENT, guest_reset(&self->guest, self->pair[0]));
	EXPECT_EQ((unsigned int)MICA_REASON_NO_DEVICE, self->guest.why.code);
	EXPECT_EQ(ENOENT, guest_reset(&self->guest, "0000:e7:1d.5"));
	EXPECT_TRUE(works(&self->guest, self->edu));
}

TEST_F(create, functions_that_are_reset_with_their_bus)
{
	char all[5][BDF_LEN];

	/* More groups than there are functions on that bus. */
	memcpy(all, self->pair, 2 * BDF_LEN);
	ASSERT_EQ(3, pci_find(pci_is_edu_alone, all + 2, 3));
	ASSERT_EQ(0, session_claim_many(self->guest.session, all, 5, 0, NULL,
					&self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->pair[0]));
	EXPECT_EQ(0, guest_reset(&self->guest, self->pair[0]));
	EXPECT_EQ(0, guest_reset(&self->guest, self->pair[1]));
	EXPECT_TRUE(works(&self->guest, self->pair[0]));
}

/* Prepares what root may open, and seals. */
static int hand_over(struct guest *guest)
{
	struct mica_guest_create prepare = {
		.size = sizeof(prepare),
		.flags = MICA_GUEST_PREPARE,
		.reason_ptr = (unsigned long)&guest->why,
		.reason_len = sizeof(guest->why),
	};

	if (ioctl(guest->session, MICA_GUEST_CREATE, &prepare))
		return errno;
	return prepare.vm_fd == -1 && prepare.container_fd == -1 ?
	       session_seal(guest->session) : -1;
}

static bool may_open_group(const char *bdf)
{
	struct vfio_use use;
	int err = vfio_use_group(&use, bdf);

	vfio_use_end(&use);
	return !err;
}

/* A process of an ordinary user, who may open /dev/kvm and no device. */
static int guest_of_nobody(struct _test_data_create *self)
{
	struct mica_reason why;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (may_open_group(self->edu))
		return 2;
	if (session_claim(self->guest.session, self->pair[0], 0, &why) != EPERM)
		return 3;
	/* Nothing is lost by a call that fails. */
	self->call.nr_devices = 1;
	self->device.addr = pci_addr(self->pair[0]);
	if (!ioctl(self->guest.session, MICA_GUEST_CREATE, &self->call) ||
	    errno != ENOENT)
		return 4;
	if (guest_create(&self->guest, self->edu))
		return 5;
	return works(&self->guest, self->edu) ? 0 : 6;
}

TEST_F(create, user_who_is_handed_a_session)
{
	struct stat kvm;
	int status;

	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, hand_over(&self->guest)) {
		TH_LOG("%s", self->guest.why.text);
	}
	EXPECT_EQ(EBUSY, hand_over(&self->guest));
	ASSERT_EQ(0, stat("/dev/kvm", &kvm));
	ASSERT_EQ(0, chmod("/dev/kvm", 0666));
	if (!fork())
		_exit(guest_of_nobody(self));
	wait(&status);
	EXPECT_EQ(0, chmod("/dev/kvm", kvm.st_mode & 07777));
	EXPECT_EQ(0, status);
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_F(create, session_that_is_prepared_and_never_used)
{
	EXPECT_EQ(ENODEV, hand_over(&self->guest));
	EXPECT_EQ((unsigned int)MICA_REASON_NO_DEVICE, self->guest.why.code);
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, hand_over(&self->guest));
	EXPECT_EQ(ENOENT, guest_map(&self->guest, 0x100000, self, 4096, 0));
	EXPECT_FALSE(may_open_group(self->edu));
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

/* Memory that was mapped before the step that fails is mapped no more. */
TEST_F(create, prepared_guest_whose_set_up_fails)
{
	void *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mica_guest_range range[2] = {
		{ 0x100000, (unsigned long)memory, 4096, 0, 0 },
		{ 0x100000, (unsigned long)memory, 4096, 0, 0 },
	};
	struct mica_guest_setup setup = {
		.size = sizeof(setup),
		.devices_ptr = (unsigned long)&self->device,
		.nr_devices = 1,
		.ranges_ptr = (unsigned long)range,
		.nr_ranges = 2,
		.reason_ptr = (unsigned long)&self->guest.why,
		.reason_len = sizeof(self->guest.why),
	};
	unsigned long locked = locked_kib();
	int fds = fds_open();

	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, hand_over(&self->guest));
	ASSERT_EQ(-1, ioctl(self->guest.session, MICA_GUEST_SETUP, &setup));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ((unsigned int)MICA_REASON_RANGE, self->guest.why.code);
	EXPECT_EQ(fds, fds_open());
	EXPECT_EQ(locked, locked_kib());
	range[1].guest_addr += 4096;
	ASSERT_EQ(0, ioctl(self->guest.session, MICA_GUEST_SETUP, &setup)) {
		TH_LOG("%s", self->guest.why.text);
	}
	EXPECT_EQ(locked + 8, locked_kib());
	EXPECT_LT(0, ioctl(setup.vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY));
	EXPECT_EQ(-1, setup.container_fd);
	close(setup.vm_fd);
	close(self->device.fd);
}

TEST_F(create, function_that_is_reset_alone)
{
	char nvme[1][BDF_LEN];

	ASSERT_EQ(1, pci_find(pci_is_plain_nvme, nvme, 1));
	ASSERT_TRUE(pci_wait_driver(nvme[0], "nvme", BACK_MS));
	ASSERT_EQ(0, session_claim(self->guest.session, nvme[0],
				   MICA_CLAIM_FORCE, &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, nvme[0]));
	EXPECT_EQ(0, guest_reset(&self->guest, nvme[0]));
	EXPECT_TRUE(works(&self->guest, nvme[0]));
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(nvme[0], "nvme", BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(nvme[0], BACK_MS));
}

/* The function is locked for a tenth of a second each time. */
static int reset_again_and_again(void *bdf, int ready)
{
	if (pci_write(bdf, "reset", "1") || write(ready, "x", 1) != 1)
		return -1;
	while (1) {
		pci_write(bdf, "reset", "1");
		sleep_us(50000);
	}
}

TEST_F(create, function_that_somebody_has_locked_now_and_then)
{
	char nvme[1][BDF_LEN];
	pid_t resets;
	int i;

	ASSERT_EQ(1, pci_find(pci_is_plain_nvme, nvme, 1));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(pci_wait_driver(nvme[0], "nvme", BACK_MS));
		/* Else its driver complains that it is taken away so early. */
		ASSERT_TRUE(pci_nvme_reads(nvme[0], BACK_MS));
		ASSERT_EQ(0, session_claim(self->guest.session, nvme[0],
					   MICA_CLAIM_FORCE, &self->guest.why));
		resets = process_start(reset_again_and_again, nvme[0]);
		ASSERT_LT(0, resets);
		EXPECT_EQ(0, guest_create(&self->guest, nvme[0]));
		kill(resets, SIGKILL);
		waitpid(resets, NULL, 0);
		guest_end(&self->guest);
		self->guest.session = session_open();
	}
	EXPECT_TRUE(pci_wait_driver(nvme[0], "nvme", BACK_MS));
}

static const struct {
	const char *what;
	int err;
	unsigned int code;
	const char *bdf;		/* in place of the function's */
	unsigned int reserved;
	unsigned int device_reserved;
	unsigned int addr_reserved;
	unsigned int nr_devices;
	unsigned long devices;
	unsigned int flags;
} bad[] = {
	{ "reserved", EINVAL, MICA_REASON_BAD_VALUE, .reserved = 1 },
	{ "reserved of a device", EINVAL, MICA_REASON_BAD_VALUE,
	  .device_reserved = 1 },
	{ "no address", EINVAL, MICA_REASON_BAD_VALUE, .addr_reserved = 1 },
	{ "no such function", ENOENT, MICA_REASON_NO_DEVICE, .bdf = "0000:e7:1d.5" },
	{ "a function of somebody else", ENOENT, MICA_REASON_NO_DEVICE,
	  .bdf = "0000:00:00.0" },
	{ "too many", EINVAL, MICA_REASON_BAD_VALUE,
	  .nr_devices = MICA_CLAIM_MAX + 1 },
	{ "far too many", EINVAL, MICA_REASON_BAD_VALUE, .nr_devices = ~0u },
	{ "nothing there", EFAULT, .devices = 8 },
	{ "nothing can be there", EFAULT, .devices = ~0ul - 7 },
	{ "unknown flag", EOPNOTSUPP, MICA_REASON_BAD_VALUE, .flags = 4 },
	{ "descriptors of what is only prepared", EINVAL, MICA_REASON_BAD_VALUE,
	  .flags = MICA_GUEST_PREPARE },
};

TEST_F(create, bad_input)
{
	int i, fds;

	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	fds = fds_open();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mica_guest_create call = self->call;

		memset(&self->guest.why, 0, sizeof(self->guest.why));
		self->device.addr = pci_addr(bad[i].bdf ?: self->edu);
		self->device.addr.reserved = bad[i].addr_reserved;
		self->device.reserved = bad[i].device_reserved;
		call.reserved = bad[i].reserved;
		call.flags = bad[i].flags;
		if (bad[i].nr_devices)
			call.nr_devices = bad[i].nr_devices;
		if (bad[i].devices)
			call.devices_ptr = bad[i].devices;
		TH_LOG("%s", bad[i].what);
		EXPECT_EQ(-1, ioctl(self->guest.session, MICA_GUEST_CREATE,
				    &call));
		EXPECT_EQ(bad[i].err, errno);
		EXPECT_EQ(bad[i].code, self->guest.why.code);
		EXPECT_EQ(!bad[i].code, !*self->guest.why.text);
		EXPECT_EQ(fds, fds_open());
	}
	EXPECT_EQ(0, guest_create(&self->guest, self->edu));
}

TEST_F(create, container_of_no_function)
{
	self->call.nr_devices = 0;
	self->call.flags = MICA_GUEST_CONTAINER;
	EXPECT_EQ(-1, ioctl(self->guest.session, MICA_GUEST_CREATE, &self->call));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ((unsigned int)MICA_REASON_NO_DEVICE, self->guest.why.code);
}

/* Unmaps what the calls of the other threads map, and closes what they open. */
struct meddler {
	bool stop;
	int other[3];		/* descriptors of another guest */
};

/* Where our threads can write, KVM and VFIO may find anything. */
static void meddle_with(unsigned long at, unsigned long len, bool writable,
			unsigned int how)
{
	static const int bad[] = { -5000, INT_MIN, -1, 1, 12345 };
	struct iovec from, to = { (void *)at, 64 };
	int words[16];
	int i;

	if (writable && how % 2) {
		for (i = 0; i < 16; i++)
			words[i] = bad[how / 2 % ARRAY_SIZE(bad)];
		from = (struct iovec){ words, sizeof(words) };
		process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	} else if (how % 3) {
		mremap((void *)at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (void *)0x700000000000ul);
	} else {
		munmap((void *)at, len);
	}
}

/* Descriptors from 40 on are those that are used for a call. */
static void *meddle(void *arg)
{
	struct meddler *meddler = arg;
	char line[256], name[64], access[8];
	unsigned long from, to;
	unsigned int how = 0;
	int fd = 40;
	FILE *maps;

	while (!__atomic_load_n(&meddler->stop, __ATOMIC_RELAXED)) {
		maps = fopen("/proc/self/maps", "re");
		while (maps && fgets(line, sizeof(line), maps)) {
			if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %63s", &from,
				   &to, access, name) == 4 &&
			    strstr(name, "mica-args"))
				meddle_with(from, to - from, access[1] == 'w',
					    how++);
		}
		if (maps)
			fclose(maps);
		dup2(meddler->other[how % 3], fd);
		close(fd);
		fd = fd < 50 ? fd + 1 : 40;
	}
	return NULL;
}

static int nr_areas(void)
{
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "re");
	int n = 0;

	while (maps && fgets(line, sizeof(line), maps))
		n += !!strstr(line, "mica-args");
	if (maps)
		fclose(maps);
	return n;
}

/* To their own guest's harm at most. */
TEST_F(create, threads_that_meddle)
{
	int i, made = 0, failed = 0, hold[48], n = 0;
	struct guest other = { session_open(), -1, -1, -1, {} };
	struct meddler meddler = {};
	char edu[2][BDF_LEN];
	pthread_t thread;

	ASSERT_EQ(2, pci_find(pci_is_edu_alone, edu, 2));
	ASSERT_EQ(0, session_claim(other.session, edu[1], 0, &other.why));
	ASSERT_EQ(0, guest_create(&other, edu[1]));
	memcpy(meddler.other, (int []){ other.vm, other.device, other.container },
	       sizeof(meddler.other));
	ASSERT_EQ(0, session_claim(self->guest.session, edu[0], 0,
				   &self->guest.why));
	/* New descriptors are going to be those that are closed. */
	while (n < 48 && (hold[n] = dup(0)) < 39)
		n++;
	ASSERT_EQ(0, pthread_create(&thread, NULL, meddle, &meddler));
	for (i = 0; i < 300 && (made < 5 || !failed); i++) {
		if (guest_create(&self->guest, edu[0])) {
			failed++;
			continue;
		}
		made++;
		guest_end(&self->guest);
		self->guest.session = session_open();
		session_claim(self->guest.session, edu[0], 0, &self->guest.why);
	}
	__atomic_store_n(&meddler.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("%d made, %d failed", made, failed);
	EXPECT_LT(0, failed);
	EXPECT_EQ(0, nr_areas());
	while (n--)
		close(hold[n]);
	close_range(40, 50, 0);
	guest_end(&other);
	guest_end(&self->guest);
	EXPECT_TRUE(pci_wait_driver(edu[0], "", BACK_MS));
	EXPECT_TRUE(pci_wait_driver(edu[1], "", BACK_MS));
}

/* Made and ended at the same time: there is a guest, or the call says why not. */
TEST_F(create, session_that_somebody_ends_meanwhile)
{
	int i, err, made = 0, ended = 0;
	pid_t child;

	for (i = 0; i < 40 || (i < 400 && !ended); i++) {
		unsigned int id = session_id(self->guest.session);

		ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
					   &self->guest.why));
		child = fork();
		if (!child) {
			int mine = session_open();

			sleep_us(i % 40 * 500);
			_exit(session_end(mine, id, &self->guest.why));
		}
		err = guest_create(&self->guest, self->edu);
		if (err) {
			EXPECT_EQ(ENODEV, err) {
				TH_LOG("%s", self->guest.why.text);
			}
			EXPECT_EQ((unsigned int)MICA_REASON_ENDING,
				  self->guest.why.code);
		}
		made += !err;
		ended += !!err;
		waitpid(child, NULL, 0);
		guest_end(&self->guest);
		self->guest.session = session_open();
	}
	TH_LOG("%d made, %d ended before", made, ended);
	EXPECT_LT(0, ended);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

/* A guest whose process is no more makes room for another one. */
TEST_F(create, next_guest_of_a_session_that_was_handed_over)
{
	struct guest *guest = &self->guest;
	int status, i;

	ASSERT_EQ(0, session_claim(guest->session, self->edu, 0, &guest->why));
	ASSERT_EQ(0, session_seal(guest->session));
	for (i = 0; i < 3; i++) {
		if (!fork()) {
			void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (guest_create(guest, self->edu))
				_exit(1);
			if (guest_map(guest, 0x100000, memory, 4096, 0))
				_exit(2);
			_exit(works(guest, self->edu) ? 0 : 3);
		}
		wait(&status);
		EXPECT_EQ(0, status);
	}
}

#define MAKER_MEMORY	0x40000000ull

static char maker_memory[4096] __attribute__((aligned(4096)));

/* What came of a guest of another process; shared with that. */
struct maker {
	struct guest guest;
	const char *edu;
	unsigned int type;
	unsigned int command;
	int create;
	int irq;
	int map;
};

static int maker_config(struct maker *maker, unsigned long long *offset)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	int err = ioctl(maker->guest.device, VFIO_DEVICE_GET_REGION_INFO, &config);

	*offset = config.offset + PCI_COMMAND;
	return err;
}

/* Looks what the function's command register was, and has it begin to work. */
static int maker_make(void *data, int ready)
{
	struct maker *maker = data;
	struct mica_guest_vector irq = {
		.addr = pci_addr(maker->edu),
		.type = maker->type,
		.fd = eventfd(0, EFD_CLOEXEC),
	};
	unsigned long long offset;
	unsigned short command;

	if (maker->type == MICA_IRQ_MSI) {
		irq.address = 0xfee00000;
	} else {
		irq.resample_fd = eventfd(0, EFD_CLOEXEC);
		irq.gsi = 20;
	}
	maker->create = guest_create(&maker->guest, maker->edu);
	if (maker->create || maker_config(maker, &offset) ||
	    pread(maker->guest.device, &command, 2, offset) != 2)
		return 0;
	maker->command = command;
	command |= PCI_COMMAND_MASTER;
	if (pwrite(maker->guest.device, &command, 2, offset) != 2)
		return 0;
	maker->irq = guest_irq(&maker->guest, &irq);
	maker->map = guest_map(&maker->guest, MAKER_MEMORY, maker_memory, 4096, 0);
	return 0;
}

/* A process that has a guest, until maker_kill(); or -1. */
static pid_t maker_start(struct maker *maker, unsigned int type)
{
	maker->type = type;
	maker->create = -1;
	maker->irq = -1;
	maker->map = -1;
	maker->command = ~0u;
	return process_start(maker_make, maker);
}

static void maker_kill(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static struct maker *maker_new(const struct guest *guest, const char *edu)
{
	struct maker *maker = mmap(NULL, sizeof(*maker), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	maker->guest = *guest;
	maker->edu = edu;
	return maker;
}

/* What it had set up does not go on into the memory of the next. */
TEST_F(create, next_guest_gets_functions_that_were_stopped)
{
	static const unsigned int types[] = {
		MICA_IRQ_MSI, MICA_IRQ_INTX, MICA_IRQ_MSI,
	};
	struct guest *guest = &self->guest;
	struct maker *maker = maker_new(guest, self->edu);
	unsigned int i;

	ASSERT_EQ(0, session_claim(guest->session, self->edu, 0, &guest->why));
	ASSERT_EQ(0, session_seal(guest->session));
	for (i = 0; i < 3; i++) {
		pid_t child = maker_start(maker, types[i]);

		ASSERT_LT(0, child);
		EXPECT_EQ(0, maker->create);
		EXPECT_EQ(0, maker->command & PCI_COMMAND_MASTER);
		EXPECT_EQ(0, maker->irq);
		maker_kill(child);
	}
	munmap(maker, sizeof(*maker));
}

/* Or whoever has it could map memory of the next guest, and have that written. */
TEST_F(create, no_next_guest_while_somebody_has_a_descriptor_of_the_last)
{
	struct guest *guest = &self->guest;
	struct maker *maker = maker_new(guest, self->edu);
	int *which[] = { &maker->guest.device, &maker->guest.container };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = MAKER_MEMORY,
		.size = 4096,
	};
	unsigned int i;
	pid_t child;
	int pid, fd;

	ASSERT_EQ(0, session_claim(guest->session, self->edu, 0, &guest->why));
	ASSERT_EQ(0, session_seal(guest->session));
	for (i = 0; i < 2; i++) {
		child = maker_start(maker, MICA_IRQ_MSI);
		ASSERT_EQ(0, maker->create);
		pid = syscall(SYS_pidfd_open, child, 0);
		fd = syscall(SYS_pidfd_getfd, pid, *which[i], 0);
		close(pid);
		ASSERT_LE(0, fd);
		maker_kill(child);

		child = maker_start(maker, MICA_IRQ_MSI);
		EXPECT_EQ(EBUSY, maker->create);
		EXPECT_EQ(MICA_REASON_USER, maker->guest.why.code);
		maker_kill(child);
		if (i == 1) {
			map.vaddr = (unsigned long)mmap(NULL, 4096, PROT_READ | PROT_WRITE,
							MAP_PRIVATE | MAP_ANONYMOUS,
							-1, 0);
			EXPECT_EQ(0, ioctl(fd, VFIO_IOMMU_MAP_DMA, &map));
		}
		close(fd);
	}
	child = maker_start(maker, MICA_IRQ_INTX);
	EXPECT_EQ(0, maker->create);
	EXPECT_EQ(0, maker->irq);
	/* What was mapped then is there no more. */
	EXPECT_EQ(0, maker->map);
	maker_kill(child);
	munmap(maker, sizeof(*maker));
}

TEST_HARNESS_MAIN
