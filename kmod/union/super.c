// SPDX-License-Identifier: GPL-2.0-only
/* Superblocks of the file system type mica: mounting, the list of unions. */
#include <linux/capability.h>
#include <linux/exportfs.h>
#include <linux/fscrypt.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include "options.h"

static DEFINE_MUTEX(unions_lock);
static LIST_HEAD(unions);
static LIST_HEAD(changing);		/* directories that are no branches */

/* Before 6.8 a file of a branch has the union's path and asks for its own. */
static struct dentry *mica_d_real(struct dentry *dentry, MICA_D_REAL_ARG which)
{
#ifndef HAVE_BACKING_FILE
	const struct mica_parts *parts;
	struct dentry *real;
#endif

	if (!d_is_reg(dentry))
		return dentry;
#ifndef HAVE_BACKING_FILE
	if (which == d_inode(dentry))
		return dentry;
	real = mica_data_part(d_inode(dentry))->dentry;
	if (d_inode(real) == which)
		return real;
	real = mica_i(d_inode(dentry))->data_part.dentry;
	if (real && d_inode(real) == which)
		return real;
	for (parts = mica_parts(d_inode(dentry)); parts; parts = parts->old) {
		real = d_real(parts->part[0].dentry, which);
		if (!which || d_inode(real) == which)
			return real;
	}
#endif
	/* A branch may be on a union or an overlay itself. */
	return d_real(mica_data_part(d_inode(dentry))->dentry, which);
}

static const struct dentry_operations mica_dentry_operations = {
	.d_real = mica_d_real,
};

/**
 * mica_event_path - tell who listens what happened to a name
 * @type: what happened
 * @dentry: the name
 */
void mica_event_path(enum mica_event_type type, struct dentry *dentry)
{
	struct mica_event ev = {
		.type = type,
		.union_id = mica_super(dentry->d_sb)->id,
		.pid = task_tgid_nr(current),
	};
	char *buf;

	/* Nobody in a user namespace drowns the events of the others. */
	if (!mica_events_wanted() || mica_in_userns(dentry->d_sb))
		return;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return;
	ev.path = dentry_path_raw(dentry, buf, PATH_MAX);
	if (IS_ERR(ev.path))
		ev.path = NULL;
	mica_event_send(&ev);
	kfree(buf);
}

static void free_super(struct mica_super *ms)
{
	struct mica_branches *set, *old;

	if (!ms)
		return;
	old = ms->branches ? ms->branches->old : NULL;
	mica_branches_free(ms->branches, ms->cred);
	while ((set = old)) {
		old = set->old;
		mica_set_free(set);
	}
	wait_var_event(&ms->leaving, !atomic_read(&ms->leaving));
	cleanup_srcu_struct(&ms->srcu);
	if (ms->queue)
		destroy_workqueue(ms->queue);
	if (ms->cred)
		put_cred(ms->cred);
	kfree(ms->workdir);
	kfree(ms);
}

/* Called at unmount, and when a mount fails after the root is there. */
void mica_super_free(struct super_block *sb)
{
	struct mica_super *ms = mica_super(sb);
	struct mica_event ev = {
		.type = MICA_EVENT_UNION_UMOUNT,
		.union_id = ms->id,
	};

	mutex_lock(&unions_lock);
	list_del(&ms->list);
	mutex_unlock(&unions_lock);
	/* One that was never there does not end. */
	if (ms->id)
		mica_event_send(&ev);
	/* Until the branches are gone, a walk without references may look. */
	free_super(ms);
	sb->s_fs_info = NULL;
}

static bool is_in(struct dentry *root, struct dentry *dir)
{
	return root->d_sb == dir->d_sb && is_subdir(root, dir);
}

/* Under unions_lock. */
static int check_unchanged(struct dentry *root)
{
	const struct mica_changing *c;

	list_for_each_entry(c, &changing, list)
		if (is_in(root, c->dir))
			return -EBUSY;
	return 0;
}

static bool has_branch_on(const struct mica_super *ms, const struct super_block *sb)
{
	unsigned int i;

	for (i = 0; i < ms->branches->nr; i++)
		if (ms->branches->branch[i]->mnt->mnt_sb == sb)
			return true;
	return false;
}

