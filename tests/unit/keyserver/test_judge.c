/* The judge as a matrix: everything that an edge's line, a key's rule and a request can have right or wrong,
 * in every combination; granted exactly when all is right, else refused for the first cause, and nothing
 * counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "common/log.h"
#include "keyserver/vault/desk_request.h"
#include "keyserver/vault/judge/gate.h"
#include "keyserver/vault/judge/judge_steps.h"
#include "tests/unit/keyserver/written_handshake.h"

#define NOON  1798718400 /* 2026-12-31T12:00:00Z */
#define EPOCH 61

static const enum operation_kind kinds[] = {OP_SIGN_TLS13, OP_SIGN_TLS12, OP_RSA_MASTER, OP_RSA_PREMASTER};
#define KINDS (sizeof kinds / sizeof kinds[0])
static const uint8_t group_secret[32] = {1};
static struct hasher hasher;
static const struct now now = {.mono_ns = 5, .unix_s = NOON, .reached_s = NOON, .epoch = EPOCH};
static char place[] = "server.conf:1";

static char folder[KEYS_PATH_SIZE];
static struct keystore *keys;
static struct authorized *edges;
static EVP_PKEY *rsa, *p256;

/* ---- edges: one for every combination ---- */

enum when { IN_TIME, TOO_EARLY, TOO_LATE, WHENS };

struct edge_case {
    bool elsewhere; /* from= does not have the address */
    enum when when;
    bool other_key; /* keys= does not list the key */
    unsigned ops;   /* bits of kinds[] that ops= lists */
};
#define EDGES (2 * WHENS * 2 * (1u << KINDS))

static struct edge_case edge_case_of(unsigned number)
{
    return (struct edge_case){.elsewhere = number % 2,
                              .when = number / 2 % WHENS,
                              .other_key = number / 2 / WHENS % 2,
                              .ops = number / 2 / WHENS / 2};
}

static void make_edge_key(uint8_t key[static 32], unsigned number)
{
    memset(key, 0x40, 32);
    key[0] = (uint8_t)(number + 1);
}

static void load_edges(void)
{
    static const char *const times[WHENS] = {"not_before=2026-12-31T12:00:00Z not_after=2026-12-31T12:00:00Z",
                                             "not_before=2026-12-31T12:00:01Z",
                                             "not_after=2026-12-31T11:59:59Z"};
    struct buffer text = {0};
    struct fault fault = {.text = ""};
    for (unsigned i = 0; i < EDGES; i++) {
        const struct edge_case edge = edge_case_of(i);
        uint8_t key[32], psk[32] = {1};
        char key_text[45], psk_text[45],
            ops[128] = "ops=keys"; /* always granted; keeps the list from being empty */
        make_edge_key(key, i);
        for (size_t kind = 0; kind < KINDS; kind++)
            if (edge.ops & 1u << kind)
                strcat(strcat(ops, ","), operation_name(kinds[kind]));
        assert_int_equal(buffer_printf(&text, "%s edge%u psk=%s %s from=%s keys=%s %s quota=100000/d\n",
                                       base64_encode(key_text, key, 32), i, base64_encode(psk_text, psk, 32),
                                       ops, edge.elsewhere ? "10.0.0.0/8" : "192.0.2.0/24,2001:db8::/32",
                                       edge.other_key ? "other" : "www,ec", times[edge.when]),
                         0);
    }
    if (authorized_parse(&edges, (const char *)buffer_bytes(&text), buffer_length(&text), "edges", &fault) !=
        0)
        fail_msg("%s", fault.text);
    buffer_clear(&text);
}

/* The edge that has everything. */
#define GOOD_EDGE (EDGES - 1 - 11)

/* ---- keys: one policy for every combination ---- */

struct key_case {
    unsigned operations; /* bits of kinds[] */
    unsigned modes;      /* of enum policy_mode */
    bool named;          /* names lists www.example.com */
    enum when when;
    bool elsewhere;
};

static const struct key_case good_key = {.operations = (1u << KINDS) - 1, .modes = MODE_BOUND | MODE_PLAIN};

