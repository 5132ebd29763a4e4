// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGKILL of the process that holds a session, drawn over the steps of claim,
 * guest and restore: at some time within a step, or at a system call. The guest is
 * what a monitor makes by itself, or what the session makes. Each time every
 * function has to be back on its driver, the disk has to read, and no session, VM
 * or pinned page may be left.
 *
 * MICA_KILLS and MICA_SEED in the environment set how many and which; each step is
 * hit at least once in 50 kills.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include "flat.h"
#include "vfio.h"
#include "kselftest.h"

#undef BACK_MS
#define BACK_MS	30000

enum step_of_holder {
	STEP_CLAIM,
	STEP_GROUP,
	STEP_DEVICE,
	STEP_USE,
	STEP_LEAVE,
	STEP_CREATE,
	STEP_MAP,
	STEP_IRQ,
	STEP_RUN,
	STEP_RESTORE,
	STEP_END,
};

static const char *const step_name[] = {
	"claim", "VFIO group and DMA", "VFIO device", "monitor's guest runs",
	"close the device", "MICA_GUEST_CREATE", "memory and VCPU",
	"MICA_GUEST_IRQ", "session's guest runs", "restore",
};

/* A monitor does it by itself, or the session does. */
enum way { BY_MONITOR, BY_SESSION, WAYS };

static const struct {
	enum step_of_holder step[STEP_END];
	unsigned int nr;
} way_of[WAYS] = {
	{ { STEP_CLAIM, STEP_GROUP, STEP_DEVICE, STEP_USE, STEP_LEAVE,
	    STEP_RESTORE }, 6 },
	{ { STEP_CLAIM, STEP_CREATE, STEP_MAP, STEP_IRQ, STEP_RUN,
	    STEP_RESTORE }, 6 },
};

/* Where the child is, for the parent to see. */
struct progress {
	int step;
	unsigned long long at[STEP_END + 1];
};

/* The claim is where most can go wrong. */
static const struct {
	enum way way;
	enum step_of_holder step;
} aim[] = {
	{ BY_MONITOR, STEP_CLAIM }, { BY_SESSION, STEP_CREATE },
	{ BY_MONITOR, STEP_GROUP }, { BY_SESSION, STEP_CLAIM },
	{ BY_SESSION, STEP_MAP }, { BY_MONITOR, STEP_DEVICE },
	{ BY_SESSION, STEP_IRQ }, { BY_MONITOR, STEP_CLAIM },
	{ BY_MONITOR, STEP_USE }, { BY_SESSION, STEP_RUN },
	{ BY_MONITOR, STEP_LEAVE }, { BY_SESSION, STEP_CREATE },
	{ BY_SESSION, STEP_RESTORE },
};

/* What an undisturbed run took: of each step, and system calls before the end. */
struct measured {
	unsigned long long took[STEP_END];
	unsigned int stops;
};

static char claimed[2][BDF_LEN];
static char nvme[BDF_LEN], pair[2][BDF_LEN];
static struct progress *progress;
static int sessions;	/* that other tests left to be looked at */

static void at_step(enum step_of_holder step)
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

	for (i = 0; i < 5; i++) {
		if (pread(use->device, &word, sizeof(word), 0) < 0)
			_exit(5);
		sleep_us(4000);
	}
}

static void guest_of_monitor(struct guest *guest)
{
	struct vfio_use use;

	at_step(STEP_GROUP);
	if (vfio_use_group(&use, nvme))
		_exit(4);
	at_step(STEP_DEVICE);
	if (vfio_use_device(&use, nvme))
		_exit(4);
	at_step(STEP_USE);
	use_device(&use);
	at_step(STEP_LEAVE);
	vfio_use_end(&use);
	at_step(STEP_RESTORE);
	guest_end(guest);
}

/* All three functions are the guest's, and the first edu has an interrupt on. */
static void guest_of_session(struct guest *guest)
{
	struct mica_guest_vector irq = {
		.addr = pci_addr(pair[0]),
		.type = MICA_IRQ_MSI,
		.fd = eventfd(0, EFD_CLOEXEC),
		.address = LAPIC,
		.data = VECTOR_A,
	};
	struct flat flat = { .vcpu = -1 };
	int i;

	at_step(STEP_CREATE);
	if (guest_create(guest, pair[0])) {
		printf("# create: %s\n", guest->why.text);
		_exit(7);
	}
	at_step(STEP_MAP);
	if (flat_make(&flat, guest))
		_exit(8);
	at_step(STEP_IRQ);
	if (guest_irq(guest, &irq))
		_exit(9);
	at_step(STEP_RUN);
	for (i = 0; i < 5; i++) {
		struct step list[] = {
			{ WRITE, EDU_LIVENESS, 0x12345678 },
			{ READ, EDU_LIVENESS, 0 },
			{ END, 0, 0 },
		};

		if (flat_do(&flat, list, ARRAY_SIZE(list)) ||
		    list[1].value != ~0x12345678u)
			_exit(10);
	}
	at_step(STEP_RESTORE);
	flat_end(&flat);
}

