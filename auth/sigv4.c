#include "auth/sigv4_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/hex.h"
#include "base/keyring.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Signing and verifying are one computation:
 *
 *	scope      date "/" region "/" service "/aws4_request"
 *	to sign    "AWS4-HMAC-SHA256" LF timestamp LF scope LF
 *		   hash of the canonical request
 *	signature  HMAC of "to sign" under the signing key, which is a chain
 *		   of HMACs over the parts of the scope that begins with
 *		   "AWS4" and the secret
 */
#define HEX_BYTES (2 * SIGV4_HASH_BYTES + 1)
#define LINE_BYTES 1024 /* holds "to sign": its parts are bounded below */
#define SCOPE_PART_MAX_BYTES 64
#define MS_PER_S ((int64_t)1000)

#define MISMATCH \
	"The request signature we calculated does not match the signature " \
	"you provided. Check your AWS Secret Access Key and signing method. " \
	"Consult the service documentation for details."

static const struct span terminator = SPAN_INIT(SIGV4_TERMINATOR);

void
sigv4_body_hash(struct span body, uint8_t out[SIGV4_HASH_BYTES])
{
	struct digest d;

	digest_of(DIGEST_SHA256, body.p, body.n, &d);
	memcpy(out, d.bytes, SIGV4_HASH_BYTES);
}

/* The chain of the signing key, and one link more if ${last} is not NULL. */
static void
key_chain(struct span secret, const struct span scope[3],
    const struct span *last, uint8_t out[SIGV4_HASH_BYTES])
{
	char first[4 + SIGV4_SECRET_MAX_BYTES] = "AWS4";
	struct span parts[5] = { scope[0], scope[1], scope[2], terminator };

	must(secret.n <= SIGV4_SECRET_MAX_BYTES);
	if (secret.n > 0)
		memcpy(first + 4, secret.p, secret.n);
	if (last != NULL)
		parts[4] = *last;
	secret_mac((struct span){ first, 4 + secret.n }, parts,
	    last != NULL ? 5 : 4, out);
	mem_wipe(first, sizeof(first));
}

void
sigv4_key(struct span secret, struct span date, struct span region,
    struct span service, uint8_t out[SIGV4_HASH_BYTES])
{
	const struct span scope[3] = { date, region, service };

	key_chain(secret, scope, NULL, out);
}

/* What a signature is made of, on either side. */
struct signing {
	struct span secret, timestamp, date, region, service;
	struct sigv4_form form;
};

static enum rc
signature_make(const struct sigv4_request *rq, const struct signing *s,
    char signature[HEX_BYTES])
{
	const struct span scope[3] = { s->date, s->region, s->service };
	uint8_t hash[SIGV4_HASH_BYTES];
	char line[LINE_BYTES], hex[HEX_BYTES];
	struct buf text;
	struct span last;
	enum rc rc;
	int n;

	buf_init(&text, SIGV4_CANONICAL_MAX_BYTES);
	if ((rc = sigv4_canonical(rq, &s->form, &text)) != RC_OK)
		goto out;
	sigv4_body_hash(buf_as_span(&text), hash);
	hex_encode(hash, sizeof(hash), hex);
	n = snprintf(line, sizeof(line),
	    SIGV4_ALGORITHM "\n" SPAN_FMT "\n" SPAN_FMT "/" SPAN_FMT
			    "/" SPAN_FMT "/" SIGV4_TERMINATOR "\n%s",
	    SPAN_ARG(s->timestamp), SPAN_ARG(s->date), SPAN_ARG(s->region),
	    SPAN_ARG(s->service), hex);
	must(n > 0 && n < LINE_BYTES);
	last = (struct span){ line, (size_t)n };
	key_chain(s->secret, scope, &last, hash);
	hex_encode(hash, sizeof(hash), signature);
out:
	buf_free(&text);
	return (rc);
}

