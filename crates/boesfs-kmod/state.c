// SPDX-License-Identifier: GPL-2.0
/*
 * Where an object stands in the policy's automaton.
 *
 * A state belongs to a path, and is kept in the inode: there is one inode for
 * each object below and state it has been found in. It holds for one
 * generation of the policy; after an update it is found anew, from the path.
 *
 * No directory changes its state by a rename, so what is below it stays as it
 * is. Any other object that is moved gets its new state after d_move(), and
 * what is worked out from a path is kept only if no name has moved meanwhile.
 */
#include <linux/slab.h>

#include "boesfs.h"

/* The state of @name in a directory of state @state. */
u32 boesfs_step(struct boesfs_ops *ops, u32 state, const struct qstr *name)
{
	struct boesfs_name padded;

	if (!name->len || name->len >= BOESFS_NAME_BYTES)
		return BOESFS_STATE_DEAD;
	memcpy(padded.words, name->name, name->len);
	memset((u8 *)padded.words + name->len, 0, sizeof(padded.words) - name->len);
	return ops->step(&padded, state, name->len);
}

/* Whether the state of @inode is known for @generation. */
bool boesfs_known(struct inode *inode, u32 generation, u32 *state)
{
	struct boesfs_inode *bi = boesfs_i(inode);
	unsigned int seq;
	bool known;

	do {
		seq = read_seqbegin(&bi->seq);
		known = bi->generation == generation;
		*state = bi->state;
	} while (read_seqretry(&bi->seq, seq));
	return known;
}

static void boesfs_set_state_locked(struct boesfs_inode *bi, u32 generation, u32 state)
{
	bi->generation = generation;
	bi->state = state;
	bi->class = BOESFS_CLASS_NOBODY;
	bi->row = 0;
	WRITE_ONCE(bi->plain, 0);
}

void boesfs_set_state(struct inode *inode, u32 generation, u32 state)
{
	struct boesfs_inode *bi = boesfs_i(inode);

	write_seqlock(&bi->seq);
	boesfs_set_state_locked(bi, generation, state);
	write_sequnlock(&bi->seq);
}

/* The state is to be found anew, from the path. */
void boesfs_forget_state(struct inode *inode)
{
	boesfs_set_state(inode, BOESFS_NEVER, BOESFS_STATE_DEAD);
}

/* Whether @inode is known by one dentry: a directory always is. */
bool boesfs_has_one_name(struct inode *inode)
{
	bool one;

	if (S_ISDIR(inode->i_mode))
		return true;
	spin_lock(&inode->i_lock);
	one = !hlist_empty(&inode->i_dentry) && hlist_is_singular_node(inode->i_dentry.first,
								       &inode->i_dentry);
	spin_unlock(&inode->i_lock);
	return one;
}

/* Steps through a path below the mount's root. */
static u32 boesfs_walk(struct boesfs_ops *ops, u32 state, const char *path)
{
	while (*path) {
		const char *end = strchrnul(path, '/');
		struct qstr name = QSTR_INIT(path, end - path);

		if (name.len)
			state = boesfs_step(ops, state, &name);
		path = *end ? end + 1 : end;
	}
	return state;
}

/* The state of the mount's root: by its path, so that it is right for every policy. */
u32 boesfs_root_state(struct boesfs_ops *ops, struct boesfs_sb *sbi)
{
	return boesfs_walk(ops, BOESFS_STATE_ROOT, sbi->at);
}

/* Half way through an exchange of names something has none: that is no path. */
static bool boesfs_is_nameless(struct dentry *dentry, const char *path)
{
	return strstr(path, "//") || (!IS_ROOT(dentry) && path[strlen(path) - 1] == '/');
}

/*
 * The state of the path of @dentry, from @root on, and what the sequence
 * number of all moves was then. May sleep.
 */
int boesfs_path_state(struct boesfs_ops *ops, u32 root, struct dentry *dentry, u32 *state,
		      unsigned int *moves)
{
	char *buffer = kmalloc(PATH_MAX, GFP_KERNEL);
	int err = 0;
	char *path;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		*moves = read_seqbegin(&rename_lock);
		path = dentry_path_raw(dentry, buffer, PATH_MAX);
		if (IS_ERR(path) || likely(!boesfs_is_nameless(dentry, path)))
			break;
		schedule_timeout_uninterruptible(1);
	}
	if (IS_ERR(path)) {
		/* Deeper than can be looked at. */
		err = -EACCES;
	} else {
		*state = boesfs_walk(ops, root, boesfs_sb(dentry->d_sb)->at);
		*state = boesfs_walk(ops, *state, path);
	}
	kfree(buffer);
	return err;
}

/*
 * Keeps the state of a path where the inode is known by that path alone, and
 * no name has moved since @moves. Returns whether it was kept.
 *
 * A name that comes meanwhile is there when it is looked, or is compared with
 * what stands here by boesfs_confirm().
 */
static bool boesfs_keep_state(struct inode *inode, u32 generation, u32 state, unsigned int moves)
{
	struct boesfs_inode *bi = boesfs_i(inode);
	bool keep;

	write_seqlock(&bi->seq);
	keep = boesfs_has_one_name(inode) && !read_seqretry(&rename_lock, moves);
	if (keep)
		boesfs_set_state_locked(bi, generation, state);
	write_sequnlock(&bi->seq);
	return keep;
}

