// SPDX-License-Identifier: GPL-2.0-only
/* Waits for the devices of a session that ended to be back on their drivers. */
#include <poll.h>

#include "nl.h"
#include "way_back.h"

#define LOOK_AGAIN_MS	250		/* when no event comes */

/* What the dump says of the devices of a session. */
struct way_back {
	unsigned int under_way;
	unsigned int failed;
	bool report;
};

static const char *restore_failure(uint32_t state)
{
	switch (state) {
	case MICA_DEVICE_TAKEN:
		return "somebody else has bound it to another driver";
	case MICA_DEVICE_NO_DRIVER:
		return "its driver is gone, or did not take it";
	case MICA_DEVICE_LOST:
		return "it does not answer after its reset";
	case MICA_DEVICE_UNPLUGGED:
		return "it was unplugged";
	default:
		return NULL;
	}
}

static void look_at_device(struct nlattr **attrs, void *data)
{
	uint32_t state = attr_u32(attrs, MICA_A_DEVICE_STATE);
	const char *driver = attr_string(attrs, MICA_A_DEVICE_DRIVER);
	const char *failure = restore_failure(state);
	struct way_back *way = data;

	if (!failure) {
		way->under_way += state != MICA_DEVICE_RESTORED;
		return;
	}
	way->failed++;
	if (way->report)
		fail("%s is not back on %s: %s",
		     attr_string(attrs, MICA_A_DEVICE_NAME) ?: "a device",
		     driver && *driver ? driver : "no driver", failure);
}

static void ignore_event(const struct event *event, void *data)
{
	(void)event;
	(void)data;
}

/* Returns an exit code. */
static int look_back(struct nl_sock *dumps, uint32_t session,
		     struct way_back *way, bool report)
{
	*way = (struct way_back) { .report = report };
	return family_dump(dumps, MICA_CMD_DEVICE_GET, session, look_at_device,
			   way);
}

/**
 * way_back_wait - wait until a session has given its devices back
 * @dumps: for the dumps
 * @events: joined before the session ended
 * @session: its number
 * @wake: a descriptor that ends the wait when it can be read, or -1
 *
 * What did not come back as it was is told on stderr.
 *
 * Return: an exit code, or WAY_BACK_WOKEN.
 */
int way_back_wait(struct nl_sock *dumps, struct nl_sock *events,
		  uint32_t session, int wake)
{
	struct pollfd fds[] = {
		{ .fd = nl_socket_get_fd(events), .events = POLLIN },
		{ .fd = wake, .events = POLLIN },
	};
	unsigned int waited = 0;
	struct way_back way;

	for (;;) {
		/* Before the dump, so that what comes after it wakes us. */
		if (events_read(events, ignore_event, NULL) == EVENTS_GONE)
			return MICA_OK;
		if (look_back(dumps, session, &way, false))
			return MICA_FAILED;
		if (!way.under_way)
			break;
		if (!poll(fds, ARRAY_SIZE(fds), LOOK_AGAIN_MS))
			waited += LOOK_AGAIN_MS;
		if (waited == PATIENCE_MS) {
			note("waiting for the devices to go back");
			waited++;
		}
		if (fds[1].revents)
			return WAY_BACK_WOKEN;
	}
	if (!way.failed)
		return MICA_OK;
	look_back(dumps, session, &way, true);
	return MICA_FAILED;
}
