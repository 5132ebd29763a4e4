// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tar archive that is read once. libarchive does not look at the checksum of
 * gzip, nor at what comes behind the last entry; here both must be right.
 */
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>
#include "tar_stream.h"

#define END_OF_TAR 1024			/* zeroes */
#define TAR_BLOCK 512
#define TAR_SIZE 124			/* in the block that begins an entry, and its type */
#define TAR_SIZE_DIGITS 12
#define TAR_TYPE 156
#define TAR_MAX_HEADER (8 * 1024 * 1024)	/* with a map of holes, too */

/* More of the file; 0 at its end. */
static ssize_t read_input(struct tar_stream *s, struct archive *a)
{
	ssize_t len;

	do {
		len = read(s->fd, s->in, sizeof(s->in));
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		archive_set_error(a, errno, "%s", strerror(errno));
	return len;
}

/* What libarchive asks for: more of what may still be zstd. */
static la_ssize_t give_plain(struct archive *a, void *data, const void **buf)
{
	struct tar_stream *s = data;
	ssize_t len = s->gzip.avail_in;

	/* The beginning has been read before. */
	*buf = s->gzip.next_in;
	s->gzip.avail_in = 0;
	if (len)
		return len;
	*buf = s->in;
	return read_input(s, a);
}

/* The same of what is gzip, perhaps several such files behind each other. */
static la_ssize_t give_gzip(struct archive *a, void *data, const void **buf)
{
	struct tar_stream *s = data;
	z_stream *z = &s->gzip;
	ssize_t len;
	int ret;

	z->next_out = (unsigned char *)s->out;
	z->avail_out = sizeof(s->out);
	while (z->avail_out == sizeof(s->out)) {
		if (!z->avail_in) {
			len = read_input(s, a);
			if (len < 0 || (!len && !s->in_gzip))
				return len;
			z->next_in = s->in;
			z->avail_in = (unsigned int)len;
		}
		if (!z->avail_in) {
			archive_set_error(a, EIO, "it ends in the middle");
			return -1;
		}
		if (!s->in_gzip)
			inflateReset(z);
		ret = inflate(z, Z_NO_FLUSH);
		s->in_gzip = ret != Z_STREAM_END;
		if (ret != Z_OK && ret != Z_STREAM_END) {
			archive_set_error(a, EIO, "gzip: %s", z->msg ?: "damaged");
			return -1;
		}
	}
	*buf = s->out;
	return (la_ssize_t)sizeof(s->out) - z->avail_out;
}

static void count_zeroes(struct tar_stream *s, const char *buf, size_t len)
{
	size_t end = len;

	while (end && !buf[end - 1])
		end--;
	s->zeroes = end ? len - end : s->zeroes + len;
	s->size += len;
}

/* The last block, and while a header is read all that come. */
static void keep(struct tar_stream *s, const char *buf, size_t len)
{
	if (!s->keep)
		s->nr_kept = 0;
	s->kept = xrealloc(s->kept, s->nr_kept + len + 1);
	memcpy(s->kept + s->nr_kept, buf, len);
	s->nr_kept += len;
}

/* What has been taken is part of no header to come, even if only headers are read. */
static void drop_taken(struct tar_stream *s)
{
	size_t left = (size_t)(s->size - (uint64_t)archive_filter_bytes(s->tar, 0));

	/* Not each time, as the rest is copied. */
	if (s->nr_kept / 2 > left) {
		memmove(s->kept, s->kept + s->nr_kept - left, left);
		s->nr_kept = left;
	}
}

/* What is not compressed any more. */
static la_ssize_t give_tar(struct archive *a, void *data, const void **buf)
{
	struct tar_stream *s = data;
	static char block[1 << 17];
	la_ssize_t len = archive_read_data(s->plain, block, sizeof(block));

	if (len < 0) {
		archive_set_error(a, archive_errno(s->plain), "%s",
				  archive_error_string(s->plain));
		return -1;
	}
	count_zeroes(s, block, (size_t)len);
	keep(s, block, (size_t)len);
	if (s->nr_kept > TAR_MAX_HEADER) {
		archive_set_error(a, EFBIG, "a header is too large");
		return -1;
	}
	*buf = block;
	return len;
}

static const char *tell_damage(struct archive *a)
{
	return because("the archive is damaged: %s",
		       archive_error_string(a) ?: "a header has a value that cannot be");
}

const char *tar_error(struct tar_stream *s)
{
	return tell_damage(s->tar);
}

/* The blocks behind an extended header, which is all that has no checksum there. */
static size_t extended_size(const char *header, size_t left)
{
	char octal[TAR_SIZE_DIGITS + 1] = {};
	unsigned long long size;

	if (header[TAR_TYPE] != 'x' && header[TAR_TYPE] != 'g')
		return 0;
	memcpy(octal, header + TAR_SIZE, TAR_SIZE_DIGITS);
	size = strtoull(octal, NULL, 8);
	if (size > left)
		return 0;
	return ((size_t)size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

/*
 * Go and GNU tar write names that are not UTF-8 as they are, and do not say so. As
 * ASCII of the same length they are no reason for a warning.
 */
static void make_ascii(char *header, const char *end)
{
	size_t size;

	while (end - header > TAR_BLOCK) {
		size = extended_size(header, (size_t)(end - header) - TAR_BLOCK);
		header += TAR_BLOCK;
		if (!size)
			return;
		for (; size && header < end; size--, header++)
			if (*header & 0x80)
				*header = '_';
	}
}

/*
 * Names that are not ASCII are a warning, and are there as they are; but that hides
 * other warnings. libarchive 2 took names as they come, but for those of extended
 * headers, which have to be made ASCII: so read, there are no such warnings.
 */
static const char *check_header(struct tar_stream *s)
{
	uint64_t begin = (uint64_t)archive_read_header_position(s->tar);
	uint64_t end = (uint64_t)archive_filter_bytes(s->tar, 0);
	char *header = s->kept + s->nr_kept - (s->size - begin);
	struct archive *again = archive_read_new();
	struct archive_entry *entry;
	const char *why = NULL;

	make_ascii(header, header + (end - begin));
	setlocale(LC_CTYPE, "C.UTF-8");
	if (archive_read_support_format_tar(again) ||
	    archive_read_set_options(again, "compat-2x") ||
	    archive_read_open_memory(again, header, (size_t)(end - begin)) ||
	    archive_read_next_header(again, &entry))
		why = tell_damage(again);
	setlocale(LC_CTYPE, "C");
	archive_read_free(again);
	return why;
}

/* @entry is the next one, or NULL at the end. Its names are bytes. */
const char *tar_next(struct tar_stream *s, struct archive_entry **entry)
{
	int ret;

	drop_taken(s);
	s->keep = true;
	ret = archive_read_next_header(s->tar, entry);
	s->keep = false;
	if (ret == ARCHIVE_WARN && archive_errno(s->tar) == EILSEQ)
		return check_header(s);
	if (ret == ARCHIVE_EOF)
		*entry = NULL;
	return ret == ARCHIVE_OK || ret == ARCHIVE_EOF ? NULL : tar_error(s);
}

/* gzip begins with two bytes that nothing else does. */
static const char *look_for_gzip(struct tar_stream *s)
{
	ssize_t len = 0, more = 1;

	while (len < 2 && more) {
		more = read(s->fd, s->in + len, sizeof(s->in) - (size_t)len);
		if (more < 0 && errno != EINTR)
			return because("cannot be read: %s", strerror(errno));
		len += more > 0 ? more : 0;
	}
	s->gzip.next_in = s->in;
	s->gzip.avail_in = (unsigned int)len;
	s->is_gzip = len >= 2 && s->in[0] == 0x1f && s->in[1] == 0x8b;
	if (s->is_gzip && inflateInit2(&s->gzip, 16 + MAX_WBITS) != Z_OK)
		return because("gzip: %s", s->gzip.msg ?: "out of memory");
	return NULL;
}

const char *tar_open(struct tar_stream *s, int fd)
{
	struct archive_entry *all;
	const char *why;

	*s = (struct tar_stream){ .fd = fd };
	why = look_for_gzip(s);
	if (why)
		return why;
	s->plain = archive_read_new();
	s->tar = archive_read_new();
	if (archive_read_support_format_raw(s->plain) ||
	    archive_read_support_filter_zstd(s->plain) ||
	    archive_read_open(s->plain, s, NULL, s->is_gzip ? give_gzip : give_plain, NULL) ||
	    archive_read_next_header(s->plain, &all))
		return because("cannot be read as an archive: %s",
			       archive_error_string(s->plain));
	if (archive_read_support_format_tar(s->tar) ||
	    archive_read_open(s->tar, s, NULL, give_tar, NULL))
		return because("cannot be read as tar, plain or with gzip or zstd: %s",
			       archive_error_string(s->tar));
	return NULL;
}

/*
 * Reads the rest, which has to be zeroes, and enough of them. @end is where the
 * last entry ended.
 */
const char *tar_check_end(struct tar_stream *s, uint64_t end)
{
	const void *buf;
	la_ssize_t len;

	while ((len = give_tar(s->tar, s, &buf)) > 0)
		;
	if (len < 0)
		return tar_error(s);
	if (s->size - end < END_OF_TAR)
		return because("the archive is cut off");
	if (s->size - s->zeroes > end)
		return because("there is something behind the end of the archive");
	return NULL;
}

void tar_close(struct tar_stream *s)
{
	archive_read_free(s->tar);
	archive_read_free(s->plain);
	free(s->kept);
	if (s->is_gzip)
		inflateEnd(&s->gzip);
}
