/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the tool share. */
#ifndef MICA_TOOL_H
#define MICA_TOOL_H

#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define __noreturn		__attribute__((__noreturn__))
#define __printf(fmt, args)	__attribute__((__format__(printf, fmt, args)))
#define CLEANUP(function)	__attribute__((cleanup(function)))

/* Exit codes; that of a guest's command goes through as it is. */
enum {
	MICA_OK = 0,
	MICA_FAILED = 1,
	MICA_USAGE = 2,
};

/* The sub-commands. argv[0] is the verb, options and arguments follow. */
int host_check(int argc, char **argv);
int device_list(int argc, char **argv);
int device_show(int argc, char **argv);
int guest_exec(int argc, char **argv);
int guest_end(int argc, char **argv);
int guest_list(int argc, char **argv);
int union_mount(int argc, char **argv);
int union_list(int argc, char **argv);
int union_check(int argc, char **argv);
int union_add(int argc, char **argv);
int union_del(int argc, char **argv);
int union_mode(int argc, char **argv);
int union_move(int argc, char **argv);
int union_snapshot(int argc, char **argv);
int union_reset(int argc, char **argv);
int union_diff(int argc, char **argv);
int union_export(int argc, char **argv);
int union_import(int argc, char **argv);
int union_merge(int argc, char **argv);
int monitor(int argc, char **argv);

/* main.c: options and messages */
int next_option(int argc, char **argv, const char *shorts,
		const struct option *longs, const char *help);
void no_arguments(int argc, char **argv);
void __noreturn __printf(1, 2) usage_error(const char *fmt, ...);
int __printf(1, 2) fail(const char *fmt, ...);
void __printf(1, 2) note(const char *fmt, ...);

/* text.c: memory, strings, small files */
void *xmalloc(size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xvprintf(const char *fmt, va_list args);
char *__printf(1, 2) xprintf(const char *fmt, ...);
void free_string(char **s);
void close_fd(int *fd);
int open_dir(int dir, const char *name);
char *fd_path(int fd);
char *path_in(int dir, const char *name);
char *__printf(1, 2) read_line(const char *fmt, ...);
char *__printf(1, 2) link_name(const char *fmt, ...);
bool __printf(1, 2) path_exists(const char *fmt, ...);
char *without_slashes(const char *path);
const char *name_of(const char *path);
char *directory_of(const char *path);
bool has_word(const char *text, const char *word);
char *valid_utf8(const char *s);
char *one_line(const char *s);
char *human_size(uint64_t bytes);
bool parse_number(const char *s, int base, uint64_t max, uint64_t *value);
bool parse_size(const char *s, uint64_t *value);

/* pid-lists of who has a node of a function open: users.c */
struct users {
	char **line;
	size_t nr;
};

void users_find(const char *function, int group, struct users *users);
void users_find_path(const char *path, struct users *users);
void users_free(struct users *users);

#endif /* MICA_TOOL_H */
