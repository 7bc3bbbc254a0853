#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/images.h"
#include "storage/meta_ops_int.h"
#include "storage/upload.h"

/*
 * Storage classes with all that belongs to them: what is archived lies in the
 * archive when the collector has been there, and comes back when it is asked
 * for.
 */
#define APP SPAN("app")
#define LAYER_BYTES 60000

/* Without a grace nobody waits for the collector. */
static int
setup(void **state)
{
	struct mt *t;

	if (mt_setup(state) != 0)
		return (1);
	t = *state;
	gc_grace_set(t->s, 0);
	return (0);
}

/* --- content ------------------------------------------------------------- */

/* Too large for the database, and much of it alike. */
static char *
layer_text(const char *name)
{
	char *p = xmalloc(LAYER_BYTES + 64);
	size_t i;

	for (i = 0; i < LAYER_BYTES; i += 32)
		(void)snprintf(p + i, 64, "%-20.20s%010zu\n", name, i);
	return (p);
}

static struct digest
layer_digest(const char *name)
{
	char *p = layer_text(name);
	struct digest d = tool_digest(p, LAYER_BYTES);

	free(p);
	return (d);
}

static struct digest
layer(struct mt *t, const char *repo, const char *name)
{
	char *p = layer_text(name);
	struct digest d = tool_digest(p, LAYER_BYTES);

	assert_int_equal(upload_whole(t->s, span_of(repo), &d,
			     (struct span){ p, LAYER_BYTES }, SPAN_NONE,
			     &repository_preset_default),
	    RC_OK);
	free(p);
	return (d);
}

/* An image of these layers, which are there. */
static struct digest
image_of(struct mt *t, const char *repo, const char *text,
    const char *const *layers, size_t n)
{
	struct descriptor edges[4];
	struct digest d;
	const struct mt_image image = {
		.repo = repo,
		.text = text,
		.edges = edges,
		.n_edges = n,
	};
	size_t i;

	assert_in_range(n, 1, ARRAY_LEN(edges));
	for (i = 0; i < n; i++) {
		d = layer_digest(layers[i]);
		edges[i] = mt_edge(EDGE_LAYER, &d);
	}
	return (mt_image(t, &image));
}

/* With a layer of its own, of the same name. */
static struct digest
image(struct mt *t, const char *text)
{
	(void)layer(t, "app", text);
	return (image_of(t, "app", text, &text, 1));
}

static struct digest
index_of(
    struct mt *t, const char *text, const struct digest *children, size_t n)
{
	struct descriptor edges[4];
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.edges = edges,
		.n_edges = n,
		.index = true,
	};
	size_t i;

	assert_in_range(n, 1, ARRAY_LEN(edges));
	for (i = 0; i < n; i++)
		edges[i] = mt_edge(EDGE_MANIFEST, &children[i]);
	return (mt_image(t, &image));
}

static struct digest
referrer(struct mt *t, const char *text, const struct digest *subject)
{
	const struct mt_image put = {
		.repo = "app", .text = text, .subject = subject
	};

	return (mt_image(t, &put));
}

/* --- what is done -------------------------------------------------------- */

static enum rc
status_try(struct mt *t, const struct digest *d, enum image_status status,
    int64_t now_ms, struct image_row *row_r)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;

	return (meta_image_status_set(
	    t->m, APP, &ref, status, now_ms, &t->arena, row_r, &holding));
}

static void
archive(struct mt *t, const struct digest *d, int64_t now_ms)
{
	struct image_row row;

	assert_int_equal(status_try(t, d, IMAGE_ARCHIVED, now_ms, &row), RC_OK);
	assert_int_equal(row.manifest.status, IMAGE_ARCHIVED);
}

/* What it is then. */
static enum image_status
restore(struct mt *t, const struct digest *d, int64_t now_ms)
{
	struct image_row row;

	assert_int_equal(status_try(t, d, IMAGE_ACTIVE, now_ms, &row), RC_OK);
	return (row.manifest.status);
}

static struct gc_totals
collect_at(struct mt *t, int64_t now_ms)
{
	const struct gc_options options = { .now_ms = now_ms };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(t->s, &options, &totals), RC_OK);
	mt_check(t);
	return (totals);
}

static struct gc_totals
collect(struct mt *t)
{
	return (collect_at(t, clock_real_ms()));
}

/* --- how it is then ------------------------------------------------------ */

static struct image_row
row_of(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, APP, &ref, &t->arena, &row), RC_OK);
	return (row);
}

/* By a collection that began then. */
static void
came_back_at(const struct image_row *row, int64_t began_ms)
{
	assert_true(row->activated_ms >= began_ms);
	/* Not when the clock of the machine says. */
	assert_true(row->activated_ms < clock_real_ms() / 2);
}

static enum image_status
status_of(struct mt *t, const struct digest *d)
{
	return (row_of(t, d).manifest.status);
}

static const char *
archive_path(struct mt *t, const struct digest *d, char out[TOOL_PATH_BYTES])
{
	char hex[2 * DIGEST_BYTES_MAX + 1];

	hex_encode(d->bytes, digest_len(d->alg), hex);
	(void)snprintf(out, TOOL_PATH_BYTES, "%.300s/archive/%s/%.2s/%s",
	    t->dir, digest_alg_name(d->alg), hex, hex);
	return (out);
}

static bool
file_is_there(struct mt *t, const struct digest *d)
{
	char path[TOOL_PATH_BYTES];

	return (tool_exists(tool_blob_path(t->dir, d, path)));
}

static bool
archive_is_there(struct mt *t, const struct digest *d)
{
	char path[TOOL_PATH_BYTES];

	return (tool_exists(archive_path(t, d, path)));
}

