// SPDX-License-Identifier: GPL-2.0-only
/* mica guest end. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "dev.h"
#include "nl.h"
#include "way_back.h"

static const char help[] =
	"Usage: mica guest end SESSION\n"
	"\n"
	"Ends a session, by its number in 'mica guest list', and returns when its devices\n"
	"are back on their drivers. A monitor that has one of them open is asked by\n"
	"vfio-pci to let it go; 'mica guest exec' ends its command.\n"
	"\n"
	"  -h, --help   this text\n";

static uint32_t session_argument(int argc, char **argv)
{
	uint64_t id;

	if (optind + 1 != argc)
		usage_error("wants the number of a session");
	if (!parse_number(argv[optind], 10, UINT32_MAX, &id) || !id)
		usage_error("'%s' is not the number of a session",
			    argv[optind]);
	return (uint32_t)id;
}

static int end_session(uint32_t id)
{
	struct mica_reason reason = {};
	struct mica_guest_end end = {
		.size = sizeof(end),
		.session = id,
		REASON_TO(&reason),
	};
	int dev CLEANUP(close_fd) = dev_open_or_fail();

	if (dev < 0)
		return MICA_FAILED;
	if (ioctl(dev, MICA_GUEST_END, &end))
		return fail("%s", reason_text(&reason, errno));
	return MICA_OK;
}

int guest_end(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct nl_sock *events CLEANUP(family_close) = NULL;
	struct nl_sock *dumps CLEANUP(family_close) = NULL;
	uint32_t id;
	int ret;

	next_option(argc, argv, ":h", longs, help);
	id = session_argument(argc, argv);
	dumps = family_open();
	events = dumps ? events_open() : NULL;
	if (!events)
		return MICA_FAILED;
	ret = end_session(id);
	return ret ?: way_back_wait(dumps, events, id, -1);
}
