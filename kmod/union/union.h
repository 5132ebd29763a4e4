/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The union file system: what its files share.
 *
 * A union has a set of branches, the leftmost first. An inode of the union has
 * parts: where it is in the branches, leftmost first. The first part is the
 * one that is shown; only directories have more than one.
 */
#ifndef _MICA_UNION_H
#define _MICA_UNION_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/percpu-refcount.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>
#include <linux/xattr.h>
#include "../compat/acl.h"
#include "../compat/backing-file.h"
#include "../compat/dcache.h"
#include "../compat/fileattr.h"
#include "../compat/idmap.h"
#include "../compat/inode.h"
#include "../compat/namei.h"
#include "../compat/super.h"
#include "../../uapi/mica.h"
#include "../mica.h"

#define MICA_MAX_BRANCHES	1024
/* Of a writable branch, what is not shown. */
#define MICA_META_DIR		".wh..wh.mica"
#define MICA_PROTECTED		(S_APPEND | S_IMMUTABLE)
/* How deep redirects may be nested; each costs some of the stack. */
#define MICA_MAX_REDIRECTS	8

/* Attributes that belong to the layers' format, and that in a user namespace. */
#define MICA_XATTR_PRIVATE	XATTR_TRUSTED_PREFIX "overlay."
#define MICA_XATTR_USER		XATTR_USER_PREFIX "overlay."

/* On-disk forms of whiteouts and opaque directories, as a mask. */
#define MICA_FORM_DOT		1u
#define MICA_FORM_OVERLAY	2u

/* Of a branch that can be written to, when that was possible last. */
#define MICA_RW_NOW		U32_MAX

struct mica_branch;
struct mica_reason;
struct mica_view;
struct layer_format;

/**
 * struct mica_branch - a directory tree that takes part in a union
 * @id: number that stays the same wherever the branch stands
 * @pos: where it stands, 0 is the leftmost
 * @rw: it can be written to
 * @last_rw: when it could last, since the union was mounted: 0 never, or greater the
 *	later it was, up to MICA_RW_NOW
 * @wb_err: which failures to write back are known of its file system
 * @modes: how often that has changed, from 1
 * @forbidden: MNT_NOSUID, MNT_NODEV, MNT_NOEXEC that hold for what is in it
 * @fs: which of the union's file systems it is on, for inode numbers
 * @numbered: @fs is good
 * @dev: the same, as stat() tells it
 * @uuid_is_good: no other file system of the union has the UUID of this one
 * @read: MICA_FORM_* that whiteouts are read in
 * @format: form that whiteouts are written in
 * @name: its path, as it was given
 * @mnt: private mount of its root
 * @work: directory for what is not finished; NULL on a branch never writable
 * @index: directory of the copies of files with several names, or NULL
 * @has_marks: it has extended attributes for our own use
 * @userxattr: they are those that anybody may set, so they are not believed
 *	to lead anywhere else
 * @hash: what it is known by where it is needed, or 0
 * @needs_read: it, and the list, have been looked for
 * @incomplete: layers that redirects and metacopies in it lead to are missing, as
 *	in the set that the union has
 * @needs_lock: taken to add to the two that follow; nothing of ours comes after
 * @needs: hashes of the layers that they lead to, as noted on the root
 * @nr_needs: how many
 * @merged: hashes of the layers that it stands for, likewise
 * @nr_merged: how many
 * @ref: parts of inodes that are in it
 * @free_work: frees it when there are none any more
 * @left: the union that it was removed from
 * @owned: inodes marked as belonging to this union, the root and @work
 * @plain: hashes of MICA_NR_PLAIN directories or less, see format.c
 *
 * It does not change while a union uses it, but that it gets an index, and a list
 * of what it needs.
 */