/*
 * What the branches forbid holds in unions on this one, also of those that it gets
 * when it is in use. Under unions_lock.
 */
static void forbid(struct mica_super *ms, struct mica_branches *set)
{
	struct mica_super *other;
	unsigned int forbidden;

	forbidden = mica_inherit_forbidden(set, ms->sb->s_user_ns);
	if (!(forbidden & ~ms->forbidden))
		return;
	ms->forbidden |= forbidden;
	/* Unions are not stacked any higher. */
	list_for_each_entry(other, &unions, list)
		if (has_branch_on(other, ms->sb))
			other->forbidden |= mica_inherit_forbidden(other->branches,
								   other->sb->s_user_ns);
}

/**
 * mica_publish - from here on a union has other branches
 * @ms: the union
 * @set: the branches
 *
 * What they forbid is forbidden before anything of them shows.
 */
void mica_publish(struct mica_super *ms, struct mica_branches *set)
{
	mutex_lock(&unions_lock);
	forbid(ms, set);
	set->old = ms->branches;
	/* Pairs with mica_branches(). */
	smp_store_release(&ms->branches, set);
	mutex_unlock(&unions_lock);
}

/* From now on it is seen that its branches are branches. */
static int register_super(struct mica_super *ms)
{
	static u32 last_id;
	struct mica_event ev = { .type = MICA_EVENT_UNION_MOUNT };
	unsigned int i;
	int err = 0;

	mutex_lock(&unions_lock);
	for (i = 0; i < ms->branches->nr && !err; i++)
		err = check_unchanged(ms->branches->branch[i]->mnt->mnt_root);
	if (!err) {
		ms->id = ++last_id;
		forbid(ms, ms->branches);
		list_add_tail(&ms->list, &unions);
	}
	mutex_unlock(&unions_lock);
	if (err)
		return err;
	ev.union_id = ms->id;
	mica_event_send(&ev);
	return 0;
}

/**
 * mica_refuse - note why a directory cannot be a branch
 * @why: where to note it
 * @err: negative errno
 * @name: the directory
 * @fmt: what is said of it
 *
 * Return: @err.
 */
int mica_refuse(struct mica_reason *why, int err, const char *name,
		const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	mica_fail(why, err, MICA_REASON_BRANCH, name, "%s: %pV", name, &vaf);
	va_end(args);
	return err;
}

/*
 * Do others change what is there? With 6.12 the root of a file system that can
 * encrypt names looks so.
 */
static bool is_remote(const struct dentry *root)
{
	return root->d_flags & (DCACHE_OP_REVALIDATE | DCACHE_OP_WEAK_REVALIDATE) &&
	       root->d_op->d_revalidate != fscrypt_d_revalidate;
}

/* What a directory has to be for this union to write to it. */
static int check_writable(struct mica_reason *why, const struct mica_spec *spec,
			  const struct layer_format *format)
{
	const struct super_block *lower = spec->path.dentry->d_sb;

	if (sb_rdonly(lower) || __mnt_is_readonly(spec->path.mnt))
		return mica_refuse(why, -EROFS, spec->name,
				   "is read-only, it can only be a ro branch");
	if (lower->s_magic == MICA_SUPER_MAGIC)
		return mica_refuse(why, -EINVAL, spec->name,
				   "is on a union, it can only be a ro branch");
	if (is_remote(spec->path.dentry) &&
	    (lower->s_stack_depth == 0 || format->form == MICA_FORM_OVERLAY))
		return mica_refuse(why, -EINVAL, spec->name,
				   "a %s cannot be a rw branch",
				   lower->s_type->name);
	return 0;
}

/**
 * mica_check_spec - can a directory be a branch?
 * @why: out: why not
 * @spec: the directory
 * @format: the form that whiteouts are written in
 *
 * Return: 0, -ENOENT if it was removed, -EINVAL or -EROFS.
 */
