#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "base/mem.h"

#define SUBJECT \
	"sha256:" \
	"1111111111111111111111111111111111111111111111111111111111111111"
#define REFERRERS "/v2/team/app/referrers/" SUBJECT
#define EMPTY_INDEX \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX \
	"\",\"manifests\":[]}"

static struct api api;
static char digest[DIGEST_STR_BYTES];

static int
setup(void **state)
{
	(void)state;
	api_open(&api);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	api_close(&api);
	return (0);
}

static void
get(const char *path, const char *query, struct reply *r)
{
	api_ask(&api,
	    &(struct ask){ .method = HTTP_GET, .path = path, .query = query },
	    r);
}

/* The answer's text and its Link, both whole. */
static void
list_expect(
    const char *path, const char *query, const char *text, const char *link)
{
	const char *got;
	struct reply r;

	get(path, query, &r);
	assert_int_equal(r.status, 200);
	if (!span_is(r.body, text))
		fail_msg(SPAN_FMT " instead of %s", SPAN_ARG(r.body), text);
	got = reply_header(&r, "Link");
	if (link == NULL)
		assert_null(got);
	else
		assert_string_equal(got, link);
	assert_string_equal(
	    reply_header(&r, "Content-Type"), "application/json");
	reply_free(&r);
}

/* --- tags ---------------------------------------------------------------- */

static void
tags_make(void)
{
	static const char *const tags[] = { "v1", "v10", "v2", "A", "_x" };
	size_t i;

	for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		api_manifest(&api, "team/app", tags[i], EMPTY_INDEX, digest);
}

#define TAGS "/v2/team/app/tags/list"

static void
tags_are_listed_in_byte_order(void **state)
{
	(void)state;
	tags_make();
	list_expect(TAGS, NULL,
	    "{\"name\":\"team/app\",\"tags\":[\"A\",\"_x\",\"v1\",\"v10\","
	    "\"v2\"]}",
	    NULL);
}

static void
tags_come_in_pages_that_link_on(void **state)
{
	(void)state;
	tags_make();
	list_expect(TAGS, "n=2",
	    "{\"name\":\"team/app\",\"tags\":[\"A\",\"_x\"]}",
	    "</v2/team/app/tags/list?n=2&last=_x>; rel=\"next\"");
	list_expect(TAGS, "n=2&last=_x",
	    "{\"name\":\"team/app\",\"tags\":[\"v1\",\"v10\"]}",
	    "</v2/team/app/tags/list?n=2&last=v10>; rel=\"next\"");
	list_expect(TAGS, "n=2&last=v10",
	    "{\"name\":\"team/app\",\"tags\":[\"v2\"]}", NULL);
	list_expect(TAGS, "n=5",
	    "{\"name\":\"team/app\",\"tags\":[\"A\",\"_x\",\"v1\",\"v10\","
	    "\"v2\"]}",
	    NULL);
}

static void
last_cuts_without_n(void **state)
{
	(void)state;
	tags_make();
	list_expect(TAGS, "last=v1",
	    "{\"name\":\"team/app\",\"tags\":[\"v10\",\"v2\"]}", NULL);
	list_expect(TAGS, "last=v11",
	    "{\"name\":\"team/app\",\"tags\":[\"v2\"]}", NULL);
	list_expect(
	    TAGS, "last=z", "{\"name\":\"team/app\",\"tags\":[]}", NULL);
}

static void
no_tags_asked_for_is_an_empty_list(void **state)
{
	(void)state;
	tags_make();
	list_expect(TAGS, "n=0", "{\"name\":\"team/app\",\"tags\":[]}", NULL);
}

static void
too_large_an_n_is_as_good_as_the_largest(void **state)
{
	struct reply r;

	(void)state;
	tags_make();
	get(TAGS, "n=99999999999999999999999", &r);
	assert_int_equal(r.status, 200);
	assert_true(reply_has(&r, "v2"));
	reply_free(&r);
}

static void
an_n_that_is_no_number_is_refused(void **state)
{
	static const char *const queries[] = { "n=", "n=-1", "n=x", "n=1x",
		"n= 1" };
	struct reply r;
	size_t i;

	(void)state;
	tags_make();
	for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		get(TAGS, queries[i], &r);
		assert_int_equal(r.status, 400);
		assert_string_equal(r.code, "PAGINATION_NUMBER_INVALID");
		reply_free(&r);
		get("/v2/_catalog", queries[i], &r);
		assert_int_equal(r.status, 400);
		reply_free(&r);
	}
}

