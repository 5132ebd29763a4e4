// SPDX-License-Identifier: GPL-2.0-only
/* Mount options: parsing them, showing them so that they can be given back. */
#include <linux/ctype.h>
#include <linux/fs_parser.h>
#include <linux/mount.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include "options.h"

enum {
	OPT_DIRS,
	OPT_DIRS_RW,
	OPT_DIRS_RO,
	OPT_LOWERDIR,
	OPT_UPPERDIR,
	OPT_WORKDIR,
	OPT_WHITEOUT,
	OPT_VOLATILE,
	OPT_DELETE,
	OPT_REDIRECT,
	OPT_METACOPY,
	OPT_COPYUP,
	OPT_CREATE,
	OPT_USERXATTR,
	OPT_FIXED,
	OPT_ADD,
	OPT_DEL,
	OPT_MODE,
};

static const struct constant_table delete_modes[] = {
	{ "all", MICA_DELETE_ALL },
	{ "whiteout", MICA_DELETE_WHITEOUT },
	{ "first", MICA_DELETE_FIRST },
	{}
};

static const struct constant_table create_modes[] = {
	{ "parent", MICA_CREATE_PARENT },
	{ "top", MICA_CREATE_TOP },
	{ "mfs", MICA_CREATE_MFS },
	{ "rr", MICA_CREATE_RR },
	{}
};

static const struct constant_table left_top[] = {
	{ "left", 0 }, { "top", 1 }, {}
};

static const struct constant_table only_full[] = { { "full", 0 }, {} };
static const struct constant_table on_off[] = {
	{ "on", 1 }, { "off", 0 }, {}
};

static const struct constant_table on_off_auto[] = {
	{ "on", 1 }, { "off", 0 }, { "auto", 2 }, {}
};

/* One branch: its path, or a descriptor of it. */
static int param_is_branch(struct p_log *log,
			   const struct fs_parameter_spec *spec,
			   struct fs_parameter *param,
			   struct fs_parse_result *result)
{
	if (param->type == fs_value_is_file ||
	    (param->type == fs_value_is_string && *param->string))
		return 0;
	return inval_plog(log, "Bad value for '%s'", param->key);
}

static const struct fs_parameter_spec mica_parameters[] = {
	fsparam_string("dirs", OPT_DIRS),
	__fsparam(param_is_branch, "dirs+rw", OPT_DIRS_RW, 0, NULL),
	__fsparam(param_is_branch, "dirs+ro", OPT_DIRS_RO, 0, NULL),
	fsparam_string("lowerdir", OPT_LOWERDIR),
	fsparam_string("upperdir", OPT_UPPERDIR),
	fsparam_string("workdir", OPT_WORKDIR),
	fsparam_string("whiteout", OPT_WHITEOUT),
	fsparam_flag("volatile", OPT_VOLATILE),
	fsparam_enum("delete", OPT_DELETE, delete_modes),
	fsparam_enum("redirect_dir", OPT_REDIRECT, on_off),
	fsparam_enum("metacopy", OPT_METACOPY, on_off),
	fsparam_enum("copyup", OPT_COPYUP, left_top),
	fsparam_enum("create", OPT_CREATE, create_modes),
	fsparam_flag("userxattr", OPT_USERXATTR),
	/* What there is no choice of, yet, can be said all the same. */
	fsparam_enum("data", OPT_FIXED, only_full),
	fsparam_enum("index", OPT_FIXED, on_off),
	fsparam_enum("xino", OPT_FIXED, on_off_auto),
	fsparam_flag("default_permissions", OPT_FIXED),
	/* Changes, for a remount. */
	fsparam_string("add", OPT_ADD),
	fsparam_string("del", OPT_DEL),
	fsparam_string("mode", OPT_MODE),
	{}
};

static void free_spec(struct mica_spec *spec)
{
	path_put(&spec->path);
	kfree(spec->name);
	kfree(spec);
}

