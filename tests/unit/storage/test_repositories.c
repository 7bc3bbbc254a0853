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
#include "storage/lifecycles.h"
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

	assert_int_equal(
	    meta_repository_purge(t->m, max_rows, NULL, &more), RC_OK);
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

/* Making. */

static void
a_repository_is_made_as_it_was_asked_for(void **state)
{
	const struct span filters[] = { SPAN("latest"), SPAN("dev-*") };
	const struct resource_tag tags[] = { { SPAN("team"), SPAN("a") },
		{ SPAN("cost"), SPAN("") }, { SPAN("stage"), SPAN("prod") } };
	const struct repository_create c = {
		.name = APP,
		.preset.settings = { .mutability =
					 TAGS_IMMUTABLE_WITH_EXCLUSION,
		    .exclusions = filters,
		    .n_exclusions = 2,
		    .scan_on_push = true,
		    .encryption = ENCRYPTION_KMS,
		    .kms_key = SPAN("alias/x") },
		.preset.tags = tags,
		.preset.n_tags = 3,
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
	assert_int_equal(d.settings.encryption, ENCRYPTION_NONE);
	d = describe(t, "pushed");
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(d.settings.encryption, ENCRYPTION_NONE);
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
	c.preset.settings.exclusions = filters;
	c.preset.settings.n_exclusions = ARRAY_LEN(filters);
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	c.preset.settings.n_exclusions = 0;
	for (i = 0; i < ARRAY_LEN(tags); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		tags[i] = (struct resource_tag){ span_of(keys[i]), SPAN("v") };
	}
	c.preset.tags = tags;
	c.preset.n_tags = ARRAY_LEN(tags);
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	c.preset.n_tags--;
	tags[7].key = SPAN("k30");
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_INVALID);
	assert_false(exists(t, "team/app"));
	tags[7].key = SPAN("k7");
	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	assert_int_equal(describe(t, "team/app").n_tags, REPOSITORY_TAGS_MAX);
}

/* As SPAN(), for what is static. */
#define LIT(s) \
	{ \
		(s), sizeof(s) - 1 \
	}

/* All that a preset can say. */
static const struct span preset_filters[] = { LIT("dev-*") };
static const struct resource_tag preset_tags[] = { { LIT("z"), LIT("1") },
	{ LIT("a"), LIT("2") } };
static const struct repository_preset preset_full = {
	.settings = { .mutability = TAGS_IMMUTABLE_WITH_EXCLUSION,
	    .exclusions = preset_filters,
	    .n_exclusions = 1,
	    .scan_on_push = true },
	.tags = preset_tags,
	.n_tags = 2,
	.policy = LIT("{policy}"),
	.lifecycle_policy = LIT("{lifecycle}"),
};

static enum rc
blob_put(struct mt *t, const char *repo, const struct repository_preset *preset)
{
	const struct blob_put put = {
		.repository = span_of(repo),
		.digest = mt_digest("x"),
		.size_bytes = 1,
		.location = BLOB_IN_META,
		.content = SPAN("x"),
		.create = preset,
		.now_ms = 4000,
	};

	return (meta_blob_put(t->m, &put));
}

static void
assert_is_as_preset(struct mt *t, const char *name)
{
	struct repository_description d = describe(t, name);
	struct repository_access a;
	struct lifecycle_row row;

	assert_int_equal(d.row.created_ms, 4000);
	assert_int_equal(d.settings.mutability, TAGS_IMMUTABLE_WITH_EXCLUSION);
	assert_int_equal(d.settings.encryption, ENCRYPTION_NONE);
	assert_int_equal(d.settings.n_exclusions, 1);
	assert_true(span_is(d.settings.exclusions[0], "dev-*"));
	assert_true(d.settings.scan_on_push);
	assert_int_equal(d.n_tags, 2);
	assert_true(span_is(d.tags[0].key, "a"));
	assert_true(span_is(d.tags[1].key, "z"));
	assert_int_equal(meta_repository_access(
			     t->m, span_of(name), ACCESS_POLICY, &t->arena, &a),
	    RC_OK);
	assert_true(span_is(a.policy, "{policy}"));
	assert_true(a.policy_revision > 0);
	assert_int_equal(
	    meta_lifecycle_get(t->m, span_of(name), &t->arena, &row), RC_OK);
	assert_true(span_is(row.text, "{lifecycle}"));
	assert_int_equal(row.set_ms, 4000);
	assert_true(row.revision > 0);
}

