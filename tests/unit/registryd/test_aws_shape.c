#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/obj.h"
#include "ecr_tools.h"
#include "registryd/api/aws_form.h"
#include "registryd/api/aws_int.h"

/* The validator over shapes of every kind, and the parser of forms. */

static bool
is_lower(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < 'a' || s.p[i] > 'z')
			return (false);
	return (s.n > 0);
}

static const char *const colours[] = { "RED", "GREEN", NULL };
static const struct aws_shape boolean = { .type = AWS_BOOLEAN };
static const struct aws_shape colour = {
	.type = AWS_STRING,
	.values = colours,
};
static const struct aws_shape word = {
	.type = AWS_STRING,
	.min = 2,
	.max = 4,
	.expression = "[a-z]+",
	.matches = is_lower,
};
static const struct aws_shape text = {
	.type = AWS_STRING,
	.min = 1,
	.max = 3,
};
static const struct aws_shape number = {
	.type = AWS_INTEGER,
	.min = 1,
	.max = 1000,
};
static const struct aws_shape words = {
	.type = AWS_LIST,
	.element = &word,
	.min = 1,
	.max = 2,
};
static const struct aws_shape id = {
	.type = AWS_STRING,
	.max = 8,
	.expression = "[0-9]{2,4}|x",
	.pattern = "^([0-9]{2,4}|x)$",
};
static const struct aws_shape blob = { .type = AWS_BLOB, .min = 0, .max = 2 };
static const struct aws_shape map = {
	.type = AWS_MAP,
	.key = &word,
	.element = &number,
};
static const struct aws_member pair_members[] = {
	{ "Key", &word, true },
	{ "Value", &text, false },
};
static const struct aws_shape pair = {
	.type = AWS_STRUCTURE,
	.members = pair_members,
	.n_members = ARRAY_LEN(pair_members),
};
static const struct aws_shape pairs = { .type = AWS_LIST, .element = &pair };
static const struct aws_member members[] = {
	{ "name", &word, true },
	{ "text", &text, false },
	{ "count", &number, false },
	{ "force", &boolean, false },
	{ "colour", &colour, false },
	{ "words", &words, false },
	{ "map", &map, false },
	{ "pairs", &pairs, false },
	{ "id", &id, false },
	{ "blob", &blob, false },
};
static const struct aws_shape shape = {
	.type = AWS_STRUCTURE,
	.members = members,
	.n_members = ARRAY_LEN(members),
};

struct asked {
	struct http_exchange x;
	struct call c;
};

static void
asked_init(struct asked *a, enum api_shape wire)
{
	memset(a, 0, sizeof(*a));
	arena_init(&a->x.arena, 1 << 20);
	a->c = (struct call){
		.x = &a->x,
		.request = &a->x.request,
		.answer = &a->x.response,
		.arena = &a->x.arena,
		.shape = wire,
	};
}

static void
expect(const char *input, enum api_error error, const char *message)
{
	char why[JSON_ERROR_BYTES];
	struct asked a;
	json_t *in;
	enum rc rc;

	asked_init(&a, SHAPE_AWS_JSON);
	assert_int_equal(json_read(span_of(input), why, &in), RC_OK);
	rc = aws_validate(&a.c, &shape, in);
	if (rc != (error == API_OK ? RC_OK : RC_FAILED) || a.c.error != error)
		fail_msg("%s: %s %s", input, rc_text(rc),
		    a.c.message != NULL ? a.c.message : "");
	if (message != NULL)
		assert_string_equal(a.c.message, message);
	json_decref(in);
	arena_reset(&a.x.arena);
}

static void
what_fits_is_taken(void **state)
{
	(void)state;
	expect("{\"name\":\"ab\"}", API_OK, NULL);
	expect("{\"name\":\"ab\",\"text\":null,\"unknown\":{\"a\":[1]}}",
	    API_OK, NULL);
	expect("{\"name\":\"abcd\",\"text\":\"\xc3\xa4\xc3\xb6\xc3\xbc\","
	       "\"count\":1000,\"force\":false,\"colour\":\"GREEN\","
	       "\"words\":[\"ab\",\"cd\"],\"map\":{\"ab\":1},"
	       "\"pairs\":[{\"Key\":\"ab\",\"Value\":\"x\"},{\"Key\":\"cd\"}]}",
	    API_OK, NULL);
}

