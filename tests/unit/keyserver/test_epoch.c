#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/vault/judge/epoch.h"
#include "tests/lib/random_below.h"

#define LENGTH 30000
#define DAY    86400000
#define NOW    1700000000000 /* ms since 1970 */

static uint8_t group_secret[32], edge_key[32], secret[32];

static int start(void **state)
{
    (void)state;
    for (size_t i = 0; i < 32; i++) {
        group_secret[i] = (uint8_t)i;
        edge_key[i] = (uint8_t)(7 * i + 1);
    }
    if (secret_init() != 0)
        return -1;
    epoch_secret(secret, group_secret, LENGTH);
    return 0;
}

static void assert_hex(const uint8_t *bytes, size_t length, const char *expected)
{
    char text[129];
    assert_string_equal(hex_encode(text, bytes, length), expected);
}

/* ---- keys ---- */

/* Replicas of different versions must agree. Computed once with Python:
 *
 *     mac = lambda key, text: hmac.new(key, text, hashlib.sha256).digest()
 *     secret = mac(bytes(range(32)), b"keyless epochs" + (30000).to_bytes(8, "big"))
 *     key = mac(secret, b"keyless epoch" + bytes((7 * i + 1) & 255 for i in range(32)) + number.to_bytes(8,
 * "big")) random = bytes(range(0xa0, 0xb0)) session_id = random + mac(key, b"keyless session id" +
 * random)[:16] */
static void keys_and_session_ids_never_change(void **state)
{
    static const struct {
        uint64_t number;
        const char *key, *session_id;
    } golden[] = {{1, "aebbbd09a07264c31b7137cb97dc630f53ba8eefb1744e385c0feb9c16b1defc",
                   "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf11320161df911a641eb8907d0d766390"},
                  {0x0102030405060708, "0462a75a099c1a61966c5eda6993006e67fe5bc9592b5cd5f7635247e62cabdf",
                   "a0a1a2a3a4a5a6a7a8a9aaabacadaeafe9d616ace524943d4f019835ece48e30"}};
    uint8_t key[EPOCH_KEY_SIZE], random[SESSION_ID_RANDOM_SIZE], id[SESSION_ID_SIZE];
    (void)state;
    assert_hex(secret, sizeof secret, "b8404695735f054cf4489823556553e1ac336fc4522ebaeaa740f9b32e817955");
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(0xa0 + i);
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        epoch_key(key, secret, edge_key, golden[i].number);
        assert_hex(key, sizeof key, golden[i].key);
        session_id_make(id, key, random);
        assert_hex(id, sizeof id, golden[i].session_id);
        assert_true(epoch_accepts(id, secret, edge_key, golden[i].number));
    }
}

static void every_byte_of_secret_edge_and_number_makes_another_key(void **state)
{
    uint8_t key[EPOCH_KEY_SIZE], other[EPOCH_KEY_SIZE];
    (void)state;
    epoch_key(key, secret, edge_key, 1000);
    for (size_t i = 0; i < 32; i++)
        for (int side = 0; side < 2; side++) {
            uint8_t *byte = side ? &secret[i] : &edge_key[i];
            *byte ^= 1;
            epoch_key(other, secret, edge_key, 1000);
            *byte ^= 1;
            assert_memory_not_equal(other, key, sizeof key);
        }
    for (unsigned bit = 0; bit < 64; bit++) {
        epoch_key(other, secret, edge_key, 1000 ^ UINT64_C(1) << bit);
        assert_memory_not_equal(other, key, sizeof key);
    }
}

/* The same number with another length is another time: what is over must not come again by a new
 * configuration. */
static void another_length_makes_other_keys_of_the_same_numbers(void **state)
{
    uint8_t other[32], key[EPOCH_KEY_SIZE], id[SESSION_ID_SIZE];
    static const uint8_t random[SESSION_ID_RANDOM_SIZE] = {1};
    (void)state;
    epoch_key(key, secret, edge_key, 1000);
    session_id_make(id, key, random);
    for (unsigned bit = 0; bit < 64; bit++) {
        epoch_secret(other, group_secret, LENGTH ^ UINT64_C(1) << bit);
        assert_memory_not_equal(other, secret, sizeof other);
        assert_false(epoch_accepts(id, other, edge_key, 1000));
    }
    group_secret[31] ^= 1;
    epoch_secret(other, group_secret, LENGTH);
    group_secret[31] ^= 1;
    assert_memory_not_equal(other, secret, sizeof other);
}

/* ---- which are live ---- */

/* A session id of EDGE made in epoch NUMBER. */
static void make_id(uint8_t id[static SESSION_ID_SIZE], const uint8_t edge[static 32], uint64_t number)
{
    uint8_t key[EPOCH_KEY_SIZE], random[SESSION_ID_RANDOM_SIZE];
    random_bytes(random, sizeof random);
    epoch_key(key, secret, edge, number);
    session_id_make(id, key, random);
}

