#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "meta_tools.h"
#include "storage/fsck.h"
#include "storage/meta_int.h"
#include "storage/repositories.h"

/*
 * Repositories with what is set of them: made, described, asked, deleted,
 * purged.
 */

#define APP SPAN("team/app")

static enum rc
create(struct mt *t, const char *name)
{
	const struct repository_create c = { .name = span_of(name),
		.now_ms = 1000 };
	struct repository_row row;

	return (meta_repository_create(t->m, &c, &row));
}

static struct repository_description
describe(struct mt *t, const char *name)
{
	struct repository_description d;

	assert_int_equal(
	    meta_repository_describe(t->m, span_of(name), &t->arena, &d),
	    RC_OK);
	return (d);
}

static enum rc
erase(struct mt *t, const char *name, bool force)
{
	struct repository_description d;

	return (
	    meta_repository_delete(t->m, span_of(name), force, &t->arena, &d));
}

static bool
purge(struct mt *t, unsigned max_rows)
{
	bool more;

	assert_int_equal(meta_repository_purge(t->m, max_rows, &more), RC_OK);
	return (more);
}

static bool
exists(struct mt *t, const char *name)
{
	struct repository_row row;
	enum rc rc;

	rc = meta_repository_get(t->m, span_of(name), &row);
	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
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

/* Making. */

static void
a_repository_is_made_as_it_was_asked_for(void **state)
{
	const struct span filters[] = { SPAN("latest"), SPAN("dev-*") };
	const struct resource_tag tags[] = { { SPAN("team"), SPAN("a") },
		{ SPAN("cost"), SPAN("") }, { SPAN("stage"), SPAN("prod") } };
	const struct repository_create c = {
		.name = APP,
		.settings = { .mutability = TAGS_IMMUTABLE_WITH_EXCLUSION,
		    .exclusions = filters,
		    .n_exclusions = 2,
		    .scan_on_push = true,
		    .encryption = ENCRYPTION_KMS,
		    .kms_key = SPAN("alias/x") },
		.tags = tags,
		.n_tags = 3,
		.now_ms = 12345,
	};
	struct repository_description d;
	struct repository_row row;
	struct mt *t = *state;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	assert_int_equal(row.created_ms, 12345);
	mt_reopen(t);
	d = describe(t, "team/app");
	assert_int_equal(d.row.id, row.id);
	assert_int_equal(d.row.created_ms, 12345);
	assert_int_equal(d.settings.mutability, TAGS_IMMUTABLE_WITH_EXCLUSION);
	assert_int_equal(d.settings.n_exclusions, 2);
	assert_true(span_is(d.settings.exclusions[0], "latest"));
	assert_true(span_is(d.settings.exclusions[1], "dev-*"));
	assert_true(d.settings.scan_on_push);
	assert_int_equal(d.settings.encryption, ENCRYPTION_KMS);
	assert_true(span_is(d.settings.kms_key, "alias/x"));
	assert_int_equal(d.n_tags, 3);
	assert_true(span_is(d.tags[0].key, "cost"));
	assert_int_equal(d.tags[0].value.n, 0);
	assert_true(span_is(d.tags[1].key, "stage"));
	assert_true(span_is(d.tags[1].value, "prod"));
	assert_true(span_is(d.tags[2].key, "team"));
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_EXISTS);
	mt_check(t);
}

static void
what_is_not_asked_for_is_at_its_default(void **state)
{
	struct repository_description d;
	struct mt *t = *state;

	assert_int_equal(create(t, "made"), RC_OK);
	mt_blob(t, "pushed", "x");
	d = describe(t, "made");
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(d.settings.encryption, ENCRYPTION_AES256);
	d = describe(t, "pushed");
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(d.settings.encryption, ENCRYPTION_AES256);
	assert_int_equal(d.settings.n_exclusions, 0);
	assert_false(d.settings.scan_on_push);
	assert_int_equal(d.settings.kms_key.n, 0);
	assert_int_equal(d.n_tags, 0);
	assert_int_equal(rows_of(t, TABLE_REPOSITORY_SETTINGS), 0);
	assert_int_equal(rows_of(t, TABLE_REPOSITORY_TAGS), 0);
	assert_int_equal(create(t, "pushed"), RC_EXISTS);
	assert_int_equal(
	    meta_repository_describe(t->m, SPAN("none"), &t->arena, &d),
	    RC_NOTFOUND);
}

