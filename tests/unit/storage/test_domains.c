#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/fsck.h"
#include "storage/gc.h"
#include "storage/images.h"
#include "storage/keys.h"
#include "storage/meta_ops_int.h"
#include "storage/sealed.h"
#include "storage/snapshot.h"
#include "storage/store_int.h"
#include "storage/upload.h"

/*
 * The same content in repositories that are not encrypted and in others of two
 * keys: a copy each, which come and go and are damaged each by itself.
 */

#define LAYER_BYTES 150000 /* in a file, of several frames */
#define CONFIG "{\"what\":\"a config that nobody is to see\"}"
#define SECRET "annotation-that-nobody-is-to-see"
#define N_REPOS 4

static const char *const repos[N_REPOS] = { "plain", "one/app", "one/lib",
	"two/app" };

struct world {
	struct mt *t;
	char *layer_text;
	struct digest config, layer, image, signature;
	char image_text[2048], signature_text[2048];
};

static struct world w;

/* --- pushing ------------------------------------------------------------- */

static void
content_push(const char *repo, const char *p, size_t n)
{
	struct digest d = tool_digest(p, n);

	assert_int_equal(
	    upload_whole(w.t->s, span_of(repo), &d, (struct span){ p, n },
		SPAN_NONE, &repository_preset_default),
	    RC_OK);
}

static enum rc
manifest_push(const char *repo, const char *text, const char *tag)
{
	char why[MANIFEST_WHY_BYTES];
	struct manifest manifest;
	struct span tags = mt_span(tag);
	struct manifest_put_result result;
	const struct manifest_put put = {
		.repository = span_of(repo),
		.digest = mt_digest(text),
		.text = span_of(text),
		.manifest = &manifest,
		.tags = &tags,
		.n_tags = tag != NULL ? 1 : 0,
		.create = &repository_preset_default,
		.now_ms = 1000,
	};

	assert_int_equal(manifest_parse(SPAN_NONE, span_of(text), &w.t->arena,
			     &manifest, why),
	    RC_OK);
	return (meta_manifest_put(w.t->m, &put, &result));
}

static void
push(const char *repo)
{
	content_push(repo, CONFIG, strlen(CONFIG));
	content_push(repo, w.layer_text, LAYER_BYTES);
	assert_int_equal(manifest_push(repo, w.image_text, "v1"), RC_OK);
	assert_int_equal(manifest_push(repo, w.signature_text, NULL), RC_OK);
}

static void
texts_make(void)
{
	char config[DIGEST_STR_BYTES], layer[DIGEST_STR_BYTES];
	char image[DIGEST_STR_BYTES];

	w.layer_text = tool_bytes(LAYER_BYTES, 7);
	w.layer = tool_digest(w.layer_text, LAYER_BYTES);
	w.config = mt_digest(CONFIG);
	(void)digest_str(&w.config, config);
	(void)snprintf(w.image_text, sizeof(w.image_text),
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
	    "\"config\":{\"mediaType\":\"application/x\",\"digest\":\"%s\","
	    "\"size\":%zu},\"layers\":[{\"mediaType\":\"application/y\","
	    "\"digest\":\"%s\",\"size\":%d}],\"annotations\":{\"a\":"
	    "\"" SECRET "\"}}",
	    config, strlen(CONFIG), digest_str(&w.layer, layer), LAYER_BYTES);
	w.image = mt_digest(w.image_text);
	(void)snprintf(w.signature_text, sizeof(w.signature_text),
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
	    "\"config\":{\"mediaType\":\"application/x\",\"digest\":\"%s\","
	    "\"size\":%zu},\"layers\":[],\"subject\":{\"mediaType\":"
	    "\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":1},"
	    "\"annotations\":{\"by\":\"" SECRET "\"}}",
	    config, strlen(CONFIG), digest_str(&w.image, image));
	w.signature = mt_digest(w.signature_text);
}

