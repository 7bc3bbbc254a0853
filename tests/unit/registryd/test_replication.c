#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "api_tools.h"
#include "registryd/registry_config.h"
#include "registryd/replication.h"
#include "storage/replication.h"

/* Which images go where, by the rules of the replication configuration. */

static struct api api;
static struct replication *replication;

#define TO(region, account) \
	"{\"region\":\"" region "\",\"registryId\":\"" account "\"}"
#define A TO("eu-west-1", "000000000001")
#define B TO("us-east-1", "000000000002")
#define PREFIX(text) "{\"filter\":\"" text "\",\"filterType\":\"PREFIX_MATCH\"}"
#define RULE(destinations, filters) \
	"{\"destinations\":[" destinations "],\"repositoryFilters\":[" filters \
	"]}"

static void
configure(const char *rules)
{
	char text[4096];
	json_t *o;

	(void)snprintf(text, sizeof(text), "{\"rules\":[%s]}", rules);
	o = json_loads(text, 0, NULL);
	assert_non_null(o);
	assert_int_equal(
	    registry_config_put(store_meta(api.store), ENTITY_REGISTRY,
		CONFIG_REPLICATION, o, CONFIG_PUT, 0),
	    RC_OK);
	json_decref(o);
	replication_changed(replication);
}

/* All of them, with blanks between. */
static void
assert_destinations(const char *repository, const char *want)
{
	const struct span *list;
	struct arena arena;
	struct buf got;
	size_t i, n;

	arena_init(&arena, 1 << 20);
	buf_init(&got, 1 << 20);
	assert_int_equal(replication_destinations_of(replication,
			     span_of(repository), &arena, &list, &n),
	    RC_OK);
	for (i = 0; i < n; i++)
		buf_printf(
		    &got, "%s" SPAN_FMT, i > 0 ? " " : "", SPAN_ARG(list[i]));
	if (!span_is(buf_as_span(&got), want))
		fail_msg("%s goes to \"" SPAN_FMT "\", not to \"%s\"",
		    repository, SPAN_ARG(buf_as_span(&got)), want);
	buf_free(&got);
	arena_reset(&arena);
}

static void
without_a_configuration_nothing_is_sent(void **state)
{
	(void)state;
	assert_destinations("team/app", "");
	configure("");
	assert_destinations("team/app", "");
}

static void
a_rule_without_filters_is_for_all(void **state)
{
	(void)state;
	configure("{\"destinations\":[" A "]}");
	assert_destinations("team/app", "eu-west-1/000000000001");
	assert_destinations("x", "eu-west-1/000000000001");
}

static void
a_filter_is_a_prefix_of_the_name(void **state)
{
	(void)state;
	configure(RULE(A, PREFIX("prod") "," PREFIX("qa/")));
	assert_destinations("prod", "eu-west-1/000000000001");
	assert_destinations("production/app", "eu-west-1/000000000001");
	assert_destinations("qa/app", "eu-west-1/000000000001");
	assert_destinations("qa", "");
	assert_destinations("team/prod", "");
}

static void
a_destination_of_several_rules_is_one(void **state)
{
	(void)state;
	configure(RULE(A, PREFIX("prod")) "," RULE(
	    B "," A, PREFIX("p")) "," RULE(B, PREFIX("other")));
	assert_destinations(
	    "prod/app", "eu-west-1/000000000001 us-east-1/000000000002");
	assert_destinations(
	    "p", "us-east-1/000000000002 eu-west-1/000000000001");
	assert_destinations("other", "us-east-1/000000000002");
}

static void
a_change_counts_from_then_on(void **state)
{
	(void)state;
	configure(RULE(A, PREFIX("prod")));
	assert_destinations("prod", "eu-west-1/000000000001");
	configure(RULE(B, PREFIX("prod")));
	assert_destinations("prod", "us-east-1/000000000002");
	configure("");
	assert_destinations("prod", "");
}

/* --- pushes -------------------------------------------------------------- */

#define INDEX \
	"{\"schemaVersion\":2,\"mediaType\":" \
	"\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}"

static uint64_t
waiting(void)
{
	uint64_t n;

	assert_int_equal(
	    meta_replication_count(store_meta(api.store), &n), RC_OK);
	return (n);
}

static void
push(const char *path, const char *header)
{
	struct ask ask = {
		.method = HTTP_PUT,
		.path = path,
		.headers = { "Content-Type: "
			     "application/vnd.oci.image.index.v1+json",
		    header },
		.body = SPAN(INDEX),
	};
	struct reply r;

	api_ask(&api, &ask, &r);
	assert_int_equal(r.status, 201);
	reply_free(&r);
}

static void
what_somebody_pushes_waits_for_each_destination(void **state)
{
	(void)state;
	configure(RULE(A "," B, PREFIX("prod")));
	push("/v2/prod/app/manifests/1", NULL);
	assert_int_equal(waiting(), 2);
	/* The same once more moves nothing. */
	push("/v2/prod/app/manifests/1", NULL);
	assert_int_equal(waiting(), 2);
	push("/v2/prod/app/manifests/2", NULL);
	assert_int_equal(waiting(), 4);
	push("/v2/team/app/manifests/1", NULL);
	assert_int_equal(waiting(), 4);
}

static void
what_another_registry_replicates_is_not_sent_on(void **state)
{
	(void)state;
	configure(RULE(A, PREFIX("prod")));
	push("/v2/prod/app/manifests/1",
	    REPLICATION_HEADER ": us-east-1/000000000002");
	assert_int_equal(waiting(), 0);
	push("/v2/prod/app/manifests/2", NULL);
	assert_int_equal(waiting(), 1);
}

/* ------------------------------------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	replication = api.service.replication;
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	api_close(&api);
	return (0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_configuration_nothing_is_sent),
		TEST(a_rule_without_filters_is_for_all),
		TEST(a_filter_is_a_prefix_of_the_name),
		TEST(a_destination_of_several_rules_is_one),
		TEST(a_change_counts_from_then_on),
		TEST(what_somebody_pushes_waits_for_each_destination),
		TEST(what_another_registry_replicates_is_not_sent_on),
	};

	return (cmocka_run_group_tests_name("replication", tests, NULL, NULL));
}
