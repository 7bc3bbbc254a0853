#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Repositories that were deleted and can be restored: that have no name any
 * more, but all of their rows (meta_purge.c).  One comes back when its name is
 * written again.
 */

#define ROWS_FIRST 16

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
	int64_t now_ms;
};

/* The one of that name that was deleted last. */
static enum rc
doomed_find(struct meta_txn *t, struct span name, struct repository_row *row_r)
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
		    !span_eq(rec.name, name) ||
		    (row_r->id != 0 && rec.deleted_ms < last.deleted_ms))
			continue;
		last = rec;
		row_r->id = id;
		row_r->created_ms = rec.created_ms;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND && row_r->id != 0 ? RC_OK : rc);
}

/* Scans that wait have left the queue while nobody could have found what they
 * are of. */
static enum rc
scan_again(struct kv_walk *w)
{
	struct scan_rec rec;
	struct digest d;
	struct rec_key k;
	uint64_t repo;

	if (!key_read_repo_digest(w->key, &repo, &d) ||
	    !rec_scan_read(w->value, &rec))
		return (meta_corrupt(w->table, w->key));
	if (rec.status != SCAN_IN_PROGRESS)
		return (RC_OK);
	key_timed(&k, rec.started_ms, repo, &d);
	return (kv_put(w->t, TABLE_SCAN_QUEUE, key_span(&k), rec_none()));
}

static enum rc
scans_again(struct meta_txn *t, uint64_t repo)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_repo(&prefix, repo);
	rc = kv_walk_begin(
	    t, TABLE_IMAGE_SCANS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		rc = scan_again(&w);
		if (rc != RC_OK && rc != RC_CORRUPT)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
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
	if ((rc = doomed_find(t, ua->name, &row)) != RC_OK)
		return (rc);
	key_repo(&k, row.id);
	if ((rc = kv_delete(t, TABLE_DOOMED, key_span(&k))) != RC_OK)
		return (rc);
	if ((rc = repo_create(t, ua->name, &row)) != RC_OK)
		return (rc);
	if ((rc = scans_again(t, row.id)) != RC_OK)
		return (rc);
	return (policy_again(t, row.id, ua->now_ms));
}

enum rc
meta_repository_undelete(struct meta *m, struct span name, int64_t now_ms)
{
	struct undelete_arg arg = { .name = name, .now_ms = now_ms };

	return (meta_change(m, repository_undelete, &arg, 0));
}