/* Operations that no mode lets be done are no policy. */
static bool is_policy(unsigned operations, unsigned modes)
{
    bool any = operations == 0;
    for (size_t i = 0; i < KINDS; i++)
        if (operations & 1u << i)
            any = any || (kinds[i] == OP_RSA_MASTER      ? (modes & MODE_BOUND) != 0
                          : kinds[i] == OP_RSA_PREMASTER ? (modes & MODE_PLAIN) != 0
                                                         : true);
    return any;
}

struct world {
    char *operations[KINDS], *modes[2], *names[1], *from[1];
    struct server_config config;
    struct policy *policy;
    struct usage *usage;
    struct judge judge;
};

static void put(struct config_strings *list, char **items, const char *item)
{
    list->item = items;
    items[list->count++] = strdup(item);
}

static void put_text(struct key_rules *key, char **text, enum key_option option, const char *value)
{
    *text = strdup(value);
    key->place[option] = place;
}

/* What server.conf would say of it, LIMITS added. */
static void make_world(struct world *world, const struct key_case *is, const char *rate, const char *quota)
{
    struct fault fault;
    *world = (struct world){.policy = NULL};
    struct key_rules *key = &world->config.key_default;
    for (size_t i = 0; i < KINDS; i++)
        if (is->operations & 1u << i)
            put(&key->operations, world->operations, operation_name(kinds[i]));
    if (is->modes & MODE_BOUND)
        put(&key->modes, world->modes, "bound");
    if (is->modes & MODE_PLAIN)
        put(&key->modes, world->modes, "plain");
    if (is->named)
        put(&key->names, world->names, "www.example.com");
    put(&key->from, world->from, is->elsewhere ? "10.0.0.0/8" : "192.0.2.7");
    put_text(key, &key->not_before, KEY_NOT_BEFORE,
             is->when == TOO_EARLY ? "2026-12-31T12:00:01Z" : "2026-12-31");
    put_text(key, &key->not_after, KEY_NOT_AFTER,
             is->when == TOO_LATE ? "2026-12-31T11:59:59Z" : "2027-01-01");
    put_text(key, &key->rate_per_edge, KEY_RATE_PER_EDGE, rate);
    put_text(key, &key->quota, KEY_QUOTA, quota);
    put_text(key, &key->quota_per_edge, KEY_QUOTA_PER_EDGE, "100000/h");
    assert_int_equal(
        policy_new(&world->policy, &world->config.key_default, &world->config.key_sections, &fault), 0);
    world->usage = usage_new(edges, keys, world->policy);
    world->judge = (struct judge){.edges = edges,
                                  .keys = keys,
                                  .policy = world->policy,
                                  .usage = world->usage,
                                  .epoch_secret = group_secret,
                                  .hasher = &hasher};
}

static void free_strings(const struct config_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i]);
}

static void unmake_world(struct world *world)
{
    struct key_rules *key = &world->config.key_default;
    usage_free(world->usage);
    policy_free(world->policy);
    free_strings(&key->operations);
    free_strings(&key->modes);
    free_strings(&key->names);
    free_strings(&key->from);
    free(key->not_before);
    free(key->not_after);
    free(key->rate_per_edge);
    free(key->quota);
    free(key->quota_per_edge);
}

/* ---- requests ---- */

/* What a client may ask for, in bound mode. */
static const char *const asked_names[] = {"www.example.com", "www.example.org", NULL};
#define NAMES (sizeof asked_names / sizeof asked_names[0])

