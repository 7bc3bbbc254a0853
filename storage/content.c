#include "storage/content.h"

#include <inttypes.h>

#include "base/log.h"
#include "storage/blobs.h"
#include "storage/lease.h"
#include "storage/meta_int.h"

/*
 * The record says where content lies; what lies there is held against the
 * record, so that a lost or cut-off file answers "not found" and the next
 * push of it heals the registry.
 *
 * The collector removes records first and then files.  So a file that is not
 * there is missing only if the record says so still when it is read again.
 */
#define TRIES 3

static enum rc
file_missing(const struct digest *d)
{
	char text[DIGEST_STR_BYTES];

	log_error("blob %s: its file is missing; a new push of it heals",
	    digest_str(d, text));
	return (RC_NOTFOUND);
}

/* What the file has against what its record says. */
static enum rc
size_check(const struct digest *d, const struct blob_row *row, uint64_t size)
{
	char text[DIGEST_STR_BYTES];

	if (size == row->size_bytes)
		return (RC_OK);
	log_error("blob %s: its file has %" PRIu64 " bytes instead of %" PRIu64
		  "; a new push of it heals",
	    digest_str(d, text), size, row->size_bytes);
	return (RC_NOTFOUND);
}

void
content_close(struct content *c)
{
	if (c->kind == CONTENT_FILE)
		blob_file_close(&c->file);
}

/* One that was cut off is as good as missing, sealed or not; what else is wrong
 * with a sealed one is for fsck. */
static enum rc
damaged(struct store *s, const struct digest *d, const struct blob_row *row,
    enum read_mode mode)
{
	uint64_t size;
	enum rc rc;

	rc = blobs_stat(store_blobs(s), row->key_domain, d, mode, &size);
	if (rc == RC_OK)
		rc = size_check(d, row, size);
	return (rc == RC_OK ? RC_CORRUPT : rc);
}

/* RC_NOTFOUND with *${gone_r}: there is no file. */
static enum rc
file_open(struct store *s, const struct digest *d, const struct blob_row *row,
    enum read_mode mode, struct content *c_r, bool *gone_r)
{
	struct blob_file f;
	enum rc rc;

	rc = blobs_open(store_blobs(s), row->key_domain, d, mode, &f);
	*gone_r = rc == RC_NOTFOUND;
	if (rc == RC_CORRUPT)
		return (damaged(s, d, row, mode));
	if (rc != RC_OK)
		return (rc);
	if ((rc = size_check(d, row, f.size_bytes)) != RC_OK) {
		blob_file_close(&f);
		return (rc);
	}
	*c_r = (struct content){
		.kind = CONTENT_FILE,
		.size_bytes = f.size_bytes,
		.file = f,
	};
	return (RC_OK);
}

enum rc
content_open(struct store *s, struct span repository, const struct digest *d,
    enum read_mode mode, struct arena *a, struct content *c_r)
{
	struct blob_row row;
	bool gone = false;
	unsigned i;
	enum rc rc;

	for (i = 0; i < TRIES; i++) {
		rc = meta_blob_get(
		    store_meta(s), repository, d, BLOB_CONTENT, mode, a, &row);
		if (rc != RC_OK)
			return (rc);
		if (row.location != BLOB_IN_FILE) {
			*c_r = (struct content){
				.kind = CONTENT_MEMORY,
				.size_bytes = row.content.n,
				.bytes = row.content,
				.file = BLOB_FILE_NONE,
			};
			return (RC_OK);
		}
		rc = file_open(s, d, &row, mode, c_r, &gone);
		if (!gone)
			return (rc);
	}
	return (file_missing(d));
}

/*
 * The row, and for as long as a lease lasts it stays.  Also one that images
 * use: should they all go, what is written is since when, which is a time of
 * the calendar, and that may be set.  A lease that was had is had after a
 * collector who was at it, if there was one: so the row of an idle one is read
 * again.
 */
static enum rc
row_promise(struct store *s, struct span repository, const struct digest *d,
    enum read_mode mode, struct arena *a, struct blob_row *row_r)
{
	struct meta *m = store_meta(s);
	enum rc rc;

	rc = meta_blob_get(m, repository, d, BLOB_ROW, mode, a, row_r);
	if (rc != RC_OK)
		return (rc);
	rc = lease_take(meta_leases(m), d, mode == READ_BLOCKING);
	if (rc != RC_OK || !row_r->idle)
		return (rc);
	return (meta_blob_get(m, repository, d, BLOB_ROW, mode, a, row_r));
}

enum rc
content_stat(struct store *s, struct span repository, const struct digest *d,
    enum read_mode mode, struct arena *a, uint64_t *size_bytes_r)
{
	struct blob_row row;
	uint64_t size;
	unsigned i;
	enum rc rc;

	for (i = 0; i < TRIES; i++) {
		rc = row_promise(s, repository, d, mode, a, &row);
		if (rc != RC_OK)
			return (rc);
		*size_bytes_r = row.size_bytes;
		if (row.location != BLOB_IN_FILE)
			return (RC_OK);
		rc = blobs_stat(store_blobs(s), row.key_domain, d, mode, &size);
		if (rc == RC_OK)
			return (size_check(d, &row, size));
		if (rc != RC_NOTFOUND)
			return (rc);
	}
	return (file_missing(d));
}