static void
what_cannot_be_made_is_refused(void **state)
{
	struct resource_tag tags[REPOSITORY_TAGS_MAX + 1];
	const struct span filters[REPOSITORY_EXCLUSIONS_MAX + 1] = { { 0 } };
	struct repository_create c = { .name = SPAN("Not/A/Name") };
	struct repository_row row;
	struct mt *t = *state;
	char keys[REPOSITORY_TAGS_MAX + 1][8];
	size_t i;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	c.name = APP;
	c.settings.exclusions = filters;
	c.settings.n_exclusions = ARRAY_LEN(filters);
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	c.settings.n_exclusions = 0;
	for (i = 0; i < ARRAY_LEN(tags); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		tags[i] = (struct resource_tag){ span_of(keys[i]), SPAN("v") };
	}
	c.tags = tags;
	c.n_tags = ARRAY_LEN(tags);
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	c.n_tags--;
	tags[7].key = SPAN("k30");
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	assert_false(exists(t, "team/app"));
	tags[7].key = SPAN("k7");
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	assert_int_equal(describe(t, "team/app").n_tags, REPOSITORY_TAGS_MAX);
}

/* Policies. */

static struct repository_access
ask(struct mt *t, const char *name, enum access_want want)
{
	struct repository_access a;

	assert_int_equal(
	    meta_repository_access(t->m, span_of(name), want, &t->arena, &a),
	    RC_OK);
	return (a);
}

static uint64_t
revision(struct mt *t, const char *name)
{
	return (ask(t, name, ACCESS_REVISION).policy_revision);
}

static enum rc
policy_set(struct mt *t, const char *name, const char *text)
{
	return (meta_repository_policy_set(t->m, span_of(name), span_of(text)));
}

static void
an_unknown_repository_has_no_access_of_its_own(void **state)
{
	struct repository_access a;
	struct mt *t = *state;
	struct span text;

	a = ask(t, "none", ACCESS_POLICY);
	assert_false(a.exists);
	assert_int_equal(a.policy_revision, 0);
	assert_int_equal(a.policy.n, 0);
	assert_int_equal(a.n_tags, 0);
	assert_int_equal(policy_set(t, "none", "{}"), RC_NOTFOUND);
	assert_int_equal(
	    meta_repository_policy_delete(t->m, SPAN("none"), &t->arena, &text),
	    RC_NOTFOUND);
}

static void
a_policy_is_set_replaced_and_deleted(void **state)
{
	const struct resource_tag tag = { SPAN("k"), SPAN("v") };
	const struct repository_create c = {
		.name = APP, .tags = &tag, .n_tags = 1
	};
	struct repository_access a;
	struct repository_row row;
	struct mt *t = *state;
	struct span text;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	a = ask(t, "team/app", ACCESS_POLICY);
	assert_true(a.exists);
	assert_int_equal(a.policy_revision, 0);
	assert_int_equal(a.n_tags, 1);
	assert_true(span_is(a.tags[0].value, "v"));
	assert_int_equal(
	    meta_repository_policy_delete(t->m, APP, &t->arena, &text),
	    RC_MISSING);
	assert_int_equal(policy_set(t, "team/app", "{1}"), RC_OK);
	assert_int_equal(policy_set(t, "team/app", "{2}"), RC_OK);
	mt_reopen(t);
	a = ask(t, "team/app", ACCESS_POLICY);
	assert_int_equal(a.policy_revision, 2);
	assert_true(span_is(a.policy, "{2}"));
	a = ask(t, "team/app", ACCESS_REVISION);
	assert_int_equal(a.policy_revision, 2);
	assert_null(a.policy.p);
	assert_int_equal(a.n_tags, 1);
	assert_int_equal(
	    meta_repository_policy_delete(t->m, APP, &t->arena, &text), RC_OK);
	assert_true(span_is(text, "{2}"));
	assert_int_equal(revision(t, "team/app"), 0);
}

