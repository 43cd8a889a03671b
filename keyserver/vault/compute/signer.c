#include "keyserver/vault/compute/signer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_lanes.h"
#include "keyserver/lanes/ed_lanes.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/vault/compute/blinding.h"
#include "keyserver/vault/compute/rsa_codec.h"

/* What a thread keeps for one key; all of it is owned and made at first use. */
struct tools {
    EVP_PKEY_CTX *sign;        /* ECDSA */
    struct blinding *blinding; /* of RSA alone; made anew after a fault */
    struct rsa_lanes_blinding *lanes_blinding;
};

struct signer {
    struct tools *tools; /* owned; one a key, by its index */
    size_t count;
    struct hasher hasher;
    EVP_KDF_CTX *prf;                     /* owned; of TLS 1.2 */
    struct rsa_single_scratch *alone;     /* owned; what RSA alone works in */
    struct rsa_lanes_scratch *rsa;        /* owned; NULL where the lanes are not used */
    struct ec_scratch *ec[BATCH_CLASSES]; /* owned; the same, by batch class */
    struct ed_scratch *ed;                /* owned; the same, for Ed25519 */
};

/* ---- which classes are computed in lanes, and how many at once ---- */

/* From so many on lanes cost less than OpenSSL or libsodium (docs/BENCHMARKS.md). */
static const struct {
    struct batch_size size;
    enum lanes_id lanes;
} by_class[BATCH_CLASSES] = {
    [BATCH_P256] = {{1, EC_LANES_MAX, 0}, LANES_P256},
    [BATCH_P384] = {{1, EC_LANES_MAX, 0}, LANES_P384},
    [BATCH_ED25519] = {{1, ED_LANES_MAX, 0}, LANES_ED25519},
    [BATCH_RSA_2048] = {{2, LANES, LANES / 2}, LANES_RSA},
    [BATCH_RSA_3072] = {{1, LANES, LANES / 2}, LANES_RSA},
    [BATCH_RSA_4096] = {{1, LANES, LANES / 2}, LANES_RSA},
};

static bool has_lanes(enum batch_class class)
{
    return by_class[class].size.most > 0 && lanes_state(by_class[class].lanes) == LANES_READY;
}

struct batch_size signer_batch(enum batch_class class)
{
    return has_lanes(class) ? by_class[class].size : (struct batch_size){1, 1, 0};
}

/* ---- life ---- */

/* For each of CLASSES that is computed in lanes what its operations work in. */
static bool make_scratches(struct signer *signer, unsigned classes)
{
    bool whole = true;
    for (size_t i = 0; i < BATCH_CLASSES; i++) {
        if ((classes & BATCH_BIT(i)) == 0 || !has_lanes((enum batch_class)i))
            continue;
        if (i == BATCH_ED25519)
            whole = (signer->ed = ed_scratch_new(lanes_ed())) != NULL && whole;
        else if (!batch_is_slow((enum batch_class)i))
            whole = (signer->ec[i] = ec_scratch_new(lanes_ec(by_class[i].lanes))) != NULL && whole;
        else if (signer->rsa == NULL) /* one for all sizes */
            whole = (signer->rsa = rsa_lanes_scratch_new(lanes_rsa())) != NULL && whole;
    }
    return whole;
}

struct signer *signer_new(const struct keystore *store, unsigned classes)
{
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return NULL;
    signer->count = keystore_count(store);
    signer->tools = calloc(signer->count + 1, sizeof *signer->tools);
    EVP_KDF *prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    signer->prf = EVP_KDF_CTX_new(prf);
    EVP_KDF_free(prf);
    if (rsa_single_scratch_new(&signer->alone) == 0 && hasher_init(&signer->hasher) == 0 &&
        make_scratches(signer, classes) && signer->tools != NULL && signer->prf != NULL)
        return signer;
    signer_free(signer);
    return NULL;
}

static void clear_tools(struct tools *tools)
{
    EVP_PKEY_CTX_free(tools->sign);
    blinding_free(tools->blinding);
    rsa_lanes_blinding_free(tools->lanes_blinding);
}

void signer_free(struct signer *signer)
{
    if (signer == NULL)
        return;
    for (size_t i = 0; signer->tools != NULL && i < signer->count; i++)
        clear_tools(&signer->tools[i]);
    free(signer->tools);
    hasher_clear(&signer->hasher);
    EVP_KDF_CTX_free(signer->prf);
    rsa_single_scratch_free(signer->alone);
    rsa_lanes_scratch_free(signer->rsa);
    for (size_t i = 0; i < BATCH_CLASSES; i++)
        ec_scratch_free(signer->ec[i]);
    ed_scratch_free(signer->ed);
    free(signer);
}

