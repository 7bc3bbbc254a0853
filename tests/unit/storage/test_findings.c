#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "fsck_tools.h"
#include "meta_tools.h"
#include "storage/deleted.h"
#include "storage/findings.h"
#include "storage/fsck.h"
#include "storage/gc.h"
#include "storage/meta_ops_int.h"

/*
 * What scans found: kept with the layer, with the image, and gone with them.
 */
#define APP SPAN("app")
#define TEXT "{\"findings\":[{\"name\":\"CVE-2024-1-nobody-is-to-see\"}]}"
#define INDEX "an index that nobody is to see"
#define READER 7
#define MIB ((size_t)1 << 20)

static const struct span debian = SPAN_INIT("debian:bookworm");
static const struct span npm = SPAN_INIT("npm");

/* An image of one layer. */
static struct digest
image(struct mt *t, const char *repo, const char *text, struct digest *layer_r)
{
	struct descriptor edges[2];
	const struct mt_image image = {
		.repo = repo,
		.text = text,
		.tag = "v1",
		.edges = edges,
		.n_edges = 2,
	};
	struct digest config = mt_blob(t, repo, "config");

	*layer_r = mt_blob(t, repo, "layer");
	edges[0] = mt_edge(EDGE_CONFIG, &config);
	edges[1] = mt_edge(EDGE_LAYER, layer_r);
	return (mt_image(t, &image));
}

static enum rc
index_get(
    struct mt *t, const char *repo, const struct digest *d, uint32_t reader)
{
	struct span bytes;
	enum rc rc;

	rc = meta_layer_index_get(
	    t->m, span_of(repo), d, reader, &t->arena, &bytes);
	if (rc == RC_OK)
		assert_true(span_is(bytes, INDEX));
	return (rc);
}

static enum rc
index_put(struct mt *t, const char *repo, const struct digest *d)
{

	return (meta_layer_index_put(
	    t->m, span_of(repo), d, READER, SPAN(INDEX), 1000));
}

static struct scan_findings
findings(const struct span *ecosystems, size_t n, uint64_t revision)
{
	return ((struct scan_findings){
	    .status = SCAN_COMPLETE,
	    .completed_ms = 5000,
	    .revision = revision,
	    .updated_ms = 4000,
	    .counts = { 0, 0, 1, 2, 3, 0 },
	    .text = SPAN(TEXT),
	    .ecosystems = ecosystems,
	    .n_ecosystems = n,
	});
}

static void
start(struct mt *t, const char *repo, const struct digest *d, int64_t now_ms)
{
	const struct scan_start s = {
		.repository = span_of(repo),
		.digest = *d,
		.now_ms = now_ms,
	};

	assert_int_equal(meta_scan_start(t->m, &s), RC_OK);
}

static void
scan(struct mt *t, const char *repo, const struct digest *d,
    const struct scan_findings *f)
{
	struct scan_job job;

	start(t, repo, d, 1000);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(meta_scan_complete(t->m, &job, f), RC_OK);
}

static enum rc
get(struct mt *t, const char *repo, const struct digest *d, bool text,
    struct scan_findings *f_r)
{

	return (
	    meta_findings_get(t->m, span_of(repo), d, text, &t->arena, f_r));
}

static enum scan_status
status(struct mt *t, const char *repo, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, span_of(repo), &ref, &t->arena, &row), RC_OK);
	return (row.scan.status);
}

/* How many images an import of advisories for it concerns. */
static size_t
concerned(struct mt *t, struct span ecosystem)
{
	struct scanned_position at = { 0 };
	struct scanned_image *rows;
	size_t n, all = 0;

	do {
		assert_int_equal(meta_scanned_page(t->m, ecosystem, &at, 2,
				     &t->arena, &rows, &n),
		    RC_OK);
		all += n;
	} while (n > 0);
	return (all);
}

