#include "storage/sealed.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/sealed_int.h"

/*
 * What sealed files are made of (sealed.h): keys of the key, the header, one
 * frame, and values.
 *
 * Algorithms are fetched once, as in base/seal.c.  The context of a cipher is
 * kept for as long as a file is open: the schedule of its key is made once, and
 * each frame only brings a nonce.
 */
#define VERSION 1

/* Of the header. */
#define MAGIC_BYTES 8
#define VERSION_AT 8
#define STATE_AT 9
#define FLAGS_AT 10
#define DOMAIN_AT 12
#define SALT_AT 16
#define SIZE_AT 48
#define ALG_AT 56
#define DIGEST_AT 57
#define ZEROS_AT (DIGEST_AT + 64)
#define MAC_AT (SEALED_HEADER_BYTES - SECRET_MAC_BYTES)

static const uint8_t magic[MAGIC_BYTES] = { 'r', 'g', 'd', 's', 'e', 'a', 'l',
	'\n' };

enum { STATE_OPEN = 0, STATE_COMPLETE = 1 };
#define FLAG_CUT 1U

/* What a key is for is part of what it is made of. */
#define INFO_FILE "registryd sealed file 1"
#define INFO_VALUE "registryd sealed value 1"

static struct {
	EVP_CIPHER *aead;
	EVP_KDF *hkdf;
} algs;

static pthread_once_t algs_once = PTHREAD_ONCE_INIT;

static void
algs_fetch(void)
{
	algs.aead = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	must(algs.aead != NULL);
	algs.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	must(algs.hkdf != NULL);
}

static void
algs_need(void)
{
	must(pthread_once(&algs_once, algs_fetch) == 0);
}

/* --- sizes --------------------------------------------------------------- */

uint64_t
sealed_file_bytes(uint64_t content_bytes)
{
	uint64_t frames = content_bytes / SEALED_FRAME_BYTES;

	if (content_bytes % SEALED_FRAME_BYTES != 0)
		frames++;
	return (SEALED_HEADER_BYTES + content_bytes +
		frames * SEALED_FRAME_OVERHEAD_BYTES);
}

uint64_t
sealed_content_bytes(uint64_t file_bytes)
{
	uint64_t whole, rest;

	if (file_bytes <= SEALED_HEADER_BYTES)
		return (0);
	whole = (file_bytes - SEALED_HEADER_BYTES) / SEALED_STORED_BYTES;
	rest = (file_bytes - SEALED_HEADER_BYTES) % SEALED_STORED_BYTES;
	rest = rest > SEALED_FRAME_OVERHEAD_BYTES
		   ? rest - SEALED_FRAME_OVERHEAD_BYTES
		   : 0;
	return (whole * SEALED_FRAME_BYTES + rest);
}

/* --- keys ---------------------------------------------------------------- */

static void
hkdf(const struct seal_key *key, const uint8_t *salt, const char *info,
    uint8_t *out, size_t n)
{
	char digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
		    (void *)(uintptr_t)key->bytes, sizeof(key->bytes)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
		    (void *)(uintptr_t)salt, SEALED_SALT_BYTES),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *ctx;

	algs_need();
	ctx = EVP_KDF_CTX_new(algs.hkdf);
	must(ctx != NULL);
	must(EVP_KDF_derive(ctx, out, n, params) == 1);
	EVP_KDF_CTX_free(ctx);
}

void
sealed_keys_derive(const struct seal_key *key,
    const uint8_t salt[SEALED_SALT_BYTES], struct sealed_keys *keys_r)
{
	uint8_t both[2 * SEAL_KEY_BYTES];

	hkdf(key, salt, INFO_FILE, both, sizeof(both));
	memcpy(keys_r->frames, both, SEAL_KEY_BYTES);
	memcpy(keys_r->header, both + SEAL_KEY_BYTES, SEAL_KEY_BYTES);
	mem_wipe(both, sizeof(both));
}

/* One block of HKDF is these two HMACs.  Values are read on loops, and what
 * does it by itself looks up its digest by name, under locks, each time. */
void
sealed_value_key(const struct seal_key *key,
    const uint8_t salt[SEALED_SALT_BYTES], uint8_t out[SEAL_KEY_BYTES])
{
	static const char info[] = INFO_VALUE "\1";
	const struct span parts[] = {
		{ (const char *)key->bytes, sizeof(key->bytes) },
		{ info, sizeof(info) - 1 },
	};

	secret_mac((struct span){ (const char *)salt, SEALED_SALT_BYTES },
	    parts, ARRAY_LEN(parts), out);
}

/* --- frames -------------------------------------------------------------- */

