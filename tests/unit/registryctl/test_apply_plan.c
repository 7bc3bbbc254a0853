#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "registryctl/apply_plan.h"

/* What follows from what is wanted, what is there, and what is remembered. */
static const struct apply_registry registry = {
	.account_id = (char *)(uintptr_t) "123456789012",
	.region = (char *)(uintptr_t) "eu-west-1",
	.uri = (char *)(uintptr_t) "reg.example",
};

static struct plan plan;

static int
begin(void **state)
{
	(void)state;
	plan = (struct plan){ 0 };
	return (0);
}

static int
end(void **state)
{
	(void)state;
	plan_free(&plan);
	return (0);
}

static json_t *
read_json(const char *text)
{
	json_error_t wrong;
	json_t *v = json_loads(text, 0, &wrong);

	if (v == NULL)
		fail_msg("%s: %s", text, wrong.text);
	return (v);
}

/* ${is} as the template would have it; NULL: it is not there. */
static struct plan_item *
want(enum resource_kind kind, const char *logical_id, const char *id,
    const char *wanted, const char *is, const char *memory)
{
	char why[APPLY_WHY_BYTES];
	json_t *w = read_json(wanted), *m = read_json(memory), *i = NULL;
	json_t *wn = NULL, *in = NULL;
	struct plan_item *item;

	if (resource_normal(kind, w, &registry, &wn, why) != RC_OK)
		fail_msg("%s: %s", wanted, why);
	if (is != NULL) {
		i = read_json(is);
		assert_int_equal(
		    resource_normal(kind, i, &registry, &in, why), RC_OK);
	}
	item = plan_want(&plan, &(struct plan_wanted){ .kind = kind,
				    .logical_id = logical_id,
				    .id = id,
				    .wanted = wn,
				    .is = in,
				    .memory = m });
	json_decref(w);
	json_decref(i);
	json_decref(m);
	json_decref(wn);
	json_decref(in);
	return (item);
}

static struct plan_item *
repository(const char *wanted, const char *is, const char *memory)
{
	return (
	    want(RESOURCE_REPOSITORY, "App", "team/app", wanted, is, memory));
}

static void
changes_are(const struct plan_item *item, const char *want_text)
{
	json_t *wanted = read_json(want_text);
	char *text = json_dumps(item->changes, JSON_COMPACT);

	if (!json_equal(item->changes, wanted))
		fail_msg("%s, want %s", text, want_text);
	free(text);
	json_decref(wanted);
}

#define REMEMBERED(logical_id, id, more) \
	"[{\"logicalId\":\"" logical_id \
	"\",\"type\":\"AWS::ECR::Repository\"," \
	"\"physicalId\":\"" id "\"" more "}]"

static void
what_is_not_there_is_created(void **state)
{
	struct plan_item *item = repository("{}", NULL, "[]");

	(void)state;
	assert_int_equal(item->action, PLAN_CREATE);
	assert_false(item->adopted);
	assert_int_equal(plan_changes(&plan), 1);
	/* Also where somebody has deleted what the stack remembers. */
	item = want(RESOURCE_REPOSITORY, "Two", "team/two", "{}", NULL,
	    REMEMBERED("Two", "team/two", ""));
	assert_int_equal(item->action, PLAN_CREATE);
}

static void
what_is_so_already_is_nothing(void **state)
{
	struct plan_item *item;

	(void)state;
	item = repository("{\"Tags\":[]}", "{}",
	    REMEMBERED("App", "team/app", ",\"emptyOnDelete\":false"));
	assert_int_equal(item->action, PLAN_NOTHING);
	assert_false(item->adopted);
	assert_int_equal(plan_changes(&plan), 0);
}

static void
what_was_not_of_the_stack_is_taken_over(void **state)
{
	struct plan_item *item = repository("{}", "{}", "[]");

	(void)state;
	assert_int_equal(item->action, PLAN_NOTHING);
	assert_true(item->adopted);
	/* But not what it knows under another logical id. */
	item = want(RESOURCE_REPOSITORY, "New", "team/new", "{}", "{}",
	    REMEMBERED("Old", "team/new", ""));
	assert_false(item->adopted);
	/* Nor is it forgotten then that it was to stay. */
	item = want(RESOURCE_REPOSITORY, "Newer", "team/newer", "{}", "{}",
	    REMEMBERED(
		"Older", "team/newer", ",\"deletionPolicy\":\"Retain\""));
	changes_are(item,
	    "[{\"property\":\"DeletionPolicy\",\"old\":\"Retain\","
	    "\"new\":\"Delete\"}]");
}

