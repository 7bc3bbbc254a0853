#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "mirror/reference.h"
#include "mirror/url.h"

#define HUB "https://registry-1.docker.io"
#define DIGEST \
	"sha256:" \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static bool
text_is(const char *have, const char *want)
{
	if (have == NULL || want == NULL)
		return (have == want);
	return (strcmp(have, want) == 0);
}

static void
test_names_of_images(void **state)
{
	static const struct {
		const char *text, *url, *registry, *name, *tag, *digest;
	} all[] = {
		{ "alpine", NULL, NULL, "alpine", "", "" },
		{ "alpine:3", NULL, NULL, "alpine", "3", "" },
		{ "team/app@" DIGEST, NULL, NULL, "team/app", "", DIGEST },
		{ "team/app:v1@" DIGEST, NULL, NULL, "team/app", "v1", DIGEST },
		{ "docker.io/alpine:3", HUB, "docker.io", "library/alpine", "3",
		    "" },
		{ "index.docker.io/a/b", HUB, "index.docker.io", "a/b", "",
		    "" },
		{ "registry-1.docker.io/library/alpine", HUB,
		    "registry-1.docker.io", "library/alpine", "", "" },
		{ "docker://alpine", HUB, "docker.io", "library/alpine", "",
		    "" },
		{ "docker://team/app:v1", HUB, "docker.io", "team/app", "v1",
		    "" },
		{ "docker://Ghcr.IO/a/b", "https://ghcr.io", "Ghcr.IO", "a/b",
		    "", "" },
		{ "https://h:443/a", "https://h", "h:443", "a", "", "" },
		{ "http://h:80/a:b", "http://h", "h:80", "a", "b", "" },
		{ "h.x:5000/a/b:c", "https://h.x:5000", "h.x:5000", "a/b", "c",
		    "" },
		{ "localhost/a", "http://localhost", "localhost", "a", "", "" },
		{ "localhost:5000/a", "http://localhost:5000", "localhost:5000",
		    "a", "", "" },
		{ "127.0.0.1:5000/a", "http://127.0.0.1:5000", "127.0.0.1:5000",
		    "a", "", "" },
		{ "127.x/a", "https://127.x", "127.x", "a", "", "" },
		{ "r.localhost/a", "http://r.localhost", "r.localhost", "a", "",
		    "" },
		{ "https://localhost/a", "https://localhost", "localhost", "a",
		    "", "" },
		{ "[::1]:5000/a", "http://[::1]:5000", "[::1]:5000", "a", "",
		    "" },
		{ "https://[fe80::1]/a", "https://[fe80::1]", "[fe80::1]", "a",
		    "", "" },
	};
	char why[REFERENCE_WHY_BYTES];
	struct image_reference r;
	struct arena arena;
	size_t i;

	(void)state;
	arena_init(&arena, 65536);
	for (i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(image_reference_parse(
				     span_of(all[i].text), &arena, &r, why),
		    RC_OK);
		assert_true(text_is(r.url, all[i].url));
		assert_true(text_is(r.registry, all[i].registry));
		assert_true(span_is(r.name, all[i].name));
		assert_true(span_is(r.tag, all[i].tag));
		assert_true(span_is(r.digest, all[i].digest));
	}
	arena_reset(&arena);
}

static void
test_what_names_no_image(void **state)
{
	static const char *const bad[] = { "", "/", "a/", "/a", "A/b",
		"a:", "a:b:c", "a@", "a@sha256:12", "a@sha9:12", "a:b@x",
		"h.x/", "h.x:0/a", "h.x:70000/a", "h.x:/a", "h..x/a", "-h.x/a",
		"https://a", "https://u:p@h.x/a", "http:///a", "h.x/a b",
		"ftp://h.x/a", "a/b?c", "[::1/a", "[x]/a", "h.x/a\n" };
	char why[REFERENCE_WHY_BYTES];
	struct image_reference r;
	struct arena arena;
	size_t i;

	(void)state;
	arena_init(&arena, 65536);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		why[0] = '\0';
		assert_int_equal(
		    image_reference_parse(span_of(bad[i]), &arena, &r, why),
		    RC_INVALID);
		assert_true(why[0] != '\0');
	}
	arena_reset(&arena);
}

