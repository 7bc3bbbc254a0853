#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/keyring.h"
#include "base/mem.h"
#include "mirror/secrets.h"
#include "storage/entities.h"
#include "storage/store.h"

/*
 * Credentials for other registries: sealed, under a key of their own that
 * follows the master key.
 */
#define HUB SPAN("https://registry-1.docker.io")

static char dir[64], key_file[96];
static struct store *store;
static struct secrets *secrets;
static char why[SECRETS_WHY_BYTES];

/* --- helpers ------------------------------------------------------------- */

static enum rc
reopen_with(const char *text)
{
	const struct secrets_options options = {
		.meta = store_meta(store),
		.master_key_file = key_file,
		.master_key_text = text,
	};

	secrets_close(&secrets);
	return (secrets_open(&options, why, &secrets));
}

static void
reopen(void)
{
	if (reopen_with(NULL) != RC_OK)
		fail_msg("%s", why);
}

static struct credential
password_of(const char *user, const char *password)
{
	return ((struct credential){
	    .kind = CREDENTIAL_PASSWORD,
	    .username = (char *)(uintptr_t)user,
	    .password = (char *)(uintptr_t)password,
	});
}

static void
put(struct span name, const char *user, const char *password)
{
	const struct credential c = password_of(user, password);

	if (secrets_put(secrets, name, &c, why) != RC_OK)
		fail_msg("%s", why);
}

static void
assert_secret(struct span name, const char *user, const char *password)
{
	struct credential c;

	assert_int_equal(secrets_get(secrets, name, &c), RC_OK);
	assert_int_equal(c.kind, CREDENTIAL_PASSWORD);
	assert_string_equal(c.username, user);
	assert_string_equal(c.password, password);
	assert_null(c.region);
	assert_null(c.api_url);
	credential_wipe(&c);
}

static void
assert_none(struct span name)
{
	struct credential c;

	assert_int_equal(secrets_get(secrets, name, &c), RC_NOTFOUND);
}

static struct span
record_of(enum entity_kind kind, struct span name, struct arena *arena)
{
	struct entity e;

	assert_int_equal(
	    meta_entity_get(store_meta(store), kind, name, arena, &e), RC_OK);
	return (e.record);
}

static void
record_put(enum entity_kind kind, struct span name, struct span record)
{
	struct entity_change change = {
		.entity = { kind, name, record },
		.apart = kind == ENTITY_UPSTREAM_SECRET,
	};
	uint64_t generation;

	assert_int_equal(
	    meta_entity_generation(store_meta(store), &generation), RC_OK);
	assert_int_equal(meta_entities_change(store_meta(store), generation,
			     &change, 1, &generation),
	    RC_OK);
}

/* --- put and get --------------------------------------------------------- */

static void
what_was_put_is_there_after_a_restart(void **state)
{
	(void)state;
	assert_int_not_equal(access(key_file, F_OK), 0);
	assert_none(HUB);
	put(HUB, "robot", "hush");
	assert_int_equal(access(key_file, F_OK), 0);
	put(SPAN("ecr-pullthroughcache/x"), "u", "with\nlines {}\n:");
	assert_secret(HUB, "robot", "hush");
	reopen();
	assert_secret(HUB, "robot", "hush");
	assert_secret(SPAN("ecr-pullthroughcache/x"), "u", "with\nlines {}\n:");
	put(HUB, "robot", "other");
	assert_secret(HUB, "robot", "other");
	assert_int_equal(secrets_delete(secrets, HUB), RC_OK);
	assert_int_equal(secrets_delete(secrets, HUB), RC_NOTFOUND);
	assert_none(HUB);
}

static void
an_access_key_keeps_region_and_address(void **state)
{
	struct credential c = {
		.kind = CREDENTIAL_AWS,
		.username = "AKIA",
		.password = "secret/key",
		.region = "eu-west-1",
		.api_url = "https://api.example",
	};

	(void)state;
	assert_int_equal(secrets_put(secrets, HUB, &c, why), RC_OK);
	assert_int_equal(secrets_get(secrets, HUB, &c), RC_OK);
	assert_int_equal(c.kind, CREDENTIAL_AWS);
	assert_string_equal(c.username, "AKIA");
	assert_string_equal(c.password, "secret/key");
	assert_string_equal(c.region, "eu-west-1");
	assert_string_equal(c.api_url, "https://api.example");
	credential_wipe(&c);
	assert_null(c.password);
}