/* RC_OK: and it is what it should be. */
static enum rc
layer_read(struct mt *t, const char *repo, const char *name)
{
	struct digest d = layer_digest(name), is;
	struct content c;
	char *p;
	enum rc rc;

	rc =
	    content_open(t->s, span_of(repo), &d, READ_BLOCKING, &t->arena, &c);
	if (rc != RC_OK)
		return (rc);
	assert_int_equal(c.kind, CONTENT_FILE);
	assert_int_equal(c.size_bytes, LAYER_BYTES);
	p = xmalloc(LAYER_BYTES);
	assert_int_equal(blob_file_read_all(&c.file, 0, p, LAYER_BYTES), RC_OK);
	is = tool_digest(p, LAYER_BYTES);
	assert_true(digest_eq(&is, &d));
	free(p);
	content_close(&c);
	return (RC_OK);
}

/* In blobs/ and nowhere else. */
static void
lies_in_file(struct mt *t, const char *name)
{
	struct digest d = layer_digest(name);

	assert_true(file_is_there(t, &d));
	assert_false(archive_is_there(t, &d));
	assert_int_equal(layer_read(t, "app", name), RC_OK);
}

static void
lies_in_archive(struct mt *t, const char *name)
{
	struct digest d = layer_digest(name);
	uint64_t size;

	assert_false(file_is_there(t, &d));
	assert_true(archive_is_there(t, &d));
	assert_int_equal(layer_read(t, "app", name), RC_NOTFOUND);
	assert_int_equal(
	    content_stat(t->s, APP, &d, READ_BLOCKING, &t->arena, &size),
	    RC_NOTFOUND);
}

static uint64_t
rows_of(struct mt *mt, enum meta_table table)
{
	struct meta_txn t;
	uint64_t n;

	assert_int_equal(meta_read_begin(mt->m, &t), RC_OK);
	n = kv_count(&t, table);
	meta_read_end(&t);
	return (n);
}

/* Nothing waits for a collector. */
static void
all_is_quiet(struct mt *t)
{
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 0);
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 0);
	assert_int_equal(rows_of(t, TABLE_REMOVALS), 0);
	assert_int_equal(rows_of(t, TABLE_IDLE_LINKS), 0);
	assert_int_equal(rows_of(t, TABLE_UNHELD), 0);
	mt_check(t);
}

/* --- into the archive and back ------------------------------------------- */

static void
what_is_archived_goes_into_the_archive_and_comes_back(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct gc_totals totals;
	struct image_row row;

	(void)collect(t);
	lies_in_file(t, "one");
	archive(t, &d, 5000);
	/* Not before the collector has been there. */
	lies_in_file(t, "one");
	totals = collect(t);
	lies_in_archive(t, "one");
	assert_int_equal(totals.archived_blobs, 1);
	assert_int_equal(totals.archived_from_bytes, LAYER_BYTES);
	assert_in_range(totals.archived_to_bytes, 1, LAYER_BYTES / 2);
	assert_int_equal(mt_stats(t).archived_blobs, 1);
	assert_int_equal(mt_stats(t).archived_bytes, LAYER_BYTES);
	assert_int_equal(
	    mt_stats(t).archived_stored_bytes, totals.archived_to_bytes);
	assert_int_equal(mt_stats(t).file_blobs, 0);
	all_is_quiet(t);

	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	row = row_of(t, &d);
	assert_int_equal(row.archived_ms, 5000);
	assert_int_equal(row.activated_ms, 0);
	lies_in_archive(t, "one");
	totals = collect_at(t, 7000);
	assert_int_equal(totals.activated_images, 1);
	assert_int_equal(totals.activated_bytes, LAYER_BYTES);
	row = row_of(t, &d);
	assert_int_equal(row.manifest.status, IMAGE_ACTIVE);
	assert_int_equal(row.archived_ms, 5000);
	came_back_at(&row, 7000);
	lies_in_file(t, "one");
	assert_int_equal(mt_stats(t).archived_blobs, 0);
	assert_int_equal(mt_stats(t).archived_stored_bytes, 0);
	assert_int_equal(mt_stats(t).file_blobs, 1);
	all_is_quiet(t);
}

static void
one_can_be_archived_again_and_again(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct image_row row;
	int64_t at;

	for (at = 10000; at < 40000; at += 10000) {
		archive(t, &d, at);
		archive(t, &d, at + 1);
		(void)collect(t);
		lies_in_archive(t, "one");
		assert_int_equal(restore(t, &d, at + 2), IMAGE_ACTIVATING);
		assert_int_equal(restore(t, &d, at + 3), IMAGE_ACTIVATING);
		(void)collect_at(t, at + 4);
		assert_int_equal(restore(t, &d, at + 5), IMAGE_ACTIVE);
		lies_in_file(t, "one");
		row = row_of(t, &d);
		assert_int_equal(row.archived_ms, at);
		came_back_at(&row, at + 4);
		all_is_quiet(t);
	}
}

static void
what_the_collector_has_not_moved_is_active_at_once(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct image_row row;

	archive(t, &d, 5000);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVE);
	row = row_of(t, &d);
	assert_int_equal(row.archived_ms, 5000);
	assert_int_equal(row.activated_ms, 6000);
	(void)collect(t);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

static void
one_that_is_archived_while_it_waits_is_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct gc_totals totals;

	archive(t, &d, 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	archive(t, &d, 7000);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 0);
	totals = collect(t);
	assert_int_equal(totals.activated_images, 0);
	assert_int_equal(totals.activated_bytes, 0);
	assert_int_equal(status_of(t, &d), IMAGE_ARCHIVED);
	assert_int_equal(row_of(t, &d).archived_ms, 7000);
	lies_in_archive(t, "one");
	all_is_quiet(t);
}

static void
nobody_is_restored_only_when_a_grace_is_over(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct gc_totals totals;

	archive(t, &d, 5000);
	(void)collect(t);
	mt_reopen(t);
	/* Nothing is collected now, and for an hour. */
	gc_grace_set(t->s, (int64_t)3600 * 1000);
	assert_int_equal(restore(t, &d, clock_real_ms()), IMAGE_ACTIVATING);
	totals = collect(t);
	assert_true(totals.settles_ms > 0);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	lies_in_file(t, "one");
}

/* --- what is shared ------------------------------------------------------ */

