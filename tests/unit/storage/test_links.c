#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/deleted.h"
#include "storage/images.h"
#include "storage/meta_int.h"
#include "storage/meta_ops_int.h"

/*
 * Links of repositories to blobs: how many images use them, since when none
 * does, and what becomes of content that nobody holds any more.  After each
 * test mt_check() counts it all anew from the edges.
 */

#define HOUR_MS 3600000

static uint64_t
repo_id(struct mt *t, const char *repo)
{
	struct repository_row row;

	assert_int_equal(meta_repository_get(t->m, span_of(repo), &row), RC_OK);
	return (row.id);
}

static struct link_rec
link_at(struct mt *t, const char *repo, const struct digest *d)
{
	uint64_t id = repo_id(t, repo);
	struct link_rec rec;
	struct meta_txn txn;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	assert_int_equal(link_load(&txn, id, d, &rec), RC_OK);
	meta_read_end(&txn);
	return (rec);
}

static uint64_t
rows_of(struct mt *t, enum meta_table table)
{
	struct meta_txn txn;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	n = kv_count(&txn, table);
	meta_read_end(&txn);
	return (n);
}

#define USED(t, repo, d, n) \
	do { \
		struct link_rec used_ = link_at((t), (repo), (d)); \
		assert_int_equal(used_.users, (n)); \
		assert_int_equal(used_.idle_ms, 0); \
		assert_false(used_.queued); \
		assert_false(row_at((t), (repo), (d)).idle); \
	} while (0)

#define IDLE(t, repo, d, since, waits) \
	do { \
		struct link_rec idle_ = link_at((t), (repo), (d)); \
		assert_int_equal(idle_.users, 0); \
		assert_int_equal(idle_.idle_ms, (since)); \
		assert_int_equal(idle_.queued, (waits)); \
		assert_true(row_at((t), (repo), (d)).idle); \
	} while (0)

static struct blob_row
row_at(struct mt *t, const char *repo, const struct digest *d)
{
	struct blob_row row = { 0 };

	assert_int_equal(meta_blob_get(t->m, span_of(repo), d, BLOB_ROW,
			     READ_BLOCKING, &t->arena, &row),
	    RC_OK);
	return (row);
}

static enum rc
get(struct mt *t, const char *repo, const struct digest *d)
{
	struct blob_row row;

	return (meta_blob_get(
	    t->m, span_of(repo), d, BLOB_ROW, READ_BLOCKING, &t->arena, &row));
}

static struct digest
blob_at(struct mt *t, const char *repo, const char *text, int64_t now_ms)
{
	const struct blob_put put = {
		.repository = span_of(repo),
		.digest = mt_digest(text),
		.size_bytes = strlen(text),
		.location = BLOB_IN_META,
		.content = span_of(text),
		.create = &repository_preset_default,
		.now_ms = now_ms,
	};

	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	return (put.digest);
}

static struct digest
file_at(struct mt *t, const char *repo, const char *text, int64_t now_ms)
{
	const struct blob_put put = {
		.repository = span_of(repo),
		.digest = mt_digest(text),
		.size_bytes = strlen(text),
		.location = BLOB_IN_FILE,
		.create = &repository_preset_default,
		.now_ms = now_ms,
	};

	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	return (put.digest);
}

static enum rc
mount_at(struct mt *t, const char *from, const char *to, const struct digest *d,
    int64_t now_ms)
{
	const struct blob_mount mount = {
		.from = span_of(from),
		.to = span_of(to),
		.digest = *d,
		.create = &repository_preset_default,
		.now_ms = now_ms,
	};

	return (meta_blob_mount(t->m, &mount));
}

/* An image of a config and a layer, which may be the same. */
static struct digest
image_at(struct mt *t, const char *repo, const char *text,
    const struct digest *config, const struct digest *layer, int64_t now_ms)
{
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, config),
		mt_edge(EDGE_LAYER, layer) };
	const struct mt_image image = {
		.repo = repo,
		.text = text,
		.edges = edges,
		.n_edges = 2,
		.now_ms = now_ms,
	};

	return (mt_image(t, &image));
}

static struct digest
index_at(struct mt *t, const char *repo, const char *text,
    const struct digest *child)
{
	const struct descriptor edge = mt_edge(EDGE_MANIFEST, child);
	const struct mt_image image = {
		.repo = repo,
		.text = text,
		.edges = &edge,
		.n_edges = 1,
		.index = true,
	};

	return (mt_image(t, &image));
}

static enum rc
status_at(struct mt *t, const char *repo, const struct digest *d,
    enum image_status status, int64_t now_ms)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	return (meta_image_status_set(t->m, span_of(repo), &ref, status, now_ms,
	    &t->arena, &row, &holding));
}

static enum rc
delete_at(struct mt *t, const char *repo, const struct digest *d)
{
	struct holding holding;

	return (meta_manifest_delete(t->m, span_of(repo), d, &holding));
}

static void
purge(struct mt *t)
{
	bool more = true;

	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 2, NULL, &more), RC_OK);
}

/* Changes, as those do that stand on these functions. */

struct act {
	uint64_t repo;
	const struct digest *digest;
	int64_t now_ms;
	enum blob_location location;
	enum blob_encoding encoding;
	uint64_t stored_bytes;
	bool answer;
	struct holding holding;
};

static struct act
act_on(struct mt *t, const char *repo, const struct digest *d, int64_t now_ms)
{
	return ((struct act){
	    .repo = repo != NULL ? repo_id(t, repo) : 0,
	    .digest = d,
	    .now_ms = now_ms,
	});
}

static enum rc
settle(struct meta_txn *t, void *arg)
{
	struct act *a = arg;
	struct link_rec rec;
	enum rc rc;

	if ((rc = link_load(t, a->repo, a->digest, &rec)) != RC_OK)
		return (rc);
	return (link_settle(t, a->repo, a->digest, &rec));
}

static enum rc
hide(struct meta_txn *t, void *arg)
{
	struct act *a = arg;
	struct link_rec rec;
	enum rc rc;

	if ((rc = link_load(t, a->repo, a->digest, &rec)) != RC_OK)
		return (rc);
	return (link_hide(t, a->repo, a->digest, &rec));
}

