/* Control: what the supervisor and the net process say to each other, over a socket pair of their own.
 *
 * Messages of one fixed size with a kind, and at most one descriptor beside them; nothing in them comes from
 * the network. Not the wall: no request passes here. Each end belongs to one thread. */
#ifndef KEYSERVER_NET_CONTROL_H
#define KEYSERVER_NET_CONTROL_H

#include <stdint.h>

#include "common/err.h"

enum control_kind {
    CONTROL_WALL = 1, /* supervisor → net: a vault is ready; its wall's end comes along, `value` says why */
    CONTROL_DRAIN = 2,   /* supervisor → net: answer what is open, close, end */
    CONTROL_STARTED = 3, /* net → supervisor: every listener is served */
    CONTROL_EDGES = 4,   /* supervisor → net: a snapshot of authorized_edges comes along; the vault that the
                            next CONTROL_WALL brings goes by it */
    CONTROL_LOAD = 5,    /* supervisor → net: how the loading of a vault goes, in `value`; for the status */
    CONTROL_TAKEN = 6,   /* net → supervisor: one CONTROL_WALL has been taken */
    CONTROL_KINDS
};

/* `value` of CONTROL_WALL. */
enum control_wall_cause {
    CONTROL_WALL_START,   /* the first vault of this net process */
    CONTROL_WALL_RESTART, /* the one before it died */
    CONTROL_WALL_RELOAD,  /* the one before it drains */
};

/* `value` of CONTROL_LOAD. */
enum control_load {
    CONTROL_LOAD_NONE,    /* no vault is being loaded */
    CONTROL_LOAD_GOES_ON, /* one is */
    CONTROL_LOAD_SILENT,  /* one is, and whoever has the next step has said nothing for long */
    CONTROL_LOAD_FAILS,   /* none serves, and the last attempt to begin one has failed */
    CONTROL_LOADS
};

struct control_message {
    uint32_t kind;  /* enum control_kind */
    uint32_t value; /* meaning depends on the kind */
};

/* A connected pair, non-blocking and close-on-exec. */
int control_pair(int fds[static 2]) MUST_USE;
/* Sends one message; PASSED (or -1) goes along and stays the caller's. ERR_CUT when the other side is gone,
 * ERR_BUSY when it does not read, ERR_SYSTEM. */
int control_send(int fd, enum control_kind kind, uint32_t value, int passed) MUST_USE;
/* Receives one message. PASSED becomes the descriptor that came along, now the caller's, or -1. ERR_BUSY when
 * there is none now, ERR_CUT when the other side is gone, ERR_FORMAT for what is no message. */
int control_receive(int fd, struct control_message *out, int *passed) MUST_USE;
/* The same from a side that has no descriptor to pass: one that comes all the same never is this process's,
 * and makes the message ERR_FORMAT. */
int control_receive_bare(int fd, struct control_message *out) MUST_USE;

#endif