static void
each_difference_is_told_by_its_path(void **state)
{
	struct plan_item *item;

	(void)state;
	item = repository(
	    "{\"ImageTagMutability\":\"IMMUTABLE\",\"Tags\":[{\"Key\":\"a\","
	    "\"Value\":\"2\"},{\"Key\":\"b\",\"Value\":\"x\"}]}",
	    "{\"ImageScanningConfiguration\":{\"ScanOnPush\":true},"
	    "\"Tags\":[{\"Key\":\"a\",\"Value\":\"1\"},{\"Key\":\"c\","
	    "\"Value\":\"y\"}]}",
	    "[]");
	assert_int_equal(item->action, PLAN_CHANGE);
	changes_are(item,
	    "[{\"property\":\"ImageTagMutability\",\"old\":\"MUTABLE\","
	    "\"new\":\"IMMUTABLE\"},"
	    "{\"property\":\"ImageScanningConfiguration.ScanOnPush\","
	    "\"old\":true,\"new\":false},"
	    "{\"property\":\"Tags.a\",\"old\":\"1\",\"new\":\"2\"},"
	    "{\"property\":\"Tags.c\",\"old\":\"y\"},"
	    "{\"property\":\"Tags.b\",\"new\":\"x\"}]");
}

static void
a_list_is_compared_place_by_place(void **state)
{
	struct plan_item *item;

	(void)state;
	item = want(RESOURCE_SCANNING, "Scan", "1",
	    "{\"ScanType\":\"BASIC\",\"Rules\":[{\"ScanFrequency\":"
	    "\"SCAN_ON_PUSH\",\"RepositoryFilters\":[{\"Filter\":\"a\","
	    "\"FilterType\":\"WILDCARD\"}]}]}",
	    "{\"ScanType\":\"BASIC\",\"Rules\":[{\"ScanFrequency\":"
	    "\"SCAN_ON_PUSH\",\"RepositoryFilters\":[{\"Filter\":\"b\","
	    "\"FilterType\":\"WILDCARD\"}]},{\"ScanFrequency\":\"MANUAL\","
	    "\"RepositoryFilters\":[]}]}",
	    "[]");
	changes_are(item,
	    "[{\"property\":\"Rules[0].RepositoryFilters[0].Filter\","
	    "\"old\":\"b\",\"new\":\"a\"},{\"property\":\"Rules[1]\","
	    "\"old\":{\"RepositoryFilters\":[],\"ScanFrequency\":\"MANUAL\"}}"
	    "]");
}

static void
what_the_stack_alone_knows_is_a_change_too(void **state)
{
	struct plan_item *item;

	(void)state;
	item = repository("{\"EmptyOnDelete\":true}", "{}",
	    REMEMBERED("App", "team/app", ",\"deletionPolicy\":\"Retain\""));
	assert_int_equal(item->action, PLAN_CHANGE);
	changes_are(item,
	    "[{\"property\":\"EmptyOnDelete\",\"old\":false,\"new\":true},"
	    "{\"property\":\"DeletionPolicy\",\"old\":\"Retain\","
	    "\"new\":\"Delete\"}]");
}

static void
encryption_that_is_not_said_may_be_any(void **state)
{
	static const char kms[] =
	    "{\"EncryptionConfiguration\":{\"EncryptionType\":\"KMS\","
	    "\"KmsKey\":\"k\"}}";
	static const char some_kms[] =
	    "{\"EncryptionConfiguration\":{\"EncryptionType\":\"KMS\"}}";
	struct plan_item *item;

	(void)state;
	assert_int_equal(repository("{}", kms, "[]")->action, PLAN_NOTHING);
	assert_int_equal(repository(some_kms, kms, "[]")->action, PLAN_NOTHING);
	item = repository(kms, some_kms, "[]");
	assert_non_null(item->refused);
	/* Content that is kept plain. */
	item = repository(some_kms, "{}", "[]");
	assert_non_null(
	    strstr(item->refused, "EncryptionConfiguration cannot be changed"));
	assert_int_equal(plan_refusals(&plan), 2);
}

static void
what_would_be_a_replacement_is_refused(void **state)
{
	struct plan_item *item;

	(void)state;
	item = want(RESOURCE_REPOSITORY, "App", "team/new", "{}", NULL,
	    REMEMBERED("App", "team/app", ""));
	assert_non_null(strstr(item->refused,
	    "the name (team/app -> team/new) cannot be changed"));
	item = want(RESOURCE_CACHE_RULE, "Rule", "p",
	    "{\"EcrRepositoryPrefix\":\"p\",\"UpstreamRegistryUrl\":\"a\"}",
	    "{\"EcrRepositoryPrefix\":\"p\",\"UpstreamRegistryUrl\":\"b\"}",
	    "[]");
	assert_non_null(
	    strstr(item->refused, "UpstreamRegistryUrl cannot be changed"));
	item = want(RESOURCE_CACHE_RULE, "Rule2", "q",
	    "{\"EcrRepositoryPrefix\":\"q\",\"UpstreamRegistryUrl\":\"a\"}",
	    "{\"EcrRepositoryPrefix\":\"q\",\"UpstreamRegistryUrl\":\"a\","
	    "\"CredentialArn\":\"c\"}",
	    "[]");
	assert_non_null(strstr(
	    item->refused, "CredentialArn can be changed, but not taken away"));
}

