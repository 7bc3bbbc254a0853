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

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/blobs.h"
#include "storage/fsck.h"
#include "storage/keys.h"
#include "storage/keys_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"
#include "storage/upload.h"

/*
 * Keys of repositories: how they are named and made, what becomes of them when
 * the master key changes, is missing or is another one.
 */

static int
setup(void **state)
{
	log_set_level(LOG_LVL_ERROR);
	return (mt_setup(state));
}

/* --- rings --------------------------------------------------------------- */

/* Of single digits, each a master key; the first one wraps. */
static struct keyring *
ring(const char *keys)
{
	char text[KEYRING_KEYS_MAX * 65 + 1], why[KEYRING_WHY_BYTES];
	struct keyring *r;
	size_t i, n = strlen(keys);

	for (i = 0; i < n; i++) {
		memset(text + 65 * i, keys[i], 64);
		text[65 * i + 64] = i + 1 < n ? ',' : '\0';
	}
	assert_int_equal(keyring_open(NULL, text, false, why, &r), RC_OK);
	return (r);
}

/* NULL: none. */
static enum rc
keys_open(struct mt *t, const char *keys, bool lacking, char *why)
{
	struct keyring *r = keys != NULL ? ring(keys) : NULL;
	enum rc rc;

	rc = store_keys_open(t->s, &r, lacking, why);
	/* The store took it. */
	assert_int_equal(r == NULL, rc == RC_OK || keys == NULL);
	keyring_free(&r);
	return (rc);
}

static void
turn_to(struct mt *t, const char *keys)
{
	char why[STORE_WHY_BYTES];

	assert_int_equal(keys_open(t, keys, false, why), RC_OK);
}

/* Without keys yet. */
static void
restart(struct mt *t)
{
	store_close(&t->s);
	t->s = tool_store_open(&t->options);
	t->m = store_meta(t->s);
}

static struct key_row *
list(struct mt *t, size_t n)
{
	struct key_row *rows;
	size_t got;

	assert_int_equal(keys_list(t->s, &t->arena, &rows, &got), RC_OK);
	assert_int_equal(got, n);
	return (rows);
}

static size_t
count(struct mt *t)
{
	size_t n;

	assert_int_equal(store_keys_count(t->s, &n), RC_OK);
	return (n);
}

static enum rc
get(struct mt *t, const char *repo)
{
	struct manifest_row row;

	arena_reset(&t->arena);
	return (mt_get(t, repo, "v1", &row));
}

/* --- names --------------------------------------------------------------- */

