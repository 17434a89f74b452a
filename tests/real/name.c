// Ways to names: list, create, mkdir, mknod, symlink, link, unlink, rmdir, rename.
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "actor.h"
#include "uring.h"

static const char *last(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int dir(const struct attempt *a) {
    return STEP("open of the directory", open(a->dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

// Listing.
static void entries(const struct attempt *a, int fd) {
    char space[4096];
    STEP("getdents64", syscall(SYS_getdents64, fd, space, sizeof space));
}
static void list_open(const struct attempt *a) { entries(a, STEP("open", open(a->path, O_RDONLY | O_CLOEXEC))); }
static void list_directory(const struct attempt *a) {
    entries(a, STEP("open", open(a->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)));
}
static void list_openat(const struct attempt *a) {
    int fd = STEP("open", open(a->path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    entries(a, STEP("openat", openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
}

// Creating.
static void create_open(const struct attempt *a) { STEP("open", open(a->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)); }
static void create_plain(const struct attempt *a) { STEP("open", open(a->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)); }
static void create_creat(const struct attempt *a) { STEP("creat", creat(a->path, 0666)); }
static void create_openat(const struct attempt *a) {
    STEP("openat", openat(dir(a), last(a->path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
}
static void create_openat2(const struct attempt *a) {
    struct open_how how = {.flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, .mode = 0666};
    STEP("openat2", syscall(SYS_openat2, AT_FDCWD, a->path, &how, sizeof how));
}
static void create_mknod(const struct attempt *a) { STEP("mknod", mknod(a->path, S_IFREG | 0666, 0)); }
static void create_tmpfile(const struct attempt *a) {
    char magic[64];
    snprintf(magic, sizeof magic, "/proc/self/fd/%ld", STEP("open of O_TMPFILE", open(a->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666)));
    STEP("linkat", linkat(AT_FDCWD, magic, AT_FDCWD, a->path, AT_SYMLINK_FOLLOW));
}
static void create_uring(const struct attempt *a) {
    uring_path(a, IORING_OP_OPENAT, a->path, NULL, O_WRONLY | O_CREAT | O_EXCL, 0666);
}

static void mkdir_mkdir(const struct attempt *a) { STEP("mkdir", mkdir(a->path, 0777)); }
static void mkdir_mkdirat(const struct attempt *a) { STEP("mkdirat", mkdirat(dir(a), last(a->path), 0777)); }
static void mkdir_uring(const struct attempt *a) { uring_path(a, IORING_OP_MKDIRAT, a->path, NULL, 0, 0777); }

static void mknod_fifo(const struct attempt *a) { STEP("mknod", mknod(a->path, S_IFIFO | 0666, 0)); }
static void mknod_fifoat(const struct attempt *a) { STEP("mknodat", mknodat(dir(a), last(a->path), S_IFIFO | 0666, 0)); }
static void mknod_socket(const struct attempt *a) { STEP("mknod", mknod(a->path, S_IFSOCK | 0666, 0)); }
static void mknod_whiteout(const struct attempt *a) { STEP("mknod", mknod(a->path, S_IFCHR | 0666, 0)); }
static void mknod_bind(const struct attempt *a) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    STEP("chdir", chdir(a->dir));
    strncpy(address.sun_path, last(a->path), sizeof address.sun_path - 1);
    STEP("bind", bind(STEP("socket", socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&address, sizeof address));
}

static void symlink_symlink(const struct attempt *a) { STEP("symlink", symlink("to", a->path)); }
static void symlink_symlinkat(const struct attempt *a) { STEP("symlinkat", symlinkat("to", dir(a), last(a->path))); }
static void symlink_uring(const struct attempt *a) { uring_path(a, IORING_OP_SYMLINKAT, "to", a->path, 0, 0); }

// Linking: the object gets the other name.
static void link_link(const struct attempt *a) { STEP("link", link(a->path, a->other)); }
static void link_linkat(const struct attempt *a) {
    int fd = dir(a);
    STEP("linkat", linkat(fd, last(a->path), fd, last(a->other), 0));
}
static void link_magic(const struct attempt *a) {
    char magic[64];
    snprintf(magic, sizeof magic, "/proc/self/fd/%ld", STEP("open", open(a->path, O_PATH | O_CLOEXEC)));
    STEP("linkat", linkat(AT_FDCWD, magic, AT_FDCWD, a->other, AT_SYMLINK_FOLLOW));
}
static void link_empty_path(const struct attempt *a) {
    STEP("linkat", linkat(STEP("open", open(a->path, O_PATH | O_CLOEXEC)), "", AT_FDCWD, a->other, AT_EMPTY_PATH));
}
static void link_uring(const struct attempt *a) { uring_path(a, IORING_OP_LINKAT, a->path, a->other, 0, 0); }

static void unlink_unlink(const struct attempt *a) { STEP("unlink", unlink(a->path)); }
static void unlink_unlinkat(const struct attempt *a) { STEP("unlinkat", unlinkat(dir(a), last(a->path), 0)); }
static void over(const struct attempt *a) { STEP("rename", rename(a->other, a->path)); }
static void unlink_uring(const struct attempt *a) {
    uring(a, (struct io_uring_sqe){.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (uintptr_t)a->path});
}

static void rmdir_rmdir(const struct attempt *a) { STEP("rmdir", rmdir(a->path)); }
static void rmdir_unlinkat(const struct attempt *a) { STEP("unlinkat", unlinkat(dir(a), last(a->path), AT_REMOVEDIR)); }

// Moving: the object gets the other name.
static void rename2(const struct attempt *a, unsigned flags) {
    STEP("renameat2", renameat2(AT_FDCWD, a->path, AT_FDCWD, a->other, flags));
}
static void rename_rename(const struct attempt *a) { STEP("rename", rename(a->path, a->other)); }
static void rename_renameat(const struct attempt *a) {
    int fd = dir(a);
    STEP("renameat", renameat(fd, last(a->path), fd, last(a->other)));
}
static void rename_noreplace(const struct attempt *a) { rename2(a, RENAME_NOREPLACE); }
static void rename_exchange(const struct attempt *a) { rename2(a, RENAME_EXCHANGE); }
static void rename_whiteout(const struct attempt *a) { rename2(a, RENAME_WHITEOUT); }
static void rename_uring(const struct attempt *a) { uring_path(a, IORING_OP_RENAMEAT, a->path, a->other, 0, 0); }

const struct named_way name_ways[] = {
    {"list.open", list_open}, {"list.o_directory", list_directory}, {"list.openat", list_openat},
    {"create.o_excl", create_open}, {"create.o_creat", create_plain}, {"create.creat", create_creat},
    {"create.openat", create_openat}, {"create.openat2", create_openat2}, {"create.mknod", create_mknod},
    {"create.tmpfile", create_tmpfile}, {"create.io_uring", create_uring},
    {"mkdir.mkdir", mkdir_mkdir}, {"mkdir.mkdirat", mkdir_mkdirat}, {"mkdir.io_uring", mkdir_uring},
    {"mknod.fifo", mknod_fifo}, {"mknod.fifoat", mknod_fifoat}, {"mknod.socket", mknod_socket},
    {"mknod.whiteout", mknod_whiteout}, {"mknod.bind", mknod_bind},
    {"symlink.symlink", symlink_symlink}, {"symlink.symlinkat", symlink_symlinkat}, {"symlink.io_uring", symlink_uring},
    {"link.link", link_link}, {"link.linkat", link_linkat}, {"link.magic_link", link_magic},
    {"link.empty_path", link_empty_path}, {"link.io_uring", link_uring},
    {"unlink.unlink", unlink_unlink}, {"unlink.unlinkat", unlink_unlinkat}, {"unlink.rename_over", over},
    {"unlink.io_uring", unlink_uring},
    {"rmdir.rmdir", rmdir_rmdir}, {"rmdir.unlinkat", rmdir_unlinkat}, {"rmdir.rename_over", over},
    {"rename.rename", rename_rename}, {"rename.renameat", rename_renameat}, {"rename.noreplace", rename_noreplace},
    {"rename.exchange", rename_exchange}, {"rename.whiteout", rename_whiteout}, {"rename.directory", rename_rename},
    {"rename.over", rename_rename}, {"rename.io_uring", rename_uring},
    {NULL, NULL},
};
