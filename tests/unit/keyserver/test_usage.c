#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/log.h"
#include "keyserver/vault/judge/epoch.h"
#include "keyserver/vault/judge/usage.c"
#include "tests/lib/random_below.h"
#include "tests/unit/keyserver/keys.h"

#define S     1000000000ull /* ns */
#define HOUR  3600
#define NOON  1798718400 /* 2026-12-31T12:00:00Z */
#define EDGES 300

enum { KEY_A, KEY_B, KEY_C, TEST_KEYS };

static char folder[KEYS_PATH_SIZE];
static struct keystore *keys;
static struct authorized *edges;
static struct policy *policy;
static struct usage *usage;
static char off[] = "x.conf:1"; /* a place: the option is set */

/* What the sections of the three keys say, as texts; NULL: nothing. */
struct wishes {
    char *rate, *quota, *rate_per_edge, *quota_per_edge;
};

static void put(char **text, char **place, char *wish)
{
    *text = wish;
    *place = wish == NULL ? NULL : off;
}

/* EDGE_OPTIONS are those of edge 0. */
static void make(const char *edge_options, const struct wishes wishes[TEST_KEYS])
{
    static char text[EDGES * 128];
    static struct key_rules sections[TEST_KEYS];
    static char titles[TEST_KEYS][2] = {"a", "b", "c"};
    struct server_config config = {.key_sections = {.item = sections, .count = TEST_KEYS}};
    struct fault fault = {.text = ""};
    size_t at = 0;
    for (unsigned i = 0; i < EDGES; i++) {
        uint8_t key[32] = {1, (uint8_t)i, (uint8_t)(i >> 8)};
        char key_text[45];
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "%s edge%u psk=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= %s\n",
                               base64_encode(key_text, key, 32), i, i == 0 ? edge_options : "");
    }
    for (size_t i = 0; i < TEST_KEYS; i++) {
        struct key_rules *section = &sections[i];
        *section = (struct key_rules){.title = titles[i]};
        put(&section->rate, &section->place[KEY_RATE], wishes[i].rate);
        put(&section->quota, &section->place[KEY_QUOTA], wishes[i].quota);
        put(&section->rate_per_edge, &section->place[KEY_RATE_PER_EDGE], wishes[i].rate_per_edge);
        put(&section->quota_per_edge, &section->place[KEY_QUOTA_PER_EDGE], wishes[i].quota_per_edge);
    }
    if (authorized_parse(&edges, text, at, "edges", &fault) != 0 ||
        policy_new(&policy, &config.key_default, &config.key_sections, &fault) != 0)
        fail_msg("%s", fault.text);
    usage = usage_new(edges, keys, policy);
    assert_non_null(usage);
}

static void unmake(void)
{
    usage_free(usage);
    policy_free(policy);
    authorized_free(edges);
    usage = NULL;
    policy = NULL;
    edges = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    unmake();
    return 0;
}

static const struct key *key_called(const char *name)
{
    for (size_t i = 0; i < keystore_count(keys); i++)
        if (strcmp(keystore_at(keys, i)->name, name) == 0)
            return keystore_at(keys, i);
    fail_msg("no key %s", name);
    return NULL;
}

static const struct key *key_number(size_t key)
{
    const char name[2] = {(char)('a' + key), 0};
    return key_called(name);
}

/* What the judge does: 'r' and 'q' name what refused, '+' is granted. */
static char use(size_t edge, size_t key, uint64_t mono_ns, int64_t reached_s)
{
    const struct now now = {.mono_ns = mono_ns, .reached_s = reached_s};
    struct usage_charge one;
    assert_int_equal(usage_open(usage, &one, authorized_at(edges, edge), key_number(key), &now), 0);
    if (!usage_check_rate(&one, &now))
        return 'r';
    if (!usage_check_quota(&one, &now))
        return 'q';
    usage_take(&one, &now);
    return '+';
}

static unsigned use_all(size_t edge, size_t key, uint64_t mono_ns, int64_t reached_s)
{
    unsigned count = 0;
    while (count < 1000 && use(edge, key, mono_ns, reached_s) == '+')
        count++;
    return count;
}

static char *word(const char *text)
{
    static char words[16][24];
    static size_t next;
    char *copy = words[next++ % 16];
    snprintf(copy, sizeof words[0], "%s", text);
    return copy;
}

static const struct wishes nothing[TEST_KEYS];

/* ---- what is counted against what ---- */

