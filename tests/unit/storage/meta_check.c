#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "meta_tools.h"
#include "storage/meta_ops_int.h"
#include "storage/sealed.h"

/*
 * Do the tables agree with one another?  Asked row by row, in the plainest
 * way: each index has the row that it should have for each row of what it
 * indexes, and no more rows than that.  Rows of a repository that is doomed
 * need not; but a row is of one that lives or of one that is doomed.
 */

static bool
has(struct meta_txn *t, enum meta_table table, const struct rec_key *k)
{
	struct span value;
	enum rc rc = kv_get(t, table, key_span(k), &value);

	if (rc != RC_NOTFOUND)
		assert_int_equal(rc, RC_OK);
	return (rc == RC_OK);
}

/* Rows of repositories that live. */
static struct {
	uint64_t tags, digest_tags, manifests, links, holders, edges, parents;
	uint64_t referrers, subjects;
	uint64_t scanning, queued, previewing, previews_queued;
	uint64_t idle, idle_queued, deleted, deleted_rows, deleted_queued;
	uint64_t activating, activations;
	uint64_t policies, policies_queued;
	uint64_t tasks, tasks_queued;
	unsigned format; /* of the folder, which may be an older one to read */
} rows;

/* What is said of each use of a link by a manifest, in order of the link. */
struct use {
	uint64_t repo;
	struct digest blob;
	bool counts; /* neither archived nor deleted */
	bool kept;   /* not deleted */
};

static struct {
	struct use *rows;
	size_t n, room;
} uses;

static bool
lives(struct meta_txn *t, uint64_t repo)
{
	struct rec_key k;
	bool named, doomed;

	key_repo(&k, repo);
	named = has(t, TABLE_REPOSITORY_NAMES, &k);
	doomed = has(t, TABLE_DOOMED, &k);
	assert_true(named != doomed);
	return (named);
}

typedef void row_fn(struct meta_txn *, struct span key, struct span value);

static void
each(struct meta_txn *t, enum meta_table table, row_fn *fn)
{
	struct kv_walk w;
	enum rc rc;

	assert_int_equal(
	    kv_walk_begin(t, table, SPAN_NONE, SPAN_NONE, &w), RC_OK);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		fn(t, w.key, w.value);
	assert_int_equal(rc, RC_NOTFOUND);
	kv_walk_end(&w);
}

static void
check_repository(struct meta_txn *t, struct span key, struct span value)
{
	struct repository_row row;
	struct rec_key k;
	struct span name;

	assert_true(rec_repository_read(value, &row));
	key_repo(&k, row.id);
	assert_int_equal(
	    kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value), RC_OK);
	assert_true(rec_repository_name_read(value, &name));
	assert_true(span_eq(name, key));
}

static void
check_tag(struct meta_txn *t, struct span key, struct span value)
{
	struct tag_rec rec;
	struct rec_key k;
	struct span tag;
	uint64_t repo;

	assert_true(key_read_tag(key, &repo, &tag));
	if (!lives(t, repo))
		return;
	rows.tags++;
	assert_true(rec_tag_read(value, &rec));
	key_digest_tag(&k, repo, &rec.digest, tag);
	assert_true(has(t, TABLE_DIGEST_TAGS, &k));
	key_repo_digest(&k, repo, &rec.digest);
	assert_true(has(t, TABLE_MANIFESTS, &k));
}

/* A deleted one is in its tables, has no tag and no scan; one that waits for
 * the archive is in that. */
static void
check_manifest_state(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec)
{
	bool deleted = (rec->flags & MANIFEST_DELETED) != 0, tagged;
	struct rec_key k;

	key_repo_digest(&k, repo, d);
	assert_int_equal(has(t, TABLE_DELETED_IMAGES, &k), deleted);
	rows.deleted += deleted;
	assert_int_equal(has(t, TABLE_ACTIVATIONS, &k),
	    !deleted && rec->status == IMAGE_ACTIVATING);
	rows.activating += !deleted && rec->status == IMAGE_ACTIVATING;
	if (!deleted)
		return;
	assert_int_equal(
	    kv_any(t, TABLE_DIGEST_TAGS, key_span(&k), &tagged), RC_OK);
	assert_false(tagged);
	assert_false(has(t, TABLE_IMAGE_SCANS, &k));
}

