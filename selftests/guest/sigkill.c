// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGKILL of the process that holds a session, drawn over the steps of claim,
 * guest and restore. Each time every function has to be back on its driver, and
 * the disk has to read.
 *
 * MICA_KILLS and MICA_SEED in the environment set how many and which.
 */
#include <sys/mman.h>
#include "session.h"
#include "vfio.h"
#include "kselftest.h"

#define BACK_MS	30000

enum step {
	STEP_CLAIM,
	STEP_GROUP,
	STEP_DEVICE,
	STEP_GUEST,
	STEP_LEAVE,
	STEP_RESTORE,
	STEP_END,
};

static const char *const step_name[] = {
	"claim", "VFIO group and DMA", "VFIO device", "guest runs",
	"close the device", "restore",
};

/* Where the child is, for the parent to see. */
struct progress {
	int step;
	unsigned long long at[STEP_END + 1];
};

/* The claim is where most can go wrong. */
static const enum step aim[] = {
	STEP_CLAIM, STEP_GROUP, STEP_DEVICE, STEP_CLAIM, STEP_GUEST,
	STEP_LEAVE, STEP_CLAIM, STEP_RESTORE,
};

static char claimed[2][BDF_LEN];
static char nvme[BDF_LEN], pair[2][BDF_LEN];
static struct progress *progress;

static bool is_plain_nvme(const char *bdf)
{
	return pci_is_nvme(bdf) && !pci_number(bdf, "sriov_totalvfs");
}

static void at_step(enum step step)
{
	progress->at[step] = now_ns();
	__atomic_store_n(&progress->step, step, __ATOMIC_SEQ_CST);
}

static int step_of_child(void)
{
	return __atomic_load_n(&progress->step, __ATOMIC_SEQ_CST);
}

/* The guest: the device's registers are read, as a driver in it would. */
static void use_device(struct vfio_use *use)
{
	unsigned int word;
	int i;

	for (i = 0; i < 20; i++) {
		if (pread(use->device, &word, sizeof(word), 0) < 0)
			_exit(5);
		sleep_us(1000);
	}
}

static void hold_a_session(void)
{
	struct mica_reason why;
	struct vfio_use use;
	int fd, err;

	at_step(STEP_CLAIM);
	fd = session_open();
	if (fd < 0)
		_exit(1);
	err = session_claim_many(fd, claimed, 2, MICA_CLAIM_GROUP, NULL, &why);
	if (err) {
		printf("# claim: %s: %s\n", strerror(err), why.text);
		_exit(2);
	}
	if (session_note(fd, MICA_GUEST_STARTED, getpid(), 0))
		_exit(3);
	at_step(STEP_GROUP);
	if (vfio_use_group(&use, nvme))
		_exit(4);
	at_step(STEP_DEVICE);
	if (vfio_use_device(&use, nvme))
		_exit(4);
	at_step(STEP_GUEST);
	use_device(&use);
	at_step(STEP_LEAVE);
	vfio_use_end(&use);
	at_step(STEP_RESTORE);
	close(fd);
	if (!pci_wait_driver(nvme, "nvme", BACK_MS))
		_exit(6);
	at_step(STEP_END);
	_exit(0);
}

static pid_t start_holder(void)
{
	pid_t child;

	memset(progress, 0, sizeof(*progress));
	progress->step = -1;
	child = fork();
	if (!child)
		hold_a_session();
	return child;
}

static bool is_back(const char *bdf, const char *driver)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	while (now_ns() < end) {
		if (!strcmp(pci_driver(bdf), driver) && !*pci_override(bdf))
			return true;
		sleep_us(2000);
	}
	printf("# %s: driver \"%s\", override \"%s\", should be \"%s\" and none\n",
	       bdf, pci_driver(bdf), pci_override(bdf), driver);
	return false;
}

static bool all_back(void)
{
	return is_back(nvme, "nvme") && is_back(pair[0], "") &&
	       is_back(pair[1], "") && pci_nvme_reads(nvme, BACK_MS);
}

