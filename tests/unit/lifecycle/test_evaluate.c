#include "lifecycle/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"
#include "lifecycle_tools.h"

#define MANY 1000

/* --- which images a rule selects ----------------------------------------- */

static void
tag_states_select(void **state)
{
	static const struct image rows[] = {
		{ 'A', "", 3 },
		{ 'B', "x", 2 },
		{ 'C', "x,y", 1.5 },
	};

	(void)state;
	DONE(ONE(ANY PUSHED("1"), EXPIRE), rows, "A1x B1x C1x");
	DONE(ONE(UNTAGGED PUSHED("1"), EXPIRE), rows, "A1x");
	DONE(ONE(PREFIXES("\"x\"") PUSHED("1"), EXPIRE), rows, "B1x C1x");
	DONE(ONE(PATTERNS("\"*\"") PUSHED("1"), EXPIRE), rows, "B1x C1x");
}

static void
every_element_of_a_list_needs_a_tag(void **state)
{
	static const struct image rows[] = {
		{ 'A', "alpha-1", 9 },
		{ 'B', "beta-1", 8 },
		{ 'C', "alpha-2,beta-2", 7 },
		{ 'D', "alphabeta", 6 },
		{ 'E', "gamma,beta-1,alpha", 5 },
	};

	(void)state;
	DONE(ONE(PREFIXES("\"alpha\",\"beta\"") PUSHED("1"), EXPIRE), rows,
	    "C1x E1x");
	/* One tag may do for more than one. */
	DONE(ONE(PATTERNS("\"alpha*\",\"*beta*\"") PUSHED("1"), EXPIRE), rows,
	    "C1x D1x E1x");
	/* Either: two rules. */
	DONE(POLICY(
		 RULE("1", PREFIXES("\"alpha\"") PUSHED("1"), EXPIRE) "," RULE(
		     "2", PREFIXES("\"beta\"") PUSHED("1"), EXPIRE)),
	    rows, "A1x B2x C1x D1x E1x");
}

static void
a_prefix_begins_a_tag_and_knows_no_wildcards(void **state)
{
	static const struct image rows[] = {
		{ 'A', "prod", 9 },
		{ 'B', "prod-1", 8 },
		{ 'C', "my-prod", 7 },
		{ 'D', "Prod", 6 },
		{ 'E', "pro", 5 },
	};

	(void)state;
	DONE(ONE(PREFIXES("\"prod\"") PUSHED("1"), EXPIRE), rows, "A1x B1x");
	DONE(ONE(PREFIXES("\"prod*\"") PUSHED("1"), EXPIRE), rows, "");
}

static void
a_pattern_is_the_whole_tag(void **state)
{
	static const struct {
		const char *pattern, *tag;
		bool matches;
	} cases[] = {
		{ "prod", "prod", true },
		{ "prod", "prod-1", false },
		{ "prod", "Prod", false },
		{ "prod", "pro", false },
		{ "prod*", "prod", true },
		{ "prod*", "prod-1", true },
		{ "prod*", "a-prod", false },
		{ "*prod", "a-prod", true },
		{ "*prod", "a-prod-1", false },
		{ "*prod", "prodprod", true },
		{ "*prod*", "repo-production", true },
		{ "*prod*", "prd", false },
		{ "a*c", "ac", true },
		{ "a*c", "abcbc", true },
		{ "a*c", "abcb", false },
		{ "a*c", "a", false },
		{ "*a*b*c*", "xaxbxcx", true },
		{ "*a*b*c*", "xaxcxbx", false },
		{ "*aab", "aaaab", true },
		{ "*a*ab*", "ab", false },
		{ "a**b", "ab", true },
		{ "a*a", "a", false },
		{ "a*a", "aa", true },
		{ "ab*ba", "aba", false },
		{ "*a*", "a", true },
		{ "a*b*b", "ab", false },
		{ "a*b*b", "abb", true },
		{ "****", "x", true },
		{ "v?", "v1", false },
		{ "v?", "v?", true },
		{ "v[12]", "v1", false },
		{ "v.1", "v-1", false },
	};
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct image row = { 'A', cases[i].tag, 2 };

		(void)snprintf(text, sizeof(text),
		    ONE(PATTERNS("\"%s\"") PUSHED("1"), EXPIRE),
		    cases[i].pattern);
		done(text, &row, 1, cases[i].matches ? "A1x" : "");
	}
}

