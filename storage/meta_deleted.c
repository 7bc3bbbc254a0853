#include "storage/meta_ops_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "storage/collect_int.h"

/*
 * Deleted images that can be restored.  Such a one keeps its row, marked, its
 * text and its edges, so that what it needs stays; all that others see of it
 * is taken away.  What it had of that is written down, and when it was
 * deleted: in a row that its digest finds, and in a queue in order of time, in
 * which the collector finds those whose time is up (meta_deleted_expire).  One
 * of those that an index is found to need is restored instead.
 *
 * How they come back: meta_undelete.c.
 */

/* Rows of one read. */
#define READ_ROWS 256
/* A time further ahead than this is not one of this clock. */
#define AHEAD_MAX_MS INT64_C(86400000)
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
	bool archived = rec->status == IMAGE_ARCHIVED;
	enum rc rc;

	if ((rc = deleted_note(t, repo, d, retire)) != RC_OK)
		return (rc);
	rc = manifest_withdraw(t, repo, d, rec, retire->now_ms);
	if (rc != RC_OK)
		return (rc);
	if ((rc = manifest_touch(t, repo, d, &hide)) != RC_OK)
		return (rc);
	if (archived)
		rc = image_archived_uses(t, repo, d, false, retire->now_ms);
	return (rc == RC_OK ? image_count_add(t, repo, -1) : rc);
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

/* Images that one change has to do with. */
struct expire_arg {
	int64_t before_ms, now_ms;
	unsigned max, n;
	bool settled; /* the clock has had time to be put right */
	bool more;
	/* The row it is at, while .begun. */
	struct queued at;
	bool begun;
};

