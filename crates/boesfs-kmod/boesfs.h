/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BoesFS: a stackable file system that asks a policy first.
 *
 * super.c   mounting: the lower tree, the policy, the options
 * ops.c     struct_ops: how BPF programs become a policy, and how mounts are bound to it
 * state.c   where an object stands in the policy's automaton, and what is remembered of that
 * subject.c who asks: the class of a task
 * judge.c   asking, and what follows: an error number, a record, a kill
 * inode.c   inodes and their attributes, permissions
 * dir.c     lookup, revalidation, listings
 * namei.c   making, removing and moving names
 * open.c    opening files, and what of them has been granted
 * file.c    their data
 * range.c   mappings, space, copies
 * lock.c    locks
 * ioctl.c   ioctl(2), and inode flags
 * xattr.c   extended attributes and ACLs
 *
 * Objects below are touched with the mounter's credentials; what the caller
 * may do is decided here, by the policy and by the usual permissions.
 */
#ifndef BOESFS_H
#define BOESFS_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_stack.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/seqlock.h>
#include <linux/srcu.h>

#include "abi.h"
#include "compat.h"

#define BOESFS_MAGIC 0x424f4553


/* A generation that no policy has. */
#define BOESFS_NEVER 0xffffffffU

/*
 * A policy: the members that its BPF programs implement, in the order of the
 * paths they answer on. None of them sleeps.
 */
struct boesfs_ops {
	/* One path component further down. */
	u32 (*step)(const struct boesfs_name *name, u32 state, u32 length);
	/* May this subject do this here? */
	u64 (*check)(const struct boesfs_request *request);
	/* What the class may do there: allowed, and in the high half what needs a check. */
	u64 (*row)(u32 state, u32 class);
	/* Does the answer for an operation depend on its arguments? */
	u32 (*conditional)(u32 state, u32 class, u32 op);
	/* Has the class at @to no right that it has not at @from? */
	u32 (*within)(u32 to, u32 from, u32 class);
	/* The class of a subject; optional where each mount has a fixed one. */
	u32 (*subject)(const struct boesfs_who *who);
	/* Tells the policy's user of a verdict, or counts that there is no room; 0 if it could. Optional. */
	u32 (*record)(const struct boesfs_event *event);

	/* BOESFS_ABI_VERSION. */
	u32 abi;
	/* The number of classes. */
	u32 classes;
	/* The state from which paths of executables are walked. */
	u32 exe_root;
	u32 pad;
	char name[BOESFS_POLICY_NAME];

	/*
	 * The module's own; zero in what is registered. The policy's address
	 * names it, and is never followed.
	 */
	u64 generation;
	unsigned long policy;
};

/* A registered policy. Its mounts hold it; @ops goes when its programs go. */
struct boesfs_policy {
	refcount_t ref;
	struct list_head list;
	struct list_head mounts;
	/* Names the registration; never followed. */
	struct bpf_link *link;
	struct boesfs_ops *ops;
	/* How many names move in its mounts, and whether none may begin to. */
	unsigned int moves;
	bool still;
	char name[BOESFS_POLICY_NAME];
};

struct boesfs_sb {
	/* A private clone of the lower mount. */
	struct vfsmount *mnt;
	const struct cred *cred;
	/* Changed by remounting: under boesfs_policies_lock and boesfs_moves_lock. */
	struct boesfs_policy *policy;
	/* In the list of the policy's mounts. */
	struct list_head mount;
	/* SRCU; NULL when the policy is gone: everything is denied. */
	struct boesfs_ops __rcu *ops;
	/* That of @ops, to compare with; 0 when the policy is gone. */
	u32 generation;
	/* The path that the mount's root has for the policy. */
	char *at;
	/* The class of everybody, if it is a fixed one. */
	u32 class;
	bool fixed_class;
	/* Tells the mounts of a sandbox apart in events. */
	u32 tag;
	struct rcu_head rcu;
};