static struct tools *tools_of(struct signer *signer, const struct signer_item *item)
{
    return &signer->tools[item->key->index];
}

/* ---- RSA ---- */

/* RESULT = HIDDEN ^ d, if RESULT ^ e is HIDDEN again. */
static int hidden_operation(const struct rsa_single *key, struct rsa_single_scratch *scratch,
                            const uint8_t *hidden, uint8_t *result, size_t size)
{
    uint8_t again[RSA_MODULUS_MAX] UNINITIALIZED;
    int err = rsa_single_private(key, scratch, result, hidden);
    if (err == 0)
        err = rsa_single_public(key, scratch, again, result);
    if (err == 0 && !same_bytes(again, hidden, size))
        err = ERR_CRYPTO;
    wipe(again, size); /* of a faulty result it tells as much as that does */
    return err;
}

/* NUMBER = NUMBER ^ d, checked against the public key before it is more than a random number. OpenSSL sees
 * such numbers only: its time, and the return codes here, tell of the key and of faults at most, and nothing
 * of what the plaintext contains. After a fault the blinding is made anew, as it might be what was hit. */
static int private_operation(struct signer *signer, const struct signer_item *item, uint8_t *number)
{
    uint8_t hidden[RSA_MODULUS_MAX] UNINITIALIZED, result[RSA_MODULUS_MAX] UNINITIALIZED;
    const struct key *key = item->key;
    struct tools *tools = tools_of(signer, item);
    if (tools->blinding == NULL)
        tools->blinding = blinding_new(key);
    int err = tools->blinding == NULL ? ERR_CRYPTO : blinding_hide(tools->blinding, hidden, number);
    if (err == 0)
        err = hidden_operation(key->rsa_single, signer->alone, hidden, result, key->result_size);
    if (err == 0) {
        blinding_reveal(tools->blinding, number, result);
    } else {
        blinding_free(tools->blinding);
        tools->blinding = NULL;
    }
    wipe(hidden, sizeof hidden);
    wipe(result, sizeof result);
    return err;
}

typedef uint8_t rsa_number[RSA_MODULUS_MAX];

/* The same for those of COUNT (1 … LANES) items that have no error yet, in lanes. */
static void operations_in_lanes(struct signer *signer, struct signer_item *items, rsa_number *numbers,
                                size_t count)
{
    struct rsa_lanes_item work[LANES];
    size_t of[LANES], used = 0;
    for (size_t i = 0; i < count; i++) {
        struct tools *tools = tools_of(signer, &items[i]);
        if (items[i].err == 0 && tools->lanes_blinding == NULL &&
            (tools->lanes_blinding = rsa_lanes_blinding_new(items[i].key->rsa)) == NULL)
            items[i].err = ERR_CRYPTO;
        if (items[i].err != 0)
            continue;
        work[used] = (struct rsa_lanes_item){
            .blinding = tools->lanes_blinding, .in = numbers[i], .out = numbers[i]};
        of[used++] = i;
    }
    if (used > 0)
        rsa_lanes_perform(signer->rsa, work, used);
    for (size_t i = 0; i < used; i++)
        items[of[i]].err = work[i].err;
}

/* COUNT is 1 … LANES. */
static void perform_rsa(struct signer *signer, struct signer_item *items, size_t count, bool in_lanes)
{
    rsa_number numbers[LANES] UNINITIALIZED;
    for (size_t i = 0; i < count; i++)
        items[i].err = rsa_codec_encode(items[i].input, items[i].key, &signer->hasher, numbers[i]);
    if (in_lanes)
        operations_in_lanes(signer, items, numbers, count);
    for (size_t i = 0; i < count; i++) {
        struct signer_item *item = &items[i];
        if (item->err == 0 && !in_lanes)
            item->err = private_operation(signer, item, numbers[i]);
        if (item->err == 0)
            item->err = rsa_codec_decode(item->input, item->key, signer->prf, numbers[i], item->outcome);
    }
    wipe(numbers, count * sizeof numbers[0]);
}

/* ---- elliptic curves ---- */

static int hash_of(struct signer *signer, const struct signer_item *item, uint8_t hash[static HASH_MAX])
{
    const struct scheme_info *scheme = scheme_find(item->input->u.sign.scheme);
    return scheme != NULL ? hasher_hash(&signer->hasher, hash, scheme->hash_bits, item->input->u.sign.content,
                                        item->input->u.sign.length, NULL, 0)
                          : ERR_CRYPTO;
}

static size_t hash_length(const struct signer_item *item)
{
    return scheme_find(item->input->u.sign.scheme)->hash_bits / 8;
}

