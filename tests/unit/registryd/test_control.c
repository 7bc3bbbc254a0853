#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_tools.h"
#include "base/clock.h"
#include "base/mem.h"
#include "lifecycle/policy.h"
#include "registryd/jobs.h"
#include "storage/gc.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/repositories.h"

/*
 * What registryctl asks over the control socket about what goes: collections,
 * lifecycle policies, what was deleted.
 */

#define HOUR ((int64_t)3600 * 1000)

#define COUNT(n) \
	"{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":" \
	"\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":" #n \
	"},\"action\":{\"type\":\"expire\"}}]}"
/* The same inside of a JSON text. */
#define COUNT_TEXT(n) \
	"{\\\"rules\\\":[{\\\"rulePriority\\\":1,\\\"selection\\\":{" \
	"\\\"tagStatus\\\":\\\"any\\\",\\\"countType\\\":" \
	"\\\"imageCountMoreThan\\\",\\\"countNumber\\\":" #n \
	"},\\\"action\\\":{\\\"type\\\":\\\"expire\\\"}}]}"
#define EXTENDED_TEXT \
	"{\\\"keepLast\\\":3,\\\"rules\\\":[{\\\"rulePriority\\\":1," \
	"\\\"selection\\\":{\\\"tagStatus\\\":\\\"any\\\"," \
	"\\\"countType\\\":\\\"imageCountMoreThan\\\"," \
	"\\\"countNumber\\\":1},\\\"action\\\":{\\\"type\\\":" \
	"\\\"expire\\\"}}]}"

static struct api api;
static struct settings *settings;

/* --- asking -------------------------------------------------------------- */

/* The answer, which has that status; NULL if it is no JSON.  The caller's. */
static json_t *
control_body(enum http_method method, const char *path, const char *query,
    const char *body, int status)
{
	struct ask ask = {
		.method = method,
		.role = ROLE_CONTROL,
		.path = path,
		.query = query,
		.body = span_of(body),
	};
	struct reply r;
	json_t *o;

	api_ask(&api, &ask, &r);
	if (r.status != status)
		fail_msg("%s: %d: " SPAN_FMT, path, r.status, SPAN_ARG(r.body));
	o = json_loadb(r.body.p != NULL ? r.body.p : "", r.body.n, 0, NULL);
	reply_free(&r);
	return (o);
}

static json_t *
control(
    enum http_method method, const char *path, const char *query, int status)
{
	json_t *o = control_body(method, path, query, NULL, status);

	assert_non_null(o);
	return (o);
}

