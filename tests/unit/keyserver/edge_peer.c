#include "tests/unit/keyserver/edge_peer.h"

#include <string.h>

static void edge_on_open(struct channel *channel, void *user)
{
    (void)channel;
    ((struct test_edge *)user)->open = true;
}

static void edge_on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    struct test_edge *edge = user;
    struct msg *msg = NULL;

    (void)channel;
    assert_int_equal(msg_parse(&msg, bytes, length), 0);
    if (msg->kind == MSG_HELLO) {
        edge->greeted = true;
        edge->hello = msg->hello;
    }
    edge->messages += msg->kind == MSG_ANSWERS;
    if (msg->kind == MSG_EPOCH) {
        edge->epoch_count++;
        edge->epoch = msg->epoch;
    }
    for (size_t i = 0; msg->kind == MSG_ANSWERS && i < msg->count; i++) {
        struct msg_answer *answer = &msg->answers[i];
        for (size_t k = 0; k < answer->key_count; k++, edge->key_count++) {
            if (edge->key_count < 8)
                edge->keys[edge->key_count] = answer->keys[k];
        }
        if (edge->answer_count < EDGE_ANSWERS_MAX) {
            edge->answers[edge->answer_count] = *answer;
            edge->answers[edge->answer_count].keys = NULL;
        }
        edge->answer_count++;
    }
    msg_free(msg);
}

static void edge_on_close(struct channel *channel, int why, void *user)
{
    struct test_edge *edge = user;

    (void)channel;
    edge->closed = true;
    edge->why = why;
    edge->channel = NULL;
}

static void edge_on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void edge_start(struct test_edge *edge, const struct address *to, const struct identity *self,
                const uint8_t *server_key, const uint8_t *psk)
{
    static const struct channel_handlers handlers = {
        .on_open = edge_on_open, .on_message = edge_on_message, .on_close = edge_on_close};
    struct channel_settings settings;

    memset(edge, 0, sizeof *edge);
    channel_settings_default(&settings);
    assert_int_equal(uv_loop_init(&edge->loop), 0);
    uv_timer_init(&edge->loop, &edge->tick);
    uv_timer_start(&edge->tick, edge_on_tick, 20, 20);
    edge->channel = channel_connect(&edge->loop, to, self, server_key, psk, &settings, &handlers, edge);
    assert_non_null(edge->channel);
}

void edge_send(struct test_edge *edge, struct buffer *packed)
{
    assert_int_equal(channel_send(edge->channel, buffer_bytes(packed), buffer_length(packed)), 0);
    buffer_clear(packed);
}

void edge_send_hello(struct test_edge *edge, uint32_t version)
{
    struct msg_hello hello = {.version_min = version, .version_max = version, .software = "test \"edge\""};
    struct buffer packed;

    buffer_init(&packed);
    assert_int_equal(msg_pack_hello(&packed, &hello), 0);
    edge_send(edge, &packed);
}

void edge_connect(struct test_edge *edge, const struct address *to, const struct identity *self,
                  const uint8_t *server_key, const uint8_t *psk)
{
    edge_start(edge, to, self, server_key, psk);
    EDGE_UNTIL(edge, edge->open);
    edge_send_hello(edge, PROTOCOL_VERSION_MAX);
    EDGE_UNTIL(edge, edge->greeted);
}

void edge_ask(struct test_edge *edge, enum operation_kind kind, const uint8_t *key_id, uint64_t id,
              size_t count, uint32_t deadline_ms)
{
    struct msg_request requests[MSG_BATCH_MAX];
    struct buffer packed;

    memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < count; i++) {
        requests[i].id = id + i;
        requests[i].deadline_ms = deadline_ms;
        trace_id_new(&requests[i].trace);
        requests[i].operation.kind = kind;
        if (key_id != NULL)
            memcpy(requests[i].operation.key_id, key_id, KEY_ID_SIZE);
        if (kind == OP_SIGN_TLS13) {
            requests[i].operation.u.sign_tls13.scheme = SCHEME_ECDSA_P256_SHA256;
            requests[i].operation.u.sign_tls13.hash_length = 32;
        }
    }
    buffer_init(&packed);
    assert_int_equal(msg_pack_requests(&packed, requests, count), 0);
    edge_send(edge, &packed);
}

const struct msg_answer *edge_answer(const struct test_edge *edge, uint64_t id)
{
    for (size_t i = 0; i < edge->answer_count && i < EDGE_ANSWERS_MAX; i++) {
        if (edge->answers[i].id == id)
            return &edge->answers[i];
    }
    return NULL;
}

void edge_end(struct test_edge *edge)
{
    if (edge->channel != NULL)
        channel_close(edge->channel);
    EDGE_UNTIL(edge, edge->closed);
    uv_close((uv_handle_t *)&edge->tick, NULL);
    uv_run(&edge->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&edge->loop), 0);
}