static void
check_activation(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	uint64_t repo;
	int64_t ms;

	assert_true(key_read_repo_digest(key, &repo, &d));
	assert_true(rec_moment_read(value, &ms));
	rows.activations += lives(t, repo);
}

static void
check_deleted(struct meta_txn *t, struct span key, struct span value)
{
	struct deleted_rec rec;
	struct rec_key k;
	struct digest d;
	uint64_t repo;

	assert_true(key_read_repo_digest(key, &repo, &d));
	assert_true(rec_deleted_read(value, &rec));
	if (!lives(t, repo))
		return;
	rows.deleted_rows++;
	key_timed(&k, rec.deleted_ms, repo, &d);
	assert_true(has(t, TABLE_DELETED_QUEUE, &k));
}

static void
check_deleted_queued(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	uint64_t repo;
	int64_t ms;

	assert_true(key_read_timed(key, &ms, &repo, &d));
	assert_true(rec_none_read(value));
	rows.deleted_queued += lives(t, repo);
}

/* As it lies in the database. */
static uint64_t
content_bytes(uint32_t domain, uint64_t size_bytes)
{
	return (domain == KEY_DOMAIN_PLAIN
		    ? size_bytes
		    : size_bytes + SEALED_VALUE_OVERHEAD_BYTES);
}

static void
check_manifest(struct meta_txn *t, struct span key, struct span value)
{
	struct manifest_rec rec;
	struct rec_key k;
	struct digest d;
	uint64_t repo;

	assert_true(key_read_repo_digest(key, &repo, &d));
	if (!lives(t, repo))
		return;
	rows.manifests++;
	assert_true(rec_manifest_read(value, &rec));
	/* Those of format 2 are shorter. */
	if (value.p[0] > RECORD_VERSION)
		assert_int_equal(rec_manifest_size(&rec), value.n);
	key_holder(&k, repo_domain(repo), &d, HOLDER_MANIFEST, repo);
	assert_true(has(t, TABLE_HOLDERS, &k));
	key_blob(&k, repo_domain(repo), &d);
	assert_true(has(t, TABLE_BLOBS, &k));
	if ((rec.flags & MANIFEST_QUARANTINED) == 0) {
		assert_int_equal(
		    kv_get(t, TABLE_CONTENT, key_span(&k), &value), RC_OK);
		assert_int_equal(
		    value.n, content_bytes(repo_domain(repo), rec.size_bytes));
	}
	check_manifest_state(t, repo, &d, &rec);
	if ((rec.flags & MANIFEST_HAS_SUBJECT) != 0 &&
	    (rec.flags & MANIFEST_DELETED) == 0) {
		rows.subjects++;
		key_referrer(&k, repo, &rec.subject, &d);
		assert_true(has(t, TABLE_REFERRERS, &k));
	}
}

static void
check_image_count(struct meta_txn *t, struct span key, struct span value)
{
	struct manifest_rec rec;
	struct kv_walk w;
	uint64_t repo, kept, n = 0;

	assert_true(key_read_repo(key, &repo));
	if (!lives(t, repo))
		return;
	assert_true(rec_number_read(value, &kept));
	assert_int_equal(
	    kv_walk_begin(t, TABLE_MANIFESTS, key, SPAN_NONE, &w), RC_OK);
	while (kv_walk_next(&w) == RC_OK) {
		assert_true(rec_manifest_read(w.value, &rec));
		n += (rec.flags & MANIFEST_DELETED) == 0;
	}
	kv_walk_end(&w);
	assert_int_equal(kept, n);
}

static void
check_scan(struct meta_txn *t, struct span key, struct span value)
{
	struct scan_rec rec;
	struct rec_key k;
	struct digest d;
	uint64_t repo;

	assert_true(key_read_repo_digest(key, &repo, &d));
	if (!lives(t, repo))
		return;
	key_repo_digest(&k, repo, &d);
	assert_true(has(t, TABLE_MANIFESTS, &k));
	assert_true(rec_scan_read(value, &rec));
	rows.scanning += rec.status == SCAN_IN_PROGRESS;
	key_timed(&k, rec.started_ms, repo, &d);
	assert_int_equal(
	    has(t, TABLE_SCAN_QUEUE, &k), rec.status == SCAN_IN_PROGRESS);
}

static void
check_queued_scan(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	uint64_t repo;
	int64_t started_ms;

	assert_true(rec_none_read(value));
	assert_true(key_read_timed(key, &started_ms, &repo, &d));
	rows.queued += lives(t, repo);
}

