#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "auth/auth.h"
#include "auth/directory.h"
#include "base/json.h"
#include "base/obj.h"
#include "ecr_tools.h"
#include "registryd/creation.h"
#include "registryd/permissions.h"
#include "registryd/registry_config.h"
#include "storage/lifecycles.h"
#include "storage/repositories.h"

/*
 * Repositories that a push makes, a pull through the cache, or replication:
 * which template counts, what it says, and whether who asks may.  Templates are
 * put there as the API keeps them.
 */
static struct api api;
static struct arena arena;

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	arena_init(&arena, 1 << 24);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	api_close(&api);
	return (0);
}

static void
template_put(struct store *store, const char *prefix, const char *text)
{
	char why[JSON_ERROR_BYTES];
	json_t *o;

	if (json_read(span_of(text), why, &o) != RC_OK)
		fail_msg("%s: %s", text, why);
	assert_int_equal(
	    registry_config_put(store_meta(store), ENTITY_CREATION_TEMPLATE,
		span_of(prefix), o, CONFIG_PUT, 0),
	    RC_OK);
	json_decref(o);
}

#define FOR_PUSH "\"appliedFor\":[\"PULL_THROUGH_CACHE\",\"CREATE_ON_PUSH\"]"

/* Push an empty index; its tag is v1. */
static void
push(const char *name, struct reply *r)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/v2/%s/manifests/v1", name);
	api_ask(&api,
	    &(struct ask){ .method = HTTP_PUT,
		.path = path,
		.body = SPAN("{\"schemaVersion\":2,\"mediaType\":"
			     "\"" MEDIA_OCI_INDEX "\",\"manifests\":[]}") },
	    r);
}

static void
push_expect(const char *name, int status, const char *code)
{
	struct reply r;

	push(name, &r);
	if (r.status != status)
		fail_msg("%s: %d instead of %d: " SPAN_FMT, name, r.status,
		    status, SPAN_ARG(r.body));
	assert_string_equal(r.code, code);
	reply_free(&r);
}

static struct repository_description
describe(const char *name)
{
	struct repository_description d;

	assert_int_equal(meta_repository_describe(
			     store_meta(api.store), span_of(name), &arena, &d),
	    RC_OK);
	return (d);
}

/* --- which template ------------------------------------------------------ */

static void
prefixes_are_the_folders_above_a_name_and_root(void **state)
{
	static const char *const expected[] = { "a/bc/d", "a/bc", "a", "ROOT" };
	struct span prefix;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(expected); i++) {
		assert_true(
		    creation_template_prefix(SPAN("a/bc/d/e"), i, &prefix));
		assert_true(span_is(prefix, expected[i]));
	}
	assert_false(creation_template_prefix(SPAN("a/bc/d/e"), i, &prefix));
	assert_true(creation_template_prefix(SPAN("a"), 0, &prefix));
	assert_true(span_is(prefix, "ROOT"));
	assert_false(creation_template_prefix(SPAN("a"), 1, &prefix));
}

static void
without_a_template_the_configuration_decides_and_defaults_hold(void **state)
{
	struct repository_description d;

	(void)state;
	push_expect("team/app", 201, "");
	d = describe("team/app");
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(d.settings.encryption, ENCRYPTION_NONE);
	assert_int_equal(d.n_tags, 0);
	api.settings.create_on_push = false;
	push_expect("team/other", 404, "NAME_UNKNOWN");
	push_expect("team/app", 201, "");
}

static void
a_template_makes_repositories_though_the_configuration_does_not(void **state)
{
	(void)state;
	api.settings.create_on_push = false;
	template_put(api.store, "team", "{" FOR_PUSH "}");
	push_expect("team/app", 201, "");
	push_expect("team/a/b", 201, "");
	push_expect("teams/app", 404, "NAME_UNKNOWN");
	push_expect("team", 404, "NAME_UNKNOWN");
}