static void without_limits_nothing_is_counted(void **state)
{
    (void)state;
    make("", nothing);
    assert_int_equal(use_all(0, KEY_A, S, NOON), 1000);
    assert_int_equal(usage->pair_count, 0);
}

static void an_edge_is_limited_over_all_keys(void **state)
{
    (void)state;
    make("rate=5/s quota=8/h", nothing);
    assert_int_equal(use_all(0, KEY_A, S, NOON), 5);
    assert_int_equal(use(0, KEY_B, S, NOON), 'r');
    assert_int_equal(use_all(0, KEY_B, 2 * S, NOON), 3);
    assert_int_equal(use(0, KEY_C, 2 * S, NOON), 'q');
    assert_int_equal(use_all(1, KEY_A, 2 * S, NOON), 1000);
    assert_int_equal(use_all(0, KEY_C, 3 * S, NOON + HOUR), 5);
    assert_int_equal(usage->pair_count, 0);
}

static void a_key_is_limited_over_all_edges(void **state)
{
    const struct wishes wishes[TEST_KEYS] = {[KEY_B] = {.rate = word("4/s"), .quota = word("6/d")}};
    (void)state;
    make("", wishes);
    assert_int_equal(use_all(0, KEY_B, S, NOON), 4);
    assert_int_equal(use(1, KEY_B, S, NOON), 'r');
    assert_int_equal(use_all(2, KEY_B, 2 * S, NOON), 2);
    assert_int_equal(use(1, KEY_B, 2 * S, NOON + HOUR), 'q');
    assert_int_equal(use_all(1, KEY_A, 2 * S, NOON), 1000);
    assert_int_equal(use(1, KEY_B, 3 * S, NOON + 12 * HOUR), '+');
}

static void an_edge_is_limited_on_one_key(void **state)
{
    const struct wishes wishes[TEST_KEYS] = {
        [KEY_C] = {.rate_per_edge = word("3/s"), .quota_per_edge = word("4/h")}};
    (void)state;
    make("", wishes);
    assert_int_equal(use_all(0, KEY_C, S, NOON), 3);
    assert_int_equal(use_all(1, KEY_C, S, NOON), 3);
    assert_int_equal(use_all(0, KEY_A, S, NOON), 1000);
    assert_int_equal(use(0, KEY_C, 2 * S, NOON), '+');
    assert_int_equal(use(0, KEY_C, 2 * S, NOON), 'q');
    assert_int_equal(use(1, KEY_C, 2 * S, NOON), '+');
    assert_int_equal(usage->pair_count, 2);
}

static void what_one_limit_refuses_is_counted_against_none(void **state)
{
    const struct wishes wishes[TEST_KEYS] = {
        [KEY_A] = {.quota = word("7/h")}, [KEY_B] = {.quota_per_edge = word("2/h")}};
    (void)state;
    make("quota=5/h", wishes);
    assert_int_equal(use_all(0, KEY_B, S, NOON), 2);
    for (unsigned i = 0; i < 100; i++) /* the pair refuses: of the edge's five, three are left */
        assert_int_equal(use(0, KEY_B, S, NOON), 'q');
    assert_int_equal(use_all(0, KEY_A, S, NOON), 3);
    for (unsigned i = 0; i < 100; i++) /* the edge refuses: of the key's seven, four are left */
        assert_int_equal(use(0, KEY_A, S, NOON), 'q');
    assert_int_equal(use_all(1, KEY_A, S, NOON), 4);
}

/* ---- a random schedule beside a plain model ---- */

enum { MODEL_EDGES = 4, STEPS = 60000 };

struct model {
    double tokens;
    uint64_t at_ns;
    unsigned used[64]; /* by the hour */
};

struct model_limit {
    double rate; /* a second; the bucket's size, too; 0 = none */
    unsigned quota;
};

static bool model_rate(struct model *m, const struct model_limit *limit, uint64_t now_ns)
{
    m->tokens += limit->rate * (double)(now_ns - m->at_ns) / 1e9;
    m->tokens = m->tokens > limit->rate ? limit->rate : m->tokens;
    m->at_ns = now_ns;
    return limit->rate == 0 || m->tokens >= 1 - 1e-7;
}

