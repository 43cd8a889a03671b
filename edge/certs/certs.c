#include "edge/certs/certs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "edge/certs/certs_bad.h"
#include "edge/certs/certs_file.h"
#include "edge/certs/certs_folder.h"
#include "edge/certs/certs_hint.h"
#include "edge/certs/certs_keys.h"
#include "edge/certs/certs_level.h"
#include "edge/certs/certs_report.h"
#include "edge/certs/certs_time.h"

/* Names come from the operator's files, so the table's plain hash cannot be flooded; clients only look up. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION     HASH_FNV
#include <uthash.h>

/* A set that answers from a time on, until the next period. */
struct period {
    int64_t from;               /* seconds since 1970 */
    const struct cert_set *set; /* borrowed from the table of sets */
};

struct certs_name {
    const char *text;              /* borrowed from a certificate */
    const struct cert **candidate; /* owned array of all certificates for this name */
    size_t candidates;
    struct period *period; /* owned, ascending; the first has no beginning */
    size_t periods;
    const struct certs_name *wildcard; /* the one that covers this name; NULL for none */
    UT_hash_handle hh;
};

/* A distinct set; the certificates it is made of are its key in the table. */
struct set {
    struct cert_set set;
    UT_hash_handle hh;
};

struct certs {
    struct cert **cert; /* owned, in the order of their paths */
    size_t count, skipped;
    struct certs_name *names;          /* owned table */
    struct certs_name *nameless;       /* owned; a default without a name; NULL for none */
    struct set *sets;                  /* owned table */
    const struct set **set_at;         /* owned array, borrowed entries */
    const struct certs_name *fallback; /* NULL: clients that name an unknown host, or none, are refused */
};

static void name_free(struct certs_name *name)
{
    if (name == NULL)
        return;
    free(name->candidate);
    free(name->period);
    free(name);
}

void certs_free(struct certs *certs)
{
    if (certs == NULL)
        return;
    struct certs_name *name, *next_name;
    HASH_ITER(hh, certs->names, name, next_name)
    {
        HASH_DEL(certs->names, name);
        name_free(name);
    }
    name_free(certs->nameless);
    struct set *set, *next_set;
    HASH_ITER(hh, certs->sets, set, next_set)
    {
        HASH_DEL(certs->sets, set);
        free(set);
    }
    for (size_t i = 0; i < certs->count; i++)
        certs_file_free(certs->cert[i]);
    free(certs->cert);
    free(certs->set_at);
    free(certs);
}

/* ---- building ---- */

static int load_one(struct cert **out, const struct certs_source *from, struct certs_pool *pool,
                    const char *path, struct fault *why)
{
    int err = certs_file_load(out, from->context, pool, path, why);
    if (err != 0)
        return err;
    err = from->trial != NULL ? certs_level_put(from->trial, *out, why) : 0;
    if (err == 0 && from->strict)
        err = certs_file_check_expiry(*out, why);
    if (err != 0)
        certs_file_free(*out);
    return err;
}

static int load_each(struct certs *certs, const struct certs_source *from, struct certs_pool *pool,
                     const struct certs_paths *paths, struct certs_bad *bad, struct fault *fault)
{
    for (size_t i = 0; i < paths->count; i++) {
        struct fault why = {.text = ""};
        int err = load_one(&certs->cert[certs->count], from, pool, paths->item[i], &why);
        if (err == 0) {
            certs->count++;
            continue;
        }
        if (err == ERR_MEMORY)
            return fault_set(fault, err, "%s", why.text);
        certs_bad_add(bad, "certificate_skipped", &why);
    }
    return 0;
}

/* Looks at the files that are not loaded: private keys, which may not be here, and files that look like
 * certificates. */
