#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * The table of sessions in memory: a hash map under one lock.  An idle
 * session costs its entry and its running hash, no descriptor.
 */

void
upload_id_new(char id_r[UPLOAD_ID_BYTES])
{
	uint8_t bytes[(UPLOAD_ID_BYTES - 1) / 2];
	ssize_t n;

	do {
		n = getrandom(bytes, sizeof(bytes), 0);
	} while (n < 0 && errno == EINTR);
	must(n == (ssize_t)sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), id_r);
}

/* --- entries ------------------------------------------------------------- */

struct upload *
upload_entry_new(
    struct uploads *t, const char *id, struct span repository, uint8_t alg)
{
	struct upload *u = xcalloc(1, sizeof(*u) + repository.n);

	u->magic = UPLOAD_MAGIC;
	u->table = t;
	memcpy(u->id, id, sizeof(u->id));
	u->alg = alg;
	u->repository_n = repository.n;
	if (repository.n > 0)
		memcpy(u->repository, repository.p, repository.n);
	atomic_init(&u->touched_ms, clock_real_ms());
	atomic_init(&u->offset_bytes, 0);
	return (u);
}

void
upload_entry_free(struct upload **u_p)
{
	struct upload *u = *u_p;

	if (u == NULL)
		return;
	OBJ_CHECK(u, UPLOAD_MAGIC);
	*u_p = NULL;
	scratch_close(&u->scratch);
	upload_early_drop(u);
	hasher_free(&u->hasher);
	free(u->wish);
	u->magic = 0;
	free(u);
}

/* --- the table ----------------------------------------------------------- */

/* The ids in the table are our own random ones. */
static struct upload **
bucket_of(struct uploads *t, struct span id)
{
	return (&t->buckets[span_hash(id) % UPLOAD_BUCKETS]);
}

void
upload_table_add(struct uploads *t, struct upload *u)
{
	struct upload **bucket = bucket_of(t, span_of(u->id));

	u->next = *bucket;
	*bucket = u;
}

void
upload_table_remove(struct uploads *t, struct upload *u)
{
	struct upload **p = bucket_of(t, span_of(u->id));

	while (*p != u) {
		must(*p != NULL);
		p = &(*p)->next;
	}
	*p = u->next;
}

struct upload *
upload_table_find(struct uploads *t, struct span id)
{
	struct upload *u;

	for (u = *bucket_of(t, id); u != NULL; u = u->next) {
		if (span_is(id, u->id))
			return (u);
	}
	return (NULL);
}

bool
upload_in_memory(struct uploads *t, struct span id)
{
	bool found;

	mutex_lock(&t->lock);
	found = upload_table_find(t, id) != NULL;
	mutex_unlock(&t->lock);
	return (found);
}

struct upload *
upload_table_claim_expired(struct uploads *t, int64_t now_ms, unsigned *bucket)
{
	struct upload *u = NULL;

	mutex_lock(&t->lock);
	for (; *bucket < UPLOAD_BUCKETS; ++*bucket) {
		for (u = t->buckets[*bucket]; u != NULL; u = u->next) {
			if (!u->busy &&
			    upload_expired(t, u->touched_ms, now_ms))
				break;
		}
		if (u != NULL) {
			u->busy = true;
			break;
		}
	}
	mutex_unlock(&t->lock);
	return (u);
}

/* --- open and close ------------------------------------------------------ */

enum rc
uploads_open(struct store *s, struct uploads **t_r)
{
	struct uploads *t = xcalloc(1, sizeof(*t));
	struct store_stats st;

	t->magic = UPLOADS_MAGIC;
	t->store = s;
	mutex_init(&t->lock);
	store_stats(s, &st);
	t->n_sessions = st.upload_sessions;
	*t_r = t;
	return (RC_OK);
}

void
uploads_close(struct uploads **t_p)
{
	struct uploads *t = *t_p;
	struct upload *u;
	unsigned i;

	if (t == NULL)
		return;
	OBJ_CHECK(t, UPLOADS_MAGIC);
	*t_p = NULL;
	for (i = 0; i < UPLOAD_BUCKETS; i++) {
		while ((u = t->buckets[i]) != NULL) {
			t->buckets[i] = u->next;
			upload_entry_free(&u);
		}
	}
	(void)pthread_mutex_destroy(&t->lock);
	t->magic = 0;
	free(t);
}