/* All four have it all. */
static int
setup(void **state)
{
	size_t i;

	log_set_level(LOG_LVL_ERROR);
	if (mt_setup(state) != 0)
		return (-1);
	w = (struct world){ .t = *state };
	gc_grace_set(w.t->s, 0);
	texts_make();
	mt_sealed(w.t, "one/app", "alias/one");
	mt_sealed(w.t, "one/lib", "alias/one");
	mt_sealed(w.t, "two/app", "alias/two");
	for (i = 0; i < N_REPOS; i++)
		push(repos[i]);
	return (0);
}

static int
teardown(void **state)
{
	free(w.layer_text);
	return (mt_teardown(state));
}

/* --- looking ------------------------------------------------------------- */

/* RC_OK: and it is right. */
static enum rc
content_look(const char *repo, const struct digest *d)
{
	struct content c;
	struct digest is;
	char *p;
	enum rc rc;

	arena_reset(&w.t->arena);
	rc = content_open(
	    w.t->s, span_of(repo), d, READ_BLOCKING, &w.t->arena, &c);
	if (rc != RC_OK)
		return (rc);
	p = xmalloc(c.size_bytes);
	if (c.kind == CONTENT_MEMORY)
		memcpy(p, c.bytes.p, c.size_bytes);
	else
		rc = blob_file_read_all(&c.file, 0, p, c.size_bytes);
	if (rc == RC_OK) {
		is = tool_digest(p, c.size_bytes);
		assert_true(digest_eq(&is, d));
	}
	content_close(&c);
	free(p);
	return (rc);
}

static enum rc
image_look(const char *repo)
{
	struct manifest_row row;
	enum rc rc;

	rc = mt_get(w.t, repo, "v1", &row);
	if (rc == RC_OK)
		assert_true(span_is(row.text, w.image_text));
	return (rc);
}

static enum rc
signature_look(const char *repo)
{
	const struct referrer_query q = {
		.repository = span_of(repo),
		.subject = w.image,
		.max_rows = 10,
		.max_bytes = 1 << 16,
	};
	struct referrer_page page;
	enum rc rc;

	rc = meta_referrer_page(w.t->m, &q, READ_INLINE, &w.t->arena, &page);
	if (rc == RC_OK && page.n == 0)
		return (RC_NOTFOUND);
	if (rc == RC_OK)
		assert_true(span_is(
		    page.rows[0].annotations, "{\"by\":\"" SECRET "\"}"));
	return (rc);
}

static void
all_is_there(const char *repo)
{
	assert_int_equal(image_look(repo), RC_OK);
	assert_int_equal(signature_look(repo), RC_OK);
	assert_int_equal(content_look(repo, &w.config), RC_OK);
	assert_int_equal(content_look(repo, &w.layer), RC_OK);
}

static void
all_is_there_but_in(const char *repo)
{
	size_t i;

	for (i = 0; i < N_REPOS; i++)
		if (strcmp(repos[i], repo) != 0)
			all_is_there(repos[i]);
}

static struct gc_totals
collect(void)
{
	const struct gc_options options = { .now_ms = clock_real_ms() + 1000 };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(w.t->s, &options, &totals), RC_OK);
	mt_check(w.t);
	return (totals);
}

/* --- copies -------------------------------------------------------------- */

static void
each_key_has_a_copy_of_its_own(void **state)
{
	struct store_stats st = mt_stats(w.t);

	(void)state;
	/* Config, two manifests, layer; three times. */
	assert_int_equal(st.blobs, 12);
	assert_int_equal(st.file_blobs, 3);
	assert_int_equal(st.file_bytes, 3 * LAYER_BYTES);
	assert_int_equal(st.inline_blobs, 9);
	all_is_there_but_in("");
	mt_check(w.t);
	mt_reopen(w.t);
	all_is_there_but_in("");
}

static bool
file_has(const char *path, const char *what, size_t n)
{
	size_t size = (size_t)tool_file_size(path), got;
	char *p = xmalloc(size + 1);
	FILE *f = fopen(path, "r");
	bool has;

	assert_non_null(f);
	got = fread(p, 1, size, f);
	assert_int_equal(got, size);
	(void)fclose(f);
	has = memmem(p, size, what, n) != NULL;
	free(p);
	return (has);
}