static void
collect(struct mt *t)
{
	const struct gc_options options = { .now_ms = clock_real_ms() + 1000 };
	struct gc_totals totals = { 0 };

	gc_grace_set(t->s, 0);
	assert_int_equal(gc_run(t->s, &options, &totals), RC_OK);
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

/* --- indexes ------------------------------------------------------------- */

static void
an_index_is_kept_with_its_layer(void **state)
{
	struct mt *t = *state;
	struct digest layer, d = image(t, "app", "one", &layer);
	struct digest other = mt_digest("other");

	(void)d;
	assert_int_equal(index_get(t, "app", &layer, READER), RC_NOTFOUND);
	assert_int_equal(index_put(t, "app", &other), RC_NOTFOUND);
	assert_int_equal(index_put(t, "nobody", &layer), RC_NOTFOUND);
	assert_int_equal(index_put(t, "app", &layer), RC_OK);
	mt_reopen(t);
	assert_int_equal(index_get(t, "app", &layer, READER), RC_OK);
	assert_int_equal(index_get(t, "app", &layer, READER + 1), RC_NOTFOUND);
	assert_int_equal(index_get(t, "nobody", &layer, READER), RC_NOTFOUND);
}

static void
all_repositories_with_the_layer_share_its_index(void **state)
{
	struct mt *t = *state;
	struct digest layer;

	(void)image(t, "app", "one", &layer);
	assert_int_equal(index_put(t, "app", &layer), RC_OK);
	assert_int_equal(index_get(t, "lib", &layer, READER), RC_NOTFOUND);
	(void)image(t, "lib", "two", &layer);
	assert_int_equal(index_get(t, "lib", &layer, READER), RC_OK);
	assert_int_equal(rows_of(t, TABLE_LAYER_INDEXES), 1);
}

static void
repositories_under_another_key_do_not_share_it(void **state)
{
	struct mt *t = *state;
	struct digest layer;

	mt_sealed(t, "sealed/one", NULL);
	mt_sealed(t, "sealed/two", "team");
	(void)image(t, "app", "one", &layer);
	(void)image(t, "sealed/one", "one", &layer);
	(void)image(t, "sealed/two", "one", &layer);
	assert_int_equal(index_put(t, "sealed/one", &layer), RC_OK);
	assert_int_equal(index_get(t, "app", &layer, READER), RC_NOTFOUND);
	assert_int_equal(
	    index_get(t, "sealed/two", &layer, READER), RC_NOTFOUND);
	assert_int_equal(index_get(t, "sealed/one", &layer, READER), RC_OK);
}

static void
an_index_goes_with_its_layer(void **state)
{
	struct mt *t = *state;
	struct digest layer, d = image(t, "app", "one", &layer);
	const struct image_delete del = {
		.repository = APP,
		.has_digest = true,
		.digest = d,
	};
	struct image_deleted deleted;

	assert_int_equal(index_put(t, "app", &layer), RC_OK);
	assert_int_equal(
	    meta_image_delete(t->m, &del, &t->arena, &deleted), RC_OK);
	collect(t);
	assert_int_equal(rows_of(t, TABLE_LAYER_INDEXES), 0);
	mt_check(t);
}

/* --- findings ------------------------------------------------------------ */

static void
findings_end_a_scan_and_are_told(void **state)
{
	struct mt *t = *state;
	const struct span both[] = { debian, npm };
	struct scan_findings f = findings(both, 2, 9), got;
	struct digest layer, d = image(t, "app", "one", &layer);

	assert_int_equal(get(t, "app", &d, true, &got), RC_NOTFOUND);
	scan(t, "app", &d, &f);
	mt_reopen(t);
	assert_int_equal(status(t, "app", &d), SCAN_COMPLETE);
	assert_int_equal(get(t, "app", &d, true, &got), RC_OK);
	assert_true(span_is(got.text, TEXT));
	assert_int_equal(got.completed_ms, 5000);
	assert_int_equal(got.revision, 9);
	assert_int_equal(got.updated_ms, 4000);
	assert_memory_equal(got.counts, f.counts, sizeof(f.counts));
	assert_int_equal(got.n_ecosystems, 2);
	assert_true(span_eq(got.ecosystems[1], npm));
	assert_int_equal(get(t, "app", &d, false, &got), RC_OK);
	assert_null(got.text.p);
	assert_int_equal(concerned(t, debian), 1);
	assert_int_equal(concerned(t, npm), 1);
	assert_int_equal(concerned(t, SPAN("np")), 0);
	mt_check(t);
}

static void
a_later_scan_takes_the_place_of_one_before(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 1), got;
	struct digest layer, d = image(t, "app", "one", &layer);
	struct scan_job job;

	scan(t, "app", &d, &f);
	f = findings(&npm, 1, 2);
	f.text = SPAN("{}");
	scan(t, "app", &d, &f);
	assert_int_equal(concerned(t, debian), 0);
	assert_int_equal(concerned(t, npm), 1);
	assert_int_equal(get(t, "app", &d, true, &got), RC_OK);
	assert_true(span_is(got.text, "{}"));
	/* One that fails leaves nothing that could be taken for true. */
	start(t, "app", &d, 3000);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(
	    meta_scan_end(t->m, &job, SCAN_FAILED, SPAN("no"), 4000), RC_OK);
	assert_int_equal(get(t, "app", &d, true, &got), RC_NOTFOUND);
	assert_int_equal(concerned(t, npm), 0);
	assert_int_equal(rows_of(t, TABLE_SCANNED_SYSTEMS), 0);
}

