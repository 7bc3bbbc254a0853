#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/advisories.h"
#include "storage/advisories_int.h"
#include "storage/meta_env_int.h"
#include "storage/meta_ops_int.h"

/*
 * Sets of advisories.
 *
 * A set has a number that no other has had.  Its rows lie together in the table
 * "advisories"; what makes it seen is the entity of its source, which names it.
 * So a change of that one entity puts a new set in place of an old one, however
 * large they are, and whatever rows have a number that no entity names, and no
 * import in this process is at work on, are to be swept.
 *
 * The revision moves on whenever what is seen changes, so a list of what is
 * seen is good for as long as it is of the present one.
 */
#define SET_RECORD_MAX_BYTES ENTITY_RECORD_MAX_BYTES

/* --- what is known in memory --------------------------------------------- */

struct advisories *
advisories_new(void)
{
	struct advisories *s = xcalloc(1, sizeof(*s));

	mutex_init(&s->lock);
	return (s);
}

void
advisories_free(struct advisories **s_p)
{
	struct advisories *s = *s_p;

	*s_p = NULL;
	if (s == NULL)
		return;
	must(pthread_mutex_destroy(&s->lock) == 0);
	free(s->seen);
	free(s);
}

/* With the lock held; 0 finds one that is free. */
static struct advisory_import_row *
import_find(struct advisories *s, uint64_t set)
{
	size_t i;

	for (i = 0; i < ADVISORY_IMPORTS_MAX; i++)
		if (s->imports[i].set == set)
			return (&s->imports[i]);
	return (NULL);
}

static bool
importing(struct meta *m, uint64_t set)
{
	bool is;

	mutex_lock(&m->advisories->lock);
	is = import_find(m->advisories, set) != NULL;
	mutex_unlock(&m->advisories->lock);
	return (is);
}

static void
dirty(struct meta *m)
{
	mutex_lock(&m->advisories->lock);
	m->advisories->clean = false;
	mutex_unlock(&m->advisories->lock);
}

/* From now on it is clean, unless somebody says otherwise. */
static bool
was_clean(struct meta *m)
{
	bool was;

	mutex_lock(&m->advisories->lock);
	was = m->advisories->clean;
	m->advisories->clean = true;
	mutex_unlock(&m->advisories->lock);
	return (was);
}

/* --- the record of a set ------------------------------------------------- */

static void
set_write(const struct advisory_set *set, struct buf *out)
{
	size_t i;

	buf_printf(out, "{\"id\":%" PRIu64 ",\"format\":", set->id);
	buf_json(out, set->format);
	buf_printf(out,
	    ",\"imported\":%" PRId64 ",\"published\":%" PRId64
	    ",\"advisories\":%" PRIu64 ",\"revision\":%" PRIu64
	    ",\"ecosystems\":[",
	    set->imported_ms, set->published_ms, set->advisories,
	    set->revision);
	for (i = 0; i < set->n_ecosystems; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json(out, set->ecosystems[i]);
	}
	buf_str(out, "]}");
}

static bool
number(const json_t *o, const char *key, uint64_t *n_r)
{
	int64_t n;

	if (json_get_int(o, key, &n) != RC_OK || n < 0)
		return (false);
	*n_r = (uint64_t)n;
	return (true);
}

static enum rc
ecosystems_read(const json_t *o, struct arena *a, struct advisory_set *set)
{
	json_t *list;
	const json_t *one;
	struct span *rows;
	size_t i;
	enum rc rc;

	if (json_get_array(o, "ecosystems", &list) != RC_OK)
		return (RC_CORRUPT);
	rows = arena_calloc(a, json_array_size(list) + 1, sizeof(*rows));
	if (rows == NULL)
		return (RC_TOOBIG);
	json_array_foreach(list, i, one)
	{
		if (!json_is_string(one))
			return (RC_CORRUPT);
		rows[i].p = json_string_value(one);
		rows[i].n = json_string_length(one);
		if ((rc = copy_out(a, rows[i], &rows[i])) != RC_OK)
			return (rc);
	}
	set->ecosystems = rows;
	set->n_ecosystems = json_array_size(list);
	return (RC_OK);
}

