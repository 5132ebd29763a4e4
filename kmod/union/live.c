// SPDX-License-Identifier: GPL-2.0-only
/*
 * Branches that come, go and change while the union is mounted.
 *
 * A change is a new set of branches in place of the old one. What changes
 * something is kept out meanwhile, as by a freeze of the file system; who only
 * reads is not. What nobody uses is forgotten first, so that only what is in use
 * has to be looked at: directories get the parts that they have with the new
 * branches, where they are; other names stay if they still show the same file,
 * and else are as if they had been removed.
 *
 * First it is seen whether that can be done, and nothing is changed if not.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "../chardev.h"
#include "../compat/freeze.h"
#include "options.h"

/**
 * struct mica_switch - a change of the branches under way
 * @sb: the union
 * @set: the branches that it will have
 * @leave: some leave or move, which others may need where they are
 * @mode: one whose mode changes, or NULL
 * @instead: a branch that comes in place of others, or NULL
 * @drop: what is dropped, if the branches stay what they are
 * @view: what it will be
 * @why: out: why it cannot be done
 * @commit: it is being done; before that, it is only looked at
 * @dirs: directories in use that are still to be looked at
 * @done: those that have been
 */
struct mica_switch {
	struct super_block *sb;
	struct mica_branches *set;
	bool leave;
	struct mica_branch *mode;
	struct mica_branch *instead;
	struct mica_drop *drop;
	struct mica_view view;
	struct mica_reason *why;
	bool commit;
	struct list_head dirs;
	struct list_head done;
};

/**
 * struct mica_visit - a directory in use
 * @list: in mica_switch.dirs or .done
 * @dentry: the directory
 * @parts: what it will be made of, NULL if it will not be there
 */
struct mica_visit {
	struct list_head list;
	struct dentry *dentry;
	struct mica_parts *parts;
};

/* Takes over @parts, also if it fails. */
static int visit(struct mica_switch *sw, struct dentry *dentry,
		 struct mica_parts *parts)
{
	struct mica_visit *v = kmalloc(sizeof(*v), GFP_KERNEL);

	if (!v) {
		mica_parts_free(parts);
		return -ENOMEM;
	}
	v->dentry = dget(dentry);
	v->parts = parts;
	list_add(&v->list, &sw->dirs);
	return 0;
}

static void free_visits(struct list_head *visits)
{
	struct mica_visit *v, *next;

	list_for_each_entry_safe(v, next, visits, list) {
		mica_parts_free(v->parts);
		dput(v->dentry);
		kfree(v);
	}
	INIT_LIST_HEAD(visits);
}

/**
 * mica_root_parts - the parts of the root of a union
 * @set: its branches
 *
 * That is every branch, down to the first that is opaque.
 * The caller has the mounter's credentials.
 *
 * Return: the parts, or an error.
 */
struct mica_parts *mica_root_parts(const struct mica_branches *set)
{
	struct mica_parts *parts = mica_parts_alloc(set->nr);
	int opaque = 0;

	if (!parts)
		return ERR_PTR(-ENOMEM);
	while (parts->nr < set->nr && !opaque) {
		struct mica_branch *b = set->branch[parts->nr];

		parts->part[parts->nr++] =
			mica_part_of(b, dget(b->mnt->mnt_root));
		opaque = mica_is_opaque(&parts->part[parts->nr - 1]);
	}
	if (opaque >= 0)
		return parts;
	mica_parts_free(parts);
	return ERR_PTR(opaque);
}

static bool same_parts(const struct mica_parts *a, const struct mica_parts *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++)
		if (a->part[i].b != b->part[i].b ||
		    a->part[i].dentry != b->part[i].dentry)
			return false;
	return true;
}

/* Somebody else's references, but for those of the entries; we have one. */
static bool is_used(struct dentry *dir)
{
	struct dentry *child;
	int count;

	spin_lock(&dir->d_lock);
	count = dir->d_lockref.count - 1;
	for (child = d_first_child(dir); child; child = d_next_sibling(child))
		count--;
	spin_unlock(&dir->d_lock);
	return count > 0;
}

/* A walk that comes by does not stay. */
static bool stays_used(struct dentry *dir)
{
	int i;

	for (i = 0; i < 10 && is_used(dir); i++)
		msleep(20);
	return is_used(dir);
}

static int refuse_as(const struct mica_switch *sw, struct dentry *dentry,
		     const char *what, const char *then)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL), *path;

	path = buf ? dentry_path_raw(dentry, buf, PATH_MAX) : NULL;
	if (IS_ERR_OR_NULL(path))
		path = "a name too long";
	mica_fail(sw->why, -EBUSY, MICA_REASON_IN_USE, path,
		  "%s: %s, and %s", path, what, then);
	kfree(buf);
	return -EBUSY;
}

static int refuse_in_use(const struct mica_switch *sw, struct dentry *dentry,
			 const char *what)
{
	return refuse_as(sw, dentry, what, "would not be there any more");
}

static int look_up(struct mica_switch *sw, const struct mica_parts *where,
		   struct dentry *dentry, struct mica_parts **found)
{
	struct name_snapshot name;
	const struct cred *old;
	int err;

	*found = NULL;
	if (!where)
		return 0;
	take_dentry_name_snapshot(&name, dentry);
	old = mica_override_creds(sw->sb);
	err = mica_lookup_in(&sw->view, where, &name.name, 0, found);
	revert_creds(old);
	release_dentry_name_snapshot(&name);
	return err;
}

/* Nothing shows it any more; who has it open goes on with it. */
static void vanish(const struct mica_switch *sw, struct dentry *dentry)
{
	if (!sw->commit)
		return;
	mica_set_gone(dentry);
	d_drop(dentry);
}

static int judge_dir(struct mica_switch *sw, struct dentry *dentry,
		     struct mica_parts *found)
{
	const struct mica_parts *parts = mica_parts(d_inode(dentry));

	if (found && !d_is_dir(found->part[0].dentry)) {
		mica_parts_free(found);
		found = NULL;
	}
	if (!found) {
		if (!sw->commit && d_mountpoint(dentry))
			return refuse_in_use(sw, dentry, "something is mounted there");
		if (!sw->commit && stays_used(dentry))
			return refuse_in_use(sw, dentry, "is in use");
		vanish(sw, dentry);
	} else if (same_parts(found, parts) && !sw->view.ms->redirects &&
		   !sw->drop) {
		/* What is in it is what it was, all the way down. */
		mica_parts_free(found);
		return 0;
	}
	return visit(sw, dentry, found);
}

