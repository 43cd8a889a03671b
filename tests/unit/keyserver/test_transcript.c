/* Transcripts of real handshakes are read, and nothing that is a byte more, less or elsewhere. What may stand
 * in the fields is test_transcript_fields.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "keyserver/vault/request/transcript.h"
#include "tests/unit/keyserver/handshake.h"
#include "tests/unit/keyserver/parts.h"

static EVP_PKEY *pkeys[2];              /* RSA-2048 and RSA-3072 */
static struct handshake shake, strange; /* a common one, and one with all that a client can put into it */
static struct composed made;

static int start(void **state)
{
    (void)state;
    if (secret_init() != 0)
        return -1;
    pkeys[0] = keys_rsa(2048);
    pkeys[1] = keys_rsa(3072);
    handshake_run(&shake, &(struct handshake_wish){.pkey = pkeys[0],
                                                   .ciphers = HANDSHAKE_SUITE_OF_SHA256,
                                                   .server_name = "www.example.com"});
    handshake_run(&strange, &(struct handshake_wish){.pkey = pkeys[1],
                                                     .ciphers = HANDSHAKE_SUITES_OF_ALL,
                                                     .server_name = "www.example.com",
                                                     .alpn = "http/1.1",
                                                     .tickets = true,
                                                     .tls13 = true,
                                                     .strange = true});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    EVP_PKEY_free(pkeys[0]);
    EVP_PKEY_free(pkeys[1]);
    return 0;
}

static int parse(const uint8_t *messages, size_t length)
{
    struct transcript transcript;
    return transcript_parse(&transcript, messages, length);
}

/* ---- real handshakes ---- */

/* What OpenSSL's ends have agreed on follows from the pre-master secret and our hash: so theirs is the same.
 */
static void assert_hash(const struct handshake *real, const struct transcript *transcript, EVP_PKEY *pkey)
{
    uint8_t premaster[RSA_MODULUS_MAX], hash[TRANSCRIPT_HASH_MAX], master[TLS_MASTER_SIZE];
    size_t size = sizeof premaster;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    assert_true(EVP_PKEY_decrypt_init(context) > 0);
    assert_true(EVP_PKEY_decrypt(context, premaster, &size, transcript->ciphertext,
                                 transcript->ciphertext_length) > 0);
    assert_int_equal(size, TLS_PREMASTER_SIZE);
    assert_int_equal(transcript_hash(transcript, hash), 0);
    handshake_derive(master, premaster, hash, transcript->prf_bits);
    assert_memory_equal(master, real->server_master, sizeof master);
    assert_memory_equal(master, real->client_master, sizeof master);
    EVP_PKEY_CTX_free(context);
}

static void assert_read(const struct handshake *real, const struct handshake_wish *wish)
{
    struct transcript transcript;
    static struct parts parts;
    assert_int_equal(transcript_parse(&transcript, real->messages, real->length), 0);
    split_parts(&parts, real->messages, real->length);
    assert_ptr_equal(transcript.messages, real->messages);
    assert_int_equal(transcript.length, real->length);
    assert_int_equal(transcript.client_version, 0x0303);
    assert_int_equal(transcript.cipher_suite, real->suite);
    assert_int_equal(transcript.prf_bits, real->hash_bits);
    assert_ptr_equal(transcript.session_id, parts.server.session_id.bytes);
    assert_ptr_equal(transcript.ciphertext, parts.ciphertext.bytes);
    assert_int_equal(transcript.ciphertext_length, EVP_PKEY_get_size(wish->pkey));
    assert_string_equal(transcript.server_name, wish->server_name == NULL ? "" : wish->server_name);
    assert_hash(real, &transcript, wish->pkey);
}

static void every_suite_that_openssl_offers_is_read_and_hashed_alike(void **state)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    static struct handshake real;
    unsigned suites = 0, hashes = 0;
    (void)state;
    assert_int_equal(SSL_CTX_set_cipher_list(context, HANDSHAKE_SUITES_OF_ALL), 1);
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        char name[96];
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        if (SSL_CIPHER_get_kx_nid(cipher) != NID_kx_rsa)
            continue; /* of TLS 1.3 */
        snprintf(name, sizeof name, "%s:@SECLEVEL=0", SSL_CIPHER_get_name(cipher));
        const struct handshake_wish wish = {.pkey = pkeys[0], .ciphers = name, .server_name = "a.example"};
        handshake_run(&real, &wish);
        assert_int_equal(real.suite, SSL_CIPHER_get_protocol_id(cipher));
        assert_read(&real, &wish);
        suites++;
        hashes |= real.hash_bits;
    }
    assert_true(suites >= 10);
    assert_int_equal(hashes, 256 | 384);
    SSL_CTX_free(context);
}