static void
a_revision_is_never_used_twice(void **state)
{
	struct mt *t = *state;
	struct span text;

	assert_int_equal(create(t, "a"), RC_OK);
	assert_int_equal(create(t, "b"), RC_OK);
	assert_int_equal(policy_set(t, "a", "{}"), RC_OK);
	assert_int_equal(revision(t, "a"), 1);
	assert_int_equal(policy_set(t, "b", "{}"), RC_OK);
	assert_int_equal(revision(t, "b"), 2);
	assert_int_equal(
	    meta_repository_policy_delete(t->m, SPAN("b"), &t->arena, &text),
	    RC_OK);
	assert_int_equal(erase(t, "a", false), RC_OK);
	while (purge(t, 100))
		continue;
	mt_reopen(t);
	assert_int_equal(create(t, "a"), RC_OK);
	assert_int_equal(revision(t, "a"), 0);
	assert_int_equal(policy_set(t, "a", "{}"), RC_OK);
	assert_int_equal(revision(t, "a"), 3);
}

static void
a_policy_has_bounds(void **state)
{
	char *text = calloc(1, REPOSITORY_POLICY_MAX_BYTES + 2);
	struct mt *t = *state;

	assert_int_equal(create(t, "a"), RC_OK);
	memset(text, 'x', REPOSITORY_POLICY_MAX_BYTES + 1);
	assert_int_equal(policy_set(t, "a", text), RC_TOOBIG);
	assert_int_equal(policy_set(t, "a", ""), RC_INVALID);
	text[REPOSITORY_POLICY_MAX_BYTES] = '\0';
	assert_int_equal(policy_set(t, "a", text), RC_OK);
	assert_int_equal(
	    ask(t, "a", ACCESS_POLICY).policy.n, REPOSITORY_POLICY_MAX_BYTES);
	free(text);
}

/* Tags that do not move. */

static void
create_mode(struct mt *t, const char *name, enum tag_mutability mode,
    const char *filter)
{
	const struct span filters[] = { SPAN("nothing"), mt_span(filter) };
	const struct repository_create c = {
		.name = span_of(name),
		.settings = { .mutability = mode,
		    .exclusions = filters,
		    .n_exclusions = filter != NULL ? 2 : 0 },
	};
	struct repository_row row;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
}

static enum rc
push(struct mt *t, const char *repo, const char *text, const char *tag)
{
	const struct mt_image image = {
		.repo = repo, .text = text, .tag = tag, .no_create = true
	};
	struct manifest_put_result result;
	struct digest d;
	enum rc rc;

	rc = mt_put(t, &image, &d, &result);
	if (rc == RC_EXISTS)
		assert_true(span_is(result.immutable_tag, tag));
	else
		assert_null(result.immutable_tag.p);
	return (rc);
}

static bool
points_at(struct mt *t, const char *repo, const char *tag, const char *text)
{
	struct manifest_row row;

	return (mt_get(t, repo, tag, &row) == RC_OK && span_is(row.text, text));
}

/* Pushed as a, then as b: which is it in the end? */
static void
tag_moves(struct mt *t, const char *repo, const char *tag, bool moves)
{
	assert_int_equal(push(t, repo, "a", tag), RC_OK);
	assert_int_equal(push(t, repo, "b", tag), moves ? RC_OK : RC_EXISTS);
	assert_true(points_at(t, repo, tag, moves ? "b" : "a"));
	assert_int_equal(push(t, repo, moves ? "b" : "a", tag), RC_OK);
}

