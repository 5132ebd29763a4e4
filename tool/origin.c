// SPDX-License-Identifier: GPL-2.0-only
/* What a copy was made of, as kmod/union/origin.c has it. */
#include <fcntl.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include "origin.h"

#define ORIGIN_MAGIC 0xfb
#define ORIGIN_ENDIAN 3
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ORIGIN_FLAGS 1
#define ORIGIN_OTHER_ENDIAN 0
#else
#define ORIGIN_FLAGS 0
#define ORIGIN_OTHER_ENDIAN 1
#endif

/* Is there such an attribute? Then @good if it can be used. */
static bool read_handle(struct origin *o, const struct part *file, const char *mark, bool *good)
{
	char *path CLEANUP(free_string) = fd_path(file->fd);
	ssize_t len = getxattr(path, mark, o, sizeof(*o));

	*good = len > (ssize_t)ORIGIN_HEAD && !o->version && o->magic == ORIGIN_MAGIC &&
		o->len == len && (o->flags & ORIGIN_ENDIAN) != ORIGIN_OTHER_ENDIAN;
	return len >= 0;
}

bool read_origin(struct origin *o, const struct part *file)
{
	bool good;

	read_handle(o, file, MARK "origin", &good);
	return good;
}

/* That of a copy which would be made of it. */
bool make_origin(struct origin *o, const struct layers *layers, const struct part *file)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h;
	size_t len;
	int id;

	h.handle.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(file->fd, "", &h.handle, &id, AT_EMPTY_PATH))
		return false;
	len = h.handle.handle_bytes;
	if (!len || len > sizeof(o->fid))
		return false;
	*o = (struct origin){
		.magic = ORIGIN_MAGIC, .len = (unsigned char)(ORIGIN_HEAD + len),
		.flags = ORIGIN_FLAGS, .type = (unsigned char)h.handle.handle_type,
	};
	memcpy(o->uuid, layers->layer[file->layer].uuid, sizeof(o->uuid));
	memcpy(o->fid, h.handle.f_handle, len);
	return true;
}

/* That of the file which has the data of a metacopy, if it is known. */
bool read_data_origin(struct origin *o, const struct part *metacopy)
{
	bool good;

	return read_handle(o, metacopy, MARK "mica.data", &good) ? good :
	       read_origin(o, metacopy);
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
	return a->len == b->len && a->type == b->type &&
	       !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
	       !memcmp(a->fid, b->fid, a->len - ORIGIN_HEAD);
}

/* Would a copy have that origin? */
bool has_origin(const struct layers *layers, const struct part *file,
		const struct origin *origin)
{
	struct origin o;

	return (read_origin(&o, file) || make_origin(&o, layers, file)) &&
	       same_origin(&o, origin);
}

/* Can files there be told from others by their handles, also later? As in origin.c. */
bool handles_last(const struct part *file)
{
	struct statfs fs;

	return !fstatfs(file->fd, &fs) && fs.f_type != EXFAT_SUPER_MAGIC &&
	       fs.f_type != FUSE_SUPER_MAGIC && fs.f_type != MSDOS_SUPER_MAGIC;
}

/* Is that the file which has the data, or another metacopy of it? */
bool leads_to(const struct layers *layers, const struct part *file, bool metacopy,
	      const struct origin *data)
{
	struct origin o;

	return (handles_last(file) && make_origin(&o, layers, file) && same_origin(&o, data)) ||
	       (metacopy && read_data_origin(&o, file) && same_origin(&o, data));
}
