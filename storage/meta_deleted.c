#include "storage/meta_ops_int.h"

#include "base/clock.h"
#include "base/obj.h"
#include "storage/collect_int.h"

/*
 * Deleted images that can be restored.  Such a one keeps its row, marked, its
 * text and its edges, so that what it needs stays; all that others see of it
 * is taken away.  What it had of that is written down, and when it was
 * deleted: in a row that its digest finds, and in a queue in order of time, in
 * which the collector finds those whose time is up (meta_deleted_expire).
 *
 * How they come back: meta_undelete.c.
 */

/* Rows of one read. */
#define READ_ROWS 256
/* Edges that are looked at for the size of one. */
#define SIZE_ROWS 20000

/* Tags of one image: as many as there are. */
#define TAGS_BYTES SIZE_MAX

static enum rc
deleted_save(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct deleted_rec *rec)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_reserve(
	    t, TABLE_DELETED_IMAGES, key_span(&k), rec_deleted_size(rec), &p);
	if (rc != RC_OK)
		return (rc);
	rec_deleted_write(rec, p);
	key_timed(&k, rec->deleted_ms, repo, d);
	return (kv_put(t, TABLE_DELETED_QUEUE, key_span(&k), rec_none()));
}

/* With its tags as they are before they go. */
static enum rc
deleted_note(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct retire *retire)
{
	struct deleted_rec rec = {
		.deleted_ms = retire->now_ms > 0 ? retire->now_ms : 1,
		.why = (uint8_t)retire->why,
		.priority = retire->priority,
		.revision = retire->revision,
	};
	struct arena a;
	struct span *tags;
	enum rc rc;

	arena_init(&a, TAGS_BYTES);
	rc = image_tags(t, repo, d, &a, &tags, &rec.n_tags);
	rec.tags = tags;
	if (rc == RC_OK)
		rc = deleted_save(t, repo, d, &rec);
	arena_reset(&a);
	return (rc);
}

enum rc
deleted_put(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, const struct retire *retire)
{
	const struct manifest_touch hide = { .set_flags = MANIFEST_DELETED };
	enum rc rc;

	if ((rc = deleted_note(t, repo, d, retire)) != RC_OK)
		return (rc);
	rc = manifest_withdraw(t, repo, d, rec, retire->now_ms);
	if (rc != RC_OK)
		return (rc);
	if ((rc = manifest_touch(t, repo, d, &hide)) != RC_OK)
		return (rc);
	return (image_count_add(t, repo, -1));
}

enum rc
deleted_load(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct deleted_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_DELETED_IMAGES, key_span(&k), &value);
	if (rc == RC_OK && !rec_deleted_read(value, rec_r))
		rc = meta_corrupt(TABLE_DELETED_IMAGES, key_span(&k));
	return (rc);
}

