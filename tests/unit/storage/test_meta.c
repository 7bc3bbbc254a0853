#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "base/thread.h"
#include "meta_tools.h"

/*
 * What each operation on the metadata means.
 */

static size_t
tag_count(struct mt *t, const char *repo)
{
	struct page page;

	assert_int_equal(meta_tag_page(t->m, span_of(repo), SPAN_NONE, 1000,
			     &t->arena, &page),
	    RC_OK);
	return (page.n);
}

static enum rc
unlink_blob(struct mt *t, const char *repo, const struct digest *d,
    struct holding *holding)
{
	return (meta_blob_unlink(t->m, span_of(repo), d, holding));
}

static enum rc
delete_manifest(struct mt *t, const char *repo, const struct digest *d,
    struct holding *holding)
{
	return (meta_manifest_delete(t->m, span_of(repo), d, holding));
}

/* Repositories. */

static void
a_repository_begins_with_its_first_push(void **state)
{
	struct repository_row a, b;
	struct mt *t = *state;

	assert_int_equal(
	    meta_repository_get(t->m, SPAN("team/app"), &a), RC_NOTFOUND);
	mt_blob(t, "team/app", "one");
	mt_blob(t, "other", "one");
	assert_int_equal(
	    meta_repository_get(t->m, SPAN("team/app"), &a), RC_OK);
	assert_int_equal(meta_repository_get(t->m, SPAN("other"), &b), RC_OK);
	assert_int_equal(a.created_ms, 1000);
	assert_int_not_equal(a.id, b.id);
	mt_check(t);
}

static void
a_push_without_leave_to_create_finds_no_repository(void **state)
{
	const struct mt_image image = {
		.repo = "none", .text = "m", .no_create = true
	};
	struct manifest_put_result result;
	struct blob_put put = { .repository = SPAN("none"),
		.digest = mt_digest("x"),
		.size_bytes = 1,
		.location = BLOB_IN_META,
		.content = SPAN("x") };
	struct mt *t = *state;
	struct digest d;

	assert_int_equal(mt_put(t, &image, &d, &result), RC_NOTFOUND);
	assert_int_equal(meta_blob_put(t->m, &put), RC_NOTFOUND);
	assert_int_equal(mt_stats(t).repositories, 0);
	assert_int_equal(mt_stats(t).blobs, 0);
}

static void
a_name_that_is_none_is_refused(void **state)
{
	struct blob_put put = { .repository = SPAN("Not/A/Name"),
		.digest = mt_digest("x"),
		.size_bytes = 1,
		.location = BLOB_IN_META,
		.content = SPAN("x"),
		.create = &repository_preset_default };
	const struct mt_image image = {
		.repo = "fine", .text = "m", .tag = "-bad-"
	};
	struct manifest_put_result result;
	struct mt *t = *state;
	struct digest d;

	assert_int_equal(meta_blob_put(t->m, &put), RC_INVALID);
	assert_int_equal(mt_put(t, &image, &d, &result), RC_INVALID);
	assert_int_equal(mt_stats(t).repositories, 0);
	mt_check(t);
}