static void
a_key_has_one_name_however_it_is_given(void **state)
{
	static const struct {
		const char *given, *name;
	} rows[] = {
		{ "team", "team" },
		{ "alias/team", "team" },
		{ "key/team", "team" },
		{ "arn:aws:kms:us-east-1:111122223333:alias/team", "team" },
		{ "arn:aws:kms:us-east-1:111122223333:key/1234-ab", "1234-ab" },
		{ "arn:aws-cn:kms:cn-north-1:111122223333:alias/a/b", "a/b" },
		{ "alias/key/x", "key/x" },
		{ "", "aws/ecr" },
		{ "alias/aws/ecr", "aws/ecr" },
		{ "alias/", "aws/ecr" },
		{ "arn:aws:kms", "aws/ecr" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(
		    span_is(key_name(span_of(rows[i].given)), rows[i].name));
	assert_true(span_is(key_name(SPAN_NONE), "aws/ecr"));
}

static void
repositories_of_a_key_share_its_domain(void **state)
{
	struct mt *t = *state;

	mt_sealed(t, "a", "alias/team");
	mt_sealed(t, "b", "arn:aws:kms:x:1:alias/team");
	mt_sealed(t, "c", "other");
	mt_sealed(t, "own", NULL);
	mt_sealed(t, "own/2", NULL);
	mt_blob(t, "plain", "x");
	assert_int_equal(mt_domain(t, "a"), mt_domain(t, "b"));
	assert_int_not_equal(mt_domain(t, "a"), mt_domain(t, "c"));
	assert_int_equal(mt_domain(t, "own"), mt_domain(t, "own/2"));
	assert_int_not_equal(mt_domain(t, "own"), mt_domain(t, "a"));
	assert_int_not_equal(mt_domain(t, "own"), mt_domain(t, "c"));
	assert_int_equal(mt_domain(t, "plain"), KEY_DOMAIN_PLAIN);
	assert_int_equal(count(t), 3);
	mt_check(t);
}

static enum encryption_type
described(struct mt *t, const char *repo, struct span *kms_key)
{
	struct repository_description d;

	assert_int_equal(
	    meta_repository_describe(t->m, span_of(repo), &t->arena, &d),
	    RC_OK);
	*kms_key = d.settings.kms_key;
	return (d.settings.encryption);
}

static void
what_is_said_of_a_repository_is_true(void **state)
{
	struct mt *t = *state;
	struct span key;
	int i;

	mt_sealed(t, "kms", "alias/team");
	mt_sealed(t, "kms/default", "");
	mt_sealed(t, "own", NULL);
	mt_blob(t, "plain", "x");
	for (i = 0; i < 2; i++) {
		assert_int_equal(described(t, "kms", &key), ENCRYPTION_KMS);
		assert_true(span_is(key, "alias/team"));
		assert_int_equal(
		    described(t, "kms/default", &key), ENCRYPTION_KMS);
		assert_int_equal(key.n, 0);
		assert_int_equal(described(t, "own", &key), ENCRYPTION_AES256);
		assert_int_equal(key.n, 0);
		assert_int_equal(described(t, "plain", &key), ENCRYPTION_NONE);
		mt_reopen(t);
	}
}

/* The row of its settings is lost: which key it is says its domain. */
static enum rc
settings_lose(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_repo(&k, *(uint64_t *)arg);
	return (kv_delete(t, TABLE_REPOSITORY_SETTINGS, key_span(&k)));
}

static void
what_is_said_is_true_when_the_settings_are_lost(void **state)
{
	struct mt *t = *state;
	struct repository_row row;
	struct span key;

	mt_sealed(t, "kms", "alias/team");
	assert_int_equal(meta_repository_get(t->m, SPAN("kms"), &row), RC_OK);
	assert_int_equal(meta_change(t->m, settings_lose, &row.id, 0), RC_OK);
	assert_int_equal(described(t, "kms", &key), ENCRYPTION_KMS);
	assert_true(span_is(key, "team"));
}

static void
the_default_is_of_those_that_do_not_say(void **state)
{
	const struct repository_create none = {
		.name = SPAN("none"),
		.preset.settings.encryption = ENCRYPTION_NONE,
	};
	struct mt *t = *state;
	struct repository_row row;
	struct span key;

	mt_blob(t, "before", "x");
	store_encryption_default_set(t->s, ENCRYPTION_AES256);
	mt_blob(t, "before", "y");
	mt_blob(t, "after", "x");
	assert_int_equal(meta_repository_create(t->m, &none, &row), RC_OK);
	assert_int_equal(mt_domain(t, "before"), KEY_DOMAIN_PLAIN);
	assert_int_equal(described(t, "after", &key), ENCRYPTION_AES256);
	assert_int_equal(mt_domain(t, "none"), KEY_DOMAIN_PLAIN);
	assert_int_equal(described(t, "none", &key), ENCRYPTION_NONE);
	store_encryption_default_set(t->s, ENCRYPTION_NONE);
	mt_blob(t, "last", "x");
	assert_int_equal(described(t, "after", &key), ENCRYPTION_AES256);
	assert_int_equal(mt_domain(t, "last"), KEY_DOMAIN_PLAIN);
}

static void
names_that_are_too_long_are_refused(void **state)
{
	char name[KEY_NAME_MAX_BYTES + 2];
	struct repository_create create = {
		.name = SPAN("a"),
		.preset.settings = {
			.encryption = ENCRYPTION_KMS,
			.kms_key = { name, KEY_NAME_MAX_BYTES + 1 },
		},
	};
	struct mt *t = *state;
	struct repository_row row;
	uint32_t domain;

	memset(name, 'k', sizeof(name));
	assert_int_equal(
	    meta_repository_create(t->m, &create, &row), RC_TOOBIG);
	assert_int_equal(
	    keys_domain(t->s, &create.preset.settings, &domain), RC_TOOBIG);
	assert_int_equal(count(t), 0);
	create.preset.settings.kms_key.n--;
	assert_int_equal(meta_repository_create(t->m, &create, &row), RC_OK);
	mt_reopen(t);
	assert_int_equal(list(t, 1)[0].name.n, 4 + KEY_NAME_MAX_BYTES);
	name[3] = '\0';
	create.name = SPAN("b");
	assert_int_equal(
	    meta_repository_create(t->m, &create, &row), RC_INVALID);
}

static void
a_domain_is_made_once(void **state)
{
	const struct repository_settings team = {
		.encryption = ENCRYPTION_KMS,
		.kms_key = SPAN("team"),
	};
	const struct repository_settings plain = { 0 };
	struct mt *t = *state;
	uint32_t a, b;

	assert_int_equal(keys_domain_known(t->s, &team, &a), RC_NOTFOUND);
	assert_int_equal(keys_domain(t->s, &team, &a), RC_OK);
	assert_int_equal(keys_domain(t->s, &team, &b), RC_OK);
	assert_int_equal(a, b);
	assert_int_equal(keys_domain_known(t->s, &team, &b), RC_OK);
	assert_int_equal(a, b);
	mt_sealed(t, "repo", "alias/team");
	assert_int_equal(mt_domain(t, "repo"), a);
	assert_int_equal(keys_domain(t->s, &plain, &b), RC_OK);
	assert_int_equal(b, KEY_DOMAIN_PLAIN);
	assert_int_equal(count(t), 1);
}

static void
a_domain_is_named_by_its_number(void **state)
{
	static const char *const bad[] = { "00000000", "0000000", "000000001",
		"0000000G", "0000000A", "-0000001" };
	struct rec_key k;
	uint32_t domain;
	size_t i;

	(void)state;
	key_record_key(&k, 0xfedcba98);
	assert_true(key_record_domain(key_span(&k), &domain));
	assert_int_equal(domain, 0xfedcba98);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		key_entity(&k, ENTITY_KEY_DOMAIN, span_of(bad[i]));
		assert_false(key_record_domain(key_span(&k), &domain));
	}
	key_entity(&k, ENTITY_STACK, SPAN("00000001"));
	assert_false(key_record_domain(key_span(&k), &domain));
}

static void
records_of_keys_survive_and_others_are_refused(void **state)
{
	static const char *const bad[] = { "", "{}", "[]",
		"{\"name\":\"a\",\"created\":1,\"wrapped\":\"AAAA\"}",
		"{\"name\":\"a\",\"created\":1}" };
	struct key_record rec = { .name = SPAN("kms/\"\\\x01"),
		.created_ms = -1 };
	struct key_record got;
	struct mt *t = *state;
	struct buf b;
	size_t i;

	for (i = 0; i < sizeof(rec.wrapped); i++)
		rec.wrapped[i] = (uint8_t)(251 * i);
	buf_init(&b, KEY_RECORD_MAX_BYTES);
	assert_int_equal(key_record_write(&rec, &b), RC_OK);
	assert_int_equal(
	    key_record_read(buf_as_span(&b), &t->arena, &got), RC_OK);
	assert_true(span_eq(got.name, rec.name));
	assert_int_equal(got.created_ms, -1);
	assert_memory_equal(got.wrapped, rec.wrapped, sizeof(rec.wrapped));
	b.n--;
	assert_int_equal(
	    key_record_read(buf_as_span(&b), &t->arena, &got), RC_INVALID);
	buf_free(&b);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
		    key_record_read(span_of(bad[i]), &t->arena, &got),
		    RC_INVALID);
}

