// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hard links that stay hard links when they are copied up.
 *
 * Only one name of a file is put into the branch with the copy. The others find
 * it through the index, a directory beside the work directory: there the copy
 * has one more name, made of its origin's file handle, as overlayfs has it.
 *
 * A file has as many names in the union as the copy has in its branch, and some
 * more, or less: the index itself does not count, names that are still below
 * do. That number is an attribute of the copy. Before there is one, a whiteout
 * in its place in the index has how many names were removed. The number is set
 * late when it goes down, so after a crash it may be too large, and a copy be
 * kept that has no name any more; it is never too small, and a name be left
 * without its file.
 */
#include <linux/mount.h>
#include <linux/slab.h>
#include "origin.h"
#include "../compat/hex.h"

/*
 * As in overlayfs, U: what is added to the names of the copy, L: to those of what
 * is below.
 */
#define LINKS_SIZE 12

static bool index_name(const struct mica_origin *o, char *buf)
{
	size_t head = sizeof(o->head);

	if (!o->size || 2 * o->size > NAME_MAX)
		return false;
	*bin2hex(bin2hex(buf, &o->head, head), o->fid, o->size - head) = 0;
	return true;
}

static bool can_index(const struct mica_branch *b)
{
	return b->has_marks && d_inode(b->work)->i_op->link;
}

/**
 * mica_links_stay - do the names of a file stay one file when it is copied?
 * @sb: the union
 * @part: the file, which has several names
 */
bool mica_links_stay(const struct super_block *sb, const struct mica_part *part)
{
	const struct mica_branch *b = part->b;

	while (!IS_ERR(b = mica_rw_left_of(sb, b->pos)))
		if (!part->b->uuid_is_good || !can_index(b))
			return false;
	return true;
}

/**
 * mica_index_find - look for a copy that was made through another name
 * @set: the branches of the union
 * @part: a file with several names
 * @b: out: the branch of the copy
 *
 * The caller has the mounter's credentials.
 *
 * Return: the copy, counted; NULL if there is none; or an error.
 */
struct dentry *mica_index_find(const struct mica_branches *set,
			       const struct mica_part *part,
			       struct mica_branch **b)
{
	struct mica_origin o = {};
	struct dentry *index, *copy;
	char name[NAME_MAX + 1];
	unsigned int i;

	/* Positions may be those of another set already. */
	for (i = 0; i < set->nr && set->branch[i] != part->b; i++) {
		*b = set->branch[i];
		index = READ_ONCE((*b)->index);
		if (!index)
			continue;
		if (!o.size)
			mica_get_origin(part, &o);
		if (!index_name(&o, name))
			return NULL;
		copy = lower_lookup(*b, index, &QSTR(name));
		if (copy)
			return copy;
	}
	return NULL;
}

/* Is that a name of the file, which does not show the copy itself? */
bool mica_links_same(struct inode *inode, const struct mica_part *part)
{
	struct mica_branch *b;
	struct dentry *copy;
	bool ret;

	if (!test_bit(MICA_I_INDEXED, &mica_i(inode)->flags))
		return false;
	copy = mica_index_find(mica_branches(inode->i_sb), part, &b);
	if (IS_ERR_OR_NULL(copy))
		return false;
	ret = d_inode(copy) == mica_real_inode(inode);
	dput(copy);
	return ret;
}

/* Reads how many names an entry of the index does not have itself. */
static int read_links(const struct mica_branch *b, struct dentry *copy,
		      char of, int *links)
{
	char value[LINKS_SIZE] = "";
	int len;

	len = lower_get_mark(b, copy, "nlink", value, sizeof(value) - 1);
	if (len < 0)
		return len;
	return value[0] == of ? kstrtoint(value + 1, 10, links) : -EINVAL;
}

static int write_links(const struct mica_branch *b, struct dentry *copy,
		       char of, int links)
{
	char value[LINKS_SIZE];
	int len = snprintf(value, sizeof(value), "%c%+d", of, links);

	return lower_set_mark(b, copy, "nlink", value, len);
}