struct boesfs_inode {
	struct inode vfs_inode;
	struct inode *lower;
	/* Guards what follows. */
	seqlock_t seq;
	/* The policy for which the rest holds. */
	u32 generation;
	u32 state;
	/* The last class asked for, and its row. */
	u32 class;
	u64 row;
	/* What follows from these for everybody, read without the lock: see boesfs_plain(). */
	u64 plain;
};

struct boesfs_file {
	struct file *lower;
	/*
	 * The generation of the policy that granted, in the high half, and the
	 * operations that need no other question while it is in force.
	 */
	u64 granted;
	/* The generation in which it may be read like that, and the file below can be; or BOESFS_NEVER. */
	u32 read;
	/* That of the mount, which outlives the file. */
	struct boesfs_sb *sbi;
	/* Guards what is known of it as an executable: its state, in which policy, and before which moves. */
	spinlock_t exe_lock;
	u32 exe_generation;
	u32 exe_state;
	unsigned int exe_moves;
};

static inline u64 boesfs_grant(u32 generation, u32 ops)
{
	return (u64)generation << 32 | ops;
}

/*
 * Held over questions to a policy, never over anything of the file system
 * below: an update of any policy waits for who holds it, and that may hang.
 */
extern struct srcu_struct boesfs_srcu;

/* The generation of a policy's members, of which those of a mount know by @ops. */
static inline u32 boesfs_generation(const struct boesfs_ops *ops)
{
	/* A mount that is bound to them anew gives them another one. */
	return READ_ONCE(ops->generation);
}

static inline struct boesfs_inode *boesfs_i(struct inode *inode)
{
	return container_of(inode, struct boesfs_inode, vfs_inode);
}

static inline struct boesfs_sb *boesfs_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct inode *boesfs_lower_inode(struct inode *inode)
{
	return boesfs_i(inode)->lower;
}

static inline struct dentry *boesfs_lower(struct dentry *dentry)
{
	return dentry->d_fsdata;
}

static inline struct file *boesfs_lower_file(struct file *file)
{
	return ((struct boesfs_file *)file->private_data)->lower;
}

/* The lower object of @dentry; without references. */
static inline struct path boesfs_lower_path(struct dentry *dentry)
{
	return (struct path) {
		.mnt = boesfs_sb(dentry->d_sb)->mnt,
		.dentry = boesfs_lower(dentry),
	};
}

/*
 * Takes on @cred until boesfs_revert(). The caller holds it for longer than
 * that, so no reference is taken: newer kernels do it likewise, older ones
 * count twice. What is kept for later, such as the credentials of a file, is
 * counted by who keeps it.
 */
static inline const struct cred *boesfs_take_on(const struct cred *cred)
{
	return rcu_replace_pointer(current->cred, cred, 1);
}

static inline void boesfs_revert(const struct cred *old)
{
	rcu_assign_pointer(current->cred, old);
}

/* The mounter's, which the mount holds. */
static inline const struct cred *boesfs_override(struct super_block *sb)
{
	return boesfs_take_on(boesfs_sb(sb)->cred);
}

/* What a condition may speak of; the caller's ids are added when it is asked. */
struct boesfs_args {
	u64 flags;
	u64 mode;
	u64 size;
	u64 offset;
	u64 length;
	/* Of the object; of its directory, if it is to be made. */
	kuid_t owner;
	bool has_owner;
};

/* ops.c */
int boesfs_ops_init(void);
struct boesfs_policy *boesfs_policy_by_name(const char *name);
struct boesfs_policy *boesfs_policy_by_file(struct file *file);
void boesfs_policy_put(struct boesfs_policy *policy);
int boesfs_policy_bind(struct boesfs_policy *policy, struct super_block *sb);
int boesfs_policy_rebind(struct boesfs_policy *policy, struct super_block *sb);
void boesfs_policy_unbind(struct boesfs_sb *sbi);
void boesfs_policy_show(struct boesfs_sb *sbi, struct seq_file *seq);
struct boesfs_policy *boesfs_start_move(struct super_block *sb);
void boesfs_end_move(struct boesfs_policy *policy);

