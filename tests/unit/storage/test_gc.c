#include <errno.h>
#include <pthread.h>
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
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/gc_job.h"
#include "storage/images.h"
#include "storage/meta_ops_int.h"
#include "storage/upload.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define LARGE_BYTES 9000 /* a file of its own */

/* --- time, and a disk that waits ----------------------------------------- */

/* Both clocks run, and a test puts them forward. */
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

/* Called when a blob's file is about to be removed. */
static void (*before_unlink)(void *arg);
static void *before_unlink_arg;
static _Atomic int unlink_errno;

int
unlinkat(int fd, const char *path, int flags)
{
	bool blob = flags == 0 && strstr(path, "sha256/") == path;

	if (blob && before_unlink != NULL)
		before_unlink(before_unlink_arg);
	if (blob && unlink_errno != 0) {
		errno = unlink_errno;
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
	before_unlink = NULL;
	unlink_errno = 0;
	if (mt_setup(state) != 0)
		return (-1);
	t = *state;
	gc_grace_set(t->s, HOUR_MS);
	/* What was before the start is over. */
	pass(HOUR_MS);
	return (0);
}

static void
reopen(struct mt *t)
{
	mt_reopen(t);
	gc_grace_set(t->s, HOUR_MS);
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

/* Of a config or some layers that are there. */
static struct digest
push_image(struct mt *t, const char *repo, const char *tag,
    const struct digest *layers, size_t n)
{
	struct descriptor edges[8];
	char text[64];
	struct mt_image image = {
		.repo = repo,
		.text = text,
		.tag = tag,
		.edges = edges,
		.n_edges = n,
		.now_ms = clock_real_ms(),
	};
	size_t i;

	assert_true(n <= 8);
	snprintf(text, sizeof(text), "image %s %s", repo, tag);
	for (i = 0; i < n; i++)
		edges[i] = mt_edge(EDGE_LAYER, &layers[i]);
	return (mt_image(t, &image));
}

static void
delete_image(struct mt *t, const char *repo, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(t->m, span_of(repo), d, &holding), RC_OK);
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

/* What a collection says of each repository, "name links blobs bytes; ...". */
struct told {
	char text[1024];
};

static void
tell(void *arg, const struct gc_reclaimed *r)
{
	struct told *told = arg;
	size_t n = strlen(told->text);

	if (r->links + r->blobs + r->bytes > 0)
		snprintf(told->text + n, sizeof(told->text) - n,
		    "%s" SPAN_FMT " %u %u %u", n > 0 ? "; " : "",
		    SPAN_ARG(r->repository), (unsigned)r->links,
		    (unsigned)r->blobs, (unsigned)r->bytes);
}

static enum rc
try_gc(struct mt *t, bool dry, struct gc_totals *totals, struct told *told)
{
	struct gc_options options = {
		.dry_run = dry,
		.now_ms = clock_real_ms(),
		.reclaimed = told != NULL ? tell : NULL,
		.arg = told,
	};

	memset(totals, 0, sizeof(*totals));
	if (told != NULL)
		told->text[0] = '\0';
	return (gc_run(t->s, &options, totals));
}

static struct gc_totals
gc(struct mt *t, struct told *told)
{
	struct gc_totals totals;

	assert_int_equal(try_gc(t, false, &totals, told), RC_OK);
	mt_check(t);
	return (totals);
}

static struct gc_totals
gc_dry_of(struct mt *t, struct told *told)
{
	struct gc_totals totals;

	assert_int_equal(try_gc(t, true, &totals, told), RC_OK);
	mt_check(t);
	return (totals);
}

/* --- what goes ----------------------------------------------------------- */

static void
test_nothing_goes_for_a_grace_after_the_start(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct gc_totals totals;

	pass(2 * HOUR_MS);
	reopen(t);
	pass(HOUR_MS - 60000);
	totals = gc(t, NULL);
	assert_true(totals.settles_ms > 0 && totals.settles_ms <= 60000);
	assert_int_equal(totals.links + totals.blobs, 0);
	assert_true(has_file(t, &d));
	pass(60000);
	totals = gc(t, NULL);
	assert_int_equal(totals.settles_ms, 0);
	assert_int_equal(totals.blobs, 1);
	assert_false(has_file(t, &d));
}

static void
test_content_that_no_image_needs_goes_after_a_grace(void **state)
{
	struct mt *t = *state;
	struct digest large = push(t, "team/app", LARGE_BYTES, 1);
	struct digest small = push(t, "team/app", 100, 2);
	struct gc_totals totals;
	struct told told;

	pass(HOUR_MS - 60000);
	totals = gc(t, &told);
	/* Those that were made with the first blob, and are empty. */
	assert_int_equal(totals.folders, 255);
	assert_int_equal(totals.links + totals.blobs, 0);
	/* What would go with links is not looked for. */
	assert_int_equal(totals.waiting_links, 2);
	assert_int_equal(totals.waiting_blobs, 0);
	totals = gc_dry_of(t, NULL);
	assert_int_equal(totals.waiting_links, 2);
	assert_int_equal(totals.waiting_blobs, 2);
	assert_int_equal(totals.waiting_bytes, LARGE_BYTES + 100);
	assert_string_equal(told.text, "");
	pass(60000);
	totals = gc(t, &told);
	assert_int_equal(totals.links, 2);
	assert_int_equal(totals.blobs, 2);
	assert_int_equal(totals.bytes, LARGE_BYTES + 100);
	assert_int_equal(totals.waiting_links + totals.waiting_blobs, 0);
	assert_int_equal(totals.leased, 0);
	assert_int_equal(totals.folders, 1);
	assert_true(totals.database_bytes > totals.database_free_bytes);
	assert_string_equal(told.text, "team/app 2 2 9100");
	assert_false(has_file(t, &large));
	assert_int_equal(head(t, "team/app", &large), RC_NOTFOUND);
	assert_int_equal(head(t, "team/app", &small), RC_NOTFOUND);
	assert_int_equal(mt_stats(t).blobs, 0);
	totals = gc(t, &told);
	assert_int_equal(totals.links + totals.blobs + totals.folders, 0);
}

static void
test_content_of_an_image_stays_until_a_grace_after_it(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer, 1);
	struct gc_totals totals;

	pass(100 * HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.blobs, 0);
	assert_int_equal(totals.waiting_blobs, 0);
	delete_image(t, "team/app", &image);
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.blobs, 0);
	/* Its text, which has no link; and the layer. */
	assert_int_equal(totals.waiting_links, 1);
	assert_int_equal(totals.waiting_blobs, 1);
	assert_int_equal(gc_dry_of(t, NULL).waiting_blobs, 2);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 2);
	assert_false(has_file(t, &layer));
}