/* --- keys in memory ------------------------------------------------------ */

static void
a_loop_has_the_keys_that_were_read(void **state)
{
	struct mt *t = *state;
	struct seal_key a, b;
	uint32_t domain;

	mt_sealed(t, "repo", NULL);
	domain = mt_domain(t, "repo");
	assert_int_equal(
	    keys_get(t->s, domain, READ_INLINE, &a), RC_WOULDBLOCK);
	assert_int_equal(keys_get(t->s, domain, READ_BLOCKING, &a), RC_OK);
	assert_int_equal(keys_get(t->s, domain, READ_INLINE, &b), RC_OK);
	assert_memory_equal(&a, &b, sizeof(a));
	mt_reopen(t);
	assert_int_equal(keys_get(t->s, domain, READ_INLINE, &b), RC_OK);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(
	    keys_get(t->s, domain + 1, READ_BLOCKING, &b), RC_LOCKED);
	assert_int_equal(
	    keys_get(t->s, UINT32_MAX, READ_BLOCKING, &b), RC_LOCKED);
}

static enum rc
domain_undone(struct meta_txn *t, void *arg)
{
	const struct repository_settings s = { .encryption = ENCRYPTION_KMS };
	struct seal_key *key = arg;
	uint32_t domain;

	assert_int_equal(keys_take(t, &s, &domain), RC_OK);
	assert_int_equal(domain, 1);
	assert_int_equal(keys_load(t, domain, key), RC_OK);
	return (RC_INVALID);
}

