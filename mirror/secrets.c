#include "mirror/secrets.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/keyring.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/entities.h"

/*
 * A record is a JSON object: "kind", "username", "changed", "configured" (it
 * stands in the configuration), for people, and "sealed", which is all that
 * counts:
 *
 *	kind NUL username NUL password NUL region NUL api_url
 *
 * sealed under the seal key with the name of the secret as additional data, so
 * that no record can be put in the place of another.
 *
 * The seal key is made with the first secret, in the same transaction.  Whoever
 * makes it names the generation of the entities that he has seen: the rotation
 * of the master key (auth room) changes entities too, so either it sees the new
 * key, or whoever makes it has to begin anew and wraps it under the new master
 * key.
 */
#define SECRETS_MAGIC 0x53435254u
#define SEAL_NAME "upstreams"
#define CHANGE_TRIES 32
#define RECORD_BYTES ((size_t)64 << 10)
#define NAME_MAX_BYTES ((size_t)ENTITY_NAME_MAX_BYTES)
#define PAGE_ROWS 100
#define N_FIELDS 5

static_assert(KEYRING_WHY_BYTES <= SECRETS_WHY_BYTES, "one buffer");

struct secrets {
	unsigned magic;
	struct meta *meta;
	char *file, *text;    /* of the master key */
	pthread_mutex_t lock; /* over all below */
	bool have_key;
	struct seal_key key;
};

static enum rc __attribute__((format(printf, 3, 4)))
say(char why[SECRETS_WHY_BYTES], enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, SECRETS_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- the seal key -------------------------------------------------------- */

/* As it is in the metadata. */
struct stored {
	uint64_t generation;
	bool there;
	uint8_t wrapped[WRAPPED_KEY_BYTES];
};

static enum rc
stored_read(struct secrets *s, struct stored *st, char *why)
{
	struct arena arena;
	struct entity e;
	enum rc rc;

	*st = (struct stored){ 0 };
	arena_init(&arena, RECORD_BYTES);
	rc = meta_entity_generation(s->meta, &st->generation);
	if (rc == RC_OK)
		rc = meta_entity_get(
		    s->meta, ENTITY_SEAL_KEY, SPAN(SEAL_NAME), &arena, &e);
	if (rc == RC_OK && e.record.n != WRAPPED_KEY_BYTES) {
		rc = say(why, RC_CORRUPT,
		    "the seal key \"" SEAL_NAME "\" is damaged: restore a "
		    "backup");
	} else if (rc == RC_OK) {
		memcpy(st->wrapped, e.record.p, WRAPPED_KEY_BYTES);
		st->there = true;
	} else if (rc == RC_NOTFOUND) {
		rc = RC_OK;
	} else {
		(void)say(why, rc, "reading the seal key: %s", rc_text(rc));
	}
	arena_reset(&arena);
	return (rc);
}

static bool
in_environment(const struct secrets *s)
{
	return (s->text != NULL && s->text[0] != '\0');
}

static const char *
master_name(const struct secrets *s)
{
	return (in_environment(s) ? "REGISTRYD_MASTER_KEY" : s->file);
}

static enum rc
ring_missing(const struct secrets *s, bool create, char *why)
{
	char *copy;

	if (!create)
		return (say(why, RC_NOTFOUND,
		    "the master key is not there: %s.  This registry holds "
		    "credentials for other registries that are sealed under "
		    "it; put the file back (or set REGISTRYD_MASTER_KEY)",
		    s->file));
	copy = xstrdup(s->file);
	(void)say(why, RC_NOTFOUND,
	    "the master key %s cannot be made: does its folder %s exist?",
	    s->file, dirname(copy));
	free(copy);
	return (RC_NOTFOUND);
}

/* RC_BUSY would say here that entities have changed. */
static enum rc
ring_open(
    const struct secrets *s, bool create, struct keyring **ring_r, char *why)
{
	enum rc rc;

	rc = keyring_open(s->file, s->text, create, why, ring_r);
	if (rc == RC_NOTFOUND)
		return (ring_missing(s, create, why));
	return (rc == RC_BUSY ? RC_LIMIT : rc);
}

static struct entity_change
key_change(const uint8_t wrapped[WRAPPED_KEY_BYTES], bool is_new)
{
	return ((struct entity_change){
	    .entity = { ENTITY_SEAL_KEY, SPAN(SEAL_NAME),
		{ (const char *)wrapped, WRAPPED_KEY_BYTES } },
	    .must_be_new = is_new,
	    .must_exist = !is_new,
	});
}

static enum rc
key_rewrap(struct secrets *s, const struct keyring *ring,
    const struct stored *st, char *why)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	struct entity_change change;
	uint64_t generation;
	enum rc rc;

	keyring_wrap(ring, SPAN(SEAL_NAME), &s->key, wrapped);
	change = key_change(wrapped, false);
	rc = meta_entities_change(
	    s->meta, st->generation, &change, 1, &generation);
	if (rc == RC_OK)
		log_info("the seal key of credentials for other registries was "
			 "under an older master key and has been wrapped anew");
	else
		(void)say(why, rc, "writing the seal key: %s", rc_text(rc));
	return (rc);
}

