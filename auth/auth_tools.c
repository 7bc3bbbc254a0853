#include "auth/auth_tools_int.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

#include "base/digest.h"
#include "base/keyring.h"
#include "base/mem.h"
#include "base/obj.h"

#define BASE32 "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#define BASE36 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define BASE64 \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define PREFIX_BYTES 4

/* Names. */

bool
account_ok(struct span s)
{
	size_t i;

	if (s.n != ACCOUNT_BYTES)
		return (false);
	for (i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
	return (true);
}

static bool
iam_char_ok(char c)
{

	return ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') ||
		(c != '\0' && strchr("_+=,.@-", c) != NULL));
}

bool
iam_name_ok(struct span s, size_t max_bytes)
{
	size_t i;

	if (s.n == 0 || s.n > max_bytes)
		return (false);
	for (i = 0; i < s.n; i++)
		if (!iam_char_ok(s.p[i]))
			return (false);
	return (true);
}

/* Identifiers. */

/* Bytes above the last multiple of the alphabet's size would favour its
 * first letters; others are drawn for them. */
static void
letters_draw(struct span alphabet, char *out, size_t n)
{
	size_t limit = 256 - 256 % alphabet.n;
	uint8_t byte;
	size_t i = 0;

	while (i < n) {
		random_bytes(&byte, 1);
		if (byte < limit)
			out[i++] = alphabet.p[byte % alphabet.n];
	}
	out[n] = '\0';
	mem_wipe(&byte, sizeof(byte));
}

static void
prefix_put(const char *prefix, char *out)
{
	size_t i;

	for (i = 0; i < PREFIX_BYTES; i++)
		out[i] = prefix[i];
}

void
iam_id_new(const char *prefix, char out[IAM_ID_BYTES])
{

	prefix_put(prefix, out);
	letters_draw(
	    SPAN(BASE36), out + PREFIX_BYTES, IAM_ID_BYTES - 1 - PREFIX_BYTES);
}

void
iam_id_of(const char *prefix, struct span what, char out[IAM_ID_BYTES])
{
	struct digest d;
	size_t i;

	digest_of(DIGEST_SHA256, what.p, what.n, &d);
	prefix_put(prefix, out);
	for (i = 0; i < IAM_ID_BYTES - 1 - PREFIX_BYTES; i++)
		out[PREFIX_BYTES + i] = BASE32[d.bytes[i] % 32];
	out[IAM_ID_BYTES - 1] = '\0';
}

void
access_key_id_new(char out[IAM_ID_BYTES])
{

	prefix_put("AKIA", out);
	letters_draw(
	    SPAN(BASE32), out + PREFIX_BYTES, IAM_ID_BYTES - 1 - PREFIX_BYTES);
}

void
secret_key_new(char out[SECRET_KEY_BYTES])
{

	letters_draw(SPAN(BASE64), out, SECRET_KEY_BYTES - 1);
}

/* The keyed hash.  The algorithm is fetched once and kept for good. */

static EVP_MAC *mac_alg;
static pthread_once_t mac_once = PTHREAD_ONCE_INIT;

static void
mac_fetch(void)
{

	mac_alg = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(mac_alg != NULL);
}

static void
mac_part(EVP_MAC_CTX *c, struct span part)
{
	uint8_t len[8];
	size_t i;

	for (i = 0; i < sizeof(len); i++)
		len[i] = (uint8_t)((uint64_t)part.n >> (8 * i));
	must(EVP_MAC_update(c, len, sizeof(len)) == 1);
	if (part.n > 0)
		must(EVP_MAC_update(c, (const uint8_t *)part.p, part.n) == 1);
}

void
auth_mac(const uint8_t key[AUTH_MAC_BYTES], const struct span *parts, size_t n,
    uint8_t out[AUTH_MAC_BYTES])
{
	char alg[] = "SHA2-256";
	OSSL_PARAM params[2];
	EVP_MAC_CTX *c;
	size_t len, i;

	must(pthread_once(&mac_once, mac_fetch) == 0);
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, alg, 0);
	params[1] = OSSL_PARAM_construct_end();
	c = EVP_MAC_CTX_new(mac_alg);
	must(c != NULL && EVP_MAC_init(c, key, AUTH_MAC_BYTES, params) == 1);
	for (i = 0; i < n; i++)
		mac_part(c, parts[i]);
	must(EVP_MAC_final(c, out, &len, AUTH_MAC_BYTES) == 1);
	must(len == AUTH_MAC_BYTES);
	EVP_MAC_CTX_free(c);
}