static enum rc
drop(struct meta_txn *t, void *arg)
{
	struct act *a = arg;
	struct link_rec rec;
	enum rc rc;

	if ((rc = link_load(t, a->repo, a->digest, &rec)) != RC_OK)
		return (rc);
	return (link_drop(t, a->repo, a->digest, &rec, a->now_ms));
}

static enum rc
recount(struct meta_txn *t, void *arg)
{
	struct act *a = arg;

	return (link_recount(t, a->repo, a->digest, a->now_ms));
}

static enum rc
recheck(struct meta_txn *t, void *arg)
{
	struct act *a = arg;

	return (meta_blob_recheck(t, KEY_DOMAIN_PLAIN, a->digest, a->now_ms));
}

static enum rc
forget(struct meta_txn *t, void *arg)
{
	struct act *a = arg;

	return (blob_forget(t, KEY_DOMAIN_PLAIN, a->digest, a->now_ms));
}

static enum rc
move(struct meta_txn *t, void *arg)
{
	struct act *a = arg;

	return (blob_moved(t, KEY_DOMAIN_PLAIN, a->digest, a->location,
	    a->encoding, a->stored_bytes, a->now_ms));
}

static enum rc
needed(struct meta_txn *t, void *arg)
{
	struct act *a = arg;

	return (edge_needed(t, a->repo, a->digest, &a->answer));
}

static enum rc
held_by(struct meta_txn *t, void *arg)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	struct act *a = arg;

	return (edge_holders(t, a->repo, a->digest, kinds, &a->holding));
}

static enum rc
removed(struct meta_txn *t, void *arg)
{
	struct act *a = arg;

	return (removal_drop(t, a->location, KEY_DOMAIN_PLAIN, a->digest));
}

/* As format 3 wrote it. */
static enum rc
make_old(struct meta_txn *t, void *arg)
{
	static const uint8_t value[9] = { RECORD_VERSION, [8] = 7 };
	struct act *a = arg;
	struct link_rec rec;
	struct rec_key k;
	enum rc rc;

	if ((rc = link_load(t, a->repo, a->digest, &rec)) != RC_OK)
		return (rc);
	if (rec.queued) {
		key_timed(&k, rec.idle_ms, a->repo, a->digest);
		rc = kv_delete(t, TABLE_IDLE_LINKS, key_span(&k));
	}
	if (rc != RC_OK)
		return (rc);
	key_repo_digest(&k, a->repo, a->digest);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

/* It can be read, but says what cannot be. */
static enum rc
confuse(struct meta_txn *t, void *arg)
{
	const struct link_rec rec = { .linked_ms = 1, .queued = true };
	uint8_t value[REC_LINK_BYTES];
	struct act *a = arg;
	struct rec_key k;

	rec_link_write(&rec, value);
	key_repo_digest(&k, a->repo, a->digest);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
spoil(struct meta_txn *t, void *arg)
{
	struct act *a = arg;
	struct rec_key k;

	key_repo_digest(&k, a->repo, a->digest);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k), SPAN("?")));
}

/* A row among those that need it which nobody can read. */
static enum rc
spoil_parents(struct meta_txn *t, void *arg)
{
	struct act *a = arg;
	struct rec_key k;

	key_edge(&k, a->repo, a->digest, EDGE_LAYER, NULL);
	k.p[k.n++] = 0;
	return (kv_put(t, TABLE_PARENTS, key_span(&k), rec_none()));
}

static enum rc
mend_parents(struct meta_txn *t, void *arg)
{
	struct act *a = arg;
	struct rec_key k;

	key_edge(&k, a->repo, a->digest, EDGE_LAYER, NULL);
	k.p[k.n++] = 0;
	return (kv_delete(t, TABLE_PARENTS, key_span(&k)));
}

static enum rc
run(struct mt *t, meta_change_fn *fn, struct act *a)
{
	return (meta_change(t->m, fn, a, 0));
}

static void
run_at(struct mt *t, meta_change_fn *fn, const char *repo,
    const struct digest *d, int64_t now_ms)
{
	struct act a = act_on(t, repo, d, now_ms);

	assert_int_equal(run(t, fn, &a), RC_OK);
}

static enum rc
move_to(struct mt *t, const struct digest *d, enum blob_location location,
    enum blob_encoding encoding, uint64_t stored_bytes)
{
	struct act a = act_on(t, NULL, d, 9000);

	a.location = location;
	a.encoding = encoding;
	a.stored_bytes = stored_bytes;
	return (run(t, move, &a));
}

static bool
removal_of(struct mt *t, enum blob_location location, const struct digest *d)
{
	struct meta_txn txn;
	struct span value;
	struct rec_key k;
	enum rc rc;

	key_removal(&k, (uint8_t)location, KEY_DOMAIN_PLAIN, d);
	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	rc = kv_get(&txn, TABLE_REMOVALS, key_span(&k), &value);
	meta_read_end(&txn);
	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
}

/* Who held it last; the text lies in the arena. */
static struct span
last_holder(struct mt *t, const struct digest *d, int64_t *since_r)
{
	struct span value, name;
	struct blob_rec rec;
	struct meta_txn txn;
	struct rec_key k;

	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	assert_int_equal(
	    kv_get(&txn, TABLE_BLOBS, key_span(&k), &value), RC_OK);
	assert_true(rec_blob_read(value, &rec));
	key_unheld(&k, rec.unheld_ms, KEY_DOMAIN_PLAIN, d);
	assert_int_equal(
	    kv_get(&txn, TABLE_UNHELD, key_span(&k), &value), RC_OK);
	assert_true(rec_unheld_read(value, &name));
	name = arena_span(&t->arena, name);
	meta_read_end(&txn);
	*since_r = rec.unheld_ms;
	return (name);
}

/* Use. */

static void
what_was_uploaded_waits_until_an_image_uses_it(void **state)
{
	struct mt *t = *state;
	struct digest c = blob_at(t, "app", "config", 100);
	struct digest l = blob_at(t, "app", "layer", 200);

	IDLE(t, "app", &c, 100, true);
	IDLE(t, "app", &l, 200, true);
	assert_int_equal(mt_stats(t).idle_links, 2);
	mt_check(t);
	image_at(t, "app", "image", &c, &l, 300);
	USED(t, "app", &c, 1);
	USED(t, "app", &l, 1);
	assert_int_equal(mt_stats(t).idle_links, 0);
	mt_check(t);
}

