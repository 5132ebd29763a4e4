// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGKILL of the process that holds a session, drawn over the steps of claim,
 * guest and restore: at some time within a step, at a system call, or within what
 * the kernel does for it, which is then made to last. The guest is what a monitor
 * makes by itself, or what the session makes; or the session has virtual functions
 * made. Each time every function has to be back on its driver, the disks have to
 * read, and no session, VM, pinned page or user of VFIO or KVM may be left.
 *
 * MICA_KILLS and MICA_SEED in the environment set how many and which, and with
 * MICA_LONG there are 1,000; each step is hit at least once in 50 kills.
 */
#include <libgen.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include "flat.h"
#include "left.h"
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
	STEP_VFS,
	STEP_RESTORE,
	STEP_END,
};

static const char *const step_name[] = {
	"claim", "VFIO group and DMA", "VFIO device", "monitor's guest runs",
	"close the device", "MICA_GUEST_CREATE", "memory and VCPU",
	"MICA_GUEST_IRQ", "session's guest runs", "MICA_GUEST_VFS", "restore",
};

/*
 * A monitor does it by itself, or the session does; or there is no guest, but
 * virtual functions.
 */
enum way { BY_MONITOR, BY_SESSION, BY_VFS, WAYS };

static const struct {
	enum step_of_holder step[STEP_END];
	unsigned int nr;
} way_of[WAYS] = {
	{ { STEP_CLAIM, STEP_GROUP, STEP_DEVICE, STEP_USE, STEP_LEAVE,
	    STEP_RESTORE }, 6 },
	{ { STEP_CLAIM, STEP_CREATE, STEP_MAP, STEP_IRQ, STEP_RUN,
	    STEP_RESTORE }, 6 },
	{ { STEP_VFS, STEP_RESTORE }, 2 },
};

/* What the kernel does in a step, by the function that begins it. */
static const struct {
	enum way way;
	enum step_of_holder step;
	const char *function;
	const char *what;
} inner[] = {
	{ BY_MONITOR, STEP_CLAIM, "mica_check_function", "look at it" },
	{ BY_MONITOR, STEP_CLAIM, "mica_custody_reserve", "reserve" },
	{ BY_MONITOR, STEP_CLAIM, "mica_inuse", "is it in use" },
	{ BY_MONITOR, STEP_CLAIM, "mica_custody_record", "record" },
	{ BY_MONITOR, STEP_CLAIM, "mica_override_write", "driver_override" },
	{ BY_MONITOR, STEP_CLAIM, "mica_driver_unbind", "unbind" },
	{ BY_MONITOR, STEP_CLAIM, "mica_driver_bind", "bind vfio-pci" },
	{ BY_MONITOR, STEP_CLAIM, "mica_custody_unplugged", "check" },
	{ BY_MONITOR, STEP_CLAIM, "mica_custody_keep", "keep" },
	{ BY_SESSION, STEP_CREATE, "mica_file_ioctl", "VM, IOMMU" },
	{ BY_SESSION, STEP_CREATE, "mica_vfio_open", "open groups" },
	{ BY_SESSION, STEP_CREATE, "mica_vfio_attach", "attach groups" },
	{ BY_SESSION, STEP_CREATE, "mica_vfio_devices", "open functions" },
	{ BY_SESSION, STEP_CREATE, "mica_args_ioctl", "ioctl" },
	{ BY_SESSION, STEP_CREATE, "mica_fd_take", "take a descriptor" },
	{ BY_SESSION, STEP_MAP, "mica_args_ioctl", "ioctl" },
	{ BY_SESSION, STEP_MAP, "mica_args_close", "mapped" },
	{ BY_SESSION, STEP_IRQ, "mica_args_ioctl", "ioctl" },
	{ BY_VFS, STEP_VFS, "mica_custody_reserve_pf", "reserve" },
	{ BY_VFS, STEP_VFS, "mica_custody_making", "make" },
	{ BY_VFS, STEP_VFS, "mica_override_write", "driver_override" },
	{ BY_VFS, STEP_VFS, "mica_driver_is", "check" },
	{ BY_SESSION, STEP_RESTORE, "mica_restore", "begin" },
	{ BY_SESSION, STEP_RESTORE, "iommu_group_dma_owner_claimed",
	  "wait for DMA" },
	{ BY_SESSION, STEP_RESTORE, "mica_driver_unbind", "unbind" },
	{ BY_SESSION, STEP_RESTORE, "pci_reset_function", "reset" },
	{ BY_SESSION, STEP_RESTORE, "mica_override_write", "driver_override" },
	{ BY_SESSION, STEP_RESTORE, "mica_driver_bind", "bind" },
	{ BY_SESSION, STEP_RESTORE, "mica_custody_release", "release" },
	{ BY_VFS, STEP_RESTORE, "mica_vf_unbind", "unbind" },
	{ BY_VFS, STEP_RESTORE, "mica_pf_remove_vfs", "remove" },
};

