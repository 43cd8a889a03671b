/* client_grants() and how it comes to be known: each key server is asked for its keys by one thread of the
 * daemon, soon after a channel has opened, when it may have changed its mind, and once in a while. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "edge/keyclient/route.h"

#define REFRESH_MS       60000 /* between two questions when nothing has happened */
#define HASTE_MS         1000  /* and at least so long when something has */
#define ANSWER_MS        10000 /* time for the whole list */
#define LIST_ENTRIES_MAX 65536 /* of one key server */

/* ---- what is known ---- */

/* What the server of LINK grants of key NUMBER; everything while that is not known. */
static uint32_t granted_by(const struct client *client, size_t link, size_t number)
{
    const struct grants *grants = client->settings.grants;

    return grants_known(grants, link) ? grants_get(grants, link, number) : CLIENT_GRANTS_UNKNOWN;
}

/* Of the servers that are connected; while none is, of all that have ever said something. */
uint32_t client_grants(const struct client *client, const uint8_t key_id[static KEY_ID_SIZE])
{
    size_t number = 0;
    uint32_t granted = 0;
    bool heard = false;

    if (client->settings.grants == NULL || grants_find(client->settings.grants, key_id, &number) != 0)
        return CLIENT_GRANTS_UNKNOWN;
    for (size_t i = 0; i < client->link_count; i++) {
        bool asked = client->usable > 0 ? link_usable(&client->links[i])
                                        : grants_known(client->settings.grants, i);
        if (asked)
            granted |= granted_by(client, i, number);
        heard = heard || asked;
    }
    return heard ? granted : CLIENT_GRANTS_UNKNOWN;
}

bool client_grants_lacks(const struct client *client, const struct client_request *request, size_t link)
{
    const struct operation *operation = &request->operation;
    size_t number = 0;

    return client->settings.grants != NULL && operation->kind >= OP_SIGN_TLS13 &&
           grants_find(client->settings.grants, operation->key_id, &number) == 0 &&
           (granted_by(client, link, number) & 1u << operation->kind) == 0;
}

/* ---- asking ---- */

/* True when something has happened since the server was asked last, by whichever thread. */
static bool is_stirred(const struct client *client, const struct client_inquiry *inquiry)
{
    return inquiry->stirred_ms >
           grants_asked_ms(client->settings.grants, (size_t)(inquiry - client->inquiries));
}

static void rest(struct client_inquiry *inquiry, uint64_t ms)
{
    free(inquiry->operations);
    inquiry->operations = NULL;
    inquiry->due_ns = clock_ns() + ms * NS_PER_MS;
}

static int on_part(struct client_request *request, const struct key_info *keys, size_t count)
{
    struct client_inquiry *inquiry = request->user;
    size_t number = 0;

    if (count > LIST_ENTRIES_MAX - inquiry->entries)
        return ERR_LENGTH;
    inquiry->entries += count;
    for (size_t i = 0; i < count; i++)
        if (grants_find(inquiry->client->settings.grants, keys[i].key_id, &number) == 0)
            inquiry->operations[number] |= keys[i].operations;
    return 0;
}

static void on_answer(struct client_request *request)
{
    struct client_inquiry *inquiry = request->user;
    struct client *client = inquiry->client;

    if (request->outcome.status == STATUS_OK)
        grants_put(client->settings.grants, (size_t)(inquiry - client->inquiries), inquiry->operations);
    bool again = request->outcome.status != STATUS_OK && request->outcome.status != STATUS_REFUSED;
    rest(inquiry, again || is_stirred(client, inquiry) ? HASTE_MS : REFRESH_MS);
}

static int ask(struct client *client, struct client_inquiry *inquiry, const struct link *link)
{
    inquiry->operations = calloc(grants_keys(client->settings.grants) + 1, sizeof inquiry->operations[0]);
    if (inquiry->operations == NULL)
        return ERR_MEMORY;
    inquiry->client = client;
    inquiry->entries = 0;
    inquiry->due_ns = UINT64_MAX;
    inquiry->request = (struct client_request){.operation.kind = OP_KEYS,
                                               .deadline_ns = clock_ns() + ANSWER_MS * NS_PER_MS,
                                               .on_answer = on_answer,
                                               .on_part = on_part,
                                               .user = inquiry};
    trace_id_new(&inquiry->request.trace);
    return route_open(client, &inquiry->request, link);
}

static void inquire(struct client *client, size_t number)
{
    struct client_inquiry *inquiry = &client->inquiries[number];
    uint64_t interval_ms = is_stirred(client, inquiry) ? HASTE_MS : REFRESH_MS, now_ms = clock_ms();

    if (!link_usable(&client->links[number])) {
        inquiry->due_ns = UINT64_MAX; /* the next channel brings the next occasion */
    } else if (!grants_claim(client->settings.grants, number, now_ms, interval_ms)) {
        uint64_t again_ms = grants_asked_ms(client->settings.grants, number) + interval_ms;
        rest(inquiry, again_ms > now_ms ? again_ms - now_ms : 1);
    } else if (ask(client, inquiry, &client->links[number]) != 0) {
        rest(inquiry, HASTE_MS);
    }
}

/* ---- when ---- */

void client_grants_stir(struct client *client, const struct link *link)
{
    struct client_inquiry *inquiry = &client->inquiries[link - client->links];

    if (client->settings.grants == NULL || client->closing)
        return;
    inquiry->stirred_ms = clock_ms();
    if (inquiry->operations != NULL)
        return;
    inquiry->due_ns = 0;
    route_wake(client);
}

void client_grants_due(struct client *client, uint64_t now_ns)
{
    for (size_t i = 0; client->settings.grants != NULL && i < client->link_count; i++)
        if (client->inquiries[i].due_ns <= now_ns && client->inquiries[i].operations == NULL)
            inquire(client, i);
}

uint64_t client_grants_first_ns(const struct client *client)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; client->settings.grants != NULL && i < client->link_count; i++)
        if (client->inquiries[i].operations == NULL && client->inquiries[i].due_ns < first)
            first = client->inquiries[i].due_ns;
    return first;
}

int client_grants_init(struct client *client)
{
    client->inquiries = calloc(client->settings.server_count + 1, sizeof client->inquiries[0]);
    if (client->inquiries == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < client->settings.server_count; i++)
        client->inquiries[i].due_ns = UINT64_MAX;
    return 0;
}

void client_grants_clear(struct client *client)
{
    for (size_t i = 0; client->inquiries != NULL && i < client->settings.server_count; i++)
        free(client->inquiries[i].operations);
    free(client->inquiries);
}
