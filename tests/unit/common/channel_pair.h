/* Both ends of a channel on one loop over real loopback sockets, for the tests of the channel. */
#ifndef TESTS_UNIT_COMMON_CHANNEL_PAIR_H
#define TESTS_UNIT_COMMON_CHANNEL_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/channel.h"
#include "common/secret.h"

/* One end: what its callbacks saw, and what they do. */
struct end {
    struct channel *channel; /* NULL before it is open (accepting side) and after on_close */
    unsigned opened, closed, messages, writable;
    size_t bytes;        /* of all messages */
    uint8_t first, last; /* first byte of the first and of the last message */
    size_t last_length;
    int why;
    bool echo; /* sends every message back */
    bool close_on_open;
    bool close_on_message;
    bool greet;        /* sends "hello" in on_open */
    struct buffer log; /* all messages, one after the other, when `keep` */
    bool keep;
};

struct pair {
    uv_loop_t loop;
    uv_timer_t guard;
    bool expired;
    struct channel_shares shares;
    struct channel_listener *listener;
    struct address address; /* of the listener */
    struct identity edge_id, server_id;
    uint8_t psk[NOISE_KEY_SIZE];        /* the edge's */
    uint8_t server_psk[NOISE_KEY_SIZE]; /* what the server believes */
    uint8_t server_key[NOISE_KEY_SIZE]; /* what the edge believes */
    struct channel_settings settings;   /* of the edge */
    struct channel_listener_settings listener_settings;
    struct end edge, server;
    bool refuse; /* the lookup knows nobody */
    unsigned lookups;
    unsigned drops[DROP_KINDS];
    bool drop_had_key;
};

void pair_init(struct pair *p);
/* Listens at TEXT ("127.0.0.1:0" or a unix socket). */
void pair_listen_at(struct pair *p, const char *text);
void pair_listen(struct pair *p);
/* The edge's end connects to TO; it greets, since the accepting side waits for the first message. */
void pair_connect_to(struct pair *p, const struct address *to);
void pair_connect(struct pair *p);

/* Runs the loop until CONDITION holds. */
#define RUN_UNTIL(p, condition)                                                                              \
    do {                                                                                                     \
        while (!(condition)) {                                                                               \
            assert_false((p)->expired);                                                                      \
            uv_run(&(p)->loop, UV_RUN_ONCE);                                                                 \
        }                                                                                                    \
    } while (0)

/* Both ends open and the greeting received. */
void pair_open(struct pair *p);
/* Closes what is left and shows that no handle stayed behind. */
void pair_clear(struct pair *p);
int pair_start_library(void **state);

#endif