#define INNER		ARRAY_SIZE(inner)
#define MAX_DELAY_US	20000
#define STEP_MODULE	"/sys/module/mica_step/parameters"

/* Where the child is, for the parent to see. */
struct progress {
	int step;
	bool counts;
	unsigned long long at[STEP_END + 1];
	unsigned int calls[STEP_END + 1][INNER];
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
	{ BY_SESSION, STEP_RESTORE }, { BY_VFS, STEP_VFS },
};

/*
 * What an undisturbed run took: of each step, and system calls before the end; and
 * the calls of each function, before its step and in it.
 */
struct measured {
	unsigned long long took[STEP_END];
	unsigned int stops;
	unsigned int before[INNER];
	unsigned int calls[INNER];
};

static char claimed[2][BDF_LEN];
static char nvme[BDF_LEN], pair[2][BDF_LEN], pf[BDF_LEN];
static struct progress *progress;

static long vfs_now(void)
{
	return pci_nr_vfs(pf);
}

static const struct {
	const char *what;
	long (*now)(void);
} left[] = {
	{ "sessions", sessions_now },
	{ "VMs", vms_now },
	{ "pinned pages", pinned_now },
	{ "users of KVM and VFIO", users_now },
	{ "virtual functions", vfs_now },
};

/* What other tests left to be looked at is no concern. */
static long at_first[ARRAY_SIZE(left)];

static void count_calls(unsigned int calls[INNER])
{
	FILE *text = fopen(STEP_MODULE "/calls", "re");
	unsigned int i = 0;

	while (text && i < INNER && fscanf(text, "%u", &calls[i]) == 1)
		i++;
	if (i < INNER)
		_exit(13);
	fclose(text);
}

static void at_step(enum step_of_holder step)
{
	progress->at[step] = now_ns();
	if (progress->counts)
		count_calls(progress->calls[step]);
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

static bool in_custody(const char *bdf)
{
	struct mica_device_info info;
	int fd = session_open();

	session_info(fd, bdf, 0, &info, NULL, 0);
	close(fd);
	return info.session;
}

/*
 * The session is ended while it is open, so that a kill can meet the way back; what
 * the guest had open keeps its functions for a moment.
 */
static void end_session(int session)
{
	struct mica_reason why;

	at_step(STEP_RESTORE);
	if (session_end(session, session_id(session), &why)) {
		printf("# end: %s\n", why.text);
		_exit(14);
	}
	sleep_us(5000);
}

static void wait_for_restore(int session)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	while (in_custody(nvme) || in_custody(pair[0]) || in_custody(pair[1]) ||
	       pci_nr_vfs(pf)) {
		if (now_ns() > end)
			_exit(15);
		sleep_us(2000);
	}
	close(session);
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
	int session = dup(guest->session), i;

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
	end_session(session);
	flat_end(&flat);
	wait_for_restore(session);
}

static void claim_for_guest(struct guest *guest)
{
	int err;

	at_step(STEP_CLAIM);
	err = session_claim_many(guest->session, claimed, 2, MICA_CLAIM_GROUP,
				 NULL, &guest->why);
	if (err) {
		printf("# claim: %s: %s\n", strerror(err), guest->why.text);
		_exit(2);
	}
	if (session_note(guest->session, MICA_GUEST_STARTED, getpid(), 0))
		_exit(3);
}

