/* Inquiries: how it comes to be known what each key server grants. One thread of the daemon asks it for its
 * keys soon after a channel has opened, when the answer may have changed, and once in a while. Loop thread
 * only. */
#ifndef EDGE_KEYCLIENT_INQUIRIES_H
#define EDGE_KEYCLIENT_INQUIRIES_H

#include "edge/keyclient/route.h"

struct inquiry;

struct inquiries {
    struct route *route;   /* borrowed; what it borrows is used, too */
    struct grants *grants; /* borrowed; NULL = nobody asks */
    struct inquiry *each;  /* owned, one a server */
};

/* ERR_MEMORY. */
int inquiries_init(struct inquiries *inquiries, struct route *route, struct grants *grants) MUST_USE;
/* No inquiry is open any more. */
void inquiries_clear(struct inquiries *inquiries);
/* What SERVER grants may have changed: it is asked as soon as may be. */
void inquiries_stir(struct inquiries *inquiries, size_t server);
/* Asks those whose time has come at NOW_NS. */
void inquiries_due(struct inquiries *inquiries, uint64_t now_ns);
/* The first of these times; UINT64_MAX for none. */
uint64_t inquiries_first_ns(const struct inquiries *inquiries);

#endif
