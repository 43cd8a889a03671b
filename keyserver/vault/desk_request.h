/* From a slot to a key request. Behind it nothing in the vault knows how a request came through the wall.
 * Pure; any thread. */
#ifndef KEYSERVER_VAULT_DESK_REQUEST_H
#define KEYSERVER_VAULT_DESK_REQUEST_H

#include "keyserver/vault/request/key_request.h"
#include "keyserver/wall/wall.h"

/* Fills OUT from SLOT, a WALL_OPERATION that passed wall_request_check(). OUT borrows edge key and operation
 * from SLOT: it is good as long as SLOT, and what SLOT borrows from the wall, stay as they are. */
void desk_request_make(struct key_request *out, const struct wall_request *slot);

#endif
