#include <crypt.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "auth/password_int.h"
#include "base/mem.h"

static void
test_a_password_matches_its_hash_and_nothing_else(void **state)
{
	char hash[PASSWORD_HASH_BYTES], again[PASSWORD_HASH_BYTES], why[256];

	(void)state;
	assert_int_equal(
	    password_new(SPAN("correct horse"), hash, why, sizeof(why)), RC_OK);
	assert_memory_equal(hash, "$2b$10$", 7);
	assert_true(password_matches(SPAN("correct horse"), hash));
	assert_false(password_matches(SPAN("correct hors"), hash));
	assert_false(password_matches(SPAN("correct horsf"), hash));
	assert_int_equal(
	    password_new(SPAN("correct horse"), again, why, sizeof(why)),
	    RC_OK);
	assert_string_not_equal(hash, again);
}

static void
test_hashes_of_other_programs_are_taken(void **state)
{
	/* bcrypt with each of its marks, SHA-512 and yescrypt, of "secret". */
	static const char *const hashes[] = {
		"$2a$04$abcdefghijklmnopqrstuu"
		"2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
		"$2y$05$abcdefghijklmnopqrstuu"
		"OQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
		"$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy"
		"0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
		"$y$j9T$abcdefghijklmnop$"
		"3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		assert_true(password_matches(SPAN("secret"), hashes[i]));
		assert_false(password_matches(SPAN("other"), hashes[i]));
	}
	assert_false(password_matches(SPAN("secret"), "no hash"));
	assert_false(password_matches(SPAN("secret"), ""));
	assert_false(password_matches(SPAN("*0"), "*0"));
}

static void
test_what_bcrypt_would_cut_is_refused(void **state)
{
	char hash[PASSWORD_HASH_BYTES], why[256];
	char long_one[73];

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	assert_int_equal(
	    password_new((struct span){ long_one, 73 }, hash, why, sizeof(why)),
	    RC_INVALID);
	assert_non_null(strstr(why, "72"));
	assert_null(strstr(why, "xxx"));
	assert_int_equal(
	    password_new((struct span){ long_one, 72 }, hash, why, sizeof(why)),
	    RC_OK);
	assert_int_equal(
	    password_new(SPAN(""), hash, why, sizeof(why)), RC_INVALID);
	assert_int_equal(
	    password_new(SPAN("a\0b"), hash, why, sizeof(why)), RC_INVALID);
}

static void
test_implausible_passwords_are_nobodys(void **state)
{
	char text[PASSWORD_TRY_MAX_BYTES + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_false(password_plausible(SPAN("")));
	assert_false(password_plausible(SPAN("a\0b")));
	assert_false(password_plausible((struct span){ text, sizeof(text) }));
	assert_true(
	    password_plausible((struct span){ text, sizeof(text) - 1 }));
	assert_false(password_matches(
	    (struct span){ text, sizeof(text) - 1 }, password_dummy()));
}

/* A setting that libcrypt does not take would cost nothing and tell who is
 * not there. */
static void
test_the_dummy_is_hashed_like_any_other(void **state)
{
	char hash[PASSWORD_HASH_BYTES], why[256];
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	const char *made;

	(void)state;
	assert_int_equal(
	    password_new(SPAN("secret"), hash, why, sizeof(why)), RC_OK);
	assert_int_equal(strlen(password_dummy()), strlen(hash));
	assert_memory_equal(password_dummy(), hash, 7);
	made = crypt_r("wrong", password_dummy(), data);
	assert_non_null(made);
	assert_memory_equal(made, password_dummy(), 29);
	free(data);
}

/* --- the gate ------------------------------------------------------------ */

static void
test_the_gate_lets_in_as_many_as_it_may(void **state)
{
	struct password_gate g;
	unsigned i;

	(void)state;
	password_gate_init(&g, 0);
	g.running_max = 2;
	g.waiting_max = 0;
	for (i = 0; i < 2; i++)
		assert_int_equal(password_gate_enter(&g), RC_OK);
	assert_int_equal(password_gate_enter(&g), RC_LIMIT);
	password_gate_leave(&g);
	assert_int_equal(password_gate_enter(&g), RC_OK);
	password_gate_leave(&g);
	password_gate_leave(&g);
	password_gate_fini(&g);
}

static void
test_most_workers_are_left_to_others(void **state)
{
	static const struct {
		long cores;
		unsigned workers, running, waiting;
	} rows[] = {
		{ 8, 2, 1, 0 },
		{ 8, 4, 1, 1 },
		{ 8, 8, 2, 2 },
		{ 8, 31, 7, 7 },
		{ 8, 32, 8, 8 },
		{ 8, 512, 8, 8 },
		{ 2, 512, 2, 2 },
		{ 1, 512, 1, 1 },
		{ 8, 0, 2, 2 },
		{ 1, 0, 1, 1 },
		{ -1, 32, 1, 1 },
	};
	struct password_gate g;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		password_gate_size(&g, rows[i].cores, rows[i].workers);
		assert_int_equal(g.running_max, rows[i].running);
		assert_int_equal(g.waiting_max, rows[i].waiting);
	}
	password_gate_init(&g, 4);
	assert_int_equal(g.running_max, 1);
	assert_int_equal(g.waiting_max, 1);
	assert_true(g.wait_ms <= 2000);
	password_gate_fini(&g);
}

