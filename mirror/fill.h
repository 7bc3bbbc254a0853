#ifndef MIRROR_FILL_H
#define MIRROR_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "mirror/upstream.h"
#include "storage/blob_file.h"
#include "storage/store.h"

/*
 * A blob that is on its way from an upstream into the store, and whoever wants
 * to have it as it comes.  There is one for each digest and key domain
 * (storage/keys.h), however many repositories and clients ask for it (those of
 * other repositories link what it brought when it is done).
 *
 * Followers may read the file up to .available: all that has arrived but the
 * last FILL_HELD_BYTES, which are let go when the digest matches.  When it does
 * not, or the upstream cannot be read to its end, the fill has failed: what
 * arrived is thrown away and followers have to be cut short of their
 * Content-Length.
 *
 * Counted; any thread.
 */
#define FILL_HELD_BYTES ((uint64_t)64 * 1024)

struct fill;

enum fill_state {
	FILL_ASKED,   /* the upstream has not answered yet */
	FILL_FLOWING, /* .size is known (UINT64_MAX: it is not said) */
	FILL_WHOLE,   /* all of it has the right digest, and may be sent; it is
			 being made durable */
	FILL_DONE,    /* it is in the repository, and linked in each other one
			 that asked meanwhile and is still there */
	FILL_FAILED,
};

struct fill_look {
	enum fill_state state;
	uint64_t size_bytes;
	uint64_t available_bytes; /* from the beginning of the file */
	enum rc rc;		  /* FILL_FAILED: codes of mirror/upstream.h, or
				     RC_NOSPACE, ... of the store */
	struct upstream_error error;
};

struct fill *fill_ref(struct fill *);
/** fill_unref(f): takes NULL; sets it to NULL. */
void fill_unref(struct fill **);

void fill_look(struct fill *, struct fill_look *look_r);

/** fill_reader(f, file_r): a way of one's own to read it, the caller's.
 * RC_LIMIT: too many files are open; RC_NOTFOUND: nothing has come yet. */
RC_MUST_USE enum rc fill_reader(struct fill *, struct blob_file *file_r);

enum fill_wish {
	FILL_UNTIL_ANSWER, /* it is not FILL_ASKED any more */
	FILL_UNTIL_BYTES,  /* .available is more than ${bytes}, or it is whole,
			      or has failed */
	FILL_UNTIL_END,	   /* FILL_DONE or FILL_FAILED */
};

/* Who waits; lives until it was woken, exactly once.  wake() runs on the fill's
 * thread, or on that of cache_stop(), without a lock, and must not block. */
struct fill_waiter {
	void (*wake)(void *arg);
	void *arg;
	/* The fill's, from fill_wait() on. */
	struct fill_waiter *next;
	enum fill_wish wish;
	uint64_t bytes;
};

/** fill_wait(f, wish, bytes, waiter): false: it is so already, and nobody will
 * be woken. */
bool
fill_wait(struct fill *, enum fill_wish, uint64_t bytes, struct fill_waiter *);

#endif