static void
a_key_whose_change_was_undone_is_nobodys(void **state)
{
	struct mt *t = *state;
	struct seal_key undone, key;

	assert_int_equal(
	    meta_change(t->m, domain_undone, &undone, 0), RC_INVALID);
	assert_int_equal(count(t), 0);
	mt_sealed(t, "repo", "other");
	assert_int_equal(mt_domain(t, "repo"), 1);
	mt_plain(t, "repo", "text", "v1");
	assert_int_equal(keys_get(t->s, 1, READ_BLOCKING, &key), RC_OK);
	assert_memory_not_equal(&key, &undone, sizeof(key));
	assert_int_equal(get(t, "repo"), RC_OK);
	mt_reopen(t);
	assert_int_equal(get(t, "repo"), RC_OK);
}

/* --- no master key, or another ------------------------------------------- */

static void
without_a_master_key_nothing_is_encrypted(void **state)
{
	const struct repository_create create = {
		.name = SPAN("sealed"),
		.preset.settings.encryption = ENCRYPTION_AES256,
	};
	struct mt *t = *state;
	struct repository_row row;
	uint32_t domain;

	restart(t);
	assert_int_equal(
	    meta_repository_create(t->m, &create, &row), RC_LOCKED);
	assert_int_equal(
	    keys_domain(t->s, &create.preset.settings, &domain), RC_MISSING);
	assert_int_equal(
	    meta_repository_get(t->m, SPAN("sealed"), &row), RC_NOTFOUND);
	assert_int_equal(count(t), 0);
	mt_plain(t, "plain", "text", "v1");
	assert_int_equal(get(t, "plain"), RC_OK);
	mt_check(t);
}

static void
sealed_fill(struct mt *t)
{
	mt_sealed(t, "team/app", "alias/team");
	mt_sealed(t, "own", NULL);
	mt_plain(t, "team/app", "text", "v1");
	mt_plain(t, "own", "text", "v1");
	mt_plain(t, "plain", "text", "v1");
}

static void
another_master_key_is_found_out_and_told(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	restart(t);
	assert_int_equal(count(t), 2);
	assert_int_equal(keys_open(t, "b", false, why), RC_NOTFOUND);
	assert_non_null(strstr(why, "kms/team"));
	assert_non_null(strstr(why, "AES256"));
	assert_non_null(strstr(why, "master key"));
	assert_int_equal(keys_open(t, NULL, false, why), RC_MISSING);
	assert_non_null(strstr(why, "kms/team"));
	assert_non_null(strstr(why, "no master key"));
	/* Nothing has changed. */
	turn_to(t, "a");
	assert_int_equal(get(t, "team/app"), RC_OK);
}

static void
locked_is(struct mt *t)
{
	struct blob_row blob;
	struct digest d = mt_digest("text");

	assert_int_equal(get(t, "plain"), RC_OK);
	assert_int_equal(get(t, "own"), RC_LOCKED);
	assert_int_equal(get(t, "team/app"), RC_LOCKED);
	assert_int_equal(meta_blob_get(t->m, SPAN("own"), &d, BLOB_CONTENT,
			     READ_BLOCKING, &t->arena, &blob),
	    RC_NOTFOUND);
	assert_false(list(t, 2)[0].here);
}

static void
those_whose_keys_are_there_are_served(void **state)
{
	const struct mt_image image = { .repo = "own", .text = "more" };
	struct manifest_put_result result;
	struct mt *t = *state;
	struct repository_description d;
	char why[STORE_WHY_BYTES];
	struct digest digest;
	bool more = true;

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	restart(t);
	assert_int_equal(keys_open(t, NULL, true, why), RC_OK);
	locked_is(t);
	restart(t);
	assert_int_equal(keys_open(t, "b", true, why), RC_OK);
	locked_is(t);
	assert_int_equal(mt_put(t, &image, &digest, &result), RC_LOCKED);
	/* What cannot be read can be deleted. */
	assert_int_equal(
	    meta_repository_delete(t->m, SPAN("own"), true, &t->arena, &d),
	    RC_OK);
	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 9, NULL, &more), RC_OK);
	mt_check(t);
	/* With both all is there again. */
	restart(t);
	turn_to(t, "ba");
	assert_int_equal(get(t, "team/app"), RC_OK);
}

