#include "common/daemon_options.h"

#include "common/permissions.h"
#include "common/privileges.h"
#include "common/sandbox.h"

const char *const daemon_options_readers[] = {
    [PERMISSIONS_OWNER] = "owner", [PERMISSIONS_GROUP] = "group", NULL};
const char *const daemon_options_sandboxes[] = {[SANDBOX_ON] = "on", [SANDBOX_LOG] = "log", NULL};

int daemon_options_judge_files(const struct config_files *files, int readers, const char *user,
                               struct fault *fault)
{
    permissions_set_readers((enum permissions_readers)readers);
    privileges_trust(user);
    return config_files_judge(files, fault);
}

int daemon_options_check(const char *file, const struct config_strings *listen, uint16_t default_port,
                         const char *admin, const char *user, struct fault *fault)
{
    if (listen->count == 0)
        return fault_set(fault, ERR_CONFIG, "%s: listen is empty; write for instance: listen = {\"*:%d\"}",
                         file, default_port);
    if (admin[0] == 0)
        return fault_set(fault, ERR_CONFIG, "%s: admin is empty; to have none write: admin = \"off\"", file);
    if (user != NULL && user[0] == 0)
        return fault_set(fault, ERR_CONFIG, "%s: user is empty; name a user or leave the option out", file);
    return 0;
}
