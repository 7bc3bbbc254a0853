#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/deleted.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/meta_ops_int.h"

/*
 * What was deleted and can be restored: out of everybody's sight, and back as
 * it was; or gone for good when its time is up.
 */
#define APP SPAN("app")
#define HOUR_MS INT64_C(3600000)

static int
setup(void **state)
{
	struct mt *t;

	if (mt_setup(state) != 0)
		return (-1);
	t = *state;
	t->options.undelete_ms = HOUR_MS;
	store_undelete_set(t->s, HOUR_MS);
	return (0);
}

/* An image with a config and a layer of its own. */
static struct digest
image(struct mt *t, const char *text, const char *tag)
{
	char config_text[64], layer_text[64];
	struct descriptor edges[2];
	struct mt_image image = {
		.repo = "app",
		.text = text,
		.tag = tag,
		.edges = edges,
		.n_edges = 2,
	};
	struct digest config, layer;

	(void)snprintf(config_text, sizeof(config_text), "config of %s", text);
	(void)snprintf(layer_text, sizeof(layer_text), "layer of %s", text);
	config = mt_blob(t, "app", config_text);
	layer = mt_blob(t, "app", layer_text);
	edges[0] = mt_edge(EDGE_CONFIG, &config);
	edges[1] = mt_edge(EDGE_LAYER, &layer);
	return (mt_image(t, &image));
}

static struct digest
index_of(struct mt *t, const char *text, const struct digest *children,
    size_t n, enum sparse sparse)
{
	struct descriptor edges[8];
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.edges = edges,
		.n_edges = n,
		.sparse = sparse,
		.index = true,
	};
	size_t i;

	assert_true(n <= ARRAY_LEN(edges));
	for (i = 0; i < n; i++)
		edges[i] = mt_edge(EDGE_MANIFEST, &children[i]);
	return (mt_image(t, &image));
}

static struct reference
by_digest(const struct digest *d)
{
	return ((struct reference){ .is_digest = true, .digest = *d });
}

static struct reference
by_tag(const char *name)
{
	return ((struct reference){ .tag = span_of(name) });
}

static enum rc
get(struct mt *t, const struct digest *d, struct image_row *row_r)
{
	const struct reference ref = by_digest(d);

	return (meta_image_get(t->m, APP, &ref, &t->arena, row_r));
}

static enum rc
get_tag(struct mt *t, const char *tag, struct image_row *row_r)
{
	const struct reference ref = by_tag(tag);

	return (meta_image_get(t->m, APP, &ref, &t->arena, row_r));
}

static uint64_t
count(struct mt *t)
{
	uint64_t n;

	assert_int_equal(meta_image_count(t->m, APP, &n), RC_OK);
	return (n);
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

/* Is a blob's link in use by images that are shown? */
static bool
used(struct mt *t, const char *text)
{
	struct digest d = mt_digest(text);
	struct blob_row row;

	assert_int_equal(meta_blob_get(t->m, APP, &d, BLOB_ROW, READ_BLOCKING,
			     &t->arena, &row),
	    RC_OK);
	return (!row.idle);
}

static void
erase(struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(meta_manifest_delete(t->m, APP, d, &holding), RC_OK);
}

static enum rc
restore(struct mt *t, const struct digest *d, int64_t now_ms,
    struct image_restored *restored_r)
{
	const struct reference ref = by_digest(d);

	return (meta_image_undelete(
	    t->m, APP, &ref, now_ms, &t->arena, restored_r));
}

static enum rc
restore_tag(struct mt *t, const char *tag, struct image_restored *restored_r)
{
	const struct reference ref = by_tag(tag);

	return (
	    meta_image_undelete(t->m, APP, &ref, 9000, &t->arena, restored_r));
}

static struct deleted_image_page
deleted_page(struct mt *t, const struct digest *after, size_t max)
{
	struct deleted_image_page page;

	assert_int_equal(
	    meta_deleted_image_page(t->m, APP, after, max, &t->arena, &page),
	    RC_OK);
	return (page);
}

static unsigned
expire(struct mt *t, int64_t before_ms, unsigned max, bool *more_r)
{
	unsigned n;

	assert_int_equal(
	    meta_deleted_expire(t->m, before_ms, max, &n, more_r), RC_OK);
	return (n);
}

/* As if it had been deleted then. */
struct aged {
	struct digest digest;
	int64_t deleted_ms;
};

static enum rc
deleted_age(struct meta_txn *t, void *arg)
{
	const struct aged *aged = arg;
	struct retire retire = { DELETED_BY_REQUEST,
		.now_ms = aged->deleted_ms };
	struct manifest_rec rec;

	must(manifest_row(t, 1, &aged->digest, &rec) == RC_OK);
	return (manifest_retire(t, 1, &aged->digest, &rec, &retire));
}

static void
erase_at(struct mt *t, const struct digest *d, int64_t deleted_ms)
{
	struct aged aged = { *d, deleted_ms };

	assert_int_equal(meta_change(t->m, deleted_age, &aged, 0), RC_OK);
}

static void
archive(struct mt *t, const struct digest *d, int64_t now_ms)
{
	const struct reference ref = by_digest(d);
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, IMAGE_ARCHIVED,
			     now_ms, &t->arena, &row, &holding),
	    RC_OK);
}

/* --- images -------------------------------------------------------------- */

static void
without_a_window_an_image_is_gone_at_once(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_restored restored;

	store_undelete_set(t->s, 0);
	erase(t, &d);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_NOTFOUND);
	assert_int_equal(restore_tag(t, "a", &restored), RC_NOTFOUND);
	assert_int_equal(deleted_page(t, NULL, 10).n, 0);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 0);
	assert_int_equal(rows_of(t, TABLE_EDGES), 0);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 0);
	mt_check(t);
}

static void
a_deleted_image_is_out_of_everybodys_sight(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_query q = { .repository = APP, .max_rows = 10 };
	struct image_id_page ids;
	struct image_page images;
	struct holding holding;
	struct image_row row;
	struct page tags;

	(void)image(t, "one", "b");
	erase(t, &d);
	assert_int_equal(get(t, &d, &row), RC_NOTFOUND);
	assert_int_equal(get_tag(t, "a", &row), RC_NOTFOUND);
	assert_int_equal(count(t), 0);
	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &images), RC_OK);
	assert_int_equal(images.n, 0);
	assert_int_equal(meta_image_id_page(t->m, &q, &t->arena, &ids), RC_OK);
	assert_int_equal(ids.n, 0);
	assert_int_equal(
	    meta_tag_page(t->m, APP, SPAN_NONE, 10, &t->arena, &tags), RC_OK);
	assert_int_equal(tags.n, 0);
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &d, &holding), RC_NOTFOUND);
	/* But what it needs is there. */
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
	assert_false(used(t, "layer of one"));
	mt_check(t);
}