/**
 * mica_links_lost - how many names of a file that is no copy are hidden
 * @set: the branches of the union
 * @part: the file
 *
 * The caller has the mounter's credentials.
 *
 * Return: their number, negative.
 */
int mica_links_lost(const struct mica_branches *set, const struct mica_part *part)
{
	struct dentry *entry;
	struct mica_branch *b;
	int links = 0;

	if (d_inode(part->dentry)->i_nlink <= 1)
		return 0;
	entry = mica_index_find(set, part, &b);
	if (IS_ERR_OR_NULL(entry))
		return 0;
	if (IS_WHITEOUT(d_inode(entry)))
		read_links(b, entry, 'L', &links);
	dput(entry);
	return links;
}

/**
 * mica_links_init - find out about the names of a file
 * @inode: an inode of the union, a file with several names
 * @lost: of one that is not a copy, the whiteout in the index, or NULL
 * @of: the branch of that
 */
void mica_links_init(struct inode *inode, struct dentry *lost,
		     const struct mica_branch *of)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];
	const struct mica_branch *b = part->b;

	if (lost) {
		read_links(of, lost, 'L', &mica_i(inode)->links);
		mica_copyattr(inode);
		return;
	}
	if (test_bit(MICA_I_INDEXED, &mica_i(inode)->flags) ||
	    !READ_ONCE(b->index) ||
	    read_links(b, part->dentry, 'U', &mica_i(inode)->links))
		return;
	set_bit(MICA_I_INDEXED, &mica_i(inode)->flags);
	mica_copyattr(inode);
}

/* @links are added to those that the copy has. */
static int set_links(struct inode *inode, int links)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];
	const struct mica_branch *b = part->b;
	int err;

	err = mnt_want_write(b->mnt);
	if (err)
		return err;
	err = write_links(b, part->dentry, 'U', links);
	mnt_drop_write(b->mnt);
	if (!err)
		mica_i(inode)->links = links;
	mica_copyattr(inode);
	return err;
}

/* Is that file of a branch a copy which other names find through the index? */
bool mica_is_indexed(const struct mica_branch *b, struct dentry *copy)
{
	int links;

	return b->index && d_is_reg(copy) && !read_links(b, copy, 'U', &links);
}

/**
 * mica_index_remove - let the index go of a copy
 * @b: the branch
 * @copy: the copy
 *
 * The caller has the mounter's credentials and mnt_want_write().
 *
 * Return: 0 or an error.
 */
int mica_index_remove(struct mica_branch *b, struct dentry *copy)
{
	const struct mica_part part = { .b = b, .dentry = copy };
	char name[NAME_MAX + 1];
	struct mica_origin o;
	int err;

	mica_get_origin(&part, &o);
	if (!b->index || !index_name(&o, name))
		return 0;
	err = lower_remove(b, b->index, &QSTR(name), d_inode(copy));
	return err == -ENOENT ? 0 : err;
}

/* The copy has lost its last name, so the index lets it go as well. */
static void remove_from_index(struct inode *inode)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];

	if (mnt_want_write(part->b->mnt))
		return;
	mica_index_remove(part->b, part->dentry);
	mnt_drop_write(part->b->mnt);
}

static struct dentry *need_index(struct mica_branch *b)
{
	struct dentry *index = READ_ONCE(b->index), *parent;

	if (index)
		return index;
	parent = dget_parent(b->work);
	index = mica_need_dir(b, parent, &QSTR("index"));
	dput(parent);
	if (!IS_ERR(index))
		WRITE_ONCE(b->index, index);
	return index;
}

