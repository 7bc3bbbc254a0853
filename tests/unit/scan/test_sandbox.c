#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "base/thread.h"
#include "scan/sandbox.h"

/*
 * This program is its own child: what a layer says is what the child does, once
 * it has given up its rights.
 */
#define MIB ((uint64_t)1 << 20)
#define PATIENCE_MS 60000
#define FLOOD_BYTES ((size_t)8 << 20)

/* Sanitizers take all of the address space, and tell of crashes themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

extern char **environ;

/* --- the child ----------------------------------------------------------- */

__attribute__((noreturn)) static void
child_say(const char *words, int code)
{
	(void)!write(STDERR_FILENO, words, strlen(words));
	_exit(code);
}

static void
child_spin(void)
{
	static volatile uint64_t turns;

	for (;;)
		turns++;
}

static void
child_eat(void)
{
	for (;;)
		memset(xmalloc(MIB), 1, MIB);
}

static void
child_flood(int fd)
{
	static char bytes[65536];

	memset(bytes, 'x', sizeof(bytes));
	for (;;)
		if (write(fd, bytes, sizeof(bytes)) == -1)
			_exit(SANDBOX_EXIT_FAILED);
}

/* All of the input goes to the output. */
static void
child_copy(void)
{
	static char bytes[65536];
	ssize_t n, put, k;

	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
		for (put = 0; put < n; put += k)
			if ((k = write(STDOUT_FILENO, bytes + put,
				 (size_t)(n - put))) == -1)
				_exit(SANDBOX_EXIT_FAILED);
	_exit(SANDBOX_EXIT_OK);
}

static void
child_open(void)
{
	int fd = open("/etc/passwd", O_RDONLY);

	if (fd != -1)
		child_say("it could be opened", SANDBOX_EXIT_OK);
	child_say(strerror(errno), SANDBOX_EXIT_UNSUPPORTED);
}

static void
child_make(void)
{
	int fd = open("/tmp/made-by-the-sandbox", O_WRONLY | O_CREAT, 0600);

	child_say(fd != -1 ? "made" : "refused", SANDBOX_EXIT_INVALID);
}

static void
child_socket(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
	child_say("it has a socket", SANDBOX_EXIT_OK);
}

static void
child_fork(void)
{
	(void)fork();
	child_say("it has forked", SANDBOX_EXIT_OK);
}

static void
child_exec(void)
{
	char *argv[] = { (char *)"sh", NULL };

	(void)execve("/bin/sh", argv, NULL);
	child_say("it was not replaced", SANDBOX_EXIT_OK);
}

static void
child_kill(void)
{
	(void)kill(getppid(), SIGTERM);
	child_say("it has sent a signal", SANDBOX_EXIT_OK);
}

static void
child_run_written(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_say("it could be run", SANDBOX_EXIT_OK);
}

static void
child_crash(void)
{
	(void)raise(SIGSEGV);
}

static void
child_abort(void)
{
	abort();
}

/* Its pipes are closed, and it goes on. */
static void
child_hide(void)
{
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)close(STDERR_FILENO);
	child_spin();
}

static void
child_garble(void)
{
	child_say("no\x1b[2Jtar\nat \xff all\n", SANDBOX_EXIT_INVALID);
}

static void
child_strange(void)
{
	child_say("", 77);
}

static void
child_quiet(void)
{
	for (;;)
		(void)sched_yield();
}

/* It may close what is open, and so knows. */
static void
child_state(void)
{
	const char *text =
	    environ == NULL || environ[0] == NULL ? "bare" : "dressed";
	int fd;

	for (fd = STDERR_FILENO + 1; fd < 1024; fd++)
		if (close(fd) == 0)
			text = "more is open";
	(void)!write(STDOUT_FILENO, text, strlen(text));
	_exit(SANDBOX_EXIT_OK);
}

static void
child_flood_out(void)
{
	child_flood(STDOUT_FILENO);
}

static void
child_flood_err(void)
{
	child_flood(STDERR_FILENO);
}

static const struct {
	const char *name;
	void (*fn)(void);
} acts[] = {
	{ "spin", child_spin },
	{ "eat", child_eat },
	{ "flood-out", child_flood_out },
	{ "flood-err", child_flood_err },
	{ "copy", child_copy },
	{ "open", child_open },
	{ "make", child_make },
	{ "socket", child_socket },
	{ "fork", child_fork },
	{ "exec", child_exec },
	{ "kill", child_kill },
	{ "run-written", child_run_written },
	{ "crash", child_crash },
	{ "abort", child_abort },
	{ "hide", child_hide },
	{ "garble", child_garble },
	{ "strange", child_strange },
	{ "quiet", child_quiet },
	{ "state", child_state },
};

