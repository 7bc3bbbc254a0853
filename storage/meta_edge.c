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

static enum rc
holders_of_kind(struct meta_txn *t, uint64_t repo, const struct digest *child,
    uint8_t kind, struct holding *h)
{
	struct digest from, parent;
	struct rec_key prefix;
	struct kv_walk w;
	uint8_t k;
	enum rc rc;

	key_edge(&prefix, repo, child, kind, NULL);
	rc = kv_walk_begin(t, TABLE_PARENTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (!h->more && (rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_edge(w.key, &repo, &from, &k, &parent)) {
			rc = meta_corrupt(w.table, w.key);
			break;
		}
		holding_add(h, &parent);
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
edge_holders(struct meta_txn *t, uint64_t repo, const struct digest *child,
    const uint8_t *kinds, struct holding *holding_r)
{
	enum rc rc;

	*holding_r = (struct holding){ 0 };
	for (; *kinds != 0; kinds++) {
		rc = holders_of_kind(t, repo, child, *kinds, holding_r);
		if (rc != RC_OK)
			return (rc);
	}
	return (holding_r->n > 0 ? RC_REFERENCED : RC_OK);
}

static enum rc
child_find(struct meta_txn *t, uint64_t repo, const struct descriptor *e)
{
	struct manifest_rec manifest;
	struct blob_rec blob;

	if (e->kind == EDGE_MANIFEST)
		return (manifest_find(t, repo, &e->digest, &manifest));
	return (blob_linked(t, repo, &e->digest, &blob));
}

static bool
may_be_absent(const struct descriptor *e, enum sparse sparse)
{

	if (e->nondistributable || sparse == SPARSE_ALL)
		return (true);
	return (sparse == SPARSE_INDEX && e->kind == EDGE_MANIFEST);
}

enum rc
edge_put(struct meta_txn *t, uint64_t repo, const struct digest *parent,
    const struct descriptor *e, enum sparse sparse)
{
	struct edge_rec rec = { .size_bytes = e->size_bytes };
	uint8_t value[REC_EDGE_BYTES];
	struct rec_key k;
	enum rc rc;

	rc = child_find(t, repo, e);
	if (rc == RC_NOTFOUND) {
		if (!may_be_absent(e, sparse))
			return (RC_MISSING);
		rec.flags = EDGE_ABSENT;
	} else if (rc != RC_OK) {
		return (rc);
	}
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
