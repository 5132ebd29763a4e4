// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying something to a branch where it can be changed.
 *
 * A copy is made without a name, or with one in the work directory of the branch
 * where that is all there is, and gets its name when it is whole: at every moment
 * the name shows the old one or the new one. It is done one ancestor after the
 * other from the top, under two locks of the union's inode: data_lock for making
 * the copy, for which no directory of a branch is locked, and around it lock, for
 * giving it its name.
 *
 * mmap() needs a copy under mmap_lock, and somebody who reads a directory of a
 * branch may wait for that with the directory locked. So it makes do with
 * data_lock and a copy that has no name yet, and leaves the rest to a worker.
 */
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include "origin.h"
#include "../compat/splice.h"
#include "../compat/workqueue.h"

/* So much is copied between two looks for a fatal signal. */
#define MICA_COPY_CHUNK SZ_1M

/**
 * struct mica_copy - one copy under way
 * @dentry: name in the union
 * @parent: its directory, NULL if it has no name any more
 * @b: the branch where to
 * @size: bytes of data wanted, at most; MICA_COPY_META for none if possible
 * @src: what is copied
 * @stat: its attributes
 * @temp: the copy, without a name, or with one in the work directory
 * @meta: the data stays where it is
 * @links: it has other names, which find the copy through the index
 * @for_mmap: who waits has its mmap_lock, which a reader of @src may wait for
 */
struct mica_copy {
	struct dentry *dentry;
	struct inode *parent;
	struct mica_branch *b;
	loff_t size;
	struct path src;
	struct kstat stat;
	struct dentry *temp;
	bool meta;
	bool links;
	bool for_mmap;
};

static int copy_acl(const struct mica_copy *c, const char *name)
{
	struct posix_acl *acl;
	int err;

	acl = vfs_get_acl(mnt_idmap(c->src.mnt), c->src.dentry, name);
	if (IS_ERR(acl))
		return PTR_ERR(acl);
	err = vfs_set_acl(mnt_idmap(c->b->mnt), c->temp, name, acl);
	posix_acl_release(acl);
	return err;
}

static int copy_xattr(const struct mica_copy *c, const char *name)
{
	struct mnt_idmap *idmap = mnt_idmap(c->src.mnt);
	ssize_t size;
	void *value;
	int err;

	size = vfs_getxattr(idmap, c->src.dentry, name, NULL, 0);
	if (size < 0)
		return size;
	value = kvmalloc(size ?: 1, GFP_KERNEL);
	if (!value)
		return -ENOMEM;
	size = vfs_getxattr(idmap, c->src.dentry, name, value, size);
	err = size < 0 ? size :
	      lower_setxattr(c->b, c->temp, name, value, size, 0);
	kvfree(value);
	return err;
}

static bool is_acl(const char *name)
{
	return !strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS) ||
	       !strcmp(name, XATTR_NAME_POSIX_ACL_DEFAULT);
}

/* What protects a file has to come along, or there is no copy. */
static bool must_copy(const char *name)
{
	return is_acl(name) || !strncmp(name, XATTR_SECURITY_PREFIX,
					XATTR_SECURITY_PREFIX_LEN);
}

static int copy_one_xattr(const struct mica_copy *c, const char *name)
{
	int err;

	if (mica_xattr_private(c->dentry->d_sb, name))
		return 0;
	err = security_inode_copy_up_xattr(c->src.dentry, name);
	if (err == 1 || err == -ECANCELED)
		return 0;
	if (err < 0 && err != -EOPNOTSUPP)
		return err;

	err = is_acl(name) ? copy_acl(c, name) : copy_xattr(c, name);
	if (err == -ENODATA)
		return 0;
	if (err == -EOPNOTSUPP && !must_copy(name)) {
		pr_warn_ratelimited("%pd2: %s has no place for xattr %s\n",
				    c->dentry, c->b->name, name);
		return 0;
	}
	return err;
}

