#ifndef BASE_KEYRING_INT_H
#define BASE_KEYRING_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/keyring.h"

/*
 * Between the ring (keyring.c) and its file (keyring_file.c).
 */

/* The file as it stands on disk; to be wiped. */
struct keyring_text {
	size_t n;
	char p[KEYRING_FILE_MAX_BYTES];
};

/** keyring_key_read(text, k_r): of 64 hexadecimal digits; RC_INVALID. */
RC_MUST_USE enum rc keyring_key_read(struct span, struct seal_key *k_r);

/** keyring_line(rest, separator, line_r, comment_r): the next one, without
 * the white space around it; false at the end. */
bool keyring_line(
    struct span *rest, char separator, struct span *line_r, bool *comment_r);

/** keyring_file_read(file, text_r, why): as keyring_open. */
RC_MUST_USE enum rc keyring_file_read(
    const char *file, struct keyring_text *text_r, char why[KEYRING_WHY_BYTES]);

/** keyring_file_make(file, why): with a new key in it, unless somebody else
 * made it just before.  As keyring_open. */
RC_MUST_USE enum rc
keyring_file_make(const char *file, char why[KEYRING_WHY_BYTES]);

#endif
