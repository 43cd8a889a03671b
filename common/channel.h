/* The channel: an authenticated, encrypted, message-oriented connection between an edge and a key server.
 *
 * Noise over TCP or a unix socket on a libuv loop. Carries opaque messages; knows nothing of what they mean.
 * Each transport message is one kind byte and a body: data (0), rekey (1), close (2), ping (3), pong (4); see
 * proto/PROTOCOL.md. Both sides rekey their sending direction by count and time. A connection that ends
 * without a close message is a cut, and says so. Loop thread only. */
#ifndef COMMON_CHANNEL_H
#define COMMON_CHANNEL_H

#include <uv.h>

#include "common/address.h"
#include "common/channel_shares.h"
#include "common/noise.h"

struct channel;

#define CHANNEL_MESSAGE_MAX    (NOISE_PLAINTEXT_MAX - 1) /* bytes of one data message */
#define CHANNEL_PROLOGUE_LABEL "keyless channel 1" /* prologue: this text, then the server's public key */

struct channel_handlers {
    /* Ready to send. For the accepting side: after the first transport message opened, just before its
     * on_message. */
    void (*on_open)(struct channel *channel, void *user);
    /* One data message; BYTES borrowed for the call. */
    void (*on_message)(struct channel *channel, const uint8_t *bytes, size_t length, void *user);
    /* Unsent bytes fell below half of the limit after channel_send said ERR_BUSY. May be NULL. */
    void (*on_writable)(struct channel *channel, void *user);
    /* The last call, exactly once, on the connecting side also when on_open never came (the accepting side
     * hears on_drop then): ERR_CLOSED (explicit close), ERR_CUT, ERR_TIMEOUT, ERR_CRYPTO, ERR_FORMAT,
     * ERR_SYSTEM with its errno (connect failed; see err_kind()), ERR_BUSY (pinged without reading the
     * answers), ERR_MEMORY. A server that does not know this edge or has another identity is ERR_CUT; one
     * with another psk is ERR_CRYPTO. The channel is freed after it returns. */
    void (*on_close)(struct channel *channel, int why, void *user);
};

struct channel_settings {
    uint64_t connect_timeout_ms; /* TCP connect and Noise handshake together, both roles; 5,000 */
    uint64_t rekey_messages;     /* own sending direction; 65,536; 0 = by time only */
    uint64_t rekey_interval_ms;  /* 30,000; looked at when something is sent; 0 = by count only */
    uint64_t ping_interval_ms;   /* how often an otherwise quiet open channel is pinged; 0 = never (accepting
                                    side) */
    uint64_t idle_timeout_ms;    /* no whole message received for so long: ERR_TIMEOUT; 0 = never */
    size_t unsent_max; /* bytes waiting for the peer to read before channel_send says ERR_BUSY; 1 MiB */
};
/* The defaults named above, ping and idle as edges have them (channel_times.h). */
void channel_settings_default(struct channel_settings *settings);

/* Connecting side. SELF and PSK are copied. The channel is returned at once and calls back later, never from
 * inside this call; NULL without memory. */
struct channel *channel_connect(uv_loop_t *loop, const struct address *to, const struct identity *self,
                                const uint8_t server_key[static NOISE_KEY_SIZE],
                                const uint8_t psk[static NOISE_KEY_SIZE],
                                const struct channel_settings *settings,
                                const struct channel_handlers *handlers, void *user);

/* Sends one data message of at most CHANNEL_MESSAGE_MAX bytes: sealed now, written with everything else of
 * this loop turn. ERR_BUSY when unsent_max is reached (nothing was queued), ERR_CLOSED when the channel is
 * not open, ERR_LENGTH, ERR_MEMORY. */
int channel_send(struct channel *channel, const void *bytes, size_t length) MUST_USE;
/* Writes what was sent so far at once, not at the end of this loop turn: for a caller that knows that nothing
 * follows. */
void channel_flush(struct channel *channel);
size_t channel_unsent(const struct channel *channel); /* bytes not yet taken by the kernel */
/* Explicit close: what was sent before leaves first (for at most a second), then the close message;
 * on_close(ERR_CLOSED) follows, never from inside this call. After it no other callback comes. Calling again
 * is allowed. */
void channel_close(struct channel *channel);

