#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/meta_ops_int.h"

/*
 * Manifests as images: listed, counted, deleted, archived, scanned; and what
 * quotas and settings make of a push.
 */
#define APP SPAN("app")

/* An image with a config and a layer of its own, 14 bytes together. */
static struct digest
image(struct mt *t, const char *repo, const char *text, const char *tag)
{
	char config_text[64], layer_text[64];
	struct descriptor edges[2];
	struct mt_image image = {
		.repo = repo,
		.text = text,
		.tag = tag,
		.edges = edges,
		.n_edges = 2,
	};
	struct digest config, layer;

	(void)snprintf(config_text, sizeof(config_text), "config of %s", text);
	(void)snprintf(layer_text, sizeof(layer_text), "layer of %s", text);
	config = mt_blob(t, repo, config_text);
	layer = mt_blob(t, repo, layer_text);
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

static void
tag(struct mt *t, const char *text, const char *name)
{
	(void)image(t, "app", text, name);
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

static uint64_t
count(struct mt *t, const char *repo)
{
	uint64_t n;

	assert_int_equal(meta_image_count(t->m, span_of(repo), &n), RC_OK);
	return (n);
}

static enum rc
status_set(struct mt *t, const struct digest *d, enum image_status status,
    int64_t now_ms, struct holding *holding_r)
{
	const struct reference ref = by_digest(d);
	struct image_row row;

	return (meta_image_status_set(
	    t->m, APP, &ref, status, now_ms, &t->arena, &row, holding_r));
}

static void
archive(struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(
	    status_set(t, d, IMAGE_ARCHIVED, 7000, &holding), RC_OK);
}

/* Rows as an older version wrote them. */

struct old_rows {
	const struct digest *d;
	size_t n;
};

static enum rc
rows_make_old(struct meta_txn *t, void *arg)
{
	const struct old_rows *old = arg;
	struct manifest_rec rec;
	uint8_t copy[1024];
	struct rec_key k;
	struct span value;
	size_t i;

	for (i = 0; i < old->n; i++) {
		key_repo_digest(&k, 1, &old->d[i]);
		must(kv_get(t, TABLE_MANIFESTS, key_span(&k), &value) == RC_OK);
		must(rec_manifest_read(value, &rec));
		rec_manifest_write(&rec, copy);
		copy[0] = 1;
		must(kv_put(t, TABLE_MANIFESTS, key_span(&k),
			 (struct span){ (char *)copy, value.n - 25 }) == RC_OK);
	}
	key_repo(&k, 1);
	return (kv_delete(t, TABLE_IMAGE_COUNTS, key_span(&k)));
}

static void
make_old(struct mt *t, const struct digest *d, size_t n)
{
	struct old_rows old = { d, n };

	assert_int_equal(meta_change(t->m, rows_make_old, &old, 0), RC_OK);
}

/* --- one ----------------------------------------------------------------- */

static void
an_image_is_told_with_its_tags_and_size(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "b");
	const struct reference ref = by_tag("a");
	struct image_row row;

	tag(t, "one", "a");
	tag(t, "two", "c");
	meta_manifest_pulled(t->m, APP, &d, 3000);
	tag(t, "one", "ba");
	assert_int_equal(
	    meta_image_get(t->m, APP, &ref, &t->arena, &row), RC_OK);
	assert_true(digest_eq(&row.manifest.digest, &d));
	assert_int_equal(row.manifest.size_bytes, 3);
	assert_int_equal(row.manifest.pushed_ms, 1000);
	assert_false(row.manifest.archived);
	assert_true(span_is(row.manifest.media_type, MEDIA_OCI_MANIFEST));
	assert_int_equal(row.kind, MANIFEST_IMAGE);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(row.n_tags, 3);
	assert_true(span_is(row.tags[0], "a"));
	assert_true(span_is(row.tags[1], "b"));
	assert_true(span_is(row.tags[2], "ba"));
	assert_int_equal(row.scan.status, SCAN_NONE);
	assert_int_equal(row.archived_ms, 0);
	assert_int_equal(row.activated_ms, 0);
}

static void
what_is_not_there_is_not_told(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_digest("nothing");
	struct reference ref = by_tag("none");
	struct image_row row;
	uint64_t n;

	(void)image(t, "app", "one", NULL);
	assert_int_equal(get(t, &d, &row), RC_NOTFOUND);
	assert_int_equal(
	    meta_image_get(t->m, APP, &ref, &t->arena, &row), RC_NOTFOUND);
	assert_int_equal(
	    meta_image_get(t->m, SPAN("no"), &ref, &t->arena, &row),
	    RC_NOTFOUND);
	assert_int_equal(meta_image_count(t->m, SPAN("no"), &n), RC_NOTFOUND);
}

static void
an_index_takes_as_much_as_its_largest_child(void **state)
{
	struct mt *t = *state;
	struct digest d[2] = { mt_plain(t, "app", "empty", NULL),
		image(t, "app", "one", NULL) };
	struct digest empty, both, nested;
	struct image_row row;

	empty = index_of(t, "empty index", d, 0, SPARSE_NONE);
	both = index_of(t, "index", d, 2, SPARSE_NONE);
	nested = index_of(t, "nested", &both, 1, SPARSE_NONE);
	assert_int_equal(get(t, &empty, &row), RC_OK);
	assert_int_equal(row.image_bytes, 0);
	assert_int_equal(row.kind, MANIFEST_INDEX);
	assert_int_equal(get(t, &both, &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(get(t, &nested, &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
}

static void
a_child_that_comes_later_counts_too(void **state)
{
	struct mt *t = *state;
	struct digest d[2] = { mt_plain(t, "app", "empty", NULL),
		mt_digest("one") };
	struct digest both = index_of(t, "index", d, 2, SPARSE_INDEX);
	struct digest nested = index_of(t, "nested", &both, 1, SPARSE_NONE);
	struct image_row row;

	assert_int_equal(get(t, &both, &row), RC_OK);
	assert_int_equal(row.image_bytes, 0);
	(void)image(t, "app", "one", NULL);
	assert_int_equal(get(t, &both, &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(get(t, &nested, &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
}

/* A config that is a layer as well, as artifacts have it. */
static void
what_an_older_version_took_in_is_added_up(void **state)
{
	struct mt *t = *state;
	struct digest blob = mt_blob(t, "app", "{}"), d[3];
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &blob),
		mt_edge(EDGE_LAYER, &blob) };
	const struct mt_image artifact = {
		.repo = "app", .text = "artifact", .edges = edges, .n_edges = 2
	};
	struct image_row row;

	d[0] = image(t, "app", "one", "v1");
	d[1] = mt_image(t, &artifact);
	d[2] = index_of(t, "index", d, 2, SPARSE_NONE);
	make_old(t, d, 3);
	assert_int_equal(get(t, &d[0], &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(row.archived_ms, 0);
	assert_int_equal(get(t, &d[1], &row), RC_OK);
	assert_int_equal(row.image_bytes, 7);
	assert_int_equal(get(t, &d[2], &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(count(t, "app"), 3);
	/* A pull writes the row anew. */
	meta_manifest_pulled(t->m, APP, &d[0], 3000);
	mt_reopen(t);
	assert_int_equal(get(t, &d[0], &row), RC_OK);
	assert_int_equal(row.manifest.pulled_ms, 3000);
	assert_int_equal(row.image_bytes, 14);
	/* And an index of them is pushed. */
	d[0] = index_of(t, "another", d, 3, SPARSE_NONE);
	assert_int_equal(get(t, &d[0], &row), RC_OK);
	assert_int_equal(row.image_bytes, 14);
	assert_int_equal(count(t, "app"), 4);
	mt_check(t);
}

/* --- pages --------------------------------------------------------------- */

#define MANY 1300 /* more than one read looks at */

static const char *
many_text(unsigned i)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "many %04u", i);
	return (text);
}

static int
digest_order(const void *a, const void *b)
{
	return (digest_cmp(a, b));
}

/* In the order of lists; every tenth has two tags. */
static struct digest *
many_push(struct mt *t)
{
	struct digest *d = xcalloc(MANY, sizeof(*d));
	char name[32];
	unsigned i;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "t%u", i);
		d[i] =
		    mt_plain(t, "app", many_text(i), i % 10 == 0 ? name : NULL);
		(void)snprintf(name, sizeof(name), "u%u", i);
		if (i % 10 == 0)
			(void)mt_plain(t, "app", many_text(i), name);
	}
	qsort(d, MANY, sizeof(*d), digest_order);
	return (d);
}

static void
pages_are_in_order_and_whole_from_wherever_they_start(void **state)
{
	struct mt *t = *state;
	struct digest *d = many_push(t), after;
	struct image_query q = { .repository = APP, .max_rows = 700 };
	struct image_page page;
	size_t i, n = 0;

	for (;;) {
		assert_int_equal(
		    meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
		for (i = 0; i < page.n; i++)
			assert_true(
			    digest_eq(&page.rows[i].manifest.digest, &d[n++]));
		if (!page.more)
			break;
		assert_int_equal(page.n, 700);
		after = page.last;
		assert_true(digest_eq(&after, &d[n - 1]));
		q.after = &after;
	}
	assert_int_equal(n, MANY);
	/* A full page that is the last one. */
	q.max_rows = 5;
	q.after = &d[MANY - 6];
	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 5);
	assert_false(page.more);
	/* Nothing behind the last. */
	q.after = &d[MANY - 1];
	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_false(page.more);
	free(d);
}

static void
a_page_starts_where_an_image_was_that_is_gone(void **state)
{
	struct mt *t = *state;
	struct digest *d = many_push(t);
	const struct image_query q = {
		.repository = APP, .after = &d[10], .max_rows = 1
	};
	struct image_page page;
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &d[10], &holding), RC_OK);
	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(digest_eq(&page.rows[0].manifest.digest, &d[11]));
	free(d);
}

static size_t
list_all(struct mt *t, struct image_query *q, size_t *pages_r)
{
	struct image_page page;
	struct digest after;
	size_t n = 0;

	*pages_r = 0;
	do {
		assert_int_equal(
		    meta_image_page(t->m, q, &t->arena, &page), RC_OK);
		n += page.n;
		(*pages_r)++;
		after = page.last;
		q->after = &after;
	} while (page.more);
	q->after = NULL;
	return (n);
}

static void
filters_take_what_they_say(void **state)
{
	struct mt *t = *state;
	struct digest *d = many_push(t);
	struct image_query q = { .repository = APP, .max_rows = 100 };
	size_t pages;

	q.tagged = IMAGES_TAGGED;
	assert_int_equal(list_all(t, &q, &pages), MANY / 10);
	assert_int_equal(pages, 2);
	q.tagged = IMAGES_UNTAGGED;
	assert_int_equal(list_all(t, &q, &pages), MANY - MANY / 10);
	q.tagged = IMAGES_ANY;
	archive(t, &d[3]);
	archive(t, &d[1200]);
	q.statuses = IMAGE_STATUS_BIT(IMAGE_ARCHIVED);
	assert_int_equal(list_all(t, &q, &pages), 2);
	assert_int_equal(pages, 1);
	q.statuses = IMAGE_STATUS_BIT(IMAGE_ACTIVE);
	assert_int_equal(list_all(t, &q, &pages), MANY - 2);
	q.statuses |= IMAGE_STATUS_BIT(IMAGE_ARCHIVED);
	assert_int_equal(list_all(t, &q, &pages), MANY);
	free(d);
}

static void
a_page_looks_at_no_more_than_it_may(void **state)
{
	struct mt *t = *state;
	struct digest *d = many_push(t);
	struct image_query q = {
		.repository = APP,
		.statuses = IMAGE_STATUS_BIT(IMAGE_ARCHIVED),
		.max_rows = 10,
		.max_looked = 100,
	};
	struct image_page page;
	size_t pages;

	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_true(page.more);
	assert_true(digest_eq(&page.last, &d[99]));
	archive(t, &d[650]);
	assert_int_equal(list_all(t, &q, &pages), 1);
	assert_int_equal(pages, MANY / 100);
	free(d);
}

static size_t
ids_all(struct mt *t, struct image_query *q, struct image_id *ids, size_t max)
{
	struct image_id_page page;
	struct image_id last;
	size_t n = 0;

	do {
		assert_int_equal(
		    meta_image_id_page(t->m, q, &t->arena, &page), RC_OK);
		assert_true(page.n <= q->max_rows && n + page.n <= max);
		if (page.n > 0)
			memcpy(&ids[n], page.rows, page.n * sizeof(*ids));
		n += page.n;
		last = page.last;
		q->after = &last.digest;
		q->after_tag = last.tag;
	} while (page.more);
	q->after = NULL;
	return (n);
}

static void
ids_are_told_once_each_whatever_the_page(void **state)
{
	struct mt *t = *state;
	struct digest *d = many_push(t);
	struct image_query q = { .repository = APP };
	struct image_id *ids = xcalloc(2 * MANY, sizeof(*ids));
	static const size_t sizes[] = { 1, 2, 3, 100, 10000 };
	size_t i, k, n;

	for (k = 0; k < ARRAY_LEN(sizes); k++) {
		q.max_rows = sizes[k];
		n = ids_all(t, &q, ids, 2 * MANY);
		assert_int_equal(n, MANY + MANY / 10);
		for (i = 1; i < n; i++)
			assert_true(digest_cmp(&ids[i - 1].digest,
					&ids[i].digest) < 0 ||
				    span_cmp(ids[i - 1].tag, ids[i].tag) < 0);
	}
	q.tagged = IMAGES_TAGGED;
	assert_int_equal(ids_all(t, &q, ids, 2 * MANY), MANY / 5);
	assert_non_null(ids[0].tag.p);
	q.tagged = IMAGES_UNTAGGED;
	assert_int_equal(ids_all(t, &q, ids, 2 * MANY), MANY - MANY / 10);
	assert_null(ids[0].tag.p);
	free(ids);
	free(d);
}

/* Three tags on one image, cut after the first; then they go. */
static void
a_list_of_ids_goes_on_within_an_image(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct image_query q = {
		.repository = APP, .after = &d, .max_rows = 9
	};
	struct image_id_page page;

	tag(t, "one", "b");
	tag(t, "one", "c");
	q.after_tag = SPAN("a");
	assert_int_equal(meta_image_id_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 2);
	assert_true(span_is(page.rows[0].tag, "b"));
	/* A tag that is gone still says where. */
	assert_int_equal(meta_tag_delete(t->m, APP, SPAN("a")), RC_OK);
	assert_int_equal(meta_tag_delete(t->m, APP, SPAN("b")), RC_OK);
	assert_int_equal(meta_image_id_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(span_is(page.rows[0].tag, "c"));
	/* Seen with a tag, so not told again as one without. */
	assert_int_equal(meta_tag_delete(t->m, APP, SPAN("c")), RC_OK);
	assert_int_equal(meta_image_id_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	q.after = NULL;
	q.after_tag = SPAN_NONE;
	assert_int_equal(meta_image_id_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 1);
	assert_null(page.rows[0].tag.p);
	q.repository = SPAN("no");
	assert_int_equal(
	    meta_image_id_page(t->m, &q, &t->arena, &page), RC_NOTFOUND);
}

/* --- counting ------------------------------------------------------------ */

static void
the_count_follows_every_change(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "v1");
	struct repository_description description;
	struct image_deleted deleted;
	struct holding holding;
	bool more;

	assert_int_equal(count(t, "app"), 1);
	tag(t, "one", "v2");
	assert_int_equal(count(t, "app"), 1);
	(void)mt_plain(t, "app", "two", NULL);
	assert_int_equal(count(t, "app"), 2);
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	assert_int_equal(count(t, "app"), 1);
	d = mt_digest("two");
	assert_int_equal(
	    meta_image_delete(t->m,
		&(struct image_delete){
		    .repository = APP, .has_digest = true, .digest = d },
		&t->arena, &deleted),
	    RC_OK);
	assert_int_equal(count(t, "app"), 0);
	(void)mt_plain(t, "app", "two", NULL);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &description),
	    RC_OK);
	(void)mt_blob(t, "app", "x");
	assert_int_equal(count(t, "app"), 0);
	assert_int_equal(meta_repository_purge(t->m, 1000, NULL, &more), RC_OK);
	assert_false(more);
	assert_int_equal(count(t, "app"), 0);
	mt_check(t);
}

static void
a_repository_of_before_is_counted_when_it_changes(void **state)
{
	struct mt *t = *state;
	struct digest *d = many_push(t);
	struct holding holding;

	make_old(t, d, MANY);
	assert_int_equal(count(t, "app"), MANY);
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &d[5], &holding), RC_OK);
	assert_int_equal(count(t, "app"), MANY - 1);
	mt_check(t);
	free(d);
}

static enum rc
count_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_repo(&k, 1);
	return (kv_put(t, TABLE_IMAGE_COUNTS, key_span(&k), SPAN("\1?")));
}

static void
a_count_that_cannot_be_read_is_made_anew(void **state)
{
	struct mt *t = *state;

	(void)mt_plain(t, "app", "one", NULL);
	(void)mt_plain(t, "app", "two", NULL);
	assert_int_equal(meta_change(t->m, count_spoil, NULL, 0), RC_OK);
	assert_int_equal(count(t, "app"), 2);
	(void)mt_plain(t, "app", "three", NULL);
	assert_int_equal(count(t, "app"), 3);
	mt_check(t);
}

/* --- deleting ------------------------------------------------------------ */

static enum rc
delete(struct mt *t, const struct digest *d, const char *name,
    struct image_deleted *deleted_r)
{
	struct image_delete del = {
		.repository = APP,
		.has_digest = d != NULL,
		.tag = mt_span(name),
	};

	if (d != NULL)
		del.digest = *d;
	return (meta_image_delete(t->m, &del, &t->arena, deleted_r));
}

static void
a_tag_takes_the_image_with_it_when_it_is_the_last(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct image_deleted deleted;
	struct image_row row;

	tag(t, "one", "b");
	assert_int_equal(delete (t, NULL, "a", &deleted), RC_OK);
	assert_true(digest_eq(&deleted.digest, &d));
	assert_false(deleted.image);
	assert_int_equal(deleted.n_tags, 1);
	assert_true(span_is(deleted.tags[0], "a"));
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.n_tags, 1);
	assert_int_equal(delete (t, &d, "b", &deleted), RC_OK);
	assert_true(deleted.image);
	assert_int_equal(deleted.n_tags, 1);
	assert_int_equal(get(t, &d, &row), RC_NOTFOUND);
	mt_check(t);
}