/* --- which of these it hits ---------------------------------------------- */

static void
more_than_n_leaves_the_n_youngest(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 3 },
		{ 'B', "b", 1 },
		{ 'C', "", 2 },
		{ 'D', "d", 4 },
	};

	(void)state;
	DONE(ONE(ANY COUNT("1"), EXPIRE), rows, "D1x A1x C1x");
	DONE(ONE(ANY COUNT("3"), EXPIRE), rows, "D1x");
	DONE(ONE(ANY COUNT("4"), EXPIRE), rows, "");
	DONE(ONE(ANY COUNT("9223372036854775807"), EXPIRE), rows, "");
	/* What is not selected takes no place. */
	DONE(ONE(PATTERNS("\"*\"") COUNT("2"), ARCHIVE), rows, "D1a");
}

static void
digests_order_images_of_one_time(void **state)
{
	static const struct image rows[] = {
		{ 'B', "b", 2 },
		{ 'D', "d", 2 },
		{ 'A', "a", 2 },
		{ 'C', "c", 2 },
	};

	(void)state;
	DONE(ONE(ANY COUNT("2"), EXPIRE), rows, "D1x C1x");
	DONE(ONE(ANY PUSHED("1"), EXPIRE), rows, "D1x C1x B1x A1x");
}

static void
days_have_to_be_over(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 14 },
		{ 'B', "b", 14.001 },
		{ 'C', "c", 13.999 },
		{ 'D', "d", -5 },
		{ 'E', "e", 15, .pulled = 0.5 },
	};

	(void)state;
	DONE(ONE(ANY PUSHED("14"), EXPIRE), rows, "E1x B1x");
	DONE(ONE(ANY PUSHED("9223372036854775807"), EXPIRE), rows, "");
	DONE(ONE(ANY PUSHED("200000000000"), EXPIRE), rows, "");
}

static void
the_last_pull_counts_and_else_what_brought_it_here(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 200, .pulled = 91 },
		{ 'B', "b", 201, .pulled = 5 },
		{ 'C', "c", 100 },
		{ 'D', "d", 80 },
		/* Restored, and not pulled since. */
		{ 'E', "e", 400, .pulled = 300, .restored = 10 },
		{ 'F', "f", 401, .restored = 10 },
		/* Restored, and pulled since. */
		{ 'G', "g", 402, .pulled = 95, .restored = 120 },
		{ 'H', "h", 403, .pulled = 9, .restored = 120 },
		/* It is there already. */
		{ 'I', "i", 404, .archived = 350 },
		{ 'J', "j", 500, .pulled = 90 },
	};

	(void)state;
	DONE(ONE(ANY PULLED("90"), ARCHIVE), rows, "A1a G1a C1a");
}

static void
the_archive_counts_from_the_transition(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 800, .archived = 366 },
		{ 'B', "b", 801, .archived = 364 },
		{ 'C', "c", 802 },
		{ 'D', "d", 803, .archived = 365 },
		{ 'E', "e", 804, .archived = 400 },
	};

	(void)state;
	DONE(ONE(ANY ARCHIVED("365"), EXPIRE), rows, "E1x A1x");
}

static void
a_restored_image_is_as_young_as_its_restoring(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 400, .restored = 1 },
		{ 'B', "b", 2 },
		{ 'C', "c", 3 },
		{ 'D', "d", 4, .restored = 3.5 },
	};

	(void)state;
	DONE(ONE(ANY COUNT("2"), EXPIRE), rows, "D1x C1x");
	/* Its push is when it was. */
	DONE(ONE(ANY PUSHED("300"), EXPIRE), rows, "A1x");
}

/* --- rules together ------------------------------------------------------ */