static void
a_deleted_image_is_told_of(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "b");
	struct deleted_image_page page;
	int64_t now_ms = clock_real_ms();

	(void)image(t, "one", "a");
	erase(t, &d);
	page = deleted_page(t, NULL, 10);
	assert_int_equal(page.n, 1);
	assert_false(page.more);
	assert_true(digest_eq(&page.rows[0].digest, &d));
	assert_int_equal(page.rows[0].n_tags, 2);
	assert_true(span_is(page.rows[0].tags[0], "a"));
	assert_true(span_is(page.rows[0].tags[1], "b"));
	assert_int_equal(page.rows[0].pushed_ms, 1000);
	assert_int_equal(page.rows[0].image_bytes, 14);
	assert_int_equal(page.rows[0].why, DELETED_BY_REQUEST);
	assert_true(page.rows[0].deleted_ms >= now_ms);
	assert_int_equal(meta_deleted_image_page(
			     t->m, SPAN("none"), NULL, 1, &t->arena, &page),
	    RC_NOTFOUND);
}

static void
pages_of_deleted_images_are_in_order_and_whole(void **state)
{
	struct mt *t = *state;
	struct deleted_image_page page;
	struct digest d, last;
	const struct digest *after = NULL;
	char text[16];
	unsigned i, n = 0;

	for (i = 0; i < 300; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		d = mt_plain(t, "app", text, NULL);
		if (i % 3 != 0)
			erase(t, &d);
	}
	do {
		page = deleted_page(t, after, 7);
		for (i = 0; i < page.n; i++) {
			d = page.rows[i].digest;
			assert_true(after == NULL || digest_cmp(after, &d) < 0);
			last = d;
			after = &last;
			n++;
		}
	} while (page.more);
	assert_int_equal(n, 200);
	assert_int_equal(deleted_page(t, NULL, 1000).n, 200);
	assert_int_equal(deleted_page(t, NULL, 200).more, false);
	assert_int_equal(count(t), 100);
}

static void
an_image_comes_back_as_it_was(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_restored restored;
	struct image_row row;

	(void)image(t, "one", "b");
	erase(t, &d);
	mt_reopen(t);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	assert_true(digest_eq(&restored.digest, &d));
	assert_int_equal(restored.n_tags, 2);
	assert_int_equal(restored.n_taken, 0);
	assert_int_equal(restored.children, 0);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.n_tags, 2);
	assert_true(span_is(row.tags[0], "a"));
	assert_int_equal(row.manifest.pushed_ms, 1000);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	assert_int_equal(row.activated_ms, 9000);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(count(t), 1);
	assert_true(used(t, "config of one"));
	assert_true(used(t, "layer of one"));
	assert_int_equal(rows_of(t, TABLE_DELETED_IMAGES), 0);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 0);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 0);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_NOTFOUND);
	mt_check(t);
}

static void
a_digest_that_was_never_there_is_not_restored(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_digest("none");
	const struct reference ref = by_digest(&d);
	struct image_restored restored;

	(void)image(t, "one", "a");
	assert_int_equal(restore(t, &d, 9000, &restored), RC_NOTFOUND);
	assert_int_equal(restore_tag(t, "a", &restored), RC_NOTFOUND);
	assert_int_equal(meta_image_undelete(t->m, SPAN("none"), &ref, 9000,
			     &t->arena, &restored),
	    RC_NOTFOUND);
}

static void
however_it_was_deleted_it_comes_back(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_delete del = { .repository = APP, .tag = SPAN("a") };
	struct image_restored restored;
	struct image_deleted deleted;

	assert_int_equal(
	    meta_image_delete(t->m, &del, &t->arena, &deleted), RC_OK);
	assert_true(deleted.image);
	assert_int_equal(restore_tag(t, "a", &restored), RC_OK);
	assert_true(digest_eq(&restored.digest, &d));
	assert_int_equal(restored.n_tags, 1);
	del = (struct image_delete){
		.repository = APP, .has_digest = true, .digest = d
	};
	assert_int_equal(
	    meta_image_delete(t->m, &del, &t->arena, &deleted), RC_OK);
	assert_int_equal(restore_tag(t, "a", &restored), RC_OK);
	erase(t, &d);
	assert_int_equal(restore_tag(t, "a", &restored), RC_OK);
	assert_int_equal(count(t), 1);
	mt_check(t);
}

static void
of_several_that_had_a_tag_the_one_deleted_last_comes_back(void **state)
{
	struct mt *t = *state;
	struct image_restored restored;
	struct digest d[3];
	char text[8];
	size_t i;

	for (i = 0; i < 3; i++) {
		(void)snprintf(text, sizeof(text), "%zu", i);
		d[i] = image(t, text, "latest");
		erase_at(t, &d[i], i == 1 ? 8000 : 5000 + (int64_t)i);
	}
	assert_int_equal(restore_tag(t, "latest", &restored), RC_OK);
	assert_true(digest_eq(&restored.digest, &d[1]));
	assert_int_equal(restore_tag(t, "latest", &restored), RC_OK);
	assert_true(digest_eq(&restored.digest, &d[2]));
	assert_int_equal(restored.n_tags, 0);
	assert_int_equal(restored.n_taken, 1);
	mt_check(t);
}

static void
a_tag_that_is_taken_stays_where_it_is(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_restored restored;
	struct image_row row;
	struct digest two;

	(void)image(t, "one", "b");
	erase(t, &d);
	two = image(t, "two", "a");
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	assert_int_equal(restored.n_tags, 1);
	assert_true(span_is(restored.tags[0], "b"));
	assert_int_equal(restored.n_taken, 1);
	assert_true(span_is(restored.taken[0], "a"));
	assert_int_equal(get_tag(t, "a", &row), RC_OK);
	assert_true(digest_eq(&row.manifest.digest, &two));
	mt_check(t);
}

