// SPDX-License-Identifier: GPL-2.0
/*
 * Names: lookup, whether a name still is what it was, listings.
 *
 * A dentry holds the dentry below (d_fsdata), also where there is nothing of
 * that name, and the sequence number at which they agreed (d_time): whatever
 * happens below to the name or the object changes it.
 */
#include <linux/slab.h>

#include "boesfs.h"

/* @dentry takes over the reference to @lower. */
void boesfs_set_lower(struct dentry *dentry, struct dentry *lower)
{
	dentry->d_fsdata = lower;
	dentry->d_time = raw_read_seqcount(&lower->d_seq);
}

/* What cannot be stacked upon: the kernel would have to be told of other rules for names. */
static bool boesfs_is_weird(struct dentry *lower)
{
	return (lower->d_flags & (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT)) ||
	       boesfs_has_own_names(lower);
}

/* The inode of @dentry, whose object below is @lower, and the policy and state for which it was chosen. */
struct inode *boesfs_inode_for(struct dentry *dentry, struct inode *lower, u32 *generation,
			       u32 *state)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_ops *ops;
	int idx, err = -EACCES;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops) {
		*generation = boesfs_generation(ops);
		err = boesfs_resolve(ops, dentry, state);
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	/* This may wait for an inode that goes, and so for the file system below: no update waits with it. */
	return err ? ERR_PTR(err) : boesfs_iget(dentry->d_sb, lower, *generation, *state);
}

/* The inode of what has been made at @place, which knows the row of everybody here. */
struct inode *boesfs_inode_at(struct super_block *sb, struct inode *lower,
			      const struct boesfs_place *place)
{
	struct inode *inode = boesfs_iget(sb, lower, place->generation, place->state);

	if (!IS_ERR(inode))
		boesfs_remember(inode, place->generation, place->state, boesfs_sb(sb)->class,
				place->row);
	return inode;
}

/*
 * @inode has got another name. If it has been given the state of its others in
 * a new policy meanwhile, that need not be the one that this name has there.
 */
void boesfs_confirm(struct inode *inode, u32 generation, u32 state)
{
	u32 now;

	if (!boesfs_known(inode, generation, &now) || now != state)
		boesfs_forget_state(inode);
}

/*
 * Gives up @inode if it is a directory known here by a dentry whose one below
 * is another than @lower: that one is out of date, and will never agree again.
 */
static bool boesfs_is_outdated(struct inode *inode, struct dentry *lower)
{
	struct dentry *alias = S_ISDIR(inode->i_mode) ? d_find_any_alias(inode) : NULL;
	bool outdated = alias && boesfs_lower(alias) != lower;

	if (outdated)
		remove_inode_hash(inode);
	dput(alias);
	return outdated;
}

struct dentry *boesfs_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct boesfs_sb *sbi = boesfs_sb(dir->i_sb);
	struct dentry *parent = boesfs_lower(dentry->d_parent);
	const struct cred *old;
	struct dentry *lower, *alias;
	u32 generation, state;
	struct inode *inode;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	/* It may have begun to fold names after it was found. */
	if (unlikely(boesfs_has_own_names(parent)))
		return ERR_PTR(-EREMOTE);
	if (!boesfs_is_somebody(sbi))
		return ERR_PTR(-EACCES);
	old = boesfs_override(dir->i_sb);
	lower = boesfs_lookup_lower(mnt_idmap(sbi->mnt), &dentry->d_name, parent);
	boesfs_revert(old);
	if (IS_ERR(lower))
		return lower;
	boesfs_set_lower(dentry, lower);
	/* Moved away since: what has that name now is looked for once more. */
	if (!boesfs_is_still(lower, parent, &dentry->d_name))
		return ERR_PTR(-ESTALE);
	if (d_is_negative(lower)) {
		d_add(dentry, NULL);
		return NULL;
	}
	if (boesfs_is_weird(lower))
		return ERR_PTR(-EREMOTE);
	inode = boesfs_inode_for(dentry, d_inode(lower), &generation, &state);
	if (!IS_ERR(inode) && boesfs_is_outdated(inode, lower)) {
		iput(inode);
		inode = boesfs_inode_for(dentry, d_inode(lower), &generation, &state);
	}
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	err = boesfs_find(dentry, inode, true);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	alias = d_splice_alias(inode, dentry);
	if (!IS_ERR(alias))
		boesfs_confirm(d_inode(alias ?: dentry), generation, state);
	return alias;
}

