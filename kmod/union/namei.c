// SPDX-License-Identifier: GPL-2.0-only
/* Making new names in a directory of the union. */
#include <linux/mount.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include "union.h"

/**
 * struct mica_new - an object to be made
 * @dir: directory of the union
 * @dentry: its name there
 * @mode: type and permissions
 * @rdev: device number, for a device
 * @target: what a symbolic link points to
 * @unnamed: it gets no name
 * @renamed: it was made elsewhere, and got its name later
 * @inode: for a hard link, what it is to be a link to
 * @from: the same, in the branch
 * @b: branch it is made in
 * @where: the directory in the branch
 * @made: the object in the branch
 */
struct mica_new {
	struct inode *dir;
	struct dentry *dentry;
	umode_t mode;
	dev_t rdev;
	const char *target;
	bool unnamed;
	bool renamed;
	struct inode *inode;
	struct dentry *from;
	struct mica_branch *b;
	struct dentry *where;
	struct dentry *made;
};

/**
 * mica_part_in - the part of an inode in one branch
 * @inode: the inode
 * @b: the branch
 *
 * Return: a dentry that lives as long as the inode, or NULL.
 */
struct dentry *mica_part_in(const struct inode *inode,
			    const struct mica_branch *b)
{
	const struct mica_parts *parts = mica_parts(inode);
	unsigned int i;

	for (i = 0; i < parts->nr; i++)
		if (parts->part[i].b == b)
			return parts->part[i].dentry;
	return NULL;
}

/* The branch of the directory, or the nearest writable one to its left. */
static struct mica_branch *create_branch(struct inode *dir)
{
	return mica_rw_for(dir, mica_parts(dir)->part[0].b->pos + 1);
}

/**
 * mica_target - the branch for a name to be put in a directory
 * @dir: the directory
 * @name: the name
 * @b: branch that would be best
 *
 * Return: @b if a name put there can be seen, else where a new one would
 * go; -EROFS if that cannot be written to, or another error.
 */
struct mica_branch *mica_target(struct inode *dir, const struct qstr *name,
				struct mica_branch *b)
{
	const struct mica_parts *parts = mica_parts(dir);
	const struct cred *old;
	unsigned int i;
	int ret = MICA_ABSENT;

	/* Left of all parts, nothing can hide it. */
	if (b == parts->part[0].b)
		return b;
	if (b->pos < parts->part[0].b->pos)
		return mica_rw_for(dir, b->pos + 1);
	if (!mica_part_in(dir, b))
		return create_branch(dir);

	old = mica_override_creds(dir->i_sb);
	for (i = 0; parts->part[i].b != b && ret == MICA_ABSENT; i++) {
		struct dentry *entry;

		ret = mica_look(mica_branches(dir->i_sb), &parts->part[i], name,
				MICA_REACH_DIRS, &entry, NULL);
		if (ret == MICA_FOUND || ret == MICA_FOUND_LAST)
			dput(entry);
	}
	revert_creds(old);
	if (ret < 0)
		return ERR_PTR(ret);
	return ret == MICA_ABSENT ? b : create_branch(dir);
}

/*
 * Would an entry in a branch be what a name shows? Nothing left of it may hide
 * it. To be one more part of a directory, it may follow others, but then what is
 * in the branch now must not matter: a whiteout there hides what is right of it.
 */
static int can_show(struct inode *dir, const struct qstr *name,
		    const struct mica_branch *b, bool merge)
{
	const struct mica_parts *parts = mica_parts(dir);
	struct dentry *entry;
	unsigned int i;
	bool goes_on;
	int ret;

	for (i = 0; i < parts->nr && parts->part[i].b->pos <= b->pos; i++) {
		if (!merge && parts->part[i].b == b)
			break;
		ret = mica_look(mica_branches(dir->i_sb), &parts->part[i], name,
				MICA_REACH_ALL, &entry, NULL);
		if (ret < 0)
			return ret;
		goes_on = ret == MICA_ABSENT ||
			  (ret == MICA_FOUND && merge && d_is_dir(entry) &&
			   parts->part[i].b != b);
		if (ret == MICA_FOUND || ret == MICA_FOUND_LAST)
			dput(entry);
		if (!goes_on)
			return false;
	}
	return true;
}

