#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/entities.h"
#include "storage/meta_int.h"

/*
 * Entities: what is changed together is changed together, and who did not
 * know the last change is told.
 */

static struct entity_change
change(enum entity_kind kind, const char *name, const char *record)
{
	return ((struct entity_change){
	    .entity = { kind, span_of(name), mt_span(record) } });
}

static uint64_t
generation(struct mt *t)
{
	uint64_t n = UINT64_MAX;

	assert_int_equal(meta_entity_generation(t->m, &n), RC_OK);
	return (n);
}

/* As one who has just read. */
static enum rc
put(struct mt *t, enum entity_kind kind, const char *name, const char *record)
{
	const struct entity_change c = change(kind, name, record);
	uint64_t n;

	return (meta_entities_change(t->m, generation(t), &c, 1, &n));
}

static bool
is(struct mt *t, enum entity_kind kind, const char *name, const char *record)
{
	struct entity e;
	enum rc rc;

	rc = meta_entity_get(t->m, kind, span_of(name), &t->arena, &e);
	if (rc == RC_NOTFOUND)
		return (record == NULL);
	assert_int_equal(rc, RC_OK);
	assert_int_equal(e.kind, kind);
	assert_true(span_is(e.name, name));
	return (record != NULL && span_is(e.record, record));
}

