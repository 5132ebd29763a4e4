// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inode numbers that last.
 *
 * A number of the union is that of the inode in its branch, with the number of
 * the branch's file system above it. What is copied keeps the number that it
 * had: the copy has overlayfs's xattr with a file handle of what it was copied
 * from, its origin. A directory of a branch in which such copies are is marked,
 * as overlayfs does it, so that nothing is asked of the others.
 */
#include <linux/exportfs.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include "origin.h"

/* Bits of an inode number that tell the file system, above a branch's own. */
#define MICA_INO_FS_SHIFT 56
#define MICA_MAX_FS 256

#define ORIGIN_MAGIC 0xfb
#define ORIGIN_BIG_ENDIAN 1
#define ORIGIN_ANY_ENDIAN 2
#ifdef __BIG_ENDIAN
#define ORIGIN_OTHER_ENDIAN(flags) (!((flags) & 3))
#define ORIGIN_FLAGS ORIGIN_BIG_ENDIAN
#else
#define ORIGIN_OTHER_ENDIAN(flags) (((flags) & 3) == ORIGIN_BIG_ENDIAN)
#define ORIGIN_FLAGS 0
#endif

/**
 * mica_ino - the inode number that the union shows
 * @b: branch of the inode
 * @ino: its number there
 *
 * Return: a number that no inode of another file system of the union has, as
 * long as those file systems keep to 56 bits.
 */
u64 mica_ino(const struct mica_branch *b, u64 ino)
{
	return ino ^ ((u64)b->fs << MICA_INO_FS_SHIFT);
}

/* Is the number of an inode that of its first part? */
bool mica_has_own_number(const struct inode *inode)
{
	const struct mica_part *first = &mica_parts(inode)->part[0];

	return inode->i_ino == mica_ino(first->b,
					d_inode(first->dentry)->i_ino);
}

/* A handle leads to any file, so it takes rights that nobody has in a userns. */
static bool has_handles(const struct mica_branch *b)
{
	const struct export_operations *ops = b->mnt->mnt_sb->s_export_op;

	return ops && ops->fh_to_dentry && !b->userxattr;
}

/* vfat and exfat make handles up each time, and servers of FUSE may. */
bool mica_handles_last(const struct mica_branch *b)
{
	switch (b->mnt->mnt_sb->s_magic) {
	case EXFAT_SUPER_MAGIC:
	case FUSE_SUPER_MAGIC:
	case MSDOS_SUPER_MAGIC:
		return false;
	default:
		return has_handles(b);
	}
}

/* Can a file of a branch be told from all others of the union, also later? */
bool mica_tells_files(const struct mica_branch *b)
{
	return b->uuid_is_good && mica_handles_last(b);
}

/* What a part's own handle is; none is no error. */
void mica_encode(const struct mica_branch *b, struct dentry *dentry,
		 struct mica_origin *o)
{
	const struct super_block *lower = dentry->d_sb;
	int len = ARRAY_SIZE(o->fid), type;

	memset(o, 0, sizeof(*o));
	if (!has_handles(b))
		return;
	type = exportfs_encode_fh(dentry, (struct fid *)o->fid, &len, 0);
	if (type <= 0 || type == FILEID_INVALID || len > ARRAY_SIZE(o->fid))
		return;
	o->size = sizeof(o->head) + len * sizeof(u32);
	o->head.magic = ORIGIN_MAGIC;
	o->head.len = o->size;
	o->head.flags = ORIGIN_FLAGS;
	o->head.type = type;
	o->head.uuid = lower->s_uuid;
}

/*
 * Reads an attribute; what is none that can be used is ignored. Returns its size, or
 * an error, -ENODATA if there is none.
 */
