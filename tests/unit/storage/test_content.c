#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/log.h"
#include "storage/content.h"
#include "storage/keys.h"
#include "storage/lease.h"
#include "storage/meta_ops_int.h"
#include "storage/repositories.h"
#include "storage/upload.h"
#include "storage_tools.h"

#define REPO SPAN("team/app")
#define SMALL_BYTES 1000
#define LARGE_BYTES 20000

/* All tests run twice: plain, and with content sealed. */
static bool sealed;

struct fixture {
	char dir[TOOL_PATH_BYTES];
	struct store_options options;
	struct store *s;
	struct arena a;
	char *p;
	struct digest small, large;
};

static void
start(struct fixture *f)
{
	f->s = tool_store_open(&f->options);
	if (!sealed)
		return;
	tool_keys_open(f->s);
	store_encryption_default_set(f->s, ENCRYPTION_AES256);
}

static const char *
file_path(struct fixture *f, const struct digest *d, char out[TOOL_PATH_BYTES])
{
	char plain[TOOL_PATH_BYTES];
	size_t n = strlen(f->dir) + strlen("/blobs");

	(void)tool_blob_path(f->dir, d, plain);
	(void)snprintf(out, TOOL_PATH_BYTES, "%.*s%s%.300s", (int)n, plain,
	    sealed ? "/k1" : "", plain + n);
	return (out);
}

static void
push(struct fixture *f, const struct digest *d, size_t n)
{
	assert_int_equal(upload_whole(f->s, REPO, d, (struct span){ f->p, n },
			     SPAN_NONE, &repository_preset_default),
	    RC_OK);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LVL_ERROR);
	tool_folder(f->dir);
	f->options = tool_options(f->dir);
	start(f);
	arena_init(&f->a, 1 << 20);
	f->p = tool_bytes(LARGE_BYTES, 1);
	f->small = tool_digest(f->p, SMALL_BYTES);
	f->large = tool_digest(f->p, LARGE_BYTES);
	push(f, &f->small, SMALL_BYTES);
	push(f, &f->large, LARGE_BYTES);
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	arena_reset(&f->a);
	store_close(&f->s);
	tool_folder_remove(f->dir);
	free(f->p);
	free(f);
	return (0);
}

static enum rc
open_rc(struct fixture *f, const struct digest *d, enum read_mode mode)
{
	struct content c;
	enum rc rc;

	rc = content_open(f->s, REPO, d, mode, &f->a, &c);
	if (rc == RC_OK)
		content_close(&c);
	return (rc);
}

static enum rc
stat_rc(struct fixture *f, const struct digest *d, enum read_mode mode)
{
	uint64_t size;

	return (content_stat(f->s, REPO, d, mode, &f->a, &size));
}

static void
test_small_content_comes_from_memory(void **state)
{
	struct fixture *f = *state;
	struct content c;
	uint64_t size;

	assert_int_equal(
	    content_open(f->s, REPO, &f->small, READ_INLINE, &f->a, &c), RC_OK);
	assert_int_equal(c.kind, CONTENT_MEMORY);
	assert_int_equal(c.size_bytes, SMALL_BYTES);
	assert_int_equal(c.bytes.n, SMALL_BYTES);
	assert_memory_equal(c.bytes.p, f->p, SMALL_BYTES);
	assert_int_equal(c.file.fd, -1);
	assert_int_equal(
	    content_stat(f->s, REPO, &f->small, READ_INLINE, &f->a, &size),
	    RC_OK);
	assert_int_equal(size, SMALL_BYTES);
}