/* Of a complete preview all, and of its run nothing else. */
static void
check_preview_results(
    struct meta_txn *t, uint64_t repo, const struct preview_row *preview)
{
	uint64_t id, run, n = 0;
	uint32_t sequence;
	struct rec_key k;
	struct kv_walk w;

	if (preview->status != PREVIEW_COMPLETE)
		return;
	key_preview_run(&k, repo, preview->run);
	assert_int_equal(kv_walk_begin(t, TABLE_LIFECYCLE_PREVIEW_RESULTS,
			     key_span(&k), SPAN_NONE, &w),
	    RC_OK);
	while (kv_walk_next(&w) == RC_OK) {
		assert_true(
		    key_read_preview_result(w.key, &id, &run, &sequence));
		assert_int_equal(sequence, n++);
	}
	kv_walk_end(&w);
	assert_int_equal(
	    n, preview->sums.expiring + preview->sums.transitioning);
}

static void
check_preview(struct meta_txn *t, struct span key, struct span value)
{
	struct preview_row preview;
	struct rec_key k;
	uint64_t repo;

	assert_true(key_read_repo(key, &repo));
	if (!lives(t, repo))
		return;
	assert_true(rec_preview_read(value, &preview));
	rows.previewing += preview.status == PREVIEW_IN_PROGRESS;
	key_repo(&k, repo);
	assert_int_equal(has(t, TABLE_PREVIEW_QUEUE, &k),
	    preview.status == PREVIEW_IN_PROGRESS);
	check_preview_results(t, repo, &preview);
}

static void
check_preview_result(struct meta_txn *t, struct span key, struct span value)
{
	struct preview_result row;
	uint64_t repo, run;
	uint32_t sequence;

	assert_true(key_read_preview_result(key, &repo, &run, &sequence));
	(void)lives(t, repo);
	assert_true(rec_preview_result_read(value, &row));
}

static void
check_queued_preview(struct meta_txn *t, struct span key, struct span value)
{
	uint64_t repo;

	assert_true(rec_none_read(value));
	assert_true(key_read_repo(key, &repo));
	rows.previews_queued += lives(t, repo);
}

/* Each is queued by when it was set or evaluated last. */
static void
check_lifecycle(struct meta_txn *t, struct span key, struct span value)
{
	struct lifecycle_row row;
	struct rec_key k;
	uint64_t repo;

	assert_true(key_read_repo(key, &repo));
	assert_true(rec_lifecycle_read(value, &row));
	if (!lives(t, repo) || rows.format < 4 || lifecycle_basis(&row) == 0)
		return;
	rows.policies++;
	key_timed_repo(&k, lifecycle_basis(&row), repo);
	assert_true(has(t, TABLE_LIFECYCLE_QUEUE, &k));
}

static void
check_queued_lifecycle(struct meta_txn *t, struct span key, struct span value)
{
	uint64_t repo;
	int64_t ms;

	assert_true(key_read_timed_repo(key, &ms, &repo));
	assert_true(rec_none_read(value));
	rows.policies_queued += lives(t, repo);
}

static void
check_run(struct meta_txn *t, struct span key, struct span value)
{
	struct lifecycle_result row;
	uint64_t repo;

	assert_true(key_read_repo(key, &repo));
	(void)lives(t, repo);
	assert_true(rec_lifecycle_run_read(value, &row));
}

/* Of a repository that is gone it waits for the collector like others. */
static void
check_subject(struct meta_txn *t, struct span key, struct span value)
{
	struct orphan_rec rec;
	struct digest d;
	uint64_t repo;
	int64_t ms;

	(void)t;
	assert_true(key_read_timed(key, &ms, &repo, &d));
	assert_true(rec_orphan_read(value, &rec));
}

/* Content that may be archived lies in a file. */
static void
check_candidate(struct meta_txn *t, struct span key, struct span value)
{
	struct blob_rec rec;
	int64_t ms;

	assert_true(rec_moment_read(value, &ms));
	assert_int_equal(kv_get(t, TABLE_BLOBS, key, &value), RC_OK);
	assert_true(rec_blob_read(value, &rec));
	assert_int_not_equal(rec.location, BLOB_IN_ARCHIVE);
}

/* How many of the uses are of a link, and how many of them count.  They are in
 * order when all edges have been seen. */
