#include "cli/trace_tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define PAGE_MAX (64 << 20) /* bytes of a page that are read at most */

static const struct {
    int content_type;
    int message;  /* first byte: the handshake type; -1 = any */
    int outgoing; /* 1 = written by the client */
    enum trace_step step;
} messages[] = {
    {SSL3_RT_HANDSHAKE, SSL3_MT_CLIENT_HELLO, 1, STEP_CLIENT_HELLO},
    {SSL3_RT_HANDSHAKE, SSL3_MT_SERVER_HELLO, 0, STEP_SERVER_HELLO},
    {SSL3_RT_HANDSHAKE, SSL3_MT_CERTIFICATE, 0, STEP_CERTIFICATE},
    {SSL3_RT_HANDSHAKE, SSL3_MT_SERVER_DONE, 0, STEP_SERVER_HELLO_DONE},
    {SSL3_RT_HANDSHAKE, SSL3_MT_CLIENT_KEY_EXCHANGE, 1, STEP_CLIENT_KEY_EXCHANGE},
    {SSL3_RT_CHANGE_CIPHER_SPEC, -1, 1, STEP_CLIENT_CCS},
    {SSL3_RT_HANDSHAKE, SSL3_MT_FINISHED, 1, STEP_CLIENT_FINISHED},
    /* OpenSSL shows an incoming ChangeCipherSpec by its record header only. */
    {SSL3_RT_HEADER, SSL3_RT_CHANGE_CIPHER_SPEC, 0, STEP_SERVER_CCS},
    {SSL3_RT_HANDSHAKE, SSL3_MT_FINISHED, 0, STEP_SERVER_FINISHED},
};

static struct trace_note *note(struct trace_run *run, enum trace_step step, size_t bytes)
{
    struct trace_note *place = &run->step[step];
    place->seen = true;
    place->ns = clock_ns() - run->began_ns;
    place->bytes = bytes;
    return place;
}

static void on_message(int outgoing, int version, int content_type, const void *bytes, size_t length,
                       SSL *ssl, void *user)
{
    (void)version;
    (void)ssl;
    const uint8_t *first = bytes;
    if (length == 0)
        return;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        if (messages[i].content_type == content_type && messages[i].outgoing == outgoing &&
            (messages[i].message < 0 || messages[i].message == *first)) {
            note(user, messages[i].step, content_type == SSL3_RT_HEADER ? 1 : length);
            return;
        }
}

static int fail(struct trace_run *run, int code, const char *what)
{
    unsigned long reason = ERR_peek_last_error();
    const char *text = reason == 0 ? "the peer closed the connection" : ERR_reason_error_string(reason);
    return fault_set(&run->fault, code, "%s: %s", what, text != NULL ? text : "failed");
}

static SSL_CTX *make_context(const struct trace_target *target, struct trace_run *run)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(context, target->cipher)) {
        fail(run, ERR_UNSUPPORTED, target->cipher);
        SSL_CTX_free(context);
        return NULL;
    }
    if (target->insecure)
        return context;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    int good = target->ca != NULL ? SSL_CTX_load_verify_file(context, target->ca)
                                  : SSL_CTX_set_default_verify_paths(context);
    if (good)
        return context;
    fail(run, ERR_CONFIG, target->ca != NULL ? target->ca : "the system's trusted certificates");
    SSL_CTX_free(context);
    return NULL;
}

static void tell_about_hellos(struct trace_run *run, SSL *ssl, const struct trace_target *target)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    SSL_get_client_random(ssl, run->client_random, sizeof run->client_random);
    snprintf(run->step[STEP_CLIENT_HELLO].detail, sizeof run->step[0].detail,
             "offers TLS 1.2, suites %s, name %s", target->cipher, target->host);
    snprintf(run->step[STEP_SERVER_HELLO].detail, sizeof run->step[0].detail, "chooses %s, %s",
             SSL_get_version(ssl), cipher != NULL ? SSL_CIPHER_get_name(cipher) : "no suite");
}

