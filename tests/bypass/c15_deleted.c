// Class 15: names and objects that come apart: deleted files, and names that look like those of deleted files.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    CELL("suffix") {
        MUST(open, ".git/hooks/pre-commit (deleted)", O_CREAT | O_WRONLY, 0755);
    }
    CELL("revive") {
        // A deleted file gets a protected name.
        make("src/evil");
        int fd = SETUP(open("src/evil", O_RDWR));
        SETUP(link("src/evil", "src/evil2"));
        SETUP(unlink("src/evil"));
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
        MUST(linkat, AT_FDCWD, magic, AT_FDCWD, ".git/hooks/pre-commit", AT_SYMLINK_FOLLOW);
    }
    CELL("still-open") {
        // This is no attack: a file stays usable by those who hold it open.
        make("src/mine");
        int fd = SETUP(open("src/mine", O_RDWR));
        SETUP(unlink("src/mine"));
        MUST(write, fd, "still here\n", 11);
        MUST(ftruncate, fd, 4);
    }
    return through(cell);
}
