#include "edge/keyclient/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/clock.h"
#include "common/secret.h"
#include "edge/keyclient/answer.h"
#include "edge/keyclient/silence.h"

#define DEADLINE_MS_MAX 60000 /* of the protocol */

static const struct msg_hello our_versions = {.version_min = PROTOCOL_VERSION_MIN,
                                              .version_max = PROTOCOL_VERSION_MAX};

/* ---- life ---- */

struct conn *conn_new(const struct conn_setup *setup, const struct address *address)
{
    struct conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL)
        return NULL;
    conn->setup = setup;
    random_bytes(&conn->next_id, sizeof conn->next_id);
    if (attempts_init(&conn->table) == 0)
        conn->channel = channel_connect(setup->loop, address, setup->identity, setup->server->key,
                                        setup->server->psk, &setup->channel, setup->handlers, conn);
    if (conn->channel == NULL) {
        attempts_clear(&conn->table);
        free(conn);
        return NULL;
    }
    return conn;
}

bool conn_end(struct conn *conn)
{
    bool first = conn->state != CONN_ENDED;

    conn->state = CONN_ENDED;
    channel_close(conn->channel);
    return first;
}

void conn_free(struct conn *conn)
{
    assert(conn->state == CONN_ENDED && conn_in_flight(conn) == 0);
    attempts_clear(&conn->table);
    free(conn);
}

/* ---- attempts ---- */

size_t conn_server(const struct conn *conn)
{
    return conn->setup->number;
}

size_t conn_in_flight(const struct conn *conn)
{
    return conn->queued_count + conn->sent_count;
}

bool conn_has_room(const struct conn *conn)
{
    return conn->state == CONN_OPEN && !conn->blocked && conn_in_flight(conn) < conn->window;
}

void conn_put(struct conn *conn, struct client_attempt *attempt)
{
    assert(attempt->conn == NULL && conn->state == CONN_OPEN);
    attempt->conn = conn;
    attempt->id = conn->next_id++;
    attempt->sent_ns = 0;
    attempts_put(&conn->table, attempt);
    DL_APPEND(conn->queued, attempt);
    conn->queued_count++;
    counter_add(&conn->setup->stats->in_flight, 1);
}

void conn_take(struct client_attempt *attempt)
{
    struct conn *conn = attempt->conn;

    attempts_remove(&conn->table, attempt);
    if (attempt->sent_ns == 0) {
        DL_DELETE(conn->queued, attempt);
        conn->queued_count--;
    } else {
        DL_DELETE(conn->sent, attempt);
        conn->sent_count--;
    }
    attempt->conn = NULL;
    counter_add(&conn->setup->stats->in_flight, (uint64_t)-1);
}

struct client_attempt *conn_take_any(struct conn *conn)
{
    struct client_attempt *attempt = conn->sent != NULL ? conn->sent : conn->queued;

    if (attempt != NULL)
        conn_take(attempt);
    return attempt;
}

/* ---- out ---- */

int conn_send_hello(struct conn *conn)
{
    struct msg_hello hello = our_versions;
    struct buffer *packed = &conn->setup->batch->packed;

    snprintf(hello.software, sizeof hello.software, "%s", conn->setup->software);
    int err = msg_pack_hello(packed, &hello);
    if (err == 0)
        err = channel_send(conn->channel, buffer_bytes(packed), buffer_length(packed));
    buffer_consume(packed, buffer_length(packed));
    return err != ERR_CLOSED ? err : 0; /* otherwise on_close says why */
}

static uint32_t time_left_ms(uint64_t deadline_ns, uint64_t now)
{
    uint64_t ms = deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0;
    if (ms < 1)
        return 1; /* 0 would mean no deadline, and the one here comes first */
    return ms < DEADLINE_MS_MAX ? (uint32_t)ms : DEADLINE_MS_MAX;
}

/* Copies the first of the queue, at most ROOM; returns how many. */
static size_t fill_batch(struct conn_batch *batch, const struct client_attempt *attempt, size_t room,
                         uint64_t now)
{
    size_t count = 0;

    for (; attempt != NULL && count < room; attempt = attempt->next, count++) {
        struct msg_request *out = &batch->requests[count];
        out->id = attempt->id;
        out->deadline_ms = time_left_ms(attempt->request->deadline_ns, now);
        out->trace = attempt->request->trace;
        out->operation = attempt->request->operation;
    }
    return count;
}

static int send_batch(struct conn *conn, size_t count)
{
    struct buffer *packed = &conn->setup->batch->packed;

    int err = msg_pack_requests(packed, conn->setup->batch->requests, count);
    if (err == 0)
        err = channel_send(conn->channel, buffer_bytes(packed), buffer_length(packed));
    buffer_consume(packed, buffer_length(packed));
    return err;
}

