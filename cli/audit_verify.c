/* keyless audit verify: is an audit log complete and unaltered, and who has signed it? */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/audit_files.h"
#include "cli/audit_note.h"
#include "cli/audit_print.h"
#include "cli/audit_verbs.h"
#include "cli/files.h"
#include "common/bytes.h"
#include "common/plain_file.h"
#include "keyserver/audit/audit_check.h"

#define NOTES_MAX      100         /* shown; more are counted */
#define PROGRESS_LEAST (32u << 20) /* bytes of a log that is worth it */
#define PROGRESS_STEP  (UINT64_C(1) << 22)

struct verify {
    struct audit_check check;
    struct audit_files files;
    const char *folder;     /* that was named; NULL = files were */
    struct audit_head head; /* of that folder; seq 0 = none */
    bool head_given;        /* with --head */
    bool json;
    uint64_t results[AUDIT_RESULTS], left_out, unrecorded, note_count;
    json_t *notes;               /* records of trouble, owned; NULL unless `json` */
    uint64_t bytes, done, shown; /* for the progress */
};

/* ---- what is in it ---- */

static void note_finding(struct verify *v, const struct audit_record *record)
{
    v->note_count++;
    if (v->note_count > NOTES_MAX)
        return;
    if (v->json) {
        char time[AUDIT_TIME_SIZE];
        json_array_append_new(v->notes, json_pack("{s:I, s:s, s:s}", "seq", (json_int_t)record->seq, "time",
                                                  audit_time_text(record->time_ms, time), "type",
                                                  audit_type_name(record->type)));
    } else {
        fputs("note: ", stdout);
        audit_print_record(stdout, record, false);
    }
}

static void count_record(void *context, const struct audit_record *record)
{
    struct verify *v = context;
    if (record->type == AUDIT_USE)
        v->results[record->result]++;
    else if (record->type == AUDIT_REFUSALS)
        v->left_out += record->count;
    else if (record->type == AUDIT_GAP)
        v->unrecorded += record->unrecorded;
    if (record->type == AUDIT_GAP || record->type == AUDIT_DAMAGE)
        note_finding(v, record);
}

/* ---- progress ---- */

static void show_progress(struct verify *v, uint64_t done)
{
    if (v->bytes < PROGRESS_LEAST || done < v->shown + PROGRESS_STEP || !isatty(STDERR_FILENO))
        return;
    v->shown = done;
    unsigned percent = done < v->bytes ? (unsigned)(100 * done / v->bytes) : 100;
    fprintf(stderr, "\rverified %3u %% of %" PRIu64 " MiB", percent, v->bytes >> 20);
}

static void end_progress(const struct verify *v)
{
    if (v->shown > 0)
        fputs("\r\033[K", stderr);
}

static void add_size(struct verify *v, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && info.st_size > 0)
        v->bytes += (uint64_t)info.st_size;
}

/* ---- reading ---- */

/* 0, 1 when something was found, or an error. */
static int verify_file(struct verify *v, const char *path, struct fault *fault)
{
    struct audit_lines lines;
    const char *line;
    size_t length;
    int more = 1, result = audit_check_file(&v->check, path);
    if (result != 0)
        return result;
    int err = audit_lines_open(&lines, path, PLAIN_FILE_OR_GIVEN, fault);
    if (err != 0)
        return err;
    /* What comes through a pipe need not end, nor need a line: behind one that cannot be a record, whatever
     * follows, nothing is read. */
    while (result == 0 && !lines.skipping && (more = audit_lines_next(&lines, &line, &length)) == 1) {
        result = audit_check_line(&v->check, line, length, true);
        show_progress(v, v->done + lines.taken);
    }
    length = more < 0 || result != 0 ? 0 : audit_lines_rest(&lines, &line);
    if (length > 0)
        result = audit_check_line(&v->check, line, length, false);
    v->done += lines.taken;
    audit_lines_close(&lines);
    return more < 0 ? audit_lines_fail(&lines, path, fault) : result;
}

/* Verifies files that were begun since the folder was read. */
static int verify_new_files(struct verify *v, struct fault *fault)
{
    int result = 0;
    while (result == 0 && v->check.last.type == AUDIT_ROTATE) {
        char *next = audit_files_after(v->files.path[v->files.count - 1]);
        if (next == NULL)
            return 0;
        result = audit_files_add(&v->files, next);
        if (result == 0)
            result = verify_file(v, next, fault);
        free(next);
    }
    return result;
}

