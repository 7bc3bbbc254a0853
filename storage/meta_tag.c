#include "storage/meta_ops_int.h"

#include <string.h>

#include "base/name.h"
#include "base/obj.h"

/*
 * Tags: a name in a repository points at a manifest of it.  digest_tags turns
 * the arrow round, so that a manifest finds its own tags.
 */

enum rc
tag_load(
    struct meta_txn *t, uint64_t repo, struct span tag, struct tag_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_tag(&k, repo, tag);
	if ((rc = kv_get(t, TABLE_TAGS, key_span(&k), &value)) != RC_OK)
		return (rc);
	if (!rec_tag_read(value, rec_r))
		return (meta_corrupt(TABLE_TAGS, key_span(&k)));
	return (RC_OK);
}

enum rc
tag_find(
    struct meta_txn *t, uint64_t repo, struct span tag, struct digest *digest_r)
{
	struct tag_rec rec;
	enum rc rc;

	if ((rc = tag_load(t, repo, tag, &rec)) == RC_OK)
		*digest_r = rec.digest;
	return (rc);
}

/* An index's row that is missing already is not missed. */
static enum rc
digest_tag_drop(
    struct meta_txn *t, uint64_t repo, const struct digest *d, struct span tag)
{
	struct rec_key k;
	enum rc rc;

	key_digest_tag(&k, repo, d, tag);
	rc = kv_delete(t, TABLE_DIGEST_TAGS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
tag_drop(
    struct meta_txn *t, uint64_t repo, struct span tag, const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	if ((rc = digest_tag_drop(t, repo, d, tag)) != RC_OK)
		return (rc);
	if ((rc = import_tag_forget(t, repo, tag)) != RC_OK)
		return (rc);
	key_tag(&k, repo, tag);
	return (kv_delete(t, TABLE_TAGS, key_span(&k)));
}

static enum rc
tag_write(struct meta_txn *t, uint64_t repo, struct span tag,
    const struct tag_rec *rec)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_tag(&k, repo, tag);
	rc = kv_reserve(t, TABLE_TAGS, key_span(&k), rec_tag_size(rec), &p);
	if (rc != RC_OK)
		return (rc);
	rec_tag_write(rec, p);
	key_digest_tag(&k, repo, &rec->digest, tag);
	return (kv_put(t, TABLE_DIGEST_TAGS, key_span(&k), rec_none()));
}

/* Is it one of those that clients make of a digest ("sha256-...")?  Its time
 * says whether it came before or after its subject went: meta_orphan.c. */
static bool
tag_refers(struct span tag)
{
	static const uint8_t algs[] = { DIGEST_SHA256, DIGEST_SHA512 };
	const char *name;
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(algs); i++) {
		name = digest_alg_name(algs[i]);
		n = strlen(name);
		if (tag.n > n && memcmp(tag.p, name, n) == 0 && tag.p[n] == '-')
			return (true);
	}
	return (false);
}

enum rc
tag_set(struct meta_txn *t, uint64_t repo, struct span tag,
    const struct digest *d, int64_t now_ms)
{
	struct tag_rec old, rec = { .tagged_ms = now_ms, .digest = *d };
	enum rc rc;

	if (!name_tag_ok(tag))
		return (RC_INVALID);
	rc = tag_load(t, repo, tag, &old);
	if (rc == RC_OK && digest_eq(&old.digest, d) && !tag_refers(tag))
		return (RC_OK);
	if (rc == RC_OK)
		rc = digest_tag_drop(t, repo, &old.digest, tag);
	else if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc != RC_OK)
		return (rc);
	return (tag_write(t, repo, tag, &rec));
}

/* The tag is read out of the row before anything changes; and is left alone if
 * it points elsewhere, whatever the index says. */
static enum rc
tag_drop_walked(struct meta_txn *t, struct kv_walk *w)
{
	struct rec_key k;
	struct tag_rec rec;
	struct digest d;
	struct span tag;
	uint64_t repo;
	enum rc rc;

	if (!key_read_digest_tag(w->key, &repo, &d, &tag))
		return (meta_corrupt(w->table, w->key));
	key_tag(&k, repo, tag);
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	if (!key_read_tag(key_span(&k), &repo, &tag))
		return (meta_corrupt(TABLE_TAGS, key_span(&k)));
	rc = tag_load(t, repo, tag, &rec);
	if (rc == RC_OK && digest_eq(&rec.digest, &d)) {
		rc = import_tag_forget(t, repo, tag);
		if (rc == RC_OK)
			rc = kv_delete(t, TABLE_TAGS, key_span(&k));
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
tags_drop(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_repo_digest(&prefix, repo, d);
	rc = kv_walk_begin(
	    t, TABLE_DIGEST_TAGS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = tag_drop_walked(t, &w)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
tag_other(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span tag, bool *other_r)
{
	struct rec_key prefix;
	struct kv_walk w;
	struct digest same;
	struct span other;
	enum rc rc;

	*other_r = false;
	key_repo_digest(&prefix, repo, d);
	rc = kv_walk_begin(
	    t, TABLE_DIGEST_TAGS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (!*other_r && (rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_digest_tag(w.key, &repo, &same, &other)) {
			rc = meta_corrupt(w.table, w.key);
			break;
		}
		*other_r = !span_eq(other, tag);
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_tag_page(struct meta *m, struct span repository, struct span last,
    size_t n, struct arena *a, struct page *page_r)
{
	struct repository_row row;
	struct rec_key prefix;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	if ((rc = repo_find(&t, repository, &row)) == RC_OK) {
		key_repo(&prefix, row.id);
		rc = page_names(
		    &t, TABLE_TAGS, key_span(&prefix), last, n, a, page_r);
	}
	meta_read_end(&t);
	return (rc);
}

struct tag_delete {
	struct span repository;
	struct span tag;
};

static enum rc
tag_delete(struct meta_txn *t, void *arg)
{
	const struct tag_delete *del = arg;
	struct repository_row row;
	struct tag_rec rec;
	enum rc rc;

	if ((rc = repo_find(t, del->repository, &row)) != RC_OK)
		return (rc);
	if ((rc = tag_load(t, row.id, del->tag, &rec)) != RC_OK)
		return (rc);
	return (tag_drop(t, row.id, del->tag, &rec.digest));
}

enum rc
meta_tag_delete(struct meta *m, struct span repository, struct span tag)
{
	struct tag_delete del = { repository, tag };

	return (meta_change_freeing(m, tag_delete, &del));
}