/* Without an arena: its number alone. */
static enum rc
set_members(const json_t *o, struct arena *a, struct advisory_set *set)
{
	uint64_t imported, published;
	struct span format;
	enum rc rc;

	if (!number(o, "id", &set->id))
		return (RC_CORRUPT);
	if (a == NULL)
		return (RC_OK);
	if (json_get_str(o, "format", &format) != RC_OK ||
	    !number(o, "imported", &imported) ||
	    !number(o, "published", &published) ||
	    !number(o, "advisories", &set->advisories) ||
	    !number(o, "revision", &set->revision))
		return (RC_CORRUPT);
	set->imported_ms = (int64_t)imported;
	set->published_ms = (int64_t)published;
	if ((rc = copy_out(a, format, &set->format)) != RC_OK)
		return (rc);
	return (ecosystems_read(o, a, set));
}

static enum rc
set_read(struct span key, struct span value, struct arena *a,
    struct advisory_set *set)
{
	char why[JSON_ERROR_BYTES];
	struct span record, name;
	uint8_t kind;
	json_t *o;
	enum rc rc;

	*set = (struct advisory_set){ .id = 0 };
	if (!key_read_entity(key, &kind, &name) ||
	    !rec_entity_read(value, &record) ||
	    json_read(record, why, &o) != RC_OK)
		return (meta_corrupt(TABLE_ENTITIES, key));
	rc = set_members(o, a, set);
	json_decref(o);
	if (rc == RC_CORRUPT)
		return (meta_corrupt(TABLE_ENTITIES, key));
	if (rc == RC_OK && a != NULL)
		rc = copy_out(a, name, &set->source);
	return (rc);
}

/* --- which are seen ------------------------------------------------------ */

struct set_list {
	struct advisory_set *rows;
	size_t n, room;
};

static struct advisory_set *
list_room(struct set_list *l)
{
	if (l->n == l->room) {
		l->room = l->room > 0 ? 2 * l->room : 16;
		l->rows = xrealloc(l->rows, l->room * sizeof(*l->rows));
	}
	return (&l->rows[l->n]);
}

