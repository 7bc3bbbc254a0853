#include "registryd/net/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/net/loop_int.h"

/*
 * A wake-up costs two system calls, so it is only made when the loop may be
 * asleep: the loop says so, under the lock, before it waits, and looks for
 * posted tasks itself at the end of each turn.  The event on the eventfd is
 * edge-triggered, so nobody ever has to read the counter.
 */
#define LOOP_MAGIC 0x4c6f6f70u

struct task_list {
	struct loop_task *first;
	struct loop_task **end;
};

struct loop {
	unsigned magic;
	bool quit;
	struct event_base *base;
	struct event *wake;
	int wake_fd;
	int64_t now_ns; /* 0: not read in this turn */
	struct task_list ready;

	pthread_mutex_t lock;
	struct task_list posted; /* under the lock */
	bool asleep;		 /* under the lock; may miss a post */
};

static void
list_init(struct task_list *t)
{
	t->first = NULL;
	t->end = &t->first;
}

static void
list_add(struct task_list *t, struct loop_task *task)
{
	task->next = NULL;
	*t->end = task;
	t->end = &task->next;
}

static struct loop_task *
list_take(struct task_list *t)
{
	struct loop_task *first = t->first;

	list_init(t);
	return (first);
}

static void
list_run(struct loop_task *t)
{
	struct loop_task *next;

	for (; t != NULL; t = next) {
		next = t->next;
		t->fn(t->arg);
	}
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	/* The turn that ends with this event looks at the list. */
	(void)fd, (void)what, (void)arg;
}

static struct event_base *
base_new(void)
{
	struct event_config *config;
	struct event_base *base;

	config = event_config_new();
	if (config == NULL)
		return (NULL);
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	(void)event_config_require_features(
	    config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return (base);
}

enum rc
loop_new(struct loop **l_r)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->magic = LOOP_MAGIC;
	list_init(&l->ready);
	list_init(&l->posted);
	mutex_init(&l->lock);
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd == -1)
		goto err;
	l->base = base_new();
	if (l->base == NULL)
		goto err;
	l->wake = event_new(
	    l->base, l->wake_fd, EV_READ | EV_PERSIST | EV_ET, on_wake, l);
	if (l->wake == NULL || event_add(l->wake, NULL) == -1)
		goto err;
	*l_r = l;
	return (RC_OK);

err:
	log_errno("cannot make an event loop");
	loop_free(&l);
	return (RC_LIMIT);
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	OBJ_CHECK(l, LOOP_MAGIC);
	if (l->wake != NULL)
		event_free(l->wake);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->wake_fd != -1)
		(void)close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	l->magic = 0;
	free(l);
}

struct event_base *
loop_base(struct loop *l)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	return (l->base);
}

/* May this turn wait?  From a yes on, posting makes a wake-up. */
static bool
loop_lie_down(struct loop *l)
{
	bool idle;

	if (l->ready.first != NULL)
		return (false);
	mutex_lock(&l->lock);
	idle = l->posted.first == NULL;
	l->asleep = idle;
	mutex_unlock(&l->lock);
	return (idle);
}

static struct loop_task *
loop_get_up(struct loop *l)
{
	struct loop_task *posted;

	mutex_lock(&l->lock);
	l->asleep = false;
	posted = list_take(&l->posted);
	mutex_unlock(&l->lock);
	return (posted);
}

void
loop_run(struct loop *l)
{
	int flags;

	OBJ_CHECK(l, LOOP_MAGIC);
	while (!l->quit) {
		flags = EVLOOP_ONCE;
		if (!loop_lie_down(l))
			flags |= EVLOOP_NONBLOCK;
		l->now_ns = 0;
		must(event_base_loop(l->base, flags) != -1);
		list_run(loop_get_up(l));
		list_run(list_take(&l->ready));
	}
}

void
loop_quit(struct loop *l)
{
	l->quit = true;
}

void
loop_post(struct loop *l, struct loop_task *t)
{
	static const uint64_t one = 1;
	bool wake;

	OBJ_CHECK(l, LOOP_MAGIC);
	mutex_lock(&l->lock);
	list_add(&l->posted, t);
	wake = l->asleep;
	l->asleep = false;
	mutex_unlock(&l->lock);
	if (wake)
		must(write(l->wake_fd, &one, sizeof(one)) == sizeof(one));
}

void
loop_defer(struct loop *l, struct loop_task *t)
{
	list_add(&l->ready, t);
}

int64_t
loop_now_ns(struct loop *l)
{
	if (l->now_ns == 0)
		l->now_ns = clock_mono_ns();
	return (l->now_ns);
}