static bool is_in_set(const struct mica_branches *set, const struct mica_branch *b)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->branch[i] == b)
			return true;
	return false;
}

/* Is it the same in a branch that comes in place of that of the file? */
static bool moves(const struct mica_switch *sw, const struct inode *inode,
		  const struct mica_parts *found)
{
	const struct mica_branch *was = mica_parts(inode)->part[0].b;

	return sw->instead && found && found->part[0].b == sw->instead &&
	       !is_in_set(sw->set, was) &&
	       !inode_wrong_type(inode, d_inode(found->part[0].dentry)->i_mode);
}

/* A name from the right of those branches shows the copy that was made of them. */
static void follow_index(const struct mica_switch *sw, struct inode *inode,
			 struct mica_part *part)
{
	const struct cred *old;
	struct mica_branch *b;
	struct dentry *copy;

	if (part->b == sw->instead || !test_bit(MICA_I_INDEXED, &mica_i(inode)->flags))
		return;
	old = mica_override_creds(inode->i_sb);
	copy = mica_index_find(sw->set, part, &b);
	revert_creds(old);
	if (IS_ERR_OR_NULL(copy))
		return;
	if (b == sw->instead && !IS_WHITEOUT(d_inode(copy))) {
		mica_part_put(part);
		*part = mica_part_of(b, copy);
	} else {
		dput(copy);
	}
}

/*
 * Another inode may be that file already. Those that stand for one name each are
 * not found, so there may be several for one file, which stay so.
 */
static struct inode *taken_by(struct inode *inode, struct inode *real)
{
	struct inode *other = NULL;

	if (real != mica_real_inode(inode))
		other = mica_ilookup(inode->i_sb, real);
	if (other != inode)
		return other;
	iput(other);
	return NULL;
}

static bool is_taken(struct inode *inode, struct inode *real)
{
	struct inode *other = taken_by(inode, real);

	iput(other);
	return other;
}

/* Who has it open goes on there, as after a copy-up. Takes over @found. */
static bool move_file(const struct mica_switch *sw, struct inode *inode,
		      struct mica_parts *found)
{
	struct mutex *link_lock = &mica_super(inode->i_sb)->link_lock;
	const struct mica_part *part = &found->part[0];
	struct mica_inode *mi = mica_i(inode);
	const struct cred *old = mica_override_creds(inode->i_sb);
	struct inode *other;

	mutex_lock(&mi->lock);
	/* Another name of it may just be looked up. */
	mutex_lock(link_lock);
	other = taken_by(inode, d_inode(part->dentry));
	if (!other) {
		if (!part->b->index)
			clear_bit(MICA_I_INDEXED, &mi->flags);
		/* All of its names that are not below are there. */
		if (!test_bit(MICA_I_INDEXED, &mi->flags))
			mi->links = mica_links_lost(sw->set, part);
		mica_add_part(inode, found);
	}
	mutex_unlock(link_lock);
	if (!other && mi->data && !mica_is_metacopy_on_disk(part->b, part->dentry))
		WRITE_ONCE(mi->data, NULL);
	mutex_unlock(&mi->lock);
	revert_creds(old);
	if (other)
		mica_parts_free(found);
	iput(other);
	return !other;
}

static int judge_file(struct mica_switch *sw, struct dentry *dentry,
		      struct mica_parts *found)
{
	struct inode *inode = d_inode(dentry), *real;
	bool stays, move;
	int err = 0;

	if (sw->instead && found)
		follow_index(sw, inode, &found->part[0]);
	real = found ? d_inode(found->part[0].dentry) : NULL;
	move = moves(sw, inode, found) && !is_taken(inode, real);

	stays = move || (found && (real == mica_real_inode(inode) ||
				   mica_links_same(inode, &found->part[0])));
	if (!stays && !sw->commit && d_mountpoint(dentry))
		err = refuse_in_use(sw, dentry, "something is mounted there");
	else if (!stays)
		vanish(sw, dentry);
	if (!move || !sw->commit)
		mica_parts_free(found);
	else if (!move_file(sw, inode, found))
		vanish(sw, dentry);
	return err;
}

static int judge(struct mica_switch *sw, const struct mica_parts *where,
		 struct dentry *dentry)
{
	struct mica_parts *found;
	int err, ret;

	if (d_is_negative(dentry)) {
		if (sw->commit)
			d_drop(dentry);
		return 0;
	}
	err = look_up(sw, where, dentry, &found);
	if (err && !sw->commit)
		return err;
	/* Then it is too late: it is gone, and who comes next will see. */
	ret = d_is_dir(dentry) ? judge_dir(sw, dentry, found) :
				 judge_file(sw, dentry, found);
	return err ?: ret;
}

/*
 * The names in memory of a directory, counted; NULL is the end. Those that have
 * been removed, or are just being freed, are none.
 */
static struct dentry **children_of(struct dentry *dir)
{
	struct dentry **children, *child;
	unsigned int i = 0, nr = 0;

	spin_lock(&dir->d_lock);
	for (child = d_first_child(dir); child; child = d_next_sibling(child))
		nr++;
	spin_unlock(&dir->d_lock);
	children = kvcalloc(nr + 1, sizeof(*children), GFP_KERNEL);
	if (!children)
		return NULL;
	spin_lock(&dir->d_lock);
	child = d_first_child(dir);
	/* Those that came meanwhile were looked up just now. */
	for (; child && i < nr; child = d_next_sibling(child)) {
		spin_lock_nested(&child->d_lock, DENTRY_D_LOCK_NESTED);
		if (!d_unhashed(child))
			children[i++] = dget_dlock(child);
		spin_unlock(&child->d_lock);
	}
	spin_unlock(&dir->d_lock);
	return children;
}

static int judge_children(struct mica_switch *sw, struct dentry *dir,
			  const struct mica_parts *where)
{
	struct dentry **children = children_of(dir);
	unsigned int i;
	int err = 0, ret;

	if (!children)
		return -ENOMEM;
	for (i = 0; children[i]; i++) {
		ret = err && !sw->commit ? 0 : judge(sw, where, children[i]);
		err = err ?: ret;
		dput(children[i]);
	}
	kvfree(children);
	return err;
}