static void
by_digest_an_image_goes_with_all_its_tags(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct image_deleted deleted;
	struct manifest_row row;

	tag(t, "one", "b");
	tag(t, "two", "c");
	assert_int_equal(delete (t, &d, NULL, &deleted), RC_OK);
	assert_true(deleted.image);
	assert_int_equal(deleted.n_tags, 2);
	assert_true(span_is(deleted.tags[0], "a"));
	assert_true(span_is(deleted.tags[1], "b"));
	assert_int_equal(mt_get(t, "app", "a", &row), RC_NOTFOUND);
	assert_int_equal(mt_get(t, "app", "c", &row), RC_OK);
	assert_int_equal(delete (t, &d, NULL, &deleted), RC_NOTFOUND);
	assert_true(digest_eq(&deleted.digest, &d));
	mt_check(t);
}

static void
a_tag_of_another_digest_is_not_deleted(void **state)
{
	struct mt *t = *state;
	struct digest one = image(t, "app", "one", "a");
	struct digest two = image(t, "app", "two", "b");
	struct image_deleted deleted;
	struct manifest_row row;

	assert_int_equal(delete (t, &two, "a", &deleted), RC_DIGEST);
	assert_true(digest_eq(&deleted.digest, &one));
	assert_int_equal(delete (t, &two, "x", &deleted), RC_NOTFOUND);
	assert_int_equal(delete (t, NULL, "x", &deleted), RC_NOTFOUND);
	assert_int_equal(deleted.n_tags, 0);
	assert_int_equal(mt_get(t, "app", "a", &row), RC_OK);
	mt_check(t);
}

