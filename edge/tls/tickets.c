#include "edge/tls/tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/secret.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ticket_ring *process_ring; /* guarded memory; NULL = no tickets */

/* ---- the ring ---- */

static void key_make(struct ticket_key *key, uint64_t now_ms)
{
    random_bytes(key->name, sizeof key->name);
    random_bytes(key->cipher, sizeof key->cipher);
    random_bytes(key->mac, sizeof key->mac);
    key->born_ms = now_ms;
}

static bool older(const struct ticket_key *key, uint64_t age_ms, uint64_t now_ms)
{
    return key->born_ms != 0 && now_ms - key->born_ms >= age_ms;
}

void tickets_ring_turn(struct ticket_ring *ring, uint64_t now_ms)
{
    if (older(&ring->previous, ring->lifetime_ms, now_ms))
        wipe(&ring->previous, sizeof ring->previous);
    if (ring->current.born_ms != 0 && !older(&ring->current, ring->lifetime_ms / 2, now_ms))
        return;
    wipe(&ring->previous, sizeof ring->previous);
    if (!older(&ring->current, ring->lifetime_ms, now_ms))
        ring->previous = ring->current;
    key_make(&ring->current, now_ms);
}

const struct ticket_key *tickets_ring_find(const struct ticket_ring *ring,
                                           const uint8_t name[static TICKET_NAME_SIZE])
{
    if (ring->current.born_ms != 0 && memcmp(ring->current.name, name, TICKET_NAME_SIZE) == 0)
        return &ring->current;
    if (ring->previous.born_ms != 0 && memcmp(ring->previous.name, name, TICKET_NAME_SIZE) == 0)
        return &ring->previous;
    return NULL;
}

/* ---- the process's ring ---- */

int tickets_start(uint64_t lifetime_ms)
{
    int err = 0;
    pthread_mutex_lock(&lock);
    if (process_ring == NULL)
        process_ring = secret_new(sizeof *process_ring);
    if (process_ring == NULL)
        err = ERR_MEMORY;
    else
        process_ring->lifetime_ms = lifetime_ms;
    pthread_mutex_unlock(&lock);
    return err;
}

void tickets_stop(void)
{
    pthread_mutex_lock(&lock);
    secret_free(process_ring);
    process_ring = NULL;
    pthread_mutex_unlock(&lock);
}

/* What the ticket callback returns to OpenSSL. */
enum { TICKET_ERROR = -1, TICKET_UNKNOWN = 0, TICKET_GOOD = 1, TICKET_RENEW = 2 };

/* Copies the key to seal with (fills NAME), or to open NAME with; the caller wipes it. */
static int key_pick(struct ticket_key *out, uint8_t *name, bool seal)
{
    int result = TICKET_UNKNOWN;
    pthread_mutex_lock(&lock);
    if (process_ring != NULL) {
        tickets_ring_turn(process_ring, clock_ms());
        const struct ticket_key *key = seal ? &process_ring->current : tickets_ring_find(process_ring, name);
        if (key != NULL) {
            *out = *key;
            result = key == &process_ring->current ? TICKET_GOOD : TICKET_RENEW;
        }
    }
    pthread_mutex_unlock(&lock);
    if (seal && result == TICKET_GOOD)
        memcpy(name, out->name, TICKET_NAME_SIZE);
    return result;
}

/* A client of TLS 1.3 uses each ticket once (RFC 8446, C.4), so every resumption gives it the next one; one
 * of TLS 1.2 keeps its own until the key that sealed it has gone out of use. */
static bool is_spent(const SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION;
}

static int key_use(struct ticket_key *key, const EVP_CIPHER *aes, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int seal)
{
    char sha256_name[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256_name, 0),
        OSSL_PARAM_END,
    };
    if (seal)
        random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(aes));
    return EVP_MAC_CTX_set_params(mac, params) == 1 &&
           EVP_CipherInit_ex(cipher, aes, NULL, key->cipher, iv, seal) == 1;
}

static int aes_index = -1; /* where an SSL_CTX keeps its AES */

/* Whoever has the ticket keys can read what tickets seal. The master secret of an RSA key exchange therefore
 * never goes into one: a client that has resumed such a session by its id and offers tickets gets an empty
 * one (RFC 5077, 3.3). */
static bool stays_here(const SSL *ssl)
{
    const SSL_CIPHER *suite = SSL_SESSION_get0_cipher(SSL_get_session(ssl));
    return suite != NULL && SSL_CIPHER_get_kx_nid(suite) == NID_kx_rsa;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    struct ticket_key key;
    const EVP_CIPHER *aes = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), aes_index);
    if (seal && stays_here(ssl))
        return TICKET_UNKNOWN;
    int result = aes == NULL ? TICKET_ERROR : key_pick(&key, name, seal != 0);
    if (result > 0 && !key_use(&key, aes, iv, cipher, mac, seal))
        result = TICKET_ERROR;
    if (!seal && result == TICKET_GOOD && is_spent(ssl))
        result = TICKET_RENEW;
    if (aes != NULL)
        wipe(&key, sizeof key);
    return result;
}

static void aes_free(void *parent, void *aes, CRYPTO_EX_DATA *data, int index, long argument, void *user)
{
    (void)parent, (void)data, (void)index, (void)argument, (void)user;
    EVP_CIPHER_free(aes);
}

static void index_make(void)
{
    aes_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, aes_free);
}

int tickets_attach(SSL_CTX *context, OSSL_LIB_CTX *library)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, index_make);
    EVP_CIPHER *aes = EVP_CIPHER_fetch(library, "AES-256-CBC", NULL);
    if (aes == NULL || aes_index < 0 || SSL_CTX_set_ex_data(context, aes_index, aes) != 1) {
        EVP_CIPHER_free(aes);
        return ERR_MEMORY;
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    return 0;
}
