#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_tools.h"
#include "auth/principal.h"
#include "registryd/pulls.h"
#include "registryd/registry_config.h"

/* Whose pulls count as the last one of an image. */
#define ARN "arn:aws:iam::000000000000:user/scanner"

static struct api api;
static struct arena arena;
static struct reference image;

static int
setup(void **state)
{
	char digest[DIGEST_STR_BYTES];

	(void)state;
	api_open(&api);
	arena_init(&arena, 1 << 20);
	api_image(&api, "team/app", "v1", "one", digest);
	assert_int_equal(reference_parse(span_of(digest), &image), RC_OK);
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

static struct meta *
meta(void)
{
	return (store_meta(api.store));
}

/* Notes are written some time later, at the end at the latest. */
static bool
was_pulled(void)
{
	struct manifest_row row;

	api_reopen(&api);
	assert_int_equal(meta_manifest_get(meta(), SPAN("team/app"), &image,
			     MANIFEST_ROW, READ_BLOCKING, &arena, &row),
	    RC_OK);
	return (row.pulled_ms != 0);
}

static void
exclude(const char *arn)
{
	json_t *o = json_pack("{s:I}", "createdAt", (json_int_t)1);

	assert_int_equal(registry_config_put(meta(), ENTITY_PULL_EXCLUSION,
			     span_of(arn), o, CONFIG_ADD, 0),
	    RC_OK);
	json_decref(o);
}

static void
pull_as(enum principal_kind kind, const char *arn)
{
	struct principal who = { .kind = kind, .arn = span_of(arn) };
	struct call c = {
		.meta = meta(),
		.arena = &arena,
		.repository = SPAN("team/app"),
		.who = &who,
	};

	pull_note(&c, &image.digest);
}

static void
a_pull_is_noted(void **state)
{
	(void)state;
	assert_false(was_pulled());
	exclude(ARN "2");
	pull_as(PRINCIPAL_USER, ARN);
	assert_true(was_pulled());
}

static void
that_of_an_excluded_principal_is_not(void **state)
{
	(void)state;
	exclude(ARN);
	pull_as(PRINCIPAL_USER, ARN);
	assert_false(was_pulled());
	pull_as(PRINCIPAL_USER, ARN "2");
	assert_true(was_pulled());
}

static void
who_has_no_name_of_their_own_is_not_excluded(void **state)
{
	(void)state;
	exclude("anonymous");
	pull_as(PRINCIPAL_ANONYMOUS, "anonymous");
	assert_true(was_pulled());
}

static void
head_is_no_pull_and_get_is(void **state)
{
	(void)state;
	assert_int_equal(
	    api_status(&api, HTTP_HEAD, "/v2/team/app/manifests/v1", NULL),
	    200);
	assert_false(was_pulled());
	assert_int_equal(
	    api_status(&api, HTTP_GET, "/v2/team/app/manifests/v1", NULL), 200);
	assert_true(was_pulled());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pull_is_noted),
		TEST(that_of_an_excluded_principal_is_not),
		TEST(who_has_no_name_of_their_own_is_not_excluded),
		TEST(head_is_no_pull_and_get_is),
	};

	return (cmocka_run_group_tests_name("pulls", tests, NULL, NULL));
}
