// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes: one for each object below and state it is found in; attributes and permissions.
 *
 * An inode holds a copy of the attributes that permission checks need. It is
 * renewed whenever the object is looked at, and compared on every check, so a
 * change below shows at once.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>

#include "boesfs.h"

static const struct inode_operations boesfs_file_inode_operations;
static const struct inode_operations boesfs_link_inode_operations;

#define BOESFS_COPIED_FLAGS (S_SYNC | S_DIRSYNC | S_IMMUTABLE | S_APPEND)

/* Takes over the attributes of the object below. */
void boesfs_copy_attr(struct inode *inode)
{
	struct inode *lower = boesfs_lower_inode(inode);

	spin_lock(&inode->i_lock);
	inode->i_uid = lower->i_uid;
	inode->i_gid = lower->i_gid;
	inode->i_mode = lower->i_mode;
	inode->i_blocks = lower->i_blocks;
	set_nlink(inode, lower->i_nlink);
	inode_set_atime_to_ts(inode, inode_get_atime(lower));
	inode_set_mtime_to_ts(inode, inode_get_mtime(lower));
	inode_set_ctime_to_ts(inode, inode_get_ctime(lower));
	i_size_write(inode, i_size_read(lower));
	inode_set_flags(inode, lower->i_flags & BOESFS_COPIED_FLAGS, BOESFS_COPIED_FLAGS);
	spin_unlock(&inode->i_lock);
}

/* Takes over what permission checks go by, and the size, if it has changed. Does not sleep. */
void boesfs_refresh(struct inode *inode)
{
	struct inode *lower = boesfs_lower_inode(inode);

	if (unlikely(READ_ONCE(inode->i_mode) != READ_ONCE(lower->i_mode) ||
		     i_size_read(inode) != i_size_read(lower) || !uid_eq(inode->i_uid, lower->i_uid) || !gid_eq(inode->i_gid, lower->i_gid) ||
		     ((inode->i_flags ^ lower->i_flags) & (S_IMMUTABLE | S_APPEND))))
		boesfs_copy_attr(inode);
}

struct boesfs_key {
	struct inode *lower;
	u32 generation;
	u32 state;
};

static int boesfs_inode_test(struct inode *inode, void *data)
{
	struct boesfs_inode *bi = boesfs_i(inode);
	struct boesfs_key *key = data;

	return bi->lower == key->lower && READ_ONCE(bi->generation) == key->generation &&
	       READ_ONCE(bi->state) == key->state;
}

static int boesfs_inode_set(struct inode *inode, void *data)
{
	struct boesfs_inode *bi = boesfs_i(inode);
	struct boesfs_key *key = data;

	bi->lower = igrab(key->lower);
	if (!bi->lower)
		return -ESTALE;
	bi->generation = key->generation;
	bi->state = key->state;
	return 0;
}

static void boesfs_inode_fill(struct inode *inode)
{
	struct inode *lower = boesfs_lower_inode(inode);

	inode->i_ino = lower->i_ino;
	inode->i_mode = lower->i_mode;
	/* Times are kept below. */
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	switch (inode->i_mode & S_IFMT) {
	case S_IFDIR:
		inode->i_op = &boesfs_dir_inode_operations;
		inode->i_fop = &boesfs_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &boesfs_link_inode_operations;
		break;
	case S_IFREG:
		inode->i_op = &boesfs_file_inode_operations;
		inode->i_fop = &boesfs_file_operations;
		break;
	default:
		inode->i_op = &boesfs_file_inode_operations;
		init_special_inode(inode, inode->i_mode, lower->i_rdev);
	}
	boesfs_copy_attr(inode);
	/* ACLs are kept below. */
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
}

/* The inode of @lower where it is found in state @state. */
struct inode *boesfs_iget(struct super_block *sb, struct inode *lower, u32 generation, u32 state)
{
	struct boesfs_key key = { .lower = lower, .generation = generation, .state = state };
	struct inode *inode;

	inode = iget5_locked(sb, (unsigned long)lower, boesfs_inode_test, boesfs_inode_set, &key);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!boesfs_inode_is_new(inode)) {
		boesfs_refresh(inode);
		return inode;
	}
	boesfs_inode_fill(inode);
	unlock_new_inode(inode);
	return inode;
}

/* Puts all names of @inode into @names, which has that much room, with references. Returns how many there are. */
static unsigned int boesfs_take_names(struct inode *inode, struct dentry **names, unsigned int room)
{
	unsigned int count = 0;
	struct dentry *dentry;

	spin_lock(&inode->i_lock);
	for_each_alias(dentry, inode)
		count++;
	if (count <= room) {
		for_each_alias(dentry, inode)
			*names++ = dget(dentry);
	}
	spin_unlock(&inode->i_lock);
	return count;
}

/*
 * Judges where the kernel does not say by which name it has come to @inode.
 * After an update the names of one inode may have different states: a
 * descriptor still leads to it by one that is not looked up any more. What one
 * of them is refused, is refused.
 */
