// Class 13: another way to the tree below: mounts, namespaces, roots.
#include <sched.h>
#include <sys/mount.h>

#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    CELL("user-namespace") MUST(unshare, CLONE_NEWUSER);
    CELL("mount-namespace") MUST(unshare, CLONE_NEWUSER | CLONE_NEWNS);
    CELL("clone3-namespace") {
        struct { uint64_t flags, a, b, c, exit_signal, d, e, f; } args = {.flags = CLONE_NEWUSER, .exit_signal = 17};
        if (MUST(syscall, SYS_clone3, &args, sizeof args) == 0) _exit(0);
    }
    CELL("clone-parent") {
        // A child of the agent that the agent does not know: it could not end before it.
        if (MUST(syscall, SYS_clone, CLONE_PARENT | 17, 0, 0, 0, 0) == 0) _exit(0);
    }
    CELL("setns") {
        // Whatever namespace it is: the call itself must be refused.
        MUST(setns, SETUP(open("/proc/self/ns/uts", O_RDONLY)), 0);
    }
    CELL("chroot") MUST(chroot, "src");
    // The rest changes mounts: in a namespace of its own, so that natively nothing outside this program is touched.
    CELL("bind") {
        MUST(unshare, CLONE_NEWNS);
        MUST(mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        MUST(mount, ".git", "src", NULL, MS_BIND, NULL);
    }
    CELL("plain-bind") MUST(mount, ".git/hooks/empty", ".git/hooks/empty", NULL, MS_BIND, NULL);
    CELL("tmpfs") MUST(mount, "tmpfs", ".git/hooks/empty", "tmpfs", 0, NULL);
    CELL("open-tree") MUST(syscall, SYS_open_tree, AT_FDCWD, ".", 1 /* OPEN_TREE_CLONE */);
    CELL("fsopen") MUST(syscall, SYS_fsopen, "tmpfs", 0);
    CELL("umount-root") MUST(umount2, "/", MNT_DETACH);
    CELL("pivot-root") MUST(syscall, SYS_pivot_root, ".", ".");
    return through(cell);
}
