#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "scan/advisory.h"
#include "scan/version.h"

/*
 * The first byte says how the file behind it is cut; it is read in one piece
 * too, and both come to the same.  What is taken has a name and a system, and is
 * the same when it was written and read; what is refused is refused with a
 * reason.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct read {
	struct span rest;
	size_t step;
	char *piece;
	struct buf taken;
	char why[ADVISORY_WHY_BYTES];
	struct advisory_tally tally;
	enum rc rc;
};

/* A fresh piece each time, so that who keeps one is seen. */
static long
piece_read(void *arg, const void **p_r)
{
	struct read *r = arg;
	size_t n = r->rest.n < r->step ? r->rest.n : r->step;

	free(r->piece);
	r->piece = xmalloc(n + 1);
	memcpy(r->piece, r->rest.p, n);
	r->rest.p += n;
	r->rest.n -= n;
	*p_r = r->piece;
	return ((long)n);
}

static void
record_check(const struct advisory *a)
{
	struct advisory read;
	struct buf one, two;
	struct arena arena;

	arena_init(&arena, (size_t)64 << 20);
	buf_init(&one, SIZE_MAX);
	buf_init(&two, SIZE_MAX);
	advisory_write(a, &one);
	must(advisory_parse(buf_as_span(&one), &arena, &read) == RC_OK);
	advisory_write(&read, &two);
	must(span_eq(buf_as_span(&one), buf_as_span(&two)));
	buf_free(&one);
	buf_free(&two);
	arena_reset(&arena);
}

static enum rc
advisory_take(void *arg, struct span ecosystem, struct span package,
    const struct advisory *a)
{
	struct read *r = arg;

	must(ecosystem.n > 0 && ecosystem.n <= ECOSYSTEM_MAX_BYTES);
	must(package.n > 0);
	must(a->severity >= SEVERITY_UNDEFINED &&
	     a->severity <= SEVERITY_CRITICAL);
	must(a->cvss_score >= 0 && a->cvss_score <= 10);
	must(a->summary.n <= ADVISORY_SUMMARY_MAX_BYTES);
	if (a->id.n > 0)
		record_check(a);
	buf_span(&r->taken, ecosystem);
	buf_char(&r->taken, ' ');
	buf_span(&r->taken, package);
	buf_char(&r->taken, ' ');
	advisory_write(a, &r->taken);
	return (RC_OK);
}

static struct read *
file_read(struct span file, size_t step)
{
	struct read *r = xcalloc(1, sizeof(*r));

	r->rest = file;
	r->step = step;
	buf_init(&r->taken, SIZE_MAX);
	memset(r->why, 'w', sizeof(r->why));
	r->rc =
	    advisories_read(piece_read, r, advisory_take, r, r->why, &r->tally);
	must(memchr(r->why, '\0', sizeof(r->why)) != NULL);
	must(r->rc == RC_OK || r->rc == RC_INVALID || r->rc == RC_TOOBIG);
	must((r->rc == RC_OK) == (r->why[0] == '\0'));
	must(r->rc != RC_OK || r->tally.format != 0);
	must(r->tally.source[0] == '\0' ||
	     advisory_source_ok(span_of(r->tally.source)));
	free(r->piece);
	return (r);
}

static void
read_free(struct read *r)
{
	buf_free(&r->taken);
	free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span file;
	struct read *whole, *cut;

	if (size == 0)
		return (0);
	file = (struct span){ (const char *)data + 1, size - 1 };
	whole = file_read(file, size);
	cut = file_read(file, (size_t)data[0] % 31 + 1);
	must(whole->rc == cut->rc);
	if (whole->rc == RC_OK) {
		must(span_eq(
		    buf_as_span(&whole->taken), buf_as_span(&cut->taken)));
		must(memcmp(&whole->tally, &cut->tally, sizeof(whole->tally)) ==
		     0);
	}
	read_free(whole);
	read_free(cut);
	return (0);
}
