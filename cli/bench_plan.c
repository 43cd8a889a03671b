#include "cli/bench_plan.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

#define SECONDS_MAX   3600
#define ID_DIGITS_MIN 4

/* ---- numbers ---- */

int bench_depths_parse(struct bench_depths *out, const char *text)
{
    char *end;
    *out = (struct bench_depths){.count = 0};
    do {
        unsigned long depth = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;
        if (depth < 1 || depth > BENCH_IN_FLIGHT_MAX || out->count == BENCH_DEPTHS_MAX)
            return ERR_FORMAT;
        out->depth[out->count++] = (unsigned)depth;
        text = end + 1;
    } while (*end == ',');
    return *end == 0 ? 0 : ERR_FORMAT;
}

int bench_seconds_parse(uint64_t *ns, const char *text, double least)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != 0 || !isfinite(seconds) || seconds < least || seconds > SECONDS_MAX)
        return ERR_FORMAT;
    *ns = (uint64_t)(seconds * 1e9);
    return 0;
}

/* ---- wishes ---- */

int bench_wishes_add_operation(struct bench_wishes *wishes, const char *name)
{
    enum operation_kind kind;
    if (operation_parse(name, &kind) != 0 || !operation_uses_key(kind))
        return ERR_NOT_FOUND;
    wishes->operations |= OPERATION_BIT(kind);
    return 0;
}

/* A type of key, and a size where types do not say it. */
struct named_type {
    uint8_t type;
    uint16_t bits;
};

/* The type and size that people name by NUMBER, from 0 on; type 0 behind the last. */
static struct named_type named_type(size_t number)
{
    static const struct named_type sizes[] = {{KEY_RSA, 2048}, {KEY_RSA, 3072}, {KEY_RSA, 4096}};
    const size_t count = sizeof sizes / sizeof sizes[0];
    if (number < count)
        return sizes[number];
    size_t type = number - count + KEY_RSA + 1;
    return (struct named_type){.type = type < KEY_TYPES ? (uint8_t)type : 0};
}

static char *type_name(char out[static BENCH_KEY_NAME_SIZE], struct named_type type)
{
    return bench_key_name(out, &(struct key_info){.type = type.type, .bits = type.bits});
}

char *bench_type_list(char out[static BENCH_TYPE_LIST_SIZE])
{
    char name[BENCH_KEY_NAME_SIZE];
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; named_type(i).type != 0 && at < BENCH_TYPE_LIST_SIZE; i++)
        at += (size_t)snprintf(out + at, BENCH_TYPE_LIST_SIZE - at, "%s%s", i == 0 ? "" : ", ",
                               type_name(name, named_type(i)));
    return out;
}

static bool names_type(const char *text)
{
    char name[BENCH_KEY_NAME_SIZE];
    for (size_t i = 0; named_type(i).type != 0; i++)
        if (strcmp(type_name(name, named_type(i)), text) == 0)
            return true;
    return false;
}

static bool begins_id(const char *text)
{
    size_t length = strlen(text);
    return length >= ID_DIGITS_MIN && length <= (size_t)2 * KEY_ID_SIZE &&
           strspn(text, "0123456789abcdef") == length;
}

int bench_wishes_add_key(struct bench_wishes *wishes, const char *text)
{
    if (wishes->key_count == BENCH_WISHES_MAX)
        return ERR_LENGTH;
    if (!names_type(text) && !begins_id(text))
        return ERR_FORMAT;
    wishes->keys[wishes->key_count++] = text;
    return 0;
}

char *bench_key_name(char out[static BENCH_KEY_NAME_SIZE], const struct key_info *key)
{
    const char *name = key_type_name((enum key_type)key->type);
    if (key->type == KEY_RSA)
        snprintf(out, BENCH_KEY_NAME_SIZE, "rsa%u", (unsigned)key->bits);
    else
        snprintf(out, BENCH_KEY_NAME_SIZE, "%s", name != NULL ? name : "?");
    return out;
}

