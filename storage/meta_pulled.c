#include "storage/meta_env_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/meta_ops_int.h"

/*
 * When a manifest was pulled last, gathered in memory so that a pull waits
 * for nobody: a hash table of what was pulled since the commit thread wrote
 * it down last.  It is cut into parts with a lock each, so that loops do not
 * meet, and each part has a bound: when half of it is used the commit thread
 * is asked to write; what does not fit even so is forgotten, and the manifest
 * keeps the time of an earlier pull.
 *
 * A note that is being written ("taken") stays where it is until the commit is
 * done, so that whoever asks for it in between, and cannot see it in the
 * tables yet, finds it here.  Pulled again meanwhile, it stays to be written
 * once more.
 */
#define PARTS 16
#define PART_NOTES_MAX 2048
#define PART_BUCKETS 512
#define SETTLE_BATCH 4096

/* The times are under the mutex of the part, but .taken_ms and .taken_next,
 * which belong to whoever has taken it. */
struct pulled_note {
	struct pulled_note *next;
	struct pulled_note *taken_next;
	uint64_t hash;
	int64_t ms;
	bool fresh; /* to be taken, perhaps for the second time */
	bool taken;
	int64_t taken_ms; /* that is being written */
	struct digest digest;
	size_t name_n;
	char name[];
};

struct part {
	_Alignas(64) pthread_mutex_t mutex;
	size_t n; /* fresh ones */
	struct pulled_note *buckets[PART_BUCKETS];
};

struct pulled {
	pthread_mutex_t settling; /* one at a time: what one has taken, and was
				     pulled again, is not passed over */
	unsigned next; /* the part to be taken next; by the commit thread */
	struct part parts[PARTS];
};

/* The digest is as good as random; FNV-1a mixes the name in. */
static uint64_t
note_hash(struct span name, const struct digest *d)
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, d->bytes, sizeof(hash));
	for (i = 0; i < name.n; i++)
		hash = (hash ^ (uint8_t)name.p[i]) * UINT64_C(0x100000001b3);
	return (hash ^ hash >> 32);
}

static struct part *
part_of(struct pulled *p, uint64_t hash)
{

	return (&p->parts[hash % PARTS]);
}

static struct pulled_note **
note_find_locked(
    struct part *s, uint64_t hash, struct span name, const struct digest *d)
{
	struct pulled_note **n = &s->buckets[hash / PARTS % PART_BUCKETS];

	for (; *n != NULL; n = &(*n)->next)
		if ((*n)->hash == hash && digest_eq(&(*n)->digest, d) &&
		    span_eq((struct span){ (*n)->name, (*n)->name_n }, name))
			break;
	return (n);
}

static struct pulled_note *
note_new(uint64_t hash, struct span name, const struct digest *d)
{
	struct pulled_note *n = xmalloc(sizeof(*n) + name.n);

	*n = (struct pulled_note){ .hash = hash, .digest = *d };
	n->name_n = name.n;
	memcpy(n->name, name.p, name.n);
	return (n);
}

/* Returns whether there is half of what there may be now. */
static bool
note_freshen_locked(struct part *s, struct pulled_note *n, int64_t ms)
{

	if (n->ms < ms)
		n->ms = ms;
	if (n->fresh)
		return (false);
	n->fresh = true;
	return (++s->n == PART_NOTES_MAX / 2);
}

bool
pulled_add(struct pulled *p, struct span repository, const struct digest *d,
    int64_t now_ms)
{
	uint64_t hash = note_hash(repository, d);
	struct part *s = part_of(p, hash);
	struct pulled_note **n;
	bool full = false;

	if (repository.n == 0 || repository.n > NAME_REPOSITORY_MAX_BYTES)
		return (false);
	mutex_lock(&s->mutex);
	n = note_find_locked(s, hash, repository, d);
	if (*n == NULL && s->n < PART_NOTES_MAX)
		*n = note_new(hash, repository, d);
	if (*n != NULL)
		full = note_freshen_locked(s, *n, now_ms);
	mutex_unlock(&s->mutex);
	return (full);
}

int64_t
pulled_find(struct pulled *p, struct span repository, const struct digest *d)
{
	uint64_t hash = note_hash(repository, d);
	struct part *s = part_of(p, hash);
	struct pulled_note **n;
	int64_t ms = 0;

	mutex_lock(&s->mutex);
	n = note_find_locked(s, hash, repository, d);
	if (*n != NULL)
		ms = (*n)->ms;
	mutex_unlock(&s->mutex);
	return (ms);
}

bool
pulled_any(struct pulled *p)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < PARTS && !any; i++) {
		mutex_lock(&p->parts[i].mutex);
		any = p->parts[i].n > 0;
		mutex_unlock(&p->parts[i].mutex);
	}
	return (any);
}

/* All of a part that are fresh, and that nobody else writes just now, put
 * before ${notes}. */
static struct pulled_note *
part_take(struct part *s, struct pulled_note *notes, size_t *n)
{
	struct pulled_note *note;
	unsigned i;

	mutex_lock(&s->mutex);
	for (i = 0; i < PART_BUCKETS && s->n > 0; i++) {
		for (note = s->buckets[i]; note != NULL; note = note->next) {
			if (!note->fresh || note->taken)
				continue;
			note->fresh = false;
			note->taken = true;
			note->taken_ms = note->ms;
			note->taken_next = notes;
			notes = note;
			s->n--;
			(*n)++;
		}
	}
	mutex_unlock(&s->mutex);
	return (notes);
}

