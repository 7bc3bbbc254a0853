#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "base/thread.h"
#include "ecr_tools.h"
#include "registryd/registry_config.h"

/* What is configured of the registry: kept, counted, changed by several at
 * once. */

static struct meta *meta;

static int
setup(void **state)
{
	(void)ecr_setup(state);
	meta = store_meta(ecr.service.store);
	return (0);
}

static enum rc
put(enum entity_kind kind, const char *name, int n, enum config_put how,
    size_t max)
{
	json_t *o = json_pack("{s:i}", "n", n);
	enum rc rc;

	rc = registry_config_put(meta, kind, span_of(name), o, how, max);
	json_decref(o);
	return (rc);
}

/* -1: there is none. */
static int
got(enum entity_kind kind, const char *name)
{
	json_t *o;
	int n;

	if (registry_config_get(meta, kind, span_of(name), &o) != RC_OK) {
		assert_null(o);
		return (-1);
	}
	n = (int)json_integer_value(json_object_get(o, "n"));
	json_decref(o);
	return (n);
}

static void
what_was_put_is_got_under_its_kind_and_name(void **state)
{
	(void)state;
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), -1);
	assert_int_equal(put(ENTITY_CACHE_RULE, "a", 1, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(
	    put(ENTITY_CREATION_TEMPLATE, "a", 2, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), 1);
	assert_int_equal(got(ENTITY_CREATION_TEMPLATE, "a"), 2);
	assert_int_equal(put(ENTITY_CACHE_RULE, "a", 3, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), 3);
	assert_int_equal(got(ENTITY_CACHE_RULE, "b"), -1);
}

static void
adding_refuses_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(put(ENTITY_CACHE_RULE, "a", 1, CONFIG_ADD, 0), RC_OK);
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "a", 2, CONFIG_ADD, 0), RC_EXISTS);
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), 1);
}

static void
replacing_refuses_what_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "a", 1, CONFIG_REPLACE, 0), RC_NOTFOUND);
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), -1);
	assert_int_equal(put(ENTITY_CACHE_RULE, "a", 1, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "a", 2, CONFIG_REPLACE, 0), RC_OK);
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), 2);
}

/* More than are counted in one go. */
static void
no_more_than_the_limit_of_a_kind_are_added(void **state)
{
	char name[16];
	int i;

	(void)state;
	for (i = 0; i < 120; i++) {
		(void)snprintf(name, sizeof(name), "r%03d", i);
		assert_int_equal(
		    put(ENTITY_CACHE_RULE, name, i, CONFIG_ADD, 120), RC_OK);
	}
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "z", 0, CONFIG_ADD, 120), RC_LIMIT);
	assert_int_equal(got(ENTITY_CACHE_RULE, "z"), -1);
	/* What is there is told of as such, of another kind there is room. */
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "r007", 0, CONFIG_ADD, 120), RC_EXISTS);
	assert_int_equal(
	    put(ENTITY_CREATION_TEMPLATE, "z", 0, CONFIG_ADD, 120), RC_OK);
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "z", 0, CONFIG_ADD, 121), RC_OK);
}

