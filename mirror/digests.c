#include "mirror/digests.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SLOTS_MIN 64

/* Whoever made the content chose the digest, but not cheaply: a hundred equal
 * places cost him more than us. */
static size_t
digest_place(const struct digest *d, size_t n_slots)
{
	uint64_t h;

	memcpy(&h, d->bytes, sizeof(h));
	return ((size_t)h & (n_slots - 1));
}

/* The slot that it is in, or the free one that it would be in. */
static size_t
slot_find(const struct digests *s, const struct digest *d)
{
	size_t i = digest_place(d, s->n_slots);

	while (s->slots[i] != 0 && !digest_eq(&s->rows[s->slots[i] - 1], d))
		i = (i + 1) & (s->n_slots - 1);
	return (i);
}

static void
slots_grow(struct digests *s)
{
	size_t i;

	s->n_slots = s->n_slots > 0 ? s->n_slots * 2 : SLOTS_MIN;
	free(s->slots);
	s->slots = xcalloc(s->n_slots, sizeof(*s->slots));
	for (i = 0; i < s->n; i++)
		s->slots[slot_find(s, &s->rows[i])] = (uint32_t)i + 1;
}

bool
digests_has(const struct digests *s, const struct digest *d)
{
	return (s->n > 0 && s->slots[slot_find(s, d)] != 0);
}

bool
digests_add(struct digests *s, const struct digest *d)
{
	size_t i;

	if ((s->n + 1) * 2 > s->n_slots)
		slots_grow(s);
	i = slot_find(s, d);
	if (s->slots[i] != 0)
		return (false);
	if (s->n == s->room) {
		s->room = s->room > 0 ? s->room * 2 : SLOTS_MIN / 2;
		s->rows = xrealloc(s->rows, s->room * sizeof(*s->rows));
	}
	s->rows[s->n++] = *d;
	s->slots[i] = (uint32_t)s->n;
	return (true);
}

void
digests_free(struct digests *s)
{
	free(s->rows);
	free(s->slots);
	memset(s, 0, sizeof(*s));
}
