/* keyless check: what a start would find wrong, and more, with the hint. */
#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/files.h"
#include "cli/side.h"
#include "common/plain_file.h"
#include "common/privileges.h"
#include "common/secret.h"

#define FILES_MAX    16
#define USUAL_SERVER "/etc/keyless/server.conf"
#define USUAL_EDGE   "/etc/keyless/edge.conf"

struct wanted {
    struct {
        const char *file;
        enum config_side side;
    } item[FILES_MAX];
    size_t count;
    bool online, json;
    bool explain;
    struct check_question question;
};

/* ---- what both sides have ---- */

bool check_identity(struct findings *findings, const char *path)
{
    struct fault fault = {0};
    struct identity *identity = NULL;
    char public[IDENTITY_TEXT_SIZE];
    if (identity_load(&identity, path, &fault) != 0) {
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
        return false;
    }
    findings_add(findings, FINDING_OK, "%s: identity with the public key %s", path,
                 base64_encode(public, identity->public, sizeof identity->public));
    secret_free(identity);
    return true;
}

void check_user(struct findings *findings, const char *file, const char *user)
{
    struct fault fault = {0};
    if (privileges_check_named(file, user, &fault) != 0)
        findings_add(findings, FINDING_ERROR, "%s", fault.text);
}

/* ---- which side a file is of ---- */

/* Finds out the side where it was not said; an exit code. */
static int detect(const char *file, enum config_side *side)
{
    const char *why;
    FILE *stream = plain_file_open_stream(file, PLAIN_FILE_OR_GIVEN, &why);
    if (stream == NULL)
        return cli_fail(&cli_check, CLI_USAGE, "%s: cannot be read: %s", file, why);
    if (*side == CONFIG_SIDE_UNKNOWN)
        *side = side_find(file, stream);
    fclose(stream);
    if (*side == CONFIG_SIDE_UNKNOWN && strcmp(files_base_name(file), "server.conf") == 0)
        *side = CONFIG_SIDE_SERVER;
    if (*side == CONFIG_SIDE_UNKNOWN && strcmp(files_base_name(file), "edge.conf") == 0)
        *side = CONFIG_SIDE_EDGE;
    if (*side == CONFIG_SIDE_UNKNOWN)
        return cli_usage(&cli_check, "%s: of which daemon is it? Say --server %s or --edge %s", file, file,
                         file);
    return 0;
}

/* ---- the verb ---- */

enum { SERVER = 1, EDGE, ONLINE, JSON, EXPLAIN, FROM, NAME, AT };

static int add_file(struct wanted *wanted, const char *file, enum config_side side)
{
    if (wanted->count == FILES_MAX)
        return cli_usage(&cli_check, "more than %d files", FILES_MAX);
    wanted->item[wanted->count].file = file;
    wanted->item[wanted->count++].side = side;
    return 0;
}

static int take_option(struct wanted *wanted, int option)
{
    switch (option) {
    case 'c':
        return add_file(wanted, optarg, CONFIG_SIDE_UNKNOWN);
    case SERVER:
        return add_file(wanted, optarg, CONFIG_SIDE_SERVER);
    case EDGE:
        return add_file(wanted, optarg, CONFIG_SIDE_EDGE);
    case ONLINE:
        wanted->online = true;
        return 0;
    case JSON:
        wanted->json = true;
        return 0;
    case EXPLAIN:
        wanted->explain = true;
        return 0;
    case FROM:
        wanted->question.from = optarg;
        return 0;
    case NAME:
        wanted->question.name = optarg;
        return 0;
    case AT:
        wanted->question.at = optarg;
        return 0;
    default:
        return CLI_USAGE;
    }
}

/* What stands behind the options: of an explanation what it is asked, else nothing. */
static int take_words(struct wanted *wanted, int count, char *words[])
{
    const struct check_question *question = &wanted->question;
    if (!wanted->explain && count > 0)
        return cli_usage(&cli_check, "%s: what is this for? A configuration is given with -c FILE", words[0]);
    if (!wanted->explain && (question->from != NULL || question->name != NULL || question->at != NULL))
        return cli_usage(&cli_check, "--from, --name and --at belong to --explain");
    if (!wanted->explain)
        return 0;
    if (count != 3)
        return cli_usage(&cli_check, "--explain takes three words: EDGE KEY OPERATION");
    if (wanted->online || wanted->count > 1 ||
        (wanted->count == 1 && wanted->item[0].side == CONFIG_SIDE_EDGE))
        return cli_usage(&cli_check, "--explain asks one key server's configuration; name one server.conf");
    for (size_t i = 0; i < 3; i++)
        wanted->question.words[i] = words[i];
    return 0;
}

