#include "cli/audit_print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/printable.h"
#include "common/bytes.h"

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define DIM    "\033[2m"
#define PLAIN  "\033[0m"

static const char *const colours[AUDIT_RESULTS] = {
    [AUDIT_OK] = GREEN,       [AUDIT_REFUSED] = RED,      [AUDIT_BUSY] = YELLOW,
    [AUDIT_EXPIRED] = YELLOW, [AUDIT_CANCELLED] = YELLOW, [AUDIT_FAULT] = RED,
};

/* Every word of a record passes here; what others chose may hold anything. */
static void put(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printable_write(out, PRINTABLE_ASCII, format, arguments);
    va_end(arguments);
}

static void put_hex(FILE *out, const char *label, const uint8_t *bytes, size_t size)
{
    char text[2 * AUDIT_KEY_SIZE + 1];
    put(out, "%s%s", label, hex_encode(text, bytes, size));
}

static void put_result(FILE *out, const struct audit_record *r, bool colour)
{
    fputs(colour ? colours[r->result] : "", out);
    put(out, "  %s%s%s", audit_result_name(r->result), r->reason[0] ? ": " : "", r->reason);
    fputs(colour ? PLAIN : "", out);
}

static void put_use(FILE *out, const struct audit_record *r, bool colour)
{
    char edge[45];
    if (r->edge[0] != 0)
        put(out, "%s", r->edge);
    else
        put(out, "%s", (r->has & AUDIT_HAS_EDGE_KEY) != 0 ? base64_encode(edge, r->edge_key, 32) : "?");
    put(out, "  ");
    if (r->key[0] != 0)
        put(out, "%s", r->key);
    else if ((r->has & AUDIT_HAS_KEY_ID) != 0)
        put_hex(out, "", r->key_id, sizeof r->key_id);
    put(out, "  %s%s%s%s%s", r->op, r->scheme[0] ? " " : "", r->scheme, r->mode[0] ? " " : "", r->mode);
    put_result(out, r, colour);
    if (r->name[0] != 0)
        put(out, "  name=%s", r->name);
    if ((r->has & AUDIT_HAS_TRACE) != 0)
        put_hex(out, "  trace=", r->trace, sizeof r->trace);
    if ((r->has & AUDIT_HAS_CHANNEL) != 0)
        put_hex(out, "  channel=", r->channel, sizeof r->channel);
}

static void put_refusals(FILE *out, const struct audit_record *r, bool colour)
{
    put(out, "%s  %" PRIu64 " more", r->edge[0] ? r->edge : "unknown edges", r->count);
    put_result(out, r, colour);
}

static void put_start(FILE *out, const struct audit_record *r)
{
    put(out, "a vault begins: version %s, %" PRIu64 " edges, %" PRIu64 " keys", r->version, r->edges,
        r->keys);
    put_hex(out, ", policy ", r->policy, sizeof r->policy);
    if (r->torn > 0)
        put(out, "; %" PRIu64 " bytes of an unfinished record were cut off", r->torn);
}

static void put_gap(FILE *out, const struct audit_record *r)
{
    char since[AUDIT_TIME_SIZE];
    put(out, "nothing could be recorded since %s: %" PRIu64 " uses without a record, %" PRIu64 " withheld",
        audit_time_text(r->since_ms, since), r->unrecorded, r->withheld);
}

static void put_other(FILE *out, const struct audit_record *r)
{
    char text[45];
    switch (r->type) {
    case AUDIT_SEGMENT:
        put(out, "a file begins, signed with %s", base64_encode(text, r->public_key, sizeof r->public_key));
        break;
    case AUDIT_EDGE:
        put(out, "edge %s is %s", r->edge, base64_encode(text, r->edge_key, sizeof r->edge_key));
        break;
    case AUDIT_KEY:
        put(out, "key %s is ", r->key);
        put_hex(out, "", r->key_id, sizeof r->key_id);
        put(out, ", %s %" PRIu64, r->kind, r->bits);
        break;
    case AUDIT_QUOTA:
        put(out, "quota of %s%s%s: %" PRIu64 " used in %" PRIu64 " s", r->edge,
            r->edge[0] && r->key[0] ? ", " : "", r->key, r->used, r->window_s);
        break;
    case AUDIT_RATE:
        put(out, "rate of %s%s%s: %" PRIu64 " used, and not made up for yet", r->edge,
            r->edge[0] && r->key[0] ? ", " : "", r->key, r->used);
        break;
    case AUDIT_CHECKPOINT:
        put(out, "checkpoint");
        put_hex(out, " ", r->hash, sizeof r->hash);
        break;
    case AUDIT_ROTATE:
        put(out, "another file follows");
        break;
    default:
        put(out, "a vault ends");
        break;
    }
}

void audit_print_record(FILE *out, const struct audit_record *r, bool colour)
{
    char time[AUDIT_TIME_SIZE];
    bool decision = r->type == AUDIT_USE || r->type == AUDIT_REFUSALS;
    bool trouble = r->type == AUDIT_GAP || r->type == AUDIT_DAMAGE;
    put(out, "%s  %" PRIu64 "  ", audit_time_text(r->time_ms, time), r->seq);
    if (colour && !decision)
        fputs(trouble ? RED : DIM, out);
    if (r->type == AUDIT_USE)
        put_use(out, r, colour);
    else if (r->type == AUDIT_REFUSALS)
        put_refusals(out, r, colour);
    else if (r->type == AUDIT_START)
        put_start(out, r);
    else if (r->type == AUDIT_GAP)
        put_gap(out, r);
    else if (r->type == AUDIT_DAMAGE)
        put(out, "the log was found damaged: %s, line %" PRIu64 ": %s", r->file, r->line, r->what);
    else
        put_other(out, r);
    if (colour && !decision)
        fputs(PLAIN, out);
    fputc('\n', out);
}
