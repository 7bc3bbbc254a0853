#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "fsck_tools.h"
#include "storage/lifecycles.h"

/*
 * A folder with one of everything is damaged in every way there is, checked,
 * repaired and checked again.
 */
static void
test_sound_folder_has_no_problems(void **state)
{
	struct ft *f = *state;
	struct ft_result r;

	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	if (r.n > 0)
		print_error("%s", r.texts);
	assert_int_equal(r.n, 0);
	/* config, layer, image, index, artifact, what nobody holds */
	assert_int_equal(r.progress.blobs, 6);
	assert_int_equal(r.progress.blobs_total, 6);
	assert_true(r.progress.bytes > FT_LAYER_BYTES);
	assert_int_equal(r.progress.bytes, r.progress.bytes_total);
	assert_true(r.progress.records > 30);
	assert_int_equal(r.progress.orphan_files, 0);

	store_close(&f->s);
	f->options.read_only = true;
	ft_open(f);
	ft_assert_clean(f->s, "read-only");
}

/* --- damage to records --------------------------------------------------- */

static enum rc
tag_row_deleted(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_tag(&k, FT_REPO_ID, SPAN("v1"));
	return (ft_row_delete(t, TABLE_TAGS, &k));
}

static enum rc
tag_row_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_tag(&k, FT_REPO_ID, SPAN("v1"));
	return (ft_row_spoil(t, TABLE_TAGS, &k));
}

static enum rc
tag_of_nothing(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct tag_rec rec = { .tagged_ms = 1, .digest = f->layer };
	uint8_t value[REC_TAG_MAX_BYTES];
	struct rec_key k;

	rec_tag_write(&rec, value);
	key_tag(&k, FT_REPO_ID, SPAN("lost"));
	return (kv_put(t, TABLE_TAGS, key_span(&k),
	    (struct span){ (const char *)value, rec_tag_size(&rec) }));
}

static enum rc
digest_tag_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_digest_tag(&k, FT_REPO_ID, &f->image, SPAN("v1"));
	return (ft_row_delete(t, TABLE_DIGEST_TAGS, &k));
}

static enum rc
digest_tag_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_digest_tag(&k, FT_REPO_ID, &f->index, SPAN("v1"));
	return (ft_row_add(t, TABLE_DIGEST_TAGS, &k));
}

static enum rc
repository_deleted(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_str(&k, FT_REPO);
	return (ft_row_delete(t, TABLE_REPOSITORIES, &k));
}

static enum rc
repository_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_str(&k, FT_REPO);
	return (ft_row_spoil(t, TABLE_REPOSITORIES, &k));
}

static enum rc
repository_name_deleted(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_delete(t, TABLE_REPOSITORY_NAMES, &k));
}

static enum rc
manifest_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &f->image);
	return (ft_row_spoil(t, TABLE_MANIFESTS, &k));
}

static enum rc
manifest_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &f->image);
	return (ft_row_delete(t, TABLE_MANIFESTS, &k));
}

static enum rc
manifest_altered(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct manifest_rec rec = {
		.size_bytes = 7,
		.pushed_ms = 1,
		.media_type = SPAN(MEDIA_OCI_MANIFEST),
		.artifact_type = SPAN("application/x-other"),
		.status = IMAGE_ACTIVE,
	};
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo_digest(&k, FT_REPO_ID, &f->artifact);
	rc = kv_reserve(
	    t, TABLE_MANIFESTS, key_span(&k), rec_manifest_size(&rec), &p);
	if (rc == RC_OK)
		rec_manifest_write(&rec, p);
	return (rc);
}

static enum rc
link_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &f->layer);
	return (ft_row_delete(t, TABLE_BLOB_LINKS, &k));
}

static enum rc
link_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &f->layer);
	return (ft_row_spoil(t, TABLE_BLOB_LINKS, &k));
}

static enum rc
link_in_no_repository(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct link_rec rec = { .linked_ms = 1, .users = 1 };
	uint8_t value[REC_LINK_BYTES];
	struct rec_key k;

	rec_link_write(&rec, value);
	key_repo_digest(&k, 99, &f->layer);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
holder_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_holder(&k, 0, &f->config, HOLDER_LINK, FT_REPO_ID);
	return (ft_row_delete(t, TABLE_HOLDERS, &k));
}

static enum rc
holder_of_manifest_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_holder(&k, 0, &f->image, HOLDER_MANIFEST, FT_REPO_ID);
	return (ft_row_delete(t, TABLE_HOLDERS, &k));
}