/* How long each step takes when nobody is killed. */
static bool measure(unsigned long long *took)
{
	int status, i;

	waitpid(start_holder(), &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		printf("# the undisturbed run failed: status %#x\n", status);
		return false;
	}
	for (i = 0; i < STEP_END; i++)
		took[i] = progress->at[i + 1] - progress->at[i];
	return all_back();
}

struct hits {
	unsigned int step[STEP_END];
	unsigned int claim_on[3];	/* where NVMe stood: nvme, none, vfio */
};

/* A holder that came to its end before it could be hit is let go: try again. */
static bool kill_once(enum step step, unsigned long long took,
		      struct hits *hits)
{
	const char *driver;
	int status, seen;
	pid_t child;

	child = start_holder();
	while (step_of_child() < (int)step) {
		if (waitpid(child, &status, WNOHANG) != child)
			continue;
		if (status) {
			printf("# a run that nobody killed failed: status %#x in step %d\n",
			       status, step_of_child());
			return false;
		}
		if (!all_back())
			return false;
		child = start_holder();
	}
	sleep_us(random() % (took / 1000 + 1));
	kill(child, SIGKILL);
	driver = pci_driver(nvme);
	waitpid(child, &status, 0);
	seen = step_of_child();
	if (seen == STEP_END)
		seen = STEP_RESTORE;
	hits->step[seen]++;
	if (seen == STEP_CLAIM)
		hits->claim_on[!*driver ? 1 : strcmp(driver, "nvme") ? 2 : 0]++;
	return true;
}

static void print_hits(const struct hits *hits)
{
	unsigned int i;

	for (i = 0; i < STEP_END; i++)
		printf("# %-20s %4u\n", step_name[i], hits->step[i]);
	printf("# in the claim, NVMe was on nvme %u, on none %u, on vfio-pci %u times\n",
	       hits->claim_on[0], hits->claim_on[1], hits->claim_on[2]);
}

/* The first step that was never hit, or STEP_END. */
static enum step missed(const struct hits *hits)
{
	enum step step = STEP_CLAIM;

	while (step < STEP_END && hits->step[step])
		step++;
	return step;
}

static unsigned int from_env(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

int main(void)
{
	unsigned int kills = from_env("MICA_KILLS", 50), back = 0, i;
	unsigned int seed = from_env("MICA_SEED", time(NULL));
	unsigned long long took[STEP_END];
	unsigned long long within;
	struct hits hits = {};
	enum step step;
	bool few;

	ksft_print_header();
	ksft_set_plan(3);
	setvbuf(stdout, NULL, _IOLBF, 0);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED || module_load() ||
	    !pci_find(is_plain_nvme, &nvme, 1) ||
	    pci_find(pci_is_edu_paired, pair, 2) != 2)
		ksft_exit_fail_msg("no module, no nvme or no pair of edu\n");
	memcpy(claimed[0], nvme, BDF_LEN);
	memcpy(claimed[1], pair[0], BDF_LEN);
	/* The first time, vfio-pci is loaded. */
	if (!measure(took) || !measure(took))
		ksft_exit_fail_msg("not even undisturbed\n");

	printf("# seed %u\n", seed);
	srandom(seed);
	few = kills < 8 * STEP_END;
	for (i = 0; i < kills || (!few && i < 4 * kills); i++) {
		step = aim[i % ARRAY_SIZE(aim)];
		within = took[step];
		if (i >= kills) {
			/* A step that is over in no time: at its very start. */
			step = missed(&hits);
			within = 0;
		}
		if (step == STEP_END)
			break;
		if (!kill_once(step, within, &hits))
			break;
		if (all_back())
			back++;
		else
			break;
	}
	print_hits(&hits);
	ksft_test_result(back == i && i >= kills,
			 "%u of %u times back on the driver\n", back, i);
	ksft_test_result(few || missed(&hits) == STEP_END,
			 "every step was hit\n");
	ksft_test_result(!module_unload(BACK_MS),
			 "nothing is left that keeps the module\n");
	ksft_finished();
}
