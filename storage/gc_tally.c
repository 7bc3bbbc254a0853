#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/gc_int.h"

/*
 * What was reclaimed, by repository: a hash map of names.
 */
#define TALLY_SLOTS_MIN 64

struct entry {
	uint64_t links, blobs, bytes;
	size_t name_n;
	char name[];
};

struct gc_tally {
	struct entry **slots; /* open addressing; a power of two */
	size_t n_slots, n;
};

struct gc_tally *
gc_tally_new(void)
{
	struct gc_tally *y = xcalloc(1, sizeof(*y));

	y->n_slots = TALLY_SLOTS_MIN;
	y->slots = xcalloc(y->n_slots, sizeof(struct entry *));
	return (y);
}

void
gc_tally_free(struct gc_tally **y_p)
{
	struct gc_tally *y = *y_p;
	size_t i;

	if (y == NULL)
		return;
	*y_p = NULL;
	for (i = 0; i < y->n_slots; i++)
		free(y->slots[i]);
	free(y->slots);
	free(y);
}

static struct span
entry_name(const struct entry *e)
{
	return ((struct span){ e->name, e->name_n });
}

/* Where it is, or would be. */
static struct entry **
slot_find(const struct gc_tally *y, struct span name)
{
	size_t i = span_hash(name) & (y->n_slots - 1);

	while (y->slots[i] != NULL && !span_eq(entry_name(y->slots[i]), name))
		i = (i + 1) & (y->n_slots - 1);
	return (&y->slots[i]);
}

static void
tally_grow(struct gc_tally *y)
{
	struct gc_tally old = *y;
	size_t i;

	y->n_slots = 2 * old.n_slots;
	y->slots = xcalloc(y->n_slots, sizeof(struct entry *));
	for (i = 0; i < old.n_slots; i++)
		if (old.slots[i] != NULL)
			*slot_find(y, entry_name(old.slots[i])) = old.slots[i];
	free(old.slots);
}

static struct entry *
entry_new(struct span name)
{
	struct entry *e = xcalloc(1, sizeof(*e) + name.n);

	e->name_n = name.n;
	if (name.n > 0)
		memcpy(e->name, name.p, name.n);
	return (e);
}

void
gc_tally_add(struct gc_tally *y, struct span repository, uint64_t links,
    uint64_t blobs, uint64_t bytes)
{
	struct entry **e = slot_find(y, repository);

	if (*e == NULL) {
		if (2 * (y->n + 1) > y->n_slots) {
			tally_grow(y);
			e = slot_find(y, repository);
		}
		*e = entry_new(repository);
		y->n++;
	}
	(*e)->links += links;
	(*e)->blobs += blobs;
	(*e)->bytes += bytes;
}

static int
entry_cmp(const void *a, const void *b)
{
	return (span_cmp(entry_name(*(struct entry *const *)a),
	    entry_name(*(struct entry *const *)b)));
}

void
gc_tally_tell(const struct gc_tally *y,
    void (*fn)(void *arg, const struct gc_reclaimed *), void *arg)
{
	struct entry **sorted = xcalloc(y->n + 1, sizeof(struct entry *));
	struct gc_reclaimed told;
	size_t i, n = 0;

	for (i = 0; i < y->n_slots; i++)
		if (y->slots[i] != NULL)
			sorted[n++] = y->slots[i];
	must(n == y->n);
	qsort(sorted, n, sizeof(struct entry *), entry_cmp);
	for (i = 0; i < n; i++) {
		told = (struct gc_reclaimed){
			.repository = entry_name(sorted[i]),
			.links = sorted[i]->links,
			.blobs = sorted[i]->blobs,
			.bytes = sorted[i]->bytes,
		};
		fn(arg, &told);
	}
	free(sorted);
}
