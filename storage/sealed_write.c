#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/sealed_int.h"

/*
 * Writing.  What is appended is sealed frame by frame into one buffer, several
 * of which are written at once; what does not fill a frame stays in memory (the
 * tail) until it does, or has to be in the file: then it is written as a short
 * frame, and that frame anew when there is more of it.
 *
 * A frame that is written anew lies where the short one lay.  A process that is
 * killed in the middle of that leaves a torn frame, and with it less than a
 * frame of what was flushed is lost: the session goes on from there.
 */
#define SEALED_WRITER_MAGIC 0x73656177U

#define NONCE_RANDOM_BYTES 8

struct sealed_writer {
	unsigned magic;
	int fd; /* the caller's */
	EVP_CIPHER_CTX *ctx;
	struct sealed_keys keys;
	struct sealed_header header; /* as it is in the file */
	uint8_t nonce[SEALED_NONCE_BYTES];
	uint32_t count; /* of nonces of those random bytes */
	uint64_t whole; /* frames in the file */
	uint8_t *tail;	/* room for a frame */
	size_t tail_bytes;
	size_t kept_bytes; /* of the tail: in the file, as a short frame */
	bool torn;	   /* behind all that there is something */
	uint8_t *out;
	size_t out_frames;	      /* that there is room for */
	struct sealed_reader *reader; /* or NULL */
};

/* --- the file ------------------------------------------------------------ */

static enum rc
failed(const char *what)
{
	int err = errno;

	log_errno("%s a sealed file", what);
	return (rc_of_errno(err));
}

static enum rc
bytes_write(int fd, const uint8_t *p, size_t n, uint64_t at)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		got = pwrite(fd, p + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return (failed("write"));
		done += (size_t)got;
	}
	return (RC_OK);
}

static enum rc
file_cut(struct sealed_writer *w, uint64_t frames)
{
	if (ftruncate(w->fd, (off_t)sealed_at(frames)) != 0)
		return (failed("truncate"));
	w->torn = false;
	return (RC_OK);
}

static enum rc
header_write(struct sealed_writer *w, const struct sealed_header *h)
{
	uint8_t p[SEALED_HEADER_BYTES];
	enum rc rc;

	sealed_header_write(h, &w->keys, p);
	if ((rc = bytes_write(w->fd, p, sizeof(p), 0)) == RC_OK)
		w->header = *h;
	return (rc);
}

/* Before anything is changed: it is complete no more, and ends where we think
 * it does. */
static enum rc
change_begin(struct sealed_writer *w, bool cut)
{
	struct sealed_header h = w->header;
	enum rc rc;

	h.complete = false;
	h.cut = h.cut || cut;
	if ((w->header.complete || h.cut != w->header.cut) &&
	    (rc = header_write(w, &h)) != RC_OK)
		return (rc);
	return (w->torn ? file_cut(w, w->whole) : RC_OK);
}

/* --- frames -------------------------------------------------------------- */

static const uint8_t *
nonce_next(struct sealed_writer *w)
{
	uint8_t *p = w->nonce + NONCE_RANDOM_BYTES;

	if (w->count == UINT32_MAX) {
		random_bytes(w->nonce, NONCE_RANDOM_BYTES);
		w->count = 0;
	}
	w->count++;
	p[0] = (uint8_t)(w->count >> 24);
	p[1] = (uint8_t)(w->count >> 16);
	p[2] = (uint8_t)(w->count >> 8);
	p[3] = (uint8_t)w->count;
	return (w->nonce);
}

/* The first ${tail} bytes of the tail and ${n} at ${p}, into ${out}; how much
 * that was. */
static size_t
frame_seal(struct sealed_writer *w, uint64_t number, size_t tail,
    const uint8_t *p, size_t n, uint8_t *out)
{
	const struct span parts[] = { { (const char *)w->tail, tail },
		{ (const char *)p, n } };
	uint8_t aad[SEALED_AAD_BYTES];

	memcpy(out, nonce_next(w), SEALED_NONCE_BYTES);
	sealed_aad(number, aad);
	sealed_seal(w->ctx, out,
	    (struct span){ (const char *)aad, sizeof(aad) }, parts,
	    ARRAY_LEN(parts), out + SEALED_NONCE_BYTES);
	return (tail + n + SEALED_FRAME_OVERHEAD_BYTES);
}

