/* Admission: which connections become edges. Looks a static key up, logs why a connection was dropped, with a
 * hint, and hands open channels to the service. Loop thread only. */
#ifndef KEYSERVER_NET_ADMISSION_H
#define KEYSERVER_NET_ADMISSION_H

#include "common/channel.h"
#include "keyserver/net/service.h"

struct admission {
    struct service *service;             /* borrowed */
    const struct authorized *authorized; /* borrowed */
    const char *authorized_file;         /* borrowed; for the log */
};

/* For channel_listener_start(), with a `struct admission` as its user. */
extern const struct channel_listener_handlers admission_handlers;

/* ADMISSION has another list now, in the place of BEFORE: drops whoever is on the way in through LISTENER by
 * what the old one said of it and the new one does not. Others go on. */
void admission_review(const struct admission *admission, const struct authorized *before,
                      struct channel_listener *listener);
/* The limits of one edge's channels, from the configuration. */
void admission_settings(struct channel_listener_settings *out, const struct server_config *config);

#endif
