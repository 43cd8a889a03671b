#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/kdf.h>

#include "tests/unit/keyserver/vault_rig.h"
#include "tests/unit/keyserver/written_handshake.h"

static struct rig rig;

static int start(void **state)
{
    (void)state;
    rig_set_up(&rig);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_tear_down(&rig);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return rig_start(&rig) ? 0 : -1;
}

/* Every test ends with the wall closed, and every vault then with 0. */
static int tear_down(void **state)
{
    (void)state;
    return rig.pid == 0 ? 0 : rig_end(&rig);
}

/* ---- operations ---- */

static const struct {
    unsigned key;
    uint16_t scheme;
    bool tls13;
} signatures[] = {
    {HAS_RSA, SCHEME_RSA_PSS_RSAE_SHA256, true}, {HAS_RSA, SCHEME_RSA_PSS_RSAE_SHA384, true},
    {HAS_RSA, SCHEME_RSA_PSS_RSAE_SHA512, true}, {HAS_P256, SCHEME_ECDSA_P256_SHA256, true},
    {HAS_P384, SCHEME_ECDSA_P384_SHA384, true},  {HAS_ED25519, SCHEME_ED25519, true},
    {HAS_RSA, SCHEME_RSA_PKCS1_SHA256, false},   {HAS_RSA, SCHEME_RSA_PKCS1_SHA384, false},
    {HAS_RSA, SCHEME_RSA_PKCS1_SHA512, false},   {HAS_RSA, SCHEME_RSA_PSS_RSAE_SHA256, false},
    {HAS_P256, SCHEME_ECDSA_P256_SHA256, false}, {HAS_P256, SCHEME_ECDSA_P384_SHA384, false},
    {HAS_P384, SCHEME_ECDSA_P256_SHA256, false}, {HAS_P384, SCHEME_ECDSA_P521_SHA512, false},
    {HAS_ED25519, SCHEME_ED25519, false},
};
#define SIGNATURES (sizeof signatures / sizeof signatures[0])

static struct operation signature_operation(size_t which)
{
    EVP_PKEY *pkey = rig.pkey[signatures[which].key];
    return signatures[which].tls13 ? keys_tls13(pkey, signatures[which].scheme, which % 2 ? 32 : 48)
                                   : keys_tls12(pkey, signatures[which].scheme, CURVE_P256);
}

static void assert_signed(size_t which, const struct operation *operation, const struct outcome *outcome)
{
    assert_int_equal(outcome->status, STATUS_OK);
    assert_true(keys_verify(rig.pkey[signatures[which].key], operation, signatures[which].scheme,
                            outcome->bytes, outcome->length));
}

static void every_key_signs_by_every_scheme_it_can(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIGNATURES; i++) {
        struct operation operation = signature_operation(i);
        struct outcome outcome = rig_ask(&rig, EDGE_SIGNER, &operation);
        assert_signed(i, &operation, &outcome);
    }
}

static struct operation premaster_operation(unsigned class)
{
    uint8_t block[256], secret[TLS_PREMASTER_SIZE] = {3, 3};
    memset(secret + 2, 0x42, 46);
    keys_pad(block, sizeof block, secret);
    if (class == 1)
        block[1] = 1;
    if (class == 2)
        block[5] = 0;
    if (class == 3)
        block[256 - 49] = 1;
    if (class == 4)
        block[256 - 47] = 1; /* version */
    if (class == 5)
        memset(block + 1, 0, 254);
    return keys_premaster(rig.pkey[HAS_RSA], 0x0303, block);
}

static void a_premaster_comes_back_and_bad_ones_cannot_be_told_from_good(void **state)
{
    uint8_t secret[TLS_PREMASTER_SIZE] = {3, 3};
    (void)state;
    memset(secret + 2, 0x42, 46);
    for (unsigned class = 0; class < 6; class ++) {
        struct operation operation = premaster_operation(class);
        struct outcome first = rig_ask(&rig, EDGE_ALL, &operation),
                       second = rig_ask(&rig, EDGE_ALL, &operation);
        assert_int_equal(first.status, STATUS_OK);
        assert_int_equal(first.length, TLS_PREMASTER_SIZE);
        assert_memory_equal(&first, &second, sizeof first);
        assert_memory_equal(first.bytes, secret, 2);
        assert_int_equal(memcmp(first.bytes, secret, TLS_PREMASTER_SIZE) == 0, class == 0);
    }
    assert_null(strstr(rig_log(&rig), "pad")); /* the log does not tell them apart either */
    rig_await_stats(&rig);
    assert_int_equal(rig.stats.outcomes[OP_RSA_PREMASTER][STATUS_OK], 12);
    assert_int_equal(rig.stats.faults, 0);
}

