#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/obj.h"
#include "lifecycle_tools.h"

/*
 * Worked cases: the policies that courses and manuals of ECR begin with and
 * those with which people get it wrong, each with the images it is shown for
 * and what becomes of these.  Whether an index holds an image, or a subject is
 * there, is what the store would say.
 */
struct example {
	const char *policy;
	struct image images[8];
	const char *want;
};

/* Each: a selection and an action. */
#define TWO(s1, a1, s2, a2) POLICY(RULE("1", s1, a1) "," RULE("2", s2, a2))

/* --- one rule ------------------------------------------------------------ */

static const struct example one_rule[] = {
	/* Age of images with a pattern. */
	{ ONE(PATTERNS("\"prod*\"") PUSHED("14"), EXPIRE),
	    {
		{ 'A', "prod-1", 15 },
		{ 'B', "production", 13 },
		{ 'C', "dev", 40 },
		{ 'D', "", 40 },
		/* Pulled today, which this rule does not ask. */
		{ 'E', "prod", 30, .pulled = 0.001 },
	    },
	    "E1x A1x" },
	/* Age of images without a tag. */
	{ ONE(UNTAGGED PUSHED("14"), EXPIRE),
	    {
		{ 'A', "", 15 },
		{ 'B', "", 13 },
		{ 'C', "x", 40 },
	    },
	    "A1x" },
	/* Age of all of them. */
	{ ONE(ANY PUSHED("30"), EXPIRE),
	    {
		{ 'A', "v1", 31 },
		{ 'B', "", 31.5 },
		{ 'C', "v2,latest", 30 },
		{ 'D', "", 1 },
	    },
	    "B1x A1x" },
	/* One image without a tag is kept. */
	{ ONE(UNTAGGED COUNT("1"), EXPIRE),
	    {
		{ 'A', "", 3 },
		{ 'B', "", 1 },
		{ 'C', "", 2 },
		{ 'D', "v1", 9 },
		{ 'E', "v2", 0.5 },
	    },
	    "A1x C1x" },
	/* What nobody pulled goes to the archive. */
	{ ONE(ANY PULLED("90"), ARCHIVE),
	    {
		{ 'A', "a", 200, .pulled = 91 },
		{ 'B', "b", 200, .pulled = 5 },
		{ 'C', "c", 100 },
		{ 'D', "d", 80 },
		{ 'E', "e", 400, .pulled = 300, .restored = 10 },
		{ 'F', "f", 400, .archived = 50 },
	    },
	    "A1a C1a" },
	/* After a year the archive lets go. */
	{ ONE(ANY ARCHIVED("365"), EXPIRE),
	    {
		{ 'A', "a", 800, .archived = 366 },
		{ 'B', "b", 800, .archived = 364 },
		{ 'C', "c", 800 },
	    },
	    "A1x" },
	/* As many as may be are no reason to act. */
	{ ONE(ANY COUNT("3"), EXPIRE),
	    {
		{ 'A', "a", 3 },
		{ 'B', "b", 2 },
		{ 'C', "c", 1 },
	    },
	    "" },
};

/* --- tags ---------------------------------------------------------------- */

static const struct example tags[] = {
	/* A list is all of its elements. */
	{ ONE(PATTERNS("\"alpha*\",\"beta*\"") PUSHED("5"), EXPIRE),
	    {
		{ 'A', "alpha-1", 12 },
		{ 'B', "beta-1", 11 },
		{ 'C', "alpha-2,beta-2", 10 },
		{ 'D', "alpha-3", 4 },
		{ 'E', "beta-3", 3 },
		{ 'F', "alpha-4,beta-4", 2 },
	    },
	    "C1x" },
	/* Other tags do not hinder. */
	{ ONE(PATTERNS("\"alpha*\",\"beta*\"") COUNT("1"), EXPIRE),
	    {
		{ 'A', "alpha-1,beta-1,gamma-1", 10 },
		{ 'B', "alpha-2,beta-2", 9 },
		{ 'C', "alpha-3,beta-3,gamma-2", 8 },
	    },
	    "A1x B1x" },
	/* Either of two is two rules. */
	{ TWO(PREFIXES("\"alpha\"") PUSHED("5"), EXPIRE,
	      PREFIXES("\"beta\"") PUSHED("5"), EXPIRE),
	    {
		{ 'A', "alpha-1", 9.3 },
		{ 'B', "beta-1", 9.2 },
		{ 'C', "alpha-2,beta-2", 9.1 },
		{ 'D', "gamma", 9 },
	    },
	    "A1x B2x C1x" },
	/* A pattern in the middle of a tag. */
	{ ONE(PATTERNS("\"*prod*\"") PUSHED("1"), EXPIRE),
	    {
		{ 'A', "repo-production", 5 },
		{ 'B', "prod-team", 4 },
		{ 'C', "prd", 3 },
		{ 'D', "PROD", 2 },
	    },
	    "A1x B1x" },
	/* A pattern without a star is the tag. */
	{ ONE(PATTERNS("\"prod\"") PUSHED("1"), EXPIRE),
	    {
		{ 'A', "prod", 5 },
		{ 'B', "prod-1", 5 },
	    },
	    "A1x" },
};

/* --- rules beside each other --------------------------------------------- */

