#include "keyserver/vault/keys/key_file.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/contents.h"
#include "common/identity.h"
#include "common/secret.h"
#include "common/shell.h"
#include "keyserver/rules/key_hint.h"
#include "keyserver/vault/keys/key_cost.h"
#include "keyserver/vault/keys/rsa_check.h"

/* What a decoder asks for, and gets or not; there is no one else to ask. */
struct asked {
    const struct passphrase *passphrase;
    bool encrypted; /* it has asked */
};

static int give_passphrase(char *out, size_t size, size_t *length, const OSSL_PARAM parameters[], void *user)
{
    struct asked *asked = user;
    (void)parameters;
    asked->encrypted = true;
    *length = asked->passphrase->length;
    if (*length == 0 || *length > size) {
        *length = 0;
        return 0;
    }
    memcpy(out, buffer_bytes(&asked->passphrase->text), *length);
    return 1;
}

/* The first private key among the objects of CONTENT: a PEM file may hold parameters or a certificate before
 * it. */
static EVP_PKEY *decode(const struct buffer *content, struct asked *asked)
{
    EVP_PKEY *pkey = NULL;
    BIO *bio = BIO_new_mem_buf(buffer_bytes(content), (int)buffer_length(content));
    OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(&pkey, NULL, NULL, NULL,
                                                              OSSL_KEYMGMT_SELECT_PRIVATE_KEY, NULL, NULL);
    if (bio != NULL && decoder != NULL && OSSL_DECODER_CTX_set_passphrase_cb(decoder, give_passphrase, asked))
        for (long left = BIO_pending(bio), before = left + 1; left > 0 && left < before;) {
            if (OSSL_DECODER_from_bio(decoder, bio) == 1 && pkey != NULL)
                break;
            before = left;
            left = BIO_pending(bio);
        }
    OSSL_DECODER_CTX_free(decoder);
    BIO_free(bio);
    return pkey;
}

/* Why nothing came out of the decoder. */
static int explain(const char *path, const struct buffer *content, const struct asked *asked,
                   const struct passphrase_place *place, struct fault *fault)
{
    size_t length = buffer_length(content);
    if (length == 0)
        return fault_set(fault, ERR_CONFIG, "%s: is empty; put the key here, or take the file away", path);
    unsigned contents = contents_tell(buffer_bytes(content), length);
    if (!asked->encrypted && (contents & CONTENTS_ENCRYPTED) == 0)
        return key_hint_form(path, contents, fault);
    if (!passphrase_is_given(place))
        return key_hint_encrypted(path, place->key, place->length, fault);
    return fault_set(
        fault, ERR_CONFIG,
        "%s: encrypted, and its passphrase is not that of passphrase_%s %s (or the file is damaged); "
        "try it with: openssl pkey -in %s -noout, and correct that",
        path, place->file != NULL ? "file" : "credential",
        place->file != NULL ? place->file : place->credential, SHELL_WORD(path));
}

static int find_type(struct key *key, const char *path, struct fault *fault)
{
    char group[64] = "", known[KEY_TYPES_TEXT_SIZE];
    int bits = EVP_PKEY_get_bits(key->pkey);
    (void)EVP_PKEY_get_group_name(key->pkey, group, sizeof group, NULL);
    for (enum key_type type = KEY_RSA; type < KEY_TYPES; type++) {
        const struct key_type_info *info = key_type_find(type);
        if (!EVP_PKEY_is_a(key->pkey, key_algorithm_name(info->algorithm)) ||
            !key_type_fits(info, group, bits))
            continue;
        key->type = type;
        key->bits = (uint16_t)bits;
        key->result_size = (uint16_t)EVP_PKEY_get_size(key->pkey);
        return 0;
    }
    return fault_set(fault, ERR_UNSUPPORTED, "%s: a key of type %s%s%s with %d bits cannot be used; %s can",
                     path, EVP_PKEY_get0_type_name(key->pkey), group[0] ? " " : "", group, bits,
                     key_types_text(known, "and"));
}

/* A certificate names its curve (RFC 5480 section 2.1.1), so the key would have another id than that. */
static int check_named_curve(const struct key *key, const char *path, struct fault *fault)
{
    int is_explicit = 0;
    if (EVP_PKEY_get_int_param(key->pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) ==
            1 &&
        is_explicit != 0)
        return key_hint_explicit(path, fault);
    return 0;
}

/* n as bytes, and a public exponent that makes RSA a permutation. */
static int take_modulus(struct key *key, const char *path, struct fault *fault)
{
    BIGNUM *n = NULL, *e = NULL;
    int err = 0;
    if (key->bits % 8 != 0)
        err = fault_set(fault, ERR_UNSUPPORTED, "%s: a modulus of %u bits is no whole number of bytes", path,
                        key->bits);
    else if (!EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
             !EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) ||
             BN_bn2binpad(n, key->modulus, key->result_size) != key->result_size)
        err = fault_set(fault, ERR_CRYPTO, "%s: its numbers cannot be read", path);
    else if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64)
        err = fault_set(fault, ERR_UNSUPPORTED,
                        "%s: its public exponent is unusual; make a key with the exponent 65537", path);
    BN_free(n);
    BN_free(e);
    return err;
}