static void random_uses_are_limited_as_in_the_model(void **state)
{
    const struct wishes wishes[TEST_KEYS] = {
        [KEY_A] = {word("20/s"), word("1500/h"), word("16/s"), word("600/h")},
        [KEY_B] = {.rate = word("32/s"), .quota_per_edge = word("700/h")}};
    const struct model_limit edge_limit = {10, 500}, no_limit = {0, 0};
    const struct model_limit key_limits[TEST_KEYS] = {{20, 1500}, {32, 0}, {0, 0}};
    const struct model_limit pair_limits[TEST_KEYS] = {{16, 600}, {0, 700}, {0, 0}};
    struct model of_edge[MODEL_EDGES], of_key[TEST_KEYS], of_pair[MODEL_EDGES][TEST_KEYS];
    unsigned counts[256] = {0};
    uint64_t now = 0;
    (void)state;
    make("rate=10/s quota=500/h", wishes);
    memset(of_edge, 0, sizeof of_edge);
    memset(of_key, 0, sizeof of_key);
    memset(of_pair, 0, sizeof of_pair);
    for (size_t i = 0; i < MODEL_EDGES; i++) {
        of_edge[i].tokens = 1e9; /* more than any bucket holds: full */
        for (size_t j = 0; j < TEST_KEYS; j++)
            of_key[j].tokens = of_pair[i][j].tokens = 1e9;
    }
    for (unsigned step = 0; step < STEPS; step++) {
        size_t edge = random_below(MODEL_EDGES), key = random_below(TEST_KEYS);
        now += random_below(300) == 0 ? 90 * S : random_below(16) * (S / 1000);
        unsigned hour = (unsigned)(now / S / HOUR);
        if (hour >= 64)
            break;
        const struct model_limit *part_limits[3] = {edge == 0 ? &edge_limit : &no_limit, &key_limits[key],
                                                    &pair_limits[key]};
        struct model *parts[3] = {&of_edge[edge], &of_key[key], &of_pair[edge][key]};
        char expected = '+';
        for (size_t i = 0; i < 3; i++)
            if (part_limits[i]->quota != 0 && parts[i]->used[hour] >= part_limits[i]->quota)
                expected = 'q';
        for (size_t i = 0; i < 3; i++)
            if (!model_rate(parts[i], part_limits[i], now))
                expected = 'r';
        char got = use(edge, key, now, NOON + (int64_t)(now / S));
        if (got != expected)
            fail_msg("step %u: '%c', expected '%c'", step, got, expected);
        for (size_t i = 0; i < 3 && got == '+'; i++) {
            parts[i]->tokens -= part_limits[i]->rate != 0;
            parts[i]->used[hour]++;
        }
        counts[(unsigned char)got]++;
    }
    assert_true(counts['+'] > 1000 && counts['r'] > 1000 && counts['q'] > 1000);
}

/* ---- pairs ---- */

static void pairs_are_made_on_use_and_stay_as_long_as_they_matter(void **state)
{
    const struct wishes wishes[TEST_KEYS] = {{.rate_per_edge = word("1/m")},
                                             {.rate_per_edge = word("2/s"), .quota_per_edge = word("2/h")},
                                             {.quota_per_edge = word("1/d")}};
    (void)state;
    make("", wishes);
    for (size_t round = 0; round < 2; round++)
        for (size_t edge = 0; edge < EDGES; edge++)
            for (size_t key = 0; key < TEST_KEYS; key++)
                assert_int_equal(use(edge, key, S, NOON), round == 0 || key == KEY_B ? '+'
                                                          : key == KEY_A             ? 'r'
                                                                                     : 'q');
    assert_int_equal(usage->pair_count, EDGES * TEST_KEYS); /* and never more */
    for (size_t edge = 0; edge < EDGES; edge++)
        assert_int_equal(use(edge, KEY_B, 2 * S, NOON), 'q');
    assert_int_equal(usage->pair_count, EDGES * TEST_KEYS);
}

static void pairs_that_are_as_new_are_forgotten(void **state)
{
    const struct wishes wishes[TEST_KEYS] = {{.rate_per_edge = word("1/s")},
                                             {.quota_per_edge = word("1/h")},
                                             {.rate_per_edge = word("1/s"), .quota_per_edge = word("1/d")}};
    (void)state;
    make("", wishes);
    for (unsigned hour = 0; hour < 40; hour++) /* every hour's edges are others */
        for (size_t i = 0; i < 25; i++)
            for (size_t key = KEY_A; key <= KEY_B; key++)
                assert_int_equal(use((hour * 25 + i) % EDGES, key, (1 + hour) * HOUR * S, NOON + hour * HOUR),
                                 '+');
    assert_in_range(usage->pair_count, 50, 96); /* one hour's, and what the table holds before it is swept */
    for (size_t edge = 0; edge < EDGES; edge++)
        assert_int_equal(use(edge, KEY_C, 1000 * HOUR * S, NOON + 1000 * HOUR), '+');
    assert_in_range(usage->pair_count, EDGES, EDGES + 96);
    for (size_t edge = 0; edge < EDGES; edge++)
        assert_int_equal(use(edge, KEY_C, 1000 * HOUR * S + 2 * S, NOON + 1000 * HOUR),
                         'q'); /* of none is lost */
}