static void replicas_answer_alike_and_strangers_to_the_group_do_not(void **state)
{
    static const uint8_t other_secret[32] = {7};
    char other[KEYS_PATH_SIZE + 32];
    struct fault fault;
    struct operation operation = premaster_operation(1);
    struct outcome first = rig_ask(&rig, EDGE_ALL, &operation);
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    assert_true(rig_start(&rig));
    struct outcome again = rig_ask(&rig, EDGE_ALL, &operation);
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(rig_end(&rig), 0);
    snprintf(other, sizeof other, "%s/other", rig.folder);
    assert_int_equal(identity_save_secret(other, other_secret, &fault), 0);
    rig.config.group_secret = other;
    assert_true(rig_start(&rig));
    struct outcome differs = rig_ask(&rig, EDGE_ALL, &operation);
    rig.config.group_secret = rig.secret_file;
    assert_memory_not_equal(first.bytes + 2, differs.bytes + 2, 46);
}

static void a_signature_block_as_ciphertext_gives_48_bytes(void **state)
{
    struct operation operation = {.kind = OP_RSA_PREMASTER};
    uint8_t *block = operation.u.rsa_premaster.ciphertext;
    (void)state;
    keys_id(rig.pkey[HAS_RSA], operation.key_id);
    operation.u.rsa_premaster.client_version = 0x0303;
    operation.u.rsa_premaster.ciphertext_length = 256;
    memset(block, 0xff, 256);
    block[0] = 0;
    block[1] = 1;
    block[204] = 0;
    struct outcome outcome = rig_ask(&rig, EDGE_ALL, &operation);
    assert_int_equal(outcome.status, STATUS_OK);
    assert_int_equal(outcome.length, TLS_PREMASTER_SIZE);
    assert_int_equal(outcome.bytes[0], 3);
    assert_int_equal(outcome.bytes[1], 3);
}

/* ---- bound mode ---- */

/* What the vault gives EDGE to mark its sessions with. */
static void ask_epoch(unsigned edge, uint8_t key[static EPOCH_KEY_SIZE])
{
    struct wall_request request = {.kind = WALL_EPOCH_WANTED};
    rig_edge_key(request.edge_key, edge);
    rig_send(&rig, &request, 1);
    const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
    assert_non_null(answer);
    assert_int_equal(answer->kind, WALL_EPOCH);
    assert_memory_equal(answer->u.epoch.edge_key, request.edge_key, 32);
    assert_in_range(answer->u.epoch.left_ms, 30000, 60000);
    memcpy(key, answer->u.epoch.key, EPOCH_KEY_SIZE);
}

/* RFC 7627, 4, with OpenSSL's PRF. */
static void master_of(uint8_t out[static TLS_MASTER_SIZE], const struct handshake *handshake,
                      const uint8_t premaster[static TLS_PREMASTER_SIZE])
{
    uint8_t seed[22 + 32] = "extended master secret", secret[TLS_PREMASTER_SIZE];
    char digest[] = "SHA256";
    sha256(seed + 22, handshake->messages, handshake->length);
    memcpy(secret, premaster, sizeof secret);
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, sizeof secret),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
        OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    assert_int_equal(EVP_KDF_derive(context, out, TLS_MASTER_SIZE, parameters), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static void a_handshake_of_this_epoch_gives_its_master_secret_to_its_edge_alone(void **state)
{
    uint8_t epoch[EPOCH_KEY_SIZE], random[SESSION_ID_RANDOM_SIZE] = {5}, session[SESSION_ID_SIZE];
    uint8_t premaster[TLS_PREMASTER_SIZE] = {3, 3, 7}, expected[TLS_MASTER_SIZE];
    struct handshake handshake;
    (void)state;
    ask_epoch(EDGE_SIGNER, epoch);
    session_id_make(session, epoch, random);
    handshake_make(&handshake, rig.pkey[HAS_RSA], "www.example.com", session, premaster);
    struct operation operation = handshake_operation(&handshake, rig.pkey[HAS_RSA]);
    struct outcome outcome = rig_ask(&rig, EDGE_SIGNER, &operation);
    assert_int_equal(outcome.status, STATUS_OK);
    assert_int_equal(outcome.length, TLS_MASTER_SIZE);
    master_of(expected, &handshake, premaster);
    assert_memory_equal(outcome.bytes, expected, sizeof expected);
    assert_int_equal(rig_ask(&rig, EDGE_ALL, &operation).status, STATUS_REFUSED);
    assert_non_null(rig_find_in_log(&rig, "edge=edge0 op=rsa_master key=rsa reason=session_id"));
}

static void an_edge_without_rsa_master_is_told_that_it_has_no_epoch(void **state)
{
    static const unsigned edges[] = {EDGE_OTHER_KEY, EDGE_STRANGER}; /* no key could grant it; no edge */
    static const uint8_t none[EPOCH_KEY_SIZE];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct wall_request request = {.kind = WALL_EPOCH_WANTED};
        rig_edge_key(request.edge_key, edges[i]);
        rig_send(&rig, &request, 1);
        const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
        assert_non_null(answer);
        assert_int_equal(answer->kind, WALL_EPOCH);
        assert_memory_equal(answer->u.epoch.edge_key, request.edge_key, 32);
        assert_int_equal(answer->u.epoch.number, 0);
        assert_memory_equal(answer->u.epoch.key, none, sizeof none);
    }
}