static void hold_a_session(enum way way)
{
	struct guest guest = { session_open(), -1, -1, -1, {} };
	int err;

	at_step(STEP_CLAIM);
	if (guest.session < 0)
		_exit(1);
	err = session_claim_many(guest.session, claimed, 2, MICA_CLAIM_GROUP,
				 NULL, &guest.why);
	if (err) {
		printf("# claim: %s: %s\n", strerror(err), guest.why.text);
		_exit(2);
	}
	if (session_note(guest.session, MICA_GUEST_STARTED, getpid(), 0))
		_exit(3);
	if (way == BY_MONITOR)
		guest_of_monitor(&guest);
	else
		guest_of_session(&guest);
	if (!pci_wait_driver(nvme, "nvme", BACK_MS))
		_exit(6);
	at_step(STEP_END);
	_exit(0);
}

static pid_t start_holder(enum way way, bool traced)
{
	pid_t child;

	memset(progress, 0, sizeof(*progress));
	progress->step = -1;
	child = fork();
	if (child)
		return child;
	if (traced && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP)))
		_exit(11);
	hold_a_session(way);
	return -1;
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

/* Counts what a directory has, or -1. */
static int nr_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int n = 0;

	if (!dir)
		return -1;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.' && d->d_type == DT_DIR)
			n++;
	closedir(dir);
	return n;
}

/* Pages that are pinned for DMA in the whole machine. */
static long long pinned(void)
{
	long long taken = -1, given = 0, value;
	char name[64];
	FILE *f = fopen("/proc/vmstat", "re");

	while (f && fscanf(f, "%63s %lld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			taken = value;
		if (!strcmp(name, "nr_foll_pin_released"))
			given = value;
	}
	if (f)
		fclose(f);
	return taken - given;
}

static int nr_sessions(void)
{
	FILE *out = popen("${MICA:-mica} guest list --json | jq '.sessions | length'",
			  "r");
	int n = -1;

	if (out && fscanf(out, "%d", &n) != 1)
		n = -1;
	if (out)
		pclose(out);
	return n;
}

static bool nothing_left(void)
{
	return !nr_entries("/sys/kernel/debug/kvm") && !pinned() &&
	       nr_sessions() == sessions;
}

static bool all_back(void)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	if (!is_back(nvme, "nvme") || !is_back(pair[0], "") ||
	    !is_back(pair[1], "") || !pci_nvme_reads(nvme, BACK_MS))
		return false;
	while (!nothing_left()) {
		if (now_ns() > end) {
			printf("# left: %d VMs, %lld pinned pages, %d sessions of %d\n",
			       nr_entries("/sys/kernel/debug/kvm"), pinned(),
			       nr_sessions(), sessions);
			return false;
		}
		sleep_us(5000);
	}
	return true;
}

/* Lets a traced child go on to the @nth stop, or to the last step. */
static unsigned int trace(pid_t child, unsigned int nth, int *status)
{
	unsigned int stops = 0;

	waitpid(child, status, 0);
	while (stops < nth && WIFSTOPPED(*status) &&
	       step_of_child() < STEP_RESTORE) {
		ptrace(PTRACE_SYSCALL, child, NULL, NULL);
		waitpid(child, status, 0);
		stops++;
	}
	return stops;
}

static bool ended_well(int status)
{
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	printf("# a run that nobody killed failed: status %#x in step %d\n",
	       status, step_of_child());
	return false;
}

/* How long each step takes when nobody is killed, and how many stops there are. */
static bool measure(enum way way, struct measured *m)
{
	int status;
	pid_t child;
	unsigned int i;

	waitpid(start_holder(way, false), &status, 0);
	if (!ended_well(status))
		return false;
	for (i = 0; i < way_of[way].nr; i++) {
		enum step_of_holder step = way_of[way].step[i];
		enum step_of_holder next = i + 1 < way_of[way].nr ?
					   way_of[way].step[i + 1] : STEP_END;

		m->took[step] = progress->at[next] - progress->at[step];
	}
	if (!all_back())
		return false;
	child = start_holder(way, true);
	m->stops = trace(child, ~0u, &status);
	ptrace(PTRACE_DETACH, child, NULL, NULL);
	waitpid(child, &status, 0);
	return ended_well(status) && all_back();
}

struct hits {
	unsigned int step[STEP_END];
	unsigned int at_call;
	unsigned int claim_on[3];	/* where NVMe stood: nvme, none, vfio */
};