int mica_check_spec(struct mica_reason *why, const struct mica_spec *spec,
		    const struct layer_format *format)
{
	if (is_idmapped_mnt(spec->path.mnt))
		return mica_refuse(why, -EINVAL, spec->name,
				   "idmapped mounts are not supported");
	if (mica_dir_is_strange(spec->path.dentry))
		return mica_refuse(why, -EINVAL, spec->name,
				   "casefolded and encrypted directories are not supported");
	if (IS_DEADDIR(d_inode(spec->path.dentry)))
		return mica_refuse(why, -ENOENT, spec->name, "was removed");
	return spec->rw ? check_writable(why, spec, format) : 0;
}

/**
 * mica_check_apart - is a directory neither in another one nor around it?
 * @why: out: why not
 * @spec: the directory
 * @other: the other one
 * @name: its name
 *
 * Return: 0 or -EINVAL.
 */
int mica_check_apart(struct mica_reason *why, const struct mica_spec *spec,
		     struct dentry *other, const char *name)
{
	struct dentry *dentry = spec->path.dentry;

	if (other->d_sb != dentry->d_sb ||
	    (!is_subdir(other, dentry) && !is_subdir(dentry, other)))
		return 0;
	return mica_refuse(why, -EINVAL, spec->name,
			   "it contains %s, or is in it", name);
}

static int check_workdir(struct mica_reason *why,
			 const struct mica_options *opts)
{
	const struct mica_spec *spec;
	int err = 0;

	spec = list_first_entry(&opts->specs, struct mica_spec, list);
	if (opts->work->path.mnt != spec->path.mnt)
		return mica_refuse(why, -EINVAL, "workdir",
				   "must be on the mount of upperdir");
	/* What is in its place to work in is removed. */
	list_for_each_entry(spec, &opts->specs, list)
		err = err ?: mica_check_apart(why, opts->work,
					      spec->path.dentry, spec->name);
	return err;
}

/**
 * mica_make_branch - make a branch of a directory
 * @why: out: why not
 * @sb: the union
 * @spec: the directory, which has been checked
 *
 * Return: the branch, to be made ready by mica_prepare_branch(); or an error.
 */
struct mica_branch *mica_make_branch(struct mica_reason *why,
				     const struct super_block *sb,
				     const struct mica_spec *spec)
{
	struct mica_branch *b = mica_branch_new(&spec->path, spec->name,
						spec->read);

	if (IS_ERR(b)) {
		mica_refuse(why, PTR_ERR(b), spec->name, "cannot be cloned");
		return b;
	}
	b->rw = spec->rw;
	b->last_rw = spec->rw ? MICA_RW_NOW : 0;
	b->wb_err = errseq_sample(&b->mnt->mnt_sb->s_wb_err);
	b->userxattr = mica_in_userns(sb);
	b->hash = mica_layer_hash(b, b->mnt->mnt_root);
	if (!spec->rw)
		mica_branch_allow_writes(b, false);
	return b;
}

/**
 * mica_make_writable - make a branch ready to be written to
 * @why: out: why not
 * @b: the branch
 * @format: the form to write whiteouts in
 * @workdir: see mica_branch_prepare_work()
 * @set: branches
 * @left: how many of them are left of it
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_make_writable(struct mica_reason *why, struct mica_branch *b,
		       const struct layer_format *format,
		       const struct path *workdir,
		       const struct mica_branches *set, unsigned int left)
{
	const struct path root = {
		.mnt = b->mnt,
		.dentry = b->mnt->mnt_root,
	};
	int err;

	b->format = format;
	/* Nobody keeps others from what is not theirs. */
	err = path_permission(&root, MAY_WRITE | MAY_EXEC);
	if (!err && workdir)
		err = path_permission(workdir, MAY_WRITE | MAY_EXEC);
	if (err)
		return mica_refuse(why, err, b->name,
				   "the mounter may not write to it");
	err = mica_check_sealed(b, set, left, why);
	if (err)
		return err;
	err = mica_branch_own(b, d_inode(b->mnt->mnt_root));
	if (!err && workdir)
		err = mica_branch_own(b, d_inode(workdir->dentry));
	if (err)
		return mica_refuse(why, err, b->name,
				   "is in use by another union");
	err = mica_branch_prepare_work(b, workdir);
	if (err)
		mica_refuse(why, err, b->name,
			    "cannot be written to as a branch");
	return err;
}

