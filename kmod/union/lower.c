// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call that changes a branch, or asks it for more than a field of an
 * inode. The caller has the mounter's credentials, and mnt_want_write() on the
 * branch's mount for what changes it. Locks of the branch's directories are
 * taken and dropped in here.
 */
#include <linux/mount.h>
#include <linux/slab.h>
#include "union.h"

int lower_getxattr(const struct mica_branch *b, struct dentry *dentry,
		   const char *name, void *value, size_t size)
{
	if (!(d_inode(dentry)->i_opflags & IOP_XATTR))
		return -EOPNOTSUPP;
	return vfs_getxattr(mnt_idmap(b->mnt), dentry, name, value, size);
}

int lower_setxattr(const struct mica_branch *b, struct dentry *dentry,
		   const char *name, const void *value, size_t size, int flags)
{
	return vfs_setxattr(mnt_idmap(b->mnt), dentry, name, value, size,
			    flags);
}

/* "trusted.overlay." and what is marked. */
#define MARK_SIZE 40

static const char *mark_name(const struct mica_branch *b, char *buf,
			     const char *what)
{
	snprintf(buf, MARK_SIZE, "%s%s", b->userxattr ? MICA_XATTR_USER :
							MICA_XATTR_PRIVATE, what);
	return buf;
}

/* Attributes of the layers' format, which the union does not show. */
int lower_get_mark(const struct mica_branch *b, struct dentry *dentry,
		   const char *what, void *value, size_t size)
{
	char name[MARK_SIZE];
	int ret;

	ret = lower_getxattr(b, dentry, mark_name(b, name, what), value, size);
	/* Those of a user are data: the mounter may not read all that there is. */
	return ret == -EACCES && b->userxattr ? -ENODATA : ret;
}

int lower_set_mark(const struct mica_branch *b, struct dentry *dentry,
		   const char *what, const void *value, size_t size)
{
	char name[MARK_SIZE];

	return lower_setxattr(b, dentry, mark_name(b, name, what), value, size,
			      0);
}

int lower_remove_mark(const struct mica_branch *b, struct dentry *dentry,
		      const char *what)
{
	char name[MARK_SIZE];

	return vfs_removexattr(mnt_idmap(b->mnt), dentry,
			       mark_name(b, name, what));
}

/**
 * lower_open - open a file or a directory of a branch, to read it
 * @path: the file
 * @flags: O_*
 *
 * The VFS does not ask here whether the mounter may. Whether access times change
 * is for the union to say.
 *
 * Return: a file, or an error.
 */
struct file *lower_open(const struct path *path, unsigned int flags)
{
	int err = path_permission(path, MAY_OPEN | MAY_READ);

	if (err)
		return ERR_PTR(err);
	return dentry_open(path, flags | O_RDONLY | O_LARGEFILE | O_NOATIME,
			   current_cred());
}

/**
 * lower_iterate - read all of a directory of a branch
 * @path: the directory
 * @ctx: its actor gets each name; having refused one, it has to refuse the rest
 *
 * Return: 0 or an error.
 */
int lower_iterate(const struct path *path, struct dir_context *ctx)
{
	struct file *file = lower_open(path, O_DIRECTORY);
	loff_t pos;
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	ctx->pos = 0;
	do {
		pos = ctx->pos;
		err = iterate_dir(file, ctx);
	} while (!err && ctx->pos != pos);
	fput(file);
	return err;
}

/**
 * lower_lookup - look a name up in a directory of a branch
 * @b: the branch
 * @dir: directory in it
 * @name: the name
 *
 * Return: a counted dentry, NULL if there is no such name, or cannot be one
 * because it is too long there, or an error.
 */
struct dentry *lower_lookup(const struct mica_branch *b, struct dentry *dir,
			    const struct qstr *name)
{
	struct qstr q = QSTR_INIT(name->name, name->len);
	struct dentry *dentry;

	dentry = lookup_one_positive_unlocked(mnt_idmap(b->mnt), &q, dir);
	return dentry == ERR_PTR(-ENOENT) || dentry == ERR_PTR(-ENAMETOOLONG) ?
	       NULL : dentry;
}

