#include "keyserver/vault/keys/keystore_rank.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has(const char *const *names, size_t count, const char *name)
{
    return count > 0 && bsearch(&name, names, count, sizeof *names, compare) != NULL;
}

/* A section that has only a passphrase rules nothing: its key goes by key_default whatever it is called. */
static bool says_anything(const struct key_rules *section)
{
    for (size_t i = 0; i < KEY_OPTIONS; i++)
        if (section->place[i] != NULL)
            return true;
    return false;
}

static void take_sections(struct keystore_names *names, const struct config_sections *sections)
{
    const struct key_rules *section = sections->item;
    for (size_t i = 0; i < sections->count; i++)
        if (says_anything(&section[i]))
            names->section[names->sections++] = section[i].title;
    if (names->sections > 0)
        qsort(names->section, names->sections, sizeof *names->section, compare);
}

static size_t count_edge_names(const struct authorized *edges)
{
    size_t count = 0;
    for (size_t i = 0; edges != NULL && i < authorized_count(edges); i++)
        count += authorized_at(edges, i)->key_count;
    return count;
}

static void take_edges(struct keystore_names *names, const struct authorized *edges)
{
    for (size_t i = 0; edges != NULL && i < authorized_count(edges); i++) {
        const struct authorized_edge *edge = authorized_at(edges, i);
        for (size_t k = 0; k < edge->key_count; k++)
            names->edges[names->edge_names++] = edge->keys[k];
    }
    if (names->edge_names > 0)
        qsort(names->edges, names->edge_names, sizeof *names->edges, compare);
}

int keystore_names_init(struct keystore_names *names, const struct keystore_rules *rules)
{
    *names = (struct keystore_names){.sections = 0};
    if (rules == NULL)
        return 0;
    names->section = calloc(rules->config->key_sections.count + 1, sizeof *names->section);
    names->edges = calloc(count_edge_names(rules->edges) + 1, sizeof *names->edges);
    if (names->section == NULL || names->edges == NULL) {
        keystore_names_clear(names);
        return ERR_MEMORY;
    }
    take_sections(names, &rules->config->key_sections);
    take_edges(names, rules->edges);
    return 0;
}

void keystore_names_clear(struct keystore_names *names)
{
    free(names->section);
    free(names->edges);
    *names = (struct keystore_names){.sections = 0};
}

enum keystore_named keystore_names_find(const struct keystore_names *names, const char *name)
{
    if (has(names->section, names->sections, name))
        return NAMED_BY_SECTION;
    return has(names->edges, names->edge_names, name) ? NAMED_BY_EDGES : NAMED_NOWHERE;
}

enum keystore_kept keystore_kept(const struct keystore_file *file, const struct keystore *before)
{
    const struct keystore_file *old = before != NULL ? keystore_find_file(before, file->name) : NULL;
    if (old == NULL || !keystore_is_served(old))
        return KEPT_NOTHING;
    return memcmp(old->key->id, file->key->id, KEY_ID_SIZE) == 0 ? KEPT_KEY : KEPT_NAME;
}