static void
what_is_pushed_again_is_new(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct manifest_put_result result;
	struct image_restored restored;
	struct descriptor edges[2];
	struct digest config = mt_digest("config of one"),
		      layer = mt_digest("layer of one");
	struct mt_image again = {
		.repo = "app",
		.text = "one",
		.tag = "new",
		.edges = edges,
		.n_edges = 2,
		.must_change = true,
		.now_ms = 8000,
	};
	struct image_row row;

	edges[0] = mt_edge(EDGE_CONFIG, &config);
	edges[1] = mt_edge(EDGE_LAYER, &layer);
	meta_manifest_pulled(t->m, APP, &d, 1500);
	archive(t, &d, 2000);
	erase(t, &d);
	assert_int_equal(mt_put(t, &again, &d, &result), RC_OK);
	assert_false(result.existed);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.pushed_ms, 8000);
	assert_int_equal(row.manifest.pulled_ms, 0);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	assert_int_equal(row.archived_ms, 0);
	assert_int_equal(row.activated_ms, 0);
	assert_int_equal(row.n_tags, 1);
	assert_true(span_is(row.tags[0], "new"));
	assert_int_equal(count(t), 1);
	assert_true(used(t, "layer of one"));
	assert_int_equal(deleted_page(t, NULL, 10).n, 0);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 0);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_NOTFOUND);
	mt_check(t);
}

static void
a_push_of_what_was_deleted_is_scanned_as_a_new_one(void **state)
{
	const struct mt_image one = {
		.repo = "app", .text = "one", .scan = true, .scannable = true
	};
	struct mt *t = *state;
	struct digest d = mt_image(t, &one);
	struct scan_job job;
	struct image_row row;

	assert_int_equal(rows_of(t, TABLE_SCAN_QUEUE), 1);
	erase(t, &d);
	assert_int_equal(rows_of(t, TABLE_SCAN_QUEUE), 0);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_NOTFOUND);
	(void)mt_image(t, &one);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.scan.status, SCAN_IN_PROGRESS);
	mt_check(t);
}

static void
deleted_images_are_not_of_the_quota(void **state)
{
	struct mt *t = *state;
	const struct mt_image two = {
		.repo = "app", .text = "two", .quota = { .images = 1 }
	};
	struct digest one = mt_plain(t, "app", "one", NULL), d;
	struct manifest_put_result result;

	assert_int_equal(mt_put(t, &two, &d, &result), RC_LIMIT);
	erase(t, &one);
	assert_int_equal(mt_put(t, &two, &d, &result), RC_OK);
}

static enum rc
count_lose(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, 1);
	return (kv_delete(t, TABLE_IMAGE_COUNTS, key_span(&k)));
}

static void
a_count_that_is_made_anew_leaves_deleted_images_out(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");

	(void)image(t, "two", "b");
	erase(t, &d);
	assert_int_equal(meta_change(t->m, count_lose, NULL, 0), RC_OK);
	assert_int_equal(count(t), 1);
	(void)image(t, "one", "a");
	assert_int_equal(count(t), 2);
	mt_check(t);
}

static const char REFERRER[] =
    "{\"schemaVersion\":2,"
    "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
    "\"artifactType\":\"application/x-sig\","
    "\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
    "\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c0"
    "60f61caaff8a\",\"size\":2},"
    "\"layers\":[],"
    "\"annotations\":{\"who\":\"me\"}}";

static struct referrer_page
referrers(struct mt *t, const struct digest *subject)
{
	const struct referrer_query q = {
		.repository = APP,
		.subject = *subject,
		.max_rows = 10,
		.max_bytes = 10000,
	};
	struct referrer_page page;

	assert_int_equal(
	    meta_referrer_page(t->m, &q, READ_BLOCKING, &t->arena, &page),
	    RC_OK);
	return (page);
}

static void
a_referrer_leaves_the_list_and_comes_back_to_it(void **state)
{
	struct mt *t = *state;
	struct digest subject = image(t, "one", "a"), d;
	const struct mt_image sig = {
		.repo = "app",
		.text = REFERRER,
		.subject = &subject,
		.artifact_type = "application/x-sig",
		.annotations = "{\"who\":\"me\"}",
	};
	struct image_restored restored;
	struct referrer_page page;

	d = mt_image(t, &sig);
	assert_int_equal(referrers(t, &subject).n, 1);
	erase(t, &d);
	assert_int_equal(referrers(t, &subject).n, 0);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	page = referrers(t, &subject);
	assert_int_equal(page.n, 1);
	assert_true(digest_eq(&page.rows[0].digest, &d));
	assert_true(span_is(page.rows[0].artifact_type, "application/x-sig"));
	assert_true(span_is(page.rows[0].annotations, "{\"who\":\"me\"}"));
	assert_int_equal(page.rows[0].size_bytes, strlen(REFERRER));
	mt_check(t);
}

/* --- indexes ------------------------------------------------------------- */

static void
a_deleted_index_holds_nobody_and_comes_back_with_its_images(void **state)
{
	struct mt *t = *state;
	struct digest d[2] = { image(t, "one", "a"), image(t, "two", NULL) };
	struct digest both, nested;
	struct image_restored restored;
	struct holding holding;
	struct image_row row;

	both = index_of(t, "index", d, 2, SPARSE_NONE);
	nested = index_of(t, "nested", &both, 1, SPARSE_NONE);
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &d[0], &holding), RC_REFERENCED);
	erase(t, &nested);
	erase(t, &both);
	erase(t, &d[0]);
	assert_int_equal(count(t), 1);
	assert_int_equal(restore(t, &nested, 9000, &restored), RC_OK);
	assert_int_equal(restored.children, 2);
	assert_int_equal(restored.n_tags, 0);
	assert_int_equal(count(t), 4);
	assert_int_equal(get_tag(t, "a", &row), RC_OK);
	assert_true(digest_eq(&row.manifest.digest, &d[0]));
	assert_int_equal(row.activated_ms, 9000);
	assert_true(used(t, "layer of one"));
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &d[0], &holding), RC_REFERENCED);
	assert_int_equal(deleted_page(t, NULL, 10).n, 0);
	mt_check(t);
}

static void
an_index_does_not_come_back_without_an_image_it_needs(void **state)
{
	struct mt *t = *state;
	struct digest d[2] = { image(t, "one", "a"), image(t, "two", "b") };
	struct digest both = index_of(t, "index", d, 2, SPARSE_NONE);
	struct image_restored restored;
	struct image_row row;
	bool more;

	erase_at(t, &both, 7000);
	erase_at(t, &d[0], 7000);
	erase_at(t, &d[1], 5000);
	assert_int_equal(expire(t, 6000, 10, &more), 1);
	assert_int_equal(restore(t, &both, 9000, &restored), RC_MISSING);
	assert_true(digest_eq(&restored.missing, &d[1]));
	/* Nothing changed. */
	assert_int_equal(count(t), 0);
	assert_int_equal(get(t, &d[0], &row), RC_NOTFOUND);
	assert_int_equal(deleted_page(t, NULL, 10).n, 2);
	mt_check(t);
	/* It is pushed again. */
	(void)image(t, "two", NULL);
	assert_int_equal(restore(t, &both, 9000, &restored), RC_OK);
	assert_int_equal(restored.children, 1);
	mt_check(t);
}

