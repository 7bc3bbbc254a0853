#include "registryd/scan_again.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "registryd/call.h"
#include "registryd/registry_config.h"
#include "registryd/scan_image.h"
#include "scan/version.h"
#include "storage/advisories.h"

/*
 * What the advisories of an ecosystem are is known by its mark: the sources
 * that have some, each with the set that its last import made.  An ecosystem
 * whose mark is another than the one that was noted when all of its images had
 * been matched is gone through once more; that of one that lost its source has
 * changed, too.
 */
#define CONFIG_MATCHED SPAN("scan-matched")
#define LOOK_NS (INT64_C(60) * 1000000000)
#define SETS_BYTES ((size_t)16 << 20)
#define PAGE_BYTES ((size_t)1 << 20)
#define PAGE_ROWS 32

struct scan_again {
	struct store *store;
	_Atomic bool due, runs;
	_Atomic uint64_t images;
	int64_t look_ns; /* not before, unless due */
	/* A round. */
	json_t *marks;	   /* of now, by ecosystem */
	json_t *noted;	   /* as they stand in the store */
	json_t *changed;   /* an array of ecosystems */
	size_t at;	   /* in it */
	uint64_t revision; /* that the marks are of, or a later one */
	struct scanned_position position;
	struct arena page;
	struct scanned_image *rows;
	size_t row, n_rows;
};

struct scan_again *
scan_again_new(struct store *s)
{
	struct scan_again *sa = xcalloc(1, sizeof(*sa));

	sa->store = s;
	atomic_store(&sa->due, true);
	arena_init(&sa->page, PAGE_BYTES);
	return (sa);
}

static void
round_clear(struct scan_again *sa)
{

	json_decref(sa->marks);
	json_decref(sa->noted);
	json_decref(sa->changed);
	sa->marks = sa->noted = sa->changed = NULL;
	sa->at = sa->row = sa->n_rows = 0;
	arena_reset(&sa->page);
	atomic_store(&sa->runs, false);
}

void
scan_again_free(struct scan_again **sa_p)
{
	struct scan_again *sa = *sa_p;

	*sa_p = NULL;
	if (sa == NULL)
		return;
	round_clear(sa);
	free(sa);
}

void
scan_again_due(struct scan_again *sa)
{

	atomic_store(&sa->due, true);
}

bool
scan_again_runs(const struct scan_again *sa)
{

	return (atomic_load(&sa->runs));
}

uint64_t
scan_again_images(const struct scan_again *sa)
{

	return (atomic_load(&sa->images));
}

/* --- marks --------------------------------------------------------------- */

static void
mark_add(json_t *marks, struct span ecosystem, const struct advisory_set *set)
{
	char key[ECOSYSTEM_MAX_BYTES + 1];
	const char *was;
	json_t *source;

	if (ecosystem.n > ECOSYSTEM_MAX_BYTES)
		return;
	memcpy(key, ecosystem.p, ecosystem.n);
	key[ecosystem.n] = '\0';
	was = json_string_value(json_object_get(marks, key));
	source = call_text(set->source);
	must(json_object_set_new(marks, key,
		 json_sprintf("%s%s@%llu;", was != NULL ? was : "",
		     json_string_value(source),
		     (unsigned long long)set->revision)) == 0);
	json_decref(source);
}

static enum rc
marks_of_now(struct scan_again *sa, json_t **marks_r)
{
	struct advisory_set *sets;
	struct arena a;
	size_t i, k, n;
	enum rc rc;

	arena_init(&a, SETS_BYTES);
	rc = meta_advisory_sets(store_meta(sa->store), &a, &sets, &n);
	if (rc == RC_OK) {
		*marks_r = json_object();
		for (i = 0; i < n; i++)
			for (k = 0; k < sets[i].n_ecosystems; k++)
				mark_add(
				    *marks_r, sets[i].ecosystems[k], &sets[i]);
	}
	arena_reset(&a);
	return (rc);
}

