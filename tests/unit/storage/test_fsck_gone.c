#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/obj.h"
#include "fsck_tools.h"
#include "storage/blobs.h"
#include "storage/collect_int.h"
#include "storage/deleted.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/meta_ops_int.h"
#include "storage/repositories.h"

/*
 * The check of what the collector lives by: who uses what, what is deleted and
 * can be restored, and the archive.
 */
#define OTHER_ID 2
#define UNDELETE_MS INT64_C(3600000)
#define DELETED_TAG "gone"

struct more {
	struct digest layer; /* in the archive */
	struct digest cold, warm, gone;
	struct arena arena;
};

/* --- some more of everything --------------------------------------------- */

static struct more *
more_of(const struct ft *f)
{
	return (f->more);
}

static void
image_push(struct ft *f, const struct digest *layer, const char *more,
    const char *tag, struct digest *d_r)
{
	char text[2048];

	(void)ft_image_text(&f->config, layer, FT_LAYER_BYTES, more, text);
	assert_int_equal(
	    ft_manifest_push(f->s, FT_REPO, text, tag, d_r), RC_OK);
}

static void
class_set(struct ft *f, const struct digest *d, enum image_status status)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(f->m, FT_REPO, &ref, status,
			     7000, &more_of(f)->arena, &row, &holding),
	    RC_OK);
}

static enum image_status
class_of(struct ft *f, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(f->m, FT_REPO, &ref, &more_of(f)->arena, &row),
	    RC_OK);
	return (row.manifest.status);
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
	if (rc == RC_OK)
		rc =
		    removal_drop(t, BLOB_IN_FILE, KEY_DOMAIN_PLAIN, mv->digest);
	return (rc);
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
archive_fill(struct ft *f)
{
	struct more *more = f->more;
	char *p = xmalloc(FT_LAYER_BYTES);

	memset(p, 'z', FT_LAYER_BYTES);
	ft_blob_push(f->s, FT_REPO, p, FT_LAYER_BYTES, &more->layer);
	free(p);
	image_push(f, &more->layer, "", "cold", &more->cold);
	image_push(f, &more->layer, ",\"annotations\":{\"a\":\"w\"}", "warm",
	    &more->warm);
	class_set(f, &more->cold, IMAGE_ARCHIVED);
	class_set(f, &more->warm, IMAGE_ARCHIVED);
	layer_archive(f, &more->layer);
	class_set(f, &more->warm, IMAGE_ACTIVE);
	assert_int_equal(class_of(f, &more->warm), IMAGE_ACTIVATING);
}

/* One that refers to another, too. */
static void
deleted_fill(struct ft *f)
{
	struct more *more = f->more;
	struct holding holding;
	char text[1024], one[512];

	(void)snprintf(text, sizeof(text), ",\"subject\":%s",
	    ft_descriptor(MEDIA_OCI_MANIFEST, &f->image, 500, one));
	image_push(f, &f->layer, text, DELETED_TAG, &more->gone);
	assert_int_equal(
	    meta_manifest_delete(f->m, FT_REPO, &more->gone, &holding), RC_OK);
}

static void
run_fill(struct ft *f)
{
	const struct lifecycle_result result = {
		.revision = 1,
		.outcome = LIFECYCLE_DONE,
		.started_ms = 8000,
		.ended_ms = 8100,
	};

	assert_int_equal(
	    meta_lifecycle_result_put(f->m, FT_REPO, &result), RC_OK);
}

static int
setup(void **state)
{
	struct ft *f;

	if (ft_setup(state) != 0)
		return (-1);
	f = *state;
	f->more = xcalloc(1, sizeof(struct more));
	arena_init(&more_of(f)->arena, (size_t)1 << 20);
	store_undelete_set(f->s, UNDELETE_MS);
	archive_fill(f);
	deleted_fill(f);
	run_fill(f);
	arena_reset(&more_of(f)->arena);
	return (0);
}

static int
teardown(void **state)
{
	struct ft *f = *state;

	arena_reset(&more_of(f)->arena);
	return (ft_teardown(state));
}

/* --- a sound folder ------------------------------------------------------ */