static void
an_empty_registry_has_none_and_generation_0(void **state)
{
	struct mt *t = *state;
	struct entity_page page;

	assert_int_equal(generation(t), 0);
	assert_true(is(t, ENTITY_USER, "1/a", NULL));
	assert_int_equal(meta_entity_page(t->m, ENTITY_USER, SPAN_NONE, 10,
			     &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
	assert_false(page.more);
	assert_int_equal(page.generation, 0);
}

static void
what_is_put_is_there_after_opening_again(void **state)
{
	struct mt *t = *state;

	assert_int_equal(put(t, ENTITY_USER, "1/a", "{\"a\":1}"), RC_OK);
	assert_int_equal(put(t, ENTITY_GROUP, "1/a", "{}"), RC_OK);
	assert_int_equal(put(t, ENTITY_USER, "1/a", "{\"a\":2}"), RC_OK);
	mt_reopen(t);
	assert_true(is(t, ENTITY_USER, "1/a", "{\"a\":2}"));
	assert_true(is(t, ENTITY_GROUP, "1/a", "{}"));
	assert_true(is(t, ENTITY_POLICY, "1/a", NULL));
	assert_int_equal(generation(t), 3);
	assert_int_equal(put(t, ENTITY_USER, "1/a", NULL), RC_OK);
	assert_true(is(t, ENTITY_USER, "1/a", NULL));
	assert_true(is(t, ENTITY_GROUP, "1/a", "{}"));
	assert_int_equal(generation(t), 4);
}

static void
kinds_know_nothing_of_each_other(void **state)
{
	static const enum entity_kind kinds[] = { ENTITY_USER, ENTITY_GROUP,
		ENTITY_POLICY, ENTITY_ACCESS_KEY, ENTITY_SEAL_KEY,
		ENTITY_REGISTRY, ENTITY_CREATION_TEMPLATE, ENTITY_CACHE_RULE,
		ENTITY_PULL_EXCLUSION };
	struct mt *t = *state;
	struct entity_page page;
	char record[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		snprintf(record, sizeof(record), "{%zu}", i);
		assert_int_equal(put(t, kinds[i], "same", record), RC_OK);
		assert_int_equal(generation(t), i + 1);
	}
	mt_reopen(t);
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		snprintf(record, sizeof(record), "{%zu}", i);
		assert_true(is(t, kinds[i], "same", record));
		assert_int_equal(meta_entity_page(t->m, kinds[i], SPAN_NONE, 9,
				     &t->arena, &page),
		    RC_OK);
		assert_int_equal(page.n, 1);
		assert_true(span_is(page.rows[0].record, record));
	}
}

static void
who_does_not_know_the_last_change_is_refused(void **state)
{
	const struct entity_change mine = change(ENTITY_USER, "1/a", "mine");
	struct mt *t = *state;
	uint64_t n = 77;

	assert_int_equal(put(t, ENTITY_GROUP, "1/g", "{}"), RC_OK);
	assert_int_equal(meta_entities_change(t->m, 0, &mine, 1, &n), RC_BUSY);
	assert_int_equal(meta_entities_change(t->m, 2, &mine, 1, &n), RC_BUSY);
	assert_true(is(t, ENTITY_USER, "1/a", NULL));
	assert_int_equal(n, 77);
	assert_int_equal(generation(t), 1);
	assert_int_equal(meta_entities_change(t->m, 1, &mine, 1, &n), RC_OK);
	assert_int_equal(n, 2);
	assert_true(is(t, ENTITY_USER, "1/a", "mine"));
}

static void
a_change_of_several_is_all_or_none(void **state)
{
	struct mt *t = *state;
	struct entity_change c[3] = {
		change(ENTITY_USER, "1/a", "{}"),
		change(ENTITY_USER, "1/b", NULL),
		change(ENTITY_ACCESS_KEY, "AKIA1", "{}"),
	};
	uint64_t n;

	assert_int_equal(put(t, ENTITY_USER, "1/b", "{}"), RC_OK);
	c[2].must_exist = true;
	assert_int_equal(meta_entities_change(t->m, 1, c, 3, &n), RC_NOTFOUND);
	c[2].must_exist = false;
	c[1].must_be_new = true;
	assert_int_equal(meta_entities_change(t->m, 1, c, 3, &n), RC_EXISTS);
	assert_true(is(t, ENTITY_USER, "1/a", NULL));
	assert_true(is(t, ENTITY_USER, "1/b", "{}"));
	assert_int_equal(generation(t), 1);
	c[0].must_be_new = true;
	c[1].must_be_new = false;
	c[1].must_exist = true;
	assert_int_equal(meta_entities_change(t->m, 1, c, 3, &n), RC_OK);
	assert_true(is(t, ENTITY_USER, "1/a", "{}"));
	assert_true(is(t, ENTITY_USER, "1/b", NULL));
	assert_true(is(t, ENTITY_ACCESS_KEY, "AKIA1", "{}"));
	/* What was not there need not be deleted, unless it must. */
	assert_int_equal(put(t, ENTITY_USER, "1/zz", NULL), RC_OK);
}

static void
notes_ask_and_move_no_generation(void **state)
{
	struct mt *t = *state;
	struct entity_change c[2] = {
		change(ENTITY_NOTE, "AKIA1", "{\"t\":1}"),
		change(ENTITY_USER, "1/a", "{}"),
	};
	uint64_t n;

	assert_int_equal(meta_entities_change(t->m, 99, c, 1, &n), RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(generation(t), 0);
	assert_true(is(t, ENTITY_NOTE, "AKIA1", "{\"t\":1}"));
	assert_int_equal(meta_entities_change(t->m, 99, c, 2, &n), RC_BUSY);
	assert_int_equal(meta_entities_change(t->m, 0, c, 2, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(meta_entities_change(t->m, 99, NULL, 0, &n), RC_OK);
	assert_int_equal(n, 1);
}

static void
names_and_records_have_bounds(void **state)
{
	struct mt *t = *state;
	size_t big = ENTITY_RECORD_MAX_BYTES;
	char name[ENTITY_NAME_MAX_BYTES + 2] = "";
	char *record = xcalloc(1, big + 2);
	struct entity e;

	memset(name, 'n', ENTITY_NAME_MAX_BYTES);
	memset(record, 'r', big);
	assert_int_equal(put(t, ENTITY_USER, name, record), RC_OK);
	assert_true(is(t, ENTITY_USER, name, record));
	record[big] = 'r';
	assert_int_equal(put(t, ENTITY_USER, "1/a", record), RC_TOOBIG);
	name[ENTITY_NAME_MAX_BYTES] = 'n';
	assert_int_equal(put(t, ENTITY_USER, name, "{}"), RC_TOOBIG);
	assert_int_equal(put(t, ENTITY_USER, name, NULL), RC_TOOBIG);
	assert_int_equal(
	    meta_entity_get(t->m, ENTITY_USER, span_of(name), &t->arena, &e),
	    RC_NOTFOUND);
	assert_int_equal(
	    meta_entity_get(t->m, ENTITY_USER, SPAN_NONE, &t->arena, &e),
	    RC_NOTFOUND);
	assert_int_equal(put(t, ENTITY_USER, "", "{}"), RC_INVALID);
	assert_int_equal(put(t, ENTITY_USER, "1/a", ""), RC_INVALID);
	assert_int_equal(generation(t), 1);
	free(record);
}

/* Pages. */

#define MANY 45

static size_t
pages_join(struct mt *t, size_t n_at_once)
{
	struct span after = SPAN_NONE;
	struct entity_page page;
	char want[32];
	size_t i, n = 0;

	do {
		assert_int_equal(meta_entity_page(t->m, ENTITY_GROUP, after,
				     n_at_once, &t->arena, &page),
		    RC_OK);
		assert_int_equal(page.generation, generation(t));
		for (i = 0; i < page.n; i++) {
			snprintf(want, sizeof(want), "1/g%03zu", n++);
			assert_int_equal(page.rows[i].kind, ENTITY_GROUP);
			assert_true(span_is(page.rows[i].name, want));
			assert_true(span_is(page.rows[i].record, want));
		}
		after = page.rows[page.n - 1].name;
	} while (page.more);
	return (n);
}

static void
pages_join_to_the_sorted_whole_of_a_kind(void **state)
{
	static const size_t sizes[] = { 1, 2, 15, 16, 17, MANY - 1, MANY,
		1000 };
	struct mt *t = *state;
	struct entity_page page;
	char name[32];
	size_t i;

	assert_int_equal(put(t, ENTITY_USER, "1/u", "{}"), RC_OK);
	assert_int_equal(put(t, ENTITY_POLICY, "1/p", "{}"), RC_OK);
	for (i = MANY; i-- > 0;) {
		snprintf(name, sizeof(name), "1/g%03zu", i);
		assert_int_equal(put(t, ENTITY_GROUP, name, name), RC_OK);
	}
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(pages_join(t, sizes[i]), MANY);
	/* After a name that is not there; and after the last. */
	assert_int_equal(meta_entity_page(t->m, ENTITY_GROUP, SPAN("1/g000x"),
			     1, &t->arena, &page),
	    RC_OK);
	assert_true(span_is(page.rows[0].name, "1/g001"));
	assert_int_equal(meta_entity_page(t->m, ENTITY_GROUP, SPAN("1/h"), 1,
			     &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
	assert_false(page.more);
}

static void
a_page_past_the_cap_of_the_arena_is_too_big(void **state)
{
	struct mt *t = *state;
	struct entity_page page;
	char *record = xcalloc(1, 3001);
	struct arena small;

	memset(record, 'x', 3000);
	assert_int_equal(put(t, ENTITY_USER, "1/a", record), RC_OK);
	arena_init(&small, 2000);
	assert_int_equal(
	    meta_entity_page(t->m, ENTITY_USER, SPAN_NONE, 10, &small, &page),
	    RC_TOOBIG);
	arena_reset(&small);
	free(record);
}

/* Several at once. */

#define RIVALS 4
#define ROUNDS 25

struct rival {
	struct mt *t;
	pthread_t thread;
	_Atomic unsigned *conflicts;
};

/* Adds one to a number that all share, until it has done so often enough. */
static bool
count_up(struct rival *r)
{
	struct entity_change c = change(ENTITY_REGISTRY, "n", NULL);
	struct entity_page page;
	uint64_t next;
	struct arena a;
	size_t n = 0;
	enum rc rc;

	arena_init(&a, 1 << 16);
	must(meta_entity_page(
		 r->t->m, ENTITY_REGISTRY, SPAN_NONE, 1, &a, &page) == RC_OK);
	if (page.n > 0)
		n = page.rows[0].record.n;
	must(n < (size_t)RIVALS * ROUNDS);
	c.entity.record = (struct span){ arena_calloc(&a, n + 1, 1), n + 1 };
	rc = meta_entities_change(r->t->m, page.generation, &c, 1, &next);
	must(rc == RC_OK || rc == RC_BUSY);
	arena_reset(&a);
	return (rc == RC_OK);
}

static void *
rival_run(void *arg)
{
	struct rival *r = arg;
	unsigned i = 0;

	while (i < ROUNDS) {
		if (count_up(r))
			i++;
		else
			atomic_fetch_add(r->conflicts, 1);
	}
	return (NULL);
}

static void
rivals_lose_no_change(void **state)
{
	struct mt *t = *state;
	struct rival rivals[RIVALS];
	_Atomic unsigned conflicts = 0;
	struct entity e;
	size_t i;

	for (i = 0; i < RIVALS; i++) {
		rivals[i] = (struct rival){ .t = t, .conflicts = &conflicts };
		assert_int_equal(pthread_create(&rivals[i].thread, NULL,
				     rival_run, &rivals[i]),
		    0);
	}
	for (i = 0; i < RIVALS; i++)
		assert_int_equal(pthread_join(rivals[i].thread, NULL), 0);
	assert_int_equal(
	    meta_entity_get(t->m, ENTITY_REGISTRY, SPAN("n"), &t->arena, &e),
	    RC_OK);
	assert_int_equal(e.record.n, RIVALS * ROUNDS);
	assert_int_equal(generation(t), RIVALS * ROUNDS);
}

/* Damage. */

static enum rc
spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	(void)arg;
	key_entity(&k, ENTITY_USER, SPAN("1/a"));
	return (kv_put(t, TABLE_ENTITIES, key_span(&k), SPAN("\002{}")));
}

static void
a_damaged_record_is_told_and_can_be_put_anew(void **state)
{
	struct mt *t = *state;
	struct entity_page page;
	struct entity e;

	assert_int_equal(meta_change(t->m, spoil, NULL, 0), RC_OK);
	assert_int_equal(
	    meta_entity_get(t->m, ENTITY_USER, SPAN("1/a"), &t->arena, &e),
	    RC_CORRUPT);
	assert_int_equal(
	    meta_entity_page(t->m, ENTITY_USER, SPAN_NONE, 9, &t->arena, &page),
	    RC_CORRUPT);
	assert_int_equal(put(t, ENTITY_USER, "1/a", "{}"), RC_OK);
	assert_true(is(t, ENTITY_USER, "1/a", "{}"));
}

static void
who_only_reads_changes_nothing(void **state)
{
	struct mt *t = *state;

	assert_int_equal(put(t, ENTITY_USER, "1/a", "{}"), RC_OK);
	t->options.read_only = true;
	mt_reopen(t);
	assert_int_equal(put(t, ENTITY_USER, "1/b", "{}"), RC_READONLY);
	assert_true(is(t, ENTITY_USER, "1/a", "{}"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_registry_has_none_and_generation_0),
		TEST(what_is_put_is_there_after_opening_again),
		TEST(kinds_know_nothing_of_each_other),
		TEST(who_does_not_know_the_last_change_is_refused),
		TEST(a_change_of_several_is_all_or_none),
		TEST(notes_ask_and_move_no_generation),
		TEST(names_and_records_have_bounds),
		TEST(pages_join_to_the_sorted_whole_of_a_kind),
		TEST(a_page_past_the_cap_of_the_arena_is_too_big),
		TEST(rivals_lose_no_change),
		TEST(a_damaged_record_is_told_and_can_be_put_anew),
		TEST(who_only_reads_changes_nothing),
	};

	return (cmocka_run_group_tests_name("entities", tests, NULL, NULL));
}
