/* The inside of a channel, shared by the files that make it: channel.c (life), channel_handshake.c (until it
 * is open), channel_transport.c (kinds of messages once it is), channel_io.c (bytes in and out),
 * channel_shares.c (who reads when) and channel_listener.c (accepting). No other file includes it. Loop
 * thread only. */
#ifndef COMMON_CHANNEL_INTERNAL_H
#define COMMON_CHANNEL_INTERNAL_H

#include "common/channel.h"
#include "common/channel_shares.h"
#include "common/frame.h"

enum channel_kind { CHANNEL_DATA, CHANNEL_REKEY, CHANNEL_CLOSE, CHANNEL_PING, CHANNEL_PONG, CHANNEL_KINDS };

#define CHANNEL_PING_SIZE      8                    /* bytes of a ping's or pong's body */
#define CHANNEL_FRAME_MIN      (1 + NOISE_TAG_SIZE) /* a kind and nothing else */
#define CHANNEL_FINISH_MS      1000                 /* how long an explicit close may take */
#define CHANNEL_HANDSHAKE_COST 4096                 /* of a share: the curves that a handshake computes */

enum channel_state {
    CHANNEL_CONNECTING,   /* waits for TCP */
    CHANNEL_WAIT_MESSAGE, /* waits for its handshake message: 1 when accepting, 2 when connecting */
    CHANNEL_WAIT_FIRST,   /* accepting: message 2 has left, the first transport message has not come */
    CHANNEL_OPEN,
    CHANNEL_FINISHING, /* closed by its owner: what is unsent leaves, what comes in is thrown away */
    CHANNEL_ENDED      /* libuv's close callbacks are due */
};

/* What only the handshake needs; wiped and freed when its last message has passed. */
struct channel_opening {
    struct noise_handshake noise;
    uint8_t psk[NOISE_KEY_SIZE];        /* connecting side */
    uint8_t input[NOISE_MESSAGE1_SIZE]; /* what came of the peer's handshake message */
    size_t input_length;
};

struct channel {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    uv_timer_t timer;  /* handshake deadline, then ping and idle, then the time to finish */
    uv_idle_t flusher; /* runs once before the loop sleeps again, while there is something to write, or to
                          read on */
    unsigned handles;  /* not yet closed by libuv */
    enum channel_state state;
    int why;                /* of on_close, once ended */
    enum channel_drop drop; /* of on_drop, once ended before it was authenticated */
    bool silent;            /* ended by its listener: nobody is told */
    struct address address; /* of the peer */
    struct channel_settings settings;
    struct channel_handlers handlers;
    void *user; /* borrowed */

    struct channel_listener *listener; /* accepting side until open, borrowed; else NULL */
    struct channel *next, **link;      /* in the listener's list of half-open channels */
    size_t place;                      /* its number there, if `has_place` */
    bool has_place;                    /* false once it has to make room for another */

    struct channel_shares *shares; /* borrowed; NULL = a share for each channel */
    struct share *share;           /* borrowed; of which party's share it reads */
    struct share_waiter waiter;    /* for the next share of that; it does not read meanwhile */

    struct channel_opening *opening; /* owned; NULL once the keys are made */
    struct noise_cipher sending, receiving;
    uint8_t hash[NOISE_HASH_SIZE];
    uint8_t peer[NOISE_KEY_SIZE];
    bool has_peer; /* `peer` is known */
    struct frame_reader frames;
    uint64_t sent_since_rekey; /* messages */
    uint64_t rekeyed_ms;
    uint64_t received_ms;   /* loop time of the last whole message, or of the handshake's end */
    uint64_t bare_since_ms; /* loop time at which this second's frames without data began to be counted */
    unsigned bare;          /* so many more of them than of others since */
    bool paused;            /* without `shares`: its share of this loop turn is used up */
    bool overdue;           /* past the idle timeout; ends unless something comes soon: on_timer() */

