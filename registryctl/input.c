#include "registryctl/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/span.h"

#define READ_BYTES 4096

static enum rc __attribute__((format(printf, 3, 4)))
fail(char *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, INPUT_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

void
input_wipe(struct buf *text)
{
	if (text->p != NULL)
		mem_wipe(text->p, text->room);
	buf_free(text);
}

/* --- files --------------------------------------------------------------- */

/* All that comes: RC_TOOBIG past the buffer's cap, else of errno. */
static enum rc
descriptor_read(int fd, struct buf *text)
{
	char part[READ_BYTES];
	enum rc rc = RC_OK;
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			rc = rc_of_errno(errno);
			break;
		}
		buf_add(text, part, (size_t)n);
		if (!buf_ok(text)) {
			rc = RC_TOOBIG;
			break;
		}
	}
	mem_wipe(part, sizeof(part));
	return (rc);
}

enum rc
input_file(const char *path, size_t max_bytes, struct buf *text_r,
    char why[INPUT_WHY_BYTES])
{
	bool from_stdin = strcmp(path, "-") == 0;
	const char *name = from_stdin ? "standard input" : path;
	enum rc rc;
	int fd;

	fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return (fail(why, rc_of_errno(errno), "cannot read %.300s: %s",
		    path, strerror(errno)));
	buf_init(text_r, max_bytes);
	rc = descriptor_read(fd, text_r);
	if (rc == RC_TOOBIG)
		(void)fail(why, rc, "%.300s is longer than %zu bytes", name,
		    max_bytes);
	else if (rc != RC_OK)
		(void)fail(
		    why, rc, "cannot read %.300s: %s", name, strerror(errno));
	if (rc != RC_OK)
		input_wipe(text_r);
	if (!from_stdin)
		(void)close(fd);
	return (rc);
}

/* --- passwords ----------------------------------------------------------- */

/* One line, with or without its end. */
static enum rc
password_check(struct buf *password, char *why)
{
	if (password->n > 0 && password->p[password->n - 1] == '\n')
		password->n--;
	if (password->n > 0 && password->p[password->n - 1] == '\r')
		password->n--;
	if (password->n == 0)
		return (fail(why, RC_INVALID, "the password is empty"));
	if (password->n > INPUT_PASSWORD_MAX_BYTES)
		return (
		    fail(why, RC_TOOBIG, "the password is longer than %d bytes",
			INPUT_PASSWORD_MAX_BYTES));
	if (memchr(password->p, '\n', password->n) != NULL ||
	    memchr(password->p, '\0', password->n) != NULL)
		return (fail(
		    why, RC_INVALID, "the password must be a single line"));
	return (RC_OK);
}

static void
say(int tty, const char *text)
{
	/* Nothing can be done about a terminal that takes no prompt. */
	if (write(tty, text, strlen(text)) == -1)
		return;
}

/* Signals that would end us while the terminal is mute end the question
 * instead; they are let in only while it is waited for an answer. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

struct signals {
	struct sigaction actions[ARRAY_LEN(ending)];
	sigset_t mask;
};

static void
interrupted(int sig)
{
	(void)sig;
}

static void
signals_catch(struct signals *was)
{
	struct sigaction act = { .sa_handler = interrupted };
	sigset_t ours;
	size_t i;

	(void)sigemptyset(&act.sa_mask);
	(void)sigemptyset(&ours);
	for (i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaddset(&ours, ending[i]);
	(void)sigprocmask(SIG_BLOCK, &ours, &was->mask);
	for (i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaction(ending[i], &act, &was->actions[i]);
}

static void
signals_restore(const struct signals *was)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaction(ending[i], &was->actions[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &was->mask, NULL);
}

struct terminal {
	int fd;
	struct signals was;
};

/* The line is the terminal's: one read() is one line. */
static enum rc
line_ask(struct terminal *t, const char *prompt, struct buf *line_r, char *why)
{
	struct pollfd waiting = { .fd = t->fd, .events = POLLIN };
	char room[INPUT_PASSWORD_MAX_BYTES + 2];
	ssize_t n = -1;
	enum rc rc;
	int err;

	buf_init(line_r, INPUT_PASSWORD_MAX_BYTES + 2);
	say(t->fd, prompt);
	if (ppoll(&waiting, 1, NULL, &t->was.mask) != -1)
		n = read(t->fd, room, sizeof(room));
	err = errno;
	say(t->fd, "\n");
	if (n == -1)
		return (fail(why, err == EINTR ? RC_CANCELLED : RC_IO,
		    "no password was given: %s", strerror(err)));
	buf_add(line_r, room, (size_t)n);
	mem_wipe(room, sizeof(room));
	rc = password_check(line_r, why);
	if (rc != RC_OK)
		input_wipe(line_r);
	return (rc);
}

static enum rc
password_ask(struct terminal *t, struct buf *password_r, char *why)
{
	struct buf again;
	enum rc rc;

	rc = line_ask(t, "Password: ", password_r, why);
	if (rc != RC_OK)
		return (rc);
	rc = line_ask(t, "Once more: ", &again, why);
	if (rc != RC_OK)
		goto err0;
	if (!span_eq(buf_as_span(password_r), buf_as_span(&again)))
		rc = fail(why, RC_INVALID, "the two passwords differ");
	input_wipe(&again);
	if (rc != RC_OK)
		goto err0;
	return (RC_OK);
err0:
	input_wipe(password_r);
	return (rc);
}

static enum rc
terminal_ask(struct buf *password_r, char *why)
{
	struct termios was, mute;
	struct terminal t;
	enum rc rc;

	t.fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t.fd == -1 || tcgetattr(t.fd, &was) == -1) {
		if (t.fd != -1)
			(void)close(t.fd);
		return (fail(why, RC_UNSUPPORTED,
		    "there is no terminal to ask for the password on; give it "
		    "on standard input with --password-stdin"));
	}
	signals_catch(&t.was);
	mute = was;
	mute.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	(void)tcsetattr(t.fd, TCSAFLUSH, &mute);
	rc = password_ask(&t, password_r, why);
	(void)tcsetattr(t.fd, TCSAFLUSH, &was);
	signals_restore(&t.was);
	(void)close(t.fd);
	return (rc);
}

enum rc
input_password(
    bool from_stdin, struct buf *password_r, char why[INPUT_WHY_BYTES])
{
	enum rc rc;

	if (!from_stdin)
		return (terminal_ask(password_r, why));
	rc = input_file("-", INPUT_PASSWORD_MAX_BYTES + 2, password_r, why);
	if (rc != RC_OK)
		return (rc);
	rc = password_check(password_r, why);
	if (rc != RC_OK)
		input_wipe(password_r);
	return (rc);
}