static void
the_longest_prefix_that_is_for_pushes_counts(void **state)
{
	(void)state;
	template_put(api.store, "ROOT",
	    "{" FOR_PUSH ",\"resourceTags\":[{\"Key\":\"by\",\"Value\":"
	    "\"root\"}]}");
	template_put(api.store, "a",
	    "{" FOR_PUSH ",\"resourceTags\":[{\"Key\":\"by\",\"Value\":"
	    "\"a\"}]}");
	template_put(api.store, "a/b",
	    "{\"appliedFor\":[\"REPLICATION\"],\"imageTagMutability\":"
	    "\"IMMUTABLE\"}");
	push_expect("x", 201, "");
	push_expect("a/x", 201, "");
	push_expect("a/b/x", 201, "");
	assert_true(span_is(describe("x").tags[0].value, "root"));
	assert_true(span_is(describe("a/x").tags[0].value, "a"));
	assert_true(span_is(describe("a/b/x").tags[0].value, "a"));
	assert_int_equal(describe("a/b/x").settings.mutability, TAGS_MUTABLE);
}

/* --- what it says -------------------------------------------------------- */

#define POLICY "{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[]}"
#define ALL_OF_IT \
	"{\"prefix\":\"team/\"," FOR_PUSH "," \
	"\"imageTagMutability\":\"IMMUTABLE_WITH_EXCLUSION\"," \
	"\"imageTagMutabilityExclusionFilters\":[{\"filterType\":" \
	"\"WILDCARD\",\"filter\":\"dev-*\"}]," \
	"\"encryptionConfiguration\":{\"encryptionType\":\"KMS\"}," \
	"\"resourceTags\":[{\"Key\":\"owner\",\"Value\":\"me\"}," \
	"{\"Key\":\"cost\",\"Value\":\"\"}]," \
	"\"repositoryPolicy\":\"" POLICY "\"," \
	"\"lifecyclePolicy\":\"{\\\"rules\\\":[]}\"}"

static void
a_repository_is_made_as_its_template_says(void **state)
{
	struct repository_description d;
	struct repository_access access;
	struct lifecycle_row lifecycle;

	(void)state;
	template_put(api.store, "team", ALL_OF_IT);
	push_expect("team/app", 201, "");
	d = describe("team/app");
	assert_int_equal(d.settings.mutability, TAGS_IMMUTABLE_WITH_EXCLUSION);
	assert_int_equal(d.settings.n_exclusions, 1);
	assert_true(span_is(d.settings.exclusions[0], "dev-*"));
	assert_int_equal(d.settings.encryption, ENCRYPTION_KMS);
	assert_int_equal(d.n_tags, 2);
	assert_true(span_is(d.tags[0].key, "cost"));
	assert_true(span_is(d.tags[1].value, "me"));
	assert_int_equal(meta_repository_access(store_meta(api.store),
			     SPAN("team/app"), ACCESS_POLICY, &arena, &access),
	    RC_OK);
	assert_true(span_is(
	    access.policy, "{\"Version\":\"2012-10-17\",\"Statement\":[]}"));
	assert_int_equal(meta_lifecycle_get(store_meta(api.store),
			     SPAN("team/app"), &arena, &lifecycle),
	    RC_OK);
	assert_true(span_is(lifecycle.text, "{\"rules\":[]}"));
}

static void
a_blob_makes_the_same_repository_as_a_manifest(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	api.settings.create_on_push = false;
	template_put(api.store, "team", ALL_OF_IT);
	api_blob(&api, "team/app", SPAN("hello"), digest);
	assert_int_equal(describe("team/app").settings.mutability,
	    TAGS_IMMUTABLE_WITH_EXCLUSION);
}

static void
a_template_holds_for_new_repositories_only(void **state)
{
	(void)state;
	push_expect("team/app", 201, "");
	template_put(api.store, "team", ALL_OF_IT);
	push_expect("team/app", 201, "");
	assert_int_equal(
	    describe("team/app").settings.mutability, TAGS_MUTABLE);
}

