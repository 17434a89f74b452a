#include <linux/fs.h>
int probe(struct inode *inode);
int probe(struct inode *inode) { return inode_state_read_once(inode); }