static int change_dir(struct mica_switch *sw, struct mica_visit *v)
{
	struct inode *inode = d_inode(v->dentry);
	const struct mica_parts *where = v->parts;
	int err;

	/* Nobody looks up anything there meanwhile. */
	inode_lock(inode);
	if (v->parts && !same_parts(v->parts, mica_parts(inode))) {
		mutex_lock(&mica_i(inode)->lock);
		mica_add_part(inode, v->parts);
		mutex_unlock(&mica_i(inode)->lock);
		v->parts = NULL;
	}
	err = judge_children(sw, v->dentry, where);
	mica_copyattr(inode);
	mica_dir_changed(inode);
	inode_unlock(inode);
	return err;
}

static int walk(struct mica_switch *sw)
{
	struct mica_visit *v;
	int err, first = 0;

	while (!list_empty(&sw->dirs) && (!first || sw->commit)) {
		v = list_first_entry(&sw->dirs, struct mica_visit, list);
		list_move(&v->list, &sw->done);
		if (sw->commit)
			err = change_dir(sw, v);
		else if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = judge_children(sw, v->dentry, v->parts);
		first = first ?: err;
	}
	return first;
}

/* The root is part of the view, and the first visit. */
static int begin(struct mica_switch *sw)
{
	const struct cred *old = mica_override_creds(sw->sb);
	struct mica_parts *root = mica_root_parts(sw->view.set);

	revert_creds(old);
	if (IS_ERR(root))
		return PTR_ERR(root);
	sw->view.root = root;
	return visit(sw, sw->sb->s_root, root);
}

/* What is stored through a mapping cannot be led to another file. */
static bool is_stored_to(struct inode *inode, const struct mica_branch *b)
{
	const struct mica_part *data;
	bool ret = false;

	spin_lock(&inode->i_lock);
	if (S_ISREG(inode->i_mode) &&
	    !(inode_state_read_once(inode) & (I_NEW | I_FREEING | I_WILL_FREE))) {
		data = mica_data_part(inode);
		ret = data->b == b &&
		      mapping_writably_mapped(d_inode(data->dentry)->i_mapping);
	}
	spin_unlock(&inode->i_lock);
	return ret;
}

static int check_mappings(struct mica_switch *sw, const struct mica_branch *b)
{
	struct super_block *sb = sw->sb;
	struct inode *inode, *mapped = NULL;
	struct dentry *dentry;
	int err;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		mapped = is_stored_to(inode, b) ? igrab(inode) : NULL;
		if (mapped)
			break;
	}
	spin_unlock(&sb->s_inode_list_lock);
	if (!mapped)
		return 0;
	dentry = d_find_any_alias(mapped);
	err = refuse_in_use(sw, dentry ?: sb->s_root,
			    "is mapped by somebody who can store to it");
	dput(dentry);
	iput(mapped);
	return err;
}

/*
 * A dentry in use, counted, of a file in @b which has a name, but not that one: it
 * is gone, or the file was opened by its handle. What was dropped with the last
 * name in the branch may still count those that are below.
 */
static struct dentry *used_without_name(struct inode *inode, const struct mica_branch *b)
{
	struct dentry *alias, *found = NULL;

	spin_lock(&inode->i_lock);
	/* One that is being set up has no dentry, and no parts. */
	if (hlist_empty(&inode->i_dentry) || S_ISDIR(inode->i_mode) ||
	    !inode->i_nlink || !mica_real_inode(inode)->i_nlink ||
	    mica_parts(inode)->part[0].b != b)
		goto out;
	for_each_alias(alias, inode) {
		spin_lock(&alias->d_lock);
		if (alias->d_lockref.count > 0 &&
		    (mica_is_gone(alias) || mica_is_disconnected(alias)))
			found = dget_dlock(alias);
		spin_unlock(&alias->d_lock);
		if (found)
			break;
	}
out:
	spin_unlock(&inode->i_lock);
	return found;
}

static int keep_names_of(struct mica_switch *sw, struct dentry *dentry)
{
	int err = mica_keep_names(d_inode(dentry), sw->set);

	if (err != -EBUSY)
		return err;
	/* Who writes to that is told then. */
	if (mica_is_disconnected(dentry))
		return 0;
	return refuse_as(sw, dentry, "is open but has lost that name",
			 "its other names would not show what is written");
}

/*
 * What is written from now on to such a file goes to a copy that gets no name by
 * that. The names that the file has find it through the index.
 */
static int keep_names(struct mica_switch *sw, const struct mica_branch *b)
{
	struct super_block *sb = sw->sb;
	struct dentry *dentry, *last = NULL;
	struct inode *inode;
	int err = 0;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		dentry = used_without_name(inode, b);
		if (!dentry)
			continue;
		spin_unlock(&sb->s_inode_list_lock);
		/* It keeps its inode on the list. */
		dput(last);
		last = dentry;
		err = keep_names_of(sw, dentry);
		spin_lock(&sb->s_inode_list_lock);
		if (err)
			break;
	}
	spin_unlock(&sb->s_inode_list_lock);
	dput(last);
	return err;
}

/*
 * From here on the union has the new branches. Who looks something up meanwhile
 * may still do it in the old ones: what comes of that is looked at afterwards.
 */
static void publish(struct mica_switch *sw)
{
	struct mica_branches *set = sw->set;
	struct mica_super *ms = sw->view.ms;
	unsigned int i;

	for (i = 0; i < ms->branches->nr; i++)
		ms->branches->branch[i]->pos = MICA_MAX_BRANCHES;
	for (i = 0; i < set->nr; i++) {
		set->branch[i]->pos = i;
		/* What has come is there for all only when nobody sees the old set. */
		set->branch[i]->incomplete |= set->incomplete[i];
	}
	/* What was in those that were replaced is copied from there. */
	for (i = 0; sw->instead && i < ms->branches->nr; i++)
		if (ms->branches->branch[i]->pos == MICA_MAX_BRANCHES)
			ms->branches->branch[i]->pos = sw->instead->pos;
	if (sw->mode)
		mica_branch_set_mode(sw->mode, !sw->mode->rw);
	mica_publish(ms, set);
}

/* What was replaced is looked at by nobody any more. */
static void forget_old_parts(struct inode *dir)
{
	struct mica_parts *old, *next;

	old = mica_i(dir)->parts->old;
	mica_i(dir)->parts->old = NULL;
	for (; old; old = next) {
		next = old->old;
		mica_parts_free(old);
	}
}

