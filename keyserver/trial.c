#include "keyserver/trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keyserver/authorized_snapshot.h"
#include "keyserver/child.h"
#include "keyserver/children.h"
#include "keyserver/vault/vault.h"
#include "keyserver/wall/wall.h"

#define LOAD_TIMEOUT_MS 60000

/* What the net process would load. */
static int try_net(const struct server_config *config, const char *file, size_t *edges, struct fault *fault)
{
    struct identity *identity = NULL;
    struct authorized *authorized = NULL;

    int r = server_sockets_check(config, file, fault);
    if (r == 0 && secret_init() != 0)
        r = fault_set(fault, ERR_CRYPTO, "libsodium cannot start");
    if (r == 0)
        r = identity_load(&identity, config->identity, fault);
    if (r == 0)
        r = authorized_load(&authorized, config->authorized_edges, fault);
    if (r == 0)
        *edges = authorized_count(authorized);
    authorized_free(authorized);
    secret_free(identity);
    return r;
}

/* Waits for the vault's first report of loaded keys; ERR_CUT when it ends before that. */
static int wait_for_stats(struct wall *wall, struct wall_stats *out)
{
    struct wall_answer answers[WALL_BATCH_MAX];
    uint64_t end = clock_ms() + LOAD_TIMEOUT_MS;

    for (uint64_t now = clock_ms(); now < end; now = clock_ms()) {
        struct pollfd fd = {.fd = wall_fd(wall), .events = POLLIN};
        if (poll(&fd, 1, (int)(end - now)) < 0 && errno != EINTR)
            return ERR_SYSTEM;
        int count = wall_receive_answers(wall, answers, WALL_BATCH_MAX);
        if (count < 0)
            return count;
        for (int i = 0; i < count; i++) {
            if (wall_answer_check(&answers[i]) == 0 && answers[i].kind == WALL_STATS &&
                answers[i].u.stats.ready == 1) {
                *out = answers[i].u.stats;
                return 0;
            }
        }
    }
    return ERR_TIMEOUT;
}

/* What the vault would load; it says itself, in log lines, what is wrong with it. */
static int try_vault(const struct server_config *config, struct wall_stats *stats)
{
    struct children children = {.item = {{.role = CHILD_FREE}}};
    struct wall wall;
    int fd, ready_fd, wait_status = 0;

    int edges_fd = authorized_snapshot_take(config->authorized_edges, NULL);
    int started = edges_fd < 0 ? edges_fd : children_start_vault(&children, config, edges_fd, &fd, &ready_fd);
    if (edges_fd >= 0)
        close(edges_fd);
    if (started != 0)
        return ERR_SYSTEM;
    pid_t pid = children_find(&children, CHILD_VAULT_LOADING)->pid;
    wall_adopt(&wall, fd);
    int r = wait_for_stats(&wall, stats);
    wall_close(&wall);
    close(ready_fd);
    if (r == ERR_TIMEOUT || r == ERR_SYSTEM)
        kill(pid, SIGKILL);
    if (waitpid(pid, &wait_status, 0) != pid)
        return ERR_SYSTEM;
    if (r == ERR_CUT && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 2)
        return ERR_CONFIG;
    return r;
}

static int report_vault(const struct server_config *config, int r, const struct wall_stats *stats)
{
    if (r == 0 && stats->key_files_skipped == 0 && stats->keys > 0)
        return 0;
    if (r == 0 && stats->key_files_skipped > 0)
        fprintf(stderr, "keyless-server: %s: %u of %u key files cannot be used; see the lines above\n",
                config->keys, stats->key_files_skipped, stats->keys + stats->key_files_skipped);
    else if (r == 0)
        fprintf(stderr, "keyless-server: %s: holds no key; put private keys there as NAME.key or NAME.pem\n",
                config->keys);
    else
        fprintf(stderr, "keyless-server: the keys cannot be loaded: %s; see the lines above\n",
                err_string(r));
    return r == 0 || r == ERR_CONFIG ? 2 : 1;
}

int trial_run(const struct server_config *config, const char *file)
{
    struct fault fault = {.text = ""};
    struct wall_stats stats = {.ready = 0};
    size_t edges = 0;

    if (try_net(config, file, &edges, &fault) != 0) {
        fprintf(stderr, "keyless-server: %s\n", fault.text);
        return 2;
    }
    int r = try_vault(config, &stats);
    int status = report_vault(config, r, &stats);
    if (status == 0)
        printf("%s is good: %zu edges, %u keys\n", file, edges, stats.keys);
    return status;
}

int trial_explain(const struct server_config *config, const struct question *question)
{
    int wait_status = 0;
    pid_t pid = child_fork(NULL, 0);

    if (pid == 0)
        children_leave(vault_explain(config, question));
    if (pid < 0 || waitpid(pid, &wait_status, 0) != pid || !WIFEXITED(wait_status)) {
        fputs("keyless-server: the process that explains has failed\n", stderr);
        return 1;
    }
    return WEXITSTATUS(wait_status);
}
