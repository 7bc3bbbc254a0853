#include "storage/lifecycles.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/meta_ops_int.h"

/*
 * Previews of lifecycle policies.
 *
 * A preview that is in progress has a row in the queue too, made and removed
 * in the same change as the preview itself is changed, so that whoever works
 * finds what was left when the process ended.
 *
 * Its results stand under the number of its run.  A number is never used
 * twice, so what is not of the run that counts will never be: such rows, of
 * which there may be a million, go some in each change, whenever.
 */

/* Is looked at in one read. */
#define SWEEP_LOOKED_MAX 256
#define SWEEP_EXPIRED_MAX 64
#define ROW_BYTES 128 /* of a result with its key, about */

/* The text borrows from the map. */
static enum rc
preview_load(struct meta_txn *t, uint64_t repo, struct preview_row *row_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), &value);
	if (rc == RC_OK && !rec_preview_read(value, row_r))
		rc = meta_corrupt(TABLE_LIFECYCLE_PREVIEWS, key_span(&k));
	return (rc);
}

/* With its place in the queue, or without. */
static enum rc
preview_put(struct meta_txn *t, uint64_t repo, const struct preview_row *row)
{
	size_t n = rec_preview_size(row);
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, repo);
	/* The text may be the one in the map, which is overwritten. */
	p = xmalloc(n);
	rec_preview_write(row, p);
	rc = kv_put(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k),
	    (struct span){ (const char *)p, n });
	free(p);
	if (rc != RC_OK)
		return (rc);
	if (row->status == PREVIEW_IN_PROGRESS)
		return (
		    kv_put(t, TABLE_PREVIEW_QUEUE, key_span(&k), rec_none()));
	rc = kv_delete(t, TABLE_PREVIEW_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Starting. */

struct start_arg {
	struct span repository, text;
	int64_t now_ms;
};

static enum rc
preview_start(struct meta_txn *t, void *arg)
{
	const struct start_arg *sa = arg;
	struct preview_row preview;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, sa->repository, &row)) != RC_OK)
		return (rc);
	rc = preview_load(t, row.id, &preview);
	if (rc == RC_OK && preview.status == PREVIEW_IN_PROGRESS)
		return (RC_BUSY);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	preview = (struct preview_row){
		.text = sa->text,
		.status = PREVIEW_IN_PROGRESS,
		.started_ms = sa->now_ms,
	};
	if ((rc = policy_revision_take(t, &preview.run)) != RC_OK)
		return (rc);
	return (preview_put(t, row.id, &preview));
}

enum rc
meta_preview_start(
    struct meta *m, struct span repository, struct span text, int64_t now_ms)
{
	struct start_arg arg = {
		.repository = repository, .text = text, .now_ms = now_ms
	};
	enum rc rc;

	if ((rc = lifecycle_text_check(text)) != RC_OK)
		return (rc);
	return (meta_change(m, preview_start, &arg, text.n));
}

/* Looking. */

static enum rc
preview_get(struct meta_txn *t, struct span repository, struct arena *a,
    struct preview_row *row_r, uint64_t *repo_r)
{
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, repository, &row)) != RC_OK)
		return (rc);
	*repo_r = row.id;
	if ((rc = preview_load(t, row.id, row_r)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_MISSING : rc);
	return (copy_out(a, row_r->text, &row_r->text));
}

enum rc
meta_preview_get(struct meta *m, struct span repository, struct arena *a,
    struct preview_row *row_r)
{
	struct meta_txn t;
	uint64_t repo;
	enum rc rc;

	*row_r = (struct preview_row){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = preview_get(&t, repository, a, row_r, &repo);
	meta_read_end(&t);
	return (rc);
}

/* Whose place in the queue is it?  RC_NOTFOUND: of a repository that has been
 * deleted, or of a preview that is not in progress, which is for fsck. */
static enum rc
queued_find(struct meta_txn *t, struct span key, struct span *name_r,
    struct preview_row *preview_r)
{
	struct rec_key k;
	struct span value;
	uint64_t repo;
	enum rc rc;

	if (!key_read_repo(key, &repo))
		return (meta_corrupt(TABLE_PREVIEW_QUEUE, key));
	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_repository_name_read(value, name_r))
		return (meta_corrupt(TABLE_REPOSITORY_NAMES, key_span(&k)));
	rc = preview_load(t, repo, preview_r);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && preview_r->status != PREVIEW_IN_PROGRESS))
		rc = meta_corrupt(TABLE_PREVIEW_QUEUE, key);
	return (rc);
}

