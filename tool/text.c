// SPDX-License-Identifier: GPL-2.0-only
/* Memory that does not run out, strings, and files of one line. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "tool.h"

static void *check_memory(void *p)
{
	if (!p) {
		fail("out of memory");
		exit(MICA_FAILED);
	}
	return p;
}

void *xmalloc(size_t size)
{
	return check_memory(calloc(1, size));
}

void *xrealloc(void *old, size_t size)
{
	return check_memory(realloc(old, size));
}

char *xstrdup(const char *s)
{
	return check_memory(strdup(s));
}

char *xstrndup(const char *s, size_t len)
{
	return check_memory(strndup(s, len));
}

char *xvprintf(const char *fmt, va_list args)
{
	char *s;

	return check_memory(vasprintf(&s, fmt, args) < 0 ? NULL : s);
}

char *xprintf(const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = xvprintf(fmt, args);
	va_end(args);
	return s;
}

void free_string(char **s)
{
	free(*s);
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A directory to read, which is no link. */
int open_dir(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* For calls that take a path, or none that is O_PATH. */
char *fd_path(int fd)
{
	return xprintf("/proc/self/fd/%d", fd);
}

char *path_in(int dir, const char *name)
{
	return xprintf("/proc/self/fd/%d/%s", dir, name);
}

/* The first line of a file, to be freed; NULL if there is none to be read. */
char *read_line(const char *fmt, ...)
{
	char *path CLEANUP(free_string) = NULL;
	char *line = NULL;
	size_t size = 0;
	va_list args;
	ssize_t len;
	FILE *file;

	va_start(args, fmt);
	path = xvprintf(fmt, args);
	va_end(args);

	file = fopen(path, "re");
	if (!file)
		return NULL;
	len = getline(&line, &size, file);
	fclose(file);
	if (len < 0) {
		free(line);
		return NULL;
	}
	if (len && line[len - 1] == '\n')
		line[len - 1] = 0;
	return line;
}

/* The last component of what a symbolic link points to, to be freed. */
char *link_name(const char *fmt, ...)
{
	char *path CLEANUP(free_string) = NULL;
	char target[PATH_MAX], *slash;
	va_list args;
	ssize_t len;

	va_start(args, fmt);
	path = xvprintf(fmt, args);
	va_end(args);

	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return NULL;
	target[len] = 0;
	slash = strrchr(target, '/');
	return xstrdup(slash ? slash + 1 : target);
}

bool path_exists(const char *fmt, ...)
{
	char *path CLEANUP(free_string) = NULL;
	va_list args;

	va_start(args, fmt);
	path = xvprintf(fmt, args);
	va_end(args);
	return !access(path, F_OK);
}

/* @path without those at its end, to be freed. */
char *without_slashes(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return xstrndup(path, len);
}

/* The last name of a path without slashes at its end. */
const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* All before that, to be freed. */
char *directory_of(const char *path)
{
	char *dir CLEANUP(free_string) = NULL;

	dir = xstrndup(path, (size_t)(name_of(path) - path));
	return *dir ? without_slashes(dir) : xstrdup(".");
}

/* Is @word one of the words of @text, which blanks set apart? */
bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	while (text && *text) {
		size_t span = strcspn(text, " \t\n");

		if (span == len && !strncmp(text, word, len))
			return true;
		text += span;
		text += strspn(text, " \t\n");
	}
	return false;
}

/* Bytes of the character that @s begins with, 0 if it is not UTF-8. */
static size_t utf8_length(const unsigned char *s)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t len, i;

	if (c < 0x80)
		return 1;
	len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc0 || c >= 0xf8)
		return 0;
	c &= 0x7f >> len;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

/*
 * @s in a form that JSON can carry: a byte that is part of no character becomes
 * \xNN, and so does a backslash that would look like the first of such a text.
 * To be freed.
 */
char *valid_utf8(const char *s)
{
	char *out = xmalloc(strlen(s) * 4 + 1), *to = out;
	size_t len;

	while (*s) {
		len = utf8_length((const unsigned char *)s);
		if (len && (s[0] != '\\' || s[1] != 'x')) {
			memcpy(to, s, len);
			to += len;
			s += len;
		} else {
			to += sprintf(to, "\\x%02x", (unsigned char)*s++);
		}
	}
	*to = 0;
	return out;
}

/* The same, and for a terminal: a control character becomes \xNN too. */
char *one_line(const char *s)
{
	char *valid CLEANUP(free_string) = valid_utf8(s);
	char *out = xmalloc(strlen(valid) * 4 + 1), *to = out;
	const char *p;

	for (p = valid; *p; p++) {
		if (iscntrl((unsigned char)*p))
			to += sprintf(to, "\\x%02x", (unsigned char)*p);
		else
			*to++ = *p;
	}
	*to = 0;
	return out;
}

/* To be freed. */
char *human_size(uint64_t bytes)
{
	static const char * const units[] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
	};
	uint64_t rest = 0;
	size_t i = 0;

	for (; bytes >= 1024 && i < ARRAY_SIZE(units) - 1; i++) {
		rest = bytes % 1024;
		bytes /= 1024;
	}
	if (rest * 10 / 1024)
		return xprintf("%ju.%ju %s", (uintmax_t)bytes,
			       (uintmax_t)(rest * 10 / 1024), units[i]);
	return xprintf("%ju %s", (uintmax_t)bytes, units[i]);
}

/* Digits and nothing else: neither a sign nor blanks, as strtoull() allows. */
bool parse_number(const char *s, int base, uint64_t max, uint64_t *value)
{
	const char *digits = "0123456789abcdefABCDEF";
	unsigned long long n;
	char *end;

	if (!*s || s[strspn(s, digits)])
		return false;
	errno = 0;
	n = strtoull(s, &end, base);
	if (errno || *end || n > max)
		return false;
	*value = n;
	return true;
}

/* Bytes, or with one of the letters K, M, G, T behind the number. */
bool parse_size(const char *s, uint64_t *value)
{
	char *number CLEANUP(free_string) = NULL;
	static const char letters[] = "KMGT";
	size_t len = strlen(s);
	unsigned int shift = 0;
	const char *letter;

	letter = len ? strchr(letters, s[len - 1]) : NULL;
	if (letter) {
		shift = 10 * (unsigned int)(letter - letters + 1);
		len--;
	}
	number = xstrndup(s, len);
	if (!parse_number(number, 10, UINT64_MAX >> shift, value))
		return false;
	*value <<= shift;
	return true;
}
