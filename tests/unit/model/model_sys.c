#include "model.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "storage/meta_env_int.h"

/*
 * System calls of the store go through here, since what a program defines
 * itself comes before what its libraries do.
 *
 * Time is the model's.  That of the calendar is before any that the files of
 * the system can have, so that the two are never mixed up; the monotonic one is
 * far ahead of the system's, so that who sleeps until then sleeps until he is
 * woken.
 *
 * Calls that change files are counted, for a crash in one of them, and some are
 * where a collection pauses for steps of the model.
 */
#define MONOTONIC_AHEAD_MS INT64_C(1000000000000)

static struct model *the_model;
static pthread_t the_driver;

void
sys_begin(struct model *m)
{
	the_driver = pthread_self();
	the_model = m;
}

void
sys_end(void)
{
	the_model = NULL;
}

/* A crash is the end of the process, in the middle of things. */
static void
crash_count(struct shared *sh)
{
	if (!sh->crash_armed || sh->crash_after-- > 0)
		return;
	_exit(MODEL_CRASHED);
}

/* Steps, while somebody holds claims: they do what never waits for these.  On
 * the commit thread even less. */
static void
pause_here(struct model *m, bool committing)
{
	if (!m->sh->collecting || m->inside)
		return;
	m->claimed = true;
	model_pause(m, committing);
	m->claimed = false;
}

static void
changing(bool removal, bool sync)
{
	struct model *m = the_model;
	bool driver;

	if (m == NULL)
		return;
	driver = pthread_equal(pthread_self(), the_driver) != 0;
	if (removal && driver)
		pause_here(m, false);
	if (sync && !driver)
		pause_here(m, true);
	crash_count(m->sh);
}

/*
 * Locks.  Whoever collects takes one between two things that he does: before he
 * hands a change in, of what he has looked at.  There, with no other lock and no
 * read begun, is where anything may happen.
 */
extern char __executable_start, etext;

static int (*real_lock)(pthread_mutex_t *);
static int (*real_unlock)(pthread_mutex_t *);
static unsigned locks; /* that the driver has */

static void
locks_find(void)
{
	*(void **)&real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	*(void **)&real_unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
	if (real_lock == NULL || real_unlock == NULL)
		abort();
}

/* Not of a library, which may be in the middle of something. */
static bool
ours(const void *caller)
{
	return ((const char *)caller >= &__executable_start &&
		(const char *)caller < &etext);
}

static void
locking(struct model *m)
{
	if (locks == 0 && m->store != NULL && !meta_reading(m->meta))
		pause_here(m, false);
	locks++;
}

int
pthread_mutex_lock(pthread_mutex_t *mutex)
{
	struct model *m = the_model;

	if (real_lock == NULL)
		locks_find();
	if (m != NULL && m->sh->collecting && !m->inside &&
	    pthread_equal(pthread_self(), the_driver) != 0 &&
	    ours(__builtin_return_address(0)))
		locking(m);
	return (real_lock(mutex));
}

int
pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	struct model *m = the_model;

	if (real_unlock == NULL)
		locks_find();
	if (m != NULL && m->sh->collecting && !m->inside &&
	    pthread_equal(pthread_self(), the_driver) != 0 &&
	    ours(__builtin_return_address(0)))
		locks--;
	return (real_unlock(mutex));
}

static void
time_of(int64_t ms, struct timespec *ts)
{
	ts->tv_sec = ms / 1000;
	ts->tv_nsec = ms % 1000 * 1000000;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	const struct model *m = the_model;

	if (m != NULL && id == CLOCK_REALTIME) {
		time_of(m->sh->now_ms, ts);
		return (0);
	}
	if (m != NULL && id == CLOCK_MONOTONIC) {
		time_of(m->sh->now_ms + MONOTONIC_AHEAD_MS, ts);
		return (0);
	}
	return ((int)syscall(SYS_clock_gettime, id, ts));
}

/* Nobody waits for time to pass. */
int
nanosleep(const struct timespec *ts, struct timespec *left_r)
{
	if (the_model != NULL)
		return (0);
	return ((int)syscall(SYS_nanosleep, ts, left_r));
}

int
unlinkat(int dir_fd, const char *path, int flags)
{
	changing(true, false);
	return ((int)syscall(SYS_unlinkat, dir_fd, path, flags));
}

int
renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	changing(false, false);
	return ((int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0));
}

int
mkdirat(int dir_fd, const char *path, mode_t mode)
{
	changing(false, false);
	return ((int)syscall(SYS_mkdirat, dir_fd, path, mode));
}

int
fdatasync(int fd)
{
	changing(false, true);
	return ((int)syscall(SYS_fdatasync, fd));
}

int
fsync(int fd)
{
	changing(false, false);
	return ((int)syscall(SYS_fsync, fd));
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
	changing(false, false);
	return ((ssize_t)syscall(SYS_pwrite64, fd, p, n, offset));
}