/* An error whose message has ${what} in it. */
static void
refused(enum http_method method, const char *path, const char *query,
    const char *body, int status, const char *what)
{
	json_t *o = control_body(method, path, query, body, status);
	const char *message;

	assert_non_null(o);
	message = json_string_value(json_object_get(
	    json_array_get(json_object_get(o, "errors"), 0), "message"));
	assert_non_null(message);
	if (strstr(message, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", message, what);
	json_decref(o);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return (text);
}

static json_int_t
number_of(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return (json_integer_value(json_object_get(o, key)));
}

static bool
null_at(const json_t *o, const char *key)
{
	const json_t *member = json_object_get(o, key);

	assert_non_null(member);
	return (json_is_null(member));
}

static size_t
size_of(const json_t *o, const char *key)
{
	assert_true(json_is_array(json_object_get(o, key)));
	return (json_array_size(json_object_get(o, key)));
}

static const json_t *
row_of(const json_t *o, const char *key, size_t i)
{
	const json_t *row = json_array_get(json_object_get(o, key), i);

	assert_non_null(row);
	return (row);
}

/* The job of ${asked}, which is dropped, at its end. */
static json_t *
job_wait(json_t *asked)
{
	char path[128];
	json_t *o;
	int i;

	(void)snprintf(
	    path, sizeof(path), "/control/jobs/%s", text_of(asked, "id"));
	json_decref(asked);
	for (i = 0; i < 6000; i++) {
		o = control(HTTP_GET, path, NULL, 200);
		if (strcmp(text_of(o, "state"), "running") != 0)
			return (o);
		json_decref(o);
		(void)usleep(10000);
	}
	fail_msg("the job does not end");
	return (NULL);
}

static void
policy_set(const char *repository, const char *text)
{
	assert_int_equal(
	    meta_lifecycle_set(store_meta(api.store), span_of(repository),
		span_of(text), clock_real_ms(), NULL),
	    RC_OK);
}

static void
undelete_window_set(int64_t ms)
{
	api.settings.lifecycle.undelete_ms = ms;
	store_undelete_set(api.store, ms);
}

/* --- collections --------------------------------------------------------- */

static void
a_collection_is_started_and_ends(void **state)
{
	json_t *o;

	(void)state;
	o = control(HTTP_POST, "/control/gc", NULL, 202);
	assert_string_equal(text_of(o, "kind"), "gc");
	assert_true(json_is_boolean(json_object_get(o, "joined")));
	o = job_wait(o);
	assert_string_equal(text_of(o, "state"), "done");
	assert_true(json_is_object(json_object_get(o, "totals")));
	json_decref(o);
	o = control(HTTP_POST, "/control/gc", "dry-run=true", 202);
	assert_true(json_is_true(json_object_get(o, "dry_run")));
	json_decref(job_wait(o));
	refused(HTTP_POST, "/control/gc", "dry-run=yes", NULL, 400,
	    "dry-run: \"yes\" must be true or false");
}

static void
what_was_reclaimed_is_in_the_figures_and_in_the_audit_log(void **state)
{
	char digest[DIGEST_STR_BYTES], line[512], path[600];
	const json_t *gc;
	bool told = false;
	json_t *o;
	FILE *f;

	(void)state;
	gc_grace_set(api.store, 0);
	api_blob(&api, "team/app", SPAN("nobody needs this"), digest);
	json_decref(job_wait(control(HTTP_POST, "/control/gc", NULL, 202)));
	o = control(HTTP_GET, "/control/stats", NULL, 200);
	gc = json_object_get(o, "gc");
	assert_int_equal(number_of(gc, "collections"), 1);
	assert_int_equal(number_of(gc, "links"), 1);
	assert_int_equal(number_of(gc, "blobs"), 1);
	assert_int_equal(number_of(gc, "bytes"), 17);
	assert_false(null_at(gc, "last"));
	assert_true(json_is_false(json_object_get(gc, "running")));
	json_decref(o);
	(void)snprintf(path, sizeof(path), "%s/audit.log", api.dir);
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL)
		told = told || (strstr(line, "\"event\":\"gc\"") != NULL &&
				   strstr(line, "\"team/app\"") != NULL &&
				   strstr(line, "\"bytes\":17") != NULL);
	(void)fclose(f);
	assert_true(told);
}

static void
figures_of_lifecycle_policies_are_there(void **state)
{
	const json_t *l;
	json_t *o;

	(void)state;
	o = control(HTTP_GET, "/control/stats", NULL, 200);
	l = json_object_get(o, "lifecycle");
	assert_true(null_at(l, "running"));
	assert_true(null_at(l, "last"));
	assert_int_equal(number_of(l, "runs"), 0);
	assert_int_equal(number_of(l, "expired"), 0);
	json_decref(o);
}

/* --- running policies ---------------------------------------------------- */

static void
a_run_is_asked_for_and_carried_out(void **state)
{
	char digest[DIGEST_STR_BYTES];
	json_t *o;

	(void)state;
	api_image(&api, "team/app", "v1", "one", digest);
	api_image(&api, "team/app", "v2", "two", digest);
	policy_set("team/app", COUNT(1));
	o = control(
	    HTTP_POST, "/control/lifecycle/run", "repository=team/app", 202);
	assert_string_equal(text_of(o, "kind"), "lifecycle");
	assert_true(json_is_false(json_object_get(o, "joined")));
	(void)service_lifecycle_round(&api.service);
	o = job_wait(o);
	assert_string_equal(text_of(o, "state"), "done");
	assert_int_equal(number_of(json_object_get(o, "totals"), "expired"), 1);
	json_decref(o);
	json_decref(control(HTTP_POST, "/control/lifecycle/run", NULL, 202));
}

static void
a_run_needs_a_repository_with_a_policy(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	api_image(&api, "team/app", "v1", "one", digest);
	refused(HTTP_POST, "/control/lifecycle/run", "repository=other", NULL,
	    404, "the repository other does not exist");
	refused(HTTP_POST, "/control/lifecycle/run", "repository=team/app",
	    NULL, 404, "the repository team/app has no lifecycle policy");
	refused(HTTP_POST, "/control/lifecycle/run", "repository=NO", NULL, 400,
	    "the name of a repository");
}

static void
too_many_runs_are_refused(void **state)
{
	char digest[DIGEST_STR_BYTES], name[32], query[64];
	int i;

	(void)state;
	for (i = 0; i <= JOBS_RUNS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "r%d", i);
		(void)snprintf(query, sizeof(query), "repository=%s", name);
		api_image(&api, name, "v1", "one", digest);
		policy_set(name, COUNT(1));
		if (i < JOBS_RUNS_MAX)
			json_decref(control(
			    HTTP_POST, "/control/lifecycle/run", query, 202));
	}
	refused(HTTP_POST, "/control/lifecycle/run", query, NULL, 409,
	    "wait for their end");
}