static void
an_image_that_an_index_never_had_is_not_missed(void **state)
{
	struct mt *t = *state;
	struct digest d[2] = { image(t, "one", NULL), mt_digest("none") };
	struct digest both = index_of(t, "index", d, 2, SPARSE_INDEX);
	struct image_restored restored;

	erase(t, &both);
	assert_int_equal(restore(t, &both, 9000, &restored), RC_OK);
	assert_int_equal(restored.children, 0);
	assert_int_equal(count(t), 2);
}

static enum rc
link_lose(struct meta_txn *t, void *arg)
{
	struct link_rec rec;

	must(link_load(t, 1, arg, &rec) == RC_OK);
	return (link_drop(t, 1, arg, &rec, 3000));
}

static void
an_image_does_not_come_back_without_a_blob_it_needs(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct digest layer = mt_digest("layer of one");
	struct image_restored restored;
	struct holding holding;

	erase(t, &d);
	assert_int_equal(
	    meta_blob_unlink(t->m, APP, &layer, &holding), RC_REFERENCED);
	assert_int_equal(meta_change(t->m, link_lose, &layer, 0), RC_OK);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_MISSING);
	assert_true(digest_eq(&restored.missing, &layer));
	assert_int_equal(count(t), 0);
	(void)mt_blob(t, "app", "layer of one");
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	assert_true(used(t, "layer of one"));
	mt_check(t);
}

/* Of many, none of which is here. */
static struct digest
of_absent(struct mt *t, const char *text, enum edge_kind kind, size_t n)
{
	struct descriptor *edges = xcalloc(n, sizeof(*edges));
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.edges = edges,
		.n_edges = n,
		.sparse = SPARSE_ALL,
		.index = kind == EDGE_MANIFEST,
	};
	struct digest d;
	uint64_t i;

	for (i = 0; i < n; i++) {
		d = mt_digest(text);
		memcpy(d.bytes, &i, sizeof(i));
		edges[i] = mt_edge(kind, &d);
	}
	d = mt_image(t, &image);
	free(edges);
	return (d);
}

static void
an_index_of_which_not_all_can_be_looked_at_does_not_come_back(void **state)
{
	struct mt *t = *state;
	struct digest d =
	    of_absent(t, "index", EDGE_MANIFEST, (size_t)IMAGE_RESTORE_MAX + 1);
	struct image_restored restored;

	erase(t, &d);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_LIMIT);
	assert_int_equal(count(t), 0);
	assert_int_equal(deleted_page(t, NULL, 10).n, 1);
}

static void
layers_are_not_what_an_index_may_need_so_many_of(void **state)
{
	const size_t half = IMAGE_RESTORE_MAX / 2 + 1;
	struct mt *t = *state;
	struct digest d[3] = { of_absent(t, "one", EDGE_LAYER, half),
		of_absent(t, "two", EDGE_LAYER, half), image(t, "three", "a") };
	struct digest all = index_of(t, "index", d, 3, SPARSE_NONE);
	struct image_restored restored;
	size_t i;

	erase(t, &all);
	for (i = 0; i < 3; i++)
		erase(t, &d[i]);
	assert_int_equal(restore(t, &all, 9000, &restored), RC_OK);
	assert_int_equal(restored.children, 3);
	assert_int_equal(count(t), 4);
}

static void
what_is_too_deep_comes_back_from_below(void **state)
{
	struct mt *t = *state;
	struct digest chain[IMAGE_DEPTH_MAX + 2];
	struct image_restored restored;
	char text[16];
	size_t i;

	chain[0] = image(t, "one", "a");
	for (i = 1; i < ARRAY_LEN(chain); i++) {
		(void)snprintf(text, sizeof(text), "index %zu", i);
		chain[i] = index_of(t, text, &chain[i - 1], 1, SPARSE_NONE);
	}
	for (i = ARRAY_LEN(chain); i-- > 0;)
		erase(t, &chain[i]);
	i = ARRAY_LEN(chain) - 1;
	assert_int_equal(restore(t, &chain[i], 9000, &restored), RC_LIMIT);
	assert_int_equal(count(t), 0);
	assert_int_equal(restore(t, &chain[1], 9000, &restored), RC_OK);
	assert_int_equal(restore(t, &chain[i], 9000, &restored), RC_OK);
	assert_int_equal(count(t), ARRAY_LEN(chain));
	mt_check(t);
}

/* --- storage classes ----------------------------------------------------- */

static void
an_archived_image_comes_back_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_restored restored;
	struct image_row row;

	archive(t, &d, 2000);
	assert_false(used(t, "layer of one"));
	erase(t, &d);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ARCHIVED);
	/* No policy takes it at once for what it was before. */
	assert_int_equal(row.archived_ms, 9000);
	assert_int_equal(row.activated_ms, 0);
	assert_false(used(t, "layer of one"));
	mt_check(t);
}

static void
an_index_gets_back_what_was_archived_meanwhile(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct digest index = index_of(t, "index", &d, 1, SPARSE_NONE);
	struct image_restored restored;
	struct image_row row;

	erase(t, &index);
	archive(t, &d, 2000);
	assert_int_equal(restore(t, &index, 9000, &restored), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	assert_true(used(t, "layer of one"));
	mt_check(t);
}

static enum rc
to_archive(struct meta_txn *t, void *arg)
{
	return (blob_moved(
	    t, KEY_DOMAIN_PLAIN, arg, BLOB_IN_ARCHIVE, BLOB_PLAIN, 12, 3000));
}

static void
one_whose_content_is_in_the_archive_waits_for_it(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct digest index = index_of(t, "index", &d, 1, SPARSE_NONE);
	struct digest layer = mt_digest("layer of one");
	struct image_restored restored;
	struct image_row row;

	erase(t, &index);
	erase(t, &d);
	assert_int_equal(meta_change(t->m, to_archive, &layer, 0), RC_OK);
	assert_int_equal(restore(t, &index, 9000, &restored), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVATING);
	assert_int_equal(get(t, &index, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVATING);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 2);
	/* And is deleted and restored as such. */
	erase(t, &index);
	erase(t, &d);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 0);
	assert_int_equal(restore(t, &d, 9500, &restored), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVATING);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 1);
}

/* --- when their time is up ----------------------------------------------- */

