#include "storage/keys.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/keys_int.h"
#include "storage/meta_env_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * Key domains in use: their names, their keys in memory, and new ones.
 */

#define RECORD_ARENA_BYTES ((size_t)16 * 1024)
#define ENTRIES_FIRST 8

/* --- names --------------------------------------------------------------- */

/* "AES256", or "kms/" and the name of a key. */
#define OWN_NAME "AES256"
#define KMS_PREFIX "kms/"
#define KMS_DEFAULT "aws/ecr"
/* Colons in front of what an ARN is about. */
#define ARN_COLONS 5

static struct span
without_prefix(struct span s, struct span prefix)
{

	if (!span_has_prefix(s, prefix))
		return (s);
	return ((struct span){ s.p + prefix.n, s.n - prefix.n });
}

struct span
key_name(struct span kms_key)
{
	struct span s = kms_key, part;
	unsigned i;

	if (span_has_prefix(s, SPAN("arn:")))
		for (i = 0; i < ARN_COLONS; i++)
			if (!span_split(&s, ':', &part))
				break;
	if (span_has_prefix(s, SPAN("alias/")))
		s = without_prefix(s, SPAN("alias/"));
	else
		s = without_prefix(s, SPAN("key/"));
	return (s.n > 0 ? s : SPAN(KMS_DEFAULT));
}

struct domain_name {
	size_t n; /* 0: not encrypted */
	char p[sizeof(KMS_PREFIX) + KEY_NAME_MAX_BYTES];
};

static void
name_add(struct domain_name *name, struct span s)
{

	memcpy(name->p + name->n, s.p, s.n);
	name->n += s.n;
}

static enum rc
name_of_kms(struct span kms_key, struct domain_name *name)
{
	struct span s = key_name(kms_key);

	if (s.n > KEY_NAME_MAX_BYTES)
		return (RC_TOOBIG);
	if (memchr(s.p, '\0', s.n) != NULL)
		return (RC_INVALID);
	name_add(name, SPAN(KMS_PREFIX));
	name_add(name, s);
	return (RC_OK);
}

static enum rc
name_of(struct keys *keys, const struct repository_settings *s,
    struct domain_name *name)
{
	enum encryption_type type = s->encryption;

	name->n = 0;
	if (type == ENCRYPTION_DEFAULT)
		type = (enum encryption_type)atomic_load(
		    &keys->encryption_default);
	switch (type) {
	case ENCRYPTION_KMS:
	case ENCRYPTION_KMS_DSSE:
		return (name_of_kms(s->kms_key, name));
	case ENCRYPTION_AES256:
		name_add(name, SPAN(OWN_NAME));
		return (RC_OK);
	case ENCRYPTION_DEFAULT:
	case ENCRYPTION_NONE:
	default:
		return (RC_OK);
	}
}

static struct span
name_span(const struct domain_name *name)
{

	return ((struct span){ name->p, name->n });
}

void
store_encryption_default_set(struct store *s, enum encryption_type type)
{

	must(type == ENCRYPTION_NONE || type == ENCRYPTION_AES256);
	atomic_store(&s->meta->keys->encryption_default, (int)type);
}

/* --- in memory ----------------------------------------------------------- */

struct keys *
keys_new(struct meta *m)
{
	struct keys *keys = xcalloc(1, sizeof(*keys));

	keys->m = m;
	atomic_init(&keys->encryption_default, (int)ENCRYPTION_NONE);
	must(pthread_mutex_init(&keys->lock, NULL) == 0);
	must(pthread_mutex_init(&keys->rotating, NULL) == 0);
	return (keys);
}

void
keys_free(struct keys **keys_r)
{
	struct keys *keys = *keys_r;
	size_t i;

	if (keys == NULL)
		return;
	for (i = 0; i < keys->n_entries; i++)
		free(keys->entries[i].name);
	if (keys->entries != NULL)
		mem_wipe(keys->entries, keys->room * sizeof(keys->entries[0]));
	free(keys->entries);
	keyring_free(&keys->ring);
	must(pthread_mutex_destroy(&keys->lock) == 0);
	must(pthread_mutex_destroy(&keys->rotating) == 0);
	free(keys);
	*keys_r = NULL;
}

void
keys_lock(struct keys *keys)
{

	must(pthread_mutex_lock(&keys->lock) == 0);
}