struct mica_branch {
	u32 id;
	unsigned int pos;
	bool rw;
	u32 last_rw;
	errseq_t wb_err;
	unsigned int modes;
	unsigned int forbidden;
	unsigned int fs;
	bool numbered;
	dev_t dev;
	bool uuid_is_good;
	unsigned int read;
	const struct layer_format *format;
	char *name;
	struct vfsmount *mnt;
	struct dentry *work;
	struct dentry *index;
	bool has_marks;
	bool userxattr;
	__le64 hash;
	bool needs_read;
	bool incomplete;
	struct mutex needs_lock;	/* adding to the list */
	__le64 *needs;
	unsigned int nr_needs;
	__le64 *merged;
	unsigned int nr_merged;
	struct inode *owned[2];
	struct percpu_ref ref;
	struct work_struct free_work;
	struct mica_super *left;
	u64 plain[];
};

/* Of so many directories a branch remembers that they have no whiteouts. */
#define MICA_NR_PLAIN	256

/**
 * struct mica_branches - the branches of a union, in order
 * @old: what it replaced, which lives as long as the union
 * @nr: how many
 * @read: forms that any of them reads
 * @mounts: of the branches, @nr of them, for the end
 * @incomplete: of each, whether layers that it needs are missing here
 * @branch: the branches, leftmost first
 *
 * It is never changed, only replaced as a whole.
 */
struct mica_branches {
	struct mica_branches *old;
	unsigned int nr;
	unsigned int read;
	struct vfsmount **mounts;
	bool *incomplete;
	struct mica_branch *branch[];
};

enum mica_purity {
	MICA_PURITY_UNKNOWN,
	MICA_PURE,
	MICA_IMPURE,
};

/**
 * struct mica_part - where something is in one branch
 * @b: the branch
 * @redirected: to the right of it, its name is another
 * @purity: of a directory, whether copies may be in it
 * @plain: of a directory that is not writable: it has no files that hide anything,
 *	which was found out when this was @modes of the branch
 * @looks: how often that has been of interest; UINT_MAX if it has some
 * @dentry: its name there
 */
struct mica_part {
	struct mica_branch *b;
	bool redirected;
	enum mica_purity purity;
	unsigned int plain;
	unsigned int looks;
	struct dentry *dentry;
};

/**
 * struct mica_parts - where an inode of the union is
 * @old: what it replaced; readers may still look at that, so both live as
 *	long as the inode
 * @nr: how many parts, at least 1
 * @part: the parts, leftmost first
 */
struct mica_parts {
	struct mica_parts *old;
	unsigned int nr;
	struct mica_part part[];
};

/* Bits of mica_inode.flags. */
enum {
	MICA_I_DATA_CHECKED,	/* its data is where its first part is */
	MICA_I_INDEXED,		/* its other names find it through the index */
	MICA_I_NEW_COPY,	/* a crash might take it away again */
};

struct mica_inode {
	struct inode vfs_inode;
	struct mica_parts *parts;
	struct inode *key;
	struct mutex lock;	/* adding a part, and the name of it */
	struct mutex data_lock;	/* making a copy, comes after lock */
	unsigned long flags;
	int links;		/* names that its first part does not have */
	unsigned int protection;	/* MICA_PROTECTED that is no branch's */
	struct mica_part *data;	/* where its data is, if not in the first part */
	struct mica_part data_part;
	struct mica_parts *nameless;	/* a copy that is not in parts yet */
	atomic64_t version;	/* of the names in a directory */
};

/* What becomes of the other instances of a name that is removed. */
enum mica_delete {
	MICA_DELETE_ALL,	/* they are removed or hidden */
	MICA_DELETE_WHITEOUT,	/* they are hidden */
	MICA_DELETE_FIRST,	/* they show */
};

/* Where something new is put, of all the branches where it can be seen. */
enum mica_create {
	MICA_CREATE_PARENT,	/* where its directory is, or left of it */
	MICA_CREATE_TOP,	/* the leftmost */
	MICA_CREATE_MFS,	/* the one with the most free space */
	MICA_CREATE_RR,		/* one after the other */
};

