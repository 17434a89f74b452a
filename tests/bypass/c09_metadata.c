// Class 9: everything about a file that is not its contents.
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    const char *ci = ".github/workflows/ci.yml";
    const char *hook = ".git/hooks/pre-commit";
    CELL("chmod") MUST(chmod, ci, 0777);
    CELL("fchmod") MUST(fchmod, SETUP(open(ci, O_RDONLY)), 0777);
    CELL("fchmodat2") MUST(syscall, 452, AT_FDCWD, ci, 0777, AT_SYMLINK_NOFOLLOW);
    CELL("chown") MUST(chown, ci, getuid(), getgid());
    CELL("fchown") MUST(fchown, SETUP(open(ci, O_RDONLY)), getuid(), getgid());
    CELL("utimes") MUST(utimes, ci, NULL);
    CELL("futimens") MUST(futimens, SETUP(open(ci, O_RDONLY)), NULL);
    CELL("setxattr") MUST(setxattr, ci, "user.evil", "1", 1, 0);
    CELL("fsetxattr") MUST(fsetxattr, SETUP(open(ci, O_RDONLY)), "user.evil", "1", 1, 0);
    CELL("removexattr") MUST(removexattr, ci, "user.mark");
    CELL("acl") {
        // Version 2: owner rwx, group rwx, others rwx.
        uint32_t acl[] = {2, 0x00070001, ~0u, 0x00070004, ~0u, 0x00070020, ~0u};
        MUST(setxattr, ci, "system.posix_acl_access", acl, sizeof acl, 0);
    }
    CELL("remove-acl") MUST(removexattr, ci, "system.posix_acl_access");
    CELL("file-setattr") {
        // struct file_attr of its first version: every flag and number zero.
        uint64_t none[4] = {0};
        MUST(syscall, 469, AT_FDCWD, ci, none, 24, 0);
    }
    CELL("fifo") MUST(mkfifo, hook, 0755);
    CELL("socket") {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, hook);
        MUST(bind, SETUP(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&address, sizeof address);
    }
    CELL("setuid") {
        make("src/program");
        MUST(chmod, "src/program", 04755);
    }
    CELL("setuid-create") MUST(open, "src/program", O_CREAT | O_WRONLY, 04755);
    return through(cell);
}
