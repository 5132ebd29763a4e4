// SPDX-License-Identifier: GPL-2.0-only
/*
 * mica guest exec: holds devices for as long as a command runs.
 *
 * The session is a descriptor of this process and of no other. Whatever ends
 * this process closes it, and the kernel gives the devices back; the command
 * dies with this process.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dev.h"
#include "guest_exec.h"
#include "nl.h"
#include "pci.h"
#include "way_back.h"

static const char help[] =
	"Usage: mica guest exec [--device DEVICE...] [--vf DEVICE...] [OPTION...]\n"
	"                       -- COMMAND [ARGUMENT...]\n"
	"\n"
	"Takes devices from their drivers, runs COMMAND (a VMM that opens /dev/vfio/N\n"
	"itself), and gives them back when it has ended, however it or mica ended. When\n"
	"mica dies, COMMAND is killed. Exit code: that of COMMAND, 128 and the number of\n"
	"the signal that killed it, or 1 if mica failed or a device did not come back.\n"
	"\n"
	"  -d, --device DEVICE  a PCI function: 0000:01:00.0 or 01:00.0; may be repeated\n"
	"  -v, --vf DEVICE      make a virtual function of this one, which stays at work; may\n"
	"                       be repeated. COMMAND finds their addresses in $MICA_VFS\n"
	"  -s, --vf-setup CMD   run CMD by a shell for each, before COMMAND, with $MICA_PF,\n"
	"                       $MICA_VF and $MICA_VF_INDEX; COMMAND runs if it succeeds\n"
	"  -g, --group          take the rest of the IOMMU group of each --device along\n"
	"  -f, --force          take each --device even if it serves the host\n"
	"  -u, --user USER      run COMMAND as this user, who gets /dev/vfio/N\n"
	"  -m, --memlock SIZE   let COMMAND lock that much memory: bytes, K, M, G, T, or\n"
	"                       unlimited\n"
	"  -h, --help           this text\n";

struct guest {
	struct mica_pci_addr device[MICA_CLAIM_MAX];
	uint32_t nr_devices;
	uint32_t claim_flags;
	struct vfs vfs;
	struct child_setup setup;

	int signals;
	int session;
	uint32_t id;
	struct nl_sock *dumps;
	struct nl_sock *events;
	int caught;			/* signal that made us give up, or 0 */
	bool ended;			/* the session was, by somebody else */
};

static void parse_memlock(struct child_setup *setup, const char *text)
{
	uint64_t bytes;

	setup->set_memlock = true;
	if (!strcmp(text, "unlimited")) {
		setup->memlock = RLIM_INFINITY;
		return;
	}
	if (!parse_size(text, &bytes))
		usage_error("'%s' is not a size, as 4G is, and not 'unlimited'",
			    text);
	setup->memlock = bytes;
}

static void parse(struct guest *guest, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "vf", required_argument, NULL, 'v' },
		{ "vf-setup", required_argument, NULL, 's' },
		{ "group", no_argument, NULL, 'g' },
		{ "force", no_argument, NULL, 'f' },
		{ "user", required_argument, NULL, 'u' },
		{ "memlock", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	while ((c = next_option(argc, argv, "+:d:v:s:gfu:m:h", longs, help)) != -1) {
		switch (c) {
		case 'd':
			if (guest->nr_devices == MICA_CLAIM_MAX)
				usage_error("more than %d devices",
					    MICA_CLAIM_MAX);
			pci_addr_argument(optarg,
					  &guest->device[guest->nr_devices++]);
			break;
		case 'v':
			vfs_want(&guest->vfs, optarg);
			break;
		case 's':
			guest->vfs.setup = optarg;
			break;
		case 'g':
			guest->claim_flags |= MICA_CLAIM_GROUP;
			break;
		case 'f':
			guest->claim_flags |= MICA_CLAIM_FORCE;
			break;
		case 'u':
			child_set_user(&guest->setup, optarg);
			break;
		case 'm':
			parse_memlock(&guest->setup, optarg);
			break;
		}
	}
	if (!guest->nr_devices && !guest->vfs.nr)
		usage_error("wants --device or --vf");
	if (guest->vfs.setup && !guest->vfs.nr)
		usage_error("--vf-setup wants --vf");
	if (optind == argc)
		usage_error("wants a command to run");
	guest->setup.command = argv + optind;
}

/*
 * From here on signals come by a descriptor. One that whoever started us has
 * told to be ignored stays ignored.
 */