struct mica_super {
	struct list_head list;
	struct super_block *sb;
	u32 id;
	struct dentry *coming;	/* root of what is going to be a branch */
	struct mica_branches *branches;
	unsigned int forbidden;	/* what any branch forbids, or has */
	struct mutex change_lock;	/* of the branches; nothing waits for it */
	struct task_struct *changer;	/* who freezes the union for it */
	struct mutex freeze_lock;	/* whether a change holds a freeze stays */
	bool holds_freeze;	/* a change does */
	struct srcu_struct srcu;	/* who looks at parts of directories */
	atomic_t leaving;	/* branches that were removed, still in use */
	const struct cred *cred;
	const struct layer_format *format;
	struct mutex move_lock;	/* renaming a directory that has many parts */
	struct mutex link_lock;	/* of a file with many names, which are one */
	struct list_head nameless;	/* files that mmap() had copied */
	spinlock_t nameless_lock;
	struct mutex name_lock;	/* one gives names, others wait */
	struct work_struct name_work;
	struct workqueue_struct *queue;	/* for what may wait for a file system below */
	atomic_t copies;	/* for mmap() that are under way */
	bool redirects;		/* a directory with a redirect has been seen */
	bool has_handles;	/* somebody may know files by their handles */
	bool overlay_syntax;
	bool do_volatile;
	bool no_redirect;
	bool metacopy;
	enum mica_delete delete;
	bool copyup_top;
	enum mica_create create;
	unsigned int next;	/* for MICA_CREATE_RR */
	char *workdir;
};

