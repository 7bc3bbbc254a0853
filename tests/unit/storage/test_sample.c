#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/obj.h"
#include "meta_tools.h"
#include "storage/advisories.h"
#include "storage/collect_int.h"
#include "storage/content.h"
#include "storage/deleted.h"
#include "storage/entities.h"
#include "storage/findings.h"
#include "storage/fsck.h"
#include "storage/images.h"
#include "storage/imports.h"
#include "storage/keys.h"
#include "storage/lifecycles.h"
#include "storage/meta_ops_int.h"
#include "storage/replication.h"
#include "storage/repositories.h"
#include "storage/store_int.h"
#include "storage/upload.h"

/*
 * A folder that an earlier version wrote can still be opened, and all of it
 * is there.  For each format that was ever released tests/samples/ has one;
 * it was written by this program as it was then:
 *
 *	build/tests/unit/storage/test_sample --make tests/samples/format-N
 *
 * and is never written again.  A test works on a copy of it.
 */
static const struct format {
	unsigned number;
	const char *sample;
	uint64_t repositories, manifests, tags, blobs, links;
	uint64_t referrers, sessions, files;
} formats[] = {
	{ 1, "tests/samples/format-1", 2, 3, 3, 7, 4, 1, 1, 1 },
	{ 2, "tests/samples/format-2", 3, 3, 3, 7, 5, 1, 1, 1 },
	{ 3, "tests/samples/format-3", 3, 3, 3, 7, 5, 1, 1, 1 },
	{ 4, "tests/samples/format-4", 4, 5, 4, 11, 8, 1, 1, 1 },
	{ 5, "tests/samples/format-5", 5, 6, 5, 12, 8, 1, 1, 1 },
	{ 6, "tests/samples/format-6", 7, 8, 6, 17, 11, 2, 2, 3 },
};
/* That of the test that runs. */
static const struct format *format;

#define LAYER_BYTES 6000 /* more than goes into the database */
#define PARTIAL "the first part of a layer"
#define EMPTY_JSON "{}"

/* What the sample holds; everything follows from this. */
struct sample {
	struct digest config, layer, note, orphan;
	struct digest image, index, signature;
	char layer_text[LAYER_BYTES];
	char image_text[1024], index_text[1024], signature_text[1024];
	/* Since format 4. */
	struct digest cold_layer, cold, warm, gone;
	char cold_layer_text[LAYER_BYTES];
	char cold_text[1024], warm_text[1024], gone_text[1024];
	/* Since format 5. */
	struct digest copy;
	char copy_text[1024];
};

static void
text_fill(char text[1024], const char *fmt, const struct digest *a,
    const struct digest *b)
{
	char sa[DIGEST_STR_BYTES], sb[DIGEST_STR_BYTES];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, 1024, fmt, digest_str(a, sa), digest_str(b, sb));
#pragma GCC diagnostic pop
}

/* The third of its kind, and the first: nobody else needs their layer. */
static void
cold_init(struct sample *s)
{
	static const char text[] =
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
	    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1"
	    "+json\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
	    "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
	    "\"size\":6000}]}";

	memset(s->cold_layer_text, 'z', LAYER_BYTES);
	s->cold_layer = tool_digest(s->cold_layer_text, LAYER_BYTES);
	text_fill(s->cold_text, text, &s->config, &s->cold_layer);
	s->cold = mt_digest(s->cold_text);
	/* The same, and other bytes. */
	text_fill(s->warm_text, text, &s->config, &s->cold_layer);
	(void)strcat(s->warm_text, "\n");
	s->warm = mt_digest(s->warm_text);
	text_fill(s->gone_text, text, &s->config, &s->cold_layer);
	(void)strcat(s->gone_text, "\n\n");
	s->gone = mt_digest(s->gone_text);
}

static void
sample_init(struct sample *s)
{
	size_t i;

	for (i = 0; i < LAYER_BYTES; i++)
		s->layer_text[i] = (char)('a' + i * i % 23);
	s->config = mt_digest(EMPTY_JSON);
	s->layer = tool_digest(s->layer_text, LAYER_BYTES);
	digest_of(DIGEST_SHA512, "note", 4, &s->note);
	s->orphan = mt_digest("orphan");
	text_fill(s->image_text,
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
	    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1"
	    "+json\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
	    "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
	    "\"size\":6000}]}",
	    &s->config, &s->layer);
	s->image = mt_digest(s->image_text);
	/* The same, and another byte. */
	memcpy(s->copy_text, s->image_text, sizeof(s->copy_text));
	(void)strcat(s->copy_text, "\n");
	s->copy = mt_digest(s->copy_text);
	text_fill(s->index_text,
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\","
	    "\"manifests\":[{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
	    "\"digest\":\"%s\",\"size\":0}]}",
	    &s->image, &s->image);
	s->index = mt_digest(s->index_text);
	text_fill(s->signature_text,
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\","
	    "\"artifactType\":\"application/vnd.example.sig\",\"config\":{"
	    "\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":"
	    "\"%s\",\"size\":2},\"layers\":[],\"subject\":{\"mediaType\":"
	    "\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":1},"
	    "\"annotations\":{\"by\":\"tests\"}}",
	    &s->config, &s->image);
	s->signature = mt_digest(s->signature_text);
	cold_init(s);
}

/* Making it. */

static void
blob_push(struct mt *t, const char *repo, const char *p, size_t n, uint8_t alg)
{
	struct upload *u = NULL;
	struct digest d;
	char id[UPLOAD_ID_BYTES];

	digest_of(alg, p, n, &d);
	assert_int_equal(upload_start(t->s, span_of(repo), alg,
			     &repository_preset_default, id),
	    RC_OK);
	assert_int_equal(
	    upload_acquire(t->s, span_of(repo), span_of(id), &u), RC_OK);
	assert_int_equal(upload_write(u, p, n), RC_OK);
	assert_int_equal(
	    upload_finish(&u, &d, &repository_preset_default), RC_OK);
}

static void
manifest_push(struct mt *t, const char *repo, const char *text, const char *tag,
    int64_t now_ms)
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
		.now_ms = now_ms,
	};

	assert_int_equal(
	    manifest_parse(SPAN_NONE, span_of(text), &t->arena, &manifest, why),
	    RC_OK);
	assert_int_equal(meta_manifest_put(t->m, &put, &result), RC_OK);
}

/* As a part since format 3. */
static void
session_leave(struct mt *t, struct span repo)
{
	const struct upload_part_rules rules = { .max_parts = 9 };
	struct upload_part *part = NULL;
	struct upload *u = NULL;
	char id[UPLOAD_ID_BYTES];

	assert_int_equal(upload_start(t->s, repo, DIGEST_SHA256,
			     &repository_preset_default, id),
	    RC_OK);
	assert_int_equal(upload_acquire(t->s, repo, span_of(id), &u), RC_OK);
	assert_int_equal(upload_part_new(t->s, &part), RC_OK);
	assert_int_equal(
	    upload_part_write(part, PARTIAL, strlen(PARTIAL)), RC_OK);
	assert_int_equal(upload_join(u, part, &rules), RC_OK);
	upload_part_free(&part);
	upload_release(&u);
}