static void
what_an_active_image_needs_stays(void **state)
{
	static const char *const both[] = { "shared", "own" };
	static const char *const shared[] = { "shared" };
	struct mt *t = *state;
	struct digest one, two;
	struct gc_totals totals;

	(void)layer(t, "app", "shared");
	(void)layer(t, "app", "own");
	one = image_of(t, "app", "one", both, 2);
	two = image_of(t, "app", "two", shared, 1);
	archive(t, &one, 5000);
	(void)collect(t);
	lies_in_file(t, "shared");
	lies_in_archive(t, "own");
	/* What comes back is what went. */
	assert_int_equal(restore(t, &one, 6000), IMAGE_ACTIVATING);
	totals = collect(t);
	assert_int_equal(totals.activated_bytes, LAYER_BYTES);
	assert_int_equal(status_of(t, &one), IMAGE_ACTIVE);
	archive(t, &one, 7000);
	archive(t, &two, 7000);
	(void)collect(t);
	lies_in_archive(t, "shared");
	lies_in_archive(t, "own");
	/* That one needs it brings it back for both. */
	assert_int_equal(restore(t, &two, 8000), IMAGE_ACTIVATING);
	(void)collect(t);
	assert_int_equal(status_of(t, &one), IMAGE_ARCHIVED);
	lies_in_file(t, "shared");
	lies_in_archive(t, "own");
	all_is_quiet(t);
}

static void
what_another_repository_needs_stays_until_it_does_not(void **state)
{
	static const char *const layers[] = { "one" };
	struct mt *t = *state;
	struct digest d = image(t, "one"), other;
	struct holding holding;

	(void)layer(t, "other", "one");
	other = image_of(t, "other", "two", layers, 1);
	archive(t, &d, 5000);
	(void)collect(t);
	lies_in_file(t, "one");
	assert_int_equal(layer_read(t, "other", "one"), RC_OK);
	assert_int_equal(
	    meta_manifest_delete(t->m, SPAN("other"), &other, &holding), RC_OK);
	(void)collect(t);
	(void)collect(t);
	lies_in_archive(t, "one");
	all_is_quiet(t);
}

static void
what_no_image_needs_goes_from_the_archive_too(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	struct holding holding;

	archive(t, &d, 5000);
	(void)collect(t);
	lies_in_archive(t, "one");
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	(void)collect(t);
	(void)collect(t);
	assert_false(archive_is_there(t, &blob));
	assert_int_equal(mt_stats(t).blobs, 0);
	assert_int_equal(mt_stats(t).archived_blobs, 0);
	all_is_quiet(t);
}

/* --- what belongs together ----------------------------------------------- */

static void
an_index_waits_for_what_it_needs(void **state)
{
	struct mt *t = *state;
	struct image_row row;
	struct digest children[3], index;
	struct gc_totals totals;
	size_t i;

	children[0] = image(t, "amd64");
	children[1] = image(t, "arm64");
	/* It never left. */
	children[2] = mt_plain(t, "app", "empty", NULL);
	index = index_of(t, "index", children, 3);
	archive(t, &index, 5000);
	archive(t, &children[0], 5001);
	archive(t, &children[1], 5002);
	(void)collect(t);
	lies_in_archive(t, "amd64");
	lies_in_archive(t, "arm64");
	assert_int_equal(restore(t, &index, 6000), IMAGE_ACTIVATING);
	assert_int_equal(status_of(t, &children[0]), IMAGE_ACTIVATING);
	assert_int_equal(status_of(t, &children[1]), IMAGE_ACTIVATING);
	assert_int_equal(status_of(t, &children[2]), IMAGE_ACTIVE);
	totals = collect_at(t, 7000);
	assert_int_equal(totals.activated_images, 3);
	assert_int_equal(status_of(t, &index), IMAGE_ACTIVE);
	row = row_of(t, &index);
	came_back_at(&row, 7000);
	for (i = 0; i < 3; i++)
		assert_int_equal(status_of(t, &children[i]), IMAGE_ACTIVE);
	lies_in_file(t, "amd64");
	lies_in_file(t, "arm64");
	all_is_quiet(t);
}

static void
an_index_above_indexes_waits_for_all_of_them(void **state)
{
	struct mt *t = *state;
	struct digest child = image(t, "one"), above[4];
	char text[32];
	int i;

	above[0] = child;
	for (i = 1; i < 4; i++) {
		(void)snprintf(text, sizeof(text), "index %d", i);
		above[i] = index_of(t, text, &above[i - 1], 1);
	}
	for (i = 3; i >= 0; i--)
		archive(t, &above[i], 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &above[3], 6000), IMAGE_ACTIVATING);
	for (i = 0; i < 3; i++)
		assert_int_equal(status_of(t, &above[i]), IMAGE_ACTIVATING);
	(void)collect(t);
	for (i = 0; i < 4; i++)
		assert_int_equal(status_of(t, &above[i]), IMAGE_ACTIVE);
	all_is_quiet(t);
}

static void
an_index_that_never_went_stays_active(void **state)
{
	struct mt *t = *state;
	struct digest child = image(t, "one"), index;
	struct image_row row;

	index = index_of(t, "index", &child, 1);
	assert_int_equal(
	    status_try(t, &child, IMAGE_ARCHIVED, 5000, &row), RC_REFERENCED);
	archive(t, &index, 5000);
	archive(t, &child, 5000);
	(void)collect(t);
	/* One that is waiting is held by nobody that is archived. */
	assert_int_equal(restore(t, &child, 6000), IMAGE_ACTIVATING);
	assert_int_equal(status_of(t, &index), IMAGE_ARCHIVED);
	assert_int_equal(restore(t, &index, 6000), IMAGE_ACTIVATING);
	assert_int_equal(
	    status_try(t, &child, IMAGE_ARCHIVED, 7000, &row), RC_REFERENCED);
	(void)collect(t);
	assert_int_equal(status_of(t, &index), IMAGE_ACTIVE);
}

