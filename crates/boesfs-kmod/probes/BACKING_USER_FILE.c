#include <linux/backing-file.h>
struct file *probe(struct file *file, const struct path *path, const struct cred *cred);
struct file *probe(struct file *file, const struct path *path, const struct cred *cred) { return backing_file_open(file, 0, path, cred); }
