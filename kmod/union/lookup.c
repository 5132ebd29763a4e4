// SPDX-License-Identifier: GPL-2.0-only
/* Finding a name in the branches, from the left to the right. */
#include <linux/mount.h>
#include <linux/slab.h>
#include "origin.h"

struct mica_parts *mica_parts_alloc(unsigned int nr)
{
	return kzalloc(offsetof(struct mica_parts, part[nr]), GFP_KERNEL);
}

/* The same part once more. */
struct mica_part mica_part_get(const struct mica_part *part)
{
	dget(part->dentry);
	percpu_ref_get(&part->b->ref);
	return *part;
}

void mica_part_put(const struct mica_part *part)
{
	if (!part->dentry)
		return;
	dput(part->dentry);
	percpu_ref_put(&part->b->ref);
}

void mica_parts_free(struct mica_parts *parts)
{
	unsigned int i;

	if (!parts)
		return;
	for (i = 0; i < parts->nr; i++)
		mica_part_put(&parts->part[i]);
	kfree(parts);
}

/* A part of @dentry, whose reference is taken over. */
struct mica_part mica_part_of(struct mica_branch *b, struct dentry *dentry)
{
	percpu_ref_get(&b->ref);
	return (struct mica_part) { .b = b, .dentry = dentry };
}

/* Takes over the reference of @dentry, also if it fails. */
struct mica_parts *mica_parts_one(struct mica_branch *b, struct dentry *dentry)
{
	struct mica_parts *parts = mica_parts_alloc(1);

	if (!parts) {
		dput(dentry);
		return NULL;
	}
	parts->nr = 1;
	parts->part[0] = mica_part_of(b, dentry);
	return parts;
}

/**
 * mica_look - look for a name in one part of a directory
 * @set: the branches
 * @dir: the part
 * @name: the name
 * @reach: for which entries it matters whether the name goes on to the right
 * @entry: out: the entry, counted, if one is found
 * @redirect: out: where a directory goes on to the right, to be freed, or NULL
 *	if it does so under its own name; without it, such a directory ends
 *	there
 *
 * The caller has the mounter's credentials.
 *
 * Return: one of &enum mica_sight, or an error.
 */
int mica_look(const struct mica_branches *set, const struct mica_part *dir,
	      const struct qstr *name, enum mica_reach reach,
	      struct dentry **entry, char **redirect)
{
	const struct mica_branch *b = dir->b;
	struct dentry *dentry;
	char *other = NULL;
	int ret;

	if (redirect)
		*redirect = NULL;
	dentry = lower_lookup(b, dir->dentry, name);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);

	if (!dentry) {
		ret = reach ? mica_part_hides(dir, name) : 0;
		return ret > 0 ? MICA_HIDDEN : ret;
	}

	ret = mica_is_whiteout(b, dentry);
	if (ret) {
		dput(dentry);
		return ret < 0 ? ret : MICA_HIDDEN;
	}

	if (reach == MICA_REACH_DIRS && !d_is_dir(dentry))
		reach = MICA_REACH_NONE;
	/* A redirect may lead to where @dir itself has no part. */
	if (d_is_dir(dentry) &&
	    (b != set->branch[set->nr - 1] || set->incomplete[set->nr - 1]))
		other = mica_redirect_in(set, b, dentry);
	if (IS_ERR(other)) {
		ret = PTR_ERR(other);
		other = NULL;
	}
	if (!ret && (reach || other) && d_is_dir(dentry))
		ret = mica_is_opaque(&(struct mica_part){
			.b = dir->b, .dentry = dentry,
		});
	if (!ret && reach && !other)
		ret = mica_part_hides(dir, name);
	if (!ret && other && redirect) {
		*redirect = other;
		*entry = dentry;
		return MICA_FOUND;
	}
	ret = ret ?: other || !reach;
	kfree(other);
	if (ret < 0) {
		dput(dentry);
		return ret;
	}
	*entry = dentry;
	return ret ? MICA_FOUND_LAST : MICA_FOUND;
}

/**
 * struct mica_wanted - data that is looked for
 * @by: the branch of the metacopy that it belongs to
 * @file: the file that has it, as far as that is known
 * @origin: what the metacopy was made of, likewise
 * @exact: no other one will do
 */
struct mica_wanted {
	struct mica_branch *by;
	struct mica_origin file;
	struct mica_origin origin;
	bool exact;
};

