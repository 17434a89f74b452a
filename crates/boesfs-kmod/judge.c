// SPDX-License-Identifier: GPL-2.0
/*
 * Asking the policy, and what follows from the answer.
 */
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "boesfs.h"

static void boesfs_fill(struct boesfs_request *request, struct dentry *dentry,
			const struct boesfs_args *args)
{
	const struct cred *cred = current_cred();
	kuid_t owner = args->owner;

	if (!args->has_owner) {
		struct inode *inode = d_inode(dentry);

		if (inode) {
			owner = boesfs_lower_inode(inode)->i_uid;
		} else {
			struct dentry *parent = dget_parent(dentry);

			owner = boesfs_lower_inode(d_inode(parent))->i_uid;
			dput(parent);
		}
	}
	request->args[BOESFS_ARG_FLAGS] = args->flags;
	request->args[BOESFS_ARG_MODE] = args->mode;
	request->args[BOESFS_ARG_SIZE] = args->size;
	request->args[BOESFS_ARG_OFFSET] = args->offset;
	request->args[BOESFS_ARG_LENGTH] = args->length;
	request->args[BOESFS_ARG_UID] = from_kuid(&init_user_ns, cred->fsuid);
	request->args[BOESFS_ARG_GID] = from_kgid(&init_user_ns, cred->fsgid);
	request->args[BOESFS_ARG_OWNER] = from_kuid(&init_user_ns, owner);
}

/* What open(2) with O_TMPFILE is about to make is called "/": it has the path that it is judged by. */
static void boesfs_name_unnamed(struct boesfs_event *event, struct dentry *dentry)
{
	static const char unnamed[] = "#tmpfile";
	size_t len = sizeof(unnamed) - 1;
	struct name_snapshot name;
	bool is_unnamed;

	if (IS_ROOT(dentry))
		return;
	/* Of an open file, the name may be replaced and freed at any time. */
	take_dentry_name_snapshot(&name, dentry);
	is_unnamed = name.name.name[0] == '/';
	release_dentry_name_snapshot(&name);
	if (!is_unnamed || event->length - 1 + len > sizeof(event->path))
		return;
	memcpy(event->path + event->length - 1, unnamed, len);
	event->length += len - 1;
}

/* For one event at a time where there is no memory: nothing goes untold for want of it. */
static struct boesfs_event boesfs_spare_event;
static DEFINE_MUTEX(boesfs_spare_lock);

/* Tells whoever uses the policy; its program counts what it has no room for. */
static void boesfs_tell(struct boesfs_sb *sbi, struct boesfs_ops *ops, struct dentry *dentry,
			u32 class, u32 op, u64 verdict)
{
	struct boesfs_event *made, *event;
	char *path;

	if (!ops->record)
		return;
	made = kmalloc(sizeof(*made), GFP_KERNEL);
	event = made;
	if (!event) {
		mutex_lock(&boesfs_spare_lock);
		event = &boesfs_spare_event;
	}
	memset(event, 0, offsetof(struct boesfs_event, path));
	event->thread = task_pid_nr(current);
	event->process = task_tgid_nr(current);
	event->verdict = verdict;
	event->class = class;
	event->op = op;
	event->place = sbi->tag;
	event->user = from_kuid(&init_user_ns, current_euid());
	event->when = ktime_get_ns();
	memcpy(event->comm, current->comm, min(sizeof(event->comm), sizeof(current->comm)));
	event->comm[sizeof(event->comm) - 1] = 0;
	path = dentry_path_raw(dentry, event->path, sizeof(event->path));
	if (IS_ERR(path)) {
		event->cut = 1;
	} else {
		event->length = strlen(path);
		memmove(event->path, path, event->length);
		boesfs_name_unnamed(event, dentry);
	}
	memset(event->path + event->length, 0, sizeof(event->path) - event->length);
	ops->record(event);
	if (!made)
		mutex_unlock(&boesfs_spare_lock);
	kfree(made);
}

/* Records what is to be recorded, and gives the error number of a refusal. */
static int boesfs_conclude(struct boesfs_sb *sbi, struct boesfs_ops *ops, struct dentry *dentry,
			   u32 class, u32 op, u64 verdict)
{
	u32 effect = verdict & BOESFS_VERDICT_EFFECT;

	if ((verdict & BOESFS_VERDICT_AUDIT) ||
	    (effect != BOESFS_EFFECT_ALLOW && !(verdict & BOESFS_VERDICT_QUIET)))
		boesfs_tell(sbi, ops, dentry, class, op, verdict);
	switch (effect) {
	case BOESFS_EFFECT_ALLOW:
		return 0;
	case BOESFS_EFFECT_HIDE:
		return -ENOENT;
	case BOESFS_EFFECT_KILL:
		/* The whole thread group, and nothing it can do about it. */
		send_sig(SIGKILL, current, 1);
		fallthrough;
	default:
		return -EACCES;
	}
}

/* One question; @foresee leaves out everything but the answer. */
static int boesfs_ask(struct dentry *dentry, u32 op, const struct boesfs_args *args, bool foresee)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct inode *inode = d_inode(dentry);
	struct boesfs_request request = { .op = op };
	struct boesfs_ops *ops;
	int idx, err = -EACCES;
	u64 verdict, row;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (!ops)
		goto out;
	err = boesfs_resolve(ops, dentry, &request.state);
	if (err)
		goto out;
	request.class = boesfs_class(sbi, ops);
	if (request.class >= ops->classes) {
		verdict = BOESFS_EFFECT_DENY | BOESFS_VERDICT_NOT_GRANTED;
	} else {
		row = boesfs_row(ops, inode, request.state, request.class);
		if ((row >> op & 1) && !(row >> 32 >> op & 1))
			goto out;
		boesfs_fill(&request, dentry, args);
		verdict = ops->check(&request);
	}
	if (!foresee)
		err = boesfs_conclude(sbi, ops, dentry, request.class, op, verdict);
	else if ((verdict & BOESFS_VERDICT_EFFECT) == BOESFS_EFFECT_HIDE)
		err = -ENOENT;
	else if ((verdict & BOESFS_VERDICT_EFFECT) != BOESFS_EFFECT_ALLOW)
		err = -EACCES;