/* Since format 2. */

#define POLICY "{\"Version\":\"2012-10-17\",\"Statement\":[]}"

static void
repository_make(struct mt *t)
{
	const struct span filter = SPAN("dev-*");
	const struct resource_tag tag = { SPAN("stage"), SPAN("prod") };
	const struct repository_create create = {
		.name = SPAN("team/made"),
		.preset = { .settings = { .mutability =
					      TAGS_IMMUTABLE_WITH_EXCLUSION,
				.exclusions = &filter,
				.n_exclusions = 1,
				.scan_on_push = true,
				.encryption = ENCRYPTION_KMS,
				.kms_key = SPAN("alias/key") },
		    .tags = &tag,
		    .n_tags = 1 },
		.now_ms = 6000,
	};
	struct repository_row row;

	assert_int_equal(meta_repository_create(t->m, &create, &row), RC_OK);
	assert_int_equal(
	    meta_repository_policy_set(t->m, SPAN("team/made"), SPAN(POLICY)),
	    RC_OK);
}

/* Deleted, and not all of it is gone. */
static void
repository_doom(struct mt *t, const struct sample *s)
{
	struct repository_description d;
	bool more;

	blob_push(t, "gone", EMPTY_JSON, 2, DIGEST_SHA256);
	blob_push(t, "gone", s->layer_text, LAYER_BYTES, DIGEST_SHA256);
	assert_int_equal(
	    meta_repository_delete(t->m, SPAN("gone"), true, &t->arena, &d),
	    RC_OK);
	assert_int_equal(meta_repository_purge(t->m, 1, NULL, &more), RC_OK);
	assert_true(more);
}

static void
entities_make(struct mt *t)
{
	const struct entity_change changes[] = {
		{ .entity = { ENTITY_USER, SPAN("000000000000/u"),
		      SPAN("{\"a\":1}") } },
		{ .entity = { ENTITY_NOTE, SPAN("AKIA1"), SPAN("{}") } },
	};
	uint64_t generation;

	assert_int_equal(
	    meta_entities_change(t->m, 0, changes, 2, &generation), RC_OK);
}

/* Since format 3. */

#define LIFECYCLE "{\"rules\":[]}"

/* One that is complete. */
static void
preview_make(struct mt *t, const struct sample *s)
{
	const struct preview_result rows[] = {
		{ s->image, PREVIEW_EXPIRE, IMAGE_ACTIVE, 1, 1000 },
		{ s->index, PREVIEW_TRANSITION, IMAGE_ACTIVE, 2, 3000 },
	};
	const struct preview_sums sums = { 1, 1 };
	struct preview_job job;

	assert_int_equal(
	    meta_preview_start(t->m, SPAN("team/app"), SPAN(LIFECYCLE), 7600),
	    RC_OK);
	assert_int_equal(meta_preview_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(
	    meta_preview_results_add(t->m, &job, 0, rows, 2), RC_OK);
	assert_int_equal(
	    meta_preview_end(t->m, &job, PREVIEW_COMPLETE, &sums, 7700), RC_OK);
}

static void
lives_make(struct mt *t, const struct sample *s)
{
	preview_make(t, s);
	assert_int_equal(meta_lifecycle_set(t->m, SPAN("team/made"),
			     SPAN(LIFECYCLE), 7000, NULL),
	    RC_OK);
	assert_int_equal(
	    meta_preview_start(t->m, SPAN("team/made"), SPAN(LIFECYCLE), 7500),
	    RC_OK);
}

static void
scan_begin_of(struct mt *t, const struct digest *d, int64_t now_ms)
{
	const struct scan_start start = {
		.repository = SPAN("team/app"), .digest = *d, .now_ms = now_ms
	};

	assert_int_equal(meta_scan_start(t->m, &start), RC_OK);
}

/* One has ended, one waits. */
static void
images_make(struct mt *t, const struct sample *s)
{
	const struct reference ref = { .is_digest = true,
		.digest = s->signature };
	struct holding holding;
	struct image_row row;
	struct scan_job job;

	scan_begin_of(t, &s->image, 8000);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_int_equal(
	    meta_scan_end(t->m, &job, SCAN_FAILED, SPAN("no scanner"), 8500),
	    RC_OK);
	scan_begin_of(t, &s->signature, 9000);
	assert_int_equal(meta_image_status_set(t->m, SPAN("team/app"), &ref,
			     IMAGE_ARCHIVED, 9500, &t->arena, &row, &holding),
	    RC_OK);
}

static void
template_make(struct mt *t)
{
	const struct entity_change change = {
		.entity = { ENTITY_CREATION_TEMPLATE, SPAN("ROOT"), SPAN("{}") }
	};
	uint64_t generation;

	assert_int_equal(
	    meta_entities_change(t->m, 1, &change, 1, &generation), RC_OK);
}

/* Since format 4. */

#define LATE SPAN("team/late")
#define UNDELETE_MS (INT64_MAX / 4)

static void
class_set(struct mt *t, const struct digest *d, enum image_status status,
    int64_t now_ms)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, LATE, &ref, status, now_ms,
			     &t->arena, &row, &holding),
	    RC_OK);
}

struct moving {
	uint64_t repo;
	const struct digest *digest;
	struct tier_place place;
};

/* As the collector does, which then removes the file; that is left to do. */
static enum rc
layer_moved(struct meta_txn *m, void *arg)
{
	const struct moving *mv = arg;
	struct link_rec link;
	enum rc rc;

	if ((rc = link_load(m, mv->repo, mv->digest, &link)) != RC_OK)
		return (rc);
	if ((rc = link_settle(m, mv->repo, mv->digest, &link)) != RC_OK)
		return (rc);
	return (blob_moved(m, KEY_DOMAIN_PLAIN, mv->digest, BLOB_IN_ARCHIVE,
	    mv->place.encoding, mv->place.stored_bytes, 10100));
}

static void
layer_archive(struct mt *t, const struct digest *d)
{
	struct repository_description repo;
	struct moving mv = { .digest = d };
	struct blob_file file;
	struct tier_put put = { .digest = *d, .file = &file };

	assert_int_equal(
	    meta_repository_describe(t->m, LATE, &t->arena, &repo), RC_OK);
	mv.repo = repo.row.id;
	assert_int_equal(blobs_open(store_blobs(t->s), KEY_DOMAIN_PLAIN, d,
			     READ_BLOCKING, &file),
	    RC_OK);
	put.size_bytes = file.size_bytes;
	assert_int_equal(tier_put(store_tier(t->s), &put, &mv.place), RC_OK);
	blob_file_close(&file);
	assert_int_equal(meta_change(t->m, layer_moved, &mv, 0), RC_OK);
}

/* One in the archive, and one that is to be fetched from there. */
static void
classes_make(struct mt *t, const struct sample *s)
{
	blob_push(t, "team/late", EMPTY_JSON, 2, DIGEST_SHA256);
	blob_push(
	    t, "team/late", s->cold_layer_text, LAYER_BYTES, DIGEST_SHA256);
	manifest_push(t, "team/late", s->cold_text, "cold", 9700);
	manifest_push(t, "team/late", s->warm_text, NULL, 9800);
	manifest_push(t, "team/late", s->gone_text, "gone", 9900);
	class_set(t, &s->cold, IMAGE_ARCHIVED, 10000);
	class_set(t, &s->warm, IMAGE_ARCHIVED, 10000);
	class_set(t, &s->gone, IMAGE_ARCHIVED, 10000);
	layer_archive(t, &s->cold_layer);
	class_set(t, &s->warm, IMAGE_ACTIVE, 10200);
}