/* Is there a part of a directory in a branch, or can one be made there? */
static int can_have_part(struct dentry *dir, const struct mica_branch *b)
{
	struct inode *inode = d_inode(dir);
	struct dentry *parent, *child;
	struct name_snapshot name;
	int ret = true;

	if (b->pos < mica_parts(inode)->part[0].b->pos)
		return mica_rw_for(inode, b->pos + 1) == b;

	child = dget(dir);
	while (ret > 0 && !mica_part_in(d_inode(child), b)) {
		parent = dget_parent(child);
		take_dentry_name_snapshot(&name, child);
		ret = parent == child ? false :
		      can_show(d_inode(parent), &name.name, b, true);
		release_dentry_name_snapshot(&name);
		dput(child);
		child = parent;
	}
	dput(child);
	return ret;
}

static u64 free_space(const struct mica_branch *b)
{
	const struct path root = { .mnt = b->mnt, .dentry = b->mnt->mnt_root };
	struct kstatfs st;

	return vfs_statfs(&root, &st) ? 0 : st.f_bavail * st.f_bsize;
}

/* The branch for something new, as create= says. */
static struct mica_branch *choose_branch(struct dentry *dir,
					 const struct qstr *name)
{
	struct mica_super *ms = mica_super(dir->d_sb);
	struct mica_branch *b, *best = ERR_PTR(-EROFS);
	const struct mica_branches *set = ms->branches;
	unsigned int i, pos = 0;
	u64 space, most = 0;
	int ret;

	if (ms->create == MICA_CREATE_RR)
		pos = READ_ONCE(ms->next);
	for (i = 0; i < set->nr; i++, pos++) {
		b = set->branch[pos % set->nr];
		if (!b->rw)
			continue;
		ret = can_have_part(dir, b);
		if (ret > 0)
			ret = can_show(d_inode(dir), name, b, false);
		if (ret < 0)
			return ERR_PTR(ret);
		if (!ret)
			continue;
		if (ms->create != MICA_CREATE_MFS) {
			WRITE_ONCE(ms->next, b->pos + 1);
			return b;
		}
		space = free_space(b);
		if (IS_ERR(best) || space > most) {
			best = b;
			most = space;
		}
	}
	return best;
}

/* The branch for something new. */
static struct mica_branch *new_branch(struct dentry *dir,
				      const struct qstr *name)
{
	struct mica_branch *b;
	const struct cred *old;

	if (mica_super(dir->d_sb)->create == MICA_CREATE_PARENT)
		return create_branch(d_inode(dir));
	old = mica_override_creds(dir->d_sb);
	b = choose_branch(dir, name);
	revert_creds(old);
	return b;
}

/**
 * mica_below - the branch of what would show in place of an entry
 * @dir: directory of the union
 * @name: the name
 * @b: branch whose entry, and whiteout, are thought away
 *
 * That may be something that is not part of the name now, because the entry is
 * an opaque directory. The caller has the mounter's credentials.
 *
 * Return: the branch, NULL if nothing would show, or an error.
 */
struct mica_branch *mica_below(struct inode *dir, const struct qstr *name,
			       const struct mica_branch *b)
{
	const struct mica_parts *parts = mica_parts(dir);
	struct mica_branch *below;
	struct mica_parts *found;
	unsigned int i = 0;
	int err;

	while (i < parts->nr && parts->part[i].b->pos <= b->pos)
		i++;
	if (i == parts->nr)
		return NULL;
	err = mica_lookup_parts(dir, name, i, &found);
	if (err)
		return ERR_PTR(err);
	below = found ? found->part[0].b : NULL;
	mica_parts_free(found);
	return below;
}

