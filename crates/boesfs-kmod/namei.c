// SPDX-License-Identifier: GPL-2.0
/*
 * Making, removing and moving names.
 *
 * Each name is judged by its own path. What is made below belongs to the
 * caller: the mounter's credentials are taken with the caller's ids.
 */
#include <linux/slab.h>

#include "boesfs.h"

/* The mounter's credentials with the ids that new objects get; to be given back. */
static const struct cred *boesfs_making_cred(struct super_block *sb)
{
	const struct cred *mounter = boesfs_sb(sb)->cred;
	const struct cred *task = current_cred();
	const struct cred *old;
	struct cred *cred;

	if (uid_eq(task->fsuid, mounter->fsuid) && gid_eq(task->fsgid, mounter->fsgid))
		return get_cred(mounter);
	old = boesfs_take_on(mounter);
	cred = prepare_creds();
	boesfs_revert(old);
	if (!cred)
		return NULL;
	cred->fsuid = task->fsuid;
	cred->fsgid = task->fsgid;
	return cred;
}

/* Puts into @dentry what has been made below. */
static int boesfs_instantiate(struct inode *dir, struct dentry *dentry, struct dentry *lower,
			      const struct boesfs_place *place)
{
	struct dentry *parent = boesfs_lower(dentry->d_parent);
	u32 generation, state;
	struct inode *inode;
	unsigned int seq;

	boesfs_copy_attr(dir);
	/* The next lookup finds it. A dentry below that others may be looking at is not replaced. */
	if (lower != boesfs_lower(dentry) || d_is_negative(lower)) {
		d_drop(dentry);
		return 0;
	}
	seq = raw_read_seqcount(&lower->d_seq);
	/* Where it is cannot have changed since it was judged: its directory is locked. */
	if (likely(place->generation == READ_ONCE(boesfs_sb(dir->i_sb)->generation))) {
		generation = place->generation;
		state = place->state;
		inode = boesfs_inode_at(dir->i_sb, d_inode(lower), place);
	} else {
		inode = boesfs_inode_for(dentry, d_inode(lower), &generation, &state);
	}
	if (IS_ERR(inode)) {
		d_drop(dentry);
		return PTR_ERR(inode);
	}
	boesfs_copy_attr(inode);
	/* Moved away below already: it is looked at anew. */
	dentry->d_time = boesfs_is_still(lower, parent, &dentry->d_name) ? seq : seq - 1;
	d_instantiate(dentry, inode);
	boesfs_confirm(inode, generation, state);
	return 0;
}

/* What is to be made. */
struct boesfs_making {
	umode_t mode;
	dev_t rdev;
	const char *target;
	struct dentry *link;
	/* Of BOESFS_NEVER where that is to be found out. */
	struct boesfs_place place;
};

/* Makes it below, in the locked directory; consumes the lock. */
static struct dentry *boesfs_make_below(struct mnt_idmap *idmap, struct dentry *parent,
					struct dentry *lower, struct boesfs_making *making)
{
	int err;

	if (S_ISDIR(making->mode))
		return boesfs_vfs_mkdir(idmap, parent, lower, making->mode);
	if (making->link)
		err = vfs_link(making->link, idmap, d_inode(parent), lower, NULL);
	else if (S_ISREG(making->mode))
		err = boesfs_vfs_create(idmap, parent, lower, making->mode);
	else if (S_ISLNK(making->mode))
		err = boesfs_vfs_symlink(idmap, parent, lower, making->target);
	else
		err = boesfs_vfs_mknod(idmap, parent, lower, making->mode, making->rdev);
	if (!err)
		dget(lower);
	boesfs_end(parent, lower);
	return err ? ERR_PTR(err) : lower;
}

static int boesfs_make(struct inode *dir, struct dentry *dentry, struct boesfs_making *making)
{
	struct boesfs_sb *sbi = boesfs_sb(dir->i_sb);
	struct dentry *parent = boesfs_lower(dentry->d_parent);
	struct dentry *lower = boesfs_lower(dentry), *made;
	const struct cred *cred, *old;
	int err;

	err = mnt_want_write(sbi->mnt);
	if (err)
		return err;
	cred = boesfs_making_cred(dir->i_sb);
	if (!cred) {
		err = -ENOMEM;
		goto out;
	}
	old = boesfs_take_on(cred);
	err = boesfs_start(parent, lower, &dentry->d_name, false);
	if (!err) {
		made = boesfs_make_below(mnt_idmap(sbi->mnt), parent, lower, making);
		err = PTR_ERR_OR_ZERO(made);
	}
	boesfs_revert(old);
	put_cred(cred);
	if (!err) {
		err = boesfs_instantiate(dir, dentry, made, &making->place);
		dput(made);
	}
out:
	mnt_drop_write(sbi->mnt);
	return err;
}