static void
one_is_made_as_its_preset_says_asked_for_or_pushed(void **state)
{
	const struct repository_create c = {
		.name = APP, .preset = preset_full, .now_ms = 4000
	};
	const struct repository_preset other = {
		.settings = { .mutability = TAGS_MUTABLE }
	};
	struct repository_row row;
	struct mt *t = *state;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	assert_int_equal(blob_put(t, "pushed", &preset_full), RC_OK);
	mt_reopen(t);
	assert_is_as_preset(t, "team/app");
	assert_is_as_preset(t, "pushed");
	/* It is for one that is not there. */
	assert_int_equal(blob_put(t, "pushed", &other), RC_OK);
	assert_is_as_preset(t, "pushed");
	assert_int_equal(blob_put(t, "none", NULL), RC_NOTFOUND);
	mt_check(t);
}

static enum rc
both_ways(struct mt *t, const struct repository_preset *preset)
{
	const struct repository_create c = { .name = APP, .preset = *preset };
	struct repository_row row;
	enum rc rc = meta_repository_create(t->m, &c, &row);

	assert_int_equal(blob_put(t, "pushed", preset), rc);
	return (rc);
}

static void
a_preset_that_cannot_be_makes_nothing(void **state)
{
	const struct resource_tag twice[] = { { SPAN("a"), SPAN("1") },
		{ SPAN("b"), SPAN("") }, { SPAN("a"), SPAN("2") } };
	char *text = calloc(1, REPOSITORY_POLICY_MAX_BYTES + 1);
	struct repository_preset p = preset_full;
	struct mt *t = *state;

	p.tags = twice;
	p.n_tags = 3;
	assert_int_equal(both_ways(t, &p), RC_INVALID);
	p = preset_full;
	p.settings.n_exclusions = REPOSITORY_EXCLUSIONS_MAX + 1;
	assert_int_equal(both_ways(t, &p), RC_INVALID);
	p = preset_full;
	p.policy = (struct span){ text, REPOSITORY_POLICY_MAX_BYTES + 1 };
	assert_int_equal(both_ways(t, &p), RC_TOOBIG);
	p = preset_full;
	p.lifecycle_policy =
	    (struct span){ text, LIFECYCLE_TEXT_MAX_BYTES + 1 };
	assert_int_equal(both_ways(t, &p), RC_TOOBIG);
	assert_false(exists(t, "team/app"));
	assert_false(exists(t, "pushed"));
	assert_int_equal(rows_of(t, TABLE_REPOSITORY_SETTINGS), 0);
	assert_int_equal(mt_stats(t).blobs, 0);
	mt_check(t);
	free(text);
}

static void
there_may_be_so_many_repositories(void **state)
{
	struct repository_preset p = { .max_repositories = 2 };
	struct mt *t = *state;

	assert_int_equal(create(t, "a"), RC_OK);
	assert_int_equal(blob_put(t, "b", &p), RC_OK);
	assert_int_equal(both_ways(t, &p), RC_LIMIT);
	assert_false(exists(t, "team/app"));
	assert_int_equal(blob_put(t, "b", &p), RC_OK);
	assert_int_equal(erase(t, "a", true), RC_OK);
	assert_int_equal(blob_put(t, "c", &p), RC_OK);
	p.max_repositories = 0;
	assert_int_equal(both_ways(t, &p), RC_OK);
}

/* Changing. */

static enum rc
change(struct mt *t, const struct repository_change *c)
{
	return (meta_repository_change(t->m, APP, c));
}