struct pulled_note *
pulled_take(struct pulled *p, size_t max)
{
	struct pulled_note *notes = NULL;
	size_t n = 0;
	unsigned i;

	for (i = 0; i < PARTS && n < max; i++) {
		notes = part_take(&p->parts[p->next], notes, &n);
		p->next = (p->next + 1) % PARTS;
	}
	return (notes);
}

void
pulled_return(struct pulled *p, struct pulled_note *notes)
{
	struct pulled_note *n;
	struct part *s;

	while ((n = notes) != NULL) {
		notes = n->taken_next;
		s = part_of(p, n->hash);
		mutex_lock(&s->mutex);
		n->taken = false;
		(void)note_freshen_locked(s, n, n->taken_ms);
		mutex_unlock(&s->mutex);
	}
}

static void
note_drop_locked(struct part *s, struct pulled_note *n)
{
	struct pulled_note **at = &s->buckets[n->hash / PARTS % PART_BUCKETS];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	free(n);
}

void
pulled_drop(struct pulled *p, struct pulled_note *notes)
{
	struct pulled_note *n;
	struct part *s;

	while ((n = notes) != NULL) {
		notes = n->taken_next;
		s = part_of(p, n->hash);
		mutex_lock(&s->mutex);
		n->taken = false;
		if (!n->fresh)
			note_drop_locked(s, n);
		mutex_unlock(&s->mutex);
	}
}

static enum rc
note_write(struct meta_txn *t, const struct pulled_note *n)
{
	const struct manifest_touch touch = { .pulled_ms = n->taken_ms };
	struct repository_row repo;
	enum rc rc;

	rc = repo_find(t, (struct span){ n->name, n->name_n }, &repo);
	if (rc != RC_OK)
		return (rc);
	return (manifest_touch(t, repo.id, &n->digest, &touch));
}

enum rc
pulled_write(struct meta_txn *t, void *arg)
{
	struct pulled_note *n;
	enum rc rc;

	for (n = arg; n != NULL; n = n->taken_next) {
		rc = note_write(t, n);
		/* Gone meanwhile, or damaged and told: its own matter. */
		if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
			return (rc);
	}
	return (RC_OK);
}

/* Settling: on the commit thread, once more if the change has to run again. */
struct settle {
	struct pulled *pulled;
	struct pulled_note *notes;
	bool taken;
};

static enum rc
settle(struct meta_txn *t, void *arg)
{
	struct settle *s = arg;

	if (!s->taken)
		s->notes = pulled_take(s->pulled, SETTLE_BATCH);
	s->taken = true;
	return (pulled_write(t, s->notes));
}

/* As many as were taken at once: there may be others. */
static bool
settle_more(const struct settle *s)
{
	const struct pulled_note *n;
	size_t count = 0;

	for (n = s->notes; n != NULL; n = n->taken_next)
		count++;
	return (count >= SETTLE_BATCH);
}

/* Those that somebody else has taken are written in the same batch as ours, or
 * before; one part at least is taken each time. */
static enum rc
settle_some(struct meta *m, bool *more_r)
{
	struct settle s = { .pulled = m->pulled };
	enum rc rc;

	rc = meta_change_freeing(m, settle, &s);
	*more_r = settle_more(&s);
	if (rc == RC_OK)
		pulled_drop(m->pulled, s.notes);
	else
		pulled_return(m->pulled, s.notes);
	return (rc);
}

enum rc
meta_pulls_settle(struct meta *m)
{
	bool more = true;
	unsigned i;
	enum rc rc = RC_OK;

	if (m->read_only)
		return (RC_OK);
	mutex_lock(&m->pulled->settling);
	for (i = 0; i < PARTS && more && rc == RC_OK; i++)
		rc = settle_some(m, &more);
	mutex_unlock(&m->pulled->settling);
	return (rc);
}

struct pulled *
pulled_new(void)
{
	struct pulled *p;
	unsigned i;

	p = aligned_alloc(_Alignof(struct part), sizeof(*p));
	if (p == NULL)
		wrong("out of memory");
	memset(p, 0, sizeof(*p));
	mutex_init(&p->settling);
	for (i = 0; i < PARTS; i++)
		mutex_init(&p->parts[i].mutex);
	return (p);
}

static void
part_free(struct part *s)
{
	struct pulled_note *n;
	unsigned i;

	for (i = 0; i < PART_BUCKETS; i++) {
		while ((n = s->buckets[i]) != NULL) {
			s->buckets[i] = n->next;
			free(n);
		}
	}
	must(pthread_mutex_destroy(&s->mutex) == 0);
}

void
pulled_free(struct pulled **p_r)
{
	struct pulled *p = *p_r;
	unsigned i;

	if (p == NULL)
		return;
	for (i = 0; i < PARTS; i++)
		part_free(&p->parts[i]);
	must(pthread_mutex_destroy(&p->settling) == 0);
	free(p);
	*p_r = NULL;
}
