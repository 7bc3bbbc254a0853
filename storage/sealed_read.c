#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/sealed_int.h"

/*
 * Reading.  Whole frames are read to where the caller wants them and opened in
 * place: the kernel's copy is the only one.  A frame that is wanted in part is
 * opened in memory of our own and kept there for the next part.
 */
#define SEALED_READER_MAGIC 0x73656172U

#define NO_FRAME UINT64_MAX

struct sealed_reader {
	unsigned magic;
	int fd;	      /* the caller's */
	bool limited; /* .header.size_bytes is all there is to read */
	EVP_CIPHER_CTX *ctx;
	struct sealed_keys keys;
	struct sealed_header header;
	uint8_t *frame; /* one that is open, or NULL */
	uint64_t frame_number;
	size_t frame_bytes;
};

/* --- what is said -------------------------------------------------------- */

static const char *
who(const struct sealed_header *h, char text[DIGEST_STR_BYTES])
{
	return (h->complete ? digest_str(&h->digest, text)
			    : "of an upload that is not finished");
}

static enum rc
damaged(const struct sealed_header *h, const char *why)
{
	char text[DIGEST_STR_BYTES];

	log_error("blob %s: its sealed file is damaged: %s", who(h, text), why);
	return (RC_CORRUPT);
}

static enum rc
frame_damaged(const struct sealed_reader *r, uint64_t number)
{
	char text[DIGEST_STR_BYTES];

	log_error("blob %s: its sealed file is damaged: frame %" PRIu64
		  " is not genuine",
	    who(&r->header, text), number);
	return (RC_CORRUPT);
}

/* --- open ---------------------------------------------------------------- */

static struct sealed_reader *
reader_new(
    int fd, const struct sealed_keys *keys, const struct sealed_header *h)
{
	struct sealed_reader *r = xcalloc(1, sizeof(*r));

	r->magic = SEALED_READER_MAGIC;
	r->fd = fd;
	r->keys = *keys;
	r->header = *h;
	r->limited = h->complete;
	r->ctx = sealed_cipher_new(keys->frames, false);
	r->frame_number = NO_FRAME;
	return (r);
}

/* Is it all of what is expected, as it was made? */
static enum rc
complete_check(
    int fd, const struct sealed_expect *expect, const struct sealed_header *h)
{
	struct stat st;

	if (!h->complete)
		return (damaged(h, "it was never completed"));
	if (h->key_domain != expect->key_domain ||
	    (expect->digest != NULL &&
		!digest_eq(&h->digest, expect->digest)) ||
	    (expect->size_bytes != UINT64_MAX &&
		h->size_bytes != expect->size_bytes))
		return (damaged(h, "it is in another's place"));
	if (fstat(fd, &st) != 0) {
		log_errno("stat a sealed file");
		return (RC_IO);
	}
	/* What is too large for a file has no such length. */
	if (h->size_bytes > INT64_MAX / 2 ||
	    (uint64_t)st.st_size != sealed_file_bytes(h->size_bytes))
		return (damaged(h, "not of its length"));
	return (RC_OK);
}

/* Messages speak of what it should be. */
static enum rc
header_damaged(const struct sealed_expect *expect)
{
	struct sealed_header named = { 0 };

	named.complete = expect != NULL && expect->digest != NULL;
	if (named.complete)
		named.digest = *expect->digest;
	return (damaged(&named, "its header is not genuine"));
}

enum rc
sealed_reader_open(int fd, const struct seal_key *key,
    const struct sealed_expect *expect, struct sealed_reader **r_r)
{
	uint8_t p[SEALED_HEADER_BYTES];
	struct sealed_header h;
	struct sealed_keys keys;
	enum rc rc;

	*r_r = NULL;
	rc = sealed_header_load(fd, expect == NULL || !expect->no_wait, p);
	if (rc == RC_OK)
		rc = sealed_header_parse(p, &h);
	if (rc == RC_CORRUPT)
		return (header_damaged(expect));
	if (rc != RC_OK)
		return (rc);
	sealed_keys_derive(key, h.salt, &keys);
	if (!sealed_header_genuine(p, &keys))
		rc = header_damaged(expect);
	else if (expect != NULL)
		rc = complete_check(fd, expect, &h);
	if (rc == RC_OK)
		*r_r = reader_new(fd, &keys, &h);
	mem_wipe(&keys, sizeof(keys));
	return (rc);
}

struct sealed_reader *
sealed_reader_beside(
    int fd, const struct sealed_keys *keys, const struct sealed_header *h)
{
	return (reader_new(fd, keys, h));
}

struct sealed_reader *
sealed_reader_of(
    int fd, const struct sealed_keys *keys, const struct sealed_header *h)
{
	struct sealed_reader *r = reader_new(fd, keys, h);

	r->limited = true;
	r->header.size_bytes = 0;
	return (r);
}

void
sealed_reader_limit(struct sealed_reader *r, uint64_t size_bytes)
{
	OBJ_CHECK(r, SEALED_READER_MAGIC);
	r->header.size_bytes = size_bytes;
	r->frame_number = NO_FRAME;
}

