#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "api_tools.h"
#include "base/buf.h"
#include "registryd/service_int.h"
#include "storage/advisories.h"

/*
 * Advisories over the control socket: taken in as they arrive, shown, removed.
 */
#define PATH "/control/advisories"
#define RELEASE(name) "\"" name "\": {\"status\": \"open\"}"
#define FILE_ONE \
	"{\"bash\": {\"CVE-1\": {\"releases\": {" RELEASE( \
	    "bookworm") ", " RELEASE("trixie") "}}}}"
#define FILE_BAD \
	"{\"bash\": {\"CVE-1\": {\"releases\": {" RELEASE("bookworm") "}}}, 7"

static struct api api;
static struct settings *settings;

struct request {
	enum http_method method;
	const char *query;
	const char *body;
	bool streamed;
	enum rc ends;
};

static json_t *
control(const struct request *rq, int status)
{
	struct ask ask = {
		.method = rq->method,
		.role = ROLE_CONTROL,
		.path = PATH,
		.query = rq->query,
		.body = span_of(rq->body),
		.streamed = rq->streamed,
		.ends = rq->ends,
	};
	struct reply r;
	json_t *o;

	api_ask(&api, &ask, &r);
	if (r.status != status)
		fail_msg("%d: " SPAN_FMT, r.status, SPAN_ARG(r.body));
	o = json_loadb(r.body.p != NULL ? r.body.p : "", r.body.n, 0, NULL);
	reply_free(&r);
	assert_non_null(o);
	return (o);
}

static void
refused(const struct request *rq, int status, const char *what)
{
	json_t *o = control(rq, status);
	const char *message;

	message = json_string_value(json_object_get(
	    json_array_get(json_object_get(o, "errors"), 0), "message"));
	assert_non_null(message);
	if (strstr(message, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", message, what);
	json_decref(o);
}

static json_int_t
number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return (json_integer_value(json_object_get(o, key)));
}

/* How many sources there are, and the revision. */
static void
status_is(size_t sources, json_int_t revision)
{
	json_t *o = control(&(struct request){ .method = HTTP_GET }, 200);

	assert_int_equal(
	    json_array_size(json_object_get(o, "sources")), sources);
	assert_int_equal(number(o, "revision"), revision);
	json_decref(o);
}

static void
a_file_is_taken_in_as_it_arrives(void **state)
{
	int streamed;
	json_t *o;

	(void)state;
	status_is(0, 0);
	for (streamed = 0; streamed < 2; streamed++) {
		o = control(&(struct request){ .method = HTTP_POST,
				.body = FILE_ONE,
				.streamed = streamed != 0 },
		    200);
		assert_string_equal(
		    json_string_value(json_object_get(o, "source")), "debian");
		assert_int_equal(number(o, "advisories"), 2);
		assert_int_equal(
		    json_array_size(json_object_get(o, "ecosystems")), 2);
		json_decref(o);
		status_is(1, 1 + streamed);
	}
	o = control(&(struct request){ .method = HTTP_POST,
			.query = "source=mine",
			.body = FILE_ONE,
			.streamed = true },
	    200);
	json_decref(o);
	status_is(2, 3);
}

/* More than the server has in memory of it at once. */
static void
a_long_file_goes_through_in_pieces(void **state)
{
	struct buf b;
	json_t *o;
	int i;

	(void)state;
	buf_init(&b, (size_t)64 << 20);
	for (i = 0; i < 2000; i++)
		buf_printf(&b,
		    "%s\"p%d\": {\"CVE-%d\": {\"description\": \"%0300d\", "
		    "\"releases\": {" RELEASE("bookworm") "}}}",
		    i == 0 ? "{" : ",", i, i, 0);
	buf_add(&b, "}", 2);
	o = control(
	    &(struct request){
		.method = HTTP_POST, .body = b.p, .streamed = true },
	    200);
	assert_int_equal(number(o, "advisories"), 2000);
	json_decref(o);
	buf_free(&b);
}

static void
what_cannot_be_read_is_refused_and_changes_nothing(void **state)
{
	struct request rq = { .method = HTTP_POST, .body = FILE_ONE };
	int streamed;

	(void)state;
	json_decref(control(&rq, 200));
	for (streamed = 0; streamed < 2; streamed++) {
		rq = (struct request){ .method = HTTP_POST,
			.body = FILE_BAD,
			.streamed = streamed != 0 };
		refused(&rq, 400, "byte");
		rq.body = "";
		rq.query = NULL;
		refused(&rq, 400, "cannot be taken");
		rq.body = FILE_ONE;
		rq.query = "source=a b";
		refused(&rq, 400, "source: \"a b\" must be");
	}
	status_is(1, 1);
}

/* The dispatcher tells a sender that is gone nothing; here its code is seen. */
static void
a_body_that_breaks_off_changes_nothing(void **state)
{
	struct request rq = { .method = HTTP_POST,
		.body = FILE_ONE,
		.streamed = true,
		.ends = RC_CANCELLED };

	(void)state;
	json_decref(control(&rq, 500));
	status_is(0, 0);
	rq.ends = RC_OK;
	json_decref(control(&rq, 200));
	status_is(1, 1);
}

static void
others_that_are_being_imported_are_waited_for(void **state)
{
	struct request rq = {
		.method = HTTP_POST, .body = FILE_ONE, .streamed = true
	};
	uint64_t a, b;

	(void)state;
	assert_int_equal(
	    meta_advisories_begin(store_meta(api.store), &a), RC_OK);
	assert_int_equal(
	    meta_advisories_begin(store_meta(api.store), &b), RC_OK);
	refused(&rq, 409, "other advisories are being imported");
	meta_advisories_abandon(store_meta(api.store), a);
	json_decref(control(&rq, 200));
}

static void
a_source_is_removed(void **state)
{
	struct request rq = { .method = HTTP_POST, .body = FILE_ONE };

	(void)state;
	json_decref(control(&rq, 200));
	rq = (struct request){ .method = HTTP_DELETE };
	refused(&rq, 400, "source: one is needed");
	rq.query = "source=other";
	refused(&rq, 404, "no advisories of a source \"other\"");
	rq.query = "source=debian";
	json_decref(control(&rq, 200));
	status_is(0, 2);
	refused(&rq, 404, "\"debian\"");
}

static int
setup(void **state)
{
	struct settings_flags flags = { .auth = "none" };
	char why[SERVICE_WHY_BYTES];

	(void)state;
	api_open(&api);
	flags.data = api.dir;
	if (settings_load(&flags, why, &settings) != RC_OK)
		fail_msg("%s", why);
	api_bare(&api);
	service_init(&api.service, api.store, settings);
	assert_int_equal(service_audit_open(&api.service, why), RC_OK);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	service_fini(&api.service);
	settings_unref(&settings);
	api_close(&api);
	return (0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_taken_in_as_it_arrives),
		TEST(a_long_file_goes_through_in_pieces),
		TEST(what_cannot_be_read_is_refused_and_changes_nothing),
		TEST(a_body_that_breaks_off_changes_nothing),
		TEST(others_that_are_being_imported_are_waited_for),
		TEST(a_source_is_removed),
	};

	return (cmocka_run_group_tests_name(
	    "control: advisories", tests, NULL, NULL));
}