/* Good for the edge NUMBER; HANDSHAKE is filled for an rsa_master. */
static struct operation good_operation(enum operation_kind kind, unsigned edge, const char *name,
                                       struct handshake *handshake)
{
    uint8_t block[256], secret[TLS_PREMASTER_SIZE] = {3, 3}, edge_key[32], session[SESSION_ID_SIZE];
    if (kind == OP_SIGN_TLS13)
        return keys_tls13(rsa, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    if (kind == OP_SIGN_TLS12)
        return keys_tls12(rsa, SCHEME_RSA_PKCS1_SHA256, CURVE_X25519);
    if (kind == OP_RSA_MASTER) {
        make_edge_key(edge_key, edge);
        handshake_session(session, group_secret, edge_key, EPOCH);
        handshake_make(handshake, rsa, name, session, secret);
        return handshake_operation(handshake, rsa);
    }
    keys_pad(block, sizeof block, secret);
    return keys_premaster(rsa, 0x0303, block);
}

static struct wall_request request_of(unsigned edge, const struct operation *operation)
{
    struct wall_request request = {.token = 1, .kind = WALL_OPERATION, .from_family = AF_INET};
    make_edge_key(request.edge_key, edge);
    inet_pton(AF_INET, "192.0.2.7", request.from);
    request.operation = *operation;
    return request;
}

/* As the desk does it. */
static void judge_slot(const struct world *world, const struct wall_request *slot, const struct now *when,
                       struct judgement *out)
{
    struct key_request request;
    assert_int_equal(wall_request_check(slot), 0);
    desk_request_make(&request, slot);
    judge_request(&world->judge, &request, when, out);
}

static enum refusal judge_at(const struct world *world, const struct wall_request *request,
                             const struct now *when)
{
    struct judgement judgement;
    judge_slot(world, request, when, &judgement);
    return judgement.refusal;
}

static enum refusal judge(const struct world *world, const struct wall_request *request)
{
    return judge_at(world, request, &now);
}

/* ---- the matrix of rights ---- */

/* The first thing that is wrong, in the order of the house. */
static enum refusal expected(unsigned number, const struct key_case *key, size_t kind, const char *name)
{
    const struct edge_case edge = edge_case_of(number);
    unsigned mode = kinds[kind] == OP_RSA_MASTER      ? MODE_BOUND
                    : kinds[kind] == OP_RSA_PREMASTER ? MODE_PLAIN
                                                      : 0;
    if (number == EDGES)
        return REFUSAL_UNKNOWN_EDGE;
    if (edge.elsewhere || key->elsewhere)
        return REFUSAL_FROM;
    if (edge.when != IN_TIME)
        return REFUSAL_VALIDITY;
    if (key->when != IN_TIME)
        return REFUSAL_VALIDITY;
    if (edge.other_key)
        return REFUSAL_KEY_NOT_GRANTED;
    if (!(edge.ops & 1u << kind) || !(key->operations & 1u << kind))
        return REFUSAL_OPERATION_NOT_GRANTED;
    if ((key->modes & mode) != mode)
        return REFUSAL_MODE;
    if (kinds[kind] == OP_RSA_MASTER && key->named && (name == NULL || strcmp(name, "www.example.com") != 0))
        return REFUSAL_NAME;
    return REFUSAL_NONE;
}

struct told {
    uint64_t edge[EDGES], pair[EDGES], key;
};

static void note(const struct usage_quota *quota, void *user)
{
    struct told *told = user;
    unsigned edge = EDGES;
    if (quota->edge != NULL)
        assert_int_equal(sscanf(quota->edge, "edge%u", &edge), 1);
    *(edge == EDGES ? &told->key : quota->key == NULL ? &told->edge[edge] : &told->pair[edge]) = quota->used;
}

/* Every edge asks for every operation on a key of which this is said; returns how many were granted. */
static unsigned ask_all(const struct key_case *key, struct wall_request (*requests)[KINDS][NAMES])
{
    static struct told told;
    unsigned granted[EDGES + 1] = {0}, all = 0;
    struct world world;
    make_world(&world, key, "1000000/s", "100000/d");
    for (unsigned edge = 0; edge <= EDGES; edge++)
        for (size_t kind = 0; kind < KINDS; kind++)
            for (size_t name = 0; name < (kinds[kind] == OP_RSA_MASTER ? NAMES : 1); name++) {
                enum refusal refusal = judge(&world, &requests[edge][kind][name]);
                if (refusal != expected(edge, key, kind, asked_names[name]))
                    fail_msg("edge %u, %s, name %s: %s; the key: %x %x %d %d %d", edge,
                             operation_name(kinds[kind]),
                             asked_names[name] != NULL ? asked_names[name] : "none", refusal_name(refusal),
                             key->operations, key->modes, key->named, key->when, key->elsewhere);
                granted[edge] += refusal == REFUSAL_NONE;
            }
    memset(&told, 0, sizeof told);
    usage_each_quota(world.usage, NOON, note, &told);
    for (unsigned edge = 0; edge < EDGES; edge++) {
        assert_int_equal(told.edge[edge], granted[edge]);
        assert_int_equal(told.pair[edge], granted[edge]);
        all += granted[edge];
    }
    assert_int_equal(told.key, all);
    unmake_world(&world);
    return all;
}

static void every_combination_is_refused_for_its_first_cause_and_counted_when_granted(void **state)
{
    static struct handshake handshakes[EDGES + 1][NAMES];
    static struct wall_request requests[EDGES + 1][KINDS][NAMES];
    unsigned granted = 0, policies = 0;
    (void)state;
    for (unsigned edge = 0; edge <= EDGES; edge++)
        for (size_t kind = 0; kind < KINDS; kind++)
            for (size_t name = 0; name < (kinds[kind] == OP_RSA_MASTER ? NAMES : 1); name++) {
                struct operation operation = good_operation(kinds[kind], edge, asked_names[name],
                                                            &handshakes[edge][name]);
                requests[edge][kind][name] = request_of(edge, &operation);
            }
    for (unsigned operations = 0; operations < 1u << KINDS; operations++)
        for (unsigned modes = 0; modes <= (MODE_BOUND | MODE_PLAIN); modes++)
            for (unsigned rest = 0; is_policy(operations, modes) && rest < 2 * 2 * WHENS; rest++) {
                const struct key_case key = {.operations = operations,
                                             .modes = modes,
                                             .named = rest % 2,
                                             .elsewhere = rest / 2 % 2,
                                             .when = rest / 4};
                granted += ask_all(&key, requests);
                policies++;
            }
    assert_int_equal(policies, 768 - 5 * 2 * 2 * WHENS);
    /* Of the edges 8 of 192 grant each operation, and of the policies with right network and time, two by
     * names: half list it, and for RSA key exchange half of these have the mode. Bound mode: three names, one
     * when named. */
    assert_int_equal(granted, 8 * (2 * 2 * 8 * 4 + 2 * 8 * 2 + 8 * 2 * (3 + 1)));
}

/* ---- the matrix of what is asked ---- */

enum {
    STRANGER = 1,
    UNKNOWN_KEY = 2,
    BAD_SCHEME = 4,
    BAD_STRUCTURE = 8,
    DEAD_SESSION = 16,
    OTHER_NAME = 32,
    RATE_IS_OUT = 64,
    QUOTA_IS_OUT = 128,
    ASKED_WRONGLY = 256
};

/* Makes a scheme that does not fit. */
static void spoil_scheme(struct operation *operation)
{
    if (operation->kind == OP_SIGN_TLS13)
        operation->u.sign_tls13.scheme = SCHEME_RSA_PKCS1_SHA256;
    else if (operation->kind == OP_SIGN_TLS12)
        operation->u.sign_tls12.scheme = SCHEME_ED25519;
    else
        keys_id(p256, operation->key_id); /* not a key that decrypts */
}

static void spoil_structure(struct operation *operation)
{
    if (operation->kind == OP_SIGN_TLS13)
        operation->u.sign_tls13.hash_length = 31;
    else if (operation->kind == OP_SIGN_TLS12)
        operation->u.sign_tls12.params_length--;
    else if (operation->kind == OP_RSA_MASTER)
        operation->u.rsa_master.length--;
    else
        operation->u.rsa_premaster.ciphertext_length--;
}

static enum refusal expected_of_request(unsigned wrong, enum operation_kind kind)
{
    if (wrong & STRANGER)
        return REFUSAL_UNKNOWN_EDGE;
    if (wrong & UNKNOWN_KEY)
        return REFUSAL_UNKNOWN_KEY;
    if (wrong & BAD_SCHEME)
        return REFUSAL_SCHEME;
    if (wrong & BAD_STRUCTURE)
        return REFUSAL_STRUCTURE;
    if (wrong & DEAD_SESSION && kind == OP_RSA_MASTER)
        return REFUSAL_SESSION_ID;
    if (wrong & OTHER_NAME && kind == OP_RSA_MASTER)
        return REFUSAL_NAME;
    if (wrong & RATE_IS_OUT)
        return REFUSAL_RATE;
    return wrong & QUOTA_IS_OUT ? REFUSAL_QUOTA : REFUSAL_NONE;
}

static void ask_wrongly(unsigned wrong, enum operation_kind kind)
{
    static const uint8_t other_edge[32] = {7}, secret[TLS_PREMASTER_SIZE] = {3, 3};
    struct key_case key = good_key;
    uint8_t session[SESSION_ID_SIZE];
    struct handshake handshake;
    struct world world;
    const char *name = wrong & OTHER_NAME ? "www.example.org" : "www.example.com";
    struct operation operation = good_operation(kind, GOOD_EDGE, name, &handshake), first = operation;
    key.named = true;
    make_world(&world, &key, wrong & RATE_IS_OUT ? "1/s" : "5/s", wrong & QUOTA_IS_OUT ? "1/h" : "2/h");
    if (wrong & (RATE_IS_OUT | QUOTA_IS_OUT)) { /* a good one before it takes what there is */
        struct handshake good;
        first = good_operation(kind, GOOD_EDGE, "www.example.com", &good);
        struct wall_request request = request_of(GOOD_EDGE, &first);
        assert_int_equal(judge(&world, &request), REFUSAL_NONE);
    }
    if (wrong & DEAD_SESSION && kind == OP_RSA_MASTER) {
        handshake_session(session, group_secret, other_edge, EPOCH);
        handshake_make(&handshake, rsa, name, session, secret);
    }
    if (wrong & BAD_STRUCTURE)
        spoil_structure(&operation);
    if (wrong & BAD_SCHEME)
        spoil_scheme(&operation);
    if (wrong & UNKNOWN_KEY)
        operation.key_id[31] ^= 1;
    struct wall_request request = request_of(wrong & STRANGER ? EDGES : GOOD_EDGE, &operation);
    enum refusal refusal = judge(&world, &request);
    if (refusal != expected_of_request(wrong, kind))
        fail_msg("%s, wrong %x: %s", operation_name(kind), wrong, refusal_name(refusal));
    unmake_world(&world);
}

static void what_is_asked_wrongly_is_refused_for_its_first_cause(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++)
        for (unsigned wrong = 0; wrong < ASKED_WRONGLY; wrong++)
            ask_wrongly(wrong, kinds[kind]);
}