static void vfs_of_session(struct guest *guest)
{
	struct mica_pci_addr addr[2];
	int err;

	at_step(STEP_VFS);
	err = session_vfs(guest->session, pf, addr, 2, &guest->why);
	if (err) {
		printf("# vfs: %s: %s\n", strerror(err), guest->why.text);
		_exit(16);
	}
	end_session(guest->session);
	wait_for_restore(guest->session);
}

static void hold_a_session(enum way way)
{
	struct guest guest = { session_open(), -1, -1, -1, {} };

	if (guest.session < 0)
		_exit(1);
	if (way != BY_VFS)
		claim_for_guest(&guest);
	if (way == BY_MONITOR)
		guest_of_monitor(&guest);
	else if (way == BY_SESSION)
		guest_of_session(&guest);
	else
		vfs_of_session(&guest);
	if (!pci_wait_driver(nvme, "nvme", BACK_MS))
		_exit(6);
	at_step(STEP_END);
	_exit(0);
}

/* With @kill, calls are counted; it tells at which one the child is killed. */
static pid_t start_holder(enum way way, bool traced, const char *kill)
{
	pid_t child;

	memset(progress, 0, sizeof(*progress));
	progress->step = -1;
	progress->counts = kill;
	child = fork();
	if (child)
		return child;
	if (kill && write_text(STEP_MODULE "/kill", kill))
		_exit(12);
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

static bool nothing_left(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(left); i++)
		if (left[i].now() != at_first[i])
			return false;
	return true;
}

static void print_left(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(left); i++)
		printf("# left: %ld %s, there were %ld\n", left[i].now(),
		       left[i].what, at_first[i]);
}

