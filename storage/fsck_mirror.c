#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * What came from other registries, and what is to be sent to some.  A mark that
 * cannot be read is taken away: the image, or the tag, is somebody's own then,
 * and stays as it is.  Where it is lost what was to be sent, the image is sent
 * once more: the other side has it then or had it already.
 */

/* Its manifest is there, a deleted one too. */
static enum rc
need_manifest(struct fsck_check *c, uint64_t repo, const struct digest *d,
    const char *what, bool *ok_r)
{
	struct rec_key k;
	enum rc rc;

	if ((rc = fsck_need_repository(c, repo, what, ok_r)) != RC_OK || !*ok_r)
		return (rc);
	key_repo_digest(&k, repo, d);
	rc = fsck_has(c, TABLE_MANIFESTS, &k, ok_r);
	if (rc != RC_OK || *ok_r)
		return (rc);
	if (fsck_found(c, FSCK_DANGLING, true,
		"%s: %s of %s, which is not there", fsck_repo_text(c, repo),
		what, fsck_digest_text(c, d)))
		rc = fsck_row_delete(c);
	return (rc);
}

/* --- what came ----------------------------------------------------------- */

enum rc
fsck_import_image_row(struct fsck_check *c)
{
	struct digest d;
	int64_t imported_ms;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	rc = need_manifest(c, repo, &d, "mark as a copy", &ok);
	if (rc != RC_OK || !ok || rec_moment_read(c->value, &imported_ms))
		return (rc);
	if (fsck_found(c, FSCK_RECORD, true,
		"%s: since when %s is a copy from another registry cannot be "
		"read; to be taken for one that was pushed",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		rc = fsck_row_delete(c);
	return (rc);
}

static enum rc
import_tag_check(struct fsck_check *c, uint64_t repo, struct span tag)
{
	struct import_tag row;
	struct tag_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_tag(&k, repo, tag);
	rc = kv_get(c->t, TABLE_TAGS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (!rec_import_tag_read(c->value, &row)) {
		if (fsck_found(c, FSCK_RECORD, true,
			"%s:" SPAN_FMT ": when it was compared with another "
			"registry cannot be read; to be taken for one that "
			"was pushed",
			fsck_repo_text(c, repo), SPAN_ARG(tag)))
			return (fsck_row_delete(c));
		return (RC_OK);
	}
	/* A tag that cannot be read has been told. */
	if (rc == RC_OK &&
	    (!rec_tag_read(value, &rec) || digest_eq(&rec.digest, &row.digest)))
		return (RC_OK);
	if (fsck_found(c, FSCK_DANGLING, true,
		"%s:" SPAN_FMT ": said to be a copy of %s from another "
		"registry, but does not point there",
		fsck_repo_text(c, repo), SPAN_ARG(tag),
		fsck_digest_text(c, &row.digest)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_import_tag_row(struct fsck_check *c)
{
	struct span tag;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_tag(c->key, &repo, &tag) || !name_tag_ok(tag))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "mark of a tag", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	return (import_tag_check(c, repo, tag));
}

/* Its subject may be anything. */
enum rc
fsck_import_referrers_row(struct fsck_check *c)
{
	struct digest d;
	int64_t checked_ms;
	uint64_t repo;
	bool ok;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	rc = fsck_need_repository(c, repo, "comparison of referrers", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	return (rec_moment_read(c->value, &checked_ms) ? RC_OK
						       : fsck_unreadable(c));
}

/* --- what is to be sent -------------------------------------------------- */

struct task_at {
	uint64_t repo, id;
	struct digest digest;
	struct task_rec rec;
};

static enum rc
task_queue_check(struct fsck_check *c, const struct task_at *at)
{
	struct digest d = { 0 };
	struct rec_key k;
	struct span value;
	uint64_t repo;
	enum rc rc;

	key_task_due(&k, at->rec.due_ms, at->id);
	rc = kv_get(c->t, TABLE_REPLICATION_QUEUE, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_task_of_read(value, &repo, &d) &&
	    repo == at->repo && digest_eq(&d, &at->digest))
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is to be sent to " SPAN_FMT ", but not in the queue",
		fsck_repo_text(c, at->repo), fsck_digest_text(c, &at->digest),
		SPAN_ARG(at->rec.destination)))
		return (replication_queue_put(
		    c->t, at->repo, &at->digest, at->rec.due_ms, at->id));
	return (RC_OK);
}

static enum rc
task_status_check(struct fsck_check *c, const struct task_at *at)
{
	const struct status_rec begun = {
		.state = REPLICATION_IN_PROGRESS,
		.changed_ms = c->now_ms,
	};
	struct rec_key k;
	bool has;
	enum rc rc;

	key_status(&k, at->repo, &at->digest, at->rec.destination);
	rc = fsck_has(c, TABLE_REPLICATION_STATUS, &k, &has);
	if (rc != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is to be sent to " SPAN_FMT ", but has no status of "
		"that",
		fsck_repo_text(c, at->repo), fsck_digest_text(c, &at->digest),
		SPAN_ARG(at->rec.destination)))
		return (replication_status_put(
		    c->t, at->repo, &at->digest, at->rec.destination, &begun));
	return (RC_OK);
}

/* One that cannot be read is missed by the status of its image. */
enum rc
fsck_task_row(struct fsck_check *c)
{
	struct task_at at;
	bool ok;
	enum rc rc;

	if (!key_read_task(c->key, &at.repo, &at.digest, &at.id))
		return (fsck_unreadable(c));
	rc = need_manifest(c, at.repo, &at.digest, "task to send", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if (!rec_task_read(c->value, &at.rec))
		return (fsck_unreadable(c));
	if ((rc = task_queue_check(c, &at)) != RC_OK)
		return (rc);
	return (task_status_check(c, &at));
}

static enum rc
queued_find(struct fsck_check *c, int64_t due_ms, uint64_t repo,
    const struct digest *d, uint64_t id, bool *is_r)
{
	struct task_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_task(&k, repo, d, id);
	rc = kv_get(c->t, TABLE_REPLICATION_TASKS, key_span(&k), &value);
	*is_r =
	    rc == RC_OK && rec_task_read(value, &rec) && rec.due_ms == due_ms;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
fsck_task_queue_row(struct fsck_check *c)
{
	struct digest d;
	int64_t due_ms;
	uint64_t repo, id;
	bool doomed, is;
	enum rc rc;

	if (!key_read_task_due(c->key, &due_ms, &id) ||
	    !rec_task_of_read(c->value, &repo, &d))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	rc = queued_find(c, due_ms, repo, &d, id, &is);
	if (rc != RC_OK || is)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is in the queue of what is to be sent, but there is no "
		"such task",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d)))
		rc = fsck_row_delete(c);
	return (rc);
}

/* --- how it went --------------------------------------------------------- */

struct status_at {
	uint64_t repo;
	struct digest digest;
	struct span destination;
};

static enum rc
status_again(struct fsck_check *c, const struct status_at *at, uint64_t pending)
{
	const struct status_rec begun = {
		.state = REPLICATION_IN_PROGRESS,
		.changed_ms = c->now_ms,
	};

	if (pending == 0)
		return (replication_add(c->t, at->repo, &at->digest, SPAN_NONE,
		    at->destination, c->now_ms));
	return (replication_status_put(
	    c->t, at->repo, &at->digest, at->destination, &begun));
}

static enum rc
status_check(struct fsck_check *c, const struct status_at *at)
{
	const char *repo = fsck_repo_text(c, at->repo);
	const char *image = fsck_digest_text(c, &at->digest);
	struct status_rec rec;
	uint64_t pending;
	bool fix;
	enum rc rc;

	rc = replication_pending(
	    c->t, at->repo, &at->digest, at->destination, &pending);
	if (rc != RC_OK)
		return (rc);
	if (!rec_status_read(c->value, &rec))
		fix = fsck_found(c, FSCK_RECORD, true,
		    "%s: whether %s was sent to " SPAN_FMT " cannot be read",
		    repo, image, SPAN_ARG(at->destination));
	else if (rec.state == REPLICATION_IN_PROGRESS && pending == 0)
		fix = fsck_found(c, FSCK_INDEX, true,
		    "%s: %s is to be sent to " SPAN_FMT ", but nobody does it",
		    repo, image, SPAN_ARG(at->destination));
	else if (rec.state == REPLICATION_COMPLETE && pending > 0)
		fix = fsck_found(c, FSCK_INDEX, true,
		    "%s: %s is said to have been sent to " SPAN_FMT
		    ", but has yet to be",
		    repo, image, SPAN_ARG(at->destination));
	else
		return (RC_OK);
	return (fix ? status_again(c, at, pending) : RC_OK);
}

enum rc
fsck_status_row(struct fsck_check *c)
{
	struct status_at at;
	bool ok;
	enum rc rc;

	if (!key_read_status(c->key, &at.repo, &at.digest, &at.destination))
		return (fsck_unreadable(c));
	rc = need_manifest(c, at.repo, &at.digest, "status of sending", &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	return (status_check(c, &at));
}