static void
a_sound_folder_has_no_problems(void **state)
{
	struct ft *f = *state;
	struct ft_result r;

	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	if (r.n > 0)
		print_error("%s", r.texts);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.orphan_files, 0);
	/* A layer and three manifests more than the others have. */
	assert_int_equal(r.progress.blobs, 6 + 4);
	assert_int_equal(r.progress.blobs_total, 6 + 4);
	assert_int_equal(r.progress.bytes, r.progress.bytes_total);
	/* The repair had nothing to do. */
	assert_int_equal(class_of(f, &more_of(f)->cold), IMAGE_ARCHIVED);
	assert_int_equal(class_of(f, &more_of(f)->warm), IMAGE_ACTIVATING);
	store_close(&f->s);
	f->options.read_only = true;
	ft_open(f);
	ft_assert_clean(f->s, "read-only");
}

/* --- damage to links ----------------------------------------------------- */

static enum rc
link_write(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct link_rec *rec)
{
	uint8_t value[REC_LINK_BYTES];
	struct rec_key k;

	rec_link_write(rec, value);
	key_repo_digest(&k, repo, d);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
users_wrong(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct link_rec rec;

	must(link_load(t, FT_REPO_ID, &f->layer, &rec) == RC_OK);
	rec.users++;
	return (link_write(t, FT_REPO_ID, &f->layer, &rec));
}

static enum rc
used_link_said_idle(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct link_rec rec = { .linked_ms = 1, .idle_ms = 2 };

	return (link_write(t, FT_REPO_ID, &f->layer, &rec));
}

static enum rc
idle_link_said_used(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct link_rec rec = { .linked_ms = 1, .users = 1 };

	return (link_write(t, OTHER_ID, &f->layer, &rec));
}

static enum rc
link_of_unknown_use(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &f->layer);
	return (kv_put(
	    t, TABLE_BLOB_LINKS, key_span(&k), SPAN("\1\0\0\0\0\0\0\0\7")));
}

static enum rc
idle_link_not_queued(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct link_rec rec;
	struct rec_key k;

	must(link_load(t, OTHER_ID, &f->layer, &rec) == RC_OK && rec.queued);
	key_timed(&k, rec.idle_ms, OTHER_ID, &f->layer);
	return (ft_row_delete(t, TABLE_IDLE_LINKS, &k));
}

/* And nothing needs it. */
static enum rc
idle_link_settled(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct link_rec rec;

	must(link_load(t, OTHER_ID, &f->layer, &rec) == RC_OK);
	return (link_settle(t, OTHER_ID, &f->layer, &rec));
}

/* As if only deleted images needed it. */
static enum rc
link_hidden(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct link_rec rec;

	must(link_load(t, repo, d, &rec) == RC_OK);
	rec.hidden = true;
	return (link_write(t, repo, d, &rec));
}

static enum rc
used_link_hidden(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (link_hidden(t, FT_REPO_ID, &f->layer));
}

static enum rc
archived_link_hidden(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct more *more = f->more;

	return (link_hidden(t, FT_REPO_ID, &more->layer));
}

static enum rc
deleted_link_settled(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct more *more = f->more;
	struct link_rec rec;

	must(link_load(t, FT_REPO_ID, &more->layer, &rec) == RC_OK);
	return (link_settle(t, FT_REPO_ID, &more->layer, &rec));
}

static enum rc
deleted_link_hidden(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct more *more = f->more;
	struct link_rec rec;

	must(link_load(t, FT_REPO_ID, &more->layer, &rec) == RC_OK);
	return (link_hide(t, FT_REPO_ID, &more->layer, &rec));
}

static enum rc
used_link_queued(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5, FT_REPO_ID, &f->layer);
	return (ft_row_add(t, TABLE_IDLE_LINKS, &k));
}

static enum rc
idle_link_queued_twice(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5, OTHER_ID, &f->layer);
	return (ft_row_add(t, TABLE_IDLE_LINKS, &k));
}

static enum rc
idle_link_of_no_repository(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5, 99, &f->layer);
	return (ft_row_add(t, TABLE_IDLE_LINKS, &k));
}