/* ---- limits ---- */

static void a_refused_request_leaves_every_limit_as_it_was(void **state)
{
    struct operation good = good_operation(OP_SIGN_TLS13, GOOD_EDGE, NULL, NULL), bad = good;
    struct wall_request right = request_of(GOOD_EDGE, &good), wrong;
    struct world world;
    struct now later = now;
    (void)state;
    make_world(&world, &good_key, "3/s", "5/h");
    bad.u.sign_tls13.hash_length = 31;
    wrong = request_of(GOOD_EDGE, &bad);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(judge(&world, &wrong), REFUSAL_STRUCTURE);
        assert_int_equal(judge(&world, &right), REFUSAL_NONE);
    }
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(judge(&world, &right), REFUSAL_RATE);
    later.mono_ns += 1000000000;
    assert_int_equal(judge_at(&world, &right, &later), REFUSAL_NONE);
    assert_int_equal(judge_at(&world, &right, &later), REFUSAL_NONE);
    assert_int_equal(judge_at(&world, &right, &later), REFUSAL_QUOTA);
    later.unix_s += 3600;
    later.reached_s += 3600;
    later.mono_ns += 1000000000; /* both edges of validity: the edge's time is this very second */
    assert_int_equal(judge_at(&world, &right, &later), REFUSAL_VALIDITY);
    unmake_world(&world);
}

