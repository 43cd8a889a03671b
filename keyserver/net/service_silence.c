/* A vault that is there and says nothing: its process is stopped, or the machine does not let it run. Nobody
 * can tell it from one that takes its time but by the figures that it gives once a second. Watched are the
 * vault that serves, and those that were replaced as long as something is open there.
 *
 * The silence is counted in turns of this loop, not by the clock: when this process was held up itself, what
 * the vault has said meanwhile is read first. */
#include <inttypes.h>

#include "common/clock.h"
#include "keyserver/net/service_inside.h"

#define LOOK_MS   500
#define LOOKS_MAX (SERVICE_VAULT_SILENT_MS / LOOK_MS)

static const struct vault_watch *find(const struct service *service, uint32_t wall)
{
    for (size_t i = 0; i < SERVICE_WATCHES && wall != 0; i++) {
        if (service->watch[i].wall == wall)
            return &service->watch[i];
    }
    return NULL;
}

static bool has_open(const struct service *service, uint32_t wall)
{
    size_t at = 0;

    return requests_through(service->requests, wall, &at) != NULL;
}

/* What is open there is answered now, so that edges ask another key server while there is time. */
static size_t give_up_open(struct service *service, uint32_t wall)
{
    struct request *request;
    size_t at = 0, count = 0;

    while ((request = requests_through(service->requests, wall, &at)) != NULL) {
        service_give_up(service, request, STATUS_UNAVAILABLE, true);
        count++;
    }
    return count;
}

static void begin_silence(struct service *service, struct vault_watch *watch, bool serves)
{
    watch->silent = true;
    counter_add(&service->counters.vault_silences, 1);
    size_t count = give_up_open(service, watch->wall);
    log_event(LOG_WARN, "vault_silent",
              "vault=%s silent_ms=%" PRIu64 " open=%zu answered=unavailable error=\"%s\" hint=\"%s\"",
              serves ? "serving" : "leaving", clock_ms() - watch->heard_ms, count,
              serves ? "the vault is there, but it says nothing"
                     : "a vault that was replaced is to answer what it had, but it says nothing",
              serves ? "is its process, keyless-vault, stopped, or is the machine short of memory or "
                       "processor time? What edges ask is answered unavailable until it is heard again; if "
                       "it is not, restart keyless-server"
                     : "is its process, keyless-vault, stopped, or is the machine short of memory or "
                       "processor time? What edges ask now is answered by the vault that has taken over");
}

/* True when a silence begins. */
static bool look_at(struct service *service, struct vault_watch *watch)
{
    const bool serves = watch->wall == vault_link_ready(service->link);

    if (watch->silent || (!serves && !has_open(service, watch->wall)))
        return false;
    if (++watch->looks <= LOOKS_MAX)
        return false;
    begin_silence(service, watch, serves);
    return true;
}

static void on_look(uv_timer_t *timer)
{
    struct service *service = timer->data;
    bool begun = false;

    for (size_t i = 0; i < SERVICE_WATCHES; i++)
        begun |= service->watch[i].wall != 0 && look_at(service, &service->watch[i]);
    if (!begun)
        return;
    service_flush(service); /* timers run after the last turn's end */
    service_drain_check(service);
}

void service_silence_start(struct service *service)
{
    service->heard_ms = clock_ms();
    uv_timer_init(service->loop, &service->look); /* these cannot fail */
    service->look.data = service;
    uv_timer_start(&service->look, on_look, LOOK_MS, LOOK_MS);
}

/* The link lets go of the oldest when there are too many with something open: there is a place. */
void service_silence_watch(struct service *service, uint32_t wall)
{
    struct vault_watch *watch = NULL;

    for (size_t i = 0; i < SERVICE_WATCHES && watch == NULL; i++) {
        if (service->watch[i].wall == 0 || !has_open(service, service->watch[i].wall))
            watch = &service->watch[i];
    }
    service->heard_ms = clock_ms();
    if (watch != NULL)
        *watch = (struct vault_watch){.wall = wall, .heard_ms = service->heard_ms};
}

void service_silence_end(struct service *service, uint32_t wall)
{
    const uint64_t now = clock_ms();

    if (wall == vault_link_ready(service->link))
        service->heard_ms = now;
    for (size_t i = 0; i < SERVICE_WATCHES; i++) {
        struct vault_watch *watch = &service->watch[i];
        if (watch->wall != wall)
            continue;
        if (watch->silent)
            log_event(LOG_INFO, "vault_heard", "silent_ms=%" PRIu64, now - watch->heard_ms);
        *watch = (struct vault_watch){.wall = wall, .heard_ms = now};
    }
}

bool service_silence_goes_on(const struct service *service)
{
    const struct vault_watch *watch = find(service, vault_link_ready(service->link));

    return watch != NULL && watch->silent;
}