/**
 * mica_prepare_branch - make a new branch ready for a set
 * @why: out: why not
 * @b: the branch
 * @format: the form to write whiteouts in
 * @workdir: see mica_branch_prepare_work()
 * @set: branches
 * @left: how many of them are left of it
 *
 * The caller has the mounter's credentials.
 *
 * Return: 0 or an error.
 */
int mica_prepare_branch(struct mica_reason *why, struct mica_branch *b,
			const struct layer_format *format,
			const struct path *workdir,
			const struct mica_branches *set, unsigned int left)
{
	int err = mica_find_merged(b, why);

	if (err)
		return err;
	if (!b->rw)
		return mica_branch_find_index(b);
	return mica_make_writable(why, b, format, workdir, set, left);
}

static int make_branches(struct super_block *sb, struct mica_options *opts,
			 struct mica_super *ms)
{
	static struct lock_class_key __maybe_unused
		link_key[FILESYSTEM_MAX_STACK_DEPTH];
	struct mica_spec *spec, *other;
	struct mica_branches *set;
	struct mica_branch *b;
	int err;

	set = mica_branches_alloc(opts->nr);
	if (!set)
		return -ENOMEM;
	ms->branches = set;

	list_for_each_entry(spec, &opts->specs, list) {
		err = mica_check_spec(&opts->why, spec, opts->format);
		list_for_each_entry(other, &opts->specs, list) {
			if (err || other == spec)
				break;
			err = mica_check_apart(&opts->why, spec,
					       other->path.dentry, other->name);
		}
		if (err)
			return err;
		b = mica_make_branch(&opts->why, sb, spec);
		if (IS_ERR(b))
			return PTR_ERR(b);
		b->pos = set->nr;
		mica_branches_append(set, b);
		sb->s_stack_depth = max(sb->s_stack_depth,
					b->mnt->mnt_sb->s_stack_depth + 1);
	}
	if (sb->s_stack_depth > FILESYSTEM_MAX_STACK_DEPTH)
		return mica_fail(&opts->why, -EINVAL, MICA_REASON_BRANCH, NULL,
				 "branches are stacked too deep");
	/* What is looked up under it may be in a union itself. */
	lockdep_set_class(&ms->link_lock, &link_key[sb->s_stack_depth - 1]);
	return 0;
}

static int prepare_branches(struct mica_options *opts, struct mica_super *ms)
{
	const struct path *workdir = opts->work ? &opts->work->path : NULL;
	struct mica_branches *set = ms->branches;
	const struct cred *old = override_creds(ms->cred);
	unsigned int i;
	int err = 0;

	for (i = 0; i < set->nr && !err; i++)
		err = mica_prepare_branch(&opts->why, set->branch[i],
					  opts->format, workdir, set, i);
	if (!err)
		err = mica_number_filesystems(set) ?: mica_find_needs(set);
	for (i = 0; i < set->nr; i++)
		set->branch[i]->incomplete = set->incomplete[i];
	revert_creds(old);
	return err;
}

static struct inode *make_root(struct super_block *sb)
{
	const struct cred *old = mica_override_creds(sb);
	struct mica_parts *parts = mica_root_parts(mica_branches(sb));
	const struct mica_part *last;

	revert_creds(old);
	if (IS_ERR(parts))
		return ERR_CAST(parts);
	last = &parts->part[parts->nr - 1];
	return mica_iget(sb, parts, mica_ino(last->b,
					     d_inode(last->dentry)->i_ino));
}

static struct cred *mounter_cred(void)
{
	struct cred *cred = prepare_creds();

	/* Quotas and reserved blocks of a branch hold for the union too. */
	if (cred)
		cap_lower(cred->cap_effective, CAP_SYS_RESOURCE);
	return cred;
}

static int prepare_super(struct super_block *sb, struct mica_options *opts,
			 struct mica_super *ms)
{
	int err;

