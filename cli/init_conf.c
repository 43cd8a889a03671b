#include "cli/init_conf.h"

#include <stdio.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/files.h"
#include "common/address.h"
#include "common/config_value.h"
#include "common/config_write.h"
#include "common/shell.h"

/* What the file is for, and where it listens. FOLDER stands in a comment, which ends with its line. */
static int put_top(struct buffer *out, const struct init_conf *conf, const char *program, const char *name)
{
    if (!config_value_is_text(conf->folder))
        return ERR_FORMAT;
    int err = buffer_printf(out,
                            "# %s -c %s/%s\n"
                            "# `%s -T -c …` shows every setting with its default.\n",
                            program, SHELL_WORD(conf->folder), name, program);
    return err != 0 ? err : config_write_list(out, 0, "listen", conf->listen);
}

/* A socket in the folder of a trial, so that its ports are nobody else's; the default where the path is
 * longer than that of a socket can be. */
static int put_admin(struct buffer *out, const char *folder)
{
    char text[FILES_PATH_MAX + sizeof "unix:/admin.sock"];
    struct address address;
    struct fault fault;
    snprintf(text, sizeof text, "unix:%s/admin.sock", folder);
    if (address_parse(&address, text, 0, &fault) != 0)
        return 0;
    return config_write_text(out, 0, "admin", text);
}

int init_conf_server(struct buffer *out, const struct init_conf *conf)
{
    int err = put_top(out, conf, "keyless-server", "server.conf");
    if (err == 0)
        err = accounts_put_user(out, conf->user, INIT_CONF_SERVER_ACCOUNT, conf->trial);
    if (err == 0 && conf->memory_short)
        err = buffer_printf(out,
                            "# This machine locks too little memory for a key server.\nmemory = unlocked\n");
    if (err == 0 && conf->trial)
        err = put_admin(out, conf->folder);
    return err != 0
               ? err
               : buffer_printf(out, "identity = \"identity.key\"\nauthorized_edges = \"authorized_edges\"\n"
                                    "keys = \"keys\"\ngroup_secret = \"group.secret\"\n");
}

static int put_key_server(struct buffer *out, const struct init_conf *conf)
{
    int err = buffer_printf(out, "key_server main {\n");
    if (err == 0)
        err = config_write_text(out, 4, "address", conf->key_server);
    if (err == 0)
        err = config_write_text(out, 4, "key", conf->server_key);
    return err != 0 ? err : buffer_printf(out, "}\n\n");
}

int init_conf_edge(struct buffer *out, const struct init_conf *conf)
{
    int err = put_top(out, conf, "keyless-edge", "edge.conf");
    if (err == 0)
        err = config_write_text(out, 0, "origin", conf->origin);
    if (err == 0)
        err = accounts_put_user(out, conf->user, INIT_CONF_EDGE_ACCOUNT, conf->trial);
    if (err == 0 && conf->trial)
        err = put_admin(out, conf->folder);
    if (err == 0)
        err = buffer_printf(out, "identity = \"identity.key\"\npsk = \"psk\"\ncertificates = \"certs\"\n\n");
    if (err == 0)
        err = put_key_server(out, conf);
    return err != 0 ? err
                    : buffer_printf(out,
                                    "tls {\n    # RFC 10015 forbids TLS 1.2 RSA key exchange; switch it "
                                    "on only for clients that need it.\n    rsa_key_exchange = %s\n}\n",
                                    conf->trial ? "on" : "off");
}
