/* Handing over: what a vault leaves to the one that takes its place, in a memory file that outlives it. So
 * what a vault has reached does not depend on what happens to stand on the disk: not in a reload, and not
 * when a vault dies.
 *
 * Each vault reads the file of the one before it and writes one of its own. What is written is there as a
 * whole or not at all, also for who reads meanwhile and when the writer is killed. Holds no secret. One
 * thread at a time. */
#ifndef KEYSERVER_VAULT_AUDIT_HANDOVER_H
#define KEYSERVER_VAULT_AUDIT_HANDOVER_H

#include "common/secret.h"
#include "keyserver/audit/audit_chain.h"
#include "keyserver/vault/audit/gap_slots.h"

#define HANDOVER_ID_SIZE 16

struct handover_state {
    uint8_t
        id[HANDOVER_ID_SIZE]; /* random, of the key server: that of the first vault, and of all that follow */
    uint64_t epoch_ms;        /* time of epochs (epoch.h) that was reached */
    uint64_t mono_ms;         /* when that was, of a clock that is never set */
    uint8_t
        place[SHA256_SIZE]; /* names the folder of the audit log, by its path; zeros: none is written yet */
    uint64_t folder_device, folder_inode; /* of the folder */
    struct audit_link link;               /* the last record of the log */
    uint64_t failing;                     /* 1: nothing can be recorded */
};

/* Zero-initialised there is nobody before, and nobody is told. */
struct handover {
    int before_fd;                /* borrowed; -1 or 0: nobody was before */
    bool served;                  /* the one before serves on if this one cannot take its place */
    struct handover_state before; /* of the vault before, when this one began; zero: there was none */
    struct handover_state own;    /* as it was written last */
    int fd;                       /* borrowed; read above 0 */
    uint64_t sequence;            /* of what was written last */
    struct gap_slots gaps;        /* what any vault leaves to any other */
};

/* Begins with what the vault before has left at BEFORE (-1: nobody was); OWN is this one's. Both are borrowed
 * for as long as HANDOVER is used. SERVED: see above. No gaps are shared before gap_slots_init(). */
void handover_init(struct handover *handover, int before, int own, bool served);
/* The time of epochs at MONO_MS by what the vault before has left; 0 without one. */
uint64_t handover_epoch(const struct handover *handover, uint64_t mono_ms);
/* Leaves the time of epochs that is reached. */
void handover_leave_epoch(struct handover *handover, uint64_t epoch_ms, uint64_t mono_ms);

/* Reads again what the vault before has left. */
void handover_look(struct handover *handover);
/* Leaves which log is written, in the folder with the path PATH, which is open as FOLDER, and how far. */
void handover_leave_log(struct handover *handover, const char *path, int folder,
                        const struct audit_link *link);
/* Leaves that this is its last record, if it is another one than was left. */
void handover_leave_link(struct handover *handover, const struct audit_link *link);
void handover_leave_failing(struct handover *handover, bool failing);
/* True when STATE is of a log in the folder with the path PATH; in that which is open as FOLDER. */
bool handover_is_of(const struct handover_state *state, const char *path);
bool handover_is_in(const struct handover_state *state, int folder);

/* What is used of a quota, and not made up for of a rate, by an edge, by uses of a key, or by an edge with a
 * key. */
struct handover_count {
    char edge[AUDIT_EDGE_NAME_SIZE], key[AUDIT_KEY_NAME_SIZE]; /* one of them may be empty */
    uint64_t start_s, used;    /* of the quota: so many, in the window that began then */
    uint64_t missing, mono_ns; /* of the rate: so many, at that time of a clock that is never set */
};
/* Leaves COUNT as that of the counter at PLACE, 0 …: alone, whatever there is beside it. So it takes the same
 * time however many there are, and each of them is read as it was left last. PLACE is a small number: the
 * file is as long as the highest one needs. ERR_SYSTEM with errno: what was left there before stays. */
int handover_leave_count(struct handover *handover, size_t place,
                         const struct handover_count *count) MUST_USE;
/* Tells of each that the vault before has left at the MOST places from FIRST on. The same names may come
 * twice: then the higher count is that of now. Returns how many of these places there are; less than MOST: no
 * more.
 */
size_t handover_each_count(const struct handover *handover, size_t first, size_t most,
                           void (*tell)(const struct handover_count *count, void *user), void *user);

/* What stands in the memory file FD now. ERR_NOT_FOUND when nothing does. */
int handover_read(int fd, struct handover_state *out) MUST_USE;

#endif