static inline struct mica_super *mica_super(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct mica_inode *mica_i(const struct inode *inode)
{
	return container_of(inode, struct mica_inode, vfs_inode);
}

static inline const struct mica_branches *
mica_branches(const struct super_block *sb)
{
	/* Pairs with the release in live.c. */
	return smp_load_acquire(&mica_super(sb)->branches);
}

/* Parts are published whole, see mica_add_part(). */
static inline const struct mica_parts *mica_parts(const struct inode *inode)
{
	/* Pairs with the release there. */
	return smp_load_acquire(&mica_i(inode)->parts);
}

static inline struct dentry *mica_real(const struct inode *inode)
{
	return mica_parts(inode)->part[0].dentry;
}

static inline struct inode *mica_real_inode(const struct inode *inode)
{
	return d_inode(mica_real(inode));
}

static inline bool mica_is_rw(const struct inode *inode)
{
	return mica_parts(inode)->part[0].b->rw;
}

/* Where the data is. Published like the parts. */
static inline const struct mica_part *mica_data_part(const struct inode *inode)
{
	/* Pairs with the releases in copy_up.c. */
	const struct mica_part *data = smp_load_acquire(&mica_i(inode)->data);

	return data ?: &mica_parts(inode)->part[0];
}

/* MNT_NOSUID, MNT_NODEV, MNT_NOEXEC that hold for an inode. */
static inline unsigned int mica_forbidden(const struct inode *inode)
{
	return READ_ONCE(mica_parts(inode)->part[0].b->forbidden) |
	       READ_ONCE(mica_data_part(inode)->b->forbidden);
}

static inline bool mica_is_metacopy(const struct inode *inode)
{
	return READ_ONCE(mica_i(inode)->data);
}

static inline bool mica_data_is_rw(const struct inode *inode)
{
	return mica_data_part(inode)->b->rw;
}

static inline bool mica_is_new_copy(const struct inode *inode)
{
	return test_bit(MICA_I_NEW_COPY, &mica_i(inode)->flags);
}

static inline void mica_set_new_copy(struct inode *inode)
{
	if (S_ISREG(inode->i_mode) && !mica_super(inode->i_sb)->do_volatile)
		set_bit(MICA_I_NEW_COPY, &mica_i(inode)->flags);
}

static inline void mica_part_path(const struct mica_part *part,
				  struct path *path)
{
	path->mnt = part->b->mnt;
	path->dentry = part->dentry;
}

static inline void mica_real_path(const struct inode *inode, struct path *path)
{
	mica_part_path(&mica_parts(inode)->part[0], path);
}

static inline const struct cred *mica_cred(const struct super_block *sb)
{
	return mica_super(sb)->cred;
}

/* Was it mounted by somebody who may be anybody outside? */
static inline bool mica_in_userns(const struct super_block *sb)
{
	return sb->s_user_ns != &init_user_ns;
}

/* Who works in the branches is the mounter; undo with revert_creds(). */
static inline const struct cred *
mica_override_creds(const struct super_block *sb)
{
	return override_creds(mica_cred(sb));
}

/**
 * struct mica_look - a look at something in its branch: mica_begin_look()
 * @real: what is looked at, without a reference
 * @old: the credentials of the caller
 * @srcu: what it was of a directory stays as long
 */
struct mica_look {
	struct path real;
	const struct cred *old;
	int srcu;
};

/*
 * Parts of a directory are looked at with its i_rwsem held, or between these two:
 * a change of branches waits for that, and lets the old ones go then. On return
 * the caller has the mounter's credentials.
 */
static inline void mica_begin_look(const struct inode *inode,
				   struct mica_look *l)
	__acquires(mica_look)
{
	l->srcu = -1;
	if (S_ISDIR(inode->i_mode))
		l->srcu = srcu_read_lock(&mica_super(inode->i_sb)->srcu);
	else
		__acquire(mica_look);
	mica_real_path(inode, &l->real);
	l->old = mica_override_creds(inode->i_sb);
}

static inline void mica_end_look(const struct inode *inode,
				 const struct mica_look *l)
	__releases(mica_look)
{
	revert_creds(l->old);
	if (l->srcu >= 0)
		srcu_read_unlock(&mica_super(inode->i_sb)->srcu, l->srcu);
	else
		__release(mica_look);
}

/*
 * Names mean something else there: without the key they are not the same, and
 * nothing from outside can be moved in; or upper case is lower case.
 */
static inline bool mica_dir_is_strange(const struct dentry *dentry)
{
	const struct inode *inode = d_inode(dentry);

	return IS_CASEFOLDED(inode) ||
	       (S_ISDIR(inode->i_mode) && IS_ENCRYPTED(inode));
}

/* A name that went, though its file may still be open. */
static inline bool mica_is_gone(const struct dentry *dentry)
{
	return dentry->d_fsdata;
}

static inline void mica_set_gone(struct dentry *dentry)
{
	dentry->d_fsdata = dentry;
}

/* A file that was found by its handle only, so it is not known where it is. */
static inline bool mica_is_disconnected(const struct dentry *dentry)
{
	return IS_ROOT(dentry) && !d_is_dir(dentry);
}

static inline void mica_instantiate(struct dentry *dentry, struct inode *inode)
{
	dentry->d_fsdata = NULL;
	d_instantiate(dentry, inode);
}

static inline void mica_dir_changed(struct inode *dir)
{
	atomic64_inc(&mica_i(dir)->version);
}

/* export.c */
bool mica_can_export(const struct mica_branches *set);
extern const struct export_operations mica_export_operations;

/* branches.c */
struct dentry *mica_need_dir(const struct mica_branch *b, struct dentry *dir,
			     const struct qstr *name);
struct mica_branch *mica_branch_new(const struct path *path, const char *name,
				    unsigned int read);
struct mica_branches *mica_branches_alloc(unsigned int nr);
void mica_branches_append(struct mica_branches *set, struct mica_branch *b);
void mica_set_free(struct mica_branches *set);
void mica_branch_allow_writes(struct mica_branch *b, bool allowed);
void mica_branch_set_mode(struct mica_branch *b, bool rw);
void mica_branch_retire(struct mica_super *ms, struct mica_branch *b);
void mica_branch_remove(struct mica_super *ms, struct mica_branch *b);
void mica_branches_free(struct mica_branches *set, const struct cred *cred);

/**
 * struct mica_changing - a directory that somebody is going to change
 * @list: of all of them
 * @dir: the directory, counted by whoever has this
 */
struct mica_changing {
	struct list_head list;
	struct dentry *dir;
};

int mica_change_begin(struct mica_changing *c, u32 but);
void mica_change_end(struct mica_changing *c);
int mica_expect_branch(struct mica_super *ms, struct dentry *root);
void mica_publish(struct mica_super *ms, struct mica_branches *set);
int mica_own(struct inode *inode);
void mica_disown(struct inode *inode);
int mica_branch_own(struct mica_branch *branch, struct inode *inode);
int mica_branch_prepare_work(struct mica_branch *branch,
			     const struct path *workdir);
int mica_branch_find_index(struct mica_branch *b);
unsigned int mica_inherit_forbidden(struct mica_branches *set,
				    const struct user_namespace *ns);
struct mica_branch *mica_rw_left_of(const struct super_block *sb,
				    unsigned int pos);
struct mica_branch *mica_rw_for(struct inode *dir, unsigned int pos);
struct mica_branch *mica_copy_target(struct inode *dir,
				     const struct mica_branch *b);

/* origin.c */
u64 mica_ino(const struct mica_branch *b, u64 ino);
bool mica_has_own_number(const struct inode *inode);
u64 mica_number(struct inode *dir, const struct mica_parts *parts);
bool mica_is_impure(struct inode *dir, const struct mica_branch *b);
int mica_mark_impure(struct inode *dir, const struct mica_branch *b);
int mica_record_origin(struct inode *inode, const struct mica_branch *b,
		       struct dentry *copy);
int mica_record_data(const struct mica_part *data, const struct mica_branch *b,
		     struct dentry *copy);
int mica_number_filesystems(struct mica_branches *set);

/* options.c */
int mica_init_fs_context(struct fs_context *fc);
int mica_show_options(struct seq_file *m, struct dentry *root);

/* super.c */
void mica_super_free(struct super_block *sb);
void mica_event_path(enum mica_event_type type, struct dentry *dentry);

/* lower.c */
int lower_getxattr(const struct mica_branch *b, struct dentry *dentry,
		   const char *name, void *value, size_t size);
int lower_get_mark(const struct mica_branch *b, struct dentry *dentry,
		   const char *what, void *value, size_t size);
int lower_set_mark(const struct mica_branch *b, struct dentry *dentry,
		   const char *what, const void *value, size_t size);
int lower_remove_mark(const struct mica_branch *b, struct dentry *dentry,
		      const char *what);
int lower_setxattr(const struct mica_branch *b, struct dentry *dentry,
		   const char *name, const void *value, size_t size, int flags);
struct file *lower_open(const struct path *path, unsigned int flags);
int lower_iterate(const struct path *path, struct dir_context *ctx);
struct dentry *lower_lookup(const struct mica_branch *b, struct dentry *dir,
			    const struct qstr *name);
struct dentry *lower_create(const struct mica_branch *b, struct dentry *dir,
			    const struct qstr *name, umode_t mode, dev_t rdev,
			    const char *target);
struct dentry *lower_tmpfile(const struct mica_branch *b, struct dentry *dir,
			     umode_t mode);
struct dentry *lower_link(const struct mica_branch *b, struct dentry *dir,
			  const struct qstr *name, struct dentry *from);
struct dentry *lower_link_quietly(const struct mica_branch *b,
				  struct dentry *dir, const struct qstr *name,
				  struct dentry *from);
int lower_remove(const struct mica_branch *b, struct dentry *dir,
		 const struct qstr *name, const struct inode *inode);
int lower_rename(const struct mica_branch *b, struct dentry *old_dir,
		 const struct qstr *old_name, const struct inode *inode,
		 struct dentry *new_dir, const struct qstr *new_name,
		 unsigned int flags);
int lower_rename_quietly(const struct mica_branch *b, struct dentry *old_dir,
			 const struct qstr *old_name, const struct inode *inode,
			 struct dentry *new_dir, const struct qstr *new_name);
int lower_is_empty(const struct path *path, const struct qstr *but);
int lower_setattr(struct vfsmount *mnt, struct dentry *dentry,
		  const struct iattr *attr);

/* A name in a directory, of a list. */
struct lower_name {
	struct list_head list;
	int len;
	char name[];
};

int lower_list(const struct mica_branch *b, struct dentry *dir,
	       struct list_head *names);
int lower_empty(const struct mica_branch *b, struct dentry *dir, int depth);
int lower_purge(const struct mica_branch *b, struct dentry *dir);
int lower_discard(const struct mica_branch *b, struct dentry *dir,
		  const struct qstr *name);

#define MICA_TEMP_NAME_SIZE 20
void mica_temp_name(char *name);

/* format.c */
struct layer_format {
	const char *name;
	unsigned int form;

	/* Hides @name in @dir, which has no such entry. */
	int (*whiteout)(const struct mica_branch *b, struct dentry *dir,
			const struct qstr *name);
	/*
	 * Makes sure that @name is hidden once its entry moves away from @dir
	 * by a rename with @flags, which it may add to. What it made goes
	 * again with mica_unhide() if the rename fails.
	 */
	int (*vacate)(const struct mica_branch *b, struct dentry *dir,
		      const struct qstr *name, unsigned int *flags);
	/* Nothing to the right of @dir is part of it any more. */
	int (*set_opaque)(const struct mica_branch *b, struct dentry *dir);
};

const struct layer_format *mica_format_by_name(const char *name);
const struct layer_format *mica_format_by_form(unsigned int form);
bool mica_name_reserved(const struct super_block *sb, const struct qstr *name);
int mica_is_whiteout(const struct mica_branch *b, struct dentry *dentry);
int mica_hides(const struct mica_branch *b, struct dentry *dir,
	       const struct qstr *name);
int mica_part_hides(const struct mica_part *dir, const struct qstr *name);
int mica_is_opaque(const struct mica_part *dir);
int mica_unhide(const struct mica_branch *b, struct dentry *dir,
		const struct qstr *name);
char *mica_redirect(const struct mica_branch *b, struct dentry *dir);
char *mica_redirect_in(const struct mica_branches *set,
		       const struct mica_branch *b, struct dentry *dir);
int mica_set_redirect(const struct mica_branch *b, struct dentry *dentry,
		      struct dentry *parent, const struct qstr *name);
int mica_is_metacopy_on_disk(const struct mica_branch *b,
			     struct dentry *dentry);
bool mica_dot_whiteout_name(const char *name, int len);

/* links.c */
bool mica_links_stay(const struct super_block *sb,
		     const struct mica_part *part);
struct dentry *mica_index_find(const struct mica_branches *set,
			       const struct mica_part *part,
			       struct mica_branch **b);
int mica_index_add(struct inode *inode, struct mica_branch *b,
		   struct dentry *copy);
int mica_links_lost(const struct mica_branches *set, const struct mica_part *part);
void mica_links_init(struct inode *inode, struct dentry *lost,
		     const struct mica_branch *of);
void mica_links_copied(struct inode *inode, struct mica_branch *b,
		       struct dentry *copy);
void mica_links_removed(struct inode *inode, bool below);
bool mica_is_indexed(const struct mica_branch *b, struct dentry *copy);
int mica_links_shown(struct super_block *sb, const struct mica_part *part);
int mica_index_remove(struct mica_branch *b, struct dentry *copy);
int mica_keep_names(struct inode *inode, const struct mica_branches *set);
int mica_keep_origin(struct inode *inode, struct inode *dir, struct mica_branch *b);
int mica_links_bring(struct dentry *dentry);
int mica_links_below(struct dentry *dentry);
bool mica_links_same(struct inode *inode, const struct mica_part *part);

/* needs.c */
int mica_find_needs(struct mica_branches *set);
bool mica_is_incomplete(const struct mica_branches *set,
			const struct mica_branch *b);
int mica_find_merged(struct mica_branch *b, struct mica_reason *why);
int mica_merged_as(const struct mica_branch *b, const struct mica_branch *other);
bool mica_stands_for(const struct mica_branch *b, const struct mica_branch *other);
__le64 mica_layer_hash(const struct mica_branch *b, struct dentry *root);
int mica_seal(struct mica_branch *b, const struct mica_branch *above,
	      struct mica_reason *why);
void mica_unseal(struct mica_branch *b);
int mica_check_sealed(const struct mica_branch *b,
		      const struct mica_branches *set, unsigned int left,
		      struct mica_reason *why);
bool mica_needs(struct mica_branch *b, const struct mica_branch *on);
bool mica_may_have_moved(struct mica_branch *b, const struct mica_branch *to);
int mica_note_need(struct mica_branch *b, const struct mica_branch *on);

/**
 * struct mica_drop - a change of a branch that is dropped, see reset.c
 * @dir: directory of the union
 * @name: name in it
 * @b: the branch
 * @real: @dir there
 * @entry: what the name is there, counted; NULL if it is only hidden
 * @indexed: copies that are in the index as well
 * @shown: what files with several names get one back for
 * @bin: directory in the work directory that the entry has been moved to
 */
struct mica_drop {
	struct dentry *dir;
	const struct qstr *name;
	struct mica_branch *b;
	struct dentry *real;
	struct dentry *entry;
	struct list_head indexed;
	struct list_head shown;
	struct dentry *bin;
};

/* reset.c */
int mica_drop_find(struct mica_drop *d, const struct mica_view *view,
		   struct mica_reason *why);
int mica_drop_do(struct mica_drop *d);
void mica_drop_end(struct mica_drop *d);

/* live.c */
struct mica_parts *mica_root_parts(const struct mica_branches *set);
int mica_thaw_super(struct super_block *sb);
long mica_dir_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* lookup.c */
enum mica_sight {
	MICA_ABSENT,		/* nothing here, look further right */
	MICA_HIDDEN,		/* whiteout: nothing from here on */
	MICA_FOUND,		/* an entry, and it goes on to the right */
	MICA_FOUND_LAST,	/* an entry, and it ends here */
};

/* For which entries it matters whether the name goes on to the right. */
enum mica_reach {
	MICA_REACH_NONE,
	MICA_REACH_DIRS,
	MICA_REACH_ALL,
};

/**
 * struct mica_view - what look-ups are done in
 * @ms: the union
 * @set: its branches
 * @root: the parts of its root
 * @without: look as if that name were not there, if not NULL
 */
struct mica_view {
	struct mica_super *ms;
	const struct mica_branches *set;
	const struct mica_parts *root;
	const struct mica_drop *without;
};

int mica_look(const struct mica_branches *set, const struct mica_part *dir,
	      const struct qstr *name, enum mica_reach reach,
	      struct dentry **entry, char **redirect);
int mica_lookup_in(const struct mica_view *view, const struct mica_parts *where,
		   const struct qstr *name, unsigned int from,
		   struct mica_parts **parts);
int mica_lookup_parts(struct inode *dir, const struct qstr *name,
		      unsigned int from, struct mica_parts **parts);
int mica_lookup_data(struct inode *dir, const struct qstr *name,
		     const struct mica_part *top, struct mica_part *data);
struct mica_parts *mica_parts_alloc(unsigned int nr);
void mica_parts_free(struct mica_parts *parts);
struct mica_part mica_part_get(const struct mica_part *part);
struct mica_part mica_part_of(struct mica_branch *b, struct dentry *dentry);
void mica_part_put(const struct mica_part *part);
struct mica_parts *mica_parts_one(struct mica_branch *b, struct dentry *dentry);
struct dentry *mica_lookup(struct inode *dir, struct dentry *dentry,
			   unsigned int flags);

/* inode.c */
struct inode *mica_insert_inode(struct inode *inode, struct mica_parts *parts,
				u64 ino);
struct inode *mica_iget_linked(struct super_block *sb, struct mica_parts *parts,
			       u64 ino);
struct inode *mica_iget(struct super_block *sb, struct mica_parts *parts,
			u64 ino);
struct inode *mica_ilookup(struct super_block *sb, struct inode *real);
void mica_newest_times(const struct inode *inode, struct kstat *stat);
void mica_touch_dir(struct inode *dir, const struct mica_branch *b);
void mica_copyattr(struct inode *inode);
void mica_add_part(struct inode *inode, struct mica_parts *parts);
int mica_permission(struct mnt_idmap *idmap, struct inode *inode, int mask);
int mica_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct iattr *attr);
MICA_UPDATE_TIME(mica_update_time);
int mica_getattr(struct mnt_idmap *idmap, const struct path *path,
		 struct kstat *stat, u32 mask, unsigned int flags);