/**
 * struct mica_search - a look-up under way
 * @view: what is looked into
 * @where: parts of the directory to look in
 * @owned: the same, if they belong to the search
 * @name: name to look for
 * @redirect: what @name points into, if it is not the caller's
 * @found: what has been found
 * @data: it is data of a file that is looked for, or NULL
 */
struct mica_search {
	const struct mica_view *view;
	const struct mica_parts *where;
	struct mica_parts *owned;
	struct qstr name;
	char *redirect;
	struct mica_parts *found;
	struct mica_wanted *data;
};

static int search(struct mica_search *s, unsigned int from, int depth);

static bool has_part_in(const struct mica_parts *parts, const struct mica_branch *b)
{
	unsigned int i;

	for (i = 0; i < parts->nr; i++)
		if (parts->part[i].b == b)
			return true;
	return false;
}

/* The parts of the root to the right of @b, or NULL if it has none there. */
static struct mica_parts *root_right_of(const struct mica_view *view,
					const struct mica_branch *b)
{
	const struct mica_parts *root = view->root;
	struct mica_parts *parts;
	unsigned int i = 0;

	/* A branch that has just gone leads where it led, until all know. */
	while (!has_part_in(root, b) && root->old)
		root = root->old;
	while (i < root->nr && root->part[i++].b != b)
		;
	if (i == root->nr)
		return NULL;
	parts = mica_parts_alloc(root->nr - i);
	if (!parts)
		return ERR_PTR(-ENOMEM);
	for (; i < root->nr; i++)
		parts->part[parts->nr++] = mica_part_get(&root->part[i]);
	return parts;
}

/*
 * Follows all of @path but its last name through the branches to the right of
 * @b. Cuts it to pieces; *last is the last.
 */
static struct mica_parts *walk_to_last(const struct mica_view *view,
				       const struct mica_branch *b, char *path,
				       char **last, int depth)
{
	struct mica_parts *parts = root_right_of(view, b);
	char *name = strsep(&path, "/");
	int err;

	while (path && !IS_ERR_OR_NULL(parts)) {
		struct mica_search s = { .view = view, .where = parts };

		s.name = QSTR(name);
		err = search(&s, 0, depth);
		mica_parts_free(parts);
		if (err)
			return ERR_PTR(err);
		parts = s.found;
		if (parts && !d_is_dir(parts->part[0].dentry)) {
			mica_parts_free(parts);
			parts = NULL;
		}
		name = strsep(&path, "/");
	}
	*last = name;
	return parts;
}

/*
 * The directory that was found last goes on under another name: from here on
 * that is what is looked for, right of @b. Takes over @redirect. Returns 0 if
 * it does not lead anywhere, 1 to go on, or an error.
 */
static int follow(struct mica_search *s, const struct mica_branch *b,
		  char *redirect, int depth)
{
	struct mica_parts *parts, *found;
	char *last = redirect;

	kfree(s->redirect);
	s->redirect = redirect;
	if (*redirect != '/') {
		s->name = QSTR(redirect);
		return 1;
	}
	if (depth == MICA_MAX_REDIRECTS) {
		pr_warn_ratelimited("%s: too many redirects in one another\n",
				    redirect);
		return -EIO;
	}
	parts = walk_to_last(s->view, b, redirect + 1, &last, depth + 1);
	if (IS_ERR_OR_NULL(parts))
		return PTR_ERR_OR_ZERO(parts);
	mica_parts_free(s->owned);
	s->where = parts;
	s->owned = parts;
	s->name = QSTR(last);

	if (!s->found)
		return 1;
	found = krealloc(s->found, offsetof(struct mica_parts,
					    part[s->found->nr + parts->nr]),
			 GFP_KERNEL);
	if (!found)
		return -ENOMEM;
	s->found = found;
	return 1;
}

/* Of a name that is not a directory, only the first entry is shown. */
static bool ends_here(const struct mica_parts *found, const struct dentry *next)
{
	return found && (!d_is_dir(next) || !d_is_dir(found->part[0].dentry));
}

static int add_found(struct mica_search *s, unsigned int i,
		     struct dentry *entry, bool redirected)
{
	struct mica_part *part;