static int take_id(struct key *key, const char *path, struct fault *fault)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key->pkey, &der);
    if (length <= 0)
        return fault_set(fault, ERR_CRYPTO, "%s: has no public half", path);
    sha256(key->id, der, (size_t)length);
    OPENSSL_free(der);
    return 0;
}

/* Private and public half must belong together: a wrong pair would make signatures that give the key away. */
static int check_pair(struct key *key, const char *path, struct fault *fault)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool good = key->type == KEY_RSA ? rsa_check_numbers(key->pkey)
                                     : context != NULL && EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return good ? 0
                : fault_set(fault, ERR_CRYPTO,
                            "%s: its private and public halves do not belong together; take it from a backup",
                            path);
}

/* Before a passphrase is used: OpenSSL would do what the file asks for, be it for years. */
static int check_cost(const char *path, const uint8_t *bytes, size_t length, struct fault *fault)
{
    switch (key_cost_of(bytes, length)) {
    case KEY_COST_MANY_ITERATIONS:
        return fault_set(
            fault, ERR_CONFIG,
            "%s: encrypted with more than %d iterations for its passphrase, which would take too long at "
            "each start; run (it takes that long once): openssl pkcs8 -topk8 -iter 600000 -in %s -out "
            "%s.new && mv %s.new %s",
            path, KEY_COST_ITERATIONS, SHELL_WORD(path), SHELL_WORD(path), SHELL_WORD(path),
            SHELL_WORD(path));
    case KEY_COST_MUCH_SCRYPT:
        return fault_set(
            fault, ERR_CONFIG,
            "%s: encrypted with a scrypt of N * r * p above %u for its passphrase, which would take too "
            "long at each start; run (it takes that long once): openssl pkcs8 -topk8 -scrypt -in %s -out "
            "%s.new && mv %s.new %s",
            path, KEY_COST_SCRYPT, SHELL_WORD(path), SHELL_WORD(path), SHELL_WORD(path), SHELL_WORD(path));
    case KEY_COST_MUCH_MEMORY:
        return fault_set(fault, ERR_CONFIG,
                         "%s: encrypted with a scrypt that takes more than %u MiB for its passphrase, "
                         "which OpenSSL does not allow; encrypt it anew, with what has made it, by PBKDF2",
                         path, KEY_COST_MEMORY >> 20);
    case KEY_COST_FAIR:
        break;
    }
    return 0;
}

/* A passphrase is read for a file that needs one only: what is wrong with it is in nobody else's way. */
static int decode_file(struct key *key, const char *path, const struct buffer *content,
                       const struct passphrase_place *place, struct fault *fault)
{
    size_t length = buffer_length(content);
    const uint8_t *bytes = length > 0 ? buffer_bytes(content) : NULL;
    size_t count = contents_count_keys(bytes, length);
    struct passphrase passphrase = {.length = 0};
    struct asked asked = {.passphrase = &passphrase};
    if (count > 1)
        return key_hint_several(path, count, fault);
    int err = 0;
    if ((contents_tell(bytes, length) & CONTENTS_ENCRYPTED) != 0 && passphrase_is_given(place) &&
        (err = check_cost(path, bytes, length, fault)) == 0)
        err = passphrase_read(place, &passphrase, fault);
    if (err == 0) {
        key->pkey = decode(content, &asked);
        err = key->pkey != NULL ? 0 : explain(path, content, &asked, place, fault);
    }
    passphrase_clear(&passphrase);
    return err;
}

int key_file_load(struct key *key, const char *path, const struct passphrase_place *place,
                  struct fault *fault)
{
    struct buffer content = {0};
    int err = identity_read_secret_file(path, KEY_FILE_MAX, &content, fault);
    if (err == ERR_NOT_FOUND)
        err = fault_set(fault, err, "%s: the file has gone since the folder was listed", path);
    if (err == 0)
        err = decode_file(key, path, &content, place, fault);
    buffer_clear(&content);
    if (err == 0 && (err = check_named_curve(key, path, fault)) == 0 &&
        (err = find_type(key, path, fault)) == 0 && (err = check_pair(key, path, fault)) == 0 &&
        (err = take_id(key, path, fault)) == 0 && key->type == KEY_RSA)
        err = take_modulus(key, path, fault);
    ERR_clear_error();
    if (err != 0) {
        EVP_PKEY_free(key->pkey);
        key->pkey = NULL;
    }
    return err;
}
