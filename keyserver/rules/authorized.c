#include "keyserver/rules/authorized.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/rules/authorized_options.h"

#define LINE_MAX_SIZE 8192 /* bytes of one line, its end included */
#define EDGES_MAX     100000
#define FILE_MAX      (32 * 1024 * 1024)

/* Open addressing over the edges, by key and by name; each slot is an index + 1, 0 = free. */
struct authorized {
    struct authorized_edge *edges; /* guarded memory */
    size_t count;
    uint32_t *slots, *names;
    size_t slot_count; /* of each; a power of two, more than twice the edges */
    uint8_t hash_key[SHORT_HASH_KEY_SIZE];
};

struct parse {
    struct authorized *list;
    const char *file;
    unsigned line;
    struct fault *fault;
};

static int fail(const struct parse *p, const char *what)
{
    return fault_set(p->fault, ERR_CONFIG, "%s:%u: %s", p->file, p->line, what);
}

/* ---- tables ---- */

static size_t first_slot(const struct authorized *list, const void *bytes, size_t length)
{
    return (size_t)short_hash(list->hash_key, bytes, length) & (list->slot_count - 1);
}

static uint32_t *find_by_key(const struct authorized *list, const uint8_t *key)
{
    size_t at = first_slot(list, key, IDENTITY_KEY_SIZE);
    while (list->slots[at] != 0 && memcmp(list->edges[list->slots[at] - 1].key, key, IDENTITY_KEY_SIZE) != 0)
        at = (at + 1) & (list->slot_count - 1);
    return &list->slots[at];
}

static uint32_t *find_by_name(const struct authorized *list, const char *name)
{
    size_t at = first_slot(list, name, strlen(name));
    while (list->names[at] != 0 && strcmp(list->edges[list->names[at] - 1].name, name) != 0)
        at = (at + 1) & (list->slot_count - 1);
    return &list->names[at];
}

/* Enters the edge behind the last one into both tables. */
static int enter(struct parse *p, const struct authorized_edge *edge)
{
    uint32_t *by_key = find_by_key(p->list, edge->key);
    uint32_t *by_name = find_by_name(p->list, edge->name);
    if (*by_key != 0)
        return fault_set(p->fault, ERR_CONFIG, "%s:%u: the key stands in line %u already; remove one of them",
                         p->file, p->line, p->list->edges[*by_key - 1].line);
    if (*by_name != 0)
        return fault_set(p->fault, ERR_CONFIG,
                         "%s:%u: the name %s stands in line %u already; give one of them another", p->file,
                         p->line, edge->name, p->list->edges[*by_name - 1].line);
    p->list->edges[p->list->count].index = p->list->count;
    p->list->count++;
    *by_key = (uint32_t)p->list->count;
    *by_name = (uint32_t)p->list->count;
    return 0;
}

/* ---- one line ---- */

static int parse_fields(struct parse *p, struct authorized_edge *edge, char *line)
{
    static const uint8_t zero[IDENTITY_KEY_SIZE];
    char *rest = NULL;
    char *key = strtok_r(line, AUTHORIZED_BLANKS, &rest);
    char *name = strtok_r(NULL, AUTHORIZED_BLANKS, &rest);
    if (base64_decode(edge->key, sizeof edge->key, key) != 0 || same_bytes(edge->key, zero, sizeof zero))
        return fail(p, "the line does not begin with a public key, 32 bytes in base64; the edge prints it "
                       "with: keyless pubkey < identity.key");
    if (name == NULL || !authorized_is_name(name, AUTHORIZED_NAME_MAX - 1))
        return fail(p, "behind the key there is no name for the edge; write 1 to 63 letters, digits, '.', "
                       "'_', '-'");
    memcpy(edge->name, name, strlen(name) + 1);
    edge->line = p->line;
    struct fault why;
    int err = authorized_options_parse(edge, rest, &why);
    return err == 0 ? 0 : fault_set(p->fault, err, "%s:%u: %s", p->file, p->line, why.text);
}