static enum rc
key_unwrap(struct secrets *s, const struct stored *st, char *why)
{
	const struct span wrapped = { (const char *)st->wrapped,
		WRAPPED_KEY_BYTES };
	struct keyring *ring;
	bool old;
	enum rc rc;

	if ((rc = ring_open(s, false, &ring, why)) != RC_OK)
		return (rc);
	rc = keyring_unwrap(ring, SPAN(SEAL_NAME), wrapped, &s->key, &old);
	if (rc == RC_NOTFOUND)
		(void)say(why, rc,
		    "the credentials for other registries were sealed under "
		    "another master key than that of %s: give the right one",
		    master_name(s));
	else if (rc != RC_OK)
		rc = say(why, RC_CORRUPT,
		    "the seal key \"" SEAL_NAME "\" is damaged: restore a "
		    "backup");
	s->have_key = rc == RC_OK;
	if (rc == RC_OK && old)
		rc = key_rewrap(s, ring, st, why);
	keyring_free(&ring);
	return (rc);
}

/* A key that seals nothing (any more) may be lost with its master key. */
static bool
nothing_sealed(struct secrets *s)
{
	struct entity_page page;
	struct arena arena;
	bool none;

	arena_init(&arena, 4 * RECORD_BYTES);
	none = meta_entity_page(s->meta, ENTITY_UPSTREAM_SECRET, SPAN_NONE, 1,
		   &arena, &page) == RC_OK &&
	       page.n == 0;
	arena_reset(&arena);
	return (none);
}

static enum rc
key_open(struct secrets *s, char *why)
{
	struct stored st;
	enum rc rc = RC_BUSY;
	unsigned i;

	for (i = 0; rc == RC_BUSY && i < CHANGE_TRIES; i++) {
		if ((rc = stored_read(s, &st, why)) != RC_OK)
			return (rc);
		if (st.there)
			rc = key_unwrap(s, &st, why);
		else if (!nothing_sealed(s))
			rc = say(why, RC_CORRUPT,
			    "the metadata hold credentials for other "
			    "registries, but not the key that seals them: "
			    "restore a backup");
	}
	if (rc == RC_NOTFOUND && nothing_sealed(s))
		return (RC_OK);
	return (rc);
}

/* --- its life ------------------------------------------------------------ */

enum rc
secrets_open(const struct secrets_options *options, char why[SECRETS_WHY_BYTES],
    struct secrets **s_r)
{
	struct secrets *s = xcalloc(1, sizeof(*s));
	enum rc rc;

	s->magic = SECRETS_MAGIC;
	s->meta = options->meta;
	s->file = xstrdup(options->master_key_file);
	if (options->master_key_text != NULL)
		s->text = xstrdup(options->master_key_text);
	mutex_init(&s->lock);
	mutex_lock(&s->lock);
	rc = key_open(s, why);
	mutex_unlock(&s->lock);
	if (rc != RC_OK) {
		secrets_close(&s);
		return (rc);
	}
	*s_r = s;
	return (RC_OK);
}

void
secrets_close(struct secrets **s_p)
{
	struct secrets *s = *s_p;

	*s_p = NULL;
	if (s == NULL)
		return;
	OBJ_CHECK(s, SECRETS_MAGIC);
	if (s->text != NULL)
		mem_wipe(s->text, strlen(s->text));
	free(s->text);
	free(s->file);
	mem_wipe(&s->key, sizeof(s->key));
	must(pthread_mutex_destroy(&s->lock) == 0);
	s->magic = 0;
	free(s);
}

/* --- sealing ------------------------------------------------------------- */

#define AAD_BYTES (NAME_MAX_BYTES + 32)

