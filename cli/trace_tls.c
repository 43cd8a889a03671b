#include "cli/trace_tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_MAX (64 << 20) /* bytes of a page that are read at most */

static int fail(struct trace_run *run, int code, const char *what)
{
    unsigned long reason = ERR_peek_last_error();
    const char *text = reason == 0 ? "the peer closed the connection" : ERR_reason_error_string(reason);
    return fault_set(&run->fault, code, "%s: %s", what, text != NULL ? text : "failed");
}

static int set_suites(SSL_CTX *context, const struct trace_target *target)
{
    int lowest = target->version != 0 ? target->version : TLS1_2_VERSION;
    int highest = target->version != 0 ? target->version : TLS1_3_VERSION;
    if (!SSL_CTX_set_min_proto_version(context, lowest) || !SSL_CTX_set_max_proto_version(context, highest))
        return 0;
    if (target->cipher == NULL)
        return 1;
    return target->version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(context, target->cipher)
                                             : SSL_CTX_set_cipher_list(context, target->cipher);
}

static SSL_CTX *make_context(const struct trace_target *target, struct trace_run *run)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !set_suites(context, target)) {
        fail(run, ERR_UNSUPPORTED, target->cipher != NULL ? target->cipher : "the version of TLS");
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
    snprintf(trace_note_add(run, STEP_HTTP, total)->detail, sizeof run->note[0].detail,
             "GET %.80s, status %d", target->path, run->http_status);
    return 0;
}

static bool offers_rsa_only(SSL *ssl)
{
    STACK_OF(SSL_CIPHER) *offered = SSL_get1_supported_ciphers(ssl);
    bool only = offered != NULL && sk_SSL_CIPHER_num(offered) > 0;
    for (int i = 0; only && i < sk_SSL_CIPHER_num(offered); i++)
        only = SSL_CIPHER_get_kx_nid(sk_SSL_CIPHER_value(offered, i)) == NID_kx_rsa;
    sk_SSL_CIPHER_free(offered);
    return only;
}

/* Why no handshake came about, and what to switch on. */
static int fail_handshake(struct trace_run *run, SSL *ssl, const struct trace_target *target)
{
    long verdict = SSL_get_verify_result(ssl);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    bool refused = trace_note_find(run, STEP_SERVER_HELLO) == NULL; /* what was offered */
    if (verdict != X509_V_OK)
        return fault_set(&run->fault, ERR_CRYPTO,
                         "the certificate is not trusted for %s: %s; name its root with --ca", target->host,
                         X509_verify_cert_error_string(verdict));
    if (refused && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE && offers_rsa_only(ssl))
        return fault_set(
            &run->fault, ERR_REFUSED,
            "the edge takes no RSA key exchange for %s; leave --cipher out to trace what it takes, or "
            "write rsa_key_exchange = on into the tls section of its configuration and restart it (it "
            "needs an RSA certificate for that name)",
            target->host);
    if (refused && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
        return fault_set(&run->fault, ERR_REFUSED,
                         "the edge takes none of the suites %s for %s; name others with --cipher, see "
                         "ciphers and ciphersuites in the tls section of its configuration",
                         target->cipher != NULL ? target->cipher : "of OpenSSL", target->host);
    if (refused && reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION && target->version != 0)
        return fault_set(&run->fault, ERR_REFUSED,
                         "the edge does not take TLS %s; see minimum_version and maximum_version in the tls "
                         "section of its configuration, or trace the other version: --tls %s",
                         target->version == TLS1_3_VERSION ? "1.3" : "1.2",
                         target->version == TLS1_3_VERSION ? "1.2" : "1.3");
    return fail(run, ERR_CUT, "the handshake failed");
}

static int handshake_and_page(struct trace_run *run, SSL *ssl, const struct trace_target *target)
{
    ERR_clear_error();
    if (SSL_connect(ssl) != 1)
        return fail_handshake(run, ssl, target);
    run->version = SSL_version(ssl);
    run->suite = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
    trace_note_details(run, ssl, target->cipher != NULL ? target->cipher : "of OpenSSL", target->host);
    trace_note_add(run, STEP_ESTABLISHED, 0);
    int err = target->path != NULL ? get_page(run, ssl, target) : 0;
    if (err != 0)
        return err;
    bool by_server = (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    SSL_shutdown(ssl);
    snprintf(trace_note_add(run, STEP_CLOSED, 0)->detail, sizeof run->note[0].detail, "%s, then TCP FIN",
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
        SSL_set_msg_callback(ssl, trace_note_message);
        SSL_set_msg_callback_arg(ssl, run);
        err = handshake_and_page(run, ssl, target);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return err;
}
