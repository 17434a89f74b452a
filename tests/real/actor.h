// What the ways of the actor share. A way makes its request with real system calls and reports how that ended.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// One attempt.
struct attempt {
    const char *id, *way;
    // The object, and a name beside it, by paths that system calls take: the process stands where they lead.
    char *path, *other;
    // The directory of both.
    char *dir;
    unsigned flags, mode;
    uint64_t offset, length, size;
};

// Reports the attempt's end and ends this process.
_Noreturn void report(const struct attempt *a, int error, const char *step);

// A call that must succeed for the attempt to go on.
#define STEP(name, call) step(a, name, (long)(call))
static inline long step(const struct attempt *a, const char *name, long result) {
    if (result < 0) report(a, errno, name);
    return result;
}

// A way: does not return where a step failed.
typedef void way(const struct attempt *a);
struct named_way {
    const char *name;
    way *run;
};

extern const struct named_way data_ways[], name_ways[], meta_ways[];