static enum rc
holder_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_holder(&k, 0, &f->unheld, HOLDER_LINK, FT_REPO_ID);
	return (ft_row_add(t, TABLE_HOLDERS, &k));
}

static enum rc
blob_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->config);
	return (ft_row_delete(t, TABLE_BLOBS, &k));
}

static enum rc
file_blob_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->layer);
	return (ft_row_delete(t, TABLE_BLOBS, &k));
}

static enum rc
manifest_blob_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->image);
	return (ft_row_delete(t, TABLE_BLOBS, &k));
}

static enum rc
blob_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->config);
	return (ft_row_spoil(t, TABLE_BLOBS, &k));
}

static enum rc
file_blob_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->layer);
	return (ft_row_spoil(t, TABLE_BLOBS, &k));
}

static enum rc
blob_resized(struct meta_txn *t, const struct digest *d)
{
	struct blob_rec rec;
	struct rec_key k;
	struct span value;
	uint8_t *p;

	key_blob(&k, 0, d);
	must(kv_get(t, TABLE_BLOBS, key_span(&k), &value) == RC_OK);
	must(rec_blob_read(value, &rec));
	rec.size_bytes++;
	rec.stored_bytes++;
	must(kv_reserve(t, TABLE_BLOBS, key_span(&k), REC_BLOB_BYTES, &p) ==
	     RC_OK);
	rec_blob_write(&rec, p);
	return (RC_OK);
}

static enum rc
inline_blob_resized(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (blob_resized(t, &f->config));
}

static enum rc
file_blob_resized(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (blob_resized(t, &f->layer));
}

static enum rc
unheld_deleted(struct meta_txn *t, void *arg)
{
	struct kv_walk w;

	(void)arg;
	must(kv_walk_begin(t, TABLE_UNHELD, SPAN_NONE, SPAN_NONE, &w) == RC_OK);
	must(kv_walk_next(&w) == RC_OK);
	must(kv_walk_delete(&w) == RC_OK);
	kv_walk_end(&w);
	return (RC_OK);
}

static enum rc
unheld_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_unheld(&k, 5, 0, &f->layer);
	return (ft_row_add(t, TABLE_UNHELD, &k));
}

static enum rc
content_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->config);
	return (ft_row_delete(t, TABLE_CONTENT, &k));
}

static enum rc
content_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->layer);
	return (kv_put(t, TABLE_CONTENT, key_span(&k), SPAN("stray")));
}

static enum rc
content_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->config);
	return (kv_put(t, TABLE_CONTENT, key_span(&k), SPAN("{]")));
}

static enum rc
text_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;
	struct span value;
	char *p;
	enum rc rc;

	key_blob(&k, 0, &f->image);
	must(kv_get(t, TABLE_CONTENT, key_span(&k), &value) == RC_OK);
	p = malloc(value.n);
	memcpy(p, value.p, value.n);
	p[value.n / 2] ^= 1;
	rc =
	    kv_put(t, TABLE_CONTENT, key_span(&k), (struct span){ p, value.n });
	free(p);
	return (rc);
}

static enum rc
edge_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_edge(&k, FT_REPO_ID, &f->image, EDGE_LAYER, &f->layer);
	return (ft_row_delete(t, TABLE_EDGES, &k));
}

static enum rc
edge_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_edge(&k, FT_REPO_ID, &f->index, EDGE_MANIFEST, &f->image);
	return (ft_row_spoil(t, TABLE_EDGES, &k));
}

static enum rc
edge_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct edge_rec rec = { .size_bytes = 6 };
	uint8_t value[REC_EDGE_BYTES];
	struct rec_key k;

	rec_edge_write(&rec, value);
	key_edge(&k, FT_REPO_ID, &f->image, EDGE_LAYER, &f->unheld);
	return (kv_put(t, TABLE_EDGES, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
parent_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_edge(&k, FT_REPO_ID, &f->config, EDGE_CONFIG, &f->image);
	return (ft_row_delete(t, TABLE_PARENTS, &k));
}

static enum rc
parent_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_edge(&k, FT_REPO_ID, &f->unheld, EDGE_LAYER, &f->image);
	return (ft_row_add(t, TABLE_PARENTS, &k));
}

static enum rc
referrer_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_referrer(&k, FT_REPO_ID, &f->image, &f->artifact);
	return (ft_row_delete(t, TABLE_REFERRERS, &k));
}

static enum rc
referrer_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_referrer(&k, FT_REPO_ID, &f->image, &f->artifact);
	return (ft_row_spoil(t, TABLE_REFERRERS, &k));
}

