// SPDX-License-Identifier: GPL-2.0
/*
 * Mounting.
 *
 *   mount -t boesfs -o lower=DIR,policy=NAME[,at=PATH][,class=N][,tag=N] none MOUNTPOINT
 *
 * policy= is also taken as a descriptor of the policy's BPF link, by
 * fsconfig(2) with FSCONFIG_SET_FD.
 *
 * For the policy, the mount's root is at PATH ("/"), everybody is of class N
 * (by default as the policy says), and events have the number of tag=.
 *
 * The lower mount is cloned for this mount alone, so nothing that happens to
 * it later matters. Only who is privileged in the initial user namespace can
 * mount: the policy's programs can only be loaded by the same.
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/unicode.h>

#include "boesfs.h"

/* For whoever loads policies: /sys/module/boesfs/parameters/abi. */
static unsigned int boesfs_abi = BOESFS_ABI_VERSION;
module_param_named(abi, boesfs_abi, uint, 0444);
MODULE_PARM_DESC(abi, "version of the interface to policies (read-only)");

static struct kmem_cache *boesfs_inode_cache;

enum { OPT_LOWER, OPT_POLICY, OPT_AT, OPT_CLASS, OPT_TAG };

/* A name, or a descriptor. */
static int boesfs_param_is_policy(struct p_log *log, const struct fs_parameter_spec *spec,
				  struct fs_parameter *param, struct fs_parse_result *result)
{
	if (param->type == fs_value_is_file ||
	    (param->type == fs_value_is_string && *param->string))
		return 0;
	return inval_plog(log, "boesfs: policy= is a name, or a descriptor of a policy's BPF link");
}

static const struct fs_parameter_spec boesfs_parameters[] = {
	fsparam_string("lower", OPT_LOWER),
	__fsparam(boesfs_param_is_policy, "policy", OPT_POLICY, 0, NULL),
	fsparam_string("at", OPT_AT),
	fsparam_u32("class", OPT_CLASS),
	fsparam_u32("tag", OPT_TAG),
	{}
};

struct boesfs_options {
	char *lower;
	struct boesfs_policy *policy;
	char *at;
	u32 class;
	u32 tag;
	bool has_class;
};

static int boesfs_parse_policy(struct fs_context *fc, struct fs_parameter *param)
{
	struct boesfs_options *options = fc->fs_private;
	struct boesfs_policy *policy;

	if (param->type == fs_value_is_file) {
		policy = boesfs_policy_by_file(param->file);
		if (policy == ERR_PTR(-EBADF))
			return invalf(fc, "boesfs: policy= is given a descriptor that is no BPF link");
		if (IS_ERR(policy))
			return invalf(fc, "boesfs: no policy is registered by the BPF link, or none any more");
	} else {
		policy = boesfs_policy_by_name(param->string);
		if (!policy)
			return invalf(fc, "boesfs: no policy is registered as %s", param->string);
	}
	if (options->policy)
		boesfs_policy_put(options->policy);
	options->policy = policy;
	return 0;
}

static int boesfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct boesfs_options *options = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, boesfs_parameters, param, &result);

	if (opt < 0)
		return opt;
	switch (opt) {
	case OPT_LOWER:
		kfree(options->lower);
		options->lower = param->string;
		param->string = NULL;
		return 0;
	case OPT_POLICY:
		return boesfs_parse_policy(fc, param);
	case OPT_AT:
		if (param->string[0] != '/')
			return invalf(fc, "boesfs: at= is an absolute path");
		kfree(options->at);
		options->at = param->string;
		param->string = NULL;
		return 0;
	case OPT_CLASS:
		options->class = result.uint_32;
		options->has_class = true;
		return 0;
	case OPT_TAG:
		options->tag = result.uint_32;
		return 0;
	}
	return -EINVAL;
}