/* ---- across restarts ---- */

struct told {
    char text[64][96];
    size_t count;
};

static void note(const struct usage_quota *quota, void *user)
{
    struct told *told = user;
    assert_true(told->count < 64);
    assert_true(quota->seconds == HOUR || quota->seconds == 24 * HOUR);
    snprintf(told->text[told->count++], sizeof told->text[0], "%s %s %lld %llu",
             quota->edge != NULL ? quota->edge : "-", quota->key != NULL ? quota->key : "-",
             (long long)quota->start, (unsigned long long)quota->used);
}

static bool was_told(const struct told *told, const char *text)
{
    for (size_t i = 0; i < told->count; i++)
        if (strcmp(told->text[i], text) == 0)
            return true;
    return false;
}

static const char *made_of(const char *edge, const char *key, int64_t start, unsigned used)
{
    static char text[96];
    snprintf(text, sizeof text, "%s %s %lld %u", edge, key, (long long)start, used);
    return text;
}

static struct wishes restored_wishes(size_t key)
{
    struct wishes wishes = {.quota = NULL};
    if (key == KEY_A)
        wishes = (struct wishes){.quota = word("100/h"), .quota_per_edge = word("50/d")};
    if (key == KEY_B)
        wishes = (struct wishes){.rate = word("100/s")};
    return wishes;
}

static void make_restorable(void)
{
    const struct wishes wishes[TEST_KEYS] = {restored_wishes(0), restored_wishes(1), restored_wishes(2)};
    make("quota=10/d", wishes);
}