static void
a_template_that_cannot_be_used_makes_nothing(void **state)
{
	static const char *const texts[] = {
		"{" FOR_PUSH ",\"imageTagMutability\":\"SOMETIMES\"}",
		"{" FOR_PUSH ",\"imageTagMutability\":7}",
		"{" FOR_PUSH ",\"resourceTags\":[{\"Key\":\"a\"}]}",
		"{" FOR_PUSH ",\"encryptionConfiguration\":{}}",
		"{" FOR_PUSH ",\"repositoryPolicy\":[]}",
	};
	struct repository_row row;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		template_put(api.store, "team", texts[i]);
		push_expect("team/app", 500, "INTERNAL");
		assert_int_equal(meta_repository_get(store_meta(api.store),
				     SPAN("team/app"), &row),
		    RC_NOTFOUND);
	}
}

/* --- the quota ----------------------------------------------------------- */

static void
no_more_repositories_are_made_than_there_may_be(void **state)
{
	char digest[DIGEST_STR_BYTES];
	struct reply r;

	(void)state;
	api.settings.quotas.repositories = 2;
	api_blob(&api, "one", SPAN("hello"), digest);
	push_expect("two", 201, "");
	push("three", &r);
	assert_int_equal(r.status, 403);
	assert_string_equal(r.code, "DENIED");
	assert_true(reply_has(&r,
	    "The maximum number of repositories (2) in the registry with id "
	    "'000000000000' has been reached"));
	reply_free(&r);
	push_expect("two", 201, "");
	api_ask(&api,
	    &(struct ask){ .method = HTTP_POST,
		.path = "/v2/three/blobs/uploads/",
		.query = "digest=sha256:"
			 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e7304"
			 "3362938b9824",
		.body = SPAN("hello") },
	    &r);
	assert_int_equal(r.status, 403);
	assert_string_equal(r.code, "DENIED");
	reply_free(&r);
	api.settings.quotas.repositories = 0;
	push_expect("three", 201, "");
}

static void
a_mount_makes_no_more_than_that_either(void **state)
{
	char digest[DIGEST_STR_BYTES], query[256];
	struct reply r;

	(void)state;
	api.settings.quotas.repositories = 1;
	api_blob(&api, "one", SPAN("hello"), digest);
	(void)snprintf(query, sizeof(query), "mount=%s&from=one", digest);
	api_ask(&api,
	    &(struct ask){ .method = HTTP_POST,
		.path = "/v2/two/blobs/uploads/",
		.query = query },
	    &r);
	assert_int_equal(r.status, 403);
	assert_string_equal(r.code, "DENIED");
	reply_free(&r);
}

/* --- who may ------------------------------------------------------------- */

static struct ecr e;
static struct http_exchange exchange;
static struct http_request request;
static struct http_response answer;
static struct call call;

static int
setup_auth(void **state)
{
	(void)state;
	ecr_open(&e, AUTH_TOKEN);
	arena_init(&arena, 1 << 24);
	request = (struct http_request){ .method = HTTP_PUT };
	http_response_init(&answer);
	exchange = (struct http_exchange){ .role = ROLE_PUBLIC };
	call = (struct call){
		.may_block = true,
		.x = &exchange,
		.request = &request,
		.answer = &answer,
		.arena = &arena,
		.settings = &e.settings,
		.service = &e.service,
		.store = e.service.store,
		.meta = store_meta(e.service.store),
		.region = SPAN("eu-central-1"),
		.repository = SPAN("team/app"),
	};
	return (0);
}

static int
teardown_auth(void **state)
{
	(void)state;
	directory_unref(&call.directory);
	arena_reset(&arena);
	ecr_close(&e);
	return (0);
}

#define ALLOW(actions, condition) \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\"," \
	"\"Action\":[" actions "],\"Resource\":\"*\"" condition "}]}"