static void
an_image_that_an_index_holds_stays_and_so_does_its_last_tag(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct digest index = index_of(t, "index", &d, 1, SPARSE_NONE);
	struct image_deleted deleted;
	struct manifest_row row;

	tag(t, "one", "b");
	assert_int_equal(delete (t, &d, NULL, &deleted), RC_REFERENCED);
	assert_int_equal(deleted.holding.n, 1);
	assert_true(digest_eq(&deleted.holding.by[0], &index));
	assert_int_equal(deleted.n_tags, 0);
	/* Not the last one. */
	assert_int_equal(delete (t, NULL, "b", &deleted), RC_OK);
	assert_int_equal(delete (t, NULL, "a", &deleted), RC_REFERENCED);
	assert_false(deleted.image);
	assert_int_equal(mt_get(t, "app", "a", &row), RC_OK);
	assert_int_equal(delete (t, &index, NULL, &deleted), RC_OK);
	assert_int_equal(delete (t, NULL, "a", &deleted), RC_OK);
	assert_int_equal(count(t, "app"), 0);
	mt_check(t);
}

/* --- archived ------------------------------------------------------------ */

static void
an_archived_image_says_so_and_comes_back(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	const struct reference ref = by_tag("a");
	struct manifest_row manifest;
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, IMAGE_ARCHIVED,
			     5000, &t->arena, &row, &holding),
	    RC_OK);
	assert_true(row.manifest.archived);
	assert_int_equal(row.archived_ms, 5000);
	assert_int_equal(row.activated_ms, 0);
	assert_int_equal(row.n_tags, 1);
	assert_int_equal(row.image_bytes, 14);
	mt_reopen(t);
	assert_int_equal(mt_get(t, "app", "a", &manifest), RC_OK);
	assert_true(manifest.archived);
	/* Again: as it was. */
	assert_int_equal(
	    status_set(t, &d, IMAGE_ARCHIVED, 6000, &holding), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.archived_ms, 5000);
	assert_int_equal(
	    status_set(t, &d, IMAGE_ACTIVE, 7000, &holding), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_false(row.manifest.archived);
	assert_int_equal(row.archived_ms, 5000);
	assert_int_equal(row.activated_ms, 7000);
	d = mt_digest("nothing");
	assert_int_equal(
	    status_set(t, &d, IMAGE_ACTIVE, 1, &holding), RC_NOTFOUND);
	mt_check(t);
}