/* They can be restored. */
static void
gone_make(struct mt *t, const struct sample *s)
{
	struct repository_description d;
	struct holding holding;

	store_undelete_set(t->s, UNDELETE_MS);
	assert_int_equal(
	    meta_manifest_delete(t->m, LATE, &s->gone, &holding), RC_OK);
	blob_push(t, "dropped", "note", 4, DIGEST_SHA512);
	assert_int_equal(
	    meta_repository_delete(t->m, SPAN("dropped"), true, &t->arena, &d),
	    RC_OK);
}

static void
run_make(struct mt *t)
{
	const struct lifecycle_result result = {
		.revision = 3,
		.outcome = LIFECYCLE_DONE,
		.started_ms = 11000,
		.ended_ms = 11500,
		.images = 4,
		.expired = 2,
		.held = 1,
		.why = SPAN("so"),
	};

	assert_int_equal(
	    meta_lifecycle_result_put(t->m, SPAN("team/made"), &result), RC_OK);
}

static void
late_make(struct mt *t, const struct sample *s)
{
	classes_make(t, s);
	gone_make(t, s);
	run_make(t);
}

/* Since format 5. */

#define HUB SPAN("hub/app")
#define WEST SPAN("us-west-2/111122223333")
#define EAST SPAN("us-east-1/111122223333")

/* Its layer is not here. */
static void
copy_make(struct mt *t, const struct sample *s)
{
	const struct span tag = SPAN("v1");
	char why[MANIFEST_WHY_BYTES];
	struct manifest_put_result result;
	struct manifest manifest;
	const struct manifest_put put = {
		.repository = HUB,
		.digest = s->copy,
		.text = span_of(s->copy_text),
		.manifest = &manifest,
		.tags = &tag,
		.n_tags = 1,
		.sparse = SPARSE_ALL,
		.create = &repository_preset_default,
		.import = true,
		.now_ms = 13000,
	};

	assert_int_equal(
	    manifest_parse(SPAN_NONE, put.text, &t->arena, &manifest, why),
	    RC_OK);
	assert_int_equal(meta_manifest_put(t->m, &put, &result), RC_OK);
	assert_int_equal(
	    meta_import_tag_checked(t->m, HUB, tag, &s->copy, 13500), RC_OK);
	assert_int_equal(
	    meta_import_referrers_checked(t->m, HUB, &s->copy, 13600), RC_OK);
}

static void
task_make(struct mt *t, const struct digest *d, const char *tag,
    struct span destination, int64_t now_ms)
{
	assert_int_equal(meta_replication_add(t->m, SPAN("team/app"), d,
			     span_of(tag), destination, now_ms),
	    RC_OK);
}

/* One was sent, one was not, one waits. */
static void
tasks_make(struct mt *t, const struct sample *s)
{
	struct replication_task *rows;
	size_t n;

	task_make(t, &s->image, "v1", WEST, 14000);
	task_make(t, &s->image, "v1", EAST, 14001);
	task_make(t, &s->index, "multi", WEST, 14002);
	assert_int_equal(
	    meta_replication_page(t->m, 0, 0, 15000, 9, &t->arena, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 3);
	assert_int_equal(meta_replication_end(t->m, &rows[0],
			     REPLICATION_COMPLETE, SPAN_NONE, SPAN_NONE, 14500),
	    RC_OK);
	assert_int_equal(
	    meta_replication_end(t->m, &rows[1], REPLICATION_FAILED,
		SPAN("Denied"), SPAN("not allowed"), 14600),
	    RC_OK);
	assert_int_equal(
	    meta_replication_later(t->m, &rows[2], 16000, SPAN("no route")),
	    RC_OK);
}

static void
mirror_make(struct mt *t)
{
	const struct entity_change changes[] = {
		{ .entity = { ENTITY_MIRROR_STATE, SPAN("m"), SPAN("{}") },
		    .apart = true },
	};
	uint64_t generation;

	assert_int_equal(
	    meta_entities_change(t->m, 0, changes, 1, &generation), RC_OK);
}

static void
mirrored_make(struct mt *t, const struct sample *s)
{
	copy_make(t, s);
	tasks_make(t, s);
	mirror_make(t);
}

/* Since format 6. */

#define VAULT SPAN("vault/app")
#define DEBIAN SPAN("debian:12")

static void
vault_make(struct mt *t, const struct sample *s)
{
	mt_sealed(t, "vault/app", "alias/team");
	mt_sealed(t, "vault/own", NULL);
	blob_push(t, "vault/app", EMPTY_JSON, 2, DIGEST_SHA256);
	blob_push(t, "vault/app", s->layer_text, LAYER_BYTES, DIGEST_SHA256);
	blob_push(t, "vault/own", s->layer_text, LAYER_BYTES, DIGEST_SHA256);
	manifest_push(t, "vault/app", s->image_text, "v1", 17000);
	manifest_push(t, "vault/app", s->signature_text, NULL, 17100);
	session_leave(t, VAULT);
}

/* It waits longest. */
static void
findings_make(struct mt *t, const struct sample *s)
{
	const struct scan_start start = {
		.repository = VAULT, .digest = s->image, .now_ms = 1
	};
	const struct span ecosystem = DEBIAN;
	const struct scan_findings findings = {
		.status = SCAN_COMPLETE,
		.completed_ms = 18000,
		.revision = 1,
		.counts = { 1, 0, 2 },
		.text = SPAN("{\"findings\":[]}"),
		.ecosystems = &ecosystem,
		.n_ecosystems = 1,
	};
	struct scan_job job;

	assert_int_equal(meta_layer_index_put(t->m, VAULT, &s->layer, 3,
			     SPAN("some packages"), 17900),
	    RC_OK);
	assert_int_equal(meta_scan_start(t->m, &start), RC_OK);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_true(span_eq(job.repository, VAULT));
	assert_int_equal(meta_scan_complete(t->m, &job, &findings), RC_OK);
}

static void
advisories_make(struct mt *t)
{
	const struct advisory_row row = { DEBIAN, SPAN("zlib"),
		SPAN("a record") };
	const struct span ecosystem = DEBIAN;
	struct advisory_set set = {
		.source = SPAN("debian"),
		.format = SPAN("debian"),
		.imported_ms = 19000,
		.advisories = 1,
		.ecosystems = &ecosystem,
		.n_ecosystems = 1,
	};

	assert_int_equal(meta_advisories_begin(t->m, &set.id), RC_OK);
	assert_int_equal(meta_advisories_add(t->m, set.id, &row, 1), RC_OK);
	assert_int_equal(meta_advisories_commit(t->m, &set), RC_OK);
}

static void
sealed_make(struct mt *t, const struct sample *s)
{
	vault_make(t, s);
	findings_make(t, s);
	advisories_make(t);
}

static void
sample_make(struct mt *t)
{
	static struct sample s;
	struct holding holding;

	sample_init(&s);
	blob_push(t, "team/app", EMPTY_JSON, 2, DIGEST_SHA256);
	blob_push(t, "team/app", s.layer_text, LAYER_BYTES, DIGEST_SHA256);
	blob_push(t, "other", s.layer_text, LAYER_BYTES, DIGEST_SHA256);
	blob_push(t, "other", "note", 4, DIGEST_SHA512);
	blob_push(t, "other", "orphan", 6, DIGEST_SHA256);
	assert_int_equal(
	    meta_blob_unlink(t->m, SPAN("other"), &s.orphan, &holding), RC_OK);
	manifest_push(t, "team/app", s.image_text, "v1", 1000);
	manifest_push(t, "team/app", s.image_text, "latest", 2000);
	manifest_push(t, "team/app", s.index_text, "multi", 3000);
	manifest_push(t, "team/app", s.signature_text, NULL, 4000);
	meta_manifest_pulled(t->m, SPAN("team/app"), &s.image, 5000);
	session_leave(t, SPAN("team/new"));
	repository_make(t);
	repository_doom(t, &s);
	entities_make(t);
	lives_make(t, &s);
	images_make(t, &s);
	template_make(t);
	late_make(t, &s);
	mirrored_make(t, &s);
	sealed_make(t, &s);
}

/* ${dir} becomes a sample: what only a running process needs goes. */
static int
make(const char *dir)
{
	struct mt t = { .options = tool_options(dir) };
	char path[PATH_MAX];

	t.s = tool_store_open(&t.options);
	tool_keys_open(t.s);
	t.m = store_meta(t.s);
	arena_init(&t.arena, 1 << 20);
	sample_make(&t);
	arena_reset(&t.arena);
	store_close(&t.s);
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/meta.mdb-lock", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/ballast", dir);
	(void)unlink(path);
	/* A server that is tried on a copy finds it. */
	(void)snprintf(path, sizeof(path), "%s/master.key", dir);
	tool_file_write(
	    path, TOOL_MASTER_KEY "\n", strlen(TOOL_MASTER_KEY) + 1);
	return (0);
}