/* h of the handshake: names the channel in logs and audit. */
const uint8_t *channel_hash(const struct channel *channel);
/* The peer's static public key (after on_open). */
const uint8_t *channel_peer_key(const struct channel *channel);
const struct address *channel_address(const struct channel *channel); /* of the peer */
/* Round trip of the last answered ping in nanoseconds; 0 before the first. */
uint64_t channel_rtt_ns(const struct channel *channel);
/* Pings at once, unless a ping already waits for an answer or the channel is not open. */
void channel_probe(struct channel *channel);
/* When the first ping was sent since which nothing has come from the peer, of clock_ns(); 0 = none was. */
uint64_t channel_asked_ns(const struct channel *channel);
/* When the last whole message came, of clock_ns(), to the millisecond; 0 before the first. */
uint64_t channel_heard_ns(const struct channel *channel);
void channel_set_user(struct channel *channel, void *user);
/* From now on the work that CHANNEL causes is charged to SHARE, its handshake included; borrowed, outlives
 * the channel. In on_open of the accepting side; without `shares` of its listener nothing is counted. */
void channel_set_share(struct channel *channel, struct share *share);

/* ---- accepting side ---- */

struct channel_listener;

/* What the owner of the listener knows about an edge. */
struct channel_verdict {
    uint8_t psk[NOISE_KEY_SIZE];
    void *user; /* becomes the channel's user */
};

/* Why an unauthenticated connection was dropped. For the owner's log and counters only; the peer is told
 * nothing. */
enum channel_drop {
    DROP_BUDGET,    /* too many handshakes from this address */
    DROP_HALF_OPEN, /* made room for a newer one (half_open.h), or no memory for one more */
    DROP_DEADLINE,  /* did not finish in time */
    DROP_CUT,       /* left before it was authenticated */
    DROP_HANDSHAKE, /* message 1 did not open */
    DROP_UNKNOWN,   /* authenticated, but the lookup refused it */
    DROP_PSK, /* left after message 2, or its first transport message did not open: wrong pre-shared key,
                 or a replayed message 1 */
    DROP_KINDS
};
const char *channel_drop_name(enum channel_drop why);

struct channel_listener_handlers {
    /* The static key of a peer whose message 1 opened, and where it comes from. 0 with VERDICT filled lets it
     * go on; anything else drops it. */
    int (*on_lookup)(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from,
                     struct channel_verdict *verdict, void *user);
    /* A connection was dropped before it was authenticated. KEY is NULL when not known. */
    void (*on_drop)(enum channel_drop why, const uint8_t *key, const struct address *from, void *user);
    /* No connection is accepted for a while (ERROR of errno), as when descriptors or kernel memory are short.
     * Called once an episode (episode.h). May be NULL. */
    void (*on_exhausted)(int error, void *user);
    /* The socket, which is bound to AT, does not listen any more, as after shutdown(2). Called once, until it
     * listens again. May be NULL. */
    void (*on_broken)(const struct address *at, void *user);
    struct channel_handlers channel; /* of each accepted channel; `user` is the verdict's */
};

struct channel_listener_settings {
    struct channel_settings channel;
    struct channel_shares *shares; /* borrowed; of the same loop. NULL = a share for each channel */
    unsigned half_open_max;        /* unauthenticated connections at once; 1,024 */
    unsigned
        handshakes_per_second; /* per source address (IPv6: per /64), with as much burst; 50; 0 = no limit */
};
void channel_listener_settings_default(struct channel_listener_settings *settings);

/* Takes the listening descriptor FD. SELF is borrowed until closed. Nothing is ever sent to a peer whose
 * message 1 did not open or whose lookup failed, and every cause looks the same to it: the connection closes
 * without a byte. */
int channel_listener_start(struct channel_listener **out, uv_loop_t *loop, int fd,
                           const struct identity *self, const struct channel_listener_settings *settings,
                           const struct channel_listener_handlers *handlers, void *user) MUST_USE;
/* Asks CHECK about every peer that was looked up and is not authenticated yet: with 0 it goes on. Otherwise
 * its lookup is out of date and it is dropped, with on_drop: ERR_REFUSED, it would be refused now
 * (DROP_UNKNOWN); ERR_CRYPTO, it has another pre-shared key now (DROP_PSK). */
typedef int channel_listener_check(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from,
                                   void *user);
void channel_listener_review(struct channel_listener *listener, channel_listener_check *check, void *user);
/* Whether the socket had ceased to listen when a connection was last to be accepted. */
bool channel_listener_is_broken(const struct channel_listener *listener);
/* While PAUSED no connection is accepted: new ones wait in the kernel's queue.
 * Half-open and open channels stay. */
void channel_listener_pause(struct channel_listener *listener, bool paused);
/* Stops accepting; half-open connections are dropped without on_drop, open channels stay. No callback of the
 * listener comes afterwards. Memory goes with the loop's close callbacks. NULL is allowed. */
void channel_listener_close(struct channel_listener *listener);

#endif