static void
what_an_index_needs_is_archived_after_it(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct digest first = index_of(t, "index", &d, 1, SPARSE_NONE);
	struct digest second = index_of(t, "another", &d, 1, SPARSE_NONE);
	struct holding holding;

	assert_int_equal(
	    status_set(t, &d, IMAGE_ARCHIVED, 1, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, 2);
	archive(t, &first);
	assert_int_equal(
	    status_set(t, &d, IMAGE_ARCHIVED, 1, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, 1);
	assert_true(digest_eq(&holding.by[0], &second));
	archive(t, &second);
	archive(t, &d);
}

/* Pushed without its child, which is archived. */
static enum rc
index_put(struct mt *t, const char *text, const struct digest *child,
    enum sparse sparse, struct manifest_put_result *result_r)
{
	struct descriptor edge = mt_edge(EDGE_MANIFEST, child);
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.edges = &edge,
		.n_edges = 1,
		.sparse = sparse,
		.index = true,
		.now_ms = 9000,
	};
	struct digest d;

	return (mt_put(t, &image, &d, result_r));
}

static bool
archived(struct mt *t, const struct digest *d)
{
	struct image_row row;

	assert_int_equal(get(t, d, &row), RC_OK);
	return (row.manifest.archived);
}

static void
an_index_does_not_come_over_an_image_that_is_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct manifest_put_result result;

	archive(t, &d);
	assert_int_equal(
	    index_put(t, "index", &d, SPARSE_NONE, &result), RC_MISSING);
	assert_int_equal(result.n_missing, 1);
	assert_int_equal(result.missing_kind, EDGE_MANIFEST);
	assert_true(digest_eq(&result.missing[0], &d));
	assert_true(archived(t, &d));
	/* Where children need not be there, it may be. */
	assert_int_equal(
	    index_put(t, "sparse", &d, SPARSE_INDEX, &result), RC_OK);
	assert_true(archived(t, &d));
	/* Pushed first, as clients do, it is here again. */
	(void)image(t, "app", "one", "a");
	assert_int_equal(
	    index_put(t, "index", &d, SPARSE_NONE, &result), RC_OK);
	mt_check(t);
}

static int64_t
activated(struct mt *t, const struct digest *d)
{
	struct image_row row;

	assert_int_equal(get(t, d, &row), RC_OK);
	assert_false(row.manifest.archived);
	return (row.activated_ms);
}

static void
an_index_is_restored_with_its_images(void **state)
{
	struct mt *t = *state;
	struct digest one = image(t, "app", "one", "a");
	struct digest two = image(t, "app", "two", "b");
	struct digest inner = index_of(t, "inner", &one, 1, SPARSE_NONE);
	const struct digest children[] = { inner, two };
	struct digest outer = index_of(t, "outer", children, 2, SPARSE_NONE);
	struct manifest_put_result result;
	struct holding holding;

	archive(t, &outer);
	archive(t, &inner);
	archive(t, &one);
	assert_int_equal(
	    status_set(t, &outer, IMAGE_ACTIVE, 8000, &holding), RC_OK);
	assert_int_equal(activated(t, &outer), 8000);
	assert_int_equal(activated(t, &inner), 8000);
	assert_int_equal(activated(t, &one), 8000);
	/* It had not been archived. */
	assert_int_equal(activated(t, &two), 0);
	archive(t, &outer);
	archive(t, &inner);
	archive(t, &one);
	assert_int_equal(
	    index_put(t, "inner", &one, SPARSE_NONE, &result), RC_OK);
	assert_int_equal(activated(t, &inner), 9000);
	assert_int_equal(activated(t, &one), 9000);
	assert_true(archived(t, &outer));
	mt_check(t);
}

static void
an_index_is_restored_no_deeper_than_is_said(void **state)
{
	struct mt *t = *state;
	struct digest chain[IMAGE_DEPTH_MAX + 2];
	struct holding holding;
	char text[32];
	size_t i;

	chain[0] = image(t, "app", "one", "a");
	for (i = 1; i < ARRAY_LEN(chain); i++) {
		(void)snprintf(text, sizeof(text), "index %zu", i);
		chain[i] = index_of(t, text, &chain[i - 1], 1, SPARSE_NONE);
	}
	for (i = ARRAY_LEN(chain); i > 0; i--)
		archive(t, &chain[i - 1]);
	assert_int_equal(status_set(t, &chain[ARRAY_LEN(chain) - 1],
			     IMAGE_ACTIVE, 8000, &holding),
	    RC_OK);
	for (i = 1; i < ARRAY_LEN(chain); i++)
		assert_int_equal(activated(t, &chain[i]), 8000);
	assert_true(archived(t, &chain[0]));
	/* From further down. */
	assert_int_equal(
	    status_set(t, &chain[1], IMAGE_ACTIVE, 8100, &holding), RC_OK);
	assert_int_equal(activated(t, &chain[0]), 8100);
	assert_int_equal(activated(t, &chain[1]), 8000);
}

static void
an_image_is_restored_below_an_index_that_never_went(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct digest index = mt_digest("index");
	struct manifest_put_result result;
	struct holding holding;

	archive(t, &d);
	assert_int_equal(
	    index_put(t, "index", &d, SPARSE_INDEX, &result), RC_OK);
	assert_int_equal(
	    status_set(t, &index, IMAGE_ACTIVE, 8000, &holding), RC_OK);
	assert_int_equal(activated(t, &d), 8000);
	assert_int_equal(activated(t, &index), 0);
}

static void
a_push_restores_what_was_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct manifest_put_result result;
	struct mt_image again = { .repo = "app",
		.text = "one",
		.tag = "a",
		.must_change = true,
		.now_ms = 9000 };
	struct image_row row;

	assert_int_equal(mt_put(t, &again, &d, &result), RC_REFERENCED);
	assert_true(result.existed);
	archive(t, &d);
	assert_int_equal(mt_put(t, &again, &d, &result), RC_OK);
	assert_true(result.existed);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_false(row.manifest.archived);
	assert_int_equal(row.manifest.pushed_ms, 1000);
	assert_int_equal(row.archived_ms, 7000);
	assert_int_equal(row.activated_ms, 9000);
	assert_int_equal(count(t, "app"), 1);
	/* Once it is, it is here again. */
	assert_int_equal(mt_put(t, &again, &d, &result), RC_REFERENCED);
}

/* As mt_image() of image(), whatever comes of it. */
static enum rc
push_again(struct mt *t, const char *text, enum sparse sparse)
{
	char config_text[64], layer_text[64];
	struct manifest_put_result result;
	struct digest config, layer, d;
	struct descriptor edges[2];
	const struct mt_image again = {
		.repo = "app",
		.text = text,
		.edges = edges,
		.n_edges = 2,
		.sparse = sparse,
		.scan = true,
		.scannable = true,
		.now_ms = 9000,
	};

	(void)snprintf(config_text, sizeof(config_text), "config of %s", text);
	(void)snprintf(layer_text, sizeof(layer_text), "layer of %s", text);
	config = mt_digest(config_text);
	layer = mt_digest(layer_text);
	edges[0] = mt_edge(EDGE_CONFIG, &config);
	edges[1] = mt_edge(EDGE_LAYER, &layer);
	return (mt_put(t, &again, &d, &result));
}

static bool
idle(struct mt *t, const char *text)
{
	struct digest d = mt_digest(text);
	struct blob_row row;

	assert_int_equal(meta_blob_get(t->m, APP, &d, BLOB_ROW, READ_BLOCKING,
			     &t->arena, &row),
	    RC_OK);
	return (row.idle);
}

static void
what_an_image_needs_is_in_use_while_it_is_active(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct image_deleted deleted;
	struct image_row row;

	assert_int_equal(push_again(t, "one", SPARSE_NONE), RC_OK);
	assert_false(idle(t, "layer of one"));
	archive(t, &d);
	assert_true(idle(t, "layer of one"));
	assert_int_equal(push_again(t, "one", SPARSE_NONE), RC_OK);
	assert_false(idle(t, "layer of one"));
	assert_false(idle(t, "config of one"));
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	/* It is not new. */
	assert_int_equal(row.scan.status, SCAN_NONE);
	assert_int_equal(row.n_tags, 1);
	assert_int_equal(count(t, "app"), 1);
	mt_check(t);
	assert_int_equal(delete (t, &d, NULL, &deleted), RC_OK);
	assert_true(idle(t, "layer of one"));
	mt_check(t);
}