/* state.c */
u32 boesfs_step(struct boesfs_ops *ops, u32 state, const struct qstr *name);
u32 boesfs_root_state(struct boesfs_ops *ops, struct boesfs_sb *sbi);
int boesfs_resolve(struct boesfs_ops *ops, struct dentry *dentry, u32 *state);
int boesfs_resync(struct dentry *dentry);
int boesfs_path_state(struct boesfs_ops *ops, u32 root, struct dentry *dentry, u32 *state,
		      unsigned int *moves);
bool boesfs_known(struct inode *inode, u32 generation, u32 *state);
u64 boesfs_row(struct boesfs_ops *ops, struct inode *inode, u32 state, u32 class);
void boesfs_remember(struct inode *inode, u32 generation, u32 state, u32 class, u64 row);
int boesfs_resync_moved(struct dentry *dentry);
void boesfs_set_state(struct inode *inode, u32 generation, u32 state);
void boesfs_forget_state(struct inode *inode);
bool boesfs_has_one_name(struct inode *inode);

/* subject.c */
u32 boesfs_class(struct boesfs_sb *sbi, struct boesfs_ops *ops);
bool boesfs_is_somebody(struct boesfs_sb *sbi);

/* System calls of which one question of the kernel's does not tell the other. */
enum boesfs_call {
	BOESFS_CALL_OTHER,
	BOESFS_CALL_GETXATTR,
	BOESFS_CALL_INOTIFY,
	BOESFS_CALL_FANOTIFY,
};

enum boesfs_call boesfs_call(void);

/* Where something is to be made: its state, and the row of everybody here, in the policy of that generation. */
struct boesfs_place {
	u32 generation;
	u32 state;
	u64 row;
};

/* judge.c */
bool boesfs_plainly_new(struct dentry *dentry, u32 ops, struct boesfs_place *place);
int boesfs_judge_new(struct dentry *dentry, u32 op, const struct boesfs_args *args,
		     struct boesfs_place *place);
int boesfs_judge(struct dentry *dentry, u32 op, const struct boesfs_args *args);
int boesfs_judge_bare(struct dentry *dentry, u32 op);
int boesfs_foresee(struct dentry *dentry, u32 op, const struct boesfs_args *args);
int boesfs_conditional(struct dentry *dentry, u32 op);
int boesfs_find(struct dentry *dentry, struct inode *inode, bool record);
int boesfs_move(struct dentry *from, struct dentry *to);

/* Everybody here finds the object, unrecorded; beside the operations in boesfs_inode.plain. */
#define BOESFS_PLAINLY_FOUND BIT(31)
static_assert(BOESFS_OP_COUNT <= 31);

/*
 * What everybody here may do to an existing object in the policy of that
 * generation, whatever the arguments, unrecorded.
 *
 * Generation and operations are one word, so that neither a lock nor a
 * sequence number is needed to read what belongs together; the word is written
 * under the inode's lock, with what it follows from. That of an older policy
 * has another generation, and after the end of one none is the mount's.
 */
static __always_inline u32 boesfs_plain(struct inode *inode, u32 generation)
{
	u64 plain = READ_ONCE(boesfs_i(inode)->plain);

	return likely(plain >> 32 == generation) ? (u32)plain : 0;
}

/* Whether everybody here may do @op to an existing object, whatever the arguments, unrecorded. */
static __always_inline bool boesfs_plainly(struct inode *inode, u32 op)
{
	return boesfs_plain(inode, READ_ONCE(boesfs_sb(inode->i_sb)->generation)) >> op & 1;
}

static __always_inline int boesfs_may(struct dentry *dentry, u32 op)
{
	if (d_really_is_positive(dentry) && likely(boesfs_plainly(d_inode(dentry), op)))
		return 0;
	return boesfs_judge_bare(dentry, op);
}