static void *
waiter(void *arg)
{
	struct password_gate *g = arg;

	if (password_gate_enter(g) != RC_OK)
		return (g);
	password_gate_leave(g);
	return (NULL);
}

static unsigned
waiting_now(struct password_gate *g)
{
	unsigned n;

	pthread_mutex_lock(&g->lock);
	n = g->waiting;
	pthread_mutex_unlock(&g->lock);
	return (n);
}

static void
test_who_finds_no_place_to_wait_is_told_at_once(void **state)
{
	struct password_gate g;
	pthread_t thread;
	void *failed;

	(void)state;
	password_gate_init(&g, 4);
	g.wait_ms = 600 * 1000;
	assert_int_equal(password_gate_enter(&g), RC_OK);
	assert_int_equal(pthread_create(&thread, NULL, waiter, &g), 0);
	while (waiting_now(&g) == 0)
		usleep(1000);
	/* It would wait for ten minutes else. */
	assert_int_equal(password_gate_enter(&g), RC_LIMIT);
	password_gate_leave(&g);
	pthread_join(thread, &failed);
	assert_null(failed);
	password_gate_fini(&g);
}

/* Woken again and again for a place that somebody else has taken. */
static void
test_waiting_ends_also_under_wakeups(void **state)
{
	struct password_gate g;
	pthread_t thread;
	void *failed;

	(void)state;
	password_gate_init(&g, 4);
	g.wait_ms = 200;
	(void)alarm(60);
	assert_int_equal(password_gate_enter(&g), RC_OK);
	assert_int_equal(pthread_create(&thread, NULL, waiter, &g), 0);
	while (waiting_now(&g) == 0)
		usleep(1000);
	while (waiting_now(&g) > 0) {
		pthread_cond_signal(&g.room);
		usleep(10 * 1000);
	}
	pthread_join(thread, &failed);
	(void)alarm(0);
	assert_non_null(failed);
	password_gate_leave(&g);
	password_gate_fini(&g);
}

static void
test_waiting_ends(void **state)
{
	struct password_gate g;

	(void)state;
	password_gate_init(&g, 0);
	g.running_max = 1;
	g.wait_ms = 10;
	assert_int_equal(password_gate_enter(&g), RC_OK);
	assert_int_equal(password_gate_enter(&g), RC_LIMIT);
	password_gate_leave(&g);
	password_gate_fini(&g);
}

struct crowd {
	struct password_gate gate;
	_Atomic int inside, most, through;
};

static void *
passer(void *arg)
{
	struct crowd *c = arg;
	int n, i;

	for (i = 0; i < 200; i++) {
		if (password_gate_enter(&c->gate) != RC_OK)
			continue;
		n = ++c->inside;
		if (n > c->most)
			c->most = n;
		c->inside--;
		c->through++;
		password_gate_leave(&c->gate);
	}
	return (NULL);
}

static void
test_a_crowd_gets_through_a_few_at_a_time(void **state)
{
	struct crowd c = { 0 };
	pthread_t threads[8];
	size_t i;

	(void)state;
	password_gate_init(&c.gate, 0);
	c.gate.waiting_max = 8;
	c.gate.running_max = 2;
	c.gate.wait_ms = 60 * 1000;
	for (i = 0; i < 8; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, passer, &c), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c.through, 8 * 200);
	assert_true(c.most <= 2);
	password_gate_fini(&c.gate);
}