void
keys_unlock(struct keys *keys)
{

	must(pthread_mutex_unlock(&keys->lock) == 0);
}

/* Where it is, or would be. */
static size_t
entry_place(const struct keys *keys, uint32_t domain)
{
	size_t at = 0, end = keys->n_entries, mid;

	while (at < end) {
		mid = at + (end - at) / 2;
		if (keys->entries[mid].key_domain < domain)
			at = mid + 1;
		else
			end = mid;
	}
	return (at);
}

struct keys_entry *
keys_entry(struct keys *keys, uint32_t domain)
{
	size_t at = entry_place(keys, domain);

	if (at == keys->n_entries || keys->entries[at].key_domain != domain)
		return (NULL);
	return (&keys->entries[at]);
}

/* The array grows by a copy, and what it was is wiped. */
static void
entries_grow(struct keys *keys)
{
	struct keys_entry *entries, *old = keys->entries;
	size_t room = keys->room > 0 ? 2 * keys->room : ENTRIES_FIRST;

	if (keys->n_entries < keys->room)
		return;
	entries = xcalloc(room, sizeof(*entries));
	if (old != NULL) {
		memcpy(entries, old, keys->n_entries * sizeof(*entries));
		mem_wipe(old, keys->room * sizeof(*entries));
	}
	free(old);
	keys->entries = entries;
	keys->room = room;
}

static struct keys_entry *
entry_new(struct keys *keys, uint32_t domain)
{
	struct keys_entry *e;
	size_t at;

	entries_grow(keys);
	at = entry_place(keys, domain);
	e = &keys->entries[at];
	memmove(e + 1, e, (keys->n_entries - at) * sizeof(*e));
	keys->n_entries++;
	*e = (struct keys_entry){ .key_domain = domain };
	return (e);
}

void
keys_keep(
    struct keys *keys, const struct key_record *rec, const struct seal_key *key)
{
	struct keys_entry *e = keys_entry(keys, rec->key_domain);

	if (e == NULL)
		e = entry_new(keys, rec->key_domain);
	/* Names are lent out, and never change. */
	if (e->name == NULL && rec->name.n > 0)
		e->name = xstrndup(rec->name.p, rec->name.n);
	e->created_ms = rec->created_ms;
	e->here = key != NULL;
	if (key != NULL)
		e->key = *key;
	else
		mem_wipe(&e->key, sizeof(e->key));
}

/* --- keys ---------------------------------------------------------------- */

struct keyring *
keys_ring(struct keys *keys, uint64_t number)
{

	if (keys->ring_to != NULL && number == keys->ring_to_number)
		return (keys->ring_to);
	return (keys->ring);
}

/* Under the lock.  A read may be of a moment before a rotation, and the row
 * wrapped by a ring that is gone; but then the rotation has kept the key. */
static enum rc
record_unwrap(struct keys *keys, const struct key_record *rec,
    const struct keyring *ring, struct seal_key *key_r)
{
	const struct keys_entry *e;
	enum rc rc;
	bool old;

	rc = key_record_unwrap(ring, rec, key_r, &old);
	if (rc == RC_OK)
		return (rc);
	e = keys_entry(keys, rec->key_domain);
	if (e == NULL || !e->here)
		return (rc);
	*key_r = e->key;
	return (RC_OK);
}

/* Of a row; it is kept if it is sure to stay as it is. */
static enum rc
record_open(struct meta_txn *t, const struct key_record *rec, bool bad,
    struct seal_key *key_r)
{
	struct keys *keys = t->m->keys;
	uint64_t number;
	enum rc rc;

	if ((rc = meta_number_get(t, NUMBER_KEY_RING, &number)) != RC_OK)
		return (rc);
	keys_lock(keys);
	rc = bad ? RC_INVALID
		 : record_unwrap(keys, rec, keys_ring(keys, number), key_r);
	if (t->counts == NULL && !bad)
		keys_keep(keys, rec, rc == RC_OK ? key_r : NULL);
	keys_unlock(keys);
	if (rc == RC_OK)
		return (RC_OK);
	log_error("key domain %u: its key cannot be had: %s", rec->key_domain,
	    rc_text(rc));
	return (RC_LOCKED);
}