/* Copying it. */

static void
file_copy(const char *from, const char *to, off_t n)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(in >= 0 && out >= 0);
	while (n > 0) {
		ssize_t w = sendfile(out, in, NULL, (size_t)n);

		assert_true(w > 0);
		n -= w;
	}
	(void)close(in);
	(void)close(out);
}

static void
folder_copy(const char *from, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(from);

	if (d == NULL)
		print_error("%s: run the tests from the top folder\n", from);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
		(void)snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
		assert_int_equal(stat(a, &st), 0);
		if (!S_ISDIR(st.st_mode)) {
			file_copy(a, b, st.st_size);
			continue;
		}
		assert_int_equal(mkdir(b, 0700), 0);
		folder_copy(a, b);
	}
	(void)closedir(d);
}

static int
copy_setup(void **state)
{
	struct mt *t = calloc(1, sizeof(*t));

	format = *state;
	tool_folder(t->dir);
	folder_copy(format->sample, t->dir);
	t->options = tool_options(t->dir);
	t->options.upload_lifetime_ms = INT64_MAX / 4;
	arena_init(&t->arena, 1 << 20);
	*state = t;
	return (0);
}

static void
copy_open(struct mt *t)
{
	t->s = tool_store_open(&t->options);
	tool_keys_open(t->s);
	t->m = store_meta(t->s);
}

/* Looking at it. */

static void
manifests_are_there(struct mt *t, const struct sample *s)
{
	struct manifest_row row;

	assert_int_equal(mt_get(t, "team/app", "v1", &row), RC_OK);
	assert_true(digest_eq(&row.digest, &s->image));
	assert_true(span_is(row.text, s->image_text));
	assert_true(span_is(row.media_type, MEDIA_OCI_MANIFEST));
	assert_int_equal(row.pushed_ms, 1000);
	assert_int_equal(row.pulled_ms, 5000);
	assert_int_equal(mt_get(t, "team/app", "latest", &row), RC_OK);
	assert_true(digest_eq(&row.digest, &s->image));
	assert_int_equal(mt_get(t, "team/app", "multi", &row), RC_OK);
	assert_true(span_is(row.media_type, MEDIA_OCI_INDEX));
	assert_int_equal(
	    mt_get_digest(t, "team/app", &s->signature, &row), RC_OK);
	assert_true(digest_eq(&row.subject, &s->image));
	assert_true(span_is(row.artifact_type, "application/vnd.example.sig"));
}

static void
blobs_are_there(struct mt *t, const struct sample *s)
{
	struct content c;
	char *text = malloc(LAYER_BYTES);

	assert_true(mt_has_blob(t, "team/app", &s->config));
	assert_int_equal(content_open(t->s, SPAN("other"), &s->layer,
			     READ_BLOCKING, &t->arena, &c),
	    RC_OK);
	assert_int_equal(c.kind, CONTENT_FILE);
	assert_int_equal(
	    blob_file_read_all(&c.file, 0, text, LAYER_BYTES), RC_OK);
	assert_memory_equal(text, s->layer_text, LAYER_BYTES);
	content_close(&c);
	free(text);
	assert_int_equal(content_open(t->s, SPAN("other"), &s->note,
			     READ_BLOCKING, &t->arena, &c),
	    RC_OK);
	assert_true(span_is(c.bytes, "note"));
	assert_int_equal(content_open(t->s, SPAN("other"), &s->orphan,
			     READ_BLOCKING, &t->arena, &c),
	    RC_NOTFOUND);
}

