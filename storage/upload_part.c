#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * Parts: content that is held until it may be joined to a session.
 *
 * Joining appends and hashes like any other write, and notes in the session's
 * row how many there were.  Content outlives the process before its row does,
 * so a crash between the two counts a part too few; one that starts over
 * counts anew.
 */
#define JOIN_BYTES ((size_t)256 * 1024)

/* So often, in bytes taken, is the free space looked at. */
#define ROOM_STEP_BYTES (1ULL * 1024 * 1024)

struct upload_part {
	unsigned magic;
	struct store *store;
	struct scratch *scratch;
	uint64_t room_until_bytes; /* room was found up to this size */
	uint64_t counted_bytes;	   /* in uploads.part_bytes */
};

/* Who sends parts has only claimed to be somebody: they may not fill the
 * disk. */
static enum rc
part_count(struct upload_part *part, size_t n)
{
	_Atomic uint64_t *all = &part->store->uploads->part_bytes;
	uint64_t max = part->store->options.part_max_bytes;

	if (atomic_fetch_add(all, n) + n > max && max != 0) {
		atomic_fetch_sub(all, n);
		return (RC_BUSY);
	}
	part->counted_bytes += n;
	return (RC_OK);
}

enum rc
upload_part_new(struct store *s, struct upload_part **p_r)
{
	struct upload_part *part;
	struct scratch *scratch;
	char id[UPLOAD_ID_BYTES];
	enum rc rc;

	if (store_failed(s))
		return (RC_IO);
	if ((rc = store_room(s, 0)) != RC_OK)
		return (rc);
	upload_id_new(id);
	if ((rc = scratch_unnamed(s->blobs, id, &scratch)) != RC_OK)
		return (rc);
	part = xcalloc(1, sizeof(*part));
	part->magic = UPLOAD_PART_MAGIC;
	part->store = s;
	part->scratch = scratch;
	*p_r = part;
	return (RC_OK);
}

enum rc
upload_part_write(struct upload_part *part, const void *p, size_t n)
{
	uint64_t end;
	enum rc rc;

	OBJ_CHECK(part, UPLOAD_PART_MAGIC);
	if (n == 0)
		return (RC_OK);
	if ((rc = part_count(part, n)) != RC_OK)
		return (rc);
	end = upload_part_size(part) + n;
	if (end > part->room_until_bytes) {
		if ((rc = store_room(part->store, n)) != RC_OK)
			return (rc);
		part->room_until_bytes = end + ROOM_STEP_BYTES;
	}
	return (scratch_append(part->scratch, p, n));
}

uint64_t
upload_part_size(const struct upload_part *part)
{
	OBJ_CHECK(part, UPLOAD_PART_MAGIC);
	return (scratch_size(part->scratch));
}

void
upload_part_free(struct upload_part **part_p)
{
	struct upload_part *part = *part_p;

	if (part == NULL)
		return;
	OBJ_CHECK(part, UPLOAD_PART_MAGIC);
	*part_p = NULL;
	scratch_close(&part->scratch);
	atomic_fetch_sub(
	    &part->store->uploads->part_bytes, part->counted_bytes);
	part->magic = 0;
	free(part);
}

/* --- joining ------------------------------------------------------------- */

static enum rc
part_append(struct upload *u, const struct upload_part *part)
{
	uint64_t at, size = upload_part_size(part);
	char *p = xmalloc(JOIN_BYTES);
	size_t n;
	enum rc rc = RC_OK;

	for (at = 0; at < size && rc == RC_OK; at += n) {
		n = size - at < JOIN_BYTES ? (size_t)(size - at) : JOIN_BYTES;
		rc = scratch_read(part->scratch, at, p, n);
		if (rc == RC_OK)
			rc = upload_write(u, p, n);
	}
	mem_wipe(p, JOIN_BYTES);
	free(p);
	return (rc);
}

/* What the session's row says with one part more. */
static struct upload_row
row_next(const struct upload *u, uint64_t size, uint64_t min)
{
	struct upload_row row = { .short_part = size < min };

	memcpy(row.id, u->id, sizeof(row.id));
	row.parts = 1;
	if (u->offset_bytes > 0) {
		row.parts += u->parts;
		row.short_inner = u->short_inner || u->short_part;
	}
	return (row);
}

static enum rc
join_check(struct upload *u, const struct upload_part *part,
    const struct upload_part_rules *rules, const struct upload_row *next)
{
	if (next->parts == 0 ||
	    (rules->max_parts != 0 && next->parts > rules->max_parts))
		return (RC_LIMIT);
	return (upload_room(u, upload_part_size(part)));
}

enum rc
upload_join(struct upload *u, const struct upload_part *part,
    const struct upload_part_rules *rules)
{
	struct upload_row next;
	uint64_t was;
	enum rc rc;

	OBJ_CHECK(u, UPLOAD_MAGIC);
	was = u->offset_bytes;
	next = row_next(u, upload_part_size(part), rules->min_bytes);
	if ((rc = join_check(u, part, rules, &next)) != RC_OK)
		return (rc);
	/* Into the scratch, never into memory: there it is kept. */
	rc = upload_scratch_need(u);
	if (rc != RC_OK)
		return (rc == RC_LIMIT ? RC_BUSY : rc);
	rc = part_append(u, part);
	if (rc == RC_OK)
		rc = upload_keep(u);
	if (rc == RC_OK)
		rc = meta_upload_parts(u->table->store->meta, &next);
	if (rc != RC_OK) {
		upload_cut(u, was);
		return (rc);
	}
	u->parts = next.parts;
	u->short_part = next.short_part;
	u->short_inner = next.short_inner;
	return (RC_OK);
}

bool
upload_short_inner(const struct upload *u)
{
	OBJ_CHECK(u, UPLOAD_MAGIC);
	return (u->short_inner);
}
