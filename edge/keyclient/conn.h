/* Connection: one channel to one key server and the requests that are open on it: hello, ids, batches,
 * answers.
 *
 * Acts when it is told to and returns what happened: whoever gets the channel's events (client_links.c) calls
 * it and decides what follows. Does not connect again and chooses no server. Loop thread only. */
#ifndef EDGE_KEYCLIENT_CONN_H
#define EDGE_KEYCLIENT_CONN_H

#include "common/channel.h"
#include "edge/keyclient/attempts.h"
#include "edge/keyclient/settings.h"
#include "proto/msg.h"

enum conn_state {
    CONN_CONNECTING, /* no channel yet, or the server's hello is due */
    CONN_OPEN,       /* takes requests */
    CONN_DRAINING,   /* takes no more; what is open may still be answered */
    CONN_ENDED       /* the channel is closing; nothing but its on_close matters any more */
};

struct conn {
    struct channel *channel;        /* owned until its on_close */
    const struct conn_setup *setup; /* borrowed */
    enum conn_state state;
    bool blocked;    /* channel_send said ERR_BUSY */
    bool suspect;    /* seems silent; certain when it still does after one more turn of the loop */
    uint32_t window; /* requests we may have open: our share of what the server allows */
    uint64_t next_id;
    struct attempts table;                /* everything below by id */
    struct client_attempt *queued, *sent; /* lists, oldest first; borrowed */
    size_t queued_count, sent_count;
    char software[MSG_SOFTWARE_MAX]; /* of the server, for logs */
    struct conn *prev, *next;        /* of the owner */
};

/* What the connections to one server have in common; outlives them. */
struct conn_setup {
    uv_loop_t *loop;
    const struct identity *identity;
    const struct client_server *server;
    size_t number; /* of the server */
    struct client_server_stats *stats;
    const char *software;
    unsigned sharers; /* of the server's limit; at least 1 */
    struct channel_settings channel;
    const struct channel_handlers *handlers; /* of the channels; their `user` is the conn */
    void *user;                              /* for the handlers */
    struct conn_batch *batch;                /* scratch, shared by all connections of the thread */
};

/* Where a batch is put together. */
struct conn_batch {
    struct msg_request requests[MSG_BATCH_MAX];
    struct buffer packed;
};

/* Starts connecting to ADDRESS, one of the server's; NULL without memory. No event comes from inside. */
struct conn *conn_new(const struct conn_setup *setup, const struct address *address);
/* Closes the channel, if it is not closing; its on_close follows later. True the first time: the attempts
 * that are still in it are the caller's to take. */
bool conn_end(struct conn *conn);
/* In the channel's on_close, after conn_end(). */
void conn_free(struct conn *conn);

/* The channel is open: says hello. Negative: why it must be given up. */
int conn_send_hello(struct conn *conn) MUST_USE;
/* Parses what came, and checks that it may come now: the server's hello first, after which the connection is
 * open, then answers and epochs. Negative: why the channel must be given up; OUT is then NULL. */
int conn_read(struct conn *conn, const uint8_t *bytes, size_t length, struct msg **out) MUST_USE;
/* The attempt, still in the table, that ANSWER belongs to; NULL when there is none. *ANSWER becomes NULL when
 * it cannot be an answer to it. Counts it. */
struct client_attempt *conn_match(struct conn *conn, const struct msg_answer **answer);

/* Gives ATTEMPT, which is in no connection, the next id and queues it for the next conn_flush(). */
void conn_put(struct conn *conn, struct client_attempt *attempt);
/* Takes ATTEMPT out of its connection; a later answer to it is a stray one. */
void conn_take(struct client_attempt *attempt);
/* Takes any one out, what has left first; NULL when there is none. */
struct client_attempt *conn_take_any(struct conn *conn);
/* Sends what is queued, in batches, as far as the server's window and the channel's buffer go. Negative: why
 * the channel must be given up. */
int conn_flush(struct conn *conn) MUST_USE;
/* The channel's buffer has room again. */
void conn_unblock(struct conn *conn);

size_t conn_server(const struct conn *conn);    /* number of the server */
size_t conn_in_flight(const struct conn *conn); /* queued and sent */
/* Once before the loop sleeps: pings when answers are late, for a server RTT_NS away (0 = not known). True
 * when nothing comes through the channel any more (silence.h). LOOK_NS: when to look next, of clock_ns(), if
 * nothing happens before; UINT64_MAX = never. */
bool conn_watch(struct conn *conn, uint64_t rtt_ns, uint64_t now_ns, uint64_t *look_ns);
/* True when one more request could leave at once. */
bool conn_has_room(const struct conn *conn);

#endif
