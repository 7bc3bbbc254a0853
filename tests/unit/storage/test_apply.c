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
#include "storage/deleted.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/meta_int.h"

/*
 * What an evaluation decided is done to an image that is what was evaluated,
 * and to no other.
 */
#define APP SPAN("app")
#define NOW 100000

/* An image with a config and a layer of its own, 14 bytes together. */
static struct digest
image_at(struct mt *t, const char *text, const char *tag, int64_t now_ms)
{
	char config_text[64], layer_text[64];
	struct descriptor edges[2];
	struct mt_image image = {
		.repo = "app",
		.text = text,
		.tag = tag,
		.edges = edges,
		.n_edges = 2,
		.now_ms = now_ms,
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
image(struct mt *t, const char *text, const char *tag)
{
	return (image_at(t, text, tag, 1000));
}

static struct digest
index_of(struct mt *t, const char *text, const struct digest *child)
{
	const struct descriptor edge = mt_edge(EDGE_MANIFEST, child);
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.edges = &edge,
		.n_edges = 1,
		.index = true,
	};

	return (mt_image(t, &image));
}

static enum rc
get(struct mt *t, const struct digest *d, struct image_row *row_r)
{
	const struct reference ref = { .is_digest = true, .digest = *d };

	return (meta_image_get(t->m, APP, &ref, &t->arena, row_r));
}

static bool
there(struct mt *t, const struct digest *d)
{
	struct image_row row;
	enum rc rc = get(t, d, &row);

	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
}

static bool
archived(struct mt *t, const struct digest *d)
{
	struct image_row row;

	assert_int_equal(get(t, d, &row), RC_OK);
	return (row.manifest.archived);
}

static void
status_set(struct mt *t, const struct digest *d, enum image_status status,
    int64_t now_ms)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, status, now_ms,
			     &t->arena, &row, &holding),
	    RC_OK);
}

static void delete (struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(meta_manifest_delete(t->m, APP, d, &holding), RC_OK);
}

static uint64_t
policy(struct mt *t, const char *text)
{
	struct lifecycle_row row;

	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, span_of(text), 1000, NULL), RC_OK);
	assert_int_equal(meta_lifecycle_get(t->m, APP, &t->arena, &row), RC_OK);
	return (row.revision);
}

/* As an evaluation of it would say now. */
static struct lifecycle_act
act_of(struct mt *t, const struct digest *d, enum lifecycle_act_kind kind)
{
	struct image_row row;

	assert_int_equal(get(t, d, &row), RC_OK);
	return ((struct lifecycle_act){
	    .digest = *d,
	    .kind = kind,
	    .priority = 7,
	    .pushed_ms = row.manifest.pushed_ms,
	    .pulled_ms = row.manifest.pulled_ms,
	    .archived_ms = row.archived_ms,
	    .activated_ms = row.activated_ms,
	    .tags_hash = image_tags_hash(row.tags, row.n_tags),
	});
}

static enum rc
apply(struct mt *t, uint64_t revision, const struct lifecycle_act *acts,
    size_t n, struct lifecycle_acted *r)
{
	return (meta_lifecycle_apply(
	    t->m, APP, revision, acts, n, NOW, &t->arena, r));
}

static struct lifecycle_acted
apply_one(struct mt *t, uint64_t revision, const struct lifecycle_act *act)
{
	struct lifecycle_acted r;

	assert_int_equal(apply(t, revision, act, 1, &r), RC_OK);
	return (r);
}

/* What is left of what was decided when that happened in between. */
static void
end_is(struct mt *t, uint64_t revision, const struct lifecycle_act *act,
    enum lifecycle_act_end end)
{
	struct lifecycle_acted r = apply_one(t, revision, act);

	assert_int_equal(r.end, end);
	if (end != ACT_DONE)
		assert_int_equal(r.n_tags, 0);
	mt_check(t);
}