/* super.c */
extern const struct super_operations boesfs_super_operations;

/* inode.c */
struct inode *boesfs_iget(struct super_block *sb, struct inode *lower, u32 generation, u32 state);
void boesfs_copy_attr(struct inode *inode);
void boesfs_refresh(struct inode *inode);

/* Takes over what permission checks go by, if it has changed. Does not sleep. */
static __always_inline void boesfs_refresh_rights(struct inode *inode, struct inode *lower)
{
	if (unlikely(READ_ONCE(inode->i_mode) != READ_ONCE(lower->i_mode) ||
		     !uid_eq(inode->i_uid, lower->i_uid) || !gid_eq(inode->i_gid, lower->i_gid) ||
		     ((inode->i_flags ^ lower->i_flags) & (S_IMMUTABLE | S_APPEND))))
		boesfs_copy_attr(inode);
}
int boesfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 request_mask, unsigned int flags);
int boesfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr);
int boesfs_permission(struct mnt_idmap *idmap, struct inode *inode, int mask);

/* Whether the file system has its own rules for this name, or for those in this directory. */
static inline bool boesfs_has_own_names(const struct dentry *dentry)
{
	return (dentry->d_flags & (DCACHE_OP_HASH | DCACHE_OP_COMPARE)) ||
	       (d_is_positive(dentry) && IS_CASEFOLDED(d_inode(dentry)));
}

/* dir.c */
extern const struct dentry_operations boesfs_dentry_operations;
extern const struct file_operations boesfs_dir_operations;
struct dentry *boesfs_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags);
void boesfs_set_lower(struct dentry *dentry, struct dentry *lower);
struct inode *boesfs_inode_for(struct dentry *dentry, struct inode *lower, u32 *generation,
			       u32 *state);
struct inode *boesfs_inode_at(struct super_block *sb, struct inode *lower,
			      const struct boesfs_place *place);
void boesfs_confirm(struct inode *inode, u32 generation, u32 state);

/* namei.c */
extern const struct inode_operations boesfs_dir_inode_operations;

/* open.c */
int boesfs_file_init(void);
void boesfs_file_exit(void);
int boesfs_judge_open(struct dentry *dentry, struct file *file, const kuid_t *owner);
u32 boesfs_open_ops(const struct file *file);
int boesfs_open_made(struct inode *inode, struct file *file);
void boesfs_grant_made(struct file *file, u32 generation);
struct boesfs_file *boesfs_file_alloc(struct boesfs_sb *sbi, struct file *lower, u64 granted);
void boesfs_set_granted(struct boesfs_file *bf, u64 granted);
void boesfs_file_free(struct boesfs_file *bf);
u32 boesfs_user_flags(const struct file *file);
int boesfs_release(struct inode *inode, struct file *file);

/* file.c */
extern const struct file_operations boesfs_file_operations;
int boesfs_fsync(struct file *file, loff_t start, loff_t end, int datasync);

/* lock.c */
int boesfs_lock(struct file *file, int cmd, struct file_lock *fl);
int boesfs_flock(struct file *file, int cmd, struct file_lock *fl);
int boesfs_setlease(struct file *file, int arg, struct file_lease **lease, void **priv);
int boesfs_flush(struct file *file, fl_owner_t id);
void boesfs_release_locks(struct file *file, struct file *lower);

/* ioctl.c */
long boesfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long boesfs_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int boesfs_fileattr_get(struct dentry *dentry, struct boesfs_fileattr *fa);
int boesfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry, struct boesfs_fileattr *fa);

/* xattr.c */
extern const struct xattr_handler * const boesfs_xattr_handlers[];
ssize_t boesfs_listxattr(struct dentry *dentry, char *list, size_t size);
struct posix_acl *boesfs_get_inode_acl(struct inode *inode, int type, bool rcu);
struct posix_acl *boesfs_get_acl(struct mnt_idmap *idmap, struct dentry *dentry, int type);
int boesfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type);

#endif
