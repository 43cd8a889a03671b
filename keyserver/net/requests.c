#include "keyserver/net/requests.h"
#include "common/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 256
#define WHEEL_SIZE 256 /* ticks ahead; what is due later goes round again */
#define TICK_NS    ((uint64_t)REQUESTS_TICK_MS * NS_PER_MS)

enum list { OF_OWNER, OF_TICK, LISTS };

/* Links are slot numbers + 1, 0 for none, since the array may move when it grows. */
struct link {
    uint32_t before, after;
};

struct slot {
    struct request request;
    uint32_t generation; /* never 0; counts the uses of this slot */
    bool open;
    struct link link[LISTS]; /* OF_TICK's `after` is the free list's while closed */
    uint64_t tick;           /* due then, or at the end of the wheel */
};

struct requests {
    struct slot *slots; /* owned, `size` */
    size_t size;
    size_t max;
    size_t count;
    uint32_t free;              /* first closed slot + 1 */
    uint64_t tick;              /* looked at up to here */
    uint32_t wheel[WHEEL_SIZE]; /* first request + 1 due in each tick */
};

struct requests *requests_new(size_t max)
{
    assert(max >= 1 && max <= REQUESTS_MAX);
    struct requests *table = calloc(1, sizeof *table);

    if (table != NULL)
        table->max = max;
    return table;
}

void requests_free(struct requests *table)
{
    if (table == NULL)
        return;
    free(table->slots);
    free(table);
}

static bool grow(struct requests *table)
{
    size_t size = table->size == 0 ? FIRST_SIZE : table->size * 2;
    if (size > table->max)
        size = table->max;
    if (size == table->size)
        return false;
    struct slot *slots = realloc(table->slots, size * sizeof *slots);
    if (slots == NULL)
        return false;
    memset(slots + table->size, 0, (size - table->size) * sizeof *slots);
    for (size_t i = size; i-- > table->size;) {
        slots[i].link[OF_TICK].after = table->free;
        table->free = (uint32_t)i + 1;
    }
    table->slots = slots;
    table->size = size;
    return true;
}

/* ---- the two lists a request is in: its owner's, and its tick's of the wheel ---- */

static void link_in(struct requests *table, uint32_t *head, uint32_t number, enum list which)
{
    table->slots[number - 1].link[which] = (struct link){.before = 0, .after = *head};
    if (*head != 0)
        table->slots[*head - 1].link[which].before = number;
    *head = number;
}

static void link_out(struct requests *table, uint32_t *head, uint32_t number, enum list which)
{
    struct link self = table->slots[number - 1].link[which];

    if (self.before != 0)
        table->slots[self.before - 1].link[which].after = self.after;
    else
        *head = self.after;
    if (self.after != 0)
        table->slots[self.after - 1].link[which].before = self.before;
}

/* An owner's list is in order, a tick's need not be. */
static void owner_link(struct requests *table, struct request_list *owner, uint32_t number)
{
    table->slots[number - 1].link[OF_OWNER] = (struct link){.before = owner->last, .after = 0};
    if (owner->last != 0)
        table->slots[owner->last - 1].link[OF_OWNER].after = number;
    else
        owner->first = number;
    owner->last = number;
    owner->count++;
}

static void owner_unlink(struct requests *table, struct request_list *owner, uint32_t number)
{
    if (owner->last == number)
        owner->last = table->slots[number - 1].link[OF_OWNER].before;
    link_out(table, &owner->first, number, OF_OWNER);
    owner->count--;
}

static void tick_link(struct requests *table, uint32_t number)
{
    struct slot *slot = &table->slots[number - 1];
    uint64_t tick = slot->request.overdue_ns / TICK_NS + 1; /* rounded up: never early */

    if (tick <= table->tick)
        tick = table->tick + 1;
    if (tick >= table->tick + WHEEL_SIZE)
        tick = table->tick + WHEEL_SIZE - 1;
    slot->tick = tick;
    link_in(table, &table->wheel[tick % WHEEL_SIZE], number, OF_TICK);
}

static void tick_unlink(struct requests *table, uint32_t number)
{
    link_out(table, &table->wheel[table->slots[number - 1].tick % WHEEL_SIZE], number, OF_TICK);
}

/* ---- the table ---- */

static uint32_t number_of(const struct requests *table, const struct request *request)
{
    uint32_t number = (uint32_t)request->token;
    assert(number >= 1 && number <= table->size && &table->slots[number - 1].request == request);
    return number;
}

struct request *requests_add(struct requests *table, struct request_list *owner,
                             const struct request *request)
{
    if (table->free == 0 && !grow(table))
        return NULL;
    if (table->count == 0) /* nothing is on the wheel: it may jump to now */
        table->tick = request->received_ns / TICK_NS;

    uint32_t number = table->free;
    struct slot *slot = &table->slots[number - 1];
    table->free = slot->link[OF_TICK].after;
    slot->open = true;
    slot->generation += slot->generation == UINT32_MAX ? 2 : 1;
    slot->request = *request;
    slot->request.owner = owner;
    slot->request.token = (uint64_t)slot->generation << 32 | number;
    owner_link(table, owner, number);
    tick_link(table, number);
    table->count++;
    return &slot->request;
}

struct request *requests_find(struct requests *table, uint64_t token)
{
    uint32_t number = (uint32_t)token;

    if (number == 0 || number > table->size)
        return NULL;
    struct slot *slot = &table->slots[number - 1];
    return slot->open && slot->request.token == token ? &slot->request : NULL;
}

void requests_remove(struct requests *table, struct request *request)
{
    uint32_t number = number_of(table, request);
    struct slot *slot = &table->slots[number - 1];

    assert(slot->open);
    owner_unlink(table, request->owner, number);
    tick_unlink(table, number);
    slot->open = false;
    slot->link[OF_TICK].after = table->free;
    table->free = number;
    table->count--;
}

void requests_move(struct requests *table, struct request *request, struct request_list *to)
{
    uint32_t number = number_of(table, request);

    owner_unlink(table, request->owner, number);
    owner_link(table, to, number);
    request->owner = to;
}

size_t requests_count(const struct requests *table)
{
    return table->count;
}

struct request *requests_first(struct requests *table, const struct request_list *owner)
{
    return owner->first == 0 ? NULL : &table->slots[owner->first - 1].request;
}

/* Looks through one tick of the wheel: hands out what is overdue, sends the rest round again. */
static struct request *overdue_in_tick(struct requests *table, uint64_t now_ns)
{
    uint32_t number = table->wheel[table->tick % WHEEL_SIZE];

    while (number != 0) {
        struct slot *slot = &table->slots[number - 1];
        uint32_t next = slot->link[OF_TICK].after;
        if (slot->request.overdue_ns <= now_ns)
            return &slot->request;
        tick_unlink(table, number);
        tick_link(table, number);
        number = next;
    }
    return NULL;
}

struct request *requests_overdue(struct requests *table, uint64_t now_ns)
{
    uint64_t now = now_ns / TICK_NS;

    if (table->count == 0)
        return NULL;
    for (;;) {
        struct request *request = overdue_in_tick(table, now_ns);
        if (request != NULL || table->tick >= now)
            return request;
        table->tick++;
    }
}

struct request *requests_through(struct requests *table, uint32_t wall, size_t *at)
{
    while (*at < table->size) {
        struct slot *slot = &table->slots[(*at)++];
        if (slot->open && slot->request.wall == wall)
            return &slot->request;
    }
    return NULL;
}