static void
nothing_of_what_is_sealed_is_in_the_database(void **state)
{
	char path[TOOL_PATH_BYTES + 16];
	struct mt *t;
	void *sealed;

	(void)state;
	assert_int_equal(mt_setup(&sealed), 0);
	t = w.t;
	w.t = sealed;
	mt_sealed(w.t, "one/app", "alias/one");
	push("one/app");
	all_is_there("one/app");
	(void)snprintf(path, sizeof(path), "%s/meta.mdb", w.t->dir);
	assert_false(file_has(path, SECRET, strlen(SECRET)));
	assert_false(file_has(path, CONFIG, strlen(CONFIG)));
	assert_true(file_has(path, "one/app", 7));
	push("plain");
	assert_true(file_has(path, SECRET, strlen(SECRET)));
	assert_int_equal(mt_teardown(&sealed), 0);
	w.t = t;
}

static enum rc
mount(const char *from, const char *to, const struct repository_preset *create)
{
	const struct blob_mount m = {
		.from = span_of(from),
		.to = span_of(to),
		.digest = w.layer,
		.create = create,
		.now_ms = 2000,
	};

	return (meta_blob_mount(w.t->m, &m));
}

static void
content_is_mounted_under_its_own_key_only(void **state)
{
	const struct repository_preset kms = {
		.settings.encryption = ENCRYPTION_KMS,
		.settings.kms_key = SPAN("one"),
	};
	struct repository_row row;

	(void)state;
	mt_sealed(w.t, "one/new", "alias/one");
	mt_sealed(w.t, "two/new", "alias/two");
	assert_int_equal(mount("one/app", "two/new", NULL), RC_NOTFOUND);
	assert_int_equal(mount("plain", "two/new", NULL), RC_NOTFOUND);
	assert_int_equal(mount("one/app", "plain", NULL), RC_NOTFOUND);
	assert_int_equal(mount("one/app", "one/new", NULL), RC_OK);
	assert_int_equal(content_look("one/new", &w.layer), RC_OK);
	assert_int_equal(content_look("two/new", &w.layer), RC_NOTFOUND);
	assert_int_equal(
	    mount("one/app", "x/new", &repository_preset_default), RC_NOTFOUND);
	assert_int_equal(
	    meta_repository_get(w.t->m, SPAN("x/new"), &row), RC_NOTFOUND);
	assert_int_equal(mount("one/app", "x/new", &kms), RC_OK);
	assert_int_equal(content_look("x/new", &w.layer), RC_OK);
	assert_int_equal(
	    mount("plain", "y/new", &repository_preset_default), RC_OK);
	assert_int_equal(mt_stats(w.t).file_blobs, 3);
	mt_check(w.t);
}

/* Out of which it could be mounted into ${to}. */
static size_t
holders(const char *to, const struct repository_preset *create)
{
	struct page page;

	assert_int_equal(meta_blob_holders(w.t->m, span_of(to), create,
			     &w.layer, 9, &w.t->arena, &page),
	    RC_OK);
	return (page.n);
}

static void
holders_are_those_of_the_same_key(void **state)
{
	const struct repository_preset one = {
		.settings.encryption = ENCRYPTION_KMS,
		.settings.kms_key = SPAN("one"),
	};
	const struct repository_preset three = {
		.settings.encryption = ENCRYPTION_KMS,
		.settings.kms_key = SPAN("three"),
	};

	(void)state;
	mt_sealed(w.t, "two/new", "alias/two");
	assert_int_equal(holders("plain", NULL), 1);
	assert_int_equal(holders("one/app", NULL), 2);
	assert_int_equal(holders("two/new", NULL), 1);
	assert_int_equal(holders("new", NULL), 0);
	assert_int_equal(holders("new", &repository_preset_default), 1);
	assert_int_equal(holders("new", &one), 2);
	assert_int_equal(holders("new", &three), 0);
	store_encryption_default_set(w.t->s, ENCRYPTION_AES256);
	assert_int_equal(holders("new", &repository_preset_default), 0);
}

static enum rc
put_of(const char *repo, uint32_t domain)
{
	const struct blob_put put = {
		.repository = span_of(repo),
		.digest = w.layer,
		.size_bytes = LAYER_BYTES,
		.location = BLOB_IN_FILE,
		.key_domain = domain,
		.create = &repository_preset_default,
		.now_ms = 2000,
	};

	return (meta_blob_put(w.t->m, &put));
}

