#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/images.h"
#include "storage/meta_ops_int.h"
#include "storage/upload.h"

/*
 * Collections that take long, in which something fails, or whose clock was
 * wrong: of what they do there is always the rest.
 */
#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)
#define LARGE_BYTES 9000 /* a file of its own */

/* --- time, and a disk that fails ----------------------------------------- */

static _Atomic int64_t ahead_mono_ms, ahead_real_ms;

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t ahead_ms =
	    clock == CLOCK_REALTIME ? ahead_real_ms : ahead_mono_ms;

	if (syscall(SYS_clock_gettime, clock, t) != 0)
		return (-1);
	t->tv_sec += ahead_ms / 1000;
	t->tv_nsec += ahead_ms % 1000 * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
	return (0);
}

static void
pass(int64_t ms)
{
	ahead_mono_ms += ms;
	ahead_real_ms += ms;
}

/* So many blobs' files cannot be removed, the next ones. */
static _Atomic int unlinks_fail;
static void (*before_unlink)(void);

int
unlinkat(int fd, const char *path, int flags)
{
	bool blob = flags == 0 && strstr(path, "sha256/") == path;

	if (blob && before_unlink != NULL)
		before_unlink();
	if (blob && unlinks_fail > 0) {
		unlinks_fail--;
		errno = EIO;
		return (-1);
	}
	return ((int)syscall(SYS_unlinkat, fd, path, flags));
}

/* --- pushing and collecting ---------------------------------------------- */

static int
setup(void **state)
{
	struct mt *t;

	log_set_level(LOG_LVL_ERROR);
	ahead_mono_ms = ahead_real_ms = 0;
	unlinks_fail = 0;
	before_unlink = NULL;
	if (mt_setup(state) != 0)
		return (-1);
	t = *state;
	gc_grace_set(t->s, HOUR_MS);
	/* What was before the start is over. */
	pass(HOUR_MS);
	return (0);
}

/* Of more than one MiB. */
static struct digest
push_long(struct mt *t, const char *repo, size_t n, unsigned seed)
{
	char *p = tool_bytes(n, seed), id[UPLOAD_ID_BYTES];
	struct digest d = tool_digest(p, n);
	struct upload *u;

	assert_int_equal(upload_start(t->s, span_of(repo), DIGEST_SHA256,
			     &repository_preset_default, id),
	    RC_OK);
	assert_int_equal(
	    upload_acquire(t->s, span_of(repo), span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, p, n), RC_OK);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	free(p);
	return (d);
}

static struct digest
push(struct mt *t, const char *repo, size_t n, unsigned seed)
{
	char *p = tool_bytes(n, seed);
	struct digest d = tool_digest(p, n);

	assert_int_equal(
	    upload_whole(t->s, span_of(repo), &d, (struct span){ p, n },
		SPAN_NONE, &repository_preset_default),
	    RC_OK);
	free(p);
	return (d);
}

static struct mt_image
image_of(const char *repo, const char *tag, const char *text,
    const struct descriptor *edge)
{
	return ((struct mt_image){
	    .repo = repo,
	    .text = text,
	    .tag = tag,
	    .edges = edge,
	    .n_edges = edge != NULL,
	    .now_ms = clock_real_ms(),
	});
}

/* Of a layer that is there, or NULL. */
static struct digest
push_image(
    struct mt *t, const char *repo, const char *tag, const struct digest *layer)
{
	struct descriptor edge = { 0 };
	struct mt_image image;
	char text[64];

	(void)snprintf(text, sizeof(text), "image %s %s", repo, tag);
	if (layer != NULL)
		edge = mt_edge(EDGE_LAYER, layer);
	image = image_of(repo, tag, text, layer != NULL ? &edge : NULL);
	return (mt_image(t, &image));
}

static void
delete_image(struct mt *t, const char *repo, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(t->m, span_of(repo), d, &holding), RC_OK);
}