static void
a_missing_member_is_named(void **state)
{
	(void)state;
	expect("{}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT("name", "Member must not be null"));
	expect("{\"name\":null}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT("name", "Member must not be null"));
	expect("{\"name\":\"ab\",\"pairs\":[{\"Key\":\"ab\"},{}]}",
	    AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT("pairs.2.member.Key", "Member must not be null"));
	expect("{\"name\":\"ab\",\"words\":[null]}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT("words.1.member", "Member must not be null"));
	expect("{\"name\":\"ab\",\"map\":{\"ab\":null}}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT("map.ab", "Member must not be null"));
}

static void
lengths_and_values_have_bounds(void **state)
{
	(void)state;
	expect("{\"name\":\"a\"}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"name", "Member must have length greater than or equal to 2"));
	expect("{\"name\":\"abcde\"}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"name", "Member must have length less than or equal to 4"));
	expect("{\"name\":\"ab\",\"count\":0}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"count", "Member must have value greater than or equal to 1"));
	expect("{\"name\":\"ab\",\"count\":1001}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"count", "Member must have value less than or equal to 1000"));
	expect("{\"name\":\"ab\",\"words\":[]}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"words", "Member must have length greater than or equal to 1"));
	expect("{\"name\":\"ab\",\"words\":[\"ab\",\"ab\",\"ab\"]}",
	    AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"words", "Member must have length less than or equal to 2"));
}

static void
patterns_and_enumerations_are_shown(void **state)
{
	(void)state;
	expect("{\"name\":\"aB\"}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT("name", "must satisfy regular expression '[a-z]+'"));
	expect("{\"name\":\"ab\",\"colour\":\"BLUE\"}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"colour", "Member must satisfy enum value set: [RED, GREEN]"));
	expect(
	    "{\"name\":\"ab\",\"colour\":\"\"}", AWS_INVALID_PARAMETER, NULL);
	expect("{\"name\":\"ab\",\"map\":{\"AB\":1}}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"map.AB", "must satisfy regular expression '[a-z]+'"));
}

static void
other_types_cannot_be_read(void **state)
{
	static const char *const inputs[] = {
		"{\"name\":\"ab\",\"blob\":7}",
		"{\"name\":\"ab\",\"blob\":[\"YQ==\"]}",
		"{\"name\":[\"ab\"]}",
		"{\"name\":{}}",
		"{\"name\":true}",
		"{\"name\":\"ab\",\"count\":1.5}",
		"{\"name\":\"ab\",\"count\":\"1\"}",
		"{\"name\":\"ab\",\"force\":\"true\"}",
		"{\"name\":\"ab\",\"force\":0}",
		"{\"name\":\"ab\",\"words\":\"ab\"}",
		"{\"name\":\"ab\",\"words\":{\"a\":1}}",
		"{\"name\":\"ab\",\"words\":[1]}",
		"{\"name\":\"ab\",\"map\":[]}",
		"{\"name\":\"ab\",\"pairs\":[\"a\"]}",
		"[]",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(inputs); i++)
		expect(inputs[i], AWS_SERIALIZATION, NULL);
	expect("{\"name\":\"ab\",\"count\":\"1\"}", AWS_SERIALIZATION,
	    "STRING_VALUE cannot be converted to Integer at 'count'");
	expect("{\"name\":\"ab\",\"blob\":true}", AWS_SERIALIZATION,
	    "TRUE_VALUE cannot be converted to Blob at 'blob'");
	expect("{\"name\":7}", AWS_SERIALIZATION,
	    "NUMBER_VALUE cannot be converted to String at 'name'");
}

/* --- patterns ------------------------------------------------------------ */

static void
a_pattern_covers_the_whole_text(void **state)
{
	static const char *const good[] = { "12", "1234", "x" };
	static const char *const bad[] = { "", "1", "12345", "xx", "x1", "1x",
		"12\\n", "\\n12", " 12", "\xc3\xa4" };
	char input[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++) {
		(void)snprintf(input, sizeof(input),
		    "{\"name\":\"ab\",\"id\":\"%s\"}", good[i]);
		expect(input, API_OK, NULL);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(input, sizeof(input),
		    "{\"name\":\"ab\",\"id\":\"%s\"}", bad[i]);
		expect(input, AWS_INVALID_PARAMETER,
		    ECR_CONSTRAINT("id",
			"must satisfy regular expression '[0-9]{2,4}|x'"));
	}
	/* The length is looked at first. */
	expect("{\"name\":\"ab\",\"id\":\"123456789\"}", AWS_INVALID_PARAMETER,
	    ECR_CONSTRAINT(
		"id", "Member must have length less than or equal to 8"));
}

static void
an_alternative_is_no_way_around_an_anchor(void **state)
{
	static const char loose[] = "^a|b$";

	(void)state;
	assert_true(aws_pattern_ok(loose, SPAN("a")));
	assert_true(aws_pattern_ok(loose, SPAN("b")));
	assert_false(aws_pattern_ok(loose, SPAN("ax")));
	assert_false(aws_pattern_ok(loose, SPAN("xb")));
	assert_false(aws_pattern_ok("a*", SPAN("ab")));
	assert_true(aws_pattern_ok("a*", SPAN("")));
	assert_true(aws_pattern_ok("a|ab", SPAN("ab")));
}

static void
a_text_with_a_nul_satisfies_no_pattern(void **state)
{
	(void)state;
	assert_true(aws_pattern_ok(".*", SPAN("ab")));
	assert_false(aws_pattern_ok(".*", SPAN("a\0b")));
	assert_false(aws_pattern_ok("^a$", SPAN("a\0")));
}

#define LONG_BYTES 4097

static void
a_text_beyond_all_shapes_satisfies_no_pattern(void **state)
{
	char as[LONG_BYTES];

	(void)state;
	memset(as, 'a', sizeof(as));
	assert_true(
	    aws_pattern_ok("^a+$", (struct span){ as, LONG_BYTES - 1 }));
	assert_false(aws_pattern_ok("^a+$", (struct span){ as, LONG_BYTES }));
}

static void
what_a_blob_holds_is_left_to_its_handler(void **state)
{
	(void)state;
	expect("{\"name\":\"ab\",\"blob\":\"\"}", API_OK, NULL);
	expect(
	    "{\"name\":\"ab\",\"blob\":\"YWJjZGVm not base64\"}", API_OK, NULL);
}

/* Shapes are few and hold each other; none holds itself. */
static void
shape_check(const struct aws_shape *s, size_t *n)
{
	size_t i;

	if (s->pattern != NULL) {
		(void)aws_pattern_ok(s->pattern, SPAN("x"));
		assert_non_null(s->expression);
		assert_null(s->matches);
		assert_int_equal(s->pattern[0], '^');
		assert_int_equal(s->pattern[strlen(s->pattern) - 1], '$');
		(*n)++;
	}
	if (s->element != NULL)
		shape_check(s->element, n);
	if (s->key != NULL)
		shape_check(s->key, n);
	for (i = 0; i < s->n_members; i++)
		shape_check(s->members[i].shape, n);
}

static void
each_pattern_of_the_table_compiles(void **state)
{
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < n_aws_operations; i++)
		shape_check(&aws_operations[i].input, &n);
	assert_true(n > 10);
}

#define THREADS 4
static const char *const shared[] = { "^a+$", "^b+$", "^[0-9]{3}$", "^c?d$" };

static void *
patterns_try(void *arg)
{
	static const char *const texts[] = { "aaa", "b", "123", "d" };
	size_t i, j, k;

	for (i = 0; i < 1000; i++)
		for (j = 0; j < ARRAY_LEN(shared); j++)
			for (k = 0; k < ARRAY_LEN(texts); k++)
				if (aws_pattern_ok(shared[j],
					span_of(texts[k])) != (j == k))
					return (arg);
	return (NULL);
}

static void
threads_share_patterns(void **state)
{
	pthread_t t[THREADS];
	void *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&t[i], NULL, patterns_try, &wrong), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &wrong), 0);
		assert_null(wrong);
	}
}

/* --- forms --------------------------------------------------------------- */

static enum rc
form_of(const char *body, struct asked *a, struct aws_form *form)
{
	asked_init(a, SHAPE_AWS_QUERY);
	return (aws_form_parse(span_of(body), &a->x.arena, form));
}

static void
a_form_is_decoded(void **state)
{
	struct aws_form form;
	struct asked a;
	struct span v;

	(void)state;
	assert_int_equal(
	    form_of("a=1+2%2B3&b%20c=%C3%A4&&d&=e&a=2&f=x=y", &a, &form),
	    RC_OK);
	assert_int_equal(form.n, 6);
	assert_true(aws_form_get(&form, "a", &v) && span_is(v, "1 2+3"));
	assert_true(aws_form_get(&form, "b c", &v) && span_is(v, "\xc3\xa4"));
	assert_true(aws_form_get(&form, "d", &v) && v.n == 0);
	assert_true(aws_form_get(&form, "", &v) && span_is(v, "e"));
	assert_true(aws_form_get(&form, "f", &v) && span_is(v, "x=y"));
	assert_false(aws_form_get(&form, "A", &v));
	arena_reset(&a.x.arena);
}

static void
a_malformed_form_is_refused(void **state)
{
	static const char *const bodies[] = { "a=%", "a=%4", "a=%zz", "%=1",
		"a=%00", "a=%1f", "a=%7F", "a=\x01" };
	struct aws_form form;
	struct asked a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bodies); i++) {
		assert_int_equal(form_of(bodies[i], &a, &form), RC_INVALID);
		arena_reset(&a.x.arena);
	}
}

static void
a_form_has_a_bounded_number_of_pairs(void **state)
{
	char body[2 * (FORM_PAIRS_MAX + 1) + 1];
	struct aws_form form;
	struct asked a;
	size_t i;

	(void)state;
	for (i = 0; i <= FORM_PAIRS_MAX; i++)
		memcpy(body + 2 * i, "a&", 3);
	assert_int_equal(form_of(body, &a, &form), RC_LIMIT);
	arena_reset(&a.x.arena);
	body[2 * FORM_PAIRS_MAX] = '\0';
	assert_int_equal(form_of(body, &a, &form), RC_OK);
	assert_int_equal(form.n, FORM_PAIRS_MAX);
	arena_reset(&a.x.arena);
}

static void
a_form_gets_its_types_from_the_shape(void **state)
{
	static const struct aws_member some[] = {
		{ "name", &word, true },
		{ "count", &number, false },
		{ "force", &boolean, false },
	};
	static const struct aws_shape flat = {
		.type = AWS_STRUCTURE,
		.members = some,
		.n_members = ARRAY_LEN(some),
	};
	struct aws_form form;
	struct asked a;
	json_t *in;

	(void)state;
	assert_int_equal(
	    form_of("name=ab&count=-5&force=true&x=y", &a, &form), RC_OK);
	assert_int_equal(aws_form_input(&a.c, &form, &flat, &in), RC_OK);
	assert_int_equal(json_object_size(in), 3);
	assert_true(span_is(aws_string(in, "name"), "ab"));
	assert_true(aws_true(in, "force"));
	assert_int_equal(json_integer_value(aws_member(in, "count")), -5);
	assert_int_equal(aws_validate(&a.c, &flat, in), RC_FAILED);
	assert_string_equal(a.c.message,
	    "1 validation error detected: Value '-5' at 'count' failed to "
	    "satisfy constraint: Member must have value greater than or equal "
	    "to 1");
	json_decref(in);
	arena_reset(&a.x.arena);

	assert_int_equal(form_of("name=ab&count=five", &a, &form), RC_OK);
	assert_int_equal(aws_form_input(&a.c, &form, &flat, &in), RC_FAILED);
	assert_int_equal(a.c.error, AWS_SERIALIZATION);
	assert_null(in);
	arena_reset(&a.x.arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_taken),
		cmocka_unit_test(a_missing_member_is_named),
		cmocka_unit_test(lengths_and_values_have_bounds),
		cmocka_unit_test(patterns_and_enumerations_are_shown),
		cmocka_unit_test(other_types_cannot_be_read),
		cmocka_unit_test(a_pattern_covers_the_whole_text),
		cmocka_unit_test(an_alternative_is_no_way_around_an_anchor),
		cmocka_unit_test(a_text_with_a_nul_satisfies_no_pattern),
		cmocka_unit_test(a_text_beyond_all_shapes_satisfies_no_pattern),
		cmocka_unit_test(what_a_blob_holds_is_left_to_its_handler),
		cmocka_unit_test(each_pattern_of_the_table_compiles),
		cmocka_unit_test(threads_share_patterns),
		cmocka_unit_test(a_form_is_decoded),
		cmocka_unit_test(a_malformed_form_is_refused),
		cmocka_unit_test(a_form_has_a_bounded_number_of_pairs),
		cmocka_unit_test(a_form_gets_its_types_from_the_shape),
	};

	return (cmocka_run_group_tests_name("aws_shape", tests, NULL, NULL));
}
