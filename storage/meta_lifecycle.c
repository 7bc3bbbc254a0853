#include "storage/lifecycles.h"

#include "storage/meta_ops_int.h"

/*
 * Lifecycle policies of repositories.  Each has a place in lifecycle_queue, in
 * order of when it was set or evaluated last, which moves in the same change
 * as the policy: who carries policies out finds those that are due without a
 * look at the others.
 */

enum rc
lifecycle_text_check(struct span text)
{

	if (text.n == 0)
		return (RC_INVALID);
	return (text.n > LIFECYCLE_TEXT_MAX_BYTES ? RC_TOOBIG : RC_OK);
}

enum rc
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

int64_t
lifecycle_basis(const struct lifecycle_row *row)
{

	return (
	    row->set_ms > row->evaluated_ms ? row->set_ms : row->evaluated_ms);
}

enum rc
lifecycle_queue_set(
    struct meta_txn *t, uint64_t repo, int64_t from_ms, int64_t to_ms)
{
	struct rec_key k;
	enum rc rc;

	if (from_ms != 0 && from_ms != to_ms) {
		key_timed_repo(&k, from_ms, repo);
		rc = kv_delete(t, TABLE_LIFECYCLE_QUEUE, key_span(&k));
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
	}
	if (to_ms == 0)
		return (RC_OK);
	key_timed_repo(&k, to_ms, repo);
	return (kv_put(t, TABLE_LIFECYCLE_QUEUE, key_span(&k), rec_none()));
}

enum rc
lifecycle_save(
    struct meta_txn *t, uint64_t repo, const struct lifecycle_row *row)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_reserve(t, TABLE_LIFECYCLE_POLICIES, key_span(&k),
	    rec_lifecycle_size(row), &p);
	if (rc == RC_OK)
		rec_lifecycle_write(row, p);
	return (rc);
}

/* One that is damaged is replaced like any other; its place in the queue,
 * which nobody knows, is one that leads to nothing then. */
enum rc
repo_lifecycle_put(
    struct meta_txn *t, uint64_t repo, struct span text, int64_t now_ms)
{
	struct lifecycle_row row = { 0 };
	int64_t from_ms = 0;
	enum rc rc;

	rc = lifecycle_load(t, repo, &row);
	if (rc == RC_OK && span_eq(row.text, text))
		return (RC_OK);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	if (rc == RC_OK)
		from_ms = lifecycle_basis(&row);
	row = (struct lifecycle_row){ .text = text, .set_ms = now_ms };
	if ((rc = policy_revision_take(t, &row.revision)) != RC_OK)
		return (rc);
	if ((rc = lifecycle_save(t, repo, &row)) != RC_OK)
		return (rc);
	return (lifecycle_queue_set(t, repo, from_ms, now_ms));
}

struct lifecycle_arg {
	struct span repository;
	struct span text; /* to be set */
	int64_t now_ms;
	uint64_t *revision_r;
	struct arena *arena; /* of what was */
	struct lifecycle_row *row_r;
};

static enum rc
lifecycle_set(struct meta_txn *t, void *arg)
{
	const struct lifecycle_arg *la = arg;
	struct repository_row row;
	struct lifecycle_row policy;
	enum rc rc;

	if ((rc = repo_find(t, la->repository, &row)) != RC_OK)
		return (rc);
	rc = repo_lifecycle_put(t, row.id, la->text, la->now_ms);
	if (rc != RC_OK)
		return (rc);
	rc = lifecycle_load(t, row.id, &policy);
	*la->revision_r = rc == RC_OK ? policy.revision : 0;
	return (rc);
}

enum rc
meta_lifecycle_set(struct meta *m, struct span repository, struct span text,
    int64_t now_ms, uint64_t *revision_r)
{
	uint64_t revision = 0;
	struct lifecycle_arg arg = {
		.repository = repository,
		.text = text,
		.now_ms = now_ms,
		.revision_r = &revision,
	};
	enum rc rc;

	if ((rc = lifecycle_text_check(text)) != RC_OK)
		return (rc);
	rc = meta_change(m, lifecycle_set, &arg, text.n);
	if (rc == RC_OK && revision_r != NULL)
		*revision_r = revision;
	return (rc);
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
	rc = lifecycle_queue_set(t, repo, lifecycle_basis(la->row_r), 0);
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