static void clear_edge(struct authorized_edge *edge)
{
    for (size_t i = 0; i < edge->key_count; i++)
        free(edge->keys[i]);
    free(edge->keys);
    free(edge->from);
    wipe(edge, sizeof *edge);
}

/* Whether nothing or a comment stands from START to END. */
static bool is_empty(const char *start, const char *end)
{
    while (start < end && (*start == ' ' || *start == '\t' || *start == '\r'))
        start++;
    return start == end || *start == '#';
}

/* Where a word of the line begins with '#', or its LENGTH. Inside of a word '#' is a character like others.
 */
static size_t comment_start(const char *line, size_t length)
{
    for (size_t i = 1; i < length; i++)
        if (line[i] == '#' && strchr(AUTHORIZED_BLANKS, line[i - 1]) != NULL)
            return i;
    return length;
}

static int parse_line(struct parse *p, const char *start, const char *end)
{
    char line[LINE_MAX_SIZE];
    size_t length = (size_t)(end - start);
    if (length >= sizeof line)
        return fail(p, "the line is longer than 8191 bytes");
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)start[i]) && start[i] != '\t' && start[i] != '\r')
            return fail(p, "the line has a control character; remove it");
    if (is_empty(start, end))
        return 0;
    length = comment_start(start, length);
    memcpy(line, start, length);
    line[length] = 0;
    struct authorized_edge *edge = &p->list->edges[p->list->count];
    int err = parse_fields(p, edge, line);
    if (err == 0)
        err = enter(p, edge);
    if (err != 0)
        clear_edge(edge);
    wipe(line, length);
    return err;
}

/* ---- the whole list ---- */

static const char *line_end(const char *at, const char *end)
{
    const char *found = memchr(at, '\n', (size_t)(end - at));
    return found == NULL ? end : found;
}

static size_t count_edges(const char *text, const char *end)
{
    size_t count = 0;
    while (text < end) {
        const char *stop = line_end(text, end);
        count += !is_empty(text, stop);
        text = stop < end ? stop + 1 : end;
    }
    return count;
}

/* Room for COUNT edges. */
static struct authorized *new_list(size_t count)
{
    struct authorized *list = calloc(1, sizeof *list);
    if (list == NULL)
        return NULL;
    list->slot_count = 2;
    while (list->slot_count <= 2 * count)
        list->slot_count *= 2;
    list->slots = calloc(list->slot_count, sizeof *list->slots);
    list->names = calloc(list->slot_count, sizeof *list->names);
    list->edges = secret_new((count + 1) * sizeof *list->edges);
    if (list->slots == NULL || list->names == NULL || list->edges == NULL) {
        authorized_free(list);
        return NULL;
    }
    random_bytes(list->hash_key, sizeof list->hash_key);
    return list;
}

static int parse_lines(struct parse *p, const char *text, const char *end)
{
    int err = 0;
    while (text < end && err == 0) {
        const char *stop = line_end(text, end);
        p->line++;
        err = parse_line(p, text, stop);
        text = stop < end ? stop + 1 : end;
    }
    return err;
}

int authorized_parse(struct authorized **out, const char *text, size_t length, const char *file,
                     struct fault *fault)
{
    struct parse p = {.file = file, .fault = fault};
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark, as some editors write */
        text += 3;
        length -= 3;
    }
    size_t count = length == 0 ? 0 : count_edges(text, text + length);
    *out = NULL;
    if (count > EDGES_MAX)
        return fault_set(fault, ERR_CONFIG, "%s: %zu edges; a key server takes at most %d", file, count,
                         EDGES_MAX);
    p.list = new_list(count);
    int err = p.list == NULL ? fault_set(fault, ERR_MEMORY, "%s: %s", file, err_string(ERR_MEMORY)) : 0;
    if (err == 0 && length > 0)
        err = parse_lines(&p, text, text + length);
    if (err != 0)
        authorized_free(p.list);
    else
        *out = p.list;
    return err;
}