static void
names_longer_than_any_key_are_not_found(void **state)
{
	static char name[10000];
	struct mt *t = *state;
	struct reference ref = { .tag = { name, sizeof(name) } };
	struct repository_row repo;
	struct manifest_row row;
	struct page page;

	memset(name, 'a', sizeof(name));
	mt_plain(t, "app", "m", "aaa");
	assert_int_equal(
	    meta_repository_get(t->m, ref.tag, &repo), RC_NOTFOUND);
	assert_int_equal(
	    meta_repository_get(t->m, SPAN_NONE, &repo), RC_NOTFOUND);
	assert_int_equal(meta_manifest_get(t->m, SPAN("app"), &ref,
			     MANIFEST_ROW, READ_INLINE, &t->arena, &row),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_tag_delete(t->m, SPAN("app"), ref.tag), RC_NOTFOUND);
	assert_int_equal(
	    meta_tag_page(t->m, SPAN("app"), ref.tag, 10, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
}

/* Manifests and tags. */

static void
a_manifest_is_found_by_tag_and_by_digest(void **state)
{
	const struct mt_image image = { .repo = "app",
		.text = "{the manifest}",
		.tag = "v1",
		.artifact_type = "application/vnd.x",
		.now_ms = 4711 };
	struct manifest_row row;
	struct mt *t = *state;
	struct digest d = mt_image(t, &image);

	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_true(digest_eq(&row.digest, &d));
	assert_true(span_is(row.text, "{the manifest}"));
	assert_true(span_is(row.media_type, MEDIA_OCI_MANIFEST));
	assert_true(span_is(row.artifact_type, "application/vnd.x"));
	assert_int_equal(row.pushed_ms, 4711);
	assert_int_equal(row.pulled_ms, 0);
	assert_false(row.has_subject);
	assert_int_equal(mt_get_digest(t, "app", &d, &row), RC_OK);
	assert_int_equal(mt_get(t, "app", "v2", &row), RC_NOTFOUND);
	assert_int_equal(mt_get(t, "ap", "v1", &row), RC_NOTFOUND);
	assert_int_equal(mt_get_digest(t, "other", &d, &row), RC_NOTFOUND);
	mt_check(t);
}

static void
a_row_alone_brings_no_text(void **state)
{
	const struct reference ref = { .tag = SPAN("v1") };
	struct manifest_row row;
	struct mt *t = *state;

	mt_plain(t, "app", "m", "v1");
	assert_int_equal(meta_manifest_get(t->m, SPAN("app"), &ref,
			     MANIFEST_ROW, READ_INLINE, &t->arena, &row),
	    RC_OK);
	assert_int_equal(row.size_bytes, 1);
	assert_int_equal(row.text.n, 0);
}

static void
a_second_push_keeps_the_times_and_adds_the_tag(void **state)
{
	struct mt_image image = {
		.repo = "app", .text = "m", .tag = "v1", .now_ms = 10
	};
	struct manifest_put_result result;
	struct manifest_row row;
	struct mt *t = *state;
	struct digest d;

	assert_int_equal(mt_put(t, &image, &d, &result), RC_OK);
	assert_false(result.existed);
	image.tag = "v2";
	image.now_ms = 20;
	assert_int_equal(mt_put(t, &image, &d, &result), RC_OK);
	assert_true(result.existed);
	assert_int_equal(mt_get(t, "app", "v2", &row), RC_OK);
	assert_int_equal(row.pushed_ms, 10);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(mt_stats(t).manifests, 1);
	assert_int_equal(mt_stats(t).tags, 2);
	mt_check(t);
}

static void
a_tag_moves_to_what_was_pushed_last(void **state)
{
	struct manifest_row row;
	struct holding holding;
	struct mt *t = *state;
	struct digest a, b;

	a = mt_plain(t, "app", "a", "latest");
	b = mt_plain(t, "app", "b", "latest");
	assert_int_equal(mt_get(t, "app", "latest", &row), RC_OK);
	assert_true(digest_eq(&row.digest, &b));
	assert_int_equal(tag_count(t, "app"), 1);
	mt_check(t);
	/* The tag is not the old one's any more. */
	assert_int_equal(delete_manifest(t, "app", &a, &holding), RC_OK);
	assert_int_equal(mt_get(t, "app", "latest", &row), RC_OK);
	mt_check(t);
}

static void
several_tags_of_one_push_may_repeat(void **state)
{
	const struct span tags[] = { SPAN("a"), SPAN("b"), SPAN("a") };
	const struct manifest manifest = { .media_type =
					       SPAN(MEDIA_OCI_MANIFEST) };
	const struct manifest_put put = {
		.repository = SPAN("app"),
		.digest = mt_digest("m"),
		.text = SPAN("m"),
		.manifest = &manifest,
		.tags = tags,
		.n_tags = ARRAY_LEN(tags),
		.create = &repository_preset_default,
	};
	struct manifest_put_result result;
	struct mt *t = *state;

	assert_int_equal(meta_manifest_put(t->m, &put, &result), RC_OK);
	assert_int_equal(tag_count(t, "app"), 2);
	mt_check(t);
}

static void
deleting_a_tag_leaves_the_manifest(void **state)
{
	struct manifest_row row;
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "m", "v1");

	assert_int_equal(meta_tag_delete(t->m, SPAN("app"), SPAN("v1")), RC_OK);
	assert_int_equal(
	    meta_tag_delete(t->m, SPAN("app"), SPAN("v1")), RC_NOTFOUND);
	assert_int_equal(
	    meta_tag_delete(t->m, SPAN("none"), SPAN("v1")), RC_NOTFOUND);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_NOTFOUND);
	assert_int_equal(mt_get_digest(t, "app", &d, &row), RC_OK);
	mt_check(t);
}

static void
deleting_a_manifest_takes_its_tags_only(void **state)
{
	struct manifest_row row;
	struct holding holding;
	struct mt *t = *state;
	struct digest d;
	char tag[16];
	unsigned i;

	mt_plain(t, "app", "other", "keep");
	for (i = 0; i < 40; i++) {
		snprintf(tag, sizeof(tag), "t%u", i);
		d = mt_plain(t, "app", "m", tag);
	}
	mt_plain(t, "app2", "m", "t1");
	assert_int_equal(delete_manifest(t, "app", &d, &holding), RC_OK);
	assert_int_equal(delete_manifest(t, "app", &d, &holding), RC_NOTFOUND);
	assert_int_equal(mt_get_digest(t, "app", &d, &row), RC_NOTFOUND);
	assert_int_equal(tag_count(t, "app"), 1);
	assert_int_equal(mt_get(t, "app", "keep", &row), RC_OK);
	assert_int_equal(mt_get(t, "app2", "t1", &row), RC_OK);
	mt_check(t);
}

static void
an_empty_repository_stays(void **state)
{
	struct repository_row repo;
	struct holding holding;
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "m", "v1");

	assert_int_equal(delete_manifest(t, "app", &d, &holding), RC_OK);
	assert_int_equal(meta_repository_get(t->m, SPAN("app"), &repo), RC_OK);
	assert_int_equal(tag_count(t, "app"), 0);
}

/* What a manifest references. */

