#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/commit_int.h"
#include "storage/meta_env_int.h"

/*
 * The rows of upload sessions.
 */

#define UPLOAD_ID_DIGITS (UPLOAD_ID_BYTES - 1)

struct upload_add {
	char id[UPLOAD_ID_DIGITS];
	struct upload_rec rec;
	char repository[NAME_REPOSITORY_MAX_BYTES]; /* of rec */
};

static uint8_t
part_flags(const struct upload_row *row)
{
	unsigned flags = 0;

	if (row->short_part)
		flags |= UPLOAD_SHORT_PART;
	if (row->short_inner)
		flags |= UPLOAD_SHORT_INNER;
	return ((uint8_t)flags);
}

static enum rc
upload_add(struct meta_txn *t, void *arg)
{
	const struct upload_add *add = arg;
	struct span id = { add->id, sizeof(add->id) };
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(t, TABLE_UPLOADS, id, rec_upload_size(&add->rec), &p);
	if (rc == RC_OK)
		rec_upload_write(&add->rec, p);
	return (rc);
}

enum rc
meta_upload_add(struct meta *m, const struct upload_row *row)
{
	struct upload_add *add;
	enum rc rc;

	must(row->repository.n <= NAME_REPOSITORY_MAX_BYTES);
	must(strnlen(row->id, UPLOAD_ID_BYTES) == UPLOAD_ID_DIGITS);
	if (m->read_only)
		return (RC_READONLY);
	add = xmalloc(sizeof(*add));
	memcpy(add->id, row->id, sizeof(add->id));
	if (row->repository.n > 0)
		memcpy(add->repository, row->repository.p, row->repository.n);
	add->rec = (struct upload_rec){
		.alg = row->alg,
		.started_ms = row->started_ms,
		.parts = row->parts,
		.part_flags = part_flags(row),
		.repository = { add->repository, row->repository.n },
	};
	if ((rc = commit_post(m->commit, upload_add, add, free)) != RC_OK)
		free(add);
	return (rc);
}

/* What is noted of a session that is there. */

struct upload_note {
	char id[UPLOAD_ID_DIGITS];
	uint32_t parts;
	uint8_t part_flags;
};

static enum rc
upload_note(struct meta_txn *t, void *arg)
{
	const struct upload_note *note = arg;
	struct span id = { note->id, sizeof(note->id) }, value;
	char repository[NAME_REPOSITORY_MAX_BYTES];
	struct upload_rec rec;
	uint8_t *p;
	enum rc rc;

	rc = kv_get(t, TABLE_UPLOADS, id, &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!rec_upload_read(value, &rec) ||
	    rec.repository.n > sizeof(repository))
		return (meta_corrupt(TABLE_UPLOADS, id));
	/* Away from the map, where it is overwritten. */
	if (rec.repository.n > 0)
		memcpy(repository, rec.repository.p, rec.repository.n);
	rec.repository.p = repository;
	rec.parts = note->parts;
	rec.part_flags = note->part_flags;
	rc = kv_reserve(t, TABLE_UPLOADS, id, rec_upload_size(&rec), &p);
	if (rc == RC_OK)
		rec_upload_write(&rec, p);
	return (rc);
}

enum rc
meta_upload_parts(struct meta *m, const struct upload_row *row)
{
	struct upload_note *note;
	enum rc rc;

	must(strnlen(row->id, UPLOAD_ID_BYTES) == UPLOAD_ID_DIGITS);
	if (m->read_only)
		return (RC_READONLY);
	note = xmalloc(sizeof(*note));
	memcpy(note->id, row->id, sizeof(note->id));
	note->parts = row->parts;
	note->part_flags = part_flags(row);
	if ((rc = commit_post(m->commit, upload_note, note, free)) == RC_OK)
		return (RC_OK);
	if (rc == RC_BUSY)
		rc = meta_change(m, upload_note, note, 0);
	free(note);
	return (rc);
}

static enum rc
row_fill(
    struct span key, struct span value, struct arena *a, struct upload_row *row)
{
	struct upload_rec rec;

	if (key.n != UPLOAD_ID_DIGITS || !rec_upload_read(value, &rec))
		return (meta_corrupt(TABLE_UPLOADS, key));
	memcpy(row->id, key.p, key.n);
	row->id[key.n] = '\0';
	row->alg = rec.alg;
	row->started_ms = rec.started_ms;
	row->parts = rec.parts;
	row->short_part = (rec.part_flags & UPLOAD_SHORT_PART) != 0;
	row->short_inner = (rec.part_flags & UPLOAD_SHORT_INNER) != 0;
	return (copy_out(a, rec.repository, &row->repository));
}

enum rc
meta_upload_get(
    struct meta *m, struct span id, struct arena *a, struct upload_row *row_r)
{
	struct meta_txn t;
	struct rec_key k;
	struct span value;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_str(&k, id);
	rc = kv_get(&t, TABLE_UPLOADS, key_span(&k), &value);
	if (rc == RC_OK)
		rc = row_fill(id, value, a, row_r);
	meta_read_end(&t);
	return (rc);
}

enum rc
upload_drop(struct meta_txn *t, struct span id)
{
	struct rec_key k;

	key_str(&k, id);
	return (kv_delete(t, TABLE_UPLOADS, key_span(&k)));
}

static enum rc
upload_delete(struct meta_txn *t, void *arg)
{
	const struct span *id = arg;

	return (upload_drop(t, *id));
}

enum rc
meta_upload_delete(struct meta *m, struct span id)
{

	return (meta_change_freeing(m, upload_delete, &id));
}

/* The array is full at ${n}; a walk that ends before leaves room over. */
static enum rc
page_fill(struct kv_walk *w, struct span after_id, size_t n, struct arena *a,
    struct upload_row *rows, size_t *n_r)
{
	enum rc rc = RC_OK;

	while (*n_r < n && (rc = kv_walk_next(w)) == RC_OK) {
		if (span_eq(w->key, after_id))
			continue;
		rc = row_fill(w->key, w->value, a, &rows[*n_r]);
		if (rc != RC_OK)
			return (rc);
		(*n_r)++;
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_upload_page(struct meta *m, struct span after_id, size_t n,
    struct arena *a, struct upload_row **rows_r, size_t *n_r)
{
	struct meta_txn t;
	struct rec_key from;
	struct kv_walk w;
	enum rc rc;

	*n_r = 0;
	*rows_r = arena_calloc(a, n, sizeof(**rows_r));
	if (*rows_r == NULL)
		return (RC_TOOBIG);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_str(&from, after_id);
	rc = kv_walk_begin(&t, TABLE_UPLOADS, SPAN_NONE, key_span(&from), &w);
	if (rc == RC_OK) {
		rc = page_fill(&w, after_id, n, a, *rows_r, n_r);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}
