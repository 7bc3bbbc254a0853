#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * How much an image takes, and how many images there are.
 *
 * The size is written in a manifest's row when it is put.  It is added up here
 * from the rows of its edges where it is not known: of rows of format 2, and
 * of an index that came before its children.
 */

/* Of indexes of indexes. */
#define DEPTH_MAX 8
#define BYTES_MAX ((uint64_t)INT64_MAX) /* as base/manifest.h adds up */

struct summing {
	struct image_size *size;
	struct digest config; /* may be a layer as well: counts once */
	bool has_config;
	uint64_t own, largest;
};

static enum rc size_walk(struct meta_txn *, uint64_t repo,
    const struct digest *, unsigned depth, struct image_size *, uint64_t *);

static enum rc
child_size(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct image_size *size, uint64_t *bytes_r)
{
	struct manifest_rec rec;
	enum rc rc;

	*bytes_r = 0;
	rc = manifest_row(t, repo, d, &rec);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && depth == DEPTH_MAX &&
		rec.image_bytes == MANIFEST_BYTES_UNKNOWN)) {
		size->settled = false;
		return (RC_OK);
	}
	if (rc != RC_OK)
		return (rc);
	if (rec.image_bytes == MANIFEST_BYTES_UNKNOWN)
		return (size_walk(t, repo, d, depth + 1, size, bytes_r));
	*bytes_r = rec.image_bytes;
	return (RC_OK);
}

static void
blob_add(struct summing *s, uint8_t kind, const struct digest *d,
    uint64_t size_bytes)
{

	/* Rows of configs come before those of layers. */
	if (s->has_config && digest_eq(&s->config, d))
		return;
	if (kind == EDGE_CONFIG) {
		s->has_config = true;
		s->config = *d;
	}
	if (size_bytes > BYTES_MAX - s->own)
		s->own = BYTES_MAX;
	else
		s->own += size_bytes;
}

static enum rc
edge_add(struct kv_walk *w, unsigned depth, struct summing *s)
{
	struct digest parent, child;
	struct edge_rec rec;
	uint64_t repo, bytes;
	uint8_t kind;
	enum rc rc;

	if (!key_read_edge(w->key, &repo, &parent, &kind, &child) ||
	    !rec_edge_read(w->value, &rec))
		return (meta_corrupt(w->table, w->key));
	if (kind != EDGE_MANIFEST) {
		blob_add(s, kind, &child, rec.size_bytes);
		return (RC_OK);
	}
	rc = child_size(w->t, repo, &child, depth, s->size, &bytes);
	if (rc == RC_OK && bytes > s->largest)
		s->largest = bytes;
	return (rc);
}

static enum rc
size_walk(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct image_size *size, uint64_t *bytes_r)
{
	struct summing s = { .size = size };
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, d, 0, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (size->left == 0) {
			size->settled = false;
			break;
		}
		size->left--;
		if ((rc = edge_add(&w, depth, &s)) != RC_OK)
			break;
	}
	kv_walk_end(&w);
	*bytes_r = s.own > s.largest ? s.own : s.largest;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
image_size_walk(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct image_size *size)
{

	size->settled = true;
	return (size_walk(t, repo, d, 0, size, &size->bytes));
}

/* How many. */

/* Rows of one read. */
#define COUNT_ROWS 16384

static enum rc
count_kept(struct meta_txn *t, uint64_t repo, uint64_t *n_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_IMAGE_COUNTS, key_span(&k), &value);
	if (rc != RC_OK || rec_number_read(value, n_r))
		return (rc);
	/* It can be made anew. */
	(void)meta_corrupt(TABLE_IMAGE_COUNTS, key_span(&k));
	return (RC_NOTFOUND);
}

/* One that cannot be read is there. */
static bool
row_counts(struct span value)
{
	struct manifest_rec rec;

	return (!rec_manifest_read(value, &rec) ||
		(rec.flags & MANIFEST_DELETED) == 0);
}

/* Those of up to ${max} more rows behind ${last}; RC_NOTFOUND: there are no
 * others. */
static enum rc
count_some(struct meta_txn *t, uint64_t repo, struct rec_key *last, size_t max,
    uint64_t *n)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_repo(&prefix, repo);
	rc = kv_walk_begin(
	    t, TABLE_MANIFESTS, key_span(&prefix), key_span(last), &w);
	if (rc != RC_OK)
		return (rc);
	while (max > 0 && (rc = kv_walk_next(&w)) == RC_OK) {
		if (span_eq(w.key, key_span(last)))
			continue;
		*n += row_counts(w.value) ? 1 : 0;
		if (--max == 0 && w.key.n <= KEY_MAX_BYTES)
			key_str(last, w.key);
	}
	kv_walk_end(&w);
	return (rc);
}

enum rc
image_count_walk(struct meta_txn *t, uint64_t repo, uint64_t *n_r)
{
	struct rec_key last = { 0 };
	enum rc rc;

	*n_r = 0;
	rc = count_some(t, repo, &last, SIZE_MAX, n_r);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
image_count(struct meta_txn *t, uint64_t repo, uint64_t *n_r)
{
	enum rc rc;

	rc = count_kept(t, repo, n_r);
	return (rc == RC_NOTFOUND ? image_count_walk(t, repo, n_r) : rc);
}

enum rc
image_count_put(struct meta_txn *t, uint64_t repo, uint64_t n)
{
	uint8_t value[REC_NUMBER_BYTES];
	struct rec_key k;

	key_repo(&k, repo);
	rec_number_write(n, value);
	return (kv_put(t, TABLE_IMAGE_COUNTS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
image_count_add(struct meta_txn *t, uint64_t repo, int one)
{
	uint64_t n;
	enum rc rc;

	must(one == 1 || one == -1);
	rc = count_kept(t, repo, &n);
	if (rc == RC_NOTFOUND)
		rc = image_count_walk(t, repo, &n);
	else if (rc == RC_OK && (one > 0 || n > 0))
		n = one > 0 ? n + 1 : n - 1;
	if (rc != RC_OK)
		return (rc);
	return (image_count_put(t, repo, n));
}

/* One step of a count in several reads; RC_NOTFOUND: it is all counted;
 * RC_MISSING: there is no such repository. */
static enum rc
count_step(struct meta_txn *t, struct span name, struct rec_key *last,
    uint64_t *repo, uint64_t *n)
{
	struct repository_row row;
	uint64_t kept;
	enum rc rc;

	rc = repo_find(t, name, &row);
	if (rc == RC_NOTFOUND)
		return (*repo == 0 ? RC_MISSING : rc);
	if (rc != RC_OK)
		return (rc);
	/* One of the same name is another. */
	if (*repo != 0 && *repo != row.id)
		return (RC_NOTFOUND);
	*repo = row.id;
	rc = count_kept(t, row.id, &kept);
	if (rc == RC_OK) {
		*n = kept;
		return (RC_NOTFOUND);
	}
	if (rc != RC_NOTFOUND)
		return (rc);
	return (count_some(t, row.id, last, COUNT_ROWS, n));
}

enum rc
meta_image_count(struct meta *m, struct span repository, uint64_t *n_r)
{
	struct rec_key last = { 0 };
	struct meta_txn t;
	uint64_t repo = 0;
	enum rc rc;

	*n_r = 0;
	do {
		if ((rc = meta_read_begin(m, &t)) != RC_OK)
			return (rc);
		rc = count_step(&t, repository, &last, &repo, n_r);
		meta_read_end(&t);
	} while (rc == RC_OK);
	if (rc == RC_MISSING)
		return (RC_NOTFOUND);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
