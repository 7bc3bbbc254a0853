#include "base/name.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"

/* The expressions of the distribution-spec, as the judge. */
#define COMPONENT "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#define NAME_RE "^" COMPONENT "(/" COMPONENT ")*$"
#define TAG_RE "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$"

/* All texts of ${letters} up to ${n_most} letters. */
static void
compare(const char *re_text, const char *letters, size_t n_most,
    bool (*ok)(struct span))
{
	size_t n, i, digit, base = strlen(letters), total = 1;
	char text[16];
	regex_t re;
	bool want;

	assert_int_equal(regcomp(&re, re_text, REG_EXTENDED | REG_NOSUB), 0);
	for (n = 0; n <= n_most; n++, total *= base) {
		for (i = 0; i < total; i++) {
			for (digit = 0; digit < n; digit++)
				text[digit] =
				    letters[i / (size_t)(1u << (3 * digit)) %
					    base];
			text[n] = '\0';
			want = regexec(&re, text, 0, NULL, 0) == 0;
			if (ok((struct span){ text, n }) != want)
				fail_msg("\"%s\" must be %d", text, want);
		}
	}
	regfree(&re);
}

static void
short_names_are_what_the_expression_says(void **state)
{
	(void)state;
	/* Eight letters, so that a digit is three bits. */
	compare(NAME_RE, "a0._-/A:", 6, name_repository_ok);
}

static void
short_tags_are_what_the_expression_says(void **state)
{
	(void)state;
	compare(TAG_RE, "aZ9._-/:", 4, name_tag_ok);
}

static void
names_of_users_are_judged_right(void **state)
{
	static const struct {
		struct span s;
		bool ok;
	} rows[] = {
		{ SPAN_INIT("library/busybox"), true },
		{ SPAN_INIT("a"), true },
		{ SPAN_INIT("0/1/2/3"), true },
		{ SPAN_INIT("my-org/my.app_x__y---z/9"), true },
		{ SPAN_INIT("conformance-7e1c/crossmount"), true },
		{ { NULL, 0 }, false },
		{ SPAN_INIT(""), false },
		{ SPAN_INIT("Library/busybox"), false },
		{ SPAN_INIT("a//b"), false },
		{ SPAN_INIT("/a"), false },
		{ SPAN_INIT("a/"), false },
		{ SPAN_INIT("a___b"), false },
		{ SPAN_INIT("a..b"), false },
		{ SPAN_INIT("a/../b"), false },
		{ SPAN_INIT(".a"), false },
		{ SPAN_INIT("a-"), false },
		{ SPAN_INIT("a._b"), false },
		{ SPAN_INIT("a b"), false },
		{ SPAN_INIT("a%2fb"), false },
		{ SPAN_INIT("a\0b"), false },
		{ SPAN_INIT("a\n"), false },
		{ SPAN_INIT("\xc3\xa4"), false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (name_repository_ok(rows[i].s) != rows[i].ok)
			fail_msg("row %zu", i);
}

static void
length_ends_names_and_tags(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(name_repository_ok((struct span){ text, 256 }));
	assert_false(name_repository_ok((struct span){ text, 257 }));
	assert_true(name_tag_ok((struct span){ text, 128 }));
	assert_false(name_tag_ok((struct span){ text, 129 }));
	assert_false(name_tag_ok(SPAN("a\0")));
	assert_false(name_tag_ok(SPAN("a\n")));
	assert_false(name_tag_ok(SPAN("\xc3\xa4")));
	assert_false(name_tag_ok(SPAN_NONE));
}

static void
a_colon_makes_a_reference_a_digest(void **state)
{
	static const char digest[] =
	    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b"
	    "934ca495991b7852b855";
	static const struct {
		struct span s;
		enum rc rc;
	} wrong_ones[] = {
		{ SPAN_INIT(""), RC_INVALID },
		{ { NULL, 0 }, RC_INVALID },
		{ SPAN_INIT(":"), RC_INVALID },
		{ SPAN_INIT("la:test"), RC_UNSUPPORTED },
		{ SPAN_INIT("sha256:short"), RC_INVALID },
		{ SPAN_INIT("sha3:abc"), RC_UNSUPPORTED },
		{ SPAN_INIT(".latest"), RC_INVALID },
		{ SPAN_INIT("a/b"), RC_INVALID },
		{ SPAN_INIT("a@b"), RC_INVALID },
	};
	char text[DIGEST_STR_BYTES];
	struct reference ref;
	struct span tag = SPAN("v1.2");
	size_t i;

	(void)state;
	assert_int_equal(reference_parse(span_of(digest), &ref), RC_OK);
	assert_true(ref.is_digest);
	assert_string_equal(digest_str(&ref.digest, text), digest);
	assert_int_equal(reference_parse(tag, &ref), RC_OK);
	assert_false(ref.is_digest);
	assert_ptr_equal(ref.tag.p, tag.p);
	assert_int_equal(ref.tag.n, tag.n);
	for (i = 0; i < ARRAY_LEN(wrong_ones); i++)
		assert_int_equal(
		    reference_parse(wrong_ones[i].s, &ref), wrong_ones[i].rc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_names_are_what_the_expression_says),
		cmocka_unit_test(short_tags_are_what_the_expression_says),
		cmocka_unit_test(names_of_users_are_judged_right),
		cmocka_unit_test(length_ends_names_and_tags),
		cmocka_unit_test(a_colon_makes_a_reference_a_digest),
	};

	return (cmocka_run_group_tests_name("base/name", tests, NULL, NULL));
}
