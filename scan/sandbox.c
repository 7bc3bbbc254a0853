#include "scan/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/obj.h"

/*
 * The side that starts the process, feeds it, listens to it, and sees that it
 * ends.  Whatever it says is held for hostile: so much of it is taken, and its
 * words are made printable.
 *
 * The three pipes are all that the two have in common.  Ours do not block, so
 * that a process which neither reads nor writes costs no more than its time.
 */
#define PROGRAM "/proc/self/exe"
#define LOOK_MS 200L /* at ${*stop} */
#define REAP_NAP_MS 5
#define PIPE_BYTES (1 << 20)
#define CHUNK_BYTES ((size_t)32768)
#define NS_PER_MS ((int64_t)1000000)
#define ARGUMENT_BYTES 24
#define ARGUMENTS 8 /* with the name */

struct child {
	pid_t pid;
	int in, out, err;    /* -1: closed */
	struct span pending; /* of what ${read} gave */
	char words[LAYER_WHY_BYTES];
	size_t n_words;
};

/* What sandbox_run() is asked for. */
struct run {
	const struct sandbox_limits *limits;
	layer_read_fn *read;
	void *arg;
	const _Atomic bool *stop;
	struct buf *out;
	size_t out_was;
	int64_t end_ns;
	char *why;
};