static enum rc
idle_link_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct link_rec rec;
	struct rec_key k;

	must(link_load(t, OTHER_ID, &f->layer, &rec) == RC_OK);
	key_timed(&k, rec.idle_ms, OTHER_ID, &f->layer);
	return (ft_row_spoil(t, TABLE_IDLE_LINKS, &k));
}

/* --- damage to what is deleted ------------------------------------------- */

static enum rc
deleted_row_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->gone);
	return (ft_row_delete(t, TABLE_DELETED_IMAGES, &k));
}

static enum rc
deleted_row_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->gone);
	return (ft_row_spoil(t, TABLE_DELETED_IMAGES, &k));
}

static enum rc
deleted_row_put(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	const struct deleted_rec rec = { .deleted_ms = 9,
		.why = DELETED_BY_REQUEST };
	struct rec_key k;
	uint8_t *p;

	key_repo_digest(&k, repo, d);
	must(kv_reserve(t, TABLE_DELETED_IMAGES, key_span(&k),
		 rec_deleted_size(&rec), &p) == RC_OK);
	rec_deleted_write(&rec, p);
	return (RC_OK);
}

static enum rc
deleted_row_of_nothing(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (deleted_row_put(t, FT_REPO_ID, &f->layer));
}

static enum rc
deleted_row_of_one_that_lives(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (deleted_row_put(t, FT_REPO_ID, &f->image));
}

static enum rc
deleted_row_of_no_repository(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (deleted_row_put(t, 99, &f->image));
}

static enum rc
deleted_not_queued(struct meta_txn *t, void *arg)
{
	struct kv_walk w;

	(void)arg;
	must(kv_walk_begin(t, TABLE_DELETED_QUEUE, SPAN_NONE, SPAN_NONE, &w) ==
	     RC_OK);
	must(kv_walk_next(&w) == RC_OK);
	must(kv_walk_delete(&w) == RC_OK);
	kv_walk_end(&w);
	return (RC_OK);
}

static enum rc
deleted_queued_for_nothing(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5, FT_REPO_ID, &more_of(f)->gone);
	must(ft_row_add(t, TABLE_DELETED_QUEUE, &k) == RC_OK);
	key_timed(&k, 5, FT_REPO_ID, &f->image);
	must(ft_row_add(t, TABLE_DELETED_QUEUE, &k) == RC_OK);
	key_timed(&k, 5, 99, &f->image);
	return (ft_row_add(t, TABLE_DELETED_QUEUE, &k));
}

static enum rc
deleted_manifest_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->gone);
	return (ft_row_spoil(t, TABLE_MANIFESTS, &k));
}

static enum rc
tag_of_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct tag_rec rec = { .tagged_ms = 1, .digest = more_of(f)->gone };
	uint8_t value[REC_TAG_MAX_BYTES];
	struct rec_key k;

	rec_tag_write(&rec, value);
	key_tag(&k, FT_REPO_ID, SPAN(DELETED_TAG));
	return (kv_put(t, TABLE_TAGS, key_span(&k),
	    (struct span){ (const char *)value, rec_tag_size(&rec) }));
}

static enum rc
referrer_of_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct referrer_rec rec = { .size_bytes = 1 };
	struct rec_key k;
	uint8_t *p;

	key_referrer(&k, FT_REPO_ID, &f->image, &more_of(f)->gone);
	must(kv_reserve(t, TABLE_REFERRERS, key_span(&k),
		 rec_referrer_size(&rec), &p) == RC_OK);
	rec_referrer_write(&rec, p);
	return (RC_OK);
}

static enum rc
scan_of_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	const struct scan_rec rec = { .status = SCAN_COMPLETE };
	struct rec_key k;
	uint8_t *p;

	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->gone);
	must(kv_reserve(t, TABLE_IMAGE_SCANS, key_span(&k), rec_scan_size(&rec),
		 &p) == RC_OK);
	rec_scan_write(&rec, p);
	return (RC_OK);
}

/* A lost row that is found again is not counted. */
static enum rc
deleted_image_counted(struct meta_txn *t, void *arg)
{
	(void)arg;
	return (image_count_add(t, FT_REPO_ID, 1));
}

static enum rc
orphan_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_timed(&k, 5, FT_REPO_ID, &f->image);
	return (ft_row_spoil(t, TABLE_ORPHAN_SUBJECTS, &k));
}

