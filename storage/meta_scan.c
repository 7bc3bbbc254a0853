#include "storage/meta_ops_int.h"

#include <string.h>

#include "base/obj.h"
#include "storage/keys_int.h"
#include "storage/sealed.h"

/*
 * Scans of images: the last one of each, and the queue of those that were
 * started and have not ended.  Who scans takes the one that waits longest,
 * and ends it; until then it stays where it is, so that a crash loses none.
 */

/* What leads nowhere is taken out of the queue, so much in one change. */
#define SWEEP_ROWS_MAX 256

enum rc
scan_load(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct scan_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_IMAGE_SCANS, key_span(&k), &value);
	if (rc == RC_OK && !rec_scan_read(value, rec_r))
		rc = meta_corrupt(TABLE_IMAGE_SCANS, key_span(&k));
	return (rc);
}

/* Words about an image tell of what is in it: they are sealed where that is. */
static void
reason_place(struct sealed_place *p, uint64_t repo, const struct rec_key *k)
{
	static const struct span what = SPAN_INIT("scan");

	p->key_domain = repo_domain(repo);
	memcpy(p->aad, what.p, what.n);
	memcpy(p->aad + what.n, k->p, k->n);
	p->aad_n = what.n + k->n;
}

/* Without the key there are none. */
static enum rc
reason_open(struct meta_txn *t, uint64_t repo, const struct rec_key *k,
    struct span stored, struct arena *a, struct span *reason_r)
{
	struct sealed_place place;
	enum rc rc;

	*reason_r = SPAN_NONE;
	if (stored.n == 0)
		return (RC_OK);
	reason_place(&place, repo, k);
	rc = sealed_get(t, &place, stored, a, reason_r);
	if (rc == RC_CORRUPT)
		rc = meta_corrupt(TABLE_IMAGE_SCANS, key_span(k));
	return (rc == RC_LOCKED || rc == RC_CORRUPT ? RC_OK : rc);
}

