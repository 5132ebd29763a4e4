/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mica guest exec: the parent (guest_exec.c), its child (guest_child.c), virtual
 * functions (guest_vfs.c).
 */
#ifndef MICA_TOOL_GUEST_EXEC_H
#define MICA_TOOL_GUEST_EXEC_H

#include <signal.h>
#include <sys/resource.h>
#include "mica.h"
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

/**
 * struct vf_request - virtual functions of one physical function
 * @pf: the physical function
 * @nr: how many
 * @vf: these, once they have been made
 */
struct vf_request {
	struct mica_pci_addr pf;
	uint32_t nr;
	struct mica_pci_addr vf[MICA_CLAIM_MAX];
};

/**
 * struct vfs - virtual functions that a command is to have
 * @request: of each physical function
 * @nr: how many of these
 * @setup: for the shell, run for each, or NULL
 */
struct vfs {
	struct vf_request *request;
	size_t nr;
	const char *setup;
};

void vfs_want(struct vfs *vfs, const char *text);
int vfs_make(struct vfs *vfs, int session);
int vfs_set_up(const struct vfs *vfs, int (*run)(const char *vf, void *data), void *data);
void vfs_tell(const struct vfs *vfs);
void vfs_free(struct vfs *vfs);

void child_set_user(struct child_setup *setup, const char *user);
int child_check_command(const struct child_setup *setup);
int child_give_group(const struct child_setup *setup, const char *group);
pid_t child_start(const struct child_setup *setup);
void child_setup_free(struct child_setup *setup);

#endif /* MICA_TOOL_GUEST_EXEC_H */
