#include "storage/lifecycles.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/meta_ops_int.h"

/*
 * Lifecycle policies of repositories, and previews of them.
 *
 * A preview that is in progress has a row in the queue too, made and removed
 * in the same change as the preview itself is changed, so that whoever works
 * finds what was left when the process ended.
 */

static enum rc
text_check(struct span text)
{

	if (text.n == 0)
		return (RC_INVALID);
	return (text.n > LIFECYCLE_TEXT_MAX_BYTES ? RC_TOOBIG : RC_OK);
}

/* Policies. */

/* The text borrows from the map. */
static enum rc
lifecycle_load(struct meta_txn *t, uint64_t repo, struct lifecycle_row *row_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_LIFECYCLE_POLICIES, key_span(&k), &value);
	if (rc == RC_OK && !rec_lifecycle_read(value, row_r))
		rc = meta_corrupt(TABLE_LIFECYCLE_POLICIES, key_span(&k));
	return (rc);
}

/* One that is damaged is replaced like any other. */
enum rc
repo_lifecycle_put(
    struct meta_txn *t, uint64_t repo, struct span text, int64_t now_ms)
{
	struct lifecycle_row row = { 0 };
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	rc = lifecycle_load(t, repo, &row);
	if (rc == RC_OK && span_eq(row.text, text))
		return (RC_OK);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	row = (struct lifecycle_row){ .text = text, .set_ms = now_ms };
	if ((rc = policy_revision_take(t, &row.revision)) != RC_OK)
		return (rc);
	key_repo(&k, repo);
	rc = kv_reserve(t, TABLE_LIFECYCLE_POLICIES, key_span(&k),
	    rec_lifecycle_size(&row), &p);
	if (rc == RC_OK)
		rec_lifecycle_write(&row, p);
	return (rc);
}

struct lifecycle_arg {
	struct span repository;
	struct span text; /* to be set */
	int64_t now_ms;
	struct arena *arena; /* of what was */
	struct lifecycle_row *row_r;
};

static enum rc
lifecycle_set(struct meta_txn *t, void *arg)
{
	const struct lifecycle_arg *la = arg;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, la->repository, &row)) != RC_OK)
		return (rc);
	return (repo_lifecycle_put(t, row.id, la->text, la->now_ms));
}

enum rc
meta_lifecycle_set(
    struct meta *m, struct span repository, struct span text, int64_t now_ms)
{
	struct lifecycle_arg arg = {
		.repository = repository, .text = text, .now_ms = now_ms
	};
	enum rc rc;

	if ((rc = text_check(text)) != RC_OK)
		return (rc);
	return (meta_change(m, lifecycle_set, &arg, text.n));
}

/* Copied out of the map. */
static enum rc
lifecycle_get(struct meta_txn *t, struct span repository, struct arena *a,
    struct lifecycle_row *row_r, uint64_t *repo_r)
{
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, repository, &row)) != RC_OK)
		return (rc);
	*repo_r = row.id;
	if ((rc = lifecycle_load(t, row.id, row_r)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_MISSING : rc);
	return (copy_out(a, row_r->text, &row_r->text));
}

enum rc
meta_lifecycle_get(struct meta *m, struct span repository, struct arena *a,
    struct lifecycle_row *row_r)
{
	struct meta_txn t;
	uint64_t repo;
	enum rc rc;

	*row_r = (struct lifecycle_row){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = lifecycle_get(&t, repository, a, row_r, &repo);
	meta_read_end(&t);
	return (rc);
}

static enum rc
lifecycle_delete(struct meta_txn *t, void *arg)
{
	const struct lifecycle_arg *la = arg;
	struct rec_key k;
	uint64_t repo;
	enum rc rc;

	rc = lifecycle_get(t, la->repository, la->arena, la->row_r, &repo);
	if (rc != RC_OK)
		return (rc);
	key_repo(&k, repo);
	return (kv_delete(t, TABLE_LIFECYCLE_POLICIES, key_span(&k)));
}

enum rc
meta_lifecycle_delete(struct meta *m, struct span repository, struct arena *a,
    struct lifecycle_row *row_r)
{
	struct lifecycle_arg arg = {
		.repository = repository, .arena = a, .row_r = row_r
	};

