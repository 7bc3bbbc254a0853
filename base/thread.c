#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"

/* The sanitizers put red zones and shadow calls on the stack. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (8 * THREAD_STACK_BYTES)
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define STACK_BYTES (8 * THREAD_STACK_BYTES)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES THREAD_STACK_BYTES
#endif

#define NAME_BYTES 16
#define BACKGROUND_NICE 10

struct start {
	char name[NAME_BYTES];
	void (*fn)(void *);
	void *arg;
};

static void *
thread_main(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	(void)pthread_setname_np(pthread_self(), s.name);
	s.fn(s.arg);
	return (NULL);
}

/*
 * Signals for the process belong to the main thread.  Those that a fault of
 * this very thread raises stay open: blocked, they would kill the process
 * without the report of a handler.
 */
static void
signals_block(sigset_t *old_r)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT,
		SIGTRAP, SIGSYS };
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < ARRAY_LEN(faults); i++)
		sigdelset(&set, faults[i]);
	must(pthread_sigmask(SIG_BLOCK, &set, old_r) == 0);
}

static int
thread_create(struct start *s, pthread_t *t_r)
{
	pthread_attr_t attr;
	sigset_t old;
	int err;

	must(pthread_attr_init(&attr) == 0);
	must(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	signals_block(&old);
	err = pthread_create(t_r, &attr, thread_main, s);
	must(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
	must(pthread_attr_destroy(&attr) == 0);
	return (err);
}

enum rc
thread_start(const char *name, void (*fn)(void *), void *arg, pthread_t *t_r)
{
	struct start *s;
	int err;

	s = xcalloc(1, sizeof(*s));
	memcpy(s->name, name, strnlen(name, NAME_BYTES - 1));
	s->fn = fn;
	s->arg = arg;
	err = thread_create(s, t_r);
	if (err != 0) {
		errno = err;
		log_errno("cannot start the thread %s", name);
		free(s);
		return (RC_LIMIT);
	}
	return (RC_OK);
}

void
thread_join(pthread_t t)
{
	must(pthread_join(t, NULL) == 0);
}

void
thread_step_back(void)
{
	static const struct sched_param none = { 0 };

	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), BACKGROUND_NICE);
}

void
mutex_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;

	must(pthread_mutexattr_init(&attr) == 0);
	must(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
	must(pthread_mutex_init(m, &attr) == 0);
	must(pthread_mutexattr_destroy(&attr) == 0);
}

void
mutex_lock(pthread_mutex_t *m)
{
	must(pthread_mutex_lock(m) == 0);
}

void
mutex_unlock(pthread_mutex_t *m)
{
	must(pthread_mutex_unlock(m) == 0);
}

void
cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(c, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
}

void
cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	must(pthread_cond_wait(c, m) == 0);
}

int
cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, long ms)
{
	struct timespec until;
	int err;

	if (ms < 0)
		ms = 0;
	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	err = pthread_cond_timedwait(c, m, &until);
	must(err == 0 || err == ETIMEDOUT);
	return (err == 0);
}