static void finish(struct mica_switch *sw)
{
	struct mica_branches *set = sw->set;
	struct mica_visit *v;
	unsigned int i;

	synchronize_srcu(&sw->view.ms->srcu);
	/* And walks without references. */
	synchronize_rcu();
	for (i = 0; i < set->nr; i++)
		set->branch[i]->incomplete = set->incomplete[i];
	list_for_each_entry(v, &sw->done, list)
		forget_old_parts(d_inode(v->dentry));
}

static int drop(struct mica_switch *sw)
{
	const struct cred *old = mica_override_creds(sw->sb);
	int err = mica_drop_do(sw->drop);

	revert_creds(old);
	if (!err)
		sw->view.without = NULL;
	return err;
}

static int find_drop(struct mica_switch *sw)
{
	const struct cred *old = mica_override_creds(sw->sb);
	int err;

	sw->view.root = mica_parts(d_inode(sw->sb->s_root));
	sw->view.without = sw->drop;
	err = mica_drop_find(sw->drop, &sw->view, sw->why);
	revert_creds(old);
	return err;
}

/* Nobody renames anything now, which could add to what they need. */
static int find_needs(struct mica_switch *sw)
{
	const struct cred *old = mica_override_creds(sw->sb);
	int err = mica_find_needs(sw->set);

	revert_creds(old);
	return err;
}

static int plan_and_do(struct mica_switch *sw)
{
	int err;

	shrink_dcache_sb(sw->sb);
	err = begin(sw) ?: walk(sw);
	free_visits(&sw->dirs);
	free_visits(&sw->done);
	err = err ?: begin(sw);
	if (!err && sw->drop)
		err = drop(sw);
	else if (!err)
		publish(sw);
	if (err) {
		free_visits(&sw->dirs);
		return err;
	}
	sw->commit = true;
	err = walk(sw);
	if (err)
		pr_warn("union %u: some of what is in use could not be looked up after a change of branches (%d)\n",
			sw->view.ms->id, err);
	finish(sw);
	free_visits(&sw->done);
	return 0;
}

/* Keeps out who wants to change something, for a change of the branches. */
static int freeze(struct mica_super *ms)
{
	int err;

	mutex_lock(&ms->freeze_lock);
	WRITE_ONCE(ms->changer, current);
	err = mica_freeze(ms->sb);
	WRITE_ONCE(ms->changer, NULL);
	ms->holds_freeze = !err;
	mutex_unlock(&ms->freeze_lock);
	return err;
}

static void thaw(struct mica_super *ms)
{
	mutex_lock(&ms->freeze_lock);
	ms->holds_freeze = false;
	mica_thaw(ms->sb);
	mutex_unlock(&ms->freeze_lock);
}

#ifdef MICA_ANYBODY_THAWS
/**
 * mica_thaw_super - somebody who may do so thaws a union
 * @sb: the union
 *
 * Whoever writes relies on branches that only the freeze of a change keeps.
 *
 * Return: 0, or -EINVAL if it is not frozen, or by a change of the branches; or
 * -EINTR.
 */
int mica_thaw_super(struct super_block *sb)
{
	struct mica_super *ms = mica_super(sb);
	int err = mutex_lock_killable(&ms->freeze_lock);

	if (err)
		return err;
	err = ms->holds_freeze ? -EINVAL : thaw_super(sb);
	mutex_unlock(&ms->freeze_lock);
	return err;
}
#endif

/* Would a branch of @set from @from on not find @b, that it leads to? */
static int check_needed(const struct mica_branches *set, unsigned int from,
			const struct mica_branch *b, struct mica_reason *why)
{
	for (; from < set->nr; from++)
		if (mica_needs(set->branch[from], b))
			return mica_refuse(why, -EBUSY, b->name,
					   "%s needs it below, for what was renamed or has its data there",
					   set->branch[from]->name);
	return 0;
}

/* As at a mount: is each writable branch of @set below what was put above it? */
static int check_seals(struct super_block *sb, const struct mica_branches *set,
		       struct mica_reason *why)
{
	const struct cred *old = mica_override_creds(sb);
	unsigned int i;
	int err = 0;

	for (i = 0; i < set->nr && !err; i++)
		if (set->branch[i]->rw)
			err = mica_check_sealed(set->branch[i], set, i, why);
	revert_creds(old);
	return err;
}

/* Nobody renames or copies anything now, which could add to what they need. */
static int check_left(const struct mica_switch *sw)
{
	const struct mica_branches *set = sw->set, *old = sw->view.ms->branches;
	unsigned int i, pos;
	int err = 0;

	for (i = 0; i < old->nr && !err; i++) {
		for (pos = 0; pos < set->nr; pos++)
			if (set->branch[pos] == old->branch[i])
				break;
		/* If another one leaves, it stays where it is. */
		if (pos < set->nr && set->nr < old->nr)
			continue;
		err = check_needed(set, pos < set->nr ? pos + 1 : 0,
				   old->branch[i], sw->why);
	}
	return err ?: check_seals(sw->sb, set, sw->why);
}

/*
 * Does it while nobody changes anything. The change_lock of the union is held.
 * Returns 0 or an error, and then nothing has changed.
 */
static int switch_over(struct mica_switch *sw)
{
	struct mica_super *ms = mica_super(sw->sb);
	int err;

	INIT_LIST_HEAD(&sw->dirs);
	INIT_LIST_HEAD(&sw->done);
	sw->view.ms = ms;
	sw->view.set = sw->set;
	err = freeze(ms);
	if (err)
		return mica_fail(sw->why, err, MICA_REASON_BRANCH, NULL,
				 "the union is frozen");
	err = mica_copies_wait(ms) ?: mica_name_all(ms);
	if (!err && sw->leave)
		err = check_left(sw);
	if (!err && sw->mode && sw->mode->rw)
		err = check_mappings(sw, sw->mode) ?: keep_names(sw, sw->mode);
	if (!err)
		err = sw->drop ? find_drop(sw) : find_needs(sw);
	if (!err)
		err = plan_and_do(sw);
	thaw(ms);
	return err;
}

/*
 * Lets the union have the branches of @set, which is taken over on success;
 * @mode is one of them whose mode changes, or NULL.
 */
static int switch_branches(struct super_block *sb, struct mica_branches *set,
			   struct mica_branch *mode, struct mica_reason *why)
{
	struct mica_switch sw = {
		.sb = sb, .set = set, .mode = mode, .why = why,
	};

