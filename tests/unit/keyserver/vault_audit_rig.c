#include "tests/unit/keyserver/vault_audit_rig.h"

#include "keyserver/vault/audit/handover.h"

struct rig rig;
uint64_t next_token = 5000;

int start(void **state)
{
    (void)state;
    rig_set_up(&rig);
    return 0;
}

int stop(void **state)
{
    (void)state;
    rig_tear_down(&rig);
    return 0;
}

/* Each test has a log of its own. */
int set_up(void **state)
{
    (void)state;
    keys_remove_folder(rig.audit);
    rig.config.audit.on_failure = SERVER_AUDIT_REFUSE;
    return rig_start(&rig) ? 0 : -1;
}

int tear_down(void **state)
{
    rig_forget_left(&rig);
    (void)state;
    return rig.pid == 0 ? 0 : rig_end(&rig);
}

/* ---- the log, read back ---- */

struct audit_record records[RECORDS_MAX];
size_t record_count;

glob_t files_of_log(void)
{
    glob_t files;
    char pattern[KEYS_PATH_SIZE + 64];
    snprintf(pattern, sizeof pattern, "%s/audit-*.jsonl", rig.audit);
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    return files;
}

static void read_file(const char *path)
{
    static char line[AUDIT_LINE_MAX + 1];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file) != NULL; record_count++) {
        assert_true(record_count < RECORDS_MAX);
        assert_int_equal(audit_record_parse(&records[record_count], line, strcspn(line, "\n")), 0);
    }
    fclose(file);
}

void read_records(void)
{
    glob_t files = files_of_log();
    record_count = 0;
    for (size_t i = 0; i < files.gl_pathc; i++)
        read_file(files.gl_pathv[i]);
    globfree(&files);
}

const struct audit_record *find(enum audit_type type, uint64_t token)
{
    const struct audit_record *found = NULL;
    read_records();
    for (size_t i = 0; i < record_count; i++) {
        if (records[i].type != type || (type == AUDIT_USE && records[i].trace[0] != (uint8_t)token))
            continue;
        assert_null(found);
        found = &records[i];
    }
    return found;
}

size_t count(enum audit_type type)
{
    size_t n = 0;
    read_records();
    for (size_t i = 0; i < record_count; i++)
        n += records[i].type == type;
    return n;
}

/* ---- asking ---- */

struct operation signing(void)
{
    return keys_tls13(rig.pkey[HAS_P256], SCHEME_ECDSA_P256_SHA256, 32);
}

enum operation_status ask(unsigned edge, const struct operation *operation)
{
    struct wall_request request = rig_request(++next_token, edge, operation);
    memcpy(request.channel, "channel1", CHANNEL_NAME_SIZE);
    rig_send(&rig, &request, 1);
    return rig_outcome(&rig, next_token).status;
}

/* ---- across vaults ---- */

static void add_used(const struct handover_count *count, void *sum)
{
    *(uint64_t *)sum += count->used;
}

uint64_t left_used(void)
{
    struct handover reader;
    uint64_t sum = 0;
    handover_init(&reader, rig.before_fd, -1, false);
    (void)handover_each_count(&reader, 0, SIZE_MAX, add_used, &sum);
    return sum;
}

/* The time of the second turn is later than the pause. */
void let_pass(struct rig *vault)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    struct operation operation = signing();
    nanosleep(&pause, NULL);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(rig_ask(vault, EDGE_SIGNER, &operation).status, STATUS_OK);
}

void begin_handing_over(void)
{
    assert_int_equal(rig_end(&rig), 0);
    rig.hands_over = true;
    assert_true(rig_start(&rig));
}

void assert_used_up_for_good(void)
{
    struct operation operation = signing();
    for (unsigned i = 0; i < 3; i++) {
        if (i == 2)
            rig_forget_left(&rig);
        assert_true(rig_start(&rig));
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
        assert_int_equal(rig_end(&rig), 0);
    }
}
