#include "common/source_budget.h"

#include <string.h>

#include "common/secret.h"

#define THOUSANDTHS 1000u /* one token */

void source_budget_init(struct source_budget *b, unsigned per_second)
{
    memset(b, 0, sizeof *b);
    random_bytes(b->key, sizeof b->key);
    b->per_second = per_second;
}

/* Tokens of BUCKET at NOW_MS; never more than LIMIT, computed without overflow. */
static uint64_t tokens_at(const struct source_bucket *bucket, unsigned per_second, uint64_t now_ms)
{
    uint64_t limit = (uint64_t)per_second * THOUSANDTHS;
    uint64_t passed = now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;
    if (passed >= 1000)
        return limit;
    uint64_t tokens = bucket->tokens + passed * per_second;
    return tokens < limit ? tokens : limit;
}

/* The bucket of TAG; the one untouched for longest is given up for a source that has none. */
static struct source_bucket *bucket_of(struct source_budget *b, uint64_t tag, uint64_t now_ms)
{
    struct source_bucket *set = b->bucket[tag % SOURCE_BUDGET_SETS];
    struct source_bucket *oldest = &set[0];
    for (size_t i = 0; i < SOURCE_BUDGET_WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (oldest->tag != 0 && (set[i].tag == 0 || set[i].filled_ms < oldest->filled_ms))
            oldest = &set[i];
    }
    *oldest = (struct source_bucket){
        .tag = tag, .filled_ms = now_ms, .tokens = (uint64_t)b->per_second * THOUSANDTHS};
    return oldest;
}

bool source_budget_take(struct source_budget *b, const struct address *from, uint64_t now_ms)
{
    uint8_t source[ADDRESS_BLOCK_SIZE], hash[SHA256_SIZE];
    uint64_t tag;
    if (b->per_second == 0)
        return true;
    address_block(source, from, 32, 64);
    hmac_sha256(hash, b->key, sizeof b->key, source, sizeof source);
    memcpy(&tag, hash, sizeof tag);
    if (tag == 0)
        tag = 1;
    struct source_bucket *bucket = bucket_of(b, tag, now_ms);
    bucket->tokens = tokens_at(bucket, b->per_second, now_ms);
    bucket->filled_ms = now_ms > bucket->filled_ms ? now_ms : bucket->filled_ms;
    if (bucket->tokens < THOUSANDTHS)
        return false;
    bucket->tokens -= THOUSANDTHS;
    return true;
}