static void
an_image_expires_with_its_tags(void **state)
{
	struct mt *t = *state;
	struct lifecycle_acted r;
	struct lifecycle_act act;
	struct manifest_row row;
	struct digest d, other;
	uint64_t revision;

	d = image(t, "one", "b");
	(void)image(t, "one", "a");
	other = image(t, "two", "c");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	r = apply_one(t, revision, &act);
	assert_int_equal(r.end, ACT_DONE);
	assert_int_equal(r.n_tags, 2);
	assert_true(span_is(r.tags[0], "a"));
	assert_true(span_is(r.tags[1], "b"));
	assert_int_equal(r.image_bytes, 14);
	assert_false(there(t, &d));
	assert_int_equal(mt_get(t, "app", "a", &row), RC_NOTFOUND);
	assert_true(there(t, &other));
	mt_check(t);
	end_is(t, revision, &act, ACT_GONE);
}

static void
an_image_is_archived(void **state)
{
	struct mt *t = *state;
	struct lifecycle_acted r;
	struct lifecycle_act act;
	struct image_row row;
	struct digest d;
	uint64_t revision;

	d = image(t, "one", "a");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_ARCHIVE);
	r = apply_one(t, revision, &act);
	assert_int_equal(r.end, ACT_DONE);
	assert_int_equal(r.n_tags, 1);
	assert_int_equal(r.image_bytes, 14);
	assert_int_equal(get(t, &d, &row), RC_OK);
	assert_true(row.manifest.archived);
	assert_int_equal(row.archived_ms, NOW);
	assert_int_equal(row.n_tags, 1);
	mt_check(t);
	end_is(t, revision, &act, ACT_CHANGED);
}

static void
one_that_was_tagged_meanwhile_is_left(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act;
	struct digest d;
	uint64_t revision;

	d = image(t, "one", NULL);
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	(void)image(t, "one", "a");
	end_is(t, revision, &act, ACT_CHANGED);
	assert_true(there(t, &d));
	/* Its tag goes on to another. */
	act = act_of(t, &d, ACT_EXPIRE);
	(void)image(t, "two", "a");
	end_is(t, revision, &act, ACT_CHANGED);
	/* And one comes in the place of the other. */
	(void)image(t, "one", "x");
	act = act_of(t, &d, ACT_ARCHIVE);
	(void)image(t, "one", "y");
	assert_int_equal(meta_tag_delete(t->m, APP, SPAN("x")), RC_OK);
	end_is(t, revision, &act, ACT_CHANGED);
	assert_false(archived(t, &d));
	act = act_of(t, &d, ACT_EXPIRE);
	end_is(t, revision, &act, ACT_DONE);
}

static void
one_that_was_pulled_meanwhile_is_left_by_a_rule_on_pulls(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act, other;
	struct digest d, e;
	uint64_t revision;

	d = image(t, "one", "a");
	e = image(t, "two", "b");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_ARCHIVE);
	act.by_pull = true;
	other = act_of(t, &e, ACT_ARCHIVE);
	meta_manifest_pulled(t->m, APP, &d, 5000);
	meta_manifest_pulled(t->m, APP, &e, 5000);
	assert_int_equal(meta_pulls_settle(t->m), RC_OK);
	end_is(t, revision, &act, ACT_CHANGED);
	assert_false(archived(t, &d));
	end_is(t, revision, &other, ACT_DONE);
	act = act_of(t, &d, ACT_ARCHIVE);
	act.by_pull = true;
	end_is(t, revision, &act, ACT_DONE);
}

static void
a_pull_that_is_only_noted_counts(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act;
	struct digest d;
	uint64_t revision;

	d = image(t, "one", "a");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_ARCHIVE);
	act.by_pull = true;
	meta_manifest_pulled(t->m, APP, &d, 5000);
	end_is(t, revision, &act, ACT_CHANGED);
	assert_false(archived(t, &d));
}

/* Of one that was pulled, deleted and pushed again. */
static void
a_pull_of_before_the_push_does_not_count(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act;
	struct digest d;
	uint64_t revision;

	d = image_at(t, "one", "a", 9000);
	revision = policy(t, "{1}");
	meta_manifest_pulled(t->m, APP, &d, 5000);
	act = act_of(t, &d, ACT_ARCHIVE);
	act.by_pull = true;
	end_is(t, revision, &act, ACT_DONE);
}

