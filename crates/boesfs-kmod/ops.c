// SPDX-License-Identifier: GPL-2.0
/*
 * Policies: struct_ops whose members are BPF programs.
 *
 * A mount is bound to one policy and reads its members under SRCU, all
 * questions of one decision from the same. An update gives all mounts of the
 * policy the new members before it returns; when the policy goes, they have
 * none, and deny, until they are remounted with another.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "boesfs.h"

DEFINE_SRCU(boesfs_srcu);

/*
 * Guards the list of policies, their members, and which mounts they have.
 * Taken before boesfs_moves_lock.
 */
static DEFINE_MUTEX(boesfs_policies_lock);
static LIST_HEAD(boesfs_policies);
static u32 boesfs_last_generation;

/*
 * A policy is not replaced while a name moves: the move has been judged by the
 * old one, and a state found in the midst of it would be that of the old place.
 *
 * This is a lock that moves share, and who replaces has alone. It is none of
 * the kernel's because a move may hang in the file system below for as long as
 * that likes: who replaces, and with him everybody who has a struct_ops to
 * register, waits for BOESFS_PATIENCE only. Meanwhile no other move begins, so
 * that a policy under load can be replaced too.
 */
static DEFINE_SPINLOCK(boesfs_moves_lock);
static DECLARE_WAIT_QUEUE_HEAD(boesfs_moves_wait);
#define BOESFS_PATIENCE (5 * HZ)

/* The policy of the mount, if a name may move in it now, which is counted. */
static struct boesfs_policy *boesfs_try_move(struct boesfs_sb *sbi)
{
	struct boesfs_policy *policy;

	spin_lock(&boesfs_moves_lock);
	policy = sbi->policy;
	if (policy->still)
		policy = NULL;
	else
		policy->moves++;
	spin_unlock(&boesfs_moves_lock);
	return policy;
}

/*
 * A name is about to move in the mount. Gives the policy by which that is
 * judged, which stays as it is until boesfs_end_move(); or an error, if the
 * task is killed while it waits.
 */
struct boesfs_policy *boesfs_start_move(struct super_block *sb)
{
	struct boesfs_policy *policy;
	int err;

	err = wait_event_killable(boesfs_moves_wait, (policy = boesfs_try_move(boesfs_sb(sb))));
	return err ? ERR_PTR(-EINTR) : policy;
}

void boesfs_end_move(struct boesfs_policy *policy)
{
	bool awaited;

	spin_lock(&boesfs_moves_lock);
	awaited = !--policy->moves && policy->still;
	spin_unlock(&boesfs_moves_lock);
	if (awaited)
		wake_up_all(&boesfs_moves_wait);
}

/* Whether nobody else holds the policy still; from now on the caller does. */
static bool boesfs_try_still(struct boesfs_policy *policy)
{
	bool ret;

	spin_lock(&boesfs_moves_lock);
	ret = !policy->still;
	policy->still = true;
	spin_unlock(&boesfs_moves_lock);
	return ret;
}

static void boesfs_let_move(struct boesfs_policy *policy)
{
	spin_lock(&boesfs_moves_lock);
	policy->still = false;
	spin_unlock(&boesfs_moves_lock);
	wake_up_all(&boesfs_moves_wait);
}

/* Whether no name moves: nothing after that is done before what the last move has left is seen. */
static bool boesfs_is_quiet(struct boesfs_policy *policy)
{
	bool ret;

	spin_lock(&boesfs_moves_lock);
	ret = !policy->moves;
	spin_unlock(&boesfs_moves_lock);
	return ret;
}

/*
 * Waits until no name moves in the mounts of @policy, to which the caller has
 * a reference; then none does until boesfs_let_move(). Gives -EBUSY if that
 * takes too long, or -EINTR if the task is killed.
 */
