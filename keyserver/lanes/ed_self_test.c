#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/ed_kernel.h"

#define SEED_LABEL    0
#define MESSAGE_LABEL 1
#define BLOCKS        8 /* of 32 bytes, that a message may have */

/* SHA-256 of all signatures. That it is right is shown with OpenSSL by test_ed_lanes.c. */
static const uint8_t answer[32] = {0x51, 0x96, 0x05, 0xe9, 0x7a, 0x34, 0xc0, 0x48, 0x08, 0x5b, 0x0f,
                                   0x11, 0xfb, 0xed, 0xd2, 0x95, 0xd6, 0xe6, 0xa7, 0x47, 0xc3, 0x5a,
                                   0x99, 0xda, 0x03, 0xb1, 0x2c, 0x4e, 0x88, 0x8f, 0x06, 0x3e};

/* All that goes into a call with as many items as may be. */
struct question {
    struct ed_item items[ED_LANES_MAX];
    struct ed_key keys[ED_LANES_MAX];
    uint8_t seeds[ED_LANES_MAX][ED_SIZE], messages[ED_LANES_MAX][BLOCKS * 32];
    uint8_t signatures[ED_LANES_MAX][2 * ED_SIZE];
};

/* Bytes that look random and are always the same: SHA-256 of what they are for. */
static void expand(uint8_t *out, size_t blocks, uint8_t label, uint8_t item)
{
    for (uint8_t block = 0; block < blocks; block++) {
        uint8_t name[] = {label, item, block};
        sha256(out + block * (size_t)32, name, sizeof name);
    }
}

/* Messages from nothing to three blocks of the hash. */
static void make_question(struct question *question)
{
    for (uint8_t i = 0; i < ED_LANES_MAX; i++) {
        expand(question->seeds[i], 1, SEED_LABEL, i);
        expand(question->messages[i], BLOCKS, MESSAGE_LABEL, i);
        ed_key_derive(&question->keys[i], question->seeds[i]);
        question->items[i] = (struct ed_item){
            .key = &question->keys[i], .message = question->messages[i], .length = 8 * (size_t)i};
    }
}

bool ed_kernel_test(const struct ed_kernel *kernel)
{
    struct question *question = secret_new(sizeof *question);
    void *work = secret_new((kernel->work_size + 63) / 64 * 64);
    uint8_t hash[32] = {0};
    bool whole = question != NULL && work != NULL;
    if (whole) {
        make_question(question);
        kernel->sign(work, question->items, ED_LANES_MAX);
        for (size_t i = 0; i < ED_LANES_MAX; i++)
            memcpy(question->signatures[i], question->items[i].signature, 2 * ED_SIZE);
        sha256(hash, question->signatures, sizeof question->signatures);
    }
    secret_free(question);
    secret_free(work);
    return whole && same_bytes(hash, answer, sizeof hash);
}