/* --- previews ------------------------------------------------------------ */

static json_t *
preview(const char *body)
{
	json_t *o;

	o = control_body(HTTP_POST, "/control/lifecycle/preview",
	    "repository=team/app", body, 202);
	assert_string_equal(text_of(o, "kind"), "preview");
	o = job_wait(o);
	assert_string_equal(text_of(o, "state"), "done");
	return (o);
}

static void
images_make(size_t n)
{
	char tag[32], digest[DIGEST_STR_BYTES];
	size_t i;

	for (i = 0; i < n; i++) {
		(void)snprintf(tag, sizeof(tag), "v%zu", i);
		api_image(&api, "team/app", tag, tag, digest);
		/* So that they have an order. */
		(void)usleep(2000);
	}
}

static void
a_preview_tells_each_image_and_the_sums(void **state)
{
	const json_t *line;
	json_t *o;

	(void)state;
	images_make(3);
	o = preview("{\"policy\":\"" COUNT_TEXT(1) "\"}");
	assert_int_equal(size_of(o, "lines"), 2);
	assert_int_equal(number_of(o, "lines_next"), 2);
	assert_int_equal(number_of(o, "lines_dropped"), 0);
	line = row_of(o, "lines", 0);
	assert_int_equal(strlen(text_of(line, "digest")), 71);
	assert_string_equal(json_string_value(row_of(line, "tags", 0)), "v0");
	assert_string_equal(text_of(line, "action"), "expire");
	assert_string_equal(text_of(line, "change"), " ");
	assert_int_equal(number_of(line, "rule"), 1);
	assert_int_equal(strlen(text_of(line, "pushed")), 24);
	assert_true(number_of(line, "bytes") > 0);
	assert_int_equal(number_of(json_object_get(o, "sums"), "expiring"), 2);
	assert_int_equal(number_of(json_object_get(o, "sums"), "images"), 3);
	json_decref(o);
}

static void
a_preview_goes_on_from_a_line(void **state)
{
	char path[128];
	json_t *o, *rest;

	(void)state;
	images_make(4);
	o = preview("{\"policy\":\"" COUNT_TEXT(1) "\"}");
	(void)snprintf(
	    path, sizeof(path), "/control/jobs/%s", text_of(o, "id"));
	rest = control(HTTP_GET, path, "since=2", 200);
	assert_int_equal(size_of(rest, "lines"), 1);
	assert_true(
	    json_equal(row_of(rest, "lines", 0), row_of(o, "lines", 2)));
	json_decref(rest);
	rest = control(HTTP_GET, path, "since=1000", 200);
	assert_int_equal(size_of(rest, "lines"), 0);
	assert_int_equal(number_of(rest, "lines_next"), 3);
	json_decref(rest);
	json_decref(o);
}