static enum rc
to_archive(struct meta_txn *t, void *arg)
{
	return (blob_moved(
	    t, KEY_DOMAIN_PLAIN, arg, BLOB_IN_ARCHIVE, BLOB_PLAIN, 12, 3000));
}

static void
a_push_of_what_lies_in_the_archive_needs_its_content(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct digest layer = mt_digest("layer of one");
	struct image_row row;

	archive(t, &d);
	assert_int_equal(meta_change(t->m, to_archive, &layer, 0), RC_OK);
	assert_int_equal(push_again(t, "one", SPARSE_NONE), RC_MISSING);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ARCHIVED);
	mt_check(t);
	(void)mt_blob(t, "app", "layer of one");
	assert_int_equal(push_again(t, "one", SPARSE_NONE), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	assert_int_equal(row.activated_ms, 9000);
	assert_false(idle(t, "layer of one"));
	mt_check(t);
}

static void
a_push_ends_the_wait_for_the_archive(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", "a");
	struct digest layer = mt_digest("layer of one");
	struct holding holding;
	struct image_row row;

	archive(t, &d);
	assert_int_equal(meta_change(t->m, to_archive, &layer, 0), RC_OK);
	assert_int_equal(
	    status_set(t, &d, IMAGE_ACTIVE, 8000, &holding), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVATING);
	/* Nobody waits for content that need not be here: it goes on. */
	assert_int_equal(push_again(t, "one", SPARSE_ALL), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVATING);
	assert_int_equal(row.activated_ms, 0);
	(void)mt_blob(t, "app", "layer of one");
	assert_int_equal(push_again(t, "one", SPARSE_NONE), RC_OK);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	assert_int_equal(row.activated_ms, 9000);
	assert_false(idle(t, "layer of one"));
	mt_check(t);
}

/* --- what a push may run into -------------------------------------------- */

static void
a_push_that_changes_nothing_is_told(void **state)
{
	struct mt *t = *state;
	struct manifest_put_result result;
	struct mt_image put = {
		.repo = "app", .text = "one", .tag = "a", .must_change = true
	};
	struct digest d;

	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	assert_int_equal(mt_put(t, &put, &d, &result), RC_REFERENCED);
	put.tag = NULL;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_REFERENCED);
	put.tag = "b";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	/* The tag moves, and comes back. */
	put.text = "two";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.text = "one";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.must_change = false;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	mt_check(t);
}

static void
a_repository_takes_no_more_images_than_its_quota(void **state)
{
	struct mt *t = *state;
	struct manifest_put_result result;
	struct mt_image put = {
		.repo = "app", .text = "one", .quota = { .images = 2 }
	};
	struct digest one, d;

	assert_int_equal(mt_put(t, &put, &one, &result), RC_OK);
	put.text = "two";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.text = "three";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_LIMIT);
	assert_int_equal(result.limit, LIMIT_IMAGES);
	assert_int_equal(count(t, "app"), 2);
	/* Those that are here may be pushed, and others elsewhere. */
	put.text = "two";
	put.tag = "t";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.text = "three";
	put.repo = "other";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	/* Also where they have yet to be counted. */
	make_old(t, &one, 1);
	put.repo = "app";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_LIMIT);
	mt_check(t);
}

static void
an_image_takes_no_more_tags_than_its_quota(void **state)
{
	struct mt *t = *state;
	struct manifest_put_result result;
	struct mt_image put = {
		.repo = "app", .text = "one", .tag = "a", .quota = { .tags = 2 }
	};
	struct manifest_row row;
	struct digest d;

	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.tag = "b";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.tag = "c";
	assert_int_equal(mt_put(t, &put, &d, &result), RC_LIMIT);
	assert_int_equal(result.limit, LIMIT_TAGS);
	assert_int_equal(mt_get(t, "app", "c", &row), RC_NOTFOUND);
	/* One that it has, even above the quota. */
	put.tag = "b";
	put.quota.tags = 1;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.tag = NULL;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	put.tag = "c";
	put.quota.tags = 3;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_OK);
	mt_check(t);
}

static void
there_are_no_more_repositories_than_the_quota(void **state)
{
	struct mt *t = *state;
	const struct repository_preset preset = { .max_repositories = 1 };
	struct manifest manifest = { .media_type = SPAN(MEDIA_OCI_MANIFEST) };
	struct manifest_put put = {
		.repository = APP,
		.digest = mt_digest("one"),
		.text = SPAN("one"),
		.manifest = &manifest,
		.create = &preset,
		.now_ms = 1,
	};
	struct blob_put blob = {
		.repository = SPAN("other"),
		.digest = mt_digest("blob"),
		.size_bytes = 4,
		.location = BLOB_IN_META,
		.content = SPAN("blob"),
		.create = &preset,
		.now_ms = 1,
	};
	struct blob_mount mount = {
		.from = APP, .to = SPAN("other"), .create = &preset
	};
	struct manifest_put_result result = { .limit = LIMIT_TAGS };

	assert_int_equal(meta_manifest_put(t->m, &put, &result), RC_OK);
	put.repository = SPAN("other");
	assert_int_equal(meta_manifest_put(t->m, &put, &result), RC_LIMIT);
	assert_int_equal(result.limit, LIMIT_REPOSITORIES);
	assert_int_equal(meta_blob_put(t->m, &blob), RC_LIMIT);
	blob.repository = APP;
	assert_int_equal(meta_blob_put(t->m, &blob), RC_OK);
	mount.digest = blob.digest;
	assert_int_equal(meta_blob_mount(t->m, &mount), RC_LIMIT);
	assert_int_equal(mt_stats(t).repositories, 1);
	mt_check(t);
}

#define LAYERS (META_MISSING_SHOWN + 3)

static void
all_that_is_missing_is_named(void **state)
{
	struct mt *t = *state;
	struct descriptor edges[LAYERS];
	struct digest digests[LAYERS], d;
	struct mt_image put = { .repo = "app", .text = "one", .edges = edges };
	struct manifest_put_result result;
	char text[16];
	size_t i;

	for (i = 0; i < LAYERS; i++) {
		(void)snprintf(text, sizeof(text), "layer %zu", i);
		digests[i] = mt_digest(text);
		edges[i] = mt_edge(EDGE_LAYER, &digests[i]);
	}
	/* One that is there, and one that is named twice. */
	(void)mt_blob(t, "app", "layer 0");
	edges[3] = edges[2];
	put.n_edges = 5;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_MISSING);
	assert_int_equal(result.n_missing, 3);
	assert_false(result.more_missing);
	assert_int_equal(result.missing_kind, EDGE_LAYER);
	assert_true(digest_eq(&result.missing[0], &digests[1]));
	assert_true(digest_eq(&result.missing[1], &digests[2]));
	assert_true(digest_eq(&result.missing[2], &digests[4]));
	put.n_edges = LAYERS - 1;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_MISSING);
	assert_int_equal(result.n_missing, META_MISSING_SHOWN);
	assert_false(result.more_missing);
	put.n_edges = LAYERS;
	assert_int_equal(mt_put(t, &put, &d, &result), RC_MISSING);
	assert_int_equal(result.n_missing, META_MISSING_SHOWN);
	assert_true(result.more_missing);
	mt_check(t);
}

