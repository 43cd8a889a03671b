#include <string.h>

#include "common/channel_internal.h"
#include "common/clock.h"
#include "common/secret.h"

/* Frames without data that are accepted in a second, above those with data: far more than any peer needs, and
 * little work. */
#define BARE_FRAMES_MAX 256
#define BARE_FRAMES_MS  1000

/* ---- sending ---- */

/* Appends one frame: header, then the kind and BODY sealed where they lie. */
static int append(struct channel *c, enum channel_kind kind, const void *body, size_t length)
{
    uint8_t *frame = buffer_reserve(&c->out, FRAME_HEADER_SIZE + 1 + length + NOISE_TAG_SIZE);
    if (frame == NULL)
        return ERR_MEMORY;
    uint8_t *plain = frame + FRAME_HEADER_SIZE;
    frame_header(frame, 1 + length + NOISE_TAG_SIZE);
    plain[0] = (uint8_t)kind;
    if (length > 0)
        memcpy(plain + 1, body, length);
    int err = noise_seal(&c->sending, plain, 1 + length, plain);
    if (err != 0) {
        wipe(frame, FRAME_HEADER_SIZE + 1 + length);
        return err;
    }
    buffer_commit(&c->out, FRAME_HEADER_SIZE + 1 + length + NOISE_TAG_SIZE);
    c->sent_since_rekey++;
    channel_io_flush_later(c);
    return 0;
}

static bool rekey_due(const struct channel *c)
{
    const struct channel_settings *s = &c->settings;
    uint64_t age = uv_now(channel_loop(c)) - c->rekeyed_ms;
    return (s->rekey_messages != 0 && c->sent_since_rekey >= s->rekey_messages) ||
           (s->rekey_interval_ms != 0 && age >= s->rekey_interval_ms);
}

/* Announces, under the old key, that all later messages are under the next. */
static int rekey(struct channel *c)
{
    int err = append(c, CHANNEL_REKEY, NULL, 0);
    if (err != 0)
        return err;
    noise_rekey(&c->sending);
    c->sent_since_rekey = 0;
    c->rekeyed_ms = uv_now(channel_loop(c));
    return 0;
}

int channel_transport_seal(struct channel *c, enum channel_kind kind, const void *body, size_t length)
{
    int err = rekey_due(c) ? rekey(c) : 0;
    return err != 0 ? err : append(c, kind, body, length);
}

void channel_transport_ping(struct channel *c)
{
    c->pinged_ms = uv_now(channel_loop(c));
    if (c->asked_ns == 0)
        c->asked_ns = clock_ns();
    if (channel_io_unsent(c) >= c->settings.unsent_max)
        return; /* the peer does not read; the idle timeout ends it */
    random_bytes(c->ping, sizeof c->ping);
    c->ping_sent_ns = clock_ns();
    c->ping_out = true;
    int err = channel_transport_seal(c, CHANNEL_PING, c->ping, sizeof c->ping);
    if (err != 0)
        channel_end(c, err);
}

/* ---- receiving, one function a kind ---- */

static int take_data(struct channel *c, const uint8_t *body, size_t length)
{
    c->handlers.on_message(c, body, length, c->user);
    return 0;
}

static int take_rekey(struct channel *c, const uint8_t *body, size_t length)
{
    (void)body;
    (void)length;
    noise_rekey(&c->receiving);
    return 0;
}

static int take_close(struct channel *c, const uint8_t *body, size_t length)
{
    (void)c;
    (void)body;
    (void)length;
    return ERR_CLOSED;
}

/* A peer that pings without reading the pongs would fill our memory. */
static int take_ping(struct channel *c, const uint8_t *body, size_t length)
{
    if (channel_io_unsent(c) >= c->settings.unsent_max)
        return ERR_BUSY;
    return channel_transport_seal(c, CHANNEL_PONG, body, length);
}

static int take_pong(struct channel *c, const uint8_t *body, size_t length)
{
    if (!c->ping_out || !same_bytes(body, c->ping, length))
        return 0; /* answers an earlier ping, whose round trip is out of date */
    c->ping_out = false;
    c->rtt_ns = clock_ns() - c->ping_sent_ns;
    if (c->rtt_ns == 0)
        c->rtt_ns = 1; /* 0 means: never measured */
    return 0;
}

static const struct {
    int (*take)(struct channel *c, const uint8_t *body, size_t length);
    size_t shortest, longest; /* bytes of the body */
} kinds[CHANNEL_KINDS] = {
    [CHANNEL_DATA] = {take_data, 0, CHANNEL_MESSAGE_MAX},
    [CHANNEL_REKEY] = {take_rekey, 0, 0},
    [CHANNEL_CLOSE] = {take_close, 0, 0},
    [CHANNEL_PING] = {take_ping, CHANNEL_PING_SIZE, CHANNEL_PING_SIZE},
    [CHANNEL_PONG] = {take_pong, CHANNEL_PING_SIZE, CHANNEL_PING_SIZE},
};

/* Nothing else bounds frames without data, because they are answered by nothing or by another such frame. A
 * flood of them would take all of this process's time. */
static bool is_bare_flood(struct channel *c, uint8_t kind)
{
    uint64_t now = uv_now(channel_loop(c));
    if (now - c->bare_since_ms >= BARE_FRAMES_MS) {
        c->bare_since_ms = now;
        c->bare = 0;
    }
    if (kind == CHANNEL_DATA)
        c->bare -= c->bare > 0;
    else
        c->bare++;
    return c->bare > BARE_FRAMES_MAX;
}

/* Accepting side: the first transport message has decrypted. It proves who the peer is and that message 1 is
 * no replay. */
static void authenticated(struct channel *c)
{
    channel_listener_authenticated(c);
    c->state = CHANNEL_OPEN;
    channel_arm(c);
    c->handlers.on_open(c, c->user);
}

int channel_transport_receive(uint8_t *bytes, size_t length, void *user)
{
    struct channel *c = user;
    int err = noise_open(&c->receiving, bytes, length, bytes);
    if (err != 0)
        return err;
    size_t plain = length - NOISE_TAG_SIZE;
    c->received_ms = uv_now(channel_loop(c)); /* of whole messages: single bytes keep no channel open */
    c->asked_ns = 0;
    c->overdue = false;
    if (c->state == CHANNEL_WAIT_FIRST)
        authenticated(c);
    if (c->state != CHANNEL_OPEN)
        err = ERR_CLOSED; /* by its owner, in on_open */
    else if (bytes[0] >= CHANNEL_KINDS || plain - 1 < kinds[bytes[0]].shortest ||
             plain - 1 > kinds[bytes[0]].longest || is_bare_flood(c, bytes[0]))
        err = ERR_FORMAT;
    else
        err = kinds[bytes[0]].take(c, bytes + 1, plain - 1);
    wipe(bytes, plain);
    wipe_registers();
    if (err == 0 && c->state != CHANNEL_OPEN)
        err = ERR_CLOSED;
    return err;
}