/* --- memory -------------------------------------------------------------- */

static struct password_memory *
memory_new(void)
{
	struct password_memory *m = xmalloc(sizeof(*m));

	password_memory_init(m);
	return (m);
}

static void
memory_free(struct password_memory *m)
{
	password_memory_fini(m);
	free(m);
}

static void
tag_of(const struct password_memory *m, const char *name, const char *password,
    const char *hash, uint8_t tag[AUTH_MAC_BYTES])
{
	password_tag(m,
	    &(struct auth_try){ .name = span_of(name),
		.password = span_of(password),
		.address = SPAN("10.0.0.1") },
	    span_of(hash), tag);
}

static void
test_what_was_verified_is_remembered_for_five_minutes(void **state)
{
	struct password_memory *m = memory_new();
	uint8_t tag[AUTH_MAC_BYTES];

	(void)state;
	tag_of(m, "bob", "secret", "hash", tag);
	assert_false(password_remembered(m, tag, 1000));
	password_remember(m, tag, 1000);
	assert_true(password_remembered(m, tag, 1000));
	assert_false(password_remembered(m, tag, 1000 + PASSWORD_MEMORY_NS));
	/* From its last use on. */
	password_remember(m, tag, 1000);
	assert_true(password_remembered(m, tag, 1000 + PASSWORD_MEMORY_NS - 1));
	assert_true(
	    password_remembered(m, tag, 1000 + 2 * PASSWORD_MEMORY_NS - 2));
	assert_false(
	    password_remembered(m, tag, 1000 + 3 * PASSWORD_MEMORY_NS - 2));
	memory_free(m);
}

static void
test_another_user_password_or_hash_is_not_remembered(void **state)
{
	struct password_memory *m = memory_new(), *other = memory_new();
	uint8_t a[AUTH_MAC_BYTES], b[AUTH_MAC_BYTES];

	(void)state;
	tag_of(m, "bob", "secret", "hash", a);
	tag_of(m, "bo", "bsecret", "hash", b);
	assert_memory_not_equal(a, b, sizeof(a));
	tag_of(m, "bob", "secret", "hush", b);
	assert_memory_not_equal(a, b, sizeof(a));
	tag_of(other, "bob", "secret", "hash", b);
	assert_memory_not_equal(a, b, sizeof(a));
	memory_free(m);
	memory_free(other);
}

static void
test_the_memory_is_bounded_and_keeps_the_latest(void **state)
{
	struct password_memory *m = memory_new();
	uint8_t tag[AUTH_MAC_BYTES];
	uint32_t i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		password_tag(m,
		    &(struct auth_try){ .name = SPAN("u"),
			.password = { (const char *)&i, sizeof(i) } },
		    SPAN("h"), tag);
		password_remember(m, tag, i + 1);
		assert_true(password_remembered(m, tag, i + 1));
	}
	memory_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_password_matches_its_hash_and_nothing_else),
		cmocka_unit_test(test_hashes_of_other_programs_are_taken),
		cmocka_unit_test(test_what_bcrypt_would_cut_is_refused),
		cmocka_unit_test(test_implausible_passwords_are_nobodys),
		cmocka_unit_test(test_the_dummy_is_hashed_like_any_other),
		cmocka_unit_test(test_the_gate_lets_in_as_many_as_it_may),
		cmocka_unit_test(test_most_workers_are_left_to_others),
		cmocka_unit_test(
		    test_who_finds_no_place_to_wait_is_told_at_once),
		cmocka_unit_test(test_waiting_ends_also_under_wakeups),
		cmocka_unit_test(test_waiting_ends),
		cmocka_unit_test(test_a_crowd_gets_through_a_few_at_a_time),
		cmocka_unit_test(
		    test_what_was_verified_is_remembered_for_five_minutes),
		cmocka_unit_test(
		    test_another_user_password_or_hash_is_not_remembered),
		cmocka_unit_test(
		    test_the_memory_is_bounded_and_keeps_the_latest),
	};

	return (cmocka_run_group_tests_name("password", tests, NULL, NULL));
}
