/* The steps of a handshake, as `keyless trace` notes them, and what is worth telling of each.
 *
 * One thread a run. */
#ifndef CLI_TRACE_NOTES_H
#define CLI_TRACE_NOTES_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/operation.h"

/* Messages of TLS 1.2 (RFC 5246, 7.3) and TLS 1.3 (RFC 8446, 2), and what follows them. */
enum trace_step {
    STEP_CLIENT_HELLO,
    STEP_SERVER_HELLO,
    STEP_ENCRYPTED_EXTENSIONS, /* TLS 1.3 */
    STEP_CERTIFICATE,
    STEP_SERVER_KEY_EXCHANGE, /* TLS 1.2 with ECDHE or DHE */
    STEP_CERTIFICATE_VERIFY,  /* TLS 1.3 */
    STEP_SERVER_HELLO_DONE,   /* TLS 1.2 */
    STEP_CLIENT_KEY_EXCHANGE, /* TLS 1.2 */
    STEP_CLIENT_CCS,          /* TLS 1.2; in TLS 1.3 it means nothing, and is not noted */
    STEP_CLIENT_FINISHED,
    STEP_SERVER_CCS, /* as above */
    STEP_SERVER_FINISHED,
    STEP_ESTABLISHED,
    STEP_HTTP,
    STEP_CLOSED,
    STEP_COUNT
};

enum trace_exchange { EXCHANGE_UNKNOWN, EXCHANGE_RSA, EXCHANGE_ECDHE, EXCHANGE_DHE, EXCHANGE_TLS13 };

#define TRACE_NOTES_MAX 24 /* more than a handshake has; what a peer sends beyond is not noted */

struct trace_note {
    enum trace_step step;
    uint64_t ns;      /* since the TCP connection stood */
    size_t bytes;     /* of the handshake message, or of the page */
    char detail[160]; /* what is worth telling; printable */
};

struct trace_run {
    struct trace_note note[TRACE_NOTES_MAX]; /* in the order in which they happened */
    size_t count;
    enum trace_exchange exchange;
    uint64_t connect_ns; /* what the TCP connect took */
    uint64_t began_ns;   /* clock_ns() when the TCP connection stood */
    uint8_t client_random[TLS_RANDOM_SIZE];
    int version;        /* of TLS, that was negotiated, like TLS1_3_VERSION; 0 = no handshake came about */
    const char *suite;  /* OpenSSL's name of that; static */
    int http_status;    /* 0 = none understood */
    struct fault fault; /* why it ended early */
};

/* Appends STEP, which happens now; the last note is given when there is no room. */
struct trace_note *trace_note_add(struct trace_run *run, enum trace_step step, size_t bytes);
/* The last note of STEP, or NULL. */
struct trace_note *trace_note_find(struct trace_run *run, enum trace_step step);
/* Of a client's message callback (SSL_set_msg_callback), whose argument is the run. */
void trace_note_message(int outgoing, int version, int content_type, const void *bytes, size_t length,
                        SSL *ssl, void *run);
/* Fills in the details of the handshake's messages, once it is done. OFFERED: the suites, for a person. */
void trace_note_details(struct trace_run *run, SSL *ssl, const char *offered, const char *host);

const char *trace_exchange_name(enum trace_exchange exchange); /* "RSA", "ECDHE", … */

/* Words of the messages that carry a key exchange, in OUT. VALUE names the group ("X25519"), SIGNATURE the
 * algorithm ("RSA-PSS with SHA256"), MODULUS is that of the certificate's key in bytes. */
#define TRACE_WORDS_SIZE 160
void trace_words_client_key_exchange(char out[static TRACE_WORDS_SIZE], enum trace_exchange exchange,
                                     const char *value, int modulus);
void trace_words_server_key_exchange(char out[static TRACE_WORDS_SIZE], const char *value,
                                     const char *signature);

#endif