/* ---- epochs and sessions ---- */

static void a_session_is_good_in_its_epoch_and_beside_it(void **state)
{
    struct handshake handshake;
    struct operation operation = good_operation(OP_RSA_MASTER, GOOD_EDGE, NULL, &handshake);
    struct wall_request request = request_of(GOOD_EDGE, &operation);
    struct world world;
    (void)state;
    make_world(&world, &good_key, "off", "off");
    for (uint64_t epoch = EPOCH - 3; epoch <= EPOCH + 3; epoch++) {
        const struct now when = {.unix_s = NOON, .epoch = epoch};
        assert_int_equal(judge_at(&world, &request, &when),
                         epoch + 1 < EPOCH || epoch > EPOCH + 1 ? REFUSAL_SESSION_ID : REFUSAL_NONE);
    }
    unmake_world(&world);
}

/* Some key lets the edge with the number EDGE have an epoch key. */
static bool may_have_epoch(const struct world *world, size_t edge)
{
    for (size_t i = 0; i < keystore_count(keys); i++)
        if (judge_grants_epoch(&world->judge, authorized_at(edges, edge), keystore_at(keys, i)))
            return true;
    return false;
}

static void epochs_are_for_edges_that_some_key_could_grant_rsa_master(void **state)
{
    (void)state;
    for (unsigned operations = 0; operations < 1u << KINDS; operations++)
        for (unsigned modes = 0; modes <= (MODE_BOUND | MODE_PLAIN); modes++)
            for (unsigned rest = 0; is_policy(operations, modes) && rest < 2 * WHENS; rest++) {
                const struct key_case key = {
                    .operations = operations, .modes = modes, .elsewhere = rest % 2, .when = rest / 2};
                struct world world;
                make_world(&world, &key, "1/s", "1/h");
                for (unsigned i = 0; i < EDGES; i++) {
                    const struct edge_case edge = edge_case_of(i); /* wherever it is, and whenever */
                    bool could = !edge.other_key && (edge.ops & operations & 1u << 2) && (modes & MODE_BOUND);
                    assert_int_equal(kinds[2], OP_RSA_MASTER);
                    assert_int_equal(may_have_epoch(&world, i), could);
                }
                unmake_world(&world);
            }
}

