/* SPDX-License-Identifier: GPL-2.0-only */
/* A tar archive that is read once, compressed or not, and checked to its end. */
#ifndef MICA_TOOL_TAR_STREAM_H
#define MICA_TOOL_TAR_STREAM_H

#include <archive.h>
#include <zlib.h>
#include "layer.h"

struct tar_stream {
	int fd;
	struct archive *plain;		/* the archive without its compression */
	struct archive *tar;
	z_stream gzip;
	bool is_gzip;
	bool in_gzip;			/* a part of it is not complete */
	uint64_t size;			/* of what was read, without compression */
	uint64_t zeroes;		/* how much of that are zeroes at the end */
	bool keep;			/* a header is read, perhaps in parts */
	char *kept;			/* the end of what was read */
	size_t nr_kept;
	unsigned char in[1 << 16];
	char out[1 << 17];
};

const char *tar_open(struct tar_stream *s, int fd);
const char *tar_next(struct tar_stream *s, struct archive_entry **entry);
const char *tar_error(struct tar_stream *s);
const char *tar_check_end(struct tar_stream *s, uint64_t end);
void tar_close(struct tar_stream *s);

#endif /* MICA_TOOL_TAR_STREAM_H */