static void
nothing_secret_stands_in_the_record_or_the_list(void **state)
{
	struct arena arena;
	struct span record;
	json_t *list, *o;
	char *text;

	(void)state;
	put(HUB, "robot", "hush-hush");
	arena_init(&arena, 1 << 20);
	record = record_of(ENTITY_UPSTREAM_SECRET, HUB, &arena);
	text = xstrndup(record.p, record.n);
	assert_null(strstr(text, "hush"));
	free(text);
	arena_reset(&arena);
	list = secrets_list(secrets);
	assert_int_equal(json_array_size(list), 1);
	o = json_array_get(list, 0);
	assert_string_equal(
	    json_string_value(json_object_get(o, "name")), HUB.p);
	assert_string_equal(
	    json_string_value(json_object_get(o, "kind")), "password");
	assert_string_equal(
	    json_string_value(json_object_get(o, "username")), "robot");
	assert_true(json_is_string(json_object_get(o, "changed")));
	assert_true(json_is_false(json_object_get(o, "configured")));
	assert_int_equal(json_object_size(o), 5);
	json_decref(list);
}

static void
what_cannot_be_sent_is_refused(void **state)
{
	const struct credential wrong[] = {
		password_of("", "p"),
		password_of("u", ""),
		password_of("a:b", "p"),
		password_of("a\nb", "p"),
		{ .kind = CREDENTIAL_NONE },
		{ .kind = CREDENTIAL_AWS, .username = "A", .password = "a\nb" },
		{ .kind = CREDENTIAL_PASSWORD, .username = "u" },
	};
	const struct credential good = password_of("u", "p");
	char long_name[ENTITY_NAME_MAX_BYTES + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
		    secrets_put(secrets, HUB, &wrong[i], why), RC_INVALID);
	assert_int_equal(
	    secrets_put(secrets, SPAN(""), &good, why), RC_INVALID);
	assert_int_equal(
	    secrets_put(secrets, SPAN("a b"), &good, why), RC_INVALID);
	memset(long_name, 'a', sizeof(long_name));
	assert_int_equal(
	    secrets_put(secrets, (struct span){ long_name, sizeof(long_name) },
		&good, why),
	    RC_INVALID);
	assert_none(HUB);
	/* None of these made a master key. */
	assert_int_not_equal(access(key_file, F_OK), 0);
}

static void
a_record_in_the_place_of_another_does_not_open(void **state)
{
	struct credential c;
	struct arena arena;
	struct span record;

	(void)state;
	put(HUB, "robot", "hush");
	put(SPAN("other"), "x", "y");
	arena_init(&arena, 1 << 20);
	record = record_of(ENTITY_UPSTREAM_SECRET, HUB, &arena);
	record_put(ENTITY_UPSTREAM_SECRET, SPAN("other"), record);
	assert_int_equal(secrets_get(secrets, SPAN("other"), &c), RC_CORRUPT);
	record_put(ENTITY_UPSTREAM_SECRET, SPAN("other"), SPAN("{}"));
	assert_int_equal(secrets_get(secrets, SPAN("other"), &c), RC_CORRUPT);
	assert_secret(HUB, "robot", "hush");
	arena_reset(&arena);
}

/* --- the master key ------------------------------------------------------ */

static void
without_its_master_key_it_does_not_open(void **state)
{
	char moved[128];

	(void)state;
	put(HUB, "robot", "hush");
	(void)snprintf(moved, sizeof(moved), "%s.away", key_file);
	assert_int_equal(rename(key_file, moved), 0);
	assert_int_equal(reopen_with(NULL), RC_NOTFOUND);
	assert_non_null(strstr(why, "the master key is not there"));
	assert_int_equal(rename(moved, key_file), 0);
	reopen();
	assert_secret(HUB, "robot", "hush");
	/* Once nothing is sealed, nothing is lost with it. */
	assert_int_equal(secrets_delete(secrets, HUB), RC_OK);
	assert_int_equal(unlink(key_file), 0);
	reopen();
	put(HUB, "robot", "again");
	reopen();
	assert_secret(HUB, "robot", "again");
}

static void
another_master_key_is_no_use(void **state)
{
	(void)state;
	put(HUB, "robot", "hush");
	assert_int_equal(
	    reopen_with("00000000000000000000000000000000000000000000000000000"
			"00000000000"),
	    RC_NOTFOUND);
	assert_non_null(strstr(why, "another master key"));
	assert_null(strstr(why, "0000000000"));
}

static void
an_older_master_key_is_replaced_when_it_is_opened(void **state)
{
	struct arena arena;
	struct span before, after;

	(void)state;
	arena_init(&arena, 1 << 20);
	put(HUB, "robot", "hush");
	before = record_of(ENTITY_SEAL_KEY, SPAN("upstreams"), &arena);
	assert_int_equal(keyring_file_add(key_file, why), RC_OK);
	reopen();
	after = record_of(ENTITY_SEAL_KEY, SPAN("upstreams"), &arena);
	assert_false(span_eq(before, after));
	assert_int_equal(keyring_file_trim(key_file, why), RC_OK);
	reopen();
	assert_secret(HUB, "robot", "hush");
	arena_reset(&arena);
}

