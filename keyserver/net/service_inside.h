/* The inside of the service, shared by the files that make it: service.c (requests and answers) and
 * service_drain.c (the end). Not for anybody else. Loop thread only. */
#ifndef KEYSERVER_NET_SERVICE_INSIDE_H
#define KEYSERVER_NET_SERVICE_INSIDE_H

#include "keyserver/net/crowd.h"
#include "keyserver/net/service.h"

struct service {
    uv_loop_t *loop;                    /* borrowed */
    const struct server_config *config; /* borrowed */
    struct requests *requests;          /* owned */
    struct vault_link *link;            /* owned */
    struct net_counters counters;
    uint64_t now_ns;       /* of clock_ns(), as answers are taken */
    uint64_t heard_ms;     /* of clock_ms(): a vault's last sign of life */
    struct crowd crowd;    /* every channel that is open */
    struct peer *gathered; /* those with answers to flush */
    uv_check_t turn;       /* after the events of a turn: everything leaves in batches */
    uv_timer_t sweep;      /* runs while a request is open */
    uv_timer_t drain;      /* the deadline */
    bool draining;
    bool drain_over;                          /* nothing is waited for any more but the channels to close */
    void (*on_vault)(bool there, void *user); /* NULL = nobody watches */
    void *vault_user;                         /* borrowed */
    void (*on_drained)(void *user);
    void *drained_user; /* borrowed */
};

/* Answers REQUEST with STATUS and forgets it; WANTED_NO_MORE tells the vault so. */
void service_give_up(struct service *service, struct request *request, enum operation_status status,
                     bool wanted_no_more);
/* Everything that gathered in this turn leaves now: one batch to the vault, one message to each peer. */
void service_flush(struct service *service);
/* Goes on with a drain that is under way, if what it waits for has come about. Once per turn of the loop. */
void service_drain_check(struct service *service);

#endif