static enum rc
referrer_added(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct referrer_rec rec = { .size_bytes = 1 };
	struct rec_key k;
	uint8_t *p;

	key_referrer(&k, FT_REPO_ID, &f->index, &f->image);
	must(kv_reserve(t, TABLE_REFERRERS, key_span(&k),
		 rec_referrer_size(&rec), &p) == RC_OK);
	rec_referrer_write(&rec, p);
	return (RC_OK);
}

static enum rc
upload_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_str(&k, span_of(f->upload));
	return (ft_row_spoil(t, TABLE_UPLOADS, &k));
}

static enum rc
counts_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	t->counts->file_bytes += 3;
	t->counts->inline_blobs--;
	return (RC_OK);
}

static enum rc
key_nonsense(struct meta_txn *t, void *arg)
{
	(void)arg;
	must(kv_put(t, TABLE_MANIFESTS, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_EDGES, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_HOLDERS, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_BLOBS, SPAN("x"), SPAN("y")) == RC_OK);
	return (RC_OK);
}

/* --- damage to what is set ----------------------------------------------- */

static enum rc
settings_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_REPOSITORY_SETTINGS, &k));
}

static enum rc
resource_tags_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_REPOSITORY_TAGS, &k));
}

static enum rc
policy_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_REPOSITORY_POLICIES, &k));
}

static enum rc
policy_put(struct meta_txn *t, uint64_t repo, uint64_t revision)
{
	const struct policy_rec rec = { revision, SPAN("{}") };
	struct rec_key k;
	uint8_t *p;

	key_repo(&k, repo);
	must(kv_reserve(t, TABLE_REPOSITORY_POLICIES, key_span(&k),
		 rec_policy_size(&rec), &p) == RC_OK);
	rec_policy_write(&rec, p);
	return (RC_OK);
}

static enum rc
policy_of_no_repository(struct meta_txn *t, void *arg)
{
	(void)arg;
	must(meta_number_set(t, NUMBER_POLICY_REVISION, 1) == RC_OK);
	return (policy_put(t, 99, 1));
}

static enum rc
policy_revision_too_low(struct meta_txn *t, void *arg)
{
	(void)arg;
	must(meta_number_set(t, NUMBER_POLICY_REVISION, 6) == RC_OK);
	return (policy_put(t, FT_REPO_ID, 7));
}

static enum rc
policy_revision_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (
	    kv_put(t, TABLE_REGISTRY, NUMBER_POLICY_REVISION, SPAN("\001x")));
}

static enum rc
lifecycle_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_LIFECYCLE_POLICIES, &k));
}

static enum rc
lifecycle_revision_too_low(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (meta_number_set(t, NUMBER_POLICY_REVISION, 0));
}

static enum rc
preview_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_LIFECYCLE_PREVIEWS, &k));
}

static enum rc
preview_not_queued(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_delete(t, TABLE_PREVIEW_QUEUE, &k));
}

static enum rc
preview_of_no_repository(struct meta_txn *t, void *arg)
{
	struct rec_key k, other;
	struct span value;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	key_repo(&other, 99);
	must(
	    kv_get(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), &value) == RC_OK);
	return (kv_put(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&other), value));
}

static enum rc
preview_queued_for_nothing(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID + 1);
	return (ft_row_add(t, TABLE_PREVIEW_QUEUE, &k));
}

/* A result of the preview that is in progress. */
static enum rc
preview_result_add(
    struct meta_txn *t, uint64_t repo, uint64_t more_runs, bool spoilt)
{
	const struct preview_result row = {
		.digest = { .alg = DIGEST_SHA256 },
		.action = PREVIEW_EXPIRE,
		.status = IMAGE_ACTIVE,
	};
	struct preview_row preview;
	struct rec_key k;
	struct span value;
	uint8_t *p;

	key_repo(&k, FT_REPO_ID);
	must(
	    kv_get(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), &value) == RC_OK);
	must(rec_preview_read(value, &preview));
	key_preview_result(&k, repo, preview.run + more_runs, 7);
	if (spoilt)
		return (ft_row_spoil(t, TABLE_LIFECYCLE_PREVIEW_RESULTS, &k));
	must(kv_reserve(t, TABLE_LIFECYCLE_PREVIEW_RESULTS, key_span(&k),
		 rec_preview_result_size(&row), &p) == RC_OK);
	rec_preview_result_write(&row, p);
	return (RC_OK);
}

static enum rc
result_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (preview_result_add(t, FT_REPO_ID, 0, true));
}