static void
a_preview_compares_with_the_policy_of_the_repository(void **state)
{
	json_t *o;

	(void)state;
	images_make(4);
	policy_set("team/app", COUNT(3));
	o = preview(NULL);
	assert_int_equal(size_of(o, "lines"), 1);
	json_decref(o);
	o = preview("{\"policy\":\"" COUNT_TEXT(1) "\",\"against\":\"\"}");
	assert_int_equal(size_of(o, "lines"), 2);
	assert_string_equal(text_of(row_of(o, "lines", 0), "change"), "+");
	assert_int_equal(number_of(json_object_get(o, "sums"), "added"), 2);
	json_decref(o);
	o = preview("{\"against\":\"" COUNT_TEXT(1) "\"}");
	assert_int_equal(size_of(o, "lines"), 2);
	assert_string_equal(text_of(row_of(o, "lines", 0), "change"), "-");
	json_decref(o);
}

static void
a_preview_changes_nothing(void **state)
{
	uint64_t n;

	(void)state;
	images_make(3);
	policy_set("team/app", COUNT(1));
	json_decref(preview(NULL));
	assert_int_equal(
	    meta_image_count(store_meta(api.store), SPAN("team/app"), &n),
	    RC_OK);
	assert_int_equal(n, 3);
}

static void
what_is_wrong_with_a_preview_is_told(void **state)
{
	static const char path[] = "/control/lifecycle/preview";
	static const char query[] = "repository=team/app";

	(void)state;
	images_make(1);
	refused(HTTP_POST, path, NULL, "{}", 400, "repository");
	refused(HTTP_POST, path, "repository=other",
	    "{\"policy\":\"" COUNT_TEXT(1) "\"}", 404, "does not exist");
	refused(HTTP_POST, path, query, "{}", 404, "no lifecycle policy");
	refused(
	    HTTP_POST, path, query, "{\"policy\":1}", 400, "policy must be");
	refused(HTTP_POST, path, query, "{\"policy\":\"{}\"}", 400,
	    "policy: object has missing required properties");
	refused(HTTP_POST, path, query,
	    "{\"policy\":\"" COUNT_TEXT(1) "\",\"against\":\"{}\"}", 400,
	    "against: object has missing required properties");
	refused(HTTP_POST, path, query, "{\"extensions\":1}", 400,
	    "extensions must be true or false");
	refused(HTTP_POST, path, query, "[]", 400, "must be a JSON object");
	refused(HTTP_POST, path, query, "{", 400, "");
}

static void
extensions_are_previewed_where_they_are_asked_for_or_allowed(void **state)
{
	static const char asked[] =
	    "{\"policy\":\"" EXTENDED_TEXT "\",\"extensions\":true}";
	static const char plain[] = "{\"policy\":\"" EXTENDED_TEXT "\"}";

	(void)state;
	images_make(2);
	refused(HTTP_POST, "/control/lifecycle/preview", "repository=team/app",
	    plain, 400, "keepLast");
	json_decref(preview(asked));
	api.settings.lifecycle.extensions = true;
	json_decref(preview(plain));
}

/* --- their state --------------------------------------------------------- */

static void
the_state_of_policies_is_told_page_by_page(void **state)
{
	char digest[DIGEST_STR_BYTES];
	const json_t *row;
	json_t *o;

	(void)state;
	api_image(&api, "a", "v1", "one", digest);
	api_image(&api, "b", "v1", "one", digest);
	api_image(&api, "c", "v1", "one", digest);
	policy_set("a", COUNT(1));
	policy_set("c", COUNT(2));
	o = control(HTTP_GET, "/control/lifecycle/status", "n=1", 200);
	assert_int_equal(number_of(o, "interval_ms"), 24 * HOUR);
	assert_int_equal(number_of(o, "jitter_ms"), 24 * HOUR / 10);
	assert_string_equal(text_of(o, "window"), "");
	assert_true(json_is_false(json_object_get(o, "extensions")));
	assert_int_equal(number_of(o, "undelete_window_ms"), 0);
	assert_true(null_at(o, "running"));
	assert_int_equal(size_of(o, "policies"), 1);
	row = row_of(o, "policies", 0);
	assert_string_equal(text_of(row, "repository"), "a");
	assert_true(json_is_true(json_object_get(row, "has_policy")));
	assert_int_equal(strlen(text_of(row, "set")), 24);
	assert_true(null_at(row, "evaluated"));
	assert_int_equal(strlen(text_of(row, "next")), 24);
	assert_true(null_at(row, "last"));
	assert_true(json_is_true(json_object_get(o, "more")));
	assert_string_equal(text_of(o, "last"), "a");
	json_decref(o);
	o = control(HTTP_GET, "/control/lifecycle/status", "after=a", 200);
	assert_int_equal(size_of(o, "policies"), 1);
	assert_string_equal(
	    text_of(row_of(o, "policies", 0), "repository"), "c");
	assert_true(json_is_false(json_object_get(o, "more")));
	json_decref(o);
}