static int boesfs_judge_names(struct inode *inode, int mask,
			      int (*judge)(struct dentry *dentry, int mask))
{
	struct dentry *few[4], **names = few;
	unsigned int room = ARRAY_SIZE(few), count, i;
	int err = 0;

	for (;;) {
		count = boesfs_take_names(inode, names, room);
		if (count <= room)
			break;
		if (names != few)
			kvfree(names);
		/* More may come meanwhile. */
		room = count + ARRAY_SIZE(few);
		names = kvmalloc_array(room, sizeof(*names), GFP_KERNEL);
		if (!names)
			return -ENOMEM;
	}
	if (!count)
		err = -ESTALE;
	for (i = 0; i < count; i++) {
		if (!err)
			err = judge(names[i], mask);
		dput(names[i]);
	}
	if (names != few)
		kvfree(names);
	return err;
}

/* Whether access(2) may say yes to @mask. */
static int boesfs_foretell(struct dentry *dentry, int mask)
{
	umode_t mode = d_inode(dentry)->i_mode;
	struct boesfs_args args = {};
	int err;

	err = boesfs_may(dentry, BOESFS_OP_STAT);
	if (!err && (mask & MAY_READ))
		err = boesfs_foresee(dentry, S_ISDIR(mode) ? BOESFS_OP_LIST : BOESFS_OP_READ, &args);
	if (!err && (mask & MAY_WRITE) && !S_ISDIR(mode))
		err = boesfs_foresee(dentry, BOESFS_OP_WRITE, &args);
	if (!err && (mask & MAY_EXEC) && S_ISREG(mode))
		err = boesfs_foresee(dentry, BOESFS_OP_EXEC, &args);
	return err;
}

/* FIFOs, sockets and devices are opened by the kernel itself: this is where it asks. */
static int boesfs_open_special(struct dentry *dentry, int mask)
{
	int err = 0;

	if (mask & MAY_READ)
		err = boesfs_may(dentry, BOESFS_OP_READ);
	if (!err && (mask & (MAY_WRITE | MAY_APPEND)))
		err = boesfs_may(dentry, mask & MAY_APPEND ? BOESFS_OP_APPEND : BOESFS_OP_WRITE);
	return err;
}

/*
 * The right to read alone is what the kernel asks for where something is
 * watched, and before it reads a user attribute, which is asked on its own.
 * Where it is not plain which, the task must have the right to watch.
 */
static int boesfs_watch(struct dentry *dentry, int mask)
{
	struct boesfs_args args = {};

	switch (boesfs_call()) {
	case BOESFS_CALL_GETXATTR:
		return 0;
	case BOESFS_CALL_OTHER:
		return boesfs_foresee(dentry, BOESFS_OP_WATCH, &args);
	default:
		return boesfs_may(dentry, BOESFS_OP_WATCH);
	}
}

static noinline int boesfs_permission_beyond_walking(struct inode *inode, int mask)
{
	struct boesfs_sb *sbi = boesfs_sb(inode->i_sb);
	struct inode *lower = boesfs_lower_inode(inode);
	const struct cred *old;
	int err;

	err = generic_permission(&nop_mnt_idmap, inode, mask);
	if (err)
		return err;
	if (mask & MAY_NOT_BLOCK)
		return -ECHILD;
	if (mask & MAY_ACCESS)
		err = boesfs_judge_names(inode, mask, boesfs_foretell);
	else if (special_file(inode->i_mode) && (mask & (MAY_OPEN | MAY_READ | MAY_WRITE)))
		err = boesfs_judge_names(inode, mask, boesfs_open_special);
	else if (mask == MAY_READ)
		err = boesfs_judge_names(inode, mask, boesfs_watch);
	if (err)
		return err;
	old = boesfs_override(inode->i_sb);
	err = inode_permission(mnt_idmap(sbi->mnt), lower, mask);
	boesfs_revert(old);
	return err;
}

int boesfs_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	struct inode *lower = boesfs_lower_inode(inode);

	/* Where the policy is gone nothing can be walked through either. */
	if (unlikely(!READ_ONCE(boesfs_sb(inode->i_sb)->generation)))
		return mask & MAY_NOT_BLOCK ? -ECHILD : -EACCES;
	boesfs_refresh_rights(inode, lower);
	/* Walking is not an operation. Without a policy's say the object below may still refuse. */
	if (likely(!(mask & ~(MAY_EXEC | MAY_NOT_BLOCK)) && !lower->i_op->permission))
		return generic_permission(&nop_mnt_idmap, inode, mask);
	return boesfs_permission_beyond_walking(inode, mask);
}

int boesfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 request_mask, unsigned int flags)
{
	struct dentry *dentry = path->dentry;
	struct path lower = boesfs_lower_path(dentry);
	const struct cred *old;
	int err;

	err = boesfs_may(dentry, BOESFS_OP_STAT);
	if (err)
		return err;
	old = boesfs_override(dentry->d_sb);
	err = vfs_getattr_nosec(&lower, stat, request_mask, flags & AT_STATX_SYNC_TYPE);
	boesfs_revert(old);
	if (err)
		return err;
	/* Also the device: the same numbers of inodes are the same files, and pathconf(3) goes by it. */
	boesfs_refresh(d_inode(dentry));
	return 0;
}

