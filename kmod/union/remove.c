// SPDX-License-Identifier: GPL-2.0-only
/*
 * unlink and rmdir.
 *
 * With delete=all, the instances of a name that are not shown go first, from the
 * right to the left, as far as they can go. If one is left below, the name is
 * hidden from it. What is shown goes last, so nothing changes for the user
 * before. With delete=whiteout the others stay and are hidden, with delete=first
 * they show.
 */
#include <linux/mount.h>
#include <linux/slab.h>
#include "union.h"

/* Is there a branch to the right that something could be removed from? */
static bool rw_behind(const struct super_block *sb, const struct mica_branch *b)
{
	const struct mica_branches *set = mica_branches(sb);
	unsigned int i;

	for (i = b->pos + 1; i < set->nr; i++)
		if (set->branch[i]->rw)
			return true;
	return false;
}

/*
 * The instances of @name that no whiteout hides, leftmost first: the one that is
 * shown, and those behind it as far as some could be removed.
 */
static int find_instances(struct inode *dir, const struct qstr *name,
			  struct mica_parts **found)
{
	const struct mica_parts *where = mica_parts(dir);
	struct mica_parts *parts = mica_parts_alloc(where->nr);
	struct dentry *entry;
	unsigned int i;
	int ret = MICA_ABSENT;

	if (!parts)
		return -ENOMEM;
	for (i = 0; i < where->nr; i++) {
		struct mica_branch *b = where->part[i].b;

		ret = mica_look(mica_branches(dir->i_sb), &where->part[i], name,
				i + 1 < where->nr ? MICA_REACH_ALL :
						    MICA_REACH_NONE,
				&entry, NULL);
		if (ret < 0 || ret == MICA_HIDDEN)
			break;
		if (ret == MICA_ABSENT)
			continue;
		parts->part[parts->nr++] = mica_part_of(b, entry);
		if (ret == MICA_FOUND_LAST || !rw_behind(dir->i_sb, b))
			break;
	}
	if (ret < 0) {
		mica_parts_free(parts);
		return ret;
	}
	*found = parts;
	return 0;
}

/*
 * Takes an entry out of a directory of a branch. A directory is empty but for
 * whiteouts, so it is moved away before it is taken apart. With @hide, the
 * same step hides what is to the right.
 */
static int take_away(const struct mica_branch *b, struct dentry *dir,
		     const struct qstr *name, const struct inode *inode,
		     bool hide)
{
	char buf[MICA_TEMP_NAME_SIZE];
	unsigned int flags = 0;
	int made = 0, err;

	if (hide)
		made = b->format->vacate(b, dir, name, &flags);
	if (made < 0)
		return made;

	err = -ENOTEMPTY;
	if (!flags)
		err = lower_remove(b, dir, name, inode);
	if (err == -ENOTEMPTY) {
		mica_temp_name(buf);
		err = lower_rename(b, dir, name, inode, b->work, &QSTR(buf),
				   flags);
		if (!err)
			lower_discard(b, b->work, &QSTR(buf));
	}
	if (err && made)
		mica_unhide(b, dir, name);
	return err;
}

/*
 * What is not shown there may be a part of what has another name by now, in a
 * branch to the left. Returns the position of the leftmost such, or that of @b.
 */
static unsigned int needed_by(const struct super_block *sb,
			      const struct mica_branch *b)
{
	const struct mica_branches *set = mica_branches(sb);
	unsigned int i = 0;

	while (i < b->pos && !mica_needs(set->branch[i], b))
		i++;
	return i;
}

/* The names of a file with several lead to its copy, even the last: see links.c. */
static bool leads_to_copy(const struct super_block *sb, const struct mica_part *p)
{
	struct mica_branch *b;
	struct dentry *copy;
	bool ret;

	if (d_is_dir(p->dentry) || d_inode(p->dentry)->i_nlink <= 1)
		return false;
	copy = mica_index_find(mica_branches(sb), p, &b);
	if (IS_ERR_OR_NULL(copy))
		return IS_ERR(copy);
	ret = !IS_WHITEOUT(d_inode(copy));
	dput(copy);
	return ret;
}

