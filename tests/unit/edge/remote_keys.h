/* For the tests of the edge: private keys with their certificates, and a key server in one function, which
 * builds what it signs from the typed fields alone. Not a test itself. One thread, but remote_keys_answer may
 * be called on any. */
#ifndef TESTS_UNIT_EDGE_REMOTE_KEYS_H
#define TESTS_UNIT_EDGE_REMOTE_KEYS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "edge/provider/provider.h"

#define DAY_SECONDS (24L * 60 * 60)

struct private_key {
    EVP_PKEY *key;
    uint8_t id[KEY_ID_SIZE];
};

enum { RSA_KEY, P256_KEY, P384_KEY, ED25519_KEY, OTHER_RSA_KEY, PRIVATE_KEYS };

extern struct private_key private_keys[PRIVATE_KEYS];

void remote_keys_id(EVP_PKEY *key, uint8_t id[static KEY_ID_SIZE]);
int remote_keys_make(void **state);
int remote_keys_free(void **state);
/* For OpenSSL's parameters, which it only reads. */
void *remote_keys_unconst(const void *bytes);

/* ---- the key server ---- */

int remote_keys_answer(const struct operation *operation, struct outcome *outcome);

/* ---- certificates ---- */

/* Self-signed, for NAMES ("DNS:a.example,DNS:b.example", NULL for none), valid between now + FROM and now +
 * TO seconds. */
X509 *remote_keys_cert(EVP_PKEY *key, const char *names, long from, long to);

/* ---- files ---- */

char *remote_keys_folder(void);
void remote_keys_remove(char *folder);
void remote_keys_write(const char *folder, const char *file, X509 *cert);
/* A valid certificate of KEY for NAMES in FOLDER/FILE. */
void remote_keys_put(const char *folder, const char *file, EVP_PKEY *key, const char *names);

/* ---- handshakes in memory ---- */

/* Joins a client and a server by a pair of buffers. */
void remote_keys_join(SSL *client, SSL *server);
bool remote_keys_wants_more(SSL *ssl, int result);
/* Runs both to the end; true when both are finished. */
bool remote_keys_shake(SSL *client, SSL *server);
/* One byte each way; delivers TLS 1.3 tickets too. */
void remote_keys_talk(SSL *client, SSL *server);

#endif