/* A name of a file that has no copy went. What cannot be recorded is lost. */
static void record_lost(struct inode *inode)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];
	struct super_block *sb = inode->i_sb;
	struct mica_branch *b = mica_rw_left_of(sb, part->b->pos);
	struct dentry *index, *entry = NULL;
	char name[NAME_MAX + 1];
	struct mica_origin o;

	if (IS_ERR(b) || !mica_links_stay(sb, part))
		return;
	mica_get_origin(part, &o);
	if (!index_name(&o, name) || mnt_want_write(b->mnt))
		return;
	mutex_lock(&mica_super(sb)->link_lock);
	index = need_index(b);
	if (!IS_ERR(index)) {
		entry = lower_lookup(b, index, &QSTR(name));
		if (!entry)
			entry = lower_create(b, index, &QSTR(name),
					     S_IFCHR | WHITEOUT_MODE,
					     WHITEOUT_DEV, NULL);
	}
	if (!IS_ERR_OR_NULL(entry)) {
		if (inode->i_nlink)
			write_links(b, entry, 'L', mica_i(inode)->links);
		else
			lower_remove(b, index, &QSTR(name), d_inode(entry));
		dput(entry);
	}
	mutex_unlock(&mica_super(sb)->link_lock);
	mnt_drop_write(b->mnt);
}

/**
 * mica_links_removed - a name of a file was removed
 * @inode: the file; its lock is held
 * @below: the file has a copy, but the name was in the branch of the origin
 */
void mica_links_removed(struct inode *inode, bool below)
{
	const struct cred *old = mica_override_creds(inode->i_sb);

	if (below && mica_is_rw(inode)) {
		set_links(inode, mica_i(inode)->links - 1);
	} else {
		/* In its branch the name stays. */
		if (!mica_is_rw(inode))
			mica_i(inode)->links--;
		mica_copyattr(inode);
	}
	if (test_bit(MICA_I_INDEXED, &mica_i(inode)->flags)) {
		if (!inode->i_nlink)
			remove_from_index(inode);
	} else if (!mica_is_rw(inode) && mica_real_inode(inode)->i_nlink > 1) {
		record_lost(inode);
	}
	revert_creds(old);
}

static int count_shown(const struct mica_branch *b, struct dentry *entry, char of)
{
	int links;

	if (read_links(b, entry, of, &links))
		return 0;
	/* None is lost any more. */
	if (of == 'L' && links >= -1)
		return lower_remove(b, b->index, &entry->d_name,
				    d_inode(entry));
	return write_links(b, entry, of, links + 1);
}

/**
 * mica_links_shown - a name of a file that was hidden shows again
 * @sb: the union, in which nobody changes anything
 * @part: the file, where the name is
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_links_shown(struct super_block *sb, const struct mica_part *part)
{
	struct dentry *entry, *shown;
	struct mica_branch *b;
	struct inode *inode;
	int err;
	char of;

	if (d_is_dir(part->dentry) || d_inode(part->dentry)->i_nlink <= 1)
		return 0;
	entry = mica_index_find(mica_branches(sb), part, &b);
	if (IS_ERR_OR_NULL(entry))
		return PTR_ERR_OR_ZERO(entry);
	of = IS_WHITEOUT(d_inode(entry)) ? 'L' : 'U';
	shown = of == 'L' ? part->dentry : entry;
	err = mnt_want_write(b->mnt);
	if (!err) {
		err = count_shown(b, entry, of);
		mnt_drop_write(b->mnt);
	}
	/* What was removed from a branch that is not writable is in memory only. */
	if (err == -EROFS)
		err = 0;
	inode = err ? NULL : mica_ilookup(sb, d_inode(shown));
	if (inode) {
		mica_i(inode)->links++;
		mica_copyattr(inode);
		iput(inode);
	}
	dput(entry);
	return err;
}

/* Whiteouts make room for a copy. Returns 1 if it is there already, 0 or an error. */
static int make_room(const struct mica_branch *b, struct dentry *index,
		     const struct qstr *name, const struct dentry *copy)
{
	struct dentry *there = lower_lookup(b, index, name);
	int err;

	if (IS_ERR_OR_NULL(there))
		return PTR_ERR_OR_ZERO(there);
	if (d_inode(there) == d_inode(copy))
		err = 1;
	else
		err = IS_WHITEOUT(d_inode(there)) ?
		      lower_remove(b, index, name, d_inode(there)) : -EEXIST;
	dput(there);
	return err;
}