static void
what_is_vacant_is_made_of_nothing(void **state)
{
	struct plan_item *item;

	(void)state;
	item = want(RESOURCE_SCANNING, "Scan", "1",
	    "{\"ScanType\":\"BASIC\",\"Rules\":[]}", NULL, "[]");
	assert_int_equal(item->action, PLAN_NOTHING);
	item = want(RESOURCE_REPLICATION, "Repl", "1",
	    "{\"ReplicationConfiguration\":{\"Rules\":[]}}", NULL, "[]");
	assert_int_equal(item->action, PLAN_NOTHING);
}

/* --- what is no longer named --------------------------------------------- */

static const struct plan_item *
orphan(const char *remembered, bool there, bool prune)
{
	json_t *m = read_json(remembered);
	const struct plan_item *item;

	item = plan_orphan(&plan, json_array_get(m, 0), there, prune);
	json_decref(m);
	return (item);
}

static void
what_is_no_longer_named_goes_as_it_may(void **state)
{
	static const char plain[] = REMEMBERED("Old", "team/old", "");
	static const char retain[] =
	    REMEMBERED("Old", "team/old", ",\"deletionPolicy\":\"Retain\"");

	(void)state;
	assert_int_equal(orphan(plain, true, false)->action, PLAN_LEFT);
	assert_int_equal(plan_changes(&plan), 0);
	assert_int_equal(orphan(plain, true, true)->action, PLAN_DELETE);
	assert_int_equal(plan_changes(&plan), 1);
	assert_int_equal(orphan(plain, false, true)->action, PLAN_FORGET);
	assert_int_equal(orphan(retain, true, true)->action, PLAN_FORGET);
	assert_int_equal(plan_changes(&plan), 1);
	/* Of a type that a later version has. */
	assert_null(orphan("[{\"logicalId\":\"X\",\"type\":\"AWS::ECR::New\","
			   "\"physicalId\":\"x\"}]",
	    true, true));
}

static void
what_is_named_under_another_logical_id_stays(void **state)
{
	(void)state;
	(void)want(RESOURCE_REPOSITORY, "New", "team/app", "{}", "{}", "[]");
	assert_null(orphan(REMEMBERED("Old", "team/app", ""), true, true));
	/* And what a refused renaming is about. */
	(void)want(RESOURCE_REPOSITORY, "App", "team/two", "{}", NULL,
	    REMEMBERED("App", "team/one", ""));
	assert_null(orphan(REMEMBERED("App", "team/one", ""), true, true));
}

/* --- the memory ---------------------------------------------------------- */

static void
memory_is(const char *before, const char *ids)
{
	json_t *was = read_json(before), *after, *one, *list = json_array();
	json_t *wanted = read_json(ids);
	char *text;
	size_t i;

	after = plan_memory(&plan, was);
	json_array_foreach(after, i, one)
	    json_array_append(list, json_object_get(one, "physicalId"));
	text = json_dumps(list, JSON_COMPACT);
	if (!json_equal(list, wanted))
		fail_msg("%s, want %s", text, ids);
	free(text);
	json_decref(was);
	json_decref(after);
	json_decref(list);
	json_decref(wanted);
}

static void
the_memory_is_of_what_was_done(void **state)
{
	static const char before[] =
	    "[{\"logicalId\":\"Old\",\"type\":\"AWS::ECR::Repository\","
	    "\"physicalId\":\"team/old\"},{\"logicalId\":\"X\",\"type\":"
	    "\"AWS::ECR::New\",\"physicalId\":\"x\"},{\"logicalId\":\"A\","
	    "\"type\":\"AWS::ECR::Repository\",\"physicalId\":\"team/app\"}]";

	(void)state;
	(void)repository("{}", "{}", before);
	(void)want(RESOURCE_REPOSITORY, "Two", "team/two", "{}", NULL, before);
	(void)orphan(REMEMBERED("Old", "team/old", ""), true, true);
	/* Nothing yet. */
	memory_is(before, "[\"team/old\",\"x\",\"team/app\"]");
	/* Under its new logical id, once. */
	plan.items[0].done = true;
	memory_is(before, "[\"team/app\",\"team/old\",\"x\"]");
	plan.items[1].done = true;
	plan.items[2].done = true;
	memory_is(before, "[\"team/app\",\"team/two\",\"x\"]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_is_not_there_is_created, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_is_so_already_is_nothing, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_was_not_of_the_stack_is_taken_over, begin, end),
		cmocka_unit_test_setup_teardown(
		    each_difference_is_told_by_its_path, begin, end),
		cmocka_unit_test_setup_teardown(
		    a_list_is_compared_place_by_place, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_the_stack_alone_knows_is_a_change_too, begin, end),
		cmocka_unit_test_setup_teardown(
		    encryption_that_is_not_said_may_be_any, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_would_be_a_replacement_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_is_vacant_is_made_of_nothing, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_is_no_longer_named_goes_as_it_may, begin, end),
		cmocka_unit_test_setup_teardown(
		    what_is_named_under_another_logical_id_stays, begin, end),
		cmocka_unit_test_setup_teardown(
		    the_memory_is_of_what_was_done, begin, end),
	};

	return (cmocka_run_group_tests_name("apply_plan", tests, NULL, NULL));
}
