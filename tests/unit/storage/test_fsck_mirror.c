#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "fsck_tools.h"
#include "storage/blobs.h"
#include "storage/collect_int.h"
#include "storage/images.h"
#include "storage/imports.h"
#include "storage/meta_ops_int.h"
#include "storage/replication.h"
#include "storage/repositories.h"
#include "storage/store_int.h"

/*
 * The check of what came from other registries, and of what is to be sent to
 * some.
 */
#define WEST SPAN("us-west-2/111122223333")
#define EAST SPAN("us-east-1/111122223333")
#define UNDELETE_MS INT64_C(3600000)
#define NEVER_BYTES 12345

struct more {
	struct digest copy;  /* its layer is not here */
	struct digest index; /* nor is what it refers to */
	struct digest never; /* that layer, and that image */
	struct digest gone;  /* a copy that was deleted */
	struct arena arena;
};

/* --- a folder with some of it -------------------------------------------- */

static struct more *
more_of(const struct ft *f)
{
	return (f->more);
}

static void
import(struct ft *f, const char *text, const char *tag, struct digest *d_r)
{
	struct span tag_span = span_of(tag);
	struct manifest_put_result result;
	char why[MANIFEST_WHY_BYTES];
	struct manifest m;
	const struct manifest_put put = {
		.repository = FT_REPO,
		.digest = tool_digest(text, strlen(text)),
		.text = span_of(text),
		.manifest = &m,
		.tags = &tag_span,
		.n_tags = 1,
		.sparse = SPARSE_ALL,
		.import = true,
		.now_ms = clock_real_ms(),
	};

	*d_r = put.digest;
	assert_int_equal(manifest_parse(SPAN_NONE, span_of(text),
			     &more_of(f)->arena, &m, why),
	    RC_OK);
	assert_int_equal(meta_manifest_put(f->m, &put, &result), RC_OK);
}

static void
copies_fill(struct ft *f)
{
	struct more *more = f->more;
	struct holding holding;
	char text[2048], one[512];

	more->never = tool_digest("never", 5);
	(void)ft_image_text(&f->config, &more->never, NEVER_BYTES, "", text);
	import(f, text, "copy", &more->copy);
	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}",
	    MEDIA_OCI_INDEX,
	    ft_descriptor(MEDIA_OCI_MANIFEST, &more->never, 500, one));
	import(f, text, "sparse", &more->index);
	(void)ft_image_text(&f->config, &more->never, NEVER_BYTES,
	    ",\"annotations\":{\"a\":\"gone\"}", text);
	import(f, text, "gone", &more->gone);
	store_undelete_set(f->s, UNDELETE_MS);
	assert_int_equal(
	    meta_manifest_delete(f->m, FT_REPO, &more->gone, &holding), RC_OK);
	assert_int_equal(
	    meta_import_referrers_checked(f->m, FT_REPO, &more->never, 5000),
	    RC_OK);
}

/* Two that wait, one that was sent, one that was not. */
static void
tasks_fill(struct ft *f)
{
	struct replication_task *rows;
	size_t n;

	assert_int_equal(meta_replication_add(
			     f->m, FT_REPO, &f->index, SPAN("all"), WEST, 4000),
	    RC_OK);
	assert_int_equal(meta_replication_add(
			     f->m, FT_REPO, &f->index, SPAN("all"), EAST, 4000),
	    RC_OK);
	assert_int_equal(meta_replication_page(f->m, 0, 0, 9000, 9,
			     &more_of(f)->arena, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 2);
	assert_int_equal(meta_replication_end(f->m, &rows[0],
			     REPLICATION_COMPLETE, SPAN_NONE, SPAN_NONE, 4500),
	    RC_OK);
	assert_int_equal(
	    meta_replication_end(f->m, &rows[1], REPLICATION_FAILED,
		SPAN("Denied"), SPAN("not allowed"), 4500),
	    RC_OK);
	assert_int_equal(meta_replication_add(
			     f->m, FT_REPO, &f->image, SPAN("v1"), WEST, 5000),
	    RC_OK);
	assert_int_equal(meta_replication_add(
			     f->m, FT_REPO, &f->image, SPAN_NONE, WEST, 6000),
	    RC_OK);
}

static int
setup(void **state)
{
	struct more *more = xcalloc(1, sizeof(*more));
	struct ft *f;

	if (ft_setup(state) != 0)
		return (-1);
	f = *state;
	arena_init(&more->arena, SIZE_MAX);
	f->more = more;
	copies_fill(f);
	tasks_fill(f);
	arena_reset(&more->arena);
	return (0);
}

static int
teardown(void **state)
{
	struct ft *f = *state;

	arena_reset(&more_of(f)->arena);
	return (ft_teardown(state));
}

/* --- damage -------------------------------------------------------------- */

static const struct ft *
ft_of(const void *arg)
{
	return (arg);
}

static void
key_of(const struct digest *d, struct rec_key *k)
{
	key_repo_digest(k, FT_REPO_ID, d);
}

#define NOBODY_ID 77

static enum rc
mark_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_of(&more_of(arg)->copy, &k);
	return (ft_row_spoil(t, TABLE_IMPORT_IMAGES, &k));
}

