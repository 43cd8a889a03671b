#include "cli/trace_local.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "common/clock.h"

struct key_watch {
    uint64_t begun_ns; /* RSA: the ClientKeyExchange has been read; else: the Certificate has been made */
    uint64_t done_ns;  /* RSA: the next message was looked at; else: the signed message has been made */
};

/* What the key is used between, as the server's own messages go by. */
static void on_local_message(int outgoing, int version, int content_type, const void *bytes, size_t length,
                             SSL *ssl, void *user)
{
    (void)version;
    (void)ssl;
    struct key_watch *watch = user;
    const uint8_t *first = bytes;
    if (length == 0 || watch->done_ns != 0)
        return;
    if (outgoing && content_type == SSL3_RT_HANDSHAKE && *first == SSL3_MT_CERTIFICATE)
        watch->begun_ns = clock_ns();
    else if (outgoing && content_type == SSL3_RT_HANDSHAKE &&
             (*first == SSL3_MT_SERVER_KEY_EXCHANGE || *first == SSL3_MT_CERTIFICATE_VERIFY))
        watch->done_ns = clock_ns();
    else if (!outgoing && content_type == SSL3_RT_HANDSHAKE && *first == SSL3_MT_CLIENT_KEY_EXCHANGE)
        watch->begun_ns = clock_ns();
    else if (!outgoing && watch->begun_ns != 0 && content_type != SSL3_RT_HEADER)
        watch->done_ns = clock_ns();
}

static int serve_once(struct trace_local *local, SSL_CTX *context)
{
    struct key_watch watch = {0};
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || !SSL_set_fd(ssl, local->fd)) {
        SSL_free(ssl);
        return fault_set(&local->fault, ERR_MEMORY, "out of memory");
    }
    SSL_set_msg_callback(ssl, on_local_message);
    SSL_set_msg_callback_arg(ssl, &watch);
    int err = SSL_accept(ssl) == 1 ? 0
                                   : fault_set(&local->fault, ERR_CUT, "the local server's handshake failed");
    if (err == 0) {
        local->key_ns = watch.done_ns - watch.begun_ns;
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    return err;
}

void *trace_local_serve(void *argument)
{
    struct trace_local *local = argument;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, local->cert_file) != 1)
        local->result = fault_set(&local->fault, ERR_CONFIG, "%s: no certificate chain in PEM",
                                  local->cert_file);
    else if (SSL_CTX_use_PrivateKey_file(context, local->key_file, SSL_FILETYPE_PEM) != 1)
        local->result = fault_set(&local->fault, ERR_CONFIG, "%s: no private key in PEM, or not that of %s",
                                  local->key_file, local->cert_file);
    else
        local->result = serve_once(local, context);
    SSL_CTX_free(context);
    close(local->fd);
    ERR_clear_error();
    return NULL;
}