static int boesfs_do_create(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct boesfs_args args = { .mode = mode & 07777 };
	struct boesfs_making making = { .mode = (mode & 07777) | S_IFREG };
	int err = boesfs_judge_new(dentry, BOESFS_OP_CREATE, &args, &making.place);

	return err ?: boesfs_make(dir, dentry, &making);
}

#ifdef BOESFS_HAVE_CREATE_NO_EXCL
static int boesfs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 umode_t mode)
#else
static int boesfs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 umode_t mode, bool excl)
#endif
{
	return boesfs_do_create(dir, dentry, mode);
}

static int boesfs_do_mkdir(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct boesfs_args args = { .mode = mode & 07777 };
	struct boesfs_making making = { .mode = (mode & 07777) | S_IFDIR };
	int err = boesfs_judge_new(dentry, BOESFS_OP_MKDIR, &args, &making.place);

	return err ?: boesfs_make(dir, dentry, &making);
}

#ifdef BOESFS_HAVE_MKDIR_DENTRY
static struct dentry *boesfs_mkdir(struct mnt_idmap *idmap, struct inode *dir,
				   struct dentry *dentry, umode_t mode)
{
	return ERR_PTR(boesfs_do_mkdir(dir, dentry, mode));
}
#else
static int boesfs_mkdir(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode)
{
	return boesfs_do_mkdir(dir, dentry, mode);
}
#endif

static int boesfs_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, dev_t rdev)
{
	struct boesfs_args args = { .mode = mode };
	struct boesfs_making making = { .mode = mode, .rdev = rdev };
	int err;

	/* A plain file without a type. */
	if (S_ISREG(mode) || !(mode & S_IFMT))
		return boesfs_do_create(dir, dentry, mode);
	/* The whiteouts of an overlay would be an object that nobody can name here. */
	err = boesfs_judge_new(dentry, BOESFS_OP_MKNOD, &args, &making.place);
	return err ?: boesfs_make(dir, dentry, &making);
}

static int boesfs_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			  const char *target)
{
	struct boesfs_making making = { .mode = S_IFLNK | 0777, .target = target };
	struct boesfs_args args = {};
	int err = boesfs_judge_new(dentry, BOESFS_OP_SYMLINK, &args, &making.place);

	return err ?: boesfs_make(dir, dentry, &making);
}

/* A second name. Each operation is judged first; then nobody may gain rights by it. */
static int boesfs_link(struct dentry *old_dentry, struct inode *dir, struct dentry *dentry)
{
	struct boesfs_making making = {
		.mode = S_IFREG,
		.link = boesfs_lower(old_dentry),
		.place.generation = BOESFS_NEVER,
	};
	struct boesfs_policy *policy = boesfs_start_move(dir->i_sb);
	int err;

	if (IS_ERR(policy))
		return PTR_ERR(policy);
	err = boesfs_may(old_dentry, BOESFS_OP_LINK);
	if (!err)
		err = boesfs_may(dentry, BOESFS_OP_CREATE);
	if (!err)
		err = boesfs_move(old_dentry, dentry);
	if (!err)
		err = boesfs_make(dir, dentry, &making);
	boesfs_end_move(policy);
	if (!err)
		boesfs_copy_attr(d_inode(old_dentry));
	return err;
}

static int boesfs_remove(struct inode *dir, struct dentry *dentry, u32 op)
{
	struct boesfs_sb *sbi = boesfs_sb(dir->i_sb);
	struct dentry *parent = boesfs_lower(dentry->d_parent);
	struct dentry *lower = boesfs_lower(dentry);
	const struct cred *old;
	int err;

	err = boesfs_may(dentry, op);
	if (err)
		return err;
	err = mnt_want_write(sbi->mnt);
	if (err)
		return err;
	/* With a second reference the dentry below keeps its inode, which open files here need. */
	dget(lower);
	old = boesfs_override(dir->i_sb);
	err = boesfs_start(parent, lower, &dentry->d_name, true);
	if (!err && d_inode(lower) != boesfs_lower_inode(d_inode(dentry))) {
		boesfs_end(parent, lower);
		err = -ESTALE;
	}
	if (!err) {
		if (op == BOESFS_OP_RMDIR)
			err = boesfs_vfs_rmdir(mnt_idmap(sbi->mnt), parent, lower);
		else
			err = vfs_unlink(mnt_idmap(sbi->mnt), d_inode(parent), lower, NULL);
		boesfs_end(parent, lower);
	}
	boesfs_revert(old);
	if (!err) {
		boesfs_copy_attr(dir);
		boesfs_copy_attr(d_inode(dentry));
		if (op == BOESFS_OP_RMDIR)
			clear_nlink(d_inode(dentry));
		/* Kept as a negative one it would hold the object below, and its blocks. */
		d_drop(dentry);
	}
	dput(lower);
	mnt_drop_write(sbi->mnt);
	return err;
}

