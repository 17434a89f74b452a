/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files on open files share: open.c, file.c, range.c.
 */
#ifndef BOESFS_FILE_H
#define BOESFS_FILE_H

#include "boesfs.h"

/* open.c */
void boesfs_follow_changed_flags(struct file *file, struct file *lower);
int boesfs_judge_data(struct file *file, u32 op, loff_t offset, u64 length);
int boesfs_open(struct inode *inode, struct file *file);

/* range.c */
int boesfs_mmap(struct file *file, struct vm_area_struct *vma);
loff_t boesfs_llseek(struct file *file, loff_t offset, int whence);
long boesfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
int boesfs_fadvise(struct file *file, loff_t offset, loff_t len, int advice);
ssize_t boesfs_copy_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			       size_t len, unsigned int flags);
loff_t boesfs_remap_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			       loff_t len, unsigned int flags);

static inline bool boesfs_is_exec(const struct file *file)
{
	return (__force unsigned int)file->f_flags & (__force unsigned int)__FMODE_EXEC;
}

/* The operation that writing to a file is. */
static inline u32 boesfs_write_op(bool append)
{
	return append ? BOESFS_OP_APPEND : BOESFS_OP_WRITE;
}

static __always_inline u32 boesfs_read_op(const struct file *file)
{
	return boesfs_is_exec(file) ? BOESFS_OP_EXEC : BOESFS_OP_READ;
}

#define BOESFS_SETFL (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* Gives @lower the flags that fcntl(2) has set since @file was opened. */
static inline void boesfs_follow_flags(struct file *file, struct file *lower)
{
	if (unlikely((lower->f_flags ^ READ_ONCE(file->f_flags)) & BOESFS_SETFL))
		boesfs_follow_changed_flags(file, lower);
}

static __always_inline bool boesfs_are_granted(struct file *file, u32 ops)
{
	struct boesfs_file *bf = file->private_data;
	u64 granted = READ_ONCE(bf->granted);

	return granted >> 32 == READ_ONCE(bf->sbi->generation) && !(ops & ~(u32)granted);
}

static __always_inline bool boesfs_is_granted(struct file *file, u32 op)
{
	return boesfs_are_granted(file, BIT(op));
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
static inline bool boesfs_lock_judged(struct file *file, u32 op)
{
	bool judged = unlikely(!boesfs_is_granted(file, op));

	if (judged)
		inode_lock(file_inode(file));
	return judged;
}

static inline void boesfs_unlock_judged(struct file *file, bool judged)
{
	if (unlikely(judged))
		inode_unlock(file_inode(file));
}

#endif
