#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * A manifest is put: looked at first, against what is there, what is set of
 * the repository and its quotas; then written with all that follows from it.
 *
 * One that was deleted and could be restored is a new one.  One that is
 * archived, or waits for its content from the archive, is active from then on,
 * since what it needs is here, or the push would have failed; unless it was
 * pushed without some of that, which may lie in the archive: then it waits.
 *
 * One that comes from another registry (.import) takes nothing from anybody: what
 * was pushed here stays somebody's own, and a tag that is not a copy stays where
 * it points.  One that was pushed here makes the copy his.
 *
 * One whose subject is not there, or not active, may be about to follow that
 * (meta_orphan.c); pushed again it is about one that is yet to come, as if it
 * were new, and does not.
 */

/* Children of an index that are looked at to know its size, and theirs. */
#define PUT_SIZE_ROWS_MAX 100000

struct put_arg {
	const struct manifest_put *put;
	struct manifest_put_result *result;
};

/* How things stand before anything is changed. */
struct put_state {
	uint64_t repo;
	bool existed;  /* its row is there */
	bool deleted;  /* no, but one that could be restored */
	bool uses;     /* it counts as a user of its links already */
	bool shown;    /* it is neither in quarantine nor archived */
	bool archived; /* and comes back, with what it needs */
	bool returns;  /* the same, or it was to come back by itself */
	bool awaits;   /* its subject, which is to come, or to come back */
	bool new_tags;
	bool scan;
	/* Of its row, while it existed. */
	int64_t pushed_ms, pulled_ms, archived_ms, activated_ms;
};

static enum rc
state_of_row(
    struct meta_txn *t, const struct manifest_put *put, struct put_state *st)
{
	struct manifest_rec old;
	enum rc rc;

	rc = manifest_row_any(t, st->repo, &put->digest, &old);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	st->deleted = (old.flags & MANIFEST_DELETED) != 0;
	if (st->deleted)
		return (RC_OK);
	st->existed = true;
	st->uses = manifest_uses(&old);
	st->archived = old.status == IMAGE_ARCHIVED;
	st->returns = old.status != IMAGE_ACTIVE;
	st->shown = (old.flags & MANIFEST_QUARANTINED) == 0 &&
		    old.status == IMAGE_ACTIVE;
	st->pushed_ms = old.pushed_ms;
	st->pulled_ms = old.pulled_ms;
	st->archived_ms = old.archived_ms;
	st->activated_ms = old.activated_ms;
	return (RC_OK);
}

static enum rc
state_of_subject(
    struct meta_txn *t, const struct manifest_put *put, struct put_state *st)
{
	struct manifest_rec subject;
	enum rc rc;

	if (!st->existed || !put->manifest->has_subject)
		return (RC_OK);
	rc = manifest_row(t, st->repo, &put->manifest->subject, &subject);
	st->awaits = rc == RC_NOTFOUND ||
		     (rc == RC_OK && subject.status == IMAGE_ARCHIVED);
	return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
}

/* What the put makes of one of its tags. */
enum put_tag {
	PUT_TAG_NEW,
	PUT_TAG_MOVED,
	PUT_TAG_SAME, /* it points there already */
	PUT_TAG_LEFT, /* it is no copy, and not moved by one */
};

static enum rc
put_tag_look(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct span tag, enum put_tag *r)
{
	struct import_tag row;
	struct digest d;
	enum rc rc;

	*r = PUT_TAG_NEW;
	rc = tag_find(t, st->repo, tag, &d);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	*r = digest_eq(&d, &put->digest) ? PUT_TAG_SAME : PUT_TAG_MOVED;
	if (!put->import)
		return (RC_OK);
	rc = import_tag_load(t, st->repo, tag, &d, &row);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
		*r = PUT_TAG_LEFT;
		rc = RC_OK;
	}
	return (rc);
}

/* What is read of the settings borrows, and says nothing after a change. */
static enum rc
state_of_tags(struct meta_txn *t, const struct manifest_put *put,
    const struct repository_settings *s, struct put_state *st,
    struct manifest_put_result *result)
{
	enum put_tag tag;
	size_t i;
	enum rc rc;