extern const struct super_operations mica_super_operations;
int mica_inode_cache_init(void);
void mica_inode_cache_exit(void);

/* xattr.c */
extern const struct xattr_handler * const mica_xattr_handlers[];
ssize_t mica_listxattr(struct dentry *dentry, char *list, size_t size);
bool mica_xattr_private(const struct super_block *sb, const char *name);
struct posix_acl *mica_get_inode_acl(struct inode *inode, int type, bool rcu);
struct posix_acl *mica_get_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			       int type);
int mica_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct posix_acl *acl, int type);
int mica_fileattr_get(struct dentry *dentry, struct file_kattr *fa);
int mica_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct file_kattr *fa);
unsigned int mica_read_protection(const struct super_block *sb,
				  const struct mica_part *part);
int mica_write_protection(const struct mica_branch *b, struct dentry *dentry,
			  unsigned int flags);
int mica_copy_fileattr(struct dentry *src, const struct mica_branch *b,
		       struct dentry *copy);
int mica_set_acl_of_inode(struct mnt_idmap *idmap, struct inode *inode,
			  struct posix_acl *acl, int type);

/**
 * struct mica_change - a change of attributes under way: mica_begin_change()
 * @real: what is changed, in its branch, without a reference
 * @old: the credentials of the caller
 * @held: whether the change holds the lock of the data
 */
