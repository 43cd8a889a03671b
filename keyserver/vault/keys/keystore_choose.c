/* One file for each key, one key for each name.
 *
 * A key is known to the rules by the name of its file. So it matters which of several files with the same
 * key, one of them a copy that somebody made, gives it its name: the one that the rules name, and then the
 * one that was served before. Where two names have a section each there is no telling which one is meant,
 * and the key is not served. */
#include <stdlib.h>
#include <string.h>

#include "keyserver/vault/keys/keystore_inside.h"
#include "keyserver/vault/keys/keystore_rank.h"

struct choice {
    struct keystore *store;
    struct keystore_file **files;                   /* `count`: those with a key */
    struct keystore_file **best;                    /* by same_key */
    const struct keystore_file **of_key, **of_name; /* those served so far, by same_key and same_name */
    size_t count;
};

/* ---- which are the same ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct keystore_file *const *first = a, *const *second = b;
    return memcmp((*first)->key->id, (*second)->key->id, KEY_ID_SIZE);
}

static int compare_names(const void *a, const void *b)
{
    const struct keystore_file *const *first = a, *const *second = b;
    return strcmp((*first)->key->name, (*second)->key->name);
}

static void gather(struct choice *choice)
{
    struct keystore *store = choice->store;
    choice->count = 0;
    for (size_t i = 0; i < store->list.count; i++)
        if (store->file[i].key != NULL)
            choice->files[choice->count++] = &store->file[i];
}

/* Numbers them, so that the same key, and the same name, has the same number. */
static void compare_all(struct choice *choice)
{
    struct keystore_file **files = choice->files;
    qsort(files, choice->count, sizeof *files, compare_ids);
    for (size_t i = 0; i < choice->count; i++)
        files[i]->same_key = i > 0 && compare_ids(&files[i - 1], &files[i]) == 0 ? files[i - 1]->same_key : i;
    qsort(files, choice->count, sizeof *files, compare_names);
    for (size_t i = 0; i < choice->count; i++)
        files[i]->same_name = i > 0 && compare_names(&files[i - 1], &files[i]) == 0 ? files[i - 1]->same_name
                                                                                    : i;
}

static void rank_all(struct choice *choice, const struct keystore_names *names, const struct keystore *before)
{
    for (size_t i = 0; i < choice->count; i++) {
        struct keystore_file *file = choice->files[i];
        file->named = keystore_names_find(names, file->key->name);
        file->kept = keystore_kept(file, before);
    }
}

/* ---- which one it is ---- */

/* The better one first: by what the rules name, then by what was served, then in the order of the files. */
static int compare_ranks(const void *a, const void *b)
{
    const struct keystore_file *first = *(const struct keystore_file *const *)a,
                               *second = *(const struct keystore_file *const *)b;
    if (first->named != second->named)
        return first->named > second->named ? -1 : 1;
    if (first->kept != second->kept)
        return first->kept > second->kept ? -1 : 1;
    return first < second ? -1 : first > second;
}

static void clash(struct keystore_file *file, enum keystore_clash how, const struct keystore_file *with)
{
    file->clash = how;
    file->first = with;
}

/* The best of each key, and where its sections contradict each other. */
static void find_best(struct choice *choice)
{
    for (size_t i = 0; i < choice->count; i++) {
        struct keystore_file *file = choice->files[i], **best = &choice->best[file->same_key];
        if (*best == NULL)
            *best = file;
        if (file->named != NAMED_BY_SECTION || file->same_name == (*best)->same_name)
            continue;
        clash(file, CLASH_RULES, *best);
        clash(*best, CLASH_RULES, file);
    }
}

/* A file that the rules name holds its key also where another key has its name: under a name that they do not
 * know the key would go by what holds for any. */
static void serve(struct choice *choice, struct keystore_file *file)
{
    const struct keystore_file **of_key = &choice->of_key[file->same_key],
                               **of_name = &choice->of_name[file->same_name];
    const struct keystore_file *best = choice->best[file->same_key];
    if (file->clash == CLASH_RULES)
        return;
    if (best->clash == CLASH_RULES || file->named < best->named)
        clash(file, CLASH_KEY, best);
    else if (*of_key != NULL)
        clash(file, CLASH_KEY, *of_key);
    else if (*of_name != NULL)
        clash(file, CLASH_NAME, *of_name);
    else
        *of_key = *of_name = file;
}

static void put_keys(struct choice *choice)
{
    struct keystore *store = choice->store;
    size_t count = 0;
    for (size_t i = 0; i < choice->count; i++)
        if (choice->files[i]->clash == CLASH_NONE)
            choice->files[count++] = choice->files[i];
    qsort(choice->files, count, sizeof *choice->files, compare_ids);
    for (size_t i = 0; i < count; i++)
        store->item[i] = choice->files[i]->key;
    store->count = count;
    store->skipped = store->list.count - count;
    keystore_number(store);
}

static int make_room(struct choice *choice, size_t room)
{
    choice->files = calloc(room, sizeof *choice->files);
    choice->best = calloc(room, sizeof *choice->best);
    choice->of_key = calloc(room, sizeof *choice->of_key);
    choice->of_name = calloc(room, sizeof *choice->of_name);
    choice->store->item = calloc(room, sizeof *choice->store->item);
    return choice->files != NULL && choice->best != NULL && choice->of_key != NULL &&
                   choice->of_name != NULL && choice->store->item != NULL
               ? 0
               : ERR_MEMORY;
}

static void choose(struct choice *choice)
{
    qsort(choice->files, choice->count, sizeof *choice->files, compare_ranks);
    find_best(choice);
    for (size_t i = 0; i < choice->count; i++)
        serve(choice, choice->files[i]);
    put_keys(choice);
}

int keystore_choose(struct keystore *store, const struct keystore *before, const struct keystore_rules *rules)
{
    struct choice choice = {.store = store};
    struct keystore_names names;
    int err = keystore_names_init(&names, rules);
    if (err == 0 && (err = make_room(&choice, store->list.count + 1)) == 0) {
        gather(&choice);
        compare_all(&choice);
        rank_all(&choice, &names, before);
        choose(&choice);
    }
    keystore_names_clear(&names);
    free(choice.files);
    free(choice.best);
    free(choice.of_key);
    free(choice.of_name);
    return err;
}
