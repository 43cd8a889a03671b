/* Hello scan: how long the ClientHellos are that a client sends, known from their first bytes. OpenSSL makes
 * room for a whole message as soon as it has the length that the message claims (4 bytes, of up to 131,396),
 * and asks nobody. So the bytes are looked at before OpenSSL gets them, in whatever pieces they come.
 *
 * Works on what is not encrypted: from a connection's first byte up to the end of the last ClientHello (TLS
 * 1.3 has a second after a HelloRetryRequest). Pure; no I/O, no allocation. */
#ifndef EDGE_TLS_HELLO_SCAN_H
#define EDGE_TLS_HELLO_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Bytes of a ClientHello, header included (63 KiB): as much as a request of bound mode has room for. */
#define HELLO_LENGTH_MAX 64512
/* Bytes that OpenSSL has room for in any case; a longer message takes memory of its own. No common client
 * sends so much: post-quantum key shares make it about 2 KB. */
#define HELLO_LENGTH_COMMON  16384

#define HELLO_RECORD_HEADER  5 /* RFC 8446, 5.1 */
#define HELLO_MESSAGE_HEADER 4 /* RFC 8446, 4 */

/* Zeroed at the start. Private but for the first two. */
struct hello_scan {
    bool over;        /* the rest is not looked at; may be set by the owner */
    uint32_t longest; /* bytes of the longest ClientHello that has begun, header included */
    uint8_t record[HELLO_RECORD_HEADER];   /* the header that the scan is in, or behind */
    uint8_t record_at;                     /* bytes of it */
    uint16_t record_left;                  /* bytes of the record that are still to come */
    uint8_t message[HELLO_MESSAGE_HEADER]; /* the same of a handshake message */
    uint8_t message_at;
    uint32_t message_left;
};

/* Looks at the next LENGTH bytes. ERR_LENGTH when a ClientHello begins in them that is longer than
 * HELLO_LENGTH_MAX; then nothing more may be given. */
int hello_scan_put(struct hello_scan *scan, const uint8_t *bytes, size_t length) MUST_USE;

#endif
