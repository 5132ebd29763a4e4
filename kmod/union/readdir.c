// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading directories. At the first read after open or rewind the names of all
 * parts are put together; what is given to the caller comes from that list, so
 * no lock of a branch is held while memory of the caller is touched, and a
 * position is an index that stays good.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include "union.h"

struct mica_name {
	struct rb_node node;
	u64 ino;
	unsigned int part;	/* where it was seen first */
	unsigned int type;
	bool whiteout;
	bool ask;		/* its number is not @ino, or may not be */
	unsigned int len;
	char name[];
};

/**
 * struct mica_list - the names of a directory
 * @root: all names, those that a whiteout hides too
 * @one: they are of one part alone, all different, and in @shown only
 * @shown: those that are shown, in order
 * @nr: how many
 * @room: for how many there is room in @shown
 * @version: of the directory when they were read
 */
struct mica_list {
	struct rb_root root;
	bool one;
	struct mica_name **shown;
	size_t nr;
	size_t room;
	s64 version;
};

struct mica_dir_file {
	struct mica_list *list;
};

struct mica_scan {
	struct dir_context ctx;
	struct super_block *sb;
	struct mica_list *list;
	unsigned int part;
	struct mica_branch *b;
	bool dot;
	bool check_empty_files;
	bool unsure;		/* of a whiteout that may be no regular file */
	bool impure;		/* numbers may be those of other files */
	int err;
};

static void free_list(struct mica_list *list)
{
	struct mica_name *n, *next;
	size_t i;

	if (!list)
		return;
	rbtree_postorder_for_each_entry_safe(n, next, &list->root, node)
		kfree(n);
	for (i = 0; list->one && i < list->nr; i++)
		kfree(list->shown[i]);
	kvfree(list->shown);
	kfree(list);
}

static int compare(const struct mica_name *n, const char *name,
		   unsigned int len)
{
	if (n->len != len)
		return n->len < len ? -1 : 1;
	return memcmp(n->name, name, len);
}

/* Finds @name, or makes it; *made tells which. */
static struct mica_name *get_name(struct mica_list *list, const char *name,
				  unsigned int len, bool *made)
{
	struct rb_node **link = &list->root.rb_node, *parent = NULL;
	struct mica_name *n;
	int cmp;

	*made = false;
	while (!list->one && *link) {
		parent = *link;
		n = rb_entry(parent, struct mica_name, node);
		cmp = compare(n, name, len);
		if (!cmp)
			return n;
		link = cmp > 0 ? &parent->rb_left : &parent->rb_right;
	}
	n = kmalloc(sizeof(*n) + len + 1, GFP_KERNEL);
	if (!n)
		return NULL;
	memcpy(n->name, name, len);
	n->name[len] = 0;
	n->len = len;
	if (!list->one) {
		rb_link_node(&n->node, parent, link);
		rb_insert_color(&n->node, &list->root);
	}
	*made = true;
	return n;
}

static int show(struct mica_list *list, struct mica_name *n)
{
	struct mica_name **shown;
	size_t room;

	if (list->nr == list->room) {
		room = max_t(size_t, 64, list->room * 2);
		shown = kvmalloc_array(room, sizeof(*shown), GFP_KERNEL);
		if (!shown)
			return -ENOMEM;
		if (list->nr)
			memcpy(shown, list->shown, list->nr * sizeof(*shown));
		kvfree(list->shown);
		list->shown = shown;
		list->room = room;
	}
	list->shown[list->nr++] = n;
	return 0;
}

/* An entry of a branch's directory; a whiteout of the same branch gives way. */
static int add_entry(struct mica_scan *s, const char *name, int len, u64 ino,
		     unsigned int type, bool whiteout)
{
	struct mica_name *n;
	bool made;
	int err;

	/* There is nothing that it could hide. */
	if (whiteout && s->list->one)
		return 0;
	n = get_name(s->list, name, len, &made);
	if (!n)
		return -ENOMEM;
	if (!made && (whiteout || !n->whiteout || n->part != s->part)) {
		/* A directory may have its number from here. */
		n->ask |= !whiteout && type != DT_REG;
		return 0;
	}
	n->ask = s->impure;
	n->ino = ino;
	n->part = s->part;
	n->type = type;
	n->whiteout = whiteout;
	err = whiteout ? 0 : show(s->list, n);
	if (err && s->list->one)
		kfree(n);
	return err;
}

static bool scan_actor(struct dir_context *ctx, const char *name, int len,
		       loff_t pos, u64 ino, unsigned int type)
{
	struct mica_scan *s = container_of(ctx, struct mica_scan, ctx);

	if (!s->err && fatal_signal_pending(current))
		s->err = -EINTR;
	if (s->err)
		return false;
	type &= DT_MAX - 1;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return true;
	if (mica_name_reserved(s->sb, &(struct qstr)QSTR_INIT(name, len))) {
		if (s->dot && mica_dot_whiteout_name(name, len) &&
		    (type == DT_REG || type == DT_UNKNOWN)) {
			s->err = add_entry(s, name + 4, len - 4, 0, type, true);
			s->unsure |= type == DT_UNKNOWN;
		}
	} else {
		s->err = add_entry(s, name, len, mica_ino(s->b, ino),
				   type, false);
	}
	return !s->err;
}

