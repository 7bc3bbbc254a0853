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
 */
#define PARTS 16
#define PART_NOTES_MAX 2048
#define PART_BUCKETS 512

struct pulled_note {
	struct pulled_note *next;
	uint64_t hash;
	int64_t ms;
	struct digest digest;
	size_t name_n;
	char name[];
};

struct part {
	_Alignas(64) pthread_mutex_t mutex;
	size_t n;
	struct pulled_note *buckets[PART_BUCKETS];
};

struct pulled {
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
note_new(
    uint64_t hash, struct span name, const struct digest *d, int64_t now_ms)
{
	struct pulled_note *n = xmalloc(sizeof(*n) + name.n);

	n->next = NULL;
	n->hash = hash;
	n->ms = now_ms;
	n->digest = *d;
	n->name_n = name.n;
	memcpy(n->name, name.p, name.n);
	return (n);
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
	if (*n != NULL) {
		if ((*n)->ms < now_ms)
			(*n)->ms = now_ms;
	} else if (s->n < PART_NOTES_MAX) {
		*n = note_new(hash, repository, d, now_ms);
		full = ++s->n == PART_NOTES_MAX / 2;
	}
	mutex_unlock(&s->mutex);
	return (full);
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

/* All of a part, put before ${notes}. */
static struct pulled_note *
part_take(struct part *s, struct pulled_note *notes, size_t *n)
{
	struct pulled_note *note;
	unsigned i;

	mutex_lock(&s->mutex);
	for (i = 0; i < PART_BUCKETS && s->n > 0; i++) {
		while ((note = s->buckets[i]) != NULL) {
			s->buckets[i] = note->next;
			note->next = notes;
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

	while ((n = notes) != NULL) {
		notes = n->next;
		(void)pulled_add(
		    p, (struct span){ n->name, n->name_n }, &n->digest, n->ms);
		free(n);
	}
}

void
pulled_drop(struct pulled_note *notes)
{
	struct pulled_note *n;

	while ((n = notes) != NULL) {
		notes = n->next;
		free(n);
	}
}

static enum rc
note_write(struct meta_txn *t, const struct pulled_note *n)
{
	const struct manifest_touch touch = { .pulled_ms = n->ms };
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

	for (n = arg; n != NULL; n = n->next) {
		rc = note_write(t, n);
		/* Gone meanwhile, or damaged and told: its own matter. */
		if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
			return (rc);
	}
	return (RC_OK);
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
	for (i = 0; i < PARTS; i++)
		mutex_init(&p->parts[i].mutex);
	return (p);
}

void
pulled_free(struct pulled **p_r)
{
	struct pulled *p = *p_r;
	unsigned i;

	if (p == NULL)
		return;
	pulled_drop(pulled_take(p, SIZE_MAX));
	for (i = 0; i < PARTS; i++)
		must(pthread_mutex_destroy(&p->parts[i].mutex) == 0);
	free(p);
	*p_r = NULL;
}