static enum sigv4_error
refuse(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum sigv4_error
refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, SIGV4_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (SIGV4_INVALID);
}

/* Of a region: it becomes part of ARNs. */
static bool
region_ok(struct span s)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '-')
			return (false);
	}
	return (s.n > 0 && s.n <= SCOPE_PART_MAX_BYTES);
}

static enum sigv4_error
scope_check(
    const struct sigv4_claim *c, const struct sigv4_expect *x, char *why)
{
	const struct span day = { c->timestamp.p, 8 };

	if (!region_ok(c->region) ||
	    (x->region.n > 0 && !span_eq(c->region, x->region)))
		return (refuse(
		    why, "Credential should be scoped to a valid region."));
	if (!span_eq(c->service, x->service))
		return (refuse(why,
		    "Credential should be scoped to correct service: '" SPAN_FMT
		    "'.",
		    SPAN_ARG(x->service)));
	if (!span_is(c->terminator, SIGV4_TERMINATOR))
		return (refuse(why,
		    "Credential should be scoped with a valid terminator: "
		    "'" SIGV4_TERMINATOR "'."));
	if (!span_eq(c->date, day))
		return (refuse(why,
		    "Date in Credential scope does not match YYYYMMDD from "
		    "ISO-8601 version of date from HTTP, which is '" SPAN_FMT
		    "'.",
		    SPAN_ARG(c->timestamp)));
	return (SIGV4_OK);
}

/* "5 min.", or seconds where it is not whole minutes. */
static const char *
span_of_time(int64_t ms, char out[32])
{
	const int64_t s = ms / MS_PER_S;

	if (s % 60 == 0)
		(void)snprintf(out, 32, "%" PRId64 " min.", s / 60);
	else
		(void)snprintf(out, 32, "%" PRId64 " sec.", s);
	return (out);
}

static enum sigv4_error
time_check(const struct sigv4_claim *c, int64_t now_ms, char *why)
{
	const int64_t life_ms =
	    c->presigned ? c->expires_s * MS_PER_S : SIGV4_SKEW_MS;
	char now[SIGV4_DATE_BYTES], edge[SIGV4_DATE_BYTES], life[32];

	(void)sigv4_time_str(now_ms, now);
	if (c->signed_ms < now_ms - life_ms)
		return (refuse(why,
		    "Signature expired: " SPAN_FMT " is now earlier than %s "
		    "(%s - %s)",
		    SPAN_ARG(c->timestamp),
		    sigv4_time_str(now_ms - life_ms, edge), now,
		    span_of_time(life_ms, life)));
	if (c->signed_ms > now_ms + SIGV4_SKEW_MS)
		return (refuse(why,
		    "Signature not yet current: " SPAN_FMT
		    " is still later than %s (%s + %s)",
		    SPAN_ARG(c->timestamp),
		    sigv4_time_str(now_ms + SIGV4_SKEW_MS, edge), now,
		    span_of_time(SIGV4_SKEW_MS, life)));
	return (SIGV4_OK);
}

static enum sigv4_error
headers_check(
    const struct sigv4_request *rq, const struct sigv4_claim *c, char *why)
{
	const struct span prefix = SPAN("x-amz-");
	struct span name;
	size_t i;

	if (!sigv4_signed(c->signed_headers, SPAN("host")))
		return (refuse(why,
		    "'Host' or ':authority' must be a 'SignedHeader' in the "
		    "AWS Authorization."));
	for (i = 0; i < rq->n_headers; i++) {
		name = rq->headers[i].name;
		if (name.n < prefix.n ||
		    !span_eq_nocase((struct span){ name.p, prefix.n }, prefix))
			continue;
		name.n = name.n < 64 ? name.n : 64;
		if (!sigv4_signed(c->signed_headers, rq->headers[i].name))
			return (refuse(why,
			    "'" SPAN_FMT "' must be a 'SignedHeader' in the "
			    "AWS Authorization.",
			    SPAN_ARG(name)));
	}
	return (SIGV4_OK);
}

