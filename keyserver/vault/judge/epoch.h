/* Epochs: stretches of time for which an edge has a secret to mark its sessions with (bound mode). The key of
 * an edge and an epoch follows from the group secret, so every replica knows it and none stores it; when the
 * epoch is over it is accepted never again.
 *
 * Time here never goes back. It follows the wall clock forward, also in leaps, but when the wall clock is set
 * back it goes on by itself: a key that was over stays over. Knows no clock. Pure; one thread at a time. */
#ifndef KEYSERVER_VAULT_JUDGE_EPOCH_H
#define KEYSERVER_VAULT_JUDGE_EPOCH_H

#include <stdbool.h>

#include "common/identity.h"
#include "common/secret.h"
#include "keyserver/rules/server_config.h"
#include "proto/operation.h"
#include "proto/session_id.h"

#define EPOCH_SECRET_SIZE SHA256_SIZE

struct epoch_clock {
    uint64_t length_ms;
    uint64_t time_ms; /* of epochs, since 1970; never decreases */
    uint64_t mono_ms; /* when that was, of a clock that is never set */
};

/* LENGTH_MS is above 0. FLOOR_MS is a time of epochs that has been reached before (by an earlier process), or
 * 0. */
void epoch_clock_start(struct epoch_clock *clock, uint64_t length_ms, uint64_t wall_ms, uint64_t floor_ms,
                       uint64_t mono_ms);
/* Moves on to now. Returns the number of the epoch, never 0. */
uint64_t epoch_clock_turn(struct epoch_clock *clock, uint64_t wall_ms, uint64_t mono_ms);
/* Milliseconds from the last turn until the next epoch begins; at least 1. */
uint64_t epoch_clock_left(const struct epoch_clock *clock);
/* How far time here is ahead of the wall clock: 0 unless that was set back. */
uint64_t epoch_clock_ahead(const struct epoch_clock *clock, uint64_t wall_ms);

/* HMAC-SHA256(GROUP_SECRET, "keyless epochs" ‖ LENGTH_MS as 8 bytes): what the keys of all epochs follow
 * from. With the length in it, because a number that is over with one length comes again with another, years
 * later. */
void epoch_secret(uint8_t out[static EPOCH_SECRET_SIZE], const uint8_t group_secret[static GROUP_SECRET_SIZE],
                  uint64_t length_ms);

/* HMAC-SHA256(SECRET, "keyless epoch" ‖ EDGE_KEY ‖ NUMBER as 8 bytes). SECRET is that of epoch_secret(),
 * EDGE_KEY the edge's static public key. */
void epoch_key(uint8_t out[static EPOCH_KEY_SIZE], const uint8_t secret[static EPOCH_SECRET_SIZE],
               const uint8_t edge_key[static IDENTITY_KEY_SIZE], uint64_t number);

/* True when SESSION_ID was made by this edge in an epoch that is live while NUMBER is the current one: that
 * one, the one before (handshakes under way), or the one after (a replica whose clock is ahead). */
bool epoch_accepts(const uint8_t session_id[static SESSION_ID_SIZE],
                   const uint8_t secret[static EPOCH_SECRET_SIZE],
                   const uint8_t edge_key[static IDENTITY_KEY_SIZE], uint64_t number);

#endif
