// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handles of the union: for NFS, for open_by_handle_at(), for fanotify.
 *
 * A handle is that of the origin in its branch, so it stays the same when
 * something is copied. What is not a directory may have been copied to under
 * another name only if the index knows; else it is in the union where it is in
 * the branch. So its handle has that of its directory there, too. What is looked
 * up again has to have the same origin, or it is not that.
 *
 * What was made in the union has no origin but itself, and is found by that in
 * the branch that it was made in, which its handle tells. If nothing can be
 * written there any more, it may have been copied from there, as lower files.
 */
#include <linux/exportfs.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include "origin.h"

/* Nobody else's, see enum fid_type. */
#define MICA_FILEID 0x6d

/* In the head of a handle: it is in a writable branch, and no copy. */
#define HANDLE_IS_UPPER 4

/**
 * struct mica_handle - a handle, unpacked
 * @of: of the origin
 * @dir: of the directory that the origin is in, or if that is no copy in a
 *       writable branch, of the root of the branch; of its head, @type is good
 *
 * Packed it is @of as it is on disk, the type and the size of the other one's
 * fid, and that.
 */
struct mica_handle {
	struct mica_origin of;
	struct mica_origin dir;
};

static size_t fid_size(const struct mica_origin *o)
{
	return o->size - sizeof(o->head);
}

static int pack(const struct mica_handle *h, u32 *words, int max)
{
	size_t size = h->of.size + (h->dir.size ? 2 + fid_size(&h->dir) : 0);
	int nr = DIV_ROUND_UP(size, sizeof(u32));
	u8 *to = (u8 *)words;

	if (nr > max)
		return nr;
	memset(words, 0, nr * sizeof(u32));
	memcpy(to, &h->of.head, sizeof(h->of.head));
	memcpy(to + sizeof(h->of.head), h->of.fid, fid_size(&h->of));
	if (h->dir.size) {
		to += h->of.size;
		*to++ = h->dir.head.type;
		*to++ = fid_size(&h->dir);
		memcpy(to, h->dir.fid, fid_size(&h->dir));
	}
	return nr;
}

/* Handles come from outside; one that is none is stale. */
static bool unpack(struct mica_handle *h, const u32 *words, int nr)
{
	const u8 *from = (const u8 *)words, *end = from + nr * sizeof(u32);

	memset(h, 0, sizeof(*h));
	if (from + sizeof(h->of.head) > end)
		return false;
	memcpy(&h->of.head, from, sizeof(h->of.head));
	h->of.size = h->of.head.len;
	if (h->of.size <= sizeof(h->of.head) || from + h->of.size > end)
		return false;
	memcpy(h->of.fid, from + sizeof(h->of.head), fid_size(&h->of));
	from += h->of.size;
	if (from + 2 > end || !from[1])
		return true;
	if (from + 2 + from[1] > end ||
	    from[1] > sizeof(h->dir.fid))
		return false;
	h->dir.head = h->of.head;
	h->dir.head.type = from[0];
	h->dir.size = sizeof(h->dir.head) + from[1];
	memcpy(h->dir.fid, from + 2, from[1]);
	return true;
}

/* What a file, which is no directory, was first copied from, or itself. */
static void get_file_origin(struct inode *inode, struct mica_origin *o)
{
	const struct mica_part *part = &mica_parts(inode)->part[0];
	const struct mica_branch *b = part->b;

	/* An origin that gave no number is not believed here either. */
	o->size = 0;
	if (!mica_has_own_number(inode))
		mica_read_origin(b, part->dentry, o);
	if (o->size)
		return;
	mica_encode(b, part->dentry, o);
	if (part->b->rw)
		o->head.flags |= HANDLE_IS_UPPER;
}

/* A directory is known by the part that gave it its number. */
static void get_dir_origin(struct inode *inode, struct mica_origin *o)
{
	const struct mica_parts *parts = mica_parts(inode);
	unsigned int i = 0;

	while (i + 1 < parts->nr &&
	       mica_ino(parts->part[i].b,
			d_inode(parts->part[i].dentry)->i_ino) != inode->i_ino)
		i++;
	mica_encode(parts->part[i].b, parts->part[i].dentry, o);
}

static void get_origin(struct inode *inode, struct mica_origin *o)
{
	if (S_ISDIR(inode->i_mode))
		get_dir_origin(inode, o);
	else
		get_file_origin(inode, o);
}