static int look_at_others(struct certs *certs, const char *folder, const struct certs_paths *paths,
                          struct certs_bad *bad, struct fault *fault)
{
    struct certs_paths keys, ignored;
    int err = certs_keys_list(&keys, &ignored, folder, paths, fault);
    for (size_t i = 0; i < keys.count; i++) {
        struct fault why = {.text = ""};
        (void)certs_hint_key(keys.item[i], &why);
        certs_bad_add(bad, "private_key_found", &why);
    }
    for (size_t i = 0; i < ignored.count; i++)
        log_finding(LOG_WARN, "certificate_ignored", "error=\"%s\"", ignored.item[i]);
    certs->skipped = bad->count + ignored.count;
    certs_folder_clear(&keys);
    certs_folder_clear(&ignored);
    return err;
}

static int load_files(struct certs *certs, const struct certs_source *from, const struct certs_paths *paths,
                      struct fault *fault)
{
    struct certs_pool pool = {.entries = NULL};
    struct certs_bad bad = {.strict = from->strict};
    certs->cert = calloc(paths->count + 1, sizeof(struct cert *));
    if (certs->cert == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for %zu certificates", paths->count);
    int err = load_each(certs, from, &pool, paths, &bad, fault);
    certs_pool_clear(&pool);
    if (err == 0)
        err = look_at_others(certs, from->folder, paths, &bad, fault);
    return err != 0 ? err : certs_bad_refuse(&bad, from->folder, fault);
}

/* The array doubles at each power of two. */
static int add_candidate(struct certs_name *name, const struct cert *cert)
{
    size_t count = name->candidates;
    if ((count & (count - 1)) == 0) {
        size_t size = count == 0 ? 1 : 2 * count;
        const struct cert **grown = realloc(name->candidate, size * sizeof *grown);
        if (grown == NULL)
            return ERR_MEMORY;
        name->candidate = grown;
    }
    name->candidate[name->candidates++] = cert;
    return 0;
}

static int add_name(struct certs *certs, const char *text, const struct cert *cert)
{
    struct certs_name *name = NULL;
    HASH_FIND_STR(certs->names, text, name);
    if (name == NULL) {
        name = calloc(1, sizeof *name);
        if (name == NULL)
            return ERR_MEMORY;
        name->text = text;
        HASH_ADD_KEYPTR(hh, certs->names, text, strlen(text), name);
        if (name->hh.tbl == NULL) {
            free(name);
            return ERR_MEMORY;
        }
    }
    return add_candidate(name, cert);
}

/* The distinct set with the certificates of OWN; made when it is new; NULL without memory. */
static const struct cert_set *set_share(struct certs *certs, const struct cert_set *own)
{
    struct set *set = NULL;
    HASH_FIND(hh, certs->sets, own->of_type, sizeof own->of_type, set);
    if (set != NULL)
        return &set->set;
    set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    set->set = *own;
    set->set.index = HASH_COUNT(certs->sets);
    HASH_ADD(hh, certs->sets, set.of_type, sizeof set->set.of_type, set);
    if (set->hh.tbl == NULL) {
        free(set);
        return NULL;
    }
    return &set->set;
}

/* Adds what answers from FROM on, unless it is what answered before. */
static int add_period(struct certs *certs, struct certs_name *name, int64_t from)
{
    struct cert_set own = {.index = 0};
    certs_time_choose(&own, name->candidate, name->candidates, from);
    const struct cert_set *set = set_share(certs, &own);
    if (set == NULL)
        return ERR_MEMORY;
    if (name->periods == 0 || name->period[name->periods - 1].set != set)
        name->period[name->periods++] = (struct period){from, set};
    return 0;
}

static int add_periods(struct certs *certs, struct certs_name *name, int64_t now)
{
    int64_t *change = calloc(2 * name->candidates, sizeof *change);
    name->period = calloc(2 * name->candidates + 1, sizeof *name->period);
    int err = change != NULL && name->period != NULL ? 0 : ERR_MEMORY;
    size_t count = err == 0 ? certs_time_changes(change, name->candidate, name->candidates, now) : 0;
    if (err == 0 && count > 0)
        err = add_period(certs, name, change[0] - 1);
    for (size_t i = 0; err == 0 && i < count; i++)
        err = add_period(certs, name, change[i]);
    free(change);
    return err;
}

static const struct certs_name *find_text(const struct certs *certs, const char *text)
{
    const struct certs_name *name = NULL;
    HASH_FIND_STR(certs->names, text, name);
    return name;
}

static void find_wildcard(const struct certs *certs, struct certs_name *name)
{
    char text[CERTS_NAME_SIZE + 1];
    const char *dot = strchr(name->text, '.');
    if (name->text[0] == '*' || dot == NULL || strlen(dot) + 2 > sizeof text)
        return;
    text[0] = '*';
    memcpy(text + 1, dot, strlen(dot) + 1);
    name->wildcard = find_text(certs, text);
}

static int name_all(struct certs *certs, int64_t now)
{
    for (size_t i = 0; i < certs->count; i++) {
        const struct cert *cert = certs->cert[i];
        if (cert->name_count == 0)
            certs_report_nameless(cert);
        for (size_t n = 0; n < cert->name_count; n++)
            if (add_name(certs, cert->names[n], cert) != 0)
                return ERR_MEMORY;
    }
    for (struct certs_name *name = certs->names; name != NULL; name = name->hh.next) {
        find_wildcard(certs, name);
        if (add_periods(certs, name, now) != 0)
            return ERR_MEMORY;
    }
    return 0;
}

/* ---- looking up ---- */

/* Exact, then the wildcard in place of the first label. */
static const struct certs_name *find_specific(const struct certs *certs, const char *name)
{
    char folded[CERTS_NAME_SIZE];
    if (!certs_file_fold_name(folded, name, strnlen(name, CERTS_NAME_SIZE)))
        return NULL;
    const struct certs_name *found = find_text(certs, folded);
    char *dot = strchr(folded, '.');
    if (found != NULL || dot == NULL || dot == folded)
        return found;
    dot[-1] = '*';
    return find_text(certs, dot - 1);
}

static const struct cert_set *set_of_time(const struct certs_name *name, int64_t now)
{
    size_t low = 0, high = name->periods; /* the one sought is at LOW or above, and below HIGH */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (name->period[middle].from <= now)
            low = middle;
        else
            high = middle;
    }
    return name->period[low].set;
}