static void
an_image_that_is_pushed_again_is_counted_once(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");

	image_at(t, "app", "image", &c, &l, 300);
	image_at(t, "app", "image", &c, &l, 400);
	USED(t, "app", &c, 1);
	USED(t, "app", &l, 1);
	mt_check(t);
}

static void
a_shared_layer_is_used_until_its_last_image_goes(void **state)
{
	struct mt *t = *state;
	struct digest c1 = mt_blob(t, "app", "config 1");
	struct digest c2 = mt_blob(t, "app", "config 2");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c1, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c2, &l, 300);
	struct link_rec rec;

	USED(t, "app", &l, 2);
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	USED(t, "app", &l, 1);
	rec = link_at(t, "app", &c1);
	assert_int_equal(rec.users, 0);
	assert_true(rec.queued);
	assert_true(rec.idle_ms > 300);
	mt_check(t);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	rec = link_at(t, "app", &l);
	assert_true(rec.queued);
	assert_int_equal(mt_stats(t).idle_links, 3);
	mt_check(t);
}

static void
a_config_that_is_a_layer_too_is_two_uses_and_ends_as_none(void **state)
{
	struct mt *t = *state;
	struct digest b = mt_blob(t, "app", "both");
	struct digest i = image_at(t, "app", "image", &b, &b, 300);

	USED(t, "app", &b, 2);
	mt_check(t);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	IDLE(t, "app", &b, 400, true);
	mt_check(t);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ACTIVE, 500), RC_OK);
	USED(t, "app", &b, 2);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	assert_int_equal(link_at(t, "app", &b).users, 0);
	assert_true(link_at(t, "app", &b).queued);
	mt_check(t);
}

static void
an_archived_image_does_not_use_its_blobs_until_it_is_restored(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);

	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	IDLE(t, "app", &c, 400, true);
	/* Once more changes nothing. */
	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 500), RC_OK);
	IDLE(t, "app", &l, 400, true);
	mt_check(t);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ACTIVE, 600), RC_OK);
	USED(t, "app", &c, 1);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ACTIVE, 700), RC_OK);
	USED(t, "app", &l, 1);
	mt_check(t);
}

static void
an_archived_image_uses_its_blobs_when_it_is_pushed_again(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);

	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	run_at(t, settle, "app", &l, 0);
	image_at(t, "app", "image", &c, &l, 500);
	USED(t, "app", &c, 1);
	USED(t, "app", &l, 1);
	mt_check(t);
}

static void
what_only_archived_images_need_waits_again_when_they_go(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c, &l, 300);
	int64_t since_ms;

	assert_int_equal(status_at(t, "app", &i1, IMAGE_ARCHIVED, 400), RC_OK);
	assert_int_equal(status_at(t, "app", &i2, IMAGE_ARCHIVED, 500), RC_OK);
	IDLE(t, "app", &l, 500, true);
	run_at(t, settle, "app", &c, 0);
	run_at(t, settle, "app", &l, 0);
	IDLE(t, "app", &l, 500, false);
	assert_int_equal(mt_stats(t).idle_links, 0);
	mt_check(t);
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	IDLE(t, "app", &l, 500, false);
	mt_check(t);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	since_ms = link_at(t, "app", &l).idle_ms;
	assert_true(since_ms > 500);
	IDLE(t, "app", &l, since_ms, true);
	assert_true(link_at(t, "app", &c).queued);
	mt_check(t);
}

static void
a_deleted_image_keeps_its_blobs_but_does_not_use_them(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	struct act a = act_on(t, "app", &l, 0);

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	assert_int_equal(link_at(t, "app", &l).users, 0);
	assert_true(link_at(t, "app", &l).queued);
	mt_check(t);
	assert_int_equal(run(t, needed, &a), RC_OK);
	assert_true(a.answer);
	run_at(t, hide, "app", &l, 0);
	mt_check(t);
	/* It is another image when it is pushed again. */
	blob_at(t, "app", "layer", 850);
	image_at(t, "app", "image", &c, &l, 900);
	USED(t, "app", &c, 1);
	USED(t, "app", &l, 1);
	mt_check(t);
}

static void
a_restored_image_uses_its_blobs_again(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	const struct reference ref = { .is_digest = true, .digest = i };
	struct image_restored restored;

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	run_at(t, hide, "app", &l, 0);
	assert_int_equal(meta_image_undelete(t->m, SPAN("app"), &ref, 800,
			     &t->arena, &restored),
	    RC_OK);
	USED(t, "app", &c, 1);
	USED(t, "app", &l, 1);
	mt_check(t);
}

static enum rc
undelete_at(
    struct mt *t, const char *repo, const struct digest *d, int64_t now_ms)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_restored restored;

	return (meta_image_undelete(
	    t->m, span_of(repo), &ref, now_ms, &t->arena, &restored));
}

static size_t
holders_of(struct mt *t, const struct digest *d)
{
	struct page page;

	assert_int_equal(
	    meta_blob_holders(t->m, SPAN("new/one"), &repository_preset_default,
		d, 9, &t->arena, &page),
	    RC_OK);
	return (page.n);
}

/* An image of a layer that may not be there. */
static enum rc
push_of(struct mt *t, const char *text, const struct digest *layer)
{
	const struct descriptor edge = mt_edge(EDGE_LAYER, layer);
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.edges = &edge,
		.n_edges = 1,
		.now_ms = 700,
	};
	struct manifest_put_result result;
	struct digest d;

	return (mt_put(t, &image, &d, &result));
}

/* The image is deleted, and its layer is hidden. */
static struct digest
hidden_layer(struct mt *t, struct digest *image_r)
{
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");

	*image_r = image_at(t, "app", "image", &c, &l, 300);
	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", image_r), RC_OK);
	assert_int_equal(get(t, "app", &l), RC_OK);
	run_at(t, hide, "app", &l, 0);
	mt_check(t);
	return (l);
}