static void
test_shared_content_counts_once_for_who_held_it_last(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/one", LARGE_BYTES, 1);
	struct gc_totals totals;
	struct told told;

	push(t, "team/gone", LARGE_BYTES, 1);
	pass(10);
	push(t, "team/last", LARGE_BYTES, 1);
	pass(10);
	push(t, "team/another", 50, 2);
	pass(HOUR_MS);
	totals = gc(t, &told);
	assert_int_equal(totals.links, 4);
	assert_int_equal(totals.blobs, 2);
	assert_int_equal(totals.bytes, LARGE_BYTES + 50);
	assert_string_equal(told.text,
	    "team/another 1 1 50; team/gone 1 0 0; team/last 1 1 9000; "
	    "team/one 1 0 0");
	assert_false(has_file(t, &d));
}

static void
test_shared_content_stays_while_one_repository_needs_it(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/one", LARGE_BYTES, 1);
	struct gc_totals totals;

	push(t, "team/two", LARGE_BYTES, 1);
	push_image(t, "team/two", "v1", &d, 1);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 0);
	assert_int_equal(head(t, "team/one", &d), RC_NOTFOUND);
	assert_int_equal(head(t, "team/two", &d), RC_OK);
}

static void
test_content_pushed_again_begins_its_time_anew(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct gc_totals totals;

	pass(HOUR_MS - 60000);
	push(t, "team/app", LARGE_BYTES, 1);
	pass(60000);
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.blobs, 0);
	assert_int_equal(head(t, "team/app", &d), RC_OK);
}

static void
test_without_a_grace_content_goes_at_once(void **state)
{
	struct mt *t = *state;
	struct gc_totals totals;

	gc_grace_set(t->s, 0);
	push(t, "team/app", LARGE_BYTES, 1);
	totals = gc(t, NULL);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 1);
	assert_int_equal(mt_stats(t).blobs, 0);
}

static void
test_many_batches_pass_over_what_is_leased(void **state)
{
	struct mt *t = *state;
	struct digest d[3 * GC_BATCH];
	struct gc_totals totals;
	size_t i;

	for (i = 0; i < ARRAY_LEN(d); i++) {
		d[i] =
		    push(t, i % 2 == 0 ? "team/a" : "team/b", 20, (unsigned)i);
		pass(1);
	}
	pass(HOUR_MS);
	for (i = 0; i < ARRAY_LEN(d); i += 10)
		assert_int_equal(
		    head(t, i % 2 == 0 ? "team/a" : "team/b", &d[i]), RC_OK);
	totals = gc(t, NULL);
	assert_int_equal(totals.leased, 20);
	assert_int_equal(totals.links, ARRAY_LEN(d) - 20);
	assert_int_equal(totals.blobs, ARRAY_LEN(d) - 20);
	assert_int_equal(totals.waiting_blobs, 0);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.blobs, 20);
	assert_int_equal(mt_stats(t).blobs, 0);
}

static void
test_one_digest_in_many_repositories_goes_in_one_collection(void **state)
{
	struct mt *t = *state;
	char repo[32];
	struct gc_totals totals;
	unsigned i;

	for (i = 0; i < GC_BATCH + 10; i++) {
		snprintf(repo, sizeof(repo), "team/r%u", i);
		push(t, repo, 20, 1);
	}
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.links, GC_BATCH + 10);
	assert_int_equal(totals.blobs, 1);
	assert_int_equal(totals.leased, 0);
}

/* --- pushes meanwhile ---------------------------------------------------- */