const struct cert_set *certs_name_at(const struct certs_name *name, int64_t now)
{
    const struct cert_set *set = set_of_time(name, now);
    if (name->wildcard == NULL || certs_time_set_state(set, now) == CERT_VALID)
        return set;
    const struct cert_set *other = set_of_time(name->wildcard, now);
    return certs_time_set_state(other, now) == CERT_VALID ? other : set;
}

const struct cert_set *certs_find(const struct certs *certs, const char *name, int64_t now)
{
    const struct certs_name *found = name == NULL ? NULL : find_specific(certs, name);
    if (found == NULL)
        found = certs->fallback;
    return found == NULL ? NULL : certs_name_at(found, now);
}

const struct certs_name *certs_name_next(const struct certs *certs, const struct certs_name *name)
{
    if (name != NULL && name == certs->nameless)
        return NULL;
    const struct certs_name *next = name == NULL ? certs->names : name->hh.next;
    return next != NULL ? next : certs->nameless;
}

const char *certs_name_text(const struct certs_name *name)
{
    return name->text;
}

/* ---- the default ---- */

/* Makes CERT, which has no names, the default. */
static int make_nameless(struct certs *certs, const struct cert *cert, int64_t now)
{
    certs->nameless = calloc(1, sizeof *certs->nameless);
    if (certs->nameless == NULL)
        return ERR_MEMORY;
    certs->nameless->text = "";
    int err = add_candidate(certs->nameless, cert);
    return err == 0 ? add_periods(certs, certs->nameless, now) : err;
}