static void
the_state_of_one_policy_tells_its_last_run(void **state)
{
	const json_t *row, *last;
	json_t *o;

	(void)state;
	images_make(3);
	policy_set("team/app", COUNT(1));
	o = control(
	    HTTP_POST, "/control/lifecycle/run", "repository=team/app", 202);
	(void)service_lifecycle_round(&api.service);
	json_decref(job_wait(o));
	o = control(
	    HTTP_GET, "/control/lifecycle/status", "repository=team/app", 200);
	row = row_of(o, "policies", 0);
	assert_false(null_at(row, "evaluated"));
	last = json_object_get(row, "last");
	assert_string_equal(text_of(last, "outcome"), "done");
	assert_int_equal(number_of(last, "images"), 3);
	assert_int_equal(number_of(last, "expired"), 2);
	assert_int_equal(
	    number_of(last, "revision"), number_of(row, "revision"));
	assert_int_equal(strlen(text_of(last, "started")), 24);
	assert_true(null_at(last, "why"));
	json_decref(o);
	refused(HTTP_GET, "/control/lifecycle/status", "repository=other", NULL,
	    404, "does not exist");
	refused(HTTP_GET, "/control/lifecycle/status", "n=x", NULL, 400, "n:");
}

/* --- what was deleted ---------------------------------------------------- */

static void
image_delete(const char *digest)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/v2/team/app/manifests/%s", digest);
	assert_int_equal(api_status(&api, HTTP_DELETE, path, NULL), 202);
}

static void
a_deleted_image_is_listed_and_restored(void **state)
{
	char digest[DIGEST_STR_BYTES];
	const json_t *row;
	json_t *o;

	(void)state;
	undelete_window_set(HOUR);
	api_image(&api, "team/app", "v1", "one", digest);
	image_delete(digest);
	assert_int_equal(
	    api_status(&api, HTTP_GET, "/v2/team/app/manifests/v1", NULL), 404);
	o = control(HTTP_GET, "/control/deleted", "repository=team/app", 200);
	assert_int_equal(size_of(o, "images"), 1);
	assert_true(json_is_false(json_object_get(o, "more")));
	row = row_of(o, "images", 0);
	assert_string_equal(text_of(row, "digest"), digest);
	assert_string_equal(json_string_value(row_of(row, "tags", 0)), "v1");
	assert_string_equal(text_of(row, "why"), "request");
	assert_true(null_at(row, "rule"));
	assert_true(strcmp(text_of(row, "until"), text_of(row, "deleted")) > 0);
	json_decref(o);
	o = control(HTTP_POST, "/control/undelete",
	    "repository=team/app&reference=v1", 200);
	assert_string_equal(text_of(o, "digest"), digest);
	assert_int_equal(size_of(o, "tags"), 1);
	assert_int_equal(size_of(o, "taken"), 0);
	assert_int_equal(number_of(o, "children"), 0);
	json_decref(o);
	assert_int_equal(
	    api_status(&api, HTTP_GET, "/v2/team/app/manifests/v1", NULL), 200);
}