__attribute__((format(printf, 3, 4))) static enum rc
run_fail(const struct run *r, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->why, LAYER_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- pipes --------------------------------------------------------------- */

static void
fd_close(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

/* Above those that are given to the process, which would be overwritten. */
static int
fd_raise(int *fd)
{
	int high;

	if (*fd > STDERR_FILENO)
		return (0);
	high = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	fd_close(fd);
	*fd = high;
	return (high == -1 ? -1 : 0);
}

/* ${ours} is the end that is not given away. */
static int
pipe_make(int fds[2], int ours)
{
	int flags;

	if (pipe2(fds, O_CLOEXEC) == -1) {
		fds[0] = fds[1] = -1;
		return (-1);
	}
	if (fd_raise(&fds[0]) == -1 || fd_raise(&fds[1]) == -1)
		return (-1);
	/* A larger one is a favour. */
	(void)fcntl(fds[ours], F_SETPIPE_SZ, PIPE_BYTES);
	flags = fcntl(fds[ours], F_GETFL);
	if (flags == -1 || fcntl(fds[ours], F_SETFL, flags | O_NONBLOCK) == -1)
		return (-1);
	return (0);
}

/* --- starting ------------------------------------------------------------ */

struct arguments {
	char text[ARGUMENTS][ARGUMENT_BYTES];
	char *argv[ARGUMENTS + 1];
};

static void
arguments_make(const struct sandbox_limits *l, struct arguments *a)
{
	const uint64_t numbers[ARGUMENTS - 1] = {
		l->memory_bytes,
		(uint64_t)l->cpu_ms,
		l->output_bytes,
		l->layer.max_bytes,
		l->layer.max_entries,
		l->layer.max_file_bytes,
		l->layer.max_ratio,
	};
	size_t i;

	(void)snprintf(a->text[0], ARGUMENT_BYTES, "%s", SANDBOX_NAME);
	for (i = 0; i + 1 < ARGUMENTS; i++)
		(void)snprintf(
		    a->text[i + 1], ARGUMENT_BYTES, "%" PRIu64, numbers[i]);
	for (i = 0; i < ARGUMENTS; i++)
		a->argv[i] = a->text[i];
	a->argv[ARGUMENTS] = NULL;
}

enum rc
sandbox_limits_read(int argc, char *const argv[], struct sandbox_limits *l)
{
	uint64_t n[ARGUMENTS - 1];
	size_t i;

	if (argc != ARGUMENTS)
		return (RC_INVALID);
	for (i = 0; i + 1 < ARGUMENTS; i++)
		if (num_u64(span_of(argv[i + 1]), UINT64_MAX, &n[i]) != RC_OK)
			return (RC_INVALID);
	*l = (struct sandbox_limits){
		.memory_bytes = n[0],
		.cpu_ms = (int64_t)n[1],
		.output_bytes = n[2],
		.layer.max_bytes = n[3],
		.layer.max_entries = n[4],
		.layer.max_file_bytes = n[5],
		.layer.max_ratio = (unsigned)n[6],
	};
	return (RC_OK);
}

bool
sandbox_is_child(char *const argv[])
{
	return (argv[0] != NULL && strcmp(argv[0], SANDBOX_NAME) == 0);
}

/* Signals are as in a program that a shell starts; in a session of its own, so
 * that a key on the terminal does not reach it, and the kernel does not count
 * its time as the server's (autogroups, sched(7)). */
static int
attributes_make(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int err;

	must(sigemptyset(&none) == 0);
	must(sigfillset(&all) == 0);
	if ((err = posix_spawnattr_init(attr)) != 0)
		return (err);
	must(posix_spawnattr_setsigmask(attr, &none) == 0);
	must(posix_spawnattr_setsigdefault(attr, &all) == 0);
	must(posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSID) == 0);
	return (0);
}

static int
actions_make(posix_spawn_file_actions_t *actions, const int fds[3])
{
	int err, i;

	if ((err = posix_spawn_file_actions_init(actions)) != 0)
		return (err);
	for (i = 0; i < 3 && err == 0; i++)
		err = posix_spawn_file_actions_adddup2(actions, fds[i], i);
	if (err != 0)
		(void)posix_spawn_file_actions_destroy(actions);
	return (err);
}

static int
program_start(struct arguments *a, const int fds[3], pid_t *pid_r)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char *env[] = { NULL };
	int err;

	if ((err = attributes_make(&attr)) != 0)
		return (err);
	if ((err = actions_make(&actions, fds)) == 0) {
		err =
		    posix_spawn(pid_r, PROGRAM, &actions, &attr, a->argv, env);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	return (err);
}

static enum rc
child_start(struct run *r, struct child *c)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	struct arguments a = { 0 };
	int code;

	arguments_make(r->limits, &a);
	if (pipe_make(in, 1) == -1 || pipe_make(out, 0) == -1 ||
	    pipe_make(err, 0) == -1)
		code = errno;
	else
		code = program_start(
		    &a, (int[]){ in[0], out[1], err[1] }, &c->pid);
	fd_close(&in[0]);
	fd_close(&out[1]);
	fd_close(&err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	if (code == 0)
		return (RC_OK);
	errno = code;
	log_errno("scan: cannot start a process");
	return (run_fail(r, RC_LIMIT,
	    "no process could be started for reading the layer (error %d)",
	    code));
}

/* --- while it runs ------------------------------------------------------- */

/* One that has closed its input has enough: how it ends says the rest. */
static void
input_write(struct child *c)
{
	ssize_t n;

	n = write(c->in, c->pending.p, c->pending.n);
	if (n > 0) {
		c->pending.p += n;
		c->pending.n -= (size_t)n;
	} else if (n == -1 && errno != EAGAIN && errno != EINTR) {
		fd_close(&c->in);
	}
}

static enum rc
input_fill(struct run *r, struct child *c)
{
	const void *p;
	long n;

	if (c->in == -1 || c->pending.n > 0)
		return (RC_OK);
	n = r->read(r->arg, &p);
	if (n < 0)
		return (run_fail(r, RC_IO, "the layer cannot be read"));
	if (n == 0)
		fd_close(&c->in);
	else
		c->pending = (struct span){ p, (size_t)n };
	return (RC_OK);
}

static enum rc
output_read(struct run *r, struct child *c)
{
	char bytes[CHUNK_BYTES];
	ssize_t n;

	n = read(c->out, bytes, sizeof(bytes));
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		fd_close(&c->out);
	if (n <= 0)
		return (RC_OK);
	if ((size_t)n > r->limits->output_bytes - (r->out->n - r->out_was))
		return (run_fail(r, RC_TOOBIG,
		    "the index of the layer is larger than %zu bytes",
		    r->limits->output_bytes));
	buf_add(r->out, bytes, (size_t)n);
	if (!buf_ok(r->out))
		return (run_fail(r, RC_TOOBIG,
		    "the index of the layer is larger than %zu bytes",
		    r->out->cap_bytes));
	return (RC_OK);
}

/* The first words; what else it writes is read and forgotten. */
static void
words_read(struct child *c)
{
	char bytes[LAYER_WHY_BYTES];
	size_t room = sizeof(c->words) - 1 - c->n_words;
	ssize_t n;

	n = read(c->err, bytes, sizeof(bytes));
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		fd_close(&c->err);
	if (n <= 0)
		return;
	if ((size_t)n < room)
		room = (size_t)n;
	memcpy(c->words + c->n_words, bytes, room);
	c->n_words += room;
}

static long
run_left_ms(const struct run *r)
{
	int64_t left_ms = (r->end_ns - clock_mono_ns()) / NS_PER_MS;

	if (left_ms <= 0)
		return (0);
	return (left_ms < LOOK_MS ? (long)left_ms : LOOK_MS);
}

static enum rc
run_check(const struct run *r)
{
	if (r->stop != NULL && atomic_load(r->stop))
		return (run_fail(r, RC_CANCELLED, "the scan was stopped"));
	if (clock_mono_ns() >= r->end_ns)
		return (run_fail(r, RC_TIMEOUT,
		    "reading the layer takes longer than %" PRId64 " ms",
		    r->limits->timeout_ms));
	return (RC_OK);
}

static enum rc
run_step(struct run *r, struct child *c)
{
	struct pollfd p[] = {
		{ .fd = c->in, .events = POLLOUT },
		{ .fd = c->out, .events = POLLIN },
		{ .fd = c->err, .events = POLLIN },
	};
	enum rc rc = RC_OK;

	if (poll(p, ARRAY_LEN(p), (int)run_left_ms(r)) <= 0)
		return (RC_OK);
	if (p[0].revents != 0)
		input_write(c);
	if (p[1].revents != 0)
		rc = output_read(r, c);
	if (p[2].revents != 0)
		words_read(c);
	return (rc);
}

static enum rc
run_feed(struct run *r, struct child *c)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && (c->out != -1 || c->err != -1))
		if ((rc = run_check(r)) == RC_OK &&
		    (rc = input_fill(r, c)) == RC_OK)
			rc = run_step(r, c);
	return (rc);
}