/* --- damage to what is on its way ---------------------------------------- */

static enum rc
removal_of_what_is_there(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	must(removal_put(t, BLOB_IN_ARCHIVE, KEY_DOMAIN_PLAIN,
		 &more_of(f)->layer, 5) == RC_OK);
	return (removal_put(t, BLOB_IN_FILE, KEY_DOMAIN_PLAIN, &f->layer, 5));
}

static enum rc
removal_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_removal(&k, BLOB_IN_ARCHIVE, 0, &f->layer);
	return (ft_row_spoil(t, TABLE_REMOVALS, &k));
}

static enum rc
archive_candidate_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &f->layer);
	return (ft_row_spoil(t, TABLE_ARCHIVE_QUEUE, &k));
}

static enum rc
archive_candidate_gone(struct meta_txn *t, void *arg)
{
	struct digest d = tool_digest("nothing", 7);
	uint8_t value[REC_MOMENT_BYTES];
	struct rec_key k;

	(void)arg;
	rec_moment_write(5, value);
	key_blob(&k, 0, &d);
	return (kv_put(t, TABLE_ARCHIVE_QUEUE, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
activation_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (activation_drop(t, FT_REPO_ID, &more_of(f)->warm));
}

static enum rc
activation_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->warm);
	return (ft_row_spoil(t, TABLE_ACTIVATIONS, &k));
}

static enum rc
activations_of_others(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	must(activation_put(t, FT_REPO_ID, &more_of(f)->cold, 5) == RC_OK);
	must(activation_put(t, FT_REPO_ID, &f->image, 5) == RC_OK);
	must(activation_put(t, FT_REPO_ID, &more_of(f)->gone, 5) == RC_OK);
	return (activation_put(t, FT_REPO_ID, &f->layer, 5));
}

static enum rc
activation_of_no_repository(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (activation_put(t, 99, &f->image, 5));
}

static enum rc
status_write(struct meta_txn *t, const struct digest *d, uint8_t status)
{
	struct manifest_rec rec;
	uint8_t copy[1024];
	struct rec_key k;
	struct span value;

	key_repo_digest(&k, FT_REPO_ID, d);
	must(kv_get(t, TABLE_MANIFESTS, key_span(&k), &value) == RC_OK);
	must(rec_manifest_read(value, &rec) && value.n < sizeof(copy));
	rec.status = status;
	rec_manifest_write(&rec, copy);
	return (kv_put(t, TABLE_MANIFESTS, key_span(&k),
	    (struct span){ (const char *)copy, value.n }));
}

static enum rc
archived_image_said_active(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (status_write(t, &more_of(f)->cold, IMAGE_ACTIVE));
}

static enum rc
active_image_said_archived(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;

	return (status_write(t, &f->image, IMAGE_ARCHIVED));
}

static enum rc
archived_counts_spoilt(struct meta_txn *t, void *arg)
{
	(void)arg;
	t->counts->archived_blobs++;
	t->counts->archived_stored_bytes += 3;
	return (RC_OK);
}

static enum rc
unheld_spoilt(struct meta_txn *t, void *arg)
{
	char copy[KEY_MAX_BYTES];
	struct kv_walk w;
	size_t n;

	(void)arg;
	must(kv_walk_begin(t, TABLE_UNHELD, SPAN_NONE, SPAN_NONE, &w) == RC_OK);
	must(kv_walk_next(&w) == RC_OK);
	n = w.key.n;
	memcpy(copy, w.key.p, n);
	kv_walk_end(&w);
	return (kv_put(
	    t, TABLE_UNHELD, (struct span){ copy, n }, SPAN("\002team")));
}

/* --- damage to policies -------------------------------------------------- */

static enum rc
policy_not_queued(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_timed_repo(&k, 8000, FT_REPO_ID);
	return (ft_row_delete(t, TABLE_LIFECYCLE_QUEUE, &k));
}

static enum rc
policies_queued_for_nothing(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_timed_repo(&k, 8001, FT_REPO_ID);
	must(ft_row_add(t, TABLE_LIFECYCLE_QUEUE, &k) == RC_OK);
	key_timed_repo(&k, 8000, OTHER_ID);
	must(ft_row_add(t, TABLE_LIFECYCLE_QUEUE, &k) == RC_OK);
	key_timed_repo(&k, 8000, 99);
	return (ft_row_add(t, TABLE_LIFECYCLE_QUEUE, &k));
}

