#include "keyserver/vault/group_secret.h"

#include <string.h>

#include "common/creatable.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/shell.h"
#include "keyserver/vault/audit/audit_earlier_run.h"

#define HOLDER "another key server of the group"
#define COPY_HINT                                                                                            \
    "put the copy of " HOLDER " or of a backup there; where there is none left, make "                       \
    "a new one with: keyless genkey > "

static int make(uint8_t out[static GROUP_SECRET_SIZE], const char *path, struct fault *fault)
{
    random_bytes(out, GROUP_SECRET_SIZE);
    int err = identity_save_secret(path, out, fault);
    if (err == 0)
        log_event(LOG_WARN, "group_secret_made",
                  "file=%s hint=\"every replica of this key server needs a copy of it\"", path);
    return err;
}

/* What follows from it is not used by who only looks, so any bytes will do. */
static int pretend(uint8_t out[static GROUP_SECRET_SIZE], const char *path, struct fault *fault)
{
    random_bytes(out, GROUP_SECRET_SIZE);
    int err = creatable_check_secret(path, fault);
    if (err == 0)
        creatable_say(path, "the secret that all replicas share");
    return err;
}

int group_secret_load(uint8_t out[static GROUP_SECRET_SIZE], const struct server_config *config,
                      enum group_secret_use use, struct fault *fault)
{
    const char *path = config->group_secret;
    char trace[PATH_MAX];
    int err = identity_load_shared(out, path, HOLDER, fault);
    if (err != ERR_NOT_FOUND)
        return err;
    if (use == GROUP_SECRET_LATER)
        return fault_set(fault, ERR_CONFIG,
                         "%s: no such file, and none is made while the key server runs; " COPY_HINT "%s",
                         path, SHELL_WORD(path));
    if (audit_earlier_run_find(&config->audit, trace))
        return fault_set(fault, ERR_CONFIG,
                         "%s: no such file; it is made at the first start only, and this key server has been "
                         "set up or has run before (%s is there); " COPY_HINT "%s",
                         path, trace, SHELL_WORD(path));
    return use == GROUP_SECRET_TO_LOOK ? pretend(out, path, fault) : make(out, path, fault);
}
