/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest without an operating system: 32-bit code that does what a list says,
 * with an edu device whose registers are at an address of their own. It comes back
 * to user space once, at the end of the list.
 */
#ifndef _SELFTESTS_GUEST_FLAT_H
#define _SELFTESTS_GUEST_FLAT_H

#include <sys/mman.h>
#include "assembly.h"

/* Guest addresses. */
#define RAM_LEN		0x200000u
#define STACK		0x7000u
#define COUNTS		0x8000u	/* interrupts of each handler; for nothing */
#define LIST		0x9000u
#define IDT		0xa000u
#define GDT		0xb000u
#define CODE		0x10000u
#define EDU		0xe0000000u
#define LAPIC		0xfee00000u
#define IOAPIC		0xfec00000u

#define END_PORT	0x80

/* Interrupt vectors, and which handler counts them. */
#define VECTOR_A	0x40
#define VECTOR_B	0x42

#define EDU_ID		(EDU + 0x00)
#define EDU_LIVENESS	(EDU + 0x04)
#define EDU_RAISE	(EDU + 0x60)
#define EDU_DMA_FROM	(EDU + 0x80)
#define EDU_DMA_TO	(EDU + 0x88)
#define EDU_DMA_LEN	(EDU + 0x90)
#define EDU_DMA_COMMAND	(EDU + 0x98)
#define EDU_BUFFER	0x40000u	/* as its DMA engine names it */

#define DMA_RUN		1
#define DMA_TO_RAM	2
#define DMA_IRQ		4

/*
 * The list: what to do, where, with what. WAIT_A and WAIT_B sleep until that
 * handler has counted so many, WAIT_CLEAR reads until none of the bits is set.
 */
enum { END, WRITE, READ, WAIT_A, WAIT_B, WAIT_CLEAR };

struct step {
	unsigned int what;
	unsigned int at;
	unsigned int value;
};

extern const char flat_code[], flat_handler_a[], flat_handler_b[],
	flat_code_end[];

#define APIC_ON	{ WRITE, LAPIC + 0xf0, 0x1ff }

#define DMA(from, to, len, command)			\
		{ WRITE, EDU_DMA_FROM, from },		\
		{ WRITE, EDU_DMA_TO, to },		\
		{ WRITE, EDU_DMA_LEN, len },		\
		{ WRITE, EDU_DMA_COMMAND, DMA_RUN | (command) }

#define FROM	0x100000u
#define TO	0x101000u

/* Registers, two DMA transfers and three interrupts; what makes ready for them comes first. */
#define WORK(...) {							\
	__VA_ARGS__,							\
	{ READ, EDU_ID, 0 },						\
	{ WRITE, EDU_LIVENESS, 0x12345678 },				\
	{ READ, EDU_LIVENESS, 0 },					\
	DMA(FROM, EDU_BUFFER, 4096, DMA_IRQ), { WAIT_A, 0, 1 },		\
	DMA(EDU_BUFFER, TO, 4096, DMA_TO_RAM | DMA_IRQ), { WAIT_A, 0, 2 }, \
	{ WRITE, EDU_RAISE, 0x55 }, { WAIT_A, 0, 3 },			\
	{ END, 0, 0 },							\
}

struct flat {
	struct guest *guest;
	char *ram;
	void *registers;
	struct kvm_run *run;
	int vcpu;
	int runs;		/* how often the guest came back to user space */
};

static inline void flat_gate(struct flat *flat, unsigned int vector,
			     const char *handler)
{
	unsigned int at = CODE + (handler - flat_code);
	unsigned int gate[2] = {
		8 << 16 | (at & 0xffff), (at & 0xffff0000) | 0x8e00,
	};

	memcpy(flat->ram + IDT + vector * 8, gate, 8);
}

static inline int flat_start(struct flat *flat)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1,
		.s = 1, .g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2 };
	struct kvm_sregs sregs;

	data.selector = 16;
	data.type = 3;
	if (ioctl(flat->vcpu, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.ss = data;
	sregs.cr0 |= 1;
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 23;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0x7ff;
	return ioctl(flat->vcpu, KVM_SET_SREGS, &sregs) ||
	       ioctl(flat->vcpu, KVM_SET_REGS, &regs) ? -errno : 0;
}

/* Memory and bus mastering on; interrupts are VFIO's. */
static inline int flat_enable(struct flat *flat)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	unsigned short command = 6;

	if (ioctl(flat->guest->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		return -errno;
	return pwrite(flat->guest->device, &command, 2, config.offset + 4) == 2 ?
	       0 : -errno;
}

static inline int flat_registers(struct flat *flat)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};

	if (ioctl(flat->guest->device, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return -errno;
	flat->registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, flat->guest->device, bar.offset);
	if (flat->registers == MAP_FAILED)
		return -errno;
	return -guest_map(flat->guest, EDU, flat->registers, bar.size,
			  MICA_RANGE_KVM_ONLY);
}

static inline int flat_vcpu(struct flat *flat)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	close(kvm);
	flat->vcpu = ioctl(flat->guest->vm, KVM_CREATE_VCPU, 0);
	if (flat->vcpu < 0)
		return -errno;
	flat->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 flat->vcpu, 0);
	return flat->run == MAP_FAILED ? -errno : 0;
}

/* Memory for both, registers for the processor, a VCPU, and the program. */
static inline int flat_make(struct flat *flat, struct guest *guest)
{
	static const unsigned long long gdt[3] = {
		0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull,
	};
	int err;

	flat->guest = guest;
	flat->runs = 0;
	flat->ram = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (flat->ram == MAP_FAILED)
		return -errno;
	memcpy(flat->ram + CODE, flat_code, flat_code_end - flat_code);
	memcpy(flat->ram + GDT, gdt, sizeof(gdt));
	flat_gate(flat, VECTOR_A, flat_handler_a);
	flat_gate(flat, VECTOR_B, flat_handler_b);
	err = -guest_map(guest, 0, flat->ram, RAM_LEN, 0);
	if (!err)
		err = flat_registers(flat);
	if (!err)
		err = flat_enable(flat);
	if (!err)
		err = flat_vcpu(flat);
	return err;
}

/* What the guest got is in the list afterwards. Returns 0 at its end. */
static inline int flat_do(struct flat *flat, struct step *list, int n)
{
	int err = flat_start(flat);

	memcpy(flat->ram + LIST, list, n * sizeof(*list));
	if (!err)
		err = ioctl(flat->vcpu, KVM_RUN, 0) ? -errno : 0;
	flat->runs++;
	memcpy(list, flat->ram + LIST, n * sizeof(*list));
	if (err)
		return err;
	return flat->run->exit_reason == KVM_EXIT_IO &&
	       flat->run->io.port == END_PORT ? 0 : flat->run->exit_reason;
}

static inline unsigned int flat_count(struct flat *flat, int handler)
{
	unsigned int count;

	memcpy(&count, flat->ram + COUNTS + handler * 4, 4);
	return count;
}

static inline void flat_fill(char *at, unsigned int len, char first)
{
	while (len--)
		*at++ = first++ * 7;
}

static inline void flat_end(struct flat *flat)
{
	if (flat->registers && flat->registers != MAP_FAILED)
		munmap(flat->registers, 0x100000);
	if (flat->vcpu >= 0)
		close(flat->vcpu);
	guest_end(flat->guest);
}

#endif /* _SELFTESTS_GUEST_FLAT_H */