static void
status_set(struct mt *t, const struct digest *d, enum image_status to)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, SPAN("team/app"), &ref, to,
			     clock_real_ms(), &t->arena, &row, &holding),
	    RC_OK);
}

static enum image_status
status_of(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, SPAN("team/app"), &ref, &t->arena, &row),
	    RC_OK);
	return (row.manifest.status);
}

static enum rc
head(struct mt *t, const char *repo, const struct digest *d)
{
	uint64_t size;

	return (content_stat(
	    t->s, span_of(repo), d, READ_BLOCKING, &t->arena, &size));
}

static bool
has_file(struct mt *t, const struct digest *d)
{
	char path[TOOL_PATH_BYTES];

	return (tool_exists(tool_blob_path(t->dir, d, path)));
}

static uint64_t
rows_of(struct mt *t, enum meta_table table)
{
	struct meta_txn txn;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	n = kv_count(&txn, table);
	meta_read_end(&txn);
	return (n);
}

static enum rc
try_gc(struct mt *t, struct gc_totals *totals)
{
	const struct gc_options options = { .now_ms = clock_real_ms() };

	*totals = (struct gc_totals){ 0 };
	return (gc_run(t->s, &options, totals));
}

static struct gc_totals
gc(struct mt *t)
{
	struct gc_totals totals;

	assert_int_equal(try_gc(t, &totals), RC_OK);
	mt_check(t);
	return (totals);
}

/* --- clocks -------------------------------------------------------------- */

static void
what_is_promised_of_content_in_use_outlives_a_calendar_that_is_set(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer);
	struct gc_totals totals;

	pass(3 * HOUR_MS);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
	delete_image(t, "team/app", &image);
	ahead_real_ms += 2 * HOUR_MS;
	pass(1000);
	totals = gc(t);
	assert_int_equal(totals.links, 0);
	assert_int_equal(totals.leased, 1);
	assert_true(has_file(t, &layer));
	(void)push_image(t, "team/app", "v2", &layer);
}

static void
what_is_mounted_from_content_in_use_outlives_it_too(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct blob_mount mount = {
		.from = SPAN("team/app"),
		.to = SPAN("team/other"),
		.digest = layer,
		.create = &repository_preset_default,
	};

	(void)push_image(t, "team/app", "v1", &layer);
	pass(3 * HOUR_MS);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
	mount.now_ms = clock_real_ms();
	assert_int_equal(meta_blob_mount(t->m, &mount), RC_OK);
	ahead_real_ms += 2 * HOUR_MS;
	pass(1000);
	assert_int_equal(gc(t).links, 0);
	(void)push_image(t, "team/other", "v1", &layer);
}

static void
two_hours_pass(void)
{
	before_unlink = NULL;
	pass(2 * HOUR_MS);
}

static void
what_a_long_collection_takes_away_waits_from_then_on(void **state)
{
	struct mt *t = *state;
	struct digest subject = push_image(t, "team/app", "v1", NULL);
	struct digest layer, stuck = push(t, "team/stuck", LARGE_BYTES, 2);
	struct descriptor edge;
	struct mt_image signature;
	struct gc_totals totals;

	/* A file that is removed before the referrers are. */
	pass(HOUR_MS);
	store_orphans_suspect(t->s, false);
	unlinks_fail = 1;
	assert_int_equal(try_gc(t, &totals), RC_IO);
	assert_true(has_file(t, &stuck));
	layer = push(t, "team/app", LARGE_BYTES, 1);
	edge = mt_edge(EDGE_LAYER, &layer);
	signature = image_of("team/app", NULL, "signature", &edge);
	signature.subject = &subject;
	(void)mt_image(t, &signature);
	delete_image(t, "team/app", &subject);
	pass(HOUR_MS);
	before_unlink = two_hours_pass;
	totals = gc(t);
	assert_null(before_unlink);
	assert_int_equal(totals.referrers, 1);
	assert_int_equal(totals.links, 0);
	pass(1000);
	totals = gc(t);
	assert_int_equal(totals.links, 0);
	assert_true(has_file(t, &layer));
	pass(HOUR_MS);
	assert_int_equal(gc(t).links, 1);
}

