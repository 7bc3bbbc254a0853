#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_tools.h"
#include "storage/repositories.h"

/* What the background thread does, a round at a time. */

#define EMPTY_INDEX \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX \
	"\",\"manifests\":[]}"

/* More rows than one batch removes. */
#define TAGS 700

static void
a_purge_ends_with_its_time_and_goes_on_later(void **state)
{
	struct repository_description d;
	char digest[DIGEST_STR_BYTES], tag[16];
	struct arena arena;
	struct api api;
	size_t i;

	(void)state;
	api_open(&api);
	for (i = 0; i < TAGS; i++) {
		(void)snprintf(tag, sizeof(tag), "t%zu", i);
		api_manifest(&api, "team/app", tag, EMPTY_INDEX, digest);
	}
	arena_init(&arena, SIZE_MAX);
	assert_int_equal(meta_repository_delete(store_meta(api.store),
			     SPAN("team/app"), true, &arena, &d),
	    RC_OK);
	arena_reset(&arena);
	api.service.store = api.store;
	assert_true(service_purge(&api.service, 0));
	for (i = 0; i < TAGS && service_purge(&api.service, 0); i++)
		;
	assert_true(i < TAGS);
	assert_false(service_purge(&api.service, 1000000));
	api_close(&api);
}

static void
a_stopping_server_purges_no_more(void **state)
{
	struct api api;

	(void)state;
	api_open(&api);
	api.service.store = api.store;
	atomic_store(&api.service.stopping, true);
	assert_false(service_purge(&api.service, 1000000));
	api_close(&api);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_purge_ends_with_its_time_and_goes_on_later),
		cmocka_unit_test(a_stopping_server_purges_no_more),
	};

	return (cmocka_run_group_tests_name("service", tests, NULL, NULL));
}
