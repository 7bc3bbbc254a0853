#include "auth/auth_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/master_key.h"
#include "base/json.h"
#include "base/keyring.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/entities.h"

/*
 * The seal keys: random, in the metadata, wrapped under the master key.  Ours
 * are made once, both in one transaction, and with them the record of whose
 * account this is: users and keys are of an account, so under another one they
 * would be strangers.  What others may have made beside them (the key of
 * credentials for other registries, mirror/secrets.h) is wrapped anew with
 * them.
 *
 * A rotation of the master key (master_key.c) that did not get to its end left
 * both keys in the file: what is still under the old one is wrapped anew here.
 */
static const char *const names[] = { "secrets", "tokens", "upstreams" };

#define N_KEYS ARRAY_LEN(names)
#define N_OWN 2		  /* the first of them; the others need not be there */
#define ACCOUNT "account" /* the record's name, and its only member */

/* The keys as they are in the metadata. */
struct stored {
	uint64_t generation;
	size_t n;		     /* of ours, how many are there */
	size_t n_others;	     /* of others */
	struct span wrapped[N_KEYS]; /* .p NULL: not there */
	struct span account;	     /* empty: not recorded */
	struct arena arena;
};

static enum rc
account_read(struct auth *a, struct stored *s, char *why)
{
	char reason[JSON_ERROR_BYTES];
	json_t *o = NULL;
	struct span id;
	struct entity e;
	enum rc rc;

	rc = meta_entity_get(
	    a->meta, ENTITY_REGISTRY, SPAN(ACCOUNT), &s->arena, &e);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (
		    auth_why(why, rc, "reading the account: %s", rc_text(rc)));
	if (json_read(e.record, reason, &o) != RC_OK ||
	    json_get_str(o, ACCOUNT, &id) != RC_OK || !account_ok(id))
		rc = auth_why(why, RC_CORRUPT,
		    "the record of the registry's account is damaged: restore "
		    "a backup");
	else
		s->account = arena_span(&s->arena, id);
	json_decref(o);
	return (rc);
}

static enum rc
stored_read(struct auth *a, struct stored *s, char *why)
{
	struct entity e;
	enum rc rc;
	size_t i;

	*s = (struct stored){ 0 };
	arena_init(&s->arena, 2 * ENTITY_RECORD_MAX_BYTES);
	rc = meta_entity_generation(a->meta, &s->generation);
	for (i = 0; rc == RC_OK && i < N_KEYS; i++) {
		rc = meta_entity_get(
		    a->meta, ENTITY_SEAL_KEY, span_of(names[i]), &s->arena, &e);
		if (rc == RC_NOTFOUND) {
			rc = RC_OK;
			continue;
		}
		s->wrapped[i] = e.record;
		if (i < N_OWN)
			s->n++;
		else
			s->n_others++;
	}
	if (rc == RC_OK && s->n != 0 && s->n != N_OWN)
		return (auth_why(why, RC_CORRUPT,
		    "the metadata hold only some of the keys that seal secrets "
		    "and tokens: restore a backup"));
	if (rc != RC_OK)
		return (auth_why(
		    why, rc, "reading the seal keys: %s", rc_text(rc)));
	return (account_read(a, s, why));
}

static enum rc
account_settle(
    struct auth *a, const struct stored *s, const char *given, char *why)
{

	if (given == NULL && s->account.n == 0)
		return (auth_why(why, RC_MISSING,
		    "this folder does not say yet which account it is of: give "
		    "the account id that its server is configured with "
		    "(account-id; 000000000000 where that says nothing)"));
	if (given != NULL && s->account.n > 0 && !span_is(s->account, given))
		return (auth_why(why, RC_INVALID,
		    "this folder is of account " SPAN_FMT
		    ", but account-id says %s: its users and their keys would "
		    "be strangers there.  Give " SPAN_FMT
		    ", or begin another folder",
		    SPAN_ARG(s->account), given, SPAN_ARG(s->account)));
	if (given == NULL)
		(void)snprintf(a->account, sizeof(a->account), SPAN_FMT,
		    SPAN_ARG(s->account));
	else
		(void)snprintf(a->account, sizeof(a->account), "%s", given);
	return (RC_OK);
}

