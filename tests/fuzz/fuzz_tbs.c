/* What tbs_parse takes, the key server must be able to build again from the fields, byte for byte: otherwise
 * the signature would be over something else than OpenSSL asked for. */
#include "edge/provider/tbs.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static size_t rebuild(const struct operation *operation, uint8_t *out)
{
    if (operation->kind == OP_SIGN_TLS13) {
        size_t length = operation->u.sign_tls13.hash_length;
        memset(out, ' ', TLS13_PAD);
        memcpy(out + TLS13_PAD, TLS13_CONTEXT, sizeof TLS13_CONTEXT);
        memcpy(out + TLS13_PAD + sizeof TLS13_CONTEXT, operation->u.sign_tls13.hash, length);
        return TLS13_PAD + sizeof TLS13_CONTEXT + length;
    }
    size_t length = operation->u.sign_tls12.params_length;
    memcpy(out, operation->u.sign_tls12.client_random, TLS_RANDOM_SIZE);
    memcpy(out + TLS_RANDOM_SIZE, operation->u.sign_tls12.server_random, TLS_RANDOM_SIZE);
    memcpy(out + RANDOMS_LENGTH, operation->u.sign_tls12.params, length);
    return RANDOMS_LENGTH + length;
}

/* INPUT: two bytes of scheme, then the bytes to be signed. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct operation operation = {0};
    uint8_t again[RANDOMS_LENGTH + KEY_EXCHANGE_PARAMS_MAX];
    if (size < 2)
        return 0;
    uint16_t scheme = (uint16_t)(input[0] << 8 | input[1]);
    const uint8_t *tbs = input + 2;
    if (tbs_parse(&operation, scheme, tbs, size - 2) != 0)
        return 0;
    if (rebuild(&operation, again) != size - 2 || memcmp(again, tbs, size - 2) != 0)
        abort();
    return 0;
}
