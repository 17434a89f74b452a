// Four writers that move trees about, four readers that look into them, for SECONDS: `stress DIR SECONDS`, in a sandbox whose policy
// allows everything below DIR but to read or write what is called `secret`, and to write what is called `fixed`.
//
// A name says what the verdict is, wherever its directory has been moved to. Whatever else may fail while names move, a refused
// operation that succeeds is wrong, and so is a permitted one that is refused. Ends with 0 if nothing was wrong.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4
#define DIRS 8

static time_t end;
static unsigned long done, refused;

static int time_is_up(void) { return time(NULL) >= end; }

static _Noreturn void wrong(const char *what, const char *path) {
    printf("wrong: %s %s: %s\n", what, path, strerror(errno));
    fflush(stdout);
    _exit(1);
}

// What may be: success, or that the name is elsewhere by now.
static int moved_away(void) { return errno == ENOENT || errno == ENOTDIR || errno == ESTALE; }

static void permitted(const char *what, const char *path, int result) {
    if (result >= 0 || moved_away()) done++;
    else wrong(what, path);
}

static void forbidden(const char *what, const char *path, int result) {
    if (result >= 0) errno = 0, wrong(what, path);
    if (errno == EACCES) refused++;
    else if (!moved_away()) wrong(what, path);
}

static int opened(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
    return fd;
}

static void fill(const char *dir) {
    char path[256];
    mkdir(dir, 0755);
    snprintf(path, sizeof path, "%s/plain", dir);
    permitted("create", path, opened(path, O_CREAT | O_WRONLY));
    snprintf(path, sizeof path, "%s/inner", dir);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/inner/plain", dir);
    permitted("create", path, opened(path, O_CREAT | O_WRONLY));
}

static void writer(unsigned n) {
    char from[128], to[128], path[256], other[256];
    srand(n + 1);
    while (!time_is_up()) {
        snprintf(from, sizeof from, "w%u/d%d", n, rand() % DIRS);
        snprintf(to, sizeof to, "w%u/d%d/in%d", n, rand() % DIRS, rand() % DIRS);
        fill(from);
        // Down into another directory, and up again: the rights of what is in it stay the same.
        if (strncmp(to, from, strlen(from)) || to[strlen(from)] != '/') {
            int result = rename(from, to);
            if (result < 0 && errno != ENOTEMPTY && errno != EEXIST && errno != EINVAL && !moved_away()) wrong("rename", to);
            if (!result && rename(to, from) < 0 && errno != ENOTEMPTY && errno != EEXIST && !moved_away()) wrong("rename", from);
        }
        snprintf(path, sizeof path, "%s/plain", from);
        snprintf(other, sizeof other, "%s/secret", from);
        forbidden("write", other, opened(other, O_WRONLY));
        snprintf(other, sizeof other, "%s/fixed", from);
        forbidden("write", other, opened(other, O_WRONLY));
        permitted("read", other, opened(other, O_RDONLY));
        permitted("write", path, opened(path, O_WRONLY));
        // A secret has no other name, and gets none.
        snprintf(path, sizeof path, "%s/secret", from);
        snprintf(other, sizeof other, "%s/told", from);
        int result = link(path, other);
        if (result == 0 || (errno != EXDEV && errno != EACCES && !moved_away())) wrong("link", other);
        result = rename(path, other);
        if (result == 0 || (errno != EXDEV && errno != EACCES && !moved_away())) wrong("rename", other);
    }
}

static void reader(unsigned n) {
    char path[256];
    static const char *const inside[] = {"", "/inner", "/in0", "/in1", "/in2", "/in3/inner"};
    srand(n + 100);
    while (!time_is_up()) {
        int length = snprintf(path, sizeof path, "w%d/d%d%s", rand() % WORKERS, rand() % DIRS, inside[rand() % 6]);
        snprintf(path + length, sizeof path - length, "/secret");
        forbidden("read", path, opened(path, O_RDONLY));
        snprintf(path + length, sizeof path - length, "/plain");
        permitted("read", path, opened(path, O_RDONLY));
        struct stat status;
        permitted("stat", path, stat(path, &status));
        snprintf(path + length, sizeof path - length, "/fixed");
        forbidden("write", path, opened(path, O_WRONLY));
    }
}

int main(int argc, char **argv) {
    if (argc < 3 || chdir(argv[1])) return 2;
    end = time(NULL) + atoi(argv[2]);
    int status, bad = 0;
    for (unsigned n = 0; n < 2 * WORKERS; n++) {
        if (fork()) continue;
        if (n < WORKERS) writer(n);
        else reader(n - WORKERS);
        printf("%s %u: %lu done, %lu refused\n", n < WORKERS ? "writer" : "reader", n % WORKERS, done, refused);
        fflush(stdout);
        _exit(done && refused ? 0 : 3);
    }
    while (wait(&status) > 0) bad |= status;
    return bad ? 1 : 0;
}
