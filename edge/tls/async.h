/* Asynchronous private-key operations: OpenSSL's handshake pauses inside the provider while the client
 * fetches the answer. The only file that knows ASYNC_*.
 *
 * One `key_wait` is embedded in each session. Its thread's client must be set. async_handshake runs
 * SSL_do_handshake as a job; when the provider needs a key, the job submits the operation and pauses, and the
 * handshake returns ASYNC_WAIT_KEY. When the answer is there, on_ready is called from the loop and the
 * session calls async_handshake again. A handshake that is to be bound may pause once before, for an epoch
 * (edge/bound/bound.h), in just the same way. Everything stays on the session's own thread. */
#ifndef EDGE_TLS_ASYNC_H
#define EDGE_TLS_ASYNC_H

#include <openssl/ssl.h>

#include "edge/bound/bound.h"
#include "edge/keyclient/client.h"

enum async_result {
    ASYNC_DONE, /* the handshake is complete */
    ASYNC_WANT_READ,
    ASYNC_WANT_WRITE,
    ASYNC_WAIT_KEY, /* for a key server: on_ready will be called */
    ASYNC_NO_JOB, /* every job of this thread is in use: try again when a session of this thread has ended */
    ASYNC_FAILED, /* the handshake failed; OpenSSL's error queue says why */
};

struct key_wait {
    struct client_request request;
    struct client_epoch_wait epoch;
    enum { KEY_IDLE, KEY_WAITING, KEY_ANSWERED, KEY_ABANDONED } state;
    bool for_epoch;                          /* it waits, or has last waited, for an epoch: not for REQUEST */
    uint64_t timeout_ms;                     /* for each key operation, and for an epoch; set by the owner */
    struct trace_id trace;                   /* of the session; set by the owner */
    void (*on_ready)(struct key_wait *wait); /* set by the owner */
    void *user;
    struct bound_exchange *bound; /* of the session (borrowed), or NULL: nothing is bound; set by the owner */
    enum operation_status last_status; /* of the last operation; for the log line of a failed handshake */
    uint64_t operations;               /* key operations begun in this handshake */
};

/* Once per thread, before any handshake: at most JOBS_MAX paused handshakes; CLIENT serves them (borrowed).
 */
int async_thread_start(size_t jobs_max, struct client *client) MUST_USE;
void async_thread_stop(void);

/* Steps the handshake of SSL. */
enum async_result async_handshake(SSL *ssl, struct key_wait *wait);
/* The session is over while it waits: cancels what it waits for and lets the job run out with an error, so
 * that SSL_free leaks nothing. Afterwards no on_ready comes. Returns false when the job could not end yet
 * (call again from the loop); true when SSL_free is safe. */
bool async_abandon(SSL *ssl, struct key_wait *wait);

/* Whether the handshake of SSL (NULL: none) is paused or still has something open with the client: SSL_free
 * would leak its job then, and the answer would come for freed memory. */
bool async_job_waits(SSL *ssl, const struct key_wait *wait);

/* For code that OpenSSL calls deep inside of async_handshake (struct bound_setup): pauses the job until there
 * is news of an epoch or the time for it is over; client_choose_epoch() tells which. ERR_CLOSED when the
 * session was abandoned meanwhile, ERR_UNSUPPORTED outside of a job or where pausing is blocked. */
int async_await_epoch(void) MUST_USE;

/* The provider's transport (edge/provider/provider.h). Inside a job it pauses; outside of one it fails with
 * ERR_UNSUPPORTED, and nothing is deferred. */
extern const struct provider_transport async_transport;

#endif