/*
 * A client of a server of the branch may hold a delegation of what is to change.
 * Waits until it has been given back, with nothing of the branch locked. Returns
 * whether that is to be tried again, else *err is why not.
 */
static bool given_back(struct delegated_inode *di, int *err)
{
	if (!is_delegated(di))
		return false;
	*err = break_deleg_wait(di);
	return !*err;
}

static struct dentry *create_at(const struct mica_branch *b, struct dentry *dir,
				const struct qstr *name, umode_t mode, dev_t rdev,
				const char *target, struct delegated_inode *di)
{
	struct mnt_idmap *idmap = mnt_idmap(b->mnt);
	struct qstr q = QSTR_INIT(name->name, name->len);
	struct dentry *dentry;
	int err;

	dentry = start_creating(idmap, dir, &q);
	if (IS_ERR(dentry))
		return dentry;

	err = -EEXIST;
	if (d_is_positive(dentry))
		goto out;

	switch (mode & S_IFMT) {
	case S_IFREG:
		err = vfs_create(idmap, dentry, mode, di);
		break;
	case S_IFDIR:
		dentry = vfs_mkdir(idmap, d_inode(dir), dentry, mode, di);
		if (IS_ERR(dentry))
			return dentry;
		err = 0;
		break;
	case S_IFLNK:
		err = vfs_symlink(idmap, d_inode(dir), dentry, target, di);
		break;
	default:
		err = vfs_mknod(idmap, d_inode(dir), dentry, mode, rdev, di);
	}
	/* A file system may leave it to a later look-up to find the inode. */
	if (!err && d_really_is_negative(dentry))
		err = -EIO;
out:
	if (err) {
		end_creating(dentry);
		return ERR_PTR(err);
	}
	return end_creating_keep(dentry);
}

/**
 * lower_create - make a new entry in a directory of a branch
 * @b: the branch
 * @dir: directory in it
 * @name: name of the new entry
 * @mode: its type and permissions
 * @rdev: device number, for a device
 * @target: what a symbolic link points to
 *
 * Return: a counted dentry, or an error; -EEXIST if the name is taken.
 */
struct dentry *lower_create(const struct mica_branch *b, struct dentry *dir,
			    const struct qstr *name, umode_t mode, dev_t rdev,
			    const char *target)
{
	struct delegated_inode di = { NULL };
	struct dentry *dentry;
	int err = 0;

	do {
		dentry = create_at(b, dir, name, mode, rdev, target, &di);
	} while (given_back(&di, &err));
	return err ? ERR_PTR(err) : dentry;
}

/**
 * lower_tmpfile - make a file without a name, which may be given one later
 * @b: the branch
 * @dir: directory in it
 * @mode: permissions
 *
 * Return: a counted dentry, or an error.
 */
struct dentry *lower_tmpfile(const struct mica_branch *b, struct dentry *dir,
			     umode_t mode)
{
	const struct path path = { .mnt = b->mnt, .dentry = dir };
	struct dentry *dentry;
	struct file *file;

	file = kernel_tmpfile_open(mnt_idmap(b->mnt), &path, mode,
				   O_RDWR | O_LARGEFILE, current_cred());
	if (IS_ERR(file))
		return ERR_CAST(file);
	dentry = dget(file->f_path.dentry);
	fput(file);
	return dentry;
}

/*
 * What was read with the directory locked may be set back under the same lock:
 * nobody else's change is undone.
 */
static void read_mtime(struct dentry *dir, struct iattr *attr)
{
	*attr = (struct iattr){
		.ia_valid = ATTR_MTIME | ATTR_MTIME_SET,
		.ia_mtime = inode_get_mtime(d_inode(dir)),
	};
}

static struct dentry *link_at(const struct mica_branch *b, struct dentry *dir,
			      const struct qstr *name, struct dentry *from,
			      bool keep_mtime, struct delegated_inode *di)
{
	struct mnt_idmap *idmap = mnt_idmap(b->mnt);
	struct qstr q = QSTR_INIT(name->name, name->len);
	struct dentry *dentry;
	struct iattr attr;
	int err = -EEXIST;

	dentry = start_creating(idmap, dir, &q);
	if (IS_ERR(dentry))
		return dentry;
	read_mtime(dir, &attr);
	if (d_is_negative(dentry))
		err = vfs_link(from, idmap, d_inode(dir), dentry, di);
	if (err) {
		end_creating(dentry);
		return ERR_PTR(err);
	}
	if (keep_mtime)
		notify_change(idmap, dir, &attr, NULL);
	return end_creating_keep(dentry);
}