out:
	srcu_read_unlock(&boesfs_srcu, idx);
	return err;
}

/* Whether the task may do @op to what @dentry names, or is to be named so. May sleep. */
int boesfs_judge(struct dentry *dentry, u32 op, const struct boesfs_args *args)
{
	return boesfs_ask(dentry, op, args, false);
}

/* The same of an operation without arguments. */
int boesfs_judge_bare(struct dentry *dentry, u32 op)
{
	struct boesfs_args args = {};

	return boesfs_judge(dentry, op, &args);
}

/* The same, without consequences: what access(2) foretells. */
int boesfs_foresee(struct dentry *dentry, u32 op, const struct boesfs_args *args)
{
	return boesfs_ask(dentry, op, args, true);
}

/*
 * Whether everybody here may do all of @ops, whatever the arguments and
 * unrecorded, to what is to be named @dentry; then @place says where that is.
 * Its directory is locked. May sleep.
 */
bool boesfs_plainly_new(struct dentry *dentry, u32 ops, struct boesfs_place *place)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_ops *policy;
	bool ret = false;
	int idx;

	place->generation = BOESFS_NEVER;
	/* Where classes differ by task, each is asked for itself. */
	if (!sbi->fixed_class)
		return false;
	idx = srcu_read_lock(&boesfs_srcu);
	policy = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (policy && !boesfs_resolve(policy, dentry, &place->state)) {
		place->row = policy->row(place->state, sbi->class);
		place->generation = boesfs_generation(policy);
		ret = !(ops & ~((u32)place->row & ~(u32)(place->row >> 32)));
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}

/* Whether the task may make what is to be named @dentry. */
int boesfs_judge_new(struct dentry *dentry, u32 op, const struct boesfs_args *args,
		     struct boesfs_place *place)
{
	return boesfs_plainly_new(dentry, BIT(op), place) ? 0 : boesfs_judge(dentry, op, args);
}

/* Whether the answer for @op depends on its arguments, for the task's class; if in doubt it does. */
int boesfs_conditional(struct dentry *dentry, u32 op)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_ops *ops;
	int idx, ret = 1;
	u32 state, class;
	u64 row;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops && !boesfs_resolve(ops, dentry, &state)) {
		class = boesfs_class(sbi, ops);
		if (class < ops->classes) {
			row = boesfs_row(ops, d_inode(dentry), state, class);
			ret = (row >> 32 >> op & 1) && ops->conditional(state, class, op);
		}
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}

/*
 * Whether the task finds the object: not where stat is hidden, but for a
 * directory under which something else may hold. Its inode may not be that of
 * @dentry yet.
 */
int boesfs_find(struct dentry *dentry, struct inode *inode, bool record)
{
	struct boesfs_sb *sbi = boesfs_sb(inode->i_sb);
	struct boesfs_request request = { .op = BOESFS_OP_STAT };
	struct boesfs_args args = { .owner = boesfs_lower_inode(inode)->i_uid, .has_owner = true };
	struct boesfs_ops *ops;
	int idx, err = -EACCES;
	u64 verdict, row;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (!ops)
		goto out;
	err = 0;
	if (!boesfs_known(inode, boesfs_generation(ops), &request.state))
		err = boesfs_resolve(ops, dentry, &request.state);
	if (err)
		goto out;
	request.class = boesfs_class(sbi, ops);
	if (request.class >= ops->classes) {
		err = -EACCES;
		goto out;
	}
	row = boesfs_row(ops, inode, request.state, request.class);
	if (!(row >> 32 >> BOESFS_OP_STAT & 1))
		goto out;
	boesfs_fill(&request, dentry, &args);
	verdict = ops->check(&request);
	if ((verdict & BOESFS_VERDICT_EFFECT) != BOESFS_EFFECT_HIDE)
		goto out;
	if (S_ISDIR(inode->i_mode) && !(row & BOESFS_ROW_ABSENT))
		goto out;
	err = record ? boesfs_conclude(sbi, ops, dentry, request.class, BOESFS_OP_STAT, verdict) :
		       -ENOENT;
out:
	srcu_read_unlock(&boesfs_srcu, idx);
	return err;
}

/*
 * Nothing gains rights by moving: a directory goes only where its state stays,
 * everything else only where nobody may do more with it.
 */
int boesfs_move(struct dentry *from, struct dentry *to)
{
	struct boesfs_sb *sbi = boesfs_sb(from->d_sb);
	u32 old, new, class, first, last;
	struct boesfs_ops *ops;
	int idx, err = -EACCES;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (!ops)
		goto out;
	err = boesfs_resolve(ops, from, &old);
	if (!err)
		err = boesfs_resolve(ops, to, &new);
	if (err || old == new)
		goto out;
	err = -EXDEV;
	if (d_is_dir(from))
		goto out;
	first = sbi->fixed_class ? sbi->class : 0;
	last = sbi->fixed_class ? sbi->class : ops->classes - 1;
	for (class = first; class <= last; class++) {
		if (!ops->within(new, old, class))
			goto out;
	}
	err = 0;
out:
	srcu_read_unlock(&boesfs_srcu, idx);
	return err;
}