static enum rc
result_of_no_repository(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (preview_result_add(t, 99, 0, false));
}

static enum rc
result_of_no_preview(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (preview_result_add(t, FT_REPO_ID + 1, 0, false));
}

static enum rc
result_of_no_run(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (preview_result_add(t, FT_REPO_ID, 1, false));
}

/* One that ended with nothing. */
static enum rc
result_behind_the_last(struct meta_txn *t, void *arg)
{
	struct preview_row preview;
	struct rec_key k;
	struct span value;
	uint8_t copy[256];

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	must(
	    kv_get(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), &value) == RC_OK);
	must(rec_preview_read(value, &preview));
	preview.status = PREVIEW_COMPLETE;
	value.n = rec_preview_size(&preview);
	must(value.n <= sizeof(copy));
	rec_preview_write(&preview, copy);
	value.p = (const char *)copy;
	must(kv_put(t, TABLE_LIFECYCLE_PREVIEWS, key_span(&k), value) == RC_OK);
	must(ft_row_delete(t, TABLE_PREVIEW_QUEUE, &k) == RC_OK);
	return (preview_result_add(t, FT_REPO_ID, 0, false));
}

static enum rc
preview_run_too_high(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (meta_number_set(t, NUMBER_POLICY_REVISION, 1));
}

/* --- damage to what is known of images ----------------------------------- */

static enum rc
image_count_wrong(struct meta_txn *t, void *arg)
{
	uint8_t value[REC_NUMBER_BYTES];
	struct rec_key k;

	(void)arg;
	rec_number_write(7, value);
	key_repo(&k, FT_REPO_ID);
	return (kv_put(t, TABLE_IMAGE_COUNTS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
image_count_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_IMAGE_COUNTS, &k));
}

static enum rc
image_count_of_no_repository(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, 99);
	return (ft_row_spoil(t, TABLE_IMAGE_COUNTS, &k));
}

static enum rc
image_resized(struct meta_txn *t, const struct digest *d)
{
	struct manifest_rec rec;
	uint8_t copy[1024];
	struct rec_key k;
	struct span value;

	key_repo_digest(&k, FT_REPO_ID, d);
	must(kv_get(t, TABLE_MANIFESTS, key_span(&k), &value) == RC_OK);
	must(rec_manifest_read(value, &rec) && value.n < sizeof(copy));
	rec.image_bytes++;
	rec_manifest_write(&rec, copy);
	return (kv_put(t, TABLE_MANIFESTS, key_span(&k),
	    (struct span){ (const char *)copy, value.n }));
}

static enum rc
size_of_image_wrong(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (image_resized(t, &f->artifact));
}

static enum rc
size_of_index_wrong(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (image_resized(t, &f->index));
}

static enum rc
scan_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &f->image);
	return (ft_row_spoil(t, TABLE_IMAGE_SCANS, &k));
}

static enum rc
scan_moved(struct meta_txn *t, uint64_t repo, const struct digest *from,
    const struct digest *to)
{
	uint8_t copy[64];
	struct rec_key k;
	struct span value;

	key_repo_digest(&k, FT_REPO_ID, from);
	must(kv_get(t, TABLE_IMAGE_SCANS, key_span(&k), &value) == RC_OK);
	must(value.n <= sizeof(copy));
	memcpy(copy, value.p, value.n);
	key_repo_digest(&k, repo, to);
	return (kv_put(t, TABLE_IMAGE_SCANS, key_span(&k),
	    (struct span){ (const char *)copy, value.n }));
}

static enum rc
scan_of_nothing(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (scan_moved(t, FT_REPO_ID, &f->image, &f->layer));
}

static enum rc
scan_of_no_repository(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (scan_moved(t, 99, &f->image, &f->image));
}

static enum rc
scan_not_queued(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5000, FT_REPO_ID, &f->image);
	return (ft_row_delete(t, TABLE_SCAN_QUEUE, &k));
}

/* Neither of an image without one, nor at another time, nor of another. */
static enum rc
scans_queued_for_nothing(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5000, FT_REPO_ID, &f->index);
	must(ft_row_add(t, TABLE_SCAN_QUEUE, &k) == RC_OK);
	key_timed(&k, 5001, FT_REPO_ID, &f->image);
	must(ft_row_add(t, TABLE_SCAN_QUEUE, &k) == RC_OK);
	key_timed(&k, 5000, 99, &f->image);
	return (ft_row_add(t, TABLE_SCAN_QUEUE, &k));
}