static void
those_that_refer_to_it_follow_and_come_back(void **state)
{
	struct mt *t = *state;
	struct digest subject = image(t, "subject");
	struct digest early = referrer(t, "early", &subject);
	struct digest late = referrer(t, "late", &subject);
	struct digest about = referrer(t, "about late", &late);
	struct digest signature;
	char tag[96], hex[65];
	int64_t now_ms = clock_real_ms() - 1000;

	hex_encode(subject.bytes, 32, hex);
	(void)snprintf(tag, sizeof(tag), "sha256-%s.sig", hex);
	signature = mt_plain(t, "app", "signature", tag);
	archive(t, &early, now_ms);
	archive(t, &subject, now_ms + 1);
	(void)collect(t);
	(void)collect(t);
	assert_int_equal(status_of(t, &late), IMAGE_ARCHIVED);
	assert_int_equal(status_of(t, &about), IMAGE_ARCHIVED);
	assert_int_equal(status_of(t, &signature), IMAGE_ARCHIVED);
	assert_int_equal(
	    restore(t, &subject, clock_real_ms()), IMAGE_ACTIVATING);
	assert_int_equal(status_of(t, &late), IMAGE_ACTIVE);
	assert_int_equal(status_of(t, &about), IMAGE_ACTIVE);
	assert_int_equal(status_of(t, &signature), IMAGE_ACTIVE);
	/* That was meant. */
	assert_int_equal(status_of(t, &early), IMAGE_ARCHIVED);
	(void)collect(t);
	assert_int_equal(status_of(t, &subject), IMAGE_ACTIVE);
	assert_int_equal(status_of(t, &late), IMAGE_ACTIVE);
	assert_int_equal(status_of(t, &early), IMAGE_ARCHIVED);
}

/* --- pushed again -------------------------------------------------------- */

