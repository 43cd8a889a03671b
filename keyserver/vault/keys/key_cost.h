/* What it costs to make a key from the passphrase of an encrypted file, told before it is done: the file says
 * how often, and one that says too much would keep the key server from everything else. Pure; any thread. */
#ifndef KEYSERVER_VAULT_KEYS_KEY_COST_H
#define KEYSERVER_VAULT_KEYS_KEY_COST_H

#include <stddef.h>
#include <stdint.h>

#define KEY_COST_ITERATIONS 10000000    /* of PBKDF2 (RFC 8018) and its kin: some seconds */
#define KEY_COST_SCRYPT     (1u << 24)  /* N * r * p (RFC 7914): some seconds, too */
#define KEY_COST_MEMORY     (32u << 20) /* bytes that scrypt takes: no more than OpenSSL allows it */

enum key_cost { KEY_COST_FAIR, KEY_COST_MANY_ITERATIONS, KEY_COST_MUCH_SCRYPT, KEY_COST_MUCH_MEMORY };

/* Of the first encrypted private key in PKCS #8 (RFC 5958), PEM or DER, that costs too much among the LENGTH
 * bytes of a file. The traditional forms of PEM have a fixed cost. */
enum key_cost key_cost_of(const uint8_t *bytes, size_t length);

#endif