static void every_quota_in_use_is_told_by_name(void **state)
{
    struct told told = {.count = 0};
    const int64_t midnight = NOON - 12 * HOUR;
    (void)state;
    make_restorable();
    usage_each_quota(usage, NOON, note, &told);
    assert_int_equal(told.count, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(use(0, KEY_A, S, NOON + 100), '+');
    assert_int_equal(use(0, KEY_B, S, NOON + 100), '+');
    assert_int_equal(use(7, KEY_A, S, NOON + 100), '+');
    usage_each_quota(usage, NOON + 200, note, &told);
    assert_int_equal(told.count, 4);
    assert_true(was_told(&told, made_of("edge0", "-", midnight, 4)));
    assert_true(was_told(&told, made_of("-", "a", NOON, 4)));
    assert_true(was_told(&told, made_of("edge0", "a", midnight, 3)));
    assert_true(was_told(&told, made_of("edge7", "a", midnight, 1)));
    told.count = 0;
    usage_each_quota(usage, NOON + HOUR, note, &told); /* the key's hour is over, the days are not */
    assert_int_equal(told.count, 3);
    assert_false(was_told(&told, made_of("-", "a", NOON, 4)));
}

static void restore_told(const struct usage_quota *quota, void *user)
{
    struct usage *next = user;
    assert_int_equal(usage_restore_quota(next, quota), 0);
}

static void what_was_told_is_restored(void **state)
{
    struct told before = {.count = 0}, after = {.count = 0};
    (void)state;
    make_restorable();
    for (size_t edge = 0; edge < 5; edge++)
        for (unsigned i = 0; i < 3 * edge + 2; i++)
            assert_int_equal(use(edge, i % 2, S, NOON), '+');
    usage_each_quota(usage, NOON, note, &before);
    struct usage *next = usage_new(edges, keys, policy);
    assert_non_null(next);
    usage_each_quota(usage, NOON, restore_told, next);
    usage_free(usage);
    usage = next;
    usage_each_quota(usage, NOON, note, &after);
    assert_int_equal(before.count, after.count);
    for (size_t i = 0; i < before.count; i++)
        assert_true(was_told(&after, before.text[i]));
    assert_int_equal(use_all(0, KEY_C, S, NOON), 8); /* ten a day, of which two were used */
}

#define AT(unix) (&(struct now){.reached_s = (unix)})

static void uses_are_restored_one_by_one(void **state)
{
    struct told told = {.count = 0};
    (void)state;
    make_restorable();
    assert_int_equal(usage_restore_use(usage, "edge0", "a", AT(NOON - 13 * HOUR)), 0); /* yesterday */
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(usage_restore_use(usage, "edge0", "a", AT(NOON - 1)), 0); /* today, another hour */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(usage_restore_use(usage, "edge0", "b", AT(NOON)), 0);
    assert_int_equal(usage_restore_use(usage, "edge9", "a", AT(NOON)), 0);
    assert_int_equal(usage_restore_use(usage, "gone", "a", AT(NOON)),
                     0); /* its use counts for the key all the same */
    assert_int_equal(usage_restore_use(usage, "edge0", "gone", AT(NOON)), 0);
    assert_int_equal(usage_restore_use(usage, "gone", "gone", AT(NOON)), 0);
    usage_each_quota(usage, NOON, note, &told);
    assert_int_equal(told.count, 4);
    assert_true(was_told(&told, made_of("edge0", "-", NOON - 12 * HOUR, 9)));
    assert_true(was_told(&told, made_of("-", "a", NOON, 2)));
    assert_true(was_told(&told, made_of("edge0", "a", NOON - 12 * HOUR, 6)));
    assert_true(was_told(&told, made_of("edge9", "a", NOON - 12 * HOUR, 1)));
    assert_int_equal(use_all(0, KEY_B, S, NOON), 1);
}

/* The clock was years ahead for an hour and is back: the time of quotas goes on from there, so the quota is
 * new an hour later, not years later; and in no hour before. */
static void a_clock_that_was_far_ahead_blocks_no_key_for_longer_than_a_window(void **state)
{
    const uint64_t right_ms = UINT64_C(1000) * NOON, wrong_ms = right_ms + UINT64_C(87600000) * HOUR;
    const struct wishes wishes[TEST_KEYS] = {[KEY_A] = {.quota = word("5/h")}};
    struct epoch_clock clock;
    (void)state;
    make("", wishes);
    epoch_clock_start(&clock, 30000, right_ms, 0, 0);
    assert_int_equal(use_all(0, KEY_A, S, (int64_t)(clock.time_ms / 1000)), 5);
    epoch_clock_turn(&clock, wrong_ms, 1000);
    assert_int_equal(use_all(0, KEY_A, S, (int64_t)(clock.time_ms / 1000)), 5);
    for (uint64_t minute = 1; minute <= 180; minute++) {
        epoch_clock_turn(&clock, right_ms + minute * 60000, 1000 + minute * 60000);
        assert_int_equal(use_all(0, KEY_A, S, (int64_t)(clock.time_ms / 1000)), minute % 60 == 0 ? 5 : 0);
    }
}

static void restore_used(const char *edge, const char *key, uint64_t mono_ns, unsigned count)
{
    const struct now then = {.mono_ns = mono_ns, .reached_s = NOON};
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(usage_restore_use(usage, edge, key, &then), 0);
}

static void rates_are_restored_too(void **state)
{
    static char ten[] = "10/s", five[] = "5/s", hourly[] = "1/h";
    const struct wishes wishes[TEST_KEYS] = {
        {.rate = ten}, {.rate_per_edge = five}, {.rate_per_edge = hourly}};
    (void)state;
    make("rate=20/s", wishes);
    restore_used("edge1", "a", 5000 * S, 7);
    assert_int_equal(use_all(2, KEY_A, 5000 * S, NOON), 3); /* of all edges together */
    assert_int_equal(use_all(2, KEY_A, 5000 * S + S / 2, NOON), 5);
    restore_used("edge1", "b", 6000 * S, 4);
    assert_int_equal(use_all(1, KEY_B, 6000 * S, NOON), 1); /* of the pair */
    assert_int_equal(use_all(2, KEY_B, 6000 * S, NOON), 5);
    restore_used("edge0", "b", 6500 * S, 4);
    restore_used("edge0", "c", 6500 * S, 14);
    assert_int_equal(use_all(0, KEY_A, 6500 * S, NOON), 2); /* of the edge on all keys */
    assert_int_equal(use_all(0, KEY_C, 6500 * S + 3599 * S, NOON), 0);
    assert_int_equal(use_all(0, KEY_C, 6500 * S + 3600 * S, NOON), 1); /* 14 took no more than the one */
    restore_used("edge1", "c", 0, 1);                                  /* too long ago */
    assert_int_equal(use_all(1, KEY_C, 20000 * S, NOON), 1);
}

static void names_that_are_gone_restore_nothing(void **state)
{
    static const struct usage_quota gone[] = {{"gone", NULL, 0, NOON, 5},  {NULL, "gone", 0, NOON, 5},
                                              {"gone", "a", 0, NOON, 5},   {"edge0", "gone", 0, NOON, 5},
                                              {"edge1", NULL, 0, NOON, 5}, {NULL, "b", 0, NOON, 5},
                                              {"edge0", "b", 0, NOON, 5},  {NULL, NULL, 0, NOON, 5}};
    struct told told = {.count = 0};
    (void)state;
    make_restorable();
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        assert_int_equal(usage_restore_quota(usage, &gone[i]), 0);
    usage_each_quota(usage, NOON, note, &told);
    assert_int_equal(told.count, 0);
    assert_int_equal(usage->pair_count, 0);
}

/* ---- from counter to counter ---- */

enum { PLACES_MAX = EDGES * (TEST_KEYS + 1) + TEST_KEYS };

/* What was left, by the place of the counter. */
static struct usage_count left[PLACES_MAX];
static size_t told_in_turn[PLACES_MAX], told_count;
static unsigned refused_of_256; /* so often a counter cannot be left */

static bool leave(size_t place, const struct usage_count *count, void *user)
{
    (void)user;
    assert_true(place < PLACES_MAX && told_count < PLACES_MAX);
    told_in_turn[told_count++] = place;
    if (random_below(256) < refused_of_256)
        return false;
    left[place] = *count;
    return true;
}

static size_t leave_changed(size_t most, uint64_t mono_ns, int64_t reached_s)
{
    const struct now now = {.mono_ns = mono_ns, .reached_s = reached_s};
    told_count = 0;
    usage_each_changed(usage, &now, most, leave, NULL);
    return told_count;
}

static void make_countable(void)
{
    const struct wishes wishes[TEST_KEYS] = {
        {.rate = word("1000/s"), .quota = word("1000000/h"), .quota_per_edge = word("100/h")},
        {.rate_per_edge = word("20/m"), .quota_per_edge = word("200/h")},
        {.quota_per_edge = word("10/d"), .rate_per_edge = word("2/s")}};
    make("rate=50/s quota=1000/h", wishes);
    memset(left, 0, sizeof left);
    refused_of_256 = 0;
}

/* Whoever uses much does not keep the others from being left. */
static void a_counter_that_changed_is_told_of_once_and_in_turn(void **state)
{
    enum { OF_KEY = EDGES + KEY_A };
    (void)state;
    make_countable();
    assert_int_equal(usage_changed(usage), 0);
    assert_int_equal(leave_changed(10, S, NOON), 0);
    for (size_t edge = 1; edge <= 20; edge++)
        for (unsigned i = 0; i < edge; i++)
            assert_int_equal(use(edge, KEY_A, S, NOON), '+');
    assert_int_equal(usage_changed(usage), 21); /* the key's, and twenty pairs */
    assert_int_equal(leave_changed(5, S, NOON), 5);
    assert_int_equal(left[told_in_turn[0]].used, 210);
    assert_null(left[told_in_turn[0]].edge);
    assert_string_equal(left[told_in_turn[4]].edge, "edge4");
    assert_string_equal(left[told_in_turn[4]].key, "a");
    assert_int_equal(left[told_in_turn[4]].used, 4);
    assert_int_equal(left[told_in_turn[4]].start, NOON);
    assert_int_equal(use(20, KEY_A, S, NOON), '+'); /* the key's again, the pair's still */
    assert_int_equal(usage_changed(usage), 17);
    assert_int_equal(leave_changed(16, S, NOON), 16);
    assert_int_equal(left[told_in_turn[15]].used, 21);
    refused_of_256 = 256;
    assert_int_equal(leave_changed(100, S, NOON), 1);
    assert_int_equal(usage_changed(usage), 1);
    refused_of_256 = 0;
    assert_int_equal(leave_changed(100, S, NOON), 1);
    assert_int_equal(left[told_in_turn[0]].used, 211);
    assert_int_equal(leave_changed(100, S, NOON), 0);
}

struct levels {
    uint64_t used[EDGES + 1][TEST_KEYS + 1], missing[EDGES + 1][TEST_KEYS + 1];
};

static size_t edge_place(const char *edge)
{
    return edge != NULL ? strtoul(edge + strlen("edge"), NULL, 10) : EDGES;
}

static size_t key_place(const char *key)
{
    return key != NULL ? (size_t)(key[0] - 'a') : TEST_KEYS;
}

static void note_used(const struct usage_quota *quota, void *user)
{
    struct levels *levels = user;
    levels->used[edge_place(quota->edge)][key_place(quota->key)] = quota->used;
}

static void note_missing(const struct usage_rate *rate, void *user)
{
    struct levels *levels = user;
    levels->missing[edge_place(rate->edge)][key_place(rate->key)] = rate->used;
}

static void get_levels(struct levels *out, const struct usage *of, const struct now *now)
{
    memset(out, 0, sizeof *out);
    usage_each_quota(of, now->reached_s, note_used, out);
    usage_each_rate(of, now, note_missing, out);
}

/* One that begins with all that was left, in any order and some of it twice, counts as this one does; a rate
 * that was left with a part of a use missing has all of it missing. */
static void assert_left_is_all(const struct now *now)
{
    static struct levels here, there;
    struct usage *next = usage_new(edges, keys, policy);
    assert_non_null(next);
    for (size_t i = 0; i < 2 * PLACES_MAX; i++) {
        const struct usage_count *count = &left[i * 997 % PLACES_MAX];
        bool raised = false;
        if (count->edge != NULL || count->key != NULL)
            assert_int_equal(usage_raise(next, count, now, &raised), 0);
        assert_true(!raised || i < PLACES_MAX);
    }
    get_levels(&here, usage, now);
    get_levels(&there, next, now);
    for (size_t i = 0; i <= EDGES; i++) {
        for (size_t j = 0; j <= TEST_KEYS; j++) {
            assert_int_equal(there.used[i][j], here.used[i][j]);
            assert_in_range(there.missing[i][j], here.missing[i][j], here.missing[i][j] + 1);
        }
    }
    assert_true(next->pair_count <= usage->pair_count);
    usage_free(next);
}

/* Edges come and go, pairs are forgotten and others take their places; and not all can be left at once. */
static void what_was_left_by_place_is_what_was_counted(void **state)
{
    struct now now = {.mono_ns = S, .reached_s = NOON};
    size_t reused = 0, compared = 0;
    (void)state;
    make_countable();
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t passed = random_below(400) == 0 ? random_below(24) * HOUR : random_below(40) == 0;
        now.mono_ns += passed * S + random_below(1000);
        now.reached_s += (int64_t)passed;
        size_t pairs = usage->pair_count;
        (void)use((step / 500 * 20 + random_below(40)) % EDGES, random_below(TEST_KEYS), now.mono_ns,
                  now.reached_s);
        reused += usage->pair_count < pairs;
        refused_of_256 = step % 1000 < 500 ? 30 : 0;
        if (step % 7 == 0)
            (void)leave_changed(random_below(20), now.mono_ns, now.reached_s);
        if (step % 1000 != 999)
            continue;
        while (usage_changed(usage) > 0)
            (void)leave_changed(random_below(50) + 1, now.mono_ns, now.reached_s);
        assert_left_is_all(&now);
        compared++;
    }
    assert_in_range(reused, 5, STEPS);
    assert_int_equal(compared, STEPS / 1000);
}

