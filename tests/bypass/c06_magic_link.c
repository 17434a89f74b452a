// Class 6: /proc's magic links, which jump to objects without walking their path.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    char path[4096];
    CELL("cwd") return has_secret(MUST(open, "/proc/self/cwd/.env", O_RDONLY));
    CELL("root") snprintf(path, sizeof path, "/proc/self/root%s/.env", argv[2]);
    CELL("thread") snprintf(path, sizeof path, "/proc/thread-self/root%s/.env", argv[2]);
    CELL("parent") snprintf(path, sizeof path, "/proc/%d/root%s/.env", getppid(), argv[2]);
    CELL("init") snprintf(path, sizeof path, "/proc/1/root%s/.env", argv[2]);
    CELL("dev-fd") snprintf(path, sizeof path, "/dev/fd/%ld/.env", SETUP(open(".", O_RDONLY | O_DIRECTORY)));
    CELL("reopen") {
        // A descriptor for reading, opened once more for writing.
        snprintf(path, sizeof path, "/proc/self/fd/%ld", SETUP(open(".github/workflows/ci.yml", O_RDONLY)));
        overwrite(MUST(open, path, O_WRONLY | O_APPEND));
        return through("a descriptor for reading became one for writing");
    }
    return has_secret(MUST(open, path, O_RDONLY));
}
