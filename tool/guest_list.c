// SPDX-License-Identifier: GPL-2.0-only
/* mica guest list. */
#include "nl.h"
#include "out.h"

static const char help[] =
	"Usage: mica guest list [--json]\n"
	"\n"
	"Lists the sessions: who opened them, the process of the guest if there is one,\n"
	"and below each the devices that it holds, with the driver that they go back to.\n"
	"\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

enum {
	LIST_NAME,
	LIST_STATE,
	LIST_DRIVER,
	LIST_PID,
	LIST_COMMAND,
	LIST_GUEST,
	LIST_ERROR,
	LIST_NR,
};

static const struct column columns[LIST_NR] = {
	[LIST_NAME] = {
		.name = "SESSION", .flags = COLUMN_TREE, .key = "NAME"
	},
	[LIST_STATE] = { .name = "STATE" },
	[LIST_DRIVER] = { .name = "DRIVER" },
	[LIST_PID] = { .name = "PID", .flags = COLUMN_RIGHT | COLUMN_NUMBER },
	[LIST_COMMAND] = { .name = "COMMAND" },
	[LIST_GUEST] = { .name = "GUEST", .flags = COLUMN_RIGHT | COLUMN_NUMBER },
	[LIST_ERROR] = { .name = "ERROR", .flags = COLUMN_JSON | COLUMN_NUMBER },
};

/* The sessions come first, in ascending order; then the devices. */
struct list {
	struct libscols_table *table;
	struct {
		uint32_t id;
		struct libscols_line *line;
	} *session;
	size_t nr;
};

static const char *session_state(struct nlattr **attrs)
{
	if (attrs[MICA_A_SESSION_ENDING])
		return "ending";
	return attrs[MICA_A_SESSION_SEALED] ? "sealed" : "open";
}

static void add_session(struct nlattr **attrs, void *data)
{
	struct list *list = data;
	struct libscols_table *t = list->table;
	struct libscols_line *line = table_line(t, NULL);
	uint32_t id = attr_u32(attrs, MICA_A_SESSION_ID);
	uint32_t guest = attr_u32(attrs, MICA_A_SESSION_GUEST_PID);

	table_setf(t, line, LIST_NAME, "%u", id);
	table_set(t, line, LIST_STATE, session_state(attrs));
	table_setf(t, line, LIST_PID, "%u", attr_u32(attrs, MICA_A_SESSION_PID));
	table_set(t, line, LIST_COMMAND, attr_string(attrs, MICA_A_SESSION_COMM));
	if (guest)
		table_setf(t, line, LIST_GUEST, "%u", guest);

	list->session = xrealloc(list->session,
				 (list->nr + 1) * sizeof(*list->session));
	list->session[list->nr].id = id;
	list->session[list->nr++].line = line;
}

static const char *state_name(uint32_t state)
{
	static const char * const names[] = {
		[MICA_DEVICE_CLAIMING] = "claiming",
		[MICA_DEVICE_CLAIMED] = "claimed",
		[MICA_DEVICE_RESTORING] = "restoring",
		[MICA_DEVICE_RESTORED] = "restored",
		[MICA_DEVICE_TAKEN] = "taken",
		[MICA_DEVICE_NO_DRIVER] = "no driver",
		[MICA_DEVICE_LOST] = "lost",
		[MICA_DEVICE_UNPLUGGED] = "unplugged",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "?";
}

static void add_device(struct nlattr **attrs, void *data)
{
	uint32_t session = attr_u32(attrs, MICA_A_DEVICE_SESSION);
	const char *driver = attr_string(attrs, MICA_A_DEVICE_DRIVER);
	struct list *list = data;
	struct libscols_line *line;
	size_t i;

	for (i = 0; i < list->nr && list->session[i].id != session; i++)
		;
	if (i == list->nr)
		return;			/* it was opened between the dumps */
	line = table_line(list->table, list->session[i].line);
	table_set(list->table, line, LIST_NAME,
		  attr_string(attrs, MICA_A_DEVICE_NAME));
	table_set(list->table, line, LIST_STATE,
		  state_name(attr_u32(attrs, MICA_A_DEVICE_STATE)));
	if (driver && *driver)
		table_set(list->table, line, LIST_DRIVER, driver);
	if (attrs[MICA_A_DEVICE_ERROR])
		table_setf(list->table, line, LIST_ERROR, "%d",
			   attr_s32(attrs, MICA_A_DEVICE_ERROR));
}

int guest_list(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct nl_sock *sock CLEANUP(family_close) = NULL;
	struct list list = {};
	bool json = false;
	int ret;

	while (next_option(argc, argv, ":Jh", longs, help) != -1)
		json = true;
	no_arguments(argc, argv);

	sock = family_open();
	if (!sock)
		return MICA_FAILED;
	list.table = table_new("sessions", columns, LIST_NR, json);
	ret = family_dump(sock, MICA_CMD_SESSION_GET, 0, add_session, &list);
	if (!ret)
		ret = family_dump(sock, MICA_CMD_DEVICE_GET, 0, add_device, &list);
	free(list.session);
	if (ret) {
		scols_unref_table(list.table);
		return ret;
	}
	return table_print(list.table);
}
