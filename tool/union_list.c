// SPDX-License-Identifier: GPL-2.0-only
/* mica union list. */
#include <string.h>
#include "nl.h"
#include "out.h"

static const char help[] =
	"Usage: mica union list [--json]\n"
	"\n"
	"Lists the mounted unions with the places where they are mounted (as this\n"
	"process sees them), and below each its branches, the first of which has\n"
	"precedence.\n"
	"\n"
	"  -J, --json   print JSON\n"
	"  -h, --help   this text\n";

enum {
	LIST_NAME,
	LIST_MODE,
	LIST_FSTYPE,
	LIST_TARGETS,
	LIST_DEVICE,
	LIST_BRANCH,
	LIST_NR,
};

static const struct column columns[LIST_NR] = {
	[LIST_NAME] = {
		.name = "UNION", .flags = COLUMN_TREE, .key = "NAME"
	},
	[LIST_MODE] = { .name = "MODE" },
	[LIST_FSTYPE] = { .name = "FSTYPE" },
	[LIST_TARGETS] = { .name = "TARGETS", .flags = COLUMN_ARRAY },
	[LIST_DEVICE] = { .name = "MAJ:MIN", .flags = COLUMN_JSON },
	[LIST_BRANCH] = { .name = "BRANCH", .flags = COLUMN_JSON | COLUMN_NUMBER },
};

struct list {
	struct libscols_table *table;
	struct {
		uint32_t id;
		struct libscols_line *line;
	} *unions;
	size_t nr;
};

/* What /proc/self/mountinfo writes as \012 and the like, in place. */
static void decode_octal(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
		    s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/*
 * Where a file system is mounted, one place a line, for which a control
 * character in a name becomes \xNN; to be freed.
 */
static char *mount_points(const char *device)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *points = NULL, *longer, *place;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		char *rest = line, *field[5] = {};
		size_t i;

		for (i = 0; i < ARRAY_SIZE(field); i++)
			field[i] = strsep(&rest, " ");
		if (!field[4] || strcmp(field[2], device) != 0)
			continue;
		decode_octal(field[4]);
		place = one_line(field[4]);
		longer = points ? xprintf("%s\n%s", points, place) :
				  xstrdup(place);
		free(place);
		free(points);
		points = longer;
	}
	free(line);
	if (file)
		fclose(file);
	return points;
}

static void add_union(struct nlattr **attrs, void *data)
{
	char *device CLEANUP(free_string) = NULL;
	char *points CLEANUP(free_string) = NULL;
	struct list *list = data;
	struct libscols_line *line = table_line(list->table, NULL);
	uint32_t id = attr_u32(attrs, MICA_A_UNION_ID);

	device = xprintf("%u:%u", attr_u32(attrs, MICA_A_UNION_MAJOR),
			 attr_u32(attrs, MICA_A_UNION_MINOR));
	points = mount_points(device);
	table_setf(list->table, line, LIST_NAME, "%u", id);
	table_set(list->table, line, LIST_MODE,
		  attrs[MICA_A_UNION_READONLY] ? "ro" : "rw");
	table_set(list->table, line, LIST_FSTYPE, "mica");
	table_set_lines(line, LIST_TARGETS, points);
	table_set(list->table, line, LIST_DEVICE, device);

	list->unions = xrealloc(list->unions,
				(list->nr + 1) * sizeof(*list->unions));
	list->unions[list->nr].id = id;
	list->unions[list->nr++].line = line;
}

static void add_branch(struct nlattr **attrs, void *data)
{
	uint32_t id = attr_u32(attrs, MICA_A_BRANCH_UNION);
	struct list *list = data;
	struct libscols_line *line;
	size_t i;

	for (i = 0; i < list->nr && list->unions[i].id != id; i++)
		;
	if (i == list->nr)
		return;			/* it was mounted between the dumps */
	line = table_line(list->table, list->unions[i].line);
	table_set(list->table, line, LIST_NAME,
		  attr_string(attrs, MICA_A_BRANCH_PATH) ?: "?");
	table_set(list->table, line, LIST_MODE,
		  attrs[MICA_A_BRANCH_RW] ? "rw" : "ro");
	table_set(list->table, line, LIST_FSTYPE,
		  attr_string(attrs, MICA_A_BRANCH_FSTYPE));
	table_setf(list->table, line, LIST_BRANCH, "%u",
		   attr_u32(attrs, MICA_A_BRANCH_ID));
}

int union_list(int argc, char **argv)
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
	list.table = table_new("unions", columns, LIST_NR, json);
	ret = family_dump(sock, MICA_CMD_UNION_GET, 0, add_union, &list);
	if (!ret)
		ret = family_dump(sock, MICA_CMD_BRANCH_GET, 0, add_branch, &list);
	free(list.unions);
	if (ret) {
		scols_unref_table(list.table);
		return ret;
	}
	return table_print(list.table);
}