static void
what_was_deleted_is_told_and_gone(void **state)
{
	json_t *o;

	(void)state;
	assert_int_equal(put(ENTITY_CACHE_RULE, "a", 7, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(
	    registry_config_delete(meta, ENTITY_CACHE_RULE, SPAN("a"), &o),
	    RC_OK);
	assert_int_equal(json_integer_value(json_object_get(o, "n")), 7);
	json_decref(o);
	assert_int_equal(got(ENTITY_CACHE_RULE, "a"), -1);
	assert_int_equal(
	    registry_config_delete(meta, ENTITY_CACHE_RULE, SPAN("a"), &o),
	    RC_NOTFOUND);
	assert_null(o);
	assert_int_equal(
	    registry_config_delete(meta, ENTITY_CACHE_RULE, SPAN("a"), NULL),
	    RC_NOTFOUND);
}

/* --- pages --------------------------------------------------------------- */

static const char *
page_name(const json_t *list, size_t i)
{
	return (json_string_value(json_array_get(json_array_get(list, i), 0)));
}

static void
pages_are_in_order_of_name_and_go_on(void **state)
{
	char name[16];
	json_t *list;
	bool more;
	int i;

	(void)state;
	for (i = 199; i >= 0; i--) {
		(void)snprintf(name, sizeof(name), "r%03d", i);
		assert_int_equal(
		    put(ENTITY_CACHE_RULE, name, i, CONFIG_ADD, 0), RC_OK);
	}
	assert_int_equal(registry_config_page(meta, ENTITY_CACHE_RULE,
			     SPAN_NONE, 130, &list, &more),
	    RC_OK);
	assert_int_equal(json_array_size(list), 130);
	assert_true(more);
	for (i = 0; i < 130; i++) {
		(void)snprintf(name, sizeof(name), "r%03d", i);
		assert_string_equal(page_name(list, (size_t)i), name);
		assert_int_equal(json_integer_value(ecr_at(
				     json_array_get(list, (size_t)i), "1.n")),
		    i);
	}
	json_decref(list);
	assert_int_equal(registry_config_page(meta, ENTITY_CACHE_RULE,
			     SPAN("r129"), 130, &list, &more),
	    RC_OK);
	assert_int_equal(json_array_size(list), 70);
	assert_string_equal(page_name(list, 0), "r130");
	assert_false(more);
	json_decref(list);
	assert_int_equal(registry_config_page(meta, ENTITY_CACHE_RULE,
			     SPAN("r149"), 50, &list, &more),
	    RC_OK);
	assert_int_equal(json_array_size(list), 50);
	assert_false(more);
	json_decref(list);
	assert_int_equal(registry_config_page(meta, ENTITY_PULL_EXCLUSION,
			     SPAN_NONE, 10, &list, &more),
	    RC_OK);
	assert_int_equal(json_array_size(list), 0);
	assert_false(more);
	json_decref(list);
}

/* --- updates ------------------------------------------------------------- */

static enum rc
add_one(json_t *o, void *arg)
{
	json_int_t n = json_integer_value(json_object_get(o, "n"));

	(void)arg;
	(void)json_object_set_new(o, "n", json_integer(n + 1));
	return (RC_OK);
}

/* As somebody else between the reading and the writing. */
static enum rc
meddle(json_t *o, void *arg)
{
	unsigned *calls = arg;

	if (++*calls == 1)
		assert_int_equal(
		    put(ENTITY_CACHE_RULE, "u", 40, CONFIG_PUT, 0), RC_OK);
	return (add_one(o, NULL));
}

static enum rc
meddle_always(json_t *o, void *arg)
{
	unsigned *calls = arg;

	(void)o;
	++*calls;
	assert_int_equal(
	    put(ENTITY_CACHE_RULE, "u", (int)*calls, CONFIG_PUT, 0), RC_OK);
	return (RC_OK);
}

static enum rc
refuse(json_t *o, void *arg)
{
	(void)arg;
	(void)json_object_set_new(o, "n", json_integer(99));
	return (RC_DENIED);
}

static enum rc
update(config_change_fn *fn, void *arg)
{
	return (registry_config_update(
	    meta, ENTITY_CACHE_RULE, SPAN("u"), fn, arg));
}

static void
an_update_begins_again_when_others_were_faster(void **state)
{
	unsigned calls = 0;

	(void)state;
	assert_int_equal(update(add_one, NULL), RC_OK);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), 1);
	assert_int_equal(update(meddle, &calls), RC_OK);
	assert_int_equal(calls, 2);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), 41);
}

static void
an_update_that_never_comes_through_gives_up(void **state)
{
	unsigned calls = 0;

	(void)state;
	assert_int_equal(update(meddle_always, &calls), RC_BUSY);
	assert_true(calls > 1);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), calls);
}

static void
an_update_that_is_refused_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(put(ENTITY_CACHE_RULE, "u", 3, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(update(refuse, NULL), RC_DENIED);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), 3);
}

#define THREADS 4
#define ROUNDS 25

/* Each asks again as a client would that is told to. */
static void
counter_main(void *arg)
{
	int i;
	enum rc rc;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		do
			rc = update(add_one, NULL);
		while (rc == RC_BUSY);
		must(rc == RC_OK);
	}
}

