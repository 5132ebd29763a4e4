/* SPDX-License-Identifier: GPL-2.0-only */
/* Waits for the devices of a session that ended to be back on their drivers. */
#ifndef MICA_TOOL_WAY_BACK_H
#define MICA_TOOL_WAY_BACK_H

#include <stdint.h>

#define PATIENCE_MS	3000		/* then we say what we wait for */

#define WAY_BACK_WOKEN	-1

struct nl_sock;

int way_back_wait(struct nl_sock *dumps, struct nl_sock *events,
		  uint32_t session, int wake);

#endif /* MICA_TOOL_WAY_BACK_H */