static struct dentry *link_to(const struct mica_branch *b, struct dentry *dir,
			      const struct qstr *name, struct dentry *from,
			      bool keep_mtime)
{
	struct delegated_inode di = { NULL };
	struct dentry *dentry;
	int err = 0;

	do {
		dentry = link_at(b, dir, name, from, keep_mtime, &di);
	} while (given_back(&di, &err));
	return err ? ERR_PTR(err) : dentry;
}

/**
 * lower_link - make a hard link
 * @b: the branch
 * @dir: directory in it
 * @name: new name
 * @from: what gets it, in the same branch
 *
 * Return: a counted dentry of the new name, or an error.
 */
struct dentry *lower_link(const struct mica_branch *b, struct dentry *dir,
			  const struct qstr *name, struct dentry *from)
{
	return link_to(b, dir, name, from, false);
}

/* The same, but the time of the directory's last change stays what it was. */
struct dentry *lower_link_quietly(const struct mica_branch *b,
				  struct dentry *dir, const struct qstr *name,
				  struct dentry *from)
{
	return link_to(b, dir, name, from, true);
}

static int remove_at(const struct mica_branch *b, struct dentry *dir,
		     const struct qstr *name, const struct inode *inode,
		     struct delegated_inode *di)
{
	struct mnt_idmap *idmap = mnt_idmap(b->mnt);
	struct qstr q = QSTR_INIT(name->name, name->len);
	struct dentry *dentry;
	int err;

	dentry = start_removing(idmap, dir, &q);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	if (inode && d_inode(dentry) != inode)
		err = -ESTALE;
	else if (d_is_dir(dentry))
		err = vfs_rmdir(idmap, d_inode(dir), dentry, di);
	else
		err = vfs_unlink(idmap, d_inode(dir), dentry, di);
	end_removing(dentry);
	return err;
}

/**
 * lower_remove - remove a file or an empty directory
 * @b: the branch
 * @dir: directory in it
 * @name: the name
 * @inode: what has to be there, or NULL for anything
 *
 * Return: 0 or an error, -ESTALE if something else is there.
 */
int lower_remove(const struct mica_branch *b, struct dentry *dir,
		 const struct qstr *name, const struct inode *inode)
{
	struct delegated_inode di = { NULL };
	int err;

	do {
		err = remove_at(b, dir, name, inode, &di);
	} while (given_back(&di, &err));
	return err;
}

static int rename_at(const struct mica_branch *b, struct dentry *old_dir,
		     const struct qstr *old_name, const struct inode *inode,
		     struct dentry *new_dir, const struct qstr *new_name,
		     unsigned int flags, bool keep_mtime,
		     struct delegated_inode *di)
{
	struct qstr from = QSTR_INIT(old_name->name, old_name->len);
	struct qstr to = QSTR_INIT(new_name->name, new_name->len);
	struct renamedata rd = {
		.mnt_idmap = mnt_idmap(b->mnt),
		.old_parent = old_dir,
		.new_parent = new_dir,
		.delegated_inode = di,
		/* It is looked at here: not every file system knows that. */
		.flags = flags & ~RENAME_NOREPLACE,
	};
	struct iattr attr;
	int err;

	err = start_renaming(&rd, 0, &from, &to);
	if (err)
		return err;
	read_mtime(new_dir, &attr);
	if (d_inode(rd.old_dentry) != inode)
		err = -ESTALE;
	else if ((flags & RENAME_NOREPLACE) && d_is_positive(rd.new_dentry))
		err = -EEXIST;
	else if ((flags & RENAME_EXCHANGE) && d_is_negative(rd.new_dentry))
		err = -ENOENT;
	else
		err = vfs_rename(&rd);
	if (!err && keep_mtime)
		notify_change(rd.mnt_idmap, new_dir, &attr, NULL);
	end_renaming(&rd);
	return err;
}

