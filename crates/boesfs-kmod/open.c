// SPDX-License-Identifier: GPL-2.0
/*
 * Opening files, and what the policy says of an open one: that is asked at
 * open, and again where its answer depends on offset or size, and after an
 * update.
 */
#include <linux/slab.h>

#include "file.h"

static struct kmem_cache *boesfs_file_cache;

int boesfs_file_init(void)
{
	boesfs_file_cache = KMEM_CACHE(boesfs_file, SLAB_ACCOUNT);
	return boesfs_file_cache ? 0 : -ENOMEM;
}

void boesfs_file_exit(void)
{
	kmem_cache_destroy(boesfs_file_cache);
}

void boesfs_set_granted(struct boesfs_file *bf, u64 granted)
{
	/*
	 * Generation 0 is that of a mount whose policy is gone. Who saw it go
	 * and has been answered by its programs yet is granted nothing: that
	 * would hold for as long as there is none.
	 */
	if (unlikely(!(granted >> 32)))
		granted = 0;
	WRITE_ONCE(bf->granted, granted);
	WRITE_ONCE(bf->read, (granted & BIT(BOESFS_OP_READ)) && bf->lower->f_op->read_iter ?
			     granted >> 32 : BOESFS_NEVER);
}

/* Holds @lower, and gives it up with boesfs_file_free(). */
struct boesfs_file *boesfs_file_alloc(struct boesfs_sb *sbi, struct file *lower, u64 granted)
{
	struct boesfs_file *bf = kmem_cache_alloc(boesfs_file_cache, GFP_KERNEL);

	if (bf) {
		bf->lower = lower;
		bf->sbi = sbi;
		boesfs_set_granted(bf, granted);
		spin_lock_init(&bf->exe_lock);
		bf->exe_generation = BOESFS_NEVER;
	}
	return bf;
}

void boesfs_file_free(struct boesfs_file *bf)
{
	fput(bf->lower);
	kmem_cache_free(boesfs_file_cache, bf);
}

/* The open flags that a condition sees: the caller's own. */
u32 boesfs_user_flags(const struct file *file)
{
	return file->f_flags & (VALID_OPEN_FLAGS & ~O_LARGEFILE);
}

/* The operations that an open means. */
u32 boesfs_open_ops(const struct file *file)
{
	u32 ops = 0;

	if (boesfs_is_exec(file))
		return BIT(BOESFS_OP_EXEC);
	if (file->f_mode & FMODE_READ)
		ops |= BIT(BOESFS_OP_READ);
	if (file->f_mode & FMODE_WRITE)
		ops |= BIT(boesfs_write_op(file->f_flags & O_APPEND));
	/* Access mode 3 opens for neither, and takes the right to both. */
	if (!(file->f_mode & (FMODE_READ | FMODE_WRITE)))
		ops |= BIT(BOESFS_OP_READ) | BIT(boesfs_write_op(file->f_flags & O_APPEND));
	/* O_RDONLY | O_TRUNC truncates too. */
	if (file->f_flags & O_TRUNC)
		ops |= BIT(BOESFS_OP_TRUNCATE);
	return ops;
}

/* Asks for what the open of an existing file means, or of one about to be made, which @owner will own. */
int boesfs_judge_open(struct dentry *dentry, struct file *file, const kuid_t *owner)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct inode *inode = d_inode(dentry);
	u32 generation, ops, op;
	int err;

again:
	generation = READ_ONCE(sbi->generation);
	ops = boesfs_open_ops(file);
	/* Nothing is truncated that is made. */
	if (owner)
		ops &= ~BIT(BOESFS_OP_TRUNCATE);
	if (inode)
		ops &= ~boesfs_plain(inode, generation);
	for (op = 0; ops; op++) {
		struct boesfs_args args = {};

		if (!(ops >> op & 1))
			continue;
		ops &= ~BIT(op);
		args.flags = boesfs_user_flags(file);
		if (owner) {
			args.owner = *owner;
			args.has_owner = true;
		}
		if (op == BOESFS_OP_EXEC)
			args.mode = inode ? inode->i_mode & 07777 : 0;
		else if (inode && op != BOESFS_OP_TRUNCATE)
			args.size = i_size_read(boesfs_lower_inode(inode));
		err = boesfs_judge(dentry, op, &args);
		if (err)
			return err;
	}
	/* Not half by one policy and half by another. */
	if (unlikely(generation != READ_ONCE(sbi->generation)))
		goto again;
	return 0;
}

/* What of @ops, all of them allowed just now in the policy of that generation, needs no other question. */
static u32 boesfs_granted(struct dentry *dentry, u32 generation, u32 ops)
{
	u32 granted = ops & boesfs_plain(d_inode(dentry), generation), op;

	for (op = 0, ops &= ~granted; ops >> op; op++) {
		if ((ops >> op & 1) && !boesfs_conditional(dentry, op))
			granted |= BIT(op);
	}
	return granted;
}