static void
no_update_of_several_at_once_is_lost(void **state)
{
	pthread_t t[THREADS];
	size_t i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(
		    thread_start("counter", counter_main, NULL, &t[i]), RC_OK);
	for (i = 0; i < THREADS; i++)
		thread_join(t[i]);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), THREADS * ROUNDS);
}

static void
adder_main(void *arg)
{
	char name[16];
	int i;
	enum rc rc = RC_OK;

	for (i = 0; rc == RC_OK || rc == RC_BUSY; i++) {
		(void)snprintf(
		    name, sizeof(name), "%s%03d", (const char *)arg, i);
		rc = put(ENTITY_CREATION_TEMPLATE, name, i, CONFIG_ADD, 20);
	}
	must(rc == RC_LIMIT);
}

static void
the_limit_holds_when_several_add_at_once(void **state)
{
	static char names[THREADS][2] = { "a", "b", "c", "d" };
	pthread_t t[THREADS];
	json_t *list;
	bool more;
	size_t i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(
		    thread_start("adder", adder_main, names[i], &t[i]), RC_OK);
	for (i = 0; i < THREADS; i++)
		thread_join(t[i]);
	assert_int_equal(registry_config_page(meta, ENTITY_CREATION_TEMPLATE,
			     SPAN_NONE, 100, &list, &more),
	    RC_OK);
	assert_int_equal(json_array_size(list), 20);
	json_decref(list);
}

static enum rc
delete_meanwhile(json_t *o, void *arg)
{
	unsigned *calls = arg;

	if (++*calls == 1) {
		assert_int_equal(json_object_size(o), 1);
		assert_int_equal(registry_config_delete(
				     meta, ENTITY_CACHE_RULE, SPAN("u"), NULL),
		    RC_OK);
	}
	return (json_object_size(o) == 0 ? RC_NOTFOUND : RC_OK);
}

static void
an_update_does_not_bring_back_what_was_deleted(void **state)
{
	unsigned calls = 0;

	(void)state;
	assert_int_equal(put(ENTITY_CACHE_RULE, "u", 3, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(update(delete_meanwhile, &calls), RC_NOTFOUND);
	assert_int_equal(calls, 2);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), -1);
}

/* By it the directory of users and policies sees that it is old. */
static void
no_change_moves_the_generation_of_users_and_policies(void **state)
{
	uint64_t before, after;

	(void)state;
	assert_int_equal(meta_entity_generation(meta, &before), RC_OK);
	assert_int_equal(put(ENTITY_CACHE_RULE, "a", 1, CONFIG_ADD, 5), RC_OK);
	assert_int_equal(
	    put(ENTITY_REGISTRY, "scanning", 1, CONFIG_PUT, 0), RC_OK);
	assert_int_equal(update(add_one, NULL), RC_OK);
	assert_int_equal(
	    registry_config_delete(meta, ENTITY_CACHE_RULE, SPAN("a"), NULL),
	    RC_OK);
	assert_int_equal(meta_entity_generation(meta, &after), RC_OK);
	assert_int_equal(before, after);
}

/* --- damage -------------------------------------------------------------- */

static void
damage(enum entity_kind kind, const char *name, const char *text)
{
	struct entity_change change = {
		.entity = { kind, span_of(name), span_of(text) },
	};
	uint64_t generation;

	assert_int_equal(meta_entity_generation(meta, &generation), RC_OK);
	assert_int_equal(
	    meta_entities_change(meta, generation, &change, 1, &generation),
	    RC_OK);
}

static void
what_is_damaged_is_told_and_can_be_put_right(void **state)
{
	json_t *o;
	bool more;

	(void)state;
	damage(ENTITY_CACHE_RULE, "u", "{\"n\":");
	assert_int_equal(
	    registry_config_get(meta, ENTITY_CACHE_RULE, SPAN("u"), &o),
	    RC_CORRUPT);
	assert_null(o);
	assert_int_equal(registry_config_page(
			     meta, ENTITY_CACHE_RULE, SPAN_NONE, 10, &o, &more),
	    RC_CORRUPT);
	assert_null(o);
	assert_int_equal(update(add_one, NULL), RC_OK);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), 1);
	damage(ENTITY_CACHE_RULE, "u", "[1]");
	assert_int_equal(
	    registry_config_delete(meta, ENTITY_CACHE_RULE, SPAN("u"), &o),
	    RC_OK);
	assert_int_equal(json_object_size(o), 0);
	json_decref(o);
	assert_int_equal(got(ENTITY_CACHE_RULE, "u"), -1);
}