static void
test_push_that_was_told_yes_is_safe(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct digest other = push(t, "team/app", LARGE_BYTES, 2);
	struct gc_totals totals;

	pass(HOUR_MS);
	assert_int_equal(head(t, "team/app", &d), RC_OK);
	pass(HOUR_MS - 60000);
	totals = gc(t, NULL);
	assert_int_equal(totals.leased, 1);
	assert_int_equal(totals.blobs, 1);
	assert_false(has_file(t, &other));
	assert_true(has_file(t, &d));
	push_image(t, "team/app", "v1", &d, 1);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.blobs, 0);
	assert_int_equal(head(t, "team/app", &d), RC_OK);
}

static void
test_calendar_that_is_set_takes_no_promise_back(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct blob_mount mount = {
		.from = SPAN("team/app"),
		.to = SPAN("team/other"),
		.digest = d,
		.create = &repository_preset_default,
		.now_ms = clock_real_ms(),
	};
	struct gc_totals totals;

	assert_int_equal(head(t, "team/app", &d), RC_OK);
	assert_int_equal(meta_blob_mount(t->m, &mount), RC_OK);
	ahead_real_ms += 1000 * HOUR_MS;
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.blobs, 0);
	push_image(t, "team/app", "v1", &d, 1);
	push_image(t, "team/other", "v1", &d, 1);
}

/* A push of content whose file is about to be removed. */
struct late {
	struct mt *t;
	pthread_t thread;
	unsigned unlinks;
	_Atomic bool begun, done;
};

static void *
late_push(void *arg)
{
	struct late *l = arg;
	char *p = tool_bytes(LARGE_BYTES, 1);
	struct digest d = tool_digest(p, LARGE_BYTES);

	l->begun = true;
	must(upload_whole(l->t->s, SPAN("team/app"), &d,
		 (struct span){ p, LARGE_BYTES }, SPAN_NONE,
		 &repository_preset_default) == RC_OK);
	l->done = true;
	free(p);
	return (NULL);
}

static void
late_begin(void *arg)
{
	struct late *l = arg;

	if (l->unlinks++ > 0)
		return;
	must(pthread_create(&l->thread, NULL, late_push, l) == 0);
	while (!l->begun)
		(void)usleep(1000);
	(void)usleep(50000);
	must(!l->done);
}

static void
test_push_of_what_is_just_being_removed_keeps_its_content(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct late late = { .t = t };
	struct gc_totals totals;

	pass(HOUR_MS);
	before_unlink = late_begin;
	before_unlink_arg = &late;
	assert_int_equal(try_gc(t, false, &totals, NULL), RC_OK);
	before_unlink = NULL;
	assert_int_equal(late.unlinks, 1);
	assert_int_equal(pthread_join(late.thread, NULL), 0);
	assert_int_equal(totals.blobs, 1);
	assert_true(has_file(t, &d));
	assert_int_equal(head(t, "team/app", &d), RC_OK);
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.orphan_files, 0);
	push_image(t, "team/app", "v1", &d, 1);
}

static void
told_no(void *arg)
{
	struct mt *t = arg;
	struct digest d;
	struct content c;
	char *p = tool_bytes(LARGE_BYTES, 1);

	d = tool_digest(p, LARGE_BYTES);
	free(p);
	must(content_open(t->s, SPAN("team/app"), &d, READ_BLOCKING, &t->arena,
		 &c) == RC_NOTFOUND);
	must(head(t, "team/app", &d) == RC_NOTFOUND);
}

static void
test_content_is_not_found_before_its_file_goes(void **state)
{
	struct mt *t = *state;

	push(t, "team/app", LARGE_BYTES, 1);
	pass(HOUR_MS);
	before_unlink = told_no;
	before_unlink_arg = t;
	(void)gc(t, NULL);
}

static void
test_who_asks_while_the_collector_is_at_it_asks_again(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", 100, 1);
	uint64_t size;

	assert_true(lease_claim_unpinned(meta_leases(t->m), &d));
	assert_int_equal(content_stat(t->s, SPAN("team/app"), &d, READ_INLINE,
			     &t->arena, &size),
	    RC_WOULDBLOCK);
	lease_give_back(meta_leases(t->m), &d);
	assert_int_equal(content_stat(t->s, SPAN("team/app"), &d, READ_INLINE,
			     &t->arena, &size),
	    RC_OK);
}

static void
test_download_in_flight_finishes(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1), got;
	char bytes[LARGE_BYTES];
	struct content c;

	assert_int_equal(content_open(t->s, SPAN("team/app"), &d, READ_BLOCKING,
			     &t->arena, &c),
	    RC_OK);
	pass(HOUR_MS);
	(void)gc(t, NULL);
	assert_false(has_file(t, &d));
	assert_int_equal(
	    blob_file_read_all(&c.file, 0, bytes, LARGE_BYTES), RC_OK);
	got = tool_digest(bytes, sizeof(bytes));
	assert_true(digest_eq(&got, &d));
	content_close(&c);
}

/* --- what a crash leaves ------------------------------------------------- */

static void
test_file_whose_record_has_gone_goes_with_the_next_collection(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct gc_totals totals;

	pass(HOUR_MS);
	unlink_errno = EIO;
	assert_int_equal(try_gc(t, false, &totals, NULL), RC_IO);
	unlink_errno = 0;
	assert_int_equal(totals.blobs, 1);
	assert_int_equal(head(t, "team/app", &d), RC_NOTFOUND);
	assert_true(has_file(t, &d));
	reopen(t);
	/* Nobody can have been told of it: not even a grace is waited. */
	totals = gc(t, NULL);
	assert_true(totals.settles_ms > 0);
	assert_int_equal(totals.orphan_files, 1);
	assert_int_equal(totals.orphan_bytes, LARGE_BYTES);
	assert_false(has_file(t, &d));
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 0);
}