static void
one_that_was_pushed_anew_is_left(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act;
	struct digest d;
	uint64_t revision;

	d = image(t, "one", "a");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	delete (t, &d);
	end_is(t, revision, &act, ACT_GONE);
	(void)image_at(t, "one", "a", 2000);
	end_is(t, revision, &act, ACT_CHANGED);
	assert_true(there(t, &d));
}

static void
one_that_was_archived_or_restored_meanwhile_is_left(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act;
	struct digest d;
	uint64_t revision;

	d = image(t, "one", "a");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	status_set(t, &d, IMAGE_ARCHIVED, 5000);
	end_is(t, revision, &act, ACT_CHANGED);
	act = act_of(t, &d, ACT_EXPIRE);
	status_set(t, &d, IMAGE_ACTIVE, 6000);
	end_is(t, revision, &act, ACT_CHANGED);
	status_set(t, &d, IMAGE_ARCHIVED, 7000);
	act = act_of(t, &d, ACT_EXPIRE);
	end_is(t, revision, &act, ACT_DONE);
	assert_false(there(t, &d));
}

static void
what_an_index_needs_is_held(void **state)
{
	struct mt *t = *state;
	struct lifecycle_act act;
	struct digest d, index;
	uint64_t revision;

	d = image(t, "one", NULL);
	index = index_of(t, "index", &d);
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	end_is(t, revision, &act, ACT_HELD);
	act = act_of(t, &d, ACT_ARCHIVE);
	end_is(t, revision, &act, ACT_HELD);
	/* An archived index holds it from going, not from being archived. */
	act = act_of(t, &index, ACT_ARCHIVE);
	end_is(t, revision, &act, ACT_DONE);
	act = act_of(t, &d, ACT_EXPIRE);
	end_is(t, revision, &act, ACT_HELD);
	act = act_of(t, &d, ACT_ARCHIVE);
	end_is(t, revision, &act, ACT_DONE);
	assert_true(archived(t, &d));
}

static void
an_index_and_what_it_needs_can_go_together(void **state)
{
	struct mt *t = *state;
	struct lifecycle_acted r[2];
	struct lifecycle_act acts[2];
	struct digest d, index;
	uint64_t revision;

	d = image(t, "one", NULL);
	index = index_of(t, "index", &d);
	revision = policy(t, "{1}");
	acts[0] = act_of(t, &index, ACT_EXPIRE);
	acts[1] = act_of(t, &d, ACT_EXPIRE);
	assert_int_equal(apply(t, revision, acts, 2, r), RC_OK);
	assert_int_equal(r[0].end, ACT_DONE);
	assert_int_equal(r[1].end, ACT_DONE);
	assert_false(there(t, &d));
	assert_false(there(t, &index));
	mt_check(t);
}

static void
another_policy_by_now_changes_nothing(void **state)
{
	struct mt *t = *state;
	struct lifecycle_acted r;
	struct lifecycle_act act;
	struct lifecycle_row row;
	struct digest d;
	uint64_t revision;

	d = image(t, "one", "a");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	(void)policy(t, "{2}");
	assert_int_equal(apply(t, revision, &act, 1, &r), RC_MISSING);
	/* The same text again is another policy, too. */
	(void)policy(t, "{1}");
	assert_int_equal(apply(t, revision, &act, 1, &r), RC_MISSING);
	assert_int_equal(
	    meta_lifecycle_delete(t->m, APP, &t->arena, &row), RC_OK);
	assert_int_equal(apply(t, row.revision, &act, 1, &r), RC_MISSING);
	assert_int_equal(meta_lifecycle_apply(t->m, SPAN("nobody"), revision,
			     &act, 1, NOW, &t->arena, &r),
	    RC_NOTFOUND);
	assert_true(there(t, &d));
}

struct spoilt {
	uint64_t repo;
	struct digest digest;
};

static enum rc
spoil(struct meta_txn *t, void *arg)
{
	const struct spoilt *s = arg;
	struct rec_key k;

	key_repo_digest(&k, s->repo, &s->digest);
	return (kv_put(t, TABLE_MANIFESTS, key_span(&k), SPAN("\377damage")));
}

