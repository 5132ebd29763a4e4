// SPDX-License-Identifier: GPL-2.0-only
/* Finding a name in the branches, from the left to the right. */
#include <linux/mount.h>
#include <linux/slab.h>
#include "union.h"

struct mica_parts *mica_parts_alloc(unsigned int nr)
{
	return kzalloc(offsetof(struct mica_parts, part[nr]), GFP_KERNEL);
}

void mica_parts_free(struct mica_parts *parts)
{
	unsigned int i;

	if (!parts)
		return;
	for (i = 0; i < parts->nr; i++)
		dput(parts->part[i].dentry);
	kfree(parts);
}

/* Takes over the reference of @dentry, also if it fails. */
struct mica_parts *mica_parts_one(unsigned int slot, struct dentry *dentry)
{
	struct mica_parts *parts = mica_parts_alloc(1);

	if (!parts) {
		dput(dentry);
		return NULL;
	}
	parts->nr = 1;
	parts->part[0].slot = slot;
	parts->part[0].dentry = dentry;
	return parts;
}

/**
 * mica_look - look for a name in one part of a directory
 * @sb: the union
 * @dir: the part
 * @name: the name
 * @reach: for which entries it matters whether the name goes on to the right
 * @entry: out: the entry, counted, if one is found
 *
 * The caller has the mounter's credentials.
 *
 * Return: one of &enum mica_sight, or an error.
 */
int mica_look(const struct super_block *sb, const struct mica_part *dir,
	      const struct qstr *name, enum mica_reach reach,
	      struct dentry **entry)
{
	const struct mica_branch *b = mica_branch(sb, dir->slot);
	struct dentry *dentry;
	int ret;

	dentry = lower_lookup(b, dir->dentry, name);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);

	if (!dentry) {
		ret = reach ? mica_hides(b, dir->dentry, name) : 0;
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
	if (d_is_dir(dentry) && dir->slot + 1 < mica_branches(sb)->nr)
		ret = mica_check_redirect(b, dentry);
	if (!ret && reach && d_is_dir(dentry))
		ret = mica_is_opaque(b, dentry);
	if (!ret && reach)
		ret = mica_hides(b, dir->dentry, name);
	if (ret < 0) {
		dput(dentry);
		return ret;
	}
	*entry = dentry;
	return ret || !reach ? MICA_FOUND_LAST : MICA_FOUND;
}

/* Of a name that is not a directory, only the first entry is shown. */
static bool ends_here(const struct mica_parts *found, const struct dentry *next)
{
	return !d_is_dir(next) || !d_is_dir(found->part[0].dentry);
}

/**
 * mica_lookup_parts - look for a name in a directory of the union
 * @dir: the directory
 * @name: the name
 * @from: first part of @dir to look in
 * @parts: out: where it is, or NULL if it is nowhere
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_lookup_parts(struct inode *dir, const struct qstr *name,
		      unsigned int from, struct mica_parts **parts)
{
	const struct mica_parts *where = mica_parts(dir);
	struct mica_parts *found = NULL;
	unsigned int i;
	int ret;

	*parts = NULL;
	for (i = from; i < where->nr; i++) {
		struct dentry *entry;

		ret = mica_look(dir->i_sb, &where->part[i], name,
				i + 1 < where->nr ? MICA_REACH_DIRS :
						    MICA_REACH_NONE, &entry);
		if (ret < 0)
			goto fail;
		if (ret == MICA_ABSENT)
			continue;
		if (ret == MICA_HIDDEN)
			break;
		if (!found) {
			found = mica_parts_alloc(where->nr - i);
			if (!found) {
				dput(entry);
				ret = -ENOMEM;
				goto fail;
			}
		} else if (ends_here(found, entry)) {
			dput(entry);
			break;
		}
		found->part[found->nr].slot = where->part[i].slot;
		found->part[found->nr++].dentry = entry;
		if (ret == MICA_FOUND_LAST)
			break;
	}
	*parts = found;
	return 0;

fail:
	mica_parts_free(found);
	return ret;
}

struct dentry *mica_lookup(struct inode *dir, struct dentry *dentry,
			   unsigned int flags)
{
	struct mica_parts *parts = NULL;
	struct inode *inode = NULL;
	const struct cred *old;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);

	if (!mica_name_reserved(dir->i_sb, &dentry->d_name)) {
		old = mica_override_creds(dir->i_sb);
		err = mica_lookup_parts(dir, &dentry->d_name, 0, &parts);
		revert_creds(old);
		if (err)
			return ERR_PTR(err);
	}
	if (parts)
		inode = mica_iget(dir->i_sb, parts);
	return d_splice_alias(inode, dentry);
}