/* The state of a path, and it is kept where the inode is known by that path alone. */
static int boesfs_resolve_path(struct boesfs_ops *ops, struct dentry *dentry, u32 *state)
{
	unsigned int moves;
	int err;

	err = boesfs_path_state(ops, BOESFS_STATE_ROOT, dentry, state, &moves);
	if (!err)
		boesfs_keep_state(d_inode(dentry), boesfs_generation(ops), *state, moves);
	return err;
}

/*
 * The state of what @dentry names; it may be negative, then its directory is
 * locked or the answer is of no consequence. May sleep.
 */
int boesfs_resolve(struct boesfs_ops *ops, struct dentry *dentry, u32 *state)
{
	static const struct qstr unnamed = QSTR_INIT("#tmpfile", 8);
	struct dentry *parent;
	int err = 0;

	if (d_really_is_positive(dentry)) {
		if (boesfs_known(d_inode(dentry), boesfs_generation(ops), state))
			return 0;
		return boesfs_resolve_path(ops, dentry, state);
	}
	parent = dget_parent(dentry);
	if (!boesfs_known(d_inode(parent), boesfs_generation(ops), state))
		err = boesfs_resolve_path(ops, parent, state);
	if (!err) {
		struct name_snapshot name;

		take_dentry_name_snapshot(&name, dentry);
		/* What open(2) with O_TMPFILE makes is called "/" by the kernel until it is there. */
		*state = boesfs_step(ops, *state, name.name.name[0] == '/' ? &unnamed : &name.name);
		release_dentry_name_snapshot(&name);
	}
	dput(parent);
	return err;
}

/*
 * Finds the state of an existing object anew where the policy has changed.
 * Returns 1 if its inode has it now, 0 if not (it has several names, which
 * need not have the same any more), or an error.
 */
int boesfs_resync(struct dentry *dentry)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct boesfs_ops *ops;
	int idx, ret = -EACCES;
	u32 state;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops) {
		ret = boesfs_resolve(ops, dentry, &state);
		if (!ret)
			ret = boesfs_known(d_inode(dentry), boesfs_generation(ops), &state);
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	return ret;
}

/*
 * The same where a rename has moved an object that is no directory, both
 * directories of which are locked yet: its name cannot change, and the
 * directory's state is the one by which the move has been judged.
 */
int boesfs_resync_moved(struct dentry *dentry)
{
	struct boesfs_sb *sbi = boesfs_sb(dentry->d_sb);
	struct inode *inode = d_inode(dentry);
	unsigned int moves = read_seqbegin(&rename_lock);
	struct boesfs_ops *ops;
	bool known = false;
	u32 state;
	int idx;

	idx = srcu_read_lock(&boesfs_srcu);
	ops = srcu_dereference(sbi->ops, &boesfs_srcu);
	if (ops && boesfs_known(d_inode(dentry->d_parent), boesfs_generation(ops), &state)) {
		state = boesfs_step(ops, state, &dentry->d_name);
		known = boesfs_keep_state(inode, boesfs_generation(ops), state, moves);
	}
	srcu_read_unlock(&boesfs_srcu, idx);
	return known ? 1 : boesfs_resync(dentry);
}

/* What everybody here may plainly do by what @bi remembers. */
static u64 boesfs_plain_of(struct boesfs_sb *sbi, struct boesfs_inode *bi)
{
	u32 asked = bi->row >> 32, plain;

	/* Where classes differ by task, each is asked for itself. */
	if (!sbi->fixed_class || bi->class != sbi->class)
		return 0;
	plain = (u32)bi->row & ~asked & (BIT(BOESFS_OP_COUNT) - 1);
	if (!(asked >> BOESFS_OP_STAT & 1))
		plain |= BOESFS_PLAINLY_FOUND;
	return boesfs_grant(bi->generation, plain);
}

/* Remembers the row of @class at @state in the policy of that generation, if that is what @inode has. */
void boesfs_remember(struct inode *inode, u32 generation, u32 state, u32 class, u64 row)
{
	struct boesfs_inode *bi = boesfs_i(inode);

	write_seqlock(&bi->seq);
	if (bi->generation == generation && bi->state == state) {
		bi->class = class;
		bi->row = row;
		WRITE_ONCE(bi->plain, boesfs_plain_of(boesfs_sb(inode->i_sb), bi));
	}
	write_sequnlock(&bi->seq);
}

/* The row of @class at @state, remembered for @inode if that is its state. */
u64 boesfs_row(struct boesfs_ops *ops, struct inode *inode, u32 state, u32 class)
{
	struct boesfs_inode *bi;
	unsigned int seq;
	bool known;
	u64 row;

	if (!inode)
		return ops->row(state, class);
	bi = boesfs_i(inode);
	do {
		seq = read_seqbegin(&bi->seq);
		known = bi->generation == boesfs_generation(ops) && bi->state == state &&
			bi->class == class;
		row = bi->row;
	} while (read_seqretry(&bi->seq, seq));
	if (known)
		return row;
	row = ops->row(state, class);
	boesfs_remember(inode, boesfs_generation(ops), state, class, row);
	return row;
}
