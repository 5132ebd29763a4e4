/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables, trees, records and JSON, by libsmartcols. */
#ifndef MICA_TOOL_OUT_H
#define MICA_TOOL_OUT_H

#include <libsmartcols/libsmartcols.h>
#include "tool.h"

enum column_flags {
	COLUMN_TREE = 1 << 0,
	COLUMN_RIGHT = 1 << 1,
	COLUMN_NUMBER = 1 << 2,		/* a number in JSON */
	COLUMN_BOOLEAN = 1 << 3,	/* true or false in JSON: "1" or "0" */
	COLUMN_ARRAY = 1 << 4,		/* an array in JSON: one line each */
	COLUMN_JSON = 1 << 5,		/* in JSON only */
	COLUMN_TRUNCATE = 1 << 6,	/* cut off where a line would be too long */
};

struct column {
	const char *name;		/* heading; in lower case the JSON key */
	unsigned int flags;		/* enum column_flags */
	const char *key;		/* another JSON key, or NULL */
};

struct libscols_table *table_new(const char *name, const struct column *columns,
				 size_t nr, bool json);
struct libscols_line *table_line(struct libscols_table *table,
				 struct libscols_line *parent);
void table_set(struct libscols_table *table, struct libscols_line *line,
	       size_t column, const char *value);
void table_set_lines(struct libscols_line *line, size_t column, const char *lines);
void __printf(4, 5) table_setf(struct libscols_table *table,
			       struct libscols_line *line, size_t column,
			       const char *fmt, ...);
int table_print(struct libscols_table *table);

/*
 * One thing and its properties: a line for each, or one JSON object. A property
 * with COLUMN_ARRAY may be added to.
 */
struct record {
	const struct column *columns;
	size_t nr;
	char **value;			/* NULL: not there */
};

void record_init(struct record *record, const struct column *columns, size_t nr);
void __printf(3, 4) record_add(struct record *record, size_t column,
			       const char *fmt, ...);
int record_print(struct record *record, const char *name, bool json);
void record_free(struct record *record);

void json_string(FILE *to, const char *s);

#endif /* MICA_TOOL_OUT_H */