static void
out_need(struct sealed_writer *w, size_t frames)
{
	if (frames <= w->out_frames)
		return;
	free(w->out);
	w->out = xmalloc(frames * SEALED_STORED_BYTES);
	w->out_frames = frames;
}

static void
tail_need(struct sealed_writer *w)
{
	if (w->tail == NULL)
		w->tail = xmalloc(SEALED_FRAME_BYTES);
}

/* Write the first ${n} bytes of the tail as a short frame. */
static enum rc
tail_write(struct sealed_writer *w, size_t n)
{
	size_t stored;
	enum rc rc;

	out_need(w, 1);
	w->kept_bytes = 0;
	stored = frame_seal(w, w->whole, n, NULL, 0, w->out);
	rc = bytes_write(w->fd, w->out, stored, sealed_at(w->whole));
	if (rc == RC_OK)
		w->kept_bytes = n;
	else
		w->torn = true;
	return (rc);
}

/* A write has failed: the file is to hold what it did, if it can. */
static void
tail_restore(struct sealed_writer *w, size_t kept)
{
	w->torn = true;
	w->kept_bytes = 0;
	if (file_cut(w, w->whole) == RC_OK && kept > 0 &&
	    tail_write(w, kept) != RC_OK)
		(void)!file_cut(w, w->whole);
}

/* --- open ---------------------------------------------------------------- */

static struct sealed_writer *
writer_new(
    int fd, const struct sealed_keys *keys, const struct sealed_header *h)
{
	struct sealed_writer *w = xcalloc(1, sizeof(*w));

	w->magic = SEALED_WRITER_MAGIC;
	w->fd = fd;
	w->keys = *keys;
	w->header = *h;
	w->ctx = sealed_cipher_new(keys->frames, true);
	random_bytes(w->nonce, NONCE_RANDOM_BYTES);
	return (w);
}

enum rc
sealed_writer_new(int fd, const struct seal_key *key, uint32_t key_domain,
    struct sealed_writer **w_r)
{
	struct sealed_header h = { .key_domain = key_domain };
	struct sealed_writer *w;
	struct sealed_keys keys;
	enum rc rc;

	random_bytes(h.salt, sizeof(h.salt));
	sealed_keys_derive(key, h.salt, &keys);
	w = writer_new(fd, &keys, &h);
	mem_wipe(&keys, sizeof(keys));
	if ((rc = header_write(w, &h)) != RC_OK)
		sealed_writer_close(&w);
	*w_r = w;
	return (rc);
}

static struct sealed_reader *
reader_need(struct sealed_writer *w, uint64_t size_bytes)
{
	if (w->reader == NULL)
		w->reader = sealed_reader_of(w->fd, &w->keys, &w->header);
	if (sealed_reader_size(w->reader) != size_bytes)
		sealed_reader_limit(w->reader, size_bytes);
	return (w->reader);
}

/* The short frame at the end, if it is one: into the tail. */
static bool
tail_load(struct sealed_writer *w, size_t stored)
{
	const size_t n = stored - SEALED_FRAME_OVERHEAD_BYTES;
	uint8_t aad[SEALED_AAD_BYTES];
	EVP_CIPHER_CTX *ctx;
	bool ok;

	out_need(w, 1);
	tail_need(w);
	if (pread(w->fd, w->out, stored, (off_t)sealed_at(w->whole)) !=
	    (ssize_t)stored)
		return (false);
	sealed_aad(w->whole, aad);
	ctx = sealed_cipher_new(w->keys.frames, false);
	ok = sealed_unseal(ctx, w->out, aad, sizeof(aad),
	    w->out + SEALED_NONCE_BYTES, n, w->out + SEALED_NONCE_BYTES + n,
	    w->tail);
	EVP_CIPHER_CTX_free(ctx);
	if (ok)
		w->tail_bytes = w->kept_bytes = n;
	return (ok);
}

/* What there is, of a file that may have been left by a crash. */
static enum rc
content_find(struct sealed_writer *w)
{
	uint64_t body, size;
	struct stat st;
	size_t rest;
	char last;

	if (fstat(w->fd, &st) != 0)
		return (failed("stat"));
	body = (uint64_t)st.st_size - SEALED_HEADER_BYTES;
	w->whole = body / SEALED_STORED_BYTES;
	rest = (size_t)(body % SEALED_STORED_BYTES);
	if (rest > SEALED_FRAME_OVERHEAD_BYTES && tail_load(w, rest))
		return (RC_OK);
	w->torn = rest > 0;
	if (w->torn)
		log_info("a sealed file ends in a frame that is torn: cut off");
	if (w->whole == 0)
		return (RC_OK);
	size = w->whole * SEALED_FRAME_BYTES;
	return (sealed_writer_read(w, size - 1, &last, 1));
}