/* One line, byte by byte: what is behind it is the act's. */
static void
command_read(char *line, size_t room)
{
	size_t n = 0;
	char c;

	while (n + 1 < room && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		line[n++] = c;
	line[n] = '\0';
}

__attribute__((noreturn)) static void
child_main(int argc, char **argv)
{
	struct sandbox_limits limits;
	char line[32];
	size_t i;

	if (sandbox_limits_read(argc, argv, &limits) != RC_OK)
		_exit(SANDBOX_EXIT_REFUSED);
	sandbox_enter(limits.memory_bytes, limits.cpu_ms);
	command_read(line, sizeof(line));
	for (i = 0; i < ARRAY_LEN(acts); i++)
		if (strcmp(acts[i].name, line) == 0)
			acts[i].fn();
	_exit(SANDBOX_EXIT_FAILED);
}

/* --- the test ------------------------------------------------------------ */

struct feed {
	const char *text;
	size_t more; /* bytes behind it */
	bool fails;
	size_t given;
};

/* 'y's, of several threads. */
static char feed_bytes[65536];

static long
feed_read(void *arg, const void **p_r)
{
	struct feed *f = arg;
	size_t n;

	if (f->text != NULL) {
		*p_r = f->text;
		n = strlen(f->text);
		f->text = NULL;
		return ((long)n);
	}
	if (f->fails)
		return (-1);
	*p_r = feed_bytes;
	n = f->more < sizeof(feed_bytes) ? f->more : sizeof(feed_bytes);
	f->more -= n;
	f->given += n;
	return ((long)n);
}

static struct sandbox_limits
limits_usual(void)
{
	return ((struct sandbox_limits){
	    .memory_bytes = 256 * MIB,
	    .timeout_ms = PATIENCE_MS,
	    .cpu_ms = PATIENCE_MS,
	    .output_bytes = MIB,
	});
}

static unsigned
own_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return (n);
}

struct outcome {
	enum rc rc;
	char why[LAYER_WHY_BYTES];
	struct buf out;
};

