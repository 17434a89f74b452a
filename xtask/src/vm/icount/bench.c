// What is counted: operations, in a loop, by the guest's clock, which counts instructions.
//
// `bench ops DIR permissions|policy` makes each operation many times (and is refused by what it says) and prints `op NAME INSTRUCTIONS` for one; it is run once outside any
// sandbox with `bench make DIR`, which makes what it works on. `bench jobs SCRIPT NAME...` runs `sh SCRIPT NAME` for each
// job, after `sh SCRIPT NAME-prepare`, and prints `op NAME INSTRUCTIONS` likewise. `bench true` succeeds.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define ROUND 40000000

static char place[64] = "JOBS_DIR=";
static char *const environment[] = {"PATH=/usr/bin", "HOME=/root", "LC_ALL=C", place, NULL};
static const char *self;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static _Noreturn void fail(const char *what) {
    printf("bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long must(const char *what, long result) {
    if (result < 0) fail(what);
    return result;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// The median of ROUNDS rounds, each of as many calls as take about ROUND instructions: long enough for the kernel's clock to tick
// as often in one as in the next. What comes before them, to find out how many that is, is not counted.
static void measure(const char *name, void (*operation)(void)) {
    uint64_t times[ROUNDS], start = now();
    for (int i = 0; i < 20; i++) operation();
    start = now();
    for (int i = 0; i < 20; i++) operation();
    int count = ROUND / ((now() - start) / 20 + 1) + 1;
    for (int round = -1; round < ROUNDS; round++) {
        start = now();
        for (int i = 0; i < count; i++) operation();
        if (round >= 0) times[round] = now() - start;
    }
    qsort(times, ROUNDS, sizeof *times, by_size);
    printf("op %s %llu\n", name, (unsigned long long)(times[ROUNDS / 2] / count));
    fflush(stdout);
}

static char deep[3][256], refused[256], buffer[4096];
static int held;

static void opened(const char *path) { close(must(path, open(path, O_RDONLY | O_CLOEXEC))); }
static void open2(void) { opened(deep[0]); }
static void open9(void) { opened(deep[1]); }
static void open30(void) { opened(deep[2]); }
static void stats(void) {
    struct stat status;
    must("stat", stat(deep[1], &status));
}
static void moves(void) {
    close(must("create", open("new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)));
    must("rename", rename("new", "moved"));
    must("unlink", unlink("moved"));
}
static void reads(void) { must("pread", pread(held, buffer, sizeof buffer, 0)); }
static void writes(void) { must("pwrite", pwrite(held, buffer, sizeof buffer, 0)); }
static void maps(void) {
    char *text = mmap(NULL, 4096, PROT_READ, MAP_SHARED, held, 0);
    if (text == MAP_FAILED) fail("mmap");
    buffer[0] = *(volatile char *)text;
    munmap(text, 4096);
}
static void executes(void) {
    char *const argv[] = {(char *)self, "true", NULL};
    pid_t child;
    int status;
    if ((errno = posix_spawn(&child, self, NULL, NULL, argv, environment))) fail("spawn");
    waitpid(child, &status, 0);
    if (status) fail("the program");
}
static void lists(void) {
    int fd = must("open of a directory", open("many", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (must("getdents64", syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {}
    close(fd);
}
static void denied(void) {
    if (open(refused, O_RDONLY | O_CLOEXEC) >= 0) errno = 0, fail("a refused open");
}

static void paths(const char *dir, const char *by) {
    const int depths[] = {2, 9, 30};
    snprintf(refused, sizeof refused, "%s-refused/%s", dir, by);
    for (int i = 0; i < 3; i++) {
        int length = snprintf(deep[i], sizeof deep[i], "%s", dir);
        for (int d = 2; d < depths[i]; d++) length += snprintf(deep[i] + length, sizeof deep[i] - length, "/d%d", d);
        snprintf(deep[i] + length, sizeof deep[i] - length, "/f");
    }
}

static void make_file(const char *path) {
    int fd = must(path, open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644));
    memset(buffer, 'x', sizeof buffer);
    must("write", write(fd, buffer, sizeof buffer));
    close(fd);
}

static void make(const char *dir) {
    char path[256];
    mkdir(dir, 0755);
    int length = snprintf(path, sizeof path, "%s", dir);
    for (int d = 2; d < 30; d++) {
        length += snprintf(path + length, sizeof path - length, "/d%d", d);
        must(path, mkdir(path, 0755));
    }
    for (int i = 0; i < 3; i++) make_file(deep[i]);
    must(dir, chdir(dir));
    must("mkdir", mkdir("many", 0755));
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "many/file%d", i);
        make_file(path);
    }
    // One file is refused by permissions, since the bench gives up its right to pass by them; the other by policies alone.
    snprintf(path, sizeof path, "%s-refused", dir);
    must(path, mkdir(path, 0755));
    make_file(refused);
    must("chown", chown(refused, 1, 1));
    must("chmod", chmod(refused, 0600));
    paths(dir, "policy");
    make_file(refused);
}

// User 0 like any other: what a sandbox leaves, and so what all contestants have.
static void give_up_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    must("capset", syscall(SYS_capset, &header, data));
}

static void ops(const char *dir) {
    must(dir, chdir(dir));
    measure("open-2", open2);
    measure("open-9", open9);
    measure("open-30", open30);
    measure("stat", stats);
    measure("create-rename-unlink", moves);
    held = must("open", open(deep[0], O_RDWR | O_CLOEXEC));
    measure("read-4k", reads);
    measure("write-4k", writes);
    measure("mmap", maps);
    close(held);
    measure("readdir-100", lists);
    measure("denied", denied);
    measure("exec", executes);
}

static void shell(const char *script, const char *job) {
    char *const argv[] = {"sh", (char *)script, (char *)job, NULL};
    pid_t child;
    int status;
    if ((errno = posix_spawnp(&child, "/usr/bin/sh", NULL, NULL, argv, environment))) fail("sh");
    waitpid(child, &status, 0);
    if (status) errno = 0, fail(job);
}

static void jobs(const char *script, char **names) {
    for (; *names; names++) {
        uint64_t times[3];
        char prepare[64];
        snprintf(prepare, sizeof prepare, "%s-prepare", *names);
        for (int round = -1; round < 3; round++) {
            shell(script, prepare);
            uint64_t start = now();
            shell(script, *names);
            if (round >= 0) times[round] = now() - start;
        }
        qsort(times, 3, sizeof *times, by_size);
        printf("op %s %llu\n", *names, (unsigned long long)times[1]);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    self = "/proc/self/exe";
    if (argc > 1 && !strcmp(argv[1], "true")) return 0;
    if (argc < 3) return 2;
    umask(022);
    if (!strcmp(argv[1], "make")) {
        paths(argv[2], "permissions");
        make(argv[2]);
    } else if (!strcmp(argv[1], "ops") && argc > 3) {
        self = argv[0];
        paths(argv[2], argv[3]);
        give_up_capabilities();
        ops(argv[2]);
    } else if (!strcmp(argv[1], "jobs")) {
        snprintf(place, sizeof place, "JOBS_DIR=%s", getenv("JOBS_DIR"));
        give_up_capabilities();
        jobs(argv[2], argv + 3);
    } else {
        return 2;
    }
    return 0;
}
