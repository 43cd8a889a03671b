#include "keyserver/supervisor/dry_run.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/listening.h"
#include "common/log.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/secret.h"
#include "common/steps.h"
#include "keyserver/net/server_sockets.h"
#include "keyserver/rules/authorized.h"
#include "keyserver/supervisor/child.h"
#include "keyserver/vault/vault.h"

/* ---- what the net process would load ---- */

struct trial {
    const struct server_config *config;
    const char *file; /* its own */
    struct identity *identity;
    struct authorized *edges;
};

static int check_user(void *subject, struct fault *fault)
{
    const struct trial *trial = subject;
    return privileges_check_named(trial->file, trial->config->user, fault);
}

static int check_count(void *subject, struct fault *fault)
{
    const struct trial *trial = subject;
    return server_sockets_check_count(trial->config, trial->file, fault);
}

static size_t count_listen(const void *subject)
{
    const struct trial *trial = subject;
    return trial->config->listen.count;
}

static int check_listen(void *subject, size_t item, struct fault *fault)
{
    const struct trial *trial = subject;
    return listening_check(trial->file, &trial->config->listen, item, SERVER_DEFAULT_PORT, fault);
}

static int check_admin(void *subject, struct fault *fault)
{
    const struct trial *trial = subject;
    return listening_check_admin(trial->file, trial->config->admin, SERVER_ADMIN_DEFAULT_PORT, fault);
}

static int start_secrets(void *subject, struct fault *fault)
{
    (void)subject;
    return secret_start(fault);
}

static int load_identity(void *subject, struct fault *fault)
{
    struct trial *trial = subject;
    return identity_load(&trial->identity, trial->config->identity, fault);
}

static int load_edges(void *subject, struct fault *fault)
{
    struct trial *trial = subject;
    return authorized_load(&trial->edges, trial->config->authorized_edges, fault);
}

static int check_edges(void *subject, struct fault *fault)
{
    const struct trial *trial = subject;
    return authorized_check_others(trial->edges, trial->config->authorized_edges, trial->identity->public,
                                   fault);
}

enum {
    STEP_USER,
    STEP_COUNT,
    STEP_LISTEN,
    STEP_ADMIN,
    STEP_SECRETS,
    STEP_IDENTITY,
    STEP_EDGES,
    STEP_OTHERS,
    STEPS
};

#define AFTER(step) (UINT32_C(1) << (step))

/* Who may own files follows from the user, so nothing is told of them when there is none. */
static const struct step steps[STEPS] = {
    [STEP_USER] = {.once = check_user},
    [STEP_COUNT] = {.once = check_count},
    [STEP_LISTEN] = {.each = check_listen, .count = count_listen, .needs = AFTER(STEP_COUNT)},
    [STEP_ADMIN] = {.once = check_admin},
    [STEP_SECRETS] = {.once = start_secrets},
    [STEP_IDENTITY] = {.once = load_identity, .needs = AFTER(STEP_USER) | AFTER(STEP_SECRETS)},
    [STEP_EDGES] = {.once = load_edges, .needs = AFTER(STEP_USER) | AFTER(STEP_SECRETS)},
    [STEP_OTHERS] = {.once = check_edges, .needs = AFTER(STEP_IDENTITY) | AFTER(STEP_EDGES)},
};

static void say(const char *fault)
{
    fprintf(stderr, "keyless-server: %s\n", fault);
}

/* 0, or the error of the first fault. EDGES_READ says whether the vault can go on from here. */
static int try_net(const struct server_config *config, const char *file, bool *edges_read)
{
    struct trial trial = {.config = config, .file = file};
    int err = steps_dry_run(steps, STEPS, &trial, say);

    *edges_read = trial.edges != NULL;
    if (*edges_read)
        server_sockets_warn(config, authorized_count(trial.edges));
    authorized_free(trial.edges);
    secret_free(trial.identity);
    return err;
}

/* ---- what the vault would ---- */

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
    bool edges_read;
    int err = try_net(config, file, &edges_read);

    if (!edges_read)
        return 2;
    pid_t pid = child_fork("dry run", NULL, 0);
    if (pid == 0)
        log_leave(vault_try(config, err == 0 ? file : NULL));
    int status = await(pid, "tries the keys");
    return err == 0 || status == 1 ? status : 2;
}

int dry_run_explain(const struct server_config *config, const struct question *question)
{
    struct fault fault = {.text = ""};

    if (config->user != NULL && privileges_check_named(server_config_file(), config->user, &fault) != 0) {
        say(fault.text);
        return 2;
    }
    pid_t pid = child_fork("dry run", NULL, 0);
    if (pid == 0)
        log_leave(vault_explain(config, question));
    return await(pid, "explains");
}
