/* Relay: moves bytes between a client and an origin, both ways, with back-pressure and half-close.
 *
 * Each direction holds at most what one buffer has room for, only while its sink does not take what its
 * source gave; nothing more is read from the source until that has left. An end that stops sending
 * (RELAY_ENDED) is passed on after everything before it; an end that breaks (RELAY_CUT) is reported, never
 * turned into an orderly end. Knows neither sockets nor TLS: an end is three functions. One thread. */
#ifndef EDGE_RELAY_RELAY_H
#define EDGE_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_BUFFER_SIZE ((size_t)64 * 1024) /* four full TLS records */
#define RELAY_ROUNDS      4                   /* buffers a direction may move in one run */
#define RELAY_READS       64                  /* into one of them: records may be as small as a byte */

/* What an end's functions return besides a positive number of bytes. */
enum relay_io {
    RELAY_ENDED = 0, /* orderly end of its data */
    RELAY_WANT_READ = -1,
    RELAY_WANT_WRITE = -2,
    RELAY_CUT = -3, /* broken */
};

/* One kind of end: how to read, write and finish it. None of them blocks. */
struct relay_end_type {
    /* Up to SIZE bytes. Sets *DRY when asking again at once would be of no use. */
    int (*read)(void *user, uint8_t *into, size_t size, bool *dry);
    /* Some of LENGTH bytes. */
    int (*write)(void *user, const uint8_t *bytes, size_t length);
    /* Nothing more will be written: tell the peer. Positive when that has left. */
    int (*finish)(void *user);
};

struct relay_end {
    const struct relay_end_type *type;
    void *user; /* borrowed */
};

enum relay_direction { RELAY_TO_ORIGIN, RELAY_TO_CLIENT, RELAY_DIRECTIONS };

struct relay_flow {
    uint8_t *bytes; /* owned; NULL when nothing waits */
    bool whole;     /* it is of RELAY_BUFFER_SIZE and goes back to the scratch; else it fits what waits */
    size_t start;   /* first byte that waits */
    size_t end;     /* one past the last */
    bool ended;     /* the source has ended in order */
    bool cut;       /* the source broke */
    bool finished;  /* the sink was told of the end */
    bool broken;    /* the sink takes nothing any more */
    uint64_t moved; /* bytes taken by the sink so far */
};

/* Zero-initialised is ready. */
struct relay {
    struct relay_flow flow[RELAY_DIRECTIONS];
};

/* A buffer that the relays of one thread lend each other, so that bytes which pass at once cost no memory. */
struct relay_scratch {
    uint8_t *bytes; /* owned; RELAY_BUFFER_SIZE, or NULL */
};
void relay_scratch_clear(struct relay_scratch *scratch);

#define RELAY_READABLE 1
#define RELAY_WRITABLE 2

/* The result of one run. */
struct relay_step {
    uint64_t moved[RELAY_DIRECTIONS]; /* bytes passed on in this run */
    unsigned client_events;           /* RELAY_READABLE, RELAY_WRITABLE: when to run again */
    unsigned origin_events;
    bool again;        /* there is more to do at once; the budget of one run was used up */
    bool client_ended; /* since ever, not only in this run */
    bool origin_ended;
    bool client_cut;
    bool origin_cut; /* and what it had said before was passed on */
    bool done;       /* both directions have ended and were finished */
    bool no_memory;
};

/* Moves what can be moved, within the budget. */
void relay_run(struct relay *relay, const struct relay_end *client, const struct relay_end *origin,
               struct relay_scratch *scratch, struct relay_step *step);
/* From now on treats the origin as ended, and writes nothing more to it. */
void relay_drop_origin(struct relay *relay);
/* Bytes wait for ends to take them. */
bool relay_pending(const struct relay *relay);
void relay_clear(struct relay *relay);

#endif
