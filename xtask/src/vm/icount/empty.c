// What any BPF program on an LSM hook costs, whatever it does: `empty HOOK... -- COMMAND...` attaches programs that allow to these hooks, for every
// task, and runs the command beside them.
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "empty: %s: %s\n", what, strerror(errno));
    exit(1);
}

// The number of the kernel's function `name` among its types.
static uint32_t function(const char *name) {
    static char *types;
    if (!types) {
        size_t size = 0, room = 1 << 26;
        int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY);
        if (fd < 0 || !(types = malloc(room))) fail("the kernel's types");
        for (ssize_t part; (part = read(fd, types + size, room - size)) > 0;) size += part;
        close(fd);
    }
    const struct btf_header *head = (void *)types;
    const char *strings = types + head->hdr_len + head->str_off;
    const uint32_t *at = (void *)(types + head->hdr_len + head->type_off), *end = at + head->type_len / 4;
    for (uint32_t number = 1; at < end; number++) {
        const struct btf_type *type = (void *)at;
        uint32_t kind = BTF_INFO_KIND(type->info), parts = BTF_INFO_VLEN(type->info);
        if (kind == BTF_KIND_FUNC && !strcmp(strings + type->name_off, name)) return number;
        at += 3;
        switch (kind) {
        case BTF_KIND_INT: case BTF_KIND_VAR: case BTF_KIND_DECL_TAG: at += 1; break;
        case BTF_KIND_ARRAY: at += 3; break;
        case BTF_KIND_STRUCT: case BTF_KIND_UNION: case BTF_KIND_DATASEC: case BTF_KIND_ENUM64: at += 3 * parts; break;
        case BTF_KIND_ENUM: case BTF_KIND_FUNC_PROTO: at += 2 * parts; break;
        }
    }
    errno = ENOENT;
    fail(name);
}

static void attach(const char *hook) {
    // r0 = 0, exit
    const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
    char name[128];
    snprintf(name, sizeof name, "bpf_lsm_%s", hook);
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_LSM,
        .expected_attach_type = BPF_LSM_MAC,
        .insns = (uintptr_t)code,
        .insn_cnt = 2,
        .license = (uintptr_t)"GPL",
        .attach_btf_id = function(name),
    };
    int program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0) fail(name);
    union bpf_attr open = {.raw_tracepoint = {.prog_fd = program}};
    // Held as long as this process lives.
    if (syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &open, sizeof open) < 0) fail(name);
}

int main(int argc, char **argv) {
    int status;
    (void)argc;
    while (*++argv && strcmp(*argv, "--")) attach(*argv);
    if (!*argv || !argv[1]) return 2;
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        execvp(argv[1], argv + 1);
        fail(argv[1]);
    }
    waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status);
}