static void every_kind_of_client_is_read(void **state)
{
    static struct handshake real;
    (void)state;
    for (unsigned kind = 0; kind < 64; kind++) {
        const struct handshake_wish wish = {.pkey = pkeys[kind % 8 == 0],
                                            .ciphers = kind & 1 ? HANDSHAKE_SUITE_OF_SHA256
                                                                : HANDSHAKE_SUITES_OF_ALL,
                                            .server_name = kind & 2 ? "xn--bcher-kva.example" : NULL,
                                            .alpn = kind & 4 ? "h2" : NULL,
                                            .tickets = kind & 8,
                                            .tls13 = kind & 16,
                                            .strange = kind & 32};
        handshake_run(&real, &wish);
        assert_read(&real, &wish);
    }
}

/* ---- the form as a whole ---- */

static void taken_apart_and_put_together_it_is_the_same(void **state)
{
    static struct parts parts;
    const struct handshake *reals[] = {&shake, &strange};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        split_parts(&parts, reals[i]->messages, reals[i]->length);
        compose(&made, &parts);
        assert_int_equal(made.length, reals[i]->length);
        assert_memory_equal(made.bytes, reals[i]->messages, made.length);
        assert_int_equal(parse(made.bytes, made.length), 0);
    }
    assert_true(parts.client.extension_count > HANDSHAKE_STRANGE + 5);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t length = 0; length < strange.length; length++)
        assert_int_equal(parse(strange.messages, length), ERR_FORMAT);
    assert_int_equal(parse(NULL, 0), ERR_FORMAT);
    assert_int_equal(parse(strange.messages, strange.length), 0);
}

static void one_byte_less_or_more_anywhere_is_refused(void **state)
{
    static const uint8_t extra[] = {0, 1, 14, 0xff};
    (void)state;
    for (size_t at = 0; at < strange.length; at++) {
        memcpy(made.bytes, strange.messages, at);
        memcpy(made.bytes + at, strange.messages + at + 1, strange.length - at - 1);
        assert_int_equal(parse(made.bytes, strange.length - 1), ERR_FORMAT);
    }
    for (size_t at = 0; at <= strange.length; at++)
        for (size_t i = 0; i < sizeof extra; i++) {
            memcpy(made.bytes, strange.messages, at);
            made.bytes[at] = extra[i];
            memcpy(made.bytes + at + 1, strange.messages + at, strange.length - at);
            assert_int_equal(parse(made.bytes, strange.length + 1), ERR_FORMAT);
        }
}

/* Changes the length field WIDTH bytes wide AT by DELTA. */
static void change_length(size_t at, size_t width, int delta)
{
    uint64_t value = 0;
    size_t length = made.length;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | made.bytes[at + i];
    made.length = at;
    put_number(&made, value + (uint64_t)delta, width);
    made.length = length;
}

static void assert_length_matters(size_t at, size_t width)
{
    static const int deltas[] = {-1, 1};
    for (size_t i = 0; i < sizeof deltas / sizeof deltas[0]; i++) {
        change_length(at, width, deltas[i]);
        assert_int_equal(parse(made.bytes, made.length), ERR_FORMAT);
        change_length(at, width, -deltas[i]);
    }
    assert_int_equal(parse(made.bytes, made.length), 0);
}

static void every_length_field_is_exact(void **state)
{
    static struct parts parts;
    (void)state;
    split_parts(&parts, strange.messages, strange.length);
    compose(&made, &parts);
    assert_true(made.length_count > HANDSHAKE_STRANGE + 15);
    for (size_t i = 0; i < made.length_count; i++)
        assert_length_matters(made.lengths[i].at, made.lengths[i].width);
    size_t name = (size_t)(parts.client.extensions[find_extension(&parts.client, 0)].data.bytes -
                           strange.messages);
    assert_length_matters(name, 2);     /* of the list of names */
    assert_length_matters(name + 3, 2); /* of its only one */
}

/* ---- which messages ---- */

static struct piece message[HANDSHAKE_MESSAGES];

static int parse_pieces(const struct piece *pieces, size_t count)
{
    made.length = 0;
    for (size_t i = 0; i < count; i++)
        put_piece(&made, pieces[i]);
    return parse(made.bytes, made.length);
}