static void
referrers_are(struct mt *t, struct span repository, const struct sample *s)
{
	const struct referrer_query q = {
		.repository = repository,
		.subject = s->image,
		.max_rows = 10,
		.max_bytes = 1 << 16,
	};
	struct referrer_page page;

	assert_int_equal(
	    meta_referrer_page(t->m, &q, READ_BLOCKING, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(digest_eq(&page.rows[0].digest, &s->signature));
	assert_non_null(memmem(page.rows[0].annotations.p,
	    page.rows[0].annotations.n, "\"by\"", 4));
}

static void
referrers_are_there(struct mt *t, const struct sample *s)
{
	referrers_are(t, SPAN("team/app"), s);
}

static void
counts_are_right(struct mt *t)
{
	struct store_stats st = mt_stats(t);

	assert_int_equal(st.repositories, format->repositories);
	assert_int_equal(st.manifests, format->manifests);
	assert_int_equal(st.tags, format->tags);
	assert_int_equal(st.blobs, format->blobs);
	assert_int_equal(st.blob_links, format->links);
	assert_int_equal(st.referrers, format->referrers);
	assert_int_equal(st.upload_sessions, format->sessions);
	assert_int_equal(st.file_blobs, format->files);
	assert_int_equal(st.file_bytes, format->files * LAYER_BYTES);
	assert_int_equal(st.unreferenced_blobs, 1);
	assert_int_equal(st.unreferenced_bytes, strlen("orphan"));
}

static void
what_is_set_is_there(struct mt *t, bool sealed)
{
	struct repository_description d;
	struct repository_access access;

	assert_int_equal(
	    meta_repository_describe(t->m, SPAN("team/made"), &t->arena, &d),
	    RC_OK);
	assert_int_equal(d.row.created_ms, 6000);
	assert_int_equal(d.settings.mutability, TAGS_IMMUTABLE_WITH_EXCLUSION);
	assert_int_equal(d.settings.n_exclusions, 1);
	assert_true(span_is(d.settings.exclusions[0], "dev-*"));
	assert_true(d.settings.scan_on_push);
	/* Before format 6 that was only said. */
	if (sealed) {
		assert_int_equal(d.settings.encryption, ENCRYPTION_KMS);
		assert_true(span_is(d.settings.kms_key, "alias/key"));
	} else {
		assert_int_equal(d.settings.encryption, ENCRYPTION_NONE);
		assert_int_equal(d.settings.kms_key.n, 0);
	}
	assert_int_equal(d.n_tags, 1);
	assert_true(span_is(d.tags[0].key, "stage"));
	assert_true(span_is(d.tags[0].value, "prod"));
	assert_int_equal(meta_repository_access(t->m, SPAN("team/made"),
			     ACCESS_POLICY, &t->arena, &access),
	    RC_OK);
	assert_int_equal(access.policy_revision, 1);
	assert_true(span_is(access.policy, POLICY));
}

static void
entities_are_there(struct mt *t, uint64_t generation)
{
	struct entity_page page;

	assert_int_equal(
	    meta_entity_page(t->m, ENTITY_USER, SPAN_NONE, 9, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.generation, generation);
	assert_true(span_is(page.rows[0].name, "000000000000/u"));
	assert_true(span_is(page.rows[0].record, "{\"a\":1}"));
	assert_int_equal(
	    meta_entity_page(t->m, ENTITY_NOTE, SPAN_NONE, 9, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
}

static void
what_is_to_go_goes_on(struct mt *t)
{
	bool more = true;

	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 1, NULL, &more), RC_OK);
	assert_int_equal(mt_stats(t).blob_links,
	    format->number < 4 ? 4 : (format->number < 6 ? 7 : 10));
	mt_check(t);
}

/* None of it was known to format 1. */
static void
nothing_is_set(struct mt *t)
{
	struct repository_description d;
	struct repository_access access;
	struct entity_page page;
	bool more;

	assert_int_equal(
	    meta_repository_describe(t->m, SPAN("team/app"), &t->arena, &d),
	    RC_OK);
	assert_int_equal(d.settings.mutability, TAGS_MUTABLE);
	assert_int_equal(d.n_tags, 0);
	assert_int_equal(meta_repository_access(t->m, SPAN("team/app"),
			     ACCESS_POLICY, &t->arena, &access),
	    RC_OK);
	assert_true(access.exists);
	assert_int_equal(access.policy_revision, 0);
	assert_int_equal(
	    meta_entity_page(t->m, ENTITY_USER, SPAN_NONE, 9, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
	assert_int_equal(page.generation, 0);
	assert_int_equal(meta_repository_purge(t->m, 9, NULL, &more), RC_OK);
	assert_false(more);
}

static struct image_row
image_of(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, SPAN("team/app"), &ref, &t->arena, &row),
	    RC_OK);
	return (row);
}

/* What is told of images of any format. */
static void
images_are_there(struct mt *t, const struct sample *s)
{
	const struct image_query q = { .repository = SPAN("team/app"),
		.max_rows = 10 };
	struct image_row row = image_of(t, &s->image);
	struct image_page page;
	uint64_t n;

	assert_int_equal(row.image_bytes, LAYER_BYTES + 2);
	assert_int_equal(row.n_tags, 2);
	assert_true(span_is(row.tags[0], "latest"));
	assert_int_equal(image_of(t, &s->index).image_bytes, LAYER_BYTES + 2);
	assert_int_equal(image_of(t, &s->index).kind, MANIFEST_INDEX);
	assert_int_equal(image_of(t, &s->signature).image_bytes, 2);
	assert_int_equal(meta_image_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.n, 3);
	assert_int_equal(meta_image_count(t->m, SPAN("team/app"), &n), RC_OK);
	assert_int_equal(n, 3);
}

static void
results_are_there(struct mt *t, const struct sample *s)
{
	const struct preview_query q = { .repository = SPAN("team/app"),
		.max_rows = 9 };
	struct preview_page page;

	assert_int_equal(
	    meta_preview_result_page(t->m, &q, &t->arena, &page), RC_OK);
	assert_int_equal(page.preview.status, PREVIEW_COMPLETE);
	assert_int_equal(page.preview.ended_ms, 7700);
	assert_int_equal(page.preview.sums.expiring, 1);
	assert_int_equal(page.preview.sums.transitioning, 1);
	assert_int_equal(page.n, 2);
	assert_true(digest_eq(&page.rows[0].digest, &s->image));
	assert_int_equal(page.rows[0].action, PREVIEW_EXPIRE);
	assert_int_equal(page.rows[1].action, PREVIEW_TRANSITION);
	assert_int_equal(page.rows[1].priority, 2);
	assert_int_equal(page.rows[1].pushed_ms, 3000);
}

static void
lives_are_there(struct mt *t, const struct sample *s)
{
	struct image_row row = image_of(t, &s->image);
	struct lifecycle_row lifecycle;
	struct preview_row preview;
	struct preview_job preview_job;
	struct scan_job job;

	assert_int_equal(row.scan.status, SCAN_FAILED);
	assert_int_equal(row.scan.started_ms, 8000);
	assert_int_equal(row.scan.ended_ms, 8500);
	assert_true(span_is(row.scan.reason, "no scanner"));
	row = image_of(t, &s->signature);
	assert_true(row.manifest.archived);
	assert_int_equal(row.archived_ms, 9500);
	assert_int_equal(row.scan.status, SCAN_IN_PROGRESS);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_OK);
	assert_true(digest_eq(&job.digest, &s->signature));
	assert_int_equal(
	    meta_lifecycle_get(t->m, SPAN("team/made"), &t->arena, &lifecycle),
	    RC_OK);
	assert_true(span_is(lifecycle.text, LIFECYCLE));
	assert_int_equal(lifecycle.revision, 3);
	assert_int_equal(lifecycle.set_ms, 7000);
	assert_int_equal(
	    meta_preview_get(t->m, SPAN("team/made"), &t->arena, &preview),
	    RC_OK);
	assert_int_equal(preview.status, PREVIEW_IN_PROGRESS);
	assert_int_equal(preview.started_ms, 7500);
	assert_int_equal(
	    meta_preview_next(t->m, &t->arena, &preview_job), RC_OK);
	assert_true(span_is(preview_job.repository, "team/made"));
	results_are_there(t, s);
}

/* None of it was known before format 3. */
static void
nothing_lives(struct mt *t, const struct sample *s)
{
	struct image_row row = image_of(t, &s->signature);
	struct preview_job preview;
	struct scan_job job;

	assert_false(row.manifest.archived);
	assert_int_equal(row.scan.status, SCAN_NONE);
	assert_int_equal(meta_scan_next(t->m, &t->arena, &job), RC_NOTFOUND);
	assert_int_equal(
	    meta_preview_next(t->m, &t->arena, &preview), RC_NOTFOUND);
}

static enum image_status
class_of(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, LATE, &ref, &t->arena, &row), RC_OK);
	return (row.manifest.status);
}