/* Whether @dentry and the one below still agree, although something has happened to the latter. */
static bool boesfs_agrees(struct dentry *dentry, struct dentry *lower)
{
	struct inode *inode = d_inode(dentry);
	bool agrees;

	spin_lock(&dentry->d_lock);
	spin_lock_nested(&lower->d_lock, DENTRY_D_LOCK_NESTED);
	agrees = !d_unhashed(lower) && lower->d_parent == boesfs_lower(dentry->d_parent) &&
		 lower->d_name.len == dentry->d_name.len &&
		 !memcmp(lower->d_name.name, dentry->d_name.name, dentry->d_name.len) &&
		 d_inode(lower) == (inode ? boesfs_lower_inode(inode) : NULL);
	if (agrees)
		dentry->d_time = raw_read_seqcount(&lower->d_seq);
	spin_unlock(&lower->d_lock);
	spin_unlock(&dentry->d_lock);
	return agrees;
}

/* Where the one below has changed, or has a say of its own; or the policy is to be asked. */
static noinline int boesfs_revalidate_with_care(struct dentry *dentry, unsigned int flags)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct dentry *lower = boesfs_lower(dentry);
	struct inode *inode = d_inode_rcu(dentry);
	int ret;

	/* A dentry that a lookup has not finished, or whose mount went wrong. */
	if (!lower)
		return 0;
	if (flags & LOOKUP_RCU)
		return -ECHILD;
	if (raw_read_seqcount(&lower->d_seq) != dentry->d_time && !boesfs_agrees(dentry, lower))
		return 0;
	if (lower->d_flags & DCACHE_OP_REVALIDATE) {
		struct dentry *parent = dget_parent(lower);
		const struct cred *old = boesfs_override(dentry->d_sb);

		ret = boesfs_revalidate_lower(parent, lower, flags);
		boesfs_revert(old);
		dput(parent);
		if (ret <= 0) {
			if (!ret)
				d_invalidate(lower);
			return ret;
		}
	}
	/* Who is nobody does not learn what is not there either. */
	if (!inode)
		return boesfs_is_somebody(sbi) ? 1 : -EACCES;
	if (READ_ONCE(boesfs_i(inode)->generation) != READ_ONCE(sbi->generation)) {
		ret = boesfs_resync(dentry);
		if (ret <= 0)
			return ret;
	}
	/* Where some class must not find it, or it is on record that it does, it is judged each time. */
	if (!(boesfs_plain(inode, READ_ONCE(sbi->generation)) & BOESFS_PLAINLY_FOUND)) {
		ret = boesfs_find(dentry, inode, true);
		if (ret)
			return ret;
	}
	boesfs_refresh(inode);
	return 1;
}

/* The walk of a path that goes on after this component. */
#define BOESFS_ON_THE_WAY (LOOKUP_RCU | LOOKUP_PARENT)

/*
 * Each component of a walk comes by here: nothing has happened below to the
 * name or its object, and everybody here finds it in the policy of now.
 */
static __always_inline int boesfs_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct dentry *lower = boesfs_lower(dentry);
	struct inode *inode = d_inode_rcu(dentry);

	if (unlikely(!lower || raw_read_seqcount(&lower->d_seq) != dentry->d_time ||
		     (lower->d_flags & DCACHE_OP_REVALIDATE)))
		return boesfs_revalidate_with_care(dentry, flags);
	if (!inode)
		return likely(sbi->fixed_class) ? 1 : boesfs_revalidate_with_care(dentry, flags);
	if (unlikely(!(boesfs_plain(inode, READ_ONCE(sbi->generation)) & BOESFS_PLAINLY_FOUND)))
		return boesfs_revalidate_with_care(dentry, flags);
	/*
	 * A directory on the way is searched next: boesfs_permission() looks
	 * at it before anybody goes by its attributes. What is at the end of
	 * the path is renewed here.
	 */
	if ((flags & BOESFS_ON_THE_WAY) != BOESFS_ON_THE_WAY || !d_is_dir(dentry))
		boesfs_refresh_rights(inode, boesfs_lower_inode(inode));
	return 1;
}