static enum rc
mark_of_nothing(struct meta_txn *t, void *arg)
{
	return (import_mark(t, FT_REPO_ID, &more_of(arg)->never, 5));
}

static enum rc
mark_of_no_repository(struct meta_txn *t, void *arg)
{
	return (import_mark(t, NOBODY_ID, &more_of(arg)->copy, 5));
}

static enum rc
mark_key_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_str(&k, SPAN("x"));
	return (ft_row_add(t, TABLE_IMPORT_IMAGES, &k));
}

static enum rc
tag_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_tag(&k, FT_REPO_ID, SPAN("copy"));
	return (ft_row_spoil(t, TABLE_IMPORT_TAGS, &k));
}

static enum rc
tag_of_nothing(struct meta_txn *t, void *arg)
{
	const struct import_tag row = { .digest = more_of(arg)->copy };

	return (import_tag_put(t, FT_REPO_ID, SPAN("none"), &row));
}

static enum rc
tag_of_another(struct meta_txn *t, void *arg)
{
	const struct import_tag row = { .digest = more_of(arg)->index };

	return (import_tag_put(t, FT_REPO_ID, SPAN("copy"), &row));
}

static enum rc
tag_of_no_repository(struct meta_txn *t, void *arg)
{
	const struct import_tag row = { .digest = more_of(arg)->index };

	return (import_tag_put(t, NOBODY_ID, SPAN("copy"), &row));
}

static enum rc
referrers_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_of(&more_of(arg)->never, &k);
	return (ft_row_spoil(t, TABLE_IMPORT_REFERRERS, &k));
}

static enum rc
referrers_of_no_repository(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_repo_digest(&k, NOBODY_ID, &more_of(arg)->never);
	return (ft_row_add(t, TABLE_IMPORT_REFERRERS, &k));
}

/* The first of the two that wait. */
#define TASK_ID 3
#define TASK_DUE_MS 5000

static void
task_key(const struct ft *f, struct rec_key *k)
{
	key_task(k, FT_REPO_ID, &f->image, TASK_ID);
}

static enum rc
task_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	task_key(arg, &k);
	return (ft_row_spoil(t, TABLE_REPLICATION_TASKS, &k));
}

static enum rc
task_drop(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	task_key(arg, &k);
	return (ft_row_delete(t, TABLE_REPLICATION_TASKS, &k));
}

static enum rc
task_of(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	return (replication_add(t, repo, d, SPAN_NONE, WEST, 7000));
}

static enum rc
task_of_nothing(struct meta_txn *t, void *arg)
{
	return (task_of(t, FT_REPO_ID, &more_of(arg)->never));
}

static enum rc
task_of_no_repository(struct meta_txn *t, void *arg)
{
	return (task_of(t, NOBODY_ID, &more_of(arg)->never));
}

static enum rc
tasks_all_drop(struct meta_txn *t, void *arg)
{
	struct rec_key k;
	enum rc rc;

	task_key(arg, &k);
	if ((rc = ft_row_delete(t, TABLE_REPLICATION_TASKS, &k)) != RC_OK)
		return (rc);
	key_task(&k, FT_REPO_ID, &ft_of(arg)->image, TASK_ID + 1);
	return (ft_row_delete(t, TABLE_REPLICATION_TASKS, &k));
}

static enum rc
queue_drop(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_task_due(&k, TASK_DUE_MS, TASK_ID);
	return (ft_row_delete(t, TABLE_REPLICATION_QUEUE, &k));
}

static enum rc
queue_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_task_due(&k, TASK_DUE_MS, TASK_ID);
	return (ft_row_spoil(t, TABLE_REPLICATION_QUEUE, &k));
}