static void
what_waits_since_a_time_to_come_waits_since_now(void **state)
{
	struct mt *t = *state;
	struct holding holding;
	struct gc_totals totals;
	struct digest layer, unheld;

	ahead_real_ms += 3650 * DAY_MS;
	layer = push(t, "team/app", LARGE_BYTES, 1);
	unheld = push(t, "team/app", LARGE_BYTES, 2);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("team/app"), &unheld, &holding), RC_OK);
	ahead_real_ms -= 3650 * DAY_MS;
	pass(2 * HOUR_MS);
	totals = gc(t);
	assert_int_equal(totals.links + totals.blobs, 0);
	pass(HOUR_MS - 60000);
	totals = gc(t);
	assert_int_equal(totals.links + totals.blobs, 0);
	pass(60000);
	totals = gc(t);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 2);
	assert_false(has_file(t, &layer));
	assert_int_equal(rows_of(t, TABLE_IDLE_LINKS), 0);
	assert_int_equal(rows_of(t, TABLE_UNHELD), 0);
}

static void
many_that_wait_since_a_time_to_come_are_put_right(void **state)
{
	struct mt *t = *state;
	unsigned i;

	ahead_real_ms += 3650 * DAY_MS;
	for (i = 0; i < 3 * GC_BATCH; i++)
		(void)push(t, "team/app", 20, i);
	ahead_real_ms -= 3650 * DAY_MS;
	pass(2 * HOUR_MS);
	assert_int_equal(gc(t).links, 0);
	pass(HOUR_MS);
	assert_int_equal(gc(t).blobs, 3 * GC_BATCH);
}

/* --- failing ------------------------------------------------------------- */

static void
a_step_that_fails_ends_no_other(void **state)
{
	struct mt *t = *state;
	char id[UPLOAD_ID_BYTES], path[2 * TOOL_PATH_BYTES];
	struct gc_totals totals;
	struct upload *u;

	push(t, "team/app", LARGE_BYTES, 1);
	assert_int_equal(upload_start(t->s, SPAN("team/app"), DIGEST_SHA256,
			     &repository_preset_default, id),
	    RC_OK);
	assert_int_equal(
	    upload_acquire(t->s, SPAN("team/app"), span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, "abc", 3), RC_OK);
	upload_release(&u);
	mt_reopen(t);
	gc_grace_set(t->s, HOUR_MS);
	/* Something is in its place that cannot be removed so. */
	(void)snprintf(path, sizeof(path), "%s/uploads/%s", t->dir, id);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	pass(100 * HOUR_MS);
	assert_int_not_equal(try_gc(t, &totals), RC_OK);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 1);
	assert_int_equal(rmdir(path), 0);
}

static void
a_file_that_cannot_be_removed_keeps_none_behind_it(void **state)
{
	struct mt *t = *state;
	const unsigned n = 2 * GC_BATCH + 10;
	struct gc_totals totals;
	unsigned i;

	for (i = 0; i < n; i++)
		(void)push(t, "team/app", LARGE_BYTES, i);
	pass(HOUR_MS);
	/* Content that nobody holds: one of the first batch. */
	store_orphans_suspect(t->s, false);
	unlinks_fail = 1;
	assert_int_equal(try_gc(t, &totals), RC_IO);
	assert_int_equal(totals.blobs, n);
	assert_int_equal(rows_of(t, TABLE_REMOVALS), 1);
	mt_check(t);
	assert_int_equal(gc(t).orphan_files, 1);
	/* Files of removals: all of these, but the first. */
	for (i = 0; i < n; i++)
		(void)push(t, "team/app", LARGE_BYTES, i);
	pass(HOUR_MS);
	unlinks_fail = (int)n;
	assert_int_equal(try_gc(t, &totals), RC_IO);
	assert_int_equal(rows_of(t, TABLE_REMOVALS), n);
	unlinks_fail = 1;
	assert_int_equal(try_gc(t, &totals), RC_IO);
	assert_int_equal(totals.orphan_files, n - 1);
	assert_int_equal(rows_of(t, TABLE_REMOVALS), 1);
	assert_int_equal(gc(t).orphan_files, 1);
}