static void
a_push_restores_it_with_what_it_brings(void **state)
{
	static const char *const layers[] = { "one" };
	struct mt *t = *state;
	struct digest d = image(t, "one"), again;
	struct digest blob = layer_digest("one");
	struct descriptor edge = mt_edge(EDGE_LAYER, &blob);
	const struct mt_image put = {
		.repo = "app", .text = "one", .edges = &edge, .n_edges = 1
	};
	struct manifest_put_result result;

	archive(t, &d, 5000);
	(void)collect(t);
	/* Whoever asks is told that it is not there, and would send it. */
	lies_in_archive(t, "one");
	assert_int_equal(mt_put(t, &put, &again, &result), RC_MISSING);
	assert_true(digest_eq(&result.missing[0], &blob));
	assert_int_equal(status_of(t, &d), IMAGE_ARCHIVED);
	(void)layer(t, "app", "one");
	again = image_of(t, "app", "one", layers, 1);
	assert_true(digest_eq(&again, &d));
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	assert_int_equal(layer_read(t, "app", "one"), RC_OK);
	(void)collect(t);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

static void
a_push_ends_its_waiting(void **state)
{
	static const char *const layers[] = { "one" };
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct gc_totals totals;

	archive(t, &d, 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	(void)layer(t, "app", "one");
	(void)image_of(t, "app", "one", layers, 1);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	totals = collect(t);
	assert_int_equal(totals.activated_bytes, 0);
	lies_in_file(t, "one");
	all_is_quiet(t);
	/* Its use was counted once. */
	archive(t, &d, 7000);
	(void)collect(t);
	lies_in_archive(t, "one");
}

static void
a_push_of_the_content_alone_is_enough_for_who_waits(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct gc_totals totals;

	archive(t, &d, 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	(void)layer(t, "other", "one");
	totals = collect(t);
	assert_int_equal(totals.activated_images, 1);
	assert_int_equal(totals.activated_bytes, 0);
	lies_in_file(t, "one");
}

/* --- those who wait while others go in ----------------------------------- */

/* Asks for an image as soon as a collection is where it should be. */
struct asking {
	struct mt *t;
	const struct digest *image;
	bool (*when)(const struct asking *);
	const struct gc_totals *totals; /* as of now */
	bool asked;
	uint64_t archived_when_back; /* when it was not yet, last */
};

static void
asking_progress(void *arg, const struct gc_totals *totals)
{
	struct asking *a = arg;

	a->totals = totals;
	if (!a->asked && a->when(a)) {
		a->asked = true;
		assert_int_equal(
		    restore(a->t, a->image, 6000), IMAGE_ACTIVATING);
	}
	if (a->asked && totals->activated_images == 0)
		a->archived_when_back = totals->archived_blobs;
}

static bool
one_went_in(const struct asking *a)
{
	return (a->totals->archived_blobs == 1);
}

static bool
one_is_copied(const struct asking *a)
{
	char path[TOOL_PATH_BYTES];
	struct dirent *e;
	bool any = false;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%.400s/archive", a->t->dir);
	if ((dir = opendir(path)) == NULL)
		return (false);
	while ((e = readdir(dir)) != NULL)
		any = any || strncmp(e->d_name, "put-", 4) == 0;
	assert_int_equal(closedir(dir), 0);
	return (any);
}

static struct gc_totals
collect_asking(struct asking *a)
{
	const struct gc_options options = {
		.now_ms = clock_real_ms(),
		.progress = asking_progress,
		.arg = a,
	};
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(a->t->s, &options, &totals), RC_OK);
	assert_true(a->asked);
	mt_check(a->t);
	return (totals);
}

static void
who_is_asked_for_meanwhile_comes_before_the_next_that_goes(void **state)
{
	static const char *const names[] = { "one", "two", "three" };
	struct mt *t = *state;
	struct digest wanted = image(t, "wanted"), others[3];
	struct asking a = { .t = t, .image = &wanted, .when = one_went_in };
	struct gc_totals totals;
	size_t i;

	archive(t, &wanted, 5000);
	(void)collect(t);
	lies_in_archive(t, "wanted");
	for (i = 0; i < 3; i++) {
		others[i] = image(t, names[i]);
		archive(t, &others[i], 5000);
	}
	totals = collect_asking(&a);
	assert_int_equal(a.archived_when_back, 1);
	assert_int_equal(totals.activated_images, 1);
	assert_int_equal(totals.archived_blobs, 3);
	lies_in_file(t, "wanted");
	for (i = 0; i < 3; i++)
		lies_in_archive(t, names[i]);
	all_is_quiet(t);
}

/* Of several MiB. */
static struct digest
long_layer(struct mt *t)
{
	const size_t n = (size_t)5 << 20;
	char *p = xmalloc(n);
	char id[UPLOAD_ID_BYTES];
	struct upload *u;
	struct digest d;

	memset(p, 'x', n);
	d = tool_digest(p, n);
	assert_int_equal(
	    upload_start(t->s, APP, d.alg, &repository_preset_default, id),
	    RC_OK);
	assert_int_equal(upload_acquire(t->s, APP, span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, p, n), RC_OK);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	free(p);
	return (d);
}

static struct digest
long_image(struct mt *t, const char *text)
{
	const struct digest d = long_layer(t);
	const struct descriptor edge = mt_edge(EDGE_LAYER, &d);
	const struct mt_image put = {
		.repo = "app", .text = text, .edges = &edge, .n_edges = 1
	};

	return (mt_image(t, &put));
}

static void
who_is_asked_for_during_a_long_copy_comes_before_its_end(void **state)
{
	struct mt *t = *state;
	struct digest wanted = image(t, "wanted"), other;
	struct asking a = { .t = t, .image = &wanted, .when = one_is_copied };
	struct gc_totals totals;

	archive(t, &wanted, 5000);
	(void)collect(t);
	lies_in_archive(t, "wanted");
	other = long_image(t, "long");
	archive(t, &other, 5000);
	totals = collect_asking(&a);
	assert_int_equal(a.archived_when_back, 0);
	assert_int_equal(totals.activated_images, 1);
	assert_int_equal(totals.archived_blobs, 1);
	lies_in_file(t, "wanted");
	assert_int_equal(status_of(t, &other), IMAGE_ARCHIVED);
	all_is_quiet(t);
}

static void
who_cannot_come_back_keeps_nobody_from_going(void **state)
{
	static const char *const names[] = { "one", "two", "three" };
	struct mt *t = *state;
	struct digest wanted = image(t, "wanted"), others[3];
	struct digest blob = layer_digest("wanted");
	char path[TOOL_PATH_BYTES];
	struct gc_totals totals;
	size_t i;

	archive(t, &wanted, 5000);
	(void)collect(t);
	assert_int_equal(unlink(archive_path(t, &blob, path)), 0);
	for (i = 0; i < 3; i++) {
		others[i] = image(t, names[i]);
		archive(t, &others[i], 5000);
	}
	assert_int_equal(restore(t, &wanted, 6000), IMAGE_ACTIVATING);
	totals = collect(t);
	assert_int_equal(totals.archived_blobs, 3);
	assert_int_equal(totals.activated_images, 0);
	assert_int_equal(status_of(t, &wanted), IMAGE_ACTIVATING);
}

/* What a push brings again need not lie in the archive, too. */
static void
the_copy_that_a_push_leaves_there_is_no_orphan(void **state)
{
	static const char *const layers[] = { "one" };
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	struct gc_totals totals;
	char path[TOOL_PATH_BYTES];
	int64_t stored;

	archive(t, &d, 5000);
	(void)collect(t);
	lies_in_archive(t, "one");
	stored = tool_file_size(archive_path(t, &blob, path));
	(void)layer(t, "app", "one");
	(void)image_of(t, "app", "one", layers, 1);
	assert_true(archive_is_there(t, &blob));
	totals = collect(t);
	lies_in_file(t, "one");
	assert_int_equal(totals.orphan_files, 0);
	assert_int_equal(totals.orphan_bytes, 0);
	assert_int_equal(totals.blobs, 1);
	assert_int_equal(totals.bytes, stored);
}

/* --- when things go wrong ------------------------------------------------ */

static void
who_waits_does_so_beyond_the_end_of_the_process(void **state)
{
	struct mt *t = *state;
	struct image_row row;
	struct digest d = image(t, "one");

	archive(t, &d, 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	(void)collect_at(t, 7000);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	row = row_of(t, &d);
	came_back_at(&row, 7000);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

static void
file_copy(const char *from, const char *to)
{
	int64_t n = tool_file_size(from);
	char *p;
	FILE *f;

	assert_true(n > 0);
	p = xmalloc((size_t)n);
	f = fopen(from, "rb");
	assert_non_null(f);
	assert_int_equal(fread(p, 1, (size_t)n, f), n);
	assert_int_equal(fclose(f), 0);
	tool_file_write(to, p, (size_t)n);
	free(p);
}

struct removal {
	enum blob_location location;
	const struct digest *digest;
};

static enum rc
removal_add(struct meta_txn *t, void *arg)
{
	const struct removal *r = arg;

	return (removal_put(t, r->location, KEY_DOMAIN_PLAIN, r->digest, 1));
}

static void
a_crash_behind_the_change_leaves_a_file_that_goes(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	struct removal removal = { BLOB_IN_FILE, &blob };
	char copy[TOOL_PATH_BYTES], path[TOOL_PATH_BYTES];

	(void)snprintf(copy, sizeof(copy), "%.400s/copy", t->dir);
	(void)tool_blob_path(t->dir, &blob, path);
	file_copy(path, copy);
	archive(t, &d, 5000);
	(void)collect(t);
	lies_in_archive(t, "one");
	/* As if the file had not been removed. */
	*strrchr(path, '/') = '\0';
	(void)mkdir(path, 0700);
	(void)tool_blob_path(t->dir, &blob, path);
	assert_int_equal(rename(copy, path), 0);
	assert_int_equal(meta_change(t->m, removal_add, &removal, 0), RC_OK);
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	(void)collect(t);
	lies_in_archive(t, "one");
	all_is_quiet(t);
	/* The same on the way back. */
	file_copy(archive_path(t, &blob, path), copy);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	(void)collect(t);
	*strrchr(path, '/') = '\0';
	assert_int_equal(mkdir(path, 0700), -1);
	removal.location = BLOB_IN_ARCHIVE;
	assert_int_equal(meta_change(t->m, removal_add, &removal, 0), RC_OK);
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	(void)collect(t);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

static void
a_crash_before_the_change_leaves_a_copy_that_goes(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	struct tier_place place;
	struct blob_file file;
	struct tier_put put = {
		.key_domain = KEY_DOMAIN_PLAIN,
		.digest = blob,
		.file = &file,
		.size_bytes = LAYER_BYTES,
	};

	assert_int_equal(blobs_open(store_blobs(t->s), KEY_DOMAIN_PLAIN, &blob,
			     READ_BLOCKING, &file),
	    RC_OK);
	assert_int_equal(tier_put(store_tier(t->s), &put, &place), RC_OK);
	blob_file_close(&file);
	assert_true(archive_is_there(t, &blob));
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	(void)collect(t);
	lies_in_file(t, "one");
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	all_is_quiet(t);
}

static void
what_is_damaged_in_the_archive_stays_archived(void **state)
{
	static const char *const layers[] = { "one" };
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	char path[TOOL_PATH_BYTES];
	struct gc_totals totals;

	archive(t, &d, 5000);
	(void)collect(t);
	tool_file_flip(archive_path(t, &blob, path), 100);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	totals = collect(t);
	assert_int_equal(totals.activated_images, 0);
	assert_int_equal(status_of(t, &d), IMAGE_ARCHIVED);
	assert_int_equal(row_of(t, &d).archived_ms, 5000);
	assert_int_equal(row_of(t, &d).activated_ms, 0);
	lies_in_archive(t, "one");
	all_is_quiet(t);
	(void)layer(t, "app", "one");
	(void)image_of(t, "app", "one", layers, 1);
	(void)collect(t);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

static void
an_index_does_not_wait_for_what_is_damaged(void **state)
{
	struct mt *t = *state;
	struct digest children[2], index, blob = layer_digest("amd64");
	char path[TOOL_PATH_BYTES];

	children[0] = image(t, "amd64");
	children[1] = image(t, "arm64");
	index = index_of(t, "index", children, 2);
	archive(t, &index, 5000);
	archive(t, &children[0], 5000);
	archive(t, &children[1], 5000);
	(void)collect(t);
	tool_file_truncate(archive_path(t, &blob, path), 10);
	assert_int_equal(restore(t, &index, 6000), IMAGE_ACTIVATING);
	(void)collect(t);
	assert_int_equal(status_of(t, &index), IMAGE_ACTIVE);
	assert_int_equal(status_of(t, &children[0]), IMAGE_ARCHIVED);
	assert_int_equal(status_of(t, &children[1]), IMAGE_ACTIVE);
	all_is_quiet(t);
}

static void
while_the_disk_is_away_it_waits(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	char path[TOOL_PATH_BYTES], away[TOOL_PATH_BYTES];

	archive(t, &d, 5000);
	(void)collect(t);
	(void)archive_path(t, &blob, path);
	(void)snprintf(away, sizeof(away), "%.400s/away", t->dir);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	(void)collect(t);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVATING);
	assert_int_equal(rename(away, path), 0);
	(void)collect(t);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

static void
what_is_damaged_before_is_not_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	char path[TOOL_PATH_BYTES];
	struct gc_totals totals;

	tool_file_flip(tool_blob_path(t->dir, &blob, path), 100);
	archive(t, &d, 5000);
	totals = collect(t);
	assert_int_equal(totals.archived_blobs, 0);
	assert_true(file_is_there(t, &blob));
	assert_false(archive_is_there(t, &blob));
	all_is_quiet(t);
}

static void
an_archive_that_is_full_holds_nobody_up(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	char dir[TOOL_PATH_BYTES], path[TOOL_PATH_BYTES], full[4096] = "";
	struct gc_totals totals;

	(void)snprintf(dir, sizeof(dir), "%.400s/far", t->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (!tool_tmpfs(dir, sizeof(full)))
		skip();
	(void)snprintf(path, sizeof(path), "%.450s/full", dir);
	tool_file_write(path, full, sizeof(full));
	t->options.archive_dir = dir;
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	archive(t, &d, 5000);
	totals = collect(t);
	assert_int_equal(totals.archived_blobs, 0);
	assert_true(file_is_there(t, &blob));
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 1);
	/* There is another one. */
	t->options.archive_dir = NULL;
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	tool_tmpfs_remove(dir);
	(void)collect(t);
	lies_in_archive(t, "one");
	all_is_quiet(t);
}

/* Each has one layer; in the order in which they are tried. */
static void
in_order(struct digest *d, size_t n)
{
	struct digest swap;
	size_t i, k;

	for (i = 0; i < n; i++)
		for (k = i + 1; k < n; k++)
			if (memcmp(d[k].bytes, d[i].bytes, 32) < 0) {
				swap = d[i];
				d[i] = d[k];
				d[k] = swap;
			}
}

/* What cannot be made smaller, and comes before ${other}. */
static struct digest
layer_before(struct mt *t, const struct digest *other, size_t n)
{
	struct digest d;
	unsigned seed;
	char *p;

	for (seed = 1;; seed++) {
		p = tool_bytes(n, seed);
		d = tool_digest(p, n);
		if (memcmp(d.bytes, other->bytes, 32) < 0)
			break;
		free(p);
	}
	assert_int_equal(upload_whole(t->s, APP, &d, (struct span){ p, n },
			     SPAN_NONE, &repository_preset_default),
	    RC_OK);
	free(p);
	return (d);
}

static void
one_that_is_too_large_does_not_hold_up_the_others(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), large, of_large;
	struct descriptor edge;
	const struct mt_image put = {
		.repo = "app", .text = "large", .edges = &edge, .n_edges = 1
	};
	char dir[TOOL_PATH_BYTES];
	struct digest blob = layer_digest("one");
	struct gc_totals totals;

	(void)snprintf(dir, sizeof(dir), "%.400s/far", t->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (!tool_tmpfs(dir, (size_t)128 << 10))
		skip();
	t->options.archive_dir = dir;
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	large = layer_before(t, &blob, (size_t)250 << 10);
	edge = mt_edge(EDGE_LAYER, &large);
	of_large = mt_image(t, &put);
	archive(t, &d, 5000);
	archive(t, &of_large, 5000);
	totals = collect(t);
	assert_int_equal(totals.archived_blobs, 1);
	assert_false(file_is_there(t, &blob));
	assert_true(file_is_there(t, &large));
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 1);
	tool_tmpfs_remove(dir);
}

/* Where its name should go there is something else. */
static void
archive_blocked(struct mt *t, const struct digest *d)
{
	char path[TOOL_PATH_BYTES];

	(void)archive_path(t, d, path);
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	(void)mkdir(path, 0700);
	(void)archive_path(t, d, path);
	*strrchr(path, '/') = '\0';
	tool_file_write(path, "", 0);
}

/* However many of them come first. */
static void
those_that_fail_do_not_hold_up_the_others_for_good(void **state)
{
	enum { N = 12, BAD = 9 };
	struct mt *t = *state;
	struct digest images[N], blobs[N];
	char name[16], path[TOOL_PATH_BYTES];
	unsigned i;

	for (i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "image-%u", i);
		images[i] = image(t, name);
		blobs[i] = layer_digest(name);
	}
	in_order(blobs, N);
	/* Theirs are folders of their own. */
	for (i = BAD; i < N; i++)
		assert_int_not_equal(
		    blobs[i].bytes[0], blobs[BAD - 1].bytes[0]);
	(void)snprintf(path, sizeof(path), "%.300s/archive", t->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (i = 0; i < BAD; i++)
		archive_blocked(t, &blobs[i]);
	for (i = 0; i < N; i++)
		archive(t, &images[i], 5000);
	(void)collect(t);
	(void)collect(t);
	for (i = 0; i < N; i++)
		assert_int_equal(file_is_there(t, &blobs[i]), i < BAD);
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), BAD);
	/* And they are not forgotten. */
	for (i = 0; i < BAD; i++) {
		(void)archive_path(t, &blobs[i], path);
		*strrchr(path, '/') = '\0';
		(void)unlink(path);
	}
	(void)collect(t);
	(void)collect(t);
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 0);
	all_is_quiet(t);
}

static void
an_archive_that_is_not_mounted_swallows_nothing(void **state)
{
	struct mt *t = *state;
	struct digest one = image(t, "one"), two = image(t, "two");
	struct digest blob = layer_digest("two");
	char dir[TOOL_PATH_BYTES], away[TOOL_PATH_BYTES];

	(void)snprintf(dir, sizeof(dir), "%.400s/far", t->dir);
	(void)snprintf(away, sizeof(away), "%.400s/away", t->dir);
	t->options.archive_dir = dir;
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	archive(t, &one, 5000);
	assert_int_equal(collect(t).archived_blobs, 1);
	assert_int_equal(mt_stats(t).archive_away, 0);
	/* The next start comes before its disk. */
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	assert_int_equal(mt_stats(t).archive_away, 1);
	archive(t, &two, 5000);
	assert_int_equal(collect(t).archived_blobs, 0);
	assert_true(file_is_there(t, &blob));
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(collect(t).archived_blobs, 0);
	assert_false(tool_exists(dir));
	assert_int_equal(rename(away, dir), 0);
	assert_int_equal(collect(t).archived_blobs, 1);
	assert_int_equal(mt_stats(t).archive_away, 0);
	assert_int_equal(restore(t, &one, 6000), IMAGE_ACTIVATING);
	assert_int_equal(restore(t, &two, 6000), IMAGE_ACTIVATING);
	assert_int_equal(collect(t).activated_images, 2);
	lies_in_file(t, "one");
	lies_in_file(t, "two");
}

static void
the_archive_may_lie_on_another_disk(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	char dir[TOOL_PATH_BYTES];

	(void)snprintf(dir, sizeof(dir), "%.400s/far", t->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (!tool_tmpfs(dir, (size_t)4 << 20))
		skip();
	t->options.archive_dir = dir;
	mt_reopen(t);
	gc_grace_set(t->s, 0);
	archive(t, &d, 5000);
	assert_int_equal(collect(t).archived_blobs, 1);
	assert_false(file_is_there(t, &blob));
	assert_false(archive_is_there(t, &blob));
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	assert_int_equal(collect(t).activated_images, 1);
	lies_in_file(t, "one");
	t->options.archive_dir = NULL;
	mt_reopen(t);
	tool_tmpfs_remove(dir);
}

/* Steps of the collector by themselves. */
static void
gc_prepare(struct mt *t, struct gc *g, const struct gc_options *options,
    struct gc_totals *totals)
{
	*g = (struct gc){
		.store = t->s,
		.meta = t->m,
		.leases = meta_leases(t->m),
		.options = options,
		.totals = totals,
		.tally = gc_tally_new(),
		.before_ms = options->now_ms,
	};
	assert_true(gc_enter(g));
}

static void
gc_done(struct gc *g)
{
	gc_leave(g);
	gc_tally_free(&g->tally);
}

static void
what_somebody_was_told_of_is_not_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	const struct gc_options options = { .now_ms = clock_real_ms() };
	struct gc_totals totals = { 0 };
	struct lease_pin pin;
	struct gc g;

	gc_prepare(t, &g, &options, &totals);
	archive(t, &d, 5000);
	assert_int_equal(gc_links(&g), RC_OK);
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 1);
	lease_pin(g.leases, &pin, &blob);
	assert_int_equal(gc_archive(&g), RC_OK);
	assert_int_equal(totals.leased, 1);
	lies_in_file(t, "one");
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 1);
	lease_unpin(g.leases, &pin);
	assert_int_equal(gc_archive(&g), RC_OK);
	lies_in_archive(t, "one");
	gc_done(&g);
	all_is_quiet(t);
}