static void without_an_rsa_key_there_are_no_epochs(void **state)
{
    char other[KEYS_PATH_SIZE];
    struct fault fault;
    struct keystore *store, *all = keys;
    struct world world;
    (void)state;
    keys_make_folder(other);
    keys_write(other, "ec.pem", p256);
    assert_int_equal(keystore_load(&store, NULL, other, group_secret, NULL, NULL, &fault), 0);
    keys = store;
    make_world(&world, &good_key, "off", "off");
    assert_false(may_have_epoch(&world, GOOD_EDGE));
    unmake_world(&world);
    keys = all;
    assert_true(keystore_count(keys) == 2);
    keystore_free(store);
    keys_remove_folder(other);
}

/* ---- the rest ---- */

static void a_judgement_names_edge_and_key_as_far_as_they_are_known(void **state)
{
    struct handshake handshake;
    struct operation operation = good_operation(OP_RSA_MASTER, GOOD_EDGE, "WWW.example.com", &handshake);
    struct wall_request request = request_of(GOOD_EDGE, &operation);
    struct judgement judgement;
    struct world world;
    uint8_t digest[REQUEST_DIGEST_SIZE];
    (void)state;
    make_world(&world, &good_key, "off", "off");
    request.trace.bytes[3] = 9;
    request.channel[2] = 8;
    judge_slot(&world, &request, &now, &judgement);
    assert_int_equal(judgement.refusal, REFUSAL_NONE);
    assert_string_equal(judgement.identity.edge->name, authorized_at(edges, GOOD_EDGE)->name);
    assert_string_equal(judgement.identity.key->name, "www");
    assert_int_equal(judgement.identity.kind, OP_RSA_MASTER);
    assert_string_equal(judgement.identity.server_name, "www.example.com");
    assert_memory_equal(&judgement.identity.trace, &request.trace, sizeof request.trace);
    assert_memory_equal(judgement.identity.channel, request.channel, sizeof request.channel);
    request_digest(&hasher, digest, &operation);
    assert_memory_equal(judgement.identity.digest, digest, sizeof digest);
    assert_int_equal(judgement.input.kind, OP_RSA_MASTER);
    request.operation.key_id[0] ^= 1;
    judge_slot(&world, &request, &now, &judgement);
    assert_string_equal(judgement.identity.edge->name, authorized_at(edges, GOOD_EDGE)->name);
    assert_null(judgement.identity.key);
    assert_string_equal(judgement.identity.server_name, "");
    request.operation.key_id[0] ^= 1;
    request.edge_key[5] ^= 1;
    judge_slot(&world, &request, &now, &judgement);
    assert_null(judgement.identity.edge);
    assert_null(judgement.identity.key);
    unmake_world(&world);
}

