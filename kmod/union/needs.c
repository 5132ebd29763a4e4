// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a layer needs of those to the right of it.
 *
 * A redirect and a metacopy mean something only above the layers that they lead
 * to: with others in their place the tree would be a wrong one. So a branch in
 * which there are such has a list of those layers on its root, a hash of the file
 * handle for each. Where one of them is missing, they are not followed.
 *
 * A layer that others were merged into stands for them: it has a list of what they
 * were known by.
 */
#include <linux/mount.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include "options.h"
#include "origin.h"

#define NEEDS "mica.layers"
#define MERGED "mica.merged"
#define SALT "mica.salt"
#define SALT_SIZE 8

/* The hash that a layer is known by, 0 if it cannot be told from others. */
__le64 mica_layer_hash(const struct mica_branch *b, struct dentry *root)
{
	static const siphash_key_t no_secret;
	u8 value[U8_MAX + SALT_SIZE];
	struct mica_origin o;
	int salt;

	mica_encode(b, root, &o);
	if (!o.size || uuid_is_null(&o.head.uuid))
		return 0;
	memcpy(value, &o.head, sizeof(o.head));
	memcpy(value + sizeof(o.head), o.fid, o.size - sizeof(o.head));
	/* It was another layer once, which was merged into a third. */
	salt = lower_get_mark(b, root, SALT, value + o.size, SALT_SIZE);
	return cpu_to_le64(siphash(value, o.size + max(salt, 0), &no_secret));
}

static bool is_in(const __le64 *list, unsigned int nr, __le64 hash)
{
	while (nr--)
		if (list[nr] == hash)
			return true;
	return false;
}

/* Reads a list of a branch; *nr is how many are on it. */
static int read_list(struct mica_branch *b, const char *mark, __le64 **list,
		     unsigned int *nr)
{
	int size;

	*list = NULL;
	*nr = 0;
	size = lower_get_mark(b, b->mnt->mnt_root, mark, NULL, 0);
	if (size == -ENODATA || size == -EOPNOTSUPP || !size)
		return 0;
	if (size < 0)
		return size;
	*list = kmalloc(size, GFP_KERNEL);
	if (!*list)
		return -ENOMEM;
	size = lower_get_mark(b, b->mnt->mnt_root, mark, *list, size);
	if (size < 0)
		return size;
	*nr = size / sizeof(**list);
	return 0;
}

/* It may be partly removed, and what is written to it would be removed as well. */
static bool is_half_merged(const struct mica_branch *b)
{
	__le64 mark[2];

	return lower_get_mark(b, b->mnt->mnt_root, "mica.merge", mark,
			      sizeof(mark)) == sizeof(mark) && !mark[1];
}

/**
 * mica_find_merged - see which layers a branch stands for
 * @b: the branch
 * @why: out: why it cannot be used
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0; -EBUSY if it takes part in a merge that has not come to its end; or
 * another error.
 */
int mica_find_merged(struct mica_branch *b, struct mica_reason *why)
{
	/* No redirect and no metacopy is believed there. */
	if (b->userxattr)
		return 0;
	if (is_half_merged(b))
		return mica_refuse(why, -EBUSY, b->name,
				   "takes part in a merge that was interrupted; run mica union merge again, on the layers");
	return read_list(b, MERGED, &b->merged, &b->nr_merged);
}

static bool is_known_as(const struct mica_branch *b, __le64 hash)
{
	return hash && (b->hash == hash || is_in(b->merged, b->nr_merged, hash));
}

/**
 * mica_merged_as - which of the layers that were merged into a branch is that?
 * @b: the branch
 * @other: the layer
 *
 * They are in the order that they had.
 *
 * Return: its place, or -1 if it is none of them, or cannot be told from others.
 */
int mica_merged_as(const struct mica_branch *b, const struct mica_branch *other)
{
	unsigned int i;

	for (i = 0; other->hash && i < b->nr_merged; i++)
		if (b->merged[i] == other->hash)
			return i;
	return -1;
}

/**
 * mica_stands_for - is a branch known by all that another one is?
 * @b: the branch
 * @other: the other one
 */
