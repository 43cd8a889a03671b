/* Whether a daemon could listen where its configuration says, found out beforehand: no port is taken, so that
 * it can be asked while the daemon runs. Start-up only: host names are looked up. */
#ifndef COMMON_LISTENING_H
#define COMMON_LISTENING_H

#include "common/address.h"
#include "common/config.h"

/* Every address of LISTEN, of the configuration FILE, with DEFAULT_PORT where it has none: well formed, one
 * of this machine, not there twice; of a unix socket its folder exists, and no other file is in its place.
 * ERR_CONFIG with a fault "FILE: listen: …". */
int listening_check(const char *file, const struct config_strings *listen, uint16_t default_port,
                    struct fault *fault) MUST_USE;
/* The same of the admin endpoint, which is on loopback or a unix socket; NULL and "off" are fine. */
int listening_check_admin(const char *file, const char *admin, uint16_t default_port,
                          struct fault *fault) MUST_USE;

#endif