static enum rc
queue_of_another_time(struct meta_txn *t, void *arg)
{
	return (replication_queue_put(
	    t, FT_REPO_ID, &ft_of(arg)->image, TASK_DUE_MS + 1, TASK_ID));
}

static enum rc
queue_key_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_str(&k, SPAN("x"));
	return (ft_row_add(t, TABLE_REPLICATION_QUEUE, &k));
}

static enum rc
status_put(struct meta_txn *t, const struct digest *d,
    enum replication_state state, uint64_t repo)
{
	const struct status_rec rec = {
		.state = (uint8_t)state,
		.changed_ms = 5,
	};

	return (replication_status_put(t, repo, d, WEST, &rec));
}

static enum rc
status_drop(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_status(&k, FT_REPO_ID, &ft_of(arg)->image, WEST);
	return (ft_row_delete(t, TABLE_REPLICATION_STATUS, &k));
}

static enum rc
status_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_status(&k, FT_REPO_ID, &ft_of(arg)->image, WEST);
	return (ft_row_spoil(t, TABLE_REPLICATION_STATUS, &k));
}

static enum rc
status_of_what_was_sent_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_status(&k, FT_REPO_ID, &ft_of(arg)->index, WEST);
	return (ft_row_spoil(t, TABLE_REPLICATION_STATUS, &k));
}

static enum rc
status_too_early(struct meta_txn *t, void *arg)
{
	return (status_put(
	    t, &ft_of(arg)->image, REPLICATION_COMPLETE, FT_REPO_ID));
}

static enum rc
status_without_a_task(struct meta_txn *t, void *arg)
{
	return (status_put(
	    t, &ft_of(arg)->index, REPLICATION_IN_PROGRESS, FT_REPO_ID));
}

static enum rc
status_of_nothing(struct meta_txn *t, void *arg)
{
	return (status_put(
	    t, &more_of(arg)->never, REPLICATION_COMPLETE, FT_REPO_ID));
}

static enum rc
status_of_no_repository(struct meta_txn *t, void *arg)
{
	return (
	    status_put(t, &ft_of(arg)->image, REPLICATION_COMPLETE, NOBODY_ID));
}

static enum rc
ids_lose(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (meta_number_set(t, NUMBER_REPLICATION_ID, TASK_ID));
}

static enum rc
ids_spoil(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (kv_put(t, TABLE_REGISTRY, NUMBER_REPLICATION_ID, SPAN("x")));
}

static void
damaged_records_are_found_and_mended(void **state)
{
#define DAMAGE(change, kind) \
	{ \
#change, change, kind, true \
	}
	static const struct ft_damage damages[] = {
		DAMAGE(mark_spoil, FSCK_RECORD),
		DAMAGE(mark_key_spoil, FSCK_RECORD),
		DAMAGE(mark_of_nothing, FSCK_DANGLING),
		DAMAGE(mark_of_no_repository, FSCK_DANGLING),
		DAMAGE(tag_spoil, FSCK_RECORD),
		DAMAGE(tag_of_nothing, FSCK_DANGLING),
		DAMAGE(tag_of_another, FSCK_DANGLING),
		DAMAGE(tag_of_no_repository, FSCK_DANGLING),
		DAMAGE(referrers_spoil, FSCK_RECORD),
		DAMAGE(referrers_of_no_repository, FSCK_DANGLING),
		DAMAGE(task_spoil, FSCK_RECORD),
		DAMAGE(task_drop, FSCK_INDEX),
		DAMAGE(task_of_nothing, FSCK_DANGLING),
		DAMAGE(task_of_no_repository, FSCK_DANGLING),
		DAMAGE(tasks_all_drop, FSCK_INDEX),
		DAMAGE(queue_drop, FSCK_INDEX),
		DAMAGE(queue_spoil, FSCK_INDEX),
		DAMAGE(queue_of_another_time, FSCK_INDEX),
		DAMAGE(queue_key_spoil, FSCK_RECORD),
		DAMAGE(status_drop, FSCK_INDEX),
		DAMAGE(status_spoil, FSCK_RECORD),
		DAMAGE(status_of_what_was_sent_spoil, FSCK_RECORD),
		DAMAGE(status_too_early, FSCK_INDEX),
		DAMAGE(status_without_a_task, FSCK_INDEX),
		DAMAGE(status_of_nothing, FSCK_DANGLING),
		DAMAGE(status_of_no_repository, FSCK_DANGLING),
		DAMAGE(ids_lose, FSCK_COUNT),
		DAMAGE(ids_spoil, FSCK_COUNT),
	};

	ft_damages_check(state, damages, ARRAY_LEN(damages), setup);
}

