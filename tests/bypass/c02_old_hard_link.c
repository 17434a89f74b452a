// Class 2: a second name that was there before the sandbox began. Paths cannot tell: a documented limit.
#include "attack.h"

int main(int argc, char **argv) {
    (void)start(argc, argv);
    overwrite(MUST(open, "src/alias", O_WRONLY | O_APPEND));
    return through("wrote through an old name");
}
