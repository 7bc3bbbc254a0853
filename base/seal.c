#include "base/keyring.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * The work with keys (keyring.h), all of it OpenSSL's.
 *
 * An algorithm is looked up by name under locks, so each is fetched once and
 * kept for good (as in digest.c).  A context is made for every call, which is
 * a sixth of the cost of a short message: freeing it wipes the schedule of
 * the key, and no thread keeps secrets of the last request.
 *
 * Nonces are random.  One key must not see much more than 2^32 of them (NIST
 * SP 800-38D, 8.3): a hundred tokens a second for a year are less.
 */
#define SEAL_VERSION 1
#define NONCE_BYTES 12
#define TAG_BYTES 16

static struct {
	EVP_CIPHER *aead;
	EVP_MAC_CTX *mac; /* to be copied: its digest is chosen */
} algs;

static pthread_once_t algs_once = PTHREAD_ONCE_INIT;

static void
algs_fetch(void)
{
	static const uint8_t no_key[SECRET_MAC_BYTES];
	char digest[] = "SHA2-256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
				    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end() };
	EVP_MAC *mac;

	algs.aead = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	must(algs.aead != NULL);
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(mac != NULL);
	algs.mac = EVP_MAC_CTX_new(mac);
	must(algs.mac != NULL);
	/* A context is copied only once it has been given a key. */
	must(EVP_MAC_init(algs.mac, no_key, sizeof(no_key), params) == 1);
	EVP_MAC_free(mac);
}

static void
algs_need(void)
{
	must(pthread_once(&algs_once, algs_fetch) == 0);
}

void
random_bytes(void *p, size_t n)
{
	uint8_t *at = p;
	int part;

	for (; n > 0; n -= (size_t)part, at += part) {
		part = n < INT_MAX ? (int)n : INT_MAX;
		must(RAND_bytes(at, part) == 1);
	}
}

bool
secret_eq(struct span a, struct span b)
{
	if (a.n != b.n)
		return (false);
	return (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void
secret_mac(struct span key, const struct span *parts, size_t n_parts,
    uint8_t out[SECRET_MAC_BYTES])
{
	static const uint8_t empty[1];
	const uint8_t *k = key.n > 0 ? (const uint8_t *)key.p : empty;
	size_t i, n, n_key = key.n;
	EVP_MAC_CTX *ctx;

	must(n_parts > 0);
	algs_need();
	ctx = EVP_MAC_CTX_dup(algs.mac);
	must(ctx != NULL);
	for (i = 0; i < n_parts; i++) {
		must(EVP_MAC_init(ctx, k, n_key, NULL) == 1);
		must(EVP_MAC_update(
			 ctx, (const uint8_t *)parts[i].p, parts[i].n) == 1);
		must(EVP_MAC_final(ctx, out, &n, SECRET_MAC_BYTES) == 1);
		must(n == SECRET_MAC_BYTES);
		k = out;
		n_key = n;
	}
	EVP_MAC_CTX_free(ctx);
}

void
seal_key_make(struct seal_key *k)
{
	random_bytes(k->bytes, sizeof(k->bytes));
}

static int
len_of(struct span s)
{
	must(s.n <= INT_MAX);
	return ((int)s.n);
}

static const uint8_t *
bytes_of(struct span s)
{
	return ((const uint8_t *)s.p);
}

void
seal(const struct seal_key *k, struct span aad, struct span plain, uint8_t *out)
{
	uint8_t *nonce = out + 1, *text = nonce + NONCE_BYTES;
	EVP_CIPHER_CTX *ctx;
	int n;

	algs_need();
	out[0] = SEAL_VERSION;
	random_bytes(nonce, NONCE_BYTES);
	ctx = EVP_CIPHER_CTX_new();
	must(ctx != NULL);
	must(EVP_EncryptInit_ex2(ctx, algs.aead, k->bytes, nonce, NULL) == 1);
	if (aad.n > 0)
		must(EVP_EncryptUpdate(
			 ctx, NULL, &n, bytes_of(aad), len_of(aad)) == 1);
	if (plain.n > 0)
		must(EVP_EncryptUpdate(
			 ctx, text, &n, bytes_of(plain), len_of(plain)) == 1);
	must(EVP_EncryptFinal_ex(ctx, text + plain.n, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(
		 ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, text + plain.n) == 1);
	EVP_CIPHER_CTX_free(ctx);
}

/* Whether the tag is right; what stands in ${out} is nothing if not. */
static bool
open_with(EVP_CIPHER_CTX *ctx, struct span aad, struct span text,
    const uint8_t *tag, uint8_t *out)
{
	uint8_t want[TAG_BYTES], end;
	int n;

	memcpy(want, tag, sizeof(want));
	if (aad.n > 0)
		must(EVP_DecryptUpdate(
			 ctx, NULL, &n, bytes_of(aad), len_of(aad)) == 1);
	if (text.n > 0)
		must(EVP_DecryptUpdate(
			 ctx, out, &n, bytes_of(text), len_of(text)) == 1);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, want) ==
	     1);
	return (EVP_DecryptFinal_ex(ctx, &end, &n) == 1);
}

enum rc
seal_open(const struct seal_key *k, struct span aad, struct span sealed,
    uint8_t *out, size_t *n_r)
{
	const uint8_t *p = bytes_of(sealed);
	EVP_CIPHER_CTX *ctx;
	struct span text;
	bool ok;

	*n_r = 0;
	if (sealed.n < SEAL_OVERHEAD_BYTES || sealed.n > INT_MAX ||
	    p[0] != SEAL_VERSION)
		return (RC_INVALID);
	algs_need();
	text.p = sealed.p + 1 + NONCE_BYTES;
	text.n = sealed.n - SEAL_OVERHEAD_BYTES;
	ctx = EVP_CIPHER_CTX_new();
	must(ctx != NULL);
	must(EVP_DecryptInit_ex2(ctx, algs.aead, k->bytes, p + 1, NULL) == 1);
	ok = open_with(ctx, aad, text, bytes_of(text) + text.n, out);
	EVP_CIPHER_CTX_free(ctx);
	if (!ok) {
		mem_wipe(out, text.n);
		return (RC_INVALID);
	}
	*n_r = text.n;
	return (RC_OK);
}