static int boesfs_hold_still(struct boesfs_policy *policy)
{
	long left;

	left = wait_event_killable_timeout(boesfs_moves_wait, boesfs_try_still(policy),
					   BOESFS_PATIENCE);
	if (left > 0) {
		left = wait_event_killable_timeout(boesfs_moves_wait, boesfs_is_quiet(policy),
						   left);
		if (left <= 0)
			boesfs_let_move(policy);
	}
	if (left > 0)
		return 0;
	return left ? -EINTR : -EBUSY;
}

void boesfs_policy_put(struct boesfs_policy *policy)
{
	if (!refcount_dec_and_mutex_lock(&policy->ref, &boesfs_policies_lock))
		return;
	WARN_ON(!list_empty(&policy->mounts));
	mutex_unlock(&boesfs_policies_lock);
	kfree(policy);
}

/* A reference to the registered policy of that name, or NULL. */
struct boesfs_policy *boesfs_policy_by_name(const char *name)
{
	struct boesfs_policy *policy, *found = NULL;

	mutex_lock(&boesfs_policies_lock);
	list_for_each_entry(policy, &boesfs_policies, list) {
		if (!strcmp(policy->name, name)) {
			refcount_inc(&policy->ref);
			found = policy;
			break;
		}
	}
	mutex_unlock(&boesfs_policies_lock);
	return found;
}

static struct boesfs_policy *boesfs_policy_of(struct bpf_link *link)
{
	struct boesfs_policy *policy;

	lockdep_assert_held(&boesfs_policies_lock);
	list_for_each_entry(policy, &boesfs_policies, list) {
		if (policy->link == link)
			return policy;
	}
	return NULL;
}

/* Whether the kernel calls @file a BPF link; it has two names for them. */
static bool boesfs_is_link(struct file *file)
{
	const unsigned char *name = file->f_path.dentry->d_name.name;

	return !strcmp(name, "bpf-link") || !strcmp(name, "bpf_link");
}

/*
 * A reference to the registered policy of which @file is the link; -EBADF if
 * it is no link, -ENOENT if that is none of a policy.
 *
 * The kernel gives modules no way to ask a descriptor for its link. But the
 * address of one that is registered is known here, and is its alone: it is
 * freed only after `unreg` has returned, which takes it out of the list. The
 * descriptors of a link have its address for their private data. Those of
 * another link have that one's; everything else that is no file of a file
 * system has an object of its own there, or nothing.
 */
struct boesfs_policy *boesfs_policy_by_file(struct file *file)
{
	struct boesfs_policy *policy = NULL;

	if (file->f_path.dentry->d_sb->s_magic != ANON_INODE_FS_MAGIC)
		return ERR_PTR(-EBADF);
	mutex_lock(&boesfs_policies_lock);
	if (file->private_data)
		policy = boesfs_policy_of(file->private_data);
	if (policy)
		refcount_inc(&policy->ref);
	mutex_unlock(&boesfs_policies_lock);
	return policy ?: ERR_PTR(boesfs_is_link(file) ? -ENOENT : -EBADF);
}

/*
 * Whether @policy can be that of the mount: 0, -ENOENT if it is gone, -ERANGE
 * if the mount's class means nothing to it, or -ELOOP or -EDEADLK where the
 * mount below, or one above, has it: one operation would wait twice for the
 * update of one policy.
 */
static int boesfs_policy_fits(struct boesfs_policy *policy, struct super_block *sb)
{
	struct boesfs_sb *sbi = boesfs_sb(sb), *above;
	struct super_block *below = sbi->mnt->mnt_sb;

	lockdep_assert_held(&boesfs_policies_lock);
	if (!policy->ops)
		return -ENOENT;
	if (sbi->fixed_class ? sbi->class >= policy->ops->classes : !policy->ops->subject)
		return -ERANGE;
	if (below->s_magic == BOESFS_MAGIC && boesfs_sb(below)->policy == policy)
		return -ELOOP;
	list_for_each_entry(above, &policy->mounts, mount) {
		if (above->mnt->mnt_sb == sb)
			return -EDEADLK;
	}
	return 0;
}

