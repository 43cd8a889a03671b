#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_kernel.h"

#define NOISE_LABEL 0
#define KEY_LABEL   1
#define HASH_LABEL  2

/* What must come out for each size of numbers: SHA-256 of all nonces, and of all signatures made with them. That they
 * are right is shown with OpenSSL by the unit tests. */
static const struct answer {
    size_t size;
    uint8_t nonces[32], signatures[32];
} answers[] = {
    {32, {0}, {0}},
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

static void ask(struct question *question)
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
        ask(question);
        right = answer_right(question, work, kernel, answer);
    }
    secret_free(question);
    secret_free(work);
    return right;
}

bool ec_lanes_p256_self_test(void)
{
    ec_p256_ifma.prepare();
    return ec_kernel_test(&ec_p256_ifma);
}