static void
who(const char *name, const char *policy)
{
	struct ecr_key key;

	ecr_user(&e, name, policy, &key);
	directory_unref(&call.directory);
	call.directory = auth_directory(e.service.auth);
	call.who =
	    directory_user(call.directory, SPAN(ECR_ACCOUNT), span_of(name));
	assert_non_null(call.who);
}

static bool
may_create(void)
{
	const struct repository_preset *preset;

	assert_int_equal(creation_on_push(&call, &preset), RC_OK);
	return (preset != NULL);
}

static void
assert_refused(const char *action)
{
	assert_false(may_create());
	assert_int_equal(creation_refuse(&call), RC_FAILED);
	assert_int_equal(call.error, OCI_DENIED);
	if (strstr(call.message, action) == NULL)
		fail_msg("%s does not name %s", call.message, action);
}

static void
who_pushes_must_be_allowed_to_create(void **state)
{
	(void)state;
	e.settings.create_on_push = true;
	who("pusher", ALLOW("\"ecr:PutImage\"", ""));
	assert_refused("ecr:CreateRepository");
	who("maker", ALLOW("\"ecr:CreateRepository\"", ""));
	assert_true(may_create());
	/* Where nothing would make it, nobody is to blame. */
	e.settings.create_on_push = false;
	assert_false(may_create());
	assert_int_equal(creation_refuse(&call), RC_OK);
}

static void
tags_of_a_template_must_be_allowed_too(void **state)
{
	(void)state;
	template_put(e.service.store, "team", ALL_OF_IT);
	who("maker", ALLOW("\"ecr:CreateRepository\"", ""));
	assert_refused("ecr:TagResource");
	who("tagger",
	    ALLOW("\"ecr:CreateRepository\",\"ecr:TagResource\"", ""));
	assert_true(may_create());
}

static void
policies_see_the_tags_of_the_template(void **state)
{
	(void)state;
	who("maker",
	    ALLOW("\"ecr:CreateRepository\",\"ecr:TagResource\"",
		",\"Condition\":{\"StringEquals\":{\"aws:RequestTag/owner\":"
		"\"me\"}}"));
	template_put(e.service.store, "team", ALL_OF_IT);
	assert_true(may_create());
	assert_null(call.request_tags);
	template_put(e.service.store, "team", "{" FOR_PUSH "}");
	assert_refused("ecr:CreateRepository");
}

static void
a_bearer_token_for_pushing_is_enough(void **state)
{
	(void)state;
	template_put(e.service.store, "team", ALL_OF_IT);
	who("tagger",
	    ALLOW("\"ecr:CreateRepository\",\"ecr:TagResource\"", ""));
	call.permission = permission_find("manifest-put");
	call.granted = SPAN("repository:team/app:pull");
	assert_false(may_create());
	call.granted = SPAN("repository:team/app:pull,push");
	assert_true(may_create());
}

/* --- by a pull, by replication ------------------------------------------- */

static void
a_pull_through_the_cache_makes_it_for_who_may(void **state)
{
	const struct repository_preset *preset;

	(void)state;
	e.settings.create_on_push = false;
	who("puller", ALLOW("\"ecr:BatchGetImage\"", ""));
	assert_int_equal(creation_on_cache(&call, &preset), RC_FAILED);
	assert_int_equal(call.error, OCI_DENIED);
	assert_non_null(strstr(call.message, "ecr:CreateRepository"));
	assert_null(preset);
	who("maker", ALLOW("\"ecr:CreateRepository\"", ""));
	assert_int_equal(creation_on_cache(&call, &preset), RC_OK);
	assert_int_equal(preset->n_tags, 0);
	template_put(e.service.store, "team", ALL_OF_IT);
	assert_int_equal(creation_on_cache(&call, &preset), RC_FAILED);
	assert_non_null(strstr(call.message, "ecr:TagResource"));
	who("tagger",
	    ALLOW("\"ecr:CreateRepository\",\"ecr:TagResource\"", ""));
	assert_int_equal(creation_on_cache(&call, &preset), RC_OK);
	assert_true(preset->n_tags > 0);
	template_put(e.service.store, "team",
	    "{\"appliedFor\":[\"CREATE_ON_PUSH\"],\"resourceTags\":"
	    "[{\"Key\":\"a\",\"Value\":\"b\"}]}");
	assert_int_equal(creation_on_cache(&call, &preset), RC_OK);
	assert_int_equal(preset->n_tags, 0);
}

