#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/gc.h"
#include "storage/images.h"
#include "storage/imports.h"
#include "storage/meta_ops_int.h"
#include "storage/upload.h"

/*
 * What came from another registry: which images and tags are marked as that,
 * who takes a mark away, and how such images are given up.
 */
#define APP SPAN("app")
#define UNDELETE_MS INT64_C(3600000)
#define DAY_MS INT64_C(86400000)

/* --- short words --------------------------------------------------------- */

static int
setup(void **state)
{

	log_set_level(LOG_LVL_ERROR);
	return (mt_setup(state));
}

static struct digest
import(struct mt *t, const char *text, const char *tag, int64_t now_ms)
{
	return (mt_image(t, &(struct mt_image){
				.repo = "app",
				.text = text,
				.tag = tag,
				.import = true,
				.now_ms = now_ms,
			    }));
}

static struct digest
import_index(
    struct mt *t, const char *text, const char *tag, const struct digest *child)
{
	const struct descriptor edge = mt_edge(EDGE_MANIFEST, child);

	return (mt_image(t, &(struct mt_image){
				.repo = "app",
				.text = text,
				.tag = tag,
				.edges = &edge,
				.n_edges = 1,
				.sparse = SPARSE_ALL,
				.index = true,
				.import = true,
			    }));
}

/* -1: it is no copy. */
static int64_t
imported(struct mt *t, const struct digest *d)
{
	int64_t ms = 0;
	enum rc rc;

	rc = meta_imported(t->m, APP, d, &ms);
	if (rc == RC_NOTFOUND)
		return (-1);
	assert_int_equal(rc, RC_OK);
	return (ms);
}

/* The same of a tag: when it was compared. */
static int64_t
checked(struct mt *t, const char *tag)
{
	struct import_tag row;
	struct manifest_row manifest;
	enum rc rc;

	rc = meta_import_tag_get(t->m, APP, span_of(tag), &row);
	if (rc == RC_NOTFOUND)
		return (-1);
	assert_int_equal(rc, RC_OK);
	assert_int_equal(mt_get(t, "app", tag, &manifest), RC_OK);
	assert_true(digest_eq(&row.digest, &manifest.digest));
	return (row.checked_ms);
}

static bool
points_at(struct mt *t, const char *tag, const struct digest *d)
{
	struct manifest_row row;

	return (
	    mt_get(t, "app", tag, &row) == RC_OK && digest_eq(&row.digest, d));
}

static uint64_t
rows_of(struct mt *t, enum meta_table table)
{
	struct meta_txn m;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &m), RC_OK);
	n = kv_count(&m, table);
	meta_read_end(&m);
	return (n);
}

static struct image_restored
undelete(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_restored restored;

	assert_int_equal(
	    meta_image_undelete(t->m, APP, &ref, 9000, &t->arena, &restored),
	    RC_OK);
	return (restored);
}

static void
image_delete_of(struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(meta_manifest_delete(t->m, APP, d, &holding), RC_OK);
}

static void
archive(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, IMAGE_ARCHIVED,
			     5000, &t->arena, &row, &holding),
	    RC_OK);
}

/* --- marks --------------------------------------------------------------- */

static void
an_import_is_marked_and_so_is_its_tag(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);
	struct digest own = mt_plain(t, "app", "own", "mine");

	mt_reopen(t);
	assert_int_equal(imported(t, &a), 1500);
	assert_int_equal(checked(t, "v1"), 1500);
	assert_int_equal(imported(t, &own), -1);
	assert_int_equal(checked(t, "mine"), -1);
	mt_check(t);
}

static void
what_is_not_there_is_no_copy(void **state)
{
	struct mt *t = *state;
	struct digest d = mt_digest("x");
	struct import_tag row;
	int64_t ms;

	assert_int_equal(
	    meta_imported(t->m, SPAN("none"), &d, &ms), RC_NOTFOUND);
	assert_int_equal(
	    meta_import_tag_get(t->m, SPAN("none"), SPAN("v1"), &row),
	    RC_NOTFOUND);
	(void)mt_plain(t, "app", "a", NULL);
	assert_int_equal(imported(t, &d), -1);
	assert_int_equal(checked(t, "v1"), -1);
}

static void
an_import_once_more_keeps_its_time_and_checks_the_tag(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	(void)import(t, "a", "v1", 2500);
	(void)import(t, "a", "v2", 3500);
	assert_int_equal(imported(t, &a), 1500);
	assert_int_equal(checked(t, "v1"), 2500);
	assert_int_equal(checked(t, "v2"), 3500);
	mt_check(t);
}