	for (i = 0; i < put->n_tags; i++) {
		rc = put_tag_look(t, put, st, put->tags[i], &tag);
		if (rc != RC_OK)
			return (rc);
		if (tag == PUT_TAG_SAME || tag == PUT_TAG_LEFT)
			continue;
		st->new_tags = true;
		if (tag == PUT_TAG_MOVED && result->immutable_tag.p == NULL &&
		    repo_settings_immutable(s, put->tags[i]))
			result->immutable_tag = put->tags[i];
	}
	return (result->immutable_tag.p != NULL ? RC_EXISTS : RC_OK);
}

static enum rc
put_look(struct meta_txn *t, const struct manifest_put *put,
    struct put_state *st, struct manifest_put_result *result)
{
	struct span room[REPOSITORY_EXCLUSIONS_MAX];
	struct repository_settings s;
	enum rc rc;

	if ((rc = state_of_row(t, put, st)) != RC_OK)
		return (rc);
	if ((rc = state_of_subject(t, put, st)) != RC_OK)
		return (rc);
	if ((rc = repo_settings_load(t, st->repo, room, &s)) != RC_OK)
		return (rc);
	if ((rc = state_of_tags(t, put, &s, st, result)) != RC_OK)
		return (rc);
	st->scan =
	    !st->existed && put->scannable && (put->scan || s.scan_on_push);
	result->existed = st->existed;
	if (put->must_change && st->shown && !st->new_tags)
		return (RC_REFERENCED);
	return (RC_OK);
}

static enum rc
put_limit_images(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct manifest_put_result *result)
{
	uint64_t n;
	enum rc rc;

	if (st->existed || put->quota.images == 0)
		return (RC_OK);
	if ((rc = image_count(t, st->repo, &n)) != RC_OK)
		return (rc);
	if (n < put->quota.images)
		return (RC_OK);
	result->limit = LIMIT_IMAGES;
	return (RC_LIMIT);
}

static bool
missing_told(const struct manifest_put_result *result, const struct digest *d)
{
	size_t i;

	for (i = 0; i < result->n_missing; i++)
		if (digest_eq(&result->missing[i], d))
			return (true);
	return (false);
}

static void
missing_add(struct manifest_put_result *result, const struct descriptor *e)
{

	if (missing_told(result, &e->digest))
		return;
	if (result->n_missing == META_MISSING_SHOWN) {
		result->more_missing = true;
		return;
	}
	if (result->n_missing == 0)
		result->missing_kind = e->kind;
	result->missing[result->n_missing++] = e->digest;
}

/* Once one is missing, the others are only looked for. */
static enum rc
put_edges_of(struct meta_txn *t, uint64_t repo, const struct manifest_put *put,
    bool children, struct manifest_put_result *result)
{
	const struct manifest *m = put->manifest;
	const struct descriptor *e;
	bool there;
	size_t i;
	enum rc rc;

	for (i = 0; i < m->n_edges && !result->more_missing; i++) {
		e = &m->edges[i];
		if ((e->kind == EDGE_MANIFEST) != children)
			continue;
		if (result->n_missing == 0)
			rc = edge_put(t, repo, &put->digest, e, put->sparse);
		else
			rc = edge_child(t, repo, e, put->sparse, &there);
		if (rc == RC_MISSING)
			missing_add(result, e);
		else if (rc != RC_OK)
			return (rc);
	}
	return (result->n_missing > 0 ? RC_MISSING : RC_OK);
}

static enum rc
put_edges(struct meta_txn *t, uint64_t repo, const struct manifest_put *put,
    struct manifest_put_result *result)
{
	enum rc rc;

	if ((rc = put_edges_of(t, repo, put, false, result)) != RC_OK)
		return (rc);
	return (put_edges_of(t, repo, put, true, result));
}

static enum rc
put_text(struct meta_txn *t, uint64_t repo, const struct manifest_put *put)
{
	const struct blob_in in = {
		.key_domain = repo_domain(repo),
		.digest = &put->digest,
		.size_bytes = put->text.n,
		.location = BLOB_IN_META,
		.content = put->text,
		.now_ms = put->now_ms,
	};
	enum rc rc;

	if ((rc = blob_record(t, &in)) != RC_OK)
		return (rc);
	return (blob_hold(t, &put->digest, HOLDER_MANIFEST, repo));
}

