#include "base/mem.h"
#include "lifecycle/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/obj.h"
#include "lifecycle_tools.h"

#define TWO(a, b) POLICY(a "," b)

static struct lifecycle_policy policy;

static enum rc
read_as(struct span text, const struct lifecycle_grammar *g,
    char why[LIFECYCLE_WHY_BYTES])
{
	enum rc rc;

	memset(why, 'w', LIFECYCLE_WHY_BYTES);
	memset(&policy, 0xff, sizeof(policy));
	rc = lifecycle_policy_parse(text, g, &arena, &policy, why);
	assert_non_null(memchr(why, '\0', LIFECYCLE_WHY_BYTES));
	assert_true((rc == RC_INVALID) == (why[0] != '\0'));
	assert_true((rc == RC_OK) == (policy.n_rules > 0));
	if (rc != RC_OK || g == NULL || !g->extensions)
		assert_true(policy.keep_last == 0 &&
			    policy.protect_tags == NULL &&
			    policy.n_protect_tags == 0);
	return (rc);
}

static enum rc
read_span(struct span text, size_t max_rules, char why[LIFECYCLE_WHY_BYTES])
{
	const struct lifecycle_grammar g = { .max_rules = max_rules };

	return (read_as(text, max_rules > 0 ? &g : NULL, why));
}

static void
taken(const char *text)
{
	char why[LIFECYCLE_WHY_BYTES];

	if (read_span(span_of(text), LIFECYCLE_RULES_MAX, why) != RC_OK)
		fail_msg("%s\n%s", why, text);
}

/* Refused for ${want} and nothing else. */
static void
refused(const char *text, const char *want)
{
	char why[LIFECYCLE_WHY_BYTES];

	if (read_span(span_of(text), LIFECYCLE_RULES_MAX, why) != RC_INVALID)
		fail_msg("taken: %s", text);
	if (strcmp(why, want) != 0)
		fail_msg("%s\nis refused with:  %s\ninstead of with: %s", text,
		    why, want);
}

/* Refused with a reason that begins with ${want}. */
static void
refused_as(const char *text, const char *want)
{
	char why[LIFECYCLE_WHY_BYTES];

	if (read_span(span_of(text), LIFECYCLE_RULES_MAX, why) != RC_INVALID)
		fail_msg("taken: %s", text);
	if (strncmp(why, want, strlen(want)) != 0)
		fail_msg("%s\nis refused with:  %s\ninstead of with: %s...",
		    text, why, want);
}

static void
extended_taken(const char *text)
{
	const struct lifecycle_grammar g = { .extensions = true };
	char why[LIFECYCLE_WHY_BYTES];

	if (read_as(span_of(text), &g, why) != RC_OK)
		fail_msg("%s\n%s", why, text);
}

static void
extended_refused(const char *text, const char *want)
{
	const struct lifecycle_grammar g = { .extensions = true };
	char why[LIFECYCLE_WHY_BYTES];

	if (read_as(span_of(text), &g, why) != RC_INVALID)
		fail_msg("taken: %s", text);
	if (strcmp(why, want) != 0)
		fail_msg("%s\nis refused with:  %s\ninstead of with: %s", text,
		    why, want);
}

/* --- what is read -------------------------------------------------------- */

static void
a_rule_is_read_as_it_is_written(void **state)
{
	const struct lifecycle_rule *r;

	(void)state;
	taken("{\"rules\":[{\"rulePriority\":7,\"description\":\"d\xc3\xa4\","
	      "\"selection\":{" PREFIXES("\"rel-\",\"v\"")
		  PUSHED("14") "},\"action\":{" EXPIRE "}}]}");
	assert_int_equal(policy.n_rules, 1);
	r = &policy.rules[0];
	assert_int_equal(r->priority, 7);
	assert_true(span_is(r->description, "d\xc3\xa4"));
	assert_int_equal(r->tags, LIFECYCLE_TAGGED);
	assert_false(r->patterns);
	assert_int_equal(r->n_tag_filters, 2);
	assert_true(span_is(r->tag_filters[0], "rel-"));
	assert_true(span_is(r->tag_filters[1], "v"));
	assert_int_equal(r->storage_class, LIFECYCLE_STANDARD);
	assert_int_equal(r->count, LIFECYCLE_SINCE_PUSHED);
	assert_int_equal(r->number, 14);
	assert_int_equal(r->action, LIFECYCLE_EXPIRE);
}

static void
each_word_has_its_meaning(void **state)
{
	(void)state;
	taken(ONE(PATTERNS("\"*\"") COUNT("3"), ARCHIVE));
	assert_true(policy.rules[0].patterns);
	assert_true(span_is(policy.rules[0].tag_filters[0], "*"));
	assert_int_equal(policy.rules[0].count, LIFECYCLE_MORE_THAN);
	assert_int_equal(policy.rules[0].action, LIFECYCLE_TRANSITION);
	assert_int_equal(policy.rules[0].description.n, 0);
	taken(ONE(UNTAGGED PULLED("5"), ARCHIVE));
	assert_int_equal(policy.rules[0].tags, LIFECYCLE_UNTAGGED);
	assert_int_equal(policy.rules[0].n_tag_filters, 0);
	assert_int_equal(policy.rules[0].count, LIFECYCLE_SINCE_PULLED);
	taken(ONE(ANY ARCHIVED("90"), EXPIRE));
	assert_int_equal(policy.rules[0].tags, LIFECYCLE_ANY);
	assert_int_equal(policy.rules[0].storage_class, LIFECYCLE_ARCHIVE);
	assert_int_equal(policy.rules[0].count, LIFECYCLE_SINCE_TRANSITIONED);
	taken(ONE("\"storageClass\":\"standard\"," ANY COUNT("1"), EXPIRE));
	assert_int_equal(policy.rules[0].storage_class, LIFECYCLE_STANDARD);
}

