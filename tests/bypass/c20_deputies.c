// Class 20: get another process to do it.
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "attack.h"

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    // The caller says which process of the outside to go for.
    int outside = argc > 3 ? atoi(argv[3]) : -1;
    CELL("ptrace") MUST(ptrace, PTRACE_ATTACH, outside, 0, 0);
    CELL("proc-mem") {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/mem", outside);
        MUST(open, path, O_RDWR);
    }
    CELL("signal") MUST(kill, outside, SIGURG);
    CELL("new-privileges") {
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) {
            printf("stopped: prctl: no new privileges\n");
            return STOPPED;
        }
    }
    CELL("abstract-socket") {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", argv[3]);
        MUST(connect, SETUP(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&address,
             offsetof(struct sockaddr_un, sun_path) + 1 + n);
    }
    struct sockaddr_un named = {.sun_family = AF_UNIX};
    snprintf(named.sun_path, sizeof named.sun_path, "%s", argc > 3 ? argv[3] : "");
    CELL("path-socket") MUST(connect, SETUP(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&named, sizeof named);
    CELL("path-datagram") {
        MUST(sendto, SETUP(socket(AF_UNIX, SOCK_DGRAM, 0)), "do", 2, 0, (struct sockaddr *)&named, sizeof named);
    }
    return through(cell);
}