static enum rc
long_keys_put(struct meta_txn *t, void *arg)
{
	static const enum meta_table tables[] = { TABLE_IDLE_LINKS,
		TABLE_UNHELD, TABLE_REMOVALS, TABLE_ACTIVATIONS,
		TABLE_ARCHIVE_QUEUE };
	static const size_t sizes[] = { KEY_MAX_BYTES, KEY_MAX_BYTES + 1, 511 };
	char key[511] = { 0 };
	size_t i, k;
	enum rc rc;

	(void)arg;
	for (i = 0; i < ARRAY_LEN(tables); i++)
		for (k = 0; k < ARRAY_LEN(sizes); k++) {
			rc = kv_put(t, tables[i],
			    (struct span){ key, sizes[k] }, SPAN("x"));
			if (rc != RC_OK)
				return (rc);
		}
	return (RC_OK);
}

static void
a_key_that_is_too_long_is_passed_over(void **state)
{
	struct mt *t = *state;
	struct gc_totals totals;

	push(t, "team/app", LARGE_BYTES, 1);
	assert_int_equal(meta_change(t->m, long_keys_put, NULL, 0), RC_OK);
	pass(HOUR_MS);
	assert_int_equal(try_gc(t, &totals), RC_OK);
	assert_int_equal(totals.blobs, 1);
}

static enum rc
record_lose(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_blob(&k, KEY_DOMAIN_PLAIN, arg);
	return (kv_delete(t, TABLE_BLOBS, key_span(&k)));
}

static void
a_file_whose_record_was_lost_stays(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct gc_totals totals;

	(void)push_image(t, "team/app", "v1", &layer);
	assert_int_equal(meta_change(t->m, record_lose, &layer, 0), RC_OK);
	mt_reopen(t);
	gc_grace_set(t->s, HOUR_MS);
	pass(2 * HOUR_MS);
	assert_true(store_orphans_suspected(t->s));
	assert_int_equal(try_gc(t, &totals), RC_OK);
	assert_int_equal(totals.orphan_files, 0);
	assert_true(has_file(t, &layer));
}

/* --- taking turns -------------------------------------------------------- */

#define IMAGES 600

struct watch {
	struct mt *t;
	const struct digest *image; /* asked for when a purge is at it */
	bool asked;
	uint64_t rows_when_gone; /* of the purge, when the link was not yet */
	uint64_t rows_when_back; /* or the image */
	uint64_t rows;
};

/* Each batch takes more than a slice. */
static void
watch_progress(void *arg, const struct gc_totals *totals)
{
	struct watch *w = arg;

	pass(2000);
	w->rows = totals->repository_rows;
	if (w->rows > 0 && !w->asked && w->image != NULL) {
		w->asked = true;
		status_set(w->t, w->image, IMAGE_ACTIVE);
		assert_int_equal(status_of(w->t, w->image), IMAGE_ACTIVATING);
	}
	if (totals->links == 0)
		w->rows_when_gone = w->rows;
	if (totals->activated_images == 0)
		w->rows_when_back = w->rows;
}

static void
large_repository_delete(struct mt *t)
{
	struct repository_description was;
	char tag[32];
	unsigned i;

	for (i = 0; i < IMAGES; i++) {
		(void)snprintf(tag, sizeof(tag), "v%u", i);
		(void)push_image(t, "team/large", tag, NULL);
	}
	assert_int_equal(meta_repository_delete(
			     t->m, SPAN("team/large"), true, &t->arena, &was),
	    RC_OK);
}