static void
the_first_rule_that_selects_protects(void **state)
{
	static const struct image rows[] = {
		{ 'A', "keep-1", 50 },
		{ 'B', "keep-2,x", 40 },
		{ 'C', "x2", 30 },
		{ 'D', "", 20 },
	};

	(void)state;
	DONE(POLICY(RULE("1", PREFIXES("\"keep\"") COUNT("100"),
		 EXPIRE) "," RULE("2", ANY PUSHED("1"), EXPIRE)),
	    rows, "C2x D2x");
	DONE(POLICY(RULE("1", PREFIXES("\"keep\"") PUSHED("45"),
		 EXPIRE) "," RULE("2", ANY PUSHED("1"), ARCHIVE)),
	    rows, "A1x C2a D2a");
}

static void
a_rule_counts_what_others_take_or_protect(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 1 },
		{ 'B', "keep,a", 2 },
		{ 'C', "old", 3 },
		{ 'D', "d", 4 },
	};

	(void)state;
	/* B and C have places among the three youngest. */
	DONE(POLICY(RULE("1", PREFIXES("\"keep\"") COUNT("9"), EXPIRE) "," RULE(
		 "2", PREFIXES("\"old\"") PUSHED("1"), EXPIRE) "," RULE("3",
		 ANY COUNT("3"), EXPIRE)),
	    rows, "D3x C2x");
	DONE(POLICY(RULE("1", PREFIXES("\"keep\"") COUNT("9"), EXPIRE) "," RULE(
		 "2", PREFIXES("\"old\"") PUSHED("1"), EXPIRE) "," RULE("3",
		 ANY COUNT("4"), EXPIRE)),
	    rows, "C2x");
	/* Without them there is room for D. */
	done(ONE(ANY COUNT("3"), EXPIRE), rows, 3, "");
}

static void
classes_do_not_see_each_other(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 31 },
		{ 'B', "b", 10 },
		{ 'C', "c", 500, .archived = 400 },
		{ 'D', "d", 500, .archived = 100 },
	};

	(void)state;
	DONE(POLICY(RULE("1", ANY PUSHED("30"), ARCHIVE) "," RULE(
		 "2", ANY ARCHIVED("365"), EXPIRE)),
	    rows, "C2x A1a");
	DONE(ONE(ANY COUNT("1"), EXPIRE), rows, "A1x");
}

static void
the_oldest_go_first_whichever_rule_takes_them(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 10 },
		{ 'B', "b", 40 },
		{ 'C', "a", 30 },
		{ 'D', "b", 20 },
	};

	(void)state;
	DONE(POLICY(RULE("1", PREFIXES("\"a\"") PUSHED("1"), EXPIRE) "," RULE(
		 "2", PREFIXES("\"b\"") PUSHED("1"), ARCHIVE)),
	    rows, "B2a C1x D2a A1x");
}

/* --- images that belong to others ---------------------------------------- */

static void
a_child_is_counted_and_stays_with_its_index(void **state)
{
	static const struct image rows[] = {
		{ 'A', "multi", 9 },
		{ 'B', "", 9.5, .held = true, .held_by_active = true },
		{ 'C', "c", 7 },
	};
	static const struct image archived_index[] = {
		{ 'B', "", 9.5, .held = true },
	};

	(void)state;
	DONE(ONE(ANY PUSHED("5"), EXPIRE), rows, "B1x! A1x C1x");
	DONE(ONE(UNTAGGED PUSHED("5"), EXPIRE), rows, "B1x!");
	DONE(ONE(ANY PUSHED("5"), ARCHIVE), rows, "B1a! A1a C1a");
	DONE(ONE(ANY COUNT("2"), EXPIRE), rows, "B1x!");
	/* An index in the archive holds back only what would be lost. */
	DONE(ONE(ANY PUSHED("5"), ARCHIVE), archived_index, "B1a");
	DONE(ONE(ANY PUSHED("5"), EXPIRE), archived_index, "B1x!");
}