/* RC_NOTFOUND: it is not in memory. */
static enum rc
key_known(struct keys *keys, uint32_t domain, struct seal_key *key_r)
{
	const struct keys_entry *e;
	enum rc rc = RC_NOTFOUND;

	keys_lock(keys);
	if ((e = keys_entry(keys, domain)) != NULL) {
		rc = e->here ? RC_OK : RC_LOCKED;
		*key_r = e->key;
	}
	keys_unlock(keys);
	return (rc);
}

enum rc
keys_load(struct meta_txn *t, uint32_t domain, struct seal_key *key_r)
{
	struct key_record rec;
	struct arena a;
	enum rc rc;

	must(domain != KEY_DOMAIN_PLAIN);
	if ((rc = key_known(t->m->keys, domain, key_r)) != RC_NOTFOUND)
		return (rc);
	arena_init(&a, RECORD_ARENA_BYTES);
	rc = key_record_load(t, domain, &a, &rec);
	if (rc == RC_OK || rc == RC_INVALID)
		rc = record_open(t, &rec, rc != RC_OK, key_r);
	else if (rc == RC_NOTFOUND)
		rc = RC_LOCKED;
	arena_reset(&a);
	return (rc);
}

enum rc
keys_get(struct store *s, uint32_t domain, enum read_mode mode,
    struct seal_key *key_r)
{
	struct meta *m = s->meta;
	struct meta_txn t;
	enum rc rc;

	must(domain != KEY_DOMAIN_PLAIN);
	if ((rc = key_known(m->keys, domain, key_r)) != RC_NOTFOUND)
		return (rc);
	if (mode == READ_INLINE)
		return (RC_WOULDBLOCK);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = keys_load(&t, domain, key_r);
	meta_read_end(&t);
	return (rc);
}

/* --- domains by name ----------------------------------------------------- */

struct finding {
	struct span name;
	uint32_t found; /* 0: not there */
	uint32_t last;	/* number seen */
};

/* RC_EXISTS: that is it. */
static enum rc
record_match(void *arg, const struct key_record *rec, bool bad)
{
	struct finding *f = arg;

	f->last = rec->key_domain;
	if (bad || !span_eq(rec->name, f->name))
		return (RC_OK);
	f->found = rec->key_domain;
	return (RC_EXISTS);
}

/* Of those in memory; .last: others are behind that. */
static void
find_known(struct keys *keys, struct finding *f)
{
	const struct keys_entry *e;
	size_t i;

	keys_lock(keys);
	f->last = keys->all_to;
	for (i = 0; i < keys->n_entries; i++) {
		e = &keys->entries[i];
		if (e->name != NULL && span_is(f->name, e->name))
			f->found = e->key_domain;
	}
	keys_unlock(keys);
}

static enum rc
find_all(struct meta_txn *t, struct finding *f)
{
	enum rc rc;

	find_known(t->m->keys, f);
	if (f->found != 0 || f->last == UINT32_MAX)
		return (RC_OK);
	rc = key_record_walk(t, f->last + 1, record_match, f);
	return (rc == RC_EXISTS ? RC_OK : rc);
}

/* RC_NOTFOUND: there is none of that name, which ${name} keeps, yet.  Of what is
 * not encrypted the plain one. */
static enum rc
find_of(struct meta_txn *t, const struct repository_settings *s,
    struct domain_name *name, struct finding *f)
{
	enum rc rc;

	*f = (struct finding){ 0 };
	rc = name_of(t->m->keys, s, name);
	if (rc != RC_OK || name->n == 0)
		return (rc);
	f->name = name_span(name);
	if ((rc = find_all(t, f)) != RC_OK)
		return (rc);
	return (f->found != 0 ? RC_OK : RC_NOTFOUND);
}

enum rc
keys_find(
    struct meta_txn *t, const struct repository_settings *s, uint32_t *domain_r)
{
	struct domain_name name;
	struct finding f;
	enum rc rc;

	rc = find_of(t, s, &name, &f);
	*domain_r = f.found;
	return (rc);
}

/* A number is never given twice, whatever became of its row. */
static enum rc
number_take(struct meta_txn *t, uint32_t last, uint32_t *domain_r)
{
	uint64_t n;
	enum rc rc;

	rc = meta_number_get(t, NUMBER_KEY_DOMAIN, &n);
	if (rc != RC_OK)
		return (rc);
	if (n < last)
		n = last;
	if (n >= UINT32_MAX)
		return (RC_LIMIT);
	*domain_r = (uint32_t)++n;
	return (meta_number_set(t, NUMBER_KEY_DOMAIN, n));
}