/* Takes over @name. */
static struct mica_spec *new_spec(struct fs_context *fc, const char *key,
				  char *name, struct file *file)
{
	struct mica_spec *spec = kzalloc(sizeof(*spec), GFP_KERNEL);
	int err;

	if (!spec || !name) {
		kfree(spec);
		kfree(name);
		return ERR_PTR(-ENOMEM);
	}
	spec->name = name;

	if (file) {
		spec->path = file->f_path;
		path_get(&spec->path);
		err = d_is_dir(spec->path.dentry) ? 0 : -ENOTDIR;
	} else {
		err = kern_path(name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY,
				&spec->path);
	}
	if (err) {
		errorfc(fc, "%s: %s cannot be used (%d)", key, name, err);
		free_spec(spec);
		return ERR_PTR(err);
	}
	return spec;
}

static int add_spec(struct fs_context *fc, const char *key, char *name,
		    struct file *file, bool rw, unsigned int read)
{
	struct mica_options *opts = fc->fs_private;
	struct mica_spec *spec;

	if (opts->nr == MICA_MAX_BRANCHES) {
		kfree(name);
		return invalfc(fc, "%s: more than %d branches", key,
			       MICA_MAX_BRANCHES);
	}
	spec = new_spec(fc, key, name, file);
	if (IS_ERR(spec))
		return PTR_ERR(spec);
	spec->rw = rw;
	spec->read = read;
	list_add_tail(&spec->list, &opts->specs);
	opts->nr++;
	return 0;
}

/*
 * Cuts the next element off *rest at an unescaped ':' and returns it, escapes
 * and all; NULL at the end.
 */
static char *next_element(char **rest)
{
	char *start = *rest, *p;

	if (!start)
		return NULL;
	for (p = start; *p && *p != ':'; p++)
		if (*p == '\\' && p[1])
			p++;
	*rest = *p ? p + 1 : NULL;
	*p = 0;
	return start;
}

/* The last unescaped '=' of an element, which sets off the mode. */
static char *find_mode(char *element)
{
	char *found = NULL, *p;

	for (p = element; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '=')
			found = p;
	}
	return found;
}

static bool is_octal(const char *p)
{
	return isodigit(p[0]) && isodigit(p[1]) && isodigit(p[2]);
}

/* "\:" is a colon, and so is "\072": mount(8) has its own idea of commas. */
static void unescape(char *name)
{
	char *to = name;

	while (*name) {
		if (*name != '\\' || !name[1]) {
			*to++ = *name++;
		} else if (is_octal(name + 1)) {
			*to++ = (name[1] - '0') << 6 | (name[2] - '0') << 3 |
				(name[3] - '0');
			name += 4;
		} else {
			*to++ = name[1];
			name += 2;
		}
	}
	*to = 0;
}

static const struct {
	const char *name;
	bool rw;
	unsigned int read;
} modes[] = {
	{ "rw", true, MICA_FORM_DOT | MICA_FORM_OVERLAY },
	{ "ro", false, MICA_FORM_DOT | MICA_FORM_OVERLAY },
	{ "ro+dot", false, MICA_FORM_DOT },
	{ "ro+overlay", false, MICA_FORM_OVERLAY },
};

static int find_mode_by_name(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i].name, name))
			return i;
	return -1;
}

static int parse_dirs(struct fs_context *fc, char *value)
{
	struct mica_options *opts = fc->fs_private;
	char *element, *mode;
	int m, err;

	while ((element = next_element(&value))) {
		/* With no mode given, the first is rw and the others ro. */
		m = opts->nr ? 1 : 0;
		mode = find_mode(element);
		if (mode) {
			*mode++ = 0;
			m = find_mode_by_name(mode);
			if (m < 0)
				return invalfc(fc, "dirs: unknown mode '%s'",
					       mode);
		}
		unescape(element);
		if (!*element)
			return invalfc(fc, "dirs: a branch without a path");
		err = add_spec(fc, "dirs", kstrdup(element, GFP_KERNEL), NULL,
			       modes[m].rw, modes[m].read);
		if (err)
			return err;
	}
	return 0;
}

