/* Remote keys in a library context of their own, and the key server in one function. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_PROVIDER_RIG_H
#define TESTS_UNIT_EDGE_PROVIDER_RIG_H

#include "tests/unit/edge/remote_keys.h"

#define ALL_VERIFIED (~0u)

extern OSSL_LIB_CTX *library;
extern EVP_PKEY *remote[PRIVATE_KEYS];
extern _Atomic unsigned asked; /* operations that reached the transport */
extern struct operation last_operation;
/* How the transport spoils what the key server answers. */
extern void (*spoil)(struct outcome *outcome);
extern int transport_error;

EVP_PKEY *remote_of(OSSL_LIB_CTX *context, EVP_PKEY *key, const uint8_t *id);
void open_with(uint32_t verify);
int setup(void **state);
int teardown(void **state);

/* A TLS 1.3 content to sign, with a SHA-256 transcript hash. */
#define CONTENT_LENGTH 130

const uint8_t *content(void);

struct way {
    int key;
    const char *digest;
    bool pss;
    uint16_t scheme; /* in TLS 1.3 terms */
};

enum { WAYS = 6 };

extern const struct way ways[WAYS];

/* Signs LENGTH bytes; the size of the signature, or 0. */
size_t sign(const struct way *way, EVP_PKEY *key, const uint8_t *tbs, size_t length, uint8_t out[RESULT_MAX]);
size_t sign_content(const struct way *way);

/* Puts a hand-made ECDSA signature in place of the answer. */
extern uint8_t forged[RESULT_MAX];
extern size_t forged_length;

void forge(struct outcome *outcome);
bool taken(const uint8_t *r, size_t r_length, const uint8_t *s, size_t s_length);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
