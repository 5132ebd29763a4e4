/* SPDX-License-Identifier: GPL-2.0-only */
/* What a copy was made of. */
#ifndef MICA_TOOL_ORIGIN_H
#define MICA_TOOL_ORIGIN_H

#include <limits.h>
#include "layer.h"

/* As overlayfs has it on disk: a head, and a file handle. */
struct origin {
	unsigned char version;
	unsigned char magic;
	unsigned char len;		/* of all */
	unsigned char flags;
	unsigned char type;
	unsigned char uuid[16];		/* of the file system */
	unsigned char fid[UCHAR_MAX - 21];
};

#define ORIGIN_HEAD offsetof(struct origin, fid)

bool read_origin(struct origin *o, const struct part *file);
bool make_origin(struct origin *o, const struct layers *layers, const struct part *file);
bool read_data_origin(struct origin *o, const struct part *metacopy);
bool has_origin(const struct layers *layers, const struct part *file,
		const struct origin *origin);
bool handles_last(const struct part *file);
bool leads_to(const struct layers *layers, const struct part *file, bool metacopy,
	      const struct origin *data);

#endif /* MICA_TOOL_ORIGIN_H */