/* The directory of the origin, if the union has that under the same name. */
static void get_dir_of_origin(struct dentry *dentry, struct mica_handle *h)
{
	struct dentry *parent = dget_parent(dentry);
	const struct mica_parts *where = mica_parts(d_inode(parent));
	struct name_snapshot name;
	struct mica_origin o;
	unsigned int i;

	take_dentry_name_snapshot(&name, dentry);
	for (i = 0; i < where->nr && !h->dir.size; i++) {
		const struct mica_part *part = &where->part[i];
		const struct mica_branch *b = part->b;
		struct dentry *there;

		there = lower_lookup(b, part->dentry, &name.name);
		if (IS_ERR_OR_NULL(there))
			continue;
		mica_encode(b, there, &o);
		if (mica_same_origin(&o, &h->of))
			mica_encode(b, part->dentry, &h->dir);
		dput(there);
	}
	release_dentry_name_snapshot(&name);
	dput(parent);
}

static int mica_encode_fh(struct inode *inode, u32 *fh, int *max_len,
			  struct inode *parent)
{
	const struct inode *root = d_inode(inode->i_sb->s_root);
	const struct mica_branch *b;
	struct mica_handle h = {};
	struct mica_look l;
	struct dentry *dentry;
	int nr, max = *max_len;

	WRITE_ONCE(mica_super(inode->i_sb)->has_handles, true);
	mica_begin_look(root, &l);
	get_origin(inode, &h.of);
	if (h.of.head.flags & HANDLE_IS_UPPER) {
		b = mica_parts(inode)->part[0].b;
		mica_encode(b, b->mnt->mnt_root, &h.dir);
	} else if (!S_ISDIR(inode->i_mode) && h.of.size) {
		dentry = d_find_any_alias(inode);
		if (dentry && !IS_ROOT(dentry))
			get_dir_of_origin(dentry, &h);
		dput(dentry);
	}
	mica_end_look(root, &l);
	if (!h.of.size)
		return FILEID_INVALID;
	nr = pack(&h, fh, max);
	*max_len = nr;
	return nr > max ? FILEID_INVALID : MICA_FILEID;
}

static int accept_any(void *context, struct dentry *dentry)
{
	return 1;
}

/* What a handle is of, in a branch; or an error. */
static struct dentry *decode(struct super_block *sb,
			     const struct mica_origin *o)
{
	const struct mica_branch *b = mica_branch_of_fs(sb, &o->head.uuid);
	struct dentry *real;

	if (!b)
		return ERR_PTR(-ESTALE);
	real = exportfs_decode_fh(b->mnt,
				  (struct fid *)o->fid,
				  fid_size(o) / sizeof(u32), o->head.type,
				  accept_any, NULL);
	return real ?: ERR_PTR(-ESTALE);
}

static bool is_in(const struct mica_branch *b, struct dentry *real)
{
	return real->d_sb == b->mnt->mnt_sb && is_subdir(real, b->mnt->mnt_root);
}

static struct dentry *walk(struct super_block *sb, char *path)
{
	struct dentry *dentry = dget(sb->s_root), *next;
	struct qstr q;
	char *name;

	while (!IS_ERR(dentry) && (name = strsep(&path, "/"))) {
		if (!*name)
			continue;
		q = QSTR(name);
		next = d_is_dir(dentry) ?
		       lookup_one_positive_unlocked(&nop_mnt_idmap, &q, dentry) :
		       ERR_PTR(-ENOTDIR);
		dput(dentry);
		dentry = next;
	}
	return dentry;
}

/* What the union has where a directory is in its branch. */
static struct dentry *look_where(struct super_block *sb,
				 const struct mica_branch *b,
				 struct dentry *real)
{
	const struct path path = { .mnt = b->mnt, .dentry = real };
	struct dentry *dentry;
	char *buf, *name;

	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	/* Up to the root of the branch's private mount. */
	name = d_path(&path, buf, PATH_MAX);
	dentry = IS_ERR(name) ? ERR_CAST(name) : walk(sb, name);
	kfree(buf);
	return dentry;
}

static bool has_part(struct inode *inode, const struct dentry *real)
{
	const struct mica_parts *parts = mica_parts(inode);
	unsigned int i;

	for (i = 0; i < parts->nr; i++)
		if (d_inode(parts->part[i].dentry) == d_inode(real))
			return true;
	return false;
}

/* The directory of the union that has @real as a part. */
static struct dentry *find_dir(struct super_block *sb, struct dentry *real)
{
	const struct mica_branches *set = mica_branches(sb);
	struct dentry *dentry;
	unsigned int i;

	for (i = 0; i < set->nr && !is_in(set->branch[i], real); i++)
		;
	if (i == set->nr || !d_is_dir(real))
		return ERR_PTR(-ESTALE);
	dentry = look_where(sb, set->branch[i], real);
	if (IS_ERR(dentry) || has_part(d_inode(dentry), real))
		return dentry;
	dput(dentry);
	return ERR_PTR(-ESTALE);
}

struct mica_find {
	struct dir_context ctx;
	u64 ino;
	int len;
	char name[NAME_MAX + 1];
};