static struct span
aad_of(struct span name, char out[AAD_BYTES])
{
	int n = snprintf(
	    out, AAD_BYTES, "upstream-secret " SPAN_FMT, SPAN_ARG(name));

	must(n > 0 && (size_t)n < AAD_BYTES);
	return ((struct span){ out, (size_t)n });
}

static const char *
kind_text(enum credential_kind kind)
{
	return (kind == CREDENTIAL_AWS ? "aws" : "password");
}

static const char *
or_empty(const char *text)
{
	return (text != NULL ? text : "");
}

/* To be wiped; grows nowhere, so that no copy stays behind. */
static char *
plain_make(const struct credential *c, size_t *n_r)
{
	const char *fields[N_FIELDS] = { kind_text(c->kind), c->username,
		c->password, c->region, c->api_url };
	size_t i, len, n = 0;
	char *plain;

	for (i = 0; i < N_FIELDS; i++)
		n += strlen(or_empty(fields[i])) + 1;
	plain = xmalloc(n);
	*n_r = n - 1; /* nothing stands behind the last */
	for (i = 0, n = 0; i < N_FIELDS; i++) {
		len = strlen(or_empty(fields[i])) + 1;
		memcpy(plain + n, or_empty(fields[i]), len);
		n += len;
	}
	return (plain);
}

static char *
field_dup(struct span s, bool may_miss)
{
	return (may_miss && s.n == 0 ? NULL : xstrndup(s.p, s.n));
}

/* The fields, NUL behind each but the last. */
static enum rc
plain_read(struct span plain, struct credential *c)
{
	struct span fields[N_FIELDS];
	size_t i;

	for (i = 0; i < N_FIELDS; i++) {
		fields[i] = plain;
		if (i + 1 < N_FIELDS) {
			fields[i].n = strnlen(plain.p, plain.n);
			if (fields[i].n == plain.n)
				return (RC_CORRUPT);
			plain.p += fields[i].n + 1;
			plain.n -= fields[i].n + 1;
		}
	}
	*c = (struct credential){
		.kind = span_is(fields[0], "aws") ? CREDENTIAL_AWS
						  : CREDENTIAL_PASSWORD,
		.username = field_dup(fields[1], false),
		.password = field_dup(fields[2], false),
		.region = field_dup(fields[3], true),
		.api_url = field_dup(fields[4], true),
	};
	return (RC_OK);
}

static enum rc
sealed_open(
    struct secrets *s, struct span name, struct span text, struct credential *c)
{
	uint8_t *sealed, *plain;
	char aad[AAD_BYTES];
	size_t n = 0, n_plain = 0, room = 3 * (text.n / 4) + 1;
	enum rc rc;

	sealed = xmalloc(room);
	plain = xcalloc(1, room);
	rc = base64_decode(text, sealed, &n);
	if (rc == RC_OK)
		rc = seal_open(&s->key, aad_of(name, aad),
		    (struct span){ (const char *)sealed, n }, plain, &n_plain);
	if (rc == RC_OK)
		rc = plain_read(
		    (struct span){ (const char *)plain, n_plain }, c);
	mem_wipe(plain, room);
	free(plain);
	free(sealed);
	return (rc == RC_OK ? RC_OK : RC_CORRUPT);
}

/* The caller's. */
static char *
record_make(struct secrets *s, struct span name, const struct credential *c,
    bool configured)
{
	char aad[AAD_BYTES], *plain, *text, *record;
	uint8_t *sealed;
	json_t *o;
	size_t n;

	plain = plain_make(c, &n);
	sealed = xmalloc(n + SEAL_OVERHEAD_BYTES);
	seal(&s->key, aad_of(name, aad), (struct span){ plain, n }, sealed);
	mem_wipe(plain, n);
	free(plain);
	n += SEAL_OVERHEAD_BYTES;
	text = xmalloc(BASE64_LEN(n) + 1);
	base64_encode(sealed, n, text);
	o = json_pack("{s:s,s:s,s:I,s:b,s:s}", "kind", kind_text(c->kind),
	    "username", c->username, "changed", (json_int_t)clock_real_ms(),
	    "configured", configured, "sealed", text);
	must(o != NULL);
	record = json_dumps(o, JSON_COMPACT);
	must(record != NULL);
	json_decref(o);
	free(text);
	free(sealed);
	return (record);
}

/* --- reading ------------------------------------------------------------- */