static void
test_large_content_comes_from_a_file(void **state)
{
	struct fixture *f = *state;
	struct content c;
	uint64_t size;
	char got[LARGE_BYTES];

	assert_int_equal(
	    content_open(f->s, REPO, &f->large, READ_BLOCKING, &f->a, &c),
	    RC_OK);
	assert_int_equal(c.kind, CONTENT_FILE);
	assert_int_equal(c.size_bytes, LARGE_BYTES);
	assert_int_equal(c.file.sealed != NULL, sealed);
	assert_int_equal(
	    blob_file_read_all(&c.file, 0, got, sizeof(got)), RC_OK);
	assert_memory_equal(got, f->p, LARGE_BYTES);
	content_close(&c);
	assert_int_equal(
	    content_stat(f->s, REPO, &f->large, READ_INLINE, &f->a, &size),
	    RC_OK);
	assert_int_equal(size, LARGE_BYTES);
	/* Its name is cached by now. */
	assert_int_equal(open_rc(f, &f->large, READ_INLINE), RC_OK);
}

static void
test_large_value_is_not_copied_on_a_loop(void **state)
{
	struct fixture *f = *state;
	char *p = tool_bytes(200000, 3);
	struct digest d = tool_digest(p, 200000);

	store_close(&f->s);
	f->options.inline_max_bytes = 1 << 20;
	start(f);
	assert_int_equal(
	    upload_whole(f->s, REPO, &d, (struct span){ p, 200000 }, SPAN_NONE,
		&repository_preset_default),
	    RC_OK);
	assert_int_equal(open_rc(f, &d, READ_INLINE), RC_WOULDBLOCK);
	assert_int_equal(open_rc(f, &d, READ_BLOCKING), RC_OK);
	assert_int_equal(stat_rc(f, &d, READ_INLINE), RC_OK);
	free(p);
}

static void
test_content_is_seen_in_its_repository_only(void **state)
{
	struct fixture *f = *state;
	struct digest d = tool_digest("never pushed", 12);
	struct content c;
	uint64_t size;

	assert_int_equal(content_open(f->s, SPAN("team/other"), &f->large,
			     READ_BLOCKING, &f->a, &c),
	    RC_NOTFOUND);
	assert_int_equal(content_stat(f->s, SPAN("team/other"), &f->small,
			     READ_BLOCKING, &f->a, &size),
	    RC_NOTFOUND);
	assert_int_equal(open_rc(f, &d, READ_BLOCKING), RC_NOTFOUND);
	assert_int_equal(stat_rc(f, &d, READ_BLOCKING), RC_NOTFOUND);
}

static void
test_lost_file_is_not_found_until_pushed_again(void **state)
{
	struct fixture *f = *state;
	char path[TOOL_PATH_BYTES];

	assert_int_equal(unlink(file_path(f, &f->large, path)), 0);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_NOTFOUND);
	assert_int_equal(stat_rc(f, &f->large, READ_INLINE), RC_NOTFOUND);
	push(f, &f->large, LARGE_BYTES);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_OK);
	assert_int_equal(stat_rc(f, &f->large, READ_INLINE), RC_OK);
}

static void
test_cut_off_file_is_not_found_until_pushed_again(void **state)
{
	struct fixture *f = *state;
	char path[TOOL_PATH_BYTES];

	tool_file_truncate(file_path(f, &f->large, path), LARGE_BYTES - 1);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_NOTFOUND);
	assert_int_equal(stat_rc(f, &f->large, READ_BLOCKING), RC_NOTFOUND);
	push(f, &f->large, LARGE_BYTES);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_OK);
	assert_int_equal(stat_rc(f, &f->large, READ_BLOCKING), RC_OK);
}

static void
test_too_many_open_files_is_a_limit(void **state)
{
	struct fixture *f = *state;
	enum rc open_at_limit, stat_at_limit;

	tool_no_files(true);
	open_at_limit = open_rc(f, &f->large, READ_BLOCKING);
	stat_at_limit = stat_rc(f, &f->large, READ_INLINE);
	tool_no_files(false);
	assert_int_equal(open_at_limit, RC_LIMIT);
	assert_int_equal(stat_at_limit, RC_LIMIT);
}

