/* For tests of the key derivations: TLS1-PRF through the provider beside OpenSSL's own, and a key server of
 * one answer. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_KDF_RIG_H
#define TESTS_UNIT_EDGE_KDF_RIG_H

#include "common/secret.h"
#include "tests/unit/edge/remote_keys.h"

extern OSSL_LIB_CTX *library;
extern EVP_KDF *ours, *theirs;
extern unsigned asked;
extern struct operation last_operation;
extern uint8_t last_messages[1024];
extern struct outcome given; /* the key server's answer */
extern int perform_error;

int perform(const struct operation *operation, struct outcome *outcome);
void open_kdfs(const struct provider_deferral *deferral);
void close_kdfs(void);
/* Nothing was asked for so far; the key server has a secret to give. */
void expect_nothing(void);

/* ---- parameters as libssl gives them ---- */

#define SEEDS_MAX  5
#define OUTPUT_MAX 256

struct input {
    const char *digest;
    const void *secret;
    size_t secret_length;
    struct {
        const void *bytes;
        size_t length;
    } seeds[SEEDS_MAX];
};

struct packed {
    char digest[16];
    OSSL_PARAM params[2 + SEEDS_MAX + 1];
};

const OSSL_PARAM *pack(struct packed *out, const struct input *input);
bool derive(EVP_KDF *kdf, const struct input *input, uint8_t *out, size_t length);
const uint8_t *some_bytes(size_t length);
struct input master_input(const char *label, const void *secret);

#endif
