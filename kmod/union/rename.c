// SPDX-License-Identifier: GPL-2.0-only
/*
 * rename: both names end up in one branch, where one rename does it. A
 * directory that has parts to the right of that branch gets a redirect, which
 * leads to where they stay.
 */
#include <linux/mount.h>
#include <linux/slab.h>
#include "union.h"

/**
 * struct mica_move - a rename under way
 * @old_dir: directory of the old name
 * @old: old name
 * @new_dir: directory of the new name
 * @new: new name
 * @flags: RENAME_* of the caller
 * @b: branch it happens in
 * @from: the old directory there
 * @to: the new directory there
 * @hide_old: something would show in place of the old name
 * @below_new: something would merge with the directory at the new name
 */
struct mica_move {
	struct inode *old_dir;
	struct dentry *old;
	struct inode *new_dir;
	struct dentry *new;
	unsigned int flags;
	struct mica_branch *b;
	struct dentry *from;
	struct dentry *to;
	bool hide_old;
	bool below_new;
};

static bool has_part(const struct dentry *dentry, const struct mica_branch *b)
{
	return mica_part_in(d_inode(dentry), b);
}

/* The branch to do it in. */
static struct mica_branch *choose_branch(const struct mica_move *m)
{
	struct mica_branch *b = mica_parts(d_inode(m->old))->part[0].b, *other;

	if (m->flags & RENAME_EXCHANGE) {
		other = mica_parts(d_inode(m->new))->part[0].b;
		if (other->pos < b->pos)
			b = other;
	}
	b = mica_target(m->new_dir, &m->new->d_name, b);
	if (!IS_ERR(b) && !has_part(m->old, b))
		b = mica_rw_for(m->old_dir, b->pos + 1);
	if (!IS_ERR(b) && (m->flags & RENAME_EXCHANGE) && !has_part(m->new, b))
		b = mica_rw_for(m->new_dir, b->pos + 1);
	return b;
}

/* Brings there what has to be there. */
static int bring_together(struct mica_move *m)
{
	bool exchange = m->flags & RENAME_EXCHANGE;
	bool first = !exchange && mica_super(m->old->d_sb)->delete ==
				  MICA_DELETE_FIRST;
	int err;

	/* As if the old name was removed. */
	if (first && !mica_is_rw(d_inode(m->old)))
		return -EROFS;
	err = mica_copy_up_meta(m->old) ?: mica_links_bring(m->old);
	if (!err && exchange)
		err = mica_copy_up_meta(m->new) ?: mica_links_bring(m->new);
	if (err)
		return err;

	m->b = choose_branch(m);
	if (IS_ERR(m->b))
		return PTR_ERR(m->b);
	/* Nothing would hide what is left where it was. */
	if (first && m->b != mica_parts(d_inode(m->old))->part[0].b)
		return -EXDEV;
	err = mica_copy_up_to(m->old, m->b, MICA_COPY_ALL);
	if (!err && exchange)
		err = mica_copy_up_to(m->new, m->b, MICA_COPY_ALL);
	if (!err)
		err = mica_copy_up_to(m->old->d_parent, m->b, 0);
	if (!err)
		err = mica_copy_up_to(m->new->d_parent, m->b, 0);
	if (!err)
		err = mica_free_name(m->old);
	if (!err && exchange)
		err = mica_free_name(m->new);
	if (err)
		return err;

	m->from = mica_part_in(m->old_dir, m->b);
	m->to = mica_part_in(m->new_dir, m->b);
	return 0;
}

static int look_below(struct mica_move *m)
{
	enum mica_delete delete = mica_super(m->old->d_sb)->delete;
	bool exchange = m->flags & RENAME_EXCHANGE;
	const struct mica_branch *below;
	int err;

	/* What is not shown of the old name fares as if that was removed. */
	if (delete == MICA_DELETE_ALL && !exchange && !d_is_dir(m->old)) {
		err = mica_remove_hidden(m->old_dir, &m->old->d_name);
		if (err)
			return err;
	}
	below = mica_below(m->old_dir, &m->old->d_name, m->b);
	if (IS_ERR(below))
		return PTR_ERR(below);
	m->hide_old = below && (exchange || delete != MICA_DELETE_FIRST);
	if (!d_is_dir(m->old))
		return 0;
	below = mica_below(m->new_dir, &m->new->d_name, m->b);
	if (IS_ERR(below))
		return PTR_ERR(below);
	m->below_new = below;
	return 0;
}

/* Is there a directory in the branch that has to make room? */
static bool over_dir(const struct mica_move *m)
{
	return d_is_positive(m->new) && d_is_dir(m->new) &&
	       !(m->flags & RENAME_EXCHANGE) &&
	       mica_part_in(d_inode(m->new), m->b);
}