/* Gives a new mount its policy; the mount takes over the caller's reference. */
int boesfs_policy_bind(struct boesfs_policy *policy, struct super_block *sb)
{
	struct boesfs_sb *sbi = boesfs_sb(sb);
	int err;

	mutex_lock(&boesfs_policies_lock);
	err = boesfs_policy_fits(policy, sb);
	if (!err) {
		sbi->policy = policy;
		list_add(&sbi->mount, &policy->mounts);
		rcu_assign_pointer(sbi->ops, policy->ops);
		WRITE_ONCE(sbi->generation, boesfs_generation(policy->ops));
	}
	mutex_unlock(&boesfs_policies_lock);
	return err;
}

/* Nothing may be asking for the mount any more, or the caller waits for who does. */
void boesfs_policy_unbind(struct boesfs_sb *sbi)
{
	struct boesfs_policy *policy = sbi->policy;

	if (!policy)
		return;
	mutex_lock(&boesfs_policies_lock);
	list_del(&sbi->mount);
	WRITE_ONCE(sbi->generation, 0);
	rcu_assign_pointer(sbi->ops, NULL);
	sbi->policy = NULL;
	mutex_unlock(&boesfs_policies_lock);
	boesfs_policy_put(policy);
}

/* Gives @ops, or none, to all mounts of @policy. */
static void boesfs_publish(struct boesfs_policy *policy, struct boesfs_ops *ops)
{
	struct boesfs_sb *sbi;

	lockdep_assert_held(&boesfs_policies_lock);
	if (ops) {
		/* 0 is no generation, and neither is BOESFS_NEVER. */
		if (++boesfs_last_generation >= BOESFS_NEVER)
			boesfs_last_generation = 1;
		WRITE_ONCE(ops->generation, boesfs_last_generation);
		ops->policy = (unsigned long)policy;
	}
	policy->ops = ops;
	list_for_each_entry(sbi, &policy->mounts, mount) {
		/* No mount may go on by what it remembers once its policy is gone. */
		if (!ops)
			WRITE_ONCE(sbi->generation, 0);
		rcu_assign_pointer(sbi->ops, ops);
		if (!ops)
			continue;
		/* After the members: who sees the generation may rely on what was asked of them. */
		smp_store_release(&sbi->generation, boesfs_generation(ops));
	}
}

/*
 * Gives a mount another policy, by which everything is judged when this
 * returns; the mount takes over the caller's reference. On an error it keeps
 * the one it has, which may be gone. The caller holds sb->s_umount.
 *
 * What the mount remembers of its old policy may be of a time at which names
 * were elsewhere: that generation must not come back, should the policy be
 * given to the mount again. So a policy has a new one each time that a mount
 * turns to it. For its other mounts that is an update that changes nothing:
 * whoever is asking one of them finds the same by either generation.
 */
int boesfs_policy_rebind(struct boesfs_policy *policy, struct super_block *sb)
{
	struct boesfs_sb *sbi = boesfs_sb(sb);
	struct boesfs_policy *old = sbi->policy;
	int err;

	err = boesfs_hold_still(old);
	if (err)
		return err;
	mutex_lock(&boesfs_policies_lock);
	err = boesfs_policy_fits(policy, sb);
	if (!err) {
		/* Who begins to move a name waits, and is judged by the new policy then. */
		spin_lock(&boesfs_moves_lock);
		WRITE_ONCE(sbi->policy, policy);
		list_move(&sbi->mount, &policy->mounts);
		boesfs_publish(policy, policy->ops);
		spin_unlock(&boesfs_moves_lock);
	}
	mutex_unlock(&boesfs_policies_lock);
	boesfs_let_move(old);
	if (err)
		return err;
	synchronize_srcu(&boesfs_srcu);
	boesfs_policy_put(old);
	return 0;
}