enum rc
scan_get(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct arena *a, struct image_scan *scan_r)
{
	struct scan_rec rec;
	struct rec_key k;
	enum rc rc;

	*scan_r = (struct image_scan){ .status = SCAN_NONE };
	rc = scan_load(t, repo, d, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	scan_r->status = (enum scan_status)rec.status;
	scan_r->started_ms = rec.started_ms;
	scan_r->ended_ms = rec.ended_ms;
	key_repo_digest(&k, repo, d);
	rc = reason_open(t, repo, &k, rec.reason, a, &scan_r->reason);
	/* Who waits for the end of a scan is to be told something. */
	if (rc == RC_OK && scan_r->status == SCAN_FAILED &&
	    scan_r->reason.n == 0)
		scan_r->reason = SPAN("why cannot be said: the key that the "
				      "image is sealed under is not here, or "
				      "was not when the scan ended");
	return (rc);
}

#define SEALED_REASON_MAX_BYTES \
	(SCAN_REASON_MAX_BYTES + SEALED_VALUE_OVERHEAD_BYTES)

/* The end of a scan does not wait for a key: it has no words then. */
static enum rc
reason_seal(struct meta_txn *t, uint64_t repo, const struct rec_key *k,
    uint8_t room[SEALED_REASON_MAX_BYTES], struct span *reason)
{
	struct sealed_place place;
	enum rc rc;

	if (reason->n == 0)
		return (RC_OK);
	must(reason->n <= SCAN_REASON_MAX_BYTES);
	reason_place(&place, repo, k);
	rc = sealed_put(t, &place, *reason, room);
	*reason = rc == RC_OK ? (struct span){ (const char *)room,
		sealed_place_bytes(&place, reason->n) }
			      : SPAN_NONE;
	return (rc == RC_LOCKED ? RC_OK : rc);
}

/* The reason is plain, and does not lie in the map. */
static enum rc
scan_save(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct scan_rec *rec)
{
	uint8_t room[SEALED_REASON_MAX_BYTES];
	struct scan_rec stored = *rec;
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	if ((rc = reason_seal(t, repo, &k, room, &stored.reason)) != RC_OK)
		return (rc);
	rc = kv_reserve(
	    t, TABLE_IMAGE_SCANS, key_span(&k), rec_scan_size(&stored), &p);
	if (rc == RC_OK)
		rec_scan_write(&stored, p);
	return (rc);
}

static enum rc
queue_drop(struct meta_txn *t, int64_t started_ms, uint64_t repo,
    const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_timed(&k, started_ms, repo, d);
	rc = kv_delete(t, TABLE_SCAN_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Starting. */

/* One that was started before; is it of the time that counts? */
static unsigned
earlier_add(struct scan_rec *rec, int64_t started_ms, int64_t since_ms)
{

	if (started_ms <= since_ms)
		return (0);
	if (rec->n_earlier < SCAN_EARLIER_MAX)
		rec->earlier_ms[rec->n_earlier++] = started_ms;
	return (1);
}

/* How many were started since, and with this one they are remembered. */
static unsigned
earlier_take(struct scan_rec *rec, const struct scan_rec *old, int64_t since_ms)
{
	unsigned n = earlier_add(rec, old->started_ms, since_ms);
	size_t i;

	for (i = 0; i < old->n_earlier; i++)
		n += earlier_add(rec, old->earlier_ms[i], since_ms);
	return (n);
}

static bool
scans_used_up(unsigned n, const struct scan_start *start)
{

	return (start->max_scans > 0 && start->max_scans <= SCAN_QUOTA_MAX &&
		n >= start->max_scans);
}

/* Where there is no quota now, all is kept for one that may come. */
static int64_t
since_of(const struct scan_start *start)
{

	return (start->max_scans > 0 ? start->since_ms : INT64_MIN);
}

enum rc
scan_begin(struct meta_txn *t, uint64_t repo, const struct scan_start *start)
{
	struct scan_rec old,
	    rec = { .status = SCAN_IN_PROGRESS, .started_ms = start->now_ms };
	struct rec_key k;
	unsigned n = 0;
	enum rc rc;

	rc = scan_load(t, repo, &start->digest, &old);
	if (rc == RC_OK)
		n = earlier_take(&rec, &old, since_of(start));
	else if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	if (scans_used_up(n, start))
		return (RC_LIMIT);
	if (rc == RC_OK && old.status == SCAN_IN_PROGRESS)
		return (RC_OK);
	if ((rc = scan_save(t, repo, &start->digest, &rec)) != RC_OK)
		return (rc);
	key_timed(&k, rec.started_ms, repo, &start->digest);
	return (kv_put(t, TABLE_SCAN_QUEUE, key_span(&k), rec_none()));
}

static enum rc
scan_start(struct meta_txn *t, void *arg)
{
	const struct scan_start *start = arg;
	struct repository_row repo;
	struct manifest_rec rec;
	enum rc rc;

	if ((rc = repo_find(t, start->repository, &repo)) != RC_OK)
		return (rc);
	rc = manifest_find(t, repo.id, &start->digest, &rec);
	if (rc != RC_OK)
		return (rc);
	return (scan_begin(t, repo.id, start));
}

enum rc
meta_scan_start(struct meta *m, const struct scan_start *start)
{
	struct scan_start copy = *start;

	return (meta_change(m, scan_start, &copy, 0));
}

/* One that cannot be read leaves its place in the queue to be swept. */
enum rc
scan_drop(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct scan_rec rec;
	struct rec_key k;
	enum rc rc;

	if ((rc = findings_drop(t, repo, d)) != RC_OK)
		return (rc);
	rc = scan_load(t, repo, d, &rec);
	if (rc == RC_OK && rec.status == SCAN_IN_PROGRESS)
		rc = queue_drop(t, rec.started_ms, repo, d);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return (rc);
	key_repo_digest(&k, repo, d);
	return (kv_delete(t, TABLE_IMAGE_SCANS, key_span(&k)));
}

/* The queue. */

struct queued {
	int64_t started_ms;
	uint64_t repo;
	struct digest digest;
};

/* Is it still to be done? */
static enum rc
queued_waits(struct meta_txn *t, const struct queued *q, bool *waits_r)
{
	struct scan_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	*waits_r = false;
	key_repo(&k, q->repo);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	rc = scan_load(t, q->repo, &q->digest, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	*waits_r =
	    rec.status == SCAN_IN_PROGRESS && rec.started_ms == q->started_ms;
	return (RC_OK);
}

/* What cannot be read is for fsck.  RC_NOTFOUND: the queue ends here. */
static enum rc
queue_next(struct kv_walk *w, struct queued *q)
{
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (key_read_timed(
			w->key, &q->started_ms, &q->repo, &q->digest))
			return (RC_OK);
		(void)meta_corrupt(w->table, w->key);
	}
	return (rc);
}

/* The first that waits behind that place. */
static enum rc
queue_behind(struct meta_txn *t, const struct rec_key *behind, struct queued *q)
{
	struct kv_walk w;
	bool waits = false;
	enum rc rc;

	rc =
	    kv_walk_begin(t, TABLE_SCAN_QUEUE, SPAN_NONE, key_span(behind), &w);
	if (rc != RC_OK)
		return (rc);
	while (!waits && (rc = queue_next(&w, q)) == RC_OK) {
		if (span_eq(w.key, key_span(behind)))
			continue;
		if ((rc = queued_waits(t, q, &waits)) != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc);
}

/* The first; does it wait? */
static enum rc
queue_first(struct meta_txn *t, struct queued *q, bool *waits_r)
{
	struct kv_walk w;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_SCAN_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = queue_next(&w, q);
	kv_walk_end(&w);
	return (rc == RC_OK ? queued_waits(t, q, waits_r) : rc);
}

static enum rc
sweep_some(struct kv_walk *w)
{
	struct queued q;
	unsigned n = 0;
	bool waits;
	enum rc rc;

	while (n++ < SWEEP_ROWS_MAX && (rc = queue_next(w, &q)) == RC_OK) {
		rc = queued_waits(w->t, &q, &waits);
		if (rc == RC_OK && waits)
			return (RC_OK);
		if (rc == RC_OK)
			rc = kv_walk_delete(w);
		if (rc != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
queue_sweep(struct meta_txn *t, void *arg)
{
	struct kv_walk w;
	enum rc rc;

	(void)arg;
	rc = kv_walk_begin(t, TABLE_SCAN_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = sweep_some(&w);
	kv_walk_end(&w);
	return (rc);
}

static void
job_fill(struct scan_job *job, const struct queued *q)
{

	job->digest = q->digest;
	job->started_ms = q->started_ms;
	job->place = q->repo;
}

static enum rc
scan_first(
    struct meta *m, struct arena *a, struct scan_job *job_r, bool *waits_r)
{
	struct queued q;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = queue_first(&t, &q, waits_r);
	if (rc == RC_OK && *waits_r)
		rc = repo_name(&t, q.repo, a, &job_r->repository);
	meta_read_end(&t);
	if (rc == RC_OK)
		job_fill(job_r, &q);
	return (rc);
}

enum rc
meta_scan_next(struct meta *m, struct arena *a, struct scan_job *job_r)
{
	bool waits = false;
	enum rc rc;

	for (;;) {
		rc = scan_first(m, a, job_r, &waits);
		if (rc != RC_OK || waits)
			return (rc);
		if ((rc = meta_change(m, queue_sweep, NULL, 0)) != RC_OK)
			return (rc);
	}
}

enum rc
meta_scan_behind(struct meta *m, const struct scan_job *job, struct arena *a,
    struct scan_job *job_r)
{
	struct rec_key behind;
	struct meta_txn t;
	struct queued q;
	enum rc rc;

	key_timed(&behind, job->started_ms, job->place, &job->digest);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = queue_behind(&t, &behind, &q);
	if (rc == RC_OK)
		rc = repo_name(&t, q.repo, a, &job_r->repository);
	meta_read_end(&t);
	if (rc == RC_OK)
		job_fill(job_r, &q);
	return (rc);
}

uint64_t
meta_scan_waiting(struct meta *m)
{
	struct meta_txn t;
	uint64_t n;

	if (meta_read_begin(m, &t) != RC_OK)
		return (0);
	n = kv_count(&t, TABLE_SCAN_QUEUE);
	meta_read_end(&t);
	return (n);
}

/* Ending. */

static enum rc
scan_end(struct meta_txn *t, void *arg)
{
	const struct scan_end *end = arg;
	const struct scan_job *job = end->job;
	struct repository_row repo;
	struct scan_rec rec;
	enum rc rc;

	/* Of a repository that is gone the queue is swept. */
	rc = repo_find(t, job->repository, &repo);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	rc = queue_drop(t, job->started_ms, repo.id, &job->digest);
	if (rc != RC_OK)
		return (rc);
	rc = scan_load(t, repo.id, &job->digest, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (rec.status != SCAN_IN_PROGRESS || rec.started_ms != job->started_ms)
		return (RC_OK);
	rec.status = (uint8_t)end->status;
	rec.ended_ms = end->now_ms;
	rec.reason = end->reason;
	if ((rc = scan_save(t, repo.id, &job->digest, &rec)) != RC_OK)
		return (rc);
	if (end->findings == NULL)
		return (findings_drop(t, repo.id, &job->digest));
	return (
	    findings_put(t, repo.id, &job->digest, end->findings, end->packed));
}

/* Not in the middle of a character. */
static struct span
reason_cut(struct span reason)
{

	if (reason.n <= SCAN_REASON_MAX_BYTES)
		return (reason);
	reason.n = SCAN_REASON_MAX_BYTES;
	while (reason.n > 0 && ((uint8_t)reason.p[reason.n] & 0xc0) == 0x80)
		reason.n--;
	return (reason);
}

enum rc
scan_end_change(struct meta *m, struct scan_end *end, size_t weight_bytes)
{

	must(end->status > SCAN_IN_PROGRESS &&
	     end->status <= SCAN_UNSUPPORTED_IMAGE);
	end->reason = reason_cut(end->reason);
	return (meta_change(m, scan_end, end, weight_bytes));
}

enum rc
meta_scan_end(struct meta *m, const struct scan_job *job,
    enum scan_status status, struct span reason, int64_t now_ms)
{
	struct scan_end end = {
		.job = job,
		.status = status,
		.reason = reason,
		.now_ms = now_ms,
	};

	return (scan_end_change(m, &end, 0));
}

enum rc
scan_restate(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct scan_findings *f)
{
	struct scan_rec rec;
	enum rc rc;

	if ((rc = scan_load(t, repo, d, &rec)) != RC_OK)
		return (rc);
	if (rec.status == SCAN_IN_PROGRESS)
		return (RC_NOTFOUND);
	rec.status = (uint8_t)f->status;
	rec.ended_ms = f->completed_ms;
	rec.reason = reason_cut(f->reason);
	return (scan_save(t, repo, d, &rec));
}
