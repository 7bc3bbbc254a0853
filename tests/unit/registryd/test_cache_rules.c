#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/thread.h"
#include "registryd/cache_rules.h"
#include "registryd/registry_config.h"
#include "storage/entities.h"

/* Which rule of the pull through cache keeps what. */

static struct api api;
static struct cache_rules *rules;
static struct arena arena;
static struct cache_match m;

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	rules = cache_rules_new(store_meta(api.store));
	arena_init(&arena, 1 << 20);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	cache_rules_free(&rules);
	api_close(&api);
	return (0);
}

static void
rule_keep(const char *prefix, const json_t *o)
{
	assert_int_equal(
	    registry_config_put(store_meta(api.store), ENTITY_CACHE_RULE,
		span_of(prefix), o, CONFIG_PUT, 0),
	    RC_OK);
	cache_rules_changed(rules);
}

/* ${there}: the upstream's prefix, or NULL. */
static void
rule(const char *prefix, const char *url, const char *there)
{
	json_t *o;

	o = json_pack("{s:s,s:s,s:s*}", "ecrRepositoryPrefix", prefix,
	    "upstreamRegistryUrl", url, "upstreamRepositoryPrefix", there);
	rule_keep(prefix, o);
	json_decref(o);
}

static void
is_of(const char *repository, const char *prefix, const char *url,
    const char *there)
{
	if (!cache_rule_of(rules, span_of(repository), &arena, &m))
		fail_msg("%s has no rule", repository);
	assert_true(span_is(m.prefix, prefix));
	assert_string_equal(m.source.url, url);
	assert_int_equal(m.source.credential.n, 0);
	if (!span_is(m.source.repository, there))
		fail_msg("%s is " SPAN_FMT " there, not %s", repository,
		    SPAN_ARG(m.source.repository), there);
}

static void
has_none(const char *repository)
{
	if (cache_rule_of(rules, span_of(repository), &arena, &m))
		fail_msg("%s has the rule " SPAN_FMT, repository,
		    SPAN_ARG(m.prefix));
}

static void
without_rules_nothing_has_one(void **state)
{
	struct span repository;

	(void)state;
	assert_false(cache_rules_any(rules));
	has_none("a/b");
	assert_false(cache_rule_of_namespace(
	    rules, SPAN("quay.io"), SPAN("a/b"), &arena, &repository, &m));
	rule("a", "quay.io", NULL);
	assert_true(cache_rules_any(rules));
	is_of("a/b", "a", "https://quay.io", "b");
	assert_int_equal(registry_config_delete(store_meta(api.store),
			     ENTITY_CACHE_RULE, SPAN("a"), NULL),
	    RC_OK);
	cache_rules_changed(rules);
	assert_false(cache_rules_any(rules));
	has_none("a/b");
}

static void
a_rule_is_for_what_lies_below_its_prefix(void **state)
{
	(void)state;
	rule("quay", "quay.io", NULL);
	is_of("quay/team/app", "quay", "https://quay.io", "team/app");
	is_of("quay/app", "quay", "https://quay.io", "app");
	has_none("quay");
	has_none("quays/app");
	has_none("other/quay/app");
	has_none("app");
}

static void
the_longest_prefix_counts_and_root_comes_last(void **state)
{
	(void)state;
	rule("a", "a.example", NULL);
	rule("a/b", "b.example", NULL);
	rule("ROOT", "http://root.example:5000", NULL);
	is_of("a/x", "a", "https://a.example", "x");
	is_of("a/b/x", "a/b", "https://b.example", "x");
	is_of("a/b", "a", "https://a.example", "b");
	is_of("a", "ROOT", "http://root.example:5000", "a");
	is_of("x/y", "ROOT", "http://root.example:5000", "x/y");
}

static void
an_upstream_prefix_stands_before_the_rest(void **state)
{
	(void)state;
	rule("team", "quay.io", "org/team");
	rule("all", "quay.io", "ROOT");
	rule("ROOT", "ghcr.io", "org/");
	is_of("team/app", "team", "https://quay.io", "org/team/app");
	is_of("all/org/app", "all", "https://quay.io", "org/app");
	is_of("app", "ROOT", "https://ghcr.io", "org/app");
}

static void
what_docker_hub_calls_library_is_found_there(void **state)
{
	(void)state;
	rule("hub", "registry-1.docker.io", NULL);
	is_of("hub/alpine", "hub", "https://registry-1.docker.io",
	    "library/alpine");
	is_of("hub/library/alpine", "hub", "https://registry-1.docker.io",
	    "library/alpine");
	is_of(
	    "hub/team/app", "hub", "https://registry-1.docker.io", "team/app");
}

static void
a_name_that_cannot_be_there_has_no_rule(void **state)
{
	char name[256];

	(void)state;
	rule("a", "quay.io", "a-rather-long-prefix/of/names");
	memset(name, 'x', sizeof(name) - 1);
	memcpy(name, "a/", 2);
	name[255] = '\0';
	has_none(name);
}

