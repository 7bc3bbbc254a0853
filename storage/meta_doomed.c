#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Repositories that were deleted and can be restored: that have no name any
 * more, but all of their rows (meta_purge.c).  One comes back when its name is
 * written again.
 */

#define ROWS_FIRST 16
/* Rows of one read, and of a queue in one change. */
#define READ_ROWS 4096
#define QUEUE_ROWS 1024

static bool
restorable(struct span value, struct doomed_rec *rec)
{

	return (
	    rec_doomed_read(value, rec) && !rec->purging && rec->name.n > 0);
}

/* Listing. */

/* The array doubles; what it leaves behind goes with the arena. */
static enum rc
page_room(struct deleted_repository_page *page, size_t *room, struct arena *a)
{
	size_t n = *room > 0 ? 2 * *room : ROWS_FIRST;
	struct deleted_repository *rows;

	if (page->n < *room)
		return (RC_OK);
	if ((rows = arena_calloc(a, n, sizeof(*rows))) == NULL)
		return (RC_TOOBIG);
	if (page->n > 0)
		memcpy(rows, page->rows, page->n * sizeof(*rows));
	page->rows = rows;
	*room = n;
	return (RC_OK);
}

static enum rc
page_add(struct meta_txn *t, uint64_t id, const struct doomed_rec *rec,
    struct arena *a, struct deleted_repository_page *page)
{
	struct deleted_repository *row = &page->rows[page->n];
	enum rc rc;

	row->id = id;
	row->deleted_ms = rec->deleted_ms;
	if ((rc = copy_out(a, rec->name, &row->name)) != RC_OK)
		return (rc);
	if ((rc = image_count(t, id, &row->images)) == RC_OK)
		page->n++;
	return (rc);
}