static void
a_hidden_blob_is_not_there_for_anybody(void **state)
{
	struct mt *t = *state;
	struct digest i, l = hidden_layer(t, &i);
	struct holding holding;
	enum blob_use use;

	assert_true(link_at(t, "app", &l).hidden);
	assert_false(link_at(t, "app", &l).queued);
	assert_int_equal(get(t, "app", &l), RC_NOTFOUND);
	assert_int_equal(mount_at(t, "app", "two", &l, 500), RC_NOTFOUND);
	assert_int_equal(mount_at(t, "app", "app", &l, 500), RC_NOTFOUND);
	assert_int_equal(push_of(t, "another", &l), RC_MISSING);
	assert_int_equal(holders_of(t, &l), 0);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &l, &holding), RC_NOTFOUND);
	assert_int_equal(meta_blob_use(t->m, SPAN("app"), &l, &use), RC_OK);
	assert_int_equal(use, BLOB_UNUSED);
	mt_check(t);
}

static void
a_hidden_blob_is_there_again_when_it_is_uploaded(void **state)
{
	struct mt *t = *state;
	struct digest i, l = hidden_layer(t, &i);

	blob_at(t, "app", "layer", 600);
	IDLE(t, "app", &l, 600, true);
	assert_int_equal(holders_of(t, &l), 1);
	assert_int_equal(push_of(t, "another", &l), RC_OK);
	USED(t, "app", &l, 1);
	mt_check(t);
	/* And the other comes back as well. */
	assert_int_equal(undelete_at(t, "app", &i, 800), RC_OK);
	USED(t, "app", &l, 2);
	mt_check(t);
}

static void
a_hidden_blob_is_there_again_when_it_is_mounted(void **state)
{
	struct mt *t = *state;
	struct digest i, l = hidden_layer(t, &i);

	blob_at(t, "other", "layer", 600);
	assert_int_equal(get(t, "app", &l), RC_NOTFOUND);
	assert_int_equal(holders_of(t, &l), 1);
	assert_int_equal(mount_at(t, "other", "app", &l, 700), RC_OK);
	IDLE(t, "app", &l, 700, true);
	mt_check(t);
}

static void
a_hidden_blob_is_there_again_when_its_image_is_restored(void **state)
{
	struct mt *t = *state;
	struct digest i, l = hidden_layer(t, &i);

	assert_int_equal(undelete_at(t, "app", &i, 800), RC_OK);
	USED(t, "app", &l, 1);
	mt_check(t);
}

static void
a_hidden_blob_stays_hidden_when_its_image_goes_for_good(void **state)
{
	struct mt *t = *state;
	struct digest i, l = hidden_layer(t, &i);
	struct link_rec rec;
	unsigned n;
	bool more;

	assert_int_equal(
	    meta_deleted_expire(t->m, INT64_MAX, 10, &n, &more), RC_OK);
	assert_int_equal(n, 1);
	rec = link_at(t, "app", &l);
	assert_true(rec.queued);
	assert_true(rec.hidden);
	assert_int_equal(get(t, "app", &l), RC_NOTFOUND);
	mt_check(t);
	run_at(t, drop, "app", &l, 900);
	mt_check(t);
}

static void
a_blob_of_an_archived_image_that_was_deleted_waits_again(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c, &l, 300);

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(status_at(t, "app", &i1, IMAGE_ARCHIVED, 400), RC_OK);
	assert_int_equal(status_at(t, "app", &i2, IMAGE_ARCHIVED, 400), RC_OK);
	run_at(t, settle, "app", &l, 0);
	run_at(t, settle, "app", &c, 0);
	/* The other needs it still. */
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	IDLE(t, "app", &l, 400, false);
	mt_check(t);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	assert_true(link_at(t, "app", &l).queued);
	assert_true(link_at(t, "app", &c).queued);
	mt_check(t);
	run_at(t, hide, "app", &l, 0);
	assert_int_equal(get(t, "app", &l), RC_NOTFOUND);
	/* One that is archived comes back: it may be had as before. */
	assert_int_equal(undelete_at(t, "app", &i2, 900), RC_OK);
	assert_false(link_at(t, "app", &l).hidden);
	assert_int_equal(get(t, "app", &l), RC_OK);
	mt_check(t);
}

static void
a_blob_waits_again_when_its_last_archived_image_goes_for_good(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c, &l, 300);

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	assert_int_equal(status_at(t, "app", &i2, IMAGE_ARCHIVED, 400), RC_OK);
	run_at(t, settle, "app", &l, 0);
	run_at(t, settle, "app", &c, 0);
	mt_check(t);
	store_undelete_set(t->s, 0);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	assert_true(link_at(t, "app", &l).queued);
	mt_check(t);
}

/* The collector may be looking at those that need it. */
static void
an_archived_image_that_comes_back_begins_the_wait_anew(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	int64_t since_ms;

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	since_ms = link_at(t, "app", &l).idle_ms;
	/* Even if the clock went back. */
	assert_int_equal(undelete_at(t, "app", &i, since_ms - 9), RC_OK);
	IDLE(t, "app", &l, since_ms + 1, true);
	mt_check(t);
}

static void
counting_anew_shows_what_archived_images_need(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);

	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	run_at(t, hide, "app", &l, 0);
	run_at(t, recount, "app", &l, 900);
	IDLE(t, "app", &l, 400, false);
	mt_check(t);
	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	run_at(t, hide, "app", &l, 0);
	run_at(t, recount, "app", &l, 900);
	assert_true(link_at(t, "app", &l).hidden);
	/* What was settled when it should have been hidden waits again. */
	run_at(t, settle, "app", &c, 0);
	run_at(t, recount, "app", &c, 950);
	IDLE(t, "app", &c, 950, true);
	mt_check(t);
}

static void
what_deleted_images_need_is_not_to_be_unlinked(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	struct holding holding;

	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &l, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, 1);
	assert_true(digest_eq(&holding.by[0], &i));
	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &l, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, 0);
	mt_check(t);
}

/* Blobs that come after their images. */

static void
a_blob_that_comes_after_its_images_is_used_at_once(void **state)
{
	struct digest c = mt_digest("config"), l = mt_digest("layer");
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &c),
		mt_edge(EDGE_LAYER, &l) };
	struct mt_image image = {
		.repo = "app",
		.text = "image 1",
		.edges = edges,
		.n_edges = 2,
		.sparse = SPARSE_ALL,
	};
	struct digest i1, i2;
	struct mt *t = *state;

	i1 = mt_image(t, &image);
	image.text = "image 2";
	i2 = mt_image(t, &image);
	mt_check(t);
	blob_at(t, "app", "layer", 500);
	USED(t, "app", &l, 2);
	mt_check(t);
	/* The other is still not there. */
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	USED(t, "app", &l, 1);
	blob_at(t, "app", "config", 600);
	USED(t, "app", &c, 1);
	assert_int_equal(status_at(t, "app", &i2, IMAGE_ARCHIVED, 700), RC_OK);
	IDLE(t, "app", &c, 700, true);
	mt_check(t);
}

