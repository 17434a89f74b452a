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
	return lower->d_flags & (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT | DCACHE_OP_HASH |
				 DCACHE_OP_COMPARE);
}

/* The inode of @dentry, whose object below is @lower, and the policy and state for which it was chosen. */
struct inode *boesfs_inode_for(struct dentry *dentry, struct inode *lower, u32 *generation,
			       u32 *state)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct inode *inode = ERR_PTR(-EACCES);
	struct boesfs_ops *ops;
	int idx, err;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops) {
		*generation = ops->generation;
		err = boesfs_resolve(ops, dentry, state);
		inode = err ? ERR_PTR(err) : boesfs_iget(dentry->d_sb, lower, *generation, *state);
	}
	srcu_read_unlock(&boesfs_srcu, idx);
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
	if (!boesfs_is_somebody(sbi))
		return ERR_PTR(-EACCES);
	old = boesfs_override(dir->i_sb);
	lower = boesfs_lookup_lower(mnt_idmap(sbi->mnt), &dentry->d_name, parent);
	revert_creds(old);
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

/* Whether some class must not find the object, or it is on record that it does: then it is judged each time. */
static bool boesfs_finding_is_judged(struct inode *inode)
{
	struct boesfs_sb *sbi = boesfs_sb(inode->i_sb);
	struct boesfs_inode *bi = boesfs_i(inode);
	unsigned int seq;
	bool judged;

	do {
		seq = read_seqbegin(&bi->seq);
		judged = !sbi->fixed_class || bi->class != sbi->class ||
			 (bi->row >> 32 >> BOESFS_OP_STAT & 1);
	} while (read_seqretry(&bi->seq, seq));
	return judged;
}

static int boesfs_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct dentry *lower = boesfs_lower(dentry);
	struct inode *inode = d_inode_rcu(dentry);
	bool rcu = flags & LOOKUP_RCU;
	int ret;

	/* A dentry that a lookup has not finished, or whose mount went wrong. */
	if (!lower)
		return 0;
	if (unlikely(raw_read_seqcount(&lower->d_seq) != dentry->d_time)) {
		if (rcu)
			return -ECHILD;
		if (!boesfs_agrees(dentry, lower))
			return 0;
	}
	if (unlikely(lower->d_flags & DCACHE_OP_REVALIDATE)) {
		const struct cred *old;
		struct dentry *parent;

		if (rcu)
			return -ECHILD;
		parent = dget_parent(lower);
		old = boesfs_override(dentry->d_sb);
		ret = boesfs_revalidate_lower(parent, lower, flags);
		revert_creds(old);
		dput(parent);
		if (ret <= 0) {
			if (!ret)
				d_invalidate(lower);
			return ret;
		}
	}
	if (!inode) {
		/* Who is nobody does not learn what is not there either. */
		if (likely(sbi->fixed_class))
			return 1;
		if (rcu)
			return -ECHILD;
		return boesfs_is_somebody(sbi) ? 1 : -EACCES;
	}
	if (unlikely(READ_ONCE(boesfs_i(inode)->generation) != READ_ONCE(sbi->generation))) {
		if (rcu)
			return -ECHILD;
		ret = boesfs_resync(dentry);
		if (ret <= 0)
			return ret;
	}
	if (boesfs_finding_is_judged(inode)) {
		if (rcu)
			return -ECHILD;
		ret = boesfs_find(dentry, inode, true);
		if (ret)
			return ret;
	}
	boesfs_refresh(inode);
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
	bf = boesfs_file_alloc(lower, boesfs_grant(generation, BIT(BOESFS_OP_LIST)));
	if (!bf) {
		fput(lower);
		return -ENOMEM;
	}
	file->private_data = bf;
	return 0;
}

/* How much of a directory is read before it is sifted. */
#define BOESFS_SIEVE 32768

struct boesfs_name_entry {
	loff_t pos;
	u64 ino;
	u32 type;
	u32 len;
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
	memcpy(entry->name, name, len);
	sieve->used += size;
	return true;
}

