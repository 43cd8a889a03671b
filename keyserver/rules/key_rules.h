/* The sections of server.conf that say what keys may be used for, as they were written: key_default for every
 * key, and `key TITLE` for one. What follows from them is policy.h's. */
#ifndef KEYSERVER_RULES_KEY_RULES_H
#define KEYSERVER_RULES_KEY_RULES_H

#include "common/config.h"

/* The options of such a section that say what may be done, in the order of the tables. */
enum key_option {
    KEY_OPERATIONS,
    KEY_MODES,
    KEY_NAMES,
    KEY_FROM,
    KEY_NOT_BEFORE,
    KEY_NOT_AFTER,
    KEY_RATE,
    KEY_QUOTA,
    KEY_RATE_PER_EDGE,
    KEY_QUOTA_PER_EDGE,
    KEY_OPTIONS
};

struct key_rules {
    char *title;                      /* the key's name, or its id in hex; NULL in key_default */
    struct config_strings operations; /* names of operations */
    struct config_strings modes;      /* "bound", "plain" */
    struct config_strings names;      /* server names; none = any */
    struct config_strings from;       /* networks; none = any */
    char *not_before, *not_after;     /* dates of date.h, or "off" */
    char *rate, *quota;               /* of rate_limit.h */
    char *rate_per_edge, *quota_per_edge;
    char *passphrase_file;       /* path; NULL: none */
    char *passphrase_credential; /* name of a credential of systemd's; NULL: none */
    char *place[KEY_OPTIONS];    /* where each option was set; NULL: it was not */
};

/* The same options twice: with the defaults of key_default, and without any, for what a section leaves to
 * key_default. */
extern const struct config_option key_rules_default_table[], key_rules_table[];

/* ERR_CONFIG with the place of a list in RULES that is there and empty: everybody, or nobody? */
int key_rules_check(const struct key_rules *rules, struct fault *fault) MUST_USE;

/* What a date of a section says: UNIX_S stays as it is for "off". ERR_FORMAT. */
int key_rules_date(int64_t *unix_s, const char *text) MUST_USE;

#endif