static enum rc
marks_noted(struct scan_again *sa, json_t **noted_r)
{
	enum rc rc;

	rc = registry_config_get(
	    store_meta(sa->store), ENTITY_REGISTRY, CONFIG_MATCHED, noted_r);
	if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	*noted_r = json_object();
	return (RC_OK);
}

/* Those of ${a} that ${b} has otherwise, or not at all. */
static void
marks_compare(json_t *a, const json_t *b, bool missing_only, json_t *changed)
{
	const char *key;
	json_t *mark, *other;

	json_object_foreach(a, key, mark)
	{
		other = json_object_get(b, key);
		if (other == NULL ||
		    (!missing_only && !json_equal(mark, other)))
			must(json_array_append_new(changed, json_string(key)) ==
			     0);
	}
}

/* --- a round ------------------------------------------------------------- */

static void
round_begin(struct scan_again *sa)
{
	sa->changed = json_array();
	marks_compare(sa->marks, sa->noted, false, sa->changed);
	marks_compare(sa->noted, sa->marks, true, sa->changed);
	sa->at = 0;
	sa->position = (struct scanned_position){ 0 };
	if (json_array_size(sa->changed) == 0)
		round_clear(sa);
	else
		atomic_store(&sa->runs, true);
}

/* Is there one to be begun? */
static bool
round_look(struct scan_again *sa)
{
	int64_t now_ns = clock_mono_ns();

	if (!atomic_exchange(&sa->due, false) && now_ns < sa->look_ns)
		return (false);
	sa->look_ns = now_ns + LOOK_NS;
	/* Sets that come in between are of the next round. */
	if (marks_of_now(sa, &sa->marks) != RC_OK ||
	    meta_advisories_revision(store_meta(sa->store), &sa->revision) !=
		RC_OK ||
	    marks_noted(sa, &sa->noted) != RC_OK) {
		round_clear(sa);
		return (false);
	}
	round_begin(sa);
	return (scan_again_runs(sa));
}

static const char *
round_ecosystem(const struct scan_again *sa)
{

	return (json_string_value(json_array_get(sa->changed, sa->at)));
}

/* All of its images have been matched. */
static enum rc
ecosystem_note(struct scan_again *sa)
{
	const char *ecosystem = round_ecosystem(sa);
	json_t *mark = json_object_get(sa->marks, ecosystem);

	if (mark != NULL)
		must(json_object_set(sa->noted, ecosystem, mark) == 0);
	else
		(void)json_object_del(sa->noted, ecosystem);
	return (registry_config_put(store_meta(sa->store), ENTITY_REGISTRY,
	    CONFIG_MATCHED, sa->noted, CONFIG_PUT, 0));
}

static enum rc
ecosystem_next(struct scan_again *sa)
{
	enum rc rc;

	if ((rc = ecosystem_note(sa)) != RC_OK)
		return (rc);
	sa->at++;
	sa->position = (struct scanned_position){ 0 };
	if (sa->at == json_array_size(sa->changed))
		round_clear(sa);
	return (RC_OK);
}

/* --- an image ------------------------------------------------------------ */

/* What was found in a layer is gone, or was found by another version. */
static enum rc
read_anew(struct scan_image *si)
{
	const struct scan_start start = {
		.repository = si->repository,
		.digest = si->digest,
		.now_ms = clock_real_ms(),
	};

	return (meta_scan_start(store_meta(si->store), &start));
}

static enum rc
image_match(struct scan_image *si, uint64_t was_revision, struct arena *a)
{
	struct scan_findings f;
	struct inventory inv;
	enum rc rc;

	rc = scan_image_inventory(si, a, &inv);
	if (rc == RC_MISSING)
		return (read_anew(si));
	if (rc != RC_OK || (rc = scan_image_match(si, &inv, a, &f)) != RC_OK)
		return (rc);
	f.completed_ms = clock_real_ms();
	return (meta_findings_replace(store_meta(si->store), si->repository,
	    &si->digest, was_revision, &f));
}

