#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

static void
hex_goes_both_ways(void **state)
{
	uint8_t bytes[256], back[256];
	char text[513];
	int i;

	(void)state;
	for (i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	hex_encode(bytes, sizeof(bytes), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102", 6);
	assert_string_equal(text + 506, "fdfeff");
	assert_int_equal(hex_decode(span_of(text), back, 256), RC_OK);
	assert_memory_equal(back, bytes, 256);
	hex_encode(NULL, 0, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode(SPAN_NONE, back, 0), RC_OK);
}

static void
hex_of_another_length_or_case_is_refused(void **state)
{
	static const char *const rows[] = { "", "0", "000", "00000", "000000",
		"AA00", "00gg", "0x00", "00 0", "-100", "00:0", "0`@0" };
	uint8_t out[2];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
		    hex_decode(span_of(rows[i]), out, 2), RC_INVALID);
}

/* RFC 4648 section 10. */
static void
base64_gives_the_vectors_of_the_rfc(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfb", "//77" },
		{ "\xfb\xef\xbe", "++++" },
	};
	uint8_t back[16];
	char text[16];
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		n = strlen(rows[i][0]);
		base64_encode((const uint8_t *)rows[i][0], n, text);
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(strlen(text), BASE64_LEN(n));
		assert_int_equal(base64_decode(span_of(text), back, &n), RC_OK);
		assert_int_equal(n, strlen(rows[i][0]));
		assert_memory_equal(back, rows[i][0], n);
	}
}

static void
base64_goes_both_ways_for_each_length(void **state)
{
	uint8_t bytes[200], back[200];
	char text[BASE64_LEN(200) + 1];
	size_t i, n, n_back;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 77);
	for (n = 0; n <= sizeof(bytes); n++) {
		base64_encode(bytes, n, text);
		assert_int_equal(
		    base64_decode(span_of(text), back, &n_back), RC_OK);
		assert_int_equal(n_back, n);
		assert_memory_equal(back, bytes, n);
	}
}

static void
base64_that_is_not_strict_is_refused(void **state)
{
	static const char *const rows[] = {
		"Z", "Zg", "Zg=", "Zm9", "Zm9vY",	    /* not in fours */
		"====", "Z===", "=g==", "Zg==Zg==", "Zg=v", /* padding */
		"Zh==", "Zm9=", "Zn/=",			    /* bits left over */
		"Zm-v", "Zm_v", "Zm9\n", " Zm9", "Zm\xc3\xa4", /* alphabet */
	};
	uint8_t out[16];
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (base64_decode(span_of(rows[i]), out, &n) != RC_INVALID)
			fail_msg("\"%s\" was read", rows[i]);
	}
	assert_int_equal(base64_decode(SPAN("Zm\0v"), out, &n), RC_INVALID);
}

/* The alphabet of RFC 4648 section 5, without padding. */
static void
base64url_goes_both_ways_for_each_length(void **state)
{
	uint8_t bytes[200], back[200];
	char text[BASE64URL_LEN(200) + 1];
	size_t i, n, n_back;

	(void)state;
	base64url_encode((const uint8_t *)"\xfb\xef\xff\xff", 4, text);
	assert_string_equal(text, "--___w");
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 77);
	for (n = 0; n <= sizeof(bytes); n++) {
		base64url_encode(bytes, n, text);
		assert_int_equal(strlen(text), BASE64URL_LEN(n));
		assert_int_equal(
		    base64url_decode(span_of(text), back, &n_back), RC_OK);
		assert_int_equal(n_back, n);
		assert_memory_equal(back, bytes, n);
	}
}

static void
base64url_that_is_not_strict_is_refused(void **state)
{
	static const char *const rows[] = {
		"Z", "Zm9vY",			 /* a length of none */
		"Zg==", "Zm8=", "=", "Zg=",	 /* padding */
		"Zh", "Zm9", "Zn_", "Zm9vZh",	 /* bits left over */
		"Zm+v", "Zm/v", "Zm8\n", " Zm8", /* alphabet */
	};
	uint8_t out[16];
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (base64url_decode(span_of(rows[i]), out, &n) != RC_INVALID)
			fail_msg("\"%s\" was read", rows[i]);
	}
	assert_int_equal(base64url_decode(SPAN("Zm\0v"), out, &n), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_goes_both_ways),
		cmocka_unit_test(hex_of_another_length_or_case_is_refused),
		cmocka_unit_test(base64_gives_the_vectors_of_the_rfc),
		cmocka_unit_test(base64_goes_both_ways_for_each_length),
		cmocka_unit_test(base64_that_is_not_strict_is_refused),
		cmocka_unit_test(base64url_goes_both_ways_for_each_length),
		cmocka_unit_test(base64url_that_is_not_strict_is_refused),
	};

	return (cmocka_run_group_tests_name("base/hex", tests, NULL, NULL));
}