static bool is_removable(const struct super_block *sb, const struct mica_part *p)
{
	return p->b->rw && !leads_to_copy(sb, p);
}

/* Removes the instances behind the first, as far as branches are writable. */
static void remove_hidden(struct inode *dir, const struct qstr *name,
			  const struct mica_parts *inst)
{
	struct super_block *sb = dir->i_sb;
	unsigned int i;

	for (i = inst->nr - 1; i > 0; i--) {
		const struct mica_part *p = &inst->part[i];
		const struct mica_branch *b = p->b, *below = NULL;

		/* Whiteouts in a directory hide what is in those below it. */
		if (d_is_dir(p->dentry))
			below = mica_below(dir, name, b);
		if (!is_removable(sb, p) || needed_by(sb, b) < b->pos ||
		    IS_ERR(below) ||
		    (d_is_dir(p->dentry) && !mica_only_whiteouts(sb, p)) ||
		    mnt_want_write(b->mnt))
			continue;
		take_away(b, mica_part_in(dir, b), name, d_inode(p->dentry),
			  below);
		mnt_drop_write(b->mnt);
	}
}

/**
 * mica_remove_hidden - remove the instances of a name that are not shown
 * @dir: directory of the union
 * @name: the name of something that is not a directory
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0, also if some could not be removed; or an error.
 */
int mica_remove_hidden(struct inode *dir, const struct qstr *name)
{
	struct mica_parts *inst;
	int err;

	err = find_instances(dir, name, &inst);
	if (err)
		return err;
	if (inst->nr)
		remove_hidden(dir, name, inst);
	mica_parts_free(inst);
	return 0;
}

static int hide_from(struct inode *dir, const struct qstr *name,
		     const struct mica_branch *b)
{
	int err;

	err = mnt_want_write(b->mnt);
	if (err)
		return err;
	err = b->format->whiteout(b, mica_part_in(dir, b), name);
	mnt_drop_write(b->mnt);
	if (!err)
		mica_touch_dir(dir, b);
	return err;
}

static int remove_shown(struct inode *dir, const struct qstr *name,
			const struct mica_part *shown, bool hide)
{
	const struct mica_branch *b = shown->b;
	int err;

	err = mnt_want_write(b->mnt);
	if (err)
		return err;
	err = take_away(b, mica_part_in(dir, b), name, d_inode(shown->dentry),
			hide);
	mnt_drop_write(b->mnt);
	if (!err)
		mica_touch_dir(dir, b);
	return err;
}

/*
 * The nearest writable branch for a whiteout of what is in @b. It is not to hide
 * that from a branch that needs it.
 */
static struct mica_branch *whiteout_for(struct inode *dir,
					const struct mica_branch *b)
{
	return mica_rw_for(dir, min(needed_by(dir->i_sb, b) + 1, b->pos));
}

/* The same, but rather one that has the directory. */
static struct mica_branch *whiteout_branch(struct inode *dir,
					   const struct mica_branch *b)
{
	struct mica_branch *nearest = whiteout_for(dir, b), *hide = nearest;

	while (!IS_ERR(hide) && !mica_part_in(dir, hide))
		hide = mica_rw_for(dir, hide->pos);
	return IS_ERR(hide) ? nearest : hide;
}

#define NEEDS_DIR 2

/*
 * Removes what is to be removed. Returns 1 if a whiteout hides the rest, 0 if
 * there is no rest, or it shows; NEEDS_DIR if @dir has to be in branch *need first.
 */
static int remove_instances(struct inode *dir, const struct qstr *name,
			    const struct mica_parts *inst,
			    struct mica_branch **need)
{
	const struct mica_part *shown = &inst->part[0];
	const struct mica_branch *left = shown->b;
	struct mica_branch *hide = NULL;
	enum mica_delete delete = mica_super(dir->i_sb)->delete;
	bool shown_rw = is_removable(dir->i_sb, shown);
	int err = 0;