static enum rc
record_read(const struct entity *e, json_t **o_r)
{
	char wrong[JSON_ERROR_BYTES];
	struct span sealed;

	*o_r = NULL;
	if (json_read(e->record, wrong, o_r) == RC_OK &&
	    json_get_str(*o_r, "sealed", &sealed) == RC_OK)
		return (RC_OK);
	json_decref(*o_r);
	*o_r = NULL;
	log_error(
	    "the credentials of " SPAN_FMT " are damaged", SPAN_ARG(e->name));
	return (RC_CORRUPT);
}

/* With the lock held. */
static enum rc
entity_open(struct secrets *s, const struct entity *e, struct credential *c)
{
	struct span sealed;
	json_t *o;
	enum rc rc;

	if ((rc = record_read(e, &o)) != RC_OK)
		return (rc);
	must(json_get_str(o, "sealed", &sealed) == RC_OK);
	rc = s->have_key ? sealed_open(s, e->name, sealed, c) : RC_CORRUPT;
	if (rc != RC_OK)
		log_error("the credentials of " SPAN_FMT
			  " do not open: their record was changed",
		    SPAN_ARG(e->name));
	json_decref(o);
	return (rc);
}

enum rc
secrets_get(struct secrets *s, struct span name, struct credential *c_r)
{
	struct arena arena;
	struct entity e;
	enum rc rc;

	OBJ_CHECK(s, SECRETS_MAGIC);
	*c_r = (struct credential){ 0 };
	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return (RC_NOTFOUND);
	arena_init(&arena, RECORD_BYTES);
	rc = meta_entity_get(s->meta, ENTITY_UPSTREAM_SECRET, name, &arena, &e);
	if (rc == RC_OK) {
		mutex_lock(&s->lock);
		rc = entity_open(s, &e, c_r);
		mutex_unlock(&s->lock);
	}
	arena_reset(&arena);
	return (rc);
}

static json_t *
row_json(const struct entity *e)
{
	char text[CLOCK_ISO_BYTES];
	int64_t changed_ms = 0;
	json_t *o, *row;

	if (record_read(e, &o) != RC_OK)
		return (json_pack("{s:s%,s:s}", "name", e->name.p, e->name.n,
		    "kind", "damaged"));
	if (json_get_int(o, "changed", &changed_ms) != RC_OK)
		changed_ms = 0;
	row = json_pack("{s:s%,s:O?,s:O?,s:O?,s:s}", "name", e->name.p,
	    e->name.n, "kind", json_object_get(o, "kind"), "username",
	    json_object_get(o, "username"), "configured",
	    json_object_get(o, "configured"), "changed",
	    clock_iso(changed_ms, text));
	json_decref(o);
	return (row);
}

/* One page; the rest goes on behind *${after}, which is ours to free. */
static enum rc
rows_add(struct secrets *s, json_t *list, char **after, bool *more_r)
{
	struct entity_page page = { 0 };
	struct arena arena;
	enum rc rc;
	size_t i;

	arena_init(&arena, (PAGE_ROWS + 1) * RECORD_BYTES);
	rc = meta_entity_page(s->meta, ENTITY_UPSTREAM_SECRET, span_of(*after),
	    PAGE_ROWS, &arena, &page);
	for (i = 0; rc == RC_OK && i < page.n; i++)
		must(json_array_append_new(list, row_json(&page.rows[i])) == 0);
	*more_r = rc == RC_OK && page.more && page.n > 0;
	if (*more_r) {
		free(*after);
		*after = xstrndup(
		    page.rows[page.n - 1].name.p, page.rows[page.n - 1].name.n);
	}
	arena_reset(&arena);
	return (rc);
}

json_t *
secrets_list(struct secrets *s)
{
	json_t *list = json_array();
	char *after = xstrdup("");
	bool more = true;
	enum rc rc = RC_OK;

	OBJ_CHECK(s, SECRETS_MAGIC);
	while (rc == RC_OK && more)
		rc = rows_add(s, list, &after, &more);
	free(after);
	if (rc == RC_OK)
		return (list);
	log_error("the credentials of other registries cannot be read: %s",
	    rc_text(rc));
	json_decref(list);
	return (NULL);
}

/* --- writing ------------------------------------------------------------- */

static bool
length_ok(const char *text)
{
	size_t n = strlen(text);

	return (n > 0 && n <= SECRET_MAX_BYTES);
}

/* A value that goes into a header, or into a form, as it is. */
static bool
value_ok(const char *text)
{
	const char *p;

	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return (false);
	return (length_ok(text));
}

