// One request through io_uring.
#pragma once
#include <linux/io_uring.h>
#include <sys/mman.h>

#include "actor.h"

static inline void uring(const struct attempt *a, struct io_uring_sqe request) {
    struct io_uring_params p = {0};
    int ring = STEP("io_uring_setup", syscall(SYS_io_uring_setup, 4, &p));
    size_t size = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
    size_t cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    if (cq_size > size) size = cq_size;
    char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries =
        mmap(NULL, p.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (rings == MAP_FAILED || entries == MAP_FAILED) report(a, ENOMEM, "mmap of the ring");
    entries[0] = request;
    *(uint32_t *)(rings + p.sq_off.array) = 0;
    __atomic_store_n((uint32_t *)(rings + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    STEP("io_uring_enter", syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    struct io_uring_cqe *done = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
    if (done->res < 0) report(a, -done->res, "io_uring");
}

static inline void uring_path(const struct attempt *a, int op, const char *path, const char *other, unsigned flags, unsigned mode) {
    uring(a, (struct io_uring_sqe){.opcode = op,
                                   .fd = AT_FDCWD,
                                   .addr = (uintptr_t)path,
                                   .addr2 = (uintptr_t)other,
                                   .len = op == IORING_OP_OPENAT || op == IORING_OP_MKDIRAT ? mode : other && op != IORING_OP_SYMLINKAT ? (unsigned)AT_FDCWD : 0,
                                   .open_flags = flags});
}
