#include "keyserver/net/peer.h"

#include <stdlib.h>
#include <string.h>

#include "common/channel_name.h"
#include "common/clock.h"
#include "common/secret.h"

#define SOFTWARE      "keyless-server " KEYLESS_VERSION
#define ANSWERS_FIRST 8

struct peer *peer_new(struct channel *channel, struct edge_state *edge_state, uint32_t in_flight_max,
                      struct net_counters *counters, const struct peer_handlers *handlers, void *user)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL)
        return NULL;
    peer->channel = channel;
    peer->edge_state = edge_state;
    peer->in_flight_max = in_flight_max;
    peer->counters = counters;
    peer->handlers = handlers;
    peer->user = user;
    peer->since_ns = clock_ns();
    address_text(channel_address(channel), peer->address);
    return peer;
}

/* Wipes what is gathered. A peer that waits for more keeps the room; an idle one keeps nothing. */
static void answers_clear(struct peer *peer)
{
    for (size_t i = 0; i < peer->answer_count; i++)
        free(peer->answers[i].keys);
    if (peer->answers != NULL)
        wipe(peer->answers, peer->answer_count * sizeof *peer->answers);
    peer->answer_count = 0;
    if (peer->open.count > 0)
        return;
    free(peer->answers);
    peer->answers = NULL;
    peer->answer_size = 0;
}

/* The channel's name in the logs: the first bytes of its hash, as in the edge's log. */
static const char *channel_name(const struct peer *peer, char out[static 2 * CHANNEL_NAME_SIZE + 1])
{
    return hex_encode(out, channel_hash(peer->channel), CHANNEL_NAME_SIZE);
}

static void log_connected(const struct peer *peer)
{
    char name[2 * CHANNEL_NAME_SIZE + 1];

    log_event(LOG_INFO, "edge_connected", "edge=%s address=%s channel=%s software=\"%s\"",
              peer->edge_state->name, peer->address, channel_name(peer, name), peer->software);
}

/* A stable word for what ended a channel from below. */
static const char *end_word(int why)
{
    switch (why) {
    case ERR_CLOSED:
        return "closed";
    case ERR_CUT:
        return "cut";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CRYPTO:
    case ERR_FORMAT:
        return "malformed";
    default:
        return "error";
    }
}

void peer_log_end(const struct peer *peer, int why)
{
    char name[2 * CHANNEL_NAME_SIZE + 1];

    log_event(LOG_INFO, "edge_disconnected", "edge=%s address=%s channel=%s reason=%s requests=%llu open=%u",
              peer->edge_state->name, peer->address, channel_name(peer, name),
              peer->why != NULL ? peer->why : end_word(why), (unsigned long long)peer->requests,
              peer->open.count);
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    answers_clear(peer);
    free(peer->answers);
    free(peer);
}

/* ---- answers ---- */

/* The reason for the log after channel_send() failed with R. NULL for a channel that has already ended: its
 * on_close knows why. */
static const char *send_word(int r)
{
    if (r == ERR_CLOSED)
        return NULL;
    return r == ERR_BUSY ? "slow_reader" : "send_failed";
}

/* Sends PACKED, which this wipes. An edge that lets answers pile up is let go. */
static void send_packed(struct peer *peer, struct buffer *packed, int packed_result)
{
    int r = packed_result;

    if (r == 0)
        r = channel_send(peer->channel, buffer_bytes(packed), buffer_length(packed));
    buffer_clear(packed);
    if (r == 0 || peer->closing)
        return;
    peer->closing = true;
    peer->why = send_word(r);
    if (r == ERR_BUSY)
        counter_add(&peer->counters->slow_readers, 1);
    channel_close(peer->channel);
}

void peer_send_epoch(struct peer *peer, const struct msg_epoch *epoch)
{
    struct buffer packed;

    if (peer->closing)
        return;
    buffer_init(&packed);
    int r = msg_pack_epoch(&packed, epoch);
    send_packed(peer, &packed, r);
}

void peer_flush(struct peer *peer)
{
    if (peer->answer_count > 0 && !peer->closing) {
        struct buffer packed;
        buffer_init(&packed);
        int r = msg_pack_answers(&packed, peer->answers, peer->answer_count);
        send_packed(peer, &packed, r);
    }
    answers_clear(peer);
}

/* Room for one more answer, zeroed; NULL without memory. */
static struct msg_answer *answer_slot(struct peer *peer)
{
    if (peer->answer_count == MSG_BATCH_MAX)
        peer_flush(peer);
    if (peer->answer_count == peer->answer_size) {
        size_t size = peer->answer_size == 0 ? ANSWERS_FIRST : peer->answer_size * 2;
        struct msg_answer *answers = calloc(size, sizeof *answers);
        if (answers == NULL)
            return NULL;
        if (peer->answers != NULL) {
            memcpy(answers, peer->answers, peer->answer_count * sizeof *answers);
            wipe(peer->answers, peer->answer_count * sizeof *answers);
        }
        free(peer->answers);
        peer->answers = answers;
        peer->answer_size = size;
    }
    return &peer->answers[peer->answer_count];
}