/* Judges what a change of attributes means; what the kernel adds for itself is not asked. */
static int boesfs_judge_attr(struct dentry *dentry, struct iattr *attr)
{
	unsigned int valid = attr->ia_valid;
	int err = 0;

	/* With O_TRUNC it was asked at open(2). */
	if ((valid & ATTR_SIZE) && !(valid & ATTR_OPEN)) {
		struct boesfs_args args = { .size = attr->ia_size };

		if (!boesfs_plainly(d_inode(dentry), BOESFS_OP_TRUNCATE))
			err = boesfs_judge(dentry, BOESFS_OP_TRUNCATE, &args);
	}
	if (!err && (valid & ATTR_MODE) && !(valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))) {
		struct boesfs_args args = { .mode = attr->ia_mode & 07777 };

		if (!boesfs_plainly(d_inode(dentry), BOESFS_OP_CHMOD))
			err = boesfs_judge(dentry, BOESFS_OP_CHMOD, &args);
	}
	if (!err && (valid & (ATTR_UID | ATTR_GID)))
		err = boesfs_may(dentry, BOESFS_OP_CHOWN);
	/* The kernel sends times along with a new size. */
	if (!err && (valid & (ATTR_ATIME | ATTR_MTIME)) && !(valid & ATTR_SIZE))
		err = boesfs_may(dentry, BOESFS_OP_UTIMES);
	return err;
}

int boesfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct dentry *lower = boesfs_lower(dentry);
	struct inode *inode = d_inode(dentry);
	unsigned int privileged = attr->ia_valid & ATTR_KILL_PRIV;
	struct iattr below = *attr;
	const struct cred *old;
	int err;

	err = boesfs_judge_attr(dentry, attr);
	if (err)
		return err;
	boesfs_refresh(inode);
	/* Capabilities are taken away below, where the kernel finds out whether there are any. */
	attr->ia_valid &= ~ATTR_KILL_PRIV;
	err = setattr_prepare(&nop_mnt_idmap, dentry, attr);
	if (err)
		return err;
	err = mnt_want_write(sbi->mnt);
	if (err)
		return err;
	/* setattr_prepare() may have taken set-group-id out of the mode. */
	below.ia_valid = attr->ia_valid | privileged;
	if (!S_ISDIR(inode->i_mode) &&
	    (below.ia_valid & (ATTR_UID | ATTR_GID | ATTR_SIZE | ATTR_KILL_SUID | ATTR_KILL_SGID)))
		below.ia_valid |= ATTR_KILL_PRIV;
	below.ia_mode = attr->ia_mode;
	if (below.ia_valid & ATTR_FILE)
		below.ia_file = boesfs_lower_file(attr->ia_file);
	/* The file below was not opened to be truncated. */
	below.ia_valid &= ~ATTR_OPEN;
	if (below.ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		below.ia_valid &= ~ATTR_MODE;
	if (attr->ia_valid & ATTR_SIZE)
		/* A file that may be written to is not executed at the same time, in whichever mount. */
		err = get_write_access(d_inode(lower));
	if (!err) {
		inode_lock(d_inode(lower));
		old = boesfs_override(dentry->d_sb);
		err = notify_change(mnt_idmap(sbi->mnt), lower, &below, NULL);
		boesfs_revert(old);
		inode_unlock(d_inode(lower));
		if (attr->ia_valid & ATTR_SIZE)
			put_write_access(d_inode(lower));
	}
	mnt_drop_write(sbi->mnt);
	boesfs_copy_attr(inode);
	return err;
}

static const char *boesfs_get_link(struct dentry *dentry, struct inode *inode,
				   struct delayed_call *done)
{
	const struct cred *old;
	const char *target;
	struct path lower;
	int err;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	lower = boesfs_lower_path(dentry);
	err = boesfs_may(dentry, BOESFS_OP_READLINK);
	if (err)
		return ERR_PTR(err);
	old = boesfs_override(dentry->d_sb);
	target = vfs_get_link(lower.dentry, done);
	if (!IS_ERR(target))
		touch_atime(&lower);
	boesfs_revert(old);
	return target;
}

/* Times are kept below: there is nothing to be updated here. */
static const struct inode_operations boesfs_file_inode_operations = {
	.permission	= boesfs_permission,
	.getattr	= boesfs_getattr,
	.setattr	= boesfs_setattr,
	.listxattr	= boesfs_listxattr,
	.get_inode_acl	= boesfs_get_inode_acl,
	.get_acl	= boesfs_get_acl,
	.set_acl	= boesfs_set_acl,
	.fileattr_get	= boesfs_fileattr_get,
	.fileattr_set	= boesfs_fileattr_set,
};

static const struct inode_operations boesfs_link_inode_operations = {
	.get_link	= boesfs_get_link,
	.permission	= boesfs_permission,
	.getattr	= boesfs_getattr,
	.setattr	= boesfs_setattr,
	.listxattr	= boesfs_listxattr,
};