static int parse_lowerdir(struct fs_context *fc, char *value)
{
	char *element;
	int err;

	while ((element = next_element(&value))) {
		unescape(element);
		if (!*element)
			return invalfc(fc, "lowerdir: data-only layers are not supported");
		err = add_spec(fc, "lowerdir", kstrdup(element, GFP_KERNEL),
			       NULL, false, MICA_FORM_OVERLAY);
		if (err)
			return err;
	}
	return 0;
}

static int parse_single(struct fs_context *fc, const char *key, char *value,
			struct mica_spec **slot)
{
	struct mica_spec *spec;

	if (*slot)
		return invalfc(fc, "%s: given twice", key);
	unescape(value);
	spec = new_spec(fc, key, kstrdup(value, GFP_KERNEL), NULL);
	if (IS_ERR(spec))
		return PTR_ERR(spec);
	spec->rw = true;
	spec->read = MICA_FORM_OVERLAY;
	*slot = spec;
	return 0;
}

static int parse_branch(struct fs_context *fc, struct fs_parameter *param,
			bool rw)
{
	struct file *file = NULL;
	char *name;

	if (param->type == fs_value_is_file) {
		char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
		char *p;

		if (!buf)
			return -ENOMEM;
		file = param->file;
		p = file_path(file, buf, PATH_MAX);
		name = IS_ERR(p) ? ERR_CAST(p) : kstrdup(p, GFP_KERNEL);
		kfree(buf);
		if (IS_ERR(name))
			return PTR_ERR(name);
	} else {
		name = kstrdup(param->string, GFP_KERNEL);
	}
	return add_spec(fc, param->key, name, file, rw,
			MICA_FORM_DOT | MICA_FORM_OVERLAY);
}

static void free_change(struct mica_remount *r)
{
	if (r->spec)
		free_spec(r->spec);
	kfree(r->name);
	kfree(r);
}

/* [POSITION:]PATH[=MODE]; without a position it is the last. */
static int parse_add(struct fs_context *fc, char *value, struct mica_remount *r)
{
	char *element = next_element(&value), *mode;
	struct mica_spec *spec;
	int m = 1;

	r->pos = U32_MAX;
	if (value && !kstrtou32(element, 10, &r->pos))
		element = next_element(&value);
	mode = find_mode(element);
	if (mode) {
		*mode++ = 0;
		m = find_mode_by_name(mode);
	}
	if (value || m < 0)
		return invalfc(fc, "add: not of the form [POSITION:]PATH[=MODE]");
	unescape(element);
	spec = new_spec(fc, "add", kstrdup(element, GFP_KERNEL), NULL);
	if (IS_ERR(spec))
		return PTR_ERR(spec);
	spec->rw = modes[m].rw;
	spec->read = modes[m].read;
	r->spec = spec;
	return 0;
}

/* BRANCH, or BRANCH=MODE. */
static int parse_branch_name(struct fs_context *fc, char *value, bool has_mode,
			     struct mica_remount *r)
{
	char *element = next_element(&value);
	char *mode = find_mode(element);

	if (value || !mode != !has_mode)
		return has_mode ? invalfc(fc, "mode: not of the form BRANCH=MODE") :
				  invalfc(fc, "del: not one branch");
	if (mode) {
		*mode++ = 0;
		if (strcmp(mode, "rw") && strcmp(mode, "ro"))
			return invalfc(fc, "mode: neither rw nor ro");
		r->flags = mode[1] == 'w' ? MICA_BRANCH_RW : 0;
	}
	unescape(element);
	r->name = kstrdup(element, GFP_KERNEL);
	return r->name ? 0 : -ENOMEM;
}

static int parse_change(struct fs_context *fc, int opt, char *value)
{
	struct mica_remount *r = kzalloc(sizeof(*r), GFP_KERNEL);
	struct mica_options *opts = fc->fs_private;

	if (!r)
		return -ENOMEM;
	list_add_tail(&r->list, &opts->changes);
	switch (opt) {
	case OPT_ADD:
		r->command = MICA_UNION_ADD;
		return parse_add(fc, value, r);
	case OPT_DEL:
		r->command = MICA_UNION_DEL;
		return parse_branch_name(fc, value, false, r);
	default:
		r->command = MICA_UNION_MODE;
		return parse_branch_name(fc, value, true, r);
	}
}