/*
 * Whether a name is left out: 1, 0, or an error. Only its owner can matter
 * besides the path; if the name is gone by now, so is the entry.
 */
static int boesfs_is_hidden(struct file *dir, struct boesfs_name_entry *entry)
{
	struct dentry *dentry = dir->f_path.dentry;
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct qstr name = QSTR_INIT(entry->name, entry->len);
	struct boesfs_request request = { .op = BOESFS_OP_STAT };
	struct boesfs_ops *ops;
	const struct cred *old;
	struct dentry *lower;
	int idx, ret = -EACCES;

	if (entry->name[0] == '.' &&
	    (entry->len == 1 || (entry->len == 2 && entry->name[1] == '.')))
		return 0;
	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (!ops)
		goto out;
	ret = boesfs_resolve(ops, dentry, &request.state);
	if (ret)
		goto out;
	request.state = boesfs_step(ops, request.state, &name);
	request.class = boesfs_class(sbi, ops);
	if (request.class >= ops->classes ||
	    !(ops->row(request.state, request.class) >> 32 >> BOESFS_OP_STAT & 1))
		goto out;
	old = boesfs_override(dentry->d_sb);
	lower = boesfs_lookup_lower(mnt_idmap(sbi->mnt), &name, boesfs_lower(dentry));
	revert_creds(old);
	ret = 1;
	if (IS_ERR(lower))
		goto out;
	if (d_is_positive(lower)) {
		const struct cred *cred = current_cred();

		request.args[BOESFS_ARG_UID] = from_kuid(&init_user_ns, cred->fsuid);
		request.args[BOESFS_ARG_GID] = from_kgid(&init_user_ns, cred->fsgid);
		request.args[BOESFS_ARG_OWNER] = from_kuid(&init_user_ns, d_inode(lower)->i_uid);
		ret = (ops->check(&request) & BOESFS_VERDICT_EFFECT) == BOESFS_EFFECT_HIDE;
	}
	dput(lower);
out:
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}

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
		if (!ret && class < ops->classes)
			ret = !!(boesfs_row(ops, d_inode(dentry), state, class) & BOESFS_ROW_LISTED);
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}

static int boesfs_iterate_sifted(struct file *file, struct file *lower, struct dir_context *ctx)
{
	struct boesfs_sieve sieve = { .ctx.actor = boesfs_sieve_add };
	size_t at;
	int err;

	sieve.buffer = kvmalloc(BOESFS_SIEVE, GFP_KERNEL);
	if (!sieve.buffer)
		return -ENOMEM;
	do {
		const struct cred *old = boesfs_override(file_inode(file)->i_sb);

		sieve.used = 0;
		sieve.full = false;
		err = iterate_dir(lower, &sieve.ctx);
		revert_creds(old);
		/* Also what has been read before an error. */
		for (at = 0; at < sieve.used;) {
			struct boesfs_name_entry *entry = (void *)(sieve.buffer + at);
			int hidden = boesfs_is_hidden(file, entry);

			if (hidden < 0) {
				err = hidden;
				goto out;
			}
			ctx->pos = entry->pos;
			if (!hidden && !dir_emit(ctx, entry->name, entry->len, entry->ino, entry->type))
				goto out;
			at += ALIGN(sizeof(*entry) + entry->len, 8);
		}
		if (!err)
			ctx->pos = lower->f_pos;
		cond_resched();
	} while (!err && sieve.used && !fatal_signal_pending(current));
out:
	kvfree(sieve.buffer);
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
		WRITE_ONCE(bf->granted, boesfs_grant(generation, BIT(BOESFS_OP_LIST)));
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
	revert_creds(old);
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
	.compat_ioctl	= compat_ptr_ioctl,
	.lock		= boesfs_lock,
	.flock		= boesfs_flock,
	.flush		= boesfs_flush,
	.setlease	= boesfs_setlease,
};
