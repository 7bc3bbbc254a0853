#include "registryd/net/deadline.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/net/loop_int.h"

/*
 * The timer is set to the first expiry known and not moved when deadlines
 * are set or cleared later than that; when it fires early it is simply set
 * again.  So a busy loop touches it a few times a second at most, and an idle
 * one sleeps until something really expires.
 */
#define DEADLINES_MAGIC 0x44656164u
#define SLACK_NS ((int64_t)10 * 1000 * 1000)
#define NEVER INT64_MAX

struct kind {
	struct deadline list; /* head of a ring */
	int64_t ns;
	deadline_fn *fn;
	void *arg;
};

struct deadlines {
	unsigned magic;
	struct loop *loop;
	struct event *timer;
	int64_t timer_ns; /* when it fires, or NEVER */
	struct kind kinds[DEADLINE_KINDS_MAX];
};

static int64_t
kind_next(const struct kind *k)
{
	if (k->list.next == &k->list || k->ns <= 0)
		return (NEVER);
	return (k->list.next->since_ns + k->ns);
}

static void
timer_set(struct deadlines *ds, int64_t at_ns)
{
	int64_t wait = at_ns - clock_mono_ns() + SLACK_NS;
	struct timeval tv;

	if (at_ns >= ds->timer_ns)
		return;
	if (wait < SLACK_NS)
		wait = SLACK_NS;
	tv.tv_sec = (time_t)(wait / 1000000000);
	tv.tv_usec = (suseconds_t)(wait % 1000000000 / 1000);
	must(event_add(ds->timer, &tv) == 0);
	ds->timer_ns = at_ns;
}

static void
kind_expire(struct deadlines *ds, struct kind *k, int64_t now_ns)
{
	struct deadline *d;

	/* A callback may set it anew: only what waited at the start counts,
	 * and that is at the front. */
	while (kind_next(k) <= now_ns) {
		d = k->list.next;
		deadline_clear(d);
		k->fn(d, k->arg);
	}
	timer_set(ds, kind_next(k));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct deadlines *ds = arg;
	int64_t now_ns = clock_mono_ns();
	unsigned i;

	(void)fd, (void)what;
	OBJ_CHECK(ds, DEADLINES_MAGIC);
	ds->timer_ns = NEVER;
	for (i = 0; i < DEADLINE_KINDS_MAX; i++)
		kind_expire(ds, &ds->kinds[i], now_ns);
}

struct deadlines *
deadlines_new(struct loop *l)
{
	struct deadlines *ds = xcalloc(1, sizeof(*ds));
	unsigned i;

	ds->magic = DEADLINES_MAGIC;
	ds->loop = l;
	ds->timer_ns = NEVER;
	ds->timer = event_new(loop_base(l), -1, 0, on_timer, ds);
	must(ds->timer != NULL);
	for (i = 0; i < DEADLINE_KINDS_MAX; i++) {
		struct deadline *list = &ds->kinds[i].list;

		list->next = list->prev = list;
	}
	return (ds);
}

void
deadlines_free(struct deadlines **dsp)
{
	struct deadlines *ds = *dsp;

	*dsp = NULL;
	if (ds == NULL)
		return;
	OBJ_CHECK(ds, DEADLINES_MAGIC);
	event_free(ds->timer);
	ds->magic = 0;
	free(ds);
}

void
deadlines_kind(
    struct deadlines *ds, unsigned kind, int64_t ms, deadline_fn *fn, void *arg)
{
	struct kind *k = &ds->kinds[kind];

	must(kind < DEADLINE_KINDS_MAX);
	k->ns = ms > 0 ? ms * 1000000 : 0;
	k->fn = fn;
	k->arg = arg;
	timer_set(ds, kind_next(k));
}

void
deadline_set(struct deadlines *ds, struct deadline *d, unsigned kind)
{
	struct kind *k = &ds->kinds[kind];

	must(kind < DEADLINE_KINDS_MAX);
	deadline_clear(d);
	d->kind = kind;
	d->since_ns = loop_now_ns(ds->loop);
	d->next = &k->list;
	d->prev = k->list.prev;
	d->prev->next = d;
	d->next->prev = d;
	if (k->ns > 0 && d->since_ns + k->ns < ds->timer_ns)
		timer_set(ds, kind_next(k));
}

void
deadline_clear(struct deadline *d)
{
	if (d->next == NULL)
		return;
	d->next->prev = d->prev;
	d->prev->next = d->next;
	d->next = d->prev = NULL;
}

void
deadlines_expire(struct deadlines *ds, unsigned kind)
{
	struct kind *k = &ds->kinds[kind];
	struct deadline *d;
	unsigned n = 0;

	must(kind < DEADLINE_KINDS_MAX);
	for (d = k->list.next; d != &k->list; d = d->next)
		n++;
	/* Callbacks may clear others and set new ones. */
	for (; n > 0 && (d = k->list.next) != &k->list; n--) {
		deadline_clear(d);
		k->fn(d, k->arg);
	}
}

bool
deadlines_any(const struct deadlines *ds, unsigned kind)
{
	return (ds->kinds[kind].list.next != &ds->kinds[kind].list);
}
