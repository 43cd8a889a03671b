/* The members of each type of record: one table for packing and parsing. Pure data; for audit_pack.c and
 * audit_parse.c only. */
#ifndef KEYSERVER_AUDIT_AUDIT_MEMBERS_H
#define KEYSERVER_AUDIT_AUDIT_MEMBERS_H

#include "keyserver/audit/audit_record.h"

enum audit_member_kind {
    MEMBER_NUMBER, /* uint64_t, in decimal */
    MEMBER_TIME,   /* uint64_t of milliseconds, as text */
    MEMBER_WORD,   /* char[AUDIT_WORD_SIZE] */
    MEMBER_TEXT,   /* char[size], escaped */
    MEMBER_HEX,    /* uint8_t[size] */
    MEMBER_BASE64, /* uint8_t[size] */
    MEMBER_RESULT, /* enum audit_result, by name */
};

struct audit_member {
    const char *head; /* from its comma to where the value begins: `,"edge":"`; NULL ends a list */
    uint8_t head_length;
    uint8_t kind; /* enum audit_member_kind */
    uint16_t offset, size;
    bool optional; /* left out when it is absent: */
    uint8_t bit;   /* not in `has`; 0 = the value is empty or zero */
};

/* Of `use`, `,"type":"use"`, and its length. */
struct audit_form {
    const char *head;
    size_t head_length;
    const struct audit_member *members;
};

extern const struct audit_form audit_forms[AUDIT_TYPES];

#endif