static void
a_push_makes_a_copy_somebodys_own(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	(void)mt_plain(t, "app", "a", NULL);
	assert_int_equal(imported(t, &a), -1);
	/* Of the tag nobody has said anything. */
	assert_int_equal(checked(t, "v1"), 1500);
	(void)import(t, "a", "v1", 2500);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(checked(t, "v1"), 2500);
	mt_check(t);
}

static void
a_push_makes_a_tag_local(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500), b;

	(void)import(t, "a", "v2", 1500);
	(void)mt_plain(t, "app", "a", "v1");
	b = mt_plain(t, "app", "b", "v2");
	assert_int_equal(checked(t, "v1"), -1);
	assert_int_equal(checked(t, "v2"), -1);
	assert_true(points_at(t, "v1", &a));
	assert_true(points_at(t, "v2", &b));
	assert_int_equal(rows_of(t, TABLE_IMPORT_TAGS), 0);
	mt_check(t);
}

static void
an_import_does_not_take_what_was_pushed(void **state)
{
	struct mt *t = *state;
	struct digest a = mt_plain(t, "app", "a", "mine");

	(void)import(t, "a", "v1", 2500);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(checked(t, "v1"), 2500);
	assert_int_equal(checked(t, "mine"), -1);
	mt_check(t);
}

static void
an_import_leaves_a_local_tag_alone(void **state)
{
	struct mt *t = *state;
	struct digest own = mt_plain(t, "app", "own", "v1");
	struct digest b = import(t, "b", "v1", 2500);

	assert_true(points_at(t, "v1", &own));
	assert_int_equal(checked(t, "v1"), -1);
	assert_int_equal(imported(t, &b), 2500);
	/* Also where it says the same. */
	(void)import(t, "own", "v1", 2500);
	assert_int_equal(checked(t, "v1"), -1);
	mt_check(t);
}

static void
a_tag_that_is_a_copy_follows_the_imports(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);
	struct digest b = import(t, "b", "v1", 2500);

	assert_true(points_at(t, "v1", &b));
	assert_int_equal(checked(t, "v1"), 2500);
	assert_int_equal(imported(t, &a), 1500);
	mt_check(t);
}

static void
an_immutable_tag_is_not_moved_by_an_import(void **state)
{
	const struct repository_create create = {
		.name = APP,
		.preset.settings.mutability = TAGS_IMMUTABLE,
	};
	struct manifest_put_result result;
	struct repository_row row;
	struct mt *t = *state;
	struct digest a, b;

	assert_int_equal(meta_repository_create(t->m, &create, &row), RC_OK);
	a = import(t, "a", "v1", 1500);
	assert_int_equal(mt_put(t,
			     &(struct mt_image){
				 .repo = "app",
				 .text = "b",
				 .tag = "v1",
				 .import = true,
			     },
			     &b, &result),
	    RC_EXISTS);
	assert_true(span_is(result.immutable_tag, "v1"));
	assert_true(points_at(t, "v1", &a));
	assert_int_equal(checked(t, "v1"), 1500);
}

static void
a_comparison_is_noted_of_what_the_tag_points_at(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500), b = mt_digest("b");
	const struct span v1 = SPAN("v1");

	assert_int_equal(
	    meta_import_tag_checked(t->m, APP, v1, &a, 7000), RC_OK);
	assert_int_equal(checked(t, "v1"), 7000);
	assert_int_equal(
	    meta_import_tag_checked(t->m, APP, v1, &b, 8000), RC_NOTFOUND);
	assert_int_equal(
	    meta_import_tag_checked(t->m, APP, SPAN("v2"), &a, 8000),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_import_tag_checked(t->m, SPAN("none"), v1, &a, 8000),
	    RC_NOTFOUND);
	assert_int_equal(checked(t, "v1"), 7000);
	(void)mt_plain(t, "app", "a", "v1");
	assert_int_equal(
	    meta_import_tag_checked(t->m, APP, v1, &a, 8000), RC_NOTFOUND);
	assert_int_equal(checked(t, "v1"), -1);
}

