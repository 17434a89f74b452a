// Ways to a file's data: open, read, write, append, truncate, map, execute.
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <signal.h>
#include <sys/wait.h>

#include "actor.h"
#include "uring.h"

static char buffer[1 << 20];

static int open_for(const struct attempt *a, int flags) {
    return STEP("open", open(a->path, flags | O_CLOEXEC));
}

static size_t count(const struct attempt *a) {
    size_t wanted = a->length ? a->length : 4;
    return wanted < sizeof buffer ? wanted : sizeof buffer;
}

static struct iovec part(const struct attempt *a) {
    return (struct iovec){buffer, count(a)};
}

static int openat_dir(const struct attempt *a, int flags) {
    int dir = STEP("open of the directory", open(a->dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
    const char *slash = strrchr(a->path, '/');
    return STEP("openat", openat(dir, slash ? slash + 1 : a->path, flags | O_CLOEXEC));
}

static int openat2_(const struct attempt *a, int flags) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .mode = flags & O_CREAT ? 0666 : 0};
    return STEP("openat2", syscall(SYS_openat2, AT_FDCWD, a->path, &how, sizeof how));
}

static int memory(const struct attempt *a) {
    int fd = STEP("memfd_create", memfd_create("x", MFD_CLOEXEC));
    STEP("write to memory", write(fd, buffer, count(a)));
    STEP("lseek", lseek(fd, 0, SEEK_SET));
    return fd;
}

