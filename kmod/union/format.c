// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two on-disk forms of whiteouts and opaque directories.
 *
 * dot: a regular file .wh.NAME hides NAME in the branches to the right, and
 *	.wh..wh..opq in a directory hides what is to the right of it. An entry
 *	of the same branch is not hidden; a directory beside its own whiteout
 *	is opaque.
 * overlay: a character device 0:0 called NAME, or an empty file of that name
 *	with the xattr trusted.overlay.whiteout; trusted.overlay.opaque = "y".
 *	In a user namespace the xattrs are user.overlay.*.
 *
 * Both are read, as far as a branch allows; one of them is written.
 */
#include <linux/log2.h>
#include <linux/mount.h>
#include <linux/once.h>
#include <linux/siphash.h>
#include "origin.h"

#define DOT_PREFIX	".wh."
#define DOT_PREFIX_LEN	4
#define DOT_META	".wh..wh."
#define DOT_META_LEN	8

static const struct qstr dot_opaque = QSTR_INIT(".wh..wh..opq", 12);
static const struct qstr dot_opaque_old = QSTR_INIT(".wh.__dir_opaque", 16);

static bool is_name(const struct qstr *q, const char *name, int len)
{
	return q->len == len && !memcmp(q->name, name, len);
}

/**
 * mica_dot_whiteout_name - is this the name of a whiteout in dot form?
 * @name: the name
 * @len: its length
 *
 * Return: whether it hides another name. The other names with the prefix are
 * reserved and hide nothing.
 */
