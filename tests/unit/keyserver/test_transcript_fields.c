/* One field of a real transcript is changed at a time: what must be refused is, and what need not matter does
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyserver/vault/request/transcript.h"
#include "tests/unit/keyserver/handshake.h"
#include "tests/unit/keyserver/parts.h"

#define SERVER_NAME            0
#define EXTENDED_MASTER_SECRET 23
#define SUPPORTED_VERSIONS     43
#define EXTENSIONS_MOST        600 /* far above what any client sends */

static struct handshake shake;
static struct parts parts; /* of it; every test has them fresh */
static struct composed made;
static struct transcript transcript; /* of what `parse` has read last */

static int start(void **state)
{
    (void)state;
    if (secret_init() != 0)
        return -1;
    EVP_PKEY *pkey = keys_rsa(2048);
    handshake_run(&shake, &(struct handshake_wish){.pkey = pkey,
                                                   .ciphers = HANDSHAKE_SUITES_OF_ALL,
                                                   .server_name = "www.example.com",
                                                   .alpn = "http/1.1",
                                                   .tickets = true,
                                                   .tls13 = true});
    EVP_PKEY_free(pkey);
    return 0;
}

static int refresh(void **state)
{
    (void)state;
    split_parts(&parts, shake.messages, shake.length);
    return 0;
}

static int parse(void)
{
    compose(&made, &parts);
    return transcript_parse(&transcript, made.bytes, made.length);
}

static struct piece number(uint16_t value)
{
    static uint8_t bytes[2];
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
    return (struct piece){bytes, 2};
}

/* ---- versions, sessions, compression ---- */

/* A client that would like a later version best has TLS 1.2 all the same. */
static void a_client_says_tls12_or_more_and_the_server_tls12(void **state)
{
    (void)state;
    drop_extension(&parts.client, SUPPORTED_VERSIONS);
    for (unsigned version = 0; version < 0x10000; version++) {
        parts.client.version = (uint16_t)version;
        assert_int_equal(parse(), version >= 0x0303 ? 0 : ERR_FORMAT);
        assert_int_equal(transcript.client_version, version);
        parts.client.version = 0x0303;
        parts.server.version = (uint16_t)version;
        assert_int_equal(parse(), version == 0x0303 ? 0 : ERR_FORMAT);
        parts.server.version = 0x0303;
    }
}

/* Beside a list of versions the other field says nothing. */
static void a_client_that_lists_tls12_offers_it_whatever_else_it_says(void **state)
{
    static const struct {
        uint8_t bytes[8];
        size_t length;
        int result;      /* with a legacy_version below TLS 1.2 */
        bool is_no_list; /* as TLS libraries, too, see it */
    } lists[] = {
        {{2, 3, 3}, 3, 0, false},
        {{4, 3, 4, 3, 3}, 5, 0, false},
        {{6, 3, 3, 3, 4, 0x5a, 0x5a}, 7, 0, false},
        {{2, 3, 4}, 3, ERR_FORMAT, false},
        {{4, 3, 4, 3, 2}, 5, ERR_FORMAT, false},
        {{0}, 1, ERR_FORMAT, true},
        {{0}, 0, ERR_FORMAT, true},
        {{3, 3, 3, 3}, 4, ERR_FORMAT, true},     /* half a version more */
        {{2, 3, 3, 0}, 4, ERR_FORMAT, true},     /* a byte behind the list */
        {{4, 3, 3, 3}, 4, ERR_FORMAT, true},     /* a list that goes on */
        {{4, 4, 3, 3, 4}, 5, ERR_FORMAT, false}, /* between two */
    };
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        drop_extension(&parts.client, SUPPORTED_VERSIONS);
        add_extension(&parts.client, SUPPORTED_VERSIONS, lists[i].bytes, lists[i].length);
        for (unsigned version = 0; version <= 0x0303; version++) {
            parts.client.version = (uint16_t)version;
            assert_int_equal(parse(), version == 0x0303 && !lists[i].is_no_list ? 0 : lists[i].result);
            assert_int_equal(transcript.client_version, version);
        }
    }
}

