#include "edge/session/session_log.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/name_text.h"

#define NAME_SIZE NAME_TEXT_SIZE(255)
#define ALPN_SIZE 64

/* Each failure in words, where the TLS library has none. */
static const char *const explanations[SESSION_FAILURES] = {
    [FAILURE_NONE] = "",
    [FAILURE_KEY_TIMEOUT] = "no key server answered in time",
    [FAILURE_KEY_REFUSED] = "the key server refuses this edge the key; its log says why",
    [FAILURE_KEY_BUSY] = "the key servers are overloaded",
    [FAILURE_KEY_UNAVAILABLE] = "no key server is connected or able to answer",
    [FAILURE_KEY_SERVERS_GONE] = ("every key server is known to be gone, and when_unavailable is fail; "
                                  "key_server_connect_failed says why"),
    [FAILURE_KEY_INVALID] = "the key server's answer is not right for this certificate",
    [FAILURE_INTERNAL] = "this edge or its OpenSSL could not go on",
    [FAILURE_TLS] = "the two sides could not agree",
    [FAILURE_RSA_WITHHELD] =
        "the client offers RSA key exchange only, and this edge may not serve it with that",
    [FAILURE_HELLO_TOO_LONG] = "the client's ClientHello has more than 63 KiB",
    [FAILURE_HELLO_DISPLACED] = ("the client's ClientHello has more than 16 KiB, and many others began "
                                 "such a handshake before this one was done"),
    [FAILURE_CLIENT_GONE] = "the client left",
    [FAILURE_TIMEOUT] = "the client took too long",
    [FAILURE_MEMORY] = "out of memory",
    [FAILURE_STOPPED] = "this edge stops",
};

/* What a failed handshake has to do with RSA key exchange; "-" for nothing. */
static const char *rsa_text(const struct session *session)
{
    enum rsa_mode mode = bound_mode(&session->bound);

    if (session->failure == FAILURE_RSA_WITHHELD)
        return rsa_withheld_name(session->hello.choice.withheld);
    return mode != RSA_MODE_NONE ? rsa_mode_name(mode) : "-";
}

static const char *sni(const struct session *session, char out[static NAME_SIZE])
{
    return name_text(out, NAME_SIZE, SSL_get_servername(session->io.ssl, TLSEXT_NAMETYPE_host_name));
}

void session_log_handshake_failed(const struct session *session, const char *text)
{
    char from[ADDRESS_TEXT_SIZE], name[NAME_SIZE], trace[2 * TRACE_ID_SIZE + 1];
    const char *server = session->trace.server;
    /* A client that leaves is normal; a key that is unavailable is not. */
    enum log_level level = session->failure >= FAILURE_KEY_TIMEOUT && session->failure < FAILURE_TLS
                               ? LOG_WARN
                               : LOG_INFO;

    log_event(level, "handshake_failed",
              "client=%s sni=%s reason=%s state=%s key_server=%s key_status=%s key_us=%llu rsa=%s "
              "error=\"%s\" trace=%s",
              address_text(&session->from, from), sni(session, name),
              session_stats_failure_name(session->failure), session_state_name(session->state),
              server ? server : "-", session->trace.operation ? status_name(session->trace.status) : "-",
              (unsigned long long)(session->key_ns / 1000), rsa_text(session),
              text ? text : explanations[session->failure], trace_id_text(&session->trace.id, trace));
}

void session_log_impossible(const struct session *session, enum session_event event)
{
    char from[ADDRESS_TEXT_SIZE], trace[2 * TRACE_ID_SIZE + 1];

    log_event(LOG_ERROR, "session_impossible",
              "client=%s state=%s happened=%s error=\"this cannot happen in this state; the connection is "
              "closed\" hint=\"a fault of keyless-edge: report it with this line\" trace=%s",
              address_text(&session->from, from), session_state_name(session->state),
              session_event_name(event), trace_id_text(&session->trace.id, trace));
}

void session_log_stuck(const struct session *session)
{
    char from[ADDRESS_TEXT_SIZE], trace[2 * TRACE_ID_SIZE + 1];

    log_event(LOG_ERROR, "session_stuck",
              "client=%s tries=%u error=\"the abandoned handshake does not end; its memory stays until the "
              "process ends\" hint=\"a fault of keyless-edge or OpenSSL: report it with this line and "
              "OpenSSL's version\" trace=%s",
              address_text(&session->from, from), session->abandon_tries,
              trace_id_text(&session->trace.id, trace));
}

void session_log_origin_failed(const struct session *session, const char *why)
{
    char from[ADDRESS_TEXT_SIZE], origin[ADDRESS_TEXT_SIZE], trace[2 * TRACE_ID_SIZE + 1];

    log_event(LOG_WARN, "origin_failed", "client=%s origin=%s origin_for=%s error=\"%s\" trace=%s",
              address_text(&session->from, from), endpoint_text(&session->route->endpoint, origin),
              session->route->protocol, why, trace_id_text(&session->trace.id, trace));
}

void session_log_connection(const struct session *session)
{
    char from[ADDRESS_TEXT_SIZE], name[NAME_SIZE], trace[2 * TRACE_ID_SIZE + 1], protocol[ALPN_SIZE] = "";
    char alpn_text[ALPN_SIZE];
    const unsigned char *alpn = NULL;
    unsigned alpn_length = 0;
    const SSL *ssl = session->io.ssl;
    bool done = session->trace.at[TRACE_HANDSHAKE_DONE] != 0;

    SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
    if (alpn_length && alpn_length < sizeof(protocol))
        memcpy(protocol, alpn, alpn_length);
    const uint64_t *at = session->trace.at;
    log_record(
        "connection",
        "client=%s sni=%s version=%s cipher=%s kind=%s resumed=%s alpn=%s handshake_us=%llu key_us=%llu "
        "key_server=%s origin_for=%s bytes_in=%llu bytes_out=%llu duration_ms=%llu result=%s trace=%s",
        address_text(&session->from, from), sni(session, name), done ? SSL_get_version(ssl) : "-",
        done ? SSL_get_cipher_name(ssl) : "-", done ? tls_kind_name(session->kind) : "-",
        done && SSL_session_reused(ssl) ? "yes" : "no", name_text(alpn_text, sizeof(alpn_text), protocol),
        (unsigned long long)(done ? (at[TRACE_HANDSHAKE_DONE] - at[TRACE_CLIENT_HELLO]) / 1000 : 0),
        (unsigned long long)(session->key_ns / 1000), session->trace.server ? session->trace.server : "-",
        session->route ? session->route->protocol : "-", (unsigned long long)session->moved[RELAY_TO_ORIGIN],
        (unsigned long long)session->moved[RELAY_TO_CLIENT],
        (unsigned long long)(at[TRACE_CLOSED] / NS_PER_MS), session_stats_result_name(session->result),
        trace_id_text(&session->trace.id, trace));
}