#define ACCOUNT_RECORD_BYTES 64

static struct entity_change
account_change(const struct auth *a, char text[ACCOUNT_RECORD_BYTES])
{
	int n;

	n = snprintf(
	    text, ACCOUNT_RECORD_BYTES, "{\"" ACCOUNT "\":\"%s\"}", a->account);
	must(n > 0 && n < ACCOUNT_RECORD_BYTES);
	return ((struct entity_change){
	    .entity = { ENTITY_REGISTRY, SPAN(ACCOUNT), { text, (size_t)n } },
	    .must_be_new = true,
	});
}

/* One transaction, all wrapped under the current master key; ${keys} NULL:
 * they stay. */
static enum rc
keys_write(struct auth *a, const struct keyring *ring,
    const struct seal_key *keys, const struct stored *s)
{
	uint8_t wrapped[N_KEYS][WRAPPED_KEY_BYTES];
	struct entity_change changes[N_KEYS + 1];
	char account[ACCOUNT_RECORD_BYTES];
	uint64_t generation;
	size_t i, n = 0;

	for (i = 0; keys != NULL && i < N_KEYS; i++) {
		if (i >= N_OWN && s->wrapped[i].p == NULL)
			continue;
		keyring_wrap(ring, span_of(names[i]), &keys[i], wrapped[i]);
		changes[n++] = (struct entity_change){
			.entity = { ENTITY_SEAL_KEY, span_of(names[i]),
			    { (const char *)wrapped[i], WRAPPED_KEY_BYTES } },
			.must_be_new = s->wrapped[i].p == NULL,
			.must_exist = s->wrapped[i].p != NULL,
		};
	}
	if (s->account.n == 0)
		changes[n++] = account_change(a, account);
	return (meta_entities_change(
	    a->meta, s->generation, changes, n, &generation));
}

/* *${old_r}: at least one is under another than the current master key. */
static enum rc
keys_unwrap(const struct auth *a, const struct keyring *ring,
    const struct stored *s, struct seal_key keys[N_KEYS], bool *old_r,
    char *why)
{
	bool old;
	enum rc rc;
	size_t i;

	*old_r = false;
	for (i = 0; i < N_KEYS; i++) {
		if (s->wrapped[i].p == NULL)
			continue;
		rc = keyring_unwrap(
		    ring, span_of(names[i]), s->wrapped[i], &keys[i], &old);
		if (rc == RC_NOTFOUND)
			return (auth_why(why, rc,
			    "this registry was sealed under another master key "
			    "than that of %s: give the right one; without it "
			    "the secrets of access keys cannot be read",
			    a->master_key_in_environment
				? "REGISTRYD_MASTER_KEY"
				: a->master_key_file));
		if (rc != RC_OK)
			return (auth_why(why, RC_CORRUPT,
			    "the seal key \"%s\" is damaged: restore a backup",
			    names[i]));
		*old_r |= old;
	}
	return (RC_OK);
}

/* RC_BUSY says here that entities have changed, and is tried again at once. */
static enum rc
locked_out(enum rc rc)
{

	return (rc == RC_BUSY ? RC_LIMIT : rc);
}

static enum rc
ring_open(struct auth *a, const char *text, bool create,
    struct keyring **ring_r, char *why)
{
	enum rc rc;

	rc = locked_out(
	    keyring_open(a->master_key_file, text, create, why, ring_r));
	if (rc == RC_NOTFOUND && create)
		/* Nothing is sealed yet: there is only no place for it. */
		return (master_key_unmade(a->master_key_file, why));
	if (rc == RC_NOTFOUND)
		return (auth_why(why, rc,
		    "the master key is not there: %s.  This registry holds "
		    "secrets that are sealed under it; put the file back (or "
		    "set REGISTRYD_MASTER_KEY).  No new one is made, since "
		    "that could not open them",
		    a->master_key_file));
	return (rc);
}

/* They may be another folder's, that shares the file. */
static void
ring_tell(const struct auth *a, const struct keyring *ring)
{
	if (!a->master_key_in_environment && keyring_size(ring) > 1)
		log_warn("%s: this registry needs only the first of %zu master "
			 "keys; registryctl key rotate-master drops the others",
		    a->master_key_file, keyring_size(ring));
}