static int read_handle(const struct mica_branch *b, struct dentry *dentry,
		       const char *mark, struct mica_origin *o)
{
	u8 value[U8_MAX];
	int size;

	o->size = 0;
	if (b->userxattr)
		return -ENODATA;
	size = lower_get_mark(b, dentry, mark, value, sizeof(value));
	if (size == -EOPNOTSUPP)
		return -ENODATA;
	if (size <= (int)sizeof(o->head))
		return size;
	memcpy(&o->head, value, sizeof(o->head));
	if (o->head.version || o->head.magic != ORIGIN_MAGIC ||
	    o->head.len != size || ORIGIN_OTHER_ENDIAN(o->head.flags) ||
	    size - sizeof(o->head) > sizeof(o->fid))
		return size;
	memset(o->fid, 0, sizeof(o->fid));
	memcpy(o->fid, value + sizeof(o->head), size - sizeof(o->head));
	o->size = size;
	return size;
}

static int write_handle(const struct mica_branch *b, struct dentry *dentry,
			const char *mark, const struct mica_origin *o)
{
	u8 value[U8_MAX];
	int err;

	memcpy(value, &o->head, sizeof(o->head));
	if (o->size)
		memcpy(value + sizeof(o->head), o->fid, o->size - sizeof(o->head));
	err = lower_set_mark(b, dentry, mark, value, o->size);
	return err == -EOPNOTSUPP ? 0 : err;
}

void mica_read_origin(const struct mica_branch *b, struct dentry *dentry,
		      struct mica_origin *o)
{
	read_handle(b, dentry, "origin", o);
}

/**
 * mica_get_origin - what something was first copied from
 * @part: where it is
 * @o: out: its origin, or itself if it has none; or nothing, @o->size is 0
 */
void mica_get_origin(const struct mica_part *part, struct mica_origin *o)
{
	const struct mica_branch *b = part->b;

	mica_read_origin(b, part->dentry, o);
	if (!o->size)
		mica_encode(b, part->dentry, o);
}

bool mica_same_origin(const struct mica_origin *a, const struct mica_origin *b)
{
	return a->size && a->size == b->size &&
	       a->head.type == b->head.type &&
	       uuid_equal(&a->head.uuid, &b->head.uuid) &&
	       !memcmp(a->fid, b->fid, a->size - sizeof(a->head));
}

static int accept_any(void *context, struct dentry *dentry)
{
	return 1;
}

static dev_t dev_of(struct vfsmount *mnt, struct dentry *dentry)
{
	const struct path path = { .mnt = mnt, .dentry = dentry };
	struct kstat stat;

	return vfs_getattr_nosec(&path, &stat, STATX_INO,
				 AT_STATX_DONT_SYNC) ? 0 : stat.dev;
}

/* The branch with the file system that a handle is of, or NULL. */
struct mica_branch *mica_branch_of_fs(const struct super_block *sb,
				      const uuid_t *uuid)
{
	const struct mica_branches *set = mica_branches(sb);
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->branch[i]->uuid_is_good &&
		    uuid_equal(&set->branch[i]->mnt->mnt_sb->s_uuid, uuid))
			return set->branch[i];
	return NULL;
}

/* The file systems of a btrfs share a superblock, but each numbers anew. */
static const struct mica_branch *branch_of_dev(const struct super_block *sb,
					       const struct mica_branch *b,
					       dev_t dev)
{
	const struct mica_branches *set = mica_branches(sb);
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->branch[i]->mnt->mnt_sb == b->mnt->mnt_sb &&
		    set->branch[i]->dev == dev)
			return set->branch[i];
	return b;
}

/* The number of a file's origin; false if that is not there any more. */
static bool number_of_file(const struct super_block *sb,
			   const struct mica_origin *o, u64 *ino)
{
	const struct mica_branch *b = mica_branch_of_fs(sb, &o->head.uuid);
	struct dentry *dentry;

	if (!b)
		return false;
	dentry = exportfs_decode_fh(b->mnt, (struct fid *)o->fid,
				    (o->size - sizeof(o->head)) / sizeof(u32),
				    o->head.type, accept_any, NULL);
	if (IS_ERR_OR_NULL(dentry))
		return false;
	b = branch_of_dev(sb, b, dev_of(b->mnt, dentry));
	*ino = mica_ino(b, d_inode(dentry)->i_ino);
	dput(dentry);
	return true;
}