/* That of an index is kept when nothing can change it any more. */
static enum rc
put_size(struct meta_txn *t, uint64_t repo, const struct manifest_put *put,
    uint64_t *bytes_r)
{
	struct image_size size = { .left = PUT_SIZE_ROWS_MAX };
	enum rc rc;

	*bytes_r = put->manifest->layers_size_bytes;
	if (put->manifest->kind == MANIFEST_IMAGE)
		return (RC_OK);
	rc = image_size_walk(t, repo, &put->digest, &size);
	*bytes_r = size.settled ? size.bytes : MANIFEST_BYTES_UNKNOWN;
	return (rc);
}

static int64_t
put_time(const struct manifest_put *put, const struct put_state *st)
{

	if (st->existed && (!st->awaits || st->pushed_ms > put->now_ms))
		return (st->pushed_ms);
	return (put->now_ms);
}

static enum rc
put_row(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st)
{
	const struct manifest *m = put->manifest;
	struct manifest_rec rec = {
		.flags = m->has_subject ? MANIFEST_HAS_SUBJECT : 0,
		.size_bytes = put->text.n,
		.pushed_ms = put_time(put, st),
		.pulled_ms = st->pulled_ms,
		.media_type = m->media_type,
		.artifact_type = m->artifact_type,
		.subject = m->subject,
		.status = st->returns ? IMAGE_ACTIVATING : IMAGE_ACTIVE,
		.archived_ms = st->archived_ms,
		.activated_ms = st->activated_ms,
	};
	enum rc rc;

	if ((rc = put_size(t, st->repo, put, &rec.image_bytes)) != RC_OK)
		return (rc);
	rc = manifest_save(t, st->repo, &put->digest, &rec);
	if (rc != RC_OK || st->existed)
		return (rc);
	return (image_count_add(t, st->repo, 1));
}

