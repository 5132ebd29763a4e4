// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a layer needs of those to the right of it.
 *
 * A redirect and a metacopy mean something only above the layers that they were
 * made above: with others the tree would be a wrong one. So a branch in which
 * there are such has a list of those layers on its root, a hash of the file
 * handle for each. Where one of them is missing, they are not followed.
 */
#include <linux/mount.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include "origin.h"

#define NEEDS "mica.layers"

/* The hash that a layer is known by, 0 if it cannot be told from others. */
static __le64 hash_of(const struct mica_branch *b)
{
	static const siphash_key_t no_secret;
	struct mica_origin o;
	u8 value[U8_MAX];

	mica_encode(b, b->mnt->mnt_root, &o);
	if (!o.size || uuid_is_null(&o.head.uuid))
		return 0;
	memcpy(value, &o.head, sizeof(o.head));
	memcpy(value + sizeof(o.head), o.fid, o.size - sizeof(o.head));
	return cpu_to_le64(siphash(value, o.size, &no_secret));
}

static bool is_in(const __le64 *list, unsigned int nr, __le64 hash)
{
	while (nr--)
		if (list[nr] == hash)
			return true;
	return false;
}

/* Reads the list of a branch; *nr is how many are on it. */
static int read_needs(struct mica_branch *b, __le64 **list, unsigned int *nr)
{
	int size;

	*list = NULL;
	*nr = 0;
	size = lower_get_mark(b, b->mnt->mnt_root, NEEDS, NULL, 0);
	if (size == -ENODATA || size == -EOPNOTSUPP || !size)
		return 0;
	if (size < 0)
		return size;
	*list = kvmalloc(size, GFP_KERNEL);
	if (!*list)
		return -ENOMEM;
	size = lower_get_mark(b, b->mnt->mnt_root, NEEDS, *list, size);
	if (size < 0)
		return size;
	*nr = size / sizeof(**list);
	return 0;
}

/* Adds those of @right that are missing in b->needs to it. */
static int add_needs(struct mica_branch *b, const __le64 *right,
		     unsigned int nr)
{
	unsigned int known = b->nr_needs, i;
	__le64 *list;

	list = kvmalloc_array(known + nr, sizeof(*list), GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	if (known)
		memcpy(list, b->needs, known * sizeof(*list));
	for (i = 0; i < nr; i++)
		if (!is_in(list, b->nr_needs, right[i]))
			list[b->nr_needs++] = right[i];
	kvfree(b->needs);
	b->needs = list;
	b->needs_noted = b->nr_needs == known;
	return 0;
}

static void check_needs(struct mica_branch *b, const __le64 *right,
			unsigned int nr)
{
	unsigned int i, missing = 0;

	for (i = 0; i < b->nr_needs; i++)
		missing += !is_in(right, nr, b->needs[i]);
	b->incomplete = missing;
	if (missing)
		pr_warn("%s: %u of the %u layers that it was made above are not to the right of it: what was renamed or is a metacopy there cannot be used\n",
			b->name, missing, b->nr_needs);
}

/**
 * mica_find_needs - see whether the branches have what they need
 * @set: the branches
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_find_needs(struct mica_branches *set)
{
	unsigned int i = set->nr, nr = 0;
	__le64 *right, hash;
	int err = 0;

	/* Those to the right of the branch, the rightmost first. */
	right = kvcalloc(set->nr, sizeof(*right), GFP_KERNEL);
	if (!right)
		return -ENOMEM;
	while (i-- && !err) {
		struct mica_branch *b = set->branch[i];

		/* No redirect and no metacopy is believed there. */
		if (b->userxattr)
			continue;
		err = read_needs(b, &b->needs, &b->nr_needs);
		if (err)
			break;
		check_needs(b, right, nr);
		if (b->rw)
			err = add_needs(b, right, nr);
		hash = hash_of(b);
		if (hash)
			right[nr++] = hash;
	}
	kvfree(right);
	return err;
}

/**
 * mica_note_needs - a redirect or a metacopy is about to be made
 * @b: the branch, which is writable
 *
 * Of two at once both write the same. The caller has the mounter's credentials
 * and mnt_want_write().
 *
 * Return: 0 or an error; that there is no place for so many is none.
 */
int mica_note_needs(const struct mica_branch *b)
{
	int err;

	if (READ_ONCE(b->needs_noted))
		return 0;
	err = lower_set_mark(b, b->mnt->mnt_root, NEEDS, b->needs,
			     b->nr_needs * sizeof(*b->needs));
	/* What is remembered is no change of the branch. */
	if (!err)
		WRITE_ONCE(((struct mica_branch *)b)->needs_noted, true);
	if (err != -E2BIG && err != -ERANGE && err != -ENOSPC)
		return err;
	pr_warn_ratelimited("%s: no place to note the %u layers that it is made above\n",
			    b->name, b->nr_needs);
	return 0;
}
