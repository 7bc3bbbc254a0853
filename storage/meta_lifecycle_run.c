#include "storage/lifecycles.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/meta_ops_int.h"

/*
 * Carrying policies out: which are due, and what came of the last run.
 */

/* Are looked at in one read, and told on one page. */
#define LOOKED_MAX 1000
#define PAGE_ROWS_MAX 1000

/* Due ones. */

struct due_look {
	int64_t before_ms;
	int64_t at_ms; /* looked at last; 0: none */
	uint64_t at_repo;
	size_t max;
	struct arena *arena;
	struct lifecycle_due_page *page;
	bool ended;
};

/* Whose place is it?  RC_NOTFOUND: of nobody: its repository has been deleted,
 * or it is not where the policy has its place; that is for fsck. */
static enum rc
due_find(struct meta_txn *t, int64_t basis_ms, uint64_t repo, struct arena *a,
    struct span *name_r)
{
	struct lifecycle_row row;
	struct rec_key k;
	struct span value, name;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_repository_name_read(value, &name))
		return (meta_corrupt(TABLE_REPOSITORY_NAMES, key_span(&k)));
	if ((rc = lifecycle_load(t, repo, &row)) != RC_OK)
		return (rc);
	if (lifecycle_basis(&row) != basis_ms)
		return (RC_NOTFOUND);
	return (copy_out(a, name, name_r));
}

static enum rc
due_add(struct due_look *l, struct meta_txn *t, int64_t basis_ms, uint64_t repo)
{
	struct lifecycle_due_page *page = l->page;
	struct span name;
	enum rc rc;

	rc = due_find(t, basis_ms, repo, l->arena, &name);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	if (page->n == l->max) {
		page->more = true;
		l->ended = true;
		return (RC_OK);
	}
	page->rows[page->n++] = (struct lifecycle_due){ name, repo, basis_ms };
	return (RC_OK);
}