static void
run_with(const struct sandbox_limits *l, struct feed *f,
    const _Atomic bool *stop, struct outcome *o)
{
	unsigned before = own_descriptors();

	buf_init(&o->out, 64 * MIB);
	buf_str(&o->out, "kept ");
	o->rc = sandbox_run(l, feed_read, f, stop, &o->out, o->why);
	assert_int_equal(own_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	if (o->rc != RC_OK) {
		assert_int_equal(o->out.n, 5);
		assert_string_not_equal(o->why, "");
	}
}

static void
run(const char *command, const struct sandbox_limits *l, struct outcome *o)
{
	struct feed f = { .text = command };

	run_with(l, &f, NULL, o);
	buf_free(&o->out);
}

static void
expect(const char *command, const struct sandbox_limits *l, enum rc rc,
    const char *words)
{
	struct outcome o;

	run(command, l, &o);
	if (o.rc != rc || strstr(o.why, words) == NULL)
		print_error("%s: %s: %s\n", command, rc_name(o.rc), o.why);
	assert_int_equal(o.rc, rc);
	assert_non_null(strstr(o.why, words));
}

static void
test_what_it_writes_is_appended(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct feed f = { .text = "copy\n", .more = FLOOD_BYTES };
	struct outcome o;
	size_t i;

	(void)unused;
	l.output_bytes = FLOOD_BYTES;
	run_with(&l, &f, NULL, &o);
	assert_int_equal(o.rc, RC_OK);
	assert_int_equal(o.out.n, 5 + FLOOD_BYTES);
	assert_memory_equal(o.out.p, "kept ", 5);
	for (i = 5; i < o.out.n; i++)
		if (o.out.p[i] != 'y')
			fail();
	buf_free(&o.out);
}

static void
test_it_has_three_pipes_and_nothing_else(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct feed f = { .text = "state\n" };
	int fd = open("/dev/null", O_RDONLY); /* a leak */
	struct outcome o;

	(void)unused;
	assert_int_not_equal(fd, -1);
	assert_int_equal(setenv("SECRET", "value", 1), 0);
	run_with(&l, &f, NULL, &o);
	assert_int_equal(o.rc, RC_OK);
	assert_true(span_is(buf_as_span(&o.out), "kept bare"));
	buf_free(&o.out);
	(void)close(fd);
}

static void
test_a_loop_ends_by_its_processor_time(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	l.cpu_ms = 1000;
	expect("spin\n", &l, RC_TIMEOUT, "of the processor");
}

static void
test_a_loop_ends_by_the_clock(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	l.timeout_ms = 300;
	expect("spin\n", &l, RC_TIMEOUT, "longer than 300 ms");
	expect("quiet\n", &l, RC_TIMEOUT, "longer than 300 ms");
}

static void
test_one_that_closes_its_pipes_and_goes_on_ends(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	l.timeout_ms = 500;
	expect("hide\n", &l, RC_TIMEOUT, "longer than 500 ms");
}

static void
test_memory_beyond_the_limit_is_not_there(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	if (IS_SANITIZED)
		skip();
	expect("eat\n", &l, RC_NOSPACE, "bytes of memory");
}

static void
test_endless_output_ends(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	expect("flood-out\n", &l, RC_TOOBIG, "larger than 1048576 bytes");
}

static void
test_endless_words_end(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	l.timeout_ms = 500;
	expect("flood-err\n", &l, RC_TIMEOUT, "longer than 500 ms");
}

static void
test_files_are_refused(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	expect("open\n", &l, RC_UNSUPPORTED, "not permitted");
	expect("make\n", &l, RC_INVALID, "refused");
	assert_int_equal(access("/tmp/made-by-the-sandbox", F_OK), -1);
}

static void
test_what_is_forbidden_ends_it(void **unused)
{
	static const char *const commands[] = { "socket\n", "fork\n", "exec\n",
		"kill\n", "run-written\n" };
	struct sandbox_limits l = limits_usual();
	size_t i;

	(void)unused;
	for (i = 0; i < ARRAY_LEN(commands); i++)
		expect(commands[i], &l, RC_FAILED, "forbidden");
}

static void
test_a_crash_is_told(void **unused)
{
	struct sandbox_limits l = limits_usual();

	(void)unused;
	expect("crash\n", &l, RC_FAILED, IS_SANITIZED ? "ended" : "signal 11");
	expect("abort\n", &l, RC_FAILED, IS_SANITIZED ? "ended" : "signal 6");
	expect("strange\n", &l, RC_FAILED, "code 77");
}

static void
test_its_words_are_made_printable(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct outcome o;

	(void)unused;
	run("garble\n", &l, &o);
	assert_int_equal(o.rc, RC_INVALID);
	assert_string_equal(o.why, "no?[2Jtar at ? all");
}

static void
test_a_layer_that_cannot_be_read_ends_it(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct feed f = { .text = "copy\n", .fails = true };
	struct outcome o;

	(void)unused;
	run_with(&l, &f, NULL, &o);
	assert_int_equal(o.rc, RC_IO);
	buf_free(&o.out);
}

/* It is never asked for more than the pipe and the child take. */
static void
test_what_is_not_taken_is_not_read(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct feed f = { .text = "quiet\n", .more = 64 * MIB };
	struct outcome o;

	(void)unused;
	l.timeout_ms = 500;
	run_with(&l, &f, NULL, &o);
	assert_int_equal(o.rc, RC_TIMEOUT);
	assert_true(f.given <= 4 * MIB);
	buf_free(&o.out);
}

struct stopper {
	_Atomic bool stop;
};

static void
stop_soon(void *arg)
{
	struct stopper *s = arg;

	(void)poll(NULL, 0, 300);
	atomic_store(&s->stop, true);
}

static void
test_it_stops_when_it_is_told(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct feed f = { .text = "quiet\n", .more = 64 * MIB };
	struct stopper s = { false };
	struct outcome o;
	pthread_t t;

	(void)unused;
	assert_int_equal(thread_start("stopper", stop_soon, &s, &t), RC_OK);
	run_with(&l, &f, &s.stop, &o);
	assert_int_equal(o.rc, RC_CANCELLED);
	thread_join(t);
	buf_free(&o.out);
}

/* What the kernel says of a child that runs. */
struct looker {
	_Atomic bool stop;
	pid_t parent;
	char status[8192];
	int policy;
	int nice;
};

static void
file_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, text, room - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	if (fd != -1)
		(void)close(fd);
}