/* By the ring of this transaction, which is not freed meanwhile. */
static enum rc
record_seal(struct meta_txn *t, struct key_record *rec)
{
	struct keys *keys = t->m->keys;
	const struct keyring *ring;
	struct seal_key key;
	uint64_t number;
	enum rc rc;

	if ((rc = meta_number_get(t, NUMBER_KEY_RING, &number)) != RC_OK)
		return (rc);
	keys_lock(keys);
	if ((ring = keys_ring(keys, number)) != NULL) {
		seal_key_make(&key);
		key_record_wrap(ring, &key, rec);
		mem_wipe(&key, sizeof(key));
	}
	keys_unlock(keys);
	return (ring != NULL ? RC_OK : RC_LOCKED);
}

/* The next behind ${domain} whose key is not here; 0: none. */
static uint32_t
entry_locked(struct keys *keys, uint32_t domain)
{
	const struct keys_entry *e;
	uint32_t found = 0;
	size_t i;

	keys_lock(keys);
	for (i = 0; i < keys->n_entries && found == 0; i++) {
		e = &keys->entries[i];
		if (!e->here && e->key_domain > domain)
			found = e->key_domain;
	}
	keys_unlock(keys);
	return (found);
}

/* Has it repositories, deleted ones among them? */
static enum rc
domain_used(struct meta_txn *t, uint32_t domain, bool *used_r)
{
	static const enum meta_table tables[] = {
		TABLE_REPOSITORY_NAMES,
		TABLE_DOOMED,
	};
	struct rec_key prefix;
	struct kv_walk w;
	size_t i;
	enum rc rc = RC_NOTFOUND;

	key_repo(&prefix, (uint64_t)domain << 32);
	prefix.n = sizeof(domain);
	for (i = 0; i < ARRAY_LEN(tables) && rc == RC_NOTFOUND; i++) {
		rc = kv_walk_begin(
		    t, tables[i], key_span(&prefix), SPAN_NONE, &w);
		if (rc != RC_OK)
			return (rc);
		rc = kv_walk_next(&w);
		kv_walk_end(&w);
	}
	*used_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* RC_LOCKED: it is under another master key; one that is damaged is not. */
static enum rc
domain_foreign(struct meta_txn *t, const struct keyring *ring, uint32_t domain)
{
	struct key_record rec;
	struct seal_key key;
	struct arena a;
	bool old;
	enum rc rc;

	arena_init(&a, RECORD_ARENA_BYTES);
	rc = key_record_load(t, domain, &a, &rec);
	if (rc == RC_OK)
		rc = key_record_unwrap(ring, &rec, &key, &old);
	mem_wipe(&key, sizeof(key));
	arena_reset(&a);
	return (rc == RC_NOTFOUND || rc == RC_MISSING ? RC_LOCKED : RC_OK);
}

/*
 * May keys be made under this master key?  Not while there are repositories
 * that it does not open: it is most likely the wrong one, and what was made
 * under it would be lost when the right one is put back.
 */
static enum rc
ring_check(struct meta_txn *t)
{
	struct keys *keys = t->m->keys;
	const struct keyring *ring;
	uint32_t domain = 0;
	uint64_t number;
	bool used;
	enum rc rc;

	if ((rc = meta_number_get(t, NUMBER_KEY_RING, &number)) != RC_OK)
		return (rc);
	keys_lock(keys);
	ring = keys_ring(keys, number);
	keys_unlock(keys);
	while (rc == RC_OK && (domain = entry_locked(keys, domain)) != 0) {
		rc = domain_used(t, domain, &used);
		if (rc == RC_OK && used)
			rc = domain_foreign(t, ring, domain);
	}
	return (rc);
}

static enum rc
domain_make(struct meta_txn *t, const struct finding *f, uint32_t *domain_r)
{
	struct key_record rec = {
		.name = f->name,
		.created_ms = clock_real_ms(),
	};
	enum rc rc;

	if ((rc = ring_check(t)) != RC_OK)
		return (rc);
	if ((rc = number_take(t, f->last, &rec.key_domain)) != RC_OK)
		return (rc);
	if ((rc = record_seal(t, &rec)) != RC_OK)
		return (rc);
	if ((rc = key_record_save(t, &rec)) == RC_OK)
		*domain_r = rec.key_domain;
	return (rc);
}

enum rc
keys_take(
    struct meta_txn *t, const struct repository_settings *s, uint32_t *domain_r)
{
	struct domain_name name;
	struct finding f;
	struct seal_key key;
	enum rc rc;

	rc = find_of(t, s, &name, &f);
	*domain_r = f.found;
	if (rc == RC_NOTFOUND)
		return (domain_make(t, &f, domain_r));
	if (rc != RC_OK || f.found == KEY_DOMAIN_PLAIN)
		return (rc);
	rc = keys_load(t, f.found, &key);
	mem_wipe(&key, sizeof(key));
	return (rc);
}

enum rc
keys_domain_known(struct store *s, const struct repository_settings *settings,
    uint32_t *domain_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(s->meta, &t)) != RC_OK)
		return (rc);
	rc = keys_find(&t, settings, domain_r);
	meta_read_end(&t);
	return (rc);
}