static bool compare_number(struct dir_context *ctx, const char *name, int len,
			   loff_t pos, u64 ino, unsigned int type)
{
	struct mica_find *f = container_of(ctx, struct mica_find, ctx);

	if (f->len)
		return false;
	if (ino != f->ino || len > NAME_MAX || (len == 1 && *name == '.'))
		return true;
	memcpy(f->name, name, len);
	f->len = len;
	return false;
}

/* Finds the name of @real in a directory of a branch; f->len is 0 if none. */
static int find_name(const struct mica_branch *b, struct dentry *dir,
		     struct dentry *real, struct mica_find *f)
{
	const struct path path = { .mnt = b->mnt, .dentry = dir };

	f->ctx.actor = compare_number;
	f->ino = d_inode(real)->i_ino;
	return lower_iterate(&path, &f->ctx);
}

/* What the union has where the origin is; it may be something else. */
static struct dentry *look_in_dir(struct super_block *sb,
				  const struct mica_handle *h,
				  struct dentry *real)
{
	struct dentry *real_dir = decode(sb, &h->dir), *dir, *dentry;
	const struct mica_branch *b = mica_branch_of_fs(sb, &h->of.head.uuid);
	struct mica_find *f;
	struct qstr name;
	int err;

	if (IS_ERR(real_dir))
		return real_dir;
	dir = find_dir(sb, real_dir);
	if (IS_ERR(dir)) {
		dput(real_dir);
		return dir;
	}
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	err = f ? find_name(b, real_dir, real, f) : -ENOMEM;
	dentry = ERR_PTR(err ?: -ESTALE);
	if (!err && f->len) {
		name = QSTR(f->name);
		dentry = lookup_one_positive_unlocked(&nop_mnt_idmap, &name, dir);
	}
	kfree(f);
	dput(dir);
	dput(real_dir);
	return dentry;
}

/* An inode of the union as a dentry, which may have no name. */
static struct dentry *alias_of(struct inode *inode)
{
	if (!IS_ERR(inode) && !inode->i_nlink) {
		iput(inode);
		return ERR_PTR(-ESTALE);
	}
	return d_obtain_alias(inode);
}

/* The branch that is not writable of something; which one, may be a guess. */
static struct mica_branch *find_lower_branch(struct super_block *sb,
					     struct dentry *real)
{
	const struct mica_branches *set = mica_branches(sb);
	struct mica_branch *found = NULL;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		struct mica_branch *b = set->branch[i];

		if (!b->rw && b->mnt->mnt_sb == real->d_sb &&
		    (!found || is_in(b, real)))
			found = b;
	}
	return found;
}

static struct mica_branch *find_branch_of_root(struct super_block *sb,
					       const struct mica_origin *root)
{
	const struct mica_branches *set = mica_branches(sb);
	struct mica_origin o;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		mica_encode(set->branch[i], set->branch[i]->mnt->mnt_root, &o);
		if (mica_same_origin(&o, root))
			return set->branch[i];
	}
	return NULL;
}

/* What is in a writable branch, and no copy, is that whatever its name is. */
static struct dentry *find_upper(struct super_block *sb, struct mica_branch *b,
				 struct dentry *real)
{
	struct mica_parts *parts;

	if (!d_inode(real)->i_nlink)
		return ERR_PTR(-ESTALE);
	parts = mica_parts_one(b, dget(real));
	if (!parts)
		return ERR_PTR(-ENOMEM);
	return alias_of(mica_iget(sb, parts,
				  mica_ino(b, d_inode(real)->i_ino)));
}

/* A copy of @real that has moved, or has several names. */
static struct dentry *find_in_index(struct super_block *sb,
				    struct dentry *real)
{
	const struct mica_branches *set = mica_branches(sb);
	const struct mica_part part = {
		.b = set->branch[set->nr - 1], .dentry = real,
	};
	struct mica_branch *from = find_lower_branch(sb, real), *b;
	struct mica_parts *parts;
	struct dentry *copy;
	struct inode *inode;
	int err;

	copy = mica_index_find(mica_branches(sb), &part, &b);
	if (IS_ERR_OR_NULL(copy))
		return copy;
	if (IS_WHITEOUT(d_inode(copy)) || !from) {
		dput(copy);
		return NULL;
	}
	parts = mica_parts_one(b, copy);
	if (!parts)
		return ERR_PTR(-ENOMEM);
	inode = mica_iget_linked(sb, parts,
				 mica_ino(from, d_inode(real)->i_ino));
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	/* A metacopy that has no name here still has its data there. */
	err = mica_adopt_data(inode, from, real);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	return alias_of(inode);
}

/* What was made in the union, and may have been copied since. */
static struct dentry *find_made(struct super_block *sb,
				const struct mica_handle *h,
				struct dentry *real)
{
	struct mica_branch *b = find_branch_of_root(sb, &h->dir);
	struct dentry *dentry;

