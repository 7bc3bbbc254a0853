#include "registryd/net/bufpool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define BUFPOOL_MAGIC 0x42756670u

/* Lies at the front of an idle buffer. */
struct idle_buffer {
	struct idle_buffer *next; /* used longer ago */
	int64_t since_ns;
};

struct bufpool {
	unsigned magic;
	unsigned max;
	pthread_mutex_t lock;
	struct idle_buffer *idle; /* last used first: it is warm */
	unsigned used;
	struct bufpool_wait *first, **end;
	atomic_uint waiting; /* changed under the lock */
};

void *
pages_alloc(size_t n_bytes)
{
	void *p;

	p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		wrong("out of memory");
	return (p);
}

void
pages_free(void *p, size_t n_bytes)
{
	must(munmap(p, n_bytes) == 0);
}

struct bufpool *
bufpool_new(unsigned max)
{
	struct bufpool *bp = xcalloc(1, sizeof(*bp));

	must(max >= 1);
	bp->magic = BUFPOOL_MAGIC;
	bp->max = max;
	bp->end = &bp->first;
	mutex_init(&bp->lock);
	return (bp);
}

void
bufpool_free(struct bufpool **bpp)
{
	struct bufpool *bp = *bpp;

	*bpp = NULL;
	if (bp == NULL)
		return;
	OBJ_CHECK(bp, BUFPOOL_MAGIC);
	must(bp->used == 0 && bp->first == NULL);
	must(!bufpool_trim(bp, 0));
	pthread_mutex_destroy(&bp->lock);
	bp->magic = 0;
	free(bp);
}

/* The lock is held. */
static void
wait_add(struct bufpool *bp, struct bufpool_wait *w)
{
	w->next = NULL;
	w->buffer = NULL;
	*bp->end = w;
	bp->end = &w->next;
	atomic_fetch_add_explicit(&bp->waiting, 1, memory_order_relaxed);
}

/* The lock is held. */
static struct bufpool_wait *
wait_take(struct bufpool *bp)
{
	struct bufpool_wait *w = bp->first;

	if (w == NULL)
		return (NULL);
	bp->first = w->next;
	if (bp->first == NULL)
		bp->end = &bp->first;
	atomic_fetch_sub_explicit(&bp->waiting, 1, memory_order_relaxed);
	return (w);
}

void *
bufpool_take(struct bufpool *bp, struct bufpool_wait *w)
{
	struct idle_buffer *b = NULL;
	bool fresh = false;

	OBJ_CHECK(bp, BUFPOOL_MAGIC);
	mutex_lock(&bp->lock);
	if (bp->used == bp->max) {
		wait_add(bp, w);
	} else {
		bp->used++;
		b = bp->idle;
		fresh = b == NULL;
		if (!fresh)
			bp->idle = b->next;
	}
	mutex_unlock(&bp->lock);
	return (fresh ? pages_alloc(BUFPOOL_BUFFER_BYTES) : (void *)b);
}

void
bufpool_give(struct bufpool *bp, void *buffer)
{
	struct idle_buffer *b = buffer;
	struct bufpool_wait *w;

	OBJ_CHECK(bp, BUFPOOL_MAGIC);
	mutex_lock(&bp->lock);
	w = wait_take(bp);
	if (w == NULL) {
		b->since_ns = clock_mono_ns();
		b->next = bp->idle;
		bp->idle = b;
		bp->used--;
	}
	mutex_unlock(&bp->lock);
	if (w != NULL) {
		w->buffer = buffer;
		loop_post(w->loop, &w->task);
	}
}

bool
bufpool_contended(const struct bufpool *bp)
{
	return (atomic_load_explicit(&bp->waiting, memory_order_relaxed) > 0);
}

/* Cut off the tail of the list that is older than ${before_ns}. */
static struct idle_buffer *
idle_cut(struct bufpool *bp, int64_t before_ns)
{
	struct idle_buffer **bpp = &bp->idle, *old;

	while (*bpp != NULL && (*bpp)->since_ns > before_ns)
		bpp = &(*bpp)->next;
	old = *bpp;
	*bpp = NULL;
	return (old);
}

bool
bufpool_trim(struct bufpool *bp, int64_t age_ms)
{
	struct idle_buffer *old, *next;
	bool more;

	OBJ_CHECK(bp, BUFPOOL_MAGIC);
	mutex_lock(&bp->lock);
	old = idle_cut(bp, clock_mono_ns() - age_ms * 1000000);
	more = bp->idle != NULL;
	mutex_unlock(&bp->lock);
	for (; old != NULL; old = next) {
		next = old->next;
		pages_free(old, BUFPOOL_BUFFER_BYTES);
	}
	return (more);
}

void
bufpool_stats(struct bufpool *bp, unsigned *used_r, unsigned *waiting_r)
{
	mutex_lock(&bp->lock);
	*used_r = bp->used;
	mutex_unlock(&bp->lock);
	*waiting_r = atomic_load_explicit(&bp->waiting, memory_order_relaxed);
}