static void
a_layer_of_elsewhere_is_used_when_it_is_here(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config"), l = mt_digest("layer");
	struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &c),
		mt_edge(EDGE_LAYER, &l) };
	const struct mt_image image = {
		.repo = "app", .text = "image", .edges = edges, .n_edges = 2
	};
	struct digest i;

	edges[1].nondistributable = true;
	i = mt_image(t, &image);
	assert_int_equal(mount_at(t, "app", "app", &l, 1), RC_NOTFOUND);
	blob_at(t, "other", "layer", 500);
	assert_int_equal(mount_at(t, "other", "app", &l, 600), RC_OK);
	USED(t, "app", &l, 1);
	IDLE(t, "other", &l, 500, true);
	mt_check(t);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	assert_true(link_at(t, "app", &l).queued);
	mt_check(t);
}

static void
what_comes_when_its_image_is_archived_is_idle(void **state)
{
	struct digest l = mt_digest("layer");
	const struct descriptor edge = mt_edge(EDGE_LAYER, &l);
	const struct mt_image image = {
		.repo = "app",
		.text = "image",
		.edges = &edge,
		.n_edges = 1,
		.sparse = SPARSE_ALL,
	};
	struct mt *t = *state;
	struct digest i = mt_image(t, &image);

	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	blob_at(t, "app", "layer", 500);
	IDLE(t, "app", &l, 500, true);
	mt_check(t);
}

/* Idle time. */

static void
an_upload_and_a_mount_begin_the_idle_time_anew(void **state)
{
	struct mt *t = *state;
	struct digest b = blob_at(t, "app", "blob", 100);

	blob_at(t, "app", "blob", 200);
	IDLE(t, "app", &b, 200, true);
	assert_int_equal(mount_at(t, "app", "two", &b, 300), RC_OK);
	IDLE(t, "app", &b, 200, true);
	IDLE(t, "two", &b, 300, true);
	assert_int_equal(mount_at(t, "app", "two", &b, 400), RC_OK);
	IDLE(t, "two", &b, 400, true);
	assert_int_equal(mount_at(t, "app", "app", &b, 500), RC_OK);
	IDLE(t, "app", &b, 500, true);
	assert_int_equal(mt_stats(t).idle_links, 2);
	mt_check(t);
}

static void
a_settled_link_waits_again_when_it_is_uploaded_again(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);

	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 400), RC_OK);
	run_at(t, settle, "app", &l, 0);
	run_at(t, settle, "app", &l, 0);
	IDLE(t, "app", &l, 400, false);
	blob_at(t, "app", "layer", 500);
	IDLE(t, "app", &l, 500, true);
	mt_check(t);
}

static void
what_is_in_use_has_no_idle_time_to_begin(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");

	image_at(t, "app", "image", &c, &l, 300);
	blob_at(t, "app", "layer", 500);
	USED(t, "app", &l, 1);
	assert_int_equal(link_at(t, "app", &l).linked_ms, 1000);
	mt_check(t);
}

static void
use_in_one_repository_is_none_in_another(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i;

	assert_int_equal(mount_at(t, "app", "two", &c, 100), RC_OK);
	assert_int_equal(mount_at(t, "app", "two", &l, 100), RC_OK);
	i = image_at(t, "app", "image", &c, &l, 300);
	IDLE(t, "two", &l, 100, true);
	image_at(t, "two", "image", &c, &l, 300);
	USED(t, "two", &l, 1);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	USED(t, "two", &l, 1);
	assert_int_equal(link_at(t, "app", &l).users, 0);
	mt_check(t);
}

static void
an_image_is_counted_without_a_look_at_the_others(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300), i2;
	struct act a = act_on(t, "app", &l, 0);
	struct meta_txn txn;
	uint64_t n;

	/* Whoever walked over those that need it would fail. */
	assert_int_equal(run(t, spoil_parents, &a), RC_OK);
	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	assert_int_equal(link_count(&txn, a.repo, &l, &n), RC_CORRUPT);
	meta_read_end(&txn);
	i2 = image_at(t, "app", "image 2", &c, &l, 300);
	USED(t, "app", &l, 2);
	assert_int_equal(status_at(t, "app", &i1, IMAGE_ARCHIVED, 400), RC_OK);
	USED(t, "app", &l, 1);
	assert_int_equal(status_at(t, "app", &i1, IMAGE_ACTIVE, 400), RC_OK);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	assert_int_equal(link_at(t, "app", &l).users, 0);
	assert_int_equal(run(t, mend_parents, &a), RC_OK);
	mt_check(t);
}

/* Rows of format 3. */

static void
a_link_of_format_3_is_counted_when_an_image_comes(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");

	image_at(t, "app", "image 1", &c, &l, 300);
	run_at(t, make_old, "app", &c, 0);
	run_at(t, make_old, "app", &l, 0);
	assert_true(row_at(t, "app", &l).idle);
	image_at(t, "app", "image 2", &c, &c, 300);
	USED(t, "app", &c, 3);
	image_at(t, "app", "image 3", &c, &l, 300);
	USED(t, "app", &c, 4);
	USED(t, "app", &l, 2);
	assert_int_equal(link_at(t, "app", &l).linked_ms, 7);
	mt_check(t);
}

static void
a_link_of_format_3_is_counted_when_an_image_goes(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c, &c, 300);

	run_at(t, make_old, "app", &c, 0);
	run_at(t, make_old, "app", &l, 0);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	USED(t, "app", &c, 1);
	assert_int_equal(link_at(t, "app", &l).users, LINK_USERS_UNKNOWN);
	run_at(t, make_old, "app", &c, 0);
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	assert_true(link_at(t, "app", &c).queued);
	assert_true(link_at(t, "app", &l).queued);
	mt_check(t);
}