static void
the_mode_and_the_filters_say_which_tags_move(void **state)
{
	struct mt *t = *state;

	create_mode(t, "m", TAGS_MUTABLE, NULL);
	create_mode(t, "i", TAGS_IMMUTABLE, NULL);
	create_mode(t, "ix", TAGS_IMMUTABLE_WITH_EXCLUSION, "dev*");
	create_mode(t, "mx", TAGS_MUTABLE_WITH_EXCLUSION, "dev*");
	tag_moves(t, "m", "v1", true);
	tag_moves(t, "m", "dev1", true);
	tag_moves(t, "i", "v1", false);
	tag_moves(t, "i", "dev1", false);
	tag_moves(t, "ix", "v1", false);
	tag_moves(t, "ix", "dev1", true);
	tag_moves(t, "ix", "dev", true);
	tag_moves(t, "mx", "v1", true);
	tag_moves(t, "mx", "dev1", false);
	tag_moves(t, "mx", "xdev1", true);
	mt_check(t);
}

static void
a_star_in_a_filter_is_any_run(void **state)
{
	static const struct {
		const char *filter, *tag;
		bool matches;
	} rows[] = {
		{ "v1", "v1", true },
		{ "v1", "v10", false },
		{ "v1", "v", false },
		{ "v1", "V1", false },
		{ "*", "anything", true },
		{ "**", "anything", true },
		{ "v*", "v", true },
		{ "v*", "v1", true },
		{ "v*", "xv", false },
		{ "*rc", "1-rc", true },
		{ "*rc", "1-rc1", false },
		{ "*-rc*", "1-r-rc", true },
		{ "a*b*c", "abc", true },
		{ "a*b*c", "a__b_b__c", true },
		{ "a*b*c", "a__c__b", false },
		{ "*ab*ab", "abab", true },
		{ "*ab*ab", "ab", false },
		{ "*aab", "aaaaab", true },
		{ "1.2", "1x2", false },
		{ "", "x", false },
	};
	char name[32];
	struct mt *t = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(name, sizeof(name), "r%zu", i);
		create_mode(
		    t, name, TAGS_MUTABLE_WITH_EXCLUSION, rows[i].filter);
		tag_moves(t, name, rows[i].tag, !rows[i].matches);
	}
}

static void
a_refused_push_changes_nothing(void **state)
{
	const struct span tags[] = { SPAN("new"), SPAN("v1") };
	const struct manifest manifest = { .media_type =
					       SPAN(MEDIA_OCI_MANIFEST) };
	const struct manifest_put put = {
		.repository = APP,
		.digest = mt_digest("b"),
		.text = SPAN("b"),
		.manifest = &manifest,
		.tags = tags,
		.n_tags = 2,
	};
	struct manifest_put_result result;
	struct store_stats before, after;
	struct mt *t = *state;

	create_mode(t, "team/app", TAGS_IMMUTABLE, NULL);
	assert_int_equal(push(t, "team/app", "a", "v1"), RC_OK);
	before = mt_stats(t);
	assert_int_equal(meta_manifest_put(t->m, &put, &result), RC_EXISTS);
	assert_ptr_equal(result.immutable_tag.p, tags[1].p);
	after = mt_stats(t);
	assert_int_equal(after.manifests, before.manifests);
	assert_int_equal(after.tags, before.tags);
	assert_int_equal(after.blobs, before.blobs);
	mt_check(t);
}

static void
an_immutable_tag_can_be_deleted_and_set_again(void **state)
{
	struct holding holding;
	struct digest d = mt_digest("a");
	struct mt *t = *state;

	create_mode(t, "team/app", TAGS_IMMUTABLE, NULL);
	assert_int_equal(push(t, "team/app", "a", "v1"), RC_OK);
	assert_int_equal(push(t, "team/app", "a", "v2"), RC_OK);
	assert_int_equal(push(t, "team/app", "b", NULL), RC_OK);
	assert_int_equal(meta_tag_delete(t->m, APP, SPAN("v1")), RC_OK);
	assert_int_equal(push(t, "team/app", "b", "v1"), RC_OK);
	assert_int_equal(push(t, "team/app", "a", "v1"), RC_EXISTS);
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	assert_int_equal(push(t, "team/app", "b", "v2"), RC_OK);
	mt_check(t);
}

