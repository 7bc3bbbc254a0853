#include "storage/upload.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * The life of a session: it is started, acquired by one request at a time,
 * takes content (upload_content.c, in parts upload_part.c), and ends as a blob,
 * by cancel or by age (upload_expire.c).
 *
 * A session whose last use is longer ago than the lifetime is as good as gone
 * for everybody, whether the sweep has come by or not.
 */

/* Enough for a row: its repository's name and little else. */
#define ROW_ARENA_BYTES 4096

static struct uploads *
uploads_of(struct store *s)
{
	OBJ_CHECK(s->uploads, UPLOADS_MAGIC);
	return (s->uploads);
}

bool
upload_expired(const struct uploads *t, int64_t touched_ms, int64_t now_ms)
{
	int64_t lifetime_ms = t->store->options.upload_lifetime_ms;

	return (lifetime_ms > 0 && now_ms - touched_ms > lifetime_ms);
}

/* --- start --------------------------------------------------------------- */

static enum rc
session_add(struct uploads *t, struct upload *u)
{
	unsigned max = t->store->options.upload_sessions_max;
	enum rc rc = RC_OK;

	mutex_lock(&t->lock);
	if (t->n_sessions >= max) {
		rc = RC_LIMIT;
	} else {
		t->n_sessions++;
		u->busy = true;
		upload_table_add(t, u);
	}
	mutex_unlock(&t->lock);
	return (rc);
}

enum rc
upload_start(struct store *s, struct span repository, uint8_t alg,
    const struct repository_preset *create, char id_r[UPLOAD_ID_BYTES])
{
	struct uploads *t = uploads_of(s);
	struct upload_row row = { .repository = repository, .alg = alg };
	struct upload *u;
	enum rc rc;

	if ((rc = store_room(s, 0)) != RC_OK)
		return (rc);
	upload_id_new(row.id);
	row.started_ms = clock_real_ms();
	u = upload_entry_new(t, row.id, repository, alg);
	u->wish = upload_wish_new(create);
	if ((rc = session_add(t, u)) != RC_OK) {
		upload_entry_free(&u);
		return (rc);
	}
	if ((rc = meta_upload_add(t->store->meta, &row)) != RC_OK) {
		upload_forget(&u);
		/* A full queue is one more limit to who sent the request. */
		return (rc == RC_BUSY ? RC_LIMIT : rc);
	}
	memcpy(id_r, row.id, UPLOAD_ID_BYTES);
	upload_unclaim(u);
	return (RC_OK);
}

/* --- claim --------------------------------------------------------------- */

enum rc
upload_row_touched(struct uploads *t, const struct upload_row *row,
    int64_t *touched_ms_r, uint64_t *size_r)
{
	int64_t changed_ms;
	enum rc rc;

	*touched_ms_r = row->started_ms;
	*size_r = 0;
	rc = scratch_stat(t->store->blobs, row->id, size_r, &changed_ms);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc == RC_OK && changed_ms > *touched_ms_r)
		*touched_ms_r = changed_ms;
	return (rc);
}

/* What a crash has left of it; what is damaged is nothing. */
static enum rc
content_measure(struct uploads *t, const char *id, uint64_t *size)
{
	enum rc rc;

	if (*size == 0)
		return (RC_OK);
	rc = scratch_measure(t->store->blobs, id, size);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		*size = 0;
	/* Without its key it can at least be ended. */
	return (rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_LOCKED ? RC_OK
									 : rc);
}

/* What a session that is not in memory says of itself. */
static enum rc
row_read(struct uploads *t, struct span repository, struct span id,
    int64_t now_ms, struct arena *a, struct upload_row *row_r,
    int64_t *touched_ms_r, uint64_t *size_r)
{
	enum rc rc;

	rc = meta_upload_get(t->store->meta, id, a, row_r);
	if (rc != RC_OK)
		return (rc);
	if (!span_eq(row_r->repository, repository))
		return (RC_NOTFOUND);
	rc = upload_row_touched(t, row_r, touched_ms_r, size_r);
	if (rc != RC_OK)
		return (rc);
	if (upload_expired(t, *touched_ms_r, now_ms))
		return (RC_NOTFOUND);
	return (content_measure(t, row_r->id, size_r));
}

/*
 * Fill in an entry from its row.  The entry has been in the table since
 * before the row was read, so that of two who revive a session one is told
 * that it is busy, and that one that ends meanwhile does not come back.
 */
static enum rc
session_revive(struct upload *u, int64_t now_ms)
{
	struct uploads *t = u->table;
	struct upload_row row;
	struct arena a;
	int64_t touched_ms;
	uint64_t size;
	enum rc rc;

	arena_init(&a, ROW_ARENA_BYTES);
	rc = row_read(t, upload_repository(u), span_of(u->id), now_ms, &a, &row,
	    &touched_ms, &size);
	mutex_lock(&t->lock);
	if (rc == RC_OK) {
		u->alg = row.alg;
		u->touched_ms = touched_ms;
		u->offset_bytes = size;
		u->parts = row.parts;
		u->short_part = row.short_part;
		u->short_inner = row.short_inner;
		u->reviving = false;
	} else {
		upload_table_remove(t, u);
	}
	mutex_unlock(&t->lock);
	arena_reset(&a);
	return (rc);
}

