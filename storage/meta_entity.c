#include "storage/entities.h"

#include <assert.h>

#include "base/obj.h"
#include "storage/meta_ops_int.h"

/*
 * Entities of identity and of configuration.  Here they are names and bytes;
 * those above know what is in them.
 */

#define PAGE_FIRST 16

static_assert(1 + ENTITY_NAME_MAX_BYTES <= KEY_MAX_BYTES, "a kind and a name");

enum rc
meta_entity_generation(struct meta *m, uint64_t *generation_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = meta_number_get(&t, NUMBER_GENERATION, generation_r);
	meta_read_end(&t);
	return (rc);
}

/* Reading. */

static enum rc
entity_fill(
    struct span key, struct span value, struct arena *a, struct entity *e_r)
{
	struct span name, record;
	uint8_t kind;
	enum rc rc;

	if (!key_read_entity(key, &kind, &name) ||
	    !rec_entity_read(value, &record))
		return (meta_corrupt(TABLE_ENTITIES, key));
	e_r->kind = (enum entity_kind)kind;
	if ((rc = copy_out(a, name, &e_r->name)) != RC_OK)
		return (rc);
	return (copy_out(a, record, &e_r->record));
}

enum rc
meta_entity_get(struct meta *m, enum entity_kind kind, struct span name,
    struct arena *a, struct entity *e_r)
{
	struct rec_key k;
	struct meta_txn t;
	struct span value;
	enum rc rc;

	if (name.n == 0)
		return (RC_NOTFOUND);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_entity(&k, (uint8_t)kind, name);
	rc = kv_get(&t, TABLE_ENTITIES, key_span(&k), &value);
	if (rc == RC_OK)
		rc = entity_fill(key_span(&k), value, a, e_r);
	meta_read_end(&t);
	return (rc);
}

/* The array doubles; what it leaves behind goes with the arena. */
static enum rc
page_room(struct entity_page *page, size_t *room, struct arena *a)
{
	struct entity *rows;
	size_t n;

	if (page->n < *room)
		return (RC_OK);
	n = *room > 0 ? 2 * *room : PAGE_FIRST;
	if ((rows = arena_calloc(a, n, sizeof(*rows))) == NULL)
		return (RC_TOOBIG);
	if (page->n > 0)
		memcpy(rows, page->rows, page->n * sizeof(*rows));
	page->rows = rows;
	*room = n;
	return (RC_OK);
}

static enum rc
page_fill(struct kv_walk *w, struct span after, size_t n, struct arena *a,
    struct entity_page *page)
{
	size_t room = 0;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (span_eq(w->key, after))
			continue;
		if (page->n == n) {
			page->more = true;
			return (RC_OK);
		}
		if ((rc = page_room(page, &room, a)) != RC_OK)
			return (rc);
		rc = entity_fill(w->key, w->value, a, &page->rows[page->n]);
		if (rc != RC_OK)
			return (rc);
		page->n++;
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
entity_page(struct meta_txn *t, const struct rec_key *from, size_t n,
    struct arena *a, struct entity_page *page)
{
	const struct span kind = { (const char *)from->p, 1 };
	struct kv_walk w;
	enum rc rc;