static void
a_link_of_format_3_is_counted_when_an_image_is_archived(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c, &c, 300);

	run_at(t, make_old, "app", &c, 0);
	run_at(t, make_old, "app", &l, 0);
	assert_int_equal(status_at(t, "app", &i1, IMAGE_ARCHIVED, 400), RC_OK);
	USED(t, "app", &c, 2);
	IDLE(t, "app", &l, 400, true);
	mt_check(t);
	run_at(t, make_old, "app", &c, 0);
	run_at(t, make_old, "app", &l, 0);
	assert_int_equal(status_at(t, "app", &i2, IMAGE_ARCHIVED, 500), RC_OK);
	IDLE(t, "app", &c, 500, true);
	/* One that goes as nobody's user. */
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	assert_true(link_at(t, "app", &l).queued);
	mt_check(t);
}

static void
a_link_of_format_3_is_counted_when_it_is_uploaded_again(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest b = mt_blob(t, "app", "unused");

	image_at(t, "app", "image 1", &c, &l, 300);
	run_at(t, make_old, "app", &l, 0);
	run_at(t, make_old, "app", &b, 0);
	blob_at(t, "app", "layer", 500);
	blob_at(t, "app", "unused", 500);
	USED(t, "app", &l, 1);
	IDLE(t, "app", &b, 500, true);
	mt_check(t);
}

static void
a_link_of_format_3_can_be_unlinked(void **state)
{
	struct mt *t = *state;
	struct digest b = mt_blob(t, "app", "unused");
	struct holding holding;

	run_at(t, make_old, "app", &b, 0);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &b, &holding), RC_OK);
	assert_int_equal(get(t, "app", &b), RC_NOTFOUND);
	mt_check(t);
}

static void
a_recount_says_what_the_edges_say(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest b = blob_at(t, "app", "unused", 100);
	struct digest n = mt_digest("not there");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	struct act a = act_on(t, "app", &n, 0);

	run_at(t, make_old, "app", &l, 0);
	run_at(t, recount, "app", &l, 400);
	USED(t, "app", &l, 1);
	/* What is right stays as it is. */
	run_at(t, recount, "app", &b, 400);
	IDLE(t, "app", &b, 100, true);
	run_at(t, make_old, "app", &b, 0);
	run_at(t, recount, "app", &b, 500);
	IDLE(t, "app", &b, 500, true);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 600), RC_OK);
	run_at(t, settle, "app", &l, 0);
	run_at(t, recount, "app", &l, 700);
	IDLE(t, "app", &l, 600, false);
	/* One that should wait, and does not. */
	run_at(t, settle, "app", &b, 0);
	run_at(t, recount, "app", &b, 800);
	IDLE(t, "app", &b, 800, true);
	assert_int_equal(run(t, recount, &a), RC_NOTFOUND);
	mt_check(t);
}

static void
a_damaged_link_is_made_anew_by_what_changes_it(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest b = file_at(t, "app", "file", 1);
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	struct holding holding;

	run_at(t, spoil, "app", &c, 0);
	run_at(t, confuse, "app", &l, 0);
	assert_int_equal(get(t, "app", &c), RC_CORRUPT);
	assert_int_equal(get(t, "app", &l), RC_CORRUPT);
	blob_at(t, "app", "config", 400);
	USED(t, "app", &c, 1);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 500), RC_OK);
	IDLE(t, "app", &l, 500, true);
	mt_check(t);
	assert_int_equal(delete_at(t, "app", &i), RC_OK);
	run_at(t, settle, "app", &b, 0);
	run_at(t, spoil, "app", &b, 0);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &b, &holding), RC_OK);
	mt_check(t);
}

/* Letting go. */

static void
what_the_collector_drops_is_unheld_since_it_was_idle(void **state)
{
	struct mt *t = *state;
	struct digest b = blob_at(t, "app", "blob", 100);
	struct span name;
	int64_t since_ms;

	assert_int_equal(mount_at(t, "app", "two", &b, 300), RC_OK);
	run_at(t, drop, "app", &b, 100);
	assert_int_equal(get(t, "app", &b), RC_NOTFOUND);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
	assert_int_equal(mt_stats(t).idle_links, 1);
	mt_check(t);
	run_at(t, drop, "two", &b, 300);
	assert_int_equal(mt_stats(t).idle_links, 0);
	name = last_holder(t, &b, &since_ms);
	assert_int_equal(since_ms, 300);
	assert_true(span_is(name, "two"));
	mt_check(t);
	/* To look at it again does not lose the name. */
	run_at(t, recheck, NULL, &b, 900);
	name = last_holder(t, &b, &since_ms);
	assert_int_equal(since_ms, 300);
	assert_true(span_is(name, "two"));
	/* It is not gone: it can be had again. */
	blob_at(t, "app", "blob", 400);
	IDLE(t, "app", &b, 400, true);
	assert_int_equal(rows_of(t, TABLE_UNHELD), 0);
	mt_check(t);
}

static void
what_is_unlinked_leaves_the_queue(void **state)
{
	struct mt *t = *state;
	struct digest b = blob_at(t, "app", "blob", 100);
	struct holding holding;
	int64_t since_ms;

	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &b, &holding), RC_OK);
	assert_int_equal(rows_of(t, TABLE_IDLE_LINKS), 0);
	assert_true(span_is(last_holder(t, &b, &since_ms), "app"));
	assert_true(since_ms > 100);
	mt_check(t);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("app"), &b, &holding), RC_NOTFOUND);
}

static void
a_purged_repository_leaves_nothing_behind_but_its_name(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest u = mt_blob(t, "app", "unused");
	struct digest i = image_at(t, "app", "image", &c, &l, 300);
	struct repository_description description;
	int64_t since_ms;

	assert_int_equal(mount_at(t, "app", "two", &l, 400), RC_OK);
	assert_int_equal(meta_repository_delete(
			     t->m, SPAN("app"), true, &t->arena, &description),
	    RC_OK);
	mt_check(t);
	purge(t);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 0);
	assert_int_equal(rows_of(t, TABLE_IDLE_LINKS), 1);
	assert_int_equal(rows_of(t, TABLE_BLOB_LINKS), 1);
	IDLE(t, "two", &l, 400, true);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 3);
	assert_true(span_is(last_holder(t, &u, &since_ms), "app"));
	assert_true(span_is(last_holder(t, &c, &since_ms), "app"));
	assert_true(span_is(last_holder(t, &i, &since_ms), "app"));
	mt_check(t);
}

