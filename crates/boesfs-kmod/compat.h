/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels. Each choice is made by compiling a few lines
 * against the kernel at hand (probes/), never by its version: stable kernels
 * and distributions take changes back.
 */
#ifndef BOESFS_COMPAT_H
#define BOESFS_COMPAT_H

#include <linux/backing-file.h>
#include <linux/fileattr.h>
#include <linux/fs.h>
#include <linux/namei.h>

#include "probed.h"

/* struct fileattr became struct file_kattr in 6.17. */
#ifdef BOESFS_HAVE_FILE_KATTR
#define boesfs_fileattr file_kattr
#else
#define boesfs_fileattr fileattr
#endif

/* inode->i_state is read through functions since 6.19. */
static inline bool boesfs_inode_is_new(struct inode *inode)
{
#ifdef BOESFS_HAVE_INODE_STATE_READ
	return inode_state_read_once(inode) & I_NEW;
#else
	return inode->i_state & I_NEW;
#endif
}

/* The names of an inode, whose lock is held. */
#ifndef for_each_alias
#define for_each_alias(dentry, inode)							\
	hlist_for_each_entry(dentry, &(inode)->i_dentry, d_u.d_alias)
#endif

#ifdef BOESFS_HAVE_INODE_JUST_DROP
#define boesfs_drop_inode inode_just_drop
#else
#define boesfs_drop_inode generic_delete_inode
#endif

static inline void boesfs_set_dentry_ops(struct super_block *sb, const struct dentry_operations *ops)
{
#ifdef BOESFS_HAVE_SET_DEFAULT_D_OP
	set_default_d_op(sb, ops);
#else
	sb->s_d_op = ops;
#endif
}

static inline struct dentry *boesfs_lookup_lower(struct mnt_idmap *idmap, const struct qstr *name,
						 struct dentry *base)
{
#ifdef BOESFS_HAVE_LOOKUP_QSTR
	struct qstr copy = QSTR_LEN(name->name, name->len);

	return lookup_one_unlocked(idmap, &copy, base);
#else
	return lookup_one_unlocked(idmap, name->name, base, name->len);
#endif
}

static inline int boesfs_revalidate_lower(struct dentry *parent, struct dentry *dentry,
					  unsigned int flags)
{
#ifdef BOESFS_HAVE_REVALIDATE_NAME
	struct name_snapshot name;
	int ret;

	take_dentry_name_snapshot(&name, dentry);
	ret = dentry->d_op->d_revalidate(d_inode(parent), &name.name, dentry, flags);
	release_dentry_name_snapshot(&name);
	return ret;
#else
	return dentry->d_op->d_revalidate(dentry, flags);
#endif
}

/* Whether @name in @parent still leads to @lower. */
static inline bool boesfs_is_still(struct dentry *lower, struct dentry *parent,
				   const struct qstr *name)
{
	bool ret;

	spin_lock(&lower->d_lock);
	/* Not every file system keeps what is not there among its names. */
	ret = (d_really_is_negative(lower) || !d_unhashed(lower)) && lower->d_parent == parent &&
	      lower->d_name.len == name->len &&
	      !memcmp(lower->d_name.name, name->name, name->len);
	spin_unlock(&lower->d_lock);
	return ret;
}

static inline void boesfs_end(struct dentry *parent, struct dentry *child)
{
#ifdef BOESFS_HAVE_START_DENTRY
	end_creating(child);
#else
	inode_unlock(d_inode(parent));
	dput(child);
#endif
}

/* The lower directory is locked and @child is still in it under @name; or an error. */
static inline int boesfs_start(struct dentry *parent, struct dentry *child,
			       const struct qstr *name, bool removing)
{
#ifdef BOESFS_HAVE_START_DENTRY
	struct dentry *got = removing ? start_removing_dentry(parent, child) :
					start_creating_dentry(parent, child);

	if (IS_ERR(got))
		return PTR_ERR(got) == -EINVAL ? -ESTALE : PTR_ERR(got);
#else
	inode_lock_nested(d_inode(parent), I_MUTEX_PARENT);
	dget(child);
#endif
	if (boesfs_is_still(child, parent, name) && !d_unhashed(child))
		return 0;
	boesfs_end(parent, child);
	return -ESTALE;
}

static inline int boesfs_vfs_create(struct mnt_idmap *idmap, struct dentry *parent,
				    struct dentry *dentry, umode_t mode)
{
#ifdef BOESFS_HAVE_DELEGATED_CREATE
	return vfs_create(idmap, dentry, mode, NULL);
#else
	return vfs_create(idmap, d_inode(parent), dentry, mode, true);
#endif
}

static inline int boesfs_vfs_mknod(struct mnt_idmap *idmap, struct dentry *parent,
				   struct dentry *dentry, umode_t mode, dev_t dev)
{
#ifdef BOESFS_HAVE_DELEGATED_CREATE
	return vfs_mknod(idmap, d_inode(parent), dentry, mode, dev, NULL);
#else
	return vfs_mknod(idmap, d_inode(parent), dentry, mode, dev);
#endif
}

static inline int boesfs_vfs_symlink(struct mnt_idmap *idmap, struct dentry *parent,
				     struct dentry *dentry, const char *target)
{
#ifdef BOESFS_HAVE_DELEGATED_CREATE
	return vfs_symlink(idmap, d_inode(parent), dentry, target, NULL);
#else
	return vfs_symlink(idmap, d_inode(parent), dentry, target);
#endif
}

