/* The key server's configuration: what server.conf says, as one immutable struct. */
#ifndef KEYSERVER_RULES_SERVER_CONFIG_H
#define KEYSERVER_RULES_SERVER_CONFIG_H

#include "common/config.h"
#include "common/identity.h"
#include "common/log.h"
#include "keyserver/rules/key_rules.h"

#define GROUP_SECRET_SIZE         IDENTITY_KEY_SIZE /* bytes in the file `group_secret` */
#define SERVER_DEFAULT_PORT       2407
#define SERVER_ADMIN_DEFAULT_PORT 2406

enum server_audit_sync { SERVER_AUDIT_SYNC_INTERVAL, SERVER_AUDIT_SYNC_ALWAYS };
enum server_audit_failure { SERVER_AUDIT_REFUSE, SERVER_AUDIT_SERVE };

enum server_memory { SERVER_MEMORY_LOCKED, SERVER_MEMORY_UNLOCKED };

/* The audit log. */
struct server_audit {
    char *folder;         /* path */
    char *key;            /* path of the Ed25519 key that signs its checkpoints; made at first start */
    uint64_t rotate_size; /* bytes of a file before the next is begun; 64 MiB */
    uint64_t checkpoint;  /* ms between two checkpoints at least; 1,000 */
    int sync;             /* enum server_audit_sync: when records must have reached the disk */
    int on_failure;       /* enum server_audit_failure: what happens to uses that cannot be recorded */
};

struct server_config {
    struct config_strings listen; /* "127.0.0.1:2407", "unix:/run/…" */
    char *admin;                  /* "127.0.0.1:2406"; "off" = none */
    char *identity;               /* path of the X25519 secret key */
    char *authorized_edges;       /* path */
    char *keys;                   /* path of the folder of private keys */
    char *group_secret;           /* path; made at first start */
    int secret_files;             /* enum permissions_readers: who may read what is secret; their owner */
    char *user;                   /* to become when started as root */
    int workers;                  /* 0 = one per core */
    int queue_max;                /* requests waiting in the vault before it answers busy; 4,096 */
    int in_flight_per_edge;       /* open requests of one edge; 4,096 */
    uint64_t epoch;               /* ms: how long bound mode uses one epoch key; 30,000 */
    uint64_t deadline_max;        /* ms: longest a request may wait, whatever the edge asks; 10,000 */
    uint64_t handshake_timeout;   /* ms: a connection that is not authenticated by then is dropped; 5,000 */
    uint64_t idle_timeout;        /* ms without a message; 60,000 */
    uint64_t drain_timeout;       /* ms from SIGTERM to exit at the latest; 10,000 */
    int half_open_max;            /* 1,024 */
    int handshakes_per_second;    /* per source address; 50 */
    int log_level;                /* enum log_level */
    int log_format;               /* enum log_format */
    bool access_log;              /* one line a use of a key; on */
    int sandbox;                  /* enum sandbox_mode: whether calls that no process makes are refused */
    int memory;                   /* enum server_memory: what keys that cannot be locked are */
    bool lanes;                   /* several operations at once where the processor can; on */
    struct key_rules key_default; /* of every key, unless its own section says otherwise */
    struct config_sections key_sections; /* struct key_rules, by name or id of the key */
    struct server_audit audit;
    struct {
        char *listen, *admin, *idle_timeout;
    } place; /* where each was set, "server.conf:14"; NULL: it was not */
};

/* The table, for -T and the manual. */
extern const struct config_option server_config_table[];

/* Fills the zeroed OUT, and from then on secret files are read as it says. ERR_CONFIG with a fault for what
 * is wrong or contradicts itself in FILE, but not for the files that it names. */
int server_config_load(struct server_config *out, const char *file, struct fault *fault) MUST_USE;
/* CONFIG in sealed memory (sealed.h), for another process; the descriptor is the caller's. Negative errors.
 */
int server_config_seal(const struct server_config *config) MUST_USE;
int server_config_load_sealed(struct server_config *out, int fd, struct fault *fault) MUST_USE;
/* The path of the configuration that this process, or the one that it was forked from, has read from a file:
 * for hints. "" before. */
const char *server_config_file(void);
void server_config_clear(struct server_config *config);

#endif
