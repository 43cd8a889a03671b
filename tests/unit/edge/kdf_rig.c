#include "tests/unit/edge/kdf_rig.h"

OSSL_LIB_CTX *library;
EVP_KDF *ours, *theirs;
unsigned asked;
struct operation last_operation;
uint8_t last_messages[1024];
struct outcome given;
int perform_error;

int perform(const struct operation *operation, struct outcome *outcome)
{
    asked++;
    last_operation = *operation;
    if (operation->kind == OP_RSA_MASTER)
        memcpy(last_messages, operation->u.rsa_master.messages, operation->u.rsa_master.length);
    *outcome = given;
    return perform_error;
}

void open_kdfs(const struct provider_deferral *deferral)
{
    const struct provider_transport transport = {.perform = perform, .deferral = deferral};
    struct fault fault;
    assert_int_equal(secret_init(), 0);
    assert_int_equal(provider_context_new(&library, &transport, 0, &fault), 0);
    ours = EVP_KDF_fetch(library, "TLS1-PRF", PROVIDER_TLS_PROPERTIES);
    theirs = EVP_KDF_fetch(library, "TLS1-PRF", NULL);
    assert_non_null(ours);
}

void close_kdfs(void)
{
    EVP_KDF_free(ours);
    EVP_KDF_free(theirs);
    provider_context_free(library);
}

void expect_nothing(void)
{
    asked = 0;
    perform_error = 0;
    given = (struct outcome){.status = STATUS_OK, .length = TLS_MASTER_SIZE};
    random_bytes(given.bytes, TLS_MASTER_SIZE);
}

/* ---- parameters as libssl gives them ---- */

const OSSL_PARAM *pack(struct packed *out, const struct input *input)
{
    OSSL_PARAM *p = out->params;
    if (input->digest != NULL) {
        snprintf(out->digest, sizeof out->digest, "%s", input->digest);
        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, out->digest, 0);
    }
    if (input->secret != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, remote_keys_unconst(input->secret),
                                                 input->secret_length);
    for (size_t i = 0; i < SEEDS_MAX; i++)
        *p++ = OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SEED, remote_keys_unconst(input->seeds[i].bytes), input->seeds[i].length);
    *p = OSSL_PARAM_construct_end();
    return out->params;
}

bool derive(EVP_KDF *kdf, const struct input *input, uint8_t *out, size_t length)
{
    struct packed packed;
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    bool done = EVP_KDF_derive(context, out, length, pack(&packed, input)) == 1;
    EVP_KDF_CTX_free(context);
    return done;
}

const uint8_t *some_bytes(size_t length)
{
    static uint8_t bytes[256];
    assert_true(length <= sizeof bytes);
    random_bytes(bytes, length);
    return bytes;
}

struct input master_input(const char *label, const void *secret)
{
    struct input input = {.digest = "SHA256", .secret = secret, .secret_length = TLS_PREMASTER_SIZE};
    input.seeds[0].bytes = label;
    input.seeds[0].length = strlen(label);
    input.seeds[1].bytes = "0123456789abcdef0123456789abcdef";
    input.seeds[1].length = 32;
    return input;
}
