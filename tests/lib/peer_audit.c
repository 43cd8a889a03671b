/* Writes an audit log as a vault does, for the tests of the command, and measures what that costs.
 *
 *     peer_audit write FOLDER KEY KEYS COUNT ROTATE_SIZE
 *         COUNT decisions of every kind on the keys of the folder KEYS, signed every tenth; says "written";
 * then one more for each line "more" on standard input, each answered "written", and an orderly end.
 *     peer_audit ahead FOLDER KEY KEYS SECONDS
 *         A start and an end on a machine whose clock is SECONDS ahead, and is set right in between.
 *     peer_audit bench FOLDER KEY KEYS COUNT BATCH interval|always
 *         COUNT uses in commits of BATCH; prints what one costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keyserver/vault/audit/audit.h"

#define EDGES 3

struct world {
    struct server_audit config;
    struct authorized *edges;
    struct keystore *keys;
    struct audit *audit;
    struct audit_time now;
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "peer_audit: %s\n", what);
    exit(1);
}

static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_time(struct world *w)
{
    w->now = (struct audit_time){.mono_ms = clock_ms(), .unix_ms = unix_ms(), .epoch_ms = unix_ms()};
}

static void begin_world(struct world *w, char *argv[])
{
    static const uint8_t secret[32] = {1};
    static const char edges[] = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE= paris1 "
                                "psk=YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n"
                                "YmFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE= paris2 "
                                "psk=YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n"
                                "Y2FhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE= tokyo1 "
                                "psk=YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n";
    struct fault fault = {""};
    w->config = (struct server_audit){
        .folder = argv[0], .key = argv[1], .rotate_size = 64 << 20, .checkpoint = 1000};
    must(secret_init() == 0, "no libsodium");
    must(authorized_parse(&w->edges, edges, sizeof edges - 1, "edges", &fault) == 0, fault.text);
    must(keystore_load(&w->keys, NULL, argv[2], secret, NULL, NULL, &fault) == 0 &&
             keystore_count(w->keys) > 0,
         fault.text);
}

static void open_log(struct world *w)
{
    static const uint8_t policy[AUDIT_KEY_SIZE] = {2};
    struct fault fault = {""};
    set_time(w);
    must(audit_open(&w->audit, &w->config, NULL, NULL, NULL, &w->now, &fault) == 0, fault.text);
    must(audit_start(w->audit, w->edges, w->keys, policy, &w->now) == 0, "it does not start");
}

static void end_world(struct world *w)
{
    audit_close(w->audit);
    keystore_free(w->keys);
    authorized_free(w->edges);
}

static struct request_identity identity_of(const struct world *w, uint64_t number)
{
    const struct key *key = keystore_at(w->keys, number % keystore_count(w->keys));
    struct request_identity identity = {.edge = authorized_at(w->edges, number % EDGES),
                                        .key = key,
                                        .kind = key->type == KEY_RSA ? OP_RSA_MASTER : OP_SIGN_TLS13,
                                        .scheme = key->type == KEY_RSA ? 0 : SCHEME_ECDSA_P256_SHA256,
                                        .channel = {1, 2, 3, 4}};
    memcpy(identity.trace.bytes, &number, sizeof number);
    identity.trace.bytes[15] = 1;
    memset(identity.digest, 0x5a, sizeof identity.digest);
    if (key->type == KEY_RSA)
        strcpy(identity.server_name, "www.example.com");
    return identity;
}

/* ---- write ---- */

static void write_one(struct world *w, uint64_t number)
{
    struct request_identity identity = identity_of(w, number);
    const uint8_t edge_key[IDENTITY_KEY_SIZE] = {9};
    const struct operation operation = {.key_id = {8}};
    const struct key_request request = {.token = 1, .edge_key = edge_key, .operation = &operation};
    set_time(w);
    audit_tick(w->audit, &w->now);
    if (number % 7 == 3) {
        audit_add_refusal(w->audit, &identity, &request, REFUSAL_KEY_NOT_GRANTED);
    } else if (number % 7 == 5) {
        identity.edge = NULL;
        identity.key = NULL;
        audit_add_refusal(w->audit, &identity, &request, REFUSAL_UNKNOWN_EDGE);
    } else {
        audit_add(w->audit, &identity, number % 7 == 6 ? AUDIT_BUSY : AUDIT_OK);
    }
    must(audit_commit(w->audit) == 0, "it cannot be recorded");
    if (number % 10 == 9) { /* as if a second had passed */
        w->now.mono_ms = audit_due(w->audit);
        audit_tick(w->audit, &w->now);
    }
}

static int run_write(struct world *w, uint64_t count, uint64_t rotate_size)
{
    char line[16];
    w->config.rotate_size = rotate_size;
    open_log(w);
    for (uint64_t i = 0; i < count; i++)
        write_one(w, i);
    do {
        puts("written");
        fflush(stdout);
        write_one(w, count++);
    } while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "more\n") == 0);
    end_world(w);
    return 0;
}

/* ---- ahead ---- */

static int run_ahead(struct world *w, uint64_t seconds)
{
    open_log(w);
    set_time(w);
    w->now.epoch_ms += seconds * 1000;
    w->now.mono_ms = audit_due(w->audit);
    audit_tick(w->audit, &w->now);
    end_world(w);
    return 0;
}

/* ---- bench ---- */

static double cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static int run_bench(struct world *w, uint64_t count, uint64_t batch, bool always)
{
    w->config.sync = always ? SERVER_AUDIT_SYNC_ALWAYS : SERVER_AUDIT_SYNC_INTERVAL;
    open_log(w);
    double cpu = cpu_ns();
    uint64_t begun = clock_ns();
    for (uint64_t i = 0; i < count; i += batch) {
        set_time(w);
        audit_tick(w->audit, &w->now);
        for (uint64_t k = 0; k < batch; k++) {
            const struct request_identity identity = identity_of(w, i + k);
            audit_add(w->audit, &identity, AUDIT_OK);
        }
        must(audit_commit(w->audit) == 0, "it cannot be recorded");
    }
    double wall = (double)(clock_ns() - begun);
    cpu = cpu_ns() - cpu;
    printf("batch %3llu  %8.0f records/s  %6.0f ns a record, of which CPU %6.0f\n", (unsigned long long)batch,
           (double)count / wall * 1e9, wall / (double)count, cpu / (double)count);
    end_world(w);
    return 0;
}

int main(int argc, char *argv[])
{
    struct world w = {.audit = NULL};
    log_init("peer_audit", LOG_WARN, LOG_LOGFMT);
    must(argc >= 6 && argc <= 8, "see the first lines of its source");
    begin_world(&w, argv + 2);
    if (strcmp(argv[1], "bench") == 0 && argc == 8)
        return run_bench(&w, strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10),
                         strcmp(argv[7], "always") == 0);
    if (strcmp(argv[1], "ahead") == 0 && argc == 6)
        return run_ahead(&w, strtoull(argv[5], NULL, 10));
    must(argc == 7, "see the first lines of its source");
    return run_write(&w, strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10));
}