	ms->sb = sb;
	INIT_LIST_HEAD(&ms->list);
	mutex_init(&ms->change_lock);
	mutex_init(&ms->freeze_lock);
	mutex_init(&ms->move_lock);
	mutex_init(&ms->link_lock);
	mica_nameless_init(ms);
	ms->format = opts->format;
	ms->overlay_syntax = opts->overlay_syntax;
	ms->do_volatile = opts->do_volatile;
	ms->no_redirect = opts->no_redirect;
	ms->metacopy = opts->metacopy;
	ms->delete = opts->delete;
	ms->copyup_top = opts->copyup_top;
	ms->create = opts->create;
	/* Others do not wait for what it waits for. */
	ms->queue = alloc_workqueue("mica_union", WQ_UNBOUND, 0);
	ms->cred = mounter_cred();
	if (!ms->queue || !ms->cred)
		return -ENOMEM;
	if (opts->work) {
		ms->workdir = kstrdup(opts->work->name, GFP_KERNEL);
		if (!ms->workdir)
			return -ENOMEM;
		err = check_workdir(&opts->why, opts);
		if (err)
			return err;
	}
	return make_branches(sb, opts, ms) ?: prepare_branches(opts, ms);
}

/**
 * mica_fill_super - mount a union
 * @sb: its new superblock
 * @fc: what it was asked to be, checked by options.c
 *
 * Return: 0, or an error that @fc has been told the reason of.
 */
int mica_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct mica_options *opts = fc->fs_private;
	struct mica_super *ms;
	struct inode *root;
	int err;

	ms = kzalloc(sizeof(*ms), GFP_KERNEL);
	if (!ms)
		return -ENOMEM;
	err = init_srcu_struct(&ms->srcu);
	if (err) {
		kfree(ms);
		return err;
	}
	err = prepare_super(sb, opts, ms);
	if (err) {
		if (opts->why.code)
			errorfc(fc, "%s (%d)", opts->why.text, err);
		free_super(ms);
		return err;
	}

	sb->s_fs_info = ms;
	sb->s_magic = MICA_SUPER_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_op = &mica_super_operations;
	sb->s_xattr = (const struct xattr_handler **)mica_xattr_handlers;
	if (!mica_in_userns(sb) && mica_can_export(ms->branches))
		sb->s_export_op = &mica_export_operations;
	sb->s_flags |= SB_POSIXACL;
	/* Nor does sync(2) for anybody's server of FUSE; syncfs(2) on it may. */
	if (mica_in_userns(sb))
		sb->s_iflags |= SB_I_SKIP_SYNC;
	set_default_d_op(sb, &mica_dentry_operations);
	if (IS_ERR(mica_rw_left_of(sb, ms->branches->nr)))
		sb->s_flags |= SB_RDONLY;

	root = make_root(sb);
	if (!IS_ERR(root)) {
		sb->s_root = d_make_root(root);
		err = sb->s_root ? 0 : -ENOMEM;
	} else {
		err = PTR_ERR(root);
	}
	if (err) {
		sb->s_fs_info = NULL;
		free_super(ms);
		return err;
	}
	err = register_super(ms);
	if (err)
		errorfc(fc, "a branch is being merged, or is in what is (%d)", err);
	return err;
}

static struct mica_super *find_super(u32 id)
{
	struct mica_super *ms;

	list_for_each_entry(ms, &unions, list)
		if (ms->id >= id)
			return ms;
	return NULL;
}

int mica_union_next(u32 after_id, struct mica_union_snap *snap)
{
	struct mica_super *ms;

	mutex_lock(&unions_lock);
	ms = find_super(after_id + 1);
	if (ms) {
		snap->id = ms->id;
		snap->dev = ms->sb->s_dev;
		snap->nr_branches = ms->branches->nr;
		snap->readonly = sb_rdonly(ms->sb);
	}
	mutex_unlock(&unions_lock);
	return ms ? 0 : -ENOENT;
}