EVP_CIPHER_CTX *
sealed_cipher_new(const uint8_t key[SEAL_KEY_BYTES], bool encrypt)
{
	EVP_CIPHER_CTX *ctx;

	algs_need();
	ctx = EVP_CIPHER_CTX_new();
	must(ctx != NULL);
	must(EVP_CipherInit_ex2(
		 ctx, algs.aead, key, NULL, encrypt ? 1 : 0, NULL) == 1);
	must(EVP_CIPHER_CTX_get_iv_length(ctx) == SEALED_NONCE_BYTES);
	return (ctx);
}

void
sealed_aad(uint64_t number, uint8_t aad[SEALED_AAD_BYTES])
{
	unsigned i;

	for (i = 0; i < SEALED_AAD_BYTES; i++)
		aad[i] = (uint8_t)(number >> (8 * (SEALED_AAD_BYTES - 1 - i)));
}

static void
cipher_begin(
    EVP_CIPHER_CTX *ctx, const uint8_t *nonce, const void *aad, size_t n_aad)
{
	int got;

	must(n_aad <= INT_MAX);
	/* -1: the way it was made for. */
	must(EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, NULL) == 1);
	if (n_aad > 0)
		must(EVP_CipherUpdate(ctx, NULL, &got, aad, (int)n_aad) == 1);
}

void
sealed_seal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[SEALED_NONCE_BYTES],
    struct span aad, const struct span *parts, size_t n_parts, uint8_t *out)
{
	size_t i;
	int got;

	cipher_begin(ctx, nonce, aad.p, aad.n);
	for (i = 0; i < n_parts; i++) {
		if (parts[i].n == 0)
			continue;
		must(parts[i].n <= INT_MAX);
		must(EVP_CipherUpdate(ctx, out, &got,
			 (const uint8_t *)parts[i].p, (int)parts[i].n) == 1);
		must((size_t)got == parts[i].n);
		out += got;
	}
	must(EVP_CipherFinal_ex(ctx, out, &got) == 1 && got == 0);
	must(EVP_CIPHER_CTX_ctrl(
		 ctx, EVP_CTRL_AEAD_GET_TAG, SEALED_TAG_BYTES, out) == 1);
}

bool
sealed_unseal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[SEALED_NONCE_BYTES],
    const void *aad, size_t n_aad, const uint8_t *text, size_t n,
    const uint8_t tag[SEALED_TAG_BYTES], uint8_t *out)
{
	uint8_t want[SEALED_TAG_BYTES], none[SEALED_TAG_BYTES];
	int got = 0, end;

	memcpy(want, tag, sizeof(want));
	must(n <= INT_MAX);
	cipher_begin(ctx, nonce, aad, n_aad);
	if (n > 0)
		must(EVP_CipherUpdate(ctx, out, &got, text, (int)n) == 1);
	must((size_t)got == n);
	must(EVP_CIPHER_CTX_ctrl(
		 ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(want), want) == 1);
	if (EVP_CipherFinal_ex(ctx, none, &end) == 1)
		return (true);
	mem_wipe(out, n);
	return (false);
}

/* --- the header ---------------------------------------------------------- */