static enum rc
run_spoilt(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, FT_REPO_ID);
	return (ft_row_spoil(t, TABLE_LIFECYCLE_RUNS, &k));
}

static enum rc
run_of_no_repository(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, 99);
	return (ft_row_spoil(t, TABLE_LIFECYCLE_RUNS, &k));
}

static enum rc
key_nonsense(struct meta_txn *t, void *arg)
{
	static const enum meta_table tables[] = { TABLE_IDLE_LINKS,
		TABLE_ORPHAN_SUBJECTS, TABLE_DELETED_IMAGES,
		TABLE_DELETED_QUEUE, TABLE_REMOVALS, TABLE_ARCHIVE_QUEUE,
		TABLE_ACTIVATIONS, TABLE_LIFECYCLE_RUNS,
		TABLE_LIFECYCLE_QUEUE };
	size_t i;

	(void)arg;
	for (i = 0; i < ARRAY_LEN(tables); i++)
		must(kv_put(t, tables[i], SPAN("x"), SPAN("y")) == RC_OK);
	return (RC_OK);
}

static const struct ft_damage damages[] = {
	{ "users wrong", users_wrong, FSCK_INDEX, true },
	{ "used link said idle", used_link_said_idle, FSCK_INDEX, true },
	{ "idle link said used", idle_link_said_used, FSCK_INDEX, true },
	{ "link of unknown use", link_of_unknown_use, FSCK_INDEX, true },
	{ "idle link not queued", idle_link_not_queued, FSCK_INDEX, true },
	{ "idle link settled", idle_link_settled, FSCK_INDEX, true },
	{ "used link hidden", used_link_hidden, FSCK_INDEX, true },
	{ "used link queued", used_link_queued, FSCK_INDEX, true },
	{ "idle link queued twice", idle_link_queued_twice, FSCK_INDEX, true },
	{ "idle link of no repository", idle_link_of_no_repository, FSCK_INDEX,
	    true },
	{ "idle link spoilt", idle_link_spoilt, FSCK_RECORD, true },
	{ "deleted image's row deleted", deleted_row_deleted, FSCK_INDEX,
	    true },
	{ "deleted image's row spoilt", deleted_row_spoilt, FSCK_RECORD, true },
	{ "deleted image of nothing", deleted_row_of_nothing, FSCK_DANGLING,
	    true },
	{ "deleted image that lives", deleted_row_of_one_that_lives,
	    FSCK_DANGLING, true },
	{ "deleted image of no repository", deleted_row_of_no_repository,
	    FSCK_DANGLING, true },
	{ "deleted image not queued", deleted_not_queued, FSCK_INDEX, true },
	{ "deleted images queued for nothing", deleted_queued_for_nothing,
	    FSCK_INDEX, true },
	{ "deleted manifest spoilt", deleted_manifest_spoilt, FSCK_RECORD,
	    true },
	{ "tag of a deleted image", tag_of_deleted, FSCK_DANGLING, true },
	{ "deleted image a referrer", referrer_of_deleted, FSCK_INDEX, true },
	{ "scan of a deleted image", scan_of_deleted, FSCK_DANGLING, true },
	{ "deleted image counted", deleted_image_counted, FSCK_COUNT, true },
	{ "subject spoilt", orphan_spoilt, FSCK_RECORD, true },
	{ "removal of what is there", removal_of_what_is_there, FSCK_INDEX,
	    true },
	{ "removal spoilt", removal_spoilt, FSCK_RECORD, true },
	{ "candidate of the archive spoilt", archive_candidate_spoilt,
	    FSCK_RECORD, true },
	{ "candidate of the archive gone", archive_candidate_gone,
	    FSCK_DANGLING, true },
	{ "activation deleted", activation_deleted, FSCK_INDEX, true },
	{ "activation spoilt", activation_spoilt, FSCK_RECORD, true },
	{ "activations of others", activations_of_others, FSCK_INDEX, true },
	{ "activation of no repository", activation_of_no_repository,
	    FSCK_DANGLING, true },
	{ "archived image said active", archived_image_said_active, FSCK_INDEX,
	    true },
	{ "active image said archived", active_image_said_archived, FSCK_INDEX,
	    false },
	{ "counts of the archive spoilt", archived_counts_spoilt, FSCK_COUNT,
	    true },
	{ "last holder spoilt", unheld_spoilt, FSCK_RECORD, true },
	{ "policy not queued", policy_not_queued, FSCK_INDEX, true },
	{ "policies queued for nothing", policies_queued_for_nothing,
	    FSCK_INDEX, true },
	{ "run spoilt", run_spoilt, FSCK_RECORD, true },
	{ "run of no repository", run_of_no_repository, FSCK_DANGLING, true },
	{ "nonsense for keys", key_nonsense, FSCK_RECORD, true },
};

