#include "tests/unit/keyserver/vault_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/identity.h"
#include "common/process.h"
#include "keyserver/rules/authorized_snapshot.h"
#include "keyserver/rules/order.h"
#include "keyserver/vault/keys/openssl_heap.h"
#include "keyserver/vault/loaded.h"

#define FAR UINT64_MAX

/* What server.conf says of every key: all operations in both modes. */
static char rig_words[][16] = {"sign_tls13", "sign_tls12", "rsa_premaster", "rsa_master", "bound", "plain"};
static char *rig_operations[] = {rig_words[0], rig_words[1], rig_words[2], rig_words[3]};
static char *rig_modes[] = {rig_words[4], rig_words[5]};

void rig_edge_key(uint8_t key[static 32], unsigned edge)
{
    memset(key, 0x21, 32);
    key[0] = (uint8_t)edge;
}

static void rig_write_edges(struct rig *rig)
{
    static const char *const options[EDGE_COUNT] = {
        "ops=sign_tls12,sign_tls13,rsa_premaster,rsa_master",
        "",
        "keys=elsewhere",
        "from=10.0.0.0/8",
        "not_after=2020-01-01",
        "quota=3/d",
    };
    FILE *file = keys_file(rig->folder, "authorized_edges");
    for (unsigned i = 0; i < EDGE_COUNT; i++) {
        uint8_t key[32], psk[32] = {1, (uint8_t)i};
        char key_text[45], psk_text[45];
        rig_edge_key(key, i);
        fprintf(file, "%s edge%u psk=%s %s\n", base64_encode(key_text, key, 32), i,
                base64_encode(psk_text, psk, 32), options[i]);
    }
    fclose(file);
}

void rig_set_up(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(openssl_heap_start(), 0); /* before the keys are made: the vaults are forked from here */
    keys_make_folder(rig->folder);
    keys_make_folder(rig->keys);
    keys_make_folder(rig->audit);
    snprintf(rig->edges_file, sizeof rig->edges_file, "%s/authorized_edges", rig->folder);
    snprintf(rig->secret_file, sizeof rig->secret_file, "%s/group_secret", rig->folder);
    snprintf(rig->log_file, sizeof rig->log_file, "%s/log", rig->folder);
    snprintf(rig->audit_key, sizeof rig->audit_key, "%s/audit.key", rig->folder);
    rig_write_edges(rig);
    rig->pkey[HAS_RSA] = keys_rsa(2048);
    rig->pkey[HAS_P256] = keys_ec("P-256");
    rig->pkey[HAS_P384] = keys_ec("P-384");
    rig->pkey[HAS_ED25519] = keys_edwards("ED25519");
    keys_write(rig->keys, "rsa.pem", rig->pkey[HAS_RSA]);
    keys_write(rig->keys, "p256.key", rig->pkey[HAS_P256]);
    keys_write(rig->keys, "p384.der", rig->pkey[HAS_P384]);
    keys_write(rig->keys, "ed25519.pem", rig->pkey[HAS_ED25519]);
    rig->config = (struct server_config){
        .authorized_edges = rig->edges_file,
        .keys = rig->keys,
        .group_secret = rig->secret_file,
        .workers = 2,
        .queue_max = 16384,
        .epoch = 30000,
        .key_default = {.operations = {rig_operations, 4}, .modes = {rig_modes, 2}},
        .log_level = LOG_INFO,
        .access_log = true,
        .audit = {.folder = rig->audit, .key = rig->audit_key, .rotate_size = 64 << 20, .checkpoint = 1000}};
    rig->wall.fd = -1;
}

static int gaps_fd = -1; /* of all vaults of this program that hand over */

void rig_forget_left(struct rig *rig)
{
    if (rig->before_fd > 0)
        close(rig->before_fd);
    if (gaps_fd >= 0)
        assert_int_equal(ftruncate(gaps_fd, 0), 0);
    rig->before_fd = 0;
    rig->hands_over = rig->served = false;
}

void rig_tear_down(struct rig *rig)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        EVP_PKEY_free(rig->pkey[i]);
    keys_remove_folder(rig->folder);
    keys_remove_folder(rig->keys);
    keys_remove_folder(rig->audit);
    rig_forget_left(rig);
}

/* Loads what a loader would, and is the vault; the exit status. */
static int run_vault(const struct server_config *config, int edges, const struct vault_descriptors *given)
{
    static struct loaded loaded;
    struct fault fault = {0};
    log_init("keyless-server[vault]", (enum log_level)config->log_level, (enum log_format)config->log_format);
    int err = loaded_begin("keyless-vault", &fault);
    if (err == 0)
        err = loaded_make(&loaded, config, edges, NULL, GROUP_SECRET_AT_START, &fault);
    close(edges);
    if (err == 0)
        return vault_serve(&loaded, given);
    log_event(LOG_ERROR, "vault_failed", "error=\"%s\"", fault.text);
    return 2;
}