static void
a_tag_that_was_deleted_is_forgotten(void **state)
{
	struct image_delete del = { .repository = APP, .tag = SPAN("v2") };
	struct image_deleted deleted;
	struct mt *t = *state;

	(void)import(t, "a", "v1", 1500);
	(void)import(t, "a", "v2", 1500);
	(void)import(t, "a", "v3", 1500);
	assert_int_equal(meta_tag_delete(t->m, APP, SPAN("v1")), RC_OK);
	assert_int_equal(
	    meta_image_delete(t->m, &del, &t->arena, &deleted), RC_OK);
	assert_int_equal(checked(t, "v1"), -1);
	assert_int_equal(rows_of(t, TABLE_IMPORT_TAGS), 1);
	(void)mt_plain(t, "app", "a", "v1");
	assert_int_equal(checked(t, "v1"), -1);
	assert_int_equal(checked(t, "v3"), 1500);
	mt_check(t);
}

/* --- what goes, and comes back ------------------------------------------- */

static void
what_went_for_good_is_not_marked_when_it_is_pushed(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	assert_int_equal(
	    meta_import_referrers_checked(t->m, APP, &a, 1600), RC_OK);
	image_delete_of(t, &a);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(rows_of(t, TABLE_IMPORT_IMAGES), 0);
	assert_int_equal(rows_of(t, TABLE_IMPORT_TAGS), 0);
	assert_int_equal(rows_of(t, TABLE_IMPORT_REFERRERS), 0);
	(void)mt_plain(t, "app", "a", "v1");
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(checked(t, "v1"), -1);
	mt_check(t);
}

static void
a_copy_that_was_deleted_comes_back_as_one(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500), b;

	(void)import(t, "a", "v2", 1500);
	store_undelete_set(t->s, UNDELETE_MS);
	image_delete_of(t, &a);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(checked(t, "v1"), -1);
	b = mt_plain(t, "app", "b", "v2");
	mt_check(t);
	assert_int_equal(undelete(t, &a).n_tags, 1);
	assert_int_equal(imported(t, &a), 1500);
	/* It is to be compared before it is believed. */
	assert_int_equal(checked(t, "v1"), 0);
	assert_int_equal(checked(t, "v2"), -1);
	assert_true(points_at(t, "v2", &b));
	mt_check(t);
}

static void
somebodys_own_that_was_deleted_comes_back_as_that(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	(void)mt_plain(t, "app", "a", NULL);
	store_undelete_set(t->s, UNDELETE_MS);
	image_delete_of(t, &a);
	(void)undelete(t, &a);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(checked(t, "v1"), -1);
	mt_check(t);
}

static void
a_deleted_image_that_is_pushed_again_is_who_pushed_its(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);
	struct digest b = mt_plain(t, "app", "b", "v2");

	store_undelete_set(t->s, UNDELETE_MS);
	image_delete_of(t, &a);
	image_delete_of(t, &b);
	(void)mt_plain(t, "app", "a", "v1");
	(void)import(t, "b", "v2", 2500);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(imported(t, &b), 2500);
	assert_int_equal(checked(t, "v2"), 2500);
	mt_check(t);
}

static void
a_repository_comes_back_with_its_marks(void **state)
{
	struct repository_description d;
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	store_undelete_set(t->s, UNDELETE_MS);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &d), RC_OK);
	assert_int_equal(imported(t, &a), -1);
	assert_int_equal(meta_repository_undelete(t->m, APP, 0, 9000), RC_OK);
	assert_int_equal(imported(t, &a), 1500);
	assert_int_equal(checked(t, "v1"), 1500);
	mt_check(t);
}

static void
a_repository_goes_with_its_marks(void **state)
{
	struct repository_description d;
	bool more = true;
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	assert_int_equal(
	    meta_import_referrers_checked(t->m, APP, &a, 1600), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &d), RC_OK);
	while (more) {
		assert_int_equal(
		    meta_repository_purge(t->m, 1, NULL, &more), RC_OK);
		mt_check(t);
	}
	assert_int_equal(rows_of(t, TABLE_IMPORT_IMAGES), 0);
	assert_int_equal(rows_of(t, TABLE_IMPORT_TAGS), 0);
	assert_int_equal(rows_of(t, TABLE_IMPORT_REFERRERS), 0);
	(void)mt_plain(t, "app", "a", "v1");
	assert_int_equal(imported(t, &a), -1);
}

/* --- referrers ----------------------------------------------------------- */