static enum rc
image_key_nonsense(struct meta_txn *t, void *arg)
{
	(void)arg;
	must(kv_put(t, TABLE_IMAGE_COUNTS, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_IMAGE_SCANS, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_SCAN_QUEUE, SPAN("x"), SPAN("y")) == RC_OK);
	must(
	    kv_put(t, TABLE_LIFECYCLE_POLICIES, SPAN("x"), SPAN("y")) == RC_OK);
	must(
	    kv_put(t, TABLE_LIFECYCLE_PREVIEWS, SPAN("x"), SPAN("y")) == RC_OK);
	return (kv_put(t, TABLE_PREVIEW_QUEUE, SPAN("x"), SPAN("y")));
}

static enum rc
entity_put(struct meta_txn *t, enum entity_kind kind, struct span value)
{
	struct rec_key k;

	key_entity(&k, (uint8_t)kind, SPAN("1/a"));
	return (kv_put(t, TABLE_ENTITIES, key_span(&k), value));
}

static enum rc
entity_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (entity_put(t, ENTITY_NOTE, SPAN("\002{}")));
}

static enum rc
template_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (entity_put(t, ENTITY_CREATION_TEMPLATE, SPAN("\002{}")));
}

static enum rc
entity_of_no_kind(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (entity_put(t, (enum entity_kind)99, SPAN("\001{}")));
}

static enum rc
generation_lost(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (entity_put(t, ENTITY_USER, SPAN("\001{}")));
}

static enum rc
generation_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (kv_put(t, TABLE_REGISTRY, NUMBER_GENERATION, SPAN("\001x")));
}

static enum rc
doomed_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, 77);
	return (ft_row_spoil(t, TABLE_DOOMED, &k));
}

static enum rc
doomed_but_there(struct meta_txn *t, void *arg)
{
	const struct doomed_rec rec = { .deleted_ms = 1, .name = FT_REPO };
	struct rec_key k;
	uint8_t *p;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	must(kv_reserve(t, TABLE_DOOMED, key_span(&k), rec_doomed_size(&rec),
		 &p) == RC_OK);
	rec_doomed_write(&rec, p);
	return (RC_OK);
}

static enum rc
set_key_nonsense(struct meta_txn *t, void *arg)
{
	(void)arg;
	must(kv_put(t, TABLE_DOOMED, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_ENTITIES, SPAN("x"), SPAN("y")) == RC_OK);
	must(kv_put(t, TABLE_REPOSITORY_TAGS, SPAN("x"), SPAN("y")) == RC_OK);
	return (RC_OK);
}