static enum rc
link_use(struct meta_txn *t, void *arg)
{
	struct fixture *f = arg;
	struct link_rec link;
	struct repository_row repo;
	uint8_t value[REC_LINK_BYTES];
	struct rec_key k;
	enum rc rc;

	if ((rc = repo_find(t, REPO, &repo)) != RC_OK ||
	    (rc = link_load(t, repo.id, &f->large, &link)) != RC_OK)
		return (rc);
	link.users = 1;
	link.idle_ms = 0;
	link.queued = false;
	key_repo_digest(&k, repo.id, &f->large);
	rec_link_write(&link, value);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static void
test_what_is_in_use_is_promised_too(void **state)
{
	struct fixture *f = *state;
	struct leases *leases;

	/* Without what the upload was promised. */
	store_close(&f->s);
	start(f);
	leases = meta_leases(store_meta(f->s));
	assert_int_equal(meta_change(store_meta(f->s), link_use, f, 0), RC_OK);
	assert_false(lease_held(leases, &f->large));
	assert_int_equal(stat_rc(f, &f->large, READ_INLINE), RC_OK);
	assert_true(lease_held(leases, &f->large));
	assert_true(lease_claim_unpinned(leases, &f->large));
	assert_int_equal(stat_rc(f, &f->large, READ_INLINE), RC_WOULDBLOCK);
	lease_give_back(leases, &f->large);
}

static void
test_changed_file_is_not_served(void **state)
{
	struct fixture *f = *state;
	char path[TOOL_PATH_BYTES], got[LARGE_BYTES];
	struct content c;

	if (!sealed)
		return;
	(void)file_path(f, &f->large, path);
	tool_file_flip(path, 40);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_CORRUPT);
	assert_int_equal(open_rc(f, &f->large, READ_INLINE), RC_CORRUPT);
	tool_file_flip(path, 40);
	tool_file_flip(path, 1000);
	assert_int_equal(
	    content_open(f->s, REPO, &f->large, READ_BLOCKING, &f->a, &c),
	    RC_OK);
	assert_int_equal(
	    blob_file_read_all(&c.file, 0, got, sizeof(got)), RC_CORRUPT);
	content_close(&c);
	content_close(&c);
	push(f, &f->large, LARGE_BYTES);
	test_large_content_comes_from_a_file(state);
}

static void
test_what_no_key_is_here_for_is_locked(void **state)
{
	struct fixture *f = *state;

	if (!sealed)
		return;
	store_close(&f->s);
	f->s = tool_store_open(&f->options);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_LOCKED);
	assert_int_equal(open_rc(f, &f->large, READ_INLINE), RC_LOCKED);
	assert_int_equal(open_rc(f, &f->small, READ_BLOCKING), RC_LOCKED);
	/* That it is there can be seen. */
	assert_int_equal(stat_rc(f, &f->large, READ_BLOCKING), RC_OK);
	assert_int_equal(stat_rc(f, &f->small, READ_BLOCKING), RC_OK);
	tool_keys_open(f->s);
	assert_int_equal(open_rc(f, &f->large, READ_BLOCKING), RC_OK);
	assert_int_equal(open_rc(f, &f->small, READ_INLINE), RC_OK);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_small_content_comes_from_memory),
		TEST(test_large_content_comes_from_a_file),
		TEST(test_large_value_is_not_copied_on_a_loop),
		TEST(test_content_is_seen_in_its_repository_only),
		TEST(test_lost_file_is_not_found_until_pushed_again),
		TEST(test_cut_off_file_is_not_found_until_pushed_again),
		TEST(test_too_many_open_files_is_a_limit),
		TEST(test_what_is_in_use_is_promised_too),
		TEST(test_changed_file_is_not_served),
		TEST(test_what_no_key_is_here_for_is_locked),
	};

	int failed;

	failed = cmocka_run_group_tests_name("content", tests, NULL, NULL);
	sealed = true;
	return (failed + cmocka_run_group_tests_name(
			     "content, sealed", tests, NULL, NULL));
}