static int catch_signals(struct guest *guest)
{
	static const int which[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
	sigset_t mask;
	size_t i;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&mask);
	for (i = 0; i < ARRAY_SIZE(which); i++)
		sigaddset(&mask, which[i]);
	sigprocmask(SIG_BLOCK, &mask, &guest->setup.mask);
	guest->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (guest->signals < 0)
		return fail("signalfd: %s", strerror(errno));
	return MICA_OK;
}

/* The number of the next signal, or 0. */
static int next_signal(struct guest *guest, struct signalfd_siginfo *info)
{
	if (read(guest->signals, info, sizeof(*info)) != sizeof(*info))
		return 0;
	return (int)info->ssi_signo;
}

/* A signal that asks us to end, or 0. */
static int next_end_signal(struct guest *guest)
{
	struct signalfd_siginfo info;
	int signo;

	do {
		signo = next_signal(guest, &info);
	} while (signo == SIGCHLD);
	return signo;
}

/* What was done until now is undone when the session ends. Returns an exit code. */
static int give_up_if_caught(const struct guest *guest)
{
	if (guest->caught)
		return fail("interrupted; what was taken goes back");
	return MICA_OK;
}

static int is_interrupted(struct guest *guest)
{
	guest->caught = next_end_signal(guest);
	return give_up_if_caught(guest);
}

static int open_session(struct guest *guest)
{
	struct mica_info info;

	guest->session = dev_open_or_fail();
	if (guest->session < 0)
		return MICA_FAILED;
	if (dev_info(guest->session, &info))
		return fail("/dev/mica does not answer as this tool expects: %s",
			    strerror(errno));
	guest->id = info.session;

	guest->dumps = family_open();
	guest->events = events_open();
	return guest->dumps && guest->events ? MICA_OK : MICA_FAILED;
}

static int start_claim(struct guest *guest)
{
	struct mica_reason reason = {};
	struct mica_claim claim = {
		.size = sizeof(claim),
		.flags = guest->claim_flags | MICA_CLAIM_ASYNC,
		.devices_ptr = (uintptr_t)guest->device,
		.nr_devices = guest->nr_devices,
		REASON_TO(&reason),
	};

	if (ioctl(guest->session, MICA_CLAIM, &claim))
		return fail("%s", reason_text(&reason, errno));
	return MICA_OK;
}

static int finish_claim(struct guest *guest)
{
	struct mica_reason reason = {};
	struct mica_wait wait = {
		.size = sizeof(wait),
		REASON_TO(&reason),
	};

	if (ioctl(guest->session, MICA_WAIT, &wait))
		return fail("%s", reason_text(&reason, errno));
	return MICA_OK;
}

/* A driver may take minutes to let go; ^C ends the waiting. */
static int claim(struct guest *guest)
{
	struct pollfd fds[] = {
		{ .fd = guest->session, .events = POLLIN },
		{ .fd = guest->signals, .events = POLLIN },
	};
	int timeout = PATIENCE_MS;

	if (start_claim(guest))
		return MICA_FAILED;
	for (;;) {
		int n = poll(fds, ARRAY_SIZE(fds), timeout);

		if (n < 0 && errno != EINTR)
			return fail("poll: %s", strerror(errno));
		if (!n) {
			note("waiting for a driver to let its device go");
			timeout = -1;
		}
		if (is_interrupted(guest))
			return MICA_FAILED;
		if (n > 0 && fds[0].revents)
			return finish_claim(guest);
	}
}

struct giving {
	const struct child_setup *setup;
	int ret;
};

static void give_device(struct nlattr **attrs, void *data)
{
	char *group CLEANUP(free_string) = NULL;
	const char *name = attr_string(attrs, MICA_A_DEVICE_NAME);
	struct giving *giving = data;

	if (giving->ret || !name)
		return;
	group = link_name("/sys/bus/pci/devices/%s/iommu_group", name);
	if (group)
		giving->ret = child_give_group(giving->setup, group);
}

static int give_nodes(struct guest *guest)
{
	struct giving giving = { .setup = &guest->setup };
	int ret;

	if (!guest->setup.user)
		return MICA_OK;
	ret = family_dump(guest->dumps, MICA_CMD_DEVICE_GET, guest->id,
			  give_device, &giving);
	return ret ?: giving.ret;
}

/* For who listens; the guest runs without it just as well. */
static void note_guest(struct guest *guest, uint32_t state, pid_t pid,
		       int status)
{
	struct mica_reason reason = {};
	struct mica_guest_note note_arg = {
		.size = sizeof(note_arg),
		.state = state,
		.pid = (uint32_t)pid,
		.status = status,
		REASON_TO(&reason),
	};

	if (ioctl(guest->session, MICA_GUEST_NOTE, &note_arg))
		note("the guest could not be noted: %s",
		     reason_text(&reason, errno));
}