static void keys_may_be_asked_by_every_known_edge_in_time_from_its_network(void **state)
{
    const struct key_case never = {.when = TOO_LATE, .elsewhere = true};
    struct operation operation = {.kind = OP_KEYS};
    struct world world;
    (void)state;
    make_world(&world, &never, "1/h",
               "1/d"); /* what is said of keys does not matter, and nothing is counted */
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i <= EDGES; i++) {
            const struct edge_case edge = edge_case_of(i);
            struct wall_request request = request_of(i, &operation);
            assert_int_equal(judge(&world, &request), i == EDGES             ? REFUSAL_UNKNOWN_EDGE
                                                      : edge.elsewhere       ? REFUSAL_FROM
                                                      : edge.when != IN_TIME ? REFUSAL_VALIDITY
                                                                             : REFUSAL_NONE);
        }
    unmake_world(&world);
}

static void operations_nobody_knows_are_refused(void **state)
{
    static const unsigned unknown[] = {0, OP_PING, OP_KINDS, 31, 32, 33, 35, 0x80000003, 0xffffffff};
    struct operation operation = good_operation(OP_SIGN_TLS13, GOOD_EDGE, NULL, NULL);
    struct world world;
    (void)state;
    make_world(&world, &good_key, "off", "off");
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        operation.kind = (enum operation_kind)unknown[i];
        struct wall_request request = request_of(GOOD_EDGE, &operation);
        assert_int_equal(judge(&world, &request), REFUSAL_UNKNOWN_OPERATION);
    }
    unmake_world(&world);
}

static void addresses_of_every_family_are_compared(void **state)
{
    static const struct {
        int family;
        const char *text;
        enum refusal refusal;
    } froms[] = {
        {AF_INET, "192.0.2.0", REFUSAL_NONE},
        {AF_INET, "192.0.2.255", REFUSAL_NONE},
        {AF_INET, "192.0.1.255", REFUSAL_FROM},
        {AF_INET, "192.0.3.0", REFUSAL_FROM},
        {AF_INET6, "2001:db8::1", REFUSAL_NONE},
        {AF_INET6, "2001:db9::1", REFUSAL_FROM},
        {AF_INET6, "::ffff:192.0.2.9", REFUSAL_NONE},
        {AF_INET6, "::ffff:192.0.3.9", REFUSAL_FROM},
        {0, NULL, REFUSAL_FROM},
    };
    struct operation operation = {.kind = OP_KEYS};
    struct world world;
    (void)state;
    make_world(&world, &good_key, "off", "off");
    for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++) {
        struct wall_request request = request_of(GOOD_EDGE, &operation);
        memset(request.from, 0, sizeof request.from);
        request.from_family = (uint32_t)froms[i].family;
        if (froms[i].text != NULL)
            assert_int_equal(inet_pton(froms[i].family, froms[i].text, request.from), 1);
        assert_int_equal(judge(&world, &request), froms[i].refusal);
    }
    unmake_world(&world);
}

