#include "edge/keyclient/epoch_waits.h"

#include <stddef.h>
#include <utlist.h>

/* Usually all wait equally long, so the newest goes last. */
void epoch_waits_put(struct epoch_waits *waits, struct client_epoch_wait *wait)
{
    struct client_epoch_wait *before = waits->first != NULL ? waits->first->prev : NULL; /* the last */

    while (before != NULL && before->deadline_ns > wait->deadline_ns)
        before = before != waits->first ? before->prev : NULL;
    DL_APPEND_ELEM(waits->first, before, wait);
    wait->open = true;
}

void epoch_waits_remove(struct epoch_waits *waits, struct client_epoch_wait *wait)
{
    if (!wait->open)
        return;
    DL_DELETE(waits->first, wait);
    wait->open = false;
}

static void end_first(struct epoch_waits *waits)
{
    struct client_epoch_wait *wait = waits->first;

    epoch_waits_remove(waits, wait);
    wait->on_end(wait);
}

void epoch_waits_end_all(struct epoch_waits *waits)
{
    struct client_epoch_wait *wait;
    size_t count;

    DL_COUNT(waits->first, wait, count);
    while (count-- > 0 && waits->first != NULL)
        end_first(waits);
}

void epoch_waits_due(struct epoch_waits *waits, uint64_t now_ns)
{
    while (waits->first != NULL && waits->first->deadline_ns <= now_ns)
        end_first(waits);
}

uint64_t epoch_waits_first_ns(const struct epoch_waits *waits)
{
    return waits->first != NULL ? waits->first->deadline_ns : UINT64_MAX;
}
