// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest drives edu by its registers, has it move data by DMA through the IOMMU and
 * takes its interrupts, without a return to user space in between.
 */
#include <sys/eventfd.h>
#include <sys/resource.h>
#include "flat.h"
#include "../lib/harness.h"

#define PIN	20

FIXTURE(flat)
{
	struct guest guest;
	struct flat flat;
	struct mica_guest_vector irq;
	char edu[BDF_LEN];
};

FIXTURE_SETUP(flat)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
	self->guest = (struct guest){ session_open(), -1, -1, -1, {} };
	self->flat.guest = &self->guest;
	self->flat.vcpu = -1;
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	ASSERT_EQ(0, guest_create(&self->guest, self->edu));
	ASSERT_EQ(0, flat_make(&self->flat, &self->guest));
	self->irq = (struct mica_guest_vector){
		.addr = pci_addr(self->edu),
		.type = MICA_IRQ_MSI,
		.fd = eventfd(0, EFD_CLOEXEC),
		.address = LAPIC,
		.data = VECTOR_A,
	};
}

FIXTURE_TEARDOWN(flat)
{
	flat_end(&self->flat);
	pci_wait_driver(self->edu, "", BACK_MS);
}

static struct mica_guest_vector intx(const struct mica_guest_vector *msi)
{
	struct mica_guest_vector irq = *msi;

	irq.type = MICA_IRQ_INTX;
	irq.resample_fd = eventfd(0, EFD_CLOEXEC);
	irq.gsi = PIN;
	irq.address = 0;
	irq.data = 0;
	return irq;
}

/* Level-triggered, to the first processor. */
#define PIN_ON	APIC_ON,				\
		{ WRITE, IOAPIC, 0x11 + 2 * PIN },	\
		{ WRITE, IOAPIC + 0x10, 0 },		\
		{ WRITE, IOAPIC, 0x10 + 2 * PIN },	\
		{ WRITE, IOAPIC + 0x10, 1 << 15 | VECTOR_A }

static unsigned int value_read(struct step *list, unsigned int at)
{
	for (; list->what != END; list++)
		if (list->what == READ && list->at == at)
			return list->value;
	return 0;
}

/* Interrupts that the host took for the guest. */
static unsigned long long taken(struct guest *guest, unsigned int type)
{
	struct mica_guest_stat_device device;
	struct mica_guest_stat stat;

	if (guest_stat(guest, &stat, &device) || stat.nr_devices != 1 ||
	    device.nr_vectors != 1 || device.irq_type != type)
		return ~0ull;
	return device.interrupts;
}

TEST_F(flat, message_without_a_return_to_user_space)
{
	struct step list[] = WORK(APIC_ON);

	flat_fill(self->flat.ram + FROM, 4096, 3);
	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	/* The module has its own reference. */
	close(self->irq.fd);
	ASSERT_EQ(0, flat_do(&self->flat, list, ARRAY_SIZE(list)));
	EXPECT_EQ(1, self->flat.runs);
	EXPECT_EQ(3, flat_count(&self->flat, 0));
	EXPECT_EQ(3, taken(&self->guest, MICA_IRQ_MSI));
	EXPECT_EQ(0x010000edu, value_read(list, EDU_ID));
	EXPECT_EQ(~0x12345678u, value_read(list, EDU_LIVENESS));
	EXPECT_EQ(0, memcmp(self->flat.ram + FROM, self->flat.ram + TO, 4096));
}

TEST_F(flat, pin_without_a_return_to_user_space)
{
	struct step list[] = WORK(PIN_ON);
	struct mica_guest_vector irq = intx(&self->irq);

	flat_fill(self->flat.ram + FROM, 4096, 5);
	ASSERT_EQ(0, guest_irq(&self->guest, &irq));
	close(irq.fd);
	close(irq.resample_fd);
	ASSERT_EQ(0, flat_do(&self->flat, list, ARRAY_SIZE(list)));
	EXPECT_EQ(1, self->flat.runs);
	EXPECT_EQ(3, flat_count(&self->flat, 0));
	/* Others may be on the same line of the host. */
	EXPECT_LE(3, taken(&self->guest, MICA_IRQ_INTX));
	EXPECT_EQ(0x010000edu, value_read(list, EDU_ID));
	EXPECT_EQ(0, memcmp(self->flat.ram + FROM, self->flat.ram + TO, 4096));
}

