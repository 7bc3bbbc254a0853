#include "mirror/archive_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

#define SLOTS_FIRST 256

static uint32_t
slot_of(const struct arc_table *t, const struct digest *key)
{
	uint32_t hash;

	memcpy(&hash, key->bytes, sizeof(hash));
	return (hash & (t->n_slots - 1));
}

/* Where it stands, or where it would. */
static uint32_t *
slot_find(const struct arc_table *t, const struct digest *key)
{
	uint32_t i = slot_of(t, key);

	while (t->slots[i] != 0 &&
	       !digest_eq(arc_table_at(t, t->slots[i] - 1), key))
		i = (i + 1) & (t->n_slots - 1);
	return (&t->slots[i]);
}

static void
slots_grow(struct arc_table *t)
{
	uint32_t i;

	t->n_slots = t->n_slots == 0 ? SLOTS_FIRST : t->n_slots * 2;
	free(t->slots);
	t->slots = xcalloc(t->n_slots, sizeof(*t->slots));
	for (i = 0; i < t->n; i++)
		*slot_find(t, arc_table_at(t, i)) = i + 1;
}

static void
rows_grow(struct arc_table *t)
{
	t->room = t->room == 0 ? SLOTS_FIRST / 2 : t->room * 2;
	t->rows = xrealloc(t->rows, t->room * t->stride_bytes);
}

void
arc_table_init(struct arc_table *t, size_t stride_bytes)
{
	must(stride_bytes >= sizeof(struct digest));
	memset(t, 0, sizeof(*t));
	t->stride_bytes = stride_bytes;
}

void
arc_table_free(struct arc_table *t)
{
	free(t->rows);
	free(t->slots);
	memset(t, 0, sizeof(*t));
}

void *
arc_table_at(const struct arc_table *t, uint32_t i)
{
	must(i < t->n);
	return (t->rows + i * t->stride_bytes);
}

uint32_t
arc_table_find(const struct arc_table *t, const struct digest *key)
{
	uint32_t slot;

	if (t->n == 0)
		return (ARC_NONE);
	slot = *slot_find(t, key);
	return (slot == 0 ? ARC_NONE : slot - 1);
}

uint32_t
arc_table_add(struct arc_table *t, const struct digest *key, bool *new_r)
{
	uint32_t *slot, i;

	if (t->n >= t->n_slots / 2)
		slots_grow(t);
	slot = slot_find(t, key);
	*new_r = *slot == 0;
	if (!*new_r)
		return (*slot - 1);
	if (t->n == t->room)
		rows_grow(t);
	i = t->n++;
	*slot = t->n;
	memset(arc_table_at(t, i), 0, t->stride_bytes);
	memcpy(arc_table_at(t, i), key, sizeof(*key));
	return (i);
}