/*
 * A directory to be replaced is empty in the union, but whiteouts may be in
 * it. They hide what is below; once it is opaque it can do without.
 */
static int clear_target(const struct mica_move *m)
{
	struct dentry *dir = mica_part_in(d_inode(m->new), m->b);
	unsigned int flags = 0;
	int ret;

	if (m->below_new) {
		ret = m->b->format->vacate(m->b, m->to, &m->new->d_name,
					   &flags);
		if (ret < 0)
			return ret;
		/* No whiteout can stand beside it, so say it in itself. */
		if (flags)
			ret = m->b->format->set_opaque(m->b, dir);
		if (ret < 0)
			return ret;
	}
	return lower_empty(m->b, dir, 2);
}

/* Has a directory parts that stay where they are? */
static bool leaves_parts(const struct mica_move *m, const struct inode *inode)
{
	const struct mica_parts *parts = mica_parts(inode);

	return S_ISDIR(inode->i_mode) &&
	       parts->part[parts->nr - 1].b->pos > m->b->pos;
}

/* What a redirect leads to has to be there as long as it is. */
static int note_needs(const struct mica_move *m, const struct inode *inode)
{
	const struct mica_parts *parts = mica_parts(inode);
	unsigned int i;
	int err = 0;

	for (i = 0; i < parts->nr && !err; i++)
		if (parts->part[i].b->pos > m->b->pos)
			err = mica_note_need(m->b, parts->part[i].b);
	return err;
}

static int set_redirect(const struct mica_move *m, struct inode *inode,
			struct inode *dir, const struct qstr *name)
{
	struct mica_parts *parts;
	unsigned int i = 0;
	int err;

	if (mica_super(inode->i_sb)->no_redirect ||
	    mica_super(inode->i_sb)->delete == MICA_DELETE_FIRST)
		return -EXDEV;
	err = note_needs(m, inode) ?:
	      mica_set_redirect(m->b, mica_part_in(inode, m->b),
				mica_part_in(dir, m->b), name);
	if (err == -EOPNOTSUPP || err == -ENAMETOOLONG || err == -E2BIG)
		return -EXDEV;
	if (err)
		return err;
	spin_lock(&inode->i_lock);
	parts = mica_i(inode)->parts;
	while (parts->part[i].b != m->b)
		i++;
	parts->part[i].redirected = true;
	spin_unlock(&inode->i_lock);
	mica_super(inode->i_sb)->redirects = true;
	return 0;
}

/*
 * A directory keeps the parts that it has, and hides what is @below its new
 * name, before it is seen there.
 */
static int keep_parts(const struct mica_move *m, struct inode *dir,
		      struct dentry *dentry, bool below)
{
	struct inode *inode = d_inode(dentry);

	if (leaves_parts(m, inode))
		return set_redirect(m, inode, dir, &dentry->d_name);
	if (S_ISDIR(inode->i_mode) && below)
		return m->b->format->set_opaque(m->b, mica_real(inode));
	return 0;
}

/* Is a whiteout of the overlay form in the way of a directory? */
static int whiteout_in_the_way(const struct mica_move *m)
{
	struct dentry *there;
	int ret = 0;

	if (!d_is_dir(m->old) || d_is_positive(m->new))
		return 0;
	there = lower_lookup(m->b, m->to, &m->new->d_name);
	if (IS_ERR_OR_NULL(there))
		return PTR_ERR_OR_ZERO(there);
	ret = mica_is_whiteout(m->b, there);
	dput(there);
	return ret;
}

static int move_in_branch(struct mica_move *m)
{
	const struct qstr *old = &m->old->d_name, *new = &m->new->d_name;
	const struct inode *inode = mica_real_inode(d_inode(m->old));
	unsigned int flags = m->flags & RENAME_EXCHANGE;
	bool exchange = flags;
	int made = 0, swap = 0, err;

	err = keep_parts(m, m->old_dir, m->old, m->below_new);
	if (!err && exchange)
		err = keep_parts(m, m->new_dir, m->new, m->hide_old);
	if (!err && over_dir(m))
		err = clear_target(m);
	if (err)
		return err;
	if (!exchange) {
		swap = whiteout_in_the_way(m);
		if (swap < 0)
			return swap;
	}

	if (swap > 0) {
		/* The whiteout comes to the old name, where it may be needed. */
		err = lower_rename(m->b, m->from, old, inode, m->to, new,
				   RENAME_EXCHANGE);
		if (!err && !m->hide_old)
			lower_remove(m->b, m->from, old, NULL);
		return err;
	}

	if (m->hide_old && !exchange)
		made = m->b->format->vacate(m->b, m->from, old, &flags);
	if (made < 0)
		return made;
	err = lower_rename(m->b, m->from, old, inode, m->to, new, flags);
	if (err && made)
		mica_unhide(m->b, m->from, old);
	/* Harmless beside a file; a directory says by itself what is below. */
	if (!err)
		mica_unhide(m->b, m->to, new);
	return err;
}

