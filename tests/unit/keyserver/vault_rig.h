/* A real vault in a process of its own, for its tests: keys of every type, a few edges, and this test in the
 * place of the net process. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_VAULT_RIG_H
#define TESTS_UNIT_KEYSERVER_VAULT_RIG_H

#include <sys/wait.h>

#include "common/clock.h"
#include "keyserver/vault/vault.h"
#include "tests/unit/keyserver/keys.h"
#include "tests/unit/keyserver/wall_rig.h"

#define PATIENCE_MS 30000

enum { HAS_RSA, HAS_P256, HAS_P384, HAS_ED25519, KEY_COUNT };

enum {
    EDGE_ALL,
    EDGE_SIGNER,
    EDGE_OTHER_KEY,
    EDGE_ELSEWHERE,
    EDGE_EXPIRED,
    EDGE_FEW,
    EDGE_COUNT,
    EDGE_STRANGER
};

struct rig {
    char folder[KEYS_PATH_SIZE]; /* of authorized_edges, group_secret, log and audit.key */
    char keys[KEYS_PATH_SIZE];
    char edges_file[KEYS_PATH_SIZE + 32], secret_file[KEYS_PATH_SIZE + 32], log_file[KEYS_PATH_SIZE + 32];
    char audit[KEYS_PATH_SIZE], audit_key[KEYS_PATH_SIZE + 32];
    struct server_config config;
    EVP_PKEY *pkey[KEY_COUNT];
    pid_t pid;       /* 0 = none runs */
    bool hands_over; /* what a vault leaves is for the one that is started next */
    bool served;     /* the one before is to serve on if the next one cannot */
    int before_fd;   /* owned; of the vault that was started last; 0 = none was */
    struct wall wall;
    struct wall_answer answers[WALL_BATCH_MAX];
    int answer_count, answer_next;
    struct wall_stats stats; /* last heard */
    unsigned stats_heard;
};

void rig_edge_key(uint8_t key[static 32], unsigned edge);
void rig_set_up(struct rig *rig);
/* The next vault knows nothing of those before. */
void rig_forget_left(struct rig *rig);
void rig_tear_down(struct rig *rig);
/* Starts a vault; true when it says that it is ready. Its log goes to the rig's file, from its beginning. */
bool rig_start(struct rig *rig);
/* Closes the wall, if it is open, and gives the vault's exit status; 128 and the signal when it was killed.
 */
int rig_end(struct rig *rig);
struct wall_request rig_request(uint64_t token, unsigned edge, const struct operation *operation);
void rig_send(struct rig *rig, const struct wall_request *requests, size_t count);
/* The next answer but for figures, which are noted; NULL when none is there within TIMEOUT_MS. */
const struct wall_answer *rig_next(struct rig *rig, int timeout_ms);
/* The answer to TOKEN, which must be the next one. */
struct outcome rig_outcome(struct rig *rig, uint64_t token);
/* Asks as EDGE and waits for the outcome. */
struct outcome rig_ask(struct rig *rig, unsigned edge, const struct operation *operation);
/* Waits for the vault's figures as they are from now on. */
void rig_await_stats(struct rig *rig);
/* The log so far, as text that lasts until the next call. */
const char *rig_log(struct rig *rig);
/* The first place of TEXT in the log, once it is there: a thread of the vault writes it. NULL after a while.
 */
const char *rig_find_in_log(struct rig *rig, const char *text);

#endif