/* ---- policy ---- */

static int tear_down_policy(void **state)
{
    rig.config.key_default.modes.count = 2;
    rig.config.key_sections = (struct config_sections){.count = 0};
    return tear_down(state);
}

static void plain_mode_is_refused_where_only_bound_is_allowed(void **state)
{
    struct operation operation = premaster_operation(0), list = {.kind = OP_KEYS};
    (void)state;
    rig.config.key_default.modes.count = 1;
    assert_true(rig_start(&rig));
    assert_int_equal(rig_ask(&rig, EDGE_ALL, &operation).status, STATUS_REFUSED);
    assert_non_null(rig_find_in_log(
        &rig, "edge=edge0 op=rsa_premaster key=rsa reason=mode_not_granted hint=\"list the mode in modes"));
    struct wall_request request = rig_request(7, EDGE_ALL, &list);
    rig_send(&rig, &request, 1);
    const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
    assert_non_null(answer);
    for (size_t i = 0; i < answer->u.keys.count; i++)
        assert_int_equal(answer->u.keys.item[i].operations & 1u << OP_RSA_PREMASTER, 0);
}

static void a_quota_ends_at_its_number(void **state)
{
    struct operation operation = signature_operation(3);
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rig_ask(&rig, EDGE_FEW, &operation).status, STATUS_OK);
    assert_int_equal(rig_ask(&rig, EDGE_FEW, &operation).status, STATUS_REFUSED);
    assert_int_equal(rig_ask(&rig, EDGE_SIGNER, &operation).status, STATUS_OK);
    assert_non_null(
        rig_find_in_log(&rig, "edge=edge5 op=sign_tls13 key=p256 reason=quota hint=\"raise quota="));
}

static void sections_of_keys_are_followed_and_idle_ones_told(void **state)
{
    char name[] = "p256", nobody[] = "nobody", place[] = "server.conf:1";
    char id[2 * KEY_ID_SIZE + 1], title[sizeof id + 16];
    uint8_t key_id[KEY_ID_SIZE];
    struct key_rules sections[3] = {{.title = name}, {.title = nobody}, {.title = id}};
    struct operation p256 = signature_operation(3), ed25519 = signature_operation(5),
                     rsa = signature_operation(0);
    (void)state;
    keys_id(rig.pkey[HAS_ED25519], key_id);
    hex_encode(id, key_id, sizeof key_id);
    sections[0].place[KEY_OPERATIONS] = sections[2].place[KEY_OPERATIONS] = place; /* for nothing */
    rig.config.key_sections = (struct config_sections){.item = sections, .count = 3};
    assert_true(rig_start(&rig));
    assert_int_equal(rig_ask(&rig, EDGE_ALL, &p256).status, STATUS_REFUSED);
    assert_int_equal(rig_ask(&rig, EDGE_ALL, &ed25519).status, STATUS_REFUSED);
    assert_int_equal(rig_ask(&rig, EDGE_ALL, &rsa).status, STATUS_OK);
    assert_non_null(rig_find_in_log(&rig, "event=key_section_idle error=\"key nobody: "));
    assert_null(strstr(rig_log(&rig), "error=\"key p256: "));
    assert_null(strstr(rig_log(&rig), strcat(strcpy(title, "error=\"key "), id)));
}

static void two_sections_for_one_key_end_it_with_2(void **state)
{
    char name[] = "rsa", id[2 * KEY_ID_SIZE + 1];
    uint8_t key_id[KEY_ID_SIZE];
    struct key_rules sections[2] = {{.title = id}, {.title = name}};
    (void)state;
    keys_id(rig.pkey[HAS_RSA], key_id);
    hex_encode(id, key_id, sizeof key_id);
    rig.config.key_sections = (struct config_sections){.item = sections, .count = 2};
    assert_false(rig_start(&rig));
    assert_int_equal(rig_end(&rig), 2);
    assert_non_null(rig_find_in_log(&rig, "two sections for one key; join them"));
}

/* ---- the list of keys ---- */

