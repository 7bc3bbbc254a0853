#include "storage/tier_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/blobs_fs_int.h"
#include "storage/sealed.h"

/*
 * Content into the archive.  It is hashed as it is read, so that nothing is
 * archived that is not what its name says.  Most layers come as gzip or zstd,
 * which no further zstd makes smaller: they are copied.  The others are tar
 * files of the same few distributions, with much that is far apart and alike:
 * that is what the long window is for.
 */

/* As fast as an old disk writes; those above cost twice as much for a few
 * per cent. */
#define LEVEL 6
/* The shrinking of the first chunk that makes it worth while: a sixteenth. */
#define WORTH_SHIFT 4
/* So much is written before the kernel is told to start on it: the final sync
 * then keeps nobody waiting for the disk. */
#define WRITE_BACK_BYTES (4ULL * 1024 * 1024)

struct putting {
	struct tier *t;
	const struct tier_put *put;
	char name[TIER_TEMP_BYTES];
	int fd;
	char *in;
	uint64_t done_bytes;	      /* read and hashed */
	uint64_t written_bytes;	      /* what is stored, before it is sealed */
	uint64_t written_back_bytes;  /* of the file */
	struct sealed_writer *sealed; /* NULL: plain */
	struct hasher *hasher;
	ZSTD_CCtx *zstd; /* NULL: plain */
	char *out;
	size_t out_bytes;
};

static uint64_t
file_bytes(const struct putting *p)
{
	return (p->sealed != NULL ? sealed_file_bytes(p->written_bytes)
				  : p->written_bytes);
}

static enum rc
plain_write(struct putting *p, const char *bytes, size_t n)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		got = pwrite(p->fd, bytes + done, n - done,
		    (off_t)(p->written_bytes + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return (tier_failed(p->t, "write ", p->name));
		done += (size_t)got;
	}
	return (RC_OK);
}

static enum rc
bytes_write(struct putting *p, const char *bytes, size_t n)
{
	uint64_t end;
	enum rc rc;

	rc = p->sealed != NULL ? sealed_writer_append(p->sealed, bytes, n)
			       : plain_write(p, bytes, n);
	if (rc != RC_OK)
		return (rc);
	p->written_bytes += n;
	end = file_bytes(p);
	if (end - p->written_back_bytes >= WRITE_BACK_BYTES) {
		/* An error shows again when it is synced. */
		(void)sync_file_range(p->fd, (off_t)p->written_back_bytes,
		    (off_t)(end - p->written_back_bytes),
		    SYNC_FILE_RANGE_WRITE);
		p->written_back_bytes = end;
	}
	return (RC_OK);
}

static enum rc
seal_begin(struct putting *p)
{
	uint32_t domain = p->put->key_domain;
	struct seal_key key;
	enum rc rc;

	if (domain == KEY_DOMAIN_PLAIN)
		return (RC_OK);
	if ((rc = tier_key(p->t, domain, &key)) != RC_OK)
		return (rc);
	rc = sealed_writer_new(p->fd, &key, domain, &p->sealed);
	mem_wipe(&key, sizeof(key));
	return (rc);
}

/* --- compressing or not -------------------------------------------------- */