static void
a_lost_seal_key_is_told(void **state)
{
	struct entity_change change = {
		.entity = { .kind = ENTITY_SEAL_KEY,
		    .name = SPAN_INIT("upstreams") },
	};
	uint64_t generation;

	(void)state;
	put(HUB, "robot", "hush");
	assert_int_equal(
	    meta_entity_generation(store_meta(store), &generation), RC_OK);
	assert_int_equal(meta_entities_change(store_meta(store), generation,
			     &change, 1, &generation),
	    RC_OK);
	assert_int_equal(reopen_with(NULL), RC_CORRUPT);
	assert_non_null(strstr(why, "restore a backup"));
}

/* --- of the configuration ------------------------------------------------ */

static void
what_is_configured_no_more_goes(void **state)
{
	struct secret_row rows[2] = {
		{ HUB, password_of("a", "1") },
		{ SPAN("https://ghcr.io"), password_of("b", "2") },
	};

	(void)state;
	assert_int_equal(secrets_configure(secrets, NULL, 0, why), RC_OK);
	assert_int_not_equal(access(key_file, F_OK), 0);
	put(SPAN("mine"), "m", "3");
	assert_int_equal(secrets_configure(secrets, rows, 2, why), RC_OK);
	assert_secret(HUB, "a", "1");
	assert_secret(SPAN("https://ghcr.io"), "b", "2");
	rows[0].credential = password_of("a", "new");
	assert_int_equal(secrets_configure(secrets, rows, 1, why), RC_OK);
	assert_secret(HUB, "a", "new");
	assert_none(SPAN("https://ghcr.io"));
	assert_int_equal(secrets_configure(secrets, NULL, 0, why), RC_OK);
	assert_none(HUB);
	assert_secret(SPAN("mine"), "m", "3");
}

static void
what_is_configured_and_the_same_is_not_written_again(void **state)
{
	struct secret_row row = { HUB, password_of("a", "1") };
	struct arena arena;
	struct span before, after;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(secrets_configure(secrets, &row, 1, why), RC_OK);
	before = record_of(ENTITY_UPSTREAM_SECRET, HUB, &arena);
	assert_int_equal(secrets_configure(secrets, &row, 1, why), RC_OK);
	after = record_of(ENTITY_UPSTREAM_SECRET, HUB, &arena);
	assert_true(span_eq(before, after));
	row.credential.password = "2";
	assert_int_equal(secrets_configure(secrets, &row, 1, why), RC_OK);
	assert_secret(HUB, "a", "2");
	arena_reset(&arena);
}

/* --- names --------------------------------------------------------------- */

static void
the_arn_of_a_secret_has_its_name_in_it(void **state)
{
	static const char *const wrong[] = { "", "hub",
		"arn:aws:secretsmanager:eu-west-1:000000000000:secret:abcdef",
		"arn:aws:secretsmanager:eu-west-1:000000000000:secret:-AbC123",
		"arn:aws:secretsmanager:eu-west-1:000000000000:secret:a-AbC12",
		"arn:aws:s3:eu-west-1:000000000000:secret:hub-AbC123" };
	struct span name;
	size_t i;

	(void)state;
	assert_true(secret_arn_name(
	    SPAN("arn:aws:secretsmanager:eu-west-1:000000000000:secret:"
		 "ecr-pullthroughcache/hub-AbC123"),
	    &name));
	assert_true(span_is(name, "ecr-pullthroughcache/hub"));
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(secret_arn_name(span_of(wrong[i]), &name));
}

/* ------------------------------------------------------------------------- */

static int
setup(void **state)
{
	struct store_options o = {
		.dir = dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 10,
		.upload_lifetime_ms = 3600 * 1000,
		.max_threads = 8,
	};
	char reason[STORE_WHY_BYTES];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/registryd-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(key_file, sizeof(key_file), "%s/master.key", dir);
	if (store_open(&o, reason, &store) != RC_OK)
		fail_msg("%s", reason);
	reopen();
	return (0);
}

static int
teardown(void **state)
{
	char *command;

	(void)state;
	secrets_close(&secrets);
	store_close(&store);
	command = xasprintf("rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
	free(command);
	return (0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_put_is_there_after_a_restart),
		TEST(an_access_key_keeps_region_and_address),
		TEST(nothing_secret_stands_in_the_record_or_the_list),
		TEST(what_cannot_be_sent_is_refused),
		TEST(a_record_in_the_place_of_another_does_not_open),
		TEST(without_its_master_key_it_does_not_open),
		TEST(another_master_key_is_no_use),
		TEST(an_older_master_key_is_replaced_when_it_is_opened),
		TEST(a_lost_seal_key_is_told),
		TEST(what_is_configured_no_more_goes),
		TEST(what_is_configured_and_the_same_is_not_written_again),
		TEST(the_arn_of_a_secret_has_its_name_in_it),
	};

	return (cmocka_run_group_tests_name("secrets", tests, NULL, NULL));
}