static int rename_to(const struct mica_branch *b, struct dentry *old_dir,
		     const struct qstr *old_name, const struct inode *inode,
		     struct dentry *new_dir, const struct qstr *new_name,
		     unsigned int flags, bool keep_mtime)
{
	struct delegated_inode di = { NULL };
	int err;

	do {
		err = rename_at(b, old_dir, old_name, inode, new_dir, new_name,
				flags, keep_mtime, &di);
	} while (given_back(&di, &err));
	return err;
}

/**
 * lower_rename - rename inside a branch
 * @b: the branch
 * @old_dir: directory of the old name
 * @old_name: old name
 * @inode: what has to be there
 * @new_dir: directory of the new name
 * @new_name: new name
 * @flags: RENAME_*
 *
 * Return: 0 or an error, -ESTALE if something else has the old name.
 */
int lower_rename(const struct mica_branch *b, struct dentry *old_dir,
		 const struct qstr *old_name, const struct inode *inode,
		 struct dentry *new_dir, const struct qstr *new_name,
		 unsigned int flags)
{
	return rename_to(b, old_dir, old_name, inode, new_dir, new_name, flags,
			 false);
}

/* The same, but the time of @new_dir's last change stays what it was. */
int lower_rename_quietly(const struct mica_branch *b, struct dentry *old_dir,
			 const struct qstr *old_name, const struct inode *inode,
			 struct dentry *new_dir, const struct qstr *new_name)
{
	return rename_to(b, old_dir, old_name, inode, new_dir, new_name, 0,
			 true);
}

/**
 * lower_setattr - change attributes
 * @mnt: mount of the branch
 * @dentry: of what
 * @attr: the change
 *
 * Return: 0 or an error.
 */
int lower_setattr(struct vfsmount *mnt, struct dentry *dentry,
		  const struct iattr *attr)
{
	struct delegated_inode di = { NULL };
	struct iattr change;
	int err;

	do {
		/* It is not the same afterwards. */
		change = *attr;
		inode_lock(d_inode(dentry));
		err = notify_change(mnt_idmap(mnt), dentry, &change, &di);
		inode_unlock(d_inode(dentry));
	} while (given_back(&di, &err));
	return err;
}

struct any_ctx {
	struct dir_context ctx;
	const struct qstr *but;
	bool found;
};

static bool find_any(struct dir_context *ctx, const char *name, int len,
		     loff_t pos, u64 ino, unsigned int type)
{
	struct any_ctx *any = container_of(ctx, struct any_ctx, ctx);

	any->found |= (name[0] != '.' || (len > 1 && (len > 2 || name[1] != '.'))) &&
		      (len != any->but->len || memcmp(name, any->but->name, len));
	return !any->found;
}

/**
 * lower_is_empty - is there nothing in a directory?
 * @path: the directory
 * @but: a name that does not count
 *
 * Return: 1, 0 or an error.
 */
int lower_is_empty(const struct path *path, const struct qstr *but)
{
	struct any_ctx any = { .ctx.actor = find_any, .but = but };
	int err = lower_iterate(path, &any.ctx);

	return err ?: !any.found;
}

struct list_ctx {
	struct dir_context ctx;
	struct list_head *names;
	int err;
};

static bool note_name(struct dir_context *ctx, const char *name, int len,
		      loff_t pos, u64 ino, unsigned int type)
{
	struct list_ctx *e = container_of(ctx, struct list_ctx, ctx);
	struct lower_name *n;

	if (e->err)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return true;
	n = kmalloc(sizeof(*n) + len + 1, GFP_KERNEL);
	if (!n) {
		e->err = -ENOMEM;
		return false;
	}
	memcpy(n->name, name, len);
	n->name[len] = 0;
	n->len = len;
	list_add_tail(&n->list, e->names);
	return true;
}

/**
 * lower_list - what is in a directory of a branch
 * @b: the branch
 * @dir: the directory
 * @names: where a struct lower_name for each is added, also if it fails
 *
 * Return: 0 or an error.
 */
