#include "edge/keyclient/client.h"

#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/secret.h"
#include "edge/keyclient/route.h"

static const struct link_events link_events;

/* ---- life ---- */

/* Only wakes the loop: on_check() does what is due. */
static void on_timer(uv_timer_t *timer)
{
    struct client *client = timer->data;

    client->armed_ns = UINT64_MAX;
}

/* The loop has looked for what has come. What was due before it looked is due indeed: when this thread was
 * held up, answers that lie in the socket come before the end of the time for them. */
static void on_check(uv_check_t *check)
{
    struct client *client = check->data;
    uint64_t looked_ns = client->looked_ns;

    while (deadlines_first_ns(&client->deadlines) <= looked_ns)
        route_due(client, deadlines_find_first(&client->deadlines), looked_ns);
    client_epochs_due(client, looked_ns);
    client_grants_due(client, looked_ns);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* At FIRST_NS, or when something else is due. Only an earlier moment moves the timer; one that fires for
 * nothing costs less than moving it each time. */
static void arm(struct client *client, uint64_t first_ns)
{
    uint64_t first = earlier(first_ns, deadlines_first_ns(&client->deadlines));

    first = earlier(first, client_epochs_first_ns(client));
    first = earlier(first, client_grants_first_ns(client));
    if (client->closing || first >= client->armed_ns)
        return;
    uint64_t now = clock_ns();
    uint64_t ms = first > now ? (first - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    client->armed_ns = first;
    uv_update_time(client->loop);
    uv_timer_start(&client->timer, on_timer, ms, 0);
}

/* The last thing before the loop sleeps. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct client *client = prepare->data;
    uint64_t now = clock_ns(), look_ns = UINT64_MAX;

    for (size_t i = 0; i < client->link_count; i++) {
        link_measure(&client->links[i]);
        look_ns = earlier(look_ns, link_watch(&client->links[i], now));
    }
    epochs_turn(client->epochs, now);
    arm(client, look_ns);
    client->looked_ns = now;
}

/* ---- names ---- */

/* In the thread that brings the answer. */
static void on_name(void *user)
{
    struct client *client = user;

    uv_async_send(&client->resolved);
}

static void on_resolved(uv_async_t *async)
{
    struct client *client = async->data;

    for (size_t i = 0; i < client->link_count; i++)
        link_resolved(&client->links[i]);
}

static int watch_names(struct client *client)
{
    if (client->settings.names == NULL)
        return 0;
    if (uv_async_init(client->loop, &client->resolved, on_resolved) != 0)
        return ERR_SYSTEM;
    client->resolved.data = client;
    client->watch = (struct names_watch){.on_change = on_name, .user = client};
    names_watch(client->settings.names, &client->watch);
    return 0;
}

static void release(struct client *client)
{
    epochs_free(client->epochs);
    client_grants_clear(client);
    free(client->candidates);
    free(client->links);
    free(client);
}

static struct client *allocate(const struct client_settings *settings)
{
    size_t count = settings->server_count;
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->links = calloc(count + 1, sizeof *client->links); /* never an allocation of 0 bytes */
    client->candidates = calloc(count + 1, sizeof *client->candidates);
    client->epochs = epochs_new(count, settings->handshake_ms * NS_PER_MS);
    client->settings = *settings;
    if (client->links != NULL && client->candidates != NULL && client->epochs != NULL &&
        client_grants_init(client) == 0)
        return client;
    release(client);
    return NULL;
}

struct client *client_new(uv_loop_t *loop, const struct client_settings *settings)
{
    struct client *client = allocate(settings);

    if (client == NULL)
        return NULL;
    client->loop = loop;
    client->link_count = settings->server_count;
    client->armed_ns = UINT64_MAX;
    if (watch_names(client) != 0) {
        release(client);
        return NULL;
    }
    random_bytes(&client->random, sizeof client->random);
    uv_idle_init(loop, &client->turn); /* these cannot fail */
    uv_prepare_init(loop, &client->prepare);
    uv_check_init(loop, &client->check);
    uv_timer_init(loop, &client->timer);
    client->turn.data = client->prepare.data = client->check.data = client->timer.data = client;
    client->handles = settings->names != NULL ? 5 : 4;
    uv_prepare_start(&client->prepare, on_prepare);
    uv_check_start(&client->check, on_check);
    for (size_t i = 0; i < client->link_count; i++)
        link_init(&client->links[i], loop, settings, i, &client->batch, &link_events, client);
    for (size_t i = 0; i < client->link_count; i++)
        link_start(&client->links[i]);
    return client;
}

static void free_when_all_is_gone(struct client *client)
{
    if (!client->closing || client->handles > 0)
        return;
    for (size_t i = 0; i < client->link_count; i++)
        if (client->links[i].parts > 0)
            return;
    deadlines_clear(&client->deadlines);
    buffer_clear(&client->batch.packed);
    release(client);
}

static void on_handle_gone(uv_handle_t *handle)
{
    struct client *client = handle->data;

    client->handles--;
    free_when_all_is_gone(client);
}

void client_close(struct client *client)
{
    if (client == NULL || client->closing)
        return;
    client->closing = true;
    for (struct client_request *request; (request = deadlines_find_first(&client->deadlines)) != NULL;)
        route_fail(client, request);
    client_epochs_due(client, UINT64_MAX);
    client->usable = 0;
    for (size_t i = 0; i < client->link_count; i++)
        link_close(&client->links[i]);
    if (client->settings.names != NULL) {
        names_unwatch(client->settings.names, &client->watch);
        uv_close((uv_handle_t *)&client->resolved, on_handle_gone);
    }
    uv_close((uv_handle_t *)&client->turn, on_handle_gone);
    uv_close((uv_handle_t *)&client->prepare, on_handle_gone);
    uv_close((uv_handle_t *)&client->check, on_handle_gone);
    uv_close((uv_handle_t *)&client->timer, on_handle_gone);
}

/* ---- requests ---- */

int client_submit(struct client *client, struct client_request *request)
{
    if (client->closing)
        return ERR_CLOSED;
    if (client->deadlines.count >= client->settings.in_flight_max)
        return ERR_BUSY;
    request->on_part = NULL;
    return route_open(client, request, NULL);
}

void client_cancel(struct client *client, struct client_request *request)
{
    if (request->open)
        route_forget(client, request);
}

bool client_gone(const struct client *client)
{
    for (size_t i = 0; i < client->link_count; i++)
        if (!link_gone(&client->links[i]))
            return false;
    return client->link_count > 0;
}

unsigned client_usable(const struct client *client)
{
    return client->usable;
}

size_t client_in_flight(const struct client *client)
{
    return client->deadlines.count;
}

/* ---- the links' way back ---- */

static void tell_usable(struct client *client)
{
    if (client->settings.on_servers != NULL && !client->closing)
        client->settings.on_servers(client->usable, client->settings.user);
}

static void on_open(struct link *link, void *user)
{
    struct client *client = user;

    client->usable++;
    epochs_connect(client->epochs, (size_t)(link - client->links), true);
    client_grants_stir(client, link);
    route_wake(client);
    tell_usable(client);
}

static void on_closed(struct link *link, void *user)
{
    struct client *client = user;

    client->usable--;
    epochs_connect(client->epochs, (size_t)(link - client->links), false);
    route_wake(client); /* its word is not due any more */
    tell_usable(client);
}

static void on_work(struct link *link, void *user)
{
    (void)link;
    route_wake(user);
}

static void on_answer(struct link *link, struct client_attempt *attempt, const struct msg_answer *answer,
                      void *user)
{
    route_answer(user, link, attempt, answer);
}

static void on_epoch(struct link *link, const struct msg_epoch *epoch, void *user)
{
    client_on_epoch(user, link, epoch);
}

static bool on_lost(struct link *link, struct client_attempt *attempt, void *user)
{
    return route_lost(user, link, attempt);
}

static void on_gone(struct link *link, void *user)
{
    (void)link;
    free_when_all_is_gone(user);
}

static void on_failed(struct link *link, const struct client_failure *failure, void *user)
{
    struct client *client = user;

    (void)link;
    route_wake(client); /* perhaps nobody needs to wait any longer */
    if (client->settings.on_failed != NULL && !client->closing)
        client->settings.on_failed(failure, client->settings.user);
}

static const struct link_events link_events = {
    .on_failed = on_failed,
    .on_open = on_open,
    .on_closed = on_closed,
    .on_work = on_work,
    .on_answer = on_answer,
    .on_epoch = on_epoch,
    .on_lost = on_lost,
    .on_gone = on_gone,
};
