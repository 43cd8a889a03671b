/* The service: what joins connected edges, their open requests and the vault.
 *
 * Every request ends in exactly one answer to the peer that asked, or none when that peer is gone. Refuses
 * and sheds cheaply here what needs no key; everything else is judged in the vault, which gets the edge's
 * key and address with each request. Loop thread only. */
#ifndef KEYSERVER_NET_SERVICE_H
#define KEYSERVER_NET_SERVICE_H

#include "keyserver/net/control.h"
#include "keyserver/net/net_counters.h"
#include "keyserver/net/peer.h"
#include "keyserver/net/vault_link.h"
#include "keyserver/rules/server_config.h"

struct service;
struct channel_shares;

/* CONFIG is borrowed. NULL without memory. */
struct service *service_new(uv_loop_t *loop, const struct server_config *config);

/* A peer for CHANNEL, just opened by EDGE. NULL without memory, while draining, or when the edge has too
 * many channels already. */
struct peer *service_attach(struct service *service, struct channel *channel,
                            const struct authorized_edge *edge);
/* For its listeners: what each edge may have of a turn of the loop. */
struct channel_shares *service_shares(struct service *service);
/* PEER's channel is gone: its open requests are cancelled, and it is freed. */
void service_detach(struct service *service, struct peer *peer);

/* The list of edges is another now: closes the channels of those that EDGES no longer admits as they are, by
 * key, pre-shared key (compared with BEFORE) and address. */
void service_revoke(struct service *service, const struct authorized *edges, const struct authorized *before);

/* Has ON_VAULT called whenever a vault has come or gone: THERE says whether one serves now. */
void service_watch_vault(struct service *service, void (*on_vault)(bool there, void *user), void *user);
/* A ready vault's end of the wall; FD is taken. */
void service_adopt_wall(struct service *service, int fd, enum control_wall_cause cause);

/* Stops taking requests (they are answered `unavailable`), waits until what is open is answered, at most the
 * configured drain_timeout, and closes every channel; then ON_DRAINED, once, from the loop. Listeners are the
 * caller's to close. */
void service_drain(struct service *service, void (*on_drained)(void *user), void *user);
/* Bytes of answers that one edge may leave unread, in one channel or all. Whoever keeps to its requests in
 * flight never comes to this limit, however slow the network. */
size_t service_unsent_max(const struct server_config *config);
/* Lets go of the vault and of the loop. */
void service_close(struct service *service);
/* After the loop has run out: no channel is left and the service is closed. NULL is allowed. */
void service_free(struct service *service);

/* For the status. */
struct net_counters *service_counters(struct service *service);
/* For how long the current vault has given no figures; it does once a second while it works. Without one,
 * since the last one did, or since the service began. */
uint64_t service_vault_silent_ms(const struct service *service);
#define SERVICE_VAULT_SILENT_MS 5000 /* a vault that is silent for longer hangs, or does not come back */
/* True when there is a vault that has its keys, and it is not silent. */
bool service_vault_serves(const struct service *service);
const struct vault_link *service_link(const struct service *service);
const struct edge_states *service_edge_states(const struct service *service);
const struct peer *service_peers(const struct service *service); /* the first; follow `after` */
size_t service_open(const struct service *service);              /* requests being worked on */
bool service_draining(const struct service *service);

#endif
