#include "keyserver/net/service_inside.h"

static void close_peers(struct service *service, const char *why)
{
    for (struct peer *peer = service->registry.peers; peer != NULL; peer = peer->all_next)
        peer_close(peer, why);
}

void service_drain_check(struct service *service)
{
    if (!service->draining)
        return;
    if (!service->drain_over && requests_count(service->requests) == 0) {
        service->drain_over = true;
        close_peers(service, "draining");
    }
    if (service->drain_over && service->registry.peers == NULL && service->on_drained != NULL) {
        void (*on_drained)(void *user) = service->on_drained;
        service->on_drained = NULL;
        on_drained(service->drained_user);
    }
}

static void on_drain_deadline(uv_timer_t *timer)
{
    struct service *service = timer->data;
    struct request *request;
    size_t count = 0;

    for (struct peer *peer = service->registry.peers; peer != NULL; peer = peer->all_next) {
        while ((request = requests_first(service->requests, &peer->open)) != NULL ||
               (request = requests_first(service->requests, &peer->lists)) != NULL) {
            service_give_up(service, request, STATUS_UNAVAILABLE, true);
            count++;
        }
    }
    log_event(LOG_WARN, "drain_timeout", "open=%zu answered=unavailable", count);
    service_flush(service);
    service_drain_check(service);
}

void service_drain(struct service *service, void (*on_drained)(void *user), void *user)
{
    if (service->draining)
        return;
    service->draining = true;
    service->on_drained = on_drained;
    service->drained_user = user;
    uv_timer_start(&service->drain, on_drain_deadline, service->config->drain_timeout, 0);
}

bool service_draining(const struct service *service)
{
    return service->draining;
}
