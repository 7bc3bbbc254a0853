#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mirror/copy.h"
#include "mirror/copy_int.h"
#include "place_tools.h"
#include "storage/images.h"
#include "storage/imports.h"
#include "storage/replication.h"
#include "storage/repositories.h"
#include "store_rig.h"

/*
 * A repository of a real store as a place, with one in memory at the other end.
 */
struct bench {
	struct store_rig rig;
	struct mem *mem;
	struct place_store_options so;
	struct place *place;
	struct copy_options o;
	struct copy_result result;
	struct upstream_error error;
};

static void
place_make(struct bench *b)
{
	place_free(&b->place);
	b->place = place_store(&b->so);
}

static int
bench_new(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	store_rig_open(&b->rig);
	b->mem = mem_new("mem.example/app");
	b->so.store = b->rig.s;
	b->so.repository = SPAN("team/app");
	b->so.create = &repository_preset_default;
	b->o.referrers = true;
	place_make(b);
	*state = b;
	return (0);
}

static int
bench_free(void **state)
{
	struct bench *b = *state;

	place_free(&b->place);
	mem_free(&b->mem);
	store_rig_close(&b->rig);
	free(b);
	return (0);
}

static enum rc
copy_in(struct bench *b, const char *tag)
{
	const struct reference ref = { .tag = span_of(tag) };

	return (copy_image(&b->mem->place, &ref, b->place, span_of(tag), &b->o,
	    &b->result, &b->error));
}

static enum rc
copy_out(struct bench *b, struct mem *to, const char *tag)
{
	const struct reference ref = { .tag = span_of(tag) };

	return (copy_image(b->place, &ref, &to->place, span_of(tag), &b->o,
	    &b->result, &b->error));
}

/* Files of unfinished uploads. */
static unsigned
scratches(struct bench *b)
{
	char path[STORE_RIG_PATH_BYTES + 16];
	struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/uploads", b->rig.dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return (n);
}

/* An image with a layer in a file. */
static struct digest
big_image(struct bench *b, const char *tag, size_t bytes)
{
	char text[2048];
	struct digest config = mem_blob(b->mem, "{}"),
		      layer = mem_big_blob(b->mem, bytes, 7);

	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"application/"
	    "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
	    "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
	    "\"size\":2},\"layers\":[{\"mediaType\":"
	    "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
	    "\"size\":%zu}]}",
	    mem_str(&config), mem_str(&layer), bytes);
	return (mem_manifest(
	    b->mem, "application/vnd.oci.image.manifest.v1+json", text, tag));
}

static void
images_go_in_and_come_out_the_same(void **state)
{
	struct bench *b = *state;
	struct mem *out = mem_new("out.example/app");
	struct digest d = mem_image(b->mem, "1", "a b c"),
		      big = big_image(b, "big", 3000000),
		      sig = mem_referrer(b->mem, &d, "sig");

	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(copy_in(b, "big"), RC_OK);
	assert_int_equal(copy_out(b, out, "1"), RC_OK);
	assert_int_equal(copy_out(b, out, "big"), RC_OK);
	assert_true(mem_tag_is(out, "1", &d));
	assert_true(mem_tag_is(out, "big", &big));
	assert_true(mem_has_manifest(out, &sig));
	assert_int_equal(out->n_blobs, b->mem->n_blobs);
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(b->result.outcome, COPY_SAME);
	mem_free(&out);
}

static void
blobs_of_sizes_around_the_limits_arrive(void **state)
{
	static const size_t sizes[] = { 1, 4096, 4097, 262143, 262144, 262145,
		524288 };
	struct bench *b = *state;
	char tag[32];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)snprintf(tag, sizeof(tag), "s%zu", sizes[i]);
		(void)big_image(b, tag, sizes[i]);
		assert_int_equal(copy_in(b, tag), RC_OK);
	}
	assert_int_equal(scratches(b), 0);
}

static void
content_that_is_something_else_is_not_taken(void **state)
{
	static const size_t sizes[] = { 100, 1000000 };
	struct bench *b = *state;
	char tag[32];
	size_t i, j;

	for (i = 0; i < 2; i++) {
		(void)snprintf(tag, sizeof(tag), "s%zu", sizes[i]);
		(void)big_image(b, tag, sizes[i]);
		for (j = 0; j < b->mem->n_blobs; j++)
			b->mem->blobs[j].corrupt = true;
		assert_int_equal(copy_in(b, tag), RC_DIGEST);
		assert_true(b->result.at_destination);
		assert_int_equal(scratches(b), 0);
	}
}