struct mica_change {
	struct path real;
	const struct cred *old;
	bool held;
};

/* copy_up.c */
#define MICA_COPY_ALL LLONG_MAX
#define MICA_COPY_META (-1)
int mica_check_data(struct dentry *dentry);
int mica_adopt_data(struct inode *inode, struct mica_branch *b,
		    struct dentry *data);
int mica_copy_up(struct dentry *dentry);
int mica_copy_up_meta(struct dentry *dentry);
int mica_begin_change(struct inode *inode, struct mica_change *c);
void mica_end_change(struct inode *inode, struct mica_change *c);
int mica_copy_up_data(struct dentry *dentry, loff_t size);
int mica_copy_up_to(struct dentry *dentry, struct mica_branch *b, loff_t size);
int mica_copy_up_for_mmap(struct file *file);
int mica_name_all(struct mica_super *ms);
void mica_nameless_init(struct mica_super *ms);
void mica_nameless_end(struct mica_super *ms);
int mica_sync_name(struct inode *inode);
int mica_copies_wait(struct mica_super *ms);

/* namei.c, remove.c, rename.c */
extern const struct inode_operations mica_dir_inode_operations;
struct mica_branch *mica_target(struct inode *dir, const struct qstr *name,
				struct mica_branch *b);
struct dentry *mica_part_in(const struct inode *inode,
			    const struct mica_branch *b);
struct mica_branch *mica_below(struct inode *dir, const struct qstr *name,
			       const struct mica_branch *b);
int mica_free_name(struct dentry *dentry);
int mica_remove_hidden(struct inode *dir, const struct qstr *name);
int mica_unlink(struct inode *dir, struct dentry *dentry);
int mica_rmdir(struct inode *dir, struct dentry *dentry);
int mica_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		struct dentry *old, struct inode *new_dir, struct dentry *new,
		unsigned int flags);

/* file.c, readdir.c */
int mica_sync_part(const struct mica_part *part, loff_t start, loff_t end,
		   int datasync);
extern const struct file_operations mica_file_operations;
extern const struct address_space_operations mica_aops;
extern const struct file_operations mica_dir_operations;
int mica_dir_is_empty(struct dentry *dentry);
bool mica_only_whiteouts(struct super_block *sb, const struct mica_part *part);

#endif /* _MICA_UNION_H */
