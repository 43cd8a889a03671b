/* Work for a key server: requests as handshakes would make them, each with content of its own, so that
 * nothing is asked twice. What nobody checks is random: the point of a key exchange, and what a client has
 * encrypted, any value below the modulus being as much work as a good one (proto/PROTOCOL.md;
 * docs/security/timing.md).
 *
 * Sends nothing. One thread. */
#ifndef CLI_BENCH_WORK_H
#define CLI_BENCH_WORK_H

#include "cli/bench_plan.h"
#include "proto/session_id.h"

#define BENCH_NAME_MAX     253 /* of a host (RFC 1035, 2.3.4) */
#define BENCH_MESSAGES_MAX (512 + BENCH_NAME_MAX + RSA_MODULUS_MAX)

/* Room for the handshake messages of one request. */
struct bench_messages {
    uint8_t bytes[BENCH_MESSAGES_MAX];
};

/* Fills OPERATION for CASE. Of an rsa_master, the messages are written to MESSAGES, which the operation
 * borrows from then on: a handshake of TLS 1.2 with RSA key exchange and extended master secret, in which the
 * client asks for NAME (NULL: for none; at most BENCH_NAME_MAX), with a session id made of EPOCH_KEY. The
 * other operations use none of these. ERR_LENGTH when the name is too long, or the modulus too long or too
 * short. */
int bench_work_fill(struct operation *operation, const struct bench_case *one, const char *name,
                    const uint8_t epoch_key[static EPOCH_KEY_SIZE], struct bench_messages *messages) MUST_USE;

#endif
