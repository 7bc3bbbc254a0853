#ifndef STORAGE_SEALED_H
#define STORAGE_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/keyring.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * Sealed files: content under AES-256-GCM, in frames that are sealed each by
 * itself, so that any part can be read and any change is found.
 *
 *	header	SEALED_HEADER_BYTES, all big-endian:
 *		8 bytes magic "rgdseal\n", u8 version (1), u8 state (0: open,
 *		1: complete), u16 flags (1: frames have been cut off), u32 key
 *		domain, 32 bytes salt, u64 size of
 *		the content, u8 digest algorithm, 64 bytes digest (padded with
 *		0), zeros up to the last 32 bytes: HMAC-SHA-256 of all before
 *	frames	12 bytes nonce, ciphertext of SEALED_FRAME_BYTES (the last one:
 *		of what is left, not 0), 16 bytes tag
 *
 * Keys: of the domain's key and the salt, which is random for each file, HKDF
 * (RFC 5869) makes one key for the frames and one for the header.  So no two
 * files share a key, whatever their content, and a file of one key domain means
 * nothing in another.
 *
 * Nonces: 8 random bytes that a writer draws when it opens the file, and a
 * counter of 4 bytes that it never uses twice; a frame that is written anew
 * (the last one, when more is appended, also after a crash or a rewind) gets a
 * new one.  The additional data of a frame is its number, so frames cannot
 * change places.
 *
 * The header is complete, with size, digest and its HMAC, before the file gets
 * a name among the blobs; who opens it as a blob has it checked against what he
 * expects: a file that was cut, extended, or put in another's place is refused
 * before its first byte is given.  An unfinished upload has no such header: its
 * content is held against a digest before it becomes a blob.  One from which
 * frames were cut off once (a rewind) is not made a blob of, but copied: who has
 * kept such a frame could else put it back.
 */
#define SEALED_FRAME_BYTES ((size_t)65536)
#define SEALED_FRAME_OVERHEAD_BYTES ((size_t)(12 + 16))
#define SEALED_HEADER_BYTES ((size_t)256)

/** sealed_file_bytes(n): what a sealed file of ${n} bytes of content has. */
uint64_t sealed_file_bytes(uint64_t content_bytes);
/** sealed_content_bytes(n): the other way; of a file that ends inside of a
 * frame's overhead, what is before that frame. */
uint64_t sealed_content_bytes(uint64_t file_bytes);

/* Reading. */

struct sealed_reader;

/* What the content is known to be, of a complete file. */
struct sealed_expect {
	uint32_t key_domain;
	uint64_t size_bytes; /* UINT64_MAX: as the header says */
	const struct digest
	    *digest;  /* of the blob whose file it is; NULL: any */
	bool no_wait; /* RC_WOULDBLOCK rather */
};

/**
 * sealed_reader_open(fd, key, expect, r_r):
 * ${fd} stays the caller's, and open longer than the reader.  ${expect} NULL:
 * a file that is still being written: no more may be read than its writer says
 * is readable.  RC_CORRUPT: not what is expected (logged with the digest);
 * RC_IO.  Reads the header, waiting for the disk.
 */
RC_MUST_USE enum rc sealed_reader_open(int fd, const struct seal_key *,
    const struct sealed_expect *, struct sealed_reader **r_r);
/** sealed_reader_domain(fd, domain_r): what a header says, unchecked.
 * RC_CORRUPT: no header; RC_IO. */
RC_MUST_USE enum rc sealed_reader_domain(int fd, uint32_t *domain_r);
/** sealed_reader_size(r): of the content. */
uint64_t sealed_reader_size(const struct sealed_reader *);
/** sealed_reader_read(...): as blob_file_read(). */
RC_MUST_USE enum rc sealed_reader_read(struct sealed_reader *, uint64_t offset,
    void *p, size_t n, bool may_wait, size_t *n_r);
/** sealed_reader_view(r, offset, may_wait, p_r, n_r): as blob_file_view(). */
RC_MUST_USE enum rc sealed_reader_view(struct sealed_reader *, uint64_t offset,
    bool may_wait, const void **p_r, size_t *n_r);