static void tell_about_certificate(struct trace_run *run, SSL *ssl)
{
    X509 *cert = SSL_get1_peer_certificate(ssl);
    char name[100] = "none";
    if (cert == NULL)
        return;
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    for (char *c = name; *c != 0; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
    snprintf(run->step[STEP_CERTIFICATE].detail, sizeof run->step[0].detail, "for %s, %s-%d", name,
             EVP_PKEY_get0_type_name(X509_get0_pubkey(cert)), EVP_PKEY_get_bits(X509_get0_pubkey(cert)));
    int modulus = EVP_PKEY_get_size(X509_get0_pubkey(cert));
    snprintf(run->step[STEP_CLIENT_KEY_EXCHANGE].detail, sizeof run->step[0].detail,
             "the 48-byte pre-master secret, encrypted to %d bytes", modulus);
    X509_free(cert);
}

static int get_page(struct trace_run *run, SSL *ssl, const struct trace_target *target)
{
    char request[1200], block[16384], head[16] = "";
    int length = snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nUser-Agent: keyless-trace\r\n\r\n", target->path,
        target->host);
    if (length < 0 || (size_t)length >= sizeof request)
        return fault_set(&run->fault, ERR_LENGTH, "the URL is too long");
    if (SSL_write(ssl, request, length) != length)
        return fail(run, ERR_CUT, "the request could not be sent");
    size_t total = 0;
    int got;
    while (total < PAGE_MAX && (got = SSL_read(ssl, block, sizeof block)) > 0) {
        for (size_t i = total; i < sizeof head - 1 && i - total < (size_t)got; i++)
            head[i] = block[i - total];
        total += (size_t)got;
    }
    if (total == 0)
        return fail(run, ERR_CUT, "no answer to the GET");
    if (strncmp(head, "HTTP/1.", 7) == 0)
        run->http_status = atoi(head + 9);
    snprintf(note(run, STEP_HTTP, total)->detail, sizeof run->step[0].detail, "GET %.80s, status %d",
             target->path, run->http_status);
    return 0;
}

static int handshake_and_page(struct trace_run *run, SSL *ssl, const struct trace_target *target)
{
    ERR_clear_error();
    if (SSL_connect(ssl) != 1) {
        long verdict = SSL_get_verify_result(ssl);
        if (verdict != X509_V_OK)
            return fault_set(&run->fault, ERR_CRYPTO,
                             "the certificate is not trusted for %s: %s; name its root with --ca",
                             target->host, X509_verify_cert_error_string(verdict));
        return fail(run, ERR_CUT, "the handshake failed");
    }
    tell_about_hellos(run, ssl, target);
    tell_about_certificate(run, ssl);
    note(run, STEP_ESTABLISHED, 0);
    int err = target->path != NULL ? get_page(run, ssl, target) : 0;
    if (err != 0)
        return err;
    bool by_server = (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    SSL_shutdown(ssl);
    snprintf(note(run, STEP_CLOSED, 0)->detail, sizeof run->step[0].detail, "%s, then TCP FIN",
             by_server ? "close_notify from the server and back" : "close_notify by the client");
    return 0;
}

int trace_tls_run(struct trace_run *run, const struct trace_target *target, int fd)
{
    int err = 0;
    SSL_CTX *context = make_context(target, run);
    SSL *ssl = context == NULL ? NULL : SSL_new(context);
    if (ssl == NULL)
        err = run->fault.text[0] ? ERR_CONFIG : fault_set(&run->fault, ERR_MEMORY, "out of memory");
    else if (!SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, target->host) ||
             !SSL_set1_host(ssl, target->host))
        err = fail(run, ERR_MEMORY, "OpenSSL");
    if (err == 0) {
        SSL_set_msg_callback(ssl, on_message);
        SSL_set_msg_callback_arg(ssl, run);
        err = handshake_and_page(run, ssl, target);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return err;
}

/* ---- the local comparison ---- */

struct key_watch {
    uint64_t exchange_ns; /* when the ClientKeyExchange had been read */
    uint64_t done_ns;     /* when the next message was looked at */
};

static void on_local_message(int outgoing, int version, int content_type, const void *bytes, size_t length,
                             SSL *ssl, void *user)
{
    (void)version;
    (void)ssl;
    struct key_watch *watch = user;
    const uint8_t *first = bytes;
    if (outgoing || length == 0)
        return;
    if (content_type == SSL3_RT_HANDSHAKE && *first == SSL3_MT_CLIENT_KEY_EXCHANGE)
        watch->exchange_ns = clock_ns();
    else if (watch->exchange_ns != 0 && watch->done_ns == 0)
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
        local->key_ns = watch.done_ns - watch.exchange_ns;
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
