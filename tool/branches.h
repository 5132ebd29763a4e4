/* SPDX-License-Identifier: GPL-2.0-only */
/* The branches of a mounted union. */
#ifndef MICA_TOOL_BRANCHES_H
#define MICA_TOOL_BRANCHES_H

#include <sys/types.h>
#include "tool.h"

struct branch {
	uint32_t id;
	unsigned int forms;	/* that marks are read in: MICA_BRANCH_DOT, _OVERLAY */
	char *path;
	dev_t dev;
	ino_t ino;
	bool rw;
	bool incomplete;	/* a layer that it needs is not to the right of it */
};

/* From the left to the right. */
struct branches {
	struct branch *branch;
	size_t nr;
};

int branches_read(struct branches *branches, int fd, const char *path);
const struct branch *branches_find(const struct branches *branches, const char *name);
bool is_branch(const struct branch *branch, int fd);
void branches_free(struct branches *branches);

#endif /* MICA_TOOL_BRANCHES_H */