static void a_client_that_speaks_tls13_too_is_read_and_a_server_that_chose_it_is_not(void **state)
{
    static const uint8_t tls13[] = {3, 4};
    (void)state;
    assert_true(has_extension(&parts.client, SUPPORTED_VERSIONS));
    assert_int_equal(parse(), 0);
    drop_extension(&parts.client, SUPPORTED_VERSIONS);
    assert_int_equal(parse(), 0);
    for (size_t length = 0; length <= 2; length++) {
        add_extension(&parts.server, SUPPORTED_VERSIONS, tls13, length);
        assert_int_equal(parse(), ERR_FORMAT);
        drop_extension(&parts.server, SUPPORTED_VERSIONS);
    }
    assert_int_equal(parse(), 0);
}

static void the_servers_session_id_has_32_bytes_and_the_clients_at_most(void **state)
{
    static const uint8_t bytes[255] = {7};
    (void)state;
    for (size_t length = 0; length <= sizeof bytes; length++) {
        parts.server.session_id = (struct piece){bytes, length};
        assert_int_equal(parse(), length == SESSION_ID_SIZE ? 0 : ERR_FORMAT);
    }
    parts.server.session_id.length = SESSION_ID_SIZE;
    for (size_t length = 0; length <= sizeof bytes; length++) {
        parts.client.session_id = (struct piece){bytes, length};
        assert_int_equal(parse(), length <= 32 ? 0 : ERR_FORMAT);
    }
}

static void no_compression_is_offered_and_chosen(void **state)
{
    static const uint8_t lists[] = {1, 64, 0, 1, 255};
    (void)state;
    parts.client.compression = (struct piece){lists, 0}; /* none at all */
    assert_int_equal(parse(), ERR_FORMAT);
    parts.client.compression = (struct piece){lists, 2}; /* others only */
    assert_int_equal(parse(), ERR_FORMAT);
    for (size_t at = 0; at < 3; at++) { /* among others: last, between, first */
        parts.client.compression = (struct piece){lists + at, 3};
        assert_int_equal(parse(), 0);
    }
    for (unsigned method = 0; method < 256; method++) {
        parts.server.compression = (struct piece){&(uint8_t){(uint8_t)method}, 1};
        assert_int_equal(parse(), method == 0 ? 0 : ERR_FORMAT);
    }
}

/* ---- suites ---- */

/* Every suite with RSA key exchange that TLS 1.2 has and that is neither NULL nor RC4, DES or IDEA, with the
 * hash of its PRF: from IANA's registry. */
static const uint16_t suites_of_sha256[] = {0x000a, 0x002f, 0x0035, 0x003c, 0x003d, 0x0041,
                                            0x0084, 0x0096, 0x009c, 0x00ba, 0x00c0, 0xc03c,
                                            0xc050, 0xc07a, 0xc09c, 0xc09d, 0xc0a0, 0xc0a1};
static const uint16_t suites_of_sha384[] = {0x009d, 0xc03d, 0xc051, 0xc07b};

static unsigned hash_of(uint16_t suite)
{
    for (size_t i = 0; i < sizeof suites_of_sha256 / sizeof suites_of_sha256[0]; i++)
        if (suites_of_sha256[i] == suite)
            return 256;
    for (size_t i = 0; i < sizeof suites_of_sha384 / sizeof suites_of_sha384[0]; i++)
        if (suites_of_sha384[i] == suite)
            return 384;
    return 0;
}

static void exactly_the_suites_with_rsa_key_exchange_are_read(void **state)
{
    uint8_t offered[4] = {0x13, 0x01};
    (void)state;
    parts.client.suites = (struct piece){offered, sizeof offered};
    for (unsigned suite = 0; suite < 0x10000; suite++) {
        parts.server.suites = number((uint16_t)suite);
        memcpy(offered + 2, parts.server.suites.bytes, 2);
        unsigned hash = hash_of((uint16_t)suite);
        assert_int_equal(parse(), hash != 0 ? 0 : ERR_FORMAT);
        if (hash == 0)
            continue;
        assert_int_equal(transcript.cipher_suite, suite);
        assert_int_equal(transcript.prf_bits, hash);
    }
}

