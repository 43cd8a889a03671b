/* Why a request is refused: for the key's owner only (logs, metrics, audit), never for the edge. */
#ifndef KEYSERVER_RULES_REFUSAL_H
#define KEYSERVER_RULES_REFUSAL_H

enum refusal {
    REFUSAL_NONE,
    REFUSAL_MALFORMED_SLOT, /* did not pass wall_request_check */
    REFUSAL_UNKNOWN_EDGE,
    REFUSAL_FROM,     /* not from an address the edge may use, or the key may be used from */
    REFUSAL_VALIDITY, /* before or after the time that edge or key is valid */
    REFUSAL_UNKNOWN_KEY,
    REFUSAL_KEY_NOT_GRANTED,
    REFUSAL_OPERATION_NOT_GRANTED, /* to this edge, or for this key */
    REFUSAL_MODE,                  /* RSA key exchange in a mode that the key's owner does not allow */
    REFUSAL_UNKNOWN_OPERATION,
    REFUSAL_SCHEME,     /* does not fit the key or the TLS version */
    REFUSAL_STRUCTURE,  /* a field is not what TLS would put there */
    REFUSAL_SESSION_ID, /* of no live epoch of this edge */
    REFUSAL_NAME,       /* the client asked for a name that is none of the key's */
    REFUSAL_RATE,       /* too many a second */
    REFUSAL_QUOTA,      /* too many an hour or a day */
    REFUSAL_AUDIT,      /* uses cannot be recorded */
    REFUSAL_KINDS
};

/* A stable name such as "key_not_granted"; "unknown" for what is none. */
const char *refusal_name(enum refusal refusal);
/* What the owner does about it, if this edge shall have what it asked for: names the option to change. ""
 * where there is none. */
const char *refusal_hint(enum refusal refusal);

#endif
