// SPDX-License-Identifier: GPL-2.0-only
/* Superblocks of the file system type mica: mounting, the list of unions. */
#include <linux/capability.h>
#include <linux/exportfs.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include "options.h"

static DEFINE_MUTEX(unions_lock);
static LIST_HEAD(unions);

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
	if (!ms)
		return;
	mica_branches_free(ms->branches, ms->cred);
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
	mica_event_send(&ev);
	/* Until the branches are gone, a walk without references may look. */
	free_super(ms);
	sb->s_fs_info = NULL;
}

static void register_super(struct mica_super *ms)
{
	static u32 last_id;
	struct mica_event ev = { .type = MICA_EVENT_UNION_MOUNT };

	mutex_lock(&unions_lock);
	ms->id = ++last_id;
	list_add_tail(&ms->list, &unions);
	mutex_unlock(&unions_lock);
	ev.union_id = ms->id;
	mica_event_send(&ev);
}

/* What a directory has to be for this union to write to it. */
static int check_writable(struct fs_context *fc, const struct mica_spec *spec,
			  const struct layer_format *format)
{
	const struct super_block *lower = spec->path.dentry->d_sb;

	if (sb_rdonly(lower) || __mnt_is_readonly(spec->path.mnt)) {
		errorfc(fc, "%s: is read-only, it can only be a ro branch",
			spec->name);
		return -EROFS;
	}
	if (lower->s_magic == MICA_SUPER_MAGIC)
		return invalfc(fc, "%s: is on a union, it can only be a ro branch",
			       spec->name);
	if (spec->path.dentry->d_flags &
	    (DCACHE_OP_REVALIDATE | DCACHE_OP_WEAK_REVALIDATE) &&
	    (lower->s_stack_depth == 0 ||
	     format->form == MICA_FORM_OVERLAY))
		return invalfc(fc, "%s: a %s cannot be a rw branch",
			       spec->name, lower->s_type->name);
	return 0;
}

static int check_spec(struct fs_context *fc, const struct mica_spec *spec)
{
	struct mica_options *opts = fc->fs_private;
	struct mica_spec *other;

	if (is_idmapped_mnt(spec->path.mnt))
		return invalfc(fc, "%s: idmapped mounts are not supported",
			       spec->name);
	if (mica_dir_is_strange(spec->path.dentry))
		return invalfc(fc, "%s: casefolded and encrypted directories are not supported",
			       spec->name);
	list_for_each_entry(other, &opts->specs, list) {
		if (other == spec)
			break;
		if (other->path.dentry->d_sb != spec->path.dentry->d_sb)
			continue;
		if (is_subdir(other->path.dentry, spec->path.dentry) ||
		    is_subdir(spec->path.dentry, other->path.dentry))
			return invalfc(fc, "%s and %s: one contains the other",
				       other->name, spec->name);
	}
	return spec->rw ? check_writable(fc, spec, opts->format) : 0;
}

static int check_workdir(struct fs_context *fc)
{
	struct mica_options *opts = fc->fs_private;
	const struct path *work = &opts->work->path;
	const struct path *upper;

	upper = &list_first_entry(&opts->specs, struct mica_spec, list)->path;
	if (work->mnt != upper->mnt)
		return invalfc(fc, "workdir: must be on the mount of upperdir");
	if (is_subdir(work->dentry, upper->dentry) ||
	    is_subdir(upper->dentry, work->dentry))
		return invalfc(fc, "workdir and upperdir: one contains the other");
	return 0;
}

static int make_writable(struct fs_context *fc, struct mica_branch *b)
{
	struct mica_options *opts = fc->fs_private;
	const struct path *workdir = opts->work ? &opts->work->path : NULL;
	const struct path root = {
		.mnt = b->mnt,
		.dentry = b->mnt->mnt_root,
	};
	int err;

	b->format = opts->format;
	/* Nobody keeps others from what is not theirs. */
	err = path_permission(&root, MAY_WRITE | MAY_EXEC);
	if (!err && workdir)
		err = path_permission(workdir, MAY_WRITE | MAY_EXEC);
	if (err) {
		errorfc(fc, "%s: the mounter may not write to it (%d)",
			b->name, err);
		return err;
	}
	err = mica_branch_own(b, d_inode(b->mnt->mnt_root));
	if (!err && workdir)
		err = mica_branch_own(b, d_inode(workdir->dentry));
	if (err) {
		errorfc(fc, "%s: is in use by another union", b->name);
		return err;
	}
	err = mica_branch_prepare_work(b, workdir);
	if (err)
		errorfc(fc, "%s: cannot be written to as a branch (%d)",
			b->name, err);
	return err;
}

static int make_branches(struct super_block *sb, struct fs_context *fc,
			 struct mica_super *ms)
{
	static struct lock_class_key __maybe_unused
		link_key[FILESYSTEM_MAX_STACK_DEPTH];
	struct mica_options *opts = fc->fs_private;
	struct mica_branches *set;
	struct mica_branch *b;
	struct mica_spec *spec;
	int err;

