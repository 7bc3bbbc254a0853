#include "auth/sigv4_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/num.h"
#include "base/obj.h"

/*
 * What a request claims: the parameters of its Authorization header, or those
 * in its query, told apart, bounded and checked for their form.  Whether any
 * of it is true is asked in sigv4.c.
 *
 * Messages show what a sender may have got wrong, of a bounded length and in
 * printable characters; never a signature or a token, which an Authorization
 * header in disorder may hold anywhere, so of it only a hash is shown, as AWS
 * does.
 */
#define DATE_SHOWN_BYTES 41
#define ALGORITHM_SHOWN_BYTES 40

static enum sigv4_error
refuse(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum sigv4_error
refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, SIGV4_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (SIGV4_INCOMPLETE);
}

static const char *
shown(struct span s, char out[DATE_SHOWN_BYTES])
{
	size_t i;

	for (i = 0; i < s.n && i < DATE_SHOWN_BYTES - 1; i++)
		out[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
	out[i] = '\0';
	return (out);
}

static bool
is_name_char(char c)
{
	return ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '-');
}

/* The headers of a name: how many, and the first. */
static size_t
header_find(
    const struct sigv4_request *rq, struct span name, struct span *value_r)
{
	size_t i, n = 0;

	*value_r = SPAN_NONE;
	for (i = 0; i < rq->n_headers; i++)
		if (span_eq_nocase(rq->headers[i].name, name) && n++ == 0)
			*value_r = rq->headers[i].value;
	return (n);
}

/* The parameters of the query that make a signature. */
enum query_param {
	P_ALGORITHM,
	P_CREDENTIAL,
	P_DATE,
	P_EXPIRES,
	P_SIGNED_HEADERS,
	P_SIGNATURE,
	P_TOKEN, /* the only one that may be missing */
	N_PARAMS,
};

static const struct span param_names[N_PARAMS] = {
	[P_ALGORITHM] = SPAN_INIT("X-Amz-Algorithm"),
	[P_CREDENTIAL] = SPAN_INIT("X-Amz-Credential"),
	[P_DATE] = SPAN_INIT("X-Amz-Date"),
	[P_EXPIRES] = SPAN_INIT("X-Amz-Expires"),
	[P_SIGNED_HEADERS] = SPAN_INIT("X-Amz-SignedHeaders"),
	[P_SIGNATURE] = SPAN_INIT("X-Amz-Signature"),
	[P_TOKEN] = SPAN_INIT("X-Amz-Security-Token"),
};

static enum query_param
param_of(struct span encoded)
{
	struct span name;
	char room[32];
	unsigned i;

	name.p = room;
	if (sigv4_decode(encoded, room, sizeof(room), &name.n) != RC_OK)
		return (N_PARAMS);
	for (i = 0; i < N_PARAMS; i++)
		if (span_eq(name, param_names[i]))
			break;
	return ((enum query_param)i);
}

static bool
query_present(const struct sigv4_request *rq)
{
	struct span path, rest, name, value;
	enum query_param p;

	sigv4_target_split(rq->target, &path, &rest);
	while (sigv4_param(&rest, &name, &value)) {
		p = param_of(name);
		if (p == P_ALGORITHM || p == P_CREDENTIAL || p == P_SIGNATURE)
			return (true);
	}
	return (false);
}

static bool
scheme_is_aws(struct span value)
{
	const struct span aws = SPAN("AWS");
	struct span scheme = SPAN_NONE;

	value = span_trim(value);
	(void)span_split(&value, ' ', &scheme);
	if (scheme.n > aws.n && scheme.p[aws.n] != '4' &&
	    scheme.p[aws.n] != '-')
		return (false);
	scheme.n = scheme.n < aws.n ? scheme.n : aws.n;
	return (span_eq_nocase(scheme, aws));
}

bool
sigv4_present(const struct sigv4_request *rq)
{
	struct span value;

	return ((header_find(rq, SPAN("authorization"), &value) > 0 &&
		    scheme_is_aws(value)) ||
		query_present(rq));
}

static bool
is_graphic(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return (false);
	return (true);
}