static void mark_sent(struct conn *conn, size_t count, uint64_t now)
{
    while (count-- > 0) {
        struct client_attempt *attempt = conn->queued;
        DL_DELETE(conn->queued, attempt);
        DL_APPEND(conn->sent, attempt);
        attempt->sent_ns = attempt->request->sent_ns = now;
        attempt->request->tries++;
        counter_add(&conn->setup->stats->requests[attempt->request->operation.kind], 1);
        conn->queued_count--;
        conn->sent_count++;
    }
}

static bool may_send(const struct conn *conn)
{
    return conn->queued != NULL && !conn->blocked && conn->sent_count < conn->window &&
           (conn->state == CONN_OPEN || conn->state == CONN_DRAINING);
}

int conn_flush(struct conn *conn)
{
    uint64_t now = conn->queued != NULL ? clock_ns() : 0;

    while (may_send(conn)) {
        size_t room = conn->window - conn->sent_count;
        size_t count = fill_batch(conn->setup->batch, conn->queued,
                                  room < MSG_BATCH_MAX ? room : MSG_BATCH_MAX, now);
        count = msg_requests_fit(conn->setup->batch->requests, count);
        int err = send_batch(conn, count);
        if (err == ERR_BUSY || err == ERR_CLOSED)
            conn->blocked = true; /* until on_writable; for good when on_close comes, which says why */
        else if (err != 0)
            return err;
        else
            mark_sent(conn, count, now);
    }
    if (now != 0)
        channel_flush(conn->channel);
    return 0;
}

void conn_unblock(struct conn *conn)
{
    conn->blocked = false;
}

bool conn_watch(struct conn *conn, uint64_t rtt_ns, uint64_t now_ns, uint64_t *look_ns)
{
    const struct silence_sight sight = {.waits_ns = conn->sent != NULL ? conn->sent->sent_ns : 0,
                                        .heard_ns = channel_heard_ns(conn->channel),
                                        .asked_ns = channel_asked_ns(conn->channel),
                                        .rtt_ns = rtt_ns};

    *look_ns = UINT64_MAX;
    if (conn->state != CONN_OPEN && conn->state != CONN_DRAINING)
        return false;
    enum silence silence = silence_decide(&sight, now_ns, look_ns);
    if (silence == SILENCE_LATE)
        channel_probe(conn->channel);
    /* When the whole process was held up, what has come meanwhile is read in the next turn, so silence counts
     * only when it lasts. */
    bool proven = silence == SILENCE_PROVEN && conn->suspect;
    conn->suspect = silence == SILENCE_PROVEN;
    return proven;
}

/* ---- in ---- */

/* The server counts over all channels of the edge. A server without a limit gets as many as one message
 * holds. */
static uint32_t share_of(uint32_t in_flight_max, unsigned sharers)
{
    uint32_t all = in_flight_max > 0 ? in_flight_max : MSG_BATCH_MAX;
    return all > sharers ? all / sharers : 1;
}

static int read_hello(struct conn *conn, const struct msg *msg)
{
    if (msg->kind != MSG_HELLO)
        return ERR_FORMAT;
    if (msg_version_choose(&our_versions, &msg->hello) < 0)
        return ERR_UNSUPPORTED;
    conn->window = share_of(msg->hello.in_flight_max, conn->setup->sharers);
    snprintf(conn->software, sizeof conn->software, "%s", msg->hello.software);
    conn->state = CONN_OPEN;
    return 0;
}

int conn_read(struct conn *conn, const uint8_t *bytes, size_t length, struct msg **out)
{
    *out = NULL;
    int err = msg_parse(out, bytes, length);
    if (err == 0 && conn->state == CONN_CONNECTING)
        err = read_hello(conn, *out);
    else if (err == 0 && (*out)->kind != MSG_EPOCH && (*out)->kind != MSG_ANSWERS)
        err = ERR_FORMAT;
    if (err == 0)
        return 0;
    msg_free(*out);
    *out = NULL;
    return err != ERR_LENGTH ? err : ERR_FORMAT;
}

struct client_attempt *conn_match(struct conn *conn, const struct msg_answer **answer)
{
    struct client_server_stats *stats = conn->setup->stats;
    const struct outcome *outcome = &(*answer)->outcome;
    struct client_attempt *attempt = attempts_find(&conn->table, (*answer)->id);

    if (attempt == NULL || attempt->sent_ns == 0) {
        counter_add(&stats->stray, 1);
        return NULL;
    }
    enum operation_kind kind = attempt->request->operation.kind;
    if (answer_check(kind, *answer) != 0) {
        counter_add(&stats->malformed, 1);
        *answer = NULL;
    } else if (!(*answer)->more) {
        counter_add(&stats->answers[kind][outcome->status], 1);
        if (outcome->status == STATUS_OK && outcome->length > 0)
            histogram_add(&stats->latency, clock_ns() - attempt->sent_ns);
    }
    return attempt;
}