	if (mica_dir_is_strange(entry)) {
		dput(entry);
		return -EOPNOTSUPP;
	}
	if (!s->found)
		s->found = mica_parts_alloc(s->where->nr - i);
	if (!s->found) {
		dput(entry);
		return -ENOMEM;
	}
	part = &s->found->part[s->found->nr++];
	*part = mica_part_of(s->where->part[i].b, entry);
	part->redirected = redirected;
	return 0;
}

static int want_data_of(struct mica_wanted *data, struct mica_branch *b,
			struct dentry *meta)
{
	data->by = b;
	mica_read_origin(b, meta, &data->origin);
	return mica_read_data(b, meta, &data->file);
}

/*
 * Can a file be the one though that is not known of it? It may have moved, or it
 * cannot be told from others: a file system without a UUID may be a new one each
 * time, with the same files. A metacopy that overlayfs made on the way says only what
 * it was made of itself.
 */
static bool may_be_wanted(const struct mica_wanted *data, struct mica_branch *b,
			  struct dentry *entry, bool is_meta)
{
	const struct mica_part part = { .b = b, .dentry = entry };
	struct mica_origin o;

	if (!mica_tells_files(b) || uuid_is_null(&data->file.head.uuid) ||
	    mica_may_have_moved(data->by, b))
		return true;
	if (!is_meta)
		return false;
	mica_get_origin(&part, &o);
	return mica_same_origin(&o, &data->origin);
}

/* A layer that was put in between may have another file of that name. */
static bool is_wanted(const struct mica_wanted *data, struct mica_branch *b,
		      struct dentry *entry, bool is_meta)
{
	return !data->file.size ||
	       mica_leads_to(b, entry, is_meta, &data->file) ||
	       (!data->exact && may_be_wanted(data, b, entry, is_meta));
}

/*
 * The data of a file may be here, or be still further to the right. As
 * search_part(); takes over @entry.
 */
static int search_data(struct mica_search *s, unsigned int *i,
		       struct dentry *entry, int depth)
{
	struct mica_branch *b = s->where->part[*i].b;
	char *redirect = NULL;
	int ret;

	ret = d_is_reg(entry) ? mica_is_metacopy_on_disk(b, entry) : -EIO;
	if (!is_wanted(s->data, b, entry, ret > 0)) {
		dput(entry);
		return 1;
	}
	if (!ret)
		return add_found(s, *i, entry, false);
	if (ret > 0)
		ret = want_data_of(s->data, b, entry) ?: 1;
	if (ret > 0) {
		redirect = mica_redirect_in(s->view->set, b, entry);
		ret = IS_ERR(redirect) ? PTR_ERR(redirect) : 1;
	}
	dput(entry);
	if (ret < 0 || !redirect)
		return ret;
	ret = follow(s, b, redirect, depth);
	if (ret > 0 && *redirect == '/')
		*i = -1;
	return ret;
}

static bool is_without(const struct mica_search *s, const struct mica_part *part)
{
	const struct mica_drop *d = s->view->without;

	return d && part->dentry == d->real && s->name.len == d->name->len &&
	       !memcmp(s->name.name, d->name->name, s->name.len);
}

/* Looks in one part; returns 0 if the search ends there, 1, or an error. */
static int search_part(struct mica_search *s, unsigned int *i, int depth)
{
	const struct mica_part *part = &s->where->part[*i];
	bool last = *i + 1 == s->where->nr;
	const struct mica_branch *b = part->b;
	struct dentry *entry;
	char *redirect;
	int ret, err;

	if (is_without(s, part))
		return 1;
	ret = mica_look(s->view->set, part, &s->name,
			last ? MICA_REACH_NONE : MICA_REACH_DIRS, &entry,
			&redirect);
	if (ret < 0)
		return ret;
	if (ret == MICA_ABSENT)
		return 1;
	if (ret == MICA_HIDDEN)
		return 0;
	if (s->data) {
		kfree(redirect);
		return search_data(s, i, entry, depth);
	}
	if (ends_here(s->found, entry)) {
		kfree(redirect);
		dput(entry);
		return 0;
	}
	err = add_found(s, *i, entry, redirect);
	if (!redirect || err) {
		kfree(redirect);
		return err ?: ret == MICA_FOUND;
	}
	s->view->ms->redirects = true;
	err = follow(s, b, redirect, depth);
	/* The parts to look in are others now. */
	if (err > 0 && *redirect == '/')
		*i = -1;
	return err;
}