static void
tags_of_no_repository_are_not_found(void **state)
{
	struct reply r;

	(void)state;
	get(TAGS, NULL, &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.code, "NAME_UNKNOWN");
	reply_free(&r);
	get(TAGS, "n=0", &r);
	assert_int_equal(r.status, 404);
	reply_free(&r);
}

static void
a_full_page_is_followed_by_the_rest(void **state)
{
	struct reply r;
	char tag[16], query[512] = "";
	size_t i, k;

	(void)state;
	api_manifest(&api, "team/app", "x", EMPTY_INDEX, digest);
	for (i = 0; i < 40; i++) {
		char path[256];

		query[0] = '\0';
		for (k = 0; k < 20; k++) {
			(void)snprintf(tag, sizeof(tag), "%stag=t%03zu",
			    k > 0 ? "&" : "", i * 20 + k);
			(void)strcat(query, tag);
		}
		(void)snprintf(
		    path, sizeof(path), "/v2/team/app/manifests/%s", digest);
		api_ask(&api,
		    &(struct ask){ .method = HTTP_PUT,
			.path = path,
			.query = query,
			.body = SPAN(EMPTY_INDEX) },
		    &r);
		assert_int_equal(r.status, 201);
		reply_free(&r);
	}
	get(TAGS, NULL, &r);
	assert_true(reply_has(&r, "t000") && reply_has(&r, "t799"));
	assert_null(reply_header(&r, "Link"));
	reply_free(&r);
	get(TAGS, "n=700", &r);
	assert_true(reply_has(&r, "t699") && !reply_has(&r, "t700"));
	assert_non_null(reply_header(&r, "Link"));
	reply_free(&r);
}

/* --- catalog ------------------------------------------------------------- */

static void
repositories_come_in_pages_that_link_on(void **state)
{
	static const char *const names[] = { "a", "a/b", "a-b", "b" };
	size_t i;

	(void)state;
	list_expect("/v2/_catalog", NULL, "{\"repositories\":[]}", NULL);
	for (i = 0; i < 4; i++)
		api_manifest(&api, names[i], "v1", EMPTY_INDEX, digest);
	list_expect("/v2/_catalog", NULL,
	    "{\"repositories\":[\"a\",\"a-b\",\"a/b\",\"b\"]}", NULL);
	list_expect("/v2/_catalog", "n=3",
	    "{\"repositories\":[\"a\",\"a-b\",\"a/b\"]}",
	    "</v2/_catalog?n=3&last=a%2Fb>; rel=\"next\"");
	list_expect(
	    "/v2/_catalog", "n=3&last=a/b", "{\"repositories\":[\"b\"]}", NULL);
	list_expect("/v2/_catalog", "n=0", "{\"repositories\":[]}", NULL);
}

/* --- referrers ----------------------------------------------------------- */

static void
referrer_push(unsigned i, const char *type, size_t note_bytes)
{
	char *note, *text;

	note = xmalloc(note_bytes + 1);
	memset(note, 'n', note_bytes);
	note[note_bytes] = '\0';
	text = xasprintf(
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":\"%s\","
	    "\"manifests\":[],\"annotations\":{\"i\":\"%u\",\"note\":\"%s\"},"
	    "\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":3}}",
	    MEDIA_OCI_INDEX, type, i, note, MEDIA_OCI_MANIFEST, SUBJECT);
	api_manifest(&api, "team/app", NULL, text, digest);
	free(note);
	free(text);
}