static int verify_all(struct verify *v, struct fault *fault)
{
    int result = 0;
    for (size_t i = 0; i < v->files.count; i++)
        add_size(v, v->files.path[i]);
    for (size_t i = 0; i < v->files.count && result == 0; i++)
        result = verify_file(v, v->files.path[i], fault);
    if (result == 0 && v->folder != NULL)
        result = verify_new_files(v, fault);
    if (result == 0)
        result = audit_check_end(&v->check);
    end_progress(v);
    return result;
}

/* ---- the note of the last checkpoint ---- */

/* Before the files are read: whatever is appended meanwhile, they are not shorter than it says now. */
static int take_head(struct verify *v, struct fault *fault)
{
    int err = audit_note_load(&v->head, v->folder, v->check.live && !v->head_given, fault);
    if (err == 0)
        v->check.anchors[v->check.anchor_count++] = v->head.link;
    return err == ERR_NOT_FOUND ? 0 : err;
}

/* Checks the note itself, now that the key is known. */
static int check_head(const struct verify *v, struct fault *fault)
{
    if (v->folder == NULL)
        return 0;
    if (v->head.link.seq != 0)
        return audit_head_verify(&v->head, v->check.key)
                   ? 0
                   : fault_set(fault, ERR_CRYPTO,
                               "%s/" AUDIT_HEAD_FILE ": is not signed by the key of the log", v->folder);
    if (v->head_given)
        return 0;
    return fault_set(fault, ERR_NOT_FOUND,
                     "%s: the file " AUDIT_HEAD_FILE
                     " is missing, so that the end of the log may be, too; give "
                     "--head SEQ:HASH with what the key server logged as event=audit_checkpoint, or name the "
                     "files, where they were kept without it",
                     v->folder);
}

/* ---- telling ---- */

static void print_good(const struct verify *v)
{
    const struct audit_check *check = &v->check;
    char first[AUDIT_TIME_SIZE], last[AUDIT_TIME_SIZE], hash[2 * AUDIT_HASH_SIZE + 1], key[45];
    printf("good: records %" PRIu64 " to %" PRIu64 " in %" PRIu64 " file%s, %s to %s\n", check->first_seq,
           check->link.seq, check->files, check->files == 1 ? "" : "s",
           audit_time_text(check->first_ms, first), audit_time_text(check->last.time_ms, last));
    printf("  decisions: %" PRIu64 " ok", v->results[AUDIT_OK]);
    for (unsigned i = AUDIT_OK + 1; i < AUDIT_RESULTS; i++)
        if (v->results[i] > 0)
            printf(", %" PRIu64 " %s", v->results[i], audit_result_name((enum audit_result)i));
    putchar('\n');
    if (v->left_out > 0)
        printf("  besides %" PRIu64 " that came to nothing, beyond the budget of an edge\n", v->left_out);
    if (v->unrecorded > 0)
        printf("  besides %" PRIu64 " uses that could not be recorded\n", v->unrecorded);
    if (check->checkpoint.seq > 0)
        printf("  signed up to record %" PRIu64 ", hash %s\n", check->checkpoint.seq,
               hex_encode(hash, check->checkpoint.hash, sizeof check->checkpoint.hash));
    printf("  with the key %s%s\n", base64_encode(key, check->key, sizeof check->key),
           check->key_count > 0 ? "" : ", which was not given: compare it with audit.pub of the key server");
}

static int tell_bad(const struct verify *v, const char *where, const struct fault *fault)
{
    const struct audit_check *check = &v->check;
    cli_fail(&cli_audit_verify, CLI_FAILED, "%s%s", where, fault->text);
    if (check->link.seq > 0)
        printf("bad; up to record %" PRIu64 " it is good, and signed up to record %" PRIu64 "\n",
               check->link.seq, check->checkpoint.seq);
    else
        puts("bad");
    return CLI_FAILED;
}

static json_t *json_of_results(const struct verify *v)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < AUDIT_RESULTS; i++)
        json_object_set_new(object, audit_result_name((enum audit_result)i),
                            json_integer((json_int_t)v->results[i]));
    return object;
}

