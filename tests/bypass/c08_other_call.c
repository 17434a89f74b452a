// Class 8: the same effect by another system call: one cell each.
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "attack.h"

static const char *CI = ".github/workflows/ci.yml";

// One request through io_uring; its result, as a system call returns it.
static int uring(struct io_uring_sqe request) {
    struct io_uring_params p = {0};
    int ring = MUST(syscall, SYS_io_uring_setup, 4, &p);
    size_t size = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
    size_t cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    if (cq_size > size) size = cq_size;
    char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries =
        mmap(NULL, p.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (rings == MAP_FAILED || entries == MAP_FAILED || !(p.features & IORING_FEAT_SINGLE_MMAP)) exit(broken("mmap of the ring"));
    entries[0] = request;
    *(uint32_t *)(rings + p.sq_off.array) = 0;
    __atomic_store_n((uint32_t *)(rings + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    SETUP(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    struct io_uring_cqe *done = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
    if (done->res < 0) {
        errno = -done->res;
        return -1;
    }
    return done->res;
}

static int uring_path(int op, const char *path, const char *other, unsigned flags, unsigned mode) {
    return uring((struct io_uring_sqe){.opcode = op,
                                       .fd = AT_FDCWD,
                                       .addr = (uintptr_t)path,
                                       .addr2 = (uintptr_t)other,
                                       .len = op == IORING_OP_OPENAT ? mode : (unsigned)AT_FDCWD,
                                       .open_flags = flags});
}

// A 32-bit system call of this 64-bit process. Its pointers must be short.
static int compat(int number, const void *a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"((long)number), "b"((long)a), "c"(b), "d"(c)
                     : "memory", "r8", "r9", "r10", "r11");
    int error = (int)result;
    if (error < 0) {
        errno = -error;
        return -1;
    }
    return error;
}

static const char *low(const char *text) {
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (page == MAP_FAILED) exit(broken("no low page"));
    return strcpy(page, text);
}

static int write_cells(const char *cell) {
    CELL("open") overwrite(MUST(open, CI, O_WRONLY));
    CELL("rdwr") overwrite(MUST(open, CI, O_RDWR));
    CELL("creat") overwrite(MUST(creat, CI, 0644));
    CELL("append") overwrite(MUST(open, CI, O_WRONLY | O_APPEND));
    CELL("o-trunc") MUST(open, CI, O_RDONLY | O_TRUNC);
    CELL("truncate") MUST(truncate, CI, 0);
    CELL("openat2") {
        struct open_how how = {.flags = O_WRONLY};
        overwrite(MUST(syscall, SYS_openat2, AT_FDCWD, CI, &how, sizeof how));
    }
    CELL("mmap") {
        int fd = MUST(open, CI, O_RDWR);
        char *text = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        must("mmap", text == MAP_FAILED ? -1 : 0);
        memcpy(text, "evil", 4);
    }
    CELL("mprotect") {
        int fd = MUST(open, CI, O_RDWR);
        char *text = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
        MUST(mprotect, text, 4, PROT_READ | PROT_WRITE);
        memcpy(text, "evil", 4);
    }
    CELL("fallocate") MUST(fallocate, MUST(open, CI, O_WRONLY), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4);
    CELL("copy-file-range") {
        make("src/evil");
        MUST(copy_file_range, SETUP(open("src/evil", O_RDONLY)), NULL, MUST(open, CI, O_WRONLY), NULL, 5, 0);
    }
    CELL("sendfile") {
        make("src/evil");
        MUST(sendfile, MUST(open, CI, O_WRONLY), SETUP(open("src/evil", O_RDONLY)), NULL, 5);
    }
    CELL("splice") {
        int ends[2];
        SETUP(pipe(ends));
        SETUP(write(ends[1], "evil\n", 5));
        MUST(splice, ends[0], NULL, MUST(open, CI, O_WRONLY), NULL, 5, 0);
    }
    CELL("pwritev2") {
        struct iovec part = {"evil\n", 5};
        MUST(pwritev2, MUST(open, CI, O_WRONLY), &part, 1, 0, 0);
    }
    CELL("aio") {
        aio_context_t context = 0;
        struct io_event event;
        SETUP(syscall(SYS_io_setup, 1, &context));
        struct iocb request = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (uintptr_t) "evil\n", .aio_nbytes = 5};
        request.aio_fildes = MUST(open, CI, O_WRONLY);
        struct iocb *requests[] = {&request};
        MUST(syscall, SYS_io_submit, context, 1, requests);
        MUST(syscall, SYS_io_getevents, context, 1, 1, &event, NULL);
        if (event.res != 5) return broken("aio wrote nothing");
    }
    CELL("uring-open") overwrite(MUST(uring_path, IORING_OP_OPENAT, CI, NULL, O_WRONLY, 0));
    CELL("compat-open") overwrite(MUST(compat, 5, low(CI), O_WRONLY, 0));
    CELL("compat-truncate") MUST(compat, 92, low(CI), 0, 0);
    return through(cell);
}

static int name_cells(const char *cell) {
    CELL("tmpfile") {
        int fd = MUST(open, ".git/hooks", O_TMPFILE | O_WRONLY, 0755);
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
        MUST(linkat, AT_FDCWD, magic, AT_FDCWD, ".git/hooks/pre-commit", AT_SYMLINK_FOLLOW);
    }
    CELL("tmpfile-elsewhere") {
        int fd = SETUP(open("src", O_TMPFILE | O_WRONLY, 0755));
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
        MUST(linkat, AT_FDCWD, magic, AT_FDCWD, ".git/hooks/pre-commit", AT_SYMLINK_FOLLOW);
    }
    CELL("mknod") MUST(mknod, ".git/hooks/pre-commit", S_IFREG | 0755, 0);
    CELL("mkdir") MUST(mkdir, ".git/hooks/d", 0755);
    CELL("symlink") MUST(symlink, "/tmp/x", ".git/hooks/pre-commit");
    CELL("unlink") MUST(unlink, CI);
    CELL("unlinkat") MUST(unlinkat, AT_FDCWD, CI, 0);
    CELL("rmdir") MUST(rmdir, ".git/hooks/empty");
    CELL("uring-rename") {
        make("src/evil");
        MUST(uring_path, IORING_OP_RENAMEAT, "src/evil", CI, 0, 0);
    }
    CELL("uring-link") {
        make("src/evil");
        MUST(uring_path, IORING_OP_LINKAT, "src/evil", ".git/hooks/pre-commit", 0, 0);
    }
    CELL("uring-unlink")
        MUST(uring, (struct io_uring_sqe){.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (uintptr_t)CI});
    CELL("compat-unlink") MUST(compat, 10, low(CI), 0, 0);
    CELL("compat-rename") {
        make("src/evil");
        MUST(compat, 38, low("src/evil"), (long)low(CI), 0);
    }
    return through(cell);
}

static int read_cells(const char *cell) {
    CELL("openat2") {
        struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS};
        return has_secret(MUST(syscall, SYS_openat2, AT_FDCWD, ".env", &how, sizeof how));
    }
    CELL("uring") return has_secret(MUST(uring_path, IORING_OP_OPENAT, ".env", NULL, O_RDONLY, 0));
    CELL("compat") return has_secret(MUST(compat, 5, low(".env"), O_RDONLY, 0));
    CELL("rdwr-creat") return has_secret(MUST(open, ".env", O_RDWR | O_CREAT, 0644));
    CELL("o-path") {
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%ld", MUST(open, ".env", O_PATH));
        return has_secret(MUST(open, magic, O_RDONLY));
    }
    CELL("handle") {
        char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
        struct file_handle *handle = (struct file_handle *)space;
        int mount;
        handle->handle_bytes = MAX_HANDLE_SZ;
        MUST(name_to_handle_at, AT_FDCWD, ".env", handle, &mount, 0);
        return has_secret(MUST(open_by_handle_at, SETUP(open(".", O_RDONLY)), handle, O_RDONLY));
    }
    return broken("no such cell");
}

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    if (!strncmp(cell, "write-", 6)) return write_cells(cell + 6);
    if (!strncmp(cell, "name-", 5)) return name_cells(cell + 5);
    if (!strncmp(cell, "read-", 5)) return read_cells(cell + 5);
    return broken("no such cell");
}
