#include <stdlib.h>

#include "base/mem.h"
#include "mirror/backup_int.h"
#include "storage/keys.h"
#include "storage/sealed.h"

/*
 * Encrypted content goes into a backup, and comes out of it, as it lies on the
 * disk; its key is not in there.  Whoever has the key can read the content on
 * the way and hold it against its digest.  Who has not can see that the file is
 * as long as it has to be, and of the key that its record names.
 */

/* Without its key; ${n_r}: of what it seals. */
static enum rc
shape_check(int fd, const struct snapshot_file *file, uint64_t *n_r)
{
	uint32_t domain;
	enum rc rc;

	*n_r = sealed_content_bytes(file->stored_bytes);
	if (sealed_file_bytes(*n_r) != file->stored_bytes ||
	    (!file->compressed && *n_r != file->size_bytes))
		return (RC_CORRUPT);
	rc = sealed_reader_domain(fd, &domain);
	if (rc != RC_OK)
		return (rc);
	return (domain == file->key_domain ? RC_OK : RC_CORRUPT);
}

static enum rc
content_read(struct sealed_reader *r, uint64_t n_bytes,
    struct backup_check *check, const atomic_bool *cancel)
{
	char *chunk = xmalloc(BACKUP_CHUNK_BYTES);
	uint64_t at = 0;
	size_t n;
	enum rc rc = RC_OK;

	while (rc == RC_OK && at < n_bytes) {
		if (backup_stopped(cancel)) {
			rc = RC_CANCELLED;
			break;
		}
		rc = sealed_reader_read(
		    r, at, chunk, BACKUP_CHUNK_BYTES, true, &n);
		if (rc == RC_OK && n == 0)
			rc = RC_CORRUPT;
		if (rc == RC_OK)
			rc = backup_check_update(check, chunk, n);
		at += rc == RC_OK ? n : 0;
	}
	mem_wipe(chunk, BACKUP_CHUNK_BYTES);
	free(chunk);
	return (rc == RC_OK ? backup_check_end(check) : rc);
}

static enum rc
genuine_check(int fd, const struct snapshot_file *file,
    const struct seal_key *key, uint64_t n_bytes, const atomic_bool *cancel)
{
	const struct sealed_expect expect = {
		.key_domain = file->key_domain,
		.size_bytes = n_bytes,
		.digest = &file->digest,
	};
	struct backup_check *check;
	struct sealed_reader *r;
	enum rc rc;

	if ((rc = sealed_reader_open(fd, key, &expect, &r)) != RC_OK)
		return (rc);
	check = backup_check_new(file);
	rc = content_read(r, n_bytes, check, cancel);
	backup_check_free(&check);
	sealed_reader_close(&r);
	return (rc);
}

enum rc
backup_sealed_check(int fd, const struct snapshot_file *file,
    struct store *keys, const atomic_bool *cancel, bool *verified_r)
{
	struct seal_key key;
	uint64_t n_bytes;
	enum rc rc;

	*verified_r = false;
	if ((rc = shape_check(fd, file, &n_bytes)) != RC_OK)
		return (rc);
	if (keys == NULL)
		return (RC_OK);
	rc = keys_get(keys, file->key_domain, READ_BLOCKING, &key);
	if (rc == RC_LOCKED)
		return (RC_OK);
	if (rc == RC_OK)
		rc = genuine_check(fd, file, &key, n_bytes, cancel);
	mem_wipe(&key, sizeof(key));
	*verified_r = rc == RC_OK;
	return (rc);
}
