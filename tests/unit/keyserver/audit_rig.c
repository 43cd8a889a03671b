#include "tests/unit/keyserver/audit_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/bytes.h"
#include "tests/unit/remove_tree.h"

const uint8_t rig_policy[AUDIT_KEY_SIZE] = {0x11, 0x22};

/* ---- the world ---- */

static void rig_make_keys(struct rig *rig)
{
    static const uint8_t group_secret[32] = {1};
    char folder[KEYS_PATH_SIZE];
    keys_make_folder(folder);
    for (int i = 0; i < RIG_KEYS; i++) {
        EVP_PKEY *pkey = keys_edwards("ED25519");
        keys_write(folder, i == 0 ? "www.pem" : "api.pem", pkey);
        EVP_PKEY_free(pkey);
    }
    assert_int_equal(keystore_load(&rig->keys, NULL, folder, group_secret, NULL, NULL, &rig->fault), 0);
    keys_remove_folder(folder);
}

static void rig_make_edges(struct rig *rig)
{
    char text[RIG_EDGES * 160], key[45], psk[45];
    size_t length = 0;
    for (int i = 0; i < RIG_EDGES; i++) {
        const uint8_t bytes[32] = {0x21, (uint8_t)i}, secret[32] = {1, (uint8_t)i};
        length += (size_t)snprintf(text + length, sizeof text - length, "%s edge%d psk=%s\n",
                                   base64_encode(key, bytes, 32), i, base64_encode(psk, secret, 32));
    }
    assert_int_equal(authorized_parse(&rig->edges, text, length, "edges", &rig->fault), 0);
}

void rig_set_up(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(secret_init(), 0);
    strcpy(rig->folder, "/tmp/test_audit.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->log, sizeof rig->log, "%s/log", rig->folder);
    snprintf(rig->key, sizeof rig->key, "%s/audit.key", rig->folder);
    rig->config = (struct server_audit){
        .folder = rig->log, .key = rig->key, .rotate_size = 64 << 20, .checkpoint = 1000};
    rig->now = (struct audit_time){.mono_ms = 1000000, .unix_ms = RIG_START_MS, .epoch_ms = RIG_START_MS};
    rig_make_keys(rig);
    rig_make_edges(rig);
}

void rig_tear_down(struct rig *rig)
{
    audit_close(rig->audit);
    keystore_free(rig->keys);
    authorized_free(rig->edges);
    assert_int_equal(remove_tree(rig->folder), 0);
}

/* ---- writing ---- */

int rig_try_open(struct rig *rig, const struct audit_quotas *quotas)
{
    int err = audit_open(&rig->audit, &rig->config, NULL, quotas, rig->handover, &rig->now, &rig->fault);
    return err != 0 ? err : audit_start(rig->audit, rig->edges, rig->keys, rig_policy, &rig->now);
}

void rig_open(struct rig *rig)
{
    if (rig_try_open(rig, NULL) != 0)
        fail_msg("%s", rig->fault.text);
}

void rig_close(struct rig *rig)
{
    audit_close(rig->audit);
    rig->audit = NULL;
}

void rig_pass(struct rig *rig, uint64_t ms)
{
    rig->now.mono_ms += ms;
    rig->now.unix_ms += ms;
    rig->now.epoch_ms += ms;
    audit_tick(rig->audit, &rig->now);
}

struct request_identity rig_identity(const struct rig *rig, uint64_t number)
{
    struct request_identity identity = {.edge = authorized_at(rig->edges, number % RIG_EDGES),
                                        .key = keystore_at(rig->keys, number % RIG_KEYS),
                                        .kind = OP_SIGN_TLS13,
                                        .scheme = SCHEME_ED25519,
                                        .channel = {1, 2, 3}};
    memcpy(identity.trace.bytes, &number, sizeof number);
    identity.trace.bytes[15] = 1;
    identity.digest[0] = 9;
    return identity;
}

void rig_add(struct rig *rig, uint64_t number, enum audit_result result)
{
    struct request_identity identity = rig_identity(rig, number);
    audit_add(rig->audit, &identity, result);
}

int rig_use(struct rig *rig, uint64_t number)
{
    rig_add(rig, number, AUDIT_OK);
    return audit_commit(rig->audit);
}

void rig_use_many(struct rig *rig, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        assert_int_equal(rig_use(rig, i), 0);
}

void rig_refuse(struct rig *rig, unsigned edge, enum refusal refusal)
{
    struct request_identity identity = rig_identity(rig, edge);
    const struct operation operation = {.kind = OP_SIGN_TLS13};
    const uint8_t edge_key[IDENTITY_KEY_SIZE] = {0};
    const struct key_request request = {.token = 1, .edge_key = edge_key, .operation = &operation};
    audit_add_refusal(rig->audit, &identity, &request, refusal);
}

/* ---- reading back ---- */

void rig_forget(struct rig_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->item[i].text);
    free(files->item);
    *files = (struct rig_files){.item = NULL};
}

static struct rig_file *rig_add_file(struct rig_files *files)
{
    if (files->count == files->size) {
        files->size = files->size == 0 ? 64 : 2 * files->size;
        files->item = reallocarray(files->item, files->size, sizeof *files->item);
        assert_non_null(files->item);
    }
    return &files->item[files->count++];
}