static int search(struct mica_search *s, unsigned int from, int depth)
{
	unsigned int i;
	int ret = 1;

	for (i = from; ret > 0 && i < s->where->nr; i++)
		ret = search_part(s, &i, depth);
	mica_parts_free(s->owned);
	kfree(s->redirect);
	if (ret < 0) {
		mica_parts_free(s->found);
		s->found = NULL;
	}
	return min(ret, 0);
}

/* What the union is at the moment. */
static struct mica_view view_of(struct super_block *sb)
{
	return (struct mica_view) {
		.ms = mica_super(sb),
		.set = mica_branches(sb),
		.root = mica_parts(d_inode(sb->s_root)),
	};
}

/**
 * mica_lookup_in - look for a name in some directories of branches
 * @view: what the union is
 * @where: the directories, parts of one
 * @name: the name
 * @from: first of them to look in
 * @parts: out: where it is, or NULL if it is nowhere
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_lookup_in(const struct mica_view *view, const struct mica_parts *where,
		   const struct qstr *name, unsigned int from,
		   struct mica_parts **parts)
{
	struct mica_search s = { .view = view, .where = where, .name = *name };
	int err = search(&s, from, 0);

	*parts = s.found;
	return err;
}

/* The same, in a directory of the union as it is. */
int mica_lookup_parts(struct inode *dir, const struct qstr *name,
		      unsigned int from, struct mica_parts **parts)
{
	const struct mica_view view = view_of(dir->i_sb);

	return mica_lookup_in(&view, mica_parts(dir), name, from, parts);
}

/* As mica_lookup_data(); finds nothing if @exact is too much. */
static int lookup_data(struct inode *dir, const struct qstr *name,
		       const struct mica_part *top, bool exact,
		       struct mica_parts **found)
{
	const struct mica_view view = view_of(dir->i_sb);
	struct mica_wanted data = { .exact = exact };
	struct mica_search s = {
		.view = &view,
		.where = mica_parts(dir),
		.name = *name,
		.data = &data,
	};
	unsigned int i, from = 0;
	char *redirect;
	int ret;

	*found = NULL;
	ret = want_data_of(&data, top->b, top->dentry);
	if (ret)
		return ret;
	ret = 1;
	redirect = mica_redirect_in(view.set, top->b, top->dentry);
	if (IS_ERR(redirect))
		return PTR_ERR(redirect);
	if (redirect)
		ret = follow(&s, top->b, redirect, 0);
	for (i = 0; i < s.where->nr; i++)
		if (s.where->part[i].b == top->b)
			from = i + 1;
	if (ret <= 0)
		from = s.where->nr;
	ret = search(&s, from, 0) ?: min(ret, 0);
	*found = s.found;
	return ret;
}

/**
 * mica_lookup_data - look for the data of a file that is a metacopy
 * @dir: its directory
 * @name: its name there
 * @top: the metacopy
 * @data: out: where its data is, counted
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0, -EIO if it is nowhere, or another error.
 */
int mica_lookup_data(struct inode *dir, const struct qstr *name,
		     const struct mica_part *top, struct mica_part *data)
{
	struct mica_parts *found;
	int ret;

	ret = lookup_data(dir, name, top, true, &found);
	if (!ret && !found)
		ret = lookup_data(dir, name, top, false, &found);
	if (!ret && !found)
		ret = -EIO;
	if (!ret)
		*data = mica_part_get(&found->part[0]);
	else
		pr_warn_ratelimited("%pd2 in %s: its data is not found\n",
				    top->dentry, top->b->name);
	mica_parts_free(found);
	return ret;
}

struct dentry *mica_lookup(struct inode *dir, struct dentry *dentry,
			   unsigned int flags)
{
	struct mica_parts *parts = NULL;
	struct inode *inode = NULL;
	struct mica_look l;
	u64 ino = 0;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);

	if (!mica_name_reserved(dir->i_sb, &dentry->d_name)) {
		mica_begin_look(dir, &l);
		err = mica_lookup_parts(dir, &dentry->d_name, 0, &parts);
		if (parts) {
			ino = mica_number(dir, parts);
			inode = mica_iget(dir->i_sb, parts, ino);
		}
		mica_end_look(dir, &l);
		if (err)
			return ERR_PTR(err);
	}
	return d_splice_alias(inode, dentry);
}