static void
put_be(uint8_t *p, uint64_t v, unsigned n)
{
	while (n > 0) {
		p[--n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
get_be(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return (v);
}

static void
header_mac(const uint8_t *p, const struct sealed_keys *keys, uint8_t *mac)
{
	const struct span text = { (const char *)p, MAC_AT };

	secret_mac(
	    (struct span){ (const char *)keys->header, sizeof(keys->header) },
	    &text, 1, mac);
}

void
sealed_header_write(const struct sealed_header *h,
    const struct sealed_keys *keys, uint8_t out[SEALED_HEADER_BYTES])
{
	memset(out, 0, SEALED_HEADER_BYTES);
	memcpy(out, magic, MAGIC_BYTES);
	out[VERSION_AT] = VERSION;
	out[STATE_AT] = h->complete ? STATE_COMPLETE : STATE_OPEN;
	put_be(out + FLAGS_AT, h->cut ? FLAG_CUT : 0, 2);
	put_be(out + DOMAIN_AT, h->key_domain, 4);
	memcpy(out + SALT_AT, h->salt, SEALED_SALT_BYTES);
	if (h->complete) {
		put_be(out + SIZE_AT, h->size_bytes, 8);
		out[ALG_AT] = h->digest.alg;
		memcpy(out + DIGEST_AT, h->digest.bytes,
		    digest_len(h->digest.alg));
	}
	header_mac(out, keys, out + MAC_AT);
}

static bool
zeros(const uint8_t *p, size_t n)
{
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	return (n == 0);
}

/* What is in it only of a complete one. */
static bool
result_parse(const uint8_t *p, struct sealed_header *h)
{
	size_t n;

	if (p[STATE_AT] == STATE_OPEN)
		return (zeros(p + SIZE_AT, ZEROS_AT - SIZE_AT));
	if (p[STATE_AT] != STATE_COMPLETE ||
	    (p[ALG_AT] != DIGEST_SHA256 && p[ALG_AT] != DIGEST_SHA512))
		return (false);
	h->complete = true;
	h->size_bytes = get_be(p + SIZE_AT, 8);
	h->digest.alg = p[ALG_AT];
	n = digest_len(h->digest.alg);
	memcpy(h->digest.bytes, p + DIGEST_AT, n);
	return (zeros(p + DIGEST_AT + n, ZEROS_AT - DIGEST_AT - n));
}

enum rc
sealed_header_parse(
    const uint8_t p[SEALED_HEADER_BYTES], struct sealed_header *h_r)
{
	uint64_t flags = get_be(p + FLAGS_AT, 2);

	*h_r = (struct sealed_header){ 0 };
	if (memcmp(p, magic, MAGIC_BYTES) != 0 || p[VERSION_AT] != VERSION ||
	    (flags & ~(uint64_t)FLAG_CUT) != 0 || !result_parse(p, h_r) ||
	    !zeros(p + ZEROS_AT, MAC_AT - ZEROS_AT))
		return (RC_CORRUPT);
	h_r->cut = flags != 0;
	h_r->key_domain = (uint32_t)get_be(p + DOMAIN_AT, 4);
	memcpy(h_r->salt, p + SALT_AT, SEALED_SALT_BYTES);
	return (RC_OK);
}

bool
sealed_header_genuine(
    const uint8_t p[SEALED_HEADER_BYTES], const struct sealed_keys *keys)
{
	uint8_t mac[SECRET_MAC_BYTES];

	header_mac(p, keys, mac);
	return (secret_eq((struct span){ (const char *)mac, sizeof(mac) },
	    (struct span){ (const char *)p + MAC_AT, sizeof(mac) }));
}

/* It is written into, through an iovec. */
enum rc
// NOLINTNEXTLINE(readability-non-const-parameter)
sealed_header_load(int fd, bool may_wait, uint8_t p[SEALED_HEADER_BYTES])
{
	struct iovec iov = { p, SEALED_HEADER_BYTES };
	ssize_t got;

	do {
		got = preadv2(fd, &iov, 1, 0, may_wait ? 0 : RWF_NOWAIT);
		/* Filesystems that cannot tell: the wait is the price. */
		if (got < 0 && errno == EOPNOTSUPP)
			may_wait = true;
	} while (got < 0 && (errno == EINTR || errno == EOPNOTSUPP));
	if (got < 0 && errno == EAGAIN && !may_wait)
		return (RC_WOULDBLOCK);
	if (got < 0) {
		log_errno("read a sealed file");
		return (RC_IO);
	}
	return (got == SEALED_HEADER_BYTES ? RC_OK : RC_CORRUPT);
}

enum rc
sealed_reader_domain(int fd, uint32_t *domain_r)
{
	uint8_t p[SEALED_HEADER_BYTES];
	struct sealed_header h;
	enum rc rc;

	if ((rc = sealed_header_load(fd, true, p)) != RC_OK ||
	    (rc = sealed_header_parse(p, &h)) != RC_OK)
		return (rc);
	*domain_r = h.key_domain;
	return (RC_OK);
}

/* --- values -------------------------------------------------------------- */

/* Their key is used once. */
static const uint8_t value_nonce[SEALED_NONCE_BYTES];

void
sealed_value_write(const struct seal_key *key, struct span aad,
    struct span plain, uint8_t *out)
{
	uint8_t own[SEAL_KEY_BYTES];
	uint8_t *salt = out + 1;
	EVP_CIPHER_CTX *ctx;

	out[0] = VERSION;
	random_bytes(salt, SEALED_SALT_BYTES);
	sealed_value_key(key, salt, own);
	ctx = sealed_cipher_new(own, true);
	mem_wipe(own, sizeof(own));
	sealed_seal(ctx, value_nonce, aad, &plain, 1, salt + SEALED_SALT_BYTES);
	EVP_CIPHER_CTX_free(ctx);
}

enum rc
sealed_value_read(const struct seal_key *key, struct span aad,
    struct span sealed, uint8_t *out, size_t *n_r)
{
	const uint8_t *p = (const uint8_t *)sealed.p;
	const uint8_t *text = p + 1 + SEALED_SALT_BYTES;
	uint8_t own[SEAL_KEY_BYTES];
	EVP_CIPHER_CTX *ctx;
	size_t n;
	bool ok;

	*n_r = 0;
	if (sealed.n < SEALED_VALUE_OVERHEAD_BYTES || sealed.n > INT_MAX ||
	    p[0] != VERSION)
		return (RC_CORRUPT);
	n = sealed.n - SEALED_VALUE_OVERHEAD_BYTES;
	sealed_value_key(key, p + 1, own);
	ctx = sealed_cipher_new(own, false);
	mem_wipe(own, sizeof(own));
	ok = sealed_unseal(
	    ctx, value_nonce, aad.p, aad.n, text, n, text + n, out);
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return (RC_CORRUPT);
	*n_r = n;
	return (RC_OK);
}