/* ---- the plan ---- */

static bool fits_wish(const struct key_info *key, const char *wish)
{
    char id[2 * KEY_ID_SIZE + 1], name[BENCH_KEY_NAME_SIZE];
    if (strcmp(bench_key_name(name, key), wish) == 0)
        return true;
    return begins_id(wish) &&
           strncmp(hex_encode(id, key->key_id, sizeof key->key_id), wish, strlen(wish)) == 0;
}

static bool is_type(const char *wish)
{
    return wish == NULL || names_type(wish);
}

static bool same_type(const struct key_info *a, const struct key_info *b)
{
    return a->type == b->type && a->bits == b->bits;
}

static uint32_t useful(const struct bench_wishes *wishes, const struct key_info *key)
{
    uint32_t all = operations_of_key((enum key_type)key->type);
    return key->operations & all & (wishes->operations != 0 ? wishes->operations : all);
}

/* Of several keys of one type the first that is granted most stands for all. */
static bool stands_for_its_type(const struct bench_wishes *wishes, const struct key_info *keys, size_t count,
                                size_t at)
{
    int granted = __builtin_popcount(useful(wishes, &keys[at]));
    for (size_t i = 0; i < count; i++) {
        int other = __builtin_popcount(useful(wishes, &keys[i]));
        if (same_type(&keys[i], &keys[at]) && (other > granted || (other == granted && i < at)))
            return false;
    }
    return true;
}

static bool is_wanted(const struct bench_wishes *wishes, const struct key_info *keys, size_t count, size_t at)
{
    const size_t wished = wishes->key_count > 0 ? wishes->key_count : 1;
    for (size_t i = 0; i < wished; i++) {
        const char *wish = wishes->key_count > 0 ? wishes->keys[i] : NULL;
        if (wish != NULL && !fits_wish(&keys[at], wish))
            continue;
        if (!is_type(wish) || stands_for_its_type(wishes, keys, count, at))
            return true;
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    const struct bench_case *x = a, *y = b;
    if (x->key.type != y->key.type)
        return x->key.type < y->key.type ? -1 : 1;
    if (x->key.bits != y->key.bits)
        return x->key.bits < y->key.bits ? -1 : 1;
    int order = memcmp(x->key.key_id, y->key.key_id, KEY_ID_SIZE);
    return order != 0 ? order : (int)x->kind - (int)y->kind;
}

static int add_cases(struct bench_plan *plan, const struct key_info *key, uint32_t operations)
{
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++) {
        if (!(operations & OPERATION_BIT(kind)))
            continue;
        struct bench_case *cases = reallocarray(plan->cases, plan->count + 1, sizeof *cases);
        if (cases == NULL)
            return ERR_MEMORY;
        plan->cases = cases;
        plan->cases[plan->count++] = (struct bench_case){.key = *key, .kind = kind};
    }
    return 0;
}

int bench_plan_make(struct bench_plan *plan, const struct bench_wishes *wishes, const struct key_info *keys,
                    size_t count)
{
    *plan = (struct bench_plan){.count = 0};
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(wishes, keys, count, i) && add_cases(plan, &keys[i], useful(wishes, &keys[i])) != 0) {
            bench_plan_clear(plan);
            return ERR_MEMORY;
        }
    }
    if (plan->count > 1)
        qsort(plan->cases, plan->count, sizeof *plan->cases, compare);
    return 0;
}

static bool is_granted(const struct bench_case *one, const struct key_info *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(keys[i].key_id, one->key.key_id, KEY_ID_SIZE) == 0)
            return keys[i].operations & OPERATION_BIT(one->kind);
    return false;
}

void bench_plan_keep(struct bench_plan *plan, const struct key_info *keys, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (is_granted(&plan->cases[i], keys, count))
            plan->cases[kept++] = plan->cases[i];
    plan->count = kept;
}

void bench_plan_clear(struct bench_plan *plan)
{
    free(plan->cases);
    *plan = (struct bench_plan){.count = 0};
}
