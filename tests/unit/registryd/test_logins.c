#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "registryd/logins.h"

static const struct principal somebody = { .kind = PRINCIPAL_USER };

#define HEADER SPAN("Basic QVdTOnRva2Vu")

static void
what_was_opened_is_recalled_until_it_expires(void **state)
{
	struct login l = { .who = &somebody, .expires_ms = 1000 };

	(void)state;
	login_remember(1, HEADER, &l);
	memset(&l, 0, sizeof(l));
	assert_true(login_recall(1, HEADER, 999, &l));
	assert_ptr_equal(l.who, &somebody);
	assert_int_equal(l.expires_ms, 1000);
	assert_null(l.scopes.p);
	assert_false(login_recall(1, HEADER, 1000, &l));
}

static void
another_directory_or_another_header_is_a_stranger(void **state)
{
	struct login l = { .who = &somebody, .expires_ms = 1000 };

	(void)state;
	login_remember(1, HEADER, &l);
	assert_false(login_recall(2, HEADER, 1, &l));
	assert_false(login_recall(1, SPAN("Basic QVdTOnRva2Vv"), 1, &l));
	assert_false(login_recall(1, SPAN("Basic QVdTOnRva2V"), 1, &l));
	assert_false(login_recall(1, SPAN("Basic QVdTOnRva2VuX"), 1, &l));
	assert_false(login_recall(1, SPAN(""), 1, &l));
	/* The same end, so the same place. */
	assert_false(login_recall(1, SPAN("basic QVdTOnRva2Vu"), 1, &l));
}

static void
scopes_come_back_and_none_are_not_no_limit(void **state)
{
	struct login l = { .who = &somebody,
		.expires_ms = 1000,
		.scopes = SPAN("repository:a:pull") };

	(void)state;
	login_remember(1, HEADER, &l);
	assert_true(login_recall(1, HEADER, 1, &l));
	assert_true(span_is(l.scopes, "repository:a:pull"));
	l.scopes = SPAN("");
	login_remember(1, HEADER, &l);
	assert_true(login_recall(1, HEADER, 1, &l));
	assert_non_null(l.scopes.p);
	assert_int_equal(l.scopes.n, 0);
}

static void
what_is_too_long_is_not_remembered(void **state)
{
	struct login l = { .who = &somebody, .expires_ms = 1000 };
	char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text));
	login_remember(1, (struct span){ text, sizeof(text) }, &l);
	assert_false(
	    login_recall(1, (struct span){ text, sizeof(text) }, 1, &l));
	l.scopes = (struct span){ text, 300 };
	login_remember(1, SPAN("Bearer abcdefgh"), &l);
	assert_false(login_recall(1, SPAN("Bearer abcdefgh"), 1, &l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_opened_is_recalled_until_it_expires),
		cmocka_unit_test(
		    another_directory_or_another_header_is_a_stranger),
		cmocka_unit_test(scopes_come_back_and_none_are_not_no_limit),
		cmocka_unit_test(what_is_too_long_is_not_remembered),
	};

	return (cmocka_run_group_tests_name("logins", tests, NULL, NULL));
}