static int read_part(struct mica_scan *s, const struct mica_part *part)
{
	struct path path;

	mica_part_path(part, &path);
	return lower_iterate(&path, &s->ctx) ?: s->err;
}

/* Can this only be told from a whiteout by looking at the inode? */
static bool may_be_whiteout(const struct mica_name *n, bool check_files)
{
	return n->type == DT_CHR || n->type == DT_UNKNOWN ||
	       (check_files && n->type == DT_REG);
}

/* Whiteouts of the overlay form look like entries until one looks at them. */
static int drop_whiteouts(struct mica_scan *s, const struct mica_part *part,
			  size_t first)
{
	const struct mica_branch *b = part->b;
	struct mica_list *list = s->list;
	size_t from, to = first;
	int ret = 0;

	if (!(b->read & MICA_FORM_OVERLAY))
		return 0;
	for (from = first; from < list->nr; from++) {
		struct mica_name *n = list->shown[from];
		struct qstr q = QSTR_INIT(n->name, n->len);
		struct dentry *dentry;

		if (!ret && may_be_whiteout(n, s->check_empty_files)) {
			dentry = lower_lookup(b, part->dentry, &q);
			ret = PTR_ERR_OR_ZERO(dentry);
			if (dentry && !ret) {
				ret = mica_is_whiteout(b, dentry);
				dput(dentry);
			}
		}
		if (ret > 0) {
			n->whiteout = true;
			ret = 0;
			if (list->one)
				kfree(n);
		} else {
			list->shown[to++] = n;
		}
	}
	list->nr = to;
	return ret;
}

/* The whiteouts of the dot form that are not, where readdir gives no types. */
static int drop_false_whiteouts(struct mica_scan *s,
				const struct mica_part *part)
{
	const struct mica_branch *b = part->b;
	struct rb_node *node, *next;
	int ret;

	for (node = rb_first(&s->list->root); node; node = next) {
		struct mica_name *n = rb_entry(node, struct mica_name, node);
		struct qstr q = QSTR_INIT(n->name, n->len);

		next = rb_next(node);
		if (!n->whiteout || n->part != s->part || n->type != DT_UNKNOWN)
			continue;
		ret = mica_hides(b, part->dentry, &q);
		if (ret < 0)
			return ret;
		if (!ret) {
			rb_erase(node, &s->list->root);
			kfree(n);
		}
	}
	return 0;
}

/* overlayfs marks directories that hold whiteouts which are regular files. */
static bool has_file_whiteouts(const struct mica_branch *b, struct dentry *dir)
{
	char value;

	return (b->read & MICA_FORM_OVERLAY) &&
	       lower_get_mark(b, dir, "opaque", &value, 1) == 1 &&
	       value == 'x';
}

static struct mica_list *new_list(void)
{
	return kzalloc(sizeof(struct mica_list), GFP_KERNEL);
}

/* Adds the names of one part, behind what is to the left of it. */
static int scan_part(struct mica_list *list, struct super_block *sb,
		     unsigned int index, const struct mica_part *part,
		     bool impure)
{
	const struct mica_branch *b = part->b;
	struct mica_scan s = {
		.ctx.actor = scan_actor,
		.sb = sb,
		.list = list,
		.part = index,
		.b = part->b,
		.dot = b->read & MICA_FORM_DOT,
		.impure = impure,
		.check_empty_files = has_file_whiteouts(b, part->dentry),
	};
	size_t first = list->nr;
	int err = read_part(&s, part);

	if (!err && s.unsure)
		err = drop_false_whiteouts(&s, part);
	return err ?: drop_whiteouts(&s, part, first);
}

static struct mica_list *read_names(struct inode *dir)
{
	const struct mica_parts *parts;
	struct mica_list *list = new_list();
	const struct cred *old;
	unsigned int i;
	int err = 0;

	if (!list)
		return ERR_PTR(-ENOMEM);
	list->version = atomic64_read(&mica_i(dir)->version);
	parts = mica_parts(dir);
	list->one = parts->nr == 1;

	old = mica_override_creds(dir->i_sb);
	for (i = 0; !err && i < parts->nr; i++)
		err = scan_part(list, dir->i_sb, i, &parts->part[i],
				mica_is_impure(dir, parts->part[i].b));
	revert_creds(old);
	if (err) {
		free_list(list);
		return ERR_PTR(err);
	}
	return list;
}

/* As a look-up of the name would number it. */
static u64 ask_for_number(struct inode *dir, const struct mica_name *n)
{
	struct qstr q = QSTR_INIT(n->name, n->len);
	struct mica_parts *parts;
	struct mica_look l;
	u64 ino = n->ino;

	mica_begin_look(dir, &l);
	if (!mica_lookup_parts(dir, &q, 0, &parts)) {
		ino = parts ? mica_number(dir, parts) : 0;
		mica_parts_free(parts);
	}
	mica_end_look(dir, &l);
	return ino;
}

