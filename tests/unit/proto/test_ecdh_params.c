/* ServerECDHParams: each group by its exact form, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ecdh_params.h"

static const struct {
    uint16_t group;
    uint8_t length;
    bool point;
} groups[] = {{23, 65, true}, {24, 97, true}, {25, 133, true}, {29, 32, false}, {30, 56, false}};

#define GROUPS    (sizeof groups / sizeof groups[0])
#define HEAD      4 /* curve type, group, length of the public value */
#define BYTES_MAX 300

static size_t make(uint8_t out[static BYTES_MAX], uint16_t group, uint8_t length, bool point)
{
    memset(out, 0x11, BYTES_MAX);
    out[0] = 3;
    out[1] = (uint8_t)(group >> 8);
    out[2] = (uint8_t)group;
    out[3] = length;
    if (point)
        out[HEAD] = 4;
    return HEAD + (size_t)length;
}

static void every_group_is_taken_in_its_own_form_only(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct ecdh_params params;
    for (size_t i = 0; i < GROUPS; i++)
        for (unsigned length = 0; length < 256; length++) {
            size_t size = make(bytes, groups[i].group, (uint8_t)length, groups[i].point);
            bool good = length == groups[i].length;
            assert_int_equal(ecdh_params_parse(&params, bytes, size), good ? 0 : ERR_FORMAT);
            if (good) {
                assert_int_equal(params.group, groups[i].group);
                assert_int_equal(params.length, length);
                assert_ptr_equal(params.public, bytes + HEAD);
            }
        }
}

static void other_groups_and_curve_types_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct ecdh_params params;
    for (unsigned group = 0; group < 1u << 16; group++) {
        size_t size = make(bytes, (uint16_t)group, 65, true);
        assert_int_equal(ecdh_params_parse(&params, bytes, size), group == 23 ? 0 : ERR_FORMAT);
    }
    for (unsigned type = 0; type < 256; type++) {
        size_t size = make(bytes, 23, 65, true);
        bytes[0] = (uint8_t)type;
        assert_int_equal(ecdh_params_parse(&params, bytes, size), type == 3 ? 0 : ERR_FORMAT);
    }
}

static void points_are_uncompressed_and_coordinates_are_free(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct ecdh_params params;
    for (size_t i = 0; i < GROUPS; i++)
        for (unsigned first = 0; first < 256; first++) {
            size_t size = make(bytes, groups[i].group, groups[i].length, groups[i].point);
            bytes[HEAD] = (uint8_t)first;
            assert_int_equal(ecdh_params_parse(&params, bytes, size),
                             !groups[i].point || first == 4 ? 0 : ERR_FORMAT);
        }
}

static void what_is_cut_or_goes_on_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct ecdh_params params;
    for (size_t i = 0; i < GROUPS; i++) {
        size_t size = make(bytes, groups[i].group, groups[i].length, groups[i].point);
        for (size_t length = 0; length <= size + 20; length++)
            assert_int_equal(ecdh_params_parse(&params, bytes, length), length == size ? 0 : ERR_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_group_is_taken_in_its_own_form_only),
        cmocka_unit_test(other_groups_and_curve_types_are_refused),
        cmocka_unit_test(points_are_uncompressed_and_coordinates_are_free),
        cmocka_unit_test(what_is_cut_or_goes_on_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