/* Makes @file what its file below is. */
static void boesfs_adopt(struct file *file, struct file *lower)
{
	/*
	 * Its mapping stays here, empty: the kernel would give this file to
	 * functions of the file system below that take it for one of theirs.
	 */
	file->f_mode |= lower->f_mode & (FMODE_CAN_ODIRECT | FMODE_NOWAIT | FMODE_CAN_ATOMIC_WRITE);
	boesfs_refresh(file_inode(file));
}

void boesfs_follow_changed_flags(struct file *file, struct file *lower)
{
	unsigned int flags = READ_ONCE(file->f_flags) & BOESFS_SETFL;

	spin_lock(&lower->f_lock);
	lower->f_flags = (lower->f_flags & ~BOESFS_SETFL) | flags;
	lower->f_iocb_flags = iocb_flags(lower);
	spin_unlock(&lower->f_lock);
}

/* @granted is what needs no other question in the policy of that generation. */
static int boesfs_open_lower(struct file *file, u64 granted)
{
	struct dentry *dentry = file->f_path.dentry;
	struct path path = boesfs_lower_path(dentry);
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_file *bf = file->private_data;
	const struct cred *old;
	struct file *lower;

	/* A file without a name has been opened where it was made. */
	if (bf) {
		boesfs_adopt(file, bf->lower);
		return 0;
	}
	old = boesfs_take_on(sbi->cred);
	lower = boesfs_backing_open(file, file->f_flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC),
				    &path, sbi->cred);
	boesfs_revert(old);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	bf = boesfs_file_alloc(sbi, lower, granted);
	if (!bf) {
		fput(lower);
		return -ENOMEM;
	}
	file->private_data = bf;
	boesfs_adopt(file, lower);
	return 0;
}

/* The open of a file that has just been made. Nothing is granted yet: boesfs_grant_made(). */
int boesfs_open_made(struct inode *inode, struct file *file)
{
	return boesfs_open_lower(file, 0);
}

/*
 * What was judged before the file was made is granted, in the policy of
 * @generation, which was read before that: making it takes its time, and by
 * now another policy may have come that nobody has asked.
 */
void boesfs_grant_made(struct file *file, u32 generation)
{
	u32 granted = boesfs_granted(file->f_path.dentry, generation, boesfs_open_ops(file));

	boesfs_set_granted(file->private_data, boesfs_grant(generation, granted));
}

int boesfs_open(struct inode *inode, struct file *file)
{
	u32 generation = READ_ONCE(boesfs_sb(inode->i_sb)->generation);
	u32 ops = boesfs_open_ops(file);

	/* What is allowed plainly is allowed and granted at once. */
	if (unlikely(ops & ~boesfs_plain(inode, generation))) {
		int err = boesfs_judge_open(file->f_path.dentry, file, NULL);

		if (err)
			return err;
		ops = boesfs_granted(file->f_path.dentry, generation, ops);
	}
	return boesfs_open_lower(file, boesfs_grant(generation, ops));
}

int boesfs_release(struct inode *inode, struct file *file)
{
	struct boesfs_file *bf = file->private_data;

	boesfs_release_locks(file, bf->lower);
	/*
	 * The file below goes at once, in place of by another round of work
	 * for the task: who ends the file here holds no locks and may sleep,
	 * since that was put off where it is not so.
	 */
	__fput_sync(bf->lower);
	kmem_cache_free(boesfs_file_cache, bf);
	return 0;
}

int boesfs_judge_data(struct file *file, u32 op, loff_t offset, u64 length)
{
	struct inode *inode = file_inode(file);
	u32 generation = READ_ONCE(boesfs_sb(inode->i_sb)->generation);
	struct boesfs_file *bf = file->private_data;
	u64 size = i_size_read(boesfs_lower_inode(inode)), granted;
	struct boesfs_args args = { .flags = boesfs_user_flags(file) };
	int err;

	if (op == BOESFS_OP_EXEC) {
		args.mode = inode->i_mode & 07777;
	} else {
		if (op == BOESFS_OP_APPEND)
			size += length;
		else if (op == BOESFS_OP_WRITE)
			size = max_t(u64, size, (u64)offset + length);
		args.size = size;
		args.offset = offset;
		args.length = length;
	}
	err = boesfs_judge(file->f_path.dentry, op, &args);
	if (err)
		return err;
	if (boesfs_conditional(file->f_path.dentry, op))
		return 0;
	granted = READ_ONCE(bf->granted);
	granted = granted >> 32 == generation ? granted : boesfs_grant(generation, 0);
	/* Two at once may lose one of their bits: it is asked once more then. */
	boesfs_set_granted(bf, granted | BIT(op));
	return 0;
}
