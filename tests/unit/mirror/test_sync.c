#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/copy_int.h"
#include "mirror/sync.h"
#include "place_tools.h"

struct mirror {
	struct mem *from, *to;
	struct selection *selection;
	struct sync_options o;
	struct sync_result result;
	struct upstream_error error;
	struct copy_progress progress;
	atomic_bool cancel;
	unsigned told, telling;
	char failed[4096]; /* "tag: why" lines */
};

static void
image_told(void *arg, const struct sync_image *image)
{
	struct mirror *m = arg;
	size_t n = strlen(m->failed);

	assert_int_equal(m->telling++, 0);
	m->told++;
	if (image->outcome == SYNC_FAILED) {
		assert_non_null(image->why);
		(void)snprintf(m->failed + n, sizeof(m->failed) - n,
		    SPAN_FMT ": %s\n", SPAN_ARG(image->tag), image->why);
	}
	m->telling--;
}

static void
selects(struct mirror *m, const char *glob, unsigned newest)
{
	const struct span globs = span_of(glob);
	const struct select_options o = {
		.globs = &globs, .n_globs = 1, .newest = newest
	};
	char why[SELECT_WHY_BYTES];

	selection_free(&m->selection);
	assert_int_equal(selection_new(&o, why, &m->selection), RC_OK);
	m->o.selection = m->selection;
}

static int
mirror_new(void **state)
{
	struct mirror *m = xcalloc(1, sizeof(*m));

	m->from = mem_new("from.example/app");
	m->to = mem_new("to.example/app");
	selects(m, "*", 0);
	m->o.from = &m->from->place;
	m->o.to = &m->to->place;
	m->o.copy.progress = &m->progress;
	m->o.copy.cancel = &m->cancel;
	m->o.image = image_told;
	m->o.arg = m;
	*state = m;
	return (0);
}

static int
mirror_free(void **state)
{
	struct mirror *m = *state;

	selection_free(&m->selection);
	mem_free(&m->from);
	mem_free(&m->to);
	free(m);
	return (0);
}

static enum rc
run(struct mirror *m)
{
	mem_reset(m->from);
	mem_reset(m->to);
	m->told = 0;
	m->failed[0] = '\0';
	memset(&m->progress, 0, sizeof(m->progress));
	memset(&m->error, 0, sizeof(m->error));
	return (sync_run(&m->o, &m->result, &m->error));
}

#define RUNS(m) assert_int_equal(run(m), RC_OK)

static void
fill(struct mirror *m, unsigned from, unsigned n)
{
	char tag[16];
	unsigned i;

	for (i = from; i < from + n; i++) {
		(void)snprintf(tag, sizeof(tag), "1.%u", i);
		(void)mem_image(m->from, tag, tag);
	}
}

static void
all_that_is_selected_is_copied(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 20);
	(void)mem_image(m->from, "edge", "e");
	selects(m, "1.*", 0);
	RUNS(m);
	assert_int_equal(m->result.tags, 21);
	assert_int_equal(m->result.selected, 20);
	assert_int_equal(m->result.copied, 20);
	assert_int_equal(m->result.failed, 0);
	assert_int_equal(m->told, 20);
	assert_int_equal(m->to->n_tags, 20);
	assert_false(mem_has_tag(m->to, "edge"));
	assert_int_equal(m->progress.images_total, 20);
	assert_int_equal(m->progress.images, 20);
	assert_int_equal(m->result.bytes, m->to->bytes_in);
}

static void
a_second_run_moves_nothing_and_costs_one_head_for_each_tag(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 50);
	RUNS(m);
	RUNS(m);
	assert_int_equal(m->result.same, 50);
	assert_int_equal(m->result.copied, 0);
	assert_int_equal(m->result.bytes, 0);
	assert_int_equal(m->from->count[MEM_HEAD], 50);
	assert_int_equal(m->from->count[MEM_GET], 0);
	assert_int_equal(m->from->count[MEM_BLOB_OPEN], 0);
	assert_int_equal(m->to->count[MEM_HEAD], 50);
	assert_int_equal(m->to->count[MEM_MANIFEST_PUT], 0);
}

static void
with_referrers_cosigns_tags_cost_no_heads(void **state)
{
	struct mirror *m = *state;
	char tag[COPY_TAG_BYTES];
	struct digest d;

	fill(m, 0, 10);
	d = mem_image(m->from, "signed", "s");
	(void)mem_image(m->from, copy_tag_of(&d, ".sig", tag), "sig");
	m->o.copy.referrers = true;
	RUNS(m);
	assert_true(mem_has_tag(m->to, tag));
	assert_int_equal(m->result.selected, 11);
	RUNS(m);
	assert_int_equal(m->result.same, 11);
	assert_int_equal(m->from->count[MEM_HEAD], 12);
}

static void
a_signature_is_no_image_of_its_own(void **state)
{
	struct mirror *m = *state;
	char tag[COPY_TAG_BYTES];
	struct digest d = mem_image(m->from, "1", "s");

	(void)mem_image(m->from, copy_tag_of(&d, ".sig", tag), "sig");
	RUNS(m);
	assert_int_equal(m->result.selected, 1);
	assert_false(mem_has_tag(m->to, tag));
}