static void keys_are_listed_with_what_the_edge_may_ask_of_them(void **state)
{
    static const enum key_type types[] = {KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_ED25519};
    const uint32_t sign = 1u << OP_SIGN_TLS12 | 1u << OP_SIGN_TLS13;
    struct operation operation = {.kind = OP_KEYS};
    (void)state;
    for (unsigned edge = EDGE_ALL; edge <= EDGE_OTHER_KEY; edge++) {
        struct wall_request request = rig_request(7, edge, &operation);
        rig_send(&rig, &request, 1);
        const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
        assert_non_null(answer);
        assert_int_equal(answer->kind, WALL_KEYS);
        assert_int_equal(answer->token, 7);
        assert_int_equal(answer->more, 0);
        assert_int_equal(answer->u.keys.count, edge == EDGE_OTHER_KEY ? 0 : 4);
        for (size_t i = 0; i < answer->u.keys.count; i++) {
            const struct key_info *info = &answer->u.keys.item[i];
            uint8_t id[KEY_ID_SIZE];
            size_t which = 0;
            do
                keys_id(rig.pkey[which], id);
            while (memcmp(id, info->key_id, KEY_ID_SIZE) != 0 && ++which < KEY_COUNT);
            assert_true(which < KEY_COUNT);
            assert_int_equal(info->type, types[which]);
            uint32_t exchange = 1u << OP_RSA_MASTER | (edge == EDGE_ALL ? 1u << OP_RSA_PREMASTER : 0);
            assert_int_equal(info->operations, sign | (which == HAS_RSA ? exchange : 0));
        }
    }
}

static void many_keys_are_listed_in_parts(void **state)
{
    char name[32];
    struct operation operation = {.kind = OP_KEYS};
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    for (unsigned i = 0; i < 17; i++) { /* 21 in all: 10, 10 and 1 */
        EVP_PKEY *pkey = keys_edwards("ED25519");
        snprintf(name, sizeof name, "more%u.pem", i);
        keys_write(rig.keys, name, pkey);
        EVP_PKEY_free(pkey);
    }
    assert_true(rig_start(&rig));
    struct wall_request request = rig_request(9, EDGE_ALL, &operation);
    rig_send(&rig, &request, 1);
    for (unsigned part = 0; part < 3; part++) {
        const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
        assert_non_null(answer);
        assert_int_equal(answer->kind, WALL_KEYS);
        assert_int_equal(answer->u.keys.count, part == 2 ? 1 : 10);
        assert_int_equal(answer->more, part < 2);
    }
    for (unsigned i = 0; i < 17; i++) {
        char path[KEYS_PATH_SIZE + 64];
        snprintf(path, sizeof path, "%s/more%u.pem", rig.keys, i);
        assert_int_equal(unlink(path), 0);
    }
}

/* ---- refusals ---- */

static void every_refusal_looks_alike_outside_and_is_named_in_the_log(void **state)
{
    struct operation good = signature_operation(0), unknown_key = good, scheme = good, structure = good,
                     unknown_operation = good, decrypt = premaster_operation(0);
    (void)state;
    unknown_key.key_id[0] ^= 1;
    scheme.u.sign_tls13.scheme = SCHEME_RSA_PKCS1_SHA256;
    structure.u.sign_tls13.hash_length = 20;
    unknown_operation.kind = OP_KINDS;
    const struct {
        unsigned edge;
        const struct operation *operation;
        enum refusal reason;
        const char *names; /* in the log line */
    } cases[] = {
        {EDGE_STRANGER, &good, REFUSAL_UNKNOWN_EDGE, "edge=unknown op=sign_tls13"},
        {EDGE_ELSEWHERE, &good, REFUSAL_FROM, "edge=edge3 op=sign_tls13"},
        {EDGE_EXPIRED, &good, REFUSAL_VALIDITY, "edge=edge4 op=sign_tls13 key=rsa"},
        {EDGE_ALL, &unknown_key, REFUSAL_UNKNOWN_KEY, "edge=edge0 op=sign_tls13"},
        {EDGE_OTHER_KEY, &good, REFUSAL_KEY_NOT_GRANTED, "edge=edge2 op=sign_tls13 key=rsa"},
        {EDGE_SIGNER, &decrypt, REFUSAL_OPERATION_NOT_GRANTED, "edge=edge1 op=rsa_premaster key=rsa"},
        {EDGE_ALL, &unknown_operation, REFUSAL_UNKNOWN_OPERATION, "edge=edge0 op=unknown"},
        {EDGE_ALL, &scheme, REFUSAL_SCHEME, "edge=edge0 op=sign_tls13 key=rsa"},
        {EDGE_ALL, &structure, REFUSAL_STRUCTURE, "edge=edge0 op=sign_tls13 key=rsa"},
    };
    static const struct outcome refused = {.status = STATUS_REFUSED};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reason[64];
        assert_int_equal(rig_end(&rig),
                         0); /* a log of its own, which the limit of repetition cannot thin out */
        assert_true(rig_start(&rig));
        struct wall_request request = rig_request(0xabababababababab, cases[i].edge, cases[i].operation);
        rig_send(&rig, &request, 1);
        struct outcome outcome = rig_outcome(&rig, request.token);
        assert_memory_equal(&outcome, &refused, sizeof refused);
        snprintf(reason, sizeof reason, "reason=%s hint=\"", refusal_name(cases[i].reason));
        const char *line = rig_find_in_log(&rig, "event=request_refused");
        assert_non_null(line);
        assert_non_null(strstr(line, cases[i].names));
        assert_non_null(strstr(line, reason));
        assert_non_null(strstr(line, "\" trace=abababababababababababababababab"));
    }
    assert_int_equal(rig_end(&rig), 0);
    assert_true(rig_start(&rig));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(rig_ask(&rig, cases[i].edge, cases[i].operation).status, STATUS_REFUSED);
    rig_await_stats(&rig); /* what it said at its start is behind it by now, or the next is asked for */
    if (rig.stats.refusals[REFUSAL_STRUCTURE] == 0)
        rig_await_stats(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(rig.stats.refusals[cases[i].reason], 1);
}