static int sign_ecdsa(struct signer *signer, const struct signer_item *item)
{
    uint8_t hash[HASH_MAX];
    size_t size = RESULT_MAX;
    struct tools *tools = tools_of(signer, item);
    if (tools->sign == NULL) {
        tools->sign = EVP_PKEY_CTX_new_from_pkey(NULL, item->key->pkey, NULL);
        if (tools->sign == NULL || EVP_PKEY_sign_init(tools->sign) <= 0)
            return ERR_CRYPTO;
    }
    if (hash_of(signer, item, hash) != 0 ||
        EVP_PKEY_sign(tools->sign, item->outcome->bytes, &size, hash, hash_length(item)) <= 0 ||
        size > item->key->result_size)
        return ERR_CRYPTO;
    item->outcome->length = (uint16_t)size;
    return 0;
}

static int sign_ed25519(const struct signer_item *item)
{
    const struct crypto_input *input = item->input;
    sign_message(item->outcome->bytes, item->key->ed25519, input->u.sign.content, input->u.sign.length);
    item->outcome->length = SIGN_SIZE;
    return 0;
}

static void perform_curve(struct signer *signer, struct signer_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        items[i].err = items[i].key->type == KEY_ED25519 ? sign_ed25519(&items[i])
                                                         : sign_ecdsa(signer, &items[i]);
}

/* A hash that is shorter than the numbers of the curve is a small number (FIPS 186-5, 6.4.1). */
static void fit_hash(uint8_t *out, size_t size, const uint8_t *hash, size_t length)
{
    size_t used = length < size ? length : size;
    memset(out, 0, size - used);
    memcpy(out + size - used, hash, used);
}

/* ECDSA with keys of one curve, in lanes. */
static void perform_ecdsa(struct signer *signer, struct signer_item *items, size_t count)
{
    struct ec_item work[EC_LANES_MAX] UNINITIALIZED;
    uint8_t hashes[EC_LANES_MAX][EC_SIZE_MAX] UNINITIALIZED, hash[HASH_MAX];
    size_t of[EC_LANES_MAX], used = 0, size = key_number_size(items[0].key);
    for (size_t i = 0; i < count; i++) {
        items[i].err = hash_of(signer, &items[i], hash);
        if (items[i].err != 0)
            continue;
        fit_hash(hashes[used], size, hash, hash_length(&items[i]));
        work[used] = (struct ec_item){.key = items[i].key->scalar, .hash = hashes[used]};
        of[used++] = i;
    }
    int err = used > 0 ? ec_lanes_sign(signer->ec[items[0].key->class], work, used) : 0;
    for (size_t i = 0; i < used; i++) {
        struct signer_item *item = &items[of[i]];
        item->err = err;
        if (err == 0)
            item->outcome->length = (uint16_t)ecdsa_der(item->outcome->bytes, work[i].rs, size);
    }
}

/* Ed25519, in lanes. */
static void perform_ed25519(struct signer *signer, struct signer_item *items, size_t count)
{
    struct ed_item work[ED_LANES_MAX];
    for (size_t i = 0; i < count; i++)
        work[i] = (struct ed_item){.key = items[i].key->ed25519_lanes,
                                   .message = items[i].input->u.sign.content,
                                   .length = items[i].input->u.sign.length};
    int err = ed_lanes_sign(signer->ed, work, count);
    for (size_t i = 0; i < count; i++) {
        items[i].err = err;
        if (err != 0)
            continue;
        memcpy(items[i].outcome->bytes, work[i].signature, SIGN_SIZE);
        items[i].outcome->length = SIGN_SIZE;
    }
}

/* ---- all of it ---- */

void signer_perform(struct signer *signer, struct signer_item *items, size_t count)
{
    enum batch_class class = items[0].key->class;
    bool in_lanes = has_lanes(class) && count >= by_class[class].size.least;
    for (size_t i = 0; i < count; i++)
        *items[i].outcome = (struct outcome){.status = STATUS_OK};
    if (batch_is_slow(class))
        perform_rsa(signer, items, count, in_lanes);
    else if (in_lanes && class == BATCH_ED25519)
        perform_ed25519(signer, items, count);
    else if (in_lanes)
        perform_ecdsa(signer, items, count);
    else
        perform_curve(signer, items, count);
    ERR_clear_error();
    wipe_stack(); /* what the methods and the libraries left below */
    for (size_t i = 0; i < count; i++) {
        if (items[i].err == 0)
            continue;
        wipe(items[i].outcome, sizeof *items[i].outcome);
        items[i].outcome->status = STATUS_UNAVAILABLE;
    }
}