static void
rules_come_by_priority(void **state)
{
	(void)state;
	taken(POLICY(RULE("30", PREFIXES("\"a\"") COUNT("1"), EXPIRE) "," RULE(
	    "9223372036854775807", ANY COUNT("4"), EXPIRE) "," RULE("1",
	    PREFIXES("\"b\"") COUNT("2"),
	    EXPIRE) "," RULE("2", UNTAGGED COUNT("3"), EXPIRE)));
	assert_int_equal(policy.n_rules, 4);
	assert_int_equal(policy.rules[0].priority, 1);
	assert_int_equal(policy.rules[0].number, 2);
	assert_int_equal(policy.rules[1].priority, 2);
	assert_int_equal(policy.rules[2].priority, 30);
	assert_int_equal(policy.rules[3].priority, INT64_MAX);
	assert_int_equal(policy.rules[3].number, 4);
}

static void
a_tag_list_is_a_set(void **state)
{
	(void)state;
	taken(ONE(PREFIXES("\"b\",\"a\",\"b\"") COUNT("1"), EXPIRE));
	assert_int_equal(policy.rules[0].n_tag_filters, 2);
	assert_true(span_is(policy.rules[0].tag_filters[0], "a"));
	assert_true(span_is(policy.rules[0].tag_filters[1], "b"));
}

/* --- the sample policies ------------------------------------------------- */

static void
what_people_write_is_taken(void **state)
{
	static const char *const texts[] = {
		ONE(PATTERNS("\"prod*\"") PUSHED("14"), EXPIRE),
		ONE(PREFIXES("\"prod\"") PUSHED("14"), EXPIRE),
		ONE(UNTAGGED PUSHED("14"), EXPIRE),
		ONE(ANY PULLED("90"), ARCHIVE),
		ONE(ANY ARCHIVED("365"), EXPIRE),
		ONE(ANY COUNT("3"), EXPIRE),
		ONE(UNTAGGED COUNT("1"), ARCHIVE),
		ONE(PATTERNS("\"*prod*\",\"a*b*c*d*\"") PUSHED("1"), EXPIRE),
		ONE(PATTERNS("\"prod\"") PUSHED("1"), ARCHIVE),
		/* Each class has its last one. */
		TWO(RULE("1", ANY PUSHED("30"), ARCHIVE),
		    RULE("2", ANY ARCHIVED("365"), EXPIRE)),
		TWO(RULE("2", ANY PUSHED("30"), ARCHIVE),
		    RULE("1", ANY ARCHIVED("365"), EXPIRE)),
		/* One that shields from those below. */
		TWO(RULE("1", PREFIXES("\"keep\"") COUNT("100"), EXPIRE),
		    RULE("2", ANY PUSHED("1"), EXPIRE)),
		TWO(RULE("1", PREFIXES("\"alpha\"") PUSHED("5"), EXPIRE),
		    RULE("2", PREFIXES("\"beta\"") PUSHED("5"), EXPIRE)),
		TWO(RULE("1", UNTAGGED PUSHED("5"), EXPIRE),
		    RULE("2", UNTAGGED ARCHIVED("95"), EXPIRE)),
		TWO(RULE("1", PREFIXES("\"a\"") PUSHED("5"), EXPIRE),
		    RULE("2", PATTERNS("\"b*\"") PUSHED("5"), EXPIRE)),
		" \n" ONE(ANY COUNT("1"), EXPIRE) "\r\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		taken(texts[i]);
}

static void
the_policies_that_are_shipped_are_taken(void **state)
{
	static const struct {
		const char *path;
		size_t n_rules;
	} rows[] = {
		{ "configs/policies/expire-untagged-after-14-days.json", 1 },
		{ "configs/policies/keep-last-30.json", 1 },
		{ "configs/policies/prefixes-and-patterns.json", 5 },
		{ "configs/policies/archive-after-90-days-not-pulled.json", 2 },
		{ "configs/policies/expire-after-30-days.json", 1 },
		{ "configs/policies/keep-one-untagged.json", 1 },
		{ "configs/policies/extensions-expire-unused.json", 2 },
	};
	char text[30720], why[LIFECYCLE_WHY_BYTES];
	size_t i, n;
	FILE *f;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_non_null(f = fopen(rows[i].path, "r"));
		n = fread(text, 1, sizeof(text) - 1, f);
		(void)fclose(f);
		text[n] = '\0';
		/* The API takes no shorter one. */
		assert_true(n >= 100);
		if (strstr(rows[i].path, "/extensions-") != NULL) {
			assert_int_equal(
			    read_span(span_of(text), 0, why), RC_INVALID);
			extended_taken(text);
		} else {
			taken(text);
		}
		assert_int_equal(policy.n_rules, rows[i].n_rules);
	}
}

/* --- what is no policy --------------------------------------------------- */

#define NO_POLICY "Could not map policyString into LifecyclePolicy."

static void
what_is_no_json_object_is_no_policy(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"{",
		"nonsense",
		"7",
		"\"rules\"",
		"null",
		"{\"rules\":[]",
		"{\"rules\":[]} x",
		"{'rules':[]}",
		"{\"rules\":[],}",
		"{\"rules\":[],\"rules\":[]}",
		"{\"rules\":[],\"\\u0072ules\":[]}",
		"{\"rules\":[{\"rulePriority\":1,\"rulePriority\":1}]}",
		"{\"rules\":[\"\xff\"]}",
		"{\"rules\":[\"\\u0000\"]}",
		"\xef\xbb\xbf{\"rules\":[]}",
		ONE(ANY COUNT("NaN"), EXPIRE),
		ONE(ANY COUNT("Infinity"), EXPIRE),
		ONE(ANY COUNT("1e999"), EXPIRE),
		ONE(ANY COUNT("01"), EXPIRE),
		ONE(ANY COUNT("+1"), EXPIRE),
		ONE(ANY COUNT("0x1"), EXPIRE),
		ONE(ANY COUNT("9223372036854775808"), EXPIRE),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		refused_as(texts[i], NO_POLICY " (line 1");
	refused("[]", NO_POLICY " (it is not a JSON object)");
	refused("[" ONE(ANY COUNT("1"), EXPIRE) "]",
	    NO_POLICY " (it is not a JSON object)");
}

