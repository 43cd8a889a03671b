#include "keyserver/net/admission.h"

#include <string.h>

#include "common/clock.h"

void admission_settings(struct channel_listener_settings *out, const struct server_config *config)
{
    channel_listener_settings_default(out);
    out->half_open_max = (unsigned)config->half_open_max;
    out->handshakes_per_second = (unsigned)config->handshakes_per_second;
    out->channel.connect_timeout_ms = config->handshake_timeout;
    out->channel.idle_timeout_ms = config->idle_timeout;
    out->channel.ping_interval_ms = 0; /* the edge pings */
    /* Whoever keeps to its requests in flight never comes to this limit, however slow the network. */
    out->channel.unsent_max = service_unsent_max(config);
}

static int on_lookup(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from,
                     struct channel_verdict *verdict, void *user)
{
    const struct admission *admission = user;
    const struct authorized_edge *edge = authorized_find(admission->authorized, key);

    if (edge == NULL || !authorized_from(edge, from) || !date_span_has(&edge->valid, clock_unix()))
        return ERR_REFUSED;
    memcpy(verdict->psk, edge->psk, sizeof verdict->psk);
    verdict->user = user;
    return 0;
}

struct review {
    const struct admission *admission;
    const struct authorized *before;
};

static int check(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from, void *user)
{
    const struct review *review = user;
    const struct authorized_edge *edge = authorized_find(review->admission->authorized, key);

    if (edge == NULL || !date_span_has(&edge->valid, clock_unix()))
        return ERR_REFUSED;
    switch (authorized_change_of(review->admission->authorized, review->before, key, from)) {
    case AUTHORIZED_CHANGE_NONE:
        return 0;
    case AUTHORIZED_CHANGE_PSK:
        return ERR_CRYPTO;
    default:
        return ERR_REFUSED;
    }
}

void admission_review(const struct admission *admission, const struct authorized *before,
                      struct channel_listener *listener)
{
    struct review review = {.admission = admission, .before = before};

    channel_listener_review(listener, check, &review);
}

/* ---- strangers ---- */

/* The level and hint of each kind of drop: a warning where the owner of the key server can mend it. */
static const struct {
    enum log_level level;
    const char *hint;
} drop_words[DROP_KINDS] = {
    [DROP_BUDGET] = {LOG_WARN, "raise handshakes_per_second if this is an edge"},
    [DROP_HALF_OPEN] = {LOG_WARN, "raise half_open_max, or keep strangers out with a firewall"},
    [DROP_DEADLINE] = {LOG_INFO, "if this is an edge, look for what holds its packets back"},
    [DROP_CUT] = {LOG_DEBUG, "if this is an edge, its own log says why it left"},
    [DROP_HANDSHAKE] =
        {LOG_INFO,
         "if this is an edge, the key that its configuration gives for this key server is another one's"},
    [DROP_UNKNOWN] = {LOG_WARN, "add a line with this key to authorized_edges"},
    [DROP_PSK] = {LOG_WARN, "give the edge the psk of its line in authorized_edges"},
};

/* The hint for a drop; more specific than the table's where the peer is known. */
static void hint_for(struct fault *hint, enum channel_drop why, const struct admission *admission,
                     const struct authorized_edge *edge, const struct address *from)
{
    const char *file = admission->authorized_file;

    if (why == DROP_UNKNOWN && edge == NULL)
        (void)fault_set(hint, 0, "add a line with this key to %s and reload keyless-server (SIGHUP)", file);
    else if (why == DROP_UNKNOWN && !authorized_from(edge, from))
        (void)fault_set(hint, 0, "from= in %s line %u does not cover this address", file, edge->line);
    else if (why == DROP_UNKNOWN)
        (void)fault_set(
            hint, 0,
            "%s in %s line %u; change it and reload keyless-server (SIGHUP), if the edge shall come in",
            clock_unix() < edge->valid.first ? "not_before= has not come yet" : "not_after= has passed", file,
            edge->line);
    else if (why == DROP_PSK && edge != NULL)
        (void)fault_set(hint, 0, "its psk differs from the one in %s line %u", file, edge->line);
    else
        (void)fault_set(hint, 0, "%s", drop_words[why].hint);
}

static void on_drop(enum channel_drop why, const uint8_t *key, const struct address *from, void *user)
{
    const struct admission *admission = user;
    const struct authorized_edge *edge = key != NULL ? authorized_find(admission->authorized, key) : NULL;
    char address[ADDRESS_TEXT_SIZE], key_text[IDENTITY_TEXT_SIZE] = "-";
    struct fault hint = {.text = ""};

    counter_add(&service_counters(admission->service)->drops[why], 1);
    if (key != NULL)
        base64_encode(key_text, key, NOISE_KEY_SIZE);
    hint_for(&hint, why, admission, edge, from);
    log_event(drop_words[why].level, "edge_dropped", "reason=%s address=%s edge=%s key=\"%s\" hint=\"%s\"",
              channel_drop_name(why), address_text(from, address), edge != NULL ? edge->name : "-", key_text,
              hint.text);
}

static void on_exhausted(int error, void *user)
{
    const struct admission *admission = user;

    counter_add(&service_counters(admission->service)->accept_pauses, 1);
    log_event(LOG_ERROR, "accept_paused", "error=\"%s\" hint=\"%s\"", strerror(error),
              "raise LimitNOFILE= of the service, or lower half_open_max; connections wait in the kernel "
              "meanwhile");
}

static void on_broken(const struct address *at, void *user)
{
    char address[ADDRESS_TEXT_SIZE];

    (void)user;
    log_event(
        LOG_ERROR, "listener_broken",
        "address=%s error=\"the socket does not listen any more\" hint=\"nobody can connect at this address "
        "until keyless-server is restarted\"",
        address_text(at, address));
}

/* ---- edges: until it is open, a channel's user is the admission's; from then on its peer, or nobody ---- */

static void on_open(struct channel *channel, void *user)
{
    const struct admission *admission = user;
    const struct authorized_edge *edge = authorized_find(admission->authorized, channel_peer_key(channel));
    struct peer *peer = edge != NULL ? service_attach(admission->service, channel, edge) : NULL;

    channel_set_user(channel, peer);
    if (peer == NULL)
        channel_close(channel);
    else
        channel_set_share(channel, &peer->edge_state->share);
}

static void on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    (void)channel;
    if (user != NULL)
        peer_message(user, bytes, length);
}

static void on_close(struct channel *channel, int why, void *user)
{
    struct peer *peer = user;

    (void)channel;
    if (peer == NULL)
        return;
    peer_log_end(peer, why);
    service_detach(peer->user, peer);
}

const struct channel_listener_handlers admission_handlers = {
    .on_lookup = on_lookup,
    .on_drop = on_drop,
    .on_exhausted = on_exhausted,
    .on_broken = on_broken,
    .channel = {.on_open = on_open, .on_message = on_message, .on_close = on_close}};