/* Whether the tree at @path can be stacked upon. */
static int boesfs_check_lower(struct fs_context *fc, const struct path *path)
{
	struct super_block *sb = path->dentry->d_sb;

	/* Also proc and hugetlbfs, which say so of themselves. */
	if (sb->s_stack_depth >= FILESYSTEM_MAX_STACK_DEPTH)
		return invalf(fc, "boesfs: file systems are stacked too deep already, or this one cannot be stacked upon");
	if (is_idmapped_mnt(path->mnt))
		return invalf(fc, "boesfs: idmapped mounts are not supported below");
	if (sb->s_user_ns != &init_user_ns)
		return invalf(fc, "boesfs: the lower file system belongs to a user namespace");
	/* Also one that does so nowhere yet: a directory can be made to at any time. */
	if (boesfs_has_own_names(path->dentry) || sb_has_encoding(sb))
		return invalf(fc, "boesfs: the lower file system has its own rules for names (case folding)");
	return 0;
}

/* Says why a mount does not get a policy. */
static int boesfs_not_bound(struct fs_context *fc, int err)
{
	switch (err) {
	case -ENOENT:
		errorf(fc, "boesfs: the policy is gone");
		return err;
	case -ERANGE:
		errorf(fc, "boesfs: the policy has no such class, or none by itself: give class=");
		return err;
	case -ELOOP:
		return invalf(fc, "boesfs: the lower mount has the same policy");
	case -EDEADLK:
		return invalf(fc, "boesfs: a mount over this one has the same policy");
	case -EBUSY:
		errorf(fc, "boesfs: a rename or link waits for the file system below: try again");
		return err;
	default:
		return err;
	}
}

static void boesfs_free_sb(struct boesfs_sb *sbi)
{
	if (!sbi)
		return;
	boesfs_policy_unbind(sbi);
	if (sbi->mnt)
		kern_unmount(sbi->mnt);
	if (sbi->cred)
		put_cred(sbi->cred);
	kfree(sbi->at);
	/* A walk under RCU may still compare generations. */
	kfree_rcu(sbi, rcu);
}

static int boesfs_set_root(struct super_block *sb, const struct path *lower)
{
	struct boesfs_sb *sbi = boesfs_sb(sb);
	struct boesfs_ops *ops;
	struct inode *inode = ERR_PTR(-ENOENT);
	int idx;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops)
		inode = boesfs_iget(sb, d_inode(lower->dentry), boesfs_generation(ops),
				    boesfs_root_state(ops, sbi));
	srcu_read_unlock(&boesfs_srcu, idx);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	sb->s_root = d_make_root(inode);
	if (!sb->s_root)
		return -ENOMEM;
	boesfs_set_lower(sb->s_root, dget(lower->dentry));
	return 0;
}

static int boesfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct boesfs_options *options = fc->fs_private;
	struct super_block *below;
	struct boesfs_sb *sbi;
	struct path lower;
	struct cred *cred;
	int err;

	sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);
	if (!sbi)
		return -ENOMEM;
	sb->s_fs_info = sbi;
	sbi->at = options->at ?: kstrdup("/", GFP_KERNEL);
	options->at = NULL;
	if (!sbi->at)
		return -ENOMEM;
	sbi->fixed_class = options->has_class;
	sbi->class = options->has_class ? options->class : BOESFS_CLASS_NOBODY;
	sbi->tag = options->tag;

	cred = prepare_creds();
	if (!cred)
		return -ENOMEM;
	/* Not the mounter's right to exceed quotas and reserved space. */
	cap_lower(cred->cap_effective, CAP_SYS_RESOURCE);
	sbi->cred = cred;

	err = kern_path(options->lower, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &lower);
	if (err) {
		errorf(fc, "boesfs: cannot find the lower directory (%d)", err);
		return err;
	}
	err = boesfs_check_lower(fc, &lower);
	if (err)
		goto put;
	sbi->mnt = clone_private_mount(&lower);
	if (IS_ERR(sbi->mnt)) {
		err = PTR_ERR(sbi->mnt);
		sbi->mnt = NULL;
		errorf(fc, "boesfs: the lower mount cannot be cloned (%d)", err);
		goto put;
	}
	below = lower.dentry->d_sb;
	err = boesfs_policy_bind(options->policy, sb);
	if (err) {
		err = boesfs_not_bound(fc, err);
		goto put;
	}
	options->policy = NULL;

	sb->s_stack_depth = below->s_stack_depth + 1;
	sb->s_magic = BOESFS_MAGIC;
	sb->s_op = &boesfs_super_operations;
	boesfs_set_dentry_ops(sb, &boesfs_dentry_operations);
	sb->s_xattr = boesfs_xattr_handlers;
	sb->s_maxbytes = below->s_maxbytes;
	sb->s_blocksize = below->s_blocksize;
	sb->s_blocksize_bits = below->s_blocksize_bits;
	sb->s_time_gran = below->s_time_gran;
	sb->s_time_min = below->s_time_min;
	sb->s_time_max = below->s_time_max;
	/* The umask, or a default ACL in its place, is applied below. */
	sb->s_flags |= SB_POSIXACL;
	/* Nobody can change the clone: it stays so. */
	if (sbi->mnt->mnt_flags & MNT_READONLY)
		sb->s_flags |= SB_RDONLY;
	if (sbi->mnt->mnt_flags & MNT_NOEXEC)
		sb->s_iflags |= SB_I_NOEXEC;
	if (sbi->mnt->mnt_flags & MNT_NODEV)
		sb->s_iflags |= SB_I_NODEV;
	err = boesfs_set_root(sb, &lower);