static enum rc
preview_next(struct kv_walk *w, struct arena *a, struct preview_job *job_r)
{
	struct preview_row preview = { 0 };
	struct span name = SPAN_NONE;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		rc = queued_find(w->t, w->key, &name, &preview);
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
			continue;
		if (rc != RC_OK)
			return (rc);
		job_r->run = preview.run;
		job_r->started_ms = preview.started_ms;
		rc = copy_out(a, name, &job_r->repository);
		if (rc == RC_OK)
			rc = copy_out(a, preview.text, &job_r->text);
		return (rc);
	}
	return (rc);
}

enum rc
meta_preview_next(struct meta *m, struct arena *a, struct preview_job *job_r)
{
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	*job_r = (struct preview_job){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(&t, TABLE_PREVIEW_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc == RC_OK) {
		rc = preview_next(&w, a, job_r);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

/* Evaluating. */

static enum rc
job_load(struct meta_txn *t, const struct preview_job *job, uint64_t *repo_r,
    struct preview_row *row_r)
{
	struct repository_row repo;
	enum rc rc;

	if ((rc = repo_find(t, job->repository, &repo)) != RC_OK)
		return (rc);
	*repo_r = repo.id;
	if ((rc = preview_load(t, repo.id, row_r)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_MISSING : rc);
	if (row_r->status != PREVIEW_IN_PROGRESS || row_r->run != job->run)
		return (RC_MISSING);
	return (RC_OK);
}

static enum rc
results_any(struct meta_txn *t, uint64_t repo, uint64_t run, bool *any_r)
{
	struct rec_key prefix;

	key_preview_run(&prefix, repo, run);
	return (kv_any(
	    t, TABLE_LIFECYCLE_PREVIEW_RESULTS, key_span(&prefix), any_r));
}

/* A run without results, for one that has some already: ${row} has another
 * number then, and is not written. */
static enum rc
run_begin(struct meta_txn *t, uint64_t repo, struct preview_row *row)
{
	uint64_t run;
	bool any;
	enum rc rc;

	rc = results_any(t, repo, row->run, &any);
	if (rc != RC_OK || !any)
		return (rc);
	if ((rc = policy_revision_take(t, &run)) != RC_OK)
		return (rc);
	/* Its text, which lies in the map, may have moved. */
	if ((rc = preview_load(t, repo, row)) != RC_OK)
		return (rc);
	row->run = run;
	return (RC_OK);
}

static enum rc
result_put(struct meta_txn *t, const struct rec_key *k,
    const struct preview_result *row)
{
	uint8_t value[REC_PREVIEW_RESULT_MAX_BYTES];

	rec_preview_result_write(row, value);
	return (kv_put(t, TABLE_LIFECYCLE_PREVIEW_RESULTS, key_span(k),
	    (struct span){
		(const char *)value, rec_preview_result_size(row) }));
}

struct add_arg {
	const struct preview_job *job;
	uint32_t sequence;
	const struct preview_result *rows;
	size_t n;
	uint64_t run; /* of what was added */
};

static enum rc
results_begin(struct meta_txn *t, uint64_t repo, struct preview_row *row)
{
	uint64_t run = row->run;
	enum rc rc;

	rc = run_begin(t, repo, row);
	if (rc != RC_OK || row->run == run)
		return (rc);
	return (preview_put(t, repo, row));
}

static enum rc
results_add(struct meta_txn *t, void *arg)
{
	struct add_arg *aa = arg;
	struct preview_row preview;
	struct rec_key k;
	uint64_t repo;
	size_t i;
	enum rc rc;

	if ((rc = job_load(t, aa->job, &repo, &preview)) != RC_OK)
		return (rc);
	if (aa->sequence == 0)
		rc = results_begin(t, repo, &preview);
	aa->run = preview.run;
	for (i = 0; rc == RC_OK && i < aa->n; i++) {
		key_preview_result(
		    &k, repo, aa->run, aa->sequence + (uint32_t)i);
		rc = result_put(t, &k, &aa->rows[i]);
	}
	return (rc);
}

enum rc
meta_preview_results_add(struct meta *m, struct preview_job *job,
    uint32_t sequence, const struct preview_result *rows, size_t n)
{
	struct add_arg arg = {
		.job = job, .sequence = sequence, .rows = rows, .n = n
	};
	enum rc rc;

	must(n <= UINT32_MAX - sequence);
	rc = meta_change(m, results_add, &arg, n * ROW_BYTES);
	if (rc == RC_OK)
		job->run = arg.run;
	return (rc);
}

struct end_arg {
	const struct preview_job *job;
	enum preview_status status;
	struct preview_sums sums;
	int64_t now_ms;
};

static enum rc
preview_end(struct meta_txn *t, void *arg)
{
	const struct end_arg *ea = arg;
	struct preview_row preview;
	uint64_t repo;
	enum rc rc;

	if ((rc = job_load(t, ea->job, &repo, &preview)) != RC_OK)
		return (rc);
	/* Without results there was nothing that began a run. */
	if (ea->sums.expiring + ea->sums.transitioning == 0 &&
	    (rc = run_begin(t, repo, &preview)) != RC_OK)
		return (rc);
	preview.status = ea->status;
	preview.sums = ea->sums;
	preview.ended_ms = ea->now_ms;
	return (preview_put(t, repo, &preview));
}

enum rc
meta_preview_end(struct meta *m, const struct preview_job *job,
    enum preview_status status, const struct preview_sums *sums, int64_t now_ms)
{
	struct end_arg arg = { .job = job, .status = status, .now_ms = now_ms };

	must(status == PREVIEW_COMPLETE || status == PREVIEW_FAILED);
	must((status == PREVIEW_COMPLETE) == (sums != NULL));
	if (sums != NULL)
		arg.sums = *sums;
	return (meta_change(m, preview_end, &arg, 0));
}

/* Results. */

static enum rc
page_row_add(const struct kv_walk *w, const struct preview_query *q,
    struct arena *a, struct preview_page *page)
{
	uint64_t repo, run;
	uint32_t sequence;

	if (!key_read_preview_result(w->key, &repo, &run, &sequence))
		return (meta_corrupt(w->table, w->key));
	if (page->rows == NULL)
		page->rows = arena_calloc(a, q->max_rows, sizeof(*page->rows));
	if (page->rows == NULL)
		return (RC_TOOBIG);
	if (!rec_preview_result_read(w->value, &page->rows[page->n]))
		return (meta_corrupt(w->table, w->key));
	page->rows[page->n++].sequence = sequence;
	return (RC_OK);
}

static enum rc
page_fill(struct kv_walk *w, const struct preview_query *q, struct arena *a,
    struct preview_page *page)
{
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (page->n == q->max_rows) {
			page->more = true;
			return (RC_OK);
		}
		if ((rc = page_row_add(w, q, a, page)) != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
page_read(struct meta_txn *t, uint64_t repo, const struct preview_query *q,
    struct arena *a, struct preview_page *page)
{
	struct rec_key prefix, from;
	struct kv_walk w;
	enum rc rc;

	key_preview_run(&prefix, repo, page->preview.run);
	key_preview_result(&from, repo, page->preview.run, q->from);
	rc = kv_walk_begin(t, TABLE_LIFECYCLE_PREVIEW_RESULTS,
	    key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = page_fill(&w, q, a, page);
	kv_walk_end(&w);
	return (rc);
}

static enum rc
result_page(struct meta_txn *t, const struct preview_query *q, struct arena *a,
    struct preview_page *page)
{
	uint64_t repo;
	enum rc rc;

	rc = preview_get(t, q->repository, a, &page->preview, &repo);
	if (rc != RC_OK)
		return (rc);
	if (q->run != 0 && q->run != page->preview.run)
		return (RC_RANGE);
	if (page->preview.status != PREVIEW_COMPLETE)
		return (RC_OK);
	return (page_read(t, repo, q, a, page));
}

enum rc
meta_preview_result_page(struct meta *m, const struct preview_query *query,
    struct arena *a, struct preview_page *page_r)
{
	struct preview_query q = *query;
	struct meta_txn t;
	enum rc rc;

	*page_r = (struct preview_page){ 0 };
	if (q.max_rows > PREVIEW_PAGE_ROWS_MAX)
		q.max_rows = PREVIEW_PAGE_ROWS_MAX;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = result_page(&t, &q, a, page_r);
	meta_read_end(&t);
	return (rc);
}

/* Sweeping: looking for what is to be done in a read, and doing it. */

struct sweep {
	struct preview_sweep at;
	int64_t before_ms;
	unsigned max_rows;
	uint64_t old[SWEEP_EXPIRED_MAX]; /* repositories */
	size_t n_old;
	uint64_t run; /* of the repository at hand: not one that counts */
	bool more;
};

static bool
preview_is_old(const struct sweep *s, const struct preview_row *row)
{

	return (
	    row->status == PREVIEW_COMPLETE && row->ended_ms < s->before_ms);
}

/* One that cannot be read is for fsck. */
static enum rc
old_find(struct sweep *s, struct kv_walk *w)
{
	struct preview_row row;
	uint64_t repo;
	unsigned n;
	enum rc rc;

	for (n = 0; n < SWEEP_LOOKED_MAX && s->n_old < SWEEP_EXPIRED_MAX; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK) {
			s->at = (struct preview_sweep){ .results = true };
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		}
		if (!key_read_repo(w->key, &repo))
			continue;
		s->at.repo = repo + 1;
		if (rec_preview_read(w->value, &row) && preview_is_old(s, &row))
			s->old[s->n_old++] = repo;
	}
	return (RC_OK);
}

static enum rc
old_look(struct meta_txn *t, struct sweep *s)
{
	struct rec_key from;
	struct kv_walk w;
	enum rc rc;

	s->more = true;
	key_repo(&from, s->at.repo);
	rc = kv_walk_begin(
	    t, TABLE_LIFECYCLE_PREVIEWS, SPAN_NONE, key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = old_find(s, &w);
	kv_walk_end(&w);
	return (rc);
}

static enum rc
old_expire(struct meta_txn *t, void *arg)
{
	const struct sweep *s = arg;
	struct preview_row row;
	size_t i;
	enum rc rc;

	for (i = 0; i < s->n_old; i++) {
		rc = preview_load(t, s->old[i], &row);
		if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
			continue;
		if (rc == RC_OK && !preview_is_old(s, &row))
			continue;
		row.status = PREVIEW_EXPIRED;
		row.sums = (struct preview_sums){ 0 };
		if (rc == RC_OK)
			rc = preview_put(t, s->old[i], &row);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* Of one that cannot be read nothing is known. */
static enum rc
run_counts(struct meta_txn *t, uint64_t repo, uint64_t run, bool *counts_r)
{
	struct preview_row row;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), &value);
	*counts_r = rc == RC_OK;
	if (rc == RC_OK && rec_preview_read(value, &row))
		*counts_r = preview_run_counts(&row, run);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* The first row behind those of a run.  RC_NOTFOUND: there is none. */
static enum rc
run_next(struct meta_txn *t, uint64_t *repo, uint64_t *run)
{
	struct rec_key from;
	uint32_t sequence;
	struct kv_walk w;
	enum rc rc;

	key_preview_run(&from, *repo, *run + 1);
	rc = kv_walk_begin(
	    t, TABLE_LIFECYCLE_PREVIEW_RESULTS, SPAN_NONE, key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (key_read_preview_result(w.key, repo, run, &sequence))
			break;
	kv_walk_end(&w);
	return (rc);
}

static enum rc
stray_look(struct meta_txn *t, struct sweep *s)
{
	uint64_t run = s->at.run;
	unsigned n;
	bool counts;
	enum rc rc;

	s->more = true;
	for (n = 0; n < SWEEP_LOOKED_MAX; n++) {
		if ((rc = run_next(t, &s->at.repo, &run)) != RC_OK) {
			s->at = (struct preview_sweep){ 0 };
			s->more = false;
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		}
		rc = run_counts(t, s->at.repo, run, &counts);
		if (rc != RC_OK)
			return (rc);
		s->at.run = run;
		if (!counts) {
			/* Perhaps not all of it goes now. */
			s->at.run--;
			s->run = run;
			return (RC_OK);
		}
	}
	return (RC_OK);
}

static enum rc
stray_delete(struct meta_txn *t, void *arg)
{
	const struct sweep *s = arg;
	struct rec_key prefix;
	struct kv_walk w;
	unsigned n;
	enum rc rc;

	key_preview_run(&prefix, s->at.repo, s->run);
	rc = kv_walk_begin(t, TABLE_LIFECYCLE_PREVIEW_RESULTS,
	    key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	for (n = 0; n < s->max_rows; n++) {
		if ((rc = kv_walk_next(&w)) != RC_OK ||
		    (rc = kv_walk_delete(&w)) != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_preview_sweep(struct meta *m, struct preview_sweep *sweep,
    int64_t before_ms, unsigned max_rows, bool *more_r)
{
	struct sweep s = { .at = *sweep,
		.before_ms = before_ms,
		.max_rows = max_rows > 0 ? max_rows : 1 };
	struct meta_txn t;
	enum rc rc;

	*more_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = s.at.results ? stray_look(&t, &s) : old_look(&t, &s);
	meta_read_end(&t);
	if (rc == RC_OK && s.n_old > 0)
		rc = meta_change(m, old_expire, &s, 0);
	if (rc == RC_OK && s.run != 0)
		rc = meta_change(m, stray_delete, &s, 0);
	if (rc != RC_OK)
		return (rc);
	*sweep = s.at;
	*more_r = s.more;
	return (RC_OK);
}