static void
what_is_too_long_or_too_deep_is_no_policy(void **state)
{
	char why[LIFECYCLE_WHY_BYTES];
	size_t n = LIFECYCLE_POLICY_MAX_BYTES + 1;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', n);
	memcpy(text, ONE(ANY COUNT("1"), EXPIRE),
	    strlen(ONE(ANY COUNT("1"), EXPIRE)));
	assert_int_equal(
	    read_span((struct span){ text, n - 1 }, 0, why), RC_OK);
	assert_int_equal(
	    read_span((struct span){ text, n }, 0, why), RC_INVALID);
	assert_string_equal(why, NO_POLICY " (longer than 122880 bytes)");
	memset(text, '[', n);
	assert_int_equal(
	    read_span((struct span){ text, n - 1 }, 0, why), RC_INVALID);
	assert_string_equal(
	    why, NO_POLICY " (nested more than 128 levels deep)");
	assert_int_equal(read_span(SPAN_NONE, 0, why), RC_INVALID);
	free(text);
}

/* --- the schema ---------------------------------------------------------- */

#define MISSING(list) "object has missing required properties ([" list "])"

static void
missing_members_are_named_in_order(void **state)
{
	(void)state;
	refused("{}", MISSING("\"rules\""));
	refused("{\"Rules\":[]}", MISSING("\"rules\""));
	refused("{\"rules\":[{}]}",
	    MISSING("\"action\",\"rulePriority\",\"selection\"") " (at "
								 "rules[0])");
	refused("{\"rules\":[{\"rulePriority\":4,\"action\":{}}]}",
	    MISSING("\"selection\"") " (at rules[0], rulePriority 4)");
	refused(POLICY(RULE("1", ANY COUNT("1"),
		    EXPIRE) ","
			    "{\"rulePriority\":2,\"selection\":{},\"action\":"
			    "{" EXPIRE "}}"),
	    MISSING("\"countNumber\",\"countType\",\"tagStatus\"") " (at "
								   "rules[1]."
								   "selection, "
								   "rulePriorit"
								   "y 2)");
	refused(ONE(ANY COUNT("1"), ""),
	    MISSING("\"type\"") " (at rules[0].action, rulePriority 1)");
	refused_as(ONE("\"countType\":\"imageCountMoreThan\"," ANY
		       "\"countUnit\":\"days\"",
		       EXPIRE),
	    MISSING("\"countNumber\"") " (at rules[0].selection,");
	refused_as(ONE(ANY "\"countNumber\":1", EXPIRE),
	    MISSING("\"countType\"") " (at rules[0].selection,");
	refused_as(ONE(COUNT("1"), EXPIRE),
	    MISSING("\"tagStatus\"") " (at rules[0].selection,");
}

#define UNKNOWN(list) \
	"object instance has properties which are not allowed by the " \
	"schema: ([" list "])"

static void
unknown_members_are_named_in_order(void **state)
{
	(void)state;
	refused("{\"rules\":[],\"Version\":\"1\"}", UNKNOWN("\"Version\""));
	refused("{\"rules\":[],\"x\":{\"x\":[null]}}", UNKNOWN("\"x\""));
	refused("{\"rules\":[],\"b\":1,\"c\":1,\"a\":1}",
	    UNKNOWN("\"a\",\"b\",\"c\""));
	refused("{\"g\":1,\"f\":1,\"e\":1,\"d\":1,\"c\":1,\"b\":1,\"a\":1,"
		"\"rules\":[]}",
	    UNKNOWN("\"a\",\"b\",\"c\",\"d\",\"e\",..."));
	refused("{\"rules\":[{\"rulePriority\":1,\"selection\":{},\"action\":"
		"{},\"name\":\"x\"}]}",
	    UNKNOWN("\"name\"") " (at rules[0], rulePriority 1)");
	refused(ONE("\"tagList\":[]," ANY COUNT("1"), EXPIRE),
	    UNKNOWN("\"tagList\"") " (at rules[0].selection, rulePriority 1)");
	refused(ONE(ANY COUNT("1"), EXPIRE ",\"days\":1"),
	    UNKNOWN("\"days\"") " (at rules[0].action, rulePriority 1)");
	/* What a client wrote is one line of JSON and not long. */
	refused("{\"rules\":[],\"a\\nb\\\"c\\\\\":1,\"\":1}",
	    UNKNOWN("\"\",\"a?b\\\"c\\\\\""));
	refused("{\"rules\":[],\""
		"0123456789012345678901234567890123456789"
		"01234567890123456789012\xc3\xa4\xc3\xa4\":1}",
	    UNKNOWN("\"0123456789012345678901234567890123456789"
		    "01234567890123456789012...\""));
}

#define TYPE(is, wanted) \
	"instance type (" is ") does not match any allowed primitive type " \
	"(allowed: [\"" wanted "\"])"

static void
types_are_looked_at(void **state)
{
	(void)state;
	refused("{\"rules\":{}}", TYPE("object", "array") " (at rules)");
	refused("{\"rules\":null}", TYPE("null", "array") " (at rules)");
	refused(
	    "{\"rules\":[\"x\"]}", TYPE("string", "object") " (at rules[0])");
	refused("{\"rules\":[null]}", TYPE("null", "object") " (at rules[0])");
	refused("{\"rules\":[[]]}", TYPE("array", "object") " (at rules[0])");
	refused("{\"rules\":[{\"rulePriority\":3,\"selection\":\"any\","
		"\"action\":{" EXPIRE "}}]}",
	    TYPE("string", "object") " (at rules[0].selection, rulePriority "
				     "3)");
	refused_as("{\"rules\":[{\"rulePriority\":3,\"selection\":{},"
		   "\"action\":\"expire\"}]}",
	    TYPE("string", "object") " (at rules[0].action");
	refused_as("{\"rules\":[{\"rulePriority\":3,\"selection\":{},"
		   "\"action\":null}]}",
	    TYPE("null", "object") " (at rules[0].action");
	refused_as("{\"rules\":[{\"rulePriority\":3,\"selection\":{},"
		   "\"action\":{" EXPIRE "},\"description\":null}]}",
	    TYPE("null", "string") " (at rules[0].description");
	refused_as(ONE("\"tagStatus\":true," COUNT("1"), EXPIRE),
	    TYPE("boolean", "string") " (at rules[0].selection.tagStatus");
	refused_as(ONE("\"storageClass\":null," ANY COUNT("1"), EXPIRE),
	    TYPE("null", "string") " (at rules[0].selection.storageClass");
	refused_as(
	    ONE(TAGS("tagged") "\"tagPrefixList\":\"a\"," COUNT("1"), EXPIRE),
	    TYPE("string", "array") " (at rules[0].selection.tagPrefixList");
	refused_as(ONE("\"tagPrefixList\":null," ANY COUNT("1"), EXPIRE),
	    TYPE("null", "array") " (at rules[0].selection.tagPrefixList");
	refused_as(ONE(PATTERNS("\"a\",null") COUNT("1"), EXPIRE),
	    TYPE("null", "string") " (at rules[0].selection.tagPatternList[1]");
	refused_as(
	    ONE(PATTERNS("7") COUNT("1"), EXPIRE), TYPE("integer", "string"));
}

