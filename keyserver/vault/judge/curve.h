/* Curves: is this a public value that an honest TLS server would have chosen? Any thread after curve_start().
 */
#ifndef KEYSERVER_VAULT_JUDGE_CURVE_H
#define KEYSERVER_VAULT_JUDGE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

int curve_start(void) MUST_USE;
void curve_stop(void);

/* NAMED_CURVE by its TLS number (RFC 8422, 5.1.1): secp256r1 23, secp384r1 24, secp521r1 25, x25519 29,
 * x448 30. True when POINT of LENGTH bytes is a point of it: uncompressed and on the curve, or, for x25519
 * and x448, not of low order. */
bool curve_has_point(uint16_t named_curve, const uint8_t *point, size_t length);

#endif