static void
those_deleted_first_go_first_and_none_before_its_time(void **state)
{
	struct mt *t = *state;
	struct digest d[5];
	struct image_restored restored;
	char text[8];
	size_t i;
	bool more;

	for (i = 0; i < 5; i++) {
		(void)snprintf(text, sizeof(text), "%zu", i);
		d[i] = image(t, text, text);
		erase_at(t, &d[i], 9000 - 1000 * (int64_t)i);
	}
	assert_int_equal(expire(t, 4999, 10, &more), 0);
	assert_false(more);
	assert_int_equal(expire(t, 8000, 3, &more), 3);
	assert_true(more);
	assert_int_equal(expire(t, 8000, 3, &more), 1);
	assert_false(more);
	assert_int_equal(rows_of(t, TABLE_DELETED_IMAGES), 1);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 1);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 1);
	assert_int_equal(rows_of(t, TABLE_EDGES), 2);
	/* Four texts; the links wait for the collector. */
	assert_int_equal(mt_stats(t).unreferenced_blobs, 4);
	assert_int_equal(restore(t, &d[1], 9000, &restored), RC_NOTFOUND);
	assert_int_equal(restore(t, &d[0], 9000, &restored), RC_OK);
	mt_check(t);
}

static void
one_that_came_back_does_not_go(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a"), two = image(t, "two", "b");
	struct image_restored restored;
	struct image_row row;
	bool more;

	erase_at(t, &d, 5000);
	erase_at(t, &two, 5000);
	assert_int_equal(restore(t, &d, 6000, &restored), RC_OK);
	(void)image(t, "two", "b");
	erase_at(t, &two, 7000);
	assert_int_equal(expire(t, 6000, 10, &more), 0);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(deleted_page(t, NULL, 10).n, 1);
	assert_int_equal(expire(t, 7000, 10, &more), 1);
	mt_check(t);
}

static enum rc
queue_early(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_timed(&k, 1000, 1, arg);
	return (kv_put(t, TABLE_DELETED_QUEUE, key_span(&k), rec_none()));
}

static void
what_is_queued_for_another_time_leaves_the_queue_alone(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a"), two = image(t, "two", "b");
	struct image_restored restored;
	bool more;

	erase_at(t, &d, 5000);
	assert_int_equal(meta_change(t->m, queue_early, &d, 0), RC_OK);
	assert_int_equal(meta_change(t->m, queue_early, &two, 0), RC_OK);
	assert_int_equal(expire(t, 2000, 10, &more), 0);
	assert_false(more);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 1);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	assert_int_equal(count(t), 2);
	mt_check(t);
}

static void
what_an_index_needs_is_restored_in_place_of_going(void **state)
{
	struct mt *t = *state;
	struct digest d[2] = { image(t, "one", "a"), image(t, "two", "b") };
	struct digest both = index_of(t, "index", d, 2, SPARSE_NONE);
	struct image_row row;
	bool more;

	/* That is refused, and so should not have happened. */
	erase_at(t, &d[0], 5000);
	assert_int_equal(expire(t, 6000, 10, &more), 0);
	assert_false(more);
	assert_int_equal(get(t, &d[0], &row), RC_OK);
	assert_int_equal(get_tag(t, "a", &row), RC_OK);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 0);
	assert_int_equal(deleted_page(t, NULL, 10).n, 0);
	assert_true(used(t, "layer of one"));
	mt_check(t);
	/* Of an index that is deleted, too, nobody needs it. */
	erase_at(t, &both, 7000);
	erase_at(t, &d[0], 7000);
	assert_int_equal(expire(t, 8000, 10, &more), 2);
	mt_check(t);
}

static void
what_an_index_came_without_goes(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct image_row row;
	bool more;

	erase_at(t, &d, 5000);
	(void)index_of(t, "index", &d, 1, SPARSE_INDEX);
	assert_int_equal(expire(t, 6000, 10, &more), 1);
	assert_int_equal(get(t, &d, &row), RC_NOTFOUND);
	assert_int_equal(rows_of(t, TABLE_DELETED_IMAGES), 0);
	mt_check(t);
}

/* As the collector does; how many have gone. */
static unsigned
expire_all(struct mt *t, int64_t before_ms, unsigned max)
{
	unsigned n = 0, rounds = 0;
	bool more = true;

	while (more) {
		n += expire(t, before_ms, max, &more);
		assert_in_range(++rounds, 1, 100);
	}
	return (n);
}

static void
what_cannot_be_restored_for_an_index_is_kept(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a"), two = image(t, "two", "b");
	struct digest layer = mt_digest("layer of one");
	int64_t now_ms = clock_real_ms();
	struct deleted_image_page page;
	struct image_restored restored;

	(void)index_of(t, "index", &d, 1, SPARSE_NONE);
	erase_at(t, &d, 5000);
	erase_at(t, &two, 5500);
	assert_int_equal(meta_change(t->m, link_lose, &layer, 0), RC_OK);
	assert_int_equal(expire_all(t, 6000, 2), 1);
	page = deleted_page(t, NULL, 10);
	assert_int_equal(page.n, 1);
	assert_true(digest_eq(&page.rows[0].digest, &d));
	/* It waits once more, with all that it had. */
	assert_true(page.rows[0].deleted_ms >= now_ms);
	assert_int_equal(page.rows[0].n_tags, 1);
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 1);
	(void)mt_blob(t, "app", "layer of one");
	assert_int_equal(restore(t, &d, 9000, &restored), RC_OK);
	assert_int_equal(restored.n_tags, 1);
	mt_check(t);
}

static enum rc
blob_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_blob(&k, KEY_DOMAIN_PLAIN, arg);
	return (kv_put(t, TABLE_BLOBS, key_span(&k), SPAN("xx")));
}

static void
one_that_is_damaged_keeps_nobody_from_going(void **state)
{
	struct mt *t = *state;
	int64_t now_ms = clock_real_ms();
	struct deleted_image_page page;
	struct digest d[6];
	char text[8];
	size_t i;
	bool more;

	for (i = 0; i < 6; i++) {
		(void)snprintf(text, sizeof(text), "%zu", i);
		d[i] = image(t, text, text);
		erase_at(t, &d[i], 5000 + (int64_t)i);
	}
	assert_int_equal(meta_change(t->m, blob_spoil, &d[0], 0), RC_OK);
	assert_int_equal(meta_change(t->m, blob_spoil, &d[1], 0), RC_OK);
	assert_int_equal(meta_change(t->m, blob_spoil, &d[3], 0), RC_OK);
	assert_int_equal(expire_all(t, 6000, 2), 3);
	page = deleted_page(t, NULL, 10);
	assert_int_equal(page.n, 3);
	for (i = 0; i < 3; i++)
		assert_true(page.rows[i].deleted_ms >= now_ms);
	/* They are tried again, though not at once. */
	assert_int_equal(rows_of(t, TABLE_DELETED_QUEUE), 3);
	assert_int_equal(expire(t, 6000, 10, &more), 0);
	assert_false(more);
}

