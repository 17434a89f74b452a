// SPDX-License-Identifier: GPL-2.0
/*
 * Open files.
 *
 * Data is that of the file below: its page cache, its mappings; there are no
 * pages here. A read or a write goes straight to the file below where it is
 * synchronous, with the caller's own kiocb.
 *
 * What the policy says of an open file is asked at open, and again where its
 * answer depends on offset or size, and after an update.
 */
#include <linux/filelock.h>
#include <linux/fsnotify.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "boesfs.h"

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

/* Holds @lower, and gives it up with boesfs_file_free(). */
struct boesfs_file *boesfs_file_alloc(struct file *lower, u64 granted)
{
	struct boesfs_file *bf = kmem_cache_alloc(boesfs_file_cache, GFP_KERNEL);

	if (bf) {
		bf->lower = lower;
		bf->granted = granted;
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

static bool boesfs_is_exec(const struct file *file)
{
	return (__force unsigned int)file->f_flags & (__force unsigned int)__FMODE_EXEC;
}

/* The operation that writing to @file is. */
static u32 boesfs_write_op(bool append)
{
	return append ? BOESFS_OP_APPEND : BOESFS_OP_WRITE;
}

/* The operations that an open means. */
static u32 boesfs_open_ops(const struct file *file)
{
	u32 ops = 0;

	if (boesfs_is_exec(file))
		return BIT(BOESFS_OP_EXEC);
	if (file->f_mode & FMODE_READ)
		ops |= BIT(BOESFS_OP_READ);
	if (file->f_mode & FMODE_WRITE)
		ops |= BIT(boesfs_write_op(file->f_flags & O_APPEND));
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
	for (op = 0; ops; op++) {
		struct boesfs_args args = {};

		if (!(ops >> op & 1))
			continue;
		ops &= ~BIT(op);
		if (inode && boesfs_plainly(inode, op))
			continue;
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

/* What of @ops, all of them allowed just now, needs no other question. */
static u32 boesfs_granted(struct dentry *dentry, u32 ops)
{
	u32 op, granted = 0;

	for (op = 0; op < BOESFS_OP_COUNT; op++) {
		if (!(ops >> op & 1))
			continue;
		if (boesfs_plainly(d_inode(dentry), op) || !boesfs_conditional(dentry, op))
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
	file->f_mode |= lower->f_mode & (FMODE_CAN_ODIRECT | FMODE_NOWAIT);
	boesfs_refresh(file_inode(file));
}

#define BOESFS_SETFL (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* Gives @lower the flags that fcntl(2) has set since @file was opened. */
static void boesfs_follow_flags(struct file *file, struct file *lower)
{
	unsigned int flags = READ_ONCE(file->f_flags) & BOESFS_SETFL;

	if (likely((lower->f_flags & BOESFS_SETFL) == flags))
		return;
	spin_lock(&lower->f_lock);
	lower->f_flags = (lower->f_flags & ~BOESFS_SETFL) | flags;
	lower->f_iocb_flags = iocb_flags(lower);
	spin_unlock(&lower->f_lock);
}

static int boesfs_open_lower(struct file *file, u32 generation)
{
	struct dentry *dentry = file->f_path.dentry;
	struct path path = boesfs_lower_path(dentry);
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_file *bf = file->private_data;
	const struct cred *old;
	struct file *lower;
	u64 granted;

	granted = boesfs_grant(generation, boesfs_granted(dentry, boesfs_open_ops(file)));
	/* A file without a name has been opened where it was made. */
	if (bf) {
		WRITE_ONCE(bf->granted, granted);
		boesfs_adopt(file, bf->lower);
		return 0;
	}
	old = override_creds(sbi->cred);
	lower = boesfs_backing_open(file, file->f_flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC),
				    &path, sbi->cred);
	revert_creds(old);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	bf = boesfs_file_alloc(lower, granted);
	if (!bf) {
		fput(lower);
		return -ENOMEM;
	}
	file->private_data = bf;
	boesfs_adopt(file, lower);
	return 0;
}

/* The open of a file that has just been made, which has been judged. */
int boesfs_open_made(struct inode *inode, struct file *file)
{
	return boesfs_open_lower(file, READ_ONCE(boesfs_sb(inode->i_sb)->generation));
}

static int boesfs_open(struct inode *inode, struct file *file)
{
	u32 generation = READ_ONCE(boesfs_sb(inode->i_sb)->generation);
	int err = boesfs_judge_open(file->f_path.dentry, file, NULL);

	return err ?: boesfs_open_lower(file, generation);
}

/*
 * Removes the locks that a fcntl(2) has left which raced with close(2): the
 * kernel looks for them at the inode of the file that was closed.
 */
static void boesfs_drop_locks(struct file *lower)
{
	struct file_lock_context *locks = locks_inode_context(file_inode(lower));
	fl_owner_t owner, last = NULL;
	struct file_lock *lock;

	if (likely(!locks))
		return;
	for (;; last = owner) {
		owner = NULL;
		spin_lock(&locks->flc_lock);
		list_for_each_entry(lock, &locks->flc_posix, c.flc_list) {
			if (lock->c.flc_file == lower) {
				owner = lock->c.flc_owner;
				break;
			}
		}
		spin_unlock(&locks->flc_lock);
		/* The file system below may fail to. */
		if (!owner || owner == last)
			return;
		locks_remove_posix(lower, owner);
	}
}

int boesfs_release(struct inode *inode, struct file *file)
{
	struct boesfs_file *bf = file->private_data;

	/* Locks of open file descriptions are owned by @file. */
	locks_remove_posix(bf->lower, file);
	boesfs_drop_locks(bf->lower);
	boesfs_file_free(bf);
	return 0;
}

static int boesfs_judge_data(struct file *file, u32 op, loff_t offset, u64 length)
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
	WRITE_ONCE(bf->granted, granted | BIT(op));
	return 0;
}

static __always_inline bool boesfs_is_granted(struct file *file, u32 op)
{
	struct boesfs_file *bf = file->private_data;
	u64 granted = READ_ONCE(bf->granted);

	return granted >> 32 == READ_ONCE(boesfs_sb(file_inode(file)->i_sb)->generation) &&
	       (granted >> op & 1);
}

/* Whether @file may be read or written there. */
static __always_inline int boesfs_data(struct file *file, u32 op, loff_t offset, u64 length)
{
	if (likely(boesfs_is_granted(file, op)))
		return 0;
	return boesfs_judge_data(file, op, offset, length);
}

/*
 * Where what will have been written is decided upon each time, the answer
 * holds until it is: nobody else writes here between the two. Otherwise the
 * file below takes its own locks, and there is no need of ours.
 */
static bool boesfs_lock_judged(struct file *file, u32 op)
{
	bool judged = unlikely(!boesfs_is_granted(file, op));

	if (judged)
		inode_lock(file_inode(file));
	return judged;
}

static void boesfs_unlock_judged(struct file *file, bool judged)
{
	if (unlikely(judged))
		inode_unlock(file_inode(file));
}

static __always_inline u32 boesfs_read_op(const struct file *file)
{
	return boesfs_is_exec(file) ? BOESFS_OP_EXEC : BOESFS_OP_READ;
}

#ifdef BOESFS_HAVE_BACKING_KIOCB
static void boesfs_wrote(struct kiocb *iocb, ssize_t ret)
{
	boesfs_copy_attr(file_inode(iocb->ki_filp));
}
#else
static void boesfs_wrote(struct file *file, loff_t pos, ssize_t ret)
{
	boesfs_copy_attr(file_inode(file));
}
#endif

static ssize_t boesfs_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = boesfs_lower_file(file);
	ssize_t ret;

	ret = boesfs_data(file, boesfs_read_op(file), iocb->ki_pos, iov_iter_count(iter));
	if (unlikely(ret))
		return ret;
	if (likely(is_sync_kiocb(iocb) && lower->f_op->read_iter)) {
		/* It is over when this returns: the file below does not keep it. */
		iocb->ki_filp = lower;
		ret = lower->f_op->read_iter(iocb, iter);
		iocb->ki_filp = file;
	} else {
		BOESFS_BACKING_CTX(ctx, file, NULL);

		ret = backing_file_read_iter(lower, iter, iocb, iocb->ki_flags, &ctx);
	}
	/* The kernel goes by the size of this inode where it gives no other chance to renew it. */
	boesfs_refresh(file_inode(file));
	return ret;
}

/* Bits of a kiocb that say how its end is told, which is when this returns. */
#ifdef IOCB_DIO_CALLER_COMP
#define BOESFS_IOCB_END (IOCB_ALLOC_CACHE | IOCB_AIO_RW | IOCB_DIO_CALLER_COMP)
#else
#define BOESFS_IOCB_END (IOCB_ALLOC_CACHE | IOCB_AIO_RW)
#endif

/* A write straight to the file below, which is over when this returns. */
static ssize_t boesfs_write_sync(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = boesfs_lower_file(file);
	ssize_t ret;

	if (iocb->ki_flags & IOCB_NOWAIT) {
		if (!sb_start_write_trylock(file_inode(lower)->i_sb))
			return -EAGAIN;
	} else {
		sb_start_write(file_inode(lower)->i_sb);
	}
	/* The file below takes its own locks, and clears set-id bits as the caller's write does. */
	if (likely(is_sync_kiocb(iocb))) {
		iocb->ki_filp = lower;
		ret = lower->f_op->write_iter(iocb, iter);
		iocb->ki_filp = file;
	} else {
		struct kiocb sync;

		kiocb_clone(&sync, iocb, lower);
		sync.ki_flags &= ~BOESFS_IOCB_END;
		ret = lower->f_op->write_iter(&sync, iter);
		iocb->ki_pos = sync.ki_pos;
	}
	sb_end_write(file_inode(lower)->i_sb);
	if (ret > 0) {
		fsnotify_modify(lower);
		boesfs_refresh(file_inode(file));
	}
	return ret;
}

/* With the caller's credentials: the file is open, and space that is kept for the mounter is not for him. */
static ssize_t boesfs_write_async(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	BOESFS_BACKING_CTX(ctx, file, boesfs_wrote);
	ssize_t ret;

	if (iocb->ki_flags & IOCB_NOWAIT) {
		if (!inode_trylock(inode))
			return -EAGAIN;
	} else {
		inode_lock(inode);
	}
	ctx.cred = current_cred();
	boesfs_copy_attr(inode);
	ret = backing_file_write_iter(boesfs_lower_file(file), iter, iocb,
				      iocb->ki_flags, &ctx);
	inode_unlock(inode);
	return ret;
}

/* Each such write is judged, and the file has the size by then that the next is judged by. */
static noinline ssize_t boesfs_write_judged(struct kiocb *iocb, struct iov_iter *iter, u32 op)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	ssize_t ret;

	if (iocb->ki_flags & IOCB_NOWAIT) {
		if (!inode_trylock(inode))
			return -EAGAIN;
	} else {
		inode_lock(inode);
	}
	ret = boesfs_data(file, op, iocb->ki_pos, iov_iter_count(iter));
	if (!ret)
		ret = boesfs_lower_file(file)->f_op->write_iter ? boesfs_write_sync(iocb, iter) : -EINVAL;
	inode_unlock(inode);
	return ret;
}

static ssize_t boesfs_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	u32 op = boesfs_write_op(iocb->ki_flags & IOCB_APPEND);

