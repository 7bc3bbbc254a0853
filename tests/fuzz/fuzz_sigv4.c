#include <stdint.h>
#include <string.h>

#include "auth/sigv4_int.h"
#include "base/obj.h"

/*
 * A request in lines: method, target, then headers "name:value"; an empty line
 * and the body.  What is read of it is bounded and its own; no signature of
 * chance verifies; what we sign ourselves does, and not once it is changed.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define HEADERS_MAX 80
#define NOW_MS INT64_C(1795248197000)

static const struct sigv4_credentials credentials = {
	.access_key = SPAN_INIT("AKIAFUZZ"),
	.secret = SPAN_INIT("fuzzing is no secret"),
	.session_token = SPAN_INIT("token"),
	.region = SPAN_INIT("us-east-1"),
	.service = SPAN_INIT("ecr"),
};
static const struct sigv4_expect expect = { .service = SPAN_INIT("ecr"),
	.now_ms = NOW_MS };

struct input {
	struct sigv4_request rq;
	struct name_value headers[HEADERS_MAX + 3];
};

/* As a parser of HTTP hands them on: named, trimmed, without controls. */
static bool
header_read(struct span line, struct name_value *h)
{
	size_t i;

	for (i = 0; i < line.n; i++)
		if (line.p[i] == '\0' || line.p[i] == '\r')
			return (false);
	h->value = line;
	if (!span_split(&h->value, ':', &h->name) || h->name.n == 0)
		return (false);
	h->value = span_trim(h->value);
	return (true);
}

static void
input_read(struct input *in, struct span rest)
{
	struct span line;

	*in = (struct input){ .rq.headers = in->headers };
	(void)span_split(&rest, '\n', &in->rq.method);
	(void)span_split(&rest, '\n', &in->rq.target);
	while (span_split(&rest, '\n', &line) && line.n > 0)
		if (in->rq.n_headers < HEADERS_MAX &&
		    header_read(line, &in->headers[in->rq.n_headers]))
			in->rq.n_headers++;
	sigv4_body_hash(rest, in->rq.body_hash);
}

static void
claim_check(const struct sigv4_request *rq)
{
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;
	enum sigv4_error e;
	int64_t ms;

	memset(why, 'x', sizeof(why));
	e = sigv4_read(rq, &c, why);
	must(memchr(why, '\0', sizeof(why)) != NULL);
	must(e == SIGV4_OK || why[0] != '\0');
	must((e != SIGV4_MISSING) == sigv4_present(rq));
	if (e != SIGV4_OK)
		return;
	must(c.access_key.n > 0);
	must(c.access_key.n <= SIGV4_ACCESS_KEY_MAX_BYTES);
	must(sigv4_time_read(c.timestamp, &ms) == RC_OK && ms == c.signed_ms);
	must(!c.presigned || (c.expires_s > 0 && c.expires_s <= 604800));
	e = sigv4_verify(rq, &c, &expect, SPAN("of chance"), why);
	must(e == SIGV4_INVALID || e == SIGV4_MISMATCH);
	must(memchr(why, '\0', sizeof(why)) != NULL && why[0] != '\0');
}

static void
must_verify(const struct sigv4_request *rq, bool good)
{
	char why[SIGV4_WHY_BYTES];
	struct sigv4_claim c;

	if (sigv4_read(rq, &c, why) != SIGV4_OK) {
		must(!good);
		return;
	}
	must((sigv4_verify(rq, &c, &expect, credentials.secret, why) ==
		 SIGV4_OK) == good);
}

/* Headers that take part in signing by themselves. */
static bool
is_special(struct span name)
{
	return (span_eq_nocase(name, SPAN("authorization")) ||
		span_eq_nocase(name, SPAN("x-amz-date")) ||
		span_eq_nocase(name, SPAN("x-amz-security-token")) ||
		span_eq_nocase(name, SPAN("x-amz-content-sha256")));
}

static bool
name_ok(struct span name)
{
	size_t i;
	char c;

	for (i = 0; i < name.n; i++) {
		c = name.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    c != '-')
			return (false);
	}
	return (true);
}

static void
headers_sieve(struct input *in)
{
	size_t i, n = 0;

	for (i = 0; i < in->rq.n_headers && n < 50; i++)
		if (!is_special(in->headers[i].name) &&
		    name_ok(in->headers[i].name))
			in->headers[n++] = in->headers[i];
	in->rq.n_headers = n;
}

static void
header_add(struct input *in, struct span name, struct span value)
{
	in->headers[in->rq.n_headers++] = (struct name_value){ name, value };
}

static void
sign_and_verify(struct input *in)
{
	char date[SIGV4_DATE_BYTES], authorization[16384];
	struct sigv4_request changed;
	enum rc rc;

	headers_sieve(in);
	if (sigv4_present(&in->rq))
		return;
	rc = sigv4_sign(&in->rq, &credentials, NOW_MS, date, authorization,
	    sizeof(authorization));
	if (rc != RC_OK)
		return;
	header_add(in, SPAN("X-Amz-Date"), span_of(date));
	header_add(in, SPAN("X-Amz-Security-Token"), SPAN("token"));
	header_add(in, SPAN("Authorization"), span_of(authorization));
	if (memmem(in->rq.target.p, in->rq.target.n, "ha256", 5) != NULL)
		return;
	must_verify(&in->rq, true);
	changed = in->rq;
	changed.body_hash[0] ^= 1;
	must_verify(&changed, false);
	changed = in->rq;
	changed.method = SPAN("FUZZED");
	must_verify(&changed, false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct input in;

	input_read(&in, (struct span){ (const char *)data, n });
	claim_check(&in.rq);
	sign_and_verify(&in);
	return (0);
}