	return switch_over(&sw);
}

/* The branches but for @without, with @b at position @pos of them. */
static struct mica_branches *changed_set(const struct mica_super *ms,
					 const struct mica_branch *without,
					 struct mica_branch *b, unsigned int pos)
{
	const struct mica_branches *old = ms->branches;
	struct mica_branches *set = mica_branches_alloc(old->nr + 1);
	unsigned int i;

	if (!set)
		return NULL;
	for (i = 0; i < old->nr; i++) {
		if (old->branch[i] == without)
			continue;
		if (b && set->nr == pos) {
			mica_branches_append(set, b);
			b = NULL;
		}
		mica_branches_append(set, old->branch[i]);
	}
	if (b)
		mica_branches_append(set, b);
	return set;
}

static struct mica_branch *find(const struct mica_super *ms, u32 id,
				struct mica_reason *why)
{
	unsigned int i;

	for (i = 0; i < ms->branches->nr; i++)
		if (ms->branches->branch[i]->id == id)
			return ms->branches->branch[i];
	return ERR_PTR(mica_fail(why, -ENOENT, MICA_REASON_BRANCH, NULL,
				 "the union has no branch %u", id));
}

static int get_spec(struct mica_spec *spec, const struct mica_union_change *c,
		    struct mica_reason *why)
{
	struct file *file = fget_raw(c->fd);
	char *buf, *name;
	int err = 0;

	if (!file)
		return mica_fail(why, -EBADF, MICA_REASON_BAD_VALUE, NULL,
				 "fd is not open");
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	name = buf ? file_path(file, buf, PATH_MAX) : ERR_PTR(-ENOMEM);
	spec->name = IS_ERR(name) ? NULL : kstrdup(name, GFP_KERNEL);
	if (IS_ERR(name))
		err = PTR_ERR(name);
	else if (!spec->name)
		err = -ENOMEM;
	else if (!d_is_dir(file->f_path.dentry))
		err = mica_refuse(why, -ENOTDIR, name, "is not a directory");
	kfree(buf);
	if (err) {
		kfree(spec->name);
	} else {
		spec->path = file->f_path;
		path_get(&spec->path);
	}
	fput(file);
	spec->rw = c->flags & MICA_BRANCH_RW;
	spec->read = (c->flags & MICA_BRANCH_DOT ? MICA_FORM_DOT : 0) |
		     (c->flags & MICA_BRANCH_OVERLAY ? MICA_FORM_OVERLAY : 0);
	if (!spec->read)
		spec->read = MICA_FORM_DOT | MICA_FORM_OVERLAY;
	return err;
}

static void put_spec(struct mica_spec *spec)
{
	path_put(&spec->path);
	kfree(spec->name);
}

/* As at a mount. There is no way to say there that a rw branch is not read in both. */
static int check_spec(struct super_block *sb, const struct mica_spec *spec,
		      struct mica_reason *why)
{
	if (spec->rw && spec->read != (MICA_FORM_DOT | MICA_FORM_OVERLAY))
		return mica_refuse(why, -EINVAL, spec->name,
				   "a rw branch is read in both forms");
	return mica_check_spec(why, spec, mica_super(sb)->format);
}

static int check_new(struct super_block *sb, const struct mica_spec *spec,
		     struct mica_reason *why)
{
	const struct mica_super *ms = mica_super(sb);
	const struct mica_branches *set = ms->branches;
	unsigned int i;
	int err;

	if (spec->path.dentry->d_sb->s_stack_depth >= sb->s_stack_depth)
		return mica_refuse(why, -EINVAL, spec->name,
				   "is stacked deeper than the union was when it was mounted");
	err = check_spec(sb, spec, why);
	for (i = 0; i < set->nr && !err; i++)
		err = mica_check_apart(why, spec,
				       set->branch[i]->mnt->mnt_root,
				       set->branch[i]->name);
	return err;
}

/* A new branch that is ready, for position @pos, but in no set. */
static struct mica_branch *new_branch(struct super_block *sb,
				      const struct mica_spec *spec,
				      unsigned int pos, struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	const struct cred *old;
	struct mica_branch *b;
	int err;

	err = check_new(sb, spec, why);
	if (err)
		return ERR_PTR(err);
	b = mica_make_branch(why, sb, spec);
	if (IS_ERR(b))
		return b;
	old = mica_override_creds(sb);
	err = mica_prepare_branch(why, b, ms->format, NULL, ms->branches,
				  min(pos, ms->branches->nr));
	revert_creds(old);
	if (!err)
		return b;
	mica_branch_remove(ms, b);
	return ERR_PTR(err);
}

static int number_set(struct super_block *sb, struct mica_branches *set)
{
	const struct cred *old = mica_override_creds(sb);
	int err = mica_number_filesystems(set);

	revert_creds(old);
	return err;
}

/* Puts a new one among the branches, and perhaps changes the mode of another. */
static int insert(struct super_block *sb, struct mica_branch *b,
		  unsigned int pos, struct mica_branch *mode,
		  struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_branches *set;
	int err;

	if (ms->branches->nr == MICA_MAX_BRANCHES)
		return mica_refuse(why, -EINVAL, b->name,
				   "there are %d branches already",
				   MICA_MAX_BRANCHES);
	set = changed_set(ms, NULL, b, pos);
	if (!set)
		return -ENOMEM;
	err = number_set(sb, set) ?: switch_branches(sb, set, mode, why);
	if (err)
		mica_set_free(set);
	return err;
}

static int add_branch(struct super_block *sb, struct mica_union_change *c,
		      struct mica_spec *spec, struct mica_reason *why)
{
	struct mica_branch *b = new_branch(sb, spec, c->pos, why);
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	c->branch = b->id;
	err = insert(sb, b, c->pos, NULL, why);
	if (err)
		mica_branch_remove(mica_super(sb), b);
	return err;
}

static int leave_places(struct super_block *sb, struct mica_branches *set,
			struct mica_reason *why)
{
	struct mica_switch sw = {
		.sb = sb, .set = set, .leave = true, .why = why,
	};

	return switch_over(&sw);
}

