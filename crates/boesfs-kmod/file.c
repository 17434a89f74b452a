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
	u32 ops = boesfs_open_ops(file), op;
	struct inode *inode = d_inode(dentry);
	int err;

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
	file->f_mode |= lower->f_mode & (FMODE_CAN_ODIRECT | FMODE_NOWAIT);
	/* For what acts on pages by itself: sync_file_range, readahead. */
	file->f_mapping = lower->f_mapping;
	file->f_wb_err = filemap_sample_wb_err(lower->f_mapping);
	i_size_write(file_inode(file), i_size_read(file_inode(lower)));
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

int boesfs_release(struct inode *inode, struct file *file)
{
	struct boesfs_file *bf = file->private_data;

	/* Locks of open file descriptions are owned by @file. */
	locks_remove_posix(bf->lower, file);
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
	return ret;
}

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
	boesfs_copy_attr(inode);
	ret = backing_file_write_iter(boesfs_lower_file(file), iter, iocb,
				      iocb->ki_flags, &ctx);
	inode_unlock(inode);
	return ret;
}

static ssize_t boesfs_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = boesfs_lower_file(file);
	ssize_t ret;

	ret = boesfs_data(file, boesfs_write_op(iocb->ki_flags & IOCB_APPEND), iocb->ki_pos,
			  iov_iter_count(iter));
	if (unlikely(ret))
		return ret;
	if (unlikely(!is_sync_kiocb(iocb) || !lower->f_op->write_iter))
		return boesfs_write_async(iocb, iter);
	if (iocb->ki_flags & IOCB_NOWAIT) {
		if (!sb_start_write_trylock(file_inode(lower)->i_sb))
			return -EAGAIN;
	} else {
		sb_start_write(file_inode(lower)->i_sb);
	}
	/* The file below takes its own locks, and clears set-id bits as the caller's write does. */
	iocb->ki_filp = lower;
	ret = lower->f_op->write_iter(iocb, iter);
	iocb->ki_filp = file;
	sb_end_write(file_inode(lower)->i_sb);
	if (ret > 0) {
		fsnotify_modify(lower);
		i_size_write(file_inode(file), i_size_read(file_inode(lower)));
	}
	return ret;
}

static ssize_t boesfs_splice_read(struct file *in, loff_t *pos, struct pipe_inode_info *pipe,
				  size_t len, unsigned int flags)
{
	BOESFS_BACKING_CTX(ctx, in, NULL);
	ssize_t ret = boesfs_data(in, boesfs_read_op(in), *pos, len);

	if (ret)
		return ret;
	return boesfs_backing_splice_read(boesfs_lower_file(in), in, pos, pipe, len, flags, &ctx);
}

static ssize_t boesfs_splice_write(struct pipe_inode_info *pipe, struct file *out, loff_t *pos,
				   size_t len, unsigned int flags)
{
	struct inode *inode = file_inode(out);
	BOESFS_BACKING_CTX(ctx, out, boesfs_wrote);
	ssize_t ret;

	ret = boesfs_data(out, boesfs_write_op(out->f_flags & O_APPEND), *pos, len);
	if (ret)
		return ret;
	inode_lock(inode);
	boesfs_copy_attr(inode);
	ret = boesfs_backing_splice_write(pipe, boesfs_lower_file(out), out, pos, len, flags, &ctx);
	inode_unlock(inode);
	return ret;
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
	inode_unlock(inode);
	return ret;
}

static long boesfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	const struct cred *old;
	long ret;

	ret = boesfs_data(file, BOESFS_OP_WRITE, offset, len);
	if (ret)
		return ret;
	inode_lock(inode);
	boesfs_copy_attr(inode);
	ret = file_remove_privs(file);
	if (!ret) {
		old = boesfs_override(inode->i_sb);
		ret = vfs_fallocate(boesfs_lower_file(file), mode, offset, len);
		revert_creds(old);
		boesfs_copy_attr(inode);
	}
	inode_unlock(inode);
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
	struct inode *inode = file_inode(out);
	struct file *lower_in, *lower_out;
	const struct cred *old;
	loff_t ret;

	/* The kernel asks for the same operations on both sides, but not for the same file system. */
	if (in->f_op != out->f_op)
		return -EXDEV;
	ret = boesfs_data(in, boesfs_read_op(in), pos_in, len);
	/* Deduplication changes no data: it needs to be read. */
	if (!ret && kind == BOESFS_DEDUPE)
		ret = boesfs_data(out, boesfs_read_op(out), pos_out, len);
	else if (!ret)
		ret = boesfs_data(out, BOESFS_OP_WRITE, pos_out, len);
	if (ret)
		return ret;
	lower_in = boesfs_lower_file(in);
	lower_out = boesfs_lower_file(out);
	inode_lock(inode);
	boesfs_copy_attr(inode);
	if (kind != BOESFS_DEDUPE)
		ret = file_remove_privs(out);
	if (ret)
		goto out;
	old = boesfs_override(inode->i_sb);
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
	revert_creds(old);
	boesfs_copy_attr(inode);
out:
	inode_unlock(inode);
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
