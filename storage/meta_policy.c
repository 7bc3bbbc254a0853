#include "storage/meta_ops_int.h"

/*
 * Policies of repositories, and what is asked before each request.
 *
 * A policy has a revision by which those above know what they have compiled.
 * It is taken from one count of the registry, so that no two policies that
 * ever were, of whatever repository, have the same one.  Lifecycle policies
 * take theirs from the same count.
 */

/* Its text borrows from the map. */
static enum rc
policy_load(struct meta_txn *t, uint64_t repo, struct policy_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_POLICIES, key_span(&k), &value);
	if (rc == RC_OK && !rec_policy_read(value, rec_r))
		rc = meta_corrupt(TABLE_REPOSITORY_POLICIES, key_span(&k));
	return (rc);
}

static enum rc
repository_access(struct meta_txn *t, uint64_t repo, enum access_want want,
    struct arena *a, struct repository_access *a_r)
{
	struct policy_rec rec;
	enum rc rc;

	rc = policy_load(t, repo, &rec);
	if (rc == RC_OK) {
		a_r->policy_revision = rec.revision;
		if (want == ACCESS_POLICY)
			rc = copy_out(a, rec.text, &a_r->policy);
	}
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	return (resource_tags_get(t, repo, a, &a_r->tags, &a_r->n_tags));
}

enum rc
meta_repository_access(struct meta *m, struct span name, enum access_want want,
    struct arena *a, struct repository_access *a_r)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	*a_r = (struct repository_access){ 0 };
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, name, &row);
	if (rc == RC_OK) {
		a_r->exists = true;
		rc = repository_access(&t, row.id, want, a, a_r);
	} else if (rc == RC_NOTFOUND) {
		rc = RC_OK;
	}
	meta_read_end(&t);
	return (rc);
}

/* Changing. */

struct policy_arg {
	struct span repository;
	struct span text;    /* to be set */
	struct arena *arena; /* of what was */
	struct span *text_r;
};

enum rc
policy_revision_take(struct meta_txn *t, uint64_t *revision_r)
{
	uint64_t last;
	enum rc rc;

	rc = meta_number_get(t, NUMBER_POLICY_REVISION, &last);
	if (rc != RC_OK)
		return (rc);
	*revision_r = last + 1;
	return (meta_number_set(t, NUMBER_POLICY_REVISION, *revision_r));
}

enum rc
repo_policy_put(struct meta_txn *t, uint64_t repo, struct span text)
{
	struct policy_rec rec = { .text = text };
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	if ((rc = policy_revision_take(t, &rec.revision)) != RC_OK)
		return (rc);
	key_repo(&k, repo);
	rc = kv_reserve(t, TABLE_REPOSITORY_POLICIES, key_span(&k),
	    rec_policy_size(&rec), &p);
	if (rc == RC_OK)
		rec_policy_write(&rec, p);
	return (rc);
}

static enum rc
policy_set(struct meta_txn *t, void *arg)
{
	const struct policy_arg *pa = arg;
	struct repository_row row;
	enum rc rc;

	if ((rc = repo_find(t, pa->repository, &row)) != RC_OK)
		return (rc);
	return (repo_policy_put(t, row.id, pa->text));
}

enum rc
meta_repository_policy_set(struct meta *m, struct span name, struct span text)
{
	struct policy_arg arg = { .repository = name, .text = text };

	if (text.n == 0)
		return (RC_INVALID);
	if (text.n > REPOSITORY_POLICY_MAX_BYTES)
		return (RC_TOOBIG);
	return (meta_change(m, policy_set, &arg, text.n));
}

static enum rc
policy_delete(struct meta_txn *t, void *arg)
{
	const struct policy_arg *pa = arg;
	struct repository_row row;
	struct policy_rec rec;
	struct rec_key k;
	enum rc rc;

	if ((rc = repo_find(t, pa->repository, &row)) != RC_OK)
		return (rc);
	if ((rc = policy_load(t, row.id, &rec)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_MISSING : rc);
	if ((rc = copy_out(pa->arena, rec.text, pa->text_r)) != RC_OK)
		return (rc);
	key_repo(&k, row.id);
	return (kv_delete(t, TABLE_REPOSITORY_POLICIES, key_span(&k)));
}

enum rc
meta_repository_policy_delete(
    struct meta *m, struct span name, struct arena *a, struct span *text_r)
{
	struct policy_arg arg = {
		.repository = name, .arena = a, .text_r = text_r
	};

	*text_r = SPAN_NONE;
	return (meta_change(m, policy_delete, &arg, 0));
}