static int link_to_index(const struct mica_branch *b, struct dentry *index,
			 const struct qstr *name, struct dentry *copy)
{
	int err = make_room(b, index, name, copy);
	struct dentry *dentry;

	if (err)
		return min(err, 0);
	dentry = lower_link(b, index, name, copy);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	dput(dentry);
	return 0;
}

/**
 * mica_index_add - let the other names of a file find its copy
 * @inode: the file; its lock and that of the links are held
 * @b: branch of the copy
 * @copy: the copy, in the work directory, with its origin recorded
 *
 * The caller has the mounter's credentials and mnt_want_write().
 *
 * Return: 0 or an error.
 */
int mica_index_add(struct inode *inode, struct mica_branch *b, struct dentry *copy)
{
	const struct mica_part part = { .b = b, .dentry = copy };
	char name[NAME_MAX + 1];
	struct dentry *index;
	struct mica_origin o;
	int err;

	mica_get_origin(&part, &o);
	if (!index_name(&o, name))
		return -EOVERFLOW;
	index = need_index(b);
	if (IS_ERR(index))
		return PTR_ERR(index);
	/* As if it had no other name than this one. */
	err = write_links(b, copy, 'U', inode->i_nlink - 1) ?:
	      link_to_index(b, index, &QSTR(name), copy);
	/* Without a name there, it is no such copy. */
	if (err)
		lower_remove_mark(b, copy, "nlink");
	return err;
}

/* The names of @copy, which has all that it gets, are in the index. */
void mica_links_copied(struct inode *inode, struct mica_branch *b,
		       struct dentry *copy)
{
	/* What is recorded already is too large, if anything. */
	write_links(b, copy, 'U',
		    (int)inode->i_nlink - (int)d_inode(copy)->i_nlink);
	set_bit(MICA_I_INDEXED, &mica_i(inode)->flags);
}

/* Lets a copy be found by its origin, whatever it is called. */
static int keep_in_index(struct inode *inode)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];
	struct mutex *lock = &mica_super(inode->i_sb)->link_lock;
	struct mica_inode *mi = mica_i(inode);
	int err;

	if (test_bit(MICA_I_INDEXED, &mi->flags) ||
	    !can_index(part->b))
		return 0;
	err = mutex_lock_killable(lock);
	if (err)
		return err;
	err = mica_index_add(inode, part->b, part->dentry);
	if (!err) {
		mica_links_copied(inode, part->b, part->dentry);
		mi->links = (int)inode->i_nlink -
			    (int)d_inode(part->dentry)->i_nlink;
	}
	mutex_unlock(lock);
	return err;
}

/*
 * What is written to the copy may be synced, and the index is what leads there. To
 * sync is to open, which is something else for what has no data.
 */
static int sync_index(struct inode *inode)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];
	struct mica_part index = { .b = part->b, .dentry = part->b->index };
	int err = 0;

	if (mica_super(inode->i_sb)->do_volatile)
		return 0;
	if (S_ISREG(inode->i_mode))
		err = mica_sync_part(part, 0, LLONG_MAX, 0);
	return err ?: mica_sync_part(&index, 0, LLONG_MAX, 0);
}

/* As mica_links_stay(), once the branches are those of @set. */
static bool names_will_stay(const struct mica_branches *set, const struct mica_branch *b)
{
	unsigned int i;

	for (i = 0; i < set->nr && set->branch[i] != b; i++)
		if (set->branch[i]->rw && !can_index(set->branch[i]))
			return false;
	return b->uuid_is_good && can_index(b);
}

/**
 * mica_keep_names - let all names of a file find what it will be copied to
 * @inode: the file, whose branch is writable still; nobody changes anything
 * @set: the branches that the union will have
 *
 * So it may be copied by somebody who has it open, but none of its names.
 *
 * Return: 0, or an error, -EBUSY if there can be no index for that.
 */
