#include <linux/namei.h>
int probe(struct renamedata *rd, struct dentry *a, struct dentry *b);
int probe(struct renamedata *rd, struct dentry *a, struct dentry *b) { return start_renaming_two_dentries(rd, a, b); }
