#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "registryd/http/target.h"

/*
 * A request target.  A path that is accepted is free of what two readers could
 * read differently; and written down again, every byte escaped that can be, it
 * is read as the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES ((size_t)1 << 20)

static int
parse(struct http_request *rq, struct arena *a, struct span target)
{
	const char *why = NULL;
	int status;

	*rq = (struct http_request){ .target = target,
		.host = SPAN("registry.example:5000") };
	arena_init(a, ARENA_BYTES);
	status = target_parse(rq, a, &why);
	must((status == 0) == (why == NULL));
	must(status == 0 || status == 400);
	return (status);
}

static void
check_path(struct span path)
{
	size_t i;

	must(path.n > 0 && path.p[0] == '/');
	for (i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];

		must(c >= 0x20 && c != 0x7f && c != '\\');
		must(i == 0 || c != '/' || path.p[i - 1] != '/');
	}
	must(memmem(path.p, path.n, "/../", 4) == NULL);
	must(memmem(path.p, path.n, "/./", 3) == NULL);
	must(!span_has_suffix(path, SPAN("/..")));
	must(!span_has_suffix(path, SPAN("/.")));
}

static size_t
escape(struct span s, bool slashes, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '/' && slashes)
			out[n++] = '/';
		else
			n += (size_t)snprintf(
			    out + n, 4, "%%%02X", (unsigned char)s.p[i]);
	}
	return (n);
}

static void
check_again(const struct http_request *rq)
{
	size_t i, n, room = 4 * rq->path.n + 16;
	struct http_request again;
	struct arena a;
	char *text;

	for (i = 0; i < rq->n_params; i++)
		room += 4 * (rq->params[i].key.n + rq->params[i].value.n) + 16;
	text = malloc(room);
	must(text != NULL);
	n = escape(rq->path, true, text);
	for (i = 0; i < rq->n_params; i++) {
		text[n++] = i == 0 ? '?' : '&';
		n += escape(rq->params[i].key, false, text + n);
		text[n++] = '=';
		n += escape(rq->params[i].value, false, text + n);
	}
	must(parse(&again, &a, (struct span){ text, n }) == 0);
	must(span_eq(again.path, rq->path));
	must(again.n_params == rq->n_params);
	for (i = 0; i < rq->n_params; i++) {
		must(span_eq(again.params[i].key, rq->params[i].key));
		must(span_eq(again.params[i].value, rq->params[i].value));
	}
	arena_reset(&a);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct http_request rq;
	struct arena a;
	char *text;
	size_t i;

	/* As the head's parser lets it through: visible ASCII. */
	for (i = 0; i < n; i++) {
		if (data[i] <= 0x20 || data[i] >= 0x7f)
			return (0);
	}
	text = malloc(n + 1);
	must(text != NULL);
	if (n > 0)
		memcpy(text, data, n);
	if (parse(&rq, &a, (struct span){ text, n }) == 0) {
		check_path(rq.path);
		must(rq.n_params <= TARGET_PARAMS_MAX);
		check_again(&rq);
	}
	arena_reset(&a);
	free(text);
	return (0);
}
