/* The inside of the supervisor: for its own files only. */
#ifndef KEYSERVER_SUPERVISOR_SUPERVISOR_INSIDE_H
#define KEYSERVER_SUPERVISOR_SUPERVISOR_INSIDE_H

#include "common/episode.h"
#include "keyserver/net/control.h"
#include "keyserver/net/server_sockets.h"
#include "keyserver/rules/order.h"
#include "keyserver/rules/server_config.h"
#include "keyserver/supervisor/child.h"
#include "keyserver/supervisor/children.h"

/* The attempts to start a process of one role. Zero-initialised: none has failed. */
struct start_attempts {
    bool failed; /* the last one */
    int why;     /* errno of the last failure */
    struct episode failing;
};

struct supervisor {
    const char *file;            /* borrowed */
    struct server_config config; /* owned; what the vault that serves was started with */
    struct server_config next;   /* owned; of the vault that loads on reload, else empty */
    struct identity *identity; /* owned, guarded; each net process goes by it, whatever becomes of the file */
    int edges_fd;              /* the snapshot of authorized_edges that counts now */
    int next_edges_fd;         /* of the vault that loads on reload; -1 = none */
    struct server_sockets sockets;
    struct children children;
    int signal_fd;            /* SIGTERM, SIGINT, SIGHUP, SIGCHLD */
    int control_fd;           /* to the net process; -1 = there is none */
    int order_fd;             /* to the loader; -1 = there is none */
    bool ordered;             /* a vault, and the loader has not answered yet */
    struct vault_ends coming; /* of the vault that loads (ready) or has just loaded (the others) */
    struct vault_memory memory;
    bool wall_ready;
    enum control_wall_cause cause; /* of that vault */
    struct order_answer loaded;    /* what the loader said of it */
    uint64_t load_heard_ms;        /* of clock_ms(): the last word about it, of whoever has the next step */
    bool load_wait_said;           /* the log has told that it goes on slowly */
    bool loader_holds;             /* what the vault that serves was begun with: it need only fork another */
    uint64_t deadline_max;         /* ms; the longest that the net process which runs lets a request wait */
    struct child_backoff net_backoff;
    struct child_backoff vault_backoff;
    struct child_backoff loader_backoff;
    struct start_attempts attempts[CHILD_ROLES];
    bool net_started;
    unsigned walls_untaken; /* walls sent to the net process that it has not taken yet */
    bool announced;         /* was ready once; from then on whatever dies is restarted */
    bool reload_again;      /* SIGHUP came while a vault was loading, or too many were draining */
    bool stopping;
    uint64_t stop_at_ms; /* when patience ends */
    int status;
    const char *status_why; /* what made it other than 0, when no other line says so; NULL = nothing has */
};

/* Starts the net process. */
int supervisor_start_net(struct supervisor *s) MUST_USE;
/* Starts what is due by its back-off. */
void supervisor_start_due(struct supervisor *s, uint64_t now_ms);
/* Why a process of ROLE could not be started, or a vault not be ordered: ERR, with errno. Returns ERR. */
int supervisor_explain_start(struct supervisor *s, enum child_role role, int err, struct fault *fault);
/* Starts the loader, if there is none. */
int supervisor_start_loader(struct supervisor *s) MUST_USE;
/* Orders a vault by CONFIG and EDGES_FD. Its wall is handed over once it is ready. */
int supervisor_start_vault(struct supervisor *s, const struct server_config *config, int edges_fd,
                           enum control_wall_cause cause) MUST_USE;
/* True from the order of a vault to the loader's answer. */
bool supervisor_is_loading(const struct supervisor *s);
bool supervisor_vault_is_coming(const struct supervisor *s);
/* A vault was ordered: its time runs. */
void supervisor_load_begins(struct supervisor *s);
/* Tells the net process how it goes, for its status. */
void supervisor_tell_load(struct supervisor *s);
/* A word about it. */
void supervisor_load_goes_on(struct supervisor *s);
/* Whoever has the next step on the way to a vault: the loader, or the vault. NULL: nobody. */
struct child *supervisor_load_awaits(struct supervisor *s);
/* When its time is over, and when there is something to do about it, of clock_ms(); UINT64_MAX: never. */
uint64_t supervisor_load_overdue_at(struct supervisor *s);
uint64_t supervisor_load_due_at(struct supervisor *s);
/* Tells of one that says nothing for long, and kills one that does so for too long. */
void supervisor_watch_load(struct supervisor *s, uint64_t now_ms);
/* SIGHUP: now, or (`reload_again`) when what is in the way is gone. */
void supervisor_reload(struct supervisor *s);
/* Something is in the way of a reload. */
bool supervisor_must_wait(const struct supervisor *s);
/* Logs what. */
void supervisor_say_wait(struct supervisor *s);
/* VAULT is replaced, or its net process is gone: it is to end by itself, within a time. */
void supervisor_let_go(struct supervisor *s, struct child *vault);
/* The net process has closed its end of the control pair, or takes nothing from it: so is it. The next one
 * gets what this one did not. */
void supervisor_cut_net(struct supervisor *s);
/* Walls lie before the net process, if it has started: one that takes none within a time hangs, or somebody
 * has taken it over. It is replaced then. */
void supervisor_await_walls(struct supervisor *s);
/* It says that it has taken one. */
void supervisor_on_wall_taken(struct supervisor *s);
/* When the first such time is over, of clock_ms(); UINT64_MAX: none runs. */
uint64_t supervisor_overdue_at(const struct supervisor *s);
/* Kills those whose time is over, and says so. */
void supervisor_end_overdue(struct supervisor *s, uint64_t now_ms);
/* The key server does not end well: STATUS, unless it is another one than 0 already, because of WHY. */
void supervisor_spoil_status(struct supervisor *s, int status, const char *why);
/* The time to stop is over: kills what is left, and says what. */
void supervisor_end_patience(struct supervisor *s);
/* Gives the wall of a vault that is ready to the net process, if both are there. */
void supervisor_hand_over(struct supervisor *s);
/* Says that all is there, once. */
void supervisor_announce(struct supervisor *s);
/* The vault that was ordered will not come. */
void supervisor_vault_failed(struct supervisor *s, uint64_t lived_ms, const char *why);
/* READY_FD has something to say. */
void supervisor_on_ready(struct supervisor *s);
/* ORDER_FD has. An exit status when the start cannot succeed, or 0. */
int supervisor_on_answer(struct supervisor *s);
void supervisor_drop_reload(struct supervisor *s);
void supervisor_close_fd(int *fd);
void supervisor_close_coming(struct supervisor *s);

#endif