/* Is the union what an option says? Branches may have changed since. */
static bool is_so(const struct super_block *sb, int opt,
		  const struct fs_parameter *param,
		  const struct fs_parse_result *result)
{
	const struct mica_super *ms = mica_super(sb);

	switch (opt) {
	case OPT_WHITEOUT:
		return !strcmp(param->string, ms->format->name);
	case OPT_VOLATILE:
		return ms->do_volatile;
	case OPT_DELETE:
		return result->uint_32 == ms->delete;
	case OPT_REDIRECT:
		return result->uint_32 == !ms->no_redirect;
	case OPT_METACOPY:
		return result->uint_32 == ms->metacopy;
	case OPT_COPYUP:
		return result->uint_32 == ms->copyup_top;
	case OPT_CREATE:
		return result->uint_32 == ms->create;
	case OPT_USERXATTR:
		return mica_in_userns(sb);
	}
	return true;
}

static int mica_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct mica_options *opts = fc->fs_private;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, mica_parameters, param, &result);
	if (opt < 0)
		return opt;

	if (opt >= OPT_ADD) {
		if (fc->purpose != FS_CONTEXT_FOR_RECONFIGURE)
			return invalfc(fc, "%s: is for a remount", param->key);
		return parse_change(fc, opt, param->string);
	}
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) {
		/* mount(8) gives all of them again; they stay as they are. */
		if (fc->oldapi || is_so(fc->root->d_sb, opt, param, &result))
			return 0;
		return invalfc(fc, "%s: cannot be changed by a remount",
			       param->key);
	}

	switch (opt) {
	case OPT_DIRS:
		opts->dirs = true;
		return parse_dirs(fc, param->string);
	case OPT_DIRS_RW:
		opts->dirs = true;
		return parse_branch(fc, param, true);
	case OPT_DIRS_RO:
		opts->dirs = true;
		return parse_branch(fc, param, false);
	case OPT_LOWERDIR:
		opts->overlay_syntax = true;
		return parse_lowerdir(fc, param->string);
	case OPT_UPPERDIR:
		opts->overlay_syntax = true;
		return parse_single(fc, param->key, param->string,
				    &opts->upper);
	case OPT_WORKDIR:
		opts->overlay_syntax = true;
		return parse_single(fc, param->key, param->string,
				    &opts->work);
	case OPT_WHITEOUT:
		opts->format = mica_format_by_name(param->string);
		if (!opts->format)
			return invalfc(fc, "whiteout: neither dot nor overlay");
		return 0;
	case OPT_VOLATILE:
		opts->do_volatile = true;
		return 0;
	case OPT_DELETE:
		opts->delete = result.uint_32;
		return 0;
	case OPT_REDIRECT:
		opts->no_redirect = !result.uint_32;
		opts->redirect_given = true;
		return 0;
	case OPT_METACOPY:
		opts->metacopy = result.uint_32;
		opts->metacopy_given = true;
		return 0;
	case OPT_COPYUP:
		opts->copyup_top = result.uint_32;
		return 0;
	case OPT_CREATE:
		opts->create = result.uint_32;
		return 0;
	case OPT_USERXATTR:
		opts->userxattr = true;
		return 0;
	}
	return 0;
}

/*
 * Like the generic one, but that "\," is part of a value: a path may have a
 * comma in it.
 */
static int mica_parse_monolithic(struct fs_context *fc, void *data)
{
	char *key = data, *end, *value;
	int err;

	if (!key)
		return 0;
	err = security_sb_eat_lsm_opts(key, &fc->security);
	if (err)
		return err;

	for (; key; key = end) {
		for (end = key; *end && *end != ','; end++)
			if (*end == '\\' && end[1])
				end++;
		if (*end)
			*end++ = 0;
		else
			end = NULL;
		if (!*key)
			continue;
		value = strchr(key, '=');
		if (value == key)
			continue;
		if (value)
			*value++ = 0;
		err = vfs_parse_fs_string(fc, key, value);
		if (err < 0)
			return err;
	}
	return 0;
}

