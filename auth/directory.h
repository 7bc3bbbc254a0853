#ifndef AUTH_DIRECTORY_H
#define AUTH_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"
#include "auth/principal.h"
#include "auth/token.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * The directory: users, groups, access keys and policies as they were at one
 * moment, read out of the metadata whole and held in memory with their
 * policies parsed.  Immutable and counted: a change makes a new one, a request
 * keeps the one it began with.  Finding is a hash away, so that a request on
 * an event loop never waits for its principal.
 *
 * What the metadata hold of it are entities (storage/entities.h); their
 * records are JSON objects written and read by this room alone.
 */
struct directory;

struct directory *directory_ref(struct directory *);
/** directory_unref(d): takes NULL; sets it to NULL.  Any thread. */
void directory_unref(struct directory **);

/** directory_generation(d): a number of its own: each directory that this
 * process has read has another one, whatever made it read anew. */
uint64_t directory_generation(const struct directory *);

/** directory_account(d): the registry's, 12 digits. */
struct span directory_account(const struct directory *);

/** directory_anonymous(): who shows nothing; of no directory. */
const struct principal *directory_anonymous(void);

/** directory_user(d, account, name): NULL: none.  Users of the htpasswd file
 * are in the registry's account.  Lives with ${d}. */
const struct principal *
directory_user(const struct directory *, struct span account, struct span name);

/** directory_arn(d, arn): of "arn:aws:iam::ACCOUNT:user/NAME". */
const struct principal *
directory_arn(const struct directory *, struct span arn);

struct access_key {
	struct span id;
	const struct principal *user; /* with .access_key set to ${id} */
	bool active;
	int64_t created_ms;
	struct span sealed; /* the secret; auth_secret() opens it */
};

/** directory_access_key(d, id): NULL: none.  Lives with ${d}. */
const struct access_key *
directory_access_key(const struct directory *, struct span id);

/** directory_registry_policy(d, revision_r): NULL: none. */
const struct policy *
directory_registry_policy(const struct directory *, uint64_t *revision_r);

/**
 * directory_token(d, t, principal_r):
 * Whose token it is, as of this directory; a bearer token without a user is
 * directory_anonymous()'s.  RC_DENIED: the user or the access key is gone or
 * inactive, the user was made after it was issued, the password it was got
 * with was changed, or the user's tokens were revoked after it was issued.
 * Does not look at its expiry.
 */
RC_MUST_USE enum rc directory_token(const struct directory *,
    const struct token *, const struct principal **principal_r);

#endif
