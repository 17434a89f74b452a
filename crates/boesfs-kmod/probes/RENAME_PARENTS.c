#include <linux/fs.h>
struct dentry *probe(struct renamedata *rd);
struct dentry *probe(struct renamedata *rd) { return rd->old_parent; }
