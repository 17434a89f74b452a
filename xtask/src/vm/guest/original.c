// What went wrong in a system with the same aim that came before this one, one function each: `original DIR`, in a sandbox with the
// policy of tests/kmod/original.sh, or `original DIR entered`, in its mounts alone. Each says what it has seen, and the first that sees the defect ends the program with 1.
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *defect;
static int seen;

static _Noreturn void bad(const char *what) {
    printf("wrong: %s: %s: %s\n", defect, what, strerror(errno));
    exit(1);
}

static long works(const char *what, long result) {
    if (result < 0) bad(what);
    seen++;
    return result;
}

// The call must fail for this reason.
static void refused(const char *what, long result, int error) {
    if (result >= 0) errno = 0, bad(what);
    if (errno != error) bad(what);
    seen++;
}

// A way of reading or writing, which must be refused at the second place that it is tried at.
#define WAY(call) do { if (beyond) refused(#call, call, EACCES); else works(#call, call); } while (0)

// One read or write at an offset through io_uring; the result as of a system call.
static long uring(int op, int fd, void *buffer, unsigned length, uint64_t offset) {
    struct io_uring_params p = {0};
    int ring = syscall(SYS_io_uring_setup, 4, &p);
    if (ring < 0) return -1;
    size_t size = p.sq_off.array + p.sq_entries * sizeof(uint32_t), cqes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, size > cqes ? size : cqes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, p.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (rings == MAP_FAILED || entries == MAP_FAILED) return -1;
    entries[0] = (struct io_uring_sqe){.opcode = op, .fd = fd, .addr = (uintptr_t)buffer, .len = length, .off = offset};
    *(uint32_t *)(rings + p.sq_off.array) = 0;
    __atomic_store_n((uint32_t *)(rings + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return -1;
    long result = ((struct io_uring_cqe *)(rings + p.cq_off.cqes))->res;
    close(ring);
    if (result < 0) errno = -result, result = -1;
    return result;
}

static long aio(int op, int fd, void *buffer, unsigned length, uint64_t offset) {
    aio_context_t context = 0;
    struct iocb request = {.aio_lio_opcode = op, .aio_fildes = fd, .aio_buf = (uintptr_t)buffer, .aio_nbytes = length, .aio_offset = offset};
    struct iocb *requests[] = {&request};
    struct io_event event;
    if (syscall(SYS_io_setup, 1, &context) < 0) return -1;
    long result = syscall(SYS_io_submit, context, 1, requests);
    if (result == 1) {
        if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1) return -1;
        result = event.res;
        if (result < 0) errno = -result, result = -1;
    }
    int error = errno;
    syscall(SYS_io_destroy, context);
    errno = error;
    return result;
}

// read and write were asked about, and nothing else that reads and writes: here, what lies beyond an offset is refused, in every way.
static void only_plain_read_and_write_were_mediated(void) {
    char data[64] = "data";
    struct iovec vector = {data, sizeof data};
    int pipes[2], fd = works("open", open("reads", O_RDONLY)), out = works("open", open("writes", O_RDWR));
    int sink = works("open", open("plain", O_RDWR));
    works("pipe", pipe(pipes));
    for (int beyond = 0; beyond < 2; beyond++) {
        off_t at = beyond ? 4096 : 0;
        loff_t in = at, to = at;
        WAY((lseek(fd, at, SEEK_SET), read(fd, data, sizeof data)));
        WAY((lseek(fd, at, SEEK_SET), readv(fd, &vector, 1)));
        WAY(pread(fd, data, sizeof data, at));
        WAY(preadv(fd, &vector, 1, at));
        WAY(preadv2(fd, &vector, 1, at, 0));
        WAY(aio(IOCB_CMD_PREAD, fd, data, sizeof data, at));
        WAY((in = at, sendfile(pipes[1], fd, &in, sizeof data)));
        WAY((in = at, splice(fd, &in, pipes[1], NULL, sizeof data, 0)));
        WAY((in = at, to = 0, copy_file_range(fd, &in, sink, &to, sizeof data, 0)));
        WAY((lseek(out, at, SEEK_SET), write(out, data, sizeof data)));
        WAY((lseek(out, at, SEEK_SET), writev(out, &vector, 1)));
        WAY(pwrite(out, data, sizeof data, at));
        WAY(pwritev(out, &vector, 1, at));
        WAY(pwritev2(out, &vector, 1, at, 0));
        WAY(aio(IOCB_CMD_PWRITE, out, data, sizeof data, at));
        WAY((in = 0, lseek(out, at, SEEK_SET), sendfile(out, sink, &in, sizeof data)));
        WAY((to = at, splice(pipes[0], NULL, out, &to, 32, 0)));
        WAY((in = 0, to = at, copy_file_range(sink, &in, out, &to, sizeof data, 0)));
        WAY(fallocate(out, 0, at, sizeof data));
    }
    // What is read and written without a question is not there to be had.
    refused("mmap", (long)mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0) == -1 ? -1 : 0, ENODEV);
    refused("mmap to write", (long)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, out, 0) == -1 ? -1 : 0, ENODEV);
}