static void
test_file_to_be_removed_that_was_pushed_again_stays(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", LARGE_BYTES, 1);
	struct gc_totals totals;

	pass(HOUR_MS);
	unlink_errno = EIO;
	assert_int_equal(try_gc(t, false, &totals, NULL), RC_IO);
	unlink_errno = 0;
	push(t, "team/app", LARGE_BYTES, 1);
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 0);
	assert_int_equal(head(t, "team/app", &d), RC_OK);
}

static struct digest
orphan_make(struct mt *t, unsigned seed)
{
	char path[TOOL_PATH_BYTES], *slash;
	char *p = tool_bytes(LARGE_BYTES, seed);
	struct digest d = tool_digest(p, LARGE_BYTES);

	slash = strrchr(tool_blob_path(t->dir, &d, path), '/');
	*slash = '\0';
	(void)mkdir(path, 0700);
	*slash = '/';
	tool_file_write(path, p, LARGE_BYTES);
	free(p);
	return (d);
}

static void
test_files_without_records_are_looked_for_once(void **state)
{
	struct mt *t = *state;
	struct digest kept = push(t, "team/app", LARGE_BYTES, 1);
	struct digest d = orphan_make(t, 2);
	char path[2 * TOOL_PATH_BYTES];
	struct gc_totals totals;

	snprintf(path, sizeof(path), "%s/blobs/sha256/README", t->dir);
	tool_file_write(path, "x", 1);
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 1);
	assert_int_equal(totals.orphan_bytes, LARGE_BYTES);
	assert_false(has_file(t, &d));
	assert_true(has_file(t, &kept));
	assert_true(tool_exists(path));
	d = orphan_make(t, 3);
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 0);
	assert_true(has_file(t, &d));
	reopen(t);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 1);
	assert_false(has_file(t, &d));
}

static void
test_file_that_is_just_being_pushed_is_no_orphan(void **state)
{
	struct mt *t = *state;
	struct lease_pin pin;
	struct digest d;
	struct gc_totals totals;

	push(t, "team/app", LARGE_BYTES, 2);
	d = orphan_make(t, 1);
	lease_pin(meta_leases(t->m), &pin, &d);
	totals = gc(t, NULL);
	lease_unpin(meta_leases(t->m), &pin);
	assert_int_equal(totals.orphan_files, 0);
	assert_true(has_file(t, &d));
	/* It is looked at again. */
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 1);
	assert_false(has_file(t, &d));
}

static void
test_file_whose_record_could_not_be_written_goes(void **state)
{
	struct mt *t = *state;
	char *p = tool_bytes(LARGE_BYTES, 1);
	struct digest d = tool_digest(p, LARGE_BYTES);
	struct gc_totals totals;

	(void)gc(t, NULL);
	assert_false(store_orphans_suspected(t->s));
	assert_int_equal(upload_whole(t->s, SPAN("Not A Name"), &d,
			     (struct span){ p, LARGE_BYTES }, SPAN_NONE,
			     &repository_preset_default),
	    RC_INVALID);
	free(p);
	assert_true(has_file(t, &d));
	assert_true(store_orphans_suspected(t->s));
	totals = gc(t, NULL);
	assert_int_equal(totals.orphan_files, 1);
	assert_false(has_file(t, &d));
	assert_false(store_orphans_suspected(t->s));
}

static void
test_stale_uploads_and_files_without_sessions_go(void **state)
{
	struct mt *t = *state;
	char id[UPLOAD_ID_BYTES], path[2 * TOOL_PATH_BYTES];
	struct upload *u;
	struct gc_totals totals;

	assert_int_equal(upload_start(t->s, SPAN("team/app"), DIGEST_SHA256,
			     &repository_preset_default, id),
	    RC_OK);
	assert_int_equal(
	    upload_acquire(t->s, SPAN("team/app"), span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, "abc", 3), RC_OK);
	upload_release(&u);
	snprintf(path, sizeof(path),
	    "%s/uploads/0123456789abcdef0123456789abcdef", t->dir);
	tool_file_write(path, "left over", 9);
	/* The disk's time is that of an hour ago. */
	pass(10);
	totals = gc(t, NULL);
	assert_int_equal(totals.uploads, 0);
	assert_int_equal(totals.orphan_files, 1);
	assert_int_equal(totals.orphan_bytes, 9);
	assert_false(tool_exists(path));
	pass(2 * HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.uploads, 1);
	assert_int_equal(totals.orphan_files, 0);
	assert_int_equal(mt_stats(t).upload_sessions, 0);
}

/* --- what else goes ------------------------------------------------------ */