static void
an_expired_image_tells_its_rule_and_a_taken_tag_stays(void **state)
{
	char digest[DIGEST_STR_BYTES];
	const json_t *row;
	json_t *o;

	(void)state;
	undelete_window_set(HOUR);
	images_make(2);
	policy_set("team/app", COUNT(1));
	o = control(HTTP_POST, "/control/lifecycle/run", NULL, 202);
	(void)service_lifecycle_round(&api.service);
	json_decref(job_wait(o));
	o = control(HTTP_GET, "/control/deleted", "repository=team/app", 200);
	row = row_of(o, "images", 0);
	assert_string_equal(text_of(row, "why"), "lifecycle");
	assert_int_equal(number_of(row, "rule"), 1);
	json_decref(o);
	api_image(&api, "team/app", "v0", "another", digest);
	o = control(HTTP_POST, "/control/undelete",
	    "repository=team/app&reference=v0", 200);
	assert_int_equal(size_of(o, "tags"), 0);
	assert_string_equal(json_string_value(row_of(o, "taken", 0)), "v0");
	json_decref(o);
}

static void
a_deleted_repository_is_listed_and_restored(void **state)
{
	struct repository_description d;
	char digest[DIGEST_STR_BYTES];
	struct arena arena;
	const json_t *row;
	json_t *o;

	(void)state;
	undelete_window_set(HOUR);
	api_image(&api, "team/app", "v1", "one", digest);
	arena_init(&arena, SIZE_MAX);
	assert_int_equal(meta_repository_delete(store_meta(api.store),
			     SPAN("team/app"), true, &arena, &d),
	    RC_OK);
	arena_reset(&arena);
	o = control(HTTP_GET, "/control/deleted/repositories", NULL, 200);
	assert_int_equal(size_of(o, "repositories"), 1);
	row = row_of(o, "repositories", 0);
	assert_string_equal(text_of(row, "name"), "team/app");
	assert_int_equal(number_of(row, "images"), 1);
	assert_true(number_of(row, "id") > 0);
	json_decref(o);
	o = control(HTTP_POST, "/control/undelete", "repository=team/app", 200);
	assert_string_equal(text_of(o, "repository"), "team/app");
	assert_true(null_at(o, "digest"));
	json_decref(o);
	assert_int_equal(
	    api_status(&api, HTTP_GET, "/v2/team/app/manifests/v1", NULL), 200);
	refused(HTTP_POST, "/control/undelete", "repository=team/app", NULL,
	    409, "there is a repository team/app");
	refused(HTTP_POST, "/control/undelete", "repository=other", NULL, 404,
	    "no deleted repository other");
}

static void
repository_drop(void)
{
	struct repository_description d;
	struct arena arena;

	arena_init(&arena, SIZE_MAX);
	assert_int_equal(meta_repository_delete(store_meta(api.store),
			     SPAN("team/app"), true, &arena, &d),
	    RC_OK);
	arena_reset(&arena);
}

static void
an_older_repository_of_a_name_comes_back_by_its_id(void **state)
{
	char digest[DIGEST_STR_BYTES], query[128];
	json_int_t id;
	json_t *o;

	(void)state;
	undelete_window_set(HOUR);
	api_image(&api, "team/app", "v1", "one", digest);
	repository_drop();
	api_image(&api, "team/app", "v2", "two", digest);
	repository_drop();
	o = control(HTTP_GET, "/control/deleted/repositories", NULL, 200);
	assert_int_equal(size_of(o, "repositories"), 2);
	id = number_of(row_of(o, "repositories", 0), "id");
	json_decref(o);
	(void)snprintf(
	    query, sizeof(query), "repository=other&id=%lld", (long long)id);
	refused(HTTP_POST, "/control/undelete", query, NULL, 404, "id");
	refused(HTTP_POST, "/control/undelete", "repository=team/app&id=99",
	    NULL, 404, "no deleted repository team/app with the id 99");
	refused(HTTP_POST, "/control/undelete", "repository=team/app&id=0",
	    NULL, 400, "id:");
	refused(HTTP_POST, "/control/undelete",
	    "repository=team/app&id=1&reference=v1", NULL, 400, "id:");
	(void)snprintf(
	    query, sizeof(query), "repository=team/app&id=%lld", (long long)id);
	json_decref(control(HTTP_POST, "/control/undelete", query, 200));
	assert_int_equal(
	    api_status(&api, HTTP_GET, "/v2/team/app/manifests/v1", NULL), 200);
	assert_int_equal(
	    api_status(&api, HTTP_GET, "/v2/team/app/manifests/v2", NULL), 404);
}

