// SPDX-License-Identifier: GPL-2.0
/*
 * Extended attributes and ACLs: judged, then those of the object below.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>

#include "boesfs.h"

static int boesfs_judge_size(struct dentry *dentry, u32 op, size_t size, int flags)
{
	struct boesfs_args args = { .size = size, .flags = flags };

	if (boesfs_plainly(d_inode(dentry), op))
		return 0;
	return boesfs_judge(dentry, op, &args);
}

/*
 * Attributes of the file system itself, but for ACLs: the kernel leaves it to
 * the file system who may use them, so it is asked with the caller's rights.
 */
static const struct cred *boesfs_override_for(struct super_block *sb, const char *name)
{
	return strncmp(name, XATTR_SYSTEM_PREFIX, XATTR_SYSTEM_PREFIX_LEN) ?
		boesfs_override(sb) : boesfs_take_on(current_cred());
}

/* An alias of @inode for where the kernel gives none; with a reference, or NULL. */
static struct dentry *boesfs_dentry_of(struct dentry *dentry, struct inode *inode)
{
	return dentry && d_inode(dentry) == inode ? dget(dentry) : d_find_any_alias(inode);
}

static int boesfs_xattr_get(const struct xattr_handler *handler, struct dentry *given,
			    struct inode *inode, const char *name, void *value, size_t size)
{
	struct dentry *dentry = boesfs_dentry_of(given, inode);
	const struct cred *old;
	int ret;

	if (!dentry)
		return -ESTALE;
	/* The kernel asks for file capabilities by itself, at each exec and write: refused means there are none. */
	if (!strcmp(name, XATTR_NAME_CAPS) && !boesfs_plainly(inode, BOESFS_OP_GETXATTR)) {
		struct boesfs_args args = { .size = size };

		ret = boesfs_foresee(dentry, BOESFS_OP_GETXATTR, &args) ? -ENODATA : 0;
	} else {
		ret = boesfs_judge_size(dentry, BOESFS_OP_GETXATTR, size, 0);
	}
	if (!ret) {
		old = boesfs_override_for(inode->i_sb, name);
		ret = vfs_getxattr(mnt_idmap(boesfs_sb(inode->i_sb)->mnt), boesfs_lower(dentry),
				   name, value, size);
		boesfs_revert(old);
	}
	dput(dentry);
	return ret;
}

static int boesfs_xattr_set(const struct xattr_handler *handler, struct mnt_idmap *idmap,
			    struct dentry *dentry, struct inode *inode, const char *name,
			    const void *value, size_t size, int flags)
{
	struct boesfs_sb *sbi = boesfs_sb(inode->i_sb);
	struct mnt_idmap *lower_idmap = mnt_idmap(sbi->mnt);
	struct dentry *lower = boesfs_lower(dentry);
	const struct cred *old;
	int ret;

	ret = boesfs_judge_size(dentry, BOESFS_OP_SETXATTR, size, flags);
	if (ret)
		return ret;
	ret = mnt_want_write(sbi->mnt);
	if (ret)
		return ret;
	old = boesfs_override_for(inode->i_sb, name);
	ret = value ? vfs_setxattr(lower_idmap, lower, name, value, size, flags) :
		      vfs_removexattr(lower_idmap, lower, name);
	boesfs_revert(old);
	mnt_drop_write(sbi->mnt);
	boesfs_copy_attr(inode);
	return ret;
}

static const struct xattr_handler boesfs_xattr_handler = {
	.prefix	= "",
	.get	= boesfs_xattr_get,
	.set	= boesfs_xattr_set,
};

const struct xattr_handler * const boesfs_xattr_handlers[] = {
	&boesfs_xattr_handler,
	NULL,
};