static void
test_deleted_repository_gives_its_content_back(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct repository_description was;
	struct gc_totals totals;
	struct told told;

	push_image(t, "team/app", "v1", &layer, 1);
	assert_int_equal(meta_repository_delete(
			     t->m, SPAN("team/app"), true, &t->arena, &was),
	    RC_OK);
	totals = gc(t, &told);
	assert_true(totals.repository_rows >= 5);
	assert_int_equal(totals.blobs, 0);
	assert_int_equal(totals.waiting_blobs, 2);
	pass(HOUR_MS);
	totals = gc(t, &told);
	assert_int_equal(totals.repository_rows, 0);
	assert_int_equal(totals.blobs, 2);
	assert_string_equal(told.text, "team/app 0 2 9017");
	assert_false(has_file(t, &layer));
}

static void
test_deleted_image_keeps_its_content_until_its_time_is_up(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer, 1);
	struct gc_totals totals;

	store_undelete_set(t->s, 10 * HOUR_MS);
	delete_image(t, "team/app", &image);
	pass(9 * HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.deleted_images + totals.links, 0);
	assert_int_equal(totals.waiting_blobs, 0);
	assert_true(has_file(t, &layer));
	pass(HOUR_MS + 60000);
	totals = gc(t, NULL);
	assert_int_equal(totals.deleted_images, 1);
	assert_int_equal(totals.links, 0);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.links, 1);
	assert_int_equal(totals.blobs, 2);
	assert_false(has_file(t, &layer));
}

static void
undelete_image(struct mt *t, const char *repo, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_restored restored;

	assert_int_equal(meta_image_undelete(t->m, span_of(repo), &ref,
			     clock_real_ms(), &t->arena, &restored),
	    RC_OK);
}

static void
archive_image(struct mt *t, const char *repo, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(
	    meta_image_status_set(t->m, span_of(repo), &ref, IMAGE_ARCHIVED,
		clock_real_ms(), &t->arena, &row, &holding),
	    RC_OK);
}

static void
test_content_of_deleted_images_is_hidden_after_a_grace(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer, 1);

	store_undelete_set(t->s, 100 * HOUR_MS);
	delete_image(t, "team/app", &image);
	pass(HOUR_MS - 60000);
	(void)gc(t, NULL);
	/* Who is told of it can push an image that uses it. */
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
	pass(HOUR_MS - 60000);
	assert_int_equal(gc(t, NULL).leased, 1);
	assert_int_equal(mt_stats(t).idle_links, 1);
	push_image(t, "team/app", "v2", &layer, 1);
	image = mt_digest("image team/app v2");
	delete_image(t, "team/app", &image);
	pass(HOUR_MS);
	assert_int_equal(gc(t, NULL).links, 0);
	assert_int_equal(head(t, "team/app", &layer), RC_NOTFOUND);
	assert_true(has_file(t, &layer));
	/* A client that does not find it uploads it. */
	push(t, "team/app", LARGE_BYTES, 1);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
	pass(HOUR_MS);
	(void)gc(t, NULL);
	assert_int_equal(head(t, "team/app", &layer), RC_NOTFOUND);
	undelete_image(t, "team/app", &image);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
}

static void
test_hidden_content_goes_when_its_images_have_gone_for_good(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest image = push_image(t, "team/app", "v1", &layer, 1);

	store_undelete_set(t->s, 10 * HOUR_MS);
	delete_image(t, "team/app", &image);
	pass(9 * HOUR_MS);
	(void)gc(t, NULL);
	pass(HOUR_MS + 60000);
	assert_int_equal(gc(t, NULL).deleted_images, 1);
	assert_int_equal(head(t, "team/app", &layer), RC_NOTFOUND);
	pass(HOUR_MS);
	assert_int_equal(gc(t, NULL).links, 1);
	assert_false(has_file(t, &layer));
}

static void
test_content_of_archived_images_too_is_not_hidden(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest one = push_image(t, "team/app", "v1", &layer, 1);
	struct digest two = push_image(t, "team/app", "v2", &layer, 1);

	/* So that it does not go into the archive. */
	push(t, "team/other", LARGE_BYTES, 1);
	push_image(t, "team/other", "v1", &layer, 1);
	store_undelete_set(t->s, 100 * HOUR_MS);
	delete_image(t, "team/app", &one);
	archive_image(t, "team/app", &two);
	pass(HOUR_MS);
	(void)gc(t, NULL);
	assert_int_equal(mt_stats(t).idle_links, 0);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
	delete_image(t, "team/app", &two);
	pass(HOUR_MS);
	(void)gc(t, NULL);
	assert_int_equal(head(t, "team/app", &layer), RC_NOTFOUND);
	assert_int_equal(head(t, "team/other", &layer), RC_OK);
	undelete_image(t, "team/app", &two);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
}

static void
test_content_hidden_in_a_deleted_repository_is_so_when_it_is_back(void **state)
{
	struct mt *t = *state;
	struct digest layer = push(t, "team/app", LARGE_BYTES, 1);
	struct digest used = push(t, "team/app", LARGE_BYTES, 2);
	struct digest image = push_image(t, "team/app", "v1", &layer, 1);
	struct repository_description was;

	push_image(t, "team/app", "v2", &used, 1);
	store_undelete_set(t->s, 100 * HOUR_MS);
	delete_image(t, "team/app", &image);
	assert_int_equal(meta_repository_delete(
			     t->m, SPAN("team/app"), true, &t->arena, &was),
	    RC_OK);
	pass(HOUR_MS);
	(void)gc(t, NULL);
	assert_int_equal(meta_repository_undelete(
			     t->m, SPAN("team/app"), 0, clock_real_ms()),
	    RC_OK);
	assert_int_equal(head(t, "team/app", &layer), RC_NOTFOUND);
	assert_int_equal(head(t, "team/app", &used), RC_OK);
	undelete_image(t, "team/app", &image);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
	pass(HOUR_MS);
	(void)gc(t, NULL);
	assert_int_equal(head(t, "team/app", &layer), RC_OK);
}