/* --- account settings ---------------------------------------------------- */

static enum rc
set(json_t *o, void *arg)
{
	return (json_object_update(o, arg) == 0 ? RC_OK : RC_INVALID);
}

static void
settings_have_defaults_and_keep_what_is_set(void **state)
{
	json_t *o =
	    json_pack("{s:s,s:s}", "BLOB_MOUNTING", "DISABLED", "OTHER", "x");

	(void)state;
	assert_null(registry_setting(meta, "OTHER"));
	assert_null(registry_setting(meta, ""));
	assert_string_equal(registry_setting(meta, "BLOB_MOUNTING"), "ENABLED");
	assert_string_equal(
	    registry_setting(meta, "REGISTRY_POLICY_SCOPE"), "V1");
	assert_string_equal(
	    registry_setting(meta, "BASIC_SCAN_TYPE_VERSION"), "AWS_NATIVE");
	assert_int_equal(registry_config_update(meta, ENTITY_REGISTRY,
			     CONFIG_ACCOUNT_SETTINGS, set, o),
	    RC_OK);
	assert_string_equal(
	    registry_setting(meta, "BLOB_MOUNTING"), "DISABLED");
	assert_string_equal(
	    registry_setting(meta, "REGISTRY_POLICY_SCOPE"), "V1");
	assert_null(registry_setting(meta, "OTHER"));
	json_decref(o);
}

static void
settings_that_cannot_be_read_have_their_defaults(void **state)
{
	(void)state;
	damage(ENTITY_REGISTRY, "account-settings", "{\"BLOB_MOUNTING\":7}");
	assert_string_equal(registry_setting(meta, "BLOB_MOUNTING"), "ENABLED");
	damage(ENTITY_REGISTRY, "account-settings",
	    "{\"BLOB_MOUNTING\":\"PERHAPS\"}");
	assert_string_equal(registry_setting(meta, "BLOB_MOUNTING"), "ENABLED");
	damage(ENTITY_REGISTRY, "account-settings", "{");
	assert_string_equal(registry_setting(meta, "BLOB_MOUNTING"), "ENABLED");
}

static void
settings_name_what_they_may_be(void **state)
{
	const char *const *values;
	size_t i, k;

	(void)state;
	for (i = 0; registry_setting_name(i) != NULL; i++) {
		values = registry_setting_values(i);
		assert_string_equal(values[0],
		    registry_setting(meta, registry_setting_name(i)));
		for (k = 0; values[k] != NULL; k++)
			continue;
		assert_int_equal(k, 2);
	}
	assert_int_equal(i, 3);
	assert_null(registry_setting_values(i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, ecr_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_put_is_got_under_its_kind_and_name),
		TEST(adding_refuses_what_is_there),
		TEST(replacing_refuses_what_is_not_there),
		TEST(no_more_than_the_limit_of_a_kind_are_added),
		TEST(what_was_deleted_is_told_and_gone),
		TEST(pages_are_in_order_of_name_and_go_on),
		TEST(an_update_begins_again_when_others_were_faster),
		TEST(an_update_that_never_comes_through_gives_up),
		TEST(an_update_that_is_refused_changes_nothing),
		TEST(an_update_does_not_bring_back_what_was_deleted),
		TEST(no_change_moves_the_generation_of_users_and_policies),
		TEST(no_update_of_several_at_once_is_lost),
		TEST(the_limit_holds_when_several_add_at_once),
		TEST(what_is_damaged_is_told_and_can_be_put_right),
		TEST(settings_have_defaults_and_keep_what_is_set),
		TEST(settings_that_cannot_be_read_have_their_defaults),
		TEST(settings_name_what_they_may_be),
	};

	return (
	    cmocka_run_group_tests_name("registry_config", tests, NULL, NULL));
}