static enum rc
sealed_create(struct mt *t, const char *repo, const char *kms_key)
{
	const struct repository_create create = {
		.name = span_of(repo),
		.preset.settings.encryption = ENCRYPTION_KMS,
		.preset.settings.kms_key = span_of(kms_key),
	};
	struct repository_row row;

	return (meta_repository_create(t->m, &create, &row));
}

static void
gone_make(struct mt *t, const char *repo)
{
	struct repository_description d;
	bool more = true;

	assert_int_equal(
	    meta_repository_delete(t->m, span_of(repo), true, &t->arena, &d),
	    RC_OK);
	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 9, NULL, &more), RC_OK);
}

static void
under_a_wrong_master_key_no_key_is_made(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	restart(t);
	assert_int_equal(keys_open(t, "b", true, why), RC_OK);
	assert_int_equal(sealed_create(t, "new", "new"), RC_LOCKED);
	/* Nor is there a repository of one that is not here. */
	assert_int_equal(sealed_create(t, "team/lib", "team"), RC_LOCKED);
	assert_int_equal(count(t), 2);
	gone_make(t, "own");
	assert_int_equal(sealed_create(t, "new", "new"), RC_LOCKED);
	mt_check(t);
	/* When nobody needs the lost ones any more, it is the right one. */
	gone_make(t, "team/app");
	assert_int_equal(sealed_create(t, "new", "new"), RC_OK);
	mt_plain(t, "new", "text", "v1");
	assert_int_equal(get(t, "new"), RC_OK);
	assert_true(list(t, 3)[2].here);
	assert_int_equal(sealed_create(t, "team/lib", "team"), RC_LOCKED);
	mt_check(t);
}

/* --- uploads that nobody has said anything of ---------------------------- */

#define PUSHED_BYTES 100000 /* not in memory */

/* Sets ${id}. */
static uint32_t
pushed_domain(struct mt *t, char id[UPLOAD_ID_BYTES])
{
	struct upload *u;
	struct scratch *scratch;
	uint32_t domain;
	char *text;

	assert_int_equal(
	    upload_start(t->s, SPAN("later"), DIGEST_SHA256, NULL, id), RC_OK);
	assert_int_equal(
	    upload_acquire(t->s, SPAN("later"), span_of(id), &u), RC_OK);
	assert_false(upload_wishes(u));
	text = tool_bytes(PUSHED_BYTES, 3);
	assert_int_equal(upload_write(u, text, PUSHED_BYTES), RC_OK);
	free(text);
	assert_true(upload_wishes(u));
	upload_release(&u);
	assert_int_equal(scratch_open(t->s->blobs, id, &scratch), RC_OK);
	domain = scratch_domain(scratch);
	scratch_close(&scratch);
	return (domain);
}

static void
what_nobody_has_said_is_sealed_by_keys_that_are_there(void **state)
{
	struct mt *t = *state;
	char id[UPLOAD_ID_BYTES];

	assert_int_equal(pushed_domain(t, id), KEY_DOMAIN_PLAIN);
	assert_int_equal(count(t), 0);
	mt_sealed(t, "team/app", "alias/team");
	assert_int_equal(pushed_domain(t, id), mt_domain(t, "team/app"));
	assert_int_equal(count(t), 1);
	store_encryption_default_set(t->s, ENCRYPTION_AES256);
	assert_int_equal(pushed_domain(t, id), 2);
	assert_int_equal(count(t), 2);
}

static void
what_an_upload_forgot_can_be_said_again(void **state)
{
	const struct repository_preset create = {
		.settings.encryption = ENCRYPTION_KMS,
		.settings.kms_key = SPAN("later"),
	};
	struct mt *t = *state;
	struct scratch *scratch;
	struct upload *u;
	char id[UPLOAD_ID_BYTES], *text;

	mt_sealed(t, "own", NULL);
	assert_int_equal(
	    upload_start(t->s, SPAN("later"), DIGEST_SHA256, NULL, id), RC_OK);
	assert_int_equal(
	    upload_acquire(t->s, SPAN("later"), span_of(id), &u), RC_OK);
	upload_wish(u, &create);
	text = tool_bytes(PUSHED_BYTES, 3);
	assert_int_equal(upload_write(u, text, PUSHED_BYTES), RC_OK);
	free(text);
	upload_release(&u);
	assert_int_equal(scratch_open(t->s->blobs, id, &scratch), RC_OK);
	assert_int_equal(scratch_domain(scratch), 2);
	scratch_close(&scratch);
	assert_true(span_is(list(t, 2)[1].name, "kms/later"));
}