static struct gc_totals
gc_watched(struct watch *w)
{
	const struct gc_options options = {
		.now_ms = clock_real_ms(),
		.progress = watch_progress,
		.arg = w,
	};
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(w->t->s, &options, &totals), RC_OK);
	mt_check(w->t);
	return (totals);
}

static void
a_large_repository_keeps_no_other_step_waiting(void **state)
{
	struct mt *t = *state;
	struct watch w = { .t = t };
	struct gc_totals totals;

	(void)push(t, "team/app", LARGE_BYTES, 1);
	pass(HOUR_MS);
	large_repository_delete(t);
	totals = gc_watched(&w);
	assert_true(totals.repository_rows >= 3 * IMAGES);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 1);
	assert_true(w.rows_when_gone < totals.repository_rows / 2);
	assert_int_equal(rows_of(t, TABLE_DOOMED), 0);
}

static void
who_is_asked_for_comes_back_before_a_large_repository_is_gone(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer);
	struct watch w = { .t = t, .image = &image };
	struct gc_totals totals;

	status_set(t, &image, IMAGE_ARCHIVED);
	pass(HOUR_MS);
	assert_int_equal(gc(t).archived_blobs, 1);
	large_repository_delete(t);
	totals = gc_watched(&w);
	assert_true(w.asked);
	assert_int_equal(totals.activated_images, 1);
	assert_int_equal(status_of(t, &image), IMAGE_ACTIVE);
	assert_true(w.rows_when_back < totals.repository_rows / 2);
}

static void
many_slices_do_all_and_count_what_is_leased_once(void **state)
{
	struct mt *t = *state;
	const unsigned n = 4 * GC_BATCH;
	struct watch w = { .t = t };
	struct gc_totals totals;
	struct digest d[4 * GC_BATCH];
	unsigned i;

	for (i = 0; i < n; i++) {
		d[i] = push(t, "team/app", 20, i);
		pass(1);
	}
	pass(HOUR_MS);
	for (i = 0; i < n; i += 16)
		assert_int_equal(head(t, "team/app", &d[i]), RC_OK);
	totals = gc_watched(&w);
	assert_int_equal(totals.links, n - n / 16);
	assert_int_equal(totals.blobs, n - n / 16);
	assert_int_equal(totals.leased, n / 16);
}

/* --- the archive --------------------------------------------------------- */

static const char *
archive_path(struct mt *t, const struct digest *d, char out[TOOL_PATH_BYTES])
{
	char hex[2 * DIGEST_BYTES_MAX + 1];

	hex_encode(d->bytes, digest_len(d->alg), hex);
	(void)snprintf(out, TOOL_PATH_BYTES, "%.300s/archive/%s/%.2s/%s",
	    t->dir, digest_alg_name(d->alg), hex, hex);
	return (out);
}

static void
one_that_is_given_up_was_in_use_until_then(void **state)
{
	struct mt *t = *state;
	struct digest gone = push(t, "team/app", LARGE_BYTES, 1);
	struct digest kept = push(t, "team/app", LARGE_BYTES, 2), image, other;
	const struct descriptor edges[] = { mt_edge(EDGE_LAYER, &gone),
		mt_edge(EDGE_LAYER, &kept) };
	struct mt_image both = image_of("team/app", "v1", "both", edges);
	char path[TOOL_PATH_BYTES];
	struct gc_totals totals;

	both.n_edges = 2;
	image = mt_image(t, &both);
	other = push_image(t, "team/app", "v2", &kept);
	status_set(t, &image, IMAGE_ARCHIVED);
	pass(2 * HOUR_MS);
	assert_int_equal(gc(t).archived_blobs, 1);
	tool_file_flip(archive_path(t, &gone, path), 50);
	delete_image(t, "team/app", &other);
	status_set(t, &image, IMAGE_ACTIVE);
	pass(2 * HOUR_MS);
	assert_int_equal(try_gc(t, &totals), RC_OK);
	assert_int_equal(status_of(t, &image), IMAGE_ARCHIVED);
	assert_true(has_file(t, &kept));
	pass(1000);
	assert_int_equal(try_gc(t, &totals), RC_OK);
	assert_int_equal(totals.archived_blobs, 0);
	assert_true(has_file(t, &kept));
	pass(HOUR_MS);
	assert_int_equal(try_gc(t, &totals), RC_OK);
	assert_int_equal(totals.archived_blobs, 1);
}

