#include "registryd/http/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

#define TYPE "application/vnd.oci.image.manifest.v1+json"

/* Up to two lines. */
struct vector {
	const char *a, *b;
	bool yes;
};

static struct http_request
request_of(struct http_header h[2], const char *name, const struct vector *v)
{
	struct http_request rq = { .headers = h };

	if (v->a != NULL)
		h[rq.n_headers++] =
		    (struct http_header){ span_of(name), span_of(v->a) };
	if (v->b != NULL)
		h[rq.n_headers++] =
		    (struct http_header){ span_of(name), span_of(v->b) };
	return (rq);
}

static void
accept_lines_are_one_list(void **state)
{
	static const struct vector vectors[] = {
		{ NULL, NULL, true },
		{ "", NULL, true },
		{ " , ,", NULL, true },
		{ "*/*", NULL, true },
		{ "*", NULL, true },
		{ "application/*", NULL, true },
		{ "text/*", NULL, false },
		{ TYPE, NULL, true },
		{ "APPLICATION/vnd.OCI.image.manifest.v1+json", NULL, true },
		{ "text/html", NULL, false },
		{ "text/html", TYPE, true },
		{ "text/html, " TYPE, NULL, true },
		{ TYPE ";q=0", NULL, false },
		{ TYPE "; Q=0.000", NULL, false },
		{ TYPE ";q=0.001", NULL, true },
		{ TYPE ";charset=\"a,b;q=0\"", NULL, true },
		{ "*/*", TYPE ";q=0", false },
		{ TYPE ";q=0", "*/*", false },
		{ "*/*;q=0", TYPE, true },
		{ "application/*;q=0, */*", NULL, false },
		{ "*/*;q=0, application/*", NULL, true },
		{ TYPE ";q=0", TYPE, true },
		{ "application/json, */*;q=0.1", NULL, true },
		{ "application", NULL, false },
		{ "application/vnd.oci.image.manifest.v1", NULL, false },
		{ "garbage;;;=,/", "text/html", false },
	};
	struct http_header h[2];
	struct http_request rq;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		rq = request_of(h, "Accept", &vectors[i]);
		if (http_accepts(&rq, SPAN(TYPE)) != vectors[i].yes)
			fail_msg("%zu: %s | %s", i, vectors[i].a, vectors[i].b);
	}
}

static void
if_none_match_is_compared_weakly(void **state)
{
	static const struct vector vectors[] = {
		{ NULL, NULL, false },
		{ "\"e\"", NULL, true },
		{ "W/\"e\"", NULL, true },
		{ "e", NULL, true },
		{ "*", NULL, true },
		{ "\"f\"", NULL, false },
		{ "\"f\", \"e\"", NULL, true },
		{ "\"f\"", "\"e\"", true },
		{ "\"a,\", \"e\"", NULL, true },
		{ "\"ee\"", NULL, false },
		{ "\"", NULL, false },
		{ "\"E\"", NULL, false },
		{ "", NULL, false },
	};
	struct http_header h[2];
	struct http_request rq;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		rq = request_of(h, "if-none-match", &vectors[i]);
		if (http_etag_matches(&rq, SPAN("\"e\"")) != vectors[i].yes)
			fail_msg("%zu: %s | %s", i, vectors[i].a, vectors[i].b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_lines_are_one_list),
		cmocka_unit_test(if_none_match_is_compared_weakly),
	};

	return (cmocka_run_group_tests_name("http/accept", tests, NULL, NULL));
}
