// SPDX-License-Identifier: GPL-2.0-only
/* 6.19: locking and look-up for a change of a directory come in one call. */
/* symbols: start_creating start_removing start_renaming end_renaming */
#include <linux/fs.h>
#include <linux/namei.h>

int probe(struct renamedata *rd, struct qstr *name);

int probe(struct renamedata *rd, struct qstr *name)
{
	rd->old_dentry = start_creating(rd->mnt_idmap, rd->old_parent, name);
	end_creating(rd->old_dentry);
	rd->old_dentry = start_removing(rd->mnt_idmap, rd->old_parent, name);
	end_removing(rd->old_dentry);
	return start_renaming(rd, 0, name, name);
}
