#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "meta_tools.h"
#include "storage/meta_int.h"

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
} rows;

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
	key_holder(&k, 0, &d, HOLDER_MANIFEST, repo);
	assert_true(has(t, TABLE_HOLDERS, &k));
	key_blob(&k, 0, &d);
	assert_true(has(t, TABLE_BLOBS, &k));
	if ((rec.flags & MANIFEST_QUARANTINED) == 0) {
		assert_int_equal(
		    kv_get(t, TABLE_CONTENT, key_span(&k), &value), RC_OK);
		assert_int_equal(value.n, rec.size_bytes);
	}
	if ((rec.flags & MANIFEST_HAS_SUBJECT) != 0) {
		rows.subjects++;
		key_referrer(&k, repo, &rec.subject, &d);
		assert_true(has(t, TABLE_REFERRERS, &k));
	}
}

static void
check_image_count(struct meta_txn *t, struct span key, struct span value)
{
	struct kv_walk w;
	uint64_t repo, kept, n = 0;

	assert_true(key_read_repo(key, &repo));
	if (!lives(t, repo))
		return;
	assert_true(rec_number_read(value, &kept));
	assert_int_equal(
	    kv_walk_begin(t, TABLE_MANIFESTS, key, SPAN_NONE, &w), RC_OK);
	while (kv_walk_next(&w) == RC_OK)
		n++;
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
	key_scan(&k, rec.started_ms, repo, &d);
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
	assert_true(key_read_scan(key, &started_ms, &repo, &d));
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

static void
check_link(struct meta_txn *t, struct span key, struct span value)
{
	struct rec_key k;
	struct digest d;
	uint64_t repo;
	int64_t linked_ms;

	assert_true(key_read_repo_digest(key, &repo, &d));
	if (!lives(t, repo))
		return;
	rows.links++;
	assert_true(rec_link_read(value, &linked_ms));
	key_holder(&k, 0, &d, HOLDER_LINK, repo);
	assert_true(has(t, TABLE_HOLDERS, &k));
	key_blob(&k, 0, &d);
	assert_true(has(t, TABLE_BLOBS, &k));
}

static void
check_edge(struct meta_txn *t, struct span key, struct span value)
{
	struct digest parent, child;
	struct edge_rec rec;
	struct rec_key k;
	uint64_t repo;
	uint8_t kind;

	assert_true(key_read_edge(key, &repo, &parent, &kind, &child));
	if (!lives(t, repo))
		return;
	rows.edges++;
	assert_true(rec_edge_read(value, &rec));
	key_edge(&k, repo, &child, kind, &parent);
	assert_true(has(t, TABLE_PARENTS, &k));
	key_repo_digest(&k, repo, &parent);
	assert_true(has(t, TABLE_MANIFESTS, &k));
	key_repo_digest(&k, repo, &child);
	if ((rec.flags & EDGE_ABSENT) == 0)
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
	uint32_t domain;

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
	assert_int_equal(has(t, TABLE_CONTENT, &k),
	    rec.location == BLOB_IN_META && rec.state == BLOB_SERVED);
}

static void
check_counts(struct meta_txn *t)
{
	struct meta_counts kept, counted;

	assert_int_equal(meta_counts_kept(t, &kept), RC_OK);
	assert_int_equal(meta_counts_of(t, &counted), RC_OK);
	assert_memory_equal(&kept, &counted, sizeof(kept));
	assert_int_equal(
	    kept.inline_blobs + kept.file_blobs, kv_count(t, TABLE_BLOBS));
	assert_int_equal(kept.unheld_blobs, kv_count(t, TABLE_UNHELD));
	assert_int_equal(kv_count(t, TABLE_REPOSITORIES),
	    kv_count(t, TABLE_REPOSITORY_NAMES));
	assert_int_equal(rows.tags, rows.digest_tags);
	assert_int_equal(rows.edges, rows.parents);
	assert_int_equal(rows.holders, rows.links + rows.manifests);
	assert_int_equal(rows.referrers, rows.subjects);
	assert_int_equal(rows.scanning, rows.queued);
	assert_int_equal(rows.previewing, rows.previews_queued);
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
	each(&t, TABLE_BLOB_LINKS, check_link);
	each(&t, TABLE_EDGES, check_edge);
	each(&t, TABLE_DIGEST_TAGS, check_digest_tag);
	each(&t, TABLE_PARENTS, check_parent);
	each(&t, TABLE_REFERRERS, check_referrer);
	each(&t, TABLE_HOLDERS, check_holder);
	each(&t, TABLE_REPOSITORY_SETTINGS, check_set);
	each(&t, TABLE_REPOSITORY_TAGS, check_set);
	each(&t, TABLE_REPOSITORY_POLICIES, check_set);
	each(&t, TABLE_LIFECYCLE_POLICIES, check_set);
	each(&t, TABLE_IMAGE_COUNTS, check_image_count);
	each(&t, TABLE_IMAGE_SCANS, check_scan);
	each(&t, TABLE_SCAN_QUEUE, check_queued_scan);
	each(&t, TABLE_LIFECYCLE_PREVIEWS, check_preview);
	each(&t, TABLE_PREVIEW_QUEUE, check_queued_preview);
	each(&t, TABLE_LIFECYCLE_PREVIEW_RESULTS, check_preview_result);
	each(&t, TABLE_BLOBS, check_blob);
	check_counts(&t);
	meta_read_end(&t);
}