static void
comparisons_of_referrers_are_noted(void **state)
{
	struct mt *t = *state;
	struct digest a = mt_plain(t, "app", "a", NULL), b = mt_digest("b");
	int64_t ms;

	assert_int_equal(
	    meta_import_referrers_get(t->m, APP, &a, &ms), RC_NOTFOUND);
	assert_int_equal(
	    meta_import_referrers_checked(t->m, APP, &a, 1500), RC_OK);
	assert_int_equal(
	    meta_import_referrers_checked(t->m, APP, &a, 2500), RC_OK);
	assert_int_equal(
	    meta_import_referrers_checked(t->m, APP, &b, 3500), RC_OK);
	assert_int_equal(meta_import_referrers_get(t->m, APP, &a, &ms), RC_OK);
	assert_int_equal(ms, 2500);
	assert_int_equal(meta_import_referrers_get(t->m, APP, &b, &ms), RC_OK);
	assert_int_equal(ms, 3500);
	assert_int_equal(
	    meta_import_referrers_checked(t->m, SPAN("none"), &a, 1),
	    RC_NOTFOUND);
	assert_int_equal(meta_import_referrers_get(t->m, SPAN("none"), &a, &ms),
	    RC_NOTFOUND);
	mt_check(t);
}

/* Who asks for ever other digests does not fill the database for good. */
static void
old_comparisons_of_what_is_not_here_are_forgotten(void **state)
{
	struct mt *t = *state;
	struct digest a = mt_plain(t, "app", "a", NULL), d;
	char text[32];
	int64_t ms;
	unsigned i;

	assert_int_equal(
	    meta_import_referrers_checked(t->m, APP, &a, 1000), RC_OK);
	for (i = 0; i < 400; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		d = mt_digest(text);
		assert_int_equal(meta_import_referrers_checked(t->m, APP, &d,
				     i < 200 ? 1000 : 1000 + 8 * DAY_MS),
		    RC_OK);
	}
	/* Of the 200 old ones most have had a neighbour. */
	assert_in_range(rows_of(t, TABLE_IMPORT_REFERRERS), 201, 301);
	assert_int_equal(meta_import_referrers_get(t->m, APP, &a, &ms), RC_OK);
	mt_check(t);
}

/* --- what can be given up ------------------------------------------------ */

static struct import_page
page(struct mt *t, const struct digest *after, size_t n)
{
	struct import_page page;

	assert_int_equal(
	    meta_import_page(t->m, APP, after, n, &t->arena, &page), RC_OK);
	return (page);
}

static const struct import_row *
row_of(const struct import_page *page, const struct digest *d)
{
	size_t i;

	for (i = 0; i < page->n; i++)
		if (digest_eq(&page->rows[i].digest, d))
			return (&page->rows[i]);
	return (NULL);
}

static void
a_page_has_the_copies_that_are_active(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);
	struct digest b = import(t, "bbb", NULL, 2500);
	struct digest gone = import(t, "gone", NULL, 2500);
	struct digest cold = import(t, "cold", NULL, 2500);
	struct digest own = mt_plain(t, "app", "own", "mine");
	struct import_page p;

	store_undelete_set(t->s, UNDELETE_MS);
	image_delete_of(t, &gone);
	archive(t, &cold);
	p = page(t, NULL, 9);
	assert_int_equal(p.n, 2);
	assert_false(p.more);
	assert_null(row_of(&p, &own));
	assert_int_equal(row_of(&p, &a)->used_ms, 1500);
	assert_int_equal(row_of(&p, &b)->used_ms, 2500);
	assert_int_equal(row_of(&p, &b)->size_bytes, 3);
	assert_false(row_of(&p, &b)->held);
	assert_int_equal(
	    meta_import_page(t->m, SPAN("none"), NULL, 9, &t->arena, &p),
	    RC_NOTFOUND);
}

static void
pages_follow_one_another(void **state)
{
	struct mt *t = *state;
	struct import_page p = { 0 };
	const struct digest *after = NULL;
	char text[32];
	unsigned i;
	size_t n = 0;

	for (i = 0; i < 700; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		(void)import(t, text, NULL, 1500);
	}
	do {
		p = page(t, after, 300);
		for (i = 0; i < p.n; i++) {
			if (after != NULL)
				assert_true(
				    digest_cmp(after, &p.rows[i].digest) < 0);
			after = &p.rows[i].digest;
			n++;
		}
	} while (p.more);
	assert_int_equal(n, 700);
	p = page(t, after, 1);
	assert_true(p.n == 0 && !p.more);
	p = page(t, NULL, 700);
	assert_true(p.n == 700 && !p.more);
}

