/* SPDX-License-Identifier: GPL-2.0-only */
/* What a copy was made of. */
#ifndef _MICA_UNION_ORIGIN_H
#define _MICA_UNION_ORIGIN_H

#include <linux/uuid.h>
#include "union.h"

/* As overlayfs has it on disk; its handle follows. */
struct origin_head {
	u8 version;
	u8 magic;
	u8 len;
	u8 flags;
	u8 type;
	uuid_t uuid;
} __packed;

/**
 * struct mica_origin - what something was copied from
 * @size: bytes of @head and @fid; 0 if that is not known
 * @head: of the form on disk
 * @fid: the file handle, after @head on disk
 */
struct mica_origin {
	size_t size;
	struct origin_head head;
	u32 fid[(U8_MAX - sizeof(struct origin_head)) / sizeof(u32)];
};

bool mica_handles_last(const struct mica_branch *b);
bool mica_tells_files(const struct mica_branch *b);
void mica_encode(const struct mica_branch *b, struct dentry *dentry,
		 struct mica_origin *o);
bool mica_same_origin(const struct mica_origin *a, const struct mica_origin *b);
struct mica_branch *mica_branch_of_fs(const struct super_block *sb,
				      const uuid_t *uuid);
void mica_read_origin(const struct mica_branch *b, struct dentry *dentry,
		      struct mica_origin *o);
int mica_read_data(const struct mica_branch *b, struct dentry *meta,
		   struct mica_origin *o);
bool mica_leads_to(const struct mica_branch *b, struct dentry *dentry, bool is_meta,
		   const struct mica_origin *data);
void mica_get_origin(const struct mica_part *part, struct mica_origin *o);

#endif /* _MICA_UNION_ORIGIN_H */
