#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/directory.h"
#include "auth/token.h"
#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta.h"

/*
 * The room's one long-lived object: the current directory, the keys that seal
 * secrets and tokens, passwords that were verified of late, and who guessed
 * wrong of late.  The server has one for its life; registryctl opens one over
 * a folder that no server serves.
 */
#define AUTH_WHY_BYTES 1024

struct auth;

struct auth_options {
	struct meta *meta;
	const char *account_id; /* 12 digits; NULL: the folder's */
	const char *region;	/* shown in simulated ARNs; NULL: us-east-1 */
	const char *master_key_file; /* made when missing and the metadata hold
					no key yet */
	const char *master_key_text; /* of the environment; NULL: the file */
	const char *htpasswd_file;   /* "" or NULL: none */
	const char *const *htpasswd_policies; /* names, for users that have no
						 entry of their own */
	size_t n_htpasswd_policies;
	unsigned workers; /* threads that auth_password() may block; 0: not
			     known, taken for few */
};

/**
 * auth_open(options, why, auth_r):
 * Open the keyring, unwrap or make the seal keys (wrap them anew when they are
 * under an older master key), read the directory.  Master keys that nothing here is
 * under any more are only told of: another folder may need them.
 * The account is recorded with the seal keys when they are made (or later, of
 * a folder that holds none yet), and is the folder's from then on.
 * RC_NOTFOUND: the metadata hold keys, but the master key is not there, or it
 * cannot be made because its folder is not; RC_MISSING: no account is given
 * and none recorded; RC_INVALID: another account than the recorded one, ...;
 * RC_DENIED, RC_IO...: ${why} says what to do.
 */
RC_MUST_USE enum rc auth_open(const struct auth_options *,
    char why[AUTH_WHY_BYTES], struct auth **auth_r);
/** auth_close(a): takes NULL. */
void auth_close(struct auth **);

/*
 * Other htpasswd settings, and the file read again: first all that can fail,
 * then, when whatever else belongs to the same change has succeeded, either of
 * the others.
 */
struct auth_reload;

/** auth_reload_prepare(a, options, why, reload_r): read and check; nothing
 * changes.  To be ended by one of the next two.  RC_NOTFOUND, RC_INVALID...:
 * ${why} says what to do; *${reload_r} is NULL. */
RC_MUST_USE enum rc
auth_reload_prepare(struct auth *, const struct auth_options *,
    char why[AUTH_WHY_BYTES], struct auth_reload **reload_r);
/** auth_reload_commit(a, reload): it holds when this returns.  (Should the
 * metadata fail to be read just now, auth_refresh() tries on.)  Takes NULL. */
void auth_reload_commit(struct auth *, struct auth_reload **);
/** auth_reload_abort(reload): all stays as it was.  Takes NULL. */
void auth_reload_abort(struct auth_reload **);

/** auth_reload(a, options, why): prepare and commit in one. */
RC_MUST_USE enum rc auth_reload(
    struct auth *, const struct auth_options *, char why[AUTH_WHY_BYTES]);

/** auth_htpasswd_check(file, why): would it be taken?  RC_NOTFOUND, RC_DENIED,
 * RC_IO...; RC_INVALID: ${why} names the file, the line and what is wrong with
 * it.  Needs no room; may block on the disk. */
RC_MUST_USE enum rc
auth_htpasswd_check(const char *file, char why[AUTH_WHY_BYTES]);

/** auth_directory(a): the current one; the caller owns the reference.  Reads
 * nothing but memory.  Any thread. */
struct directory *auth_directory(struct auth *);

/** auth_refresh(a): read the directory anew if the entities or the htpasswd
 * file have changed behind our back.  Cheap when not; the background thread
 * calls it every second.  May block. */
void auth_refresh(struct auth *);

/** auth_token_key(a): what tokens are sealed with. */
const struct seal_key *auth_token_key(const struct auth *);

/** auth_secret(a, key, out, n_r): the secret of an access key; wipe it.
 * RC_CORRUPT: the record was changed. */
#define AUTH_SECRET_MAX_BYTES 128
RC_MUST_USE enum rc auth_secret(struct auth *, const struct access_key *,
    char out[AUTH_SECRET_MAX_BYTES], size_t *n_r);

/** auth_key_used(a, id, service, region, now_ms): note for "last-used".  Never
 * waits; written by the background thread. */
void auth_key_used(struct auth *, struct span id, struct span service,
    struct span region, int64_t now_ms);

/** auth_flush(a): write what was noted.  May block. */
void auth_flush(struct auth *);

/*
 * Passwords: of users with one, and of the htpasswd file (a user of the
 * directory comes first).  All in the registry's account.
 */

struct auth_try {
	struct span name, password;
	struct span address; /* as in auth_attempt() */
	int64_t now_ms;
};