/* Deleting. */

/* An image, an index over it and a signature of it. */
static void
fill(struct mt *t, const char *repo)
{
	struct digest config = mt_blob(t, repo, "config");
	struct digest layer = mt_blob(t, repo, "layer"), image, child;
	const struct descriptor edges[] = { mt_edge(EDGE_CONFIG, &config),
		mt_edge(EDGE_LAYER, &layer) };
	struct mt_image i = { .repo = repo,
		.text = "image",
		.tag = "v1",
		.edges = edges,
		.n_edges = 2 };

	image = mt_image(t, &i);
	child = image;
	const struct descriptor over[] = { mt_edge(EDGE_MANIFEST, &child) };
	i = (struct mt_image){ .repo = repo,
		.text = "index",
		.tag = "all",
		.edges = over,
		.n_edges = 1 };
	(void)mt_image(t, &i);
	i = (struct mt_image){ .repo = repo,
		.text = "signature",
		.edges = edges,
		.n_edges = 1,
		.subject = &image };
	(void)mt_image(t, &i);
}

/* The texts of manifests are no JSON here, which a check tells, rightly. */
static void
problem_count(void *arg, const struct fsck_problem *p)
{
	unsigned *n = arg;

	if (strstr(p->text, "cannot be understood") != NULL)
		return;
	print_error("fsck: %s\n", p->text);
	(*n)++;
}

static void
sound(struct mt *t)
{
	unsigned n = 0;
	const struct fsck_options options = {
		.repair = true, .problem = problem_count, .arg = &n
	};
	struct fsck_progress progress = { 0 };

	assert_int_equal(fsck_run(t->s, &options, &progress), RC_OK);
	assert_int_equal(n, 0);
	mt_check(t);
}

