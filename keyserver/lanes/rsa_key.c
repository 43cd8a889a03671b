#include "keyserver/lanes/rsa_inside.h"

#include <string.h>

#include "common/secret.h"
#include "common/secret_slot.h"

/* ---- numbers in digits; what they are made from is secret ---- */

void rsa_read_number(uint64_t *out, size_t digits, const uint8_t *bytes, size_t size)
{
    memset(out, 0, digits * sizeof *out);
    for (size_t i = 0; i < size; i++) {
        size_t bit = 8 * i, at = bit / LANE_DIGIT_BITS, shift = bit % LANE_DIGIT_BITS;
        uint64_t byte = bytes[size - 1 - i];
        out[at] |= byte << shift & LANE_DIGIT_MASK;
        if (shift + 8 > LANE_DIGIT_BITS)
            out[at + 1] |= byte >> (LANE_DIGIT_BITS - shift);
    }
}

/* OUT = A - (B & TAKE); returns all ones when that is negative, else 0. */
static uint64_t subtract(uint64_t *out, const uint64_t *a, const uint64_t *b, uint64_t take, size_t digits)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < digits; i++) {
        uint64_t difference = a[i] - (b[i] & take) - borrow;
        out[i] = difference & LANE_DIGIT_MASK;
        borrow = difference >> 63;
    }
    uint64_t negative = 0 - borrow;
    __asm__("" : "+r"(negative)); /* keeps a compiler from seeing that there are only two masks */
    return negative;
}

static bool is_below(const uint64_t *a, const uint64_t *b, size_t digits)
{
    uint64_t difference[LANE_DIGITS_MAX];
    uint64_t negative = subtract(difference, a, b, UINT64_MAX, digits);
    wipe(difference, sizeof difference);
    return negative != 0;
}

/* NUMBER = NUMBER 2^TIMES modulo N. */
static void double_times(uint64_t *number, const uint64_t *n, size_t digits, size_t times)
{
    uint64_t less[LANE_DIGITS_MAX];
    while (times-- > 0) {
        uint64_t carry = 0;
        for (size_t i = 0; i < digits; i++) {
            uint64_t twice = number[i] << 1 | carry;
            number[i] = twice & LANE_DIGIT_MASK;
            carry = twice >> LANE_DIGIT_BITS;
        }
        uint64_t below = subtract(less, number, n, UINT64_MAX, digits);
        for (size_t i = 0; i < digits; i++)
            number[i] = (number[i] & below) | (less[i] & ~below);
    }
    wipe(less, sizeof less);
}

/* OUT = 2^TIMES modulo N. */
static void power_of_two(uint64_t *out, const uint64_t *n, size_t digits, size_t times)
{
    memset(out, 0, digits * sizeof *out);
    out[0] = 1;
    double_times(out, n, digits, times);
}

/* -1 / N modulo 2^52. */
static uint64_t negative_inverse(uint64_t n)
{
    uint64_t inverse = 1; /* of n modulo 2, 4, 16, 256, … (Newton) */
    for (int bits = 1; bits < 64; bits *= 2)
        inverse *= 2 - n * inverse;
    return (0 - inverse) & LANE_DIGIT_MASK;
}

/* ---- the key ---- */

static bool is_modulus(const uint8_t *bytes, size_t size)
{
    return bytes[0] >> 7 == 1 && bytes[size - 1] % 2 == 1;
}

static bool is_supported(const struct rsa_numbers *numbers)
{
    size_t size = numbers->size, half = size / 2;
    return (size == 256 || size == 384 || size == 512) && numbers->e == RSA_LANES_EXPONENT &&
           is_modulus(numbers->n, size) && is_modulus(numbers->p, half) && is_modulus(numbers->q, half);
}

/* False when EXPONENT is not below PRIME. */
static bool read_half(struct rsa_half *half, size_t blocks, const uint8_t *prime, const uint8_t *exponent,
                      size_t size)
{
    static const uint64_t two[HALF_DIGITS_MAX] = {2};
    size_t digits = LANE_BLOCK * blocks, r = LANE_DIGIT_BITS * digits;
    rsa_read_number(half->n, digits, prime, size);
    rsa_read_number(half->exponent[PRIVATE], digits, exponent, size);
    (void)subtract(half->exponent[INVERT], half->n, two, UINT64_MAX, digits);
    half->inverse = negative_inverse(half->n[0]);
    power_of_two(half->square, half->n, digits, 2 * r);
    memcpy(half->cube, half->square, sizeof half->cube);
    double_times(half->cube, half->n, digits, r);
    return is_below(half->exponent[PRIVATE], half->n, digits);
}

/* The digits that give R the room that rsa_kernel.h promises: 20, 30 or 40 for 1,024, 1,536 or 2,048 bits. */
static size_t blocks_of(size_t half_size)
{
    return (8 * half_size + 16 + LANE_BLOCK * LANE_DIGIT_BITS - 1) / (LANE_BLOCK * LANE_DIGIT_BITS);
}

static bool read_key(struct rsa_lanes_key *key, const struct rsa_numbers *numbers)
{
    size_t half = numbers->size / 2, blocks = blocks_of(half), digits = LANE_BLOCK * blocks;
    key->size = numbers->size;
    key->blocks = blocks;
    rsa_read_number(key->n, 2 * digits, numbers->n, numbers->size);
    key->inverse = negative_inverse(key->n[0]);
    power_of_two(key->square, key->n, 2 * digits, 2 * LANE_DIGIT_BITS * 2 * digits);
    bool good = read_half(&key->p, blocks, numbers->p, numbers->dp, half);
    good &= read_half(&key->q, blocks, numbers->q, numbers->dq, half);
    rsa_read_number(key->coefficient, digits, numbers->qinv, half);
    good &= is_below(key->coefficient, key->p.n, digits);
    double_times(key->coefficient, key->p.n, digits, LANE_DIGIT_BITS * digits);
    return good;
}

int rsa_lanes_key_new(struct rsa_lanes_key **out, const struct rsa_numbers *numbers)
{
    *out = NULL;
    if (!is_supported(numbers))
        return ERR_UNSUPPORTED;
    struct rsa_lanes_key *key = secret_slot_new(sizeof *key);
    if (key == NULL)
        return ERR_MEMORY;
    if (!read_key(key, numbers)) {
        secret_slot_free(key);
        return ERR_UNSUPPORTED;
    }
    *out = key;
    return 0;
}

void rsa_lanes_key_free(struct rsa_lanes_key *key)
{
    secret_slot_free(key);
}

size_t rsa_lanes_key_size(const struct rsa_lanes_key *key)
{
    return key->size;
}

struct rsa_lanes_blinding *rsa_lanes_blinding_new(const struct rsa_lanes_key *key)
{
    struct rsa_lanes_blinding *blinding = secret_new(sizeof *blinding);
    if (blinding != NULL)
        blinding->key = key;
    return blinding;
}

void rsa_lanes_blinding_free(struct rsa_lanes_blinding *blinding)
{
    secret_free(blinding);
}