/* For /proc/mounts. One that is gone has no name any more by which it could be given back. */
void boesfs_policy_show(struct boesfs_sb *sbi, struct seq_file *seq)
{
	mutex_lock(&boesfs_policies_lock);
	if (sbi->policy && sbi->policy->ops)
		seq_show_option(seq, "policy", sbi->policy->name);
	mutex_unlock(&boesfs_policies_lock);
}

static int boesfs_ops_reg(void *kdata, struct bpf_link *link)
{
	struct boesfs_ops *ops = kdata;
	struct boesfs_policy *policy, *other;
	int err = 0;

	/* Without a link a policy could be neither replaced nor named. */
	if (!link)
		return -EOPNOTSUPP;
	policy = kzalloc(sizeof(*policy), GFP_KERNEL);
	if (!policy)
		return -ENOMEM;
	refcount_set(&policy->ref, 1);
	INIT_LIST_HEAD(&policy->mounts);
	policy->link = link;
	strscpy(policy->name, ops->name, sizeof(policy->name));

	mutex_lock(&boesfs_policies_lock);
	list_for_each_entry(other, &boesfs_policies, list) {
		if (!strcmp(other->name, policy->name))
			err = -EEXIST;
	}
	if (!err) {
		list_add(&policy->list, &boesfs_policies);
		boesfs_publish(policy, ops);
	}
	mutex_unlock(&boesfs_policies_lock);
	if (err)
		kfree(policy);
	return err;
}

static void boesfs_ops_unreg(void *kdata, struct bpf_link *link)
{
	struct boesfs_policy *policy;

	mutex_lock(&boesfs_policies_lock);
	policy = boesfs_policy_of(link);
	if (policy) {
		list_del(&policy->list);
		policy->link = NULL;
		boesfs_publish(policy, NULL);
	}
	mutex_unlock(&boesfs_policies_lock);
	/* The programs go when this returns. */
	synchronize_srcu(&boesfs_srcu);
	if (policy)
		boesfs_policy_put(policy);
}

static int boesfs_ops_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	struct boesfs_ops *ops = kdata, *old = old_kdata;
	struct boesfs_policy *policy;
	int err = 0;

	/* A mount's class is a number: it must mean something in the new policy too. */
	if (strcmp(ops->name, old->name))
		return -EINVAL;
	mutex_lock(&boesfs_policies_lock);
	policy = boesfs_policy_of(link);
	if (policy)
		refcount_inc(&policy->ref);
	mutex_unlock(&boesfs_policies_lock);
	if (!policy)
		return -ESTALE;
	err = boesfs_hold_still(policy);
	if (err)
		goto put;
	mutex_lock(&boesfs_policies_lock);
	if (policy->link != link || policy->ops != old)
		err = -ESTALE;
	else if (ops->classes < old->classes || !ops->subject != !old->subject)
		err = -EINVAL;
	else
		boesfs_publish(policy, ops);
	mutex_unlock(&boesfs_policies_lock);
	boesfs_let_move(policy);
	if (!err)
		synchronize_srcu(&boesfs_srcu);
put:
	boesfs_policy_put(policy);
	return err;
}

static int boesfs_ops_validate(void *kdata)
{
	struct boesfs_ops *ops = kdata;

	if (!ops->step || !ops->check || !ops->row || !ops->conditional || !ops->within)
		return -EINVAL;
	/* The members that are data are looked at one by one; one left out is zero, and comes here only. */
	if (ops->abi != BOESFS_ABI_VERSION || !ops->classes || !ops->name[0])
		return -EINVAL;
	/* Nobody is no class. */
	if (ops->classes > BOESFS_CLASS_NOBODY)
		return -EINVAL;
	return 0;
}

