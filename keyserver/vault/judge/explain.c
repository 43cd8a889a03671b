#include "keyserver/vault/judge/explain.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "common/bytes.h"
#include "keyserver/vault/judge/judge_steps.h"

enum answer { GRANTED, REFUSED, OPEN };

struct account {
    const struct question *question;
    const struct explain_files *files;
    FILE *out;
    struct judge_context context;
    char line[PATH_MAX + 16]; /* where the edge's stands */
    size_t unsaid;            /* steps that the question left open */
};

static const char *const answer_names[] = {"granted", "refused", "open"};

/* One line; WHERE is what stands in front of the words. */
__attribute__((format(printf, 5, 6))) static void
say(const struct account *a, enum answer answer, const char *step, const char *where, const char *why, ...)
{
    va_list arguments;
    va_start(arguments, why);
    fprintf(a->out, "%-8s %-11s %s: ", answer_names[answer], step, where);
    vfprintf(a->out, why, arguments);
    fputc('\n', a->out);
    va_end(arguments);
}

static const char *operation_of(const struct account *a)
{
    return operation_name(a->question->operation);
}

static bool edge_says(const struct account *a, enum authorized_option option)
{
    return (a->context.edge->given & 1u << option) != 0;
}

static const char *key_place(const struct account *a, enum key_option option)
{
    const char *place = a->context.rule->place[option];
    return place != NULL ? place : "default";
}

/* ---- the edge ---- */

static void tell_edge(const struct account *a, const char *step, enum answer answer)
{
    if (answer == REFUSED)
        say(a, answer, step, a->files->edges, "no line has the name or the key '%s'", a->question->edge);
    else
        say(a, answer, step, a->line, "the edge %s", a->context.edge->name);
}

static void tell_edge_from(const struct account *a, const char *step, enum answer answer)
{
    if (a->context.edge->from_count == 0)
        say(a, answer, step, "default", "from= is not there: any address");
    else if (answer == OPEN)
        say(a, answer, step, a->line, "from= says which addresses; try one with --from");
    else
        say(a, answer, step, a->line, "from= %s %s", answer == GRANTED ? "covers" : "does not cover",
            a->question->from_text);
}

static void tell_edge_valid(const struct account *a, const char *step, enum answer answer)
{
    const struct date_span *valid = &a->context.edge->valid;
    char at[DATE_TEXT_SIZE], limit[DATE_TEXT_SIZE];
    date_text(at, a->question->at);
    if (!edge_says(a, AUTHORIZED_NOT_BEFORE) && !edge_says(a, AUTHORIZED_NOT_AFTER))
        say(a, answer, step, "default", "neither not_before= nor not_after= is there: always");
    else if (answer == GRANTED)
        say(a, answer, step, a->line, "%s is within its time", at);
    else if (a->question->at < valid->first)
        say(a, answer, step, a->line, "not_before= is %s, and it is only %s", date_text(limit, valid->first),
            at);
    else
        say(a, answer, step, a->line, "not_after= was %s, and it is %s", date_text(limit, valid->last), at);
}

static void tell_keys(const struct account *a, const char *step, enum answer answer)
{
    if (!edge_says(a, AUTHORIZED_KEYS))
        say(a, answer, step, "default", "keys= is not there: every key");
    else
        say(a, answer, step, a->line, "keys= %s %s", answer == GRANTED ? "lists" : "does not list",
            a->context.key->name);
}

static void tell_ops(const struct account *a, const char *step, enum answer answer)
{
    if (edge_says(a, AUTHORIZED_OPS))
        say(a, answer, step, a->line, "ops= %s %s", answer == GRANTED ? "lists" : "does not list",
            operation_of(a));
    else
        say(a, answer, step, "default", "ops= is not there, so %s is %s", operation_of(a),
            answer == GRANTED ? "granted" : "not granted");
}

/* ---- the key ---- */

static void tell_key(const struct account *a, const char *step, enum answer answer)
{
    char id[2 * KEY_ID_SIZE + 1];
    const struct key *key = a->context.key;
    if (answer == REFUSED)
        say(a, answer, step, a->files->keys, "no key has the name or the id '%s'", a->question->key);
    else
        say(a, answer, step, a->files->keys, "the key %s, %s of %u bits, id %s", key->name,
            key_type_name(key->type), key->bits, hex_encode(id, key->id, KEY_ID_SIZE));
}

