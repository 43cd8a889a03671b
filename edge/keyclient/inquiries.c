#include "edge/keyclient/inquiries.h"

#include <stdlib.h>

#include "common/clock.h"

#define REFRESH_MS       60000 /* between two questions while nothing happens */
#define HASTE_MS         1000  /* at least so long between two when something has happened */
#define ANSWER_MS        10000 /* time for the whole list */
#define LIST_ENTRIES_MAX 65536 /* of one key server */

/* The question to one server. */
struct inquiry {
    struct client_request request;
    struct inquiries *of;
    size_t server;
    uint32_t *operations; /* owned; what was answered so far, by the keys' numbers; NULL = it is not asked */
    size_t entries;
    uint64_t due_ns;     /* of clock_ns(): when to ask next; UINT64_MAX = when a channel has opened */
    uint64_t stirred_ms; /* of clock_ms(): when something last happened that may have changed the answer */
};

/* ---- life ---- */

int inquiries_init(struct inquiries *inquiries, struct route *route, struct grants *grants)
{
    *inquiries = (struct inquiries){.route = route, .grants = grants};
    inquiries->each = calloc(route->pool->count + 1, sizeof inquiries->each[0]);
    if (inquiries->each == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < route->pool->count; i++)
        inquiries->each[i] = (struct inquiry){.of = inquiries, .server = i, .due_ns = UINT64_MAX};
    return 0;
}

void inquiries_clear(struct inquiries *inquiries)
{
    for (size_t i = 0; inquiries->each != NULL && i < inquiries->route->pool->count; i++)
        free(inquiries->each[i].operations);
    free(inquiries->each);
}

/* ---- asking ---- */

/* True when something has happened since any thread asked the server last. */
static bool is_stirred(const struct inquiry *inquiry)
{
    return inquiry->stirred_ms > grants_asked_ms(inquiry->of->grants, inquiry->server);
}

static void ask_later(struct inquiry *inquiry, uint64_t ms)
{
    free(inquiry->operations);
    inquiry->operations = NULL;
    inquiry->due_ns = clock_ns() + ms * NS_PER_MS;
}

static int on_part(struct client_request *request, const struct key_info *keys, size_t count)
{
    struct inquiry *inquiry = request->user;
    size_t number = 0;

    if (count > LIST_ENTRIES_MAX - inquiry->entries)
        return ERR_LENGTH;
    inquiry->entries += count;
    for (size_t i = 0; i < count; i++)
        if (grants_find(inquiry->of->grants, keys[i].key_id, &number) == 0)
            inquiry->operations[number] |= keys[i].operations;
    return 0;
}

static void on_answer(struct client_request *request)
{
    struct inquiry *inquiry = request->user;

    if (request->outcome.status == STATUS_OK)
        grants_put(inquiry->of->grants, inquiry->server, inquiry->operations);
    bool again = request->outcome.status != STATUS_OK && request->outcome.status != STATUS_REFUSED;
    ask_later(inquiry, again || is_stirred(inquiry) ? HASTE_MS : REFRESH_MS);
}

static int send_inquiry(struct inquiry *inquiry)
{
    inquiry->operations = calloc(grants_keys(inquiry->of->grants) + 1, sizeof inquiry->operations[0]);
    if (inquiry->operations == NULL)
        return ERR_MEMORY;
    inquiry->entries = 0;
    inquiry->due_ns = UINT64_MAX;
    inquiry->request = (struct client_request){.operation.kind = OP_KEYS,
                                               .deadline_ns = clock_ns() + ANSWER_MS * NS_PER_MS,
                                               .on_answer = on_answer,
                                               .on_part = on_part,
                                               .user = inquiry};
    trace_id_new(&inquiry->request.trace);
    return route_open(inquiry->of->route, &inquiry->request, inquiry->server);
}

static void ask_if_free(struct inquiry *inquiry)
{
    struct grants *grants = inquiry->of->grants;
    uint64_t interval_ms = is_stirred(inquiry) ? HASTE_MS : REFRESH_MS, now_ms = clock_ms();

    if (!link_usable(&inquiry->of->route->pool->links[inquiry->server])) {
        inquiry->due_ns = UINT64_MAX; /* the next channel that opens makes it due */
    } else if (!grants_claim(grants, inquiry->server, now_ms, interval_ms)) {
        uint64_t again_ms = grants_asked_ms(grants, inquiry->server) + interval_ms;
        ask_later(inquiry, again_ms > now_ms ? again_ms - now_ms : 1);
    } else if (send_inquiry(inquiry) != 0) {
        ask_later(inquiry, HASTE_MS);
    }
}

/* ---- when ---- */

void inquiries_stir(struct inquiries *inquiries, size_t server)
{
    struct inquiry *inquiry = &inquiries->each[server];

    if (inquiries->grants == NULL)
        return;
    inquiry->stirred_ms = clock_ms();
    if (inquiry->operations != NULL)
        return;
    inquiry->due_ns = 0;
    turn_wake(inquiries->route->turn);
}

void inquiries_due(struct inquiries *inquiries, uint64_t now_ns)
{
    for (size_t i = 0; inquiries->grants != NULL && i < inquiries->route->pool->count; i++)
        if (inquiries->each[i].due_ns <= now_ns && inquiries->each[i].operations == NULL)
            ask_if_free(&inquiries->each[i]);
}

uint64_t inquiries_first_ns(const struct inquiries *inquiries)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; inquiries->grants != NULL && i < inquiries->route->pool->count; i++)
        if (inquiries->each[i].operations == NULL && inquiries->each[i].due_ns < first)
            first = inquiries->each[i].due_ns;
    return first;
}
