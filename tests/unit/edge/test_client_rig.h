/* The rig of the client's tests: a loop, key servers, a client that knows them, and requests that know which
 * answer is theirs. Everything runs in the test's one thread. */
#ifndef TESTS_UNIT_EDGE_TEST_CLIENT_RIG_H
#define TESTS_UNIT_EDGE_TEST_CLIENT_RIG_H

#include "common/clock.h"
#include "edge/keyclient/client_state.h"
#include "tests/unit/edge/test_client_peer.h"

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

static void rig_on_guard(uv_timer_t *guard)
{
    ((struct rig *)guard->data)->late = true;
}

static void rig_guard(struct rig *rig)
{
    uv_timer_start(&rig->guard, rig_on_guard, RIG_GUARD_MS, 0);
}

static void rig_on_servers(unsigned usable, void *user)
{
    struct rig *rig = user;

    rig->usable = usable;
    rig->changes++;
}

/* COUNT key servers, listening, and settings for a client that knows them. */
UNUSED static struct rig *rig_new(size_t count)
{
    static const char *const names[RIG_PEERS] = {"one", "two", "three", "four", "five"};
    struct rig *rig = calloc(1, sizeof *rig);

    uv_loop_init(&rig->loop);
    uv_timer_init(&rig->loop, &rig->guard);
    rig->guard.data = rig;
    identity_generate(&rig->self);
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = &rig->peers[i];
        struct fault fault;
        peer->loop = &rig->loop;
        peer->held = calloc(PEER_HELD, sizeof *peer->held);
        peer->hello = (struct msg_hello){.version_min = 1, .version_max = 1, .in_flight_max = 4096};
        identity_generate(&peer->identity);
        random_bytes(peer->psk, sizeof peer->psk);
        memcpy(peer->known, rig->self.public, sizeof peer->known);
        assert_int_equal(address_parse(&peer->address, "127.0.0.1:0", 0, &fault), 0);
        peer_start(peer);
        rig->servers[i] = (struct client_server){.name = names[i], .endpoint.address = peer->address};
        memcpy(rig->servers[i].key, peer->identity.public, IDENTITY_KEY_SIZE);
        memcpy(rig->servers[i].psk, peer->psk, IDENTITY_KEY_SIZE);
    }
    rig->settings = (struct client_settings){.identity = &rig->self,
                                             .servers = rig->servers,
                                             .server_count = count,
                                             .stats = rig->stats,
                                             .connect_timeout_ms = 1000,
                                             .backoff_min_ms = 5,
                                             .backoff_max_ms = 40,
                                             .ping_interval_ms = 5000,
                                             .rehandshake_ms = 3600000,
                                             .handshake_ms = 10000,
                                             .in_flight_max = 65536,
                                             .software = "test edge",
                                             .on_servers = rig_on_servers,
                                             .user = rig};
    return rig;
}

/* Starts the client and waits until every server is connected. */
UNUSED static struct rig *rig_connected(size_t count)
{
    struct rig *rig = rig_new(count);

    rig->client = client_new(&rig->loop, &rig->settings);
    assert_non_null(rig->client);
    RIG_WAIT(rig, rig->client->pool.usable == count);
    return rig;
}

/* Closes everything, and shows that nothing is left: neither handle nor gauge. */
UNUSED static void rig_free(struct rig *rig)
{
    client_close(rig->client);
    for (size_t i = 0; i < rig->settings.server_count; i++)
        peer_stop(&rig->peers[i], false);
    uv_close((uv_handle_t *)&rig->guard, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    for (size_t i = 0; i < rig->settings.server_count; i++) {
        assert_int_equal(counter_get(&rig->stats[i].connected), 0);
        assert_int_equal(counter_get(&rig->stats[i].in_flight), 0);
        free(rig->peers[i].held);
    }
    free(rig);
}

/* Epoch NUMBER of the group called GROUP. */
UNUSED static struct msg_epoch epoch_of(uint64_t number, char group, uint32_t left_ms)
{
    struct msg_epoch epoch = {.number = number, .left_ms = left_ms};

    memset(epoch.key, group, sizeof epoch.key);
    epoch.key[0] = (uint8_t)number;
    return epoch;
}

/* ---- requests ---- */

struct ask {
    struct client_request request;
    struct rig *rig;
    unsigned answers;
    void (*then)(struct ask *ask); /* inside on_answer */
};

static void ask_on_answer(struct client_request *request)
{
    struct ask *ask = request->user;

    ask->answers++;
    if (ask->then != NULL)
        ask->then(ask);
}

UNUSED static void ask_init(struct ask *ask, struct rig *rig, enum operation_kind kind, uint64_t within_ms)
{
    struct operation *operation = &ask->request.operation;

    memset(ask, 0, sizeof *ask);
    ask->rig = rig;
    ask->request.user = ask;
    ask->request.on_answer = ask_on_answer;
    ask->request.deadline_ns = clock_ns() + within_ms * MS;
    operation->kind = kind;
    random_bytes(operation->key_id, sizeof operation->key_id);
    if (kind == OP_SIGN_TLS13) {
        operation->u.sign_tls13.scheme = SCHEME_ECDSA_P256_SHA256;
        operation->u.sign_tls13.hash_length = 32;
        random_bytes(operation->u.sign_tls13.hash, 32);
    } else if (kind == OP_RSA_PREMASTER) {
        operation->u.rsa_premaster.client_version = 0x0303;
        operation->u.rsa_premaster.ciphertext_length = RSA_MODULUS_MIN;
        random_bytes(operation->u.rsa_premaster.ciphertext, RSA_MODULUS_MIN);
    }
}

UNUSED static void ask_start(struct ask *ask, struct rig *rig, uint64_t within_ms)
{
    ask_init(ask, rig, OP_SIGN_TLS13, within_ms);
    assert_int_equal(client_submit(rig->client, &ask->request), 0);
}

/* COUNT signatures at once. */
UNUSED static struct ask *ask_many(struct rig *rig, size_t count, uint64_t within_ms)
{
    struct ask *asks = calloc(count, sizeof *asks);

    for (size_t i = 0; i < count; i++)
        ask_start(&asks[i], rig, within_ms);
    return asks;
}

/* Answered once, with the bytes that belong to it and no other. */
UNUSED static void assert_answered(const struct ask *ask)
{
    assert_int_equal(ask->answers, 1);
    assert_int_equal(ask->request.outcome.status, STATUS_OK);
    assert_true(ask->request.answered);
    assert_int_equal(ask->request.outcome.length, 32);
    assert_memory_equal(ask->request.outcome.bytes, ask->request.operation.u.sign_tls13.hash, 32);
}

/* SERVER has given the answer: NULL is nobody, as when the deadline came first. */
UNUSED static void assert_from(const struct ask *ask, const char *server)
{
    assert_string_equal(ask->request.answered ? ask->rig->servers[ask->request.server].name : "nobody",
                        server);
}

UNUSED static void assert_failed(const struct ask *ask, enum operation_status status)
{
    assert_int_equal(ask->answers, 1);
    assert_int_equal(ask->request.outcome.status, status);
    assert_int_equal(ask->request.outcome.length, 0);
}

UNUSED static size_t answered(const struct ask *asks, size_t count)
{
    size_t done = 0;

    for (size_t i = 0; i < count; i++)
        done += asks[i].answers;
    return done;
}

UNUSED static uint64_t count_of(counter *c)
{
    return counter_get(c);
}

static int rig_setup(void **state)
{
    (void)state;
    log_init("test_client", LOG_ERROR, LOG_LOGFMT);
    return secret_init();
}

#endif