/* Images of one layer: more than are looked at in one change. */
#define MANY 2500

struct many {
	const struct digest *layer;
	bool one_archived;
	struct link_rec link;
};

static struct digest
one_of_many(unsigned i)
{
	char text[32];

	snprintf(text, sizeof(text), "one of many %u", i);
	return (mt_digest(text));
}

static enum rc
many_put(struct meta_txn *t, void *arg)
{
	const struct many *many = arg;
	struct manifest_rec rec = {
		.size_bytes = 1,
		.pushed_ms = 1,
		.media_type = SPAN("x"),
		.image_bytes = MANIFEST_BYTES_UNKNOWN,
	};
	struct digest d, last = one_of_many(0);
	struct rec_key k;
	uint8_t *p;
	unsigned i;

	for (i = 1; i < MANY; i++) {
		d = one_of_many(i);
		if (memcmp(d.bytes, last.bytes, digest_len(d.alg)) > 0)
			last = d;
	}
	for (i = 0; i < MANY; i++) {
		d = one_of_many(i);
		rec.flags = MANIFEST_DELETED;
		rec.status = IMAGE_ACTIVE;
		if (many->one_archived && digest_eq(&d, &last)) {
			rec.flags = 0;
			rec.status = IMAGE_ARCHIVED;
		}
		key_repo_digest(&k, 1, &d);
		must(kv_reserve(t, TABLE_MANIFESTS, key_span(&k),
			 rec_manifest_size(&rec), &p) == RC_OK);
		rec_manifest_write(&rec, p);
		key_edge(&k, 1, many->layer, EDGE_LAYER, &d);
		must(kv_put(t, TABLE_PARENTS, key_span(&k), rec_none()) ==
		     RC_OK);
	}
	return (RC_OK);
}

static enum rc
many_link(struct meta_txn *t, void *arg)
{
	struct many *many = arg;

	return (link_load(t, 1, many->layer, &many->link));
}

static void
test_very_many_images_are_looked_at_in_many_changes(void **state)
{
	struct mt *t = *state;
	struct digest layers[] = { push(t, "team/app", LARGE_BYTES, 1),
		push(t, "team/app", LARGE_BYTES, 2) };
	struct gc_totals totals;
	struct many many;
	unsigned i;

	for (i = 0; i < 2; i++) {
		many = (struct many){ &layers[i], .one_archived = i == 1 };
		assert_int_equal(meta_change(t->m, many_put, &many, 0), RC_OK);
		pass(HOUR_MS);
		assert_int_equal(try_gc(t, false, &totals, NULL), RC_OK);
		assert_int_equal(meta_change(t->m, many_link, &many, 0), RC_OK);
		assert_false(many.link.queued);
		assert_int_equal(many.link.hidden, i == 0);
		push(t, "team/app", LARGE_BYTES, 2);
	}
}

static void
test_referrers_go_a_grace_after_their_subject(void **state)
{
	struct mt *t = *state;
	struct digest image = push_image(t, "team/app", "v1", NULL, 0);
	const struct mt_image signature = {
		.repo = "team/app",
		.text = "signature",
		.subject = &image,
		.artifact_type = "application/x-signature",
		.now_ms = clock_real_ms(),
	};
	struct digest d = mt_image(t, &signature);
	struct manifest_row row;
	struct gc_totals totals;

	delete_image(t, "team/app", &image);
	totals = gc(t, NULL);
	assert_int_equal(totals.referrers, 0);
	assert_int_equal(mt_get_digest(t, "team/app", &d, &row), RC_OK);
	pass(HOUR_MS);
	totals = gc(t, NULL);
	assert_int_equal(totals.referrers, 1);
	assert_int_equal(mt_get_digest(t, "team/app", &d, &row), RC_NOTFOUND);
}

/* --- dry runs ------------------------------------------------------------ */

/* Something of everything. */
static void
mix_push(struct mt *t)
{
	struct digest shared, used, image;
	struct repository_description was;

	shared = push(t, "team/a", LARGE_BYTES, 1);
	push(t, "team/b", LARGE_BYTES, 1);
	push(t, "team/c", LARGE_BYTES, 1);
	push(t, "team/a", 300, 2);
	used = push(t, "team/b", LARGE_BYTES, 3);
	push(t, "team/c", LARGE_BYTES, 3);
	push_image(t, "team/b", "v1", &used, 1);
	used = push(t, "team/d", LARGE_BYTES, 4);
	image = push_image(t, "team/d", "v1", &used, 1);
	delete_image(t, "team/d", &image);
	used = push(t, "team/e", LARGE_BYTES, 5);
	push_image(t, "team/e", "v1", &used, 1);
	push(t, "team/e", 500, 6);
	push(t, "team/a", 500, 6);
	assert_int_equal(
	    meta_repository_delete(t->m, SPAN("team/e"), true, &t->arena, &was),
	    RC_OK);
	(void)gc(t, NULL);
	pass(HOUR_MS);
	assert_int_equal(head(t, "team/b", &shared), RC_OK);
	push(t, "team/f", 700, 7);
	push(t, "team/f", 300, 2);
}