static void tell_key_from(const struct account *a, const char *step, enum answer answer)
{
    const char *place = key_place(a, KEY_FROM);
    if (a->context.rule->from_count == 0)
        say(a, answer, step, place, "from lists no networks: any address");
    else if (answer == OPEN)
        say(a, answer, step, place, "from says which addresses; try one with --from");
    else
        say(a, answer, step, place, "from %s %s", answer == GRANTED ? "covers" : "does not cover",
            a->question->from_text);
}

static void tell_key_valid(const struct account *a, const char *step, enum answer answer)
{
    const struct date_span *valid = &a->context.rule->valid;
    const char *before = key_place(a, KEY_NOT_BEFORE), *after = key_place(a, KEY_NOT_AFTER);
    char at[DATE_TEXT_SIZE], limit[DATE_TEXT_SIZE];
    date_text(at, a->question->at);
    if (valid->first == INT64_MIN && valid->last == INT64_MAX)
        say(a, answer, step, a->context.rule->place[KEY_NOT_AFTER] != NULL ? after : before,
            "neither not_before nor not_after limits it: always");
    else if (answer == GRANTED)
        say(a, answer, step, valid->last != INT64_MAX ? after : before, "%s is within its time", at);
    else if (a->question->at < valid->first)
        say(a, answer, step, before, "not_before is %s, and it is only %s", date_text(limit, valid->first),
            at);
    else
        say(a, answer, step, after, "not_after was %s, and it is %s", date_text(limit, valid->last), at);
}

static void tell_operations(const struct account *a, const char *step, enum answer answer)
{
    say(a, answer, step, key_place(a, KEY_OPERATIONS), "operations %s %s",
        answer == GRANTED ? "lists" : "does not list", operation_of(a));
}

static void tell_mode(const struct account *a, const char *step, enum answer answer)
{
    static const char *const refused[] = {
        [0] = "none", [MODE_BOUND] = "bound only", [MODE_PLAIN] = "plain only"};
    const char *granted = operation_mode_name(operation_mode(a->question->operation));
    say(a, answer, step, key_place(a, KEY_MODES), "modes lists %s",
        answer == GRANTED ? granted : refused[a->context.rule->modes]);
}

static void tell_type(const struct account *a, const char *step, enum answer answer)
{
    say(a, answer, step, a->files->keys, "a key of type %s %s do %s", key_type_name(a->context.key->type),
        answer == GRANTED ? "can" : "cannot", operation_of(a));
}

/* ---- the request ---- */

static void tell_form(const struct account *a, const char *step, enum answer answer)
{
    say(a, answer, step, "request", "scheme and structure must be those that TLS would have there");
}

static void tell_session(const struct account *a, const char *step, enum answer answer)
{
    say(a, answer, step, "request",
        "its session id must be one that this edge made in an epoch that is live");
}

static void tell_name(const struct account *a, const char *step, enum answer answer)
{
    const char *place = key_place(a, KEY_NAMES), *name = a->question->name;
    if (a->context.rule->names->count == 0)
        say(a, answer, step, place, "names lists none: any name, or none at all");
    else if (answer == OPEN)
        say(a, answer, step, place, "names says which server names; try one with --name");
    else if (name[0] == 0)
        say(a, answer, step, place, "names lists some, and the client asks for none");
    else
        say(a, answer, step, place, "names %s %s", answer == GRANTED ? "covers" : "does not cover", name);
}

/* ---- limits: there is nothing to judge but what there is ---- */

static size_t tell_limit(const struct account *a, const char *step, const char *where, const char *option,
                         const struct rate_limit *limit, const char *of)
{
    char text[RATE_LIMIT_TEXT_SIZE];
    if (limit->count > 0)
        say(a, OPEN, step, where, "%s is %s, %s", option, rate_limit_text(text, limit), of);
    return limit->count > 0;
}

