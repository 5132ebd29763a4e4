// SPDX-License-Identifier: GPL-2.0-only
/* Extended attributes and POSIX ACLs: those of the first part. */
#include <linux/mount.h>
#include <linux/xattr.h>
#include "union.h"

/*
 * What begins like the attributes of the layers' format is below called
 * trusted.overlay.overlay.NAME in place of trusted.overlay.NAME, as in overlayfs:
 * so a union can be a branch of another one, or carry layers.
 */
#define ESCAPE "overlay."

/* What follows the prefix of the format's attributes, or NULL. */
static char *after_prefix(const struct super_block *sb, const char *name)
{
	size_t len;

	/* Each with a constant: every write asks for security.capability. */
	if (mica_in_userns(sb))
		len = str_has_prefix(name, MICA_XATTR_USER);
	else
		len = str_has_prefix(name, MICA_XATTR_PRIVATE);
	return len ? (char *)name + len : NULL;
}

/**
 * mica_xattr_private - does this attribute belong to the layers' format?
 * @sb: the union
 * @name: full name of the attribute in a branch
 *
 * Return: whether it is neither shown nor copied nor set through the union.
 */
bool mica_xattr_private(const struct super_block *sb, const char *name)
{
	name = after_prefix(sb, name);
	return name && !strstarts(name, ESCAPE);
}

/* What the union calls @name, as it is called in a branch; NULL if too long. */
static const char *name_below(const struct super_block *sb, const char *name,
			      char buf[XATTR_NAME_MAX + 1])
{
	const char *rest = after_prefix(sb, name);
	int len;

	if (!rest)
		return name;
	len = snprintf(buf, XATTR_NAME_MAX + 1, "%.*s" ESCAPE "%s",
		       (int)(rest - name), name, rest);
	return len > XATTR_NAME_MAX ? NULL : buf;
}

static int mica_xattr_get(const struct xattr_handler *handler,
			  struct dentry *dentry, struct inode *inode,
			  const char *name, void *buffer, size_t size)
{
	char buf[XATTR_NAME_MAX + 1];
	struct mica_look l;
	int ret;

	name = name_below(inode->i_sb, name, buf);
	if (!name)
		return -ERANGE;
	/* An exec would give them to the process, see is_forbidden(). */
	if (current->in_execve && (mica_forbidden(inode) & MNT_NOSUID) &&
	    !strcmp(name, XATTR_NAME_CAPS))
		return -ENODATA;
	mica_begin_look(inode, &l);
	ret = vfs_getxattr(mnt_idmap(l.real.mnt), l.real.dentry, name, buffer,
			   size);
	mica_end_look(inode, &l);
	/* Capabilities that mean nothing to the mounter hinder no execve(). */
	if (ret == -EOVERFLOW && !strcmp(name, XATTR_NAME_CAPS))
		return -ENODATA;
	return ret;
}

static int set_real(struct inode *inode, const char *name, const void *value,
		    size_t size, int flags)
{
	struct mica_change c;
	int err;

	err = mica_begin_change(inode, &c);
	if (err)
		return err;
	if (value)
		err = vfs_setxattr(mnt_idmap(c.real.mnt), c.real.dentry, name,
				   value, size, flags);
	else
		err = vfs_removexattr(mnt_idmap(c.real.mnt), c.real.dentry,
				      name);
	mica_end_change(inode, &c);
	return err;
}

static int mica_xattr_set(const struct xattr_handler *handler,
			  struct mnt_idmap *idmap, struct dentry *dentry,
			  struct inode *inode, const char *name,
			  const void *value, size_t size, int flags)
{
	char buf[XATTR_NAME_MAX + 1];
	const char *below = name_below(inode->i_sb, name, buf);
	int err;

	if (!below)
		return -ERANGE;
	/* Nothing is copied for an attribute that is not there to remove. */
	if (!value && !mica_is_rw(inode)) {
		err = mica_xattr_get(handler, dentry, inode, name, NULL, 0);
		if (err < 0)
			return err;
	}
	err = mica_copy_up_meta(dentry);
	return err ?: set_real(inode, below, value, size, flags);
}

static const struct xattr_handler mica_xattr_handler = {
	.prefix	= "",
	.get	= mica_xattr_get,
	.set	= mica_xattr_set,
};