static void
one_that_fails_does_not_spoil_the_others(void **state)
{
	struct mt *t = *state;
	struct lifecycle_acted r[4];
	struct lifecycle_act acts[4];
	struct repository_row repo;
	struct spoilt s;
	struct digest d[4];
	uint64_t revision;
	size_t i;

	d[0] = image(t, "one", "a");
	d[1] = image(t, "two", "b");
	d[2] = image(t, "three", "c");
	d[3] = image(t, "four", "d");
	revision = policy(t, "{1}");
	for (i = 0; i < 4; i++)
		acts[i] = act_of(t, &d[i], ACT_EXPIRE);
	assert_int_equal(meta_repository_get(t->m, APP, &repo), RC_OK);
	s = (struct spoilt){ repo.id, d[1] };
	assert_int_equal(meta_change(t->m, spoil, &s, 0), RC_OK);
	delete (t, &d[2]);
	assert_int_equal(apply(t, revision, acts, 4, r), RC_OK);
	assert_int_equal(r[0].end, ACT_DONE);
	assert_int_equal(r[0].n_tags, 1);
	assert_int_equal(r[1].end, ACT_CHANGED);
	assert_int_equal(r[2].end, ACT_GONE);
	assert_int_equal(r[3].end, ACT_DONE);
	assert_false(there(t, &d[0]));
	assert_false(there(t, &d[3]));
}

static void
what_has_expired_can_be_restored_in_its_window(void **state)
{
	struct mt *t = *state;
	const struct reference ref = { .tag = SPAN("a") };
	struct deleted_image_page page;
	struct image_restored restored;
	struct lifecycle_act act;
	struct digest d;
	uint64_t revision;

	store_undelete_set(t->s, 1000000);
	d = image(t, "one", "a");
	revision = policy(t, "{1}");
	act = act_of(t, &d, ACT_EXPIRE);
	end_is(t, revision, &act, ACT_DONE);
	assert_false(there(t, &d));
	end_is(t, revision, &act, ACT_GONE);
	assert_int_equal(
	    meta_deleted_image_page(t->m, APP, NULL, 10, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.rows[0].why, DELETED_EXPIRED);
	assert_int_equal(page.rows[0].priority, 7);
	assert_int_equal(page.rows[0].deleted_ms, NOW);
	assert_int_equal(
	    meta_image_undelete(t->m, APP, &ref, NOW + 1, &t->arena, &restored),
	    RC_OK);
	/* It was away, so the next evaluation will tell. */
	end_is(t, revision, &act, ACT_CHANGED);
	assert_true(there(t, &d));
}

static void
other_tags_have_another_hash(void **state)
{
	const struct span ab[] = { SPAN_INIT("a"), SPAN_INIT("b") };
	const struct span joined[] = { SPAN_INIT("ab") };
	const struct span ba[] = { SPAN_INIT("b"), SPAN_INIT("a") };
	const struct span same[] = { SPAN_INIT("a"), SPAN_INIT("b") };

	(void)state;
	assert_true(image_tags_hash(ab, 2) == image_tags_hash(same, 2));
	assert_true(image_tags_hash(ab, 2) != image_tags_hash(joined, 1));
	assert_true(image_tags_hash(ab, 2) != image_tags_hash(ba, 2));
	assert_true(image_tags_hash(ab, 2) != image_tags_hash(ab, 1));
	assert_true(image_tags_hash(ab, 1) != image_tags_hash(NULL, 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_image_expires_with_its_tags),
		TEST(an_image_is_archived),
		TEST(one_that_was_tagged_meanwhile_is_left),
		TEST(one_that_was_pulled_meanwhile_is_left_by_a_rule_on_pulls),
		TEST(a_pull_that_is_only_noted_counts),
		TEST(a_pull_of_before_the_push_does_not_count),
		TEST(one_that_was_pushed_anew_is_left),
		TEST(one_that_was_archived_or_restored_meanwhile_is_left),
		TEST(what_an_index_needs_is_held),
		TEST(an_index_and_what_it_needs_can_go_together),
		TEST(another_policy_by_now_changes_nothing),
		TEST(one_that_fails_does_not_spoil_the_others),
		TEST(what_has_expired_can_be_restored_in_its_window),
		cmocka_unit_test(other_tags_have_another_hash),
	};

	return (cmocka_run_group_tests_name("apply", tests, NULL, NULL));
}
