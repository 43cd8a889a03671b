/* The edge's configuration: what edge.conf says, as one immutable struct. */
#ifndef EDGE_CONFIG_EDGE_CONFIG_H
#define EDGE_CONFIG_EDGE_CONFIG_H

#include "common/config.h"
#include "common/identity.h"
#include "common/log.h"

#define EDGE_DEFAULT_PORT       443
#define EDGE_ADMIN_DEFAULT_PORT 2405
#define KEY_SERVER_PORT         2407

/* key_server NAME { … } */
struct edge_config_server {
    char *title;                     /* NAME */
    char *address;                   /* "keys.example.com:2407", "unix:/run/…" */
    char *key;                       /* base64 of its public key */
    char *psk;                       /* path; default: the top-level psk */
    char *address_place, *key_place; /* where they were set, "edge.conf:14" */
};

/* origin_for PROTOCOL { … } */
struct edge_config_origin {
    char *title;   /* PROTOCOL, as clients offer it: "h2" */
    char *address; /* "127.0.0.1:8081", "unix:/run/…" */
    char *place;   /* where the address was set */
};

enum edge_unavailable { EDGE_WAIT, EDGE_FAIL };

struct edge_config {
    struct config_strings listen;   /* "*:443" */
    char *admin;                    /* "127.0.0.1:2405"; "off" = none */
    char *identity;                 /* path */
    char *psk;                      /* path */
    char *certificates;             /* path of the folder */
    char *default_certificate;      /* a name; unset: the first; "" : none */
    char *origin;                   /* "127.0.0.1:8080", "unix:/run/…" */
    struct config_sections origins; /* of struct edge_config_origin: protocols that go elsewhere */
    int secret_files;               /* enum permissions_readers: who may read what is secret; their owner */
    char *user;
    int sandbox;                        /* enum sandbox_mode */
    int threads;                        /* 0 = one per core */
    int connections_max;                /* per thread; 20,000 */
    struct config_sections key_servers; /* of struct edge_config_server; at least one */
    int when_unavailable; /* enum edge_unavailable: what becomes of handshakes without any of them */
    struct {
        int minimum_version; /* choice: 0 = tls1.2, 1 = tls1.3 */
        int maximum_version;
        bool rsa_key_exchange;      /* TLS 1.2 without forward secrecy: off unless asked for */
        char *ciphers;              /* OpenSSL list for TLS 1.2; NULL = library default */
        char *ciphersuites;         /* for TLS 1.3 */
        char *groups;               /* NULL = library default (post-quantum where it has it) */
        struct config_strings alpn; /* offered to clients in this order; "http/1.1" */
        bool tickets;
        uint64_t ticket_lifetime; /* ms; 1 h */
        bool verify_rsa;          /* verify returned signatures; on */
        bool verify_ecdsa;        /* off: verifying costs more than signing */
        bool verify_ed25519;      /* off */
    } tls;
    struct {
        uint64_t handshake;   /* ms: from accept to the end of the handshake, 10 s */
        uint64_t key;         /* ms: for one key operation, 3 s */
        uint64_t connect;     /* ms: to the origin, 3 s */
        uint64_t idle;        /* ms without a byte in either direction, 60 s */
        uint64_t half_closed; /* ms: one side has ended, 30 s */
        uint64_t close;       /* ms: for close_notify to leave, 2 s */
        uint64_t silence;     /* ms that a client may say nothing until the origin is connected, 200 ms */
        uint64_t drain;       /* ms from SIGTERM to exit at the latest, 30 s */
    } timeout;
    int log_level;
    int log_format;
    bool access_log; /* one line a connection; on */
    struct {
        char *listen, *admin, *origin;
    } place; /* where each was set, "edge.conf:14"; NULL: it was not */
};

extern const struct config_option edge_config_table[];
int edge_config_load(struct edge_config *out, const char *file, struct fault *fault) MUST_USE;
void edge_config_clear(struct edge_config *config);

#endif