static enum rc
page_fill(struct kv_walk *w, uint64_t after_id, size_t max, struct arena *a,
    struct deleted_repository_page *page)
{
	struct doomed_rec rec;
	size_t room = 0;
	uint64_t id;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (!key_read_repo(w->key, &id) ||
		    !restorable(w->value, &rec) ||
		    (after_id != 0 && id <= after_id))
			continue;
		if (page->n == max) {
			page->more = true;
			return (RC_OK);
		}
		if ((rc = page_room(page, &room, a)) == RC_OK)
			rc = page_add(w->t, id, &rec, a, page);
		if (rc != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_deleted_repository_page(struct meta *m, uint64_t after_id, size_t max,
    struct arena *a, struct deleted_repository_page *page_r)
{
	struct rec_key from;
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	*page_r = (struct deleted_repository_page){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_repo(&from, after_id);
	rc = kv_walk_begin(&t, TABLE_DOOMED, SPAN_NONE, key_span(&from), &w);
	if (rc == RC_OK) {
		rc = page_fill(&w, after_id, max, a, page_r);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

/* Restoring. */

struct undelete_arg {
	struct span name;
	uint64_t id; /* 0: the one deleted last */
	int64_t now_ms;
	struct scans *scans;
};

/* Of that name the one of that id, or, with 0, the one that was deleted last. */
static enum rc
doomed_find(struct meta_txn *t, struct span name, uint64_t wanted,
    struct repository_row *row_r)
{
	struct doomed_rec rec, last = { 0 };
	struct kv_walk w;
	uint64_t id;
	enum rc rc;

	*row_r = (struct repository_row){ 0 };
	rc = kv_walk_begin(t, TABLE_DOOMED, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_repo(w.key, &id) || !restorable(w.value, &rec) ||
		    !span_eq(rec.name, name) || (wanted != 0 && id != wanted) ||
		    (row_r->id != 0 && rec.deleted_ms < last.deleted_ms))
			continue;
		last = rec;
		row_r->id = id;
		row_r->created_ms = rec.created_ms;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND && row_r->id != 0 ? RC_OK : rc);
}

/*
 * Scans that wait have left the queue while nobody could have found what they
 * are of.  There may be very many images: those that wait are looked for in
 * reads, before the change, which queues some of them, and with very many of
 * them others after it.
 */

struct waiting_scan {
	struct digest digest;
	int64_t started_ms;
};

struct scans {
	uint64_t repo;
	struct waiting_scan *rows;
	size_t n, room;
	size_t queued;	       /* of these */
	struct rec_key behind; /* the row that was looked at last */
};

static void
scan_note(struct scans *s, const struct digest *d, const struct scan_rec *rec)
{

	if (rec->status != SCAN_IN_PROGRESS)
		return;
	if (s->n == s->room) {
		s->room = s->room > 0 ? 2 * s->room : ROWS_FIRST;
		s->rows = xrealloc(s->rows, s->room * sizeof(*s->rows));
	}
	s->rows[s->n++] = (struct waiting_scan){ *d, rec->started_ms };
}

/* No key of this table is as long as keys may be. */
static void
scans_behind(struct scans *s, struct span key)
{
	size_t n = key.n < KEY_MAX_BYTES ? key.n : KEY_MAX_BYTES - 1;

	memcpy(s->behind.p, key.p, n);
	s->behind.p[n] = n == key.n ? 0 : UINT8_MAX;
	s->behind.n = n + 1;
}

/* What cannot be read is for fsck.  RC_NOTFOUND: those were all. */
static enum rc
scans_take(struct scans *s, struct kv_walk *w)
{
	struct scan_rec rec;
	struct digest d;
	uint64_t repo;
	unsigned n;
	enum rc rc;

	for (n = 0; n < READ_ROWS; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		scans_behind(s, w->key);
		if (key_read_repo_digest(w->key, &repo, &d) &&
		    rec_scan_read(w->value, &rec))
			scan_note(s, &d, &rec);
		else
			(void)meta_corrupt(w->table, w->key);
	}
	return (RC_OK);
}

static enum rc
scans_read(struct scans *s, struct meta *m)
{
	struct rec_key prefix;
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_repo(&prefix, s->repo);
	rc = kv_walk_begin(
	    &t, TABLE_IMAGE_SCANS, key_span(&prefix), key_span(&s->behind), &w);
	if (rc == RC_OK) {
		rc = scans_take(s, &w);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

/* Of the repository of that name that would come back. */
static enum rc
scans_find(struct scans *s, struct meta *m, const struct undelete_arg *ua)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = doomed_find(&t, ua->name, ua->id, &row);
	meta_read_end(&t);
	s->repo = row.id;
	while (rc == RC_OK)
		rc = scans_read(s, m);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
scan_again(struct meta_txn *t, uint64_t repo, const struct waiting_scan *scan)
{
	struct scan_rec rec;
	struct rec_key k;
	enum rc rc;

	rc = scan_load(t, repo, &scan->digest, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	if (rec.status != SCAN_IN_PROGRESS ||
	    rec.started_ms != scan->started_ms)
		return (RC_OK);
	key_timed(&k, scan->started_ms, repo, &scan->digest);
	return (kv_put(t, TABLE_SCAN_QUEUE, key_span(&k), rec_none()));
}

/* Where that ends is told when it is done. */
static size_t
scans_end(const struct scans *s)
{

	return (s->n - s->queued > QUEUE_ROWS ? s->queued + QUEUE_ROWS : s->n);
}

static enum rc
scans_again(struct meta_txn *t, void *arg)
{
	const struct scans *s = arg;
	size_t i, end = scans_end(s);
	enum rc rc;

	for (i = s->queued; i < end; i++)
		if ((rc = scan_again(t, s->repo, &s->rows[i])) != RC_OK)
			return (rc);
	return (RC_OK);
}

static enum rc
scans_rest(struct scans *s, struct meta *m)
{
	enum rc rc = RC_OK;

	for (; rc == RC_OK && s->queued < s->n; s->queued = scans_end(s))
		rc = meta_change(m, scans_again, s, 0);
	return (rc);
}

/* Its policy is evaluated an interval from now, as if it had been set: there
 * is time to look at what came back. */
static enum rc
policy_again(struct meta_txn *t, uint64_t repo, int64_t now_ms)
{
	struct lifecycle_row row;
	struct arena a;
	int64_t basis_ms;
	enum rc rc;

	rc = lifecycle_load(t, repo, &row);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	basis_ms = lifecycle_basis(&row);
	arena_init(&a, SIZE_MAX);
	row.set_ms = now_ms;
	if ((rc = copy_out(&a, row.text, &row.text)) == RC_OK)
		rc = lifecycle_save(t, repo, &row);
	arena_reset(&a);
	if (rc != RC_OK)
		return (rc);
	return (lifecycle_queue_set(t, repo, basis_ms, lifecycle_basis(&row)));
}

static enum rc
repository_undelete(struct meta_txn *t, void *arg)
{
	const struct undelete_arg *ua = arg;
	struct repository_row row;
	struct rec_key k;
	enum rc rc;

	rc = repo_find(t, ua->name, &row);
	if (rc != RC_NOTFOUND)
		return (rc == RC_OK ? RC_EXISTS : rc);
	if ((rc = doomed_find(t, ua->name, ua->id, &row)) != RC_OK)
		return (rc);
	/* Another one of that name may have been deleted just now. */
	if (row.id != ua->scans->repo)
		return (RC_RANGE);
	key_repo(&k, row.id);
	if ((rc = kv_delete(t, TABLE_DOOMED, key_span(&k))) != RC_OK)
		return (rc);
	if ((rc = repo_create(t, ua->name, &row)) != RC_OK)
		return (rc);
	if ((rc = scans_again(t, ua->scans)) != RC_OK)
		return (rc);
	return (policy_again(t, row.id, ua->now_ms));
}

static enum rc
undelete_once(struct meta *m, const struct undelete_arg *ua)
{
	struct scans scans = { 0 };
	struct undelete_arg once = *ua;
	enum rc rc;

	once.scans = &scans;
	if ((rc = scans_find(&scans, m, &once)) == RC_OK)
		rc = meta_change(m, repository_undelete, &once, 0);
	if (rc == RC_OK) {
		scans.queued = scans_end(&scans);
		rc = scans_rest(&scans, m);
	}
	free(scans.rows);
	return (rc);
}

enum rc
meta_repository_undelete(
    struct meta *m, struct span name, uint64_t id, int64_t now_ms)
{
	struct undelete_arg arg = { .name = name, .id = id, .now_ms = now_ms };
	enum rc rc;

	do {
		rc = undelete_once(m, &arg);
	} while (rc == RC_RANGE);
	return (rc);
}