static void
the_newest_alone_are_copied(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 12);
	selects(m, "1.*", 3);
	RUNS(m);
	assert_int_equal(m->result.selected, 3);
	assert_true(mem_has_tag(m->to, "1.11"));
	assert_true(mem_has_tag(m->to, "1.9"));
	assert_false(mem_has_tag(m->to, "1.8"));
}

static void
a_blob_that_several_images_need_moves_once(void **state)
{
	struct mirror *m = *state;
	char tag[16], layers[64];
	unsigned i;

	for (i = 0; i < 30; i++) {
		(void)snprintf(tag, sizeof(tag), "%u", i);
		(void)snprintf(
		    layers, sizeof(layers), "base1 base2 base3 own%u", i);
		(void)mem_image(m->from, tag, layers);
	}
	m->o.images = 8;
	RUNS(m);
	assert_int_equal(m->result.copied, 30);
	assert_int_equal(m->from->count[MEM_BLOB_OPEN], 3 + 30 + 30);
	assert_int_equal(m->to->n_blobs, 63);
	assert_int_equal(m->progress.bytes, m->progress.bytes_total);
	assert_int_equal(m->progress.blobs, m->progress.blobs_total);
}

static void
lists_of_tags_are_read_page_by_page(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 25);
	m->from->page = 4;
	RUNS(m);
	assert_int_equal(m->result.copied, 25);
	assert_int_equal(m->from->count[MEM_TAGS], 7);
}

static void
an_image_that_fails_does_not_hold_up_the_others(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 5);
	m->from->blobs[0].corrupt = true;
	RUNS(m);
	assert_int_equal(m->result.copied, 4);
	assert_int_equal(m->result.failed, 1);
	assert_int_equal(m->told, 5);
	assert_true(strlen(m->failed) > 0);
	m->from->blobs[0].corrupt = false;
	RUNS(m);
	assert_int_equal(m->result.copied, 1);
	assert_int_equal(m->result.same, 4);
}

static void
a_list_that_cannot_be_had_fails_the_run(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 5);
	RUNS(m);
	m->o.deletes = SYNC_DELETE_FORCE;
	mem_fail(m->from, MEM_TAGS, 1, 1, RC_IO);
	m->told = 0;
	assert_int_equal(sync_run(&m->o, &m->result, &m->error), RC_IO);
	assert_int_equal(m->told, 0);
	assert_int_equal(m->to->n_tags, 5);
	assert_non_null(strstr(m->error.why, "from.example"));
}

static void
when_the_source_is_gone_the_rest_is_not_tried(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 100);
	mem_reset(m->from);
	mem_fail(m->from, MEM_HEAD, 1, 1000, RC_TIMEOUT);
	m->o.images = 1;
	assert_int_equal(sync_run(&m->o, &m->result, &m->error), RC_OK);
	assert_int_equal(m->result.failed, 100);
	assert_int_equal(m->told, 100);
	assert_int_equal(m->from->count[MEM_HEAD], SYNC_FAILURES_MAX);
	assert_non_null(strstr(m->failed, "not tried"));
	assert_int_equal(m->progress.images, 100);
}

static void
images_that_fail_by_themselves_do_not_stop_the_rest(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 40);
	mem_reset(m->from);
	mem_fail(m->from, MEM_HEAD, 1, 30, RC_NOTFOUND);
	m->o.images = 1;
	assert_int_equal(sync_run(&m->o, &m->result, &m->error), RC_OK);
	assert_int_equal(m->result.failed, 30);
	assert_int_equal(m->result.copied, 10);
}

static void
cancel_now(void *arg, enum mem_op op)
{
	if (op == MEM_BLOB_READ)
		atomic_store((atomic_bool *)arg, true);
}

static void
what_is_cancelled_ends_and_deletes_nothing(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 10);
	mem_tag(m->to, "1.99", &m->from->manifests[0].digest);
	m->o.deletes = SYNC_DELETE_FORCE;
	m->from->hook = cancel_now;
	m->from->hook_arg = &m->cancel;
	assert_int_equal(run(m), RC_CANCELLED);
	assert_true(m->result.copied < 10);
	assert_int_equal(m->result.deleted, 0);
}

/* --- deletion ------------------------------------------------------------ */

static void
what_the_source_has_no_more_stays_unless_it_is_to_go(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 10);
	RUNS(m);
	mem_untag(m->from, "1.3");
	RUNS(m);
	assert_true(mem_has_tag(m->to, "1.3"));
	assert_int_equal(m->to->count[MEM_TAGS], 0);
	m->o.deletes = SYNC_DELETE;
	RUNS(m);
	assert_false(mem_has_tag(m->to, "1.3"));
	assert_int_equal(m->result.deleted, 1);
	assert_int_equal(m->result.same, 9);
	assert_int_equal(m->to->n_tags, 9);
}