static void the_epoch_before_now_and_after_are_live_and_no_other(void **state)
{
    uint8_t id[SESSION_ID_SIZE];
    static const uint64_t now[] = {1, 2, 3, 56666667, UINT64_C(1) << 32, UINT64_MAX - 100};
    (void)state;
    for (size_t i = 0; i < sizeof now / sizeof now[0]; i++)
        for (uint64_t made = now[i] > 60 ? now[i] - 60 : 0; made <= now[i] + 60; made++) {
            make_id(id, edge_key, made);
            assert_int_equal(epoch_accepts(id, secret, edge_key, now[i]),
                             made + 1 >= now[i] && made <= now[i] + 1);
        }
}

static void a_session_id_is_good_for_the_edge_that_made_it_only(void **state)
{
    uint8_t other_edge[32], id[SESSION_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < 32; i++) {
        memcpy(other_edge, edge_key, sizeof other_edge);
        other_edge[i] ^= 0x10;
        make_id(id, other_edge, 1000);
        assert_true(epoch_accepts(id, secret, other_edge, 1000));
        assert_false(epoch_accepts(id, secret, edge_key, 1000));
    }
}

static void a_changed_session_id_is_none(void **state)
{
    uint8_t id[SESSION_ID_SIZE];
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof id; bit++) {
        make_id(id, edge_key, 999 + bit % 3);
        id[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(epoch_accepts(id, secret, edge_key, 1000));
        id[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(epoch_accepts(id, secret, edge_key, 1000));
    }
    memset(id, 0, sizeof id);
    assert_false(epoch_accepts(id, secret, edge_key, 1000));
}

/* ---- time ---- */

static void time_goes_with_the_wall_clock(void **state)
{
    struct epoch_clock clock;
    (void)state;
    epoch_clock_start(&clock, LENGTH, NOW, 0, 5);
    for (uint64_t ms = 0; ms < 10 * LENGTH; ms += 777) {
        assert_int_equal(epoch_clock_turn(&clock, NOW + ms, 5 + ms), (NOW + ms) / LENGTH + 1);
        assert_int_equal(epoch_clock_left(&clock), LENGTH - (NOW + ms) % LENGTH);
        assert_int_equal(epoch_clock_ahead(&clock, NOW + ms), 0);
        assert_int_equal(epoch_clock_ahead(&clock, NOW + ms - 1), 1);
        assert_int_equal(epoch_clock_ahead(&clock, NOW + ms + 1), 0);
    }
}

static void an_epoch_begins_to_the_millisecond(void **state)
{
    struct epoch_clock clock;
    uint64_t begin = NOW / LENGTH * LENGTH, number = NOW / LENGTH + 1;
    (void)state;
    epoch_clock_start(&clock, LENGTH, begin - 1, 0, 0);
    assert_int_equal(epoch_clock_turn(&clock, begin - 1, 0), number - 1);
    assert_int_equal(epoch_clock_left(&clock), 1);
    assert_int_equal(epoch_clock_turn(&clock, begin, 1), number);
    assert_int_equal(epoch_clock_left(&clock), LENGTH);
    assert_int_equal(epoch_clock_turn(&clock, begin + LENGTH - 1, LENGTH), number);
    assert_int_equal(epoch_clock_turn(&clock, begin + LENGTH, LENGTH + 1), number + 1);
}

static void no_epoch_has_the_number_0(void **state)
{
    struct epoch_clock clock;
    (void)state;
    epoch_clock_start(&clock, LENGTH, 0, 0, 0);
    assert_int_equal(epoch_clock_turn(&clock, 0, 0), 1);
    epoch_clock_start(&clock, 1, 0, 0, 0); /* the shortest there could be */
    assert_int_equal(epoch_clock_turn(&clock, 0, 0), 1);
    assert_int_equal(epoch_clock_left(&clock), 1);
}

static void a_leap_of_the_wall_clock_is_followed_forward(void **state)
{
    struct epoch_clock clock;
    (void)state;
    epoch_clock_start(&clock, LENGTH, NOW, 0, 0);
    assert_int_equal(epoch_clock_turn(&clock, NOW + DAY, 10), (NOW + DAY) / LENGTH + 1);
    assert_int_equal(epoch_clock_ahead(&clock, NOW + DAY), 0);
}

static void when_the_wall_clock_is_set_back_time_goes_on_by_itself(void **state)
{
    struct epoch_clock clock;
    (void)state;
    epoch_clock_start(&clock, LENGTH, NOW, 0, 0);
    for (uint64_t ms = 0; ms <= 3 * LENGTH; ms += 500) {
        assert_int_equal(epoch_clock_turn(&clock, NOW - DAY + ms, ms), (NOW + ms) / LENGTH + 1);
        assert_int_equal(epoch_clock_left(&clock), LENGTH - (NOW + ms) % LENGTH);
        assert_int_equal(epoch_clock_ahead(&clock, NOW - DAY + ms), DAY);
    }
    /* and with it again when it has come that far */
    assert_int_equal(epoch_clock_turn(&clock, NOW + DAY, 3 * LENGTH + 1), (NOW + DAY) / LENGTH + 1);
    assert_int_equal(epoch_clock_ahead(&clock, NOW + DAY), 0);
    assert_int_equal(epoch_clock_turn(&clock, 0, 3 * LENGTH + 1),
                     (NOW + DAY) / LENGTH + 1); /* no wall clock at all */
    assert_int_equal(epoch_clock_ahead(&clock, 0), NOW + DAY);
}

static void a_clock_that_is_never_set_does_not_go_back_either(void **state)
{
    struct epoch_clock clock;
    (void)state;
    epoch_clock_start(&clock, LENGTH, NOW, 0, 1000000);
    uint64_t number = epoch_clock_turn(&clock, NOW, 2000000); /* it is ahead of the wall's */
    assert_int_equal(number, (NOW + 1000000) / LENGTH + 1);
    assert_int_equal(epoch_clock_turn(&clock, NOW, 10), number); /* as no clock should */
    assert_int_equal(epoch_clock_turn(&clock, NOW, 2000000), number);
    assert_int_equal(epoch_clock_turn(&clock, NOW, 2000000 + LENGTH), number + 1);
}

static void what_an_earlier_process_has_reached_is_the_least(void **state)
{
    struct epoch_clock clock;
    (void)state;
    epoch_clock_start(&clock, LENGTH, NOW, NOW + DAY, 0);
    assert_int_equal(epoch_clock_turn(&clock, NOW, 0), (NOW + DAY) / LENGTH + 1);
    assert_int_equal(epoch_clock_ahead(&clock, NOW), DAY);
    epoch_clock_start(&clock, LENGTH, NOW, NOW - DAY, 0);
    assert_int_equal(epoch_clock_turn(&clock, NOW, 0), NOW / LENGTH + 1);
    assert_int_equal(epoch_clock_ahead(&clock, NOW), 0);
}

/* Both clocks at random: small steps, leaps, steps back. */
static void time_never_goes_back_and_never_stands_still_in_random_walks(void **state)
{
    (void)state;
    for (int walk = 0; walk < 200; walk++) {
        struct epoch_clock clock;
        uint64_t wall = NOW + random_below(DAY), mono = random_below(DAY), number = 0;
        uint64_t length = 1 + random_below(walk % 2 ? 10 : 100000);
        epoch_clock_start(&clock, length, wall, wall - DAY / 2 + random_below(DAY), mono);
        for (int step = 0; step < 500; step++) {
            uint64_t before = clock.time_ms, passed = random_below(3) ? random_below(3000) : 0;
            mono += passed;
            wall += passed;
            if (random_below(10) == 0)
                wall += random_below(2) ? random_below(DAY) : -(uint64_t)random_below(DAY);
            uint64_t now = epoch_clock_turn(&clock, wall, mono);
            assert_true(clock.time_ms >= before + passed); /* at least as fast as the one clock */
            assert_true(clock.time_ms >= wall);            /* not behind the other */
            assert_true(clock.time_ms == before + passed || clock.time_ms == wall);
            assert_true(now >= number && now == clock.time_ms / length + 1);
            assert_in_range(epoch_clock_left(&clock), 1, length);
            assert_int_equal(epoch_clock_ahead(&clock, wall), clock.time_ms - wall);
            number = now;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_session_ids_never_change),
        cmocka_unit_test(every_byte_of_secret_edge_and_number_makes_another_key),
        cmocka_unit_test(another_length_makes_other_keys_of_the_same_numbers),
        cmocka_unit_test(the_epoch_before_now_and_after_are_live_and_no_other),
        cmocka_unit_test(a_session_id_is_good_for_the_edge_that_made_it_only),
        cmocka_unit_test(a_changed_session_id_is_none),
        cmocka_unit_test(time_goes_with_the_wall_clock),
        cmocka_unit_test(an_epoch_begins_to_the_millisecond),
        cmocka_unit_test(no_epoch_has_the_number_0),
        cmocka_unit_test(a_leap_of_the_wall_clock_is_followed_forward),
        cmocka_unit_test(when_the_wall_clock_is_set_back_time_goes_on_by_itself),
        cmocka_unit_test(a_clock_that_is_never_set_does_not_go_back_either),
        cmocka_unit_test(what_an_earlier_process_has_reached_is_the_least),
        cmocka_unit_test(time_never_goes_back_and_never_stands_still_in_random_walks),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
