// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dropping what a writable branch has for a name, so that what is to the right of
 * it shows again.
 *
 * It moves to the work directory as a whole, in one step, and is removed there
 * when nobody looks at it any more. A copy that the index knows is taken from
 * there too: all the names of the file are what they were.
 */
#include <linux/mount.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "../reason.h"
#include "union.h"

/**
 * struct drop_item - something to be looked after
 * @list: others
 * @dentry: where it is in the branch, counted
 * @below: what shows when it has gone, or NULL
 */
struct drop_item {
	struct list_head list;
	struct dentry *dentry;
	struct mica_parts *below;
};

/* Takes over @below, also if it fails. */
static int add_item(struct list_head *items, struct dentry *dentry,
		    struct mica_parts *below)
{
	struct drop_item *item = kmalloc(sizeof(*item), GFP_KERNEL);

	if (!item) {
		mica_parts_free(below);
		return -ENOMEM;
	}
	item->dentry = dget(dentry);
	item->below = below;
	list_add(&item->list, items);
	return 0;
}

static void free_items(struct list_head *items)
{
	struct drop_item *item, *next;

	list_for_each_entry_safe(item, next, items, list) {
		dput(item->dentry);
		mica_parts_free(item->below);
		kfree(item);
	}
}

/* Is there anything that could not be removed afterwards, or not alone? */
static int check_entry(struct mica_drop *d, struct dentry *entry,
		       struct mica_reason *why)
{
	const struct super_block *sb = d->dir->d_sb;
	const struct mica_part part = { .b = d->b, .dentry = entry };
	const struct inode *inode = d_inode(entry);

	if ((inode->i_flags | mica_read_protection(sb, &part)) & MICA_PROTECTED)
		return mica_fail(why, -EPERM, MICA_REASON_BRANCH,
				 entry->d_name.name,
				 "%pd is immutable or append-only", entry);
	if (!mica_is_indexed(d->b, entry))
		return 0;
	/* One is that in the index. */
	if (inode->i_nlink > 2)
		return mica_fail(why, -EMLINK, MICA_REASON_BRANCH,
				 entry->d_name.name,
				 "the file of %pd has been changed under other names as well",
				 entry);
	return add_item(&d->indexed, entry, NULL);
}

/* Does the index know anything of files with several names? */
static bool has_index(const struct mica_view *view)
{
	unsigned int i;

	for (i = 0; i < view->set->nr; i++)
		if (view->set->branch[i]->index)
			return true;
	return false;
}

/*
 * What is in an entry, or hidden by it, comes next, or is a name more of its
 * file. Takes over @below.
 */
static int note_below(struct mica_drop *d, struct dentry *entry,
		      struct mica_parts *below, struct list_head *dirs)
{
	const struct inode *inode;

	if (d_is_dir(entry))
		return add_item(dirs, entry, below);
	inode = below ? d_inode(below->part[0].dentry) : NULL;
	if (inode && !S_ISDIR(inode->i_mode) && inode->i_nlink > 1 &&
	    !mica_is_indexed(d->b, entry))
		return add_item(&d->shown, entry, below);
	mica_parts_free(below);
	return 0;
}

/* Of a whiteout in dot form, what it hides; else the name itself. */
static struct qstr hidden_name(const struct mica_branch *b,
			       const struct qstr *name)
{
	unsigned int prefix = strlen(".wh.");

	if (!(b->read & MICA_FORM_DOT) ||
	    !mica_dot_whiteout_name(name->name, name->len))
		prefix = 0;
	return (struct qstr)QSTR_INIT(name->name + prefix, name->len - prefix);
}

static int check_name(struct mica_drop *d, const struct mica_view *view,
		      const struct drop_item *dir, const struct qstr *name,
		      struct list_head *dirs, struct mica_reason *why)
{
	struct dentry *entry = lower_lookup(d->b, dir->dentry, name);
	struct qstr shown = hidden_name(d->b, name);
	struct mica_parts *below = NULL;
	int err;

	if (IS_ERR_OR_NULL(entry))
		return PTR_ERR_OR_ZERO(entry);
	err = check_entry(d, entry, why);
	if (!err && dir->below && d_is_dir(dir->below->part[0].dentry) &&
	    has_index(view))
		err = mica_lookup_in(view, dir->below, &shown, 0, &below);
	err = err ?: note_below(d, entry, below, dirs);
	dput(entry);
	return err;
}

static int check_names(struct mica_drop *d, const struct mica_view *view,
		       const struct drop_item *dir, struct list_head *dirs,
		       struct mica_reason *why)
{
	struct lower_name *n, *next;
	LIST_HEAD(names);
	int err;

	err = lower_list(d->b, dir->dentry, &names);
	list_for_each_entry_safe(n, next, &names, list) {
		struct qstr name = QSTR_INIT(n->name, n->len);

		err = err ?: check_name(d, view, dir, &name, dirs, why);
		list_del(&n->list);
		kfree(n);
	}
	return err;
}

/* All that the entry has in it, however deep. Takes over @below. */
static int check_tree(struct mica_drop *d, const struct mica_view *view,
		      struct mica_parts *below, struct mica_reason *why)
{
	struct drop_item *dir;
	LIST_HEAD(todo);
	LIST_HEAD(done);
	int err;

	err = check_entry(d, d->entry, why);
	if (err)
		mica_parts_free(below);
	else
		err = note_below(d, d->entry, below, &todo);
	while (!err && !list_empty(&todo)) {
		dir = list_first_entry(&todo, struct drop_item, list);
		list_move(&dir->list, &done);
		err = fatal_signal_pending(current) ? -EINTR :
		      check_names(d, view, dir, &todo, why);
		free_items(&done);
		INIT_LIST_HEAD(&done);
	}
	free_items(&todo);
	return err;
}