/* keyid/date/region/service/terminator; not shown, for people mistake one part
 * of their credentials for another. */
static enum sigv4_error
credential_read(struct span s, struct sigv4_claim *c, char *why)
{
	struct span *const parts[] = { &c->access_key, &c->date, &c->region,
		&c->service, &c->terminator };
	struct span rest = s;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++)
		if (!span_split(&rest, '/', parts[i]) || parts[i]->n == 0)
			break;
	if (i < ARRAY_LEN(parts) || s.p[s.n - 1] == '/' || rest.n > 0)
		return (refuse(why,
		    "Credential must have exactly 5 slash-delimited elements, "
		    "e.g. keyid/date/region/service/term."));
	if (c->access_key.n > SIGV4_ACCESS_KEY_MAX_BYTES ||
	    !is_graphic(c->access_key))
		return (refuse(why,
		    "The access key ID in the credential has characters that "
		    "no access key has, or more than %d of them.",
		    SIGV4_ACCESS_KEY_MAX_BYTES));
	return (SIGV4_OK);
}

static bool
header_name_ok(struct span s)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || strchr("-_!#$%&'*+.^`|~", c) == NULL))
			return (false);
	}
	return (s.n > 0);
}

/*
 * Lower-case names in order, each once, separated by ';', as AWS demands: a
 * client that does otherwise is told so instead of that its signature is wrong.
 */
static enum sigv4_error
signed_headers_check(struct span list, char *why)
{
	struct span name, before = SPAN_NONE;
	bool ok = list.n > 0 && list.p[list.n - 1] != ';';
	size_t n = 0;

	while (ok && span_split(&list, ';', &name)) {
		ok = header_name_ok(name) && span_cmp(before, name) < 0 &&
		     ++n <= SIGV4_SIGNED_MAX;
		before = name;
	}
	if (ok)
		return (SIGV4_OK);
	return (refuse(why,
	    "'SignedHeaders' must be a list of at most %d lower-case header "
	    "names in alphabetical order, separated by ';'.",
	    SIGV4_SIGNED_MAX));
}

static enum sigv4_error
date_read(struct span s, struct sigv4_claim *c, char *why)
{
	char room[DATE_SHOWN_BYTES];

	c->timestamp = s;
	if (sigv4_time_read(s, &c->signed_ms) == RC_OK)
		return (SIGV4_OK);
	return (refuse(why,
	    "Date must be in ISO-8601 'basic format'. Got '%s'. See "
	    "http://en.wikipedia.org/wiki/ISO_8601",
	    shown(s, room)));
}

/* X-Amz-Date, or Date in either of its forms when there is none. */
static enum sigv4_error
header_date_read(
    const struct sigv4_request *rq, struct sigv4_claim *c, char *why)
{
	struct span value;
	size_t n;

	n = header_find(rq, SPAN("x-amz-date"), &value);
	if (n == 0) {
		n = header_find(rq, SPAN("date"), &value);
		if (n == 1 &&
		    sigv4_time_read_http(value, &c->signed_ms) == RC_OK) {
			c->timestamp =
			    span_of(sigv4_time_str(c->signed_ms, c->room));
			return (SIGV4_OK);
		}
	}
	if (n > 1)
		return (refuse(why, "A request must have one date only."));
	return (date_read(value, c, why));
}

/* What an Authorization header of AWS4-HMAC-SHA256 holds. */
struct authorization {
	struct span credential, signed_headers, signature;
};

static struct span *
authorization_part(struct authorization *a, struct span name)
{
	if (span_is(name, "Credential"))
		return (&a->credential);
	if (span_is(name, "SignedHeaders"))
		return (&a->signed_headers);
	return (span_is(name, "Signature") ? &a->signature : NULL);
}

