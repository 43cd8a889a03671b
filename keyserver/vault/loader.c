#include "keyserver/vault/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "keyserver/rules/order.h"
#include "keyserver/vault/loaded.h"
#include "keyserver/vault/vault.h"

/* What was loaded by one order. */
struct load {
    struct server_config config; /* owned */
    struct loaded loaded;        /* owned */
};

struct loader {
    pid_t supervisor;
    int fd;
    struct load *served; /* owned; what the vault that serves was begun with; NULL = nothing yet */
    struct load *next;   /* owned; of a reload that is not decided yet; NULL = none */
};

static void load_free(struct load *load)
{
    if (load == NULL)
        return;
    loaded_clear(&load->loaded);
    server_config_clear(&load->config);
    free(load);
}

static void name_log(const struct server_config *config)
{
    log_init("keyless-server[loader]", (enum log_level)config->log_level,
             (enum log_format)config->log_format);
}

/* ---- loading ---- */

/* Tells the supervisor that the loading goes on. When that fails, so does the answer. */
static void on_progress(void *user)
{
    const struct loader *loader = user;

    (void)!order_answer(loader->fd, &(struct order_answer){.goes_on = true});
}

/* By the order FDS of KIND, after BEFORE (NULL: from nothing). NULL with the fault. */
static struct load *load_new(struct loader *loader, enum order_kind kind, const struct order_descriptors *fds,
                             const struct load *before, struct fault *fault)
{
    const struct keystore_progress progress = {.on_progress = on_progress, .user = loader};
    struct load *load = calloc(1, sizeof *load);
    int err = load == NULL ? fault_set(fault, ERR_MEMORY, "the keys: %s", err_string(ERR_MEMORY))
                           : server_config_load_sealed(&load->config, fds->config, fault);
    if (err == 0) {
        name_log(&load->config);
        load->loaded.progress = &progress;
        err = loaded_make(&load->loaded, &load->config, fds->edges, before != NULL ? &before->loaded : NULL,
                          kind == ORDER_START ? GROUP_SECRET_AT_START : GROUP_SECRET_LATER, fault);
    }
    if (err == 0) {
        load->loaded.progress = NULL;
        return load;
    }
    if (fault->text[0] == 0)
        fault_set(fault, err, "%s", err_string(err));
    (void)process_name_limit(fault, err);
    load_free(load);
    return NULL;
}

/* What the vault of an order of KIND goes by. */
static struct load *load_for(struct loader *loader, enum order_kind kind, const struct order_descriptors *fds,
                             struct fault *fault)
{
    if (kind == ORDER_RESTART && loader->served != NULL)
        return loader->served;
    load_free(loader->next);
    loader->next = load_new(loader, kind, fds, kind == ORDER_RELOAD ? loader->served : NULL, fault);
    if (kind == ORDER_RELOAD || loader->next == NULL)
        return loader->next;
    load_free(loader->served); /* no other vault can still need it */
    loader->served = loader->next;
    loader->next = NULL;
    return loader->served;
}

/* ---- forking ---- */

/* In the vault, which has a copy of the loader's memory: keys that it does not serve are gone from it. Keys
 * that a reload has kept belong to both loads and stay. */
static void keep_only(struct loader *loader, const struct load *load)
{
    if (loader->served != load)
        load_free(loader->served);
    if (loader->next != load)
        load_free(loader->next);
    loader->served = loader->next = NULL;
}

/* In the vault: begins when the loader has told the supervisor of it, whose child it is by then. */
static _Noreturn void become_vault(struct loader *loader, struct load *load, enum order_kind kind,
                                   struct order_descriptors *fds, int gate)
{
    const struct vault_descriptors given = {.wall = fds->wall,
                                            .ready = fds->ready,
                                            .before = fds->before,
                                            .served = kind == ORDER_RELOAD,
                                            .own = fds->own,
                                            .gaps = fds->gaps};
    char byte;
    ssize_t n;

    close(loader->fd);
    close(fds->config);
    close(fds->edges);
    keep_only(loader, load);
    do {
        n = read(gate, &byte, 1);
    } while (n < 0 && errno == EINTR);
    close(gate);
    process_die_with_parent();
    if (n != 1 || getppid() != loader->supervisor)
        _exit(1);
    log_leave(vault_serve(&load->loaded, &given));
}

/* A process in between forks the vault and ends, so that the vault becomes a child of the supervisor, which
 * adopts what its descendants leave behind. Returns the vault's pid, which waits at GATE. Forks without the
 * handlers that libraries may have left: there is one thread here and no loop, and libuv's closes descriptors
 * by the numbers that they had in a parent. -1 with errno, also that of the process in between. */
static pid_t fork_vault(struct loader *loader, struct load *load, enum order_kind kind,
                        struct order_descriptors *fds, int gate[2])
{
    struct {
        pid_t pid;
        int why; /* errno, when there is none */
    } vault = {.pid = -1};
    int told[2];