TEST_F(flat, message_that_becomes_another)
{
	struct step first[] = {
		APIC_ON, { WRITE, EDU_RAISE, 1 }, { WAIT_A, 0, 1 }, { END, },
	};
	struct step second[] = {
		{ WRITE, EDU_RAISE, 1 }, { WAIT_B, 0, 1 }, { END, },
	};

	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	ASSERT_EQ(0, flat_do(&self->flat, first, ARRAY_SIZE(first)));
	self->irq.data = VECTOR_B;
	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	ASSERT_EQ(0, flat_do(&self->flat, second, ARRAY_SIZE(second)));
	EXPECT_EQ(1, flat_count(&self->flat, 0));
	EXPECT_EQ(1, flat_count(&self->flat, 1));
}

/* From a message to a pin and back. */
TEST_F(flat, off_and_on_again)
{
	struct mica_guest_vector pin = intx(&self->irq);
	struct mica_guest_vector off = {
		.addr = self->irq.addr,
		.flags = MICA_VECTOR_OFF,
		.type = MICA_IRQ_MSI,
		.vector = MICA_VECTOR_ALL,
	};
	struct step once[] = {
		PIN_ON, { WRITE, EDU_RAISE, 1 }, { WAIT_A, 0, 1 },
		{ END, },
	};

	EXPECT_EQ(0, guest_irq(&self->guest, &off));
	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	EXPECT_EQ(EBUSY, guest_irq(&self->guest, &pin));
	ASSERT_EQ(0, flat_do(&self->flat, once, ARRAY_SIZE(once)));
	off.vector = 0;
	EXPECT_EQ(0, guest_irq(&self->guest, &off));
	EXPECT_EQ(EBUSY, guest_irq(&self->guest, &pin));
	off.vector = MICA_VECTOR_ALL;
	EXPECT_EQ(0, guest_irq(&self->guest, &off));

	ASSERT_EQ(0, guest_irq(&self->guest, &pin));
	once[6].value = 2;
	ASSERT_EQ(WAIT_A, once[6].what);
	ASSERT_EQ(0, flat_do(&self->flat, once, ARRAY_SIZE(once)));
	off.type = MICA_IRQ_INTX;
	EXPECT_EQ(0, guest_irq(&self->guest, &off));
	EXPECT_EQ(0, guest_irq(&self->guest, &off));

	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	once[6].value = 3;
	ASSERT_EQ(0, flat_do(&self->flat, once, ARRAY_SIZE(once)));
	EXPECT_EQ(3, flat_count(&self->flat, 0));
}

/*
 * All of it in one call; each of its three parts fails in turn, and leaves nothing.
 */
/* Returns 0 or the errno, or -1 if the reason is another one. */
static int set_up(struct guest *guest, struct mica_guest_setup *setup,
		  unsigned int code)
{
	int err = 0;

	memset(&guest->why, 0, sizeof(guest->why));
	setup->reason_ptr = (unsigned long)&guest->why;
	setup->reason_len = sizeof(guest->why);
	if (ioctl(guest->session, MICA_GUEST_SETUP, setup))
		err = errno;
	return guest->why.code == code ? err : -1;
}