static void
damaged_records_are_found_and_mended(void **state)
{
	ft_damages_check(state, damages, ARRAY_LEN(damages), setup);
}

/* --- what a repair brings back ------------------------------------------- */

static void
damage_mend(struct ft *f, meta_change_fn *change)
{
	struct ft_result r;

	assert_int_equal(meta_change(f->m, change, f, 0), RC_OK);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_true(r.n > 0);
	assert_int_equal(r.repaired, r.n);
	ft_assert_clean(f->s, "mended");
}

static enum rc
image_undelete(struct ft *f)
{
	const struct reference ref = { .is_digest = true,
		.digest = more_of(f)->gone };
	struct image_restored restored;

	return (meta_image_undelete(
	    f->m, FT_REPO, &ref, 9000, &more_of(f)->arena, &restored));
}

static void
a_deleted_image_is_one_still_when_its_record_was_lost(void **state)
{
	struct ft *f = *state;

	damage_mend(f, deleted_manifest_spoilt);
	assert_false(ft_has_manifest(f, DELETED_TAG));
	assert_int_equal(image_undelete(f), RC_OK);
	assert_true(ft_has_manifest(f, DELETED_TAG));
	ft_assert_clean(f->s, "restored");
}

static void
a_deleted_image_can_be_restored_when_its_row_was_lost(void **state)
{
	struct ft *f = *state;

	damage_mend(f, deleted_row_deleted);
	assert_int_equal(image_undelete(f), RC_OK);
	ft_assert_clean(f->s, "restored");
}

static enum rc
classes_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->cold);
	must(ft_row_spoil(t, TABLE_MANIFESTS, &k) == RC_OK);
	key_repo_digest(&k, FT_REPO_ID, &more_of(f)->warm);
	return (ft_row_spoil(t, TABLE_MANIFESTS, &k));
}

static void
images_keep_their_class_when_their_records_were_lost(void **state)
{
	struct ft *f = *state;

	damage_mend(f, classes_spoilt);
	assert_int_equal(class_of(f, &more_of(f)->cold), IMAGE_ARCHIVED);
	assert_int_equal(class_of(f, &more_of(f)->warm), IMAGE_ACTIVATING);
}

static void
an_active_image_without_its_content_is_fetched(void **state)
{
	struct ft *f = *state;

	damage_mend(f, archived_image_said_active);
	assert_int_equal(class_of(f, &more_of(f)->cold), IMAGE_ACTIVATING);
}

static void
erase(struct ft *f, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(f->m, FT_REPO, d, &holding), RC_OK);
}

static void
what_deleted_images_alone_need_is_hidden_and_nothing_else(void **state)
{
	struct ft *f = *state;
	struct more *more = f->more;

	class_set(f, &more->warm, IMAGE_ARCHIVED);
	damage_mend(f, archived_link_hidden);
	erase(f, &more->warm);
	damage_mend(f, archived_link_hidden);
	erase(f, &more->cold);
	ft_assert_clean(f->s, "waiting");
	damage_mend(f, deleted_link_settled);
	assert_int_equal(meta_change(f->m, deleted_link_hidden, f, 0), RC_OK);
	ft_assert_clean(f->s, "hidden");
}

/* --- deleted repositories ------------------------------------------------ */

static enum rc
holder_deleted(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_holder(&k, 0, &f->layer, HOLDER_LINK, OTHER_ID);
	return (ft_row_delete(t, TABLE_HOLDERS, &k));
}