/* A directory's origin is a part of it, which saves finding it by its handle. */
static bool number_of_dir(const struct super_block *sb,
			  const struct mica_parts *parts,
			  const struct mica_origin *o, u64 *ino)
{
	struct mica_origin own;
	unsigned int i;

	for (i = parts->nr; i--;) {
		const struct mica_part *part = &parts->part[i];

		mica_encode(part->b, part->dentry, &own);
		if (mica_same_origin(&own, o)) {
			*ino = mica_ino(part->b, d_inode(part->dentry)->i_ino);
			return true;
		}
	}
	return false;
}

/* May this part of a directory have copies in it? */
static bool is_impure(const struct mica_branch *b, struct mica_part *dir)
{
	char value;
	int len;

	if (READ_ONCE(dir->purity) == MICA_PURITY_UNKNOWN) {
		len = lower_get_mark(b, dir->dentry, "impure", &value, 1);
		WRITE_ONCE(dir->purity, len == 1 && value == 'y' ?
			   MICA_IMPURE : MICA_PURE);
	}
	return READ_ONCE(dir->purity) == MICA_IMPURE;
}

static struct mica_part *find_part(struct inode *dir, const struct mica_branch *b)
{
	struct mica_parts *parts = mica_i(dir)->parts;
	unsigned int i;

	for (i = 0; i < parts->nr; i++)
		if (parts->part[i].b == b)
			return &parts->part[i];
	return NULL;
}

/**
 * mica_is_impure - may names in a directory show another number than their own?
 * @dir: the directory
 * @b: the branch they are in
 *
 * The caller has the mounter's credentials.
 */
bool mica_is_impure(struct inode *dir, const struct mica_branch *b)
{
	struct mica_part *part = find_part(dir, b);

	return part && is_impure(b, part);
}

/**
 * mica_mark_impure - a name in a directory will show another number
 * @dir: the directory
 * @b: the branch that the name is in
 *
 * Where that cannot be recorded, it is known as long as @dir is in memory. The
 * caller has the mounter's credentials and mnt_want_write().
 *
 * Return: 0 or an error.
 */
int mica_mark_impure(struct inode *dir, const struct mica_branch *b)
{
	struct mica_part *part = find_part(dir, b);
	int err;

	if (!part || is_impure(b, part))
		return 0;
	/* Without origins there is nothing to record. */
	err = b->userxattr ? 0 :
	      lower_set_mark(b, part->dentry, "impure", "y", 1);
	if (err && err != -EOPNOTSUPP)
		return err;
	spin_lock(&dir->i_lock);
	find_part(dir, b)->purity = MICA_IMPURE;
	spin_unlock(&dir->i_lock);
	return 0;
}

/* The number of what a part was made of, if that is recorded. */
static bool recorded_number(struct inode *dir, const struct mica_parts *parts,
			    const struct mica_part *part, u64 *ino)
{
	struct mica_part *in = find_part(dir, part->b);
	struct super_block *sb = dir->i_sb;
	struct mica_origin o;

	/* A redirect leads to another directory, which may be impure. */
	if (in && in->dentry == READ_ONCE(part->dentry->d_parent) &&
	    !is_impure(part->b, in))
		return false;
	mica_read_origin(part->b, part->dentry, &o);
	if (!o.size)
		return false;
	return d_is_dir(part->dentry) ? number_of_dir(sb, parts, &o, ino) :
					number_of_file(sb, &o, ino);
}

/**
 * mica_number - the inode number of what was found
 * @dir: directory that it was found in
 * @parts: where it is
 *
 * The number of its origin, if that is known. Else that of the file, or of the
 * rightmost part of a directory, but one that was added to it later has the
 * number that it had before. The caller has the mounter's credentials.
 */
u64 mica_number(struct inode *dir, const struct mica_parts *parts)
{
	const struct mica_part *first = &parts->part[0], *part = first;
	u64 ino;

	if (recorded_number(dir, parts, first, &ino))
		return ino;
	if (d_is_dir(first->dentry))
		part = &parts->part[parts->nr - 1];
	if (part != first && recorded_number(dir, parts, part, &ino))
		return ino;
	return mica_ino(part->b, d_inode(part->dentry)->i_ino);
}

