#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/keys_int.h"
#include "storage/meta_env_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * All keys at once: unwrapped when the folder is opened, wrapped anew when the
 * master key changes, listed.
 */

/* Names that are told; of more there is a number. */
#define LACKING_TOLD 4

struct opening {
	struct keys *keys;
	const struct keyring *ring;
	size_t n, n_old;
	size_t n_lacking, n_damaged;
	size_t n_lost;	    /* of these: they were here before */
	char names[4 * 48]; /* of those that lack, the first few */
	struct opened *opened, **end;
};

/* What was found, until it is all known to be good. */
struct opened {
	struct opened *next;
	struct key_record rec;
	char *name;
	bool here;
	struct seal_key key;
};

static void
opening_init(struct opening *o, struct meta *m, const struct keyring *ring)
{

	*o = (struct opening){ .keys = m->keys, .ring = ring };
	o->end = &o->opened;
}

static void
opening_free(struct opening *o)
{
	struct opened *one;

	while ((one = o->opened) != NULL) {
		o->opened = one->next;
		free(one->name);
		mem_wipe(one, sizeof(*one));
		free(one);
	}
}

/* In memory, or to be had by the ring that is in use. */
static bool
is_in_use(struct keys *keys, const struct key_record *rec)
{
	const struct keys_entry *e;
	struct seal_key key;
	bool is, old;

	keys_lock(keys);
	e = keys_entry(keys, rec->key_domain);
	is = (e != NULL && e->here) ||
	     key_record_unwrap(keys->ring, rec, &key, &old) == RC_OK;
	keys_unlock(keys);
	mem_wipe(&key, sizeof(key));
	return (is);
}

static void
lacking_note(struct opening *o, const struct opened *one, enum rc rc)
{
	size_t n = strlen(o->names);

	if (rc == RC_INVALID)
		o->n_damaged++;
	if (o->n_lacking++ < LACKING_TOLD)
		(void)snprintf(o->names + n, sizeof(o->names) - n,
		    "%s%" PRIu32 " (%.30s)", n > 0 ? ", " : "",
		    one->rec.key_domain,
		    one->name != NULL ? one->name : "its record is damaged");
	o->n_lost += is_in_use(o->keys, &one->rec);
}

/* A row that was damaged since it was read is made anew. */
static enum rc
record_recall(struct opening *o, struct opened *one)
{
	const struct keys_entry *e;
	enum rc rc = RC_INVALID;

	keys_lock(o->keys);
	e = keys_entry(o->keys, one->rec.key_domain);
	if (o->ring != NULL && e != NULL && e->here) {
		free(one->name);
		one->name = xstrdup(e->name);
		one->rec.created_ms = e->created_ms;
		one->key = e->key;
		rc = RC_OK;
	}
	keys_unlock(o->keys);
	return (rc);
}

static enum rc
record_unwrap(void *arg, const struct key_record *rec, bool bad)
{
	struct opening *o = arg;
	struct opened *one = xcalloc(1, sizeof(*one));
	bool old = false;
	enum rc rc;

	one->rec = *rec;
	if (!bad)
		one->name = xstrndup(rec->name.p, rec->name.n);
	rc =
	    bad ? RC_INVALID : key_record_unwrap(o->ring, rec, &one->key, &old);
	if (rc == RC_INVALID) {
		rc = record_recall(o, one);
		old = rc == RC_OK;
	}
	one->rec.name = span_of(one->name);
	one->here = rc == RC_OK;
	if (!one->here)
		lacking_note(o, one, rc);
	o->n++;
	o->n_old += old;
	*o->end = one;
	o->end = &one->next;
	return (RC_OK);
}

static enum rc
opening_look(struct meta *m, struct opening *o)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = key_record_walk(&t, 1, record_unwrap, o);
	meta_read_end(&t);
	return (rc);
}

/* --- what is lacking ----------------------------------------------------- */

