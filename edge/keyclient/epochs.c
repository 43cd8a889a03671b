#include "edge/keyclient/epochs.h"

#include <string.h>

#include "common/clock.h"
#include "common/secret.h"

struct epochs *epochs_new(size_t count, uint64_t handshake_ns)
{
    struct epochs *epochs = secret_new(sizeof *epochs + count * sizeof epochs->server[0]);

    if (epochs == NULL)
        return NULL;
    epochs->handshake_ns = handshake_ns;
    epochs->count = count;
    return epochs;
}

void epochs_free(struct epochs *epochs)
{
    secret_free(epochs);
}

/* ---- what is known ---- */

static bool is_same(const struct epoch *a, uint64_t number, const uint8_t *key)
{
    return a->id != 0 && a->number == number && same_bytes(a->key, key, EPOCH_KEY_SIZE);
}

/* The id that this epoch has at any server, or a new one. */
static uint64_t id_of(struct epochs *epochs, const struct msg_epoch *announced)
{
    for (size_t i = 0; i < epochs->count; i++)
        for (size_t k = 0; k < EPOCHS_KEPT; k++) {
            const struct epoch *epoch = &epochs->server[i].kept[k];
            if (is_same(epoch, announced->number, announced->key))
                return epoch->id;
        }
    return ++epochs->last_id;
}

void epochs_connect(struct epochs *epochs, size_t server, bool connected)
{
    epochs->server[server].connected = connected;
    epochs->server[server].none = false;
}

void epochs_put(struct epochs *epochs, size_t server, const struct msg_epoch *announced, uint64_t now_ns)
{
    struct epoch *newest = &epochs->server[server].kept[0], *previous = &epochs->server[server].kept[1];

    epochs->server[server].none = announced->number == 0;
    if (announced->number == 0) {
        wipe(epochs->server[server].kept, sizeof epochs->server[server].kept);
        return;
    }
    uint64_t left_ns = (uint64_t)announced->left_ms * NS_PER_MS;
    /* A session may use at least the first half of a short epoch. */
    uint64_t margin_ns = epochs->handshake_ns < left_ns / 2 ? epochs->handshake_ns : left_ns / 2;
    uint64_t id = id_of(epochs, announced);

    if (!is_same(newest, announced->number, announced->key)) {
        bool follows = newest->id != 0 && announced->number > newest->number;
        wipe(previous, sizeof *previous);
        if (follows)
            *previous = *newest;
    }
    *newest = (struct epoch){.id = id,
                             .number = announced->number,
                             .fresh_ns = now_ns + left_ns - margin_ns,
                             .end_ns = now_ns + left_ns};
    memcpy(newest->key, announced->key, sizeof newest->key);
}

void epochs_turn(struct epochs *epochs, uint64_t now_ns)
{
    for (size_t i = 0; i < epochs->count; i++)
        for (size_t k = 0; k < EPOCHS_KEPT; k++) {
            struct epoch *epoch = &epochs->server[i].kept[k];
            if (epoch->id != 0 && epoch->end_ns <= now_ns)
                wipe(epoch, sizeof *epoch);
        }
}

bool epochs_know(const struct epochs *epochs, size_t server, uint64_t id)
{
    for (size_t k = 0; k < EPOCHS_KEPT; k++)
        if (epochs->server[server].kept[k].id == id)
            return true;
    return false;
}

/* ---- choice ---- */

/* How many connected servers know ID and will accept it for a whole handshake from now on. */
static unsigned votes_for(const struct epochs *epochs, uint64_t id, uint64_t now_ns)
{
    unsigned votes = 0;

    for (size_t i = 0; i < epochs->count; i++)
        for (size_t k = 0; k < EPOCHS_KEPT; k++) {
            const struct epoch *epoch = &epochs->server[i].kept[k];
            votes += epochs->server[i].connected && epoch->id == id && epoch->fresh_ns > now_ns;
        }
    return votes;
}

static bool somebody_has_none(const struct epochs *epochs)
{
    for (size_t i = 0; i < epochs->count; i++)
        if (epochs->server[i].none)
            return true;
    return false;
}

const struct epoch *epochs_choose(const struct epochs *epochs, uint64_t now_ns)
{
    bool of_connected = somebody_has_none(epochs);
    const struct epoch *best = NULL;
    unsigned best_votes = 0;

    for (size_t i = 0; i < epochs->count; i++)
        for (size_t k = 0; k < EPOCHS_KEPT; k++) {
            const struct epoch *epoch = &epochs->server[i].kept[k];
            if (epoch->id == 0 || epoch->end_ns <= now_ns || (of_connected && !epochs->server[i].connected))
                continue;
            unsigned votes = votes_for(epochs, epoch->id, now_ns);
            if (best == NULL || votes > best_votes || (votes == best_votes && epoch->number > best->number)) {
                best = epoch;
                best_votes = votes;
            }
        }
    return best;
}

/* ---- agreement ---- */

static enum epochs_conflict compare_epochs(const struct epoch *newest, const struct epoch *theirs,
                                           uint64_t now_ns)
{
    for (size_t k = 0; k < EPOCHS_KEPT; k++)
        if (theirs[k].id != 0 && theirs[k].number == newest->number && theirs[k].id != newest->id)
            return EPOCHS_SECRETS;
    if (theirs[0].id == 0 || theirs[0].fresh_ns <= now_ns)
        return EPOCHS_AGREE; /* its clock is unknown: it has no epoch, or its newest is old */
    uint64_t a = newest->number, b = theirs[0].number;
    return (a > b ? a - b : b - a) > 1 ? EPOCHS_CLOCKS : EPOCHS_AGREE;
}

enum epochs_conflict epochs_compare(const struct epochs *epochs, size_t server, uint64_t now_ns,
                                    size_t *other)
{
    for (size_t i = 0; i < epochs->count; i++) {
        if (i == server || !epochs->server[i].connected)
            continue;
        enum epochs_conflict conflict = compare_epochs(&epochs->server[server].kept[0],
                                                       epochs->server[i].kept, now_ns);
        if (conflict != EPOCHS_AGREE) {
            *other = i;
            return conflict;
        }
    }
    return EPOCHS_AGREE;
}
