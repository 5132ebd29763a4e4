// SPDX-License-Identifier: GPL-2.0-only
/* mica monitor: events, one line each, as they come. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include "nl.h"
#include "out.h"

static const char help[] =
	"Usage: mica monitor [--json]\n"
	"\n"
	"Prints what happens, one line each, until it is interrupted or the module is\n"
	"unloaded: devices claimed and restored, their errors, guests, unions mounted and\n"
	"unmounted, files copied up and whited out.\n"
	"\n"
	"  -J, --json   print a JSON object on each line\n"
	"  -h, --help   this text\n";

#define NS_PER_S UINT64_C(1000000000)

static void print_time(uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	printf("%s.%06u", text, (unsigned int)(ns % NS_PER_S / 1000));
}

/* How a guest ended, as wait(2) tells it; negative if nobody waited for it. */
static void print_status(int32_t status)
{
	if (status < 0)
		fputs("ended with its session", stdout);
	else if (WIFSIGNALED(status))
		printf("killed by signal %d", WTERMSIG(status));
	else
		printf("exit code %d", WEXITSTATUS(status));
}

static const char *severity_name(enum mica_severity severity)
{
	static const char * const names[] = {
		[MICA_SEVERITY_CORRECTED] = "corrected",
		[MICA_SEVERITY_NONFATAL] = "nonfatal",
		[MICA_SEVERITY_FATAL] = "fatal",
	};

	if (severity < ARRAY_SIZE(names) && names[severity])
		return names[severity];
	return "unknown";
}

static void print_word(const char *before, const char *word, const char *after)
{
	char *safe CLEANUP(free_string) = one_line(word);

	printf("%s%s%s", before, safe, after);
}

static void print_text(const struct event *e)
{
	print_time(e->time);
	printf(" %s", event_name(e->type));
	if (e->session)
		printf(" session %u", e->session);
	if (e->union_id)
		printf(" union %u", e->union_id);
	if (e->device)
		print_word(" ", e->device, "");
	if (e->driver && *e->driver)
		print_word(" (", e->driver, ")");
	if (e->path)
		print_word(" ", e->path, "");
	if (e->pid)
		printf(" pid %u", e->pid);
	if (e->type == MICA_EVENT_GUEST_END) {
		fputs(": ", stdout);
		print_status(e->error);
	} else if (e->error) {
		printf(": %s", strerror(-e->error));
	}
	if (e->severity)
		printf(": %s", severity_name(e->severity));
	if (e->status)
		printf(", status %#x", e->status);
	if (e->reporter)
		print_word(", of ", e->reporter, "");
	if (e->count > 1)
		printf(", the first of %u", e->count);
	if (e->text)
		print_word(": ", e->text, "");
	putchar('\n');
}

static void json_text(const char *key, const char *value)
{
	if (!value)
		return;
	printf(",\"%s\":", key);
	json_string(stdout, value);
}

static void json_number(const char *key, uint32_t value)
{
	if (value)
		printf(",\"%s\":%u", key, value);
}

static void json_status(int32_t status)
{
	if (status < 0)
		return;
	if (WIFSIGNALED(status))
		printf(",\"signal\":%d", WTERMSIG(status));
	else
		printf(",\"exit-code\":%d", WEXITSTATUS(status));
}

static void print_json(const struct event *e)
{
	printf("{\"time\":%ju.%09u,\"event\":\"%s\"",
	       (uintmax_t)(e->time / NS_PER_S),
	       (unsigned int)(e->time % NS_PER_S), event_name(e->type));
	json_number("session", e->session);
	json_number("union", e->union_id);
	json_number("pid", e->pid);
	json_text("device", e->device);
	json_text("driver", e->driver);
	json_text("path", e->path);
	if (e->type == MICA_EVENT_GUEST_END)
		json_status(e->error);
	else if (e->error)
		printf(",\"error\":%d", e->error);
	json_text("text", e->text);
	if (e->severity)
		json_text("severity", severity_name(e->severity));
	json_number("status", e->status);
	json_number("count", e->count);
	json_text("reporter", e->reporter);
	puts("}");
}

static void print_event(const struct event *event, void *data)
{
	const bool *json = data;

	if (*json)
		print_json(event);
	else
		print_text(event);
	fflush(stdout);
}

static void print_lost(bool json)
{
	if (json)
		puts("{\"event\":\"lost\"}");
	fflush(stdout);
	note("some events were lost: they came faster than they could be printed");
}

static int watch(struct nl_sock *sock, int signals, bool json)
{
	struct pollfd fds[] = {
		{ .fd = nl_socket_get_fd(sock), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return fail("poll: %s", strerror(errno));
		switch (events_read(sock, print_event, &json)) {
		case EVENTS_GOOD:
			break;
		case EVENTS_LOST:
			print_lost(json);
			break;
		case EVENTS_GONE:
			note("the module was unloaded");
			return MICA_OK;
		case EVENTS_FAILED:
			return MICA_FAILED;
		}
		if (ferror(stdout))
			return MICA_FAILED;
		if (fds[1].revents)
			return MICA_OK;
	}
}

int monitor(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct nl_sock *sock CLEANUP(family_close) = NULL;
	int signals CLEANUP(close_fd) = -1;
	bool json = false;
	sigset_t mask;

	while (next_option(argc, argv, ":Jh", longs, help) != -1)
		json = true;
	no_arguments(argc, argv);

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return fail("signalfd: %s", strerror(errno));

	sock = events_open();
	if (!sock)
		return MICA_FAILED;
	return watch(sock, signals, json);
}