/* The operations on KEY that the answer to ASKED, an OP_KEYS, has. */
static uint32_t listed(const struct world *world, const struct wall_request *slot,
                       const struct judgement *asked, const struct key *key)
{
    struct key_request request;
    desk_request_make(&request, slot);
    if (asked->refusal != REFUSAL_NONE || !judge_reaches(&world->judge, key, &request.from, &now))
        return 0;
    return judge_grants(&world->judge, asked->identity.edge, key);
}

/* What `keys` tells of a key is what would be granted, in every combination. */
static void grants_are_what_would_be_granted(void **state)
{
    const struct key *ec = NULL, *www = NULL;
    const struct operation list = {.kind = OP_KEYS};
    (void)state;
    for (size_t i = 0; i < keystore_count(keys); i++)
        *(keystore_at(keys, i)->type == KEY_RSA ? &www : &ec) = keystore_at(keys, i);
    for (unsigned number = 0; number < (1u << KINDS) * 4 * 2 * WHENS; number++) {
        const struct key_case key = {.operations = number % (1u << KINDS),
                                     .modes = number >> KINDS & 3,
                                     .named = true, /* any name may come */
                                     .elsewhere = number >> (KINDS + 2) & 1,
                                     .when = number >> (KINDS + 3)};
        struct world world;
        if (!is_policy(key.operations, key.modes))
            continue;
        make_world(&world, &key, "1/h", "1/d");
        for (unsigned edge = 0; edge < EDGES; edge++) {
            struct wall_request request = request_of(edge, &list);
            struct judgement asked;
            uint32_t all = 0, sign = 0;
            judge_slot(&world, &request, &now, &asked);
            for (size_t kind = 0; kind < KINDS; kind++)
                if (expected(edge, &key, kind, "www.example.com") == REFUSAL_NONE)
                    *(kind < 2 ? &sign : &all) |= 1u << kinds[kind];
            assert_int_equal(listed(&world, &request, &asked, www), sign | all);
            assert_int_equal(listed(&world, &request, &asked, ec), sign);
        }
        unmake_world(&world);
    }
}

static void every_refusal_of_the_judge_has_a_mend(void **state)
{
    (void)state;
    assert_string_equal(refusal_hint(REFUSAL_NONE), "");
    assert_string_equal(refusal_hint(REFUSAL_KINDS), "");
    for (enum refusal refusal = REFUSAL_NONE + 1; refusal < REFUSAL_KINDS; refusal++) {
        assert_true(strlen(refusal_hint(refusal)) > 10);
        assert_null(strchr(refusal_hint(refusal), '"')); /* it stands in quotes in the log */
    }
}

static int start(void **state)
{
    struct fault fault;
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0 || gate_start() != 0 || hasher_init(&hasher) != 0)
        return -1;
    rsa = keys_rsa(2048);
    p256 = keys_ec("P-256");
    keys_make_folder(folder);
    keys_write(folder, "www.pem", rsa);
    keys_write(folder, "ec.pem", p256);
    load_edges();
    return keystore_load(&keys, NULL, folder, group_secret, NULL, NULL, &fault);
}

static int stop(void **state)
{
    (void)state;
    keystore_free(keys);
    authorized_free(edges);
    keys_remove_folder(folder);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    hasher_clear(&hasher);
    gate_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_is_refused_for_its_first_cause_and_counted_when_granted),
        cmocka_unit_test(what_is_asked_wrongly_is_refused_for_its_first_cause),
        cmocka_unit_test(a_refused_request_leaves_every_limit_as_it_was),
        cmocka_unit_test(a_session_is_good_in_its_epoch_and_beside_it),
        cmocka_unit_test(epochs_are_for_edges_that_some_key_could_grant_rsa_master),
        cmocka_unit_test(without_an_rsa_key_there_are_no_epochs),
        cmocka_unit_test(a_judgement_names_edge_and_key_as_far_as_they_are_known),
        cmocka_unit_test(keys_may_be_asked_by_every_known_edge_in_time_from_its_network),
        cmocka_unit_test(operations_nobody_knows_are_refused),
        cmocka_unit_test(addresses_of_every_family_are_compared),
        cmocka_unit_test(grants_are_what_would_be_granted),
        cmocka_unit_test(every_refusal_of_the_judge_has_a_mend),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