static void
blobs_that_are_missing_come_before_children(void **state)
{
	struct mt *t = *state;
	struct digest child = mt_digest("child"), blob = mt_digest("blob"), d;
	const struct descriptor edges[] = { mt_edge(EDGE_MANIFEST, &child),
		mt_edge(EDGE_LAYER, &blob) };
	const struct mt_image put = { .repo = "app",
		.text = "index",
		.edges = edges,
		.n_edges = 2,
		.index = true };
	struct manifest_put_result result;

	assert_int_equal(mt_put(t, &put, &d, &result), RC_MISSING);
	assert_int_equal(result.n_missing, 1);
	assert_int_equal(result.missing_kind, EDGE_LAYER);
	assert_true(digest_eq(&result.missing[0], &blob));
	(void)mt_blob(t, "app", "blob");
	assert_int_equal(mt_put(t, &put, &d, &result), RC_MISSING);
	assert_int_equal(result.n_missing, 1);
	assert_int_equal(result.missing_kind, EDGE_MANIFEST);
	assert_true(digest_eq(&result.missing[0], &child));
}

/* --- scans --------------------------------------------------------------- */

static enum rc
start(struct mt *t, const struct digest *d, int64_t now_ms, unsigned max)
{
	const struct scan_start start = {
		.repository = APP,
		.digest = *d,
		.now_ms = now_ms,
		.since_ms = now_ms - 100,
		.max_scans = max,
	};

	return (meta_scan_start(t->m, &start));
}

static void
end(struct mt *t, enum scan_status status, const char *reason, int64_t now_ms)
{
	struct scan_job job;

	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(
	    meta_scan_end(t->m, &job, status, mt_span(reason), now_ms), RC_OK);
}

static enum rc
next(struct mt *t, struct scan_job *job_r)
{
	return (meta_scan_next(t->m, &t->arena, job_r));
}

static void
scans_wait_in_a_queue_and_end(void **state)
{
	struct mt *t = *state;
	struct digest one = mt_plain(t, "app", "one", "a");
	struct digest two = mt_plain(t, "app", "two", NULL);
	struct scan_job job;
	struct image_row row;

	assert_int_equal(next(t, &job), RC_NOTFOUND);
	assert_int_equal(start(t, &two, 2000, 0), RC_OK);
	assert_int_equal(start(t, &one, 3000, 0), RC_OK);
	assert_int_equal(start(t, &two, 4000, 0), RC_OK); /* goes on */
	mt_reopen(t);
	mt_check(t);
	assert_int_equal(next(t, &job), RC_OK);
	assert_true(span_is(job.repository, "app"));
	assert_true(digest_eq(&job.digest, &two));
	assert_int_equal(job.started_ms, 2000);
	assert_int_equal(get(t, &two, &row), RC_OK);
	assert_int_equal(row.scan.status, SCAN_IN_PROGRESS);
	assert_int_equal(row.scan.started_ms, 2000);
	assert_int_equal(row.scan.ended_ms, 0);
	assert_int_equal(
	    meta_scan_end(t->m, &job, SCAN_FAILED, SPAN("no scanner"), 5000),
	    RC_OK);
	assert_int_equal(get(t, &two, &row), RC_OK);
	assert_int_equal(row.scan.status, SCAN_FAILED);
	assert_int_equal(row.scan.ended_ms, 5000);
	assert_true(span_is(row.scan.reason, "no scanner"));
	/* Once more is no matter. */
	assert_int_equal(
	    meta_scan_end(t->m, &job, SCAN_COMPLETE, SPAN_NONE, 6000), RC_OK);
	assert_int_equal(get(t, &two, &row), RC_OK);
	assert_int_equal(row.scan.status, SCAN_FAILED);
	assert_int_equal(next(t, &job), RC_OK);
	assert_true(digest_eq(&job.digest, &one));
	end(t, SCAN_COMPLETE, NULL, 7000);
	assert_int_equal(next(t, &job), RC_NOTFOUND);
	mt_check(t);
}

static void
an_image_is_scanned_as_often_as_its_quota_says(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "one", NULL);
	struct digest nothing = mt_digest("nothing");
	int64_t ms;

	assert_int_equal(start(t, &nothing, 1000, 0), RC_NOTFOUND);
	for (ms = 1000; ms < 1030; ms += 10) {
		assert_int_equal(start(t, &d, ms, 3), RC_OK);
		end(t, SCAN_FAILED, "x", ms + 1);
	}
	assert_int_equal(start(t, &d, 1030, 3), RC_LIMIT);
	assert_int_equal(
	    start(t, &d, 1100, 3), RC_OK); /* 1000 is too long ago */
	end(t, SCAN_FAILED, "x", 1101);
	assert_int_equal(start(t, &d, 1101, 3), RC_LIMIT);
	assert_int_equal(start(t, &d, 1101, 4), RC_OK);
	end(t, SCAN_FAILED, "x", 1102);
	/* Without a quota what is known stays known. */
	assert_int_equal(start(t, &d, 1103, 0), RC_OK);
	end(t, SCAN_FAILED, "x", 1104);
	assert_int_equal(start(t, &d, 1104, 5), RC_LIMIT);
	for (ms = 1105; ms < 1205; ms++) {
		assert_int_equal(start(t, &d, ms, 0), RC_OK);
		end(t, SCAN_FAILED, "x", ms);
	}
	assert_int_equal(start(t, &d, 1205, SCAN_QUOTA_MAX), RC_LIMIT);
	assert_int_equal(start(t, &d, 1205, SCAN_QUOTA_MAX + 1), RC_OK);
}

static void
a_scan_in_progress_is_of_the_quota(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "one", NULL);
	struct scan_job job;

	assert_int_equal(start(t, &d, 1000, 1), RC_OK);
	assert_int_equal(start(t, &d, 1010, 1), RC_LIMIT);
	/* It goes on, and is not one more. */
	assert_int_equal(start(t, &d, 1010, 2), RC_OK);
	assert_int_equal(start(t, &d, 1020, 2), RC_OK);
	assert_int_equal(start(t, &d, 1020, 0), RC_OK);
	assert_int_equal(next(t, &job), RC_OK);
	assert_int_equal(job.started_ms, 1000);
	/* 1000 is too long ago. */
	assert_int_equal(start(t, &d, 1100, 1), RC_OK);
	assert_int_equal(next(t, &job), RC_OK);
	assert_int_equal(job.started_ms, 1000);
	end(t, SCAN_FAILED, "x", 1101);
	assert_int_equal(next(t, &job), RC_NOTFOUND);
}

static void
a_scan_goes_with_its_image(void **state)
{
	struct mt *t = *state;
	struct digest one = mt_plain(t, "app", "one", "a");
	struct digest two = mt_plain(t, "app", "two", NULL);
	struct image_deleted deleted;
	struct scan_job job, old;
	struct holding holding;
	struct image_row row;

	assert_int_equal(start(t, &one, 2000, 0), RC_OK);
	assert_int_equal(start(t, &two, 3000, 0), RC_OK);
	assert_int_equal(next(t, &old), RC_OK);
	assert_int_equal(delete (t, NULL, "a", &deleted), RC_OK);
	mt_check(t);
	assert_int_equal(next(t, &job), RC_OK);
	assert_true(digest_eq(&job.digest, &two));
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &two, &holding), RC_OK);
	assert_int_equal(next(t, &job), RC_NOTFOUND);
	mt_check(t);
	/* It is pushed again, and the scan of before ends. */
	(void)mt_plain(t, "app", "one", NULL);
	assert_int_equal(get(t, &one, &row), RC_OK);
	assert_int_equal(row.scan.status, SCAN_NONE);
	assert_int_equal(
	    meta_scan_end(t->m, &old, SCAN_FAILED, SPAN("x"), 1), RC_OK);
	assert_int_equal(start(t, &one, 4000, 0), RC_OK);
	assert_int_equal(
	    meta_scan_end(t->m, &old, SCAN_FAILED, SPAN("x"), 1), RC_OK);
	assert_int_equal(get(t, &one, &row), RC_OK);
	assert_int_equal(row.scan.status, SCAN_IN_PROGRESS);
	mt_check(t);
}