static void
a_referrer_is_not_untagged_while_its_subject_is_here(void **state)
{
	static const struct image rows[] = {
		{ 'A', "app-1", 9 },
		{ 'B', "app-2", 1 },
		{ 'C', "", 9, .subject_here = true },
		{ 'D', "", 1, .subject_here = true },
		{ 'E', "", 8 },
	};

	(void)state;
	DONE(ONE(PREFIXES("\"app\"") COUNT("1"), EXPIRE), rows, "A1x");
	DONE(ONE(UNTAGGED PUSHED("5"), EXPIRE), rows, "E1x");
	DONE(ONE(UNTAGGED COUNT("1"), EXPIRE), rows, "");
	/* To all others it is an image. */
	DONE(ONE(ANY COUNT("4"), EXPIRE), rows, "C1x");
}

/* --- extensions ---------------------------------------------------------- */

static void
what_is_neither_new_nor_pulled_is_unused(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 91 },
		{ 'B', "b", 200, .pulled = 91 },
		{ 'C', "c", 200, .pulled = 89 },
		{ 'D', "d", 89 },
		/* Of before its push, as a clock that was set back has it. */
		{ 'E', "e", 10, .pulled = 100 },
		{ 'F', "f", 400, .pulled = 300, .restored = 10 },
		{ 'G', "g", 90 },
	};

	(void)state;
	EXTENDED_DONE(ONE(ANY USED("90"), EXPIRE), rows, "B1x A1x");
	EXTENDED_DONE(ONE(ANY USED("90"), ARCHIVE), rows, "B1a A1a");
	/* Each by a number of its own: old enough, and not pulled of late. */
	EXTENDED_DONE(ONE(ANY USED("30") ",\"pushedCountNumber\":150", EXPIRE),
	    rows, "C1x B1x");
	EXTENDED_DONE(
	    ONE(ANY USED("90") ",\"pushedCountNumber\":300", EXPIRE), rows, "");
	/* The pull alone; with expire, too. */
	EXTENDED_DONE(ONE(ANY PULLED("90"), EXPIRE), rows, "B1x A1x E1x");
}

static void
a_protected_tag_saves_from_every_rule(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 9 },
		{ 'B', "b,release-1", 8 },
		{ 'C', "lts", 7 },
		{ 'D', "", 6 },
		{ 'E', "e,x-lts", 200, .archived = 100 },
		{ 'F', "f", 201, .archived = 101 },
	};

	(void)state;
	EXTENDED_DONE(GUARDED("\"protectTags\":[\"release-*\",\"*lts\"]",
			  RULE("1", ANY PUSHED("1"), ARCHIVE) "," RULE(
			      "2", ANY ARCHIVED("90"), EXPIRE)),
	    rows, "F2x A1a D1a");
	/* It is counted, and in the way of nobody but itself. */
	EXTENDED_DONE(GUARDED("\"protectTags\":[\"release-*\"]",
			  RULE("1", ANY COUNT("2"), EXPIRE)),
	    rows, "A1x");
	/* Nor does it take away the say of the rule that selects it. */
	EXTENDED_DONE(GUARDED("\"protectTags\":[\"lts\"]",
			  RULE("1", PREFIXES("\"lts\"") COUNT("1"),
			      EXPIRE) "," RULE("2", ANY COUNT("1"), EXPIRE)),
	    rows, "A2x B2x");
}

static void
keep_last_saves_the_youngest_that_would_go(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 9 },
		{ 'B', "b", 8 },
		{ 'C', "", 7 },
		{ 'D', "d", 6 },
		{ 'E', "e", 5 },
		{ 'F', "f", 200, .archived = 100 },
	};

	(void)state;
