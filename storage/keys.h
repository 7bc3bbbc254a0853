#ifndef STORAGE_KEYS_H
#define STORAGE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/keyring.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/repositories.h"
#include "storage/store.h"

/*
 * Key domains: repositories under the same key, among which content is one
 * copy.  Domain 0 is "not encrypted"; each other has a random data key, which
 * stands in the metadata wrapped under the master key (base/keyring.h) as an
 * entity (ENTITY_KEY_DOMAIN, named by its number in 8 hexadecimal digits;
 * record: JSON {"name", "created" (ms), "wrapped" (base64)}).  The label it is
 * wrapped with is "key domain <number> <name>".
 *
 * Names: "AES256" is the registry's own key; "kms/NAME" a key of KMS, which is
 * a local one here and made when it is named for the first time.  NAME is what
 * is left of kmsKey without "arn:aws:kms:REGION:ACCOUNT:" and "alias/" or
 * "key/"; no kmsKey at all means "aws/ecr".
 *
 * A repository is of one domain for life: it is the upper half of its id
 * (repo_domain(), records.h).
 */
#define KEY_NAME_MAX_BYTES 256

/** store_keys_open(s, ring, lacking, why): from now on keys are wrapped, and
 * unwrapped, by ${ring}, which is the store's on RC_OK, and NULL then (none at
 * all: nothing can be sealed).  All keys that are there are unwrapped, and
 * those that were wrapped under an older master key are wrapped anew.
 * RC_NOTFOUND: some are under a master key that is not in ${ring}; RC_MISSING:
 * there is no ring; RC_INVALID: some are damaged: ${why} names them and says
 * what to do; with ${lacking} those whose keys are there are served
 * nevertheless: RC_OK, logged.
 * Before the store is shared, or later with another ring (a rotation, whose two
 * ends are keyring_file_add() and keyring_file_trim()): then all that the one
 * before opens has to be opened by the new one, too, or it is RC_NOTFOUND,
 * ${lacking} or not, and all stays as it was.  A key that was there is never
 * lost, whatever is made meanwhile.  As a change of meta.h.  Workers. */
RC_MUST_USE enum rc store_keys_open(struct store *, struct keyring **ring,
    bool lacking, char why[STORE_WHY_BYTES]);

/** store_keys_count(s, n_r): domains there are, before or after opening. */
RC_MUST_USE enum rc store_keys_count(struct store *, size_t *n_r);

/** store_keys_rewrap(s, n_r): wrap all under the current master key, in one
 * transaction; *${n_r}: how many.  What is damaged in the metadata, but in
 * memory, is written anew.  RC_MISSING: one could not be unwrapped, and nothing
 * was changed.  As a change of meta.h.  Workers. */
RC_MUST_USE enum rc store_keys_rewrap(struct store *, size_t *n_r);

/** keys_get(s, domain, key_r): RC_LOCKED: it is not here.  Domain 0 is a
 * mistake of the caller.  Loop or worker: those that are known are in memory;
 * ${mode} READ_INLINE: RC_WOULDBLOCK when this one has to be read. */
RC_MUST_USE enum rc keys_get(struct store *, uint32_t key_domain,
    enum read_mode, struct seal_key *key_r);

/** keys_domain(s, settings, domain_r): of a repository with these settings
 * (.encryption and .kms_key; none said: the store's default), made if it is
 * not there yet.  RC_MISSING: there is no keyring, or it does not
 * open the keys that repositories have; RC_TOOBIG: a name longer
 * than KEY_NAME_MAX_BYTES; RC_INVALID: one with a NUL in it; RC_LIMIT: there
 * are 2^32 of them; as a change of meta.h.  Workers. */
RC_MUST_USE enum rc keys_domain(
    struct store *, const struct repository_settings *, uint32_t *domain_r);

/** keys_domain_known(s, settings, domain_r): the same of one that is there, or
 * needs not be made.  RC_NOTFOUND; else as above.  Loop or worker. */
RC_MUST_USE enum rc keys_domain_known(
    struct store *, const struct repository_settings *, uint32_t *domain_r);

/** store_encryption_default_set(s, type): ENCRYPTION_NONE or
 * ENCRYPTION_AES256, of repositories that are made from now on and do not say.
 * Any thread. */
void store_encryption_default_set(struct store *, enum encryption_type);

struct key_row {
	uint32_t key_domain;
	struct span name; /* "AES256", "kms/team" */
	int64_t created_ms;
	uint64_t repositories; /* that are of it, deleted ones that can be
				  restored among them */
	bool here;	       /* it could be unwrapped */
};
/** keys_list(s, arena, rows_r, n_r): by number.  Worker; walks the
 * repositories. */
RC_MUST_USE enum rc
keys_list(struct store *, struct arena *, struct key_row **rows_r, size_t *n_r);

/** key_name(kms_key): NAME as above; borrowed from ${kms_key}, or a literal. */
struct span key_name(struct span kms_key);

#endif
