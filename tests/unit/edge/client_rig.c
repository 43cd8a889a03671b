#include "tests/unit/edge/client_rig.h"

static void rig_on_guard(uv_timer_t *guard)
{
    ((struct rig *)guard->data)->late = true;
}

void rig_guard(struct rig *rig)
{
    uv_timer_start(&rig->guard, rig_on_guard, RIG_GUARD_MS, 0);
}

static void rig_on_servers(unsigned usable, void *user)
{
    struct rig *rig = user;

    rig->usable = usable;
    rig->changes++;
}

struct rig *rig_new(size_t count)
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

struct rig *rig_connected(size_t count)
{
    struct rig *rig = rig_new(count);

    rig->client = client_new(&rig->loop, &rig->settings);
    assert_non_null(rig->client);
    RIG_WAIT(rig, rig->client->pool.usable == count);
    return rig;
}

void rig_free(struct rig *rig)
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

struct msg_epoch epoch_of(uint64_t number, char group, uint32_t left_ms)
{
    struct msg_epoch epoch = {.number = number, .left_ms = left_ms};

    memset(epoch.key, group, sizeof epoch.key);
    epoch.key[0] = (uint8_t)number;
    return epoch;
}

/* ---- requests ---- */

static void ask_on_answer(struct client_request *request)
{
    struct ask *ask = request->user;

    ask->answers++;
    if (ask->then != NULL)
        ask->then(ask);
}

void ask_init(struct ask *ask, struct rig *rig, enum operation_kind kind, uint64_t within_ms)
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

void ask_start(struct ask *ask, struct rig *rig, uint64_t within_ms)
{
    ask_init(ask, rig, OP_SIGN_TLS13, within_ms);
    assert_int_equal(client_submit(rig->client, &ask->request), 0);
}

struct ask *ask_many(struct rig *rig, size_t count, uint64_t within_ms)
{
    struct ask *asks = calloc(count, sizeof *asks);

    for (size_t i = 0; i < count; i++)
        ask_start(&asks[i], rig, within_ms);
    return asks;
}

void assert_answered(const struct ask *ask)
{
    assert_int_equal(ask->answers, 1);
    assert_int_equal(ask->request.outcome.status, STATUS_OK);
    assert_true(ask->request.answered);
    assert_int_equal(ask->request.outcome.length, 32);
    assert_memory_equal(ask->request.outcome.bytes, ask->request.operation.u.sign_tls13.hash, 32);
}

void assert_from(const struct ask *ask, const char *server)
{
    assert_string_equal(ask->request.answered ? ask->rig->servers[ask->request.server].name : "nobody",
                        server);
}

void assert_failed(const struct ask *ask, enum operation_status status)
{
    assert_int_equal(ask->answers, 1);
    assert_int_equal(ask->request.outcome.status, status);
    assert_int_equal(ask->request.outcome.length, 0);
}

size_t answered(const struct ask *asks, size_t count)
{
    size_t done = 0;

    for (size_t i = 0; i < count; i++)
        done += asks[i].answers;
    return done;
}

uint64_t count_of(counter *c)
{
    return counter_get(c);
}

int rig_setup(void **state)
{
    (void)state;
    log_init("test_client", LOG_ERROR, LOG_LOGFMT);
    return secret_init();
}
