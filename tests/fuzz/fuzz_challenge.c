#include <stdint.h>
#include <string.h>

#include "base/obj.h"
#include "mirror/challenge.h"

/*
 * The input as the value of each of the headers that a registry answers with.
 * What is found lies in the text, reading comes to an end, and values that are
 * given out have no control characters.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define NOW_MS INT64_C(1700000000000)

static void
inside(struct span text, struct span part)
{
	must(part.n == 0 ||
	     (part.p >= text.p && part.p + part.n <= text.p + text.n));
}

static void
param_check(const struct challenge *c, struct span name)
{
	char key[64], out[CHALLENGE_TEXT_MAX_BYTES];
	size_t i, n = 0;

	if (name.n >= sizeof(key))
		return;
	memcpy(key, name.p, name.n);
	key[name.n] = '\0';
	if (challenge_param(c, key, out, &n) != RC_OK)
		return;
	must(n < sizeof(out) && out[n] == '\0' && strlen(out) == n);
	for (i = 0; i < n; i++)
		must((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
}

static void
challenges_check(struct span text)
{
	struct span rest = text;
	struct challenge c;
	size_t i, before;

	for (;;) {
		before = rest.n;
		if (challenge_next(&rest, &c) != RC_OK)
			return;
		must(rest.n < before);
		must(c.scheme.n > 0);
		must(c.token68.n == 0 || c.n_params == 0);
		must(c.n_params <= CHALLENGE_PARAMS_MAX);
		inside(text, rest);
		inside(text, c.scheme);
		inside(text, c.token68);
		for (i = 0; i < c.n_params; i++) {
			inside(text, c.params[i].name);
			inside(text, c.params[i].value);
			must(c.params[i].name.n > 0);
			param_check(&c, c.params[i].name);
		}
	}
}

static void
numbers_check(struct span text)
{
	uint64_t first, last, size;
	int64_t ms, n;

	if (content_range_parse(text, &first, &last, &size) == RC_OK) {
		must(first <= last || (first == 1 && last == 0));
		must(first > last || last < size);
		must(first <= last || size != UINT64_MAX);
	}
	if (retry_after_parse(text, NOW_MS, &ms) == RC_OK)
		must(ms >= 0);
	if (rate_limit_parse(text, &n) == RC_OK)
		must(n >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = { (const char *)data, n }, url;

	challenges_check(text);
	numbers_check(text);
	if (link_next(text, &url) == RC_OK)
		inside(text, url);
	return (0);
}
