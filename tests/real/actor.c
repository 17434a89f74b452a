// Makes requests with real system calls, each in a process of its own, and says how each ended.
//
// Standard input: attempts, one a line, fields apart by tabs: ID WAY PATH OTHER UID GID GROUPS EXE FLAGS MODE OFFSET LENGTH SIZE.
// Names have `\xNN` for bytes that are no graphic ASCII, and for the backslash; `-` is none. Standard output, one line each:
// `ID ERRNO STEP`, or `ID killed SIGNAL`. ERRNO 0 is success; otherwise STEP is the call that failed.
//
// `actor --native` keeps the capabilities alone that a sandbox of these tests has. `actor --one LINE` makes one attempt, and
// `actor --nothing` succeeds: what a program does that is only to be executed.
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "actor.h"

enum { ID, WAY, PATH, OTHER, USER, GROUP, GROUPS, EXE, FLAGS, MODE, OFFSET, LENGTH, SIZE, FIELDS };

_Noreturn void report(const struct attempt *a, int error, const char *step) {
    char line[256];
    int length = snprintf(line, sizeof line, "%s %d %s\n", a->id, error, step);
    if (write(1, line, length) != length) _exit(98);
    _exit(0);
}

static void unescape(char *text) {
    char *to = text;
    for (char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] == 'x') {
            char digits[3] = {from[2], from[3], 0};
            *to = (char)strtoul(digits, NULL, 16);
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = 0;
}

// Goes down to where the rest of the path is short enough for a system call, and gives the rest.
static char *approach(const struct attempt *a, char *path) {
    while (strlen(path) > 3500) {
        char *cut = path + 3000;
        while (*cut != '/') cut--;
        *cut = 0;
        STEP("chdir", chdir(path));
        path = cut + 1;
    }
    return path;
}

static void run_way(const struct attempt *a) {
    const struct named_way *const tables[] = {data_ways, name_ways, meta_ways};
    for (unsigned i = 0; i < 3; i++)
        for (const struct named_way *w = tables[i]; w->name; w++)
            if (!strcmp(w->name, a->way)) {
                w->run(a);
                report(a, 0, "done");
            }
    report(a, ENOSYS, "no such way");
}

static void become(const struct attempt *a, char **field) {
    unsigned uid = atoi(field[USER]), gid = atoi(field[GROUP]);
    gid_t groups[32];
    int count = 0;
    for (char *word = strtok(field[GROUPS], ","); word && strcmp(word, "-"); word = strtok(NULL, ","))
        groups[count++] = atoi(word);
    if (uid == geteuid() && gid == getegid() && !count) return;
    STEP("setgroups", setgroups(count, groups));
    STEP("setresgid", setresgid(gid, gid, gid));
    STEP("setresuid", setresuid(uid, uid, uid));
}

static void split(char *line, char **field) {
    for (int i = 0; i < FIELDS; i++) {
        field[i] = line;
        char *tab = strchr(line, '\t');
        if (tab) *tab = 0;
        else if (i < FIELDS - 1) exit(97);
        line = tab + 1;
    }
}

static void attempt(const char *line, int entered) {
    char *copy = strdup(line), *field[FIELDS];
    split(copy, field);
    struct attempt this = {.id = field[ID], .way = field[WAY]}, *a = &this;
    if (!entered) {
        become(a, field);
        if (strcmp(field[EXE], "-")) {
            unescape(field[EXE]);
            execl(field[EXE], field[EXE], "--one", line, NULL);
            report(a, errno, "enter");
        }
    }
    unescape(field[PATH]);
    unescape(field[OTHER]);
    a->flags = strtoul(field[FLAGS], NULL, 10);
    a->mode = strtoul(field[MODE], NULL, 10);
    a->offset = strtoull(field[OFFSET], NULL, 10);
    a->length = strtoull(field[LENGTH], NULL, 10);
    a->size = strtoull(field[SIZE], NULL, 10);
    // Both names stand in one directory: where its path is long, the process goes there.
    char *slash = strrchr(field[PATH], '/');
    if (slash - field[PATH] > 3000) {
        *slash = 0;
        STEP("chdir", chdir(approach(a, field[PATH])));
        a->path = slash + 1;
        a->other = strrchr(field[OTHER], '/') + 1;
        a->dir = ".";
    } else {
        a->path = field[PATH];
        a->other = field[OTHER];
        a->dir = strndup(a->path, slash == a->path ? 1 : slash - a->path);
    }
    run_way(a);
}

static void keep_few_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (geteuid() == 0) data[0].effective = data[0].permitted = 1u << CAP_SETUID | 1u << CAP_SETGID;
    if (syscall(SYS_capset, &header, data) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) exit(96);
}

int main(int argc, char **argv) {
    umask(0);
    if (argc > 1 && !strcmp(argv[1], "--nothing")) return 0;
    if (argc > 2 && !strcmp(argv[1], "--one")) attempt(argv[2], 1);
    if (argc > 1 && !strcmp(argv[1], "--native")) keep_few_capabilities();
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        pid_t child = fork();
        if (child < 0) return 95;
        if (!child) attempt(line, 0);
        int status;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (WIFSIGNALED(status)) printf("%.*s killed %d\n", (int)strcspn(line, "\t"), line, WTERMSIG(status));
        else if (WEXITSTATUS(status)) printf("%.*s broken %d\n", (int)strcspn(line, "\t"), line, WEXITSTATUS(status));
        fflush(stdout);
    }
    return 0;
}
