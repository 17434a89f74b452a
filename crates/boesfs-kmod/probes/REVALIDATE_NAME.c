#include <linux/dcache.h>
int probe(struct dentry *d, struct inode *dir, const struct qstr *name);
int probe(struct dentry *d, struct inode *dir, const struct qstr *name) { return d->d_op->d_revalidate(dir, name, d, 0); }