static void
what_was_deleted_by_a_clock_that_was_ahead_waits_from_now_on(void **state)
{
	const int64_t now_ms = clock_real_ms();
	struct mt *t = *state;
	struct digest d[3] = { image(t, "one", "a"), image(t, "two", "b"),
		image(t, "three", "c") };
	struct deleted_image_page page;
	size_t i;
	bool more;

	erase_at(t, &d[0], now_ms + 365 * 24 * HOUR_MS);
	erase_at(t, &d[1], now_ms + 2 * 365 * 24 * HOUR_MS);
	/* That may be as two machines differ. */
	erase_at(t, &d[2], now_ms + HOUR_MS);
	/* At first it may be this clock that is not right yet. */
	assert_int_equal(expire(t, now_ms - HOUR_MS, 10, &more), 0);
	assert_int_equal(expire(t, now_ms + 2 * HOUR_MS, 10, &more), 1);
	gc_grace_set(t->s, 0);
	assert_int_equal(expire_all(t, now_ms - HOUR_MS, 1), 0);
	page = deleted_page(t, NULL, 10);
	assert_int_equal(page.n, 2);
	for (i = 0; i < 2; i++) {
		assert_in_range(
		    page.rows[i].deleted_ms, now_ms, clock_real_ms());
		assert_int_equal(page.rows[i].n_tags, 1);
	}
	mt_check(t);
	assert_int_equal(expire_all(t, clock_real_ms() + 1, 1), 2);
	mt_check(t);
}

static void
links_that_only_deleted_images_needed_wait_for_the_collector(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct digest layer = mt_digest("layer of one");
	bool more;

	erase_at(t, &d, 5000);
	assert_int_equal(expire(t, 5000, 10, &more), 1);
	assert_false(used(t, "layer of one"));
	assert_int_equal(rows_of(t, TABLE_IDLE_LINKS), 2);
	assert_true(mt_has_blob(t, "app", &layer));
	mt_check(t);
}

/* --- repositories -------------------------------------------------------- */

static void
doom(struct mt *t, const char *name)
{
	struct repository_description d;

	assert_int_equal(
	    meta_repository_delete(t->m, span_of(name), true, &t->arena, &d),
	    RC_OK);
}

static bool
purge(struct mt *t, unsigned max_rows)
{
	bool more;

	assert_int_equal(
	    meta_repository_purge(t->m, max_rows, NULL, &more), RC_OK);
	return (more);
}

static void
purge_all(struct mt *t)
{
	while (purge(t, 1000))
		continue;
}

static struct deleted_repository_page
doomed_page(struct mt *t, uint64_t after_id, size_t max)
{
	struct deleted_repository_page page;

	assert_int_equal(
	    meta_deleted_repository_page(t->m, after_id, max, &t->arena, &page),
	    RC_OK);
	return (page);
}

static void
a_repository_comes_back_with_all_that_was_in_it(void **state)
{
	const struct repository_change change = { .set_mutability = true,
		.mutability = TAGS_IMMUTABLE };
	struct mt *t = *state;
	struct digest d = image(t, "one", "a"), two = image(t, "two", "b");
	struct repository_description described;
	struct repository_row before, after;
	struct image_restored restored;
	struct image_row row;

	assert_int_equal(meta_repository_change(t->m, APP, &change), RC_OK);
	assert_int_equal(meta_repository_get(t->m, APP, &before), RC_OK);
	erase(t, &two);
	doom(t, "app");
	assert_int_equal(meta_repository_get(t->m, APP, &after), RC_NOTFOUND);
	purge_all(t);
	mt_reopen(t);
	mt_check(t);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(meta_repository_get(t->m, APP, &after), RC_OK);
	assert_int_equal(after.id, before.id);
	assert_int_equal(after.created_ms, before.created_ms);
	assert_int_equal(
	    meta_repository_describe(t->m, APP, &t->arena, &described), RC_OK);
	assert_int_equal(described.settings.mutability, TAGS_IMMUTABLE);
	assert_int_equal(get_tag(t, "a", &row), RC_OK);
	assert_true(digest_eq(&row.manifest.digest, &d));
	assert_int_equal(count(t), 1);
	assert_int_equal(restore(t, &two, 9000, &restored), RC_OK);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 0);
	mt_check(t);
}

static void
deleted_repositories_are_told_of(void **state)
{
	struct mt *t = *state;
	struct deleted_repository_page page;
	int64_t now_ms = clock_real_ms();

	(void)image(t, "one", "a");
	(void)image(t, "two", "b");
	(void)mt_plain(t, "other", "x", NULL);
	(void)mt_plain(t, "third", "x", NULL);
	doom(t, "app");
	doom(t, "other");
	page = doomed_page(t, 0, 10);
	assert_int_equal(page.n, 2);
	assert_false(page.more);
	assert_true(span_is(page.rows[0].name, "app"));
	assert_int_equal(page.rows[0].id, 1);
	assert_int_equal(page.rows[0].images, 2);
	assert_true(page.rows[0].deleted_ms >= now_ms);
	assert_true(span_is(page.rows[1].name, "other"));
	page = doomed_page(t, 0, 1);
	assert_int_equal(page.n, 1);
	assert_true(page.more);
	page = doomed_page(t, page.rows[0].id, 1);
	assert_int_equal(page.n, 1);
	assert_false(page.more);
	assert_true(span_is(page.rows[0].name, "other"));
}

static void
the_one_of_a_name_that_was_deleted_last_comes_back(void **state)
{
	struct mt *t = *state;
	struct image_row row;

	(void)image(t, "one", "a");
	doom(t, "app");
	(void)image(t, "two", "b");
	doom(t, "app");
	assert_int_equal(
	    meta_repository_undelete(t->m, SPAN("none"), 0, 9000), RC_NOTFOUND);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(get_tag(t, "b", &row), RC_OK);
	assert_int_equal(get_tag(t, "a", &row), RC_NOTFOUND);
	assert_int_equal(
	    meta_repository_undelete(t->m, APP, 0, 9000), RC_EXISTS);
	doom(t, "app");
	assert_int_equal(doomed_page(t, 0, 10).n, 2);
	mt_check(t);
}

static void
a_repository_goes_when_its_time_is_up(void **state)
{
	struct mt *t = *state;

	(void)image(t, "one", "a");
	doom(t, "app");
	purge_all(t);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 1);
	/* The window is closed for what was deleted before, too. */
	store_undelete_set(t->s, 0);
	purge_all(t);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 0);
	assert_int_equal(rows_of(t, TABLE_BLOB_LINKS), 0);
	assert_int_equal(rows_of(t, TABLE_IDLE_LINKS), 0);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 0);
	assert_int_equal(
	    meta_repository_undelete(t->m, APP, 0, 9), RC_NOTFOUND);
	mt_check(t);
}