#define KEEP(n) GUARDED("\"keepLast\":" n, RULE("1", ANY PUSHED("1"), EXPIRE))
	EXTENDED_DONE(KEEP("1"), rows, "A1x B1x C1x D1x");
	EXTENDED_DONE(KEEP("2"), rows, "A1x B1x C1x");
	EXTENDED_DONE(KEEP("3"), rows, "A1x C1x");
	EXTENDED_DONE(KEEP("4"), rows, "C1x");
	EXTENDED_DONE(KEEP("1000000"), rows, "C1x");
	/* Who stays anyway is one of them, whatever its age. */
	EXTENDED_DONE(GUARDED("\"keepLast\":2",
			  RULE("1", PREFIXES("\"a\"") COUNT("1"),
			      EXPIRE) "," RULE("2", ANY PUSHED("1"), EXPIRE)),
	    rows, "B2x C2x D2x");
	/* To the archive is away as well; of the archive none is saved. */
	EXTENDED_DONE(GUARDED("\"keepLast\":1",
			  RULE("1", ANY PUSHED("1"), ARCHIVE) "," RULE(
			      "2", ANY ARCHIVED("90"), EXPIRE)),
	    rows, "F2x A1a B1a C1a D1a");
#undef KEEP
}

static void
guards_know_of_each_other_and_of_indexes(void **state)
{
	static const struct image rows[] = {
		{ 'A', "a", 9 },
		{ 'B', "b", 8, .held = true, .held_by_active = true },
		{ 'C', "lts", 7 },
		{ 'D', "d", 6 },
		{ 'E', "e", 5 },
	};

	(void)state;
	/* B and C are two that stay, so one more is enough. */
	EXTENDED_DONE(GUARDED("\"keepLast\":3,\"protectTags\":[\"lts\"]",
			  RULE("1", ANY PUSHED("1"), EXPIRE)),
	    rows, "A1x B1x! D1x");
	EXTENDED_DONE(GUARDED("\"keepLast\":2,\"protectTags\":[\"lts\"]",
			  RULE("1", ANY PUSHED("1"), EXPIRE)),
	    rows, "A1x B1x! D1x E1x");
}

/* --- verdicts ------------------------------------------------------------ */

static void
a_verdict_has_what_was_evaluated(void **state)
{
	struct lifecycle_policy p =
	    policy_of(ONE(ANY COUNT("1"), EXPIRE), false);
	struct lifecycle_run *run = lifecycle_run_new(&p, NOW_MS, 2);
	const struct lifecycle_image old = { .digest = digest_of_letter('A'),
		.pushed_ms = 11,
		.pulled_ms = 12,
		.archived_ms = 13,
		.activated_ms = 14,
		.tags_hash = UINT64_MAX };
	const struct lifecycle_image young = { .digest = digest_of_letter('B'),
		.pushed_ms = 15 };
	struct lifecycle_verdict v;

	(void)state;
	assert_int_equal(lifecycle_run_add(run, &old), RC_OK);
	assert_int_equal(lifecycle_run_add(run, &young), RC_OK);
	assert_int_equal(decided(run), 1);
	assert_true(lifecycle_run_next(run, &v));
	assert_true(digest_eq(&v.digest, &old.digest));
	assert_int_equal(v.pushed_ms, 11);
	assert_int_equal(v.pulled_ms, 12);
	assert_int_equal(v.archived_ms, 13);
	assert_int_equal(v.activated_ms, 14);
	assert_true(v.tags_hash == UINT64_MAX);
	assert_false(lifecycle_run_next(run, &v));
	lifecycle_run_free(&run);
}

/* --- many ---------------------------------------------------------------- */

static void
no_images_and_no_rules_are_nothing(void **state)
{
	static const struct image row = { 'A', "a", 2 };
	const struct lifecycle_policy none = { 0 };
	struct lifecycle_run *run;
	struct lifecycle_verdict v;

	(void)state;
	done(ONE(ANY COUNT("1"), EXPIRE), &row, 0, "");
	run = lifecycle_run_new(&none, NOW_MS, 0);
	image_add(run, &row);
	assert_int_equal(decided(run), 0);
	assert_false(lifecycle_run_next(run, &v));
	lifecycle_run_free(&run);
	lifecycle_run_free(&run);
	lifecycle_run_free(NULL);
}