static int copy_xattrs(const struct mica_copy *c)
{
	struct dentry *src = c->src.dentry;
	char *list, *name;
	ssize_t len;
	int err = 0;

	if (!(d_inode(src)->i_opflags & IOP_XATTR))
		return 0;
	len = vfs_listxattr(src, NULL, 0);
	if (len <= 0)
		return len == -EOPNOTSUPP ? 0 : len;
	list = kvmalloc(len, GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	len = vfs_listxattr(src, list, len);
	if (len < 0)
		err = len == -EOPNOTSUPP ? 0 : len;
	for (name = list; !err && name < list + len; name += strlen(name) + 1)
		err = copy_one_xattr(c, name);
	kvfree(list);
	return err;
}

static int copy_attr(const struct mica_copy *c)
{
	struct iattr owner = {
		.ia_valid = ATTR_UID | ATTR_GID,
		.ia_uid = c->stat.uid,
		.ia_gid = c->stat.gid,
	};
	struct iattr rest = {
		.ia_valid = ATTR_ATIME | ATTR_ATIME_SET | ATTR_MTIME |
			    ATTR_MTIME_SET,
		.ia_atime = c->stat.atime,
		.ia_mtime = c->stat.mtime,
	};
	int err;

	/* A change of the owner may clear bits of the mode. */
	err = lower_setattr(c->b->mnt, c->temp, &owner);
	if (err)
		return err;
	if (!S_ISLNK(c->stat.mode)) {
		rest.ia_valid |= ATTR_MODE;
		rest.ia_mode = c->stat.mode;
	}
	return lower_setattr(c->b->mnt, c->temp, &rest);
}

/**
 * struct range_copy - a range of data to be copied
 * @work: does it, where the task that needs it cannot
 * @task: that task, which may be killed
 * @cred: who copies
 * @from: a file
 * @to: another
 * @pos: where the range begins
 * @end: where it ends
 * @err: out: 0 or an error
 */
struct range_copy {
	struct work_struct work;
	struct task_struct *task;
	const struct cred *cred;
	struct file *from;
	struct file *to;
	loff_t pos;
	loff_t end;
	int err;
};

static int splice_range(const struct range_copy *r)
{
	struct file *from = r->from, *to = r->to;
	loff_t pos = r->pos, out = r->pos, end = r->end;
	long n;

	while (pos < end) {
		if (fatal_signal_pending(r->task))
			return -EINTR;
		n = do_splice_direct(from, &pos, to, &out,
				     min_t(loff_t, end - pos, MICA_COPY_CHUNK),
				     SPLICE_F_MOVE);
		if (n < 0)
			return n;
		if (!n)
			break;
		cond_resched();
	}
	return 0;
}

static void splice_range_work(struct work_struct *work)
{
	struct range_copy *r = container_of(work, struct range_copy, work);
	const struct cred *old = override_creds(r->cred);

	r->err = splice_range(r);
	revert_creds(old);
}

/* In a sendfile() to the file, the pipe of the task has what is to be written. */
static bool is_splicing(void)
{
	const struct pipe_inode_info *pipe = current->splice_pipe;

	return pipe && !pipe_empty(pipe->head, pipe->tail);
}

static int copy_range(struct file *from, struct file *to, loff_t pos,
		      loff_t end)
{
	struct range_copy r = {
		.task = current,
		.cred = current_cred(),
		.from = from,
		.to = to,
		.pos = pos,
		.end = end,
	};

	if (!is_splicing())
		return splice_range(&r);
	INIT_WORK_ONSTACK(&r.work, splice_range_work);
	queue_work(system_dfl_wq, &r.work);
	flush_work(&r.work);
	destroy_work_on_stack(&r.work);
	return r.err;
}

/* Where data begins at or after @pos; @size if there is only a hole. */
static loff_t next_data(struct file *file, loff_t pos, loff_t size)
{
	loff_t data = vfs_llseek(file, pos, SEEK_DATA);

	if (data == -ENXIO)
		return size;
	return data < 0 ? pos : data;
}

static loff_t end_of_data(struct file *file, loff_t pos, loff_t size)
{
	loff_t hole = vfs_llseek(file, pos, SEEK_HOLE);

	return hole <= pos ? size : min(hole, size);
}

static int set_size(const struct mica_copy *c, loff_t size)
{
	struct iattr attr = { .ia_valid = ATTR_SIZE, .ia_size = size };

	return lower_setattr(c->b->mnt, c->temp, &attr);
}

static int grow(const struct mica_copy *c, loff_t size)
{
	int err;

	err = mnt_want_write(c->b->mnt);
	if (err)
		return err;
	err = set_size(c, size);
	mnt_drop_write(c->b->mnt);
	return err;
}

static int copy_file(const struct mica_copy *c, struct file *from,
		     struct file *to, loff_t size)
{
	loff_t pos = 0, end;
	int err;

	/* That excludes readers, which may be in the middle of a page fault. */
	if (!c->for_mmap &&
	    vfs_clone_file_range(from, 0, to, 0, size, 0) == size)
		return 0;

	while ((pos = next_data(from, pos, size)) < size) {
		end = end_of_data(from, pos, size);
		err = copy_range(from, to, pos, end);
		if (err)
			return err;
		pos = end;
	}
	/* A hole at the end is written by nobody. */
	return i_size_read(file_inode(to)) == size ? 0 : grow(c, size);
}

static int copy_data(const struct mica_copy *c)
{
	const struct inode *inode = d_inode(c->dentry);
	const struct path dst = { .mnt = c->b->mnt, .dentry = c->temp };
	loff_t size = c->stat.size;
	struct file *from, *to;
	struct path src;
	int err;

	if (c->size != MICA_COPY_META)
		size = min(c->size, size);
	if (!S_ISREG(c->stat.mode) || !size)
		return 0;
	if (c->meta)
		return grow(c, size);
	mica_part_path(mica_data_part(inode), &src);
	from = lower_open(&src, 0);
	if (IS_ERR(from))
		return PTR_ERR(from);
	to = dentry_open(&dst, O_WRONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(to)) {
		err = PTR_ERR(to);
		goto put_from;
	}
	err = copy_file(c, from, to, size);
	fput(to);
put_from:
	fput(from);
	return err;
}

/* The name must not show a copy that a crash could still take apart. */
static int sync_copy(const struct mica_copy *c)
{
	const struct path path = { .mnt = c->b->mnt, .dentry = c->temp };
	struct file *file;
	int err;

	/* Changes of attributes and names reach the disk in their order. */
	if (!S_ISREG(c->stat.mode) || c->meta ||
	    mica_super(c->dentry->d_sb)->do_volatile)
		return 0;
	file = dentry_open(&path, O_RDONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = vfs_fsync(file, 0);
	fput(file);
	return err;
}

static int make_temp(struct mica_copy *c)
{
	umode_t mode = c->stat.mode & S_IFMT;
	DEFINE_DELAYED_CALL(done);
	const char *target = NULL;
	char name[MICA_TEMP_NAME_SIZE];

	/* Nobody but the union may reach it before it has its owner. */
	if (S_ISREG(mode)) {
		c->temp = lower_tmpfile(c->b, c->b->work, mode | 0600);
		if (c->temp != ERR_PTR(-EOPNOTSUPP))
			return PTR_ERR_OR_ZERO(c->temp);
	}
	if (S_ISLNK(mode)) {
		target = vfs_get_link(c->src.dentry, &done);
		if (IS_ERR(target))
			return PTR_ERR(target);
	} else {
		mode |= S_ISDIR(mode) ? 0700 : 0600;
	}
	mica_temp_name(name);
	c->temp = lower_create(c->b, c->b->work, &QSTR(name), mode,
			       c->stat.rdev, target);
	do_delayed_call(&done);
	return PTR_ERR_OR_ZERO(c->temp);
}

static bool in_work_dir(const struct mica_copy *c)
{
	return !d_unhashed(c->temp);
}

static void discard(const struct mica_copy *c)
{
	if (in_work_dir(c) && !mnt_want_write(c->b->mnt)) {
		lower_discard(c->b, c->b->work, &c->temp->d_name);
		mnt_drop_write(c->b->mnt);
	}
}

static int make_temp_as_lsm_wants(struct mica_copy *c)
{
	const struct cred *old = NULL;
	struct cred *cred = NULL;
	int err;

	err = security_inode_copy_up(c->dentry, &cred);
	if (err < 0)
		return err;
	if (cred)
		old = override_creds(cred);
	err = make_temp(c);
	if (cred) {
		revert_creds(old);
		put_cred(cred);
	}
	return err;
}

/* Returns the copy's name, counted. */
static struct dentry *move_to(const struct mica_copy *c, struct dentry *dir,
			      const struct qstr *name)
{
	int err;

	if (!in_work_dir(c))
		return lower_link_quietly(c->b, dir, name, c->temp);
	err = lower_rename_quietly(c->b, c->b->work, &c->temp->d_name,
				   d_inode(c->temp), dir, name);
	return err ? ERR_PTR(err) : dget(c->temp);
}

/* Puts the copy where its name says; the directory keeps its times. */
static struct dentry *put_in_place(const struct mica_copy *c)
{
	struct dentry *dir = mica_part_in(c->parent, c->b), *copy;
	struct name_snapshot name;
	int err;

	err = mica_mark_impure(c->parent, c->b);
	if (err)
		return ERR_PTR(err);
	take_dentry_name_snapshot(&name, c->dentry);
	copy = move_to(c, dir, &name.name);
	release_dentry_name_snapshot(&name);
	return copy;
}

/* The same for what has no name any more. */
static struct dentry *take_from_work_dir(const struct mica_copy *c)
{
	int err = in_work_dir(c) ? lower_remove(c->b, c->b->work,
						&c->temp->d_name, NULL) : 0;

	return err ? ERR_PTR(err) : dget(c->temp);
}

/* All parts of the inode, with the copy among them. */
static struct mica_parts *parts_with(const struct inode *inode,
				     struct mica_branch *b, struct dentry *copy)
{
	const struct mica_parts *old = mica_parts(inode);
	unsigned int i, nr = S_ISDIR(inode->i_mode) ? old->nr : 0;
	struct mica_parts *parts = mica_parts_alloc(nr + 1);
	struct mica_part *to;

	if (!parts)
		return NULL;
	to = parts->part;
	for (i = 0; i < nr && old->part[i].b->pos < b->pos; i++)
		*to++ = mica_part_get(&old->part[i]);
	*to++ = mica_part_of(b, dget(copy));
	for (; i < nr; i++)
		*to++ = mica_part_get(&old->part[i]);
	parts->nr = nr + 1;
	return parts;
}

/* A metacopy says so, and goes on where what it is made of goes on. */
static int mark_meta(const struct mica_copy *c)
{
	const struct mica_part *data = mica_data_part(d_inode(c->dentry));

	return !c->meta ? 0 : mica_note_need(c->b, data->b) ?:
	       mica_record_data(data, c->b, c->temp) ?:
	       lower_set_mark(c->b, c->temp, "metacopy", "", 0);
}

static void show_data(struct mica_inode *mi, struct mica_part *data)
{
	/* Pairs with mica_data_part(). */
	smp_store_release(&mi->data, data);
}

/* Where the data is from now on, or stays. Old parts live as long as the inode. */
static void publish_data(const struct mica_copy *c, struct mica_inode *mi)
{
	if (c->meta && !mi->data)
		show_data(mi, &mi->parts->part[0]);
	set_bit(MICA_I_DATA_CHECKED, &mi->flags);
}

/* Has mmap() given it to somebody before it has its name? */
static bool is_mapped(const struct mica_inode *mi)
{
	return mi->nameless && mi->data == &mi->nameless->part[0];
}

/* It has its name now; who looks at it as the data may go on. */
static void forget_nameless(struct mica_inode *mi, bool meta)
{
	struct mica_parts *nameless;

	spin_lock(&mi->vfs_inode.i_lock);
	nameless = mi->nameless;
	if (is_mapped(mi)) {
		nameless->old = mi->parts->old;
		/* Whoever goes along there sees it whole. */
		smp_store_release(&mi->parts->old, nameless);
		nameless = NULL;
	}
	mi->nameless = NULL;
	if (!meta)
		WRITE_ONCE(mi->data, NULL);
	spin_unlock(&mi->vfs_inode.i_lock);
	mica_parts_free(nameless);
}

/* It got no name. If it is mapped, that will be tried again. */
static void drop_nameless(const struct mica_copy *c, struct mica_inode *mi)
{
	struct inode *inode = &mi->vfs_inode;
	struct mica_parts *nameless = NULL;
	bool mapped;

	spin_lock(&inode->i_lock);
	mapped = is_mapped(mi);
	if (!mapped)
		swap(nameless, mi->nameless);
	spin_unlock(&inode->i_lock);
	if (mapped)
		return;
	mica_parts_free(nameless);
	if (c->links && !mnt_want_write(c->b->mnt)) {
		mutex_lock(&mica_super(inode->i_sb)->link_lock);
		mica_index_remove(c->b, c->temp);
		mutex_unlock(&mica_super(inode->i_sb)->link_lock);
		mnt_drop_write(c->b->mnt);
	}
	discard(c);
}

/* Stores to a mapping of a file in a writable branch would miss the copy. */
static bool is_stored_to(const struct mica_copy *c)
{
	return d_is_reg(c->dentry) && mica_is_rw(d_inode(c->dentry)) &&
	       mapping_writably_mapped(d_inode(c->src.dentry)->i_mapping);
}

/* How many names the file has more than its copy: see links.c. */
static int names_beside(const struct mica_copy *c, const struct dentry *copy)
{
	unsigned int names = d_inode(c->dentry)->i_nlink;

	if (d_is_dir(c->dentry))
		return 0;
	/* Those that do not stay with it are another file's now. */
	if (!c->links)
		names = min(names, 1u);
	return (int)names - (int)d_inode(copy)->i_nlink;
}

/* Gives the copy its name, and the union the copy. Takes over @parts. */
static int publish(const struct mica_copy *c, struct mica_parts *parts)
{
	struct inode *inode = d_inode(c->dentry);
	struct mica_inode *mi = mica_i(inode);
	struct dentry *copy;
	unsigned int i = 0;
	int err;

	/* Somebody may have begun since the data was copied. */
	if (is_stored_to(c))
		return -EXDEV;
	err = c->links ? mica_index_add(inode, c->b, c->temp) : 0;
	if (err)
		return err;
	copy = c->parent ? put_in_place(c) : take_from_work_dir(c);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	while (parts->part[i].b != c->b)
		i++;
	dput(parts->part[i].dentry);
	parts->part[i].dentry = copy;
	if (c->links)
		mica_links_copied(inode, c->b, copy);
	else
		clear_bit(MICA_I_INDEXED, &mi->flags);
	mica_copy_fileattr(c->src.dentry, c->b, copy);
	mi->protection = inode->i_flags & MICA_PROTECTED;
	publish_data(c, mi);
	mi->links = names_beside(c, copy);
	mica_add_part(inode, parts);
	forget_nameless(mi, c->meta);
	return 0;
}

static int give_name(const struct mica_copy *c)
{
	struct inode *inode = d_inode(c->dentry);
	struct mutex *link_lock = &mica_super(inode->i_sb)->link_lock;
	struct mica_parts *parts = parts_with(inode, c->b, c->temp);
	int err;

	if (!parts)
		return -ENOMEM;
	err = mnt_want_write(c->b->mnt);
	if (err)
		goto free_parts;
	if (c->links)
		err = mutex_lock_killable(link_lock);
	if (!err) {
		err = publish(c, parts);
		if (c->links)
			mutex_unlock(link_lock);
	}
	mnt_drop_write(c->b->mnt);
free_parts:
	if (err)
		mica_parts_free(parts);
	return err;
}

/* A mark, since the copy still has to get its name, and others beside it. */
static int copy_protection(const struct mica_copy *c)
{
	unsigned int flags = d_inode(c->dentry)->i_flags & MICA_PROTECTED;

	return flags ? mica_write_protection(c->b, c->temp, flags) : 0;
}

static int fill_copy(struct mica_copy *c)
{
	int err;

	err = copy_data(c);
	if (err)
		return err;
	err = mnt_want_write(c->b->mnt);
	if (err)
		return err;
	/* Data first: writing takes security.capability away. */
	err = copy_xattrs(c) ?: copy_protection(c) ?:
	      mica_record_origin(d_inode(c->dentry), c->b, c->temp) ?:
	      mark_meta(c) ?: copy_attr(c) ?: sync_copy(c);
	mnt_drop_write(c->b->mnt);
	return err;
}

/*
 * Has it other names, that go on with the copy? One may be that in the index. What
 * was dropped has none, whatever is below.
 */
static bool names_stay(const struct inode *inode)
{
	unsigned int names = mica_real_inode(inode)->i_nlink;

	return !S_ISDIR(inode->i_mode) && inode->i_nlink &&
	       (names > 1 ||
		(names && test_bit(MICA_I_INDEXED, &mica_i(inode)->flags))) &&
	       mica_links_stay(inode->i_sb, &mica_parts(inode)->part[0]);
}

/*
 * From where it can still be changed, data has to come along, and from where a
 * search by name does not lead: only one of a file's names may have that copy.
 */
static bool can_be_metacopy(const struct mica_copy *c)
{
	const struct inode *inode = d_inode(c->dentry);
	const struct mica_part *data = mica_data_part(inode);

	return c->size == MICA_COPY_META && S_ISREG(c->stat.mode) &&
	       c->stat.size && c->parent && c->b->has_marks &&
	       mica_super(inode->i_sb)->metacopy && !mica_is_rw(inode) &&
	       !data->b->rw && !mica_is_indexed(data->b, data->dentry);
}

/* Makes the copy, all but its name. The data_lock of the inode is held. */
static int make_copy(struct mica_copy *c)
{
	int err;

	if (is_stored_to(c))
		return -EXDEV;
	err = vfs_getattr_nosec(&c->src, &c->stat, STATX_BASIC_STATS,
				AT_STATX_SYNC_AS_STAT);
	if (err)
		return err;
	mica_newest_times(d_inode(c->dentry), &c->stat);
	/* Whom the mounter could not give a file to does not get the copy. */
	if (!kuid_has_mapping(current_user_ns(), c->stat.uid) ||
	    !kgid_has_mapping(current_user_ns(), c->stat.gid))
		return -EOVERFLOW;
	/* It was read in the dot form only; the copy would be a whiteout. */
	if (S_ISCHR(c->stat.mode) && c->stat.rdev == WHITEOUT_DEV)
		return -EPERM;
	c->meta = can_be_metacopy(c);
	err = mnt_want_write(c->b->mnt);
	if (err)
		return err;
	err = make_temp_as_lsm_wants(c);
	mnt_drop_write(c->b->mnt);
	if (err)
		return err;
	err = fill_copy(c);
	if (err) {
		discard(c);
		dput(c->temp);
	}
	return err;
}

#define FURTHER_RIGHT 1

/*
 * The same, of all of a file, for everybody who needs it. There may be one
 * already, but then perhaps in a branch further right: that is FURTHER_RIGHT.
 */
static int share_copy(struct mica_copy *c)
{
	struct mica_inode *mi = mica_i(d_inode(c->dentry));
	struct mica_parts *nameless;
	int err;

	spin_lock(&mi->vfs_inode.i_lock);
	nameless = mi->nameless;
	if (nameless)
		c->temp = dget(nameless->part[0].dentry);
	spin_unlock(&mi->vfs_inode.i_lock);
	if (nameless) {
		if (nameless->part[0].b == c->b)
			return 0;
		dput(c->temp);
		return FURTHER_RIGHT;
	}
	err = make_copy(c);
	if (err)
		return err;
	nameless = mica_parts_one(c->b, dget(c->temp));
	if (!nameless) {
		discard(c);
		dput(c->temp);
		return -ENOMEM;
	}
	spin_lock(&mi->vfs_inode.i_lock);
	mi->nameless = nameless;
	spin_unlock(&mi->vfs_inode.i_lock);
	return 0;
}

static int copy(struct mica_copy *c)
{
	struct mica_inode *mi = mica_i(d_inode(c->dentry));
	bool all = d_is_reg(c->dentry) && c->size == MICA_COPY_ALL;
	int err;

	if (mutex_lock_killable(&mi->data_lock))
		return -EINTR;
	if (all || mi->nameless)
		err = share_copy(c);
	else
		err = make_copy(c);
	/* What is not all of a file is of no use for mmap(), which waits. */
	if (all)
		mutex_unlock(&mi->data_lock);
	if (!err) {
		c->links = names_stay(d_inode(c->dentry));
		err = give_name(c);
		if (err)
			drop_nameless(c, mi);
		dput(c->temp);
	}
	if (!all)
		mutex_unlock(&mi->data_lock);
	return err;
}

/* The branch of a copy without a name, or NULL. */
static struct mica_branch *nameless_branch(struct inode *inode)
{
	struct mica_branch *b = NULL;

	spin_lock(&inode->i_lock);
	if (mica_i(inode)->nameless)
		b = mica_i(inode)->nameless->part[0].b;
	spin_unlock(&inode->i_lock);
	return b;
}

static bool has_part(const struct inode *inode, struct mica_branch *b)
{
	if (S_ISDIR(inode->i_mode))
		return mica_part_in(inode, b);
	return mica_parts(inode)->part[0].b->pos <= b->pos;
}

static int try_copy_one(struct dentry *parent, struct dentry *dentry,
			struct mica_branch *b, loff_t size)
{
	struct super_block *sb = dentry->d_sb;
	struct inode *inode = d_inode(dentry);
	struct mica_copy c = {
		.dentry = dentry,
		.parent = parent ? d_inode(parent) : NULL,
		.b = b,
		.size = size,
	};
	const struct cred *old;
	int err;

	if (mutex_lock_killable(&mica_i(inode)->lock))
		return -EINTR;
	if (has_part(inode, b)) {
		mutex_unlock(&mica_i(inode)->lock);
		return 0;
	}
	if (mica_is_gone(dentry))
		c.parent = NULL;
	mica_real_path(inode, &c.src);
	old = mica_override_creds(sb);
	err = copy(&c);
	revert_creds(old);
	mutex_unlock(&mica_i(inode)->lock);

	if (!err && c.parent) {
		mica_copyattr(c.parent);
		mica_event_path(MICA_EVENT_COPY_UP, dentry);
	}
	return err;
}

/* @parent has a part in @b already, or @dentry has no name any more. */
static int copy_one(struct dentry *parent, struct dentry *dentry,
		    struct mica_branch *b, loff_t size)
{
	struct mica_branch *nearer;
	int ret;

	while ((ret = try_copy_one(parent, dentry, b, size)) == FURTHER_RIGHT) {
		/* What is mapped gets its name where it is, first. */
		nearer = nameless_branch(d_inode(dentry));
		ret = nearer ? mica_copy_up_to(dentry, nearer, MICA_COPY_ALL) : 0;
		if (ret)
			break;
	}
	return ret;
}

/*
 * The name to copy a file by. What was opened by its handle may have none in
 * memory, and needs none if no name shows it, or all of them find the copy through
 * the index. Else a name would go on with what it was copied from.
 */
static struct dentry *name_to_copy(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	struct dentry *name;

	if (!mica_is_disconnected(dentry))
		return dget(dentry);
	name = d_find_alias(inode);
	if (name && !mica_is_disconnected(name) && !mica_is_gone(name))
		return name;
	dput(name);
	return !inode->i_nlink || names_stay(inode) ? dget(dentry) :
						      ERR_PTR(-ESTALE);
}

static int copy_by_name(struct dentry *dentry, struct mica_branch *b, loff_t size)
{
	struct dentry *next, *parent;
	int err = 0;
	bool done;

	/* That is where the way up ends. */
	if (!has_part(d_inode(dentry->d_sb->s_root), b))
		return -EROFS;
	while (!err && !has_part(d_inode(dentry), b)) {
		next = dget(dentry);
		parent = dget_parent(next);
		while (!has_part(d_inode(parent), b)) {
			dput(next);
			next = parent;
			parent = dget_parent(next);
		}
		done = next == dentry;
		err = copy_one(parent, next, b, done ? size : 0);
		dput(parent);
		dput(next);
	}
	return err;
}

/**
 * mica_copy_up_to - let something, and its ancestors, be in a branch
 * @dentry: its name
 * @b: the branch, a writable one
 * @size: bytes of data that are wanted of a file, MICA_COPY_ALL for all
 *
 * A directory gets a part there. Something else is copied from where it is,
 * further right, and is there from now on.
 *
 * Return: 0, or an error, and then nothing has changed but that some of the
 * ancestors may have a part there; -ESTALE if it is not known where it is.
 */
int mica_copy_up_to(struct dentry *dentry, struct mica_branch *b, loff_t size)
{
	struct dentry *name;
	int err;

	if (has_part(d_inode(dentry), b))
		return 0;
	name = name_to_copy(dentry);
	if (IS_ERR(name))
		return PTR_ERR(name);
	if (mica_is_gone(name) || mica_is_disconnected(name))
		err = copy_one(NULL, name, b, size);
	else
		err = copy_by_name(name, b, size);
	dput(name);
	return err;
}

/* Where the data is of a file that is a metacopy on its branch. */
static int find_data(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	struct mica_inode *mi = mica_i(inode);
	const struct mica_part *part = &mi->parts->part[0];
	struct dentry *parent = dget_parent(dentry);
	struct name_snapshot name;
	int ret;

	ret = mica_is_metacopy_on_disk(part->b,
				       part->dentry);
	/* Opened by a handle, it is not known where to look. */
	if (ret > 0 && parent == dentry)
		ret = -ESTALE;
	if (ret > 0) {
		take_dentry_name_snapshot(&name, dentry);
		ret = mica_lookup_data(d_inode(parent), &name.name, part,
				       &mi->data_part);
		release_dentry_name_snapshot(&name);
		if (!ret)
			show_data(mi, &mi->data_part);
	}
	dput(parent);
	return ret;
}

/**
 * mica_check_data - find out where the data of a file is
 * @dentry: the file, or anything else
 *
 * From here on mica_data_part() tells it.
 *
 * Return: 0, -EIO if it is nowhere, or another error.
 */
int mica_check_data(struct dentry *dentry)
{
	const struct inode *root = d_inode(dentry->d_sb->s_root);
	struct mica_inode *mi = mica_i(d_inode(dentry));
	struct mica_look l;
	int err = 0;

	if (!d_is_reg(dentry) || test_bit(MICA_I_DATA_CHECKED, &mi->flags))
		return 0;
	if (mutex_lock_killable(&mi->lock))
		return -EINTR;
	if (!test_bit(MICA_I_DATA_CHECKED, &mi->flags)) {
		mica_begin_look(root, &l);
		err = find_data(dentry);
		mica_end_look(root, &l);
		if (!err)
			set_bit(MICA_I_DATA_CHECKED, &mi->flags);
	}
	mutex_unlock(&mi->lock);
	return err;
}

/* Its origin may be what its data was copied from, before that was changed. */
static bool is_data_of(const struct mica_part *meta, const struct mica_branch *b,
		       struct dentry *data)
{
	struct mica_origin wanted;

	return !mica_read_data(meta->b, meta->dentry, &wanted) &&
	       (!wanted.size || mica_leads_to(b, data, false, &wanted));
}

/**
 * mica_adopt_data - tell a file where its data is, if it is a metacopy
 * @inode: the file, which may be new
 * @b: branch of @data
 * @data: its origin
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error, -ESTALE if its data is not there either.
 */
int mica_adopt_data(struct inode *inode, struct mica_branch *b, struct dentry *data)
{
	struct mica_inode *mi = mica_i(inode);
	const struct mica_part *first;
	int ret = 0;

	if (!S_ISREG(inode->i_mode))
		return 0;
	mutex_lock(&mi->lock);
	first = &mi->parts->part[0];
	if (!test_bit(MICA_I_DATA_CHECKED, &mi->flags))
		ret = mica_is_metacopy_on_disk(first->b,
					       first->dentry);
	if (ret > 0) {
		ret = mica_is_metacopy_on_disk(b,
					       data);
		if (!ret)
			ret = !is_data_of(first, b, data);
		if (!ret) {
			mi->data_part = mica_part_of(b, dget(data));
			show_data(mi, &mi->data_part);
		}
	}
	if (!ret)
		set_bit(MICA_I_DATA_CHECKED, &mi->flags);
	mutex_unlock(&mi->lock);
	return ret > 0 ? -ESTALE : ret;
}

/*
 * Brings the data to a file that is a metacopy. Until the mark goes, it is one
 * still. Writing takes capabilities away and changes times: they come back,
 * whether it works or not.
 */
static int fill_metacopy(struct mica_copy *c)
{
	char caps[XATTR_CAPS_SZ];
	int len, err, ret;

	err = vfs_getattr_nosec(&c->src, &c->stat, STATX_BASIC_STATS,
				AT_STATX_SYNC_AS_STAT);
	if (err)
		return err;
	len = lower_getxattr(c->b, c->temp, XATTR_NAME_CAPS, caps,
			     sizeof(caps));
	err = copy_data(c);
	ret = mnt_want_write(c->b->mnt);
	if (ret)
		return ret;
	/* What has been copied of it would be in nobody's way but the disk's. */
	if (err)
		set_size(c, 0) ?: set_size(c, c->stat.size);
	if (len > 0)
		ret = lower_setxattr(c->b, c->temp, XATTR_NAME_CAPS, caps, len,
				     0);
	ret = ret ?: copy_attr(c);
	err = err ?: ret ?: sync_copy(c) ?:
	      lower_remove_mark(c->b, c->temp, "metacopy");
	mnt_drop_write(c->b->mnt);
	return err;
}

/* The data_lock of the inode is held. */
static int bring_data(struct dentry *dentry, bool for_mmap)
{
	struct inode *inode = d_inode(dentry);
	struct mica_inode *mi = mica_i(inode);
	struct mica_copy c = {
		.dentry = dentry, .size = MICA_COPY_ALL, .for_mmap = for_mmap,
	};
	const struct cred *old;
	int err;

	if (!mi->data)
		return 0;
	c.b = mi->parts->part[0].b;
	c.temp = mi->parts->part[0].dentry;
	mica_real_path(inode, &c.src);
	old = mica_override_creds(inode->i_sb);
	err = fill_metacopy(&c);
	revert_creds(old);
	if (!err) {
		WRITE_ONCE(mi->data, NULL);
		mica_set_new_copy(inode);
	}
	return err;
}

/**
 * mica_begin_change - get ready to change attributes of something in its branch
 * @inode: something that is in a branch that is writable
 * @c: of the change, for mica_end_change()
 *
 * Who brings the data to a metacopy puts back what that has changed, so such
 * changes exclude each other. Waits for it, killable. On success the caller has
 * the mounter's credentials.
 *
 * Return: 0, -EINTR, or an error of mnt_want_write().
 */
int mica_begin_change(struct inode *inode, struct mica_change *c)
{
	struct mutex *data_lock = &mica_i(inode)->data_lock;
	int err;

	c->held = mica_is_metacopy(inode);
	if (c->held && mutex_lock_killable(data_lock))
		return -EINTR;
	mica_real_path(inode, &c->real);
	err = mnt_want_write(c->real.mnt);
	if (!err)
		c->old = mica_override_creds(inode->i_sb);
	else if (c->held)
		mutex_unlock(data_lock);
	return err;
}

/**
 * mica_end_change - the attributes are changed, or could not be
 * @inode: what mica_begin_change() got
 * @c: what that has set
 */
void mica_end_change(struct inode *inode, struct mica_change *c)
{
	revert_creds(c->old);
	mnt_drop_write(c->real.mnt);
	mica_copyattr(inode);
	if (c->held)
		mutex_unlock(&mica_i(inode)->data_lock);
}

static int need_data(struct dentry *dentry)
{
	struct mica_inode *mi = mica_i(d_inode(dentry));
	int err;

	if (mutex_lock_killable(&mi->lock))
		return -EINTR;
	err = mutex_lock_killable(&mi->data_lock);
	if (!err) {
		err = bring_data(dentry, false);
		mutex_unlock(&mi->data_lock);
	}
	mutex_unlock(&mi->lock);
	return err;
}

static struct mica_branch *target_of(struct dentry *dentry)
{
	struct dentry *name = name_to_copy(dentry), *parent;
	struct mica_branch *b;

	if (IS_ERR(name))
		return ERR_CAST(name);
	parent = dget_parent(name);
	b = mica_copy_target(d_inode(parent),
			     mica_parts(d_inode(dentry))->part[0].b);
	dput(parent);
	dput(name);
	return b;
}

/**
 * mica_copy_up_data - make sure that something can be changed
 * @dentry: its name
 * @size: bytes of data that are wanted of a file, MICA_COPY_ALL for all,
 *	MICA_COPY_META if its data will not be changed
 *
 * Return: 0 or an error, -EROFS if no branch to the left of it is writable.
 */
int mica_copy_up_data(struct dentry *dentry, loff_t size)
{
	struct inode *inode = d_inode(dentry);
	struct mica_branch *b;
	int err;

	err = mica_check_data(dentry);
	if (!err && !mica_is_rw(inode)) {
		b = nameless_branch(inode) ?: target_of(dentry);
		/* If it has just been copied, that is one too far left. */
		if (!mica_is_rw(inode))
			err = IS_ERR(b) ? PTR_ERR(b) :
			      mica_copy_up_to(dentry, b, size);
	}
	/* Whoever copied it may have had no use for the data. */
	if (!err && size != MICA_COPY_META && mica_is_metacopy(inode))
		err = need_data(dentry);
	return err;
}

int mica_copy_up(struct dentry *dentry)
{
	return mica_copy_up_data(dentry, MICA_COPY_ALL);
}

/* The same, for what changes no data. */
int mica_copy_up_meta(struct dentry *dentry)
{
	return mica_copy_up_data(dentry, MICA_COPY_META);
}

/**
 * mica_sync_name - let the name of a file show its copy after a crash, too
 * @inode: the file
 *
 * Syncing the data of a copy does not do that: on most file systems, the rename
 * that put it in place is in a journal still. What is written to the copy and
 * synced would be lost with it.
 *
 * Return: 0 or an error.
 */
int mica_sync_name(struct inode *inode)
{
	struct mica_inode *mi = mica_i(inode);
	struct mica_part dir;
	const struct cred *old;
	int err = 0;

	if (!mica_is_new_copy(inode))
		return 0;
	if (mutex_lock_killable(&mi->lock))
		return -EINTR;
	if (mica_is_new_copy(inode)) {
		dir = mi->parts->part[0];
		dir.dentry = dget_parent(dir.dentry);
		old = mica_override_creds(inode->i_sb);
		err = mica_sync_part(&dir, 0, LLONG_MAX, 0);
		revert_creds(old);
		dput(dir.dentry);
		if (!err)
			clear_bit(MICA_I_NEW_COPY, &mi->flags);
	}
	mutex_unlock(&mi->lock);
	return err;
}

/*
 * mmap() waits for a copy, and that is made in a worker: under mmap_lock no lock
 * of a file may be taken, but this file is nobody else's, and the worker has no
 * mmap_lock.
 */
struct copy_work {
	struct work_struct work;
	struct completion done;
	refcount_t ref;
	struct file *file;
	int err;
};

/* A file that is mapped, and still has to get its name. */
struct nameless {
	struct list_head list;
	struct dentry *dentry;
};

static void put_copy_work(struct copy_work *cw)
{
	if (refcount_dec_and_test(&cw->ref))
		kfree(cw);
}

static int make_nameless(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	struct mica_copy c = {
		.dentry = dentry, .size = MICA_COPY_ALL, .for_mmap = true,
	};
	struct mica_branch *b = target_of(dentry);
	const struct cred *old;
	int err;

	/* It has just got its name: that is one too far left. */
	if (mica_is_rw(inode))
		return 0;
	if (IS_ERR(b))
		return PTR_ERR(b);
	c.b = b;
	mica_real_path(inode, &c.src);
	old = mica_override_creds(inode->i_sb);
	err = share_copy(&c);
	revert_creds(old);
	if (!err)
		dput(c.temp);
	return err;
}

/* From now on the copy is the data, if there is one. */
static bool show_nameless(struct mica_inode *mi)
{
	bool is_there;

	spin_lock(&mi->vfs_inode.i_lock);
	is_there = mi->nameless;
	if (is_there)
		/* Pairs with mica_data_part(). */
		smp_store_release(&mi->data, &mi->nameless->part[0]);
	spin_unlock(&mi->vfs_inode.i_lock);
	return is_there;
}

/* Lets a file have data that can be changed, but no name in the branch. */
static int copy_nameless(struct dentry *dentry)
{
	struct mica_super *ms = mica_super(dentry->d_sb);
	struct inode *inode = d_inode(dentry);
	struct mica_inode *mi = mica_i(inode);
	struct nameless *n;
	int err = 0;

	n = kmalloc(sizeof(*n), GFP_KERNEL);
	if (!n)
		return -ENOMEM;
	mutex_lock(&mi->data_lock);
	if (!mica_data_is_rw(inode) && mica_is_rw(inode))
		err = bring_data(dentry, true);
	while (!err && !mica_data_is_rw(inode) && !show_nameless(mi))
		err = make_nameless(dentry);
	mutex_unlock(&mi->data_lock);

	if (err || mica_is_rw(inode)) {
		kfree(n);
		return err;
	}
	n->dentry = dget(dentry);
	spin_lock(&ms->nameless_lock);
	list_add_tail(&n->list, &ms->nameless);
	spin_unlock(&ms->nameless_lock);
	queue_work(ms->queue, &ms->name_work);
	return 0;
}

static void do_copy_work(struct work_struct *work)
{
	struct copy_work *cw = container_of(work, struct copy_work, work);
	struct mica_super *ms = mica_super(file_inode(cw->file)->i_sb);

	cw->err = copy_nameless(file_dentry(cw->file));
	if (atomic_dec_and_test(&ms->copies))
		wake_up_var(&ms->copies);
	/*
	 * Not the last reference, unless the caller was killed: here that
	 * would be put some time later, and the mount be busy until then.
	 */
	fput(cw->file);
	complete(&cw->done);
	put_copy_work(cw);
}

/**
 * mica_copy_up_for_mmap - let a file have data that can be changed
 * @file: open file of the union
 *
 * The caller holds mmap_lock. One that is killed leaves the worker to finish.
 * The copy gets its name some time later, mica_name_all() waits for that.
 *
 * Return: 0 or an error.
 */
int mica_copy_up_for_mmap(struct file *file)
{
	struct mica_super *ms = mica_super(file_inode(file)->i_sb);
	struct copy_work *cw;
	int err;

	cw = kzalloc(sizeof(*cw), GFP_KERNEL);
	if (!cw)
		return -ENOMEM;
	INIT_WORK(&cw->work, do_copy_work);
	init_completion(&cw->done);
	refcount_set(&cw->ref, 2);
	cw->file = get_file(file);
	atomic_inc(&ms->copies);
	queue_work(ms->queue, &cw->work);
	err = wait_for_completion_killable(&cw->done) ? -EINTR : cw->err;
	put_copy_work(cw);
	return err;
}

/**
 * mica_copies_wait - wait for copies for mmap() whose callers were killed
 * @ms: the union, which is frozen
 *
 * Return: 0 or -EINTR.
 */
int mica_copies_wait(struct mica_super *ms)
{
	return wait_var_event_killable(&ms->copies, !atomic_read(&ms->copies)) ? -EINTR : 0;
}

static struct nameless *next_nameless(struct mica_super *ms,
				      struct list_head *tried)
{
	struct nameless *n;

	spin_lock(&ms->nameless_lock);
	n = list_first_entry_or_null(&ms->nameless, struct nameless, list);
	if (n)
		list_move_tail(&n->list, tried);
	spin_unlock(&ms->nameless_lock);
	return n;
}

static void free_nameless(struct nameless *n)
{
	list_del(&n->list);
	dput(n->dentry);
	kfree(n);
}

/**
 * mica_name_all - give the copies that were made for mmap() their names
 * @ms: the union
 *
 * One that gets no name is tried again the next time.
 *
 * Return: 0 or the first error, -EINTR if that of the one who does it already is not
 * waited for.
 */
int mica_name_all(struct mica_super *ms)
{
	struct nameless *n;
	LIST_HEAD(tried);
	int err, first = 0;

	/* Whoever comes second finds what the first one could not do. */
	if (mutex_lock_killable(&ms->name_lock))
		return -EINTR;
	while ((n = next_nameless(ms, &tried))) {
		/* msync() asks the branch's file alone, and for its data. */
		err = mica_copy_up(n->dentry) ?:
		      mica_sync_name(d_inode(n->dentry));
		if (!err) {
			free_nameless(n);
			continue;
		}
		first = first ?: err;
		pr_err_ratelimited("%pd2: what is written through a mapping has no name yet (%d)\n",
				   n->dentry, err);
	}
	spin_lock(&ms->nameless_lock);
	list_splice(&tried, &ms->nameless);
	spin_unlock(&ms->nameless_lock);
	mutex_unlock(&ms->name_lock);
	return first;
}

static void do_name_work(struct work_struct *work)
{
	mica_name_all(container_of(work, struct mica_super, name_work));
}

void mica_nameless_init(struct mica_super *ms)
{
	INIT_LIST_HEAD(&ms->nameless);
	spin_lock_init(&ms->nameless_lock);
	mutex_init(&ms->name_lock);
	INIT_WORK(&ms->name_work, do_name_work);
}

/* At the unmount, when nobody uses a file any more: the last try. */
void mica_nameless_end(struct mica_super *ms)
{
	struct nameless *n, *next;

	cancel_work_sync(&ms->name_work);
	mica_name_all(ms);
	list_for_each_entry_safe(n, next, &ms->nameless, list)
		free_nameless(n);
}