static void
one_that_waits_does_not_keep_others_from_going(void **state)
{
	struct mt *t = *state;

	(void)image(t, "one", "a");
	doom(t, "app");
	store_undelete_set(t->s, 0);
	(void)mt_plain(t, "other", "x", NULL);
	doom(t, "other");
	store_undelete_set(t->s, HOUR_MS);
	purge_all(t);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 1);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(count(t), 1);
}

static void
one_that_is_being_purged_does_not_come_back(void **state)
{
	struct mt *t = *state;

	(void)image(t, "one", "a");
	doom(t, "app");
	store_undelete_set(t->s, 0);
	assert_true(purge(t, 1));
	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(doomed_page(t, 0, 10).n, 0);
	assert_int_equal(
	    meta_repository_undelete(t->m, APP, 0, 9), RC_NOTFOUND);
	purge_all(t);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 0);
}

static void
one_that_was_deleted_without_a_window_does_not_come_back(void **state)
{
	struct mt *t = *state;

	(void)image(t, "one", "a");
	store_undelete_set(t->s, 0);
	doom(t, "app");
	store_undelete_set(t->s, HOUR_MS);
	assert_int_equal(doomed_page(t, 0, 10).n, 0);
	assert_int_equal(
	    meta_repository_undelete(t->m, APP, 0, 9), RC_NOTFOUND);
}

static void
a_repository_of_deleted_images_alone_is_empty(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a");
	struct repository_description described;

	assert_int_equal(
	    meta_repository_delete(t->m, APP, false, &t->arena, &described),
	    RC_REFERENCED);
	erase(t, &d);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, false, &t->arena, &described),
	    RC_OK);
}

/* Rows that say that there were so many images, which are deleted. */
#define MANY 1001

static enum rc
many_deleted(struct meta_txn *t, void *arg)
{
	const struct manifest_rec rec = {
		.flags = MANIFEST_DELETED,
		.media_type = SPAN("application/x"),
		.status = IMAGE_ACTIVE,
	};
	struct digest d = mt_digest("many");
	unsigned i;
	enum rc rc;

	for (i = 0; i < MANY; i++) {
		d.bytes[0] = 0;
		d.bytes[1] = (uint8_t)(i >> 8);
		d.bytes[2] = (uint8_t)i;
		if ((rc = manifest_save(t, 1, &d, &rec)) != RC_OK)
			return (rc);
	}
	return (image_count_put(t, 1, *(uint64_t *)arg));
}

static void
behind_very_many_deleted_images_the_count_tells(void **state)
{
	struct mt *t = *state;
	struct repository_description described;
	uint64_t n = 1;

	mt_blob(t, "app", "a blob");
	assert_int_equal(meta_change(t->m, many_deleted, &n, 0), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, false, &t->arena, &described),
	    RC_REFERENCED);
	n = 0;
	assert_int_equal(meta_change(t->m, many_deleted, &n, 0), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, false, &t->arena, &described),
	    RC_OK);
}

static void
behind_very_many_deleted_images_a_tag_tells_of_a_wrong_count(void **state)
{
	struct mt *t = *state;
	struct repository_description described;
	uint64_t n = 0;

	(void)image(t, "one", "a");
	assert_int_equal(meta_change(t->m, many_deleted, &n, 0), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, false, &t->arena, &described),
	    RC_REFERENCED);
}

static enum rc
count_spoil(struct meta_txn *t, void *arg)
{

	(void)arg;
	return (image_count_put(t, 1, 0));
}

static void
a_wrong_count_of_few_images_deletes_none(void **state)
{
	struct mt *t = *state;
	struct repository_description described;

	(void)image(t, "one", NULL);
	assert_int_equal(meta_change(t->m, count_spoil, NULL, 0), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, false, &t->arena, &described),
	    RC_REFERENCED);
}

static enum rc
doomed_date(struct meta_txn *t, void *arg)
{
	struct doomed_rec rec = {
		.deleted_ms = *(int64_t *)arg,
		.name = APP,
		.created_ms = 1000,
	};
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, 1);
	rc = kv_reserve(
	    t, TABLE_DOOMED, key_span(&k), rec_doomed_size(&rec), &p);
	if (rc == RC_OK)
		rec_doomed_write(&rec, p);
	return (rc);
}

static void
a_repository_that_a_clock_ahead_deleted_waits_from_now_on(void **state)
{
	const int64_t now_ms = clock_real_ms();
	struct mt *t = *state;
	int64_t then_ms = now_ms + 365 * 24 * HOUR_MS;
	struct deleted_repository_page page;

	(void)image(t, "one", "a");
	doom(t, "app");
	assert_int_equal(meta_change(t->m, doomed_date, &then_ms, 0), RC_OK);
	purge_all(t);
	assert_int_equal(doomed_page(t, 0, 10).rows[0].deleted_ms, then_ms);
	gc_grace_set(t->s, 0);
	purge_all(t);
	page = doomed_page(t, 0, 10);
	assert_int_equal(page.n, 1);
	assert_in_range(page.rows[0].deleted_ms, now_ms, clock_real_ms());
	mt_check(t);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	mt_check(t);
}

static void
a_purge_takes_deleted_images_and_queues_along(void **state)
{
	static const enum meta_table tables[] = { TABLE_MANIFESTS,
		TABLE_BLOB_LINKS, TABLE_HOLDERS, TABLE_EDGES, TABLE_PARENTS,
		TABLE_IDLE_LINKS, TABLE_DELETED_IMAGES, TABLE_DELETED_QUEUE,
		TABLE_ACTIVATIONS, TABLE_LIFECYCLE_POLICIES,
		TABLE_LIFECYCLE_RUNS, TABLE_LIFECYCLE_QUEUE, TABLE_IMAGE_SCANS,
		TABLE_SCAN_QUEUE, TABLE_DOOMED };
	const struct lifecycle_result result = { .revision = 1,
		.outcome = LIFECYCLE_DONE,
		.started_ms = 1,
		.ended_ms = 2 };
	const struct mt_image three = {
		.repo = "app", .text = "three", .scan = true, .scannable = true
	};
	struct mt *t = *state;
	struct digest d = image(t, "one", "a"), two = image(t, "two", "b");
	struct digest layer = mt_digest("layer of two");
	struct image_restored restored;
	size_t i;

	(void)mt_image(t, &three);
	erase(t, &d);
	erase(t, &two);
	assert_int_equal(meta_change(t->m, to_archive, &layer, 0), RC_OK);
	assert_int_equal(restore(t, &two, 9000, &restored), RC_OK);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 1);
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{}"), 1, NULL), RC_OK);
	assert_int_equal(meta_lifecycle_result_put(t->m, APP, &result), RC_OK);
	doom(t, "app");
	store_undelete_set(t->s, 0);
	while (purge(t, 2))
		mt_check(t);
	for (i = 0; i < ARRAY_LEN(tables); i++)
		assert_int_equal(rows_of(t, tables[i]), 0);
	mt_check(t);
}

