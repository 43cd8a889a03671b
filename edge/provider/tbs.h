/* Takes what libssl wants signed apart into the typed fields of an operation, strictly: every byte is
 * accounted for. Pure. */
#ifndef EDGE_PROVIDER_TBS_H
#define EDGE_PROVIDER_TBS_H

#include "proto/operation.h"

/* TBS is a TLS 1.3 CertificateVerify content of a server (RFC 8446, 4.4.3) or a TLS 1.2 ServerKeyExchange
 * input (RFC 8422, 5.4) of LENGTH bytes; SCHEME is what OpenSSL asked for. Fills kind and fields of OUT (not
 * key_id). ERR_FORMAT for anything else, a client's CertificateVerify included. */
int tbs_parse(struct operation *out, uint16_t scheme, const uint8_t *tbs, size_t length) MUST_USE;

#endif