static int move(struct mica_move *m)
{
	const struct cred *old = mica_override_creds(m->old->d_sb);
	struct mutex *move_lock = &mica_super(m->old->d_sb)->move_lock;
	int err;

	err = look_below(m) ?: mnt_want_write(m->b->mnt);
	if (err)
		goto out;
	err = mica_keep_origin(d_inode(m->old), m->new_dir, m->b);
	if (!err && (m->flags & RENAME_EXCHANGE))
		err = mica_keep_origin(d_inode(m->new), m->old_dir, m->b);
	if (!err) {
		/* A path is made of names that must not change. */
		err = mutex_lock_killable(move_lock);
	}
	if (!err) {
		err = move_in_branch(m);
		mutex_unlock(move_lock);
	}
	mnt_drop_write(m->b->mnt);
	if (!err) {
		mica_touch_dir(m->old_dir, m->b);
		mica_touch_dir(m->new_dir, m->b);
	}
out:
	revert_creds(old);
	return err;
}

/**
 * mica_free_name - let the data of a file be found whatever the file is called
 * @dentry: the file, or anything else; its directory is locked
 *
 * Return: 0 or an error.
 */
int mica_free_name(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry), *dir;
	const struct mica_part *part = &mica_parts(inode)->part[0], *data;
	const struct mica_branch *b = part->b;
	struct mica_super *ms = mica_super(inode->i_sb);
	struct dentry *parent, *where;
	const struct cred *old;
	int err;

	if (!mica_is_metacopy(inode))
		return 0;
	parent = dget_parent(dentry);
	dir = d_inode(parent);
	where = mica_part_in(dir, part->b);
	if (!where || ms->no_redirect || ms->delete == MICA_DELETE_FIRST ||
	    mica_is_gone(dentry) || mica_is_disconnected(dentry)) {
		dput(parent);
		return mica_copy_up(dentry);
	}
	err = mnt_want_write(b->mnt);
	if (err)
		goto out;
	old = mica_override_creds(inode->i_sb);
	err = mutex_lock_killable(&ms->move_lock);
	if (!err) {
		/* overlayfs notes nothing. The data may have come meanwhile. */
		data = mica_data_part(inode);
		err = data->b == b ? 0 : mica_note_need(part->b, data->b);
		err = err ?: mica_set_redirect(b, part->dentry, where,
					       &dentry->d_name);
		mutex_unlock(&ms->move_lock);
	}
	revert_creds(old);
	mnt_drop_write(b->mnt);
	if (err && err != -EINTR)
		err = mica_copy_up(dentry);
out:
	dput(parent);
	return err;
}

/* What had the new name and was replaced. */
static void let_go(struct dentry *dentry, bool below)
{
	struct inode *inode = d_inode(dentry);

	mica_set_gone(dentry);
	if (S_ISDIR(inode->i_mode))
		clear_nlink(inode);
	else
		mica_links_removed(inode, below);
}

int mica_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		struct dentry *old, struct inode *new_dir, struct dentry *new,
		unsigned int flags)
{
	struct mica_move m = {
		.old_dir = old_dir,
		.old = old,
		.new_dir = new_dir,
		.new = new,
		.flags = flags,
	};
	struct inode *victim = d_inode(new);
	bool exchange = flags & RENAME_EXCHANGE;
	int below, err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (mica_name_reserved(old->d_sb, &new->d_name))
		return -EPERM;
	if (victim && !exchange && S_ISDIR(victim->i_mode)) {
		err = mica_dir_is_empty(new);
		if (err <= 0)
			return err ?: -ENOTEMPTY;
	}

	err = bring_together(&m);
	if (err)
		return err;
	if (exchange || !victim) {
		err = move(&m);
	} else {
		err = mutex_lock_killable(&mica_i(victim)->lock);
		if (err)
			return err;
		below = mica_links_below(new);
		err = min(below, 0) ?: move(&m);
		if (!err)
			let_go(new, below);
		mutex_unlock(&mica_i(victim)->lock);
	}

	/* The VFS looks again. */
	if (err == -ESTALE && !d_is_dir(old))
		d_drop(old);
	if (!err && m.hide_old && !exchange)
		mica_event_path(MICA_EVENT_WHITEOUT, old);
	mica_copyattr(old_dir);
	mica_copyattr(new_dir);
	if (!err)
		mica_copyattr(d_inode(old));
	if (!err && exchange)
		mica_copyattr(victim);
	mica_dir_changed(old_dir);
	mica_dir_changed(new_dir);
	return err;
}