put:
	path_put(&lower);
	return err;
}

static int boesfs_get_tree(struct fs_context *fc)
{
	struct boesfs_options *options = fc->fs_private;

	if (!options->lower)
		return invalf(fc, "boesfs: lower= is missing");
	if (!options->policy)
		return invalf(fc, "boesfs: policy= is missing");
	return get_tree_nodev(fc, boesfs_fill_super);
}

/* Remounting can make it read-only, and give it another policy. */
static int boesfs_reconfigure(struct fs_context *fc)
{
	struct boesfs_options *options = fc->fs_private;
	struct boesfs_sb *sbi = boesfs_sb(fc->root->d_sb);
	int err;

	/* mount(8) gives back what /proc/mounts says, which has the class. */
	if (options->lower || options->at || (options->tag && options->tag != sbi->tag) ||
	    (options->has_class && (!sbi->fixed_class || options->class != sbi->class)))
		return invalf(fc, "boesfs: the lower directory, place, class and tag of a mount stay as they are");
	if ((fc->sb_flags_mask & SB_RDONLY) && !(fc->sb_flags & SB_RDONLY) &&
	    (sbi->mnt->mnt_flags & MNT_READONLY)) {
		errorf(fc, "boesfs: the lower mount is read-only");
		return -EROFS;
	}
	sync_filesystem(fc->root->d_sb);
	if (!options->policy || options->policy == sbi->policy)
		return 0;
	/* Nothing fails after that. */
	err = boesfs_policy_rebind(options->policy, fc->root->d_sb);
	if (err)
		return boesfs_not_bound(fc, err);
	options->policy = NULL;
	return 0;
}

static void boesfs_free_fc(struct fs_context *fc)
{
	struct boesfs_options *options = fc->fs_private;

	if (!options)
		return;
	if (options->policy)
		boesfs_policy_put(options->policy);
	kfree(options->lower);
	kfree(options->at);
	kfree(options);
}

static const struct fs_context_operations boesfs_context_operations = {
	.parse_param	= boesfs_parse_param,
	.get_tree	= boesfs_get_tree,
	.reconfigure	= boesfs_reconfigure,
	.free		= boesfs_free_fc,
};

static int boesfs_init_fs_context(struct fs_context *fc)
{
	fc->fs_private = kzalloc(sizeof(struct boesfs_options), GFP_KERNEL);
	if (!fc->fs_private)
		return -ENOMEM;
	fc->ops = &boesfs_context_operations;
	return 0;
}

static struct inode *boesfs_alloc_inode(struct super_block *sb)
{
	struct boesfs_inode *bi = alloc_inode_sb(sb, boesfs_inode_cache, GFP_KERNEL);