static void tell_rate(const struct account *a, const char *step, enum answer answer)
{
    const struct policy_rule *rule = a->context.rule;
    size_t usage = tell_limit(a, step, a->line, "rate=", &a->context.edge->rate, "of this edge on all keys") +
                   tell_limit(a, step, key_place(a, KEY_RATE), "rate", &rule->rate,
                              "of the key by all edges") +
                   tell_limit(a, step, key_place(a, KEY_RATE_PER_EDGE), "rate_per_edge", &rule->rate_per_edge,
                              "of this edge on the key");
    if (usage == 0)
        say(a, answer, step, "default", "no rate is limited");
}

static void tell_quota(const struct account *a, const char *step, enum answer answer)
{
    const struct policy_rule *rule = a->context.rule;
    size_t usage =
        tell_limit(a, step, a->line, "quota=", &a->context.edge->quota, "of this edge on all keys") +
        tell_limit(a, step, key_place(a, KEY_QUOTA), "quota", &rule->quota, "of the key by all edges") +
        tell_limit(a, step, key_place(a, KEY_QUOTA_PER_EDGE), "quota_per_edge", &rule->quota_per_edge,
                   "of this edge on the key");
    if (usage == 0)
        say(a, answer, step, "default", "no quota is set");
}

/* ---- which steps there are to tell of ---- */

enum manner {
    ASKED,    /* has an answer */
    LEFT_OUT, /* does not matter here */
    DEPENDS,  /* on a request */
    UNSAID,   /* on what the question could say, and does not */
};

static enum manner edge_from_manner(const struct account *a)
{
    return a->question->from_text == NULL && a->context.edge->from_count > 0 ? UNSAID : ASKED;
}

static enum manner key_from_manner(const struct account *a)
{
    if (a->context.rule == NULL)
        return LEFT_OUT;
    return a->question->from_text == NULL && a->context.rule->from_count > 0 ? UNSAID : ASKED;
}

/* A question that could be read is about an operation that there is. */
static enum manner left_out(const struct account *a)
{
    (void)a;
    return LEFT_OUT;
}

static enum manner depends(const struct account *a)
{
    (void)a;
    return DEPENDS;
}

static enum manner mode_manner(const struct account *a)
{
    return operation_mode(a->question->operation) != MODE_NONE ? ASKED : LEFT_OUT;
}

static enum manner session_manner(const struct account *a)
{
    return operation_mode(a->question->operation) == MODE_BOUND ? DEPENDS : LEFT_OUT;
}

static enum manner name_manner(const struct account *a)
{
    if (operation_mode(a->question->operation) != MODE_BOUND)
        return LEFT_OUT;
    return a->question->name == NULL && a->context.rule->names->count > 0 ? UNSAID : ASKED;
}

static const struct words {
    enum manner (*manner)(const struct account *a); /* NULL: it is asked */
    void (*tell)(const struct account *a, const char *step, enum answer answer);
    const char *fix; /* what to do when it refuses; NULL: it never does here */
} words[STEPS] = {
    [STEP_EDGE] =
        {NULL, tell_edge,
         "correct the name, or append the edge's line, as keyless init --edge prints it, and reload"},
    [STEP_EDGE_FROM] = {edge_from_manner, tell_edge_from,
                        "append the address to from= of this line, and reload"},
    [STEP_KEY_FROM] = {key_from_manner, tell_key_from, "append the address to from, and reload"},
    [STEP_EDGE_VALID] = {NULL, tell_edge_valid, "change not_before= or not_after= of this line, and reload"},
    [STEP_OPERATION] = {left_out, NULL, NULL},
    [STEP_KEY] = {NULL, tell_key, "correct the name, or put the private key into this folder, and reload"},
    [STEP_KEY_VALID] = {NULL, tell_key_valid, "change not_before or not_after, and reload"},
    [STEP_KEYS] = {NULL, tell_keys, "append the key's name to keys= of this line, and reload"},
    [STEP_OPS] = {NULL, tell_ops, "append the operation to ops= of the edge's line, and reload"},
    [STEP_OPERATIONS] = {NULL, tell_operations, "append the operation to operations, and reload"},
    [STEP_MODE] =
        {mode_manner, tell_mode,
         "append bound (for rsa_master) or plain (for rsa_premaster) to modes of the key's section, "
         "and reload"},
    [STEP_TYPE] = {NULL, tell_type, "ask for what keys of this type can do, or name another key"},
    [STEP_FORM] = {depends, tell_form, NULL},
    [STEP_SESSION] = {session_manner, tell_session, NULL},
    [STEP_NAME] = {name_manner, tell_name, "append the name to names, and reload"},
    [STEP_RATE] = {NULL, tell_rate, NULL},
    [STEP_QUOTA] = {NULL, tell_quota, NULL},
};