static void
credentials_are_named_by_their_arn(void **state)
{
	json_t *o;

	(void)state;
	o = json_pack("{s:s,s:s,s:s}", "ecrRepositoryPrefix", "hub",
	    "upstreamRegistryUrl", "registry-1.docker.io", "credentialArn",
	    "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
	    "ecr-pullthroughcache/hub-AbC123");
	rule_keep("hub", o);
	json_decref(o);
	assert_true(cache_rule_of(rules, SPAN("hub/x"), &arena, &m));
	assert_true(span_is(m.source.credential, "ecr-pullthroughcache/hub"));
}

static void
a_rule_that_cannot_be_used_does_not_hide_others(void **state)
{
	struct entity_change change = {
		.entity = { .kind = ENTITY_CACHE_RULE,
		    .name = SPAN("b"),
		    .record = SPAN("{\"broken") },
		.apart = true,
	};
	uint64_t generation;

	(void)state;
	rule("a", "quay.io/with/a/path", NULL);
	rule("c", "quay.io", NULL);
	assert_int_equal(meta_entities_change(
			     store_meta(api.store), 0, &change, 1, &generation),
	    RC_OK);
	cache_rules_changed(rules);
	has_none("a/x");
	has_none("b/x");
	is_of("c/x", "c", "https://quay.io", "x");
}

/* --- the other way round ------------------------------------------------- */

static void
is_kept_in(const char *ns, const char *name, const char *repository)
{
	struct span is;

	if (!cache_rule_of_namespace(
		rules, span_of(ns), span_of(name), &arena, &is, &m))
		fail_msg("%s of %s is kept nowhere", name, ns);
	if (!span_is(is, repository))
		fail_msg("%s of %s is kept in " SPAN_FMT ", not in %s", name,
		    ns, SPAN_ARG(is), repository);
}

static void
is_kept_nowhere(const char *ns, const char *name)
{
	struct span is;

	if (cache_rule_of_namespace(
		rules, span_of(ns), span_of(name), &arena, &is, &m))
		fail_msg(
		    "%s of %s is kept in " SPAN_FMT, name, ns, SPAN_ARG(is));
}

static void
a_namespace_is_kept_by_the_rule_of_its_registry(void **state)
{
	(void)state;
	rule("hub", "registry-1.docker.io", NULL);
	rule("quay", "https://quay.io:443/", NULL);
	rule("lab", "http://127.0.0.1:5000", NULL);
	is_kept_in("docker.io", "library/alpine", "hub/library/alpine");
	is_kept_in("docker.io", "alpine", "hub/library/alpine");
	is_kept_in("index.docker.io", "team/app", "hub/team/app");
	is_kept_in("quay.io", "team/app", "quay/team/app");
	is_kept_in("QUAY.io:443", "team/app", "quay/team/app");
	is_kept_in("127.0.0.1:5000", "app", "lab/app");
	is_kept_nowhere("127.0.0.1:5001", "app");
	is_kept_nowhere("ghcr.io", "team/app");
	is_kept_nowhere("", "team/app");
	is_kept_nowhere("quay.io/x", "team/app");
}

static void
of_several_rules_the_one_with_the_longest_upstream_prefix_keeps_it(void **state)
{
	(void)state;
	rule("all", "quay.io", NULL);
	rule("bis", "quay.io", NULL);
	rule("team", "quay.io", "org/team");
	rule("ROOT", "ghcr.io", NULL);
	is_kept_in("quay.io", "org/team/app", "team/app");
	is_kept_in("quay.io", "org/teams/app", "all/org/teams/app");
	is_kept_in("quay.io", "org/team", "all/org/team");
	is_kept_in("ghcr.io", "org/app", "org/app");
}

/* --- changes ------------------------------------------------------------- */

#define ROUNDS 200

static void
look(void *arg)
{
	struct cache_match match;
	struct arena own;
	int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		arena_init(&own, 1 << 16);
		if (cache_rule_of(rules, SPAN("a/x"), &own, &match) &&
		    !span_is(match.source.repository, "x"))
			abort();
		arena_reset(&own);
	}
}

static void
rules_are_looked_at_while_they_change(void **state)
{
	pthread_t threads[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(
		    thread_start("look", look, NULL, &threads[i]), RC_OK);
	for (i = 0; i < 20; i++) {
		rule("a", i % 2 ? "quay.io" : "ghcr.io", NULL);
		is_of("a/x", "a", i % 2 ? "https://quay.io" : "https://ghcr.io",
		    "x");
	}
	for (i = 0; i < 3; i++)
		thread_join(threads[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_rules_nothing_has_one),
		TEST(a_rule_is_for_what_lies_below_its_prefix),
		TEST(the_longest_prefix_counts_and_root_comes_last),
		TEST(an_upstream_prefix_stands_before_the_rest),
		TEST(what_docker_hub_calls_library_is_found_there),
		TEST(a_name_that_cannot_be_there_has_no_rule),
		TEST(credentials_are_named_by_their_arn),
		TEST(a_rule_that_cannot_be_used_does_not_hide_others),
		TEST(a_namespace_is_kept_by_the_rule_of_its_registry),
		TEST(
		    of_several_rules_the_one_with_the_longest_upstream_prefix_keeps_it),
		TEST(rules_are_looked_at_while_they_change),
	};

	return (cmocka_run_group_tests_name("cache_rules", tests, NULL, NULL));
}
