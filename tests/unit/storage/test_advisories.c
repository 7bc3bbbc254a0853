#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "scan/advisory_import.h"
#include "storage/advisories.h"
#include "storage/meta_int.h"

/*
 * The advisory database: a set is seen when it is whole, in place of the one
 * before, and what is not seen goes little by little.
 */
static struct advisory_row
row(const char *ecosystem, const char *package, const char *record)
{
	return ((struct advisory_row){
	    span_of(ecosystem), span_of(package), span_of(record) });
}

static uint64_t
begin(struct mt *t)
{
	uint64_t set = 0;

	assert_int_equal(meta_advisories_begin(t->m, &set), RC_OK);
	assert_true(set > 0);
	return (set);
}

static void
add(struct mt *t, uint64_t set, const char *ecosystem, const char *package,
    const char *record)
{
	const struct advisory_row r = row(ecosystem, package, record);

	assert_int_equal(meta_advisories_add(t->m, set, &r, 1), RC_OK);
}

static uint64_t
commit(struct mt *t, uint64_t id, const char *source)
{
	static const struct span ecosystems[] = { SPAN_INIT("debian:bookworm"),
		SPAN_INIT("debian:trixie") };
	struct advisory_set set = {
		.id = id,
		.source = span_of(source),
		.format = SPAN("debian"),
		.imported_ms = 1000,
		.published_ms = 500,
		.advisories = 7,
		.ecosystems = ecosystems,
		.n_ecosystems = 2,
	};

	assert_int_equal(meta_advisories_commit(t->m, &set), RC_OK);
	return (set.revision);
}

static enum rc
record_add(void *arg, struct span record)
{
	buf_span(arg, record);
	buf_char(arg, ' ');
	return (RC_OK);
}

static void
finds(
    struct mt *t, const char *ecosystem, const char *package, const char *want)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	assert_int_equal(meta_advisories_find(t->m, span_of(ecosystem),
			     span_of(package), &t->arena, record_add, &out),
	    RC_OK);
	buf_char(&out, '\0');
	assert_string_equal(out.p, want);
	buf_free(&out);
}

static uint64_t
revision(struct mt *t)
{
	uint64_t n = UINT64_MAX;

	assert_int_equal(meta_advisories_revision(t->m, &n), RC_OK);
	return (n);
}

static uint64_t
rows(struct mt *t)
{
	struct meta_txn txn;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	n = kv_count(&txn, TABLE_ADVISORIES);
	meta_read_end(&txn);
	return (n);
}

static bool
sweep(struct mt *t, unsigned max)
{
	bool more;

	assert_int_equal(meta_advisories_sweep(t->m, max, &more), RC_OK);
	return (more);
}