static void
a_pull_is_a_use_before_it_is_written(void **state)
{
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);
	struct import_page p;
	struct manifest_row row;

	meta_manifest_pulled(t->m, APP, &a, 7000);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 0);
	p = page(t, NULL, 9);
	assert_int_equal(p.rows[0].used_ms, 7000);
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 7000);
	p = page(t, NULL, 9);
	assert_int_equal(p.rows[0].used_ms, 7000);
}

static void
what_an_index_refers_to_is_held(void **state)
{
	struct mt *t = *state;
	struct digest a = mt_digest("a"), index;
	struct import_page p;

	index = import_index(t, "index", "v1", &a);
	(void)import(t, "a", NULL, 1500);
	p = page(t, NULL, 9);
	assert_int_equal(p.n, 2);
	assert_true(row_of(&p, &a)->held);
	assert_false(row_of(&p, &index)->held);
	mt_check(t);
}

/* --- giving up ----------------------------------------------------------- */

static enum rc
evict(struct mt *t, const struct digest *d, int64_t used_ms,
    struct image_deleted *gone_r)
{
	return (meta_import_evict(t->m, APP, d, used_ms, &t->arena, gone_r));
}

static void
a_copy_goes_for_good_with_its_tags(void **state)
{
	struct deleted_image_page deleted;
	struct image_deleted gone;
	struct manifest_row row;
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	(void)import(t, "a", "v2", 1600);
	store_undelete_set(t->s, UNDELETE_MS);
	assert_int_equal(evict(t, &a, 1500, &gone), RC_OK);
	assert_true(digest_eq(&gone.digest, &a));
	assert_true(gone.image);
	assert_int_equal(gone.n_tags, 2);
	assert_true(span_is(gone.tags[0], "v1"));
	assert_true(span_is(gone.tags[1], "v2"));
	assert_int_equal(mt_get(t, "app", "v1", &row), RC_NOTFOUND);
	assert_int_equal(mt_get_digest(t, "app", &a, &row), RC_NOTFOUND);
	assert_int_equal(
	    meta_deleted_image_page(t->m, APP, NULL, 9, &t->arena, &deleted),
	    RC_OK);
	assert_int_equal(deleted.n, 0);
	assert_int_equal(rows_of(t, TABLE_IMPORT_IMAGES), 0);
	assert_int_equal(rows_of(t, TABLE_IMPORT_TAGS), 0);
	assert_int_equal(evict(t, &a, 1500, &gone), RC_NOTFOUND);
	assert_false(gone.image);
	mt_check(t);
}

static void
what_was_used_since_stays(void **state)
{
	struct image_deleted gone;
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);

	assert_int_equal(evict(t, &a, 1499, &gone), RC_BUSY);
	meta_manifest_pulled(t->m, APP, &a, 7000);
	assert_int_equal(evict(t, &a, 6999, &gone), RC_BUSY);
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	assert_int_equal(evict(t, &a, 6999, &gone), RC_BUSY);
	assert_int_equal(checked(t, "v1"), 1500);
	assert_int_equal(evict(t, &a, 7000, &gone), RC_OK);
}

static void
what_an_index_holds_stays_until_that_is_gone(void **state)
{
	struct image_deleted gone;
	struct mt *t = *state;
	struct digest a = import(t, "a", "v1", 1500);
	struct digest index = import_index(t, "index", "all", &a);

	assert_int_equal(evict(t, &a, INT64_MAX, &gone), RC_REFERENCED);
	assert_int_equal(gone.holding.n, 1);
	assert_true(digest_eq(&gone.holding.by[0], &index));
	assert_int_equal(evict(t, &index, INT64_MAX, &gone), RC_OK);
	assert_int_equal(evict(t, &a, INT64_MAX, &gone), RC_OK);
	mt_check(t);
}

static void
only_copies_that_are_active_are_given_up(void **state)
{
	struct image_deleted gone;
	struct mt *t = *state;
	struct digest own = mt_plain(t, "app", "own", "mine");
	struct digest taken = import(t, "taken", "v1", 1500);
	struct digest cold = import(t, "cold", NULL, 1500);

	(void)mt_plain(t, "app", "taken", NULL);
	archive(t, &cold);
	assert_int_equal(evict(t, &own, INT64_MAX, &gone), RC_NOTFOUND);
	assert_int_equal(evict(t, &taken, INT64_MAX, &gone), RC_NOTFOUND);
	assert_int_equal(evict(t, &cold, INT64_MAX, &gone), RC_NOTFOUND);
	assert_int_equal(meta_import_evict(t->m, SPAN("none"), &own, INT64_MAX,
			     &t->arena, &gone),
	    RC_NOTFOUND);
	assert_true(points_at(t, "mine", &own));
	mt_check(t);
}

