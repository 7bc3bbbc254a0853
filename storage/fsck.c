#include "storage/fsck.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/store_int.h"

/*
 * The course of a check: which tables in which order, and how a table is
 * walked in reads of some milliseconds.
 *
 * The order matters to a repair: what others are held against comes first,
 * so that what one step had to take away or could restore is seen by the
 * next ones.
 */

#define BATCH_NS 2000000
#define BATCH_SUSPECTS 16
/* A manifest's text, what it reads as, and room to spare. */
#define CHECK_ARENA_BYTES ((size_t)128 * 1024 * 1024)
#define KEY_ROOM_BYTES 512
#define PACE_NAP_NS 100000000

/* --- findings ------------------------------------------------------------ */

static void
findings_init(struct fsck_findings *f)
{
	f->first = NULL;
	f->last = &f->first;
	f->n = 0;
}

static void
findings_clear(struct fsck_findings *f)
{
	struct fsck_finding *one;

	while ((one = f->first) != NULL) {
		f->first = one->next;
		free(one->text);
		free(one);
	}
	findings_init(f);
}

bool
fsck_found(struct fsck_check *c, enum fsck_problem_kind kind, bool fixable,
    const char *fmt, ...)
{
	struct fsck_findings *f = c->found;
	struct fsck_finding *one;
	char text[512];
	va_list ap;

	if (++f->n <= FSCK_FINDINGS_MAX) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		one = xcalloc(1, sizeof(*one));
		one->kind = kind;
		one->fixable = fixable;
		one->text = xstrdup(text);
		*f->last = one;
		f->last = &one->next;
	}
	return (c->fixing && fixable);
}

void
fsck_tell(struct fsck *f, enum fsck_problem_kind kind, bool repaired,
    const char *fmt, ...)
{
	char text[512];
	struct fsck_problem p = {
		.kind = kind,
		.repaired = repaired,
		.text = text,
	};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	atomic_fetch_add(&f->progress->problems, 1);
	if (repaired)
		atomic_fetch_add(&f->progress->repaired, 1);
	if (f->options->problem != NULL)
		f->options->problem(f->options->arg, &p);
}

static void
findings_tell(struct fsck *f, struct fsck_findings *found, bool mended)
{
	const struct fsck_finding *one;

	for (one = found->first; one != NULL; one = one->next)
		fsck_tell(
		    f, one->kind, mended && one->fixable, "%s", one->text);
	if (found->n > FSCK_FINDINGS_MAX)
		fsck_tell(f, FSCK_INDEX, mended,
		    "%zu more problems of the same record",
		    found->n - FSCK_FINDINGS_MAX);
	findings_clear(found);
}

/* --- pace ---------------------------------------------------------------- */

bool
fsck_stopped(const struct fsck *f)
{
	return (f->options->stop != NULL && atomic_load(f->options->stop));
}

enum rc
fsck_pace(struct fsck *f, uint64_t n_bytes)
{
	struct timespec nap = { 0 };
	uint64_t rate = f->options->bytes_per_s;
	int64_t wait_ns;

	atomic_fetch_add(&f->progress->bytes, n_bytes);
	f->paced_bytes += n_bytes;
	while (!fsck_stopped(f)) {
		if (rate == 0)
			return (RC_OK);
		wait_ns =
		    f->paced_from_ns +
		    (int64_t)((double)f->paced_bytes / (double)rate * 1e9) -
		    clock_mono_ns();
		if (wait_ns <= 0)
			return (RC_OK);
		nap.tv_nsec = wait_ns < PACE_NAP_NS ? wait_ns : PACE_NAP_NS;
		(void)nanosleep(&nap, NULL);
	}
	return (RC_CANCELLED);
}

/* --- one row ------------------------------------------------------------- */

/* A row that has something, its key kept over the end of the read. */
struct suspect {
	char key[KEY_ROOM_BYTES];
	size_t key_n;
	struct fsck_findings found;
};