bool mica_stands_for(const struct mica_branch *b, const struct mica_branch *other)
{
	unsigned int i;

	for (i = 0; i < other->nr_merged; i++)
		if (!is_known_as(b, other->merged[i]))
			return false;
	return !other->hash || is_known_as(b, other->hash);
}

static void check_needs(const struct mica_branches *set, unsigned int pos)
{
	struct mica_branch *b = set->branch[pos];
	unsigned int i, j, missing = 0;

	/* The union may be in use, and a rename may add to the list. */
	mutex_lock(&b->needs_lock);
	for (i = 0; i < b->nr_needs; i++) {
		j = pos + 1;
		while (j < set->nr && !is_known_as(set->branch[j], b->needs[i]))
			j++;
		missing += j == set->nr;
	}
	mutex_unlock(&b->needs_lock);
	set->incomplete[pos] = missing;
	if (missing && !b->incomplete)
		pr_warn("%s: %u of the %u layers that it needs are not to the right of it: what was renamed or is a metacopy there cannot be used\n",
			b->name, missing, b->nr_needs);
}

/**
 * mica_find_needs - see whether the branches have what they need
 * @set: the branches, perhaps of a change that is not made in the end
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_find_needs(struct mica_branches *set)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < set->nr && !err; i++) {
		struct mica_branch *b = set->branch[i];

		if (b->userxattr)
			continue;
		if (!b->needs_read) {
			err = read_list(b, NEEDS, &b->needs, &b->nr_needs);
			b->needs_read = true;
		}
		check_needs(set, i);
	}
	return err;
}

/**
 * mica_is_incomplete - are layers missing that what is in a branch leads to?
 * @set: the branches to look at; the union may still have others
 * @b: the branch, which may have left them
 */
bool mica_is_incomplete(const struct mica_branches *set,
			const struct mica_branch *b)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->branch[i] == b)
			return set->incomplete[i];
	return b->incomplete;
}

/**
 * mica_needs - does what is in a branch lead to another one?
 * @b: the branch
 * @on: the other one
 */
bool mica_needs(struct mica_branch *b, const struct mica_branch *on)
{
	unsigned int i;
	bool ret = false;

	mutex_lock(&b->needs_lock);
	for (i = 0; i < b->nr_needs && !ret; i++)
		ret = is_known_as(on, b->needs[i]);
	mutex_unlock(&b->needs_lock);
	return ret;
}

/**
 * mica_may_have_moved - can what a metacopy was made of be another file now?
 * @b: the branch of the metacopy
 * @to: the branch of that file
 *
 * A merge may have copied it. Where there is no list of layers, they may all be
 * copies, as far as anybody knows.
 */
bool mica_may_have_moved(struct mica_branch *b, const struct mica_branch *to)
{
	unsigned int i;
	bool ret;

	mutex_lock(&b->needs_lock);
	ret = !b->nr_needs;
	for (i = 0; i < b->nr_needs && !ret; i++)
		ret = is_in(to->merged, to->nr_merged, b->needs[i]);
	mutex_unlock(&b->needs_lock);
	return ret;
}