const struct xattr_handler * const mica_xattr_handlers[] = {
#ifdef MICA_ACL_XATTR_HANDLERS
	MICA_ACL_XATTR_HANDLERS,
#endif
	&mica_xattr_handler,
	NULL
};

/* What a caller may not read is not listed to them, as elsewhere. */
static bool is_listed(const struct super_block *sb, const char *name)
{
	if (mica_xattr_private(sb, name))
		return false;
	return strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) ||
	       capable(CAP_SYS_ADMIN);
}

ssize_t mica_listxattr(struct dentry *dentry, char *list, size_t size)
{
	char *name, *rest, *end, *to;
	ssize_t len, shown;
	struct mica_look l;

	mica_begin_look(d_inode(dentry), &l);
	len = vfs_listxattr(l.real.dentry, list, size);
	mica_end_look(d_inode(dentry), &l);
	if (len <= 0 || !size)
		return len;

	to = list;
	end = list + len;
	for (name = list; name < end; name += len) {
		len = strnlen(name, end - name) + 1;
		if (!is_listed(dentry->d_sb, name))
			continue;
		shown = len;
		rest = after_prefix(dentry->d_sb, name);
		if (rest) {
			shown -= strlen(ESCAPE);
			memmove(rest, rest + strlen(ESCAPE),
				name + shown - rest);
		}
		memmove(to, name, shown);
		to += shown;
	}
	return to - list;
}

struct posix_acl *mica_get_inode_acl(struct inode *inode, int type, bool rcu)
{
	struct inode *real = mica_real_inode(inode);
	struct posix_acl *acl = NULL;
	struct mica_look l;

	if (rcu && !real)
		return ERR_PTR(-ECHILD);
	if (rcu)
		return IS_POSIXACL(real) ? get_cached_acl_rcu(real, type) : NULL;
	mica_begin_look(inode, &l);
	real = d_inode(l.real.dentry);
	if (IS_POSIXACL(real))
		acl = get_inode_acl(real, type);
	mica_end_look(inode, &l);
	return acl;
}

struct posix_acl *mica_get_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			       int type)
{
	struct inode *inode = d_inode(dentry);
	struct posix_acl *acl = NULL;
	struct mica_look l;

	mica_begin_look(inode, &l);
	if (IS_POSIXACL(d_inode(l.real.dentry)))
		acl = vfs_get_acl(mnt_idmap(l.real.mnt), l.real.dentry,
				  posix_acl_xattr_name(type));
	mica_end_look(inode, &l);
	return acl;
}

static int set_real_acl(struct inode *inode, struct posix_acl *acl, int type)
{
	const char *name = posix_acl_xattr_name(type);
	struct mica_change c;
	int err;

	err = mica_begin_change(inode, &c);
	if (err)
		return err;
	if (acl)
		err = vfs_set_acl(mnt_idmap(c.real.mnt), c.real.dentry, name,
				  acl);
	else
		err = vfs_remove_acl(mnt_idmap(c.real.mnt), c.real.dentry,
				     name);
	mica_end_change(inode, &c);
	return err;
}

int mica_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	struct iattr attr = { .ia_valid = ATTR_KILL_SGID };
	int err;

	if (!IS_POSIXACL(mica_real_inode(inode)))
		return -EOPNOTSUPP;
	err = mica_copy_up_meta(dentry);
	if (err)
		return err;

	/*
	 * The branch sees the mounter, who may keep the setgid bit; the
	 * caller may not. To take an ACL away changes no mode.
	 */
	if (acl && type == ACL_TYPE_ACCESS && (inode->i_mode & S_ISGID) &&
	    !in_group_p(inode->i_gid) &&
	    !capable_wrt_inode_uidgid(&nop_mnt_idmap, inode, CAP_FSETID)) {
		err = mica_setattr(&nop_mnt_idmap, dentry, &attr);
		if (err)
			return err;
	}
	return set_real_acl(inode, acl, type);
}

/* Before 6.2 the VFS gives the inode only. */
int mica_set_acl_of_inode(struct mnt_idmap *idmap, struct inode *inode,
			  struct posix_acl *acl, int type)
{
	struct dentry *dentry = d_find_any_alias(inode);
	int err;

	if (!dentry)
		return -ESTALE;
	err = mica_set_acl(idmap, dentry, acl, type);
	dput(dentry);
	return err;
}