static void
assert_dry_tells(struct mt *t, uint64_t min_blobs)
{
	struct store_stats was = mt_stats(t), is;
	struct gc_totals dry, real, left;
	struct told told_dry, told;

	dry = gc_dry_of(t, &told_dry);
	is = mt_stats(t);
	assert_int_equal(was.blobs, is.blobs);
	assert_int_equal(was.blob_links, is.blob_links);
	assert_int_equal(was.commits, is.commits);
	real = gc(t, &told);
	left = gc_dry_of(t, NULL);
	assert_true(real.blobs >= min_blobs);
	assert_int_equal(dry.links, real.links);
	assert_int_equal(dry.blobs, real.blobs);
	assert_int_equal(dry.bytes, real.bytes);
	assert_int_equal(dry.leased, real.leased);
	assert_int_equal(dry.waiting_blobs, left.waiting_blobs);
	assert_int_equal(dry.waiting_bytes, left.waiting_bytes);
	assert_string_equal(told_dry.text, told.text);
}

static void
test_dry_run_tells_what_the_run_does(void **state)
{
	struct mt *t = *state;

	mix_push(t);
	assert_dry_tells(t, 3);
	pass(HOUR_MS);
	assert_dry_tells(t, 2);
	pass(HOUR_MS);
	assert_dry_tells(t, 0);
	assert_int_equal(gc_dry_of(t, NULL).waiting_blobs, 0);
}

/* --- damage, and the end ------------------------------------------------- */

static enum rc
link_damage(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_repo_digest(&k, 1, arg);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k), SPAN("\7garbage")));
}

static void
test_damaged_record_keeps_nothing_else(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", 100, 1);
	struct gc_totals totals;

	push(t, "team/app", 100, 2);
	push(t, "team/app", 100, 3);
	assert_int_equal(meta_change(t->m, link_damage, &d, 0), RC_OK);
	pass(HOUR_MS);
	assert_int_equal(try_gc(t, false, &totals, NULL), RC_OK);
	assert_int_equal(totals.links, 2);
	assert_int_equal(totals.blobs, 2);
}

/* As if it had been idle, and unheld, long ago. */
static enum rc
stale_rows(struct meta_txn *t, void *arg)
{
	struct rec_key k;
	enum rc rc;

	key_timed(&k, 5, 1, arg);
	rc = kv_put(t, TABLE_IDLE_LINKS, key_span(&k), rec_none());
	if (rc != RC_OK)
		return (rc);
	key_unheld(&k, 5, KEY_DOMAIN_PLAIN, arg);
	return (kv_put(t, TABLE_UNHELD, key_span(&k), rec_none()));
}

static void
test_queue_that_is_wrong_takes_nothing(void **state)
{
	struct mt *t = *state;
	struct digest d = push(t, "team/app", 100, 1), idle, unheld;
	struct holding holding;
	struct gc_totals totals;

	push_image(t, "team/app", "v1", &d, 1);
	pass(HOUR_MS);
	idle = push(t, "team/app", 100, 2);
	unheld = push(t, "team/app", 100, 3);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("team/app"), &unheld, &holding), RC_OK);
	/* Not by the leases of these pushes alone. */
	pass(HOUR_MS);
	ahead_real_ms -= HOUR_MS;
	assert_int_equal(meta_change(t->m, stale_rows, &d, 0), RC_OK);
	assert_int_equal(meta_change(t->m, stale_rows, &idle, 0), RC_OK);
	assert_int_equal(meta_change(t->m, stale_rows, &unheld, 0), RC_OK);
	totals = gc(t, NULL);
	assert_int_equal(totals.links + totals.blobs + totals.leased, 0);
	assert_int_equal(gc_dry_of(t, NULL).waiting_blobs, 2);
	assert_int_equal(head(t, "team/app", &d), RC_OK);
	assert_int_equal(head(t, "team/app", &idle), RC_OK);
}

static void
test_collection_ends_when_asked_to(void **state)
{
	struct mt *t = *state;
	_Atomic bool stop = true;
	const struct gc_options options = {
		.now_ms = clock_real_ms() + 2 * HOUR_MS,
		.stop = &stop,
	};
	struct gc_totals totals = { 0 };

	push(t, "team/app", 100, 1);
	assert_int_equal(gc_run(t->s, &options, &totals), RC_CANCELLED);
	assert_int_equal(totals.blobs, 0);
	assert_int_equal(mt_stats(t).blobs, 1);
}

/* --- on a thread of its own ---------------------------------------------- */

struct ended {
	_Atomic unsigned n;
	enum rc rc;
	struct gc_totals totals;
	struct told told;
};

static void
job_told(void *arg, const struct gc_reclaimed *r)
{
	struct ended *e = arg;

	tell(&e->told, r);
}

static void
job_ended(void *arg, enum rc rc, const struct gc_totals *totals)
{
	struct ended *e = arg;

	e->rc = rc;
	e->totals = *totals;
	e->n++;
}