static int boesfs_unlink(struct inode *dir, struct dentry *dentry)
{
	return boesfs_remove(dir, dentry, BOESFS_OP_UNLINK);
}

static int boesfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	return boesfs_remove(dir, dentry, BOESFS_OP_RMDIR);
}

/* The operation by which an object of that kind is made. */
static u32 boesfs_making_op(struct dentry *dentry)
{
	switch (d_inode(dentry)->i_mode & S_IFMT) {
	case S_IFREG:
		return BOESFS_OP_CREATE;
	case S_IFDIR:
		return BOESFS_OP_MKDIR;
	case S_IFLNK:
		return BOESFS_OP_SYMLINK;
	default:
		return BOESFS_OP_MKNOD;
	}
}

/* Judges that @what arrives at the name @at, in the directory @dir. */
static int boesfs_judge_arrival(struct dentry *what, struct inode *dir, struct dentry *at)
{
	struct boesfs_args args = {
		.mode = d_inode(what)->i_mode & 07777,
		.owner = boesfs_lower_inode(dir)->i_uid,
		.has_owner = true,
	};

	return boesfs_judge(at, boesfs_making_op(what), &args);
}

static int boesfs_judge_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			       struct dentry *new, unsigned int flags)
{
	struct boesfs_args args = { .flags = flags };
	struct boesfs_args none = {};
	bool exchange = flags & RENAME_EXCHANGE;
	int err;

	err = boesfs_plainly(d_inode(old), BOESFS_OP_RENAME) ? 0 :
		boesfs_judge(old, BOESFS_OP_RENAME, &args);
	if (!err)
		err = boesfs_judge_arrival(old, new_dir, new);
	if (!err && exchange)
		err = boesfs_judge(new, BOESFS_OP_RENAME, &args);
	if (!err && exchange)
		err = boesfs_judge_arrival(new, old_dir, old);
	if (!err && !exchange && d_really_is_positive(new))
		err = boesfs_judge(new, d_is_dir(new) ? BOESFS_OP_RMDIR : BOESFS_OP_UNLINK, &none);
	if (!err && (flags & RENAME_WHITEOUT))
		err = boesfs_judge(old, BOESFS_OP_MKNOD, &none);
	if (!err)
		err = boesfs_move(old, new);
	if (!err && exchange)
		err = boesfs_move(new, old);
	return err;
}

/* What has been moved is looked at anew: its state is that of its new name. */
static void boesfs_moved(struct dentry *dentry, bool same_state)
{
	struct inode *inode = d_inode(dentry);
	int ret;

	boesfs_copy_attr(inode);
	if (same_state || S_ISDIR(inode->i_mode))
		return;
	boesfs_forget_state(inode);
	ret = boesfs_resync_moved(dentry);
	/* Where that did not work it is refused until it does. */
	WARN_ON_ONCE(ret > 1);
}

/*
 * What d_exchange() does, which modules may not call: three moves by way of a
 * name that nobody looks up, since both directories are locked.
 */
struct boesfs_exchange {
	struct dentry *aside;
	struct dentry *old_place;
	struct dentry *new_place;
};

static int boesfs_prepare_exchange(struct boesfs_exchange *exchange, struct dentry *old,
				   struct dentry *new)
{
	static const struct qstr aside = QSTR_INIT("", 0);

	exchange->aside = d_alloc(old->d_parent, &aside);
	exchange->old_place = d_alloc(old->d_parent, &old->d_name);
	exchange->new_place = d_alloc(new->d_parent, &new->d_name);
	return exchange->aside && exchange->old_place && exchange->new_place ? 0 : -ENOMEM;
}

static void boesfs_do_exchange(struct boesfs_exchange *exchange, struct dentry *old,
			       struct dentry *new)
{
	d_move(old, exchange->aside);
	d_move(new, exchange->old_place);
	d_move(old, exchange->new_place);
}