static void a_suite_that_was_not_offered_is_refused(void **state)
{
    uint8_t list[2 * sizeof suites_of_sha256 / sizeof suites_of_sha256[0]];
    size_t count = sizeof list / 2;
    (void)state;
    for (size_t i = 0; i < count; i++)
        memcpy(list + 2 * i, number(suites_of_sha256[i]).bytes, 2);
    parts.client.suites = (struct piece){list, sizeof list};
    for (size_t i = 0; i < count; i++) {
        parts.server.suites = number(suites_of_sha256[i]); /* wherever it stands */
        assert_int_equal(parse(), 0);
        memcpy(list + 2 * i, (const uint8_t[]){0x13, 0x01}, 2);
        assert_int_equal(parse(), ERR_FORMAT);
        memcpy(list + 2 * i, number(suites_of_sha256[i]).bytes, 2);
    }
    parts.server.suites = number(0x009d);
    assert_int_equal(parse(), ERR_FORMAT);
    for (size_t length = 0; length <= sizeof list; length++) { /* whole numbers, and at least the one */
        parts.client.suites.length = length;
        parts.server.suites = number(suites_of_sha256[0]);
        assert_int_equal(parse(), length > 0 && length % 2 == 0 ? 0 : ERR_FORMAT);
    }
}

/* The two bytes of a suite, but half in one number and half in the next. */
static void a_suite_is_not_found_between_two(void **state)
{
    static const uint8_t list[] = {0x13, 0x00, 0x9c, 0x01};
    (void)state;
    parts.client.suites = (struct piece){list, sizeof list};
    parts.server.suites = number(0x009c);
    assert_int_equal(parse(), ERR_FORMAT);
}

/* ---- extensions ---- */

static void extended_master_secret_stands_in_both_hellos(void **state)
{
    struct hello_parts *hellos[] = {&parts.client, &parts.server};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        drop_extension(hellos[i], EXTENDED_MASTER_SECRET);
        assert_int_equal(parse(), ERR_FORMAT);
        add_extension(hellos[i], EXTENDED_MASTER_SECRET, "", 0);
        assert_int_equal(parse(), 0);
        drop_extension(hellos[i], EXTENDED_MASTER_SECRET);
        add_extension(hellos[i], EXTENDED_MASTER_SECRET, "x", 1); /* as OpenSSL takes it */
        assert_int_equal(parse(), 0);
        hellos[i]->extension_count = 0; /* a list without any */
        assert_int_equal(parse(), ERR_FORMAT);
        hellos[i]->has_extensions = false; /* no list */
        assert_int_equal(parse(), ERR_FORMAT);
        refresh(state);
    }
}

static void an_extension_that_is_looked_at_is_there_once(void **state)
{
    struct hello_parts *hellos[] = {&parts.client, &parts.server};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < hellos[i]->extension_count; j++) {
            struct extension_part again = hellos[i]->extensions[j];
            bool matters = again.type == SERVER_NAME || again.type == EXTENDED_MASTER_SECRET ||
                           again.type == SUPPORTED_VERSIONS;
            add_extension(hellos[i], again.type, again.data.bytes, again.data.length);
            assert_int_equal(parse(), matters ? ERR_FORMAT : 0);
            hellos[i]->extension_count--;
            assert_int_equal(parse(), 0);
        }
}

static void any_number_of_extensions_that_nobody_knows_is_passed_over(void **state)
{
    static const uint8_t data[100] = {23, 0, 0, 43};
    struct hello_parts *hellos[] = {&parts.client, &parts.server};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (uint16_t type = 0x7000; hellos[i]->extension_count < EXTENSIONS_MOST; type++) {
            add_extension(hellos[i], type, data, type % sizeof data);
            assert_int_equal(parse(), 0);
        }
        refresh(state);
    }
}

static void nothing_follows_the_extensions(void **state)
{
    (void)state;
    parts.client.rest = (struct piece){(const uint8_t *)"", 1};
    assert_int_equal(parse(), ERR_FORMAT);
    refresh(state);
    parts.server.rest = (struct piece){(const uint8_t *)"", 1};
    assert_int_equal(parse(), ERR_FORMAT);
}

/* ---- the name ---- */

static uint8_t name_data[1024];

