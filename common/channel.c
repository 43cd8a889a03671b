#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/channel_internal.h"
#include "common/channel_times.h"
#include "common/clock.h"
#include "common/secret.h"

void channel_settings_default(struct channel_settings *settings)
{
    *settings = (struct channel_settings){
        .connect_timeout_ms = 5000,
        .rekey_messages = 65536,
        .rekey_interval_ms = 30000,
        .ping_interval_ms = CHANNEL_PING_MS,
        .idle_timeout_ms = CHANNEL_SILENT_MS(CHANNEL_PING_MS),
        .unsent_max = (size_t)1 << 20,
    };
}

const char *channel_drop_name(enum channel_drop why)
{
    static const char *const names[DROP_KINDS] = {
        [DROP_BUDGET] = "budget", [DROP_HALF_OPEN] = "half_open", [DROP_DEADLINE] = "deadline",
        [DROP_CUT] = "cut",       [DROP_HANDSHAKE] = "handshake", [DROP_UNKNOWN] = "unknown",
        [DROP_PSK] = "psk",
    };
    return (unsigned)why < DROP_KINDS ? names[why] : "unnamed";
}

uv_loop_t *channel_loop(const struct channel *c)
{
    return c->timer.loop;
}

struct channel *channel_new(uv_loop_t *loop, const struct address *peer,
                            const struct channel_settings *settings, const struct channel_handlers *handlers,
                            void *user)
{
    struct channel *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->address = *peer;
    c->settings = *settings;
    c->handlers = *handlers;
    c->user = user;
    c->state = CHANNEL_CONNECTING;
    frame_reader_init(&c->frames);
    /* None of these can fail: without a family uv_tcp_init makes no socket. */
    uv_timer_init(loop, &c->timer);
    uv_idle_init(loop, &c->flusher);
    if (address_is_local(peer))
        uv_pipe_init(loop, &c->socket.pipe, 0);
    else
        uv_tcp_init(loop, &c->socket.tcp);
    c->handles = 3;
    c->socket.handle.data = c->timer.data = c->flusher.data = c;
    return c;
}

/* ---- timer ---- */

static void on_timer(uv_timer_t *timer);

/* When the next ping is due, or never. A connection that says something anyway needs none. */
static uint64_t ping_due(const struct channel *c)
{
    uint64_t last = c->received_ms > c->pinged_ms ? c->received_ms : c->pinged_ms;
    return c->settings.ping_interval_ms != 0 ? last + c->settings.ping_interval_ms : UINT64_MAX;
}

static uint64_t idle_due(const struct channel *c)
{
    return c->settings.idle_timeout_ms != 0 ? c->received_ms + c->settings.idle_timeout_ms : UINT64_MAX;
}

static void start_timer(struct channel *c, uint64_t due)
{
    uint64_t now = uv_now(channel_loop(c));
    c->due_ms = due;
    uv_timer_stop(&c->timer);
    if (due != UINT64_MAX)
        uv_timer_start(&c->timer, on_timer, due > now ? due - now : 0, 0);
}

void channel_arm(struct channel *c)
{
    uint64_t now = uv_now(channel_loop(c));
    uint64_t due = UINT64_MAX;
    if (c->state == CHANNEL_OPEN)
        due = clock_earlier(ping_due(c), idle_due(c));
    else if (c->state == CHANNEL_FINISHING)
        due = now + CHANNEL_FINISH_MS;
    else if (c->settings.connect_timeout_ms != 0)
        due = now + c->settings.connect_timeout_ms;
    start_timer(c, due);
}

/* Extra time for a peer that could not be heard before: a part of the idle timeout. */
static uint64_t grace_ms(const struct channel *c)
{
    return c->settings.idle_timeout_ms / 8 + 1;
}

/* A timer that fires late shows that the whole process was held up. Timers then run before what has come
 * meanwhile is read, and the peer was not pinged in time. So it is pinged now and gets time to answer.
 * Otherwise the loop gets one turn to read what has just come. */
static void on_idle_timeout(struct channel *c, uint64_t now)
{
    bool held_up = now - c->due_ms >= grace_ms(c);
    if (c->overdue && !held_up) {
        channel_part(c, ERR_TIMEOUT);
        return;
    }
    c->overdue = true;
    if (held_up && c->settings.ping_interval_ms != 0)
        channel_transport_ping(c);
    if (c->state == CHANNEL_OPEN)
        start_timer(c, now + (held_up ? grace_ms(c) : 1));
}

static void on_timer(uv_timer_t *timer)
{
    struct channel *c = timer->data;
    uint64_t now = uv_now(timer->loop);
    if (c->state == CHANNEL_FINISHING) {
        channel_end(c, ERR_CLOSED);
    } else if (c->state != CHANNEL_OPEN) {
        channel_end(c, ERR_TIMEOUT);
    } else if (now >= idle_due(c)) {
        on_idle_timeout(c, now);
    } else {
        if (now >= ping_due(c))
            channel_transport_ping(c);
        if (c->state == CHANNEL_OPEN)
            channel_arm(c);
    }
}

/* ---- end ---- */

/* How a channel that ends for the reason WHY before authentication is counted. Between message 2 and the
 * first transport message an edge with another pre-shared key leaves or sends what does not decrypt; so does
 * a peer that replays message 1. */
