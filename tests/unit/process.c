/* Linked into every unit program: a peer that is gone is an error to look at, not the program's end, as in
 * the daemons (process_harden) and the command line. libuv writes without MSG_NOSIGNAL. */
#include <signal.h>

static __attribute__((constructor)) void ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}