static int choose_default(struct certs *certs, const char *default_name, int64_t now, struct fault *fault)
{
    if (default_name != NULL && default_name[0] == '\0')
        return 0;
    if (default_name != NULL) {
        certs->fallback = find_specific(certs, default_name);
        if (certs->fallback != NULL)
            return 0;
        return fault_set(
            fault, ERR_CONFIG,
            "default_certificate '%s': no certificate has this name; name one of the host names in the "
            "certificates' folder, or \"\" to refuse unknown clients",
            default_name);
    }
    const struct cert *first = certs_time_first_lasting(certs->cert, certs->count, now);
    if (first->name_count == 0 && make_nameless(certs, first, now) != 0)
        return fault_set(fault, ERR_MEMORY, "no memory for certificates");
    certs->fallback = first->name_count > 0 ? find_text(certs, first->names[0]) : certs->nameless;
    return 0;
}

/* ---- loading ---- */

/* Reports, for the log, certificates that never answer NAME. */
static void report_shadowed(const struct certs_name *name, int64_t now)
{
    for (size_t i = 0; i < name->candidates; i++) {
        const struct cert *cert = name->candidate[i], *by = set_of_time(name, now)->of_type[cert->type];
        bool answers = false;
        for (size_t p = 0; p < name->periods && !answers; p++)
            answers = name->period[p].set->of_type[cert->type] == cert;
        if (!answers)
            log_finding(LOG_INFO, "certificate_shadowed", "name=%s file=%s by=%s", name->text, cert->file,
                        by != NULL ? by->file : "-");
    }
}

static int index_sets(struct certs *certs)
{
    certs->set_at = calloc(HASH_COUNT(certs->sets) + 1, sizeof(struct set *));
    if (certs->set_at == NULL)
        return ERR_MEMORY;
    for (const struct set *set = certs->sets; set != NULL; set = set->hh.next)
        certs->set_at[set->set.index] = set;
    return 0;
}

int certs_load(struct certs **out, const struct certs_source *from, struct fault *fault)
{
    int64_t now = (int64_t)time(NULL);
    struct certs_paths paths = {.count = 0};
    struct certs *certs = calloc(1, sizeof *certs);
    if (certs == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for certificates");
    int err = certs_folder_list(&paths, from->folder, fault);
    if (err == 0)
        err = load_files(certs, from, &paths, fault);
    certs_folder_clear(&paths);
    if (err == 0 && certs->count == 0 && certs->skipped == 0)
        err = fault_set(fault, ERR_CONFIG, "%s: " CERTS_FOLDER_EMPTY, from->folder);
    else if (err == 0 && certs->count == 0)
        err = fault_set(
            fault, ERR_CONFIG,
            "%s: no usable certificate below it (%zu skipped); put PEM chains there as NAME.pem or "
            "NAME/fullchain.pem",
            from->folder, certs->skipped);
    if (err == 0 && (err = name_all(certs, now)) != 0)
        fault_set(fault, err, "no memory for the names of %zu certificates", certs->count);
    if (err == 0)
        err = choose_default(certs, from->default_name, now, fault);
    if (err == 0 && (err = index_sets(certs)) != 0)
        fault_set(fault, err, "no memory for certificates");
    if (err != 0) {
        certs_free(certs);
        return err;
    }
    for (const struct certs_name *name = certs->names; name != NULL; name = name->hh.next)
        report_shadowed(name, now);
    certs_report(certs, now);
    *out = certs;
    return 0;
}

size_t certs_count(const struct certs *certs)
{
    return certs->count;
}

size_t certs_skipped(const struct certs *certs)
{
    return certs->skipped;
}

const struct cert *certs_at(const struct certs *certs, size_t index)
{
    return index < certs->count ? certs->cert[index] : NULL;
}

size_t certs_set_count(const struct certs *certs)
{
    return HASH_COUNT(certs->sets);
}

const struct cert_set *certs_set_at(const struct certs *certs, size_t index)
{
    return index < certs_set_count(certs) ? &certs->set_at[index]->set : NULL;
}
