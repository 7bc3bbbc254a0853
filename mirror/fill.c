#include "mirror/fill.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/fill_int.h"
#include "storage/sealed.h"

/*
 * The meeting place of one thread that brings a blob and all that follow it.
 * It knows nothing of the cache, so that a follower may keep it for longer.
 *
 * Who waits is in a list; a step takes those whose wish has come true out of
 * it under the lock, and wakes them when the lock is free again, as what they
 * do then is to look, and perhaps to let go of their reference.
 */
#define FILL_MAGIC 0x46696c6cU

/* What is held back covers what a reader may not be given yet (upload.h). */
static_assert(FILL_HELD_BYTES >= SEALED_FRAME_BYTES, "frames are held whole");

struct fill {
	unsigned magic;
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	/* All under the lock. */
	enum fill_state state;
	uint64_t size_bytes, available_bytes;
	struct blob_file file; /* not open: not yet */
	enum rc rc;
	struct upstream_error error;
	struct fill_waiter *waiters;
};

struct fill *
fill_new(void)
{
	struct fill *f = xcalloc(1, sizeof(*f));

	f->magic = FILL_MAGIC;
	atomic_init(&f->refs, 1);
	mutex_init(&f->lock);
	f->state = FILL_ASKED;
	f->size_bytes = UINT64_MAX;
	f->file = (struct blob_file)BLOB_FILE_NONE;
	return (f);
}

struct fill *
fill_ref(struct fill *f)
{
	OBJ_CHECK(f, FILL_MAGIC);
	atomic_fetch_add(&f->refs, 1);
	return (f);
}

void
fill_unref(struct fill **f_p)
{
	struct fill *f = *f_p;

	if (f == NULL)
		return;
	OBJ_CHECK(f, FILL_MAGIC);
	*f_p = NULL;
	if (atomic_fetch_sub(&f->refs, 1) > 1)
		return;
	must(f->waiters == NULL);
	blob_file_close(&f->file);
	must(pthread_mutex_destroy(&f->lock) == 0);
	f->magic = 0;
	free(f);
}

/* --- those who follow ---------------------------------------------------- */

void
fill_look(struct fill *f, struct fill_look *look_r)
{
	OBJ_CHECK(f, FILL_MAGIC);
	mutex_lock(&f->lock);
	look_r->state = f->state;
	look_r->size_bytes = f->size_bytes;
	look_r->available_bytes = f->available_bytes;
	look_r->rc = f->rc;
	if (f->state == FILL_FAILED)
		look_r->error = f->error;
	else
		look_r->error = (struct upstream_error){ 0 };
	mutex_unlock(&f->lock);
}

enum fill_state
fill_state(struct fill *f)
{
	enum fill_state state;

	mutex_lock(&f->lock);
	state = f->state;
	mutex_unlock(&f->lock);
	return (state);
}

enum rc
fill_reader(struct fill *f, struct blob_file *file_r)
{
	enum rc rc = RC_NOTFOUND;

	OBJ_CHECK(f, FILL_MAGIC);
	mutex_lock(&f->lock);
	if (f->file.fd >= 0)
		rc = blob_file_dup(&f->file, file_r);
	mutex_unlock(&f->lock);
	return (rc);
}

static bool
wish_is_true(const struct fill *f, enum fill_wish wish, uint64_t bytes)
{
	switch (wish) {
	case FILL_UNTIL_ANSWER:
		return (f->state != FILL_ASKED);
	case FILL_UNTIL_BYTES:
		return (f->available_bytes > bytes || f->state >= FILL_WHOLE);
	case FILL_UNTIL_END:
		return (f->state >= FILL_DONE);
	}
	wrong("a wish that nobody knows");
}

bool
fill_wait(
    struct fill *f, enum fill_wish wish, uint64_t bytes, struct fill_waiter *w)
{
	bool waits;

	OBJ_CHECK(f, FILL_MAGIC);
	mutex_lock(&f->lock);
	waits = !wish_is_true(f, wish, bytes);
	if (waits) {
		w->wish = wish;
		w->bytes = bytes;
		w->next = f->waiters;
		f->waiters = w;
	}
	mutex_unlock(&f->lock);
	return (waits);
}

/* --- the one who brings it ----------------------------------------------- */

/* Those whose wish has come true, out of the list.  With the lock held. */
static struct fill_waiter *
waiters_take(struct fill *f)
{
	struct fill_waiter **at = &f->waiters, *taken = NULL, *w;

	while ((w = *at) != NULL) {
		if (!wish_is_true(f, w->wish, w->bytes)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = taken;
		taken = w;
	}
	return (taken);
}

/* The lock ends here.  A waiter is not ours any more once it is woken. */
static void
step_end(struct fill *f)
{
	struct fill_waiter *w = waiters_take(f), *next;

	mutex_unlock(&f->lock);
	for (; w != NULL; w = next) {
		next = w->next;
		w->wake(w->arg);
	}
}

/* With true the lock is held. */
static bool
step_begin(struct fill *f)
{
	OBJ_CHECK(f, FILL_MAGIC);
	mutex_lock(&f->lock);
	if (f->state < FILL_DONE)
		return (true);
	mutex_unlock(&f->lock);
	return (false);
}

bool
fill_flow(struct fill *f, uint64_t size_bytes, struct blob_file *file)
{
	if (!step_begin(f)) {
		blob_file_close(file);
		return (false);
	}
	must(f->state == FILL_ASKED);
	f->state = FILL_FLOWING;
	f->size_bytes = size_bytes;
	f->file = *file;
	*file = (struct blob_file)BLOB_FILE_NONE;
	step_end(f);
	return (true);
}

bool
fill_publish(struct fill *f, uint64_t written_bytes)
{
	uint64_t available = 0;

	if (written_bytes > FILL_HELD_BYTES)
		available = written_bytes - FILL_HELD_BYTES;
	if (!step_begin(f))
		return (false);
	must(f->state == FILL_FLOWING);
	if (available > f->available_bytes)
		f->available_bytes = available;
	step_end(f);
	return (true);
}

bool
fill_whole(struct fill *f, uint64_t size_bytes)
{
	if (!step_begin(f))
		return (false);
	must(f->state == FILL_FLOWING);
	f->state = FILL_WHOLE;
	f->size_bytes = size_bytes;
	f->available_bytes = size_bytes;
	step_end(f);
	return (true);
}

bool
fill_done(struct fill *f)
{
	if (!step_begin(f))
		return (false);
	f->state = FILL_DONE;
	step_end(f);
	return (true);
}

bool
fill_fail(struct fill *f, enum rc rc, const struct upstream_error *error)
{
	if (!step_begin(f))
		return (false);
	f->state = FILL_FAILED;
	f->rc = rc;
	if (error != NULL)
		f->error = *error;
	step_end(f);
	return (true);
}
