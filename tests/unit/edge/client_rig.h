/* The rig of the client's tests: a loop, key servers, a client that knows them, and requests that know which
 * answer is theirs. Everything runs in the test's one thread. */
#ifndef TESTS_UNIT_EDGE_CLIENT_RIG_H
#define TESTS_UNIT_EDGE_CLIENT_RIG_H

#include "common/clock.h"
#include "edge/keyclient/client_state.h"
#include "tests/unit/edge/client_peer.h"

#define RIG_PEERS    5
#define RIG_GUARD_MS 20000
#define LONG_MS      (3 * RIG_GUARD_MS) /* a deadline, or an epoch, beyond the end of the test */

struct rig {
    uv_loop_t loop;
    uv_timer_t guard;
    bool late;
    struct identity self;
    struct peer peers[RIG_PEERS];
    struct client_server servers[RIG_PEERS];
    struct client_server_stats stats[RIG_PEERS];
    struct client_settings settings;
    struct client *client;
    unsigned usable, changes; /* as on_servers said */
};

#define RIG_WAIT(rig, condition)                                                                             \
    do {                                                                                                     \
        rig_guard(rig);                                                                                      \
        while (!(condition)) {                                                                               \
            uv_run(&(rig)->loop, UV_RUN_ONCE);                                                               \
            if ((rig)->late)                                                                                 \
                fail_msg("waited too long for: %s", #condition);                                             \
        }                                                                                                    \
    } while (0)

void rig_guard(struct rig *rig);
/* COUNT key servers, listening, and settings for a client that knows them. */
struct rig *rig_new(size_t count);
/* Starts the client and waits until every server is connected. */
struct rig *rig_connected(size_t count);
/* Closes everything, and shows that nothing is left: neither handle nor gauge. */
void rig_free(struct rig *rig);
/* Epoch NUMBER of the group called GROUP. */
struct msg_epoch epoch_of(uint64_t number, char group, uint32_t left_ms);

/* ---- requests ---- */

struct ask {
    struct client_request request;
    struct rig *rig;
    unsigned answers;
    void (*then)(struct ask *ask); /* inside on_answer */
};

void ask_init(struct ask *ask, struct rig *rig, enum operation_kind kind, uint64_t within_ms);
void ask_start(struct ask *ask, struct rig *rig, uint64_t within_ms);
/* COUNT signatures at once. */
struct ask *ask_many(struct rig *rig, size_t count, uint64_t within_ms);
/* Answered once, with the bytes that belong to it and no other. */
void assert_answered(const struct ask *ask);
/* SERVER has given the answer: NULL is nobody, as when the deadline came first. */
void assert_from(const struct ask *ask, const char *server);
void assert_failed(const struct ask *ask, enum operation_status status);
size_t answered(const struct ask *asks, size_t count);
uint64_t count_of(counter *c);
int rig_setup(void **state);

#endif