bool mica_dot_whiteout_name(const char *name, int len)
{
	if (len <= DOT_PREFIX_LEN || memcmp(name, DOT_PREFIX, DOT_PREFIX_LEN))
		return false;
	if (len >= DOT_META_LEN && !memcmp(name, DOT_META, DOT_META_LEN))
		return false;
	if (is_name(&dot_opaque_old, name, len))
		return false;
	name += DOT_PREFIX_LEN;
	len -= DOT_PREFIX_LEN;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/**
 * mica_name_reserved - does this name mean something to the union itself?
 * @sb: the union
 * @name: the name
 *
 * Return: whether it is never shown and cannot be made.
 */
bool mica_name_reserved(const struct super_block *sb, const struct qstr *name)
{
	return (mica_branches(sb)->read & MICA_FORM_DOT) &&
	       name->len >= DOT_PREFIX_LEN &&
	       !memcmp(name->name, DOT_PREFIX, DOT_PREFIX_LEN);
}

/*
 * Composes the whiteout of @name in @buf; false if there is none in this form:
 * it would be too long, or means something else.
 */
static bool dot_name(struct qstr *wh, char *buf, const struct qstr *name)
{
	if (name->len + DOT_PREFIX_LEN > NAME_MAX)
		return false;
	memcpy(buf, DOT_PREFIX, DOT_PREFIX_LEN);
	memcpy(buf + DOT_PREFIX_LEN, name->name, name->len);
	buf[DOT_PREFIX_LEN + name->len] = 0;
	*wh = (struct qstr)QSTR_INIT(buf, name->len + DOT_PREFIX_LEN);
	return mica_dot_whiteout_name(buf, wh->len);
}

/* Is there a regular file of that name? Others mean nothing. */
static int has_file(const struct mica_branch *b, struct dentry *dir,
		    const struct qstr *name)
{
	struct dentry *dentry = lower_lookup(b, dir, name);
	int ret;

	if (IS_ERR_OR_NULL(dentry))
		return PTR_ERR_OR_ZERO(dentry);
	ret = d_is_reg(dentry);
	dput(dentry);
	return ret;
}

/* The value's length, 0 if there is none, or an error that matters. */
static int overlay_xattr(const struct mica_branch *b, struct dentry *dentry,
			 const char *name, char *value, size_t size)
{
	int ret = lower_get_mark(b, dentry, name, value, size);

	return ret == -ENODATA || ret == -EOPNOTSUPP ? 0 : ret;
}

/**
 * mica_is_whiteout - is this entry of a branch itself a whiteout?
 * @b: the branch
 * @dentry: the entry
 *
 * Return: 1, 0 or an error.
 */
int mica_is_whiteout(const struct mica_branch *b, struct dentry *dentry)
{
	const struct inode *inode = d_inode(dentry);
	int ret;

	if (!(b->read & MICA_FORM_OVERLAY))
		return 0;
	if (IS_WHITEOUT(inode))
		return 1;
	if (!S_ISREG(inode->i_mode) || i_size_read(inode))
		return 0;
	ret = lower_get_mark(b, dentry, "whiteout", NULL, 0);
	if (ret == -ENODATA || ret == -EOPNOTSUPP)
		return 0;
	return ret < 0 ? ret : 1;
}

/**
 * mica_hides - does a file beside it hide this name to the right?
 * @b: the branch
 * @dir: directory in it
 * @name: the name
 *
 * Return: 1, 0 or an error.
 */
int mica_hides(const struct mica_branch *b, struct dentry *dir,
	       const struct qstr *name)
{
	char buf[NAME_MAX + 1];
	struct qstr wh;

	if (!(b->read & MICA_FORM_DOT) || !dot_name(&wh, buf, name))
		return 0;
	return has_file(b, dir, &wh);
}

struct mica_dots_scan {
	struct dir_context ctx;
	unsigned int left;
	bool found;
};

static bool find_dots(struct dir_context *ctx, const char *name, int len,
		      loff_t pos, u64 ino, unsigned int type)
{
	struct mica_dots_scan *s = container_of(ctx, struct mica_dots_scan,
						ctx);

	if (s->found || !s->left)
		return false;
	s->left--;
	s->found = mica_dot_whiteout_name(name, len) ||
		   is_name(&dot_opaque, name, len) ||
		   is_name(&dot_opaque_old, name, len);
	return true;
}

/*
 * Returns 1 if a directory has no files that hide anything, 0 if it has, or -E2BIG
 * if it has too many names to tell.
 */
static int scan_for_dots(const struct mica_part *dir, unsigned int max)
{
	const struct path path = { .mnt = dir->b->mnt, .dentry = dir->dentry };
	struct mica_dots_scan s = { .ctx.actor = find_dots, .left = max };

	if (lower_iterate(&path, &s.ctx) || s.found)
		return 0;
	return s.left ? 1 : -E2BIG;
}

/*
 * Where a branch remembers a directory as plain, and the hash that it is known by
 * as long as it does not change; NULL if it has no handle, or may have to be copied
 * for one.
 */
static u64 *memory_of(const struct mica_part *dir, unsigned int modes, u64 *hash)
{
	const struct timespec64 ctime = inode_get_ctime(d_inode(dir->dentry));
	static siphash_key_t key;
	struct mica_origin o;

	if (dir->dentry->d_sb->s_stack_depth || !mica_handles_last(dir->b))
		return NULL;
	mica_encode(dir->b, dir->dentry, &o);
	if (!o.size)
		return NULL;
	get_random_once(&key, sizeof(key));
	*hash = siphash_3u64(siphash(o.fid, o.size - sizeof(o.head), &key),
			     ctime.tv_sec, (u64)modes << 32 | ctime.tv_nsec,
			     &key);
	return &dir->b->plain[*hash % MICA_NR_PLAIN];
}

/* The first to ask asks the branch; some later ones read the directory. */
static int find_out_if_plain(const struct mica_part *dir, unsigned int modes,
			     unsigned int looks)
{
	u64 hash, *memory;
	int plain;

	if (looks > 1 && (looks < 8 || !is_power_of_2(looks)))
		return -E2BIG;
	memory = memory_of(dir, modes, &hash);
	if (looks == 1)
		return memory && READ_ONCE(*memory) == hash ? 1 : -E2BIG;
	plain = scan_for_dots(dir, 4 * looks);
	if (plain > 0 && memory)
		WRITE_ONCE(*memory, hash);
	return plain;
}

/*
 * Most directories have no files that hide anything, and to look for one beside
 * each name costs as much as to look for the name. So after some looks a few names
 * for each of them are read. What comes of it is good as long as the branch does not
 * change, so it is not done in one that is writable. The branch remembers some of
 * its directories, for when they come into memory again.
 */
static bool is_plain(struct mica_part *dir)
{
	unsigned int modes = READ_ONCE(dir->b->modes), looks;
	int plain;

	if (READ_ONCE(dir->plain) == modes)
		return true;
	looks = READ_ONCE(dir->looks);
	if (looks == UINT_MAX)
		return false;
	WRITE_ONCE(dir->looks, ++looks);
	plain = find_out_if_plain(dir, modes, looks);
	if (plain > 0)
		WRITE_ONCE(dir->plain, modes);
	else if (!plain)
		WRITE_ONCE(dir->looks, UINT_MAX);
	return plain > 0;
}

/* Can there be files in it that hide something? */
static bool may_have_dots(const struct mica_part *dir)
{
	if (!(dir->b->read & MICA_FORM_DOT))
		return false;
	/* What is found out is no change of the part. */
	return smp_load_acquire(&dir->b->rw) || !is_plain((struct mica_part *)dir);
}

/**
 * mica_part_hides - does a file in a part of a directory hide this name?
 * @dir: the part
 * @name: the name
 *
 * Return: 1, 0 or an error.
 */
int mica_part_hides(const struct mica_part *dir, const struct qstr *name)
{
	return may_have_dots(dir) ? mica_hides(dir->b, dir->dentry, name) : 0;
}

/**
 * mica_is_opaque - does this part of a directory hide what is to the right of it?
 * @dir: the part
 *
 * Return: 1, 0 or an error.
 */
int mica_is_opaque(const struct mica_part *dir)
{
	const struct mica_branch *b = dir->b;
	char value;
	int ret = 0;

	if (may_have_dots(dir))
		ret = has_file(b, dir->dentry, &dot_opaque) ?:
		      has_file(b, dir->dentry, &dot_opaque_old);
	if (!ret && (b->read & MICA_FORM_OVERLAY)) {
		ret = overlay_xattr(b, dir->dentry, "opaque", &value, 1);
		if (ret == -ERANGE)
			ret = 0;
		else if (ret > 0)
			ret = value == 'y';
	}
	return ret;
}

/* The attribute's value as a string, NULL if there is none, or an error. */
static char *overlay_string(const struct mica_branch *b, struct dentry *dentry,
			    const char *name)
{
	char *value;
	int len;

	len = overlay_xattr(b, dentry, name, NULL, 0);
	if (len <= 0)
		return ERR_PTR(len);
	value = kzalloc(len + 1, GFP_KERNEL);
	if (!value)
		return ERR_PTR(-ENOMEM);
	len = overlay_xattr(b, dentry, name, value, len);
	if (len <= 0) {
		kfree(value);
		return ERR_PTR(len);
	}
	return value;
}

/* Whether a name of a redirect leads down, and not into what is the union's. */
static bool is_plain_name(const struct mica_branch *b, const char *name,
			  size_t len)
{
	if (!len || len > NAME_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !(b->read & MICA_FORM_DOT) || len < DOT_PREFIX_LEN ||
	       memcmp(name, DOT_PREFIX, DOT_PREFIX_LEN);
}

static bool redirect_is_sane(const struct mica_branch *b, const char *path)
{
	size_t len;

	if (*path != '/')
		return !strchr(path, '/') &&
		       is_plain_name(b, path, strlen(path));
	do {
		path++;
		len = strchrnul(path, '/') - path;
		if (!is_plain_name(b, path, len))
			return false;
		path += len;
	} while (*path);
	return true;
}

/*
 * In a user namespace anybody may have said that, to see with the mounter's
 * rights what is there; and where a layer is missing it may lead to what is
 * another's. To ignore it would be to show another tree.
 */
static int check_followed(const struct mica_branch *b, bool incomplete,
			  struct dentry *dentry, const char *what)
{
	if (!b->userxattr && !incomplete)
		return 0;
	pr_warn_ratelimited("%pd2 in %s: no %s is followed %s\n", dentry, b->name,
			    what, b->userxattr ? "in a user namespace" :
			    "without the layers that it needs");
	return -EIO;
}

static char *get_redirect(const struct mica_branch *b, bool incomplete,
			  struct dentry *dir)
{
	char *path;
	int err;

	/* Both forms have it. */
	path = overlay_string(b, dir, "redirect");
	if (IS_ERR_OR_NULL(path))
		return path;
	err = check_followed(b, incomplete, dir, "redirect");
	if (!err && redirect_is_sane(b, path))
		return path;
	if (!err)
		pr_warn_ratelimited("%pd2 in %s has a redirect to '%s', which is none\n",
				    dir, b->name, path);
	kfree(path);
	return ERR_PTR(-EIO);
}

/**
 * mica_redirect - under which other name does something go on to the right?
 * @b: the branch
 * @dir: directory in it, or file whose data is elsewhere
 *
 * Return: a name in the same directory, or a path from the root, to be freed;
 * NULL if it is its own name; -EIO if it is no path that a union would have
 * written, or is not to be followed, or another error.
 */
char *mica_redirect(const struct mica_branch *b, struct dentry *dir)
{
	return get_redirect(b, b->incomplete, dir);
}

/* The same, with branches that the union may not have yet. */
char *mica_redirect_in(const struct mica_branches *set,
		       const struct mica_branch *b, struct dentry *dir)
{
	return get_redirect(b, mica_is_incomplete(set, b), dir);
}

/* Puts "/@name" before what is in @path from *@pos on. */
static int prepend(char *path, int *pos, const char *name)
{
	int len = strlen(name);

	if (*pos < len + 1)
		return -ENAMETOOLONG;
	*pos -= len;
	memcpy(path + *pos, name, len);
	path[--*pos] = '/';
	return 0;
}

/*
 * Puts before @path from *@pos on where something goes on to the right of its
 * branch: its redirect, or else @name. Returns 1 once it is a whole path.
 */
static int prepend_step(const struct mica_branch *b, struct dentry *dentry,
			char *path, int *pos, const char *name)
{
	char *redirect = mica_redirect(b, dentry);
	int ret;

	if (IS_ERR(redirect))
		return PTR_ERR(redirect);
	if (!redirect)
		return prepend(path, pos, name);
	ret = *redirect == '/';
	ret = prepend(path, pos, redirect + ret) ?: ret;
	kfree(redirect);
	return ret;
}

/*
 * Composes where @dentry, called @name in @parent, goes on to the right of its
 * branch, in the end of @path; returns where that begins. Above a redirect from
 * the root, names do not matter.
 */
static int path_to_the_right(const struct mica_branch *b, struct dentry *dentry,
			     struct dentry *parent, const char *name,
			     char *path)
{
	struct dentry *dir = dget(parent), *above;
	struct name_snapshot own;
	int pos = PATH_MAX - 1;
	int ret;

	path[pos] = 0;
	ret = prepend_step(b, dentry, path, &pos, name);
	while (!ret && dir != b->mnt->mnt_root) {
		take_dentry_name_snapshot(&own, dir);
		ret = prepend_step(b, dir, path, &pos, own.name.name);
		release_dentry_name_snapshot(&own);
		above = dget_parent(dir);
		dput(dir);
		dir = above;
	}
	dput(dir);
	return ret < 0 ? ret : pos;
}

/**
 * mica_set_redirect - let something keep what is to the right of it
 * @b: the branch
 * @dentry: a directory, or a file whose data is elsewhere, in the branch
 * @parent: its directory there
 * @name: its name in that
 *
 * It is about to get another name. No directory above it may be renamed at the
 * same time.
 *
 * Return: 0 or an error.
 */
int mica_set_redirect(const struct mica_branch *b, struct dentry *dentry,
		      struct dentry *parent, const struct qstr *name)
{
	char *path;
	int ret;

	path = mica_redirect(b, dentry);
	if (IS_ERR(path))
		return PTR_ERR(path);
	ret = path && *path == '/';
	kfree(path);
	if (ret)
		return 0;

	path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	ret = path_to_the_right(b, dentry, parent, name->name, path);
	if (ret >= 0)
		ret = lower_set_mark(b, dentry, "redirect", path + ret,
				     PATH_MAX - 1 - ret);
	kfree(path);
	return ret;
}

/* What overlayfs says of a metacopy; a digest of the data may follow. */
#define METACOPY_HEAD 4

/**
 * mica_is_metacopy_on_disk - is the data of a file in a layer to the right?
 * @b: the branch
 * @dentry: the file
 *
 * Return: 1, 0, -EIO if the data has to be verified or the mark is not to be
 * followed, or another error.
 */
int mica_is_metacopy_on_disk(const struct mica_branch *b, struct dentry *dentry)
{
	int ret = lower_get_mark(b, dentry, "metacopy", NULL, 0);

	if (ret == -ENODATA || ret == -EOPNOTSUPP)
		return 0;
	if (ret < 0)
		return ret;
	if (!ret || ret == METACOPY_HEAD)
		return check_followed(b, b->incomplete, dentry, "metacopy") ?: 1;
	pr_warn_ratelimited("%pd2 in %s: fs-verity of a metacopy is not supported\n",
			    dentry, b->name);
	return -EIO;
}

/**
 * mica_unhide - remove the dot whiteout of a name, if there is one
 * @b: the branch
 * @dir: directory in it
 * @name: the name
 *
 * Return: 0 or an error.
 */
int mica_unhide(const struct mica_branch *b, struct dentry *dir,
		const struct qstr *name)
{
	char buf[NAME_MAX + 1];
	struct qstr wh;
	int err;

	/* Where that form is not read, such a name is the user's. */
	if (!(b->read & MICA_FORM_DOT) || !dot_name(&wh, buf, name))
		return 0;
	err = lower_remove(b, dir, &wh, NULL);
	return err == -ENOENT ? 0 : err;
}

/* Returns 1 if it is made, 0 if it is there, -EEXIST if something else is. */
static int make_file(const struct mica_branch *b, struct dentry *dir,
		     const struct qstr *name)
{
	struct dentry *dentry = lower_create(b, dir, name, S_IFREG | 0444, 0,
					     NULL);
	int ret;

	if (dentry == ERR_PTR(-EEXIST)) {
		ret = has_file(b, dir, name);
		return ret > 0 ? 0 : ret ?: -EEXIST;
	}
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	dput(dentry);
	return 1;
}

static int overlay_whiteout(const struct mica_branch *b, struct dentry *dir,
			    const struct qstr *name)
{
	struct dentry *dentry = lower_create(b, dir, name,
					     S_IFCHR | WHITEOUT_MODE,
					     WHITEOUT_DEV, NULL);

	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	dput(dentry);
	return 0;
}

static int overlay_vacate(const struct mica_branch *b, struct dentry *dir,
			  const struct qstr *name, unsigned int *flags)
{
	*flags |= RENAME_WHITEOUT;
	return 0;
}

static int overlay_set_opaque(const struct mica_branch *b, struct dentry *dir)
{
	return lower_set_mark(b, dir, "opaque", "y", 1);
}

/* What has no name in the dot form, or not a free one, gets the other form. */
static int dot_whiteout(const struct mica_branch *b, struct dentry *dir,
			const struct qstr *name)
{
	char buf[NAME_MAX + 1];
	struct qstr wh;
	int ret = -EEXIST;

	if (dot_name(&wh, buf, name))
		ret = make_file(b, dir, &wh);
	return ret == -EEXIST ? overlay_whiteout(b, dir, name) : min(ret, 0);
}

static int dot_vacate(const struct mica_branch *b, struct dentry *dir,
		      const struct qstr *name, unsigned int *flags)
{
	char buf[NAME_MAX + 1];
	struct qstr wh;
	int ret = -EEXIST;

	if (dot_name(&wh, buf, name))
		ret = make_file(b, dir, &wh);
	return ret == -EEXIST ? overlay_vacate(b, dir, name, flags) : ret;
}

static int dot_set_opaque(const struct mica_branch *b, struct dentry *dir)
{
	int ret = make_file(b, dir, &dot_opaque);

	return ret == -EEXIST ? overlay_set_opaque(b, dir) : min(ret, 0);
}

static const struct layer_format formats[] = {
	{
		.name		= "dot",
		.form		= MICA_FORM_DOT,
		.whiteout	= dot_whiteout,
		.vacate		= dot_vacate,
		.set_opaque	= dot_set_opaque,
	}, {
		.name		= "overlay",
		.form		= MICA_FORM_OVERLAY,
		.whiteout	= overlay_whiteout,
		.vacate		= overlay_vacate,
		.set_opaque	= overlay_set_opaque,
	},
};

const struct layer_format *mica_format_by_name(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

const struct layer_format *mica_format_by_form(unsigned int form)
{
	return &formats[form == MICA_FORM_OVERLAY];
}