static int read_wanted(struct wanted *wanted, int argc, char *argv[])
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"server", required_argument, NULL, SERVER},
        {"edge", required_argument, NULL, EDGE},  {"online", no_argument, NULL, ONLINE},
        {"json", no_argument, NULL, JSON},        {"explain", no_argument, NULL, EXPLAIN},
        {"from", required_argument, NULL, FROM},  {"name", required_argument, NULL, NAME},
        {"at", required_argument, NULL, AT},      {0},
    };
    int option, result = 0;
    while (result == 0 && (option = cli_option(&cli_check, argc, argv, "c:", options)) != -1)
        result = take_option(wanted, option);
    return result != 0 ? result : take_words(wanted, argc - optind, argv + optind);
}

static int complete_wanted(struct wanted *wanted)
{
    bool edge = false, usual = wanted->count == 0;
    if (usual && access(USUAL_SERVER, F_OK) == 0)
        wanted->item[wanted->count++].file = USUAL_SERVER;
    if (usual && access(USUAL_EDGE, F_OK) == 0)
        wanted->item[wanted->count++].file = USUAL_EDGE;
    if (wanted->count == 0)
        return cli_usage(&cli_check, "neither " USUAL_SERVER " nor " USUAL_EDGE
                                     " is there; name a configuration with -c FILE");
    for (size_t i = 0; i < wanted->count; i++) {
        int result = detect(wanted->item[i].file, &wanted->item[i].side);
        if (result != 0)
            return result;
        edge = edge || wanted->item[i].side == CONFIG_SIDE_EDGE;
    }
    if (wanted->online && !edge)
        return cli_usage(&cli_check, "--online asks the key servers of an edge; name its edge.conf");
    return 0;
}

/* "A, B and every file that they name"; cut where it becomes too long. */
static void list_files(const struct wanted *wanted, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < wanted->count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", wanted->item[i].file);
    if (used < size)
        snprintf(out + used, size - used, " and every file %s%s",
                 wanted->count == 1 ? "it names" : "they name",
                 wanted->online ? ", and asked the key servers" : "");
}

static int explain(const struct wanted *wanted)
{
    const char *file = wanted->count > 0 ? wanted->item[0].file : USUAL_SERVER;
    return check_explain(file, &wanted->question, wanted->json);
}

static int run_check(int argc, char *argv[])
{
    struct wanted wanted = {.count = 0};
    int result = read_wanted(&wanted, argc, argv);
    if (result == 0 && wanted.explain)
        return explain(&wanted);
    if (result == 0)
        result = complete_wanted(&wanted);
    if (result != 0)
        return result;
    log_init("keyless", LOG_ERROR, LOG_LOGFMT); /* what the daemons would log is found here as well */
    char names[1024] = "";
    struct findings findings = {.json = wanted.json, .looked_at = names};
    list_files(&wanted, names, sizeof names);
    for (size_t i = 0; i < wanted.count; i++) {
        if (wanted.item[i].side == CONFIG_SIDE_SERVER)
            check_server_file(&findings, wanted.item[i].file);
        else
            check_edge_file(&findings, wanted.item[i].file, wanted.online);
    }
    return findings_end(&findings);
}

const struct cli_verb cli_check = {
    .name = "check",
    .arguments = "[-c FILE]… [--server FILE] [--edge FILE] [--online] [--json]\n"
                 "       keyless check --explain EDGE KEY OPERATION [-c FILE] [--from ADDRESS] "
                 "[--name NAME] [--at TIME] [--json]",
    .summary = "Checks configurations and every file they name; says how to mend what is wrong.",
    .help = "  -c, --config FILE   a server.conf or edge.conf, told apart by its options; repeatable\n"
            "                      (" USUAL_SERVER " and " USUAL_EDGE ", what there is)\n"
            "      --server FILE   the same, said to be a key server's\n"
            "      --edge FILE     … an edge's\n"
            "      --online        also asks the edge's key servers whether they have the key of every\n"
            "                      certificate, and for what\n"
            "      --json\n"
            "      --explain       says step by step whether the edge may ask this of the key, and\n"
            "                      which line says so; EDGE is a name or a public key, KEY a name or an\n"
            "                      id\n"
            "      --from ADDRESS  … from there\n"
            "      --name NAME     … for a client that asks for this server (\"\" for none)\n"
            "      --at TIME       … at another time than now, like 2026-12-31 or 2026-12-31T12:00:00Z\n\n"
            "Exit status: 0 nothing worse than a warning, 1 errors, 2 usage, 3 a key server did not answer;\n"
            "with --explain 0 granted, 4 refused.\n",
    .run = run_check,
};