/* Written for the first time, or under another master key; ${keys} NULL: only
 * the account, of a folder that does not say it yet. */
static enum rc
keys_renew(struct auth *a, const struct keyring *ring,
    const struct seal_key *keys, const struct stored *s, char *why)
{
	enum rc rc;

	rc = keys_write(a, ring, keys, s);
	if (rc == RC_EXISTS)
		rc = RC_BUSY;
	if (rc != RC_OK)
		(void)auth_why(
		    why, rc, "writing the seal keys: %s", rc_text(rc));
	else if (s->n > 0 && keys != NULL)
		log_info("the seal keys were under an older master key and "
			 "have been wrapped anew");
	return (rc);
}

/* One attempt; RC_BUSY: somebody else changed entities meanwhile. */
static enum rc
keys_open_once(struct auth *a, const struct auth_options *options, char *why)
{
	const char *text = options->master_key_text;
	struct seal_key keys[N_KEYS];
	struct keyring *ring = NULL;
	bool anew = false;
	struct stored s;
	enum rc rc;
	size_t i;

	if ((rc = stored_read(a, &s, why)) != RC_OK ||
	    (rc = account_settle(a, &s, options->account_id, why)) != RC_OK ||
	    (rc = ring_open(a, text, s.n + s.n_others == 0, &ring, why)) !=
		RC_OK)
		goto out;
	rc = keys_unwrap(a, ring, &s, keys, &anew, why);
	for (i = 0; s.n == 0 && i < N_OWN; i++)
		seal_key_make(&keys[i]);
	anew = anew || s.n == 0;
	if (rc == RC_OK) {
		a->secrets = keys[0];
		a->tokens = keys[1];
	}
	if (rc == RC_OK && (anew || s.account.n == 0))
		rc = keys_renew(a, ring, anew ? keys : NULL, &s, why);
	if (rc == RC_OK)
		ring_tell(a, ring);
out:
	keyring_free(&ring);
	arena_reset(&s.arena);
	mem_wipe(keys, sizeof(keys));
	return (rc);
}

enum rc
auth_keys_open(struct auth *a, const struct auth_options *options,
    char why[AUTH_WHY_BYTES])
{
	enum rc rc = RC_BUSY;
	unsigned i;

	static_assert(KEYRING_WHY_BYTES <= AUTH_WHY_BYTES, "one buffer");
	for (i = 0; rc == RC_BUSY && i < AUTH_CHANGE_TRIES; i++)
		rc = keys_open_once(a, options, why);
	return (rc);
}

/* --- what they seal ------------------------------------------------------ */

const struct seal_key *
auth_token_key(const struct auth *a)
{

	OBJ_CHECK(a, AUTH_MAGIC);
	return (&a->tokens);
}

#define AAD_BYTES 64

static struct span
secret_aad(struct span id, char out[AAD_BYTES])
{
	int n = snprintf(out, AAD_BYTES, "access-key " SPAN_FMT, SPAN_ARG(id));

	must(n > 0 && n < AAD_BYTES);
	return ((struct span){ out, (size_t)n });
}

void
auth_secret_seal(
    struct auth *a, struct span id, struct span secret, uint8_t *out)
{
	char aad[AAD_BYTES];

	seal(&a->secrets, secret_aad(id, aad), secret, out);
}

enum rc
auth_secret(struct auth *a, const struct access_key *k,
    char out[AUTH_SECRET_MAX_BYTES], size_t *n_r)
{
	char aad[AAD_BYTES];
	enum rc rc = RC_INVALID;

	OBJ_CHECK(a, AUTH_MAGIC);
	*n_r = 0;
	if (k->sealed.n <= AUTH_SECRET_MAX_BYTES && k->id.n < IAM_ID_BYTES)
		rc = seal_open(&a->secrets, secret_aad(k->id, aad), k->sealed,
		    (uint8_t *)out, n_r);
	if (rc == RC_OK)
		return (RC_OK);
	log_error("the secret of access key " SPAN_FMT
		  " does not open: its record was changed",
	    SPAN_ARG(k->id));
	return (RC_CORRUPT);
}
