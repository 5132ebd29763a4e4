// SPDX-License-Identifier: GPL-2.0-only
/* The generic netlink family. */
#include "mica.h"

bool mica_events_wanted(void)
{
	return false;
}

void mica_event_send(const struct mica_event *ev)
{
}

int mica_netlink_init(void)
{
	return 0;
}

void mica_netlink_exit(void)
{
}