static void
lacking_text(const struct opening *o, char *out, size_t n_out)
{
	char more[32] = "";

	if (o->n_lacking > LACKING_TOLD)
		(void)snprintf(more, sizeof(more), " and %zu more",
		    o->n_lacking - LACKING_TOLD);
	(void)snprintf(out, n_out, "%s%s", o->names, more);
}

/* RC_OK: nothing is, or those that are there are to be served. */
static enum rc
lacking_check(const struct opening *o, bool lacking, char *why)
{
	char names[4 * 48 + 32];

	if (o->n_lacking == 0)
		return (RC_OK);
	lacking_text(o, names, sizeof(names));
	if (lacking && o->n_lost == 0) {
		log_warn("what is encrypted with these keys is not served, as "
			 "they cannot be had: %s",
		    names);
		return (RC_OK);
	}
	if (o->n_lost > 0) {
		(void)snprintf(why, STORE_WHY_BYTES,
		    "the new master keys do not open keys that are in use: "
		    "%s; keep the master key that was used so far behind the "
		    "new one",
		    names);
		return (RC_NOTFOUND);
	}
	if (o->n_damaged == o->n_lacking) {
		(void)snprintf(why, STORE_WHY_BYTES,
		    "keys that repositories are encrypted with are damaged: "
		    "%s; restore the metadata from a backup",
		    names);
		return (RC_INVALID);
	}
	(void)snprintf(why, STORE_WHY_BYTES,
	    "keys that repositories are encrypted with cannot be had: %s; "
	    "%s: put the master key back that was used when they were made, "
	    "or what is encrypted with them stays unreadable",
	    names,
	    o->ring == NULL ? "there is no master key"
			    : "they are under another master key");
	return (o->ring == NULL ? RC_MISSING : RC_NOTFOUND);
}

/* --- a change of the ring ------------------------------------------------ */

static enum rc
opened_save(struct meta_txn *t, const struct opening *o, struct opened *one)
{

	if (!one->here)
		return (RC_OK);
	key_record_wrap(o->ring, &one->key, &one->rec);
	return (key_record_save(t, &one->rec));
}

/* All of them, as they are by now. */
static enum rc
opening_save(struct meta_txn *t, struct opening *o)
{
	struct opened *one;
	enum rc rc;

	opening_free(o);
	opening_init(o, t->m, o->ring);
	if ((rc = key_record_walk(t, 1, record_unwrap, o)) != RC_OK)
		return (rc);
	for (one = o->opened; one != NULL && rc == RC_OK; one = one->next)
		rc = opened_save(t, o, one);
	return (rc);
}

struct rotation {
	struct opening *o;
	struct keyring *ring;
	bool lacking;
	char *why;
};

static enum rc
ring_change(struct meta_txn *t, void *arg)
{
	const struct rotation *r = arg;
	struct keys *keys = t->m->keys;
	uint64_t number;
	enum rc rc;

	if ((rc = opening_save(t, r->o)) != RC_OK)
		return (rc);
	if ((rc = lacking_check(r->o, r->lacking, r->why)) != RC_OK)
		return (rc);
	if ((rc = meta_number_get(t, NUMBER_KEY_RING, &number)) != RC_OK)
		return (rc);
	number++;
	if ((rc = meta_number_set(t, NUMBER_KEY_RING, number)) != RC_OK)
		return (rc);
	keys_lock(keys);
	keys->ring_to = r->ring;
	keys->ring_to_number = number;
	keys_unlock(keys);
	return (RC_OK);
}

/* The keys are known from now on, and the ring is that. */
static void
ring_settle(struct keys *keys, const struct opening *o, struct keyring **ring)
{
	struct keyring *was;
	struct opened *one;

	keys_lock(keys);
	was = keys->ring;
	keys->ring = *ring;
	keys->ring_to = NULL;
	for (one = o->opened; one != NULL; one = one->next) {
		keys_keep(keys, &one->rec, one->here ? &one->key : NULL);
		keys->all_to = one->rec.key_domain;
	}
	keys_unlock(keys);
	keyring_free(&was);
	*ring = NULL;
}