static enum sigv4_error
authorization_parse(struct span rest, struct authorization *a, char *why)
{
	struct span part, name, *value;

	while (span_split(&rest, ',', &part)) {
		part = span_trim(part);
		if (part.n == 0)
			continue;
		if (memchr(part.p, '=', part.n) == NULL)
			return (refuse(why,
			    "Authorization header has a part that is not a "
			    "valid key=value pair (missing equal-sign)."));
		(void)span_split(&part, '=', &name);
		value = authorization_part(a, span_trim(name));
		if (value == NULL || value->p != NULL)
			return (refuse(why,
			    "Authorization header must have the parameters "
			    "'Credential', 'SignedHeaders' and 'Signature', "
			    "each once, and no others."));
		*value = span_trim(part);
	}
	return (SIGV4_OK);
}

static void
add(char *why, const char *text)
{
	size_t n = strlen(why);

	(void)snprintf(why + n, SIGV4_WHY_BYTES - n, "%s", text);
}

static void
add_hash(char *why, struct span value)
{
	char text[BASE64_LEN(SIGV4_HASH_BYTES) + 1];
	uint8_t hash[SIGV4_HASH_BYTES];

	sigv4_body_hash(value, hash);
	base64_encode(hash, sizeof(hash), text);
	add(why,
	    "(Hashed with SHA-256 and encoded with Base64) Authorization=");
	add(why, text);
}

/* Every parameter that is missing is named, in AWS's words and order. */
static enum sigv4_error
authorization_check(const struct sigv4_request *rq,
    const struct authorization *a, struct span value, char *why)
{
	struct span date;

	why[0] = '\0';
	if (a->credential.n == 0)
		add(why,
		    "Authorization header requires 'Credential' parameter. ");
	if (a->signature.n == 0)
		add(why,
		    "Authorization header requires 'Signature' parameter. ");
	if (a->signed_headers.n == 0)
		add(why, "Authorization header requires 'SignedHeaders' "
			 "parameter. ");
	if (header_find(rq, SPAN("x-amz-date"), &date) == 0 &&
	    header_find(rq, SPAN("date"), &date) == 0)
		add(why, "Authorization header requires existence of either a "
			 "'X-Amz-Date' or a 'Date' header. ");
	if (why[0] == '\0')
		return (SIGV4_OK);
	add_hash(why, value);
	return (SIGV4_INCOMPLETE);
}

/* Of an algorithm nothing is shown but what could be one's name. */
static enum sigv4_error
algorithm_check(struct span algorithm, char *why)
{
	size_t n;

	if (span_is(algorithm, SIGV4_ALGORITHM))
		return (SIGV4_OK);
	for (n = 0; n < algorithm.n && n < ALGORITHM_SHOWN_BYTES; n++)
		if (!is_name_char(algorithm.p[n]))
			break;
	algorithm.n = n;
	return (refuse(why, "Unsupported AWS 'algorithm': '" SPAN_FMT "'.",
	    SPAN_ARG(algorithm)));
}

static enum sigv4_error
header_read(const struct sigv4_request *rq, struct span value,
    struct sigv4_claim *c, char *why)
{
	struct span algorithm = SPAN_NONE, rest = span_trim(value);
	struct authorization a = { .credential = SPAN_NONE };
	enum sigv4_error e;

	(void)span_split(&rest, ' ', &algorithm);
	if ((e = algorithm_check(algorithm, why)) != SIGV4_OK)
		return (e);
	if ((e = authorization_parse(rest, &a, why)) != SIGV4_OK)
		return (e);
	if ((e = authorization_check(rq, &a, value, why)) != SIGV4_OK)
		return (e);
	if ((e = credential_read(a.credential, c, why)) != SIGV4_OK)
		return (e);
	if ((e = signed_headers_check(a.signed_headers, why)) != SIGV4_OK)
		return (e);
	if ((e = header_date_read(rq, c, why)) != SIGV4_OK)
		return (e);
	if (header_find(rq, SPAN("x-amz-security-token"), &c->session_token) >
	    1)
		return (refuse(
		    why, "A request must have one X-Amz-Security-Token only."));
	c->signed_headers = a.signed_headers;
	c->signature = a.signature;
	return (SIGV4_OK);
}

static enum sigv4_error
params_read(const struct sigv4_request *rq, struct sigv4_claim *c,
    struct span found[N_PARAMS], char *why)
{
	struct span path, rest, name, value;
	enum query_param p;
	size_t n, used = 0;