#ifdef BOESFS_HAVE_REVALIDATE_NAME
static int boesfs_d_revalidate(struct inode *dir, const struct qstr *name, struct dentry *dentry,
			       unsigned int flags)
{
	return boesfs_revalidate(dentry, flags);
}
#else
static int boesfs_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	return boesfs_revalidate(dentry, flags);
}
#endif

static void boesfs_d_release(struct dentry *dentry)
{
	dput(boesfs_lower(dentry));
}

const struct dentry_operations boesfs_dentry_operations = {
	.d_revalidate	= boesfs_d_revalidate,
	.d_release	= boesfs_d_release,
};

static int boesfs_dir_open(struct inode *inode, struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;
	struct path path = boesfs_lower_path(dentry);
	u32 generation = READ_ONCE(boesfs_sb(inode->i_sb)->generation);
	struct boesfs_file *bf;
	struct file *lower;

	if (!boesfs_plainly(inode, BOESFS_OP_LIST)) {
		struct boesfs_args args = { .flags = boesfs_user_flags(file) };
		int err = boesfs_judge(dentry, BOESFS_OP_LIST, &args);

		if (err)
			return err;
	}
	lower = dentry_open(&path, (file->f_flags & ~O_NOATIME) | O_DIRECTORY,
			    boesfs_sb(inode->i_sb)->cred);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	bf = boesfs_file_alloc(boesfs_sb(inode->i_sb), lower, boesfs_grant(generation, BIT(BOESFS_OP_LIST)));
	if (!bf) {
		fput(lower);
		return -ENOMEM;
	}
	file->private_data = bf;
	return 0;
}

/* How much of a directory is read before it is sifted. Not much: the kernel clears it first, and most directories are small. */
#define BOESFS_SIEVE 2048

struct boesfs_name_entry {
	loff_t pos;
	u64 ino;
	u32 type;
	u16 len;
	bool hidden;
	/* Whether it is hidden depends on its owner, and its state by the policy of the listing. */
	bool asked;
	u32 state;
	char name[];
};

/* Names read from below, to be looked at once the directory there is unlocked. */
struct boesfs_sieve {
	struct dir_context ctx;
	char *buffer;
	size_t used;
	bool full;
};

static bool boesfs_sieve_add(struct dir_context *ctx, const char *name, int len, loff_t pos,
			     u64 ino, unsigned int type)
{
	struct boesfs_sieve *sieve = container_of(ctx, struct boesfs_sieve, ctx);
	size_t size = ALIGN(sizeof(struct boesfs_name_entry) + len, 8);
	struct boesfs_name_entry *entry;

	if (sieve->used + size > BOESFS_SIEVE) {
		sieve->full = true;
		return false;
	}
	entry = (void *)(sieve->buffer + sieve->used);
	entry->pos = pos;
	entry->ino = ino;
	entry->type = type;
	entry->len = len;
	entry->hidden = false;
	entry->asked = false;
	memcpy(entry->name, name, len);
	sieve->used += size;
	return true;
}

/*
 * Whether a name of the directory is one that everybody here finds, by what is
 * remembered of it. That goes by the path and the policy alone: whether the
 * object below is still the same does not matter. No name moves into the
 * locked directory, or out of it.
 */
static bool boesfs_is_plainly_found(struct dentry *dir, const struct boesfs_name_entry *entry)
{
	struct qstr name = QSTR_INIT(entry->name, entry->len);
	u32 generation = READ_ONCE(boesfs_sb(dir->d_sb)->generation);
	struct dentry *dentry;
	bool found;

	name.hash = full_name_hash(dir, name.name, name.len);
	dentry = d_lookup(dir, &name);
	if (!dentry)
		return false;
	found = d_really_is_positive(dentry) &&
		(boesfs_plain(d_inode(dentry), generation) & BOESFS_PLAINLY_FOUND);
	dput(dentry);
	return found;
}

/* Who lists a directory, by the policy of which generation. */
struct boesfs_listing {
	u32 generation;
	u32 class;
};

