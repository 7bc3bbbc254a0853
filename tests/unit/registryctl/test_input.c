#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/obj.h"
#include "base/span.h"
#include "ctl_tools.h"
#include "registryctl/input.h"

/* What is read besides the command line. */
static char why[INPUT_WHY_BYTES];

static void
a_file_is_read_whole_or_refused(void **state)
{
	char path[] = "/tmp/test-input-XXXXXX";
	struct buf text;
	int fd = mkstemp(path);

	(void)state;
	assert_int_not_equal(fd, -1);
	file_put(path, "12345");
	assert_int_equal(input_file(path, 5, &text, why), RC_OK);
	assert_true(span_is(buf_as_span(&text), "12345"));
	buf_free(&text);
	assert_int_equal(input_file(path, 4, &text, why), RC_TOOBIG);
	assert_non_null(strstr(why, path));
	(void)unlink(path);
	(void)close(fd);
	assert_int_equal(input_file(path, 5, &text, why), RC_NOTFOUND);
	assert_non_null(strstr(why, path));
	assert_int_equal(input_file("/", 5, &text, why), RC_IO);
}

/* --- a terminal ---------------------------------------------------------- */

/* Asks there; 0 when the password is "geheim". */
__attribute__((noreturn)) static void
ask(void)
{
	struct buf password;
	enum rc rc;

	rc = input_password(false, &password, why);
	if (rc == RC_OK && span_is(buf_as_span(&password), "geheim"))
		_exit(0);
	(void)printf("%s", why);
	(void)fflush(stdout);
	_exit(1);
}

/* Until ${text} was shown; all that was lands in ${shown}. */
static void
await(int tty, const char *text, char *shown, size_t room)
{
	size_t n = strlen(shown);
	ssize_t got;

	while (strstr(shown, text) == NULL) {
		assert_true(n + 1 < room);
		got = read(tty, shown + n, room - n - 1);
		assert_true(got > 0);
		n += (size_t)got;
		shown[n] = '\0';
	}
}

static int
ask_with(const char *first, const char *second, char *shown, size_t room)
{
	int tty, status;
	pid_t pid;

	shown[0] = '\0';
	pid = forkpty(&tty, NULL, NULL, NULL);
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		ask();
	await(tty, "Password: ", shown, room);
	assert_int_equal(write(tty, first, strlen(first)), strlen(first));
	if (second != NULL) {
		await(tty, "Once more: ", shown, room);
		assert_int_equal(
		    write(tty, second, strlen(second)), strlen(second));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(tty);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
a_password_is_asked_for_twice_and_not_shown(void **state)
{
	char shown[512];

	(void)state;
	assert_int_equal(
	    ask_with("geheim\n", "geheim\n", shown, sizeof(shown)), 0);
	assert_null(strstr(shown, "geheim"));
	assert_int_equal(
	    ask_with("geheim\n", "anders\n", shown, sizeof(shown)), 1);
}

static void
an_interrupt_ends_the_question_in_peace(void **state)
{
	char shown[512];

	(void)state;
	assert_int_equal(ask_with("geh\x03", NULL, shown, sizeof(shown)), 1);
}

static void
without_a_terminal_nobody_is_asked(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		struct buf password;

		(void)setsid(); /* and so without one */
		_exit(input_password(false, &password, why) == RC_UNSUPPORTED
			  ? 0
			  : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_whole_or_refused),
		cmocka_unit_test(a_password_is_asked_for_twice_and_not_shown),
		cmocka_unit_test(an_interrupt_ends_the_question_in_peace),
		cmocka_unit_test(without_a_terminal_nobody_is_asked),
	};

	return (cmocka_run_group_tests_name("input", tests, NULL, NULL));
}
