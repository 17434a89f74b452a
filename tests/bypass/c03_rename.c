// Class 3: renames, out of a protected place, onto a protected name, and with every flag.
#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    const char *ci = ".github/workflows/ci.yml";
    make("src/evil");
    CELL("out") MUST(rename, ci, "src/ci.yml");
    CELL("onto") MUST(rename, "src/evil", ci);
    CELL("hook") MUST(rename, "src/evil", ".git/hooks/pre-commit");
    CELL("exchange") MUST(renameat2, AT_FDCWD, "src/evil", AT_FDCWD, ci, RENAME_EXCHANGE);
    CELL("exchange-back") MUST(renameat2, AT_FDCWD, ci, AT_FDCWD, "src/evil", RENAME_EXCHANGE);
    CELL("noreplace") MUST(renameat2, AT_FDCWD, "src/evil", AT_FDCWD, ".git/hooks/pre-push", RENAME_NOREPLACE);
    CELL("secret-out") {
        MUST(rename, ".env", "src/plain");
        return has_secret(MUST(open, "src/plain", O_RDONLY));
    }
    CELL("exchange-secret") {
        MUST(renameat2, AT_FDCWD, "src/evil", AT_FDCWD, ".env", RENAME_EXCHANGE);
        return has_secret(MUST(open, "src/evil", O_RDONLY));
    }
    return through(cell);
}
