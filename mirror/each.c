#include "mirror/each.h"

#include <stdatomic.h>

#include "base/thread.h"

#define THREADS_MAX 64

struct each {
	size_t n;
	void (*fn)(void *arg, size_t i);
	void *arg;
	_Atomic size_t next;
};

static void
each_work(void *arg)
{
	struct each *e = arg;
	size_t i;

	while ((i = atomic_fetch_add(&e->next, 1)) < e->n)
		e->fn(e->arg, i);
}

void
each_run(size_t n, unsigned threads, void (*fn)(void *arg, size_t i), void *arg)
{
	struct each e = { .n = n, .fn = fn, .arg = arg };
	pthread_t others[THREADS_MAX];
	unsigned i, started = 0;

	atomic_init(&e.next, 0);
	while (
	    started + 1 < threads && started + 1 < n && started < THREADS_MAX) {
		if (thread_start("copy", each_work, &e, &others[started]) !=
		    RC_OK)
			break;
		started++;
	}
	each_work(&e);
	for (i = 0; i < started; i++)
		thread_join(others[i]);
}