static const struct ft_damage damages[] = {
	{ "tag row deleted", tag_row_deleted, FSCK_INDEX, false },
	{ "tag row spoilt", tag_row_spoilt, FSCK_RECORD, true },
	{ "tag of nothing", tag_of_nothing, FSCK_DANGLING, true },
	{ "digest's tag deleted", digest_tag_deleted, FSCK_INDEX, true },
	{ "digest's tag added", digest_tag_added, FSCK_INDEX, true },
	{ "repository deleted", repository_deleted, FSCK_INDEX, true },
	{ "repository spoilt", repository_spoilt, FSCK_RECORD, true },
	{ "repository's name deleted", repository_name_deleted, FSCK_INDEX,
	    true },
	{ "manifest spoilt", manifest_spoilt, FSCK_RECORD, true },
	{ "manifest deleted", manifest_deleted, FSCK_DANGLING, false },
	{ "manifest altered", manifest_altered, FSCK_INDEX, true },
	{ "link deleted", link_deleted, FSCK_DANGLING, false },
	{ "link spoilt", link_spoilt, FSCK_RECORD, true },
	{ "link in no repository", link_in_no_repository, FSCK_DANGLING, true },
	{ "holder deleted", holder_deleted, FSCK_INDEX, true },
	{ "manifest's holder deleted", holder_of_manifest_deleted, FSCK_INDEX,
	    true },
	{ "holder added", holder_added, FSCK_INDEX, true },
	{ "blob deleted", blob_deleted, FSCK_MISSING, true },
	{ "file's blob deleted", file_blob_deleted, FSCK_MISSING, true },
	{ "manifest's blob deleted", manifest_blob_deleted, FSCK_MISSING,
	    true },
	{ "blob spoilt", blob_spoilt, FSCK_RECORD, true },
	{ "file's blob spoilt", file_blob_spoilt, FSCK_RECORD, true },
	{ "inline blob resized", inline_blob_resized, FSCK_SIZE, true },
	{ "file blob resized", file_blob_resized, FSCK_SIZE, true },
	{ "unheld deleted", unheld_deleted, FSCK_INDEX, true },
	{ "unheld added", unheld_added, FSCK_INDEX, true },
	{ "content deleted", content_deleted, FSCK_MISSING, false },
	{ "content added", content_added, FSCK_INDEX, true },
	{ "content spoilt", content_spoilt, FSCK_DIGEST, false },
	{ "text spoilt", text_spoilt, FSCK_DIGEST, false },
	{ "edge deleted", edge_deleted, FSCK_INDEX, true },
	{ "edge spoilt", edge_spoilt, FSCK_INDEX, true },
	{ "edge added", edge_added, FSCK_INDEX, true },
	{ "parent deleted", parent_deleted, FSCK_INDEX, true },
	{ "parent added", parent_added, FSCK_INDEX, true },
	{ "referrer deleted", referrer_deleted, FSCK_INDEX, true },
	{ "referrer spoilt", referrer_spoilt, FSCK_INDEX, true },
	{ "referrer added", referrer_added, FSCK_INDEX, true },
	{ "upload spoilt", upload_spoilt, FSCK_RECORD, true },
	{ "counts spoilt", counts_spoilt, FSCK_COUNT, true },
	{ "nonsense for keys", key_nonsense, FSCK_RECORD, true },
	{ "settings spoilt", settings_spoilt, FSCK_RECORD, true },
	{ "resource tags spoilt", resource_tags_spoilt, FSCK_RECORD, true },
	{ "policy spoilt", policy_spoilt, FSCK_RECORD, true },
	{ "policy of no repository", policy_of_no_repository, FSCK_DANGLING,
	    true },
	{ "policy revision too low", policy_revision_too_low, FSCK_COUNT,
	    true },
	{ "policy revision spoilt", policy_revision_spoilt, FSCK_COUNT, true },
	{ "entity spoilt", entity_spoilt, FSCK_RECORD, true },
	{ "lifecycle policy spoilt", lifecycle_spoilt, FSCK_RECORD, true },
	{ "lifecycle policy's revision too low", lifecycle_revision_too_low,
	    FSCK_COUNT, true },
	{ "preview spoilt", preview_spoilt, FSCK_RECORD, true },
	{ "preview not queued", preview_not_queued, FSCK_INDEX, true },
	{ "preview of no repository", preview_of_no_repository, FSCK_DANGLING,
	    true },
	{ "preview queued for nothing", preview_queued_for_nothing, FSCK_INDEX,
	    true },
	{ "preview's run too high", preview_run_too_high, FSCK_COUNT, true },
	{ "result of a preview spoilt", result_spoilt, FSCK_RECORD, true },
	{ "result of no repository", result_of_no_repository, FSCK_DANGLING,
	    true },
	{ "result of no preview", result_of_no_preview, FSCK_DANGLING, true },
	{ "result of no run", result_of_no_run, FSCK_DANGLING, true },
	{ "result behind the last", result_behind_the_last, FSCK_DANGLING,
	    true },
	{ "image count wrong", image_count_wrong, FSCK_COUNT, true },
	{ "image count spoilt", image_count_spoilt, FSCK_RECORD, true },
	{ "image count of no repository", image_count_of_no_repository,
	    FSCK_DANGLING, true },
	{ "size of image wrong", size_of_image_wrong, FSCK_INDEX, true },
	{ "size of index wrong", size_of_index_wrong, FSCK_INDEX, true },
	{ "scan spoilt", scan_spoilt, FSCK_RECORD, true },
	{ "scan of nothing", scan_of_nothing, FSCK_DANGLING, true },
	{ "scan of no repository", scan_of_no_repository, FSCK_DANGLING, true },
	{ "scan not queued", scan_not_queued, FSCK_INDEX, true },
	{ "scans queued for nothing", scans_queued_for_nothing, FSCK_INDEX,
	    true },
	{ "nonsense for keys of images", image_key_nonsense, FSCK_RECORD,
	    true },
	{ "template spoilt", template_spoilt, FSCK_RECORD, true },
	{ "entity of no kind", entity_of_no_kind, FSCK_RECORD, true },
	{ "generation lost", generation_lost, FSCK_COUNT, true },
	{ "generation spoilt", generation_spoilt, FSCK_COUNT, true },
	{ "doomed spoilt", doomed_spoilt, FSCK_RECORD, true },
	{ "doomed but there", doomed_but_there, FSCK_INDEX, true },
	{ "nonsense for keys of what is set", set_key_nonsense, FSCK_RECORD,
	    true },
};