// The sandbox does without io_uring: this is for who enters its mounts without its other limits.
static void io_uring_was_not_mediated(void) {
    char data[64] = "data";
    int fd = works("open", open("reads", O_RDONLY)), out = works("open", open("writes", O_RDWR));
    for (int beyond = 0; beyond < 2; beyond++) {
        off_t at = beyond ? 4096 : 0;
        WAY(uring(IORING_OP_READ, fd, data, sizeof data, at));
        WAY(uring(IORING_OP_WRITE, out, data, sizeof data, at));
    }
}

static void ioctl_and_attributes_were_not_mediated(void) {
    int fd = works("open", open("meta", O_RDWR)), free = works("open", open("plain", O_RDWR)), flags, version;
    char value[64];
    refused("FS_IOC_GETFLAGS", ioctl(fd, FS_IOC_GETFLAGS, &flags), EACCES);
    refused("FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags), EACCES);
    refused("FS_IOC_GETVERSION", ioctl(fd, FS_IOC_GETVERSION, &version), EACCES);
    refused("getxattr", getxattr("meta", "user.x", value, sizeof value), EACCES);
    refused("fgetxattr", fgetxattr(fd, "user.x", value, sizeof value), EACCES);
    refused("setxattr", setxattr("meta", "user.x", "v", 1, 0), EACCES);
    refused("fsetxattr", fsetxattr(fd, "user.x", "v", 1, 0), EACCES);
    refused("removexattr", removexattr("meta", "user.x"), EACCES);
    refused("fremovexattr", fremovexattr(fd, "user.x"), EACCES);
    refused("listxattr", listxattr("meta", value, sizeof value), EACCES);
    refused("flistxattr", flistxattr(fd, value, sizeof value), EACCES);
    refused("readlink", readlink("link", value, sizeof value), EACCES);
    works("FS_IOC_GETFLAGS", ioctl(free, FS_IOC_GETFLAGS, &flags));
    works("setxattr", setxattr("plain", "user.x", "v", 1, 0));
    works("getxattr", getxattr("plain", "user.x", value, sizeof value));
}

// Paths were copied into 256 bytes of the kernel's stack: here they are judged to the longest that a system call takes, and beyond.
static void paths_of_256_bytes_overflowed_the_stack(void) {
    char name[201];
    int depth, home = works("open", open(".", O_RDONLY | O_DIRECTORY));
    memset(name, 'n', 200);
    name[200] = 0;
    for (depth = 1; depth <= 24; depth++) {
        // Beyond PATH_MAX in the end: by steps, as nothing else leads there.
        works("mkdir", mkdir(name, 0755) && errno != EEXIST ? -1 : 0);
        works("chdir", chdir(name));
        int fd = open("plain", O_RDWR | O_CREAT, 0644);
        if (depth <= 19) {
            works("create", fd);
            refused("secret", open("secret", O_RDWR | O_CREAT, 0644), EACCES);
        } else if (fd < 0) {
            // Deeper than can be looked at: refused, not let through.
            if (errno != EACCES && errno != ENAMETOOLONG) bad("what is too deep");
        } else {
            refused("a secret too deep", open("secret", O_RDWR | O_CREAT, 0644), EACCES);
        }
        if (fd >= 0) close(fd);
    }
    works("back", fchdir(home));
    char *path = malloc(4096), *end = path;
    for (depth = 0; depth < 19; depth++) end = stpcpy(stpcpy(end, name), "/");
    strcpy(end, "plain");
    close(works("open of a long path", open(path, O_RDWR)));
    strcpy(end, "secret");
    refused("a long path", open(path, O_RDWR | O_CREAT, 0644), EACCES);
    free(path);
    close(home);
}

static void the_target_of_a_rename_was_not_looked_at(void) {
    refused("rename into a closed directory", rename("plain", "closed/plain"), EACCES);
    refused("rename over a file that stays", rename("plain", "kept"), EACCES);
    refused("link into a closed directory", link("plain", "closed/plain"), EACCES);
    close(works("still there", open("plain", O_RDONLY)));
    works("rename", rename("plain", "renamed"));
    works("rename back", rename("renamed", "plain"));
}

static void flags_of_a_rename_were_refused(void) {
    close(works("create", open("a", O_CREAT | O_WRONLY, 0644)));
    close(works("create", open("b", O_CREAT | O_WRONLY, 0600)));
    struct stat status;
    refused("RENAME_NOREPLACE", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
    works("RENAME_NOREPLACE", renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
    works("RENAME_EXCHANGE", renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE));
    works("stat", stat("c", &status));
    if ((status.st_mode & 0777) != 0600) errno = 0, bad("nothing was exchanged");
    // Both names are asked about, in both directions.
    refused("RENAME_EXCHANGE with a closed one", renameat2(AT_FDCWD, "c", AT_FDCWD, "closed/there", RENAME_EXCHANGE), EACCES);
    refused("RENAME_EXCHANGE of a closed one", renameat2(AT_FDCWD, "closed/there", AT_FDCWD, "c", RENAME_EXCHANGE), EACCES);
    unlink("b");
    unlink("c");
}

static int run(const char *program, const char *file) {
    int status;
    pid_t child = works("fork", fork());
    if (!child) {
        execl(program, program, "read", file, (char *)NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// A mount had one subject, whatever was executed, and children had their parents': `elevated` reads for itself alone.
static void a_mount_had_one_subject(void) {
    errno = 0;
    if (run("/lab/bin/original", "vault") != EACCES) bad("who has no role reads");
    if (run("bin/elevated", "vault") != 0) bad("the role of an executable");
    if (run("bin/elevated", "through") != EACCES) bad("a child has its parent's role");
    if (run("/lab/bin/original", "vault") != EACCES) bad("the role stays with the mount");
    seen += 4;
}

// The signal was SIGHUP, to the process group, and could be ignored.
static void a_kill_could_be_ignored(void) {
    int status;
    pid_t bystander = works("fork", fork());
    if (!bystander) for (;;) pause();
    pid_t child = works("fork", fork());
    if (!child) {
        sigset_t all;
        for (int signal = 1; signal < 32; signal++) {
            if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        }
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        int fd = open("trap", O_RDONLY);
        _exit(fd < 0 ? 1 : 2);
    }
    works("wait", waitpid(child, &status, 0));
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) errno = 0, bad("the offender lives");
    if (waitpid(bystander, &status, WNOHANG)) errno = 0, bad("a bystander was killed");
    kill(bystander, SIGKILL);
    waitpid(bystander, &status, 0);
    seen += 2;
}

static void there_were_32_objects_and_128_rules(void) {
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "many/f%d", i);
        if (i % 3) close(works("one that is open", open(name, O_RDONLY)));
        else refused("one of many rules", open(name, O_RDONLY), EACCES);
    }
}

// Offsets were taken for int: rules wrapped at 2 GiB.
static void offsets_wrapped_at_2_gib(void) {
    int fd = works("open", open("large", O_RDWR));
    works("pwrite below", pwrite(fd, "x", 1, (3l << 30) - 1));
    refused("pwrite beyond", pwrite(fd, "x", 1, 3l << 30), EACCES);
    refused("pwrite far beyond", pwrite(fd, "x", 1, 5l << 30), EACCES);
    refused("fallocate beyond", fallocate(fd, FALLOC_FL_KEEP_SIZE, 3l << 30, 1), EACCES);
    works("ftruncate", ftruncate(fd, 0));
}

// Names of what is not there were not judged.
static void what_is_not_there_was_not_judged(void) {
    struct stat status;
    refused("a hidden name", stat("hidden/there", &status), ENOENT);
    refused("a hidden name that is free", stat("hidden/free", &status), ENOENT);
    refused("to make a hidden name", open("hidden/free", O_CREAT | O_WRONLY, 0644), ENOENT);
    refused("to make a name in a closed directory", open("closed/free", O_CREAT | O_WRONLY, 0644), EACCES);
    refused("mkdir in a closed directory", mkdir("closed/dir", 0755), EACCES);
    refused("symlink in a closed directory", symlink("x", "closed/link"), EACCES);
    refused("mknod in a closed directory", mknod("closed/fifo", S_IFIFO | 0644, 0), EACCES);
}

#define DEFECT(name) {#name, name, 0}
static const struct {
    const char *name;
    void (*look)(void);
    // By who has entered the sandbox's mounts.
    int entered;
} defects[] = {
    DEFECT(only_plain_read_and_write_were_mediated),
    {"io_uring_was_not_mediated", io_uring_was_not_mediated, 1},
    DEFECT(ioctl_and_attributes_were_not_mediated),
    DEFECT(paths_of_256_bytes_overflowed_the_stack),
    DEFECT(the_target_of_a_rename_was_not_looked_at),
    DEFECT(flags_of_a_rename_were_refused),
    DEFECT(a_mount_had_one_subject),
    DEFECT(a_kill_could_be_ignored),
    DEFECT(there_were_32_objects_and_128_rules),
    DEFECT(offsets_wrapped_at_2_gib),
    DEFECT(what_is_not_there_was_not_judged),
};

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "read")) {
        if (!strcmp(argv[2], "through")) execl("/lab/bin/original", "original", "read", "vault", (char *)NULL);
        return open(argv[2], O_RDONLY) < 0 ? errno : 0;
    }
    if (argc < 2 || chdir(argv[1])) return 2;
    int entered = argc == 3 && !strcmp(argv[2], "entered");
    for (unsigned i = 0; i < sizeof defects / sizeof *defects; i++) {
        if (defects[i].entered != entered) continue;
        defect = defects[i].name;
        seen = 0;
        defects[i].look();
        printf("%s: not so: %d answers\n", defect, seen);
        fflush(stdout);
    }
    return 0;
}
