/* Load for a key server, as an edge makes it: load EDGE_CONF KEY_ID OPERATION TYPE IN_FLIGHT SECONDS
 *
 * Keeps IN_FLIGHT requests open over one client with the key servers of EDGE_CONF and prints one line of
 * JSON: how many were answered, in which time, and how long one took. OPERATION is sign_tls13 or
 * rsa_premaster, TYPE rsa2048, rsa3072, rsa4096, p256, p384, ed25519. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/clock.h"
#include "common/secret.h"
#include "edge/key_servers.h"

#define SAMPLES_MAX 200000
#define DEADLINE_NS 30000000000u

static const struct {
    const char *name;
    uint16_t scheme;
    uint16_t modulus; /* bytes; RSA only */
} types[] = {
    {"rsa2048", SCHEME_RSA_PSS_RSAE_SHA256, 256}, {"rsa3072", SCHEME_RSA_PSS_RSAE_SHA256, 384},
    {"rsa4096", SCHEME_RSA_PSS_RSAE_SHA256, 512}, {"p256", SCHEME_ECDSA_P256_SHA256, 0},
    {"p384", SCHEME_ECDSA_P384_SHA384, 0},        {"ed25519", SCHEME_ED25519, 0},
};

static struct {
    uv_loop_t loop;
    struct client *client;
    uint64_t begin_ns, end_ns; /* of the measurement */
    uint64_t answered, failed;
    unsigned open;
    uint64_t sample[SAMPLES_MAX]; /* ns a request */
    size_t samples;
} load;

static void submit(struct client_request *request)
{
    request->deadline_ns = clock_ns() + DEADLINE_NS;
    if (client_submit(load.client, request) != 0)
        load.failed++;
    else
        load.open++;
}

static void on_answer(struct client_request *request)
{
    load.open--;
    if (request->outcome.status != STATUS_OK)
        load.failed++;
    else
        load.answered++;
    if (load.samples < SAMPLES_MAX && request->answered_ns > request->sent_ns)
        load.sample[load.samples++] = request->answered_ns - request->sent_ns;
    if (request->answered_ns < load.end_ns)
        submit(request);
    else if (load.open == 0)
        uv_stop(&load.loop);
}

static int fill(struct operation *operation, const char *kind, const char *type)
{
    size_t i = 0;
    while (i < sizeof types / sizeof types[0] && strcmp(types[i].name, type) != 0)
        i++;
    if (i == sizeof types / sizeof types[0] || operation_parse(kind, &operation->kind) != 0)
        return ERR_NOT_FOUND;
    if (operation->kind == OP_SIGN_TLS13) {
        operation->u.sign_tls13.scheme = types[i].scheme;
        operation->u.sign_tls13.hash_length = 32;
        random_bytes(operation->u.sign_tls13.hash, 32);
        return 0;
    }
    /* Any value below the modulus costs the same; its padding is wrong, and nobody can tell. */
    operation->u.rsa_premaster.client_version = 0x0303;
    operation->u.rsa_premaster.ciphertext_length = types[i].modulus;
    random_bytes(operation->u.rsa_premaster.ciphertext, types[i].modulus);
    operation->u.rsa_premaster.ciphertext[0] = 0;
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(void)
{
    double seconds = (double)(clock_ns() - load.begin_ns) / 1e9;
    qsort(load.sample, load.samples, sizeof load.sample[0], compare);
    double p50 = load.samples ? (double)load.sample[load.samples / 2] / 1e3 : 0;
    double p99 = load.samples ? (double)load.sample[load.samples * 99 / 100] / 1e3 : 0;
    printf("{\"answered\": %llu, \"failed\": %llu, \"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (unsigned long long)load.answered, (unsigned long long)load.failed, seconds, p50, p99);
}

static int run(struct key_servers *servers, struct client_request *requests, unsigned in_flight)
{
    struct client_server_stats *stats = calloc(servers->count, sizeof *stats);
    const struct client_settings settings = {.identity = servers->identity,
                                             .servers = servers->servers,
                                             .server_count = servers->count,
                                             .stats = stats,
                                             .connect_timeout_ms = 3000,
                                             .backoff_min_ms = 100,
                                             .backoff_max_ms = 1000,
                                             .ping_interval_ms = 5000,
                                             .rehandshake_ms = 3600000,
                                             .in_flight_max = 65536,
                                             .software = "load"};
    if (stats == NULL || uv_loop_init(&load.loop) != 0 ||
        (load.client = client_new(&load.loop, &settings)) == NULL)
        return 1;
    for (unsigned i = 0; i < in_flight; i++)
        submit(&requests[i]);
    uv_run(&load.loop, UV_RUN_DEFAULT);
    client_close(load.client);
    uv_run(&load.loop, UV_RUN_DEFAULT);
    uv_loop_close(&load.loop);
    free(stats);
    report();
    return load.failed != 0;
}

int main(int argc, char *argv[])
{
    struct edge_config config = {0};
    struct key_servers servers = {0};
    struct fault fault = {0};
    struct client_request first = {.on_answer = on_answer};
    if (argc != 7 || secret_init() != 0 || edge_config_load(&config, argv[1], &fault) != 0 ||
        key_servers_load(&servers, &config, &fault) != 0 ||
        hex_decode(first.operation.key_id, KEY_ID_SIZE, argv[2]) != 0 ||
        fill(&first.operation, argv[3], argv[4]) != 0) {
        fprintf(stderr, "load: %s\n",
                fault.text[0] ? fault.text : "usage: load EDGE_CONF KEY_ID OPERATION TYPE IN_FLIGHT SECONDS");
        return 2;
    }
    log_init("load", LOG_ERROR, LOG_LOGFMT);
    unsigned in_flight = (unsigned)strtoul(argv[5], NULL, 10);
    struct client_request *requests = calloc(in_flight, sizeof *requests);
    if (in_flight == 0 || requests == NULL)
        return 2;
    for (unsigned i = 0; i < in_flight; i++)
        requests[i] = first;
    load.begin_ns = clock_ns();
    load.end_ns = load.begin_ns + (uint64_t)(strtod(argv[6], NULL) * 1e9);
    int result = run(&servers, requests, in_flight);
    free(requests);
    key_servers_clear(&servers);
    edge_config_clear(&config);
    return result;
}
