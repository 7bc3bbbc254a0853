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

enum holder_state { HOLDER_ACTIVE, HOLDER_PASSIVE, HOLDER_DELETED };

/* Until fsck has looked at it, one that is damaged holds whatever it may, and
 * one that has no row what it is said to. */
static enum rc
holder_look(struct meta_txn *t, uint64_t repo, const struct digest *d,
    enum holder_state *state_r)
{
	struct manifest_rec rec;
	enum rc rc;

	*state_r = HOLDER_ACTIVE;
	rc = manifest_row_any(t, repo, d, &rec);
	if (rc == RC_NOTFOUND)
		*state_r = HOLDER_PASSIVE;
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	if ((rec.flags & MANIFEST_DELETED) != 0)
		*state_r = HOLDER_DELETED;
	else if (rec.status == IMAGE_ARCHIVED)
		*state_r = HOLDER_PASSIVE;
	return (RC_OK);
}

static enum rc
holders_walk(struct kv_walk *w, bool passive, struct holding *h)
{
	struct digest child, parent;
	enum holder_state state;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	while (!h->more) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if (!key_read_edge(w->key, &repo, &child, &kind, &parent))
			return (meta_corrupt(w->table, w->key));
		rc = holder_look(w->t, repo, &parent, &state);
		if (rc != RC_OK)
			return (rc);
		if (state == HOLDER_ACTIVE ||
		    (passive && state == HOLDER_PASSIVE))
			holding_add(h, &parent);
	}
	return (RC_OK);
}

static enum rc
holders_of_kind(struct meta_txn *t, uint64_t repo, const struct digest *child,
    uint8_t kind, bool passive, struct holding *h)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, child, kind, NULL);
	rc = kv_walk_begin(t, TABLE_PARENTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = holders_walk(&w, passive, h);
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
		rc = holders_of_kind(t, repo, child, *kinds, true, holding_r);
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
	rc = holders_of_kind(t, repo, child, EDGE_MANIFEST, false, holding_r);
	if (rc != RC_OK)
		return (rc);
	return (holding_r->n > 0 ? RC_REFERENCED : RC_OK);
}

static enum rc
held_walk(struct kv_walk *w, size_t *left, bool *held_r, bool *active_r)
{
	enum holder_state state;
	struct digest child, parent;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	while (!*active_r) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if (!key_read_edge(w->key, &repo, &child, &kind, &parent))
			return (meta_corrupt(w->table, w->key));
		state = HOLDER_ACTIVE;
		if (*left > 0)
			rc = holder_look(w->t, repo, &parent, &state);
		if (rc != RC_OK)
			return (rc);
		*held_r = *held_r || state != HOLDER_DELETED;
		*active_r = state == HOLDER_ACTIVE;
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

/* *${left} images may be looked at. */
static enum rc
kept_walk(struct kv_walk *w, size_t *left, struct edge_look *look)
{
	enum holder_state state;
	struct digest child, parent;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	while (!look->active) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if (!key_read_edge(w->key, &repo, &child, &kind, &parent))
			return (meta_corrupt(w->table, w->key));
		if (look->begun && digest_eq(&parent, &look->at))
			continue;
		look->more = *left == 0;
		if (look->more)
			return (RC_OK);
		(*left)--;
		rc = holder_look(w->t, repo, &parent, &state);
		if (rc != RC_OK)
			return (rc);
		look->kept = look->kept || state != HOLDER_DELETED;
		look->active = state == HOLDER_ACTIVE;
		look->begun = true;
		look->at = parent;
	}
	return (RC_OK);
}

static enum rc
kept_as(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    size_t *left, struct edge_look *look)
{
	struct rec_key prefix, from = { 0 };
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, blob, look->kind, NULL);
	if (look->begun)
		key_edge(&from, repo, blob, look->kind, &look->at);
	rc = kv_walk_begin(
	    t, TABLE_PARENTS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = kept_walk(&w, left, look);
	kv_walk_end(&w);
	return (rc);
}

enum rc
edge_kept(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    size_t max, struct edge_look *look)
{
	enum rc rc;

	look->more = false;
	if (look->kind != EDGE_LAYER) {
		look->kind = EDGE_CONFIG;
		rc = kept_as(t, repo, blob, &max, look);
		if (rc != RC_OK || look->active || look->more)
			return (rc);
		look->kind = EDGE_LAYER;
		look->begun = false;
	}
	return (kept_as(t, repo, blob, &max, look));
}

static enum rc
child_find(struct meta_txn *t, uint64_t repo, const struct descriptor *e,
    bool *active_r)
{
	struct manifest_rec manifest;
	struct blob_rec blob;
	enum rc rc;

	*active_r = true;
	if (e->kind != EDGE_MANIFEST)
		return (blob_linked(t, repo, &e->digest, &blob));
	rc = manifest_find(t, repo, &e->digest, &manifest);
	*active_r = rc == RC_OK && manifest.status == IMAGE_ACTIVE;
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
	bool active;
	enum rc rc;

	rc = child_find(t, repo, e, &active);
	*there_r = rc == RC_OK;
	if (rc == RC_OK && active)
		return (RC_OK);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	/* Nobody could pull what needs one that is archived. */
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

enum rc
edge_needed(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    bool *needed_r)
{
	struct rec_key prefix;
	enum rc rc;

	key_edge(&prefix, repo, blob, EDGE_CONFIG, NULL);
	rc = kv_any(t, TABLE_PARENTS, key_span(&prefix), needed_r);
	if (rc != RC_OK || *needed_r)
		return (rc);
	key_edge(&prefix, repo, blob, EDGE_LAYER, NULL);
	return (kv_any(t, TABLE_PARENTS, key_span(&prefix), needed_r));
}

static enum rc
edge_drop_walked(struct meta_txn *t, struct kv_walk *w, int64_t now_ms)
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
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (kind == EDGE_MANIFEST)
		return (RC_OK);
	return (link_unneeded(t, repo, &child, now_ms));
}

enum rc
edges_drop(struct meta_txn *t, uint64_t repo, const struct digest *parent,
    int64_t now_ms)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, parent, 0, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = edge_drop_walked(t, &w, now_ms)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