static void mica_free_fc(struct fs_context *fc)
{
	struct mica_options *opts = fc->fs_private;
	struct mica_remount *r, *next_change;
	struct mica_spec *spec, *next;

	if (!opts)
		return;
	list_for_each_entry_safe(r, next_change, &opts->changes, list)
		free_change(r);
	list_for_each_entry_safe(spec, next, &opts->specs, list)
		free_spec(spec);
	if (opts->upper)
		free_spec(opts->upper);
	if (opts->work)
		free_spec(opts->work);
	kfree(opts);
}

/* overlayfs reads them only if it is told to, so they are not left for it. */
static bool default_metacopy(const struct layer_format *format,
			     bool no_redirect)
{
	return format->form != MICA_FORM_OVERLAY && !no_redirect;
}

/*
 * In a user namespace the attributes of the layers' format are those that users
 * can set. Outside, whoever owns a file in a layer would read other people's
 * data by them, with the mounter's rights.
 */
static int check_userns(struct fs_context *fc)
{
	struct mica_options *opts = fc->fs_private;

	/* The work is done with the rights of who is here now. */
	if (fc->user_ns != current_user_ns()) {
		errorfc(fc, "the mount was begun in another user namespace");
		return -EPERM;
	}
	if (fc->user_ns == &init_user_ns)
		return opts->userxattr ?
		       invalfc(fc, "userxattr: only in a user namespace") : 0;
	if (opts->redirect_given && !opts->no_redirect)
		return invalfc(fc, "redirect_dir: on is not possible in a user namespace");
	if (opts->metacopy)
		return invalfc(fc, "metacopy: on is not possible in a user namespace");
	opts->no_redirect = true;
	return 0;
}

static int check_options(struct fs_context *fc)
{
	struct mica_options *opts = fc->fs_private;
	int err;

	err = check_userns(fc);
	if (err)
		return err;
	if (!opts->nr)
		return invalfc(fc, "no branches: dirs= or lowerdir= is needed");
	if (opts->overlay_syntax && opts->dirs)
		return invalfc(fc, "dirs= does not go with overlay's options");
	if (opts->upper && !opts->work)
		return invalfc(fc, "upperdir: needs a workdir");
	if (opts->work && !opts->upper)
		return invalfc(fc, "workdir: needs an upperdir");
	if (opts->overlay_syntax && opts->format &&
	    opts->format->form == MICA_FORM_DOT)
		return invalfc(fc, "whiteout: dot does not go with overlay's options");
	if (!opts->format)
		opts->format = mica_format_by_form(opts->overlay_syntax ?
						   MICA_FORM_OVERLAY :
						   MICA_FORM_DOT);
	if (!opts->metacopy_given)
		opts->metacopy = default_metacopy(opts->format,
						  opts->no_redirect);
	if (opts->metacopy && opts->no_redirect)
		return invalfc(fc, "metacopy: on needs redirect_dir=on");
	if (opts->upper) {
		list_add(&opts->upper->list, &opts->specs);
		opts->upper = NULL;
		opts->nr++;
	}
	return 0;
}

static int mica_get_tree(struct fs_context *fc)
{
	return check_options(fc) ?: get_tree_nodev(fc, mica_fill_super);
}

/* Does a remount make the union read-only, or writable? */
static bool switches_ro(const struct fs_context *fc)
{
	return (fc->sb_flags_mask & SB_RDONLY) &&
	       !(fc->sb_flags & SB_RDONLY) != !sb_rdonly(fc->root->d_sb);
}

