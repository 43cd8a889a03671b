#include "edge/keyclient/deadlines.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_SIZE 256

int deadlines_reserve(struct deadlines *d)
{
    if (d->count < d->size)
        return 0;
    size_t size = d->size == 0 ? FIRST_SIZE : d->size * 2;
    struct deadline *heap = realloc(d->heap, size * sizeof *heap);
    if (heap == NULL)
        return ERR_MEMORY;
    d->heap = heap;
    d->size = size;
    return 0;
}

void deadlines_clear(struct deadlines *d)
{
    free(d->heap);
    *d = (struct deadlines){0};
}

/* A place in the heap is a position + 1, so that 0 in a request means "not in it". */
static void put_in_slot(struct deadlines *d, size_t slot, struct deadline entry)
{
    d->heap[slot - 1] = entry;
    entry.request->due_slot = slot;
}

static size_t earlier_child(const struct deadlines *d, size_t slot)
{
    size_t child = slot * 2;
    if (child < d->count && d->heap[child].due_ns < d->heap[child - 1].due_ns)
        child++;
    return child;
}

/* Puts ENTRY where it belongs, starting from the free SLOT. */
static void sift(struct deadlines *d, size_t slot, struct deadline entry)
{
    for (; slot > 1 && entry.due_ns < d->heap[slot / 2 - 1].due_ns; slot /= 2)
        put_in_slot(d, slot, d->heap[slot / 2 - 1]);
    for (size_t child; (child = earlier_child(d, slot)) <= d->count; slot = child) {
        if (entry.due_ns <= d->heap[child - 1].due_ns)
            break;
        put_in_slot(d, slot, d->heap[child - 1]);
    }
    put_in_slot(d, slot, entry);
}

void deadlines_put(struct deadlines *d, struct client_request *request, uint64_t due_ns)
{
    assert(d->count < d->size);
    d->count++;
    d->heap[d->count - 1].due_ns = due_ns;
    sift(d, d->count, (struct deadline){.due_ns = due_ns, .request = request});
}

void deadlines_move(struct deadlines *d, struct client_request *request, uint64_t due_ns)
{
    assert(request->due_slot >= 1 && request->due_slot <= d->count);
    d->heap[request->due_slot - 1].due_ns = due_ns;
    sift(d, request->due_slot, (struct deadline){.due_ns = due_ns, .request = request});
}

void deadlines_remove(struct deadlines *d, struct client_request *request)
{
    size_t slot = request->due_slot;

    assert(slot >= 1 && slot <= d->count && d->heap[slot - 1].request == request);
    struct deadline last = d->heap[d->count - 1];
    d->count--;
    request->due_slot = 0;
    if (last.request != request)
        sift(d, slot, last);
}

struct client_request *deadlines_find_first(const struct deadlines *d)
{
    return d->count == 0 ? NULL : d->heap[0].request;
}

uint64_t deadlines_first_ns(const struct deadlines *d)
{
    return d->count == 0 ? UINT64_MAX : d->heap[0].due_ns;
}
