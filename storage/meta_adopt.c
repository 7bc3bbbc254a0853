#include "storage/imports.h"
#include "storage/meta_ops_int.h"

/*
 * Content that an image of a repository names before it is there, as one that
 * was imported does: how large it is to be, and taking it over from another
 * repository that has it.
 */

/* An image that is there, whatever its class.  One whose row is damaged tells
 * nothing. */
static enum rc
parent_counts(struct meta_txn *t, uint64_t repo, const struct digest *parent,
    bool *counts_r)
{
	struct manifest_rec rec;
	enum rc rc;

	rc = manifest_row(t, repo, parent, &rec);
	*counts_r = rc == RC_OK;
	return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
}

/* The first of those that name it so, of *${left} that may be looked at. */
static enum rc
parent_walk(struct kv_walk *w, size_t *left, struct digest *parent_r)
{
	struct digest child;
	uint64_t repo;
	uint8_t kind;
	bool counts;
	enum rc rc;

	for (; *left > 0; (*left)--) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		if (!key_read_edge(w->key, &repo, &child, &kind, parent_r))
			return (meta_corrupt(w->table, w->key));
		rc = parent_counts(w->t, repo, parent_r, &counts);
		if (rc != RC_OK || counts)
			return (rc);
	}
	return (RC_NOTFOUND);
}

static enum rc
parent_find(struct meta_txn *t, uint64_t repo, const struct digest *d,
    uint8_t kind, size_t *left, struct digest *parent_r)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, d, kind, NULL);
	rc = kv_walk_begin(t, TABLE_PARENTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = parent_walk(&w, left, parent_r);
	kv_walk_end(&w);
	return (rc);
}

/* As large as the first that names it says. */
static enum rc
blob_named(
    struct meta_txn *t, uint64_t repo, const struct digest *d, uint64_t *size_r)
{
	size_t left = BLOB_USE_LOOKED_MAX;
	uint8_t kind = EDGE_LAYER;
	struct digest parent;
	struct edge_rec rec;
	struct span value;
	struct rec_key k;
	enum rc rc;

	rc = parent_find(t, repo, d, kind, &left, &parent);
	if (rc == RC_NOTFOUND) {
		kind = EDGE_CONFIG;
		rc = parent_find(t, repo, d, kind, &left, &parent);
	}
	if (rc != RC_OK)
		return (rc);
	key_edge(&k, repo, &parent, kind, d);
	if ((rc = kv_get(t, TABLE_EDGES, key_span(&k), &value)) != RC_OK)
		return (rc);
	if (!rec_edge_read(value, &rec))
		return (meta_corrupt(TABLE_EDGES, key_span(&k)));
	*size_r = rec.size_bytes;
	return (RC_OK);
}

enum rc
meta_blob_named(struct meta *m, struct span repository, const struct digest *d,
    uint64_t *size_r)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, repository, &row);
	if (rc == RC_OK)
		rc = blob_named(&t, row.id, d, size_r);
	meta_read_end(&t);
	return (rc);
}

struct adopting {
	struct span repository;
	const struct digest *digest;
	int64_t now_ms;
};

static enum rc
blob_adopt(struct meta_txn *t, void *arg)
{
	const struct adopting *a = arg;
	struct repository_row row;
	struct blob_rec rec;
	uint64_t size;
	enum rc rc;

	if ((rc = repo_find(t, a->repository, &row)) != RC_OK)
		return (rc);
	if ((rc = blob_named(t, row.id, a->digest, &size)) != RC_OK)
		return (rc);
	if ((rc = blob_shown(t, repo_domain(row.id), a->digest, &rec)) != RC_OK)
		return (rc);
	return (link_put(t, row.id, a->digest, a->now_ms));
}

enum rc
meta_blob_adopt(struct meta *m, struct span repository, const struct digest *d,
    int64_t now_ms)
{
	struct adopting a = {
		.repository = repository,
		.digest = d,
		.now_ms = now_ms,
	};

	return (meta_change(m, blob_adopt, &a, 0));
}