	if (!b)
		return ERR_PTR(-ESTALE);
	if (b->rw)
		return find_upper(sb, b, real);
	dentry = find_in_index(sb, real);
	if (dentry)
		return dentry;
	/* Where it is can be told only while its name is in memory. */
	return is_in(b, real) ? look_where(sb, b, real) : ERR_PTR(-ESTALE);
}

static struct dentry *find_by_name(struct super_block *sb,
				   const struct mica_handle *h,
				   struct dentry *real)
{
	struct dentry *dentry;

	if (h->of.head.flags & HANDLE_IS_UPPER)
		return find_made(sb, h, real);
	dentry = find_in_index(sb, real);
	if (!dentry)
		dentry = h->dir.size ? look_in_dir(sb, h, real) :
				       ERR_PTR(-ESTALE);
	return dentry;
}

/*
 * What is in memory is known, but to be copied it needs a name as well, if it
 * cannot be written where it is.
 */
static struct dentry *find_file(struct super_block *sb,
				const struct mica_handle *h,
				struct dentry *real)
{
	struct inode *inode = mica_ilookup(sb, d_inode(real));
	struct dentry *dentry;

	if (inode && (mica_is_rw(inode) || !hlist_empty(&inode->i_dentry)))
		return alias_of(inode);
	dentry = find_by_name(sb, h, real);
	if (!inode)
		return dentry;
	if (!IS_ERR(dentry) && d_inode(dentry) == inode) {
		iput(inode);
		return dentry;
	}
	/* That is enough to read it. */
	if (!IS_ERR(dentry))
		dput(dentry);
	return alias_of(inode);
}

static bool has_origin(struct inode *inode, const struct mica_origin *o)
{
	struct mica_origin own;

	get_origin(inode, &own);
	return mica_same_origin(&own, o);
}

static struct dentry *find(struct super_block *sb, const struct mica_handle *h)
{
	struct dentry *real = decode(sb, &h->of), *dentry;

	if (IS_ERR(real))
		return real;
	dentry = d_is_dir(real) ? find_dir(sb, real) : find_file(sb, h, real);
	dput(real);
	if (IS_ERR(dentry) || has_origin(d_inode(dentry), &h->of))
		return dentry;
	dput(dentry);
	return ERR_PTR(-ESTALE);
}

static struct dentry *stale_if_absent(struct dentry *dentry)
{
	return dentry == ERR_PTR(-ENOENT) || dentry == ERR_PTR(-ENOTDIR) ?
	       ERR_PTR(-ESTALE) : dentry;
}

static struct dentry *mica_fh_to_dentry(struct super_block *sb, struct fid *fid,
					int fh_len, int fh_type)
{
	struct mica_look l;
	struct dentry *dentry;
	struct mica_handle h;

	if (fh_type != MICA_FILEID || !unpack(&h, fid->raw, fh_len))
		return NULL;
	WRITE_ONCE(mica_super(sb)->has_handles, true);
	mica_begin_look(d_inode(sb->s_root), &l);
	dentry = find(sb, &h);
	mica_end_look(d_inode(sb->s_root), &l);
	return stale_if_absent(dentry);
}

static struct dentry *mica_fh_to_parent(struct super_block *sb, struct fid *fid,
					int fh_len, int fh_type)
{
	struct dentry *real, *dentry;
	struct mica_look l;
	struct mica_handle h;

	if (fh_type != MICA_FILEID || !unpack(&h, fid->raw, fh_len) ||
	    !h.dir.size || h.of.head.flags & HANDLE_IS_UPPER)
		return NULL;
	mica_begin_look(d_inode(sb->s_root), &l);
	real = decode(sb, &h.dir);
	dentry = real;
	if (!IS_ERR(real)) {
		dentry = find_dir(sb, real);
		dput(real);
	}
	mica_end_look(d_inode(sb->s_root), &l);
	return stale_if_absent(dentry);
}

static struct dentry *mica_get_parent(struct dentry *child)
{
	/* Directories are never without their name. */
	return dget_parent(child);
}

const struct export_operations mica_export_operations = {
	.encode_fh	= mica_encode_fh,
	.fh_to_dentry	= mica_fh_to_dentry,
	.fh_to_parent	= mica_fh_to_parent,
	.get_parent	= mica_get_parent,
};

/**
 * mica_can_export - are there file handles of what is in the branches?
 * @set: the branches, with their file systems numbered
 *
 * Every one has to have handles and be known by its UUID, and one has to be
 * writable: what was copied, and where to, is recorded there.
 */
bool mica_can_export(const struct mica_branches *set)
{
	unsigned int i;
	bool rw = false;

	for (i = 0; i < set->nr; i++) {
		if (!set->branch[i]->uuid_is_good)
			return false;
		rw = rw || set->branch[i]->rw;
	}
	return rw;
}
