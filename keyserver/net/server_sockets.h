/* The sockets of the key server: bound once by the supervisor, inherited by each net process, so that a
 * restart keeps the ports, those given as 0 too. Start-up only. */
#ifndef KEYSERVER_NET_SERVER_SOCKETS_H
#define KEYSERVER_NET_SERVER_SOCKETS_H

#include "keyserver/rules/server_config.h"

#define SERVER_LISTENERS_MAX 16

struct server_sockets {
    int listeners[SERVER_LISTENERS_MAX]; /* owned, `listener_count` */
    size_t listener_count;
    int admin_fd; /* owned; -1 = none */
};

/* Binds everything CONFIG names and logs each bound address as "listening" and "admin_listening". FILE is for
 * messages only. On error some may be open: close them. */
int server_sockets_bind(struct server_sockets *sockets, const struct server_config *config, const char *file,
                        struct fault *fault) MUST_USE;
/* Lets them listen as at first, whatever a net process has made of that: they are those of all that follow.
 */
void server_sockets_listen(const struct server_sockets *sockets);
/* ERR_CONFIG when there is no address to listen at, or more than SERVER_LISTENERS_MAX. */
int server_sockets_check_count(const struct server_config *config, const char *file,
                               struct fault *fault) MUST_USE;
/* ERR_SYSTEM, with the hint, when the limit of descriptors is too low for any start. */
int server_sockets_check_limit(const struct server_config *config, struct fault *fault) MUST_USE;
/* Says whether there are descriptors for what CONFIG and EDGES that may connect can bring (descriptors.h). */
void server_sockets_warn(const struct server_config *config, size_t edges);
void server_sockets_close(struct server_sockets *sockets);

#endif
