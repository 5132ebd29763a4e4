// SPDX-License-Identifier: GPL-2.0-only
/* Tables, trees, records and JSON. */
#include <string.h>
#include <strings.h>
#include "out.h"

static int scols_flags(unsigned int flags)
{
	int scols = 0;

	if (flags & COLUMN_TREE)
		scols |= SCOLS_FL_TREE;
	if (flags & COLUMN_RIGHT)
		scols |= SCOLS_FL_RIGHT;
	if (flags & COLUMN_TRUNCATE)
		scols |= SCOLS_FL_TRUNC;
	if (flags & COLUMN_ARRAY)
		scols |= SCOLS_FL_WRAP;
	return scols;
}

static int json_type(unsigned int flags)
{
	if (flags & COLUMN_NUMBER)
		return SCOLS_JSON_NUMBER;
	if (flags & COLUMN_BOOLEAN)
		return SCOLS_JSON_BOOLEAN;
	if (flags & COLUMN_ARRAY)
		return SCOLS_JSON_ARRAY_STRING;
	return SCOLS_JSON_STRING;
}

static void new_column(struct libscols_table *table, const struct column *c)
{
	bool json = scols_table_is_json(table);
	struct libscols_column *column;

	column = scols_table_new_column(table, json && c->key ? c->key : c->name,
					0, scols_flags(c->flags));
	if (!column) {
		fail("out of memory");
		exit(MICA_FAILED);
	}
	scols_column_set_json_type(column, json_type(c->flags));
	if (c->flags & COLUMN_ARRAY)
		scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
					  scols_wrapnl_nextchunk, NULL);
	if (c->flags & COLUMN_JSON && !json)
		scols_column_set_flags(column, SCOLS_FL_HIDDEN);
}

/* @name is the key of the array in JSON. */
struct libscols_table *table_new(const char *name, const struct column *columns,
				 size_t nr, bool json)
{
	struct libscols_table *table;
	size_t i;

	scols_init_debug(0);
	table = scols_new_table();
	if (!table) {
		fail("out of memory");
		exit(MICA_FAILED);
	}
	scols_table_set_name(table, name);
	scols_table_enable_json(table, json);
	for (i = 0; i < nr; i++)
		new_column(table, &columns[i]);
	return table;
}

struct libscols_line *table_line(struct libscols_table *table,
				 struct libscols_line *parent)
{
	struct libscols_line *line = scols_table_new_line(table, parent);

	if (!line) {
		fail("out of memory");
		exit(MICA_FAILED);
	}
	return line;
}

static void set_cell(struct libscols_line *line, size_t column, char *data)
{
	if (scols_line_refer_data(line, column, data)) {
		free(data);
		fail("out of memory");
		exit(MICA_FAILED);
	}
}

/* A @value of NULL leaves the cell empty, null in JSON. */
void table_set(struct libscols_table *table, struct libscols_line *line,
	       size_t column, const char *value)
{
	bool json = scols_table_is_json(table);

	if (value)
		set_cell(line, column, json ? valid_utf8(value) : xstrdup(value));
}

/* The same with lines that one_line() made, in which each \xNN is one already. */
void table_set_lines(struct libscols_line *line, size_t column, const char *lines)
{
	if (lines)
		set_cell(line, column, xstrdup(lines));
}

void table_setf(struct libscols_table *table, struct libscols_line *line,
		size_t column, const char *fmt, ...)
{
	char *value CLEANUP(free_string) = NULL;
	va_list args;

	va_start(args, fmt);
	value = xvprintf(fmt, args);
	va_end(args);
	table_set(table, line, column, value);
}

/* Prints the table and frees it. Returns an exit code. */
int table_print(struct libscols_table *table)
{
	int err = scols_print_table(table);

	scols_unref_table(table);
	return err ? fail("the table could not be printed: %s", strerror(-err)) :
		     MICA_OK;
}

void record_init(struct record *record, const struct column *columns, size_t nr)
{
	record->columns = columns;
	record->nr = nr;
	record->value = xmalloc(nr * sizeof(*record->value));
}

void record_add(struct record *record, size_t column, const char *fmt, ...)
{
	char *old = record->value[column], *value;
	va_list args;

	va_start(args, fmt);
	value = xvprintf(fmt, args);
	va_end(args);
	if (old) {
		record->value[column] = xprintf("%s\n%s", old, value);
		free(value);
		free(old);
	} else {
		record->value[column] = value;
	}
}

/* A heading in capitals and hyphens becomes the beginning of a line: "Reset". */
static char *label_of(const char *heading)
{
	char *label = xstrdup(heading), *p;

	for (p = label; *p; p++) {
		if (*p == '-')
			*p = ' ';
		else if (p > label && strcmp(heading, "BARS"))
			*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
	}
	return label;
}

static void record_lines(struct libscols_table *table, const char *heading,
			 char *value)
{
	char *label CLEANUP(free_string) = label_of(heading);
	char *rest = value, *one;
	bool first = true;

	while ((one = strsep(&rest, "\n"))) {
		struct libscols_line *line = table_line(table, NULL);

		table_set(table, line, 0, first ? label : "");
		table_set(table, line, 1, one);
		first = false;
	}
}

static int record_print_text(struct record *record)
{
	static const struct column columns[2] = { { .name = "" }, { .name = "" } };
	struct libscols_table *table = table_new("", columns, 2, false);
	size_t i;

	scols_table_enable_noheadings(table, 1);
	scols_table_set_column_separator(table, "  ");
	for (i = 0; i < record->nr; i++)
		if (record->value[i] &&
		    !(record->columns[i].flags & COLUMN_JSON))
			record_lines(table, record->columns[i].name,
				     record->value[i]);
	return table_print(table);
}

static int record_print_json(struct record *record, const char *name)
{
	struct column *columns = xmalloc(record->nr * sizeof(*columns));
	struct libscols_table *table;
	struct libscols_line *line;
	size_t i, nr = 0;

	/* An array that is not there would be printed as [null]. */
	for (i = 0; i < record->nr; i++)
		if (record->value[i] ||
		    !(record->columns[i].flags & COLUMN_ARRAY))
			columns[nr++] = record->columns[i];
	table = table_new(name, columns, nr, true);
	line = table_line(table, NULL);
	for (i = 0, nr = 0; i < record->nr; i++)
		if (record->value[i] ||
		    !(record->columns[i].flags & COLUMN_ARRAY))
			table_set(table, line, nr++, record->value[i]);
	free(columns);
	return table_print(table);
}

int record_print(struct record *record, const char *name, bool json)
{
	return json ? record_print_json(record, name) :
		      record_print_text(record);
}

void record_free(struct record *record)
{
	size_t i;

	for (i = 0; i < record->nr; i++)
		free(record->value[i]);
	free(record->value);
}

/* For what comes line by line and so cannot be a table. */
void json_string(FILE *to, const char *s)
{
	char *valid CLEANUP(free_string) = valid_utf8(s);
	const char *p;

	fputc('"', to);
	for (p = valid; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}
