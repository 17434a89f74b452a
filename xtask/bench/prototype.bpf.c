/*
 * What a person would write by hand: the two questions of the checker in C, for clang to compile. Literal names only,
 * a single class. It is the yardstick for the programs that the code generator makes.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "prototype.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct state states[STATES] SEC(".rodata.states") = {};
const volatile struct slot slots[SLOTS] SEC(".rodata.slots") = {};
const volatile __u16 moves[BUCKETS] SEC(".rodata.moves") = {};
const volatile __u64 words[WORDS] SEC(".rodata.words") = {};
const volatile __u64 rows[64] SEC(".rodata.rows") = {};

struct {
    struct name path[PATH];
    __u32 lengths[PATH];
} question = {.lengths = {1}};

__attribute__((noinline)) __u32 step(__u32 from, const struct name *name, __u32 length) {
    if (!name) return 0;
    from &= STATES - 1;
    __u32 otherwise = states[from].otherwise;
    if (states[from].leaf) return otherwise;
    __u32 n = (length + 7) / 8;
    if (n > NAME_WORDS) return 0;
    __u64 h = start_of(from);
    for (__u32 i = 0; i < NAME_WORDS; i++) {
        if (i >= n) break;
        h = mix(h, name->words[i]);
    }
    __u32 at = ((__u32)h + moves[(h >> 48) & (BUCKETS - 1)]) & (SLOTS - 1);
    if (slots[at].from != from || slots[at].length != length) return otherwise;
    __u32 word = slots[at].word;
    __u64 differs = 0;
    for (__u32 i = 0; i < NAME_WORDS; i++) {
        if (i >= n) break;
        differs |= words[(word + i) & (WORDS - 1)] ^ name->words[i];
    }
    return differs ? otherwise : slots[at].to;
}

__attribute__((noinline)) __u32 check(__u32 state, __u32 class, __u32 op) {
    __u64 row = rows[(states[state & (STATES - 1)].row + class) & 63];
    return !(row >> 32 >> (op & 31) & 1) && (row >> (op & 31) & 1);
}

SEC("syscall")
int prototype(struct request *request) {
    __u32 mode = request->mode, class = request->class, op = request->op, start = request->start;
    __u32 allowed = 0, reached = start;
    __u64 began = bpf_ktime_get_ns();
    for (int i = 0; i < REPEAT; i++) {
        if (mode == STEP) reached = step(start, &question.path[PATH - 1], question.lengths[PATH - 1]);
        if (mode == WALK) {
            reached = step(start, &question.path[0], question.lengths[0]);
            reached = step(reached, &question.path[1], question.lengths[1]);
            reached = step(reached, &question.path[2], question.lengths[2]);
        }
        if (mode != EMPTY) allowed += check(reached, class, op);
    }
    request->ns = bpf_ktime_get_ns() - began;
    request->allowed = allowed;
    request->reached = reached;
    return 0;
}