static void
test_damaged_records_are_found_and_mended(void **state)
{
	ft_damages_check(state, damages, ARRAY_LEN(damages), ft_setup);
}

/* --- damage to files ----------------------------------------------------- */

static unsigned
quarantined(const struct ft *f)
{
	char command[TOOL_PATH_BYTES + 64];
	FILE *p;
	unsigned n = 0;

	snprintf(
	    command, sizeof(command), "ls '%s/quarantine' | wc -l", f->dir);
	p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%u", &n), 1);
	(void)pclose(p);
	return (n);
}

/* The layer's file has been damaged. */
static void
file_damage_check(
    struct ft *f, enum fsck_problem_kind kind, unsigned kept_aside)
{
	struct ft_result r;
	struct digest d;

	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.kinds[kind], 1);
	assert_int_equal(quarantined(f), 0);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.repaired, 1);
	assert_int_equal(quarantined(f), kept_aside);
	assert_false(ft_has_blob(f, &f->layer));
	ft_assert_clean(f->s, "quarantined");

	ft_blob_push(f->s, FT_REPO, f->layer_bytes, FT_LAYER_BYTES, &d);
	assert_true(ft_has_all(f));
	ft_assert_clean(f->s, "pushed again");
}

static void
test_flipped_bit_in_a_file_is_found(void **state)
{
	struct ft *f = *state;
	char path[TOOL_PATH_BYTES];

	tool_file_flip(tool_blob_path(f->dir, &f->layer, path), 777);
	file_damage_check(f, FSCK_DIGEST, 1);
}

static void
test_cut_off_file_is_found(void **state)
{
	struct ft *f = *state;
	char path[TOOL_PATH_BYTES];

	tool_file_truncate(tool_blob_path(f->dir, &f->layer, path), 0);
	file_damage_check(f, FSCK_SIZE, 1);
}

static void
test_missing_file_is_found(void **state)
{
	struct ft *f = *state;
	char path[TOOL_PATH_BYTES];

	assert_int_equal(unlink(tool_blob_path(f->dir, &f->layer, path)), 0);
	file_damage_check(f, FSCK_MISSING, 0);
}

static void
test_records_alone_leave_files_alone(void **state)
{
	struct ft *f = *state;
	struct ft_result r = { 0 };
	const struct fsck_options options = {
		.skip_content = true,
		.problem = ft_result_add,
		.arg = &r,
	};
	char path[TOOL_PATH_BYTES];

	tool_file_flip(tool_blob_path(f->dir, &f->layer, path), 777);
	assert_int_equal(fsck_run(f->s, &options, &r.progress), RC_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.bytes, 0);
}

static void
test_orphan_files_are_told_and_no_problem(void **state)
{
	struct ft *f = *state;
	struct digest d = tool_digest("nobody's", 8);
	char path[2 * TOOL_PATH_BYTES];
	struct ft_result r;

	tool_file_write(tool_blob_path(f->dir, &d, path), "nobody's", 8);
	snprintf(path, sizeof(path),
	    "%s/uploads/0123456789abcdef0123456789abcdef", f->dir);
	tool_file_write(path, "abc", 3);
	snprintf(path, sizeof(path), "%s/blobs/README", f->dir);
	tool_file_write(path, "?", 1);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.orphan_files, 3);
	assert_int_equal(r.progress.orphan_bytes, 12);
	assert_true(tool_exists(path));
}

/* --- repair that may not ------------------------------------------------- */

static void
test_read_only_folder_is_told_of_but_not_mended(void **state)
{
	struct ft *f = *state;
	struct ft_result r;

	assert_int_equal(meta_change(f->m, digest_tag_deleted, f, 0), RC_OK);
	store_close(&f->s);
	f->options.read_only = true;
	ft_open(f);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.repaired, 0);
}

/* --- its course ---------------------------------------------------------- */

static void
test_stopped_check_ends(void **state)
{
	struct ft *f = *state;
	const _Atomic bool stop = true;
	struct fsck_progress progress = { 0 };
	const struct fsck_options options = { .stop = &stop };

	assert_int_equal(fsck_run(f->s, &options, &progress), RC_CANCELLED);
}

static void
test_check_keeps_to_its_pace(void **state)
{
	struct ft *f = *state;
	struct fsck_progress progress = { 0 };
	const struct fsck_options options = { .bytes_per_s = 100000 };
	int64_t from_ns = clock_mono_ns();

	assert_int_equal(fsck_run(f->s, &options, &progress), RC_OK);
	assert_true(clock_mono_ns() - from_ns >
		    (int64_t)(progress.bytes * 1000000000 / 100000) - 50000000);
	assert_int_equal(progress.problems, 0);
}