static void raise_used(const char *edge, const char *key, int64_t start, uint64_t used)
{
    const struct usage_count count = {.edge = edge, .key = key, .start = start, .used = used};
    bool raised;
    assert_int_equal(usage_raise(usage, &count, AT(NOON), &raised), 0);
}

/* The higher of two counts of one time is that of more uses; that of a time that is over says nothing. */
static void the_higher_count_is_that_of_now(void **state)
{
    struct told told = {.count = 0};
    const int64_t midnight = NOON - 12 * HOUR;
    (void)state;
    make_restorable();
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(use(0, KEY_A, S, NOON), '+');
    raise_used("edge0", NULL, midnight, 2);            /* of ten a day three are used */
    raise_used(NULL, "a", NOON, 5);                    /* of a hundred an hour, too */
    raise_used("edge0", "a", midnight - 24 * HOUR, 9); /* that was yesterday */
    raise_used("edge5", "a", midnight, 7);
    raise_used("edge6", "a", midnight - 24 * HOUR, 7);
    raise_used("edge1", "b", midnight, 7); /* not limited */
    raise_used("gone", NULL, midnight, 7);
    raise_used("edge1", "gone", midnight, 7);
    raise_used(NULL, NULL, midnight, 7);
    usage_each_quota(usage, NOON, note, &told);
    assert_int_equal(told.count, 4);
    assert_true(was_told(&told, made_of("edge0", "-", midnight, 3)));
    assert_true(was_told(&told, made_of("-", "a", NOON, 5)));
    assert_true(was_told(&told, made_of("edge0", "a", midnight, 3)));
    assert_true(was_told(&told, made_of("edge5", "a", midnight, 7)));
    assert_int_equal(usage->pair_count, 2);
    raise_used(NULL, "a", NOON + HOUR, 1); /* a later one has begun */
    told.count = 0;
    usage_each_quota(usage, NOON + HOUR, note, &told);
    assert_true(was_told(&told, made_of("-", "a", NOON + HOUR, 1)));
}