static void
a_change_keeps_what_it_does_not_set(void **state)
{
	const struct span filters[] = { SPAN("latest"), SPAN("v*") };
	const struct repository_create c = {
		.name = APP,
		.preset.settings = { .mutability =
					 TAGS_IMMUTABLE_WITH_EXCLUSION,
		    .exclusions = filters,
		    .n_exclusions = 2,
		    .encryption = ENCRYPTION_KMS,
		    .kms_key = SPAN("alias/x") },
	};
	const struct span longer[] = { SPAN("a-much-longer-filter-*") };
	struct repository_settings s;
	struct repository_row row;
	struct mt *t = *state;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	assert_int_equal(
	    change(t, &(struct repository_change){ .set_scanning = true,
			  .scan_on_push = true }),
	    RC_OK);
	mt_reopen(t);
	s = describe(t, "team/app").settings;
	assert_true(s.scan_on_push);
	assert_int_equal(s.mutability, TAGS_IMMUTABLE_WITH_EXCLUSION);
	assert_int_equal(s.n_exclusions, 2);
	assert_true(span_is(s.exclusions[0], "latest"));
	assert_true(span_is(s.exclusions[1], "v*"));
	assert_true(span_is(s.kms_key, "alias/x"));
	assert_int_equal(
	    change(t, &(struct repository_change){ .set_mutability = true,
			  .mutability = TAGS_MUTABLE_WITH_EXCLUSION,
			  .exclusions = longer,
			  .n_exclusions = 1 }),
	    RC_OK);
	s = describe(t, "team/app").settings;
	assert_true(s.scan_on_push);
	assert_int_equal(s.mutability, TAGS_MUTABLE_WITH_EXCLUSION);
	assert_int_equal(s.n_exclusions, 1);
	assert_true(span_is(s.exclusions[0], "a-much-longer-filter-*"));
	assert_int_equal(s.encryption, ENCRYPTION_KMS);
	assert_true(span_is(s.kms_key, "alias/x"));
}

static void
what_is_changed_back_to_its_default_leaves_no_row(void **state)
{
	struct repository_change c = { .set_mutability = true,
		.mutability = TAGS_IMMUTABLE };
	struct mt *t = *state;

	assert_int_equal(create(t, "team/app"), RC_OK);
	assert_int_equal(push(t, "team/app", "a", "v1"), RC_OK);
	assert_int_equal(change(t, &c), RC_OK);
	assert_int_equal(push(t, "team/app", "b", "v1"), RC_EXISTS);
	assert_int_equal(rows_of(t, TABLE_REPOSITORY_SETTINGS), 1);
	c.mutability = TAGS_MUTABLE;
	assert_int_equal(change(t, &c), RC_OK);
	assert_int_equal(push(t, "team/app", "b", "v1"), RC_OK);
	assert_int_equal(rows_of(t, TABLE_REPOSITORY_SETTINGS), 0);
	assert_int_equal(change(t, &c), RC_OK);
}

static void
a_change_that_cannot_be_is_refused(void **state)
{
	const struct span filters[REPOSITORY_EXCLUSIONS_MAX + 1] = { { 0 } };
	struct repository_change c = { .set_mutability = true,
		.mutability = TAGS_MUTABLE_WITH_EXCLUSION,
		.exclusions = filters,
		.n_exclusions = REPOSITORY_EXCLUSIONS_MAX };
	struct mt *t = *state;

	assert_int_equal(change(t, &c), RC_NOTFOUND);
	assert_int_equal(create(t, "team/app"), RC_OK);
	assert_int_equal(change(t, &c), RC_OK);
	c.n_exclusions++;
	assert_int_equal(change(t, &c), RC_INVALID);
	assert_int_equal(describe(t, "team/app").settings.n_exclusions,
	    REPOSITORY_EXCLUSIONS_MAX);
}

/* Resource tags. */

static enum rc
tags_put(struct mt *t, const struct resource_tag *tags, size_t n, size_t max)
{
	const struct resource_tags_change c = {
		.put = tags, .n_put = n, .max = max
	};

	return (meta_resource_tags_change(t->m, APP, &c));
}

static enum rc
tags_remove(struct mt *t, const struct span *keys, size_t n)
{
	const struct resource_tags_change c = {
		.remove = keys, .n_remove = n, .max = 1
	};

	return (meta_resource_tags_change(t->m, APP, &c));
}