	if (unlikely(!boesfs_is_granted(file, op)))
		return boesfs_write_judged(iocb, iter, op);
	if (unlikely(!is_sync_kiocb(iocb) || !boesfs_lower_file(file)->f_op->write_iter))
		return boesfs_write_async(iocb, iter);
	return boesfs_write_sync(iocb, iter);
}

static ssize_t boesfs_splice_read(struct file *in, loff_t *pos, struct pipe_inode_info *pipe,
				  size_t len, unsigned int flags)
{
	BOESFS_BACKING_CTX(ctx, in, NULL);
	ssize_t ret = boesfs_data(in, boesfs_read_op(in), *pos, len);

	if (ret)
		return ret;
	boesfs_follow_flags(in, boesfs_lower_file(in));
	return boesfs_backing_splice_read(boesfs_lower_file(in), in, pos, pipe, len, flags, &ctx);
}

/* There is something in the pipe, or never will be. */
static bool boesfs_pipe_is_ready(struct pipe_inode_info *pipe)
{
	return !pipe_empty(READ_ONCE(pipe->head), READ_ONCE(pipe->tail)) || !READ_ONCE(pipe->writers);
}

static ssize_t boesfs_splice_below(struct pipe_inode_info *pipe, struct file *out, loff_t *pos,
				   size_t len, unsigned int flags)
{
	struct file *lower = boesfs_lower_file(out);
	ssize_t ret;

	if (!lower->f_op->splice_write)
		return -EINVAL;
	boesfs_follow_flags(out, lower);
	sb_start_write(file_inode(lower)->i_sb);
	ret = lower->f_op->splice_write(pipe, lower, pos, len, flags);
	sb_end_write(file_inode(lower)->i_sb);
	if (ret > 0) {
		fsnotify_modify(lower);
		boesfs_refresh(file_inode(out));
	}
	return ret;
}