static void
a_file_of_another_key_is_no_content_of_a_repository(void **state)
{
	uint32_t one = mt_domain(w.t, "one/app");
	struct repository_row row;

	(void)state;
	mt_sealed(w.t, "one/new", "alias/one");
	assert_int_equal(put_of("one/new", KEY_DOMAIN_PLAIN), RC_BUSY);
	assert_int_equal(put_of("one/new", one + 1), RC_BUSY);
	assert_int_equal(content_look("one/new", &w.layer), RC_NOTFOUND);
	/* One that is made by it is not there then. */
	assert_int_equal(put_of("new", one), RC_BUSY);
	assert_int_equal(
	    meta_repository_get(w.t->m, SPAN("new"), &row), RC_NOTFOUND);
	assert_int_equal(put_of("one/new", one), RC_OK);
	assert_int_equal(put_of("new", KEY_DOMAIN_PLAIN), RC_OK);
	assert_int_equal(content_look("one/new", &w.layer), RC_OK);
	mt_check(w.t);
}

/* --- what goes ----------------------------------------------------------- */

static void
image_delete(const char *repo)
{
	struct holding holding;

	assert_int_equal(
	    meta_manifest_delete(w.t->m, span_of(repo), &w.signature, &holding),
	    RC_OK);
	assert_int_equal(
	    meta_manifest_delete(w.t->m, span_of(repo), &w.image, &holding),
	    RC_OK);
}

static void
what_one_key_has_is_collected_by_itself(void **state)
{
	struct gc_totals totals;
	size_t i;

	(void)state;
	for (i = 0; i < N_REPOS; i++) {
		image_delete(repos[i]);
		totals = collect();
		assert_int_equal(totals.links, 2);
		/* The other one of its key has it still. */
		assert_int_equal(totals.blobs, i == 1 ? 0 : 4);
		assert_int_equal(content_look(repos[i], &w.layer), RC_NOTFOUND);
		assert_int_equal(mt_stats(w.t).file_blobs,
		    i == 0 || i == 1 ? 2 : (i == 2 ? 1 : 0));
		if (i == 0)
			all_is_there_but_in("plain");
	}
	assert_int_equal(mt_stats(w.t).blobs, 0);
	/* And comes back as it was. */
	for (i = 0; i < N_REPOS; i++)
		push(repos[i]);
	all_is_there_but_in("");
}

static void
a_dry_run_says_what_a_collection_does(void **state)
{
	struct gc_options options = { .dry_run = true };
	struct gc_totals dry = { 0 }, totals;

	(void)state;
	image_delete("one/app");
	image_delete("two/app");
	options.now_ms = clock_real_ms() + 1000;
	assert_int_equal(gc_run(w.t->s, &options, &dry), RC_OK);
	totals = collect();
	assert_int_equal(dry.links, totals.links);
	assert_int_equal(dry.blobs, totals.blobs);
	assert_int_equal(dry.bytes, totals.bytes);
	all_is_there("one/lib");
	all_is_there("plain");
}

/* A push that ended before its record. */
static enum rc
record_lose(struct meta_txn *t, void *arg)
{
	struct repository_row row;
	struct link_rec link;
	enum rc rc;

	if ((rc = repo_find(t, span_of(arg), &row)) != RC_OK ||
	    (rc = link_load(t, row.id, &w.layer, &link)) != RC_OK ||
	    (rc = link_drop(t, row.id, &w.layer, &link, 3000)) != RC_OK)
		return (rc);
	if ((rc = blob_forget(t, repo_domain(row.id), &w.layer, 3000)) != RC_OK)
		return (rc);
	/* Nothing tells of the file. */
	return (removal_drop(t, BLOB_IN_FILE, repo_domain(row.id), &w.layer));
}

static void
a_sealed_file_without_a_record_is_found(void **state)
{
	char two[] = "two/app";
	struct gc_totals totals;

	(void)state;
	image_delete(two);
	assert_int_equal(meta_change(w.t->m, record_lose, two, 0), RC_OK);
	mt_reopen(w.t);
	gc_grace_set(w.t->s, 0);
	totals = collect();
	assert_int_equal(totals.orphan_files, 1);
	all_is_there_but_in(two);
}

