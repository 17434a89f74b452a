/* The tables of the prototype, shared by its BPF program and the program that fills them. */
#define STATES (1u << 18)
#define SLOTS (1u << 19)
#define BUCKETS (1u << 16)
#define WORDS (1u << 20)
#define REPEAT 256
#define NAME_WORDS 32
#define PATH 3

struct state {
    __u32 row, otherwise, leaf, unused;
};

struct slot {
    __u32 from, to, word, length;
};

struct name {
    __u64 words[NAME_WORDS];
};

struct request {
    __u32 mode, class, op, start, allowed, reached;
    __u64 ns;
};

enum { EMPTY, CHECK, STEP, WALK };

static inline __u64 start_of(__u32 state) {
    return (state + 1) * 0xd6e8feb86659fd93ull;
}

static inline __u64 mix(__u64 h, __u64 word) {
    h = (h ^ word) * 0xa0761d6478bd642full;
    return h ^ (h >> 31);
}