static void a_message_that_is_missing_twice_or_elsewhere_is_refused(void **state)
{
    struct piece pieces[HANDSHAKE_MESSAGES + 1];
    (void)state;
    split_messages(message, HANDSHAKE_MESSAGES, shake.messages, shake.length);
    assert_int_equal(parse_pieces(message, HANDSHAKE_MESSAGES), 0);
    for (size_t i = 0; i < HANDSHAKE_MESSAGES; i++) {
        memcpy(pieces, message, sizeof message); /* without i */
        memmove(pieces + i, message + i + 1, (HANDSHAKE_MESSAGES - i - 1) * sizeof pieces[0]);
        assert_int_equal(parse_pieces(pieces, HANDSHAKE_MESSAGES - 1), ERR_FORMAT);
        memcpy(pieces, message, sizeof message); /* i twice */
        memcpy(pieces + i + 1, message + i, (HANDSHAKE_MESSAGES - i) * sizeof pieces[0]);
        assert_int_equal(parse_pieces(pieces, HANDSHAKE_MESSAGES + 1), ERR_FORMAT);
        for (size_t j = 0; j < HANDSHAKE_MESSAGES; j++) { /* i and j swapped, i in the place of j */
            memcpy(pieces, message, sizeof message);
            pieces[i] = message[j];
            assert_int_equal(parse_pieces(pieces, HANDSHAKE_MESSAGES), i == j ? 0 : ERR_FORMAT);
            pieces[j] = message[i];
            assert_int_equal(parse_pieces(pieces, HANDSHAKE_MESSAGES), i == j ? 0 : ERR_FORMAT);
        }
    }
    memcpy(pieces, message, sizeof message);
    for (size_t i = 0; i < HANDSHAKE_MESSAGES; i++) /* all of it twice */
        put_piece(&made, message[i]);
    made.length = 2 * shake.length;
    assert_int_equal(parse(made.bytes, made.length), ERR_FORMAT);
}

static void another_message_before_between_or_after_is_refused(void **state)
{
    /* HelloRequest, NewSessionTicket, ServerKeyExchange, CertificateRequest, a client's Certificate,
     * CertificateVerify, Finished, CertificateURL, CertificateStatus, SupplementalData, an unknown one */
    static const uint8_t types[] = {0, 4, 12, 13, 11, 15, 20, 21, 22, 23, 99};
    static const size_t bodies[] = {0, 1, 4, 300};
    static uint8_t other[304];
    struct piece pieces[HANDSHAKE_MESSAGES + 1];
    (void)state;
    split_messages(message, HANDSHAKE_MESSAGES, shake.messages, shake.length);
    for (size_t i = 0; i < sizeof types; i++)
        for (size_t j = 0; j < sizeof bodies / sizeof bodies[0]; j++)
            for (size_t at = 0; at <= HANDSHAKE_MESSAGES; at++) {
                memcpy(other, (uint8_t[]){types[i], 0, (uint8_t)(bodies[j] >> 8), (uint8_t)bodies[j]}, 4);
                memcpy(pieces, message, at * sizeof pieces[0]);
                pieces[at] = (struct piece){other, 4 + bodies[j]};
                memcpy(pieces + at + 1, message + at, (HANDSHAKE_MESSAGES - at) * sizeof pieces[0]);
                assert_int_equal(parse_pieces(pieces, HANDSHAKE_MESSAGES + 1), ERR_FORMAT);
            }
}

static void a_message_of_another_type_is_refused(void **state)
{
    (void)state;
    split_messages(message, HANDSHAKE_MESSAGES, shake.messages, shake.length);
    assert_int_equal(parse_pieces(message, HANDSHAKE_MESSAGES), 0);
    for (size_t i = 0; i < HANDSHAKE_MESSAGES; i++) {
        uint8_t *type = made.bytes + (message[i].bytes - shake.messages), right = *type;
        for (unsigned value = 0; value < 256; value++) {
            *type = (uint8_t)value;
            assert_int_equal(parse(made.bytes, made.length), value == right ? 0 : ERR_FORMAT);
        }
        *type = right;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_that_openssl_offers_is_read_and_hashed_alike),
        cmocka_unit_test(every_kind_of_client_is_read),
        cmocka_unit_test(taken_apart_and_put_together_it_is_the_same),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(one_byte_less_or_more_anywhere_is_refused),
        cmocka_unit_test(every_length_field_is_exact),
        cmocka_unit_test(a_message_that_is_missing_twice_or_elsewhere_is_refused),
        cmocka_unit_test(another_message_before_between_or_after_is_refused),
        cmocka_unit_test(a_message_of_another_type_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
