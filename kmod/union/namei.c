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
 * @inode: for a hard link, what it is to be a link to
 * @from: the same, in the branch
 * @slot: branch it is made in
 * @b: the same
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
	struct inode *inode;
	struct dentry *from;
	unsigned int slot;
	const struct mica_branch *b;
	struct dentry *where;
	struct dentry *made;
};

/**
 * mica_part_in - the part of an inode in one branch
 * @inode: the inode
 * @slot: the branch
 *
 * Return: a dentry that lives as long as the inode, or NULL.
 */
struct dentry *mica_part_in(const struct inode *inode, unsigned int slot)
{
	const struct mica_parts *parts = mica_parts(inode);
	unsigned int i;

	for (i = 0; i < parts->nr && parts->part[i].slot <= slot; i++)
		if (parts->part[i].slot == slot)
			return parts->part[i].dentry;
	return NULL;
}

/* The branch of the directory, or the nearest writable one to its left. */
static int create_slot(struct inode *dir)
{
	return mica_rw_slot_for(dir, mica_parts(dir)->part[0].slot + 1);
}

/**
 * mica_target_slot - the branch for a name to be put in a directory
 * @dir: the directory
 * @name: the name
 * @slot: branch that would be best
 *
 * Return: @slot if a name put there can be seen, else where a new one would
 * go; -EROFS if that cannot be written to, or another error.
 */
int mica_target_slot(struct inode *dir, const struct qstr *name, int slot)
{
	const struct mica_parts *parts = mica_parts(dir);
	struct super_block *sb = dir->i_sb;
	const struct cred *old;
	unsigned int i;
	int ret = MICA_ABSENT;

	/* Left of all parts, nothing can hide it. */
	if (slot == parts->part[0].slot)
		return slot;
	if (slot < parts->part[0].slot)
		return mica_rw_slot_for(dir, slot + 1);
	if (!mica_part_in(dir, slot))
		return create_slot(dir);

	old = mica_override_creds(sb);
	for (i = 0; parts->part[i].slot < slot && ret == MICA_ABSENT; i++) {
		struct dentry *entry;

		ret = mica_look(sb, &parts->part[i], name, MICA_REACH_DIRS,
				&entry, NULL);
		if (ret == MICA_FOUND || ret == MICA_FOUND_LAST)
			dput(entry);
	}
	revert_creds(old);
	if (ret < 0)
		return ret;
	return ret == MICA_ABSENT ? slot : create_slot(dir);
}

/*
 * Would an entry in a branch be what a name shows? Nothing left of it may hide
 * it. To be one more part of a directory, it may follow others, but then what is
 * in the branch now must not matter: a whiteout there hides what is right of it.
 */
static int can_show(struct inode *dir, const struct qstr *name,
		    unsigned int slot, bool merge)
{
	const struct mica_parts *parts = mica_parts(dir);
	struct dentry *entry;
	unsigned int i;
	bool goes_on;
	int ret;

	for (i = 0; i < parts->nr && parts->part[i].slot <= slot; i++) {
		if (!merge && parts->part[i].slot == slot)
			break;
		ret = mica_look(dir->i_sb, &parts->part[i], name,
				MICA_REACH_ALL, &entry, NULL);
		if (ret < 0)
			return ret;
		goes_on = ret == MICA_ABSENT ||
			  (ret == MICA_FOUND && merge && d_is_dir(entry) &&
			   parts->part[i].slot < slot);
		if (ret == MICA_FOUND || ret == MICA_FOUND_LAST)
			dput(entry);
		if (!goes_on)
			return false;
	}
	return true;
}

