#include "scan/advisory_import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * A batch is written in one transaction, which others wait for; then they have
 * as long to themselves as it took, so that an import takes half of what the
 * disk can do at the most.
 */
#define BATCH_ROWS 500
#define BATCH_BYTES ((size_t)1 << 20)
#define REST_MIN_NS ((int64_t)1000000)
#define REST_MAX_NS ((int64_t)200000000)
#define SWEEP_ROWS 500
/* Names of ecosystems are found again by hashing. */
#define TABLE_SLOTS ((size_t)2 * ADVISORY_ECOSYSTEMS_MAX)

/* Where a row's texts are in the batch's. */
struct row_place {
	size_t ecosystem, package, record;
	size_t ecosystem_n, package_n, record_n;
};

struct importer {
	const struct advisory_import *import;
	struct arena *arena;
	char *why;
	uint64_t set;
	struct buf texts;
	struct row_place places[BATCH_ROWS];
	struct advisory_row rows[BATCH_ROWS];
	size_t n;
	struct span slots[TABLE_SLOTS]; /* in the arena */
	struct span *ecosystems;
	size_t n_ecosystems;
	size_t last; /* the slot of the one at hand */
};

static bool
stopped(const _Atomic bool *stop)
{
	return (stop != NULL && atomic_load(stop));
}

static void
rest(int64_t ns)
{
	struct timespec ts;

	if (ns < REST_MIN_NS)
		ns = REST_MIN_NS;
	if (ns > REST_MAX_NS)
		ns = REST_MAX_NS;
	ts.tv_sec = 0;
	ts.tv_nsec = (long)ns;
	(void)nanosleep(&ts, NULL);
}

/* --- ecosystems ---------------------------------------------------------- */

static enum rc
ecosystem_add(struct importer *im, size_t slot, struct span name)
{
	if (im->n_ecosystems == ADVISORY_ECOSYSTEMS_MAX) {
		(void)snprintf(im->why, ADVISORY_WHY_BYTES,
		    "advisories for more than %d systems",
		    ADVISORY_ECOSYSTEMS_MAX);
		return (RC_TOOBIG);
	}
	im->slots[slot] = arena_span(im->arena, name);
	if (im->slots[slot].p == NULL)
		return (RC_TOOBIG);
	im->ecosystems[im->n_ecosystems++] = im->slots[slot];
	im->last = slot;
	return (RC_OK);
}

static enum rc
ecosystem_note(struct importer *im, struct span name)
{
	size_t slot;

	if (span_eq(im->slots[im->last], name))
		return (RC_OK);
	slot = span_hash(name) % TABLE_SLOTS;
	while (im->slots[slot].n > 0) {
		if (span_eq(im->slots[slot], name)) {
			im->last = slot;
			return (RC_OK);
		}
		slot = (slot + 1) % TABLE_SLOTS;
	}
	return (ecosystem_add(im, slot, name));
}

