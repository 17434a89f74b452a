// Class 14: descriptors: inherited, upgraded, used as a base, handed over.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    CELL("inherited") {
        // The caller left it open.
        return has_secret(must("descriptor 7", fcntl(7, F_GETFD) < 0 ? -1 : 7));
    }
    CELL("inherited-directory") return has_secret(MUST(openat, 8, ".env", O_RDONLY));
    CELL("stdin") return has_secret(0);
    CELL("stdin-directory") return has_secret(MUST(openat, 0, ".env", O_RDONLY));
    CELL("stdin-reopened") overwrite(MUST(open, "/proc/self/fd/0", O_WRONLY | O_APPEND));
    CELL("o-path-upgrade") {
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%ld", SETUP(open(".github/workflows/ci.yml", O_PATH)));
        overwrite(MUST(open, magic, O_WRONLY));
    }
    CELL("base") {
        int hooks = SETUP(open(".git/hooks", O_RDONLY | O_DIRECTORY));
        overwrite(MUST(openat, hooks, "pre-commit", O_CREAT | O_WRONLY, 0755));
    }
    CELL("fchdir") {
        SETUP(fchdir(SETUP(open(".git/hooks", O_RDONLY | O_DIRECTORY))));
        overwrite(MUST(open, "pre-commit", O_CREAT | O_WRONLY, 0755));
    }
    CELL("dup-setfl") {
        int fd = SETUP(dup(SETUP(open(".github/workflows/ci.yml", O_RDONLY))));
        fcntl(fd, F_SETFL, O_RDWR);
        overwrite(fd);
    }
    return through(cell);
}