static void aio(const struct attempt *a, int fd, int opcode) {
    aio_context_t context = 0;
    struct io_event event;
    STEP("io_setup", syscall(SYS_io_setup, 1, &context));
    struct iocb request = {.aio_lio_opcode = opcode, .aio_fildes = fd, .aio_buf = (uintptr_t)buffer, .aio_nbytes = count(a), .aio_offset = a->offset};
    struct iocb *requests[] = {&request};
    STEP("io_submit", syscall(SYS_io_submit, context, 1, requests));
    STEP("io_getevents", syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
    if (event.res < 0) report(a, -(int)event.res, "aio");
}

static void map(const struct attempt *a, int fd, int protection, int then, int kind) {
    char *text = mmap(NULL, 4096, protection, kind, fd, 0);
    STEP("mmap", text == MAP_FAILED ? -1 : 0);
    if (then) STEP("mprotect", mprotect(text, 4096, then));
    if ((protection | then) & PROT_WRITE) text[0] = 'x';
    else if (protection & PROT_READ) buffer[0] = text[0];
}

// Reading.
static void read_open(const struct attempt *a) { STEP("open", open(a->path, a->flags | O_CLOEXEC)); }
static void read_read(const struct attempt *a) { STEP("read", read(open_for(a, O_RDONLY), buffer, count(a))); }
static void read_openat(const struct attempt *a) { openat_dir(a, O_RDONLY); }
static void read_openat2(const struct attempt *a) { openat2_(a, O_RDONLY); }
static void read_rdwr(const struct attempt *a) { STEP("read", read(open_for(a, O_RDWR), buffer, count(a))); }
static void read_pread(const struct attempt *a) { STEP("pread", pread(open_for(a, O_RDONLY), buffer, count(a), a->offset)); }
static void read_readv(const struct attempt *a) {
    struct iovec p = part(a);
    STEP("readv", readv(open_for(a, O_RDONLY), &p, 1));
}
static void read_preadv2(const struct attempt *a) {
    struct iovec p = part(a);
    STEP("preadv2", preadv2(open_for(a, O_RDONLY), &p, 1, a->offset, 0));
}
static void read_sendfile(const struct attempt *a) {
    int ends[2];
    STEP("pipe", pipe(ends));
    STEP("sendfile", sendfile(ends[1], open_for(a, O_RDONLY), NULL, count(a)));
}
static void read_splice(const struct attempt *a) {
    int ends[2];
    STEP("pipe", pipe(ends));
    STEP("splice", splice(open_for(a, O_RDONLY), NULL, ends[1], NULL, count(a), 0));
}
static void read_copy(const struct attempt *a) {
    int from = open_for(a, O_RDONLY);
    int to = STEP("open of the copy", open(a->other, O_WRONLY | O_CLOEXEC));
    STEP("copy_file_range", copy_file_range(from, NULL, to, NULL, 4, 0));
}
static void read_aio(const struct attempt *a) { aio(a, open_for(a, O_RDONLY), IOCB_CMD_PREAD); }
static void read_uring(const struct attempt *a) { uring_path(a, IORING_OP_OPENAT, a->path, NULL, O_RDONLY, 0); }
static void read_o_path(const struct attempt *a) {
    char magic[64];
    snprintf(magic, sizeof magic, "/proc/self/fd/%d", open_for(a, O_PATH));
    STEP("open of the magic link", open(magic, O_RDONLY | O_CLOEXEC));
}

// Mapping.
static void map_private(const struct attempt *a) { map(a, open_for(a, O_RDONLY), PROT_READ, 0, MAP_PRIVATE); }
static void map_shared(const struct attempt *a) { map(a, open_for(a, O_RDONLY), PROT_READ, 0, MAP_SHARED); }
static void map_exec(const struct attempt *a) { map(a, open_for(a, O_RDONLY), PROT_READ | PROT_EXEC, 0, MAP_PRIVATE); }
static void map_mprotect(const struct attempt *a) { map(a, open_for(a, O_RDONLY), PROT_READ, PROT_READ | PROT_EXEC, MAP_PRIVATE); }

// Writing.
static void write_open(const struct attempt *a) { open_for(a, O_WRONLY); }
static void write_openat(const struct attempt *a) { STEP("write", write(openat_dir(a, O_WRONLY), buffer, count(a))); }
static void write_openat2(const struct attempt *a) { STEP("write", write(openat2_(a, O_WRONLY), buffer, count(a))); }
static void write_rdwr(const struct attempt *a) { STEP("write", write(open_for(a, O_RDWR), buffer, count(a))); }
static void write_creat(const struct attempt *a) { STEP("write", write(STEP("creat", creat(a->path, 0666)), buffer, count(a))); }
static void write_pwrite(const struct attempt *a) { STEP("pwrite", pwrite(open_for(a, O_WRONLY), buffer, count(a), a->offset)); }
static void write_writev(const struct attempt *a) {
    struct iovec p = part(a);
    int fd = open_for(a, O_WRONLY);
    STEP("lseek", lseek(fd, a->offset, SEEK_SET));
    STEP("writev", writev(fd, &p, 1));
}
static void write_pwritev2(const struct attempt *a) {
    struct iovec p = part(a);
    STEP("pwritev2", pwritev2(open_for(a, O_WRONLY), &p, 1, a->offset, 0));
}
static void write_map(const struct attempt *a) { map(a, open_for(a, O_RDWR), PROT_READ | PROT_WRITE, 0, MAP_SHARED); }
static void write_mprotect(const struct attempt *a) { map(a, open_for(a, O_RDWR), PROT_READ, PROT_READ | PROT_WRITE, MAP_SHARED); }
static void write_fallocate(const struct attempt *a) { STEP("fallocate", fallocate(open_for(a, O_WRONLY), 0, a->offset, count(a))); }
static void write_punch(const struct attempt *a) {
    STEP("fallocate", fallocate(open_for(a, O_WRONLY), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, a->offset, count(a)));
}
static void write_copy(const struct attempt *a) {
    int from = STEP("open of the source", open(a->other, O_RDONLY | O_CLOEXEC));
    STEP("copy_file_range", copy_file_range(from, NULL, open_for(a, O_WRONLY), NULL, 4, 0));
}
static void write_sendfile(const struct attempt *a) {
    int from = memory(a), to = open_for(a, O_WRONLY);
    STEP("lseek", lseek(to, a->offset, SEEK_SET));
    STEP("sendfile", sendfile(to, from, NULL, count(a)));
}
static void write_splice(const struct attempt *a) {
    int ends[2];
    off_t offset = a->offset;
    STEP("pipe", pipe(ends));
    STEP("write to the pipe", write(ends[1], buffer, count(a) < 4096 ? count(a) : 4096));
    STEP("splice", splice(ends[0], NULL, open_for(a, O_WRONLY), &offset, count(a) < 4096 ? count(a) : 4096, 0));
}
static void write_aio(const struct attempt *a) { aio(a, open_for(a, O_WRONLY), IOCB_CMD_PWRITE); }
static void write_uring(const struct attempt *a) { uring_path(a, IORING_OP_OPENAT, a->path, NULL, O_WRONLY, 0); }
static void write_o_path(const struct attempt *a) {
    char magic[64];
    snprintf(magic, sizeof magic, "/proc/self/fd/%d", open_for(a, O_PATH));
    STEP("open of the magic link", open(magic, O_WRONLY | O_CLOEXEC));
}

// Appending.
static void append_write(const struct attempt *a) { STEP("write", write(open_for(a, O_WRONLY | O_APPEND), buffer, count(a))); }
static void append_writev(const struct attempt *a) {
    struct iovec p = part(a);
    STEP("writev", writev(open_for(a, O_WRONLY | O_APPEND), &p, 1));
}
static void append_rdwr(const struct attempt *a) { STEP("write", write(open_for(a, O_RDWR | O_APPEND), buffer, count(a))); }
static void append_openat2(const struct attempt *a) { STEP("write", write(openat2_(a, O_WRONLY | O_APPEND), buffer, count(a))); }

// Truncating.
static void truncate_truncate(const struct attempt *a) { STEP("truncate", truncate(a->path, a->size)); }
static void truncate_ftruncate(const struct attempt *a) { STEP("ftruncate", ftruncate(open_for(a, O_WRONLY), a->size)); }
static void truncate_open(const struct attempt *a) { open_for(a, O_WRONLY | O_TRUNC); }
static void truncate_rdonly(const struct attempt *a) { open_for(a, O_RDONLY | O_TRUNC); }
static void truncate_openat2(const struct attempt *a) { openat2_(a, O_WRONLY | O_TRUNC); }

// Executing: a child does, and tells the error of a failure through a pipe that success closes.
static void execute(const struct attempt *a, int how, int fd) {
    int ends[2], error = 0, status = 0;
    char *const argv[] = {a->path, "--nothing", NULL}, *const envp[] = {NULL};
    STEP("pipe2", pipe2(ends, O_CLOEXEC));
    pid_t child = STEP("fork", fork());
    if (!child) {
        if (how == 0) execve(a->path, argv, envp);
        if (how == 1) syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
        if (how == 2) {
            const char *slash = strrchr(a->path, '/');
            syscall(SYS_execveat, fd, slash ? slash + 1 : a->path, argv, envp, AT_SYMLINK_NOFOLLOW);
        }
        if (how == 3) fexecve(fd, argv, envp);
        error = errno;
        if (write(ends[1], &error, sizeof error) != sizeof error) _exit(94);
        _exit(0);
    }
    close(ends[1]);
    ssize_t told = read(ends[0], &error, sizeof error);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) raise(WTERMSIG(status));
    if (told == sizeof error) report(a, error, "exec");
    if (status) report(a, ENOEXEC, "the program");
}
static void exec_execve(const struct attempt *a) { execute(a, 0, -1); }
static void exec_empty_path(const struct attempt *a) { execute(a, 1, open_for(a, O_PATH)); }
static void exec_execveat(const struct attempt *a) {
    execute(a, 2, STEP("open of the directory", open(a->dir, O_PATH | O_DIRECTORY | O_CLOEXEC)));
}
static void exec_fexecve(const struct attempt *a) { execute(a, 3, open_for(a, O_RDONLY)); }
static void exec_magic_link(const struct attempt *a) {
    char magic[64];
    snprintf(magic, sizeof magic, "/proc/self/fd/%ld", STEP("open", open(a->path, O_PATH)));
    struct attempt by = *a;
    by.path = magic;
    execute(&by, 0, -1);
}

