#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth_tools.h"

#include "auth/htpasswd_int.h"
#include "base/buf.h"

/* bcrypt, cost 4, of "secret". */
#define HASH "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

static enum rc
parse(const char *text, char why[256], struct htpasswd **h_r)
{
	why[0] = '\0';
	return (htpasswd_parse(span_of(text), why, 256, h_r));
}

static void
bad(const char *text, const char *part)
{
	struct htpasswd *h;
	char why[256];

	assert_int_equal(parse(text, why, &h), RC_INVALID);
	assert_null(h);
	if (strstr(why, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, part);
}

static void
test_users_comments_and_blank_lines_are_read(void **state)
{
	struct htpasswd *h;
	char why[256];

	(void)state;
	assert_int_equal(
	    parse("# people\n\nzoe:" HASH "\n \t\nada:" HASH, why, &h), RC_OK);
	assert_int_equal(h->n, 2);
	assert_true(span_is(h->users[0].name, "ada"));
	assert_true(span_is(h->users[0].hash, HASH));
	assert_int_equal(h->users[0].line, 5);
	htpasswd_free(&h);
	assert_int_equal(parse("", why, &h), RC_OK);
	assert_int_equal(h->n, 0);
	htpasswd_free(&h);
}

static void
test_the_three_marks_of_bcrypt_are_taken_and_no_others(void **state)
{
	static const char *const good[] = { "2a", "2b", "2y" };
	char text[128], why[256];
	struct htpasswd *h;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "a:$%s%s", good[i], &HASH[3]);
		assert_int_equal(parse(text, why, &h), RC_OK);
		htpasswd_free(&h);
	}
	bad("a:$2x$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
	    "line 1: ");
	bad("x:" HASH "\na:$apr1$abcdefgh$0123456789012345678901", "line 2: ");
	bad("a:{SHA}5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", "bcrypt");
	bad("a:secret", "bcrypt");
	bad("a:" HASH "x", "bcrypt");
	bad("a:" HASH ":more", "bcrypt");
	bad("a:", "bcrypt");
}

static void
test_a_cost_that_would_hold_a_core_is_refused(void **state)
{
	(void)state;
	bad("a:$2b$15$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
	    "cost");
	bad("a:$2b$03$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
	    "cost");
}

static void
test_what_is_wrong_is_named_by_its_line_without_the_hash(void **state)
{
	char why[256];
	struct htpasswd *h;

	(void)state;
	bad("a\n", "line 1: ");
	bad("\n\n:" HASH, "line 3: ");
	bad("a b:" HASH, "a name is");
	bad("a:" HASH "\r\n", "carriage return");
	bad("a:" HASH "\nb:" HASH "\na:" HASH,
	    "line 3: \"a\" stands in line 1");
	bad("aws:" HASH "\nAWS:" HASH,
	    "line 2: a user cannot be named \"AWS\"");
	assert_int_equal(parse("a:plain-password", why, &h), RC_INVALID);
	assert_null(strstr(why, "plain-password"));
}

static void
test_limits_on_lines_users_and_size(void **state)
{
	struct htpasswd *h;
	char why[256];
	struct buf b;
	int i;

	(void)state;
	buf_init(&b, (size_t)16 << 20);
	for (i = 0; i < 600; i++)
		buf_char(&b, '#');
	assert_int_equal(
	    htpasswd_parse(buf_as_span(&b), why, sizeof(why), &h), RC_INVALID);
	assert_non_null(strstr(why, "longer than"));
	buf_clear(&b);
	for (i = 0; i <= HTPASSWD_USERS_MAX; i++)
		buf_printf(&b, "u%d:" HASH "\n", i);
	assert_int_equal(
	    htpasswd_parse(buf_as_span(&b), why, sizeof(why), &h), RC_INVALID);
	assert_non_null(strstr(why, "more than"));
	buf_clear(&b);
	for (i = 0; i < (int)HTPASSWD_FILE_MAX_BYTES; i++)
		buf_char(&b, '\n');
	assert_int_equal(
	    htpasswd_parse(buf_as_span(&b), why, sizeof(why), &h), RC_OK);
	htpasswd_free(&h);
	buf_char(&b, '\n');
	assert_int_equal(
	    htpasswd_parse(buf_as_span(&b), why, sizeof(why), &h), RC_INVALID);
	buf_free(&b);
}

static void
test_a_file_is_told_from_its_successor(void **state)
{
	struct htpasswd_stamp a, b;
	char file[] = "/tmp/registryd-test-XXXXXX", why[256];
	struct htpasswd *h;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_file(file, "a:" HASH "\n");
	assert_int_equal(htpasswd_load(file, why, sizeof(why), &a, &h), RC_OK);
	assert_int_equal(h->n, 1);
	htpasswd_free(&h);
	htpasswd_look(file, &b);
	assert_true(htpasswd_stamp_eq(&a, &b));
	write_file(file, "b:" HASH "\n");
	htpasswd_look(file, &b);
	assert_false(htpasswd_stamp_eq(&a, &b));
	unlink(file);
	htpasswd_look(file, &b);
	assert_false(htpasswd_stamp_eq(&a, &b));
	assert_int_equal(
	    htpasswd_load(file, why, sizeof(why), &a, &h), RC_NOTFOUND);
	assert_true(htpasswd_stamp_eq(&a, &b));
}

static void
test_a_folder_or_a_pipe_is_no_such_file(void **state)
{
	char dir[] = "/tmp/registryd-test-XXXXXX", pipe[64], why[256];
	struct htpasswd_stamp stamp;
	struct htpasswd *h;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(pipe, sizeof(pipe), "%s/pipe", dir);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(
	    htpasswd_load(dir, why, sizeof(why), &stamp, &h), RC_INVALID);
	assert_int_equal(
	    htpasswd_load(pipe, why, sizeof(why), &stamp, &h), RC_INVALID);
	unlink(pipe);
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_comments_and_blank_lines_are_read),
		cmocka_unit_test(
		    test_the_three_marks_of_bcrypt_are_taken_and_no_others),
		cmocka_unit_test(test_a_cost_that_would_hold_a_core_is_refused),
		cmocka_unit_test(
		    test_what_is_wrong_is_named_by_its_line_without_the_hash),
		cmocka_unit_test(test_limits_on_lines_users_and_size),
		cmocka_unit_test(test_a_file_is_told_from_its_successor),
		cmocka_unit_test(test_a_folder_or_a_pipe_is_no_such_file),
	};

	return (cmocka_run_group_tests_name("htpasswd", tests, NULL, NULL));
}
