#include "keyserver/vault/audit/audit_tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const enum audit_result others[] = {AUDIT_BUSY, AUDIT_EXPIRED, AUDIT_CANCELLED};
#define OTHER_COUNT (sizeof others / sizeof others[0])
_Static_assert(AUDIT_TALLY_KINDS == REFUSAL_KINDS + OTHER_COUNT, "every kind has its place");

int audit_tally_init(struct audit_tally *tally, size_t edge_count)
{
    *tally = (struct audit_tally){.edge_count = edge_count};
    tally->edges = calloc(edge_count + 1, sizeof *tally->edges);
    return tally->edges != NULL ? 0 : ERR_MEMORY;
}

void audit_tally_clear(struct audit_tally *tally)
{
    free(tally->edges);
    *tally = (struct audit_tally){.edges = NULL};
}

bool audit_tally_is_use(enum audit_result result)
{
    return result == AUDIT_OK || result == AUDIT_FAULT;
}

size_t audit_tally_kind(enum audit_result result, enum refusal refusal)
{
    for (size_t i = 0; i < OTHER_COUNT; i++)
        if (others[i] == result)
            return REFUSAL_KINDS + i;
    assert(result == AUDIT_REFUSED && (unsigned)refusal < REFUSAL_KINDS);
    return refusal;
}

enum audit_result audit_tally_result(size_t kind, const char **reason)
{
    *reason = kind < REFUSAL_KINDS ? refusal_name((enum refusal)kind) : NULL;
    return kind < REFUSAL_KINDS ? AUDIT_REFUSED : others[kind - REFUSAL_KINDS];
}

bool audit_tally_admit(struct audit_tally *tally, size_t edge)
{
    assert(edge <= tally->edge_count);
    if (tally->edges[edge].recorded >= AUDIT_BUDGET)
        return false;
    tally->edges[edge].recorded++;
    return true;
}

void audit_tally_count(struct audit_tally *tally, size_t edge, size_t kind)
{
    assert(edge <= tally->edge_count && kind < AUDIT_TALLY_KINDS);
    tally->edges[edge].left_out[kind]++;
    tally->any = true;
}

bool audit_tally_turn(struct audit_tally *tally, uint64_t now_ms)
{
    if (now_ms - tally->window_ms < AUDIT_TALLY_MS)
        return false;
    tally->window_ms = now_ms;
    for (size_t i = 0; i <= tally->edge_count; i++)
        tally->edges[i].recorded = 0;
    return true;
}

uint64_t audit_tally_next(const struct audit_tally *tally, size_t *edge, size_t *kind)
{
    for (; tally->any && *edge <= tally->edge_count; (*edge)++, *kind = 0)
        for (; *kind < AUDIT_TALLY_KINDS; (*kind)++)
            if (tally->edges[*edge].left_out[*kind] != 0)
                return tally->edges[*edge].left_out[*kind];
    return 0;
}

void audit_tally_forget(struct audit_tally *tally)
{
    for (size_t i = 0; tally->any && i <= tally->edge_count; i++)
        memset(tally->edges[i].left_out, 0, sizeof tally->edges[i].left_out);
    tally->any = false;
}