enum rc
sealed_writer_open(
    int fd, const struct seal_key *key, struct sealed_writer **w_r)
{
	uint8_t p[SEALED_HEADER_BYTES];
	struct sealed_writer *w = NULL;
	struct sealed_header h;
	struct sealed_keys keys;
	enum rc rc;

	*w_r = NULL;
	if ((rc = sealed_header_load(fd, true, p)) != RC_OK ||
	    (rc = sealed_header_parse(p, &h)) != RC_OK)
		return (rc);
	sealed_keys_derive(key, h.salt, &keys);
	if (sealed_header_genuine(p, &keys))
		w = writer_new(fd, &keys, &h);
	mem_wipe(&keys, sizeof(keys));
	if (w == NULL)
		return (RC_CORRUPT);
	if ((rc = content_find(w)) != RC_OK)
		sealed_writer_close(&w);
	*w_r = w;
	return (rc);
}

void
sealed_writer_close(struct sealed_writer **w_p)
{
	struct sealed_writer *w = *w_p;

	if (w == NULL)
		return;
	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	*w_p = NULL;
	sealed_reader_close(&w->reader);
	EVP_CIPHER_CTX_free(w->ctx);
	if (w->tail != NULL)
		mem_wipe(w->tail, SEALED_FRAME_BYTES);
	free(w->tail);
	free(w->out);
	mem_wipe(w, sizeof(*w));
	free(w);
}

struct sealed_reader *
sealed_writer_reader(const struct sealed_writer *w, int fd)
{
	struct sealed_header h;

	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	h = w->header;
	h.complete = false;
	return (sealed_reader_beside(fd, &w->keys, &h));
}

uint64_t
sealed_writer_size(const struct sealed_writer *w)
{
	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	return (w->whole * SEALED_FRAME_BYTES + w->tail_bytes);
}

uint64_t
sealed_writer_readable(const struct sealed_writer *w)
{
	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	return (w->whole * SEALED_FRAME_BYTES +
		(w->kept_bytes == w->tail_bytes ? w->tail_bytes : 0));
}

uint32_t
sealed_writer_domain(const struct sealed_writer *w)
{
	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	return (w->header.key_domain);
}

bool
sealed_writer_cut(const struct sealed_writer *w)
{
	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	return (w->header.cut);
}

/* --- append -------------------------------------------------------------- */

/* Seal and write frames: the first one is the tail and what is missing of it,
 * and so on with what stands at *${p}. */
static enum rc
frames_write(struct sealed_writer *w, uint64_t first, size_t n, size_t tail,
    const uint8_t **p)
{
	size_t i, at = 0;

	for (i = 0; i < n; i++) {
		at += frame_seal(w, first + i, tail, *p,
		    SEALED_FRAME_BYTES - tail, w->out + at);
		*p += SEALED_FRAME_BYTES - tail;
		tail = 0;
	}
	return (bytes_write(w->fd, w->out, at, sealed_at(first)));
}

static void
tail_add(struct sealed_writer *w, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	tail_need(w);
	memcpy(w->tail + w->tail_bytes, p, n);
	w->tail_bytes += n;
}

/* All frames that are whole with ${n} bytes more. */
static enum rc
whole_write(struct sealed_writer *w, const uint8_t *p, size_t n)
{
	uint64_t number = w->whole;
	uint64_t end = number + (n + w->tail_bytes) / SEALED_FRAME_BYTES;
	size_t part, tail = w->tail_bytes;
	const uint8_t *at = p;
	enum rc rc = RC_OK;

	out_need(w, end - number < SEALED_AT_ONCE ? (size_t)(end - number)
						  : SEALED_AT_ONCE);
	for (; number < end && rc == RC_OK; number += part) {
		part = end - number < SEALED_AT_ONCE ? (size_t)(end - number)
						     : SEALED_AT_ONCE;
		rc = frames_write(w, number, part, tail, &at);
		tail = 0;
	}
	if (rc != RC_OK) {
		tail_restore(w, w->kept_bytes);
		return (rc);
	}
	w->whole = end;
	w->tail_bytes = w->kept_bytes = 0;
	tail_add(w, at, n - (size_t)(at - p));
	return (RC_OK);
}

