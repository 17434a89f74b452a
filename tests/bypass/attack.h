// What all attacks share. An attack is `PROGRAM CELL DIR`, DIR being the tree it goes for:
//
//   exit 0    it got through
//   exit 10   it was stopped; the last line says by which call, with which error
//   else      the program itself is broken, and proves nothing
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THROUGH 0
#define STOPPED 10
#define BROKEN 99

static const char *error_name(int error) {
    switch (error) {
    case EACCES: return "EACCES";
    case EBADF: return "EBADF";
    case EEXIST: return "EEXIST";
    case EINVAL: return "EINVAL";
    case ELOOP: return "ELOOP";
    case ENAMETOOLONG: return "ENAMETOOLONG";
    case ENODEV: return "ENODEV";
    case ENOENT: return "ENOENT";
    case ENOSYS: return "ENOSYS";
    case ENOTTY: return "ENOTTY";
    case EOPNOTSUPP: return "EOPNOTSUPP";
    case EPERM: return "EPERM";
    case EROFS: return "EROFS";
    case ESRCH: return "ESRCH";
    case ESTALE: return "ESTALE";
    case EXDEV: return "EXDEV";
    default: return strerror(error);
    }
}

// The call the attack rests on: its failure is the sandbox's success.
#define MUST(call, ...) must(#call, (long)call(__VA_ARGS__))
static inline long must(const char *call, long result) {
    if (result >= 0) return result;
    printf("stopped: %s: %s\n", call, error_name(errno));
    exit(STOPPED);
}

// A call that prepares the attack: its failure proves nothing.
#define SETUP(call) setup(#call, (long)(call))
static inline long setup(const char *call, long result) {
    if (result >= 0) return result;
    printf("broken: %s: %s\n", call, error_name(errno));
    exit(BROKEN);
}

static inline int broken(const char *why) {
    printf("broken: %s\n", why);
    return BROKEN;
}

static inline int through(const char *how) {
    printf("through: %s\n", how);
    return THROUGH;
}

// Writes `evil` through a descriptor.
static inline void overwrite(int fd) {
    MUST(write, fd, "evil\n", 5);
}

// Reads the descriptor and looks for the secret.
static inline int has_secret(int fd) {
    char text[4096];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n < 0) n = read(fd, text, sizeof text - 1);
    must("read", n);
    text[n] = 0;
    if (strstr(text, "TOKEN=")) return through("read the secret");
    return broken("read something else");
}

// Makes a file with a line in it, where that is allowed.
static inline void make(const char *path) {
    int fd = SETUP(open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755));
    SETUP(write(fd, "evil\n", 5));
    close(fd);
}

// Starts in DIR and gives the cell to run.
static inline const char *start(int argc, char **argv) {
    if (argc < 3) exit(broken("usage: PROGRAM CELL DIR"));
    SETUP(chdir(argv[2]));
    return argv[1];
}

#define CELL(name) if (!strcmp(cell, name))
