#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Edges: what a manifest points at, and (parents) who points at something.
 * They change with the manifest, in its transaction, so that "may this go?"
 * is a look at one place.
 */

static bool
holding_has(const struct holding *h, const struct digest *d)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (digest_eq(&h->by[i], d))
			return (true);
	return (false);
}

/* A manifest that needs a blob as both config and layer counts once. */
static void
holding_add(struct holding *h, const struct digest *d)
{

	if (holding_has(h, d))
		return;
	if (h->n == META_HOLDERS_SHOWN)
		h->more = true;
	else
		h->by[h->n++] = *d;
}

/* Does it count?  RC_NOTFOUND: not. */
typedef enum rc
holder_fn(struct meta_txn *, uint64_t repo, const struct digest *);

static enum rc
holder_any(struct meta_txn *t, uint64_t repo, const struct digest *d)
{

	(void)t;
	(void)repo;
	(void)d;
	return (RC_OK);
}

static enum rc
holder_active(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct manifest_rec rec;
	enum rc rc;

	rc = manifest_row(t, repo, d, &rec);
	if (rc == RC_OK && rec.status == IMAGE_ARCHIVED)
		rc = RC_NOTFOUND;
	return (rc);
}

static enum rc
holders_walk(struct kv_walk *w, holder_fn *counts, struct holding *h)
{
	struct digest child, parent;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	while (!h->more) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if (!key_read_edge(w->key, &repo, &child, &kind, &parent))
			return (meta_corrupt(w->table, w->key));
		rc = counts(w->t, repo, &parent);
		if (rc == RC_OK)
			holding_add(h, &parent);
		else if (rc != RC_NOTFOUND)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
holders_of_kind(struct meta_txn *t, uint64_t repo, const struct digest *child,
    uint8_t kind, holder_fn *counts, struct holding *h)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, child, kind, NULL);
	rc = kv_walk_begin(t, TABLE_PARENTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = holders_walk(&w, counts, h);
	kv_walk_end(&w);
	return (rc);
}

enum rc
edge_holders(struct meta_txn *t, uint64_t repo, const struct digest *child,
    const uint8_t *kinds, struct holding *holding_r)
{
	enum rc rc;

	*holding_r = (struct holding){ 0 };
	for (; *kinds != 0; kinds++) {
		rc = holders_of_kind(
		    t, repo, child, *kinds, holder_any, holding_r);
		if (rc != RC_OK)
			return (rc);
	}
	return (holding_r->n > 0 ? RC_REFERENCED : RC_OK);
}

enum rc
edge_holders_active(struct meta_txn *t, uint64_t repo,
    const struct digest *child, struct holding *holding_r)
{
	enum rc rc;

	*holding_r = (struct holding){ 0 };
	rc = holders_of_kind(
	    t, repo, child, EDGE_MANIFEST, holder_active, holding_r);
	if (rc != RC_OK)
		return (rc);
	return (holding_r->n > 0 ? RC_REFERENCED : RC_OK);
}

static enum rc
held_walk(struct kv_walk *w, size_t *left, bool *held_r, bool *active_r)
{
	struct digest child, parent;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	while (!*active_r) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if (!key_read_edge(w->key, &repo, &child, &kind, &parent))
			return (meta_corrupt(w->table, w->key));
		*held_r = true;
		rc = *left > 0 ? holder_active(w->t, repo, &parent) : RC_OK;
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
		*active_r = rc == RC_OK;
		*left -= *left > 0;
	}
	return (RC_OK);
}

static enum rc
held_as(struct meta_txn *t, uint64_t repo, const struct digest *child,
    uint8_t kind, size_t *left, bool *held_r, bool *active_r)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, child, kind, NULL);
	rc = kv_walk_begin(t, TABLE_PARENTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = held_walk(&w, left, held_r, active_r);
	kv_walk_end(&w);
	return (rc);
}

enum rc
edge_held(struct meta_txn *t, uint64_t repo, const struct digest *child,
    size_t *left, bool *held_r, bool *active_r)
{

	*held_r = false;
	*active_r = false;
	return (held_as(t, repo, child, EDGE_MANIFEST, left, held_r, active_r));
}

enum rc
edge_used(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    size_t *left, bool *used_r, bool *active_r)
{
	enum rc rc;

	*used_r = false;
	*active_r = false;
	rc = held_as(t, repo, blob, EDGE_CONFIG, left, used_r, active_r);
	if (rc == RC_OK && !*active_r)
		rc = held_as(t, repo, blob, EDGE_LAYER, left, used_r, active_r);
	return (rc);
}

static enum rc
child_find(struct meta_txn *t, uint64_t repo, const struct descriptor *e,
    bool *archived_r)
{
	struct manifest_rec manifest;
	struct blob_rec blob;
	enum rc rc;

	*archived_r = false;
	if (e->kind != EDGE_MANIFEST)
		return (blob_linked(t, repo, &e->digest, &blob));
	rc = manifest_find(t, repo, &e->digest, &manifest);
	*archived_r = rc == RC_OK && manifest.status == IMAGE_ARCHIVED;
	return (rc);
}

static bool
may_be_absent(const struct descriptor *e, enum sparse sparse)
{

	if (e->nondistributable || sparse == SPARSE_ALL)
		return (true);
	return (sparse == SPARSE_INDEX && e->kind == EDGE_MANIFEST);
}

enum rc
edge_child(struct meta_txn *t, uint64_t repo, const struct descriptor *e,
    enum sparse sparse, bool *there_r)
{
	bool archived;
	enum rc rc;

	rc = child_find(t, repo, e, &archived);
	*there_r = rc == RC_OK;
	/* Nobody could pull what needs one that is archived. */
	if (rc != RC_NOTFOUND && !archived)
		return (rc);
	return (may_be_absent(e, sparse) ? RC_OK : RC_MISSING);
}

enum rc
edge_put(struct meta_txn *t, uint64_t repo, const struct digest *parent,
    const struct descriptor *e, enum sparse sparse)
{
	struct edge_rec rec = { .size_bytes = e->size_bytes };
	uint8_t value[REC_EDGE_BYTES];
	struct rec_key k;
	bool there;
	enum rc rc;

	if ((rc = edge_child(t, repo, e, sparse, &there)) != RC_OK)
		return (rc);
	rec.flags = there ? 0 : EDGE_ABSENT;
	rec_edge_write(&rec, value);
	key_edge(&k, repo, parent, (uint8_t)e->kind, &e->digest);
	rc = kv_put(t, TABLE_EDGES, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) });
	if (rc != RC_OK)
		return (rc);
	key_edge(&k, repo, &e->digest, (uint8_t)e->kind, parent);
	return (kv_put(t, TABLE_PARENTS, key_span(&k), rec_none()));
}

static enum rc
edge_drop_walked(struct meta_txn *t, struct kv_walk *w)
{
	struct digest parent, child;
	struct rec_key k;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	if (!key_read_edge(w->key, &repo, &parent, &kind, &child))
		return (meta_corrupt(w->table, w->key));
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	key_edge(&k, repo, &child, kind, &parent);
	rc = kv_delete(t, TABLE_PARENTS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
edges_drop(struct meta_txn *t, uint64_t repo, const struct digest *parent)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, parent, 0, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = edge_drop_walked(t, &w)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