/* Whether no name of the directory is hidden from the task: 1, 0, or an error. */
static int boesfs_lists_all(struct dentry *dentry)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_ops *ops;
	int idx, ret = -EACCES;
	u32 state, class;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops) {
		ret = boesfs_resolve(ops, dentry, &state);
		class = boesfs_class(sbi, ops);
		/* Whoever opened it may have been somebody. */
		if (!ret)
			ret = class < ops->classes ?
				!!(boesfs_row(ops, d_inode(dentry), state, class) & BOESFS_ROW_LISTED) : -EACCES;
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}

static bool boesfs_is_dot(const struct boesfs_name_entry *entry)
{
	return entry->name[0] == '.' &&
	       (entry->len == 1 || (entry->len == 2 && entry->name[1] == '.'));
}

/* Walks through the names of a sieve. */
#define boesfs_for_each_name(entry, sieve)						\
	for (entry = (void *)(sieve)->buffer;						\
	     (char *)entry < (sieve)->buffer + (sieve)->used;				\
	     entry = (void *)entry + ALIGN(sizeof(*entry) + entry->len, 8))

/* Marks the names that are left out, and those of which the object below must be looked at first. */
static int boesfs_sift_by_name(struct dentry *dentry, struct boesfs_sieve *sieve,
			       struct boesfs_listing *listing)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_name_entry *entry;
	struct boesfs_ops *ops;
	int idx, err = -EACCES;
	u32 state;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops)
		err = boesfs_resolve(ops, dentry, &state);
	if (err)
		goto out;
	listing->generation = boesfs_generation(ops);
	listing->class = boesfs_class(sbi, ops);
	boesfs_for_each_name(entry, sieve) {
		struct qstr name = QSTR_INIT(entry->name, entry->len);

		entry->hidden = false;
		entry->asked = false;
		if (boesfs_is_dot(entry) || boesfs_is_plainly_found(dentry, entry))
			continue;
		/* Who has no class finds nothing. */
		if (listing->class >= ops->classes) {
			entry->hidden = true;
			continue;
		}
		entry->state = boesfs_step(ops, state, &name);
		entry->asked = ops->row(entry->state, listing->class) >> 32 >> BOESFS_OP_STAT & 1;
	}
out:
	srcu_read_unlock(&boesfs_srcu, idx);
	return err;
}

/*
 * Whether a name that is to be asked for is left out. Only its owner can matter
 * besides the path; if the name is gone by now, so is the entry. -EAGAIN if
 * there is another policy by now.
 */
static int boesfs_sift_by_object(struct dentry *dentry, struct boesfs_name_entry *entry,
				 const struct boesfs_listing *listing)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct qstr name = QSTR_INIT(entry->name, entry->len);
	struct boesfs_request request = {
		.op = BOESFS_OP_STAT, .class = listing->class, .state = entry->state,
	};
	const struct cred *old, *cred = current_cred();
	struct boesfs_ops *ops;
	struct dentry *lower;
	int idx, err = 0;

	/* The file system below may take its time for this. Nothing of the policy is held. */
	old = boesfs_override(dentry->d_sb);
	lower = boesfs_lookup_lower(mnt_idmap(sbi->mnt), &name, boesfs_lower(dentry));
	boesfs_revert(old);
	entry->hidden = true;
	if (IS_ERR(lower))
		return 0;
	if (d_is_positive(lower)) {
		request.args[BOESFS_ARG_UID] = from_kuid(&init_user_ns, cred->fsuid);
		request.args[BOESFS_ARG_GID] = from_kgid(&init_user_ns, cred->fsgid);
		request.args[BOESFS_ARG_OWNER] = from_kuid(&init_user_ns, d_inode(lower)->i_uid);
		idx = srcu_read_lock(&boesfs_srcu);
		ops = srcu_dereference(sbi->ops, &boesfs_srcu);
		if (!ops)
			err = -EACCES;
		else if (boesfs_generation(ops) != listing->generation)
			err = -EAGAIN;
		else
			entry->hidden = (ops->check(&request) & BOESFS_VERDICT_EFFECT) ==
					BOESFS_EFFECT_HIDE;
		srcu_read_unlock(&boesfs_srcu, idx);
	}
	dput(lower);
	return err;
}

