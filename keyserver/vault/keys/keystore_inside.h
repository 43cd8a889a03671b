/* The inside of the key store: for its own files only. */
#ifndef KEYSERVER_VAULT_KEYS_KEYSTORE_INSIDE_H
#define KEYSERVER_VAULT_KEYS_KEYSTORE_INSIDE_H

#include "keyserver/rules/key_folder.h"
#include "keyserver/vault/keys/keystore.h"

enum keystore_clash {
    CLASH_NONE,
    CLASH_KEY,  /* the same key as a file that stands for it better */
    CLASH_NAME, /* another key of the same name is served */
    CLASH_RULES /* the same key as another file, and both names have a section */
};

struct keystore_file {
    const char *name;           /* borrowed from the list */
    struct key *key;            /* a reference; NULL: it could not be used */
    char *why;                  /* owned; of one that was read now and could not be used */
    bool wanted;                /* to be read */
    bool read;                  /* by this load, and not taken over from the store before */
    bool gone;                  /* since the folder was listed */
    size_t same_key, same_name; /* files of one key, or of one name, have the same number */
    unsigned named, kept;       /* how well its name stands for its key (keystore_rank.h) */
    enum keystore_clash clash;  /* why the key is not served by this file, and which other is the reason */
    const struct keystore_file *first;
};

struct keystore {
    struct key_folder list;     /* owned */
    struct keystore_file *file; /* owned; one for each of the list */
    struct key **item;          /* owned array of borrowed keys, `count`, in the order of their ids */
    size_t count;
    size_t skipped;
    struct keystore_changes changes;
    unsigned lanes; /* bits: those that were ready when the keys were loaded */
    uint8_t
        *group; /* owned, SHA256_SIZE bytes of guarded memory: tells whether the group secret is the same */
};

/* Whence keys come; all borrowed. */
struct keystore_source {
    const char *folder;
    const uint8_t *group_secret;              /* GROUP_SECRET_SIZE bytes */
    const struct keystore_rules *rules;       /* NULL: none */
    const struct keystore_progress *progress; /* NULL: nobody asks */
};

/* keystore_load() of what LIST, which it takes, says of the folder. */
int keystore_load_listed(struct keystore **out, const struct keystore *before, struct key_folder *list,
                         const struct keystore_source *source, struct fault *fault) MUST_USE;
/* Before the first key, for as many and some more: the heap in which OpenSSL keeps the numbers of private
 * keys.
 */
void keystore_prepare_heap(size_t keys);
/* Reads every wanted file, on all cores, and tells how far it is. */
void keystore_read(struct keystore *store, const struct keystore_source *source);
/* Whether PATH, whose reading has failed with ERR, has gone. A link that leads nowhere is still there. */
bool keystore_is_gone(const char *path, int err);
/* Logs which files of FOLDER have gone since it was listed; returns how many. */
size_t keystore_tell_gone(const struct keystore *store, const char *folder);
/* Takes them out of the list. */
void keystore_drop_gone(struct keystore *store);
/* Takes a reference back; the last one wipes and frees. NULL is allowed. */
void keystore_release(struct key *key);
/* Logs which other files of FOLDER hold a private key, and how they would be read. */
void keystore_tell_ignored(const struct key_folder *list, const char *folder);
/* The file with this name, or NULL. */
const struct keystore_file *keystore_find_file(const struct keystore *store, const char *name);
/* Once it is chosen: whether its key is served by its name. */
static inline bool keystore_is_served(const struct keystore_file *file)
{
    return file->key != NULL && file->clash == CLASH_NONE;
}
/* Finds out which files clash, by RULES (NULL: none) and after BEFORE (NULL: a start), and fills item, count
 * and skipped. ERR_MEMORY. */
int keystore_choose(struct keystore *store, const struct keystore *before,
                    const struct keystore_rules *rules) MUST_USE;
/* Logs each file of FOLDER that is not served, and why; with BEFORE, each key that has another name since. */
void keystore_tell_skipped(const struct keystore *store, const char *folder);
void keystore_tell_renamed(const struct keystore *store, const struct keystore *before);
/* ERR_CONFIG, with each in the log and in FAULT, for files that a reload after BEFORE may not lose or add. */
int keystore_refuse_news(const struct keystore *store, const struct keystore *before, const char *folder,
                         struct fault *fault) MUST_USE;

#endif