struct again {
	uint64_t revision; /* one that was matched with these is let be */
	uint64_t was;	   /* with which it was found at the last look */
	bool tried, matched;
};

static enum rc
image_look(struct scan_image *si, struct again *g)
{
	struct scan_findings was;
	struct arena a;
	enum rc rc;

	arena_init(&a, SCAN_IMAGE_BYTES);
	rc = meta_findings_get(store_meta(si->store), si->repository,
	    &si->digest, false, &a, &was);
	g->matched = rc == RC_OK && was.revision < g->revision &&
		     !(g->tried && was.revision == g->was);
	if (g->matched) {
		g->was = was.revision;
		rc = image_match(si, was.revision, &a);
	}
	g->tried = true;
	arena_reset(&a);
	return (rc);
}

/* What somebody else has found meanwhile may be older than what is wanted. */
static enum rc
image_again(struct scan_image *si, uint64_t revision, bool *matched_r)
{
	struct again g = { .revision = revision };
	enum rc rc;

	*matched_r = false;
	do {
		rc = image_look(si, &g);
		*matched_r |= g.matched;
	} while (g.matched && rc == RC_NOTFOUND);
	return (rc);
}

/* What is wrong with one image does not keep others from their turn. */
static enum rc
image_judge(const struct scan_image *si, enum rc rc)
{
	char digest[DIGEST_STR_BYTES];

	switch ((int)rc) {
	case RC_OK:
	case RC_NOTFOUND:
		return (RC_OK);
	case RC_CANCELLED:
	case RC_IO:
	case RC_NOSPACE:
	case RC_READONLY:
		return (rc);
	default:
		log_warn("scan: " SPAN_FMT
			 "@%s is not matched with the advisories of now: %s",
		    SPAN_ARG(si->repository), digest_str(&si->digest, digest),
		    si->why[0] != '\0' ? si->why : rc_text(rc));
		return (RC_OK);
	}
}

static enum rc
page_next(struct scan_again *sa)
{

	arena_reset(&sa->page);
	sa->row = 0;
	return (meta_scanned_page(store_meta(sa->store),
	    span_of(round_ecosystem(sa)), &sa->position, PAGE_ROWS, &sa->page,
	    &sa->rows, &sa->n_rows));
}

static enum rc
round_step(struct scan_again *sa, const struct scan_settings *settings,
    const _Atomic bool *stop)
{
	struct scan_image si = {
		.store = sa->store,
		.settings = settings,
		.stop = stop,
	};
	bool matched;
	enum rc rc;

	if (sa->row == sa->n_rows && (rc = page_next(sa)) != RC_OK)
		return (rc);
	if (sa->n_rows == 0)
		return (ecosystem_next(sa));
	si.repository = sa->rows[sa->row].repository;
	si.digest = sa->rows[sa->row++].digest;
	rc = image_again(&si, sa->revision, &matched);
	if (matched)
		atomic_fetch_add(&sa->images, 1);
	return (image_judge(&si, rc));
}

void
scan_again_image(const struct scan_image *scanned)
{
	struct scan_image si = {
		.store = scanned->store,
		.repository = scanned->repository,
		.digest = scanned->digest,
		.settings = scanned->settings,
		.stop = scanned->stop,
	};
	uint64_t revision;
	bool matched;
	enum rc rc;

	rc = meta_advisories_revision(store_meta(si.store), &revision);
	if (rc == RC_OK)
		rc = image_again(&si, revision, &matched);
	(void)image_judge(&si, rc);
}

/* A store that does not take it is asked again at the next look. */
bool
scan_again_step(struct scan_again *sa, const struct scan_settings *settings,
    const _Atomic bool *stop)
{
	if (!scan_again_runs(sa))
		return (round_look(sa));
	if (round_step(sa, settings, stop) == RC_OK)
		return (true);
	round_clear(sa);
	return (false);
}
