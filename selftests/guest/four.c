// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four guests at once, each with a device of its own, that come and go a hundred
 * times. Each time the guest has its device move data by DMA and takes three
 * interrupts, and its data is what it should be.
 *
 * MICA_ROUNDS in the environment sets how many times.
 */
#include <sys/eventfd.h>
#include "flat.h"
#include "kselftest.h"

#define GUESTS	4

static char edu[GUESTS][BDF_LEN];

static int fails(int round, int which, const char *what, const char *why)
{
	printf("# guest %d, round %d: %s: %s\n", which, round, what, why);
	return 1;
}

/* Returns 0 if all went well. */
static int use(struct flat *flat, struct guest *guest, int which, int round)
{
	struct mica_guest_vector irq = {
		.addr = pci_addr(edu[which]),
		.type = MICA_IRQ_MSI,
		.fd = eventfd(0, EFD_CLOEXEC),
		.address = LAPIC,
		.data = VECTOR_A,
	};
	struct step list[] = WORK(APIC_ON);
	struct mica_guest_stat_device device;
	struct mica_guest_stat stat;
	int err;

	err = guest_irq(guest, &irq);
	close(irq.fd);
	if (err)
		return fails(round, which, "interrupt", (char *)guest->why.text);
	flat_fill(flat->ram + FROM, 4096, which * 31 + round);
	err = flat_do(flat, list, ARRAY_SIZE(list));
	if (err)
		return fails(round, which, "run", strerror(-err));
	if (flat->runs != 1 || flat_count(flat, 0) != 3)
		return fails(round, which, "interrupts", "not three");
	if (guest_stat(guest, &stat, &device) || device.interrupts != 3)
		return fails(round, which, "interrupts of the host", "not three");
	/* Here and there one comes twice to the guest; the host took it once. */
	if (flat_count(flat, 2))
		printf("# guest %d, round %d: %u came twice\n", which, round,
		       flat_count(flat, 2));
	if (memcmp(flat->ram + FROM, flat->ram + TO, 4096))
		return fails(round, which, "DMA", "other data");
	return 0;
}

/* Who had the device before may be on the way out: a claim waits for that. */
static int one_guest(int which, int round)
{
	struct guest guest = { session_open(), -1, -1, -1, {} };
	struct flat flat = { .guest = &guest, .vcpu = -1 };
	int err;

	err = session_claim(guest.session, edu[which], 0, &guest.why);
	if (!err)
		err = guest_create(&guest, edu[which]);
	if (err)
		fails(round, which, "claim or guest", (char *)guest.why.text);
	else
		err = flat_make(&flat, &guest) ?
		      fails(round, which, "memory", (char *)guest.why.text) :
		      use(&flat, &guest, which, round);
	flat_end(&flat);
	return err;
}

static int all_rounds(int which, int rounds)
{
	int round;

	for (round = 0; round < rounds; round++)
		if (one_guest(which, round))
			break;
	return round != rounds;
}

int main(void)
{
	const char *text = getenv("MICA_ROUNDS");
	int rounds = text ? atoi(text) : 100;
	pid_t child[GUESTS];
	int status, i;

	ksft_print_header();
	ksft_set_plan(2 * GUESTS + 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (module_load() || pci_find(pci_is_edu_alone, edu, GUESTS) != GUESTS)
		ksft_exit_fail_msg("no module, or not four edu\n");
	for (i = 0; i < GUESTS; i++) {
		child[i] = fork();
		if (!child[i])
			_exit(all_rounds(i, rounds));
	}
	for (i = 0; i < GUESTS; i++) {
		status = -1;
		waitpid(child[i], &status, 0);
		ksft_test_result(!status, "%s: a guest, %d times\n", edu[i],
				 rounds);
	}
	for (i = 0; i < GUESTS; i++)
		ksft_test_result(pci_wait_driver(edu[i], "", BACK_MS),
				 "%s: back\n", edu[i]);
	ksft_test_result(!module_unload(BACK_MS),
			 "nothing is left that keeps the module\n");
	ksft_finished();
}
