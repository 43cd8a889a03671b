/* The client: one thread's way to the key servers. A pool of channels behind a few verbs; the face of this
 * room.
 *
 * Keeps one channel to each configured key server, reconnects with jittered back-off, re-handshakes hourly,
 * opens a second channel beside one that has gone silent, pings, batches what one loop turn submits into one
 * message a server, and sends each request where dispatch.h says. What comes back is checked for length and
 * form. Knows the protocol, not OpenSSL. Loop thread only. */
#ifndef EDGE_KEYCLIENT_CLIENT_H
#define EDGE_KEYCLIENT_CLIENT_H

#include <uv.h>

#include "edge/keyclient/epoch_waits.h"
#include "edge/keyclient/request.h"
#include "edge/keyclient/settings.h"
#include "proto/session_id.h"

struct client;

/* Starts connecting at once. NULL without memory. */
struct client *client_new(uv_loop_t *loop, const struct client_settings *settings);
/* Cancels what is open (on_answer with STATUS_UNAVAILABLE, on_end, before it returns), closes the channels
 * explicitly; memory goes with the loop's close callbacks, so the owner runs the loop until it ends. NULL is
 * allowed. */
void client_close(struct client *client);

/* Queues REQUEST; it leaves with the others of this loop turn. Waits, within its deadline, for a server when
 * none is connected at the moment; with settings.fail_when_gone only as long as one may still be found at the
 * first attempt. ERR_BUSY at in_flight_max, ERR_MEMORY, ERR_CLOSED after client_close; then
 * on_answer does not come.
 *
 * Which server, when another one and when no more: dispatch.h. */
int client_submit(struct client *client, struct client_request *request) MUST_USE;
/* Forgets REQUEST: on_answer will not come, a late answer is dropped and counted. Nothing happens if it is
 * not open. */
void client_cancel(struct client *client, struct client_request *request);

/* What marks a new session of RSA key exchange (proto/session_id.h). Wipe after use. */
struct client_epoch {
    uint64_t id; /* for the session's request; means something in this client only */
    uint8_t key[EPOCH_KEY_SIZE];
};
enum client_outlook {
    EPOCH_CHOSEN, /* OUT has it */
    EPOCH_DUE,    /* there is none, but one may be on its way: client_await_epoch() */
    EPOCH_NONE    /* there is none, and none will come as things are */
};
/* Chooses an epoch for a session that begins now, of those that the key servers have announced. That none
 * will come is certain when a server is connected and every connected one has said, since its channel opened,
 * that this edge has none; the word of one that leaves requests unanswered is not waited for. With
 * settings.fail_when_gone it is certain, too, while every server is known to be gone. A server whose
 * epoch is over has not said that: it grants bound mode, and its next one is due. */
enum client_outlook client_choose_epoch(const struct client *client, struct client_epoch *out) MUST_USE;

/* Ends when client_choose_epoch() says anything but EPOCH_DUE, or at the deadline. Like a request that waits
 * for a server, it brings the next attempt to connect nearer. ERR_CLOSED after client_close; then on_end does
 * not come. */
int client_await_epoch(struct client *client, struct client_epoch_wait *wait) MUST_USE;
/* Forgets WAIT: on_end will not come. Nothing happens if it is not open. */
void client_cancel_epoch(struct client *client, struct client_epoch_wait *wait);

/* What may be asked of the key KEY_ID of some server that is connected, bit (1 << operation); while none is,
 * what they have said last. CLIENT_GRANTS_UNKNOWN, with every bit, while one of them has not answered, and
 * for keys that are not in settings.grants. Of several servers those that grant an operation are asked for
 * it. */
#define CLIENT_GRANTS_UNKNOWN UINT32_MAX
uint32_t client_grants(const struct client *client, const uint8_t key_id[static KEY_ID_SIZE]);

/* Asks every connected server which keys this edge may use; ON_KEYS is called once a server (COUNT entries
 * borrowed for the call; a failure has status ≠ OK and count 0), then once with SERVER NULL. */
typedef void (*client_keys_handler)(const char *server, enum operation_status status,
                                    const struct key_info *keys, size_t count, void *user);
int client_keys(struct client *client, uint64_t timeout_ms, client_keys_handler on_keys, void *user) MUST_USE;

#endif