static void
an_integer_is_written_as_one(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ POLICY(RULE("1.0", ANY COUNT("1"), EXPIRE)),
		    TYPE("number", "integer") " (at rules[0].rulePriority)" },
		{ POLICY(RULE("\"1\"", ANY COUNT("1"), EXPIRE)),
		    TYPE("string", "integer") " (at rules[0].rulePriority)" },
		{ POLICY(RULE("null", ANY COUNT("1"), EXPIRE)),
		    TYPE("null", "integer") " (at rules[0].rulePriority)" },
		{ ONE(ANY COUNT("1.5"), EXPIRE),
		    TYPE("number",
			"integer") " (at rules[0].selection.countNumber, "
				   "rulePriority 1)" },
		{ ONE(ANY COUNT("1e2"), EXPIRE),
		    TYPE("number",
			"integer") " (at rules[0].selection.countNumber, "
				   "rulePriority 1)" },
		{ ONE(ANY COUNT("false"), EXPIRE),
		    TYPE("boolean",
			"integer") " (at rules[0].selection.countNumber, "
				   "rulePriority 1)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].text, rows[i].want);
}

#define LOW(found) \
	"numeric instance is lower than the required minimum (minimum: 1, " \
	"found: " found ")"

static void
numbers_begin_at_one(void **state)
{
	(void)state;
	refused(POLICY(RULE("0", ANY COUNT("1"), EXPIRE)),
	    LOW("0") " (at rules[0].rulePriority)");
	refused(POLICY(RULE("-9223372036854775808", ANY COUNT("1"), EXPIRE)),
	    LOW("-9223372036854775808") " (at rules[0].rulePriority)");
	refused(ONE(ANY COUNT("0"), EXPIRE),
	    LOW("0") " (at rules[0].selection.countNumber, rulePriority 1)");
	refused_as(ONE(UNTAGGED PUSHED("-0"), EXPIRE), LOW("0"));
	refused_as(ONE(UNTAGGED PUSHED("-1"), EXPIRE), LOW("-1"));
	taken(ONE(ANY COUNT("1"), EXPIRE));
	taken(ONE(ANY COUNT("9223372036854775807"), EXPIRE));
	assert_int_equal(policy.rules[0].number, INT64_MAX);
}

#define ENUM(is, values) \
	"instance value (" is ") not found in enum :(possible values: " \
	"[" values "])"

static void
words_are_of_a_list(void **state)
{
	(void)state;
	refused(ONE(TAGS("all") COUNT("1"), EXPIRE),
	    ENUM("all", "\"any\",\"tagged\",\"untagged\"") " (at "
							   "rules[0].selection."
							   "tagStatus, "
							   "rulePriority 1)");
	refused_as(ONE(TAGS("ANY") COUNT("1"), EXPIRE),
	    ENUM("ANY", "\"any\",\"tagged\",\"untagged\""));
	refused_as(ONE(TAGS("") COUNT("1"), EXPIRE),
	    ENUM("", "\"any\",\"tagged\",\"untagged\""));
	refused_as(ONE(ANY COUNT("1"), "\"type\":\"delete\""),
	    ENUM("delete", "\"expire\",\"transition\"") " (at rules[0]."
							"action.type");
	refused_as(ONE(ANY COUNT("1"),
		       "\"type\":\"transition\",\"targetStorageClass\":"
		       "\"glacier\""),
	    ENUM("glacier", "\"archive\""));
	refused_as(ONE("\"storageClass\":\"cold\"," ANY COUNT("1"), EXPIRE),
	    ENUM("cold", "\"archive\",\"standard\""));
	refused_as(ONE(ANY "\"countType\":\"sinceImagePushed\","
			   "\"countUnit\":\"hours\",\"countNumber\":1",
		       EXPIRE),
	    ENUM("hours", "\"days\""));
	refused_as(ONE(ANY "\"countType\":\"sinceImagePushed\","
			   "\"countUnit\":\"null\",\"countNumber\":1",
		       EXPIRE),
	    ENUM("null", "\"days\""));
}

#define NO_MATCH \
	"instance failed to match exactly one schema (matched 0 out of 2)"
#define IN_SELECTION " (at rules[0].selection, rulePriority 1: "
#define IN_ACTION " (at rules[0].action, rulePriority 1: "

static void
the_unit_is_there_with_days_and_only_then(void **state)
{
	static const char *const since[] = { "sinceImagePushed",
		"sinceImagePulled", "sinceImageTransitioned" };
	char text[512], want[512];
	size_t i;

	(void)state;
	refused(ONE(ANY DAYS("imageCountMoreThan", "1"), EXPIRE),
	    NO_MATCH IN_SELECTION "countUnit must be absent with countType "
				  "imageCountMoreThan)");
	refused(ONE("\"countUnit\":null," ANY COUNT("1"), EXPIRE),
	    NO_MATCH IN_SELECTION "countUnit must be absent with countType "
				  "imageCountMoreThan)");
	for (i = 0; i < ARRAY_LEN(since); i++) {
		(void)snprintf(text, sizeof(text),
		    ONE(ANY "\"countType\":\"%s\",\"countNumber\":1", EXPIRE),
		    since[i]);
		(void)snprintf(want, sizeof(want),
		    NO_MATCH IN_SELECTION
		    "countUnit is required with countType %s)",
		    since[i]);
		refused(text, want);
	}
	refused(ONE(ANY "\"countType\":\"sinceImagePushed\","
			"\"countUnit\":7,\"countNumber\":1",
		    EXPIRE),
	    NO_MATCH IN_SELECTION "countUnit must be a string with countType "
				  "sinceImagePushed)");
}

