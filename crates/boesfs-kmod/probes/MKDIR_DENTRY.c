#include <linux/fs.h>
struct dentry *probe(const struct inode_operations *ops, struct inode *dir, struct dentry *d);
struct dentry *probe(const struct inode_operations *ops, struct inode *dir, struct dentry *d) { return ops->mkdir(NULL, dir, d, 0); }