/* Marks the names that are left out, all by the same policy. */
static int boesfs_sift(struct dentry *dentry, struct boesfs_sieve *sieve)
{
	struct boesfs_listing listing;
	struct boesfs_name_entry *entry;
	int err;

again:
	err = boesfs_sift_by_name(dentry, sieve, &listing);
	if (err)
		return err;
	boesfs_for_each_name(entry, sieve) {
		if (!entry->asked)
			continue;
		err = fatal_signal_pending(current) ? -EINTR : boesfs_sift_by_object(dentry, entry, &listing);
		if (err == -EAGAIN)
			goto again;
		if (err)
			return err;
	}
	return 0;
}

static int boesfs_iterate_sifted(struct file *file, struct file *lower, struct dir_context *ctx)
{
	struct boesfs_sieve sieve = { .ctx.actor = boesfs_sieve_add };
	struct boesfs_name_entry *entry;
	int err, wrong;

	sieve.buffer = kmalloc(BOESFS_SIEVE, GFP_KERNEL);
	if (!sieve.buffer)
		return -ENOMEM;
	do {
		const struct cred *old = boesfs_override(file_inode(file)->i_sb);

		sieve.used = 0;
		sieve.full = false;
		err = iterate_dir(lower, &sieve.ctx);
		boesfs_revert(old);
		wrong = boesfs_sift(file->f_path.dentry, &sieve);
		if (wrong) {
			err = wrong;
			break;
		}
		/* Also what has been read before an error. Whoever is told of it can make that wait. */
		boesfs_for_each_name(entry, &sieve) {
			ctx->pos = entry->pos;
			if (!entry->hidden && !dir_emit(ctx, entry->name, entry->len, entry->ino, entry->type))
				goto out;
		}
		/* After an error, too: what has been told is not told again. */
		ctx->pos = lower->f_pos;
		cond_resched();
	} while (!err && sieve.used && !fatal_signal_pending(current));
out:
	kfree(sieve.buffer);
	return err;
}

static int boesfs_iterate(struct file *file, struct dir_context *ctx)
{
	struct file *lower = boesfs_lower_file(file);
	const struct cred *old;
	u32 generation = READ_ONCE(boesfs_sb(file_inode(file)->i_sb)->generation);
	struct boesfs_file *bf = file->private_data;
	int err;

	/* Asked when it was opened; again only after the policy has changed. */
	if (READ_ONCE(bf->granted) >> 32 != generation) {
		struct boesfs_args args = { .flags = boesfs_user_flags(file) };

		err = boesfs_judge(file->f_path.dentry, BOESFS_OP_LIST, &args);
		if (err)
			return err;
		boesfs_set_granted(bf, boesfs_grant(generation, BIT(BOESFS_OP_LIST)));
	}
	if (lower->f_pos != ctx->pos) {
		loff_t pos = vfs_llseek(lower, ctx->pos, SEEK_SET);

		if (pos < 0)
			return pos;
	}
	err = boesfs_lists_all(file->f_path.dentry);
	if (err < 0)
		return err;
	if (!err)
		return boesfs_iterate_sifted(file, lower, ctx);
	old = boesfs_override(file_inode(file)->i_sb);
	err = iterate_dir(lower, ctx);
	boesfs_revert(old);
	return err;
}

static loff_t boesfs_dir_llseek(struct file *file, loff_t offset, int whence)
{
	struct file *lower = boesfs_lower_file(file);
	loff_t pos;

	inode_lock(file_inode(file));
	if (whence == SEEK_CUR)
		lower->f_pos = file->f_pos;
	pos = vfs_llseek(lower, offset, whence);
	if (pos >= 0)
		file->f_pos = pos;
	inode_unlock(file_inode(file));
	return pos;
}

const struct file_operations boesfs_dir_operations = {
	.owner		= THIS_MODULE,
	.open		= boesfs_dir_open,
	.release	= boesfs_release,
	.read		= generic_read_dir,
	.iterate_shared	= boesfs_iterate,
	.llseek		= boesfs_dir_llseek,
	.fsync		= boesfs_fsync,
	.unlocked_ioctl	= boesfs_ioctl,
	.compat_ioctl	= boesfs_compat_ioctl,
	.lock		= boesfs_lock,
	.flock		= boesfs_flock,
	.flush		= boesfs_flush,
	.setlease	= boesfs_setlease,
};