static enum sigv4_error
hash_refuse(char *why)
{
	return (refuse(why,
	    "The provided 'x-amz-content-sha256' header does not match what "
	    "was computed."));
}

/* The hash a client names must be that of what came; wherever it names it. */
static enum sigv4_error
hash_check(const struct sigv4_request *rq, char *why)
{
	struct span path, query, name, value;
	char hex[HEX_BYTES];
	size_t i;

	hex_encode(rq->body_hash, sizeof(rq->body_hash), hex);
	for (i = 0; i < rq->n_headers; i++)
		if (span_eq_nocase(
			rq->headers[i].name, SPAN("x-amz-content-sha256")) &&
		    !span_is(span_trim(rq->headers[i].value), hex))
			return (hash_refuse(why));
	sigv4_target_split(rq->target, &path, &query);
	while (sigv4_param(&query, &name, &value))
		if (span_eq_nocase(name, SPAN("x-amz-content-sha256")) &&
		    !span_is(value, hex))
			return (hash_refuse(why));
	return (SIGV4_OK);
}

static enum sigv4_error
signature_check(const struct sigv4_request *rq, const struct sigv4_claim *c,
    struct span secret, char *why)
{
	const struct signing s = { .secret = secret,
		.timestamp = c->timestamp,
		.date = c->date,
		.region = c->region,
		.service = c->service,
		.form = { c->signed_headers, c->presigned } };
	char signature[HEX_BYTES];
	bool ok;

	ok = signature_make(rq, &s, signature) == RC_OK &&
	     secret_eq(span_of(signature), c->signature);
	mem_wipe(signature, sizeof(signature));
	if (ok)
		return (SIGV4_OK);
	(void)refuse(why, "%s", MISMATCH);
	return (SIGV4_MISMATCH);
}

enum sigv4_error
sigv4_verify(const struct sigv4_request *rq, const struct sigv4_claim *c,
    const struct sigv4_expect *x, struct span secret, char why[SIGV4_WHY_BYTES])
{
	enum sigv4_error e;

	why[0] = '\0';
	must(x->service.n <= SCOPE_PART_MAX_BYTES);
	if ((e = scope_check(c, x, why)) != SIGV4_OK)
		return (e);
	if ((e = time_check(c, x->now_ms, why)) != SIGV4_OK)
		return (e);
	if ((e = headers_check(rq, c, why)) != SIGV4_OK)
		return (e);
	if ((e = hash_check(rq, why)) != SIGV4_OK)
		return (e);
	return (signature_check(rq, c, secret, why));
}

/*
 * The client's side: its headers and those that signing adds, and the sorted
 * list of their names.
 */
struct to_sign {
	size_t n;
	struct name_value headers[SIGV4_SIGNED_MAX];
	struct span names[SIGV4_SIGNED_MAX];
	struct buf text, list; /* the names in lower case; joined */
};

static void
header_put(struct to_sign *t, struct span name, struct span value)
{
	t->headers[t->n++] = (struct name_value){ name, value };
}

static bool
headers_gather(struct to_sign *t, const struct sigv4_request *rq,
    const struct sigv4_credentials *cr, const char *date)
{
	size_t i;

	if (rq->n_headers > SIGV4_SIGNED_MAX - 2)
		return (false);
	for (i = 0; i < rq->n_headers; i++)
		header_put(t, rq->headers[i].name, rq->headers[i].value);
	header_put(t, SPAN("x-amz-date"), span_of(date));
	if (cr->session_token.n > 0)
		header_put(t, SPAN("x-amz-security-token"), cr->session_token);
	return (true);
}