static void
more_than_was_said_is_not_taken(void **state)
{
	struct bench *b = *state;
	char text[2048];
	struct digest config = mem_blob(b->mem, "{}"),
		      layer = mem_big_blob(b->mem, 3000000, 7);

	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"application/"
	    "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
	    "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
	    "\"size\":2},\"layers\":[{\"mediaType\":"
	    "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
	    "\"size\":300000}]}",
	    mem_str(&config), mem_str(&layer));
	(void)mem_manifest(
	    b->mem, "application/vnd.oci.image.manifest.v1+json", text, "lies");
	assert_int_equal(copy_in(b, "lies"), RC_DIGEST);
	assert_int_equal(scratches(b), 0);
}

static void
without_leave_to_make_it_there_has_to_be_a_repository(void **state)
{
	struct bench *b = *state;

	(void)mem_image(b->mem, "1", "a");
	b->so.create = NULL;
	place_make(b);
	assert_int_equal(copy_in(b, "1"), RC_NOTFOUND);
	assert_true(b->result.at_destination);
	assert_non_null(strstr(b->error.why, "team/app"));
}

static void
an_index_without_an_image_is_taken_where_it_may_be_sparse(void **state)
{
	const struct platform p = { SPAN("linux"), SPAN("amd64"), SPAN_NONE };
	struct bench *b = *state;
	struct digest amd64 = mem_image(b->mem, "", "amd64"),
		      arm64 = mem_image(b->mem, "", "arm64"), index;
	const struct reference ref = { .is_digest = true, .digest = arm64 };
	struct place_manifest m;
	struct arena a;
	char text[512];

	(void)snprintf(text, sizeof(text), "linux/amd64=%s linux/arm64=%s",
	    mem_str(&amd64), mem_str(&arm64));
	index = mem_index(b->mem, "1", text);
	b->o.platforms = &p;
	b->o.n_platforms = 1;
	assert_int_equal(copy_in(b, "1"), RC_MISSING);
	assert_non_null(strstr(b->error.why, mem_str(&arm64)));
	b->so.sparse = true;
	place_make(b);
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_true(digest_eq(&b->result.digest, &index));
	arena_init(&a, 1 << 20);
	assert_int_equal(
	    b->place->ops->manifest_head(b->place, &ref, &a, &m, &b->error),
	    RC_NOTFOUND);
	arena_reset(&a);
	b->o.n_platforms = 0;
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(b->result.manifests, 1);
}

static void
imports_are_marked_and_own_images_are_not(void **state)
{
	struct bench *b = *state;
	struct digest own = mem_image(b->mem, "own", "a"),
		      theirs = mem_image(b->mem, "theirs", "b");
	struct import_tag row;
	int64_t ms;

	assert_int_equal(copy_in(b, "own"), RC_OK);
	b->so.imports = true;
	place_make(b);
	assert_int_equal(copy_in(b, "theirs"), RC_OK);
	assert_int_equal(
	    meta_imported(b->rig.m, b->so.repository, &theirs, &ms), RC_OK);
	assert_int_equal(meta_import_tag_get(
			     b->rig.m, b->so.repository, SPAN("theirs"), &row),
	    RC_OK);
	assert_int_equal(
	    meta_imported(b->rig.m, b->so.repository, &own, &ms), RC_NOTFOUND);
}

static void
what_is_put_is_queued_for_its_destinations(void **state)
{
	const struct span to[] = { SPAN("r/111111111111"),
		SPAN("r/222222222222") };
	struct bench *b = *state;
	uint64_t n;

	(void)mem_image(b->mem, "1", "a");
	b->so.destinations = to;
	b->so.n_destinations = 2;
	place_make(b);
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(meta_replication_count(b->rig.m, &n), RC_OK);
	assert_int_equal(n, 2);
}

static void
content_of_another_repository_is_linked_only_where_that_is_wanted(void **state)
{
	struct bench *b = *state;

	(void)mem_image(b->mem, "1", "a b");
	assert_int_equal(copy_in(b, "1"), RC_OK);
	b->so.repository = SPAN("team/second");
	place_make(b);
	mem_reset(b->mem);
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(b->mem->count[MEM_BLOB_OPEN], 3);
	b->so.repository = SPAN("team/third");
	b->so.links = true;
	place_make(b);
	mem_reset(b->mem);
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(b->mem->count[MEM_BLOB_OPEN], 0);
	assert_int_equal(b->result.bytes, 0);
}

static void
an_archived_image_is_not_there_and_comes_back_when_it_is_copied(void **state)
{
	struct bench *b = *state;
	struct mem *out = mem_new("out.example/app");
	const struct reference ref = { .tag = SPAN("1") };
	struct holding holding;
	struct image_row row;
	struct arena a;

	(void)mem_image(b->mem, "1", "a");
	assert_int_equal(copy_in(b, "1"), RC_OK);
	arena_init(&a, 1 << 20);
	assert_int_equal(meta_image_status_set(b->rig.m, b->so.repository, &ref,
			     IMAGE_ARCHIVED, 1, &a, &row, &holding),
	    RC_OK);
	assert_int_equal(copy_out(b, out, "1"), RC_NOTFOUND);
	assert_non_null(strstr(b->error.why, "archived"));
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(b->result.outcome, COPY_MOVED);
	assert_int_equal(copy_out(b, out, "1"), RC_OK);
	arena_reset(&a);
	mem_free(&out);
}