static enum rc
due_walk(struct due_look *l, struct kv_walk *w)
{
	int64_t ms;
	uint64_t repo;
	unsigned n;
	enum rc rc = RC_OK;

	for (n = 0; n < LOOKED_MAX && !l->ended; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			break;
		if (!key_read_timed_repo(w->key, &ms, &repo)) {
			(void)meta_corrupt(w->table, w->key);
			continue;
		}
		if (ms == l->at_ms && repo == l->at_repo)
			continue;
		if (ms > l->before_ms)
			break;
		l->at_ms = ms;
		l->at_repo = repo;
		if ((rc = due_add(l, w->t, ms, repo)) != RC_OK)
			return (rc);
	}
	if (n == LOOKED_MAX)
		return (RC_OK);
	l->ended = true;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
due_read(struct due_look *l, struct meta *m)
{
	struct rec_key from = { 0 };
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	if (l->at_ms != 0)
		key_timed_repo(&from, l->at_ms, l->at_repo);
	rc = kv_walk_begin(
	    &t, TABLE_LIFECYCLE_QUEUE, SPAN_NONE, key_span(&from), &w);
	if (rc == RC_OK) {
		rc = due_walk(l, &w);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_lifecycle_due_page(struct meta *m, int64_t before_ms,
    const struct lifecycle_due *after, size_t max, struct arena *a,
    struct lifecycle_due_page *page_r)
{
	struct due_look l = {
		.before_ms = before_ms, .max = max, .arena = a, .page = page_r
	};
	enum rc rc = RC_OK;

	*page_r = (struct lifecycle_due_page){ 0 };
	if (max == 0)
		return (RC_OK);
	if (max > PAGE_ROWS_MAX)
		l.max = PAGE_ROWS_MAX;
	page_r->rows = arena_calloc(a, l.max, sizeof(*page_r->rows));
	if (page_r->rows == NULL)
		return (RC_TOOBIG);
	if (after != NULL) {
		l.at_ms = after->basis_ms;
		l.at_repo = after->repo;
	}
	while (rc == RC_OK && !l.ended)
		rc = due_read(&l, m);
	return (rc);
}

/* The text is taken out of the map before it is overwritten there. */
static enum rc
times_save(struct meta_txn *t, uint64_t repo, struct lifecycle_row *row,
    int64_t set_ms, int64_t evaluated_ms)
{
	int64_t from_ms = lifecycle_basis(row);
	char *copy = xmalloc(row->text.n);
	enum rc rc;

	memcpy(copy, row->text.p, row->text.n);
	row->text.p = copy;
	row->set_ms = set_ms;
	row->evaluated_ms = evaluated_ms;
	rc = lifecycle_queue_set(t, repo, from_ms, lifecycle_basis(row));
	if (rc == RC_OK)
		rc = lifecycle_save(t, repo, row);
	free(copy);
	return (rc);
}

/* Those from behind now: of when a clock was ahead. */

#define FUTURE_ROWS 256

struct future {
	int64_t now_ms;
	int64_t at_ms; /* looked at last */
	uint64_t at_repo;
	struct {
		int64_t ms;
		uint64_t repo;
	} rows[FUTURE_ROWS];
	size_t n;
};

/* RC_NOTFOUND: there are no others. */
static enum rc
future_take(struct future *f, struct kv_walk *w)
{
	int64_t ms;
	uint64_t repo;
	enum rc rc;

	while (f->n < FUTURE_ROWS) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		/* What cannot be read is for fsck. */
		if (!key_read_timed_repo(w->key, &ms, &repo) ||
		    (ms == f->at_ms && repo == f->at_repo))
			continue;
		f->rows[f->n].ms = f->at_ms = ms;
		f->rows[f->n++].repo = f->at_repo = repo;
	}
	return (RC_OK);
}

static enum rc
future_read(struct future *f, struct meta *m)
{
	struct rec_key from;
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	f->n = 0;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_timed_repo(&from, f->at_ms, f->at_repo);
	rc = kv_walk_begin(
	    &t, TABLE_LIFECYCLE_QUEUE, SPAN_NONE, key_span(&from), &w);
	if (rc == RC_OK) {
		rc = future_take(f, &w);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

static int64_t
at_most(int64_t ms, int64_t max_ms)
{

	return (ms < max_ms ? ms : max_ms);
}

/* One whose place is another by now, or nobody's, is left as it is. */
static enum rc
future_one(struct meta_txn *t, const struct future *f, size_t i)
{
	uint64_t repo = f->rows[i].repo;
	struct lifecycle_row row;
	enum rc rc;

	rc = lifecycle_load(t, repo, &row);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	if (lifecycle_basis(&row) != f->rows[i].ms)
		return (RC_OK);
	return (times_save(t, repo, &row, at_most(row.set_ms, f->now_ms),
	    at_most(row.evaluated_ms, f->now_ms)));
}

static enum rc
future_settle(struct meta_txn *t, void *arg)
{
	const struct future *f = arg;
	size_t i;
	enum rc rc = RC_OK;

	for (i = 0; rc == RC_OK && i < f->n; i++)
		rc = future_one(t, f, i);
	return (rc);
}

enum rc
meta_lifecycle_future_settle(struct meta *m, int64_t now_ms)
{
	struct future f = {
		.now_ms = now_ms, .at_ms = now_ms, .at_repo = UINT64_MAX
	};
	enum rc found, rc = RC_OK;

	do {
		found = future_read(&f, m);
		if (f.n > 0)
			rc = meta_change(m, future_settle, &f, 0);
	} while (found == RC_OK && rc == RC_OK);
	if (rc != RC_OK || found == RC_NOTFOUND)
		return (rc);
	return (found);
}

/* Results. */

struct result_arg {
	struct span repository;
	const struct lifecycle_result *result;
};

static enum rc
run_put(
    struct meta_txn *t, uint64_t repo, const struct lifecycle_result *result)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_reserve(t, TABLE_LIFECYCLE_RUNS, key_span(&k),
	    rec_lifecycle_run_size(result), &p);
	if (rc == RC_OK)
		rec_lifecycle_run_write(result, p);
	return (rc);
}

/* Another policy than the one that was evaluated, or none: RC_OK. */
static enum rc
evaluated_set(
    struct meta_txn *t, uint64_t repo, const struct lifecycle_result *result)
{
	struct lifecycle_row row;
	enum rc rc;

	if (result->outcome != LIFECYCLE_DONE &&
	    (result->outcome != LIFECYCLE_FAILED || result->unsettled))
		return (RC_OK);
	rc = lifecycle_load(t, repo, &row);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK || row.revision != result->revision)
		return (rc);
	return (times_save(t, repo, &row, row.set_ms, result->started_ms));
}

static enum rc
result_put(struct meta_txn *t, void *arg)
{
	const struct result_arg *ra = arg;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, ra->repository, &row)) != RC_OK)
		return (rc);
	if ((rc = run_put(t, row.id, ra->result)) != RC_OK)
		return (rc);
	return (evaluated_set(t, row.id, ra->result));
}