/*
 * A signal that a terminal sends goes to all processes in the foreground, the
 * command among them; others are meant for the command too, but sent to us.
 */
static void forward(const struct signalfd_siginfo *info, pid_t pid)
{
	if (info->ssi_code != SI_KERNEL)
		kill(pid, (int)info->ssi_signo);
}

/* Somebody has ended the session. The command is to go, too. */
static void give_up_session(struct guest *guest, pid_t pid)
{
	note("session %u was ended; sending SIGTERM to the command", guest->id);
	guest->ended = true;
	kill(pid, SIGTERM);
}

/*
 * Waits for the command, or what is run before it. Returns its wait status; what asked
 * us to end meanwhile is noted.
 */
static int wait_for_child(struct guest *guest, pid_t pid)
{
	struct pollfd fds[] = {
		{ .fd = guest->signals, .events = POLLIN },
		{ .fd = guest->session },
	};
	struct signalfd_siginfo info;
	int status, signo;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		poll(fds, ARRAY_SIZE(fds), -1);
		if (fds[1].revents & POLLHUP) {
			give_up_session(guest, pid);
			fds[1].fd = -1;
		}
		while ((signo = next_signal(guest, &info)))
			if (signo != SIGCHLD) {
				guest->caught = signo;
				forward(&info, pid);
			}
	}
}

/* Runs --vf-setup. Returns an exit code. */
static int run_setup(const char *vf, void *data)
{
	struct guest *guest = data;
	struct child_setup setup = {
		.command = (char *[]) { "sh", "-c", (char *)guest->vfs.setup, NULL },
		.mask = guest->setup.mask,
	};
	pid_t pid = child_start(&setup);
	int status;

	if (pid < 0)
		return MICA_FAILED;
	status = wait_for_child(guest, pid);
	if (give_up_if_caught(guest))
		return MICA_FAILED;
	if (!WIFEXITED(status))
		return fail("--vf-setup for %s was killed by signal %d", vf, WTERMSIG(status));
	if (WEXITSTATUS(status))
		return fail("--vf-setup for %s ended with exit code %d", vf, WEXITSTATUS(status));
	return MICA_OK;
}

static bool session_has_ended(struct guest *guest)
{
	struct pollfd fds = { .fd = guest->session };

	return poll(&fds, 1, 0) > 0;
}

static int run(struct guest *guest)
{
	int status;
	pid_t pid;

	pid = child_start(&guest->setup);
	if (pid < 0)
		return MICA_FAILED;
	note_guest(guest, MICA_GUEST_STARTED, pid, 0);
	status = wait_for_child(guest, pid);
	if (!session_has_ended(guest))
		note_guest(guest, MICA_GUEST_ENDED, 0, status);
	else if (!guest->ended)
		note("session %u was ended", guest->id);
	/* What ended the command need not end the restore. */
	guest->caught = 0;
	while (next_end_signal(guest))
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

/* Returns an exit code. */
static int wait_for_restore(struct guest *guest)
{
	int ret;

	do {
		ret = way_back_wait(guest->dumps, guest->events, guest->id,
				    guest->signals);
		if (ret != WAY_BACK_WOKEN)
			return ret;
		guest->caught = next_end_signal(guest);
	} while (!guest->caught);
	return fail("interrupted; the devices still go back, see 'mica guest list'");
}

static int hold_and_run(struct guest *guest)
{
	int ret = 0, restored;

	if (guest->nr_devices)
		ret = claim(guest);
	if (!ret)
		ret = vfs_make(&guest->vfs, guest->session) ?: is_interrupted(guest);
	if (!ret)
		ret = vfs_set_up(&guest->vfs, run_setup, guest);
	if (!ret)
		ret = give_nodes(guest);
	vfs_tell(&guest->vfs);
	if (!ret)
		ret = run(guest);
	close_fd(&guest->session);
	if (guest->caught)
		ret = 128 + guest->caught;
	restored = wait_for_restore(guest);
	return ret ?: restored;
}

int guest_exec(int argc, char **argv)
{
	struct guest guest = { .signals = -1, .session = -1 };
	int ret;

	parse(&guest, argc, argv);
	ret = child_check_command(&guest.setup);
	if (!ret)
		ret = catch_signals(&guest);
	if (!ret)
		ret = open_session(&guest);
	if (!ret)
		ret = hold_and_run(&guest);
	family_close(&guest.events);
	family_close(&guest.dumps);
	close_fd(&guest.session);
	close_fd(&guest.signals);
	child_setup_free(&guest.setup);
	vfs_free(&guest.vfs);
	return ret;
}
