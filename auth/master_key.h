#ifndef AUTH_MASTER_KEY_H
#define AUTH_MASTER_KEY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "storage/store.h"

/*
 * The master key of a folder, under which all its other keys are wrapped: those
 * that seal secrets and tokens (auth.h), credentials for other registries
 * (mirror/secrets.h), and those of encrypted repositories (storage/keys.h).  It
 * stands in a file of its own or in the environment, never in the folder's
 * metadata.  All of it may block: workers.
 */
#define MASTER_KEY_WHY_BYTES 1024

struct master_key {
	struct store *store;
	const char *file;
	const char *text; /* of the environment; NULL or empty: the file */
};

/** master_key_name(m): where it stands, for people. */
const char *master_key_name(const struct master_key *);

/**
 * master_key_open(m, make, lacking, why):
 * Give it to the store, for the keys of repositories that are encrypted.
 * ${make}: there shall be one: it is made where the file is missing, unless
 * the store holds keys that are wrapped under one: RC_NOTFOUND then, for a new
 * one could not open them.  RC_NOTFOUND too, with an empty ${why}: there is
 * none, or it cannot be used, and nothing here needs it.  Any other code: keys
 * of repositories cannot be had: ${why} names the file and the keys, and says
 * what to do.  ${lacking}: RC_OK all the same: the store logs which
 * keys they are, ${why} says what is wrong with the file, if something is; what
 * these keys sealed is RC_LOCKED from then on.  Once, or until it gave RC_OK.
 */
RC_MUST_USE enum rc master_key_open(const struct master_key *, bool make,
    bool lacking, char why[MASTER_KEY_WHY_BYTES]);

/**
 * master_key_rotate(m, n_r, why):
 * A new one in its file in place of the old one, and all keys of the store
 * wrapped anew, *${n_r} of them, while it is used.  After each step the file
 * holds what every key is wrapped under; whatever ends it in between, the
 * folder opens, and it can be done again.  RC_INVALID: it is in the
 * environment, and cannot be replaced from here; RC_NOTFOUND: there is none, or
 * some keys are under another one; RC_LIMIT: another program has locked its
 * folder; RC_DENIED, RC_IO...: ${why} says what to do.  One at a time, which is
 * the caller's affair.
 */
RC_MUST_USE enum rc master_key_rotate(
    const struct master_key *, size_t *n_r, char why[MASTER_KEY_WHY_BYTES]);

/** master_key_unmade(file, why): say why ${file} could not be made: RC_NOTFOUND.
 */
enum rc master_key_unmade(const char *file, char why[MASTER_KEY_WHY_BYTES]);

/** master_key_list(store, list_r): {"keys": [{"number", "name", "created",
 * "repositories", "here", "state"}], "rotated"}, the caller's: the keys of
 * encrypted repositories, and when the master key was replaced last, or null. */
RC_MUST_USE enum rc master_key_list(struct store *, json_t **list_r);

#endif