static enum rc
put_limit_tags(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct manifest_put_result *result)
{
	struct rec_key prefix;
	struct kv_walk w;
	uint64_t n = 0;
	enum rc rc;

	if (!st->new_tags || put->quota.tags == 0)
		return (RC_OK);
	key_repo_digest(&prefix, st->repo, &put->digest);
	rc = kv_walk_begin(
	    t, TABLE_DIGEST_TAGS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (n <= put->quota.tags && (rc = kv_walk_next(&w)) == RC_OK)
		n++;
	kv_walk_end(&w);
	if (rc == RC_OK) {
		result->limit = LIMIT_TAGS;
		return (RC_LIMIT);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
put_tag(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct span tag)
{
	const struct import_tag row = { put->digest, put->now_ms };
	enum put_tag is;
	enum rc rc;

	if ((rc = put_tag_look(t, put, st, tag, &is)) != RC_OK)
		return (rc);
	if (is == PUT_TAG_LEFT)
		return (RC_OK);
	rc = tag_set(t, st->repo, tag, &put->digest, put->now_ms);
	if (rc != RC_OK)
		return (rc);
	return (put->import ? import_tag_put(t, st->repo, tag, &row)
			    : import_tag_forget(t, st->repo, tag));
}

static enum rc
put_tags(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct manifest_put_result *result)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < put->n_tags; i++)
		if ((rc = put_tag(t, put, st, put->tags[i])) != RC_OK)
			return (rc);
	return (put_limit_tags(t, put, st, result));
}

/* To be sent to each of the destinations. */
static enum rc
put_task(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct span tag)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < put->n_destinations; i++) {
		rc = replication_add(t, st->repo, &put->digest, tag,
		    put->destinations[i], put->now_ms);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* Of one that was shown before only those tags that are not as they were.
 * Before the tags are set. */
static enum rc
put_tasks(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st)
{
	enum put_tag tag;
	bool any = false;
	size_t i;
	enum rc rc;

	if (put->n_destinations == 0 || (st->shown && !st->new_tags))
		return (RC_OK);
	for (i = 0; i < put->n_tags; i++) {
		rc = put_tag_look(t, put, st, put->tags[i], &tag);
		if (rc != RC_OK)
			return (rc);
		if (tag == PUT_TAG_LEFT || (tag == PUT_TAG_SAME && st->shown))
			continue;
		any = true;
		if ((rc = put_task(t, put, st, put->tags[i])) != RC_OK)
			return (rc);
	}
	return (any ? RC_OK : put_task(t, put, st, SPAN_NONE));
}

/* Whose it is from now on.  What somebody pushed is not made a copy. */
static enum rc
put_mark(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st)
{

	if (!put->import)
		return (import_forget(t, st->repo, &put->digest));
	if (st->existed)
		return (RC_OK);
	return (import_mark(t, st->repo, &put->digest, put->now_ms));
}

static enum rc
put_scan(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st)
{
	const struct scan_start start = {
		.repository = put->repository,
		.digest = put->digest,
		.now_ms = put->now_ms,
	};

	return (st->scan ? scan_begin(t, st->repo, &start) : RC_OK);
}

/* What was known of it in another state is over. */
static enum rc
put_before(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st)
{
	enum rc rc;

	if (st->deleted)
		return (deleted_forget(t, st->repo, &put->digest));
	if (!st->archived)
		return (RC_OK);
	rc = image_list_add(put->restored, &put->digest);
	if (rc != RC_OK)
		return (rc);
	return (image_restore_below(
	    t, st->repo, &put->digest, put->now_ms, put->restored));
}

static enum rc
put_return(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st)
{
	enum image_status status;
	enum rc rc;

	if (!st->returns)
		return (RC_OK);
	rc = activation_put(t, st->repo, &put->digest, put->now_ms);
	if (rc != RC_OK)
		return (rc);
	return (
	    image_activate(t, st->repo, &put->digest, put->now_ms, &status));
}

/* The image itself: what it needs, its text, its row. */
static enum rc
put_image(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct manifest_put_result *result)
{
	enum rc rc;

	if ((rc = put_edges(t, st->repo, put, result)) != RC_OK)
		return (rc);
	if ((rc = put_text(t, st->repo, put)) != RC_OK)
		return (rc);
	if ((rc = put_row(t, put, st)) != RC_OK)
		return (rc);
	if (!st->uses)
		rc = image_uses(t, st->repo, &put->digest, 1, put->now_ms);
	return (rc == RC_OK ? put_return(t, put, st) : rc);
}

static enum rc
put_all(struct meta_txn *t, const struct manifest_put *put,
    const struct put_state *st, struct manifest_put_result *result)
{
	enum rc rc;

	if ((rc = put_before(t, put, st)) != RC_OK)
		return (rc);
	if ((rc = put_image(t, put, st, result)) != RC_OK)
		return (rc);
	if (put->manifest->has_subject)
		rc = referrer_put(
		    t, st->repo, &put->digest, put->manifest, put->text.n);
	if (rc != RC_OK)
		return (rc);
	if ((rc = put_mark(t, put, st)) != RC_OK)
		return (rc);
	if ((rc = put_tasks(t, put, st)) != RC_OK)
		return (rc);
	if ((rc = put_tags(t, put, st, result)) != RC_OK)
		return (rc);
	return (put_scan(t, put, st));
}

static enum rc
manifest_put(struct meta_txn *t, void *arg)
{
	const struct put_arg *pa = arg;
	const struct manifest_put *put = pa->put;
	struct manifest_put_result *result = pa->result;
	struct put_state st = { 0 };
	enum rc rc;

	*result = (struct manifest_put_result){ .limit = LIMIT_REPOSITORIES };
	if (put->restored != NULL)
		put->restored->n = 0;
	rc = repo_take(t, put->repository, put->create, put->now_ms, &st.repo);
	if (rc != RC_OK)
		return (rc);
	if ((rc = put_look(t, put, &st, result)) != RC_OK)
		return (rc);
	if ((rc = put_limit_images(t, put, &st, result)) != RC_OK)
		return (rc);
	return (put_all(t, put, &st, result));
}

enum rc
meta_manifest_put(struct meta *m, const struct manifest_put *put,
    struct manifest_put_result *result_r)
{
	struct put_arg arg;

	*result_r = (struct manifest_put_result){ 0 };
	arg = (struct put_arg){ put, result_r };
	return (meta_change(m, manifest_put, &arg, put->text.n));
}
