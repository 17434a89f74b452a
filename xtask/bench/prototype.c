/*
 * Fills the prototype's tables with N rules, loads it, and prints nanoseconds a call: `prototype OBJECT N`. The rules
 * are those of the bench of the generated checker: /srv/tenant-NNNNN/object-NNNNNN.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prototype.h"

struct edge {
    __u64 hash;
    struct slot slot;
    int next;
};

static struct state *states;
static struct slot *slots;
static __u16 *moves;
static __u64 *words, *rows;

static struct edge *edges;
static __u32 edge_count, state_count = 1, word_count;
/* Edges by hash, to find one while the tables are made. */
static int *index_by_hash;
#define INDEX (1u << 20)

static void *section(struct bpf_object *object, const char *name) {
    struct bpf_map *map;
    bpf_object__for_each_map(map, object) {
        size_t size;
        if (strstr(bpf_map__name(map), name)) return (void *)bpf_map__initial_value(map, &size);
    }
    fprintf(stderr, "no section %s\n", name);
    exit(1);
}

/* The state that TEXT leads to: a new one, where there is none. */
static __u32 add(__u32 from, const char *text) {
    struct name name = {0};
    __u32 length = strlen(text), n = (length + 7) / 8;
    memcpy(&name, text, length);
    __u64 hash = start_of(from);
    for (__u32 i = 0; i < n; i++) hash = mix(hash, name.words[i]);
    __u32 at = hash & (INDEX - 1);
    for (; index_by_hash[at] >= 0; at = (at + 1) & (INDEX - 1))
        if (edges[index_by_hash[at]].hash == hash) return edges[index_by_hash[at]].slot.to;
    memcpy(words + word_count, &name, n * 8);
    edges[edge_count] = (struct edge){.hash = hash, .slot = {from, state_count, word_count, length}};
    index_by_hash[at] = edge_count++;
    word_count += n;
    return state_count++;
}

static __u32 place(const struct edge *edge, __u32 move) {
    return ((__u32)edge->hash + move) & (SLOTS - 1);
}

/* Moves the edges of one bucket until none meets another. */
static int settle(int first, __u32 bucket) {
    for (__u32 move = 0; move < 65536; move++) {
        int free = 1;
        for (int e = first; e >= 0 && free; e = edges[e].next) {
            free = !slots[place(&edges[e], move)].length;
            for (int f = first; f != e && free; f = edges[f].next) free = place(&edges[f], move) != place(&edges[e], move);
        }
        if (!free) continue;
        for (int e = first; e >= 0; e = edges[e].next) slots[place(&edges[e], move)] = edges[e].slot;
        moves[bucket] = move;
        return 1;
    }
    return 0;
}

static void perfect_hash(void) {
    int *first = malloc(BUCKETS * sizeof *first);
    __u32 *count = calloc(BUCKETS, sizeof *count), most = 0;
    memset(first, -1, BUCKETS * sizeof *first);
    for (__u32 e = 0; e < edge_count; e++) {
        __u32 bucket = (edges[e].hash >> 48) & (BUCKETS - 1);
        edges[e].next = first[bucket];
        first[bucket] = e;
        if (++count[bucket] > most) most = count[bucket];
    }
    /* The fullest first: they are the hardest to place. */
    for (__u32 size = most; size > 0; size--)
        for (__u32 bucket = 0; bucket < BUCKETS; bucket++)
            if (count[bucket] == size && !settle(first[bucket], bucket)) {
                fprintf(stderr, "no perfect hash\n");
                exit(1);
            }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    __u32 rules = atoi(argv[2]);
    struct bpf_object *object = bpf_object__open(argv[1]);
    if (!object) return 1;
    states = section(object, "states");
    slots = section(object, "slots");
    moves = section(object, "moves");
    words = section(object, "words");
    rows = section(object, "rows");
    struct {
        struct name path[PATH];
        __u32 lengths[PATH];
    } *question = section(object, ".data");
    edges = malloc((3 * rules + 1) * sizeof *edges);
    index_by_hash = malloc(INDEX * sizeof *index_by_hash);
    memset(index_by_hash, -1, INDEX * sizeof *index_by_hash);

    rows[1] = ~0u;
    __u32 last = 0, reached = 0;
    for (__u32 n = 0; n < rules; n++) {
        char names[PATH][32] = {"srv"};
        snprintf(names[1], 32, "tenant-%05u", n / 100);
        snprintf(names[2], 32, "object-%06u", n);
        __u32 state = 0, above = 0;
        for (int i = 0; i < PATH; i++) {
            above = state;
            state = add(above, names[i]);
        }
        states[state].row = 1;
        states[state].leaf = 1;
        if (n == rules / 2) {
            last = above;
            reached = state;
            for (int i = 0; i < PATH; i++) {
                question->lengths[i] = strlen(names[i]);
                memcpy(&question->path[i], names[i], question->lengths[i]);
            }
        }
    }
    perfect_hash();
    if (bpf_object__load(object)) return 1;
    int program = bpf_program__fd(bpf_object__find_program_by_name(object, "prototype"));
    const char *names[] = {"empty", "check", "step", "walk"};
    const __u32 starts[] = {0, reached, last, 0};
    printf("{");
    for (__u32 mode = EMPTY; mode <= WALK; mode++) {
        double best = 1e9;
        for (int i = 0; i < 400; i++) {
            struct request request = {.mode = mode, .op = 0, .start = starts[mode]};
            LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &request, .ctx_size_in = sizeof request);
            if (bpf_prog_test_run_opts(program, &run)) return 1;
            if (mode != EMPTY && request.allowed != REPEAT) {
                fprintf(stderr, "wrong answer\n");
                return 1;
            }
            if ((double)request.ns / REPEAT < best) best = (double)request.ns / REPEAT;
        }
        printf("%s\"%s\": %.3f", mode ? ", " : "", names[mode], best);
    }
    printf("}\n");
    return 0;
}