static void
a_deleted_repository_is_gone_at_once(void **state)
{
	const struct referrer_query q = { .repository = APP,
		.subject = mt_digest("image"),
		.max_rows = 9,
		.max_bytes = 999 };
	const struct digest layer = mt_digest("layer");
	struct blob_mount mount = { .from = APP,
		.to = SPAN("other"),
		.digest = layer,
		.create_repository = true };
	struct repository_description d;
	struct referrer_page referrers;
	struct manifest_row row;
	struct page page;
	struct mt *t = *state;

	create_mode(t, "team/app", TAGS_IMMUTABLE, NULL);
	fill(t, "team/app");
	assert_int_equal(policy_set(t, "team/app", "{}"), RC_OK);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &d), RC_OK);
	assert_int_equal(d.settings.mutability, TAGS_IMMUTABLE);
	assert_int_equal(d.row.id, 1);
	assert_false(exists(t, "team/app"));
	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_NOTFOUND);
	assert_false(mt_has_blob(t, "team/app", &layer));
	assert_int_equal(meta_blob_mount(t->m, &mount), RC_NOTFOUND);
	assert_int_equal(
	    meta_tag_page(t->m, APP, SPAN_NONE, 9, &t->arena, &page),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_repository_page(t->m, SPAN_NONE, 9, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_int_equal(
	    meta_referrer_page(t->m, &q, READ_BLOCKING, &t->arena, &referrers),
	    RC_OK);
	assert_int_equal(referrers.n, 0);
	assert_int_equal(
	    meta_blob_holders(t->m, &layer, 9, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 0);
	assert_false(page.more);
	assert_false(ask(t, "team/app", ACCESS_POLICY).exists);
	assert_int_equal(mt_stats(t).repositories, 0);
	assert_int_equal(erase(t, "team/app", true), RC_NOTFOUND);
	sound(t);
}

static void
one_with_manifests_needs_force(void **state)
{
	struct mt *t = *state;

	assert_int_equal(erase(t, "none", true), RC_NOTFOUND);
	fill(t, "full");
	mt_blob(t, "blobs", "layer");
	assert_int_equal(create(t, "empty"), RC_OK);
	assert_int_equal(erase(t, "full", false), RC_REFERENCED);
	assert_true(exists(t, "full"));
	assert_int_equal(erase(t, "blobs", false), RC_OK);
	assert_int_equal(erase(t, "empty", false), RC_OK);
	assert_int_equal(erase(t, "full", true), RC_OK);
	assert_false(exists(t, "full"));
	mt_check(t);
}

static void
a_new_one_of_the_name_has_nothing_of_the_old(void **state)
{
	const struct digest layer = mt_digest("layer");
	struct repository_description d;
	struct manifest_row row;
	struct page page;
	struct mt *t = *state;

	create_mode(t, "team/app", TAGS_IMMUTABLE, NULL);
	fill(t, "team/app");
	fill(t, "other");
	assert_int_equal(policy_set(t, "team/app", "{}"), RC_OK);
	assert_int_equal(erase(t, "team/app", true), RC_OK);
	assert_int_equal(create(t, "team/app"), RC_OK);
	d = describe(t, "team/app");
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(revision(t, "team/app"), 0);
	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_NOTFOUND);
	assert_false(mt_has_blob(t, "team/app", &layer));
	/* It may hold the same again, and the purge takes nothing of it. */
	fill(t, "team/app");
	tag_moves(t, "team/app", "moving", true);
	while (purge(t, 3))
		sound(t);
	sound(t);
	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_OK);
	assert_int_equal(mt_get(t, "other", "all", &row), RC_OK);
	assert_true(mt_has_blob(t, "team/app", &layer));
	assert_int_equal(
	    meta_blob_holders(t->m, &layer, 9, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 2);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
}

static void
a_purge_gives_back_what_was_held(void **state)
{
	static const enum meta_table tables[] = { TABLE_TAGS, TABLE_DIGEST_TAGS,
		TABLE_MANIFESTS, TABLE_BLOB_LINKS, TABLE_HOLDERS, TABLE_EDGES,
		TABLE_PARENTS, TABLE_REFERRERS, TABLE_REPOSITORY_SETTINGS,
		TABLE_REPOSITORY_TAGS, TABLE_REPOSITORY_POLICIES, TABLE_DOOMED,
		TABLE_REPOSITORIES, TABLE_REPOSITORY_NAMES };
	struct mt *t = *state;
	size_t i;

	create_mode(t, "team/app", TAGS_IMMUTABLE, NULL);
	fill(t, "team/app");
	assert_int_equal(policy_set(t, "team/app", "{}"), RC_OK);
	assert_int_equal(erase(t, "team/app", true), RC_OK);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 0);
	assert_false(purge(t, 1000));
	for (i = 0; i < ARRAY_LEN(tables); i++)
		assert_int_equal(rows_of(t, tables[i]), 0);
	/* Two blobs and three texts, for a collector. */
	assert_int_equal(mt_stats(t).blobs, 5);
	assert_int_equal(mt_stats(t).unreferenced_blobs, 5);
	sound(t);
}

static void
a_purge_keeps_to_its_rows_and_goes_on_after_a_crash(void **state)
{
	unsigned max_rows, batches;
	struct mt *t = *state;
	struct store_stats before, after;
	uint64_t rows;

	for (max_rows = 1; max_rows <= 7; max_rows++) {
		fill(t, "team/app");
		fill(t, "kept");
		assert_int_equal(erase(t, "team/app", true), RC_OK);
		batches = 0;
		do {
			before = mt_stats(t);
			mt_reopen(t);
			batches++;
			if (!purge(t, max_rows))
				break;
			after = mt_stats(t);
			rows = before.manifests - after.manifests +
			       before.blob_links - after.blob_links +
			       before.tags - after.tags;
			assert_true(rows <= max_rows);
			sound(t);
		} while (batches < 1000);
		/* 2 + 2 tags, 1 referrer, 4 + 4 edges, 3 manifests, 2 links
		 * and the repository itself. */
		assert_int_equal(batches, (19 + max_rows - 1) / max_rows);
		sound(t);
		assert_int_equal(erase(t, "kept", true), RC_OK);
		while (purge(t, 1000))
			continue;
		assert_int_equal(mt_stats(t).unreferenced_blobs, 5);
	}
}

