#include "proto/ciphertext.h"

#include <stdbool.h>
#include <string.h>

static bool is_zero_or_one(const uint8_t *c, size_t size)
{
    size_t leading = 0;

    while (leading < size - 1 && c[leading] == 0)
        leading++;
    return leading == size - 1 && c[leading] <= 1;
}

/* n is odd, so n - 1 differs from it in the last byte only. */
static bool is_one_below(const uint8_t *c, const uint8_t *n, size_t size)
{
    return memcmp(c, n, size - 1) == 0 && c[size - 1] == (uint8_t)(n[size - 1] - 1);
}

int ciphertext_check(const uint8_t *ciphertext, size_t length, const uint8_t *modulus, size_t size)
{
    if (length != size || size == 0)
        return ERR_LENGTH;
    if (memcmp(ciphertext, modulus, size) >= 0 || is_zero_or_one(ciphertext, size) ||
        is_one_below(ciphertext, modulus, size))
        return ERR_FORMAT;
    return 0;
}