/* Nobody waits for a pipe while he keeps others from the file. */
static ssize_t boesfs_splice_judged(struct pipe_inode_info *pipe, struct file *out, loff_t *pos,
				    size_t len, unsigned int flags, u32 op)
{
	struct inode *inode = file_inode(out);
	ssize_t ret;

	do {
		if (!(flags & SPLICE_F_NONBLOCK) &&
		    wait_event_interruptible(pipe->rd_wait, boesfs_pipe_is_ready(pipe)))
			return -ERESTARTSYS;
		inode_lock(inode);
		ret = boesfs_data(out, op, *pos, len);
		if (!ret)
			ret = boesfs_splice_below(pipe, out, pos, len, flags | SPLICE_F_NONBLOCK);
		inode_unlock(inode);
	} while (ret == -EAGAIN && !(flags & SPLICE_F_NONBLOCK));
	return ret;
}

static ssize_t boesfs_splice_write(struct pipe_inode_info *pipe, struct file *out, loff_t *pos,
				   size_t len, unsigned int flags)
{
	u32 op = boesfs_write_op(out->f_flags & O_APPEND);

	if (unlikely(!boesfs_is_granted(out, op)))
		return boesfs_splice_judged(pipe, out, pos, len, flags, op);
	return boesfs_splice_below(pipe, out, pos, len, flags);
}