static enum rc
ring_rotate(struct meta *m, struct keyring **ring, struct opening *o,
    bool lacking, char *why)
{
	struct rotation r = { o, *ring, lacking, why };
	enum rc rc;

	rc = meta_change_freeing(m, ring_change, &r);
	if (rc == RC_OK) {
		ring_settle(m->keys, o, ring);
		return (RC_OK);
	}
	keys_lock(m->keys);
	m->keys->ring_to = NULL;
	keys_unlock(m->keys);
	if (why[0] == '\0')
		(void)snprintf(why, STORE_WHY_BYTES,
		    "the keys could not be wrapped anew: %s", rc_text(rc));
	return (rc);
}

/* When nobody has the old one, nor makes keys, and all is under the current
 * master key, nothing has to be written. */
static bool
needs_change(struct meta *m, const struct opening *o)
{
	bool used;

	if (m->read_only)
		return (false);
	keys_lock(m->keys);
	used = m->keys->ring != NULL;
	keys_unlock(m->keys);
	return (used || o->n_old > 0);
}

enum rc
store_keys_open(struct store *s, struct keyring **ring, bool lacking,
    char why[STORE_WHY_BYTES])
{
	struct keyring *none = NULL;
	struct opening o;
	enum rc rc;

	why[0] = '\0';
	if (ring == NULL)
		ring = &none;
	must(pthread_mutex_lock(&s->meta->keys->rotating) == 0);
	opening_init(&o, s->meta, *ring);
	rc = opening_look(s->meta, &o);
	if (rc == RC_OK)
		rc = lacking_check(&o, lacking, why);
	if (rc == RC_OK && needs_change(s->meta, &o))
		rc = ring_rotate(s->meta, ring, &o, lacking, why);
	else if (rc == RC_OK)
		ring_settle(s->meta->keys, &o, ring);
	if (rc != RC_OK && why[0] == '\0')
		(void)snprintf(why, STORE_WHY_BYTES,
		    "%s: the keys cannot be read: %s", s->options.dir,
		    rc_text(rc));
	opening_free(&o);
	must(pthread_mutex_unlock(&s->meta->keys->rotating) == 0);
	return (rc);
}

/* --- wrapping all anew --------------------------------------------------- */

/* Under the ring that is in use by then. */
static enum rc
all_rewrap(struct meta_txn *t, void *arg)
{
	struct keys *keys = t->m->keys;
	struct opening *o = arg;
	uint64_t number;
	enum rc rc;

	if ((rc = meta_number_get(t, NUMBER_KEY_RING, &number)) != RC_OK)
		return (rc);
	keys_lock(keys);
	o->ring = keys_ring(keys, number);
	keys_unlock(keys);
	if ((rc = opening_save(t, o)) != RC_OK)
		return (rc);
	return (o->n_lacking > 0 ? RC_MISSING : RC_OK);
}

enum rc
store_keys_rewrap(struct store *s, size_t *n_r)
{
	struct keys *keys = s->meta->keys;
	struct opening o;
	enum rc rc;

	opening_init(&o, s->meta, NULL);
	must(pthread_mutex_lock(&keys->rotating) == 0);
	rc = meta_change_freeing(s->meta, all_rewrap, &o);
	must(pthread_mutex_unlock(&keys->rotating) == 0);
	*n_r = rc == RC_OK ? o.n : 0;
	opening_free(&o);
	return (rc);
}

/* --- telling ------------------------------------------------------------- */

static enum rc
record_count(void *arg, const struct key_record *rec, bool bad)
{
	size_t *n = arg;

	(void)rec;
	(void)bad;
	(*n)++;
	return (RC_OK);
}

enum rc
store_keys_count(struct store *s, size_t *n_r)
{
	struct meta_txn t;
	enum rc rc;

	*n_r = 0;
	if ((rc = meta_read_begin(s->meta, &t)) != RC_OK)
		return (rc);
	rc = key_record_walk(&t, 1, record_count, n_r);
	meta_read_end(&t);
	return (rc);
}