static void
only_what_may_be_taken_is_kept(void **state)
{
	struct lifecycle_policy p =
	    policy_of(ONE(UNTAGGED PUSHED("5"), EXPIRE), false);
	const struct lifecycle_image old = { .pushed_ms = days_ago(6) };
	struct lifecycle_run *run = lifecycle_run_new(&p, NOW_MS, 2);
	static const struct image young = { 'A', "", 4 },
				  tagged = { 'B', "b", 9 };
	int i;

	(void)state;
	for (i = 0; i < 2; i++)
		assert_int_equal(lifecycle_run_add(run, &old), RC_OK);
	for (i = 0; i < 100; i++) {
		image_add(run, &young);
		image_add(run, &tagged);
	}
	assert_int_equal(lifecycle_run_add(run, &old), RC_TOOBIG);
	lifecycle_run_free(&run);
}

/* More of both than fit into one word, and than was made room for at first. */
static void
many_rules_and_images_are_all_looked_at(void **state)
{
	static char text[32768];
	struct lifecycle_image image = { .n_tags = 1 };
	struct lifecycle_verdict v;
	struct lifecycle_policy p;
	struct lifecycle_run *run;
	size_t at, i, k, n;
	struct span tag;
	char name[16];

	(void)state;
	at = (size_t)snprintf(text, sizeof(text), "{\"rules\":[");
	for (i = 1; i <= 150; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    RULE("%zu", PATTERNS("\"t%zu-*\"") COUNT("3"), EXPIRE) "%s",
		    i, i, i < 150 ? "," : "]}");
	p = policy_of(text, false);
	run = lifecycle_run_new(&p, NOW_MS, 150 * 5);
	image.tags = &tag;
	for (k = 0; k < 5; k++)
		for (i = 1; i <= 150; i++) {
			(void)snprintf(name, sizeof(name), "t%zu-%zu", i, k);
			tag = span_of(name);
			image.digest.bytes[0] = (uint8_t)i;
			image.digest.bytes[1] = (uint8_t)k;
			image.pushed_ms = days_ago((double)(k + 1));
			assert_int_equal(lifecycle_run_add(run, &image), RC_OK);
		}
	assert_int_equal(decided(run), 150 * 2);
	for (n = 0; lifecycle_run_next(run, &v); n++) {
		assert_int_equal(v.rule->priority, v.digest.bytes[0]);
		assert_int_equal(v.digest.bytes[1], n < 150 ? 4 : 3);
		assert_int_equal(v.pushed_ms, days_ago(n < 150 ? 5 : 4));
	}
	assert_int_equal(n, 150 * 2);
	lifecycle_run_free(&run);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_begin, arena_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tag_states_select),
		TEST(every_element_of_a_list_needs_a_tag),
		TEST(a_prefix_begins_a_tag_and_knows_no_wildcards),
		TEST(a_pattern_is_the_whole_tag),
		TEST(more_than_n_leaves_the_n_youngest),
		TEST(digests_order_images_of_one_time),
		TEST(days_have_to_be_over),
		TEST(the_last_pull_counts_and_else_what_brought_it_here),
		TEST(the_archive_counts_from_the_transition),
		TEST(a_restored_image_is_as_young_as_its_restoring),
		TEST(the_first_rule_that_selects_protects),
		TEST(a_rule_counts_what_others_take_or_protect),
		TEST(classes_do_not_see_each_other),
		TEST(the_oldest_go_first_whichever_rule_takes_them),
		TEST(a_child_is_counted_and_stays_with_its_index),
		TEST(a_referrer_is_not_untagged_while_its_subject_is_here),
		TEST(what_is_neither_new_nor_pulled_is_unused),
		TEST(a_protected_tag_saves_from_every_rule),
		TEST(keep_last_saves_the_youngest_that_would_go),
		TEST(guards_know_of_each_other_and_of_indexes),
		TEST(a_verdict_has_what_was_evaluated),
		TEST(no_images_and_no_rules_are_nothing),
		TEST(only_what_may_be_taken_is_kept),
		TEST(many_rules_and_images_are_all_looked_at),
	};

	return (cmocka_run_group_tests_name(
	    "lifecycle/evaluate", tests, NULL, NULL));
}