static enum channel_drop drop_of(enum channel_state state, int why)
{
    bool answered = state == CHANNEL_WAIT_FIRST;
    switch (why) {
    case ERR_TIMEOUT:
        return DROP_DEADLINE;
    case ERR_REFUSED:
        return DROP_UNKNOWN;
    case ERR_MEMORY:
    case ERR_BUSY:
        return DROP_HALF_OPEN;
    case ERR_CRYPTO:
    case ERR_FORMAT:
        return answered ? DROP_PSK : DROP_HANDSHAKE;
    default:
        return answered ? DROP_PSK : DROP_CUT;
    }
}

static void channel_free(struct channel *c)
{
    channel_handshake_clear(c);
    noise_cipher_clear(&c->sending);
    noise_cipher_clear(&c->receiving);
    frame_reader_clear(&c->frames);
    buffer_clear(&c->out);
    buffer_clear(&c->leaving);
    free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct channel *c = handle->data;
    assert(c->handles > 0);
    if (--c->handles > 0)
        return;
    if (c->listener != NULL)
        channel_listener_release(c, !c->silent);
    else if (c->handlers.on_close != NULL)
        c->handlers.on_close(c, c->why, c->user);
    channel_free(c);
}

void channel_end(struct channel *c, int why)
{
    uv_os_fd_t fd;
    if (c->state == CHANNEL_ENDED)
        return;
    c->why = why == ERR_LENGTH ? ERR_FORMAT : why;
    c->drop = drop_of(c->state, c->why);
    c->state = CHANNEL_ENDED;
    shares_leave(&c->waiter);
    if (c->listener != NULL && uv_fileno(&c->socket.handle, &fd) == 0)
        channel_io_drain(fd); /* every unauthenticated peer sees the same: a FIN */
    uv_close(&c->socket.handle, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    uv_close((uv_handle_t *)&c->flusher, on_handle_closed);
}

void channel_part(struct channel *c, int why)
{
    uv_os_fd_t fd;
    if (c->state == CHANNEL_OPEN && channel_transport_seal(c, CHANNEL_CLOSE, NULL, 0) == 0) {
        channel_io_flush_last(c);
        if (uv_fileno(&c->socket.handle, &fd) == 0)
            channel_io_drain(fd); /* unread bytes would make the close a reset, which loses the message */
    }
    channel_end(c, why);
}

void channel_close(struct channel *channel)
{
    if (channel->state == CHANNEL_FINISHING || channel->state == CHANNEL_ENDED)
        return;
    if (channel->state != CHANNEL_OPEN || channel_transport_seal(channel, CHANNEL_CLOSE, NULL, 0) != 0) {
        channel_end(channel, ERR_CLOSED);
        return;
    }
    channel->state = CHANNEL_FINISHING;
    channel_arm(channel);
}

/* ---- connecting ---- */

static void on_connect(uv_connect_t *request, int status)
{
    struct channel *c = request->handle->data;
    if (c->state != CHANNEL_CONNECTING)
        return;
    if (status != 0) {
        channel_end(c, err_of_errno(-status));
        return;
    }
    c->state = CHANNEL_WAIT_MESSAGE;
    channel_io_start(c);
    channel_handshake_send(c);
}

static void start_connecting(struct channel *c)
{
    int status = 0;
    if (address_is_local(&c->address))
        uv_pipe_connect(&c->connect, &c->socket.pipe, c->address.u.local.sun_path, on_connect);
    else
        status = uv_tcp_connect(&c->connect, &c->socket.tcp, &c->address.u.any, on_connect);
    if (status != 0)
        channel_end(c, err_of_errno(-status));
}

struct channel *channel_connect(uv_loop_t *loop, const struct address *to, const struct identity *self,
                                const uint8_t server_key[static NOISE_KEY_SIZE],
                                const uint8_t psk[static NOISE_KEY_SIZE],
                                const struct channel_settings *settings,
                                const struct channel_handlers *handlers, void *user)
{
    struct channel_opening *opening = calloc(1, sizeof *opening);
    struct channel *c = opening != NULL ? channel_new(loop, to, settings, handlers, user) : NULL;
    if (c == NULL) {
        free(opening);
        return NULL;
    }
    memcpy(opening->psk, psk, sizeof opening->psk);
    memcpy(c->peer, server_key, sizeof c->peer);
    c->opening = opening;
    channel_handshake_start(c, self);
    start_connecting(c);
    return c;
}

/* ---- what the owner asks ---- */

int channel_send(struct channel *channel, const void *bytes, size_t length)
{
    if (channel->state != CHANNEL_OPEN)
        return ERR_CLOSED;
    if (length > CHANNEL_MESSAGE_MAX)
        return ERR_LENGTH;
    if (channel_io_unsent(channel) >= channel->settings.unsent_max) {
        channel->blocked = true;
        return ERR_BUSY;
    }
    return channel_transport_seal(channel, CHANNEL_DATA, bytes, length);
}

size_t channel_unsent(const struct channel *channel)
{
    return channel_io_unsent(channel);
}

const uint8_t *channel_hash(const struct channel *channel)
{
    return channel->hash;
}

const uint8_t *channel_peer_key(const struct channel *channel)
{
    return channel->peer;
}

const struct address *channel_address(const struct channel *channel)
{
    return &channel->address;
}

uint64_t channel_rtt_ns(const struct channel *channel)
{
    return channel->rtt_ns;
}

void channel_probe(struct channel *channel)
{
    if (channel->state == CHANNEL_OPEN && channel->asked_ns == 0)
        channel_transport_ping(channel);
}

uint64_t channel_asked_ns(const struct channel *channel)
{
    return channel->asked_ns;
}

uint64_t channel_heard_ns(const struct channel *channel)
{
    return channel->received_ms * NS_PER_MS;
}

void channel_set_user(struct channel *channel, void *user)
{
    channel->user = user;
}
