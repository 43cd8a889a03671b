/* Does anything between the private-key operation and the answer branch on a secret, or look up memory by it?
 *
 * Under valgrind, with what is secret marked undefined: the result of the operation, so that the plaintext
 * is, and the secret of the fallback. The signer's own path runs then, for both operations, until the answer
 * is complete; valgrind reports every jump and every address that depends on an undefined byte. That
 * OpenSSL's part before it sees random numbers only is shown by test_signer_faults.c. What rsa_single.c does
 * around that part runs once more with the factors marked as well. */
#include <openssl/evp.h>
#include <valgrind/memcheck.h>

#include "keyserver/vault/compute/blinding.h"

static void reveal_secret(const struct blinding *blinding, uint8_t *plain, const uint8_t *result);

#define blinding_reveal reveal_secret
#include "keyserver/vault/compute/signer.c"
#include "keyserver/vault/keys/rsa_single.c"
#undef blinding_reveal

#include <stdio.h>

#include "common/log.h"

static size_t modulus_size;
static unsigned revealed;

static void reveal_secret(const struct blinding *blinding, uint8_t *plain, const uint8_t *result)
{
    revealed++;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(result, modulus_size);
    blinding_reveal(blinding, plain, result);
}

/* True when every byte has a bit that follows from a secret: the mark has come through to the end. */
static bool has_secret(const uint8_t *bytes, size_t length)
{
    uint8_t bits[TLS_PREMASTER_SIZE] = {0};
    bool all = VALGRIND_GET_VBITS(bytes, bits, length) == 1;
    for (size_t i = 0; i < length; i++)
        all = all && bits[i] != 0;
    return all;
}

/* Any ciphertext will do: with an undefined plaintext every padding is tried at once. */
static int perform(struct signer *signer, const struct key *key, enum operation_kind kind, uint16_t prf_bits)
{
    struct crypto_input input = {.kind = kind};
    struct outcome outcome;
    input.u.exchange.client_version = 0x0303;
    input.u.exchange.ciphertext_length = key->result_size;
    input.u.exchange.prf_bits = prf_bits;
    random_bytes(input.u.exchange.ciphertext, key->result_size);
    random_bytes(input.u.exchange.session_hash, prf_bits / 8);
    input.u.exchange.ciphertext[0] = 0;
    modulus_size = key->result_size;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(key->fallback_secret, 32);
    struct signer_item item = {.key = key, .input = &input, .outcome = &outcome};
    signer_perform(signer, &item, 1);
    bool secret = has_secret(outcome.bytes, TLS_PREMASTER_SIZE);
    (void)VALGRIND_MAKE_MEM_DEFINED(&outcome, sizeof outcome);
    (void)VALGRIND_MAKE_MEM_DEFINED(key->fallback_secret, 32);
    return item.err == 0 && secret && outcome.status == STATUS_OK ? 0 : ERR_CRYPTO;
}

static void hide_modulus(struct modulus *m)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&m->n_inverse, sizeof m->n_inverse);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&m->n, sizeof m->n);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&m->one, sizeof m->one);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&m->square, sizeof m->square);
}

/* A number modulo the factors and back, without the exponentiations: it must come out again, from undefined
 * bytes. */
static int take_apart(const struct key *loaded)
{
    uint8_t in[RSA_MODULUS_MAX], out[RSA_MODULUS_MAX];
    struct rsa_single key = *loaded->rsa_single;
    struct residue number, again;
    struct residues of;
    random_bytes(in, loaded->result_size);
    in[0] = 0;
    modulus_read(&key.n, &number, in);
    hide_modulus(&key.p.factor);
    hide_modulus(&key.q.factor);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&key.qinv, sizeof key.qinv);
    split(&key, &of, &number);
    join_residues(&key, &again, &of);
    modulus_write(&key.n, out, &again);
    bool secret = has_secret(out, TLS_PREMASTER_SIZE);
    (void)VALGRIND_MAKE_MEM_DEFINED(out, sizeof out);
    wipe(&key, sizeof key);
    return secret && same_bytes(in, out, loaded->result_size) ? 0 : ERR_CRYPTO;
}

int main(int argc, char *argv[])
{
    static const uint8_t group_secret[32] = {1};
    struct keystore *store = NULL;
    struct fault fault = {0};
    log_init("memcheck", LOG_ERROR, LOG_LOGFMT);
    if (argc != 2 || !RUNNING_ON_VALGRIND || secret_init() != 0 ||
        keystore_load(&store, NULL, argv[1], group_secret, NULL, NULL, &fault) != 0) {
        fprintf(stderr, "memcheck: %s\n",
                fault.text[0] ? fault.text : "usage: valgrind … memcheck FOLDER_OF_RSA_KEYS");
        return 2;
    }
    struct signer *signer = signer_new(store, BATCH_ALL);
    int err = signer == NULL ? ERR_MEMORY : 0;
    for (size_t i = 0; err == 0 && i < keystore_count(store); i++) {
        const struct key *key = keystore_at(store, i);
        err = take_apart(key);
        for (int round = 0; err == 0 && round < 3; round++)
            if ((err = perform(signer, key, OP_RSA_PREMASTER, 256)) == 0 &&
                (err = perform(signer, key, OP_RSA_MASTER, 256)) == 0)
                err = perform(signer, key, OP_RSA_MASTER, 384);
    }
    printf("%u operations\n", revealed);
    signer_free(signer);
    keystore_free(store);
    return err == 0 && revealed > 0 ? 0 : 1;
}
