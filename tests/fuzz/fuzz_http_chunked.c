#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "registryd/http/chunked.h"
#include "tests/fuzz/http_oracle.h"

/*
 * A chunked body.  Cut in any way it gives the same data, the same end and the
 * same verdict; and what we accept another parser accepts as the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct decoded {
	enum chunked_result result;
	char *data;
	size_t n, used;
};

static void
decode(struct decoded *d, const uint8_t *text, size_t n, size_t step)
{
	size_t len, used, data;
	struct chunked c;
	char *piece;

	memset(d, 0, sizeof(*d));
	d->data = malloc(n + 1);
	must(d->data != NULL);
	chunked_init(&c);
	while (d->result == CHUNKED_MORE && d->used < n) {
		len = n - d->used < step ? n - d->used : step;
		piece = malloc(len);
		must(piece != NULL);
		memcpy(piece, text + d->used, len);
		d->result = chunked_decode(&c, piece, len, &used, &data);
		must(used <= len && data <= used);
		must(d->result != CHUNKED_MORE || used == len);
		memcpy(d->data + d->n, piece, data);
		d->n += data;
		d->used += used;
		free(piece);
	}
}

static void
ask_oracle(const struct decoded *d, const uint8_t *text)
{
	enum oracle_verdict v;
	char *out;
	size_t n;

	out = malloc(d->used);
	must(out != NULL);
	v = oracle_chunked((const char *)text, d->used, out, &n);
	must(v != ORACLE_REFUSES);
	if (v == ORACLE_ACCEPTS)
		must(n == d->n && memcmp(out, d->data, n) == 0);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *text, size_t n)
{
	struct decoded whole, cut;
	size_t step;

	if (n == 0)
		return (0);
	decode(&whole, text, n, n);
	for (step = 1; step < 200; step = 4 * step + 1) {
		decode(&cut, text, n, step);
		must(cut.result == whole.result);
		must(cut.n == whole.n &&
		     memcmp(cut.data, whole.data, cut.n) == 0);
		must(cut.used == whole.used);
		free(cut.data);
	}
	if (whole.result == CHUNKED_END)
		ask_oracle(&whole, text);
	free(whole.data);
	return (0);
}