/* The packages are known, and advisories may come. */
static void
one_that_failed_for_lack_of_advisories_is_concerned(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 0);
	struct digest layer, d = image(t, "app", "one", &layer);

	f.status = SCAN_FAILED;
	f.reason = SPAN("no advisories");
	scan(t, "app", &d, &f);
	assert_int_equal(status(t, "app", &d), SCAN_FAILED);
	assert_int_equal(concerned(t, debian), 1);
	f = findings(&debian, 1, 3);
	assert_int_equal(meta_findings_replace(t->m, APP, &d, 0, &f), RC_OK);
	assert_int_equal(status(t, "app", &d), SCAN_COMPLETE);
}

static void
findings_are_not_replaced_by_those_of_before(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 5), got;
	struct digest layer, d = image(t, "app", "one", &layer);

	assert_int_equal(
	    meta_findings_replace(t->m, APP, &d, 5, &f), RC_NOTFOUND);
	scan(t, "app", &d, &f);
	assert_int_equal(
	    meta_findings_replace(t->m, APP, &d, 4, &f), RC_NOTFOUND);
	f.revision = 6;
	assert_int_equal(meta_findings_replace(t->m, APP, &d, 5, &f), RC_OK);
	assert_int_equal(get(t, "app", &d, false, &got), RC_OK);
	assert_int_equal(got.revision, 6);
	/* While it is being scanned that scan tells. */
	start(t, "app", &d, 9000);
	assert_int_equal(
	    meta_findings_replace(t->m, APP, &d, 6, &f), RC_NOTFOUND);
	assert_int_equal(status(t, "app", &d), SCAN_IN_PROGRESS);
}

static void
findings_go_with_their_image(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 1), got;
	struct digest layer, d = image(t, "app", "one", &layer);
	const struct image_delete del = {
		.repository = APP,
		.has_digest = true,
		.digest = d,
	};
	struct image_deleted deleted;

	scan(t, "app", &d, &f);
	assert_int_equal(
	    meta_image_delete(t->m, &del, &t->arena, &deleted), RC_OK);
	assert_int_equal(get(t, "app", &d, false, &got), RC_NOTFOUND);
	assert_int_equal(rows_of(t, TABLE_SCAN_FINDINGS), 0);
	assert_int_equal(rows_of(t, TABLE_SCANNED_SYSTEMS), 0);
}

static void
findings_go_with_their_repository(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 1);
	struct digest layer, d = image(t, "app", "one", &layer);
	struct repository_description description;

	scan(t, "app", &d, &f);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &description),
	    RC_OK);
	assert_int_equal(concerned(t, debian), 0);
	collect(t);
	assert_int_equal(rows_of(t, TABLE_SCAN_FINDINGS), 0);
	assert_int_equal(rows_of(t, TABLE_SCANNED_SYSTEMS), 0);
	mt_check(t);
}