static void
several_doomed_ones_go_one_after_the_other(void **state)
{
	char name[32];
	struct mt *t = *state;
	unsigned i;

	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		fill(t, name);
		assert_int_equal(erase(t, name, true), RC_OK);
	}
	/* The same name again and again, each with an id of its own. */
	for (i = 0; i < 5; i++) {
		fill(t, "again");
		assert_int_equal(erase(t, "again", true), RC_OK);
	}
	assert_int_equal(rows_of(t, TABLE_DOOMED), 10);
	assert_true(purge(t, 40));
	assert_int_equal(rows_of(t, TABLE_DOOMED), 8);
	assert_false(purge(t, 1000));
	assert_int_equal(rows_of(t, TABLE_DOOMED), 0);
	assert_int_equal(rows_of(t, TABLE_HOLDERS), 0);
	sound(t);
}

static void
with_nothing_to_purge_nothing_is_committed(void **state)
{
	struct mt *t = *state;
	uint64_t commits;

	fill(t, "team/app");
	commits = mt_stats(t).commits;
	assert_false(purge(t, 10));
	assert_int_equal(mt_stats(t).commits, commits);
	assert_int_equal(erase(t, "team/app", true), RC_OK);
	t->options.read_only = true;
	mt_reopen(t);
	assert_int_equal(
	    meta_repository_purge(t->m, 10, &(bool){ false }), RC_READONLY);
}

/* The id of a repository is not given to another while rows of it are left,
 * even if the count of ids is lost. */
static enum rc
next_lost(struct meta_txn *t, void *arg)
{
	struct meta_counts c;
	enum rc rc;

	(void)arg;
	t->counts->next_repository = 1;
	rc = meta_counts_of(t, &c);
	t->counts->next_repository = c.next_repository;
	return (rc);
}

static void
an_id_of_a_doomed_one_is_not_used_again(void **state)
{
	struct mt *t = *state;
	uint64_t id;

	fill(t, "team/app");
	id = describe(t, "team/app").row.id;
	assert_int_equal(erase(t, "team/app", true), RC_OK);
	assert_int_equal(meta_change(t->m, next_lost, NULL, 0), RC_OK);
	assert_int_equal(create(t, "team/app"), RC_OK);
	assert_true(describe(t, "team/app").row.id > id);
}

static enum rc
living_doomed(struct meta_txn *t, void *arg)
{
	const struct doomed_rec rec = { 1, SPAN("team/app") };
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo(&k, *(uint64_t *)arg);
	rc = kv_reserve(
	    t, TABLE_DOOMED, key_span(&k), rec_doomed_size(&rec), &p);
	if (rc == RC_OK)
		rec_doomed_write(&rec, p);
	return (rc);
}

static void
a_living_repository_is_never_purged(void **state)
{
	struct manifest_row row;
	struct mt *t = *state;
	uint64_t id;

	fill(t, "team/app");
	fill(t, "doomed");
	id = describe(t, "team/app").row.id;
	assert_int_equal(meta_change(t->m, living_doomed, &id, 0), RC_OK);
	assert_int_equal(erase(t, "doomed", true), RC_OK);
	assert_false(purge(t, 1000));
	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_OK);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 3);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 1);
}

/* What is damaged goes too. */

static enum rc
all_spoilt(struct meta_txn *t, void *arg)
{
	static const enum meta_table tables[] = { TABLE_TAGS, TABLE_MANIFESTS,
		TABLE_BLOB_LINKS, TABLE_EDGES, TABLE_REFERRERS,
		TABLE_REPOSITORY_SETTINGS, TABLE_REPOSITORY_TAGS,
		TABLE_REPOSITORY_POLICIES };
	char key[KEY_MAX_BYTES];
	struct kv_walk w;
	size_t i, n;

	(void)arg;
	for (i = 0; i < ARRAY_LEN(tables); i++) {
		must(kv_walk_begin(t, tables[i], SPAN_NONE, SPAN_NONE, &w) ==
		     RC_OK);
		must(kv_walk_next(&w) == RC_OK);
		n = w.key.n;
		memcpy(key, w.key.p, n);
		kv_walk_end(&w);
		must(kv_put(t, tables[i], (struct span){ key, n },
			 SPAN("\377damage")) == RC_OK);
	}
	return (RC_OK);
}