int boesfs_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	const struct cred *old = boesfs_override(file_inode(file)->i_sb);
	int ret = vfs_fsync_range(boesfs_lower_file(file), start, end, datasync);

	revert_creds(old);
	return ret;
}

/*
 * A mapping is read and written without a question: there is none where the
 * answer depends on offsets, and a shared one for writing needs `write`, also
 * where the file was opened to append.
 */
static int boesfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	bool writes = (vma->vm_flags & VM_SHARED) && (vma->vm_flags & VM_MAYWRITE);
	u64 length = vma->vm_end - vma->vm_start;
	loff_t offset = (loff_t)vma->vm_pgoff << PAGE_SHIFT;
	BOESFS_BACKING_CTX(ctx, file, NULL);
	int err;

	if (!boesfs_is_exec(file)) {
		struct boesfs_args args = { .flags = boesfs_user_flags(file) };

		if (!boesfs_plainly(file_inode(file), BOESFS_OP_MAP)) {
			err = boesfs_judge(file->f_path.dentry, BOESFS_OP_MAP, &args);
			if (err)
				return err;
		}
	}
	if (file->f_mode & FMODE_READ) {
		err = boesfs_data(file, boesfs_read_op(file), offset, length);
		if (err)
			return err;
		if (!boesfs_is_granted(file, boesfs_read_op(file)) && !boesfs_is_exec(file))
			return -ENODEV;
	}
	if (writes) {
		err = boesfs_data(file, BOESFS_OP_WRITE, offset, length);
		if (err)
			return err;
		if (!boesfs_is_granted(file, BOESFS_OP_WRITE))
			return -ENODEV;
	}
	return backing_file_mmap(boesfs_lower_file(file), vma, &ctx);
}

