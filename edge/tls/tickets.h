/* Session tickets (RFC 5077; RFC 8446, 4.6.1): the keys that seal them, one set for the whole process, so
 * that every thread, and what a reload makes, opens what any other sealed. A key seals for half of the ticket
 * lifetime and opens for the other half; then it is wiped, and what it sealed cannot be read any more by
 * anyone. Sessions of RSA key exchange are never sealed. Not a session cache: the server keeps nothing per
 * session. Any thread. */
#ifndef EDGE_TLS_TICKETS_H
#define EDGE_TLS_TICKETS_H

#include <openssl/ssl.h>

#include "common/err.h"

#define TICKET_NAME_SIZE 16 /* fixed by OpenSSL's callback */
#define TICKET_KEY_SIZE  32 /* AES-256-CBC, and HMAC-SHA256 */

struct ticket_key {
    uint8_t name[TICKET_NAME_SIZE]; /* random; public: it stands in front of each ticket */
    uint8_t cipher[TICKET_KEY_SIZE];
    uint8_t mac[TICKET_KEY_SIZE];
    uint64_t born_ms; /* of clock_ms(); 0 = no key */
};

/* The key that seals and the one before it. */
struct ticket_ring {
    struct ticket_key current, previous;
    uint64_t lifetime_ms;
};

/* Lets time pass in RING: makes, moves and wipes keys as their age at NOW_MS (> 0) demands. */
void tickets_ring_turn(struct ticket_ring *ring, uint64_t now_ms);
/* The live key called NAME, borrowed, after a turn; NULL when there is none. */
const struct ticket_key *tickets_ring_find(const struct ticket_ring *ring,
                                           const uint8_t name[static TICKET_NAME_SIZE]);

/* Makes the process's ring, or changes the lifetime of the one there is. ERR_MEMORY. */
int tickets_start(uint64_t lifetime_ms) MUST_USE;
/* Wipes it: from then on no ticket is sealed or opened. */
void tickets_stop(void);
/* Lets CONTEXT seal and open its tickets with the process's ring; AES comes from LIBRARY. */
int tickets_attach(SSL_CTX *context, OSSL_LIB_CTX *library) MUST_USE;

#endif
