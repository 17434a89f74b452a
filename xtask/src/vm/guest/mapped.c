// `mapped FROM TO`: binds a directory elsewhere, with the user 0 on disk being shown as the user 1000.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void map(pid_t child, const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", child, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file))
        perror(path);
}

int main(int argc, char **argv) {
    int ready[2];
    char byte = 0;
    if (argc != 3 || pipe(ready))
        return 2;
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWUSER))
            perror("unshare");
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    if (read(ready[0], &byte, 1) != 1)
        return 2;
    map(child, "uid_map", "0 1000 1\n");
    map(child, "gid_map", "0 1000 1\n");
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", child);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = open(path, O_RDONLY | O_CLOEXEC)};
    int tree = syscall(SYS_open_tree, AT_FDCWD, argv[1], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int status = 0;
    if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) ||
        syscall(SYS_move_mount, tree, "", AT_FDCWD, argv[2], MOVE_MOUNT_F_EMPTY_PATH)) {
        perror("mapped");
        status = 1;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return status;
}