static void
a_deleted_repository_takes_its_own_copies(void **state)
{
	struct repository_description d;
	bool more = true;

	(void)state;
	assert_int_equal(meta_repository_delete(
			     w.t->m, SPAN("two/app"), true, &w.t->arena, &d),
	    RC_OK);
	while (more)
		assert_int_equal(
		    meta_repository_purge(w.t->m, 3, NULL, &more), RC_OK);
	(void)collect();
	assert_int_equal(mt_stats(w.t).blobs, 8);
	all_is_there_but_in("two/app");
	/* Of the same name, and another key. */
	mt_sealed(w.t, "two/app", "alias/one");
	push("two/app");
	all_is_there_but_in("");
	assert_int_equal(mt_stats(w.t).blobs, 8);
	mt_check(w.t);
}

static void
what_was_deleted_comes_back_sealed(void **state)
{
	const struct reference ref = { .is_digest = true,
		.digest = w.signature };
	const struct reference image = { .is_digest = true, .digest = w.image };
	struct repository_description d;
	struct image_restored restored;
	struct seal_key key;

	(void)state;
	store_undelete_set(w.t->s, 3600 * 1000);
	image_delete("one/app");
	assert_int_equal(signature_look("one/app"), RC_NOTFOUND);
	(void)collect();
	assert_int_equal(meta_image_undelete(w.t->m, SPAN("one/app"), &image,
			     5000, &w.t->arena, &restored),
	    RC_OK);
	assert_int_equal(meta_image_undelete(w.t->m, SPAN("one/app"), &ref,
			     5000, &w.t->arena, &restored),
	    RC_OK);
	(void)collect();
	all_is_there_but_in("");
	assert_int_equal(meta_repository_delete(
			     w.t->m, SPAN("one/app"), true, &w.t->arena, &d),
	    RC_OK);
	assert_int_equal(
	    meta_repository_undelete(w.t->m, SPAN("one/app"), 0, 6000), RC_OK);
	all_is_there_but_in("");
	assert_int_equal(
	    keys_get(w.t->s, mt_domain(w.t, "one/app"), READ_INLINE, &key),
	    RC_OK);
	mt_check(w.t);
}

/* --- the archive --------------------------------------------------------- */

static void
status_set(const char *repo, const struct digest *d, enum image_status status)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;
	struct holding holding;

	assert_int_equal(meta_image_status_set(w.t->m, span_of(repo), &ref,
			     status, 5000, &w.t->arena, &row, &holding),
	    RC_OK);
}

static void
one_key_is_archived_and_the_others_are_not(void **state)
{
	struct gc_totals totals;
	struct store_stats st;

	(void)state;
	status_set("two/app", &w.image, IMAGE_ARCHIVED);
	status_set("one/app", &w.image, IMAGE_ARCHIVED);
	totals = collect();
	assert_int_equal(totals.archived_blobs, 1);
	st = mt_stats(w.t);
	assert_int_equal(st.archived_blobs, 1);
	assert_int_equal(st.file_blobs, 2);
	assert_int_equal(content_look("two/app", &w.layer), RC_NOTFOUND);
	assert_int_equal(content_look("one/lib", &w.layer), RC_OK);
	assert_int_equal(content_look("plain", &w.layer), RC_OK);
	mt_reopen(w.t);
	gc_grace_set(w.t->s, 0);
	status_set("two/app", &w.image, IMAGE_ACTIVE);
	status_set("one/app", &w.image, IMAGE_ACTIVE);
	totals = collect();
	assert_int_equal(totals.activated_images, 1);
	all_is_there_but_in("");
	assert_int_equal(mt_stats(w.t).archived_blobs, 0);
	assert_int_equal(mt_stats(w.t).file_blobs, 3);
}

/* --- damage -------------------------------------------------------------- */

static void
problem_print(void *arg, const struct fsck_problem *p)
{
	(void)arg;
	if (getenv("VERBOSE") != NULL)
		print_message("fsck: %s\n", p->text);
}