/* Some registries take a whole JSON file for a password; it is sent in base64
 * or in a form. */
static bool
password_ok(const struct credential *c)
{
	const char *text = or_empty(c->password);

	return (c->kind == CREDENTIAL_AWS ? value_ok(text) : length_ok(text));
}

static bool
name_ok(struct span name)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return (false);
	return (name.n > 0 && name.n <= NAME_MAX_BYTES);
}

static bool
utf8_ok(const char *text)
{
	json_t *v = json_string(text);
	bool ok = v != NULL;

	json_decref(v);
	return (ok);
}

static enum rc
credential_check(struct span name, const struct credential *c, char *why)
{
	if (!name_ok(name))
		return (say(why, RC_INVALID,
		    "the name of a secret must be 1 to %zu ASCII characters "
		    "without white space",
		    NAME_MAX_BYTES));
	if (c->kind == CREDENTIAL_NONE)
		return (say(why, RC_INVALID, "there is no credential"));
	if (!value_ok(or_empty(c->username)) || !utf8_ok(c->username) ||
	    (c->kind == CREDENTIAL_PASSWORD &&
		strchr(c->username, ':') != NULL))
		return (say(why, RC_INVALID,
		    "%s must be 1 to %d printable characters%s",
		    c->kind == CREDENTIAL_AWS ? "the access key id"
					      : "the user's name",
		    SECRET_MAX_BYTES,
		    c->kind == CREDENTIAL_AWS ? "" : ", without a colon"));
	if (!password_ok(c))
		return (say(why, RC_INVALID, "%s must be 1 to %d %s",
		    c->kind == CREDENTIAL_AWS ? "the secret access key"
					      : "the password",
		    SECRET_MAX_BYTES,
		    c->kind == CREDENTIAL_AWS
			? "printable characters on one line"
			: "bytes"));
	if ((c->region != NULL && !value_ok(c->region)) ||
	    (c->api_url != NULL && !value_ok(c->api_url)))
		return (say(why, RC_INVALID,
		    "the region and the URL of the API must be printable"));
	return (RC_OK);
}

/* A new seal key, and its wrapped form.  RC_BUSY is for the writing to find
 * out. */
static enum rc
key_make(struct secrets *s, struct stored *st, char *why)
{
	struct keyring *ring;
	enum rc rc;

	if ((rc = stored_read(s, st, why)) != RC_OK ||
	    (rc = ring_open(s, true, &ring, why)) != RC_OK)
		return (rc);
	seal_key_make(&s->key);
	keyring_wrap(ring, SPAN(SEAL_NAME), &s->key, st->wrapped);
	keyring_free(&ring);
	return (RC_OK);
}

/* With the lock held.  Once; RC_BUSY: others changed entities meanwhile. */
static enum rc
put_once(struct secrets *s, struct span name, const struct credential *c,
    bool configured, char *why)
{
	struct entity_change changes[2];
	struct stored st = { 0 };
	uint64_t generation;
	size_t n = 0;
	char *record;
	enum rc rc;

	if (!s->have_key) {
		if ((rc = key_make(s, &st, why)) != RC_OK)
			return (rc);
		changes[n++] = key_change(st.wrapped, !st.there);
	}
	record = record_make(s, name, c, configured);
	changes[n++] = (struct entity_change){
		.entity = { ENTITY_UPSTREAM_SECRET, name, span_of(record) },
		.apart = true,
	};
	rc = meta_entities_change(
	    s->meta, st.generation, changes, n, &generation);
	free(record);
	if (rc == RC_OK)
		s->have_key = true;
	else if (rc == RC_EXISTS || rc == RC_NOTFOUND)
		rc = RC_BUSY;
	if (rc != RC_OK)
		(void)say(why, rc,
		    "writing the credentials of " SPAN_FMT ": %s",
		    SPAN_ARG(name), rc_text(rc));
	return (rc);
}

static enum rc
put(struct secrets *s, struct span name, const struct credential *c,
    bool configured, char *why)
{
	enum rc rc;
	unsigned i;

	if ((rc = credential_check(name, c, why)) != RC_OK)
		return (rc);
	mutex_lock(&s->lock);
	rc = RC_BUSY;
	for (i = 0; rc == RC_BUSY && i < CHANGE_TRIES; i++)
		rc = put_once(s, name, c, configured, why);
	mutex_unlock(&s->lock);
	return (rc);
}