/**
 * mica_record_origin - let a copy keep the number of what it is made of
 * @inode: what is copied
 * @b: the branch of the copy
 * @copy: the copy, before it has its name
 *
 * Names of a file that do not stay together are files of their own from then on,
 * so each has its own number. The caller has the mounter's credentials and
 * mnt_want_write().
 *
 * Return: 0 or an error.
 */
int mica_record_origin(struct inode *inode, const struct mica_branch *b,
		       struct dentry *copy)
{
	const struct mica_parts *parts = mica_parts(inode);
	const struct mica_part *part = &parts->part[0];
	struct super_block *sb = inode->i_sb;
	struct mica_origin o;

	if (!S_ISDIR(inode->i_mode) && d_inode(part->dentry)->i_nlink > 1 &&
	    !mica_links_stay(sb, part))
		return 0;
	/* A copy of a copy has the same origin. */
	mica_read_origin(part->b, part->dentry, &o);
	if (!o.size) {
		part = &parts->part[parts->nr - 1];
		mica_get_origin(part, &o);
	}
	if (!o.size || !mica_branch_of_fs(sb, &o.head.uuid))
		return 0;
	return write_handle(b, copy, "origin", &o);
}

/*
 * A metacopy has that, too, if the file with its data is not what it was made of; with
 * no handle if that cannot be told from others.
 */
#define DATA "mica.data"

/**
 * mica_record_data - note which file has the data of a metacopy
 * @data: where that is
 * @b: the branch of the metacopy
 * @copy: the metacopy, with its origin, before it has its name
 *
 * Return: 0 or an error.
 */
int mica_record_data(const struct mica_part *data, const struct mica_branch *b,
		     struct dentry *copy)
{
	struct mica_origin own = {}, noted;

	if (mica_tells_files(data->b))
		mica_encode(data->b, data->dentry, &own);
	mica_read_origin(b, copy, &noted);
	if (mica_same_origin(&own, &noted) || own.size + noted.size == 0)
		return 0;
	return write_handle(b, copy, DATA, &own);
}

/**
 * mica_read_data - which file has the data of a metacopy?
 * @b: the branch of the metacopy
 * @meta: the metacopy
 * @o: out: the file; @o->size is 0 if that is not known
 *
 * Return: 0 or an error.
 */
int mica_read_data(const struct mica_branch *b, struct dentry *meta,
		   struct mica_origin *o)
{
	int ret = read_handle(b, meta, DATA, o);

	if (ret == -ENODATA)
		ret = read_handle(b, meta, "origin", o);
	return ret == -ENODATA ? 0 : min(ret, 0);
}

/**
 * mica_leads_to - is this the file that has the data, or another metacopy of it?
 * @b: its branch
 * @dentry: the file
 * @is_meta: it is a metacopy
 * @data: what mica_read_data() found
 */
bool mica_leads_to(const struct mica_branch *b, struct dentry *dentry, bool is_meta,
		   const struct mica_origin *data)
{
	struct mica_origin o;

	if (mica_tells_files(b)) {
		mica_encode(b, dentry, &o);
		if (mica_same_origin(&o, data))
			return true;
	}
	return is_meta && !mica_read_data(b, dentry, &o) &&
	       mica_same_origin(&o, data);
}

/*
 * What tells a file system from others over mounts: its UUID, and of a
 * subvolume what else statfs() gives.
 */
static bool key_of_fs(const struct mica_branch *b, uuid_t *key)
{
	const struct path root = {
		.mnt = b->mnt,
		.dentry = b->mnt->mnt_root,
	};
	const struct super_block *lower = b->mnt->mnt_sb;
	struct kstatfs st;

	if (!b->uuid_is_good)
		return false;
	*key = lower->s_uuid;
	if (b->dev == lower->s_dev)
		return true;
	if (vfs_statfs(&root, &st))
		return false;
	((__force u32 *)key->b)[2] ^= st.f_fsid.val[0];
	((__force u32 *)key->b)[3] ^= st.f_fsid.val[1];
	return true;
}