static int
name_cmp(const void *a, const void *b)
{
	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

static bool
names_lower(struct to_sign *t)
{
	struct span name;
	size_t i, at = 0;
	char c;

	for (i = 0; i < t->n; i++)
		for (at = 0, name = t->headers[i].name; at < name.n; at++) {
			c = name.p[at];
			buf_char(&t->text,
			    c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
		}
	if (!buf_ok(&t->text))
		return (false);
	for (i = 0, at = 0; i < t->n; at += t->headers[i].name.n, i++)
		t->names[i] =
		    (struct span){ t->text.p + at, t->headers[i].name.n };
	return (true);
}

/* Lower case, in order, each once, separated by ';'. */
static bool
names_list(struct to_sign *t)
{
	struct span before = SPAN_NONE;
	size_t i;

	if (!names_lower(t))
		return (false);
	qsort(t->names, t->n, sizeof(t->names[0]), name_cmp);
	for (i = 0; i < t->n; i++) {
		if (i > 0 && span_eq(before, t->names[i]))
			continue;
		if (i > 0)
			buf_char(&t->list, ';');
		buf_span(&t->list, t->names[i]);
		before = t->names[i];
	}
	return (buf_ok(&t->list));
}

static bool
credentials_fit(const struct sigv4_credentials *cr)
{
	return (cr->secret.n <= SIGV4_SECRET_MAX_BYTES &&
		cr->access_key.n <= SIGV4_ACCESS_KEY_MAX_BYTES &&
		cr->region.n <= SCOPE_PART_MAX_BYTES &&
		cr->service.n <= SCOPE_PART_MAX_BYTES);
}

static enum rc
authorization_write(const struct signing *s, struct span access_key,
    const char *signature, char *out, size_t room)
{
	int n;

	n = snprintf(out, room,
	    SIGV4_ALGORITHM " Credential=" SPAN_FMT "/" SPAN_FMT "/" SPAN_FMT
			    "/" SPAN_FMT "/" SIGV4_TERMINATOR
			    ", SignedHeaders=" SPAN_FMT ", Signature=%s",
	    SPAN_ARG(access_key), SPAN_ARG(s->date), SPAN_ARG(s->region),
	    SPAN_ARG(s->service), SPAN_ARG(s->form.signed_headers), signature);
	return (n > 0 && (size_t)n < room ? RC_OK : RC_TOOBIG);
}

static enum rc
sign(struct to_sign *t, const struct sigv4_request *rq,
    const struct sigv4_credentials *cr, const char *date, char *out, size_t n)
{
	struct sigv4_request whole = *rq;
	char signature[HEX_BYTES];
	struct signing s;
	enum rc rc;

	if (!headers_gather(t, rq, cr, date) || !names_list(t))
		return (RC_TOOBIG);
	if (!sigv4_signed(buf_as_span(&t->list), SPAN("host")))
		return (RC_INVALID);
	whole.headers = t->headers;
	whole.n_headers = t->n;
	s = (struct signing){ .secret = cr->secret,
		.timestamp = span_of(date),
		.date = { date, 8 },
		.region = cr->region,
		.service = cr->service,
		.form = { buf_as_span(&t->list), false } };
	if ((rc = signature_make(&whole, &s, signature)) != RC_OK)
		return (rc);
	return (authorization_write(&s, cr->access_key, signature, out, n));
}

enum rc
sigv4_sign(const struct sigv4_request *rq, const struct sigv4_credentials *cr,
    int64_t now_ms, char date[SIGV4_DATE_BYTES], char *authorization, size_t n)
{
	struct to_sign *t;
	enum rc rc;

	(void)sigv4_time_str(now_ms, date);
	if (!credentials_fit(cr))
		return (RC_TOOBIG);
	t = xcalloc(1, sizeof(*t));
	buf_init(&t->text, SIGV4_CANONICAL_MAX_BYTES);
	buf_init(&t->list, SIGV4_CANONICAL_MAX_BYTES);
	rc = sign(t, rq, cr, date, authorization, n);
	buf_free(&t->list);
	buf_free(&t->text);
	free(t);
	return (rc);
}
