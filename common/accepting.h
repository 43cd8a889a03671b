/* What it means that accept(2) has failed. Linux only. */
#ifndef COMMON_ACCEPTING_H
#define COMMON_ACCEPTING_H

enum accept_failure {
    ACCEPT_NOBODY,  /* no connection waits */
    ACCEPT_PASSING, /* that one connection is gone; the next may be there */
    ACCEPT_SHORT,   /* descriptors or kernel memory are short: connections wait in the kernel's queue */
    ACCEPT_LATER,   /* something else: to be tried again after a pause, or it would spin */
    ACCEPT_BROKEN,  /* the socket does not listen any more, as after shutdown(2): it has to be made anew */
};

/* Of the ERROR (errno) of accept(2) for FD, a non-blocking socket. */
enum accept_failure accept_failure_of(int fd, int error);

#endif
