#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/obj.h"
#include "registryd/permissions.h"
#include "registryd/rates.h"
#include "registryd/rates_int.h"
#include "registryd/settings.h"

#define SECOND ((int64_t)1000 * 1000 * 1000)
#define NOW (1000 * SECOND)

/* --- one bucket ---------------------------------------------------------- */

static unsigned
take_all(struct rate_bucket *b, unsigned per_second, int64_t now_ns)
{
	unsigned n = 0;

	while (rate_bucket_take(b, per_second, now_ns))
		n++;
	return (n);
}

static void
a_bucket_holds_a_seconds_worth(void **state)
{
	static const unsigned rates[] = { 1, 2, 3, 7, 10, 500, 3000 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rates); i++) {
		struct rate_bucket b = { 0 };

		assert_int_equal(take_all(&b, rates[i], NOW), rates[i]);
	}
}

static void
it_fills_as_time_goes_by_but_never_over(void **state)
{
	struct rate_bucket b = { 0 };

	(void)state;
	assert_int_equal(take_all(&b, 10, NOW), 10);
	assert_int_equal(take_all(&b, 10, NOW + SECOND / 10 - 1), 0);
	assert_int_equal(take_all(&b, 10, NOW + SECOND / 10), 1);
	assert_int_equal(take_all(&b, 10, NOW + SECOND / 2), 4);
	assert_int_equal(take_all(&b, 10, NOW + 60 * SECOND), 10);
}

static void
a_rate_that_changes_holds_from_then_on(void **state)
{
	struct rate_bucket b = { 0 };

	(void)state;
	assert_int_equal(take_all(&b, 1000, NOW), 1000);
	assert_int_equal(take_all(&b, 2, NOW), 0);
	assert_int_equal(take_all(&b, 2, NOW + SECOND), 2);
	assert_int_equal(take_all(&b, 1000, NOW + SECOND), 0);
	assert_int_equal(take_all(&b, 1000, NOW + 2 * SECOND), 1000);
}

/* --- requests ------------------------------------------------------------ */

static struct settings settings;
static struct http_response answer;
static struct http_request request;
static struct arena arena;
static struct call call;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	settings = (struct settings){ .account_id = "000000000000" };
	request = (struct http_request){ .method = HTTP_GET };
	http_response_init(&answer);
	call = (struct call){
		.request = &request,
		.answer = &answer,
		.arena = &arena,
		.settings = &settings,
	};
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	return (0);
}

static enum rc
take(const char *name, enum api_shape shape)
{
	call.permission = permission_find(name);
	assert_non_null(call.permission);
	call.shape = shape;
	return (rates_take(&call));
}

/* Until the bucket is empty.  At one a second only who takes seconds for each
 * try never gets there. */
#define TRIES 1000

static bool
is_limited(const char *name)
{
	size_t i;

	for (i = 0; i < TRIES; i++) {
		http_response_init(&answer);
		if (take(name, SHAPE_OCI) != RC_OK)
			return (true);
	}
	return (false);
}

static void
without_a_limit_all_is_taken(void **state)
{
	(void)state;
	assert_false(is_limited("manifest-get"));
	assert_false(is_limited("PutImage"));
}

static void
each_kind_is_limited_by_its_own_setting_whichever_way_it_comes(void **state)
{
	const struct {
		unsigned *limit;
		const char *names[2];
	} rows[] = {
		{ &settings.rates.authorization_token,
		    { "token", "GetAuthorizationToken" } },
		{ &settings.rates.check_layers,
		    { "BatchCheckLayerAvailability" } },
		{ &settings.rates.get_image,
		    { "manifest-get", "BatchGetImage" } },
		{ &settings.rates.download_url,
		    { "blob-get", "GetDownloadUrlForLayer" } },
		{ &settings.rates.initiate_upload,
		    { "upload-post", "InitiateLayerUpload" } },
		{ &settings.rates.upload_part,
		    { "upload-patch", "UploadLayerPart" } },
		{ &settings.rates.complete_upload,
		    { "upload-put", "CompleteLayerUpload" } },
		{ &settings.rates.put_image, { "manifest-put", "PutImage" } },
	};
	const struct rate_limits none = { 0 }, all = { 1, 1, 1, 1, 1, 1, 1, 1 };
	size_t i, k, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (k = 0; k < 2 && rows[i].names[k] != NULL; k++) {
			*rows[i].limit = 1;
			if (!is_limited(rows[i].names[k]))
				fail_msg("%s is not limited", rows[i].names[k]);
			settings.rates = all;
			*rows[i].limit = 0;
			if (is_limited(rows[i].names[k]))
				fail_msg("%s is limited by another setting",
				    rows[i].names[k]);
			settings.rates = none;
		}
	settings.rates = all;
	for (i = 0, n = 0; i < n_permissions; i++)
		n += is_limited(permissions[i].name);
	assert_int_equal(n, 15);
}

static void
head_of_a_blob_only_asks_whether_it_is_there(void **state)
{
	(void)state;
	settings.rates.check_layers = 1;
	assert_false(is_limited("blob-get"));
	request.method = HTTP_HEAD;
	assert_true(is_limited("blob-get"));
	settings.rates = (struct rate_limits){ .download_url = 1 };
	assert_false(is_limited("blob-get"));
}

static void
a_refusal_is_in_the_words_of_either_api(void **state)
{
	size_t i;

	(void)state;
	settings.rates.put_image = 1;
	assert_true(is_limited("manifest-put"));
	assert_int_equal(call.error, OCI_TOOMANYREQUESTS);
	assert_string_equal(call.message, "Rate exceeded");
	assert_int_equal(answer.n_headers, 1);
	assert_true(span_is(answer.headers[0].name, "Retry-After"));
	for (i = 0; i < TRIES; i++) {
		http_response_init(&answer);
		if (take("PutImage", SHAPE_AWS_JSON) != RC_OK)
			break;
	}
	assert_int_equal(call.error, AWS_THROTTLING);
	assert_string_equal(call.message, "Rate exceeded");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_holds_a_seconds_worth),
		cmocka_unit_test(it_fills_as_time_goes_by_but_never_over),
		cmocka_unit_test(a_rate_that_changes_holds_from_then_on),
		TEST(without_a_limit_all_is_taken),
		TEST(
		    each_kind_is_limited_by_its_own_setting_whichever_way_it_comes),
		TEST(head_of_a_blob_only_asks_whether_it_is_there),
		TEST(a_refusal_is_in_the_words_of_either_api),
	};

	return (cmocka_run_group_tests_name("rates", tests, NULL, NULL));
}
