#include "keyserver/vault/judge/epoch.h"

#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/secret.h"

#define LABEL_SECRET      "keyless epochs" /* before the length, under the group secret */
#define LABEL_SECRET_SIZE (sizeof LABEL_SECRET - 1)
#define LABEL_KEY         "keyless epoch" /* before edge and number, under that secret */
#define LABEL_KEY_SIZE    (sizeof LABEL_KEY - 1)

void epoch_clock_start(struct epoch_clock *clock, uint64_t length_ms, uint64_t wall_ms, uint64_t floor_ms,
                       uint64_t mono_ms)
{
    *clock = (struct epoch_clock){
        .length_ms = length_ms, .time_ms = clock_later(wall_ms, floor_ms), .mono_ms = mono_ms};
}

uint64_t epoch_clock_turn(struct epoch_clock *clock, uint64_t wall_ms, uint64_t mono_ms)
{
    uint64_t passed = mono_ms > clock->mono_ms ? mono_ms - clock->mono_ms : 0;
    clock->time_ms = clock_later(clock->time_ms + passed, wall_ms);
    clock->mono_ms = clock_later(clock->mono_ms, mono_ms);
    return clock->time_ms / clock->length_ms + 1;
}

uint64_t epoch_clock_left(const struct epoch_clock *clock)
{
    return clock->length_ms - clock->time_ms % clock->length_ms;
}

uint64_t epoch_clock_ahead(const struct epoch_clock *clock, uint64_t wall_ms)
{
    return clock->time_ms > wall_ms ? clock->time_ms - wall_ms : 0;
}

void epoch_secret(uint8_t out[static EPOCH_SECRET_SIZE], const uint8_t group_secret[static GROUP_SECRET_SIZE],
                  uint64_t length_ms)
{
    uint8_t input[LABEL_SECRET_SIZE + 8];
    struct writer w;
    writer_init(&w, input, sizeof input);
    writer_bytes(&w, LABEL_SECRET, LABEL_SECRET_SIZE);
    writer_u64(&w, length_ms);
    hmac_sha256(out, group_secret, GROUP_SECRET_SIZE, input, sizeof input);
}

void epoch_key(uint8_t out[static EPOCH_KEY_SIZE], const uint8_t secret[static EPOCH_SECRET_SIZE],
               const uint8_t edge_key[static IDENTITY_KEY_SIZE], uint64_t number)
{
    uint8_t input[LABEL_KEY_SIZE + IDENTITY_KEY_SIZE + 8];
    struct writer w;
    writer_init(&w, input, sizeof input);
    writer_bytes(&w, LABEL_KEY, LABEL_KEY_SIZE);
    writer_bytes(&w, edge_key, IDENTITY_KEY_SIZE);
    writer_u64(&w, number);
    hmac_sha256(out, secret, EPOCH_SECRET_SIZE, input, sizeof input);
}

bool epoch_accepts(const uint8_t session_id[static SESSION_ID_SIZE],
                   const uint8_t secret[static EPOCH_SECRET_SIZE],
                   const uint8_t edge_key[static IDENTITY_KEY_SIZE], uint64_t number)
{
    const uint64_t live[] = {number, number - 1, number + 1}; /* the likeliest first: none of it is secret */
    uint8_t key[EPOCH_KEY_SIZE];
    bool accepted = false;
    for (size_t i = 0; i < sizeof live / sizeof live[0] && !accepted; i++) {
        epoch_key(key, secret, edge_key, live[i]);
        accepted = session_id_check(session_id, key);
    }
    wipe(key, sizeof key);
    return accepted;
}