/* Adds an answer to ID with STATUS, for the caller to fill. NULL when the channel is closing. Out of memory
 * closes the channel, so that the edge asks another key server at once instead of waiting for its deadline.
 */
static struct msg_answer *gather(struct peer *peer, uint64_t id, enum operation_status status)
{
    struct msg_answer *slot = peer->closing ? NULL : answer_slot(peer);

    if (slot == NULL) {
        peer_close(peer, "no_memory");
        return NULL;
    }
    slot->id = id;
    slot->outcome.status = status;
    if (peer->answer_count++ == 0)
        peer->handlers->on_gathered(peer, peer->user);
    return slot;
}

void peer_answer(struct peer *peer, uint64_t id, const struct outcome *outcome)
{
    struct msg_answer *slot = gather(peer, id, outcome->status);

    if (slot == NULL)
        return;
    slot->outcome.length = outcome->length;
    memcpy(slot->outcome.bytes, outcome->bytes, outcome->length);
}

void peer_answer_status(struct peer *peer, uint64_t id, enum operation_status status)
{
    (void)gather(peer, id, status);
}

void peer_answer_ping(struct peer *peer, uint64_t id, uint32_t in_flight, uint32_t workers)
{
    struct msg_answer *slot = gather(peer, id, STATUS_OK);

    if (slot == NULL)
        return;
    slot->in_flight = in_flight;
    slot->workers = workers;
}

void peer_answer_keys(struct peer *peer, uint64_t id, const struct key_info *keys, size_t count, bool more)
{
    struct key_info *copy = count > 0 ? malloc(count * sizeof *keys) : NULL;
    struct msg_answer *slot = count == 0 || copy != NULL ? gather(peer, id, STATUS_OK) : NULL;

    if (slot == NULL) {
        free(copy);
        peer_close(peer, "no_memory");
        return;
    }
    if (count > 0)
        memcpy(copy, keys, count * sizeof *keys);
    slot->keys = copy;
    slot->key_count = count;
    slot->more = more;
}

void peer_close(struct peer *peer, const char *why)
{
    if (peer->closing)
        return;
    peer_flush(peer);
    if (peer->closing)
        return;
    peer->closing = true;
    peer->why = why;
    channel_close(peer->channel);
}

/* ---- messages ---- */

/* What an edge says of itself goes into a quoted log value: nothing in it may end the quotes. */
static void take_software(struct peer *peer, const char *software)
{
    size_t i = 0;

    for (; i < sizeof peer->software - 1 && software[i] != '\0'; i++) {
        char c = software[i];
        peer->software[i] = c < ' ' || c > '~' || c == '"' || c == '\\' ? '_' : c;
    }
    peer->software[i] = '\0';
}

static int take_hello(struct peer *peer, const struct msg_hello *theirs)
{
    const struct msg_hello ours = {.version_min = PROTOCOL_VERSION_MIN,
                                   .version_max = PROTOCOL_VERSION_MAX,
                                   .in_flight_max = peer->in_flight_max,
                                   .software = SOFTWARE};
    struct buffer packed;

    take_software(peer, theirs->software);
    buffer_init(&packed);
    int r = msg_pack_hello(&packed, &ours);
    send_packed(peer, &packed, r);
    if (msg_version_choose(&ours, theirs) < 0) {
        log_event(LOG_WARN, "edge_version",
                  "edge=%s address=%s versions=%u-%u ours=%u-%u hint=\"update the older of the two\"",
                  peer->edge_state->name, peer->address, theirs->version_min, theirs->version_max,
                  ours.version_min, ours.version_max);
        peer_close(peer, "version");
        return 0;
    }
    if (peer->closing)
        return 0;
    peer->greeted = true;
    counter_add(&peer->counters->channels_accepted, 1);
    log_connected(peer);
    peer->handlers->on_greeted(peer, peer->user);
    return 0;
}

static int take_requests(struct peer *peer, const struct msg *msg)
{
    uint64_t now = clock_ns();

    for (size_t i = 0; i < msg->count && !peer->closing; i++) {
        peer->requests++;
        peer->handlers->on_request(peer, &msg->requests[i], now, peer->user);
    }
    return 0;
}

static int take_message(struct peer *peer, const struct msg *msg)
{
    if (msg->kind == MSG_HELLO && !peer->greeted)
        return take_hello(peer, &msg->hello);
    if (msg->kind == MSG_REQUESTS && peer->greeted)
        return take_requests(peer, msg);
    return ERR_FORMAT; /* answers, a second hello, or requests before the first */
}

void peer_message(struct peer *peer, const uint8_t *bytes, size_t length)
{
    struct msg *msg = NULL;

    if (peer->closing)
        return;
    int r = msg_parse(&msg, bytes, length);
    if (r == 0)
        r = take_message(peer, msg);
    msg_free(msg);
    if (r == 0)
        return;
    if (r == ERR_MEMORY) {
        peer_close(peer, "no_memory");
        return;
    }
    counter_add(&peer->counters->malformed_messages, 1);
    log_event(LOG_WARN, "edge_malformed", "edge=%s address=%s bytes=%zu error=\"%s\"", peer->edge_state->name,
              peer->address, length, err_string(r));
    peer_close(peer, "malformed");
}