/* The leftmost branch that says something of the name. Returns 1 if there is. */
static int find_branch(struct mica_drop *d)
{
	const struct mica_parts *parts = mica_parts(d_inode(d->dir));
	unsigned int i;
	int ret = 0;

	for (i = 0; i < parts->nr && !ret && !d->entry; i++) {
		d->b = parts->part[i].b;
		d->real = parts->part[i].dentry;
		d->entry = lower_lookup(d->b, d->real, d->name);
		if (IS_ERR(d->entry)) {
			ret = PTR_ERR(d->entry);
			d->entry = NULL;
			return ret;
		}
		ret = mica_hides(d->b, d->real, d->name);
	}
	return ret ?: !!d->entry;
}

/**
 * mica_drop_find - find out what is to be dropped, and whether it can be
 * @d: the drop, with its directory and name
 * @view: what there is without it
 * @why: out: why it cannot be dropped
 *
 * Nobody changes anything in the union. The caller has the mounter's credentials,
 * and calls mica_drop_end() in any case.
 *
 * Return: 0; -ENODATA if no writable branch says anything of the name; -ENOENT if
 * nothing would show without it; -EMLINK, -EPERM; or another error.
 */
int mica_drop_find(struct mica_drop *d, const struct mica_view *view,
		   struct mica_reason *why)
{
	struct mica_parts *below;
	int ret;

	if (IS_DEADDIR(d_inode(d->dir)))
		return -ENOENT;
	ret = find_branch(d);
	if (ret < 0)
		return ret;
	if (!ret || !d->b->rw)
		return mica_fail(why, -ENODATA, MICA_REASON_BRANCH,
				 d->name->name,
				 "%s has no change in a writable branch",
				 d->name->name);
	ret = mica_lookup_in(view, mica_parts(d_inode(d->dir)), d->name, 0,
			     &below);
	if (ret)
		return ret;
	if (!below)
		return mica_fail(why, -ENOENT, MICA_REASON_BRANCH,
				 d->name->name,
				 "%s: there is nothing below it that could show",
				 d->name->name);
	if (d->entry)
		return check_tree(d, view, below, why);
	/* A whiteout beside it. */
	return add_item(&d->shown, d->real, below);
}

/* Files that get a name back have one more. After a crash it may be too many. */
static int count_names(struct mica_drop *d)
{
	struct drop_item *item;
	int err = 0;

	list_for_each_entry(item, &d->shown, list)
		err = err ?: mica_links_shown(d->dir->d_sb,
					      &item->below->part[0]);
	return err;
}

static void take_back(struct mica_drop *d)
{
	lower_rename(d->b, d->bin, &QSTR("dropped"), d_inode(d->entry),
		     d->real, d->name, 0);
}

static int move_to_bin(struct mica_drop *d)
{
	char temp[MICA_TEMP_NAME_SIZE];
	struct drop_item *item;
	struct dentry *bin;
	int err;

	mica_temp_name(temp);
	bin = lower_create(d->b, d->b->work, &QSTR(temp), S_IFDIR | 0700, 0,
			   NULL);
	if (IS_ERR(bin))
		return PTR_ERR(bin);
	d->bin = bin;
	err = lower_rename(d->b, d->real, d->name, d_inode(d->entry), bin,
			   &QSTR("dropped"), 0);
	if (err)
		return err;
	/* Until then, other names of it lead there. */
	list_for_each_entry(item, &d->indexed, list)
		err = err ?: mica_index_remove(d->b, item->dentry);
	if (err)
		take_back(d);
	return err;
}

/**
 * mica_drop_do - drop the change
 * @d: the drop, after mica_drop_find()
 *
 * Nobody changes anything in the union. The caller has the mounter's credentials.
 *
 * Return: 0 or an error, and then the name is what it was. If that is an error of the
 * branch where the index is, other names of files that were to be dropped with it may
 * show what is below; wherever it is, such files may count a name too many.
 */
int mica_drop_do(struct mica_drop *d)
{
	/* It takes the right to write by itself, perhaps to another branch. */
	int err = count_names(d) ?: mnt_want_write(d->b->mnt);

	if (err)
		return err;
	if (d->entry)
		err = move_to_bin(d);
	if (!err) {
		err = mica_unhide(d->b, d->real, d->name);
		if (err && d->entry)
			take_back(d);
	}
	mnt_drop_write(d->b->mnt);
	if (!err)
		mica_touch_dir(d_inode(d->dir), d->b);
	return err;
}

/**
 * mica_drop_end - remove what was dropped
 * @d: the drop
 *
 * Nobody looks at it any more. The caller has the mounter's credentials. What
 * cannot be removed is, by the next mount.
 */
void mica_drop_end(struct mica_drop *d)
{
	int err;

	if (d->bin) {
		err = mnt_want_write(d->b->mnt);
		if (!err) {
			err = lower_purge(d->b, d->bin) ?:
			      lower_remove(d->b, d->b->work, &d->bin->d_name,
					   d_inode(d->bin));
			mnt_drop_write(d->b->mnt);
		}
		if (err)
			pr_warn("%pd: left behind in the work directory of %s (%d)\n",
				d->bin, d->b->name, err);
		dput(d->bin);
	}
	free_items(&d->indexed);
	free_items(&d->shown);
	dput(d->entry);
}