static void
test_job_tells_how_it_went(void **state)
{
	struct mt *t = *state;
	struct ended e = { 0 };
	const struct gc_job_options options = {
		.reclaimed = job_told,
		.ended = job_ended,
		.arg = &e,
	};
	struct gc_job *job;
	struct buf out;

	push(t, "team/app", 100, 1);
	pass(HOUR_MS);
	assert_int_equal(gc_job_start(t->s, &options, &job), RC_OK);
	assert_int_equal(strlen(gc_job_id(job)), GC_JOB_ID_BYTES - 1);
	while (gc_job_running(job))
		(void)usleep(1000);
	assert_false(gc_job_again(job));
	assert_int_equal(e.n, 1);
	assert_int_equal(e.rc, RC_OK);
	assert_int_equal(e.totals.blobs, 1);
	assert_string_equal(e.told.text, "team/app 1 1 100");
	buf_init(&out, 4096);
	gc_job_json(job, &out);
	buf_char(&out, '\0');
	assert_non_null(strstr(out.p, "\"kind\":\"gc\",\"state\":\"done\""));
	assert_non_null(strstr(out.p, "\"dry_run\":false"));
	assert_non_null(strstr(out.p, "\"links\":1,\"blobs\":1,\"bytes\":100"));
	assert_non_null(strstr(out.p, "\"settles_ms\":0}"));
	buf_free(&out);
	gc_job_free(&job);
	assert_null(job);
}

/* Pushed when the first round is at its end. */
struct joiner {
	struct mt *t;
	struct gc_job **job;
	bool joined;
};

static void
join_once(void *arg)
{
	struct joiner *j = arg;

	if (j->joined)
		return;
	while (*j->job == NULL)
		(void)usleep(1000);
	j->joined = gc_job_again(*j->job);
	must(j->joined);
	push(j->t, "team/app", 200, 2);
	pass(HOUR_MS);
}

static void
test_who_joins_a_collection_gets_all_that_was_there(void **state)
{
	struct mt *t = *state;
	struct ended e = { 0 };
	const struct gc_job_options options = {
		.ended = job_ended,
		.arg = &e,
	};
	struct gc_job *job = NULL;
	struct joiner joiner = { .t = t, .job = &job };

	push(t, "team/app", LARGE_BYTES, 1);
	pass(HOUR_MS);
	before_unlink = join_once;
	before_unlink_arg = &joiner;
	assert_int_equal(gc_job_start(t->s, &options, &job), RC_OK);
	while (gc_job_running(job))
		(void)usleep(1000);
	gc_job_free(&job);
	assert_true(joiner.joined);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.totals.blobs, 2);
	assert_int_equal(e.totals.bytes, LARGE_BYTES + 200);
	assert_int_equal(mt_stats(t).blobs, 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_goes_for_a_grace_after_the_start),
		TEST(test_content_that_no_image_needs_goes_after_a_grace),
		TEST(test_content_of_an_image_stays_until_a_grace_after_it),
		TEST(test_shared_content_counts_once_for_who_held_it_last),
		TEST(test_shared_content_stays_while_one_repository_needs_it),
		TEST(test_content_pushed_again_begins_its_time_anew),
		TEST(test_without_a_grace_content_goes_at_once),
		TEST(test_many_batches_pass_over_what_is_leased),
		TEST(
		    test_one_digest_in_many_repositories_goes_in_one_collection),
		TEST(test_push_that_was_told_yes_is_safe),
		TEST(test_calendar_that_is_set_takes_no_promise_back),
		TEST(test_push_of_what_is_just_being_removed_keeps_its_content),
		TEST(test_content_is_not_found_before_its_file_goes),
		TEST(test_who_asks_while_the_collector_is_at_it_asks_again),
		TEST(test_download_in_flight_finishes),
		TEST(
		    test_file_whose_record_has_gone_goes_with_the_next_collection),
		TEST(test_file_to_be_removed_that_was_pushed_again_stays),
		TEST(test_files_without_records_are_looked_for_once),
		TEST(test_file_that_is_just_being_pushed_is_no_orphan),
		TEST(test_file_whose_record_could_not_be_written_goes),
		TEST(test_stale_uploads_and_files_without_sessions_go),
		TEST(test_deleted_repository_gives_its_content_back),
		TEST(test_deleted_image_keeps_its_content_until_its_time_is_up),
		TEST(test_content_of_deleted_images_is_hidden_after_a_grace),
		TEST(
		    test_hidden_content_goes_when_its_images_have_gone_for_good),
		TEST(test_content_of_archived_images_too_is_not_hidden),
		TEST(
		    test_content_hidden_in_a_deleted_repository_is_so_when_it_is_back),
		TEST(test_very_many_images_are_looked_at_in_many_changes),
		TEST(test_referrers_go_a_grace_after_their_subject),
		TEST(test_dry_run_tells_what_the_run_does),
		TEST(test_damaged_record_keeps_nothing_else),
		TEST(test_queue_that_is_wrong_takes_nothing),
		TEST(test_collection_ends_when_asked_to),
		TEST(test_job_tells_how_it_went),
		TEST(test_who_joins_a_collection_gets_all_that_was_there),
	};

	return (cmocka_run_group_tests_name("gc", tests, NULL, NULL));
}
