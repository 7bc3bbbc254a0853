#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Content digests (OCI image-spec, descriptor.md, "Digests").  The numbers
 * are stored on disk: never change one.
 */
enum digest_alg {
	DIGEST_SHA256 = 1,
	DIGEST_SHA512 = 2,
};

#define DIGEST_BYTES_MAX 64
/* "sha512:" + 128 hex digits + NUL. */
#define DIGEST_STR_BYTES 136

struct digest {
	uint8_t alg;			 /* enum digest_alg */
	uint8_t bytes[DIGEST_BYTES_MAX]; /* unused tail is zero */
};

/** digest_len(alg): bytes of a digest of ${alg}, 0 for an unknown one. */
size_t digest_len(uint8_t alg);

/** digest_alg_name(alg): "sha256"; NULL for an unknown one. */
const char *digest_alg_name(uint8_t alg);

/** digest_alg_parse(s, alg_r): RC_UNSUPPORTED for any other name. */
RC_MUST_USE enum rc digest_alg_parse(struct span, uint8_t *alg_r);

/**
 * digest_parse(s, d_r):
 * algorithm ":" encoded, as the image-spec writes it.  RC_INVALID: not of
 * that grammar, or wrong length or upper case for a known algorithm.
 * RC_UNSUPPORTED: well-formed, algorithm not known here.
 */
RC_MUST_USE enum rc digest_parse(struct span, struct digest *d_r);

/** digest_str(d, out): "sha256:..." with a NUL; returns ${out}. */
const char *digest_str(const struct digest *, char out[DIGEST_STR_BYTES]);

bool digest_eq(const struct digest *, const struct digest *);
int digest_cmp(const struct digest *, const struct digest *);

/** digest_of(alg, p, n, d_r): hash ${n} bytes in memory. */
void digest_of(uint8_t alg, const void *p, size_t n, struct digest *d_r);

/*
 * A running hash.  One thread at a time.
 */
struct hasher;

struct hasher *hasher_new(uint8_t alg);
uint8_t hasher_alg(const struct hasher *);
void hasher_update(struct hasher *, const void *p, size_t n);
/** hasher_final(h, d_r): the hasher may then only be freed. */
void hasher_final(struct hasher *, struct digest *d_r);
/** hasher_free(h): takes NULL and a pointer to NULL; sets it to NULL. */
void hasher_free(struct hasher **);

#endif
