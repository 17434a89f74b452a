#include <linux/fs.h>
#include <linux/fileattr.h>
unsigned int probe(struct file_kattr *fa);
unsigned int probe(struct file_kattr *fa) { return fa->flags; }