enum rc
sealed_writer_append(struct sealed_writer *w, const void *p, size_t n)
{
	enum rc rc;

	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	if (n == 0)
		return (RC_OK);
	if ((rc = change_begin(w, false)) != RC_OK)
		return (rc);
	if (n >= SEALED_FRAME_BYTES - w->tail_bytes)
		return (whole_write(w, p, n));
	tail_add(w, p, n);
	return (RC_OK);
}

enum rc
sealed_writer_flush(struct sealed_writer *w)
{
	size_t kept;
	enum rc rc;

	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	kept = w->kept_bytes;
	if (kept == w->tail_bytes)
		return (RC_OK);
	if ((rc = change_begin(w, false)) != RC_OK)
		return (rc);
	if ((rc = tail_write(w, w->tail_bytes)) != RC_OK)
		tail_restore(w, kept);
	return (rc);
}

/* --- truncate ------------------------------------------------------------ */

/* What is left of a whole frame is the tail now. */
static enum rc
frame_to_tail(struct sealed_writer *w, uint64_t number, size_t n)
{
	enum rc rc;

	tail_need(w);
	rc = sealed_writer_read(w, number * SEALED_FRAME_BYTES, w->tail, n);
	if (rc != RC_OK)
		return (rc);
	w->whole = number;
	w->tail_bytes = n;
	return (RC_OK);
}

enum rc
sealed_writer_truncate(struct sealed_writer *w, uint64_t n_bytes)
{
	uint64_t number = n_bytes / SEALED_FRAME_BYTES;
	size_t rest = n_bytes % SEALED_FRAME_BYTES;
	enum rc rc;

	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	if (n_bytes > sealed_writer_size(w))
		return (RC_RANGE);
	if (number == w->whole && rest >= w->kept_bytes) {
		w->tail_bytes = rest;
		return (RC_OK);
	}
	if ((rc = change_begin(w, true)) != RC_OK)
		return (rc);
	if (number < w->whole && (rc = frame_to_tail(w, number, rest)) != RC_OK)
		return (rc);
	w->tail_bytes = rest;
	w->kept_bytes = 0;
	w->torn = true;
	/* It may have open what is gone. */
	if (w->reader != NULL)
		sealed_reader_limit(w->reader, w->whole * SEALED_FRAME_BYTES);
	if ((rc = file_cut(w, w->whole)) != RC_OK || rest == 0)
		return (rc);
	return (tail_write(w, rest));
}

/* --- the rest ------------------------------------------------------------ */

static enum rc
whole_read(struct sealed_writer *w, uint64_t offset, uint8_t *p, size_t n)
{
	struct sealed_reader *r = reader_need(w, w->whole * SEALED_FRAME_BYTES);
	size_t got;
	enum rc rc;

	while (n > 0) {
		rc = sealed_reader_read(r, offset, p, n, true, &got);
		if (rc != RC_OK)
			return (rc);
		must(got > 0);
		offset += got;
		p += got;
		n -= got;
	}
	return (RC_OK);
}

enum rc
sealed_writer_read(struct sealed_writer *w, uint64_t offset, void *p, size_t n)
{
	uint64_t whole, size;
	size_t part = 0;
	enum rc rc;

	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	whole = w->whole * SEALED_FRAME_BYTES;
	size = sealed_writer_size(w);
	if (offset > size || n > size - offset)
		return (RC_RANGE);
	if (offset < whole)
		part = whole - offset < n ? (size_t)(whole - offset) : n;
	if (part > 0 && (rc = whole_read(w, offset, p, part)) != RC_OK)
		return (rc);
	if (part < n)
		memcpy((uint8_t *)p + part, w->tail + (offset + part - whole),
		    n - part);
	return (RC_OK);
}

enum rc
sealed_writer_complete(struct sealed_writer *w, const struct digest *d)
{
	struct sealed_header h;
	enum rc rc;

	OBJ_CHECK(w, SEALED_WRITER_MAGIC);
	if ((rc = sealed_writer_flush(w)) != RC_OK ||
	    (rc = change_begin(w, false)) != RC_OK)
		return (rc);
	h = w->header;
	h.complete = true;
	h.size_bytes = sealed_writer_size(w);
	h.digest = *d;
	return (header_write(w, &h));
}
