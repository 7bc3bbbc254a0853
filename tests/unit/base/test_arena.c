#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <malloc.h>
#include <cmocka.h>

#include "base/obj.h"

static void
pieces_are_aligned_and_apart(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 100, 2048, 2049,
		40000, 3, 65536, 65537, 1000000, 5, 16384, 16385 };
	unsigned char *p[ARRAY_LEN(sizes)];
	struct arena a;
	size_t i, k;

	(void)state;
	arena_init(&a, SIZE_MAX);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		p[i] = arena_alloc(&a, sizes[i]);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
		memset(p[i], (int)i, sizes[i]);
	}
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		for (k = 0; k < sizes[i]; k++)
			assert_int_equal(p[i][k], i);
	arena_reset(&a);
}

static void
many_small_pieces_keep_their_bytes(void **state)
{
	static uint32_t *p[20000];
	struct arena a;
	uint32_t i;

	(void)state;
	arena_init(&a, SIZE_MAX);
	for (i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = arena_alloc(&a, sizeof(uint32_t));
		*p[i] = i;
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		assert_int_equal(*p[i], i);
	arena_reset(&a);
}

static void
the_cap_is_exact_and_comes_back_with_a_reset(void **state)
{
	struct arena a;
	int round;

	(void)state;
	arena_init(&a, 100);
	for (round = 0; round < 3; round++) {
		assert_non_null(arena_alloc(&a, 60));
		assert_null(arena_alloc(&a, 41));
		assert_non_null(arena_alloc(&a, 40));
		assert_null(arena_alloc(&a, 1));
		assert_non_null(arena_alloc(&a, 0));
		assert_int_equal(a.used_bytes, 100);
		arena_reset(&a);
		assert_int_equal(a.used_bytes, 0);
	}
}

static void
sizes_out_of_this_world_are_refused(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 40));
	assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
	assert_null(arena_dup(&a, "x", SIZE_MAX));
	assert_non_null(arena_alloc(&a, 10));
	arena_reset(&a);
}

static void
an_arena_not_used_costs_nothing(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1000);
	assert_null(a.blocks);
	arena_reset(&a);
	arena_reset(&a);
}

/* How far apart memory in use is before and after one small request. */
static void
two_kibibytes_are_one_block(void **state)
{
	struct arena a;
	void *first;
	int i;

	(void)state;
	arena_init(&a, 1 << 20);
	first = arena_alloc(&a, 16);
	(void)first;
	for (i = 0; i < 60; i++)
		(void)arena_alloc(&a, 16);
	assert_non_null(a.blocks);
	assert_null(*(void **)(void *)a.blocks); /* its next */
	arena_reset(&a);
}

static void
copies_end_with_a_nul(void **state)
{
	struct arena a;
	struct span s;
	char *p;

	(void)state;
	arena_init(&a, 1000);
	p = arena_dup(&a, "abcdef", 3);
	assert_string_equal(p, "abc");
	p = arena_dup(&a, NULL, 0);
	assert_string_equal(p, "");
	s = arena_span(&a, SPAN("with\0nul"));
	assert_int_equal(s.n, 8);
	assert_memory_equal(s.p, "with\0nul", 9);
	s = arena_span(&a, SPAN_NONE);
	assert_non_null(s.p);
	assert_int_equal(s.n, 0);
	p = arena_calloc(&a, 10, 5);
	assert_memory_equal(p, (char[50]){ 0 }, 50);
	arena_reset(&a);

	arena_init(&a, 3);
	assert_null(arena_dup(&a, "abc", 3));
	s = arena_span(&a, SPAN("abc"));
	assert_null(s.p);
	assert_int_equal(s.n, 0);
	assert_null(arena_calloc(&a, 2, 2));
	assert_non_null(arena_dup(&a, "ab", 2));
	arena_reset(&a);
}

static void
formatted_text_of_any_length_is_whole(void **state)
{
	char wide[1000];
	struct arena a;
	size_t n;
	char *p;

	(void)state;
	arena_init(&a, 1 << 20);
	memset(wide, 'w', sizeof(wide));
	for (n = 0; n < sizeof(wide); n += 85) {
		p = arena_printf(&a, "<%.*s>", (int)n, wide);
		assert_int_equal(strlen(p), n + 2);
		assert_int_equal(p[0], '<');
		assert_int_equal(p[n + 1], '>');
	}
	arena_reset(&a);
	arena_init(&a, 300);
	assert_null(arena_printf(&a, "%300d", 1));
	assert_non_null(arena_printf(&a, "%299d", 1));
	arena_reset(&a);
}

static char trail[16];
static size_t n_trail;
static struct arena nested;

static void
leave_trail(void *arg)
{
	trail[n_trail++] = *(const char *)arg;
}

static void
defer_more(void *arg)
{
	leave_trail(arg);
	assert_non_null(arena_alloc(&nested, 5000));
	arena_defer(&nested, leave_trail, "z");
}

static void
cleanups_run_in_reverse_even_past_the_cap(void **state)
{
	struct arena a;

	(void)state;
	n_trail = 0;
	memset(trail, 0, sizeof(trail));
	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 1));
	arena_defer(&a, leave_trail, "1");
	arena_defer(&a, leave_trail, "2");
	arena_defer(&a, leave_trail, "3");
	arena_reset(&a);
	assert_string_equal(trail, "321");
	arena_reset(&a);
	assert_string_equal(trail, "321");
}

static void
a_cleanup_may_use_the_arena(void **state)
{
	(void)state;
	n_trail = 0;
	memset(trail, 0, sizeof(trail));
	arena_init(&nested, 10000);
	arena_defer(&nested, leave_trail, "a");
	arena_defer(&nested, defer_more, "b");
	arena_reset(&nested);
	assert_string_equal(trail, "bza");
	assert_null(nested.blocks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_and_apart),
		cmocka_unit_test(many_small_pieces_keep_their_bytes),
		cmocka_unit_test(the_cap_is_exact_and_comes_back_with_a_reset),
		cmocka_unit_test(sizes_out_of_this_world_are_refused),
		cmocka_unit_test(an_arena_not_used_costs_nothing),
		cmocka_unit_test(two_kibibytes_are_one_block),
		cmocka_unit_test(copies_end_with_a_nul),
		cmocka_unit_test(formatted_text_of_any_length_is_whole),
		cmocka_unit_test(cleanups_run_in_reverse_even_past_the_cap),
		cmocka_unit_test(a_cleanup_may_use_the_arena),
	};

	return (cmocka_run_group_tests_name("base/arena", tests, NULL, NULL));
}
