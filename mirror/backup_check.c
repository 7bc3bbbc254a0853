#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/backup_int.h"

/*
 * Content as it passes by: hashed as it is, or, what the archive of storage
 * classes has compressed, as what comes out of it.  Never more of that is made
 * than the content is said to have.
 */
#define CHECK_MAGIC 0x42616368U

struct backup_check {
	unsigned magic;
	struct digest digest;
	uint64_t size_bytes, got_bytes;
	struct hasher *hasher;
	ZSTD_DCtx *zstd; /* NULL: it is not compressed */
	char *out;
	size_t out_bytes;
	bool frame_ended;
};

struct backup_check *
backup_check_new(const struct snapshot_file *file)
{
	struct backup_check *c = xcalloc(1, sizeof(*c));

	c->magic = CHECK_MAGIC;
	c->digest = file->digest;
	c->size_bytes = file->size_bytes;
	c->hasher = hasher_new(file->digest.alg);
	if (!file->compressed)
		return (c);
	if ((c->zstd = ZSTD_createDCtx()) == NULL)
		wrong("out of memory");
	c->out_bytes = ZSTD_DStreamOutSize();
	c->out = xmalloc(c->out_bytes);
	return (c);
}

static enum rc
content_take(struct backup_check *c, const void *p, size_t n)
{
	if (n > c->size_bytes - c->got_bytes)
		return (RC_CORRUPT);
	hasher_update(c->hasher, p, n);
	c->got_bytes += n;
	return (RC_OK);
}

static enum rc
frame_take(struct backup_check *c, const void *p, size_t n)
{
	ZSTD_inBuffer in = { p, n, 0 };
	ZSTD_outBuffer out;
	size_t left;
	enum rc rc;

	do {
		if (c->frame_ended)
			return (RC_CORRUPT);
		out = (ZSTD_outBuffer){ c->out, c->out_bytes, 0 };
		left = ZSTD_decompressStream(c->zstd, &out, &in);
		if (ZSTD_isError(left))
			return (RC_CORRUPT);
		if ((rc = content_take(c, c->out, out.pos)) != RC_OK)
			return (rc);
		c->frame_ended = left == 0;
	} while (in.pos < in.size || (!c->frame_ended && out.pos == out.size));
	return (RC_OK);
}

enum rc
backup_check_update(struct backup_check *c, const void *p, size_t n)
{
	OBJ_CHECK(c, CHECK_MAGIC);
	if (n == 0)
		return (RC_OK);
	return (c->zstd != NULL ? frame_take(c, p, n) : content_take(c, p, n));
}

enum rc
backup_check_end(struct backup_check *c)
{
	struct digest got;

	OBJ_CHECK(c, CHECK_MAGIC);
	if (c->got_bytes != c->size_bytes ||
	    (c->zstd != NULL && !c->frame_ended))
		return (RC_CORRUPT);
	hasher_final(c->hasher, &got);
	return (digest_eq(&got, &c->digest) ? RC_OK : RC_CORRUPT);
}

void
backup_check_free(struct backup_check **c_p)
{
	struct backup_check *c = *c_p;

	if (c == NULL)
		return;
	OBJ_CHECK(c, CHECK_MAGIC);
	*c_p = NULL;
	hasher_free(&c->hasher);
	(void)ZSTD_freeDCtx(c->zstd);
	free(c->out);
	c->magic = 0;
	free(c);
}
