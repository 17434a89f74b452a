// SPDX-License-Identifier: GPL-2.0
/*
 * ioctl(2), and inode flags, which the kernel passes on by functions of their own.
 */
#include <linux/compat.h>
#include <linux/fs.h>

#include "boesfs.h"

/* Of the requests that concern a file alone, the inode's flags go another way (fileattr); its version goes here. */
static long boesfs_do_ioctl(struct file *file, unsigned int cmd, bool version, unsigned long arg)
{
	struct boesfs_args args = { .flags = cmd };
	struct file *lower;
	int err = 0;

	if (!boesfs_plainly(file_inode(file), BOESFS_OP_IOCTL))
		err = boesfs_judge(file->f_path.dentry, BOESFS_OP_IOCTL, &args);
	if (err)
		return err;
	lower = boesfs_lower_file(file);
	if (!version || !lower->f_op->unlocked_ioctl)
		return -ENOTTY;
	return lower->f_op->unlocked_ioctl(lower, FS_IOC_GETVERSION, arg);
}

long boesfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return boesfs_do_ioctl(file, cmd, cmd == FS_IOC_GETVERSION, arg);
}

/* For 32-bit programs the request has another number, and writes the same four bytes. */
long boesfs_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return boesfs_do_ioctl(file, cmd, cmd == FS_IOC32_GETVERSION || cmd == FS_IOC_GETVERSION,
			       (unsigned long)compat_ptr(arg));
}

static int boesfs_judge_fileattr(struct dentry *dentry, struct boesfs_fileattr *fa, bool set)
{
	struct boesfs_args args = {};

	if (set)
		args.flags = fa->fsx_valid ? FS_IOC_FSSETXATTR : FS_IOC_SETFLAGS;
	else
		args.flags = fa->fsx_valid ? FS_IOC_FSGETXATTR : FS_IOC_GETFLAGS;
	if (boesfs_plainly(d_inode(dentry), BOESFS_OP_IOCTL))
		return 0;
	return boesfs_judge(dentry, BOESFS_OP_IOCTL, &args);
}

int boesfs_fileattr_get(struct dentry *dentry, struct boesfs_fileattr *fa)
{
	const struct cred *old;
	int err;

	err = boesfs_judge_fileattr(dentry, fa, false);
	if (err)
		return err;
	old = boesfs_override(dentry->d_sb);
	err = vfs_fileattr_get(boesfs_lower(dentry), fa);
	boesfs_revert(old);
	return err == -ENOIOCTLCMD ? -ENOTTY : err;
}

/* The usual permissions have been checked by now, with the caller's credentials. */
int boesfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry, struct boesfs_fileattr *fa)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	const struct cred *old;
	int err;

	err = boesfs_judge_fileattr(dentry, fa, true);
	if (err)
		return err;
	err = mnt_want_write(sbi->mnt);
	if (err)
		return err;
	old = boesfs_override(dentry->d_sb);
	err = vfs_fileattr_set(mnt_idmap(sbi->mnt), boesfs_lower(dentry), fa);
	boesfs_revert(old);
	mnt_drop_write(sbi->mnt);
	boesfs_copy_attr(d_inode(dentry));
	return err == -ENOIOCTLCMD ? -ENOTTY : err;
}