/* The caller frees ${l->rows}. */
static enum rc
sets_walk(struct meta_txn *t, struct arena *a, struct set_list *l)
{
	struct kv_walk w;
	struct rec_key k;
	enum rc rc;

	*l = (struct set_list){ .n = 0 };
	key_entity(&k, ENTITY_ADVISORY_SET, SPAN_NONE);
	rc = kv_walk_begin(t, TABLE_ENTITIES, key_span(&k), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		rc = set_read(w.key, w.value, a, list_room(l));
		/* One that is damaged is told of, and not seen. */
		if (rc == RC_OK)
			l->n++;
		else if (rc != RC_CORRUPT)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* With the lock held. */
static void
seen_set(struct advisories *s, const struct set_list *l, uint64_t revision)
{
	size_t i;

	free(s->seen);
	s->seen = xcalloc(l->n + 1, sizeof(*s->seen));
	for (i = 0; i < l->n; i++)
		s->seen[i] = l->rows[i].id;
	s->n_seen = l->n;
	s->revision = revision;
	s->known = true;
}

/* A copy for who reads, in the arena. */
static enum rc
seen_copy(struct advisories *s, struct arena *a, uint64_t **ids_r, size_t *n_r)
{
	*n_r = s->n_seen;
	*ids_r = arena_calloc(a, s->n_seen + 1, sizeof(**ids_r));
	if (*ids_r == NULL)
		return (RC_TOOBIG);
	if (s->n_seen > 0)
		memcpy(*ids_r, s->seen, s->n_seen * sizeof(**ids_r));
	return (RC_OK);
}

static enum rc
seen_get(struct meta_txn *t, struct arena *a, uint64_t **ids_r, size_t *n_r)
{
	struct advisories *s = t->m->advisories;
	struct set_list l = { .n = 0 };
	uint64_t revision;
	bool known;
	enum rc rc;

	rc = meta_number_get(t, NUMBER_ADVISORY_REVISION, &revision);
	if (rc != RC_OK)
		return (rc);
	mutex_lock(&s->lock);
	known = s->known && s->revision == revision;
	if (!known && (rc = sets_walk(t, NULL, &l)) == RC_OK)
		seen_set(s, &l, revision);
	if (rc == RC_OK)
		rc = seen_copy(s, a, ids_r, n_r);
	mutex_unlock(&s->lock);
	free(l.rows);
	return (rc);
}

/* --- an import ----------------------------------------------------------- */

static enum rc
set_take(struct meta_txn *t, void *arg)
{
	uint64_t *set = arg;
	enum rc rc;

	if ((rc = meta_number_get(t, NUMBER_ADVISORY_SET, set)) != RC_OK)
		return (rc);
	return (meta_number_set(t, NUMBER_ADVISORY_SET, ++*set));
}

enum rc
meta_advisories_begin(struct meta *m, uint64_t *set_r)
{
	struct advisory_import_row *row;
	enum rc rc;

	if ((rc = meta_change(m, set_take, set_r, 0)) != RC_OK)
		return (rc);
	mutex_lock(&m->advisories->lock);
	row = import_find(m->advisories, 0);
	if (row != NULL)
		*row = (struct advisory_import_row){ .set = *set_r };
	mutex_unlock(&m->advisories->lock);
	return (row != NULL ? RC_OK : RC_LIMIT);
}

struct add_arg {
	uint64_t set;
	uint32_t first;
	const struct advisory_row *rows;
	size_t n;
};

static enum rc
rows_put(struct meta_txn *t, void *arg)
{
	const struct add_arg *aa = arg;
	const struct advisory_row *row;
	struct rec_key k;
	uint8_t *p;
	size_t i;
	enum rc rc;

	for (i = 0; i < aa->n; i++) {
		row = &aa->rows[i];
		must(key_advisory(&k, aa->set, row->ecosystem, row->package));
		key_advisory_sequence(&k, aa->first + (uint32_t)i);
		rc = kv_reserve(t, TABLE_ADVISORIES, key_span(&k),
		    rec_advisory_size(row->record), &p);
		if (rc != RC_OK)
			return (rc);
		rec_advisory_write(row->record, p);
	}
	return (RC_OK);
}

static enum rc
rows_check(const struct advisory_row *rows, size_t n, size_t *bytes_r)
{
	size_t i;

	*bytes_r = 0;
	for (i = 0; i < n; i++) {
		if (rows[i].ecosystem.n > ADVISORY_ECOSYSTEM_MAX_BYTES ||
		    rows[i].package.n > ADVISORY_PACKAGE_MAX_BYTES)
			return (RC_TOOBIG);
		if (rows[i].ecosystem.n == 0 || rows[i].package.n == 0 ||
		    rows[i].record.n == 0)
			return (RC_INVALID);
		*bytes_r += rows[i].record.n;
	}
	return (RC_OK);
}

/* Numbers for ${n} rows. */
static enum rc
sequence_take(struct meta *m, uint64_t set, size_t n, uint32_t *first_r)
{
	struct advisory_import_row *row;
	enum rc rc = RC_OK;

	mutex_lock(&m->advisories->lock);
	row = set != 0 ? import_find(m->advisories, set) : NULL;
	if (row == NULL) {
		rc = RC_NOTFOUND;
	} else if (n > UINT32_MAX - row->next) {
		rc = RC_LIMIT;
	} else {
		*first_r = row->next;
		row->next += (uint32_t)n;
	}
	mutex_unlock(&m->advisories->lock);
	return (rc);
}

enum rc
meta_advisories_add(
    struct meta *m, uint64_t set, const struct advisory_row *rows, size_t n)
{
	struct add_arg arg = { .set = set, .rows = rows, .n = n };
	size_t bytes;
	enum rc rc;

	if ((rc = rows_check(rows, n, &bytes)) != RC_OK)
		return (rc);
	if ((rc = sequence_take(m, set, n, &arg.first)) != RC_OK)
		return (rc);
	return (meta_change(m, rows_put, &arg, bytes));
}

void
meta_advisories_abandon(struct meta *m, uint64_t set)
{
	struct advisory_import_row *row;

	mutex_lock(&m->advisories->lock);
	row = set != 0 ? import_find(m->advisories, set) : NULL;
	if (row != NULL)
		row->set = 0;
	m->advisories->clean = false;
	mutex_unlock(&m->advisories->lock);
}

/* --- what is seen changes ------------------------------------------------ */

static enum rc
revision_take(struct meta_txn *t, uint64_t *revision_r)
{
	enum rc rc;

	rc = meta_number_get(t, NUMBER_ADVISORY_REVISION, revision_r);
	if (rc != RC_OK)
		return (rc);
	return (meta_number_set(t, NUMBER_ADVISORY_REVISION, ++*revision_r));
}

static enum rc
set_put(struct meta_txn *t, void *arg)
{
	struct advisory_set *set = arg;
	struct rec_key k;
	struct buf record;
	uint8_t *p;
	enum rc rc;

	if ((rc = revision_take(t, &set->revision)) != RC_OK)
		return (rc);
	buf_init(&record, SET_RECORD_MAX_BYTES);
	set_write(set, &record);
	key_entity(&k, ENTITY_ADVISORY_SET, set->source);
	rc = buf_ok(&record) ? RC_OK : RC_TOOBIG;
	if (rc == RC_OK)
		rc = kv_reserve(t, TABLE_ENTITIES, key_span(&k),
		    rec_entity_size(buf_as_span(&record)), &p);
	if (rc == RC_OK)
		rec_entity_write(buf_as_span(&record), p);
	buf_free(&record);
	return (rc);
}

enum rc
meta_advisories_commit(struct meta *m, struct advisory_set *set)
{
	enum rc rc;

	if (set->source.n == 0 || set->source.n > ENTITY_NAME_MAX_BYTES)
		return (RC_INVALID);
	if (set->id == 0 || !importing(m, set->id))
		return (RC_NOTFOUND);
	rc = meta_change(m, set_put, set, 0);
	if (rc == RC_OK)
		meta_advisories_abandon(m, set->id);
	return (rc);
}

static enum rc
set_drop(struct meta_txn *t, void *arg)
{
	const struct span *source = arg;
	struct rec_key k;
	uint64_t revision;
	enum rc rc;

	key_entity(&k, ENTITY_ADVISORY_SET, *source);
	if ((rc = kv_delete(t, TABLE_ENTITIES, key_span(&k))) != RC_OK)
		return (rc);
	return (revision_take(t, &revision));
}

enum rc
meta_advisories_drop(struct meta *m, struct span source)
{
	enum rc rc;

	if (source.n == 0 || source.n > ENTITY_NAME_MAX_BYTES)
		return (RC_NOTFOUND);
	rc = meta_change_freeing(m, set_drop, &source);
	dirty(m);
	return (rc);
}

/* --- sweeping ------------------------------------------------------------ */

struct sweep_arg {
	unsigned max_rows;
	bool more;
};

static bool
set_stays(struct meta_txn *t, const struct set_list *seen, uint64_t set)
{
	size_t i;

	for (i = 0; i < seen->n; i++)
		if (seen->rows[i].id == set)
			return (true);
	return (importing(t->m, set));
}

/* The number of the first row that is not below ${*set}.  A key that is too
 * short for one is damage, which fsck sees to. */
static enum rc
set_next(struct meta_txn *t, uint64_t *set)
{
	struct kv_walk w;
	struct rec_key k;
	enum rc rc;

	key_advisory_set(&k, *set);
	rc = kv_walk_begin(t, TABLE_ADVISORIES, SPAN_NONE, key_span(&k), &w);
	if (rc != RC_OK)
		return (rc);
	rc = kv_walk_next(&w);
	if (rc == RC_OK && !key_read_advisory_set(w.key, set))
		rc = RC_NOTFOUND;
	kv_walk_end(&w);
	return (rc);
}

static enum rc
rows_delete(struct meta_txn *t, uint64_t set, struct sweep_arg *sa)
{
	struct kv_walk w;
	struct rec_key k;
	enum rc rc;

	key_advisory_set(&k, set);
	rc = kv_walk_begin(t, TABLE_ADVISORIES, key_span(&k), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (sa->max_rows > 0 && (rc = kv_walk_next(&w)) == RC_OK) {
		if ((rc = kv_walk_delete(&w)) != RC_OK)
			break;
		sa->max_rows--;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
rows_sweep(struct meta_txn *t, void *arg)
{
	struct sweep_arg *out = arg, sa = *out;
	struct set_list seen;
	uint64_t set = 0;
	enum rc rc;

	rc = sets_walk(t, NULL, &seen);
	while (rc == RC_OK && sa.max_rows > 0) {
		if ((rc = set_next(t, &set)) != RC_OK)
			break;
		if (!set_stays(t, &seen, set))
			rc = rows_delete(t, set, &sa);
		else if (set++ == UINT64_MAX)
			rc = RC_NOTFOUND;
	}
	free(seen.rows);
	out->more = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Most often there is nothing, and no change is to be written. */
static enum rc
sweep_look(struct meta *m, bool *any_r)
{
	struct set_list seen = { .n = 0 };
	struct meta_txn t;
	uint64_t set = 0;
	enum rc rc;

	*any_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = sets_walk(&t, NULL, &seen);
	while (rc == RC_OK && (rc = set_next(&t, &set)) == RC_OK) {
		*any_r = !set_stays(&t, &seen, set);
		if (*any_r || set++ == UINT64_MAX)
			break;
	}
	meta_read_end(&t);
	free(seen.rows);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_advisories_sweep(struct meta *m, unsigned max_rows, bool *more_r)
{
	struct sweep_arg arg = { .max_rows = max_rows };
	bool any;
	enum rc rc;

	*more_r = false;
	if (was_clean(m))
		return (RC_OK);
	rc = sweep_look(m, &any);
	if (rc == RC_OK && any)
		rc = meta_change_freeing(m, rows_sweep, &arg);
	*more_r = rc == RC_OK && arg.more;
	if (rc != RC_OK || *more_r)
		dirty(m);
	return (rc);
}

/* --- reading ------------------------------------------------------------- */

enum rc
meta_advisory_sets(
    struct meta *m, struct arena *a, struct advisory_set **rows_r, size_t *n_r)
{
	struct set_list l = { .n = 0 };
	struct meta_txn t;
	enum rc rc;

	*n_r = 0;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = sets_walk(&t, a, &l);
	meta_read_end(&t);
	if (rc == RC_OK) {
		*rows_r = arena_calloc(a, l.n + 1, sizeof(**rows_r));
		rc = *rows_r != NULL ? RC_OK : RC_TOOBIG;
	}
	if (rc == RC_OK && l.n > 0)
		memcpy(*rows_r, l.rows, l.n * sizeof(*l.rows));
	if (rc == RC_OK)
		*n_r = l.n;
	free(l.rows);
	return (rc);
}

enum rc
meta_advisories_revision(struct meta *m, uint64_t *revision_r)
{
	struct meta_txn t;
	enum rc rc;

	*revision_r = 0;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = meta_number_get(&t, NUMBER_ADVISORY_REVISION, revision_r);
	meta_read_end(&t);
	return (rc);
}

struct row_list {
	struct span *rows;
	size_t n, room;
};

static enum rc
row_keep(struct row_list *l, struct arena *a, struct span record)
{
	size_t room = l->room > 0 ? 2 * l->room : 16;
	struct span *rows;

	if (l->n == l->room) {
		rows = arena_calloc(a, room, sizeof(*rows));
		if (rows == NULL)
			return (RC_TOOBIG);
		if (l->n > 0)
			memcpy(rows, l->rows, l->n * sizeof(*rows));
		l->rows = rows;
		l->room = room;
	}
	return (copy_out(a, record, &l->rows[l->n++]));
}

static enum rc
set_find(struct meta_txn *t, const struct rec_key *prefix, struct arena *a,
    struct row_list *l)
{
	struct span record;
	struct kv_walk w;
	enum rc rc;

	rc =
	    kv_walk_begin(t, TABLE_ADVISORIES, key_span(prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (!rec_advisory_read(w.value, &record))
			rc = meta_corrupt(TABLE_ADVISORIES, w.key);
		else
			rc = row_keep(l, a, record);
		if (rc != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
rows_find(struct meta *m, struct span ecosystem, struct span package,
    struct arena *a, struct row_list *l)
{
	struct meta_txn t;
	struct rec_key k;
	uint64_t *sets;
	size_t i, n = 0;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = seen_get(&t, a, &sets, &n);
	for (i = 0; i < n && rc == RC_OK; i++)
		if (key_advisory(&k, sets[i], ecosystem, package))
			rc = set_find(&t, &k, a, l);
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_advisories_find(struct meta *m, struct span ecosystem, struct span package,
    struct arena *a, advisory_row_fn *fn, void *arg)
{
	struct row_list l = { .n = 0 };
	size_t i;
	enum rc rc;

	if (ecosystem.n == 0 || package.n == 0)
		return (RC_OK);
	rc = rows_find(m, ecosystem, package, a, &l);
	for (i = 0; i < l.n && rc == RC_OK; i++)
		rc = fn(arg, l.rows[i]);
	return (rc);
}