static void
look_at_child(void *arg)
{
	struct looker *l = arg;
	char path[64], text[64];
	uint64_t pid = 0;
	struct span line;
	int tries;

	(void)snprintf(
	    path, sizeof(path), "/proc/self/task/%d/children", l->parent);
	for (tries = 0; tries < 1000; tries++) {
		(void)poll(NULL, 0, 10);
		file_text(path, text, sizeof(text));
		line = (struct span){ text, strcspn(text, " ") };
		if (num_u64(line, INT32_MAX, &pid) != RC_OK)
			continue;
		(void)snprintf(text, sizeof(text), "/proc/%d/status", (int)pid);
		file_text(text, l->status, sizeof(l->status));
		if (strstr(l->status, "Seccomp:\t2") != NULL)
			break;
	}
	l->policy = sched_getscheduler((pid_t)pid);
	l->nice = getpriority(PRIO_PROCESS, (id_t)pid);
	atomic_store(&l->stop, true);
}

static void
test_it_has_no_rights(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct feed f = { .text = "quiet\n" };
	struct looker look = { .parent = gettid() };
	struct outcome o;
	pthread_t t;

	(void)unused;
	assert_int_equal(
	    thread_start("looker", look_at_child, &look, &t), RC_OK);
	run_with(&l, &f, &look.stop, &o);
	thread_join(t);
	assert_int_equal(o.rc, RC_CANCELLED);
	assert_non_null(strstr(look.status, "Seccomp:\t2"));
	assert_non_null(strstr(look.status, "NoNewPrivs:\t1"));
	assert_non_null(strstr(look.status, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(look.status, "CapPrm:\t0000000000000000"));
	assert_int_equal(look.policy, SCHED_IDLE);
	assert_int_equal(look.nice, 19);
	if (geteuid() == 0)
		assert_null(strstr(look.status, "Uid:\t0"));
	buf_free(&o.out);
}

static void
test_without_descriptors_none_is_started(void **unused)
{
	struct sandbox_limits l = limits_usual();
	struct rlimit was, few;
	struct feed f = { .text = "copy\n" };
	struct buf out;
	char why[LAYER_WHY_BYTES];

	(void)unused;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 4;
	buf_init(&out, MIB);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(
	    sandbox_run(&l, feed_read, &f, NULL, &out, why), RC_LIMIT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_non_null(strstr(why, "no process could be started"));
	buf_free(&out);
}

/* Several threads, as jobs of a server are. */
static void
copy_some(void *arg)
{
	struct sandbox_limits l = limits_usual();
	_Atomic int *good = arg;
	char why[LAYER_WHY_BYTES];
	struct buf out;
	int i;

	for (i = 0; i < 8; i++) {
		struct feed f = { .text = "copy\n", .fails = false };

		buf_init(&out, MIB);
		*good +=
		    sandbox_run(&l, feed_read, &f, NULL, &out, why) == RC_OK;
		buf_free(&out);
	}
}

static void
test_several_at_once(void **unused)
{
	_Atomic int good = 0;
	pthread_t t[4];
	size_t i;

	(void)unused;
	for (i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(
		    thread_start("runner", copy_some, &good, &t[i]), RC_OK);
	for (i = 0; i < ARRAY_LEN(t); i++)
		thread_join(t[i]);
	assert_int_equal(good, 32);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_writes_is_appended),
		cmocka_unit_test(test_it_has_three_pipes_and_nothing_else),
		cmocka_unit_test(test_a_loop_ends_by_its_processor_time),
		cmocka_unit_test(test_a_loop_ends_by_the_clock),
		cmocka_unit_test(
		    test_one_that_closes_its_pipes_and_goes_on_ends),
		cmocka_unit_test(test_memory_beyond_the_limit_is_not_there),
		cmocka_unit_test(test_endless_output_ends),
		cmocka_unit_test(test_endless_words_end),
		cmocka_unit_test(test_files_are_refused),
		cmocka_unit_test(test_what_is_forbidden_ends_it),
		cmocka_unit_test(test_a_crash_is_told),
		cmocka_unit_test(test_its_words_are_made_printable),
		cmocka_unit_test(test_a_layer_that_cannot_be_read_ends_it),
		cmocka_unit_test(test_what_is_not_taken_is_not_read),
		cmocka_unit_test(test_it_stops_when_it_is_told),
		cmocka_unit_test(test_it_has_no_rights),
		cmocka_unit_test(test_without_descriptors_none_is_started),
		cmocka_unit_test(test_several_at_once),
	};
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (sandbox_is_child(argv))
		child_main(argc, argv);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	memset(feed_bytes, 'y', sizeof(feed_bytes));
	return (cmocka_run_group_tests_name("sandbox", tests, NULL, NULL));
}