/* --- what is nothing wrong ----------------------------------------------- */

/* Neither layers nor children of copies have to be here. */
static void
copies_without_their_content_are_sound(void **state)
{
	struct ft *f = *state;
	struct more *more = f->more;
	struct ft_result r;
	int64_t ms;

	ft_assert_clean(f->s, "as it is");
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(meta_imported(f->m, FT_REPO, &more->copy, &ms), RC_OK);
	assert_true(ft_has_manifest(f, "copy"));
	assert_true(ft_has_manifest(f, "sparse"));
}

/* Nor is it wrong that one comes. */
static void
content_may_come_later(void **state)
{
	struct ft *f = *state;
	struct more *more = f->more;
	struct digest d;

	ft_blob_push(f->s, FT_REPO, "never", 5, &d);
	assert_true(digest_eq(&d, &more->never));
	ft_assert_clean(f->s, "with the layer");
}

struct moving {
	const struct digest *digest;
	struct tier_place place;
};

static enum rc
layer_moved(struct meta_txn *t, void *arg)
{
	const struct moving *mv = arg;
	struct link_rec link;
	enum rc rc;

	rc = link_load(t, FT_REPO_ID, mv->digest, &link);
	if (rc == RC_OK)
		rc = link_settle(t, FT_REPO_ID, mv->digest, &link);
	if (rc == RC_OK)
		rc =
		    blob_moved(t, KEY_DOMAIN_PLAIN, mv->digest, BLOB_IN_ARCHIVE,
			mv->place.encoding, mv->place.stored_bytes, 7100);
	return (rc == RC_OK ? removal_drop(
				  t, BLOB_IN_FILE, KEY_DOMAIN_PLAIN, mv->digest)
			    : rc);
}

/* As the collector does. */
static void
layer_archive(struct ft *f, const struct digest *d)
{
	struct blob_file file;
	struct tier_put put = { .digest = *d, .file = &file };
	struct moving mv = { .digest = d };

	assert_int_equal(blobs_open(store_blobs(f->s), KEY_DOMAIN_PLAIN, d,
			     READ_BLOCKING, &file),
	    RC_OK);
	put.size_bytes = file.size_bytes;
	assert_int_equal(tier_put(store_tier(f->s), &put, &mv.place), RC_OK);
	blob_file_close(&file);
	assert_int_equal(meta_change(f->m, layer_moved, &mv, 0), RC_OK);
	assert_int_equal(
	    blobs_remove(store_blobs(f->s), KEY_DOMAIN_PLAIN, d), RC_OK);
}

static void
image_archive(struct ft *f, const struct digest *layer)
{
	struct reference ref = { .is_digest = true };
	char text[2048];
	struct holding holding;
	struct image_row row;

	(void)ft_image_text(&f->config, layer, FT_LAYER_BYTES, "", text);
	assert_int_equal(
	    ft_manifest_push(f->s, FT_REPO, text, "cold", &ref.digest), RC_OK);
	assert_int_equal(
	    meta_image_status_set(f->m, FT_REPO, &ref, IMAGE_ARCHIVED, 7000,
		&more_of(f)->arena, &row, &holding),
	    RC_OK);
}

/* A copy shares a layer with an image that was archived.  It can be pulled: who
 * wants the layer makes it be fetched once more. */
static void
a_copy_may_need_what_lies_in_the_archive(void **state)
{
	struct ft *f = *state;
	struct digest layer, copy;
	struct manifest_row row;
	struct reference ref = { .tag = SPAN("warm") };
	char *p = tool_bytes(FT_LAYER_BYTES, 9), text[2048];

	ft_blob_push(f->s, FT_REPO, p, FT_LAYER_BYTES, &layer);
	image_archive(f, &layer);
	layer_archive(f, &layer);
	(void)ft_image_text(&f->config, &layer, FT_LAYER_BYTES,
	    ",\"annotations\":{\"a\":\"warm\"}", text);
	import(f, text, "warm", &copy);
	ft_assert_clean(f->s, "the layer is in the archive");
	assert_false(ft_has_blob(f, &layer));
	assert_int_equal(meta_manifest_get(f->m, FT_REPO, &ref, MANIFEST_ROW,
			     READ_BLOCKING, &more_of(f)->arena, &row),
	    RC_OK);
	assert_int_equal(row.status, IMAGE_ACTIVE);
	ft_blob_push(f->s, FT_REPO, p, FT_LAYER_BYTES, &layer);
	assert_true(ft_has_blob(f, &layer));
	ft_assert_clean(f->s, "the layer is back");
	free(p);
}