/* One slot of any content, as no sound net process would put it. */
static void put_raw(const void *content, size_t length)
{
    assert_int_equal(ring_put(&rig.wall.out, content, length, NULL, 0), 1);
    assert_int_equal(wall_send_requests(&rig.wall, NULL, 0), 0); /* publishes it */
}

static void garbage_is_refused_and_the_vault_goes_on(void **state)
{
    static const uint8_t junk[RING_CONTENT_MAX];
    struct wall_request slots[WALL_BATCH_MAX];
    unsigned expected = 0, got = 0;
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        random_bytes(slots, sizeof slots);
        for (size_t i = 0; i < WALL_BATCH_MAX; i++) {
            if (i % 4 > 0)
                slots[i].kind = WALL_OPERATION;
            if (i % 4 > 1)
                slots[i].from_family = 0;
            if (i % 4 > 2)
                slots[i].operation.kind = (enum operation_kind)(i % OP_KINDS);
            slots[i].operation.u.rsa_master.length |= UINT32_C(1) << 31; /* or it would swallow others */
            if (slots[i].kind == WALL_CANCEL)
                slots[i].kind = WALL_OPERATION;
            expected++;
        }
        for (size_t i = 0; i < WALL_BATCH_MAX; i++)
            put_raw(&slots[i], sizeof slots[i]);
        put_raw(junk, sizeof slots[0] - 1 - round); /* another size than a request's */
        for (; got < expected; got++) {
            const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
            assert_non_null(answer);
            assert_int_equal(answer->kind, WALL_OUTCOME);
            assert_int_equal(answer->u.outcome.status, STATUS_REFUSED);
        }
    }
    struct operation operation = signature_operation(3);
    struct outcome outcome = rig_ask(&rig, EDGE_ALL, &operation);
    assert_signed(3, &operation, &outcome);
}

/* Whoever took over the net process has moved a position to where it cannot be. */
static void a_ring_that_is_garbage_ends_the_vault_which_says_why(void **state)
{
    (void)state;
    rig.wall.out.ring->put += RING_SLOTS + 1;
    /* Wakes the vault, unless it has looked by itself and is gone. */
    assert_true(send(wall_fd(&rig.wall), "", 1, MSG_NOSIGNAL) == 1 || errno == EPIPE || errno == ECONNRESET);
    while (!rig.wall.cut)
        assert_true(wall_rig_wait(&rig.wall, 0, PATIENCE_MS));
    assert_int_equal(rig_end(&rig), 0);
    assert_non_null(rig_find_in_log(&rig, "event=wall_malformed"));
}

/* ---- load ---- */

static void ten_thousand_pipelined_requests_are_answered_once_each(void **state)
{
    enum { MANY = 10000 };
    static const size_t kinds[] = {3, 5, 3, 5, 3, 5, 3, 0}; /* mostly P-256 and Ed25519, some RSA */
    static struct operation asked[8];
    static uint8_t seen[MANY + 1];
    struct wall_request batch[WALL_BATCH_MAX];
    uint64_t sent = 0, got = 0;
    (void)state;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < 8; i++)
        asked[i] = signature_operation(kinds[i]);
    while (got < MANY) {
        size_t count = 0;
        for (; count < WALL_BATCH_MAX && sent + count < MANY; count++)
            batch[count] = rig_request(sent + count + 1, EDGE_ALL, &asked[(sent + count + 1) % 8]);
        int taken = wall_send_requests(&rig.wall, batch, count);
        assert_true(taken >= 0);
        sent += (uint64_t)taken;
        if (taken == 0)
            assert_true(
                wall_rig_wait(&rig.wall, count > 0 ? WALL_SLOTS | WALL_ROOM : WALL_SLOTS, PATIENCE_MS));
        for (const struct wall_answer *answer; (answer = rig_next(&rig, 0)) != NULL;) {
            assert_in_range(answer->token, 1, MANY);
            assert_int_equal(seen[answer->token]++, 0);
            if (answer->token % 50 == 0)
                assert_signed(kinds[answer->token % 8], &asked[answer->token % 8], &answer->u.outcome);
            assert_int_equal(answer->u.outcome.status, STATUS_OK);
            got++;
            if (got == MANY)
                break;
        }
    }
    assert_null(rig_next(&rig, 0));
}