static void
test_addresses_of_registries(void **state)
{
	static const char *const good[][2] = {
		{ "docker.io", HUB },
		{ "https://index.docker.io/", HUB },
		{ "GHCR.io", "https://ghcr.io" },
		{ "http://Registry:80/", "http://registry" },
		{ "https://registry:80", "https://registry:80" },
		{ "registry:5000", "https://registry:5000" },
		{ "localhost", "http://localhost" },
	};
	static const char *const bad[] = { "", "https://", "https://h/v2", "h/",
		"docker://h.x", "u@h.x", "https://h?x", "h:port", "h x" };
	char why[REFERENCE_WHY_BYTES];
	struct arena arena;
	const char *url;
	size_t i;

	(void)state;
	arena_init(&arena, 65536);
	for (i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(
		    registry_url_parse(span_of(good[i][0]), &arena, &url, why),
		    RC_OK);
		assert_string_equal(url, good[i][1]);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
		    registry_url_parse(span_of(bad[i]), &arena, &url, why),
		    RC_INVALID);
	arena_reset(&arena);
}

static void
test_library_is_of_docker_hub_only(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536);
	assert_true(registry_url_is_hub(HUB));
	assert_false(registry_url_is_hub("https://ghcr.io"));
	assert_true(span_is(
	    registry_name(HUB, SPAN("alpine"), &arena), "library/alpine"));
	assert_true(
	    span_is(registry_name("https://ghcr.io", SPAN("alpine"), &arena),
		"alpine"));
	assert_true(span_is(registry_name(HUB, SPAN("a/b"), &arena), "a/b"));
	arena_reset(&arena);
}

/* --- where requests go --------------------------------------------------- */

static void
resolves(const char *base, const char *location, const char *text,
    const char *origin)
{
	char why[FETCH_WHY_BYTES];
	struct url b, u;

	assert_int_equal(url_parse(base, &b, why), RC_OK);
	assert_int_equal(url_resolve(&b, span_of(location), &u, why), RC_OK);
	assert_string_equal(u.text, text);
	assert_string_equal(u.origin, origin);
	url_free(&b);
	url_free(&u);
	assert_null(u.text);
}

static void
test_locations_are_resolved(void **state)
{
	(void)state;
	resolves(
	    "http://H/v2/a?b=c", "/x?y=%2F", "http://H/x?y=%2F", "http://h:80");
	resolves("https://h:443/v2/a/b", "c?d", "https://h:443/v2/a/c?d",
	    "https://h:443");
	resolves("http://h/v2", "https://O.x:8443/y#z", "https://O.x:8443/y",
	    "https://o.x:8443");
	resolves("https://h/v2", "//o/y", "https://o/y", "https://o:443");
}

static void
test_locations_that_are_not_followed(void **state)
{
	static const char *const bad[] = { "http://h/x", "ftp://h/x",
		"file:///etc/passwd", "https://u@h/x", "https://u:p@h/x",
		"https://h:99999/" };
	char why[FETCH_WHY_BYTES];
	struct url b, u;
	size_t i;

	(void)state;
	assert_int_equal(url_parse("https://h/v2", &b, why), RC_OK);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
		    url_resolve(&b, span_of(bad[i]), &u, why), RC_INVALID);
	url_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_images),
		cmocka_unit_test(test_what_names_no_image),
		cmocka_unit_test(test_addresses_of_registries),
		cmocka_unit_test(test_library_is_of_docker_hub_only),
		cmocka_unit_test(test_locations_are_resolved),
		cmocka_unit_test(test_locations_that_are_not_followed),
	};

	return (cmocka_run_group_tests_name("reference", tests, NULL, NULL));
}