static bool
tags_are(struct mt *t, const char *text)
{
	struct repository_description d = describe(t, "team/app");
	char now[256] = "";
	size_t i, at = 0;

	for (i = 0; i < d.n_tags; i++)
		at += (size_t)snprintf(now + at, sizeof(now) - at, "%.*s=%.*s ",
		    (int)d.tags[i].key.n, d.tags[i].key.p,
		    (int)d.tags[i].value.n, d.tags[i].value.p);
	if (strcmp(now, text) != 0)
		print_error("tags: %s\n", now);
	return (strcmp(now, text) == 0);
}

static void
resource_tags_are_put_replaced_and_removed(void **state)
{
	const struct resource_tag first[] = { { SPAN("m"), SPAN("1") },
		{ SPAN("c"), SPAN("2") } };
	const struct resource_tag second[] = { { SPAN("z"), SPAN("") },
		{ SPAN("c"), SPAN("a much longer value") },
		{ SPAN("a"), SPAN("3") } };
	const struct span keys[] = { SPAN("z"), SPAN("absent"), SPAN("c") };
	const struct span rest[] = { SPAN("a"), SPAN("m") };
	const struct resource_tags_change swap = {
		.remove = keys, .n_remove = 3, .put = first + 1, .n_put = 1
	};
	struct mt *t = *state;

	assert_int_equal(create(t, "team/app"), RC_OK);
	assert_int_equal(tags_put(t, first, 2, 0), RC_OK);
	assert_true(tags_are(t, "c=2 m=1 "));
	assert_int_equal(tags_put(t, second, 3, 0), RC_OK);
	mt_reopen(t);
	assert_true(tags_are(t, "a=3 c=a much longer value m=1 z= "));
	assert_int_equal(meta_resource_tags_change(t->m, APP, &swap), RC_OK);
	assert_true(tags_are(t, "a=3 c=2 m=1 "));
	assert_int_equal(tags_remove(t, keys, 3), RC_OK);
	assert_true(tags_are(t, "a=3 m=1 "));
	assert_int_equal(tags_remove(t, keys, 3), RC_OK);
	assert_int_equal(tags_remove(t, rest, 2), RC_OK);
	assert_true(tags_are(t, ""));
	assert_int_equal(rows_of(t, TABLE_REPOSITORY_TAGS), 0);
	assert_int_equal(tags_remove(t, rest, 2), RC_OK);
}