static void
a_count_type_is_one_of_four(void **state)
{
	static const char *const values[] = { "\"sinceImageBorn\"", "\"\"",
		"null", "1", "[]", "\"ImageCountMoreThan\"" };
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(values); i++) {
		(void)snprintf(text, sizeof(text),
		    ONE(ANY "\"countType\":%s,\"countNumber\":1", EXPIRE),
		    values[i]);
		refused(text, NO_MATCH IN_SELECTION
		    "countType must be one of imageCountMoreThan, "
		    "sinceImagePulled, sinceImagePushed, "
		    "sinceImageTransitioned)");
	}
}

static void
a_transition_and_nothing_else_has_a_target(void **state)
{
	(void)state;
	refused(ONE(ANY COUNT("1"), "\"type\":\"transition\""),
	    NO_MATCH IN_ACTION "targetStorageClass is required with type "
			       "transition)");
	refused(ONE(ANY COUNT("1"),
		    "\"type\":\"transition\",\"targetStorageClass\":null"),
	    NO_MATCH IN_ACTION "targetStorageClass must be a string with type "
			       "transition)");
	refused(ONE(ANY COUNT("1"), EXPIRE ",\"targetStorageClass\":null"),
	    NO_MATCH IN_ACTION "targetStorageClass must be absent with type "
			       "expire)");
	refused_as(
	    ONE(ANY COUNT("1"), EXPIRE ",\"targetStorageClass\":\"archive\""),
	    NO_MATCH IN_ACTION "targetStorageClass must be absent");
	refused(ONE(ANY COUNT("1"), "\"type\":null"),
	    NO_MATCH IN_ACTION "type must be one of expire, transition)");
}

/* --- sizes --------------------------------------------------------------- */

/* "${c}" ${n} times, as a JSON string. */
static void
add_string(struct buf *b, const char *c, size_t n)
{
	buf_char(b, '"');
	while (n-- > 0)
		buf_str(b, c);
	buf_char(b, '"');
}

static void
buf_refused_as(struct buf *b, const char *want)
{
	buf_char(b, '\0');
	assert_true(buf_ok(b));
	if (want == NULL)
		taken(b->p);
	else
		refused_as(b->p, want);
	buf_clear(b);
}

static void
text_of_description(struct buf *b, const char *c, size_t n)
{
	buf_str(b, "{\"rules\":[{\"rulePriority\":1,\"description\":");
	add_string(b, c, n);
	buf_str(b,
	    ",\"selection\":{" ANY COUNT("1") "},\"action\":{" EXPIRE "}}]}");
}

static void
a_description_has_so_many_characters(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, LIFECYCLE_POLICY_MAX_BYTES);
	text_of_description(&b, "x", 0);
	buf_refused_as(&b, NULL);
	text_of_description(&b, "\xf0\x9f\x98\x80", LIFECYCLE_DESCRIPTION_MAX);
	buf_refused_as(&b, NULL);
	assert_int_equal(
	    policy.rules[0].description.n, 4 * LIFECYCLE_DESCRIPTION_MAX);
	text_of_description(&b, "x", LIFECYCLE_DESCRIPTION_MAX + 1);
	buf_refused_as(&b,
	    "string "
	    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "...\" is too long (length: 1025, maximum allowed: 1024) (at "
	    "rules[0].description, rulePriority 1)");
	buf_free(&b);
}

static void
text_of_list(struct buf *b, size_t n, size_t length)
{
	size_t i;

	buf_str(b, "{\"rules\":[{\"rulePriority\":1,\"selection\":{" TAGS(
		       "tagged") "\"tagPrefixList\":[");
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_char(b, ',');
		add_string(b, "y", length);
	}
	buf_str(b, "]," COUNT("1") "},\"action\":{" EXPIRE "}}]}");
}

static void
a_tag_list_and_its_elements_have_bounds(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, LIFECYCLE_POLICY_MAX_BYTES);
	text_of_list(&b, LIFECYCLE_FILTERS_MAX, LIFECYCLE_FILTER_MAX);
	buf_refused_as(&b, NULL);
	text_of_list(&b, LIFECYCLE_FILTERS_MAX + 1, 1);
	buf_refused_as(&b,
	    "array is too long: must have at most 256 elements but instance "
	    "has 257 elements (at rules[0].selection.tagPrefixList,");
	text_of_list(&b, 0, 0);
	buf_refused_as(&b,
	    "array is too short: must have at least 1 elements but instance "
	    "has 0 elements (at rules[0].selection.tagPrefixList,");
	text_of_list(&b, 1, 0);
	buf_refused_as(&b,
	    "string \"\" is too short (length: 0, required minimum: 1) (at "
	    "rules[0].selection.tagPrefixList[0],");
	text_of_list(&b, 2, LIFECYCLE_FILTER_MAX + 1);
	buf_refused_as(&b, "string \"yyy");
	buf_free(&b);
	/* Empty is not absent. */
	refused_as(ONE("\"tagPrefixList\":[]," ANY COUNT("1"), EXPIRE),
	    "array is too short");
	refused_as(ONE("\"tagPatternList\":[]," UNTAGGED COUNT("1"), EXPIRE),
	    "array is too short");
}

static void
text_of_rules(struct buf *b, size_t n)
{
	size_t i;

	buf_str(b, "{\"rules\":[");
	for (i = 0; i < n; i++)
		buf_printf(b,
		    "%s" RULE("%zu", PREFIXES("\"p%zu\"") COUNT("1"), EXPIRE),
		    i > 0 ? "," : "", n - i, i);
	buf_str(b, "]}");
}

static void
a_policy_has_so_many_rules(void **state)
{
	char why[LIFECYCLE_WHY_BYTES];
	struct buf b;

	(void)state;
	buf_init(&b, LIFECYCLE_POLICY_MAX_BYTES);
	text_of_rules(&b, LIFECYCLE_RULES_MAX);
	buf_refused_as(&b, NULL);
	assert_int_equal(policy.n_rules, LIFECYCLE_RULES_MAX);
	text_of_rules(&b, LIFECYCLE_RULES_MAX + 1);
	buf_refused_as(&b,
	    "A lifecycle policy has at most 50 rules, but this one has 51 (at "
	    "rules)");
	text_of_rules(&b, 3);
	assert_int_equal(read_span(buf_as_span(&b), 2, why), RC_INVALID);
	assert_int_equal(read_span(buf_as_span(&b), 3, why), RC_OK);
	buf_clear(&b);
	text_of_rules(&b, 700);
	assert_true(buf_ok(&b));
	assert_int_equal(read_span(buf_as_span(&b), 0, why), RC_OK);
	assert_int_equal(policy.n_rules, 700);
	assert_int_equal(policy.rules[0].priority, 1);
	assert_int_equal(policy.rules[699].priority, 700);
	buf_free(&b);
	refused("{\"rules\":[]}",
	    "array is too short: must have at least 1 elements but instance "
	    "has 0 elements (at rules)");
}