static void
what_is_in_use_again_leaves_the_queue(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	const struct gc_options options = { .now_ms = clock_real_ms() };
	struct gc_totals totals = { 0 };
	struct gc g;

	gc_prepare(t, &g, &options, &totals);
	archive(t, &d, 5000);
	assert_int_equal(gc_links(&g), RC_OK);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVE);
	assert_int_equal(gc_archive(&g), RC_OK);
	lies_in_file(t, "one");
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 0);
	/* Sent again, and no image of it yet: somebody is pushing. */
	archive(t, &d, 7000);
	assert_int_equal(gc_links(&g), RC_OK);
	(void)layer(t, "other", "one");
	assert_int_equal(gc_archive(&g), RC_OK);
	lies_in_file(t, "one");
	assert_int_equal(rows_of(t, TABLE_ARCHIVE_QUEUE), 1);
	gc_done(&g);
}

static void
who_is_stopped_has_done_all_or_nothing_of_each(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	_Atomic bool stop = true;
	const struct gc_options options = {
		.now_ms = clock_real_ms(),
		.stop = &stop,
	};
	struct gc_totals totals = { 0 };
	struct gc g;

	archive(t, &d, 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	gc_prepare(t, &g, &options, &totals);
	assert_int_equal(gc_activate(&g), RC_CANCELLED);
	assert_int_equal(gc_archive(&g), RC_CANCELLED);
	gc_done(&g);
	lies_in_archive(t, "one");
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVATING);
	(void)collect(t);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

/* --- deleted, and back --------------------------------------------------- */

static void
a_deleted_repository_waits_until_it_is_back(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one");
	struct repository_description description;

	store_undelete_set(t->s, (int64_t)3600 * 1000);
	archive(t, &d, 5000);
	(void)collect(t);
	assert_int_equal(restore(t, &d, 6000), IMAGE_ACTIVATING);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &description),
	    RC_OK);
	assert_int_equal(collect(t).activated_bytes, 0);
	assert_int_equal(
	    meta_repository_undelete(t->m, APP, 0, clock_real_ms()), RC_OK);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVATING);
	(void)collect(t);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	lies_in_file(t, "one");
}

