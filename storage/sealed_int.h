#ifndef STORAGE_SEALED_INT_H
#define STORAGE_SEALED_INT_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/keyring.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/sealed.h"

/*
 * Sealed files, private to sealed*.c: keys, the header, and one frame.
 */
#define SEALED_SALT_BYTES 32
#define SEALED_NONCE_BYTES 12
#define SEALED_TAG_BYTES 16
/* A whole frame in the file. */
#define SEALED_STORED_BYTES (SEALED_FRAME_BYTES + SEALED_FRAME_OVERHEAD_BYTES)

/* Frames that are read, or sealed and written, by one call of the system: that
 * many fit into the cache of a core together with where they go. */
#define SEALED_AT_ONCE 4

/* Of one file. */
struct sealed_keys {
	uint8_t frames[SEAL_KEY_BYTES];
	uint8_t header[SEAL_KEY_BYTES];
};

struct sealed_header {
	uint32_t key_domain;
	bool complete;
	bool cut; /* frames that were written have been cut off since */
	uint8_t salt[SEALED_SALT_BYTES];
	uint64_t size_bytes; /* these two of a complete one */
	struct digest digest;
};

/** sealed_keys_derive(key, salt, keys_r): wipe them. */
void sealed_keys_derive(const struct seal_key *,
    const uint8_t salt[SEALED_SALT_BYTES], struct sealed_keys *keys_r);
/** sealed_value_key(key, salt, out): of a value; wipe it. */
void sealed_value_key(const struct seal_key *,
    const uint8_t salt[SEALED_SALT_BYTES], uint8_t out[SEAL_KEY_BYTES]);

void sealed_header_write(const struct sealed_header *,
    const struct sealed_keys *, uint8_t out[SEALED_HEADER_BYTES]);
/** sealed_header_parse(p, h_r): what it says; not whether it is genuine.
 * RC_CORRUPT. */
RC_MUST_USE enum rc sealed_header_parse(
    const uint8_t p[SEALED_HEADER_BYTES], struct sealed_header *h_r);
bool sealed_header_genuine(
    const uint8_t p[SEALED_HEADER_BYTES], const struct sealed_keys *);
/** sealed_header_load(fd, may_wait, p): RC_CORRUPT: the file is too short;
 * RC_WOULDBLOCK; RC_IO. */
RC_MUST_USE enum rc
sealed_header_load(int fd, bool may_wait, uint8_t p[SEALED_HEADER_BYTES]);

/** sealed_cipher_new(key, encrypt): to be freed with EVP_CIPHER_CTX_free(),
 * which wipes. */
EVP_CIPHER_CTX *
sealed_cipher_new(const uint8_t key[SEAL_KEY_BYTES], bool encrypt);

/* The additional data of a frame is its number. */
#define SEALED_AAD_BYTES 8

/** sealed_seal(ctx, nonce, aad, parts, n_parts, out): ${out} gets all parts,
 * one behind the other, and the tag. */
void sealed_seal(EVP_CIPHER_CTX *, const uint8_t nonce[SEALED_NONCE_BYTES],
    struct span aad, const struct span *parts, size_t n_parts, uint8_t *out);
/** sealed_unseal(ctx, nonce, aad, n_aad, text, n, tag, out): into ${out}, which
 * may be ${text}; false: not genuine, and ${out} is wiped. */
bool sealed_unseal(EVP_CIPHER_CTX *, const uint8_t nonce[SEALED_NONCE_BYTES],
    const void *aad, size_t n_aad, const uint8_t *text, size_t n,
    const uint8_t tag[SEALED_TAG_BYTES], uint8_t *out);
/** sealed_aad(number, aad): of a frame. */
void sealed_aad(uint64_t number, uint8_t aad[SEALED_AAD_BYTES]);

/** sealed_at(number): where a frame begins in the file. */
static inline uint64_t
sealed_at(uint64_t number)
{
	return (SEALED_HEADER_BYTES + number * SEALED_STORED_BYTES);
}

/** sealed_reader_beside(fd, keys, header): of a file that is being written. */
struct sealed_reader *sealed_reader_beside(
    int fd, const struct sealed_keys *, const struct sealed_header *);

/* sealed_read.c, for the writer, which reads what it has written. */

/** sealed_reader_of(fd, keys, header): of a file that its writer has open: no
 * more than sealed_reader_limit() says is there. */
struct sealed_reader *sealed_reader_of(
    int fd, const struct sealed_keys *, const struct sealed_header *);
/** sealed_reader_limit(r, size): so much there is from now on, and what was
 * read before has changed. */
void sealed_reader_limit(struct sealed_reader *, uint64_t size_bytes);

#endif