/* --- its end ------------------------------------------------------------- */

/* It has closed its pipes, and may live nevertheless. */
static enum rc
run_wait(struct run *r, struct child *c, int *status_r)
{
	pid_t pid;
	enum rc rc;

	for (;;) {
		pid = waitpid(c->pid, status_r, WNOHANG);
		if (pid == c->pid || (pid == -1 && errno != EINTR))
			break;
		if ((rc = run_check(r)) != RC_OK)
			return (rc);
		(void)poll(NULL, 0, REAP_NAP_MS);
	}
	if (pid == c->pid)
		c->pid = -1;
	else
		return (run_fail(r, RC_FAILED,
		    "nobody knows how the process that read the layer ended "
		    "(error %d)",
		    errno));
	return (RC_OK);
}

static void
child_end(struct child *c)
{
	fd_close(&c->in);
	fd_close(&c->out);
	fd_close(&c->err);
	if (c->pid <= 0)
		return;
	(void)kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
}

/* One line, printable. */
static const char *
child_words(struct child *c)
{
	size_t i;

	while (c->n_words > 0 && c->words[c->n_words - 1] == '\n')
		c->n_words--;
	c->words[c->n_words] = '\0';
	for (i = 0; i < c->n_words; i++)
		if (c->words[i] < 0x20 || c->words[i] > 0x7e)
			c->words[i] = c->words[i] == '\n' ? ' ' : '?';
	return (c->words);
}

static enum rc
exit_rc(int code)
{
	switch (code) {
	case SANDBOX_EXIT_INVALID:
		return (RC_INVALID);
	case SANDBOX_EXIT_TOOBIG:
		return (RC_TOOBIG);
	case SANDBOX_EXIT_UNSUPPORTED:
		return (RC_UNSUPPORTED);
	case SANDBOX_EXIT_NOSPACE:
		return (RC_NOSPACE);
	case SANDBOX_EXIT_REFUSED:
		return (RC_LIMIT);
	default:
		return (RC_FAILED);
	}
}

static enum rc
exit_judge(const struct run *r, struct child *c, int code)
{
	const char *words = child_words(c);
	enum rc rc = exit_rc(code);

	if (code == SANDBOX_EXIT_OK)
		return (RC_OK);
	if (rc == RC_NOSPACE)
		return (run_fail(r, rc,
		    "reading the layer takes more than %" PRIu64
		    " bytes of memory",
		    r->limits->memory_bytes));
	if (rc == RC_FAILED || words[0] == '\0')
		return (run_fail(r, rc,
		    "the process that read the layer ended with code %d%s%s",
		    code, words[0] != '\0' ? ": " : "", words));
	return (run_fail(r, rc, "%s", words));
}

static enum rc
signal_judge(const struct run *r, struct child *c, int number)
{
	const char *words = child_words(c);

	if (number == SIGXCPU)
		return (run_fail(r, RC_TIMEOUT,
		    "reading the layer takes more than %" PRId64
		    " ms of the processor",
		    r->limits->cpu_ms));
	if (number == SIGSYS)
		return (run_fail(r, RC_FAILED,
		    "the process that read the layer was ended: it made a "
		    "system call that is forbidden to it"));
	if (number == SIGKILL)
		return (run_fail(r, RC_FAILED,
		    "the process that read the layer was killed, perhaps for "
		    "lack of memory in this machine"));
	return (run_fail(r, RC_FAILED,
	    "the process that read the layer was ended by signal %d%s%s",
	    number, words[0] != '\0' ? ": " : "", words));
}

static enum rc
run_child(struct run *r, struct child *c)
{
	int status = 0;
	enum rc rc;

	if ((rc = child_start(r, c)) != RC_OK ||
	    (rc = run_feed(r, c)) != RC_OK ||
	    (rc = run_wait(r, c, &status)) != RC_OK)
		return (rc);
	if (WIFEXITED(status))
		return (exit_judge(r, c, WEXITSTATUS(status)));
	return (signal_judge(r, c, WTERMSIG(status)));
}

enum rc
sandbox_run(const struct sandbox_limits *limits, layer_read_fn *layer_read,
    void *arg, const _Atomic bool *stop, struct buf *out,
    char why[LAYER_WHY_BYTES])
{
	struct child c = { .pid = -1, .in = -1, .out = -1, .err = -1 };
	struct run r = {
		.limits = limits,
		.read = layer_read,
		.arg = arg,
		.stop = stop,
		.out = out,
		.out_was = out->n,
		.end_ns = clock_mono_ns() + limits->timeout_ms * NS_PER_MS,
		.why = why,
	};
	enum rc rc;

	why[0] = '\0';
	rc = run_child(&r, &c);
	child_end(&c);
	if (rc != RC_OK)
		out->n = r.out_was;
	return (rc);
}
