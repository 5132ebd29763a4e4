/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family of the module. */
#ifndef MICA_TOOL_NL_H
#define MICA_TOOL_NL_H

#include <netlink/attr.h>
#include <netlink/socket.h>

#include "mica_netlink.h"
#include "tool.h"

/* Dumps. The attributes of an object are called by their MICA_A_ numbers. */
typedef void (*dump_each)(struct nlattr **attrs, void *data);

struct nl_sock *family_open(void);
void family_close(struct nl_sock **sock);
int family_dump(struct nl_sock *sock, enum mica_command command, uint32_t only,
		dump_each each, void *data);
uint32_t attr_u32(struct nlattr **attrs, int attr);
int32_t attr_s32(struct nlattr **attrs, int attr);
const char *attr_string(struct nlattr **attrs, int attr);

struct event {
	enum mica_event_type type;
	uint64_t time;			/* ns of CLOCK_REALTIME */
	uint32_t session;
	uint32_t union_id;
	uint32_t pid;
	int32_t error;
	const char *device;		/* these are NULL if not there */
	const char *driver;
	const char *path;
	const char *text;
	const char *reporter;
	enum mica_severity severity;
	uint32_t status;
	uint32_t count;
};

enum events_state {
	EVENTS_GOOD,
	EVENTS_LOST,			/* some did not reach us */
	EVENTS_GONE,			/* the module was unloaded */
	EVENTS_FAILED,			/* and a message has been printed */
};

typedef void (*event_each)(const struct event *event, void *data);

struct nl_sock *events_open(void);
enum events_state events_read(struct nl_sock *sock, event_each each,
			      void *data);
const char *event_name(enum mica_event_type type);

#endif /* MICA_TOOL_NL_H */