struct sealed_reader *
sealed_reader_dup(const struct sealed_reader *r, int fd)
{
	struct sealed_reader *copy;

	OBJ_CHECK(r, SEALED_READER_MAGIC);
	copy = reader_new(fd, &r->keys, &r->header);
	copy->limited = r->limited;
	return (copy);
}

void
sealed_reader_close(struct sealed_reader **r_p)
{
	struct sealed_reader *r = *r_p;

	if (r == NULL)
		return;
	OBJ_CHECK(r, SEALED_READER_MAGIC);
	*r_p = NULL;
	EVP_CIPHER_CTX_free(r->ctx);
	if (r->frame != NULL)
		mem_wipe(r->frame, SEALED_FRAME_BYTES);
	free(r->frame);
	mem_wipe(r, sizeof(*r));
	free(r);
}

uint64_t
sealed_reader_size(const struct sealed_reader *r)
{
	OBJ_CHECK(r, SEALED_READER_MAGIC);
	return (r->limited ? r->header.size_bytes : UINT64_MAX);
}

/* --- frames -------------------------------------------------------------- */

/* As many frames as are read by one call: what is between two pieces of
 * ciphertext is the tag of one and the nonce of the next. */
struct batch {
	uint64_t first;
	size_t n;	   /* frames */
	size_t last_bytes; /* of content, of the last one */
	uint8_t *out;
	uint8_t edges[SEALED_AT_ONCE + 1][SEALED_FRAME_OVERHEAD_BYTES];
	struct iovec iov[2 * SEALED_AT_ONCE + 1];
	size_t got_bytes;
};

static size_t
batch_piece(const struct batch *b, size_t i)
{
	return (i + 1 < b->n ? SEALED_FRAME_BYTES : b->last_bytes);
}

/* The first edge is only a nonce, the last one only a tag. */
static void
batch_lay_out(struct batch *b)
{
	struct iovec *v = b->iov;
	size_t i;

	*v++ = (struct iovec){ b->edges[0] + SEALED_TAG_BYTES,
		SEALED_NONCE_BYTES };
	for (i = 0; i < b->n; i++) {
		*v++ = (struct iovec){ b->out + i * SEALED_FRAME_BYTES,
			batch_piece(b, i) };
		*v++ = (struct iovec){ b->edges[i + 1],
			i + 1 < b->n ? SEALED_FRAME_OVERHEAD_BYTES
				     : SEALED_TAG_BYTES };
	}
}

/* Leave out ${n} bytes that were read. */
static struct iovec *
iov_skip(struct iovec *v, struct iovec *end, size_t n)
{
	while (v < end && n >= v->iov_len) {
		n -= v->iov_len;
		v++;
	}
	if (n > 0) {
		v->iov_base = (uint8_t *)v->iov_base + n;
		v->iov_len -= n;
	}
	return (v);
}

/* To the end of the batch, of the file, or of what can be had without waiting
 * (RC_WOULDBLOCK). */
static enum rc
batch_load(struct sealed_reader *r, struct batch *b, bool may_wait)
{
	struct iovec *v = b->iov, *end = b->iov + 2 * b->n + 1;
	off_t at = (off_t)sealed_at(b->first);
	ssize_t got;

	while (v < end) {
		got = preadv2(r->fd, v, (int)(end - v),
		    at + (off_t)b->got_bytes, may_wait ? 0 : RWF_NOWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EOPNOTSUPP && !may_wait) {
			may_wait = true;
			continue;
		}
		if (got < 0 && errno == EAGAIN && !may_wait)
			return (RC_WOULDBLOCK);
		if (got < 0) {
			log_errno("read a sealed file");
			return (RC_IO);
		}
		if (got == 0)
			break;
		b->got_bytes += (size_t)got;
		v = iov_skip(v, end, (size_t)got);
	}
	return (RC_OK);
}

/* Those that were read; *${n_r}: bytes of content of them. */
static enum rc
batch_open(struct sealed_reader *r, struct batch *b, size_t *n_r)
{
	uint8_t aad[SEALED_AAD_BYTES];
	size_t i, piece, at = 0;

	for (i = 0; i < b->n; i++) {
		piece = batch_piece(b, i);
		at += piece + SEALED_FRAME_OVERHEAD_BYTES;
		if (b->got_bytes < at)
			break;
		sealed_aad(b->first + i, aad);
		if (!sealed_unseal(r->ctx, b->edges[i] + SEALED_TAG_BYTES, aad,
			sizeof(aad), b->out + i * SEALED_FRAME_BYTES, piece,
			b->edges[i + 1], b->out + i * SEALED_FRAME_BYTES))
			return (frame_damaged(r, b->first + i));
		*n_r += piece;
	}
	return (RC_OK);
}

/* ${n} bytes of content from the beginning of a frame on, which are whole
 * frames, or up to the end; perhaps less of them, but at least one.  What
 * was read behind those is ciphertext, and not counted. */
