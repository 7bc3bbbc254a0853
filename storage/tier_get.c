#include "storage/tier_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/blobs_fs_int.h"
#include "storage/sealed.h"

/*
 * Content out of the archive, held against all that is known of it: the size
 * of the file, that of the content, its digest.  A file that has been changed
 * can make nobody take more memory or more room than the content would.
 */
struct getting {
	struct tier *t;
	const struct digest *digest;
	const struct tier_place *place;
	uint64_t size_bytes;
	bool any_size;		 /* that is to be found out */
	struct scratch *scratch; /* NULL: it is only looked at */
	bool trying; /* it may be written otherwise: nothing is wrong yet */
	struct tier_pace pace;
	char path[BLOB_PATH_BYTES];
	struct blob_file file;
	char *in;
	uint64_t read_bytes; /* of what is stored */
	struct hasher *hasher;
	uint64_t got_bytes;   /* of the content */
	uint64_t paced_bytes; /* so far others had their turn */
	int64_t paced_ns;
	ZSTD_DCtx *zstd;
	char *out;
	size_t out_bytes;
	bool frame_ended;
};

static enum rc
damaged(const struct getting *g, const char *why)
{
	return (g->trying ? RC_CORRUPT : tier_damaged(g->t, g->path, why));
}

/* Its content is what is stored. */
static enum rc
sealed_open(struct getting *g, uint32_t key_domain)
{
	const struct sealed_expect expect = {
		.key_domain = key_domain,
		.size_bytes = UINT64_MAX,
		.digest = g->digest,
	};
	struct seal_key key;
	enum rc rc;

	if ((rc = tier_key(g->t, key_domain, &key)) != RC_OK)
		return (rc);
	rc = sealed_reader_open(g->file.fd, &key, &expect, &g->file.sealed);
	mem_wipe(&key, sizeof(key));
	return (rc == RC_CORRUPT ? damaged(g, "not genuine") : rc);
}