/* A server_name extension with a list of COUNT times NAME, of TYPE. */
static void set_names(const void *name, size_t length, uint8_t type, size_t count)
{
    static struct composed list;
    list.length = list.length_count = 0;
    size_t whole = begin_length(&list, 2);
    for (size_t i = 0; i < count; i++) {
        put_number(&list, type, 1);
        put_counted(&list, (struct piece){name, length}, 2);
    }
    end_length(&list, whole);
    assert_true(list.length <= sizeof name_data);
    memcpy(name_data, list.bytes, list.length);
    parts.client.extensions[find_extension(&parts.client, SERVER_NAME)].data = (struct piece){name_data,
                                                                                              list.length};
}

static void the_name_comes_out_in_lower_case(void **state)
{
    (void)state;
    assert_int_equal(parse(), 0);
    assert_string_equal(transcript.server_name, "www.example.com");
    set_names("AZaz09-_.@[`{xN--\x7e", 18, 0, 1);
    assert_int_equal(parse(), 0);
    assert_string_equal(transcript.server_name, "azaz09-_.@[`{xn--\x7e");
    drop_extension(&parts.client, SERVER_NAME);
    assert_int_equal(parse(), 0);
    assert_string_equal(transcript.server_name, "");
    add_extension(&parts.server, SERVER_NAME, "", 0); /* the server's says only that it was heard */
    assert_int_equal(parse(), 0);
    assert_string_equal(transcript.server_name, "");
}

/* Edges serve such clients, so nothing is refused for it; logs and records escape it. */
static void a_name_may_have_any_character_but_zero(void **state)
{
    (void)state;
    set_names("www.a\"b\\c d.example", 19, 0, 1);
    assert_int_equal(parse(), 0);
    assert_string_equal(transcript.server_name, "www.a\"b\\c d.example");
    set_names("www\0.example", 12, 0, 1);
    assert_int_equal(parse(), ERR_FORMAT);
    assert_string_equal(transcript.server_name, "");
    for (unsigned character = 0; character < 256; character++)
        for (size_t at = 0; at < 3; at++) {
            char name[] = "abc";
            name[at] = (char)character;
            set_names(name, 3, 0, 1);
            assert_int_equal(parse(), character != 0 ? 0 : ERR_FORMAT);
        }
}

static void a_name_has_1_to_255_characters(void **state)
{
    char name[257];
    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t length = 0; length <= sizeof name; length++) {
        set_names(name, length, 0, 1);
        assert_int_equal(parse(), length >= 1 && length < TRANSCRIPT_NAME_SIZE ? 0 : ERR_FORMAT);
        if (length >= 1 && length < TRANSCRIPT_NAME_SIZE)
            assert_int_equal(strlen(transcript.server_name), length);
    }
}

static void exactly_one_host_name_is_asked_for(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        set_names("a.example", 9, (uint8_t)type, 1);
        assert_int_equal(parse(), type == 0 ? 0 : ERR_FORMAT);
    }
    for (size_t count = 0; count < 4; count++) {
        set_names("a.example", 9, 0, count);
        assert_int_equal(parse(), count == 1 ? 0 : ERR_FORMAT);
    }
    struct piece *data = &parts.client.extensions[find_extension(&parts.client, SERVER_NAME)].data;
    set_names("a.example", 9, 0, 1);
    size_t whole = data->length;
    for (data->length = 0; data->length <= whole + 1; data->length++)
        assert_int_equal(parse(), data->length == whole ? 0 : ERR_FORMAT);
}

/* ---- the rest ---- */

static void server_hello_done_is_empty(void **state)
{
    (void)state;
    parts.done = (struct piece){(const uint8_t *)"", 1};
    assert_int_equal(parse(), ERR_FORMAT);
}

static void the_key_exchange_is_a_ciphertext_and_no_more(void **state)
{
    static const uint8_t bytes[0x10000];
    (void)state;
    parts.exchange_rest = (struct piece){bytes, 1};
    assert_int_equal(parse(), ERR_FORMAT);
    refresh(state);
    for (size_t length = 0; length < 1000; length++) { /* whether it fits the key is the gate's matter */
        parts.ciphertext = (struct piece){bytes, length};
        assert_int_equal(parse(), length > 0 ? 0 : ERR_FORMAT);
        assert_int_equal(transcript.ciphertext_length, length);
    }
    parts.ciphertext.length = 0xffff;
    parts.certificate.length = 0; /* to have the room */
    assert_int_equal(parse(), 0);
    assert_int_equal(transcript.ciphertext_length, 0xffff);
}

