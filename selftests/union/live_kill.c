// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who changes the branches is killed at moments all over the change. It is done or
 * it is not, and the union goes on.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "../lib/harness.h"
#include "branches.h"
#include "crash.h"
#include "util.h"

#define MOMENTS 6

FIXTURE(live_kill) {};

FIXTURE_SETUP(live_kill)
{
	DO(fresh("ext4"));
	DO(run("mkdir new && echo -n l1 >l1/f && echo -n l2 >l2/f"));
}

FIXTURE_TEARDOWN(live_kill)
{
	EXPECT_EQ(0, leave());
}

/* The argument of the tool that is @ stands for the branch l2. */
static const struct {
	unsigned int command;
	const char *args[8];
	const char *before;
	const char *after;
} changes[] = {
	{ MICA_UNION_ADD, { "add", "--at", "1", "mnt", "l3" },
	  "up=rw l1=ro l2=ro", "up=rw l3=ro l1=ro l2=ro" },
	{ MICA_UNION_ADD, { "add", "--mode", "rw", "--at", "0", "mnt", "l3" },
	  "up=rw l1=ro l2=ro", "l3=rw up=rw l1=ro l2=ro" },
	{ MICA_UNION_DEL, { "del", "mnt", "@" },
	  "up=rw l1=ro l2=ro", "up=rw l1=ro" },
	{ MICA_UNION_MODE, { "mode", "mnt", "@", "rw" },
	  "up=rw l1=ro l2=ro", "up=rw l1=ro l2=rw" },
	{ MICA_UNION_MOVE, { "move", "mnt", "@", "1" },
	  "up=rw l1=ro l2=ro", "up=rw l2=ro l1=ro" },
	{ MICA_UNION_SNAPSHOT, { "snapshot", "mnt", "new" },
	  "up=rw l1=ro l2=ro", "new=rw up=ro l1=ro l2=ro" },
};

static void exec_tool(unsigned int i)
{
	char *args[16] = { getenv("MICA"), "union" };
	unsigned int n;

	for (n = 0; changes[i].args[n]; n++)
		args[n + 2] = strcmp(changes[i].args[n], "@") ?
			      (char *)changes[i].args[n] : (char *)here("l2");
	if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		execv(args[0], args);
	_exit(127);
}

/* Lets it run up to the next entry or end of a system call. */
static int next_stop(pid_t pid, struct __ptrace_syscall_info *info)
{
	int status;

	if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) ||
	    waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(*info), info) > 0 ? 0 : -1;
}

/* The tool, stopped where it is about to make the change. Returns -1 if not. */
static pid_t start_tool(unsigned int i)
{
	struct __ptrace_syscall_info info = {};
	pid_t pid = fork();
	int status;

	if (!pid)
		exec_tool(i);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return -1;
	do {
		if (next_stop(pid, &info))
			return -1;
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_ioctl ||
		 info.entry.args[1] != changes[i].command);
	return pid;
}

/* How long the change takes, in microseconds; 0 if it is not made. */
static unsigned int duration(unsigned int i)
{
	struct __ptrace_syscall_info info;
	pid_t pid = start_tool(i);
	unsigned int begin = now(), usecs;
	int status;

	if (pid < 0 || next_stop(pid, &info))
		return 0;
	usecs = now() - begin;
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL) ||
	    waitpid(pid, &status, 0) != pid || status)
		return 0;
	return usecs + 1;
}

static int kill_after(pid_t pid, unsigned int usecs)
{
	int status;

	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return -1;
	usleep(usecs);
	return kill(pid, SIGKILL) || waitpid(pid, &status, 0) != pid;
}

static int writer_end;

/* Somebody who changes something all the time. Ends when the pipe does. */
static pid_t start_writer(void)
{
	int fds[2];
	pid_t pid;
	char c;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -1;
	pid = fork();
	if (!pid) {
		close(fds[1]);
		while (read(fds[0], &c, 1))
			if (put("mnt/w", "w") || rename("mnt/w", "mnt/v"))
				_exit(1);
		_exit(0);
	}
	close(fds[0]);
	writer_end = fds[1];
	return pid;
}

static int end_writer(pid_t pid)
{
	int status;

	close(writer_end);
	return waitpid(pid, &status, 0) != pid || status;
}

static int mount_again(void)
{
	return run("rm -rf up l3 new && mkdir up l3 new") ?: mount_union("up:l1:l2");
}

/* A change that was not made has left nothing behind, and can be made. */
static int is_as_before(unsigned int i)
{
	if (is_sealed("up") || rmdir("l3") || rmdir("new"))
		return -1;
	return mkdir("l3", 0755) || mkdir("new", 0755) || !duration(i) ? -1 : 0;
}

static int goes_on(void)
{
	const char *shows = strstr(branches_of("mnt"), "l2=ro l1=ro") ? "l2" : "l1";

	return strcmp(content("mnt/f"), shows) || put("mnt/new", "new") ||
	       add("mnt/f", "+") ? -1 : 0;
}

TEST_F_TIMEOUT(live_kill, a_change_is_made_or_not, 600)
{
	unsigned int i, m, usual, nr_made;
	pid_t writer, tool;
	bool made;

	NOT_ON_OVERLAY("its layers stay");
	ASSERT_NE(NULL, getenv("MICA")) {
		TH_LOG("MICA is not set to the path of the tool");
	}
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		nr_made = 0;
		DO(mount_again());
		writer = start_writer();
		usual = duration(i);
		ASSERT_LT(0, usual);
		EXPECT_EQ(0, end_writer(writer));
		DO(umount("mnt"));
		for (m = 0; m < MOMENTS; m++) {
			DO(mount_again());
			ASSERT_STREQ(changes[i].before, branches_of("mnt"));
			writer = start_writer();
			tool = start_tool(i);
			ASSERT_LT(0, tool);
			ASSERT_EQ(0, kill_after(tool, m * usual * 2 / MOMENTS));
			made = !strcmp(branches_of("mnt"), changes[i].after);
			nr_made += made;
			ASSERT_STREQ(made ? changes[i].after : changes[i].before,
				     branches_of("mnt"));
			EXPECT_EQ(0, end_writer(writer));
			EXPECT_EQ(0, goes_on());
			ASSERT_EQ(0, made ? 0 : is_as_before(i)) {
				TH_LOG("%s: %s", changes[i].args[0], strerror(errno));
			}
			ASSERT_STREQ(changes[i].after, branches_of("mnt"));
			DO(umount("mnt"));
		}
		fprintf(stderr, "# %s: %u of %u made, which takes %u us\n",
			changes[i].args[0], nr_made, m, usual);
	}
}

TEST_HARNESS_MAIN