static bool raise_missing(uint64_t missing, uint64_t then_ns, uint64_t now_ns)
{
    const struct usage_count count = {.edge = "edge0", .missing = missing, .mono_ns = then_ns};
    const struct now now = {.mono_ns = now_ns, .reached_s = NOON};
    bool raised;
    assert_int_equal(usage_raise(usage, &count, &now, &raised), 0);
    return raised;
}

/* The same of a rate, which makes up for uses meanwhile: it is told of again and again, and counts once. */
static void what_a_rate_has_made_up_for_is_not_raised(void **state)
{
    (void)state;
    make("rate=10/s", nothing);
    assert_true(raise_missing(8, 100 * S, 100 * S));
    assert_false(raise_missing(8, 100 * S, 100 * S));
    assert_int_equal(use_all(0, KEY_A, 100 * S + S / 2, NOON), 7); /* five were made up for */
    for (unsigned i = 5; i < 10; i++)
        assert_false(raise_missing(8, 100 * S, 100 * S + i * S / 10));
    assert_int_equal(use_all(0, KEY_A, 101 * S, NOON), 5);
    assert_true(raise_missing(8, 102 * S, 102 * S));
    assert_false(raise_missing(2, 102 * S, 102 * S));
    assert_true(raise_missing(9, 200 * S, 102 * S + S / 10)); /* what is to come is now */
    assert_false(raise_missing(9, 102 * S, 103 * S));
    assert_int_equal(use_all(0, KEY_A, 103 * S + S / 10, NOON), 10);
}