/* Lines of stderr of a collection that have such words. */
static unsigned
lines_of(struct mt *t, const char *words)
{
	char path[2 * TOOL_PATH_BYTES], line[1024];
	struct gc_totals totals;
	unsigned n = 0;
	int to, err;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/said", t->dir);
	to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = dup(STDERR_FILENO);
	assert_true(to >= 0 && err >= 0);
	assert_int_equal(dup2(to, STDERR_FILENO), STDERR_FILENO);
	(void)!try_gc(t, &totals);
	assert_int_equal(dup2(err, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(err), 0);
	assert_int_equal(close(to), 0);
	assert_non_null(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, words) != NULL;
	assert_int_equal(fclose(f), 0);
	assert_int_equal(unlink(path), 0);
	return (n);
}

static void
a_disk_that_is_away_is_told_once_in_a_collection(void **state)
{
	struct mt *t = *state;
	struct digest layers[5], images[5];
	char path[TOOL_PATH_BYTES], tag[16];
	unsigned i;

	for (i = 0; i < 5; i++) {
		layers[i] = push(t, "team/app", LARGE_BYTES, i);
		(void)snprintf(tag, sizeof(tag), "v%u", i);
		images[i] = push_image(t, "team/app", tag, &layers[i]);
		status_set(t, &images[i], IMAGE_ARCHIVED);
	}
	pass(HOUR_MS);
	assert_int_equal(gc(t).archived_blobs, 5);
	for (i = 0; i < 5; i++) {
		assert_int_equal(unlink(archive_path(t, &layers[i], path)), 0);
		status_set(t, &images[i], IMAGE_ACTIVE);
	}
	assert_int_equal(lines_of(t, "is not restored yet"), 1);
	assert_int_equal(lines_of(t, "is not restored yet"), 1);
	assert_int_equal(rows_of(t, TABLE_ACTIVATIONS), 5);
}

/* Its record is damaged while it is copied out of the archive. */
static enum rc
record_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_blob(&k, KEY_DOMAIN_PLAIN, arg);
	return (kv_put(t, TABLE_BLOBS, key_span(&k), SPAN("xx")));
}

struct spoiler {
	struct mt *t;
	const struct digest *layer;
	bool done;
};

static void
spoil_once(void *arg, const struct gc_totals *totals)
{
	struct spoiler *s = arg;

	(void)totals;
	if (s->done)
		return;
	s->done = true;
	assert_int_equal(
	    meta_change(s->t->m, record_spoil, (void *)(uintptr_t)s->layer, 0),
	    RC_OK);
}

static void
a_record_that_is_damaged_meanwhile_leaves_no_removal(void **state)
{
	struct mt *t = *state;
	struct digest layer = push_long(t, "team/app", 3 << 20, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer);
	struct spoiler s = { .t = t, .layer = &layer };
	const struct gc_options options = {
		.now_ms = clock_real_ms(),
		.progress = spoil_once,
		.arg = &s,
	};
	struct gc_totals totals = { 0 };
	struct gc g = {
		.store = t->s,
		.meta = t->m,
		.leases = meta_leases(t->m),
		.options = &options,
		.totals = &totals,
		.tally = gc_tally_new(),
	};

	status_set(t, &image, IMAGE_ARCHIVED);
	pass(HOUR_MS);
	assert_int_equal(gc(t).archived_blobs, 1);
	status_set(t, &image, IMAGE_ACTIVE);
	assert_true(gc_enter(&g));
	assert_int_equal(gc_activate(&g), RC_OK);
	gc_leave(&g);
	assert_true(s.done);
	assert_int_equal(rows_of(t, TABLE_REMOVALS), 0);
	assert_int_equal(totals.activated_bytes, 0);
	gc_tally_free(&g.tally);
}