enum rc
secrets_put(struct secrets *s, struct span name, const struct credential *c,
    char why[SECRETS_WHY_BYTES])
{
	OBJ_CHECK(s, SECRETS_MAGIC);
	return (put(s, name, c, false, why));
}

enum rc
secrets_delete(struct secrets *s, struct span name)
{
	struct entity_change change = {
		.entity = { .kind = ENTITY_UPSTREAM_SECRET, .name = name },
		.must_exist = true,
		.apart = true,
	};
	uint64_t generation;

	OBJ_CHECK(s, SECRETS_MAGIC);
	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return (RC_NOTFOUND);
	return (meta_entities_change(s->meta, 0, &change, 1, &generation));
}

/* --- of the configuration ------------------------------------------------ */

static bool
text_eq(const char *a, const char *b)
{
	return (secret_eq(span_of(or_empty(a)), span_of(or_empty(b))));
}

/* Is that what is stored, and marked as configured? */
static bool
stored_same(struct secrets *s, const struct secret_row *row)
{
	struct credential is = { 0 };
	struct arena arena;
	struct entity e;
	json_t *o = NULL;
	bool same = false;

	arena_init(&arena, RECORD_BYTES);
	if (meta_entity_get(s->meta, ENTITY_UPSTREAM_SECRET, row->name, &arena,
		&e) == RC_OK &&
	    record_read(&e, &o) == RC_OK &&
	    json_is_true(json_object_get(o, "configured"))) {
		mutex_lock(&s->lock);
		same = entity_open(s, &e, &is) == RC_OK;
		mutex_unlock(&s->lock);
	}
	same = same && is.kind == row->credential.kind &&
	       text_eq(is.username, row->credential.username) &&
	       text_eq(is.password, row->credential.password) &&
	       text_eq(is.region, row->credential.region) &&
	       text_eq(is.api_url, row->credential.api_url);
	credential_wipe(&is);
	json_decref(o);
	arena_reset(&arena);
	return (same);
}

static bool
row_named(const struct secret_row *rows, size_t n, struct span name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (span_eq(rows[i].name, name))
			return (true);
	return (false);
}

/* Those that stood in the configuration and do not any more. */
static enum rc
leftovers_delete(
    struct secrets *s, const struct secret_row *rows, size_t n, char *why)
{
	json_t *list = secrets_list(s), *o;
	struct span name;
	enum rc rc = RC_OK;
	size_t i;

	if (list == NULL)
		return (say(why, RC_IO,
		    "the credentials of other registries cannot be read"));
	json_array_foreach(list, i, o)
	{
		if (rc != RC_OK ||
		    !json_is_true(json_object_get(o, "configured")) ||
		    json_get_str(o, "name", &name) != RC_OK ||
		    row_named(rows, n, name))
			continue;
		rc = secrets_delete(s, name);
		if (rc == RC_NOTFOUND)
			rc = RC_OK;
	}
	json_decref(list);
	if (rc != RC_OK)
		(void)say(why, rc,
		    "removing credentials that are configured no more: %s",
		    rc_text(rc));
	return (rc);
}

enum rc
secrets_configure(struct secrets *s, const struct secret_row *rows, size_t n,
    char why[SECRETS_WHY_BYTES])
{
	enum rc rc = RC_OK;
	size_t i;

	OBJ_CHECK(s, SECRETS_MAGIC);
	for (i = 0; rc == RC_OK && i < n; i++)
		if (!stored_same(s, &rows[i]))
			rc = put(
			    s, rows[i].name, &rows[i].credential, true, why);
	if (rc == RC_OK && !(n == 0 && nothing_sealed(s)))
		rc = leftovers_delete(s, rows, n, why);
	return (rc);
}

/* --- names --------------------------------------------------------------- */

#define SUFFIX_BYTES 7 /* "-AbC123" */

/* arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-6CHARACTERS */
bool
secret_arn_name(struct span arn, struct span *name_r)
{
	static const char *const parts[] = { "arn", NULL, "secretsmanager",
		NULL, NULL, "secret" };
	struct span rest = arn, part;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++)
		if (!span_split(&rest, ':', &part) ||
		    (parts[i] != NULL && !span_is(part, parts[i])))
			return (false);
	if (rest.n <= SUFFIX_BYTES || rest.p[rest.n - SUFFIX_BYTES] != '-')
		return (false);
	*name_r = (struct span){ rest.p, rest.n - SUFFIX_BYTES };
	return (true);
}
