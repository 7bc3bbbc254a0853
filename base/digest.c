#include "base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * OpenSSL 3 looks an algorithm up by name, under locks, whenever it is used
 * without having been fetched; so each is fetched once and kept for good.
 */
static struct {
	uint8_t alg;
	const char *name;
	const char *ossl_name;
	size_t n_bytes;
	EVP_MD *md;
} algs[] = {
	{ DIGEST_SHA256, "sha256", "SHA2-256", 32, NULL },
	{ DIGEST_SHA512, "sha512", "SHA2-512", 64, NULL },
};

static pthread_once_t algs_once = PTHREAD_ONCE_INIT;

static void
algs_fetch(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(algs); i++) {
		algs[i].md = EVP_MD_fetch(NULL, algs[i].ossl_name, NULL);
		must(algs[i].md != NULL);
	}
}

static const EVP_MD *
alg_md(uint8_t alg)
{
	size_t i;

	must(pthread_once(&algs_once, algs_fetch) == 0);
	for (i = 0; i < ARRAY_LEN(algs); i++)
		if (algs[i].alg == alg)
			return (algs[i].md);
	wrong("a digest algorithm that does not exist");
}

size_t
digest_len(uint8_t alg)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(algs); i++)
		if (algs[i].alg == alg)
			return (algs[i].n_bytes);
	return (0);
}

const char *
digest_alg_name(uint8_t alg)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(algs); i++)
		if (algs[i].alg == alg)
			return (algs[i].name);
	return (NULL);
}

enum rc
digest_alg_parse(struct span s, uint8_t *alg_r)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(algs); i++)
		if (span_is(s, algs[i].name)) {
			*alg_r = algs[i].alg;
			return (RC_OK);
		}
	return (RC_UNSUPPORTED);
}

static bool
is_lower_alnum(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
}

static bool
is_separator(char c)
{
	return (c == '+' || c == '.' || c == '_' || c == '-');
}

/*
 * algorithm           ::= algorithm-component (algorithm-separator
 *                         algorithm-component)*
 * algorithm-component ::= [a-z0-9]+
 * algorithm-separator ::= [+._-]
 */
static bool
algorithm_ok(struct span s)
{
	bool component = false;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (is_lower_alnum(s.p[i]))
			component = true;
		else if (component && is_separator(s.p[i]))
			component = false;
		else
			return (false);
	}
	return (component);
}

/* encoded ::= [a-zA-Z0-9=_-]+ */
static bool
encoded_ok(struct span s)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (!is_lower_alnum(c) && !(c >= 'A' && c <= 'Z') && c != '=' &&
		    c != '_' && c != '-')
			return (false);
	}
	return (s.n > 0);
}

/* digest ::= algorithm ":" encoded */
enum rc
digest_parse(struct span s, struct digest *d_r)
{
	struct span algorithm, encoded = s;
	uint8_t alg;

	if (!span_split(&encoded, ':', &algorithm))
		return (RC_INVALID);
	if (!algorithm_ok(algorithm) || !encoded_ok(encoded))
		return (RC_INVALID);
	if (digest_alg_parse(algorithm, &alg) != RC_OK)
		return (RC_UNSUPPORTED);
	*d_r = (struct digest){ .alg = alg };
	return (hex_decode(encoded, d_r->bytes, digest_len(alg)));
}

const char *
digest_str(const struct digest *d, char out[DIGEST_STR_BYTES])
{
	const char *name = digest_alg_name(d->alg);
	size_t n;

	must(name != NULL);
	n = strlen(name);
	memcpy(out, name, n);
	out[n] = ':';
	hex_encode(d->bytes, digest_len(d->alg), out + n + 1);
	return (out);
}

bool
digest_eq(const struct digest *a, const struct digest *b)
{
	return (digest_cmp(a, b) == 0);
}

int
digest_cmp(const struct digest *a, const struct digest *b)
{
	if (a->alg != b->alg)
		return (a->alg < b->alg ? -1 : 1);
	return (memcmp(a->bytes, b->bytes, sizeof(a->bytes)));
}

void
digest_of(uint8_t alg, const void *p, size_t n, struct digest *d_r)
{
	const EVP_MD *md = alg_md(alg);
	unsigned len = 0;

	*d_r = (struct digest){ .alg = alg };
	must(EVP_Digest(p, n, d_r->bytes, &len, md, NULL) == 1);
	must(len == digest_len(alg));
}

#define HASHER_MAGIC 0x68617368u

struct hasher {
	unsigned magic;
	uint8_t alg;
	bool done;
	EVP_MD_CTX *ctx;
};

struct hasher *
hasher_new(uint8_t alg)
{
	const EVP_MD *md = alg_md(alg);
	struct hasher *h;

	h = xcalloc(1, sizeof(*h));
	h->magic = HASHER_MAGIC;
	h->alg = alg;
	h->ctx = EVP_MD_CTX_new();
	must(h->ctx != NULL);
	must(EVP_DigestInit_ex2(h->ctx, md, NULL) == 1);
	return (h);
}

uint8_t
hasher_alg(const struct hasher *h)
{
	OBJ_CHECK(h, HASHER_MAGIC);
	return (h->alg);
}

void
hasher_update(struct hasher *h, const void *p, size_t n)
{
	OBJ_CHECK(h, HASHER_MAGIC);
	must(!h->done);
	must(EVP_DigestUpdate(h->ctx, p, n) == 1);
}

void
hasher_final(struct hasher *h, struct digest *d_r)
{
	unsigned len = 0;

	OBJ_CHECK(h, HASHER_MAGIC);
	must(!h->done);
	h->done = true;
	*d_r = (struct digest){ .alg = h->alg };
	must(EVP_DigestFinal_ex(h->ctx, d_r->bytes, &len) == 1);
	must(len == digest_len(h->alg));
}

void
hasher_free(struct hasher **hp)
{
	struct hasher *h;

	if (hp == NULL || *hp == NULL)
		return;
	h = *hp;
	*hp = NULL;
	OBJ_CHECK(h, HASHER_MAGIC);
	EVP_MD_CTX_free(h->ctx);
	h->magic = 0;
	free(h);
}
