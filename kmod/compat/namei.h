/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes of a directory as 7.2 does them. */
#ifndef _MICA_COMPAT_NAMEI_H
#define _MICA_COMPAT_NAMEI_H

#include <linux/fs.h>
#include <linux/namei.h>
#include "idmap.h"

#ifndef QSTR
static inline struct qstr mica_qstr(const char *name)
{
	return (struct qstr)QSTR_INIT(name, strlen(name));
}

/* Something with an address, like the compound literal that it is in 7.2. */
#define QSTR(name) (*(struct qstr[]){ mica_qstr(name) })
#endif

#ifndef HAVE_LOOKUP_ONE_QSTR
#define try_lookup_noperm(qname, base) d_hash_and_lookup(base, qname)

static inline struct dentry *mica_lookup_one(struct mnt_idmap *idmap,
					     struct qstr *name,
					     struct dentry *base)
{
	return lookup_one(idmap, name->name, base, name->len);
}

static inline struct dentry *
mica_lookup_one_positive_unlocked(struct mnt_idmap *idmap, struct qstr *name,
				  struct dentry *base)
{
	return lookup_one_positive_unlocked(idmap, name->name, base,
					    name->len);
}

#define lookup_one mica_lookup_one
#define lookup_one_positive_unlocked mica_lookup_one_positive_unlocked
#endif

#ifndef HAVE_KERNEL_TMPFILE_OPEN
#define kernel_tmpfile_open vfs_tmpfile_open
#endif

#ifndef HAVE_VFS_DELEGATED
struct delegated_inode {
	struct inode *di_inode;
};

static inline bool is_delegated(const struct delegated_inode *di)
{
	return di->di_inode;
}

static inline struct inode **mica_delegated(struct delegated_inode *di)
{
	return di ? &di->di_inode : NULL;
}

#define break_deleg_wait(di) break_deleg_wait(mica_delegated(di))
#define vfs_unlink(idmap, dir, dentry, di) \
	vfs_unlink(idmap, dir, dentry, mica_delegated(di))
#define vfs_link(from, idmap, dir, dentry, di) \
	vfs_link(from, idmap, dir, dentry, mica_delegated(di))
#define notify_change(idmap, dentry, attr, di) \
	notify_change(idmap, dentry, attr, mica_delegated(di))

static inline int mica_vfs_create(struct mnt_idmap *idmap,
				  struct dentry *dentry, umode_t mode)
{
	return vfs_create(idmap, d_inode(dentry->d_parent), dentry, mode, true);
}

#define vfs_create(idmap, dentry, mode, di) \
	mica_vfs_create(idmap, dentry, mode)
#define vfs_mknod(idmap, dir, dentry, mode, dev, di) \
	vfs_mknod(idmap, dir, dentry, mode, dev)
#define vfs_symlink(idmap, dir, dentry, target, di) \
	vfs_symlink(idmap, dir, dentry, target)
#define vfs_rmdir(idmap, dir, dentry, di) \
	vfs_rmdir(idmap, dir, dentry)

/* Like that of 7.2, it ends the change if it fails. */
static inline struct dentry *mica_vfs_mkdir(struct mnt_idmap *idmap,
					    struct inode *dir,
					    struct dentry *dentry, umode_t mode)
{
	int err = vfs_mkdir(idmap, dir, dentry, mode);

	if (!err)
		return dentry;
	inode_unlock(dir);
	dput(dentry);
	return ERR_PTR(err);
}

#define vfs_mkdir(idmap, dir, dentry, mode, di) \
	mica_vfs_mkdir(idmap, dir, dentry, mode)
#endif

#ifndef HAVE_START_CREATING
/* As struct renamedata is in 7.2. */
struct mica_renamedata {
	struct mnt_idmap *mnt_idmap;
	struct dentry *old_parent;
	struct dentry *old_dentry;
	struct dentry *new_parent;
	struct dentry *new_dentry;
	struct delegated_inode *delegated_inode;
	unsigned int flags;
};

struct dentry *start_creating(struct mnt_idmap *idmap, struct dentry *parent,
			      struct qstr *name);
struct dentry *start_removing(struct mnt_idmap *idmap, struct dentry *parent,
			      struct qstr *name);
void end_creating(struct dentry *child);
struct dentry *end_creating_keep(struct dentry *child);
void end_removing(struct dentry *child);
int start_renaming(struct mica_renamedata *rd, int lookup_flags,
		   struct qstr *old_last, struct qstr *new_last);
void end_renaming(struct mica_renamedata *rd);
int mica_vfs_rename(struct mica_renamedata *rd);

#ifndef MICA_COMPAT_NAMEI_C
#define renamedata mica_renamedata
#define vfs_rename mica_vfs_rename
#endif
#endif

#endif /* _MICA_COMPAT_NAMEI_H */