static enum rc
file_open(struct getting *g, uint32_t key_domain)
{
	struct stat st;
	enum rc rc;
	int dir_fd, fd;

	g->file = (struct blob_file)BLOB_FILE_NONE;
	if ((rc = tier_folder(g->t, false, &dir_fd)) != RC_OK)
		return (rc);
	blobs_fs_path(key_domain, g->digest, g->path);
	fd = openat(
	    dir_fd, g->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return (RC_NOTFOUND);
	g->file.fd = fd;
	if (fd < 0 || fstat(fd, &st) != 0)
		return (tier_failed(g->t, "open ", g->path));
	if (!S_ISREG(st.st_mode))
		return (damaged(g, "not a regular file"));
	if ((uint64_t)st.st_size != g->place->stored_bytes)
		return (damaged(g, "not of its size"));
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return (key_domain != KEY_DOMAIN_PLAIN ? sealed_open(g, key_domain)
					       : RC_OK);
}

/* What the disk cannot read is damaged, too. */
static enum rc
chunk_read(struct getting *g, size_t *n_r)
{
	enum rc rc;

	rc = blob_file_read(
	    &g->file, g->read_bytes, g->in, TIER_CHUNK_BYTES, true, n_r);
	if (rc != RC_OK) {
		log_error("%s/%s: cannot be read", g->t->dir, g->path);
		return (RC_CORRUPT);
	}
	g->read_bytes += *n_r;
	return (RC_OK);
}

/* Little of a file may be much content. */
static enum rc
content_pace(struct getting *g)
{
	enum rc rc;

	if (g->got_bytes - g->paced_bytes < TIER_CHUNK_BYTES)
		return (RC_OK);
	if (tier_stopped(g->pace.stop))
		return (RC_CANCELLED);
	rc = tier_between(&g->pace, g->paced_ns);
	g->paced_bytes = g->got_bytes;
	g->paced_ns = clock_mono_ns();
	return (rc);
}

static enum rc
content_take(struct getting *g, const char *p, size_t n)
{
	enum rc rc;

	if (!g->any_size && n > g->size_bytes - g->got_bytes)
		return (damaged(g, "there is too much"));
	hasher_update(g->hasher, p, n);
	g->got_bytes += n;
	if (g->scratch != NULL &&
	    (rc = scratch_append(g->scratch, p, n)) != RC_OK)
		return (rc);
	return (content_pace(g));
}

static enum rc
zstd_begin(struct getting *g)
{
	size_t code;

	if ((g->zstd = ZSTD_createDCtx()) == NULL) {
		log_error("%s: no memory for zstd", g->t->dir);
		return (RC_LIMIT);
	}
	g->out_bytes = ZSTD_DStreamOutSize();
	g->out = xmalloc(g->out_bytes);
	code = ZSTD_DCtx_setParameter(
	    g->zstd, ZSTD_d_windowLogMax, TIER_WINDOW_LOG);
	must(!ZSTD_isError(code));
	return (RC_OK);
}

static enum rc
zstd_failed(const struct getting *g, size_t code)
{
	if (ZSTD_getErrorCode(code) != ZSTD_error_memory_allocation)
		return (damaged(g, ZSTD_getErrorName(code)));
	log_error("%s/%s: no memory for zstd", g->t->dir, g->path);
	return (RC_LIMIT);
}

static enum rc
zstd_take(struct getting *g, size_t n)
{
	ZSTD_inBuffer in = { g->in, n, 0 };
	ZSTD_outBuffer out;
	size_t left;
	enum rc rc;

	do {
		if (g->frame_ended)
			return (damaged(g, "there is something behind it"));
		out = (ZSTD_outBuffer){ g->out, g->out_bytes, 0 };
		left = ZSTD_decompressStream(g->zstd, &out, &in);
		if (ZSTD_isError(left))
			return (zstd_failed(g, left));
		if ((rc = content_take(g, g->out, out.pos)) != RC_OK)
			return (rc);
		g->frame_ended = left == 0;
	} while (in.pos < in.size || (!g->frame_ended && out.pos == out.size));
	return (RC_OK);
}

static enum rc
content_read(struct getting *g)
{
	enum rc rc;
	size_t n;

	g->paced_ns = clock_mono_ns();
	for (;;) {
		if (tier_stopped(g->pace.stop))
			return (RC_CANCELLED);
		if ((rc = chunk_read(g, &n)) != RC_OK || n == 0)
			return (rc);
		if (g->zstd != NULL)
			rc = zstd_take(g, n);
		else
			rc = content_take(g, g->in, n);
		if (rc != RC_OK)
			return (rc);
	}
}

static enum rc
content_get(struct getting *g)
{
	struct digest got;
	enum rc rc;

	if (g->place->encoding == BLOB_ZSTD && (rc = zstd_begin(g)) != RC_OK)
		return (rc);
	if ((rc = content_read(g)) != RC_OK)
		return (rc);
	if ((!g->any_size && g->got_bytes != g->size_bytes) ||
	    (g->zstd != NULL && !g->frame_ended))
		return (damaged(g, "it ends early"));
	hasher_final(g->hasher, &got);
	if (!digest_eq(&got, g->digest))
		return (damaged(g, "the content is not what it was"));
	return (RC_OK);
}

static enum rc
tier_read(struct getting *g, uint32_t key_domain)
{
	enum rc rc;

	OBJ_CHECK(g->t, TIER_MAGIC);
	g->in = xmalloc(TIER_CHUNK_BYTES);
	g->hasher = hasher_new(g->digest->alg);
	if ((rc = file_open(g, key_domain)) == RC_OK)
		rc = content_get(g);
	hasher_free(&g->hasher);
	(void)ZSTD_freeDCtx(g->zstd);
	if (g->out != NULL)
		mem_wipe(g->out, g->out_bytes);
	free(g->out);
	mem_wipe(g->in, TIER_CHUNK_BYTES);
	free(g->in);
	blob_file_close(&g->file);
	return (rc);
}

enum rc
tier_get(struct tier *t, uint32_t key_domain, const struct digest *d,
    const struct tier_place *place, uint64_t size_bytes,
    struct scratch *scratch, const struct tier_pace *pace)
{
	struct getting g = {
		.t = t,
		.digest = d,
		.place = place,
		.size_bytes = size_bytes,
		.scratch = scratch,
		.pace = *pace,
	};

	must(scratch_size(scratch) == 0);
	return (tier_read(&g, key_domain));
}

enum rc
tier_verify(struct tier *t, uint32_t key_domain, const struct digest *d,
    const struct tier_place *place, uint64_t size_bytes,
    const _Atomic bool *stop)
{
	struct getting g = {
		.t = t,
		.digest = d,
		.place = place,
		.size_bytes = size_bytes,
		.pace.stop = stop,
	};

	return (tier_read(&g, key_domain));
}

/* --- without a record ---------------------------------------------------- */

static enum rc
tier_try(struct getting *g, uint32_t key_domain, enum blob_encoding encoding,
    bool last, struct tier_place *place, uint64_t *size_r)
{
	struct getting try = *g;
	enum rc rc;

	place->encoding = encoding;
	try.place = place;
	try.any_size = true;
	try.trying = !last;
	rc = tier_read(&try, key_domain);
	*size_r = try.got_bytes;
	return (rc);
}

/* Does it begin as all that we compress does? */
static enum rc
looks_compressed(struct getting *g, uint32_t key_domain, bool *does_r)
{
	char magic[TIER_ZSTD_MAGIC_BYTES];
	enum rc rc;

	*does_r = false;
	if ((rc = file_open(g, key_domain)) == RC_OK)
		*does_r = blob_file_read_all(
			      &g->file, 0, magic, sizeof(magic)) == RC_OK &&
			  memcmp(magic, TIER_ZSTD_MAGIC, sizeof(magic)) == 0;
	blob_file_close(&g->file);
	return (rc);
}

/* One that begins so may be content that came compressed, too, and lies there
 * as it came. */
enum rc
tier_find(struct tier *t, uint32_t key_domain, const struct digest *d,
    struct tier_place *place_r, uint64_t *size_r, const _Atomic bool *stop)
{
	struct getting g = {
		.t = t,
		.digest = d,
		.place = place_r,
		.pace.stop = stop,
	};
	bool compressed;
	enum rc rc;

	rc = tier_stat(t, key_domain, d, &place_r->stored_bytes);
	if (rc == RC_OK)
		rc = looks_compressed(&g, key_domain, &compressed);
	if (rc != RC_OK)
		return (rc);
	if (compressed) {
		rc =
		    tier_try(&g, key_domain, BLOB_ZSTD, false, place_r, size_r);
		if (rc != RC_CORRUPT)
			return (rc);
	}
	return (tier_try(&g, key_domain, BLOB_PLAIN, true, place_r, size_r));
}