/* The mounter, but what is made belongs to the caller. */
static const struct cred *override_as_maker(struct mica_new *n,
					    const struct cred *caller)
{
	struct cred *cred = prepare_creds();
	int err;

	if (!cred)
		return ERR_PTR(-ENOMEM);
	cred->fsuid = caller->fsuid;
	cred->fsgid = n->dir->i_mode & S_ISGID ? n->dir->i_gid : caller->fsgid;
	err = security_dentry_create_files_as(n->dentry, n->mode,
					      &n->dentry->d_name, caller, cred);
	if (err) {
		put_cred(cred);
		return ERR_PTR(err);
	}
	override_creds(cred);
	return cred;
}

static struct dentry *make_at(const struct mica_new *n, struct dentry *dir,
			      const struct qstr *name)
{
	if (n->from)
		return lower_link(n->b, dir, name, n->from);
	return lower_create(n->b, dir, name, n->mode, n->rdev, n->target);
}

static int set_acls(const struct mica_new *n, struct dentry *made,
		    struct posix_acl *acl, struct posix_acl *def)
{
	struct mnt_idmap *idmap = mnt_idmap(n->b->mnt);
	int err = 0;

	if (def)
		err = vfs_set_acl(idmap, made, XATTR_NAME_POSIX_ACL_DEFAULT,
				  def);
	if (!err && acl)
		err = vfs_set_acl(idmap, made, XATTR_NAME_POSIX_ACL_ACCESS,
				  acl);
	return err;
}

static int set_mode(const struct mica_new *n)
{
	struct iattr attr = { .ia_valid = ATTR_MODE, .ia_mode = n->mode };

	return lower_setattr(n->b->mnt, n->made, &attr);
}

/* Made in the work directory, it has to be given what @dir would give it. */
static int make_temp(struct mica_new *n, const struct qstr *name)
{
	struct posix_acl *acl = NULL, *def = NULL;
	int err;

	if (!n->from && !S_ISLNK(n->mode)) {
		err = posix_acl_create(n->dir, &n->mode, &def, &acl);
		if (err) {
			n->made = ERR_PTR(err);
			return err;
		}
		if (S_ISDIR(n->mode) && (n->dir->i_mode & S_ISGID))
			n->mode |= S_ISGID;
	}
	n->made = make_at(n, n->b->work, name);
	err = PTR_ERR_OR_ZERO(n->made);
	if (!err)
		err = set_acls(n, n->made, acl, def);
	/* On the way there, the umask and setgid may have been dealt with. */
	if (!err && !n->from && !S_ISLNK(n->mode) &&
	    d_inode(n->made)->i_mode != n->mode)
		err = set_mode(n);
	posix_acl_release(acl);
	posix_acl_release(def);
	return err;
}

/*
 * Moved to its place in one step. If that is a whiteout of the overlay form, a
 * directory changes places with it.
 */
static int make_in_work_dir(struct mica_new *n, bool over_whiteout)
{
	bool is_dir = over_whiteout && S_ISDIR(n->mode) && !n->from;
	char buf[MICA_TEMP_NAME_SIZE];
	struct qstr name;
	int err;

	mica_temp_name(buf);
	name = QSTR(buf);
	err = make_temp(n, &name);
	if (IS_ERR(n->made))
		return err;
	if (!err && is_dir)
		err = n->b->format->set_opaque(n->b, n->made);
	if (!err)
		err = lower_rename(n->b, n->b->work, &name, d_inode(n->made),
				   n->where, &n->dentry->d_name,
				   is_dir	   ? RENAME_EXCHANGE :
				   over_whiteout   ? 0 :
						     RENAME_NOREPLACE);
	n->renamed = !err;
	/* After an exchange, the whiteout is what has to go. */
	if (err || is_dir)
		lower_discard(n->b, n->b->work, &name);
	if (err) {
		dput(n->made);
		n->made = ERR_PTR(err);
	}
	return err;
}

/*
 * Where nothing is. A directory of the branch that is not the first part may
 * differ from what the union shows in what it hands down: setgid, default ACLs.
 */
static int make_new(struct mica_new *n)
{
	if (!n->from && n->b != mica_parts(n->dir)->part[0].b)
		return make_in_work_dir(n, false);
	n->made = make_at(n, n->where, &n->dentry->d_name);
	return PTR_ERR_OR_ZERO(n->made);
}