static void
pages_go_on_where_they_ended(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 1);
	struct digest layer, d;
	char name[16];
	int i;

	for (i = 0; i < 7; i++) {
		(void)snprintf(name, sizeof(name), "app%d", i);
		d = image(t, name, name, &layer);
		scan(t, name, &d, &f);
	}
	assert_int_equal(concerned(t, debian), 7);
}

static void
too_much_is_refused(void **state)
{
	struct mt *t = *state;
	struct span many[FINDINGS_ECOSYSTEMS_MAX + 1];
	struct scan_findings f = findings(many, ARRAY_LEN(many), 1);
	struct digest layer, d = image(t, "app", "one", &layer);
	struct scan_job job;
	char *large = xmalloc(FINDINGS_TEXT_MAX_BYTES + 1);
	size_t i;

	for (i = 0; i < ARRAY_LEN(many); i++)
		many[i] = npm;
	start(t, "app", &d, 1000);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(meta_scan_complete(t->m, &job, &f), RC_TOOBIG);
	f = findings(&npm, 1, 1);
	f.text = (struct span){ large, FINDINGS_TEXT_MAX_BYTES + 1 };
	memset(large, ' ', f.text.n);
	assert_int_equal(meta_scan_complete(t->m, &job, &f), RC_TOOBIG);
	f.text.n--;
	assert_int_equal(meta_scan_complete(t->m, &job, &f), RC_OK);
	free(large);
}

/* --- the queue ----------------------------------------------------------- */

static void
the_queue_is_walked_from_any_place(void **state)
{
	struct mt *t = *state;
	struct digest one = mt_plain(t, "app", "one", "a");
	struct digest two = mt_plain(t, "lib", "two", "a");
	struct scan_job job, next;

	start(t, "app", &one, 1000);
	start(t, "lib", &two, 1000);
	assert_int_equal(meta_scan_waiting(t->m), 2);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_true(digest_eq(&job.digest, &one));
	assert_int_equal(meta_scan_behind(t->m, &job, &t->arena, &next), RC_OK);
	assert_true(digest_eq(&next.digest, &two));
	assert_true(span_is(next.repository, "lib"));
	assert_int_equal(
	    meta_scan_behind(t->m, &next, &t->arena, &job), RC_NOTFOUND);
	assert_int_equal(
	    meta_scan_end(t->m, &next, SCAN_FAILED, SPAN_NONE, 2000), RC_OK);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(
	    meta_scan_behind(t->m, &job, &t->arena, &next), RC_NOTFOUND);
}

/* --- sealed -------------------------------------------------------------- */

static bool
file_has(const char *dir, const char *text)
{
	char path[TOOL_PATH_BYTES + 16], *bytes;
	int64_t n;
	FILE *f;
	bool has;

	(void)snprintf(path, sizeof(path), "%s/meta.mdb", dir);
	n = tool_file_size(path);
	assert_true(n > 0);
	bytes = xmalloc((size_t)n);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(bytes, 1, (size_t)n, f), n);
	(void)fclose(f);
	has = memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
	free(bytes);
	return (has);
}

static bool
reason_is(
    struct mt *t, const char *repo, const struct digest *d, struct span reason)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, span_of(repo), &ref, &t->arena, &row), RC_OK);
	return (span_eq(row.scan.reason, reason));
}

/* Compressed, so short a text stands there as it is. */
static void
sealed_repositories_show_none_of_it_on_the_disk(void **state)
{
	struct mt *t = *state;
	struct scan_findings f = findings(&debian, 1, 1), got;
	struct digest layer, d;

	f.reason = SPAN("words that nobody is to see");
	mt_sealed(t, "sealed/app", NULL);
	d = image(t, "sealed/app", "one", &layer);
	scan(t, "sealed/app", &d, &f);
	assert_int_equal(index_put(t, "sealed/app", &layer), RC_OK);
	mt_reopen(t);
	assert_false(file_has(t->dir, "nobody-is-to-see"));
	assert_false(file_has(t->dir, INDEX));
	assert_false(file_has(t->dir, "words that nobody"));
	assert_true(reason_is(t, "sealed/app", &d, f.reason));
	assert_int_equal(get(t, "sealed/app", &d, true, &got), RC_OK);
	assert_true(span_is(got.text, TEXT));
	assert_int_equal(index_get(t, "sealed/app", &layer, READER), RC_OK);
	d = image(t, "app", "one", &layer);
	scan(t, "app", &d, &f);
	mt_reopen(t);
	assert_true(file_has(t->dir, "nobody-is-to-see"));
	assert_true(file_has(t->dir, "words that nobody"));
	assert_true(reason_is(t, "app", &d, f.reason));
}