/* --- another master key, on purpose -------------------------------------- */

static void
a_rotation_leaves_all_readable_by_the_new_key_alone(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];
	struct seal_key before, after;
	size_t n;

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	assert_int_equal(keys_get(t->s, 1, READ_BLOCKING, &before), RC_OK);
	turn_to(t, "ba");
	assert_int_equal(get(t, "own"), RC_OK);
	assert_int_equal(store_keys_rewrap(t->s, &n), RC_OK);
	assert_int_equal(n, 2);
	turn_to(t, "b");
	restart(t);
	assert_int_equal(keys_open(t, "a", false, why), RC_NOTFOUND);
	turn_to(t, "b");
	assert_int_equal(keys_get(t->s, 1, READ_BLOCKING, &after), RC_OK);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(get(t, "own"), RC_OK);
	assert_int_equal(get(t, "team/app"), RC_OK);
	mt_check(t);
}

static void
a_start_finishes_a_rotation(void **state)
{
	struct mt *t = *state;

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	restart(t);
	turn_to(t, "ba");
	restart(t);
	turn_to(t, "b");
	assert_int_equal(get(t, "team/app"), RC_OK);
}

static void
a_ring_that_would_lose_keys_is_refused(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];
	int lacking;

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	for (lacking = 0; lacking < 2; lacking++) {
		assert_int_equal(
		    keys_open(t, "b", lacking != 0, why), RC_NOTFOUND);
		assert_non_null(strstr(why, "kms/team"));
		assert_int_equal(
		    keys_open(t, NULL, lacking != 0, why), RC_NOTFOUND);
	}
	assert_int_equal(get(t, "team/app"), RC_OK);
	/* What is made now is under the old one, too. */
	mt_sealed(t, "late", "alias/late");
	mt_plain(t, "late", "text", "v1");
	restart(t);
	turn_to(t, "a");
	assert_int_equal(get(t, "late"), RC_OK);
}

static void
what_lacks_a_key_is_not_wrapped_anew(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];
	size_t n = 7;

	/* One that has no repositories does not keep others from being made. */
	restart(t);
	turn_to(t, "b");
	mt_sealed(t, "old", "alias/old");
	gone_make(t, "old");
	restart(t);
	assert_int_equal(keys_open(t, "a", true, why), RC_OK);
	sealed_fill(t);
	restart(t);
	assert_int_equal(keys_open(t, "b", true, why), RC_OK);
	assert_int_equal(store_keys_rewrap(t->s, &n), RC_MISSING);
	assert_int_equal(n, 0);
	/* A rotation of what is here passes them over. */
	assert_int_equal(keys_open(t, "cb", true, why), RC_OK);
	restart(t);
	turn_to(t, "ca");
	assert_int_equal(get(t, "team/app"), RC_OK);
	assert_true(list(t, 3)[0].here);
}

/* Makes domains, and reads their keys, while others change the master key. */
struct maker {
	struct mt *t;
	unsigned number, n_made;
	_Atomic bool *stop;
	pthread_t thread;
};

static void *
domains_make(void *arg)
{
	struct maker *m = arg;
	struct seal_key key;
	char name[64];

	while (!atomic_load(m->stop) && m->n_made < 500) {
		(void)snprintf(
		    name, sizeof(name), "m%u/r%u", m->number, m->n_made);
		mt_sealed(m->t, name, name);
		assert_int_equal(keys_get(m->t->s, mt_domain(m->t, name),
				     READ_BLOCKING, &key),
		    RC_OK);
		m->n_made++;
	}
	return (NULL);
}

static void
texts_put(struct mt *t, const struct maker *m, const char *text)
{
	char name[64];
	unsigned i;

	for (i = 0; i < m->n_made; i++) {
		(void)snprintf(name, sizeof(name), "m%u/r%u", m->number, i);
		if (text != NULL)
			mt_plain(t, name, text, "v1");
		else
			assert_int_equal(get(t, name), RC_OK);
	}
}