static int snap_branch(const struct mica_branch *b, struct mica_branch_snap *snap)
{
	const struct path root = { .mnt = b->mnt, .dentry = b->mnt->mnt_root };
	struct kstat stat = {};

	/* It is listed also if its server does not answer. */
	vfs_getattr_nosec(&root, &stat, STATX_INO, AT_STATX_DONT_SYNC);
	snap->dev = stat.dev;
	snap->ino = stat.ino;
	snap->id = b->id;
	snap->rw = b->rw;
	snap->incomplete = b->incomplete;
	snap->forms = (b->read & MICA_FORM_DOT ? MICA_BRANCH_DOT : 0) |
		      (b->read & MICA_FORM_OVERLAY ? MICA_BRANCH_OVERLAY : 0);
	strscpy(snap->fstype, b->mnt->mnt_sb->s_type->name, sizeof(snap->fstype));
	snap->path = kstrdup(b->name, GFP_KERNEL);
	return snap->path ? 0 : -ENOMEM;
}

int mica_union_branch(u32 id, u32 index, struct mica_branch_snap *snap)
{
	const struct mica_branches *set;
	struct mica_super *ms;
	int err = -ENOENT;
	int look;

	mutex_lock(&unions_lock);
	ms = find_super(id);
	if (!ms || ms->id != id)
		goto unlock;
	look = srcu_read_lock(&ms->srcu);
	set = mica_branches(ms->sb);
	if (index < set->nr)
		err = snap_branch(set->branch[index], snap);
	srcu_read_unlock(&ms->srcu, look);
unlock:
	mutex_unlock(&unions_lock);
	return err;
}

static bool has_branch_in(struct mica_super *ms, struct dentry *dir, u32 but)
{
	int look = srcu_read_lock(&ms->srcu);
	const struct mica_branches *set = mica_branches(ms->sb);
	bool ret = ms->coming && is_in(ms->coming, dir);
	unsigned int i;

	for (i = 0; i < set->nr && !ret; i++)
		ret = set->branch[i]->id != but &&
		      is_in(set->branch[i]->mnt->mnt_root, dir);
	srcu_read_unlock(&ms->srcu, look);
	return ret;
}

/**
 * mica_change_begin - keep unions from having a directory, or what is in it
 * @c: tells which
 * @but: a branch that it may be all the same
 *
 * Return: 0, or -EBUSY if a union has it.
 */
int mica_change_begin(struct mica_changing *c, u32 but)
{
	struct mica_super *ms;
	int err = 0;

	mutex_lock(&unions_lock);
	list_for_each_entry(ms, &unions, list)
		if (has_branch_in(ms, c->dir, but))
			err = -EBUSY;
	if (!err)
		list_add(&c->list, &changing);
	mutex_unlock(&unions_lock);
	return err;
}

void mica_change_end(struct mica_changing *c)
{
	mutex_lock(&unions_lock);
	list_del_init(&c->list);
	mutex_unlock(&unions_lock);
}

/**
 * mica_expect_branch - see that nobody changes what is going to be a branch
 * @ms: the union
 * @root: the directory; NULL when it is a branch, or is not to be one any more
 *
 * Return: 0 or -EBUSY.
 */
int mica_expect_branch(struct mica_super *ms, struct dentry *root)
{
	int err;

	mutex_lock(&unions_lock);
	err = root ? check_unchanged(root) : 0;
	ms->coming = err ? NULL : root;
	mutex_unlock(&unions_lock);
	return err;
}

static void mica_kill_sb(struct super_block *sb)
{
	/* While its dentries are still there. */
	if (sb->s_root)
		mica_nameless_end(mica_super(sb));
	kill_anon_super(sb);
}

static struct file_system_type mica_fs_type = {
	.owner			= THIS_MODULE,
	.name			= "mica",
	.init_fs_context	= mica_init_fs_context,
	.kill_sb		= mica_kill_sb,
	.fs_flags		= FS_USERNS_MOUNT,
};

int mica_union_init(void)
{
	int err;

	err = mica_inode_cache_init();
	if (err)
		return err;
	err = register_filesystem(&mica_fs_type);
	if (err)
		mica_inode_cache_exit();
	return err;
}

void mica_union_exit(void)
{
	unregister_filesystem(&mica_fs_type);
	mica_inode_cache_exit();
}