ssize_t boesfs_listxattr(struct dentry *dentry, char *list, size_t size)
{
	const struct cred *old;
	ssize_t ret, left;
	size_t len;
	char *name;

	ret = boesfs_judge_size(dentry, BOESFS_OP_LISTXATTR, size, 0);
	if (ret)
		return ret;
	old = boesfs_override(dentry->d_sb);
	ret = vfs_listxattr(boesfs_lower(dentry), list, size);
	boesfs_revert(old);
	if (ret <= 0 || !size || ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN))
		return ret;
	/* The mounter sees trusted attributes, the caller does not. */
	for (name = list, left = ret; left > 0; left -= len) {
		len = strnlen(name, left) + 1;
		if (len > left)
			return -EIO;
		if (strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN)) {
			name += len;
		} else {
			ret -= len;
			memmove(name, name + len, left - len);
		}
	}
	return ret;
}

struct posix_acl *boesfs_get_inode_acl(struct inode *inode, int type, bool rcu)
{
	struct inode *lower = boesfs_lower_inode(inode);
	struct posix_acl *acl;
	const struct cred *old;

	if (!IS_POSIXACL(lower))
		return NULL;
	if (rcu)
		return get_cached_acl_rcu(lower, type);
	/* For permission checks: nobody asks for the attribute. */
	old = boesfs_override(inode->i_sb);
	acl = get_inode_acl(lower, type);
	boesfs_revert(old);
	return acl;
}

struct posix_acl *boesfs_get_acl(struct mnt_idmap *idmap, struct dentry *dentry, int type)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct posix_acl *acl;
	const struct cred *old;
	int err;

	err = boesfs_judge_size(dentry, BOESFS_OP_GETXATTR, 0, 0);
	if (err)
		return ERR_PTR(err);
	old = boesfs_override(dentry->d_sb);
	acl = vfs_get_acl(mnt_idmap(sbi->mnt), boesfs_lower(dentry), posix_acl_xattr_name(type));
	boesfs_revert(old);
	return acl;
}

/* A change of an ACL changes permissions: it is `chmod` as well. */
int boesfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct inode *inode = d_inode(dentry);
	const char *name = posix_acl_xattr_name(type);
	struct boesfs_args args = { .mode = inode->i_mode & 07777 };
	const struct cred *old;
	int err = 0;

	if (!boesfs_plainly(inode, BOESFS_OP_CHMOD))
		err = boesfs_judge(dentry, BOESFS_OP_CHMOD, &args);
	if (!err)
		err = boesfs_judge_size(dentry, BOESFS_OP_SETXATTR,
					acl ? posix_acl_xattr_size(acl->a_count) : 0, 0);
	if (err)
		return err;
	if (!IS_POSIXACL(boesfs_lower_inode(inode)))
		return -EOPNOTSUPP;
	if (type == ACL_TYPE_DEFAULT && !S_ISDIR(inode->i_mode))
		return acl ? -EACCES : 0;
	if (!inode_owner_or_capable(&nop_mnt_idmap, inode))
		return -EPERM;
	/* The mounter's write would not clear set-group-id where the caller's does. */
	if (acl && (inode->i_mode & S_ISGID) && type == ACL_TYPE_ACCESS && !in_group_p(inode->i_gid) &&
	    !capable_wrt_inode_uidgid(&nop_mnt_idmap, inode, CAP_FSETID)) {
		struct iattr attr = { .ia_valid = ATTR_KILL_SGID };

		err = boesfs_setattr(&nop_mnt_idmap, dentry, &attr);
		if (err)
			return err;
	}
	err = mnt_want_write(sbi->mnt);
	if (err)
		return err;
	old = boesfs_override(dentry->d_sb);
	err = acl ? vfs_set_acl(mnt_idmap(sbi->mnt), boesfs_lower(dentry), name, acl) :
		    vfs_remove_acl(mnt_idmap(sbi->mnt), boesfs_lower(dentry), name);
	boesfs_revert(old);
	mnt_drop_write(sbi->mnt);
	boesfs_copy_attr(inode);
	return err;
}
