/* The gate, and a key of each type. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_GATE_RIG_H
#define TESTS_UNIT_KEYSERVER_GATE_RIG_H

#include "keyserver/vault/judge/gate.h"
#include "tests/unit/keyserver/keys.h"

extern EVP_PKEY *gate_rsa;              /* RSA-2048 */
extern struct key gate_keys[KEY_TYPES]; /* by their type; of KEY_RSA with the modulus of gate_rsa */

/* Of all tests of a program. */
int gate_rig_start(void **state);
int gate_rig_stop(void **state);

enum refusal gate_check(const struct operation *operation, const struct key *key);
/* What KEY would sign for OPERATION, which passes; returns its length. */
size_t gate_build(const struct operation *operation, const struct key *key, uint8_t out[static 256]);

#endif