/* --- who followed -------------------------------------------------------- */

struct heard {
	unsigned n;
	struct digest digest, subject;
	enum gc_follow what;
	char repository[64], tag[64];
};

static void
hear(void *arg, const struct gc_followed *f)
{
	struct heard *h = arg;

	h->n++;
	h->what = f->what;
	h->digest = f->digest;
	h->subject = f->subject;
	(void)snprintf(h->repository, sizeof(h->repository), SPAN_FMT,
	    SPAN_ARG(f->repository));
	h->tag[0] = '\0';
	if (f->n_tags > 0)
		(void)snprintf(
		    h->tag, sizeof(h->tag), SPAN_FMT, SPAN_ARG(f->tags[0]));
}

static struct heard
gc_heard(struct mt *t)
{
	struct heard h = { 0 };
	const struct gc_options options = {
		.now_ms = clock_real_ms(),
		.followed = hear,
		.arg = &h,
	};
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(t->s, &options, &totals), RC_OK);
	mt_check(t);
	return (h);
}

static void
who_follows_a_subject_is_told(void **state)
{
	struct mt *t = *state;
	struct digest subject = push_image(t, "team/app", "v1", NULL), one;
	struct mt_image signature =
	    image_of("team/app", "sig", "signature", NULL);
	struct heard h;

	signature.subject = &subject;
	one = mt_image(t, &signature);
	status_set(t, &subject, IMAGE_ARCHIVED);
	assert_int_equal(gc_heard(t).n, 0);
	pass(HOUR_MS);
	h = gc_heard(t);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.what, GC_FOLLOW_ARCHIVED);
	assert_true(digest_eq(&h.digest, &one));
	assert_true(digest_eq(&h.subject, &subject));
	assert_string_equal(h.repository, "team/app");
	assert_string_equal(h.tag, "sig");
	delete_image(t, "team/app", &subject);
	pass(HOUR_MS);
	h = gc_heard(t);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.what, GC_FOLLOW_REMOVED);
	assert_true(digest_eq(&h.digest, &one));
	assert_string_equal(h.tag, "sig");
	pass(HOUR_MS);
	assert_int_equal(gc_heard(t).n, 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(
		    what_is_promised_of_content_in_use_outlives_a_calendar_that_is_set),
		TEST(what_is_mounted_from_content_in_use_outlives_it_too),
		TEST(what_a_long_collection_takes_away_waits_from_then_on),
		TEST(what_waits_since_a_time_to_come_waits_since_now),
		TEST(many_that_wait_since_a_time_to_come_are_put_right),
		TEST(a_step_that_fails_ends_no_other),
		TEST(a_file_that_cannot_be_removed_keeps_none_behind_it),
		TEST(a_key_that_is_too_long_is_passed_over),
		TEST(a_file_whose_record_was_lost_stays),
		TEST(a_large_repository_keeps_no_other_step_waiting),
		TEST(
		    who_is_asked_for_comes_back_before_a_large_repository_is_gone),
		TEST(many_slices_do_all_and_count_what_is_leased_once),
		TEST(one_that_is_given_up_was_in_use_until_then),
		TEST(a_disk_that_is_away_is_told_once_in_a_collection),
		TEST(a_record_that_is_damaged_meanwhile_leaves_no_removal),
		TEST(who_follows_a_subject_is_told),
	};

	return (cmocka_run_group_tests_name("gc_long", tests, NULL, NULL));
}
