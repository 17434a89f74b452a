// Class 1: a second name for a file, where more is allowed than at the first.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    int from = AT_FDCWD;
    const char *old = ".github/workflows/ci.yml";
    int flags = 0;
    char magic[64];
    CELL("secret") old = ".env";
    CELL("empty-path") {
        from = SETUP(open(old, O_RDONLY));
        old = "";
        flags = AT_EMPTY_PATH;
    }
    CELL("magic-link") {
        snprintf(magic, sizeof magic, "/proc/self/fd/%ld", SETUP(open(old, O_RDONLY)));
        old = magic;
        flags = AT_SYMLINK_FOLLOW;
    }
    CELL("into-hooks") {
        make("src/evil");
        MUST(link, "src/evil", ".git/hooks/pre-commit");
        return through("a hook by link");
    }
    MUST(linkat, from, old, AT_FDCWD, "src/second", flags);
    overwrite(MUST(open, "src/second", O_WRONLY | O_APPEND));
    return through("wrote through a second name");
}