static enum rc
queue_drop(struct meta_txn *t, int64_t deleted_ms, uint64_t repo,
    const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_timed(&k, deleted_ms, repo, d);
	rc = kv_delete(t, TABLE_DELETED_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* One that cannot be read leaves its place in the queue to the collector. */
enum rc
deleted_forget(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct deleted_rec rec;
	struct rec_key k;
	enum rc rc;

	rc = deleted_load(t, repo, d, &rec);
	if (rc == RC_OK)
		rc = queue_drop(t, rec.deleted_ms, repo, d);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return (rc);
	key_repo_digest(&k, repo, d);
	return (kv_delete(t, TABLE_DELETED_IMAGES, key_span(&k)));
}

/* For good. */

struct queued {
	int64_t deleted_ms;
	uint64_t repo;
	struct digest digest;
};

/* RC_NOTFOUND: none that waits for as long. */
static enum rc
queue_first(struct meta_txn *t, int64_t before_ms, struct queued *q)
{
	struct kv_walk w;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_DELETED_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (key_read_timed(w.key, &q->deleted_ms, &q->repo, &q->digest))
			break;
		/* That is for fsck. */
		(void)meta_corrupt(w.table, w.key);
	}
	kv_walk_end(&w);
	if (rc == RC_OK && q->deleted_ms > before_ms)
		rc = RC_NOTFOUND;
	return (rc);
}

/* Is it about what is there?  It may have been pushed again, or its repository
 * may be on its way out. */
static enum rc
queued_true(struct meta_txn *t, const struct queued *q,
    struct manifest_rec *rec_r, bool *true_r)
{
	struct deleted_rec rec;
	enum rc rc;

	*true_r = false;
	rc = deleted_load(t, q->repo, &q->digest, &rec);
	if (rc == RC_OK && rec.deleted_ms != q->deleted_ms)
		return (RC_OK);
	if (rc == RC_OK || rc == RC_CORRUPT)
		rc = manifest_row_any(t, q->repo, &q->digest, rec_r);
	*true_r = rc == RC_OK && (rec_r->flags & MANIFEST_DELETED) != 0;
	return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
}

struct expire_arg {
	int64_t before_ms, now_ms;
	unsigned max, n;
	bool more;
};

static enum rc
queued_expire(struct meta_txn *t, const struct queued *q, struct expire_arg *ea)
{
	struct manifest_rec rec;
	bool is;
	enum rc rc;

	if ((rc = queued_true(t, q, &rec, &is)) != RC_OK)
		return (rc);
	if (is) {
		ea->n++;
		rc = manifest_drop(t, q->repo, &q->digest, &rec, ea->now_ms);
	}
	if (rc != RC_OK)
		return (rc);
	return (queue_drop(t, q->deleted_ms, q->repo, &q->digest));
}

static enum rc
deleted_expire(struct meta_txn *t, void *arg)
{
	struct expire_arg *ea = arg;
	struct queued q;
	unsigned i;
	enum rc rc;

	ea->n = 0;
	ea->more = false;
	for (i = 0; i < ea->max; i++) {
		rc = queue_first(t, ea->before_ms, &q);
		if (rc != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if ((rc = queued_expire(t, &q, ea)) != RC_OK)
			return (rc);
	}
	ea->more = true;
	return (RC_OK);
}

/* Mostly there is nothing to do, which takes no change. */
static enum rc
expire_any(struct meta *m, int64_t before_ms, bool *any_r)
{
	struct queued q;
	struct meta_txn t;
	enum rc rc;

	*any_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = queue_first(&t, before_ms, &q);
	meta_read_end(&t);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_deleted_expire(struct meta *m, int64_t before_ms, unsigned max,
    unsigned *n_r, bool *more_r)
{
	struct expire_arg arg = {
		.before_ms = before_ms,
		.now_ms = clock_real_ms(),
		.max = max > 0 ? max : 1,
	};
	enum rc rc;

	*n_r = 0;
	if ((rc = expire_any(m, before_ms, more_r)) != RC_OK || !*more_r)
		return (rc);
	rc = meta_change(m, deleted_expire, &arg, 0);
	if (rc == RC_OK) {
		*n_r = arg.n;
		*more_r = arg.more;
	}
	return (rc);
}

/* Listing. */

enum rc
deleted_tags(const struct deleted_rec *rec, struct arena *a,
    struct span **tags_r, size_t *n_r)
{
	struct span bytes = rec->tag_bytes, tag;
	enum rc rc;

	*n_r = 0;
	*tags_r = NULL;
	if (rec->n_tags == 0)
		return (RC_OK);
	*tags_r = arena_calloc(a, rec->n_tags, sizeof(**tags_r));
	if (*tags_r == NULL)
		return (RC_TOOBIG);
	while (*n_r < rec->n_tags && rec_deleted_tag(&bytes, &tag)) {
		if ((rc = copy_out(a, tag, &(*tags_r)[*n_r])) != RC_OK)
			return (rc);
		(*n_r)++;
	}
	return (RC_OK);
}

struct lister {
	struct span repository;
	size_t max;
	struct arena *arena;
	struct deleted_image_page *page;
	uint64_t repo;
	bool begun;
	struct digest at; /* looked at last */
};

/* RC_NOTFOUND: there is no such image; that is for fsck. */
static enum rc
image_fill(struct meta_txn *t, uint64_t repo, const struct deleted_rec *rec,
    struct arena *a, struct deleted_image *row)
{
	struct image_size size = { .left = SIZE_ROWS };
	struct manifest_rec manifest;
	enum rc rc;

	rc = manifest_row_any(t, repo, &row->digest, &manifest);
	if (rc != RC_OK)
		return (rc);
	row->deleted_ms = rec->deleted_ms;
	row->pushed_ms = manifest.pushed_ms;
	row->image_bytes = manifest.image_bytes;
	row->why = (enum deleted_why)rec->why;
	row->priority = rec->priority;
	if (manifest.image_bytes == MANIFEST_BYTES_UNKNOWN) {
		rc = image_size_walk(t, repo, &row->digest, &size);
		row->image_bytes = size.bytes;
	}
	if (rc != RC_OK)
		return (rc);
	return (deleted_tags(rec, a, &row->tags, &row->n_tags));
}

static enum rc
list_row(struct lister *l, struct kv_walk *w)
{
	struct deleted_image *row = &l->page->rows[l->page->n];
	struct deleted_rec rec;
	uint64_t repo;
	enum rc rc;

	if (!key_read_repo_digest(w->key, &repo, &row->digest) ||
	    !rec_deleted_read(w->value, &rec))
		return (meta_corrupt(w->table, w->key));
	l->at = row->digest;
	l->begun = true;
	rc = image_fill(w->t, repo, &rec, l->arena, row);
	if (rc == RC_OK)
		l->page->n++;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* RC_RANGE: the page is full. */
static enum rc
list_rows(struct lister *l, struct kv_walk *w, struct span from)
{
	unsigned n;
	enum rc rc;

	for (n = 0; n < READ_ROWS; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		if (l->begun && span_eq(w->key, from))
			continue;
		if (l->page->n == l->max) {
			l->page->more = true;
			return (RC_RANGE);
		}
		if ((rc = list_row(l, w)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* RC_NOTFOUND: there are no others. */
static enum rc
list_read(struct lister *l, struct meta_txn *t)
{
	struct rec_key prefix, from = { 0 };
	struct kv_walk w;
	enum rc rc;

	key_repo(&prefix, l->repo);
	if (l->begun)
		key_repo_digest(&from, l->repo, &l->at);
	rc = kv_walk_begin(
	    t, TABLE_DELETED_IMAGES, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = list_rows(l, &w, key_span(&from));
	kv_walk_end(&w);
	return (rc);
}

/* One that goes, or becomes another, while a page is made ends there. */
static enum rc
list_step(struct lister *l, struct meta *m)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, l->repository, &row);
	if (rc == RC_NOTFOUND && l->repo == 0)
		rc = RC_MISSING;
	if (rc == RC_OK && l->repo != 0 && l->repo != row.id)
		rc = RC_NOTFOUND;
	if (rc == RC_OK) {
		l->repo = row.id;
		rc = list_read(l, &t);
	}
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_deleted_image_page(struct meta *m, struct span repository,
    const struct digest *after, size_t max, struct arena *a,
    struct deleted_image_page *page_r)
{
	struct lister l = {
		.repository = repository,
		.max = max,
		.arena = a,
		.page = page_r,
	};
	enum rc rc;

	*page_r = (struct deleted_image_page){ 0 };
	page_r->rows = arena_calloc(a, max + 1, sizeof(*page_r->rows));
	if (page_r->rows == NULL)
		return (RC_TOOBIG);
	if (after != NULL) {
		l.begun = true;
		l.at = *after;
	}
	do {
		rc = list_step(&l, m);
	} while (rc == RC_OK);
	if (rc == RC_MISSING)
		return (RC_NOTFOUND);
	return (rc == RC_NOTFOUND || rc == RC_RANGE ? RC_OK : rc);
}