	sigv4_target_split(rq->target, &path, &rest);
	while (sigv4_param(&rest, &name, &value)) {
		if ((p = param_of(name)) == N_PARAMS)
			continue;
		if (found[p].p != NULL)
			return (refuse(why,
			    "AWS query-string parameter '%s' must be given "
			    "once. Re-examine the query-string parameters.",
			    param_names[p].p));
		if (sigv4_decode(value, c->room + used, sizeof(c->room) - used,
			&n) != RC_OK)
			return (refuse(why,
			    "AWS query-string parameter '%s' is malformed or "
			    "too long. Re-examine the query-string parameters.",
			    param_names[p].p));
		found[p] = (struct span){ c->room + used, n };
		used += n;
	}
	return (SIGV4_OK);
}

static enum sigv4_error
params_check(const struct span found[N_PARAMS], char *why)
{
	size_t i, n = 0;

	why[0] = '\0';
	for (i = 0; i < N_PARAMS; i++) {
		if (i == P_TOKEN || found[i].n > 0)
			continue;
		add(why, n++ == 0 ? "AWS query-string parameters must include '"
				  : "', '");
		add(why, param_names[i].p);
	}
	if (n == 0)
		return (algorithm_check(found[P_ALGORITHM], why));
	add(why, "'. Re-examine the query-string parameters.");
	return (SIGV4_INCOMPLETE);
}

static enum sigv4_error
expires_read(struct span s, struct sigv4_claim *c, char *why)
{
	uint64_t n;

	if (num_u64_zeros(s, SIGV4_EXPIRES_MAX_S, &n) != RC_OK || n == 0)
		return (refuse(why,
		    "X-Amz-Expires must be a number of seconds between 1 and "
		    "%d.",
		    SIGV4_EXPIRES_MAX_S));
	c->expires_s = (int64_t)n;
	return (SIGV4_OK);
}

static enum sigv4_error
query_read(const struct sigv4_request *rq, struct sigv4_claim *c, char *why)
{
	struct span found[N_PARAMS] = { SPAN_NONE };
	enum sigv4_error e;

	c->presigned = true;
	if ((e = params_read(rq, c, found, why)) != SIGV4_OK)
		return (e);
	if ((e = params_check(found, why)) != SIGV4_OK)
		return (e);
	if ((e = credential_read(found[P_CREDENTIAL], c, why)) != SIGV4_OK)
		return (e);
	if ((e = signed_headers_check(found[P_SIGNED_HEADERS], why)) !=
	    SIGV4_OK)
		return (e);
	if ((e = date_read(found[P_DATE], c, why)) != SIGV4_OK)
		return (e);
	c->session_token = found[P_TOKEN];
	c->signed_headers = found[P_SIGNED_HEADERS];
	c->signature = found[P_SIGNATURE];
	return (expires_read(found[P_EXPIRES], c, why));
}

static enum sigv4_error
claim_read(const struct sigv4_request *rq, struct sigv4_claim *c, char *why)
{
	const bool in_query = query_present(rq);
	struct span value;
	size_t n;

	n = header_find(rq, SPAN("authorization"), &value);
	if (!in_query && (n == 0 || !scheme_is_aws(value))) {
		(void)refuse(why, "Missing Authentication Token");
		return (SIGV4_MISSING);
	}
	if (n > 1 || (n > 0 && in_query))
		return (refuse(why,
		    "A request must be authorized once: by one Authorization "
		    "header or by query-string parameters."));
	if (in_query)
		return (query_read(rq, c, why));
	return (header_read(rq, value, c, why));
}

enum sigv4_error
sigv4_read(const struct sigv4_request *rq, struct sigv4_claim *claim_r,
    char why[SIGV4_WHY_BYTES])
{
	enum sigv4_error e;

	memset(claim_r, 0, offsetof(struct sigv4_claim, room));
	why[0] = '\0';
	e = claim_read(rq, claim_r, why);
	if (e != SIGV4_OK)
		memset(claim_r, 0, offsetof(struct sigv4_claim, room));
	return (e);
}
