/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of the branches of the union that is mounted on mnt. They return 0, or
 * -1 and errno, and then "why" has the reason.
 */
#ifndef UNION_TEST_BRANCHES_H
#define UNION_TEST_BRANCHES_H

#include <stdbool.h>
#include <sys/types.h>
#include "../../uapi/mica.h"

/* A process that stands somewhere, or has something, until it has looked at it. */
struct stander {
	pid_t pid;
	int go;			/* has it look */
};

extern struct mica_reason why;

/* The change must be made. */
#define CHANGED(call)							\
	ASSERT_EQ(0, (call)) {						\
		TH_LOG("%s: %s: %s", #call, strerror(errno), why.text);	\
	}

/* Mount the branches, "up:l1", somewhere else, all of them ro. */
int mount_union_at(const char *branches, const char *target);

/* The number of the new branch, or -1. */
int add_branch(const char *path, unsigned int flags, unsigned int pos);
int del_branch(int id);
int set_mode(int id, unsigned int flags);
int move_branch(int id, unsigned int pos);
int snapshot(const char *path);
/* @path comes in place of so many branches, from that one to the right. */
int replace_branches(int id, unsigned int nr, const char *path);

/* Drops what the branches have for a name in a directory of the union. */
int reset_in(const char *dir, const char *name);

/* The last parts of their paths, and their modes: "up=rw l1=ro". */
const char *branches_of(const char *target);

/* A snapshot was made of it. */
bool is_sealed(const char *branch);

/*
 * The tool, which knows branches by their whole paths: @ is the directory of the
 * test. What it says on stderr is in the file err. Returns -1 if it fails.
 */
int mica_union(const char *command);

int begin_stander(struct stander *s, int (*enter)(void), int (*check)(void));
int end_stander(struct stander *s);

#endif /* UNION_TEST_BRANCHES_H */
