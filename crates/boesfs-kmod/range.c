// SPDX-License-Identifier: GPL-2.0
/*
 * Parts of open files by other ways than read and write: mappings, space,
 * copies within the kernel; and where a file is at.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "file.h"

/*
 * A mapping is read and written without a question: there is none where the
 * answer depends on offsets, and a shared one for writing needs `write`, also
 * where the file was opened to append.
 */
static noinline int boesfs_judge_mmap(struct file *file, struct vm_area_struct *vma, bool writes)
{
	u64 length = vma->vm_end - vma->vm_start;
	loff_t offset = (loff_t)vma->vm_pgoff << PAGE_SHIFT;
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
	return 0;
}

int boesfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	bool writes = (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
	u32 needed = BIT(BOESFS_OP_READ) | (writes ? BIT(BOESFS_OP_WRITE) : 0);
	BOESFS_BACKING_CTX(ctx, file, NULL);

	/* Mostly all of it is known to be allowed, whatever the arguments. */
	if (unlikely(!boesfs_plainly(file_inode(file), BOESFS_OP_MAP) ||
		     !boesfs_are_granted(file, needed))) {
		int err = boesfs_judge_mmap(file, vma, writes);

		if (err)
			return err;
	}
	return backing_file_mmap(boesfs_lower_file(file), vma, &ctx);
}

loff_t boesfs_llseek(struct file *file, loff_t offset, int whence)
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
	boesfs_revert(old);
	file->f_pos = lower->f_pos;
	boesfs_refresh(inode);
	inode_unlock(inode);
	return ret;
}

long boesfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
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

int boesfs_fadvise(struct file *file, loff_t offset, loff_t len, int advice)
{
	const struct cred *old = boesfs_override(file_inode(file)->i_sb);
	int ret = vfs_fadvise(boesfs_lower_file(file), offset, len, advice);

	boesfs_revert(old);
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

ssize_t boesfs_copy_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			       size_t len, unsigned int flags)
{
	return boesfs_copy(in, pos_in, out, pos_out, len, flags, BOESFS_COPY);
}

loff_t boesfs_remap_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			       loff_t len, unsigned int flags)
{
	if (flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	return boesfs_copy(in, pos_in, out, pos_out, len, flags,
			   flags & REMAP_FILE_DEDUP ? BOESFS_DEDUPE : BOESFS_CLONE);
}
