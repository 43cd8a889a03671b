#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_kernel.h"

#define NOISE_LABEL 0
#define KEY_LABEL   1
#define HASH_LABEL  2

/* What must come out for each size of numbers: SHA-256 of all nonces (as they lie in memory, little-endian),
 * and of all signatures made with them. That these are right is shown with OpenSSL by test_ec_self_test.c. */
static const struct answer {
    size_t size;
    uint8_t nonces[32], signatures[32];
} answers[] = {
    {32,
     {0xe8, 0xae, 0xdc, 0x8c, 0xe3, 0x3a, 0x39, 0x6f, 0x6d, 0x7b, 0x04, 0x23, 0xe5, 0xdb, 0x35, 0x18,
      0xd1, 0x8b, 0x0e, 0x9b, 0xeb, 0xf5, 0xd3, 0x31, 0xc2, 0x57, 0x20, 0xd8, 0x9d, 0x72, 0xd4, 0xda},
     {0x08, 0x7b, 0x3b, 0xb4, 0x89, 0xaf, 0x1e, 0xc6, 0x36, 0xb6, 0x69, 0x79, 0x1e, 0xbc, 0xfb, 0xc6,
      0x70, 0x2a, 0x51, 0xf4, 0x50, 0x48, 0x4b, 0x95, 0xbc, 0x7b, 0x1a, 0x04, 0xe4, 0x92, 0x58, 0xa7}},
    {48,
     {0x54, 0x55, 0xbf, 0xc5, 0x36, 0x64, 0xfc, 0x53, 0x96, 0xcf, 0xd8, 0x25, 0x89, 0x94, 0x87, 0x47,
      0xc0, 0x75, 0x6d, 0xb6, 0xa9, 0xb3, 0xef, 0x02, 0xaa, 0x07, 0xa0, 0xbe, 0xc1, 0x14, 0x3b, 0xe6},
     {0xbf, 0xd8, 0x13, 0xb3, 0x4a, 0x35, 0xf4, 0xd6, 0x0f, 0x21, 0x7c, 0x2a, 0xc1, 0xe1, 0x39, 0xb8,
      0x8d, 0x26, 0x16, 0x95, 0x1d, 0xb1, 0x17, 0xa7, 0x16, 0x4a, 0x76, 0xb4, 0x66, 0xec, 0xfc, 0x44}},
};

/* All that goes into a call with as many items as may be. */
struct question {
    struct ec_item items[EC_LANES_MAX];
    struct ec_nonces nonces;
    uint8_t noise[EC_LANES_MAX][EC_NOISE_SIZE];
    uint8_t keys[EC_LANES_MAX][2 * 32], hashes[EC_LANES_MAX][2 * 32];
    uint8_t signatures[EC_LANES_MAX * 2 * EC_SIZE_MAX];
};

/* Bytes that look random and are always the same: SHA-256 of what they are for. */
static void expand(uint8_t *out, size_t blocks, uint8_t label, uint8_t item)
{
    for (uint8_t block = 0; block < blocks; block++) {
        uint8_t name[] = {label, item, block};
        sha256(out + block * (size_t)32, name, sizeof name);
    }
}

static void make_question(struct question *question)
{
    for (uint8_t i = 0; i < EC_LANES_MAX; i++) {
        expand(question->noise[i], 1, NOISE_LABEL, i);
        expand(question->keys[i], 2, KEY_LABEL, i);
        expand(question->hashes[i], 2, HASH_LABEL, i);
        question->keys[i][0] &= 0x7f; /* below the order of either curve */
        question->items[i].key = question->keys[i];
        question->items[i].hash = question->hashes[i];
    }
}

static bool answer_right(struct question *question, void *work, const struct ec_kernel *kernel,
                         const struct answer *answer)
{
    uint8_t hash[32];
    kernel->derive(&question->nonces, question->items, EC_LANES_MAX, question->noise[0], 0);
    sha256(hash, &question->nonces, sizeof question->nonces);
    if (!same_bytes(hash, answer->nonces, sizeof hash))
        return false;
    struct ec_verdict verdict = kernel->sign(work, &question->nonces, question->items, EC_LANES_MAX);
    for (size_t i = 0; i < EC_LANES_MAX; i++)
        memcpy(question->signatures + i * 2 * kernel->size, question->items[i].rs, 2 * kernel->size);
    sha256(hash, question->signatures, EC_LANES_MAX * 2 * kernel->size);
    return verdict.again == 0 && verdict.bad == 0 && same_bytes(hash, answer->signatures, sizeof hash);
}

bool ec_kernel_test(const struct ec_kernel *kernel)
{
    const struct answer *answer = NULL;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        answer = answers[i].size == kernel->size ? &answers[i] : answer;
    struct question *question = secret_new(sizeof *question);
    void *work = secret_new((kernel->work_size + 63) / 64 * 64);
    bool right = answer != NULL && question != NULL && work != NULL;
    if (right) {
        make_question(question);
        right = answer_right(question, work, kernel, answer);
    }
    secret_free(question);
    secret_free(work);
    return right;
}
