// `around CGROUP [FILE]`: tries the system calls that reach around a tree, and writes how each ended: its errno, or 0. The cgroup is another one than its own. Of
// the file it asks for the flags by ioctl(2), as a program of 64 and of 32 bits, and by file_getattr(2) and file_setattr(2).
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *what, long result) {
    printf("%s %d\n", what, result < 0 ? errno : 0);
}

static void made(const char *what, long child) {
    if (child == 0)
        _exit(0);
    told(what, child);
    if (child > 0)
        waitpid(child, NULL, __WALL);
}

// The result of a system call of a 32-bit program. Pointers must fit: what they point to is static.
static long call32(long number, long first, long second, void *third) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(first), "c"(second), "d"(third) : "memory");
    if ((int)result >= 0)
        return 0;
    errno = -(int)result;
    return -1;
}

static void flags_of(const char *path) {
    static int flags;
    // `struct file_attr`, which is newer than the headers.
    static char attributes[24];
    int file = open(path, O_RDONLY);
    told("open", file);
    told("ioctl", syscall(SYS_ioctl, file, 0x80086601 /* FS_IOC_GETFLAGS */, &flags));
    told("ioctl-32", call32(54, file, 0x80046601 /* FS_IOC32_GETFLAGS */, &flags));
    told("file_getattr", syscall(468, AT_FDCWD, path, attributes, sizeof attributes, 0));
    told("file_setattr", syscall(469, AT_FDCWD, path, attributes, sizeof attributes, 0));
}

int main(int argc, char **argv) {
    // What is written stands once, whoever else has the buffer.
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct clone_args user = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    struct clone_args plain = {.exit_signal = SIGCHLD};
    struct clone_args into = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
    made("fork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    made("clone3", syscall(SYS_clone3, &plain, sizeof plain));
    made("user-namespace", syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0));
    made("clone3-user-namespace", syscall(SYS_clone3, &user, sizeof user));
    made("sibling", syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
    int cgroup = argc > 1 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
    if (cgroup >= 0) {
        into.cgroup = cgroup;
        made("into-cgroup", syscall(SYS_clone3, &into, sizeof into));
    }
    told("unshare-mounts", unshare(CLONE_NEWNS));
    char map[128] = {0};
    union bpf_attr *attr = (void *)map;
    attr->map_type = BPF_MAP_TYPE_ARRAY;
    attr->key_size = attr->value_size = 4;
    attr->max_entries = 1;
    told("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, attr, sizeof map));
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event,
        .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1};
    told("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
    char rings[120] = {0};
    told("io_uring_setup", syscall(SYS_io_uring_setup, 4, rings));
    told("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */));
    told("memfd_create", syscall(SYS_memfd_create, "x", 0));
    told("add_key", syscall(SYS_add_key, "user", "boesfs", "x", 1, -2 /* the process's keyring */));
    told("session-keyring", syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, 0));
    told("user-keyring", syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -4, 1));
    // Where the namespace is new, nobody else sees it.
    syscall(SYS_mount, "none", "/", NULL, 1 << 14 | 1 << 18 /* MS_REC | MS_PRIVATE */, NULL);
    told("mount", syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, 0));
    told("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    told("chroot", syscall(SYS_chroot, "/"));
    if (argc > 2)
        flags_of(argv[2]);
    return 0;
}