static void
a_full_arena_is_told(void **state)
{
	static const char text[] =
	    POLICY("{\"rulePriority\":1,\"description\":\"0123456789\","
		   "\"selection\":{" PREFIXES("\"a\",\"b\"")
		       COUNT("1") "},\"action\":{" EXPIRE "}}");
	char why[LIFECYCLE_WHY_BYTES];
	size_t cap, n_toobig = 0;
	enum rc rc = RC_TOOBIG;

	(void)state;
	for (cap = 1; rc != RC_OK; cap++) {
		arena_reset(&arena);
		arena_init(&arena, cap);
		rc = read_span(span_of(text), 0, why);
		assert_true(rc == RC_OK || rc == RC_TOOBIG);
		n_toobig += rc == RC_TOOBIG;
		assert_true(cap < ARENA_BYTES);
	}
	assert_true(n_toobig > 0);
}

/* --- rule by rule -------------------------------------------------------- */

static void
tagged_has_one_list_and_others_none(void **state)
{
	(void)state;
	refused(ONE(TAGS("tagged") COUNT("1"), EXPIRE),
	    "Must specify tagPrefixList or tagPatternList when "
	    "tagStatus=TAGGED. (at rules[0].selection, rulePriority 1)");
	refused(ONE("\"tagPrefixList\":[\"a\"]," PATTERNS("\"b\"") COUNT("1"),
		    EXPIRE),
	    "Must not specify both tagPrefixList and tagPatternList in one "
	    "rule. (at rules[0].selection, rulePriority 1)");
	refused(ONE("\"tagPrefixList\":[\"a\"]," ANY COUNT("1"), EXPIRE),
	    "Must not specify tagPrefixList when tagStatus=ANY. (at "
	    "rules[0].selection.tagPrefixList, rulePriority 1)");
	refused(ONE("\"tagPatternList\":[\"a\"]," UNTAGGED COUNT("1"), EXPIRE),
	    "Must not specify tagPatternList when tagStatus=UNTAGGED. (at "
	    "rules[0].selection.tagPatternList, rulePriority 1)");
}

static void
a_pattern_has_four_wildcards_at_most(void **state)
{
	(void)state;
	taken(ONE(PATTERNS("\"*a*b*c*\"") COUNT("1"), EXPIRE));
	taken(ONE(PATTERNS("\"****\"") COUNT("1"), EXPIRE));
	refused(ONE(PATTERNS("\"x\",\"*a*b*c*d*\"") COUNT("1"), EXPIRE),
	    "A pattern has at most 4 wildcards (*), but \"*a*b*c*d*\" has 5 "
	    "(at rules[0].selection.tagPatternList[1], rulePriority 1)");
	refused_as(ONE(PATTERNS("\"a*****\"") COUNT("1"), EXPIRE),
	    "A pattern has at most 4 wildcards");
	/* In a prefix it is a character. */
	taken(ONE(PREFIXES("\"*****\"") COUNT("1"), EXPIRE));
}

#define TOGETHER \
	"countType sinceImageTransitioned and storageClass archive must be " \
	"used together."

static void
the_archive_goes_with_its_count(void **state)
{
	(void)state;
	refused(ONE("\"storageClass\":\"archive\"," ANY COUNT("1"), EXPIRE),
	    TOGETHER " (at rules[0].selection.countType, rulePriority 1)");
	refused_as(ONE("\"storageClass\":\"archive\"," ANY PUSHED("1"), EXPIRE),
	    TOGETHER);
	refused_as(
	    ONE("\"storageClass\":\"archive\"," ANY PULLED("1"), ARCHIVE),
	    TOGETHER);
	refused(ONE(ANY DAYS("sinceImageTransitioned", "100"), EXPIRE),
	    TOGETHER " (at rules[0].selection.storageClass, rulePriority 1)");
	refused_as(ONE("\"storageClass\":\"standard\"," ANY DAYS(
			   "sinceImageTransitioned", "100"),
		       EXPIRE),
	    TOGETHER);
}

static void
counts_go_with_their_actions(void **state)
{
	(void)state;
	taken(ONE(ANY COUNT("1"), EXPIRE));
	taken(ONE(ANY COUNT("1"), ARCHIVE));
	taken(ONE(ANY PUSHED("1"), EXPIRE));
	taken(ONE(ANY PUSHED("1"), ARCHIVE));
	taken(ONE(ANY PULLED("1"), ARCHIVE));
	refused(ONE(ANY PULLED("1"), EXPIRE),
	    "countType sinceImagePulled must be used with action transition. "
	    "(at rules[0].selection.countType, rulePriority 1)");
	refused(ONE(ANY ARCHIVED("90"), ARCHIVE),
	    "countType sinceImageTransitioned must be used with action "
	    "expire. (at rules[0].selection.countType, rulePriority 1)");
}

static void
the_archive_keeps_for_ninety_days(void **state)
{
	(void)state;
	taken(ONE(ANY ARCHIVED("90"), EXPIRE));
	refused(ONE(ANY ARCHIVED("89"), EXPIRE),
	    "countNumber must be at least 90 with countType "
	    "sinceImageTransitioned, found: 89. (at "
	    "rules[0].selection.countNumber, rulePriority 1)");
}

/* --- rules together ------------------------------------------------------ */

static void
a_priority_stands_once(void **state)
{
	(void)state;
	refused(TWO(RULE("5", UNTAGGED COUNT("1"), EXPIRE),
		    RULE("5", ANY ARCHIVED("90"), EXPIRE)),
	    "rulePriority must be unique, but 5 is the one of two rules. (at "
	    "rules[1].rulePriority, rulePriority 5)");
}