static void
run_is_there(struct mt *t)
{
	struct lifecycle_status row;

	assert_int_equal(
	    meta_lifecycle_status(t->m, SPAN("team/made"), &t->arena, &row),
	    RC_OK);
	assert_true(row.has_policy);
	assert_int_equal(row.evaluated_ms, 11000);
	assert_int_equal(row.last.revision, 3);
	assert_int_equal(row.last.outcome, LIFECYCLE_DONE);
	assert_int_equal(row.last.started_ms, 11000);
	assert_int_equal(row.last.ended_ms, 11500);
	assert_int_equal(row.last.images, 4);
	assert_int_equal(row.last.expired, 2);
	assert_int_equal(row.last.held, 1);
	assert_true(span_is(row.last.why, "so"));
}

static void
late_is_there(struct mt *t, const struct sample *s)
{
	struct deleted_repository_page repositories;
	struct deleted_image_page images;
	struct store_stats st = mt_stats(t);

	assert_int_equal(class_of(t, &s->cold), IMAGE_ARCHIVED);
	assert_int_equal(class_of(t, &s->warm), IMAGE_ACTIVATING);
	assert_int_equal(st.archived_blobs, 1);
	assert_int_equal(st.archived_bytes, LAYER_BYTES);
	assert_in_range(st.archived_stored_bytes, 1, LAYER_BYTES / 10);
	assert_int_equal(st.deleted_images, 1);
	assert_int_equal(
	    meta_deleted_image_page(t->m, LATE, NULL, 9, &t->arena, &images),
	    RC_OK);
	assert_int_equal(images.n, 1);
	assert_true(digest_eq(&images.rows[0].digest, &s->gone));
	assert_int_equal(images.rows[0].n_tags, 1);
	assert_true(span_is(images.rows[0].tags[0], "gone"));
	assert_int_equal(images.rows[0].why, DELETED_BY_REQUEST);
	assert_int_equal(
	    meta_deleted_repository_page(t->m, 0, 9, &t->arena, &repositories),
	    RC_OK);
	assert_int_equal(repositories.n, 1);
	assert_true(span_is(repositories.rows[0].name, "dropped"));
	run_is_there(t);
}

static struct replication_status
status_of(struct mt *t, const struct digest *d, size_t i)
{
	struct replication_status *rows;
	size_t n;

	assert_int_equal(meta_replication_status(
			     t->m, SPAN("team/app"), d, &t->arena, &rows, &n),
	    RC_OK);
	assert_true(i < n);
	return (rows[i]);
}