enum rc
meta_lifecycle_result_put(struct meta *m, struct span repository,
    const struct lifecycle_result *result)
{
	struct result_arg arg = { repository, result };

	must(result->outcome != LIFECYCLE_NEVER);
	if (result->why.n > LIFECYCLE_RESULT_WHY_MAX)
		return (RC_TOOBIG);
	return (meta_change(m, result_put, &arg, 0));
}

/* What is known. */

/* Borrowed from the map. */
static enum rc
run_load(struct meta_txn *t, uint64_t repo, struct lifecycle_result *result_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	*result_r = (struct lifecycle_result){ 0 };
	key_repo(&k, repo);
	rc = kv_get(t, TABLE_LIFECYCLE_RUNS, key_span(&k), &value);
	if (rc == RC_OK && !rec_lifecycle_run_read(value, result_r))
		rc = meta_corrupt(TABLE_LIFECYCLE_RUNS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* All but the name. */
static enum rc
status_load(struct meta_txn *t, uint64_t repo, struct arena *a,
    struct lifecycle_status *row_r)
{
	struct lifecycle_row policy = { 0 };
	enum rc rc;

	*row_r = (struct lifecycle_status){ .repo = repo };
	rc = lifecycle_load(t, repo, &policy);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	row_r->has_policy = rc == RC_OK;
	if (row_r->has_policy) {
		row_r->revision = policy.revision;
		row_r->set_ms = policy.set_ms;
		row_r->evaluated_ms = policy.evaluated_ms;
	}
	if ((rc = run_load(t, repo, &row_r->last)) != RC_OK)
		return (rc);
	return (copy_out(a, row_r->last.why, &row_r->last.why));
}

enum rc
meta_lifecycle_status(struct meta *m, struct span repository, struct arena *a,
    struct lifecycle_status *row_r)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	*row_r = (struct lifecycle_status){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	if ((rc = repo_find(&t, repository, &row)) == RC_OK)
		rc = status_load(&t, row.id, a, row_r);
	if (rc == RC_OK)
		rc = copy_out(a, repository, &row_r->repository);
	meta_read_end(&t);
	return (rc);
}

/* One that cannot be read is left out: it was told. */
static enum rc
status_add(struct kv_walk *w, struct arena *a, struct lifecycle_status_page *p)
{
	struct lifecycle_status *row = &p->rows[p->n];
	struct repository_row repo;
	enum rc rc;

	if (!rec_repository_read(w->value, &repo)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	rc = status_load(w->t, repo.id, a, row);
	if (rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	if (!row->has_policy && row->last.outcome == LIFECYCLE_NEVER)
		return (RC_OK);
	if ((rc = copy_out(a, w->key, &row->repository)) == RC_OK)
		p->n++;
	return (rc);
}

struct status_look {
	struct span after, last;
	size_t max;
	struct arena *arena;
	struct lifecycle_status_page *page;
};

static enum rc
status_walk(struct status_look *l, struct kv_walk *w)
{
	unsigned looked = 0;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (span_eq(w->key, l->after))
			continue;
		if (l->page->n == l->max || looked++ == LOOKED_MAX) {
			l->page->more = true;
			break;
		}
		if ((rc = status_add(w, l->arena, l->page)) != RC_OK)
			return (rc);
		l->last = w->key;
	}
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	/* While what it borrows is there. */
	return (copy_out(l->arena, l->last, &l->page->last));
}

enum rc
meta_lifecycle_status_page(struct meta *m, struct span after, size_t max,
    struct arena *a, struct lifecycle_status_page *page_r)
{
	struct status_look l = { after, after, max, a, page_r };
	struct rec_key from;
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	*page_r = (struct lifecycle_status_page){ 0 };
	if (max > PAGE_ROWS_MAX)
		l.max = PAGE_ROWS_MAX;
	page_r->rows = arena_calloc(a, l.max, sizeof(*page_r->rows));
	if (page_r->rows == NULL)
		return (RC_TOOBIG);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_str(&from, after);
	rc = kv_walk_begin(
	    &t, TABLE_REPOSITORIES, SPAN_NONE, key_span(&from), &w);
	if (rc == RC_OK) {
		rc = status_walk(&l, &w);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}