#define ANY_LAST \
	"Rule for tagStatus=ANY must have the lowest priority per storage " \
	"class"

static void
any_is_the_last_of_its_class(void **state)
{
	(void)state;
	refused(TWO(RULE("2", UNTAGGED COUNT("1"), EXPIRE),
		    RULE("1", ANY COUNT("1"), EXPIRE)),
	    ANY_LAST " (at rules[1].selection.tagStatus, rulePriority 1)");
	refused(TWO(RULE("1", ANY COUNT("1"), EXPIRE),
		    RULE("2", PREFIXES("\"a\"") COUNT("1"), EXPIRE)),
	    ANY_LAST " (at rules[0].selection.tagStatus, rulePriority 1)");
	/* So there is one of them. */
	refused(TWO(RULE("1", ANY COUNT("1"), EXPIRE),
		    RULE("2", ANY PUSHED("1"), EXPIRE)),
	    ANY_LAST " (at rules[0].selection.tagStatus, rulePriority 1)");
	refused_as(TWO(RULE("8", UNTAGGED ARCHIVED("90"), EXPIRE),
		       RULE("7", ANY ARCHIVED("91"), EXPIRE)),
	    ANY_LAST);
	taken(TWO(RULE("1", ANY COUNT("1"), EXPIRE),
	    RULE("2", UNTAGGED ARCHIVED("90"), EXPIRE)));
}

static void
untagged_stands_once_in_a_class(void **state)
{
	(void)state;
	refused(TWO(RULE("1", UNTAGGED COUNT("1"), EXPIRE),
		    RULE("2", UNTAGGED PUSHED("1"), EXPIRE)),
	    "Only one rule can select Untagged images per storage class (at "
	    "rules[1].selection.tagStatus, rulePriority 2)");
	refused_as(TWO(RULE("1", UNTAGGED ARCHIVED("90"), EXPIRE),
		       RULE("2", UNTAGGED ARCHIVED("91"), EXPIRE)),
	    "Only one rule can select Untagged images per storage class");
}

static void
a_tag_list_stands_once_in_a_class(void **state)
{
	(void)state;
	refused(TWO(RULE("1", PREFIXES("\"a\",\"b\"") COUNT("1"), EXPIRE),
		    RULE("2", PREFIXES("\"b\",\"a\"") PUSHED("1"), EXPIRE)),
	    "tagPrefixList must be unique per storage class, but the rule "
	    "with rulePriority 1 has the same. (at "
	    "rules[1].selection.tagPrefixList, rulePriority 2)");
	refused_as(TWO(RULE("1", PATTERNS("\"a\",\"a\"") COUNT("1"), EXPIRE),
		       RULE("2", PATTERNS("\"a\"") COUNT("1"), ARCHIVE)),
	    "tagPatternList must be unique per storage class");
	taken(TWO(RULE("1", PREFIXES("\"a\",\"b\"") COUNT("1"), EXPIRE),
	    RULE("2", PREFIXES("\"a\"") COUNT("1"), EXPIRE)));
	taken(TWO(RULE("1", PREFIXES("\"a\"") COUNT("1"), EXPIRE),
	    RULE("2", PREFIXES("\"A\"") COUNT("1"), EXPIRE)));
	/* Another kind, another class. */
	taken(TWO(RULE("1", PREFIXES("\"a\"") COUNT("1"), EXPIRE),
	    RULE("2", PATTERNS("\"a\"") COUNT("1"), EXPIRE)));
	taken(TWO(RULE("1", PREFIXES("\"a\"") COUNT("1"), EXPIRE),
	    RULE("2", PREFIXES("\"a\"") ARCHIVED("90"), EXPIRE)));
}

/* --- extensions ---------------------------------------------------------- */

#define SOME RULE("1", ANY COUNT("1"), EXPIRE)

static void
extensions_are_read(void **state)
{
	(void)state;
	extended_taken(GUARDED("\"keepLast\":7", SOME));
	assert_int_equal(policy.keep_last, 7);
	assert_int_equal(policy.n_protect_tags, 0);
	extended_taken(GUARDED("\"keepLast\":9223372036854775807", SOME));
	assert_true(policy.keep_last == INT64_MAX);
	extended_taken(GUARDED("\"protectTags\":[\"v*\",\"a\",\"v*\"]", SOME));
	assert_int_equal(policy.keep_last, 0);
	assert_int_equal(policy.n_protect_tags, 2);
	assert_true(span_is(policy.protect_tags[0], "a"));
	assert_true(span_is(policy.protect_tags[1], "v*"));
	extended_taken(ONE(ANY USED("5"), EXPIRE));
	assert_int_equal(policy.rules[0].count, LIFECYCLE_SINCE_USED);
	extended_taken(ONE(ANY USED("5"), ARCHIVE));
	extended_taken(ONE(ANY PULLED("5"), EXPIRE));
	assert_int_equal(policy.rules[0].count, LIFECYCLE_SINCE_PULLED);
	assert_int_equal(policy.rules[0].action, LIFECYCLE_EXPIRE);
}

static void
without_extensions_their_words_are_unknown(void **state)
{
	(void)state;
	refused(GUARDED("\"keepLast\":7", SOME), UNKNOWN("\"keepLast\""));
	refused(GUARDED("\"keepLast\":null", SOME), UNKNOWN("\"keepLast\""));
	refused(GUARDED("\"protectTags\":[\"a\"],\"keepLast\":0", SOME),
	    UNKNOWN("\"keepLast\",\"protectTags\""));
	refused("{\"keepLast\":1}", MISSING("\"rules\""));
	refused(ONE(ANY USED("5"), EXPIRE), NO_MATCH IN_SELECTION
	    "countType must be one of imageCountMoreThan, sinceImagePulled, "
	    "sinceImagePushed, sinceImageTransitioned)");
	refused(ONE(ANY PULLED("5"), EXPIRE),
	    "countType sinceImagePulled must be used with action transition. "
	    "(at rules[0].selection.countType, rulePriority 1)");
}