	*row_r = (struct lifecycle_row){ 0 };
	return (meta_change(m, lifecycle_delete, &arg, 0));
}

/* Previews. */

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

struct preview_arg {
	struct span repository;
	struct span text;	    /* of one that starts */
	enum preview_status status; /* of one that ends */
	int64_t now_ms;
};

static enum rc
preview_start(struct meta_txn *t, void *arg)
{
	const struct preview_arg *pa = arg;
	struct preview_row preview;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, pa->repository, &row)) != RC_OK)
		return (rc);
	rc = preview_load(t, row.id, &preview);
	if (rc == RC_OK && preview.status == PREVIEW_IN_PROGRESS)
		return (RC_BUSY);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	preview = (struct preview_row){
		.text = pa->text,
		.status = PREVIEW_IN_PROGRESS,
		.started_ms = pa->now_ms,
	};
	return (preview_put(t, row.id, &preview));
}

enum rc
meta_preview_start(
    struct meta *m, struct span repository, struct span text, int64_t now_ms)
{
	struct preview_arg arg = {
		.repository = repository, .text = text, .now_ms = now_ms
	};
	enum rc rc;

	if ((rc = text_check(text)) != RC_OK)
		return (rc);
	return (meta_change(m, preview_start, &arg, text.n));
}

static enum rc
preview_get(struct meta_txn *t, struct span repository, struct arena *a,
    struct preview_row *row_r)
{
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, repository, &row)) != RC_OK)
		return (rc);
	if ((rc = preview_load(t, row.id, row_r)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_MISSING : rc);
	return (copy_out(a, row_r->text, &row_r->text));
}

enum rc
meta_preview_get(struct meta *m, struct span repository, struct arena *a,
    struct preview_row *row_r)
{
	struct meta_txn t;
	enum rc rc;

	*row_r = (struct preview_row){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = preview_get(&t, repository, a, row_r);
	meta_read_end(&t);
	return (rc);
}

/* Whose place in the queue is it?  RC_NOTFOUND: of a repository that has been
 * deleted, or of a preview that is not in progress, which is for fsck. */
static enum rc
queued_name(struct meta_txn *t, struct span key, struct span *name_r)
{
	struct preview_row preview;
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
	rc = preview_load(t, repo, &preview);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && preview.status != PREVIEW_IN_PROGRESS))
		rc = meta_corrupt(TABLE_PREVIEW_QUEUE, key);
	return (rc);
}

static enum rc
preview_next(struct kv_walk *w, struct arena *a, struct span *repository_r)
{
	struct span name = SPAN_NONE;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		rc = queued_name(w->t, w->key, &name);
		if (rc == RC_OK)
			return (copy_out(a, name, repository_r));
		if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
			return (rc);
	}
	return (rc);
}

enum rc
meta_preview_next(struct meta *m, struct arena *a, struct span *repository_r)
{
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(&t, TABLE_PREVIEW_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc == RC_OK) {
		rc = preview_next(&w, a, repository_r);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

static enum rc
preview_end(struct meta_txn *t, void *arg)
{
	const struct preview_arg *pa = arg;
	struct preview_row preview;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, pa->repository, &row)) != RC_OK)
		return (rc);
	if ((rc = preview_load(t, row.id, &preview)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_MISSING : rc);
	if (preview.status != PREVIEW_IN_PROGRESS)
		return (RC_MISSING);
	preview.status = pa->status;
	preview.ended_ms = pa->now_ms;
	return (preview_put(t, row.id, &preview));
}

enum rc
meta_preview_end(struct meta *m, struct span repository,
    enum preview_status status, int64_t now_ms)
{
	struct preview_arg arg = {
		.repository = repository, .status = status, .now_ms = now_ms
	};

	must(status == PREVIEW_COMPLETE || status == PREVIEW_FAILED);
	return (meta_change(m, preview_end, &arg, 0));
}
