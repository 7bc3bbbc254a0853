#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/obj.h"

/*
 * Standard error is a file while a test logs, so that what was written can be
 * read back.
 */
static char caught[100000];
static int saved_stderr, catch_fd;

static void
catch_start(void)
{
	char path[] = "/tmp/test_log.XXXXXX";

	catch_fd = mkstemp(path);
	assert_true(catch_fd >= 0);
	unlink(path);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(catch_fd, STDERR_FILENO) >= 0);
}

static size_t
catch_end(void)
{
	ssize_t n;

	assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
	n = pread(catch_fd, caught, sizeof(caught) - 1, 0);
	assert_true(n >= 0);
	caught[n] = '\0';
	close(catch_fd);
	close(saved_stderr);
	return ((size_t)n);
}

static int
setup(void **state)
{
	(void)state;
	log_set_level(LOG_LVL_INFO);
	log_set_format(LOG_FMT_TEXT);
	return (0);
}

/* The text behind "2026-01-31T12:00:00.123Z ". */
static const char *
behind_time(void)
{
	assert_true(strlen(caught) > 25);
	assert_int_equal(caught[10], 'T');
	assert_int_equal(caught[23], 'Z');
	assert_int_equal(caught[24], ' ');
	return (caught + 25);
}

static void
a_line_has_time_level_and_message(void **state)
{
	(void)state;
	catch_start();
	log_warn("blob %s is %d bytes", "x", 7);
	catch_end();
	assert_string_equal(behind_time(), "warn blob x is 7 bytes\n");
}

static void
the_level_decides_what_is_written(void **state)
{
	(void)state;
	assert_false(log_enabled(LOG_LVL_DEBUG));
	assert_true(log_enabled(LOG_LVL_INFO));
	catch_start();
	log_debug("no %d", 1);
	log_set_level(LOG_LVL_ERROR);
	log_warn("no %d", 2);
	log_error("yes");
	log_set_level(LOG_LVL_DEBUG);
	log_debug("yes, %s", "too");
	catch_end();
	assert_non_null(strstr(caught, " error yes\n"));
	assert_non_null(strstr(caught, " debug yes, too\n"));
	assert_null(strstr(caught, "no "));
}

static void
levels_are_read_by_name(void **state)
{
	enum log_level level = LOG_LVL_INFO;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level), RC_OK);
	assert_int_equal(level, LOG_LVL_DEBUG);
	assert_int_equal(log_level_parse("info", &level), RC_OK);
	assert_int_equal(level, LOG_LVL_INFO);
	assert_int_equal(log_level_parse("warn", &level), RC_OK);
	assert_int_equal(level, LOG_LVL_WARN);
	assert_int_equal(log_level_parse("error", &level), RC_OK);
	assert_int_equal(level, LOG_LVL_ERROR);
	assert_int_equal(log_level_parse("", &level), RC_INVALID);
	assert_int_equal(log_level_parse("Error", &level), RC_INVALID);
	assert_int_equal(log_level_parse("warning", &level), RC_INVALID);
}

static void
no_client_can_forge_a_line(void **state)
{
	(void)state;
	catch_start();
	log_info("<%s>", "a\n2026 error b\r\x1b[31m\x7f\t\xc2\x9b\xff\xc3\xa4");
	catch_end();
	assert_string_equal(behind_time(),
	    "info <a\\n2026 error b\\x0d\\x1b[31m\\x7f\\x09\\xc2\\x9b\\xff"
	    "\xc3\xa4>\n");
}

static void
json_lines_are_valid_for_any_bytes(void **state)
{
	char bytes[6] = "";
	json_t *line;
	int i;

	(void)state;
	log_set_format(LOG_FMT_JSON);
	for (i = 1; i < 256; i++) {
		bytes[0] = 'a';
		bytes[1] = (char)i;
		bytes[2] = '"';
		bytes[3] = (char)(255 - i + 1);
		bytes[4] = '\\';
		catch_start();
		log_error("%s", bytes);
		catch_end();
		line = json_loads(caught, 0, NULL);
		assert_non_null(line);
		assert_int_equal(json_object_size(line), 3);
		assert_string_equal(
		    json_string_value(json_object_get(line, "level")), "error");
		assert_true(json_is_string(json_object_get(line, "time")));
		assert_true(json_is_string(json_object_get(line, "message")));
		assert_ptr_equal(
		    strchr(caught, '\n'), caught + strlen(caught) - 1);
		json_decref(line);
	}
}

/* The worst there is: each byte takes six. */
static void
a_long_message_is_cut_but_stays_a_line(void **state)
{
	static const enum log_format formats[] = { LOG_FMT_TEXT, LOG_FMT_JSON };
	static const char fills[] = { 'x', '\x01', '\xff', '"' };
	char text[5000];
	size_t i, k;
	size_t n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(formats); i++)
		for (k = 0; k < ARRAY_LEN(fills); k++) {
			memset(text, fills[k], sizeof(text));
			text[sizeof(text) - 1] = '\0';
			log_set_format(formats[i]);
			catch_start();
			log_info("%s", text);
			n = catch_end();
			assert_int_equal(caught[n - 1], '\n');
			assert_ptr_equal(strchr(caught, '\n'), caught + n - 1);
			assert_non_null(strstr(caught, "..."));
		}
}

static void
errno_is_told_and_kept(void **state)
{
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	catch_start();
	errno = ENOSPC;
	log_errno("cannot write %s", "f");
	assert_int_equal(errno, ENOSPC);
	log_info("fine");
	assert_int_equal(errno, ENOSPC);
	log_errno("%s", text);
	catch_end();
	assert_non_null(
	    strstr(caught, " error cannot write f: No space left on device\n"));
	assert_non_null(strstr(caught, "xxx...: No space left on device\n"));
}

static void
a_finished_line_is_written_as_it_is(void **state)
{
	(void)state;
	catch_start();
	log_raw("{\"x\":1}\n", 8);
	log_raw("", 0);
	catch_end();
	assert_string_equal(caught, "{\"x\":1}\n");
}

static void
a_closed_standard_error_is_survived(void **state)
{
	int saved;

	(void)state;
	saved = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	errno = 0;
	log_error("nobody hears it");
	assert_int_equal(errno, 0);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    a_line_has_time_level_and_message, setup),
		cmocka_unit_test_setup(
		    the_level_decides_what_is_written, setup),
		cmocka_unit_test_setup(levels_are_read_by_name, setup),
		cmocka_unit_test_setup(no_client_can_forge_a_line, setup),
		cmocka_unit_test_setup(
		    json_lines_are_valid_for_any_bytes, setup),
		cmocka_unit_test_setup(
		    a_long_message_is_cut_but_stays_a_line, setup),
		cmocka_unit_test_setup(errno_is_told_and_kept, setup),
		cmocka_unit_test_setup(
		    a_finished_line_is_written_as_it_is, setup),
		cmocka_unit_test_setup(
		    a_closed_standard_error_is_survived, setup),
	};

	return (cmocka_run_group_tests_name("base/log", tests, NULL, NULL));
}
