/* Connection: one channel to one key server and the requests that are open on it: hello, ids, batches,
 * answers.
 *
 * Does not connect again and chooses no server: that is link.h. Loop thread only. */
#ifndef EDGE_KEYCLIENT_CONN_H
#define EDGE_KEYCLIENT_CONN_H

#include "common/channel.h"
#include "edge/keyclient/attempts.h"
#include "proto/msg.h"

enum conn_state {
    CONN_CONNECTING, /* no channel yet, or the server's hello is due */
    CONN_OPEN,       /* takes requests */
    CONN_DRAINING,   /* takes no more; what is open may still be answered */
    CONN_ENDED       /* the channel is closing; no event but on_gone comes */
};

struct conn {
    struct channel *channel;        /* owned until its on_close */
    const struct conn_setup *setup; /* borrowed */
    void *user;                     /* of the events */
    enum conn_state state;
    bool blocked;    /* channel_send said ERR_BUSY */
    bool suspect;    /* seems silent; certain when it still does after one more turn of the loop */
    uint32_t window; /* requests the server lets us have open */
    uint64_t next_id;
    struct attempts table;                /* everything below by id */
    struct client_attempt *queued, *sent; /* lists, oldest first; borrowed */
    size_t queued_count, sent_count;
    char software[MSG_SOFTWARE_MAX]; /* of the server, for logs */
    struct conn *prev, *next;        /* of the owner */
};

struct conn_events {
    /* The server's hello is here: requests may go. */
    void (*on_open)(struct conn *conn, void *user);
    /* An answer to ATTEMPT, which is still in the table; NULL when what came cannot be an answer to it. The
     * handler takes the attempt out with conn_take() unless more follows. */
    void (*on_answer)(struct conn *conn, struct client_attempt *attempt, const struct msg_answer *answer,
                      void *user);
    /* The server has announced an epoch; EPOCH is wiped after the call. */
    void (*on_epoch)(struct conn *conn, const struct msg_epoch *epoch, void *user);
    /* There may be room for more requests. */
    void (*on_room)(struct conn *conn, void *user);
    /* The channel is lost; its attempts are still in it and are the handler's to take. Not after conn_close.
     */
    void (*on_end)(struct conn *conn, int why, void *user);
    /* The last event, in every case: the connection is freed after it. */
    void (*on_gone)(struct conn *conn, void *user);
};

/* What the connections to one server have in common; outlives them. */
struct conn_setup {
    uv_loop_t *loop;
    const struct identity *identity;
    const struct client_server *server;
    struct client_server_stats *stats;
    const char *software;
    struct channel_settings channel;
    const struct conn_events *events;
    struct conn_batch *batch; /* scratch, shared by all connections of the thread */
};

/* Where a batch is put together. */
struct conn_batch {
    struct msg_request requests[MSG_BATCH_MAX];
    struct buffer packed;
};

/* Starts connecting to ADDRESS, one of the server's; NULL without memory. No event comes from inside. */
struct conn *conn_new(const struct conn_setup *setup, const struct address *address, void *user);
/* Closes the channel explicitly; on_gone follows later. Its attempts must have been taken. Calling again is
 * allowed. */
void conn_close(struct conn *conn);
/* Gives the channel up for a reason of ours: on_end(WHY) now, on_gone later. */
void conn_fail(struct conn *conn, int why);

/* Gives ATTEMPT, which is in no connection, the next id and queues it for the next conn_flush(). */
void conn_put(struct conn *conn, struct client_attempt *attempt);
/* Takes ATTEMPT out of its connection; a later answer to it is a stray one. */
void conn_take(struct client_attempt *attempt);
/* Sends what is queued, in batches, as far as the server's window and the channel's buffer go. */
void conn_flush(struct conn *conn);

size_t conn_in_flight(const struct conn *conn); /* queued and sent */
/* Once before the loop sleeps: pings when answers are late, for a server RTT_NS away (0 = not known). True
 * when nothing comes through the channel any more (silence.h). LOOK_NS: when to look next, of clock_ns(), if
 * nothing happens before; UINT64_MAX = never.
 */
bool conn_watch(struct conn *conn, uint64_t rtt_ns, uint64_t now_ns, uint64_t *look_ns);
/* True when one more request could leave at once. */
bool conn_has_room(const struct conn *conn);

#endif