static inline int boesfs_vfs_rmdir(struct mnt_idmap *idmap, struct dentry *parent,
				   struct dentry *dentry)
{
#ifdef BOESFS_HAVE_DELEGATED_CREATE
	return vfs_rmdir(idmap, d_inode(parent), dentry, NULL);
#else
	return vfs_rmdir(idmap, d_inode(parent), dentry);
#endif
}

/*
 * Makes a directory and unlocks the parent. Gives the new dentry, which may be
 * another than @dentry, with a reference; it is negative where the file system
 * below wants another lookup.
 */
static inline struct dentry *boesfs_vfs_mkdir(struct mnt_idmap *idmap, struct dentry *parent,
					      struct dentry *dentry, umode_t mode)
{
#ifdef BOESFS_HAVE_START_DENTRY
	struct dentry *made = vfs_mkdir(idmap, d_inode(parent), dentry, mode, NULL);

	return end_creating_keep(made);
#elif defined(BOESFS_HAVE_MKDIR_DENTRY)
	struct dentry *made = vfs_mkdir(idmap, d_inode(parent), dentry, mode);

	inode_unlock(d_inode(parent));
	return made;
#else
	int err = vfs_mkdir(idmap, d_inode(parent), dentry, mode);

	inode_unlock(d_inode(parent));
	if (!err)
		return dentry;
	dput(dentry);
	return ERR_PTR(err);
#endif
}

struct boesfs_rename {
	struct renamedata data;
	struct dentry *trap;
};

/*
 * Both lower directories are locked and both dentries still in them; or an
 * error. That an object would go into itself the kernel has found out above:
 * where only the tree below says so, it has moved.
 */
static inline int boesfs_start_rename(struct boesfs_rename *rename, struct mnt_idmap *idmap,
				      struct dentry *old_parent, struct dentry *old,
				      struct dentry *new_parent, struct dentry *new,
				      unsigned int flags)
{
#ifdef BOESFS_HAVE_START_RENAMING
	int err;

	rename->data = (struct renamedata) {
		.mnt_idmap = idmap,
		.old_parent = old_parent,
		.new_parent = new_parent,
		.flags = flags,
	};
	err = start_renaming_two_dentries(&rename->data, old, new);
	return err == -EINVAL ? -ESTALE : err;
#else
	struct dentry *trap = lock_rename(old_parent, new_parent);

	if (IS_ERR(trap))
		return PTR_ERR(trap);
	if (old->d_parent != old_parent || new->d_parent != new_parent || d_unhashed(old) ||
	    d_unhashed(new)) {
		unlock_rename(old_parent, new_parent);
		return -ESTALE;
	}
	if (trap == old || trap == new) {
		unlock_rename(old_parent, new_parent);
		return trap == old ? -ESTALE : -ENOTEMPTY;
	}
#ifdef BOESFS_HAVE_RENAME_PARENTS
	rename->data = (struct renamedata) {
		.mnt_idmap = idmap,
		.old_parent = old_parent,
		.new_parent = new_parent,
#else
	rename->data = (struct renamedata) {
		.old_mnt_idmap = idmap,
		.old_dir = d_inode(old_parent),
		.new_mnt_idmap = idmap,
		.new_dir = d_inode(new_parent),
#endif
		.old_dentry = old,
		.new_dentry = new,
		.flags = flags,
	};
	return 0;
#endif
}

static inline void boesfs_end_rename(struct boesfs_rename *rename, struct dentry *old_parent,
				     struct dentry *new_parent)
{
#ifdef BOESFS_HAVE_START_RENAMING
	end_renaming(&rename->data);
#else
	unlock_rename(old_parent, new_parent);
#endif
}

static inline struct file *boesfs_backing_open(struct file *file, int flags,
					       const struct path *lower, const struct cred *cred)
{
#ifdef BOESFS_HAVE_BACKING_USER_FILE
	return backing_file_open(file, flags, lower, cred);
#else
	return backing_file_open(&file->f_path, flags, lower, cred);
#endif
}

static inline struct file *boesfs_backing_tmpfile(struct file *file, int flags,
						  const struct path *lower, umode_t mode,
						  const struct cred *cred)
{
#ifdef BOESFS_HAVE_BACKING_USER_FILE
	return backing_tmpfile_open(file, flags, lower, mode, cred);
#else
	return backing_tmpfile_open(&file->f_path, flags, lower, mode, cred);
#endif
}

#ifdef BOESFS_HAVE_BACKING_KIOCB
#define BOESFS_BACKING_CTX(name, file, wrote)						\
	struct backing_file_ctx name = {						\
		.cred = boesfs_sb(file_inode(file)->i_sb)->cred,			\
		.end_write = wrote,							\
	}
#else
#define BOESFS_BACKING_CTX(name, file, wrote)						\
	struct backing_file_ctx name = {						\
		.cred = boesfs_sb(file_inode(file)->i_sb)->cred,			\
		.user_file = file,							\
		.end_write = wrote,							\
	}
#endif

static inline ssize_t boesfs_backing_splice_read(struct file *lower, struct file *file, loff_t *pos,
						 struct pipe_inode_info *pipe, size_t len,
						 unsigned int flags, struct backing_file_ctx *ctx)
{
#ifdef BOESFS_HAVE_BACKING_KIOCB
	struct kiocb iocb;
	ssize_t ret;

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = *pos;
	ret = backing_file_splice_read(lower, &iocb, pipe, len, flags, ctx);
	*pos = iocb.ki_pos;
	return ret;
#else
	return backing_file_splice_read(lower, pos, pipe, len, flags, ctx);
#endif
}

#endif