static int
use_cmp(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->repo != y->repo)
		return (x->repo < y->repo ? -1 : 1);
	if (x->blob.alg != y->blob.alg)
		return (x->blob.alg < y->blob.alg ? -1 : 1);
	return (memcmp(x->blob.bytes, y->blob.bytes, digest_len(x->blob.alg)));
}

static void
use_add(uint64_t repo, const struct digest *blob, bool counts, bool kept)
{
	if (uses.n == uses.room) {
		uses.room = uses.room > 0 ? 2 * uses.room : 64;
		uses.rows = xrealloc(uses.rows, uses.room * sizeof(*uses.rows));
	}
	uses.rows[uses.n++] = (struct use){ repo, *blob, counts, kept };
}

/* By images that count, that are not deleted, and by any. */
static void
uses_of(uint64_t repo, const struct digest *d, uint64_t *users, uint64_t *kept,
    uint64_t *all)
{
	const struct use key = { .repo = repo, .blob = *d };
	size_t low = 0, high = uses.n, mid;

	*users = 0;
	*kept = 0;
	*all = 0;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (use_cmp(&uses.rows[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < uses.n && use_cmp(&uses.rows[low], &key) == 0; low++) {
		(*all)++;
		*users += uses.rows[low].counts;
		*kept += uses.rows[low].kept;
	}
}

/* What is kept of its use is what the edges say, and who waits for the
 * collector is in the queue.  Only what archived or deleted images need may be
 * idle and not wait; what deleted ones alone do is hidden then, and nothing else
 * is. */
static void
check_link_use(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct link_rec *rec)
{
	uint64_t users, kept, all;
	struct rec_key k;

	uses_of(repo, d, &users, &kept, &all);
	assert_int_equal(rec->users, users);
	assert_int_equal(rec->idle_ms == 0, users > 0);
	if (users == 0 && all == 0)
		assert_true(rec->queued);
	if (kept == 0)
		assert_true(rec->queued || rec->hidden);
	else
		assert_false(rec->hidden);
	if (!rec->queued)
		return;
	assert_int_equal(users, 0);
	rows.idle++;
	key_timed(&k, rec->idle_ms, repo, d);
	assert_true(has(t, TABLE_IDLE_LINKS, &k));
}

static void
check_link(struct meta_txn *t, struct span key, struct span value)
{
	struct link_rec rec;
	struct rec_key k;
	struct digest d;
	uint64_t repo;

	assert_true(key_read_repo_digest(key, &repo, &d));
	if (!lives(t, repo))
		return;
	rows.links++;
	assert_true(rec_link_read(value, &rec));
	/* Those of format 3 are of unknown use. */
	if (value.p[0] > RECORD_VERSION)
		check_link_use(t, repo, &d, &rec);
	key_holder(&k, repo_domain(repo), &d, HOLDER_LINK, repo);
	assert_true(has(t, TABLE_HOLDERS, &k));
	key_blob(&k, repo_domain(repo), &d);
	assert_true(has(t, TABLE_BLOBS, &k));
}

static void
check_idle_link(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	uint64_t repo;
	int64_t ms;

	assert_true(key_read_timed(key, &ms, &repo, &d));
	assert_true(rec_none_read(value));
	rows.idle_queued += lives(t, repo);
}

/* No record says that place. */
static void
check_removal(struct meta_txn *t, struct span key, struct span value)
{
	struct blob_rec rec;
	struct rec_key k;
	struct digest d;
	uint32_t domain;
	uint8_t location;
	int64_t ms;
	enum rc rc;

	assert_true(rec_moment_read(value, &ms));
	assert_true(key_read_removal(key, &location, &domain, &d));
	key_blob(&k, domain, &d);
	rc = kv_get(t, TABLE_BLOBS, key_span(&k), &value);
	if (rc == RC_NOTFOUND)
		return;
	assert_int_equal(rc, RC_OK);
	assert_true(rec_blob_read(value, &rec));
	assert_true((uint8_t)rec.location != location);
}

static void
check_unheld(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	struct span name;
	uint32_t domain;
	int64_t ms;

	(void)t;
	assert_true(key_read_unheld(key, &ms, &domain, &d));
	assert_true(rec_unheld_read(value, &name));
}

static void
check_edge_parent(struct meta_txn *t, uint64_t repo,
    const struct digest *parent, uint8_t kind, const struct digest *child,
    bool *deleted_r)
{
	struct manifest_rec rec;
	struct rec_key k;
	struct span value;

	key_repo_digest(&k, repo, parent);
	assert_int_equal(
	    kv_get(t, TABLE_MANIFESTS, key_span(&k), &value), RC_OK);
	assert_true(rec_manifest_read(value, &rec));
	*deleted_r = (rec.flags & MANIFEST_DELETED) != 0;
	if (kind != EDGE_MANIFEST)
		use_add(repo, child,
		    !*deleted_r && rec.status != IMAGE_ARCHIVED, !*deleted_r);
}

static void
check_edge(struct meta_txn *t, struct span key, struct span value)
{
	struct digest parent, child;
	struct edge_rec rec;
	struct rec_key k;
	uint64_t repo;
	uint8_t kind;
	bool deleted;

	assert_true(key_read_edge(key, &repo, &parent, &kind, &child));
	if (!lives(t, repo))
		return;
	rows.edges++;
	assert_true(rec_edge_read(value, &rec));
	key_edge(&k, repo, &child, kind, &parent);
	assert_true(has(t, TABLE_PARENTS, &k));
	check_edge_parent(t, repo, &parent, kind, &child, &deleted);
	key_repo_digest(&k, repo, &child);
	/* The children of a deleted index may be gone. */
	if ((rec.flags & EDGE_ABSENT) == 0 &&
	    (!deleted || kind != EDGE_MANIFEST))
		assert_true(has(t,
		    kind == EDGE_MANIFEST ? TABLE_MANIFESTS : TABLE_BLOB_LINKS,
		    &k));
}

static void
count_index(struct meta_txn *t, enum meta_table table, uint64_t repo)
{
	if (!lives(t, repo))
		return;
	rows.digest_tags += table == TABLE_DIGEST_TAGS;
	rows.parents += table == TABLE_PARENTS;
	rows.referrers += table == TABLE_REFERRERS;
	rows.holders += table == TABLE_HOLDERS;
}

static void
check_digest_tag(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	struct span tag;
	uint64_t repo;

	assert_true(key_read_digest_tag(key, &repo, &d, &tag));
	assert_true(rec_none_read(value));
	count_index(t, TABLE_DIGEST_TAGS, repo);
}

static void
check_parent(struct meta_txn *t, struct span key, struct span value)
{
	struct digest child, parent;
	uint64_t repo;
	uint8_t kind;

	assert_true(key_read_edge(key, &repo, &child, &kind, &parent));
	assert_true(rec_none_read(value));
	count_index(t, TABLE_PARENTS, repo);
}

static void
check_referrer(struct meta_txn *t, struct span key, struct span value)
{
	struct digest subject, d;
	uint64_t repo;

	(void)value;
	assert_true(key_read_referrer(key, &repo, &subject, &d));
	count_index(t, TABLE_REFERRERS, repo);
}

/* Each holder, also a doomed one, has what it is said to hold. */
static void
check_holder(struct meta_txn *t, struct span key, struct span value)
{
	struct rec_key k;
	struct digest d;
	uint32_t domain;
	uint64_t repo;
	uint8_t kind;

	assert_true(key_read_holder(key, &domain, &d, &kind, &repo));
	assert_true(rec_none_read(value));
	assert_int_equal(domain, repo_domain(repo));
	key_repo_digest(&k, repo, &d);
	assert_true(has(t,
	    kind == HOLDER_MANIFEST ? TABLE_MANIFESTS : TABLE_BLOB_LINKS, &k));
	count_index(t, TABLE_HOLDERS, repo);
}

static void
check_set(struct meta_txn *t, struct span key, struct span value)
{
	uint64_t repo;

	(void)value;
	assert_true(key_read_repo(key, &repo));
	(void)lives(t, repo);
}

static void
check_blob(struct meta_txn *t, struct span key, struct span value)
{
	struct blob_rec rec;
	struct rec_key k;
	struct kv_walk w;
	struct digest d;
	struct span content;
	uint32_t domain;
	bool inside;

	assert_true(key_read_blob(key, &domain, &d));
	assert_true(rec_blob_read(value, &rec));
	assert_int_equal(
	    kv_walk_begin(t, TABLE_HOLDERS, key, SPAN_NONE, &w), RC_OK);
	assert_int_equal(kv_walk_next(&w) == RC_OK, rec.unheld_ms == 0);
	kv_walk_end(&w);
	if (rec.unheld_ms != 0) {
		key_unheld(&k, rec.unheld_ms, domain, &d);
		assert_true(has(t, TABLE_UNHELD, &k));
	}
	key_blob(&k, domain, &d);
	inside = rec.location == BLOB_IN_META && rec.state == BLOB_SERVED;
	assert_int_equal(has(t, TABLE_CONTENT, &k), inside);
	if (!inside)
		return;
	assert_int_equal(
	    kv_get(t, TABLE_CONTENT, key_span(&k), &content), RC_OK);
	assert_int_equal(content.n, content_bytes(domain, rec.size_bytes));
}

static void
check_counts(struct meta_txn *t)
{
	struct meta_counts kept, counted;

	assert_int_equal(meta_counts_kept(t, &kept), RC_OK);
	assert_int_equal(meta_counts_of(t, &counted), RC_OK);
	assert_memory_equal(&kept, &counted, sizeof(kept));
	assert_int_equal(
	    kept.inline_blobs + kept.file_blobs + kept.archived_blobs,
	    kv_count(t, TABLE_BLOBS));
	assert_int_equal(kept.unheld_blobs, kv_count(t, TABLE_UNHELD));
	assert_int_equal(kv_count(t, TABLE_REPOSITORIES),
	    kv_count(t, TABLE_REPOSITORY_NAMES));
	assert_int_equal(rows.tags, rows.digest_tags);
	assert_int_equal(rows.edges, rows.parents);
	assert_int_equal(rows.holders, rows.links + rows.manifests);
	assert_int_equal(rows.referrers, rows.subjects);
	assert_int_equal(rows.scanning, rows.queued);
	assert_int_equal(rows.previewing, rows.previews_queued);
	assert_int_equal(rows.idle, rows.idle_queued);
	assert_int_equal(rows.deleted, rows.deleted_rows);
	assert_int_equal(rows.deleted, rows.deleted_queued);
	assert_int_equal(rows.activating, rows.activations);
	assert_int_equal(rows.policies, rows.policies_queued);
}

static void
check_links(struct meta_txn *t)
{
	uses.n = 0;
	each(t, TABLE_EDGES, check_edge);
	if (uses.n > 1)
		qsort(uses.rows, uses.n, sizeof(*uses.rows), use_cmp);
	each(t, TABLE_BLOB_LINKS, check_link);
	each(t, TABLE_IDLE_LINKS, check_idle_link);
	free(uses.rows);
	memset(&uses, 0, sizeof(uses));
}

/* A copy is there, perhaps among those that were deleted. */
static void
check_import_image(struct meta_txn *t, struct span key, struct span value)
{
	struct rec_key k;
	struct digest d;
	uint64_t repo;
	int64_t ms;

	assert_true(key_read_repo_digest(key, &repo, &d));
	assert_true(rec_moment_read(value, &ms));
	key_repo_digest(&k, repo, &d);
	if (lives(t, repo))
		assert_true(has(t, TABLE_MANIFESTS, &k));
}

static void
check_import_tag(struct meta_txn *t, struct span key, struct span value)
{
	struct import_tag row;
	struct digest d;
	struct span tag;
	uint64_t repo;

	assert_true(key_read_tag(key, &repo, &tag));
	assert_true(rec_import_tag_read(value, &row));
	if (!lives(t, repo))
		return;
	assert_int_equal(tag_find(t, repo, tag, &d), RC_OK);
	assert_true(digest_eq(&d, &row.digest));
}

static void
check_import_referrers(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	uint64_t repo;
	int64_t ms;

	assert_true(key_read_repo_digest(key, &repo, &d));
	assert_true(rec_moment_read(value, &ms));
	(void)lives(t, repo);
}

static void
check_task(struct meta_txn *t, struct span key, struct span value)
{
	struct task_rec rec;
	struct digest d, of;
	struct rec_key k;
	uint64_t repo, id, of_repo;

	assert_true(key_read_task(key, &repo, &d, &id));
	assert_true(rec_task_read(value, &rec));
	if (!lives(t, repo))
		return;
	rows.tasks++;
	key_task_due(&k, rec.due_ms, id);
	assert_int_equal(
	    kv_get(t, TABLE_REPLICATION_QUEUE, key_span(&k), &value), RC_OK);
	assert_true(rec_task_of_read(value, &of_repo, &of));
	assert_true(of_repo == repo && digest_eq(&of, &d));
	key_status(&k, repo, &d, rec.destination);
	assert_true(has(t, TABLE_REPLICATION_STATUS, &k));
}

static void
check_queued_task(struct meta_txn *t, struct span key, struct span value)
{
	struct digest d;
	uint64_t repo, id;
	int64_t ms;

	assert_true(key_read_task_due(key, &ms, &id));
	assert_true(rec_task_of_read(value, &repo, &d));
	rows.tasks_queued += lives(t, repo);
}

/* One goes on as long as there is something to do. */
static void
check_status(struct meta_txn *t, struct span key, struct span value)
{
	struct status_rec rec;
	struct span destination;
	struct rec_key k;
	struct digest d;
	uint64_t repo, pending;

	assert_true(key_read_status(key, &repo, &d, &destination));
	assert_true(rec_status_read(value, &rec));
	if (!lives(t, repo))
		return;
	key_repo_digest(&k, repo, &d);
	assert_true(has(t, TABLE_MANIFESTS, &k));
	assert_int_equal(
	    replication_pending(t, repo, &d, destination, &pending), RC_OK);
	if (rec.state == REPLICATION_COMPLETE)
		assert_int_equal(pending, 0);
	if (rec.state == REPLICATION_IN_PROGRESS)
		assert_int_not_equal(pending, 0);
}

static void
check_mirrored(struct meta_txn *t)
{
	each(t, TABLE_IMPORT_IMAGES, check_import_image);
	each(t, TABLE_IMPORT_TAGS, check_import_tag);
	each(t, TABLE_IMPORT_REFERRERS, check_import_referrers);
	each(t, TABLE_REPLICATION_TASKS, check_task);
	each(t, TABLE_REPLICATION_QUEUE, check_queued_task);
	each(t, TABLE_REPLICATION_STATUS, check_status);
	assert_int_equal(rows.tasks, rows.tasks_queued);
}

void
mt_check(struct mt *mt)
{
	struct meta_txn t;

	memset(&rows, 0, sizeof(rows));
	assert_int_equal(meta_read_begin(mt->m, &t), RC_OK);
	each(&t, TABLE_REPOSITORIES, check_repository);
	each(&t, TABLE_TAGS, check_tag);
	each(&t, TABLE_MANIFESTS, check_manifest);
	check_links(&t);
	each(&t, TABLE_DIGEST_TAGS, check_digest_tag);
	each(&t, TABLE_PARENTS, check_parent);
	each(&t, TABLE_REFERRERS, check_referrer);
	each(&t, TABLE_HOLDERS, check_holder);
	each(&t, TABLE_REPOSITORY_SETTINGS, check_set);
	each(&t, TABLE_REPOSITORY_TAGS, check_set);
	each(&t, TABLE_REPOSITORY_POLICIES, check_set);
	assert_int_equal(meta_format_get(&t, &rows.format), RC_OK);
	each(&t, TABLE_LIFECYCLE_POLICIES, check_lifecycle);
	each(&t, TABLE_LIFECYCLE_QUEUE, check_queued_lifecycle);
	each(&t, TABLE_LIFECYCLE_RUNS, check_run);
	each(&t, TABLE_ORPHAN_SUBJECTS, check_subject);
	each(&t, TABLE_ARCHIVE_QUEUE, check_candidate);
	each(&t, TABLE_IMAGE_COUNTS, check_image_count);
	each(&t, TABLE_IMAGE_SCANS, check_scan);
	each(&t, TABLE_SCAN_QUEUE, check_queued_scan);
	each(&t, TABLE_LIFECYCLE_PREVIEWS, check_preview);
	each(&t, TABLE_PREVIEW_QUEUE, check_queued_preview);
	each(&t, TABLE_LIFECYCLE_PREVIEW_RESULTS, check_preview_result);
	each(&t, TABLE_DELETED_IMAGES, check_deleted);
	each(&t, TABLE_DELETED_QUEUE, check_deleted_queued);
	each(&t, TABLE_ACTIVATIONS, check_activation);
	each(&t, TABLE_BLOBS, check_blob);
	each(&t, TABLE_UNHELD, check_unheld);
	each(&t, TABLE_REMOVALS, check_removal);
	check_mirrored(&t);
	check_counts(&t);
	meta_read_end(&t);
}