int mica_keep_names(struct inode *inode, const struct mica_branches *set)
{
	const struct mica_branch *b = mica_parts(inode)->part[0].b;
	const struct cred *old;
	int err;

	if (!names_will_stay(set, b))
		return -EBUSY;
	err = mutex_lock_killable(&mica_i(inode)->lock);
	if (err)
		return err;
	err = mnt_want_write(b->mnt);
	if (!err) {
		old = mica_override_creds(inode->i_sb);
		err = keep_in_index(inode) ?: sync_index(inode);
		revert_creds(old);
		mnt_drop_write(b->mnt);
	}
	mutex_unlock(&mica_i(inode)->lock);
	return err;
}

/**
 * mica_keep_origin - let something keep its number and its file handle
 * @inode: the inode, which is locked, and in @b
 * @dir: directory where it gets a name
 * @b: the branch
 *
 * The caller has the mounter's credentials and mnt_want_write().
 *
 * Return: 0 or an error.
 */
int mica_keep_origin(struct inode *inode, struct inode *dir, struct mica_branch *b)
{
	int err;

	if (mica_has_own_number(inode))
		return 0;
	err = mica_mark_impure(dir, b);
	if (err || S_ISDIR(inode->i_mode) ||
	    !READ_ONCE(mica_super(inode->i_sb)->has_handles))
		return err;
	return keep_in_index(inode);
}

/* Returns 1 if the name was not there, 0 if it was, or an error. */
static int bring_name(struct dentry *dentry, const struct mica_part *part)
{
	struct inode *dir = d_inode(dentry->d_parent);
	const struct mica_branch *b = part->b;
	struct dentry *where = mica_part_in(dir, part->b), *there;
	int ret;

	there = lower_lookup(b, where, &dentry->d_name);
	ret = PTR_ERR_OR_ZERO(there);
	if (!there) {
		ret = mica_mark_impure(dir, part->b);
		if (ret)
			return ret;
		there = lower_link(b, where, &dentry->d_name, part->dentry);
		ret = PTR_ERR_OR_ZERO(there) ?: 1;
	}
	if (!IS_ERR(there))
		dput(there);
	return ret;
}

/**
 * mica_links_bring - let a name be in the branch of the file's copy
 * @dentry: a name that is about to be renamed; its directory is locked
 *
 * Return: 0 or an error.
 */
int mica_links_bring(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	const struct mica_part *part = &mica_parts(inode)->part[0];
	struct vfsmount *mnt = part->b->mnt;
	const struct cred *old;
	int ret;

	if (!test_bit(MICA_I_INDEXED, &mica_i(inode)->flags))
		return 0;
	if (mica_rw_for(d_inode(dentry->d_parent), part->b->pos + 1) != part->b)
		return -EXDEV;
	ret = mica_copy_up_to(dentry->d_parent, part->b, 0);
	if (ret)
		return ret;

	ret = mutex_lock_killable(&mica_i(inode)->lock);
	if (ret)
		return ret;
	old = mica_override_creds(inode->i_sb);
	ret = mnt_want_write(mnt);
	if (!ret) {
		ret = bring_name(dentry, part);
		mnt_drop_write(mnt);
	}
	if (ret > 0)
		ret = set_links(inode, mica_i(inode)->links - 1);
	revert_creds(old);
	mutex_unlock(&mica_i(inode)->lock);
	return ret;
}

/**
 * mica_links_below - is this name of a file not in the branch of its copy?
 * @dentry: the name; its directory is locked
 *
 * Return: 1, 0 or an error.
 */
int mica_links_below(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry), *dir = d_inode(dentry->d_parent);
	const struct mica_part *part = &mica_parts(inode)->part[0];
	struct dentry *where = mica_part_in(dir, part->b), *there = NULL;
	const struct cred *old;

	if (!test_bit(MICA_I_INDEXED, &mica_i(inode)->flags))
		return 0;
	old = mica_override_creds(inode->i_sb);
	if (where)
		there = lower_lookup(part->b,
				     where, &dentry->d_name);
	revert_creds(old);
	if (IS_ERR(there))
		return PTR_ERR(there);
	dput(there);
	return !there;
}