int lower_list(const struct mica_branch *b, struct dentry *dir,
	       struct list_head *names)
{
	const struct path path = { .mnt = b->mnt, .dentry = dir };
	struct list_ctx e = { .ctx.actor = note_name, .names = names };

	return lower_iterate(&path, &e.ctx) ?: e.err;
}

/* Temporary names live in the work directory only. */
void mica_temp_name(char *name)
{
	static atomic_t last;

	snprintf(name, MICA_TEMP_NAME_SIZE, "#%x", atomic_inc_return(&last));
}

/* Nothing failed, but it is not empty yet. */
#define AGAIN 1

static int empty(const struct mica_branch *b, struct dentry *dir, int depth,
		 struct dentry *spill);

/*
 * A directory with something in it, to be removed: what is too deep moves to
 * @spill, if there is one, and then AGAIN is returned.
 */
static int remove_full(const struct mica_branch *b, struct dentry *dir,
		       const struct qstr *name, int depth, struct dentry *spill)
{
	struct dentry *child = lower_lookup(b, dir, name);
	char temp[MICA_TEMP_NAME_SIZE];
	int err;

	if (IS_ERR_OR_NULL(child))
		return PTR_ERR_OR_ZERO(child);
	if (depth > 0) {
		err = empty(b, child, depth - 1, spill);
		if (!err || err == AGAIN)
			err = lower_remove(b, dir, name, NULL) ?: err;
	} else if (spill) {
		mica_temp_name(temp);
		err = lower_rename(b, dir, name, d_inode(child), spill,
				   &QSTR(temp), 0) ?: AGAIN;
	} else {
		err = -ENOTEMPTY;
	}
	dput(child);
	return err;
}

static int empty(const struct mica_branch *b, struct dentry *dir, int depth,
		 struct dentry *spill)
{
	struct lower_name *n, *next;
	LIST_HEAD(names);
	int err, first;

	first = lower_list(b, dir, &names);
	list_for_each_entry_safe(n, next, &names, list) {
		struct qstr q = QSTR_INIT(n->name, n->len);

		err = lower_remove(b, dir, &q, NULL);
		if (err == -ENOTEMPTY)
			err = remove_full(b, dir, &q, depth, spill);
		first = first ?: err;
		list_del(&n->list);
		kfree(n);
	}
	return first;
}

/**
 * lower_empty - remove everything in a directory
 * @b: the branch
 * @dir: directory in it, one that the union does not show
 * @depth: how deep to go
 *
 * Return: 0 or the first error; -ENOTEMPTY if it is deeper than @depth.
 */
int lower_empty(const struct mica_branch *b, struct dentry *dir, int depth)
{
	return empty(b, dir, depth, NULL);
}

/* How deep to go at once; each costs stack. */
#define PURGE_DEPTH 4

/**
 * lower_purge - remove everything in a directory, however deep
 * @b: the branch
 * @dir: directory in it that nobody else knows
 *
 * Return: 0 or an error.
 */
int lower_purge(const struct mica_branch *b, struct dentry *dir)
{
	int err;

	do {
		err = empty(b, dir, PURGE_DEPTH, dir);
		cond_resched();
	} while (err == AGAIN);
	return err;
}

/**
 * lower_discard - remove an entry of the work directory, with what is in it
 * @b: the branch
 * @dir: its work directory
 * @name: the entry
 *
 * A failure leaves the entry to the next mount, which empties the directory.
 * Return: 0 or an error, which has been logged.
 */
int lower_discard(const struct mica_branch *b, struct dentry *dir,
		  const struct qstr *name)
{
	struct dentry *dentry;
	int err;

	err = lower_remove(b, dir, name, NULL);
	if (err == -ENOTEMPTY) {
		dentry = lower_lookup(b, dir, name);
		err = PTR_ERR_OR_ZERO(dentry);
		if (dentry && !err) {
			err = lower_empty(b, dentry, 2) ?:
			      lower_remove(b, dir, name, NULL);
			dput(dentry);
		}
	}
	if (err)
		pr_warn_ratelimited("%s: left behind in the work directory of %s (%d)\n",
				    name->name, b->name, err);
	return err;
}