static void
what_a_deleted_repository_has_of_it_is_nothing_wrong(void **state)
{
	struct repository_description d;
	struct ft *f = *state;
	bool more = true;

	assert_int_equal(
	    meta_repository_delete(f->m, FT_REPO, true, &more_of(f)->arena, &d),
	    RC_OK);
	ft_assert_clean(f->s, "deleted");
	store_undelete_set(f->s, 0);
	while (more) {
		assert_int_equal(
		    meta_repository_purge(f->m, 3, NULL, &more), RC_OK);
		ft_assert_clean(f->s, "purged in part");
	}
}

/* --- what a repair makes of it ------------------------------------------- */

static void
repair(struct ft *f, meta_change_fn *damage)
{
	struct ft_result r;

	assert_int_equal(meta_change(f->m, damage, f, 0), RC_OK);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_true(r.n > 0);
	assert_int_equal(r.repaired, r.n);
}

/* It is not given up then, and not looked for elsewhere. */
static void
a_copy_whose_mark_is_damaged_is_somebodys_own(void **state)
{
	struct ft *f = *state;
	struct import_tag row;
	int64_t ms;

	repair(f, mark_spoil);
	assert_int_equal(
	    meta_imported(f->m, FT_REPO, &more_of(f)->copy, &ms), RC_NOTFOUND);
	assert_true(ft_has_manifest(f, "copy"));
	repair(f, tag_spoil);
	assert_int_equal(meta_import_tag_get(f->m, FT_REPO, SPAN("copy"), &row),
	    RC_NOTFOUND);
	assert_true(ft_has_manifest(f, "copy"));
}

static struct replication_status
status_of(struct ft *f, const struct digest *d)
{
	struct replication_status *rows;
	size_t n, i;

	assert_int_equal(meta_replication_status(
			     f->m, FT_REPO, d, &more_of(f)->arena, &rows, &n),
	    RC_OK);
	for (i = 0; i < n; i++)
		if (span_eq(rows[i].destination, WEST))
			return (rows[i]);
	return ((struct replication_status){ 0 });
}

/* Rather twice than never. */
static void
what_was_to_be_sent_and_is_lost_is_sent_again(void **state)
{
	struct ft *f = *state;

	assert_int_equal(status_of(f, &f->image).pending, 2);
	repair(f, tasks_all_drop);
	assert_int_equal(status_of(f, &f->image).pending, 1);
	assert_int_equal(
	    status_of(f, &f->image).state, REPLICATION_IN_PROGRESS);
	repair(f, status_of_what_was_sent_spoil);
	assert_int_equal(status_of(f, &f->index).pending, 1);
}

static void
an_id_is_not_used_twice_after_the_number_was_lost(void **state)
{
	struct ft *f = *state;
	struct replication_task *rows;
	size_t n, i;

	repair(f, ids_spoil);
	assert_int_equal(meta_replication_add(
			     f->m, FT_REPO, &f->index, SPAN("all"), WEST, 8000),
	    RC_OK);
	assert_int_equal(meta_replication_page(f->m, 0, 0, 9000, 9,
			     &more_of(f)->arena, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 3);
	for (i = 0; i < n - 1; i++)
		assert_true(rows[n - 1].id > rows[i].id);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(damaged_records_are_found_and_mended),
		TEST(copies_without_their_content_are_sound),
		TEST(content_may_come_later),
		TEST(a_copy_may_need_what_lies_in_the_archive),
		TEST(what_a_deleted_repository_has_of_it_is_nothing_wrong),
		TEST(a_copy_whose_mark_is_damaged_is_somebodys_own),
		TEST(what_was_to_be_sent_and_is_lost_is_sent_again),
		TEST(an_id_is_not_used_twice_after_the_number_was_lost),
	};

	return (cmocka_run_group_tests_name("fsck_mirror", tests, NULL, NULL));
}
