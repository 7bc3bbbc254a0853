#ifndef BASE_KEYRING_H
#define BASE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * Keys and what they protect.
 *
 * A seal key encrypts and authenticates (AES-256-GCM); what it made is called
 * sealed.  Seal keys are random, kept in the metadata, and there they are
 * wrapped: sealed under the master key, which stands in a file of its own or
 * in the environment.  To change the master key is therefore to wrap a few
 * keys anew, whatever the amount of sealed content.
 *
 *	sealed	u8 version (1), 12 bytes nonce, the ciphertext, 16 bytes tag
 *	wrapped	8 bytes name of the master key, then sealed
 *
 * The additional data (aad) is not stored: it says what the sealed bytes are
 * ("access key AKIA..."), so that they cannot be put elsewhere.
 */
#define SEAL_KEY_BYTES 32
#define SEAL_OVERHEAD_BYTES (1 + 12 + 16)

struct seal_key {
	uint8_t bytes[SEAL_KEY_BYTES];
};

/** seal_key_make(k): a new random key.  Wipe it (mem_wipe) when done. */
void seal_key_make(struct seal_key *);

/** seal(k, aad, plain, out): ${out} has room for plain.n +
 * SEAL_OVERHEAD_BYTES and gets all of it.  Any thread. */
void
seal(const struct seal_key *, struct span aad, struct span plain, uint8_t *out);

/** seal_open(k, aad, sealed, out, n_r): ${out} has room for sealed.n.
 * RC_INVALID: not made with this key and this aad, or changed since; ${out}
 * holds nothing then.  Any thread. */
RC_MUST_USE enum rc seal_open(const struct seal_key *, struct span aad,
    struct span sealed, uint8_t *out, size_t *n_r);

/** secret_eq(a, b): equal?  In time that depends on the lengths only. */
bool secret_eq(struct span a, struct span b);

/**
 * secret_mac(key, parts, n, out):
 * HMAC-SHA-256 (RFC 2104) of the first part under ${key}, of the second under
 * what that gave, and so on; ${out} is the last one.  Any thread.
 */
#define SECRET_MAC_BYTES 32
void secret_mac(struct span key, const struct span *parts, size_t n_parts,
    uint8_t out[SECRET_MAC_BYTES]);

/** random_bytes(p, n): of a generator for secrets that the system seeds; never
 * fails.  Any thread. */
void random_bytes(void *p, size_t n);

/*
 * Master keys: the first one wraps, all unwrap.  There are two while one is
 * being replaced.
 *
 * The file (mode 0600 or less, else RC_DENIED) holds one key a line, 64
 * hexadecimal digits, the current one first; empty lines and those that begin
 * with '#' are comments.  In the environment keys are separated by commas.
 */
#define KEYRING_KEYS_MAX 4
#define KEYRING_FILE_MAX_BYTES 16384
#define KEYRING_WHY_BYTES 512
#define KEYRING_LOCK_WAIT_MS 2000
#define WRAPPED_KEY_BYTES (8 + SEAL_KEY_BYTES + SEAL_OVERHEAD_BYTES)

struct keyring;

/**
 * keyring_open(file, text, create, why, ring_r):
 * Of ${text} when it is not NULL or empty (what the environment held), else of
 * ${file}, which is made (0600, durably) when it is missing and ${create}.
 * RC_NOTFOUND; RC_DENIED: others may read the file, or we may not; RC_INVALID:
 * not a key, none or more than KEYRING_KEYS_MAX; RC_TOOBIG: more than
 * KEYRING_FILE_MAX_BYTES; RC_BUSY: as keyring_file_add, only when it is made;
 * RC_IO...: ${why} names the file, never a key, and
 * says what to do.  May block on the disk, as all that takes a file here.
 */
RC_MUST_USE enum rc keyring_open(const char *file, const char *text,
    bool create, char why[KEYRING_WHY_BYTES], struct keyring **ring_r);

/** keyring_free(ring): wipes the keys.  Takes NULL. */
void keyring_free(struct keyring **);

/** keyring_size(ring): how many keys there are. */
size_t keyring_size(const struct keyring *);

/** keyring_wrap(ring, label, key, out): under the current master key. */
void keyring_wrap(const struct keyring *, struct span label,
    const struct seal_key *, uint8_t out[WRAPPED_KEY_BYTES]);

/**
 * keyring_unwrap(ring, label, wrapped, key_r, old_r):
 * *${old_r}: it was wrapped under another than the current master key.
 * RC_NOTFOUND: under a master key that is not here; RC_INVALID: damaged, or
 * of another label.
 */
RC_MUST_USE enum rc keyring_unwrap(const struct keyring *, struct span label,
    struct span wrapped, struct seal_key *key_r, bool *old_r);

/**
 * keyring_file_add(file, why), keyring_file_trim(file, why):
 * The two ends of a rotation: put a new key in front of those in ${file};
 * drop all but the first.  The file is replaced durably, so that a crash
 * leaves the old one or the new one (and perhaps ${file}.new, which nobody
 * reads and the next change replaces); its comments, owner and mode stay.  As
 * keyring_open; RC_LIMIT: it holds KEYRING_KEYS_MAX keys already; RC_BUSY:
 * another program holds the lock of the folder, and did so for
 * KEYRING_LOCK_WAIT_MS.
 */
RC_MUST_USE enum rc
keyring_file_add(const char *file, char why[KEYRING_WHY_BYTES]);
RC_MUST_USE enum rc
keyring_file_trim(const char *file, char why[KEYRING_WHY_BYTES]);

#endif