/* --- content that comes after its manifest ------------------------------- */

#define LAYER_BYTES 9000 /* a file of its own */

static struct digest
layer_push(struct mt *t, const char *p)
{
	struct digest d = tool_digest(p, LAYER_BYTES);
	struct span text = { p, LAYER_BYTES };

	assert_int_equal(upload_whole(t->s, APP, &d, text, SPAN_NONE,
			     &repository_preset_default),
	    RC_OK);
	return (d);
}

static void
collect(struct mt *t)
{
	struct gc_options o = { .now_ms = clock_real_ms() };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(t->s, &o, &totals), RC_OK);
	assert_int_equal(totals.settles_ms, 0);
}

static bool
layer_here(struct mt *t, const struct digest *d)
{
	struct blob_row row;

	return (meta_blob_get(t->m, APP, d, BLOB_ROW, READ_BLOCKING, &t->arena,
		    &row) == RC_OK);
}

static void
content_that_comes_after_its_manifest_is_in_use(void **state)
{
	struct mt *t = *state;
	char *p = tool_bytes(LAYER_BYTES, 3), *q = tool_bytes(LAYER_BYTES, 4);
	struct digest layer = tool_digest(p, LAYER_BYTES), other, image;
	const struct descriptor edge = mt_edge(EDGE_LAYER, &layer);
	struct image_deleted gone;

	gc_grace_set(t->s, 0);
	image = mt_image(t, &(struct mt_image){
				.repo = "app",
				.text = "image",
				.tag = "v1",
				.edges = &edge,
				.n_edges = 1,
				.sparse = SPARSE_ALL,
				.import = true,
			    });
	mt_check(t);
	assert_false(layer_here(t, &layer));
	(void)layer_push(t, p);
	other = layer_push(t, q);
	mt_check(t);
	assert_int_equal(mt_stats(t).idle_links, 1);
	collect(t);
	assert_true(layer_here(t, &layer));
	assert_false(layer_here(t, &other));
	/* Without the image it goes, too. */
	assert_int_equal(evict(t, &image, INT64_MAX, &gone), RC_OK);
	assert_int_equal(mt_stats(t).idle_links, 1);
	collect(t);
	assert_false(layer_here(t, &layer));
	assert_int_equal(mt_stats(t).blobs, 0);
	mt_check(t);
	free(p);
	free(q);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_import_is_marked_and_so_is_its_tag),
		TEST(what_is_not_there_is_no_copy),
		TEST(an_import_once_more_keeps_its_time_and_checks_the_tag),
		TEST(a_push_makes_a_copy_somebodys_own),
		TEST(a_push_makes_a_tag_local),
		TEST(an_import_does_not_take_what_was_pushed),
		TEST(an_import_leaves_a_local_tag_alone),
		TEST(a_tag_that_is_a_copy_follows_the_imports),
		TEST(an_immutable_tag_is_not_moved_by_an_import),
		TEST(a_comparison_is_noted_of_what_the_tag_points_at),
		TEST(a_tag_that_was_deleted_is_forgotten),
		TEST(what_went_for_good_is_not_marked_when_it_is_pushed),
		TEST(a_copy_that_was_deleted_comes_back_as_one),
		TEST(somebodys_own_that_was_deleted_comes_back_as_that),
		TEST(a_deleted_image_that_is_pushed_again_is_who_pushed_its),
		TEST(a_repository_comes_back_with_its_marks),
		TEST(a_repository_goes_with_its_marks),
		TEST(comparisons_of_referrers_are_noted),
		TEST(old_comparisons_of_what_is_not_here_are_forgotten),
		TEST(a_page_has_the_copies_that_are_active),
		TEST(pages_follow_one_another),
		TEST(a_pull_is_a_use_before_it_is_written),
		TEST(what_an_index_refers_to_is_held),
		TEST(a_copy_goes_for_good_with_its_tags),
		TEST(what_was_used_since_stays),
		TEST(what_an_index_holds_stays_until_that_is_gone),
		TEST(only_copies_that_are_active_are_given_up),
		TEST(content_that_comes_after_its_manifest_is_in_use),
	};

	return (cmocka_run_group_tests_name("imports", tests, NULL, NULL));
}
