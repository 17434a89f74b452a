// Class 8: a file that may only grow. Its writer tries to write elsewhere than at the end.
#include <sys/mman.h>
#include <sys/uio.h>

#include "attack.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    int fd = SETUP(open("journal", O_WRONLY | O_APPEND));
    SETUP(write(fd, "one more\n", 9));
    struct iovec part = {"evil", 4};
    CELL("clear-append") {
        MUST(fcntl, fd, F_SETFL, 0);
        MUST(pwrite, fd, "evil", 4, 0);
    }
    CELL("noappend") MUST(pwritev2, fd, &part, 1, 0, RWF_NOAPPEND);
    CELL("write") MUST(write, MUST(open, "journal", O_WRONLY), "evil", 4);
    CELL("truncate") MUST(ftruncate, fd, 0);
    CELL("fallocate") MUST(fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4);
    CELL("reopen") {
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
        MUST(write, MUST(open, magic, O_WRONLY), "evil", 4);
    }
    char text[5] = "";
    FILE *journal = fopen("journal", "r");
    if (!journal) must("fopen", -1);
    if (fread(text, 1, 4, journal) == 4 && !memcmp(text, "1st ", 4)) {
        // The call succeeded, but what stood there still stands: it wrote at the end.
        printf("stopped: %s: at the end\n", cell);
        return STOPPED;
    }
    return through(cell);
}