static void
no_name_is_not_taken_for_all(void **state)
{
	(void)state;
	images_make(3);
	policy_set("team/app", COUNT(1));
	refused(HTTP_POST, "/control/lifecycle/run", "repository=", NULL, 400,
	    "a name is needed");
	refused(HTTP_GET, "/control/lifecycle/status", "repository=", NULL, 400,
	    "a name is needed");
}

/* As a process leaves it that is killed in the middle. */
static void
a_run_that_nobody_carries_out_is_interrupted(void **state)
{
	struct lifecycle_result result = {
		.outcome = LIFECYCLE_RUNNING, .started_ms = 1000, .expired = 3
	};
	const json_t *last;
	json_t *o;

	(void)state;
	images_make(1);
	policy_set("team/app", COUNT(1));
	assert_int_equal(meta_lifecycle_result_put(
			     store_meta(api.store), SPAN("team/app"), &result),
	    RC_OK);
	o = control(
	    HTTP_GET, "/control/lifecycle/status", "repository=team/app", 200);
	last = json_object_get(row_of(o, "policies", 0), "last");
	assert_string_equal(text_of(last, "outcome"), "interrupted");
	assert_int_equal(number_of(last, "expired"), 3);
	json_decref(o);
	(void)snprintf(api.service.lifecycle_now,
	    sizeof(api.service.lifecycle_now), "team/app");
	o = control(HTTP_GET, "/control/lifecycle/status", NULL, 200);
	last = json_object_get(row_of(o, "policies", 0), "last");
	assert_string_equal(text_of(last, "outcome"), "running");
	json_decref(o);
	api.service.lifecycle_now[0] = '\0';
}

/* Which PutLifecyclePolicy would not take: spaces mean nothing, but count. */
static void
a_preview_of_too_long_a_policy_is_refused(void **state)
{
	char *spaces = xcalloc(1, LIFECYCLE_POLICY_MAX + 1);
	char *body;

	(void)state;
	images_make(1);
	memset(spaces, ' ', LIFECYCLE_POLICY_MAX);
	body = xasprintf("{\"policy\":\"" COUNT_TEXT(1) "%s\"}", spaces);
	refused(HTTP_POST, "/control/lifecycle/preview", "repository=team/app",
	    body, 400, "from 100 to 30720");
	free(body);
	free(spaces);
}

static void
a_name_that_was_taken_is_not_given_back(void **state)
{
	struct repository_description d;
	char digest[DIGEST_STR_BYTES];
	struct arena arena;

	(void)state;
	undelete_window_set(HOUR);
	api_image(&api, "team/app", "v1", "one", digest);
	arena_init(&arena, SIZE_MAX);
	assert_int_equal(meta_repository_delete(store_meta(api.store),
			     SPAN("team/app"), true, &arena, &d),
	    RC_OK);
	arena_reset(&arena);
	api_image(&api, "team/app", "v1", "two", digest);
	refused(HTTP_POST, "/control/undelete", "repository=team/app", NULL,
	    409, "there is a repository team/app");
}

/* An index of more images than are looked at, none of which is here. */
static struct digest
index_put(size_t n)
{
	struct descriptor *edges = xcalloc(n, sizeof(*edges));
	const struct manifest manifest = {
		.kind = MANIFEST_INDEX,
		.media_type = SPAN(MEDIA_OCI_INDEX),
		.edges = edges,
		.n_edges = n,
	};
	struct manifest_put put = {
		.repository = SPAN("team/app"),
		.text = SPAN("index"),
		.manifest = &manifest,
		.sparse = SPARSE_ALL,
		.create = &repository_preset_default,
		.now_ms = 1000,
	};
	struct manifest_put_result result;
	uint64_t i;

	for (i = 0; i < n; i++) {
		edges[i].kind = EDGE_MANIFEST;
		edges[i].digest.alg = DIGEST_SHA256;
		memcpy(edges[i].digest.bytes, &i, sizeof(i));
	}
	put.digest = edges[n - 1].digest;
	put.digest.bytes[DIGEST_BYTES_MAX / 2 - 1] = 1;
	assert_int_equal(
	    meta_manifest_put(store_meta(api.store), &put, &result), RC_OK);
	free(edges);
	return (put.digest);
}