static int start(void **state)
{
    static const uint8_t group_secret[32] = {1};
    struct fault fault;
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0)
        return -1;
    keys_make_folder(folder);
    for (char name[] = "a.pem"; name[0] <= 'c'; name[0]++) {
        EVP_PKEY *pkey = keys_edwards("ED25519");
        keys_write(folder, name, pkey);
        EVP_PKEY_free(pkey);
    }
    return keystore_load(&keys, NULL, folder, group_secret, NULL, NULL, &fault);
}

static int stop(void **state)
{
    (void)state;
    keystore_free(keys);
    keys_remove_folder(folder);
    return 0;
}

int main(void)
{
#define LIMITS_TEST(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        LIMITS_TEST(without_limits_nothing_is_counted),
        LIMITS_TEST(an_edge_is_limited_over_all_keys),
        LIMITS_TEST(a_key_is_limited_over_all_edges),
        LIMITS_TEST(an_edge_is_limited_on_one_key),
        LIMITS_TEST(what_one_limit_refuses_is_counted_against_none),
        LIMITS_TEST(random_uses_are_limited_as_in_the_model),
        LIMITS_TEST(pairs_are_made_on_use_and_stay_as_long_as_they_matter),
        LIMITS_TEST(pairs_that_are_as_new_are_forgotten),
        LIMITS_TEST(a_clock_that_was_far_ahead_blocks_no_key_for_longer_than_a_window),
        LIMITS_TEST(every_quota_in_use_is_told_by_name),
        LIMITS_TEST(what_was_told_is_restored),
        LIMITS_TEST(uses_are_restored_one_by_one),
        LIMITS_TEST(rates_are_restored_too),
        LIMITS_TEST(names_that_are_gone_restore_nothing),
        LIMITS_TEST(a_counter_that_changed_is_told_of_once_and_in_turn),
        LIMITS_TEST(what_was_left_by_place_is_what_was_counted),
        LIMITS_TEST(the_higher_count_is_that_of_now),
        LIMITS_TEST(what_a_rate_has_made_up_for_is_not_raised),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
