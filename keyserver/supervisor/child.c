#include "keyserver/supervisor/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"

#define FIRST_KEPT (STDERR_FILENO + 1)

/* Leaves nothing of the parent's open but the standard three and FDS, which move down behind them. */
static int keep_only(int *fds, size_t count)
{
    int aside[CHILD_DESCRIPTORS_MAX];

    for (size_t i = 0; i < count; i++) { /* out of the way of each other's new numbers */
        aside[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_KEPT + CHILD_DESCRIPTORS_MAX);
        if (aside[i] < 0)
            return ERR_SYSTEM;
    }
    for (size_t i = 0; i < count; i++) {
        fds[i] = FIRST_KEPT + (int)i;
        if (dup3(aside[i], fds[i], O_CLOEXEC) < 0)
            return ERR_SYSTEM;
    }
    closefrom(FIRST_KEPT + (int)count);
    return 0;
}

static int become_child(pid_t parent, int *fds, size_t count)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t none;

    process_die_with_parent();
    if (getppid() != parent) /* it was gone before that */
        return ERR_CUT;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        sigaction(ignored[i], &ignore, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return keep_only(fds, count);
}

/* What the parent cannot see: it only learns that the child has ended. */
static _Noreturn void leave_early(const char *role)
{
    const int why = errno == EINVAL ? EMFILE : errno; /* a number above the limit was asked for */

    log_event(LOG_ERROR, "child_failed", "role=%s error=\"cannot take its descriptors: %s%s\"", role,
              strerror(why), process_limit_hint(why));
    log_leave(1);
}

pid_t child_fork(const char *role, int *fds, size_t count)
{
    assert(count <= CHILD_DESCRIPTORS_MAX);
    pid_t parent = getpid();
    fflush(NULL); /* or the child would write what is buffered once more */
    pid_t pid = fork();

    if (pid < 0)
        return ERR_SYSTEM;
    int err = pid == 0 ? become_child(parent, fds, count) : 0;
    if (err == ERR_SYSTEM)
        leave_early(role);
    if (err != 0)
        _exit(1);
    return pid;
}

void child_backoff_died(struct child_backoff *backoff, uint64_t now_ms, uint64_t lived_ms)
{
    if (backoff->delay_ms == 0 || lived_ms >= CHILD_BACKOFF_FORGET_MS)
        backoff->delay_ms = CHILD_BACKOFF_FIRST_MS;
    else if (backoff->delay_ms * 2 <= CHILD_BACKOFF_LAST_MS)
        backoff->delay_ms *= 2;
    else
        backoff->delay_ms = CHILD_BACKOFF_LAST_MS;
    backoff->due_ms = now_ms + backoff->delay_ms;
}

bool child_backoff_due(struct child_backoff *backoff, uint64_t now_ms)
{
    if (backoff->due_ms == 0 || now_ms < backoff->due_ms)
        return false;
    backoff->due_ms = 0;
    return true;
}
