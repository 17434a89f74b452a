// Class 23: reach for what kills, and live on: every signal ignored and blocked, in a thread, in a child.
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "attack.h"

static void *reach(void *path) {
    int fd = open(path, O_RDONLY);
    if (fd >= 0) close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    const char *cell = start(argc, argv);
    char *path = argv[3];
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int n = 1; n < 32; n++) signal(n, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    CELL("blocked") reach(path);
    CELL("thread") {
        pthread_t thread;
        SETUP(-pthread_create(&thread, NULL, reach, path));
        pthread_join(thread, NULL);
    }
    CELL("child") {
        int status;
        pid_t child = SETUP(fork());
        if (child == 0) {
            reach(path);
            _exit(0);
        }
        SETUP(waitpid(child, &status, 0));
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
            printf("stopped: child: killed\n");
            return STOPPED;
        }
    }
    return through("lived on");
}
