// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command that mica guest exec runs: as which user, with which limits, and
 * that it does not outlive mica.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "guest_exec.h"

#define NODE_WAIT_MS	5000
#define NODE_POLL_MS	20

/* As passwd has it, or a number; a usage error if there is no such user. */
void child_set_user(struct child_setup *setup, const char *user)
{
	struct passwd *pw = getpwnam(user);
	uint64_t uid;

	if (!pw && parse_number(user, 10, UINT32_MAX - 1, &uid))
		pw = getpwuid((uid_t)uid);
	if (!pw)
		usage_error("there is no user '%s'", user);
	child_setup_free(setup);
	setup->user = xstrdup(pw->pw_name);
	setup->home = xstrdup(pw->pw_dir);
	setup->uid = pw->pw_uid;
	setup->gid = pw->pw_gid;
}

void child_setup_free(struct child_setup *setup)
{
	free(setup->user);
	free(setup->home);
	setup->user = NULL;
	setup->home = NULL;
}

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/*
 * Better to find out before a device has been taken from its driver. Returns an
 * exit code.
 */
int child_check_command(const struct child_setup *setup)
{
	char *copy CLEANUP(free_string) = NULL;
	const char *name = setup->command[0];
	char *rest, *dir;
	bool there = false;

	copy = xstrdup(getenv("PATH") ?: "/usr/bin:/bin");
	rest = copy;
	if (strchr(name, '/')) {
		there = is_program(name);
	} else {
		while (!there && (dir = strsep(&rest, ":"))) {
			char *file CLEANUP(free_string) = NULL;

			file = xprintf("%s/%s", *dir ? dir : ".", name);
			there = is_program(file);
		}
	}
	if (!there)
		return fail("there is no program '%s' to be run", name);
	return MICA_OK;
}

/* Where udev runs it sets owner and mode of a new node: after us, or before. */
static void settle_udev(void)
{
	static char * const argv[] = {
		"udevadm", "settle", "--timeout=10", NULL
	};
	pid_t pid;

	if (access("/run/udev/control", F_OK))
		return;
	if (!posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

static bool is_node(int fd, dev_t rdev)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == rdev;
}

static int open_node(const char *path, dev_t rdev)
{
	static const struct timespec pause = {
		.tv_nsec = NODE_POLL_MS * 1000000L,
	};
	int i, fd;

	for (i = 0; i < NODE_WAIT_MS / NODE_POLL_MS; i++) {
		fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && is_node(fd, rdev))
			return fd;
		if (fd >= 0)
			close(fd);
		nanosleep(&pause, NULL);
	}
	return -1;
}

/*
 * Makes the user the owner of /dev/vfio/GROUP. There is no way back to care
 * for: the node goes when vfio-pci lets the group go. Returns an exit code.
 */
int child_give_group(const struct child_setup *setup, const char *group)
{
	char *path CLEANUP(free_string) = xprintf("/dev/vfio/%s", group);
	char *dev CLEANUP(free_string) = NULL;
	int fd CLEANUP(close_fd) = -1;
	unsigned int major, minor;

	dev = read_line("/sys/class/vfio/%s/dev", group);
	if (!dev || sscanf(dev, "%u:%u", &major, &minor) != 2)
		return fail("VFIO does not know IOMMU group %s", group);
	settle_udev();
	fd = open_node(path, makedev(major, minor));
	if (fd < 0)
		return fail("%s did not appear; is /dev a devtmpfs, or udev running?",
			    path);
	if (fchownat(fd, "", setup->uid, (gid_t)-1, AT_EMPTY_PATH))
		return fail("cannot give %s to %s: %s", path, setup->user,
			    strerror(errno));
	return MICA_OK;
}

/* Why the child did not come to run the command; it goes through a pipe. */
struct child_error {
	int error;
	char step[28];
};

static void __noreturn child_fail(int report, const char *step)
{
	struct child_error why = { .error = errno };

	snprintf(why.step, sizeof(why.step), "%s", step);
	if (write(report, &why, sizeof(why)) != sizeof(why))
		_exit(126);
	_exit(127);
}

static void become_user(const struct child_setup *setup, int report)
{
	if (initgroups(setup->user, setup->gid) || setgid(setup->gid) ||
	    setuid(setup->uid))
		child_fail(report, "cannot become the user");
	setenv("USER", setup->user, 1);
	setenv("LOGNAME", setup->user, 1);
	setenv("HOME", setup->home, 1);
}

static void __noreturn child_run(const struct child_setup *setup, int report,
				 pid_t parent)
{
	struct rlimit limit = { setup->memlock, setup->memlock };

	if (setup->set_memlock && setrlimit(RLIMIT_MEMLOCK, &limit))
		child_fail(report, "cannot set --memlock");
	if (setup->user)
		become_user(setup, report);
	/*
	 * A change of user forgets this, so it comes after that; and the parent
	 * may have died before it.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		child_fail(report, "prctl");
	if (getppid() != parent)
		_exit(127);
	sigprocmask(SIG_SETMASK, &setup->mask, NULL);
	execvp(setup->command[0], setup->command);
	child_fail(report, setup->command[0]);
}

/* The process that runs the command, or -1 after a message. */
pid_t child_start(const struct child_setup *setup)
{
	pid_t parent = getpid(), pid;
	struct child_error why;
	int report[2];
	ssize_t len;

	if (pipe2(report, O_CLOEXEC)) {
		fail("pipe: %s", strerror(errno));
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (!pid)
		child_run(setup, report[1], parent);
	close(report[1]);
	if (pid < 0) {
		fail("fork: %s", strerror(errno));
	} else {
		do {
			len = read(report[0], &why, sizeof(why));
		} while (len < 0 && errno == EINTR);
		if (len == sizeof(why)) {
			waitpid(pid, NULL, 0);
			fail("%s: %s", why.step, strerror(why.error));
			pid = -1;
		}
	}
	close(report[0]);
	return pid;
}