static void
no_key_is_lost_while_the_master_key_changes(void **state)
{
	static const char *const rings[] = { "ba", "cb", "dc", "ed", "fe", "0f",
		"10", "21" };
	struct mt *t = *state;
	_Atomic bool stop = false;
	struct maker makers[2];
	size_t i;

	restart(t);
	turn_to(t, "a");
	for (i = 0; i < ARRAY_LEN(makers); i++) {
		makers[i] = (struct maker){
			.t = t, .number = (unsigned)i, .stop = &stop
		};
		assert_int_equal(pthread_create(&makers[i].thread, NULL,
				     domains_make, &makers[i]),
		    0);
	}
	/* Each time the old one is dropped at once. */
	for (i = 0; i < ARRAY_LEN(rings); i++) {
		turn_to(t, rings[i]);
		turn_to(t, (char[2]){ rings[i][0], '\0' });
	}
	atomic_store(&stop, true);
	for (i = 0; i < ARRAY_LEN(makers); i++)
		assert_int_equal(pthread_join(makers[i].thread, NULL), 0);
	assert_int_equal(count(t), makers[0].n_made + makers[1].n_made);
	texts_put(t, &makers[0], "text");
	restart(t);
	turn_to(t, "2");
	texts_put(t, &makers[0], NULL);
	texts_put(t, &makers[1], "late");
	mt_check(t);
}

/* --- damage -------------------------------------------------------------- */

static enum rc
record_damage(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_record_key(&k, *(uint32_t *)arg);
	return (kv_put(t, TABLE_ENTITIES, key_span(&k), SPAN("\1{}")));
}

/* The texts of manifests here are no matter. */
static void
problem_count(void *arg, const struct fsck_problem *p)
{
	unsigned *n = arg;

	if (strstr(p->text, "manifest") == NULL)
		(*n)++;
}

static unsigned
problems(struct mt *t, bool repair)
{
	unsigned n = 0;
	const struct fsck_options options = {
		.repair = repair,
		.problem = problem_count,
		.arg = &n,
	};
	struct fsck_progress progress = { 0 };

	assert_int_equal(fsck_run(t->s, &options, &progress), RC_OK);
	return (n);
}

static void
a_damaged_key_is_told_and_never_removed(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];
	uint32_t domain;

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	domain = mt_domain(t, "team/app");
	assert_int_equal(meta_change(t->m, record_damage, &domain, 0), RC_OK);
	restart(t);
	assert_int_equal(keys_open(t, "a", false, why), RC_INVALID);
	assert_non_null(strstr(why, "damaged"));
	assert_int_equal(keys_open(t, "a", true, why), RC_OK);
	assert_int_equal(get(t, "team/app"), RC_LOCKED);
	assert_int_equal(get(t, "own"), RC_OK);
	assert_int_equal(problems(t, true), 1);
	assert_int_equal(count(t), 2);
	/* Its number stays its own. */
	mt_sealed(t, "again", "alias/team");
	assert_int_not_equal(mt_domain(t, "again"), domain);
}

static void
what_is_in_memory_heals_a_damaged_key(void **state)
{
	struct mt *t = *state;
	uint32_t domain;
	size_t n;

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	domain = mt_domain(t, "team/app");
	assert_int_equal(get(t, "team/app"), RC_OK);
	assert_int_equal(meta_change(t->m, record_damage, &domain, 0), RC_OK);
	assert_int_equal(problems(t, false), 1);
	assert_int_equal(store_keys_rewrap(t->s, &n), RC_OK);
	assert_int_equal(problems(t, false), 0);
	restart(t);
	turn_to(t, "a");
	assert_int_equal(get(t, "team/app"), RC_OK);
}

static enum rc
record_lose(struct meta_txn *t, void *arg)
{
	struct rec_key k;
	enum rc rc;

	key_record_key(&k, *(uint32_t *)arg);
	if ((rc = kv_delete(t, TABLE_ENTITIES, key_span(&k))) != RC_OK)
		return (rc);
	return (kv_delete(t, TABLE_REGISTRY, NUMBER_KEY_DOMAIN));
}

static void
the_number_of_a_lost_key_is_not_given_again(void **state)
{
	const struct fsck_options options = { .repair = true };
	struct fsck_progress progress = { 0 };
	struct mt *t = *state;
	uint32_t domain;

	mt_sealed(t, "a", "a");
	mt_sealed(t, "b", "b");
	domain = mt_domain(t, "b");
	assert_int_equal(meta_change(t->m, record_lose, &domain, 0), RC_OK);
	mt_reopen(t);
	assert_int_equal(fsck_run(t->s, &options, &progress), RC_OK);
	/* Of the repository nothing can be done. */
	assert_int_equal(progress.problems, 2);
	assert_int_equal(progress.repaired, 1);
	mt_sealed(t, "c", "c");
	assert_int_equal(mt_domain(t, "c"), domain + 1);
}