TEST_F(flat, all_at_once_or_nothing)
{
	struct mica_guest_device device = { .addr = pci_addr(self->edu) };
	struct mica_guest_range ranges[2] = {
		{ .length = 4096, .user_addr = (unsigned long)self->flat.ram },
		{ .length = 4096, .user_addr = (unsigned long)self->flat.ram,
		  .guest_addr = 4096 },
	};
	struct mica_guest_vector vectors[1] = { self->irq };
	struct mica_guest_setup setup = {
		.size = sizeof(setup),
		.flags = MICA_GUEST_CONTAINER,
		.devices_ptr = (unsigned long)&device,
		.ranges_ptr = (unsigned long)ranges,
		.vectors_ptr = (unsigned long)vectors,
		.nr_devices = 1,
		.nr_ranges = 2,
		.nr_vectors = 1,
	};
	struct mica_guest_stat_device function;
	struct mica_guest_stat stat;
	unsigned long locked;
	int fds;

	flat_end(&self->flat);
	self->flat.vcpu = -1;
	self->flat.registers = NULL;
	self->guest.session = session_open();
	ASSERT_EQ(0, session_claim(self->guest.session, self->edu, 0,
				   &self->guest.why));
	fds = fds_open();
	locked = locked_kib();

	ranges[1].guest_addr = 0xfee00000;
	EXPECT_EQ(EINVAL, set_up(&self->guest, &setup, MICA_REASON_RANGE));
	ranges[1].guest_addr = 4096;
	vectors[0].vector = 1;
	EXPECT_EQ(EINVAL, set_up(&self->guest, &setup, MICA_REASON_BAD_VALUE));
	vectors[0].vector = 0;
	device.reserved = 1;
	EXPECT_EQ(EINVAL, set_up(&self->guest, &setup, MICA_REASON_BAD_VALUE));
	device.reserved = 0;
	setup.nr_ranges = MICA_SETUP_MAX + 1;
	EXPECT_EQ(EINVAL, set_up(&self->guest, &setup, MICA_REASON_BAD_VALUE));
	setup.nr_ranges = 2;
	setup.vectors_ptr = 8;
	EXPECT_EQ(EFAULT, set_up(&self->guest, &setup, MICA_REASON_NONE));
	setup.vectors_ptr = (unsigned long)vectors;
	EXPECT_EQ(locked, locked_kib());
	EXPECT_EQ(fds, fds_open());
	EXPECT_EQ(ENOENT, guest_stat(&self->guest, &stat, NULL));

	ASSERT_EQ(0, ioctl(self->guest.session, MICA_GUEST_SETUP, &setup));
	self->guest.vm = setup.vm_fd;
	self->guest.container = setup.container_fd;
	self->guest.device = device.fd;
	EXPECT_EQ(fds + 3, fds_open());
	ASSERT_EQ(0, guest_stat(&self->guest, &stat, &function));
	EXPECT_EQ(8192, stat.pinned);
	EXPECT_EQ(1, function.nr_vectors);
}

/* The kernel's log as it comes, but not on the console while it does. */
static int log_open(char *level, size_t len)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	lseek(fd, 0, SEEK_END);
	if (read_text("/proc/sys/kernel/printk", level, len) ||
	    write_text("/proc/sys/kernel/printk", "1"))
		return -1;
	return fd;
}

static bool log_names(int fd, const char *what, const char *bdf)
{
	char line[1024];
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return false;
		line[n] = 0;
		if (strstr(line, what) && strstr(line, bdf))
			return true;
	}
}

#define BEYOND	0x4000000u

/*
 * The device writes where nobody has mapped memory for it: nothing, memory of the
 * processor's only, and memory that it had before. All three are stopped.
 */