static void
scans_of_a_repository_that_is_gone_are_none(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "one", NULL), other;
	struct repository_description description;
	struct scan_job job, old;
	bool more = true;

	assert_int_equal(start(t, &d, 2000, 0), RC_OK);
	assert_int_equal(next(t, &old), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &description),
	    RC_OK);
	/* Its rows are still there. */
	assert_int_equal(next(t, &job), RC_NOTFOUND);
	other = mt_plain(t, "app", "one", NULL);
	assert_int_equal(start(t, &other, 2000, 0), RC_OK);
	assert_int_equal(next(t, &job), RC_OK);
	assert_true(span_is(job.repository, "app"));
	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 3, NULL, &more), RC_OK);
	mt_check(t);
	assert_int_equal(next(t, &job), RC_OK);
	end(t, SCAN_FAILED, "x", 3000);
	assert_int_equal(next(t, &job), RC_NOTFOUND);
	mt_check(t);
}

static enum rc
queue_fill(struct meta_txn *t, void *arg)
{
	const struct digest *d = arg;
	struct rec_key k;
	int64_t ms;

	for (ms = 1; ms < 1000; ms++) {
		key_timed(&k, ms, 1, d);
		must(kv_put(t, TABLE_SCAN_QUEUE, key_span(&k), rec_none()) ==
		     RC_OK);
	}
	return (RC_OK);
}

static void
what_leads_nowhere_leaves_the_queue(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "one", NULL);
	struct scan_job job;

	assert_int_equal(start(t, &d, 2000, 0), RC_OK);
	assert_int_equal(meta_change(t->m, queue_fill, &d, 0), RC_OK);
	assert_int_equal(next(t, &job), RC_OK);
	assert_int_equal(job.started_ms, 2000);
	mt_check(t);
}

static void
a_long_reason_is_cut_between_characters(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "one", NULL);
	char reason[SCAN_REASON_MAX_BYTES + 10];
	struct image_row row;

	memset(reason, 'r', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	memcpy(reason + SCAN_REASON_MAX_BYTES - 1, "\xe2\x82\xac", 3);
	assert_int_equal(start(t, &d, 2000, 0), RC_OK);
	end(t, SCAN_FAILED, reason, 2001);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_int_equal(row.scan.reason.n, SCAN_REASON_MAX_BYTES - 1);
}

static void
scan_on_push(struct mt *t, bool on)
{
	const struct repository_change change = { .set_scanning = true,
		.scan_on_push = on };

	assert_int_equal(meta_repository_change(t->m, APP, &change), RC_OK);
}

static enum scan_status
scan_of(struct mt *t, const struct digest *d)
{
	struct image_row row;

	assert_int_equal(get(t, d, &row), RC_OK);
	return (row.scan.status);
}

static void
an_image_that_is_new_is_scanned_if_wanted(void **state)
{
	struct mt *t = *state;
	struct mt_image put = {
		.repo = "app", .text = "one", .scannable = true, .now_ms = 1500
	};
	struct digest one = mt_image(t, &put), two;
	struct scan_job job;

	assert_int_equal(scan_of(t, &one), SCAN_NONE);
	scan_on_push(t, true);
	/* It was here. */
	put.tag = "a";
	(void)mt_image(t, &put);
	assert_int_equal(scan_of(t, &one), SCAN_NONE);
	put.text = "two";
	two = mt_image(t, &put);
	assert_int_equal(scan_of(t, &two), SCAN_IN_PROGRESS);
	assert_int_equal(next(t, &job), RC_OK);
	assert_int_equal(job.started_ms, 1500);
	put.text = "three";
	put.scannable = false;
	two = mt_image(t, &put);
	assert_int_equal(scan_of(t, &two), SCAN_NONE);
	scan_on_push(t, false);
	put.text = "four";
	put.scan = true;
	two = mt_image(t, &put);
	assert_int_equal(scan_of(t, &two), SCAN_NONE);
	put.text = "five";
	put.scannable = true;
	two = mt_image(t, &put);
	assert_int_equal(scan_of(t, &two), SCAN_IN_PROGRESS);
	mt_check(t);
}

/* --- layers, and repositories -------------------------------------------- */

static void
use_is(struct mt *t, const char *repo, const struct digest *d,
    enum blob_use expected)
{
	enum blob_use use;

	assert_int_equal(meta_blob_use(t->m, span_of(repo), d, &use), RC_OK);
	assert_int_equal(use, expected);
}

static void
a_blob_is_used_while_a_manifest_names_it(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", NULL);
	struct digest layer = mt_digest("layer of one");
	struct digest config = mt_digest("config of one");
	struct digest loose = mt_blob(t, "app", "loose");
	struct holding holding;

	use_is(t, "app", &layer, BLOB_USED);
	use_is(t, "app", &config, BLOB_USED);
	use_is(t, "app", &loose, BLOB_UNUSED);
	use_is(t, "x", &layer, BLOB_UNUSED);
	/* A child of an index is no layer. */
	(void)index_of(t, "index", &d, 1, SPARSE_NONE);
	use_is(t, "app", &d, BLOB_UNUSED);
	d = mt_digest("index");
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	d = mt_digest("one");
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	use_is(t, "app", &layer, BLOB_UNUSED);
}

static void
a_blob_may_be_of_archived_images_alone(void **state)
{
	struct mt *t = *state;
	struct digest one = image(t, "app", "one", NULL);
	struct digest layer = mt_digest("layer of one");
	struct digest config = mt_digest("config of one");
	struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &layer),
		mt_edge(EDGE_LAYER, &config) };
	const struct mt_image image = {
		.repo = "app", .text = "two", .edges = edges, .n_edges = 2
	};
	struct digest two = mt_image(t, &image);
	struct holding holding;

	archive(t, &one);
	use_is(t, "app", &layer, BLOB_USED);
	use_is(t, "app", &config, BLOB_USED);
	archive(t, &two);
	use_is(t, "app", &layer, BLOB_USED_ARCHIVED);
	use_is(t, "app", &config, BLOB_USED_ARCHIVED);
	assert_int_equal(
	    status_set(t, &one, IMAGE_ACTIVE, 8000, &holding), RC_OK);
	use_is(t, "app", &layer, BLOB_USED);
	use_is(t, "app", &config, BLOB_USED);
}

struct copies {
	const struct digest *image, *layer;
	uint64_t repo;
	unsigned first, n;
};

/* The row of an image again under other digests, of one of its layers. */
static enum rc
copies_put(struct meta_txn *t, void *arg)
{
	const struct copies *c = arg;
	struct rec_key k;
	struct digest d;
	char text[32], row[512];
	struct span value;
	unsigned i;

	key_repo_digest(&k, c->repo, c->image);
	must(kv_get(t, TABLE_MANIFESTS, key_span(&k), &value) == RC_OK);
	must(value.n <= sizeof(row));
	memcpy(row, value.p, value.n);
	value.p = row;
	for (i = c->first; i < c->first + c->n; i++) {
		(void)snprintf(text, sizeof(text), "copy %u", i);
		d = mt_digest(text);
		key_repo_digest(&k, c->repo, &d);
		must(kv_put(t, TABLE_MANIFESTS, key_span(&k), value) == RC_OK);
		key_edge(&k, c->repo, c->layer, EDGE_LAYER, &d);
		must(kv_put(t, TABLE_PARENTS, key_span(&k), rec_none()) ==
		     RC_OK);
	}
	return (RC_OK);
}

