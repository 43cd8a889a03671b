/* Linked into every unit program: a peer that is gone is an error to look at, not the program's end, as in
 * the daemons (process_harden) and the command line. libuv writes without MSG_NOSIGNAL. */
#include <signal.h>

/* A process that forks has a thread that writes its log, and so has each of its children. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static __attribute__((constructor)) void ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}