	if (delete == MICA_DELETE_FIRST)
		return remove_shown(dir, name, shown, false);
	if (delete == MICA_DELETE_ALL)
		remove_hidden(dir, name, inst);
	if (shown_rw)
		left = mica_below(dir, name, shown->b);
	if (left && !IS_ERR(left))
		hide = delete == MICA_DELETE_WHITEOUT && shown_rw ?
		       shown->b : whiteout_branch(dir, left);
	if (IS_ERR(left) || IS_ERR(hide))
		return IS_ERR(left) ? PTR_ERR(left) : PTR_ERR(hide);
	if (hide && !mica_part_in(dir, hide)) {
		*need = hide;
		return NEEDS_DIR;
	}
	if (hide && hide != shown->b)
		err = hide_from(dir, name, hide);
	if (!err && shown_rw)
		err = remove_shown(dir, name, shown, hide == shown->b);
	return err ?: !!hide;
}

/*
 * The leftmost instance on a branch that is not writable will need a whiteout,
 * and that a directory to be in. Returns the branch, NULL or -EROFS.
 */
static struct mica_branch *directory_needed(struct inode *dir,
					    const struct mica_parts *inst)
{
	enum mica_delete delete = mica_super(dir->i_sb)->delete;
	unsigned int i;

	if (delete != MICA_DELETE_ALL && inst->nr &&
	    is_removable(dir->i_sb, &inst->part[0]))
		return NULL;
	if (delete == MICA_DELETE_FIRST)
		return ERR_PTR(-EROFS);
	for (i = 0; i < inst->nr; i++)
		if (!inst->part[i].b->rw)
			return whiteout_for(dir, inst->part[i].b);
	return NULL;
}

/*
 * As remove_instances(). Of a file with several names, *below tells that this one is
 * not with the copy.
 */
static int remove_name(struct inode *dir, struct dentry *dentry,
		       struct mica_branch **need, bool *below)
{
	struct mica_parts *inst;
	const struct cred *old;
	int ret;

	old = mica_override_creds(dir->i_sb);
	ret = find_instances(dir, &dentry->d_name, &inst);
	if (ret)
		goto out;
	*need = directory_needed(dir, inst);
	*below = inst->nr && d_inode(inst->part[0].dentry) !=
			     mica_real_inode(d_inode(dentry));
	if (!inst->nr ||
	    (*below && !mica_links_same(d_inode(dentry), &inst->part[0])))
		/* Somebody changed the branch behind the union's back. */
		ret = -ESTALE;
	else if (IS_ERR(*need))
		ret = PTR_ERR(*need);
	else if (*need && !mica_part_in(dir, *need))
		ret = NEEDS_DIR;
	else
		ret = remove_instances(dir, &dentry->d_name, inst, need);
	mica_parts_free(inst);
out:
	revert_creds(old);
	return ret;
}

static int mica_remove(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	struct mica_branch *need;
	bool below;
	int ret;

	/* It may not be copied up from now on, its name would come back. */
	ret = mutex_lock_killable(&mica_i(inode)->lock);
	if (ret)
		return ret;
	while ((ret = remove_name(dir, dentry, &need, &below)) == NEEDS_DIR) {
		mutex_unlock(&mica_i(inode)->lock);
		ret = mica_copy_up_to(dentry->d_parent, need, 0);
		ret = ret ?: mutex_lock_killable(&mica_i(inode)->lock);
		if (ret)
			return ret;
	}
	if (ret >= 0) {
		mica_set_gone(dentry);
		if (S_ISDIR(inode->i_mode))
			clear_nlink(inode);
		else
			mica_links_removed(inode, below);
	}
	mutex_unlock(&mica_i(inode)->lock);

	/* The VFS looks again; with delete=first, it finds what was below. */
	if ((ret == -ESTALE && !d_is_dir(dentry)) ||
	    (!ret && mica_super(dir->i_sb)->delete == MICA_DELETE_FIRST))
		d_drop(dentry);
	mica_copyattr(dir);
	mica_dir_changed(dir);
	if (ret > 0)
		mica_event_path(MICA_EVENT_WHITEOUT, dentry);
	return min(ret, 0);
}

int mica_unlink(struct inode *dir, struct dentry *dentry)
{
	return mica_remove(dir, dentry);
}

int mica_rmdir(struct inode *dir, struct dentry *dentry)
{
	int ret = mica_dir_is_empty(dentry);

	if (ret <= 0)
		return ret ?: -ENOTEMPTY;
	return mica_remove(dir, dentry);
}
