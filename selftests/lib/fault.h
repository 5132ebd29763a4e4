/* SPDX-License-Identifier: GPL-2.0-only */
/* Failing allocations of the calling thread's system calls. */
#ifndef _SELFTESTS_LIB_FAULT_H
#define _SELFTESTS_LIB_FAULT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

static int fault_file = -1;

/*
 * The @nth allocation from now on fails; 0 for none. The last one may be still to
 * come, and hit the write that calls it off.
 */
static inline int fault_at(int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth), tries = 3;

	if (fault_file < 0)
		fault_file = open("/proc/thread-self/fail-nth",
				  O_RDWR | O_CLOEXEC);
	while (tries--)
		if (pwrite(fault_file, text, len, 0) == len)
			return 0;
	return -1;
}

/* Did that many allocations take place? */
static inline bool fault_came(void)
{
	char left[16] = "";

	return pread(fault_file, left, sizeof(left) - 1, 0) > 0 &&
	       atoi(left) == 0;
}

/*
 * Asks for what modules do it that are built in, too, on a kernel that can do it.
 * @kinds are directories of debugfs: allocations that may wait fail as well.
 */
static inline bool faults_can_be(const char *kinds)
{
	char command[256];

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	snprintf(command, sizeof(command),
		 "cd /sys/kernel/debug && for k in %s; do "
		 "echo N >$k/ignore-gfp-wait || exit; done && "
		 "for v in fail*/verbose; do echo 0 >$v; done", kinds);
	return !system(command) && !fault_at(0);
}

#endif /* _SELFTESTS_LIB_FAULT_H */