static void hit(pid_t child, struct hits *hits)
{
	const char *driver;
	int seen;

	kill(child, SIGKILL);
	driver = pci_driver(nvme);
	waitpid(child, NULL, 0);
	seen = step_of_child();
	if (seen < 0)
		seen = STEP_CLAIM;
	if (seen == STEP_END)
		seen = STEP_RESTORE;
	hits->step[seen]++;
	if (seen == STEP_CLAIM)
		hits->claim_on[!*driver ? 1 : strcmp(driver, "nvme") ? 2 : 0]++;
}

/* A holder that came to its end before it could be hit is let go: try again. */
static bool kill_within(enum way way, enum step_of_holder step,
			unsigned long long took, struct hits *hits)
{
	int status;
	pid_t child;

	child = start_holder(way, false);
	while (step_of_child() < (int)step) {
		if (waitpid(child, &status, WNOHANG) != child)
			continue;
		if (!ended_well(status) || !all_back())
			return false;
		child = start_holder(way, false);
	}
	sleep_us(random() % (took / 1000 + 1));
	hit(child, hits);
	return true;
}

/* At the beginning or the end of a system call. */
static bool kill_at_call(enum way way, unsigned int nth, struct hits *hits)
{
	pid_t child = start_holder(way, true);
	int status;

	trace(child, nth, &status);
	if (WIFEXITED(status))
		return ended_well(status);
	hit(child, hits);
	hits->at_call++;
	return true;
}

static void print_hits(const struct hits *hits)
{
	unsigned int i;

	for (i = 0; i < STEP_END; i++)
		printf("# %-20s %4u\n", step_name[i], hits->step[i]);
	printf("# at a system call %u, in between the others\n", hits->at_call);
	printf("# in the claim, NVMe was on nvme %u, on none %u, on vfio-pci %u times\n",
	       hits->claim_on[0], hits->claim_on[1], hits->claim_on[2]);
}

/* The first step that was hit less often than @wanted, or STEP_END. */
static enum step_of_holder missed(const struct hits *hits, unsigned int wanted)
{
	enum step_of_holder step = STEP_CLAIM;

	while (step < STEP_END && hits->step[step] >= wanted)
		step++;
	return step;
}

static enum way way_with(enum step_of_holder step)
{
	return step < STEP_CREATE || step == STEP_RESTORE ? BY_MONITOR :
							    BY_SESSION;
}

/* Every other one at a system call; what is missed in the end, at its very start. */
static bool kill_one(const struct measured *m, unsigned int i,
		     unsigned int kills, unsigned int wanted, struct hits *hits)
{
	enum step_of_holder step = aim[i / 2 % ARRAY_SIZE(aim)].step;
	enum way way = aim[i / 2 % ARRAY_SIZE(aim)].way;

	if (i >= kills) {
		step = missed(hits, wanted);
		return kill_within(way_with(step), step, 0, hits);
	}
	if (i % 2)
		return kill_at_call(way, 1 + random() % m[way].stops, hits);
	return kill_within(way, step, m[way].took[step], hits);
}

int main(void)
{
	unsigned int kills = from_env("MICA_KILLS", 50), back = 0, i;
	unsigned int seed = from_env("MICA_SEED", time(NULL));
	unsigned int wanted = kills / 50;
	struct measured m[WAYS] = {};
	struct hits hits = {};

	ksft_print_header();
	ksft_set_plan(4);
	setvbuf(stdout, NULL, _IOLBF, 0);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED || module_load() ||
	    !pci_find(pci_is_plain_nvme, &nvme, 1) ||
	    pci_find(pci_is_edu_paired, pair, 2) != 2)
		ksft_exit_fail_msg("no module, no nvme or no pair of edu\n");
	memcpy(claimed[0], nvme, BDF_LEN);
	memcpy(claimed[1], pair[0], BDF_LEN);
	sessions = nr_sessions();
	/* The first time, vfio-pci is loaded. */
	if (!measure(BY_MONITOR, m) || !measure(BY_MONITOR, m) ||
	    !measure(BY_SESSION, m + 1))
		ksft_exit_fail_msg("not even undisturbed\n");

	printf("# seed %u; %u and %u stops at system calls\n", seed,
	       m[0].stops, m[1].stops);
	srandom(seed);
	for (i = 0; i < kills ||
	     (i < 4 * kills && missed(&hits, wanted) != STEP_END); i++) {
		if (!kill_one(m, i, kills, wanted, &hits) || !all_back())
			break;
		back++;
	}
	print_hits(&hits);
	ksft_test_result(back == i && i >= kills,
			 "%u of %u times back on the driver\n", back, i);
	ksft_test_result(missed(&hits, wanted) == STEP_END,
			 "every step was hit at least %u times\n", wanted);
	ksft_test_result(hits.at_call >= kills / 4,
			 "%u were killed at a system call\n", hits.at_call);
	ksft_test_result(!module_unload(BACK_MS),
			 "nothing is left that keeps the module\n");
	ksft_finished();
}
