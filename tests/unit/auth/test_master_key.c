#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth_tools.h"

#include "auth/master_key.h"
#include "base/clock.h"
#include "base/keyring.h"
#include "base/mem.h"
#include "storage/keys.h"
#include "storage/repositories.h"

/* Without users: the store alone. */
#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct master_key
master(const struct place *p)
{
	return ((struct master_key){ .store = p->store, .file = p->key_file });
}

static enum rc
opens(struct place *p, bool make, bool lacking)
{
	const struct master_key m = master(p);

	return (master_key_open(&m, make, lacking, p->why));
}

static enum rc
repository_make(struct place *p, const char *name, const char *kms_key)
{
	const struct repository_create create = {
		.name = span_of(name),
		.preset.settings = { .encryption = ENCRYPTION_KMS,
		    .kms_key = span_of(kms_key) },
		.now_ms = clock_real_ms(),
	};
	struct repository_row row;

	return (meta_repository_create(p->meta, &create, &row));
}

static void
store_again(struct place *p)
{
	place_stop(p);
	place_store(p);
}

static json_t *
listed(struct place *p, size_t i)
{
	json_t *list, *row;

	assert_int_equal(master_key_list(p->store, &list), RC_OK);
	row = json_incref(json_array_get(json_object_get(list, "keys"), i));
	json_decref(list);
	return (row);
}

static bool
is_here(struct place *p, size_t i)
{
	json_t *row = listed(p, i);
	bool here = json_is_true(json_object_get(row, "here"));

	json_decref(row);
	return (here);
}

/* --- the tests ----------------------------------------------------------- */

static void
test_where_nothing_is_encrypted_it_is_not_needed_and_not_made(void **state)
{
	struct place *p = *state;

	assert_int_equal(opens(p, false, false), RC_NOTFOUND);
	assert_string_equal(p->why, "");
	assert_int_equal(access(p->key_file, F_OK), -1);
	assert_int_equal(repository_make(p, "team/app", "a"), RC_LOCKED);
	assert_int_equal(opens(p, true, false), RC_OK);
	assert_int_equal(access(p->key_file, F_OK), 0);
	assert_int_equal(repository_make(p, "team/app", "a"), RC_OK);
	assert_true(is_here(p, 0));
}

static void
test_no_new_one_is_made_where_keys_are_wrapped(void **state)
{
	struct place *p = *state;

	/* The seal keys of users that there were once. */
	assert_int_equal(place_auth(p), RC_OK);
	auth_close(&p->auth);
	assert_int_equal(unlink(p->key_file), 0);
	assert_int_equal(opens(p, true, false), RC_NOTFOUND);
	assert_non_null(strstr(p->why, p->key_file));
	assert_int_equal(access(p->key_file, F_OK), -1);
}

static void
test_a_lost_one_is_told_with_the_keys_that_are_lost(void **state)
{
	struct place *p = *state;

	assert_int_equal(opens(p, true, false), RC_OK);
	assert_int_equal(repository_make(p, "team/app", "alias/blue"), RC_OK);
	store_again(p);
	assert_int_equal(unlink(p->key_file), 0);
	assert_int_equal(opens(p, true, false), RC_MISSING);
	assert_non_null(strstr(p->why, p->key_file));
	assert_non_null(strstr(p->why, "kms/blue"));
	assert_int_equal(access(p->key_file, F_OK), -1);
	write_file(p->key_file, KEY_A "\n");
	assert_int_equal(opens(p, true, false), RC_NOTFOUND);
	assert_non_null(strstr(p->why, "kms/blue"));
	assert_null(strstr(p->why, "aaaa"));
	/* Served nevertheless. */
	assert_int_equal(opens(p, false, true), RC_OK);
	assert_false(is_here(p, 0));
	assert_int_equal(unlink(p->key_file), 0);
	store_again(p);
	assert_int_equal(opens(p, false, true), RC_OK);
	assert_non_null(strstr(p->why, p->key_file));
	assert_false(is_here(p, 0));
}

static void
test_a_rotation_wraps_all_keys_under_the_new_one(void **state)
{
	const struct master_key m = master(*state);
	struct place *p = *state;
	char *before, *after;
	size_t n;

	assert_int_equal(opens(p, true, false), RC_OK);
	assert_int_equal(repository_make(p, "team/a", "a"), RC_OK);
	assert_int_equal(repository_make(p, "team/b", "b"), RC_OK);
	before = read_file(p->key_file);
	assert_int_equal(master_key_rotate(&m, &n, p->why), RC_OK);
	assert_int_equal(n, 2);
	after = read_file(p->key_file);
	assert_string_not_equal(before, after);
	/* What is made from now on is under it, too. */
	assert_int_equal(repository_make(p, "team/c", "c"), RC_OK);
	store_again(p);
	assert_int_equal(opens(p, false, false), RC_OK);
	assert_true(is_here(p, 0) && is_here(p, 1) && is_here(p, 2));
	store_again(p);
	write_file(p->key_file, before);
	assert_int_equal(opens(p, false, false), RC_NOTFOUND);
	free(before);
	free(after);
}

static void
test_a_rotation_that_was_cut_off_is_ended_by_what_opens_it(void **state)
{
	struct place *p = *state;
	struct master_key m;
	size_t i, n;

	assert_int_equal(opens(p, true, false), RC_OK);
	assert_int_equal(repository_make(p, "team/a", "a"), RC_OK);
	for (i = 0; i < 6; i++) {
		assert_int_equal(keyring_file_add(p->key_file, p->why), RC_OK);
		store_again(p);
		assert_int_equal(opens(p, false, false), RC_OK);
		assert_true(is_here(p, 0));
		m = master(p);
		assert_int_equal(master_key_rotate(&m, &n, p->why), RC_OK);
		assert_int_equal(n, 1);
	}
	store_again(p);
	assert_int_equal(opens(p, false, false), RC_OK);
	assert_true(is_here(p, 0));
}

static void
test_one_that_lacks_a_key_is_not_replaced(void **state)
{
	struct place *p = *state;
	struct master_key m;
	char *before, *after;
	size_t n;

	assert_int_equal(opens(p, true, false), RC_OK);
	assert_int_equal(repository_make(p, "team/a", "a"), RC_OK);
	store_again(p);
	write_file(p->key_file, KEY_A "\n");
	assert_int_equal(opens(p, false, true), RC_OK);
	before = read_file(p->key_file);
	m = master(p);
	assert_int_not_equal(master_key_rotate(&m, &n, p->why), RC_OK);
	assert_non_null(strstr(p->why, "kms/a"));
	after = read_file(p->key_file);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static int
setup(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	place_make(p);
	place_stop(p);
	/* Another folder, that nobody has users in. */
	assert_int_equal(unlink(p->key_file), 0);
	(void)snprintf(p->data, sizeof(p->data), "%.400s/none", p->dir);
	place_store(p);
	*state = p;
	return (0);
}

static int
teardown(void **state)
{
	place_remove(*state);
	free(*state);
	return (0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    test_where_nothing_is_encrypted_it_is_not_needed_and_not_made),
		TEST(test_no_new_one_is_made_where_keys_are_wrapped),
		TEST(test_a_lost_one_is_told_with_the_keys_that_are_lost),
		TEST(test_a_rotation_wraps_all_keys_under_the_new_one),
		TEST(
		    test_a_rotation_that_was_cut_off_is_ended_by_what_opens_it),
		TEST(test_one_that_lacks_a_key_is_not_replaced),
	};

	return (cmocka_run_group_tests_name("master key", tests, NULL, NULL));
}