/* Asks at most MOST times without reading an answer, until the vault takes no more; returns how often. */
static uint64_t ask_without_reading(uint64_t most)
{
    struct operation operation = signature_operation(5);
    uint64_t sent = 0;
    while (sent < most) {
        struct wall_request request = rig_request(sent + 1, EDGE_ALL, &operation);
        int taken = wall_send_requests(&rig.wall, &request, 1);
        assert_true(taken >= 0);
        sent += (uint64_t)taken;
        if (taken == 0 && !wall_rig_wait(&rig.wall, WALL_ROOM, 300))
            break; /* the vault takes no more before its answers are read */
    }
    return sent;
}

static void a_net_side_that_does_not_read_gets_everything_later(void **state)
{
    enum { MANY = 4000 };
    static uint8_t seen[MANY + 1];
    uint64_t sent = ask_without_reading(MANY), got = 0;
    (void)state;
    memset(seen, 0, sizeof seen);
    for (uint64_t expected = sent; got < expected; got++) {
        const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
        assert_non_null(answer);
        assert_int_equal(answer->u.outcome.status, STATUS_OK);
        assert_int_equal(seen[answer->token]++, 0);
    }
}

/* Reads COUNT answers and then on to the first figures of EPOCH or later. Returns how many older ones there
 * were, but for those that the ring had before it was full. */
static unsigned count_stale_figures(uint64_t count, uint64_t epoch)
{
    static struct wall_answer answers[WALL_BATCH_MAX];
    uint64_t got = 0;
    unsigned stale = 0;
    for (bool fresh = false; got < count || !fresh;) {
        int received = wall_receive_answers(&rig.wall, answers, WALL_BATCH_MAX);
        assert_true(received >= 0);
        if (received == 0)
            assert_true(wall_rig_wait(&rig.wall, WALL_SLOTS, PATIENCE_MS));
        for (int i = 0; i < received; i++) {
            bool figures = answers[i].kind == WALL_STATS;
            got += !figures;
            fresh = figures && answers[i].u.stats.epoch >= epoch;
            stale += figures && !fresh && got > RING_SLOTS;
        }
    }
    return stale;
}

/* Each epoch that begins has its figures, and nobody takes them. */
static void a_net_side_that_does_not_read_makes_no_figures_pile_up(void **state)
{
    enum { EPOCH_MS = 100, EPOCHS = 20 };
    (void)state;
    rig.config.epoch = EPOCH_MS;
    assert_true(rig_start(&rig));
    uint64_t sent = ask_without_reading(4000);
    assert_in_range(sent, RING_SLOTS + 1, UINT64_MAX);
    poll(NULL, 0, EPOCHS * EPOCH_MS);
    assert_in_range(count_stale_figures(sent, clock_unix_ms() / EPOCH_MS), 0, 1);
}

static int tear_down_epochs(void **state)
{
    rig.config.epoch = 30000;
    return tear_down(state);
}

static int set_up_with_lanes(void **state)
{
    rig.config.lanes = true;
    return set_up(state);
}

static int tear_down_with_lanes(void **state)
{
    rig.config.lanes = false;
    return tear_down(state);
}

/* Where the I/O thread does short work itself, what is granted is done in the turn that took it.
 * Otherwise each round would wait for the next thing that time brings, as figures do once a second: then
 * there would soon be many of them. */
static void a_refusal_beside_it_does_not_make_a_request_wait(void **state)
{
    struct operation operation = signature_operation(3);
    (void)state;
    rig_await_stats(&rig);
    unsigned before = rig.stats_heard;
    for (uint64_t token = 5000; token < 5200; token += 2) {
        const struct wall_request both[] = {rig_request(token, EDGE_OTHER_KEY, &operation),
                                            rig_request(token + 1, EDGE_SIGNER, &operation)};
        rig_send(&rig, both, 2);
        for (unsigned answers = 0; answers < 2; answers++) {
            const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
            assert_non_null(answer);
            assert_int_equal(answer->u.outcome.status, answer->token == token ? STATUS_REFUSED : STATUS_OK);
        }
        assert_true(rig.stats_heard - before < 20);
    }
}

static int set_up_small(void **state)
{
    rig.config.workers = 1;
    rig.config.queue_max = 8;
    return set_up(state);
}

static int tear_down_small(void **state)
{
    rig.config.workers = 2;
    rig.config.queue_max = 16384;
    return tear_down(state);
}

static void more_than_the_queue_holds_is_busy_at_once(void **state)
{
    struct wall_request batch[WALL_BATCH_MAX];
    struct operation operation = signature_operation(0);
    unsigned statuses[STATUS_KINDS] = {0};
    (void)state;
    for (size_t i = 0; i < WALL_BATCH_MAX; i++)
        batch[i] = rig_request(i + 1, EDGE_ALL, &operation);
    rig_send(&rig, batch, WALL_BATCH_MAX);
    for (size_t i = 0; i < WALL_BATCH_MAX; i++) {
        const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
        assert_non_null(answer);
        statuses[answer->u.outcome.status]++;
        assert_int_equal(answer->u.outcome.length, answer->u.outcome.status == STATUS_OK ? 256 : 0);
    }
    assert_int_equal(statuses[STATUS_OK], 8); /* a job is given back only when a turn has ended */
    assert_int_equal(statuses[STATUS_BUSY], WALL_BATCH_MAX - 8);
    struct outcome outcome = rig_ask(&rig, EDGE_ALL, &operation);
    assert_int_equal(outcome.status, STATUS_OK);
}

