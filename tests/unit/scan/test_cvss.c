#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/obj.h"
#include "scan/cvss.h"

/*
 * Base scores as the calculators of first.org have them.
 */
static void
scores_of_versions_2_and_3_are_those_of_the_specification(void **state)
{
	static const struct {
		const char *vector;
		int tenths;
		enum severity severity;
	} cases[] = {
		{ "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98,
		    SEVERITY_CRITICAL },
		{ "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100,
		    SEVERITY_CRITICAL },
		{ "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 75,
		    SEVERITY_HIGH },
		{ "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61,
		    SEVERITY_MEDIUM },
		{ "CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N", 54,
		    SEVERITY_MEDIUM },
		{ "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64,
		    SEVERITY_MEDIUM },
		{ "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 78,
		    SEVERITY_HIGH },
		{ "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:C/C:H/I:N/A:N", 56,
		    SEVERITY_MEDIUM },
		{ "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 16,
		    SEVERITY_LOW },
		{ "CVSS:3.1/AV:A/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N", 53,
		    SEVERITY_MEDIUM },
		{ "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0,
		    SEVERITY_INFORMATIONAL },
		/* Others than base metrics do not count, in any order. */
		{ "CVSS:3.1/E:P/RL:O/A:H/I:H/C:H/S:U/UI:N/PR:N/AC:L/AV:N", 98,
		    SEVERITY_CRITICAL },
		/* Version 2 */
		{ "AV:N/AC:L/Au:N/C:C/I:C/A:C", 100, SEVERITY_HIGH },
		{ "AV:N/AC:L/Au:N/C:N/I:N/A:C", 78, SEVERITY_HIGH },
		{ "AV:N/AC:L/Au:N/C:P/I:P/A:P", 75, SEVERITY_HIGH },
		{ "(AV:N/AC:M/Au:N/C:N/I:P/A:N)", 43, SEVERITY_MEDIUM },
		{ "AV:L/AC:H/Au:N/C:C/I:C/A:C", 62, SEVERITY_MEDIUM },
		{ "AV:L/AC:H/Au:S/C:P/I:N/A:N", 10, SEVERITY_LOW },
		{ "AV:N/AC:L/Au:N/C:N/I:N/A:N", 0, SEVERITY_INFORMATIONAL },
	};
	enum severity severity;
	double score;
	size_t i;
	enum rc rc;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		rc = cvss_read(span_of(cases[i].vector), &score, &severity);
		if (rc != RC_OK || (int)(score * 10 + 0.5) != cases[i].tenths ||
		    severity != cases[i].severity)
			fail_msg("%s: %s, %.2f, %s", cases[i].vector,
			    rc_name(rc), score, severity_text(severity));
	}
}

static void
of_version_4_there_is_a_severity_and_no_score(void **state)
{
	static const struct {
		const char *vector;
		enum severity severity;
	} cases[] = {
		{ "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/"
		  "SA:N",
		    SEVERITY_CRITICAL },
		{ "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/"
		  "SA:N/E:P",
		    SEVERITY_HIGH },
		{ "CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/"
		  "SA:N",
		    SEVERITY_LOW },
		{ "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/"
		  "SA:N",
		    SEVERITY_INFORMATIONAL },
	};
	enum severity severity;
	double score;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
		    cvss_read(span_of(cases[i].vector), &score, &severity),
		    RC_OK);
		assert_true(score == 0);
		assert_int_equal(severity, cases[i].severity);
	}
}

static void
what_is_no_vector_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"7.5",
		"CVSS:3.1",
		"CVSS:3.1/",
		"CVSS:3.1/AV:N",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:X",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/A:H",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
		"CVSS:3.1//AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A",
		"AV:N/AC:L/Au:N/C:C/I:C",
		"AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
		"(AV:N/AC:M/Au:N/C:N/I:P/A:N",
		"()",
	};
	enum severity severity;
	double score;
	size_t i;
	enum rc rc;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		rc = cvss_read(span_of(bad[i]), &score, &severity);
		if (rc != RC_INVALID || score != 0 ||
		    severity != SEVERITY_UNDEFINED)
			fail_msg("\"%s\": %s", bad[i], rc_name(rc));
	}
	assert_int_equal(cvss_read(SPAN("CVSS:5.0/AV:N"), &score, &severity),
	    RC_UNSUPPORTED);
}

static void
words_of_sources_have_a_severity(void **state)
{
	static const struct {
		const char *word;
		enum severity severity;
	} cases[] = {
		{ "CRITICAL", SEVERITY_CRITICAL },
		{ "high", SEVERITY_HIGH },
		{ "Important", SEVERITY_HIGH },
		{ "MODERATE", SEVERITY_MEDIUM },
		{ "medium**", SEVERITY_MEDIUM },
		{ " low ", SEVERITY_LOW },
		{ "unimportant", SEVERITY_INFORMATIONAL },
		{ "negligible", SEVERITY_INFORMATIONAL },
		{ "not yet assigned", SEVERITY_UNDEFINED },
		{ "end-of-life", SEVERITY_UNDEFINED },
		{ "", SEVERITY_UNDEFINED },
		{ "*", SEVERITY_UNDEFINED },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(severity_of_words(span_of(cases[i].word)),
		    cases[i].severity);
}

static void
scores_have_the_severity_that_stands_beside_them(void **state)
{
	(void)state;
	assert_int_equal(cvss_severity(0), SEVERITY_INFORMATIONAL);
	assert_int_equal(cvss_severity(0.1), SEVERITY_LOW);
	assert_int_equal(cvss_severity(3.9), SEVERITY_LOW);
	assert_int_equal(cvss_severity(4.0), SEVERITY_MEDIUM);
	assert_int_equal(cvss_severity(6.9), SEVERITY_MEDIUM);
	assert_int_equal(cvss_severity(7.0), SEVERITY_HIGH);
	assert_int_equal(cvss_severity(8.9), SEVERITY_HIGH);
	assert_int_equal(cvss_severity(9.0), SEVERITY_CRITICAL);
	assert_int_equal(cvss_severity(10), SEVERITY_CRITICAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    scores_of_versions_2_and_3_are_those_of_the_specification),
		cmocka_unit_test(of_version_4_there_is_a_severity_and_no_score),
		cmocka_unit_test(what_is_no_vector_is_refused),
		cmocka_unit_test(words_of_sources_have_a_severity),
		cmocka_unit_test(
		    scores_have_the_severity_that_stands_beside_them),
	};

	return (cmocka_run_group_tests_name("cvss", tests, NULL, NULL));
}
