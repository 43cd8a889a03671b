/* The supervisor's children: which processes there are, and how each kind is started.
 *
 * Decides nothing about when. One thread. */
#ifndef KEYSERVER_SUPERVISOR_CHILDREN_H
#define KEYSERVER_SUPERVISOR_CHILDREN_H

#include <sys/types.h>

#include "common/identity.h"
#include "keyserver/net/server_sockets.h"
#include "keyserver/rules/order.h"

#define CHILDREN_MAX 8

enum child_role {
    CHILD_FREE, /* no process */
    CHILD_NET,
    CHILD_LOADER,        /* holds the keys, and forks vaults */
    CHILD_VAULT_LOADING, /* not handed to the net process yet */
    CHILD_VAULT,         /* serves */
    CHILD_VAULT_LEAVING, /* another serves; it ends when what it had is answered */
    CHILD_ROLES
};
/* "net", "loader" or "vault". */
const char *child_role_name(enum child_role role);

struct child {
    enum child_role role;
    pid_t pid;
    uint64_t started_ms; /* of clock_ms() */
    uint64_t end_by_ms;  /* of clock_ms(), when it is killed unless it has ended by itself; 0 = never */
    bool killed;         /* by children_kill_one() */
};

/* Zero-initialised is empty. */
struct children {
    struct child item[CHILDREN_MAX];
};

/* The first in ROLE (CHILD_FREE: room for one more), or NULL. */
struct child *children_find(struct children *children, enum child_role role);
bool children_any(const struct children *children);
size_t children_count(const struct children *children, enum child_role role);
/* The process id of one that has ended, with its WAIT_STATUS as of waitpid(); 0 when none has. With
 * OTHERS_TOO also that of one which is not known here. While the loader may have forked a vault of which its
 * answer is not read yet, such a one is to be left: nobody else tells the end of that vault. */
pid_t children_wait(const struct children *children, bool others_too, int *wait_status) MUST_USE;
/* Copies the child PID out and forgets it; ERR_NOT_FOUND. */
int children_take(struct children *children, pid_t pid, struct child *out) MUST_USE;
/* Kills a child, which is then expected to end so, unless it has ended already. */
void children_kill_one(struct child *child);
/* Kills them all at once. */
void children_kill(struct children *children);
#define CHILDREN_TEXT_SIZE (CHILDREN_MAX * 20)
/* "net 12, vault 13": those in ROLE, or all with CHILD_FREE. Returns OUT. */
const char *children_text(const struct children *children, enum child_role role,
                          char out[static CHILDREN_TEXT_SIZE]) MUST_USE;
/* The same of one. */
const char *child_text(const struct child *child, char out[static CHILDREN_TEXT_SIZE]) MUST_USE;
/* Logs how a child ended, as waitpid() told: "child_died", or "child_ended" when that was EXPECTED and went
 * well, or when it was killed here. */
void children_log_end(const struct child *child, int wait_status, bool expected);

/* Forks the net process with SOCKETS, IDENTITY and the snapshot EDGES_FD of authorized_edges. CONTROL_FD
 * becomes this end of its control pair, the caller's. ERR_BUSY: too many children. */
int children_start_net(struct children *children, const struct server_config *config,
                       const struct server_sockets *sockets, struct identity *identity, int edges_fd,
                       int *control_fd) MUST_USE;
/* Forks the loader, in which IDENTITY, which is not for it, is wiped. ORDER_FD becomes this end of its socket
 * pair, the caller's. ERR_BUSY: too many children.
 */
int children_start_loader(struct children *children, const struct server_config *config,
                          struct identity *identity, int *order_fd) MUST_USE;
/* What the supervisor keeps of a vault that was ordered; all of it is the caller's. -1: none. */
struct vault_ends {
    int wall;  /* the net process's end of its wall */
    int ready; /* gives one byte once it is ready (or ends) */
    int left;  /* what it leaves to the next one (order.h) */
};
/* What the supervisor keeps for vaults to come; -1: nothing yet. */
struct vault_memory {
    int left; /* what the one that serves leaves to the next one (order.h) */
    int gaps; /* what all of them leave to each other */
};
/* Orders a vault of KIND from the loader, by CONFIG and the snapshot EDGES_FD, in the place of the one that
 * has left what MEMORY says, whose `gaps` is made if there is none. The answer at ORDER_FD says what becomes
 * of it. On failure OUT is as it was. ERR_BUSY: too many children. */
int children_order_vault(struct children *children, int order_fd, enum order_kind kind,
                         const struct server_config *config, int edges_fd, struct vault_memory *memory,
                         struct vault_ends *out) MUST_USE;
/* The vault PID, which the loader has forked, is a child from now on. */
void children_add_vault(struct children *children, pid_t pid);

#endif
