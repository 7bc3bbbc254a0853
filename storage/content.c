#include "storage/content.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/blobs.h"

/*
 * The record says where content lies; what lies there is held against the
 * record, so that a lost or cut-off file answers "not found" and the next
 * push of it heals the registry.
 */

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

static enum rc
file_open(struct store *s, const struct digest *d, const struct blob_row *row,
    enum read_mode mode, struct content *c_r)
{
	uint64_t size;
	int fd;
	enum rc rc;

	rc = blobs_open(store_blobs(s), row->key_domain, d, mode, &fd, &size);
	if (rc == RC_NOTFOUND)
		return (file_missing(d));
	if (rc != RC_OK)
		return (rc);
	if ((rc = size_check(d, row, size)) != RC_OK) {
		(void)close(fd);
		return (rc);
	}
	*c_r = (struct content){
		.kind = CONTENT_FILE,
		.size_bytes = size,
		.fd = fd,
	};
	return (RC_OK);
}

enum rc
content_open(struct store *s, struct span repository, const struct digest *d,
    enum read_mode mode, struct arena *a, struct content *c_r)
{
	struct blob_row row;
	enum rc rc;

	rc = meta_blob_get(
	    store_meta(s), repository, d, BLOB_CONTENT, mode, a, &row);
	if (rc != RC_OK)
		return (rc);
	if (row.location == BLOB_IN_FILE)
		return (file_open(s, d, &row, mode, c_r));
	*c_r = (struct content){
		.kind = CONTENT_MEMORY,
		.size_bytes = row.content.n,
		.bytes = row.content,
		.fd = -1,
	};
	return (RC_OK);
}

enum rc
content_stat(struct store *s, struct span repository, const struct digest *d,
    enum read_mode mode, struct arena *a, uint64_t *size_bytes_r)
{
	struct blob_row row;
	uint64_t size;
	enum rc rc;

	rc = meta_blob_get(
	    store_meta(s), repository, d, BLOB_ROW, mode, a, &row);
	if (rc != RC_OK)
		return (rc);
	if (row.location == BLOB_IN_FILE) {
		rc = blobs_stat(store_blobs(s), row.key_domain, d, mode, &size);
		if (rc == RC_NOTFOUND)
			return (file_missing(d));
		if (rc == RC_OK)
			rc = size_check(d, &row, size);
		if (rc != RC_OK)
			return (rc);
	}
	*size_bytes_r = row.size_bytes;
	return (RC_OK);
}