static int del_branch(struct super_block *sb, struct mica_union_change *c,
		      struct mica_spec *spec, struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_branch *b = find(ms, c->branch, why);
	struct mica_branches *set;
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	if (ms->branches->nr == 1)
		return mica_refuse(why, -EBUSY, b->name,
				   "is the last branch of the union");
	set = changed_set(ms, b, NULL, 0);
	if (!set)
		return -ENOMEM;
	err = leave_places(sb, set, why);
	if (err)
		mica_set_free(set);
	else
		mica_branch_remove(ms, b);
	return err;
}

static int move_branch(struct super_block *sb, struct mica_union_change *c,
		       struct mica_spec *spec, struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_branch *b = find(ms, c->branch, why);
	struct mica_branches *set;
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	set = changed_set(ms, b, b, c->pos);
	if (!set)
		return -ENOMEM;
	err = leave_places(sb, set, why);
	if (err)
		mica_set_free(set);
	return err;
}

/* What a branch that is not writable has to have before it is. */
static int make_ready(struct super_block *sb, struct mica_branch *b,
		      struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	const struct mica_spec spec = {
		.name = b->name,
		.path = { .mnt = b->mnt, .dentry = b->mnt->mnt_root },
		.rw = true,
		.read = b->read,
	};
	const struct cred *old;
	int err;

	mica_branch_allow_writes(b, true);
	err = check_spec(sb, &spec, why);
	if (!err) {
		old = mica_override_creds(sb);
		err = mica_make_writable(why, b, ms->format, NULL, ms->branches,
					 b->pos);
		revert_creds(old);
	}
	if (err)
		mica_branch_retire(ms, b);
	return err;
}

static int change_mode(struct super_block *sb, struct mica_union_change *c,
		       struct mica_spec *spec, struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_branch *b = find(ms, c->branch, why);
	bool rw = c->flags & MICA_BRANCH_RW;
	struct mica_branches *set;
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	if (b->rw == rw)
		return 0;
	set = changed_set(ms, NULL, NULL, 0);
	if (!set)
		return -ENOMEM;
	err = rw ? make_ready(sb, b, why) : 0;
	if (!err) {
		err = switch_branches(sb, set, b, why);
		if (!b->rw)
			mica_branch_retire(ms, b);
	}
	if (err)
		mica_set_free(set);
	return err;
}

/* The branch that a snapshot is made of. */
static struct mica_branch *find_top(const struct mica_super *ms,
				    struct mica_reason *why)
{
	struct mica_branch *b, *top = NULL;
	unsigned int i;

	for (i = 0; i < ms->branches->nr; i++) {
		b = ms->branches->branch[i];
		if (top && b->rw)
			return ERR_PTR(mica_refuse(why, -EINVAL, b->name,
						   "is writable, a snapshot could change"));
		if (b->rw)
			top = b;
	}
	if (!top)
		mica_fail(why, -EROFS, MICA_REASON_BRANCH, NULL,
			  "no branch is writable");
	return top ?: ERR_PTR(-EROFS);
}

static int refuse_full(const char *name, struct mica_reason *why)
{
	return mica_refuse(why, -ENOTEMPTY, name, "is not empty");
}

/* A snapshot that a crash cut short may have left a work directory. */
static int check_is_empty(struct super_block *sb, const struct mica_spec *spec,
			  struct mica_reason *why)
{
	const struct cred *old = mica_override_creds(sb);
	int ret = lower_is_empty(&spec->path, &QSTR(MICA_META_DIR));

	revert_creds(old);
	if (ret < 0)
		return mica_refuse(why, ret, spec->name, ret == -ENOENT ?
				   "was removed" : "cannot be read");
	return ret ? 0 : refuse_full(spec->name, why);
}

static int seal_and_insert(struct super_block *sb, struct mica_branch *top,
			   struct mica_branch *b, struct mica_reason *why)
{
	const struct cred *old = mica_override_creds(sb);
	int sealed = mica_seal(top, b, why), err;

	revert_creds(old);
	if (sealed < 0)
		return sealed;
	err = insert(sb, b, top->pos, top, why);
	old = mica_override_creds(sb);
	if (err && !sealed)
		mica_unseal(top);
	revert_creds(old);
	if (!err)
		mica_branch_retire(mica_super(sb), top);
	return err;
}

static int snapshot(struct super_block *sb, struct mica_union_change *c,
		    struct mica_spec *spec, struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_branch *top = find_top(ms, why), *b;
	int err;

	if (IS_ERR(top))
		return PTR_ERR(top);
	spec->rw = true;
	err = check_is_empty(sb, spec, why);
	b = err ? ERR_PTR(err) : new_branch(sb, spec, top->pos, why);
	if (IS_ERR(b))
		return PTR_ERR(b);
	c->branch = b->id;
	/* Of files that are not there any more. */
	err = b->index ? refuse_full(b->name, why) :
			 seal_and_insert(sb, top, b, why);
	if (err)
		mica_branch_remove(ms, b);
	return err;
}

/* Can those be replaced that are @nr branches from @first on? */
static int check_replaced(const struct mica_branches *set, unsigned int first,
			  unsigned int nr, struct mica_reason *why)
{
	const unsigned int read = set->branch[first]->read;
	const struct mica_branch *b;

	if (!nr || nr > set->nr - first)
		return mica_fail(why, -EINVAL, MICA_REASON_BRANCH, NULL,
				 "there are %u branches from there on",
				 set->nr - first);
	for (; nr--; first++) {
		b = set->branch[first];
		if (b->rw)
			return mica_refuse(why, -EINVAL, b->name,
					   "can be written to; make a snapshot first");
		if (b->read != read)
			return mica_refuse(why, -EINVAL, b->name,
					   "is read in other forms than those left of it");
	}
	return 0;
}

static struct mica_branches *replaced_set(const struct mica_branches *old,
					  unsigned int first, unsigned int nr,
					  struct mica_branch *b)
{
	struct mica_branches *set = mica_branches_alloc(old->nr - nr + 1);
	unsigned int i;

	for (i = 0; set && i < old->nr; i++) {
		if (i == first)
			mica_branches_append(set, b);
		if (i < first || i >= first + nr)
			mica_branches_append(set, old->branch[i]);
	}
	return set;
}