/* One that was pushed while there was no such image does without it. */
static enum rc
index_needs(struct meta_txn *t, const struct queued *q,
    const struct digest *index, bool *needs_r)
{
	struct edge_rec rec;
	struct span value;
	struct rec_key k;
	enum rc rc;

	*needs_r = true;
	key_edge(&k, q->repo, index, EDGE_MANIFEST, &q->digest);
	rc = kv_get(t, TABLE_EDGES, key_span(&k), &value);
	if (rc == RC_OK && !rec_edge_read(value, &rec))
		return (meta_corrupt(TABLE_EDGES, key_span(&k)));
	if (rc == RC_OK)
		*needs_r = (rec.flags & EDGE_ABSENT) == 0;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* By an index that is there.  Whoever deleted it was to be refused then, so
 * that index came back without it, or was damaged meanwhile. */
static enum rc
queued_needed(struct meta_txn *t, const struct queued *q, bool *needed_r)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	struct holding holding;
	size_t i;
	enum rc rc;

	rc = edge_holders(t, q->repo, &q->digest, kinds, &holding);
	*needed_r = rc == RC_REFERENCED && holding.more;
	if (rc != RC_REFERENCED)
		return (rc);
	for (i = 0; i < holding.n && !*needed_r; i++) {
		rc = index_needs(t, q, &holding.by[i], needed_r);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
queued_restore(struct meta_txn *t, const struct queued *q, int64_t now_ms)
{
	char text[DIGEST_STR_BYTES];
	enum rc rc;

	rc = deleted_restore(t, q->repo, &q->digest, now_ms);
	if (rc == RC_OK)
		log_warn("image %s: deleted, but an index needs it: restored",
		    digest_str(&q->digest, text));
	return (rc);
}

static enum rc
queued_expire(struct meta_txn *t, const struct queued *q, struct expire_arg *ea)
{
	struct manifest_rec rec;
	bool is, needed = false;
	enum rc rc;

	if ((rc = queued_true(t, q, &rec, &is)) != RC_OK)
		return (rc);
	if (is)
		rc = queued_needed(t, q, &needed);
	if (rc == RC_OK && needed) {
		rc = queued_restore(t, q, ea->now_ms);
	} else if (rc == RC_OK && is) {
		ea->n++;
		rc = manifest_drop(t, q->repo, &q->digest, &rec, ea->now_ms);
	}
	if (rc != RC_OK)
		return (rc);
	return (queue_drop(t, q->deleted_ms, q->repo, &q->digest));
}

/* As if it had been deleted at another time.  Where that cannot be written
 * down it is out of the queue, which fsck will tell. */
static enum rc
queued_date(struct meta_txn *t, const struct queued *q, int64_t deleted_ms)
{
	struct deleted_rec rec;
	struct span *tags;
	struct arena a;
	size_t n;
	enum rc rc;

	rc = queue_drop(t, q->deleted_ms, q->repo, &q->digest);
	if (rc == RC_OK)
		rc = deleted_load(t, q->repo, &q->digest, &rec);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK || rec.deleted_ms != q->deleted_ms)
		return (rc);
	arena_init(&a, TAGS_BYTES);
	rc = deleted_tags(&rec, &a, &tags, &n);
	rec.tags = tags;
	rec.n_tags = n;
	rec.deleted_ms = deleted_ms;
	if (rc == RC_OK)
		rc = deleted_save(t, q->repo, &q->digest, &rec);
	arena_reset(&a);
	return (rc);
}

/*
 * Times that are yet to come: the clock was ahead once.  What was deleted then
 * would wait for as long as it was.  RC_NOTFOUND: there are none.
 */
static enum rc
ahead_first(struct meta_txn *t, const struct expire_arg *ea, struct queued *q)
{
	static const struct digest first = { .alg = DIGEST_SHA256 };
	struct rec_key from;
	struct kv_walk w;
	enum rc rc;

	if (!ea->settled)
		return (RC_NOTFOUND);
	key_timed(&from, ea->now_ms + AHEAD_MAX_MS, 0, &first);
	rc = kv_walk_begin(
	    t, TABLE_DELETED_QUEUE, SPAN_NONE, key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (key_read_timed(w.key, &q->deleted_ms, &q->repo, &q->digest))
			break;
	kv_walk_end(&w);
	return (rc);
}

static enum rc
queue_date(struct meta_txn *t, const struct expire_arg *ea, unsigned *n_r)
{
	struct queued q;
	enum rc rc = RC_OK;

	for (*n_r = 0; *n_r < ea->max; (*n_r)++) {
		rc = ahead_first(t, ea, &q);
		if (rc == RC_OK)
			rc = queued_date(t, &q, ea->now_ms);
		if (rc != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
	}
	return (RC_OK);
}

static enum rc
deleted_expire(struct meta_txn *t, void *arg)
{
	struct expire_arg *ea = arg;
	unsigned i;
	enum rc rc;

	ea->n = 0;
	ea->more = false;
	ea->begun = false;
	if ((rc = queue_date(t, ea, &i)) != RC_OK)
		return (rc);
	for (; i < ea->max; i++) {
		rc = queue_first(t, ea->before_ms, &ea->at);
		if (rc != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		ea->begun = true;
		if ((rc = queued_expire(t, &ea->at, ea)) != RC_OK)
			return (rc);
		ea->begun = false;
	}
	ea->more = true;
	return (RC_OK);
}

/*
 * One that cannot go because something about it is damaged, or that an index
 * needs and that cannot be restored for it, waits once more, as if it had been
 * deleted just now: so the others behind it go.
 */
static enum rc
queued_put_off(struct meta_txn *t, void *arg)
{
	struct expire_arg *ea = arg;

	return (queued_date(t, &ea->at, ea->now_ms + 1));
}

static bool
can_be_put_off(const struct expire_arg *ea, enum rc rc)
{

	return (ea->begun && ea->now_ms >= ea->before_ms &&
		(rc == RC_CORRUPT || rc == RC_MISSING || rc == RC_LIMIT));
}

static enum rc
expire_some(struct meta *m, struct expire_arg *ea)
{
	char text[DIGEST_STR_BYTES];
	enum rc rc;

	rc = meta_change_freeing(m, deleted_expire, ea);
	if (rc == RC_OK || !can_be_put_off(ea, rc))
		return (rc);
	log_warn("image %s: deleted, and to go now, but cannot: %s; it will be "
		 "tried again",
	    digest_str(&ea->at.digest, text), rc_text(rc));
	ea->n = 0;
	ea->more = true;
	return (meta_change_freeing(m, queued_put_off, ea));
}

/* Mostly there is nothing to do, which takes no change. */
static enum rc
expire_any(struct meta *m, const struct expire_arg *ea, bool *any_r)
{
	struct queued q;
	struct meta_txn t;
	enum rc rc;

	*any_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = queue_first(&t, ea->before_ms, &q);
	if (rc == RC_NOTFOUND)
		rc = ahead_first(&t, ea, &q);
	meta_read_end(&t);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_deleted_expire(struct meta *m, int64_t before_ms, unsigned max,
    unsigned *n_r, bool *more_r)
{
	int64_t left_ms;
	struct expire_arg arg = {
		.before_ms = before_ms,
		.now_ms = clock_real_ms(),
		.max = max > 0 ? max : 1,
		.settled = lease_settled(meta_leases(m), &left_ms),
	};
	enum rc rc;

	*n_r = 0;
	if ((rc = expire_any(m, &arg, more_r)) != RC_OK || !*more_r)
		return (rc);
	if ((rc = expire_some(m, &arg)) != RC_OK)
		return (rc);
	*n_r = arg.n;
	*more_r = arg.more;
	return (RC_OK);
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
