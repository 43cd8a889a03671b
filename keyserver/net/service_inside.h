/* The inside of the service, shared by the files that make it: service.c (requests and answers),
 * service_lists.c (requests that wait), service_silence.c (a vault that says nothing), service_drain.c (the
 * end), service_figures.c. No other file includes it. Loop thread only. */
#ifndef KEYSERVER_NET_SERVICE_INSIDE_H
#define KEYSERVER_NET_SERVICE_INSIDE_H

#include "keyserver/net/registry.h"
#include "keyserver/net/service.h"

/* Of a vault whose signs of life are looked for. */
struct vault_watch {
    uint32_t wall;     /* its end; 0 = the place is free */
    unsigned looks;    /* since the last sign */
    uint64_t heard_ms; /* of clock_ms(): when that was */
    bool silent;       /* there was none for too long */
};

#define SERVICE_WATCHES (VAULT_LINK_ENDS_MAX + 1)

struct service {
    uv_loop_t *loop;                    /* borrowed */
    const struct server_config *config; /* borrowed */
    struct requests *requests;          /* owned */
    struct vault_link *link;            /* owned */
    struct net_counters counters;
    uint64_t now_ns;          /* of clock_ns(), as answers are taken */
    uint64_t heard_ms;        /* of clock_ms(): the last sign of life of the vault that serves */
    struct registry registry; /* every channel that is open */
    struct channel_shares shares;
    struct peer *gathered;      /* those with answers to flush */
    struct edge_state *wanting; /* those with lists of keys that wait for their turn */
    uv_check_t turn;            /* after the events of a turn: everything leaves in batches */
    uv_timer_t sweep;           /* runs while a request is open */
    uv_timer_t drain;           /* the deadline */
    uv_timer_t look;            /* for signs of life of the vaults */
    struct vault_watch watch[SERVICE_WATCHES];
    bool draining;
    bool drain_over;                          /* nothing is waited for any more but the channels to close */
    void (*on_vault)(bool there, void *user); /* NULL = nobody watches */
    void *vault_user;                         /* borrowed */
    void (*on_drained)(void *user);
    void *drained_user; /* borrowed */
};

#define SERVICE_GRACE_NS 250000000u /* the vault itself says `expired`; past this it has failed to */

/* Hands REQUEST, as the edge has SENT it, to the link. ERR_BUSY, ERR_NOT_FOUND without a vault, or with one
 * that is silent. */
int service_submit(struct service *service, struct request *request, const struct msg_request *sent) MUST_USE;

/* ---- service_silence.c ---- */

/* Begins to look for signs of life of the vaults. */
void service_silence_start(struct service *service);
/* From now on also of the one behind WALL, which has taken over. */
void service_silence_watch(struct service *service, uint32_t wall);
/* The one behind WALL gives one. */
void service_silence_end(struct service *service, uint32_t wall);
/* The vault that should serve says nothing. */
bool service_silence_goes_on(const struct service *service);

/* ---- service_lists.c ---- */

#define SERVICE_LISTS_UNSENT ((size_t)1 << 20) /* bytes of lists that one edge may leave unread */

/* A request for a list of keys was put into PEER's `lists`: it has its turn in service_begin_lists(). */
void service_want_list(struct service *service, struct peer *peer);
/* Asks the vault for the lists whose turn has come. */
void service_begin_lists(struct service *service);
/* EDGE_STATE goes. */
void service_drop_edge_state(struct service *service, struct edge_state *edge_state);

/* Answers REQUEST with STATUS and forgets it; WANTED_NO_MORE tells the vault so. */
void service_give_up(struct service *service, struct request *request, enum operation_status status,
                     bool wanted_no_more);
/* Everything that gathered in this turn leaves now: one batch to the vault, one message to each peer. */
void service_flush(struct service *service);
/* Goes on with a drain that is under way, if what it waits for has come about. Once per turn of the loop. */
void service_drain_check(struct service *service);

#endif
