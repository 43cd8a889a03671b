/* The events of the loop: turns in which something is to be sent, deadlines, names. */
#include "common/clock.h"
#include "edge/keyclient/client_state.h"

/* What was put off until everything of this turn of the loop is known. */
static void on_turn(uv_idle_t *idle)
{
    struct client *client = idle->data;

    turn_begin(&client->turn);
    client_epochs_turn(client);
    inquiries_due(&client->inquiries, clock_ns());
    if (client->epoch_waits.first != NULL)
        pool_hurry(&client->pool);
    route_give(&client->route);
    client_links_flush(client);
}

/* ---- deadlines ---- */

/* Only wakes the loop: on_check() does what is due. */
static void on_timer(uv_timer_t *timer)
{
    struct client *client = timer->data;

    client->armed_ns = UINT64_MAX;
}

/* The loop has polled. Only what was due before it polled is due now: when this thread was held up, answers
 * that lie in the socket come first. */
static void on_check(uv_check_t *check)
{
    struct client *client = check->data;

    route_due(&client->route, client->looked_ns);
    epoch_waits_due(&client->epoch_waits, client->looked_ns);
    inquiries_due(&client->inquiries, client->looked_ns);
}

/* Arms the timer for FIRST_NS, or for something else that is due earlier. Only an earlier moment moves the
 * timer: one that fires in vain costs less than moving it each time. */
static void arm(struct client *client, uint64_t first_ns)
{
    uint64_t first = clock_earlier(first_ns, route_first_ns(&client->route));

    first = clock_earlier(first, epoch_waits_first_ns(&client->epoch_waits));
    first = clock_earlier(first, inquiries_first_ns(&client->inquiries));
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
    uint64_t now = clock_ns();
    uint64_t look_ns = client_links_watch(client, now);

    epochs_turn(client->epochs, now);
    arm(client, look_ns);
    client->looked_ns = now;
}

/* ---- names ---- */

/* Runs in the thread that brings the answer. */
static void on_name(void *user)
{
    struct client *client = user;

    uv_async_send(&client->resolved);
}

static void on_resolved(uv_async_t *async)
{
    client_links_resolved(async->data);
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
    client->handles++;
    return 0;
}

/* ---- life ---- */

int client_loop_start(struct client *client)
{
    client->armed_ns = UINT64_MAX;
    if (watch_names(client) != 0)
        return ERR_SYSTEM;
    turn_init(&client->turn, client->loop, on_turn, client);
    uv_prepare_init(client->loop, &client->prepare); /* these cannot fail */
    uv_check_init(client->loop, &client->check);
    uv_timer_init(client->loop, &client->timer);
    client->prepare.data = client->check.data = client->timer.data = client;
    client->handles += 4;
    uv_prepare_start(&client->prepare, on_prepare);
    uv_check_start(&client->check, on_check);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;

    client->handles--;
    client_free_when_closed(client);
}

void client_loop_stop(struct client *client)
{
    if (client->settings.names != NULL) {
        names_unwatch(client->settings.names, &client->watch);
        uv_close((uv_handle_t *)&client->resolved, on_handle_closed);
    }
    turn_close(&client->turn, on_handle_closed);
    uv_close((uv_handle_t *)&client->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&client->check, on_handle_closed);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
}
