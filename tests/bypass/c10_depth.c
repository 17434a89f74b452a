// Class 10: deeper and longer than a checker can count. DIR/deep holds a chain of directories, a secret in some.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    int depth = atoi(cell + strlen("depth-"));
    SETUP(chdir("deep"));
    // Step by step: as a whole, the path may be longer than the kernel takes.
    for (int i = 1; i < depth; i++) MUST(chdir, "directory");
    return has_secret(MUST(open, ".env", O_RDONLY));
}