static void
every_policy_of_ecr_is_one_with_extensions_too(void **state)
{
	(void)state;
	extended_taken(ONE(ANY PULLED("90"), ARCHIVE));
	assert_int_equal(policy.keep_last, 0);
	assert_int_equal(policy.n_protect_tags, 0);
	extended_taken(TWO(RULE("1", ANY PUSHED("30"), ARCHIVE),
	    RULE("2", ANY ARCHIVED("365"), EXPIRE)));
	extended_refused("{\"rules\":[]}",
	    "array is too short: must have at least 1 elements but instance "
	    "has 0 elements (at rules)");
	extended_refused(GUARDED("\"x\":1", SOME), UNKNOWN("\"x\""));
}

static void
extensions_have_their_own_errors(void **state)
{
	(void)state;
	extended_refused(
	    GUARDED("\"keepLast\":0", SOME), LOW("0") " (at keepLast)");
	extended_refused(GUARDED("\"keepLast\":\"5\"", SOME),
	    TYPE("string", "integer") " (at keepLast)");
	extended_refused(GUARDED("\"keepLast\":null", SOME),
	    TYPE("null", "integer") " (at keepLast)");
	extended_refused(GUARDED("\"keepLast\":1.0", SOME),
	    TYPE("number", "integer") " (at keepLast)");
	extended_refused(GUARDED("\"protectTags\":\"v*\"", SOME),
	    TYPE("string", "array") " (at protectTags)");
	extended_refused(GUARDED("\"protectTags\":[]", SOME),
	    "array is too short: must have at least 1 elements but instance "
	    "has 0 elements (at protectTags)");
	extended_refused(GUARDED("\"protectTags\":[\"a\",\"\"]", SOME),
	    "string \"\" is too short (length: 0, required minimum: 1) (at "
	    "protectTags[1])");
	extended_refused(GUARDED("\"protectTags\":[\"*a*b*c*d*\"]", SOME),
	    "A pattern has at most 4 wildcards (*), but \"*a*b*c*d*\" has 5 "
	    "(at protectTags[0])");
	extended_refused(ONE(ANY "\"countType\":\"sinceImagePushedAndPulled\","
				 "\"countNumber\":1",
			     EXPIRE),
	    NO_MATCH IN_SELECTION "countUnit is required with countType "
				  "sinceImagePushedAndPulled)");
	extended_refused(
	    ONE(ANY PULLED("5") ",\"pushedCountNumber\":9", EXPIRE),
	    "pushedCountNumber must be used with countType "
	    "sinceImagePushedAndPulled. (at rules[0].selection."
	    "pushedCountNumber, rulePriority 1)");
	extended_refused(ONE(ANY USED("5") ",\"pushedCountNumber\":0", EXPIRE),
	    "numeric instance is lower than the required minimum (minimum: 1, "
	    "found: 0) (at rules[0].selection.pushedCountNumber, rulePriority "
	    "1)");
	extended_refused(
	    ONE("\"storageClass\":\"archive\"," ANY USED("1"), EXPIRE),
	    TOGETHER " (at rules[0].selection.countType, rulePriority 1)");
	extended_refused(
	    ONE(ANY "\"countType\":\"x\",\"countNumber\":1", EXPIRE),
	    NO_MATCH IN_SELECTION
	    "countType must be one of imageCountMoreThan, sinceImagePulled, "
	    "sinceImagePushed, sinceImagePushedAndPulled, "
	    "sinceImageTransitioned)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_begin, arena_end)

static void
size_is(const char *unit, size_t n, enum rc want)
{
	size_t i, bytes = strlen(unit);
	char why[LIFECYCLE_WHY_BYTES];
	char *text = xcalloc(n + 1, bytes), count[32];

	for (i = 0; i < n; i++)
		memcpy(text + i * bytes, unit, bytes);
	assert_int_equal(
	    lifecycle_policy_size_check((struct span){ text, n * bytes }, why),
	    want);
	(void)snprintf(count, sizeof(count), "has %zu", n);
	if (want == RC_OK)
		assert_string_equal(why, "");
	else
		assert_non_null(strstr(why, count));
	free(text);
}

static void
a_policy_has_so_many_characters(void **state)
{
	(void)state;
	size_is("x", 99, RC_INVALID);
	size_is("x", 100, RC_OK);
	size_is("x", 30720, RC_OK);
	size_is("x", 30721, RC_INVALID);
	/* Characters, not bytes. */
	size_is("\xc3\xa4", 99, RC_INVALID);
	size_is("\xc3\xa4", 30720, RC_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rule_is_read_as_it_is_written),
		TEST(each_word_has_its_meaning),
		TEST(rules_come_by_priority),
		TEST(a_tag_list_is_a_set),
		TEST(what_people_write_is_taken),
		TEST(the_policies_that_are_shipped_are_taken),
		TEST(what_is_no_json_object_is_no_policy),
		TEST(what_is_too_long_or_too_deep_is_no_policy),
		TEST(missing_members_are_named_in_order),
		TEST(unknown_members_are_named_in_order),
		TEST(types_are_looked_at),
		TEST(an_integer_is_written_as_one),
		TEST(numbers_begin_at_one),
		TEST(words_are_of_a_list),
		TEST(the_unit_is_there_with_days_and_only_then),
		TEST(a_count_type_is_one_of_four),
		TEST(a_transition_and_nothing_else_has_a_target),
		TEST(a_description_has_so_many_characters),
		TEST(a_tag_list_and_its_elements_have_bounds),
		TEST(a_policy_has_so_many_rules),
		TEST(a_full_arena_is_told),
		TEST(a_policy_has_so_many_characters),
		TEST(tagged_has_one_list_and_others_none),
		TEST(a_pattern_has_four_wildcards_at_most),
		TEST(the_archive_goes_with_its_count),
		TEST(counts_go_with_their_actions),
		TEST(the_archive_keeps_for_ninety_days),
		TEST(a_priority_stands_once),
		TEST(any_is_the_last_of_its_class),
		TEST(untagged_stands_once_in_a_class),
		TEST(a_tag_list_stands_once_in_a_class),
		TEST(extensions_are_read),
		TEST(without_extensions_their_words_are_unknown),
		TEST(every_policy_of_ecr_is_one_with_extensions_too),
		TEST(extensions_have_their_own_errors),
	};

	return (
	    cmocka_run_group_tests_name("lifecycle/policy", tests, NULL, NULL));
}
