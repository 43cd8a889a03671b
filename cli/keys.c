/* keyless keys: which keys the key servers let this edge use, and for what. */
#include <jansson.h>
#include <stdio.h>

#include "cli/servers.h"
#include "common/bytes.h"

struct keys {
    json_t *list; /* NULL = print for a person */
    size_t count; /* of the current server */
};

static json_t *operations_json(uint32_t mask)
{
    json_t *list = json_array();
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++)
        if (operation_uses_key(kind) && (mask & OPERATION_BIT(kind)) != 0)
            json_array_append_new(list, json_string(operation_name(kind)));
    return list;
}

static void print_key(const char *server, const struct key_info *key)
{
    char id[2 * KEY_ID_SIZE + 1];
    const char *type = key_type_name(key->type);
    printf("%s  %-8s %4u bits  %s ", server, type != NULL ? type : "?", (unsigned)key->bits,
           hex_encode(id, key->key_id, sizeof key->key_id));
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++)
        if (operation_uses_key(kind) && (key->operations & OPERATION_BIT(kind)) != 0)
            printf(" %s", operation_name(kind));
    putchar('\n');
}

static void add_key(json_t *list, const char *server, const struct key_info *key)
{
    char id[2 * KEY_ID_SIZE + 1];
    const char *type = key_type_name(key->type);
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:o}", "server", server, "key_id",
                                          hex_encode(id, key->key_id, sizeof key->key_id), "type",
                                          type != NULL ? type : "?", "bits", (int)key->bits, "operations",
                                          operations_json(key->operations)));
}

static void on_keys(const char *server, enum operation_status status, const struct key_info *list,
                    size_t count, void *user)
{
    struct keys *keys = user;
    (void)status;
    keys->count += count;
    for (size_t i = 0; i < count; i++) {
        if (keys->list != NULL)
            add_key(keys->list, server, &list[i]);
        else
            print_key(server, &list[i]);
    }
}

static int list_keys(struct asking *asking, void *user)
{
    struct keys *keys = user;
    const struct client_server *server = asking->server;
    char address[ADDRESS_TEXT_SIZE], why[SERVERS_WHY_SIZE];
    keys->count = 0;
    enum operation_status status = servers_list_keys(asking, on_keys, keys);
    endpoint_text(&server->endpoint, address);
    if (status != STATUS_OK)
        return cli_fail(&cli_keys, CLI_UNREACHABLE, "%s (%s): %s", server->name, address,
                        servers_why(asking, why));
    if (keys->count == 0)
        return cli_fail(
            &cli_keys, CLI_REFUSED,
            "%s (%s) lets this edge use no key; see keys= and ops= of its line in authorized_edges",
            server->name, address);
    return CLI_DONE;
}

enum { JSON = 1 };

static int run_keys(int argc, char *argv[])
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, JSON}, {0}};
    struct keys keys = {0};
    struct servers servers;
    const char *file = "/etc/keyless/edge.conf";
    int option;
    while ((option = cli_option(&cli_keys, argc, argv, "c:", options)) != -1) {
        if (option == 'c')
            file = optarg;
        else if (option == JSON)
            keys.list = json_array();
        else
            return CLI_USAGE;
    }
    int result = servers_open(&servers, &cli_keys, file, argv[optind]);
    if (result == 0) {
        result = servers_each(&servers, &cli_keys, list_keys, &keys);
        servers_close(&servers);
    }
    if (keys.list != NULL) {
        json_dumpf(keys.list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(keys.list);
    return result;
}

const struct cli_verb cli_keys = {
    .name = "keys",
    .arguments = "[-c EDGE.CONF] [--json] [SERVER]",
    .summary = "Lists the keys that the key servers let this edge use, and for what.",
    .help = "  -c, --config FILE   the edge's configuration (/etc/keyless/edge.conf)\n      --json\n",
    .run = run_keys,
};