static struct fsck_progress *
fsck(bool repair)
{
	static struct fsck_progress progress;
	const struct fsck_options options = {
		.repair = repair,
		.problem = problem_print,
	};

	memset(&progress, 0, sizeof(progress));
	assert_int_equal(fsck_run(w.t->s, &options, &progress), RC_OK);
	return (&progress);
}

static void
fsck_finds_nothing(void **state)
{
	struct fsck_progress *p = fsck(false);

	(void)state;
	assert_int_equal(p->problems, 0);
	assert_int_equal(p->locked_blobs, 0);
	assert_int_equal(p->orphan_files, 0);
	assert_int_equal(p->blobs, 12);
}

static void
blob_key(const char *repo, const struct digest *d, struct rec_key *k)
{
	key_blob(k, mt_domain(w.t, repo), d);
}

/* Content of one row in the place of another. */
struct swap {
	struct rec_key from, to;
};

static enum rc
content_swap(struct meta_txn *t, void *arg)
{
	const struct swap *s = arg;
	struct span value;
	char *copy;
	enum rc rc;

	rc = kv_get(t, TABLE_CONTENT, key_span(&s->from), &value);
	if (rc != RC_OK)
		return (rc);
	copy = xmalloc(value.n);
	memcpy(copy, value.p, value.n);
	rc = kv_put(
	    t, TABLE_CONTENT, key_span(&s->to), (struct span){ copy, value.n });
	free(copy);
	return (rc);
}

static void
content_of_another_key_in_its_place_is_not_served(void **state)
{
	struct swap s;

	(void)state;
	blob_key("one/app", &w.image, &s.from);
	blob_key("two/app", &w.image, &s.to);
	assert_int_equal(meta_change(w.t->m, content_swap, &s, 0), RC_OK);
	assert_int_equal(image_look("two/app"), RC_CORRUPT);
	all_is_there_but_in("two/app");
	assert_int_equal(fsck(true)->problems, 1);
	assert_int_equal(image_look("two/app"), RC_NOTFOUND);
	all_is_there_but_in("two/app");
	assert_int_equal(manifest_push("two/app", w.image_text, "v1"), RC_OK);
	all_is_there_but_in("");
	assert_int_equal(fsck(false)->problems, 0);
	mt_check(w.t);
}

static enum rc
content_change(struct meta_txn *t, void *arg)
{
	const struct rec_key *k = arg;
	struct span value;
	char *copy;
	enum rc rc;

	if ((rc = kv_get(t, TABLE_CONTENT, key_span(k), &value)) != RC_OK)
		return (rc);
	copy = xmalloc(value.n);
	memcpy(copy, value.p, value.n);
	copy[value.n / 2] ^= 1;
	rc = kv_put(
	    t, TABLE_CONTENT, key_span(k), (struct span){ copy, value.n });
	free(copy);
	return (rc);
}

static void
content_that_was_altered_is_not_served(void **state)
{
	struct rec_key k;

	(void)state;
	blob_key("one/app", &w.config, &k);
	assert_int_equal(meta_change(w.t->m, content_change, &k, 0), RC_OK);
	assert_int_equal(content_look("one/app", &w.config), RC_CORRUPT);
	assert_int_equal(content_look("two/app", &w.config), RC_OK);
	assert_int_equal(fsck(false)->problems, 1);
	/* A push of the same heals it. */
	content_push("one/lib", CONFIG, strlen(CONFIG));
	assert_int_equal(content_look("one/app", &w.config), RC_OK);
	assert_int_equal(fsck(false)->problems, 0);
}

static char *
file_path(const char *repo, char path[SNAPSHOT_PATH_BYTES + TOOL_PATH_BYTES])
{
	char d[DIGEST_STR_BYTES];
	uint32_t domain = mt_domain(w.t, repo);
	char folder[32] = "";

	(void)digest_str(&w.layer, d);
	if (domain != KEY_DOMAIN_PLAIN)
		(void)snprintf(folder, sizeof(folder), "k%u/", domain);
	(void)snprintf(path, SNAPSHOT_PATH_BYTES + TOOL_PATH_BYTES,
	    "%s/blobs/%ssha256/%.2s/%s", w.t->dir, folder, d + 7, d + 7);
	return (path);
}

