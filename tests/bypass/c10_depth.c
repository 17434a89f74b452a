// Class 10: deeper and longer than a checker can count. DIR/deep holds a chain of directories, a secret in some.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    int depth = atoi(cell + strlen("depth-"));
    SETUP(chdir("deep"));
    char name[128] = "";
    memset(name, 'd', 127);
    // Step by step: as a whole, the path is longer than the kernel takes.
    for (int i = 1; i < depth; i++) MUST(chdir, name);
    return has_secret(MUST(open, ".env", O_RDONLY));
}