static void
the_token_of_a_pull_is_enough_for_what_it_makes(void **state)
{
	const struct repository_preset *preset;

	(void)state;
	who("maker", ALLOW("\"ecr:CreateRepository\"", ""));
	call.permission = permission_find("manifest-get");
	call.granted = SPAN("repository:team/app:pull");
	assert_int_equal(creation_on_cache(&call, &preset), RC_OK);
	assert_non_null(preset);
	assert_true(span_is(call.granted, "repository:team/app:pull"));
}

static void
replication_makes_what_pushes_do_not(void **state)
{
	struct http_header header = {
		.name = SPAN("Registryd-Replication"),
		.value = SPAN("eu-west-1/111122223333"),
	};

	(void)state;
	e.settings.create_on_push = false;
	who("replicator",
	    ALLOW("\"ecr:CreateRepository\",\"ecr:ReplicateImage\"", ""));
	assert_false(may_create());
	request.headers = &header;
	request.n_headers = 1;
	assert_true(may_create());
	who("pusher", ALLOW("\"ecr:CreateRepository\"", ""));
	assert_false(may_create());
	who("sender", ALLOW("\"ecr:ReplicateImage\"", ""));
	assert_refused("ecr:CreateRepository");
}

static void
who_has_the_server_s_own_socket_makes_what_pushes_do_not(void **state)
{
	struct ask ask = { .method = HTTP_POST,
		.role = ROLE_CONTROL,
		.path = "/v2/team/app/blobs/uploads/" };
	struct reply r;

	(void)state;
	api.settings.create_on_push = false;
	push_expect("team/other", 404, "NAME_UNKNOWN");
	api_ask(&api, &ask, &r);
	assert_int_equal(r.status, 202);
	reply_free(&r);
	ask.role = ROLE_PUBLIC;
	ask.path = "/v2/team/other/blobs/uploads/";
	api_ask(&api, &ask, &r);
	assert_int_equal(r.status, 404);
	reply_free(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_AUTH(f) \
	cmocka_unit_test_setup_teardown(f, setup_auth, teardown_auth)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    prefixes_are_the_folders_above_a_name_and_root),
		TEST(
		    without_a_template_the_configuration_decides_and_defaults_hold),
		TEST(
		    a_template_makes_repositories_though_the_configuration_does_not),
		TEST(the_longest_prefix_that_is_for_pushes_counts),
		TEST(who_has_the_server_s_own_socket_makes_what_pushes_do_not),
		TEST(a_repository_is_made_as_its_template_says),
		TEST(a_blob_makes_the_same_repository_as_a_manifest),
		TEST(a_template_holds_for_new_repositories_only),
		TEST(a_template_that_cannot_be_used_makes_nothing),
		TEST(no_more_repositories_are_made_than_there_may_be),
		TEST(a_mount_makes_no_more_than_that_either),
		TEST_AUTH(who_pushes_must_be_allowed_to_create),
		TEST_AUTH(tags_of_a_template_must_be_allowed_too),
		TEST_AUTH(policies_see_the_tags_of_the_template),
		TEST_AUTH(a_bearer_token_for_pushing_is_enough),
		TEST_AUTH(a_pull_through_the_cache_makes_it_for_who_may),
		TEST_AUTH(the_token_of_a_pull_is_enough_for_what_it_makes),
		TEST_AUTH(replication_makes_what_pushes_do_not),
	};

	return (cmocka_run_group_tests_name("creation", tests, NULL, NULL));
}
