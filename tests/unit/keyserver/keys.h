/* Private keys for the tests of the vault: made fresh, written to a folder of their own, and the other side
 * of every operation done with OpenSSL and the public half alone. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_KEYS_H
#define TESTS_UNIT_KEYSERVER_KEYS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "keyserver/vault/request/crypto_input.h"
#include "proto/operation.h"
#include "tests/unit/keyserver/primes.h"

#define KEYS_PATH_SIZE 512
#define CURVE_P256     23
#define CURVE_P384     24
#define CURVE_P521     25
#define CURVE_X25519   29
#define CURVE_X448     30

/* ---- making them ---- */

/* Each is another; of 2048, 3072 and 4096 bits the first few of a process are the same in each run. */
EVP_PKEY *keys_rsa(size_t bits);
EVP_PKEY *keys_ec(const char *group);
/* "ED25519", "X25519", "X448". */
EVP_PKEY *keys_edwards(const char *type);
void keys_id(const EVP_PKEY *pkey, uint8_t id[static KEY_ID_SIZE]);

/* ---- their files ---- */

void keys_make_folder(char path[static KEYS_PATH_SIZE]);
void keys_remove_folder(const char *path);
/* A file NAME of FOLDER, open for writing, with mode 0600. */
FILE *keys_file(const char *folder, const char *name);
void keys_write(const char *folder, const char *name, const EVP_PKEY *pkey);
void keys_write_text(const char *folder, const char *name, const char *text);

/* ---- what is asked of them ---- */

struct operation keys_tls13(const EVP_PKEY *pkey, uint16_t scheme, uint16_t hash_length);
/* A server's ephemeral public value on CURVE as it stands in ServerECDHParams; returns its length. */
size_t keys_share(uint16_t curve, uint8_t out[static 133]);
struct operation keys_tls12(const EVP_PKEY *pkey, uint16_t scheme, uint16_t curve);
/* BLOCK, as long as the modulus and below it, to the power of e. */
void keys_encrypt_raw(EVP_PKEY *pkey, const uint8_t *block, uint8_t *out);
/* A good block of K bytes around SECRET (RFC 8017, 7.2.1). */
void keys_pad(uint8_t *block, size_t k, const uint8_t secret[static TLS_PREMASTER_SIZE]);
/* The operation that has BLOCK decrypted. */
struct operation keys_premaster(EVP_PKEY *pkey, uint16_t version, const uint8_t *block);

#define KEYS_SPOILT 14 /* kinds of bad padding */

/* Makes the good BLOCK of K bytes bad in way KIND: the classes of Bleichenbacher, ROBOT and their heirs. */
void keys_spoil(uint8_t *block, size_t k, unsigned kind);

/* ---- what comes back ---- */

/* What TLS signs for OPERATION, written down once more from the RFCs; returns its length. */
size_t keys_content(const struct operation *operation, uint8_t out[static 256]);
/* The input that the gate should make of OPERATION, but for rsa_master. */
struct crypto_input keys_input(const struct operation *operation);
/* True when SIGNATURE is one of PKEY for OPERATION by SCHEME, as a TLS client would find. */
bool keys_verify(EVP_PKEY *pkey, const struct operation *operation, uint16_t scheme, const uint8_t *signature,
                 size_t length);

#endif
