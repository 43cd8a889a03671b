/* The steps of a judgement: everything that is asked about a request, in this order. The judge walks the
 * table until an answer is no; explain.h walks the same table with words, so that the two cannot disagree.
 *
 * For these two only. Pure but for what usage.h counts; one thread at a time. */
#ifndef KEYSERVER_VAULT_JUDGE_JUDGE_STEPS_H
#define KEYSERVER_VAULT_JUDGE_JUDGE_STEPS_H

#include "keyserver/vault/judge/judge.h"

enum judge_step_number {
    STEP_EDGE,       /* is the edge known? */
    STEP_EDGE_FROM,  /* may it ask from there? */
    STEP_KEY_FROM,   /* may the key, if there is such a key, be used from there? */
    STEP_EDGE_VALID, /* is the edge's time now? */
    STEP_OPERATION,  /* is there such an operation? */
    STEP_KEY,        /* is there such a key? */
    STEP_KEY_VALID,  /* is its time now? */
    STEP_KEYS,       /* is it granted to the edge? */
    STEP_OPS,        /* is the operation granted to the edge? */
    STEP_OPERATIONS, /* does the key's rule let it be done? */
    STEP_MODE,       /* and in the mode that it is of? */
    STEP_TYPE,       /* can a key of this type do it at all? */
    STEP_FORM,       /* are scheme and structure what TLS would have? */
    STEP_SESSION,    /* bound mode: was the session begun by this very edge, just now? */
    STEP_NAME,       /* bound mode: does the client ask for a name of the key's? */
    STEP_RATE,
    STEP_QUOTA, /* last, so that nothing counts that is refused */
    STEPS
};

/* What a step's answer depends on, as bits. */
enum {
    STEP_OF_ALL = 1,  /* asked of requests, too, that are about no key */
    STEP_WHERE = 2,   /* the address */
    STEP_WHEN = 4,    /* the time */
    STEP_CONTENT = 8, /* what the request holds */
    STEP_COUNT = 16,  /* what was done before */
};

/* One request before the judge, and what is found out about it on the way. */
struct judge_context {
    const struct judge *judge;
    const struct now *now;
    const struct operation *operation;
    const struct address *from;
    const struct authorized_edge *edge; /* NULL: not known */
    const struct key *key;              /* NULL: not known, or the request is about none */
    const struct policy_rule *rule;     /* the key's */
    struct transcript seen;             /* of an rsa_master, from STEP_FORM on */
    struct crypto_input *input;         /* filled by STEP_FORM; NULL when no step on contents is asked */
    struct usage_charge use;            /* from STEP_RATE on */
};

struct judge_step {
    const char *name; /* stable, for people and programs */
    unsigned depends; /* bits of the enum above */
    enum refusal (*ask)(struct judge_context *context);
};

extern const struct judge_step judge_steps[STEPS];

/* Begins: EDGE asks for OPERATION from FROM; everything is borrowed. Looks the key up that it is about, if
 * any. */
void judge_open(struct judge_context *context, const struct judge *judge, const struct authorized_edge *edge,
                const struct operation *operation, const struct address *from, const struct now *now);
/* True when the steps that are not of all are asked: the request is about a key. */
bool judge_about_key(const struct judge_context *context);

#endif