TEST_F(flat, memory_that_is_not_the_devices_is_out_of_reach)
{
	static const unsigned int at[] = { 0x8000000, BEYOND, 0x2000000 };
	char *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *before = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct step good[] = WORK(APIC_ON);
	char level[64];
	int i, log;

	memset(other, 0x5a, 4096);
	memset(before, 0x5a, 4096);
	flat_fill(self->flat.ram + FROM, 4096, 9);
	ASSERT_EQ(0, guest_map(&self->guest, BEYOND, other, 4096,
			       MICA_RANGE_KVM_ONLY));
	ASSERT_EQ(0, guest_map(&self->guest, 0x2000000, before, 4096, 0));
	ASSERT_EQ(0, guest_unmap(&self->guest, 0x2000000, 4096));
	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	log = log_open(level, sizeof(level));
	ASSERT_LE(0, log);
	for (i = 0; i < 3; i++) {
		struct step bad[] = {
			APIC_ON,
			DMA(EDU_BUFFER, at[i], 4096, DMA_TO_RAM),
			{ WAIT_CLEAR, EDU_DMA_COMMAND, DMA_RUN },
			{ END, },
		};

		EXPECT_EQ(0, flat_do(&self->flat, bad, ARRAY_SIZE(bad)));
	}
	EXPECT_TRUE(log_names(log, "DMA Write", strchr(self->edu, ':') + 1));
	EXPECT_EQ(0, write_text("/proc/sys/kernel/printk", level));
	close(log);
	for (i = 0; i < 4096; i++) {
		ASSERT_EQ(0x5a, other[i]);
		ASSERT_EQ(0x5a, before[i]);
	}
	ASSERT_EQ(0, flat_do(&self->flat, good, ARRAY_SIZE(good)));
	EXPECT_EQ(3, flat_count(&self->flat, 0));
	EXPECT_EQ(0, memcmp(self->flat.ram + FROM, self->flat.ram + TO, 4096));
}

enum fd { EVENT, NONE, INPUT, ZERO };

static const struct {
	const char *what;
	int err;
	unsigned int code;
	unsigned int flags;
	unsigned int type;
	unsigned int vector;
	unsigned int vectors;
	enum fd fd;
	enum fd resample;
	unsigned int gsi;
	unsigned int data;
	unsigned long long address;
	const char *bdf;
} bad[] = {
#define BAD(what, err, code, ...) { what, err, MICA_REASON_##code, __VA_ARGS__ }
#define MSI .type = MICA_IRQ_MSI, .resample = ZERO
#define INTX .type = MICA_IRQ_INTX
	BAD("no such type", EINVAL, BAD_VALUE, .type = 3),
	BAD("no such message", EINVAL, BAD_VALUE, MSI, .vector = 1),
	BAD("all messages on", EINVAL, BAD_VALUE, MSI, .vector = ~0u),
	BAD("more than there are", EINVAL, BAD_VALUE, MSI, .vectors = 2),
	BAD("the second of one", EINVAL, BAD_VALUE, MSI, .vector = 1, .vectors = 1),
	BAD("far more", EINVAL, BAD_VALUE, MSI, .vectors = ~0u),
	BAD("it has no MSI-X", EINVAL, BAD_VALUE, .type = MICA_IRQ_MSIX),
	BAD("one pin", EINVAL, BAD_VALUE, INTX, .vector = 1),
	BAD("message without eventfd", EBADF, BAD_VALUE, MSI, .fd = NONE),
	BAD("message with another file", EINVAL, BAD_VALUE, MSI, .fd = INPUT),
	BAD("message with resample", EINVAL, BAD_VALUE, .type = MICA_IRQ_MSI,
	    .resample = EVENT),
	BAD("message with gsi", EINVAL, BAD_VALUE, MSI, .gsi = 5),
	BAD("pin without eventfd", EBADF, BAD_VALUE, INTX, .fd = NONE),
	BAD("pin without resample", EBADF, BAD_VALUE, INTX, .resample = NONE),
	BAD("pin that resamples nothing", EINVAL, BAD_VALUE, INTX,
	    .resample = INPUT),
	BAD("pin that answers itself", EINVAL, BAD_VALUE, INTX,
	    .resample = EVENT),
	BAD("no such pin", EINVAL, BAD_VALUE, INTX, .gsi = 24),
	BAD("no such pin at all", EINVAL, BAD_VALUE, INTX, .gsi = ~0u),
	BAD("pin with data", EINVAL, BAD_VALUE, INTX, .data = 1),
	BAD("pin with an address", EINVAL, BAD_VALUE, INTX, .address = LAPIC),
	BAD("unknown flag", EOPNOTSUPP, BAD_VALUE, MSI, .flags = 2),
	BAD("all flags", EOPNOTSUPP, BAD_VALUE, MSI, .flags = ~0u),
	BAD("off with an eventfd", EINVAL, BAD_VALUE, MSI,
	    .flags = MICA_VECTOR_OFF),
	BAD("off with data", EINVAL, BAD_VALUE, MSI, .fd = ZERO,
	    .flags = MICA_VECTOR_OFF, .data = 1),
	BAD("off that is not there", EINVAL, BAD_VALUE, MSI, .fd = ZERO,
	    .flags = MICA_VECTOR_OFF, .vector = 7),
	BAD("no such function", ENOENT, NO_DEVICE, MSI, .bdf = "0000:e7:1d.5"),
	BAD("not of this guest", ENOENT, NO_DEVICE, MSI, .bdf = "0000:00:00.0"),
};