/* ---- the walk ---- */

/* Tells of one step; what it refuses for, if it does. */
static enum refusal tell_step(struct account *a, enum judge_step_number number)
{
    const struct judge_step *step = &judge_steps[number];
    enum manner manner = words[number].manner != NULL ? words[number].manner(a) : ASKED;
    enum refusal refusal = REFUSAL_NONE;
    if (manner == LEFT_OUT)
        return REFUSAL_NONE;
    if (manner == ASKED)
        refusal = step->ask(&a->context);
    a->unsaid += manner == UNSAID;
    words[number].tell(a, step->name, manner != ASKED ? OPEN : refusal == REFUSAL_NONE ? GRANTED : REFUSED);
    if (refusal != REFUSAL_NONE && words[number].fix != NULL)
        fprintf(a->out, "%-8s %-11s %s\n", "fix", step->name, words[number].fix);
    return refusal;
}

static void tell_verdict(const struct account *a, enum refusal refusal)
{
    if (refusal != REFUSAL_NONE)
        say(a, REFUSED, "verdict", refusal_name(refusal), "%s", refusal_hint(refusal));
    else
        say(a, GRANTED, "verdict", a->context.edge->name, "may ask %s of %s%s", operation_of(a),
            a->context.key->name, a->unsaid > 0 ? ", where what is open above holds" : "");
}

static enum refusal walk(struct account *a)
{
    enum refusal first = REFUSAL_NONE;
    for (enum judge_step_number i = 0; i < STEPS; i++) {
        enum refusal refusal = tell_step(a, i);
        if (first == REFUSAL_NONE)
            first = refusal;
        if (refusal == REFUSAL_UNKNOWN_EDGE || refusal == REFUSAL_UNKNOWN_KEY)
            break; /* the rest would be about nobody, or nothing */
    }
    return first;
}

/* ---- finding what is meant ---- */

static const struct authorized_edge *find_edge(const struct judge *judge, const char *text)
{
    uint8_t key[IDENTITY_KEY_SIZE];
    const struct authorized_edge *edge = authorized_find_name(judge->edges, text);
    if (edge == NULL && base64_decode(key, sizeof key, text) == 0)
        edge = authorized_find(judge->edges, key);
    return edge;
}

/* The id that TEXT says or names; zero, which is no key's, when it does neither. */
static void find_key_id(const struct judge *judge, const char *text, uint8_t out[static KEY_ID_SIZE])
{
    for (size_t i = 0; i < keystore_count(judge->keys); i++) {
        const struct key *key = keystore_at(judge->keys, i);
        if (strcmp(key->name, text) != 0)
            continue;
        memcpy(out, key->id, KEY_ID_SIZE);
        return;
    }
    if (hex_decode(out, KEY_ID_SIZE, text) != 0)
        memset(out, 0, KEY_ID_SIZE);
}

bool explain(const struct judge *judge, const struct explain_files *files, const struct question *question,
             FILE *out)
{
    const struct now now = {.unix_s = question->at, .reached_s = question->at};
    struct operation operation = {.kind = question->operation};
    struct account a = {.question = question, .files = files, .out = out};
    const struct authorized_edge *edge = find_edge(judge, question->edge);
    find_key_id(judge, question->key, operation.key_id);
    judge_open(&a.context, judge, edge, &operation, &question->from, &now);
    if (edge != NULL)
        snprintf(a.line, sizeof a.line, "%s:%u", files->edges, edge->line);
    /* as the transcript would have it */
    for (size_t i = 0; question->name != NULL && question->name[i] != 0 && i < TRANSCRIPT_NAME_SIZE - 1; i++)
        a.context.seen.server_name[i] = (char)tolower((unsigned char)question->name[i]);
    enum refusal refusal = walk(&a);
    tell_verdict(&a, refusal);
    return refusal == REFUSAL_NONE;
}