static void
an_immutable_tag_is_named(void **state)
{
	struct repository_preset preset = repository_preset_default;
	struct bench *b = *state;

	preset.settings.mutability = TAGS_IMMUTABLE;
	b->so.create = &preset;
	place_make(b);
	(void)mem_image(b->mem, "1", "a");
	assert_int_equal(copy_in(b, "1"), RC_OK);
	(void)mem_image(b->mem, "1", "b");
	assert_int_equal(copy_in(b, "1"), RC_EXISTS);
	assert_non_null(strstr(b->error.why, "immutable"));
	assert_true(b->result.at_destination);
}

static void
quotas_hold(void **state)
{
	const struct manifest_quota quota = { .images = 1 };
	struct bench *b = *state;

	b->so.quota = &quota;
	place_make(b);
	(void)mem_image(b->mem, "1", "a");
	(void)mem_image(b->mem, "2", "b");
	assert_int_equal(copy_in(b, "1"), RC_OK);
	assert_int_equal(copy_in(b, "2"), RC_LIMIT);
	assert_non_null(strstr(b->error.why, "images"));
}

static void
tags_are_listed_and_removed(void **state)
{
	struct bench *b = *state;
	struct place_names page;
	struct span next = SPAN_NONE;
	struct arena a;
	char tag[16];
	unsigned i;
	size_t n = 0;

	(void)mem_image(b->mem, "0", "a");
	assert_int_equal(copy_in(b, "0"), RC_OK);
	for (i = 1; i < 5; i++) {
		(void)snprintf(tag, sizeof(tag), "%u", i);
		mem_tag(b->mem, tag, &b->mem->manifests[0].digest);
		assert_int_equal(copy_in(b, tag), RC_OK);
	}
	arena_init(&a, 1 << 20);
	do {
		assert_int_equal(
		    b->place->ops->tags(b->place, next, &a, &page, &b->error),
		    RC_OK);
		n += page.n;
		next = page.next;
	} while (next.p != NULL);
	assert_int_equal(n, 5);
	assert_int_equal(
	    b->place->ops->tag_delete(b->place, SPAN("3"), &b->error), RC_OK);
	assert_int_equal(
	    b->place->ops->tag_delete(b->place, SPAN("3"), &b->error),
	    RC_NOTFOUND);
	arena_reset(&a);
}

static void
many_referrers_are_all_listed(void **state)
{
	struct bench *b = *state;
	struct digest d = mem_image(b->mem, "1", "a");
	struct upstream_referrer *rows;
	struct arena a;
	char word[16];
	size_t i, n;

	for (i = 0; i < 130; i++) {
		(void)snprintf(word, sizeof(word), "r%zu", i);
		(void)mem_referrer(b->mem, &d, word);
	}
	assert_int_equal(copy_in(b, "1"), RC_OK);
	arena_init(&a, 4 << 20);
	assert_int_equal(
	    b->place->ops->referrers(b->place, &d, &a, &rows, &n, &b->error),
	    RC_OK);
	assert_int_equal(n, 130);
	arena_reset(&a);
}

static void
a_manifest_that_is_something_else_is_not_taken(void **state)
{
	struct bench *b = *state;
	struct digest d = mem_image(b->mem, "1", "a");
	const struct place_manifest m = {
		.digest = d,
		.media_type =
		    SPAN("application/vnd.oci.image.manifest.v1+json"),
		.text = SPAN("{\"schemaVersion\":2}"),
	};

	assert_int_equal(
	    b->place->ops->manifest_put(b->place, &m, SPAN("1"), &b->error),
	    RC_DIGEST);
}

#define T(name) cmocka_unit_test_setup_teardown(name, bench_new, bench_free)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(images_go_in_and_come_out_the_same),
		T(blobs_of_sizes_around_the_limits_arrive),
		T(content_that_is_something_else_is_not_taken),
		T(more_than_was_said_is_not_taken),
		T(without_leave_to_make_it_there_has_to_be_a_repository),
		T(an_index_without_an_image_is_taken_where_it_may_be_sparse),
		T(imports_are_marked_and_own_images_are_not),
		T(what_is_put_is_queued_for_its_destinations),
		T(content_of_another_repository_is_linked_only_where_that_is_wanted),
		T(an_archived_image_is_not_there_and_comes_back_when_it_is_copied),
		T(an_immutable_tag_is_named),
		T(quotas_hold),
		T(tags_are_listed_and_removed),
		T(many_referrers_are_all_listed),
		T(a_manifest_that_is_something_else_is_not_taken),
	};

	return (cmocka_run_group_tests_name("place_store", tests, NULL, NULL));
}