static void boesfs_end_exchange(struct boesfs_exchange *exchange)
{
	dput(exchange->aside);
	dput(exchange->old_place);
	dput(exchange->new_place);
}

static bool boesfs_same_state(struct dentry *a, struct dentry *b)
{
	struct boesfs_inode *one = boesfs_i(d_inode(a)), *two;

	if (d_really_is_negative(b))
		return false;
	two = boesfs_i(d_inode(b));
	return READ_ONCE(one->generation) == READ_ONCE(two->generation) &&
	       READ_ONCE(one->state) == READ_ONCE(two->state);
}

/* Whether what is called @dentry below, under a lock there, still is what has been judged. */
static bool boesfs_is_judged(struct dentry *dentry, struct dentry *lower)
{
	struct inode *inode = d_inode(dentry);

	return boesfs_is_still(lower, boesfs_lower(dentry->d_parent), &dentry->d_name) &&
	       d_inode(lower) == (inode ? boesfs_lower_inode(inode) : NULL);
}

static int boesfs_do_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			    struct dentry *new, unsigned int flags)
{
	struct boesfs_sb *sbi = boesfs_sb(old_dir->i_sb);
	struct dentry *old_parent = boesfs_lower(old->d_parent);
	struct dentry *new_parent = boesfs_lower(new->d_parent);
	struct dentry *lower_old = boesfs_lower(old), *lower_new = boesfs_lower(new);
	struct inode *overwritten = d_inode(new);
	struct boesfs_exchange exchange = {};
	struct boesfs_rename rename;
	const struct cred *cred;
	bool same, nothing = false;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	err = boesfs_judge_rename(old_dir, old, new_dir, new, flags);
	if (err)
		return err;
	if (flags & RENAME_EXCHANGE)
		err = boesfs_prepare_exchange(&exchange, old, new);
	if (!err)
		err = mnt_want_write(sbi->mnt);
	if (err)
		goto out;
	same = boesfs_same_state(old, new);
	dget(lower_old);
	dget(lower_new);
	cred = boesfs_override(old_dir->i_sb);
	err = boesfs_start_rename(&rename, mnt_idmap(sbi->mnt), old_parent, lower_old, new_parent,
				  lower_new, flags);
	if (!err) {
		/* Two names of one object: rename(2) does nothing, and neither does the kernel below. */
		nothing = d_inode(lower_old) == d_inode(lower_new);
		if (!boesfs_is_judged(old, lower_old) || !boesfs_is_judged(new, lower_new))
			err = -ESTALE;
		else if (!nothing)
			err = vfs_rename(&rename.data);
		boesfs_end_rename(&rename, old_parent, new_parent);
	}
	boesfs_revert(cred);
	dput(lower_new);
	dput(lower_old);
	mnt_drop_write(sbi->mnt);
	if (err || nothing)
		goto out;
	if (flags & RENAME_EXCHANGE) {
		boesfs_do_exchange(&exchange, old, new);
		boesfs_moved(new, same);
	} else {
		d_move(old, new);
	}
	boesfs_moved(old, same);
	boesfs_copy_attr(old_dir);
	boesfs_copy_attr(new_dir);
	if (overwritten && !(flags & RENAME_EXCHANGE)) {
		boesfs_copy_attr(overwritten);
		if (S_ISDIR(overwritten->i_mode))
			clear_nlink(overwritten);
	}
out:
	boesfs_end_exchange(&exchange);
	return err;
}

/* The policy is not replaced meanwhile: a state found in between would be that of the old place. */
static int boesfs_rename(struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old,
			 struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	struct boesfs_policy *policy = boesfs_start_move(old_dir->i_sb);
	int err;

	if (IS_ERR(policy))
		return PTR_ERR(policy);
	err = boesfs_do_rename(old_dir, old, new_dir, new, flags);
	boesfs_end_move(policy);
	return err;
}

/*
 * open(2) of a name that is not there yet: create is judged with the flags,
 * and what the open means before anything is made.
 */
