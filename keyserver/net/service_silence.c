/* A vault that is there and says nothing: its process is stopped, or the machine does not let it run. Nobody
 * can tell it from one that takes its time but by the figures that it gives once a second.
 *
 * The silence is counted in turns of this loop, not by the clock: when this process was held up itself, what
 * the vault has said meanwhile is read first. */
#include <inttypes.h>

#include "common/clock.h"
#include "keyserver/net/service_inside.h"

#define LOOK_MS   500
#define LOOKS_MAX (SERVICE_VAULT_SILENT_MS / LOOK_MS)

/* What is open there is answered now, so that edges ask another key server while there is time. */
static size_t give_up_open(struct service *service)
{
    const uint32_t wall = vault_link_ready(service->link);
    struct request *request;
    size_t at = 0, count = 0;

    while ((request = requests_through(service->requests, wall, &at)) != NULL) {
        service_give_up(service, request, STATUS_UNAVAILABLE, true);
        count++;
    }
    return count;
}

static void begin_silence(struct service *service)
{
    service->silent = true;
    counter_add(&service->counters.vault_silences, 1);
    size_t count = give_up_open(service);
    log_event(
        LOG_WARN, "vault_silent",
        "silent_ms=%" PRIu64
        " open=%zu answered=unavailable error=\"the vault is there, but it says nothing\" hint=\"is its "
        "process, keyless-vault, stopped, or is the machine short of memory or processor time? What "
        "edges ask is answered unavailable until it is heard again; if it is not, restart "
        "keyless-server\"",
        service_vault_silent_ms(service), count);
}

static void on_look(uv_timer_t *timer)
{
    struct service *service = timer->data;

    if (vault_link_ready(service->link) == 0 || service->silent)
        return;
    if (++service->looks <= LOOKS_MAX)
        return;
    begin_silence(service);
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

void service_silence_end(struct service *service)
{
    uint64_t silent_ms = service_vault_silent_ms(service);

    service->heard_ms = clock_ms();
    service->looks = 0;
    if (!service->silent)
        return;
    service->silent = false;
    log_event(LOG_INFO, "vault_heard", "silent_ms=%" PRIu64, silent_ms);
}