	if (!bi)
		return NULL;
	bi->lower = NULL;
	bi->generation = BOESFS_NEVER;
	bi->state = BOESFS_STATE_DEAD;
	bi->class = BOESFS_CLASS_NOBODY;
	bi->row = 0;
	bi->plain = 0;
	return &bi->vfs_inode;
}

static void boesfs_free_inode(struct inode *inode)
{
	kmem_cache_free(boesfs_inode_cache, boesfs_i(inode));
}

static void boesfs_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	iput(boesfs_lower_inode(inode));
}

static int boesfs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct path lower = boesfs_lower_path(dentry);
	const struct cred *old;
	int err;

	/* Of what it marks, fanotify_mark(2) compares the file system with that of the root: nobody asks about the root. */
	if (!IS_ROOT(dentry) || boesfs_call() != BOESFS_CALL_FANOTIFY) {
		err = boesfs_may(dentry, BOESFS_OP_STATFS);
		if (err)
			return err;
	}
	old = boesfs_override(dentry->d_sb);
	err = vfs_statfs(&lower, buf);
	boesfs_revert(old);
	return err;
}

static int boesfs_sync_fs(struct super_block *sb, int wait)
{
	struct super_block *below = boesfs_sb(sb)->mnt->mnt_sb;
	int err;

	/*
	 * sync(2) visits the file system below by itself; and when this mount
	 * goes, which has no root any more then, that one stays.
	 */
	if (!wait || !sb->s_root)
		return 0;
	down_read(&below->s_umount);
	err = sync_filesystem(below);
	up_read(&below->s_umount);
	return err;
}

/* Nothing of the layer below: who is inside may read this. */
static int boesfs_show_options(struct seq_file *seq, struct dentry *root)
{
	struct boesfs_sb *sbi = boesfs_sb(root->d_sb);

	boesfs_policy_show(sbi, seq);
	if (sbi->fixed_class)
		seq_printf(seq, ",class=%u", sbi->class);
	return 0;
}

const struct super_operations boesfs_super_operations = {
	.alloc_inode	= boesfs_alloc_inode,
	.free_inode	= boesfs_free_inode,
	.evict_inode	= boesfs_evict_inode,
	.drop_inode	= boesfs_drop_inode,
	.statfs		= boesfs_statfs,
	.sync_fs	= boesfs_sync_fs,
	.show_options	= boesfs_show_options,
};

static void boesfs_kill_sb(struct super_block *sb)
{
	struct boesfs_sb *sbi = boesfs_sb(sb);

	kill_anon_super(sb);
	boesfs_free_sb(sbi);
}

static struct file_system_type boesfs_type = {
	.owner			= THIS_MODULE,
	.name			= "boesfs",
	.init_fs_context	= boesfs_init_fs_context,
	.parameters		= boesfs_parameters,
	.kill_sb		= boesfs_kill_sb,
	.fs_flags		= FS_RENAME_DOES_D_MOVE,
};
MODULE_ALIAS_FS("boesfs");

static void boesfs_inode_once(void *object)
{
	struct boesfs_inode *bi = object;

	seqlock_init(&bi->seq);
	inode_init_once(&bi->vfs_inode);
}

static int __init boesfs_init(void)
{
	int err;

	boesfs_inode_cache = kmem_cache_create("boesfs_inode", sizeof(struct boesfs_inode), 0,
					       SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					       boesfs_inode_once);
	if (!boesfs_inode_cache)
		return -ENOMEM;
	err = boesfs_file_init();
	if (err)
		goto inodes;
	err = boesfs_ops_init();
	if (err)
		goto files;
	err = register_filesystem(&boesfs_type);
	if (err)
		goto files;
	return 0;
files:
	boesfs_file_exit();
inodes:
	kmem_cache_destroy(boesfs_inode_cache);
	return err;
}

static void __exit boesfs_exit(void)
{
	unregister_filesystem(&boesfs_type);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	boesfs_file_exit();
	kmem_cache_destroy(boesfs_inode_cache);
}

module_init(boesfs_init);
module_exit(boesfs_exit);
MODULE_DESCRIPTION("BoesFS: a stackable file system that asks a policy first");
MODULE_AUTHOR("The BoesFS authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