static void
no_referrers_are_an_empty_index(void **state)
{
	struct reply r;

	(void)state;
	get(REFERRERS, NULL, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(reply_header(&r, "Content-Type"), MEDIA_OCI_INDEX);
	assert_true(span_is(r.body, EMPTY_INDEX));
	assert_null(reply_header(&r, "OCI-Filters-Applied"));
	reply_free(&r);
}

static void
a_referrer_is_shown_with_all_that_describes_it(void **state)
{
	struct reply r;
	char *want;

	(void)state;
	referrer_push(7, "application/x.sig", 1);
	get(REFERRERS, NULL, &r);
	want = xasprintf("{\"mediaType\":\"" MEDIA_OCI_INDEX
			 "\",\"digest\":\"%s\",\"size\":",
	    digest);
	assert_true(reply_has(&r, want));
	assert_true(reply_has(&r, "\"artifactType\":\"application/x.sig\""));
	assert_true(reply_has(&r, "\"i\":\"7\""));
	reply_free(&r);
	free(want);
}

static void
the_filter_is_applied_and_said_to_be(void **state)
{
	struct reply r;

	(void)state;
	referrer_push(1, "application/x.sig", 1);
	referrer_push(2, "application/x.sbom", 1);
	get(REFERRERS, "artifactType=application/x.sbom", &r);
	assert_string_equal(
	    reply_header(&r, "OCI-Filters-Applied"), "artifactType");
	assert_true(reply_has(&r, "\"i\":\"2\""));
	assert_false(reply_has(&r, "\"i\":\"1\""));
	reply_free(&r);
	get(REFERRERS, "artifactType=application/x.none", &r);
	assert_true(span_is(r.body, EMPTY_INDEX));
	assert_string_equal(
	    reply_header(&r, "OCI-Filters-Applied"), "artifactType");
	reply_free(&r);
}

/* Follow a Link of ours to the next page's query. */
static char *
link_query(const struct reply *r)
{
	const char *text = reply_header(r, "Link");
	const char *end;

	if (text == NULL)
		return (NULL);
	assert_int_equal(
	    strncmp(text, "<" REFERRERS "?", strlen("<" REFERRERS "?")), 0);
	text += strlen("<" REFERRERS "?");
	end = strchr(text, '>');
	if (end == NULL)
		fail_msg("no end of the link: %s", text);
	return (xstrndup(text, (size_t)(end - text)));
}

static void
many_referrers_come_in_pages_below_4_mib(void **state)
{
	char *query = NULL, *next;
	unsigned i, seen = 0, pages = 0;
	const char *p;
	struct reply r;

	(void)state;
	for (i = 0; i < 30; i++)
		referrer_push(i, "application/x.sig", 300000);
	do {
		get(REFERRERS, query, &r);
		assert_int_equal(r.status, 200);
		assert_true(r.body.n < (size_t)4 << 20);
		pages++;
		for (p = r.body.p; (p = strstr(p, "\"digest\":")) != NULL; p++)
			seen++;
		next = link_query(&r);
		reply_free(&r);
		free(query);
		query = next;
	} while (query != NULL);
	assert_int_equal(seen, 30);
	assert_int_equal(pages, 3);
}

static void
a_few_referrers_need_no_second_page(void **state)
{
	struct reply r;
	unsigned i;

	(void)state;
	for (i = 0; i < 20; i++)
		referrer_push(i, "application/x.sig", 1);
	get(REFERRERS, NULL, &r);
	assert_null(reply_header(&r, "Link"));
	assert_true(reply_has(&r, "\"i\":\"0\""));
	assert_true(reply_has(&r, "\"i\":\"19\""));
	reply_free(&r);
}

static void
referrers_of_what_is_no_digest_are_refused(void **state)
{
	struct reply r;

	(void)state;
	get("/v2/team/app/referrers/sha256:x", NULL, &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.code, "DIGEST_INVALID");
	reply_free(&r);
	get("/v2/team/app/referrers/v1", NULL, &r);
	assert_int_equal(r.status, 400);
	reply_free(&r);
	get(REFERRERS, "last=x", &r);
	assert_int_equal(r.status, 400);
	reply_free(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tags_are_listed_in_byte_order),
		TEST(tags_come_in_pages_that_link_on),
		TEST(last_cuts_without_n),
		TEST(no_tags_asked_for_is_an_empty_list),
		TEST(too_large_an_n_is_as_good_as_the_largest),
		TEST(an_n_that_is_no_number_is_refused),
		TEST(tags_of_no_repository_are_not_found),
		TEST(a_full_page_is_followed_by_the_rest),
		TEST(repositories_come_in_pages_that_link_on),
		TEST(no_referrers_are_an_empty_index),
		TEST(a_referrer_is_shown_with_all_that_describes_it),
		TEST(the_filter_is_applied_and_said_to_be),
		TEST(many_referrers_come_in_pages_below_4_mib),
		TEST(a_few_referrers_need_no_second_page),
		TEST(referrers_of_what_is_no_digest_are_refused),
	};

	return (cmocka_run_group_tests_name("lists", tests, NULL, NULL));
}