/*
 * What is in memory keeps its number there, whether that is recorded or not.
 * Returns 0 for what has been removed meanwhile: there is none to be told.
 */
static u64 shown_ino(struct dentry *dir, const struct mica_name *n)
{
	struct qstr q = QSTR_INIT(n->name, n->len);
	struct dentry *child;
	u64 ino;

	if (!n->ask)
		return n->ino;
	child = try_lookup_noperm(&q, dir);
	if (IS_ERR_OR_NULL(child))
		return ask_for_number(d_inode(dir), n);
	ino = d_is_positive(child) ? d_inode(child)->i_ino : 0;
	dput(child);
	return ino;
}

static int mica_iterate(struct file *file, struct dir_context *ctx)
{
	struct mica_dir_file *df = file->private_data;
	struct dentry *dir = file->f_path.dentry;
	struct mica_list *list = df->list;
	const struct mica_name *n;
	u64 ino;

	if (list && !ctx->pos &&
	    list->version != atomic64_read(&mica_i(d_inode(dir))->version)) {
		free_list(list);
		df->list = NULL;
		list = NULL;
	}
	if (!list) {
		list = read_names(d_inode(dir));
		if (IS_ERR(list))
			return PTR_ERR(list);
		df->list = list;
	}

	if (!dir_emit_dots(file, ctx))
		return 0;
	while (ctx->pos - 2 < list->nr) {
		n = list->shown[ctx->pos - 2];
		ino = shown_ino(dir, n);
		if (ino && !dir_emit(ctx, n->name, n->len, ino, n->type))
			break;
		ctx->pos++;
	}
	return 0;
}

static loff_t mica_dir_llseek(struct file *file, loff_t offset, int whence)
{
	struct mica_dir_file *df = file->private_data;
	struct inode *inode = file_inode(file);
	loff_t pos;

	/* SEEK_END has no meaning that anybody could rely on. */
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	inode_lock(inode);
	if (whence == SEEK_CUR)
		offset += file->f_pos;
	pos = vfs_setpos(file, offset, MAX_LFS_FILESIZE);
	/* rewinddir() is to show what is there now. */
	if (!pos) {
		free_list(df->list);
		df->list = NULL;
	}
	inode_unlock(inode);
	return pos;
}

static int mica_dir_open(struct inode *inode, struct file *file)
{
	struct mica_dir_file *df = kzalloc(sizeof(*df), GFP_KERNEL);

	file->private_data = df;
	return df ? 0 : -ENOMEM;
}

static int mica_dir_release(struct inode *inode, struct file *file)
{
	struct mica_dir_file *df = file->private_data;

	free_list(df->list);
	kfree(df);
	return 0;
}

int mica_sync_part(const struct mica_part *part, loff_t start, loff_t end,
		   int datasync)
{
	struct file *real;
	struct path path;
	int err;

	mica_part_path(part, &path);
	real = dentry_open(&path, O_RDONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(real))
		return PTR_ERR(real);
	err = vfs_fsync_range(real, start, end, datasync);
	fput(real);
	return err;
}

/* A change may have been made in any of the branches that are writable. */
static int mica_dir_fsync(struct file *file, loff_t start, loff_t end,
			  int datasync)
{
	struct inode *inode = file_inode(file);
	const struct mica_parts *parts;
	struct mica_look l;
	unsigned int i;
	int err = 0;

	if (mica_super(inode->i_sb)->do_volatile)
		return 0;
	mica_begin_look(inode, &l);
	parts = mica_parts(inode);
	for (i = 0; i < parts->nr && !err; i++)
		if (parts->part[i].b->last_rw)
			err = mica_sync_part(&parts->part[i], start, end,
					     datasync);
	mica_end_look(inode, &l);
	return err;
}

const struct file_operations mica_dir_operations = {
	.owner		= THIS_MODULE,
	.open		= mica_dir_open,
	.release	= mica_dir_release,
	.read		= generic_read_dir,
	.iterate_shared	= mica_iterate,
	.llseek		= mica_dir_llseek,
	.fsync		= mica_dir_fsync,
	.unlocked_ioctl	= mica_dir_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/**
 * mica_dir_is_empty - can this directory be removed?
 * @dentry: a directory of the union
 *
 * Return: 1, 0 or an error.
 */
int mica_dir_is_empty(struct dentry *dentry)
{
	struct mica_list *list = read_names(d_inode(dentry));
	int ret;

	if (IS_ERR(list))
		return PTR_ERR(list);
	ret = !list->nr;
	free_list(list);
	return ret;
}

/**
 * mica_only_whiteouts - has a branch's directory nothing else in it?
 * @sb: the union
 * @part: directory of a branch
 *
 * The caller has the mounter's credentials.
 *
 * Return: whether it is safe to be taken apart.
 */
bool mica_only_whiteouts(struct super_block *sb, const struct mica_part *part)
{
	struct mica_list *list = new_list();
	bool ret;

	if (!list)
		return false;
	list->one = true;
	ret = !scan_part(list, sb, 0, part, false) && !list->nr;
	free_list(list);
	return ret;
}
