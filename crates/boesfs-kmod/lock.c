// SPDX-License-Identifier: GPL-2.0
/*
 * Locks: taken below, so that they hold against everybody.
 */
#include <linux/filelock.h>

#include "boesfs.h"

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

int boesfs_flush(struct file *file, fl_owner_t id)
{
	struct file *lower = boesfs_lower_file(file);
	const struct cred *old;
	int ret = 0;

	if (lower->f_op->flush) {
		old = boesfs_override(file_inode(file)->i_sb);
		ret = lower->f_op->flush(lower, id);
		boesfs_revert(old);
	}
	/* Locks are held below, where the kernel does not look for them when @file is closed. */
	locks_remove_posix(lower, id);
	return ret;
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

/* Nothing of what @file has locked is left when it goes. */
void boesfs_release_locks(struct file *file, struct file *lower)
{
	/* Where there never was one, which is nearly always, there is nothing to look through. */
	if (likely(!locks_inode_context(file_inode(lower))))
		return;
	/* Locks of open file descriptions are owned by @file. */
	locks_remove_posix(lower, file);
	boesfs_drop_locks(lower);
}