static loff_t boesfs_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	struct file *lower = boesfs_lower_file(file);
	const struct cred *old;
	loff_t ret;

	if (whence == SEEK_CUR && !offset)
		return file->f_pos;
	if (whence == SEEK_SET && !offset)
		return vfs_setpos(file, 0, 0);
	inode_lock(inode);
	lower->f_pos = file->f_pos;
	old = boesfs_override(inode->i_sb);
	ret = vfs_llseek(lower, offset, whence);
	revert_creds(old);
	file->f_pos = lower->f_pos;
	boesfs_refresh(inode);
	inode_unlock(inode);
	return ret;
}

static long boesfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	bool judged = boesfs_lock_judged(file, BOESFS_OP_WRITE);
	long ret;

	ret = boesfs_data(file, BOESFS_OP_WRITE, offset, len);
	/* With the caller's credentials, which the file below needs to know whose set-id bits to clear. */
	if (!ret)
		ret = vfs_fallocate(boesfs_lower_file(file), mode, offset, len);
	boesfs_copy_attr(file_inode(file));
	boesfs_unlock_judged(file, judged);
	return ret;
}

static int boesfs_fadvise(struct file *file, loff_t offset, loff_t len, int advice)
{
	const struct cred *old = boesfs_override(file_inode(file)->i_sb);
	int ret = vfs_fadvise(boesfs_lower_file(file), offset, len, advice);

	revert_creds(old);
	return ret;
}

enum boesfs_copy_kind {
	BOESFS_COPY,
	BOESFS_CLONE,
	BOESFS_DEDUPE,
};

static loff_t boesfs_copy(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			  loff_t len, unsigned int flags, enum boesfs_copy_kind kind)
{
	/* Deduplication changes no data: it needs to be read. */
	u32 op = kind == BOESFS_DEDUPE ? boesfs_read_op(out) : BOESFS_OP_WRITE;
	struct file *lower_in, *lower_out;
	bool judged;
	loff_t ret;

	/* The kernel asks for the same operations on both sides, but not for the same file system. */
	if (in->f_op != out->f_op)
		return -EXDEV;
	ret = boesfs_data(in, boesfs_read_op(in), pos_in, len);
	if (ret)
		return ret;
	judged = boesfs_lock_judged(out, op);
	ret = boesfs_data(out, op, pos_out, len);
	if (ret)
		goto out;
	lower_in = boesfs_lower_file(in);
	lower_out = boesfs_lower_file(out);
	boesfs_follow_flags(out, lower_out);
	/* With the caller's credentials: both files are open. */
	switch (kind) {
	case BOESFS_COPY:
		ret = vfs_copy_file_range(lower_in, pos_in, lower_out, pos_out, len, flags);
		break;
	case BOESFS_CLONE:
		ret = vfs_clone_file_range(lower_in, pos_in, lower_out, pos_out, len, flags);
		break;
	case BOESFS_DEDUPE:
		ret = vfs_dedupe_file_range_one(lower_in, pos_in, lower_out, pos_out, len, flags);
		break;
	}
	boesfs_copy_attr(file_inode(out));
out:
	boesfs_unlock_judged(out, judged);
	return ret;
}

static ssize_t boesfs_copy_file_range(struct file *in, loff_t pos_in, struct file *out,
				      loff_t pos_out, size_t len, unsigned int flags)
{
	return boesfs_copy(in, pos_in, out, pos_out, len, flags, BOESFS_COPY);
}

