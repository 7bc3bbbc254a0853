#include <inttypes.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/hex.h"
#include "base/name.h"
#include "base/num.h"
#include "base/obj.h"

/*
 * Every small reader of text is given the whole input.  What it takes must
 * come back the same when written and read again; names and tags are judged
 * by the expressions of the specification as well.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define COMPONENT "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#define NAME_RE "^" COMPONENT "(/" COMPONENT ")*$"
#define TAG_RE "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$"

struct expression {
	const char *text;
	bool compiled;
	regex_t re;
};

static void
expression_check(struct expression *e, struct span s, bool ok)
{
	char text[NAME_REPOSITORY_MAX_BYTES + 1];

	if (s.n >= sizeof(text) ||
	    (s.n > 0 && memchr(s.p, '\0', s.n) != NULL)) {
		must(!ok);
		return;
	}
	if (!e->compiled)
		must(regcomp(&e->re, e->text, REG_EXTENDED | REG_NOSUB) == 0);
	e->compiled = true;
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	must((regexec(&e->re, text, 0, NULL, 0) == 0) == ok);
}

static void
names_check(struct span s)
{
	static struct expression name = { .text = NAME_RE };
	static struct expression tag = { .text = TAG_RE };

	expression_check(&name, s, name_repository_ok(s));
	expression_check(&tag, s, name_tag_ok(s));
}

static void
digest_check(struct span s)
{
	char text[DIGEST_STR_BYTES];
	struct digest d;
	enum rc rc;

	rc = digest_parse(s, &d);
	must(rc == RC_OK || rc == RC_INVALID || rc == RC_UNSUPPORTED);
	if (rc == RC_OK)
		must(span_is(s, digest_str(&d, text)));
	if (rc != RC_INVALID)
		must(memchr(s.p, ':', s.n) != NULL);
}

static void
reference_check(struct span s)
{
	struct reference ref;
	struct digest d;

	if (reference_parse(s, &ref) != RC_OK)
		return;
	if (ref.is_digest) {
		must(digest_parse(s, &d) == RC_OK);
		must(digest_eq(&d, &ref.digest));
	} else {
		must(ref.tag.p == s.p && ref.tag.n == s.n);
		must(name_tag_ok(s));
	}
}

static void
decimal_check(struct span s)
{
	char text[32];
	uint64_t n, again;
	enum rc rc;

	rc = num_u64(s, UINT64_MAX, &n);
	if (rc == RC_OK) {
		(void)snprintf(text, sizeof(text), "%" PRIu64, n);
		must(span_is(s, text));
		must(num_u64(s, n, &again) == RC_OK && again == n);
		must(n == 0 || num_u64(s, n - 1, &again) == RC_RANGE);
	}
	if (rc != RC_INVALID)
		must(num_u64_zeros(s, UINT64_MAX, &again) == rc);
	if (num_u64_zeros(s, UINT64_MAX, &n) == RC_OK) {
		(void)snprintf(text, sizeof(text), "%" PRIu64, n);
		must(span_has_suffix(s, span_of(text)));
	}
}

static void
hexadecimal_check(struct span s)
{
	char text[32];
	uint64_t n;

	if (num_hex_u64(s, UINT64_MAX, &n) != RC_OK)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIx64, n);
	must(s.n >= strlen(text));
	s.p += s.n - strlen(text);
	s.n = strlen(text);
	must(span_eq_nocase(s, span_of(text)));
}

static void
units_check(struct span s)
{
	int64_t ms, ms_again;
	uint64_t n, n_again;
	char text[32];

	if (num_duration_ms(s, &ms) == RC_OK) {
		must(ms >= 0);
		(void)snprintf(text, sizeof(text), "%" PRId64 "ms", ms);
		must(num_duration_ms(span_of(text), &ms_again) == RC_OK);
		must(ms == ms_again);
	}
	if (num_size_bytes(s, &n) == RC_OK) {
		(void)snprintf(text, sizeof(text), "%" PRIu64, n);
		must(num_size_bytes(span_of(text), &n_again) == RC_OK);
		must(n == n_again);
	}
}

static void
hex_check(struct span s)
{
	uint8_t *bytes = malloc(s.n / 2 + 1);
	char *text = malloc(s.n + 2);

	must(bytes != NULL && text != NULL);
	if (hex_decode(s, bytes, s.n / 2) == RC_OK) {
		hex_encode(bytes, s.n / 2, text);
		must(span_is(s, text));
	}
	free(text);
	free(bytes);
}

static void
base64_check(struct span s)
{
	uint8_t *bytes = malloc(s.n / 4 * 3 + 1), *back;
	char *text = malloc(BASE64_LEN(s.n) + 1);
	size_t n;

	must(bytes != NULL && text != NULL);
	if (base64_decode(s, bytes, &n) == RC_OK) {
		must(n <= s.n / 4 * 3);
		base64_encode(bytes, n, text);
		must(span_is(s, text));
	}
	/* And the other way: any bytes. */
	base64_encode((const uint8_t *)s.p, s.n, text);
	must(strlen(text) == BASE64_LEN(s.n));
	back = malloc(strlen(text) / 4 * 3 + 1);
	must(back != NULL);
	must(base64_decode(span_of(text), back, &n) == RC_OK);
	must(n == s.n && (n == 0 || memcmp(back, s.p, n) == 0));
	free(back);
	free(text);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span s = { (const char *)data, n_bytes };

	names_check(s);
	digest_check(s);
	reference_check(s);
	decimal_check(s);
	hexadecimal_check(s);
	units_check(s);
	hex_check(s);
	base64_check(s);
	return (0);
}