static int boesfs_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
			      unsigned int flags, umode_t mode)
{
	struct boesfs_making making = { .mode = (mode & 07777) | S_IFREG };
	struct boesfs_args args = { .flags = boesfs_user_flags(file), .mode = mode & 07777 };
	u32 generation = READ_ONCE(boesfs_sb(dir->i_sb)->generation);
	struct dentry *found = NULL;
	kuid_t owner = current_fsuid();
	int err;

	if (d_in_lookup(dentry)) {
		found = boesfs_lookup(dir, dentry, 0);
		if (IS_ERR(found))
			return PTR_ERR(found);
		if (found)
			dentry = found;
	}
	if (!(flags & O_CREAT) || d_really_is_positive(dentry))
		return finish_no_open(file, found);
	/* What opening means is asked at once. Nothing is truncated that is made. */
	if (!boesfs_plainly_new(dentry, BIT(BOESFS_OP_CREATE) |
				(boesfs_open_ops(file) & ~BIT(BOESFS_OP_TRUNCATE)), &making.place)) {
		err = boesfs_judge(dentry, BOESFS_OP_CREATE, &args);
		if (!err)
			err = boesfs_judge_open(dentry, file, &owner);
		if (err)
			goto out;
	}
	err = boesfs_make(dir, dentry, &making);
	if (err == -EEXIST && !(file->f_flags & O_EXCL)) {
		/* Made below a moment ago: looked up again, it is there. */
		d_drop(dentry);
		err = -ESTALE;
	}
	if (!err) {
		file->f_mode |= FMODE_CREATED;
		err = d_really_is_positive(dentry) ?
			finish_open(file, dentry, boesfs_open_made) : -ESTALE;
	}
	if (!err)
		boesfs_grant_made(file, generation);
out:
	dput(found);
	return err;
}

/* A file without a name has the rights of one that no literal pattern is meant for. */
static int boesfs_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file,
			  umode_t mode)
{
	static const struct qstr unnamed = QSTR_INIT("#tmpfile", 8);
	struct boesfs_sb *sbi = boesfs_sb(dir->i_sb);
	struct dentry *dentry = file->f_path.dentry;
	struct path parent = boesfs_lower_path(dentry->d_parent);
	struct boesfs_args args = { .flags = boesfs_user_flags(file), .mode = mode & 07777 };
	u32 generation = READ_ONCE(sbi->generation);
	kuid_t owner = current_fsuid();
	struct boesfs_file *bf;
	struct boesfs_ops *ops;
	const struct cred *cred, *old;
	struct inode *inode;
	struct file *lower;
	u32 state, found;
	int idx, err;

	err = boesfs_judge(dentry, BOESFS_OP_CREATE, &args);
	if (!err)
		err = boesfs_judge_open(dentry, file, &owner);
	if (err)
		return err;
	cred = boesfs_making_cred(dir->i_sb);
	if (!cred)
		return -ENOMEM;
	err = mnt_want_write(sbi->mnt);
	if (err)
		goto put;
	old = boesfs_take_on(cred);
	lower = boesfs_backing_tmpfile(file, file->f_flags & ~(O_CREAT | O_NOCTTY | O_TRUNC), &parent,
				       mode, cred);
	boesfs_revert(old);
	mnt_drop_write(sbi->mnt);
	err = PTR_ERR_OR_ZERO(lower);
	if (err)
		goto put;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	err = ops ? boesfs_resolve(ops, dentry->d_parent, &state) : -EACCES;
	if (!err) {
		state = boesfs_step(ops, state, &unnamed);
		found = boesfs_generation(ops);
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	if (!err) {
		inode = boesfs_iget(dir->i_sb, file_inode(lower), found, state);
		err = PTR_ERR_OR_ZERO(inode);
	}
	if (err) {
		fput(lower);
		goto put;
	}
	bf = boesfs_file_alloc(sbi, lower, 0);
	if (!bf) {
		iput(inode);
		fput(lower);
		err = -ENOMEM;
		goto put;
	}
	boesfs_set_lower(dentry, dget(lower->f_path.dentry));
	d_mark_tmpfile(file, inode);
	d_instantiate(dentry, inode);
	file->private_data = bf;
	err = finish_open(file, dentry, boesfs_open_made);
	if (!err)
		boesfs_grant_made(file, generation);
	if (err && !(file->f_mode & FMODE_OPENED)) {
		file->private_data = NULL;
		boesfs_file_free(bf);
	}
put:
	put_cred(cred);
	return err;
}

const struct inode_operations boesfs_dir_inode_operations = {
	.lookup		= boesfs_lookup,
	.create		= boesfs_create,
	.link		= boesfs_link,
	.unlink		= boesfs_unlink,
	.symlink	= boesfs_symlink,
	.mkdir		= boesfs_mkdir,
	.rmdir		= boesfs_rmdir,
	.mknod		= boesfs_mknod,
	.rename		= boesfs_rename,
	.atomic_open	= boesfs_atomic_open,
	.tmpfile	= boesfs_tmpfile,
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
