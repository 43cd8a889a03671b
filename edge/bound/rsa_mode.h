/* The mode of an RSA key exchange: whether a client may be offered one, and how it was done. Pure; any
 * thread. */
#ifndef EDGE_BOUND_RSA_MODE_H
#define EDGE_BOUND_RSA_MODE_H

#include "proto/operation.h"

/* How an RSA key exchange is done, and if it is plain, why. */
enum rsa_mode {
    RSA_MODE_NONE,     /* there is none, or nothing was asked for so far */
    RSA_MODE_BOUND,    /* the key server answers with the master secret */
    RSA_MODE_NO_EPOCH, /* plain: the key servers have none for this edge, or none came in time */
    RSA_MODE_TOO_LONG, /* plain: its messages exceed BOUND_MESSAGES_MAX (bound.h; or there was no memory) */
    RSA_MODE_NO_EMS,   /* plain: the client does not know the extended master secret (RFC 7627) */
    RSA_MODES
};
/* "bound", "no_epoch", …; for logs and metrics. */
const char *rsa_mode_name(enum rsa_mode mode);

/* Why a client is not offered RSA key exchange. */
enum rsa_withheld {
    WITHHELD_NOT,         /* it may be offered, or nobody has asked for it */
    WITHHELD_NOT_GRANTED, /* the key servers grant this edge neither mode */
    WITHHELD_NO_EMS,      /* only bound mode is granted, and the client lacks the extended master secret */
    WITHHELD_TOO_LONG,    /* only bound mode is granted, and the messages do not fit one request */
    WITHHELD_REASONS
};
/* "no_extended_master_secret", "too_long", …; for logs and metrics. */
const char *rsa_withheld_name(enum rsa_withheld withheld);

/* Whether a client may be offered RSA key exchange with a key of which GRANTED has bit (1 << operation) for
 * each operation that the key servers grant. EXTENDED_MASTER_SECRET: the client knows it. FITS: its
 * handshake's messages fit one request. */
enum rsa_withheld rsa_mode_decide(uint32_t granted, bool extended_master_secret, bool fits);

#endif
