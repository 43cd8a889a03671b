#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/lanes/rsa_kernel.h"
#include "tests/unit/skip.h"

static int start(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    return secret_init();
}

static unsigned runs;

static bool good_test(void)
{
    runs++;
    return true;
}

static bool bad_test(void)
{
    runs++;
    return false;
}

static bool machine_has(unsigned features)
{
    return (lanes_features() & features) == features;
}

/* ---- one kernel ---- */

static void a_kernel_whose_known_answers_come_out_is_ready(void **state)
{
    const struct lanes_row row = {"good", LANES_AVX512F | LANES_REGISTERS, good_test};
    (void)state;
    runs = 0;
    assert_int_equal(lanes_judge(&row, LANES_AVX512F | LANES_REGISTERS), LANES_READY);
    assert_int_equal(lanes_judge(&row, LANES_EVERYTHING), LANES_READY);
    assert_int_equal(runs, 2);
}

static void a_kernel_whose_known_answers_do_not_is_wrong(void **state)
{
    const struct lanes_row row = {"bad", 0, bad_test};
    (void)state;
    runs = 0;
    assert_int_equal(lanes_judge(&row, LANES_EVERYTHING), LANES_WRONG);
    assert_int_equal(runs, 1);
}

/* Not even its self-test: the instructions might be missing. */
static void nothing_of_a_kernel_runs_when_one_thing_is_lacking(void **state)
{
    const struct lanes_row row = {"lacking", LANES_IFMA, good_test};
    (void)state;
    runs = 0;
    for (unsigned bit = 1; bit != 0; bit <<= 1)
        if ((LANES_IFMA & bit) != 0)
            assert_int_equal(lanes_judge(&row, LANES_EVERYTHING & ~bit), LANES_LACKING);
    assert_int_equal(lanes_judge(&row, 0), LANES_LACKING);
    assert_int_equal(runs, 0);
}

/* ---- all ---- */

static void kernels_are_ready_where_the_machine_has_what_they_need(void **state)
{
    (void)state;
    lanes_start(true, LANES_EVERYTHING);
    if (!machine_has(LANES_IFMA)) {
        assert_int_equal(lanes_state(LANES_RSA), LANES_LACKING);
        assert_null(lanes_rsa());
        SKIP_FOR("this processor has no AVX-512 IFMA");
    }
    assert_int_equal(lanes_state(LANES_RSA), LANES_READY);
    assert_non_null(lanes_rsa());
}

static void kernels_that_are_not_wanted_are_off(void **state)
{
    (void)state;
    lanes_start(true, LANES_EVERYTHING);
    lanes_start(false, LANES_EVERYTHING);
    assert_int_equal(lanes_state(LANES_RSA), LANES_OFF);
    assert_null(lanes_rsa());
}

static void instructions_that_may_not_be_used_are_not(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit != 0; bit <<= 1)
        if ((LANES_IFMA & bit) != 0) {
            lanes_start(true, LANES_EVERYTHING & ~bit);
            assert_int_equal(lanes_state(LANES_RSA), LANES_LACKING);
            assert_null(lanes_rsa());
        }
}

/* What /proc/cpuinfo says was found by somebody else. */
static void features_are_those_that_the_system_names(void **state)
{
    static const struct {
        const char *name;
        unsigned feature;
    } named[] = {{" avx512f ", LANES_AVX512F},
                 {" avx512dq ", LANES_AVX512DQ},
                 {" avx512bw ", LANES_AVX512BW},
                 {" avx512vl ", LANES_AVX512VL},
                 {" avx512ifma ", LANES_AVX512IFMA},
                 {" avx512vbmi ", LANES_AVX512VBMI},
                 {" bmi2 ", LANES_BMI2}};
    char line[8192] = "";
    (void)state;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line - 1, file) != NULL && strncmp(line, "flags\t", 6) != 0)
        line[0] = '\0';
    if (file != NULL)
        fclose(file);
    if (line[0] == '\0')
        SKIP_FOR("/proc/cpuinfo has no line of flags here");
    line[strcspn(line, "\n")] = ' ';
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        assert_int_equal(strstr(line, named[i].name) != NULL, machine_has(named[i].feature));
    if (machine_has(LANES_AVX512F))
        assert_true(
            machine_has(LANES_REGISTERS)); /* Linux names no instruction whose registers it does not keep */
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(lanes_state_text(LANES_OFF), "off");
    assert_string_equal(lanes_state_text(LANES_LACKING), "lacking");
    assert_string_equal(lanes_state_text(LANES_WRONG), "wrong");
    assert_string_equal(lanes_state_text(LANES_READY), "ready");
}

/* ---- known answers of kernels that are wrong somewhere ---- */

static unsigned countdown;

static void hit(struct lane_digit *number)
{
    if (countdown > 0 && --countdown == 0)
        number[1].lane[6] ^= 1;
}

static void faulty_multiply(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                            const struct lane_digit *b)
{
    rsa_kernel_portable.multiply(m, out, a, b);
    hit(out);
}

static void faulty_square(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a)
{
    rsa_kernel_portable.square(m, out, a);
    hit(out);
}

static void faulty_reduce(const struct lane_modulus *m, struct lane_digit *number)
{
    rsa_kernel_portable.reduce(m, number);
    hit(number);
}

static void faulty_product(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                           const struct lane_digit *b, const struct lane_digit *c)
{
    rsa_kernel_portable.product(m, out, a, b, c);
    hit(out);
}

static void faulty_power(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *base,
                         const struct lane_digit *exponent, size_t windows, struct lane_digit *table)
{
    rsa_kernel_portable.power(m, out, base, exponent, windows, table);
    hit(out);
}

/* One bit of one digit of one lane, sooner or later; without it they pass: test_rsa_lanes.c. (Not the first
 * product: that is a random number in any case.) */
static void one_wrong_bit_fails_the_self_test(void **state)
{
    struct rsa_kernel faulty[5];
    (void)state;
    for (size_t i = 0; i < 5; i++)
        faulty[i] = rsa_kernel_portable;
    faulty[0].multiply = faulty_multiply;
    faulty[1].square = faulty_square;
    faulty[2].reduce = faulty_reduce;
    faulty[3].product = faulty_product;
    faulty[4].power = faulty_power;
    for (size_t i = 0; i < 5; i++)
        for (unsigned at = 2; at <= 6; at += 2) {
            countdown = at;
            assert_false(rsa_lanes_self_test(&faulty[i]));
            assert_int_equal(countdown, 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_whose_known_answers_come_out_is_ready),
        cmocka_unit_test(a_kernel_whose_known_answers_do_not_is_wrong),
        cmocka_unit_test(nothing_of_a_kernel_runs_when_one_thing_is_lacking),
        cmocka_unit_test(kernels_are_ready_where_the_machine_has_what_they_need),
        cmocka_unit_test(kernels_that_are_not_wanted_are_off),
        cmocka_unit_test(instructions_that_may_not_be_used_are_not),
        cmocka_unit_test(features_are_those_that_the_system_names),
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(one_wrong_bit_fails_the_self_test),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
