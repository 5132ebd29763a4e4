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
static bool rw_behind(const struct super_block *sb, unsigned int slot)
{
	while (++slot < mica_branches(sb)->nr)
		if (mica_slot_rw(sb, slot))
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
	unsigned int i;
	int ret = MICA_ABSENT;

	if (!parts)
		return -ENOMEM;
	for (i = 0; i < where->nr; i++) {
		struct mica_part *to = &parts->part[parts->nr];

		ret = mica_look(dir->i_sb, &where->part[i], name,
				i + 1 < where->nr ? MICA_REACH_ALL :
						    MICA_REACH_NONE,
				&to->dentry, NULL);
		if (ret < 0 || ret == MICA_HIDDEN)
			break;
		if (ret == MICA_ABSENT)
			continue;
		to->slot = where->part[i].slot;
		parts->nr++;
		if (ret == MICA_FOUND_LAST || !rw_behind(dir->i_sb, to->slot))
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

/* Removes the instances behind the first, as far as branches are writable. */
static void remove_hidden(struct inode *dir, const struct qstr *name,
			  const struct mica_parts *inst)
{
	struct super_block *sb = dir->i_sb;
	unsigned int i;

	for (i = inst->nr - 1; i > 0; i--) {
		const struct mica_part *p = &inst->part[i];
		const struct mica_branch *b = mica_branch(sb, p->slot);
		int below = -ENOENT;

		/* Whiteouts in a directory hide what is in those below it. */
		if (d_is_dir(p->dentry))
			below = mica_slot_below(dir, name, p->slot);
		if (!mica_slot_rw(sb, p->slot) ||
		    (below < 0 && below != -ENOENT) ||
		    (d_is_dir(p->dentry) && !mica_only_whiteouts(sb, p)) ||
		    mnt_want_write(b->mnt))
			continue;
		take_away(b, mica_part_in(dir, p->slot), name,
			  d_inode(p->dentry), below >= 0);
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
		     unsigned int slot)
{
	const struct mica_branch *b = mica_branch(dir->i_sb, slot);
	int err;

	err = mnt_want_write(b->mnt);
	if (err)
		return err;
	err = b->format->whiteout(b, mica_part_in(dir, slot), name);
	mnt_drop_write(b->mnt);
	return err;
}

static int remove_shown(struct inode *dir, const struct qstr *name,
			const struct mica_part *shown, bool hide)
{
	const struct mica_branch *b = mica_branch(dir->i_sb, shown->slot);
	int err;

	err = mnt_want_write(b->mnt);
	if (err)
		return err;
	err = take_away(b, mica_part_in(dir, shown->slot), name,
			d_inode(shown->dentry), hide);
	mnt_drop_write(b->mnt);
	return err;
}

/*
 * The branch for a whiteout of what is in @slot: the nearest writable one to
 * the left, that has the directory.
 */
static int whiteout_slot(struct inode *dir, unsigned int slot)
{
	int hide = slot;

	do {
		hide = mica_rw_slot_for(dir, hide);
	} while (hide >= 0 && !mica_part_in(dir, hide));
	return hide;
}

/*
 * Removes what is to be removed. Returns 1 if a whiteout hides the rest, 0 if
 * there is no rest, or it shows.
 */
static int remove_instances(struct inode *dir, const struct qstr *name,
			    const struct mica_parts *inst)
{
	const struct mica_part *shown = &inst->part[0];
	enum mica_delete delete = mica_super(dir->i_sb)->delete;
	bool shown_rw = mica_slot_rw(dir->i_sb, shown->slot);
	int hide = -1, err = 0;
	int left;

	if (delete == MICA_DELETE_FIRST)
		return remove_shown(dir, name, shown, false);
	if (delete == MICA_DELETE_ALL)
		remove_hidden(dir, name, inst);
	left = shown_rw ? mica_slot_below(dir, name, shown->slot) : shown->slot;
	if (left < 0 && left != -ENOENT)
		return left;
	if (left >= 0) {
		hide = delete == MICA_DELETE_WHITEOUT && shown_rw ?
		       shown->slot : whiteout_slot(dir, left);
		if (hide != shown->slot)
			err = hide_from(dir, name, hide);
	}
	if (!err && shown_rw)
		err = remove_shown(dir, name, shown, hide == shown->slot);
	return err ?: hide >= 0;
}

/*
 * The leftmost instance on a branch that is not writable will need a whiteout,
 * and that a directory to be in. Returns the branch, or -1.
 */
static int directory_needed(struct inode *dir,
			    const struct mica_parts *inst)
{
	enum mica_delete delete = mica_super(dir->i_sb)->delete;
	unsigned int i;

	if (delete != MICA_DELETE_ALL && inst->nr &&
	    mica_slot_rw(dir->i_sb, inst->part[0].slot))
		return -1;
	if (delete == MICA_DELETE_FIRST)
		return -EROFS;
	for (i = 0; i < inst->nr; i++)
		if (!mica_slot_rw(dir->i_sb, inst->part[i].slot))
			return mica_rw_slot_for(dir, inst->part[i].slot);
	return -1;
}

/*
 * As remove_instances(); -EAGAIN if @dir has to be in branch *slot first. Of a
 * file with several names, *below tells that this one is not with the copy.
 */
static int remove_name(struct inode *dir, struct dentry *dentry, int *slot,
		       bool *below)
{
	struct mica_parts *inst;
	const struct cred *old;
	int ret;

	old = mica_override_creds(dir->i_sb);
	ret = find_instances(dir, &dentry->d_name, &inst);
	if (ret)
		goto out;
	*slot = directory_needed(dir, inst);
	*below = inst->nr && d_inode(inst->part[0].dentry) !=
			     mica_real_inode(d_inode(dentry));
	if (!inst->nr ||
	    (*below && !mica_links_same(d_inode(dentry), &inst->part[0])))
		/* Somebody changed the branch behind the union's back. */
		ret = -ESTALE;
	else if (*slot == -EROFS)
		ret = -EROFS;
	else if (*slot >= 0 && !mica_part_in(dir, *slot))
		ret = -EAGAIN;
	else
		ret = remove_instances(dir, &dentry->d_name, inst);
	mica_parts_free(inst);
out:
	revert_creds(old);
	return ret;
}

static int mica_remove(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int ret, slot;
	bool below;

	/* It may not be copied up from now on, its name would come back. */
	mutex_lock(&mica_i(inode)->lock);
	while ((ret = remove_name(dir, dentry, &slot, &below)) == -EAGAIN) {
		mutex_unlock(&mica_i(inode)->lock);
		ret = mica_copy_up_to(dentry->d_parent, slot, 0);
		if (ret)
			return ret;
		mutex_lock(&mica_i(inode)->lock);
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
