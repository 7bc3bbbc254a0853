#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/cache_int.h"

/*
 * Content and how many images need it: an open table of the first bytes of the
 * digests, which are enough to tell any two apart.  What nobody needs any more
 * stays as an empty count: the table lives for one look at the cache.
 */
#define TALLY_KEY_BYTES 32
#define TALLY_FIRST 1024

struct tally_row {
	uint8_t key[TALLY_KEY_BYTES];
	uint64_t size_bytes;
	uint32_t needed;
	bool used; /* the row */
};

struct tally {
	struct tally_row *rows;
	size_t n, room; /* a power of two */
};

struct tally *
tally_new(void)
{
	struct tally *t = xcalloc(1, sizeof(*t));

	t->room = TALLY_FIRST;
	t->rows = xcalloc(t->room, sizeof(*t->rows));
	return (t);
}

void
tally_free(struct tally **t_p)
{
	struct tally *t = *t_p;

	if (t == NULL)
		return;
	*t_p = NULL;
	free(t->rows);
	free(t);
}

/* Where it is, or may be put. */
static struct tally_row *
row_find(const struct tally *t, const uint8_t key[TALLY_KEY_BYTES])
{
	struct tally_row *r;
	uint64_t at;

	memcpy(&at, key, sizeof(at));
	for (;; at++) {
		r = &t->rows[at & (t->room - 1)];
		if (!r->used || memcmp(r->key, key, TALLY_KEY_BYTES) == 0)
			return (r);
	}
}

static void
tally_grow(struct tally *t)
{
	struct tally old = *t;
	size_t i;

	t->room = old.room * 2;
	t->rows = xcalloc(t->room, sizeof(*t->rows));
	for (i = 0; i < old.room; i++)
		if (old.rows[i].used)
			*row_find(t, old.rows[i].key) = old.rows[i];
	free(old.rows);
}

uint64_t
tally_add(struct tally *t, const struct digest *d, uint64_t size_bytes)
{
	struct tally_row *r = row_find(t, d->bytes);

	if (!r->used) {
		if (t->n >= t->room / 4 * 3) {
			tally_grow(t);
			r = row_find(t, d->bytes);
		}
		r->used = true;
		memcpy(r->key, d->bytes, TALLY_KEY_BYTES);
		r->size_bytes = size_bytes;
		t->n++;
	}
	return (r->needed++ == 0 ? r->size_bytes : 0);
}

uint64_t
tally_drop(struct tally *t, const struct digest *d)
{
	struct tally_row *r = row_find(t, d->bytes);

	if (!r->used || r->needed == 0)
		return (0);
	return (--r->needed == 0 ? r->size_bytes : 0);
}