int authorized_read(const char *file, struct buffer *out, struct fault *fault)
{
    int err = identity_read_secret_file(file, FILE_MAX, out, fault);
    if (err != ERR_NOT_FOUND)
        return err;
    return fault_set(
        fault, err,
        "%s: no such file; make it with mode 0600 and one line an edge: KEY NAME psk=… (the edge "
        "prints KEY with: keyless pubkey < identity.key)",
        file);
}

int authorized_load(struct authorized **out, const char *file, struct fault *fault)
{
    struct buffer text;
    *out = NULL;
    buffer_init(&text);
    int err = authorized_read(file, &text, fault);
    if (err == 0)
        err = authorized_parse(out, (const char *)buffer_bytes(&text), buffer_length(&text), file, fault);
    buffer_clear(&text);
    return err;
}

void authorized_free(struct authorized *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        clear_edge(&list->edges[i]);
    secret_free(list->edges);
    free(list->slots);
    free(list->names);
    wipe(list, sizeof *list);
    free(list);
}

void authorized_forget_psks(struct authorized *list)
{
    for (size_t i = 0; i < list->count; i++)
        wipe(list->edges[i].psk, sizeof list->edges[i].psk);
}

size_t authorized_count(const struct authorized *list)
{
    return list->count;
}

const struct authorized_edge *authorized_at(const struct authorized *list, size_t index)
{
    return &list->edges[index];
}

const struct authorized_edge *authorized_find(const struct authorized *list,
                                              const uint8_t key[static IDENTITY_KEY_SIZE])
{
    uint32_t slot = *find_by_key(list, key);
    return slot == 0 ? NULL : &list->edges[slot - 1];
}

const struct authorized_edge *authorized_find_name(const struct authorized *list, const char *name)
{
    uint32_t slot = *find_by_name(list, name);
    return slot == 0 ? NULL : &list->edges[slot - 1];
}

int authorized_check_others(const struct authorized *list, const char *file,
                            const uint8_t own[static IDENTITY_KEY_SIZE], struct fault *fault)
{
    const struct authorized_edge *edge = authorized_find(list, own);
    if (edge == NULL)
        return 0;
    return fault_set(fault, ERR_CONFIG,
                     "%s:%u: the key of edge %s is this key server's own; each has a secret key of its own: "
                     "make the edge's with keyless genkey, and take the line that it prints with: keyless "
                     "pubkey < identity.key",
                     file, edge->line, edge->name);
}

bool authorized_from(const struct authorized_edge *edge, const struct address *address)
{
    for (size_t i = 0; i < edge->from_count; i++)
        if (network_has(&edge->from[i], address))
            return true;
    return edge->from_count == 0;
}

enum authorized_change authorized_change_of(const struct authorized *now, const struct authorized *before,
                                            const uint8_t key[static IDENTITY_KEY_SIZE],
                                            const struct address *from)
{
    const struct authorized_edge *edge = authorized_find(now, key), *was = authorized_find(before, key);

    if (edge == NULL)
        return AUTHORIZED_CHANGE_GONE;
    if (was == NULL || !same_bytes(edge->psk, was->psk, sizeof edge->psk))
        return AUTHORIZED_CHANGE_PSK;
    return authorized_from(edge, from) ? AUTHORIZED_CHANGE_NONE : AUTHORIZED_CHANGE_FROM;
}

bool authorized_for_key(const struct authorized_edge *edge, const uint8_t key_id[static KEY_ID_SIZE],
                        const char *name)
{
    char id[2 * KEY_ID_SIZE + 1];
    hex_encode(id, key_id, KEY_ID_SIZE);
    for (size_t i = 0; i < edge->key_count; i++)
        if (strcmp(edge->keys[i], id) == 0 || strcmp(edge->keys[i], name) == 0)
            return true;
    return edge->all_keys;
}