struct table_walk {
	struct fsck *f;
	enum meta_table table;
	fsck_check_fn *check;
	bool count;
	struct arena arena;
	char last[KEY_ROOM_BYTES]; /* the key looked at last */
	size_t last_n;
	bool ended;
	struct suspect suspects[BATCH_SUSPECTS];
	size_t n_suspects;
};

struct mend {
	struct table_walk *w;
	const struct suspect *suspect;
	struct fsck_findings found;
};

static enum rc
row_mend(struct meta_txn *t, void *arg)
{
	struct mend *m = arg;
	struct table_walk *w = m->w;
	struct fsck_check c = {
		.f = w->f,
		.t = t,
		.arena = &w->arena,
		.fixing = true,
		.now_ms = clock_real_ms(),
		.table = w->table,
		.key = { m->suspect->key, m->suspect->key_n },
		.found = &m->found,
	};
	struct span value;
	enum rc rc;

	/* It may be the second time, when the first did not fit. */
	findings_clear(&m->found);
	arena_reset(&w->arena);
	rc = kv_get(t, w->table, c.key, &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	c.value = arena_span(&w->arena, value);
	if (c.value.p == NULL)
		return (RC_TOOBIG);
	return (w->check(&c));
}

/* Mend, if that is wanted, and tell. */
static void
suspect_settle(struct table_walk *w, struct suspect *s)
{
	struct mend m = { .w = w, .suspect = s };
	enum rc rc;

	if (!w->f->options->repair) {
		findings_tell(w->f, &s->found, false);
		return;
	}
	findings_init(&m.found);
	rc = meta_change(w->f->store->meta, row_mend, &m, s->key_n);
	arena_reset(&w->arena);
	if (rc == RC_OK) {
		findings_tell(w->f, &m.found, true);
		findings_clear(&s->found);
	} else {
		findings_tell(w->f, &s->found, false);
		findings_clear(&m.found);
	}
}

/* Look at one row of a read. */
static enum rc
row_look(struct table_walk *w, struct kv_walk *kv)
{
	struct suspect *s = &w->suspects[w->n_suspects];
	struct fsck_check c = {
		.f = w->f,
		.t = kv->t,
		.arena = &w->arena,
		.now_ms = clock_real_ms(),
		.table = w->table,
		.key = kv->key,
		.value = kv->value,
		.found = &s->found,
	};
	enum rc rc;

	must(kv->key.n <= KEY_ROOM_BYTES);
	memcpy(w->last, kv->key.p, kv->key.n);
	w->last_n = kv->key.n;
	if (w->count)
		atomic_fetch_add(&w->f->progress->records, 1);
	findings_init(&s->found);
	rc = w->check(&c);
	arena_reset(&w->arena);
	if (rc == RC_CORRUPT) {
		/* What it is held against lies on a damaged page. */
		(void)fsck_found(&c, FSCK_RECORD, false,
		    "%s: a page of the database is damaged",
		    meta_table_name(w->table));
		rc = RC_OK;
	}
	if (s->found.n > 0) {
		memcpy(s->key, w->last, w->last_n);
		s->key_n = w->last_n;
		w->n_suspects++;
	}
	return (rc);
}

/* --- one table ----------------------------------------------------------- */

static enum rc
rows_look(struct table_walk *w, struct kv_walk *kv)
{
	int64_t until_ns = clock_mono_ns() + BATCH_NS;
	struct span last = { w->last, w->last_n };
	unsigned n = 0;
	enum rc rc;

	while (n < FSCK_BATCH_ROWS && w->n_suspects < BATCH_SUSPECTS) {
		if ((rc = kv_walk_next(kv)) != RC_OK)
			return (rc);
		if (n++ == 0 && span_eq(kv->key, last))
			continue;
		if ((rc = row_look(w, kv)) != RC_OK)
			return (rc);
		if (clock_mono_ns() > until_ns)
			break;
	}
	return (RC_OK);
}

static enum rc
batch_read(struct table_walk *w)
{
	char from[KEY_ROOM_BYTES];
	struct meta_txn t;
	struct kv_walk kv;
	enum rc rc;

	memcpy(from, w->last, w->last_n);
	if ((rc = meta_read_begin(w->f->store->meta, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(
	    &t, w->table, SPAN_NONE, (struct span){ from, w->last_n }, &kv);
	if (rc == RC_OK) {
		rc = rows_look(w, &kv);
		kv_walk_end(&kv);
	}
	meta_read_end(&t);
	return (rc);
}

static enum rc
batch_run(struct table_walk *w)
{
	size_t i;
	enum rc rc;

	w->n_suspects = 0;
	w->f->n_files = 0;
	w->f->unpaced_bytes = 0;
	rc = batch_read(w);
	if (rc == RC_NOTFOUND) {
		w->ended = true;
		rc = RC_OK;
	}
	for (i = 0; i < w->n_suspects; i++)
		suspect_settle(w, &w->suspects[i]);
	if (rc == RC_CORRUPT) {
		fsck_tell(w->f, FSCK_RECORD, false,
		    "a page of the database is damaged: the rest of a table "
		    "cannot be read");
		w->ended = true;
		rc = RC_OK;
	}
	if (rc == RC_OK)
		rc = fsck_pace(w->f, w->f->unpaced_bytes);
	if (rc == RC_OK)
		rc = fsck_files(w->f);
	return (rc);
}

enum rc
fsck_table(
    struct fsck *f, enum meta_table table, fsck_check_fn *check, bool count)
{
	struct table_walk *w = xcalloc(1, sizeof(*w));
	enum rc rc = RC_OK;

	w->f = f;
	w->table = table;
	w->check = check;
	w->count = count;
	arena_init(&w->arena, CHECK_ARENA_BYTES);
	while (rc == RC_OK && !w->ended)
		rc = fsck_stopped(f) ? RC_CANCELLED : batch_run(w);
	arena_reset(&w->arena);
	free(w);
	return (rc);
}

/* --- all ----------------------------------------------------------------- */

static enum rc
totals_tell(struct fsck *f)
{
	struct meta_counts counts;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(f->store->meta, &t)) != RC_OK)
		return (rc);
	/* One that cannot be read is found in its turn. */
	if (meta_format_get(&t, &f->format) != RC_OK)
		f->format = STORE_FORMAT;
	rc = meta_counts_kept(&t, &counts);
	atomic_store(&f->progress->blobs_total, kv_count(&t, TABLE_BLOBS));
	meta_read_end(&t);
	/* Unreadable counts are found in their turn. */
	if (rc == RC_OK)
		atomic_store(&f->progress->bytes_total,
		    counts.inline_bytes + counts.file_bytes +
			counts.archived_stored_bytes);
	return (RC_OK);
}

static enum rc
records_check(struct fsck *f)
{
	static const struct {
		enum meta_table table;
		fsck_check_fn *check;
	} passes[] = {
		{ TABLE_REGISTRY, fsck_registry_row },
		{ TABLE_REPOSITORIES, fsck_repository_row },
		{ TABLE_REPOSITORY_NAMES, fsck_repository_name_row },
		{ TABLE_DOOMED, fsck_doomed_row },
		{ TABLE_REPOSITORY_SETTINGS, fsck_set_row },
		{ TABLE_REPOSITORY_TAGS, fsck_set_row },
		{ TABLE_REPOSITORY_POLICIES, fsck_set_row },
		{ TABLE_LIFECYCLE_POLICIES, fsck_lifecycle_row },
		{ TABLE_LIFECYCLE_QUEUE, fsck_lifecycle_queue_row },
		{ TABLE_LIFECYCLE_RUNS, fsck_set_row },
		{ TABLE_LIFECYCLE_PREVIEWS, fsck_preview_row },
		{ TABLE_PREVIEW_QUEUE, fsck_preview_queue_row },
		{ TABLE_LIFECYCLE_PREVIEW_RESULTS, fsck_preview_result_row },
		{ TABLE_ENTITIES, fsck_entity_row },
		{ TABLE_BLOBS, fsck_blob_row },
		{ TABLE_MANIFESTS, fsck_manifest_row },
		{ TABLE_DELETED_IMAGES, fsck_deleted_row },
		{ TABLE_DELETED_QUEUE, fsck_deleted_queue_row },
		{ TABLE_BLOB_LINKS, fsck_link_row },
		{ TABLE_REFERRERS, fsck_referrer_row },
		{ TABLE_EDGES, fsck_edge_row },
		{ TABLE_PARENTS, fsck_parent_row },
		{ TABLE_IMAGE_COUNTS, fsck_image_count_row },
		{ TABLE_IMAGE_SCANS, fsck_scan_row },
		{ TABLE_SCAN_QUEUE, fsck_scan_queue_row },
		{ TABLE_SCAN_FINDINGS, fsck_findings_row },
		{ TABLE_SCANNED_SYSTEMS, fsck_scanned_system_row },
		{ TABLE_LAYER_INDEXES, fsck_layer_index_row },
		{ TABLE_ADVISORIES, fsck_advisory_row },
		{ TABLE_TAGS, fsck_tag_row },
		{ TABLE_DIGEST_TAGS, fsck_digest_tag_row },
		{ TABLE_ACTIVATIONS, fsck_activation_row },
		{ TABLE_ORPHAN_SUBJECTS, fsck_orphan_row },
		{ TABLE_IMPORT_IMAGES, fsck_import_image_row },
		{ TABLE_IMPORT_TAGS, fsck_import_tag_row },
		{ TABLE_IMPORT_REFERRERS, fsck_import_referrers_row },
		{ TABLE_REPLICATION_TASKS, fsck_task_row },
		{ TABLE_REPLICATION_QUEUE, fsck_task_queue_row },
		{ TABLE_REPLICATION_STATUS, fsck_status_row },
		{ TABLE_HOLDERS, fsck_holder_row },
		{ TABLE_UNHELD, fsck_unheld_row },
		{ TABLE_REMOVALS, fsck_removal_row },
		{ TABLE_ARCHIVE_QUEUE, fsck_archive_queue_row },
		{ TABLE_UPLOADS, fsck_upload_row },
		{ TABLE_CONTENT, fsck_content_row },
	};
	size_t i;
	enum rc rc = RC_OK;

	for (i = 0; i < ARRAY_LEN(passes) && rc == RC_OK; i++)
		rc = fsck_table(f, passes[i].table, passes[i].check, true);
	return (rc);
}

/* Once more, now that all edges are as they are to be. */
static enum rc
images_check(struct fsck *f)
{
	enum rc rc;

	rc = fsck_table(f, TABLE_MANIFESTS, fsck_image_bytes_row, false);
	if (rc == RC_OK)
		rc =
		    fsck_table(f, TABLE_MANIFESTS, fsck_image_class_row, false);
	if (rc == RC_OK && f->format >= FSCK_FORMAT_USES)
		rc = fsck_table(f, TABLE_BLOB_LINKS, fsck_link_use_row, false);
	if (rc == RC_OK)
		rc = fsck_table(f, TABLE_IDLE_LINKS, fsck_idle_row, true);
	return (rc);
}

enum rc
fsck_run(struct store *s, const struct fsck_options *options,
    struct fsck_progress *progress)
{
	struct fsck f = {
		.store = s,
		.options = options,
		.progress = progress,
		.paced_from_ns = clock_mono_ns(),
	};
	enum rc rc;

	if ((rc = totals_tell(&f)) != RC_OK)
		return (rc);
	if ((rc = records_check(&f)) != RC_OK)
		return (rc);
	if ((rc = images_check(&f)) != RC_OK)
		return (rc);
	if (!options->skip_content) {
		rc = fsck_table(&f, TABLE_BLOBS, fsck_blob_content, false);
		if (rc != RC_OK)
			return (rc);
	}
	if ((rc = fsck_counts(&f)) != RC_OK)
		return (rc);
	if ((rc = fsck_numbers(&f)) != RC_OK)
		return (rc);
	return (options->skip_content ? RC_OK : fsck_orphans(&f));
}