static void
a_deleted_repository_that_can_be_restored_is_looked_at(void **state)
{
	struct ft *f = *state;
	struct repository_description d;

	assert_int_equal(meta_repository_delete(
			     f->m, FT_OTHER, true, &more_of(f)->arena, &d),
	    RC_OK);
	ft_assert_clean(f->s, "deleted");
	damage_mend(f, holder_deleted);
	damage_mend(f, users_wrong);
	damage_mend(f, idle_link_not_queued);
	assert_int_equal(
	    meta_repository_undelete(f->m, FT_OTHER, 0, 9000), RC_OK);
	ft_assert_clean(f->s, "restored");
}

/* One that waits, and one that is queued for its policy. */
static void
what_waits_in_a_deleted_repository_is_nothing_wrong(void **state)
{
	struct ft *f = *state;
	struct repository_description d;
	struct scan_job job;

	assert_int_equal(
	    meta_repository_delete(f->m, FT_REPO, true, &more_of(f)->arena, &d),
	    RC_OK);
	ft_assert_clean(f->s, "deleted");
	assert_int_equal(
	    meta_scan_next(f->m, &more_of(f)->arena, &job), RC_NOTFOUND);
	ft_assert_clean(f->s, "looked for");
	assert_int_equal(
	    meta_repository_undelete(f->m, FT_REPO, 0, 9000), RC_OK);
	ft_assert_clean(f->s, "restored");
	assert_int_equal(meta_scan_next(f->m, &more_of(f)->arena, &job), RC_OK);
	assert_true(ft_has_all(f));
}

static void
one_that_is_on_its_way_out_is_not(void **state)
{
	struct ft *f = *state;
	struct repository_description d;
	bool more;

	store_undelete_set(f->s, 0);
	assert_int_equal(meta_repository_delete(
			     f->m, FT_OTHER, true, &more_of(f)->arena, &d),
	    RC_OK);
	assert_int_equal(meta_repository_purge(f->m, 1, NULL, &more), RC_OK);
	ft_assert_clean(f->s, "half gone");
	while (more)
		assert_int_equal(
		    meta_repository_purge(f->m, 1, NULL, &more), RC_OK);
	ft_assert_clean(f->s, "gone");
}

/* --- files in the archive ------------------------------------------------ */

static const char *
archive_path(const struct ft *f, const struct digest *d, char *out)
{
	char dir[TOOL_PATH_BYTES], path[TOOL_PATH_BYTES];
	const char *rest;

	(void)snprintf(dir, sizeof(dir), "%s", f->dir);
	(void)tool_blob_path(dir, d, path);
	rest = strstr(path + strlen(dir), "/blobs/");
	assert_non_null(rest);
	(void)snprintf(out, 2 * TOOL_PATH_BYTES, "%s/archive/%s", dir,
	    rest + strlen("/blobs/"));
	return (out);
}

static void
found_and_mended(struct ft *f, enum fsck_problem_kind kind)
{
	struct ft_result r;

	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.kinds[kind], 1);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.repaired, 1);
	assert_int_equal(r.progress.orphan_files, 0);
	ft_assert_clean(f->s, "mended");
}

static void
layer_push(struct ft *f)
{
	char *p = xmalloc(FT_LAYER_BYTES);
	struct digest d;

	memset(p, 'z', FT_LAYER_BYTES);
	ft_blob_push(f->s, FT_REPO, p, FT_LAYER_BYTES, &d);
	free(p);
	assert_true(ft_has_blob(f, &more_of(f)->layer));
	ft_assert_clean(f->s, "pushed again");
}

static void
a_flipped_bit_in_the_archive_is_found(void **state)
{
	struct ft *f = *state;
	char path[2 * TOOL_PATH_BYTES];

	tool_file_flip(archive_path(f, &more_of(f)->layer, path), 9);
	found_and_mended(f, FSCK_DIGEST);
	layer_push(f);
}

static void
a_file_cut_off_in_the_archive_is_found(void **state)
{
	struct ft *f = *state;
	char path[2 * TOOL_PATH_BYTES];

	tool_file_truncate(archive_path(f, &more_of(f)->layer, path), 5);
	found_and_mended(f, FSCK_DIGEST);
	layer_push(f);
}

