// SPDX-License-Identifier: GPL-2.0
/*
 * Who asks: the class of a task, by its ids and the file that it executes;
 * and by which system call.
 *
 * Nothing of it is kept for a task, which can change its ids and execute
 * another file at any time. What a file means that is executed is kept with
 * that open file, as long as no name moves and the policy stays.
 */
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "boesfs.h"

/* The system call that the task is in. Nobody can change what a task in the kernel is there for. */
enum boesfs_call boesfs_call(void)
{
	/* Who is not a process of its own may be there for anything; numbers are those of one kind of process. */
	if ((current->flags & (PF_KTHREAD | PF_USER_WORKER)) || in_compat_syscall())
		return BOESFS_CALL_OTHER;
	switch (syscall_get_nr(current, task_pt_regs(current))) {
	case __NR_inotify_add_watch:
		return BOESFS_CALL_INOTIFY;
	case __NR_fanotify_mark:
		return BOESFS_CALL_FANOTIFY;
	case __NR_getxattr:
	case __NR_lgetxattr:
	case __NR_fgetxattr:
#ifdef __NR_getxattrat
	case __NR_getxattrat:
#endif
		return BOESFS_CALL_GETXATTR;
	default:
		return BOESFS_CALL_OTHER;
	}
}

/* The file that the current process executes, with a reference; NULL for a thread of the kernel. */
static struct file *boesfs_exe(void)
{
	struct mm_struct *mm = current->mm;
	struct file *exe = NULL;

	if (mm) {
		rcu_read_lock();
		exe = get_file_rcu(&mm->exe_file);
		rcu_read_unlock();
	}
	return exe;
}

/*
 * The state of the executable's path, from the policy's root of executables;
 * that of none where it has no name any more, or is not in a mount of the
 * policy: what its path would be then is for others to say.
 */
static int boesfs_exe_state(struct boesfs_ops *ops, u32 *state)
{
	struct file *exe = boesfs_exe();
	struct boesfs_file *bf;
	struct dentry *dentry;
	unsigned int moves;
	int err = 0;
	bool known;

	*state = BOESFS_STATE_DEAD;
	if (!exe)
		return 0;
	dentry = exe->f_path.dentry;
	if (exe->f_op != &boesfs_file_operations ||
	    (unsigned long)READ_ONCE(boesfs_sb(dentry->d_sb)->policy) != ops->policy ||
	    d_unlinked(dentry))
		goto out;
	bf = exe->private_data;
	moves = read_seqbegin(&rename_lock);
	spin_lock(&bf->exe_lock);
	known = bf->exe_generation == boesfs_generation(ops) && bf->exe_moves == moves;
	if (known)
		*state = bf->exe_state;
	spin_unlock(&bf->exe_lock);
	if (known)
		goto out;
	err = boesfs_path_state(ops, ops->exe_root, dentry, state, &moves);
	if (err)
		goto out;
	spin_lock(&bf->exe_lock);
	bf->exe_generation = boesfs_generation(ops);
	bf->exe_moves = moves;
	bf->exe_state = *state;
	spin_unlock(&bf->exe_lock);
out:
	fput(exe);
	return err;
}

/* The class of the task that asks; BOESFS_CLASS_NOBODY is refused everything. */
u32 boesfs_class(struct boesfs_sb *sbi, struct boesfs_ops *ops)
{
	const struct cred *cred = current_cred();
	struct boesfs_who who = {};
	int i;

	if (sbi->fixed_class)
		return sbi->class;
	if (!ops->subject || cred->group_info->ngroups > BOESFS_WHO_GROUPS)
		return BOESFS_CLASS_NOBODY;
	/* Whose executable cannot be found out may hold any role. */
	if (ops->exe_root && boesfs_exe_state(ops, &who.exe))
		return BOESFS_CLASS_NOBODY;
	who.uid = from_kuid(&init_user_ns, cred->fsuid);
	who.gid = from_kgid(&init_user_ns, cred->fsgid);
	who.count = cred->group_info->ngroups;
	for (i = 0; i < cred->group_info->ngroups; i++)
		who.groups[i] = from_kgid(&init_user_ns, cred->group_info->gid[i]);
	return ops->subject(&who);
}

/* Whether the task has a class at all. Where there is a fixed one it has that. */
bool boesfs_is_somebody(struct boesfs_sb *sbi)
{
	struct boesfs_ops *ops;
	bool ret = false;
	int idx;

	if (sbi->fixed_class)
		return true;
	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops)
		ret = boesfs_class(sbi, ops) < ops->classes;
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}