static void
a_scan_that_waited_goes_on_in_a_repository_that_came_back(void **state)
{
	const struct mt_image one = {
		.repo = "app", .text = "one", .scan = true, .scannable = true
	};
	struct mt *t = *state;
	struct scan_job job;

	(void)mt_image(t, &one);
	doom(t, "app");
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_NOTFOUND);
	assert_int_equal(rows_of(t, TABLE_SCAN_QUEUE), 0);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_true(span_is(job.repository, "app"));
	mt_check(t);
}

#define SCANS 2500

static enum rc
many_scans(struct meta_txn *t, void *arg)
{
	struct scan_start start = { .now_ms = 1000 };
	unsigned i;
	enum rc rc;

	(void)arg;
	start.digest = mt_digest("many");
	for (i = 0; i < SCANS; i++) {
		start.digest.bytes[1] = (uint8_t)(i >> 8);
		start.digest.bytes[2] = (uint8_t)i;
		if ((rc = scan_begin(t, 1, &start)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static void
very_many_scans_that_waited_go_on(void **state)
{
	struct mt *t = *state;
	struct scan_job job;
	uint64_t n;

	(void)mt_blob(t, "app", "a blob");
	assert_int_equal(meta_change(t->m, many_scans, NULL, 0), RC_OK);
	doom(t, "app");
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_NOTFOUND);
	n = rows_of(t, TABLE_SCAN_QUEUE);
	assert_int_equal(n, 0);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(rows_of(t, TABLE_SCAN_QUEUE), SCANS);
}

static void
a_policy_waits_anew_in_a_repository_that_came_back(void **state)
{
	struct mt *t = *state;
	struct lifecycle_due_page page;

	(void)image(t, "one", "a");
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{}"), 1000, NULL), RC_OK);
	doom(t, "app");
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(rows_of(t, TABLE_LIFECYCLE_QUEUE), 1);
	assert_int_equal(
	    meta_lifecycle_due_page(t->m, 8999, NULL, 10, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
	assert_int_equal(
	    meta_lifecycle_due_page(t->m, 9000, NULL, 10, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	mt_check(t);
}

static void
deleted_images_of_a_deleted_repository_go_in_their_time(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one", "a"), two = image(t, "two", "b");
	struct image_restored restored;
	bool more;

	erase_at(t, &d, 5000);
	erase_at(t, &two, 7000);
	doom(t, "app");
	assert_int_equal(expire(t, 6000, 10, &more), 1);
	mt_check(t);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(restore(t, &d, 9000, &restored), RC_NOTFOUND);
	assert_int_equal(restore(t, &two, 9000, &restored), RC_OK);
	mt_check(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_window_an_image_is_gone_at_once),
		TEST(a_deleted_image_is_out_of_everybodys_sight),
		TEST(a_deleted_image_is_told_of),
		TEST(pages_of_deleted_images_are_in_order_and_whole),
		TEST(an_image_comes_back_as_it_was),
		TEST(a_digest_that_was_never_there_is_not_restored),
		TEST(however_it_was_deleted_it_comes_back),
		TEST(of_several_that_had_a_tag_the_one_deleted_last_comes_back),
		TEST(a_tag_that_is_taken_stays_where_it_is),
		TEST(what_is_pushed_again_is_new),
		TEST(a_push_of_what_was_deleted_is_scanned_as_a_new_one),
		TEST(deleted_images_are_not_of_the_quota),
		TEST(a_count_that_is_made_anew_leaves_deleted_images_out),
		TEST(a_referrer_leaves_the_list_and_comes_back_to_it),
		TEST(
		    a_deleted_index_holds_nobody_and_comes_back_with_its_images),
		TEST(an_index_does_not_come_back_without_an_image_it_needs),
		TEST(an_image_that_an_index_never_had_is_not_missed),
		TEST(an_image_does_not_come_back_without_a_blob_it_needs),
		TEST(
		    an_index_of_which_not_all_can_be_looked_at_does_not_come_back),
		TEST(layers_are_not_what_an_index_may_need_so_many_of),
		TEST(what_is_too_deep_comes_back_from_below),
		TEST(an_archived_image_comes_back_archived),
		TEST(an_index_gets_back_what_was_archived_meanwhile),
		TEST(one_whose_content_is_in_the_archive_waits_for_it),
		TEST(those_deleted_first_go_first_and_none_before_its_time),
		TEST(one_that_came_back_does_not_go),
		TEST(what_is_queued_for_another_time_leaves_the_queue_alone),
		TEST(what_an_index_needs_is_restored_in_place_of_going),
		TEST(what_an_index_came_without_goes),
		TEST(what_cannot_be_restored_for_an_index_is_kept),
		TEST(one_that_is_damaged_keeps_nobody_from_going),
		TEST(
		    what_was_deleted_by_a_clock_that_was_ahead_waits_from_now_on),
		TEST(
		    links_that_only_deleted_images_needed_wait_for_the_collector),
		TEST(a_repository_comes_back_with_all_that_was_in_it),
		TEST(deleted_repositories_are_told_of),
		TEST(the_one_of_a_name_that_was_deleted_last_comes_back),
		TEST(a_repository_goes_when_its_time_is_up),
		TEST(one_that_waits_does_not_keep_others_from_going),
		TEST(one_that_is_being_purged_does_not_come_back),
		TEST(one_that_was_deleted_without_a_window_does_not_come_back),
		TEST(a_repository_of_deleted_images_alone_is_empty),
		TEST(behind_very_many_deleted_images_the_count_tells),
		TEST(
		    behind_very_many_deleted_images_a_tag_tells_of_a_wrong_count),
		TEST(a_wrong_count_of_few_images_deletes_none),
		TEST(a_repository_that_a_clock_ahead_deleted_waits_from_now_on),
		TEST(a_purge_takes_deleted_images_and_queues_along),
		TEST(a_scan_that_waited_goes_on_in_a_repository_that_came_back),
		TEST(very_many_scans_that_waited_go_on),
		TEST(a_policy_waits_anew_in_a_repository_that_came_back),
		TEST(deleted_images_of_a_deleted_repository_go_in_their_time),
	};

	return (cmocka_run_group_tests_name("deleted", tests, NULL, NULL));
}