/* Beside a whiteout of the dot form, which goes once it hides nothing. */
static int make_beside_whiteout(struct mica_new *n)
{
	const struct qstr *name = &n->dentry->d_name;
	int err;

	err = make_new(n);
	if (err)
		return err;
	if (d_is_dir(n->made) && !n->from)
		err = n->b->format->set_opaque(n->b, n->made);
	if (!err)
		err = mica_unhide(n->b, n->where, name);
	if (err) {
		if (d_is_dir(n->made))
			lower_empty(n->b, n->made, 0);
		lower_remove(n->b, n->where, name, d_inode(n->made));
		dput(n->made);
		n->made = ERR_PTR(err);
	}
	return err;
}

static int make(struct mica_new *n)
{
	const struct qstr *name = &n->dentry->d_name;
	struct dentry *there;
	int ret;

	if (n->unnamed) {
		n->made = lower_tmpfile(n->b, n->where, n->mode);
		return PTR_ERR_OR_ZERO(n->made);
	}
	there = lower_lookup(n->b, n->where, name);
	if (IS_ERR(there))
		return PTR_ERR(there);
	if (there) {
		ret = mica_is_whiteout(n->b, there);
		dput(there);
		/* Somebody put it there behind the union's back. */
		if (ret <= 0)
			return ret ?: -EEXIST;
		return make_in_work_dir(n, true);
	}
	ret = mica_hides(n->b, n->where, name);
	if (ret)
		return ret < 0 ? ret : make_beside_whiteout(n);
	return make_new(n);
}

static int make_as_caller(struct mica_new *n)
{
	const struct cred *caller, *maker = NULL;
	int err;

	caller = mica_override_creds(n->dentry->d_sb);
	if (!n->from)
		maker = override_as_maker(n, caller);
	if (IS_ERR(maker)) {
		err = PTR_ERR(maker);
	} else {
		err = n->inode ? mica_keep_origin(n->inode, n->dir, n->b) : 0;
		if (!err)
			err = make(n);
		if (maker)
			revert_creds(mica_cred(n->dentry->d_sb));
	}
	revert_creds(caller);
	if (!IS_ERR_OR_NULL(maker))
		put_cred(maker);
	return err;
}

/* Makes the object in the branch @n->b, with the directories above it. */
static int mica_make(struct mica_new *n)
{
	int err;

	if (mica_name_reserved(n->dir->i_sb, &n->dentry->d_name))
		return -EPERM;
	err = mica_copy_up_to(n->dentry->d_parent, n->b, 0);
	if (err)
		return err;
	n->where = mica_part_in(n->dir, n->b);

	err = mnt_want_write(n->b->mnt);
	if (err)
		return err;
	err = make_as_caller(n);
	mnt_drop_write(n->b->mnt);
	if (!err && !n->unnamed)
		mica_touch_dir(n->dir, n->b);
	mica_copyattr(n->dir);
	mica_dir_changed(n->dir);
	return err;
}

/*
 * As mica_make(), and the union's inode for it. That is allocated first: what has
 * been made cannot always be unmade.
 */
static struct inode *make_with_inode(struct mica_new *n)
{
	struct mica_parts *parts = mica_parts_alloc(1);
	struct inode *inode = new_inode(n->dir->i_sb);
	int err = -ENOMEM;

	if (parts && inode)
		err = mica_make(n);
	if (err) {
		iput(inode);
		kfree(parts);
		return ERR_PTR(err);
	}
	parts->nr = 1;
	parts->part[0] = mica_part_of(n->b, n->made);
	inode = mica_insert_inode(inode, parts,
				  mica_ino(n->b, d_inode(n->made)->i_ino));
	set_bit(MICA_I_DATA_CHECKED, &mica_i(inode)->flags);
	/* Whose name comes with it needs no fsync() of that. */
	if (!n->renamed)
		clear_bit(MICA_I_NEW_COPY, &mica_i(inode)->flags);
	return inode;
}

