#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/keys_int.h"

/*
 * Referrers: which manifests of a repository name a digest as their subject
 * (distribution-spec, "Listing Referrers").  The rows hold what a listing
 * shows, so that it opens no manifest.  The subject need not be here.
 */

/* More rows than this are not walked over on an event loop. */
#define INLINE_ROWS_MAX 256
#define PAGE_FIRST 16

/* Text of somebody's.  None stays none. */
static enum rc
annotations_seal(struct meta_txn *t, uint64_t repo, const struct rec_key *k,
    struct span text, char **sealed_r, struct referrer_rec *rec)
{
	struct sealed_place place;
	size_t n;
	enum rc rc;

	*sealed_r = NULL;
	rec->annotations = text;
	if (repo_domain(repo) == KEY_DOMAIN_PLAIN || text.n == 0)
		return (RC_OK);
	sealed_place_annotations(&place, repo, k);
	n = sealed_place_bytes(&place, text.n);
	*sealed_r = xmalloc(n);
	rc = sealed_put(t, &place, text, (uint8_t *)*sealed_r);
	rec->annotations = (struct span){ *sealed_r, n };
	return (rc);
}

enum rc
referrer_put(struct meta_txn *t, uint64_t repo, const struct digest *referrer,
    const struct manifest *m, uint64_t size_bytes)
{
	struct referrer_rec rec = {
		.size_bytes = size_bytes,
		.media_type = m->media_type,
		.artifact_type = m->artifact_type,
	};
	struct rec_key k;
	char *sealed;
	uint8_t *p;
	enum rc rc;

	key_referrer(&k, repo, &m->subject, referrer);
	rc = annotations_seal(t, repo, &k, m->annotations, &sealed, &rec);
	if (rc == RC_OK)
		rc = kv_reserve(t, TABLE_REFERRERS, key_span(&k),
		    rec_referrer_size(&rec), &p);
	if (rc == RC_OK)
		rec_referrer_write(&rec, p);
	free(sealed);
	return (rc);
}

enum rc
referrer_annotations(struct meta_txn *t, uint64_t repo, const struct rec_key *k,
    const struct referrer_rec *rec, struct arena *a, struct span *s_r)
{
	struct sealed_place place;
	enum rc rc;

	*s_r = SPAN_NONE;
	if (rec->annotations.n == 0)
		return (RC_OK);
	sealed_place_annotations(&place, repo, k);
	rc = sealed_get(t, &place, rec->annotations, a, s_r);
	return (
	    rc == RC_CORRUPT ? meta_corrupt(TABLE_REFERRERS, key_span(k)) : rc);
}

enum rc
referrer_drop(struct meta_txn *t, uint64_t repo, const struct digest *subject,
    const struct digest *referrer)
{
	struct rec_key k;
	enum rc rc;

	key_referrer(&k, repo, subject, referrer);
	rc = kv_delete(t, TABLE_REFERRERS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* A page being filled. */
struct filling {
	const struct referrer_query *q;
	enum read_mode mode;
	uint64_t repo;
	struct arena *arena;
	struct referrer_page *page;
	size_t room, used_bytes, n_walked;
};

static enum rc
page_room(struct filling *f)
{
	struct referrer_page *page = f->page;
	struct referrer_row *rows;
	size_t n;

	if (page->n < f->room)
		return (RC_OK);
	n = f->room > 0 ? 2 * f->room : PAGE_FIRST;
	rows = arena_calloc(f->arena, n, sizeof(*rows));
	if (rows == NULL)
		return (RC_TOOBIG);
	if (page->n > 0)
		memcpy(rows, page->rows, page->n * sizeof(*rows));
	page->rows = rows;
	f->room = n;
	return (RC_OK);
}

static enum rc
page_add(struct filling *f, struct meta_txn *t, const struct digest *d,
    const struct referrer_rec *rec)
{
	struct referrer_row *row;
	struct rec_key k;
	enum rc rc;

	if ((rc = page_room(f)) != RC_OK)
		return (rc);
	row = &f->page->rows[f->page->n];
	row->digest = *d;
	row->size_bytes = rec->size_bytes;
	rc = copy_out(f->arena, rec->media_type, &row->media_type);
	if (rc != RC_OK)
		return (rc);
	rc = copy_out(f->arena, rec->artifact_type, &row->artifact_type);
	if (rc != RC_OK)
		return (rc);
	key_referrer(&k, f->repo, &f->q->subject, d);
	rc = referrer_annotations(
	    t, f->repo, &k, rec, f->arena, &row->annotations);
	if (rc == RC_OK)
		f->page->n++;
	return (rc);
}

/* RC_RANGE: the page is full. */
static enum rc
page_take(
    struct filling *f, struct meta_txn *t, struct span key, struct span value)
{
	struct digest subject, d;
	struct referrer_rec rec;
	uint64_t repo;

	if (!key_read_referrer(key, &repo, &subject, &d) ||
	    !rec_referrer_read(value, &rec))
		return (meta_corrupt(TABLE_REFERRERS, key));
	if (f->q->after != NULL && digest_eq(&d, f->q->after))
		return (RC_OK);
	if (f->q->artifact_type.n > 0 &&
	    !span_eq(rec.artifact_type, f->q->artifact_type))
		return (RC_OK);
	if (f->page->n > 0 && (f->page->n >= f->q->max_rows ||
				  f->used_bytes + value.n > f->q->max_bytes))
		return (RC_RANGE);
	f->used_bytes += value.n;
	if (f->mode == READ_INLINE && f->used_bytes > META_INLINE_MAX_BYTES)
		return (RC_WOULDBLOCK);
	return (page_add(f, t, &d, &rec));
}

static enum rc
page_fill(struct filling *f, struct kv_walk *w)
{
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (++f->n_walked > INLINE_ROWS_MAX && f->mode == READ_INLINE)
			return (RC_WOULDBLOCK);
		rc = page_take(f, w->t, w->key, w->value);
		if (rc == RC_RANGE) {
			f->page->more = true;
			return (RC_OK);
		}
		if (rc != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
referrer_page(struct meta_txn *t, struct filling *f)
{
	struct rec_key prefix, from = { 0 };
	struct repository_row repo;
	struct kv_walk w;
	enum rc rc;

	rc = repo_find(t, f->q->repository, &repo);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	f->repo = repo.id;
	key_repo_digest(&prefix, repo.id, &f->q->subject);
	if (f->q->after != NULL)
		key_referrer(&from, repo.id, &f->q->subject, f->q->after);
	rc = kv_walk_begin(
	    t, TABLE_REFERRERS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = page_fill(f, &w);
	kv_walk_end(&w);
	return (rc);
}

enum rc
meta_referrer_page(struct meta *m, const struct referrer_query *q,
    enum read_mode mode, struct arena *a, struct referrer_page *page_r)
{
	struct filling f = { .q = q, .mode = mode, .arena = a, .page = page_r };
	struct meta_txn t;
	enum rc rc;

	*page_r = (struct referrer_page){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = referrer_page(&t, &f);
	meta_read_end(&t);
	return (rc);
}