static enum rc
record_spoilt(struct meta_txn *t, void *arg)
{
	const struct ft *f = arg;
	struct rec_key k;

	key_blob(&k, 0, &more_of(f)->layer);
	return (ft_row_spoil(t, TABLE_BLOBS, &k));
}

static void
content_of_a_lost_record_is_found_in_the_archive(void **state)
{
	struct ft *f = *state;
	struct store_stats before, after;

	store_stats(f->s, &before);
	damage_mend(f, record_spoilt);
	store_stats(f->s, &after);
	assert_int_equal(after.archived_bytes, FT_LAYER_BYTES);
	assert_int_equal(
	    after.archived_stored_bytes, before.archived_stored_bytes);
	assert_int_equal(class_of(f, &more_of(f)->cold), IMAGE_ARCHIVED);
	assert_int_equal(class_of(f, &more_of(f)->warm), IMAGE_ACTIVATING);
}

static void
an_archive_that_was_not_there_comes_back(void **state)
{
	struct ft *f = *state;
	char dir[TOOL_PATH_BYTES + 16], away[TOOL_PATH_BYTES + 16];

	(void)snprintf(dir, sizeof(dir), "%s/archive", f->dir);
	(void)snprintf(away, sizeof(away), "%s/away", f->dir);
	store_close(&f->s);
	assert_int_equal(rename(dir, away), 0);
	ft_open(f);
	found_and_mended(f, FSCK_MISSING);
	store_close(&f->s);
	(void)rmdir(dir);
	assert_int_equal(rename(away, dir), 0);
	ft_open(f);
	found_and_mended(f, FSCK_MISSING);
	assert_int_equal(class_of(f, &more_of(f)->cold), IMAGE_ARCHIVED);
}

static enum rc
removals_put(struct meta_txn *t, void *arg)
{
	const struct digest *d = arg;

	must(removal_put(t, BLOB_IN_FILE, KEY_DOMAIN_PLAIN, d, 5) == RC_OK);
	return (removal_put(t, BLOB_IN_ARCHIVE, KEY_DOMAIN_PLAIN, d, 5));
}

/* But not those that are known to be removed. */
static void
orphan_files_in_the_archive_are_told(void **state)
{
	struct ft *f = *state;
	struct digest d = tool_digest("nobody's", 8);
	char path[2 * TOOL_PATH_BYTES], *slash;
	struct ft_result r;

	(void)archive_path(f, &d, path);
	slash = strrchr(path, '/');
	*slash = '\0';
	(void)mkdir(path, 0700);
	*slash = '/';
	tool_file_write(path, "nobody's", 8);
	(void)snprintf(path, sizeof(path), "%s/archive/README", f->dir);
	tool_file_write(path, "?", 1);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.orphan_files, 2);
	assert_int_equal(r.progress.orphan_bytes, 9);
	tool_file_write(tool_blob_path(f->dir, &d, path), "nobody's", 8);
	assert_int_equal(meta_change(f->m, removals_put, &d, 0), RC_OK);
	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.orphan_files, 1);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_sound_folder_has_no_problems),
		TEST(damaged_records_are_found_and_mended),
		TEST(a_deleted_image_is_one_still_when_its_record_was_lost),
		TEST(a_deleted_image_can_be_restored_when_its_row_was_lost),
		TEST(images_keep_their_class_when_their_records_were_lost),
		TEST(an_active_image_without_its_content_is_fetched),
		TEST(what_deleted_images_alone_need_is_hidden_and_nothing_else),
		TEST(a_deleted_repository_that_can_be_restored_is_looked_at),
		TEST(what_waits_in_a_deleted_repository_is_nothing_wrong),
		TEST(one_that_is_on_its_way_out_is_not),
		TEST(a_flipped_bit_in_the_archive_is_found),
		TEST(a_file_cut_off_in_the_archive_is_found),
		TEST(content_of_a_lost_record_is_found_in_the_archive),
		TEST(an_archive_that_was_not_there_comes_back),
		TEST(orphan_files_in_the_archive_are_told),
	};

	return (cmocka_run_group_tests_name("fsck_gone", tests, NULL, NULL));
}