    if (pipe2(told, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL);
    pid_t between = _Fork();
    if (between == 0) {
        vault.pid = _Fork();
        if (vault.pid == 0) {
            close(told[0]);
            close(told[1]);
            close(gate[1]);
            become_vault(loader, load, kind, fds, gate[0]);
        }
        vault.why = errno;
        (void)!write(told[1], &vault, sizeof vault);
        _exit(0);
    }
    vault.why = errno; /* of no process in between */
    close(told[1]);
    if (between > 0 && read(told[0], &vault, sizeof vault) != (ssize_t)sizeof vault)
        vault.why = ECHILD;
    close(told[0]);
    while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = vault.why;
    return vault.pid;
}

/* Forks it, tells the supervisor, and lets it begin: in this order, so that it cannot end before the
 * supervisor knows it. */
static int begin_vault(struct loader *loader, struct load *load, enum order_kind kind,
                       struct order_descriptors *fds, struct order_answer *answer)
{
    int gate[2];

    if (pipe2(gate, O_CLOEXEC) != 0)
        return ERR_SYSTEM;
    answer->pid = fork_vault(loader, load, kind, fds, gate);
    close(gate[0]);
    int err = answer->pid > 0 ? order_answer(loader->fd, answer) : ERR_SYSTEM;
    if (err == 0 && write(gate[1], "1", 1) != 1)
        err = ERR_SYSTEM;
    close(gate[1]);
    return err;
}

/* ---- orders ---- */

static void count(struct order_answer *answer, enum order_kind kind, const struct loaded *loaded)
{
    struct keystore_changes changes = keystore_changes(loaded->keys);

    answer->keys = (uint32_t)keystore_count(loaded->keys);
    if (kind == ORDER_RESTART)
        changes = (struct keystore_changes){.kept = changes.loaded + changes.kept};
    answer->loaded = (uint32_t)changes.loaded;
    answer->kept = (uint32_t)changes.kept;
    answer->removed = (uint32_t)changes.removed;
}

/* 0, or that it is no use to go on. */
static int obey_order(struct loader *loader, enum order_kind kind, struct order_descriptors *fds)
{
    struct order_answer answer = {.pid = 0};
    struct fault fault = {.text = ""};
    struct load *load = load_for(loader, kind, fds, &fault);

    if (load != NULL) {
        count(&answer, kind, &load->loaded);
        if (begin_vault(loader, load, kind, fds, &answer) == 0)
            return 0;
        answer.pid = 0;
        (void)process_fail(&fault, "a vault cannot be forked");
    }
    log_event(LOG_ERROR, "load_failed", "error=\"%s\"", fault.text);
    snprintf(answer.why, sizeof answer.why, "%s", fault.text);
    return order_answer(loader->fd, &answer);
}

static void decide(struct loader *loader, bool keep)
{
    struct load *out = loader->next;

    if (keep && loader->next != NULL) {
        out = loader->served;
        loader->served = loader->next;
    } else if (loader->next != NULL && loader->served != NULL) {
        loaded_use_lanes(&loader->served->loaded, &loader->next->loaded);
    }
    loader->next = NULL;
    load_free(out);
}

/* Returns the exit status of a loader that an order has not reached: ERR says why. Another one follows. */
static int fail_order(int err)
{
    if (err == ERR_FORMAT) /* cut by the kernel, as there was no room for what comes with it */
        errno = EMFILE;
    log_event(LOG_ERROR, "load_failed", "error=\"an order cannot be taken: %s%s\"", strerror(errno),
              process_limit_hint(errno));
    return 1;
}

static int serve(struct loader *loader)
{
    for (;;) {
        struct order_descriptors fds;
        enum order_kind kind;
        int err = order_receive(loader->fd, &kind, &fds);
        if (err == ERR_CUT)
            return 0;
        if (err != 0)
            return fail_order(err);
        if (kind == ORDER_KEEP || kind == ORDER_DROP)
            decide(loader, kind == ORDER_KEEP);
        else
            err = obey_order(loader, kind, &fds);
        order_close(&fds);
        if (err != 0)
            return err == ERR_CUT ? 0 : 1;
    }
}

static int begin_loader(const struct server_config *config, struct fault *fault)
{
    struct sandbox_state sandbox = {.files_denied = false};
    int err = loaded_begin("keyless-loader", fault);

    if (err == 0)
        err = sandbox_enter(&sandbox, SANDBOX_LOADER, (enum sandbox_mode)config->sandbox, -1, fault);
    if (err == 0)
        log_event(LOG_INFO, "sandbox", "system_calls=%s", sandbox_filter_name(sandbox.filter));
    return err;
}

int loader_run(const struct server_config *config, pid_t supervisor, int fd)
{
    struct loader loader = {.supervisor = supervisor, .fd = fd};
    struct fault fault = {.text = ""};
    int status = 2;

    name_log(config);
    if (begin_loader(config, &fault) != 0)
        log_event(LOG_ERROR, "load_failed", "error=\"%s\"", fault.text);
    else
        status = serve(&loader);
    load_free(loader.next);
    load_free(loader.served);
    close(fd);
    return status;
}