/* Nothing has named a key until the first record of a file is good. */
static json_t *json_of_key(const struct audit_check *check)
{
    char key[45];
    return check->files > 0 ? json_string(base64_encode(key, check->key, sizeof check->key)) : json_null();
}

/* KIND NULL: all is good. A path need not be UTF-8, JSON must: then it is null. */
static json_t *json_of_flaw(const struct audit_flaw *flaw, const char *kind, const struct fault *fault)
{
    if (kind == NULL)
        return json_null();
    json_t *object = json_pack("{s:s, s:I, s:I, s:s}", "kind", kind, "line", (json_int_t)flaw->line, "seq",
                               (json_int_t)flaw->seq, "text", fault->text);
    json_t *file = flaw->file[0] != 0 ? json_string(flaw->file) : NULL;
    json_object_set_new(object, "file", file != NULL ? file : json_null());
    return object;
}

static void print_json(const struct verify *v, const char *kind, const struct fault *fault)
{
    const struct audit_check *check = &v->check;
    char hash[2 * AUDIT_HASH_SIZE + 1];
    json_t *all = json_pack(
        "{s:b, s:I, s:I, s:I, s:{s:I, s:s}, s:o, s:b, s:o, s:I, s:I, s:I, s:O, s:o}", "good", kind == NULL,
        "files", (json_int_t)check->files, "first", (json_int_t)check->first_seq, "last",
        (json_int_t)check->link.seq, "checkpoint", "seq", (json_int_t)check->checkpoint.seq, "hash",
        hex_encode(hash, check->checkpoint.hash, sizeof check->checkpoint.hash), "key", json_of_key(check),
        "key_given", check->key_count > 0, "decisions", json_of_results(v), "left_out",
        (json_int_t)v->left_out, "unrecorded", (json_int_t)v->unrecorded, "note_count",
        (json_int_t)v->note_count, "notes", v->notes, "flaw", json_of_flaw(&check->flaw, kind, fault));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

/* The verdict: RESULT of verify_all(), or what the head is worth. */
static int print_verdict(const struct verify *v, int result)
{
    char where[300] = "";
    struct fault fault = {""};
    const struct audit_flaw *flaw = &v->check.flaw;
    const char *kind = NULL;
    if (result == 1) {
        kind = audit_flaw_name(flaw->kind);
        fault = flaw->fault;
        if (flaw->line > 0)
            snprintf(where, sizeof where, "%s:%" PRIu64 ": ", flaw->file, flaw->line);
    } else if (check_head(v, &fault) != 0) {
        kind = "head";
    }
    if (v->json)
        print_json(v, kind, &fault);
    else if (kind != NULL)
        return tell_bad(v, where, &fault);
    else
        print_good(v);
    return kind != NULL ? CLI_FAILED : CLI_DONE;
}

/* ---- the verb ---- */

enum { KEY = 1, HEAD, PART, LIVE, JSON };

static int take_key(struct audit_check *check, const char *text)
{
    struct fault fault = {""};
    if (check->key_count == AUDIT_CHECK_KEYS)
        return cli_usage(&cli_audit_verify, "more than %d keys", AUDIT_CHECK_KEYS);
    uint8_t *key = check->keys[check->key_count++];
    if (base64_decode(key, SIGN_PUBLIC_SIZE, text) == 0 || sign_load_public(key, text, &fault) == 0)
        return 0;
    return cli_usage(&cli_audit_verify, "--key takes a public key or its file: %s", fault.text);
}

static int take_anchor(struct verify *v, const char *text)
{
    char *colon;
    struct audit_link link = {.seq = strtoull(text, &colon, 10)};
    if (v->head_given)
        return cli_usage(&cli_audit_verify, "one --head is enough: the latest");
    if (link.seq < 1 || link.seq > AUDIT_SEQ_MAX || *colon != ':' ||
        hex_decode(link.hash, sizeof link.hash, colon + 1) != 0)
        return cli_usage(
            &cli_audit_verify,
            "--head takes SEQ:HASH, as in the key server's log: event=audit_checkpoint seq=… hash=…");
    v->check.anchors[v->check.anchor_count++] = link;
    v->head_given = true;
    return 0;
}

static int take_option(struct verify *v, int option)
{
    switch (option) {
    case KEY:
        return take_key(&v->check, optarg);
    case HEAD:
        return take_anchor(v, optarg);
    case PART:
        v->check.part = true;
        return 0;
    case LIVE:
        v->check.live = true;
        return 0;
    case JSON:
        v->json = true;
        return 0;
    default:
        return CLI_USAGE;
    }
}

/* One folder, or files in their order. */
static int find_files(struct verify *v, char *const *names, int count)
{
    struct fault fault = {""};
    struct stat info;
    if (count == 0)
        return cli_usage(&cli_audit_verify, "name the folder of the log, or its files in order");
    if (count == 1 && stat(names[0], &info) == 0 && S_ISDIR(info.st_mode)) {
        v->folder = names[0];
        int err = take_head(v, &fault);
        if (err == 0)
            err = audit_files_list(&v->files, v->folder, &fault);
        if (err != 0)
            return cli_fail(&cli_audit_verify, err == ERR_FORMAT ? CLI_FAILED : CLI_USAGE, "%s", fault.text);
    }
    for (int i = 0; v->folder == NULL && i < count; i++)
        if (audit_files_add(&v->files, names[i]) != 0)
            return cli_fail(&cli_audit_verify, CLI_FAILED, "out of memory");
    if (v->files.count > 0)
        return 0;
    if (v->head.link.seq != 0)
        return cli_fail(&cli_audit_verify, CLI_FAILED,
                        "%s: all files of the log are missing; its last checkpoint was "
                        "record %" PRIu64,
                        v->folder, v->head.link.seq);
    return cli_fail(&cli_audit_verify, CLI_USAGE,
                    "%s: no audit log is there; name the `folder` of the section `audit` in the key server's "
                    "configuration",
                    v->folder);
}

static int verify(struct verify *v, char *const *names, int count)
{
    struct fault fault = {""};
    int result = find_files(v, names, count);
    if (result != 0)
        return result;
    result = verify_all(v, &fault);
    return result < 0 ? cli_fail(&cli_audit_verify, cli_exit_of(result), "%s", fault.text)
                      : print_verdict(v, result);
}

static int run_verify(int argc, char *argv[])
{
    static const struct option options[] = {
        {"key", required_argument, NULL, KEY}, {"head", required_argument, NULL, HEAD},
        {"part", no_argument, NULL, PART},     {"live", no_argument, NULL, LIVE},
        {"json", no_argument, NULL, JSON},     {NULL, 0, NULL, 0}};
    struct verify *v = calloc(1, sizeof *v);
    int option, result = 0;
    if (v == NULL || (v->check.hasher = audit_hasher_new()) == NULL || (v->notes = json_array()) == NULL)
        return cli_fail(&cli_audit_verify, CLI_FAILED, "out of memory"); /* and the end of this process */
    v->check.on_record = count_record;
    v->check.context = v;
    while (result == 0 && (option = cli_option(&cli_audit_verify, argc, argv, "", options)) != -1)
        result = take_option(v, option);
    if (result == 0)
        result = verify(v, argv + optind, argc - optind);
    audit_hasher_free(v->check.hasher);
    audit_files_clear(&v->files);
    json_decref(v->notes);
    free(v);
    return result;
}

const struct cli_verb cli_audit_verify = {
    .name = "audit verify",
    .arguments = "[--key PUBLIC] [--head SEQ:HASH] [--part] [--live] [--json] FOLDER|FILE…",
    .summary = "Tells whether an audit log is complete and unaltered, and where it is not.",
    .help =
        "Finds every record that was changed, removed, moved, doubled or inserted, every file and end that "
        "is\n"
        "missing, and every signature that is wrong; names the first.\n\n"
        "      --key PUBLIC     the key that must have signed: base64, or a file like audit.pub; repeatable\n"
        "      --head SEQ:HASH  a checkpoint that was noted elsewhere and must be there, as the key server "
        "logs\n"
        "                       it every minute: event=audit_checkpoint seq=SEQ hash=HASH\n"
        "      --part           the files are a part of the log: others come before or after them\n"
        "      --live           a vault is writing: the log may end without a signature, behind the first\n"
        "      --json           one object\n\n"
        "FILEs are read in the order given; nothing tells whether others came after them. A FOLDER has a "
        "note of "
        "its\nlast checkpoint, the file `head`, too, and is good with it or with --head only.\n\n"
        "Exit status: 0 good, 1 bad, 2 usage.\n\n"
        "  keyless audit verify --live --key audit.pub /etc/keyless/audit\n",
    .run = run_verify,
};