static void
a_damaged_repository_can_be_deleted_and_purged(void **state)
{
	const struct resource_tag tag = { SPAN("k"), SPAN("v") };
	const struct repository_create c = { .name = APP,
		.settings = { .mutability = TAGS_IMMUTABLE },
		.tags = &tag,
		.n_tags = 1 };
	struct repository_description d;
	struct repository_access a;
	struct repository_row row;
	struct mt *t = *state;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	fill(t, "team/app");
	assert_int_equal(policy_set(t, "team/app", "{}"), RC_OK);
	assert_int_equal(meta_change(t->m, all_spoilt, NULL, 0), RC_OK);
	assert_int_equal(
	    meta_repository_describe(t->m, APP, &t->arena, &d), RC_CORRUPT);
	assert_int_equal(
	    meta_repository_access(t->m, APP, ACCESS_REVISION, &t->arena, &a),
	    RC_CORRUPT);
	/* Nobody knows which tags may move. */
	assert_int_equal(push(t, "team/app", "x", "v9"), RC_CORRUPT);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &d), RC_OK);
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(d.n_tags, 0);
	assert_false(purge(t, 1000));
	assert_int_equal(rows_of(t, TABLE_HOLDERS), 0);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 0);
	sound(t);
}

/* Pulls. */

static void
a_pull_of_what_is_gone_is_not_one_of_what_came_after(void **state)
{
	struct manifest_row row;
	struct mt *t = *state;
	struct digest d;

	d = mt_plain(t, "team/app", "image", "v1");
	meta_manifest_pulled(t->m, APP, &d, 1500);
	assert_int_equal(erase(t, "team/app", true), RC_OK);
	(void)mt_image(t, &(struct mt_image){ .repo = "team/app",
			      .text = "image",
			      .tag = "v1",
			      .now_ms = 2000 });
	mt_reopen(t);
	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 0);
	meta_manifest_pulled(t->m, APP, &d, 2500);
	mt_reopen(t);
	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_OK);
	assert_int_equal(row.pulled_ms, 2500);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_repository_is_made_as_it_was_asked_for),
		TEST(what_is_not_asked_for_is_at_its_default),
		TEST(what_cannot_be_made_is_refused),
		TEST(an_unknown_repository_has_no_access_of_its_own),
		TEST(a_policy_is_set_replaced_and_deleted),
		TEST(a_revision_is_never_used_twice),
		TEST(a_policy_has_bounds),
		TEST(the_mode_and_the_filters_say_which_tags_move),
		TEST(a_star_in_a_filter_is_any_run),
		TEST(a_refused_push_changes_nothing),
		TEST(an_immutable_tag_can_be_deleted_and_set_again),
		TEST(a_deleted_repository_is_gone_at_once),
		TEST(one_with_manifests_needs_force),
		TEST(a_new_one_of_the_name_has_nothing_of_the_old),
		TEST(a_purge_gives_back_what_was_held),
		TEST(a_purge_keeps_to_its_rows_and_goes_on_after_a_crash),
		TEST(several_doomed_ones_go_one_after_the_other),
		TEST(with_nothing_to_purge_nothing_is_committed),
		TEST(an_id_of_a_doomed_one_is_not_used_again),
		TEST(a_living_repository_is_never_purged),
		TEST(a_damaged_repository_can_be_deleted_and_purged),
		TEST(a_pull_of_what_is_gone_is_not_one_of_what_came_after),
	};

	return (cmocka_run_group_tests_name("repositories", tests, NULL, NULL));
}