static void
a_manifest_needs_its_blobs_in_the_repository(void **state)
{
	struct mt *t = *state;
	struct digest config = mt_blob(t, "app", "config");
	struct digest layer = mt_blob(t, "other", "layer"), d;
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &config),
		mt_edge(EDGE_LAYER, &layer) };
	const struct mt_image image = { .repo = "app",
		.text = "m",
		.tag = "v1",
		.edges = edges,
		.n_edges = 2 };
	struct manifest_put_result result;
	struct manifest_row row;

	assert_int_equal(mt_put(t, &image, &d, &result), RC_MISSING);
	assert_true(digest_eq(&result.missing[0], &layer));
	assert_int_equal(result.missing_kind, EDGE_LAYER);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_NOTFOUND);
	assert_int_equal(mt_stats(t).manifests, 0);
	mt_check(t);
	mt_blob(t, "app", "layer");
	assert_int_equal(mt_put(t, &image, &d, &result), RC_OK);
	mt_check(t);
}

static void
an_index_needs_manifests_not_blobs(void **state)
{
	struct mt *t = *state;
	struct digest child = mt_blob(t, "app", "child"), d;
	const struct descriptor edge = mt_edge(EDGE_MANIFEST, &child);
	const struct mt_image image = {
		.repo = "app", .text = "index", .edges = &edge, .n_edges = 1
	};
	struct manifest_put_result result;

	assert_int_equal(mt_put(t, &image, &d, &result), RC_MISSING);
	assert_int_equal(result.missing_kind, EDGE_MANIFEST);
	mt_plain(t, "app", "child", NULL);
	assert_int_equal(mt_put(t, &image, &d, &result), RC_OK);
	mt_check(t);
}

static void
sparse_says_what_may_be_absent(void **state)
{
	static const struct {
		enum edge_kind kind;
		enum sparse sparse;
		enum rc rc;
	} cases[] = {
		{ EDGE_MANIFEST, SPARSE_NONE, RC_MISSING },
		{ EDGE_MANIFEST, SPARSE_INDEX, RC_OK },
		{ EDGE_MANIFEST, SPARSE_ALL, RC_OK },
		{ EDGE_LAYER, SPARSE_NONE, RC_MISSING },
		{ EDGE_LAYER, SPARSE_INDEX, RC_MISSING },
		{ EDGE_LAYER, SPARSE_ALL, RC_OK },
		{ EDGE_CONFIG, SPARSE_INDEX, RC_MISSING },
		{ EDGE_CONFIG, SPARSE_ALL, RC_OK },
	};
	struct digest absent = mt_digest("absent"), d;
	struct manifest_put_result result;
	struct mt *t = *state;
	struct descriptor edge;
	char text[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		edge = mt_edge(cases[i].kind, &absent);
		snprintf(text, sizeof(text), "m%zu", i);
		assert_int_equal(mt_put(t,
				     &(struct mt_image){ .repo = "app",
					 .text = text,
					 .edges = &edge,
					 .n_edges = 1,
					 .sparse = cases[i].sparse },
				     &d, &result),
		    cases[i].rc);
	}
	mt_check(t);
}

static void
nondistributable_layers_and_subjects_may_be_absent(void **state)
{
	struct digest absent = mt_digest("absent"), d;
	struct descriptor edge = mt_edge(EDGE_LAYER, &absent);
	const struct mt_image image = { .repo = "app",
		.text = "m",
		.edges = &edge,
		.n_edges = 1,
		.subject = &absent };
	struct manifest_row row;
	struct mt *t = *state;

	edge.nondistributable = true;
	d = mt_image(t, &image);
	assert_int_equal(mt_get_digest(t, "app", &d, &row), RC_OK);
	assert_true(row.has_subject);
	assert_true(digest_eq(&row.subject, &absent));
	mt_check(t);
}

static void
one_descriptor_may_appear_often(void **state)
{
	struct mt *t = *state;
	struct digest blob = mt_blob(t, "app", "{}"), d;
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &blob),
		mt_edge(EDGE_LAYER, &blob), mt_edge(EDGE_LAYER, &blob) };
	const struct mt_image image = {
		.repo = "app", .text = "m", .edges = edges, .n_edges = 3
	};
	struct holding holding;

	d = mt_image(t, &image);
	mt_check(t);
	assert_int_equal(unlink_blob(t, "app", &blob, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, 1);
	assert_true(digest_eq(&holding.by[0], &d));
	assert_int_equal(delete_manifest(t, "app", &d, &holding), RC_OK);
	mt_check(t);
	assert_int_equal(unlink_blob(t, "app", &blob, &holding), RC_OK);
	mt_check(t);
}