static void a_passed_deadline_is_expired(void **state)
{
    struct operation operation = signature_operation(3);
    struct wall_request request = rig_request(5, EDGE_ALL, &operation);
    (void)state;
    request.deadline_ns = clock_ns();
    rig_send(&rig, &request, 1);
    struct outcome outcome = rig_outcome(&rig, 5);
    assert_int_equal(outcome.status, STATUS_EXPIRED);
    assert_int_equal(outcome.length, 0);
}

/* The last quarter of many is cancelled while the first are computed: most of it is not answered, and all of
 * the others are. */
static void what_is_cancelled_is_not_answered(void **state)
{
    enum { MANY = 400, KEPT = 300 };
    static struct wall_request slots[MANY + MANY - KEPT];
    static bool answered[MANY + 2];
    struct operation operation = signature_operation(0);
    size_t kept = 0, cancelled = 0;
    (void)state;
    memset(answered, 0, sizeof answered);
    for (size_t i = 0; i < MANY; i++)
        slots[i] = rig_request(i + 1, EDGE_ALL, &operation);
    for (size_t i = KEPT; i < MANY; i++)
        slots[MANY + i - KEPT] = (struct wall_request){.token = i + 1, .kind = WALL_CANCEL};
    rig_send(&rig, slots, sizeof slots / sizeof slots[0]);
    struct wall_request last = rig_request(MANY + 1, EDGE_ALL, &operation); /* it comes after all of them */
    rig_send(&rig, &last, 1);
    while (!answered[MANY + 1] || kept < KEPT) {
        const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
        assert_non_null(answer);
        assert_in_range(answer->token, 1, MANY + 1);
        assert_false(answered[answer->token]);
        answered[answer->token] = true;
        assert_int_equal(answer->u.outcome.status, STATUS_OK);
        kept += answer->token <= KEPT;
        cancelled += answer->token > KEPT && answer->token <= MANY;
    }
    assert_true(cancelled < MANY - KEPT);
}

/* ---- the process ---- */

static void figures_come_at_once_and_every_second(void **state)
{
    struct operation operation = signature_operation(3);
    (void)state;
    rig_await_stats(&rig);
    assert_int_equal(rig.stats.ready, 1);
    assert_int_equal(rig.stats.keys, 4);
    assert_int_equal(rig.stats.key_files_skipped, 0);
    assert_int_equal(rig.stats.workers, 3);
    assert_int_equal(rig_ask(&rig, EDGE_ALL, &operation).status, STATUS_OK);
    uint64_t before = clock_ms();
    rig_await_stats(&rig);
    assert_true(clock_ms() - before < 5000);
    assert_int_equal(rig.stats.outcomes[OP_SIGN_TLS13][STATUS_OK], 1);
    assert_true(rig.stats.busy_ns[OP_SIGN_TLS13] > 1000);
    assert_int_equal(rig.stats.queued + rig.stats.working, 0);
}

static void skipped_files_are_counted(void **state)
{
    char path[KEYS_PATH_SIZE + 32];
    (void)state;
    keys_write_text(rig.keys, "bad.pem", "bad");
    assert_true(rig_start(&rig));
    rig_await_stats(&rig);
    assert_int_equal(rig.stats.keys, 4);
    assert_int_equal(rig.stats.key_files_skipped, 1);
    assert_non_null(rig_find_in_log(&rig, "event=key_skipped file=bad.pem"));
    assert_non_null(rig_find_in_log(&rig, "event=key_loaded key=p256 type=p256"));
    snprintf(path, sizeof path, "%s/bad.pem", rig.keys);
    unlink(path);
}

static void closing_the_wall_in_the_middle_of_work_ends_it_with_0(void **state)
{
    struct wall_request batch[WALL_BATCH_MAX];
    struct operation operation = signature_operation(0);
    (void)state;
    for (size_t i = 0; i < WALL_BATCH_MAX; i++)
        batch[i] = rig_request(i + 1, EDGE_ALL, &operation);
    for (int i = 0; i < 10; i++)
        rig_send(&rig, batch, WALL_BATCH_MAX);
    assert_int_equal(rig_end(&rig), 0);
}