/* More rows than a batch takes, in more than one table. */
static void
test_large_folder_is_checked_in_batches(void **state)
{
	struct ft *f = *state;
	struct digest d;
	struct ft_result r;
	char text[16];
	unsigned i;

	for (i = 0; i < 400; i++) {
		snprintf(text, sizeof(text), "blob %u", i);
		ft_blob_push(f->s, FT_REPO, text, strlen(text), &d);
	}
	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.blobs, 406);
	assert_true(r.progress.records > 400 * 4);
}

/* --- beside traffic ------------------------------------------------------ */

struct traffic {
	struct store *s;
	unsigned n;
	_Atomic bool *stop;
};

static void
image_round(struct store *s, unsigned who, unsigned round)
{
	struct digest config, layer, image;
	struct holding holding;
	char text[2048], *p;

	p = tool_bytes(8000, who * 1000 + round % 5);
	ft_blob_push(s, FT_OTHER, "{}", 2, &config);
	ft_blob_push(s, FT_OTHER, p, 8000, &layer);
	(void)ft_image_text(&config, &layer, 8000, "", text);
	if (ft_manifest_push(s, FT_OTHER, text, "t", &image) == RC_OK &&
	    round % 2 == 0) {
		(void)!meta_manifest_delete(
		    store_meta(s), FT_OTHER, &image, &holding);
		(void)!meta_blob_unlink(
		    store_meta(s), FT_OTHER, &layer, &holding);
	}
	free(p);
}

static void *
traffic_run(void *arg)
{
	struct traffic *t = arg;
	unsigned round;

	for (round = 0; !*t->stop; round++)
		image_round(t->s, t->n, round);
	return (NULL);
}

static void
test_traffic_beside_a_repair_is_no_problem(void **state)
{
	struct ft *f = *state;
	_Atomic bool stop = false;
	struct traffic t[2];
	pthread_t threads[2];
	struct ft_result r;
	unsigned i;

	for (i = 0; i < 2; i++) {
		t[i] = (struct traffic){ f->s, i + 1, &stop };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, traffic_run, &t[i]), 0);
	}
	for (i = 0; i < 10; i++) {
		assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
		if (r.n > 0)
			print_error("%s", r.texts);
		assert_int_equal(r.n, 0);
	}
	stop = true;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(ft_has_all(f));
	ft_assert_clean(f->s, "afterwards");
}

/* The layer is pushed over and over; between two pushes its file is spoilt. */
static void *
healer_run(void *arg)
{
	struct ft *f = arg;
	struct digest d;
	unsigned i;

	for (i = 0; i < 60; i++) {
		ft_blob_push(f->s, FT_REPO, f->layer_bytes, FT_LAYER_BYTES, &d);
		must(ft_has_blob(f, &f->layer));
	}
	return (NULL);
}

static void
test_push_beside_a_repair_is_never_undone(void **state)
{
	struct ft *f = *state;
	char path[TOOL_PATH_BYTES];
	pthread_t healer;
	struct ft_result r;
	unsigned i;

	(void)tool_blob_path(f->dir, &f->layer, path);
	for (i = 0; i < 10; i++) {
		if (tool_exists(path))
			(void)!truncate(path, 100);
		assert_int_equal(
		    pthread_create(&healer, NULL, healer_run, f), 0);
		assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
		assert_int_equal(pthread_join(healer, NULL), 0);
		assert_true(ft_has_blob(f, &f->layer));
		ft_assert_clean(f->s, "healed");
	}
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, ft_setup, ft_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sound_folder_has_no_problems),
		TEST(test_damaged_records_are_found_and_mended),
		TEST(test_flipped_bit_in_a_file_is_found),
		TEST(test_cut_off_file_is_found),
		TEST(test_missing_file_is_found),
		TEST(test_records_alone_leave_files_alone),
		TEST(test_orphan_files_are_told_and_no_problem),
		TEST(test_read_only_folder_is_told_of_but_not_mended),
		TEST(test_stopped_check_ends),
		TEST(test_check_keeps_to_its_pace),
		TEST(test_large_folder_is_checked_in_batches),
		TEST(test_traffic_beside_a_repair_is_no_problem),
		TEST(test_push_beside_a_repair_is_never_undone),
	};

	return (cmocka_run_group_tests_name("fsck", tests, NULL, NULL));
}