struct listing {
	struct keys *keys;
	struct arena *arena;
	struct key_row *rows;
	size_t n, room;
};

static enum rc
row_add(void *arg, const struct key_record *rec, bool bad)
{
	struct listing *l = arg;
	const struct keys_entry *e;
	struct key_row *row;

	/* Made since they were counted. */
	if (l->n == l->room)
		return (RC_OK);
	row = &l->rows[l->n++];
	row->key_domain = rec->key_domain;
	row->created_ms = rec->created_ms;
	if (!bad)
		row->name = arena_span(l->arena, rec->name);
	if (!bad && row->name.p == NULL)
		return (RC_TOOBIG);
	keys_lock(l->keys);
	e = keys_entry(l->keys, rec->key_domain);
	row->here = e != NULL && e->here;
	keys_unlock(l->keys);
	return (RC_OK);
}

static enum rc
rows_read(struct meta *m, struct listing *l)
{
	struct seal_key key;
	struct meta_txn t;
	size_t i;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = key_record_walk(&t, 1, record_count, &l->room);
	l->rows = arena_calloc(l->arena, l->room + 1, sizeof(*l->rows));
	if (rc == RC_OK && l->rows == NULL)
		rc = RC_TOOBIG;
	if (rc == RC_OK)
		rc = key_record_walk(&t, 1, row_add, l);
	/* One that nobody has asked for yet. */
	for (i = 0; i < l->n && rc == RC_OK; i++)
		if (!l->rows[i].here)
			l->rows[i].here =
			    keys_load(&t, l->rows[i].key_domain, &key) == RC_OK;
	mem_wipe(&key, sizeof(key));
	meta_read_end(&t);
	return (rc);
}

/* Ids begin with the domain, so its repositories lie together.  So many are
 * counted in one read. */
#define COUNT_ROWS 4096

static enum rc
ids_count(struct meta *m, enum meta_table table, uint32_t domain,
    struct rec_key *from, uint64_t *n, bool *more_r)
{
	struct rec_key prefix;
	struct meta_txn t;
	struct kv_walk w;
	unsigned i = 0;
	enum rc rc;

	key_repo(&prefix, (uint64_t)domain << 32);
	prefix.n = sizeof(domain);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(&t, table, key_span(&prefix), key_span(from), &w);
	if (rc != RC_OK)
		goto out;
	while (i++ < COUNT_ROWS && (rc = kv_walk_next(&w)) == RC_OK) {
		/* Behind that one. */
		if (w.key.n == sizeof(uint64_t) &&
		    !span_eq(w.key, key_span(from))) {
			key_str(from, w.key);
			(*n)++;
		}
	}
	kv_walk_end(&w);
out:
	meta_read_end(&t);
	*more_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
repositories_count(struct meta *m, struct key_row *row)
{
	static const enum meta_table tables[] = {
		TABLE_REPOSITORY_NAMES,
		TABLE_DOOMED,
	};
	struct rec_key from;
	bool more;
	size_t i;
	enum rc rc = RC_OK;

	for (i = 0; i < ARRAY_LEN(tables) && rc == RC_OK; i++) {
		from.n = 0;
		more = true;
		while (rc == RC_OK && more)
			rc = ids_count(m, tables[i], row->key_domain, &from,
			    &row->repositories, &more);
	}
	return (rc);
}

enum rc
keys_list(
    struct store *s, struct arena *a, struct key_row **rows_r, size_t *n_r)
{
	struct listing l = { .keys = s->meta->keys, .arena = a };
	size_t i;
	enum rc rc;

	rc = rows_read(s->meta, &l);
	for (i = 0; i < l.n && rc == RC_OK; i++)
		rc = repositories_count(s->meta, &l.rows[i]);
	*rows_r = l.rows;
	*n_r = l.n;
	return (rc);
}