TEST_F(flat, bad_interrupts)
{
	const int fd[] = {
		[EVENT] = self->irq.fd, [NONE] = -1, [INPUT] = 0, [ZERO] = 0,
	};
	int i, fds = fds_open();

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mica_guest_vector irq = {
			.addr = pci_addr(bad[i].bdf ?: self->edu),
			.flags = bad[i].flags,
			.type = bad[i].type,
			.vector = bad[i].vector,
			.vectors = bad[i].vectors,
			.fd = fd[bad[i].fd],
			.resample_fd = fd[bad[i].resample],
			.gsi = bad[i].gsi,
			.data = bad[i].data,
			.address = bad[i].address,
		};

		TH_LOG("%s", bad[i].what);
		EXPECT_EQ(bad[i].err, guest_irq(&self->guest, &irq));
		EXPECT_EQ(bad[i].code, self->guest.why.code);
		EXPECT_NE(0, *self->guest.why.text);
		EXPECT_EQ(fds, fds_open());
	}
	/* None of them has left anything on. */
	EXPECT_EQ(0, guest_irq(&self->guest, &self->irq));
}

TEST_F(flat, interrupt_with_another_eventfd)
{
	struct mica_guest_vector other = self->irq;

	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	EXPECT_EQ(0, guest_irq(&self->guest, &self->irq));
	other.fd = eventfd(0, EFD_CLOEXEC);
	EXPECT_EQ(EBUSY, guest_irq(&self->guest, &other));
	EXPECT_EQ((unsigned int)MICA_REASON_IN_USE, self->guest.why.code);
	close(other.fd);
}

/* What there is of it when a step fails is undone: the other type can be on. */
TEST_F(flat, as_many_descriptors_as_it_takes)
{
	struct mica_guest_vector pin = intx(&self->irq);
	struct rlimit old, limit;
	int fds = fds_open(), err = -1, failed = 0;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	for (limit.rlim_cur = 3; limit.rlim_cur < 64; limit.rlim_cur++) {
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
		err = guest_irq(&self->guest, &pin);
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
		ASSERT_EQ(fds, fds_open());
		if (!err)
			break;
		failed++;
		ASSERT_EQ(EMFILE, err);
		ASSERT_EQ((unsigned int)MICA_REASON_LIMIT, self->guest.why.code);
		ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
		ASSERT_EQ(0, guest_irq(&self->guest, &(struct mica_guest_vector){
				.addr = self->irq.addr,
				.flags = MICA_VECTOR_OFF,
				.type = MICA_IRQ_MSI,
				.vector = MICA_VECTOR_ALL,
			}));
	}
	EXPECT_EQ(0, err);
	EXPECT_LE(2, failed);
}

TEST_F(flat, interrupt_of_a_process_that_did_not_make_the_guest)
{
	int status;

	ASSERT_EQ(0, session_seal(self->guest.session));
	if (!fork())
		_exit(guest_irq(&self->guest, &self->irq));
	wait(&status);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EIO, WEXITSTATUS(status));
}

/* With the interrupts on and the guest at its end, everything goes back. */
TEST_F(flat, session_ends_with_interrupts_on)
{
	struct step list[] = WORK(APIC_ON);

	ASSERT_EQ(0, guest_irq(&self->guest, &self->irq));
	ASSERT_EQ(0, flat_do(&self->flat, list, ARRAY_SIZE(list)));
	flat_end(&self->flat);
	self->flat.vcpu = -1;
	self->flat.registers = NULL;
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_HARNESS_MAIN