/* Takes over @b if it succeeds. */
static int put_instead(struct super_block *sb, struct mica_branch *b,
		       unsigned int first, unsigned int nr,
		       struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	const struct mica_branches *old = ms->branches;
	struct mica_switch sw = { .sb = sb, .instead = b, .why = why };
	int place, last = -1, err;
	unsigned int i;

	for (i = first; i < first + nr; i++) {
		if (!old->branch[i]->hash && !old->branch[i]->nr_merged)
			return mica_refuse(why, -EINVAL, old->branch[i]->name,
					   "cannot be told from others, its file system has no UUID");
		if (!mica_stands_for(b, old->branch[i]))
			return mica_refuse(why, -EINVAL, b->name,
					   "was not made of %s",
					   old->branch[i]->name);
		place = mica_merged_as(b, old->branch[i]);
		if (place >= 0 && place < last)
			return mica_refuse(why, -EINVAL, old->branch[i]->name,
					   "has another place than when they were merged");
		last = max(last, place);
	}
	sw.set = replaced_set(old, first, nr, b);
	if (!sw.set)
		return -ENOMEM;
	err = number_set(sb, sw.set) ?: switch_over(&sw);
	if (err) {
		mica_set_free(sw.set);
		return err;
	}
	for (i = first; i < first + nr; i++) {
		/* What is open there and has no name follows no change to come. */
		old->branch[i]->pos = MICA_MAX_BRANCHES;
		mica_branch_remove(ms, old->branch[i]);
	}
	return 0;
}

static int replace(struct super_block *sb, struct mica_union_change *c,
		   struct mica_spec *spec, struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_branch *first = find(ms, c->branch, why), *b;
	int err;

	if (IS_ERR(first))
		return PTR_ERR(first);
	err = check_replaced(ms->branches, first->pos, c->pos, why);
	if (err)
		return err;
	spec->read = first->read;
	b = new_branch(sb, spec, first->pos, why);
	if (IS_ERR(b))
		return PTR_ERR(b);
	err = put_instead(sb, b, first->pos, c->pos, why);
	c->branch = b->id;
	if (err)
		mica_branch_remove(ms, b);
	return err;
}

static void send_event(const struct mica_super *ms, enum mica_event_type type,
		       const char *path, const char *text)
{
	const struct mica_event ev = {
		.type = type,
		.union_id = ms->id,
		.pid = task_tgid_nr(current),
		.path = path,
		.text = text,
	};

	/* As in mica_event_path(). */
	if (!mica_in_userns(ms->sb))
		mica_event_send(&ev);
}

static void tell_reset(struct dentry *dir, const struct qstr *name)
{
	size_t room = PATH_MAX - 1 - name->len;
	char *buf, *path;

	buf = mica_events_wanted() ? kmalloc(PATH_MAX, GFP_KERNEL) : NULL;
	if (!buf)
		return;
	path = dentry_path_raw(dir, buf, room);
	if (!IS_ERR(path)) {
		snprintf(buf + room - 1, name->len + 2, "%s%s",
			 IS_ROOT(dir) ? "" : "/", name->name);
		send_event(mica_super(dir->d_sb), MICA_EVENT_RESET, path, NULL);
	}
	kfree(buf);
}

static int reset(struct dentry *dir, const struct qstr *name,
		 struct mica_reason *why)
{
	struct super_block *sb = dir->d_sb;
	struct mica_drop drop = {
		.dir = dir,
		.name = name,
		.indexed = LIST_HEAD_INIT(drop.indexed),
		.shown = LIST_HEAD_INIT(drop.shown),
	};
	struct mica_switch sw = {
		.sb = sb,
		.set = mica_super(sb)->branches,
		.drop = &drop,
		.why = why,
	};
	const struct cred *old;
	int err;

	err = switch_over(&sw);
	old = mica_override_creds(sb);
	mica_drop_end(&drop);
	revert_creds(old);
	return err;
}

static int check_name(const struct super_block *sb, const struct qstr *name,
		      struct mica_reason *why)
{
	if (name->len > NAME_MAX)
		return -ENAMETOOLONG;
	if (!name->len || strchr(name->name, '/') || !strcmp(name->name, ".") ||
	    !strcmp(name->name, "..") || mica_name_reserved(sb, name))
		return mica_fail(why, -EINVAL, MICA_REASON_BAD_VALUE,
				 name->name, "'%s' is no name in a directory",
				 name->name);
	return 0;
}

static int check_caller(struct mica_call *call)
{
	struct super_block *sb = file_inode(call->file)->i_sb;

	if (ns_capable(sb->s_user_ns, CAP_SYS_ADMIN))
		return 0;
	return mica_fail(&call->why, -EPERM, MICA_REASON_PRIVILEGE, NULL,
			 "changing a union needs CAP_SYS_ADMIN");
}

static int run_reset(struct mica_call *call, void *arg)
{
	struct dentry *dir = call->file->f_path.dentry;
	struct mica_super *ms = mica_super(dir->d_sb);
	const struct mica_union_reset *r = arg;
	struct qstr q;
	char *name;
	int err = check_caller(call);

	if (err)
		return err;
	name = strndup_user(u64_to_user_ptr(r->name_ptr), PATH_MAX);
	if (IS_ERR(name))
		return PTR_ERR(name);
	q = QSTR(name);
	err = check_name(dir->d_sb, &q, &call->why);
	if (!err)
		err = mutex_lock_killable(&ms->change_lock);
	if (!err) {
		err = reset(dir, &q, &call->why);
		mutex_unlock(&ms->change_lock);
		if (!err)
			tell_reset(dir, &q);
	}
	kfree(name);
	return err;
}

static const struct mica_ioctl_entry reset_command = {
	.run = run_reset,
	.tail = offsetof(struct mica_union_reset, reason_ptr),
	.full_size = sizeof(struct mica_union_reset),
};

/**
 * struct mica_branch_command - a command that changes the branches
 * @entry: as of others
 * @run: does it, with the change_lock of the union held
 * @event: what it is for who listens
 * @no_fd: it has no use for that member, so it has to be zero
 * @no_branch: the same
 * @no_pos: the same
 */
struct mica_branch_command {
	struct mica_ioctl_entry entry;
	int (*run)(struct super_block *sb, struct mica_union_change *c,
		   struct mica_spec *spec, struct mica_reason *why);
	enum mica_event_type event;
	bool no_fd;
	bool no_branch;
	bool no_pos;
};

static int check_call(struct mica_call *call,
		      const struct mica_branch_command *command,
		      const struct mica_union_change *c)
{
	return mica_need_zero(call, command->no_fd ? c->fd : 0, "fd") ?:
	       mica_need_zero(call, command->no_branch ? c->branch : 0,
			      "branch") ?:
	       mica_need_zero(call, command->no_pos ? c->pos : 0, "pos") ?:
	       mica_need_zero(call, c->reserved, "reserved");
}

