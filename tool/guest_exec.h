/* SPDX-License-Identifier: GPL-2.0-only */
/* mica guest exec: the parent (guest_exec.c) and its child (guest_child.c). */
#ifndef MICA_TOOL_GUEST_EXEC_H
#define MICA_TOOL_GUEST_EXEC_H

#include <signal.h>
#include <sys/resource.h>
#include "tool.h"

/**
 * struct child_setup - what the command is started with
 * @command: the command and its arguments, ends in NULL
 * @user: the user to become, as in passwd; NULL: stay who we are
 * @uid: likewise
 * @gid: likewise
 * @home: likewise
 * @memlock: limit of locked memory
 * @set_memlock: set that limit
 * @mask: signals that were blocked when we were started
 */
struct child_setup {
	char **command;
	char *user;
	uid_t uid;
	gid_t gid;
	char *home;
	rlim_t memlock;
	bool set_memlock;
	sigset_t mask;
};

void child_set_user(struct child_setup *setup, const char *user);
int child_check_command(const struct child_setup *setup);
int child_give_group(const struct child_setup *setup, const char *group);
pid_t child_start(const struct child_setup *setup);
void child_setup_free(struct child_setup *setup);

#endif /* MICA_TOOL_GUEST_EXEC_H */