/**
 * auth_password(a, d, try, principal_r, mark_r, retry_after_s_r):
 * By memory alone, which holds what was verified from that address: never
 * blocks.  ${principal_r} lives with ${d}.  ${mark_r}: for tokens got with it.
 * RC_DENIED: it can be nobody's; RC_LIMIT: guessed wrong too often, not before
 * so many seconds; RC_WOULDBLOCK: auth_password_try() has to be asked, whoever
 * it is about.
 */
RC_MUST_USE enum rc auth_password(struct auth *, struct directory *,
    const struct auth_try *, const struct principal **principal_r,
    uint8_t mark_r[16], unsigned *retry_after_s_r);

/**
 * auth_password_try(a, d, try, principal_r, mark_r, retry_after_s_r):
 * Hashed, or joined with the same one that is being hashed already, with the
 * attempt begun and ended (as auth_attempt() and auth_attempted(), which are
 * not to be called for it).  RC_DENIED: wrong, or no such user, which takes as
 * long and sounds the same, and is counted; RC_LIMIT with
 * *${retry_after_s_r} > 0: guessed wrong too often, not before so many
 * seconds; RC_LIMIT with 0: too many are being hashed or waited for just now.
 * Blocks: for as long as it takes to hash, and 2 s at most before.
 */
RC_MUST_USE enum rc auth_password_try(struct auth *, struct directory *,
    const struct auth_try *, const struct principal **principal_r,
    uint8_t mark_r[16], unsigned *retry_after_s_r);

/*
 * Brute force.  Wrong credentials (not missing, not expired ones) are counted
 * for each principal and each address (IPv6: each /64); from the tenth within
 * a minute on, further attempts wait for a back-off that doubles up to a
 * minute.  An address without failures of its own may always try once, so
 * that nobody locks a user out by guessing; a principal that came with good
 * credentials from an address before waits only for what this pair did wrong.
 * Success clears the principal's count, and the address's if that was about
 * this principal alone.  What is refused is not counted.  The tables are of a
 * fixed size.
 *
 * An attempt that is let in is taken for a wrong one until its outcome is
 * known, so that no more get in at once than would one after the other.  So
 * each RC_OK of auth_attempt() is followed by exactly one of the other two,
 * with the same principal and address; one that is not is forgotten after half
 * a minute.  auth_password_try() does all of this itself; of requests that
 * bring the same password at once one is let in for all, and when it is wrong
 * each of them counts.
 */

/** auth_attempt(a, principal, address, now_ms, retry_after_s_r): RC_OK: look
 * at the credentials; RC_LIMIT: not before ${retry_after_s_r} seconds.  Any
 * thread, as the others. */
RC_MUST_USE enum rc auth_attempt(struct auth *, struct span principal,
    struct span address, int64_t now_ms, unsigned *retry_after_s_r);
/** auth_attempted(a, principal, address, good, now_ms): they were good, or
 * wrong. */
void auth_attempted(struct auth *, struct span principal, struct span address,
    bool good, int64_t now_ms);
/** auth_attempt_cancel(a, principal, address, now_ms): they were not looked at
 * in the end: counts for nothing. */
void auth_attempt_cancel(
    struct auth *, struct span principal, struct span address, int64_t now_ms);

/*
 * Changes, all through one door: what registryctl asks for, by the control
 * socket or on a stopped folder.
 */

/**
 * auth_admin(a, request, answer, why):
 * ${request}: {"op": "user-create", ...}, see admin.c for the table of them.
 * ${answer}: a JSON object.  RC_INVALID, RC_NOTFOUND, RC_EXISTS,
 * RC_REFERENCED: ${why} names the offending value; RC_LIMIT: something else
 * holds what it needs, try again, and ${why} says what.  The directory is the new one when it
 * returns, and durable.  May block.  Secrets in ${request} and ${answer} are
 * the caller's to wipe; ${answer} grows by one piece.
 */
RC_MUST_USE enum rc auth_admin(struct auth *, const json_t *request,
    struct buf *answer, char why[AUTH_WHY_BYTES]);

/** auth_registry_policy_set(a, text, why): of the registry; empty: none.
 * RC_INVALID as policy_parse; RC_NOTFOUND: none to be taken away. */
RC_MUST_USE enum rc auth_registry_policy_set(
    struct auth *, struct span text, char why[AUTH_WHY_BYTES]);

/**
 * auth_first_admin(a, credentials_file, region, made_r, why):
 * If the account has no user: make "admin" with AdministratorAccess and an
 * access key, and write the key in AWS's shared-credentials format (profile
 * [default], mode 0600, durable before the user is) to ${credentials_file}.
 * A file that is there already is replaced only if no access key in it is
 * anybody's, as a crash leaves it; else RC_EXISTS.
 */
RC_MUST_USE enum rc
auth_first_admin(struct auth *, const char *credentials_file,
    const char *region, bool *made_r, char why[AUTH_WHY_BYTES]);

#endif
