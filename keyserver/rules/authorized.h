/* authorized_edges: who may connect, with which pre-shared key, and what for. One line an edge, as in SSH:
 *
 *     # KEY (base64, from `keyless pubkey`), NAME, options
 *     5rBBv2…= paris1 psk=… keys=www,api from=192.0.2.0/24
 *
 * `psk=` (base64, required), `keys=` (file names of keys without extension, or key ids in hex; default: all),
 * `ops=` (default: sign_tls12,sign_tls13,rsa_master; rsa_premaster only where it is listed), `from=`
 * (networks; default: anywhere), `not_before=` and `not_after=` (dates; default: always), `rate=` and
 * `quota=` (uses of all keys together; default: any number). A word that begins with `#` begins a comment.
 * The file holds secrets: its mode is checked. A bad line is reported with file, line and hint. Pure once
 * read; immutable, so any thread may look up. */
#ifndef KEYSERVER_RULES_AUTHORIZED_H
#define KEYSERVER_RULES_AUTHORIZED_H

#include "common/address.h"
#include "common/date.h"
#include "common/identity.h"
#include "keyserver/rules/rate_limit.h"
#include "proto/operation.h"

#define AUTHORIZED_NAME_MAX 64

/* In the order of the table in authorized_options.c. */
enum authorized_option {
    AUTHORIZED_PSK,
    AUTHORIZED_KEYS,
    AUTHORIZED_OPS,
    AUTHORIZED_FROM,
    AUTHORIZED_NOT_BEFORE,
    AUTHORIZED_NOT_AFTER,
    AUTHORIZED_RATE,
    AUTHORIZED_QUOTA,
    AUTHORIZED_OPTIONS
};

struct authorized_edge {
    uint8_t key[IDENTITY_KEY_SIZE];
    uint8_t psk[IDENTITY_KEY_SIZE];
    char name[AUTHORIZED_NAME_MAX]; /* letters, digits, '.', '_', '-' */
    unsigned line;                  /* where it stands, 1 … */
    size_t index;                   /* of authorized_at() */
    unsigned given;                 /* what its line says: bits (1 << enum authorized_option) */
    uint32_t operations;            /* bit (1 << enum operation_kind); ping and keys always set */
    bool all_keys;
    char **keys; /* owned; names or 64 hex digits */
    size_t key_count;
    struct network *from; /* owned; none = anywhere */
    size_t from_count;
    struct date_span valid;
    struct rate_limit rate, quota;
};

struct authorized;

/* The text of FILE, which must be closed to others, into the empty OUT. */
int authorized_read(const char *file, struct buffer *out, struct fault *fault) MUST_USE;
/* Reads FILE. Any bad line, a repeated key or a repeated name fails the whole file. The list lives in guarded
 * memory. */
int authorized_load(struct authorized **out, const char *file, struct fault *fault) MUST_USE;
/* The same from LENGTH bytes of text (FILE is for messages only): for tests and fuzzing. */
int authorized_parse(struct authorized **out, const char *text, size_t length, const char *file,
                     struct fault *fault) MUST_USE;
/* Wipes and frees; NULL is allowed. */
void authorized_free(struct authorized *list);
/* Overwrites every pre-shared key: for the vault, which needs the rights only. */
void authorized_forget_psks(struct authorized *list);

size_t authorized_count(const struct authorized *list);
const struct authorized_edge *authorized_at(const struct authorized *list, size_t index);
/* The edge with static key KEY, or NULL. Time does not depend on which key of the list is nearly equal (keyed
 * hash). */
const struct authorized_edge *authorized_find(const struct authorized *list,
                                              const uint8_t key[static IDENTITY_KEY_SIZE]);
/* The edge called NAME, or NULL. */
const struct authorized_edge *authorized_find_name(const struct authorized *list, const char *name);
/* No edge of LIST, which is of FILE, has the key server's OWN public key: whoever has that secret could act
 * as both. ERR_CONFIG with a fault "FILE:LINE: …". */
int authorized_check_others(const struct authorized *list, const char *file,
                            const uint8_t own[static IDENTITY_KEY_SIZE], struct fault *fault) MUST_USE;
/* True when the edge may come from ADDRESS. */
bool authorized_from(const struct authorized_edge *edge, const struct address *address);
/* What the list NOW, which takes the place of BEFORE, makes of the edge with KEY that came in FROM there. */
enum authorized_change {
    AUTHORIZED_CHANGE_NONE,
    AUTHORIZED_CHANGE_GONE,
    AUTHORIZED_CHANGE_PSK,  /* it has another pre-shared key now */
    AUTHORIZED_CHANGE_FROM, /* it may not come from there any more */
};
enum authorized_change authorized_change_of(const struct authorized *now, const struct authorized *before,
                                            const uint8_t key[static IDENTITY_KEY_SIZE],
                                            const struct address *from);
/* True when the edge's `keys=` covers a key of this id and file name. */
bool authorized_for_key(const struct authorized_edge *edge, const uint8_t key_id[static KEY_ID_SIZE],
                        const char *name);

#endif