/* With the lock held: may this entry be made busy? */
static enum rc
entry_check(const struct upload *u, struct span repository, int64_t now_ms)
{
	if (!span_eq(upload_repository(u), repository))
		return (RC_NOTFOUND);
	if (u->busy)
		return (RC_BUSY);
	if (upload_expired(u->table, u->touched_ms, now_ms))
		return (RC_NOTFOUND);
	return (RC_OK);
}

enum rc
upload_claim(struct uploads *t, struct span repository, struct span id,
    int64_t now_ms, struct upload **u_r)
{
	struct upload *u;
	bool revive = false;
	char name[UPLOAD_ID_BYTES] = "";
	enum rc rc = RC_OK;

	if (id.n != UPLOAD_ID_BYTES - 1)
		return (RC_NOTFOUND);
	memcpy(name, id.p, id.n);
	mutex_lock(&t->lock);
	if ((u = upload_table_find(t, id)) != NULL) {
		rc = entry_check(u, repository, now_ms);
	} else {
		u = upload_entry_new(t, name, repository, DIGEST_SHA256);
		u->reviving = revive = true;
		upload_table_add(t, u);
	}
	if (rc == RC_OK)
		u->busy = true;
	mutex_unlock(&t->lock);
	if (revive && (rc = session_revive(u, now_ms)) != RC_OK)
		upload_entry_free(&u);
	if (rc == RC_OK)
		*u_r = u;
	return (rc);
}

/* Nobody keeps content in memory while nobody writes. */
static void
content_settle(struct upload *u)
{
	uint64_t left = 0;

	if (upload_keep(u) == RC_OK)
		return;
	if (u->scratch != NULL && u->early == NULL)
		left = scratch_readable(u->scratch);
	log_error("upload %s: %" PRIu64 " of its %" PRIu64 " bytes are lost",
	    u->id, upload_offset(u) - left, upload_offset(u));
	upload_early_drop(u);
	hasher_free(&u->hasher);
	u->hashed_bytes = 0;
	u->is_known = false;
	u->offset_bytes = left;
}

void
upload_unclaim(struct upload *u)
{
	struct uploads *t = u->table;

	content_settle(u);
	scratch_close(&u->scratch);
	u->room_until_bytes = 0;
	u->touched_ms = clock_real_ms();
	mutex_lock(&t->lock);
	u->busy = false;
	mutex_unlock(&t->lock);
}

void
upload_forget(struct upload **u_p)
{
	struct upload *u = *u_p;
	struct uploads *t = u->table;

	mutex_lock(&t->lock);
	upload_table_remove(t, u);
	if (t->n_sessions > 0)
		t->n_sessions--;
	mutex_unlock(&t->lock);
	upload_entry_free(u_p);
}

/* The row first: a scratch without a row is swept up, a row without its
 * scratch would promise an upload that is gone. */
enum rc
upload_remove(struct upload **u_p)
{
	struct upload *u = *u_p;
	struct store *s = u->table->store;
	enum rc rc;

	scratch_close(&u->scratch);
	rc = meta_upload_delete(s->meta, span_of(u->id));
	if (rc == RC_OK || rc == RC_NOTFOUND)
		rc = scratch_remove(s->blobs, u->id);
	if (rc == RC_OK)
		upload_forget(u_p);
	else
		upload_unclaim(u);
	return (rc);
}

/* --- what others call ---------------------------------------------------- */

enum rc
upload_acquire(struct store *s, struct span repository, struct span id,
    struct upload **u_r)
{
	return (
	    upload_claim(uploads_of(s), repository, id, clock_real_ms(), u_r));
}

void
upload_release(struct upload **u_p)
{
	struct upload *u = *u_p;

	if (u == NULL)
		return;
	OBJ_CHECK(u, UPLOAD_MAGIC);
	*u_p = NULL;
	upload_unclaim(u);
}

uint64_t
upload_offset(const struct upload *u)
{
	return (u->offset_bytes);
}

/* A session in memory, as its entry has it; false: ask the row. */
static bool
entry_status(struct uploads *t, struct span repository, struct span id,
    int64_t now_ms, uint64_t *offset_r, enum rc *rc_r)
{
	const struct upload *u;
	bool known;

	mutex_lock(&t->lock);
	u = upload_table_find(t, id);
	known = u != NULL && !u->reviving;
	if (known) {
		*rc_r = entry_check(u, repository, now_ms);
		if (*rc_r == RC_BUSY)
			*rc_r = RC_OK;
		*offset_r = u->offset_bytes;
	}
	mutex_unlock(&t->lock);
	return (known);
}

enum rc
upload_status(
    struct store *s, struct span repository, struct span id, uint64_t *offset_r)
{
	struct uploads *t = uploads_of(s);
	int64_t now_ms = clock_real_ms();
	int64_t touched_ms;
	struct upload_row row;
	struct arena a;
	enum rc rc;

	if (entry_status(t, repository, id, now_ms, offset_r, &rc))
		return (rc);
	arena_init(&a, ROW_ARENA_BYTES);
	rc = row_read(
	    t, repository, id, now_ms, &a, &row, &touched_ms, offset_r);
	arena_reset(&a);
	return (rc);
}

enum rc
upload_cancel(struct store *s, struct span repository, struct span id)
{
	struct upload *u;
	enum rc rc;

	rc = upload_claim(uploads_of(s), repository, id, clock_real_ms(), &u);
	if (rc == RC_OK)
		rc = upload_remove(&u);
	return (rc);
}
