// SPDX-License-Identifier: GPL-2.0-only
/*
 * killed N COMMAND [ARGUMENT...]: kills the command right before the Nth of its
 * system calls that change something, or with N of 0 lets it end. Prints how many
 * there were; returns what the command returned, or 137 if it was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int changes(const struct __ptrace_syscall_info *call)
{
	switch (call->entry.nr) {
	case SYS_openat:
		return !!(call->entry.args[2] & O_CREAT);
	case SYS_ioctl:
		return call->entry.args[1] != FS_IOC_GETFLAGS;
	case SYS_write:
	case SYS_pwrite64:
	case SYS_copy_file_range:
	case SYS_ftruncate:
	case SYS_mkdirat:
	case SYS_mknodat:
	case SYS_symlinkat:
	case SYS_linkat:
	case SYS_unlinkat:
	case SYS_renameat2:
	case SYS_fchownat:
	case SYS_fchmodat:
	case SYS_utimensat:
	case SYS_setxattr:
	case SYS_lsetxattr:
	case SYS_fsetxattr:
	case SYS_removexattr:
	case SYS_lremovexattr:
	case SYS_fremovexattr:
	case SYS_fsync:
	case SYS_syncfs:
		return 1;
	default:
		return 0;
	}
}

static int die(const char *what)
{
	fprintf(stderr, "killed: %s: %s\n", what, strerror(errno));
	return 125;
}

int main(int argc, char **argv)
{
	struct __ptrace_syscall_info call;
	long last, nr = 0;
	int status, sig;
	pid_t pid;

	if (argc < 3)
		return die("takes a number and a command");
	last = atol(argv[1]);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return die("fork");
	for (sig = 0;;) {
		/* Who was killed cannot go on, but is waited for all the same. */
		if (ptrace(PTRACE_SYSCALL, pid, 0, sig) && errno != ESRCH)
			return die("go on");
		if (waitpid(pid, &status, 0) < 0)
			return die("wait");
		if (WIFEXITED(status) || WIFSIGNALED(status))
			break;
		sig = WSTOPSIG(status);
		if (sig == SIGTRAP)
			sig = 0;
		if (sig != (SIGTRAP | 0x80))
			continue;
		sig = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call) < 0)
			return die("system call");
		if (call.op != PTRACE_SYSCALL_INFO_ENTRY || !changes(&call))
			continue;
		if (++nr == last)
			kill(pid, SIGKILL);
	}
	printf("%ld\n", nr);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
