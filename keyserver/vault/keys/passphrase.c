#include "keyserver/vault/keys/passphrase.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/identity.h"

struct passphrase_place passphrase_place(const struct server_config *config, const char *name, size_t length)
{
    const struct key_rules *found = NULL;
    struct passphrase_place place = {.key = name, .length = length};
    if (config == NULL)
        return place;
    const struct key_rules *sections = config->key_sections.item;
    for (size_t i = 0; i < config->key_sections.count; i++)
        if (strlen(sections[i].title) == length && memcmp(sections[i].title, name, length) == 0)
            found = &sections[i];
    if (found == NULL || (found->passphrase_file == NULL && found->passphrase_credential == NULL))
        found = &config->key_default;
    place.file = found->passphrase_file;
    place.credential = found->passphrase_credential;
    return place;
}

bool passphrase_is_given(const struct passphrase_place *place)
{
    return place->file != NULL || place->credential != NULL;
}

/* The path of the credential NAME into OUT of PATH_MAX bytes. */
static int find_credential(char *out, const char *name, struct fault *fault)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL)
        return fault_set(fault, ERR_CONFIG,
                         "passphrase_credential %s: $CREDENTIALS_DIRECTORY is not set, since systemd has not "
                         "started this process; write LoadCredential=%s:PATH into the unit's section "
                         "[Service], or name a passphrase_file",
                         name, name);
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return fault_set(fault, ERR_LENGTH, "passphrase_credential %s: its path is too long", name);
    return 0;
}

/* The one line of OUT, without its end. */
static int cut_line(const char *path, struct passphrase *out, struct fault *fault)
{
    size_t length = buffer_length(&out->text);
    const uint8_t *text = length > 0 ? buffer_bytes(&out->text) : NULL;
    if (length > 0 && text[length - 1] == '\n')
        length--;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (length == 0)
        return fault_set(fault, ERR_CONFIG, "%s: is empty; write the passphrase there, in one line", path);
    if (memchr(text, '\n', length) != NULL || memchr(text, 0, length) != NULL)
        return fault_set(fault, ERR_CONFIG,
                         "%s: more than one line of text; write the passphrase there alone, in one line",
                         path);
    if (length > PASSPHRASE_MAX)
        return fault_set(fault, ERR_CONFIG, "%s: a passphrase has at most %d bytes; is it the right file?",
                         path, PASSPHRASE_MAX);
    out->length = length;
    return 0;
}

int passphrase_read(const struct passphrase_place *place, struct passphrase *out, struct fault *fault)
{
    char found[PATH_MAX];
    const char *path = place->file;
    int err = 0;
    if (path == NULL) {
        err = find_credential(found, place->credential, fault);
        path = found;
    }
    if (err == 0)
        err = identity_read_secret_file(path, PASSPHRASE_MAX + 2, &out->text, fault);
    if (err == ERR_NOT_FOUND)
        return fault_set(fault, ERR_CONFIG,
                         "%s: no such file; write the passphrase there, in one line, mode 0400", path);
    if (err == 0)
        err = cut_line(path, out, fault);
    if (err != 0)
        passphrase_clear(out);
    return err;
}

void passphrase_clear(struct passphrase *passphrase)
{
    buffer_clear(&passphrase->text);
    passphrase->length = 0;
}