/* Records. */

static void
forgotten_content_is_gone_and_its_file_to_be_removed(void **state)
{
	struct mt *t = *state;
	struct digest f = file_at(t, "app", "file", 100);
	struct digest m = blob_at(t, "app", "inline", 100);
	struct act a = act_on(t, NULL, &f, 900);

	assert_int_equal(run(t, forget, &a), RC_REFERENCED);
	run_at(t, drop, "app", &f, 100);
	run_at(t, drop, "app", &m, 100);
	run_at(t, forget, NULL, &f, 900);
	run_at(t, forget, NULL, &m, 900);
	assert_int_equal(run(t, forget, &a), RC_NOTFOUND);
	assert_true(removal_of(t, BLOB_IN_FILE, &f));
	assert_int_equal(rows_of(t, TABLE_REMOVALS), 1);
	assert_int_equal(rows_of(t, TABLE_BLOBS), 0);
	assert_int_equal(rows_of(t, TABLE_CONTENT), 0);
	assert_int_equal(rows_of(t, TABLE_UNHELD), 0);
	assert_int_equal(mt_stats(t).file_bytes, 0);
	assert_int_equal(mt_stats(t).unreferenced_bytes, 0);
	mt_check(t);
	/* A new upload finds its place again. */
	file_at(t, "app", "file", 1000);
	assert_int_equal(rows_of(t, TABLE_REMOVALS), 0);
	mt_check(t);
}

static void
content_in_the_archive_is_counted_there(void **state)
{
	struct mt *t = *state;
	struct digest f = file_at(t, "app", "file", 100);
	struct digest n = mt_digest("not there");
	struct store_stats st;

	assert_int_equal(
	    move_to(t, &n, BLOB_IN_ARCHIVE, BLOB_ZSTD, 3), RC_NOTFOUND);
	assert_int_equal(move_to(t, &f, BLOB_IN_ARCHIVE, BLOB_ZSTD, 3), RC_OK);
	st = mt_stats(t);
	assert_int_equal(st.file_blobs, 0);
	assert_int_equal(st.file_bytes, 0);
	assert_int_equal(st.archived_blobs, 1);
	assert_int_equal(st.archived_bytes, 4);
	assert_int_equal(st.archived_stored_bytes, 3);
	assert_true(removal_of(t, BLOB_IN_FILE, &f));
	mt_check(t);
	assert_int_equal(move_to(t, &f, BLOB_IN_FILE, BLOB_PLAIN, 4), RC_OK);
	st = mt_stats(t);
	assert_int_equal(st.file_bytes, 4);
	assert_int_equal(st.archived_blobs, 0);
	assert_int_equal(st.archived_stored_bytes, 0);
	assert_false(removal_of(t, BLOB_IN_FILE, &f));
	assert_true(removal_of(t, BLOB_IN_ARCHIVE, &f));
	mt_check(t);
}

static void
content_in_the_archive_is_not_there_for_anybody(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest f = file_at(t, "app", "file", 100);
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &c),
		mt_edge(EDGE_LAYER, &f) };
	struct mt_image image = {
		.repo = "app", .text = "image", .edges = edges, .n_edges = 2
	};
	struct manifest_put_result result;
	struct digest d;

	assert_int_equal(move_to(t, &f, BLOB_IN_ARCHIVE, BLOB_PLAIN, 4), RC_OK);
	assert_int_equal(get(t, "app", &f), RC_NOTFOUND);
	assert_int_equal(mount_at(t, "app", "two", &f, 1), RC_NOTFOUND);
	assert_int_equal(mt_put(t, &image, &d, &result), RC_MISSING);
	assert_int_equal(result.n_missing, 1);
	assert_true(digest_eq(&result.missing[0], &f));
	image.sparse = SPARSE_ALL;
	assert_int_equal(mt_put(t, &image, &d, &result), RC_OK);
	assert_int_equal(link_at(t, "app", &f).users, 1);
	mt_check(t);
}

static void
an_upload_brings_back_what_lies_in_the_archive(void **state)
{
	struct mt *t = *state;
	struct digest f = file_at(t, "app", "file", 100);

	assert_int_equal(move_to(t, &f, BLOB_IN_ARCHIVE, BLOB_ZSTD, 3), RC_OK);
	file_at(t, "app", "file", 200);
	assert_int_equal(row_at(t, "app", &f).location, BLOB_IN_FILE);
	assert_int_equal(row_at(t, "app", &f).encoding, BLOB_PLAIN);
	assert_true(removal_of(t, BLOB_IN_ARCHIVE, &f));
	assert_false(removal_of(t, BLOB_IN_FILE, &f));
	mt_check(t);
	/* And archived again before that was removed. */
	assert_int_equal(move_to(t, &f, BLOB_IN_ARCHIVE, BLOB_ZSTD, 3), RC_OK);
	assert_false(removal_of(t, BLOB_IN_ARCHIVE, &f));
	assert_true(removal_of(t, BLOB_IN_FILE, &f));
	/* Small content comes into the database. */
	blob_at(t, "app", "file", 300);
	assert_true(mt_has_blob(t, "app", &f));
	assert_true(removal_of(t, BLOB_IN_ARCHIVE, &f));
	assert_int_equal(mt_stats(t).archived_blobs, 0);
	mt_check(t);
}

static void
archived_content_that_is_forgotten_is_removed_there(void **state)
{
	struct mt *t = *state;
	struct digest f = file_at(t, "app", "file", 100);

	assert_int_equal(move_to(t, &f, BLOB_IN_ARCHIVE, BLOB_ZSTD, 3), RC_OK);
	run_at(t, drop, "app", &f, 100);
	run_at(t, forget, NULL, &f, 900);
	assert_true(removal_of(t, BLOB_IN_ARCHIVE, &f));
	assert_int_equal(mt_stats(t).archived_blobs, 0);
	assert_int_equal(mt_stats(t).archived_bytes, 0);
	mt_check(t);
}