static void
of_very_many_images_one_is_taken_to_be_active(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "app", "one", NULL);
	struct digest layer = mt_digest("layer of one");
	struct copies copies = {
		.image = &d, .layer = &layer, .n = BLOB_USE_LOOKED_MAX - 1
	};
	struct repository_row repo;

	archive(t, &d);
	assert_int_equal(meta_repository_get(t->m, APP, &repo), RC_OK);
	copies.repo = repo.id;
	assert_int_equal(meta_change(t->m, copies_put, &copies, 0), RC_OK);
	use_is(t, "app", &layer, BLOB_USED_ARCHIVED);
	copies.first = copies.n;
	copies.n = 1;
	assert_int_equal(meta_change(t->m, copies_put, &copies, 0), RC_OK);
	use_is(t, "app", &layer, BLOB_USED);
}

/* Rows of all tables that came with format 3 or later. */
static uint64_t
rows_since_format_3(struct mt *mt)
{
	struct meta_txn t;
	uint64_t n = 0;
	unsigned i;

	assert_int_equal(meta_read_begin(mt->m, &t), RC_OK);
	for (i = META_TABLES_OF_FORMAT_2; i < META_TABLES; i++)
		n += kv_count(&t, (enum meta_table)i);
	meta_read_end(&t);
	return (n);
}

static void
a_new_repository_has_nothing_of_the_old(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "one", NULL);
	struct repository_description description;
	struct lifecycle_row lifecycle;
	struct preview_row preview;
	bool more = true;

	assert_int_equal(start(t, &d, 2000, 0), RC_OK);
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{}"), 1, NULL), RC_OK);
	assert_int_equal(meta_preview_start(t->m, APP, SPAN("{}"), 1), RC_OK);
	assert_int_equal(rows_since_format_3(t), 7);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &description),
	    RC_OK);
	(void)mt_plain(t, "app", "one", NULL);
	assert_int_equal(scan_of(t, &d), SCAN_NONE);
	assert_int_equal(count(t, "app"), 1);
	assert_int_equal(
	    meta_lifecycle_get(t->m, APP, &t->arena, &lifecycle), RC_MISSING);
	assert_int_equal(
	    meta_preview_get(t->m, APP, &t->arena, &preview), RC_MISSING);
	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 2, NULL, &more), RC_OK);
	/* The count of the new one. */
	assert_int_equal(rows_since_format_3(t), 1);
	mt_check(t);
}

/* What holds an image. */

static struct image_row
related(struct mt *t, const struct digest *d, bool relations)
{
	const struct image_query q = {
		.repository = APP, .relations = relations, .max_rows = 100
	};
	struct image_page page;
	size_t i;

	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	for (i = 0; i < page.n; i++)
		if (digest_eq(&page.rows[i].manifest.digest, d))
			return (page.rows[i]);
	fail_msg("not on the page");
	return (page.rows[0]);
}

static void
held(struct mt *t, const struct digest *d, bool is, bool by_active)
{
	struct image_row row = related(t, d, true);

	assert_int_equal(row.held, is);
	assert_int_equal(row.held_by_active, by_active);
	assert_false(row.subject_here);
}

static void
a_page_tells_which_images_indexes_hold(void **state)
{
	struct mt *t = *state;
	struct digest child = image(t, "app", "child", NULL);
	struct digest other = image(t, "app", "other", NULL);
	struct digest first, second;
	struct holding holding;

	held(t, &child, false, false);
	first = index_of(t, "first", &child, 1, SPARSE_NONE);
	second = index_of(t, "second", &child, 1, SPARSE_NONE);
	held(t, &child, true, true);
	held(t, &other, false, false);
	held(t, &first, false, false);
	assert_false(related(t, &child, false).held);
	archive(t, &first);
	held(t, &child, true, true);
	archive(t, &second);
	held(t, &child, true, false);
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &first, &holding), RC_OK);
	held(t, &child, true, false);
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &second, &holding), RC_OK);
	held(t, &child, false, false);
}

static struct digest
referrer(struct mt *t, const char *text, const struct digest *subject)
{
	const struct mt_image put = {
		.repo = "app", .text = text, .subject = subject
	};

	return (mt_image(t, &put));
}

static void
a_page_tells_whose_subject_is_there(void **state)
{
	struct mt *t = *state;
	struct digest subject = image(t, "app", "subject", NULL);
	struct digest missing = mt_digest("missing");
	struct digest here = referrer(t, "signature", &subject);
	struct digest lost = referrer(t, "of nothing", &missing);
	struct holding holding;

	assert_true(related(t, &here, true).subject_here);
	assert_false(related(t, &here, true).held);
	assert_false(related(t, &here, false).subject_here);
	assert_false(related(t, &lost, true).subject_here);
	assert_false(related(t, &subject, true).subject_here);
	archive(t, &subject);
	assert_true(related(t, &here, true).subject_here);
	assert_int_equal(
	    meta_manifest_delete(t->m, APP, &subject, &holding), RC_OK);
	assert_false(related(t, &here, true).subject_here);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_image_is_told_with_its_tags_and_size),
		TEST(what_is_not_there_is_not_told),
		TEST(an_index_takes_as_much_as_its_largest_child),
		TEST(a_child_that_comes_later_counts_too),
		TEST(what_an_older_version_took_in_is_added_up),
		TEST(pages_are_in_order_and_whole_from_wherever_they_start),
		TEST(a_page_starts_where_an_image_was_that_is_gone),
		TEST(filters_take_what_they_say),
		TEST(a_page_looks_at_no_more_than_it_may),
		TEST(ids_are_told_once_each_whatever_the_page),
		TEST(a_list_of_ids_goes_on_within_an_image),
		TEST(the_count_follows_every_change),
		TEST(a_repository_of_before_is_counted_when_it_changes),
		TEST(a_count_that_cannot_be_read_is_made_anew),
		TEST(a_tag_takes_the_image_with_it_when_it_is_the_last),
		TEST(by_digest_an_image_goes_with_all_its_tags),
		TEST(a_tag_of_another_digest_is_not_deleted),
		TEST(
		    an_image_that_an_index_holds_stays_and_so_does_its_last_tag),
		TEST(an_archived_image_says_so_and_comes_back),
		TEST(what_an_index_needs_is_archived_after_it),
		TEST(an_index_does_not_come_over_an_image_that_is_archived),
		TEST(an_index_is_restored_with_its_images),
		TEST(an_index_is_restored_no_deeper_than_is_said),
		TEST(an_image_is_restored_below_an_index_that_never_went),
		TEST(a_push_restores_what_was_archived),
		TEST(what_an_image_needs_is_in_use_while_it_is_active),
		TEST(a_push_of_what_lies_in_the_archive_needs_its_content),
		TEST(a_push_ends_the_wait_for_the_archive),
		TEST(a_push_that_changes_nothing_is_told),
		TEST(a_repository_takes_no_more_images_than_its_quota),
		TEST(an_image_takes_no_more_tags_than_its_quota),
		TEST(there_are_no_more_repositories_than_the_quota),
		TEST(all_that_is_missing_is_named),
		TEST(blobs_that_are_missing_come_before_children),
		TEST(scans_wait_in_a_queue_and_end),
		TEST(an_image_is_scanned_as_often_as_its_quota_says),
		TEST(a_scan_in_progress_is_of_the_quota),
		TEST(a_scan_goes_with_its_image),
		TEST(scans_of_a_repository_that_is_gone_are_none),
		TEST(what_leads_nowhere_leaves_the_queue),
		TEST(a_long_reason_is_cut_between_characters),
		TEST(an_image_that_is_new_is_scanned_if_wanted),
		TEST(a_blob_is_used_while_a_manifest_names_it),
		TEST(a_blob_may_be_of_archived_images_alone),
		TEST(of_very_many_images_one_is_taken_to_be_active),
		TEST(a_new_repository_has_nothing_of_the_old),
		TEST(a_page_tells_which_images_indexes_hold),
		TEST(a_page_tells_whose_subject_is_there),
	};

	return (cmocka_run_group_tests_name("images", tests, NULL, NULL));
}