	set = kvzalloc(offsetof(struct mica_branches, branch[opts->nr]),
		       GFP_KERNEL);
	if (!set)
		return -ENOMEM;
	ms->branches = set;
	set->mounts = kvcalloc(opts->nr, sizeof(*set->mounts), GFP_KERNEL);
	if (!set->mounts)
		return -ENOMEM;

	list_for_each_entry(spec, &opts->specs, list) {
		err = check_spec(fc, spec);
		if (err)
			return err;
		b = mica_branch_new(&spec->path, spec->name, spec->read);
		if (IS_ERR(b)) {
			errorfc(fc, "%s: cannot be cloned (%ld)", spec->name,
				PTR_ERR(b));
			return PTR_ERR(b);
		}
		b->userxattr = mica_in_userns(sb);
		/* Not even reading changes what is not writable. */
		if (!spec->rw)
			b->mnt->mnt_flags |= MNT_READONLY | MNT_NOATIME;
		set->mounts[set->nr] = b->mnt;
		b->rw = spec->rw;
		b->pos = set->nr;
		set->branch[set->nr++] = b;
		set->read |= b->read;
		sb->s_stack_depth = max(sb->s_stack_depth,
					b->mnt->mnt_sb->s_stack_depth + 1);
	}
	mica_inherit_forbidden(set, sb->s_user_ns);
	if (sb->s_stack_depth > FILESYSTEM_MAX_STACK_DEPTH)
		return invalfc(fc, "branches are stacked too deep");
	/* What is looked up under it may be in a union itself. */
	lockdep_set_class(&ms->link_lock, &link_key[sb->s_stack_depth - 1]);
	return 0;
}

static int prepare_branches(struct fs_context *fc, struct mica_super *ms)
{
	struct mica_branches *set = ms->branches;
	const struct cred *old = override_creds(ms->cred);
	unsigned int i;
	int err = 0;

	for (i = 0; i < set->nr && !err; i++)
		err = set->branch[i]->rw ?
		      make_writable(fc, set->branch[i]) :
		      mica_branch_find_index(set->branch[i]);
	if (!err)
		err = mica_number_filesystems(set) ?: mica_find_needs(set);
	revert_creds(old);
	return err;
}

/* The root has a part in every branch down to the first that is opaque. */
static struct inode *make_root(struct super_block *sb)
{
	const struct mica_branches *set = mica_branches(sb);
	struct mica_parts *parts = mica_parts_alloc(set->nr);
	const struct mica_part *last;
	const struct cred *old;
	int opaque = 0;

	if (!parts)
		return ERR_PTR(-ENOMEM);
	old = mica_override_creds(sb);
	while (parts->nr < set->nr && !opaque) {
		struct mica_branch *b = set->branch[parts->nr];
		struct mica_part *part = &parts->part[parts->nr];

		part->b = b;
		parts->nr++;
		part->dentry = dget(b->mnt->mnt_root);
		opaque = mica_is_opaque(b, part->dentry);
	}
	revert_creds(old);
	if (opaque < 0) {
		mica_parts_free(parts);
		return ERR_PTR(opaque);
	}
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

static int prepare_super(struct super_block *sb, struct fs_context *fc,
			 struct mica_super *ms)
{
	struct mica_options *opts = fc->fs_private;
	int err;

	ms->sb = sb;
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
	ms->cred = mounter_cred();
	if (!ms->cred)
		return -ENOMEM;
	if (opts->work) {
		ms->workdir = kstrdup(opts->work->name, GFP_KERNEL);
		if (!ms->workdir)
			return -ENOMEM;
		err = check_workdir(fc);
		if (err)
			return err;
	}
	return make_branches(sb, fc, ms) ?: prepare_branches(fc, ms);
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
	struct mica_super *ms;
	struct inode *root;
	int err;

	ms = kzalloc(sizeof(*ms), GFP_KERNEL);
	if (!ms)
		return -ENOMEM;
	err = prepare_super(sb, fc, ms);
	if (err) {
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
	register_super(ms);
	return 0;
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

int mica_union_branch(u32 id, u32 index, struct mica_branch_snap *snap)
{
	const struct mica_branches *set;
	struct mica_super *ms;
	int err = -ENOENT;

	mutex_lock(&unions_lock);
	ms = find_super(id);
	set = ms && ms->id == id ? ms->branches : NULL;
	if (set && index < set->nr) {
		const struct mica_branch *b = set->branch[index];

		snap->id = b->id;
		snap->rw = b->rw;
		strscpy(snap->fstype, b->mnt->mnt_sb->s_type->name,
			sizeof(snap->fstype));
		snap->path = kstrdup(b->name, GFP_KERNEL);
		err = snap->path ? 0 : -ENOMEM;
	}
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
	err = mica_copy_up_init();
	if (err)
		goto free_cache;
	err = register_filesystem(&mica_fs_type);
	if (err)
		goto stop_copy_up;
	return 0;

stop_copy_up:
	mica_copy_up_exit();
free_cache:
	mica_inode_cache_exit();
	return err;
}

void mica_union_exit(void)
{
	unregister_filesystem(&mica_fs_type);
	mica_copy_up_exit();
	mica_inode_cache_exit();
}