static int create_object(struct inode *dir, struct dentry *dentry,
			 umode_t mode, dev_t rdev, const char *target)
{
	struct mica_new n = {
		.dir = dir,
		.dentry = dentry,
		.mode = mode,
		.rdev = rdev,
		.target = target,
	};
	struct inode *inode;

	/* That is a whiteout. */
	if (S_ISCHR(mode) && rdev == WHITEOUT_DEV)
		return -EPERM;
	n.b = new_branch(dentry->d_parent, &dentry->d_name);
	if (IS_ERR(n.b))
		return PTR_ERR(n.b);
	inode = make_with_inode(&n);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	mica_instantiate(dentry, inode);
	return 0;
}

static int mica_create(struct mnt_idmap *idmap, struct inode *dir,
		       struct dentry *dentry, umode_t mode, bool excl)
{
	return create_object(dir, dentry, (mode & 07777) | S_IFREG, 0, NULL);
}

static MICA_MKDIR_T mica_mkdir(struct mnt_idmap *idmap, struct inode *dir,
			       struct dentry *dentry, umode_t mode)
{
	int err = create_object(dir, dentry, (mode & 07777) | S_IFDIR, 0,
				NULL);

	return MICA_MKDIR_RET(err);
}

static int mica_mknod(struct mnt_idmap *idmap, struct inode *dir,
		      struct dentry *dentry, umode_t mode, dev_t rdev)
{
	return create_object(dir, dentry, mode, rdev, NULL);
}

static int mica_symlink(struct mnt_idmap *idmap, struct inode *dir,
			struct dentry *dentry, const char *target)
{
	return create_object(dir, dentry, S_IFLNK, 0, target);
}

static int mica_tmpfile(struct mnt_idmap *idmap, struct inode *dir,
			struct file *file, umode_t mode)
{
	struct mica_new n = {
		.dir = dir,
		.dentry = file->f_path.dentry,
		.mode = mode,
		.unnamed = true,
	};
	struct inode *inode;

	n.b = create_branch(dir);
	if (IS_ERR(n.b))
		return PTR_ERR(n.b);
	inode = make_with_inode(&n);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	/* That takes the only link away. */
	set_nlink(inode, 1);
	d_tmpfile(file, inode);
	mica_set_gone(n.dentry);
	return finish_open(file, n.dentry, NULL);
}

static int mica_link(struct dentry *old, struct inode *dir,
		     struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	struct mica_new n = {
		.dir = dir,
		.dentry = dentry,
		.mode = inode->i_mode,
		.inode = inode,
	};
	int err;

	if (mica_name_reserved(dir->i_sb, &dentry->d_name))
		return -EPERM;
	err = mica_copy_up_meta(old);
	if (err)
		return err;
	n.b = mica_target(dir, &dentry->d_name, mica_parts(inode)->part[0].b);
	if (IS_ERR(n.b))
		return PTR_ERR(n.b);
	err = mica_copy_up_to(old, n.b, MICA_COPY_ALL) ?: mica_free_name(old);
	if (err)
		return err;

	n.from = mica_real(inode);
	err = mica_make(&n);
	if (err)
		return err;
	dput(n.made);
	mica_copyattr(inode);
	ihold(inode);
	mica_instantiate(dentry, inode);
	return 0;
}

const struct inode_operations mica_dir_inode_operations = {
	.lookup		= mica_lookup,
	.create		= mica_create,
	.mkdir		= mica_mkdir,
	.mknod		= mica_mknod,
	.symlink	= mica_symlink,
	.link		= mica_link,
	.unlink		= mica_unlink,
	.rmdir		= mica_rmdir,
	.rename		= mica_rename,
	.tmpfile	= mica_tmpfile,
	.permission	= mica_permission,
	.setattr	= mica_setattr,
	.getattr	= mica_getattr,
	.update_time	= mica_update_time,
	.listxattr	= mica_listxattr,
	.fileattr_get	= mica_fileattr_get,
	.fileattr_set	= mica_fileattr_set,
	MICA_ACL_INODE_OPS,
};