static void
tasks_are_there(struct mt *t, const struct sample *s)
{
	struct replication_status west = status_of(t, &s->image, 1);
	struct replication_status east = status_of(t, &s->image, 0);
	struct replication_task *rows;
	size_t n;

	assert_true(span_eq(west.destination, WEST));
	assert_int_equal(west.state, REPLICATION_COMPLETE);
	assert_int_equal(west.changed_ms, 14500);
	assert_int_equal(east.state, REPLICATION_FAILED);
	assert_true(span_is(east.code, "Denied"));
	assert_true(span_is(east.why, "not allowed"));
	assert_int_equal(
	    meta_replication_page(t->m, 0, 0, 16000, 9, &t->arena, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 1);
	assert_true(span_is(rows[0].repository, "team/app"));
	assert_true(digest_eq(&rows[0].digest, &s->index));
	assert_true(span_is(rows[0].tag, "multi"));
	assert_true(span_eq(rows[0].destination, WEST));
	assert_int_equal(rows[0].attempts, 1);
	assert_int_equal(rows[0].queued_ms, 14002);
	assert_int_equal(rows[0].due_ms, 16000);
	assert_true(span_is(status_of(t, &s->index, 0).why, "no route"));
}

static void
mirrored_is_there(struct mt *t, const struct sample *s)
{
	struct import_tag tag;
	struct entity_page page;
	int64_t ms;

	assert_int_equal(meta_imported(t->m, HUB, &s->copy, &ms), RC_OK);
	assert_int_equal(ms, 13000);
	assert_int_equal(
	    meta_import_tag_get(t->m, HUB, SPAN("v1"), &tag), RC_OK);
	assert_true(digest_eq(&tag.digest, &s->copy));
	assert_int_equal(tag.checked_ms, 13500);
	assert_int_equal(
	    meta_import_referrers_get(t->m, HUB, &s->copy, &ms), RC_OK);
	assert_int_equal(ms, 13600);
	tasks_are_there(t, s);
	assert_int_equal(meta_entity_page(t->m, ENTITY_MIRROR_STATE, SPAN_NONE,
			     9, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(span_is(page.rows[0].name, "m"));
}

/* None of it was known before format 5. */
static void
nothing_is_mirrored(struct mt *t, const struct sample *s)
{
	struct replication_status *rows;
	struct import_tag tag;
	uint64_t waiting;
	int64_t ms;
	size_t n;

	assert_int_equal(
	    meta_imported(t->m, SPAN("team/app"), &s->image, &ms), RC_NOTFOUND);
	assert_int_equal(
	    meta_import_tag_get(t->m, SPAN("team/app"), SPAN("v1"), &tag),
	    RC_NOTFOUND);
	assert_int_equal(meta_replication_count(t->m, &waiting), RC_OK);
	assert_int_equal(waiting, 0);
	assert_int_equal(meta_replication_due(t->m, &ms), RC_NOTFOUND);
	assert_int_equal(meta_replication_status(t->m, SPAN("team/app"),
			     &s->image, &t->arena, &rows, &n),
	    RC_OK);
	assert_int_equal(n, 0);
}

static void
vault_content_is(struct mt *t, const char *repo, const struct sample *s)
{
	char *text = malloc(LAYER_BYTES);
	struct content c;

	assert_int_equal(content_open(t->s, span_of(repo), &s->layer,
			     READ_BLOCKING, &t->arena, &c),
	    RC_OK);
	assert_int_equal(c.kind, CONTENT_FILE);
	assert_int_equal(
	    blob_file_read_all(&c.file, 0, text, LAYER_BYTES), RC_OK);
	assert_memory_equal(text, s->layer_text, LAYER_BYTES);
	content_close(&c);
	free(text);
}

static enum rc
record_is(void *arg, struct span record)
{
	(void)arg;
	assert_true(span_is(record, "a record"));
	return (RC_EXISTS);
}

static void
findings_are_there(struct mt *t, const struct sample *s)
{
	struct scan_findings f;
	struct span bytes;

	assert_int_equal(
	    meta_findings_get(t->m, VAULT, &s->image, true, &t->arena, &f),
	    RC_OK);
	assert_int_equal(f.completed_ms, 18000);
	assert_int_equal(f.counts[2], 2);
	assert_true(span_is(f.text, "{\"findings\":[]}"));
	assert_int_equal(
	    meta_layer_index_get(t->m, VAULT, &s->layer, 3, &t->arena, &bytes),
	    RC_OK);
	assert_true(span_is(bytes, "some packages"));
	assert_int_equal(meta_advisories_find(t->m, DEBIAN, SPAN("zlib"),
			     &t->arena, record_is, NULL),
	    RC_EXISTS);
}

static void
sealed_is_there(struct mt *t, const struct sample *s)
{
	struct manifest_row row;
	struct key_row *keys;
	size_t n;

	/* "alias/key" of team/made, "alias/team", and the registry's own. */
	assert_int_equal(keys_list(t->s, &t->arena, &keys, &n), RC_OK);
	assert_int_equal(n, 3);
	assert_true(span_is(keys[1].name, "kms/team"));
	assert_true(keys[1].here);
	assert_int_equal(keys[1].repositories, 1);
	assert_int_equal(mt_get(t, "vault/app", "v1", &row), RC_OK);
	assert_true(span_is(row.text, s->image_text));
	assert_true(mt_has_blob(t, "vault/app", &s->config));
	vault_content_is(t, "vault/app", s);
	vault_content_is(t, "vault/own", s);
	referrers_are(t, VAULT, s);
	findings_are_there(t, s);
}

/* None of it was known before format 6. */
static void
nothing_is_sealed(struct mt *t)
{
	size_t n;

	assert_int_equal(store_keys_count(t->s, &n), RC_OK);
	assert_int_equal(n, 0);
}

static struct link_rec
link_of(struct mt *t, const char *repository, const struct digest *d)
{
	struct repository_description repo;
	struct link_rec link;
	struct meta_txn m;

	assert_int_equal(meta_repository_describe(
			     t->m, span_of(repository), &t->arena, &repo),
	    RC_OK);
	assert_int_equal(meta_read_begin(t->m, &m), RC_OK);
	assert_int_equal(link_load(&m, repo.row.id, d, &link), RC_OK);
	meta_read_end(&m);
	return (link);
}

static void
what_was_deleted_comes_back(struct mt *t, const struct sample *s)
{
	const struct reference ref = { .tag = SPAN("gone") };
	struct image_restored restored;

	assert_int_equal(
	    meta_image_undelete(t->m, LATE, &ref, 12000, &t->arena, &restored),
	    RC_OK);
	assert_true(digest_eq(&restored.digest, &s->gone));
	assert_int_equal(class_of(t, &s->gone), IMAGE_ARCHIVED);
	assert_int_equal(
	    meta_repository_undelete(t->m, SPAN("dropped"), 0, 12000), RC_OK);
	assert_true(link_of(t, "dropped", &s->note).queued);
	mt_check(t);
}

/* By format: all that it knew, and none of what came later. */
static void
what_it_knew_is_there(struct mt *t, const struct sample *s)
{
	store_undelete_set(t->s, UNDELETE_MS);
	if (format->number >= 6)
		sealed_is_there(t, s);
	else
		nothing_is_sealed(t);
	if (format->number >= 5)
		mirrored_is_there(t, s);
	else
		nothing_is_mirrored(t, s);
	if (format->number >= 4)
		late_is_there(t, s);
	if (format->number >= 3)
		lives_are_there(t, s);
	else
		nothing_lives(t, s);
	if (format->number < 2) {
		nothing_is_set(t);
		return;
	}
	what_is_set_is_there(t, format->number >= 6);
	entities_are_there(t, format->number < 3 ? 1 : 2);
}

static void
all_of_the_sample_is_there(void **state)
{
	static struct sample s;
	struct mt *t = *state;

	sample_init(&s);
	copy_open(t);
	manifests_are_there(t, &s);
	blobs_are_there(t, &s);
	referrers_are_there(t, &s);
	images_are_there(t, &s);
	counts_are_right(t);
	mt_check(t);
	what_it_knew_is_there(t, &s);
	if (format->number >= 2)
		what_is_to_go_goes_on(t);
	if (format->number >= 4)
		what_was_deleted_comes_back(t, &s);
}

static void
an_upload_of_the_sample_goes_on(void **state)
{
	struct upload *u = NULL;
	struct upload_row *rows;
	struct mt *t = *state;
	struct digest d = mt_digest(PARTIAL ", and the rest");
	size_t i, n;

	copy_open(t);
	assert_int_equal(
	    meta_upload_page(t->m, SPAN_NONE, 10, &t->arena, &rows, &n), RC_OK);
	assert_int_equal(n, format->sessions);
	for (i = 0; i < n; i++) {
		assert_true(span_is(rows[i].repository, "team/new") ||
			    span_eq(rows[i].repository, VAULT));
		assert_int_equal(rows[i].parts, format->number < 3 ? 0 : 1);
		assert_int_equal(upload_acquire(t->s, rows[i].repository,
				     span_of(rows[i].id), &u),
		    RC_OK);
		assert_int_equal(upload_offset(u), strlen(PARTIAL));
		assert_int_equal(upload_write(u, ", and the rest", 14), RC_OK);
		assert_int_equal(
		    upload_finish(&u, &d, &repository_preset_default), RC_OK);
	}
	assert_int_equal(mt_stats(t).upload_sessions, 0);
	mt_check(t);
}

static void
the_sample_takes_changes(void **state)
{
	static struct sample s;
	struct holding holding;
	struct mt *t = *state;
	uint64_t n;

	sample_init(&s);
	copy_open(t);
	assert_int_equal(
	    meta_manifest_delete(t->m, SPAN("team/app"), &s.image, &holding),
	    RC_REFERENCED);
	assert_int_equal(
	    meta_manifest_delete(t->m, SPAN("team/app"), &s.index, &holding),
	    RC_OK);
	assert_int_equal(
	    meta_manifest_delete(t->m, SPAN("team/app"), &s.image, &holding),
	    RC_OK);
	mt_blob(t, "other", "orphan");
	assert_int_equal(mt_stats(t).unreferenced_blobs, 2);
	assert_int_equal(meta_image_count(t->m, SPAN("team/app"), &n), RC_OK);
	assert_int_equal(n, 1);
	mt_check(t);
}

static void
problem_print(void *arg, const struct fsck_problem *p)
{
	(void)arg;
	print_error("fsck: %s\n", p->text);
}

static void
fsck_finds_nothing_in_the_sample(void **state)
{
	const struct fsck_options options = { .problem = problem_print };
	struct fsck_progress progress = { 0 };
	struct mt *t = *state;

	t->options.read_only = true;
	copy_open(t);
	assert_int_equal(fsck_run(t->s, &options, &progress), RC_OK);
	assert_int_equal(progress.problems, 0);
	assert_int_equal(progress.blobs, format->blobs);
	assert_int_equal(progress.orphan_files, 0);
}

/* Upgrades. */

static unsigned
format_of(const struct mt *t)
{
	unsigned n = 0;
	int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(store_format_read(fd, &n), RC_OK);
	(void)close(fd);
	return (n);
}

/* It takes what it could not before. */
static void
opening_brings_the_sample_up_to_date(void **state)
{
	static struct sample s;
	struct mt *t = *state;

	sample_init(&s);
	copy_open(t);
	assert_int_equal(format_of(t), STORE_FORMAT);
	mt_reopen(t);
	if (format->number < 2) {
		repository_make(t);
		entities_make(t);
	}
	if (format->number < 3) {
		lives_make(t, &s);
		images_make(t, &s);
		template_make(t);
	}
	if (format->number < 4)
		late_make(t, &s);
	if (format->number < 5)
		mirrored_make(t, &s);
	sealed_make(t, &s);
	mt_reopen(t);
	store_undelete_set(t->s, UNDELETE_MS);
	what_is_set_is_there(t, format->number < 2);
	entities_are_there(t, 2);
	images_are_there(t, &s);
	lives_are_there(t, &s);
	late_is_there(t, &s);
	mirrored_is_there(t, &s);
	vault_content_is(t, "vault/app", &s);
	referrers_are(t, VAULT, &s);
	findings_are_there(t, &s);
	mt_check(t);
}

/* An archived signature, which there is since format 3, is no user. */
static void
an_upgrade_counts_who_uses_what(void **state)
{
	static struct sample s;
	struct mt *t = *state;
	struct link_rec link;

	sample_init(&s);
	copy_open(t);
	link = link_of(t, "team/app", &s.config);
	assert_int_equal(link.users, format->number < 3 ? 2 : 1);
	assert_int_equal(link.idle_ms, 0);
	assert_false(link.queued);
	assert_int_equal(link_of(t, "team/app", &s.layer).users, 1);
	link = link_of(t, "other", &s.layer);
	assert_int_equal(link.users, 0);
	assert_true(link.idle_ms > 0);
	assert_true(link.queued);
	assert_true(link_of(t, "other", &s.note).queued);
	/* And one of the repository that is on its way out. */
	assert_int_equal(mt_stats(t).idle_links, format->links - 2);
}

/* As if it had been set since. */
static void
an_upgrade_queues_the_policies(void **state)
{
	struct lifecycle_due_page page;
	struct mt *t = *state;

	copy_open(t);
	assert_int_equal(
	    meta_lifecycle_due_page(t->m, 7000, NULL, 9, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(span_is(page.rows[0].repository, "team/made"));
	assert_int_equal(page.rows[0].basis_ms, 7000);
	assert_int_equal(
	    meta_lifecycle_due_page(t->m, 6999, NULL, 9, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 0);
}

/* What cannot be read stays what it is, for fsck, and the rest goes on. */
static enum rc
rows_spoil(struct meta_txn *m, void *arg)
{
	const struct sample *s = arg;
	struct rec_key k;
	enum rc rc;

	key_repo_digest(&k, 1, &s->layer);
	rc = kv_put(m, TABLE_BLOB_LINKS, key_span(&k), SPAN("x"));
	if (rc == RC_OK)
		rc = kv_put(m, TABLE_BLOB_LINKS, SPAN("x"), SPAN("x"));
	if (rc == RC_OK)
		rc = kv_put(m, TABLE_LIFECYCLE_POLICIES, SPAN("x"), SPAN("x"));
	if (rc == RC_OK)
		rc = meta_format_set(m, format->number);
	return (rc);
}

static void
an_upgrade_passes_over_what_is_damaged(void **state)
{
	const struct fsck_options options = { .repair = true };
	struct fsck_progress progress = { 0 };
	static struct sample s;
	struct mt *t = *state;

	sample_init(&s);
	copy_open(t);
	assert_int_equal(meta_change(t->m, rows_spoil, &s, 0), RC_OK);
	mt_reopen(t);
	assert_int_equal(link_of(t, "team/app", &s.config).users,
	    format->number < 3 ? 2 : 1);
	assert_int_equal(fsck_run(t->s, &options, &progress), RC_OK);
	assert_true(progress.problems > 0);
	assert_int_equal(progress.repaired, progress.problems);
	assert_int_equal(link_of(t, "team/app", &s.layer).users, 1);
	mt_check(t);
}

/* The metadata are of the new format, the file does not say so yet. */
static void
an_upgrade_cut_short_is_finished(void **state)
{
	static struct sample s;
	char path[TOOL_PATH_BYTES + 16], text[32];
	struct mt *t = *state;
	int n;

	sample_init(&s);
	copy_open(t);
	store_close(&t->s);
	(void)snprintf(path, sizeof(path), "%s/format", t->dir);
	n = snprintf(
	    text, sizeof(text), "registryd-format %u\n", format->number);
	tool_file_write(path, text, (size_t)n);
	t->options.read_only = true;
	copy_open(t);
	what_it_knew_is_there(t, &s);
	store_close(&t->s);
	assert_int_equal(format_of(t), format->number);
	t->options.read_only = false;
	copy_open(t);
	assert_int_equal(format_of(t), STORE_FORMAT);
	what_it_knew_is_there(t, &s);
}

static void
who_only_reads_reads_it_as_it_is(void **state)
{
	static struct sample s;
	const struct repository_create create = { .name = SPAN("new") };
	struct repository_row row;
	struct mt *t = *state;

	sample_init(&s);
	t->options.read_only = true;
	copy_open(t);
	manifests_are_there(t, &s);
	blobs_are_there(t, &s);
	images_are_there(t, &s);
	counts_are_right(t);
	mt_check(t);
	what_it_knew_is_there(t, &s);
	assert_int_equal(
	    meta_repository_create(t->m, &create, &row), RC_READONLY);
	assert_int_equal(
	    meta_repository_policy_set(t->m, SPAN("team/app"), SPAN("{}")),
	    RC_READONLY);
	assert_int_equal(
	    meta_lifecycle_set(t->m, SPAN("team/app"), SPAN("{}"), 1, NULL),
	    RC_READONLY);
	store_close(&t->s);
	assert_int_equal(format_of(t), format->number);
}

/* On the sample of format ${n}. */
#define TEST_OF(n, f) \
	cmocka_unit_test_prestate_setup_teardown( \
	    f, copy_setup, mt_teardown, (void *)(uintptr_t)&formats[(n)-1])
#define TEST_BEFORE_4(f) TEST_OF(1, f), TEST_OF(2, f), TEST_OF(3, f)
#define TEST_OLD(f) TEST_BEFORE_4(f), TEST_OF(4, f), TEST_OF(5, f)
#define TEST(f) TEST_OLD(f), TEST_OF(6, f)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_the_sample_is_there),
		TEST(an_upload_of_the_sample_goes_on),
		TEST(the_sample_takes_changes),
		TEST(fsck_finds_nothing_in_the_sample),
		TEST_OLD(opening_brings_the_sample_up_to_date),
		TEST_OLD(an_upgrade_cut_short_is_finished),
		TEST_BEFORE_4(an_upgrade_counts_who_uses_what),
		TEST_OF(3, an_upgrade_queues_the_policies),
		TEST_BEFORE_4(an_upgrade_passes_over_what_is_damaged),
		TEST(who_only_reads_reads_it_as_it_is),
	};

	if (argc == 3 && strcmp(argv[1], "--make") == 0)
		return (make(argv[2]));
	return (cmocka_run_group_tests_name("sample", tests, NULL, NULL));
}
