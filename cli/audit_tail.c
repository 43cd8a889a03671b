/* keyless audit tail: the last records of an audit log, and those that follow. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/audit_files.h"
#include "cli/audit_print.h"
#include "cli/audit_verbs.h"
#include "cli/files.h"
#include "common/bytes.h"
#include "common/clock.h"

#define COUNT_MAX    1000000
#define LOOK_EACH_NS (200 * NS_PER_MS)

struct tail {
    /* Only decisions that are like that are shown; NULL = all. */
    const char *edge, *key, *op, *result, *trace;
    bool follow, json;
    bool damaged; /* a line was no record */
    bool begun;   /* there is a whole line, whether or not it is shown */
    long count;
    bool colour;
    struct audit_files files;
    struct audit_lines lines;
    const char *path; /* that is being read */
    uint64_t number;  /* of its last line */
    uint64_t skip;    /* that match and come before the last COUNT */
};

/* ---- which are shown ---- */

static bool is_hex_of(const char *text, const uint8_t *bytes, size_t size)
{
    char hex[2 * AUDIT_KEY_SIZE + 1];
    hex_encode(hex, bytes, size);
    return text[0] != 0 && strncmp(hex, text, strlen(text)) == 0;
}

static bool is_edge(const char *text, const struct audit_record *r)
{
    char base64[45];
    return strcmp(r->edge, text) == 0 ||
           ((r->has & AUDIT_HAS_EDGE_KEY) != 0 &&
            strcmp(base64_encode(base64, r->edge_key, sizeof r->edge_key), text) == 0);
}

static bool is_key(const char *text, const struct audit_record *r)
{
    return strcmp(r->key, text) == 0 ||
           ((r->has & AUDIT_HAS_KEY_ID) != 0 && strlen(text) == 2 * sizeof r->key_id &&
            is_hex_of(text, r->key_id, sizeof r->key_id));
}

static bool matches(const struct tail *tail, const struct audit_record *r)
{
    bool filtered = tail->edge != NULL || tail->key != NULL || tail->op != NULL || tail->result != NULL ||
                    tail->trace != NULL;
    if (!filtered)
        return true;
    if (r->type != AUDIT_USE && r->type != AUDIT_REFUSALS)
        return false;
    return (tail->edge == NULL || is_edge(tail->edge, r)) && (tail->key == NULL || is_key(tail->key, r)) &&
           (tail->op == NULL || strcmp(r->op, tail->op) == 0) &&
           (tail->result == NULL || strcmp(audit_result_name(r->result), tail->result) == 0) &&
           (tail->trace == NULL ||
            ((r->has & AUDIT_HAS_TRACE) != 0 && is_hex_of(tail->trace, r->trace, sizeof r->trace)));
}

/* ---- showing ---- */

static void show(struct tail *tail, const char *line, size_t length)
{
    struct audit_record record;
    bool good = audit_record_parse(&record, line, length) == 0;
    tail->number++;
    if (good && !matches(tail, &record))
        return;
    if (tail->skip > 0) {
        tail->skip--;
        return;
    }
    if (!good) {
        fprintf(stderr, "keyless audit tail: %s:%llu: this is no record; run: keyless audit verify\n",
                tail->path, (unsigned long long)tail->number);
        tail->damaged = true;
    } else if (tail->json) {
        printf("%.*s\n", (int)length, line);
    } else {
        audit_print_record(stdout, &record, tail->colour);
    }
}

/* Shows what there is of this file. */
static int show_lines(struct tail *tail)
{
    const char *line;
    size_t length;
    int result;
    while ((result = audit_lines_next(&tail->lines, &line, &length)) == 1)
        show(tail, line, length);
    return result;
}

static int open_file(struct tail *tail, const char *path, struct fault *fault)
{
    tail->path = path;
    tail->number = 0;
    return audit_lines_open(&tail->lines, path, PLAIN_FILE_ONLY, fault); /* which can be read twice */
}

/* ---- where it begins ---- */

/* How many lines of the file would be shown. */
static int count_file(struct tail *tail, const char *path, uint64_t *count, struct fault *fault)
{
    struct audit_record record;
    const char *line;
    size_t length;
    int result = open_file(tail, path, fault);
    *count = 0;
    if (result != 0)
        return result;
    while ((result = audit_lines_next(&tail->lines, &line, &length)) == 1) {
        tail->begun = true;
        *count += audit_record_parse(&record, line, length) != 0 || matches(tail, &record);
    }
    audit_lines_close(&tail->lines);
    return result < 0 ? audit_lines_fail(&tail->lines, path, fault) : 0;
}

/* The file in which the last `count` begin, and what of it is to be passed over. */
static int find_begin(struct tail *tail, size_t *begin, struct fault *fault)
{
    uint64_t wanted = (uint64_t)tail->count, there = 0, more;
    *begin = tail->files.count - 1;
    for (size_t i = tail->files.count; i-- > 0 && (there < wanted || i + 1 == tail->files.count);) {
        int err = count_file(tail, tail->files.path[i], &more, fault);
        if (err != 0)
            return err;
        there += more;
        *begin = i;
    }
    tail->skip = there > wanted ? there - wanted : 0;
    return 0;
}

/* ---- following ---- */

/* Forever. A file that has another behind it is complete: what came meanwhile is shown first. */
static int follow(struct tail *tail, struct fault *fault)
{
    const struct timespec moment = {.tv_nsec = LOOK_EACH_NS};
    for (;;) {
        if (fflush(stdout) != 0)
            return 0; /* nobody reads the output any more */
        char *next = audit_files_after(tail->path);
        int result = show_lines(tail);
        if (result < 0 || next == NULL) {
            free(next);
            if (result < 0)
                return audit_lines_fail(&tail->lines, tail->path, fault);
            nanosleep(&moment, NULL);
            continue;
        }
        audit_lines_close(&tail->lines);
        result = audit_files_add(&tail->files, next);
        free(next);
        if (result == 0)
            result = open_file(tail, tail->files.path[tail->files.count - 1], fault);
        if (result != 0)
            return result;
    }
}