static bool all_back(void)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	if (!is_back(nvme, "nvme") || !is_back(pair[0], "") ||
	    !is_back(pair[1], "") || !is_back(pf, "nvme") ||
	    !pci_nvme_reads(nvme, BACK_MS) || !pci_nvme_reads(pf, BACK_MS))
		return false;
	while (!nothing_left()) {
		if (now_ns() > end) {
			print_left();
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

static enum step_of_holder step_after(enum way way, enum step_of_holder step)
{
	unsigned int i = 0;

	while (way_of[way].step[i] != step)
		i++;
	return i + 1 < way_of[way].nr ? way_of[way].step[i + 1] : STEP_END;
}

/* How long each step takes when nobody is killed, and what is called in it. */
static void measure_steps(enum way way, struct measured *m)
{
	enum step_of_holder step, next;
	unsigned int i;

	for (i = 0; i < way_of[way].nr; i++) {
		step = way_of[way].step[i];
		next = step_after(way, step);
		m->took[step] = progress->at[next] - progress->at[step];
	}
	for (i = 0; i < INNER; i++) {
		if (inner[i].way != way)
			continue;
		step = inner[i].step;
		next = step_after(way, step);
		m->before[i] = progress->calls[step][i];
		m->calls[i] = progress->calls[next][i] - m->before[i];
	}
}

/* And how many stops there are at system calls. */
static bool measure(enum way way, struct measured *m)
{
	int status;
	pid_t child;

	waitpid(start_holder(way, false, "0 0 0"), &status, 0);
	if (!ended_well(status))
		return false;
	measure_steps(way, m);
	if (!all_back())
		return false;
	child = start_holder(way, true, NULL);
	m->stops = trace(child, ~0u, &status);
	ptrace(PTRACE_DETACH, child, NULL, NULL);
	waitpid(child, &status, 0);
	return ended_well(status) && all_back();
}

static bool all_called(const struct measured *m)
{
	bool all = true;
	unsigned int i;

	for (i = 0; i < INNER; i++) {
		if (m[inner[i].way].calls[i])
			continue;
		printf("# %s is not called in %s\n", inner[i].function,
		       step_name[inner[i].step]);
		all = false;
	}
	return all;
}

struct hits {
	unsigned int step[STEP_END];
	unsigned int inner[INNER];
	unsigned int at_call;
	unsigned int claim_on[3];	/* where NVMe stood: nvme, none, vfio */
	unsigned int nr_aimed;
	unsigned int nr_inner;
};

static enum step_of_holder hit(enum way way, struct hits *hits)
{
	int seen = step_of_child();

	if (seen < 0)
		seen = way_of[way].step[0];
	if (seen == STEP_END)
		seen = STEP_RESTORE;
	hits->step[seen]++;
	return seen;
}

static void kill_now(enum way way, pid_t child, struct hits *hits)
{
	const char *driver;

	kill(child, SIGKILL);
	driver = pci_driver(nvme);
	waitpid(child, NULL, 0);
	if (hit(way, hits) == STEP_CLAIM)
		hits->claim_on[!*driver ? 1 : strcmp(driver, "nvme") ? 2 : 0]++;
}

/* A holder that came to its end before it could be hit is let go: try again. */
static bool kill_within(enum way way, enum step_of_holder step,
			unsigned long long took, struct hits *hits)
{
	int status;
	pid_t child;

	child = start_holder(way, false, NULL);
	while (step_of_child() < (int)step) {
		if (waitpid(child, &status, WNOHANG) != child)
			continue;
		if (!ended_well(status) || !all_back())
			return false;
		child = start_holder(way, false, NULL);
	}
	sleep_us(random() % (took / 1000 + 1));
	kill_now(way, child, hits);
	return true;
}

/* At the beginning or the end of a system call. */
static bool kill_at_call(enum way way, unsigned int nth, struct hits *hits)
{
	pid_t child = start_holder(way, true, NULL);
	int status;

	trace(child, nth, &status);
	if (WIFEXITED(status))
		return ended_well(status);
	kill_now(way, child, hits);
	hits->at_call++;
	return true;
}

/*
 * One of the calls that begin an inner step, which goes on some time later. What
 * waits for others may be called less often than it was.
 */
static bool kill_inside(unsigned int i, const struct measured *m,
			struct hits *hits)
{
	enum way way = inner[i].way;
	char kill[64];
	int status;

	snprintf(kill, sizeof(kill), "%u %lu %lu", i,
		 m[way].before[i] + 1 + random() % m[way].calls[i],
		 random() % MAX_DELAY_US);
	waitpid(start_holder(way, false, kill), &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		return ended_well(status);
	hit(way, hits);
	hits->inner[i]++;
	return true;
}

static void print_hits(const struct hits *hits)
{
	unsigned int i;

	for (i = 0; i < STEP_END; i++)
		printf("# %-20s %4u\n", step_name[i], hits->step[i]);
	for (i = 0; i < INNER; i++)
		printf("# %-20s %4u  %s: %s\n", step_name[inner[i].step],
		       hits->inner[i], inner[i].what, inner[i].function);
	printf("# at a system call %u, in between the others\n", hits->at_call);
	printf("# in the claim, NVMe was on nvme %u, on none %u, on vfio-pci %u times\n",
	       hits->claim_on[0], hits->claim_on[1], hits->claim_on[2]);
}

/* The first of @nr that was hit less often than @wanted, or @nr. */
static unsigned int missed(const unsigned int *hits, unsigned int nr,
			   unsigned int wanted)
{
	unsigned int i = 0;

	while (i < nr && hits[i] >= wanted)
		i++;
	return i;
}

static enum way way_with(enum step_of_holder step)
{
	if (step == STEP_VFS)
		return BY_VFS;
	return step < STEP_CREATE || step == STEP_RESTORE ? BY_MONITOR :
							    BY_SESSION;
}

static bool enough(const struct hits *hits, unsigned int wanted)
{
	return missed(hits->step, STEP_END, wanted) == STEP_END &&
	       missed(hits->inner, INNER, wanted) == INNER;
}

/* What was missed in the end: an inner step, or one at its very start. */
static bool kill_missed(const struct measured *m, unsigned int wanted,
			struct hits *hits)
{
	unsigned int i = missed(hits->inner, INNER, wanted);
	enum step_of_holder step = missed(hits->step, STEP_END, wanted);

	return i < INNER ? kill_inside(i, m, hits) :
			   kill_within(way_with(step), step, 0, hits);
}

/* Of eight, two at a system call and one at some time; the others further in. */
static bool kill_one(const struct measured *m, unsigned int i, struct hits *hits)
{
	enum step_of_holder step;
	enum way way;

	if (i % 4 != 1 && i % 8 != 3)
		return kill_inside(hits->nr_inner++ % INNER, m, hits);
	step = aim[hits->nr_aimed % ARRAY_SIZE(aim)].step;
	way = aim[hits->nr_aimed++ % ARRAY_SIZE(aim)].way;
	if (i % 4 == 1)
		return kill_at_call(way, 1 + random() % m[way].stops, hits);
	return kill_within(way, step, m[way].took[step], hits);
}

/* Beside the module. */
static int step_module_load(void)
{
	char ko[PATH_MAX], path[PATH_MAX + 32], args[INNER * 40] = "functions=";
	unsigned int i;

	for (i = 0; i < INNER; i++) {
		strcat(args, i ? "," : "");
		strcat(args, inner[i].function);
	}
	snprintf(ko, sizeof(ko), "%s", getenv("MICA_KO") ?: "");
	snprintf(path, sizeof(path), "%s/tests/mica_step.ko", dirname(ko));
	return module_insert(path, args);
}

static void prepare(struct measured *m)
{
	unsigned int i;
	int err;

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED || module_load() ||
	    !pci_find(pci_is_plain_nvme, &nvme, 1) ||
	    !pci_find(pci_is_pf, &pf, 1) ||
	    pci_find(pci_is_edu_paired, pair, 2) != 2)
		ksft_exit_fail_msg("no module, no nvme, no PF or no pair of edu\n");
	memcpy(claimed[0], nvme, BDF_LEN);
	memcpy(claimed[1], pair[0], BDF_LEN);
	err = step_module_load();
	if (err)
		ksft_exit_fail_msg("mica_step.ko: %s; the kernel log may tell which function is not there\n",
				   strerror(-err));
	/* These use one another, which is not what is counted. */
	if (system("modprobe -a vfio-pci vfio_iommu_type1"))
		ksft_exit_fail_msg("no vfio-pci\n");
	for (i = 0; i < ARRAY_SIZE(left); i++)
		at_first[i] = left[i].now();
	for (i = 0; i < WAYS; i++)
		if (!measure(i, &m[i]))
			ksft_exit_fail_msg("not even undisturbed\n");
	if (!all_called(m))
		ksft_exit_fail_msg("a step is not where it was\n");
}

int main(void)
{
	bool is_long = *(getenv("MICA_LONG") ?: "");
	unsigned int kills = from_env("MICA_KILLS", is_long ? 1000 : 50);
	unsigned int back = 0, i;
	unsigned int seed = from_env("MICA_SEED", time(NULL));
	unsigned int wanted = kills / 50;
	struct measured m[WAYS] = {};
	struct hits hits = {};

	ksft_print_header();
	ksft_set_plan(5);
	setvbuf(stdout, NULL, _IOLBF, 0);
	prepare(m);
	printf("# seed %u; %u, %u and %u stops at system calls\n", seed,
	       m[0].stops, m[1].stops, m[2].stops);
	srandom(seed);
	for (i = 0; i < kills || (i < 4 * kills && !enough(&hits, wanted)); i++) {
		if (!(i < kills ? kill_one(m, i, &hits) :
				  kill_missed(m, wanted, &hits)) || !all_back())
			break;
		back++;
	}
	print_hits(&hits);
	ksft_test_result(back == i && i >= kills,
			 "%u of %u times back on the driver\n", back, i);
	ksft_test_result(missed(hits.step, STEP_END, wanted) == STEP_END,
			 "every step was hit at least %u times\n", wanted);
	ksft_test_result(missed(hits.inner, INNER, wanted) == INNER,
			 "and every one within, while it lasted\n");
	ksft_test_result(hits.at_call >= kills / 5,
			 "%u were killed at a system call\n", hits.at_call);
	ksft_test_result(!module_remove("mica_step", BACK_MS) &&
			 !module_unload(BACK_MS),
			 "nothing is left that keeps the module\n");
	ksft_finished();
}
