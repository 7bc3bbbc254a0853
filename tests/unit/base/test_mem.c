#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"
#include "tests/unit/base/dies.h"

static void
nothing_is_something(void **state)
{
	void *p, *q;

	(void)state;
	p = xmalloc(0);
	q = xcalloc(0, 0);
	assert_non_null(p);
	assert_non_null(q);
	p = xrealloc(p, 0);
	assert_non_null(p);
	free(p);
	free(q);
}

static void
calloc_gives_zeros_and_realloc_keeps(void **state)
{
	char *p;
	int i;

	(void)state;
	p = xcalloc(10, 3);
	for (i = 0; i < 30; i++)
		assert_int_equal(p[i], 0);
	memcpy(p, "keep", 5);
	p = xrealloc(p, 5000);
	assert_string_equal(p, "keep");
	free(p);
}

static void
strings_are_copied_and_formatted(void **state)
{
	static const char open_ended[3] = { 'a', 'b', 'c' };
	char *s;

	(void)state;
	s = xstrdup("tag");
	assert_string_equal(s, "tag");
	free(s);
	s = xstrdup("");
	assert_string_equal(s, "");
	free(s);
	s = xstrndup("manifest", 3);
	assert_string_equal(s, "man");
	free(s);
	s = xstrndup("man", 100);
	assert_string_equal(s, "man");
	free(s);
	s = xstrndup(open_ended, sizeof(open_ended));
	assert_string_equal(s, "abc");
	free(s);
	s = xasprintf("%s:%d", "a", 7);
	assert_string_equal(s, "a:7");
	free(s);
}

/* The sanitizers would end the process in their own way. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return ("allocator_may_return_null=1");
}

const char *
__tsan_default_options(void)
{
	return ("allocator_may_return_null=1");
}

static volatile size_t huge = SIZE_MAX / 2;

static void
malloc_huge(void)
{
	free(xmalloc(huge));
}

static void
calloc_huge(void)
{
	free(xcalloc(huge, 4));
}

static void
realloc_huge(void)
{
	free(xrealloc(NULL, huge));
}

static void
no_memory_aborts(void **state)
{
	(void)state;
	assert_true(dies(malloc_huge));
	assert_true(dies(calloc_huge));
	assert_true(dies(realloc_huge));
}

static void
a_wiped_secret_is_gone(void **state)
{
	char secret[] = "hunter2";
	size_t i;

	(void)state;
	mem_wipe(secret, sizeof(secret));
	for (i = 0; i < sizeof(secret); i++)
		assert_int_equal(secret[i], 0);
	mem_wipe(NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_something),
		cmocka_unit_test(calloc_gives_zeros_and_realloc_keeps),
		cmocka_unit_test(strings_are_copied_and_formatted),
		cmocka_unit_test(no_memory_aborts),
		cmocka_unit_test(a_wiped_secret_is_gone),
	};

	return (cmocka_run_group_tests_name("base/mem", tests, NULL, NULL));
}