static void
file_write(const char *repo, long at, const char *p, size_t n)
{
	char path[SNAPSHOT_PATH_BYTES + TOOL_PATH_BYTES];
	FILE *f = fopen(file_path(repo, path), "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
a_damaged_file_is_taken_out_of_service_under_its_key(void **state)
{
	char path[SNAPSHOT_PATH_BYTES + TOOL_PATH_BYTES];

	(void)state;
	file_write("two/app", 100000, "xx", 2);
	assert_int_equal(fsck(false)->problems, 1);
	assert_int_equal(fsck(true)->repaired, 1);
	assert_false(tool_exists(file_path("two/app", path)));
	assert_int_equal(content_look("two/app", &w.layer), RC_NOTFOUND);
	all_is_there_but_in("two/app");
	content_push("two/app", w.layer_text, LAYER_BYTES);
	all_is_there_but_in("");
	assert_int_equal(fsck(false)->problems, 0);
	/* Its header. */
	file_write("one/app", 20, "xx", 2);
	assert_int_equal(content_look("one/app", &w.layer), RC_CORRUPT);
	assert_int_equal(fsck(true)->repaired, 1);
	content_push("one/lib", w.layer_text, LAYER_BYTES);
	all_is_there_but_in("");
	mt_check(w.t);
}

static enum rc
record_break(struct meta_txn *t, void *arg)
{
	const struct rec_key *k = arg;

	return (kv_put(t, TABLE_BLOBS, key_span(k), SPAN("x")));
}

static void
a_lost_record_is_made_anew_under_its_key(void **state)
{
	const struct digest *lost[] = { &w.layer, &w.config, &w.image };
	struct rec_key k;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lost); i++) {
		blob_key("two/app", lost[i], &k);
		assert_int_equal(
		    meta_change(w.t->m, record_break, &k, 0), RC_OK);
	}
	assert_true(fsck(true)->repaired > 0);
	assert_int_equal(fsck(true)->problems, 0);
	all_is_there_but_in("");
	mt_check(w.t);
}

/* A holder of a copy that is not of its key. */
static enum rc
holder_stray(struct meta_txn *t, void *arg)
{
	struct repository_row row;
	struct rec_key k;
	enum rc rc;

	if ((rc = repo_find(t, SPAN("plain"), &row)) != RC_OK)
		return (rc);
	key_holder(&k, *(uint32_t *)arg, &w.layer, HOLDER_LINK, row.id);
	return (kv_put(t, TABLE_HOLDERS, key_span(&k), rec_none()));
}

static void
nobody_holds_a_copy_of_another_key(void **state)
{
	uint32_t two = mt_domain(w.t, "two/app");

	(void)state;
	assert_int_equal(meta_change(w.t->m, holder_stray, &two, 0), RC_OK);
	assert_int_equal(fsck(true)->repaired, 1);
	assert_int_equal(fsck(false)->problems, 0);
	all_is_there_but_in("");
	mt_check(w.t);
}

/* --- without keys -------------------------------------------------------- */

static void
restart_without_keys(void)
{
	char why[STORE_WHY_BYTES];
	struct keyring *none = NULL;

	store_close(&w.t->s);
	w.t->s = tool_store_open(&w.t->options);
	w.t->m = store_meta(w.t->s);
	assert_int_equal(store_keys_open(w.t->s, &none, true, why), RC_OK);
	gc_grace_set(w.t->s, 0);
}

static void
without_keys_fsck_says_what_it_could_not_read(void **state)
{
	struct fsck_progress *p;
	char path[SNAPSHOT_PATH_BYTES + TOOL_PATH_BYTES];

	(void)state;
	restart_without_keys();
	p = fsck(true);
	assert_int_equal(p->problems, 0);
	assert_int_equal(p->locked_blobs, 8);
	assert_true(p->locked_bytes > 2 * LAYER_BYTES);
	assert_int_equal(p->blobs, 12);
	/* One that was cut off it finds nevertheless, and a missing one. */
	(void)file_path("two/app", path);
	assert_int_equal(truncate(path, 70000), 0);
	assert_int_equal(fsck(false)->problems, 1);
	assert_int_equal(remove(path), 0);
	assert_int_equal(fsck(false)->problems, 1);
	mt_reopen(w.t);
	all_is_there_but_in("two/app");
}