static void
without_an_import_there_is_nothing(void **state)
{
	struct mt *t = *state;
	struct advisory_set *sets;
	size_t n;

	assert_int_equal(revision(t), 0);
	finds(t, "debian:bookworm", "bash", "");
	finds(t, "", "", "");
	assert_int_equal(meta_advisory_sets(t->m, &t->arena, &sets, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_false(sweep(t, 10));
	assert_int_equal(
	    meta_advisories_drop(t->m, SPAN("debian")), RC_NOTFOUND);
}

static void
a_set_is_seen_when_it_is_whole(void **state)
{
	struct mt *t = *state;
	struct advisory_set *sets;
	uint64_t set = begin(t);
	size_t n;

	add(t, set, "debian:bookworm", "bash", "one");
	add(t, set, "debian:bookworm", "bash", "two");
	add(t, set, "debian:bookworm", "bash2", "three");
	add(t, set, "debian:trixie", "bash", "four");
	finds(t, "debian:bookworm", "bash", "");
	assert_int_equal(revision(t), 0);
	assert_int_equal(commit(t, set, "debian"), 1);
	finds(t, "debian:bookworm", "bash", "one two ");
	finds(t, "debian:bookworm", "bas", "");
	finds(t, "debian:bookwor", "bash", "");
	mt_reopen(t);
	finds(t, "debian:trixie", "bash", "four ");
	assert_int_equal(revision(t), 1);
	assert_int_equal(meta_advisory_sets(t->m, &t->arena, &sets, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(sets[0].id, set);
	assert_true(span_is(sets[0].source, "debian"));
	assert_true(span_is(sets[0].format, "debian"));
	assert_int_equal(sets[0].imported_ms, 1000);
	assert_int_equal(sets[0].published_ms, 500);
	assert_int_equal(sets[0].advisories, 7);
	assert_int_equal(sets[0].revision, 1);
	assert_int_equal(sets[0].n_ecosystems, 2);
	assert_true(span_is(sets[0].ecosystems[1], "debian:trixie"));
}

static void
a_newer_set_takes_the_place_of_the_one_before(void **state)
{
	struct mt *t = *state;
	uint64_t first = begin(t), other, second;

	add(t, first, "e", "p", "old");
	(void)commit(t, first, "a");
	other = begin(t);
	add(t, other, "e", "p", "other");
	(void)commit(t, other, "b");
	finds(t, "e", "p", "old other ");
	second = begin(t);
	add(t, second, "e", "p", "new");
	finds(t, "e", "p", "old other ");
	assert_int_equal(commit(t, second, "a"), 3);
	finds(t, "e", "p", "new other ");
	assert_int_equal(rows(t), 3);
	while (sweep(t, 10))
		continue;
	assert_int_equal(rows(t), 2);
	finds(t, "e", "p", "new other ");
}

static void
what_is_removed_is_not_seen_any_more(void **state)
{
	struct mt *t = *state;
	uint64_t set = begin(t);

	add(t, set, "e", "p", "one");
	(void)commit(t, set, "a");
	finds(t, "e", "p", "one ");
	assert_int_equal(meta_advisories_drop(t->m, SPAN("a")), RC_OK);
	finds(t, "e", "p", "");
	assert_int_equal(revision(t), 2);
	while (sweep(t, 10))
		continue;
	assert_int_equal(rows(t), 0);
}

static void
sweeping_goes_a_little_at_a_time(void **state)
{
	struct mt *t = *state;
	uint64_t gone = begin(t), kept, alive;
	char name[16];
	int i;

	for (i = 0; i < 25; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		add(t, gone, "e", name, "x");
	}
	kept = begin(t);
	add(t, kept, "e", "p", "kept");
	(void)commit(t, kept, "a");
	/* One that is being imported stays, one that was given up goes. */
	alive = begin(t);
	add(t, alive, "e", "p", "alive");
	assert_false(sweep(t, 10));
	assert_int_equal(rows(t), 27);
	meta_advisories_abandon(t->m, gone);
	assert_true(sweep(t, 10));
	assert_int_equal(rows(t), 17);
	assert_true(sweep(t, 10));
	assert_int_equal(rows(t), 7);
	(void)sweep(t, 10);
	assert_int_equal(rows(t), 2);
	add(t, alive, "e", "p", "more");
	(void)commit(t, alive, "b");
	finds(t, "e", "p", "kept alive more ");
}

static void
an_import_ends_with_its_process(void **state)
{
	const struct advisory_row r = row("e", "p", "x");
	struct mt *t = *state;
	uint64_t set = begin(t);
	struct advisory_set gone = { .id = set, .source = SPAN("a") };

	add(t, set, "e", "p", "x");
	mt_reopen(t);
	assert_int_equal(meta_advisories_add(t->m, set, &r, 1), RC_NOTFOUND);
	assert_int_equal(meta_advisories_commit(t->m, &gone), RC_NOTFOUND);
	assert_int_equal(rows(t), 1);
	(void)sweep(t, 10);
	assert_int_equal(rows(t), 0);
	/* Numbers are not given out again. */
	assert_true(begin(t) > set);
}

static void
only_so_many_imports_run(void **state)
{
	struct mt *t = *state;
	uint64_t a = begin(t), b = begin(t), c;

	assert_int_equal(meta_advisories_begin(t->m, &c), RC_LIMIT);
	meta_advisories_abandon(t->m, a);
	meta_advisories_abandon(t->m, a);
	meta_advisories_abandon(t->m, 0);
	c = begin(t);
	meta_advisories_abandon(t->m, b);
	meta_advisories_abandon(t->m, c);
}

static void
what_is_wrong_with_a_row_is_told(void **state)
{
	char name[ADVISORY_PACKAGE_MAX_BYTES + 1];
	struct mt *t = *state;
	struct advisory_row r = row("e", "p", "x");
	struct advisory_set none = { .id = begin(t) };

	memset(name, 'n', sizeof(name));
	r.package = (struct span){ name, sizeof(name) };
	assert_int_equal(meta_advisories_add(t->m, none.id, &r, 1), RC_TOOBIG);
	r.package.n--;
	assert_int_equal(meta_advisories_add(t->m, none.id, &r, 1), RC_OK);
	r.record = SPAN_NONE;
	assert_int_equal(meta_advisories_add(t->m, none.id, &r, 1), RC_INVALID);
	r = row("", "p", "x");
	assert_int_equal(meta_advisories_add(t->m, none.id, &r, 1), RC_INVALID);
	r = row("e", "p", "x");
	assert_int_equal(meta_advisories_add(t->m, 99, &r, 1), RC_NOTFOUND);
	assert_int_equal(meta_advisories_add(t->m, 0, &r, 1), RC_NOTFOUND);
	assert_int_equal(meta_advisories_commit(t->m, &none), RC_INVALID);
}

static enum rc
record_refuse(void *arg, struct span record)
{
	(void)arg;
	(void)record;
	return (RC_CANCELLED);
}

static void
who_looks_may_end_it(void **state)
{
	struct mt *t = *state;
	struct arena small;
	uint64_t set = begin(t);

	add(t, set, "e", "p", "x");
	(void)commit(t, set, "a");
	assert_int_equal(meta_advisories_find(t->m, SPAN("e"), SPAN("p"),
			     &t->arena, record_refuse, NULL),
	    RC_CANCELLED);
	arena_init(&small, 16);
	assert_int_equal(meta_advisories_find(t->m, SPAN("e"), SPAN("p"),
			     &small, record_refuse, NULL),
	    RC_TOOBIG);
	arena_reset(&small);
}

/* --- whole files --------------------------------------------------------- */

struct file {
	struct span rest;
	bool fails;
};

static long
file_read(void *arg, const void **p_r)
{
	struct file *f = arg;
	size_t n = f->rest.n < 100 ? f->rest.n : 100;

	*p_r = f->rest.p;
	f->rest.p += n;
	f->rest.n -= n;
	return (n == 0 && f->fails ? -1 : (long)n);
}

static enum rc
import(struct mt *t, const char *source, struct span text, bool fails,
    const _Atomic bool *stop, char why[ADVISORY_WHY_BYTES])
{
	struct file f = { .rest = text, .fails = fails };
	const struct advisory_import im = {
		.meta = t->m,
		.source = span_of(source),
		.stop = stop,
	};
	struct advisory_imported done;
	enum rc rc;

	rc = advisory_import(&im, file_read, &f, &t->arena, why, &done);
	if (rc == RC_OK)
		assert_int_equal(done.set.advisories, done.tally.advisories);
	return (rc);
}

#define RELEASE(name, status) "\"" name "\": {\"status\": \"" status "\"}"
#define FILE_ONE \
	"{\"bash\": {\"CVE-1\": {\"releases\": {" RELEASE( \
	    "bookworm", "open") ", " RELEASE("trixie", "open") "}}}}"
#define FILE_TWO \
	"{\"bash\": {\"CVE-2\": {\"releases\": {" RELEASE( \
	    "bookworm", "open") "}}}}"
#define FILE_BAD \
	"{\"bash\": {\"CVE-3\": {\"releases\": {" RELEASE( \
	    "bookworm", "open") "}}}, \"zlib\": 7}"

static void
a_file_is_imported_and_replaced(void **state)
{
	char why[ADVISORY_WHY_BYTES];
	struct advisory_set *sets;
	struct mt *t = *state;
	size_t n;

	assert_int_equal(
	    import(t, NULL, SPAN(FILE_ONE), false, NULL, why), RC_OK);
	assert_int_equal(meta_advisory_sets(t->m, &t->arena, &sets, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_true(span_is(sets[0].source, "debian"));
	assert_int_equal(sets[0].advisories, 2);
	assert_int_equal(sets[0].n_ecosystems, 2);
	assert_true(span_is(sets[0].ecosystems[0], "debian:bookworm"));
	assert_int_equal(
	    import(t, NULL, SPAN(FILE_TWO), false, NULL, why), RC_OK);
	assert_int_equal(
	    import(t, "mine", SPAN(FILE_ONE), false, NULL, why), RC_OK);
	assert_int_equal(meta_advisory_sets(t->m, &t->arena, &sets, &n), RC_OK);
	assert_int_equal(n, 2);
	assert_int_equal(sets[0].advisories, 1);
	assert_true(span_is(sets[1].source, "mine"));
	assert_int_equal(advisory_sweep(t->m, NULL), RC_OK);
	assert_int_equal(rows(t), 3);
}

static void
an_import_that_fails_leaves_what_was_there(void **state)
{
	_Atomic bool stop = true;
	char why[ADVISORY_WHY_BYTES];
	struct mt *t = *state;

	assert_int_equal(
	    import(t, NULL, SPAN(FILE_ONE), false, NULL, why), RC_OK);
	assert_int_equal(
	    import(t, NULL, SPAN(FILE_BAD), false, NULL, why), RC_INVALID);
	assert_non_null(strstr(why, "not a JSON object"));
	assert_int_equal(
	    import(t, NULL, SPAN(FILE_TWO), true, NULL, why), RC_IO);
	assert_int_equal(
	    import(t, NULL, SPAN(FILE_TWO), false, &stop, why), RC_CANCELLED);
	assert_int_equal(
	    import(t, "a b", SPAN(FILE_TWO), false, NULL, why), RC_INVALID);
	assert_int_equal(
	    import(t, NULL, SPAN("{\"id\": \"x\"}"), false, NULL, why),
	    RC_INVALID);
	assert_non_null(strstr(why, "no advisory in it"));
	assert_int_equal(revision(t), 1);
	assert_int_equal(advisory_sweep(t->m, NULL), RC_OK);
	assert_int_equal(rows(t), 2);
	/* None of them counts as running. */
	(void)begin(t);
	(void)begin(t);
}

static void
a_long_file_comes_in_batches(void **state)
{
	_Atomic uint64_t stored = 0;
	char why[ADVISORY_WHY_BYTES], name[32];
	struct advisory_imported done;
	struct mt *t = *state;
	struct file f = { 0 };
	const struct advisory_import im = { .meta = t->m, .stored = &stored };
	struct buf b;
	int i;

	buf_init(&b, 1 << 24);
	for (i = 0; i < 3333; i++)
		buf_printf(&b,
		    "%s\"p%d\": {\"CVE-%d\": {\"releases\": {" RELEASE(
			"bookworm", "open") "}}}",
		    i == 0 ? "{" : ",", i, i);
	buf_str(&b, "}");
	f.rest = buf_as_span(&b);
	assert_int_equal(
	    advisory_import(&im, file_read, &f, &t->arena, why, &done), RC_OK);
	assert_int_equal(done.tally.advisories, 3333);
	assert_int_equal(done.tally.packages, 3333);
	assert_int_equal(atomic_load(&stored), 3333);
	assert_int_equal(rows(t), 3333);
	for (i = 0; i < 3333; i += 1111) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		b.n = 0;
		assert_int_equal(
		    meta_advisories_find(t->m, SPAN("debian:bookworm"),
			span_of(name), &t->arena, record_add, &b),
		    RC_OK);
		assert_true(b.n > 1);
	}
	buf_free(&b);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_an_import_there_is_nothing),
		TEST(a_set_is_seen_when_it_is_whole),
		TEST(a_newer_set_takes_the_place_of_the_one_before),
		TEST(what_is_removed_is_not_seen_any_more),
		TEST(sweeping_goes_a_little_at_a_time),
		TEST(an_import_ends_with_its_process),
		TEST(only_so_many_imports_run),
		TEST(what_is_wrong_with_a_row_is_told),
		TEST(who_looks_may_end_it),
		TEST(a_file_is_imported_and_replaced),
		TEST(an_import_that_fails_leaves_what_was_there),
		TEST(a_long_file_comes_in_batches),
	};

	return (cmocka_run_group_tests_name("advisories", tests, NULL, NULL));
}