static enum rc
// NOLINTNEXTLINE(readability-non-const-parameter)
frames_read(struct sealed_reader *r, uint64_t first, uint8_t *p, size_t n,
    bool may_wait, size_t *n_r)
{
	struct batch b = { .first = first, .out = p };
	enum rc rc, rc_open;

	if (n > SEALED_AT_ONCE * SEALED_FRAME_BYTES)
		n = SEALED_AT_ONCE * SEALED_FRAME_BYTES;
	*n_r = 0;
	b.n = (n + SEALED_FRAME_BYTES - 1) / SEALED_FRAME_BYTES;
	b.last_bytes = n - (b.n - 1) * SEALED_FRAME_BYTES;
	batch_lay_out(&b);
	rc = batch_load(r, &b, may_wait);
	rc_open = batch_open(r, &b, n_r);
	if (*n_r > 0)
		return (RC_OK);
	if (rc_open != RC_OK)
		return (rc_open);
	/* It was of its length when it was opened. */
	return (rc == RC_OK ? frame_damaged(r, first) : rc);
}

/* --- bytes --------------------------------------------------------------- */

/* How much there is to read. */
static enum rc
reader_end(const struct sealed_reader *r, uint64_t *end_r)
{
	struct stat st;

	*end_r = r->header.size_bytes;
	if (r->limited)
		return (RC_OK);
	if (fstat(r->fd, &st) != 0) {
		log_errno("stat a sealed file");
		return (RC_IO);
	}
	*end_r = sealed_content_bytes((uint64_t)st.st_size);
	return (RC_OK);
}

static size_t
frame_length(uint64_t number, uint64_t end)
{
	uint64_t left = end - number * SEALED_FRAME_BYTES;

	return (left < SEALED_FRAME_BYTES ? (size_t)left : SEALED_FRAME_BYTES);
}

/* Have the frame at ${offset} open, as long as it is by now. */
static enum rc
frame_need(
    struct sealed_reader *r, uint64_t offset, uint64_t end, bool may_wait)
{
	uint64_t number = offset / SEALED_FRAME_BYTES;
	size_t n;
	enum rc rc;

	if (r->frame_number == number &&
	    offset % SEALED_FRAME_BYTES < r->frame_bytes)
		return (RC_OK);
	if (r->frame == NULL)
		r->frame = xmalloc(SEALED_FRAME_BYTES);
	r->frame_number = NO_FRAME;
	rc = frames_read(
	    r, number, r->frame, frame_length(number, end), may_wait, &n);
	if (rc != RC_OK)
		return (rc);
	r->frame_number = number;
	r->frame_bytes = n;
	return (RC_OK);
}

enum rc
sealed_reader_view(struct sealed_reader *r, uint64_t offset, bool may_wait,
    const void **p_r, size_t *n_r)
{
	uint64_t end;
	size_t at = offset % SEALED_FRAME_BYTES;
	enum rc rc;

	OBJ_CHECK(r, SEALED_READER_MAGIC);
	*p_r = NULL;
	*n_r = 0;
	if ((rc = reader_end(r, &end)) != RC_OK || offset >= end)
		return (rc);
	if ((rc = frame_need(r, offset, end, may_wait)) != RC_OK)
		return (rc);
	*p_r = r->frame + at;
	*n_r = r->frame_bytes - at;
	return (RC_OK);
}

/* From ${offset} on, before ${end}: the rest of a frame, or frames. */
static enum rc
piece_read(struct sealed_reader *r, uint64_t offset, uint64_t end, uint8_t *p,
    size_t n, bool may_wait, size_t *n_r)
{
	uint64_t number = offset / SEALED_FRAME_BYTES;
	size_t at = offset % SEALED_FRAME_BYTES;
	enum rc rc;

	if (at == 0 && number != r->frame_number &&
	    n >= frame_length(number, end)) {
		if (offset + n < end)
			n -= n % SEALED_FRAME_BYTES;
		return (frames_read(r, number, p, n, may_wait, n_r));
	}
	if ((rc = frame_need(r, offset, end, may_wait)) != RC_OK)
		return (rc);
	*n_r = r->frame_bytes - at < n ? r->frame_bytes - at : n;
	memcpy(p, r->frame + at, *n_r);
	return (RC_OK);
}

enum rc
sealed_reader_read(struct sealed_reader *r, uint64_t offset, void *p, size_t n,
    bool may_wait, size_t *n_r)
{
	uint64_t end;
	size_t done = 0, got;
	enum rc rc;

	OBJ_CHECK(r, SEALED_READER_MAGIC);
	*n_r = 0;
	if ((rc = reader_end(r, &end)) != RC_OK || offset >= end)
		return (rc);
	if (n > end - offset)
		n = (size_t)(end - offset);
	while (done < n) {
		/* Part of a frame is left: the next call may want all. */
		if (done > 0 &&
		    n - done <
			frame_length((offset + done) / SEALED_FRAME_BYTES, end))
			break;
		got = 0;
		rc = piece_read(r, offset + done, end, (uint8_t *)p + done,
		    n - done, may_wait, &got);
		if (rc != RC_OK)
			break;
		done += got;
	}
	*n_r = done;
	return (done > 0 ? RC_OK : rc);
}