static void
without_keys_the_rest_is_served(void **state)
{
	size_t i;

	(void)state;
	restart_without_keys();
	all_is_there("plain");
	for (i = 1; i < N_REPOS; i++) {
		assert_int_equal(image_look(repos[i]), RC_LOCKED);
		assert_int_equal(signature_look(repos[i]), RC_LOCKED);
		assert_int_equal(content_look(repos[i], &w.config), RC_LOCKED);
		assert_int_equal(content_look(repos[i], &w.layer), RC_LOCKED);
		assert_int_equal(
		    manifest_push(repos[i], w.image_text, "v2"), RC_LOCKED);
	}
}

static void
without_keys_what_is_sealed_can_be_deleted_and_collected(void **state)
{
	size_t i;

	(void)state;
	restart_without_keys();
	for (i = 1; i < N_REPOS; i++)
		image_delete(repos[i]);
	(void)collect();
	assert_int_equal(mt_stats(w.t).blobs, 4);
	assert_int_equal(mt_stats(w.t).file_blobs, 1);
	all_is_there("plain");
}

/* --- copies of the folder ------------------------------------------------ */

struct seen {
	unsigned n, n_sealed;
};

static enum rc
file_seen(void *arg, const struct snapshot_file *file)
{
	char path[SNAPSHOT_PATH_BYTES + TOOL_PATH_BYTES];
	struct seen *seen = arg;
	struct digest d;
	bool content;

	(void)snprintf(path, sizeof(path), "%s/%s", w.t->dir, file->path);
	assert_int_equal(tool_file_size(path), file->stored_bytes);
	assert_true(snapshot_name_ok(file->path, &content, &d));
	assert_true(content);
	assert_true(digest_eq(&d, &file->digest));
	assert_int_equal(file->size_bytes, LAYER_BYTES);
	seen->n++;
	seen->n_sealed += file->key_domain != KEY_DOMAIN_PLAIN;
	return (RC_OK);
}

static void
a_snapshot_tells_of_sealed_files(void **state)
{
	char why[SNAPSHOT_WHY_BYTES];
	struct snapshot *snap;
	struct seen seen = { 0 };

	(void)state;
	status_set("two/app", &w.image, IMAGE_ARCHIVED);
	(void)collect();
	assert_int_equal(snapshot_begin(w.t->s, &snap, why), RC_OK);
	assert_int_equal(
	    snapshot_files(snapshot_path(snap), file_seen, &seen, why), RC_OK);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.n_sealed, 2);
	snapshot_end(&snap);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_key_has_a_copy_of_its_own),
		TEST(nothing_of_what_is_sealed_is_in_the_database),
		TEST(content_is_mounted_under_its_own_key_only),
		TEST(holders_are_those_of_the_same_key),
		TEST(a_file_of_another_key_is_no_content_of_a_repository),
		TEST(what_one_key_has_is_collected_by_itself),
		TEST(a_dry_run_says_what_a_collection_does),
		TEST(a_sealed_file_without_a_record_is_found),
		TEST(a_deleted_repository_takes_its_own_copies),
		TEST(what_was_deleted_comes_back_sealed),
		TEST(one_key_is_archived_and_the_others_are_not),
		TEST(fsck_finds_nothing),
		TEST(content_of_another_key_in_its_place_is_not_served),
		TEST(content_that_was_altered_is_not_served),
		TEST(a_damaged_file_is_taken_out_of_service_under_its_key),
		TEST(a_lost_record_is_made_anew_under_its_key),
		TEST(nobody_holds_a_copy_of_another_key),
		TEST(without_keys_fsck_says_what_it_could_not_read),
		TEST(without_keys_the_rest_is_served),
		TEST(without_keys_what_is_sealed_can_be_deleted_and_collected),
		TEST(a_snapshot_tells_of_sealed_files),
	};

	return (cmocka_run_group_tests_name("domains", tests, NULL, NULL));
}