/* A key is bound to its number and its name. */
static enum rc
records_swap(struct meta_txn *t, void *arg)
{
	struct key_record a, b;
	struct arena *arena = arg;
	enum rc rc;

	if ((rc = key_record_load(t, 1, arena, &a)) != RC_OK ||
	    (rc = key_record_load(t, 2, arena, &b)) != RC_OK)
		return (rc);
	a.key_domain = 2;
	b.key_domain = 1;
	if ((rc = key_record_save(t, &a)) != RC_OK)
		return (rc);
	return (key_record_save(t, &b));
}

static void
a_key_in_the_place_of_another_is_none(void **state)
{
	struct mt *t = *state;
	char why[STORE_WHY_BYTES];

	restart(t);
	turn_to(t, "a");
	sealed_fill(t);
	assert_int_equal(meta_change(t->m, records_swap, &t->arena, 0), RC_OK);
	restart(t);
	assert_int_equal(keys_open(t, "a", false, why), RC_INVALID);
	assert_int_equal(keys_open(t, "a", true, why), RC_OK);
	assert_int_equal(get(t, "own"), RC_LOCKED);
}

/* --- the list ------------------------------------------------------------ */

static void
the_list_counts_who_is_of_a_key(void **state)
{
	struct repository_description d;
	struct mt *t = *state;
	struct key_row *rows;

	assert_int_equal(count(t), 0);
	(void)list(t, 0);
	mt_sealed(t, "a", "alias/team");
	mt_sealed(t, "b", "alias/team");
	mt_sealed(t, "c", "alias/team");
	mt_sealed(t, "own", NULL);
	mt_blob(t, "plain", "x");
	mt_blob(t, "c", "x");
	store_undelete_set(t->s, 1000000);
	assert_int_equal(
	    meta_repository_delete(t->m, SPAN("c"), true, &t->arena, &d),
	    RC_OK);
	rows = list(t, 2);
	assert_int_equal(rows[0].key_domain, mt_domain(t, "a"));
	assert_true(span_is(rows[0].name, "kms/team"));
	assert_true(rows[0].created_ms > 0);
	assert_true(rows[0].here);
	assert_int_equal(rows[0].repositories, 3);
	assert_true(span_is(rows[1].name, "AES256"));
	assert_int_equal(rows[1].repositories, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, mt_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_key_has_one_name_however_it_is_given),
		TEST(repositories_of_a_key_share_its_domain),
		TEST(what_is_said_of_a_repository_is_true),
		TEST(what_is_said_is_true_when_the_settings_are_lost),
		TEST(the_default_is_of_those_that_do_not_say),
		TEST(names_that_are_too_long_are_refused),
		TEST(a_domain_is_made_once),
		TEST(a_domain_is_named_by_its_number),
		TEST(records_of_keys_survive_and_others_are_refused),
		TEST(a_loop_has_the_keys_that_were_read),
		TEST(a_key_whose_change_was_undone_is_nobodys),
		TEST(without_a_master_key_nothing_is_encrypted),
		TEST(another_master_key_is_found_out_and_told),
		TEST(those_whose_keys_are_there_are_served),
		TEST(under_a_wrong_master_key_no_key_is_made),
		TEST(what_nobody_has_said_is_sealed_by_keys_that_are_there),
		TEST(what_an_upload_forgot_can_be_said_again),
		TEST(a_rotation_leaves_all_readable_by_the_new_key_alone),
		TEST(a_start_finishes_a_rotation),
		TEST(a_ring_that_would_lose_keys_is_refused),
		TEST(what_lacks_a_key_is_not_wrapped_anew),
		TEST(no_key_is_lost_while_the_master_key_changes),
		TEST(a_damaged_key_is_told_and_never_removed),
		TEST(what_is_in_memory_heals_a_damaged_key),
		TEST(the_number_of_a_lost_key_is_not_given_again),
		TEST(a_key_in_the_place_of_another_is_none),
		TEST(the_list_counts_who_is_of_a_key),
	};

	return (cmocka_run_group_tests_name("keys", tests, NULL, NULL));
}