static bool
is_compressed(const char *p, size_t n)
{
	static const struct {
		const char *magic;
		size_t n;
	} known[] = {
		{ "\x1f\x8b", 2 }, /* gzip */
		{ TIER_ZSTD_MAGIC, TIER_ZSTD_MAGIC_BYTES },
		{ "\xfd\x37\x7a\x58\x5a", 5 }, /* xz */
		{ "BZh", 3 },		       /* bzip2 */
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (n >= known[i].n &&
		    memcmp(p, known[i].magic, known[i].n) == 0)
			return (true);
	return (false);
}

static bool
shrinks(const char *p, size_t n)
{
	size_t room = ZSTD_compressBound(n), got;
	char *out = xmalloc(room);

	got = ZSTD_compress(out, room, p, n, 1);
	free(out);
	return (!ZSTD_isError(got) && got < n - (n >> WORTH_SHIFT));
}

static enum rc
zstd_failed(const struct putting *p, size_t code)
{
	log_error(
	    "%s/%s: zstd: %s", p->t->dir, p->name, ZSTD_getErrorName(code));
	return (RC_LIMIT);
}

static enum rc
zstd_begin(struct putting *p)
{
	const struct {
		ZSTD_cParameter key;
		int value;
	} with[] = {
		{ ZSTD_c_compressionLevel, LEVEL },
		{ ZSTD_c_enableLongDistanceMatching, 1 },
		{ ZSTD_c_windowLog, TIER_WINDOW_LOG },
	};
	size_t i, code;

	if ((p->zstd = ZSTD_createCCtx()) == NULL) {
		log_error("%s: no memory for zstd", p->t->dir);
		return (RC_LIMIT);
	}
	p->out_bytes = ZSTD_CStreamOutSize();
	p->out = xmalloc(p->out_bytes);
	for (i = 0; i < ARRAY_LEN(with); i++) {
		code =
		    ZSTD_CCtx_setParameter(p->zstd, with[i].key, with[i].value);
		if (ZSTD_isError(code))
			return (zstd_failed(p, code));
	}
	/* What is small needs no large window. */
	code = ZSTD_CCtx_setPledgedSrcSize(p->zstd, p->put->size_bytes);
	return (ZSTD_isError(code) ? zstd_failed(p, code) : RC_OK);
}

static enum rc
zstd_write(struct putting *p, size_t n, bool last)
{
	ZSTD_inBuffer in = { p->in, n, 0 };
	size_t left;
	enum rc rc;

	do {
		ZSTD_outBuffer out = { p->out, p->out_bytes, 0 };

		left = ZSTD_compressStream2(
		    p->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return (zstd_failed(p, left));
		if ((rc = bytes_write(p, p->out, out.pos)) != RC_OK)
			return (rc);
	} while (in.pos < in.size || (last && left > 0));
	return (RC_OK);
}

/* --- the content --------------------------------------------------------- */

/* The next chunk; RC_DIGEST: there is less than there should be, or the disk
 * cannot read it. */
static enum rc
chunk_read(struct putting *p, size_t *n_r)
{
	uint64_t left = p->put->size_bytes - p->done_bytes;
	size_t n = left < TIER_CHUNK_BYTES ? (size_t)left : TIER_CHUNK_BYTES;

	if (blob_file_read_all(p->put->file, p->done_bytes, p->in, n) != RC_OK)
		return (RC_DIGEST);
	hasher_update(p->hasher, p->in, n);
	p->done_bytes += n;
	*n_r = n;
	return (RC_OK);
}

static enum rc
chunk_put(struct putting *p)
{
	enum rc rc;
	size_t n = 0;

	if ((rc = chunk_read(p, &n)) != RC_OK)
		return (rc);
	if (p->done_bytes == n && !is_compressed(p->in, n) &&
	    shrinks(p->in, n) && (rc = zstd_begin(p)) != RC_OK)
		return (rc);
	if (p->zstd == NULL)
		return (bytes_write(p, p->in, n));
	return (zstd_write(p, n, p->done_bytes == p->put->size_bytes));
}

static enum rc
content_write(struct putting *p)
{
	const struct tier_pace *pace = &p->put->pace;
	int64_t began_ns;
	enum rc rc = RC_OK;

	while (rc == RC_OK && p->done_bytes < p->put->size_bytes) {
		if (tier_stopped(pace->stop))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = chunk_put(p);
		if (rc == RC_OK && p->done_bytes < p->put->size_bytes)
			rc = tier_between(pace, began_ns);
	}
	return (rc);
}

static enum rc
content_put(struct putting *p)
{
	struct digest got;
	enum rc rc;

	(void)posix_fadvise(p->put->file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if ((rc = content_write(p)) != RC_OK)
		return (rc);
	hasher_final(p->hasher, &got);
	if (!digest_eq(&got, &p->put->digest))
		return (RC_DIGEST);
	if (p->sealed != NULL &&
	    (rc = sealed_writer_complete(p->sealed, &got)) != RC_OK)
		return (rc);
	if (fsync(p->fd) != 0)
		return (tier_failed(p->t, "fsync ", p->name));
	/* Nobody will read it soon. */
	(void)posix_fadvise(p->fd, 0, 0, POSIX_FADV_DONTNEED);
	return (RC_OK);
}

static enum rc
content_place(struct putting *p, struct tier_place *place_r)
{
	char path[BLOB_PATH_BYTES];
	enum rc rc;

	blobs_fs_path(p->put->key_domain, &p->put->digest, path);
	if ((rc = tier_name_give(p->t, p->name, path)) != RC_OK)
		return (rc);
	*place_r = (struct tier_place){
		.encoding = p->zstd != NULL ? BLOB_ZSTD : BLOB_PLAIN,
		.stored_bytes = file_bytes(p),
	};
	return (RC_OK);
}

enum rc
tier_put(struct tier *t, const struct tier_put *put, struct tier_place *place_r)
{
	struct putting p = { .t = t, .put = put, .fd = -1 };
	enum rc rc;

	OBJ_CHECK(t, TIER_MAGIC);
	if ((rc = tier_temp_make(t, p.name, &p.fd)) != RC_OK)
		return (rc);
	p.in = xmalloc(TIER_CHUNK_BYTES);
	p.hasher = hasher_new(put->digest.alg);
	rc = seal_begin(&p);
	if (rc == RC_OK && (rc = content_put(&p)) == RC_OK)
		rc = content_place(&p, place_r);
	hasher_free(&p.hasher);
	(void)ZSTD_freeCCtx(p.zstd);
	sealed_writer_close(&p.sealed);
	if (p.out != NULL)
		mem_wipe(p.out, p.out_bytes);
	free(p.out);
	mem_wipe(p.in, TIER_CHUNK_BYTES);
	free(p.in);
	(void)close(p.fd);
	/* It has no such name any more when it was placed. */
	if (rc != RC_OK)
		tier_temp_remove(t, p.name);
	return (rc);
}