static void
an_index_that_needs_too_many_is_told(void **state)
{
	char digest[DIGEST_STR_BYTES], query[256];
	struct digest d;

	(void)state;
	undelete_window_set(HOUR);
	d = index_put((size_t)IMAGE_RESTORE_MAX + 1);
	image_delete(digest_str(&d, digest));
	(void)snprintf(
	    query, sizeof(query), "repository=team/app&reference=%s", digest);
	refused(HTTP_POST, "/control/undelete", query, NULL, 409,
	    "restore the indexes that it needs first");
}

static void
what_cannot_be_restored_is_told(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	api_image(&api, "team/app", "v1", "one", digest);
	refused(HTTP_POST, "/control/undelete", "repository=team/app", NULL,
	    404, "lifecycle.undelete-window is 0");
	undelete_window_set(HOUR);
	refused(HTTP_POST, "/control/undelete",
	    "repository=team/app&reference=v9", NULL, 404,
	    "no deleted image v9");
	refused(HTTP_POST, "/control/undelete", "repository=x&reference=v9",
	    NULL, 404, "the repository x does not exist");
	refused(HTTP_POST, "/control/undelete",
	    "repository=team/app&reference=a:b", NULL, 400, "reference");
	refused(HTTP_GET, "/control/deleted", "repository=x", NULL, 404,
	    "does not exist");
	refused(HTTP_GET, "/control/deleted", "repository=team/app&after=x",
	    NULL, 400, "after");
	refused(HTTP_GET, "/control/deleted", NULL, NULL, 400, "repository");
}

/* ------------------------------------------------------------------------- */

static int
setup(void **state)
{
	struct settings_flags flags = { 0 };
	char why[SETTINGS_WHY_BYTES], audit_why[SERVICE_WHY_BYTES];

	(void)state;
	api_open(&api);
	flags.data = api.dir;
	if (settings_load(&flags, why, &settings) != RC_OK)
		fail_msg("%s", why);
	api_bare(&api);
	service_init(&api.service, api.store, settings);
	assert_int_equal(service_audit_open(&api.service, audit_why), RC_OK);
	api.settings.lifecycle = settings->lifecycle;
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
		TEST(a_collection_is_started_and_ends),
		TEST(what_was_reclaimed_is_in_the_figures_and_in_the_audit_log),
		TEST(figures_of_lifecycle_policies_are_there),
		TEST(a_run_is_asked_for_and_carried_out),
		TEST(a_run_needs_a_repository_with_a_policy),
		TEST(too_many_runs_are_refused),
		TEST(a_preview_tells_each_image_and_the_sums),
		TEST(a_preview_goes_on_from_a_line),
		TEST(a_preview_compares_with_the_policy_of_the_repository),
		TEST(a_preview_changes_nothing),
		TEST(what_is_wrong_with_a_preview_is_told),
		TEST(
		    extensions_are_previewed_where_they_are_asked_for_or_allowed),
		TEST(the_state_of_policies_is_told_page_by_page),
		TEST(the_state_of_one_policy_tells_its_last_run),
		TEST(a_deleted_image_is_listed_and_restored),
		TEST(an_expired_image_tells_its_rule_and_a_taken_tag_stays),
		TEST(a_deleted_repository_is_listed_and_restored),
		TEST(a_name_that_was_taken_is_not_given_back),
		TEST(an_older_repository_of_a_name_comes_back_by_its_id),
		TEST(no_name_is_not_taken_for_all),
		TEST(a_run_that_nobody_carries_out_is_interrupted),
		TEST(a_preview_of_too_long_a_policy_is_refused),
		TEST(an_index_that_needs_too_many_is_told),
		TEST(what_cannot_be_restored_is_told),
	};

	return (cmocka_run_group_tests_name("control", tests, NULL, NULL));
}