static int
name_cmp(const void *a, const void *b)
{
	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

/* --- batches ------------------------------------------------------------- */

static enum rc
batch_write(struct importer *im)
{
	const struct row_place *at;
	int64_t began = clock_mono_ns();
	size_t i;
	enum rc rc;

	if (im->n == 0)
		return (RC_OK);
	for (i = 0; i < im->n; i++) {
		at = &im->places[i];
		im->rows[i] = (struct advisory_row){
			{ im->texts.p + at->ecosystem, at->ecosystem_n },
			{ im->texts.p + at->package, at->package_n },
			{ im->texts.p + at->record, at->record_n },
		};
	}
	rc = meta_advisories_add(im->import->meta, im->set, im->rows, im->n);
	if (rc == RC_OK && im->import->stored != NULL)
		atomic_fetch_add(im->import->stored, im->n);
	im->n = 0;
	buf_clear(&im->texts);
	if (rc == RC_OK)
		rest(clock_mono_ns() - began);
	return (rc);
}

static enum rc
row_add(void *arg, struct span ecosystem, struct span package,
    const struct advisory *a)
{
	struct importer *im = arg;
	struct row_place *at;
	enum rc rc;

	if (stopped(im->import->stop))
		return (RC_CANCELLED);
	if ((rc = ecosystem_note(im, ecosystem)) != RC_OK)
		return (rc);
	at = &im->places[im->n++];
	at->ecosystem = im->texts.n;
	at->ecosystem_n = ecosystem.n;
	buf_span(&im->texts, ecosystem);
	at->package = im->texts.n;
	at->package_n = package.n;
	buf_span(&im->texts, package);
	at->record = im->texts.n;
	advisory_write(a, &im->texts);
	at->record_n = im->texts.n - at->record;
	if (!buf_ok(&im->texts)) {
		(void)snprintf(im->why, ADVISORY_WHY_BYTES,
		    SPAN_FMT ": too large", SPAN_ARG(a->id));
		return (RC_TOOBIG);
	}
	if (im->n == BATCH_ROWS || im->texts.n >= BATCH_BYTES)
		return (batch_write(im));
	return (RC_OK);
}

/* --- an import ----------------------------------------------------------- */

static enum rc
imported_describe(struct importer *im, struct advisory_imported *out)
{
	const struct advisory_tally *t = &out->tally;
	struct span source = im->import->source;

	if (source.n == 0)
		source = span_of(t->source);
	qsort(im->ecosystems, im->n_ecosystems, sizeof(*im->ecosystems),
	    name_cmp);
	out->set = (struct advisory_set){
		.id = im->set,
		.source = arena_span(im->arena, source),
		.format = span_of(advisory_format_text(t->format)),
		.imported_ms = clock_real_ms(),
		.published_ms = t->published_ms > 0 ? t->published_ms : 0,
		.advisories = t->advisories,
		.ecosystems = im->ecosystems,
		.n_ecosystems = im->n_ecosystems,
	};
	if (out->set.source.p == NULL)
		return (RC_TOOBIG);
	if (im->n_ecosystems > 0)
		return (RC_OK);
	(void)snprintf(im->why, ADVISORY_WHY_BYTES,
	    "there is no advisory in it for a system that is known here");
	return (RC_INVALID);
}

static enum rc
importer_run(struct importer *im, advisory_read_fn *read, void *arg,
    struct advisory_imported *out)
{
	enum rc rc;

	rc = advisories_read(read, arg, row_add, im, im->why, &out->tally);
	if (rc == RC_OK)
		rc = batch_write(im);
	if (rc == RC_OK)
		rc = imported_describe(im, out);
	if (rc == RC_OK && stopped(im->import->stop))
		rc = RC_CANCELLED;
	if (rc == RC_OK)
		rc = meta_advisories_commit(im->import->meta, &out->set);
	return (rc);
}

enum rc
advisory_import(const struct advisory_import *import, advisory_read_fn *read,
    void *arg, struct arena *arena, char why[ADVISORY_WHY_BYTES],
    struct advisory_imported *out)
{
	struct importer *im;
	enum rc rc;

	why[0] = '\0';
	*out = (struct advisory_imported){ .set = { 0 } };
	if (import->source.n > 0 && !advisory_source_ok(import->source)) {
		(void)snprintf(why, ADVISORY_WHY_BYTES,
		    "a source is called by letters, digits and . _ : / + -");
		return (RC_INVALID);
	}
	im = xcalloc(1, sizeof(*im));
	im->import = import;
	im->arena = arena;
	im->why = why;
	buf_init(&im->texts, ADVISORY_RECORD_MAX_BYTES + BATCH_BYTES);
	im->ecosystems = arena_calloc(
	    arena, ADVISORY_ECOSYSTEMS_MAX, sizeof(*im->ecosystems));
	rc = im->ecosystems != NULL ? RC_OK : RC_TOOBIG;
	if (rc == RC_OK)
		rc = meta_advisories_begin(import->meta, &im->set);
	if (rc == RC_OK)
		rc = importer_run(im, read, arg, out);
	meta_advisories_abandon(import->meta, im->set);
	buf_free(&im->texts);
	free(im);
	return (rc);
}

enum rc
advisory_sweep(struct meta *m, const _Atomic bool *stop)
{
	bool more = true;
	int64_t began;
	enum rc rc = RC_OK;

	while (more && rc == RC_OK && !stopped(stop)) {
		began = clock_mono_ns();
		rc = meta_advisories_sweep(m, SWEEP_ROWS, &more);
		if (rc == RC_OK && more)
			rest(clock_mono_ns() - began);
	}
	return (rc);
}

/* --- as others see it ---------------------------------------------------- */

static void
time_json(struct buf *out, const char *key, int64_t ms)
{
	char text[CLOCK_ISO_BYTES];

	if (ms > 0)
		buf_printf(out, ",\"%s\":\"%s\"", key, clock_iso(ms, text));
	else
		buf_printf(out, ",\"%s\":null", key);
}

static void
members_json(const struct advisory_set *set, struct buf *out)
{
	size_t i;

	buf_str(out, "\"source\":");
	buf_json(out, set->source);
	buf_str(out, ",\"format\":");
	buf_json(out, set->format);
	time_json(out, "imported", set->imported_ms);
	time_json(out, "published", set->published_ms);
	buf_printf(out,
	    ",\"advisories\":%" PRIu64 ",\"revision\":%" PRIu64
	    ",\"ecosystems\":[",
	    set->advisories, set->revision);
	for (i = 0; i < set->n_ecosystems; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json(out, set->ecosystems[i]);
	}
	buf_char(out, ']');
}

void
advisory_set_json(const struct advisory_set *set, struct buf *out)
{
	buf_char(out, '{');
	members_json(set, out);
	buf_char(out, '}');
}

void
advisory_imported_json(const struct advisory_imported *im, struct buf *out)
{
	buf_char(out, '{');
	members_json(&im->set, out);
	buf_printf(out,
	    ",\"packages\":%" PRIu64 ",\"skipped\":%" PRIu64
	    ",\"withdrawn\":%" PRIu64 "}",
	    im->tally.packages, im->tally.skipped, im->tally.withdrawn);
}
