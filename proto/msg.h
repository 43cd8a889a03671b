/* Messages: the protobuf face of the protocol, and the only user of protobuf-c.
 *
 * One data message of the channel is one packed `keyless.v1.Message`: a hello, a batch of requests, a batch
 * of answers or an epoch. Parsing checks sizes before it unpacks and uses a bounded allocator; what it hands
 * out are plain values without ownership. Unknown fields are ignored, an unknown operation becomes a request
 * of kind 0 that the key server refuses. Pure; any thread. */
#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include "common/bytes.h"
#include "common/log.h"
#include "proto/operation.h"
#include "proto/session_id.h"

#define PROTOCOL_VERSION_MIN 1
#define PROTOCOL_VERSION_MAX 1
#define MSG_BATCH_MAX        64    /* requests or answers in one message */
#define MSG_SIZE_MAX         65518 /* a packed message must fit one channel message */
#define MSG_KEYS_MAX                                                                                         \
    1024 /* keys in one `keys` answer message; more follow in further answers with `more` set */
#define MSG_SOFTWARE_MAX 64

/* First message of each side. */
struct msg_hello {
    uint32_t version_min; /* versions this side speaks */
    uint32_t version_max;
    uint32_t in_flight_max;          /* key server: requests this edge may have open; edge: 0 */
    char software[MSG_SOFTWARE_MAX]; /* "keyless-edge 0.1"; for logs only, untrusted, printable ASCII */
};

struct msg_request {
    uint64_t id;          /* unique among the open requests of its channel */
    uint32_t deadline_ms; /* from receipt; at most 60,000 */
    struct trace_id trace;
    uint8_t no_trace, no_key_id; /* parsed: 1 where none was sent, which is not the same as zeros */
    struct operation operation;
};

struct msg_answer {
    uint64_t id;
    struct outcome outcome; /* ping and keys: length 0 */
    bool more;              /* keys: further answers with this id follow */
    uint32_t in_flight;     /* ping: requests being worked on, of all edges */
    uint32_t workers;       /* ping: how many work at once */
    size_t key_count;       /* keys */
    struct key_info *keys;  /* packing: borrowed. parsed: owned by the parsed message */
};

/* The key server's word on bound mode: how session ids of TLS 1.2 RSA handshakes are made for now. */
struct msg_epoch {
    uint64_t number; /* 0: this edge has none, and the rest is zero */
    uint8_t key[EPOCH_KEY_SIZE];
    uint32_t left_ms; /* how long what is made with it is accepted, from receipt */
};

enum msg_kind { MSG_HELLO = 1, MSG_REQUESTS = 2, MSG_ANSWERS = 3, MSG_EPOCH = 4 };

/* A parsed message; free with msg_free(). */
struct msg {
    enum msg_kind kind;
    size_t count; /* requests or answers */
    struct msg_hello hello;
    struct msg_epoch epoch;
    struct msg_request *requests; /* owned, count; with all that their operations point to */
    struct msg_answer *answers;   /* owned, count */
};

/* Parses LENGTH bytes. ERR_LENGTH above a limit, ERR_FORMAT for what is not a message or carries a field of a
 * wrong length, ERR_MEMORY. A well-formed request whose operation fields are out of range is not an error of
 * the message: its kind becomes 0, so that only it is refused. */
int msg_parse(struct msg **out, const uint8_t *bytes, size_t length) MUST_USE;
/* Wipes and frees; NULL is allowed. */
void msg_free(struct msg *msg);

/* Append one packed message to OUT. COUNT is 1 … MSG_BATCH_MAX; ERR_LENGTH when it would exceed MSG_SIZE_MAX.
 */
int msg_pack_hello(struct buffer *out, const struct msg_hello *hello) MUST_USE;
int msg_pack_requests(struct buffer *out, const struct msg_request *requests, size_t count) MUST_USE;
int msg_pack_answers(struct buffer *out, const struct msg_answer *answers, size_t count) MUST_USE;
int msg_pack_epoch(struct buffer *out, const struct msg_epoch *epoch) MUST_USE;

/* How many of COUNT requests, from the first on, surely fit one message together: at least 1, at most
 * MSG_BATCH_MAX. */
size_t msg_requests_fit(const struct msg_request *requests, size_t count);

/* The highest version both sides speak, or ERR_UNSUPPORTED. */
int msg_version_choose(const struct msg_hello *ours, const struct msg_hello *theirs) MUST_USE;

#endif
