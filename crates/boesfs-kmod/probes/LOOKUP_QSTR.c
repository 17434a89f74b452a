#include <linux/namei.h>
struct dentry *probe(struct mnt_idmap *idmap, struct qstr *name, struct dentry *base);
struct dentry *probe(struct mnt_idmap *idmap, struct qstr *name, struct dentry *base) { return lookup_one_unlocked(idmap, name, base); }