    uint8_t ping[CHANNEL_PING_SIZE]; /* body of the ping that is out */
    bool ping_out;
    uint64_t ping_sent_ns;
    uint64_t asked_ns; /* of the first ping since the last whole message; 0 = none */
    uint64_t pinged_ms;
    uint64_t due_ms; /* for when the timer is set */
    uint64_t rtt_ns;

    struct buffer out;     /* sealed frames that wait for the flusher */
    struct buffer leaving; /* what libuv is writing */
    bool writing;          /* `write` is under way */
    bool blocked;          /* channel_send said ERR_BUSY; on_writable is due */
    bool shutdown_started;
    uv_write_t write;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
};

/* ---- channel.c: life ---- */

/* A channel with its handles initialised and its socket not yet connected; NULL without memory. */
struct channel *channel_new(uv_loop_t *loop, const struct address *peer,
                            const struct channel_settings *settings, const struct channel_handlers *handlers,
                            void *user);
/* Ends it for the reason WHY; callbacks follow from libuv's close callbacks. Does nothing the second time. */
void channel_end(struct channel *c, int why);
/* The same after a close message, as far as the kernel takes that at once. */
void channel_part(struct channel *c, int why);
/* (Re)starts the timer for the state the channel is in. */
void channel_arm(struct channel *c);
uv_loop_t *channel_loop(const struct channel *c);

/* ---- channel_handshake.c ---- */

/* Starts the handshake in `opening`, and its deadline. The accepting side has its listener set, the
 * connecting side the server's key in `peer`. */
void channel_handshake_start(struct channel *c, const struct identity *self);
/* Connecting side: message 1 leaves. */
void channel_handshake_send(struct channel *c);
/* Bytes that came while the handshake message is due. Returns how many of them were used. */
size_t channel_handshake_receive(struct channel *c, const uint8_t *bytes, size_t length);
void channel_handshake_clear(struct channel *c);

/* ---- channel_transport.c ---- */

/* Seals one message of KIND into `out`, after a rekey when one is due. ERR_MEMORY: nothing was appended;
 * ERR_CRYPTO: the counter is used up. */
int channel_transport_seal(struct channel *c, enum channel_kind kind, const void *body,
                           size_t length) MUST_USE;
/* A whole frame came: opens it and acts on it; a frame_handler. Non-zero ends the feeding. */
int channel_transport_receive(uint8_t *bytes, size_t length, void *user);
void channel_transport_ping(struct channel *c);

/* ---- channel_io.c ---- */

/* Begins to read. */
void channel_io_start(struct channel *c);
/* Something was appended to `out`: it leaves before the loop sleeps again. An idle handle, since sending from
 * any phase of the loop then keeps it from sleeping first. */
void channel_io_flush_later(struct channel *c);
/* Writes what it can right now, without waiting; what is left is lost. */
void channel_io_flush_last(struct channel *c);
size_t channel_io_unsent(const struct channel *c);
/* Reads as much as the share of C's party permits. */
void channel_io_read_share(struct channel *c);
/* Reads away what a socket holds (up to a bound), so that closing it sends FIN and not RST. */
void channel_io_drain(int fd);

/* ---- channel_shares.c ---- */

/* C, which has `shares` and does not read any more, waits until channel_io_read_share(). */
void channel_shares_wait(struct channel *c);

/* ---- channel_listener.c ---- */

/* Message 1 of C opened and names its peer: asks the owner. ERR_REFUSED; ERR_CLOSED when the owner closed the
 * listener instead of answering. */
int channel_listener_lookup(struct channel *c, uint8_t psk[static NOISE_KEY_SIZE]) MUST_USE;
/* C is gone: its listener forgets it. Tells the owner when C was DROPPED. */
void channel_listener_release(struct channel *c, bool dropped);
/* C is authenticated: its address is remembered, and its listener forgets it. */
void channel_listener_authenticated(struct channel *c);

#endif