char *rig_path(const struct rig *rig, const char *name)
{
    static char path[4][200];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", rig->log, name);
    return out;
}

char *rig_read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_non_null(text);
    *length = fread(text, 1, (size_t)size, file);
    fclose(file);
    text[*length] = 0;
    return text;
}

void rig_write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static int rig_compare_files(const void *a, const void *b)
{
    const struct rig_file *x = a, *y = b;
    uint64_t p = audit_file_seq(x->name), q = audit_file_seq(y->name);
    return (p > q) - (p < q);
}

void rig_read(const struct rig *rig, struct rig_files *files)
{
    DIR *dir = opendir(rig->log);
    assert_non_null(dir);
    rig_forget(files);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (audit_file_seq(entry->d_name) == 0)
            continue;
        struct rig_file *file = rig_add_file(files);
        snprintf(file->name, sizeof file->name, "%.60s", entry->d_name);
        file->text = rig_read_file(rig_path(rig, file->name), &file->length);
    }
    closedir(dir);
    qsort(files->item, files->count, sizeof files->item[0], rig_compare_files);
}

int rig_for_lines(const struct rig_file *file, void *context,
                  int (*take)(void *context, const char *line, size_t length, bool ended))
{
    const char *at = file->text, *end = file->text + file->length;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop != NULL ? stop : end) - at);
        int result = take(context, at, length, stop != NULL);
        if (result != 0)
            return result;
        at += length + 1;
    }
    return 0;
}

static int rig_check_line(void *context, const char *line, size_t length, bool ended)
{
    return audit_check_line(context, line, length, ended);
}

enum audit_flaw_kind rig_check(struct audit_check *check, const struct rig_files *files)
{
    int result = 0;
    check->hasher = audit_hasher_new();
    assert_non_null(check->hasher);
    for (size_t i = 0; i < files->count && result == 0; i++) {
        result = audit_check_file(check, files->item[i].name);
        if (result == 0)
            result = rig_for_lines(&files->item[i], check, rig_check_line);
    }
    if (result == 0)
        result = audit_check_end(check);
    audit_hasher_free(check->hasher);
    assert_int_equal(result, check->flaw.kind != FLAW_NONE);
    return check->flaw.kind;
}

uint64_t rig_assert_whole(const struct rig *rig, bool live)
{
    static struct audit_check check;
    static struct rig_files files;
    struct audit_head head;
    memset(&check, 0, sizeof check);
    check.live = live;
    int folder = open(rig->log, O_RDONLY | O_DIRECTORY);
    assert_true(folder >= 0);
    if (audit_head_load(folder, &head) == 0)
        check.anchors[check.anchor_count++] = head.link;
    else
        assert_true(live);
    close(folder);
    rig_read(rig, &files);
    if (rig_check(&check, &files) != FLAW_NONE)
        fail_msg("%s:%llu: %s", check.flaw.file, (unsigned long long)check.flaw.line, check.flaw.fault.text);
    if (check.anchor_count > 0)
        assert_true(audit_head_verify(&head, check.key));
    rig_forget(&files);
    return check.link.seq;
}

static int rig_keep_record(void *context, const char *line, size_t length, bool ended)
{
    struct rig_records *records = context;
    struct audit_record record;
    if (!ended || audit_record_parse(&record, line, length) != 0)
        return 0;
    if (records->count == records->size) {
        records->size = records->size == 0 ? 64 : 2 * records->size;
        records->item = reallocarray(records->item, records->size, sizeof *records->item);
        assert_non_null(records->item);
    }
    records->item[records->count++] = record;
    return 0;
}

void rig_records(const struct rig *rig, struct rig_records *records)
{
    static struct rig_files files;
    *records = (struct rig_records){.item = NULL};
    rig_read(rig, &files);
    for (size_t i = 0; i < files.count; i++)
        (void)!rig_for_lines(&files.item[i], records, rig_keep_record);
    rig_forget(&files);
}

const struct audit_record *rig_first_of(const struct rig_records *records, enum audit_type type)
{
    for (size_t i = 0; i < records->count; i++)
        if (records->item[i].type == type)
            return &records->item[i];
    fail_msg("no record of type %d", (int)type);
    return NULL;
}

uint64_t rig_number(const struct audit_record *record)
{
    uint64_t number;
    memcpy(&number, record->trace, sizeof number);
    return number;
}

size_t rig_count(const struct rig *rig, enum audit_type type)
{
    struct rig_records records;
    size_t count = 0;
    rig_records(rig, &records);
    for (size_t i = 0; i < records.count; i++)
        count += records.item[i].type == type;
    free(records.item);
    return count;
}

void rig_assert_uses(const struct rig *rig, uint64_t first, uint64_t count)
{
    struct rig_records records;
    uint64_t next = first;
    rig_records(rig, &records);
    for (size_t i = 0; i < records.count; i++)
        if (records.item[i].type == AUDIT_USE)
            assert_int_equal(rig_number(&records.item[i]), next++);
    assert_int_equal(next, first + count);
    free(records.item);
}
