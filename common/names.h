/* Names: the hosts that a program connects to by name, and what a resolver last said of each.
 *
 * The last good answer is kept until a better one comes: a name server that fails changes nothing. Sends no
 * queries: that is resolver.h, or names_resolve() for a program that may block. Knows no clock. Names are
 * added before the threads start; from then on any thread may call anything. */
#ifndef COMMON_NAMES_H
#define COMMON_NAMES_H

#include <pthread.h>
#include <stddef.h>

#include "common/address.h"

#define NAMES_WHY_SIZE  160
#define NAMES_ANSWER_MS 30000 /* an answer that has not come by then will not come; longer than a look-up */

/* Where something listens: an address, or a name. */
struct endpoint {
    const char *text;       /* as it was configured; borrowed */
    struct address address; /* unless it is a name */
    struct names *names;    /* borrowed; NULL = `address` is all */
    size_t number;          /* in them */
};

/* What is known of a name. */
struct name_answer {
    struct address addresses[ADDRESS_FOUND_MAX]; /* in the order in which to try them */
    size_t count;
    char why[NAMES_WHY_SIZE]; /* what was wrong at the last look-up; "" = nothing */
};

/* Told of every answer, from the thread that brings it. */
struct names_watch {
    void (*on_change)(void *user);
    void *user;
    struct names_watch *next;
};

struct names {
    pthread_mutex_t lock;
    struct name *item; /* owned, count */
    size_t count;
    struct names_watch *watches; /* borrowed */
    /* Has HOST looked up and names_put() called, later; never blocks. NULL: nobody does. */
    void (*ask)(size_t number, const char *host, void *user);
    void *user;
};

void names_init(struct names *names);
void names_clear(struct names *names);

/* Takes TEXT (borrowed) apart; a name is added to NAMES (borrowed). ERR_CONFIG, ERR_MEMORY. */
int names_add(struct names *names, struct endpoint *out, const char *text, uint16_t default_port,
              struct fault *fault) MUST_USE;
/* True when all that ENDPOINT needs is here: an address, or an answer not older than AGE_NS, or when nobody
 * looks names up. Otherwise the name is asked for, unless an answer is due. */
bool endpoint_is_fresh(const struct endpoint *endpoint, uint64_t now_ns, uint64_t age_ns);
/* True when no address is known and an answer is due. */
bool endpoint_is_awaited(const struct endpoint *endpoint);
/* What is known of ENDPOINT now; of an address, itself. */
void endpoint_get(const struct endpoint *endpoint, struct name_answer *out);
/* The address, or the name as configured; returns OUT. */
char *endpoint_text(const struct endpoint *endpoint, char out[static ADDRESS_TEXT_SIZE]);
/* ADDRESS works: it is tried first from now on, as long as it is among the answers. */
void endpoint_prefer(const struct endpoint *endpoint, const struct address *address);

/* An answer came at NOW_NS: COUNT addresses whose port does not matter, or with 0 why there is none. */
void names_put(struct names *names, size_t number, const struct address *addresses, size_t count,
               const char *why, uint64_t now_ns);
/* The answers that are due will not come: each name may be asked for again. */
void names_forget_asked(struct names *names);
/* Looks all names up at once, blocking; returns how many have no address. */
size_t names_resolve(struct names *names, uint64_t now_ns);
/* The name NUMBER, borrowed. */
const char *names_host(const struct names *names, size_t number);
/* How many have been answered, whatever the answer was. */
size_t names_answered(struct names *names);
/* WATCH (borrowed until it is removed) is told of every answer. */
void names_watch(struct names *names, struct names_watch *watch);
void names_unwatch(struct names *names, struct names_watch *watch);

#endif