static void
resource_tags_have_bounds(void **state)
{
	struct resource_tag tags[REPOSITORY_TAGS_MAX + 1];
	char keys[REPOSITORY_TAGS_MAX + 1][8];
	const struct span gone = SPAN("k0");
	struct mt *t = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(tags); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		tags[i] = (struct resource_tag){ span_of(keys[i]), SPAN("v") };
	}
	assert_int_equal(tags_put(t, tags, 1, 0), RC_NOTFOUND);
	assert_int_equal(create(t, "team/app"), RC_OK);
	assert_int_equal(tags_put(t, tags, ARRAY_LEN(tags), 0), RC_LIMIT);
	assert_int_equal(tags_put(t, tags, 4, 3), RC_LIMIT);
	assert_int_equal(describe(t, "team/app").n_tags, 0);
	assert_int_equal(tags_put(t, tags, 3, 3), RC_OK);
	/* One that is there may be replaced, another is one too many. */
	tags[1].value = SPAN("new");
	assert_int_equal(tags_put(t, tags, 2, 3), RC_OK);
	assert_int_equal(tags_put(t, tags + 3, 1, 3), RC_LIMIT);
	assert_true(tags_are(t, "k0=v k1=new k2=v "));
	/* There may be fewer than there were, though still too many. */
	assert_int_equal(tags_remove(t, &gone, 1), RC_OK);
	assert_true(tags_are(t, "k1=new k2=v "));
	assert_int_equal(tags_put(t, tags, REPOSITORY_TAGS_MAX, 999), RC_OK);
	assert_int_equal(
	    tags_put(t, tags + REPOSITORY_TAGS_MAX, 1, 999), RC_LIMIT);
	assert_int_equal(describe(t, "team/app").n_tags, REPOSITORY_TAGS_MAX);
	tags[1].key = SPAN("k0");
	assert_int_equal(tags_put(t, tags, 2, 0), RC_INVALID);
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
		.name = APP, .preset.tags = &tag, .preset.n_tags = 1
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
		.preset.settings = { .mutability = mode,
		    .exclusions = filters,
		    .n_exclusions = filter != NULL ? 2 : 0 },
	};
	struct repository_row row;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
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
		.create = &repository_preset_default };
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
	    meta_blob_holders(t->m, SPAN("new/one"), &repository_preset_default,
		&layer, 9, &t->arena, &page),
	    RC_OK);
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
	    meta_blob_holders(t->m, SPAN("new/one"), &repository_preset_default,
		&layer, 9, &t->arena, &page),
	    RC_OK);
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
		TABLE_REPOSITORIES, TABLE_REPOSITORY_NAMES, TABLE_IMAGE_COUNTS,
		TABLE_LIFECYCLE_POLICIES, TABLE_LIFECYCLE_PREVIEWS,
		TABLE_PREVIEW_QUEUE, TABLE_LIFECYCLE_PREVIEW_RESULTS,
		TABLE_IDLE_LINKS, TABLE_LIFECYCLE_QUEUE };
	struct preview_result result = { .action = PREVIEW_EXPIRE,
		.status = IMAGE_ACTIVE };
	struct preview_job job;
	struct mt *t = *state;
	size_t i;

	create_mode(t, "team/app", TAGS_IMMUTABLE, NULL);
	fill(t, "team/app");
	assert_int_equal(policy_set(t, "team/app", "{}"), RC_OK);
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{}"), 1, NULL), RC_OK);
	assert_int_equal(meta_preview_start(t->m, APP, SPAN("{}"), 1), RC_OK);
	assert_int_equal(meta_preview_next(t->m, &t->arena, &job), RC_OK);
	result.digest = mt_digest("one");
	assert_int_equal(
	    meta_preview_results_add(t->m, &job, 0, &result, 1), RC_OK);
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
		/* 2 + 2 tags, 1 referrer, 4 + 4 edges, 3 manifests, 2 links,
		 * the count of images and the repository itself. */
		assert_int_equal(batches, (20 + max_rows - 1) / max_rows);
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
	    meta_repository_purge(t->m, 10, NULL, &(bool){ false }),
	    RC_READONLY);
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
		TABLE_REPOSITORY_POLICIES, TABLE_IMAGE_COUNTS,
		TABLE_LIFECYCLE_POLICIES, TABLE_LIFECYCLE_PREVIEWS };
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
		.preset.settings = { .mutability = TAGS_IMMUTABLE },
		.preset.tags = &tag,
		.preset.n_tags = 1 };
	struct repository_description d;
	struct repository_access a;
	struct repository_row row;
	struct mt *t = *state;

	assert_int_equal(meta_repository_create(t->m, &c, &row), RC_OK);
	fill(t, "team/app");
	assert_int_equal(policy_set(t, "team/app", "{}"), RC_OK);
	assert_int_equal(
	    meta_lifecycle_set(t->m, APP, SPAN("{}"), 1, NULL), RC_OK);
	assert_int_equal(meta_preview_start(t->m, APP, SPAN("{}"), 1), RC_OK);
	assert_int_equal(meta_change(t->m, all_spoilt, NULL, 0), RC_OK);
	assert_int_equal(
	    meta_repository_describe(t->m, APP, &t->arena, &d), RC_CORRUPT);
	assert_int_equal(
	    meta_repository_access(t->m, APP, ACCESS_REVISION, &t->arena, &a),
	    RC_CORRUPT);
	assert_int_equal(
	    change(t, &(struct repository_change){ .set_scanning = true }),
	    RC_CORRUPT);
	assert_int_equal(tags_put(t, &tag, 1, 0), RC_CORRUPT);
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
		TEST(one_is_made_as_its_preset_says_asked_for_or_pushed),
		TEST(a_preset_that_cannot_be_makes_nothing),
		TEST(there_may_be_so_many_repositories),
		TEST(a_change_keeps_what_it_does_not_set),
		TEST(what_is_changed_back_to_its_default_leaves_no_row),
		TEST(a_change_that_cannot_be_is_refused),
		TEST(resource_tags_are_put_replaced_and_removed),
		TEST(resource_tags_have_bounds),
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