static void
what_deleted_images_need_is_not_archived(void **state)
{
	struct mt *t = *state;
	struct digest d = image(t, "one"), blob = layer_digest("one");
	const struct reference ref = { .is_digest = true, .digest = d };
	struct image_restored restored;
	struct holding holding;

	store_undelete_set(t->s, (int64_t)3600 * 1000);
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	(void)collect(t);
	assert_true(file_is_there(t, &blob));
	assert_false(archive_is_there(t, &blob));
	assert_int_equal(meta_image_undelete(t->m, APP, &ref, clock_real_ms(),
			     &t->arena, &restored),
	    RC_OK);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	lies_in_file(t, "one");
}

static void
what_was_archived_meanwhile_comes_back_for_who_was_deleted(void **state)
{
	static const char *const layers[] = { "one" };
	struct mt *t = *state;
	struct digest d = image(t, "one"), other;
	const struct reference ref = { .is_digest = true, .digest = d };
	struct image_restored restored;
	struct holding holding;

	other = image_of(t, "app", "two", layers, 1);
	store_undelete_set(t->s, (int64_t)3600 * 1000);
	archive(t, &other, 5000);
	assert_int_equal(meta_manifest_delete(t->m, APP, &d, &holding), RC_OK);
	(void)collect(t);
	lies_in_archive(t, "one");
	assert_int_equal(meta_image_undelete(t->m, APP, &ref, clock_real_ms(),
			     &t->arena, &restored),
	    RC_OK);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVATING);
	(void)collect(t);
	assert_int_equal(status_of(t, &d), IMAGE_ACTIVE);
	assert_int_equal(status_of(t, &other), IMAGE_ARCHIVED);
	lies_in_file(t, "one");
	all_is_quiet(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_archived_goes_into_the_archive_and_comes_back),
		TEST(one_can_be_archived_again_and_again),
		TEST(what_the_collector_has_not_moved_is_active_at_once),
		TEST(one_that_is_archived_while_it_waits_is_archived),
		TEST(nobody_is_restored_only_when_a_grace_is_over),
		TEST(what_an_active_image_needs_stays),
		TEST(what_another_repository_needs_stays_until_it_does_not),
		TEST(what_no_image_needs_goes_from_the_archive_too),
		TEST(an_index_waits_for_what_it_needs),
		TEST(an_index_above_indexes_waits_for_all_of_them),
		TEST(an_index_that_never_went_stays_active),
		TEST(those_that_refer_to_it_follow_and_come_back),
		TEST(a_push_restores_it_with_what_it_brings),
		TEST(a_push_ends_its_waiting),
		TEST(a_push_of_the_content_alone_is_enough_for_who_waits),
		TEST(
		    who_is_asked_for_meanwhile_comes_before_the_next_that_goes),
		TEST(who_is_asked_for_during_a_long_copy_comes_before_its_end),
		TEST(who_cannot_come_back_keeps_nobody_from_going),
		TEST(the_copy_that_a_push_leaves_there_is_no_orphan),
		TEST(who_waits_does_so_beyond_the_end_of_the_process),
		TEST(a_crash_behind_the_change_leaves_a_file_that_goes),
		TEST(a_crash_before_the_change_leaves_a_copy_that_goes),
		TEST(what_is_damaged_in_the_archive_stays_archived),
		TEST(an_index_does_not_wait_for_what_is_damaged),
		TEST(while_the_disk_is_away_it_waits),
		TEST(what_is_damaged_before_is_not_archived),
		TEST(an_archive_that_is_full_holds_nobody_up),
		TEST(one_that_is_too_large_does_not_hold_up_the_others),
		TEST(those_that_fail_do_not_hold_up_the_others_for_good),
		TEST(an_archive_that_is_not_mounted_swallows_nothing),
		TEST(the_archive_may_lie_on_another_disk),
		TEST(what_somebody_was_told_of_is_not_archived),
		TEST(what_is_in_use_again_leaves_the_queue),
		TEST(who_is_stopped_has_done_all_or_nothing_of_each),
		TEST(a_deleted_repository_waits_until_it_is_back),
		TEST(what_deleted_images_need_is_not_archived),
		TEST(
		    what_was_archived_meanwhile_comes_back_for_who_was_deleted),
	};

	return (cmocka_run_group_tests_name("classes", tests, NULL, NULL));
}