struct taking {
	const struct repository_settings *settings;
	uint32_t key_domain;
};

static enum rc
domain_take(struct meta_txn *t, void *arg)
{
	struct taking *taking = arg;

	return (keys_take(t, taking->settings, &taking->key_domain));
}

enum rc
keys_domain(struct store *s, const struct repository_settings *settings,
    uint32_t *domain_r)
{
	struct taking taking = { .settings = settings };
	enum rc rc;

	rc = keys_domain_known(s, settings, domain_r);
	if (rc != RC_NOTFOUND)
		return (rc);
	rc = meta_change(s->meta, domain_take, &taking, 0);
	*domain_r = taking.key_domain;
	return (rc == RC_LOCKED ? RC_MISSING : rc);
}

struct choice {
	struct meta_txn *t;
	uint32_t key_domain;
};

/* RC_EXISTS: that one. */
static enum rc
record_choose(void *arg, const struct key_record *rec, bool bad)
{
	struct choice *choice = arg;
	struct seal_key key;
	bool here;

	(void)bad;
	here = keys_load(choice->t, rec->key_domain, &key) == RC_OK;
	mem_wipe(&key, sizeof(key));
	if (here || choice->key_domain == KEY_DOMAIN_PLAIN)
		choice->key_domain = rec->key_domain;
	return (here ? RC_EXISTS : RC_OK);
}

enum rc
keys_some(struct store *s, uint32_t *domain_r)
{
	struct choice choice = { .key_domain = KEY_DOMAIN_PLAIN };
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(s->meta, &t)) != RC_OK)
		return (rc);
	choice.t = &t;
	rc = key_record_walk(&t, 1, record_choose, &choice);
	meta_read_end(&t);
	*domain_r = choice.key_domain;
	return (rc == RC_EXISTS ? RC_OK : rc);
}

/* --- what a repository says of itself ------------------------------------ */

/* SPAN_NONE: not known. */
static struct span
domain_text(struct meta_txn *t, uint32_t domain)
{
	struct keys *keys = t->m->keys;
	const struct keys_entry *e;
	struct span s = SPAN_NONE;
	struct seal_key key;

	/* So that it is in memory. */
	if (t->counts == NULL) {
		(void)!keys_load(t, domain, &key);
		mem_wipe(&key, sizeof(key));
	}
	keys_lock(keys);
	if ((e = keys_entry(keys, domain)) != NULL && e->name != NULL)
		s = span_of(e->name);
	keys_unlock(keys);
	return (s);
}

void
keys_truth(struct meta_txn *t, uint64_t repo, struct repository_settings *s)
{
	struct span name, kms;

	if (repo_domain(repo) == KEY_DOMAIN_PLAIN) {
		s->encryption = ENCRYPTION_NONE;
		s->kms_key = SPAN_NONE;
		return;
	}
	name = domain_text(t, repo_domain(repo));
	if (name.n == 0 && s->encryption == ENCRYPTION_KMS)
		return;
	if (name.n == 0 || !span_has_prefix(name, SPAN(KMS_PREFIX))) {
		s->encryption = ENCRYPTION_AES256;
		s->kms_key = SPAN_NONE;
		return;
	}
	kms = without_prefix(name, SPAN(KMS_PREFIX));
	s->encryption = ENCRYPTION_KMS;
	if (!span_eq(key_name(s->kms_key), kms))
		s->kms_key = kms;
}