static int add_need(struct mica_branch *b, __le64 hash)
{
	size_t size = (b->nr_needs + 1) * sizeof(*b->needs);
	__le64 *list;
	int err;

	list = krealloc(b->needs, size, GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	b->needs = list;
	list[b->nr_needs] = hash;
	err = lower_set_mark(b, b->mnt->mnt_root, NEEDS, list, size);
	if (!err)
		b->nr_needs++;
	return err;
}

/**
 * mica_note_need - a redirect or a metacopy is about to be made
 * @b: its branch, which is writable
 * @on: a branch that it leads to
 *
 * The caller has the mounter's credentials and mnt_want_write().
 *
 * Return: 0 or an error; that there is no place for so many is none.
 */
int mica_note_need(struct mica_branch *b, const struct mica_branch *on)
{
	int err = 0;

	if (!on->hash)
		return 0;
	mutex_lock(&b->needs_lock);
	if (!is_in(b->needs, b->nr_needs, on->hash))
		err = add_need(b, on->hash);
	mutex_unlock(&b->needs_lock);
	if (err != -E2BIG && err != -ERANGE && err != -ENOSPC)
		return err;
	pr_warn_ratelimited("%s: no place to note that it needs %s\n", b->name,
			    on->name);
	return 0;
}

/* A layer that a snapshot was made of: what was put above it, and its name. */
#define SEALED "mica.sealed"

struct seal {
	__le64 hash;
	char name[];
};

/* The seal of a branch, to be freed; NULL if there is none. */
static struct seal *read_seal(const struct mica_branch *b)
{
	int size = lower_get_mark(b, b->mnt->mnt_root, SEALED, NULL, 0);
	struct seal *seal;

	if (size == -ENODATA || size == -EOPNOTSUPP)
		return NULL;
	if (size < 0)
		return ERR_PTR(size);
	/* The name ends, whatever is in it. */
	seal = kzalloc(size + sizeof(*seal), GFP_KERNEL);
	if (!seal)
		return ERR_PTR(-ENOMEM);
	size = lower_get_mark(b, b->mnt->mnt_root, SEALED, seal, size);
	if (size >= 0)
		return seal;
	kfree(seal);
	return ERR_PTR(size);
}

static bool is_meant(const struct seal *seal, const struct mica_branch *above)
{
	return is_known_as(above, seal->hash) ||
	       (!above->hash && !strcmp(above->name, seal->name));
}

static int write_seal(struct mica_branch *b, const struct mica_branch *above)
{
	const struct mica_part root = { .b = b, .dentry = b->mnt->mnt_root };
	size_t size = offsetof(struct seal, name[strlen(above->name) + 1]);
	struct seal *seal = kmalloc(size, GFP_KERNEL);
	int err;

	if (!seal)
		return -ENOMEM;
	seal->hash = above->hash;
	strscpy(seal->name, above->name, size - sizeof(*seal));
	err = mnt_want_write(b->mnt);
	if (!err) {
		err = lower_set_mark(b, root.dentry, SEALED, seal, size) ?:
		      mica_sync_part(&root, 0, LLONG_MAX, 0);
		mnt_drop_write(b->mnt);
	}
	kfree(seal);
	return err;
}

/**
 * mica_seal - note that a branch is not to be written to but below another one
 * @b: the branch, which is writable
 * @above: the other one
 * @why: out: why it cannot be noted
 *
 * It is on the disk on return. The caller has the mounter's credentials.
 *
 * Return: 0; 1 if it was noted already; -EINVAL if that is so of a third one, as
 * there is place for one; or another error.
 */
int mica_seal(struct mica_branch *b, const struct mica_branch *above,
	      struct mica_reason *why)
{
	struct seal *seal = read_seal(b);
	int ret;

	if (IS_ERR_OR_NULL(seal)) {
		ret = seal ? PTR_ERR(seal) : write_seal(b, above);
		return ret ? mica_refuse(why, ret, b->name, "cannot be sealed") : 0;
	}
	ret = is_meant(seal, above) ? 1 :
	      mica_refuse(why, -EINVAL, b->name,
			  "is a snapshot already, above which there is %s",
			  seal->name);
	kfree(seal);
	return ret;
}

/* Takes back what mica_seal() has noted: nothing was put above it after all. */
void mica_unseal(struct mica_branch *b)
{
	if (mnt_want_write(b->mnt))
		return;
	if (lower_remove_mark(b, b->mnt->mnt_root, SEALED))
		pr_warn("%s: is sealed, though nothing was put above it\n",
			b->name);
	mnt_drop_write(b->mnt);
}

/**
 * mica_check_sealed - is there something missing above a branch?
 * @b: the branch, which is writable or to be
 * @set: branches
 * @left: how many of them are left of it
 * @why: out: what is missing
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0, -EROFS if so, or another error.
 */
int mica_check_sealed(const struct mica_branch *b,
		      const struct mica_branches *set, unsigned int left,
		      struct mica_reason *why)
{
	struct seal *seal = read_seal(b);
	unsigned int i = 0;

	if (IS_ERR_OR_NULL(seal))
		return PTR_ERR_OR_ZERO(seal);
	while (i < left && !is_meant(seal, set->branch[i]))
		i++;
	if (i == left)
		mica_refuse(why, -EROFS, b->name,
			    "is a snapshot, it can be writable only below %s",
			    seal->name);
	kfree(seal);
	return i == left ? -EROFS : 0;
}
