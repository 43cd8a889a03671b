/* Whatever the fields hold, what passes the gate has exactly the form that TLS gives it, and reading the
 * built bytes again gives back the fields. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/vault/judge/gate.h"
#include "tests/lib/transcript_seed.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_tls13(const struct operation *operation, const uint8_t *content, size_t length)
{
    static const char context[] = "TLS 1.3, server CertificateVerify";
    must(length == 130 || length == 146);
    for (size_t i = 0; i < 64; i++)
        must(content[i] == ' ');
    must(memcmp(content + 64, context, sizeof context) == 0);
    must(memcmp(content + 98, operation->u.sign_tls13.hash, length - 98) == 0);
}

static void check_tls12(const struct operation *operation, const uint8_t *content, size_t length)
{
    static const struct {
        uint16_t curve;
        uint8_t size;
    } curves[] = {{23, 65}, {24, 97}, {25, 133}, {29, 32}, {30, 56}};
    struct reader r;
    bool known = false;
    reader_init(&r, content, length);
    must(memcmp(reader_bytes(&r, 32), operation->u.sign_tls12.client_random, 32) == 0);
    must(memcmp(reader_bytes(&r, 32), operation->u.sign_tls12.server_random, 32) == 0);
    must(reader_u8(&r) == 3);
    uint16_t curve = reader_u16(&r);
    uint8_t size = reader_u8(&r);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        known |= curves[i].curve == curve && curves[i].size == size;
    must(known && reader_bytes(&r, size) != NULL && reader_done(&r));
}

static void check_ciphertext(const struct crypto_input *input, const struct key *key)
{
    must(key->type == KEY_RSA && input->u.exchange.ciphertext_length == key->result_size);
    must(memcmp(input->u.exchange.ciphertext, key->modulus, key->result_size) < 0);
}

static void check_master(const struct operation *operation, const struct crypto_input *input,
                         const struct transcript *seen)
{
    uint8_t hash[32];
    const uint8_t *begin = operation->u.rsa_master.messages, *end = begin + operation->u.rsa_master.length;
    must(input->u.exchange.client_version == 0x0303 && seen->session_id > begin &&
         seen->session_id + SESSION_ID_SIZE < end);
    must(memcmp(end - input->u.exchange.ciphertext_length, input->u.exchange.ciphertext,
                input->u.exchange.ciphertext_length) == 0); /* it is the last there is */
    must(input->u.exchange.prf_bits == 256 || input->u.exchange.prf_bits == 384);
    sha256(hash, begin, operation->u.rsa_master.length);
    must((memcmp(hash, input->u.exchange.session_hash, sizeof hash) == 0) ==
         (input->u.exchange.prf_bits == 256));
}

/* The operation as it lies in memory, or how to build a transcript. */
static void fill(struct operation *operation, const uint8_t *bytes, size_t length)
{
    static struct seed seed;
    if (operation->kind == OP_RSA_MASTER) {
        operation->u.rsa_master.length = (uint32_t)seed_build(&seed, bytes, length);
        operation->u.rsa_master.messages = seed.bytes;
    } else if (length > 0) {
        memcpy(&operation->u, bytes, length < sizeof operation->u ? length : sizeof operation->u);
    }
}

/* INPUT: a byte for the kind and the key's type, then what `fill` takes. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static bool started;
    struct operation operation;
    struct key key = {.result_size = 256};
    struct crypto_input input;
    struct transcript seen;
    if (!started) {
        must(gate_start() == 0);
        atexit(gate_stop);
    }
    started = true;
    if (length == 0)
        return 0;
    memset(&operation, 0, sizeof operation);
    operation.kind = (enum operation_kind)(OP_SIGN_TLS13 + bytes[0] % 4);
    fill(&operation, bytes + 1, length - 1);
    key.type = (enum key_type)(1 + (bytes[0] >> 2) % (KEY_TYPES - 1));
    memset(key.modulus, 0xc5, sizeof key.modulus);
    if ((operation.kind == OP_SIGN_TLS13 && operation.u.sign_tls13.hash_length > TRANSCRIPT_HASH_MAX) ||
        (operation.kind == OP_SIGN_TLS12 && operation.u.sign_tls12.params_length > KEY_EXCHANGE_PARAMS_MAX) ||
        (operation.kind == OP_RSA_PREMASTER && operation.u.rsa_premaster.ciphertext_length > RSA_MODULUS_MAX))
        return 0; /* the wall's check has refused it */
    if (gate_pass(&operation, &key, &input, &seen) != REFUSAL_NONE)
        return 0;
    must(input.kind == operation.kind);
    if (operation.kind == OP_SIGN_TLS13)
        check_tls13(&operation, input.u.sign.content, input.u.sign.length);
    else if (operation.kind == OP_SIGN_TLS12)
        check_tls12(&operation, input.u.sign.content, input.u.sign.length);
    else
        check_ciphertext(&input, &key);
    if (operation.kind == OP_RSA_MASTER)
        check_master(&operation, &input, &seen);
    return 0;
}
