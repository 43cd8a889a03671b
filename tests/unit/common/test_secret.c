#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/secret.h"
#include "tests/lib/random_below.h"
#include "tests/unit/skip.h"

static void secret_memory_is_zeroed_and_writable(void **state)
{
    (void)state;
    static const uint8_t zeros[100];
    uint8_t *secret = secret_new(sizeof zeros);
    assert_non_null(secret);
    assert_memory_equal(secret, zeros, sizeof zeros);
    memset(secret, 1, sizeof zeros);
    secret_free(secret);
    secret_free(NULL);
}

static void same_bytes_sees_every_position(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    assert_true(same_bytes(a, b, 32));
    for (size_t i = 0; i < 32; i++) {
        b[i] ^= 0x80;
        assert_false(same_bytes(a, b, 32));
        b[i] ^= 0x80;
    }
}

static void wipe_leaves_zeros(void **state)
{
    (void)state;
    char text[] = "password";
    wipe(text, sizeof text);
    for (size_t i = 0; i < sizeof text; i++)
        assert_int_equal(text[i], 0);
}

#ifdef __x86_64__
/* One copy goes through a register of each class: in before the call, out after it. */
#define THERE_AND_BACK(move, first, second)                                                                  \
    do {                                                                                                     \
        memset(seen, 0xff, sizeof seen);                                                                     \
        __asm__ volatile(move " (%0), %%" first "\n\t" move " (%0), %%" second ::"r"(secret) : "memory");    \
        wipe_registers();                                                                                    \
        __asm__ volatile(move " %%" first ", (%0)\n\t" move " %%" second ", 64(%0)" ::"r"(seen) : "memory"); \
    } while (0)
#define HALVES_ARE_ZERO(size) (memcmp(seen, zeros, (size)) == 0 && memcmp(seen + 64, zeros, (size)) == 0)
#endif

static void registers_are_wiped_too(void **state)
{
    (void)state;
#ifdef __x86_64__
    static uint8_t secret[64];
    static uint8_t seen[128], zeros[64];
    memset(secret, 0xa5, sizeof secret);
    THERE_AND_BACK("movups", "xmm0", "xmm15");
    assert_true(HALVES_ARE_ZERO(16));
    if (__builtin_cpu_supports("avx")) {
        THERE_AND_BACK("vmovups", "ymm0", "ymm15");
        assert_true(HALVES_ARE_ZERO(32));
    }
    if (__builtin_cpu_supports("avx512f")) {
        THERE_AND_BACK("vmovups", "zmm15", "zmm31");
        assert_true(HALVES_ARE_ZERO(64));
        THERE_AND_BACK("vmovups", "zmm16", "zmm24");
        assert_true(HALVES_ARE_ZERO(64));
    }
#else
    SKIP_FOR("no vector registers are wiped on this architecture");
#endif
}

static void random_below_reaches_every_value(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t value = random_below(5);
        assert_true(value < 5);
        seen |= 1u << value;
    }
    assert_int_equal(seen, 31);
    assert_int_equal(random_below(1), 0);
}

/* FIPS 180-2 appendix B.1 and RFC 4231 test case 2. */
static void hashes_give_the_published_values(void **state)
{
    (void)state;
    uint8_t out[32];
    char text[65];
    sha256(out, "abc", 3);
    assert_string_equal(hex_encode(text, out, 32),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hmac_sha256(out, "Jefe", 4, "what do ya want for nothing?", 28);
    assert_string_equal(hex_encode(text, out, 32),
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void every_error_has_its_words(void **state)
{
    (void)state;
    for (int code = 0; code >= ERR_CONFIG; code--) {
        assert_string_not_equal(err_string(code), "unknown error");
        for (int other = code + 1; other <= 0; other++)
            assert_string_not_equal(err_string(code), err_string(other));
    }
    assert_string_equal(err_string(1), "unknown error");
    assert_string_equal(err_string(ERR_CONFIG - 1), "unknown error");
}

static void fault_carries_the_sentence_and_the_code(void **state)
{
    (void)state;
    struct fault fault = {0};
    assert_int_equal(fault_set(&fault, ERR_CONFIG, "%s:%d: no", "file", 3), ERR_CONFIG);
    assert_string_equal(fault.text, "file:3: no");
    assert_int_equal(fault_set(NULL, ERR_BUSY, "ignored"), ERR_BUSY);
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    fault_set(&fault, ERR_CONFIG, "%s", longer);
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
}

static void clock_goes_forward_and_prints(void **state)
{
    (void)state;
    uint64_t before = clock_ns();
    char text[CLOCK_RFC3339_SIZE];
    assert_true(clock_ns() >= before);
    assert_true(clock_ms() >= before / 1000000);
    assert_int_equal(strlen(clock_rfc3339(text)), 24);
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[23], 'Z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_memory_is_zeroed_and_writable),
        cmocka_unit_test(same_bytes_sees_every_position),
        cmocka_unit_test(wipe_leaves_zeros),
        cmocka_unit_test(registers_are_wiped_too),
        cmocka_unit_test(random_below_reaches_every_value),
        cmocka_unit_test(hashes_give_the_published_values),
        cmocka_unit_test(every_error_has_its_words),
        cmocka_unit_test(fault_carries_the_sentence_and_the_code),
        cmocka_unit_test(clock_goes_forward_and_prints),
    };
    return secret_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