	rc = meta_number_get(t, NUMBER_GENERATION, &page->generation);
	if (rc != RC_OK)
		return (rc);
	rc = kv_walk_begin(t, TABLE_ENTITIES, kind, key_span(from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = page_fill(&w, key_span(from), n, a, page);
	kv_walk_end(&w);
	return (rc);
}

enum rc
meta_entity_page(struct meta *m, enum entity_kind kind, struct span after,
    size_t n, struct arena *a, struct entity_page *page_r)
{
	struct rec_key from;
	struct meta_txn t;
	enum rc rc;

	*page_r = (struct entity_page){ 0 };
	/* No name is as long, so what is cut off decides nothing. */
	if (after.n > ENTITY_NAME_MAX_BYTES)
		after.n = ENTITY_NAME_MAX_BYTES;
	key_entity(&from, (uint8_t)kind, after);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = entity_page(&t, &from, n, a, page_r);
	meta_read_end(&t);
	return (rc);
}

/* Changing. */

struct change_arg {
	uint64_t expected;
	const struct entity_change *changes;
	size_t n;
	bool apart;
	uint64_t generation;
};

static enum rc
entity_put(struct meta_txn *t, const struct rec_key *k, struct span record)
{
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(
	    t, TABLE_ENTITIES, key_span(k), rec_entity_size(record), &p);
	if (rc == RC_OK)
		rec_entity_write(record, p);
	return (rc);
}

/* RC_LIMIT: there are ${max} of its kind, or more. */
static enum rc
kind_count(struct meta_txn *t, const struct rec_key *k, size_t max)
{
	const struct span kind = { (const char *)k->p, 1 };
	struct kv_walk w;
	size_t n = 0;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_ENTITIES, kind, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (n < max && (rc = kv_walk_next(&w)) == RC_OK)
		n++;
	kv_walk_end(&w);
	if (n == max)
		return (RC_LIMIT);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
new_check(
    struct meta_txn *t, const struct rec_key *k, const struct entity_change *c)
{

	if (c->must_exist)
		return (RC_NOTFOUND);
	if (c->was.p != NULL)
		return (RC_BUSY);
	if (!c->must_be_new || c->max_of_kind == 0)
		return (RC_OK);
	return (kind_count(t, k, c->max_of_kind));
}

static enum rc
old_check(
    const struct rec_key *k, struct span value, const struct entity_change *c)
{
	struct span record;

	if (c->must_be_new)
		return (RC_EXISTS);
	if (c->was.p == NULL)
		return (RC_OK);
	if (!rec_entity_read(value, &record))
		return (meta_corrupt(TABLE_ENTITIES, key_span(k)));
	return (span_eq(record, c->was) ? RC_OK : RC_BUSY);
}

static enum rc
entity_change(struct meta_txn *t, const struct entity_change *c)
{
	struct rec_key k;
	struct span value;
	enum rc rc, may;

	key_entity(&k, (uint8_t)c->entity.kind, c->entity.name);
	rc = kv_get(t, TABLE_ENTITIES, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	may = rc == RC_OK ? old_check(&k, value, c) : new_check(t, &k, c);
	if (may != RC_OK)
		return (may);
	if (c->entity.record.p != NULL)
		return (entity_put(t, &k, c->entity.record));
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	return (kv_delete(t, TABLE_ENTITIES, key_span(&k)));
}

static enum rc
entities_change(struct meta_txn *t, void *arg)
{
	struct change_arg *ca = arg;
	size_t i;
	enum rc rc;

	rc = meta_number_get(t, NUMBER_GENERATION, &ca->generation);
	if (rc != RC_OK)
		return (rc);
	if (!ca->apart && ca->generation != ca->expected)
		return (RC_BUSY);
	for (i = 0; i < ca->n; i++)
		if ((rc = entity_change(t, &ca->changes[i])) != RC_OK)
			return (rc);
	if (ca->apart)
		return (RC_OK);
	ca->generation++;
	return (meta_number_set(t, NUMBER_GENERATION, ca->generation));
}

static enum rc
change_check(const struct entity_change *c)
{
	const struct entity *e = &c->entity;

	must(e->kind >= ENTITY_USER && e->kind <= ENTITY_STACK);
	if (e->name.n > ENTITY_NAME_MAX_BYTES ||
	    (e->record.p != NULL && e->record.n > ENTITY_RECORD_MAX_BYTES))
		return (RC_TOOBIG);
	if (e->name.n == 0 || (e->record.p != NULL && e->record.n == 0))
		return (RC_INVALID);
	return (RC_OK);
}

enum rc
meta_entities_change(struct meta *m, uint64_t expected,
    const struct entity_change *changes, size_t n, uint64_t *generation_r)
{
	struct change_arg arg = {
		.expected = expected,
		.changes = changes,
		.n = n,
		.apart = true,
	};
	size_t i, weight_bytes = 0;
	enum rc rc;

	for (i = 0; i < n; i++) {
		if ((rc = change_check(&changes[i])) != RC_OK)
			return (rc);
		weight_bytes += changes[i].entity.record.n;
		if (changes[i].entity.kind != ENTITY_NOTE && !changes[i].apart)
			arg.apart = false;
	}
	rc = meta_change(m, entities_change, &arg, weight_bytes);
	if (rc == RC_OK)
		*generation_r = arg.generation;
	return (rc);
}
