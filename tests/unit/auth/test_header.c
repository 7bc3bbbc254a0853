#include "auth/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "auth/token.h"
#include "base/hex.h"
#include "base/obj.h"

static struct auth_header_room room;
static struct auth_header h;

static enum rc
parse(const char *value)
{
	memset(&room, 0x55, sizeof(room));
	return (auth_header_parse(span_of(value), &room, &h));
}

/* Basic with these bytes as what is decoded. */
static enum rc
parse_basic(const void *p, size_t n)
{
	static char value[6 + BASE64_LEN(2 * AUTH_HEADER_BASIC_MAX_BYTES) + 1];

	memcpy(value, "Basic ", 6);
	base64_encode(p, n, value + 6);
	return (parse(value));
}

static void
schemes_are_told_apart_in_any_case(void **state)
{
	static const struct {
		const char *value;
		enum auth_scheme scheme;
	} rows[] = {
		{ "", AUTH_SCHEME_NONE },
		{ " \t ", AUTH_SCHEME_NONE },
		{ "Basic YTpi", AUTH_SCHEME_BASIC },
		{ "bAsIC   YTpi \t", AUTH_SCHEME_BASIC },
		{ "Bearer x", AUTH_SCHEME_BEARER },
		{ " BEARER x", AUTH_SCHEME_BEARER },
		{ "AWS4-HMAC-SHA256 x", AUTH_SCHEME_AWS4 },
		{ "aws4-ecdsa-p256-sha256", AUTH_SCHEME_AWS4 },
		{ "AWS4-", AUTH_SCHEME_OTHER },
		{ "AWS AKID:x", AUTH_SCHEME_OTHER },
		{ "Digest x", AUTH_SCHEME_OTHER },
		{ "Basics YTpi", AUTH_SCHEME_OTHER },
		{ "Basic\tYTpi", AUTH_SCHEME_OTHER },
		{ "YTpi", AUTH_SCHEME_OTHER },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse(rows[i].value), RC_OK);
		if (h.scheme != rows[i].scheme)
			fail_msg("\"%s\" is %d", rows[i].value, (int)h.scheme);
	}
	assert_int_equal(auth_header_parse(SPAN_NONE, &room, &h), RC_OK);
	assert_int_equal(h.scheme, AUTH_SCHEME_NONE);
}

static void
basic_is_split_at_the_first_colon(void **state)
{
	static const char *const rows[][3] = {
		{ "a:b", "a", "b" },
		{ "AWS:to_ken-", "AWS", "to_ken-" },
		{ "a:b:c:", "a", "b:c:" },
		{ ":", "", "" },
		{ ":b", "", "b" },
		{ "a:", "a", "" },
		{ "a b:\t\001\177 c", "a b", "\t\001\177 c" },
		{ "\303\244:\303\266\377", "\303\244", "\303\266\377" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		    parse_basic(rows[i][0], strlen(rows[i][0])), RC_OK);
		assert_true(span_is(h.user, rows[i][1]));
		assert_true(span_is(h.password, rows[i][2]));
		assert_int_equal(h.token.n, 0);
	}
}

static void
assert_wiped(enum rc rc)
{
	static const struct auth_header_room zeros;

	assert_int_equal(rc, RC_INVALID);
	assert_int_equal(h.scheme, AUTH_SCHEME_BASIC);
	assert_null(h.user.p);
	assert_null(h.password.p);
	assert_memory_equal(&room, &zeros, sizeof(room));
}

static void
basic_that_is_not_strict_base64_is_refused(void **state)
{
	static const char *const rows[] = { "Basic", "Basic ", "Basic YTpiYw",
		"Basic YTpiYw=", "Basic YTpi YTpi",
		"Basic YTpi=", "Basic YTpiYx==", "Basic YTp_", "Basic \"YTpi\"",
		"Basic a:b", "Basic ====", "Basic YTpi,YTpi" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_wiped(parse(rows[i]));
}

static void
basic_without_a_colon_or_with_controls_is_refused(void **state)
{
	char user[] = "x:b";
	int c;

	(void)state;
	assert_wiped(parse_basic("nocolon", 7));
	assert_wiped(parse_basic("a:b\0c", 5));
	assert_wiped(parse_basic("a:\0", 3));
	for (c = 0; c < 256; c++) {
		user[0] = (char)c;
		if (c < 0x20 || c == 0x7f)
			assert_wiped(parse_basic(user, 3));
		else
			assert_int_equal(parse_basic(user, 3), RC_OK);
	}
}

static void
basic_has_a_longest(void **state)
{
	static char all[AUTH_HEADER_BASIC_MAX_BYTES + 1];

	(void)state;
	memset(all, 'x', sizeof(all));
	all[1] = ':';
	assert_int_equal(parse_basic(all, sizeof(all) - 1), RC_OK);
	assert_int_equal(h.password.n, sizeof(all) - 3);
	assert_int_equal(parse_basic(all, sizeof(all)), RC_TOOBIG);
	assert_int_equal(h.scheme, AUTH_SCHEME_BASIC);
	assert_int_equal(h.password.n, 0);
	/* The longest token and its user are well within. */
	assert_int_equal(
	    parse_basic(all, strlen("AWS:") + TOKEN_MAX_BYTES), RC_OK);
}

static void
bearer_holds_a_token(void **state)
{
	static const char *const bad[] = { "Bearer", "Bearer ", "Bearer a b",
		"Bearer =", "Bearer a=b", "Bearer a,b", "Bearer \"a\"",
		"Bearer a:b", "Bearer \303\244", "Bearer a\tb" };
	size_t i;

	(void)state;
	assert_int_equal(parse("Bearer  aZ09-._~+/== "), RC_OK);
	assert_true(span_is(h.token, "aZ09-._~+/=="));
	assert_int_equal(h.user.n + h.password.n, 0);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i]), RC_INVALID);
		assert_int_equal(h.scheme, AUTH_SCHEME_BEARER);
		assert_null(h.token.p);
	}
	assert_int_equal(
	    auth_header_parse(SPAN("Bearer a\0b"), &room, &h), RC_INVALID);
}

static void
bearer_has_a_longest(void **state)
{
	static char all[7 + AUTH_HEADER_BEARER_MAX_BYTES + 2] = "Bearer ";

	(void)state;
	memset(all + 7, 'x', AUTH_HEADER_BEARER_MAX_BYTES);
	assert_int_equal(parse(all), RC_OK);
	assert_int_equal(h.token.n, AUTH_HEADER_BEARER_MAX_BYTES);
	all[7 + AUTH_HEADER_BEARER_MAX_BYTES] = 'x';
	assert_int_equal(parse(all), RC_TOOBIG);
	assert_null(h.token.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schemes_are_told_apart_in_any_case),
		cmocka_unit_test(basic_is_split_at_the_first_colon),
		cmocka_unit_test(basic_that_is_not_strict_base64_is_refused),
		cmocka_unit_test(
		    basic_without_a_colon_or_with_controls_is_refused),
		cmocka_unit_test(basic_has_a_longest),
		cmocka_unit_test(bearer_holds_a_token),
		cmocka_unit_test(bearer_has_a_longest),
	};

	return (cmocka_run_group_tests_name("auth/header", tests, NULL, NULL));
}
