/* A small edge for the tests of the key server: connects, greets, asks and collects the answers, driving its
 * own loop until a condition holds or ten seconds have passed. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_EDGE_PEER_H
#define TESTS_UNIT_KEYSERVER_EDGE_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/secret.h"
#include "proto/msg.h"

#define EDGE_ANSWERS_MAX 512
#define EDGE_PATIENCE_MS 30000

struct test_edge {
    uv_loop_t loop;
    uv_timer_t tick; /* wakes the loop, so that a deadline is noticed */
    struct channel *channel;
    bool open;    /* the channel is */
    bool greeted; /* the server's hello came */
    bool closed;
    int why; /* of the close */
    struct msg_hello hello;
    struct msg_answer answers[EDGE_ANSWERS_MAX]; /* `keys` is not kept */
    size_t answer_count;
    size_t key_count;        /* of all keys answers together */
    struct key_info keys[8]; /* the first of them */
    size_t messages;         /* that brought answers */
    size_t epoch_count;
    struct msg_epoch epoch; /* the last one */
};

/* Begins to connect. */
void edge_start(struct test_edge *edge, const struct address *to, const struct identity *self,
                const uint8_t *server_key, const uint8_t *psk);

/* Runs the edge's loop until CONDITION. */
#define EDGE_UNTIL(edge, condition)                                                                          \
    do {                                                                                                     \
        uint64_t until_ = clock_ms() + EDGE_PATIENCE_MS;                                                     \
        while (!(condition)) {                                                                               \
            if (clock_ms() > until_)                                                                         \
                fail_msg("not within %d ms: %s", EDGE_PATIENCE_MS, #condition);                              \
            uv_run(&(edge)->loop, UV_RUN_ONCE);                                                              \
        }                                                                                                    \
    } while (0)

void edge_send(struct test_edge *edge, struct buffer *packed);
void edge_send_hello(struct test_edge *edge, uint32_t version);
/* Connects and greets. */
void edge_connect(struct test_edge *edge, const struct address *to, const struct identity *self,
                  const uint8_t *server_key, const uint8_t *psk);
/* Sends COUNT requests of one KIND with ids from ID on, in one message. KEY_ID may be NULL. */
void edge_ask(struct test_edge *edge, enum operation_kind kind, const uint8_t *key_id, uint64_t id,
              size_t count, uint32_t deadline_ms);
/* The answer to ID, or NULL. */
const struct msg_answer *edge_answer(const struct test_edge *edge, uint64_t id);
/* Closes, if that has not happened, and releases everything. */
void edge_end(struct test_edge *edge);

#endif
