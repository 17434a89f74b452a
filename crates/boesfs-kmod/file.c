// SPDX-License-Identifier: GPL-2.0
/*
 * Data of open files.
 *
 * It is that of the file below: its page cache, its mappings; there are no
 * pages here. A read or a write goes straight to the file below where it is
 * synchronous, with the caller's own kiocb.
 */
#include <linux/fsnotify.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>

#include "file.h"

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

/* Where something is to be asked or renewed first, or the read may end later. */
static noinline ssize_t boesfs_read_with_care(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = boesfs_lower_file(file);
	BOESFS_BACKING_CTX(ctx, file, NULL);
	ssize_t ret;

	ret = boesfs_data(file, boesfs_read_op(file), iocb->ki_pos, iov_iter_count(iter));
	if (!ret)
		ret = backing_file_read_iter(lower, iter, iocb, iocb->ki_flags, &ctx);
	boesfs_refresh(file_inode(file));
	return ret;
}

static ssize_t boesfs_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct boesfs_file *bf = file->private_data;
	struct inode *inode = file_inode(file);
	struct file *lower = bf->lower;
	ssize_t ret;

	/*
	 * bf->read is of a generation only where reading was granted in it and the file below has read_iter.
	 * The kernel goes by the size of this inode where it gives no other chance to renew it.
	 */
	if (unlikely(READ_ONCE(bf->read) != READ_ONCE(bf->sbi->generation) || !is_sync_kiocb(iocb) ||
		     i_size_read(inode) != i_size_read(boesfs_lower_inode(inode))))
		return boesfs_read_with_care(iocb, iter);
	/* It is over when this returns: the file below does not keep it. */
	iocb->ki_filp = lower;
	ret = lower->f_op->read_iter(iocb, iter);
	iocb->ki_filp = file;
	return ret;
}

/* Bits of a kiocb that say how its end is told, which is when this returns. */
#ifdef IOCB_DIO_CALLER_COMP
#define BOESFS_IOCB_END (IOCB_ALLOC_CACHE | IOCB_AIO_RW | IOCB_DIO_CALLER_COMP)
#else
#define BOESFS_IOCB_END (IOCB_ALLOC_CACHE | IOCB_AIO_RW)
#endif

/* The same for one that would have told its end later. */
static noinline ssize_t boesfs_write_cloned(struct kiocb *iocb, struct iov_iter *iter,
					    struct file *lower)
{
	struct kiocb sync;
	ssize_t ret;

	kiocb_clone(&sync, iocb, lower);
	sync.ki_flags &= ~BOESFS_IOCB_END;
	ret = lower->f_op->write_iter(&sync, iter);
	iocb->ki_pos = sync.ki_pos;
	return ret;
}

/* A write straight to the file below, which is over when this returns. */
static __always_inline ssize_t boesfs_write_sync(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = boesfs_lower_file(file);
	struct inode *below = file_inode(lower);
	ssize_t ret;

	if (unlikely(iocb->ki_flags & IOCB_NOWAIT)) {
		if (!sb_start_write_trylock(below->i_sb))
			return -EAGAIN;
	} else {
		sb_start_write(below->i_sb);
	}
	/* The file below takes its own locks, and clears set-id bits as the caller's write does. */
	if (likely(is_sync_kiocb(iocb))) {
		iocb->ki_filp = lower;
		ret = lower->f_op->write_iter(iocb, iter);
		iocb->ki_filp = file;
	} else {
		ret = boesfs_write_cloned(iocb, iter, lower);
	}
	sb_end_write(below->i_sb);
	if (likely(ret > 0)) {
		struct inode *inode = file_inode(file);

		fsnotify_modify(lower);
		/* A write changes nothing else that is kept here. */
		if (i_size_read(inode) != i_size_read(below) ||
		    READ_ONCE(inode->i_mode) != READ_ONCE(below->i_mode))
			boesfs_copy_attr(inode);
	}
	return ret;
}

/* With the caller's credentials: the file is open, and space that is kept for the mounter is not for him. */
static noinline ssize_t boesfs_write_async(struct kiocb *iocb, struct iov_iter *iter)
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

	boesfs_revert(old);
	return ret;
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
	.compat_ioctl		= boesfs_compat_ioctl,
	.setlease		= boesfs_setlease,
};
