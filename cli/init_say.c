#include "cli/init_say.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/shell.h"

/* ---- as JSON ---- */

/* TEXT, or null when it is none, or no UTF-8 (a path may be anything). */
static void put_text(json_t *object, const char *name, const char *text)
{
    json_t *value = text == NULL ? NULL : json_string(text);
    json_object_set_new(object, name, value != NULL ? value : json_null());
}

static void put_path(json_t *object, const char *name, const char *folder, const char *file)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    put_text(object, name, path);
}

static json_t *half_json(const struct init_half *half, bool is_server)
{
    if (half == NULL)
        return json_null();
    json_t *object = json_object();
    put_text(object, "folder", half->folder);
    put_path(object, "config", half->folder, is_server ? "server.conf" : "edge.conf");
    put_path(object, is_server ? "keys" : "certificates", half->folder, is_server ? "keys" : "certs");
    put_text(object, "public_key", half->public_key);
    return object;
}

static void print_json(const struct init_made *made)
{
    json_t *object = json_object();
    json_object_set_new(object, "server", half_json(made->server, true));
    json_object_set_new(object, "edge", half_json(made->edge, false));
    if (made->server != NULL && made->edge != NULL && !made->own_keys)
        put_path(object, "ca", made->folder, "ca.pem");
    if (made->line != NULL) {
        json_t *line = json_stringn(made->line, strcspn(made->line, "\n"));
        json_object_set_new(object, "authorized_edges_line", line != NULL ? line : json_null());
    }
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

/* ---- for a person ---- */

void init_say_trial(const struct init_made *made)
{
    if (made->json) {
        print_json(made);
        return;
    }
    printf("A trial is ready in %s. In two terminals:\n"
           "  keyless-server -c %s/server.conf\n  keyless-edge -c %s/edge.conf\n"
           "With an origin on %s, fetch through the edge at %s",
           made->folder, SHELL_WORD(made->server->folder), SHELL_WORD(made->edge->folder), made->origin,
           made->edge_listen);
    if (!made->own_keys)
        printf(" (trust %s/ca.pem)", made->folder);
    puts(".");
}

void init_say_server(const struct init_made *made)
{
    const char *folder = made->server->folder;
    const char *port = strrchr(made->server_listen, ':');
    if (made->json) {
        print_json(made);
        return;
    }
    printf("The key server's half is ready in %s.\n", folder);
    if (!made->own_keys)
        printf("Put private keys into %s/keys (mode 0400).\n", folder);
    printf(
        "\nOn the edge's machine run this, with an address at which the edge reaches this machine:\n\n"
        "  keyless init --edge --key-server THIS-MACHINE%s --server-key %s --cert CERTIFICATE.pem --origin "
        "127.0.0.1:8080 DIR\n\n"
        "It prints a line to paste into %s/authorized_edges. Then:\n\n  keyless-server -c %s/server.conf\n",
        port != NULL ? port : ":2407", made->server->public_key, folder, SHELL_WORD(folder));
}

void init_say_edge(const struct init_made *made)
{
    const char *folder = made->edge->folder;
    if (made->json) {
        print_json(made);
        return;
    }
    printf("The edge's half is ready in %s.\n", folder);
    if (!made->own_keys)
        printf("Put certificate chains, without keys, into %s/certs.\n", folder);
    printf("\nAppend this line to authorized_edges on the key server. It holds a secret: carry it over a way "
           "you trust.\n\n%s\nThen:\n\n"
           "  keyless-edge -c %s/edge.conf\n",
           made->line, SHELL_WORD(folder));
}
