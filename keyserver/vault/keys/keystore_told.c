/* What is said of key files that are not served, and which of them a reload does not accept. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/process.h"
#include "keyserver/vault/keys/keystore_inside.h"
#include "keyserver/vault/keys/keystore_rank.h"

/* Why FILE is not served, into OUT. */
static void explain(const struct keystore_file *file, const char *folder, struct fault *out)
{
    const char *first = file->first != NULL ? file->first->name : "";
    out->text[0] = 0;
    if (file->key == NULL && file->why != NULL)
        snprintf(out->text, sizeof out->text, "%s", file->why);
    else if (file->key == NULL) /* no memory to keep it */
        (void)process_name_limit(out, ERR_MEMORY);
    else if (file->clash == CLASH_KEY)
        fault_set(out, 0, "%s/%s: the same key as %s; remove one of the two files%s", folder, file->name,
                  first,
                  file->first->named > file->named ? " (the rules are for the name of the other one)" : "");
    else if (file->clash == CLASH_NAME)
        fault_set(out, 0,
                  "%s/%s: %s is the name of another key, too, that of %s; rename one of the two files",
                  folder, file->name, file->key->name, first);
    else
        fault_set(out, 0,
                  "%s/%s: the same key as %s, and the configuration has a section for each of the two names, "
                  "so the key is not served; remove one of the two files, and its section",
                  folder, file->name, first);
}

void keystore_tell_skipped(const struct keystore *store, const char *folder)
{
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *file = &store->file[i];
        struct fault why;
        if (keystore_is_served(file))
            continue;
        explain(file, folder, &why);
        log_finding(LOG_ERROR, "key_skipped", "%s=%s error=\"%s\"", file->key != NULL ? "key" : "file",
                    file->key != NULL ? file->key->name : file->name, why.text);
    }
}

void keystore_tell_renamed(const struct keystore *store, const struct keystore *before)
{
    for (size_t i = 0; i < store->count; i++) {
        const struct key *key = store->item[i], *old = keystore_find(before, key->id);
        if (old != NULL && strcmp(old->name, key->name) != 0)
            log_finding(
                LOG_WARN, "key_renamed",
                "key=%s before=%s hint=\"what the configuration and authorized_edges say of %s by its "
                "name is not for this key any more; if that is not meant, take its file away\"",
                key->name, old->name, old->name);
    }
}

/* ---- what a reload may not do ---- */

/* True for a file that would newly fail: its owner counts on that key. One that failed before the reload is
 * known to them, and does not hold up the reload. Nor does a new copy of a key that goes on being served as
 * before: nobody loses anything by it. */
static bool is_news(const struct keystore_file *file, const struct keystore *before)
{
    const struct keystore_file *old = keystore_find_file(before, file->name);
    if (file->key == NULL)
        return old == NULL || old->key != NULL;
    switch (file->clash) {
    case CLASH_KEY:
        return old != NULL && keystore_is_served(old);
    case CLASH_NAME:
    case CLASH_RULES:
        return old == NULL || old->clash != file->clash;
    case CLASH_NONE:
        break;
    }
    return false;
}

int keystore_refuse_news(const struct keystore *store, const struct keystore *before, const char *folder,
                         struct fault *fault)
{
    char names[sizeof fault->text / 2] = "";
    size_t count = 0, length = 0;
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *file = &store->file[i];
        struct fault why;
        if (!is_news(file, before))
            continue;
        count++;
        if (length < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? ", " : "",
                                       file->name);
        explain(file, folder, &why);
        log_finding(LOG_ERROR, "key_unusable", "file=%s error=\"%s\"", file->name, why.text);
    }
    if (count == 0)
        return 0;
    return fault_set(
        fault, ERR_CONFIG,
        "%s: %zu of its files cannot be used (%s%s), and nothing has changed; the log says what is "
        "wrong with each; mend or remove them, then reload",
        folder, count, names, length < sizeof names ? "" : " …");
}