const struct named_way data_ways[] = {
    {"read.open", read_open}, {"read.read", read_read}, {"read.openat", read_openat}, {"read.openat2", read_openat2},
    {"read.rdwr", read_rdwr}, {"read.pread", read_pread}, {"read.readv", read_readv}, {"read.preadv2", read_preadv2},
    {"read.sendfile", read_sendfile}, {"read.splice", read_splice}, {"read.copy_file_range", read_copy},
    {"read.aio", read_aio}, {"read.io_uring", read_uring}, {"read.o_path", read_o_path},
    {"map.private", map_private}, {"map.shared", map_shared}, {"map.exec", map_exec}, {"map.mprotect", map_mprotect},
    {"write.open", write_open}, {"write.openat", write_openat}, {"write.openat2", write_openat2}, {"write.rdwr", write_rdwr},
    {"write.creat", write_creat}, {"write.pwrite", write_pwrite}, {"write.writev", write_writev},
    {"write.pwritev2", write_pwritev2}, {"write.mmap", write_map}, {"write.mprotect", write_mprotect},
    {"write.fallocate", write_fallocate}, {"write.punch_hole", write_punch}, {"write.copy_file_range", write_copy},
    {"write.sendfile", write_sendfile}, {"write.splice", write_splice}, {"write.aio", write_aio},
    {"write.io_uring", write_uring}, {"write.o_path", write_o_path},
    {"append.write", append_write}, {"append.writev", append_writev}, {"append.rdwr", append_rdwr}, {"append.openat2", append_openat2},
    {"truncate.truncate", truncate_truncate}, {"truncate.ftruncate", truncate_ftruncate}, {"truncate.o_trunc", truncate_open},
    {"truncate.o_trunc_rdonly", truncate_rdonly}, {"truncate.openat2", truncate_openat2},
    {"exec.execve", exec_execve}, {"exec.empty_path", exec_empty_path}, {"exec.execveat", exec_execveat},
    {"exec.fexecve", exec_fexecve}, {"exec.magic_link", exec_magic_link},
    {NULL, NULL},
};