/** sealed_reader_dup(r, fd): of another descriptor of the same file. */
struct sealed_reader *sealed_reader_dup(const struct sealed_reader *, int fd);
/** sealed_reader_close(r): takes NULL; sets it to NULL; wipes. */
void sealed_reader_close(struct sealed_reader **);

/* Writing: one thread at a time, by appending. */

struct sealed_writer;

/** sealed_writer_new(fd, key, domain, w_r): into an empty file; writes a header
 * with state "open".  RC_NOSPACE, RC_IO. */
RC_MUST_USE enum rc sealed_writer_new(int fd, const struct seal_key *,
    uint32_t key_domain, struct sealed_writer **w_r);
/** sealed_writer_open(fd, key, w_r): goes on where a file ends, that of a crash
 * too: a last frame that is torn is cut off.  RC_CORRUPT: its header or last
 * whole frame is not genuine; RC_IO. */
RC_MUST_USE enum rc
sealed_writer_open(int fd, const struct seal_key *, struct sealed_writer **w_r);
uint64_t sealed_writer_size(const struct sealed_writer *);
uint32_t sealed_writer_domain(const struct sealed_writer *);
/** sealed_writer_cut(w): is it one of which frames were cut off? */
bool sealed_writer_cut(const struct sealed_writer *);
/** sealed_writer_reader(w, fd, r_r): for reading beside, of another descriptor
 * of the same file; as sealed_reader_open() with ${expect} NULL. */
struct sealed_reader *
sealed_writer_reader(const struct sealed_writer *, int fd);
/** sealed_writer_append(w, p, n): all, or RC_NOSPACE, RC_IO and the size is what
 * it was.  Whole frames are written; what is left over is kept in memory. */
RC_MUST_USE enum rc
sealed_writer_append(struct sealed_writer *, const void *p, size_t n);
/** sealed_writer_flush(w): write what is kept in memory as a short last frame.
 * More can be appended. */
RC_MUST_USE enum rc sealed_writer_flush(struct sealed_writer *);
/** sealed_writer_readable(w): up to where a reader may read meanwhile: whole
 * frames, or all of it after a flush until more is appended. */
uint64_t sealed_writer_readable(const struct sealed_writer *);
/** sealed_writer_truncate(w, n): cut down to ${n} bytes of content. */
RC_MUST_USE enum rc
sealed_writer_truncate(struct sealed_writer *, uint64_t n_bytes);
/** sealed_writer_read(w, offset, p, n): exactly ${n} bytes of what was written;
 * RC_RANGE, RC_CORRUPT. */
RC_MUST_USE enum rc
sealed_writer_read(struct sealed_writer *, uint64_t offset, void *p, size_t n);
/** sealed_writer_complete(w, digest): flush, and make the header complete.  Not
 * synced: the caller's. */
RC_MUST_USE enum rc
sealed_writer_complete(struct sealed_writer *, const struct digest *);
/** sealed_writer_close(w): what is kept in memory and was not flushed is lost.
 * Takes NULL; sets it to NULL; wipes. */
void sealed_writer_close(struct sealed_writer **);

/*
 * Values: what lies in the database, as one piece: u8 version (1), 32 bytes
 * salt, ciphertext, 16 bytes tag; a key of its own for each, made of the salt
 * as above, so a nonce of zeros is used once.  ${aad} says what it is, so that
 * it cannot be put elsewhere.  Any thread.
 */
#define SEALED_VALUE_OVERHEAD_BYTES ((size_t)(1 + 32 + 16))

/** sealed_value_write(key, aad, plain, out): ${out} has room for plain.n +
 * SEALED_VALUE_OVERHEAD_BYTES and gets all of it. */
void sealed_value_write(
    const struct seal_key *, struct span aad, struct span plain, uint8_t *out);
/** sealed_value_read(key, aad, sealed, out, n_r): ${out} has room for sealed.n.
 * RC_CORRUPT: not made with this key and aad, or changed. */
RC_MUST_USE enum rc sealed_value_read(const struct seal_key *, struct span aad,
    struct span sealed, uint8_t *out, size_t *n_r);

#endif