/* An UUID is good if no other file system of the union has it too. */
static bool uuid_is_good(const struct mica_branches *set,
			 const struct mica_branch *b)
{
	const struct super_block *lower = b->mnt->mnt_sb;
	unsigned int i;

	if (!has_handles(b))
		return false;
	for (i = 0; i < set->nr; i++) {
		const struct super_block *other = set->branch[i]->mnt->mnt_sb;

		if (other != lower && uuid_equal(&other->s_uuid,
						 &lower->s_uuid))
			return false;
	}
	return true;
}

static int find_key(const uuid_t *table, unsigned int nr, const uuid_t *key)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (uuid_equal(&table[i], key))
			return i;
	return -1;
}

/* The numbers that an earlier union gave, of the leftmost branch that knows. */
static unsigned int read_table(const struct mica_branches *set, uuid_t *table)
{
	unsigned int i;
	int size = 0;

	for (i = 0; i < set->nr && size <= 0; i++) {
		const struct mica_branch *b = set->branch[i];

		if (b->userxattr)
			continue;
		size = lower_get_mark(b, b->mnt->mnt_root, "mica.filesystems",
				      table, MICA_MAX_FS * sizeof(*table));
	}
	return max(size, 0) / sizeof(*table);
}

static void write_table(const struct mica_branches *set, const uuid_t *table,
			unsigned int nr)
{
	size_t size = nr * sizeof(*table);
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		const struct mica_branch *b = set->branch[i];

		if (!b->rw || mnt_want_write(b->mnt))
			continue;
		/* Where it finds no place, numbers last until the unmount. */
		lower_set_mark(b, b->mnt->mnt_root, "mica.filesystems", table,
			       size);
		mnt_drop_write(b->mnt);
	}
}

/* Is it the file system of a branch to the left? */
/* One on the same file system that has its number, or NULL. */
static const struct mica_branch *
same_fs(const struct mica_branches *set, const struct mica_branch *b)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		const struct mica_branch *other = set->branch[i];

		if (other->numbered && other->mnt->mnt_sb == b->mnt->mnt_sb &&
		    other->dev == b->dev)
			return other;
	}
	return NULL;
}

/*
 * Puts those that have a number into the table. Returns the number of the last
 * from the end.
 */
static unsigned int add_numbered(const struct mica_branches *set, uuid_t *table,
				 unsigned int *nr)
{
	unsigned int i, last = MICA_MAX_FS;
	uuid_t key;

	for (i = 0; i < set->nr; i++) {
		const struct mica_branch *b = set->branch[i];

		if (!b->numbered)
			continue;
		if (!key_of_fs(b, &key)) {
			last = min(last, b->fs);
			continue;
		}
		table[b->fs] = key;
		*nr = max(*nr, b->fs + 1);
	}
	return last;
}

/**
 * mica_number_filesystems - give numbers to the file systems of the branches
 * @set: the branches
 *
 * Those that have one keep it. A file system that can be told from others again
 * keeps its number, which is recorded in the writable branches. The others get
 * numbers from the other end.
 * The caller has the mounter's credentials.
 *
 * Return: 0 or -ENOMEM.
 */
int mica_number_filesystems(struct mica_branches *set)
{
	unsigned int i, nr, known, last;
	const struct mica_branch *same;
	uuid_t *table, key;
	int at;

	table = kvcalloc(MICA_MAX_FS, sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	known = read_table(set, table);
	nr = known;
	last = add_numbered(set, table, &nr);
	for (i = 0; i < set->nr; i++) {
		struct mica_branch *b = set->branch[i];

		if (b->numbered)
			continue;
		b->dev = dev_of(b->mnt, b->mnt->mnt_root);
		b->uuid_is_good = uuid_is_good(set, b);
		same = same_fs(set, b);
		b->numbered = true;
		if (same) {
			b->fs = same->fs;
			continue;
		}
		if (!key_of_fs(b, &key) || nr == last) {
			/* With more than there are numbers, some are shared. */
			last = last > nr ? last - 1 : MICA_MAX_FS - 1;
			b->fs = last;
			continue;
		}
		at = find_key(table, nr, &key);
		if (at < 0) {
			at = nr++;
			table[at] = key;
		}
		b->fs = at;
	}
	if (nr > known)
		write_table(set, table, nr);
	kvfree(table);
	return 0;
}
