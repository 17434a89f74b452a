// Class 4: moving a directory so that a rule no longer speaks of what is in it.
#include <pthread.h>
#include <time.h>

#include "attack.h"

static volatile int done, won;

static void *write_both(void *unused) {
    while (!done) {
        int fd = open("src/moving/hooks/pre-commit", O_WRONLY | O_CREAT, 0755);
        if (fd >= 0) done = won = 1;
    }
    return unused;
}

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    CELL("anchor") {
        MUST(rename, ".github/workflows", "src/w");
        overwrite(MUST(open, "src/w/ci.yml", O_WRONLY));
    }
    CELL("above") {
        MUST(rename, ".github", "github");
        overwrite(MUST(open, "github/workflows/ci.yml", O_WRONLY));
        MUST(rename, "github", ".github");
    }
    CELL("git") {
        MUST(rename, ".git", "git");
        make("git/hooks/pre-commit");
        MUST(rename, "git", ".git");
    }
    CELL("prepare") {
        SETUP(mkdir("src/new", 0755));
        SETUP(mkdir("src/new/hooks", 0755));
        make("src/new/hooks/pre-commit");
        SETUP(mkdir("src/deep", 0755));
        MUST(rename, "src/new", "src/deep/.git");
    }
    CELL("race") {
        // One thread moves the directory in and out of the protected name, the other writes into it.
        pthread_t writer;
        SETUP(mkdir("src/deep", 0755));
        SETUP(mkdir("src/deep/.git", 0755));
        SETUP(-pthread_create(&writer, NULL, write_both, NULL));
        int moved = 0, error = 0;
        for (time_t end = time(NULL) + 3; time(NULL) < end && !done;) {
            if (rename("src/deep/.git", "src/moving") < 0) {
                error = errno;
                continue;
            }
            moved = 1;
            mkdir("src/moving/hooks", 0755);
            rename("src/moving", "src/deep/.git");
        }
        done = 1;
        pthread_join(writer, NULL);
        errno = error;
        if (!moved) must("rename", -1);
        if (!won) return broken("moved, but never won");
    }
    return through(cell);
}
