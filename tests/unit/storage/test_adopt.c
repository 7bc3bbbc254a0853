#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/imports.h"
#include "storage/meta_ops_int.h"

#define APP SPAN("team/app")
#define CACHE SPAN("hub/app")

static int
setup(void **state)
{
	log_set_level(LOG_LVL_ERROR);
	return (mt_setup(state));
}

/* An image of content that need not be here, as one that was imported is. */
static struct digest
sparse(struct mt *t, const char *repo, const char *text, enum edge_kind kind,
    const struct digest *blob, uint64_t size_bytes)
{
	struct descriptor edge = mt_edge(kind, blob);
	struct mt_image image = {
		.repo = repo,
		.text = text,
		.edges = &edge,
		.n_edges = 1,
		.sparse = SPARSE_ALL,
	};

	edge.size_bytes = size_bytes;
	return (mt_image(t, &image));
}

static void
delete_image(struct mt *t, const char *repo, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(t->m, span_of(repo), d, &holding), RC_OK);
}

static void
what_an_image_names_is_told_with_its_size(void **state)
{
	struct mt *t = *state;
	struct digest layer = mt_digest("layer"), config = mt_digest("config");
	struct digest other = mt_digest("other");
	uint64_t size = 0;

	(void)sparse(t, "hub/app", "one", EDGE_LAYER, &layer, 12345);
	(void)sparse(t, "hub/app", "two", EDGE_CONFIG, &config, 77);
	assert_int_equal(meta_blob_named(t->m, CACHE, &layer, &size), RC_OK);
	assert_int_equal(size, 12345);
	assert_int_equal(meta_blob_named(t->m, CACHE, &config, &size), RC_OK);
	assert_int_equal(size, 77);
	assert_int_equal(
	    meta_blob_named(t->m, CACHE, &other, &size), RC_NOTFOUND);
	assert_int_equal(
	    meta_blob_named(t->m, APP, &layer, &size), RC_NOTFOUND);
}

static void
an_image_of_an_index_is_no_blob_of_it(void **state)
{
	struct mt *t = *state;
	struct digest child = mt_digest("child");
	uint64_t size;

	(void)sparse(t, "hub/app", "index", EDGE_MANIFEST, &child, 10);
	assert_int_equal(
	    meta_blob_named(t->m, CACHE, &child, &size), RC_NOTFOUND);
}

static void
what_only_deleted_images_name_is_not_named(void **state)
{
	struct mt *t = *state;
	struct digest layer = mt_digest("layer"), one, two;
	uint64_t size;

	store_undelete_set(t->s, (int64_t)3600 * 1000);
	one = sparse(t, "hub/app", "one", EDGE_LAYER, &layer, 5);
	two = sparse(t, "hub/app", "two", EDGE_LAYER, &layer, 5);
	delete_image(t, "hub/app", &one);
	assert_int_equal(meta_blob_named(t->m, CACHE, &layer, &size), RC_OK);
	delete_image(t, "hub/app", &two);
	assert_int_equal(
	    meta_blob_named(t->m, CACHE, &layer, &size), RC_NOTFOUND);
	(void)mt_blob(t, "team/app", "layer");
	assert_int_equal(
	    meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_NOTFOUND);
}

static void
content_of_another_repository_is_adopted(void **state)
{
	struct mt *t = *state;
	struct digest layer = mt_digest("layer");

	(void)sparse(t, "hub/app", "one", EDGE_LAYER, &layer, 5);
	assert_int_equal(
	    meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_NOTFOUND);
	(void)mt_blob(t, "team/app", "layer");
	assert_false(mt_has_blob(t, "hub/app", &layer));
	assert_int_equal(meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_OK);
	assert_true(mt_has_blob(t, "hub/app", &layer));
	assert_int_equal(meta_blob_adopt(t->m, CACHE, &layer, 3000), RC_OK);
	mt_check(t);
}

static void
what_no_image_names_is_not_adopted(void **state)
{
	struct mt *t = *state;
	struct digest layer = mt_blob(t, "team/app", "layer");

	(void)mt_plain(t, "hub/app", "plain", "v1");
	assert_int_equal(
	    meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_NOTFOUND);
	assert_int_equal(
	    meta_blob_adopt(t->m, SPAN("no/such"), &layer, 2000), RC_NOTFOUND);
	assert_false(mt_has_blob(t, "hub/app", &layer));
}

static enum rc
quarantine(struct meta_txn *t, void *arg)
{
	return (meta_blob_quarantine(t, KEY_DOMAIN_PLAIN, arg));
}

static void
damaged_content_is_not_adopted(void **state)
{
	struct mt *t = *state;
	struct digest layer = mt_blob(t, "team/app", "layer");

	(void)sparse(t, "hub/app", "one", EDGE_LAYER, &layer, 5);
	assert_int_equal(meta_change(t->m, quarantine, &layer, 0), RC_OK);
	assert_int_equal(
	    meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_NOTFOUND);
}

static enum rc
to_archive(struct meta_txn *t, void *arg)
{
	return (blob_moved(
	    t, KEY_DOMAIN_PLAIN, arg, BLOB_IN_ARCHIVE, BLOB_PLAIN, 5, 2000));
}

static enum rc
to_file(struct meta_txn *t, void *arg)
{
	return (blob_moved(
	    t, KEY_DOMAIN_PLAIN, arg, BLOB_IN_FILE, BLOB_PLAIN, 5, 2000));
}

static void
archived_content_is_not_adopted(void **state)
{
	struct mt *t = *state;
	struct digest layer = mt_blob(t, "team/app", "layer");

	(void)sparse(t, "hub/app", "one", EDGE_LAYER, &layer, 5);
	assert_int_equal(meta_change(t->m, to_archive, &layer, 0), RC_OK);
	assert_int_equal(
	    meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_NOTFOUND);
	assert_int_equal(meta_change(t->m, to_file, &layer, 0), RC_OK);
	assert_int_equal(meta_blob_adopt(t->m, CACHE, &layer, 2000), RC_OK);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_an_image_names_is_told_with_its_size),
		TEST(an_image_of_an_index_is_no_blob_of_it),
		TEST(what_only_deleted_images_name_is_not_named),
		TEST(content_of_another_repository_is_adopted),
		TEST(what_no_image_names_is_not_adopted),
		TEST(damaged_content_is_not_adopted),
		TEST(archived_content_is_not_adopted),
	};

	return (cmocka_run_group_tests_name("adopt", tests, NULL, NULL));
}