static int mica_reconfigure(struct fs_context *fc)
{
	struct mica_options *opts = fc->fs_private;
	struct super_block *sb = fc->root->d_sb;
	struct mica_remount *r;
	int err;

	/*
	 * What the VFS has seen, that nobody has frozen the union or can write to
	 * it, holds as long as s_umount; a change lets go of that.
	 */
	if (!list_empty(&opts->changes) && switches_ro(fc))
		return invalfc(fc, "either branches change, or ro and rw");
	list_for_each_entry(r, &opts->changes, list) {
		err = mica_remount_change(sb, r, &opts->why);
		if (err && opts->why.code)
			errorfc(fc, "%s (%d)", opts->why.text, err);
		if (err)
			return err;
	}
	if (!list_empty(&opts->changes) && switches_ro(fc)) {
		errorfc(fc, "somebody else has made it ro or rw meanwhile");
		return -EBUSY;
	}
	if (!(fc->sb_flags & SB_RDONLY) && sb_rdonly(sb) &&
	    IS_ERR(mica_rw_left_of(sb, mica_branches(sb)->nr))) {
		errorfc(fc, "none of the branches is writable");
		return -EROFS;
	}
	if ((fc->sb_flags & SB_RDONLY) && !sb_rdonly(sb))
		return sync_filesystem(sb);
	return 0;
}

static const struct fs_context_operations mica_context_operations = {
	.free			= mica_free_fc,
	.parse_param		= mica_parse_param,
	.parse_monolithic	= mica_parse_monolithic,
	.get_tree		= mica_get_tree,
	.reconfigure		= mica_reconfigure,
};

int mica_init_fs_context(struct fs_context *fc)
{
	struct mica_options *opts = kzalloc(sizeof(*opts), GFP_KERNEL);

	if (!opts)
		return -ENOMEM;
	INIT_LIST_HEAD(&opts->specs);
	INIT_LIST_HEAD(&opts->changes);
	fc->fs_private = opts;
	fc->ops = &mica_context_operations;
	return 0;
}

static void show_name(struct seq_file *m, const char *name)
{
	for (; *name; name++) {
		/* "\134" is mountinfo's way to say the backslash of unescape(). */
		if (strchr(":=,\\\"", *name))
			seq_printf(m, "\\134%03o", (unsigned char)*name);
		else if (isspace(*name) || *name == '#')
			seq_printf(m, "\\%03o", (unsigned char)*name);
		else
			seq_putc(m, *name);
	}
}

static const char *mode_name(const struct mica_branch *b)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (modes[i].rw == b->rw && modes[i].read == b->read)
			return modes[i].name;
	return "ro";
}

static void show_overlay(struct seq_file *m, const struct mica_super *ms)
{
	const struct mica_branches *set = ms->branches;
	unsigned int lower = set->branch[0]->rw ? 1 : 0;
	unsigned int i;

	for (i = lower; i < set->nr; i++) {
		seq_puts(m, i == lower ? ",lowerdir=" : ":");
		show_name(m, set->branch[i]->name);
	}
	if (!lower)
		return;
	seq_puts(m, ",upperdir=");
	show_name(m, set->branch[0]->name);
	seq_puts(m, ",workdir=");
	show_name(m, ms->workdir);
}

int mica_show_options(struct seq_file *m, struct dentry *root)
{
	struct mica_super *ms = mica_super(root->d_sb);
	int look = srcu_read_lock(&ms->srcu);
	const struct mica_branches *set = mica_branches(root->d_sb);
	unsigned int i;

	if (ms->overlay_syntax) {
		show_overlay(m, ms);
	} else {
		for (i = 0; i < set->nr; i++) {
			seq_puts(m, i ? ":" : ",dirs=");
			show_name(m, set->branch[i]->name);
			seq_printf(m, "=%s", mode_name(set->branch[i]));
		}
		if (ms->format->form != MICA_FORM_DOT)
			seq_printf(m, ",whiteout=%s", ms->format->name);
	}
	if (ms->do_volatile)
		seq_puts(m, ",volatile");
	if (ms->delete)
		seq_printf(m, ",delete=%s", delete_modes[ms->delete].name);
	if (ms->copyup_top)
		seq_puts(m, ",copyup=top");
	if (ms->create)
		seq_printf(m, ",create=%s", create_modes[ms->create].name);
	if (mica_in_userns(root->d_sb))
		seq_puts(m, ",userxattr");
	else if (ms->no_redirect)
		seq_puts(m, ",redirect_dir=off");
	if (ms->metacopy != default_metacopy(ms->format, ms->no_redirect))
		seq_printf(m, ",metacopy=%s", ms->metacopy ? "on" : "off");
	srcu_read_unlock(&ms->srcu, look);
	return 0;
}