static loff_t boesfs_remap_file_range(struct file *in, loff_t pos_in, struct file *out,
				      loff_t pos_out, loff_t len, unsigned int flags)
{
	if (flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	return boesfs_copy(in, pos_in, out, pos_out, len, flags,
			   flags & REMAP_FILE_DEDUP ? BOESFS_DEDUPE : BOESFS_CLONE);
}

int boesfs_flush(struct file *file, fl_owner_t id)
{
	struct file *lower = boesfs_lower_file(file);
	const struct cred *old;
	int ret = 0;

	if (lower->f_op->flush) {
		old = boesfs_override(file_inode(file)->i_sb);
		ret = lower->f_op->flush(lower, id);
		revert_creds(old);
	}
	/* Locks are held below, where the kernel does not look for them when @file is closed. */
	locks_remove_posix(lower, id);
	return ret;
}

static int boesfs_judge_lock(struct file *file, struct file_lock *fl)
{
	struct boesfs_args args = { .flags = fl->c.flc_type };

	if (fl->c.flc_type == F_UNLCK || boesfs_plainly(file_inode(file), BOESFS_OP_LOCK))
		return 0;
	if (fl->c.flc_flags & FL_POSIX) {
		args.offset = fl->fl_start;
		args.length = fl->fl_end == OFFSET_MAX ? 0 : fl->fl_end - fl->fl_start + 1;
	}
	return boesfs_judge(file->f_path.dentry, BOESFS_OP_LOCK, &args);
}

/* Locks are taken below, so that they hold against everybody. */
int boesfs_lock(struct file *file, int cmd, struct file_lock *fl)
{
	struct file *lower = boesfs_lower_file(file);
	int ret = boesfs_judge_lock(file, fl);

	if (ret)
		return ret;
	fl->c.flc_file = lower;
	if (IS_GETLK(cmd))
		ret = vfs_test_lock(lower, fl);
	else
		ret = vfs_lock_file(lower, cmd, fl, NULL);
	fl->c.flc_file = file;
	return ret;
}

int boesfs_flock(struct file *file, int cmd, struct file_lock *fl)
{
	struct file *lower = boesfs_lower_file(file);
	int ret = boesfs_judge_lock(file, fl);

	if (ret)
		return ret;
	fl->c.flc_file = lower;
	if (lower->f_op->flock)
		ret = lower->f_op->flock(lower, cmd, fl);
	else
		ret = locks_lock_file_wait(lower, fl);
	fl->c.flc_file = file;
	return ret;
}

/* A lease on a file here would not be broken by who opens it elsewhere. */
int boesfs_setlease(struct file *file, int arg, struct file_lease **lease, void **priv)
{
	return -EINVAL;
}

/* Of the requests that concern a file alone, the inode's flags go another way (fileattr); its version goes here. */
long boesfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct boesfs_args args = { .flags = cmd };
	struct file *lower;
	int err = 0;

	if (!boesfs_plainly(file_inode(file), BOESFS_OP_IOCTL))
		err = boesfs_judge(file->f_path.dentry, BOESFS_OP_IOCTL, &args);
	if (err)
		return err;
	lower = boesfs_lower_file(file);
	if (cmd != FS_IOC_GETVERSION || !lower->f_op->unlocked_ioctl)
		return -ENOTTY;
	return lower->f_op->unlocked_ioctl(lower, cmd, arg);
}

const struct file_operations boesfs_file_operations = {
	.owner			= THIS_MODULE,
	.open			= boesfs_open,
	.release		= boesfs_release,
	.llseek			= boesfs_llseek,
	.read_iter		= boesfs_read_iter,
	.write_iter		= boesfs_write_iter,
	.splice_read		= boesfs_splice_read,
	.splice_write		= boesfs_splice_write,
	.fsync			= boesfs_fsync,
	.mmap			= boesfs_mmap,
	.fallocate		= boesfs_fallocate,
	.fadvise		= boesfs_fadvise,
	.copy_file_range	= boesfs_copy_file_range,
	.remap_file_range	= boesfs_remap_file_range,
	.flush			= boesfs_flush,
	.lock			= boesfs_lock,
	.flock			= boesfs_flock,
	.unlocked_ioctl		= boesfs_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.setlease		= boesfs_setlease,
};
