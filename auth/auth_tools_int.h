#ifndef AUTH_AUTH_TOOLS_INT_H
#define AUTH_AUTH_TOOLS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Small things of the room: names, identifiers, keyed hashes.
 */

#define ACCOUNT_BYTES 12
#define USER_NAME_MAX_BYTES 64
#define POLICY_NAME_MAX_BYTES 128
/* Whoever calls himself so in HTTP Basic shows a login token. */
#define LOGIN_NAME "AWS"

/** account_ok(s): 12 digits. */
bool account_ok(struct span);
/** iam_name_ok(s, max): [A-Za-z0-9_+=,.@-]{1,max}. */
bool iam_name_ok(struct span, size_t max_bytes);

/* Identifiers, NUL-terminated. */
#define IAM_ID_BYTES 21
#define SECRET_KEY_BYTES 41
/** iam_id_new(prefix, out): "AIDA", "AGPA" and 16 of [A-Z0-9]. */
void iam_id_new(const char *prefix, char out[IAM_ID_BYTES]);
/** iam_id_of(prefix, what, out): the same for the same ${what}. */
void iam_id_of(const char *prefix, struct span what, char out[IAM_ID_BYTES]);
/** access_key_id_new(out): "AKIA" and 16 of [A-Z2-7]. */
void access_key_id_new(char out[IAM_ID_BYTES]);
/** secret_key_new(out): 40 of base64's alphabet; wipe it. */
void secret_key_new(char out[SECRET_KEY_BYTES]);

#define AUTH_MAC_BYTES 32
/** auth_mac(key, parts, n, out): HMAC-SHA-256 over the parts, each behind its
 * length, so that no two lists of parts are the same bytes. */
void auth_mac(const uint8_t key[AUTH_MAC_BYTES], const struct span *parts,
    size_t n, uint8_t out[AUTH_MAC_BYTES]);

#endif