static void
a_file_of_what_is_in_the_database_is_to_be_removed(void **state)
{
	struct mt *t = *state;
	struct digest d = file_at(t, "app", "both", 100);
	struct act a = act_on(t, NULL, &d, 0);

	a.location = BLOB_IN_FILE;
	/* The text of a manifest moves into the database ... */
	mt_plain(t, "app", "both", "v1");
	assert_true(removal_of(t, BLOB_IN_FILE, &d));
	mt_check(t);
	/* ... and stays there, whatever is uploaded. */
	assert_int_equal(run(t, removed, &a), RC_OK);
	assert_int_equal(run(t, removed, &a), RC_OK);
	assert_false(removal_of(t, BLOB_IN_FILE, &d));
	file_at(t, "app", "both", 200);
	assert_int_equal(row_at(t, "app", &d).location, BLOB_IN_META);
	assert_true(removal_of(t, BLOB_IN_FILE, &d));
	mt_check(t);
}

/* Edges. */

static void
a_deleted_index_holds_nobody(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest i = image_at(t, "app", "image", &c, &c, 300);
	struct digest x1 = index_at(t, "app", "index 1", &i);
	struct digest x2 = index_at(t, "app", "index 2", &i);
	struct act a = act_on(t, "app", &i, 0);
	struct image_page page;
	const struct image_query q = {
		.repository = SPAN("app"), .relations = true, .max_rows = 9
	};

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(run(t, held_by, &a), RC_REFERENCED);
	assert_int_equal(a.holding.n, 2);
	assert_int_equal(delete_at(t, "app", &x1), RC_OK);
	assert_int_equal(run(t, held_by, &a), RC_REFERENCED);
	assert_int_equal(a.holding.n, 1);
	assert_true(digest_eq(&a.holding.by[0], &x2));
	assert_int_equal(
	    status_at(t, "app", &i, IMAGE_ARCHIVED, 1), RC_REFERENCED);
	assert_int_equal(delete_at(t, "app", &x2), RC_OK);
	assert_int_equal(run(t, held_by, &a), RC_OK);
	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 1);
	assert_false(page.rows[0].held);
	assert_false(page.rows[0].held_by_active);
	assert_int_equal(status_at(t, "app", &i, IMAGE_ARCHIVED, 1), RC_OK);
	mt_check(t);
}

static void
a_layer_of_deleted_images_is_in_nobodys_use(void **state)
{
	struct mt *t = *state;
	struct digest c = mt_blob(t, "app", "config");
	struct digest l = mt_blob(t, "app", "layer");
	struct digest i1 = image_at(t, "app", "image 1", &c, &l, 300);
	struct digest i2 = image_at(t, "app", "image 2", &c, &l, 300);
	enum blob_use use;

	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(delete_at(t, "app", &i1), RC_OK);
	assert_int_equal(meta_blob_use(t->m, SPAN("app"), &l, &use), RC_OK);
	assert_int_equal(use, BLOB_USED);
	assert_int_equal(status_at(t, "app", &i2, IMAGE_ARCHIVED, 400), RC_OK);
	assert_int_equal(meta_blob_use(t->m, SPAN("app"), &l, &use), RC_OK);
	assert_int_equal(use, BLOB_USED_ARCHIVED);
	assert_int_equal(delete_at(t, "app", &i2), RC_OK);
	assert_int_equal(meta_blob_use(t->m, SPAN("app"), &l, &use), RC_OK);
	assert_int_equal(use, BLOB_UNUSED);
	mt_check(t);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mt_setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_uploaded_waits_until_an_image_uses_it),
		T(an_image_that_is_pushed_again_is_counted_once),
		T(a_shared_layer_is_used_until_its_last_image_goes),
		T(a_config_that_is_a_layer_too_is_two_uses_and_ends_as_none),
		T(an_archived_image_does_not_use_its_blobs_until_it_is_restored),
		T(an_archived_image_uses_its_blobs_when_it_is_pushed_again),
		T(what_only_archived_images_need_waits_again_when_they_go),
		T(a_deleted_image_keeps_its_blobs_but_does_not_use_them),
		T(a_restored_image_uses_its_blobs_again),
		T(a_hidden_blob_is_not_there_for_anybody),
		T(a_hidden_blob_is_there_again_when_it_is_uploaded),
		T(a_hidden_blob_is_there_again_when_it_is_mounted),
		T(a_hidden_blob_is_there_again_when_its_image_is_restored),
		T(a_hidden_blob_stays_hidden_when_its_image_goes_for_good),
		T(a_blob_of_an_archived_image_that_was_deleted_waits_again),
		T(a_blob_waits_again_when_its_last_archived_image_goes_for_good),
		T(an_archived_image_that_comes_back_begins_the_wait_anew),
		T(counting_anew_shows_what_archived_images_need),
		T(what_deleted_images_need_is_not_to_be_unlinked),
		T(a_blob_that_comes_after_its_images_is_used_at_once),
		T(a_layer_of_elsewhere_is_used_when_it_is_here),
		T(what_comes_when_its_image_is_archived_is_idle),
		T(an_upload_and_a_mount_begin_the_idle_time_anew),
		T(a_settled_link_waits_again_when_it_is_uploaded_again),
		T(what_is_in_use_has_no_idle_time_to_begin),
		T(use_in_one_repository_is_none_in_another),
		T(an_image_is_counted_without_a_look_at_the_others),
		T(a_link_of_format_3_is_counted_when_an_image_comes),
		T(a_link_of_format_3_is_counted_when_an_image_goes),
		T(a_link_of_format_3_is_counted_when_an_image_is_archived),
		T(a_link_of_format_3_is_counted_when_it_is_uploaded_again),
		T(a_link_of_format_3_can_be_unlinked),
		T(a_recount_says_what_the_edges_say),
		T(a_damaged_link_is_made_anew_by_what_changes_it),
		T(what_the_collector_drops_is_unheld_since_it_was_idle),
		T(what_is_unlinked_leaves_the_queue),
		T(a_purged_repository_leaves_nothing_behind_but_its_name),
		T(forgotten_content_is_gone_and_its_file_to_be_removed),
		T(content_in_the_archive_is_counted_there),
		T(content_in_the_archive_is_not_there_for_anybody),
		T(an_upload_brings_back_what_lies_in_the_archive),
		T(archived_content_that_is_forgotten_is_removed_there),
		T(a_file_of_what_is_in_the_database_is_to_be_removed),
		T(a_deleted_index_holds_nobody),
		T(a_layer_of_deleted_images_is_in_nobodys_use),
	};

	return (cmocka_run_group_tests_name("links", tests, NULL, NULL));
}