/* --- damage -------------------------------------------------------------- */

static enum rc
rows_damage(struct meta_txn *t, void *arg)
{
	const struct digest *layer = arg;
	struct rec_key k;
	struct repository_row repo;
	enum rc rc;

	if ((rc = repo_find(t, FT_REPO, &repo)) != RC_OK)
		return (rc);
	/* A row that leads nowhere, an index of no layer, and damage. */
	key_system(&k, SPAN("alpine:3.18"), repo.id, layer);
	if ((rc = kv_put(t, TABLE_SCANNED_SYSTEMS, key_span(&k), rec_none())) !=
	    RC_OK)
		return (rc);
	key_blob(&k, 0, &(struct digest){ .alg = DIGEST_SHA256 });
	rc = kv_put(t, TABLE_LAYER_INDEXES, key_span(&k), SPAN("\1garbage"));
	key_repo_digest(&k, repo.id, layer);
	return (rc == RC_OK ? kv_put(t, TABLE_SCAN_FINDINGS, key_span(&k),
				  SPAN("\1what"))
			    : rc);
}

static void
check(struct ft *f, bool repair, struct fsck_progress *p)
{
	const struct fsck_options options = {
		.repair = repair,
		.skip_content = true,
	};

	*p = (struct fsck_progress){ 0 };
	assert_int_equal(fsck_run(f->s, &options, p), RC_OK);
}

static void
damage_is_found_and_repaired(void **state)
{
	struct ft *ft = *state;
	struct mt t = { .m = ft->m };
	struct scan_findings f = findings(&debian, 1, 1), got;
	struct fsck_progress p;

	arena_init(&t.arena, MIB);
	scan(&t, "team/app", &ft->image, &f);
	check(ft, false, &p);
	assert_int_equal(p.problems, 0);
	assert_int_equal(meta_change(t.m, rows_damage, &ft->layer, 0), RC_OK);
	check(ft, false, &p);
	assert_int_equal(p.problems, 3);
	check(ft, true, &p);
	check(ft, false, &p);
	assert_int_equal(p.problems, 0);
	assert_int_equal(get(&t, "team/app", &ft->image, true, &got), RC_OK);
	assert_int_equal(rows_of(&t, TABLE_SCANNED_SYSTEMS), 1);
	assert_int_equal(rows_of(&t, TABLE_LAYER_INDEXES), 0);
	arena_reset(&t.arena);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, mt_setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_index_is_kept_with_its_layer),
		TEST(all_repositories_with_the_layer_share_its_index),
		TEST(repositories_under_another_key_do_not_share_it),
		TEST(an_index_goes_with_its_layer),
		TEST(findings_end_a_scan_and_are_told),
		TEST(a_later_scan_takes_the_place_of_one_before),
		TEST(one_that_failed_for_lack_of_advisories_is_concerned),
		TEST(findings_are_not_replaced_by_those_of_before),
		TEST(findings_go_with_their_image),
		TEST(findings_go_with_their_repository),
		TEST(pages_go_on_where_they_ended),
		TEST(too_much_is_refused),
		TEST(the_queue_is_walked_from_any_place),
		TEST(sealed_repositories_show_none_of_it_on_the_disk),
		cmocka_unit_test_setup_teardown(
		    damage_is_found_and_repaired, ft_setup, ft_teardown),
	};

	return (cmocka_run_group_tests_name("findings", tests, NULL, NULL));
}