static void the_group_secret_is_made_once_and_for_its_owner(void **state)
{
    struct stat info, again;
    struct fault fault;
    uint8_t secret[32];
    (void)state;
    assert_int_equal(unlink(rig.secret_file), 0);
    assert_false(rig_start(&rig)); /* who has an audit log has run before */
    assert_int_equal(rig_end(&rig), 2);
    keys_remove_folder(rig.audit);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
    assert_int_equal(unlink(rig.audit_key), 0);
    assert_true(rig_start(&rig));
    assert_int_equal(rig_end(&rig), 0);
    assert_int_equal(stat(rig.secret_file, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
    assert_int_equal(identity_load_secret(secret, rig.secret_file, &fault), 0);
    assert_true(rig_start(&rig));
    assert_int_equal(stat(rig.secret_file, &again), 0);
    assert_int_equal(again.st_ino, info.st_ino);
    assert_int_equal(again.st_mtime, info.st_mtime);
}

/* It says why and ends with 2, and never says that it is ready. */
static void assert_fails(const char *words)
{
    assert_false(rig_start(&rig));
    assert_int_equal(rig_end(&rig), 2);
    const char *line = rig_find_in_log(&rig, "event=vault_failed");
    assert_non_null(line);
    if (strstr(line, words) == NULL)
        fail_msg("'%s' lacks '%s'", line, words);
}

static void what_cannot_be_loaded_ends_it_with_2(void **state)
{
    char missing[] = "/nonexistent/file";
    (void)state;
    FILE *file = keys_file(rig.folder, "bad_edges");
    fputs("# a good line\nno key at all\n", file);
    fclose(file);
    char bad[sizeof rig.edges_file + 16];
    snprintf(bad, sizeof bad, "%s/bad_edges", rig.folder);
    rig.config.authorized_edges = bad;
    assert_fails("bad_edges:2: ");
    rig.config.authorized_edges = rig.edges_file;
    rig.config.keys = missing;
    assert_fails(missing);
    rig.config.keys = rig.keys;
    rig.config.group_secret = missing;
    assert_fails(missing);
    rig.config.group_secret = rig.secret_file;
    assert_int_equal(chmod(rig.secret_file, 0440), 0);
    assert_fails("chmod 0400");
    assert_int_equal(chmod(rig.secret_file, 0400), 0);
}

int main(void)
{
#define WITH_VAULT(test)       cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define WITH_SMALL_VAULT(test) cmocka_unit_test_setup_teardown(test, set_up_small, tear_down_small)
#define WITHOUT_VAULT(test)    cmocka_unit_test_teardown(test, tear_down)
#define AFTER_POLICY(test)     cmocka_unit_test_teardown(test, tear_down_policy)
    const struct CMUnitTest tests[] = {
        WITH_VAULT(every_key_signs_by_every_scheme_it_can),
        WITH_VAULT(a_premaster_comes_back_and_bad_ones_cannot_be_told_from_good),
        WITH_VAULT(replicas_answer_alike_and_strangers_to_the_group_do_not),
        WITH_VAULT(a_signature_block_as_ciphertext_gives_48_bytes),
        WITH_VAULT(a_handshake_of_this_epoch_gives_its_master_secret_to_its_edge_alone),
        WITH_VAULT(an_edge_without_rsa_master_is_told_that_it_has_no_epoch),
        AFTER_POLICY(plain_mode_is_refused_where_only_bound_is_allowed),
        WITH_VAULT(a_quota_ends_at_its_number),
        AFTER_POLICY(sections_of_keys_are_followed_and_idle_ones_told),
        AFTER_POLICY(two_sections_for_one_key_end_it_with_2),
        WITH_VAULT(keys_are_listed_with_what_the_edge_may_ask_of_them),
        WITH_VAULT(many_keys_are_listed_in_parts),
        WITH_VAULT(every_refusal_looks_alike_outside_and_is_named_in_the_log),
        WITH_VAULT(garbage_is_refused_and_the_vault_goes_on),
        WITH_VAULT(a_ring_that_is_garbage_ends_the_vault_which_says_why),
        WITH_VAULT(ten_thousand_pipelined_requests_are_answered_once_each),
        WITH_VAULT(a_net_side_that_does_not_read_gets_everything_later),
        cmocka_unit_test_teardown(a_net_side_that_does_not_read_makes_no_figures_pile_up, tear_down_epochs),
        cmocka_unit_test_setup_teardown(a_refusal_beside_it_does_not_make_a_request_wait, set_up_with_lanes,
                                        tear_down_with_lanes),
        WITH_SMALL_VAULT(more_than_the_queue_holds_is_busy_at_once),
        WITH_VAULT(a_passed_deadline_is_expired),
        WITH_VAULT(what_is_cancelled_is_not_answered),
        WITH_VAULT(figures_come_at_once_and_every_second),
        WITHOUT_VAULT(skipped_files_are_counted),
        WITH_VAULT(closing_the_wall_in_the_middle_of_work_ends_it_with_0),
        WITHOUT_VAULT(the_group_secret_is_made_once_and_for_its_owner),
        WITHOUT_VAULT(what_cannot_be_loaded_ends_it_with_2),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