static void
a_blob_that_is_needed_here_is_not_unlinked(void **state)
{
	struct mt *t = *state;
	struct digest blob = mt_blob(t, "app", "layer");
	const struct descriptor edge = mt_edge(EDGE_LAYER, &blob);
	struct holding holding;
	char text[16];
	unsigned i;

	mt_blob(t, "other", "layer");
	for (i = 0; i < META_HOLDERS_SHOWN + 2; i++) {
		snprintf(text, sizeof(text), "m%u", i);
		mt_image(t, &(struct mt_image){ .repo = "app",
				.text = text,
				.edges = &edge,
				.n_edges = 1 });
	}
	assert_int_equal(unlink_blob(t, "app", &blob, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, META_HOLDERS_SHOWN);
	assert_true(holding.more);
	assert_int_equal(unlink_blob(t, "other", &blob, &holding), RC_OK);
	assert_int_equal(unlink_blob(t, "other", &blob, &holding), RC_NOTFOUND);
	assert_int_equal(unlink_blob(t, "none", &blob, &holding), RC_NOTFOUND);
	assert_true(mt_has_blob(t, "app", &blob));
	mt_check(t);
}

static void
a_manifest_of_an_index_is_not_deleted(void **state)
{
	struct mt *t = *state;
	struct digest child = mt_plain(t, "app", "child", "c"), index;
	const struct descriptor edge = mt_edge(EDGE_MANIFEST, &child);
	const struct mt_image image = {
		.repo = "app", .text = "index", .edges = &edge, .n_edges = 1
	};
	struct manifest_row row;
	struct holding holding;

	index = mt_image(t, &image);
	assert_int_equal(
	    delete_manifest(t, "app", &child, &holding), RC_REFERENCED);
	assert_int_equal(holding.n, 1);
	assert_true(digest_eq(&holding.by[0], &index));
	assert_int_equal(mt_get(t, "app", "c", &row), RC_OK);
	assert_int_equal(delete_manifest(t, "app", &index, &holding), RC_OK);
	assert_int_equal(delete_manifest(t, "app", &child, &holding), RC_OK);
	mt_check(t);
}

static void
a_layer_that_is_also_a_manifest_holds_the_blob_only(void **state)
{
	struct mt *t = *state;
	struct digest both = mt_blob(t, "app", "both");
	const struct descriptor edge = mt_edge(EDGE_LAYER, &both);
	struct manifest_row row;
	struct holding holding;

	mt_plain(t, "app", "both", "b");
	mt_image(
	    t, &(struct mt_image){
		   .repo = "app", .text = "m", .edges = &edge, .n_edges = 1 });
	assert_int_equal(delete_manifest(t, "app", &both, &holding), RC_OK);
	assert_int_equal(mt_get(t, "app", "b", &row), RC_NOTFOUND);
	assert_true(mt_has_blob(t, "app", &both));
	mt_check(t);
}

/* Referrers. */

static struct referrer_page
referrers(struct mt *t, const struct digest *subject, const char *type)
{
	const struct referrer_query q = { .repository = SPAN("app"),
		.subject = *subject,
		.artifact_type = mt_span(type),
		.max_rows = 1000,
		.max_bytes = 1 << 20 };
	struct referrer_page page;

	assert_int_equal(
	    meta_referrer_page(t->m, &q, READ_BLOCKING, &t->arena, &page),
	    RC_OK);
	return (page);
}

static struct digest
refer(struct mt *t, const struct digest *subject, const char *text,
    const char *type)
{
	const struct mt_image image = { .repo = "app",
		.text = text,
		.subject = subject,
		.artifact_type = type,
		.annotations = "{\"a\":\"b\"}" };

	return (mt_image(t, &image));
}

static void
referrers_come_before_and_outlive_their_subject(void **state)
{
	struct digest subject = mt_digest("subject"), d;
	struct referrer_page page;
	struct holding holding;
	struct mt *t = *state;

	assert_int_equal(referrers(t, &subject, NULL).n, 0);
	d = refer(t, &subject, "signature", "sig");
	page = referrers(t, &subject, NULL);
	assert_int_equal(page.n, 1);
	assert_true(digest_eq(&page.rows[0].digest, &d));
	assert_true(span_is(page.rows[0].artifact_type, "sig"));
	assert_true(span_is(page.rows[0].media_type, MEDIA_OCI_MANIFEST));
	assert_true(span_is(page.rows[0].annotations, "{\"a\":\"b\"}"));
	assert_int_equal(page.rows[0].size_bytes, strlen("signature"));
	/* A subject is not held. */
	mt_plain(t, "app", "subject", NULL);
	assert_int_equal(delete_manifest(t, "app", &subject, &holding), RC_OK);
	assert_int_equal(referrers(t, &subject, NULL).n, 1);
	assert_int_equal(delete_manifest(t, "app", &d, &holding), RC_OK);
	assert_int_equal(referrers(t, &subject, NULL).n, 0);
	assert_int_equal(mt_stats(t).referrers, 0);
	mt_check(t);
}

static void
referrers_are_chosen_by_type_and_repository(void **state)
{
	struct digest subject = mt_digest("subject"), other;
	struct referrer_query q = { .repository = SPAN("none"),
		.subject = subject,
		.max_rows = 10,
		.max_bytes = 10000 };
	struct referrer_page page;
	struct mt *t = *state;

	other = mt_digest("other");
	refer(t, &subject, "1", "sig");
	refer(t, &subject, "2", "sbom");
	refer(t, &subject, "3", "sig");
	refer(t, &other, "4", "sig");
	assert_int_equal(referrers(t, &subject, NULL).n, 3);
	assert_int_equal(referrers(t, &subject, "sig").n, 2);
	assert_int_equal(referrers(t, &subject, "si").n, 0);
	assert_int_equal(
	    meta_referrer_page(t->m, &q, READ_INLINE, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_false(page.more);
}

static void
pages_of_referrers_join_to_the_whole(void **state)
{
	struct digest subject = mt_digest("subject"), after;
	struct referrer_query q = { .repository = SPAN("app"),
		.subject = subject,
		.artifact_type = SPAN("odd"),
		.max_rows = 3,
		.max_bytes = 1 << 20 };
	struct referrer_page all, page;
	struct mt *t = *state;
	size_t i, n = 0;
	char text[16];

	for (i = 0; i < 31; i++) {
		snprintf(text, sizeof(text), "r%zu", i);
		refer(t, &subject, text, i % 2 == 1 ? "odd" : "even");
	}
	all = referrers(t, &subject, "odd");
	assert_int_equal(all.n, 15);
	do {
		assert_int_equal(meta_referrer_page(
				     t->m, &q, READ_BLOCKING, &t->arena, &page),
		    RC_OK);
		assert_in_range(page.n, 1, 3);
		for (i = 0; i < page.n; i++, n++)
			assert_true(digest_eq(
			    &page.rows[i].digest, &all.rows[n].digest));
		after = page.rows[page.n - 1].digest;
		q.after = &after;
	} while (page.more);
	assert_int_equal(n, all.n);
	for (i = 1; i < all.n; i++)
		assert_true(digest_cmp(&all.rows[i - 1].digest,
				&all.rows[i].digest) < 0);
}

static void
a_page_of_referrers_ends_at_its_bytes(void **state)
{
	struct digest subject = mt_digest("subject");
	struct referrer_query q = { .repository = SPAN("app"),
		.subject = subject,
		.max_rows = 100,
		.max_bytes = 1 };
	struct referrer_page page;
	struct mt *t = *state;

	refer(t, &subject, "1", "sig");
	refer(t, &subject, "2", "sig");
	assert_int_equal(
	    meta_referrer_page(t->m, &q, READ_INLINE, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(page.more);
}

/* Blobs. */

static void
a_blob_is_seen_where_it_is_linked(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_blob(t, "app", "content");
	const struct blob_mount mount = { .from = SPAN("app"),
		.to = SPAN("new/one"),
		.digest = d,
		.create = &repository_preset_default,
		.now_ms = 5 };
	struct blob_mount bad = mount;

	assert_true(mt_has_blob(t, "app", &d));
	assert_false(mt_has_blob(t, "new/one", &d));
	bad.create = NULL;
	assert_int_equal(meta_blob_mount(t->m, &bad), RC_NOTFOUND);
	bad = mount;
	bad.digest = mt_digest("other");
	assert_int_equal(meta_blob_mount(t->m, &bad), RC_NOTFOUND);
	bad = mount;
	bad.from = SPAN("nowhere");
	assert_int_equal(meta_blob_mount(t->m, &bad), RC_NOTFOUND);
	assert_int_equal(mt_stats(t).repositories, 1);
	assert_int_equal(meta_blob_mount(t->m, &mount), RC_OK);
	assert_int_equal(meta_blob_mount(t->m, &mount), RC_OK);
	assert_true(mt_has_blob(t, "new/one", &d));
	assert_int_equal(mt_stats(t).blobs, 1);
	assert_int_equal(mt_stats(t).blob_links, 2);
	mt_check(t);
}

static void
content_is_one_copy_and_outlives_a_link(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_blob(t, "a", "content");
	struct holding holding;

	mt_blob(t, "b", "content");
	mt_blob(t, "b", "content");
	assert_int_equal(mt_stats(t).inline_blobs, 1);
	assert_int_equal(mt_stats(t).inline_bytes, strlen("content"));
	assert_int_equal(unlink_blob(t, "a", &d, &holding), RC_OK);
	assert_false(mt_has_blob(t, "a", &d));
	assert_true(mt_has_blob(t, "b", &d));
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
	mt_check(t);
}

static void
what_nobody_holds_is_counted_until_it_is_held_again(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_blob(t, "a", "content"), m;
	struct holding holding;

	assert_int_equal(unlink_blob(t, "a", &d, &holding), RC_OK);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 1);
	assert_int_equal(mt_stats(t).unreferenced_bytes, strlen("content"));
	mt_check(t);
	mt_blob(t, "b", "content");
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
	assert_int_equal(mt_stats(t).unreferenced_bytes, 0);
	m = mt_plain(t, "b", "manifest", "x");
	assert_int_equal(delete_manifest(t, "b", &m, &holding), RC_OK);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 1);
	mt_check(t);
	mt_plain(t, "a", "manifest", "x");
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
	mt_check(t);
}

static struct blob_put
file_put(const char *repo, const struct digest *d, uint64_t size_bytes)
{
	return ((struct blob_put){ .repository = span_of(repo),
	    .digest = *d,
	    .size_bytes = size_bytes,
	    .location = BLOB_IN_FILE,
	    .create = &repository_preset_default,
	    .now_ms = 1000 });
}

static void
a_blob_in_a_file_has_a_row_and_no_content(void **state)
{
	struct digest d = mt_digest("large");
	struct blob_put put = file_put("app", &d, 123456789);
	struct blob_row row;
	struct mt *t = *state;

	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	assert_int_equal(meta_blob_get(t->m, SPAN("app"), &d, BLOB_CONTENT,
			     READ_INLINE, &t->arena, &row),
	    RC_OK);
	assert_int_equal(row.location, BLOB_IN_FILE);
	assert_int_equal(row.encoding, BLOB_PLAIN);
	assert_int_equal(row.size_bytes, 123456789);
	assert_int_equal(row.content.n, 0);
	assert_int_equal(mt_stats(t).file_blobs, 1);
	assert_int_equal(mt_stats(t).file_bytes, 123456789);
	assert_int_equal(mt_stats(t).inline_blobs, 0);
}

static void
the_text_of_a_manifest_stays_in_the_database(void **state)
{
	struct digest d = mt_digest("both");
	struct blob_put put = file_put("app", &d, 4);
	struct manifest_row row;
	struct mt *t = *state;

	/* Pushed as a blob into a file, then as a manifest ... */
	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	mt_plain(t, "app", "both", "v1");
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_true(mt_has_blob(t, "app", &d));
	assert_int_equal(mt_stats(t).file_blobs, 0);
	assert_int_equal(mt_stats(t).inline_bytes, 4);
	/* ... and once more as a blob. */
	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(mt_stats(t).inline_bytes, 4);
	mt_check(t);
}

static void
the_empty_blob_is_a_blob(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_blob(t, "app", "");

	assert_true(mt_has_blob(t, "app", &d));
	mt_check(t);
}

static void
holders_are_named_up_to_a_bound(void **state)
{
	struct mt *t = *state;
	struct digest d;
	struct page page;

	mt_blob(t, "c", "x");
	mt_blob(t, "a", "x");
	d = mt_blob(t, "b", "x");
	mt_plain(t, "d", "x", NULL);
	assert_int_equal(
	    meta_blob_holders(t->m, SPAN("new/one"), &repository_preset_default,
		&d, 10, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 3);
	assert_false(page.more);
	assert_true(span_is(page.items[0], "a"));
	assert_true(span_is(page.items[2], "c"));
	assert_int_equal(
	    meta_blob_holders(t->m, SPAN("new/one"), &repository_preset_default,
		&d, 2, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 2);
	assert_true(page.more);
	d = mt_digest("unknown");
	assert_int_equal(
	    meta_blob_holders(t->m, SPAN("new/one"), &repository_preset_default,
		&d, 2, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
}

static void
large_values_are_not_read_on_a_loop(void **state)
{
	static char text[70000];
	struct reference ref = { .tag = SPAN("big") };
	struct manifest_row row;
	struct blob_row blob;
	struct mt *t = *state;
	struct digest d;

	memset(text, 'x', sizeof(text) - 1);
	mt_plain(t, "app", text, "big");
	d = mt_blob(t, "app", text);
	assert_int_equal(meta_manifest_get(t->m, SPAN("app"), &ref,
			     MANIFEST_TEXT, READ_INLINE, &t->arena, &row),
	    RC_WOULDBLOCK);
	assert_int_equal(meta_manifest_get(t->m, SPAN("app"), &ref,
			     MANIFEST_ROW, READ_INLINE, &t->arena, &row),
	    RC_OK);
	assert_int_equal(mt_get(t, "app", "big", &row), RC_OK);
	assert_int_equal(meta_blob_get(t->m, SPAN("app"), &d, BLOB_CONTENT,
			     READ_INLINE, &t->arena, &blob),
	    RC_WOULDBLOCK);
	assert_int_equal(meta_blob_get(t->m, SPAN("app"), &d, BLOB_ROW,
			     READ_INLINE, &t->arena, &blob),
	    RC_OK);
	assert_true(mt_has_blob(t, "app", &d));
}

static void
a_read_past_the_cap_of_the_arena_is_too_big(void **state)
{
	static char text[5000];
	struct reference ref = { .tag = SPAN("v1") };
	struct manifest_row row;
	struct arena small;
	struct mt *t = *state;

	memset(text, 'x', sizeof(text) - 1);
	mt_plain(t, "app", text, "v1");
	arena_init(&small, 1000);
	assert_int_equal(meta_manifest_get(t->m, SPAN("app"), &ref,
			     MANIFEST_TEXT, READ_INLINE, &small, &row),
	    RC_TOOBIG);
	arena_reset(&small);
}

/* Pulls. */

static void
a_pull_is_noted_and_the_latest_wins(void **state)
{
	struct manifest_row row;
	struct mt *t = *state;
	struct digest d = mt_plain(t, "app", "m", "v1"), none;

	none = mt_digest("none");
	meta_manifest_pulled(t->m, SPAN("app"), &d, 2000);
	meta_manifest_pulled(t->m, SPAN("app"), &d, 3000);
	meta_manifest_pulled(t->m, SPAN("app"), &d, 2500);
	meta_manifest_pulled(t->m, SPAN("app"), &none, 2500);
	meta_manifest_pulled(t->m, SPAN("gone"), &d, 2500);
	mt_reopen(t);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 3000);
	meta_manifest_pulled(t->m, SPAN("app"), &d, 2999);
	mt_reopen(t);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 3000);
	assert_int_equal(row.pushed_ms, 1000);
	mt_plain(t, "app", "m", "v2");
	assert_int_equal(mt_get(t, "app", "v2", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 3000);
	mt_check(t);
}

static void
more_pulls_than_there_is_room_for_are_written_early(void **state)
{
	struct mt *t = *state;
	struct store_stats before = mt_stats(t);
	struct digest d = mt_digest("x");
	uint32_t i;
	int waited;

	for (i = 0; i < 40000; i++) {
		memcpy(d.bytes, &(uint64_t){ i * UINT64_C(0x9e3779b97f4a7c15) },
		    8);
		meta_manifest_pulled(t->m, SPAN("app"), &d, 1);
	}
	for (waited = 0;
	     mt_stats(t).commit_ops == before.commit_ops && waited < 5000;
	     waited++)
		(void)usleep(1000);
	/* Nothing there to be marked, so nothing is committed; but no more
	 * than a bounded number is kept, and closing is quick. */
	mt_reopen(t);
	mt_check(t);
}

/* Uploads. */

static void
upload_rows_come_and_go(void **state)
{
	struct upload_row row = { .id = "00112233445566778899aabbccddeeff",
		.repository = SPAN("app"),
		.alg = DIGEST_SHA512,
		.started_ms = 77 };
	struct upload_row got, *rows;
	struct mt *t = *state;
	struct blob_put put;
	struct digest d;
	size_t n;

	assert_int_equal(meta_upload_add(t->m, &row), RC_OK);
	memcpy(row.id, "10", 2);
	assert_int_equal(meta_upload_add(t->m, &row), RC_OK);
	memcpy(row.id, "20", 2);
	assert_int_equal(meta_upload_add(t->m, &row), RC_OK);
	/* A change behind them in the queue carries them along. */
	mt_blob(t, "app", "x");
	assert_int_equal(
	    meta_upload_get(t->m, span_of(row.id), &t->arena, &got), RC_OK);
	assert_string_equal(got.id, row.id);
	assert_true(span_is(got.repository, "app"));
	assert_int_equal(got.alg, DIGEST_SHA512);
	assert_int_equal(got.started_ms, 77);
	assert_int_equal(
	    meta_upload_get(t->m, SPAN("none"), &t->arena, &got), RC_NOTFOUND);
	assert_int_equal(
	    meta_upload_page(t->m, SPAN_NONE, 2, &t->arena, &rows, &n), RC_OK);
	assert_int_equal(n, 2);
	assert_int_equal(meta_upload_page(t->m, span_of(rows[1].id), 2,
			     &t->arena, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].id, row.id);
	assert_int_equal(mt_stats(t).upload_sessions, 3);
	assert_int_equal(meta_upload_delete(t->m, span_of(row.id)), RC_OK);
	assert_int_equal(
	    meta_upload_delete(t->m, span_of(row.id)), RC_NOTFOUND);
	/* The blob that ends a session takes the row with it. */
	memcpy(row.id, "10", 2);
	d = mt_digest("y");
	put = file_put("app", &d, 1);
	put.location = BLOB_IN_META;
	put.content = SPAN("y");
	put.upload_id = span_of(row.id);
	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	assert_int_equal(mt_stats(t).upload_sessions, 1);
	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
}

static void
a_post_is_committed_without_company(void **state)
{
	const struct upload_row row = { .id =
					    "00112233445566778899aabbccddeeff",
		.repository = SPAN("app"),
		.alg = DIGEST_SHA256 };
	struct upload_row got;
	struct mt *t = *state;
	int64_t start = clock_mono_ns();

	assert_int_equal(meta_upload_add(t->m, &row), RC_OK);
	while (
	    meta_upload_get(t->m, span_of(row.id), &t->arena, &got) != RC_OK) {
		assert_true(clock_mono_ns() - start < INT64_C(60000000000));
		(void)usleep(1000);
	}
}

/* Pages of names. */

static int
text_cmp(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

static void
pages_of_names_join_to_the_sorted_whole(void **state)
{
	/* Names that are the beginning of others, and bytes around '/'. */
	char *names[] = { "a", "a-b", "a.b", "a/b", "a0", "aa", "aaa", "aa/a",
		"b", "b_c", "z", "z/z", "z/z/z", "0" };
	struct mt *t = *state;
	struct page page;
	struct span last;
	size_t i, n, step;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		mt_blob(t, names[i], "x");
		mt_plain(t, "tags", "m",
		    strchr(names[i], '/') != NULL ? "sl" : names[i]);
	}
	mt_blob(t, "tag", "x");
	for (step = 1; step <= ARRAY_LEN(names) + 3; step++) {
		qsort(names, ARRAY_LEN(names), sizeof(*names), text_cmp);
		n = 0;
		last = SPAN_NONE;
		do {
			assert_int_equal(meta_repository_page(t->m, last, step,
					     &t->arena, &page),
			    RC_OK);
			assert_true(page.n > 0 && page.n <= step);
			for (i = 0; i < page.n; i++) {
				if (span_is(page.items[i], "tag") ||
				    span_is(page.items[i], "tags"))
					continue;
				assert_true(span_is(page.items[i], names[n]));
				n++;
			}
			last = page.items[page.n - 1];
		} while (page.more);
		assert_int_equal(n, ARRAY_LEN(names));
	}
	assert_int_equal(
	    meta_repository_page(t->m, SPAN("a/"), 1, &t->arena, &page), RC_OK);
	assert_true(span_is(page.items[0], "a/b"));
	assert_int_equal(
	    meta_repository_page(t->m, SPAN("zz"), 5, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_int_equal(
	    meta_repository_page(t->m, SPAN_NONE, 0, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_int_equal(
	    meta_tag_page(t->m, SPAN("nope"), SPAN_NONE, 5, &t->arena, &page),
	    RC_NOTFOUND);
}

static void
tags_of_a_repository_stop_at_the_next(void **state)
{
	struct mt *t = *state;
	struct page page;
	struct span last = SPAN_NONE;
	size_t i, n = 0;
	char tag[16];

	mt_plain(t, "one", "m", "zzz");
	for (i = 0; i < 100; i++) {
		snprintf(tag, sizeof(tag), "t%03zu", i);
		mt_plain(t, "two", "m", tag);
	}
	mt_plain(t, "three", "m", "aaa");
	do {
		assert_int_equal(
		    meta_tag_page(t->m, SPAN("two"), last, 7, &t->arena, &page),
		    RC_OK);
		for (i = 0; i < page.n; i++, n++) {
			snprintf(tag, sizeof(tag), "t%03zu", n);
			assert_true(span_is(page.items[i], tag));
		}
		last = page.items[page.n - 1];
	} while (page.more);
	assert_int_equal(n, 100);
	assert_int_equal(page.n, 2);
}

static void
all_of_it_is_there_after_opening_again(void **state)
{
	struct mt *t = *state;
	struct digest blob = mt_blob(t, "app", "layer"), subject;
	const struct descriptor edge = mt_edge(EDGE_LAYER, &blob);
	struct store_stats a, b;
	struct holding holding;
	struct manifest_row row;

	subject = mt_image(t, &(struct mt_image){ .repo = "app",
				  .text = "m",
				  .tag = "v1",
				  .edges = &edge,
				  .n_edges = 1 });
	refer(t, &subject, "sig", "sig");
	a = mt_stats(t);
	mt_reopen(t);
	b = mt_stats(t);
	assert_int_equal(a.repositories, b.repositories);
	assert_int_equal(a.manifests, b.manifests);
	assert_int_equal(a.inline_bytes, b.inline_bytes);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(referrers(t, &subject, "sig").n, 1);
	assert_int_equal(unlink_blob(t, "app", &blob, &holding), RC_REFERENCED);
	mt_blob(t, "second", "x");
	mt_check(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_repository_begins_with_its_first_push),
		TEST(a_push_without_leave_to_create_finds_no_repository),
		TEST(a_name_that_is_none_is_refused),
		TEST(names_longer_than_any_key_are_not_found),
		TEST(a_manifest_is_found_by_tag_and_by_digest),
		TEST(a_row_alone_brings_no_text),
		TEST(a_second_push_keeps_the_times_and_adds_the_tag),
		TEST(a_tag_moves_to_what_was_pushed_last),
		TEST(several_tags_of_one_push_may_repeat),
		TEST(deleting_a_tag_leaves_the_manifest),
		TEST(deleting_a_manifest_takes_its_tags_only),
		TEST(an_empty_repository_stays),
		TEST(a_manifest_needs_its_blobs_in_the_repository),
		TEST(an_index_needs_manifests_not_blobs),
		TEST(sparse_says_what_may_be_absent),
		TEST(nondistributable_layers_and_subjects_may_be_absent),
		TEST(one_descriptor_may_appear_often),
		TEST(a_blob_that_is_needed_here_is_not_unlinked),
		TEST(a_manifest_of_an_index_is_not_deleted),
		TEST(a_layer_that_is_also_a_manifest_holds_the_blob_only),
		TEST(referrers_come_before_and_outlive_their_subject),
		TEST(referrers_are_chosen_by_type_and_repository),
		TEST(pages_of_referrers_join_to_the_whole),
		TEST(a_page_of_referrers_ends_at_its_bytes),
		TEST(a_blob_is_seen_where_it_is_linked),
		TEST(content_is_one_copy_and_outlives_a_link),
		TEST(what_nobody_holds_is_counted_until_it_is_held_again),
		TEST(a_blob_in_a_file_has_a_row_and_no_content),
		TEST(the_text_of_a_manifest_stays_in_the_database),
		TEST(the_empty_blob_is_a_blob),
		TEST(holders_are_named_up_to_a_bound),
		TEST(large_values_are_not_read_on_a_loop),
		TEST(a_read_past_the_cap_of_the_arena_is_too_big),
		TEST(a_pull_is_noted_and_the_latest_wins),
		TEST(more_pulls_than_there_is_room_for_are_written_early),
		TEST(upload_rows_come_and_go),
		TEST(a_post_is_committed_without_company),
		TEST(pages_of_names_join_to_the_sorted_whole),
		TEST(tags_of_a_repository_stop_at_the_next),
		TEST(all_of_it_is_there_after_opening_again),
	};

	return (cmocka_run_group_tests_name("meta", tests, NULL, NULL));
}
