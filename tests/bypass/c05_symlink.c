// Class 5: symbolic links, as the last component, as one on the way, chained, dangling, retargeted.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    CELL("final") {
        SETUP(symlink("../.env", "src/s"));
        return has_secret(MUST(open, "src/s", O_RDONLY));
    }
    CELL("middle") {
        SETUP(symlink("../.git/hooks", "src/h"));
        MUST(open, "src/h/pre-commit", O_CREAT | O_WRONLY, 0755);
    }
    CELL("chain") {
        SETUP(symlink("b", "src/a"));
        SETUP(symlink("../src/c", "src/b"));
        SETUP(symlink("/proc/self/cwd/.env", "src/c"));
        return has_secret(MUST(open, "src/a", O_RDONLY));
    }
    CELL("dangling") {
        SETUP(symlink("../.git/hooks/post-commit", "src/d"));
        MUST(open, "src/d", O_CREAT | O_WRONLY, 0755);
    }
    CELL("retargeted") {
        make("src/fine");
        SETUP(symlink("fine", "src/r"));
        SETUP(close(SETUP(open("src/r", O_RDONLY))));
        SETUP(unlink("src/r"));
        SETUP(symlink("../.env", "src/r"));
        return has_secret(MUST(open, "src/r", O_RDONLY));
    }
    CELL("outside") {
        SETUP(symlink("../../outside/secret", "src/o"));
        return has_secret(MUST(open, "src/o", O_RDONLY));
    }
    return through(cell);
}
