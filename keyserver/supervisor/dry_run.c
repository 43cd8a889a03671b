#include "keyserver/supervisor/dry_run.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/net/server_sockets.h"
#include "keyserver/rules/authorized.h"
#include "keyserver/supervisor/child.h"
#include "keyserver/vault/vault.h"

/* Loads what the net process would. The user comes first, because file ownership is checked against it. */
static int try_net(const struct server_config *config, const char *file, struct fault *fault)
{
    struct identity *identity = NULL;
    struct authorized *authorized = NULL;

    int r = privileges_check_named(file, config->user, fault);
    if (r == 0)
        r = server_sockets_check(config, file, fault);
    if (r == 0)
        r = secret_start(fault);
    if (r == 0)
        r = identity_load(&identity, config->identity, fault);
    if (r == 0)
        r = authorized_load(&authorized, config->authorized_edges, fault);
    if (r == 0)
        r = authorized_check_others(authorized, config->authorized_edges, identity->public, fault);
    if (r == 0)
        server_sockets_warn(config, authorized_count(authorized));
    authorized_free(authorized);
    secret_free(identity);
    return r;
}

/* The exit status of the child PID, that of the fork; 1 when there is none. */
static int await(pid_t pid, const char *what)
{
    int wait_status = 0;
    if (pid > 0 && waitpid(pid, &wait_status, 0) == pid && WIFEXITED(wait_status))
        return WEXITSTATUS(wait_status);
    fprintf(stderr, "keyless-server: the process that %s has failed\n", what);
    return 1;
}

int dry_run(const struct server_config *config, const char *file)
{
    struct fault fault = {.text = ""};

    if (try_net(config, file, &fault) != 0) {
        fprintf(stderr, "keyless-server: %s\n", fault.text);
        return 2;
    }
    pid_t pid = child_fork(NULL, 0);
    if (pid == 0)
        log_leave(vault_try(config, file));
    return await(pid, "tries the keys");
}

int dry_run_explain(const struct server_config *config, const struct question *question)
{
    struct fault fault = {.text = ""};

    if (config->user != NULL && privileges_check_named(server_config_file(), config->user, &fault) != 0) {
        fprintf(stderr, "keyless-server: %s\n", fault.text);
        return 2;
    }
    pid_t pid = child_fork(NULL, 0);
    if (pid == 0)
        log_leave(vault_explain(config, question));
    return await(pid, "explains");
}