static const struct example rules[] = {
	/* The first rule keeps what the second would take. */
	{ TWO(PREFIXES("\"prod\"") COUNT("1"), EXPIRE,
	      PREFIXES("\"beta\"") COUNT("1"), EXPIRE),
	    {
		{ 'A', "beta-1,prod-1", 10 },
		{ 'B', "beta-2,prod-2", 9 },
		{ 'C', "beta-3", 8 },
	    },
	    "A1x" },
	/* The other way round it is taken. */
	{ TWO(PREFIXES("\"beta\"") COUNT("1"), EXPIRE,
	      PREFIXES("\"prod\"") COUNT("1"), EXPIRE),
	    {
		{ 'A', "beta-1,prod-1", 10 },
		{ 'B', "beta-2,prod-2", 9 },
		{ 'C', "beta-3", 8 },
	    },
	    "A1x B1x" },
	/* A rule that never hits is a shield. */
	{ TWO(PREFIXES("\"keep\"") COUNT("100"), EXPIRE, ANY PUSHED("1"),
	      EXPIRE),
	    {
		{ 'A', "keep-1", 50 },
		{ 'B', "keep-2,x", 40 },
		{ 'C', "x2", 30 },
		{ 'D', "", 20 },
	    },
	    "C2x D2x" },
	/* An age that is not reached is a shield, too. */
	{ TWO(PREFIXES("\"keep\"") PUSHED("45"), EXPIRE, ANY COUNT("1"),
	      EXPIRE),
	    {
		{ 'A', "keep-1", 50 },
		{ 'B', "keep-2", 40 },
		{ 'C', "x", 30 },
		{ 'D', "y", 20 },
	    },
	    "A1x C2x" },
	/* The archive first, then away. */
	{ TWO(ANY PUSHED("30"), ARCHIVE, ANY ARCHIVED("365"), EXPIRE),
	    {
		{ 'A', "a", 31 },
		{ 'B', "b", 10 },
		{ 'C', "c", 500.1, .archived = 400 },
		{ 'D', "d", 500, .archived = 100 },
	    },
	    "C2x A1a" },
	/* A shield ends where the archive begins. */
	{ TWO(PREFIXES("\"keep\"") COUNT("100"), EXPIRE, ANY ARCHIVED("90"),
	      EXPIRE),
	    {
		{ 'A', "keep-1", 500, .archived = 91 },
		{ 'B', "keep-2", 500 },
	    },
	    "A2x" },
	/* And one of the archive in front of it. */
	{ TWO(ANY ARCHIVED("1000"), EXPIRE, ANY PUSHED("90"), ARCHIVE),
	    {
		{ 'A', "a", 500, .archived = 91 },
		{ 'B', "b", 400 },
	    },
	    "B2a" },
	/* What goes by one rule has its place in the other. */
	{ POLICY(RULE("1", PREFIXES("\"alpha\"") COUNT("1"), EXPIRE) "," RULE(
	      "2", UNTAGGED PUSHED("2"), EXPIRE) "," RULE("3", ANY COUNT("3"),
	      EXPIRE)),
	    {
		{ 'A', "alpha-1", 6 },
		{ 'B', "alpha-2", 5 },
		{ 'C', "", 4 },
		{ 'D', "git-1", 3 },
		{ 'E', "git-2", 2 },
		{ 'F', "git-3", 1 },
		{ 'G', "git-0", 7 },
	    },
	    "G3x A1x C2x" },
};

/* --- images of images ---------------------------------------------------- */

static const struct example related[] = {
	/* An index goes before its images. */
	{ ONE(ANY PUSHED("5"), EXPIRE),
	    {
		{ 'A', "multi", 9 },
		{ 'B', "", 9, .held = true, .held_by_active = true },
	    },
	    "B1x! A1x" },
	/* In the run behind that they go. */
	{ ONE(ANY PUSHED("5"), EXPIRE),
	    {
		{ 'B', "", 9 },
	    },
	    "B1x" },
	/* Images of an index have places, too. */
	{ ONE(ANY COUNT("2"), EXPIRE),
	    {
		{ 'A', "multi-1", 9 },
		{ 'B', "multi-2", 8 },
		{ 'C', "", 7, .held = true, .held_by_active = true },
		{ 'D', "", 6, .held = true, .held_by_active = true },
	    },
	    "A1x B1x" },
	/* A referrer of what is here is not one without a tag. */
	{ TWO(PREFIXES("\"app\"") COUNT("1"), EXPIRE, UNTAGGED PUSHED("1"),
	      EXPIRE),
	    {
		{ 'A', "app-1", 9 },
		{ 'B', "app-2", 1 },
		{ 'C', "", 9, .subject_here = true },
		{ 'D', "", 3, .subject_here = true },
		{ 'E', "", 2 },
	    },
	    "A1x E2x" },
};

static size_t
images_of(const struct example *e)
{
	size_t n;

	for (n = 0; n < ARRAY_LEN(e->images) && e->images[n].letter != 0; n++)
		continue;
	return (n);
}

static void
shown(const struct example *examples, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		done(examples[i].policy, examples[i].images,
		    images_of(&examples[i]), examples[i].want);
	}
}

static void
examples_with_one_rule(void **state)
{
	(void)state;
	shown(one_rule, ARRAY_LEN(one_rule));
}

static void
examples_with_tags(void **state)
{
	(void)state;
	shown(tags, ARRAY_LEN(tags));
}

static void
examples_with_more_rules(void **state)
{
	(void)state;
	shown(rules, ARRAY_LEN(rules));
}

static void
examples_with_indexes_and_referrers(void **state)
{
	(void)state;
	shown(related, ARRAY_LEN(related));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_begin, arena_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(examples_with_one_rule),
		TEST(examples_with_tags),
		TEST(examples_with_more_rules),
		TEST(examples_with_indexes_and_referrers),
	};

	return (cmocka_run_group_tests_name(
	    "lifecycle/examples", tests, NULL, NULL));
}
