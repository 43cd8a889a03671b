/* Whether a daemon could listen where its configuration says, found out beforehand: no port is taken, so that
 * it can be asked while the daemon runs. Start-up only: host names are looked up. */
#ifndef COMMON_LISTENING_H
#define COMMON_LISTENING_H

#include "common/address.h"
#include "common/config.h"

/* The address ITEM of LISTEN, of the configuration FILE, with DEFAULT_PORT where it has none: well formed,
 * one of this machine, none of those before it; of a unix socket its folder exists, and no other file is in
 * its place. ERR_CONFIG with a fault "FILE: listen: …". */
int listening_check(const char *file, const struct config_strings *listen, size_t item, uint16_t default_port,
                    struct fault *fault) MUST_USE;
/* The same of TEXT alone, with a fault that does not say where it stands. */
int listening_check_one(const char *text, uint16_t default_port, struct fault *fault) MUST_USE;
/* The same of the admin endpoint, which is on loopback or a unix socket; NULL and "off" are fine. */
int listening_check_admin(const char *file, const char *admin, uint16_t default_port,
                          struct fault *fault) MUST_USE;

/* Where a daemon listens, as an option of the configuration FILE says it. */
struct listening_own {
    const char *file;
    const char *option;                 /* "listen" */
    const char *place;                  /* where it was set, "edge.conf:3"; NULL: it is the default */
    const struct config_strings *texts; /* "off" is no address */
    uint16_t default_port;
};
/* Another address of the same configuration. */
struct listening_other {
    const char *option; /* as people read it: "origin_for h2" */
    const char *place;  /* as above */
    const char *text;   /* "off" is no address */
    uint16_t default_port;
    bool is_listened_at; /* it is an address to listen at, too; otherwise one to connect to */
    const char *why;     /* what comes of it when both are one, and what to do: "…; write another one" */
    const char *movable; /* the option that may be given another port, or another path; NULL: WHY says all */
};
/* OTHER is none of OWN. ERR_CONFIG with a fault "PLACE: …" when they certainly are one: the same address, one
 * of this machine that a wildcard of OWN has, one socket file under two names. What is uncertain (a host name
 * other than localhost, port 0, what is not well formed) passes. Looks up no name; asks the kernel for the
 * machine's addresses only where OTHER is one to connect to. */
int listening_check_apart(const struct listening_own *own, const struct listening_other *other,
                          struct fault *fault) MUST_USE;

#endif