static int show_all(struct tail *tail, struct fault *fault)
{
    size_t begin;
    int err = find_begin(tail, &begin, fault);
    for (size_t i = begin; err == 0 && i < tail->files.count; i++) {
        audit_lines_close(&tail->lines);
        err = open_file(tail, tail->files.path[i], fault);
        if (err == 0 && show_lines(tail) < 0)
            err = audit_lines_fail(&tail->lines, tail->path, fault);
    }
    if (err == 0 && tail->follow)
        err = follow(tail, fault);
    audit_lines_close(&tail->lines);
    return err;
}

/* Nothing to show is no error where records are passed over by choice; it is one where there are none. */
static int check_begun(const struct tail *tail, const char *path, struct fault *fault)
{
    if (tail->begun)
        return 0;
    return fault_set(fault, ERR_FORMAT,
                     "%s: not one whole record is in it; name the `folder` of section `audit` in the key "
                     "server's configuration, or say -f to wait for the first one",
                     path);
}

/* ---- the verb ---- */

enum { EDGE = 1, KEY, OP, RESULT, TRACE, JSON };

static int take_count(struct tail *tail, const char *text)
{
    char *end;
    if (strcmp(text, "all") == 0) {
        tail->count = LONG_MAX;
        return 0;
    }
    tail->count = strtol(text, &end, 10);
    return *text != 0 && *end == 0 && tail->count >= 0 && tail->count <= COUNT_MAX
               ? 0
               : cli_usage(&cli_audit_tail, "-n takes a number from 0 to %d, or \"all\"", COUNT_MAX);
}

static int take_option(struct tail *tail, int option)
{
    enum audit_result result;
    switch (option) {
    case 'f':
        tail->follow = true;
        return 0;
    case 'n':
        return take_count(tail, optarg);
    case EDGE:
        tail->edge = optarg;
        return 0;
    case KEY:
        tail->key = optarg;
        return 0;
    case OP:
        tail->op = optarg;
        return 0;
    case RESULT:
        tail->result = optarg;
        return audit_result_parse(optarg, &result) == 0
                   ? 0
                   : cli_usage(&cli_audit_tail,
                               "--result %s: it may be ok, refused, busy, expired, cancelled or fault",
                               optarg);
    case TRACE:
        tail->trace = optarg;
        return 0;
    case JSON:
        tail->json = true;
        return 0;
    default:
        return CLI_USAGE;
    }
}

static int find_files(struct tail *tail, const char *path, struct fault *fault)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        int err = audit_files_list(&tail->files, path, fault);
        if (err == 0 && tail->files.count == 0)
            err = fault_set(fault, ERR_NOT_FOUND,
                            "%s: no audit log is there; name the `folder` of its section "
                            "`audit` in the key server's configuration",
                            path);
        return err;
    }
    return audit_files_add(&tail->files, path);
}

static int run_tail(int argc, char *argv[])
{
    static const struct option options[] = {{"edge", required_argument, NULL, EDGE},
                                            {"key", required_argument, NULL, KEY},
                                            {"op", required_argument, NULL, OP},
                                            {"result", required_argument, NULL, RESULT},
                                            {"trace", required_argument, NULL, TRACE},
                                            {"json", no_argument, NULL, JSON},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"lines", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct tail tail = {.count = 10, .colour = cli_colour(), .lines = {.fd = -1}};
    struct fault fault = {""};
    int option, result = 0;
    while (result == 0 && (option = cli_option(&cli_audit_tail, argc, argv, "fn:", options)) != -1)
        result = take_option(&tail, option);
    if (result == 0 && argc != optind + 1)
        result = cli_usage(&cli_audit_tail, "name one folder or file");
    if (result == 0) {
        int err = find_files(&tail, argv[optind], &fault);
        if (err == 0)
            err = show_all(&tail, &fault);
        if (err == 0)
            err = check_begun(&tail, argv[optind], &fault);
        if (err != 0)
            result = cli_fail(&cli_audit_tail, cli_exit_of(err), "%s", fault.text);
        else if (tail.damaged)
            result = CLI_FAILED;
    }
    audit_files_clear(&tail.files);
    return result;
}

const struct cli_verb cli_audit_tail = {
    .name = "audit tail",
    .arguments =
        "[-f] [-n COUNT] [--edge EDGE] [--key KEY] [--op OP] [--result RESULT] [--trace TRACE] [--json] "
        "FOLDER|FILE",
    .summary = "Shows the last records of an audit log, a line each, and those that follow.",
    .help = "  -f, --follow         go on, from file to file, until interrupted\n"
            "  -n, --lines COUNT    how many to begin with (10), or \"all\"\n"
            "      --edge EDGE      only decisions on requests of this edge: its name, or its public key\n"
            "      --key KEY        only on this key: its name, or its id in hex\n"
            "      --op OP          only of this operation, like sign_tls13\n"
            "      --result RESULT  only ok, refused, busy, expired, cancelled or fault\n"
            "      --trace TRACE    only of the trace id that begins like that\n"
            "      --json           the records as they stand in the log\n\n"
            "It does not verify what it shows: that is for `keyless audit verify`.\n\n"
            "  keyless audit tail -f --result refused /etc/keyless/audit\n",
    .run = run_tail,
};