/* What a branch is called, to be freed; NULL if there is no such branch. */
static char *name_of(const struct mica_super *ms, u32 id)
{
	unsigned int i;

	for (i = 0; i < ms->branches->nr; i++)
		if (ms->branches->branch[i]->id == id)
			return kstrdup(ms->branches->branch[i]->name,
				       GFP_KERNEL);
	return NULL;
}

static int do_change(struct super_block *sb,
		     const struct mica_branch_command *command,
		     struct mica_union_change *c, struct mica_spec *spec,
		     struct mica_reason *why)
{
	struct mica_super *ms = mica_super(sb);
	u32 before = c->branch;
	char *name;
	int err;

	if (ms->overlay_syntax && command->run != replace)
		return mica_fail(why, -EINVAL, MICA_REASON_BRANCH, NULL,
				 "the union was mounted with overlayfs's options, its branches stay");
	err = mutex_lock_killable(&ms->change_lock);
	if (err)
		return err;
	/* It may have gone afterwards, or come. */
	name = name_of(ms, c->branch);
	if (spec && mica_expect_branch(ms, spec->path.dentry))
		err = mica_refuse(why, -EBUSY, spec->name,
				  "is being merged, or is in what is");
	else
		err = command->run(sb, c, spec, why);
	mica_expect_branch(ms, NULL);
	if (!err) {
		if (c->branch != before) {
			kfree(name);
			name = name_of(ms, c->branch);
		}
		send_event(ms, command->event, NULL, name);
	}
	mutex_unlock(&ms->change_lock);
	kfree(name);
	return err;
}

static int run_change(struct mica_call *call, void *arg)
{
	const struct mica_branch_command *command =
		container_of(call->entry, struct mica_branch_command, entry);
	struct super_block *sb = file_inode(call->file)->i_sb;
	struct mica_union_change *c = arg;
	struct mica_spec spec = {};
	int err = check_caller(call) ?: check_call(call, command, c);

	if (!err && !command->no_fd)
		err = get_spec(&spec, c, &call->why);
	if (err)
		return err;
	err = do_change(sb, command, c, &spec, &call->why);
	put_spec(&spec);
	return err;
}

#define FIRST_COMMAND _IOC_NR(MICA_UNION_ADD)
#define CHANGE(name, known, ...)					\
	[_IOC_NR(name) - FIRST_COMMAND] = {				\
		.entry = {						\
			.run = run_change,				\
			.tail = offsetof(struct mica_union_change,	\
					 reason_ptr),			\
			.full_size = sizeof(struct mica_union_change),	\
			.flags = known,					\
			.gives = true,					\
		},							\
		__VA_ARGS__						\
	}

static const struct mica_branch_command commands[] = {
	CHANGE(MICA_UNION_ADD,
	       MICA_BRANCH_RW | MICA_BRANCH_DOT | MICA_BRANCH_OVERLAY,
	       .run = add_branch, .event = MICA_EVENT_BRANCH_ADD, .no_branch = true),
	CHANGE(MICA_UNION_DEL, 0,
	       .run = del_branch, .event = MICA_EVENT_BRANCH_DEL, .no_fd = true, .no_pos = true),
	CHANGE(MICA_UNION_MODE, MICA_BRANCH_RW,
	       .run = change_mode, .event = MICA_EVENT_BRANCH_MODE, .no_fd = true, .no_pos = true),
	CHANGE(MICA_UNION_MOVE, 0,
	       .run = move_branch, .event = MICA_EVENT_BRANCH_MOVE, .no_fd = true),
	CHANGE(MICA_UNION_SNAPSHOT, 0,
	       .run = snapshot, .event = MICA_EVENT_SNAPSHOT, .no_branch = true, .no_pos = true),
	CHANGE(MICA_UNION_REPLACE, 0,
	       .run = replace, .event = MICA_EVENT_MERGE),
};

static int find_id(struct super_block *sb, const char *name, u32 *id)
{
	struct srcu_struct *srcu = &mica_super(sb)->srcu;
	const struct mica_branches *set;
	int looking = srcu_read_lock(srcu), err = -ENOENT;
	unsigned int i;

	set = mica_branches(sb);
	for (i = 0; i < set->nr && err; i++) {
		if (strcmp(set->branch[i]->name, name))
			continue;
		*id = set->branch[i]->id;
		err = 0;
	}
	srcu_read_unlock(srcu, looking);
	return err;
}

/**
 * mica_remount_change - change the branches as a remount asks for
 * @sb: the union; its s_umount is held, and is let go of meanwhile
 * @r: the change
 * @why: out: why it cannot be done
 *
 * The caller has CAP_SYS_ADMIN in the user namespace of the union.
 *
 * Return: 0 or an error, and then nothing has changed.
 */
int mica_remount_change(struct super_block *sb, struct mica_remount *r,
			struct mica_reason *why)
{
	struct mica_union_change c = { .flags = r->flags, .pos = r->pos };
	int err;

	/* The number of a branch will do as well. */
	if (r->name && find_id(sb, r->name, &c.branch) &&
	    kstrtou32(r->name, 10, &c.branch))
		return mica_refuse(why, -ENOENT, r->name,
				   "is no branch of the union");
	/* To freeze takes it as well; the caller keeps the union mounted. */
	up_write(&sb->s_umount);
	err = do_change(sb, &commands[_IOC_NR(r->command) - FIRST_COMMAND], &c,
			r->spec, why);
	down_write(&sb->s_umount);
	return err;
}

/**
 * mica_dir_ioctl - commands on a union
 * @file: a directory of the union
 * @cmd: MICA_UNION_*
 * @arg: address of its structure in the caller
 *
 * Return: 0 or an error, -ENOTTY if it is not for this directory.
 */
long mica_dir_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	unsigned int nr = _IOC_NR(cmd) - FIRST_COMMAND;

	if (cmd == MICA_UNION_RESET)
		return mica_run_command(file, NULL, &reset_command, arg);
	if (file->f_path.dentry != file_inode(file)->i_sb->s_root ||
	    cmd != _IO(MICA_IOC_TYPE, _IOC_NR(cmd)) ||
	    nr >= ARRAY_SIZE(commands) || !commands[nr].run)
		return -ENOTTY;
	return mica_run_command(file, NULL, &commands[nr].entry, arg);
}
