/* keyless status: what running daemons say of themselves on their admin endpoints. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/status_print.h"
#include "common/admin.h"

#define TIMEOUT_MS 5000
#define WHY_SIZE   128

/* Where the daemons listen unless told otherwise: the key server, then the edge. */
static const char *const usual[] = {"127.0.0.1:2406", "127.0.0.1:2405"};
#define USUAL_COUNT (sizeof usual / sizeof usual[0])

/* One daemon that was asked. */
struct answer {
    const char *address;
    json_t *status;     /* owned; NULL = no answer */
    bool ready;         /* /ready and /live said 200 */
    char why[WHY_SIZE]; /* why it is not ready, or why there is no answer */
};

static void say_why_not(struct answer *answer, int result)
{
    if (result == ERR_SYSTEM)
        snprintf(answer->why, sizeof answer->why, "%s", strerror(errno));
    else if (result < 0)
        snprintf(answer->why, sizeof answer->why, "%s", err_string(result));
    else
        snprintf(answer->why, sizeof answer->why, "answers with HTTP status %d, not as a daemon of keyless",
                 result);
}

static void read_status(struct answer *answer, const struct address *address)
{
    struct buffer body = {0};
    int result = admin_get(address, "/status.json", TIMEOUT_MS, &body);
    if (result == 200)
        answer->status = json_loadb((const char *)buffer_bytes(&body), buffer_length(&body),
                                    JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_string(json_object_get(answer->status, "program"))) {
        json_decref(answer->status);
        answer->status = NULL;
        say_why_not(answer, result == 200 ? ERR_FORMAT : result);
    }
    buffer_clear(&body);
}

/* Whether PATH says 200; if not, why. */
static bool is_well(struct answer *answer, const struct address *address, const char *path)
{
    struct buffer body = {0};
    int result = admin_get(address, path, TIMEOUT_MS, &body);
    if (result < 0) {
        say_why_not(answer, result);
    } else if (result != 200) {
        snprintf(answer->why, sizeof answer->why, "%.*s", (int)buffer_length(&body),
                 buffer_length(&body) > 0 ? (const char *)buffer_bytes(&body) : "");
        answer->why[strcspn(answer->why, "\r\n")] = 0;
    }
    buffer_clear(&body);
    return result == 200;
}

static int ask_daemon(struct answer *answer, const char *text)
{
    struct fault fault = {0};
    struct address address;
    *answer = (struct answer){.address = text};
    if (address_parse(&address, text, 0, &fault) != 0)
        return cli_usage(&cli_status, "%s", fault.text);
    read_status(answer, &address);
    if (answer->status != NULL)
        answer->ready = is_well(answer, &address, "/ready") && is_well(answer, &address, "/live");
    return 0;
}

static void show(const struct answer *answer, json_t *list, const struct status_view *view)
{
    if (list != NULL)
        json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s, s:O*}", "address", answer->address,
                                              "reachable", answer->status != NULL, "ready", answer->ready,
                                              "why", answer->why, "status", answer->status));
    else if (answer->status != NULL)
        status_print(stdout, answer->status, answer->address, answer->ready ? NULL : answer->why, view);
}

static int result_of(const struct answer *answer)
{
    if (answer->status == NULL)
        return CLI_UNREACHABLE;
    return answer->ready ? CLI_DONE : CLI_FAILED;
}

/* Each of the given addresses must answer. */
static int ask_given(char *const *addresses, int count, json_t *list, const struct status_view *view)
{
    int worst = CLI_DONE;
    for (int i = 0; i < count; i++) {
        struct answer answer;
        int result = ask_daemon(&answer, addresses[i]);
        if (result != 0)
            return result;
        show(&answer, list, view);
        if (answer.status == NULL)
            cli_fail(&cli_status, CLI_UNREACHABLE,
                     "%s: %s; is the daemon running, and is this the `admin` of its configuration?",
                     addresses[i], answer.why);
        if (result_of(&answer) > worst)
            worst = result_of(&answer);
        json_decref(answer.status);
    }
    return worst;
}

/* One answer of the usual addresses is enough: few machines run both daemons. */
static int ask_usual(json_t *list, const struct status_view *view)
{
    int worst = CLI_DONE;
    size_t found = 0;
    for (size_t i = 0; i < USUAL_COUNT; i++) {
        struct answer answer;
        int result = ask_daemon(&answer, usual[i]);
        if (result != 0)
            return result;
        if (answer.status != NULL) {
            found++;
            show(&answer, list, view);
            if (result_of(&answer) > worst)
                worst = result_of(&answer);
        }
        json_decref(answer.status);
    }
    if (found > 0)
        return worst;
    return cli_fail(&cli_status, CLI_UNREACHABLE,
                    "no daemon answers at %s (keyless-server) or %s (keyless-edge); start one, or name the "
                    "`admin` of its configuration: keyless status unix:/run/keyless/admin.sock",
                    usual[0], usual[1]);
}

enum { JSON = 1, ALL };

static int run_status(int argc, char *argv[])
{
    static const struct option options[] = {
        {"json", no_argument, NULL, JSON}, {"all", no_argument, NULL, ALL}, {0}};
    struct status_view view = {.colour = cli_colour()};
    json_t *list = NULL;
    int option;
    while ((option = cli_option(&cli_status, argc, argv, "", options)) != -1) {
        if (option != JSON && option != ALL)
            return CLI_USAGE;
        view.all = view.all || option == ALL;
        if (option == JSON && list == NULL)
            list = json_array();
    }
    int result = optind < argc ? ask_given(argv + optind, argc - optind, list, &view)
                               : ask_usual(list, &view);
    if (list != NULL && result != CLI_USAGE) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
    return result;
}

const struct cli_verb cli_status = {
    .name = "status",
    .arguments = "[--all] [--json] [ADDRESS…]",
    .summary = "Shows what running daemons say of themselves, and whether they are ready.",
    .help = "ADDRESS is the `admin` of a configuration: HOST:PORT or unix:PATH. Without one the usual\n"
            "addresses are tried, 127.0.0.1:2406 (keyless-server) and 127.0.0.1:2405 (keyless-edge).\n\n"
            "      --all    every certificate and channel, not only the worst\n"
            "      --json   everything the daemons say\n\n"
            "Exit status: 0 ready, 1 not ready, 3 no answer.\n",
    .run = run_status,
};