static int boesfs_ops_init_member(const struct btf_type *t, const struct btf_member *member,
				  void *kdata, const void *udata)
{
	const struct boesfs_ops *from = udata;
	struct boesfs_ops *to = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct boesfs_ops, abi):
		if (from->abi != BOESFS_ABI_VERSION) {
			pr_warn("boesfs: the policy is for version %u of the interface, this module has %u\n",
				from->abi, BOESFS_ABI_VERSION);
			return -EPROTO;
		}
		to->abi = from->abi;
		return 1;
	case offsetof(struct boesfs_ops, classes):
		to->classes = from->classes;
		return 1;
	case offsetof(struct boesfs_ops, exe_root):
		to->exe_root = from->exe_root;
		return 1;
	case offsetof(struct boesfs_ops, name):
		if (strnlen(from->name, sizeof(from->name)) == sizeof(from->name))
			return -ENAMETOOLONG;
		strscpy(to->name, from->name, sizeof(to->name));
		return 1;
	}
	/* Programs; everything else must be zero. */
	return 0;
}

static int boesfs_ops_check_member(const struct btf_type *t, const struct btf_member *member,
				   const struct bpf_prog *prog)
{
	/* A question is a few loads: there is nothing to wait for. */
	return prog->sleepable ? -EINVAL : 0;
}

static int boesfs_ops_btf(struct btf *btf)
{
	return 0;
}

static bool boesfs_ops_is_valid_access(int off, int size, enum bpf_access_type type,
				       const struct bpf_prog *prog,
				       struct bpf_insn_access_aux *info)
{
	if (off < 0 || off >= (int)sizeof(u64) * MAX_BPF_FUNC_ARGS)
		return false;
	if (type != BPF_READ || off % size != 0)
		return false;
	return btf_ctx_access(off, size, type, prog, info);
}

static const struct bpf_func_proto *boesfs_ops_func_proto(enum bpf_func_id id,
							  const struct bpf_prog *prog)
{
	return bpf_base_func_proto(id, prog);
}

static const struct bpf_verifier_ops boesfs_verifier_ops = {
	.is_valid_access = boesfs_ops_is_valid_access,
	.get_func_proto = boesfs_ops_func_proto,
};

/* Their types are those of the members; their bodies are never run. */
static u32 boesfs_ops__step(const struct boesfs_name *name, u32 state, u32 length)
{
	return BOESFS_STATE_DEAD;
}

static u64 boesfs_ops__check(const struct boesfs_request *request)
{
	return BOESFS_EFFECT_DENY;
}

static u64 boesfs_ops__row(u32 state, u32 class)
{
	return 0;
}

static u32 boesfs_ops__conditional(u32 state, u32 class, u32 op)
{
	return 1;
}

static u32 boesfs_ops__within(u32 to, u32 from, u32 class)
{
	return 0;
}

static u32 boesfs_ops__subject(const struct boesfs_who *who)
{
	return BOESFS_CLASS_NOBODY;
}

static u32 boesfs_ops__record(const struct boesfs_event *event)
{
	return 1;
}

static struct boesfs_ops boesfs_ops_stubs = {
	.step = boesfs_ops__step,
	.check = boesfs_ops__check,
	.row = boesfs_ops__row,
	.conditional = boesfs_ops__conditional,
	.within = boesfs_ops__within,
	.subject = boesfs_ops__subject,
	.record = boesfs_ops__record,
};

static struct bpf_struct_ops boesfs_struct_ops = {
	.verifier_ops = &boesfs_verifier_ops,
	.init = boesfs_ops_btf,
	.check_member = boesfs_ops_check_member,
	.init_member = boesfs_ops_init_member,
	.reg = boesfs_ops_reg,
	.unreg = boesfs_ops_unreg,
	.update = boesfs_ops_update,
	.validate = boesfs_ops_validate,
	.cfi_stubs = &boesfs_ops_stubs,
	.owner = THIS_MODULE,
	.name = "boesfs_ops",
};

int boesfs_ops_init(void)
{
	int err = register_bpf_struct_ops(&boesfs_struct_ops, boesfs_ops);

	if (err)
		pr_err("boesfs: no struct_ops (%d): the module must have been built with BTF (pahole, and the kernel's vmlinux)\n",
		       err);
	return err;
}