static void
tags_that_are_not_selected_are_not_deleted(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 3);
	selects(m, "1.*", 0);
	m->o.deletes = SYNC_DELETE;
	mem_tag(m->to, "own", &m->from->manifests[0].digest);
	RUNS(m);
	assert_true(mem_has_tag(m->to, "own"));
	assert_int_equal(m->result.deleted, 0);
}

static void
what_is_not_among_the_newest_any_more_is_not_deleted(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 3);
	selects(m, "1.*", 2);
	m->o.deletes = SYNC_DELETE;
	RUNS(m);
	fill(m, 3, 1);
	RUNS(m);
	assert_true(mem_has_tag(m->to, "1.1"));
	assert_int_equal(m->result.deleted, 0);
}

static void
nothing_is_deleted_when_the_source_lists_nothing(void **state)
{
	struct mirror *m = *state;
	unsigned i;
	char tag[16];

	fill(m, 0, 3);
	RUNS(m);
	m->o.deletes = SYNC_DELETE;
	for (i = 0; i < 3; i++) {
		(void)snprintf(tag, sizeof(tag), "1.%u", i);
		mem_untag(m->from, tag);
	}
	RUNS(m);
	assert_int_equal(m->to->n_tags, 3);
	assert_int_equal(m->result.failed, 1);
	assert_non_null(strstr(m->failed, ": no tag is removed"));
	m->o.deletes = SYNC_DELETE_FORCE;
	RUNS(m);
	assert_int_equal(m->to->n_tags, 0);
	assert_int_equal(m->result.deleted, 3);
	assert_int_equal(m->result.failed, 0);
}

static void
shrink(struct mirror *m, unsigned from, unsigned n)
{
	char tag[16];
	unsigned i;

	for (i = from; i < from + n; i++) {
		(void)snprintf(tag, sizeof(tag), "1.%u", i);
		mem_untag(m->from, tag);
	}
}

static void
more_than_half_are_not_deleted(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 12);
	RUNS(m);
	m->o.deletes = SYNC_DELETE;
	shrink(m, 0, 7);
	RUNS(m);
	assert_int_equal(m->to->n_tags, 12);
	assert_int_equal(m->result.failed, 1);
	assert_non_null(strstr(m->failed, "7 of 12"));
	m->o.deletes = SYNC_DELETE_FORCE;
	RUNS(m);
	assert_int_equal(m->to->n_tags, 5);
}

static void
half_of_them_and_a_few_are_deleted(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 12);
	RUNS(m);
	m->o.deletes = SYNC_DELETE;
	shrink(m, 0, 6);
	RUNS(m);
	assert_int_equal(m->to->n_tags, 6);
	shrink(m, 6, 5); /* 5 of 6, but no more than 5 */
	RUNS(m);
	assert_int_equal(m->to->n_tags, 1);
	assert_int_equal(m->result.failed, 0);
}

static void
a_tag_that_cannot_be_removed_is_told(void **state)
{
	struct mirror *m = *state;

	fill(m, 0, 4);
	RUNS(m);
	shrink(m, 0, 1);
	m->o.deletes = SYNC_DELETE;
	mem_reset(m->to);
	mem_fail(m->to, MEM_TAG_DELETE, 1, 1, RC_UNSUPPORTED);
	m->failed[0] = '\0';
	assert_int_equal(sync_run(&m->o, &m->result, &m->error), RC_OK);
	assert_int_equal(m->result.failed, 1);
	assert_non_null(strstr(m->failed, "1.0: "));
}

static void
times_are_told(void **state)
{
	struct mirror *m = *state;

	RUNS(m);
	assert_true(m->result.started_ms > 0);
	assert_true(m->result.ended_ms >= m->result.started_ms);
}

#define T(name) cmocka_unit_test_setup_teardown(name, mirror_new, mirror_free)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(all_that_is_selected_is_copied),
		T(a_second_run_moves_nothing_and_costs_one_head_for_each_tag),
		T(with_referrers_cosigns_tags_cost_no_heads),
		T(a_signature_is_no_image_of_its_own),
		T(the_newest_alone_are_copied),
		T(a_blob_that_several_images_need_moves_once),
		T(lists_of_tags_are_read_page_by_page),
		T(an_image_that_fails_does_not_hold_up_the_others),
		T(a_list_that_cannot_be_had_fails_the_run),
		T(when_the_source_is_gone_the_rest_is_not_tried),
		T(images_that_fail_by_themselves_do_not_stop_the_rest),
		T(what_is_cancelled_ends_and_deletes_nothing),
		T(what_the_source_has_no_more_stays_unless_it_is_to_go),
		T(tags_that_are_not_selected_are_not_deleted),
		T(what_is_not_among_the_newest_any_more_is_not_deleted),
		T(nothing_is_deleted_when_the_source_lists_nothing),
		T(more_than_half_are_not_deleted),
		T(half_of_them_and_a_few_are_deleted),
		T(a_tag_that_cannot_be_removed_is_told),
		T(times_are_told),
	};

	return (cmocka_run_group_tests_name("sync", tests, NULL, NULL));
}