static void hash_now(uint8_t out[static TRANSCRIPT_HASH_MAX])
{
    assert_int_equal(parse(), 0);
    memset(out, 0, TRANSCRIPT_HASH_MAX);
    assert_int_equal(transcript_hash(&transcript, out), 0);
}

/* Replaces what PIECE points to by as many other bytes. */
static void replace(struct piece *piece)
{
    static uint8_t other[4096];
    assert_true(piece->length > 0 && piece->length <= sizeof other);
    for (size_t i = 0; i < piece->length; i++)
        other[i] = piece->bytes[i] ^ 0x80;
    piece->bytes = other;
}

/* Randoms, session ids, certificate, ciphertext, order of suites: all of it goes into the hash. */
static void what_need_not_matter_is_read_and_gives_another_hash(void **state)
{
    struct piece *pieces[] = {&parts.client.random,
                              &parts.server.random,
                              &parts.client.session_id,
                              &parts.server.session_id,
                              &parts.certificate,
                              &parts.ciphertext,
                              &parts.client.extensions[parts.client.extension_count - 1].data};
    uint8_t before[TRANSCRIPT_HASH_MAX], after[TRANSCRIPT_HASH_MAX], twice[128];
    (void)state;
    hash_now(before);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        replace(pieces[i]);
        hash_now(after);
        assert_memory_not_equal(after, before, 32);
        refresh(state);
    }
    parts.certificate.length = 0; /* it is hashed, and not looked into */
    hash_now(after);
    assert_memory_not_equal(after, before, 32);
    refresh(state);
    assert_true(2 * parts.client.suites.length <= sizeof twice);
    memcpy(twice, parts.client.suites.bytes, parts.client.suites.length);
    memcpy(twice + parts.client.suites.length, parts.client.suites.bytes, parts.client.suites.length);
    parts.client.suites = (struct piece){twice, 2 * parts.client.suites.length};
    hash_now(after);
    assert_memory_not_equal(after, before, 32);
    refresh(state);
    struct extension_part first = parts.client.extensions[0];
    parts.client.extensions[0] = parts.client.extensions[1];
    parts.client.extensions[1] = first;
    hash_now(after);
    assert_memory_not_equal(after, before, 32);
    refresh(state);
    hash_now(after);
    assert_memory_equal(after, before, sizeof after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_client_says_tls12_or_more_and_the_server_tls12, refresh),
        cmocka_unit_test_setup(a_client_that_lists_tls12_offers_it_whatever_else_it_says, refresh),
        cmocka_unit_test_setup(a_client_that_speaks_tls13_too_is_read_and_a_server_that_chose_it_is_not,
                               refresh),
        cmocka_unit_test_setup(the_servers_session_id_has_32_bytes_and_the_clients_at_most, refresh),
        cmocka_unit_test_setup(no_compression_is_offered_and_chosen, refresh),
        cmocka_unit_test_setup(exactly_the_suites_with_rsa_key_exchange_are_read, refresh),
        cmocka_unit_test_setup(a_suite_that_was_not_offered_is_refused, refresh),
        cmocka_unit_test_setup(a_suite_is_not_found_between_two, refresh),
        cmocka_unit_test_setup(extended_master_secret_stands_in_both_hellos, refresh),
        cmocka_unit_test_setup(an_extension_that_is_looked_at_is_there_once, refresh),
        cmocka_unit_test_setup(any_number_of_extensions_that_nobody_knows_is_passed_over, refresh),
        cmocka_unit_test_setup(nothing_follows_the_extensions, refresh),
        cmocka_unit_test_setup(the_name_comes_out_in_lower_case, refresh),
        cmocka_unit_test_setup(a_name_may_have_any_character_but_zero, refresh),
        cmocka_unit_test_setup(a_name_has_1_to_255_characters, refresh),
        cmocka_unit_test_setup(exactly_one_host_name_is_asked_for, refresh),
        cmocka_unit_test_setup(server_hello_done_is_empty, refresh),
        cmocka_unit_test_setup(the_key_exchange_is_a_ciphertext_and_no_more, refresh),
        cmocka_unit_test_setup(what_need_not_matter_is_read_and_gives_another_hash, refresh),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