/* Is there a part of a directory in a branch, or can one be made there? */
static int can_have_part(struct dentry *dir, unsigned int slot)
{
	struct inode *inode = d_inode(dir);
	struct dentry *parent, *child;
	struct name_snapshot name;
	int ret = true;

	if (slot < mica_parts(inode)->part[0].slot)
		return mica_rw_slot_for(inode, slot + 1) == slot;

	child = dget(dir);
	while (ret > 0 && !mica_part_in(d_inode(child), slot)) {
		parent = dget_parent(child);
		take_dentry_name_snapshot(&name, child);
		ret = parent == child ? false :
		      can_show(d_inode(parent), &name.name, slot, true);
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
static int choose_slot(struct dentry *dir, const struct qstr *name)
{
	struct mica_super *ms = mica_super(dir->d_sb);
	const struct mica_branches *set = ms->branches;
	unsigned int i, slot = 0;
	u64 space, most = 0;
	int best = -EROFS;
	int ret;

	if (ms->create == MICA_CREATE_RR)
		slot = READ_ONCE(ms->next_slot);
	for (i = 0; i < set->nr; i++, slot++) {
		slot %= set->nr;
		if (!set->slot[slot].rw)
			continue;
		ret = can_have_part(dir, slot);
		if (ret > 0)
			ret = can_show(d_inode(dir), name, slot, false);
		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		if (ms->create != MICA_CREATE_MFS) {
			WRITE_ONCE(ms->next_slot, slot + 1);
			return slot;
		}
		space = free_space(set->slot[slot].branch);
		if (best < 0 || space > most) {
			best = slot;
			most = space;
		}
	}
	return best;
}

/* The branch for something new. */
static int new_slot(struct dentry *dir, const struct qstr *name)
{
	const struct cred *old;
	int slot;

	if (mica_super(dir->d_sb)->create == MICA_CREATE_PARENT)
		return create_slot(d_inode(dir));
	old = mica_override_creds(dir->d_sb);
	slot = choose_slot(dir, name);
	revert_creds(old);
	return slot;
}

/**
 * mica_slot_below - the branch of what would show in place of an entry
 * @dir: directory of the union
 * @name: the name
 * @slot: branch whose entry, and whiteout, are thought away
 *
 * That may be something that is not part of the name now, because the entry is
 * an opaque directory. The caller has the mounter's credentials.
 *
 * Return: the slot, -ENOENT if nothing would show, or another error.
 */
int mica_slot_below(struct inode *dir, const struct qstr *name,
		    unsigned int slot)
{
	const struct mica_parts *parts = mica_parts(dir);
	struct mica_parts *found;
	unsigned int i;
	int ret;

	for (i = 0; i < parts->nr && parts->part[i].slot <= slot; i++)
		;
	if (i == parts->nr)
		return -ENOENT;
	ret = mica_lookup_parts(dir, name, i, &found);
	if (ret)
		return ret;
	ret = found ? found->part[0].slot : -ENOENT;
	mica_parts_free(found);
	return ret;
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

	return lower_setattr(n->b, n->made, &attr);
}

/* Made in the work directory, it has to be given what @dir would give it. */
static int make_temp(struct mica_new *n, const struct qstr *name)
{
	struct posix_acl *acl = NULL, *def = NULL;
	int err;

	if (!n->from && !S_ISLNK(n->mode)) {
		err = posix_acl_create(n->dir, &n->mode, &def, &acl);
		if (err)
			return err;
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

/* In place of a whiteout of the overlay form, in one step. */
static int make_over_whiteout(struct mica_new *n)
{
	bool is_dir = S_ISDIR(n->mode) && !n->from;
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
				   is_dir ? RENAME_EXCHANGE : 0);
	/* After an exchange, the whiteout is what has to go. */
	if (err || is_dir)
		lower_discard(n->b, n->b->work, &name);
	if (err) {
		dput(n->made);
		n->made = ERR_PTR(err);
	}
	return err;
}

/* Beside a whiteout of the dot form, which goes once it hides nothing. */
static int make_beside_whiteout(struct mica_new *n)
{
	const struct qstr *name = &n->dentry->d_name;
	int err = 0;

	n->made = make_at(n, n->where, name);
	if (IS_ERR(n->made))
		return PTR_ERR(n->made);
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
		return make_over_whiteout(n);
	}
	ret = mica_hides(n->b, n->where, name);
	if (ret)
		return ret < 0 ? ret : make_beside_whiteout(n);
	n->made = make_at(n, n->where, name);
	return PTR_ERR_OR_ZERO(n->made);
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
		err = n->inode ? mica_keep_origin(n->inode, n->dir, n->slot) : 0;
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

/* Makes the object in the branch @n->slot, with the directories above it. */
static int mica_make(struct mica_new *n)
{
	struct super_block *sb = n->dentry->d_sb;
	int err;

	if (mica_name_reserved(sb, &n->dentry->d_name))
		return -EPERM;
	err = mica_copy_up_to(n->dentry->d_parent, n->slot, 0);
	if (err)
		return err;
	n->b = mica_branch(sb, n->slot);
	n->where = mica_part_in(n->dir, n->slot);

	err = mnt_want_write(n->b->mnt);
	if (err)
		return err;
	err = make_as_caller(n);
	mnt_drop_write(n->b->mnt);
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
	struct super_block *sb = n->dir->i_sb;
	struct mica_parts *parts = mica_parts_alloc(1);
	struct inode *inode = new_inode(sb);
	int err = -ENOMEM;

	if (parts && inode)
		err = mica_make(n);
	if (err) {
		iput(inode);
		kfree(parts);
		return ERR_PTR(err);
	}
	parts->nr = 1;
	parts->part[0].slot = n->slot;
	parts->part[0].dentry = n->made;
	inode = mica_insert_inode(inode, parts,
				  mica_ino(sb, n->slot,
					   d_inode(n->made)->i_ino));
	set_bit(MICA_I_DATA_CHECKED, &mica_i(inode)->flags);
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
	int slot;

	/* That is a whiteout. */
	if (S_ISCHR(mode) && rdev == WHITEOUT_DEV)
		return -EPERM;
	slot = new_slot(dentry->d_parent, &dentry->d_name);
	if (slot < 0)
		return slot;
	n.slot = slot;
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
	int slot;

	slot = create_slot(dir);
	if (slot < 0)
		return slot;
	n.slot = slot;
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
	int slot, err;

	if (mica_name_reserved(dir->i_sb, &dentry->d_name))
		return -EPERM;
	err = mica_copy_up_meta(old);
	if (err)
		return err;
	slot = mica_target_slot(dir, &dentry->d_name,
				mica_parts(inode)->part[0].slot);
	if (slot < 0)
		return slot;
	err = mica_copy_up_to(old, slot, MICA_COPY_ALL) ?:
	      mica_free_name(old);
	if (err)
		return err;

	n.slot = slot;
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