bool rig_start(struct rig *rig)
{
    int net_end, vault_end, ready[2], before = rig->before_fd, own = rig->hands_over ? order_memory() : -1;
    char byte;
    struct fault fault;
    int edges = authorized_snapshot_take(rig->config.authorized_edges, &fault);
    assert_true(edges >= 0);
    if (rig->hands_over && gaps_fd < 0)
        gaps_fd = order_memory();
    assert_int_equal(wall_pair(&net_end, &vault_end), 0);
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (rig->pid == 0) {
        close(net_end);
        close(ready[0]);
        if (freopen(rig->log_file, "w", stderr) == NULL)
            _exit(99);
        const struct vault_descriptors given = {.wall = vault_end,
                                                .ready = ready[1],
                                                .before = before > 0 ? before : -1,
                                                .served = rig->served,
                                                .own = own,
                                                .gaps = rig->hands_over ? gaps_fd : -1};
        log_leave(run_vault(&rig->config, edges, &given));
    }
    if (before > 0)
        close(before);
    rig->before_fd = own > 0 ? own : 0;
    close(vault_end);
    assert_int_equal(wall_adopt(&rig->wall, net_end), 0);
    close(ready[1]);
    close(edges);
    rig->answer_count = rig->answer_next = 0;
    rig->stats_heard = 0;
    bool is_ready = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    return is_ready;
}

int rig_end(struct rig *rig)
{
    int status = 0;
    wall_close(&rig->wall);
    assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
    rig->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct wall_request rig_request(uint64_t token, unsigned edge, const struct operation *operation)
{
    struct wall_request request = {
        .token = token, .deadline_ns = FAR, .kind = WALL_OPERATION, .from_family = AF_INET};
    rig_edge_key(request.edge_key, edge);
    memset(request.trace.bytes, (int)token, TRACE_ID_SIZE);
    memcpy(request.from, (const uint8_t[]){192, 0, 2, 1}, 4);
    request.operation = *operation;
    return request;
}

void rig_send(struct rig *rig, const struct wall_request *requests, size_t count)
{
    size_t sent = 0;
    while (sent < count) {
        int taken = wall_send_requests(&rig->wall, requests + sent, count - sent);
        assert_true(taken >= 0);
        sent += (size_t)taken;
        if (sent < count)
            assert_true(wall_rig_wait(&rig->wall, WALL_ROOM, PATIENCE_MS));
    }
}

const struct wall_answer *rig_next(struct rig *rig, int timeout_ms)
{
    for (;;) {
        while (rig->answer_next < rig->answer_count) {
            const struct wall_answer *answer = &rig->answers[rig->answer_next++];
            assert_int_equal(wall_answer_check(answer), 0);
            if (answer->kind != WALL_STATS)
                return answer;
            rig->stats = answer->u.stats;
            rig->stats_heard++;
        }
        if (!wall_rig_wait(&rig->wall, WALL_SLOTS, timeout_ms))
            return NULL;
        rig->answer_next = 0;
        rig->answer_count = wall_receive_answers(&rig->wall, rig->answers, WALL_BATCH_MAX);
        assert_true(rig->answer_count >= 0);
    }
}

struct outcome rig_outcome(struct rig *rig, uint64_t token)
{
    const struct wall_answer *answer = rig_next(rig, PATIENCE_MS);
    assert_non_null(answer);
    assert_int_equal(answer->kind, WALL_OUTCOME);
    assert_int_equal(answer->token, token);
    return answer->u.outcome;
}

struct outcome rig_ask(struct rig *rig, unsigned edge, const struct operation *operation)
{
    static uint64_t token = 1000;
    struct wall_request request = rig_request(++token, edge, operation);
    rig_send(rig, &request, 1);
    return rig_outcome(rig, token);
}

void rig_await_stats(struct rig *rig)
{
    for (unsigned until = rig->stats_heard + 1; rig->stats_heard < until;)
        if (rig->answer_next >= rig->answer_count) {
            assert_true(wall_rig_wait(&rig->wall, WALL_SLOTS, PATIENCE_MS));
            assert_null(rig_next(rig, 0));
        } else {
            assert_null(rig_next(rig, 0));
        }
}

const char *rig_log(struct rig *rig)
{
    static char text[1 << 20];
    FILE *file = fopen(rig->log_file, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

const char *rig_find_in_log(struct rig *rig, const char *text)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const char *at = NULL;
    for (int i = 0; i < 10000 && (at = strstr(rig_log(rig), text)) == NULL; i++)
        nanosleep(&pause, NULL);
    return at;
}
